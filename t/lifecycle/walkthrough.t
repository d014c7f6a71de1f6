# docs/WALKTHROUGH.md on the real data: customers, an estimate, learning while
# nginx serves, rewards that change decisions.

use strict;
use warnings;

use lib 't/lib';

use JSON::PP;
use List::Util qw(sum sum0);
use Test::More;
use Time::HiRes qw(time);

use Reco::Lifecycle;
use Reco::Nginx;

my $data = Reco::Nginx::data();
plan skip_all => 'no data: set RECO_DATA (docs/WALKTHROUGH.md says where '
    . 'they are)' unless $data && -d "$data/open-bandit-men";

my $n = Reco::Nginx->new(
    workers => 2,
    conf_http => <<'CONF',
        reco_zone     reco:16m;
        reco_node     walk;
        reco_log      @DIR@/log;
        reco_model    retail @DIR@/models/retail;
        reco_model    open-bandit @DIR@/models/open-bandit;
        reco_model    offers @DIR@/models/offers;
        reco_fallback open-bandit 0,1,2;
        reco_fallback offers OFFER_1,OFFER_2,OFFER_3;
        reco_explain  on;
        keepalive_requests 1000000;
CONF
    conf_server => <<'CONF')->start;
        location = /retail  { reco_recommend retail; }
        location = /bandit  { reco_recommend open-bandit; }
        location = /predict { reco_recommend offers format=offers; }
        location = /rewards { reco_reward    offers format=offers; }
        location = /status  { reco_status    json; }
CONF

my $w = $n->path('walk');
mkdir $w or die $!;


