#!/usr/bin/perl

# What the tool writes besides snapshots, when its n-th write, flush, fsync,
# rename, open or allocation fails, when it is killed just before one, when the
# disk is full and when a file may not be larger: each file is the old one or
# the complete new one, a message says why, and a failed run leaves nothing
# else. t/tools/builder_faults.t has build, publish, train and baskets. With
# RECO_SLOW=1 every n; else a few of them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Reco::Log;
use Reco::Preload;
use Reco::Tool;
use Test::More;

plan skip_all => 'a sanitizer or valgrind has its own malloc'
    if $ENV{ASAN_OPTIONS} || $ENV{RECO_VALGRIND};

my $slow = ($ENV{RECO_SLOW} // '') eq '1';
my $dir = folder();
my $tool = $ENV{RECO_TOOL} // 'build/reco';
my $library = preload('fault');
ok($library, 'the library is built') or BAIL_OUT('no library');

use constant HANGS => 60;           # seconds
use constant OLD => 97;             # no room even for what was there
use constant TEMP => qr/\.tmp-[0-9a-f]{16}\z/;

my %cause = (
    (map { $_ => qr/memory/ } qw(malloc calloc realloc)),
    (map { $_ => qr/No space left on device/ } qw(write ftruncate flush)),
    (map { $_ => qr{Input/output error} } qw(fsync fdatasync rename)),
    open => qr/Too many open files/,
);

# ---- what is run --------------------------------------------------------- #

my $t0 = 1_700_000_000_000;
write_segment("$dir/log", 'edge-1', 1, 0, $t0, map {
    my $n = 2 * $_;
    (decision($n, $t0 + 1000 * $_, model => 'cart', actions => 2,
              customer => 'c' . $_ % 7, slate => ['match'], p => [1 / 2]),
     reward($n, $t0 + 1000 * $_ + 1, { points => $_ % 5 }, model => 'cart'))
} 1 .. 200);

spew("$dir/sales.csv", "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,"
     . "UnitPrice,CustomerID,Country\n" . join '', map {
    sprintf "%d,%d,RED MUG %d,2,2011-01-%02d 10:00:00,3.50,%d.0,Italy\n",
        1000 + $_, 10001 + $_ % 9, $_ % 9, 1 + $_ % 28, 17 + $_ % 5
} 1 .. 200);

spew("$dir/bandit.csv", ",timestamp,item_id,position,click,propensity_score,"
     . "user_feature_0,user-item_affinity_0,user-item_affinity_1\n"
     . join '', map {
    sprintf "%d,2019-11-24 00:%02d:%02d+00:00,%d,1,%d,0.5,aa,0,1\n", $_,
        $_ / 60, $_ % 60, $_ % 2, $_ % 3 == 0
} 0 .. 299);

spew("$dir/spec.json", <<'END');
{"model": "cart", "version": "1", "features": [
   {"name": "age", "type": "number", "from": ["request"]}],
 "actions": [{"id": "A"}, {"id": "B"}],
 "policy": {"type": "uniform", "slate": 1},
 "columns": {"customer": "id"}}
END
spew("$dir/people.csv", "id,age\n" . join '', map { "c$_,"
     . ($_ % 10 ? 20 + $_ % 60 : 'old') . "\n" } 1 .. 300);

sub ok_run {
    my ($status, undef, $err) = reco(@_);
    $status == 0 or BAIL_OUT("reco @_: exit $status: $err");
}

ok_run('build', "$dir/spec.json", '--out', "$dir/model.mdb");
ok_run('generate', '--out', "$dir/shop", '--customers', 400, '--items', 60);
my @shop = ('--baskets', "$dir/shop/baskets.csv", '--items',
            "$dir/shop/items.csv");

# What each writes is in TO; 'once': a second run adds to the first one's.
my %commands = (
    export => {
        args => [ qw(export --table episodes --format csv --log), "$dir/log",
                  '--out', 'TO/table.csv' ],
        files => ['table.csv'],
    },
    generate => {
        args => [ qw(generate --customers 100 --items 100 --out TO) ],
        files => [qw(baskets.csv items.csv)],
    },
    retail => {
        args => [ qw(import online-retail), "$dir/sales.csv", '--customers',
                  'TO/c.csv', '--actions', 'TO/a.csv' ],
        files => [qw(a.csv c.csv)],
    },
    bandit => {
        args => [ qw(import open-bandit), "$dir/bandit.csv", '--out', 'TO' ],
        files => [],
        once => 1,
    },
    batch => {
        args => [ 'batch', "$dir/model.mdb", '--in', "$dir/people.csv",
                  '--out', 'TO/out.csv', '--rejects', 'TO/rejects.csv',
                  '--seed', 'x' ],
        files => [qw(out.csv rejects.csv)],
    },
    calibrate => {
        args => [ qw(simulate --calibrate), @shop, '--out', 'TO/market.json' ],
        files => ['market.json'],
    },
);

sub args {
    my ($command, $to) = @_;

    return map { s/\bTO\b/$to/r } @{ $commands{$command}{args} };
}

sub fresh {
    my ($command) = @_;
    my $to = "$dir/to";

    -d $to or mkdir $to or die $!;
    unlink map { "$to/$_" } files($to);
    spew("$to/$_", "old\n") for @{ $commands{$command}{files} };

    return $to;
}

# Names of segments are drawn by chance.
sub content {
    my ($to) = @_;

    return { map { (s/\A(reco-open-bandit)-[0-9a-f]{8}/$1/r
                    => slurp("$to/$_")) } files($to) };
}

# What two runs write that no chance is in.
sub plain {
    my ($text) = @_;

    return $text =~ s/"(?:id|decision)":"[0-9a-f]{32}"//gr
        =~ s/"incarnation":"[0-9a-f]{8}"//gr =~ s/[0-9a-f]{32}//gr;
}

for my $command (sort keys %commands) {
    my $to = fresh($command);
    ok_run(args($command, $to));
    $commands{$command}{after} = content($to);
    my @same = grep { plain($commands{$command}{after}{$_}) eq "old\n" }
        keys %{ $commands{$command}{after} };
    is("@same", '', "$command: all are new");
}

# ---- judging ------------------------------------------------------------- #

sub wrong {
    my ($command, $to, $status, $killed) = @_;
    my ($c, $now, @wrong) = ($commands{$command}, content($to));

    for my $name (sort keys %$now) {
        next if $killed && ($name =~ TEMP || $name =~ /\.ndjson\.open\z/);
        my $is_old = $now->{$name} eq "old\n";
        my $is_new = exists $c->{after}{$name}
            && plain($now->{$name}) eq plain($c->{after}{$name});
        push @wrong, "$name is neither old nor new"
            unless $is_new || ($is_old && $status);
    }
    push @wrong, map { "$_ is gone" } grep { !exists $now->{$_} }
        $status ? @{ $c->{files} } : keys %{ $c->{after} };

    return @wrong;
}

# Exit status of a command with a fault, with limits of its own.
sub run {
    my ($fault, @command) = @_;
    my $pid = fork() // die "fork: $!";

    unlink "$dir/hit";

    if ($pid == 0) {
        open(STDIN, '<', '/dev/null') or die;
        open(STDOUT, '>', '/dev/null') or die;
        open(STDERR, '>', "$dir/err") or die;
        alarm HANGS;
        @ENV{qw(LD_PRELOAD FAULT FAULT_HIT)} = ($library, $fault, "$dir/hit")
            if $fault;
        exec(@command) or die "$command[0]: $!";
    }
    waitpid $pid, 0;

    return $?;
}

# ---- a call that fails, a process that is killed ------------------------- #

for my $command (sort keys %commands) {
    for my $call (sort keys %cause) {
        my ($runs, @wrong) = (0);

        for (my $n = 1; @wrong < 5;
             $n += $slow ? 1 : 1 + int($n * ($call =~ /alloc/ ? 2 : 0.5)))
        {
            my $to = fresh($command);
            my $status = run("$call:$n", $tool, args($command, $to));
            my $err = slurp("$dir/err");
            last if !-e "$dir/hit";

            $runs++;
            push @wrong, map { "$call:$n: $_" } wrong($command, $to, $status),
                ($status & 127 ? 'signal ' . ($status & 127) : ()),
                ($status && $err !~ /^(?:reco|.* in libarchive): .*$cause{$call}/mi
                 ? "says: $err" : ());
        }
        is(join("\n", @wrong), '', "$command: $call fails, $runs runs");
    }

    my ($runs, @wrong) = (0);
    for my $call (qw(open write flush fsync rename)) {
        for (my $n = 1; @wrong < 5; $n += $slow ? 1 : 1 + int($n / 2)) {
            my $to = fresh($command);
            my $status = run("$call:$n!", $tool, args($command, $to));
            last if $status == 0;
            $runs++;
            push @wrong, map { "$call:$n: $_" }
                wrong($command, $to, $status, 1);
            next if $commands{$command}{once};
            $status = run('', $tool, args($command, $to));
            push @wrong, map { "$call:$n, and again: $_" }
                wrong($command, $to, $status);
        }
    }
    is(join("\n", @wrong), '', "$command: killed before $runs calls; what was "
       . 'left goes with the next run');
}

# A segment's name follows from what is imported, and names are used once.
{
    my $to = fresh('bandit');
    my @args = args('bandit', $to);

    run('fsync:1!', $tool, @args);
    my @left = files($to);
    is(scalar(grep { /\.ndjson\.open\z/ } @left), 1, 'a killed import leaves '
       . 'its segment open');
    isnt(run('', $tool, @args), 0, '... and another one is refused');
    like(slurp("$dir/err"), qr/segment '.*\.open' exists/, '... that says so');
    is_deeply([files($to)], \@left, '... and changes nothing');
}

# ---- a full disk, a limit ------------------------------------------------ #

sub stopped {
    my ($command, $how, $cause, $run) = @_;
    my ($runs, @wrong) = (0);

    for my $kb (4, 8, 16, 32, 64) {
        my $status = $run->($kb);
        next if $status >> 8 == OLD;
        last if $status == 0;
        $runs++;
        push @wrong, "$kb: signal " . ($status & 127) if $status & 127;
        push @wrong, "$kb: says: " . slurp("$dir/err")
            unless slurp("$dir/err") =~ $cause;
        push @wrong, map { "$kb: $_" } wrong($command, "$dir/to", $status);
    }
    is(join("\n", @wrong), '', "$command: $how, $runs runs");

    return $runs;
}

SKIP: {
    my $small = "$dir/small";
    mkdir $small or die $!;

    skip 'needs a mount namespace of its own', 1
        if system("unshare -m mount -t tmpfs -o size=64k none $small "
                  . '2>/dev/null');

    my $all = 0;
    for my $command (sort keys %commands) {
        $all += stopped($command, 'the disk is full',
                        qr/No space left on device/, sub {
            my ($kb) = @_;
            my $to = fresh($command);
            return run('', 'unshare', '-m', 'sh', '-c',
                'mount -t tmpfs -o size="$1"k none "$2" || exit 99'
                . ' ; from=$2; to=$3; shift 3'
                . ' ; [ -z "$(ls "$to")" ] || cp "$to"/* "$from" || exit ' . OLD
                . ' ; "$@"; status=$?; rm -f "$to"/*'
                . ' ; cp "$from"/* "$to" 2>/dev/null; exit $status', 'sh',
                $kb, $small, $to, $tool, args($command, $small));
        });
    }
    cmp_ok($all, '>', 5, 'the disk was full now and then');
}

{
    my $all = 0;
    for my $command (sort keys %commands) {
        $all += stopped($command, 'files may not be larger',
                        qr/File too large/, sub {
            my ($kb) = @_;
            my $to = fresh($command);
            return run('', 'bash', '-c', 'trap "" XFSZ; ulimit -f $1; shift;'
                       . ' exec "$@"', 'bash', $kb, $tool,
                       args($command, $to));
        });
    }
    cmp_ok($all, '>', 2, 'the limit was met now and then');
}

done_testing();
