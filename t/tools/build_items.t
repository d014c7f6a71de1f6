#!/usr/bin/perl

# reco build --items --lists: what a strategy recommends, and what is wrong
# with the files it comes from.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP qw(encode_json);
use Reco::Tool;
use Test::More;

my $dir = folder();
mkdir "$dir/out" or die;

my %spec = (
    model => 'cart', version => '1',
    features => [{ name => 'taste', type => 'category',
                   from => ['request', 'customer'] }],
    actions => [{ id => 'popular' }, { id => 'again' }],
    policy => { type => 'uniform', slate => 1 },
    items => {
        slate => 2, per_family => 1, history => 'customer.bought',
        prefer => { feature => 'taste', boost => 0.5 },
        strategies => {
            popular => [{ list => 'popular' }],
            again => [{ list => 'also_bought', by => 'history',
                        weight => 2 }],
        },
        fill => [{ list => 'popular' }],
    },
);

my $items = <<'EOT';
name,id,price,category,family,available
"Mug, red",m1,3.5,kitchen,mug,1
Mug,m2,3.25,kitchen,mug,true
Lamp,lamp,,light,,0
,bulb,1e1,,,
EOT

my $lists = <<'EOT';
list,key,item,score
popular,,m1,1
popular,,lamp,0.5
popular,,bulb,0.5
popular,,m2,0.5
also_bought,m1,bulb,0.25
EOT

my $customers = "customer,taste,bought\nann,light,m1 lamp\n";

