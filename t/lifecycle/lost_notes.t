# What a log could not write it notes, when it is written again: which numbers,
# how many decisions and rewards. A note tells of exactly what clients were
# refused; of what was in a segment that somebody removed, or may be in one that
# could not be cut back, there is none.

use strict;
use warnings;

use lib 't/lib';

# What is mounted here goes with this process.
BEGIN {
    if (!$> && !$ENV{RECO_OWN_MOUNTS} && !system 'unshare -m true 2> /dev/null')
    {
        $ENV{RECO_OWN_MOUNTS} = 1;
        exec 'unshare', '-m', $^X, map({ "-I$_" } @INC), $0, @ARGV;
    }
}

use File::Path qw(remove_tree);
use JSON::PP;
use Reco::Lifecycle;
use Reco::Nginx;
use Reco::Preload;
use Test::More;

sub server {
    my (%o) = @_;
    my $n = Reco::Nginx->new(
        conf_http => 'reco_zone reco:2m; reco_node edge;'
            . ' reco_model shop models/shop check=1s;'
            . ' reco_log log ' . ($o{log} // '') . ';',
        conf_server => 'location = /decide { reco_recommend shop; }'
            . ' location = /reward { reco_reward shop; }'
            . ' location = /status { reco_status json; }');
    publish($n);
    return $n;
}

my $told = qr/\[crit\].*reco: event log in /;

# ---- a client that remembers what it was told ------------------------------ #

# Of each server: decisions and rewards that were logged, and not.
my %seen;

sub ask {
    my ($n, $customer) = @_;
    my $a = decide($n, $customer);
    push @{ $seen{$n}{ $a->{unlogged} ? 'unlogged' : 'logged' } },
        $a->{decision};
    return !$a->{unlogged};
}

sub say_reward {
    my ($n, $decision) = @_;
    my $status = $n->json('POST', '/reward',
        { decision => $decision, facts => { click => 1 } })->{status};
    $seen{$n}{$status}++;
    return $status == 200;
}

# What the log has, by kind and number; a number that is there twice is told.
sub log_of {
    my ($n, $name) = @_;
    my %log = (seq => {}, notes => [], noted => {}, twice => 0);
    for my $e (grep { $_->{type} ne 'segment' } $n->events) {
        $log{twice}++ if $log{seq}{ $e->{seq} };
        $log{seq}{ $e->{seq} } = $e->{type};
        $log{time}{ $e->{seq} } = $e->{time};
        push @{ $log{notes} }, $e if $e->{type} eq 'lost';
        $log{last} = $e->{seq} if $e->{seq} > ($log{last} // 0);
    }
    for my $note (@{ $log{notes} }) {
        $log{twice} += exists $log{noted}{$_} for $note->{from} .. $note->{to};
        $log{noted}{$_} = 1 for $note->{from} .. $note->{to};
    }
    $log{missing} = [ grep { !$log{seq}{$_} } 1 .. $log{last} // 0 ];
    is $log{twice}, 0, "$name: no number is there, or noted, twice";
    is_deeply [ grep { $log{seq}{$_} } keys %{ $log{noted} } ], [],
        "$name: no note of what is in the log";
    return \%log;
}

sub sum {
    my ($log, $what) = @_;
    my $sum = 0;
    $sum += $_->{$what} for @{ $log->{notes} };
    return $sum;
}

# Whether a note spans the time of a decision, with which its id begins.
sub in_time {
    my ($log, $id) = @_;
    my ($high, $low) = unpack 'nN', pack 'H12', $id;
    my $time = $high * 2 ** 32 + $low;
    return grep { $_->{time} - $_->{elapsed} <= $time && $time <= $_->{time} }
        @{ $log->{notes} };
}

# Notes that begin before the record in front of what they tell of; two clocks,
# each in whole milliseconds, may differ by some.
sub too_long {
    my ($log) = @_;
    return grep { ($log->{time}{ $_->{from} - 1 } // 0)
        > $_->{time} - $_->{elapsed} + 5 } @{ $log->{notes} };
}

# Every number is in the log or noted, and the notes say what clients saw.
sub all_noted {
    my ($n, $name) = @_;
    my $log = log_of($n, $name);
    is_deeply $log->{missing}, [ sort { $a <=> $b } keys %{ $log->{noted} } ],
        "$name: the notes are of exactly the missing numbers";
    is sum($log, 'decisions'), scalar @{ $seen{$n}{unlogged} },
        "$name: decisions that were answered unlogged";
    is sum($log, 'rewards'), $seen{$n}{503} // 0,
        "$name: rewards that were refused";
    is_deeply [ sort map { $_->{id} } $n->decisions ],
        [ sort @{ $seen{$n}{logged} } ], "$name: the others are in the log";
    is scalar $n->rewards, $seen{$n}{200} // 0, "$name: their rewards, too";
    is_deeply [ grep { !in_time($log, $_) } @{ $seen{$n}{unlogged} } ], [],
        "$name: the notes say when it was";
    is_deeply [ too_long($log) ], [], "$name: and not since before";
    note sprintf '%s: %d numbers, %d missing, %d notes of %d decisions and'
        . ' %d rewards', $name, $log->{last}, scalar @{ $log->{missing} },
        scalar @{ $log->{notes} }, map { sum($log, $_) } qw(decisions rewards);
    return $log;
}

# The counters, before the server ends.
sub counted {
    my ($n, $name) = @_;
    is counter($n, 'events', 'unlogged_decisions'),
        scalar @{ $seen{$n}{unlogged} }, "$name: decisions are counted";
    is counter($n, 'errors', 'reward_unlogged'), $seen{$n}{503} // 0,
        "$name: rewards are counted";
}

# ---- the disk is full for a while ------------------------------------------ #

sub full_disk {
    my ($n, $log) = @_;
    system("mount -t tmpfs -o size=40k,mode=0777 none $log") == 0 or die;
}

SKIP: {
    skip 'needs mounts of its own', 1 unless $ENV{RECO_OWN_MOUNTS};

    my $n = server(log => 'segment=1m');
    my $log = $n->path('log');
    full_disk($n, $log);
    $n->start;

    for my $round (1 .. (($ENV{RECO_SLOW} // '') eq '1' ? 20 : 3)) {
        for (1 .. 500) { last unless ask($n, 'c' x 200) }
        ok @{ $seen{$n}{unlogged} }, "disk full: it is, round $round";
        for (1 .. 7) {
            ask($n, 'c' x 200);
            say_reward($n, $seen{$n}{logged}[0]);
        }
        my $size = 40 + 40 * $round;
        system("mount -o remount,size=${size}k $log") == 0 or die 'remount';
        ok $n->wait_for(sub { ask($n) }, 5), "disk full: heals, round $round";
        ok say_reward($n, $seen{$n}{logged}[-1]), "disk full: a reward counts";
    }

    counted($n, 'disk full');
    ok $n->stop, 'disk full: stop';
    my $l = all_noted($n, 'disk full');
    cmp_ok scalar @{ $l->{notes} }, '>=', ($ENV{RECO_SLOW} // '') eq '1' ? 20 : 3,
        'disk full: a note each time';
    $n->ok_log(allow => [ $told ]);
    system("umount $log");

    # -- it still is when the worker ends: nothing can be said, nothing breaks
    $n = server();
    $log = $n->path('log');
    full_disk($n, $log);
    $n->start;
    for (1 .. 500) { last unless ask($n, 'c' x 200) }
    ask($n, 'c' x 200) for 1 .. 5;
    ok $n->stop, 'full to the end: stop';
    $l = log_of($n, 'full to the end');
    is_deeply $l->{notes}, [], 'full to the end: no note';
    is_deeply $l->{missing}, [], 'full to the end: the log just ends';
    is scalar $n->decisions, scalar @{ $seen{$n}{logged} },
        'full to the end: with what clients were told is in it';
    $n->ok_log(allow => [ $told ]);
    system("umount $log");
}

# ---- the folder is gone for a while ---------------------------------------- #

my $n = server();
$n->start;
ask($n) for 1 .. 3;
say_reward($n, $seen{$n}{logged}[0]);
my %removed = map { $_ => 1 } @{ delete $seen{$n}{logged} };
delete $seen{$n}{200};

remove_tree($n->path('log'));
ask($n) for 1 .. 4;
is scalar @{ $seen{$n}{unlogged} }, 4, 'folder removed: unlogged';
say_reward($n, (keys %removed)[0]) for 1 .. 2;
$n->folder('log');
ok $n->wait_for(sub { ask($n) }, 5), 'folder removed: heals';
counted($n, 'folder removed');
ok $n->stop, 'folder removed: stop';

my $l = log_of($n, 'folder removed');
is_deeply $l->{missing}, [ 1 .. $l->{notes}[0]{to} ],
    'folder removed: what was in it is missing';
is_deeply [ map { $_->{from} } @{ $l->{notes} } ], [ 5 ],
    'folder removed: and in no note';
is sum($l, 'decisions'), scalar @{ $seen{$n}{unlogged} },
    'folder removed: decisions that were answered unlogged';
is sum($l, 'rewards'), 2, 'folder removed: rewards that were refused';
$n->ok_log(allow => [ $told ]);

# ---- healed just before the worker ends ------------------------------------ #

$n = server();
remove_tree($n->path('log'));
$n->start;
ask($n) for 1 .. 3;
say_reward($n, $seen{$n}{unlogged}[0]);
$n->folder('log');
$seen{$n}{logged} = [];
ok $n->stop, 'at the end: stop';
$l = all_noted($n, 'at the end');
is_deeply [ map { [ @$_{qw(seq from to decisions rewards)} ] }
        @{ $l->{notes} } ], [ [ 5, 1, 4, 3, 1 ] ],
    'at the end: one note, the last record';
is_deeply [ glob $n->path('log/*.open') ], [], 'at the end: in a closed file';
$n->ok_log(allow => [ $told ]);

# ---- notes that are lost themselves ----------------------------------------- #

# More than fits below the limit.
my $big = '%22' x 250;

SKIP: {
    $n = server();
    $n->start;
    skip 'needs prlimit and setpriv', 1
        if $ENV{RECO_VALGRIND} || !limit_files($n, 1000);

    # an attempt a second; with the second the note was tried, too
    my $writes = sub { counter($n, 'errors', 'log_write') };
    ask($n);
    ok !ask($n, $big), 'lost note: too long';
    for (1 .. 2) {
        my $before = $writes->();
        ok $n->wait_for(sub { ask($n, $big); $writes->() > $before }, 5),
            'lost note: tried again';
    }
    ok $n->wait_for(sub { ask($n) }, 5), 'lost note: heals';
    counted($n, 'lost note');
    ok $n->stop, 'lost note: stop';
    $l = all_noted($n, 'lost note');
    is scalar @{ $l->{notes} }, 1, 'lost note: one tells of all';
    cmp_ok scalar(keys %{ $l->{noted} }) - sum($l, 'decisions'), '>=', 1,
        'lost note: also of notes';
    $n->ok_log(allow => [ $told ]);
}

# ---- several in one turn ----------------------------------------------------- #

# The answers to requests that a worker finds all at once, in this order, after
# something was done while it stood.
sub in_one_turn {
    my ($n, $meanwhile, @requests) = @_;
    my ($pid) = $n->worker_pids;
    my @clients = map { $n->client } @requests;
    $_->request('GET', '/status') for @clients;
    kill 'STOP', $pid;
    $n->wait_for(sub { $n->stands($pid) });
    $meanwhile->();
    $clients[$_]->send(Reco::Nginx::Client::format_request(@{ $requests[$_] }))
        for 0 .. $#clients;
    kill 'CONT', $pid;
    return map { $clients[$_]->response($requests[$_][0]) } 0 .. $#clients;
}

# The worker has no memory for more than its first buffer: decisions are in it,
# with the note of what was lost a second before, when a reward does not fit;
# then the write fails. What was lost, was since the first of all.
SKIP: {
    my $library = preload('no_memory');
    skip 'no library to refuse memory with', 1
        if !$library || $ENV{ASAN_OPTIONS};

    my @decisions = ([ GET => "/decide?customer=$big" ]) x 20;
    for my $after (0, 1) {
        my $name = 'no memory, '
            . ($after ? 'another decision after it' : 'the last of a turn');
        $n = server();
        $n->write('memory', pack 'q5', 0, 1, 0, 0, 100_000);
        {
            local @ENV{qw(LD_PRELOAD NO_MEMORY)} = ($library,
                $n->path('memory'));
            $n->start;
        }
        ask($n);
        skip 'needs prlimit and setpriv', 1 if !limit_files($n, 600);
        ok !ask($n, $big), "$name: no room in the file";
        select undef, undef, undef, 1.1;    # tried once a second

        my $reward = [ POST => '/reward', encode_json({ facts => { click => 1 },
            decision => $seen{$n}{logged}[0] }),
            { 'Content-Type' => 'application/json' } ];
        my @answers = in_one_turn($n, sub { arm_memory($n, 1) }, @decisions,
            $reward, $after ? $decisions[0] : ());
        for my $a (@answers) {
            my $decision = $a->{headers}{'reco-decision-id'};
            push @{ $seen{$n}{unlogged} }, $decision if $decision;
            $seen{$n}{ $a->{status} }++ if !$decision;
        }
        is scalar(grep { $_->{headers}{'reco-unlogged'} } @answers),
            20 + $after, "$name: decisions are unlogged";
        is $seen{$n}{503}, 1, "$name: the reward is refused";
        is memory_refused($n), 1, "$name: for want of memory";

        arm_memory($n, 0);
        limit_files($n, 'unlimited');
        select undef, undef, undef, 1.1;    # nothing else is lost
        ok $n->wait_for(sub { ask($n) }, 5), "$name: heals";
        counted($n, $name);
        ok $n->stop, "$name: stop";
        is scalar @{ all_noted($n, $name)->{notes} }, 1, "$name: one note";
        $n->ok_log(allow => [ $told ]);
    }
}

sub arm_memory {
    my ($n, $nth) = @_;
    open my $f, '+<:raw', $n->path('memory') or die $!;
    syswrite $f, pack 'q', $nth;
}

sub memory_refused {
    my ($n) = @_;
    return (unpack 'q4', $n->read('memory'))[3];
}

# ---- a file that can be neither written nor cut ----------------------------- #

# One turn's records go out with one write, of which the first are in the file
# when the limit is met.
SKIP: {
    my $library = preload('fault');
    skip 'no library to make the cut fail with', 1
        if !$library || $ENV{ASAN_OPTIONS};

    $n = server();
    {
        local $ENV{LD_PRELOAD} = $library;
        local $ENV{FAULT} = 'ftruncate:1+';
        $n->start;
    }
    skip 'needs prlimit and setpriv', 1 unless limit_files($n, 1500);

    my @answers = in_one_turn($n, sub {}, ([ GET => '/decide?customer=c' ]) x 8);
    is scalar(grep { $_->{status} == 200 && $_->{headers}{'reco-unlogged'} }
        @answers), 8, 'uncut: all are told that they are not logged';
    like $n->error_log, qr/cannot write .*nor cut it back/, 'uncut: told why';

    limit_files($n, 'unlimited');
    ok $n->wait_for(sub { ask($n) }, 5), 'uncut: heals';
    ok $n->stop, 'uncut: stop';
    is scalar(() = glob $n->path('log/*.open')), 1,
        'uncut: the file is left to recovery';
    $n->start;
    ok $n->wait_for(sub { !grep { -s > 512 } glob $n->path('log/*.open') }),
        'uncut: which takes it';
    ok $n->stop, 'uncut: stop again';

    my %incarnation;
    for my $e ($n->events) {
        my ($name) = $e->{file} =~ /edge-(\w{8})-/;
        push @{ $incarnation{$name} }, $e unless $e->{type} eq 'segment';
    }
    my ($records) = grep { @$_ } values %incarnation;
    my %ids;
    $ids{ $_->{id} }++ for grep { $_->{type} eq 'decision' } @$records;
    cmp_ok scalar(keys %ids), '>', 1, 'uncut: some of them are in the log';
    cmp_ok scalar(keys %ids), '<', 9, 'uncut: and some are not';
    is scalar(grep { $_ > 1 } values %ids), 0, 'uncut: none is there twice';
    is scalar(grep { $_->{type} eq 'lost' && $_->{from} <= 8 } @$records), 0,
        'uncut: no note of what may be there';
    $n->ok_log(allow => [ $told ]);
}

done_testing;
