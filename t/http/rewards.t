#!/usr/bin/perl

# Rewards: tokens that verify and tokens that do not, customers who had a
# decision and customers who had none, and no acknowledgement without a record.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256_hex);
use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP;
use Reco::Nginx;
use Test::More;

my $hash = '0f' x 32;
my $sign = 'a1' x 32;
my $old = 'b2' x 32;

my $http = <<'E';
reco_zone     reco:1m;
reco_model    shop models/shop;
reco_fallback shop A,B,C;
reco_model    other models/other;
reco_fallback other A;
E
my $server = <<'E';
location = /decide   { reco_recommend shop; }
location = /other    { reco_recommend other; }
location = /reward   { reco_reward shop; }
location = /accept   { reco_reward shop unknown=accept; }
location = /offers   { reco_reward shop format=offers; }
location = /metrics  { reco_status prometheus; }
E

sub errors {
    my ($n) = @_;
    return { $n->request('GET', '/metrics')->{body}
        =~ /^reco_errors_total\{reason="(\w+)"\} (\d+)$/mg };
}

# ---- with a secret ---- #

my $n = Reco::Nginx->new(
    files => { secret => "hash $hash\nsign k2 $sign\nsign k1 $old\n" },
    conf_http => "$http reco_log log; reco_secret secret;",
    conf_server => $server,
)->start;

