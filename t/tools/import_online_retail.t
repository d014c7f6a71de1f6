#!/usr/bin/perl

# reco import online-retail: seven rows counted by hand, wrong rows, and the
# complete data set where it is at hand.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Reco::Tool;
use Test::More;

my $dir = folder();
my $header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,"
    . "CustomerID,Country\n";
my $rows = <<"EOT";
1001,10001," RED MUG ",2,2011-01-01 10:00:00,3.50,17.0,Italy
1001,POST,POSTAGE,1,2011-01-01 10:00:00,15.0,17.0,Italy
1002,10001,RED MUG,1,2011-01-03 09:00:00,4.50,17.0,Spain
C1003,10001,RED CUP,-1,2011-01-05 12:00:00,3.50,17.0,France
1004,20002,"LAMP, \xc2\xa35",1,2011-01-02,55.125,99.0,Norway
1005,20002,,-3,2011-01-06 00:00,0.0,,Norway
A1006,B,Adjust,1,2011-01-06 23:59:59,-10.005,,Norway
EOT

sub retail {
    my ($file, @more) = @_;

    return ('import', 'online-retail', $file, '--customers', "$dir/c.csv",
            '--actions', "$dir/a.csv", @more);
}

# 7 + 15 + 4.5 - 3.5 + 55.125 + 0 - 10.005 = 68.12
my %facts = (
    rows => 7, invoices => 6, stock_codes => 4, customers => 2,
    countries => 4, rows_without_customer => 2, negative_quantities => 2,
    cancelled_rows => 1, zero_prices => 1, negative_prices => 1,
    total => '68.12', first_date => '2011-01-01', last_date => '2011-01-06',
);

spew("$dir/sales.csv", $header . $rows);
is_deeply(reco_json(retail("$dir/sales.csv", '--json')), \%facts,
          'facts of seven rows');

# 17: two orders of 22 and 4.50, 3.50 returned; 4 units; last order three days
# before the data's end; last row in France. 99: 55.125 rounds to 55.13.
is(slurp("$dir/c.csv"), <<'EOT', 'customers');
customer,country,orders,spend,average_order_value,recency_days,price_band
17,FR,2,23,13.25,3,low
99,NO,1,55.125,55.13,4,high
EOT

# Median of 3.50 and 4.50 is 4; codes that are no products are not active.
is(slurp("$dir/a.csv"), <<"EOT", 'actions');
id,name,price,category,active
10001,RED MUG,4,,1
20002,"LAMP, \xc2\xa35",55.125,,1
B,Adjust,,,0
POST,POSTAGE,15,,0
EOT

# ---- baskets ------------------------------------------------------------

# Of these ten lines five are lines of a basket: not the cancelled one, the
# postage, the one without a price, the one returned without a C, and the gift
# (its code is no product's). 10001a is 10001A. Both lines of 2001 have its
# first line's time, customer and country. The last basket is 90 days and a
# second after 2001: only its items, and those of 2003, are available. The
# price of 20002 is the median of 4 and 5. Countries are ISO 3166-1 codes.
spew("$dir/b-sales.csv", $header . <<'EOT');
2002,20002,LAMP,1,2011-01-01 10:00:01,5,,Norway
2001,10001a,RED MUG,2,2011-01-01 10:00:00,3.50,17.0,Italy
2001,20002,LAMP,1,2011-01-01 10:01:00,4,17.0,Spain
2001,POST,POSTAGE,1,2011-01-01 10:00:00,15.0,17.0,Italy
C2004,10001A,RED CUP,-1,2011-01-05 12:00:00,3.50,17.0,Italy
2005,10001A,RED CUP,1,2011-01-05 12:00:00,0,17.0,Italy
2005,20002,,-3,2011-01-06 00:00,1.0,,Norway
2005,100011X2,GIFT,1,2011-01-06 00:00,1.0,,Norway
2003,30003,"TEA, GREEN",3,2011-01-02 00:00,60.5,21.0,France
2006,30003B,TEA,1,2011-04-01 10:00:01,2,,Norway
EOT
my $facts = reco_json('import', 'online-retail', "$dir/b-sales.csv",
                      '--baskets', "$dir/b.csv", '--items', "$dir/i.csv",
                      '--json');
