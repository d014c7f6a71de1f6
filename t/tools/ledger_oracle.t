#!/usr/bin/perl

# The ledger's outcome, counted a second time: small random logs of three
# writers on two nodes, with holes, notes, clocks that are set, rewards of every
# kind, damaged lines and segments read twice, are joined by `reco eval` and by
# the slow functions here, which follow docs/ESTIMATORS.md and docs/FORMAT.md
# and share nothing with the tool. RECO_SLOW=1: 2,000 logs instead of 60;
# RECO_SEED begins elsewhere.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP ();
use List::Util qw(first max min shuffle sum0);
use Reco::Log;
use Reco::Tool;
use Test::More;

use constant { SEC => 1000, MIN => 60_000, HOUR => 3_600_000,
               DAY => 86_400_000 };

my $logs = ($ENV{RECO_SLOW} // '') eq '1' ? 2000 : 60;
my $seed = $ENV{RECO_SEED} // 1;
my $dir = folder();
my $t0 = 1_700_000_000_000;

spew("$dir/spec.json", <<'END');
{"model": "shop", "version": "1",
 "features": [{"name": "x", "type": "number", "from": ["request"]}],
 "actions": [{"id": "A"}, {"id": "B"}, {"id": "C"}, {"id": "D"}],
 "policy": {"type": "uniform", "slate": 2},
 "reward": {"click": 1, "revenue_per_unit": 0.1,
            "dwell": {"over": "60s", "value": 0.5, "window": "10m"},
            "horizon": "30m", "default": -0.1}}
END

my %window = (click => 30 * MIN, revenue => 30 * MIN, dwell => 10 * MIN);
use constant CLOSING => 30 * MIN;

# ---- a random log ---------------------------------------------------------- #

sub any { $_[rand @_] }
sub between { $_[0] + int rand($_[1] - $_[0] + 1) }

# How a node's wall clock stands to its monotonic one, from minute to minute:
# [from, offset], rising. It ends near to where it began, mostly.
sub random_clock {
    my ($skew) = @_;
    my $offset = $t0 + $skew;
    my @clock = ([0, $offset]);

    for my $at (sort { $a <=> $b } map { between(1, 3 * HOUR) } 1 .. rand 4) {
        $offset += any(DAY, -DAY, HOUR, -7 * SEC, 1001, 1000, -900, 400);
        push @clock, [$at, $offset];
    }
    push @clock, [between(170 * MIN, 3 * HOUR), $t0 + $skew]
        if @clock > 1 && rand() < 0.8;

    return [sort { $a->[0] <=> $b->[0] } @clock];
}

sub offset_at {
    my ($clock, $at) = @_;

    return (grep { $_->[0] <= $at } @$clock)[-1][1];
}

# Decisions and rewards by the time at which they really were, from 0.
sub random_records {
    my $named = rand() < 0.2;           # every reward names its decision
    my @records;

    for my $n (1 .. 40) {
        my $at = between(0, 3 * HOUR);
        my $customer = rand() < 0.8 ? 'c' . between(1, 6) : undef;
        my $session = rand() < 0.5 ? 's' . between(1, 2) : undef;
        my @who = ((customer => $customer) x !!$customer,
                   (session => $session) x !!$session);
        push @records, { at => $at, %{ decision($n, 0, slate => ['A', 'B'],
            p => [1 / 4, 1 / 3], @who,
            (fallback => JSON::PP::true) x (rand() < 0.05),
            (model => 'other') x (rand() < 0.05)) } };

        for (1 .. rand 4) {
            my $age = any(between(0, 5 * SEC), between(0, 20 * MIN),
                          between(0, 40 * MIN), -between(0, 2 * MIN));
            my %facts = (any(qw(click click revenue dwell share)),
                         any(1, 1, 0, 2.5, 61, -3, 1e12, 1.1e12, -2e13));
            $facts{click} = 1 if rand() < 0.2;
            my %more = ((action => any(qw(A B B C))) x (rand() < 0.4),
                        (key => 'k' . between(1, 9)) x (rand() < 0.6));
            my $by_id = !$customer || $named || rand() < 0.6;
            %more = (%more, customer => $customer) if $customer;
            %more = (%more, session => $session)
                if $customer && $session && rand() < 0.5;
            my $reward = reward($by_id ? rand() < 0.93 ? $n : 9000 + $n : undef,
                                0, \%facts, %more);
            my $late = any(0, 0, 0, between(0, 10 * MIN));
            push @records, { at => max(0, $at + $age), %$reward };
            push @records, { at => max(0, $at + $age + $late), %$reward }
                if rand() < 0.2;
        }
    }
    # ends that are known, so that most of it is closed
    push @records, { at => 210 * MIN + $_, end => $_,
                     %{ decision(500 + $_, 0) } } for 1 .. 3;

    return @records;
}

# Takes some runs of a writer's records away, and says of some why. Each record
# has its number before. Notes have numbers of their own.
sub lose {
    my ($chance, @own) = @_;
    my (@kept, @lost);
    my ($seq, $left, $noted) = (0, 0, 0);

    for my $record (@own) {
        if (@lost && !$left) {
            my @explained = @lost;
            pop @explained if rand() < 0.2;
            if ($noted && @explained) {
                my %count = (decision => 0, reward => 0);
                $count{ $_->{type} }++ for @explained;
                push @kept, { at => $record->{at}, seq => ++$seq,
                    %{ lost(0, $explained[0]{seq}, $explained[-1]{seq},
                       @count{qw(decision reward)},
                       rand() < 0.5 ? (elapsed => 1 + $record->{at}
                                                  - $explained[0]{at}) : ()) }
                };
            }
            @lost = ();
        }
        if (!$left && rand() < $chance && !$record->{end}) {
            ($left, $noted) = (between(1, 4), rand() < 0.7);
        }
        $record->{seq} = ++$seq;
        if ($left && !$record->{end}) {
            push @lost, $record;
            $left--;
        } else {
            $left = 0;
            push @kept, $record;
        }
    }

    return @kept;
}

# Its segments' paths.
sub random_log {
    my ($d) = @_;
    my @clocks = (random_clock(0), random_clock(between(-50, 50) * SEC));
    my @writers = (['edge-1', 1, $clocks[0]], ['edge-1', 2, $clocks[0]],
                   ['edge-2', 3, $clocks[1]]);
    my $without = rand() < 0.2;         # edge-2's headers have no clock
    my $chance = any(0, 0.01, 0.04);
    my (@own, @paths);

    for my $record (random_records()) {
        my $w = $record->{end} ? $record->{end} - 1 : int rand 3;
        push @{ $own[$w] }, $record;
    }

    for my $w (0 .. 2) {
        my ($node, $incarnation, $clock) = @{ $writers[$w] };
        my ($number, $opened, $offset, @segment) = (0);
        my $close = sub {
            my @header = ($opened + $offset, $offset, "boot-of-$node");
            push @paths, write_segment($d, $node, $incarnation, $number++,
                $w == 2 && $without ? $header[0] : \@header, @segment);
            @segment = ();
        };
        for my $record (lose($chance,
                             sort { $a->{at} <=> $b->{at} } @{ $own[$w] }))
        {
            my $now = offset_at($clock, $record->{at});
            if (@segment && (abs($now - $offset) > 1000 || rand() < 0.04)) {
                $close->();
            }
            # a clock that is read at two moments
            ($opened, $offset) = ($record->{at}, $now + between(-2, 2))
                if !@segment;
            my %line = (%$record, time => $record->{at} + $now);
            delete @line{qw(at end)};
            %line = (type => 'forgotten', map { $_ => $line{$_} }
                     qw(seq time), $line{type} eq 'decision' ? 'id' : ())
                if $line{type} ne 'lost' && !$record->{end} && rand() < 0.02;
            push @segment, \%line;
        }
        $close->();
    }

    # a damaged line in one of five
    if (rand() < 0.2) {
        my $path = any(@paths);
        my @lines = split /(?<=\n)/, slurp($path);
        my $line = between(1, $#lines);
        $lines[$line] =~ s/"seq"/"sep"/;
        spew($path, join '', @lines);
    }

    return @paths;
}

# ---- the ledger, slowly ----------------------------------------------------- #

my $decode = JSON::PP->new->utf8;

# Of each boot and offset: the setting of the clock that it is of, which has the
# offset of its segment that was opened last.
sub settings {
    my (%of, %settings);

    push @{ $of{ $_->{boot} } }, { opened => $_->{time} - $_->{clock},
                                   clock => $_->{clock} }
        for grep { $_->{boot} } @_;

    while (my ($boot, $readings) = each %of) {
        my ($before, $setting);

        for my $r (sort { $a->{clock} <=> $b->{clock} } @$readings) {
            $setting = { %$r }
                if !$setting || $r->{clock} - $before->{clock} > 1000;
            %$setting = %$r if $r->{opened} >= $setting->{opened};
            $settings{$boot}{ $r->{clock} } = $setting;
            $before = $r;
        }
    }

    return \%settings;
}

# All records of these files, with the times that are believed; those that were
# read before are left out. Counts.
sub read_log {
    my (@paths) = @_;
    my %counts = map { $_ => 0 } qw(records repeated corrupt erased);
    my (@records, @headers, %last, %seen);

    for my $path (@paths) {
        my ($first, @lines) = split /\n/, slurp($path);
        my $header = $decode->decode($first);
        my $source = "$header->{node}/$header->{incarnation}";
        my $boot = defined $header->{clock} && defined $header->{boot}
            ? "$header->{node}/$header->{boot}" : undef;

        if ($boot) {
            my $opened = $header->{time} - $header->{clock};
            my $last = $last{$boot};
            $last{$boot} = [$opened, $header->{clock}]
                if !$last || $opened > $last->[0]
                   || $opened == $last->[0] && $header->{clock} > $last->[1];
        }
        push @headers, { %$header, boot => $boot };
        for (@lines) {
            my $r = $decode->decode($_);
            if (!defined $r->{seq}) {
                $counts{corrupt}++;
                next;
            }
            $counts{records}++;
            $counts{erased}++ if $r->{type} eq 'forgotten';
            if ($seen{$source}{ $r->{seq} }++) {
                $counts{repeated}++ if $r->{type} ne 'forgotten';
                next;
            }
            push @records, { %$r, source => $source, boot => $boot,
                node => $header->{node}, clock => $header->{clock} };
        }
    }
    my $settings = settings(@headers);
    for my $r (@records, @headers) {
        my $boot = $r->{boot} // next;
        my $own = $settings->{$boot}{ $r->{clock} };
        my $last = $settings->{$boot}{ $last{$boot}[1] };
        $r->{time} += $last->{clock} - $own->{clock} if $own != $last;
    }

    return (\@records, \@headers, \%counts);
}

# Spans of time: of holes that nothing explains, of notes with decisions.
sub find_holes {
    my ($records, $counts) = @_;
    my (@gaps, @unlogged, %of);

    @$counts{qw(gaps lost unlogged refused)} = (0) x 4;
    push @{ $of{ $_->{source} } }, $_ for @$records;

    for my $source (keys %of) {
        my @own = sort { $a->{seq} <=> $b->{seq} } @{ $of{$source} };
        my %noted;

        for my $note (grep { $_->{type} eq 'lost' } @own) {
            $counts->{unlogged} += $note->{decisions};
            $counts->{refused} += $note->{rewards};
            $noted{$_} = 1 for $note->{from} .. $note->{to};
            next if !$note->{decisions};

            my $before = (grep { $_->{seq} < $note->{from} } @own)[-1];
            push @unlogged, [
                defined $note->{elapsed} ? $note->{time} - $note->{elapsed}
                    : $before ? $before->{time} : 0, $note->{time} ];
        }
        for my $i (1 .. $#own) {
            my @missing = grep { !$noted{$_} }
                $own[$i - 1]{seq} + 1 .. $own[$i]{seq} - 1;
            next if !@missing;

            my @times = ($own[$i - 1]{time}, $own[$i]{time});
            push @gaps, [min(@times), max(@times) + 60 * SEC];
            $counts->{gaps}++;
            $counts->{lost} += @missing;
        }
    }

    return (\@gaps, \@unlogged);
}

sub is_in {
    my ($spans, $d) = @_;

    return grep { $d->{time} <= $_->[1] && $d->{time} + CLOSING >= $_->[0] }
        @$spans;
}

sub data_end {
    my %end;

    for (@_) {
        $end{ $_->{node} } = max($end{ $_->{node} } // 0, $_->{time});
    }

    return min(values %end);
}

# The decision that a reward is about, or none.
sub decision_of {
    my ($r, @decisions) = @_;

    return first { $_->{id} eq $r->{decision} } @decisions
        if defined $r->{decision};

    return (sort { $a->{time} <=> $b->{time} || $a->{id} cmp $b->{id} }
            grep { ($_->{customer} // '') eq ($r->{customer} // '-')
                   && $_->{time} <= $r->{time}
                   && (!defined $r->{session}
                       || ($_->{session} // '') eq $r->{session}) }
            @decisions)[-1];
}

sub fate {
    my ($r, $d, $kind, $seen) = @_;

    return 'orphan' if !$d;
    return 'early' if $r->{time} < $d->{time} - 60 * SEC;
    return 'out_of_range'
        if defined $r->{action}
           && !grep { $_ eq $r->{action} } @{ $d->{slate} };
    return 'unused' if !defined $window{$kind};
    return 'late' if $r->{time} - $d->{time} > $window{$kind};
    return 'out_of_range' if abs($r->{facts}{$kind}) > 1e12;

    my $key = join "\n", $kind, defined $r->{key} ? "key $r->{key}"
                                                  : "time $r->{time}";
    my @same = ("id $d->{id}\n$key");
    push @same, "customer $r->{customer}\n$key" if !defined $r->{decision};
    return 'duplicate' if grep { $seen->{$_} } @same;
    $seen->{$_} = 1 for @same;

    return 'counted';
}

sub value {
    my ($d) = @_;
    my @facts = @{ $d->{facts} // [] };
    my $sum = sub { my $k = shift; sum0 map { $_->[1] }
                    grep { $_->[0] eq $k } @facts };

    return -0.1 if !@facts;
    return ($sum->('click') > 0 ? 1 : 0) + 0.1 * $sum->('revenue')
           + ($sum->('dwell') > 60 ? 0.5 : 0);
}

sub settle {
    my (@paths) = @_;
    my ($records, $headers, $log) = read_log(@paths);
    my ($gaps, $unlogged) = find_holes($records, $log);
    my $as_of = data_end(@$records, @$headers);
    my (@all, @decisions, %seen);
    my @rewards = sort { $a->{time} <=> $b->{time}
                         || $a->{source} cmp $b->{source}
                         || $a->{seq} <=> $b->{seq} }
        grep { $_->{type} eq 'reward' && $_->{model} eq 'shop' } @$records;

    @all = grep { $_->{type} eq 'decision' && $_->{model} eq 'shop' }
        @$records;
    @decisions = grep { $_->{time} <= $as_of } @all;
    $log->{after} = @all - @decisions;
    $log->{facts} = { map { $_ => 0 } qw(counted duplicate orphan early late
                                         out_of_range unused) };
    for my $r (@rewards) {
        my $d = decision_of($r, defined $r->{decision} ? @all : @decisions);
        if ($r->{time} > $as_of || $d && $d->{time} > $as_of) {
            $log->{after}++;
            next;
        }
        for my $kind (sort keys %{ $r->{facts} }) {
            my $fate = fate($r, $d, $kind, \%seen);
            $log->{facts}{$fate}++;
            push @{ $d->{facts} }, [$kind, $r->{facts}{$kind}]
                if $fate eq 'counted';
        }
    }

    my $by_customer = grep { !defined $_->{decision} && $_->{time} <= $as_of }
        @rewards;
    my %outcome = map { $_ => 0 } qw(fallback gap open rewarded expired);
    my @used;
    for my $d (@decisions) {
        my $outcome = $d->{fallback} ? 'fallback'
            : is_in($gaps, $d) ? 'gap'
            : $by_customer && defined $d->{customer} && is_in($unlogged, $d)
                ? 'gap'
            : $d->{time} + CLOSING > $as_of ? 'open'
            : $d->{facts} ? 'rewarded' : 'expired';
        $outcome{$outcome}++;
        push @used, value($d) if $outcome =~ /rewarded|expired/;
    }
    $log->{$_} = delete $outcome{$_} for qw(rewarded expired);
    $log->{censored} = \%outcome;
    $log->{decisions} = @decisions;
    delete $log->{$_}
        for grep { !$log->{$_} } qw(erased unlogged refused);

    return ($log, scalar @used, @used ? sum0(@used) / @used : 0);
}

# ---- both ------------------------------------------------------------------- #

sub same {
    my ($name, @paths) = @_;
    my ($log, $n, $mean) = settle(@paths);
    my ($status, $out, $err) = reco('eval', '--policy', 'uniform', '--json',
        '--spec', "$dir/spec.json", map { ('--log', $_) } @paths);

    if ($n == 0) {
        is $status, 1, "$name: nothing is left to use";
        return { };
    }
    my $got = $decode->decode($out || '{}');
    delete $got->{log}{as_of};
    is_deeply($got->{log}, $log, "$name: counts")
        and is($got->{n}, $n, "$name: decisions used")
        and cmp_ok(abs($got->{logged} - $mean), '<=', 1e-9 * max(1, abs $mean),
                   "$name: their mean reward")
        or do { diag "$err\n", map { "$_\n" } @paths; return };

    return $log;
}

my %total;
for my $round ($seed .. $seed + $logs - 1) {
    srand($round);
    my @paths = random_log("$dir/log-$round");
    my @given = shuffle(@paths, rand() < 0.3 ? any(@paths) : ());
    my $log = same("seed $round", @given) // last;
    for my $part ($log, grep { ref } values %$log) {
        $total{$_} += $part->{$_} for grep { !ref $part->{$_} } keys %$part;
    }
}

ok -d "$dir/log-" . ($seed + $logs - 1), "$logs logs";
# Nothing of it was left out.
cmp_ok $total{$_} // 0, '>', 0, "some $_"
    for qw(rewarded expired fallback gap open counted duplicate orphan early
           late out_of_range unused gaps lost unlogged refused erased corrupt
           repeated after);
note join ', ', map { "$_ $total{$_}" } sort keys %total;

done_testing;
