# kill -9 of workers: what a client saw is in the log, and what a killed
# worker left is recovered by its successor.

use strict;
use warnings;

use lib 't/lib';
use Reco::Lifecycle;
use Reco::Nginx;
use Test::More;

my $n = Reco::Nginx->new(
    workers => 2,
    conf_http => 'reco_zone reco:2m; reco_node edge;'
        . ' reco_model shop models/shop check=1s; reco_log log;',
    conf_server => 'location = /decide { reco_recommend shop; }'
        . ' location = /status { reco_status json; }');
my @provoked = (qr/worker process \d+ exited on signal 9/);

publish($n);
$n->start;

# ---- under load ----------------------------------------------------------- #

my @loads = map { begin_load($n) } 1 .. 2;
for my $round (1 .. 3) {
    my $before = counter($n, 'events', 'decisions_made');
    $n->wait_for(sub {
        my $a = $n->request('GET', '/status') or return 0;
        return counter($n, 'events', 'decisions_made') > $before + 50;
    });
    my ($victim) = $n->worker_pids;
    $n->signal('KILL', $victim);
    ok $n->wait_for(sub {
        my @pids = $n->worker_pids;
        return @pids == 2 && !grep { $_ == $victim } @pids;
    }), "worker killed, another one started ($round)";
}
my @answers = map { end_load($_) } @loads;
my @good = grep { $_->{status} == 200 } @answers;
cmp_ok scalar @good, '>', 150, scalar(@good) . ' answers';

ok $n->wait_for(sub {
    counter($n, 'events', 'log_segments_recovered') >= 3;
}), 'the segments of killed workers are recovered';
cmp_ok scalar(() = $n->error_log =~ /reco: recovered 1 segment\(s\)/g), '>=', 3,
    'and that is told';

# ---- a torn tail ---------------------------------------------------------- #

# the master is held, so that nobody recovers before the tail is torn
$n->signal('STOP');
my @pids = $n->worker_pids;
my %answered = map { $_->{id} => 1 } @good;
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
    counter($n, 'events', 'log_torn_tails')
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
$n->wait_for(sub { (@pids = $n->worker_pids) == 2 });
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