is_deeply([@$facts{qw(baskets basket_lines basket_items basket_customers)}],
          [4, 5, 4, 2], 'facts of baskets');
is(slurp("$dir/b.csv"), <<'EOT', 'baskets');
basket,time,customer,country,item,quantity,price
2001,2011-01-01T10:00:00Z,17,IT,10001A,2,3.5
2001,2011-01-01T10:00:00Z,17,IT,20002,1,4
2002,2011-01-01T10:00:01Z,,NO,20002,1,5
2003,2011-01-02T00:00:00Z,21,FR,30003,3,60.5
2006,2011-04-01T10:00:01Z,,NO,30003B,1,2
EOT
is(slurp("$dir/i.csv"), <<'EOT', 'items');
id,name,price,category,family,available
10001A,RED MUG,3.5,,10001,0
20002,LAMP,4.5,,20002,1
30003,"TEA, GREEN",60.5,,30003,1
30003B,TEA,2,,30003,1
EOT

# What is no country, or has no single code, or is none of the data set's
# names, stays; it counts as a name.
my @countries = ('EIRE' => 'IE', 'RSA' => 'ZA', 'USA' => 'US',
    map { $_ => $_ } 'Channel Islands', 'European Community', 'Unspecified',
                     'West Indies', 'usa', 'GB');
