#!/usr/bin/perl

# docs/SPEC.md: every spec that it shows can be built, and every command that it
# shows works as written.

use strict;
use warnings;

use Cwd qw(abs_path getcwd);
use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP qw(decode_json);
use Reco::Tool;
use Test::More;

my $root = abs_path("$FindBin::Bin/../..");
my $tool = abs_path($ENV{RECO_TOOL} // 'build/reco');
my $dir = folder();
my $text = slurp("$root/docs/SPEC.md");

mkdir "$dir/bin" or die $!;
symlink $tool, "$dir/bin/reco" or die $!;
symlink "$root/conf", "$dir/conf" or die $!;

# Specs as MODEL.json, as the text calls them.
my @specs;
while ($text =~ /^```json\n(.*?)^```$/gms) {
    my $model = decode_json($1)->{model} // next;

    spew("$dir/$model.json", $1);
    push @specs, $model;
}
is_deeply([sort @specs], [qw(banners cart company home minimal)],
          'specs that are shown');

my $before = getcwd();
chdir $dir or die $!;
local $ENV{PATH} = "$dir/bin:$ENV{PATH}";

my $n = 0;
while ($text =~ /^```sh\n(.*?)^```$/gms) {
    my $out = qx(sh -e <<'END_OF_BLOCK' 2>&1\n$1\nEND_OF_BLOCK);

    is($?, 0, 'commands ' . ++$n) or diag "$1\n$out";
}
is($n, 6, 'all of them');

# What needs no file besides is built without one.
for my $spec ((map { "$_.json" } qw(banners company minimal)),
              map { "conf/models/$_.json" } qw(minimal demo offers company-b))
{
    my $out = qx((reco build $spec --out x.mdb &&
                  reco publish x.mdb --to models/\$\$) 2>&1);

    is($?, 0, "$spec needs nothing else") or diag $out;
}

chdir $before;
is(reco_json('inspect', "$dir/models/home", '--json', '--state', 'phone,0')
   ->{values}[0]{value}, 0.3, 'the values of the text are in its model');

done_testing();
