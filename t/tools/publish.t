#!/usr/bin/perl

# reco publish, rollback, verify: generations rise, degenerate and damaged
# snapshots are refused, and what is served stays as it was then.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP qw(decode_json encode_json);
use Reco::Tool;
use Test::More;

my $dir = folder();
my $pub = "$dir/pub";
my $nth = 0;

# A snapshot of a table model with so many states and customers, with 'version'
# so that content can be told apart.
sub snapshot {
    my ($version, $states, $customers, %change) = @_;
    my $file = "$dir/" . ++$nth;

    spew("$file.json", encode_json({
        model => 'shop', version => $version,
        features => [{ name => 'country', type => 'category',
                       from => [qw(request customer)] }],
        actions => [{ id => 'mug' }, { id => 'hat' }],
        policy => { type => 'q_table', slate => 1, state => ['country'] },
        %change,
    }));
    spew("$file-c.csv", join('', "customer,country\n",
                             map { "c$_,FR\n" } 1 .. $customers));
    spew("$file-v.csv", join('', "country,action,value\n",
                             map { "N$_,mug,0.5\n" } 1 .. $states));

    my ($status, $out, $err) =
        reco('build', "$file.json", '--customers', "$file-c.csv",
             $states ? ('--values', "$file-v.csv") : (), '--out',
             "$file.mdb");
    die $err if $status;

    return "$file.mdb";
}

sub current {
    return decode_json(slurp("$pub/current.json"));
}

sub publish {
    my ($file, @more) = @_;

    return reco_json('publish', $file, '--to', $pub, '--json', @more);
}

# ---- publishing ---------------------------------------------------------

my $one = snapshot('1', 10, 10);
my $answer = publish($one);
is($answer->{generation}, 1, 'the first generation');
is($answer->{parent}, 0, 'followed none');
is($answer->{version}, '1', 'its version');
is(current()->{file}, $answer->{file}, 'the manifest names the file');
is(current()->{generation}, 1, 'and the generation');
is(-s "$pub/$answer->{file}", $answer->{size}, 'size');
is($answer->{size}, -s $one, 'no larger than what was built');
is(reco_json('inspect', $pub, '--json')->{generation}, 1,
   'the copy knows its generation');
is(reco_json('inspect', $one, '--json')->{generation}, 0,
   'the original is untouched');

my ($status, $out, $err) = reco('verify', $pub);
is($status, 0, 'verify a folder');
like($out, qr/: ok, \d+ bytes, checksum $answer->{checksum}$/, 'ok');
is_deeply(reco_json('verify', $pub, '--json'), {
    file => "$pub/$answer->{file}", ok => JSON::PP::true,
    size => $answer->{size}, checksum => $answer->{checksum},
}, 'verify --json');

