#!/usr/bin/perl

# `reco train --follow` on logs that a test writes while it reads: each
# generation is what `reco train --live` makes of the same log; what is older
# than the window is forgotten; what fails is said and tried again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Cwd qw(abs_path);
use IO::Handle;
use JSON::PP ();
use POSIX qw(:sys_wait_h mkfifo);
use Reco::Log;
use Reco::Preload;
use Reco::Tool;
use Test::More;
use Time::HiRes qw(sleep time);

use constant { SEC => 1000, MIN => 60_000, HOUR => 3_600_000,
               DAY => 86_400_000 };

my $binary = abs_path($ENV{RECO_TOOL} // 'build/reco');
my $slow = $ENV{RECO_SLOW} || 1;
my $dir = folder();
my $t0 = 1_700_000_000_000;         # 2023-11-14T22:13:20Z
my $json = JSON::PP->new->utf8->canonical;
my @followers;

spew("$dir/spec.json", <<'END');
{"model": "shop", "version": "1",
 "features": [{"name": "x", "type": "category", "from": ["request"]}],
 "actions": [{"id": "A"}, {"id": "B"}],
 "policy": {"type": "p_table", "slate": 1},
 "reward": {"click": 1, "horizon": "30m"}}
END

sub shown {
    my ($n, $time, $action, %more) = @_;
    my $x = delete $more{x} // 'u';

    return decision($n, $time, actions => 2, slate => [$action],
                    p => [1 / 2], features => { x => [$x, 'request'] },
                    %more);
}

# ---- a log that is written ----

# A live segment; its records are numbered. Made elsewhere: in the log a reader
# might see it closed before it is live, and be done with it.
sub live_segment {
    my ($log, $number) = @_;
    my $made = write_segment("$dir/made", 'edge-1', 1, $number, $t0);
    my $path = "$log/" . ($made =~ s{.*/}{}r) . '.open';

    -d $log or mkdir $log or die "$log: $!";
    rename($made, $path) or die "$path: $!";

    return { path => $path, seq => 0 };
}

sub append {
    my ($segment, @records) = @_;
    my $text = join '', map {
        $json->encode({ seq => ++$segment->{seq}, %$_ }) . "\n"
    } @records;

    open(my $f, '>>:raw', $segment->{path}) or die "$segment->{path}: $!";
    print $f $text;
    close($f) or die $!;
}

# Closes it and goes on in the next one.
sub next_segment {
    my ($log, $segment, $number) = @_;
    my $closed = $segment->{path} =~ s/\.open$//r;

    rename($segment->{path}, $closed) or die $!;

    return { %{ live_segment($log, $number) }, seq => $segment->{seq} };
}

# ---- a follower ----

my $runs = 0;

sub follow { follow_by([], @_) }

# By a command that becomes the one behind it.
sub follow_by {
    my ($by, $log, $to, @args) = @_;
    my $f = { out => "$dir/out." . ++$runs, err => "$dir/err.$runs",
              at => 0 };

    spew($f->{out}, '');
    spew($f->{err}, '');
    $f->{pid} = fork() // die "fork: $!";
    if ($f->{pid} == 0) {
        open(STDIN, '<', '/dev/null') or die;
        open(STDOUT, '>', $f->{out}) or die;
        open(STDERR, '>', $f->{err}) or die;
        exec(@$by, $binary, 'train', '--spec', "$dir/spec.json", '--log', $log,
             '--follow', '--to', $to, '--every', '20ms', '--prior', '1,1',
             '--json', @args)
            or die;
    }
    push @followers, $f;

    return $f;
}

sub wait_for {
    my ($condition) = @_;
    my $until = time + 20 * $slow;

    while (time < $until) {
        my $value = $condition->();
        return $value if $value;
        sleep(0.01);
    }

    return undef;
}

# The first line from here on for which the condition holds.
sub line {
    my ($f, $condition) = @_;

    return wait_for(sub {
        my @lines = grep { length } split /(?<=\n)/, slurp($f->{out});
        while ($f->{at} < @lines && $lines[$f->{at}] =~ /\n\z/) {
            my $line = $json->decode($lines[$f->{at}++]);
            return $line if $condition->($line);
        }
        return undef;
    }) // { };
}

# Ends it as a person would; its exit status.
sub end {
    my ($f, $signal) = @_;
    my $gone;

    kill($signal // 'TERM', $f->{pid});
    wait_for(sub { $gone = waitpid($f->{pid}, WNOHANG) == $f->{pid} });
    my $status = $?;
    if (!$gone) {
        kill('KILL', $f->{pid});
        waitpid($f->{pid}, 0);
        return 'killed';
    }
    $f->{pid} = 0;

    return $status & 127 ? -($status & 127) : $status >> 8;
}

END {
    local $?;
    kill('KILL', $_->{pid}) for grep { $_->{pid} } @followers;
}

sub inspect { reco_json('inspect', '--json', @_) }

# What `reco train --live` learns from the same log, and the rows of both.
sub same_as_once {
    my ($log, $to, $name) = @_;
    my $once = "$dir/once.mdb";
    my $got = inspect($to)->{training};

    reco_json('train', '--spec', "$dir/spec.json", '--log', $log, '--live',
              '--prior', '1,1', '--out', $once, '--json');
    is_deeply($got, inspect($once)->{training}, "$name: the same facts");

    for my $state ('u', 'v') {
        my @rows = map {
            (reco('inspect', $_, '--json', '--state', $state))[1]
        } $to, $once;
        s/"file": "[^"]*"// for @rows;
        is($rows[0], $rows[1], "... the same row of $state");
    }
}

# ---- a log that grows ----

my $log = "$dir/log";
my $to = "$dir/to";
my $s = live_segment($log, 0);
append($s, shown(1, $t0, 'A'), shown(2, $t0 + 1, 'B'),
       reward(1, $t0 + 1 * SEC, { click => 1 }));

my $f = follow($log, $to);
my $line = line($f, sub { 1 });
is($line->{generation}, 1, 'the first generation');
is($line->{decisions}, 2, '... of what there is');
is($line->{open}, 2, '... whose time is not over');
same_as_once($log, $to, 'at first');

append($s, shown(3, $t0 + 2 * SEC, 'B', x => 'v'),
       reward(2, $t0 + 3 * SEC, { click => 1 }));
$line = line($f, sub { $_[0]{decisions} == 3 && $_[0]{records} == 5 });
is($line->{decisions}, 3, 'more decisions, and a reward of an earlier one');
same_as_once($log, $to, 'after more');

# a reward sent again; the segment closed; decision 1 and 2 closed, 4 open
append($s, reward(2, $t0 + 3 * SEC, { click => 1 }));
$s = next_segment($log, $s, 1);
append($s, shown(4, $t0 + 31 * MIN, 'A'));
$line = line($f, sub { $_[0]{decisions} == 4 && $_[0]{records} == 7 });
is($line->{open}, 1, 'time goes on with the log');
same_as_once($log, $to, 'after the segment was closed');
is(inspect($to)->{training}{log}{facts}{duplicate}, 1, '... and repeats');

# ---- nothing new, other models ----

my $generation = $line->{generation};
append($s, shown(5, $t0 + 32 * MIN, 'A', model => 'other'));
append($s, shown(6, $t0 + 33 * MIN, 'A'));
$line = line($f, sub { $_[0]{records} == 9 });
cmp_ok($line->{generation}, '<=', $generation + 1,
       'records of another model publish nothing');
is($line->{decisions}, 5, '... and count for nothing');

is(end($f), 0, 'TERM ends it well');
is(slurp($f->{err}), '', '... without a word');
ok(!-e "$to/.follow/next.mdb", '... nothing is left of a cycle');

# ---- one at a time; on from there ----

$f = follow($log, $to);
$line = line($f, sub { 1 });
is($line->{decisions}, 5, 'a restart reads all of it again');
my ($status, $out, $err) = reco('train', '--spec', "$dir/spec.json", '--log',
                                $log, '--follow', '--to', $to);
is($status, 1, 'a second follower of the folder');
like($err, qr/another `reco train --follow` publishes there$/,
     '... is refused');
is(end($f, 'INT'), 0, 'INT ends it well too');

# ---- how many stay ----

my @before = grep { /\.mdb$/ } files($to);
is((reco('train', '--spec', "$dir/spec.json", '--log', $log, '--follow',
         '--to', $to, '--cycles', '1', '--keep', '2'))[0], 0,
   '--cycles ends it');
my @left = grep { /\.mdb$/ } files($to);
is(scalar @left, 2, '--keep 2, of earlier followers\' too');
like($left[-1], qr/^shop-0*\Q${\ inspect($to)->{generation} }\E-/,
     '... the current one among them');

# One that somebody else published stays.
my $by_hand = "$dir/by-hand.mdb";
reco_json('train', '--spec', "$dir/spec.json", '--log', $log, '--live',
          '--out', $by_hand, '--json');
my $published = reco_json('publish', '--json', $by_hand, '--to', $to);
reco('train', '--spec', "$dir/spec.json", '--log', $log, '--follow', '--to',
     $to, '--cycles', '1', '--keep', '2') for 1 .. 3;
ok(-e "$to/$published->{file}", 'what it did not publish it does not remove');
is(scalar(grep { /\.mdb$/ } files($to)), 3, '... beside its last two');

# ---- the window ----

# In a window of an hour, at the end: decisions 3 and 4, and what came after.
my $window = "$dir/window";
my @c = (customer => 'c1');
my @late = (shown(3, $t0 + 5 * HOUR, 'A', @c),
            shown(4, $t0 + 5 * HOUR + 1 * MIN, 'B', x => 'v'),
            reward(3, $t0 + 5 * HOUR + 2 * MIN, { click => 1 }));
$s = live_segment($window, 0);
append($s, shown(1, $t0, 'A', @c), shown(2, $t0 + 1 * MIN, 'B', @c),
       reward(1, $t0 + 2 * MIN, { click => 1 }),
       reward(undef, $t0 + 3 * MIN, { click => 1 }, @c, key => 'k'));
$f = follow($window, "$dir/window.to", '--window', '1h');
$line = line($f, sub { 1 });
is($line->{decisions}, 2, 'the window: as long as it is short enough');
append($s, @late);
# the one of before, sent again: it joins no newer decision
append($s, reward(undef, $t0 + 5 * HOUR + 3 * MIN, { click => 1 }, @c,
                  key => 'k'));
$line = line($f, sub { $_[0]{records} == 8 });
is($line->{decisions}, 2, 'what is older is forgotten');
my $facts = inspect("$dir/window.to")->{training}{log};
is($facts->{rewarded}, 1, '... its rewards too');
is($facts->{facts}{duplicate}, 1, '... but not that they were sent');
is($facts->{forgotten}, 3, '... and it is told');

write_segment("$dir/late", 'edge-1', 1, 0, $t0 + 5 * HOUR, @late);
reco_json('train', '--spec', "$dir/spec.json", '--log', "$dir/late", '--live',
          '--prior', '1,1', '--out', "$dir/late.mdb", '--json');
for my $state ('u', 'v') {
    my @rows = map {
        reco_json('inspect', $_, '--json', '--state', $state)->{values}
    } "$dir/window.to", "$dir/late.mdb";
    is_deeply($rows[0], $rows[1], "the row of $state is that of the rest");
}

# What is read late, and is older than the window, is not taken in.
append($s, shown(9, $t0 + 1 * HOUR, 'A'));
append($s, shown(10, $t0 + 5 * HOUR + 4 * MIN, 'A'));
$line = line($f, sub { $_[0]{records} == 10 });
is($line->{decisions}, 3, 'what is read late is not taken in');

# A day and more later, when nothing is left of it: months of such days hold
# no more than a window.
for my $day (1 .. 40) {
    append($s, shown(100 + $day, $t0 + $day * DAY, 'A',
                     customer => "customer-$day"));
}
$line = line($f, sub { $_[0]{records} == 50 });
is($line->{decisions}, 1, 'in the end there is the last one');
is(inspect("$dir/window.to")->{training}{log}{forgotten}, 3 + 1 + 6 + 39,
   '... and the others were forgotten');
is(end($f), 0, 'the end');

# ---- clocks that are set ----

# A whole segment, there at once.
sub whole_segment {
    my ($log, @segment) = @_;
    my $made = write_segment("$dir/made", @segment);

    -d $log or mkdir $log or die "$log: $!";
    rename($made, "$log/" . $made =~ s{.*/}{}r) or die "$made: $!";
}

# Two nodes, a window of an hour. The clock of the one is a day ahead for a
# while: what it wrote before stays as near to its end as it was. By its clock
# all of the other's is old then; not so when it is back.
my $clocks = "$dir/clocks";
whole_segment($clocks, 'edge-1', 1, 0, [$t0, $t0, 'b'],
    shown(1, $t0, 'A'), reward(1, $t0 + 1, { click => 1 }));
whole_segment($clocks, 'edge-2', 2, 0, [$t0, $t0, 'c'],
    shown(2, $t0 + 1 * MIN, 'B'), shown(3, $t0 + 2 * MIN, 'B', x => 'v'));
$f = follow($clocks, "$clocks.to", '--window', '1h');
is(line($f, sub { $_[0]{records} == 4 })->{decisions}, 3, 'two nodes');
whole_segment($clocks, 'edge-1', 1, 1, [$t0 + 3 * MIN + DAY, $t0 + DAY, 'b'],
    shown(4, $t0 + 4 * MIN + DAY, 'A', seq => 3));
is(line($f, sub { $_[0]{decisions} != 3 })->{decisions}, 2,
   'a clock a day ahead: the node\'s own decisions are as old as they were');
whole_segment($clocks, 'edge-1', 3, 0, [$t0, $t0, 'b'],
    shown(7, $t0 + 1 * MIN, 'A'));
is(line($f, sub { $_[0]{decisions} != 2 })->{decisions}, 3,
   '... those that are read later too');
whole_segment($clocks, 'edge-1', 1, 2, [$t0 + 5 * MIN, $t0, 'b'],
    shown(5, $t0 + 6 * MIN, 'A', seq => 4));
is(line($f, sub { $_[0]{decisions} != 3 })->{decisions}, 6,
   '... and back: what was forgotten is read again');
whole_segment($clocks, 'edge-2', 2, 1, [$t0 + 6 * MIN, $t0, 'c'],
    shown(6, $t0 + 6 * MIN, 'A', seq => 3));
line($f, sub { $_[0]{decisions} == 7 });
same_as_once($clocks, "$clocks.to", 'after the clock was set');
is(end($f), 0, 'the end');
is(slurp($f->{err}), "reco: warning: a clock was set: the log is read again "
   . "from its beginning\n", '... which is told');

# A day behind: what is too old by that clock is not when it is put right.
my $behind = "$dir/behind";
whole_segment($behind, 'edge-1', 1, 0, [$t0 - DAY, $t0 - DAY, 'b'],
    shown(1, $t0 - DAY, 'A'));
whole_segment($behind, 'edge-2', 2, 0, $t0, shown(2, $t0 + 1 * MIN, 'A'));
$f = follow($behind, "$behind.to", '--window', '1h');
is(line($f, sub { 1 })->{decisions}, 1, 'a clock a day behind');
whole_segment($behind, 'edge-1', 1, 1, [$t0 + 2 * MIN, $t0, 'b'],
    shown(3, $t0 + 3 * MIN, 'A', seq => 2));
is(line($f, sub { $_[0]{decisions} != 1 })->{decisions}, 3,
   '... and put right: what was forgotten is read again');
is(end($f), 0, 'the end');

# Our own clock, a day ahead as that of a node is: what is older than the
# window goes, and comes back with the clock. A library's clock stands for it.
SKIP: {
    spew("$dir/ahead", '');
    my $so = preload('clock', text => <<"C");
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int
clock_gettime(clockid_t id, struct timespec *t)
{
    int  rc = (int) syscall(SYS_clock_gettime, id, t);
    if (id == CLOCK_REALTIME && access("$dir/ahead", F_OK) == 0) {
        t->tv_sec += 86400;
    }
    return rc;
}
C
    skip('no library to set the clock with', 2)
        if !$so || $ENV{ASAN_OPTIONS};

    my $now = int(time * 1000) - 10 * MIN;
    my $own = "$dir/own";
    whole_segment($own, 'edge-1', 1, 0, $now, shown(1, $now, 'A'));
    whole_segment($own, 'edge-2', 2, 0, $now, shown(2, $now + DAY, 'A'));
    $f = follow_by(['env', "LD_PRELOAD=$so"], $own, "$own.to", '--window',
                   '1h');
    is(line($f, sub { 1 })->{decisions}, 1, 'our own clock ahead');
    unlink("$dir/ahead") or die;
    whole_segment($own, 'edge-1', 1, 1, $now,
                  shown(3, $now + 1, 'A', seq => 2));
    is(line($f, sub { $_[0]{decisions} == 2 })->{decisions}, 2,
       '... and back: what was forgotten is read again');
    is(end($f), 0, 'the end');
}

# A reward that another machine's clock put half a minute before its decision
# stays as long as that.
my $edge = "$dir/edge";
$s = live_segment($edge, 0);
append($s, reward(1, $t0 - 20 * SEC, { click => 1 }),
       shown(1, $t0 + 10 * SEC, 'A'));
$f = follow($edge, "$edge.to", '--window', '1h');
line($f, sub { 1 });
append($s, shown(2, $t0 + 1 * HOUR, 'A'));
is(line($f, sub { $_[0]{records} == 3 })->{decisions}, 2, 'a window of an hour');
is(inspect("$edge.to")->{training}{log}{rewarded}, 1,
   '... to which a reward from just before it belongs');
is(end($f), 0, 'the end');

# ---- a campaign, followed and forgotten ----

# 20 decisions of each action a day. A's are rewarded 8 times in 20; B's 4
# times, in the campaign's week (days 14 to 20) 14 times. By mean over all
# days so far B has (14 * 4 + 7 * 14) / 21 = 7.33 a day at its end, less than
# A's 8; with a half-life of two days nearly all that counts is the last week.
spew("$dir/campaign.json", <<'END');
{"model": "shop", "version": "1",
 "features": [{"name": "x", "type": "category", "from": ["request"]}],
 "actions": [{"id": "A"}, {"id": "B"}],
 "policy": {"type": "q_table", "epsilon": 0.1, "slate": 1},
 "learning": {"discount_factor": 0},
 "reward": {"click": 1, "horizon": "30m"}}
END

my $id = 0;

sub day {
    my ($day) = @_;
    my $at = $t0 + $day * DAY;
    my @records;

    for my $i (0 .. 19) {
        for my $action ('A', 'B') {
            my $good = $action eq 'A' ? 8 : $day >= 14 && $day < 21 ? 14 : 4;
            my $time = $at + $i * MIN;
            push @records, shown(++$id, $time, $action,
                                 customer => "of-day-$day-$i-$action");
            push @records, reward($id, $time + 1, { click => 1 })
                if $i < $good;
        }
    }

    return @records;
}

sub best {
    my ($snapshot) = @_;
    my %q = map { $_->{action} => $_->{value} }
        @{ reco_json('inspect', $snapshot, '--json', '--state', 'u')
           ->{values} };

    return (sort { $q{$b} <=> $q{$a} } keys %q)[0];
}

my $campaign = "$dir/campaign";
$s = live_segment($campaign, 0);
my $records = 0;

sub grow {
    my @new = map { day($_) } @_;

    $records += @new;
    append($s, @new);
}

grow(0 .. 13);
$f = follow($campaign, "$campaign.to", '--spec', "$dir/campaign.json",
            '--half-life', '2d');
for my $part (['before', 'A'], ['in', 'B', 14 .. 20], ['after', 'A', 21 .. 34])
{
    my ($when, $expected, @days) = @$part;

    grow(@days) if @days;
    line($f, sub { $_[0]{records} == $records });
    is(best("$campaign.to"), $expected, "$when the campaign: $expected");
}
is(end($f), 0, 'the end');

# From the whole log, as of three times; and without a half-life.
append($s, shown(++$id, $t0 + 35 * DAY, 'A'));
for my $part (['before', 'A', '2023-11-28'], ['in', 'B', '2023-12-05'],
              ['after', 'A', '2023-12-19'])
{
    my ($when, $expected, $time) = @$part;

    for my $half_life (1, 0) {
        reco_json('train', '--spec', "$dir/campaign.json", '--log', $campaign,
                  '--as-of', $time, '--out', "$dir/campaign.mdb", '--json',
                  $half_life ? ('--half-life', '2d') : ());
        is(best("$dir/campaign.mdb"), $half_life ? $expected : 'A',
           "as of $time, " . ($half_life ? 'with' : 'without')
           . ' a half-life');
    }
}

# ---- the history of trainings ----

# A thousandth of 10 days is 14.4 minutes: $t0 is 592.6 thousandths into one of
# them, 60 and 61 minutes later are in the same, the fourth one after that.
spew("$dir/history.json", slurp("$dir/spec.json")
     =~ s/"reward"/"history": {"agent": "10d"}, "reward"/r);
my $history = "$dir/history";
my @history = ('--spec', "$dir/history.json");

sub trainings { inspect("$history.to")->{history_records} }

$s = live_segment($history, 0);
append($s, shown(1, $t0, 'A'));
$f = follow($history, "$history.to", @history);
line($f, sub { 1 });
is(trainings(), 1, 'a training is in the history');
append($s, shown(2, $t0 + 60 * MIN, 'A'));
line($f, sub { $_[0]{decisions} == 2 });
is(trainings(), 2, '... beside those of the generations before');
append($s, shown(3, $t0 + 61 * MIN, 'B'));
line($f, sub { $_[0]{decisions} == 3 });
is(trainings(), 2, '... of a thousandth of the time that it is kept the last');
is(end($f), 0, 'the end');
append($s, shown(4, $t0 + 2 * HOUR, 'B'));
$f = follow($history, "$history.to", @history);
line($f, sub { $_[0]{decisions} == 4 });
is(trainings(), 3, 'a restart carries them on');
append($s, shown(5, $t0 + 12 * DAY, 'B'));
line($f, sub { $_[0]{decisions} == 5 });
is(trainings(), 1, '... as long as the spec keeps them');
is(end($f), 0, 'the end');

# ---- what reco publish refuses ----

# One state after four that somebody published: refused, once; then two.
my $refused = "$dir/refused";
write_segment("$dir/four", 'edge-1', 1, 0, $t0,
              map { shown($_, $t0, 'A', x => "x$_") } 1 .. 4);
reco_json('train', '--spec', "$dir/spec.json", '--log', "$dir/four", '--live',
          '--prior', '1,1', '--out', "$dir/four.mdb", '--json');
reco_json('publish', '--json', "$dir/four.mdb", '--to', "$refused.to");
$s = live_segment($refused, 0);
append($s, shown(1, $t0, 'A'));
$f = follow($refused, "$refused.to");
ok(wait_for(sub { slurp($f->{err}) =~ /\n/ }), 'a collapse is told');
append($s, shown(2, $t0 + 1, 'A', x => 'v'));
$line = line($f, sub { 1 });
is($line->{decisions}, 2, '... and published what is none');
is($line->{generation}, 2, '... as the next generation');
is(slurp($f->{err}), "reco: $refused.to: refused: it has 1 states, less than "
   . "half of the 4 of generation 1\n", '... one reason, once');
is(end($f), 0, 'the end');

# ---- what fails ----

my $bad = "$dir/bad";
$s = live_segment($bad, 0);
append($s, shown(1, $t0, 'A'));
$f = follow($bad, "$dir/bad.to");
line($f, sub { 1 });
rename($bad, "$bad.away") or die;
ok(wait_for(sub { slurp($f->{err}) =~ /cannot open '\Q$bad\E'/ }),
   'a log that is not there is told');
rename("$bad.away", $bad) or die;
append($s, shown(2, $t0 + 1, 'A'));
is(line($f, sub { 1 })->{decisions}, 2, '... and read on when it is back');
unlink($s->{path}) or die;
ok(wait_for(sub { slurp($f->{err}) =~ /went before it was closed/ }),
   'a live segment that went is told');
is(() = slurp($f->{err}) =~ /\n/g, 2, '... each once');
is(end($f), 0, 'the end');

# Two segments that cannot be read: each is told, but not in every cycle, and
# what can be read is.
my $two = "$dir/two";
$s = live_segment($two, 0);
append($s, shown(1, $t0, 'A'));
my @unreadable = map { "$two/reco-edge-1-0000000$_-000000.ndjson" } 8, 9;
mkfifo($_, 0600) or die for @unreadable;
$f = follow($two, "$two.to");
for my $n (2 .. 12) {
    append($s, shown($n, $t0 + $n, 'A'));
    line($f, sub { $_[0]{decisions} == $n });
}
is(inspect("$two.to")->{training}{log}{decisions}, 12,
   'beside segments that cannot be read the others are');
is(slurp($f->{err}), join('', map { "reco: cannot open '$_': Invalid argument\n" }
                              @unreadable), '... each is told once');
whole_segment($two, 'edge-1', 8, 0, $t0, shown(13, $t0 + 13, 'A'));
is(line($f, sub { $_[0]{decisions} == 13 })->{decisions}, 13,
   '... and read when it can be');
is(end($f), 0, 'the end');

# No room: what is published stays whole, and it goes on. The small file system
# is the follower's alone, and seen through its process.
SKIP: {
    my $small = "$dir/small";
    my @mounted = ('unshare', '-m', 'bash', '-c',
                   'mount -t tmpfs -o size=256k none "$0" 2>/dev/null'
                   . ' || exit 99; exec "$@"', $small);

    mkdir $small or die;
    system('unshare -m true 2>/dev/null') == 0
        && system(@mounted, 'true') == 0
        or skip('no small file system can be mounted', 4);

    my $full = "$dir/full";
    $s = live_segment($full, 0);
    append($s, shown(1, $t0, 'A'));
    $f = follow_by(\@mounted, $full, "$small/to");
    $line = line($f, sub { 1 });
    my $seen = "/proc/$f->{pid}/root$small";
    open(my $ballast, '>', "$seen/ballast") or die "$seen: $!";
    $ballast->autoflush(1);
    1 while print $ballast 'x' x 4096;
    close($ballast);
    append($s, shown(2, $t0 + 1, 'B'));
    ok(wait_for(sub { slurp($f->{err}) =~ /No space left on device/ }),
       'a full disk is told');
    is(inspect("$seen/to")->{generation}, $line->{generation},
       '... what is published stays');
    unlink("$seen/ballast") or die;
    is(line($f, sub { 1 })->{decisions}, 2, '... with room it goes on');
    is(end($f), 0, 'the end');
}

# ---- killed in a cycle ----

my $killed = "$dir/killed";
$s = live_segment($killed, 0);
append($s, map { shown($_, $t0 + $_, $_ % 2 ? 'A' : 'B', x => "x$_") }
           1 .. 300);
my ($kept, $n) = (0, 300);
for my $round (1 .. 10) {
    $f = follow($killed, "$dir/killed.to", '--every', '1ms');
    # in the middle of a cycle: there is always more, and its file is made
    wait_for(sub {
        $n++;
        append($s, shown($n, $t0 + $n, 'A'));
        my @made = glob("$dir/killed.to/.follow/next.mdb*");
        return scalar @made;
    });
    end($f, 'KILL');
    $kept++ if !-e "$dir/killed.to/current.json"
               || (reco('verify', "$dir/killed.to"))[0] == 0;
}
spew("$dir/killed.to/.follow/next.mdb.tmp-0123456789abcdef", 'half');
is($kept, 10, 'kill -9 in a cycle: what is published is sound');
$f = follow($killed, "$dir/killed.to");
is(line($f, sub { 1 })->{decisions}, $n, '... and the next one goes on');
is(end($f), 0, '... to its end');
is_deeply([grep { /next/ } files("$dir/killed.to/.follow")], [],
          '... nothing of the killed ones is left');

# ---- wrong use ----

my @base = ('train', '--spec', "$dir/spec.json", '--log', $log);
for my $wrong (['--follow'], ['--follow', '--to', 'x', '--out', 'y'],
               ['--follow', '--to', 'x', '--as-of', '2024-01-01'],
               ['--to', 'x', '--out', 'y'],
               ['--follow', '--to', 'x', '--keep', '1'],
               ['--follow', '--to', 'x', '--keep', '-1'],
               ['--follow', '--to', 'x', '--every', '0s'],
               ['--follow', '--to', 'x', '--window', 'long'])
{
    is((reco(@base, @$wrong))[0], 2, "wrong use: @$wrong");
}
($status, $out, $err) = reco('train', '--spec', "$dir/spec.json", '--log',
                             "$dir/none", '--follow', '--to', $to);
is($status, 1, 'a log that is not there at the start');
like($err, qr/cannot open '\Q$dir\E\/none'/, '... is named');

done_testing();
