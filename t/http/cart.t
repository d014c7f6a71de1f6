#!/usr/bin/perl

# The cart contract from end to end: health, recommendations with their items,
# rewards, metrics, the agent's state, the history with its filters; every
# error; what of it is in the event log; what a reload keeps.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256_hex);
use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP;
use Reco::Log qw(decision write_segment);
use Reco::Nginx;
use Test::More;

my $api = '/api/v1/rl';
my $time = qr/\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\z/;

# Two strategies; the state is the device, and one state for all behind it.
# Epsilon 0: the row's best action, always.
my %spec = (
    model => 'cart', version => '1.2.0',
    features => [
        { name => 'cart_total', type => 'number', from => ['request'],
          default => 0 },
        { name => 'device_type', type => 'category', from => ['request'],
          vocabulary => [qw(desktop mobile)] },
        { name => 'country', type => 'category',
          from => ['request', 'geo.country'] },
        { name => 'taste', type => 'category', from => ['customer'] },
    ],
    actions => [{ id => 'popular' }, { id => 'again' }],
    policy => { type => 'q_table', state => ['device_type'],
                backoff => [[]], min_visits => 10, epsilon => 0 },
    items => {
        slate => 3, history => 'customer.bought',
        strategies => {
            popular => [{ list => 'popular' }],
            again => [{ list => 'also_bought', by => 'history' }],
        },
        fill => [{ list => 'popular' }],
    },
    reward => { conversion => 1, horizon => '2s' },
    learning => { learning_rate => 0.05, discount_factor => 0.5,
                  max_states => 1000, episode_gap => '2s' },
    history => { recommendations => '7d' },
);

my %csv = (
    items => <<'E',
id,name,price,category,family,available
m1,Mug red,3.5,kitchen,mug,1
m2,Mug,3.25,kitchen,mug,1
lamp,Lamp,12,light,,1
bulb,Bulb,60,light,,1
old,Old lamp,9,light,,0
E
    lists => <<'E',
list,key,item,score
popular,,old,1
popular,,m1,0.9
popular,,m2,0.75
popular,,lamp,0.5
popular,,bulb,0.25
also_bought,m1,bulb,0.8
also_bought,lamp,bulb,0.5
E
    customers => "customer,taste,bought\nann,light,m1\n",
    # mobile is well known; desktop has too few visits, so that the one for
    # all answers
    values => <<'E',
level,device_type,action,value,visits,confidence
0,mobile,popular,0.5,30,0.25
0,mobile,again,2,10,0.75
0,desktop,again,9,2,0.9
1,,popular,1.5,50,0.6
1,,again,1,40,0.4
E
);

my $locations = <<'E';
location = /health { reco_health cart format=cart; }
location = /api/v1/rl/recommendations { reco_recommend cart format=cart; }
location = /api/v1/rl/reward { reco_reward cart format=cart; }
location = /api/v1/rl/metrics { reco_agent cart metrics; }
location = /api/v1/rl/agent/state { reco_agent cart state; }
location = /api/v1/rl/recommendations/history { reco_agent cart history; }
location = /plain { reco_recommend plain format=cart; }
location = /plain/history { reco_agent plain history format=cart; }
location = /plain/state { reco_agent plain state; }
location = /status { reco_status json; }
E

sub server {
    my ($http, %o) = @_;
    return Reco::Nginx->new(
        conf_http => <<"E",
reco_model    cart models/cart check=100ms;
reco_fallback cart m1,lamp slate=2;
reco_model    plain models/plain check=100ms;
reco_fallback plain A,B slate=1;
$http
E
        conf_server => $locations, %o,
    );
}

sub publish {
    my ($n, @args) = @_;
    my @files = map { ("--$_", $n->write("$_.csv", $csv{$_})) } sort keys %csv;
    return $n->publish(cart => { %spec }, @files, @args);
}

my $n = server('reco_zone reco:2m; reco_node edge-1; reco_log log; gzip on;'
    . ' gzip_vary on; gzip_types text/csv; charset utf-8; charset_types *;',
    workers => 2)->start;

sub get { my ($uri) = @_; return $n->json('GET', $uri) }

sub recommend {
    my (%body) = @_;
    return $n->json('POST', "$api/recommendations", \%body);
}

