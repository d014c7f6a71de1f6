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
    decision(7, $t0 + 7 * SEC, @two),           # a click before it: 1
    decision(12, $t0 + 2 * MIN, @two),                      # nothing: -0.1
    decision(8, $t0 + 8 * SEC, @two, customer => 'c8'),     # clicked: 1
    decision(9, $t0 + 68 * SEC, @two, customer => 'c8'),    # clicked: 1
    decision(10, $t0 + 70 * SEC, @two),                     # dwell 60: 0
    decision(4, $t0 + 110 * MIN, @two),                     # open at the end
    decision(11, $t0 + 2 * HOUR, @two),                     # open: the end
);
my $second = write_segment($d1, 'edge-1', 2, 0, $t0,
    reward(1, $t0 + 1 * MIN, { click => 1 }, action => 'A', key => 'k1'),
    reward(12, $t0 + 1 * MIN - 1, { click => 1 }),          # early by 1 ms
    reward(7, $t0 + 7 * SEC - 1 * MIN, { click => 1 }),     # clocks differ
    reward(7, $t0 + 6 * SEC, { revenue => 1e12 + 1e3 }),    # out of range
    reward(12, $t0 + 3 * MIN, { revenue => -1e300 }),       # out of range
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
    decisions => 12, rewarded => 7, expired => 2,
    censored => { fallback => 1, gap => 0, open => 2 },
    facts => { counted => 10, duplicate => 2, orphan => 4, early => 1,
               late => 2, out_of_range => 3, unused => 1 },
    records => 37, repeated => 0, after => 2, corrupt => 0, gaps => 0,
    lost => 0,
}, 'each decision has one outcome, each fact one fate') or diag explain $r;

# 1 - 0.1 + 2 + 0.5 + 1 - 0.1 + 1 + 1 + 0 over 9 decisions
is($r->{n}, 9, 'the settled ones are used');
cmp_ok(abs($r->{logged} - 6.3 / 9), '<', 1e-12, 'mean reward, by hand');
is($r->{rewarded}, 8, 'rewards other than 0');

# ---- order and repetition ----

my %same = %{ $r->{log} };
for my $order ([$first, $second, $third], [$third, $second, $first],
               [$second, $first, $third])
{
    is_deeply(with_spec(@$order), $r, 'the same in another order');
}

my $again = with_spec($second, $first, $second, $third, $first);
is($again->{log}{repeated}, 34, 'records read twice are known');
$again->{log}{repeated} = 0;
is($again->{log}{records}, 71, '... and counted');
$again->{log}{records} = 37;
is_deeply($again, $r, 'a segment read twice changes nothing');

# ---- as of ----

# At t0 + 31 min the 30 minutes of decisions 1 to 8 are over (8 s later than
# t0 at most), those of 9, 10 and 12 (68, 70 and 120 s later) are not.
my $early = evaluate('--spec', "$dir/spec.json", '--log', $d1,
                     '--as-of', '2023-11-14T22:44:20Z');
is($early->{log}{decisions}, 10, 'as of: decisions up to then');
is($early->{log}{censored}{open}, 3, 'as of: those still open');
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

# Numbers 3 and 4 of a writer are missing, between records at 40 and 41 minutes.
# What is lost may be a fact of any writer's decision: of those from 10 minutes
# (30 before the one, closed a millisecond earlier otherwise) to 42 (a minute,
# by which clocks may differ, after the other).
my $d2 = "$dir/gap";
my @around = (
    decision(1, $t0 + 40 * MIN, seq => 2),
    decision(2, $t0 + 41 * MIN, seq => 5),
);
write_segment($d2, 'edge-1', 1, 0, $t0, decision(9, $t0, seq => 1), @around,
    decision(3, $t0 + 2 * HOUR, seq => 6));
write_segment($d2, 'edge-2', 2, 0, $t0,
    decision(5, $t0 + 10 * MIN - 1),
    decision(6, $t0 + 10 * MIN),
    decision(7, $t0 + 42 * MIN),
    decision(8, $t0 + 42 * MIN + 1),
    decision(4, $t0 + 2 * HOUR),
);
my $gap = with_spec($d2);
is($gap->{log}{gaps}, 1, 'a gap');
is($gap->{log}{lost}, 2, '... of two records');
is_deeply($gap->{log}{censored}, { fallback => 0, gap => 4, open => 2 },
          'censors the decisions of any writer that it may have changed');
is($gap->{n}, 3, '... and no other');
ok((grep { /2 records are missing/ } @{ $gap->{warnings} }),
   '... and is told');

