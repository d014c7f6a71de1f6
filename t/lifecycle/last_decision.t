# A reward that names only its customer is refused with 404 where the zone can
# prove that there was no decision, and only there: not after a restart over an
# older log, not after an eviction, not without a zone.

use strict;
use warnings;

use lib 't/lib';
use Reco::Lifecycle;
use Reco::Nginx;
use Test::More;

sub server {
    my (%o) = @_;
    my $n = Reco::Nginx->new(
        conf_http => ($o{zone} // 'reco_zone reco:1m;') . ' reco_node edge;'
            . ' reco_model shop models/shop check=1s; '
            . ($o{log} // 'reco_log log;'),
        conf_server => 'keepalive_requests 100000;'
            . ' location = /decide { reco_recommend shop; }'
            . ' location = /reward { reco_reward shop; }'
            . ' location = /status { reco_status json; }');
    publish($n);
    return $n;
}

sub reward {
    my ($n, $customer) = @_;
    return $n->json('POST', '/reward',
        { customer => $customer, facts => { click => 1 } })->{status};
}

my $n = server();
$n->start;
is reward($n, 'anna'), 404, 'a new log: nobody has had a decision';
decide($n, 'anna');
is reward($n, 'anna'), 200, 'one who has had one is known';
is reward($n, 'ben'), 404, 'another one is not';
is counter($n, 'errors', 'no_decision'), 2, 'counted';
ok $n->reload(1), 'reload';
is reward($n, 'anna'), 200, 'known after a reload';
is reward($n, 'ben'), 404, 'and unknown';

# ---- another folder at a reload: its past is not known --------------------- #

my $conf = $n->{conf_http};
$n->folder('elsewhere');
$n->write('elsewhere/reco-edge-00000000-000000.ndjson', "\n");
$n->configure(conf_http => $conf =~ s/reco_log log/reco_log elsewhere/r);
ok $n->reload(1), 'reload with another folder, which has a past';
is reward($n, 'ben'), 200, 'ben may be in it';
ok $n->stop, 'stop';
$n->ok_log;

# ---- a restart --------------------------------------------------------------- #

$n = server();
$n->start;
decide($n, 'anna');
ok $n->stop, 'stop';
$n->start;
is reward($n, 'anna'), 200, 'after a restart one who had a decision may come';
is reward($n, 'ben'), 200, 'and so may anybody';
ok $n->stop, 'stop';
unlink glob $n->path('log/*.ndjson');
$n->start;
is reward($n, 'anna'), 200, 'and when the segments were taken elsewhere';
ok $n->stop, 'stop';
$n->ok_log;

# ---- no zone ------------------------------------------------------------------ #

$n = server(zone => '');
$n->start;
is reward($n, 'ben'), 200, 'without a zone nothing is proven';
is $n->json('GET', '/status')->{json}{snapshots}[0]{generation}, 1,
    'the status then tells what its worker serves';
ok $n->stop, 'stop';
$n->ok_log;

# ---- evictions ---------------------------------------------------------------- #

# 1 MB less 380 KB for counters and others and an eighth for the history is room
# for 7 x 4,190 decisions; of 100,000 customers 70,700 are dropped, and every set
# has seen it (a set gets 24 of them, and one with less than 8 is one in 20,000).
$n = server();
$n->start;
my $c = $n->client;
for my $part (0 .. 999) {
    $c->send(join '', map {
        "GET /decide?customer=c$_ HTTP/1.1\r\nHost: x\r\n\r\n"
    } 100 * $part .. 100 * $part + 99);
    $c->response for 1 .. 100;
}
$c->close;
is counter($n, 'events', 'decisions_made'), 100000, '100,000 decisions';
my $evicted = counter($n, 'events', 'last_decisions_evicted');
cmp_ok $evicted, '>', 70000, "$evicted evictions are counted";
cmp_ok $evicted, '<', 71500, 'about as many as had no room';

my %answers;
$answers{ reward($n, "c$_") }++ for map { 500 * $_ } 0 .. 199;
is_deeply \%answers, { 200 => 200 },
    'nobody who had a decision is refused, remembered or not';
%answers = ();
$answers{ reward($n, "never$_") }++ for 0 .. 199;
cmp_ok $answers{200} // 0, '>=', 190, 'nor is one who may have been dropped';
ok $n->stop, 'stop';
$n->ok_log;

done_testing;
