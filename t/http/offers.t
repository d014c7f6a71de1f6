#!/usr/bin/perl

# The offers contract from end to end, with the model it ships with: alive,
# predict in all the ways clients send it, predict-v2, rewards, and what of it
# is in the event log.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP;
use Reco::Nginx;
use Test::More;

my $spec = Reco::Nginx::root() . '/conf/models/offers.json';

my $n = Reco::Nginx->new(
    conf_http => <<'E',
reco_zone     reco:2m;
reco_node     edge-1;
reco_model    offers models/offers check=100ms;
reco_fallback offers OFFER_1,OFFER_2,OFFER_3;
reco_log      log;
E
    conf_server => <<'E',
location = /is-alive   { reco_health    offers format=offers; }
location = /predict    { reco_recommend offers format=offers; }
location = /predict-v2 { reco_recommend offers format=offers answer=names; }
location = /rewards    { reco_reward    offers format=offers; }
E
)->start;

my $alive = $n->request('GET', '/is-alive');
is $alive->{status}, 200, 'alive without a snapshot';
is $alive->{body},
    q({"status": "I'm alive and running", "agent-version": "none-API"}),
    'no version';

is $n->publish(offers => $spec), 1, 'the first generation';
ok $n->wait_generation(offers => 1), 'is served without a reload';

$alive = $n->request('GET', '/is-alive');
is_deeply decode_json($alive->{body}), {
    'status' => "I'm alive and running", 'agent-version' => '1.0.0-API',
}, 'alive with its version';

# ---- the three ways of sending states and offers ---- #

my @name = map { "OFFER_$_" } 1 .. 6;
my $states = '{"age": 35, "region": "Europa", "gender": "F"}';
my $python_states = "{'age': 35, 'region': 'Europa', 'gender': 'F', "
    . "'segment': None}";

sub offers { '{' . join(', ', map { "\"$_\": true" } @_) . '}' }

sub body {
    my ($offers, $s) = @_;
    return '{"customer_id": "c42", "timestamp": "2026-11-22", "states": '
        . ($s // $states) . ', "offers": ' . $offers . '}';
}

# as a string of JSON
sub quoted { JSON::PP->new->allow_nonref->encode($_[0]) }

my %ways = (
    'objects' => body(offers(@name[1, 3, 4]) =~ s/\}$/, "OFFER_1": false}/r),
    'JSON in strings' => body(quoted(offers(@name[1, 3, 4])),
        quoted($states)),
    'Python dicts in strings' => body(
        quoted("{'OFFER_1': False, 'OFFER_2': True, 'OFFER_4': True, "
            . "'OFFER_5': True}"), quoted($python_states)),
);

my ($sec, $min, $hour, $mday, $mon, $year) = gmtime;
my $today = sprintf '%04d-%02d-%02d', $year + 1900, $mon + 1, $mday;

for my $way (sort keys %ways) {
    my $a = $n->json('POST', '/predict', $ways{$way});
    is $a->{status}, 200, "$way: answered" or diag $a->{body};
    is $a->{headers}{'content-type'}, 'application/json', '... as JSON';
    like $a->{body}, qr/\A\{"customer_id":\ "c42",\ "response-date":
        \ "\d{4}-\d\d-\d\d",\ "best-three-offers":\ \["OFFER_\d",
        \ "OFFER_\d",\ "OFFER_\d"\]\}\z/x, '... to the letter';
    is_deeply [sort @{ $a->{json}{'best-three-offers'} }], [@name[1, 3, 4]],
        '... the three that may be shown';
    is $a->{json}{'response-date'}, $today, '... of today';
    like $a->{headers}{'reco-decision-id'}, qr/\A[0-9a-f]{32}\z/, '... its id';
    is $a->{headers}{'reco-generation'}, 1, '... its generation';
    ok !exists $a->{headers}{'reco-fallback'}, '... no fallback';
    ok !exists $a->{headers}{'reco-unlogged'}, '... logged';
}

# ---- fewer than three, none ---- #

my $a = $n->json('POST', '/predict', body(offers('OFFER_6', 'OFFER_2')));
is scalar @{ $a->{json}{'best-three-offers'} }, 2, 'two, if two are allowed';
$a = $n->json('POST', '/predict', body(offers('OFFER_6', 'OFFER_99')));
is_deeply $a->{json}{'best-three-offers'}, ['OFFER_6'], 'one that is known';
for my $none ('{}', '{"OFFER_1": false}', '"{}"') {
    $a = $n->json('POST', '/predict', body($none));
    is $a->{status}, 422, "none of $none";
    is $a->{json}{error}{code}, 'none_eligible', '... says so';
    ok !exists $a->{headers}{'reco-decision-id'}, '... no decision';
}

# ---- predict-v2: names, in slate order ---- #