sub write_files {
    my (%change) = @_;

    spew("$dir/spec.json", encode_json({ %spec, %{ $change{spec} // {} } }));
    spew("$dir/items.csv", $change{items} // $items);
    spew("$dir/lists.csv", $change{lists} // $lists);
    spew("$dir/customers.csv", $change{customers} // $customers);
}

sub build {
    my (@args) = @_;

    @args = ('--items', "$dir/items.csv", '--lists', "$dir/lists.csv")
        if !@args;

    return reco('build', "$dir/spec.json", '--customers',
                "$dir/customers.csv", '--out', "$dir/out/s.mdb", @args);
}

write_files();
my $summary = reco_json('build', "$dir/spec.json", '--customers',
                        "$dir/customers.csv", '--items', "$dir/items.csv",
                        '--lists', "$dir/lists.csv", '--out',
                        "$dir/out/s.mdb", '--json');
is($summary->{items}, 4, 'items');
is($summary->{lists}, 2, 'lists');

my ($status, $out, $err) = build();
is($status, 0, 'builds');
is($err, '', 'and says nothing');
like($out, qr/, 4 items, 2 lists, \d+ bytes$/, 'but what there is');
my $bytes = slurp("$dir/out/s.mdb");

($status, $out, $err) = reco('verify', "$dir/out/s.mdb");
is($status, 0, 'it is sound');

# ---- what is in it -------------------------------------------------------

my $all = reco_json('inspect', "$dir/out/s.mdb", '--json');
is($all->{items}, 4, 'inspect: items');
is($all->{lists}, 2, 'inspect: lists');
is($all->{history_records}, 0, 'inspect: history');
is_deeply(reco_json('inspect', "$dir/out/s.mdb", '--item', 'm1', '--json'),
          { id => 'm1', index => 0, name => 'Mug, red', category => 'kitchen',
            family => 'mug', price => 3.5, available => JSON::PP::true },
          'an item');
is_deeply(reco_json('inspect', "$dir/out/s.mdb", '--item', 'lamp', '--json'),
          { id => 'lamp', index => 2, name => 'Lamp', category => 'light',
            family => '', price => undef, available => JSON::PP::false },
          'an item without a price');
is_deeply(reco_json('inspect', "$dir/out/s.mdb", '--list', 'popular',
                    '--json'),
          [{ id => 'm1', score => 1 }, { id => 'm2', score => 0.5 },
           { id => 'lamp', score => 0.5 }, { id => 'bulb', score => 0.5 }],
          'a list: of equal scores the item that comes first in the file');
is((reco('inspect', "$dir/out/s.mdb", '--list', 'also_bought/m1'))[1],
   "bulb                 0.25\n", 'a list by key, as text');
like((reco('inspect', "$dir/out/s.mdb", '--item', 'lamp'))[1],
     qr/^price +unknown\navailable +no\n\z/m, 'an item as text');
for my $ask (['--item', 'm9'], ['--list', 'also_bought'], ['--list', 'x/y']) {
    ($status, $out, $err) = reco('inspect', "$dir/out/s.mdb", @{$ask});
    is($status, 1, "@{$ask}: is not there");
    like($err, qr/there is no (item|list) '\Q$ask->[1]\E'/, 'and is named');
}

# Ties may stand in any order.
write_files(lists => <<'EOT');
list,key,item,score
also_bought,m1,bulb,0.25
popular,,m1,1
popular,,m2,0.5
popular,,bulb,0.5
popular,,lamp,0.5
EOT
build();
ok(slurp("$dir/out/s.mdb") eq $bytes, 'lists in another order: same bytes');

# ---- what is not as it should be, but can be -----------------------------

write_files(lists => "list,key,item,score,why\npopular,,m1,1,x\n",
      customers => "customer,taste\nann,light\n");
($status, $out, $err) = build();
is($status, 0, 'a list, a column too few');
like($err, qr/lists\.csv: column 'why' is not used/, 'names the column');
like($err, qr/spec\.json: \$\.items: there is no list 'also_bought'/,
     'the list');
like($err, qr/customers\.csv: there is no column 'bought'/,
     'and the history');

write_files();
($status, $out, $err) = build('--items', "$dir/items.csv");
is($status, 0, 'no lists at all');
is(scalar(() = $err =~ /there is no list 'popular'/g), 1, 'is worth a word');

# ---- what is wrong -------------------------------------------------------

unlink "$dir/out/s.mdb";

sub refused {
    my ($what, $words, $change, @args) = @_;

    write_files(%{$change});
    my ($status, $out, $err) = build(@args);
    is($status, 1, "$what: refused");
    like($err, $words, "$what: says where");
    ok(!-e "$dir/out/s.mdb", "$what: leaves nothing");
}

refused('no items', qr/spec\.json: \$\.items: .*give them with --items/, {},
        '--json');

my @items = (
    ['no id', "id,name\nm1,\n,x\n", qr/items\.csv:3: column 'id': must be 1/],
    ['an id twice', "id\nm1\nm2\nm1\n",
     qr/items\.csv:4: column 'id': 'm1' is also in line 2/],
    ['a price', "id,price\nm1,dear\n",
     qr/items\.csv:2: column 'price': 'dear' is not a number/],
    ['stock', "id,available\nm1,no\n",
     qr/items\.csv:2: column 'available': 'no' must be 1, 0/],
    ['a long name', "id,name\nm1," . 'x' x 256 . "\n",
     qr/items\.csv:2: column 'name': must be at most 255/],
    ['no column', "name\nm1\n", qr/items\.csv: there is no column 'id'/],
    ['an empty file', "id\n", qr/items\.csv: there are no items/],
    ['a short row', "id,name\nm1\n", qr/items\.csv:2: /],
);
refused("items: $_->[0]", $_->[2], { items => $_->[1] }) for @items;

my $head = "list,key,item,score\n";
my @lists = (
    ['an unknown item', "${head}popular,,m1,1\npopular,,m9,0.5\n",
     qr/lists\.csv:3: column 'item': 'm9' is no item's id/],
    ['a rising score', "${head}popular,,m1,0.5\npopular,,m2,1\n",
     qr/lists\.csv:3: column 'score': '1' is above the score before/],
    ['a score below 0', "${head}popular,,m1,-1\n",
     qr/lists\.csv:2: column 'score': '-1' is not a number from 0/],
    ['a score that is none', "${head}popular,,m1,NaN\n",
     qr/lists\.csv:2: column 'score': 'NaN' is not a number/],
    ['a score too high', "${head}popular,,m1,1e13\n",
     qr/lists\.csv:2: list "popular" .* a score that is not from 0 to 1e12/],
    ['an item twice', "${head}popular,,m1,1\npopular,,m1,1\n",
     qr/lists\.csv:2: list "popular" of key "" has /],
    ['a list twice', "${head}a,,m1,1\nb,,m1,1\na,,m2,1\n",
     qr/lists\.csv:4: list "a" of key "" is there twice/],
    ['no name', "$head,,m1,1\n", qr/lists\.csv:2: column 'list': must be 1/],
    ['no column', "list,key,item\na,,m1\n",
     qr/lists\.csv: there is no column 'score'/],
);
refused("lists: $_->[0]", $_->[2], { lists => $_->[1] }) for @lists;

my $many = join '', map { "i$_\n" } 0 .. 1024;
refused('lists: too long', qr/lists\.csv:1026: column 'list': 'all' has more/,
        { items => "id\n$many",
          lists => $head . join '', map { "all,,i$_,1\n" } 0 .. 1024 });

write_files();
delete local $spec{items};
spew("$dir/spec.json", encode_json(\%spec));
($status, $out, $err) = build();
is($status, 1, 'items for a model without any');
like($err, qr/\$\.items: is missing, but --items gives some/, 'are refused');

($status, $out, $err) = build('--lists', "$dir/lists.csv");
is($status, 2, '--lists without --items');
like($err, qr/--lists needs --items/, 'is wrong usage');

done_testing();
