#!/usr/bin/perl

# What an HTTP library would not send, and what no shop would: requests within
# requests, lengths that lie, connections half closed, requests behind refused
# ones; the JSON test suite; names made to break a log, a file name or a
# metric. Whatever comes, a request is answered once or refused once, and every
# event is one line of JSON.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP;
use Reco::Nginx;
use Test::More;

my $json = JSON::PP->new->utf8->canonical;

my $locations = <<'E';
client_body_timeout 60s;
lingering_timeout 100ms;
location = /decide  { reco_recommend shop; }
location = /reward  { reco_reward    shop unknown=accept; }
location = /predict { reco_recommend shop format=offers; }
location = /rewards { reco_reward    shop format=offers unknown=accept; }
location = /known   { reco_reward    shop format=offers; }
location = /cart    { reco_recommend cart format=cart; }
location = /paid    { reco_reward    cart format=cart unknown=accept; }
location = /state   { reco_agent     cart state; }
location = /history { reco_agent     cart history; }
location = /health  { reco_health    shop; }
location = /length  { return 411; }
location = /metrics { reco_status prometheus; }
location /small/ {
    client_body_buffer_size 16;
    location = /small/decide  { reco_recommend shop; }
    location = /small/predict { reco_recommend shop format=offers; }
    location = /small/cart    { reco_recommend cart format=cart; }
    location = /small/reward  { reco_reward    shop unknown=accept; }
}
E

sub server {
    my ($log) = @_;
    return Reco::Nginx->new(
        conf_http => <<"E",
reco_zone     reco:4m;
reco_model    shop models/shop;
reco_fallback shop A,B,C;
reco_model    cart models/cart;
reco_fallback cart A,B;
reco_log      $log;
keepalive_requests 100000;
E
        conf_server => $locations)->start;
}

my $n = server('log');

# ---- the routes, and a body of each that is right ---- #