# What comes before a writer's first record is not missed.
write_segment("$dir/head", 'edge-1', 1, 7, $t0,
    decision(1, $t0, seq => 100), decision(2, $t0 + 1 * HOUR, seq => 101));
is(with_spec("$dir/head")->{log}{gaps}, 0, 'no gap before the first record');

# ---- a hole that its writer explains ----

# The same with a note: the records were refused, or answered as unlogged.
sub noted {
    my ($name, $note, @more) = @_;
    my $d = "$dir/noted-$name";

    write_segment($d, 'edge-1', 1, 0, $t0, decision(9, $t0, seq => 1),
        $around[0], { %$note, seq => 5 }, { %{ $around[1] }, seq => 6 },
        decision(3, $t0 + 2 * HOUR, seq => 7));
    write_segment($d, 'edge-2', 2, 0, $t0,
        decision(4, $t0 + 15 * MIN, customer => 'c1'),
        decision(5, $t0 + 20 * MIN),
        decision(6, $t0 + 41 * MIN, customer => 'c1'),
        decision(7, $t0 + 41 * MIN + 1, customer => 'c1'),
        @more,
        decision(8, $t0 + 2 * HOUR),
    );

    return ($d, with_spec($d)->{log});
}

my $note = lost($t0 + 41 * MIN, 3, 4, 1, 1);
my ($d8, $log) = noted('by-id', $note,
    reward(4, $t0 + 45 * MIN, { click => 1 }, customer => 'c1'));
is_deeply([@$log{qw(gaps lost unlogged refused)}], [0, 0, 1, 1],
          'a note: no gap, and what it was');
is($log->{censored}{gap}, 0, '... censors nothing where rewards name theirs');
is($log->{rewarded}, 1, '... which counts');

# Decision 4's customer may have had one of the unlogged decisions, before the
# reward that names the customer only. It and 6, of the customer too, are
# censored, with reward or without; 5 has no customer, 7 came after it.
my @by_customer = (customer => 'c1', key => 'k');
(undef, $log) = noted('by-customer', $note,
    reward(undef, $t0 + 44 * MIN, { click => 1 }, @by_customer));
is_deeply($log->{censored}, { fallback => 0, gap => 2, open => 2 },
          'where rewards name only customers, their decisions are censored');

# Half a minute was lost, says the note: from 40:30. Decision 4 was closed at
# 45:00, 10 at 40:29, 11 at 40:30.
(undef, $log) = noted('elapsed', { %$note, elapsed => 30 * SEC },
    decision(10, $t0 + 10 * MIN + 29 * SEC, customer => 'c2'),
    decision(11, $t0 + 10 * MIN + 30 * SEC, customer => 'c2'),
    reward(undef, $t0 + 44 * MIN, { click => 1 }, @by_customer));
is($log->{censored}{gap}, 3, '... from when the first of them was lost');

# Where it does not say, from its writer's last record before, at 40:00. 10 was
# closed a millisecond earlier.
for my $unknown ({}, { elapsed => 0 }) {
    (undef, $log) = noted('unknown-' . keys %$unknown, { %$note, %$unknown },
        decision(10, $t0 + 10 * MIN - 1, customer => 'c2'),
        decision(11, $t0 + 10 * MIN, customer => 'c2'),
        reward(undef, $t0 + 44 * MIN, { click => 1 }, @by_customer));
    is($log->{censored}{gap}, 3, '... which may not be known'
       . join '', map { ", or $_ $unknown->{$_}" } keys %$unknown);
}
(undef, $log) = noted('rewards', lost($t0 + 41 * MIN, 3, 4, 0, 2),
    reward(undef, $t0 + 44 * MIN, { click => 1 }, @by_customer));
is($log->{censored}{gap}, 0, '... but not where it was rewards only');
is($log->{refused}, 2, '... which were refused');

# 3 is explained, 4 is not.
(undef, $log) = noted('half', lost($t0 + 41 * MIN, 3, 3, 1, 0));
is_deeply([@$log{qw(gaps lost unlogged)}], [1, 1, 1],
          'a note that explains a part');

# In whatever order, twice, and with what was forgotten.
my @noted = map { "$d8/$_" } files($d8);
is_deeply(with_spec(@$_)->{log}, with_spec($d8)->{log},
          'a note read in another order') for [@noted], [reverse @noted];
$again = with_spec(@noted, @noted)->{log};
is_deeply([@$again{qw(repeated unlogged refused gaps)}], [11, 1, 1, 0],
          '... and twice');
