#!/usr/bin/perl

# $reco_action and the others: one decision a main request, whoever asks for
# it, written before anything of it is seen.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP;
use Reco::Nginx;
use Test::More;

my $data = Reco::Nginx::data();
my $mmdb = $data && "$data/maxmind/test-data/GeoIP2-Country-Test.mmdb";
$mmdb = undef unless $mmdb && -e $mmdb;

my $n = Reco::Nginx->new(
    conf_http => ($mmdb ? "reco_geoip $mmdb;" : '') . <<'E',
reco_zone     reco:1m;
reco_model    shop models/shop;
reco_fallback shop A,B,C;
reco_model    bare models/bare;
reco_log      log;
reco_decide   shop customer=$arg_c session=$cookie_sid
              feature=age:$arg_age feature=device:$http_x_device;
map $reco_action $page { A first; B second; default other; }
map $reco_action $upstream { default 127.0.0.1:@PORT2@; }
map $arg_c$reco_action $own_id { default $reco_decision_id; }
geo $reco_decision_id $own_geo { default 0; }
log_format made "$uri $reco_action $reco_decision_id $reco_generation";
access_log @DIR@/access.log made;
E
    conf_server => <<'E',
set_real_ip_from 127.0.0.1;
real_ip_header   X-Real-IP;

location = /all {
    return 200 "$reco_action|$reco_slate|$reco_decision_id|$reco_generation|$reco_propensity|$reco_model";
}
location = /map     { return 200 $page; }
location = /country { return 200 "[$reco_country]"; }
location = /none    { return 200 none; }
location = /header  { add_header X-Offer $reco_action always; return 200 x; }
location = /proxy {
    proxy_set_header X-Offer $reco_action;
    proxy_set_header X-Id $reco_decision_id;
    proxy_pass       http://$upstream;
}
location = /redirect { set $x $reco_decision_id; rewrite ^ /target last; }
location = /target   { return 200 "$x $reco_decision_id"; }
location = /missing  { set $x $reco_decision_id; error_page 404 = /target;
                       root @DIR@/nothing; }
location = /auth {
    auth_request     /sub;
    proxy_set_header X-Sub $sub_id;
    proxy_set_header X-Id $reco_decision_id;
    proxy_pass       http://127.0.0.1:@PORT2@/ids;
}
location = /sub {
    internal;
    set $sub_id $reco_decision_id;
    return 200 ok;
}
location = /auth-decide {
    auth_request     /decide;
    auth_request_set $sub $sent_http_reco_decision_id;
    proxy_set_header X-Sub $sub;
    proxy_set_header X-Id $reco_decision_id;
    proxy_pass       http://127.0.0.1:@PORT2@/ids;
}
location = /decide   { reco_recommend shop; add_header X-Var $reco_decision_id; }
location = /both     { set $x $reco_decision_id; reco_recommend shop;
                       add_header X-Set $x; add_header X-Var $reco_decision_id; }
location = /bare     { reco_decide bare; return 200 "[$reco_action]"; }
location = /self     { reco_decide shop customer=$reco_action;
                       return 200 "[$reco_action]"; }
location = /own      { reco_decide shop session=$own_id feature=age:$reco_action;
                       return 200 "$reco_action|$reco_decision_id|$own_id|$own_geo"; }
location = /include  { ssi on; ssi_types *; root @DIR@/www; try_files /ssi.html =404; }
location = /include2 { ssi on; ssi_types *; root @DIR@/www; try_files /ssi2.html =404; }
location = /part     { return 200 "<$reco_decision_id>"; }
location = /flip     { reco_decide shop slate=1; return 200 $reco_slate; }
location = /off      { access_log off; return 200 $reco_action; }
location = /metrics  { access_log off; reco_status prometheus; }
E
    conf_servers => <<'E',
server {
    listen 127.0.0.1:@PORT2@;
    access_log off;
    location = /ids { return 200 "$http_x_sub $http_x_id"; }
    location /      { return 200 "$http_x_offer $http_x_id"; }
}
E
);
$n->write('www/ssi.html', '<!--# echo var="reco_decision_id" -->'
    . '<!--# include virtual="/part" --><!--# include virtual="/part" -->');
$n->write('www/ssi2.html', 'x<!--# include virtual="/decide?customer=2" -->'
    . 'y<!--# include virtual="/decide?customer=3" -->z');
$n->start;

sub get { $n->request('GET', @_) }

