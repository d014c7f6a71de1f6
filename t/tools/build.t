#!/usr/bin/perl

# reco build, seen through reco inspect: catalogue, customers, learned bins,
# values; the same bytes again; wrong input, named and leaving nothing.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256_hex);
use Cwd qw(abs_path);
use FindBin;
use IO::Compress::Zip qw(zip);
use lib "$FindBin::Bin/../lib";
use JSON::PP qw(encode_json);
use Reco::Tool;
use POSIX ();
use Test::More;

my $dir = folder();
mkdir "$dir/in" or die;
mkdir "$dir/out" or die;

my %spec = (
    model => 'shop', version => '1.2.0',
    features => [
        { name => 'spend', type => 'number', from => [qw(request customer)],
          bins => { quantiles => 4 } },
        { name => 'country', type => 'category',
          from => [qw(request customer)] },
        { name => 'sex', type => 'category', from => ['customer.gender'],
          codes => { M => 0, F => 1 } },
    ],
    actions => { file => 'actions.csv' },
    policy => { type => 'q_table', slate => 2, epsilon => 0.1,
                state => [qw(spend country sex)], per_slot => JSON::PP::true },
);

sub spec {
    my (%change) = @_;

    return spew("$dir/in/spec.json", encode_json({ %spec, %change }));
}

sub build {
    my (@more) = @_;

    return reco('build', "$dir/in/spec.json", '--out', "$dir/out/s.mdb",
                @more);
}

spec();
spew("$dir/in/actions.csv", <<'EOT');
id,name,price,category,active
mug,"Red mug, large",3.5,kitchen,1
lamp,,,,
hat,Hat,10,clothes,false
EOT

# Spend in rising order: 1 2 3 4 5 6 7 8; the edges of four bins are the values
# with 2, 4 and 6 below them.
spew("$dir/in/customers.csv", <<'EOT');
spend,customer,country,gender,note
5,c5,FR,M,
3,c3,GB,F,x
8,c8,FR,,"said ""no"""
1,c1,,M,
7,c7,FR,M,
2,c2,FR,M,
6,c6,FR,M,
4,c4,FR,M,
,c0,FR,M,
EOT
my @customers = ('--customers', "$dir/in/customers.csv");

my $summary = reco_json('build', "$dir/in/spec.json", '--out',
                        "$dir/out/s.mdb", @customers, '--json');
is($summary->{model}, 'shop', 'summary: model');
is($summary->{version}, '1.2.0', 'summary: version');
is($summary->{actions}, 3, 'summary: actions');
is($summary->{customers}, 9, 'summary: customers');
is($summary->{states}, 0, 'summary: states');
is($summary->{size}, -s "$dir/out/s.mdb", 'summary: size');
is_deeply($summary->{edges}, { spend => [3, 5, 7] }, 'learned edges');

my $all = reco_json('inspect', "$dir/out/s.mdb", '--json');
is($all->{generation}, 0, 'a built snapshot has no generation yet');
is($all->{built}, undef, 'nor a time, without --as-of');
is_deeply($all->{customer_fields}, [qw(spend country gender note)],
          'customer fields are the other columns');
is_deeply($all->{actions}, [
    { id => 'mug', name => 'Red mug, large', price => 3.5,
      category => 'kitchen', active => JSON::PP::true },
    { id => 'lamp', name => '', price => undef, category => '',
      active => JSON::PP::true },
    { id => 'hat', name => 'Hat', price => 10, category => 'clothes',
      active => JSON::PP::false },
], 'the catalogue, in the order of the file');
is_deeply($all->{features}[0], { name => 'spend', type => 'number',
                                 edges => [3, 5, 7] },
          'the snapshot knows its bins');
is_deeply($all->{state}, [qw(spend country sex slot)], 'what makes a state');

my $record = reco_json('inspect', "$dir/out/s.mdb", '--customer', 'c8',
                       '--json');
is_deeply($record, { key => 'c8', fields => {
    spend => 8, country => 'FR', note => 'said "no"' } },
    'a record; an empty field is missing');
