#!/usr/bin/perl

# The native format over HTTP: arguments and bodies, features from all
# sources, explanations.

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
    conf_http => 'reco_zone reco:2m; reco_model demo models/demo;'
        . 'reco_fallback demo one; reco_log log;'
        . ($mmdb ? "reco_geoip $mmdb;" : ''),
    conf_server => <<'E',
set_real_ip_from 127.0.0.1;
real_ip_header   X-Real-IP;
location = /decide  { reco_recommend demo; }
location = /explain { reco_recommend demo; reco_explain on; }
location = /reward  { reco_reward demo; }
location = /health  { reco_health demo; }
E
);

$n->write('customers.csv', "customer,orders,country\nc1,7,FR\nc2,,\n");
is $n->publish(demo => {
    model => 'demo', version => '2.1',
    features => [
        { name => 'device', type => 'category', from => ['request'],
          default => 'desktop' },
        { name => 'orders', type => 'number', from => ['request', 'customer'],
          bins => [5, 10], default => 0 },
        { name => 'country', type => 'category',
          from => ['geo.country', 'customer'] },
    ],
    actions => [ map { { id => $_ } } qw(one two three) ],
    rules => [
        { when => { device => 'phone' }, deny => ['three'] },
        { when => { orders => { '>' => 100 } }, allow => ['two'] },
    ],
    policy => { type => 'uniform', slate => 3 },
}, '--customers', $n->path('customers.csv')), 1, 'published';

$n->start;
ok $n->wait_generation(demo => 1), 'served from the start';

sub get {
    my ($uri, $headers) = @_;
    my $a = $n->request('GET', $uri, undef, $headers);
    $a->{json} = eval { decode_json($a->{body}) };
    return $a;
}

# ---- answers ---- #

my $a = get('/decide?customer=c1&slate=2');
is $a->{status}, 200, 'GET';
is_deeply [sort keys %{ $a->{json} }],
    [qw(decision fallback generation model slate version)], 'its members';
is $a->{json}{model}, 'demo', 'the model';
is $a->{json}{version}, '2.1', 'the version';
is $a->{json}{generation}, 1, 'the generation';
ok !$a->{json}{fallback}, 'not a fallback';
is $a->{json}{decision}, $a->{headers}{'reco-decision-id'},
    'the id, in body and header';
is scalar @{ $a->{json}{slate} }, 2, 'two slots';
# one of three, then one of two
ok abs($a->{json}{slate}[0]{propensity} - 1 / 3) < 1e-9, 'propensity 1/3';
ok abs($a->{json}{slate}[1]{propensity} - 1 / 2) < 1e-9, 'propensity 1/2';

$a = get('/decide?device=phone&actions=one,three,unknown');
is_deeply [map { $_->{action} } @{ $a->{json}{slate} }], ['one'],
    'flags and rules';
is $a->{json}{slate}[0]{propensity}, 1, '... leave one, for sure';
is get('/decide?actions=')->{status}, 422, 'no action flagged';

$a = get('/decide?orders=200');
is_deeply [map { $_->{action} } @{ $a->{json}{slate} }], ['two'],
    'a number in an argument is a number';
$a = get('/decide?orders=many');
is $a->{status}, 400, 'and no word';
is $a->{json}{error}{field}, 'orders', '... says which';

$a = $n->json('POST', '/decide', { customer => 'c1',
    features => { orders => 200 }, session => 's1' });
is $a->{status}, 200, 'POST';
is $a->{json}{slate}[0]{action}, 'two', '... with features';
my ($logged) = grep { $_->{id} eq $a->{json}{decision} } $n->decisions;
is $logged->{session}, 's1', '... the session is in the log';
is_deeply $logged->{features}{orders}, [200, 'request'],
    '... the request goes before the customer';

is $n->json('POST', '/decide', { nonsense => 1 })->{status}, 400,
    'a member nobody knows';

my $escaped = $n->json('POST', '/decide', '{"customer":"\u00e9\ud83d\ude00"}');
is $escaped->{status}, 200, 'escapes';
is +($n->decisions)[-1]{customer}, "\x{e9}\x{1f600}", '... are decoded';

$a = get('/decide?customer=a%20b%2Bc+d');
is +($n->decisions)[-1]{customer}, 'a b+c d', 'percent-encoding is decoded';
is get('/decide?customer=%00')->{status}, 400, 'a control character';
is get('/decide?customer=' . 'x' x 255)->{status}, 200, 'an id of 255 bytes';
is get('/decide?customer=' . 'x' x 256)->{status}, 400, 'an id of 256 bytes';

# ---- customer records, geo, explanations ---- #

my %feature;
sub explained {
    my ($answer) = @_;
    %feature = map { $_->{name} => $_ }
        @{ $answer->{json}{explain}{features} };
    return \%feature;
}

ok !exists get('/decide?customer=c1&explain=1')->{json}{explain},
    'no explanation without reco_explain';
ok !exists get('/explain?customer=c1')->{json}{explain},
    'none that nobody asked for';

$a = get('/explain?customer=c1&explain=1');
explained($a);
is $feature{orders}{value}, 7, 'the record of the customer';
is $feature{orders}{source}, 'customer', '... is its source';
is $feature{orders}{bin}, 1, '... 7 is in the bin [5, 10)';
is $feature{country}{value}, 'FR', '... the country too';
is $feature{device}{source}, 'default', 'a default';

$a = get('/explain?customer=c2&explain=1');
is explained($a)->{orders}{source}, 'default',
    'an empty field of a record is no value';
is get('/explain?customer=c1&explain=1&device=phone&actions=three,one')
    ->{json}{slate}[0]{action}, 'one', 'explained under rules';

SKIP: {
    skip 'no data sets: set RECO_DATA', 3 unless $mmdb;

    # mmdblookup --ip 81.2.69.160 ... country iso_code: "GB"
    $a = get('/explain?customer=c1&explain=1',
        { 'X-Real-IP' => '81.2.69.160' });
    is explained($a)->{country}{value}, 'GB', 'the country of an address';
    is $feature{country}{source}, 'geo', '... goes before the record';

    # mmdblookup --ip 2001:218:: country iso_code: "JP"
    $a = get('/explain?explain=1', { 'X-Real-IP' => '2001:218::1' });
    is explained($a)->{country}{value}, 'JP', 'IPv6';
}

# ---- rewards and health ---- #

my $decision = get('/decide?customer=c1')->{json}{decision};
$a = $n->json('POST', '/reward', { decision => $decision, action => 'one',
    key => 'k1', facts => { click => 1, revenue => 12.5 } });
is $a->{status}, 200, 'a reward';
is_deeply $a->{json}, { accepted => JSON::PP::true }, '... accepted';
my $r = ($n->rewards)[-1];
is $r->{decision}, $decision, '... its decision';
is $r->{key}, 'k1', '... its key';
is_deeply $r->{facts}, { click => 1, revenue => 12.5 }, '... its facts';
is $n->json('POST', '/reward', { facts => { click => 1 } })->{status}, 400,
    'a reward of nobody';
is $n->json('POST', '/reward', { decision => 'xyz', facts => { a => 1 } })
    ->{status}, 400, 'a decision that is none by its form';

is_deeply get('/health')->{json}, { status => 'ok', model => 'demo',
    version => '2.1', generation => 1 }, 'health';

# sequence numbers without a gap: nothing was lost
my @seq = map { $_->{seq} } grep { exists $_->{seq} } $n->events;
is_deeply \@seq, [1 .. @seq], 'every record is in the log, in order';

ok $n->stop, 'ends';
$n->ok_log;

done_testing;
