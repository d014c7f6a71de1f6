#!/usr/bin/perl

# Whichever allocation fails while a request is served (that one, or it and all
# after it, until the client has its answer): the answer is whole and right, an
# error, or none; the worker lives, the next request is served, nothing that
# was acknowledged is missing in the log and nothing is left waiting.
#
# Pools are as small as nginx lets them be, so that they have to ask for memory
# again and again.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256_hex);
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp qw(tempdir);
use JSON::PP;
use Reco::Log;
use Reco::Nginx;
use Reco::Preload;
use Test::More;

plan skip_all => 'memory is watched by another tool'
    if $ENV{RECO_VALGRIND} || $ENV{ASAN_OPTIONS};

my $dir = tempdir('reco-test.XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $control = "$dir/control";
my $library = preload('no_memory') or plan skip_all => 'no compiler';

my $hash = '5a' x 32;
my $json = JSON::PP->new->utf8->canonical->allow_nonref;

# ---- memory that runs out ---- #

# The n-th allocation from now on fails; 0: none.
sub arm {
    my ($nth, $onwards) = @_;
    open my $f, '+<:raw', $control or die "$control: $!";
    syswrite $f, pack 'q4', 0, $onwards ? 1 : 0, 0, 0;
    sysseek $f, 0, 0;
    syswrite $f, pack 'q', $nth;
}

sub failures {
    open my $f, '<:raw', $control or die "$control: $!";
    sysread $f, my $four, 32;
    return (unpack 'q4', $four)[3];
}

sub server {
    my ($log) = @_;
    open my $f, '>:raw', $control or die "$control: $!";
    syswrite $f, pack 'q4', (0) x 4;
    close $f;

    my $n = Reco::Nginx->new(
        files => { secret => "hash $hash\nsign k1 " . 'c3' x 32 . "\n" },
        conf_http => <<"E",
request_pool_size    256;
connection_pool_size 256;
reco_zone     reco:4m;
reco_secret   secret;
reco_model    shop models/shop check=1h;
reco_fallback shop A,B,C;
reco_model    cart models/cart check=1h;
reco_log      $log;
reco_decide   shop customer=\$arg_c;
E
        conf_server => <<'E');
location = /decide   { reco_recommend shop; }
location = /reward   { reco_reward    shop unknown=accept; }
location = /predict  { reco_recommend shop format=offers; }
location = /rewards  { reco_reward    shop format=offers unknown=accept; }
location = /cart     { reco_recommend cart format=cart; }
location = /paid     { reco_reward    cart format=cart unknown=accept; }
location = /live     { reco_agent     cart metrics; }
location = /state    { reco_agent     cart state; }
location = /history  { reco_agent     cart history; }
location = /health   { reco_health    cart format=cart; }
location = /status   { reco_status    json; }
location = /metrics  { reco_status    prometheus; }
# without a decision, for whatever reason, a variable is empty
location = /variable { return 200 "$reco_action.\n"; }
location /small/ {
    client_body_buffer_size 16;
    location = /small/decide { reco_recommend shop; }
    location = /small/paid   { reco_reward    cart format=cart
                                              unknown=accept; }
}
E
    cart_model($n);
    local @ENV{qw(LD_PRELOAD NO_MEMORY)} = ($library, $control);
    return $n->start;
}

# A model that has learned, so that there are a trainer's facts to tell: a
# success in four decisions, days before the last record.
sub cart_model {
    my ($n) = @_;
    my $hour = 3_600_000;
    my $t = 1_790_000_000_000;
    my %more = (model => 'cart', features => { device => ['phone', 'request'] },
        actions => 2, policy => 'q_table', slate => ['again'], p => [1 / 2]);
    write_segment($n->path('learned'), 'edge', 7, 0, $t,
        (map { decision($_, $t + $_ * $hour, %more, customer => "c$_") }
            1 .. 4),
        reward(4, $t + 4 * $hour + 1, { conversion => 1 }, model => 'cart',
            customer => 'c4'),
        decision(9, $t + 99 * $hour, %more, customer => 'c9'));
    $n->write('cart.json', $json->encode({
        model => 'cart', version => '1',
        features => [{ name => 'device', type => 'category',
            from => ['request'], vocabulary => ['phone'] }],
        actions => [{ id => 'popular' }, { id => 'again' }],
        policy => { type => 'q_table', state => ['device'] },
        reward => { conversion => 1, horizon => '1h' },
    }));
    $n->tool_run('build', $n->path('cart.json'), '--out', $n->path('a.mdb'));
    $n->tool_run('train', '--json', '--base', $n->path('a.mdb'), '--log',
        $n->path('learned'), '--out', $n->path('b.mdb'));
    $n->folder('models/cart');
    $n->tool_run('publish', '--force', $n->path('b.mdb'), '--to',
        $n->path('models/cart'));
}

# ---- one request ---- #

my $day = '"timestamp":"2026-11-22"';
my $paid = '{"customer_id":"%s","session_id":"s","reward_value":1,'
    . '"action_type":null}';
my @routes = (
    [POST => 'decide', '{"customer":"%s","session":"s"}'],
    [GET => 'decide?customer=%s&explain=1'],
    [POST => 'small/decide', '{"customer":"%s","explain":true}'],
    [PUT => 'reward', '{"customer":"%s","facts":{"click":1,"revenue":2.5}}'],
    [POST => 'predict',
        qq({"customer_id":"%s",$day,"states":{},"offers":{"A":true}})],
    [PUT => 'rewards',
        qq({"customer_id":"%s",$day,"accepted_one_of_the_three_offers":true})],
    [POST => 'cart', '{"customer_id":"%s","session_id":"s","device":"phone"}'],
    [POST => 'paid', $paid],
    [POST => 'small/paid', $paid],
    [GET => 'live'], [GET => 'state'], [GET => 'history?customer_id=c1'],
    [GET => 'history?format=csv'], [GET => 'health'], [GET => 'status'],
    [GET => 'metrics'], [GET => 'variable?c=%s'],
);

# The answer, or undef where the connection ended without a byte of one.
sub ask {
    my ($n, $route, $customer) = @_;
    my ($method, $uri, $body) = @$route;
    $_ = sprintf $_, $customer for grep { defined && /%s/ } $uri, $body;
    my $c = $n->client;
    eval {
        $c->send(join "\r\n", "$method /$uri HTTP/1.1", 'Host: x',
            'Connection: close',
            (defined $body ? 'Content-Length: ' . length $body : ()), '',
            $body // '');
    };
    my $a = $c->response($method, 20);
    return $a if $a;
    return $c->{in} eq '' ? undef : { status => "torn: $c->{in}" };
}

# What an answer has, whatever the values are; but null and '' are told.
sub shape {
    my ($text) = @_;
    my $v = eval { $json->decode($text) };
    return ref $v ? paths($v) : length $text ? 'text' : '';
}

sub paths {
    my ($v, $path) = (@_, '');
    return join ' ', map { paths($v->{$_}, "$path.$_") } sort keys %$v
        if ref $v eq 'HASH';
    return $path . '[]' if ref $v eq 'ARRAY';
    return $path . (!defined $v ? '=null' : $v eq '' ? "=''" : '');
}

# What is wrong with an answer, or nothing.
sub wrong {
    my ($a, $right) = @_;
    return if !$a;
    return "status $a->{status}" if $a->{status} !~ /^(?:200|500|503)$/;
    return if $a->{status} != 200;
    my $shape = shape($a->{body});
    return $shape eq $right ? () : "another answer: '$shape', not '$right'";
}

# ---- every allocation of every route ---- #

my $made = 0;

# Returns the customers whose rewards were acknowledged.
sub exhaust {
    my ($n, $route, $onwards) = @_;
    my ($method, $uri, $body) = @$route;
    my ($nth, $met, %seen) = (1, 0);
    my (@wrong, @acknowledged);

    # twice: the first one may grow what the worker keeps
    ask($n, $route, 'c1');
    my $right = shape(ask($n, $route, 'c1')->{body});
    my ($pid) = $n->worker_pids;

    while (1) {
        my $customer = 'n' . ++$made;
        arm($nth, $onwards);
        my $a = ask($n, $route, $customer);
        my $hit = failures();
        arm(0);

        $seen{ $a ? $a->{status} : 'none' }++;
        push @wrong, map { "$nth: $_" } wrong($a, $right);
        push @acknowledged, $customer
            if $a && $a->{status} eq '200' && $uri =~ /reward|paid/;
        last if !$hit || @wrong > 5;
        $met++;
        $nth++;
    }

    my $what = "$method /$uri" . ($onwards ? ', all after it' : '');
    is join("\n", @wrong), '', "$what: $met failures, "
        . join ', ', map { "$_: $seen{$_}" } sort keys %seen;
    cmp_ok $met, '>', 1, '... there were some';
    is join(' ', $n->worker_pids), $pid, '... the worker lives';
    is ask($n, $route, 'c1')->{status}, 200, '... and serves';
    return @acknowledged;
}

for my $log ('log', 'log sync=always') {
    my $n = server($log);
    like $n->request('GET', '/state')->{body}, qr/"last_training":\{/,
        "reco_log $log: a model that has learned";

    my @acknowledged = map { my $r = $_; map { exhaust($n, $r, $_) } 0, 1 }
        @routes;
    my %logged = map { ($_->{customer} // '') => 1 } $n->rewards;
    my @missing = grep {
        !$logged{ substr hmac_sha256_hex($_, pack 'H*', $hash), 0, 32 }
    } @acknowledged;
    cmp_ok @acknowledged, '>', 0, scalar(@acknowledged)
        . ' rewards were acknowledged all the same';
    is "@missing", '', '... and are in the log';

    my ($errors) = $n->request('GET', '/metrics')->{body}
        =~ /^reco_errors_total\{reason="internal"\} (\d+)$/m;
    cmp_ok $errors, '>', 0, "$errors internal errors are counted";

    ok $n->stop, 'ends: nothing waits';
    is scalar(() = glob $n->path('log/*.open')), 0, 'no segment is left open';
    $n->ok_log(allow => [qr/\[emerg\].*failed \(12: /]);
}

done_testing;