my ($status, $out, $err) =
    reco('inspect', "$dir/out/s.mdb", '--customer', 'c9');
is($status, 1, 'an unknown customer');
like($err, qr/there is no customer 'c9'/, 'is named');

($status, $out, $err) = reco('inspect', "$dir/out/s.mdb", '--spec');
like($out, qr/"edges":\[3(\.0)?,5(\.0)?,7(\.0)?\],"quantiles":4/,
     'the resolved spec has the edges');

# ---- quantiles ----------------------------------------------------------

# By hand: sorted[i n / q], rounded down; equal ones once; none at the minimum.
my @quantiles = (
    [[1 .. 8], 2, [5]],
    [[1 .. 7], 4, [2, 4, 6]],       # places 1, 3, 5
    [[1 .. 3], 2, [2]],
    [[1, 2], 4, [2]],               # places 0, 1, 1
    [[5, 5, 5, 5], 4, []],
    [[0, 0, 0, 0, 0, 9, 9, 10], 4, [9]],        # places 2, 4, 6
    [[-2.5, 1e3, 0.25], 3, [0.25, 1000]],
);
for my $case (@quantiles) {
    my ($values, $q, $edges) = @$case;

    spec(features => [
        { name => 'x', type => 'number', from => ['customer'],
          bins => { quantiles => $q } } ],
        policy => { type => 'uniform' });
    my $n = 0;
    spew("$dir/in/x.csv", join('', "x,customer\n",
         map { "$_,c" . $n++ . "\n" } reverse @$values));
    $summary = reco_json('build', "$dir/in/spec.json", '--out',
                         "$dir/out/x.mdb", '--customers', "$dir/in/x.csv",
                         '--json');
    is_deeply($summary->{edges}{x}, $edges,
              "$q quantiles of " . join(' ', @$values));
}
unlink "$dir/out/x.mdb";

# ---- samples and vocabularies -------------------------------------------

my @words = ({ name => 'land', type => 'category', from => ['customer'],
               vocabulary => { top => 2 } },
             { name => 'total', type => 'number', from => ['request'],
               bins => { quantiles => 2 } });
spec(features => \@words, policy => { type => 'uniform' });

# FR twice; of those seen once, the bytewise first: "DE", before "GB" and "de"
spew("$dir/in/lands.csv", <<'EOT');
customer,land
c1,de
c2,FR
c3,GB
c4,
c5,DE
c6,FR
EOT
spew("$dir/in/samples.csv", "total,note\n3,x\n,y\n1,z\n2,\n");
my @lands = ('--customers', "$dir/in/lands.csv");
my @samples = ('--samples', "$dir/in/samples.csv");
$summary = reco_json('build', "$dir/in/spec.json", '--out', "$dir/out/x.mdb",
                     @lands, @samples, '--json');
is_deeply($summary->{words}, { land => ['DE', 'FR'] },
          'the most frequent words, ties bytewise');
is_deeply($summary->{edges}, { total => [2] },
          'bins of a feature of the request, from --samples');
my ($land) = @{reco_json('inspect', "$dir/out/x.mdb", '--json')->{features}};
is_deeply($land->{vocabulary}, ['DE', 'FR'], 'the snapshot knows its words');

spew("$dir/in/samples.csv", "total,land\n3,IE\n1,IE\n2,\n");
$summary = reco_json('build', "$dir/in/spec.json", '--out', "$dir/out/x.mdb",
                     @lands, @samples, '--json');
is_deeply($summary->{words}, { land => ['IE'] },
          'samples go before customers; fewer words than wanted');
$summary = reco_json('build', "$dir/in/spec.json", '--out', "$dir/out/x.mdb",
                     @samples, '--json');
is($summary->{customers}, 0, 'samples alone');

