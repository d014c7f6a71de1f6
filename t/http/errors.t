#!/usr/bin/perl

# Refusals: their status, code and position, and a connection that can still
# be used after them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP;
use POSIX ();
use Reco::Nginx;
use Test::More;

my $n = Reco::Nginx->new(
    conf_http => <<'E',
reco_zone     reco:1m;
reco_model    shop models/shop;
reco_fallback shop A,B,C;
reco_model    bare models/bare;
reco_log      log;
E
    conf_server => <<'E',
location = /decide  { reco_recommend shop; }
location = /predict { reco_recommend shop format=offers; }
location = /reward  { reco_reward shop; }
location = /rewards { reco_reward shop format=offers; }
location = /health  { reco_health shop; }
location = /metrics { reco_status prometheus; }
location = /bare    { reco_recommend bare; }
location = /own-page { reco_recommend shop; error_page 400 405 = /page; }
location = /page    { return 200 page; }
E
    conf_servers => <<'E',
server {
    listen 127.0.0.1:@PORT2@ sndbuf=2k;
    keepalive_requests 10000;
    location = /decide { reco_recommend shop; }
    location = /reward { reco_reward shop; }
}
E
)->start;

sub refused {
    my ($a, $status, $code, $what) = @_;
    is $a->{status}, $status, "$what: $status";
    is $a->{headers}{'content-type'}, 'application/json', '... JSON';
    my $e = eval { decode_json($a->{body}) };
    is $e->{error}{code}, $code, "... code $code" or diag $a->{body};
    return $e->{error};
}

# ---- methods ---- #

my @routes = (
    ['/decide', 'GET, HEAD, POST', qw(PUT DELETE PATCH OPTIONS)],
    ['/predict', 'POST', qw(GET HEAD PUT DELETE)],
    ['/reward', 'POST, PUT', qw(GET HEAD DELETE)],
    ['/rewards', 'PUT', qw(GET POST DELETE)],
);

for my $route (@routes) {
    my ($uri, $allow, @methods) = @$route;
    for my $method (@methods) {
        my $a = $n->request($method, $uri);
        is $a->{status}, 405, "$method $uri: 405";
        is $a->{headers}{allow}, $allow, "... allows $allow";
        is $a->{body}, '', '... no body' if $method eq 'HEAD';
    }
}
refused($n->request('DELETE', '/decide'), 405, 'method', 'DELETE');

# ---- media types ---- #

for my $type ('application/json', 'application/json; charset=utf-8',
    'APPLICATION/JSON;charset=x', 'text/json', 'application/vnd.api+json',
    'application/problem+json ; a=b')
{
    is $n->request('POST', '/decide', '{}', { 'Content-Type' => $type })
        ->{status}, 200, "Content-Type: $type";
}
is $n->request('POST', '/decide', '{}')->{status}, 200, 'no Content-Type';

for my $type ('text/plain', 'application/x-www-form-urlencoded', 'json',
    'application/jsonp', 'application/+json', 'text/vnd.api+json', ';',
    'application/xml; application/json')
{
    refused($n->request('POST', '/decide', '{}', { 'Content-Type' => $type }),
        415, 'media_type', "Content-Type: $type");
}
like $n->request('POST', '/decide', '{}', { 'Content-Type' => 'a/b' })
    ->{body}, qr/send Content-Type: application\/json/, '415 says what to send';
is $n->request('GET', '/decide', undef, { 'Content-Type' => 'text/html' })
    ->{status}, 200, 'a GET has no body to have a type';

# ---- JSON, and where it is wrong: positions counted by hand ---- #

my @malformed = (
    ['{"customer":}', 12], ['{"customer":"c"', 15], ['{"customer":"c"}x', 16],
    ['[]x', undef], ['{"a" 1}', 5], ["{\"customer\":\"\xff\"}", 13],
    ['{"customer":"a","customer":"b"}', 16], ['{"customer":"\u12"}', undef],
    ["{'customer':'c'}", 1], ['{"slate":01}', undef], ['', 0], ['   ', 3],
    ["\xef\xbb\xbf{}", 0],
);
for my $case (@malformed) {
    my ($text, $position) = @$case;
    my $a = $n->request('POST', '/decide', $text);
    is $a->{status}, 400, 'malformed: ' . JSON::PP->new->allow_nonref->ascii
        ->encode($text);
    my $e = decode_json($a->{body})->{error};
    is $e->{position}, $position, "... at byte $position"
        if defined $position;
    ok length $e->{message}, "... $e->{message}";
}