sub reward {
    my (%body) = @_;
    return $n->json('POST', "$api/reward", {
        customer_id => 'ann', session_id => 's1', reward_value => 1,
        action_type => 'again', %body });
}

# An error has this shape and names what is at fault.
sub refused {
    my ($a, $status, $what, $name) = @_;
    is $a->{status}, $status, "$name: $status";
    is_deeply [sort keys %{ $a->{json} }], [qw(error success)],
        '... shaped as an error';
    ok !$a->{json}{success}, '... no success';
    like $a->{json}{error}, $what, '... says why';
}

# ---- without a snapshot ---- #

my $a = get('/health');
is $a->{status}, 503, 'no snapshot is not healthy';
is $a->{json}{status}, 'unhealthy', '... and says so';
like $a->{json}{timestamp}, $time, '... when';
is_deeply $a->{json}{services},
    { snapshot => JSON::PP::false, geo => JSON::PP::false,
      log => JSON::PP::true }, '... and what is there';

$a = recommend(customer_id => 'ann');
is $a->{status}, 200, 'the fallback answers';
is_deeply $a->{json}{data}{recommendations}, [qw(m1 lamp)], '... its items';
is $a->{json}{data}{action_type}, undef, '... by no strategy';
is $a->{headers}{'reco-fallback'}, 1, '... marked';
is reward(action_type => undef)->{status}, 200, '... and may be rewarded';
is reward(action_type => 'again')->{status}, 200, '... by any strategy';

my $d = get("$api/metrics")->{json}{data};
ok exists $d->{$_} && !defined $d->{$_}, "metrics without a snapshot: no $_"
    for qw(conversion_rate average_reward reward_by_episode confidence
        action_distribution orders_by_country revenue_by_country q_table_size
        q_table convergence);
$d = get("$api/agent/state")->{json}{data};
ok exists $d->{$_} && !defined $d->{$_}, "state without a snapshot: no $_"
    for qw(q_table_size current_episode epsilon learning_rate
        discount_factor memory last_training);
is_deeply $d->{recent_actions}, [], '... no recent actions';

# ---- with one ---- #

is publish($n), 1, 'the first generation';
is $n->publish(plain => { model => 'plain', actions => [{ id => 'A' },
    { id => 'B' }], policy => { type => 'weights', weights => [1, 0] } }), 1,
    'a model without items, states or history';
ok $n->wait_generation($_ => 1), "$_ is served" for qw(cart plain);

$a = get('/health');
is $a->{status}, 200, 'healthy';
is $a->{json}{status}, 'healthy', '... in words';
is $n->request('HEAD', '/health')->{status}, 200, 'HEAD too';

# mobile: again. Of ann's m1 comes the bulb; what is popular fills up.
$a = recommend(customer_id => 'ann', session_id => 's1', cart_total => 12.5,
    device_type => 'mobile', cart_items => ['m1', 'ufo'], shoe_size => 42,
    out_of_stock => ['m2']);
is $a->{status}, 200, 'recommendations' or diag $a->{body};
like $a->{headers}{'reco-decision-id'}, qr/\A[0-9a-f]{32}\z/, '... their id';
is_deeply [sort keys %{ $a->{json} }], [qw(data success timestamp)],
    '... the members of the answer';
ok $a->{json}{success}, '... success';
$d = $a->{json}{data};
is_deeply [sort keys %$d], [qw(action_type confidence_score customer_id
    metadata recommendations scores session_id timestamp)],
    '... the members of its data';
is $d->{customer_id}, 'ann', '... customer';
is $d->{session_id}, 's1', '... session';
is $d->{action_type}, 'again', '... the strategy';
is $d->{confidence_score}, 0.75, '... its confidence';
is_deeply $d->{recommendations}, [qw(bulb lamp)],
    '... items, but for the cart and what is out of stock';
is_deeply $d->{scores}, [0.8, 0.5], '... with their scores';
like $d->{timestamp}, $time, '... when';
my %how = (decision_id => $a->{headers}{'reco-decision-id'}, model => 'cart',
    version => '1.2.0', generation => 1, fallback => JSON::PP::false,
    strategy_probability => 1, epsilon => 0, value => 2,
    state_known => JSON::PP::true, state_level => 0, filled => 1,
    unknown_fields => 1);
