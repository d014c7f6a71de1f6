#!/usr/bin/perl

# The join of decisions with facts, as `reco eval` reports it: logs of a few
# records whose outcome was counted by hand, in any order, and read twice.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Copy qw(copy);
use Reco::Log;
use Reco::Tool;
use Test::More;

use constant { SEC => 1000, MIN => 60_000, HOUR => 3_600_000 };

my $dir = folder();
my $t0 = 1_700_000_000_000;         # 2023-11-14T22:13:20Z

spew("$dir/spec.json", <<'END');
{"model": "shop", "version": "1",
 "features": [{"name": "x", "type": "number", "from": ["request"]}],
 "actions": [{"id": "A"}, {"id": "B"}, {"id": "C"}, {"id": "D"}],
 "policy": {"type": "uniform", "slate": 2},
 "reward": {"click": 1, "revenue_per_unit": 0.1,
            "dwell": {"over": "60s", "value": 0.5, "window": "10m"},
            "horizon": "30m", "default": -0.1}}
END

sub evaluate {
    my (@args) = @_;

    return reco_json('eval', '--policy', 'uniform', '--json', @args);
}

sub with_spec {
    return evaluate('--spec', "$dir/spec.json",
                    map { ('--log', $_) } @_);
}

# ---- every reason, once or twice ----

my @two = (slate => ['A', 'B'], p => [1 / 4, 1 / 3]);

my $d1 = "$dir/log";
my $first = write_segment($d1, 'edge-1', 1, 0, $t0,
    decision(1, $t0, @two),                                 # clicked: 1
    decision(2, $t0 + 1 * SEC, @two),                       # nothing: -0.1
    decision(3, $t0 + 2 * SEC, @two, fallback => \1),       # censored
    decision(5, $t0 + 5 * SEC, @two),                       # 1 + 0.1 x 10 = 2
    decision(6, $t0 + 6 * SEC, @two),                       # dwell: 0.5
    decision(7, $t0 + 7 * SEC, @two),                       # nothing: -0.1
    decision(8, $t0 + 8 * SEC, @two, customer => 'c8'),     # clicked: 1
    decision(9, $t0 + 68 * SEC, @two, customer => 'c8'),    # clicked: 1
    decision(10, $t0 + 70 * SEC, @two),                     # dwell 60: 0
    decision(4, $t0 + 110 * MIN, @two),                     # open at the end
    decision(11, $t0 + 2 * HOUR, @two),                     # open: the end
);
my $second = write_segment($d1, 'edge-1', 2, 0, $t0,
    reward(1, $t0 + 1 * MIN, { click => 1 }, action => 'A', key => 'k1'),
    reward(7, $t0 + 6 * SEC, { click => 1 }),               # early
    reward(7, $t0 + 8 * SEC, { click => 1 }, action => 'C'),    # not shown
    reward(7, $t0 + 9 * SEC, { share => 1 }),               # unused
    reward(7, $t0 + 7 * SEC + 30 * MIN + 1, { click => 1 }),    # late by 1 ms
    reward(3, $t0 + 10 * SEC, { click => 1 }),  # of the censored one: counted
    reward(99, $t0 + 10 * SEC, { click => 1, revenue => 1 }),   # orphans: 2
    reward(undef, $t0 + 11 * SEC, { click => 1 }, customer => 'nobody'),
    reward(undef, $t0 + 7 * SEC, { click => 1 }, customer => 'c8'), # before
    reward(5, $t0 + 5 * MIN, { revenue => 10 }, action => 'B', key => 'k1'),
    reward(5, $t0 + 6 * MIN, { click => 1 }, key => 'k2'),
    reward(5, $t0 + 7 * MIN, { click => 1 }, key => 'k2'),  # duplicate
    reward(6, $t0 + 6 * SEC + 10 * MIN, { dwell => 61 }),      # just in time
    reward(6, $t0 + 6 * SEC + 10 * MIN + 1, { dwell => 30 }),   # late
    reward(10, $t0 + 2 * MIN, { dwell => 60 }),             # not over 60
    reward(undef, $t0 + 8 * SEC, { click => 1 }, customer => 'c8',
           key => 'k3'),            # decision 8's, in the same millisecond
    reward(undef, $t0 + 69 * SEC, { click => 1 }, customer => 'c8',
           key => 'k3'),        # the same one again, after decision 9
    reward(undef, $t0 + 70 * SEC, { click => 1 }, customer => 'c8',
           key => 'k4'),                                    # decision 9's
    reward(4, $t0 + 111 * MIN, { click => 1 }),     # counted, but still open
);
# A node whose log goes on: the end stays that of the other one.
my $third = write_segment($d1, 'edge-2', 3, 0, $t0,
    decision(20, $t0 + 3 * HOUR, @two),
    reward(1, $t0 + 2 * HOUR + 1, { click => 1 }),
    reward(2, $t0 + 3 * HOUR, { click => 1 }, model => 'other'),
);

