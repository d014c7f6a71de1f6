# Reloads under load: no request fails, the counters go on, every answered
# decision is in the log, and every segment is closed.

use strict;
use warnings;

use lib 't/lib';
use Reco::Lifecycle;
use Reco::Nginx;
use Test::More;

my %conf = (
    workers => 2,
    conf_http => 'reco_zone reco:2m; reco_node edge;'
        . ' reco_model shop models/shop check=1s;'
        . ' reco_log log;',
    conf_server => 'location = /decide { reco_recommend shop; }'
        . ' location = /status { reco_status json; }');
my $n = Reco::Nginx->new(%conf);

publish($n);
$n->start;

my @loads = map { begin_load($n) } 1 .. 2;
for (1 .. 3) {
    my $before = counter($n, 'events', 'decisions_made');
    $n->wait_for(sub {
        counter($n, 'events', 'decisions_made') > $before + 50;
    });
    ok $n->reload(1), "reload $_";
    cmp_ok counter($n, 'events', 'decisions_made'), '>', $before + 50,
        'the counters go on';
}
my @answers = map { end_load($_) } @loads;

cmp_ok scalar @answers, '>', 150, scalar(@answers) . ' requests meanwhile';
is scalar(grep { $_->{status} != 200 } @answers), 0, 'none failed';
is scalar(grep { $_->{generation} != 1 } @answers), 0,
    'new workers serve the snapshot at once';

my $status = status($n);
cmp_ok $status->{events}{decisions_made}, '>=', @answers, 'all are counted';
is $status->{requests}{recommend}, $status->{events}{decisions_made},
    'a decision a request';
is $status->{decision_duration_seconds}{count},
    $status->{events}{decisions_made}, 'a duration each';

my $sum = 0;
$sum += $_->{count} for @{ $status->{decisions} };
is $sum, $status->{events}{decisions_made}, 'an action each';
is $status->{events}{unlogged_decisions}, 0, 'none unlogged';

# ---- the zone is laid out anew where its size changes --------------------- #

$n->configure(conf_http => $conf{conf_http} =~ s/2m/3m/r);
ok $n->reload(1), 'reload with another size';
is counter($n, 'events', 'decisions_made'), 0, 'counts from nothing';

ok $n->stop, 'stop';

my %logged = map { $_->{id} => 1 } $n->decisions;
is scalar(grep { !$logged{$_->{id}} } @answers), 0,
    'every answered decision is in the log';
is_deeply [ glob $n->path('log/*.open') ], [], 'no segment is left open';

my %next;
my @gaps = grep {
    my ($incarnation) = $_->{file} =~ /edge-(\w{8})-/;
    my $expected = $next{$incarnation} // 1;
    $next{$incarnation} = $_->{seq} + 1;
    $_->{seq} != $expected;
} $n->decisions;
is scalar @gaps, 0, 'records are numbered without a gap';
cmp_ok scalar keys %next, '>=', 2, 'each worker has an incarnation';

$n->ok_log;

done_testing;
