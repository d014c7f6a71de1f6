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
17,France,2,23,13.25,3,low
99,Norway,1,55.125,55.13,4,high
EOT

# Median of 3.50 and 4.50 is 4; codes that are no products are not active.
is(slurp("$dir/a.csv"), <<"EOT", 'actions');
id,name,price,category,active
10001,RED MUG,4,,1
20002,"LAMP, \xc2\xa35",55.125,,1
B,Adjust,,,0
POST,POSTAGE,15,,0
EOT

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

    skip 'Online Retail is not at hand (RECO_DATA)', 6 unless -f $file;

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
    like($customers[1], qr/^12346,United Kingdom,1,0,77183\.6,325,low$/,
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
}

done_testing();
