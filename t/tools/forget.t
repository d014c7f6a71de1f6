#!/usr/bin/perl

# reco forget: a customer's records go from the segments and from the next
# snapshot, and nothing else changes; a second run finds none. Which records
# are whose was counted by hand.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256_hex);
use Fcntl qw(:DEFAULT :flock);
use File::Copy qw(copy);
use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP ();
use POSIX qw(WNOHANG);
use Reco::Log;
use Reco::Preload;
use Reco::Tool;
use Test::More;

use constant { SEC => 1000, MIN => 60_000, DAY => 86_400_000 };

my $dir = folder();
my $json = JSON::PP->new->utf8->canonical;
my $t0 = 1_700_000_000_000;         # 2023-11-14T22:13:20Z
my $kills = ($ENV{RECO_SLOW} // '') eq '1' ? 100 : 8;

sub forget {
    my ($status, $out, $err) = reco('forget', '--json', @_);

    return ($status, $out eq '' ? undef : $json->decode($out), $err);
}

sub contents {
    my ($log) = @_;

    return { map { $_ => slurp("$log/$_") } files($log) };
}

sub records {
    my ($log) = @_;

    return map { my (undef, @l) = split /\n/, slurp("$log/$_");
                 map { $json->decode($_) } @l } files($log);
}

# Three customers on two nodes. c1: decisions 1 and 4; rewards of 1 (by its id
# alone, on the other node), of c1 (by customer), of 4 (by both).
sub write_log {
    my ($log, %key) = @_;
    my ($c1, $c2) = map { $key{$_} // $_ } qw(c1 c2);

    mkdir $log;
    write_segment($log, 'edge-1', 1, 0, $t0,
        decision(1, $t0, customer => $c1, session => 'secret-session',
                 features => { x => [7, 'request'] }, cart => ['toy']),
        decision(2, $t0 + SEC, customer => $c2),
        decision(3, $t0 + 2 * SEC),
        reward(2, $t0 + 5 * SEC, { click => 1 }));
    write_segment($log, 'edge-1', 1, 1, $t0 + MIN,
        decision(4, $t0 + MIN, customer => $c1, seq => 5),
        reward(undef, $t0 + MIN + SEC, { click => 1 }, customer => $c1),
        reward(undef, $t0 + MIN + SEC, { click => 1 }, customer => $c2),
        decision(7, $t0 + 90 * MIN, customer => $c2));
    write_segment($log, 'edge-2', 2, 0, $t0,
        reward(1, $t0 + 9 * SEC, { click => 1 }, items => ['toy']),
        reward(3, $t0 + 9 * SEC, { click => 1 }),
        reward(4, $t0 + 2 * MIN, { click => 1 }, customer => $c1),
        decision(5, $t0 + 90 * MIN, customer => $c2));
    write_segment($log, 'edge-3', 3, 0, $t0,
        decision(6, $t0 + 90 * MIN, customer => "${c1}0"));

    return $log;
}

# ---- nothing is changed by looking ----

my $log = write_log("$dir/log");
my $before = contents($log);
chmod 0640, "$log/$_" or die for files($log);
my @old = map { [(stat "$log/$_")[1, 2, 4, 5, 7, 9]] } files($log);

my %found = (decisions => 2, rewards => 3, customers => 0, history => 0);

my ($status, $r, $err) = forget('c1', '--log', $log, '--dry-run');
is($status, 1, 'a dry run that finds something says so');
is_deeply($r, { found => \%found, left => 5, unreadable => 0, segments => 4,
                rewritten => 0, moved => 0, dry_run => JSON::PP::true,
                absent => JSON::PP::false }, '... how much') or diag $err;
is_deeply(contents($log), $before, '... and changes no byte');
is_deeply([map { [(stat "$log/$_")[1, 2, 4, 5, 7, 9]] } files($log)], \@old,
          '... nor a file');

# ---- by plain id ----

($status, $r, $err) = forget('c1', '--log', $log);
is($status, 0, 'forget');
is_deeply($r, { found => \%found, left => 0, unreadable => 0, segments => 4,
                rewritten => 3, moved => 0, dry_run => JSON::PP::false,
                absent => JSON::PP::true }, '... what was found')
    or diag $err;

my @now = map { [(stat "$log/$_")[1, 2, 4, 5, 7, 9]] } files($log);
isnt($now[0][0], $old[0][0], 'a segment is another file');
is_deeply([map { [@$_[1 .. 4]] } @now], [map { [@$_[1 .. 4]] } @old],
          '... of the same mode, owner and size');
is_deeply([map { $_->[5] } @now],
          [map { $old[$_][5] + ($_ < 3 ? 1 : 0) } 0 .. 3],
          '... and one second younger');
is_deeply($now[3], $old[3], 'a segment without them is not touched');

my $text = join '', values %{ contents($log) };
unlike($text, qr/"c1"|secret-session|toy|request/, 'nothing of theirs is left');
is_deeply([map { exists $_->{pad} && delete $_->{pad}; $_ }
           grep { $_->{type} eq 'forgotten' } records($log)], [
    { type => 'forgotten', seq => 1, time => $t0, id => id(1) },
    { type => 'forgotten', seq => 5, time => $t0 + MIN, id => id(4) },
    { type => 'forgotten', seq => 6, time => $t0 + MIN + SEC },
    { type => 'forgotten', seq => 1, time => $t0 + 9 * SEC },
    { type => 'forgotten', seq => 3, time => $t0 + 2 * MIN },
], 'what stands in their place');

my @others = grep { $_ !~ /"c1"|"decision":"0{31}[14]"/ }
             map { split /\n/ } map { $before->{$_} } sort keys %$before;
is_deeply([grep { !/"type":"forgotten"/ } map { split /\n/ }
           map { slurp("$log/$_") } files($log)], \@others,
          'the others\' lines are as they were, byte by byte');

my $after = contents($log);
($status, $r) = forget('c1', '--log', $log);
is($status, 0, 'a second run');
is_deeply([@{ $r->{found} }{qw(decisions rewards)}, $r->{rewritten},
           $r->{absent}], [0, 0, 0, JSON::PP::true], '... proves absence');
is_deeply(contents($log), $after, '... and changes nothing');

# ---- a reward that comes later, for a decision that was forgotten ----

write_segment($log, 'edge-4', 4, 0, $t0,
              reward(4, $t0 + 3 * MIN, { click => 1 }));
($status, $r) = forget('c1', '--log', $log);
is($r->{found}{rewards}, 1, 'a later reward of a forgotten decision is found');
is($status, 0, '... and goes');
unlink glob("$log/reco-edge-4*");

# ---- what ledger, eval and train make of it ----

spew("$dir/spec.json", <<'END');
{"model": "shop", "version": "1",
 "features": [{"name": "x", "type": "number", "from": ["request"],
               "bins": [10]},
              {"name": "spend", "type": "number", "from": ["customer"]}],
 "actions": [{"id": "A"}, {"id": "B"}, {"id": "C"}, {"id": "D"}],
 "policy": {"type": "p_table", "slate": 1, "state": ["x"]},
 "reward": {"click": 1, "horizon": "30m"},
 "history": {"recommendations": "7d", "rewards": "90d", "agent": "30d"},
 "columns": {"customer": "id"}}
END

my $ledger = reco_json('eval', '--policy', 'uniform', '--json', '--spec',
                       "$dir/spec.json", '--log', $log)->{log};
is_deeply([@$ledger{qw(records erased decisions rewarded gaps lost corrupt)}],
          [13, 5, 5, 2, 0, 0, 0],
          'the ledger counts them, and has no gap');
is($ledger->{facts}{orphan}, 0, '... nor a reward without its decision');
is($ledger->{facts}{counted}, 3, '... and the others\' rewards are theirs');

spew("$dir/in.csv", "id,spend\nc1,1\nc2,2\nc10,3\n");
is((reco('build', "$dir/spec.json", '--customers', "$dir/in.csv", '--out',
         "$dir/base.mdb"))[0], 0, 'build');

sub train {
    my ($name, $base, $from) = @_;
    my ($s, $o, $e) = reco('train', '--base', $base, '--log', $from, '--out',
                           "$dir/$name.mdb", '--algorithm', 'thompson');

    is($s, 0, "train $name") or diag $e;

    return "$dir/$name.mdb";
}

my $whole = write_log("$dir/whole");
my $learned = train('learned', "$dir/base.mdb", $whole);

# ---- the snapshot: record and history ----

# 7 recommendations, of which 2 are c1's; rewarded are 1, 2, 3 and 4.
is(reco_json('inspect', $learned, '--json')->{history_records}, 7 + 4 + 1,
   'the history has all of them');

($status, $r) = forget('c1', '--base', $learned);
is($status, 1, 'a snapshot, looked into');
is_deeply($r->{found}, { decisions => 0, rewards => 0, customers => 1,
                         history => 4 }, '... what it has');

($status, $r, $err) = forget('c1', '--log', $whole, '--base', $learned,
                             '--out', "$dir/next.mdb", '--dry-run');
ok($status == 1 && !-e "$dir/next.mdb", 'a dry run writes no snapshot');

($status, $r, $err) = forget('c1', '--log', $whole, '--base', $learned,
                             '--out', "$dir/next.mdb");
is($status, 0, 'logs and snapshot at once') or diag $err;
is_deeply($r->{found}, { %found, customers => 1, history => 4 },
          '... what there was');
is((reco('verify', "$dir/next.mdb"))[0], 0, 'the next snapshot is sound');
unlike(slurp("$dir/next.mdb"), qr/secret-session/, '... without their session');

my ($was, $is) = map { reco_json('inspect', $_, '--json') }
                 $learned, "$dir/next.mdb";
is_deeply([@$is{qw(customers history_records)}], [2, 8],
          '... two customers, and the others\' history');
is_deeply($is->{training}, $was->{training}, '... as it was trained');
is($is->{states}, $was->{states}, '... with all its states');
is((reco('inspect', "$dir/next.mdb", '--customer', 'c1'))[0], 1,
   '... which does not know them');

($status, $r) = forget('c1', '--log', $whole, '--base', "$dir/next.mdb");
is($status, 0, 'and both prove it');

my $new = train('new', "$dir/next.mdb", $whole);
($status, $r) = forget('c1', '--base', $new);
is($status, 0, 'nor does a training on what is left bring them back');
is((reco('train', '--base', "$dir/next.mdb", '--log', $whole, '--log', $whole,
         '--out', "$dir/twice.mdb", '--algorithm', 'thompson'))[0], 0,
   'what is left, read twice');
ok(slurp("$dir/twice.mdb") eq slurp($new), '... gives the same bytes');

# ---- under a secret ----

my $key = '00112233445566778899aabbccddeeff';
spew("$dir/secret", "hash $key\nsign a $key\n");
my %hashed = map { $_ => substr(hmac_sha256_hex($_, pack('H*', $key)), 0, 32) }
             qw(c1 c2);
my $keyed = write_log("$dir/keyed", %hashed);
unlink glob("$keyed/reco-edge-3*");

($status, undef, $err) = forget('c1', '--log', $keyed);
is($status, 1, 'hashed ids, no secret: nothing is proved');
like($err, qr/look hashed; --secret is needed/, '... which is said');

($status, $r) = forget('c1', '--log', $keyed, '--secret', "$dir/secret");
is($status, 0, 'by the keyed hash');
is_deeply($r->{found}, \%found, '... all are found');
unlike(join('', values %{ contents($keyed) }), qr/$hashed{c1}/, '... and gone');

($status, $r) = forget('c1', '--log', write_log("$dir/plain"), '--secret',
                       "$dir/secret");
is($r->{found}{decisions}, 2, 'a log from before there was a secret too');

is((reco('build', "$dir/spec.json", '--customers', "$dir/in.csv", '--secret',
         "$dir/secret", '--out', "$dir/hashed.mdb"))[0], 0, 'build');
($status, undef, $err) = forget('c1', '--base', "$dir/hashed.mdb");
ok($status == 1 && $err =~ /--secret is needed/, 'a snapshot wants it too');
($status, $r) = forget('c1', '--base', "$dir/hashed.mdb", '--out',
                       "$dir/hashed2.mdb", '--secret', "$dir/secret");
ok($status == 0 && $r->{found}{customers} == 1, '... and loses the customer');

# a snapshot in place of a segment would be the end of what that has
my $kept = contents($keyed);
for my $to (map { "$keyed/reco-edge-$_-00000001-000000.ndjson" } 1, 9) {
    ($status, undef, $err) = forget('c1', '--log', "$dir/plain", '--log',
        $keyed, '--base', "$dir/hashed.mdb", '--out', $to, '--secret',
        "$dir/secret");
    ok($status == 1 && $err =~ /would be a part of the event log/,
       'no snapshot in a log') or diag $err;
}
ok(join(' ', files($keyed)) eq join(' ', sort keys %$kept)
   && !grep({ $kept->{$_} ne slurp("$keyed/$_") } keys %$kept),
   '... and no segment is touched');

# ---- open segments ----

my $open = write_log("$dir/open");
my $name = 'reco-edge-1-00000001-000001.ndjson';
rename "$open/$name", "$open/$name.open" or die;
open(my $writer, '>>', "$open/$name.open") or die;
flock($writer, LOCK_EX) or die;
my $held = slurp("$open/$name.open");

($status, $r, $err) = forget('c1', '--log', $open);
is($status, 1, 'a segment that is being written: not all is removed');
is_deeply([@$r{qw(left rewritten absent)}], [2, 2, JSON::PP::false],
          '... the rest is, rewards of its decisions too');
like($err, qr/$name\.open.*2 records.*USR1/, '... and it is named');
is(slurp("$open/$name.open"), $held, '... and left alone');

print $writer '{"type":"dec' or die;        # killed in the middle of a line
close($writer);
($status, $r, $err) = forget('c1', '--log', $open);
is($status, 0, 'one that nobody writes any more is closed first') or diag $err;
ok(-e "$open/$name" && !-e "$open/$name.open", '... and cut');
is($r->{rewritten}, 1, '... and written anew');

# ---- lines that cannot be read ----

my $bad = write_log("$dir/bad");
open(my $f, '>>', "$bad/$name") or die;
print $f qq({"type":"decision","customer":"c1"}\n);
close($f);
($status, $r, $err) = forget('c1', '--log', $bad);
is($status, 1, 'a line that is no record: absence is not proved');
is_deeply([@$r{qw(left unreadable absent)}], [0, 1, JSON::PP::false],
          '... how many');
like($err, qr/$name.*1 lines are no records/, '... and where');

# ---- segments that are moved meanwhile ----

# From a log that was not looked at yet to one that was, while a segment there
# is waited for.
SKIP: {
    skip 'no /proc/locks', 4 unless -r '/proc/locks';
    my ($edge, $archive) = (folder(), folder());
    write_segment($archive, 'edge-1', 1, 0, $t0,
                  decision(1, $t0, customer => 'c1'));
    write_segment($edge, 'edge-1', 1, 1, $t0,
                  decision(2, $t0, customer => 'c1', seq => 2));
    my ($first, $second) = map { "reco-edge-1-00000001-00000$_.ndjson" } 0, 1;
    open my $lock, '<', "$archive/$first" or die $!;
    flock $lock, LOCK_EX or die $!;
    my $inode = (stat $lock)[1];
    my $pid = fork // die $!;
    if (!$pid) {
        close $lock;
        my ($status, $out, $err) =
            reco('forget', '--json', 'c1', '--log', $archive, '--log', $edge);
        spew("$dir/moved", "$status\n$err$out");
        POSIX::_exit(0);
    }
    my $waits = 0;
    for (1 .. 6000) {
        open my $locks, '<', '/proc/locks' or last;
        last if $waits = grep { /-> FLOCK.*:$inode / } <$locks>;
        last if waitpid($pid, WNOHANG) > 0;
        select undef, undef, undef, 0.01;
    }
    is($waits, 1, 'moved: it waits for a segment');
    rename "$edge/$second", "$archive/$second" or die $!;
    close $lock;
    waitpid $pid, 0;
    my $said = slurp("$dir/moved");
    like($said, qr/\A1\n/, 'moved: absence is not claimed');
    like($said, qr/'$second' went while this ran/, '... which one it was');
    is((forget('c1', '--log', $archive, '--log', $edge))[0], 0,
       '... the next run finds it');
}

# ---- killed at any moment ----

sub large {
    my ($log) = @_;

    for my $n (0 .. 5) {
        write_segment($log, 'edge-1', 1, $n, $t0, map {
            my $i = 2000 * $n + $_;
            decision($i, $t0 + $i, customer => $i % 3 ? "c$i" : 'c1',
                     seq => $i)
        } 1 .. 2000);
    }

    chmod 0640, glob "$log/*";
    return $log;
}

my $old = contents(large("$dir/large"));
is((forget('c1', '--log', "$dir/large"))[0], 0, 'a whole run');
$new = contents("$dir/large");
my ($half, $left, $readable) = (0, 0, 0);

# Moments: as soon as a segment is another file (k), or as soon as there is a
# temporary one (even turns).
for my $k (0 .. $kills - 1) {
    my $log = "$dir/kill$k";
    large($log);
    my @names = files($log);
    my $watched = "$log/$names[$k % 5]";
    my $inode = (stat $watched)[1];
    my $pid = fork() // die;

    if ($pid == 0) {
        open(STDOUT, '>', '/dev/null');
        exec($ENV{RECO_TOOL} // 'build/reco', 'forget', 'c1', '--log', $log)
            or die;
    }
    my $ended = 0;
    while (($ended = waitpid($pid, WNOHANG)) == 0) {
        my @there = files($log);
        last if $k % 2 ? (stat $watched)[1] != $inode : @there > @names;
    }
    if ($ended == 0) {
        kill 'KILL', $pid;
        waitpid($pid, 0);
    }

    my %is = %{ contents($log) };
    my @temp = grep { !exists $old->{$_} } keys %is;
    delete @is{@temp};
    my @torn = grep { !defined $is{$_} || ($is{$_} ne $old->{$_}
                                           && $is{$_} ne $new->{$_}) }
               keys %$old;
    is_deeply(\@torn, [], "kill $k: each segment is the old or the new one");
    $half++ if grep { $is{$_} ne $new->{$_} } keys %is;
    $left += @temp;
    $readable += grep { ((stat "$log/$_")[2] // 0) & 027 } @temp;

    is((forget('c1', '--log', $log))[0], 0, '... and the next run ends it');
    is_deeply(contents($log), $new, '... and leaves nothing else behind');
}
cmp_ok($half, '>', 0, 'runs were killed before their end');
cmp_ok($left, '>', 0, 'and in the middle of a segment');
is($readable, 0, '... of which no copy is open to more than the segment');

# A copy has its segment's owner before it has its name; here it has records of
# somebody who is asked for later.
my $copy = "$dir/copy/reco-edge-1-00000001-000000.ndjson.tmp-0123456789abcdef";
write_segment("$dir/copy", 'edge-1', 1, 0, $t0, decision(1, $t0, customer => 'c2'));
spew($copy, slurp("$dir/copy/reco-edge-1-00000001-000000.ndjson"));
if ($> == 0) {
    chown 65534, 65534, $copy or die $!;
    ($status, $r) = forget('c2', '--log', "$dir/copy");
    is_deeply([$status, $r->{absent}, -e $copy], [0, JSON::PP::true, undef],
              'what a killed run left goes, whoever owns it');
} else {
    chmod 0, $copy or die $!;
    ($status, $r, $err) = forget('c2', '--log', "$dir/copy");
    is($status, 1, 'what a killed run left and cannot be removed: not absent');
    like($err, qr/cannot remove 'reco-edge-1-00000001-000000.ndjson.tmp-/,
         '... and which');
}

# A compressed segment is not looked into: nothing is proved.
my $gz = 'reco-edge-1-00000001-000001.ndjson.gz';
spew("$dir/copy/$gz", 'x');
($status, $r, $err) = forget('c2', '--log', "$dir/copy");
is_deeply([$status, $r->{absent}], [1, JSON::PP::false],
          'beside a compressed segment absence is not claimed');
like($err, qr/\Q$gz\E: is no segment by its name, and not looked into/,
     '... which is named');

# ---- two at once ----

large("$dir/two");
my @pids = map {
    my $pid = fork() // die;
    if ($pid == 0) {
        open(STDOUT, '>', '/dev/null');
        exec($ENV{RECO_TOOL} // 'build/reco', 'forget', 'c1', '--log',
             "$dir/two") or die;
    }
    $pid;
} 1, 2;
is_deeply([map { waitpid($_, 0); $? } @pids], [0, 0], 'two runs at once');
is_deeply(contents("$dir/two"), $new, '... do it once');

# ---- leftovers ----

my $stale = write_log("$dir/stale");
my ($segment) = files($stale);
spew($_, 'half') for map { "$stale/$segment.tmp-000000000000000$_" } 1, 2;
open(my $other, '<', "$stale/$segment.tmp-0000000000000002") or die $!;
flock($other, LOCK_EX) or die $!;
is((forget('nobody', '--log', $stale))[0], 0, 'a run that writes nothing');
ok(!-e "$stale/$segment.tmp-0000000000000001", '... removes what was left');
ok(-e "$stale/$segment.tmp-0000000000000002", '... but not what is held');
close($other);

# ---- decisions repeat ----

is((reco('publish', $learned, '--to', "$dir/models"))[0], 0, 'publish');
my ($published) = grep { /\.mdb$/ } files("$dir/models");
is((reco('batch', "$dir/models/$published", '--in', "$dir/in.csv", '--out',
         "$dir/out.csv", '--log', "$dir/batch", '--time',
         '2026-01-02T03:04:05Z'))[0], 0, 'decide');
is((forget('c2', '--log', "$dir/batch"))[0], 0, 'forget one of three');
$r = reco_json('replay', '--log', "$dir/batch", '--models', "$dir/models",
               '--json');
is_deeply([@$r{qw(decisions same different erased corrupt)}], [2, 2, 0, 1, 0],
          'replay counts it and repeats the others');

# ---- by age ----

my $aged = "$dir/aged";
my $now = 1000 * time;
write_segment($aged, 'edge-1', 1, 0, $now - 200 * DAY,
              decision(1, $now - 200 * DAY), decision(2, $now - 91 * DAY));
write_segment($aged, 'edge-1', 1, 1, $now - 91 * DAY,
              decision(3, $now - 91 * DAY, seq => 3),
              decision(4, $now - 89 * DAY));
write_segment($aged, 'edge-1', 1, 2, $now - 2 * DAY,
              decision(5, $now - 2 * DAY, seq => 5));
$old = contents($aged);

my @by_age = ('--older-than', '90d', '--log', $aged);
($status, $r) = forget(@by_age, '--dry-run');
is($status, 0, 'by age, looked at');
is($r->{removed}, 1, '... one would go');
is_deeply(contents($aged), $old, '... and no byte is changed');
my $size = -s "$aged/reco-edge-1-00000001-000000.ndjson";
($status, $r) = forget(@by_age);
is_deeply($r, { segments => 3, removed => 1, bytes => $size, undated => 0,
                held => 0, dry_run => JSON::PP::false }, 'by age');
is_deeply([files($aged)], [map { "reco-edge-1-00000001-00000$_.ndjson" } 1, 2],
          '... those whose newest record is too old');
$ledger = reco_json('eval', '--policy', 'uniform', '--json', '--spec',
                    "$dir/spec.json", '--log', $aged)->{log};
is_deeply([@$ledger{qw(records gaps)}], [3, 0], 'what went at the front is no gap');

# a server that removes has the lock of the folder's mark: it is waited for
spew("$aged/.reco-log", '');
my @older = ('--older-than', '88d', '--log', $aged);
my $mark = (stat "$aged/.reco-log")[1];
open my $removing, '<', "$aged/.reco-log" or die $!;
flock $removing, LOCK_EX or die $!;
my $waiting = fork // die $!;
if (!$waiting) {
    close $removing;
    POSIX::_exit((reco('forget', @older))[0]);
}
my $waits = 0;
for (1 .. 1000) {
    open my $locks, '<', '/proc/locks' or last;
    last if $waits = grep { /-> FLOCK.*:$mark / } <$locks>;
    last if waitpid($waiting, WNOHANG) > 0;
    select undef, undef, undef, 0.01;
}
SKIP: {
    skip 'no /proc/locks', 2 unless -r '/proc/locks';
    is($waits, 1, 'by age, while another one removes: it waits');
    is_deeply([grep { /ndjson/ } files($aged)],
              [map { "reco-edge-1-00000001-00000$_.ndjson" } 1, 2],
              '... and removes nothing');
}
close $removing;
waitpid $waiting, 0;
is_deeply([grep { /ndjson/ } files($aged)],
          ['reco-edge-1-00000001-000002.ndjson'], '... and then it does');

# one that a shipper holds is not waited for: the server's looks wait meanwhile
my $shipped = folder();
write_segment($shipped, 'edge-1', 1, $_, $t0, decision($_, $t0)) for 1, 2;
open my $shipper, '<', "$shipped/reco-edge-1-00000001-000001.ndjson" or die $!;
flock $shipper, LOCK_SH or die $!;
{
    local $SIG{ALRM} = sub { die "it waits\n" };
    alarm 60;
    ($status, $r, $err) = forget('--older-than', '1d', '--log', $shipped);
    alarm 0;
}
is($status, 1, 'by age, a segment is held: said');
like($err, qr/000001\.ndjson' is held by another program: it stays/, '... which');
is_deeply([@$r{qw(removed held)}], [1, 1], '... and counted');
is_deeply([files($shipped)], ['reco-edge-1-00000001-000001.ndjson'],
          '... the others go');
close $shipper;

# ---- the folder's owner means harm ----

# As soon as the segment was looked at, it is a link to a pipe of somebody else's.
SKIP: {
    my $theirs = folder();
    my $segment = "$theirs/reco-edge-1-00000001-000000.ndjson";
    my $pipe = "$dir/pipe";
    my $library = preload('swap', text => <<"END")
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

mode_t
umask(mode_t mask)
{
    static int  n;
    mode_t      old = 0022;

    if (n++ == 0) {
        rename("$segment", "$segment.away");
        if (symlink("$pipe", "$segment") != 0) {
            _exit(9);
        }
    }
    (void) mask;

    return old;
}
END
        or skip 'no library to swap a segment with', 4;
    write_segment($theirs, 'edge-1', 1, 0, $t0,
                  decision(1, $t0, customer => 'c1'), decision(2, $t0));
    chmod 0640, $segment or die $!;
    POSIX::mkfifo($pipe, 0600) or die $!;
    sysopen my $reader, $pipe, O_RDWR | O_NONBLOCK or die $!;
    {
        local $ENV{LD_PRELOAD} = $library;
        ($status, undef, $err) = reco('forget', 'c1', '--log', $theirs);
    }
    ok(-l $segment, 'swapped for a link to a pipe');
    is($status, 1, '... which is refused') or diag $err;
    is((stat $pipe)[2] & 07777, 0600, '... and not given away');
    ok(!sysread($reader, my $bytes, 1), '... nor written to');
}

# what is removed is gone for good: the folder is synced
SKIP: {
    my $library = preload('fault')
        or skip 'no library to make fsync fail with', 2;
    local @ENV{qw(LD_PRELOAD FAULT)} = ($library, 'fsync:1');
    ($status, undef, $err) = reco('forget', '--older-than', '1d', '--log',
                                  $aged);
    is($status, 1, 'a folder that cannot be synced: said');
    like($err, qr/cannot sync '\Q$aged\E'/, '... by its name');
}

# ---- used wrongly ----

for ([], ['c1'], ['--older-than', '90d'], ['c1', '--out', 'x', '--log', $log],
     ['c1', '--older-than', '1d', '--log', $log],
     ['--older-than', 'soon', '--log', $log], ['', '--log', $log],
     ['c1', 'c2', '--log', $log])
{
    is((reco('forget', @$_))[0], 2, "usage: @$_");
}
($status, undef, $err) = forget('c1', '--log', "$dir/nowhere");
ok($status == 1 && $err =~ /nowhere/, 'a folder that is not there');

done_testing();
