# The count of what the log's segments take, which the workers share, is never
# less than what there is, whatever they do while one of them looks: writes that
# come after the listing, and writes that do not return.

use strict;
use warnings;

use lib 't/lib';
use Fcntl qw(:flock);
use List::Util qw(sum0);
use Reco::Lifecycle;
use Reco::Nginx;
use Reco::Preload;
use Test::More;

plan skip_all => 'cannot preload under a sanitizer or valgrind'
    if $ENV{ASAN_OPTIONS} || $ENV{RECO_VALGRIND};

my $n = Reco::Nginx->new(workers => 2,
    conf_http => 'reco_zone reco:2m; reco_node edge;'
        . ' reco_model shop models/shop check=1s;'
        . ' reco_log log segment=64k max=1m;',
    conf_server => 'location = /decide { reco_recommend shop; }'
        . ' location = /status { reco_status json; }');
publish($n);

my $dir = $n->dir;
my $library = preload('hang', flags => qq(-DDIR_='"$dir"'))
    or plan skip_all => 'no library to stop workers with';

for (qw(hung looks)) {
    $n->write($_, '');
    chmod 0666, $n->path($_);
}
{
    local $ENV{LD_PRELOAD} = $library;
    $n->start;
}

sub there { sum0 map { -s $_ // 0 } glob $n->path('log/*.ndjson*') }
sub counted { status($n)->{log}{bytes} }
sub looks { -s $n->path('looks') // 0 }
sub look_comes {
    my $before = looks();
    return $n->wait_for(sub { looks() > $before }, 30);
}

decide($n) for 1 .. 5;
ok $n->wait_for(sub { counted() == there() }, 30), 'at rest, it is what there is';

# ---- written after the folder was listed ----------------------------------- #

$n->write('hang-look', '');
ok look_comes(), 'a look has listed the folder';
my $before = there();
decide($n, 'c' x 200) for 1 .. 20;
cmp_ok there(), '>', $before + 4000, 'more is written';

# another worker's look does not begin meanwhile
open my $mark, '<', $n->path('log/.reco-log') or die $!;
ok !flock($mark, LOCK_EX | LOCK_NB), 'who looks has the lock';
unlink $n->path('hang-look');
ok $n->wait_for(sub { flock $mark, LOCK_EX | LOCK_NB }, 30), 'the look ends';
cmp_ok counted(), '>=', there(), 'what was written meanwhile counts';
close $mark;

# ---- counted, and not written yet ------------------------------------------- #

$n->write('hang-write', '');
my $client = $n->client;
$client->send("GET /decide?customer=@{['c' x 200]} HTTP/1.1\r\nHost: a\r\n\r\n");
ok $n->wait_for(sub { -s $n->path('hung') }, 30), 'a write does not return';
cmp_ok counted(), '>', there(), 'but is counted';
ok look_comes() && look_comes(), 'the other worker looks';
unlink $n->path('hang-write');
ok $client->response, 'it returns';
cmp_ok counted(), '>=', there(), 'and counts';
ok $n->wait_for(sub { counted() == there() }, 30),
    'the next look counts it once';

ok $n->stop, 'stop';
$n->ok_log;
done_testing;
