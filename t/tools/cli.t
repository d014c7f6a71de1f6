#!/usr/bin/perl

# The reco command as such: help, usage, exit status, where words go; and the
# CSV reader, through the command that shows most of it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Reco::Tool;
use Test::More;

my @commands = qw(build inspect verify publish rollback import generate
                  baskets train eval replay batch export);
my $root = "$FindBin::Bin/../..";
my $dir = folder();
my ($status, $out, $err);

# ---- help ---------------------------------------------------------------

($status, $out, $err) = reco('--help');
is($status, 0, '--help');
is($err, '', '--help: no words on stderr');
like($out, qr/^  \Q$_\E +\w/m, "--help lists $_") for @commands;

for my $command (@commands) {
    ($status, $out, $err) = reco($command, '--help');
    is($status, 0, "$command --help");
    like($out, qr/^Usage: reco $command\b/, "$command --help: usage");
    is($err, '', "$command --help: no words on stderr");

    my ($status2, $out2) = reco('help', $command);
    is($out2, $out, "help $command");

    ($status, $out, $err) = reco($command, '--no-such-option');
    is($status, 2, "$command --no-such-option");
    is($out, '', "$command --no-such-option: no data");
    like($err, qr/^reco/, "$command --no-such-option: words");

    ($status, $out, $err) = reco($command);
    is($status, 2, "$command alone");

    my $page = "$root/lmdb-tools/man/reco-$command.1";
    ok(-s $page, "$command has a man page");
    like(slurp("$root/lmdb-tools/man/reco.1"), qr/reco-$command/,
         "$command is in reco(1)") if -s "$root/lmdb-tools/man/reco.1";
}

for my $kind (qw(online-retail open-bandit)) {
    ($status, $out) = reco('import', $kind, '--help');
    is($status, 0, "import $kind --help");
    like($out, qr/^Usage: reco import $kind /, "import $kind --help: usage");
    ($status, $out) = reco('import', '--help');
    like($out, qr/^  $kind /m, "import --help lists $kind");
}

# Options that --help shows are in the man page.
for my $command (@commands) {
    my $page = "$root/lmdb-tools/man/reco-$command.1";
    next unless -s $page;
    my $text = slurp($page);
    $text =~ s/\\-/-/g;
    my @kinds = $command eq 'import' ? (['online-retail'], ['open-bandit'])
                                     : ([]);
    for my $kind (@kinds) {
        ($status, $out) = reco($command, @$kind, '--help');
        for my $option ($out =~ /^ +(?:-\w, )?(--[\w-]+)/mg) {
            next if $option =~ /^--(help|usage|version)$/;
            like($text, qr/\Q$option\E\b/, "reco-$command(1) has $option");
        }
    }
}

SKIP: {
    skip 'man is not installed', 1 if system('command -v man >/dev/null');
    my $words = '';
    $words .= `MANWIDTH=80 man --warnings -l "$_" 2>&1 >/dev/null`
        for glob("$root/lmdb-tools/man/*.1");
    is($words, '', 'man has no warning about the pages');
}

# ---- usage --------------------------------------------------------------

($status, $out, $err) = reco();
is($status, 2, 'no command');
like($err, qr/^Usage: reco COMMAND/, 'no command: usage on stderr');
is($out, '', 'no command: no data');

for my $args (['nonsense'], ['help', 'nonsense'], ['--nonsense']) {
    ($status, $out, $err) = reco(@$args);
    is($status, 2, "@$args");
    like($err, qr/^reco: there is no command '.*'; see 'reco --help'$/,
         "@$args: a hint");
}
($status, $out, $err) = reco('import', 'nonsense');
is($status, 2, 'import nonsense');
like($err, qr/see 'reco import --help'/, 'import nonsense: a hint');

for my $args (['--version'], ['build', '--version'], ['-V']) {
    ($status, $out) = reco(@$args);
    is($status, 0, "@$args");
    like($out, qr/^reco \d+\.\d+\.\d+\n$/, "@$args: number");
}

my @wrong = (
    [qw(build spec.json)], [qw(build --out x)],
    [qw(build a.json b.json --out x)], [qw(build a --out x --customers -)],
    [qw(inspect a b)], [qw(inspect a --spec --state x)],
    [qw(verify a b)], [qw(publish a)], [qw(publish --to x)],
    [qw(rollback x --to 0)], [qw(rollback x --to 1.5)],
    [qw(import open-bandit x)], [qw(import open-bandit --out x)],
    [qw(import open-bandit x --out y --items 0)],
    [qw(import open-bandit x --out y --items 4097)],
);
for my $args (@wrong) {
    ($status, $out, $err) = reco(@$args);
    is($status, 2, "@$args: wrong usage");
    like($err, qr/^reco \w/, "@$args: words");
}

# ---- where the answer goes ------------------------------------------------

spew("$dir/spec.json", '{"model": "m", "actions": [{"id": "a"}]}');
($status) = reco('build', "$dir/spec.json", '--out', "$dir/m.mdb");
is($status, 0, 'a small snapshot');

SKIP: {
    skip 'there is no /dev/full', 2 unless -c '/dev/full';
    my $tool = $ENV{RECO_TOOL} // 'build/reco';
    my $words = `$tool inspect $dir/m.mdb 2>&1 >/dev/full`;
    is($? >> 8, 1, 'an answer that cannot be written is a failure');
    like($words, qr/^reco: cannot write 'standard output': No space/,
         'and is reported');
}

# ---- CSV ------------------------------------------------------------------

