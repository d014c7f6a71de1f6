#!/usr/bin/perl

# reco baskets: lists, customers and samples of six baskets counted by hand,
# categories of names that fall into groups, parts of customers, wrong input,
# and the complete Online Retail where it is at hand.

use strict;
use warnings;
use utf8;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Encode qw(encode_utf8);
use Reco::Tool;
use Test::More;

my $dir = folder();
my $item_header = "id,name,price,category,family,available\n";
my $header = "basket,time,customer,country,item,quantity,price\n";
my ($status, $out, $err);

# The counts of a run over b.csv and i.csv, which writes to out/.
sub baskets {
    return reco_json('baskets', "$dir/b.csv", '--items', "$dir/i.csv",
                     '--out', "$dir/out", '--json', @_);
}

# The list of a kind and key: "item score ...".
sub list {
    my ($prefix) = @_;

    return join ' ', map { /^\Q$prefix\E,(.*),(.*)$/ ? "$1 $2" : () }
        split /\n/, slurp("$dir/out/lists.csv");
}

# ---- six baskets --------------------------------------------------------

spew("$dir/i.csv", $item_header . <<'EOT');
A,Apple,5,x,,1
B,Book,20,x,,1
C,"Cup, tin",50,y,,0
D,Desk,50.01,y,fam,1
E,Egg,9.99,,,1
EOT
spew("$dir/b.csv", $header . <<'EOT');
b1,2011-01-01T10:00:00Z,c1,Italy,A,2,5
b1,2011-01-01T10:00:00Z,c1,Italy,B,1,20
b1,2011-01-01T10:00:00Z,c1,Italy,C,1,50
b3,2011-01-02T10:00:00Z,c2,Norway,A,1,5
b3,2011-01-02T10:00:00Z,c2,Norway,B,1,20
b3,2011-01-02T10:00:00Z,c2,Norway,D,1,50.01
b2,2011-01-03T10:00:00Z,c1,Spain,A,1,5
b2,2011-01-03T10:00:00Z,c1,Spain,B,1,20
b4,2011-01-03T10:00:00Z,c2,Norway,A,3,5
b4,2011-01-03T10:00:00Z,c2,Norway,C,1,50
b5,2011-01-04T10:00:00Z,c3,France,C,1,50
b5,2011-01-04T10:00:00Z,c3,France,D,1,50.01
b6,2011-01-05T10:00:00Z,,France,A,1,5
b6,2011-01-05T10:00:00Z,,France,A,1,5
b6,2011-01-05T10:00:00Z,,France,E,1,9.99
EOT

my @all = ('--categories', 0, '--lists-from', 'market,development,test');

my $counts = baskets(@all, '--min-support', 1);
is_deeply($counts, {
    baskets => 6, lines => 15, items => 5, available => 4, customers => 3,
    parts => { market => 0, development => 2, test => 1 }, held => 0,
    listed_baskets => 5, large_baskets => 0, listed_items => 4,
    categories => 2, price_lists => { low => 1, medium => 2, high => 1 },
    pairs => 6, also_bought_lists => 4, also_bought_share => 0.8,
    # popular 4, price 4, category 4, also_bought 4 x 3
    entries => 24,
}, 'counts');

# A in 4 baskets, B and C in 3, D in 2; E only in the one without a customer.
# AB 3, AC 2, AD BC BD CD 1: 3 / sqrt(12), 2 / sqrt(12), 1 / sqrt(8), 1 / 3,
# 1 / sqrt(6) twice.
is(slurp("$dir/out/lists.csv"), <<'EOT', 'lists, in their order');
list,key,item,score
popular,,A,1
popular,,B,0.75
popular,,C,0.75
popular,,D,0.5
price,low,A,1
price,medium,B,0.75
price,medium,C,0.75
price,high,D,0.5
category,x,A,1
category,x,B,0.75
category,y,C,0.75
category,y,D,0.5
also_bought,A,B,0.866025
also_bought,A,C,0.57735
also_bought,A,D,0.353553
also_bought,B,A,0.866025
also_bought,B,D,0.408248
also_bought,B,C,0.333333
also_bought,C,A,0.57735
also_bought,C,D,0.408248
also_bought,C,B,0.333333
also_bought,D,B,0.408248
also_bought,D,C,0.408248
also_bought,D,A,0.353553
EOT

