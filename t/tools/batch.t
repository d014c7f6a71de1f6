#!/usr/bin/perl

# reco batch: the demonstration spec over a file of customers: rules, weights
# by place, rejects, the same decisions for the same seed, a million rows in
# flat memory.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP ();
use List::Util qw(sum);
use Reco::Tool;
use Test::More;
use Time::HiRes qw(sleep time);

my $dir = folder();
my $spec = "$FindBin::Bin/../../conf/models/company-b.json";
my $binary = $ENV{RECO_TOOL} // 'build/reco';
my $json = JSON::PP->new->utf8;

# Rows of a plain CSV file without quotes, as hashes.
sub rows {
    my ($path) = @_;
    my ($head, @lines) = split /\n/, slurp($path);
    my @names = split /,/, $head;

    return map {
        my %row;
        @row{@names} = split /,/, $_, -1;
        \%row;
    } @lines;
}

sub batch {
    my ($model, $in, @args) = @_;

    return reco_json('batch', $model, '--in', $in, '--out', "$dir/out.csv",
                     '--rejects', "$dir/rejects.csv", '--json', @args);
}

# ---- a sample of every kind of customer ----

my @regions = ('Europa', 'America', 'Asia');
my $header = "CLIENT,AGE,REGION,GENDER,NOTE\n";
my @sample = map {
    my $age = 18 + $_ * 7 % 70;
    my $region = $regions[$_ % 3];
    my $gender = $_ % 2 ? 'M' : 'Female';

    "client $_,$age,$region,$gender,x\n";
} 1 .. 3000;
spew("$dir/in.csv", join '', $header, @sample);
my $counts = batch($spec, "$dir/in.csv", '--seed', 'a', '--log', "$dir/log");
is_deeply($counts, { rows => 3000, decisions => 3000, rejected => 0 },
          'every row is decided');

my @out = rows("$dir/out.csv");
is(scalar @out, 3000, 'a row for a row');
is((split /\n/, slurp("$dir/out.csv"))[0],
   'customer,decision_id,action_1,action_2,action_3,product_1,product_2,'
   . 'product_3,propensity_1,propensity_2,propensity_3', 'columns');

my %product = (OFFER_1 => 'Savings account', OFFER_2 => 'Credit card',
               OFFER_3 => 'Personal loan', OFFER_4 => 'Car insurance',
               OFFER_5 => 'Investment fund', OFFER_6 => 'Travel insurance');
my (%bad, %ids);
for my $i (0 .. $#out) {
    my ($o, $in) = ($out[$i], [split /,/, $sample[$i]]);
    my @offers = grep { $_ ne '' } @{$o}{qw(action_1 action_2 action_3)};
    my %seen = map { $_ => 1 } @offers;
    my $want = $in->[1] > 65 ? ($in->[2] eq 'Europa' ? 1 : 3) : 3;

    $bad{order}++ if $o->{customer} ne $in->[0];
    $bad{twice}++ if keys %seen != @offers;
    $bad{europa}++ if $in->[2] eq 'Europa' && "@offers" =~ /[456]/;
    $bad{old}++ if $in->[1] > 65 && "@offers" =~ /[134]/;
    $bad{number}++ if @offers != $want;
    $bad{id}++ if $o->{decision_id} !~ /^[0-9a-f]{32}$/
        || $ids{ $o->{decision_id} }++;
    for my $k (1 .. @offers) {
        $bad{product}++
            if $o->{"product_$k"} ne $product{ $o->{"action_$k"} };
        $bad{propensity}++ if $o->{"propensity_$k"} <= 0
            || $o->{"propensity_$k"} > 1;
    }
}
is_deeply(\%bad, {}, 'rules, names, ids, no offer twice, three or all');

# ---- the log tells the same ----

my ($segment) = files("$dir/log");
my (undef, @records) = map { $json->decode($_) }
    split /\n/, slurp("$dir/log/$segment");
is(scalar @records, 3000, 'a record for a row');
is_deeply([map { $_->{id} } @records], [map { $_->{decision_id} } @out],
          'of the same id');
is_deeply([map { $_->{slate}[0] } @records], [map { $_->{action_1} } @out],
          'of the same slate');
is($records[0]{replayable}, JSON::PP::false, 'without a snapshot: no replay');

# ---- the same again ----

my $bytes = slurp("$dir/out.csv");
batch($spec, "$dir/in.csv", '--seed', 'a');
ok(slurp("$dir/out.csv") eq $bytes, 'the same seed: the same file');
batch($spec, "$dir/in.csv", '--seed', 'b');
ok(slurp("$dir/out.csv") ne $bytes, 'another seed: another one');

