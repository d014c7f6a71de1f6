# A published snapshot is served within two seconds, by every worker, without
# a reload and without a failed request; a rollback is a new generation.

use strict;
use warnings;

use lib 't/lib';
use Reco::Lifecycle;
use Reco::Nginx;
use Test::More;

my $n = Reco::Nginx->new(
    workers => 2,
    conf_http => 'reco_zone reco:2m; reco_node edge;'
        . ' reco_model shop models/shop check=500ms;'
        . ' reco_log log;',
    conf_server => 'location = /decide { reco_recommend shop; }'
        . ' location = /health { reco_health shop; }'
        . ' location = /status { reco_status json; }');

publish($n);
$n->start;

is decide($n)->{generation}, 1, 'the first generation at the first request';
is decide($n)->{version}, '1.0.0', 'and its version';

my $load = begin_load($n);
publish($n, version => '1.1.0', actions => [ { id => 'D' } ]);
cmp_ok generation_soon($n, 2), '<', 2 * ($ENV{RECO_SLOW} || 1),
    'the second one within two seconds, under load';
is_deeply decide($n)->{slate}, [ { action => 'D', propensity => 1 } ],
    'its catalogue decides';
is $n->json('GET', '/health')->{json}{version}, '1.1.0', 'health tells it';

my $snapshot = status($n)->{snapshots}[0];
is $snapshot->{generation}, 2, 'the status tells it';
ok $snapshot->{age_seconds} >= 0 && $snapshot->{age_seconds} < 60,
    'with its age';

my $tool = Reco::Nginx::tool();
qx($tool rollback ${\$n->path('models/shop')} 2>&1);
is $?, 0, 'reco rollback';
cmp_ok generation_soon($n, 3), '<', 2 * ($ENV{RECO_SLOW} || 1),
    'a rollback is served as a third generation';
is decide($n)->{version}, '1.0.0', 'with the content of the first';

my @answers = end_load($load);
cmp_ok scalar @answers, '>', 50, scalar(@answers) . ' requests meanwhile';
is scalar(grep { $_->{status} != 200 } @answers), 0, 'none failed';
is_deeply [ sort keys %{ { map { $_->{generation} => 1 } @answers } } ],
    [ 1, 2, 3 ], 'each answered by one of the three generations';

# ---- an older manifest does not turn the time back ----------------------- #

my $old = $n->read('models/shop/current.json');
publish($n, version => '1.3.0');
cmp_ok generation_soon($n, 4), '<', 10, 'a fourth generation';
$n->write('models/shop/current.json.new', $old);
rename $n->path('models/shop/current.json.new'),
    $n->path('models/shop/current.json') or die $!;
ok $n->wait_for(sub {
    (() = $n->error_log =~ /generation 3 is below the served one, 4/g) == 2;
}), 'an older manifest is refused by both workers';
is decide($n)->{generation}, 4, 'the fourth generation serves on';

for my $generation (1 .. 4) {
    my $line = qr/\[info\].*"shop" serves generation $generation /;
    my @lines = $n->error_log
        =~ /$line\(version [\d.]+, \d actions, 0 customers\)/g;
    is scalar @lines, 2, "a line a worker for generation $generation";
}

ok $n->stop, 'ends when asked to';
is scalar(grep { $_->{generation} != 1 && $_->{generation} != 2
    && $_->{generation} != 3 && $_->{generation} != 4 } $n->decisions), 0,
    'each record has its generation';
$n->ok_log;

done_testing;
