package Reco::PowerLoss;

# What a machine that loses power leaves of a folder, by a trace of what was
# done to it (Reco::Disk), at its worst: of a file no more than what had been
# written when the last sync that ended began; of the folder the names that it
# had when its own last sync began.
#
#   my $m = Reco::PowerLoss->new;
#   $m->apply($_) for @entries;
#   my %files = $m->left('least');      # name to content
#
# A sync that failed loses for good what it was to write: later syncs of that
# file do not bring it back, its place is zeros (Rebello and others, "Can
# Applications Recover from fsync Failures?", USENIX ATC 2020).
#
# Beside 'least' there is what a kinder or stranger disk leaves, at random:
# 'torn' (some of the names, the tail of a file up to any byte), 'zeros' (the
# length has grown, the pages have not come) and 'hole' (one page has not come,
# those behind it have).

use strict;
use warnings;

my $PAGE = 4096;

sub new {
    return bless { names => {}, durable => {}, syncs => {}, files => [] },
        shift;
}

sub apply {
    my ($self, $e) = @_;
    my $op = "_$e->{op}";
    my $file = $self->{names}{ $e->{name} };
    return if !$file && $e->{name} ne '' && $op ne '_create';
    $self->$op($e, $file);
}

sub _create {
    my ($self, $e) = @_;
    push @{ $self->{files} }, $self->{names}{ $e->{name} }
        = { data => '', kept => '', failed => [] };
}

sub _write {
    my ($self, $e, $file) = @_;
    substr($file->{data}, $e->{offset}) = $e->{data};
}

sub _cut {
    my ($self, $e, $file) = @_;
    substr($file->{data}, $e->{offset}) = '';
}

sub _rename {
    my ($self, $e, $file) = @_;
    delete $self->{names}{ $e->{name} };
    $self->{names}{ $e->{data} } = $file;
}

sub _unlink {
    my ($self, $e) = @_;
    delete $self->{names}{ $e->{name} };
}

# Of overlapping syncs of one process the first that began counts for the
# first that ended.
sub _begin {
    my ($self, $e, $file) = @_;
    my $what = $file ? $file->{data} : { %{ $self->{names} } };
    push @{ $self->{syncs}{"$e->{pid} $e->{name}"} }, $what;
}

sub _end {
    my ($self, $e, $file) = @_;
    my $what = shift @{ $self->{syncs}{"$e->{pid} $e->{name}"} };

    if ($e->{offset} != 0) {
        push @{ $file->{failed} }, [ length $file->{kept},
            length $file->{data} ] if $file;
        return;
    }

    if (!$file) {
        $self->{durable} = $what;
        return;
    }

    for my $range (@{ $file->{failed} }) {
        my ($from, $to) = @$range;
        $to = length $what if $to > length $what;
        substr($what, $from, $to - $from) = "\0" x ($to - $from) if $to > $from;
    }

    $file->{kept} = $what;
}

# ---- what is left ----------------------------------------------------------- #

sub left {
    my ($self, $how) = @_;
    my $names = $how eq 'least' ? $self->{durable} : $self->_some_names;
    return map { $_ => $self->_content($names->{$_}, $how) } keys %$names;
}

# Each file has the name it had at the folder's last sync, or the one it has.
sub _some_names {
    my ($self) = @_;
    my (%old, %new, %names);
    $old{ $self->{durable}{$_} } = $_ for keys %{ $self->{durable} };
    $new{ $self->{names}{$_} } = $_ for keys %{ $self->{names} };

    for my $file (@{ $self->{files} }) {
        my $name = (rand() < 0.5 ? \%old : \%new)->{$file};
        $names{$name} = $file if defined $name;
    }

    return \%names;
}

sub _content {
    my ($self, $file, $how) = @_;
    my ($kept, $data) = @$file{qw(kept data)};
    my $more = length($data) - length($kept);

    return $kept if $how eq 'least' || $more <= 0 || rand() < 0.2;

    my $some = 1 + int rand $more;
    return $kept . substr $data, length $kept, $some if $how eq 'torn';
    return $kept . "\0" x $some if $how eq 'zeros';

    # the page that the kept ones end in came, and those behind the next
    my $from = (int(length($kept) / $PAGE) + 1) * $PAGE;
    my $all = substr $data, 0, length($kept) + $some;
    return $all if $from >= length $all;
    my $gone = length($all) - $from < $PAGE ? length($all) - $from : $PAGE;
    substr($all, $from, $gone) = "\0" x $gone;
    return $all;
}

1;