my $deep = '{"features":' . '[' x 40 . ']' x 40 . '}';
is $n->request('POST', '/decide', $deep)->{status}, 400, 'too deep';
is refused($n->request('POST', '/decide', '{"customer":7}'), 400,
    'invalid_field', 'a wrong type')->{field}, 'customer', '... of which field';
is refused($n->request('POST', '/decide', '{"slate":65}'), 400,
    'invalid_field', 'a wrong number')->{field}, 'slate', '... of which field';
refused($n->request('POST', '/decide', '{"customer":"' . 'x' x 256 . '"}'),
    400, 'invalid_field', 'a long id');
refused($n->request('POST', '/decide', '{"customer":"a\u0007b"}'), 400,
    'invalid_field', 'a control character in an id');

# ---- nothing to show ---- #

refused($n->request('POST', '/decide', '{"actions":[]}'), 422,
    'none_eligible', 'no action');
refused($n->request('POST', '/bare', '{}'), 422, 'none_eligible',
    'no snapshot and no fallback');

# ---- the connection stays usable ---- #

my $c = $n->client;
my @sequence = (
    ['POST', '/decide', '{"a":', 400], ['POST', '/decide', '{}', 200],
    ['DELETE', '/decide', 'some body that nobody reads', 405],
    ['GET', '/decide', undef, 200], ['GET', '/decide', 'a body of a GET', 200],
    ['POST', '/decide', '{"actions":[]}', 422], ['PUT', '/predict', '{}', 405],
    ['PUT', '/rewards', '{}', 400], ['POST', '/bare', '{}', 422],
    ['HEAD', '/decide', undef, 200], ['POST', '/decide', '{}', 200],
);
for my $step (@sequence) {
    my ($method, $uri, $body, $status) = @$step;
    my $a = $c->request($method, $uri, $body);
    is $a->{status}, $status, "kept: $method $uri: $status" or last;
}
my $a = $c->request('POST', '/decide', '<x>', { 'Content-Type' => 'text/xml' });
is $a->{status}, 415, 'kept: 415';
is $c->request('POST', '/decide', '{}')->{status}, 200, '... and on';

# ---- pipelined ---- #

my $request = "POST /decide HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}";
my $bad = "POST /decide HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{x";
$c = $n->client;
$c->send($request x 5 . $bad . $request x 5);
my @status = map { ($c->response // {})->{status} } 1 .. 11;
is_deeply \@status, [(200) x 5, 400, (200) x 5], 'pipelined: in order';

# ---- a client that sends and does not read ---- #

my $nobody = "POST /reward HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n{";
my $many = 2000;
my $all = "$nobody$request" x $many;
$c = $n->client($n->port2);
my $pid = fork;
if ($pid == 0) {
    $c->send($all);
    POSIX::_exit(0);
}
select undef, undef, undef, 0.3;
my %seen;
for (1 .. 2 * $many) {
    my $answer = $c->response or last;
    $seen{ $answer->{status} }++;
}
waitpid $pid, 0;
is_deeply \%seen, { 400 => $many, 200 => $many },
    'answers that wait for a slow client';

# ---- HEAD ---- #

my $get = $n->request('GET', '/decide');
my $head = $n->request('HEAD', '/decide');
is $head->{status}, 200, 'HEAD';
is $head->{body}, '', '... has no body';
is $head->{headers}{'content-length'}, length $get->{body},
    '... but its length';
ok $head->{headers}{'reco-decision-id'}, '... and an id';
is +($n->decisions)[-1]{id}, $head->{headers}{'reco-decision-id'},
    '... which is logged';

# ---- an error is an answer, not nginx's error page ---- #

is $n->request('POST', '/own-page', '{x')->{status}, 400,
    'error_page is for errors of nginx';

# ---- counters tell the reasons ---- #

my $metrics = $n->request('GET', '/metrics')->{body};
my %errors = $metrics =~ /^reco_errors_total\{reason="(\w+)"\} (\d+)$/mg;
is $errors{method}, 17, 'methods counted';
is $errors{media_type}, 10, 'media types counted';
is $errors{none_eligible}, 4, 'without an eligible action counted';
cmp_ok $errors{invalid}, '>=', 20, 'invalid ones counted';
is $errors{internal}, 0, 'no internal error';

ok $n->stop, 'ends';
$n->ok_log;

done_testing;