is_deeply $d->{metadata}, \%how, '... and how it came about';
my $first = $d->{metadata}{decision_id};

# desktop has 2 visits, watch is in no vocabulary: the state for all answers
for my $device (qw(desktop watch)) {
    $d = recommend(customer_id => 'bob', device_type => $device)
        ->{json}{data};
    is $d->{action_type}, 'popular', "$device: the coarser state's best";
    is $d->{metadata}{state_level}, 1, '... of level 1';
    is $d->{confidence_score}, 0.6, '... its confidence';
    is_deeply $d->{recommendations}, [qw(m1 m2 lamp)], '... what is popular';
    is $d->{session_id}, undef, '... no session';
}

my $s = get('/status')->{json};
is $s->{events}{backoff_decisions}, 2, 'back-offs are counted';
is $s->{events}{unseen_words}, 1, '... unseen words';
is $s->{events}{unknown_items}, 1, '... unknown items';
is $s->{events}{unknown_fields}, 1, '... unknown members';

my ($e) = grep { $_->{id} eq $first } $n->decisions;
is_deeply [@$e{qw(customer session cart exclude items slate)}],
    ['ann', 's1', ['m1', 'ufo'], ['m2'], [qw(bulb lamp)], ['again']],
    'the record';

$a = $n->json('POST', '/plain', { customer_id => 'ann' });
is_deeply $a->{json}{data}{recommendations}, ['A'],
    'a model without items recommends its actions';
is_deeply $a->{json}{data}{scores}, [1], '... with their probabilities';
is $a->{json}{data}{confidence_score}, undef, '... of no known confidence';
is_deeply get('/plain/history?customer_id=ann')->{json}{data}{history}, [],
    '... and keeps no history';
is_deeply [@{ get('/plain/state')->{json}{data} }
    {qw(epsilon last_training recent_actions)}], [undef, undef, []],
    '... has no state of an agent';

# the longest cart there may be has room in its record
my @cart = map { sprintf '%s%02d', '"' x 253, $_ } 1 .. 64;
$a = $n->json('POST', '/plain', { customer_id => 'ann',
    cart_items => [@cart[0 .. 24]], out_of_stock => [] });
is $a->{status}, 200, 'a cart of 25 long ids';
($e) = grep { $_->{id} eq $a->{headers}{'reco-decision-id'} } $n->decisions;
is_deeply $e->{cart}, [@cart[0 .. 24]], '... is in the record';

# ---- what is refused ---- #

my $uri = "$api/recommendations";
refused($n->json('POST', $uri, {}), 400, qr/customer_id/, 'no customer');
refused($n->json('POST', $uri, '{"customer_id": 1}'), 400, qr/customer_id/,
    'a number for a customer');
refused($n->json('POST', $uri, '{"customer_id": "a", "cart_total": NaN}'),
    400, qr/cart_total/, 'NaN');
refused($n->json('POST', $uri, '{"customer_id": "a", "cart_total": "x"}'),
    400, qr/cart_total/, 'a word for a number');
refused($n->json('POST', $uri, '{"customer_id": "a", "cart_items": "m1"}'),
    400, qr/cart_items/, 'a cart that is no array');
refused($n->json('POST', $uri,
    { customer_id => 'a', cart_items => [map { "i$_" } 0 .. 64] }),
    400, qr/cart_items.*64/, 'a cart of 65');
refused($n->json('POST', $uri, '{"customer_id": '), 400, qr/byte/, 'no JSON');
refused($n->json('POST', $uri, ''), 400, qr/empty/, 'no body');
refused($n->json('PUT', $uri, {}), 405, qr/method/, 'PUT');
refused($n->json('POST', $uri, {}, { 'Content-Type' => 'text/plain' }), 415,
    qr/application\/json/, 'another media type');
refused($n->json('POST', $uri,
    { customer_id => 'a', x => 'y' x 20000 }), 413, qr/too long/,
    'a long body');

# ---- rewards ---- #

$a = reward(decision_id => $first, interaction_type => 'purchase',
    revenue => 60, recommended_products => ['bulb'], reward_id => 'order-1');
is $a->{status}, 200, 'a reward' or diag $a->{body};
is_deeply [sort keys %{ $a->{json} }], [qw(message success timestamp)],
    '... answered';
