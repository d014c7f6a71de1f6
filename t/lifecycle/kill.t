# kill -9 of workers and of the master: what a client saw is in the log, once,
# and what a killed worker left is recovered by its successor. Three kills
# under load, twenty in the long form (RECO_SLOW=1).

use strict;
use warnings;

use lib 't/lib';
use Reco::Lifecycle;
use Reco::Nginx;
use Test::More;
use Time::HiRes qw(sleep);

# RECO_SLOW is also a factor of time limits, which sanitizers set; the long
# form has the factor 1.
my $kills = ($ENV{RECO_SLOW} // '') eq '1' ? 20 : 3;

my $n = Reco::Nginx->new(
    workers => 2,
    conf_http => 'reco_zone reco:2m; reco_node edge;'
        . ' reco_model shop models/shop check=1s; reco_log log;',
    conf_server => 'location = /decide { reco_recommend shop; }'
        . ' location = /reward { reco_reward shop; }'
        . ' location = /status { reco_status json; }');
# a new master tries a port again that killed workers have for a moment more
my @provoked = (qr/worker process \d+ exited on signal 9/,
    qr/bind\(\) to \S+ failed \(98: /);

publish($n);
$n->start;

# ---- under load ----------------------------------------------------------- #

# A client that decides and rewards, each on a connection of its own, and
# writes down what it saw: "d ID", "r KEY" and, of what came to nothing, "-".
sub client {
    my ($number) = @_;
    return begin_client(sub {
        my ($out, $i) = @_;
        my $a = eval { decide($n, "c$number") } || {};
        my $id = ($a->{http} // 0) == 200 && !$a->{unlogged} && $a->{decision};
        print {$out} $id ? "d $id\n" : "-\n";
        if ($id) {
            my $r = eval { $n->json('POST', '/reward', { decision => $id,
                key => "$number-$i", facts => { click => 1 } }) } || {};
            print {$out} ($r->{status} // 0) == 200 ? "r $number-$i\n" : "-\n";
        }
        sleep 0.001;
    });
}

# Waits until the clients saw so many more answers.
sub await_more {
    my ($more, @clients) = @_;
    my $before = grep { !/^-/ } seen_by(@clients);
    return $n->wait_for(sub {
        $before + $more < grep { !/^-/ } seen_by(@clients);
    }, 20);
}

# Workers without a master have nobody who reaps them at once.
sub ended {
    my (@pids) = @_;
    return $n->wait_for(sub { !grep { lives($_) } @pids });
}

sub lives {
    my ($pid) = @_;
    open my $f, '<', "/proc/$pid/stat" or return 0;
    return (<$f> // ') X ') !~ /\) [ZX] /;
}

my $owner = $$;
my @clients = map { client($_) } 1 .. 3;
END { kill 'KILL', map { $_->{pid} } @clients if $owner && $owner == $$ }

my ($workers, $masters) = (0, 0);
for my $round (1 .. $kills) {
    await_more(50, @clients) or fail "answers before kill $round";
    my @pids = $n->worker_pids;

    if ($round % 3) {
        my $victim = $pids[$round % 2];
        $n->signal('KILL', $victim);
        $workers++;
        $n->wait_for(sub {
            my @now = $n->worker_pids;
            return @now == 2 && !grep { $_ == $victim } @now;
        }) or fail "another worker after kill $round";
        next;
    }

    # its workers serve on until they are killed as well
    $n->signal('KILL');
    $masters++;
    $n->wait_for(sub { $n->_ended });
    await_more(20, @clients) or fail "workers without a master ($round)";
    kill 'KILL', @pids;
    ended(@pids) or fail "workers end after kill $round";
    unlink $n->path('nginx.pid');
    $n->start;
    $n->wait_for(sub { 2 == (() = $n->worker_pids) });
}
await_more(50, @clients);
end_clients(@clients);
my @seen = seen_by(splice @clients);

# of each killed worker one segment, unless it had nothing but its header
sub recovered {
    my ($segments, $torn) = (0, 0);
    my $log = $n->error_log;
    while ($log =~ /reco: recovered (\d+) segment\(s\) in .*?, cut (\d+) torn/g)
    {
        $segments += $1;
        $torn += $2;
    }
    return ($segments, $torn);
}
my $killed = $workers + 2 * $masters;
# the two that are left are the living ones': none is renamed while we read
ok $n->wait_for(sub {
    (recovered())[0] >= $workers && 2 == (() = glob $n->path('log/*.open'));
}), "the segments of $killed killed workers are recovered";
my ($segments, $torn) = recovered();
cmp_ok $segments, '<=', $killed, '... each once';
cmp_ok $torn, '<=', $killed, '... with at most one torn tail a kill';
note "$workers workers and $masters masters killed: $segments segments "
    . "recovered, $torn torn tails";

my (%times, %decision, %reward);
for my $e ($n->events) {
    next if $e->{type} eq 'segment';
    my ($incarnation) = $e->{file} =~ /-([0-9a-f]{8})-\d+\.ndjson/;
    $times{"$incarnation $e->{seq}"}++;
    $decision{$e->{id}}++ if $e->{type} eq 'decision';
    $reward{$e->{key}}++ if $e->{type} eq 'reward';
}
my @d = map { /^d (\S+)/ } @seen;
my @r = map { /^r (\S+)/ } @seen;
cmp_ok @d + @r, '>', 50 * $kills, scalar(@d) . ' decisions, '
    . scalar(@r) . ' rewards were answered';
is_deeply [ grep { !$decision{$_} } @d ], [], '... all decisions are logged';
is_deeply [ grep { !$reward{$_} } @r ], [], '... and all rewards';
is_deeply [ grep { $decision{$_} > 1 } keys %decision ], [],
    '... no decision twice';
is_deeply [ grep { $reward{$_} > 1 } keys %reward ], [], '... no reward twice';
is_deeply [ grep { $times{$_} > 1 } keys %times ], [],
    '... no sequence number twice';
my %good = map { $_ => 1 } @d;

# ---- a torn tail ---------------------------------------------------------- #

# the master is held, so that nobody recovers before the tail is torn
$n->signal('STOP');
my @pids = $n->worker_pids;
my %answered = %good;
my $torn_before = counter($n, 'events', 'log_torn_tails');
$answered{ decide($n)->{decision} } = 1 for 1 .. 20;
$n->signal('KILL', $_) for @pids;
select undef, undef, undef, 0.2;
my @open = glob $n->path('log/*.open');
cmp_ok scalar @open, '>=', 1, 'killed workers leave open segments';
my %size = map { $_ => -s } @open;
for my $file (@open) {
    open my $f, '>>', $file or die $!;
    print {$f} '{"type":"decision","seq":9999,"id":"01';
    close $f;
}
$n->signal('CONT');

ok $n->wait_for(sub { !grep { -e } @open }), 'their successors take them up';
for my $file (@open) {
    my $closed = $file =~ s/\.open$//r;
    # one with nothing but its header is removed
    is -s $closed // 0, -e $closed ? $size{$file} : 0,
        'cut to the last whole record';
}
ok $n->wait_for(sub {
    counter($n, 'events', 'log_torn_tails') - $torn_before
        == grep { -e s/\.open$//r } @open;
}), 'counted as torn';

ok $n->stop, 'stop';
my %logged = map { $_->{id} => 1 } $n->decisions;
is scalar(grep { !$logged{$_} } keys %answered), 0,
    'every decision a client saw is in the log';
is_deeply [ glob $n->path('log/*.open') ], [], 'nothing is left open';

# ---- the whole server at once --------------------------------------------- #

$n->start;
my $seen = decide($n)->{decision};
$n->wait_for(sub {
    (@pids = $n->worker_pids) == 2
        && 2 == (() = glob $n->path('log/*.open'));
});
$n->signal('KILL');
kill 'KILL', @pids;
$n->wait_for(sub { $n->_ended && !$n->connect_quietly });
is scalar(@{[ glob $n->path('log/*.open') ]}), 2, 'left by two workers';
unlink $n->path('nginx.pid');
$n->start;
ok $n->wait_for(sub {
    grep { $_->{id} eq $seen } grep { $_->{file} =~ /ndjson$/ } $n->decisions;
}), 'recovered at the next start';
ok $n->stop, 'stop';

$n->ok_log(allow => \@provoked);

done_testing;
