#!/usr/bin/perl

# A body is one string however it arrives: in many packets, in chunks, in two
# buffers, in a temporary file; and its limit counts to the byte.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP;
use Reco::Nginx;
use Test::More;

my $n = Reco::Nginx->new(
    conf_http => <<'E',
reco_zone     reco:1m;
reco_model    shop models/shop;
reco_fallback shop A,B,C;
reco_log      log;
client_header_buffer_size 1k;
E
    conf_server => <<'E',
client_body_timeout 1s;
location = /decide { reco_recommend shop; }
location = /file   { reco_recommend shop; client_body_in_file_only clean; }
location = /keep   { reco_recommend shop; client_body_in_file_only on; }
location = /small  { reco_recommend shop; client_body_buffer_size 64; }
location = /single { reco_recommend shop; client_body_in_single_buffer on; }
location = /tiny   { reco_recommend shop; reco_body_max 64; }
location = /large  { reco_recommend shop; reco_body_max 100k;
                     client_max_body_size 200k; client_body_buffer_size 4k; }
location = /client-max { reco_recommend shop; client_max_body_size 50; }
location = /reward { reco_reward shop; client_body_buffer_size 64; }
location = /rewards { reco_reward shop; reco_body_max 64; }
E
)->start;

# Known by its session, whose bytes differ all along it.
sub body {
    my ($len) = @_;
    my $json = '{"customer":"c","session":"';
    my $text = join '', map { chr 97 + ($_ * 7 + int $_ / 26) % 26 } 1 .. 255;
    my $rest = $len - length($json) - 2;
    my $session = substr $text, 0, $rest > 255 ? 255 : $rest;
    $json .= "$session\"}";
    $json .= ' ' x ($len - length $json);
    return ($json, $session);
}

sub chunked {
    my ($body, $size) = @_;
    my $out = '';
    while (length $body) {
        my $chunk = substr $body, 0, $size, '';
        $out .= sprintf "%x\r\n%s\r\n", length $chunk, $chunk;
    }
    return $out . "0\r\n\r\n";
}

sub head {
    my ($uri, @headers) = @_;
    return join "\r\n", "POST $uri HTTP/1.1", 'Host: x', 'Connection: close',
        @headers, '', '';
}

