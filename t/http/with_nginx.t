#!/usr/bin/perl

# nginx's own directives around ours: limits, passwords, addresses, error
# pages, named locations, subrequests, a proxy before us, gzip, TLS, HTTP/2.
# Each time the answer, the event log and the counters say the same: what
# nginx refuses is no decision, what it lets through is one.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP;
use MIME::Base64 qw(encode_base64);
use Reco::Nginx;
use Test::More;
use Time::HiRes qw(sleep);

my $slow = $ENV{RECO_SLOW} || 1;
my $modules = qx(@{[ Reco::Nginx::nginx() ]} -V 2>&1);
my %has = map { $_ => scalar($modules =~ /http_${_}_module/) }
    qw(auth_request addition realip ssl v2);
my $openssl = grep { -x "$_/openssl" } split /:/, $ENV{PATH} // '';
my $curl = grep { -x "$_/curl" } split /:/, $ENV{PATH} // '';
my $tls = $has{ssl} && $openssl;

# Two ports beside those of its nginx, and what keeps them from other tests.
my ($tls_port, $tls_lock) = Reco::Nginx::_free_port();
my ($h2_port, $h2_lock) = Reco::Nginx::_free_port();

my $n = Reco::Nginx->new(
    files => {
        # ann:secret
        passwords => "ann:{PLAIN}secret\n",
        'www/page.html' => "<p>\n", 'www/in.txt' => 'in',
    },
    conf_http => <<"E",
reco_zone     reco:1m;
reco_model    shop models/shop;
reco_fallback shop A,B,C;
reco_model    cart models/cart;
reco_fallback cart A,B;
reco_log      log;
limit_req_zone  \$arg_zone zone=rate:1m rate=1r/m;
limit_conn_zone \$server_port zone=conn:1m;
map \$http_x_bot \$bot { default 0; 1 1; }
E
    conf_server => <<"E"
root \@DIR\@/www;
client_body_timeout 60s;
lingering_timeout 100ms;

location = /decide { reco_recommend shop; }
location = /predict { reco_recommend shop format=offers; }
location = /cart   { reco_recommend cart format=cart; }
location = /reward { reco_reward shop unknown=accept; }
location = /metrics { reco_status prometheus; }
location = /status { reco_status json; }
location = /agent  { reco_agent cart state format=cart; }

location = /rate   { limit_req zone=rate; limit_req_status 429;
                     reco_recommend shop; }
location = /rate-reward { limit_req zone=rate; reco_reward shop; }
location = /conn   { limit_conn conn 1; reco_recommend shop; }

location = /basic  { auth_basic reco; auth_basic_user_file \@DIR\@/passwords;
                     reco_recommend shop; }
location = /any    { satisfy any; deny all; auth_basic reco;
                     auth_basic_user_file \@DIR\@/passwords;
                     reco_recommend shop; }
location = /all    { satisfy all; allow 127.0.0.1; deny all; auth_basic reco;
                     auth_basic_user_file \@DIR\@/passwords;
                     reco_recommend shop; }
location = /denied { deny all; reco_recommend shop; }
location = /denied-reward { deny all; reco_reward shop unknown=accept; }
location = /allowed { allow 127.0.0.1; deny all; reco_recommend shop; }
location = /small  { client_max_body_size 40; reco_recommend shop; }
location = /small-reward { client_max_body_size 40;
                           reco_reward shop unknown=accept; }
location = /gzip   { gzip on; gzip_min_length 1; gzip_types application/json;
                     reco_recommend shop; }
location = /gzip-bad { gzip on; gzip_min_length 1;
                       gzip_types application/json; reco_reward shop; }

location = /own-413 { client_max_body_size 40; error_page 413 = /decide;
                      reco_recommend shop; }
location = /to-uri  { error_page 418 =200 /decide; return 418; }
location = /to-name { error_page 418 = \@named; return 418; }
location = /to-reward { error_page 418 = \@reward; return 418; }
location \@named    { reco_recommend shop; }
location \@reward   { reco_reward shop unknown=accept; }
location = /try     { try_files /none \@named; }
location = /rewrite { rewrite ^ /decide last; }
location = /if {
    reco_recommend shop;
    if (\$bot) { return 403; }
}
location = /limit-except { limit_except POST { deny all; }
                           reco_recommend shop; }

location /proxy/   { proxy_pass http://127.0.0.1:\@PORT2\@/; }
location /proxy11/ { proxy_pass http://127.0.0.1:\@PORT2\@/;
                     proxy_http_version 1.1; proxy_set_header Connection "";
                     proxy_request_buffering off; }
location = /mirrored { mirror /copy; reco_recommend shop; }
location = /mirrored-reward { mirror /copy-reward;
                              reco_reward shop unknown=accept; }
location = /mirrored-proxy { mirror /copy;
                             proxy_pass http://127.0.0.1:\@PORT2\@/decide; }
location = /mirrored-file { mirror /copy; client_body_buffer_size 8;
                            reco_recommend shop; }
location = /copy   { internal; reco_recommend shop; }
location = /copy-reward { internal; reco_reward shop unknown=accept; }
E
        . ($has{auth_request} ? <<'E' : '')
location = /auth      { auth_request /decide; try_files /in.txt =404; }
location = /in.txt    { }
location = /auth-post { auth_request /predict; reco_recommend shop; }
location = /auth-gate { auth_request /gate; reco_recommend shop; }
location = /auth-reward { auth_request /gate; reco_reward shop unknown=accept; }
location = /gate      { internal;
                        if ($http_x_let != 1) { return 403; } return 204; }
E
        . ($has{addition} ? <<'E' : '')
location = /add    { add_before_body /decide; add_after_body /reward;
                     addition_types *; try_files /page.html =404; }
location = /add-to { add_before_body /page.html; add_after_body /cart;
                     addition_types *; reco_recommend shop; }
E
        ,
    conf_servers => <<'E'
server {
    listen 127.0.0.1:@PORT2@;
    set_real_ip_from 127.0.0.1;
    real_ip_header   X-Real-IP;
    location = /decide  { reco_recommend shop; }
    location = /reward  { reco_reward shop unknown=accept; }
    location = /address { reco_recommend shop; deny 192.0.2.7; allow all; }
}
E
        . ($has{v2} ? <<"E" : '')
server {
    listen 127.0.0.1:$h2_port http2;
    location = /decide { reco_recommend shop; }
    location = /reward { reco_reward shop unknown=accept; }
    location = /small  { client_max_body_size 40; reco_recommend shop; }
    location = /auth   { auth_basic reco;
                         auth_basic_user_file \@DIR\@/passwords;
                         reco_recommend shop; }
    location = /gzip   { gzip on; gzip_min_length 1;
                         gzip_types application/json; reco_recommend shop; }
}
E
        . ($tls ? <<"E" : ''),
server {
    listen 127.0.0.1:$tls_port ssl@{[ $has{v2} ? ' http2' : '' ]};
    ssl_certificate     \@DIR\@/cert.pem;
    ssl_certificate_key \@DIR\@/key.pem;
    location = /decide { reco_recommend shop; }
    location = /reward { reco_reward shop unknown=accept; }
}
E
);

if ($tls) {
    my $dir = $n->dir;
    qx(openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 \\
        -nodes -keyout $dir/key.pem -out $dir/cert.pem -days 2 \\
        -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 2>&1);
}
$n->start;

# ---- what is said and what is counted ---- #

my $made = 0;

sub fresh { return 'c' . ++$made }

# How often each customer is in the log, decisions and rewards.
sub recorded {
    my ($customer) = @_;
    my @e = grep { ($_->{customer} // '') eq $customer } $n->events;
    return join ' ', scalar(grep { $_->{type} eq 'decision' } @e),
        scalar grep { $_->{type} eq 'reward' } @e;
}

sub ask {
    my ($uri, $customer, $headers, $method) = @_;
    return $n->json($method // 'POST', $uri,
        qq({"customer":"$customer"}), $headers);
}

sub pay {
    my ($uri, $customer, $headers) = @_;
    return $n->json('POST', $uri,
        qq({"customer":"$customer","facts":{"click":1}}), $headers);
}

# One request: its status, its records, and that what is answered is what is
# logged.
sub one {
    my ($what, $a, $customer, $status, $records) = @_;
    is $a->{status}, $status, "$what: $status" or diag $a->{body};
    is recorded($customer), $records, '... ' . ($records eq '0 0'
        ? 'no record' : "records $records");
    my $id = $a->{headers}{'reco-decision-id'} or return;
    my @e = grep { $_->{id} eq $id } $n->decisions;
    is @e, 1, '... the one that it names';
}

my $ann = { Authorization => 'Basic ' . encode_base64('ann:secret', '') };
my $eve = { Authorization => 'Basic ' . encode_base64('ann:guess', '') };
my $c;

# ---- limits ---- #

one('limit_req, the first', ask('/rate?zone=a', $c = fresh()), $c, 200, '1 0');
one('limit_req, the second', ask('/rate?zone=a', $c = fresh()), $c, 429,
    '0 0');
one('limit_req, another', ask('/rate?zone=b', $c = fresh()), $c, 200, '1 0');
one('limit_req of rewards', pay('/rate-reward?zone=c', 'c1'), 'c1', 200,
    '1 1');
one('limit_req of rewards, the second', pay('/rate-reward?zone=c', 'c1'),
    'c1', 503, '1 1');

# one that has sent half of its body holds the only place
my $held = $n->client;
$c = fresh();
my $body = qq({"customer":"$c"});
$held->send("POST /conn HTTP/1.1\r\nHost: x\r\nContent-Length: "
    . length($body) . "\r\n\r\n{");
my $full = $n->wait_for(sub {
    ask('/conn', 'conn')->{status} == 503;
});
ok $full, 'limit_conn: a second one is refused';
$held->send(substr $body, 1);
one('limit_conn, the first', $held->response('POST'), $c, 200, '1 0');
ok $n->wait_for(sub { ask('/conn', 'conn')->{status} == 200 }),
    '... and its place is free again';

# ---- who may ---- #

one('auth_basic, nobody', ask('/basic', $c = fresh()), $c, 401, '0 0');
one('auth_basic, a guess', ask('/basic', $c = fresh(), $eve), $c, 401, '0 0');
one('auth_basic', ask('/basic', $c = fresh(), $ann), $c, 200, '1 0');
one('satisfy any, neither', ask('/any', $c = fresh()), $c, 401, '0 0');
one('satisfy any, one', ask('/any', $c = fresh(), $ann), $c, 200, '1 0');
one('satisfy all, one', ask('/all', $c = fresh()), $c, 401, '0 0');
one('satisfy all, both', ask('/all', $c = fresh(), $ann), $c, 200, '1 0');
one('deny', ask('/denied', $c = fresh()), $c, 403, '0 0');
one('deny, a reward', pay('/denied-reward', $c = fresh()), $c, 403, '0 0');
one('allow', ask('/allowed', $c = fresh()), $c, 200, '1 0');

# ---- bodies ---- #

$c = 'x' x 60;
one('client_max_body_size', ask('/small', $c), $c, 413, '0 0');
one('client_max_body_size, a reward', pay('/small-reward', $c), $c, 413,
    '0 0');
my $chunked = $n->raw("POST /small HTTP/1.1\r\nHost: x\r\nConnection: close"
    . "\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n"
    . sprintf('%-80s', qq({"customer":"$c"})) . "\r\n0\r\n\r\n");
like $chunked, qr{\AHTTP/1\.1 413 }, '... in chunks';
is recorded($c), '0 0', '... no record';
one('... that fits', ask('/small', $c = fresh()), $c, 200, '1 0');

# ---- gzip ---- #

my $plain = ask('/gzip', $c = fresh());
one('gzip, not asked for', $plain, $c, 200, '1 0');
is $plain->{headers}{'content-encoding'}, undef, '... plain';
my $zipped = ask('/gzip', $c = fresh(), { 'Accept-Encoding' => 'gzip' });
one('gzip', $zipped, $c, 200, '1 0');
is $zipped->{headers}{'content-encoding'}, 'gzip', '... packed';
my $unzipped = unzip($zipped->{body});
is decode_json($unzipped || '{}')->{decision},
    $zipped->{headers}{'reco-decision-id'}, '... and what is in it';
$zipped = $n->request('POST', '/gzip-bad', '{x',
    { 'Accept-Encoding' => 'gzip' });
is $zipped->{status}, 400, 'gzip of a refusal';
$zipped = $n->request('HEAD', '/gzip?customer=head', undef,
    { 'Accept-Encoding' => 'gzip' });
one('gzip of a HEAD', $zipped, 'head', 200, '1 0');

sub unzip {
    my ($bytes) = @_;
    require IO::Uncompress::Gunzip;
    my $text;
    IO::Uncompress::Gunzip::gunzip(\$bytes, \$text) or return '';
    return $text;
}

# ---- other ways to a location ---- #

$c = 'y' x 60;
one('error_page 413 to a decision', ask('/own-413', $c), $c, 200, '0 0');
one('error_page to a URI', ask('/to-uri', $c = fresh()), $c, 200, '0 0');
one('error_page to a name', ask('/to-name', $c = fresh()), $c, 200, '1 0');
one('error_page to a reward', pay('/to-reward', $c = fresh()), $c, 200,
    '0 1');
one('try_files to a name', ask('/try', $c = fresh()), $c, 200, '1 0');
one('rewrite', ask('/rewrite', $c = fresh()), $c, 200, '1 0');
one('if', ask('/if', $c = fresh()), $c, 200, '1 0');
one('if, that holds', ask('/if', $c = fresh(), { 'X-Bot' => 1 }), $c, 403,
    '0 0');
one('limit_except', ask('/limit-except', $c = fresh()), $c, 200, '1 0');
is $n->request('GET', "/limit-except?customer=except")->{status}, 403,
    '... GET';
is recorded('except'), '0 0', '... no record';

# the connection goes on after any of these
my $kept = $n->client;
my @kept = map {
    ($kept->request('POST', $_, qq({"customer":"kept"})) // {})->{status}
} qw(/denied /to-uri /basic /to-name /rate?zone=a /any /decide);
is_deeply \@kept, [403, 200, 401, 200, 429, 401, 200], 'on one connection';
is recorded('kept'), '2 0', '... two of them with the body';

# ---- a proxy before us ---- #

for my $proxy (qw(/proxy /proxy11)) {
    one("$proxy: decide", ask("$proxy/decide", $c = fresh()), $c, 200, '1 0');
    one("$proxy: reward", pay("$proxy/reward", $c = fresh()), $c, 200, '0 1');
    is $n->request('POST', "$proxy/decide", '{x')->{status}, 400,
        "$proxy: a refusal";
    $c = fresh();
    my $b = qq({"customer":"$c"});
    my $raw = $n->raw("POST $proxy/decide HTTP/1.1\r\nHost: x\r\n"
        . "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        . join('', map { "1\r\n$_\r\n" } split //, $b) . "0\r\n\r\n");
    like $raw, qr{\AHTTP/1\.1 200 }, "$proxy: chunks";
    is recorded($c), '1 0', '... whole';
    my $big = 'z' x 17_000;
    is ask("$proxy/decide", $big)->{status}, 413, "$proxy: too large";
}

# ---- addresses only as realip takes them ---- #

SKIP: {
    skip 'no realip module', 6 unless $has{realip};
    my %h = ('Content-Type' => 'application/json', Connection => 'close');
    my $at = sub {
        return $n->client($n->port2)->request('POST', '/address',
            qq({"customer":"$_[0]"}), { %h, %{ $_[1] } });
    };
    one('X-Forwarded-For of nobody', $at->($c = fresh(),
        { 'X-Forwarded-For' => '192.0.2.7' }), $c, 200, '1 0');
    one('the header that realip reads', $at->($c = fresh(),
        { 'X-Real-IP' => '192.0.2.7' }), $c, 403, '0 0');
    one('an address that is none', $at->($c = fresh(),
        { 'X-Real-IP' => '../../x' }), $c, 200, '1 0');
}

# ---- subrequests ---- #

SKIP: {
    skip 'no auth_request module', 1 unless $has{auth_request};
    my $before = $n->decisions;
    is $n->request('GET', '/auth?customer=none')->{body}, 'in',
        'auth_request to a decision';
    is scalar(() = $n->decisions), $before + 1, '... which is logged';
    is ask('/auth', $c = fresh())->{status}, 405, '... of a POST to a file';
    is recorded($c), '0 0', '... has no body there';
    is scalar(() = $n->decisions), $before + 2,
        '... is a GET, and one decision';
    one('auth_request to a route for POST alone', ask('/auth-post',
        $c = fresh()), $c, 500, '0 0');
    one('auth_request, not let in', ask('/auth-gate', $c = fresh()), $c, 403,
        '0 0');
    one('auth_request, let in', ask('/auth-gate', $c = fresh(),
        { 'X-Let' => 1 }), $c, 200, '1 0');
    one('auth_request, a reward not let in', pay('/auth-reward',
        $c = fresh()), $c, 403, '0 0');
    one('auth_request, a reward let in', pay('/auth-reward', $c = fresh(),
        { 'X-Let' => 1 }), $c, 200, '0 1');
}

SKIP: {
    skip 'no addition module', 1 unless $has{addition};
    my $before = $n->decisions;
    my $r = $n->request('GET', '/add');
    is $r->{status}, 200, 'addition to a page';
    like $r->{body}, qr{\A\{"decision":.*\}<p>\n\{"error":.*\}\z}s,
        '... a decision before it, a refusal behind';
    is scalar(() = $n->decisions), $before + 1, '... one decision';
    one('addition to a decision', ask('/add-to', $c = fresh()), $c, 200,
        '1 0');
    $r = $n->request('HEAD', '/add');
    is $r->{status}, 200, 'addition to a HEAD';
}

# the copy of a body that is mirrored counts as a request of its own
one('mirror', ask('/mirrored', $c = fresh()), $c, 200, '2 0');
one('mirror of a reward', pay('/mirrored-reward', $c = fresh()), $c, 200,
    '0 2');
one('mirror before a proxy', ask('/mirrored-proxy', $c = fresh()), $c, 200,
    '2 0');
one('mirror of a body in a file', ask('/mirrored-file', $c = fresh()), $c,
    200, '2 0');
my $a = $n->request('POST', '/mirrored', '{x');
is $a->{status}, 400, 'mirror of what is refused';
is ask('/mirrored', 'q' x 17_000)->{status}, 413, 'mirror of too much';

# ---- HTTP/2 and TLS ---- #

# curl's answer: status, headers, body. An answer before the body's end ends an
# HTTP/2 stream of nginx early, which curl now and then takes for an error, 92,
# and forgets the answer; such a request is made again, and would not stay
# unnoticed in the log if it had been served.
sub curl {
    my ($url, @options) = @_;
    my $line = join ' ', map { "'" . s/'/'\\''/gr . "'" } 'curl', '-sSi',
        '-m', 20 * $slow, @options, $url;
    my $out = '';
    for (1 .. 20) {
        $out = qx($line 2>&1);
        last if $out !~ /^curl: \(92\)/;
        sleep 0.05 * $_;            # a busy machine is so for a while
    }
    my ($status) = $out =~ m{\AHTTP/\S+ (\d+)};
    my ($head, $text) = split /\r\n\r\n/, $out, 2;
    my %h = map { /^([^:]+):\s*(.*)$/ ? (lc $1 => $2) : () }
        split /\r\n/, $head;
    return { status => $status // $out, headers => \%h, body => $text // '',
        version => $out =~ m{\AHTTP/(\S+)} ? $1 : '' };
}

sub curl_post {
    my ($url, $text, @options) = @_;
    return curl($url, '-H', 'Content-Type: application/json',
        '--data-binary', $text, @options);
}

sub both_kinds {
    my ($what, $base, @options) = @_;
    my $r = curl_post("$base/decide", '{"customer":"' . ($c = fresh()) . '"}',
        @options);
    one("$what: decide", $r, $c, 200, '1 0');
    my $version = $r->{version};
    $r = curl_post("$base/reward", '{"customer":"' . ($c = fresh())
        . '","facts":{"a":1}}', @options);
    one("$what: reward", $r, $c, 200, '0 1');
    is curl_post("$base/decide", '{x', @options)->{status}, 400,
        "$what: 400";
    is curl_post("$base/decide", ' ' x 20_000, @options)->{status}, 413,
        "$what: 413";
    is curl("$base/decide", '-X', 'DELETE', @options)->{status}, 405,
        "$what: 405";
    is curl("$base/decide?customer=" . ($c = fresh()), @options)->{status},
        200, "$what: GET";
    is recorded($c), '1 0', '... logged';
    is curl("$base/decide?customer=" . ($c = fresh()), '-I', @options)
        ->{status}, 200, "$what: HEAD";
    is recorded($c), '1 0', '... logged';
    return $version;
}

SKIP: {
    skip 'no HTTP/2 or no curl that speaks it', 1
        unless $has{v2} && $curl && qx(curl -V) =~ /HTTP2/;
    my $base = "http://127.0.0.1:$h2_port";
    my @h2 = ('--http2-prior-knowledge');
    is both_kinds('HTTP/2', $base, @h2), 2, 'HTTP/2 it was';

    one('HTTP/2: client_max_body_size', curl_post("$base/small",
        '{"customer":"' . ($c = 'h' x 60) . '"}', @h2), $c, 413, '0 0');
    one('HTTP/2: auth_basic', curl_post("$base/auth", '{"customer":"'
        . ($c = fresh()) . '"}', @h2), $c, 401, '0 0');
    one('HTTP/2: auth_basic, let in', curl_post("$base/auth", '{"customer":"'
        . ($c = fresh()) . '"}', @h2, '-u', 'ann:secret'), $c, 200, '1 0');
    my $r = curl_post("$base/gzip", '{"customer":"' . ($c = fresh()) . '"}',
        @h2, '--compressed');
    one('HTTP/2: gzip', $r, $c, 200, '1 0');
    is $r->{headers}{'content-encoding'}, 'gzip', '... packed';
}

SKIP: {
    skip 'no TLS', 1 unless $tls && $curl;
    my @trust = ('--cacert', $n->path('cert.pem'));
    both_kinds('TLS', "https://127.0.0.1:$tls_port", @trust, '--http1.1');
    both_kinds('TLS, the best version', "https://127.0.0.1:$tls_port",
        @trust);
}

# ---- counters ---- #

my $metrics = $n->request('GET', '/metrics')->{body};
my $logged = () = $n->decisions;
my $paid = () = $n->rewards;
like $metrics, qr/^reco_decisions_made_total $logged$/m,
    "$logged decisions, counted as they are logged";
like $metrics, qr/^reco_rewards_accepted_total $paid$/m, "$paid rewards";
like $metrics, qr/^reco_unlogged_decisions_total 0$/m, 'all logged';
like $metrics, qr/^reco_errors_total\{reason="internal"\} 0$/m,
    'no internal error';
my %ids;
$ids{ $_->{id} }++ for $n->decisions;
is scalar(grep { $_ > 1 } values %ids), 0, 'no decision twice';

ok $n->stop, 'ends';
$n->ok_log;

done_testing;
