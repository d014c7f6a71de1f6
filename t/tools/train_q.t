#!/usr/bin/perl

# reco train --algorithm fitted-q and q-learning: values solved by hand, and
# what must not change them: the order of the log, repeated records, threads,
# an interruption.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use List::Util qw(sum max);
use POSIX qw(WNOHANG);
use Reco::Log;
use Reco::Tool;
use Test::More;
use Time::HiRes qw(sleep time);

use constant { SECOND => 1000, MIN => 60_000, HOUR => 3_600_000,
               DAY => 86_400_000 };

delete @ENV{qw(RL_LEARNING_RATE RL_DISCOUNT_FACTOR RL_EPSILON)};

my $dir = folder();
my $t0 = 1_700_000_000_000;         # 2023-11-14T22:13:20Z
my $logs = 0;
my $n = 0;                          # decisions so far, of all logs

sub near {
    my ($got, $want, $name, $error) = @_;

    cmp_ok(abs($got - $want), '<=', $error // 1e-9, $name)
        or diag("got $got, want $want");
}

# learning: members of "learning"; more: of the spec; policy: of the policy
sub spec {
    my (%o) = @_;
    my $features = join ', ', map {
        qq({"name": "$_", "type": "category", "from": ["request"]})
    } @{ $o{features} // ['s'] };
    my $state = join ', ', map { qq("$_") } @{ $o{features} // ['s'] };
    my $actions = join ', ', map { qq({"id": "$_"}) }
        @{ $o{actions} // ['A', 'B'] };
    my $policy = $o{policy} ? ", $o{policy}" : '';
    my $more = $o{more} ? ", $o{more}" : '';

    return spew("$dir/spec.json", <<"END");
{"model": "shop", "version": "1", "features": [$features],
 "actions": [$actions],
 "policy": {"type": "q_table", "slate": 1, "state": [$state],
            "epsilon": 0.1 $policy},
 "learning": {$o{learning}},
 "reward": {"points_per_unit": 1, "horizon": "1m"} $more}
END
}

# A decision in a state (fields by name) and its reward.
sub step {
    my ($time, $state, $action, $points, %more) = @_;
    my %features = map { $_ => [$state->{$_}, 'request'] } keys %$state;

    $n++;

    return (decision($n, $time, actions => 2, features => \%features,
                     slate => [$action], p => [1 / 2], %more),
            reward($n, $time + 1, { points => $points }));
}

# A visitor of its own for a list of [state s, action, points], a second
# between them.
sub session {
    my ($name, $time, @steps) = @_;
    my $i = 0;

    return map {
        step($time + SECOND * $i++, { s => $_->[0] }, $_->[1], $_->[2],
             customer => $name, session => 's', %{ $_->[3] // {} })
    } @steps;
}

# With a last record long after all others, so that they are settled.
sub log_of {
    my ($end, @records) = @_;
    my $log = "$dir/log" . $logs++;

    write_segment($log, 'edge-1', 1, 0, $t0, @records,
                  decision(++$n, $end, actions => 2,
                           features => { s => ['end', 'request'] }));

    return $log;
}

sub train {
    my ($log, @args) = @_;

    return reco_json('train', '--log', $log, '--out', "$dir/out.mdb",
                     '--json', @args);
}

# Q by action's index; confidences in a second list.
sub row {
    my ($state, $level) = @_;
    my $r = reco_json('inspect', "$dir/out.mdb", '--json', '--state', $state,
                      $level ? ('--level', $level) : ());

    return ([map { $_->{value} } @{ $r->{values} }],
            [map { $_->{confidence} } @{ $r->{values} }]);
}

sub has_row {
    my ($state, $level) = @_;
    my ($status) = reco('inspect', "$dir/out.mdb", '--state', $state,
                        $level ? ('--level', $level) : ());

    return $status == 0;
}

# ---- a Markov decision process with a known optimum ----
#
#   1: A ends, reward 1          B goes to 2, reward 0
#   2: A goes to 1, reward 0.5   B goes to 3, reward 0
#   3: A ends, reward 3 or 1     B goes to 1, reward 1
#
# Going round 1, 2, 3 gains 1 every third step: V(3) = 1 + g V(1),
# V(1) = g V(2), V(2) = g V(3), so that V(3) = 1 / (1 - g^3), V(2) = g V(3),
# V(1) = g^2 V(3). It is the best: 1 < V(1), 0.5 + g V(1) < V(2), 2 < V(3),
# for g = 0.9 (V(3) = 3.69) and g = 0.95 (V(3) = 7.01) alike. Then
#   Q(1,A) = 1            Q(1,B) = g V(2)
#   Q(2,A) = 0.5 + g V(1) Q(2,B) = g V(3)
#   Q(3,A) = 2            Q(3,B) = 1 + g V(1)
# Q-learning's constant rate keeps Q(3,A) swinging about 2, within half of
# the rate times the range of its rewards.

sub optimum {
    my ($g) = @_;
    my $v3 = 1 / (1 - $g ** 3);

    return (1 => [1, $g ** 2 * $v3], 2 => [0.5 + $g ** 3 * $v3, $g * $v3],
            3 => [2, 1 + $g ** 3 * $v3]);
}

my @sessions = (
    [['1', 'A', 1]],
    [['1', 'B', 0], ['2', 'A', 0.5], ['1', 'A', 1]],
    [['1', 'B', 0], ['2', 'B', 0], ['3', 'A', 3]],
    [['1', 'B', 0], ['2', 'B', 0], ['3', 'A', 1]],
    [['1', 'B', 0], ['2', 'B', 0], ['3', 'B', 1], ['1', 'A', 1]],
);
my $i = 0;
my $mdp = log_of($t0 + 2 * HOUR,
                 map { session('c' . $i++, $t0, @$_) } @sessions);
my $facts;

for my $g (0.9, 0.95) {
    my %q = optimum($g);
    my $spec = spec(learning => qq("shrinkage": 0, "discount_factor": $g));

    for (['fitted-q', 1e-6], ['q-learning', 0.05, '--passes', 3000,
                              '--learning-rate', 0.05])
    {
        my ($algorithm, $error, @args) = @$_;

        $facts = train($mdp, '--spec', $spec, '--algorithm', $algorithm,
                       @args);
        for my $s (sort keys %q) {
            my ($got) = row($s);

            near($got->[$_], $q{$s}[$_],
                 "$algorithm, gamma $g: Q($s," . ('A', 'B')[$_] . ')', $error)
                for 0, 1;
        }
        is($facts->{algorithm}, $algorithm, 'the algorithm');
    }
}

is($facts->{passes}, 3000, 'as many passes as were asked for');
is($facts->{learning_rate}, 0.05, 'the learning rate');
is($facts->{origins}{learning_rate}, 'option', '... of the option');
is($facts->{origins}{discount_factor}, 'spec', 'gamma of the spec');

my $spec = spec(learning => '"shrinkage": 0, "discount_factor": 0.9');
$facts = train($mdp, '--spec', $spec);
is($facts->{algorithm}, 'fitted-q', 'the default of a q_table');
is($facts->{episodes}, 5, 'episodes');
is($facts->{transitions}, 14, 'transitions');
is_deeply($facts->{left_out}, { open => 1 }, 'the last one is open');
is_deeply($facts->{reward_by_episode}, [1, 1.5, 3, 1, 2], 'by episode');
near($facts->{average_reward}, 8.5 / 14, 'average reward');
# squares: 1 + 0.25 + 1 + 9 + 1 + 1 + 1 = 14.25
near($facts->{reward_variance}, 14.25 / 14 - (8.5 / 14) ** 2,
     'its variance');
is($facts->{conversion_rate}, undef, 'no conversions are counted: null');
is_deeply([@{ $facts->{table} }{qw(states entries visits dropped)}],
          [3, 6, 14, 0], 'the table');
is_deeply($facts->{table}{levels}, [3], '... by level');
near($facts->{actions}{A}, 6 / 14, 'share of A');
is($facts->{last_training_ms}, $t0 + 2 * HOUR, 'as of the end of the log');
ok($facts->{converged}, 'converged');
my $c = $facts->{convergence};
is($c->[-1]{pass}, $facts->{passes}, 'the last pass is told');
cmp_ok($c->[-1]{max_change}, '<=', 4e-10, 'and changed nothing');
is($c->[-1]{policy_agreement}, 1, 'nor the policy');
# First pass, from 0: the mean rewards; six values 1 0 0.5 0 2 1.
near($c->[0]{mean_change}, 4.5 / 6, 'mean change of the first pass');
near($c->[0]{max_change}, 2, 'its greatest');

my ($status, $out, $err) = reco('train', '--log', $mdp, '--spec', $spec,
                                '--out', "$dir/out.mdb");
like($out, qr/^learning rate 0\.01 \(spec\), discount factor 0\.9 \(spec\)/m,
     'the summary says where options are from');
like($out, qr/^ +pass +mean change +max change +policy agreement$/m,
     '... and has the course');

# ---- gamma 0: the mean rewards ----

train($mdp, '--spec', $spec, '--discount-factor', 0);
is_deeply((row('3'))[0], [2, 1], 'gamma 0 values the reward alone');

# ---- the maximum runs over what was eligible ----
#
# From 0 one comes to 1, where only A (worth 1) may be shown; elsewhere B was
# shown in 1 and worth 10. Q(0,A) = 0.9 x 1; without the mask it would be 9.

$spec = spec(learning => '"shrinkage": 0, "discount_factor": 0.9');
my $log = log_of($t0 + 2 * HOUR,
    session('c1', $t0, ['0', 'A', 0], ['1', 'A', 1, { eligible => '1' }]),
    session('c2', $t0, ['1', 'B', 10]));
train($log, '--spec', $spec);
near((row('0'))[0][0], 0.9, 'fitted-q: only eligible actions count');
near((row('1'))[0][1], 10, '... though the other one is worth more');
train($log, '--spec', $spec, '--algorithm', 'q-learning',
      '--learning-rate', 0.5, '--passes', 100);
near((row('0'))[0][0], 0.9, 'q-learning: only eligible actions count');

# ---- shrinkage ----
#
# k = 10, gamma 0. State x: A gave 1 and 0, B five times 0.2; y: A three times
# 1. C was never shown. Means: A (2 x 0.5 + 3 x 1) / 5 = 0.8, B 0.2, all
# (1 + 3 + 1) / 10 = 0.5.

my @three = (actions => ['A', 'B', 'C']);
my @data = ((map { ['x', 'A', $_] } 1, 0), (map { ['x', 'B', 0.2] } 1 .. 5),
            (map { ['y', 'A', 1] } 1 .. 3));
$log = log_of($t0 + 2 * HOUR, map {
    step($t0, { s => $_->[0] }, $_->[1], $_->[2], actions => 3) } @data);
train($log, '--spec', spec(@three, learning =>
      '"shrinkage": 10, "discount_factor": 0'));
my ($x) = row('x');
my ($y) = row('y');
near($x->[0], (2 * 0.5 + 10 * 0.8) / 12, 'shrunk to the mean');
near($x->[1], 0.2, 'nothing to shrink');
near($y->[0], (3 * 1 + 10 * 0.8) / 13, 'shrunk less with more visits');
near($y->[1], 0.2, 'never tried there: the mean of the action');
near($_, 0.5, 'never tried at all: the mean over all')
    for $x->[2], $y->[2];

train($log, '--spec', spec(@three, learning =>
      '"shrinkage": 0, "discount_factor": 0'));
($x) = row('x');
($y) = row('y');
near($x->[$_], (0.5, 0.2, 0.5)[$_], 'without shrinkage: mean, or prior')
    for 0 .. 2;
near($y->[$_], (1, 0.2, 0.5)[$_], '... which is the mean of the action')
    for 0 .. 2;
train($log, '--spec', spec(@three, learning =>
      '"shrinkage": 0, "discount_factor": 0'), '--algorithm', 'q-learning');
near((row('y'))[0][1], 0.2, 'q-learning: never tried, the same');

# ---- back-off ----
#
# k = 1, gamma 0. (x,p): A 1; (x,q): A 0; (y,p): A 1 and 1, B 0.4.
# Level 2: A 3/4 (n 4; its mean is its prior), B 0.4.
# Level 1, x: A (0 + 1 + 0.75) / 3; y: A (2 + 0.75) / 3, B 0.4.
# Level 0, (x,p): A (1 + x) / 2; (x,q): A (0 + x) / 2; (y,p): A (2 + y) / 3.

my %pair = (features => ['s', 't'],
            policy => '"backoff": [["s"], []], "min_visits": 2');
my @steps = (['x', 'p', 'A', 1], ['x', 'q', 'A', 0], ['y', 'p', 'A', 1],
             ['y', 'p', 'A', 1], ['y', 'p', 'B', 0.4]);
my @records = map {
    step($t0, { s => $_->[0], t => $_->[1] }, $_->[2], $_->[3]) } @steps;
$spec = spec(%pair, learning => '"shrinkage": 1, "discount_factor": 0');
$log = log_of($t0 + 2 * HOUR, @records);
$facts = train($log, '--spec', $spec);
is_deeply($facts->{table}{levels}, [3, 2, 1], 'rows of each level');
near((row('', 2))[0][0], 0.75, 'level 2, A');
near((row('', 2))[0][1], 0.4, 'level 2, B');
near((row('x', 1))[0][0], 1.75 / 3, 'level 1, x, A');
near((row('x', 1))[0][1], 0.4, 'level 1, x, B: that of level 2');
near((row('y', 1))[0][0], 2.75 / 3, 'level 1, y, A');
near((row('x,p'))[0][0], (1 + 1.75 / 3) / 2, 'level 0, x,p, A');
near((row('x,q'))[0][0], (0 + 1.75 / 3) / 2, 'level 0, x,q, A');
near((row('y,p'))[0][0], (2 + 2.75 / 3) / 3, 'level 0, y,p, A');

# (x,p) was visited once, x twice, (y,p) three times: with min_visits 2 a
# held-out decision in (x,p) is answered at level 1, one in (y,p) at level 0,
# one with an s that nobody had before at level 2. Customers are held out by
# hash: some k1 .. k50 is.
my %asked = (x => 1, y => 0, z => 2);
for my $s (sort keys %asked) {
    my $answered;

    for my $k (1 .. 50) {
        $facts = train(log_of($t0 + 2 * HOUR, @records,
                              step($t0, { s => $s, t => 'p' }, 'A', 1,
                                   customer => "k$k")),
                       '--spec', $spec, '--hold-out', 0.2);
        $answered = $facts->{backoff};
        last if $answered->{held_out};
    }
    is($answered->{held_out}, 1, "a decision in $s held out");
    is_deeply($answered->{levels}, [map { $_ == $asked{$s} ? 1 : 0 } 0 .. 2],
              "... is answered at level $asked{$s}");
    is($answered->{unknown}, 0, '... none is unknown');
    is($facts->{transitions}, 5, '... and not learned from');
    is($facts->{left_out}{held_out}, 1, '... but counted');
}

# ---- half-life ----
#
# 1 point 32 days ago, 0 points today; half-life 16 days: weights 1/4 and 1.

$spec = spec(learning => '"shrinkage": 0, "discount_factor": 0');
$log = log_of($t0 + 32 * DAY + 2 * MIN,
              step($t0, { s => 'x' }, 'A', 1),
              step($t0 + 32 * DAY, { s => 'x' }, 'A', 0));
train($log, '--spec', $spec, '--half-life', '16d');
near((row('x'))[0][0], 0.25 / 1.25, 'old evidence counts less');
train($log, '--spec', $spec);
near((row('x'))[0][0], 0.5, 'without a half-life it does not');
train($log, '--spec', $spec, '--as-of', '2023-11-20T00:00:00Z');
near((row('x'))[0][0], 1, 'as of then, the first only');

# A state whose evidence is all but gone has no row.
$log = log_of($t0 + 400 * DAY, step($t0, { s => 'old' }, 'A', 1),
              step($t0 + 399 * DAY, { s => 'new' }, 'A', 0));
train($log, '--spec', $spec, '--half-life', '16d');
ok(!has_row('old'), 'evidence that aged to nothing gives no row');
ok(has_row('new'), '... the newer does');

# ---- open decisions, live ----
#
# The spec's one term has a window of a minute, the longest there is: 15 s old
# a decision counts for 1/4, at its time for 0.1, after a minute for 1. A: 1
# once settled, 0 at 1/4; B: 1 at 0.1.

$spec = spec(learning => '"shrinkage": 0, "discount_factor": 0');
$log = log_of($t0 + 5 * MIN, step($t0, { s => 'x' }, 'A', 1),
              step($t0 + 5 * MIN - 15 * SECOND, { s => 'x' }, 'A', 0),
              step($t0 + 5 * MIN - 2, { s => 'y' }, 'B', 1));
train($log, '--spec', $spec, '--live');
near((row('x'))[0][0], 1 / 1.25, 'an open decision counts for a part');
near((row('y'))[0][1], 1, 'one that is as new as can be has its row');

# ---- confidence ----
#
# A gave 1, 0; B 1, 1, 0. Squares within: 1/2 + 2/3 over 3 degrees of freedom,
# so that the variance is 7/18. Without shrinkage P(A > B) =
# Phi((1/2 - 2/3) / sqrt(7/18 (1/2 + 1/3))): scipy.stats.norm.cdf.

@data = ((map { ['x', 'A', $_] } 1, 0), (map { ['x', 'B', $_] } 1, 1, 0));
$log = log_of($t0 + 2 * HOUR,
              map { step($t0, { s => $_->[0] }, $_->[1], $_->[2]) } @data);
train($log, '--spec', $spec);
my (undef, $p) = row('x');
near($p->[0], 0.3848489718906449, 'P(A is best)');
near($p->[1], 1 - 0.3848489718906449, 'P(B is best)');

# With C never shown and k = 2: means 1/2, 2/3, 3/5 (each its own prior),
# variances 7/18 over 4, 5 and 2. scipy.integrate.quad of norm.pdf(x, m_i, s_i)
# times norm.cdf(x, m_j, s_j) of the others.
$log = log_of($t0 + 2 * HOUR, map {
    step($t0, { s => $_->[0] }, $_->[1], $_->[2], actions => 3) } @data);
train($log, '--spec', spec(@three, learning =>
      '"shrinkage": 2, "discount_factor": 0'));
(undef, $p) = row('x');
near($p->[0], 0.21222762708363604, 'P(A is best) of three');
near($p->[1], 0.4141420544803728, 'P(B is best)');
near($p->[2], 0.3736303184359913, 'P(C is best), which was never shown');
near(sum(@$p), 1, 'they sum to 1', 1e-12);

# Without shrinkage nothing is known of C: nor who is best.
$facts = train($log, '--spec', spec(@three, learning =>
               '"shrinkage": 0, "discount_factor": 0'));
(undef, $p) = row('x');
is_deeply($p, [undef, undef, undef], 'an action never shown, no prior: null');
is($facts->{confidence}, undef, '... in the summary too');

# Rewards that never differ leave no doubt.
$spec = spec(learning => '"shrinkage": 0, "discount_factor": 0');
$log = log_of($t0 + 2 * HOUR, map { step($t0, { s => 'x' }, $_->[0], $_->[1])
              } (['A', 1], ['A', 1], ['B', 0], ['B', 0]));
train($log, '--spec', $spec);
(undef, $p) = row('x');
is_deeply($p, [1, 0], 'no variance, no doubt');

# ---- what is left out, and why ----

$spec = spec(learning => '"shrinkage": 0, "discount_factor": 0.9');
my @bad = (
    step($t0, {}, 'A', 1),                              # no state
    step($t0, { s => 'x' }, 'A', 1),                    # the good one
    step($t0, { s => 'x' }, 'Z', 1),                    # no such action
    step($t0, { s => 'x' }, 'A', 1, actions => 3),      # other catalogue
    step($t0, { s => 'x' }, 'A', 2e7),                  # beyond the bound
    step($t0, { s => 'x' }, 'A', 1, slate => ['A', 'B'],
         p => [1 / 2, 1 / 2]),
    step($t0, { s => 'x' }, 'A', 1, customer => 'c'),   # leads to no state
    step($t0 + SECOND, {}, 'A', 1, customer => 'c'),
    step($t0, { s => 'x' }, 'A', 1, fallback => JSON::PP::true),
    step($t0 + 2 * HOUR - 10 * MIN, { s => 'x' }, 'A', 1, customer => 'd'));
$facts = train(log_of($t0 + 2 * HOUR, @bad), '--spec', $spec);
is_deeply($facts->{left_out},
          { without_state => 2, unknown_action => 1, other_catalogue => 1,
            reward_out_of_range => 1, several_actions => 1,
            next_without_state => 1, fallback => 1, open => 1,
            unfinished_session => 1 }, 'each is counted by its reason');
is($facts->{transitions}, 1, 'the good one is learned from');
is($facts->{average_reward}, 1, 'what is beyond the bound is in no mean');
is($facts->{reward_variance}, 0, '... and in no variance');

($status, $out, $err) = reco('train', '--log', log_of($t0 + 2 * HOUR,
    step($t0, {}, 'A', 1)), '--spec', $spec, '--out', "$dir/none.mdb");
is($status, 1, 'nothing to learn from');
like($err, qr/no decision to learn from: of 2, 1 open, 1 without_state/,
     '... says why');
ok(!-e "$dir/none.mdb", '... and writes nothing');

# The hole, of three records, begins with the first and ends with the second.
my $holed = "$dir/log" . $logs++;
write_segment($holed, 'edge-1', 1, 0, $t0, map {
    decision(++$n, $t0, actions => 2, features => { s => ['x', 'request'] },
             seq => $_) } 1, 5);
(undef, undef, $err) = reco('train', '--log', $holed, '--spec', $spec, '--out',
                            "$dir/none.mdb");
like($err, qr/of 2, 2 gap; 3 record\(s\) are missing in the log, in 1 hole\(s\)$/m,
     '... with what is missing in the log');

# Rewards that are no number, or too large for one; two that would be infinite
# together: they change nothing, so that their decision has none.
my $odd = log_of($t0 + 2 * HOUR, step($t0, { s => 'x' }, 'A', 1),
    step($t0, { s => 'x' }, 'B', 1.7e308),
    reward($n, $t0 + 2, { points => 1.7e308 }));
($odd) = glob("$odd/*");
open my $to, '>>', $odd or die "$odd: $!";
print {$to} map {
    sprintf qq({"type":"reward","seq":7,"time":%d,"model":"shop",)
        . qq("generation":1,"facts":{"points":%s},"decision":"%032x"}\n),
        $t0 + 3, $_, $n - 2
} qw(NaN -Infinity 1e999);
close $to;
($status, $out, $err) = reco('train', '--log', $odd, '--spec', $spec, '--out',
                             "$dir/out.mdb", '--json');
is($status, 0, 'rewards that are no number');
(my $base = $odd) =~ s{.*/}{};
like($err, qr/^reco: warning: \Q$base\E:$_->[0]: $_->[1]/m, "... line $_->[0]")
    for [8, 'expected a value'], [9, 'expected a digit'],
        [10, 'number too large'];
$facts = JSON::PP->new->decode($out);
is($facts->{log}{corrupt}, 3, '... are counted');
is_deeply([@{ $facts->{log}{facts} }{qw(counted out_of_range)}], [1, 2],
          '... what is beyond any revenue does not count');
is_deeply((row('x'))[0], [1, 0], '... and is not learned from');

# Orders by country: those with most orders; the others are one. No revenue
# that is none.
(my $sales = slurp($spec)) =~ s/"points_per_unit": 1/"conversion": 1/;
$sales =~ s/"horizon"/"revenue_per_unit": 1e-12, "horizon"/;
$sales = spew("$dir/sales.json", $sales);
sub sale {
    my ($country, $revenue) = @_;

    $n++;

    return (decision($n, $t0, actions => 2, slate => ['A'], p => [1 / 2],
                     features => { s => ['x', 'request'],
                                   country => [$country, 'request'] }),
            reward($n, $t0 + 1, { conversion => 1, revenue => $revenue }));
}
$facts = train(log_of($t0 + 2 * HOUR,
    (map { sale(sprintf('C%03d', $_), 1) } 0 .. 304),
    sale('C303', 2), sale('C304', 1e15)), '--spec', $sales);
is(scalar keys %{ $facts->{countries} }, 301, 'countries have a limit');
is_deeply([@{ $facts->{countries} }{qw(C297 C298 C303 C304 other)}],
    [{ orders => 1, revenue => 1 }, undef, { orders => 2, revenue => 3 },
     { orders => 2, revenue => 1 }, { orders => 5, revenue => 5 }],
    '... most orders first, then by name; the others are one');

# Longer than the gap apart, two decisions are two episodes.
$log = log_of($t0 + 4 * HOUR,
    session('c1', $t0, ['1', 'A', 0]),
    session('c1', $t0 + 31 * MIN, ['2', 'A', 1]));
$facts = train($log, '--spec', $spec);
is($facts->{episodes}, 2, 'a gap ends an episode');
near((row('1'))[0][0], 0, '... behind it there is nothing');
$log = log_of($t0 + 4 * HOUR,
    session('c1', $t0, ['1', 'A', 0]),
    session('c1', $t0 + 29 * MIN, ['2', 'A', 1]));
train($log, '--spec', $spec);
near((row('1'))[0][0], 0.9, 'a shorter one does not');
$log = log_of($t0 + 4 * HOUR,
    session('c1', $t0, ['1', 'A', 0]),
    session('c1', $t0 + MIN, ['2', 'A', 1, { session => 'other' }]));
train($log, '--spec', $spec);
near((row('1'))[0][0], 0, 'another session is another episode');

# ---- the table's limit ----

$log = log_of($t0 + 2 * HOUR, step($t0, { s => 'x' }, 'A', 1),
              step($t0 + 1, { s => 'w' }, 'A', 1),
              step($t0 + 2, { s => 'y' }, 'A', 1),
              step($t0 + 3, { s => 'x' }, 'A', 0));
$facts = train($log, '--spec', spec(learning =>
    '"shrinkage": 0, "discount_factor": 0, "max_states": 2'));
is($facts->{table}{dropped}, 1, 'one state too many');
ok(!has_row('w'), 'the least recently visited goes');
ok(has_row('x') && has_row('y'), '... the others stay');

# ---- options and environment ----

$spec = spec(learning => '"shrinkage": 0, "discount_factor": 0.9');

{
    local $ENV{RL_LEARNING_RATE} = '0.5';
    local $ENV{RL_DISCOUNT_FACTOR} = '0.5';
    local $ENV{RL_EPSILON} = '0.25';

    $facts = train($mdp, '--spec', $spec, '--discount-factor', 0.125,
                   '--algorithm', 'q-learning');
    is_deeply([@{$facts}{qw(learning_rate discount_factor epsilon)}],
              [0.5, 0.125, 0.25], 'options before the environment');
    is_deeply($facts->{origins},
              { learning_rate => 'environment', discount_factor => 'option',
                epsilon => 'environment' }, '... and said so');
    like((reco('inspect', "$dir/out.mdb", '--spec'))[1],
         qr/"epsilon": ?0\.25/, 'the policy explores so');

    $ENV{RL_EPSILON} = 'much';
    ($status, undef, $err) = reco('train', '--log', $mdp, '--spec', $spec,
                                  '--out', "$dir/none.mdb");
    is($status, 1, 'an environment that is no number');
    like($err, qr/^reco: RL_EPSILON: 'much' is not a number from 0 to 1/,
         '... is named');
}

train($mdp, '--spec', $spec, '--epsilon', 0.5);
like((reco('inspect', "$dir/out.mdb", '--spec'))[1], qr/"epsilon": ?0\.5/,
     '--epsilon is the policy\'s');
my $annealed = slurp($spec)
    =~ s/"epsilon": 0.1/"epsilon": {"start": 1, "end": 0.1, "visits": 20}/r;
train($mdp, '--spec', spew("$dir/annealed.json", $annealed), '--epsilon',
      0.5);
like((reco('inspect', "$dir/out.mdb", '--spec'))[1], qr/"end": ?0\.5/,
     '... where it falls, what it falls to');

for ([qw(--learning-rate 2)], [qw(--discount-factor 1)], [qw(--epsilon nan)],
     [qw(--hold-out 1)], [qw(--passes x)], [qw(--threads -1)])
{
    ($status, undef, $err) = reco('train', '--log', $mdp, '--spec', $spec,
                                  '--out', "$dir/none.mdb", @$_);
    is($status, 2, "@$_");
    like($err, qr/\Q$_->[0]\E: '\Q$_->[1]\E' is not/, '... is refused');
}

spew("$dir/two.json", slurp($spec) =~ s/"slate": 1/"slate": 2/r);
($status, undef, $err) = reco('train', '--log', $mdp, '--spec',
                              "$dir/two.json", '--out', "$dir/none.mdb");
is($status, 1, 'a slate of two');
like($err, qr/policy\.slate: is 2, and fitted-q learns the value of one/,
     '... is not for values of actions');
($status, undef, $err) = reco('train', '--log', $mdp, '--spec', $spec,
    '--out', "$dir/none.mdb", '--algorithm', 'thompson');
like($err, qr/is 'q_table', and thompson fills a 'p_table'/,
     'the wrong algorithm');

# ---- order, repetition, threads ----

# Visitors of some steps in some states, by a generator of our own.
my $seed = 12345;
sub draw {
    my ($below) = @_;

    $seed = ($seed * 1103515245 + 12345) % 2 ** 31;

    return int($seed / 65536) % $below;
}

my @in_order;
for my $v (1 .. 400) {
    my $time = $t0 + draw(1000) * 10;

    for (0 .. draw(4)) {
        push @in_order, step($time, { s => 's' . draw(9), t => 't' . draw(5) },
                             ('A', 'B')[draw(2)], draw(100) / 100,
                             customer => "v$v", session => 'one',
                             eligible => draw(5) ? 'all' : '3');
        $time += SECOND;
    }
}

my $end = decision(++$n, $t0 + 2 * HOUR, actions => 2);
my @shuffled = map { $_->[1] } sort { $a->[0] <=> $b->[0] }
               map { [draw(32768), $_] } @in_order;
$spec = spec(%pair, learning => '"shrinkage": 3, "discount_factor": 0.9');

sub bytes_of {
    my ($records, @args) = @_;
    my $log = "$dir/log" . $logs++;

    write_segment($log, 'edge-1', 1, 0, $t0, @$records, $end);
    my $facts = train($log, '--spec', $spec, @args);

    return (slurp("$dir/out.mdb"), $facts);
}

for my $algorithm ('fitted-q', 'q-learning') {
    my @args = ('--algorithm', $algorithm);
    my ($bytes, $facts) = bytes_of(\@in_order, @args);
    my ($other) = bytes_of(\@shuffled, @args);
    my $log = "$dir/log" . $logs++;
    my $again;

    ok($bytes eq $other, "$algorithm: records out of order, the same bytes");

    for my $threads (2, 3) {
        ($other) = bytes_of(\@in_order, @args, '--threads', $threads);
        ok($bytes eq $other, "$algorithm: $threads threads, the same bytes");
    }

    write_segment($log, 'edge-1', 1, 0, $t0, @in_order, $end);
    write_segment($log, 'edge-1', 1, 1, $t0,
                  map { { %{ $in_order[$_] }, seq => $_ + 1 } } 0 .. 99);
    $again = train($log, '--spec', $spec, @args);
    is($again->{log}{repeated}, 100, 'records that were logged twice');
    is_deeply($again->{convergence}, $facts->{convergence},
              '... change nothing');
    is_deeply($again->{table}, $facts->{table}, '... nor the table');
    unlike(JSON::PP->new->encode($facts), qr/nan|inf/i,
           "$algorithm: no figure that is none");
}

# ---- what the base has, and the history ----

spew("$dir/cart.json", <<'EOT');
{"model": "shop", "version": "1",
 "features": [{"name": "s", "type": "category", "from": ["request"]},
              {"name": "country", "type": "category",
               "from": ["request", "customer"]}],
 "actions": [{"id": "A"}, {"id": "B"}],
 "policy": {"type": "q_table", "slate": 1, "state": ["s"], "epsilon": 0.1},
 "items": {"slate": 2, "strategies": {"A": [{"list": "popular"}]},
           "fill": [{"list": "popular"}]},
 "history": {"recommendations": "7d", "rewards": "90d", "agent": "30d"},
 "reward": {"conversion": 1, "revenue_per_unit": 0.01, "horizon": "1m"}}
EOT
spew("$dir/items.csv", "id,name,price,category,family,available\n"
     . "m1,Mug,3.5,kitchen,mug,1\nl1,Lamp,9,light,lamp,1\n");
spew("$dir/lists.csv", "list,key,item,score\npopular,,m1,1\npopular,,l1,0.5\n");
spew("$dir/customers.csv", "customer,country\nann,GB\nbob,FR\n");
is((reco('build', "$dir/cart.json", '--customers', "$dir/customers.csv",
         '--items', "$dir/items.csv", '--lists', "$dir/lists.csv", '--out',
         "$dir/base.mdb"))[0], 0, 'a base with items');

# 8 days before the end, outside of the 7 of recommendations but inside the 90
# of rewards; and 1 day before.
sub order {
    my ($time, $country, $revenue, @items) = @_;

    $n++;

    return (decision($n, $time, actions => 2, customer => 'ann',
                     session => "s$n", features => { s => ['x', 'request'],
                         country => [$country, 'request'] }, items => \@items),
            reward($n, $time + SECOND,
                   { conversion => 1, revenue => $revenue }));
}

my $last = $t0 + 8 * DAY;
my @orders = (order($t0, 'GB', 10, 'm1'),
              order($last - DAY, 'FR', 30, 'm1', 'l1'),
              order($last - DAY + MIN, 'GB', 5.5, 'l1'));
$log = log_of($last, @orders,
              step($last - DAY, { s => 'x' }, 'B', 0));
$facts = train($log, '--base', "$dir/base.mdb");
is_deeply($facts->{countries}, { GB => { orders => 2, revenue => 15.5 },
                                 FR => { orders => 1, revenue => 30 } },
          'orders and revenue by country');
near($facts->{conversion_rate}, 3 / 4, 'conversion rate');

my $what = reco_json('inspect', "$dir/out.mdb", '--json');
is_deeply([@{$what}{qw(customers items lists)}], [2, 2, 1],
          'customers, items and lists are carried over');
# Recommendations: two orders, the one without, the open last one; rewards:
# three; this training: one.
is($what->{history_records}, 4 + 3 + 1, 'records of the history');
is((reco('verify', "$dir/out.mdb"))[0], 0, '... which are sound');

# The record of the second order's recommendation, as docs/FORMAT.md has it.
# The log does not say how sure the model was: the confidence is a NaN.
my $recommended = $orders[2];
my $head = 'd' . pack('Q<Q<H32', $last - DAY, 1, $recommended->{id});
my $tail = pack('Q<C', 0, 2) . join '', map { pack('C/a*', $_) }
    'ann', $recommended->{session}, 'A', 'm1', 'l1';
my $found = slurp("$dir/out.mdb") =~ /\Q$head\E(.{8})\Q$tail\E/s;
ok($found, 'what was recommended: strategy, session and items in their order');
my $confidence = $found ? unpack('d<', $1) : 0;
cmp_ok($confidence, '!=', $confidence, '... and no confidence');

# Six days later on top of that one: two trainings, three rewards, and three
# recommendations (the one at the end of that log, both of this one): the
# others are more than 7 days old by then.
rename "$dir/out.mdb", "$dir/base.mdb" or die;
train(log_of($last + 6 * DAY + HOUR, step($last + DAY, { s => 'x' }, 'A', 0)),
      '--base', "$dir/base.mdb");
$what = reco_json('inspect', "$dir/out.mdb", '--json');
is($what->{history_records}, 2 + 3 + 3,
   'the history goes on, as far back as the spec keeps it');

# ---- an interruption ----

$log = "$dir/log" . $logs++;
write_segment($log, 'edge-1', 1, 0, $t0, @in_order, $end);
my @long = ('--log', $log, '--spec', $spec, '--algorithm', 'q-learning',
            '--passes', 20000);
my $checkpoint = "$dir/checkpoint";

is((reco('train', @long, '--out', "$dir/whole.mdb"))[0], 0,
   'without an interruption');

my $child = fork() // die "fork: $!";
if ($child == 0) {
    open(STDOUT, '>', '/dev/null') or die;
    open(STDERR, '>', '/dev/null') or die;
    exec($ENV{RECO_TOOL} // 'build/reco', 'train', @long, '--out',
         "$dir/killed.mdb", '--checkpoint', $checkpoint) or die;
}
my $deadline = time + 60;
sleep 0.005 until -s $checkpoint || time > $deadline
                  || waitpid($child, WNOHANG) == $child;
kill 'KILL', $child;
waitpid($child, 0);
ok(-s $checkpoint, 'a checkpoint of one that was killed');
ok(!-e "$dir/killed.mdb", '... which published nothing');

($status, undef, $err) = reco('train', @long, '--out', "$dir/other.mdb",
    '--checkpoint', $checkpoint, '--discount-factor', 0.5);
is($status, 1, 'with another option');
like($err, qr/is the checkpoint of another log, model or options/,
     '... it is refused');

($status, undef, $err) = reco('train', @long, '--out', "$dir/killed.mdb",
                              '--checkpoint', $checkpoint);
is($status, 0, 'it goes on');
like($err, qr/goes on after pass \d+/, '... and says from where');
ok(slurp("$dir/killed.mdb") eq slurp("$dir/whole.mdb"),
   '... to the same bytes');
ok(!-e $checkpoint, 'the checkpoint is gone');

spew($checkpoint, "reco checkpoint 1\n and no more");
($status, undef, $err) = reco('train', @long, '--out', "$dir/other.mdb",
                              '--checkpoint', $checkpoint);
like($err, qr/is not a whole checkpoint/, 'a torn one is refused');

done_testing();
