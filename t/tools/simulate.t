#!/usr/bin/perl

# reco simulate: a market from a generated shop, sessions that are the same
# however many processes simulate them, a log that replays and says what the
# totals say, an oracle that nothing beats, and a comparison.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP ();
use Reco::Tool;
use Test::More;

my $dir = folder();
my $json = JSON::PP->new->utf8->canonical;
my $spec = "$FindBin::Bin/../../conf/models/cart.json";

sub good {
    my ($what, @args) = @_;
    my ($status, $out, $err) = reco(@args);

    is($status, 0, $what) or diag $err;

    return $out;
}

sub bad {
    my ($what, $pattern, @args) = @_;
    my ($status, undef, $err) = reco(@args);

    is($status, 1, "$what is refused");
    like($err, $pattern, '... and why');
}

# ---- a shop, its market, a model ----

good('a shop', 'generate', '--out', "$dir/raw", '--customers', 300, '--items',
     120, '--seed', 3);
good('its lists', 'baskets', "$dir/raw/baskets.csv", '--items',
     "$dir/raw/items.csv", '--out', "$dir/shop", '--leave-last');

my @shop = ('--baskets', "$dir/raw/baskets.csv", '--items',
            "$dir/shop/items.csv");
my $market = $json->decode(good('calibrate', 'simulate', '--calibrate', @shop,
    '--name', 'test', '--out', "$dir/market.json", '--json'));

is($market->{market}, 'test', 'its name');
is_deeply($json->decode(slurp("$dir/market.json")), $market,
          'the file is what was printed');
good('again', 'simulate', '--calibrate', @shop, '--name', 'test', '--out',
     "$dir/again.json");
is(slurp("$dir/again.json"), slurp("$dir/market.json"), 'the same bytes');

my $estimate = $market->{response}{estimate};
cmp_ok($estimate->{found_again}{largest_difference_in_standard_errors}, '<',
       4, 'coefficients are found again in what they generate');
cmp_ok($estimate->{validation}{auc}, '>', 0.6,
       'held-out baskets are told apart');
cmp_ok($estimate->{validation}{log_loss}, '<',
       $estimate->{validation}{log_loss_of_share}, '... by probabilities');
cmp_ok($estimate->{validation}{positives}, '>', 100, '... that were many');

good('build', 'build', $spec, '--customers', "$dir/shop/customers.csv",
     '--items', "$dir/shop/items.csv", '--lists', "$dir/shop/lists.csv",
     '--samples', "$dir/shop/samples.csv", '--out', "$dir/cart.mdb");
good('publish', 'publish', "$dir/cart.mdb", '--to', "$dir/models",
     '--force');

my @run = ('simulate', "$dir/models", @shop);
my @on = (@run, '--market', "$dir/market.json");

# ---- the same sessions, whoever simulates them ----

sub contents {
    my ($folder) = @_;

    return { map { $_ => slurp("$folder/$_") } files($folder) };
}

my %totals;
for my $jobs (1, 3) {
    $totals{$jobs} = good("$jobs jobs", @on, '--sessions', 400, '--jobs',
                          $jobs, '--log', "$dir/log$jobs", '--json');
}
is($totals{3}, $totals{1}, 'totals do not depend on the jobs');
is_deeply(contents("$dir/log3"), contents("$dir/log1"), 'nor does the log');
isnt(good('another seed', @on, '--sessions', 400, '--seed', 2, '--json'),
     $totals{1}, 'but on the seed they do');

my $replay = $json->decode(good('replay', 'replay', '--log', "$dir/log1",
                                '--models', "$dir/models", '--json'));
my $t = $json->decode($totals{1});
is($replay->{same}, $t->{decisions}, 'every decision replays');
is($replay->{different}, 0, '... as it was');

good('train', 'train', '--base', "$dir/models", '--log', "$dir/log1", '--out',
     "$dir/trained.mdb");
my $nodes = reco_json('inspect', "$dir/trained.mdb", '--json')->{training}
                     {nodes};
is_deeply([keys %$nodes], ['market'],
          'what is learned from simulated shoppers says so');

# ---- the log says what the totals say ----

my (%decisions, %clicked, %sessions, %converted, $revenue, $ordered, @seen);
for my $file (files("$dir/log1")) {
    my $last = 0;

    for (split /\n/, slurp("$dir/log1/$file")) {
        my $r = $json->decode($_);

        if ($r->{type} eq 'decision') {
            $decisions{$r->{id}} = $r;
            $sessions{$r->{session}}++;
        } elsif ($r->{type} eq 'reward') {
            my $f = $r->{facts};
            my $d = $decisions{$r->{decision}};

            $clicked{$r->{decision}} = 1 if $f->{click};
            $converted{$r->{session}} = 1 if $f->{conversion};
            $revenue += $f->{revenue} // 0;
            push @seen, $r unless $d
                && (!$f->{click} || grep { $_ eq $r->{items}[0] }
                                    @{$d->{items}})
                && $d->{session} eq $r->{session} && $r->{time} > $d->{time};
        }
        $ordered++ if $r->{time} < $last;
        $last = $r->{time};
    }
}
is(scalar keys %decisions, $t->{decisions}, 'decisions');
is(scalar keys %sessions, $t->{sessions}, 'sessions');
cmp_ok($t->{sessions}, '>', 400, '... of which some are returns');
cmp_ok(abs(keys(%clicked) / keys(%decisions) - $t->{click_through}), '<',
       1e-12, 'click-through');
