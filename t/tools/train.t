#!/usr/bin/perl

# reco train: priors and probabilities of being best against SciPy, slates
# valued by inverse inclusion probability against counting by hand.
#
# SciPy's numbers: P(best) by scipy.integrate.quad over the logit of x of
# expit(t)^a expit(-t)^b / B(a, b) times the product of betainc of the others;
# the prior as the root of the gradient of sum(betabinom.logpmf(k, n, a, b)).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use List::Util qw(sum);
use Reco::Log;
use Reco::Tool;
use Test::More;

use constant { MIN => 60_000, DAY => 86_400_000 };

my $dir = folder();
my $t0 = 1_700_000_000_000;         # 2023-11-14T22:13:20Z
my $logs = 0;
my @catalogue = ('A' .. 'F');

sub near {
    my ($got, $want, $name, $error) = @_;

    cmp_ok(abs($got - $want), '<=', $error // 1e-8, $name)
        or diag("got $got, want $want");
}

sub spec {
    my ($n, $policy, @more) = @_;
    my $actions = join ', ', map { qq({"id": "$_"}) } @catalogue[0 .. $n - 1];
    my $more = @more ? ", @more" : '';

    return spew("$dir/spec.json", <<"END");
{"model": "shop", "version": "1",
 "features": [{"name": "x", "type": "category", "from": ["request"]}],
 "actions": [$actions], "policy": $policy,
 "reward": {"click": 1, "horizon": "30m"}$more}
END
}

my $arms = '{"type": "p_table", "slate": 1, "state": []}';

sub log_of {
    my (@records) = @_;
    my $log = "$dir/log" . $logs++;

    write_segment($log, 'edge-1', 1, 0, $t0, @records);

    return $log;
}

# One-slot decisions: [trials, clicks] by action. The last record is a
# decision that is still open at the end of the log.
sub counts_log {
    my (@counts) = @_;
    my ($n, @records) = (0);

    for my $i (0 .. $#counts) {
        for my $k (1 .. $counts[$i][0]) {
            push @records, decision(++$n, $t0, actions => scalar @counts,
                                    slate => [$catalogue[$i]], p => [1 / 2]);
            push @records, reward($n, $t0, { click => 1 })
                if $k <= $counts[$i][1];
        }
    }

    return log_of(@records,
                  decision(++$n, $t0 + 40 * MIN, actions => scalar @counts));
}

sub train {
    my ($log, @args) = @_;

    return reco_json('train', '--log', $log, '--out', "$dir/out.mdb",
                     '--json', @args);
}

# Probabilities of the row, by action. The key of a model without state
# features is a separator alone.
sub row {
    my ($state) = @_;
    my $r = reco_json('inspect', "$dir/out.mdb", '--json', '--state',
                      $state // ',');

    return map { $_->{value} } @{ $r->{values} };
}

# ---- P(best) ----

# Beta(2,5), Beta(3,4), Beta(10,20) on a prior of Beta(1,1)
my $spec = spec(3, $arms);
my $facts = train(counts_log([5, 1], [5, 2], [28, 9]), '--spec', $spec,
                  '--prior', '1,1');
my @p = row();
near($p[0], 0.19421703529284412, 'P(best) of Beta(2,5)');
near($p[1], 0.5742648956787649, 'P(best) of Beta(3,4)');
near($p[2], 0.2315180690283912, 'P(best) of Beta(10,20)');
near(sum(@p), 1, 'they sum to 1', 1e-12);
is($facts->{n}, 38, 'decisions used');
is($facts->{log}{censored}{open}, 1, 'the open one is not');
is($facts->{successes}, 12, 'clicks');
is_deeply([@{ $facts->{prior} }{qw(alpha beta source)}], [1, 1, 'given'],
          'the prior that was given');

# What other models decided is not this one's.
$facts = train(log_of(
    decision(1, $t0, actions => 3, p => [1 / 2]),
    decision(2, $t0, actions => 3, p => [1 / 2], model => 'other'),
    reward(2, $t0, { click => 1 }, model => 'other'),
    decision(3, $t0 + 40 * MIN, actions => 3)),
    '--spec', $spec, '--prior', '1,1');
is_deeply([@{$facts}{qw(trials successes)}], [1, 0], 'one model of two');

# Uniform on [0, 1] against the lesser of two such: P(x > y) = 2/3.
$spec = spec(2, $arms);
train(counts_log([0, 0], [1, 0]), '--spec', $spec, '--prior', '1,1');
@p = row();
near($p[0], 2 / 3, 'Beta(1,1) beats Beta(1,2) two times in three');
near($p[1], 1 / 3, '... and is beaten once');

# x^(a-1) at both ends: P(Beta(a,1) > Beta(b,1)) = a / (a + b)
train(counts_log([1, 1], [3, 3]), '--spec', $spec, '--prior', '0.5,1');
near((row())[0], 1.5 / 5, 'Beta(1.5,1) and Beta(3.5,1): in closed form');
train(counts_log([1, 1], [0, 0]), '--spec', $spec, '--prior', '0.01,1');
near((row())[0], 1.01 / 1.02, 'Beta(1.01,1) and Beta(0.01,1)');

# Densities without bound at 0: mpmath for Beta(0.01,5) and Beta(0.01,7),
# SciPy for Beta(0.5,4), Beta(3.5,7) and Beta(10.5,23)
train(counts_log([0, 0], [2, 0]), '--spec', $spec, '--prior', '0.01,5');
near((row())[0], 0.501806491071603781, 'Beta(0.01,5) and Beta(0.01,7)');
$spec = spec(3, $arms);
train(counts_log([0, 0], [6, 3], [29, 10]), '--spec', $spec,
      '--prior', '0.5,4');
@p = row();
near($p[0], 0.06733548983667573, 'Beta(0.5,4) of three');
near($p[1], 0.5020026907194324, 'Beta(3.5,7) of three');

# Equal arms share evenly.
train(counts_log([4, 1], [4, 1], [4, 1]), '--spec', $spec,
      '--prior', '1,1');
near($_, 1 / 3, 'equal arms') for row();

# ---- prior ----

$spec = spec(4, $arms);
$facts = train(counts_log([100, 3], [120, 8], [90, 1], [200, 30]),
               '--spec', $spec);
is($facts->{prior}{source}, 'fitted', 'a prior fitted to the items');
near($facts->{prior}{alpha}, 1.600379411142502, '... alpha as SciPy', 1e-6);
near($facts->{prior}{beta}, 22.33028955868057, '... beta as SciPy', 1e-5);

my $alike = counts_log([100, 3], [100, 3], [100, 3], [100, 3]);
my ($status, $out, $err) = reco('train', '--log', $alike, '--spec', $spec,
    '--out', "$dir/out.mdb", '--json');
is($status, 0, 'items that do not differ');
like($err, qr/differ no more than chance explains/, '... warn');
$facts = JSON::PP::decode_json($out);
is($facts->{prior}{source}, 'capped', '... cap the prior');
near($facts->{prior}{alpha} + $facts->{prior}{beta}, 10_000,
     '... at 10,000 trials', 1e-6);
near($facts->{prior}{alpha}, 300, '... about their mean', 2);

($status, $out, $err) = reco('train', '--log', counts_log([9, 0], [9, 0],
    [9, 0], [9, 0]), '--spec', $spec, '--out', "$dir/out.mdb", '--json');
is($status, 0, 'no click at all');
like($err, qr/too little happened/, '... warns');
$facts = JSON::PP::decode_json($out);
# (0 + 1/2) / (36 + 1), at the weight of 2
near($facts->{prior}{alpha}, 1 / 37, '... leaves a weak prior at the mean');
near($_, 1 / 4, '... and nothing to choose between') for row();

# ---- slates whose rewards name their action ----

$spec = spec(3, '{"type": "p_table", "slate": 2, "state": ["x"],'
             . ' "per_slot": true}');
my $log = log_of(
    decision(1, $t0, actions => 3, slate => ['A', 'B'], p => [1 / 2, 1 / 2],
             features => { x => ['s', 'request'] }),
    reward(1, $t0, { click => 1 }, action => 'B'),
    decision(2, $t0, actions => 3, slate => ['C', 'A'], p => [1 / 2, 1 / 2],
             features => { x => ['s', 'request'] }),
    decision(3, $t0, actions => 3, slate => ['A', 'B'], p => [1 / 2, 1 / 2],
             features => { x => ['t', 'request'] }),
    reward(3, $t0, { click => 0 }, action => 'A'),
    decision(4, $t0 + 40 * MIN, actions => 3),
);
$facts = train($log, '--spec', $spec, '--prior', '1,1');
is($facts->{credit}, 'action', 'rewards name actions');
is($facts->{states}, 4, 'two states by two slots');
is($facts->{trials}, 6, 'three slates of two');
is($facts->{successes}, 1, 'one click');
# Slot 2 of s: A Beta(1,2), B Beta(2,1), C Beta(1,1)
# P(A) = int 2(1-x) x^2 x = 2/4 - 2/5; P(B) = int 2x (2x - x^2) x = 1 - 2/5
@p = row('s,2');
near($p[0], 1 / 10, 'slot 2: A was shown in vain');
near($p[1], 3 / 5, 'slot 2: B was clicked');
near($p[2], 3 / 10, 'slot 2: C was not shown');
my $r = reco_json('inspect', "$dir/out.mdb", '--json', '--state', 's,1');
is_deeply([map { $_->{visits} } @{ $r->{values} }], [1, 0, 1],
          'slot 1: visits');

# ---- slates whose rewards do not ----

# The model that decided: 2 of A, B, C by weights 2 1 1 of what is left.
#   A first 1/2, B first 1/4, C first 1/4
#   A: 1/2 + 1/4 2/3 + 1/4 2/3 = 5/6    B, C: 1/4 + 1/2 1/2 + 1/4 1/3 = 7/12
$spec = spec(3, '{"type": "weights", "slate": 2, "weights": [2, 1, 1]}');
is((reco('build', $spec, '--out', "$dir/weights.mdb"))[0], 0, 'build');
is((reco('publish', "$dir/weights.mdb", '--to', "$dir/models"))[0], 0,
   'publish');

# Slate 1: A, B rewarded. 2: A, B were all there was. 3: A, C.
#   A: w 6/5 r 1, w 1, w 6/5: v 1.2/3.4, trials 3.4^2 / 3.88
#   B: w 12/7 r 1, w 1:       v 12/19,   trials 19^2 / 193
#   C: w 12/7:                v 0,       trials 1
$spec = spec(3, '{"type": "p_table", "slate": 2, "state": []}');
$log = log_of(
    decision(1, $t0, actions => 3, slate => ['A', 'B'], p => [1 / 2, 1 / 2]),
    reward(1, $t0, { click => 1 }),
    decision(2, $t0, actions => 3, slate => ['A', 'B'], p => [2 / 3, 1],
             eligible => '3'),
    reward(2, $t0, { click => 0 }),
    decision(3, $t0, actions => 3, slate => ['A', 'C'], p => [1 / 2, 1 / 2]),
    decision(4, $t0 + 40 * MIN, actions => 3),
);
$facts = train($log, '--spec', $spec, '--prior', '1,1', '--models',
               "$dir/models");
is($facts->{credit}, 'slate', 'rewards are of slates');
near($facts->{trials}, 3.4 ** 2 / 3.88 + 19 ** 2 / 193 + 1,
     'effective trials', 1e-5);
near($facts->{successes}, 1.2 / 3.4 * 3.4 ** 2 / 3.88 + 12 / 19 * 361 / 193,
     'effective successes', 1e-5);
# SciPy for Beta(1 + 1.0515464, 1 + 1.9278351), Beta(1 + 1.1813472,
# 1 + 0.6891192), Beta(1, 2)
@p = row();
near($p[0], 0.24212240951925654, 'P(best) of A', 1e-6);
near($p[1], 0.5835691666328222, 'P(best) of B', 1e-6);
near($p[2], 0.17430842384791467, 'P(best) of C', 1e-6);

($status, $out, $err) = reco('train', '--log', $log, '--spec', $spec,
                             '--out', "$dir/none.mdb");
is($status, 1, 'without the models that decided');
like($err, qr/give the folder .* with --models/, '... says what is needed');
ok(!-e "$dir/none.mdb", '... and leaves nothing');

# 3 of 4 by weights 10 8 6 4: the probability of each one by trying all
# orders. A single slate, so that trials are 1 and the mean is 1 or 0; two of
# them with other eligible sets show the weights in the effective trials.
my @w = (10, 8, 6, 4);
my @pi = (0) x 4;
for my $i (0 .. 3) {
    for my $j (grep { $_ != $i } 0 .. 3) {
        for my $k (grep { $_ != $i && $_ != $j } 0 .. 3) {
            my $p = $w[$i] / 28 * $w[$j] / (28 - $w[$i])
                * $w[$k] / (28 - $w[$i] - $w[$j]);
            $pi[$_] += $p for $i, $j, $k;
        }
    }
}
near(sum(@pi), 3, 'three of four');
$spec = spec(4, '{"type": "weights", "slate": 3, "weights": [10, 8, 6, 4]}');
is((reco('build', $spec, '--out', "$dir/w4.mdb"))[0], 0, 'build');
is((reco('publish', "$dir/w4.mdb", '--to', "$dir/models4"))[0], 0, 'publish');
$spec = spec(4, '{"type": "p_table", "slate": 3, "state": []}');
my @three = (actions => 4, p => [1 / 2, 1 / 2, 1 / 2]);
for my $shown ([0, 1, 2], [3, 0, 1], [2, 3, 1]) {
    my @slate = map { $catalogue[$_] } @$shown;
    my $mask = sprintf '%x', sum(map { 1 << $_ } @$shown);

    $facts = train(log_of(
        decision(1, $t0, @three, slate => [@slate]),
        reward(1, $t0, { click => 1 }),
        decision(2, $t0, @three, slate => [@slate], eligible => $mask),
        decision(3, $t0 + 40 * MIN, actions => 4)),
        '--spec', $spec, '--prior', '1,1', '--models', "$dir/models4");

    # of each: weights 1 / pi and 1
    my @trials = map { (1 / $pi[$_] + 1) ** 2 / (1 / $pi[$_] ** 2 + 1) }
        @$shown;
    my @hits = map { 1 / $pi[$shown->[$_]] / (1 / $pi[$shown->[$_]] + 1)
                     * $trials[$_] } 0 .. 2;
    near($facts->{trials}, sum(@trials), "@slate: trials", 1e-5);
    near($facts->{successes}, sum(@hits), "@slate: successes", 1e-5);
}

# Too many orders: 300 x 299 x 298 = 26,730,600.
{
    my @few = @catalogue;
    @catalogue = map { "item$_" } 1 .. 300;

    my $many = spec(300, '{"type": "uniform", "slate": 3}');
    reco('build', $many, '--out', "$dir/many.mdb");
    reco('publish', "$dir/many.mdb", '--to', "$dir/models300");
    $many = spec(300, '{"type": "p_table", "slate": 3, "state": []}');
    $log = log_of(
        decision(1, $t0, actions => 300, p => [1 / 2, 1 / 2, 1 / 2],
                 slate => ['item1', 'item2', 'item3']),
        reward(1, $t0, { click => 1 }),
        decision(2, $t0 + 40 * MIN, actions => 300));
    ($status, $out, $err) = reco('train', '--log', $log, '--spec', $many,
        '--models', "$dir/models300", '--out', "$dir/none.mdb");
    is($status, 1, '3 of 300');
    like($err, qr/3 out of 300 actions has more than 10000000 orders/,
         '... are too many to enumerate');
    @catalogue = @few;
}

# ---- open decisions ----

# Shares of what is open, at its age of 30 minutes: all of the first, half of
# the one that is 15 minutes old, a fifth at 6, and at 0 the least, a tenth.
# A: 1 + 1/2 successes and Beta(1,1): Beta(2.5,1); B: 1/5 + 1/10: Beta(1.3,1).
$spec = spec(2, $arms);
my @open = (
    decision(1, $t0, actions => 2, slate => ['A'], p => [1 / 2]),
    decision(2, $t0 + 25 * MIN, actions => 2, slate => ['A'], p => [1 / 2]),
    decision(3, $t0 + 34 * MIN, actions => 2, slate => ['B'], p => [1 / 2]),
    decision(4, $t0 + 40 * MIN, actions => 2, slate => ['B'], p => [1 / 2]));
my @clicks = (map({ reward($_, $t0 + 25 * MIN, { click => 1 }) } 1, 2),
              reward(3, $t0 + 35 * MIN, { click => 1 }),
              reward(4, $t0 + 40 * MIN, { click => 1 }));
$facts = train(log_of(@open, @clicks), '--spec', $spec, '--prior', '1,1',
               '--live');
near($facts->{trials}, 1.8, 'open decisions are shares of a trial', 1e-9);
near($facts->{successes}, 1.8, '... rewarded ones too', 1e-9);
near((row())[0], 2.5 / 3.8, '... Beta(2.5,1) and Beta(1.3,1)');

# None clicked: Beta(1,2.5) against Beta(1,1.3), P(A best) = 1.3 / (2.5 + 1.3).
$facts = train(log_of(@open), '--spec', $spec, '--prior', '1,1', '--live');
near($facts->{trials}, 1.8, '... and those without a reward weigh the same',
     1e-9);
near((row())[0], 1.3 / 3.8, '... Beta(1,2.5) and Beta(1,1.3)');

# By slate, w as above. Slate 1, closed: A w 6/5, B w 12/7, rewarded. 2, of 15
# minutes: both w 1, half of it.
#   A: sum e w 1.7, e w^2 1.94, v 1.2 / 1.7
#   B: 31/14, 144/49 + 1/2 = 337/98, v 24/31
$spec = spec(3, '{"type": "p_table", "slate": 2, "state": []}');
$facts = train(log_of(
    decision(1, $t0, actions => 3, slate => ['A', 'B'], p => [1 / 2, 1 / 2]),
    reward(1, $t0, { click => 1 }),
    decision(2, $t0 + 25 * MIN, actions => 3, slate => ['A', 'B'],
             p => [2 / 3, 1], eligible => '3'),
    decision(3, $t0 + 40 * MIN, actions => 3, model => 'other')),
    '--spec', $spec, '--prior', '1,1', '--models', "$dir/models", '--live');
near($facts->{trials}, 1.7 ** 2 / 1.94 + 961 / 674,
     'half of a slate: effective trials', 1e-5);
near($facts->{successes}, 1.2 * 1.7 / 1.94 + 24 / 31 * 961 / 674,
     '... and successes', 1e-5);

# ---- rules ----

# A and B as above (Beta(1,1), Beta(1,2)); in state "no" C may not be shown,
# in the other it may, and is the prior alone.
$spec = spec(3, '{"type": "p_table", "slate": 1, "state": ["x"]}',
             '"rules": [{"when": {"x": "no"}, "deny": ["C"]}]');
train(log_of(
    map({ decision($_, $t0, actions => 3, slate => ['B'], p => [1 / 2],
                   features => { x => [$_ == 1 ? 'no' : 'yes', 'request'] })
        } 1, 2),
    decision(3, $t0 + 40 * MIN, actions => 3)), '--spec', $spec, '--prior',
    '1,1');
$r = reco_json('inspect', "$dir/out.mdb", '--json', '--state', 'no');
is_deeply([map { $_->{action} } @{ $r->{values} }], ['A', 'B'],
          'what rules always deny is no arm');
near($r->{values}[0]{value}, 2 / 3, '... and takes no probability');
is(scalar(() = row('yes')), 3, 'elsewhere it is one');
# P(B) = int 2 (1 - x) x^2 = 1/6; A and C share the rest
near((row('yes'))[1], 1 / 6, '... that takes its part');

# ---- time ----

# Four trials a day before the end, two on its day, a half-life of a day.
$spec = spec(2, $arms);
$log = log_of(
    map({ decision($_, $t0, actions => 2, p => [1 / 2]) } 1 .. 4),
    map({ decision($_, $t0 + DAY - 40 * MIN, actions => 2, p => [1 / 2]) }
        5, 6),
    map({ reward($_, $t0 + DAY - 40 * MIN, { click => 1 }) } 5),
    decision(7, $t0 + DAY, actions => 2));
$facts = train($log, '--spec', $spec, '--prior', '1,1',
               '--half-life', '1d');
near($facts->{trials}, 4 / 2 + 2, 'old evidence counts half');
near($facts->{successes}, 1, 'that of the day counts whole');

$facts = train($log, '--spec', $spec, '--prior', '1,1', '--live');
near($facts->{trials}, 6.1, 'live: a tenth of the open one too', 1e-9);
$facts = train($log, '--spec', $spec, '--prior', '1,1', '--as-of',
               '2023-11-15T12:00:00Z');
is($facts->{trials}, 4, 'as of: what was known then');

# ---- customers, and the same bytes ----

spew("$dir/customers.csv", "customer,age\nc1,42\nc2,7\n");
$spec = spew("$dir/based.json", <<'END');
{"model": "shop", "version": "2",
 "features": [{"name": "age", "type": "number", "from": ["customer"],
               "bins": {"quantiles": 2}}],
 "actions": [{"id": "A"}, {"id": "B"}],
 "policy": {"type": "p_table", "slate": 1, "state": ["age"]},
 "reward": {"click": 1, "horizon": "30m"}}
END
is((reco('build', $spec, '--customers', "$dir/customers.csv", '--out',
         "$dir/base.mdb"))[0], 0, 'build with customers');
$log = log_of(
    decision(1, $t0, actions => 2, p => [1 / 2], customer => 'c1',
             features => { age => [42, 'customer'] }),
    reward(1, $t0, { click => 1 }),
    decision(2, $t0, actions => 2, p => [1 / 2], customer => 'c2',
             features => { age => [7, 'customer'] }),
    decision(3, $t0 + 40 * MIN, actions => 2));
$facts = train($log, '--base', "$dir/base.mdb", '--prior', '1,1');
is($facts->{states}, 2, 'a state by bin');
$r = reco_json('inspect', "$dir/out.mdb", '--json', '--customer', 'c1');
is_deeply($r->{fields}, { age => 42 }, 'a customer is kept');
is(reco_json('inspect', "$dir/out.mdb", '--json')->{customers}, 2,
   'customers are kept');
near((row('1'))[0], 2 / 3, 'the bin above the median: Beta(2,1)');
near((row('0'))[0], 1 / 3, 'the bin below: Beta(1,2)');
my $bytes = slurp("$dir/out.mdb");
train($log, '--base', "$dir/base.mdb", '--prior', '1,1');
ok(slurp("$dir/out.mdb") eq $bytes, 'trained again: the same bytes');

# ---- wrong use ----

($status, $out, $err) = reco('train', '--log', $log, '--spec', $spec,
                             '--out', "$dir/none.mdb");
is($status, 1, 'quantiles without customers');
like($err, qr/features\[0\]\.bins: quantiles/, '... says so');
spec(2, '{"type": "uniform", "slate": 1}');
($status, $out, $err) = reco('train', '--log', $log, '--spec',
                             "$dir/spec.json", '--out', "$dir/none.mdb");
is($status, 1, 'a policy without a table');
like($err, qr/policy\.type: is 'uniform', which has no table of values/,
     '... says so');
spec(2, $arms);
($status, $out, $err) = reco('train', '--log', log_of(
    decision(1, $t0, actions => 2)), '--spec', "$dir/spec.json", '--out',
    "$dir/none.mdb");
is($status, 1, 'nothing settled');
like($err, qr/no settled decision to learn from: of 1, 1 are still open \(horizon 30m\), 0 fallbacks, 0 before a gap, 0 left out: wait, or use --live/,
     '... says why, and what helps');
($status, $out, $err) = reco('train', '--log', log_of(
    decision(1, $t0, actions => 2)), '--spec', "$dir/spec.json", '--out',
    "$dir/live.mdb", '--live');
is($status, 0, '--live');
like($out, qr/^  without a reward +1$/m, 'a decision that is open may get one');
unlike($out, qr/expired/, '... it is not called expired');
($status, $out, $err) = reco('train', '--log', log_of(
    decision(1, $t0, fallback => \1, generation => 0),
    decision(2, $t0 + 10 * 86400_000, fallback => \1, generation => 0)),
    '--spec', "$dir/spec.json", '--out', "$dir/none.mdb");
like($err, qr/of 2, 0 are still open .*, 2 fallbacks, 0 before a gap, 0 left out$/,
     'only fallbacks: no hint to wait');
# The hole begins with the first and ends with the second.
($status, $out, $err) = reco('train', '--log', log_of(
    decision(1, $t0, actions => 2, seq => 1),
    decision(2, $t0 + 1, actions => 2, seq => 5)),
    '--spec', "$dir/spec.json", '--out', "$dir/none.mdb");
like($err, qr/of 2, 0 are still open .*, 2 before a gap, 0 left out; 3 record\(s\) are missing in the log, in 1 hole\(s\)$/m,
     'a gap: what is missing');
is_deeply([grep { /none/ } files($dir)], [], 'nothing is left');
# What is read is not written over.
my $text = slurp($spec);
($status, $out, $err) = reco('train', '--log', $log, '--spec', $spec, '--out',
                             $spec);
is($status, 1, '--out over the spec');
like($err, qr/cannot write '\Q$spec\E': it is read too/, 'is refused');
is(slurp($spec), $text, 'which stays');

# nor would it do as a segment of any of the logs
my $plain = spec(2, $arms);
my @two = (counts_log([2, 1], [2, 0]), counts_log([2, 1], [2, 0]));
my $segment = "$two[1]/reco-edge-1-00000001-000000.ndjson";
my $records = slurp($segment);
for my $as (['--out', $segment],
            ['--out', "$dir/out.mdb", '--checkpoint', "$segment.open"])
{
    ($status, undef, $err) = reco('train', '--spec', $plain,
                                  (map { ('--log', $_) } @two), @$as);
    ok($status != 0 && $err =~ /would be a part of the event log/,
       "a segment as $as->[-2]") or diag $err;
}
ok(slurp($segment) eq $records, '... is refused, and left alone');

is((reco('train', '--log', $log, '--out', 'x'))[0], 2, 'no spec: wrong use');
is((reco('train', '--log', $log, '--spec', $spec, '--out', 'x', '--prior',
         '1,-1'))[0], 2, 'a negative prior: wrong use');
is((reco('train', '--algorithm', 'magic'))[0], 2, 'no such algorithm');

# ---- the Open Bandit sample ----

SKIP: {
    my $data = data_dir();

    skip('no data: set RECO_DATA', 15)
        unless $data && -e "$data/open-bandit-men/men_random.csv.xz";

    $spec = "$FindBin::Bin/../../conf/models/open-bandit.json";
    reco_json('import', 'open-bandit', '--out', "$dir/random", '--json',
              "$data/open-bandit-men/men_random.csv.xz");
    # an hour after the last one, of another model, so that all are closed
    my $after = 1_575_158_339_642 + 60 * MIN;
    write_segment("$dir/random", 'open-bandit', 1, 0, $after,
                  decision(1, $after, actions => 2, model => 'other'));
    $facts = train("$dir/random", '--spec', $spec);
    is($facts->{states}, 3, 'bandit: three positions');
    is($facts->{trials}, 10000, 'bandit: decisions');
    is($facts->{successes}, 46, 'bandit: clicks');
    near($facts->{prior}{alpha}, 3.8509387940147, 'bandit: alpha', 1e-5);
    near($facts->{prior}{beta}, 834.0393923317527, 'bandit: beta', 1e-3);

    my %best = (1 => [11, 0.1008213014481807], 2 => [33, 0.13547894071721808],
                3 => [30, 0.09935763091448796]);
    for my $position (1 .. 3) {
        my @p = row($position);
        my ($item, $want) = @{ $best{$position} };

        is(scalar @p, 34, "bandit: items at position $position");
        near(sum(@p), 1, '... sum to 1', 1e-12);
        near($p[$item], $want, "... the best one as SciPy", 1e-8);
    }

    my $e = reco_json('eval', '--log', "$dir/random", '--policy', 'snapshot',
                      '--snapshot', "$dir/out.mdb", '--json');
    ok((grep { /trained on data up to/ } @{ $e->{warnings} }),
       'bandit: its own data are no proof');
}

done_testing();