my $r = with_spec($d1);
is_deeply($r->{log}, {
    as_of => '2023-11-15T00:13:20.000Z',
    decisions => 11, rewarded => 6, expired => 2,
    censored => { fallback => 1, gap => 0, open => 2 },
    facts => { counted => 9, duplicate => 2, orphan => 4, early => 1,
               late => 2, out_of_range => 1, unused => 1 },
    records => 33, repeated => 0, after => 2, corrupt => 0, gaps => 0,
    lost => 0,
}, 'each decision has one outcome, each fact one fate') or diag explain $r;

# 1 - 0.1 + 2 + 0.5 - 0.1 + 1 + 1 + 0 over 8 decisions
is($r->{n}, 8, 'the settled ones are used');
cmp_ok(abs($r->{logged} - 5.3 / 8), '<', 1e-12, 'mean reward, by hand');
is($r->{rewarded}, 7, 'rewards other than 0');

# ---- order and repetition ----

my %same = %{ $r->{log} };
for my $order ([$first, $second, $third], [$third, $second, $first],
               [$second, $first, $third])
{
    is_deeply(with_spec(@$order), $r, 'the same in another order');
}

my $again = with_spec($second, $first, $second, $third, $first);
is($again->{log}{repeated}, 30, 'records read twice are known');
$again->{log}{repeated} = 0;
is($again->{log}{records}, 63, '... and counted');
$again->{log}{records} = 33;
is_deeply($again, $r, 'a segment read twice changes nothing');

# ---- as of ----

# At t0 + 31 min the 30 minutes of decisions 1 to 8 are over (8 s later than
# t0 at most), those of 9 and 10 (68 and 70 s later) are not.
my $early = evaluate('--spec', "$dir/spec.json", '--log', $d1,
                     '--as-of', '2023-11-14T22:44:20Z');
is($early->{log}{decisions}, 9, 'as of: decisions up to then');
is($early->{log}{censored}{open}, 2, 'as of: those still open');
is($early->{n}, 6, 'as of: those settled');

is(evaluate('--spec', "$dir/spec.json", '--log', $d1, '--as-of',
            '2023-11-14T22:43:20Z')->{n}, 1,
   'as of the very end of the first one\'s 30 minutes: it is settled');

my ($status, $out, $err) = reco('eval', '--policy', 'uniform', '--json',
    '--spec', "$dir/spec.json", '--log', $d1, '--as-of', '2024-01-01');
is($status, 0, 'as of a time after the end');
like($err, qr/complete up to 2023-11-15T00:13:20\.000Z only/, '... warns');
is_deeply(JSON::PP::decode_json($out), $r, '... and is the end');

# ---- a gap ----

# Records 3 and 4 of this writer are lost. Decision 1 had been closed for a
# second when record 2 was written, decision 2 had not, decision 3 came later.
my $d2 = "$dir/gap";
write_segment($d2, 'edge-1', 1, 0, $t0,
    decision(1, $t0, seq => 1),
    decision(2, $t0 + 30 * MIN + 1 * SEC, seq => 2),
    decision(3, $t0 + 31 * MIN, seq => 5),
    decision(4, $t0 + 2 * HOUR, seq => 6),
);
# Another writer of the same node without a gap.
write_segment($d2, 'edge-1', 2, 0, $t0,
    decision(5, $t0 + 30 * MIN),
    decision(6, $t0 + 30 * MIN),
);
my $gap = with_spec($d2);
is($gap->{log}{gaps}, 1, 'a gap');
is($gap->{log}{lost}, 2, '... of two records');
is_deeply($gap->{log}{censored}, { fallback => 0, gap => 1, open => 1 },
          'censors the decision that it may have changed');
is($gap->{n}, 4, '... and no other');
ok((grep { /2 records are missing/ } @{ $gap->{warnings} }),
   '... and is told');

# A line that is no record is a gap too.
my $d3 = "$dir/corrupt";
my $path = write_segment($d3, 'edge-1', 1, 0, $t0,
    decision(1, $t0), decision(2, $t0 + 1), decision(3, $t0 + 2 * HOUR));