cmp_ok(abs(keys(%converted) / keys(%sessions) - $t->{conversion_rate}), '<',
       1e-12, 'conversion rate');
cmp_ok(abs($revenue / keys(%sessions) - $t->{revenue_per_session}), '<',
       1e-9, 'revenue');
cmp_ok(scalar keys %clicked, '>', 5, '... of enough clicks to tell');
is($ordered, undef, 'records are in the order of time');
is_deeply(\@seen, [], 'facts follow their decision and name its items');

# ---- markets that are not the one ----

sub changed {
    my ($name, $change) = @_;
    my $m = $json->decode(slurp("$dir/market.json"));

    $change->($m);

    return spew("$dir/$name.json", $json->encode($m));
}

my $better = changed('better', sub {
    $_[0]{response}{coefficients}{copurchase} *= 2;
});
bad('a changed market', qr/better\.json: its hash says [0-9a-f]{32}, its/,
    @run, '--market', $better);
good('... unless one says so', @run, '--market', $better,
     '--market-unchecked', '--sessions', 10);

(my $fewer = slurp("$dir/raw/baskets.csv")) =~ s/.*\n\z//;
spew("$dir/fewer.csv", $fewer);
bad('another shop', qr/calibrated on other baskets or items/, 'simulate',
    "$dir/models", '--baskets', "$dir/fewer.csv", '--items',
    "$dir/shop/items.csv", '--market', "$dir/market.json");

my %wrong = (
    attention => [[1, 2], qr/'attention' must be 1 to 16 numbers from 0/],
    devices => [{ a => 0.5 }, qr/'devices' must be .* that sum to 1/],
    go_on => [-1, qr/'go_on' must be a number from 0 to 1/],
    max_steps => [2.5, qr/'max_steps' must be a whole number/],
    step_seconds => ['60', qr/'step_seconds' must be a number/],
);
for my $name (sort keys %wrong) {
    my $file = changed('wrong', sub {
        $_[0]{assumptions}{$name} = $wrong{$name}[0];
    });

    bad("$name", $wrong{$name}[1], @run, '--market', $file,
        '--market-unchecked');
}
bad('what is no JSON', qr/line 1/, @run, '--market',
    spew("$dir/no.json", '{'));
bad('what is no object', qr/a market is a JSON object/, @run, '--market',
    spew("$dir/no.json", '[]'));

# ---- what is assumed happens ----

sub assume {
    my (%values) = @_;

    return changed('assumed', sub {
        $_[0]{assumptions}{$_} = $values{$_} for keys %values;
    });
}

my @assumed = ('--market-unchecked', '--sessions', 300, '--json', '--market');
$t = $json->decode(good('nobody buys', @run, @assumed,
                        assume(purchase_if_cart => 0)));
is($t->{conversion_rate}, 0, 'no conversion');
is($t->{revenue_per_session}, 0, 'no revenue');
cmp_ok($t->{click_through}, '>', 0, 'but clicks');

$t = $json->decode(good('everybody leaves', @run, @assumed,
    assume(go_on => 0, go_on_if_clicked => 0, go_on_by_relevance => 0,
           max_returns => 0)));
is($t->{steps}, 1, 'one decision a session');
is($t->{sessions}, 300, 'no returns');
is($t->{return_rate}, undef, 'and no rate of them');
is($t->{value_of_going_on}, undef, 'nor of going on');
like(good('in words', @run, '--market-unchecked', '--sessions', 10,
          '--market', "$dir/assumed.json"), qr/^return rate +-$/m,
     '... it is a dash');

# ---- the oracle ----

# With one step a session every arm meets the same shoppers with the same
# carts: then the best expected reward of each is the best of all.
my $one = assume(max_steps => 1, max_returns => 0);
my $oracle = $json->decode(good('the oracle', @run, @assumed, $one,
                                '--oracle'));
my $most = -1e9;
for my $action (map { $_->{id} } @{$json->decode(slurp($spec))->{actions}}) {
    my $fixed = $json->decode(good($action, @run, @assumed, $one, '--action',
                                   $action));

    is($fixed->{sessions}, $oracle->{sessions}, '... the same sessions');
    cmp_ok($fixed->{expected_reward_per_decision}, '<',
           $oracle->{expected_reward_per_decision},
           '... and less than the oracle');
    $most = $fixed->{expected_reward_per_decision}
        if $fixed->{expected_reward_per_decision} > $most;
}
cmp_ok($most, '>', -1e9, 'all were compared');

