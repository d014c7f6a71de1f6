#!/usr/bin/perl

# Many clients that send a byte at a time, or nothing any more, keep nobody
# waiting: each normal request between their bytes is answered and logged;
# their own are answered when they are whole; those that stop are let go, and
# nothing is left of them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP;
use Reco::Nginx;
use Test::More;
use Time::HiRes qw(sleep time);

# The long form is 500 clients, a byte a second.
my $long = ($ENV{RECO_SLOW} // '') eq '1';
my ($clients, $pause) = $long ? (500, 1) : (50, 0.01);
my $factor = $ENV{RECO_SLOW} || 1;

my $n = Reco::Nginx->new(
    connections => 2048,
    conf_http => <<'E',
reco_zone     reco:1m;
reco_model    shop models/shop;
reco_fallback shop A,B,C;
reco_model    cart models/cart;
reco_fallback cart A,B;
reco_log      log;
E
    conf_server => <<'E',
client_header_timeout 600s;
client_body_timeout   600s;
keepalive_timeout     600s;
location = /decide  { reco_recommend shop; }
location = /predict { reco_recommend shop format=offers; }
location = /cart    { reco_recommend cart format=cart; }
location = /reward  { reco_reward shop unknown=accept; }
location = /small   { reco_recommend shop; client_body_buffer_size 8; }
location = /active  { stub_status; }
location = /metrics { reco_status prometheus; }
E
    # the same, but for those that stop
    conf_servers => <<'E',
server {
    listen 127.0.0.1:@PORT2@;
    client_header_timeout 1s;
    client_body_timeout   1s;
    location = /decide  { reco_recommend shop; }
    location = /reward  { reco_reward shop unknown=accept; }
}
E
)->start;

my %body = (
    decide => '{"customer":"%s"}',
    small => '{"customer":"%s"}',
    reward => '{"customer":"%s","facts":{"a":1}}',
    predict => '{"customer_id":"%s","timestamp":"2026-11-22","states":{},'
        . '"offers":{"A":true}}',
    cart => '{"customer_id":"%s","session_id":"s","cart_total":1,'
        . '"item_count":1}',
);
my @routes = sort keys %body;

# How often each customer is in the log.
sub logged {
    my %n;
    $n{ $_->{customer} // '' }++ for $n->events;
    return \%n;
}

sub active { return $n->request('GET', '/active')->{body} =~ /: (\d+)/ && $1 }

sub descriptors {
    my ($worker) = $n->worker_pids;
    return scalar(() = glob "/proc/$worker/fd/*");
}

$n->request('POST', '/decide', '{}');
my $before = descriptors();

# ---- a byte at a time ---- #

my @slow;
for my $i (0 .. $clients - 1) {
    my $route = $routes[$i % @routes];
    my $customer = "slow$i";
    my $b = sprintf $body{$route}, $customer;
    # every other one sends its body in chunks of a byte
    my ($how, $sent) = $i % 2 ? ('Content-Length: ' . length $b, $b)
        : ('Transfer-Encoding: chunked', join('', map { "1\r\n$_\r\n" }
            split //, $b) . "0\r\n\r\n");
    push @slow, { client => $n->client, customer => $customer,
        bytes => "POST /$route HTTP/1.1\r\nHost: x\r\n$how\r\n\r\n$sent" };
}

# The head's first part at once, then a byte a turn of what is left; the last
# byte waits for all others.
my $turns = 60;
for my $s (@slow) {
    my $left = length($s->{bytes}) - $turns;
    $s->{client}->send(substr $s->{bytes}, 0, $left, '');
}

my ($asked, $wrong) = (0, 0);
for my $turn (1 .. $turns - 1) {
    my $began = time;
    for my $s (@slow) {
        $s->{client}->send(substr $s->{bytes}, 0, 1, '');
    }
    for (1 .. 3) {
        my $a = $n->request('POST', '/decide',
            sprintf '{"customer":"normal%d"}', $asked++);
        $wrong++ if !$a || $a->{status} != 200;
    }
    my $rest = $pause - (time - $began);
    sleep $rest if $rest > 0;
}
is $wrong, 0, "$asked normal requests between the bytes of $clients clients";
is scalar(grep { $_->{client}->fill(0) } @slow), 0,
    'no slow one is answered before its end';
my $log = logged();
is scalar(grep { $log->{ $_->{customer} } } @slow), 0, '... nor logged';
is scalar(grep { ($log->{"normal$_"} // 0) != 1 } 0 .. $asked - 1), 0,
    '... the normal ones are, once each';

$_->{client}->send($_->{bytes}) for @slow;
my @status = map { ($_->{client}->response('POST') // {})->{status} // 0 }
    @slow;
is scalar(grep { $_ == 200 } @status), $clients, 'all of them are answered';
$log = logged();
is scalar(grep { ($log->{ $_->{customer} } // 0) == 1 } @slow), $clients,
    '... and logged, once each';

# ---- half of them go away in the middle, half stop ---- #

my @stopped;
for my $i (0 .. $clients - 1) {
    my $client = $n->client($n->port2);
    my $b = sprintf $body{decide}, "gone$i";
    my $route = $i % 3 ? 'decide' : 'reward';
    my $all = "POST /$route HTTP/1.1\r\nHost: x\r\nContent-Length: "
        . length($b) . "\r\n\r\n$b";
    # in the head, or in the body
    $client->send(substr $all, 0, $i % 4 ? length($all) - 5 : 20);
    if ($i % 2) {
        $client->close;
    } else {
        push @stopped, $client;
    }
}
$wrong = 0;
for (1 .. 20) {
    my $a = $n->request('POST', '/decide', '{"customer":"beside"}');
    $wrong++ if !$a || $a->{status} != 200;
}
is $wrong, 0, 'normal requests beside those that stopped';

my $let_go = 0;
for my $client (@stopped) {
    my $more;
    do { $more = $client->fill(20 * $factor) } while $more;
    # the server's end, and not that nothing came
    $let_go++ if defined $more
        && $client->{in} =~ m{\A(?:HTTP/1\.1 408 .*)?\z}s;
}
is $let_go, @stopped, 'all of those that stopped are let go';

$_->{client}->close for @slow;
$_->close for @stopped;
ok $n->wait_for(sub { active() == 1 }), 'no connection is left';
ok $n->wait_for(sub { descriptors() <= $before }), '... nor a descriptor';
$log = logged();
is scalar(grep { /^gone/ } keys %$log), 0, '... nor a record of half a request';

my $metrics = $n->request('GET', '/metrics')->{body};
my $decisions = () = $n->decisions;
my $rewards = () = $n->rewards;
like $metrics, qr/^reco_decisions_made_total $decisions$/m,
    "$decisions decisions, counted as they are logged";
like $metrics, qr/^reco_rewards_accepted_total $rewards$/m,
    "... and $rewards rewards";

ok $n->stop, 'ends';
$n->ok_log;

done_testing;
