package Reco::Disk;

# A disk that a test may look at and break: t/lib/disk.c under an nginx.
#
#   my $disk = Reco::Disk->new($n, delay => 5) or skip ...;
#   $disk->start;                     # $n, with the library
#   $disk->fail(fdatasync => 2, 1);   # the third one from now on, once
#   $disk->left('fdatasync');         # how many are still to fail
#   $disk->works;                     # nothing fails any more
#   $disk->trace;                     # what was done, in order
#
# Kinds are those of disk.c; 'delay' is in milliseconds.

use strict;
use warnings;

use Cwd qw(abs_path);
use Exporter qw(import);

use Reco::Nginx;
use Reco::Preload;

our @EXPORT_OK = qw($ALL);
our $ALL = 1 << 30;

my @KINDS = qw(write part cut fdatasync fsync folder rename create);

sub new {
    my ($class, $n, %o) = @_;
    my $library = preload('disk') or return undef;
    my $self = bless { n => $n, library => $library, delay => $o{delay} // 0,
        file => $n->path('disk.trace'), faults => $n->path('disk.faults') },
        $class;
    $n->write('disk.faults', pack 'l*', (0) x (2 * @KINDS));
    return $self;
}

sub start {
    my ($self) = @_;
    local $ENV{LD_PRELOAD} = $self->{library};
    local $ENV{RECO_DISK} = abs_path($self->{n}->path('log'));
    local $ENV{RECO_DISK_TRACE} = $self->{file};
    local $ENV{RECO_DISK_FAULTS} = $self->{faults};
    local $ENV{RECO_DISK_DELAY} = $self->{delay};
    return $self->{n}->start;
}

sub _place {
    my ($kind) = @_;
    my ($i) = grep { $KINDS[$_] eq $kind } 0 .. $#KINDS;
    return 8 * ($i // die "no kind '$kind'");
}

# So many calls succeed, so many fail then ($ALL: all).
sub fail {
    my ($self, $kind, $succeed, $fail) = @_;
    open my $f, '+<:raw', $self->{faults} or die "$self->{faults}: $!";
    sysseek $f, _place($kind), 0;
    syswrite $f, pack 'l2', $succeed, $fail;
}

sub left {
    my ($self, $kind) = @_;
    open my $f, '<:raw', $self->{faults} or die "$self->{faults}: $!";
    sysseek $f, _place($kind), 0;
    sysread $f, my $two, 8;
    return (unpack 'l2', $two)[1];
}

sub works {
    my ($self) = @_;
    $self->fail($_, 0, 0) for @KINDS;
}

# Entries in order: op, pid, time (seconds, monotonic), offset, name (without
# the folder, '' for the folder itself), data.
sub trace {
    my ($self) = @_;
    my $dir = abs_path($self->{n}->path('log'));
    my @entries;

    open my $f, '<:raw', $self->{file} or die "$self->{file}: $!";
    while (my $line = <$f>) {
        chomp $line;
        my ($op, $pid, $ns, $offset, $len, $path) = split / /, $line, 6;
        read($f, my $data, $len) == $len or die 'the trace is torn';
        s{^\Q$dir\E/?}{} for $path, $data;
        push @entries, { op => $op, pid => $pid, time => $ns / 1e9,
            offset => $offset, name => $path, data => $data };
    }

    return @entries;
}

1;
