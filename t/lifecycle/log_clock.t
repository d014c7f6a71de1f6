# A machine's clock that is set while the log is written: a segment's header
# says how the clock of its records stands to the monotonic one, so that they
# have an order whatever the clock did. The library's clock is replaced by one
# that can be set.

use strict;
use warnings;

use lib 't/lib';
use Reco::Lifecycle;
use Reco::Nginx;
use Reco::Preload;
use Reco::Tool qw(folder spew);
use Test::More;
use Time::HiRes qw(time);

my $library = preload('clock');
plan skip_all => 'no library to set the clock with'
    if !$library || $ENV{ASAN_OPTIONS};     # it asks for time before we can say

my $ahead = folder() . '/clock';
spew($ahead, pack 'q', 0);

# So many milliseconds ahead.
sub set_clock {
    open my $f, '+<:raw', $ahead or die "$ahead: $!";
    syswrite $f, pack 'q', $_[0] * 1e6;
}

sub server {
    my ($more) = @_;
    $more //= '';
    my $n = Reco::Nginx->new(
        conf_http => 'reco_zone reco:2m; reco_node edge;'
            . " reco_model shop models/shop check=1s; reco_log log $more;",
        conf_server => 'location = /decide { reco_recommend shop; }'
            . ' location = /status { reco_status json; }');
    publish($n);
    set_clock(0);
    local @ENV{qw(LD_PRELOAD RECO_CLOCK)} = ($library, $ahead);
    return $n->start;
}

# The records of the worker in order of their numbers, each with the clock of
# its segment and its time on the axis that nobody sets.
sub records {
    my ($n) = @_;
    my ($clock, @records);
    for my $e ($n->events) {
        if ($e->{type} eq 'segment') {
            $clock = $e->{clock};
        } else {
            push @records, { %$e, clock => $clock,
                on_axis => $e->{time} - $clock };
        }
    }
    return sort { $a->{seq} <=> $b->{seq} } @records;
}

# ---- a day ahead, and back -------------------------------------------------- #

my $day = 86_400_000;
my $n = server();
decide($n) for 1 .. 2;
set_clock($day);
decide($n) for 1 .. 2;
set_clock(0);
decide($n) for 1 .. 2;
set_clock(400);                         # less than what counts as a step
decide($n) for 1 .. 2;
is counter($n, 'events', 'log_clock_steps'), 2, 'two steps are counted';
is scalar(() = $n->error_log =~ /\[notice\].*clock stepped by -?\d+ ms/g), 2,
    'and told';
ok $n->stop, 'stop';

my @records = records($n);
is_deeply [ map { $_->{seq} } @records ], [ 1 .. 8 ],
    'all are there, in their order';
is scalar(grep { $_->{type} eq 'lost' } @records), 0, 'none is lost';

my @headers = grep { $_->{type} eq 'segment' } $n->events;
is scalar @headers, 3, 'three segments';
cmp_ok abs($headers[1]{clock} - $headers[0]{clock} - $day), '<', 1000,
    'the second one a day ahead';
cmp_ok abs($headers[2]{clock} - $headers[0]{clock}), '<', 1000,
    'the third one not';
is_deeply [ map { int(($_->{clock} - $headers[0]{clock} + 1000) / $day) }
    @records ], [ 0, 0, 1, 1, 0, 0, 0, 0 ],
    'each record has the clock of its time';

open my $b, '<', '/proc/sys/kernel/random/boot_id';
chomp(my $boot = $b ? scalar <$b> : '');
is_deeply [ map { $_->{boot} // '' } @headers ], [ ($boot) x 3 ],
    'and the boot of the machine';

cmp_ok $records[3]{time} - $records[4]{time}, '>', $day / 2,
    'times are out of order';
my $back = 0;
for (1 .. $#records) {
    $back++ if $records[$_]{on_axis} < $records[$_ - 1]{on_axis} - 1000;
}
is $back, 0, 'and in order on the axis';
$n->ok_log;

# ---- a clock that is set all the time ---------------------------------------- #

$n = server();
my $began = time;
for (1 .. 60) {
    set_clock($_ % 2 * 3_600_000);
    decide($n);
}
my $steps = counter($n, 'events', 'log_clock_steps');
cmp_ok $steps, '>=', 16, 'the first steps each begin a segment';
cmp_ok $steps, '<=', 18 + time - $began, 'then one a second';
note "60 steps, $steps segments begun";
ok $n->stop, 'stop';
is_deeply [ map { $_->{seq} } records($n) ], [ 1 .. 60 ], 'nothing is lost';
$n->ok_log;

# ---- keep= while the clock is wrong ------------------------------------------ #

# A day ahead every segment is older than an hour by the wall clock. What this
# boot wrote is not, by the clock that nobody sets; another boot's may go.
$n = server('keep=1h');
decide($n) for 1 .. 3;
kill 'USR1', $n->pid;
my @closed;
ok $n->wait_for(sub { @closed = glob $n->path('log/*.ndjson') }), 'closed';
my $other = $n->path('log/reco-edge-00000001-000000.ndjson');
open my $o, '>', $other or die $!;
print {$o} '{"type":"forgotten","seq":1,"time":1700000000000}', "\n" for 1, 2;
close $o;
chown((stat $closed[0])[4, 5], $other);
utime 1_700_000_000, 1_700_000_000, $other;
set_clock($day);
decide($n);
kill 'HUP', $n->pid;                    # whose workers look at once
ok $n->wait_for(sub { !-e $other }), 'a segment that is old goes';
ok -e $closed[0], 'one of a moment ago stays, though the clock is a day ahead';
set_clock(0);
ok $n->stop, 'stop';
$n->ok_log;

done_testing;