# Mean unit prices: c1 100 / 5, c2 130.01 / 5, c3 100.01 / 2; baskets 2, 2, 1.
# c2 has two baskets with x and two with y. 140.01 / 2 is 70.005.
is(slurp("$dir/out/customers.csv"), <<'EOT', 'customers');
customer,country,price_sensitivity,engagement_level,category_preferences,bought,orders,spend,average_order_value,mean_price
c1,Spain,high,medium,x,A B C,2,105,52.5,20
c2,Norway,medium,medium,x,A C B D,2,140.01,70.01,26.002
c3,France,low,low,y,C D,1,100.01,100.01,50.005
EOT

# Two of three lines, one of two.
is(slurp("$dir/out/samples.csv"), <<'EOT', 'samples');
cart_total,item_count,country,customer,basket
30,2,Italy,c1,b1
25,2,Norway,c2,b3
5,1,Spain,c1,b2
15,1,Norway,c2,b4
50,1,France,c3,b5
EOT
is(slurp("$dir/out/items.csv"), slurp("$dir/i.csv"),
   'items keep their categories with --categories 0');
is_deeply([files("$dir/out")],
          [qw(customers.csv items.csv lists.csv samples.csv)], 'files');

is(baskets(@all, '--min-support', 2)->{pairs}, 2, 'two pairs of support 2');
is_deeply([map { list("also_bought,$_") } qw(A B C D)],
          ['B 0.866025 C 0.57735', 'A 0.866025', 'A 0.57735', ''],
          'support 2');
baskets(@all, '--min-support', 4);
is(list('also_bought,A'), '', 'support 4: no list');

# 5 x 3 / (4 x 3) = 1.25 is the highest; AC and CD 5/6, AD 5/8, BC 5/9, BD 5/6.
baskets(@all, '--min-support', 1, '--measure', 'lift');
is_deeply([map { list("also_bought,$_") } qw(A B C D)],
          ['B 1 C 0.666667 D 0.5', 'A 1 D 0.666667 C 0.444444',
           'A 0.666667 D 0.666667 B 0.444444',
           'B 0.666667 C 0.666667 A 0.5'], 'lift');

baskets(@all, '--min-support', 1, '--list-length', 1);
is_deeply([map { list($_) } 'popular,', 'price,medium', 'also_bought,D'],
          ['A 1', 'B 0.75', 'B 0.408248'], 'lists of one item');

# Only b2 (AB), b4 (AC) and b5 (CD) have at most two items.
$counts = baskets(@all, '--min-support', 1, '--max-basket', 2);
is($counts->{large_baskets}, 2, 'large baskets');
is_deeply([map { list($_) } 'popular,', map { "also_bought,$_" } qw(A C)],
          ['A 1 B 0.75 C 0.75 D 0.5', 'B 0.707107 C 0.5',
           'D 0.707107 A 0.5'], 'large baskets count for what sells only');

# b6: A twice counts once.
$counts = baskets('--categories', 0, '--min-support', 1, '--lists-from',
                  'market,development,test,anonymous');
is($counts->{listed_baskets}, 6, 'with the baskets of nobody');
is(list('popular,'), 'A 1 B 0.6 C 0.6 D 0.4 E 0.2', 'popular with them');
is(list('price,low'), 'A 1 E 0.2', 'low prices with them');
is(list('also_bought,E'), 'A 0.447214', 'bought together: 1 / sqrt(5)');

# ---- the last basket left out -------------------------------------------

# b2 and b4; c3 has but one. The rest have A, B, C and D twice each.
is(baskets(@all, '--min-support', 1, '--leave-last')->{held}, 2, 'held');
is(list('popular,'), 'A 1 B 1 C 1 D 1', 'lists without the last baskets');
is(slurp("$dir/out/customers.csv"), <<'EOT', 'customers without them');
customer,country,price_sensitivity,engagement_level,category_preferences,bought,orders,spend,average_order_value,mean_price
c1,Italy,high,low,x,A B C,1,80,80,25
c2,Norway,medium,low,x,A B D,1,75.01,75.01,25.003333
c3,France,low,low,y,C D,1,100.01,100.01,50.005
EOT
is(join(',', slurp("$dir/out/held.csv") =~ /^(b\d),/mg), 'b2,b2,b4,b4',
   'held.csv');
