#!/usr/bin/perl

# Damaged snapshots given to the commands that read them: a message and exit
# status 1, never a signal.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Reco::Tool;
use Test::More;

# what reads them dies of LMDB's signal, which a sanitizer would make an exit
$ENV{ASAN_OPTIONS} .= ':handle_segv=0:handle_sigbus=0:handle_abort=0'
    if $ENV{ASAN_OPTIONS};

my $dir = folder();

spew("$dir/spec.json", <<'END');
{"model": "m", "version": "1", "features": [
   {"name": "city", "type": "category", "from": ["customer"]}],
 "actions": [{"id": "A"}, {"id": "B"}], "policy": {"type": "uniform"},
 "columns": {"customer": "id"}}
END
spew("$dir/customers.csv", "id,city\nc1,Oslo\nc2,Rome\n");
spew("$dir/in.csv", "id\nc1\nc2\n");
is((reco('build', "$dir/spec.json", '--customers', "$dir/customers.csv",
         '--out', "$dir/good.mdb"))[0], 0, 'build');
is((reco('publish', "$dir/good.mdb", '--to', "$dir/models"))[0], 0,
   'publish');
my ($name) = grep { /\.mdb$/ } files("$dir/models");
is((reco('batch', "$dir/models", '--in', "$dir/in.csv", '--out',
         "$dir/out.csv", '--log', "$dir/log"))[0], 0, 'decide');
is((reco('replay', '--log', "$dir/log", '--models', "$dir/models"))[0], 0,
   'replay');

my $whole = slurp("$dir/models/$name");

# Headers of the main tree's root at which LMDB crashes and gives up.
sub tree {
    my ($flags, $lower) = @_;
    my $file = $whole;
    my $meta = 4096 * (unpack('Q<', substr($file, 4096 + 144))
                       > unpack('Q<', substr($file, 144)));
    my $root = 4096 * unpack('Q<', substr($file, $meta + 128));

    substr($file, $root, 16) = pack('Q<S<4', 0, 0, $flags, $lower, 100);

    return $file;
}

# A customer's word, whose place is moved out of its record.
my $record = $whole;
ok($record =~ s/\x01\x00\x00\x80\K\x06(?=\x00\x04Oslo)/\x60/,
   'the record is found');

for my $case ([ 'crash', tree(2, 0) ], [ 'abort', tree(1, 18) ],
              [ 'record', $record ])
{
    my ($what, $file) = @$case;
    my $one = spew("$dir/$what.mdb", $file);

    spew("$dir/models/$name", $file);
    my %commands = (
        'batch' => [ 'batch', $one, '--in', "$dir/in.csv", '--out',
                     "$dir/none" ],
        'batch of a folder' => [ 'batch', "$dir/models", '--in',
                                 "$dir/in.csv", '--out', "$dir/none" ],
        'replay' => [ 'replay', '--log', "$dir/log", '--models',
                      "$dir/models" ],
        'export of agents' => [ 'export', '--table', 'agents', '--format',
                                'csv', '--models', "$dir/models" ],
        'export of products' => [ 'export', '--table', 'products',
                                  '--format', 'csv', '--models',
                                  "$dir/models" ],
        'train --base' => [ 'train', '--log', "$dir/log", '--base', $one,
                            '--out', "$dir/none" ],
        'rollback' => [ 'rollback', "$dir/models", '--to', 1 ],
    );
    for my $command (sort keys %commands) {
        my ($status, $out, $err) = reco(@{ $commands{$command} });

        is($status, 1, "$what: $command");
        like($err, qr/^reco: .*(?:$what\.mdb|$name): ./m, '... says what')
            if $command ne 'rollback';
        my @times = $err =~ /($name)/g;
        cmp_ok(scalar @times, '<=', 1, '... once');
    }
}
ok(!-e "$dir/none", 'nothing is written');

done_testing();