# Answers' first actions for $count GETs of $uri, pipelined in batches.
sub first_actions {
    my ($uri, $count) = @_;
    my %seen;
    while ($count > 0) {
        my $batch = $count < 500 ? $count : 500;
        my $c = $n->client;
        $c->send("GET $uri HTTP/1.1\r\nHost: x\r\n\r\n" x ($batch - 1)
                 . "GET $uri HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        my $text = $c->read_all(30);
        $seen{$1}++ while $text =~ /"slate":\[\{"action":"([^"]+)"/g;
        $count -= $batch;
    }
    return \%seen;
}


subtest 'real customers' => sub {
    my $facts = decode_json $n->tool_run('import', 'online-retail', '--json',
        "$data/online-retail/online_retail.csv.xz",
        '--customers', "$w/customers.csv", '--actions', "$w/products.csv");
    my %published = (rows => 541_909, invoices => 25_900, stock_codes => 4070,
        customers => 4372, countries => 38,
        rows_without_customer => 135_080, negative_quantities => 10_624);
    is($facts->{$_}, $published{$_}, $_) for sort keys %published;

    my $generation = $n->publish('retail', 'conf/models/retail.json',
        '--customers', "$w/customers.csv", '--actions', "$w/products.csv");
    ok($n->wait_generation('retail', $generation), 'served');

    # Customer 12347: seven orders, 4,310.00 in all, last two days before the
    # data's end, from Iceland: counted by hand from the rows.
    my $answer = decode_json
        $n->request('GET', '/retail?customer=12347&explain=1')->{body};
    my %f = map { $_->{name} => $_ } @{ $answer->{explain}{features} };
    is($f{country}{value}, 'IS', 'country');
    is($f{country}{source}, 'customer', 'and where it is from');
    is($f{orders}{value}, 7, 'orders');
    is($f{spend}{value}, 4310, 'spend');
    is($f{recency_days}{value}, 2, 'recency');
    is($f{recency_days}{bin}, 0, 'bin of 2 below 7');
};


subtest 'an estimate, and how sure it is' => sub {
    $n->tool_run('import', 'open-bandit',
        "$data/open-bandit-men/men_bts.csv.xz", '--out', "$w/bts");
    my $e = decode_json $n->tool_run('eval', '--log', "$w/bts", '--policy',
        'uniform', '--json');
    is($e->{n}, 10_000, 'decisions');
    is(sprintf('%.10f', $e->{ips}), '0.0030086263', 'IPS');
    is(sprintf('%.10f', $e->{snips}), '0.0031894232', 'SNIPS');
    is(sprintf('%.2f', $e->{ess}), '655.71', 'effective sample size');
    cmp_ok(scalar(grep { /overlap/ } @{ $e->{warnings} }), '==', 1,
           'warns of poor overlap');
};


subtest 'learned, published under load, drawn as published' => sub {
    $n->tool_run('import', 'open-bandit',
        "$data/open-bandit-men/men_random.csv.xz", '--out', "$w/random");
    $n->tool_run('train', '--log', "$w/random", '--spec',
        'conf/models/open-bandit.json', '--out', "$w/ob.mdb");

    my $load = begin_load($n, '/bandit?position=1');
    my $asked = sub {
        open my $f, '<', $load->{file} or return 0;
        return grep { /$_[0]\n\z/ } <$f>;
    };
    $n->wait_for(sub { $asked->('') > 20 });
    $n->folder('models/open-bandit');
    my $m = decode_json $n->tool_run('publish', '--json', "$w/ob.mdb", '--to',
        $n->path('models/open-bandit'));
    my $began = time;
    ok($n->wait_generation('open-bandit', $m->{generation}), 'served');
    cmp_ok(time - $began, '<', 2 * ($ENV{RECO_SLOW} || 1),
           'within two seconds');
    $n->wait_for(sub { $asked->(" $m->{generation}") > 20 });
    my @answers = end_load($load);
    cmp_ok(scalar(@answers), '>', 20, 'there was load');
    is(scalar(grep { $_->{status} ne '200' } @answers), 0,
       'and no request failed');
    is($answers[-1]{generation}, $m->{generation}, 'the last one is new');

    my $row = decode_json $n->tool_run('inspect', '--json', '--state', 1,
        $n->path('models/open-bandit'));
    my %p = map { $_->{action} => $_->{value} } @{ $row->{values} };
    is(scalar keys %p, 34, '34 probabilities');
    cmp_ok(abs(1 - sum(values %p)), '<', 1e-9, 'that sum to 1');

    my $draws = ($ENV{RECO_SLOW} // 1) > 1 ? 5000 : 100_000;
    my $seen = first_actions('/bandit?position=1', $draws);
    is(sum0(values %$seen), $draws, "$draws draws");

    # Pearson's chi-square; bins of fewer than five expected go together.
    my ($x2, $bins, $rest_o, $rest_e) = (0, 0, 0, 0);
    for my $a (sort keys %p) {
        my ($o, $e) = ($seen->{$a} // 0, $p{$a} * $draws);
        if ($e < 5) { $rest_o += $o; $rest_e += $e; next }
        $x2 += ($o - $e) ** 2 / $e;
        $bins++;
    }
    if ($rest_e >= 5) { $x2 += ($rest_o - $rest_e) ** 2 / $rest_e; $bins++ }
    # scipy.stats.chi2.isf(1e-6, 33); fewer bins have a smaller one
    cmp_ok($x2, '<', 86.8117, "chi-square of $bins bins: $x2");

    my $r = decode_json $n->tool_run('replay', '--json', '--log',
        $n->path('log'), '--models', $n->path('models/open-bandit'));
    is($r->{different}, 0, 'replay reproduces every decision');
    cmp_ok($r->{same}, '>=', $draws, 'all of them');
};


subtest 'rewards that change decisions' => sub {
    my $g = $n->publish('offers', 'conf/models/offers.json');
    ok($n->wait_generation('offers', $g), 'the shipped agent is served');

    my %flags = map { ("OFFER_$_" => JSON::PP::true) } 1 .. 6;
    my $ask = sub {
        return $n->json('POST', '/predict', { customer_id => $_[0],
            timestamp => '2026-11-22', states => { age => 40 },
            offers => \%flags })->{json}{'best-three-offers'};
    };

    # Whoever sees OFFER_5 takes it every second time; the reward does not
    # say which of the three it was.
    my ($shown, $failed) = (0, 0);
    for my $i (1 .. 1000) {
        my $slate = $ask->("v$i");
        next unless grep { $_ eq 'OFFER_5' } @$slate;
        next if $shown++ % 2;
        my $a = $n->json('PUT', '/rewards', { customer_id => "v$i",
            timestamp => '2026-11-22',
            accepted_one_of_the_three_offers => JSON::PP::true });
        $failed++ if $a->{status} != 200 || $a->{body} ne '"Sucess"';
    }
    is($failed, 0, 'rewards are taken');

    $n->tool_run('train', '--log', $n->path('log'), '--models',
        $n->path('models/offers'), '--live', '--spec',
        'conf/models/offers-learned.json', '--out', "$w/learned.mdb");
    my $m = decode_json $n->tool_run('publish', '--json', "$w/learned.mdb",
        '--to', $n->path('models/offers'));
    ok($n->wait_generation('offers', $m->{generation}), 'the learned one is');

    my $first = grep { $ask->("w$_")->[0] eq 'OFFER_5' } 1 .. 100;
    cmp_ok($first, '>', 80, "OFFER_5 comes first in $first of 100 slates");

    my $back = decode_json $n->tool_run('rollback', '--json',
        $n->path('models/offers'));
    ok($n->wait_generation('offers', $back->{generation}), 'and back');
    is($back->{parent}, $g, 'to the content of its parent');
};

ok($n->stop, 'nginx ends by itself');
$n->ok_log;
done_testing();
