# A secret whose hash key is not the one that the snapshot's customers are
# hashed with: the tool and the servers refuse the snapshot and say why; with
# the right key again it is served.

use strict;
use warnings;

use lib 't/lib';
use Reco::Lifecycle;
use Reco::Nginx;
use Test::More;

my %secret = map {
    $_ => "hash $_\nsign k1 " . 'c3' x 32 . "\n"
} '5a' x 32, '5b' x 32;
my ($right, $wrong) = map { $secret{ $_ x 32 } } '5a', '5b';
my $says = qr/its customers were hashed with another key than the secret's/;

my $n = Reco::Nginx->new(
    files => { secret => $wrong, right => $right,
        'customers.csv' => "customer,age\nc1,30\n" },
    conf_http => 'reco_zone reco:2m; reco_node edge; reco_secret secret;'
        . ' reco_model shop models/shop check=200ms;'
        . ' reco_fallback shop F; reco_log log;',
    conf_server => 'location = /decide { reco_recommend shop; }');

my $spec = spec(features => [ { name => 'age', type => 'number',
    bins => [ 50 ], from => [ qw(request customer) ] } ]);
my $file = build($spec, '--customers', $n->path('customers.csv'),
    '--secret', $n->path('right'));
$n->folder('models/shop');
$n->tool_run('publish', $file, '--to', $n->path('models/shop'));

my $tool = Reco::Nginx::tool();
my @batch = ($tool, 'batch', $file, '--in', $n->path('customers.csv'),
    '--out', '-', '--secret');
like qx(@batch ${\$n->path('secret')} 2>&1), $says, 'the tool says why';
isnt $?, 0, 'and fails';
like qx(@batch ${\$n->path('right')} 2>&1), qr/^c1,/m, 'not with the right one';

$n->start;
is decide($n)->{generation}, 0, 'a server with another key falls back';
ok $n->wait_for(sub { $n->error_log =~ $says }), 'and says why';

$n->write('secret', $right);
ok $n->reload(1), 'reload with the right key';
cmp_ok generation_soon($n, 1), '<', 1e9, 'the snapshot is served';

ok $n->stop, 'stop';
$n->ok_log;

# ---- a server that gets a secret --------------------------------------------- #

my $m = Reco::Nginx->new(
    files => { secret => $right, 'customers.csv' => "customer,age\nc1,30\n" },
    conf_http => 'reco_zone reco:2m; reco_node edge;'
        . ' reco_model shop models/shop check=200ms;'
        . ' reco_fallback shop F; reco_log log;',
    conf_server => 'location = /decide { reco_recommend shop; }');
my @customers = ('--customers', $m->path('customers.csv'));

sub publish_next {
    $m->tool_run('publish', build($spec, @customers, @_), '--to',
        $m->path('models/shop'));
}

$m->folder('models/shop');
publish_next();
$m->start;
is decide($m)->{generation}, 1, 'customers, and no secret';
publish_next('--secret', $m->path('secret'));
ok $m->wait_for(sub { $m->error_log =~ /no reco_secret to find them with/ }),
    'hashed ones are refused';
is decide($m)->{generation}, 1, 'and the one before serves';
$m->configure(conf_http => "reco_secret secret; $m->{conf_http}");
ok $m->reload(1), 'reload with the secret';
cmp_ok generation_soon($m, 2), '<', 1e9, 'they are served';
ok $m->stop, 'stop';
$m->ok_log;

done_testing;