my $text = slurp($noted[0]);
$text =~ s/^\{(?=[^\n]*"seq":2,)[^\n]*/{"type":"forgotten","seq":2,"time":${\ ($t0 + 40 * MIN) }}/m
    or die;
spew($noted[0], $text);
$again = with_spec($d8)->{log};
is_deeply([@$again{qw(erased unlogged gaps)}], [1, 1, 0],
          '... and with a record of somebody forgotten beside it');

# A line that is no record is a gap too.
my $d3 = "$dir/corrupt";
my $path = write_segment($d3, 'edge-1', 1, 0, $t0,
    decision(1, $t0), decision(2, $t0 + 1), decision(3, $t0 + 2 * HOUR));
$text = slurp($path);
$text =~ s/"seq":2/"seq":/;
spew($path, $text);
($status, $out, $err) = reco('eval', '--policy', 'uniform', '--json',
                             '--spec', "$dir/spec.json", '--log', $d3);
is($status, 1, 'nothing is left to use');
like($err, qr/reco-edge-1-00000001-000000\.ndjson:3: /, 'the line is named');
# The hole begins with the first decision and ends with the last.
like($err, qr/no decision of 'shop' can be used: of 2, 2 are censored \(2 gap\) and 0 do not fit the model; 1 record\(s\) are missing in the log, in 1 hole\(s\)$/m,
     '... and the reason given');

my $d10 = "$dir/noted-only";
write_segment($d10, 'edge-1', 1, 0, $t0, decision(1, $t0, customer => 'c1'),
    { %{ lost($t0 + 1 * MIN, 2, 4, 2, 1) }, seq => 5 },
    reward(undef, $t0 + 2 * MIN, { click => 1 }, @by_customer, seq => 6),
    decision(2, $t0 + 2 * HOUR, seq => 7));
($status, $out, $err) = reco('eval', '--policy', 'uniform', '--json',
                             '--spec', "$dir/spec.json", '--log', $d10);
like($err, qr/ \(1 gap, 1 open\) and 0 do not fit the model; 2 decision\(s\) were answered without a record$/m,
     '... decisions that were answered without a record, too');

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

# ---- clocks that are set ----

# A day of clicks: each decision is clicked two minutes after it, by the
# monotonic clock, and the next one comes eight minutes later. The wall clock is
# set on the way, and each time another segment begins. What comes of it is what
# comes of the same day without: all rewarded, but those of the last half hour.
sub day {
    my ($name, $last, @steps) = @_;         # [minute, to], rising
    my ($d, $offset) = ("$dir/day-$name", $t0);
    my ($opened, $number, $seq, @records) = (0, 0, 0);
    my @files;

    my $close = sub {
        push @files, write_segment($d, 'edge-1', 1, $number++,
            [$opened + $offset, $offset, 'boot-1'], @records) if @records;
        @records = ();
    };
    for my $minute (0 .. 24 * 60) {
        if (@steps && $minute >= $steps[0][0]) {
            $close->();
            ($opened, $offset) = ($minute * MIN, $t0 + (shift @steps)->[1]);
        }
        my ($n, $at) = (int($minute / 10), $minute * MIN + $offset);
        push @records, decision($n, $at, seq => ++$seq, customer => 'c' . $n % 7)
            if $minute % 10 == 0;
        push @records, reward($n % 2 ? $n : undef, $at, { click => 1 },
                              seq => ++$seq, customer => 'c' . $n % 7)
            if $minute % 10 == 2;
    }
    $close->();

    my $got = with_spec($d);
    # 145 decisions, of which those of the last half hour are open: at 1420,
    # 1430 and 1440 minutes; the one at 1410 closed then
    is($got->{log}{as_of}, $last, "$name: by the clock as it was last");
    is_deeply([@{ $got->{log} }{qw(decisions rewarded expired)},
               @{ $got->{log}{facts} }{qw(counted early late orphan)}],
              [145, 142, 0, 144, 0, 0, 0], '... and no fact is lost');
    is_deeply(with_spec(reverse @files), $got, '... in another order');

    return ($d, $got);
}

my $last = '2023-11-15T22:13:20.000Z';
my $day = 24 * HOUR;
my (undef, $as_is) = day('even', $last);
my ($d9, $got);
for my $test (['forward', '2023-11-16T22:13:20.000Z', [721, $day]],
              ['back', '2023-11-14T22:13:20.000Z', [721, -$day]],
              ['there and back', $last, [361, $day], [723, 0]],
              ['back and there', $last, [361, -$day], [723, 0]],
              ['often', '2023-11-15T23:13:20.000Z', [11, 5 * HOUR],
               [12, -$day], [613, -7 * SEC], [614, $day], [1421, HOUR]])
{
    ($d9, $got) = day(@$test);
    is($got->{log}{rewarded}, $as_is->{log}{rewarded}, '... as without it');
}

# Another writer of the boot that has not written since: the clock of the last
# segment of the boot is right for it too.
write_segment($d9, 'edge-1', 2, 0, [$t0 + 7 * MIN, $t0, 'boot-1'],
    decision(1001, $t0 + 8 * MIN), reward(7, $t0 + 72 * MIN, { click => 1 },
                                          key => 'again'));
$got = with_spec($d9)->{log};
is($got->{facts}{counted}, 145, 'one boot, one clock, whoever wrote');
is($got->{expired}, 1, '... and its decisions are in their places');

# Another boot, another node, no clock: as written. The decision is moved on by
# the day that the clock of its boot was set by, the reward is not: early.
for my $where (['edge-1', 3, [$t0, $t0, 'boot-2']],
               ['edge-2', 4, [$t0, $t0, 'boot-1']], ['edge-1', 5, $t0],
               ['edge-1', 6, [$t0, $t0, 'boot-1']])
{
    my ($node, $writer, $opened) = @$where;
    my $d = "$dir/day-other-$writer";
    write_segment($d, 'edge-1', 1, 0, [$t0, $t0, 'boot-1'], decision(1, $t0));
    write_segment($d, 'edge-1', 1, 1,
        [$t0 + 3 * HOUR + $day, $t0 + $day, 'boot-1'],
        decision(2, $t0 + 3 * HOUR + $day, seq => 2));
    write_segment($d, $node, $writer, 0, $opened,
        reward(1, $t0 + 10 * MIN, { click => 1 }),
        decision(3, $t0 + 2 * $day));
    is(with_spec($d)->{log}{facts}{early}, $writer < 6 ? 1 : 0,
       "$node, writer $writer: " . ($writer < 6 ? 'as written' : 'moved'));
}

# A step of a second is left alone, by which a reward comes too late; one of a
# millisecond more is not.
for my $step (1000, 1001) {
    my $d = "$dir/step-$step";
    write_segment($d, 'edge-1', 1, 0, [$t0, $t0, 'b'], decision(1, $t0));
    write_segment($d, 'edge-1', 1, 1, [$t0 + 5 * MIN + $step, $t0 + $step,
        'b'], reward(1, $t0 + 10 * MIN + $step, { dwell => 61 }, seq => 2),
        decision(2, $t0 + 90 * MIN, seq => 3));
    is(with_spec($d)->{log}{facts}{late}, $step == 1000 ? 1 : 0,
       "a step of $step ms");
}

# Headers of one setting of the clock differ by milliseconds, when they were
# read; what is moved keeps its order all the same, across writers.
for my $by (-1000, -1, 1, 1000) {
    my $d = "$dir/together-$by";
    my $at = $t0 + $day + 5 * MIN;
    write_segment($d, 'edge-1', 1, 0, [$t0 + $day, $t0 + $day, 'b'],
        decision(1, $at, customer => 'c'));
    write_segment($d, 'edge-1', 2, 0, [$t0 + $day, $t0 + $day + $by, 'b'],
        reward(undef, $at, { click => 1 }, customer => 'c'));
    write_segment($d, 'edge-1', 1, 1, [$t0 + 10 * MIN, $t0, 'b'],
        decision(2, $t0 + 90 * MIN, seq => 2));
    is(with_spec($d)->{log}{rewarded}, 1, "headers that differ by $by ms");
}

# What joins two settings is known only when it was read, in whatever order: of
# 0 and 1,500 ms beside one of 750. One reward is of the same millisecond as its
# decision, one (by a token) of the wanted ten minutes.
{
    my $d = "$dir/joined";
    my $at = $t0 + $day + 5 * MIN;
    my @files = (
        write_segment($d, 'edge-1', 1, 0, [$t0 + $day, $t0 + $day, 'b'],
            decision(1, $at, customer => 'c')),
        write_segment($d, 'edge-1', 2, 0, [$t0 + $day, $t0 + $day + 1500, 'b'],
            reward(undef, $at, { click => 1 }, customer => 'c')),
        write_segment($d, 'edge-1', 3, 0, [$t0 + $day, $t0 + $day + 750, 'b'],
            reward(1, $at + 10 * MIN, { dwell => 61 })),
        write_segment($d, 'edge-1', 1, 1, [$t0 + 10 * MIN, $t0, 'b'],
            decision(2, $t0 + 90 * MIN, seq => 2)));
    for my $order ([0 .. 3], [3, 2, 1, 0], [2, 0, 1, 3], [0, 3, 1, 2]) {
        is(with_spec(@files[@$order])->{log}{facts}{counted}, 2,
           "joined, read as @$order");
    }
}

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

# ---- numbers that cannot be ----

# One damaged time would be the end of the data: nothing would be open, or (the
# largest number) nothing be before it.
for my $time ('18446744073709551615', '1000000000000001') {
    my $file = write_segment("$dir/time$time", 'n', 1, 0, $t0,
        decision(1, $t0), decision(2, $t0 + HOUR), decision(3, $t0 + 1));
    my $text = slurp($file);
    $text =~ s/"time":@{[$t0 + 1]}/"time":$time/ or die;
    spew($file, $text);
    my $log = evaluate('--log', "$dir/time$time", '--reward', 'click',
                       '--horizon', '30m')->{log};
    is_deeply([@$log{qw(as_of decisions expired corrupt)}, $log->{censored}{open}],
        ['2023-11-14T23:13:20.000Z', 2, 1, 1, 1],
        "a record of the time $time is a damaged line");
}

# Notes of numbers near 2^64 that tell of each other's, too.
my $all = '18446744073709551';
write_segment("$dir/sum", 'n', 1, 0, $t0, decision(1, $t0),
              decision(2, $t0 + HOUR));
open my $sum, '>>', "$dir/sum/reco-n-00000001-000000.ndjson" or die $!;
print $sum map { qq({"type":"lost","seq":${all}60$_,"time":$t0,"from":3,)
    . qq("to":${all}599,"decisions":${all}595,"rewards":0,"elapsed":1}\n) }
    0 .. 3;
close $sum or die $!;
is(evaluate('--log', "$dir/sum", '--reward', 'click', '--horizon', '30m')
   ->{log}{unlogged}, 9223372036854775807, 'counts do not become negative');

# ---- very many of something ----

# Within so many seconds of CPU it ends, or the kernel ends it: some 100 times
# what it takes, and a tenth of what it would take by the square.
sub bounded {
    my ($log, @args) = @_;
    my $tool = $ENV{RECO_TOOL} // 'build/reco';
    my $out = "$dir/bounded.json";
    my $rc = system 'sh', '-c', 'ulimit -t 20; out=$1; shift; exec "$@" > "$out"',
        'sh', $out, $tool, 'eval', '--policy', 'uniform', '--json', '--reward',
        'click', '--log', $log, @args;
    return $rc == 0 ? JSON::PP::decode_json(slurp($out))->{log} : { rc => $rc };
}

# Each start of a worker is a writer. (A header within a file begins another
# one; 60,000 files would do the same.)
my @lines;
for my $i (1 .. 60_000) {
    my $t = $t0 + $i;
    push @lines, qq({"type":"segment","format":1,"node":"n","incarnation":")
        . sprintf('%08x', $i) . qq(","segment":0,"time":$t})
        . qq(\n{"type":"forgotten","seq":1,"time":$t});
}
write_segment("$dir/writers", 'n', 0, 0, $t0, decision(1, $t0));
spew("$dir/writers/reco-n-00000001-000000.ndjson", join("\n", @lines, ''));
my $many = bounded("$dir/writers");
is($many->{erased}, 60_000, 'as many writers');
is($many->{as_of}, '2023-11-14T22:14:20.000Z', '... end with the last one');

# A disk that is full every other second leaves a note each time; here every
# other one tells of one number of two, and none since when.
@lines = ();
for my $i (1 .. 120_000) {
    my $seq = 4 * $i;
    push @lines, qq({"type":"lost","seq":$seq,"time":@{[$t0 + $i]},)
        . qq("from":@{[4 * $i - 2]},"to":@{[4 * $i - 1 - $i % 2]},)
        . qq("decisions":1,"rewards":0})
        . qq(\n{"type":"forgotten","seq":@{[$seq + 1]},"time":$t0});
}
write_segment("$dir/notes", 'n', 0, 0, $t0, decision(1, $t0));
write_segment("$dir/notes", 'n', 1, 0, $t0, decision(2, $t0 + HOUR));
open my $more, '>>', "$dir/notes/reco-n-00000000-000000.ndjson" or die $!;
print $more join("\n", @lines, '');
close $more or die $!;
$many = bounded("$dir/notes");
is_deeply([@$many{qw(unlogged gaps lost)}], [120_000, 60_000, 60_000],
          'as many notes: those of one number of two leave a gap');

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