my @wrong_samples = (
    ["land\nIE\n", qr/feature 'total' learns its quantiles .* no column/],
    ["land,total\nIE,\n", qr/'total' learns .* column 'total', which is empty/],
    ["land,total\n,1\n", qr/'land' learns its vocabulary .* which is empty/],
    ["land,total\nIE,much\n",
     qr/samples\.csv:2: column 'total': 'much' is not a number/],
    ["total,land\n1,\xff\n", qr/samples\.csv:2: column 'land': .*UTF-8/],
);
for my $case (@wrong_samples) {
    my ($text, $words) = @$case;

    spew("$dir/in/samples.csv", $text);
    ($status, $out, $err) = build(@samples);
    is($status, 1, "samples $words: fails");
    like($err, $words, "samples $words: words");
}
unlink "$dir/out/x.mdb";

# ---- the same bytes -----------------------------------------------------

spec();
my $bytes = slurp("$dir/out/s.mdb");
build(@customers);
ok(slurp("$dir/out/s.mdb") eq $bytes, 'the same input, the same bytes');

my ($first, @rows) = split /^/, slurp("$dir/in/customers.csv");
spew("$dir/in/sorted.csv", join('', $first, sort @rows));
build('--customers', "$dir/in/sorted.csv");
ok(slurp("$dir/out/s.mdb") eq $bytes, 'rows in another order, the same bytes');

system('gzip', '-k', "$dir/in/customers.csv") == 0 or die;
build('--customers', "$dir/in/customers.csv.gz");
ok(slurp("$dir/out/s.mdb") eq $bytes, 'compressed, the same bytes');

zip("$dir/in/customers.csv" => "$dir/in/customers.zip") or die;
build('--customers', "$dir/in/customers.zip");
ok(slurp("$dir/out/s.mdb") eq $bytes, 'zipped, the same bytes');

# What ends as a zip ends is still a text.
spew("$dir/in/end.csv", $first . join('', @rows) . "PK\5\6" . "\0" x 18);
like((build('--customers', "$dir/in/end.csv"))[2],
     qr/end\.csv:@{[2 + @rows]}: /, 'a text that ends as a zip does is read');

{
    local $ENV{SOURCE_DATE_EPOCH} = 1700000000;

    build(@customers);
    $all = reco_json('inspect', "$dir/out/s.mdb", '--json');
    is($all->{built}, '2023-11-14T22:13:20.000Z', 'SOURCE_DATE_EPOCH');
    build(@customers, '--as-of', '2024-02-29 12:00:00');
    $all = reco_json('inspect', "$dir/out/s.mdb", '--json');
    is($all->{built}, '2024-02-29T12:00:00.000Z', '--as-of goes before it');

    local $ENV{SOURCE_DATE_EPOCH} = 'soon';
    ($status, $out, $err) = build(@customers);
    is($status, 1, 'a SOURCE_DATE_EPOCH that is no number');
    like($err, qr/SOURCE_DATE_EPOCH: 'soon'/, 'is named');
}

# ---- hashed customers ---------------------------------------------------

# The key is the first half of HMAC-SHA256(hash key, id), by Digest::SHA.
my $hash = '000102030405060708090a0b0c0d0e0f';
spew("$dir/in/secret", "hash $hash\nsign k1 ${hash}00\n");
chmod 0644, "$dir/in/secret";
like((build(@customers, '--secret', "$dir/in/secret"))[2], qr/chmod o=/,
     'a secret that everybody may read is told');
chmod 0640, "$dir/in/secret";
unlike((build(@customers, '--secret', "$dir/in/secret"))[2], qr/chmod/,
       '... and is not when they may not');
my $key = substr(hmac_sha256_hex('c8', pack('H*', $hash)), 0, 32);
$record = reco_json('inspect', "$dir/out/s.mdb", '--customer', 'c8',
                    '--secret', "$dir/in/secret", '--json');
is($record->{key}, $key, 'ids are hashed with the secret');
is($record->{fields}{spend}, 8, 'and found by it');
($status, $out, $err) = reco('inspect', "$dir/out/s.mdb", '--customer', 'c8');
is($status, 1, 'without the secret');
like($err, qr/ids are hashed; --secret is needed/, 'it says so');
unlike(slurp("$dir/out/s.mdb"), qr/c8/, 'no plain id is in the file');