sub import_csv {
    my ($text, @more) = @_;

    spew("$dir/sales.csv", $text);

    return reco('import', 'online-retail', "$dir/sales.csv", '--actions',
                "$dir/a.csv", @more);
}

my $header = 'InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,'
    . 'CustomerID,Country';
my $row = '1,10001,"a ""b"", c",1,2011-01-01,1,7,France';
my $catalogue = "id,name,price,category,active\n"
    . "10001,\"a \"\"b\"\", c\",1,,1\n";

for my $case (['LF', "\n"], ['CR LF', "\r\n"], ['CR', "\r"]) {
    my ($what, $nl) = @$case;

    ($status, $out, $err) = import_csv("$header$nl$row$nl");
    is($status, 0, "lines that end in $what");
    is(slurp("$dir/a.csv"), $catalogue, "lines that end in $what: fields");

    ($status, $out, $err) = import_csv("$header$nl$nl$row$nl$nl$nl" . "x$nl");
    like($err, qr/sales\.csv:6: /, "lines that end in $what: counted");
}
($status) = import_csv("\xef\xbb\xbf$header\n$row");
is($status, 0, 'a byte order mark, and no line end at the end');
is(slurp("$dir/a.csv"), $catalogue, 'are no part of a field');

# A field may hold line ends: the row is named by its first line.
my $long = $row;
$long =~ s/France/"Fr\nan\nce"/;
($status, $out, $err) = import_csv("$header\n$row\n$long\n");
like($err, qr/sales\.csv:3: column 'Country'/, 'a row of three lines');
($status, $out, $err) = import_csv("$header\n" . $row =~ s/a /\n\n/r
                                   . "\nx,y\n");
like($err, qr/sales\.csv:2: column 'Description'/, 'a quoted line end');

($status, $out, $err) =
    import_csv("$header\n\"" . ('x' x 100 . "\n") x 20000 . "\n");
is($status, 1, 'a quote that swallows the file');
like($err, qr/sales\.csv:2: the row is longer than 1 MiB/, 'is cut off');

# Compressed files, by their content.
spew("$dir/sales.csv", "$header\n$row\n");
for my $case (['gzip', 'gz'], ['bzip2', 'bz2'], ['xz', 'xz'],
              ['zstd -q', 'zst'], ['lz4 -q', 'lz4'])
{
    my ($command, $suffix) = @$case;
    my ($name) = split / /, $command;

  SKIP: {
        skip "$name is not installed", 2
            if system("command -v $name >/dev/null");
        system("$command -c $dir/sales.csv > $dir/sales.$suffix") == 0 or die;
        ($status, $out, $err) =
            reco('import', 'online-retail', "$dir/sales.$suffix",
                 '--actions', "$dir/a.csv");
        is($status, 0, "$name");
        is(slurp("$dir/a.csv"), $catalogue, "$name: the same");
    }
}

spew("$dir/cut.xz", substr(slurp("$dir/sales.xz"), 0, 60)) if
    -e "$dir/sales.xz";
SKIP: {
    skip 'xz is not installed', 2 unless -e "$dir/cut.xz";
    ($status, $out, $err) = reco('import', 'online-retail', "$dir/cut.xz");
    is($status, 1, 'a compressed file that was cut off');
    like($err, qr/^reco: cannot read '.*cut\.xz': ./, 'is named');
}

SKIP: {
    skip 'zip is not installed', 3 if system('command -v zip >/dev/null');
    chdir $dir or die;
    system('zip -q one.zip sales.csv') == 0 or die;
    system('zip -q two.zip sales.csv spec.json') == 0 or die;
    chdir $root or die;
    ($status) = reco('import', 'online-retail', "$dir/one.zip");
    is($status, 0, 'a zip with one file');
    ($status, $out, $err) = reco('import', 'online-retail', "$dir/two.zip");
    is($status, 1, 'a zip with two files');
    like($err, qr/two\.zip': it holds more than one file/, 'is refused');
}

($status, $out, $err) = reco('import', 'online-retail', $dir);
is($status, 1, 'a folder');
like($err, qr/it is a folder/, 'is no file');

# ---- output files -----------------------------------------------------------

# Whole or not at all, with the mode the umask gives, over what was there.
mkdir "$dir/o" or die;
spew("$dir/o/a.csv", 'old');
umask 027;
($status) = reco('import', 'online-retail', "$dir/sales.csv", '--actions',
                 "$dir/o/a.csv");
is(slurp("$dir/o/a.csv"), $catalogue, 'an output file is replaced');
is((stat "$dir/o/a.csv")[2] & 0777, 0640, 'with the mode of the umask');
umask 022;
($status) = reco('import', 'online-retail', "$dir/sales.csv", '--actions',
                 "$dir/o/a.csv", '--customers', "$dir/none/c.csv");
is($status, 1, 'the first of two outputs cannot be made');
($status) = reco('import', 'online-retail', "$dir/sales.csv", '--customers',
                 "$dir/o/c.csv", '--actions', "$dir/none/a.csv");
is($status, 1, 'nor can the second');
spew("$dir/sales.csv", "$header\nx\n");
($status) = reco('import', 'online-retail', "$dir/sales.csv", '--actions',
                 "$dir/o/a.csv", '--customers', "$dir/o/c.csv");
is($status, 1, 'wrong input');
is_deeply([files("$dir/o")], ['a.csv'], 'leaves no file behind');
is(slurp("$dir/o/a.csv"), $catalogue, 'and the old one as it was');

done_testing();
