#!/usr/bin/perl

# reco import open-bandit: three rows by hand, wrong rows, and both logs of the
# data set's sample where it is at hand.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP qw(decode_json);
use Reco::Tool;
use Test::More;

my $dir = folder();
my $header = ",timestamp,item_id,position,click,propensity_score,"
    . "user_feature_0,user-item_affinity_0,user-item_affinity_1,"
    . "user-item_affinity_2\n";
my @rows = (
    "0,2019-11-24 00:00:01.500900+00:00,2,1,0,0.25,aa,0,0,1\n",
    "1,2019-11-24 00:00:01.500999+00:00,0,3,1,0.5,,0,0,1\n",
    "2,2019-11-24 00:00:02+00:00,1,2,0,1e-12,bb,0,0,1\n",
);

sub records {
    my ($log) = @_;
    my ($name) = files($log);

    return map { decode_json($_) } split /\n/, slurp("$log/$name");
}

spew("$dir/log.csv", join('', $header, @rows));
my $summary = reco_json('import', 'open-bandit', "$dir/log.csv", '--out',
                        "$dir/log", '--json');
my ($name) = files("$dir/log");
like($name, qr/^reco-open-bandit-[0-9a-f]{8}-000000\.ndjson$/, 'a segment');
is_deeply($summary, {
    segment => $name, decisions => 3, clicks => 1, items => 3,
    first => '2019-11-24T00:00:01.500Z', last => '2019-11-24T00:00:02.000Z',
}, 'summary');

# 2019-11-24T00:00:01.500Z is 1574553601500 ms; 0.25 is 2^30 and 0.5 is 2^31 in
# units of 2^-32; a propensity is never 0.
my ($head, @records) = records("$dir/log");
is($head->{type}, 'segment', 'a header first');
is(scalar @records, 4, 'three decisions and a click');
is_deeply([map { $_->{type} } @records],
          [qw(decision decision reward decision)], 'in the order of the rows');
is_deeply([map { $_->{seq} } @records], [1, 2, 3, 4], 'numbered');
is_deeply([map { $_->{time} } @records],
          [1574553601500, 1574553601500, 1574553601501, 1574553602000],
          'times; the click is a millisecond later');
is_deeply([map { $_->{slate} } @records[0, 1, 3]], [['2'], ['0'], ['1']],
          'items');
is_deeply([map { $_->{propensity} } @records[0, 1, 3]],
          [[1 << 30], [1 << 31], [1]], 'propensities');
is_deeply($records[0]{features}, {
    position => ['1', 'request'], user_feature_0 => ['aa', 'request'],
}, 'features are words of the request');
is_deeply($records[1]{features}, { position => ['3', 'request'] },
          'an empty feature is missing');
is_deeply([map { $_->{eligible} } @records[0, 1, 3]], [qw(all all all)],
          'all items are eligible');
is($records[0]{actions}, 3, 'items counted by the affinity columns');
ok(!$records[0]{replayable} && exists $records[0]{replayable},
   'marked as not replayable');
ok(!exists $records[0]{customer}, 'no customer');
is($records[0]{policy}, 'p_table', 'propensities differ: not uniform');
is($records[2]{decision}, $records[1]{id}, 'the click names its decision');
is_deeply($records[2]{facts}, { click => 1 }, 'its fact');
is(substr($records[0]{id}, 0, 12), sprintf('%012x', 1574553601500),
   'an id begins with the time');
my %ids = map { $_->{id} => 1 } @records[0, 1, 3];
is(scalar keys %ids, 3, 'ids are unique');

# The same data gives the same bytes, whatever it is wrapped in.
system('gzip', '-k', "$dir/log.csv") == 0 or die;
mkdir "$dir/again" or die;
my ($status, $out, $err) =
    reco('import', 'open-bandit', "$dir/log.csv.gz", '--out', "$dir/again");
is($status, 0, 'imported again from a compressed file');
like($out, qr/3 decisions, 1 clicks, 3 items/, 'summary for people');
is_deeply([files("$dir/again")], [$name], 'under the same name');
is(slurp("$dir/again/$name"), slurp("$dir/log/$name"), 'with the same bytes');

my $before = slurp("$dir/log/$name");
($status, $out, $err) =
    reco('import', 'open-bandit', "$dir/log.csv", '--out', "$dir/log");
