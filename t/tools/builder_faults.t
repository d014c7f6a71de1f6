#!/usr/bin/perl

# What builds and publishes, when its n-th call of malloc, write, fsync, rename
# and others fails, when it is killed, and when the disk is full: the target is
# the old file or the complete new one, nothing else is left, and a message
# says why. With RECO_SLOW=1 every n (of a training's requests for memory one in 100
# beyond 2,000) and 200 moments; else a few of them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Fcntl qw(:flock);
use File::Copy qw(copy);
use POSIX ();
use Reco::Log;
use Reco::Preload;
use Reco::Tool;
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'a sanitizer or valgrind has its own malloc'
    if $ENV{ASAN_OPTIONS} || $ENV{RECO_VALGRIND};

# RECO_SLOW is also a factor of time limits; the long form has the factor 1.
my $slow = ($ENV{RECO_SLOW} // '') eq '1';
my $dir = folder();
my $tool = $ENV{RECO_TOOL} // 'build/reco';
my $library = preload('fault');
ok($library, 'the library is built') or BAIL_OUT('no library');

# How many seconds a command may take before it counts as one that hangs.
use constant HANGS => 60;

my %cause = (
    (map { $_ => qr/memory/ } qw(malloc calloc realloc mmap)),
    (map { $_ => qr/No space left on device/ }
        qw(write pwrite ftruncate flush)),
    (map { $_ => qr{Input/output error} } qw(fsync fdatasync rename)),
    open => qr/Too many open files/,
    fork => qr/Resource temporarily unavailable/,
);

# What nothing can make good: the command must fail.
my %fatal = map { $_ => 1 } qw(write pwrite fsync fdatasync rename);

# ---- what is run --------------------------------------------------------- #

spew("$dir/items.csv", <<'END');
id,name,price,category,family,available
A,Apple,5,x,,1
B,Book,20,x,,1
C,"Cup, tin",50,y,,1
D,Desk,50.01,y,fam,1
END
spew("$dir/lists.csv", "list,key,item,score\npopular,,A,1\npopular,,B,0.5\n"
     . "category,x,A,1\ncategory,y,C,0.5\n");
spew("$dir/customers.csv", "customer,taste,age,bought\n"
     . join '', map { sprintf "c%03d,%s,%d,A B\n", 997 * $_ % 1000,
                      $_ % 2 ? 'x' : 'y', $_ % 90 } 1 .. 300);
spew("$dir/cart.json", <<'END');
{"model": "cart", "version": "1", "features": [
   {"name": "taste", "type": "category", "from": ["request", "customer"]},
   {"name": "age", "type": "number", "from": ["customer"],
    "bins": {"quantiles": 2}}],
 "actions": [{"id": "match"}, {"id": "popular"}],
 "policy": {"type": "q_table", "slate": 1, "state": ["taste", "age"],
            "epsilon": 0.1},
 "items": {"slate": 2, "history": "customer.bought", "strategies": {
   "match": [{"list": "category", "by": "taste"}],
   "popular": [{"list": "popular"}]}, "fill": [{"list": "popular"}]},
 "reward": {"points_per_unit": 1, "horizon": "1m"},
 "columns": {"customer": "customer"}}
END
spew("$dir/baskets.csv", "basket,time,customer,country,item,quantity,price\n"
     . join '', map { my $basket = $_;
         map { sprintf "b%02d,2011-01-%02dT10:00:00Z,c%d,Italy,%s,1,5\n",
               $basket, $basket, $basket % 4, $_ } qw(A B), $basket % 2
               ? 'C' : 'D' } 1 .. 20);

my $t0 = 1_700_000_000_000;
write_segment("$dir/log", 'edge-1', 1, 0, $t0, map {
    my $n = 2 * $_;
    (decision($n, $t0 + 1000 * $_, model => 'cart', actions => 2,
              customer => 'c' . $_ % 7, session => 's', p => [1 / 2],
              slate => [$_ % 3 ? 'match' : 'popular'],
              features => { taste => [$_ % 2 ? 'x' : 'y', 'request'] }),
     reward($n, $t0 + 1000 * $_ + 1, { points => $_ % 5 },
            model => 'cart'))
} 1 .. 100);

my @time = ('--as-of', '2023-12-01T00:00:00Z');
my @build = ('build', "$dir/cart.json", '--customers', "$dir/customers.csv",
             '--items', "$dir/items.csv", '--lists', "$dir/lists.csv", @time);

ok_run(@build, '--out', "$dir/base.mdb");
spew("$dir/other.json",
     slurp("$dir/cart.json") =~ s/"version": "1"/"version": "0"/r);

# Each: arguments, before 'to' is where it writes; 'old' makes what is there
# before.
my %commands = (
    build => {
        args => [ @build, '--out', 'TO/out.mdb' ],
        old => sub { ok_run('build', "$dir/other.json", @build[2 .. $#build],
                            '--out', "$_[0]/out.mdb") },
    },
    publish => {
        args => [ 'publish', "$dir/base.mdb", '--to', 'TO', '--force' ],
        old => sub { ok_run('publish', "$dir/base.mdb", '--to', $_[0],
                            '--force') },
    },
    train => {
        args => [ 'train', '--log', "$dir/log", '--base', "$dir/base.mdb",
                  @time, '--out', 'TO/out.mdb' ],
        old => sub { copy("$dir/base.mdb", "$_[0]/out.mdb") or die $! },
    },
    baskets => {
        args => [ 'baskets', "$dir/baskets.csv", '--items',
                  "$dir/items.csv", '--min-support', 1, '--categories', 0,
                  '--lists-from', 'market,development,test', '--out', 'TO' ],
        old => sub { spew("$_[0]/$_", "old\n")
                     for qw(customers.csv items.csv lists.csv) },
    },
);

sub ok_run {
    my ($status, undef, $err) = reco(@_);
    $status == 0 or BAIL_OUT("reco @_: exit $status: $err");
}

# Names and bytes of a folder; a manifest without the time that is in it.
sub content {
    my ($at) = @_;
    my %content = map { $_ => slurp("$at/$_") } files($at);

    $content{'current.json'} =~ s/"published": "[^"]*"//
        if exists $content{'current.json'};

    return \%content;
}

# A folder as it was before.
sub fresh {
    my ($command) = @_;
    my $to = "$dir/to";

    -d $to or mkdir $to or die $!;
    unlink map { "$to/$_" } files($to);
    copy("$dir/old-$command/$_", "$to/$_") or die "$_: $!"
        for files("$dir/old-$command");

    return $to;
}

sub args {
    my ($command, $to) = @_;

    return map { s/\bTO\b/$to/r } @{ $commands{$command}{args} };
}

for my $command (sort keys %commands) {
    mkdir "$dir/old-$command" or die $!;
    $commands{$command}{old}->("$dir/old-$command");
    my $to = fresh($command);
    $commands{$command}{before} = content($to);
    ok_run(args($command, $to));
    $commands{$command}{after} = content($to);
}

# ---- judging ------------------------------------------------------------- #

# What a process that was killed may leave; the next one removes it.
use constant TEMP => qr/\.tmp-[0-9a-f]{16}\z/;

# What is wrong with a folder, or nothing: each file is the old one or the new
# one, a manifest names a file that is there, and when all went well, all are
# new. After a kill, temporary files are looked over.
sub wrong {
    my ($command, $to, $status, $killed) = @_;
    my ($before, $after) = @{ $commands{$command} }{qw(before after)};
    my $now = content($to);
    my @wrong;

    for my $name (sort keys %$now) {
        next if $killed && $name =~ TEMP;
        my @good = map { $_->{$name} // () } $before, $after;
        push @wrong, "$name is neither old nor new"
            unless grep { $_ eq $now->{$name} } @good;
    }
    push @wrong, map { "$_ is gone" } grep { !exists $now->{$_} }
        sort keys %$before;
    push @wrong, map { "$_ is not new" } grep {
        ($now->{$_} // '') ne $after->{$_} } sort keys %$after
        if $status == 0;
    if (defined $now->{'current.json'}) {
        my ($file) = $now->{'current.json'} =~ /"file": "([^"]+)"/;
        push @wrong, 'the manifest names what is not there'
            unless defined $now->{$file};
        push @wrong, 'a snapshot is left that no manifest names'
            if !$killed && keys %$now > keys %$before
               && $now->{'current.json'} eq $before->{'current.json'};
    }

    return @wrong;
}

sub run {
    my (%o) = @_;
    my $pid = fork() // die "fork: $!";

    if ($pid == 0) {
        open(STDIN, '<', '/dev/null') or die;
        open(STDOUT, '>', '/dev/null') or die;
        open(STDERR, '>', "$dir/err") or die;
        alarm HANGS;
        $ENV{LD_PRELOAD} = $library if $o{fault};
        @ENV{qw(FAULT FAULT_HIT)} = ($o{fault}, "$dir/hit") if $o{fault};
        exec($tool, @{ $o{args} }) or die "$tool: $!";
    }

    return $pid;
}

# ---- a call that fails --------------------------------------------------- #

# Runs with one fault; what is wrong, and whether it was met at all.
sub faulty {
    my ($command, $call, $n) = @_;
    my $to = fresh($command);

    unlink "$dir/hit";
    waitpid(run(fault => "$call:$n", args => [ args($command, $to) ]), 0);
    my $status = $?;
    my $err = slurp("$dir/err");
    my @wrong = wrong($command, $to, $status);

    push @wrong, 'signal ' . ($status & 127) if $status & 127;
    push @wrong, 'goes unnoticed'
        if $status == 0 && -e "$dir/hit" && exists $fatal{$call};
    push @wrong, "says: $err" if $status && $err !~ /^(?:reco|.* in libarchive): .*$cause{$call}/mi;

    return (-e "$dir/hit", map { "$call:$n: $_" } @wrong);
}

for my $command (sort keys %commands) {
    for my $call (sort keys %cause) {
        for my $onwards ('', '+') {
            my ($n, $runs, $hit, @wrong) = (1, 0, 1);

            while ($hit && @wrong < 5) {
                ($hit, my @more) = faulty($command, $call, "$n$onwards");
                push @wrong, @more;
                $runs++;
                # beyond are an integral's vectors, all from one place
                $n += !$slow ? 1 + int($n / 2) : $n < 2000 ? 1 : 100;
            }
            is(join("\n", @wrong), '',
               "$command: $call$onwards fails, $runs runs");
        }
    }
}

# ---- killed -------------------------------------------------------------- #

# What is wrong once the command has run again, after one that was killed:
# nothing of that one may be left.
sub again {
    my ($command, $to) = @_;

    ok_run(args($command, $to));

    # a file that was published and not yet named keeps its number
    return ((map { "$_ stays" } grep { $_ =~ TEMP } files($to)),
            (reco('verify', $to))[0] == 0 ? () : 'verify')
        if $command eq 'publish';

    return map { "after another run: $_" } wrong($command, $to, 0);
}

# Just before the n-th of each call that changes a folder or a file.
for my $command (sort keys %commands) {
    my ($runs, $left, @wrong) = (0, 0);

    for my $call (qw(open write pwrite ftruncate fsync rename unlink flush)) {
        for (my $n = 1; @wrong < 5; $n += $slow ? 1 : 1 + int($n / 2)) {
            my $to = fresh($command);

            waitpid(run(fault => "$call:$n!", args => [ args($command, $to) ]),
                    0);
            last if $? == 0;
            $runs++;
            # what others made is first looked at in a process of its own
            push @wrong, "$call:$n: status $?" if $? != 9
                && slurp("$dir/err") !~ /reading it ends with signal 9/;
            $left += grep { $_ =~ TEMP } files($to);
            push @wrong, map { "$call:$n: $_" }
                wrong($command, $to, $?, 1), again($command, $to);
        }
    }
    is(join("\n", @wrong), '', "$command: killed before $runs calls, "
       . "$left temporary files left, each gone after the next run");
    cmp_ok($left, '>', 0, "$command: some were left");
}

# Seconds that a command takes, undisturbed.
sub duration {
    my ($command) = @_;
    my $to = fresh($command);
    my $began = time;

    waitpid(run(args => [ args($command, $to) ]), 0);

    return time - $began;
}

my $moments = $slow ? 200 : 20;
srand 1;

for my $command (sort keys %commands) {
    my $longest = duration($command);
    my ($killed, @wrong) = (0);

    for my $i (1 .. $moments) {
        my $signal = $i % 2 ? 'KILL' : 'TERM';
        my $to = fresh($command);
        my $pid = run(args => [ args($command, $to) ]);

        sleep rand $longest;
        kill $signal, $pid;
        waitpid $pid, 0;
        $killed++ if $? & 127;

        push @wrong, map { "$signal: $_" } wrong($command, $to, $?, 1);
        my @left = grep { $_ =~ TEMP } files($to);
        push @wrong, "TERM leaves @left"
            if @left && $signal eq 'TERM' && $command ne 'publish';
        push @wrong, again($command, $to);
    }

    is(join("\n", @wrong), '', "$command: killed $killed of $moments times");
}

# ---- leftovers ------------------------------------------------------------ #

{
    my $to = fresh('build');
    my $left = "$to/out.mdb.tmp-0123456789abcdef";
    my %stays = (
        held => "$to/out.mdb.tmp-0000000000000001",
        "another target's" => "$to/other.mdb.tmp-0000000000000002",
        'of a longer name' => "$to/an-out.mdb.tmp-0000000000000003",
        'no name of ours' => "$to/out.mdb.tmp-000000000000000g",
        'a fifo' => "$to/out.mdb.tmp-0000000000000004",
        'a link' => "$to/out.mdb.tmp-0000000000000005",
        "another user's" => "$to/out.mdb.tmp-0000000000000006",
    );

    spew($_, 'half') for $left, grep { !/[45]\z/ } values %stays;
    POSIX::mkfifo($stays{'a fifo'}, 0600) or die $!;
    symlink $left, $stays{'a link'} or die $!;
    delete $stays{"another user's"}
        if $> != 0 || !chown 1, 1, $stays{"another user's"};
    open(my $held, '<', $stays{held}) or die $!;
    flock($held, LOCK_EX) or die $!;

    ok_run(args('build', $to));
    ok(!-e $left, 'what a killed builder left goes');
    ok(-l $stays{$_} || -e _, "$_: stays") for sort keys %stays;
    unlink values %stays;
    close($held);
}

# Two at once on one target: one stops where it has its file but no lock on it
# yet, or where it is about to rename it; the other one runs to its end.
for my $case ([ build => 'flock:1~' ], [ build => 'rename:1~' ],
              [ baskets => 'flock:2~' ], [ baskets => 'rename:3~' ],
              [ train => 'flock:1~' ], [ train => 'rename:1~' ])
{
    my ($command, $fault) = @$case;
    my $to = fresh($command);
    my $pid = run(fault => $fault, args => [ args($command, $to) ]);

    waitpid $pid, POSIX::WUNTRACED;
    my $stopped = POSIX::WIFSTOPPED(${^CHILD_ERROR_NATIVE});
    ok_run(args($command, $to));
    kill 'CONT', $pid;
    waitpid $pid, 0;
    my $status = $?;
    is(join("\n", $stopped ? () : 'did not stop', wrong($command, $to, $?)),
       '', "$command: another one runs while it stands before its $fault");
    is($status, 0, '... and both succeed') or diag slurp("$dir/err");
}

# ---- a full disk ---------------------------------------------------------- #

SKIP: {
    my $small = "$dir/small";

    mkdir $small or die $!;
    skip 'needs a mount namespace of its own', 1
        if system('unshare -m mount -t tmpfs -o size=64k none ' . $small
                  . ' 2>/dev/null');

    # each size in a namespace whose disk goes with it
    for my $command (qw(build publish)) {
        my ($full, $done, @wrong) = (0, 0);

        for (my $kb = 16; !$done && @wrong < 5;
             $kb += $slow ? 4 : 4 + 4 * int($kb / 24))
        {
            unlink map { "$dir/seen/$_" } files("$dir/seen")
                if -d "$dir/seen";
            mkdir "$dir/seen";
            my $status = system('unshare', '-m', 'sh', '-c',
                'mount -t tmpfs -o size="$1"k none "$2" || exit 99'
                . ' ; cp -p "$3"/* "$2" 2>/dev/null || exit 98'
                . ' ; to=$2; seen=$4; err=$5; shift 5; "$@" > /dev/null 2>$err'
                . ' ; status=$?; cp -pr "$to"/. "$seen"; exit $status', 'sh',
                $kb, $small, "$dir/old-$command", "$dir/seen", "$dir/err",
                $tool, args($command, $small));

            next if $status >> 8 == 98;         # too small for the old ones
            $full++ if $status;
            $done = $status == 0;
            push @wrong, map { "$kb KiB: $_" }
                wrong($command, "$dir/seen", $status);
            my $err = slurp("$dir/err");
            push @wrong, "$kb KiB: says: $err" if $status
                && $err !~ /^reco: .*(?:No space left|memory)/m;
        }
        is(join("\n", @wrong), '', "$command: disk full, $full times");
        cmp_ok($full, '>', 0, "$command: it was full");
    }
}

done_testing();
