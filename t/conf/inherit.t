#!/usr/bin/perl

# What is set at one level counts below it, until it is set again; handlers
# reach into "if" and "limit_except".

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Reco::Nginx;
use Test::More;

my $n = Reco::Nginx->new(
    conf_http => <<'E',
reco_zone     reco:1m;
reco_model    a models/a;  reco_fallback a A1,A2;
reco_model    b models/b;  reco_fallback b B1,B2;
reco_model    c models/c;  reco_fallback c C1,C2;
reco_decide   a;
reco_body_max 100;
E
    conf_server => <<'E',
location = /http  { return 200 $reco_action; }
location = /loc   { reco_decide b slate=1; return 200 $reco_slate; }
location = /body  { reco_recommend a; }
location = /body2 { reco_recommend a; reco_body_max 260; }
location = /if    { reco_recommend a; if ($arg_x) { set $y 1; } }
location = /except { reco_recommend a; limit_except GET { deny 127.0.0.2; } }
location = /deny  { reco_recommend a; limit_except GET { deny all; } }
location = /why   { reco_recommend a; }
location = /why-on { reco_recommend a; reco_explain on; }
location = /agent { reco_agent a state; if ($arg_x) { set $y 1; } }
location = /agent-deny { reco_agent a state; limit_except POST { deny all; } }
location = /no-other { if ($arg_x) { return 204; } reco_recommend b; }
location /outer { reco_recommend b; location /outer/inner { return 404; } }
E
    conf_servers => <<'E',
server {
    listen        127.0.0.1:@PORT2@;
    reco_decide   c slate=1;
    reco_body_max 200;
    reco_explain  on;
    location = /server { return 200 $reco_slate; }
    location = /body   { reco_recommend c; }
    location = /why    { reco_recommend c; }
    location = /why-off { reco_recommend c; reco_explain off; }
}
E
)->start;

sub get { $n->request('GET', $_[0])->{body} }
sub get2 { $n->client($n->port2)->request('GET', $_[0])->{body} }

sub post {
    my ($port, $uri, $len) = @_;
    my $body = '{"customer":"' . 'x' x ($len - 15) . '"}';
    die unless length $body == $len;
    return $n->client($port)->request('POST', $uri, $body)->{status};
}

# reco_decide
is get('/http'), 'A1', 'from http';
is get('/loc'), 'B1', 'set in a location';
is get2('/server'), 'C1', 'set in a server';

# reco_body_max: the limit itself still passes
is post($n->port, '/body', 100), 200, 'http: 100 bytes';
is post($n->port, '/body', 101), 413, 'http: 101 bytes';
is post($n->port2, '/body', 200), 200, 'server: 200 bytes';
is post($n->port2, '/body', 201), 413, 'server: 201 bytes';
is post($n->port, '/body2', 260), 200, 'location: 260 bytes';
is post($n->port, '/body2', 261), 413, 'location: 261 bytes';

# reco_explain: off, unless it is set
unlike get('/why?explain=1'), qr/"explain/, 'off by default';
like get('/why-on?explain=1'), qr/"explain/, 'on in a location';
like get2('/why?explain=1'), qr/"explain/, 'on in a server';
unlike get2('/why-off?explain=1'), qr/"explain/, 'off again in a location';

# handlers
like get('/if'), qr/"A1"/, 'a location with an "if" that does not hold';
like get('/if?x=1'), qr/"A1"/, 'inside of "if"';
like get('/except'), qr/"A1"/, 'the method that limit_except leaves';
is $n->request('POST', '/except', '{}')->{status}, 200,
    'inside of limit_except';
is $n->request('POST', '/deny', '{}')->{status}, 403,
    'what limit_except forbids';
like get('/agent?x=1'), qr/"recent_actions":/, 'what reco_agent shows, in "if"';
is $n->request('GET', '/agent-deny')->{status}, 403,
    '... forbidden by limit_except';
is $n->request('GET', '/no-other?x=1')->{status}, 204, '"if" with an answer';
is $n->request('GET', '/outer')->{status}, 200, 'the location itself';
is $n->request('GET', '/outer/inner')->{status}, 404,
    'a nested location has a handler of its own';

ok $n->stop, 'ends';
$n->ok_log;

done_testing;