# ---- a comparison ----

my @compare = ('simulate', '--compare', '--spec', $spec, @shop, '--market',
               "$dir/market.json", '--part', 'development', '--seeds', 2,
               '--sessions', 150, '--train-sessions', 150);
my $words = good('compare', @compare, '--out', "$dir/compare.json");
like($words, qr/^conversion rate, %/m, 'tables');
like($words, qr/^conversion of fitted Q over .* published/m,
     'and what was published');
good('compare with two jobs', @compare, '--jobs', 2, '--out',
     "$dir/compare2.json");
is(slurp("$dir/compare2.json"), slurp("$dir/compare.json"),
   'the same for any number of jobs');

my $c = $json->decode(slurp("$dir/compare.json"));
my %arms = map { $_->{arm} => $_ } @{$c->{arms}};
is_deeply([sort keys %arms],
          [sort qw(random rules collaborative fixed q-learning-0 q-learning
                   fitted-q fitted-q-greedy oracle)], 'the arms');
is($c->{market}{hash}, $market->{hash}, 'the market they met');
is($arms{random}{click_through}{over_random}{value}, 0,
   'the random arm differs from itself by nothing');
is(scalar @{$arms{oracle}{conversion_rate_by_seed}}, 2, 'each seed');
is($arms{oracle}{hit_rate}{value}, undef, 'the oracle has no hit rate');
cmp_ok($arms{collaborative}{hit_rate}{value}, '>', 0, 'the others have');
is($arms{rules}{published_uplift_of_agent_over_it}, 0.12, 'published');
for my $arm (values %arms) {
    my ($v, $i) = @{$arm->{click_through}}{qw(value interval)};

    ok($i->[0] < $v && $v < $i->[1], "$arm->{arm}: the interval is around");
}

# ---- bad input ----

sub with_basket {
    my ($line) = @_;

    spew("$dir/bad.csv", "basket,time,customer,country,item,quantity,price\n"
         . "b1,2025-01-02T00:00:00Z,c1,GB,i1,1,2.5\n$line\n");
    spew("$dir/bad-items.csv", "id,name,price,category,family,available\n"
         . "i1,one,2.5,x,i1,1\n");

    return ('simulate', '--calibrate', '--baskets', "$dir/bad.csv", '--items',
            "$dir/bad-items.csv", '--out', "$dir/bad.json");
}

bad('an unknown item', qr/bad\.csv:3: column 'item': 'i2' is not among/,
    with_basket('b2,2025-01-03T00:00:00Z,c1,GB,i2,1,2.5'));
bad('an earlier time', qr/bad\.csv:3: column 'time': .* before the row above/,
    with_basket('b2,2025-01-01T00:00:00Z,c1,GB,i1,1,2.5'));
bad('a negative quantity', qr/column 'quantity': '-1' is not a number above/,
    with_basket('b2,2025-01-03T00:00:00Z,c1,GB,i1,-1,2.5'));
bad('a price that is none', qr/column 'price': 'nan' is not a number above/,
    with_basket('b2,2025-01-03T00:00:00Z,c1,GB,i1,1,nan'));
bad('no customers to learn from', qr/'market' has too few baskets/,
    with_basket('b2,2025-01-03T00:00:00Z,c1,GB,i1,1,2'));
bad('a column that is not there', qr/there is no column 'basket'/,
    'simulate', '--calibrate', '--baskets', "$dir/shop/items.csv", '--items',
    "$dir/shop/items.csv", '--out', "$dir/bad.json");
bad('an action that is none', qr/the model has no action 'x'/, @on,
    '--action', 'x');
good('a model without items', 'build',
     "$FindBin::Bin/../../conf/models/minimal.json", '--out',
     "$dir/minimal.mdb");
bad('a model without items', qr/the model recommends no items/, 'simulate',
    "$dir/minimal.mdb", @shop, '--market', "$dir/market.json");
bad('an output in an input\'s place', qr/baskets\.csv/, 'simulate',
    '--calibrate', @shop, '--out', "$dir/raw/baskets.csv");

for my $args (['--calibrate'], ['--calibrate', @shop], [@shop],
              [@shop, '--market', 'm'], ['--compare', @shop, '--market', 'm'],
              [@on[1 .. $#on], '--part', 'x'],
              [@on[1 .. $#on], '--sessions', 0],
              [@on[1 .. $#on], '--oracle', '--action', 'popular'],
              [@on[1 .. $#on], '--http', 'http://127.0.0.1:1'])
{
    is((reco('simulate', @$args))[0], 2, "usage: @$args");
}

done_testing();