# ---- values -------------------------------------------------------------

spew("$dir/in/values.csv", <<'EOT');
spend,country,sex,slot,action,value,visits
0,FR,M,1,hat,0.25,3
1,GB,1,2,mug,-1,
0,FR,0,1,mug,0.5,4
3,,,1,lamp,7,1
EOT
my @values = ('--values', "$dir/in/values.csv");
$summary = reco_json('build', "$dir/in/spec.json", '--out', "$dir/out/s.mdb",
                     @customers, @values, '--json');
is($summary->{states}, 3, 'three states: M is code 0');
is_deeply(reco_json('inspect', "$dir/out/s.mdb", '--state', '0,FR,0,1',
                    '--json'), {
    state => '0,FR,0,1', level => 0, visits => 7, epsilon => 0.1, values => [
        { action => 'mug', value => 0.5, visits => 4, confidence => undef },
        { action => 'hat', value => 0.25, visits => 3, confidence => undef },
    ] }, 'values of a state, by action');
is_deeply(reco_json('inspect', "$dir/out/s.mdb", '--state', '3,,,1',
                    '--json')->{values},
          [{ action => 'lamp', value => 7, visits => 1,
             confidence => undef }],
          'missing features are empty');
is(reco_json('inspect', "$dir/out/s.mdb", '--state', "1\x1fGB\x1f1\x1f2",
             '--json')->{visits}, 0, 'no visits given');
($status, $out, $err) =
    reco('inspect', "$dir/out/s.mdb", '--state', '2,FR,0,1');
is($status, 1, 'an unknown state');
like($err, qr/there is no state '2,FR,0,1'/, 'is named');

$bytes = slurp("$dir/out/s.mdb");
($first, @rows) = split /^/, slurp("$dir/in/values.csv");
spew("$dir/in/values2.csv", join('', $first, reverse @rows));
build(@customers, '--values', "$dir/in/values2.csv");
ok(slurp("$dir/out/s.mdb") eq $bytes, 'values in another order');

# ---- coarser states -----------------------------------------------------

my %coarse = (policy => {
    type => 'q_table', state => [qw(spend country sex)],
    backoff => [[qw(sex spend)], []], min_visits => 20,
    epsilon => { start => 1, end => 0.5, visits => 10 } },
    learning => { discount_factor => 0.5, episode_gap => '1h' },
    history => { agent => '30d' });
spec(%coarse);
spew("$dir/in/levels.csv", <<'EOT');
level,spend,country,sex,action,value,visits,confidence
0,0,FR,M,hat,0.25,3,0.5
,0,FR,M,mug,0.5,2,
1,2,,F,lamp,-1,,
2,,,,hat,1,8,1
2,,,,mug,0,2,0
EOT
my @levels = ('--values', "$dir/in/levels.csv");
$summary = reco_json('build', "$dir/in/spec.json", '--out', "$dir/out/x.mdb",
                     @customers, @levels, '--json');
is($summary->{states}, 3, 'a state of each level');
is_deeply(reco_json('inspect', "$dir/out/x.mdb", '--state', '0,FR,0',
                    '--json'), {
    state => '0,FR,0', level => 0, visits => 5, epsilon => 0.75, values => [
        { action => 'mug', value => 0.5, visits => 2, confidence => undef },
        { action => 'hat', value => 0.25, visits => 3, confidence => 0.5 },
    ] }, 'the full state; epsilon goes by its 5 visits of 10');
is_deeply(reco_json('inspect', "$dir/out/x.mdb", '--state', '1,2', '--level',
                    1, '--json')->{values},
          [{ action => 'lamp', value => -1, visits => 0,
             confidence => undef }],
          'a coarser state, in the order of its own features');
is(reco_json('inspect', "$dir/out/x.mdb", '--state', "1\x1f2", '--level', 1,
             '--json')->{epsilon}, 1, 'the same key with its own separators');
($status, $out, $err) = reco('inspect', "$dir/out/x.mdb", '--state', '',
                             '--level', 2);
