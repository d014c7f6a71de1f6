# Very many requests, swaps and reloads: the workers' own memory does not grow
# once they are warm, nor the master's with the reloads, and no descriptor and
# no mapped snapshot is left behind. Each round has workers of its own; its
# numbers are taken when the load has ended, since what a connection holds goes
# with it. RECO_SLOW=1: the long form.

use strict;
use warnings;

use lib 't/lib';
use JSON::PP;
use POSIX qw(WNOHANG);
use Reco::Lifecycle;
use Reco::Nginx;
use Test::More;

plan skip_all => 'wrk is missing (script/bootstrap all)'
    if system('command -v wrk >/dev/null');
plan skip_all => 'valgrind has memory of its own' if $ENV{RECO_VALGRIND};

my ($requests, $swaps, $reloads) = ($ENV{RECO_SLOW} // '') eq '1'
    ? (10_000_000, 200, 20) : (200_000, 5, 2);
my $grown_kb = 1024;
my $connections = 16;
my $rounds = $reloads + 1;
my $sanitized = $ENV{ASAN_OPTIONS};

my $n = Reco::Nginx->new(
    workers => 2,
    conf_http => 'reco_zone reco:2m; reco_node edge;'
        . ' reco_model shop models/shop check=200ms;'
        . ' reco_log log segment=8m; reco_secret secret;',
    conf_server => 'location = /decide { reco_recommend shop; }'
        . ' location = /status { reco_status json; }');
my $dir = $n->{dir};

# ---- two snapshots that take turns --------------------------------------- #

$n->write('secret', 'hash ' . '5a' x 32 . "\nsign k1 " . 'c3' x 32 . "\n");
my $csv = $n->write('customers.csv', join '', "customer,age\n",
    map { "c$_," . (18 + $_ % 60) . "\n" } 0 .. 19_999);
my $features = [ { name => 'age', type => 'number', bins => [ 30, 50 ],
    from => [ qw(request customer) ] } ];
my @snapshot = map {
    my $spec = $n->write("$_.json", spec(version => "1.$_.0",
        features => $features));
    $n->tool_run('build', $spec, '--customers', $csv, '--secret',
        $n->path('secret'), '--out', $n->path("$_.mdb"));
    $n->path("$_.mdb");
} 0, 1;
$n->folder('models/shop');

my $generation = 0;
sub swap {
    my $out = $n->tool_run('publish', '--json', $snapshot[$generation % 2],
        '--to', $n->path('models/shop'));
    $generation = decode_json($out)->{generation};
}

my $lua = $n->write('load.lua', <<'LUA');
local i = 0
function request()
    i = i + 1
    return wrk.format("GET", "/decide?customer=c" .. i * 7919 % 40000)
end
function done(summary)
    io.write(string.format("RESULT %d %d\n", summary.requests,
        summary.errors.status))
end
LUA

# ---- what a process holds ------------------------------------------------ #

sub slurp {
    my ($path) = @_;
    open my $f, '<', $path or return '';
    local $/;
    return scalar(<$f>) // '';
}

sub holds {
    my ($pid) = @_;
    my ($kb) = slurp("/proc/$pid/status") =~ /^RssAnon:\s+(\d+)/m;
    my @fds = glob "/proc/$pid/fd/*";
    my %maps = map { $_ => 1 } slurp("/proc/$pid/maps") =~ m{(\S+\.mdb.*)$}mg;
    return { kb => $kb, fds => scalar @fds, maps => scalar keys %maps };
}

sub most {
    my ($what, @held) = @_;
    my ($most) = sort { $b <=> $a } map { $_->{$what} } @held;
    return $most;
}

# When nobody is connected any more but the one who asks.
sub workers_hold {
    $n->wait_for(sub {
        !grep {
            my $pid = $_;
            grep { (readlink($_) // '') =~ /^socket:/
                && is_client($pid, $_) } glob "/proc/$pid/fd/*";
        } $n->worker_pids;
    }) or diag 'connections are left';
    return map { holds($_) } $n->worker_pids;
}

# An established connection to our port.
sub is_client {
    my ($pid, $fd) = @_;
    my ($inode) = (readlink($fd) // '') =~ /\[(\d+)\]/ or return 0;
    my $port = sprintf '%04X', $n->{port};
    return slurp("/proc/$pid/net/tcp")
        =~ /^\s*\d+:\s\w+:$port\s\w+:\w+\s0[18]\s.*\s$inode\s/m;
}

# ---- the load ------------------------------------------------------------ #

my ($answered, $failed) = (0, 0);

sub made { return counter($n, 'events', 'decisions_made') }

# Asks until so many decisions were made in all; $between is called again and
# again meanwhile.
sub load_until {
    my ($target, $between) = @_;
    my $pid = open my $out, '-|', 'wrk', '-t1', "-c$connections", '-d1h',
        '--timeout', '60s', '-s', $lua, "http://127.0.0.1:$n->{port}"
        or die "wrk: $!";
    my $reached = $n->wait_for(sub {
        $between->() if $between;
        made() >= $target;
    }, $requests / 1000);
    kill 'INT', $pid;
    my $said = join '', <$out>;
    close $out;
    my ($count, $errors) = $said =~ /^RESULT (\d+) (\d+)$/m;
    $answered += $count // 0;
    $failed += $errors // 1;
    return $reached;
}

# ---- rounds -------------------------------------------------------------- #

swap();
$n->start;
$n->wait_generation('shop', $generation);

my ($done, @warm, @cold, @master) = (0);
for my $round (1 .. $rounds) {
    my $share = $requests / $rounds;
    my $begin = made();

    # warm: after a fifth of the round, with a swap in it
    my $swapped = 0;
    load_until($begin + $share / 5, sub {
        return if $swapped++ || $done >= $swaps;
        swap();
        $done++;
    }) or fail "round $round: a fifth";
    $n->wait_generation('shop', $generation);
    push @warm, [ workers_hold() ];

    my $wanted = int($swaps * $round / $rounds + 0.5);
    my $waiting = 0;
    load_until($begin + $share, sub {
        $waiting = 0 if $waiting && $n->wait_generation('shop', $generation);
        return if $waiting || $done >= $wanted;
        swap();
        $done++;
        $waiting = 1;
    }) or fail "round $round: to its end";
    while ($done < $wanted) {
        $n->wait_generation('shop', $generation);
        swap();
        $done++;
    }
    $n->wait_generation('shop', $generation)
        or fail "round $round: generation $generation";
    push @cold, [ workers_hold() ];
    push @master, holds($n->{pid});

    unlink glob "$dir/log/*.ndjson";    # closed ones: the disk is not ours
    $n->reload(1) or fail "reload $round" if $round < $rounds;
}

cmp_ok made(), '>=', $requests, made() . ' decisions';
is $done, $swaps, "$swaps swaps";
is $failed, 0, "none of $answered answers was an error";

my $grown = 0;
for my $round (0 .. $#cold) {
    my $kb = most('kb', @{ $cold[$round] }) - most('kb', @{ $warm[$round] });
    $grown = $kb if $kb > $grown;
}
my $aged = most('kb', @{ $cold[-1] }) - most('kb', @{ $cold[0] });
my $master = $master[-1]{kb} - $master[0]{kb};

diag "own memory, kB: a worker's growth $grown at most, between the first and"
    . " the last round $aged, the master's $master"
    if ($ENV{RECO_SLOW} // '') eq '1';

SKIP: {
    skip 'a sanitizer keeps what was freed', 3 if $sanitized;
    cmp_ok $grown, '<', $grown_kb, 'a worker that is warm does not grow';
    cmp_ok $aged, '<', $grown_kb, 'nor do those of a later round';
    cmp_ok $master, '<', $grown_kb, 'nor the master with the reloads';
}

my %fds = map { $_->{fds} => 1 } map { @$_ } @warm, @cold;
is scalar keys %fds, 1, 'the same number of descriptors all along: '
    . join ' ', sort keys %fds;
is most('maps', map { @$_ } @warm, @cold), 1, 'one snapshot mapped at a time';
is $master[-1]{fds}, $master[0]{fds}, 'the master has as many as before';

ok $n->stop, 'stop';
$n->ok_log;

done_testing;