# ---- frequencies ----

# Pearson's statistic over the values of a column.
sub chi_square {
    my ($column, $n, %p) = @_;
    my %seen;

    $seen{ $_->{$column} }++ for rows("$dir/out.csv");
    ok(!(grep { !exists $p{$_} } keys %seen), "$column: none but these")
        or diag join ' ', keys %seen;

    return sum(map { (($seen{$_} // 0) - $n * $p{$_}) ** 2 / ($n * $p{$_}) }
               keys %p);
}

sub stratum {
    my ($n, $age, $region, $gender) = @_;

    spew("$dir/stratum.csv", join '', $header,
         map { "s$_,$age,$region,$gender,\n" } 1 .. $n);
    batch($spec, "$dir/stratum.csv", '--seed', 'chi');
}

# Asia, M: the last case that holds is that of the gender.
my @w = (10, 10, 10, 6, 4, 4);
my (%first, %second);
for my $i (0 .. 5) {
    $first{'OFFER_' . ($i + 1)} = $w[$i] / 44;
    for my $j (grep { $_ != $i } 0 .. 5) {
        $second{'OFFER_' . ($j + 1)} += $w[$i] / 44 * $w[$j] / (44 - $w[$i]);
    }
}
stratum(20_000, 40, 'Asia', 'M');
# scipy.stats.chi2.ppf(0.9999, 5) and (0.9999, 2)
cmp_ok(chi_square('action_1', 20_000, %first), '<', 25.745,
       'weights of the first slot');
cmp_ok(chi_square('action_2', 20_000, %second), '<', 25.745,
       'weights of the second slot');

# 70, Asia, F: offers 2, 5 and 6 are left, in places 1, 2 and 3: 4, 4, 6
stratum(20_000, 70, 'Asia', 'F');
cmp_ok(chi_square('action_1', 20_000, OFFER_2 => 4 / 14, OFFER_5 => 4 / 14,
                  OFFER_6 => 6 / 14), '<', 18.421,
       'weights go by place among the eligible');
is(sprintf('%.6f', (rows("$dir/out.csv"))[0]{propensity_1}
           * 14 / ((rows("$dir/out.csv"))[0]{action_1} eq 'OFFER_6' ? 6 : 4)),
   '1.000000', 'and the propensity says so');

# ---- rejects ----

spew("$dir/bad.csv", join '', $header,
    "c1,40,Asia,M,\n",                      # line 2
    "c2,forty,Asia,M,\n",                   # no number
    "c3,40,Atlantis,M,\"a \"\"note\"\"\"\n",    # no such region
    ",40,Asia,M,\n",                        # no customer
    "c5,40\n",                              # too few fields
    "c6,,Asia,,\n",                         # no age, no gender: no matter
    "\"c,7\",40,Asia,M,\"two\nlines\"\n",   # lines 8 and 9
    "c8,1e999,Asia,M,\n",                   # line 10: not finite
    "c9,40,Asia,X,\n",                      # line 11
);
$counts = batch($spec, "$dir/bad.csv");
is_deeply($counts, { rows => 9, decisions => 3, rejected => 6 },
          'bad rows do not stop the rest');
my $rejects = slurp("$dir/rejects.csv");
is((split /\n/, $rejects)[0], 'line,reason,CLIENT,AGE,REGION,GENDER,NOTE',
   'rejects: columns');
like($rejects, qr/^3,age: [^,]+,c2,forty,Asia,M,$/m, 'rejects: a number');
like($rejects,
     qr/^4,region: unknown word 'Atlantis',c3,40,Atlantis,M,"a ""note"""$/m,
     'rejects: a word');
like($rejects, qr/^5,customer: [^,]+,,40,Asia,M,$/m, 'rejects: a customer');
like($rejects, qr/^6,the row has 2 fields where the header has 5,,,,,$/m,
     'rejects: a short row');
like($rejects, qr/^10,age: [^,]+,c8,1e999,Asia,M,$/m,
     'rejects: not finite; lines are counted in quotes');
like($rejects, qr/^11,gender: unknown word 'X'/m, 'rejects: a code');
like(slurp("$dir/out.csv"), qr/^"c,7",[0-9a-f]{32},OFFER_/m,
     'quoted where it must be');

my ($status, $out, $err) = reco('batch', $spec, '--in', "$dir/bad.csv",
                                '--out', "$dir/none.csv", '--log',
                                "$dir/nolog");
is($status, 1, 'without --rejects the first bad row ends it');
like($err, qr/^reco: .*bad\.csv:3: age: /, '... with file and line');
ok(!-e "$dir/none.csv", '... and nothing is there');
is_deeply([files("$dir/nolog")], [], '... in the log either');

# ---- what may be shown ----

spew("$dir/flags.json", <<'END');
{"model": "flags", "version": "1",
 "features": [{"name": "age", "type": "number", "from": ["request"],
               "default": 1}],
 "actions": [{"id": "A", "name": "one, two"}, {"id": "B"}, {"id": "C"}],
 "policy": {"type": "uniform", "slate": 3},
 "columns": {"customer": "id", "actions": {"A": "may_a"}}}
END
spew("$dir/flags.csv", "id,may_a,C\n1,true,no\n2,0,YES\n3,False,0\n"
     . "4,maybe,1\n5,1,\n");
batch("$dir/flags.json", "$dir/flags.csv");
@out = map { join ' ', sort grep { /^[ABC]$/ } split /,/ }
    split /\n/, slurp("$dir/out.csv");
is_deeply([@out[1 .. 3]], ['A B', 'B C', 'B'],
          'columns say what may be shown; B has none');
is((slurp("$dir/out.csv") =~ tr/\n//), 4, 'three decisions');
like(slurp("$dir/rejects.csv"),
     qr/^5,"A: must be true, false, 1, 0, yes or no",4,maybe,1$/m,
     'rejects: neither true nor false');
like(slurp("$dir/rejects.csv"), qr/^6,"C: must be/m, 'rejects: empty');
spew("$dir/none.csv", "id,may_a,C\n1,0,0\n");
my $deny = slurp("$dir/flags.json");
$deny =~ s/"policy"/"rules": [{"deny": ["B"]}], "policy"/;
spew("$dir/deny.json", $deny);
batch("$dir/deny.json", "$dir/none.csv");
like(slurp("$dir/rejects.csv"), qr/^2,no action may be shown,1,0,0$/m,
     'rejects: nothing to show');
spew("$dir/without.csv", "id,C\n1,1\n");
($status, $out, $err) = reco('batch', "$dir/flags.json", '--in',
    "$dir/without.csv", '--out', "$dir/none2.csv");
is($status, 1, 'a column of the spec that is not there');
like($err, qr/no column 'may_a', which is that of 'A'/, '... is named');

# ---- customers of a snapshot, hashed ----

spew("$dir/known.json", <<'END');
{"model": "known", "version": "1",
 "features": [{"name": "tier", "type": "category",
               "from": ["request", "customer"], "default": "none"}],
 "actions": [{"id": "A"}, {"id": "B"}],
 "rules": [{"when": {"tier": "gold"}, "deny": ["A"]},
           {"when": {"tier": "none"}, "deny": ["B"]}],
 "policy": {"type": "uniform", "slate": 1}}
END
spew("$dir/customers.csv", "customer,tier\nann,gold\n");
spew("$dir/secret", 'hash ' . 'ab' x 32 . "\nsign k1 " . 'cd' x 32 . "\n");
is((reco('build', "$dir/known.json", '--customers', "$dir/customers.csv",
         '--secret', "$dir/secret", '--out', "$dir/known.mdb"))[0], 0,
   'build with hashed customers');
spew("$dir/ann.csv", "customer,tier\nann,\nbob,\nann,none\n");
batch("$dir/known.mdb", "$dir/ann.csv", '--secret', "$dir/secret",
      '--log', "$dir/known-log");
is_deeply([map { $_->{action_1} } rows("$dir/out.csv")], ['B', 'A', 'A'],
          'a customer\'s record, a stranger, what the row says');
unlike(slurp("$dir/known-log/" . (files("$dir/known-log"))[0]), qr/"ann"/,
       'the log has the hashed key');
($status, $out, $err) = reco('batch', "$dir/known.mdb", '--in',
    "$dir/ann.csv", '--out', "$dir/none3.csv");
is($status, 1, 'without the secret');
like($err, qr/give the key with --secret/, '... says so');

# ---- a million rows ----

# Runs it, and returns the most memory it had (kB) and the seconds it took.
sub measure {
    my ($n) = @_;

    open(my $f, '>', "$dir/big.csv") or die;
    print $f $header;
    print $f "customer $_,", 18 + $_ % 70, ",$regions[$_ % 3],",
        $_ % 2 ? 'M' : 'F', ",\n" for 1 .. $n;
    close($f) or die;

    my ($peak, $started) = (0, time);
    my $pid = fork() // die;
    if ($pid == 0) {
        open(STDERR, '>', '/dev/null');
        exec($binary, 'batch', $spec, '--in', "$dir/big.csv", '--out',
             "$dir/big-out.csv", '--seed', 'big') or die;
    }
    while (waitpid($pid, 1) == 0) {
        open(my $s, '<', "/proc/$pid/status") or next;
        for (<$s>) {
            $peak = $1 if /^VmHWM:\s+(\d+) kB/;   # never falls
        }
        sleep(0.005);
    }
    is($?, 0, "$n rows");

    return ($peak, time - $started);
}

my ($small) = measure(100_000);
my ($large, $seconds) = measure(1_000_000);
cmp_ok($large, '<', $small + 1024, 'a million rows need no more memory');
my $lines = 0;
open(my $f, '<', "$dir/big-out.csv") or die;
$lines++ while <$f>;
is($lines, 1_000_001, 'all are there');
diag(sprintf('%d kB at 100,000 rows, %d kB at 1,000,000; %.0f rows a second',
             $small, $large, 1e6 / $seconds));

# ---- wrong use ----

is((reco('batch', '--in', 'a', '--out', 'b'))[0], 2, 'no spec: wrong use');
is((reco('batch', $spec, '--out', 'b'))[0], 2, 'no input: wrong use');
is((reco('batch', $spec, '--in', "$dir/in.csv", '--out', 'x', '--time',
         'noon'))[0], 2, 'a time that is none');
is((reco('batch', $spec, '--in', "$dir/nothing.csv", '--out', 'x'))[0], 1,
   'an input that is not there');

spew("$dir/in-place.csv", "customer_id,age\nc,30\n");
for my $option ('--out', '--rejects') {
    ($status, $out, $err) = reco('batch', $spec, '--in', "$dir/in-place.csv",
                                 '--out', "$dir/x.csv", $option,
                                 "$dir/in-place.csv");
    is($status, 1, "$option over the input");
    like($err, qr/in-place.csv': it is read too/, 'is refused');
}
is(slurp("$dir/in-place.csv"), "customer_id,age\nc,30\n", 'which stays');

my $keys = 'hash ' . '5a' x 32 . "\nsign k " . 'c3' x 32 . "\n";
spew("$dir/keys", $keys);
($status, $out, $err) = reco('batch', $spec, '--in', "$dir/in-place.csv",
                             '--secret', "$dir/keys", '--out', "$dir/keys");
is($status, 1, '--out over the secret');
like($err, qr/keys': it is read too/, 'is refused');
is(slurp("$dir/keys"), $keys, 'which stays');

# ---- outputs in each other's place ----------------------------------------

mkdir "$dir/two" or die;
mkdir "$dir/two/log" or die;
spew("$dir/two/a", "as it was\n");
symlink("$dir/two/a", "$dir/two/soft") or die;
link("$dir/two/a", "$dir/two/hard") or die;
for my $case (['a', 'a'], ['a', 'soft'], ['hard', 'a'], ['new', 'new'],
              ['new', './new'], ['new', '../two/new'])
{
    ($status, $out, $err) = reco('batch', $spec, '--in', "$dir/in.csv",
                                 '--out', "$dir/two/$case->[0]", '--rejects',
                                 "$dir/two/$case->[1]", '--log',
                                 "$dir/two/log/new");
    is($status, 1, "--out $case->[0] --rejects $case->[1]");
    like($err, qr/: they are the same file$/, '... are refused');
}
is((reco('batch', $spec, '--in', "$dir/in.csv", '--out', '-',
         '--rejects', '-'))[0], 1, 'rejects among the decisions');
for my $option ('--out', '--rejects') {
    for my $case (['log', 'log', 'it is the folder of the event log'],
                  ['none', 'none/', 'it is the folder of the event log'],
                  ['log', 'log/reco-n-00000001-000000.ndjson',
                   'it would be a part of the event log'])
    {
        ($status, $out, $err) = reco('batch', $spec, '--in', "$dir/in.csv",
                                     '--out', "$dir/two/new", '--log',
                                     "$dir/two/$case->[0]", $option,
                                     "$dir/two/$case->[1]");
        is($status, 1, "$option $case->[1] --log $case->[0]");
        like($err, qr/: $case->[2]$/, '... is refused');
    }
}
is(join(' ', files("$dir/two")), 'a hard log soft', 'nothing is written');
is(join(' ', files("$dir/two/log")), '', '... nor logged');
is(slurp("$dir/two/a"), "as it was\n", '... nor replaced');
spew("$dir/device.csv", "CLIENT,AGE,REGION,GENDER\nc,30,Asia,M\n");
is((reco('batch', $spec, '--in', "$dir/device.csv", '--out', '/dev/null',
         '--rejects', '/dev/null'))[0], 0, 'a device may be both');

done_testing();