my $day = '"timestamp":"2026-11-22"';
my %body = (
    decide => '{"customer":"%s","session":"s"}',
    reward => '{"customer":"%s","facts":{"click":1}}',
    predict => qq({"customer_id":"%s",$day,"states":{},"offers":{"A":true}}),
    rewards => qq({"customer_id":"%s",$day,)
        . '"accepted_one_of_the_three_offers":true}',
    cart => '{"customer_id":"%s","session_id":"s","cart_total":1,'
        . '"item_count":1}',
    paid => '{"customer_id":"%s","session_id":"s","reward_value":1,'
        . '"action_type":null}',
);
my %verb = (rewards => 'PUT', known => 'PUT');
my @routes = qw(decide reward predict rewards cart paid);
my $made = 0;

sub body { return sprintf $body{ $_[0] =~ s{.*/}{}r }, $_[1] }
sub verb { return $verb{ $_[0] } // 'POST' }
sub fresh { return 'c' . ++$made }

sub head {
    my ($route, @headers) = @_;
    return join "\r\n", verb($route) . " /$route HTTP/1.1", 'Host: x',
        @headers, '', '';
}

# A request that is right, and the last one of its connection.
sub last_one {
    my ($route, $customer) = @_;
    my $b = body($route, $customer);
    return head($route, 'Content-Length: ' . length $b, 'Connection: close')
        . $b;
}

sub chunks {
    return join '', (map { sprintf "%x\r\n%s\r\n", length, $_ } @_),
        "0\r\n\r\n";
}

# All answers to these bytes, until the connection is closed by the server.
sub answers {
    my ($server, $bytes, $half) = @_;
    my $c = $server->client;
    $c->send($bytes);
    shutdown $c->socket, 1 if $half;
    my @answers;
    while (my $a = $c->response('POST', 20)) {
        push @answers, $a;
    }
    push @answers, { status => "left: $c->{in}" } if $c->{in} ne '';
    return @answers;
}

sub statuses { return join ' ', map { $_->{status} } answers(@_) }

# The log as text; how often it has a customer (of those made here, whose name
# needs no escape).
sub text {
    my $text = '';
    for my $file (glob $n->path('log/*')) {
        open my $f, '<:raw', $file or die "$file: $!";
        local $/;
        $text .= <$f>;
    }
    return $text;
}

sub events_of {
    my ($customer) = @_;
    return scalar(() = text() =~ /"customer":"\Q$customer\E"/g);
}

# ---- requests within requests ---- #

# Each of these hides a whole request in its body. It must never be served.
sub smuggled {
    my ($route, $what, $allow, $make) = @_;
    my ($outer, $inner) = (fresh(), fresh());
    my $hidden = last_one($route, $inner);
    my @s = split ' ', statuses($n, $make->($outer, $hidden), 1);
    ok @s == 1 && $s[0] =~ /^(?:$allow)$/, "/$route: $what: refused or one"
        or diag "@s";
    is events_of($inner), 0, '... what is hidden is not served';
    my $served = @s && $s[0] eq '200' ? 1 : 0;
    is events_of($outer), $served, '... and what is served is logged';
}

for my $route (@routes) {
    my $len = sub { 'Content-Length: ' . length $_[0] };
    my $chunked = 'Transfer-Encoding: chunked';

    smuggled($route, 'length and chunks', '400', sub {
        my ($c, $hidden) = @_;
        return head($route, $len->("0\r\n\r\n$hidden"), $chunked)
            . "0\r\n\r\n$hidden";
    });
    smuggled($route, 'chunks and length', '400', sub {
        my ($c, $hidden) = @_;
        return head($route, $chunked, 'Content-Length: 4')
            . chunks(body($route, $c)) . $hidden;
    });
    smuggled($route, 'two lengths', '400', sub {
        my ($c, $hidden) = @_;
        my $b = body($route, $c);
        return head($route, $len->($b), $len->($b . $hidden)) . $b . $hidden;
    });
    smuggled($route, 'the same length twice', '400', sub {
        my ($c, $hidden) = @_;
        my $b = body($route, $c);
        return head($route, $len->($b), $len->($b)) . $b . $hidden;
    });
    smuggled($route, "length $_", '400', sub {
        my ($c, $hidden) = @_;
        return head($route, "Content-Length: $_") . body($route, $c) . $hidden;
    }) for '-1', '+5', '0x10', '5, 5', '5 5', '1e1', ' ', '',
        '99999999999999999999999', '9223372036854775808';
    smuggled($route, "encoding '$_'", '400|501', sub {
        my ($c, $hidden) = @_;
        return head($route, "Transfer-Encoding: $_")
            . chunks(body($route, $c)) . $hidden;
    }) for 'chunked, identity', 'identity', 'xchunked', "\x0bchunked",
        'chunked, chunked', 'gzip, chunked', '"chunked"', 'chunked;q=1';
    smuggled($route, 'chunked twice', '400|501', sub {
        my ($c, $hidden) = @_;
        return head($route, $chunked, 'Transfer-Encoding: identity')
            . chunks(body($route, $c)) . $hidden;
    });
    smuggled($route, 'a folded header', '400|501', sub {
        my ($c, $hidden) = @_;
        my $b = body($route, $c);
        return head($route, "Transfer-Encoding:\r\n chunked",
            $len->($b . $hidden)) . $b . $hidden;
    });
    smuggled($route, 'a blank before the colon', '400', sub {
        my ($c, $hidden) = @_;
        my $b = body($route, $c);
        return head($route, 'Transfer-Encoding : chunked',
            $len->($b . $hidden)) . $b . $hidden;
    });
    smuggled($route, 'HTTP/1.0 in chunks', '400', sub {
        my ($c, $hidden) = @_;
        return head($route, $chunked) =~ s{HTTP/1.1}{HTTP/1.0}r
            . chunks(body($route, $c)) . $hidden;
    });
    smuggled($route, "a chunk of $_ bytes", '400|413', sub {
        my ($c, $hidden) = @_;
        return head($route, $chunked) . "$_\r\n" . body($route, $c)
            . "\r\n0\r\n\r\n$hidden";
    }) for 'ffffffffffffffff', '7fffffffffffffff', '10000000000000000', '-1',
        '0x5', ' 5', 'g', '+3';
    smuggled($route, 'a body and no length', '400', sub {
        my ($c, $hidden) = @_;
        return head($route, 'Connection: close') . body($route, $c) . $hidden;
    });
    smuggled($route, 'a length that takes it in', '400', sub {
        my ($c, $hidden) = @_;
        my $b = body($route, $c) . $hidden;
        return head($route, $len->($b), 'Connection: close') . $b;
    });

    # these are right, and what follows is a request of its own
    for my $case (
        ['chunk extensions', sub { chunks($_[0]) =~ s/^(\w+)/$1;a="b";c/r }],
        ['zeros before a size', sub { '000000' . chunks($_[0]) }],
        ['trailers', sub {
            chunks($_[0]) =~ s/\r\n\z/X-Trail: 1\r\nContent-Length: 9\r\n\r\n/r
        }],
    ) {
        my ($what, $make) = @$case;
        my ($one, $two) = (fresh(), fresh());
        is statuses($n, head($route, $chunked)
            . $make->(body($route, $one)) . last_one($route, $two)),
            '200 200', "/$route: $what";
        is events_of($one) + events_of($two), 2, '... both logged';
    }
}

# ---- behind a refused request ---- #

my $away = server('nowhere');

sub after {
    my ($server, $route, $bad, $status, $what) = @_;
    my $c = fresh();
    my @s = split ' ', statuses($server, $bad . last_one($route, $c));
    my $second = $server == $n ? '200' : '200|503';
    ok $s[0] && $s[0] eq $status
        && (@s == 1 || @s == 2 && $s[1] =~ /^(?:$second)$/),
        "/$route: after $status ($what): answered or closed" or diag "@s";
    is events_of($c), @s - 1, '... and logged as often'
        if $server == $n;
}

for my $route (@routes) {
    my $b = body($route, fresh());
    my $l = 'Content-Length: ' . length $b;
    my $big = 'x' x 20_000;
    my $long_one = 'Content-Length: 20000';

    after($n, $route, head($route, 'Content-Length: 2') . '{x', 400, 'JSON');
    after($n, $route, head($route, 'Content-Length: 2') . '[]', 400,
        'no object');
    after($n, $route, head($route, 'Transfer-Encoding: chunked')
        . chunks('{', 'x'), 400, 'JSON in chunks');
    after($n, $route, head($route), 400, 'no body');
    after($n, $route, head('nowhere', $l) . $b, 404, 'no location');
    after($n, $route, head('known', 'Content-Length: '
        . length body('rewards', 'zz')) . body('rewards', 'zz'), 404,
        'no decision');
    after($n, $route, "DELETE /$route HTTP/1.1\r\nHost: x\r\n$l\r\n\r\n$b",
        405, 'DELETE');
    after($n, $route, "DELETE /$route HTTP/1.1\r\nHost: x\r\n"
        . "Transfer-Encoding: chunked\r\n\r\n" . chunks(split //, $b), 405,
        'DELETE in chunks');
    after($n, $route, head('length', $l) . $b, 411, 'return 411');
    after($n, $route, head($route, $long_one) . $big, 413, 'length');
    after($n, $route, head($route, 'Transfer-Encoding: chunked')
        . chunks($big), 413, 'chunks');
    after($n, $route, head($route, 'Content-Length: 9000000')
        . $b, 413, "length beyond nginx's");
    after($n, $route, head($route, $l, 'Content-Type: a/b') . $b, 415, 'type');
    after($n, $route, head($route, 'Transfer-Encoding: chunked',
        'Content-Type: a/b') . chunks($b), 415, 'type in chunks');
    after($n, $route, head($route, $l, 'Expect: 100-continue',
        'Content-Type: a/b') . $b, 415, 'type, with Expect');
    after($away, $route, head('reward', 'Content-Length: '
        . length body('reward', 'zz')) . body('reward', 'zz'), 503,
        'no log');
    after($away, $route, head('paid', 'Transfer-Encoding: chunked')
        . chunks(body('paid', 'zz')), 503, 'no log, in chunks');
}

# ---- chunks, wherever they are cut ---- #

for my $route (@routes, 'small/decide', 'small/cart', 'small/reward') {
    my $c = $n->client;
    my ($wrong, $asked) = (0, 0);
    my @customers;
    my $length = length body($route, 'c00000');
    for my $at (1 .. $length - 1) {
        push @customers, my $customer = sprintf 'd%05d', ++$made;
        my $b = body($route, $customer);
        $c->send(head($route, 'Transfer-Encoding: chunked')
            . chunks(substr($b, 0, $at), substr $b, $at));
        my $a = $c->response('POST');
        $wrong++ if !$a || $a->{status} != 200;
        last if !$a;
    }
    is $wrong, 0, "/$route: a body in two chunks, cut at any byte";
    my %logged;
    $logged{$_}++ for text() =~ /"customer":"(\w+)"/g;
    is scalar(grep { ($logged{$_} // 0) == 1 } @customers), $length - 1,
        '... each logged once';
}

# the whole request, cut at any byte: two packets
for my $route (qw(decide predict cart small/predict)) {
    my $whole = head($route, 'Transfer-Encoding: chunked')
        . chunks(map { "$_" } unpack '(a40)*', body($route, 'd'));
    my $c = $n->client;
    setsockopt $c->socket, 6, 1, 1;             # TCP_NODELAY
    my $right = 0;
    for my $at (1 .. length($whole) - 1) {
        $c->send(substr $whole, 0, $at);
        select undef, undef, undef, 0.0005;
        $c->send(substr $whole, $at);
        my $a = $c->response('POST') or last;
        $right++ if $a->{status} == 200;
    }
    is $right, length($whole) - 1, "/$route: in two packets, cut at any byte";
}

# ---- Expect ---- #

for my $route (@routes) {
    my $customer = fresh();
    my $b = body($route, $customer);
    my $c = $n->client;
    $c->send(head($route, 'Expect: 100-continue',
        'Content-Length: ' . length $b, 'Connection: close'));
    $c->read_all(10, qr/\r\n\r\n/);
    like $c->{in}, qr{\AHTTP/1\.1 100 .*\r\n\r\n\z}, "/$route: goes on";
    $c->send($b);
    is $c->response('POST')->{status}, 200, '... and answers';
    is events_of($customer), 1, '... once';
}

# ---- HEAD goes nowhere but where GET does ---- #

for my $route (@routes, qw(state health)) {
    my $status = $route =~ /^(?:decide|state|health)$/ ? 200 : 405;
    my $c = $n->client;
    $c->send("HEAD /$route HTTP/1.1\r\nHost: x\r\n\r\n"
        . "HEAD /$route HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
        . last_one('decide', my $customer = fresh()));
    is join(' ', map { ($c->response($_) // {})->{status} // '-' }
        qw(HEAD HEAD POST)), "$status $status 200", "HEAD /$route, thrice";
    is events_of($customer), 1, '... and what is behind it is served';
}

# ---- half-closed connections ---- #

for my $route (@routes) {
    my ($whole, $torn, $cut) = (fresh(), fresh(), fresh());
    is statuses($n, last_one($route, $whole), 1), '200',
        "/$route: a client that closed its side is answered";
    is events_of($whole), 1, '... and logged';
    my $b = last_one($route, $torn);
    like statuses($n, substr($b, 0, -1), 1), qr/^(?:400)?$/,
        "/$route: a body that ends a byte early";
    is events_of($torn), 0, '... changes nothing';
    like statuses($n, head($route, 'Transfer-Encoding: chunked')
        . substr(chunks(body($route, $cut)), 0, -2), 1), qr/^(?:400)?$/,
        "/$route: chunks without their end";
    is events_of($cut), 0, '... change nothing';
}

# ---- the JSON test suite ---- #

SKIP: {
    my $data = Reco::Nginx::data();
    my @files = $data
        ? glob("$data/json-test-suite/test_parsing/*.json") : ();
    skip 'no JSON test suite', 2 unless @files;

    my (%c, @wrong);
    for my $route (@routes) {
        my $c = $n->client;
        for my $file (@files) {
            open my $f, '<:raw', $file or die "$file: $!";
            my $text = do { local $/; <$f> };
            my ($kind) = $file =~ m{/([yni])_};

            # larger than a body may be, but no less hostile
            $c = $n->client unless $c;
            my $a = $c->request(verb($route), "/$route", $text);
            my $status = $a ? $a->{status} : 'none';
            $c = undef if !$a
                || ($a->{headers}{connection} // '') eq 'close';
            my $error = $a && $a->{status} != 200
                ? eval { $json->decode($a->{body}) } : {};

            my $right = $kind eq 'n' ? $status =~ /^(?:400|413)$/
                : $status =~ /^(?:200|400|422)$/;
            # a text that is JSON is refused for what it says: as what is not
            # an object it is no request, but an object is read to its end
            if ($kind eq 'y' && $route =~ /^(?:decide|reward)$/
                && $text =~ /^\s*\{/ && $file !~ /duplicated/)
            {
                my $code = $error->{error}{code} // '';
                $right &&= $code ne 'invalid_json';
            }
            push @wrong, "$route $file: $status" if !$right || !$error;
            $c{$kind}++;
        }
    }
    is "@wrong[0 .. ($#wrong < 9 ? $#wrong : 9)]", '',
        "the JSON test suite: $c{y} right, $c{n} wrong, $c{i} either";
    is $n->request('POST', '/decide', '{}')->{status}, 200, '... and goes on';
}

# ---- texts that are made to break something ---- #

my @texts = (
    '../../../../etc/passwd', '..', '/', '/dev/null', 'a/b', 'C:\\con',
    'reco-edge-00000000-000001.ndjson', "x\x{2028}y", "x\x{2029}y",
    "\x{feff}x", "\x{202e}x", 'a"b', "a'b", 'a\\', '\\"', '\\u0000', '"}',
    '"},{"type":"reward', '{"a":1}', '%00', '%0d%0a', '%n%n%s', '${jndi:x}',
    '$reco_action', '`id`', '; rm', '<script>', "' OR 1=1 --", '=1+1',
    'a,b', '#', 'reco_up 1', '"} 1', 'le="+Inf"', ' ', '0', 'null', 'true',
    "\x{10ffff}", "\x{fffe}", "\x{1f600}" x 63, 'x' x 255, "e\x{301}" x 80,
);
my @refused = ('', (map { "a${_}b" } "\0", "\x01", "\t", "\n", "\r", "\e",
    "\x7f", "\x{80}", "\x{85}", "\x{9f}"), 'x' x 256, "\x{e9}" x 128);

my %name = (decide => 'customer', reward => 'customer');
my %session = (decide => 'session', reward => 'session', cart => 'session_id',
    paid => 'session_id');
my @before = tree($n->dir);

sub tree {
    my ($dir) = @_;
    my @all = split /\n/, qx(find '$dir' -mindepth 1);
    return sort grep { !m{/tmp/} } @all;
}

for my $route (@routes) {
    my $field = $name{$route} // 'customer_id';
    my $c = $n->client;
    my ($good, $bad) = (0, 0);
    for my $text (@texts) {
        my $request = $json->decode(body($route, 'x'));
        $request->{$field} = $text;
        $request->{ $session{$route} } = $text if $session{$route};
        # the offers say what is wrong; the rest must be taken as it is
        my $a = $c->request(verb($route), "/$route", $json->encode($request));
        $good++ if $a && $a->{status} == 200
            && eval { JSON::PP->new->utf8->allow_nonref->decode($a->{body}) };
    }
    is $good, @texts, "/$route: texts that are ids like others";
    my %logged;
    $logged{ $_->{customer} // '' } = 1 for $n->events;
    is join('|', grep { !$logged{$_} } @texts), '', '... logged as they are';

    for my $text (@refused) {
        my $request = $json->decode(body($route, 'x'));
        $request->{$field} = $text;
        my $a = $c->request(verb($route), "/$route", $json->encode($request));
        $bad++ if $a && $a->{status} == 400;
        diag $json->encode([$route, $text, $a->{status}, $a->{body}])
            if $a && $a->{status} != 400;
    }
    is $bad, @refused, "/$route: texts that are none";
}

# bytes that are no UTF-8, as they are and in arguments
my @bytes = ("\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc3",
    "\xf8\x88\x80\x80\x80", "a\x80");
for my $bytes (@bytes) {
    is $n->request('POST', '/decide', qq({"customer":"$bytes"}))->{status},
        400, 'no UTF-8 in a body';
    my $arg = join '', map { sprintf '%%%02x', ord } split //, $bytes;
    is $n->request('GET', "/decide?customer=$arg")->{status}, 400,
        'no UTF-8 in an argument';
}
is $n->request('GET', "/decide?customer=$_")->{status}, 400, "argument $_"
    for qw(%00 %0a %7f %c2%85 %zz % %4);
is $n->request('GET', "/decide?customer=$_")->{status}, 200, "argument $_"
    for qw(..%2f..%2fetc %22 %e2%80%a8 %5c);
is $n->request('POST', '/decide', '{"customer":"\ud800"}')->{status}, 400,
    'half a surrogate pair';

# names of facts, features and keys come from outside as well
for my $text (@texts) {
    my $key = $json->encode([$text]) =~ s/^\[|\]$//gr;
    my $a = $n->request('POST', '/reward',
        qq({"customer":$key,"key":$key,"action":$key,"items":[$key],)
        . qq("facts":{"click":1}}));
    is $a->{status}, 200, "a reward full of it" or diag "$key: $a->{body}";
    $a = $n->request('POST', '/decide', qq({"features":{$key:$key},)
        . qq("actions":[$key,"A"],"cart":[$key],"exclude":[$key]}));
    is $a->{status}, 200, '... and a decision' or diag "$key: $a->{body}";
}

# ---- ids in every place that has one ---- #

# By format: the members that hold an id, or a list of them ('[]'), in a right
# request; '' is as good as none where it is so in that format.
my %places = (
    decide => [qw(customer session cart[] exclude[])],
    reward => [qw(customer session key action items[])],
    predict => [qw(customer_id)],
    rewards => [qw(customer_id key? accepted_offer?)],
    cart => [qw(customer_id session_id? cart_items[] out_of_stock[])],
    paid => [qw(customer_id session_id? reward_id? action_type
        recommended_products[])],
);
my %token_of = (reward => 'decision', rewards => 'decision_id',
    paid => 'decision_id');

sub with {
    my ($route, $place, $text) = @_;
    my ($member, $kind) = $place =~ /^(\w+)(\[\]|\?)?$/;
    my $request = $json->decode(body($route, 'x'));
    $request->{$member} = ($kind // '') eq '[]' ? [$text] : $text;
    return $json->encode($request);
}

for my $route (@routes) {
    my $c = $n->client;
    my $ask = sub {
        my $a = $c->request(verb($route), "/$route", with($route, @_)) // {};
        return ($a->{status} // 0)
            . (eval { JSON::PP->new->utf8->allow_nonref->decode($a->{body}) }
                ? '' : ' and no JSON');
    };
    for my $place (@{ $places{$route} }) {
        my @wrong = grep { $ask->($place, $_) ne '200' } @texts;
        is scalar @wrong, 0, "/$route: $place holds any text"
            or diag $json->encode(\@wrong);
        @wrong = grep { $ask->($place, $_) ne '400' }
            grep { length || $place !~ /\?$/ } @refused;
        is scalar @wrong, 0, '... and none that is no id'
            or diag $json->encode(\@wrong);
    }
    next unless $token_of{$route};
    my @wrong = grep { $ask->($token_of{$route}, $_) ne '400' } @texts;
    is scalar @wrong, 0, "/$route: none of them is a decision"
        or diag $json->encode(\@wrong);
}

# and in a query's arguments
my $h = $n->client;
for my $name (qw(customer_id session_id action_type)) {
    my (@wrong, @taken);
    for my $format ('json', 'csv') {
        for my $text (@texts, @refused) {
            utf8::encode(my $bytes = $text);
            my $arg = join '', map { sprintf '%%%02x', ord } split //, $bytes;
            my $a = $h->request('GET', "/history?format=$format&$name=$arg");
            my $good = $a->{status} == 400
                || ($format eq 'csv' ? $a->{body} =~ /\Atimestamp,.*\r\n\z/s
                    : eval { $json->decode($a->{body}) });
            push @wrong, $text if !$good;
            push @taken, $text if $a->{status} == 200;
        }
    }
    is scalar @wrong, 0, "/history: $name is any text";
    is scalar @taken, 2 * (@texts + 1), '... that is an id, or empty';
}

# ---- what is left of it ---- #

is join("\n", tree($n->dir)), join("\n", @before), 'no file has come of it';

my $metrics = $n->request('GET', '/metrics')->{body};
my %labels;
$labels{$1}{$2} = 1 while $metrics =~ /(\w+)="((?:[^"\\]|\\.)*)"/g;
my @odd = grep { /passwd|script|jndi|\bc\d+\b|etc/ }
    map { keys %$_ } values %labels;
is "@odd", '', 'no id has become a label';
is_deeply [grep { !/^(?:#.*|\w+(?:\{[^\n]*\})? [-+.\deInfNa]+)?$/ }
    split /\n/, $metrics], [], '... and each metric is a line';

# Names of facts are a client's own: a bounded number of them, escaped.
for my $i (1 .. 200) {
    my $name = $json->encode([$texts[$i % @texts] . $i]) =~ s/^\[|\]$//gr;
    $n->request('POST', '/reward', qq({"customer":"x","facts":{$name:1}}));
}
$metrics = $n->request('GET', '/metrics')->{body};
my @kinds = $metrics =~ /^(reco_rewards_total\{.*)$/mg;
cmp_ok @kinds, '>', 30, 'facts by their names';
cmp_ok @kinds, '<=', 32, '... but not by all';
is scalar(grep { !/\A\w+\{kind="(?:[^"\\]|\\["\\n])*"\} \d+\z/ } @kinds), 0,
    '... each a line';
my $sum = 0;
$sum += /(\d+)$/ ? $1 : 0 for @kinds;
is $sum, scalar(map { keys %{ $_->{facts} } } $n->rewards),
    '... which add up to what is logged';

my ($lines, $broken, %id) = (0, 0);
for my $file (glob $n->path('log/*')) {
    open my $f, '<:raw', $file or die "$file: $!";
    while (my $line = <$f>) {
        $lines++;
        my $e = eval { $json->decode($line) };
        $broken++ if !$e || $line !~ /\A\{.*\}\n\z/
            || $line =~ /\xe2\x80[\xa8\xa9]/;
        $id{ $e->{id} }++ if $e && $e->{type} eq 'decision';
    }
}
cmp_ok $lines, '>', 1000, "$lines lines";
is $broken, 0, '... each is one object of JSON';
is scalar(grep { $_ > 1 } values %id), 0, '... no decision twice';

my $logged = keys %id;
like $metrics, qr/^reco_decisions_made_total $logged$/m,
    "$logged decisions, counted as they are logged";
my $paid = () = $n->rewards;
like $metrics, qr/^reco_rewards_accepted_total $paid$/m, '... and rewards';
like $metrics, qr/^reco_errors_total\{reason="internal"\} 0$/m,
    'no internal error';

ok $_->stop, 'ends' for $n, $away;
$n->ok_log;
$away->ok_log(allow => [qr/cannot open a segment/]);

done_testing;
