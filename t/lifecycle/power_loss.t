# A machine that loses power: what nginx did to the log's folder under load is
# recorded (t/lib/disk.c), cut off at many moments, and of each what would be
# left at worst is compared with what clients had been answered by then. Some
# of it is given to a new nginx, which recovers it.

use strict;
use warnings;

use lib 't/lib';
use JSON::PP;
use List::Util qw(max min shuffle sum0);
use Reco::Disk;
use Reco::Lifecycle;
use Reco::Nginx;
use Reco::PowerLoss;
use Reco::Preload;
use Reco::Tool qw(reco);
use Test::More;
use Time::HiRes qw(clock_gettime sleep CLOCK_MONOTONIC);

# RECO_SLOW is also a factor of time limits, which sanitizers set.
my $long = ($ENV{RECO_SLOW} // '') eq '1';
my $answers = $long ? 3000 : 400;
my $cuts = $long ? 500 : 100;
my $recovered = $long ? 60 : 6;
my @HOW = qw(least torn zeros hole);

my $seed = $ENV{RECO_SEED} // time;
srand $seed;
note "RECO_SEED=$seed";

sub server {
    my (%o) = @_;
    my $n = Reco::Nginx->new(
        workers => $o{workers} // 2,
        conf_http => 'reco_zone reco:2m; reco_node edge;'
            . ' reco_model shop models/shop check=1s;'
            . ' reco_log log segment=' . ($o{segment} // '16k')
            . " sync=$o{sync};",
        conf_server => 'location = /decide { reco_recommend shop; }'
            . ' location = /reward { reco_reward shop; }'
            . ' location = /status { reco_status json; }');
    publish($n);
    return $n;
}

# ---- load ------------------------------------------------------------------- #

# A client that decides and rewards in turn and writes down "WHAT TIME": the
# decision or the reward's key, and when its answer was whole.
sub client {
    my ($n, $number, $pause) = @_;
    return begin_client(sub {
        my ($out, $i) = @_;
        my $a = eval { decide($n, "c$number") } || {};
        return if ($a->{http} // 0) != 200 || $a->{unlogged};
        printf {$out} "%s %.9f\n", $a->{decision},
            clock_gettime(CLOCK_MONOTONIC);
        my $key = "k$number.$i";
        my $r = eval { $n->json('POST', '/reward', { key => $key,
            decision => $a->{decision}, facts => { click => 1 } }) } || {};
        printf {$out} "%s %.9f\n", $key, clock_gettime(CLOCK_MONOTONIC)
            if ($r->{status} // 0) == 200;
        sleep $pause if $pause;
    });
}

# What was answered: lists of [ what, time ], by time.
sub seen {
    return sort { $a->[1] <=> $b->[1] } map { [ split ] } seen_by(@_);
}

my (@clients, $owner);
$owner = $$;
END { kill 'KILL', map { $_->{pid} } @clients if $owner && $owner == $$ }

# The load until so many answers, or with 'seconds' for so long and at leisure;
# returns what was answered.
sub load {
    my ($n, %o) = @_;
    my $leisure = defined $o{seconds};
    @clients = map { client($n, $_, $leisure && 0.02) } 1 .. 6;
    $n->wait_for(sub {
        my @seen = seen(@clients);
        return $leisure ? @seen && $seen[-1][1] - $seen[0][1] > $o{seconds}
            : @seen >= $o{answers};
    }, 120) or fail 'enough answers';
    end_clients(@clients);
    return seen(splice @clients);
}

# ---- what is there ---------------------------------------------------------- #

# What whole lines tell of: decisions and keys of rewards, each with how often.
sub told {
    my %count;
    for my $text (@_) {
        for my $line ($text =~ /^(\{[^\n\0]*\}\n)/mg) {
            $count{$1}++ if $line =~ /^\{"type":"decision".*?"id":"(\w+)"/
                || $line =~ /^\{"type":"reward".*?"key":"([\w.]+)"/;
        }
    }
    return \%count;
}

# When each record was written, by the trace.
sub written {
    my %at;
    for my $e (grep { $_->{op} eq 'write' } @_) {
        $at{$_} //= $e->{time} for keys %{ told($e->{data}) };
    }
    return \%at;
}

# Moments of a trace: after each end of a sync, and at random; at most $cuts.
sub moments {
    my @trace = @_;
    my @all = grep { $trace[$_]{op} eq 'end' } 0 .. $#trace;
    @all = (shuffle @all)[0 .. $cuts / 2 - 1] if @all > $cuts / 2;
    push @all, map { int rand @trace } @all .. $cuts - 1;
    my %once = map { $_ => 1 } @all, $#trace;
    return sort { $a <=> $b } keys %once;
}

# Calls $check with what is left, how, and what had been answered by then, at
# each moment; keeps some of what is left.
sub at_moments {
    my ($trace, $seen, $check) = @_;
    my $machine = Reco::PowerLoss->new;
    my ($done, @kept) = (0);
    my @moments = moments(@$trace);
    for my $moment (@moments) {
        $machine->apply($trace->[$done++]) while $done <= $moment;
        my $time = $trace->[$moment]{time};
        my @before = grep { $_->[1] < $time } @$seen;
        for my $how (@HOW) {
            my %left = $machine->left($how);
            $check->(\%left, $how, \@before, $time, $machine);
            push @kept, \%left;
        }
    }
    @kept = (shuffle @kept)[0 .. $recovered - 1] if @kept > $recovered;
    return @kept;
}

# Closed segments that are not what their writer had written.
sub not_whole {
    my ($left, $machine) = @_;
    return grep {
        my $file = $machine->{names}{$_};
        /\.ndjson\z/ && (!$file || $left->{$_} ne $file->{data});
    } keys %$left;
}

# ---- recovery --------------------------------------------------------------- #

# A new nginx takes up what was left: nothing is lost of what was whole, of each
# segment at most a torn tail is cut, and the tool's reader complains of nothing
# but lines whose page did not come.
sub recovers {
    my ($name, @kept) = @_;
    my $n = server(sync => 'off', workers => 1);
    $n->configure(conf_http => $n->{conf_http} =~ s/node edge/node after/r);
    $n->start;
    my ($segments, $torn, @wrong) = (0, 0);

    for my $left (@kept) {
        my @open = grep { /open\z/ } keys %$left;
        put($n, $left);
        $n->reload or fail "$name: reload";
        $n->wait_for(sub { !grep { -e $n->path("log/$_") } @open })
            or fail "$name: all is taken up";

        my %after = map { my $file = s{.*/}{}r; $file => $n->read("log/$file") }
            glob $n->path('log/reco-edge-*');
        push @wrong, wrong($n, $left, \%after);
        @open = grep { 1 < $left->{$_} =~ tr/\n// } @open;
        $segments += @open;
        $torn += grep { substr($left->{$_}, -1) ne "\n" } @open;
    }

    is_deeply \@wrong, [], "$name: " . @kept . ' states are recovered';
    my ($says_segments, $says_torn) = said($n);
    is $says_segments, $segments, '... all segments that have a record';
    is $says_torn, $torn, '... and their torn tails are counted';
    ok $n->stop, '... stop';
    $n->ok_log;
}

sub put {
    my ($n, $left) = @_;
    unlink glob $n->path('log/reco-edge-*');
    for my $file (keys %$left) {
        my $path = $n->write("log/$file", $left->{$file});
        chown((stat $n->path('log'))[4, 5], $path);
    }
}

sub said {
    my ($n) = @_;
    my ($segments, $torn) = (0, 0);
    my $log = $n->error_log;
    while ($log =~ /recovered (\d+) segment\(s\) in .*?, cut (\d+) torn/g) {
        $segments += $1;
        $torn += $2;
    }
    return ($segments, $torn);
}

# What is not as it should be of a recovered folder.
sub wrong {
    my ($n, $left, $after) = @_;
    my ($before, $now) = map { told(values %$_) } $left, $after;
    my @wrong = map { "$_ is lost or doubled" }
        grep { ($now->{$_} // 0) != $before->{$_} } keys %$before;
    push @wrong, map { "$_ is torn" } grep { $after->{$_} !~ /\n\z/ }
        grep { !exists $left->{$_} } keys %$after;

    my $good = sum0 values %$now;
    my $bad = grep { !/^\{[^\0]*\}\n\z/ } map { /([^\n]*\n?)/g }
        grep { length } values %$after;
    $bad -= keys %$after;           # the empty match at the end
    my ($status, $out) = reco('eval', '--policy=uniform', '--reward=click',
        '--json', '--log=' . $n->path('log'));
    my $log = (eval { decode_json($out) } // {})->{log};
    push @wrong, "read: $log->{records} records, $log->{corrupt} others;"
        . " there are $good, $bad"
        if $log && ($log->{records} != $good || $log->{corrupt} != $bad);
    return @wrong;
}

# ---- sync=always ------------------------------------------------------------ #

sub has_all {
    my ($name, $sync, %o) = @_;
    my $n = server(sync => $sync);
    my $disk = Reco::Disk->new($n, delay => 5);
    $disk->start;
    $o{breaks}->($disk) if $o{breaks};
    my @seen = load($n, answers => $answers);
    is $disk->left('fdatasync'), 0, "$name: the disk failed"
        if $o{breaks};
    ok $n->stop, "$name: stop";
    my @trace = $disk->trace;
    my (%missing, %doubled, @broken);
    my $states = 0;

    my @kept = at_moments(\@trace, \@seen, sub {
        my ($left, $how, $before, $time, $machine) = @_;
        my $there = told(values %$left);
        $states++;
        $missing{ $_->[0] }++ for grep { !$there->{ $_->[0] } } @$before;
        $doubled{$_}++ for grep { $there->{$_} > 1 } keys %$there;
        push @broken, not_whole($left, $machine) unless $o{breaks};
    });

    cmp_ok $states, '>=', 4 * $cuts / 2, "$name: $states states of "
        . @trace . ' calls and ' . @seen . ' answers';
    is_deeply [ sort keys %missing ], [], "$name: what was answered is there";
    is_deeply [ sort keys %doubled ], [], "$name: once";
    is_deeply \@broken, [], "$name: closed segments are whole";
    recovers($name, @kept);
    return $n;
}

SKIP: {
    skip 'no library to record what is done', 1 unless preload('disk');
    has_all('sync=always', 'always')->ok_log;

    # a sync that fails takes for good what it was to write
    has_all('sync=always, failing', 'always', breaks => sub {
        $_[0]->fail(fdatasync => 20, 3);
    })->ok_log(allow => [ qr/reco: event log in .*cannot sync/ ]);

    # ---- sync=TIME ---------------------------------------------------------- #

    # The window is the interval and what the disk takes, and as long as the
    # worker did not come to it: the longest it was not heard of.
    for my $interval (0.2, $long ? 1 : ()) {
        my $name = "sync=${interval}s";
        my $n = server(sync => $interval * 1000 . 'ms', workers => 1,
            segment => '256k');
        my $disk = Reco::Disk->new($n, delay => 5);
        $disk->start;
        my @seen = load($n, seconds => 5 * $interval);
        ok $n->stop, "$name: stop";
        my @trace = $disk->trace;
        my $at = written(@trace);
        my @writes = grep { $_->{op} eq 'write' } @trace;
        my $quiet = max map { $writes[$_]{time} - $writes[$_ - 1]{time} }
            1 .. $#writes;
        my ($widest, @late, %doubled, @broken) = (0);

        my @kept = at_moments(\@trace, \@seen, sub {
            my ($left, $how, $before, $time, $machine) = @_;
            my $there = told(values %$left);
            $doubled{$_}++ for grep { $there->{$_} > 1 } keys %$there;
            push @broken, not_whole($left, $machine);
            my $first = min map { $at->{ $_->[0] } }
                grep { !$there->{ $_->[0] } } @$before;
            return unless defined $first;
            my $syncing = syncing($first, $time, @trace);
            $widest = max $widest, $time - $first;
            push @late, $time - $first
                if $time - $first > $interval + $syncing + $quiet;
        });

        is_deeply \@late, [], sprintf "%s: nothing is missing that was written"
            . ' before the last interval and its sync (widest %.0f ms)', $name,
            1000 * $widest;
        cmp_ok $widest, '>', 0, "$name: and something is missing";
        is_deeply [ keys %doubled ], [], "$name: nothing is there twice";
        is_deeply \@broken, [], "$name: closed segments are whole";
        recovers($name, @kept);
        $n->ok_log;
    }

    # ---- sync=off ----------------------------------------------------------- #

    my $n = server(sync => 'off');
    my $disk = Reco::Disk->new($n, delay => 5);
    $disk->start;
    my @seen = load($n, answers => $answers);
    ok $n->stop, 'sync=off: stop';
    my @trace = $disk->trace;
    my ($closed, @broken) = (0);
    my @kept = at_moments(\@trace, \@seen, sub {
        my ($left, $how, $before, $time, $machine) = @_;
        push @broken, not_whole($left, $machine);
        $closed = max $closed, scalar grep { /ndjson\z/ } keys %$left;
    });
    is_deeply \@broken, [], "sync=off: closed segments ($closed) are whole";
    recovers('sync=off', @kept);
    $n->ok_log;
}

# How long syncs took between two moments.
sub syncing {
    my ($from, $to, @trace) = @_;
    my ($total, %began) = (0);
    for my $e (@trace) {
        last if $e->{time} > $to && $e->{op} eq 'begin';
        $began{ $e->{name} } = $e->{time} if $e->{op} eq 'begin';
        next if $e->{op} ne 'end' || $e->{time} < $from;
        $total += min($to, $e->{time}) - max($from, $began{ $e->{name} });
    }
    return max 0, $total;
}

done_testing;
