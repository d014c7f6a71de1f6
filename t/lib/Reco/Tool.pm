package Reco::Tool;

# Runs the `reco` tool for the tests of t/tools: binary $RECO_TOOL, else
# build/reco; every test gets a folder of its own that goes with it.

use strict;
use warnings;

use Cwd qw(abs_path);
use Exporter qw(import);
use File::Temp qw(tempdir);
use JSON::PP ();

our @EXPORT = qw(reco reco_json folder spew slurp files data_dir);

my $binary = abs_path($ENV{RECO_TOOL} // 'build/reco');

# A fresh folder, removed at the end.
sub folder {
    return tempdir('reco-test-XXXXXX', TMPDIR => 1, CLEANUP => 1);
}

sub spew {
    my ($path, $text) = @_;

    open(my $f, '>:raw', $path) or die "$path: $!";
    print $f $text;
    close($f) or die "$path: $!";

    return $path;
}

sub slurp {
    my ($path) = @_;

    open(my $f, '<:raw', $path) or die "$path: $!";
    local $/;

    return scalar <$f>;
}

# Names in a folder, sorted.
sub files {
    my ($dir) = @_;

    opendir(my $d, $dir) or die "$dir: $!";

    return sort grep { !/^\.\.?$/ } readdir $d;
}

# Exit status (minus the number of the signal that ended it), standard output,
# standard error.
sub reco {
    my (@args) = @_;
    my $dir = folder();

    my $pid = fork() // die "fork: $!";
    if ($pid == 0) {
        open(STDIN, '<', '/dev/null') or die;
        open(STDOUT, '>', "$dir/out") or die;
        open(STDERR, '>', "$dir/err") or die;
        exec($binary, @args) or die "$binary: $!";
    }
    waitpid($pid, 0);
    my $status = $? & 127 ? -($? & 127) : $? >> 8;

    return ($status, slurp("$dir/out"), slurp("$dir/err"));
}

# The same for a command that must succeed and print JSON.
sub reco_json {
    my (@args) = @_;
    my ($status, $out, $err) = reco(@args);

    if ($status != 0) {
        die "reco @args: exit $status: $err";
    }

    return JSON::PP->new->utf8->allow_nonref->decode($out);
}

# Where the public data sets are, or undef.
sub data_dir {
    my $dir = $ENV{RECO_DATA} // '../shared/data';

    return -d $dir ? $dir : undef;
}

1;