is($out, "visits: 10\nepsilon: 0.5\nmug: 0 (2 visits, confidence 0)\n"
         . "hat: 1 (8 visits, confidence 1)\n", 'one state for all');
for my $level ('3', '-1', '1x', '') {
    ($status, $out, $err) = reco('inspect', "$dir/out/x.mdb", '--state', '',
                                 '--level', $level);
    is($status, 1, "level '$level'");
    like($err, qr/--level: '\Q$level\E' is not a level .*, 0 to 2/, 'is named');
}
($status, $out, $err) = reco('inspect', "$dir/out/x.mdb", '--state', '0,0',
                             '--level', 1);
like($err, qr/there is no state '0,0' of level 1/, 'an unknown coarser state');

$all = reco_json('inspect', "$dir/out/x.mdb", '--json');
is_deeply($all->{backoff}, [[qw(sex spend)], []], 'inspect: coarser states');
is($all->{min_visits}, 20, 'inspect: visits that are enough');
is_deeply($all->{epsilon}, { start => 1, end => 0.5, visits => 10 },
          'inspect: epsilon');
is_deeply($all->{learning}, { learning_rate => 0.01, discount_factor => 0.5,
                              episode_gap => 3600, shrinkage => 10,
                              max_states => 1_000_000 }, 'inspect: learning');
is_deeply($all->{history}, { recommendations => 0, agent => 2_592_000,
                             rewards => 0 }, 'inspect: history');
unlink "$dir/out/x.mdb";

# ---- wrong input --------------------------------------------------------

# What is there stays, and nothing is left beside it.
my $kept = $bytes;

sub refused {
    my ($what, $words, @args) = @_;

    my ($status, $out, $err) = build(@args);
    is($status, 1, "$what: fails");
    like($err, $words, "$what: words");
    is($out, '', "$what: no data");
    ok(slurp("$dir/out/s.mdb") eq $kept, "$what: the old file stays");
    is_deeply([files("$dir/out")], ['s.mdb'], "$what: nothing beside it");
}

sub with_features {
    my (@features) = @_;

    spec(features => \@features, policy => { type => 'uniform' });
}

spew("$dir/in/spec.json", '{"model": "shop",}');
refused('a spec that is no JSON', qr/spec\.json: line 1, column \d+/);

with_features({ name => 'x', type => 'number', bins => [3, 1] });
refused('falling bins', qr/spec\.json: \$\.features\[0\]\.bins\[1\]: must be/);

spec(policies => 1);
refused('an unknown member', qr/spec\.json: \$\.policies: /);

# U+009B begins an escape sequence, as ESC [ does
spew("$dir/in/spec.json", qq({"a\xc2\x9b2J":1}));
refused('a control character of two bytes', qr/: \$\["a\?\?2J"\]: /);
spew("$dir/in/spec.json", qq({"\xc2\xa0":1}));
refused('... which others are not', qr/: \$\["\xc2\xa0"\]: /);

spec(rules => [{ deny => ['cup'] }]);
refused('a rule on no action', qr/spec\.json: \$\.rules\[0\]\.deny\[0\]: /,
        @customers);

with_features({ name => 'x', type => 'number', from => ['customer'],
                bins => { quantiles => 4 } });
refused('quantiles without data',
        qr/\$\.features\[0\]\.bins: is learned from --customers or --samples/);
refused('quantiles without a column',
        qr/feature 'x' learns .* no column for it \(--samples may have one\)/,
        @customers);

spec(actions => []);
refused('no actions', qr/\$\.actions: is empty/, @customers);
spec(actions => [{ id => 'a' }]);
refused('two catalogues', qr/\$\.actions: has the catalogue already/,
        @customers, '--actions', "$dir/in/actions.csv");
spec(actions => { file => 'nowhere.csv' });
refused('a catalogue that is not there',
        qr/cannot open '.*in\/nowhere\.csv': No such file/, @customers);

