#!/usr/bin/perl

# The keys that sign tokens change while clients decide and reward: a key that
# verifies before it signs, and goes when nothing has it any more, costs no
# client an error. A token that is changed in any bit is refused, in every
# format. Another hash key is refused together with the snapshot.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use POSIX ();
use Reco::Lifecycle qw(spec build generation_soon decide);
use Reco::Nginx;
use Test::More;

my ($hash, $k1, $k2) = ('5a' x 32, 'c3' x 32, 'd4' x 32);
my %line = (k1 => "sign k1 $k1\n", k2 => "sign k2 $k2\n");

sub secret {
    my ($with, @keys) = @_;
    return join '', "hash $with\n", map { $line{$_} } @keys;
}

sub edge {
    my (@keys) = @_;
    return Reco::Nginx->new(
        workers => 2, files => { secret => secret($hash, @keys) },
        conf_http => <<'E', conf_server => <<'E')->start;
reco_zone     reco:2m;
reco_secret   secret;
reco_model    shop models/shop check=200ms;
reco_fallback shop A,B;
reco_log      log;
keepalive_requests 100000;
E
location = /decide  { reco_recommend shop; }
location = /reward  { reco_reward    shop unknown=accept; }
location = /rewards { reco_reward    shop format=offers unknown=accept; }
location = /paid    { reco_reward    shop format=cart unknown=accept; }
location = /metrics { reco_status    prometheus; }
E
}

sub token {
    my ($n) = @_;
    return $n->json('POST', '/decide', { customer => 'c1' })->{json}{decision};
}

sub reward {
    my ($n, $token) = @_;
    return $n->json('POST', '/reward', { customer => 'c1',
        decision => $token, facts => { click => 1 } })->{status};
}

sub errors {
    my ($n, $reason) = @_;
    my $text = $n->request('GET', '/metrics')->{body};
    return $text =~ /^reco_errors_total\{reason="$reason"\} (\d+)$/m ? $1 : -1;
}

# A client that rewards each decision with the next request; what was not 200.
sub client {
    my ($n, $file) = @_;
    my $pid = fork // die "fork: $!";
    return $pid if $pid;
    my $go = 1;
    local $SIG{TERM} = sub { $go = 0 };
    my ($asked, @bad) = 0;
    while ($go) {
        my $token = eval { token($n) } // 'none';
        my $status = eval { reward($n, $token) } // 'none';
        $asked++;
        push @bad, "$token: $status" if $status ne '200';
    }
    open my $f, '>', $file or POSIX::_exit(1);
    print {$f} join("\n", $asked, @bad), "\n";
    close $f;
    POSIX::_exit(0);
}

my $n = edge('k1');
my $other = edge('k1');

sub keys_are {
    my ($server, @keys) = @_;
    $server->write('secret', secret($hash, @keys));
    ok $server->reload(1), 'keys: ' . join ', ', @keys;
}

# ---- while clients decide and reward ---- #

my @clients = map { client($n, $n->path("client.$_")) } 1 .. 2;

# tokens by the key that signed them
my %token = (k1 => token($n));
like $token{k1}, qr/\A1\.k1\./, 'the first key signs';

keys_are($n, qw(k1 k2));
like token($n), qr/\A1\.k1\./, 'a second one only verifies';
keys_are($other, qw(k2 k1));
$token{k2} = token($other);
like $token{k2}, qr/\A1\.k2\./, 'another edge is ahead and signs with it';
is reward($n, $token{k2}), 200, '... which this one takes';
is reward($other, $token{k1}), 200, '... and the other way round';

keys_are($n, qw(k2 k1));
like token($n), qr/\A1\.k2\./, 'now it signs';
is reward($n, $token{$_}), 200, "... and a token of $_ is good" for qw(k1 k2);

keys_are($n, 'k2');
my $forged = errors($n, 'forged');
is $forged, 0, 'nobody was refused so far';
is reward($n, $token{k1}), 403, 'the old key is gone, and so are its tokens';
is reward($n, $token{k2}), 200, '... the others are not';
is errors($n, 'forged'), 1, '... which is counted';

for my $i (1 .. 2) {
    kill 'TERM', $clients[$i - 1];
    waitpid $clients[$i - 1], 0;
    my ($asked, @bad) = split /\n/, $n->read("client.$i");
    cmp_ok $asked, '>', 20, "client $i: $asked decisions were rewarded";
    is "@bad", '', '... none was refused';
}

# ---- every bit ---- #

my %body = (
    '/reward' => [POST => '{"customer":"c1","decision":"%s",'
        . '"facts":{"click":1}}'],
    '/rewards' => [PUT => '{"customer_id":"c1","timestamp":"2026-11-22",'
        . '"accepted_one_of_the_three_offers":true,"decision_id":"%s"}'],
    '/paid' => [POST => '{"customer_id":"c1","session_id":"s",'
        . '"reward_value":1,"action_type":null,"decision_id":"%s"}'],
);
my $good = $token{k2};
my $before = () = $n->rewards;
for my $uri (sort keys %body) {
    my ($method, $form) = @{ $body{$uri} };
    my ($was, $was_invalid) = (errors($n, 'forged'), errors($n, 'invalid'));
    my $c = $n->client;
    my %seen;
    for my $bit (0 .. 8 * length($good) - 1) {
        my $bad = $good;
        vec($bad, $bit, 1) ^= 1;
        # as a string of JSON has it, where it can have it
        $bad =~ s/(["\\])/\\$1/g;
        my $a = $c->request($method, $uri, sprintf $form, $bad);
        $seen{ $a ? $a->{status} : 'none' }++;
    }
    is join(' ', sort keys %seen), '400 403', "$uri: every bit of a token: "
        . ($seen{400} // 0) . ' are none, ' . ($seen{403} // 0)
        . ' are forged';
    is $seen{400} + $seen{403}, 8 * length $good, '... all of them';
    is errors($n, 'forged') - $was, $seen{403}, '... and counted as such';
    is errors($n, 'invalid') - $was_invalid, $seen{400}, '... both';
    is $c->request($method, $uri, sprintf $form, $good)->{status}, 200,
        '... the one as it was is good';
}
is scalar(() = $n->rewards), $before + keys %body,
    'none but the good ones is in the log';

# ---- the hash key ---- #

$n->write('customers.csv', "customer,age\nc1,30\n");
my $file = build(spec(features => [{ name => 'age', type => 'number',
    bins => [50], from => [qw(request customer)] }]),
    '--customers', $n->path('customers.csv'), '--secret', $n->path('secret'));
$n->folder('models/shop');
$n->tool_run('publish', $file, '--to', $n->path('models/shop'));
cmp_ok generation_soon($n, 1), '<', 1e9, 'a snapshot with customers';

my $says = qr/its customers were hashed with another key than the secret's/;
$n->write('secret', secret('5b' x 32, 'k2'));
my ($status, $words) = $n->test_config;
is $status, 0, 'nginx -t takes a secret with another hash key';
like $words, $says, '... and says what comes of it';
ok $n->reload(1), 'a reload';
cmp_ok generation_soon($n, 0), '<', 1e9, '... serves the fallback';
ok $n->wait_for(sub { $n->error_log =~ $says }), '... and says why';
$n->write('secret', secret($hash, 'k2'));
ok $n->reload(1), 'the right one again';
cmp_ok generation_soon($n, 1), '<', 1e9, '... serves the snapshot';

ok $_->stop, 'ends' for $n, $other;
$_->ok_log for $n, $other;

done_testing;
