# A wall clock that is set by a day and back while nginx serves: answers,
# tokens, sequence numbers, segments and what training makes of the log.

use strict;
use warnings;

use lib 't/lib';
use Reco::Lifecycle;
use Reco::Nginx;
use Reco::Preload;
use Reco::Tool qw(reco_json);
use Test::More;

use constant DAY => 86_400;

my $library = preload('clock');
plan skip_all => 'no library to set the clock with'
    if !$library || $ENV{ASAN_OPTIONS};     # it asks for time before we can say

my @model = (features => [], policy => { type => 'p_table', slate => 1,
    state => [] }, reward => { click => 1, horizon => '30m' });

my $n = Reco::Nginx->new(
    workers => 2,
    files => { secret => 'hash ' . 'ab' x 32 . "\nsign k1 " . 'cd' x 32
        . "\n" },
    conf_http => 'reco_zone reco:2m; reco_node edge; reco_secret secret;'
        . ' reco_model shop models/shop check=200ms;'
        . ' reco_log log age=1h sync=always;',
    conf_server => 'location = /decide { reco_recommend shop; }'
        . ' location = /reward { reco_reward shop; }'
        . ' location = /health { reco_health shop format=cart; }'
        . ' location = /status { reco_status json; }');
$n->write('clock', pack 'q', 0);
publish($n, @model, policy => { type => 'uniform', slate => 1 });
{
    local $ENV{LD_PRELOAD} = $library;
    local $ENV{RECO_CLOCK} = $n->path('clock');
    $n->start;
}
$n->wait_for(sub { 2 == (() = $n->worker_pids) });

# Seconds ahead.
sub set_clock {
    open my $f, '+<:raw', $n->path('clock') or die $!;
    syswrite $f, pack 'q', $_[0] * 1e9;
}

my @statuses;
my $customer = 0;

sub made {
    my ($phase) = @_;
    my $who = 'c' . $customer++;
    my $a = decide($n, $who);
    push @statuses, "decide $a->{http}" if $a->{http} != 200 || $a->{unlogged};
    return { id => $a->{decision}, customer => $who };
}

# by decision: with its token; by customer: that customer's last decision
sub rewarded {
    my ($d, $how) = @_;
    my $r = $n->json('POST', '/reward', { customer => $d->{customer},
        ($how eq 'token' ? (decision => $d->{id}) : ()),
        facts => { click => 1 } });
    push @statuses, "$how $r->{status}: $r->{body}" if $r->{status} != 200;
}

# Both workers have written since: each notices a step when it writes.
sub noticed {
    my ($steps) = @_;
    return $n->wait_for(sub {
        made();
        return counter($n, 'events', 'log_clock_steps') >= 2 * $steps;
    });
}

# ---- under load ------------------------------------------------------------- #

# Half of a phase's decisions are rewarded in it, half after the next step,
# each half by token and by customer.
my @phases = (0, DAY, 0, -DAY(), 0);
my @later;
for my $phase (0 .. $#phases) {
    set_clock($phases[$phase]);
    # the first that the new clock writes
    rewarded(@$_) for splice @later;
    noticed($phase) or fail "step $phase is noticed by both workers";
    for (1 .. 10) {
        rewarded(made(), 'token');
        rewarded(made(), 'customer');
        push @later, [ made(), 'token' ], [ made(), 'customer' ];
    }
    is $n->request('GET', '/health')->{status}, 200,
        "clock $phases[$phase] s ahead: healthy";
    my $published = publish($n, @model, policy => { type => 'uniform',
        slate => 1 }, version => '1.0.' . ($phase + 1));
    cmp_ok generation_soon($n, $published->{generation}), '<', 1e9,
        '... a new snapshot is served';
}
rewarded(@$_) for splice @later;

is_deeply \@statuses, [], 'all is answered and logged: 200';
is counter($n, 'events', 'log_clock_steps'), 8, 'four steps a worker are seen';
my ($says, %told) = $n->error_log;
$told{$1}++ while $says =~ /(\d+)#\d+: reco: .*clock stepped/g;
is_deeply [ values %told ], [ 4, 4 ], '... and told, each once';

# ---- the log ---------------------------------------------------------------- #

ok $n->stop, 'stop';
my (%ids, %seq, %segments);
my ($lost, $decisions) = (0, 0);
for my $e ($n->events) {
    my ($incarnation) = $e->{file} =~ /-([0-9a-f]{8})-\d+\.ndjson/;
    $segments{$incarnation}++ if $e->{type} eq 'segment';
    push @{ $seq{$incarnation} }, $e->{seq} if $e->{type} ne 'segment';
    $ids{ $e->{id} }++ if $e->{type} eq 'decision';
    $lost++ if $e->{type} eq 'lost';
}
is_deeply [ grep { $_ > 1 } values %ids ], [], 'ids of decisions are unique';
is_deeply [ grep { "@{ $seq{$_} }" ne join ' ', 1 .. @{ $seq{$_} } }
    keys %seq ], [], 'sequence numbers have no hole and are in order';
is $lost, 0, 'nothing is noted as lost';
is_deeply [ values %segments ], [ 5, 5 ], 'a step begins one segment a worker';

# ---- what training makes of it ---------------------------------------------- #

my $spec = $n->write('train.json', spec(@model));
my $trained = reco_json('train', '--json', '--live', '--spec', $spec, '--log',
    $n->path('log'), '--out',
    $n->path('trained.mdb'));
my $log = $trained->{log};
is $log->{facts}{counted}, 5 * 40, 'train: all rewards are counted';
is_deeply { map { $_ => $log->{facts}{$_} } grep { $_ ne 'counted' }
    keys %{ $log->{facts} } }, { duplicate => 0, orphan => 0, early => 0,
    late => 0, out_of_range => 0, unused => 0 }, '... and once';
is $log->{censored}{gap}, 0, '... nothing is censored for a gap';
is $log->{decisions}, scalar keys %ids, '... all decisions are there';
$n->ok_log;

done_testing;