sub is_decided {
    my ($raw, $session, $what) = @_;
    like $raw, qr{\AHTTP/1\.1 200 }, $what;
    my ($id) = $raw =~ /^Reco-Decision-Id: (\w+)/m;
    my ($e) = grep { $_->{id} eq ($id // '') } $n->decisions;
    is $e->{session}, $session, '... whole';
}

for my $uri (qw(/decide /file /keep /small /single /large)) {
    my ($body, $session) = body(300);
    my $length = 'Content-Length: ' . length $body;

    is_decided($n->raw(head($uri, $length) . $body), $session,
        "$uri: at once");
    is_decided($n->raw([head($uri, $length), $body]), $session,
        "$uri: after its head");
    is_decided($n->raw([head($uri, $length) . substr($body, 0, 100),
        substr($body, 100, 100), substr $body, 200]), $session,
        "$uri: some of it with its head");
    is_decided($n->raw([split //, head($uri, $length) . $body], delay => 0),
        $session, "$uri: byte by byte");

    my $te = 'Transfer-Encoding: chunked';
    is_decided($n->raw(head($uri, $te) . chunked($body, 1000)), $session,
        "$uri: one chunk");
    is_decided($n->raw(head($uri, $te) . chunked($body, 7)), $session,
        "$uri: chunks of 7 bytes");
    is_decided($n->raw([head($uri, $te), split /(?<=\n)/,
        chunked($body, 50)]), $session, "$uri: chunks and packets");
}

my ($body, $session) = body(90_000);
is_decided($n->raw([head('/large', 'Content-Length: 90000'), $body]), $session,
    '90,000 bytes through a file');
is_decided($n->raw(head('/large', 'Transfer-Encoding: chunked')
    . chunked($body, 5000)), $session, '90,000 bytes in chunks');

# rewards read bodies the same way
my $reward = encode_json({ customer => 'c', key => 'k' x 200,
    facts => { click => 1 } });
my $answer = $n->raw([head('/reward', 'Content-Length: ' . length $reward),
    substr($reward, 0, 50), substr $reward, 50]);
like $answer, qr{\AHTTP/1\.1 200 }, 'a reward through a file';
is +($n->rewards)[-1]{key}, 'k' x 200, '... whole';

# ---- none, empty, and the limit ---- #

my $a = $n->request('POST', '/decide', '');
is $a->{status}, 400, 'an empty body';
is decode_json($a->{body})->{error}{code}, 'invalid_json', '... is no JSON';
$a = $n->request('POST', '/decide', undef);
is $a->{status}, 400, 'no body at all';
like $n->raw(head('/decide', 'Transfer-Encoding: chunked') . "0\r\n\r\n"),
    qr{\AHTTP/1\.1 400 }, 'no chunk';

for my $uri (qw(/tiny /rewards)) {
    my ($fits) = body(64);
    my ($over) = body(65);
    my $ok = $uri eq '/tiny' ? 200 : 400;
    is $n->request('POST', $uri, $fits)->{status}, $ok,
        "$uri: as long as it may be";
    $a = $n->request('POST', $uri, $over);
    is $a->{status}, 413, "$uri: a byte too long";
    is decode_json($a->{body})->{error}{code}, 'too_large', '... says so';
    like $n->raw(head($uri, 'Transfer-Encoding: chunked')
        . chunked($fits, 10)), qr{\AHTTP/1\.1 $ok }, "$uri: in chunks";
    my $raw = $n->raw(head($uri, 'Transfer-Encoding: chunked')
        . chunked($over, 10));
    like $raw, qr{\AHTTP/1\.1 413 .*"too_large"}s,
        "$uri: in chunks, a byte too long";
}

is $n->request('POST', '/decide', (body(16384))[0])->{status}, 200,
    '16,384 bytes by default';
is $n->request('POST', '/decide', (body(16385))[0])->{status}, 413,
    '16,385 bytes';
is $n->request('POST', '/client-max', (body(60))[0])->{status}, 413,
    "nginx's own limit stays";

# before it is read: the answer comes although the body never does
my $raw = $n->raw(head('/tiny', 'Content-Length: 1000000'), timeout => 3,
    until => qr/too_large/);
like $raw, qr{\AHTTP/1\.1 413 .*"too_large"}s, '413 without waiting';
$raw = $n->raw(head('/tiny', 'Content-Length: 1000000',
    'Expect: 100-continue'), timeout => 3, until => qr/too_large/);
like $raw, qr{\AHTTP/1\.1 413 }, '... nor asking for it';
$raw = $n->raw("POST /tiny HTTP/1.1\r\nHost: x\r\nContent-Length: 999999\r\n\r\n",
    timeout => 3, until => qr/too_large/);
like $raw, qr/^Connection: close\r$/m, '... and ends a connection that is kept';
$raw = $n->raw([head('/tiny', 'Content-Length: 30', 'Expect: 100-continue'),
    (body(30))[0]]);
like $raw, qr{\AHTTP/1\.1 100 .*HTTP/1\.1 200 }s, 'one that fits is asked for';

# a body that stalls ends at nginx's timeout, with no answer of ours
my $began = time;
$raw = $n->raw(head('/decide', 'Content-Length: 100') . '{"cust',
    timeout => 8);
is $raw, '', 'a stalled body is not answered';
cmp_ok time - $began, '<', 8, '... and ends at the timeout';
like $n->raw(head('/decide', 'Transfer-Encoding: chunked') . "zz\r\n"),
    qr{\AHTTP/1\.1 400 }, 'chunks that are none';

# a client that goes away in the middle
my $c = $n->client;
$c->send(head('/decide', 'Content-Length: 100') . '{"cust');
$c->close;
is $n->request('POST', '/decide', '{}')->{status}, 200, 'the next is served';

ok $n->stop, 'ends';
$n->ok_log;

done_testing;