my $text = slurp($path);
$text =~ s/"seq":2/"seq":/;
spew($path, $text);
($status, $out, $err) = reco('eval', '--policy', 'uniform', '--json',
                             '--spec', "$dir/spec.json", '--log', $d3);
is($status, 1, 'nothing is left to use');
like($err, qr/reco-edge-1-00000001-000000\.ndjson:3: /, 'the line is named');
like($err, qr/no decision of 'shop' can be used/, '... and the reason given');

# ---- sessions ----

# A reward without a decision's id joins the customer's last decision; where it
# names a session, the last one of that session, at or before its time.
my $d5 = "$dir/session";
my @c = (customer => 'c1');
write_segment($d5, 'edge-1', 1, 0, $t0,
    decision(1, $t0, @c, session => 's1'),                  # clicked: 1
    decision(2, $t0 + 1 * SEC, @c, session => 's1'),        # 0.1 x 20: 2
    decision(3, $t0 + 2 * SEC, @c, session => 's2'),        # clicked: 1
    decision(4, $t0 + 3 * SEC, @c),                         # 0.1 x 30: 3
    decision(5, $t0 + 4 * SEC, customer => 'c2', session => 's1'),  # -0.1
    reward(undef, $t0 + 10 * SEC, { revenue => 20 }, @c, session => 's1'),
    reward(undef, $t0, { click => 1 }, @c, session => 's1'),    # the first one
    reward(undef, $t0 + 11 * SEC, { click => 1 }, @c, session => 's2'),
    reward(undef, $t0 + 12 * SEC, { revenue => 30 }, @c),   # the last of all
    reward(undef, $t0 + 13 * SEC, { click => 1 }, @c, session => 's3'),
    reward(undef, $t0 + 1 * SEC, { click => 1 }, @c, session => 's2'),
    decision(6, $t0 + 31 * MIN, customer => 'c3'),          # open: the end
);
my $session = with_spec($d5);
is_deeply($session->{log}{facts},
          { counted => 4, duplicate => 0, orphan => 2, early => 0, late => 0,
            out_of_range => 0, unused => 0 },
          'a session that is not the customer\'s, or later: orphans');
is($session->{log}{rewarded}, 4, '... the others join that of their session');
cmp_ok(abs($session->{logged} - 6.9 / 5), '<', 1e-12, '... by hand');

# ---- the next session ----

spew("$dir/return.json", <<'END');
{"model": "shop", "version": "1",
 "features": [{"name": "x", "type": "number", "from": ["request"]}],
 "actions": [{"id": "A"}, {"id": "B"}, {"id": "C"}, {"id": "D"}],
 "policy": {"type": "uniform", "slate": 2},
 "learning": {"episode_gap": "10m"},
 "reward": {"click": 1, "horizon": "30m",
            "retention": {"on": "next_session", "window": "2h",
                          "value": 0.25}}}
END

sub returns {
    return evaluate('--spec', "$dir/return.json", map { ('--log', $_) } @_);
}

my $d6 = "$dir/return";
my @sessions = (
    # c1: s1 ends with its second decision, s2 begins an hour later
    decision(1, $t0, @c, session => 's1'),
    decision(2, $t0 + 20 * MIN, @c, session => 's1'),           # 0.25
    decision(3, $t0 + 80 * MIN, @c, session => 's2'),   # clicked: 1
    # c2: without ids, cut where more than 10 minutes lie between
    decision(4, $t0, customer => 'c2'),
    decision(5, $t0 + 10 * MIN, customer => 'c2'),              # 0.25
    decision(6, $t0 + 20 * MIN + 1, customer => 'c2'),
    # c3: two sessions at once; neither is the other's next one
    decision(7, $t0, customer => 'c3', session => 's1'),
    decision(8, $t0 + 1 * MIN, customer => 'c3', session => 's2'),
    decision(9, $t0 + 2 * MIN, customer => 'c3', session => 's1'),
    # c4: just in time, and a millisecond late
    decision(10, $t0, customer => 'c4', session => 's1'),       # 0.25
    decision(11, $t0 + 2 * HOUR, customer => 'c4', session => 's2'),
    decision(12, $t0 + 4 * HOUR + 1, customer => 'c4', session => 's3'),
    # c5: an id follows none, at once and later
    decision(13, $t0, customer => 'c5'),                        # 0.25
    decision(14, $t0 + 5 * MIN, customer => 'c5', session => 's1'), # 0.25
    decision(15, $t0 + 16 * MIN, customer => 'c5', session => 's2'),
    # nobody
    decision(16, $t0), decision(17, $t0 + 1 * HOUR),
    reward(3, $t0 + 81 * MIN, { click => 1 }),
    decision(18, $t0 + 9 * HOUR, customer => 'c9'),     # open: the end
);
write_segment($d6, 'edge-1', 1, 0, $t0, @sessions);
my $return = returns($d6);
is($return->{log}{returns}, 5, 'next sessions');
is($return->{n}, 17, '... of the settled decisions');
is($return->{log}{rewarded}, 6, '... each once');
cmp_ok(abs($return->{logged} - 2.25 / 17), '<', 1e-12, '... by hand');