unlike(slurp("$dir/out/samples.csv"), qr/b2|b4/, 'samples without them');

# ---- history ------------------------------------------------------------

# 25 ids of nine bytes and the blanks between are 249 bytes; another would be
# 259.
my @many = map { sprintf 'item-%04d', $_ } 1 .. 40;
spew("$dir/i.csv", $item_header . join '', map { "$_,n,1,c,,1\n" } @many);
spew("$dir/b.csv", $header
     . join '', map { "b,2011-01-01,c,Italy,$_,1,1\n" } @many);
baskets('--categories', 0);
my $fit = join ' ', @many[0 .. 24];
like(slurp("$dir/out/customers.csv"), qr/,c,$fit,1,40,40,1$/m,
     'as many items as fit');

# ---- parts --------------------------------------------------------------

# XXH3_64bits of "reco part\x1f" and the id by xxhsum(1) ends in these digits.
my %hash = (12346 => 'b6', 12347 => 'f3', 12348 => '85', 17850 => 'd4',
            c1 => '03', c2 => '6a', 'a b' => '74', "zoë" => 'e2');
my @part = qw(market market development test);
spew("$dir/i.csv", $item_header . "A,Apple,5,x,,1\n");
my $n = 0;
spew("$dir/b.csv", $header . encode_utf8(join '', map {
    "b" . $n++ . ",2011-01-01,$_,Italy,A,1,5\n" } sort keys %hash));
for my $part (qw(market development test)) {
    baskets('--lists-from', $part);
    is_deeply([sort map { (split /,/)[3] }
               grep { /,b\d$/ } split /\n/, slurp("$dir/out/samples.csv")],
              [sort map { encode_utf8($_) }
               grep { $part[hex($hash{$_}) % 4] eq $part } keys %hash],
              "customers of $part");
}
is_deeply(baskets()->{parts}, { market => 3, development => 3, test => 2 },
          'parts are counted');
is(baskets()->{listed_baskets}, 6, 'without --lists-from not the test');

# ---- categories ---------------------------------------------------------

# Words of one item (spotty, xylophone), colours, sizes, numbers and "set of"
# do not count; lights is light, and so on.
my @names = ('RED LUNCH BAG', 'LUNCH BAG SPOTTY', 'SMALL BLUE LUNCH BAGS',
             'TEA MUG', 'Mugs for tea, 2', 'SET OF 4 TEA MUGS',
             'T-LIGHT HOLDER', 'HOLDER FOR 6 LIGHTS', 'light holders',
             'XYLOPHONE', 'SET OF 3');
my @groups = (('bag lunch') x 3, ('mug tea') x 3, ('holder light') x 3,
              ('other') x 2);
$n = 0;
spew("$dir/i.csv", $item_header
     . join '', map { 'i' . $n++ . ",\"$_\",1,,,1\n" } @names);
spew("$dir/b.csv", $header . "b,2011-01-01,c,Italy,i0,1,1\n");
$counts = baskets('--categories', 3);
is($counts->{without_category}, 2, 'items without a word in common');
is_deeply([slurp("$dir/out/items.csv") =~ /^i\d+,.*,1,(.*),,1$/mg],
          [@groups[0, 1, 10, 2 .. 9]], 'three groups of names');
ok(abs($counts->{cohesion} - 1) < 1e-12, 'each is of one kind');

baskets('--categories', 9);
is_deeply([slurp("$dir/out/items.csv") =~ /^i\d+,.*,1,(.*),,1$/mg],
          [@groups[0, 1, 10, 2 .. 9]], 'no more groups than kinds');

my $before = slurp("$dir/out/items.csv");
my ($first, @rest) = split /^/, slurp("$dir/i.csv");
spew("$dir/i.csv", $first . join '', reverse @rest);
baskets('--categories', 3);
is(slurp("$dir/out/items.csv"), $before,
   'the order of the items does not matter');