SKIP: {
    chomp(my $sum = `xxh128sum "$pub/$answer->{file}" 2>/dev/null` // '');

    skip 'xxh128sum is not installed', 1 unless $sum;
    is((split / /, $sum)[0], $answer->{checksum},
       'the checksum is what xxh128sum says');
}

my $two = snapshot('2', 10, 10);
$answer = publish($two);
is($answer->{generation}, 2, 'the second generation');
is($answer->{parent}, 1, 'followed the first');
is(scalar(grep { /\.mdb$/ } files($pub)), 2, 'the first one is still there');

# ---- rolling back -------------------------------------------------------

$answer = reco_json('rollback', $pub, '--json');
is($answer->{generation}, 3, 'a rollback is a new generation');
is($answer->{parent}, 1, 'of the one before');
is($answer->{replaces}, 2, 'instead of the bad one');
is($answer->{version}, '1', 'with its content');
is(-s "$pub/$answer->{file}", -s $one, 'and no larger');
is(reco_json('inspect', $pub, '--json')->{version}, '1', 'served now');
is(reco_json('inspect', $pub, '--json')->{parent}, 1, 'parent in the file');
is(reco_json('verify', $pub, '--json')->{ok}, JSON::PP::true, 'and sound');

($status, $out, $err) = reco('rollback', $pub, '--to', 2);
is($status, 0, 'rollback --to');
like($out, qr/generation 4 with the content of 2, instead of 3$/,
     'for people');
is(current()->{version}, '2', 'its content');
is(current()->{parent}, 2, 'its parent');

for my $case ([[qw(--to 4)], qr/generation 4 is the current one/],
              [[qw(--to 9)], qr/generation 9 is not there/])
{
    ($status, $out, $err) = reco('rollback', $pub, @{ $case->[0] });
    is($status, 1, "rollback @{ $case->[0] } fails");
    like($err, $case->[1], 'and says why');
}
is(current()->{generation}, 4, 'nothing changed');

# 5 with the content of 1: nothing is left to do for a second rollback.
reco_json('rollback', $pub, '--to', 1, '--json');
for my $case ([[], 1], [['--to', 1], 1], [['--to', 3], 3]) {
    my ($args, $of) = @$case;

    ($status, $out, $err) = reco('rollback', $pub, @$args);
    is($status, 1, "rollback @$args to what is served fails");
    like($err, qr/generation 5 already has the content of $of; name an earlier one with --to \(there are: 1, 2, 3, 4\)$/,
         'says so, and where it may go');
}
is(current()->{generation}, 5, 'nothing changed');
is_deeply(reco_json('inspect', $pub, '--json')->{generations}, [1 .. 5],
          'inspect lists the generations of a folder');
like((reco('inspect', $pub))[1], qr/^generations      1 2 3 4 5$/m,
     'for people too');
ok(!exists reco_json('inspect', $one, '--json')->{generations},
   'and of a file none');
is(reco_json('rollback', $pub, '--to', 2, '--json')->{generation}, 6,
   'to another content');

($status, $out, $err) = reco('rollback', $dir);
is($status, 1, 'rollback of a folder without snapshots');
like($err, qr/nothing is published there/, 'says so');

publish($one);
unlink grep { -f } map { "$pub/$_" } grep { /-00000006-/ } files($pub);
($status, $out, $err) = reco('rollback', $pub);
is($status, 1, 'rollback to a file that is gone');
like($err, qr/generation 6 is not there/, 'says so');

# ---- degenerate models --------------------------------------------------

my $before = slurp("$pub/current.json");
my @names = files($pub);

sub refused {
    my ($what, $file, $words) = @_;

    my ($status, $out, $err) =
        reco('publish', $file, '--to', $pub, '--json');
    is($status, 1, "$what is refused");
    like($err, $words, "$what: words");
    is(slurp("$pub/current.json"), $before, "$what: the manifest stays");
    is_deeply([files($pub)], \@names, "$what: no file is added");

    return $out ? decode_json($out) : undef;
}

my $empty = snapshot('3', 0, 10);
$answer = refused('an empty table', $empty,
                  qr/refused: its policy is 'q_table', and its table is empty \(--force publishes it anyway\)$/m);
ok(!$answer->{published}, 'an empty table: as JSON');
is(scalar @{ $answer->{reasons} }, 2, 'empty, and a collapse of coverage');

refused('no active action',
        snapshot('3', 10, 10, actions => [
            { id => 'mug', active => JSON::PP::false } ]),
        qr/none of its 1 actions is active/);
refused('half of the states less one', snapshot('3', 4, 10),
        qr/it has 4 states, less than half of the 10 of generation 7/);
refused('half of the customers less one', snapshot('3', 10, 4),
        qr/it has 4 customers, less than half of the 10 of generation 7/);
refused('another model',
        snapshot('3', 10, 10, model => 'other'), qr/serves model "shop"/);
refused('a text', spew("$dir/text", "no snapshot\n" x 1000),
        qr/text: /);
refused('nothing', "$dir/nothing", qr/nothing: /);

$answer = publish(snapshot('4', 5, 5));
is($answer->{generation}, 8, 'just half is published');

$answer = publish($empty, '--force');
is($answer->{generation}, 9, '--force publishes');
is(scalar @{ $answer->{reasons} }, 2, 'and repeats the reasons');
$answer = publish($one);
is($answer->{generation}, 10, 'growth is no collapse');

# Policies without a table need none.
my $uniform = snapshot('1', 0, 0, policy => { type => 'uniform' });
is(reco_json('publish', $uniform, '--to', "$dir/other", '--json')
   ->{generation}, 1, 'uniform, without customers');

# ---- the folder ---------------------------------------------------------

is(reco_json('publish', $uniform, '--to', "$dir/a//b/c/", '--json')
   ->{generation}, 1, 'the folders above it are made too');
ok(-f "$dir/a/b/c/current.json", '... and it is published there');
spew("$dir/file", '');
($status, $out, $err) = reco('publish', $uniform, '--to', "$dir/file/x");
is($status, 1, 'below a file');
like($err, qr/Not a directory/, '... says so');

# ---- damaged files ------------------------------------------------------

sub damage {
    my ($path, $change) = @_;
    my $text = slurp($path);

    $change->($text);
    spew($path, $text);
}

# Every byte of the page that a record is in, overwritten.
damage($one, sub { substr($_[0], 8192, 4096) = "\xff" x 4096 });
($status, $out, $err) = reco('verify', $one);
is($status, 1, 'a damaged file without a checksum');
like($err, qr/$one: ./, 'says what');
$before = slurp("$pub/current.json");
@names = files($pub);
refused('a damaged file', $one, qr/$one: ./);

# Headers of the main tree's root at which LMDB crashes, gives up with abort(),
# and searches for ever.
for my $case (['crash', 2, 0, 'verify', 'inspect'],
              ['abort', 1, 18, 'verify', 'inspect'],
              ['circle', 0x72, 4, 'verify'])
{
    my ($name, $flags, $lower, @commands) = @$case;
    my $tree = snapshot($name, 10, 10);

    damage($tree, sub {
        my $meta = 4096 * (unpack('Q<', substr($_[0], 4096 + 144))
                           > unpack('Q<', substr($_[0], 144)));
        my $root = 4096 * unpack('Q<', substr($_[0], $meta + 128));

        substr($_[0], $root, 16) =
            pack('Q<S<4', 0, 0, $flags, $lower, 100);
    });
    for my $command (@commands) {
        ($status, $out, $err) = reco($command, $tree);
        is($status, 1, "$command of a damaged tree: $name");
        like($err, qr/$tree: ./, 'says what');
    }
}

# A customer's record: one word, whose place is moved out of the record.
my $three = snapshot('3', 10, 10);
damage($three, sub { $_[0] =~ s/\x01\x00\x00\x80\K\x06(?=\x00\x02FR)/\x60/ });
($status, $out, $err) = reco('verify', $three);
is($status, 1, 'a damaged record');
like($err, qr/$three: ./, 'says what');

damage($two, sub { substr($_[0], -4096) = '' });
($status, $out, $err) = reco('verify', $two, '--json');
is($status, 1, 'a truncated file');
like($err, qr/$two: ./, 'says what');
ok(!decode_json($out)->{ok}, 'as JSON');

my $file = "$pub/" . current()->{file};
my $good = slurp($file);
damage($file, sub { substr($_[0], 5000, 1) ^= "\x01" });
($status, $out, $err) = reco('verify', $pub);
is($status, 1, 'one bit of a published file');
like($err, qr/its checksum is not the manifest's/, 'says the checksum');

spew($file, $good . "\0");
($status, $out, $err) = reco('verify', $pub);
is($status, 1, 'a byte too many');
like($err, qr/has \d+ bytes, the manifest says \d+/, 'says the size');

spew($file, $good);
my $manifest = slurp("$pub/current.json");
spew("$pub/current.json", $manifest =~ s/"generation": 10/"generation": 11/r);
($status, $out, $err) = reco('verify', $pub);
is($status, 1, 'another generation in the manifest');
like($err, qr/is generation 10, the manifest says 11/, 'says both');
spew("$pub/current.json", $manifest);

unlink $file;
($status, $out, $err) = reco('verify', $pub);
is($status, 1, 'a published file that is gone');
spew($file, $good);
($status, $out, $err) = reco('verify', $pub);
is($status, 0, 'and back again');

spew("$pub/current.json", '{');
($status, $out, $err) = reco('verify', $pub);
is($status, 1, 'a broken manifest');
($status, $out, $err) = reco('publish', $empty, '--to', $pub, '--force');
is($status, 1, 'is not published over');
is(slurp("$pub/current.json"), '{', 'it stays');

($status, $out, $err) = reco('verify', $dir);
is($status, 1, 'verify a folder without snapshots');
($status, $out, $err) = reco('verify', "$dir/nothing");
is($status, 1, 'verify nothing');
like($err, qr/cannot open '.*nothing': No such file/, 'says so');

done_testing();
