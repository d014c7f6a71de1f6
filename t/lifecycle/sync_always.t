# sync=always: no answer before its record is on the disk; whatever ends a
# request that waits for that - its client, a reset stream, a reload, a
# shutdown timeout, its own deadline - leaves no trace in the error log.

use strict;
use warnings;

use lib 't/lib';
use Reco::Lifecycle;
use Reco::Nginx;
use Test::More;
use Time::HiRes qw(sleep time);

my $slow = $ENV{RECO_SLOW} || 1;

sub server {
    my (%o) = @_;
    my $n = Reco::Nginx->new(
        conf_main => $o{main} // '',
        conf_http => 'reco_zone reco:2m; reco_node edge;'
            . ' reco_model shop models/shop check=1s;'
            . ' reco_log log sync=' . ($o{sync} // 'always') . ';',
        conf_server => 'listen 127.0.0.1:@PORT2@ http2;'
            . ' location = /decide { reco_recommend shop; }'
            . ' location = /reward { reco_reward shop; }'
            . ' location = /status { reco_status json; }');
    publish($n);
    return $n;
}

# ---- a disk that works ------------------------------------------------------ #

my $n = server();
$n->start;
my @loads = map { begin_load($n) } 1 .. 4;
$n->wait_for(sub { counter($n, 'events', 'decisions_made') > 200 });
my @answers = map { end_load($_) } @loads;
is scalar(grep { $_->{status} != 200 } @answers), 0, 'all are answered';
my $a = decide($n);
is $n->json('POST', '/reward', { decision => $a->{decision},
    facts => { click => 1 } })->{status}, 200, 'a reward, too';
$n->signal('USR1');
ok !decide($n)->{unlogged}, 'and what comes as a segment is closed';
ok $n->stop, 'stop';
my %logged = map { $_->{id} => 1 } $n->decisions;
is scalar(grep { !$logged{$_->{id}} } @answers), 0, 'all are in the log';
$n->ok_log;

# ---- no thread is free: the event loop does the work itself ----------------- #

$n = server(main => 'thread_pool default threads=1 max_queue=0;');
$n->start;
@loads = map { begin_load($n) } 1 .. 4;
$n->wait_for(sub { counter($n, 'events', 'decisions_made') > 200 });
@answers = map { end_load($_) } @loads;
is scalar(grep { $_->{status} != 200 } @answers), 0,
    'without a thread all are answered';
# not QUIT: nginx cannot end a thread whose pool takes no task, and frees what
# it runs on
$n->stop('KILL');
%logged = map { $_->{id} => 1 } $n->decisions;
is scalar(grep { !$logged{$_->{id}} } @answers), 0, 'and in the log';
$n->ok_log;

# ---- a disk that hangs ------------------------------------------------------ #

my $hang = "/tmp/reco-test-hang.$$";
my $library = slow_disk($hang);

END { unlink $hang if $hang }

sub hang { open my $f, '>', $hang or die $!; sleep 0.05 }
sub work { unlink $hang }

# A client that has asked, when the server has made its decision.
sub waiting {
    my ($n, $made) = @_;
    my $c = $n->client;
    $c->send("GET /decide?customer=w HTTP/1.1\r\nHost: x\r\n\r\n");
    $n->wait_for(sub { counter($n, 'events', 'decisions_made') >= $made });
    return $c;
}

SKIP: {
    skip 'no library to make the disk hang with', 1 unless $library;

    my $with = sub {
        local $ENV{LD_PRELOAD} = $library;
        return $_[0]->start;
    };

    # -- the answer waits, and others do not
    $n = $with->(server());
    hang();
    my $c = waiting($n, 1);
    ok !defined $c->fill(0.3), 'no answer before the record is on the disk';
    is scalar $n->decisions, 1, 'though it is written';
    is $n->request('GET', '/status')->{status}, 200,
        'the worker answers other requests';
    my $second = waiting($n, 2);
    my $began = time;
    work();
    is $c->response->{status}, 200, 'the answer comes when it is';
    is $second->response->{status}, 200,
        'so does that of one who came meanwhile';
    cmp_ok time - $began, '<', 2 * $slow, 'at once';
    $_->close for $c, $second;

    # -- the client goes
    hang();
    $c = waiting($n, 3);
    $c->close;
    my $half = waiting($n, 4);
    shutdown $half->socket, 1;
    # their rewards, one that goes and one that closes its side
    my @paid = map { $n->client } 1 .. 2;
    my $click = '{"customer":"w","facts":{"click":1}}';
    $_->send("POST /reward HTTP/1.1\r\nHost: x\r\nContent-Length: "
        . length($click) . "\r\n\r\n$click") for @paid;
    $n->wait_for(sub { counter($n, 'requests', 'reward') >= 2 });
    shutdown $paid[0]->socket, 1;
    $paid[1]->close;
    sleep 0.2;
    work();
    is +($half->response // {})->{status}, 200,
        'a client that only closed its side is answered';
    is +($paid[0]->response // {})->{status}, 200, '... of its reward, too';
    ok !decide($n)->{unlogged}, 'a client that goes takes nobody along';
    is scalar(grep { $_->{customer_key} // $_->{customer} eq 'w' }
        $n->decisions), 4, 'what it asked for is in the log';
    is counter($n, 'events', 'rewards_accepted'), scalar(() = $n->rewards),
        'a reward in the log is counted, whether or not its client waited';

    # -- its stream is reset
    hang();
    $c = $n->client($n->port2);
    my $headers = "\x82\x86" . "\x04" . chr(length '/decide') . '/decide'
        . "\x01\x01x";
    $c->send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        . "\0\0\0\x04\0\0\0\0\0"                            # SETTINGS
        . substr(pack('N', length $headers), 1) . "\x01\x05"
        . "\0\0\0\x01" . $headers);                         # HEADERS, 1
    $n->wait_for(sub { counter($n, 'events', 'decisions_made') >= 6 });
    is counter($n, 'events', 'decisions_made'), 6, 'a request over HTTP/2';
    $c->send("\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08");          # RST_STREAM
    sleep 0.2;
    $headers =~ s{/decide}{/status};
    $c->send(substr(pack('N', length $headers), 1) . "\x01\x05"
        . "\0\0\0\x03" . $headers);                         # HEADERS, 3
    my $in = $c->read_all(3, qr/decisions_made/);
    like $in, qr/decisions_made/, 'the connection is of use after the reset';
    work();
    ok !decide($n)->{unlogged}, 'a stream that was reset, too';
    $c->close;

    # -- a reload: the old worker waits for its own
    hang();
    $c = waiting($n, 8);
    my ($old) = $n->worker_pids;
    ok $n->reload, 'reload while one waits';
    ok kill(0, $old), 'its worker stays';
    work();
    is $c->response->{status}, 200, 'until it has answered';
    $c->close;
    ok $n->wait_for(sub { !grep { $_ == $old } $n->worker_pids(1) }),
        'and goes then';
    ok $n->stop, 'stop';
    $n->ok_log;

    # -- a reload that does not wait
    $n = $with->(server(main => 'worker_shutdown_timeout 300ms;'));
    hang();
    $c = waiting($n, 1);
    ($old) = $n->worker_pids;
    ok $n->reload, 'reload with worker_shutdown_timeout';
    is $c->read_all(5), '', 'the connection is closed without an answer';
    work();
    ok $n->wait_for(sub { !grep { $_ == $old } $n->worker_pids(1) }),
        'the worker goes';
    ok $n->stop, 'stop';
    is scalar $n->decisions, 1, 'the record is in the log all the same';
    is_deeply [ glob $n->path('log/*.open') ], [], 'and closed';
    $n->ok_log;

    # -- its deadline
    $n = $with->(server());
    hang();
    $c = waiting($n, 1);
    my $reward = $n->client;
    my $body = '{"customer": "w", "facts": {"click": 1}}';
    $reward->send("POST /reward HTTP/1.1\r\nHost: x\r\n"
        . 'Content-Type: application/json' . "\r\n"
        . 'Content-Length: ' . length($body) . "\r\n\r\n$body");
    $a = $c->response('GET', 20);
    is $a->{status}, 200, 'after its deadline a decision is answered';
    is $a->{headers}{'reco-unlogged'}, 1, 'as unlogged';
    is $reward->response('POST', 20)->{status}, 503, 'a reward is refused';
    work();
    ok $n->wait_for(sub { !decide($n)->{unlogged} }), 'then all is well again';
    $_->close for $c, $reward;
    ok $n->stop, 'stop';
    $n->ok_log;

    # -- stopped hard
    $n = $with->(server());
    hang();
    $c = waiting($n, 1);
    $n->signal('TERM');
    sleep 0.2;
    work();
    ok $n->wait_for(sub { $n->_ended }), 'TERM while one waits';
    is scalar $n->decisions, 1, 'the record is in the log';
    $n->ok_log;

    # -- every so often: no one waits
    $n = $with->(server(sync => '200ms'));
    hang();
    my @all = map { decide($n) } 1 .. 20;
    sleep 0.5;
    push @all, map { decide($n) } 1 .. 20;
    is scalar(grep { $_->{http} == 200 && !$_->{unlogged} } @all), 40,
        'sync=TIME: nobody waits for a disk that hangs';
    work();
    ok $n->stop, 'stop';
    is scalar $n->decisions, 40, 'sync=TIME: all are in the log';
    $n->ok_log;
}

done_testing;