# The access log's last line; it is written after the answer is sent.
sub is_accessed {
    my ($line, $what) = @_;
    my $last;
    $n->wait_for(sub {
        ($last) = $n->read('access.log') =~ /([^\n]*)\n\z/;
        return ($last // '') eq $line;
    }, 2);
    is $last, $line, $what;
}

# How many decisions the log has more than when asked the last time.
my $before = 0;
sub decided {
    my $now = () = $n->decisions;
    my $more = $now - $before;
    $before = $now;
    return $more;
}

# ---- all of them, of one decision ---- #

my $a = get('/all?c=c1&age=35', undef, { 'X-Device' => 'phone',
    Cookie => 'sid=s9' });
my @v = split /\|/, $a->{body};
is $v[0], 'A', '$reco_action';
is $v[1], 'A,B,C', '$reco_slate';
like $v[2], qr/\A[0-9a-f]{32}\z/, '$reco_decision_id';
is $v[3], 0, '$reco_generation of a fallback';
is $v[4], 1, '$reco_propensity';
is $v[5], 'shop', '$reco_model';
is decided(), 1, 'one decision';
my $e = ($n->decisions)[-1];
is $e->{id}, $v[2], '... is in the log';
is $e->{customer}, 'c1', '... with its customer';
is $e->{session}, 's9', '... and session';
is_accessed "/all A $v[2] 0", '... and the access log reads the same';

# ---- where web teams use them ---- #

is get('/map?c=1')->{body}, 'first', 'map';
is get('/flip')->{body}, 'A', 'slate=1';
is get('/header')->{headers}{'x-offer'}, 'A', 'add_header';
is decided(), 3, 'a decision each';

like get('/proxy?c=1')->{body}, qr/\AA [0-9a-f]{32}\z/,
    'proxy_pass, proxy_set_header';
is decided(), 1, '... of one decision';

for my $uri (qw(/redirect /missing)) {
    my ($x, $y) = split ' ', get("$uri?c=1")->{body};
    is $x, $y, "$uri: the same decision after an internal redirect";
    is decided(), 1, '... and no other';
    is_accessed "/target A $x 0", '... in the log phase too';
}

my ($sub, $main) = split ' ', get('/auth?c=1')->{body};
like $sub, qr/\A[0-9a-f]{32}\z/, 'a subrequest decides';
is $main, $sub, '... for its main request';
is decided(), 1, '... once';
is_accessed "/auth A $main 0", '... and the log reads it';

my @ids = get('/include?c=1')->{body} =~ /([0-9a-f]{32})/g;
is scalar @ids, 3, 'SSI: one echo, two includes';
is_deeply [@ids[1, 2]], [@ids[0, 0]], '... of one decision';
is decided(), 1, '... once';

# ---- beside a content handler ---- #

$a = get('/decide?customer=1');
is $a->{headers}{'x-var'}, $a->{headers}{'reco-decision-id'},
    'variables tell the decision of the handler';
is decided(), 1, '... which is the only one';
$a = get('/both?customer=1');
isnt $a->{headers}{'x-set'}, $a->{headers}{'reco-decision-id'},
    'a variable before the handler decides for itself';
is $a->{headers}{'x-var'}, $a->{headers}{'reco-decision-id'},
    '... after it, for the answer';
is decided(), 2, '... which makes two';
($sub, $main) = split ' ', get('/auth-decide')->{body};
like $sub, qr/\A[0-9a-f]{32}\z/, 'auth_request to a decision';
is $main, $sub, '... which the main request shares';
is decided(), 1, '... once';

# subrequests that wait for their records, each with a body of its own
$a = get('/include2');
my @part = $a->{body} =~ /\Ax(\{.*?\})y(\{.*\})z\z/;
is scalar @part, 2, 'two decisions included in a page' or diag $a->{body};
@ids = map { decode_json($_)->{decision} } @part;
isnt $ids[0], $ids[1], '... two indeed';
is_deeply [map { $_->{customer} } ($n->decisions)[-2, -1]], [2, 3],
    '... for what each was asked';
is decided(), 2, '... and no more';

# ---- none ---- #

get('/none');
is_accessed '/none - - -', 'the log phase makes no decision';
is decided(), 0, '... really';
is get('/bare')->{body}, '[]', 'no eligible action: no value';
is get('/self')->{body}, '[A]', 'a decision that asks for itself';
is +($n->decisions)[-1]{customer}, undef, '... gets no customer';
is get('/own')->{body}, 'A|||0',
    '... what it asked for stays empty, however often it is read';
is get('/off')->{body}, 'A', 'without an access log';
decided();

# ---- input that is no id does not break a page ---- #

is get('/map?c=' . 'x' x 256)->{body}, 'first', 'an id that is too long';
is +($n->decisions)[-1]{customer}, undef, '... counts as none';
is get("/map?c=\xff")->{body}, 'first', 'an id that is not UTF-8';
is +($n->decisions)[-1]{customer}, undef, '... counts as none';
is decided(), 2, 'both decided';

# ---- country ---- #

is get('/country')->{body}, '[]', 'no country of a private address';
SKIP: {
    skip 'no data sets: set RECO_DATA', 2 unless $mmdb;
    is get('/country', undef, { 'X-Real-IP' => '81.2.69.160' })->{body},
        '[GB]', '$reco_country';
    is decided(), 0, '... needs no decision';
}

# ---- requests that end early ---- #

for (1 .. 20) {
    my $c = $n->client;
    $c->send("GET /proxy?c=1 HTTP/1.1\r\nHost: x\r\n\r\n");
    $c->close;
}

my %metrics = get('/metrics')->{body} =~ /^(\w+\{[^}]*\}|\w+) (\d+)$/mg;
cmp_ok $metrics{'reco_requests_total{route="variable"}'}, '>', 10, 'counted';
is $metrics{'reco_errors_total{reason="internal"}'}, 0, 'no internal error';

ok $n->stop, 'ends';
$n->ok_log;

done_testing;