my %product = (OFFER_2 => 'Credit card', OFFER_5 => 'Investment fund',
    OFFER_6 => 'Travel insurance');
$a = $n->json('POST', '/predict-v2', body(offers(sort keys %product)));
is $a->{status}, 200, 'predict-v2';
is_deeply $a->{json}{'best-three-offers'}, \%product, '... names of products';
my @order = $a->{body} =~ /"(OFFER_\d)": /g;
my ($logged) = grep { $_->{id} eq $a->{headers}{'reco-decision-id'} }
    $n->decisions;
is_deeply \@order, $logged->{slate}, '... in slate order';

# ---- the record, and its propensities by hand ---- #

# Gender F is 1, the last case that applies: weights 4,4,6,10,10 by place of
# the five eligible ones.
my @five = @name[0, 1, 3, 4, 5];
my %weight;
@weight{@five} = (4, 4, 6, 10, 10);
$a = $n->json('POST', '/predict', body(offers(@five)));
($logged) = grep { $_->{id} eq $a->{headers}{'reco-decision-id'} }
    $n->decisions;
ok $logged, 'the decision is in the log when it is answered';
is_deeply $logged->{slate}, $a->{json}{'best-three-offers'}, 'with its slate';
is $logged->{customer}, 'c42', 'its customer';
is $logged->{model}, 'offers', 'its model';
is $logged->{generation}, 1, 'its generation';
is $logged->{policy}, 'weights', 'its policy';
is $logged->{actions}, 6, 'how many actions there are';
is $logged->{eligible}, '3b', 'which of them were eligible: 111011';
is_deeply $logged->{features}, {
    age => [35, 'request'], region => [0, 'request'], gender => [1, 'request'],
}, 'features, words as codes, with their source';

my $sum = 34;
for my $i (0 .. 2) {
    my $offer = $logged->{slate}[$i];
    my $p = $weight{$offer} / $sum * 2**32;
    ok abs($logged->{propensity}[$i] - $p) <= 4,
        "slot $i: $offer with $weight{$offer} of $sum"
        or diag "$logged->{propensity}[$i] is not $p";
    $sum -= $weight{$offer};
}

# ---- bad states ---- #

my %bad = (
    '{"age": 35, "region": "Atlantis", "gender": "F"}' => 'region',
    '{"age": 35, "region": "Europa", "gender": "X"}' => 'gender',
    '{"age": "old", "region": "Europa", "gender": "F"}' => 'age',
);
for my $s (sort keys %bad) {
    $a = $n->json('POST', '/predict', body(offers(@name), $s));
    is $a->{status}, 400, "$bad{$s}: refused";
    is $a->{json}{error}{code}, 'invalid_field', '... as a field';
    like $a->{json}{error}{field}, qr/\Q$bad{$s}\E/, '... that is named';
}
for my $missing (qw(customer_id timestamp states offers)) {
    my $b = decode_json(body(offers(@name)));
    delete $b->{$missing};
    $a = $n->json('POST', '/predict', $b);
    is $a->{status}, 400, "without $missing: refused";
    is $a->{json}{error}{field}, $missing, '... that is named';
}

# ---- rewards ---- #

sub reward {
    my (%o) = @_;
    return $n->json('PUT', '/rewards', { customer_id => 'c42',
        timestamp => '2026-11-22T10:00:00', %o });
}

my $key = 'accepted_one_of_the_three_offers';
$a = reward($key => JSON::PP::true);
is $a->{status}, 200, 'a reward';
is $a->{body}, '"Sucess"', '... as that contract spells it';
my ($r) = $n->rewards;
is_deeply $r->{facts}, { conversion => 1 }, '... is a conversion in the log';
is $r->{customer}, 'c42', '... of the customer';
ok !exists $r->{decision}, '... of no decision in particular';

my $id = $logged->{id};
$a = reward('accepted_one_of the_three_offers' => JSON::PP::true,
    accepted_offer => 'OFFER_2', decision_id => $id);
is $a->{status}, 200, 'the other spelling, with offer and decision';
$r = ($n->rewards)[-1];
is $r->{decision}, $id, '... the decision';
is $r->{action}, 'OFFER_2', '... the offer';

$a = reward($key => JSON::PP::false);
is $a->{status}, 200, 'not accepted';
is_deeply +($n->rewards)[-1]{facts}, { conversion => 0 }, '... is a fact too';

is reward($key => 'yes')->{status}, 400, 'a wrong type';
is reward()->{status}, 400, 'nothing';
$a = reward($key => JSON::PP::true, customer_id => 'nobody');
is $a->{status}, 404, 'a customer known to have no decision';
is $a->{json}{error}{code}, 'no_decision', '... says so';
is scalar(() = $n->rewards), 3, 'what was refused is not in the log';

ok $n->stop, 'ends';
$n->ok_log;

done_testing;