# Two groups whose two heaviest words are the same: one has a third in its
# name.
$n = 0;
spew("$dir/i.csv", $item_header
     . join '', map { 'i' . $n++ . ",$_,1,,,1\n" }
       map { ($_) x 3 } 'bag bag bag lunch lunch lunch apple',
                        'bag bag bag lunch lunch lunch zebra', 'tea cup');
baskets('--categories', 3);
my %named = map { $_ => 1 }
    slurp("$dir/out/items.csv") =~ /^i\d+,.*,1,(.*),,1$/mg;
like(join('; ', sort keys %named),
     qr/^(?:apple bag lunch; bag lunch|bag lunch; bag lunch zebra); cup tea$/,
     'names are distinct');

# ---- wrong input --------------------------------------------------------

my $item = "A,Apple,5,x,,1\nB,Book,5,x,,1\n";
my $line = "b1,2011-01-02,c,Italy,A,1,5\n";
my @wrong = (
    ['a negative quantity', $item, 'b1,2011-01-02,c,Italy,A,-1,5',
     qr/b\.csv:2: column 'quantity': '-1' is not a whole number above 0/],
    ['half a piece', $item, 'b1,2011-01-02,c,Italy,A,0.5,5',
     qr/b\.csv:2: column 'quantity': '0\.5' is not a whole/],
    ['no price', $item, 'b1,2011-01-02,c,Italy,A,1,NaN',
     qr/b\.csv:2: column 'price': 'NaN' is not a decimal above 0/],
    ['a price of 0', $item, 'b1,2011-01-02,c,Italy,A,1,0',
     qr/b\.csv:2: column 'price': '0' is not a decimal above 0/],
    ['times that fall', $item, "${line}b2,2011-01-01,c,Italy,A,1,5",
     qr/b\.csv:3: column 'time': '2011-01-01' is before the time of the/],
    ['no time', $item, 'b1,yesterday,c,Italy,A,1,5',
     qr/b\.csv:2: column 'time': 'yesterday' is not a time such as/],
    ['an unknown item', $item, 'b1,2011-01-02,c,Italy,X,1,5',
     qr/b\.csv:2: column 'item': 'X' is not among the items/],
    ['two pieces', $item, "${line}b2,2011-01-02,c,Italy,A,1,5\n$line",
     qr/b\.csv:4: column 'basket': 'b1' is in two pieces/],
    ['two customers', $item, "${line}b1,2011-01-02,d,Italy,A,1,5",
     qr/b\.csv:3: column 'customer': 'd' differs from the basket's line/],
    ['two times', $item, "${line}b1,2011-01-03,c,Italy,A,1,5",
     qr/b\.csv:3: column 'time': '2011-01-03' differs from the basket's/],
    ['no country', $item, 'b1,2011-01-02,c,,A,1,5',
     qr/b\.csv:2: column 'country': is empty/],
    ['too much money', $item,
     'b1,2011-01-02,c,Italy,A,9000000000000,9000000000000',
     qr/b\.csv:2: the sums are out of range/],
    ['a short row', $item, 'b1,2011-01-02',
     qr/b\.csv:2: the row has 2 fields where the/],
    ['no baskets', $item, '', qr/b\.csv: there are no rows/],
    ['an item without a price', "A,Apple,,x,,1\n", $line,
     qr/i\.csv:2: column 'price': '' is not a decimal above 0/],
    ['a blank in an id', "A B,Apple,1,x,,1\n", $line,
     qr/i\.csv:2: column 'id': 'A B' must have no blank/],
    ['perhaps available', "A,Apple,1,x,,yes\n", $line,
     qr/i\.csv:2: column 'available': 'yes' is neither 1 nor 0/],
    ['an item twice', "A,Apple,1,x,,1\nA,Apple,1,x,,1\n", $line,
     qr/i\.csv:3: column 'id': 'A' is there twice/],
    ['no items', '', $line, qr/i\.csv: there are no rows/],
);

for my $case (@wrong) {
    my ($what, $items, $lines, $words) = @$case;

    spew("$dir/i.csv", $item_header . $items);
    spew("$dir/b.csv", $header . $lines . ($lines =~ /\S$/ ? "\n" : ''));
    ($status, $out, $err) = reco('baskets', "$dir/b.csv", '--items',
                                 "$dir/i.csv", '--out', "$dir/none");
    is($status, 1, "$what fails");
    like($err, $words, "$what: words");
}
ok(!-e "$dir/none", 'nothing was written');

spew("$dir/i.csv", $item_header . $item);
spew("$dir/b.csv", "basket,time,customer,country,item,price\n");
($status, $out, $err) = reco('baskets', "$dir/b.csv", '--items', "$dir/i.csv",
                             '--out', "$dir/none");
is($status, 1, 'a missing column fails');
like($err, qr/b\.csv: there is no column 'quantity'/, 'and is named');

spew("$dir/b.csv", $header . $line);
mkdir "$dir/own" or die $!;
rename "$dir/i.csv", "$dir/own/items.csv" or die $!;
($status, $out, $err) = reco('baskets', "$dir/b.csv", '--items',
                             "$dir/own/items.csv", '--out', "$dir/own");
is($status, 1, 'an output does not take the place of an input');
is_deeply([files("$dir/own")], ['items.csv'], 'nothing beside it');

my @usage = (['--categories', -1], ['--categories', 'x'],
             ['--min-support', 0], ['--list-length', 1025],
             ['--max-basket', 1], ['--measure', 'jaccard'],
             ['--lists-from', 'market,tset'], ['--lists-from', '']);
for my $options (@usage) {
    ($status, $out, $err) = reco('baskets', "$dir/b.csv", '--items',
                                 "$dir/own/items.csv", '--out', "$dir/none",
                                 @$options);
    is($status, 2, "@$options is wrong usage");
}

# ---- the real thing -----------------------------------------------------

SKIP: {
    my $data = data_dir();
    my $file = defined $data ? "$data/online-retail/online_retail.csv.xz" : '';

    skip 'Online Retail is not at hand (RECO_DATA)', 9 unless -f $file;

    reco_json('import', 'online-retail', $file, '--baskets', "$dir/b.csv",
              '--items', "$dir/i.csv", '--json');

    # All of this was counted by a page of Python over the same baskets.
    $counts = baskets('--lists-from', 'market,development,test');
    is_deeply([@$counts{qw(baskets lines items available customers
                           listed_baskets large_baskets listed_items pairs
                           also_bought_lists)}],
              [19773, 527725, 3791, 3156, 4334, 18402, 3, 3659, 493585, 2834],
              'counts of the complete data set');
    is($counts->{categories}, 31, 'thirty names and other');
    is_deeply([(split / /, list('popular,'))[0 .. 9]],
              ['85123A', 1, 22423, '0.860971', '85099B', '0.808898', 47566,
               '0.697169', 84879, '0.695147'], 'best sellers');
    is_deeply([grep { /\D|\d{5}/ && !/\./ } split / /, list('price,high')],
              [qw(22826 22655 22827 22656 22823 22929 22828 84632 21769)],
              'what costs more than 50');
    is_deeply([(split / /, list('also_bought,85123A'))[0 .. 5]],
              [21733, '0.392915', 22804, '0.333906', 82482, '0.232907'],
              'bought with the best seller');
    my @levels = map { (split /,/)[2, 3] }
        grep { /^\d/ } split /\n/, slurp("$dir/out/customers.csv");
    my (%price, %engagement);
    while (my ($p, $e) = splice @levels, 0, 2) {
        $price{$p}++;
        $engagement{$e}++;
    }
    is_deeply(\%price, { high => 1445, medium => 1445, low => 1444 },
              'thirds by price');
    is_deeply(\%engagement, { low => 1505, medium => 1728, high => 1101 },
              'one basket, two to four, more');

    is(baskets('--leave-last')->{held}, 2829,
       'customers with two baskets or more');

    baskets('--measure', 'lift', '--lists-from', 'market,development,test');
    is_deeply([(split / /, list('also_bought,22697'))[0 .. 5]],
              [22698, '0.006008', 22699, '0.005016', '85131B', '0.00436'],
              'lift of the green regency teacup');
}

done_testing();