ok $a->{json}{success}, '... with success';
like $a->{json}{timestamp}, $time, '... when';

($e) = grep { ($_->{key} // '') eq 'order-1' } $n->rewards;
is_deeply [@$e{qw(decision customer session action items facts)}],
    [$first, 'ann', 's1', 'again', ['bulb'],
     { reported => 1, conversion => 1, revenue => 60 }], 'its record';

for my $type (qw(click view add_to_cart return idle dislike)) {
    is reward(interaction_type => $type)->{status}, 200, "a $type";
    is_deeply [sort map { keys %{ $_->{facts} } } grep { $_->{facts}{$type} }
        $n->rewards], [sort $type, 'reported'], '... is a fact';
}

my $rewards = $n->rewards;
refused(reward(customer_id => undef), 400, qr/customer_id/, 'no customer');
refused(reward(reward_value => 'much'), 400, qr/reward_value/, 'a word');
refused(reward(action_type => 'best'), 400,
    qr/action_type: is none of popular, again/, 'an unknown strategy');
refused(reward(interaction_type => 'kiss'), 400,
    qr/interaction_type: is none of click, view, add_to_cart, purchase/,
    'an unknown interaction');
refused($n->json('POST', "$api/reward", '{"customer_id": "ann",'
    . " \"reward_value\": $_}"), 400, qr/reward_value/, $_)
    for qw(NaN Infinity -Infinity 1e999);
refused($n->json('POST', "$api/reward", { customer_id => 'ann',
    reward_value => 1, action_type => 'again' }), 400, qr/session_id/,
    'no session');
refused(reward(decision_id => 'x'), 400, qr/decision_id/, 'a false id');
refused(reward(customer_id => 'nobody'), 404, qr/no decision/,
    'a customer without a decision');
refused($n->json('GET', "$api/reward"), 405, qr/method/, 'GET');
is scalar $n->rewards, $rewards, 'nothing of it is in the log';

# ---- metrics and state ---- #

$d = get("$api/metrics")->{json}{data};
is $d->{q_table_size}, 3, 'metrics: states of the table';
is $d->{conversion_rate}, undef, '... null before a training';
is_deeply $d->{live}{actions}, { popular => 2, again => 1 }, '... decisions';
is $d->{live}{decisions}, 3, '... their sum';
cmp_ok abs($d->{live}{action_distribution}{popular} - 2 / 3), '<', 1e-12,
    '... their shares';
is $d->{live}{facts_of_all_models}{conversion}, 1, '... facts';

$d = get("$api/agent/state")->{json}{data};
my %state = (q_table_size => 3, current_episode => undef, epsilon => 0,
    learning_rate => 0.05, discount_factor => 0.5, last_training => undef);
is_deeply { map { $_ => $d->{$_} } keys %state }, \%state,
    'the state, of table and spec';
is_deeply [map { $_->{action_type} } @{ $d->{recent_actions} }],
    [qw(popular popular again)], '... recent actions';
is $d->{memory}{used_bytes}, -s $n->path('models/cart/'
    . decode_json($n->read('models/cart/current.json'))->{file}),
    '... the size of the file';
is $d->{memory}{limit_states}, 1000, '... and the limit';

for my $uri (map { "$api/$_" } qw(metrics agent/state
    recommendations/history))
{
    $a = $n->request('HEAD', $uri);
    is $a->{status}, 200, "HEAD $uri";
    is $a->{body}, '', '... no body';
    $a = $n->json('POST', $uri, {});
    refused($a, 405, qr/method/, "POST $uri");
    is $a->{headers}{allow}, 'GET, HEAD', '... says what';
}

# ---- history ---- #

recommend(customer_id => 'c "=1"', session_id => 'a,b',
    device_type => 'mobile');

sub history {
    my ($args) = @_;
    my $a = get("$api/recommendations/history?$args");
    is $a->{status}, 200, "history?$args" or diag $a->{body};
    is $a->{json}{data}{count}, scalar @{ $a->{json}{data}{history} },
        '... counted';
    return @{ $a->{json}{data}{history} };
}

my @all = history('');
is_deeply [map { "$_->{customer_id}:$_->{action_type}" } @all],
    ['c "=1":again', 'bob:popular', 'bob:popular', 'ann:again'],
    '... all, newest first';
is_deeply [@{ $all[3] }{qw(decision_id session_id recommendations
    confidence_score generation)}], [$first, 's1', [qw(bulb lamp)], 0.75, 1],
    '... with what was recommended';
like $all[3]{timestamp}, $time, '... and when';

is_deeply [map { $_->{decision_id} } history('customer_id=ann')], [$first],
    '... of a customer';
is scalar(() = history('customer_id=c+%22%3D1%22')), 1, '... decoded';
is_deeply [map { $_->{decision_id} } history('session_id=s1')], [$first],
    '... of a session';
is scalar(() = history('action_type=popular')), 2, '... of a strategy';
is scalar(() = history('customer_id=ann&action_type=popular')), 0,
    '... of both';
is scalar(() = history('limit=3')), 3, '... the newest three';
is scalar(() = history('from=2020-01-01&to=2020-01-02T00:00:00Z')), 0,
    '... of another time';
is scalar(() = history("from=$all[3]{timestamp}")), 4, '... from a time on';
is scalar(() = history("to=$all[3]{timestamp}")), 0,
    '... until before one';
is scalar(() = history('customer_id=nobody')), 0, '... of nobody';

$a = $n->request('GET', "$api/recommendations/history?format=csv&limit=1");
is $a->{headers}{'content-type'}, 'text/csv; charset=utf-8; header=present',
    'CSV';
like $a->{body}, qr/\Atimestamp,decision_id,customer_id,session_id,action_type,
    recommendations,confidence_score,generation\r\n
    [-\dT:.]+Z,[0-9a-f]{32},"c\ ""=1""","a,b","again","m1\ m2\ lamp",0\.75,1
    \r\n\z/x, '... quoted as RFC 4180 has it';
$a = $n->request('GET', "$api/recommendations/history?format=csv", undef,
    { 'Accept-Encoding' => 'gzip' });
is $a->{headers}{'content-encoding'}, 'gzip', '... compressed as its type';
is $a->{headers}{'content-type'}, 'text/csv; charset=utf-8; header=present',
    '... with one charset';
is $a->{headers}{vary}, 'Accept-Encoding', '... and Vary';

refused(get("$api/recommendations/history?$_->[0]"), 400, $_->[1], $_->[0])
    for ['limit=0', qr/^limit/], ['limit=1001', qr/^limit/],
    ['limit=ten', qr/^limit/], ['from=soon', qr/^from/],
    ['to=2023-02-30', qr/^to/], ['from=2&to=1', qr/^from/],
    ['format=xml', qr/^format/], ['customer_id=%00', qr/^customer_id/],
    ['customer_id=%2', qr/^query/], ['page=2', qr/^page/],
    ['limit=1&limit=2', qr/^limit/];

# One connection, whatever was refused on it; a part is not to be had.
my $kept = $n->client;
is $kept->request('GET', "$api/recommendations/history?limit=x")->{status},
    400, 'a bad query';
is $kept->request('POST', "$api/agent/state", 'x' x 1000)->{status}, 405,
    '... a method with a body';
is $kept->request('GET', "$api/metrics", 'x' x 1000)->{status}, 200,
    '... a body that is dropped';
$a = $kept->request('GET', "$api/recommendations/history?limit=1", undef,
    { Range => 'bytes=0-9' });
is $a->{status}, 200, '... the whole where a range is asked for';
is $kept->request('HEAD', "$api/recommendations/history?limit=1")
    ->{headers}{'content-length'}, length $a->{body}, '... HEAD has its length';
$kept->close;

# ---- kept over a reload, and by all workers ---- #

ok $n->reload(1), 'reload';
is_deeply [map { $_->{decision_id} } history('')],
    [map { $_->{decision_id} } @all], 'the history is still there';

# More than the ring has room for: an eighth of 2 MB, less nginx's own pages,
# is not quite 256 records.
my $c = $n->client;
for (1 .. 300) {
    $c->request('POST', "$api/recommendations",
        "{\"customer_id\": \"many\", \"session_id\": \"$_\"}");
}
$c->close;
my @many = history('customer_id=many&limit=1000');
cmp_ok scalar @many, '>=', 240, 'the ring holds the latest';
cmp_ok scalar @many, '<=', 256, '... not all';
my %session = map { $_->{session_id} => 1 } @many;
is_deeply [grep { !$session{$_} } 301 - @many .. 300], [],
    '... each of them';
is scalar(() = history('customer_id=ann')), 0,
    '... and what was before is gone';

# ---- the log goes away, and comes back ---- #

rename $n->path('log'), $n->path('away') or die $!;
for my $segment (glob $n->path('away/*')) { unlink $segment }
ok $n->wait_for(sub { get('/health')->{status} == 503 }),
    'without its folder the log is not healthy';
rename $n->path('away'), $n->path('log') or die $!;
ok $n->wait_for(sub { get('/health')->{status} == 200 }), 'it heals';

ok $n->stop, 'stop';
$n->ok_log(allow => [qr/event log in/]);

# ---- after a training: figures, and a history that outlives the zone ---- #

$n = server('reco_zone reco:1m; reco_log log;')->start;
publish($n);
ok $n->wait_generation(cart => 1), 'before a training';
my @ids;
for my $i (1 .. 4) {
    $a = recommend(customer_id => 'ann', session_id => "s$i",
        device_type => 'mobile');
    unshift @ids, $a->{json}{data}{metadata}{decision_id};
}
is reward(session_id => 's4', decision_id => $ids[0], revenue => 12.5,
    interaction_type => 'purchase')->{status}, 200, 'one was a success';

# Decisions are closed two seconds later, by the log's own clock: whatever is
# logged moves it on.
my $train = join ' ', Reco::Nginx::tool(), 'train --json --base',
    $n->path('cart-0.mdb'), '--log', $n->path('log'), '--out',
    $n->path('next.mdb');
ok $n->wait_for(sub {
    $n->json('POST', '/plain', { customer_id => 'bob' });
    return qx($train 2> /dev/null) =~ /"transitions": ?4\b/;
}), 'trained' or diag qx($train 2>&1);
$n->tool_run('publish', '--force', $n->path('next.mdb'), '--to',
    $n->path('models/cart'));
ok $n->wait_generation(cart => 2), 'after it';

$d = get("$api/metrics")->{json}{data};
is $d->{algorithm}, 'fitted-q', 'how it learned';
is $d->{transitions}, 4, '... from what';
is $d->{conversion_rate}, 0.25, '... one of four';
is $d->{average_reward}, 0.25, '... of value 1';
is_deeply $d->{action_distribution}, { again => 1 },
    '... by one strategy';
is_deeply $d->{reward_by_episode}, [0, 0, 0, 1], '... each a session';
cmp_ok $d->{confidence}, '>', 0, '... with a confidence';
cmp_ok scalar @{ $d->{convergence} }, '>', 0, '... pass by pass';
is $d->{q_table}{states}, $d->{q_table_size}, '... a table';
$d = get("$api/agent/state")->{json}{data};
is $d->{last_training}{algorithm}, 'fitted-q', 'its state: the last training';
like $d->{last_training}{$_}, $time, "... $_" for qw(timestamp published);
is $d->{last_training}{generation}, 2, '... and generation';
is $d->{current_episode}, 4, '... the episodes';

is_deeply [map { $_->{decision_id} } history('customer_id=ann')], \@ids,
    'zone and snapshot have them, and each is shown once';
ok $n->stop, 'stop';
$n->start;
is_deeply [history('')], [], 'a new zone has none';
my @old = history('customer_id=ann');
is_deeply [map { $_->{decision_id} } @old], \@ids, 'the snapshot has';
is_deeply [@{ $old[0] }{qw(customer_id session_id action_type)}],
    [qw(ann s4 again)], '... what was decided';
is_deeply [map { $_->{session_id} } history('customer_id=ann&limit=2')],
    [qw(s4 s3)], '... the newest';
is_deeply [map { $_->{session_id} } history("customer_id=ann&session_id=s2")],
    ['s2'], '... of a session';
recommend(customer_id => 'ann', session_id => 's5');
is_deeply [map { $_->{session_id} } history('customer_id=ann&limit=3')],
    [qw(s5 s4 s3)], '... beside new ones';
ok $n->stop, 'stop';
$n->ok_log;

# ---- a customer with a very long history: a request looks at 10,000 ---- #

$n = server('reco_zone reco:1m;')->start;
publish($n);
$n->folder('bot');
my $ms = 1000 * (time - 20000);
write_segment($n->path('bot'), 'edge-1', 1, 0, $ms, (map {
    decision($_, $ms + 1000 * $_, model => 'cart', customer => 'bot',
        session => "b$_", actions => 2,
        features => { device_type => ['mobile', 'request'] },
        slate => ['popular'], p => [1], policy => 'q_table')
} 1 .. 10001), decision(10002, $ms + 15_000_000, model => 'cart',
    customer => 'bob', features => {}, actions => 2, slate => ['popular'],
    p => [1], policy => 'q_table'));
$n->tool_run('train', '--base', $n->path('cart-0.mdb'), '--log',
    $n->path('bot'), '--out', $n->path('bot.mdb'));
$n->tool_run('publish', '--force', $n->path('bot.mdb'), '--to',
    $n->path('models/cart'));
ok $n->wait_generation(cart => 2), 'a robot\'s history';
is_deeply [map { $_->{session_id} } history('customer_id=bot&limit=2')],
    [qw(b10001 b10000)], '... its latest';
is scalar(() = history('customer_id=bot&session_id=b2')), 1,
    '... the 10,000th';
is scalar(() = history('customer_id=bot&session_id=b1')), 0,
    '... not the one before';
is scalar(() = history('customer_id=bot&session_id=b1&to='
    . ($ms + 2000))), 1, '... unless it is asked for by its time';
is scalar(() = history('customer_id=bot&limit=1000')), 1000, '... a thousand';
ok $n->stop, 'stop';
$n->ok_log;

# ---- retention: the spec's, when it is asked ---- #

$n = server('reco_zone reco:1m; reco_geoip geo.mdb;')->start;
$spec{history} = { recommendations => '1s' };
publish($n);
ok $n->wait_generation(cart => 1), 'a model that keeps a second';
is recommend(customer_id => 'ann')->{status}, 200, 'decided';
ok $n->wait_for(sub { !@{ get("$api/recommendations/history")
    ->{json}{data}{history} } }), '... and forgotten';
is_deeply get("$api/agent/state")->{json}{data}{recent_actions}, [],
    '... by the state too';

$a = get('/health');
is $a->{status}, 503, 'a geo database that is not there: not healthy';
is_deeply $a->{json}{services},
    { snapshot => JSON::PP::true, geo => JSON::PP::false,
      log => JSON::PP::false }, '... a log that is not configured is not it';
refused(reward(), 503, qr/recorded/, 'a reward without a log');
ok $n->stop, 'stop';
$n->ok_log;

# ---- with a secret; without a zone ---- #

my $hash = '0f' x 32;
$spec{history} = { recommendations => '7d' };
$n = server('reco_zone reco:1m; reco_log log; reco_secret secret;',
    files => { secret => "hash $hash\nsign k1 " . 'a1' x 32 . "\n" })->start;
publish($n, '--secret', $n->path('secret'));
ok $n->wait_generation(cart => 1), 'with a secret';
$a = recommend(customer_id => 'ann', device_type => 'mobile');
my $token = $a->{json}{data}{metadata}{decision_id};
like $token, qr/\A1\.k1\./, 'the id is a token';
is_deeply $a->{json}{data}{recommendations}, [qw(bulb m1 m2)],
    'the customer is found by the hash';
my $key = substr hmac_sha256_hex('ann', pack 'H*', $hash), 0, 32;
is_deeply [map { $_->{customer_id} } history('customer_id=ann')], [$key],
    'the history knows the customer by the hash';
is reward(decision_id => $token)->{status}, 200, 'a signed reward';
refused(reward(decision_id => $token, customer_id => 'bob'), 403, qr/token/,
    'another customer\'s token');
ok $n->stop, 'stop';
$n->ok_log;

$n = server('')->start;
publish($n);
ok $n->wait_generation(cart => 1), 'without a zone';
recommend(customer_id => 'ann');
is_deeply [history('')], [], 'there is no recent history';
is get("$api/metrics")->{json}{data}{live}, undef, '... nothing is counted';
is get("$api/agent/state")->{json}{data}{recent_actions}, undef,
    '... no recent actions';
ok $n->stop, 'stop';
$n->ok_log;

done_testing;
