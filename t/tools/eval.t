#!/usr/bin/perl

# reco eval: IPS, SNIPS, effective sample size and warnings, against numbers
# by hand, and for the Open Bandit sample against those that numpy gives for
# the formulas of docs/ESTIMATORS.md.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Reco::Log;
use Reco::Tool;
use Test::More;

my $dir = folder();
my $t0 = 1_700_000_000_000;

sub near {
    my ($got, $want, $name, $relative) = @_;

    cmp_ok(abs($got - $want), '<=', ($relative // 1e-9) * abs($want), $name)
        or diag("got $got, want $want");
}

sub evaluate {
    my ($log, @args) = @_;

    return reco_json('eval', '--log', $log, '--json', @args);
}

# ---- slates, by hand ----

# Uniform over 3 actions without replacement: 1/3, then 1/2. Weights up to
# each slot, with the reward r and where it belongs:
#   1: 2/3, 4/3   r = 1 at slot 1        2: 4/3, 4/3   r = 1 at slot 2
#   3: 2/3, 2/3   r = 1 of the slate     4: 4/3, 8/3   r = 0
# IPS (2/3 + 4/3 + 2/3 + 0) / 4; SNIPS of slot 1 (2/3) / 4, of slot 2
# (4/3 + 2/3) / 6; effective sample size 6^2 / ((16 + 16 + 4 + 64) / 9).
write_segment("$dir/slates", 'edge-1', 1, 0, $t0,
    decision(1, $t0, actions => 3, slate => ['A', 'B'], p => [1 / 2, 1 / 4]),
    decision(2, $t0, actions => 3, slate => ['B', 'C'], p => [1 / 4, 1 / 2]),
    decision(3, $t0, actions => 3, slate => ['A', 'C'], p => [1 / 2, 1 / 2]),
    decision(4, $t0, actions => 3, slate => ['B', 'A'], p => [1 / 4, 1 / 4]),
    reward(1, $t0, { click => 1 }, action => 'A'),
    reward(2, $t0, { click => 1 }, action => 'C'),
    reward(3, $t0, { click => 1 }),
    reward(4, $t0, { click => 0 }, action => 'B'),
);
my $r = evaluate("$dir/slates", '--policy', 'uniform');
is($r->{n}, 4, 'slates: n');
near($r->{ips}, 2 / 3, 'slates: IPS');
near($r->{snips}, 1 / 6 + 1 / 3, 'slates: SNIPS, slot by slot');
near($r->{ess}, 3.24, 'slates: effective sample size');
near($r->{min_propensity}, 1 / 4, 'slates: least propensity');
near($r->{logged}, 3 / 4, 'slates: mean reward as logged');
# variance of 2/3, 4/3, 2/3, 0 about their mean 2/3: (4/9 + 4/9) / 3
near($r->{ips_se}, sqrt(8 / 27 / 4), 'slates: standard error of IPS');
near($r->{ips_95}[1], 2 / 3 + 1.959963984540054 * sqrt(8 / 27 / 4),
     'slates: 95 % interval');

# ---- the same by another reward of the same facts ----

# A term that sums over slots belongs to the last of them: 2 clicks, at slot 1
# and at slot 2, are one reward at slot 2: 1/3 / (1/2) times 1/2 / (1/4).
write_segment("$dir/both", 'edge-1', 1, 0, $t0,
    decision(1, $t0, actions => 3, slate => ['A', 'B'], p => [1 / 2, 1 / 4]),
    reward(1, $t0, { click => 1 }, action => 'A', key => 'a'),
    reward(1, $t0, { click => 1 }, action => 'B', key => 'b'),
);
near(evaluate("$dir/both", '--policy', 'uniform')->{ips}, 4 / 3,
     'a reward of two slots has the weight of the last');

# ---- a model's policy ----

# Weights 2 1 1 by place: 1/2, 1/4, 1/4, against 1/2 logged.
#   A w 1 r 1,  B w 1/2 r 0,  C w 1/2 r 1
spec('weights', '{"type": "weights", "slate": 1, "weights": [2, 1, 1]}');
write_segment("$dir/weights", 'edge-1', 1, 0, $t0,
    map({ decision($_, $t0, actions => 3, p => [1 / 2],
                   slate => [('A', 'B', 'C')[$_]]) } 0 .. 2),
    map({ reward($_, $t0, { click => 1 }) } 0, 2),
    decision(9, $t0 + 3_600_000, actions => 3, p => [1 / 2]),
);
$r = evaluate("$dir/weights", '--policy', 'snapshot', '--spec',
              "$dir/weights.json");
is($r->{n}, 3, 'model: n, one is open');
near($r->{ips}, 1.5 / 3, 'model: IPS');
near($r->{snips}, 1.5 / 2, 'model: SNIPS');
near($r->{ess}, 4 / 1.5, 'model: effective sample size');
ok(!(grep { /no support/ } @{ $r->{warnings} }), 'model: all is supported');

# What the model denies has probability 0 under it.
spec('deny', '{"type": "uniform", "slate": 1}',
     '[{"deny": ["C"]}]');
$r = evaluate("$dir/weights", '--policy', 'snapshot', '--spec',
              "$dir/deny.json");
near($r->{ips}, 1 / 3, 'model: its rules count');

# ---- eligible sets ----

write_segment("$dir/masks", 'edge-1', 1, 0, $t0,
    decision(1, $t0, actions => 3, eligible => '3', slate => ['A', 'B'],
             p => [1 / 4, 1]),
    reward(1, $t0, { click => 1 }, action => 'B'),
);
near(evaluate("$dir/masks", '--policy', 'uniform')->{ips}, 2,
     'uniform over the eligible ones: (1/2) / (1/4) times 1 / 1');

# ---- warnings ----

sub warned {
    my ($log, $pattern, $name, @args) = @_;
    my $r = evaluate($log, @args ? @args : ('--policy', 'uniform'));

    ok((grep { /$pattern/ } @{ $r->{warnings} }), $name)
        or diag explain $r->{warnings};
}

warned("$dir/slates", qr/^only 4 decisions$/, 'few decisions');
warned("$dir/slates", qr/^only 3 decisions have a reward/, 'few rewards');

write_segment("$dir/rare", 'edge-1', 1, 0, $t0,
    map({ decision($_, $t0, actions => 2, slate => ['A'], p => [1]) }
        1 .. 30),
    decision(31, $t0, actions => 2, slate => ['B'], p => [1 / 4096]),
    reward(1, $t0, { click => 1 }),
);
# weights: 30 times 1/2, once 2048: (15 + 2048)^2 / (7.5 + 2048^2) = 1.0147
$r = evaluate("$dir/rare", '--policy', 'uniform');
near($r->{ess}, 2063 ** 2 / (7.5 + 2048 ** 2), 'a single decision rules');
warned("$dir/rare", qr/poor overlap: .* is 1 of 31 decisions \(3\.3 %\)/,
       'poor overlap');
warned("$dir/rare", qr/propensity is as low as 0\.000244: .* up to 2048/,
       'low propensity');

write_segment("$dir/never", 'edge-1', 1, 0, $t0,
    map({ decision($_, $t0, actions => 3, slate => [$_ % 2 ? 'A' : 'B'],
                   p => [1 / 2]) } 1 .. 30),
    reward(1, $t0, { click => 1 }),
    decision(99, $t0 + 3_600_000, actions => 3, p => [1 / 2]),
);
warned("$dir/never", qr/no support: 33 % of the policy's choices/,
       'no support, uniform');
warned("$dir/never", qr/no support: 25 % of the policy's choices/,
       'no support, by the model',
       '--policy', 'snapshot', '--spec', "$dir/weights.json");
warned("$dir/never", qr/mean weight is 0\.667, not near 1/, 'mean weight');

my ($status, $out, $err) = reco('eval', '--log', "$dir/rare", '--policy',
                                'uniform');
is($status, 0, 'as a table');
like($out, qr/uniform, SNIPS +\d/, '... with SNIPS');
like($err, qr/^reco: warning: poor overlap/m, '... and warnings on stderr');

# ---- decisions that do not fit the model ----

spec('words', '{"type": "uniform", "slate": 1}', '[]',
     '[{"name": "x", "type": "number", "from": ["request"]}]');
write_segment("$dir/words", 'edge-1', 1, 0, $t0,
    decision(1, $t0, actions => 3, p => [1 / 2],
             features => { x => ['red', 'request'] }),
    decision(2, $t0, actions => 3, p => [1 / 2],
             features => { x => ['12', 'request'] }),
    decision(3, $t0, actions => 2, p => [1 / 2]),
    decision(4, $t0, actions => 3, slate => ['X'], p => [1 / 2]),
    reward(2, $t0, { click => 1 }),
);
$r = evaluate("$dir/words", '--policy', 'snapshot', '--reward', 'click',
              '--spec', "$dir/words.json");
is($r->{n}, 1, 'a word where a number is wanted, another catalogue');
ok((grep { /^3 decisions are left out/ } @{ $r->{warnings} }), '... is told');

# ---- the Open Bandit sample ----

SKIP: {
    my $data = data_dir();

    skip('no data: set RECO_DATA', 14)
        unless $data && -e "$data/open-bandit-men/men_bts.csv.xz";

    reco_json('import', 'open-bandit', '--out', "$dir/bts", '--json',
              "$data/open-bandit-men/men_bts.csv.xz");
    $r = evaluate("$dir/bts", '--policy', 'uniform');

    is($r->{n}, 10000, 'bandit: n');
    is(sprintf('%.10f', $r->{ips}), '0.0030086263', 'bandit: IPS');
    is(sprintf('%.10f', $r->{snips}), '0.0031894232', 'bandit: SNIPS');
    is(sprintf('%.2f', $r->{ess}), '655.71', 'bandit: effective sample size');
    is(sprintf('%.6f', $r->{min_propensity}), '0.000165',
       'bandit: least propensity');
    is($r->{rewarded}, 69, 'bandit: clicks');

    # numpy over the CSV: sd of w r by sqrt(n); sqrt(sum (w (r - snips))^2) by
    # sum w
    near($r->{ips_se}, 0.0007739354628865025, 'bandit: error of IPS', 1e-6);
    near($r->{snips_se}, 0.0008278231141916943, 'bandit: error of SNIPS',
         1e-6);
    near($r->{mean_weight}, 0.9433136257492332, 'bandit: mean weight', 1e-6);

    is(scalar @{ $r->{warnings} }, 3, 'bandit: three warnings');
    like($r->{warnings}[0], qr/overlap: .* 656 of 10000 .*6\.6 %/,
         '... overlap');
    like($r->{warnings}[1], qr/propensity is as low as 0\.000165/,
         '... propensity');
    like($r->{warnings}[2], qr/only 69 decisions have a reward/,
         '... rewards');

    reco_json('import', 'open-bandit', '--out', "$dir/random", '--json',
              "$data/open-bandit-men/men_random.csv.xz");
    near(evaluate("$dir/random", '--policy', 'uniform')->{snips}, 0.0046,
         'bandit: the random log under its own policy', 1e-6);
}

sub spec {
    my ($name, $policy, $rules, $features) = @_;

    $rules //= '[]';
    $features //= '[{"name": "x", "type": "number", "from": ["request"]}]';
    spew("$dir/$name.json", <<"END");
{"model": "shop", "version": "1", "features": $features,
 "actions": [{"id": "A"}, {"id": "B"}, {"id": "C"}],
 "rules": $rules, "policy": $policy,
 "reward": {"click": 1, "horizon": "30m"}}
END
}

done_testing();