my @wrong_actions = (
    ["name\nx\n", qr/wrong\.csv: there is no column 'id'/],
    ["id\n", qr/wrong\.csv: there are no actions/],
    ["id,price\na,1\nb,dear\n",
     qr/wrong\.csv:3: column 'price': 'dear' is not a number/],
    ["id,active\na,yes\n", qr/wrong\.csv:2: column 'active': 'yes' must be/],
    ["id\na\nb\na\n", qr/wrong\.csv:4: column 'id': 'a' is also in line 2/],
    ["id,name\na,b\n\"\",c\n", qr/wrong\.csv:3: column 'id': must be 1 to/],
    ["id,id\na,b\n", qr/wrong\.csv:1: column 'id' is named twice/],
    ["\e[2J,\e[2J\na,b\n",
     qr/\Areco: .*wrong\.csv:1: column '\?\[2J' is named twice\n\z/],
    ["id,name\na\n", qr/wrong\.csv:2: the row has 1 fields where/],
);
spec();
for my $case (@wrong_actions) {
    my ($text, $words) = @$case;

    spew("$dir/in/wrong.csv", $text);
    refused("actions $words", $words, @customers, '--actions',
            "$dir/in/wrong.csv");
}

my @wrong_customers = (
    ["spend\n1\n", qr/wrong\.csv: there is no column 'customer'/],
    ["customer,spend\na,1\nb,much\n",
     qr/wrong\.csv:3: column 'spend': 'much' is not a number/],
    ["customer,spend\na,1\nb,\e[2J" . '9' x 100 . "x\n",
     qr/column 'spend': '\?\[2J9{60}\.\.\.' is not a number$/],
    ["customer,spend\na,\xff2J\n",
     qr/column 'spend': '\?2J' is not a number$/],
    ["customer,spend\na,1\nb,nan\n",
     qr/wrong\.csv:3: column 'spend': 'nan' is not a number/],
    ["customer,spend,gender\na,1,X\n", qr/wrong\.csv:2: column 'gender': /],
    ["customer,spend\n,1\n", qr/wrong\.csv:2: column 'customer': must be/],
    ["customer,spend\na,1\na,2\n", qr/wrong\.csv:3: column 'customer': /],
    ["customer,spend,note\na,1,\xff\n",
     qr/wrong\.csv:2: column 'note': must be .* UTF-8/],
    ["customer,spend,note\na,1," . 'x' x 256 . "\n",
     qr/wrong\.csv:2: column 'note': must be at most 255/],
    ["customer,spend\n\n\"a\",1\n\"b\"x,2\n",
     qr/wrong\.csv:4: a quote stands where none may be/],
    ["customer,spend,\na,1,2\n", qr/wrong\.csv: column 3 has no name/],
    ["customer,spend\na,\n", qr/column 'spend', which is empty/],
    ['', qr/wrong\.csv: there is no header line/],
);
for my $case (@wrong_customers) {
    my ($text, $words) = @$case;

    spew("$dir/in/wrong.csv", $text);
    refused("customers $words", $words, '--customers', "$dir/in/wrong.csv");
}

my $columns = 'spend,country,sex,slot,action,value,visits';
my @wrong_values = (
    ["spend,country,sex,slot,action\n",
     qr/wrong\.csv: there is no column 'value'/],
    ["spend,country,sex,action,value\n",
     qr/wrong\.csv: there is no column 'slot'/],
    ["$columns,colour\n", qr/column 'colour' is no feature of the state/],
    ["$columns\n4,FR,M,1,mug,1,1\n",
     qr/wrong\.csv:2: column 'spend': '[^']+' is not a bin, 0 to 3/],
    ["$columns\n0,FR,X,1,mug,1,1\n", qr/wrong\.csv:2: column 'sex': /],
    ["$columns\n0,FR,M,3,mug,1,1\n",
     qr/wrong\.csv:2: column 'slot': '[^']+' is not a slot, 1 to 2/],
    ["$columns\n0,FR,M,0,mug,1,1\n",
     qr/wrong\.csv:2: column 'slot': '[^']+' is not a slot, 1 to 2/],
    ["$columns\n0,FR,M,1,cup,1,1\n",
     qr/wrong\.csv:2: column 'action': 'cup' is not in the catalogue/],
    ["$columns\n0,FR,M,1,mug,nan,1\n",
     qr/wrong\.csv:2: column 'value': '[^']+' is not a finite number/],
    ["$columns\n0,FR,M,1,mug,1e999,1\n",
     qr/wrong\.csv:2: column 'value': '[^']+' is not a finite number/],
    ["$columns\n0,FR,M,1,mug,1,-1\n",
     qr/wrong\.csv:2: column 'visits': '[^']+' is not a count/],
    ["$columns\n0,FR,M,1,mug,1,1\n0,FR,0,1,mug,2,1\n",
     qr/wrong\.csv:3: column 'action': line 2 has a value for this/],
);
for my $case (@wrong_values) {
    my ($text, $words) = @$case;

    spew("$dir/in/wrong.csv", $text);
    refused("values $words", $words, @customers, '--values',
            "$dir/in/wrong.csv");
}

