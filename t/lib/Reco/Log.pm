package Reco::Log;

# Writes event-log segments by hand (docs/FORMAT.md), so that what the tools
# make of a log can be checked against records that a person wrote.

use strict;
use warnings;

use Exporter qw(import);
use JSON::PP ();

our @EXPORT = qw(decision reward lost id write_segment);

my $json = JSON::PP->new->utf8->canonical;

# Decision ids 0, 1, 2 ... as the log has them.
sub id {
    my ($n) = @_;

    return sprintf('%032x', $n);
}

# Propensities are given as probabilities.
sub decision {
    my ($n, $time, %more) = @_;
    my @p = map { int($_ * 2 ** 32 + 0.5) }
        @{ delete $more{p} // [1 / 4] };

    return {
        type => 'decision', id => id($n), time => $time, model => 'shop',
        generation => 1, features => {}, actions => 4, eligible => 'all',
        slate => ['A'], propensity => \@p, policy => 'uniform', %more,
    };
}

# A reward of decision $n (undef: by customer).
sub reward {
    my ($n, $time, $facts, %more) = @_;

    return {
        type => 'reward', time => $time, model => 'shop', generation => 1,
        facts => $facts, (defined $n ? (decision => id($n)) : ()), %more,
    };
}

# A note: numbers $from to $to, of which so many were decisions and rewards.
sub lost {
    my ($time, $from, $to, $decisions, $rewards, %more) = @_;

    return {
        type => 'lost', time => $time, from => $from, to => $to,
        decisions => $decisions, rewards => $rewards, %more,
    };
}

# A whole segment; records without a sequence number continue the count. $time:
# when it was opened; with a clock: [that, wall minus monotonic clock, boot].
# Returns its path.
sub write_segment {
    my ($dir, $node, $incarnation, $number, $time, @records) = @_;
    my $path = sprintf('%s/reco-%s-%08x-%06d.ndjson', $dir, $node,
                       $incarnation, $number);
    my $seq = 0;
    my ($opened, @clock) = ref $time ? @$time : $time;
    my $text = sprintf('{"type":"segment","format":1,"node":"%s",'
                       . '"incarnation":"%08x","segment":%d,"time":%d,%s'
                       . '"pad":"', $node, $incarnation, $number, $opened,
                       @clock ? sprintf('"clock":%d,"boot":"%s",', @clock)
                              : '');

    $text .= '.' x (512 - 3 - length $text) . qq("}\n);
    for my $r (@records) {
        $seq = $r->{seq} // $seq + 1;
        $text .= $json->encode({ seq => $seq, %$r }) . "\n";
    }

    -d $dir or mkdir $dir or die "$dir: $!";
    open(my $f, '>:raw', $path) or die "$path: $!";
    print $f $text;
    close($f) or die "$path: $!";

    return $path;
}

1;
