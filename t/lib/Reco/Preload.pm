package Reco::Preload;

# Libraries that stand between what is tested and the system, compiled when a
# test asks for them.
#
#   my $library = preload('fault') or skip 'no library to ...', 1;
#   local $ENV{LD_PRELOAD} = $library;
#   preload('hang', flags => ...);      # t/lib/hang.c, with flags of cc
#   preload('slow', text => 'int ...'); # the text of one

use strict;
use warnings;

use Cwd qw(abs_path);
use Exporter qw(import);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);

our @EXPORT = qw(preload);

my $sources = abs_path(dirname(__FILE__) . '/..');
my $scratch = tempdir('reco-test.XXXXXX', TMPDIR => 1, CLEANUP => 1);
my %built;
my $texts = 0;

# What LD_PRELOAD is to be, or undef where that cannot be had: no compiler, or
# valgrind, which has libraries of its own there.
sub preload {
    my ($name, %o) = @_;
    return undef if $ENV{RECO_VALGRIND};
    my $cc = $ENV{CC} || 'cc';
    my $source = "$sources/$name.c";
    my $library = "$scratch/$name.so";

    if (defined $o{text}) {
        $source = "$scratch/$name-" . ++$texts . '.c';
        $library = $source =~ s/c\z/so/r;
        open my $f, '>', $source or die "$source: $!";
        print {$f} $o{text};
        close $f or die "$source: $!";
    }

    my $flags = $o{flags} // '';
    $built{$library} //= system("$cc -O1 -shared -fPIC $flags -o $library"
        . " $source -ldl > /dev/null 2>&1") == 0;
    return undef unless $built{$library};

    # the sanitizer's own library has to come first
    my $first = $ENV{ASAN_OPTIONS} ? qx($cc -print-file-name=libasan.so) : '';
    chomp $first;
    return "$first $library" =~ s/^ //r;
}

1;