my @wrong_levels = (
    ["3,0,FR,M,mug,1,", qr/column 'level': '[^']+' is not a level .*, 0 to 2/],
    ["1,0,FR,M,mug,1,", qr/column 'country': '[^']+' is there, but level 1/],
    ["2,0,,,mug,1,", qr/column 'spend': '[^']+' is there, but level 2/],
    ["0,0,FR,M,mug,1,1.5", qr/column 'confidence': '[^']+' is not a prob/],
    ["0,0,FR,M,mug,1,x", qr/column 'confidence': '[^']+' is not a prob/],
);
spec(%coarse);
for my $case (@wrong_levels) {
    my ($text, $words) = @$case;

    spew("$dir/in/wrong.csv",
         "level,spend,country,sex,action,value,confidence\n$text\n");
    refused("levels $words", $words, @customers, '--values',
            "$dir/in/wrong.csv");
}

spec(policy => { type => 'p_table', slate => 1, state => ['country'] });
spew("$dir/in/wrong.csv", "country,action,value\nFR,mug,1.5\n");
refused('no probability', qr/wrong\.csv:2: column 'value': '[^']+' is not a prob/,
        @customers, '--values', "$dir/in/wrong.csv");
spew("$dir/in/wrong.csv", "country,action,value\nFR,mug,0\n");
refused('no mass', qr/wrong\.csv:2: .* are all 0/,
        @customers, '--values', "$dir/in/wrong.csv");
spec(policy => { type => 'uniform' });
refused('values without a table',
        qr/\$\.policy\.type: 'uniform' has no table/, @customers, @values);

refused('a time', qr/--as-of: 'then' is not a time/, '--as-of', 'then');
refused('a secret', qr/in\/none/, '--secret', "$dir/in/none");
spec();
($status, $out, $err) = reco('build', "$dir/in/spec.json", @customers,
                             '--out', "$dir/nowhere/s.mdb");
