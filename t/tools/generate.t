#!/usr/bin/perl

# reco generate: the shop has what its manual says, the same for the same
# options, and reco baskets takes it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Reco::Tool;
use Test::More;

my $dir = folder();
my ($status, $out, $err);

my $counts = reco_json('generate', '--out', "$dir/a", '--customers', 800,
                       '--items', 300, '--json');
is_deeply([files("$dir/a")], [qw(baskets.csv items.csv)], 'two files');
is($counts->{items}, 300, 'as many items as wanted');

my @items = map { [split /,/] } split /\n/, slurp("$dir/a/items.csv");
is(join(',', @{shift @items}), 'id,name,price,category,family,available',
   'columns of items');
is(scalar @items, 300, 'a line an item');
my %item = map { $_->[0] => $_ } @items;
is(scalar keys %item, 300, 'each with its id');
is(scalar(grep { $$_[0] =~ /^\d{5}[A-D]?$/ && $$_[4] eq substr($$_[0], 0, 5) }
          @items), 300, 'ids are those of families');
my %band;
$band{$$_[2] < 10 ? 'low' : $$_[2] <= 50 ? 'medium' : 'high'}++ for @items;
cmp_ok($band{$_}, '>=', 15, "items of price $_") for qw(low medium high);

my @lines = map { [split /,/] } split /\n/, slurp("$dir/a/baskets.csv");
is(join(',', @{shift @lines}),
   'basket,time,customer,country,item,quantity,price', 'columns of baskets');
is(scalar @lines, $counts->{lines}, 'a line a line');
my (%baskets, %customers, %months, %christmas, %again, %had, %countries);
for my $line (@lines) {
    my ($basket, $time, $customer, $country, $id) = @$line;

    $baskets{$basket} = $customer;
    $countries{$country} = 1;
    $customers{$customer}++ if $customer ne '';
    my $month = substr $time, 5, 2;
    if ($item{$id}[1] =~ /CHRISTMAS/) {
        $christmas{$month >= 10 ? 'season' : 'before'}++;
    }
    if ($customer ne '') {
        $again{$had{$customer}{$id}++ ? 'yes' : 'no'}++;
    }
    $months{$month} = 1;
}
is(scalar keys %baskets, $counts->{baskets}, 'baskets');
is(scalar keys %customers, $counts->{customers}, 'customers');
is(scalar keys %months, 12, 'sold all year');
is_deeply([sort keys %countries], [qw(DE ES FR GB IE IT NL NO)],
          'countries are ISO 3166-1 codes');
cmp_ok($christmas{season}, '>', 4 * $christmas{before},
       'christmas items are sold in their season');
# By taste alone 28 % of the lines would be of an item bought before.
cmp_ok($again{yes}, '>', 0.35 * ($again{yes} + $again{no}),
       'customers buy again');
my $nobody = grep { $_ eq '' } values %baskets;
cmp_ok(abs($nobody / keys(%baskets) - 0.04), '<', 0.02,
       'one basket in twenty-five without a customer');

# ---- the same and another -----------------------------------------------

reco_json('generate', '--out', "$dir/b", '--customers', 800, '--items', 300,
          '--json');
is(slurp("$dir/b/$_"), slurp("$dir/a/$_"), "$_ is the same again")
    for qw(baskets.csv items.csv);
reco_json('generate', '--out', "$dir/b", '--customers', 800, '--items', 300,
          '--seed', 2, '--json');
isnt(slurp("$dir/b/$_"), slurp("$dir/a/$_"), "$_ of another seed")
    for qw(baskets.csv items.csv);

# ---- what it is for -----------------------------------------------------

my $made = reco_json('baskets', "$dir/a/baskets.csv", '--items',
                     "$dir/a/items.csv", '--out', "$dir/shop", '--json');
is_deeply([@$made{qw(baskets lines items customers)}],
          [@$counts{qw(baskets lines items customers)}],
          'reco baskets reads it');
cmp_ok($made->{also_bought_share}, '>', 0.5,
       'most items have a list of what is bought with them');
is($made->{without_category}, 0, 'all have a category');
cmp_ok($made->{cohesion}, '>', 0.5, 'names fall into groups');
my %level;
for (grep { /^\d/ } split /\n/, slurp("$dir/shop/customers.csv")) {
    my ($price, $engagement) = (split /,/)[2, 3];

    $level{"price $price"}++;
    $level{"engagement $engagement"}++;
}
is(scalar keys %level, 6, 'customers of every level');

reco_json('build', "$FindBin::Bin/../../conf/models/cart.json",
          (map { ("--$_", "$dir/shop/$_.csv") }
           qw(customers items lists samples)),
          '--out', "$dir/cart.mdb", '--json');
ok(-s "$dir/cart.mdb", 'and reco build makes the cart model of it');

($status, $out, $err) = reco('generate', '--out', "$dir/short", '--days', 1,
                             '--customers', 1, '--items', 50);
is($status, 0, 'a day of one customer');
like($out, qr/^\d+ baskets? with \d+ lines of 50 items/, 'counts in words');

# ---- wrong usage --------------------------------------------------------

for my $options ([], ['--out', "$dir/none", '--items', 49],
                 ['--out', "$dir/none", '--customers', 0],
                 ['--out', "$dir/none", '--days', 'x'],
                 ['--out', "$dir/none", '--seed', -1],
                 ['--out', "$dir/none", 'file.csv']) {
    ($status) = reco('generate', @$options);
    is($status, 2, "wrong usage: @$options");
}
ok(!-e "$dir/none", 'nothing was written');

spew("$dir/file", '');
($status, $out, $err) = reco('generate', '--out', "$dir/file/x");
is($status, 1, 'a folder that cannot be made');
like($err, qr/^reco: cannot create '.*file\/x': Not a directory/, 'words');

done_testing();
