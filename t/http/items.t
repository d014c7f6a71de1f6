#!/usr/bin/perl

# Items in the native format: cart and excluded items, what is logged of them,
# rewards about them; the log replays.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP;
use Reco::Nginx;
use Test::More;

my $n = Reco::Nginx->new(
    conf_http => 'reco_zone reco:2m; reco_model cart models/cart;'
        . 'reco_fallback cart again; reco_log log;',
    conf_server => <<'E',
location = /decide  { reco_recommend cart; }
location = /explain { reco_recommend cart; reco_explain on; }
location = /reward  { reco_reward cart; }
E
);

my @files = (
    '--customers', $n->write('customers.csv', "customer,bought\nann,mug\n"),
    '--items', $n->write('items.csv', <<'E'),
id,family,available
mug,mug,1
mug-red,mug,1
lamp,,1
bulb,,1
vase,,0
E
    '--lists', $n->write('lists.csv', <<'E'),
list,key,item,score
popular,,vase,1
popular,,mug,0.75
popular,,mug-red,0.5
popular,,lamp,0.25
also_bought,mug,bulb,0.5
also_bought,lamp,mug-red,0.25
E
);
is $n->publish(cart => {
    model => 'cart',
    actions => [{ id => 'again' }],
    policy => { type => 'uniform', slate => 1 },
    items => {
        slate => 2, per_family => 1, history => 'bought',
        strategies => { again => [
            { list => 'also_bought', by => 'history' },
            { list => 'also_bought', by => 'cart', weight => 3 },
        ] },
        fill => [{ list => 'popular' }],
    },
}, @files), 1, 'published';

$n->start;
ok $n->wait_generation(cart => 1), 'served from the start';

sub items {
    my (%body) = @_;
    my $a = $n->json('POST', '/decide', \%body);
    return [map { [$_->{id}, $_->{score}] } @{ $a->{json}{items} }];
}

is_deeply items(), [['mug', 0.75], ['lamp', 0.25]],
    'nobody: the most popular, one of a family, in stock';
is_deeply items(customer => 'ann'), [['bulb', 0.5], ['mug', 0.75]],
    'by what was bought, then filled';
is_deeply items(customer => 'ann', cart => ['lamp']),
    [['mug-red', 0.75], ['bulb', 0.5]], 'by the cart too';
is_deeply items(customer => 'ann', cart => ['lamp', 'nowhere'],
    exclude => ['mug-red', 'bulb']), [['mug', 0.75]],
    'not what is in the cart or excluded; fewer than wanted';

my $a = $n->request('GET', '/decide?customer=ann');
is_deeply [map { $_->{id} } @{ decode_json($a->{body})->{items} }],
    [qw(bulb mug)], 'GET';

$a = $n->json('POST', '/explain', { cart => ['x'], explain => JSON::PP::true });
is $a->{json}{explain}{items_filled}, 2, 'explained: filled';
is $a->{json}{explain}{unknown_items}, 1, 'explained: ids nobody knows';

$a = $n->json('POST', '/decide', { cart => [('mug') x 65] });
is $a->{status}, 400, 'a cart too large';
is $a->{json}{error}{field}, 'cart', 'is named';
$a = $n->json('POST', '/decide', { exclude => 'mug' });
is $a->{status}, 400, 'no array';
is $a->{json}{error}{field}, 'exclude', 'is named';

# the longest there may be
is_deeply items(cart => [map { sprintf 'c%03d%s', $_, '"' x 60 } 1 .. 64],
    exclude => [map { sprintf 'e%03d%s', $_, '"' x 60 } 1 .. 64]),
    [['mug', 0.75], ['lamp', 0.25]], '128 ids nobody knows';

$a = $n->json('POST', '/reward', { customer => 'ann', session => 's1',
    items => ['bulb'], facts => { click => 1 } });
is $a->{status}, 200, 'a reward about an item';

$n->stop;

my @decisions = $n->decisions;
is_deeply $decisions[2]{cart}, ['lamp'], 'logged: the cart';
is_deeply $decisions[2]{items}, [qw(mug-red bulb)], 'the items';
ok !exists $decisions[2]{exclude}, 'nothing that is not there';
is_deeply $decisions[3]{exclude}, [qw(mug-red bulb)], 'what was excluded';
is scalar @{ $decisions[-1]{cart} }, 64, 'the longest cart';
my ($reward) = $n->rewards;
is $reward->{session}, 's1', "a reward's session";
is_deeply $reward->{items}, ['bulb'], 'and items';

my $replay = decode_json($n->tool_run('replay', '--log', $n->path('log'),
    '--models', $n->path('models/cart'), '--json'));
is $replay->{same}, scalar @decisions, 'all of it replays';
is $replay->{different}, 0, 'the same';

$n->ok_log;

done_testing;