is($status, 1, 'a folder that is not there');
like($err, qr{cannot create '[^']*nowhere/s\.mdb': No such file}, 'is named');

# Not an error, but probably a slip.
with_features({ name => 'age', type => 'number', from => ['customer'] });
($status, $out, $err) = reco('build', "$dir/in/spec.json", @customers,
                             '--out', "$dir/out/x.mdb");
is($status, 0, 'a customer field without a column');
like($err, qr/warning: .*no column 'age' for feature 'age'/, 'is warned of');

# ---- inspect: what is not there ------------------------------------------

spew("$dir/plain.json", '{"model": "plain", "actions": [{"id": "a"},'
     . ' {"id": "b"}], "policy": {"type": "p_table", "state": []}}');
spew("$dir/plain.csv", "action,value\na,0.75\nb,0.25\n");
is((reco('build', "$dir/plain.json", '--values', "$dir/plain.csv", '--out',
         "$dir/plain.mdb"))[0], 0, 'a table without a state');
($status, $out, $err) = reco('inspect', "$dir/plain.mdb");
like($out, qr/^\Q$_\E +-$/m, "inspect: no $_")
    for qw(built published state customer_fields hash_key features);
unlike($out, qr/ $/m, 'no line ends in a space');
is_deeply(reco_json('inspect', "$dir/plain.mdb", '--state', '', '--json')
          ->{values}, [{ action => 'a', value => 0.75, visits => 0,
                         confidence => undef },
                       { action => 'b', value => 0.25, visits => 0,
                         confidence => undef }],
          'the state without features');
spew("$dir/weights.json", '{"model": "plain", "actions": [{"id": "a"}],'
     . ' "policy": {"type": "weights", "weights": [1]}}');
is((reco('build', "$dir/weights.json", '--out', "$dir/weights.mdb"))[0], 0,
   'weights');
($status, $out, $err) = reco('inspect', "$dir/weights.mdb", '--state', 'GB');
is($status, 1, 'a state of a model without a table');
like($err, qr/its policy 'weights' has no table$/, 'says so');

# ---- a place that is taken ------------------------------------------------

spew("$dir/taken.json", '{"model":"m","version":"1","actions":[{"id":"A"}]}');
spew("$dir/taken.csv", "customer,x\nc,1\n");
symlink("$dir/taken.json", "$dir/taken.link") or die;
POSIX::mkfifo("$dir/taken.fifo", 0600) or die;
for my $case (['taken.json', 'it is read too'], ['taken.csv', 'it is read too'],
              ['taken.link', 'it is read too'], ['taken.fifo', 'it is no file'])
{
    my ($name, $words) = @$case;

    ($status, $out, $err) = reco('build', "$dir/taken.json", '--customers',
                                 "$dir/taken.csv", '--out', "$dir/$name");
    is($status, 1, "--out $name");
    like($err, qr/cannot write '$dir\/$name': $words/, 'is refused');
}
like(slurp("$dir/taken.json"), qr/^\{"model"/, 'the spec is as it was');
like(slurp("$dir/taken.csv"), qr/^customer/, 'and the customers');
ok(-p "$dir/taken.fifo", 'and the pipe');
is(scalar(grep { /tmp/ } files($dir)), 0, 'nothing is left');

# ---- no room --------------------------------------------------------------

# The limit is met in the middle of a write and between two.
spew("$dir/room.json", '{"model":"m","version":"1","actions":[{"id":"A"}]}');
spew("$dir/room.csv", join '', "customer,x\n",
     map { sprintf "c%06d,%s\n", $_, 'x' x 100 } 1 .. 20000);
my $tool = abs_path($ENV{RECO_TOOL} // 'build/reco');
for my $kib (100, 1023) {
    system('bash', '-c', 'ulimit -f "$1"; shift; exec "$@"', '-', $kib,
           'bash', '-c', 'exec "$@" 2>"$0"', "$dir/room.err", $tool, 'build',
           "$dir/room.json", '--customers', "$dir/room.csv", '--out',
           "$dir/room.mdb");
    is($? & 127 ? -($? & 127) : $? >> 8, 1, "no room beyond $kib KiB");
    is(slurp("$dir/room.err"), "reco: cannot write the temporary file beside "
       . "'$dir/room.mdb': the file-size limit is reached\n", 'says why');
}
is(scalar(grep { /room.mdb/ } files($dir)), 0, 'nothing is left');

SKIP: {
    my @disk = ('unshare', '-m', 'bash', '-c',
                'mount -t tmpfs -o size=1m none "$0" 2>/dev/null || exit 99;'
                . ' exec "$@" 2>"$0.err"', "$dir/full");

    mkdir "$dir/full" or die;
    system(qq(unshare -m true 2>/dev/null)) == 0
        && system(@disk, 'true') == 0
        or skip('no small disk can be mounted', 2);
    system(@disk, $tool, 'build', "$dir/room.json", '--customers',
           "$dir/room.csv", '--out', "$dir/full/x.mdb");
    is($? >> 8, 1, 'a full disk');
    is(slurp("$dir/full.err"), "reco: cannot write the temporary file beside "
       . "'$dir/full/x.mdb': No space left on device\n", 'says why');
}

done_testing();