sub decide {
    my ($uri, $body) = @_;
    return $n->json('POST', $uri, $body // {})->{json}{decision};
}

sub reward {
    my ($uri, %o) = @_;
    return $n->json('PUT', $uri, { facts => { click => 1 }, %o });
}

my $token = decide('/decide', { customer => 'c1' });
like $token, qr/\A1\.k2\.[0-9a-f]{32}\.[0-9a-f]{32}\z/,
    'with a secret an id is a token';
my ($id, $mac) = $token =~ /\A1\.k2\.(\w+)\.(\w+)\z/;

# RFC 2104 by Digest::SHA: the customer is logged as its keyed hash
my $key = substr hmac_sha256_hex('c1', pack 'H*', $hash), 0, 32;
my $e = ($n->decisions)[-1];
is $e->{customer}, $key, 'the customer is logged by its hash';
is $e->{id}, $id, 'the id is the token without its signature';
unlike $n->read((map { s{.*/}{log/}r } glob $n->path('log/*'))[0]), qr/"c1"/,
    'and never as it is';

is reward('/reward', decision => $token, customer => 'c1')->{status}, 200,
    'its own customer';
my $r = ($n->rewards)[-1];
is $r->{decision}, $id, '... joins by id';
is $r->{customer}, $key, '... and by customer';

my %forged = (
    'another customer' => { decision => $token, customer => 'c2' },
    'no customer' => { decision => $token },
    'an unsigned id' => { decision => $id, customer => 'c1' },
    'another id' => { customer => 'c1',
        decision => "1.k2.f" . substr($id, 1) . ".$mac" },
    'another signature' => { customer => 'c1',
        decision => "1.k2.$id." . ('0' x 32) },
    'an unknown key' => { customer => 'c1', decision => "1.k9.$id.$mac" },
    "the key's other name" => { customer => 'c1',
        decision => "1.k1.$id.$mac" },
    "another model's" => { customer => 'c1',
        decision => decide('/other', { customer => 'c1' }) },
);
my $rewards = () = $n->rewards;
for my $what (sort keys %forged) {
    my $a = reward('/reward', %{ $forged{$what} });
    is $a->{status}, 403, "forged: $what";
    is $a->{json}{error}{code}, 'forged', '... says so';
}
is errors($n)->{forged}, scalar keys %forged, '... counted';
is scalar(() = $n->rewards), $rewards, '... and not in the log';

$a = reward('/reward', decision => 'x');
is $a->{status}, 400, 'no token by its form';
is $a->{json}{error}{field}, 'decision', '... says in which field';
$a = $n->json('PUT', '/offers', { customer_id => 'c1', timestamp =>
    '2026-11-22', accepted_one_of_the_three_offers => JSON::PP::true,
    decision_id => 'x' });
is $a->{status}, 400, '... in the offers format too';
is $a->{json}{error}{field}, 'decision_id', '... by its own name';
my $anonymous = decide('/decide');
is reward('/reward', decision => $anonymous)->{status}, 200,
    'a decision without a customer: a reward without one';
is reward('/reward', decision => $anonymous, customer => 'c1')->{status}, 403,
    '... and not with one';

is reward('/reward', customer => 'c1')->{status}, 200,
    'a customer alone: the ledger joins it';
ok !exists +($n->rewards)[-1]{decision}, '... no decision in the record';

# a token of the offers contract
$a = $n->json('PUT', '/offers', { customer_id => 'c1',
    timestamp => '2026-11-22', accepted_one_of_the_three_offers =>
    JSON::PP::true, decision_id => $token });
is $a->{status}, 200, 'offers: a token';
is +($n->rewards)[-1]{decision}, $id, '... its decision';

# ---- customers without a decision ---- #

for (1 .. 2) {
    is reward('/reward', customer => 'nobody')->{status}, 404,
        'a customer who never had one';
}
is errors($n)->{no_decision}, 2, '... counted';
is reward('/accept', customer => 'nobody')->{status}, 200, 'unknown=accept';
decide('/decide', { customer => 'nobody' });
is reward('/reward', customer => 'nobody')->{status}, 200, 'now has one';
is reward('/reward', customer => 'c1', key => 'k', action => 'A',
    facts => { revenue => -3.25, click => 1 })->{status}, 200, 'all members';
is_deeply +($n->rewards)[-1]{facts}, { revenue => -3.25, click => 1 },
    '... are logged';

ok $n->reload(1), 'a reload';
is reward('/reward', customer => 'somebody')->{status}, 404,
    'what is known stays known: 404';
is reward('/reward', customer => 'c1')->{status}, 200, '... and 200';
my ($k1) = $n->write('secret', "hash $hash\nsign k1 $old\nsign k2 $sign\n");
ok $n->reload(1), 'keys are rotated';
like decide('/decide', { customer => 'c1' }), qr/\A1\.k1\./, 'the first signs';
is reward('/reward', decision => $token, customer => 'c1')->{status}, 200,
    'all verify';

ok $n->stop, 'ends';
$n->ok_log;

# a log that was there before: nothing can be proven
$n->start;
is reward('/reward', customer => 'somebody')->{status}, 200,
    'after a restart nobody is known not to have had one';
ok $n->stop, 'ends';
$n->ok_log;

# ---- no acknowledgement without a record ---- #

$n = Reco::Nginx->new(conf_http => "$http reco_log gone/log;",
    conf_server => $server)->start;
$a = $n->request('PUT', '/accept', '{"customer":"c","facts":{"a":1}}');
is $a->{status}, 503, 'a reward that cannot be written';
is $a->{headers}{'retry-after'}, 1, '... may be tried again';
is decode_json($a->{body})->{error}{code}, 'unavailable', '... says so';
$a = $n->json('POST', '/decide', { customer => 'c' });
is $a->{status}, 200, 'a decision is answered all the same';
is $a->{headers}{'reco-unlogged'}, 1, '... marked';
my %metrics = $n->request('GET', '/metrics')->{body} =~ /^(\w+) (\d+)$/mg;
is $metrics{reco_unlogged_decisions_total}, 1, '... and counted';
is errors($n)->{reward_unlogged}, 1, 'the reward too';
like $n->error_log, qr/\[(?:crit|err|error|alert)\].*reco: .*segment/,
    'a person is told';

$n->folder('gone/log');
ok $n->wait_for(sub {
    select undef, undef, undef, 0.2;
    $n->request('PUT', '/accept', '{"customer":"c","facts":{"a":1}}')
        ->{status} == 200;
}, 10), 'when the folder is there it heals by itself';
$a = $n->json('POST', '/decide', { customer => 'c' });
ok !exists $a->{headers}{'reco-unlogged'}, '... for decisions too';
ok $n->stop, 'ends';
$n->ok_log(allow => [qr/\[crit\].*reco: /]);

# ---- kinds that clients make up leave room for those of models ---- #

$n = Reco::Nginx->new(conf_http => "$http reco_log log;",
    conf_server => $server)->start;
my $c = $n->client;
$c->request('PUT', '/accept', qq({"customer":"c","facts":{"made_up_$_":1}}))
    for 1 .. 100;
$n->publish(shop => { model => 'shop', version => '1',
    actions => [{ id => 'A' }], reward => { bought_late => 1 } });
ok $n->wait_generation(shop => 1), 'a model whose reward nobody has sent';
$c->request('PUT', '/accept', qq({"customer":"c","facts":{"$_":1}}))
    for 'bought_late', 'made_up_1', 'made_up_100', 'made_up_101';
my %kinds = $n->request('GET', '/metrics')->{body}
    =~ /^reco_rewards_total\{kind="(\w+)"\} (\d+)$/mg;
is $kinds{bought_late}, 1, 'has its own count';
is $kinds{made_up_1}, 2, 'made up kinds have one each';
is $kinds{other}, 71, '... the first 31; the rest share one';
is scalar keys %kinds, 33, '... and there are no more';
ok $n->stop, 'ends';
$n->ok_log;

# ---- no log at all ---- #

$n = Reco::Nginx->new(conf_http => $http, conf_server => $server)->start;
is reward('/reward', customer => 'c')->{status}, 503, 'no reco_log: 503';
$a = $n->json('POST', '/decide', { customer => 'c' });
is $a->{status}, 200, 'decisions are answered';
ok !exists $a->{headers}{'reco-unlogged'}, 'nothing is missing of no log';
ok $n->stop, 'ends';
$n->ok_log;

# ---- no zone: nothing is known, nothing is counted ---- #

$n = Reco::Nginx->new(conf_http => ($http =~ s/reco_zone.*//r)
    . 'reco_log log;', conf_server => $server)->start;
is reward('/reward', customer => 'c')->{status}, 200, 'no reco_zone: 200';
is $n->json('POST', '/decide', { customer => 'c' })->{status}, 200,
    'decisions are answered';
ok $n->stop, 'ends';
$n->ok_log;

done_testing;