is($status, 1, 'not twice into one folder');
like($err, qr/exists/, 'and it says why');
is(slurp("$dir/log/$name"), $before, 'what was there stays');
is_deeply([files("$dir/log")], [$name], 'and nothing beside it');

spew("$dir/uniform.csv", "timestamp,item_id,position,click,propensity_score\n"
    . "2019-11-24,4,1,0,0.2\n2019-11-25,0,1,0,0.2\n");
$summary = reco_json('import', 'open-bandit', "$dir/uniform.csv", '--out',
                     "$dir/uniform", '--model', 'men', '--json');
is($summary->{items}, 5, 'items counted by the largest id');
($head, @records) = records("$dir/uniform");
is($records[0]{policy}, 'uniform', 'equal propensities');
is($records[0]{model}, 'men', '--model');
$summary = reco_json('import', 'open-bandit', "$dir/uniform.csv", '--out',
                     "$dir/more", '--items', 80, '--json');
is($summary->{items}, 80, '--items');

# ---- wrong input leaves nothing ------------------------------------------

my @wrong = (
    ['a time', '0,yesterday,2,1,0,0.25,aa,0,0,1',
     qr/bad\.csv:3: column 'timestamp': is not a time/],
    ['a fall in time', '0,2019-11-23,2,1,0,0.25,aa,0,0,1',
     qr/bad\.csv:3: column 'timestamp': is before that of the row before/],
    ['an item', '0,2019-11-25,x,1,0,0.25,aa,0,0,1',
     qr/bad\.csv:3: column 'item_id': is not a whole number/],
    ['an item beyond', '0,2019-11-25,3,1,0,0.25,aa,0,0,1',
     qr/bad\.csv:3: column 'item_id': is beyond the 3 items/],
    ['a click', '0,2019-11-25,2,1,2,0.25,aa,0,0,1',
     qr/bad\.csv:3: column 'click': must be 0 or 1/],
    ['no propensity', '0,2019-11-25,2,1,0,0,aa,0,0,1',
     qr/bad\.csv:3: column 'propensity_score': is not a probability/],
    ['too large a propensity', '0,2019-11-25,2,1,0,1.01,aa,0,0,1',
     qr/bad\.csv:3: column 'propensity_score': is not a probability/],
    ['no position', '0,2019-11-25,2,,0,0.25,aa,0,0,1',
     qr/bad\.csv:3: column 'position': must be/],
    ['a feature', "0,2019-11-25,2,1,0,0.25,\x01,0,0,1",
     qr/bad\.csv:3: column 'user_feature_0': must be/],
    ['a short row', '0,2019-11-25', qr/bad\.csv:3: the row has 2 fields/],
);

for my $case (@wrong) {
    my ($what, $row, $words) = @$case;

    spew("$dir/bad.csv", "$header$rows[0]$row\n");
    ($status, $out, $err) =
        reco('import', 'open-bandit', "$dir/bad.csv", '--out', "$dir/bad");
    is($status, 1, "$what fails");
    like($err, $words, "$what: words");
    ok(!-e "$dir/bad", "$what: no folder was made");
}

($status, $out, $err) = reco('import', 'open-bandit', "$dir/log.csv");
is($status, 2, 'without --out: wrong usage');

# ---- the real thing ------------------------------------------------------

SKIP: {
    my $data = data_dir();
    my $men = defined $data ? "$data/open-bandit-men" : '';

    skip 'the Open Bandit sample is not at hand (RECO_DATA)', 12
        unless -f "$men/men_bts.csv.xz";

    # Click-through rates: random 0.0046, bts 0.0069.
    my %clicks = (random => 46, bts => 69);
    my %policy = (random => 'uniform', bts => 'p_table');

    for my $log (qw(random bts)) {
        $summary = reco_json('import', 'open-bandit', "$men/men_$log.csv.xz",
                             '--out', "$dir/$log", '--json');
        is($summary->{decisions}, 10000, "$log: decisions");
        is($summary->{clicks}, $clicks{$log}, "$log: clicks");
        is($summary->{items}, 34, "$log: items");
        ($head, @records) = records("$dir/$log");
        my @decisions = grep { $_->{type} eq 'decision' } @records;
        is(scalar @decisions, 10000, "$log: decision records");
        is(scalar @records - @decisions, $clicks{$log}, "$log: rewards");
        is($decisions[0]{policy}, $policy{$log}, "$log: policy");
    }
}

done_testing();