my @names = @countries[grep { $_ % 2 == 0 } 0 .. $#countries];
spew("$dir/b-sales.csv", $header . join '', map
    { "300$_,10001,CUP,1,2011-01-01 10:00:0$_,5,$_.0,$names[$_]\n" }
    0 .. $#names);
$facts = reco_json('import', 'online-retail', "$dir/b-sales.csv", '--baskets',
                   "$dir/b.csv", '--customers', "$dir/c.csv", '--json');
is($facts->{countries}, 9, 'names are counted as they are');
for my $file ('b', 'c') {
    my ($at) = $file eq 'b' ? 3 : 1;
    my (undef, @rows) = split /\n/, slurp("$dir/$file.csv");
    is_deeply([map { (split /,/)[$at] } @rows],
              [@countries[grep { $_ % 2 } 0 .. $#countries]],
              "countries without a code stay ($file.csv)");
}
unlink map { "$dir/$_" } qw(b-sales.csv b.csv c.csv i.csv);

# Several files are one data set; compressed ones are read as they are.
my @lines = split /^/, $rows;
spew("$dir/1.csv", $header . join('', @lines[0 .. 2]));
spew("$dir/2.csv", $header . join('', @lines[3 .. 6]));
system('gzip', "$dir/2.csv") == 0 or die;
is_deeply(reco_json('import', 'online-retail', "$dir/1.csv", "$dir/2.csv.gz",
                    '--json'), \%facts, 'in two files, one of them gzip');

my ($status, $out, $err) = reco(retail("$dir/sales.csv"));
is($status, 0, 'without --json');
like($out, qr/^total +68\.12$/m, 'facts for people');

# ---- wrong input leaves nothing ------------------------------------------

my @wrong = (
    ['a price', '1,2,x,1,2011-01-01,abc,1.0,France',
     qr/bad\.csv:2: column 'UnitPrice': is not a decimal/],
    ['a quantity', '1,2,x,1.5,2011-01-01,1,1.0,France',
     qr/bad\.csv:2: column 'Quantity': is not a whole number/],
    ['a date', '1,2,x,1,2011-02-30,1,1.0,France',
     qr/bad\.csv:2: column 'InvoiceDate': is not a time/],
    ['an empty code', '1,,x,1,2011-01-01,1,1.0,France',
     qr/bad\.csv:2: column 'StockCode': is empty/],
    ['text that is not UTF-8', "1,2,\xa3,1,2011-01-01,1,1.0,France",
     qr/bad\.csv:2: column 'Description': must be .* UTF-8/],
    ['a short row', '1,2,x', qr/bad\.csv:2: the row has 3 fields where the/],
    ['a broken quote', '1,2,x"y",1,2011-01-01,1,1.0,France',
     qr/bad\.csv:2: a quote stands where none may be/],
    ['too large a sum', '1,2,x,9000000000,2011-01-01,9000000000,1.0,France',
     qr/bad\.csv:2: column 'UnitPrice': times Quantity is out of range/],
    ['an open quote', "\n\"1,2",
     qr/bad\.csv:3: a quoted field is not closed/],
);

unlink "$dir/c.csv", "$dir/a.csv";
for my $case (@wrong) {
    my ($what, $row, $words) = @$case;

    spew("$dir/bad.csv", "$header$row\n");
    ($status, $out, $err) = reco(retail("$dir/bad.csv"));
    is($status, 1, "$what fails");
    like($err, $words, "$what: words");
}

spew("$dir/bad.csv", "InvoiceNo,StockCode\n1,2\n");
($status, $out, $err) = reco(retail("$dir/bad.csv"));
is($status, 1, 'a missing column fails');
like($err, qr/bad\.csv: there is no column 'Description'/, 'and is named');

spew("$dir/bad.csv", $header);
($status, $out, $err) = reco(retail("$dir/bad.csv"));
is($status, 1, 'no rows');
like($err, qr/bad\.csv: there are no rows/, 'no rows: words');

is_deeply([files($dir)],
          [qw(1.csv 2.csv.gz bad.csv sales.csv)], 'nothing was written');

($status) = reco('import', 'online-retail');
is($status, 2, 'without a file: wrong usage');

# ---- the real thing ------------------------------------------------------

SKIP: {
    my $data = data_dir();
    my $file = defined $data ? "$data/online-retail/online_retail.csv.xz" : '';

    skip 'Online Retail is not at hand (RECO_DATA)', 12 unless -f $file;

    is_deeply(reco_json(retail($file, '--json')), {
        rows => 541909, invoices => 25900, stock_codes => 4070,
        customers => 4372, countries => 38, rows_without_customer => 135080,
        negative_quantities => 10624, cancelled_rows => 9288,
        zero_prices => 2515, negative_prices => 2, total => '9747747.934',
        first_date => '2010-12-01', last_date => '2011-12-09',
    }, 'facts of the complete data set');

    my @customers = split /\n/, slurp("$dir/c.csv");
    is(scalar @customers, 4373, 'a line a customer');
    # Known from the literature on this data: 12346 bought 74,215 units once
    # and returned them all.
    like($customers[1], qr/^12346,GB,1,0,77183\.6,325,low$/,
         'customer 12346');
    my @actions = split /\n/, slurp("$dir/a.csv");
    is(scalar @actions, 4071, 'a line a stock code');
    is(scalar(grep { /^85123A,WHITE HANGING HEART T-LIGHT HOLDER,/ } @actions),
       1, 'the best known product');

    # Counted again by other means: the sum of spend over the customers.
    my $sum = 0;
    $sum += sprintf('%.0f', (split /,/)[3] * 1000)
        for @customers[1 .. $#customers];
    is($sum, 8300065814, 'net spend of all customers is 8,300,065.814');

    # Counted by a few lines of Python over the same file.
    my $facts = reco_json('import', 'online-retail', $file, '--json',
                          '--baskets', "$dir/b.csv", '--items', "$dir/i.csv");
    is_deeply([@$facts{qw(baskets basket_lines basket_items
                          basket_customers)}],
              [19773, 527725, 3791, 4334], 'baskets of the complete data set');
    is(scalar(() = slurp("$dir/b.csv") =~ /\n/g), 527726, 'a row a line');
    # 38 names, of which three have no code.
    my %codes = map { (split /,/)[3] => 1 } split /\n/, slurp("$dir/b.csv");
    delete $codes{country};
    is_deeply([sort grep { !/^[A-Z]{2}\z/ } keys %codes],
              ['Channel Islands', 'European Community', 'Unspecified'],
              'names without a code');
    my @items = map { [/^(\w+),.*,([\d.]+),,(\d{5}),([01])$/] }
        split /\n/, slurp("$dir/i.csv");
    is(scalar(grep { @$_ == 4 } @items), 3791, 'a row an item');
    is_deeply([map { "$$_[0] $$_[1]" } grep { @$_ && $$_[1] > 50 } @items],
              ['21769 66.36', '22016 83.33', '22655 125', '22656 125',
               '22823 125', '22826 85', '22827 165', '22828 165', '22929 65',
               '84632 59.95'], 'ten products of a median price above 50');
    is(scalar(grep { @$_ && $$_[3] } @items), 3156,
       'sold in the last 90 days');
}

done_testing();
