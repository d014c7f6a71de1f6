#!/usr/bin/perl

# What a log may do to what is learned from it: nothing, whatever order its
# segments are read in, how often, and from how many nodes. The same bytes of
# a snapshot from every algorithm.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Reco::Log;
use Reco::Tool;
use Test::More;

use constant { SECOND => 1000, MIN => 60_000, HOUR => 3_600_000 };

delete @ENV{qw(RL_LEARNING_RATE RL_DISCOUNT_FACTOR RL_EPSILON)};

my $dir = folder();
my $t0 = 1_700_000_000_000;

# Numbers of a generator of our own.
my $seed = 4711;
sub draw {
    my ($below) = @_;
    $seed = ($seed * 1103515245 + 12345) % 2 ** 31;
    return int($seed / 65536) % $below;
}

sub shuffle_own {
    my (@list) = @_;
    for (my $i = $#list; $i > 0; $i--) {
        my $k = draw($i + 1);
        @list[$i, $k] = @list[$k, $i];
    }
    return @list;
}

# ---- a log of two nodes, three writers, nine segments ----------------------- #

# Rewards come to any writer of any node, some by customer, some twice, early,
# late, orphans, or of an action that was not shown.
my @records = map { [] } 1 .. 3;
my $end = $t0 + 2 * HOUR;

for my $i (1 .. 300) {
    my $time = $t0 + $i * SECOND;
    my $customer = 'c' . $i % 40;
    my $action = ('A', 'B')[draw(2)];
    push @{ $records[draw(3)] }, decision($i, $time, actions => 2,
        features => { s => ['s' . draw(5), 'request'] }, slate => [$action],
        p => [1 / 2], customer => $customer, session => 'one');

    my @more = (key => "k$i", customer => $customer);
    my $facts = { click => draw(3) ? 1 : 0.5 };
    my @reward = (
        [$i, $time + 10 * SECOND, $facts, @more],
        [undef, $time + 20 * SECOND, $facts, @more],
        [$i, $time - 61 * SECOND, $facts, @more],               # early
        [$i, $time + 31 * MIN, $facts, @more],                  # late
        [1e6 + $i, $time + SECOND, $facts, @more],              # orphan
        [$i, $time + SECOND, $facts, @more, action => 'C'],     # not shown
    );
    for my $kind (draw(2) ? 0 : draw(6)) {
        my $copies = draw(4) ? 1 : 2;                           # duplicates
        push @{ $records[draw(3)] }, reward(@{ $reward[$kind] })
            for 1 .. $copies;
    }
}

my @writers = (['edge-1', 1], ['edge-1', 2], ['edge-2', 3]);
my @segments;
for my $w (0 .. 2) {
    my @own = sort { $a->{time} <=> $b->{time} } @{ $records[$w] };
    push @own, decision(1000 + $w, $end, actions => 2,
        features => { s => ['end', 'request'] }, slate => ['A'], p => [1 / 2]);
    my $seq = 0;
    $_->{seq} = ++$seq for @own;
    my $third = int(@own / 3);
    my @parts = ([@own[0 .. $third - 1]], [@own[$third .. 2 * $third - 1]],
        [@own[2 * $third .. $#own]]);
    for my $number (0 .. 2) {
        push @segments, write_segment("$dir/log", @{ $writers[$w] }, $number,
            $parts[$number][0]{time}, @{ $parts[$number] });
    }
}
is scalar @segments, 9, 'segments';

# ---- the same bytes -------------------------------------------------------- #

sub spec {
    my ($type, $learning) = @_;
    my $state = $type eq 'p_table' ? '[]' : '["s"]';
    my $epsilon = $type eq 'p_table' ? '' : ', "epsilon": 0.1';
    return spew("$dir/$type.json", <<"END");
{"model": "shop", "version": "1",
 "features": [{"name": "s", "type": "category", "from": ["request"]}],
 "actions": [{"id": "A"}, {"id": "B"}],
 "policy": {"type": "$type", "slate": 1, "state": $state $epsilon},
 "reward": {"click": 1, "horizon": "30m"}}
END
}

my %spec = (thompson => spec('p_table'), 'fitted-q' => spec('q_table'),
    'q-learning' => spec('q_table'));

sub train {
    my ($algorithm, @logs) = @_;
    my $facts = reco_json('train', (map { ('--log', $_) } @logs), '--json',
        '--spec', $spec{$algorithm}, '--algorithm', $algorithm, '--out',
        "$dir/out.mdb");
    return (slurp("$dir/out.mdb"), $facts);
}

for my $algorithm (qw(thompson fitted-q q-learning)) {
    my ($bytes, $facts) = train($algorithm, "$dir/log");
    my %fate = %{ $facts->{log}{facts} };
    cmp_ok $fate{$_}, '>', 0, "$algorithm: some rewards are $_"
        for qw(counted duplicate early late orphan out_of_range);

    my $same = 0;
    for my $order ([@segments], [reverse @segments],
        map { [shuffle_own(@segments)] } 1 .. 3)
    {
        $same += (train($algorithm, @$order))[0] eq $bytes;
    }
    is $same, 5, "$algorithm: segments in any order, the same bytes";

    my ($twice, $read) = train($algorithm, shuffle_own(@segments, @segments));
    is $read->{log}{repeated}, $facts->{log}{records},
        "$algorithm: all segments twice";
    is_deeply $read->{log}{facts}, $facts->{log}{facts},
        '... each reward has the fate it had';
    ok $twice eq $bytes, '... and the bytes are the same';
    $same = 0;
    $same += (train($algorithm, "$dir/log", $_))[0] eq $bytes for @segments;
    is $same, 9, '... or one of them twice';
}

done_testing;