my $d7 = "$dir/return-too";
write_segment($d7, 'edge-1', 1, 0, $t0,
              map { { %{ $sessions[$_] }, seq => $_ + 1 } }
                  reverse 0 .. $#sessions);
my $other = returns($d7);
is($other->{log}{returns}, 5, 'the same in another order');
cmp_ok(abs($other->{logged} - 2.25 / 17), '<', 1e-12, '... by hand');

# ---- without a spec ----

my $d4 = "$dir/plain";
write_segment($d4, 'edge-1', 1, 0, $t0,
    decision(1, $t0), decision(2, $t0 + 1), decision(3, $t0 + 2),
    reward(2, $t0 + 90 * MIN, { click => 2 }));
my $plain = evaluate('--log', $d4);
is($plain->{reward}, 'click', 'the only fact there is');
is($plain->{n}, 3, 'nothing is open');
cmp_ok(abs($plain->{logged} - 1 / 3), '<', 1e-15, 'one in three');

is(evaluate('--log', $d4, '--reward', 'click', '--horizon', '30m')
   ->{log}{facts}{late}, 1, 'with a horizon the fact is late');
is(evaluate('--log', $d4, '--reward', 'buy')->{log}{facts}{unused}, 1,
   'another fact is the reward');

write_segment($d4, 'edge-1', 2, 0, $t0,
    reward(1, $t0 + 90 * MIN, { buy => 2 }));
($status, $out, $err) = reco('eval', '--policy', 'uniform', '--log', $d4);
is($status, 1, 'two kinds of facts and no choice');
like($err, qr/several kinds of facts, '(?:click|buy)' and '(?:click|buy)'/,
     '... names them');

write_segment($d4, 'edge-1', 3, 0, $t0,
    decision(7, $t0 + 1, model => 'bar'));
($status, $out, $err) = reco('eval', '--policy', 'uniform', '--log', $d4,
                             '--reward', 'buy');
is($status, 1, 'two models and no choice');
like($err, qr/several models, '(shop|bar)' and '(shop|bar)'/,
     '... names them');
is(evaluate('--log', $d4, '--reward', 'buy', '--model', 'bar')->{n}, 1,
   'the model that is named');

# ---- wrong use ----

($status, $out, $err) = reco('eval', '--policy', 'uniform', '--log',
                             "$dir/none", '--reward', 'click');
is($status, 1, 'a log that is not there');
like($err, qr/^reco: .*none/, '... is named');

mkdir "$dir/empty" or die $!;
($status, $out, $err) = reco('eval', '--policy', 'uniform', '--log',
                             "$dir/empty");
is($status, 1, 'a folder without segments');
like($err, qr/the log holds no decision$/, '... holds no decision');
write_segment("$dir/two", 'edge-1', 1, 0, $t0, decision(1, $t0),
              { %{ decision(2, $t0 + 1) }, model => 'cart' });
for my $reward ([], ['--reward', 'click']) {
    ($status, $out, $err) = reco('eval', '--policy', 'uniform', '--log',
                                 "$dir/two", '--model', 'nope', @$reward);
    is($status, 1, "a model that is not in the log @$reward");
    like($err, qr/no decision of the model 'nope' \(there are: ('shop', 'cart'|'cart', 'shop')\)$/,
         '... those that are get named');
}
($status, $out, $err) = reco('eval', '--policy', 'uniform', '--log',
                             "$dir/two", '--reward', 'click');
is($status, 1, 'several models');
like($err, qr/choose one with --model NAME$/, '... says how to choose');

is((reco('eval', '--log', $d1))[0], 2, 'no policy: wrong use');
is((reco('eval', '--policy', 'uniform'))[0], 2, 'no log: wrong use');
is((reco('eval', '--policy', 'best', '--log', $d1))[0], 2, 'no such policy');

done_testing();
