# How much room segments take, how long they stay, and what becomes of records
# when the room is used up: keep=, max= and full= of reco_log.

use strict;
use warnings;

use lib 't/lib';
use Fcntl qw(:flock);
use JSON::PP;
use List::Util qw(max sum0);
use Reco::Lifecycle;
use Reco::Nginx;
use Test::More;
use Time::HiRes qw(sleep);

my $MAX = 65536;
my $long = ($ENV{RECO_SLOW} // '') eq '1';

sub server {
    my ($log, %o) = @_;
    my $n = Reco::Nginx->new(
        conf_http => 'reco_zone reco:2m; reco_node edge;'
            . " reco_model shop models/shop check=1s; reco_log log $log;",
        conf_server => 'location = /decide { reco_recommend shop; }'
            . ' location = /reward { reco_reward shop; }'
            . ' location = /health { reco_health shop format=cart; }'
            . ' location = /metrics { reco_status prometheus; }'
            . ' location = /status { reco_status json; }', %o);
    publish($n);
    return $n;
}

sub closed { my @files = sort glob $_[0]->path('log/*.ndjson'); return @files }
sub ids    { map { $_->{id} } $_[0]->decisions }
sub event  { counter($_[0], 'events', $_[1]) }
sub none_open { !(() = glob $_[0]->path('log/*.open')) }

# Asks until an answer is unlogged; all answers.
sub fill {
    my ($n) = @_;
    my @answers;
    do {
        push @answers, decide($n, 'c' x 200);
    } while (!$answers[-1]{unlogged} && @answers < 3000);
    return @answers;
}

my $full = qr/\[crit\].*event log in .*: cannot write: .*: log is full\b/;
my $dropped = qr/\[warn\].*is full: dropped (\d+) segment\(s\), (\d+) bytes/;
my $no_room = qr/\[crit\].*is larger than max: .*no room could be made/;

# Segments and bytes that the error log says were dropped.
sub told {
    my ($log, @sum) = ($_[0]->error_log, 0, 0);
    while ($log =~ /$dropped/g) { $sum[0] += $1; $sum[1] += $2 }
    return @sum;
}

# ---- full=stop ------------------------------------------------------------- #

my $n = server('segment=4k max=64k');
$n->start;

my @answers = fill($n);
my $last = $answers[-1];
is $last->{http}, 200, 'stop: a decision is answered';
is $last->{unlogged}, 1, 'stop: unlogged, after ' . @answers;
cmp_ok bytes($n), '<=', $MAX, 'stop: no more than max';
cmp_ok bytes($n), '>', $MAX - 2048, 'stop: and not two records less';
is $n->json('POST', '/reward',
    { decision => $last->{decision}, facts => { click => 1 } })->{status}, 503,
    'stop: a reward is refused';
is $n->request('GET', '/health')->{status}, 503, 'stop: health says so';
cmp_ok event($n, 'unlogged_decisions'), '>=', 1, 'stop: counted';
cmp_ok counter($n, 'errors', 'log_full'), '>=', 1, 'stop: with its reason';
is scalar(() = $n->error_log =~ /$full/g), 1, 'stop: told once';
like $n->error_log, qr/its segments take \d+ bytes of max=65536/,
    'stop: with the figures';
ok $n->wait_for(sub { none_open($n) }),
    'stop: all segments are closed, to be shipped';
is event($n, 'log_segments_dropped'), 0, 'stop: none is dropped';
ok $n->wait_for(sub { status($n)->{log}{bytes} == bytes($n) }),
    'stop: the status has the bytes that are there';
is status($n)->{log}{max_bytes}, $MAX, 'stop: and those that may be';
my $metrics = $n->request('GET', '/metrics')->{body};
like $metrics, qr/^reco_log_bytes @{[bytes($n)]}$/m, 'stop: as a metric too';
like $metrics, qr/^reco_log_max_bytes 65536$/m, 'stop: both of them';

my @segments = closed($n);
my %logged = map { $_ => 1 } ids($n);
is scalar(grep { !$_->{unlogged} && !$logged{ $_->{decision} } } @answers), 0,
    'stop: what was not marked is in the log';
is scalar(grep { $_->{unlogged} && $logged{ $_->{decision} } } @answers), 0,
    'stop: what was marked is not';

# a shipper that takes the mark along does no harm
unlink @segments[0 .. 3], $n->path('log/.reco-log');
my $a;
ok $n->wait_for(sub { $a = decide($n); !$a->{unlogged} }, 15),
    'stop: heals when there is room';
ok -e $n->path('log/.reco-log'), 'stop: the mark is there again';
ok $n->stop, 'stop: the end';
is scalar(grep { $_ eq $a->{decision} } ids($n)), 1, 'stop: and is logged';
like $n->error_log, qr/event log is written again, [1-9]\d* record\(s\) were not written/,
    'stop: told';

# what was there before counts, from the first record on, though nobody can look
open my $looking, '<', $n->path('log/.reco-log') or die $!;
flock $looking, LOCK_EX or die $!;
fill_up($n->path('log/reco-edge-00000001-000000.ndjson'), $MAX - bytes($n) - 10);
$n->start;
is decide($n)->{unlogged}, 1, 'stop: what an earlier nginx left counts';
cmp_ok bytes($n), '<=', $MAX, 'stop: from the first record on';
close $looking;
ok $n->stop, 'stop: the end of it';
$n->ok_log(allow => [ $full ]);

sub fill_up {
    my ($file, $size) = @_;
    open my $f, '>', $file or die "$file: $!";
    print {$f} 'x' x ($size - 1), "\n";
    close $f;
    my $user = Reco::Nginx::worker_user();
    chown((getpwnam $user)[2, 3], $file) if $user;
    return $file;
}

# ---- full=stop: what waits for its sync is not told to be lost --------------- #

SKIP: {
    $n = server('segment=4k max=64k sync=always');
    my $hang = $n->path('hang');
    my $preload = slow_disk($hang)
        or skip 'no disk that hangs', 4;
    {
        local $ENV{LD_PRELOAD} = $preload;
        $n->start;
    }
    while (bytes($n) < $MAX - 1500) { decide($n, 'c' x 200) }
    open my $f, '>', $hang or die $!;
    close $f;
    my @clients = map { $n->client } 1 .. 30;
    $_->send("GET /decide?customer=c HTTP/1.1\r\nHost: a\r\n\r\n")
        for @clients;
    ok $n->wait_for(sub {
        $n->request('GET', '/health');
        counter($n, 'errors', 'log_full') >= 2;
    }, 15),
        'stop, sync: full, while records wait for their sync';
    unlink $hang;
    my (%marked, %ids);
    for (@clients) {
        my $a = $_->response or next;
        my $id = decode_json($a->{body})->{decision};
        $ids{$id} = $a->{headers}{'reco-unlogged'} ? 1 : 0;
    }
    is scalar(keys %ids), 30, 'stop, sync: each is answered';
    ok $n->stop, 'stop, sync: the end';
    my %there = map { $_ => 1 } ids($n);
    is scalar(grep { $ids{$_} == ($there{$_} // 0) } keys %ids), 0,
        'stop, sync: those are marked that are not in the log';
    $n->ok_log(allow => [ $full ]);
}

# ---- full=stop: exact, however many write and whatever is taken away -------- #

$n = server('segment=4k age=200ms max=64k', workers => 2);
$n->start;
my @loads = map { begin_load($n) } 1 .. 3;
my ($rounds, $most, $shipped) = ($long ? 40 : 4, 0, 0);
for (1 .. $rounds) {
    my $refused = counter($n, 'errors', 'log_full');
    $most = max($most, most($n, sub {
        counter($n, 'errors', 'log_full') > $refused + 2;
    }));
    my @ship = closed($n);
    $n->reload(1) if $_ % 2;
    $shipped += unlink @ship;
}
my @seen = map { end_load($_) } @loads;
cmp_ok $most, '<=', $MAX, "two workers: never more than max, $most at most";
cmp_ok $shipped, '>=', 10 * $rounds, 'two workers: and almost as much';
is scalar(grep { $_->{status} != 200 } @seen), 0,
    'two workers: each request is answered';
my $written = event($n, 'decisions_made') - event($n, 'unlogged_decisions');
cmp_ok $written, '>', 0, "two workers: $written logged";
ok $n->stop, 'two workers: the end';
$n->ok_log(allow => [ $full ]);

# ---- full=stop: what a worker without requests has open --------------------- #

$n = server('segment=16k max=64k', workers => 2);
$n->start;
my %of;    # segment -> a connection to who writes it
for (1 .. 200) {
    my $c = $n->client;
    my %was = map { $_ => -s } glob $n->path('log/*.open');
    asks($c);
    my ($grown) = grep { -s > ($was{$_} // 512) }    # a header is no record
        glob $n->path('log/*.open');
    $of{$grown} //= $c if $grown;
    last if keys %of == 2;
}
my ($idle, $busy) = sort keys %of;
my $asked = 0;
1 until asks($of{$busy})->{headers}{'reco-unlogged'} || ++$asked > 3000;
cmp_ok $asked, '<', 3000, 'stop: one of two workers finds the log full';
ok $n->wait_for(sub { asks($of{$busy}); !-e $idle }, 40),
    'stop: the other one closes its segment too, though nobody asks it';
ok -e $idle =~ s/\.open$//r, 'stop: and what it holds can be shipped';
ok $n->stop, 'stop: the end of both';
$n->ok_log(allow => [ $full ]);

sub asks {
    my ($client) = @_;
    $client->send("GET /decide?customer=@{['c' x 200]} HTTP/1.1\r\n"
        . "Host: a\r\n\r\n");
    return $client->response;
}

# ---- full=drop, and who is not dropped ------------------------------------- #

$n = server('segment=4k max=64k full=drop');
$n->start;
decide($n, 'c' x 200) for 1 .. 25;
$n->wait_for(sub { closed($n) >= 2 });
my ($first, $second) = closed($n);
open my $held, '<', $first or die "$first: $!";
flock $held, LOCK_SH or die $!;

my $other = $n->write('log/reco-edge-1-00000001-000000.ndjson', 'x' x 80000);
my $alike = $n->write('log/reco-edge-1.ndjson', 'x' x 80000);

my @ids = map { my $d = decide($n, 'c' x 200);
    $d->{unlogged} ? () : $d->{decision} } 1 .. 400;
is scalar(@ids), 400, 'drop: every decision is logged';
ok $n->wait_for(sub { bytes($n) - 160000 <= $MAX }, 60),
    'drop: no more than max, in the end';
cmp_ok bytes($n) - 160000, '>', $MAX - 3 * 5120, 'drop: and not much less';
ok -e $first, 'drop: one that is held stays';
ok !-e $second, 'drop: the next one goes for all that';
ok -e $other, "drop: another node's stay";
ok -e $alike, 'drop: and what is no segment';

close $held;
decide($n, 'c' x 200) for 1 .. 40;
ok $n->wait_for(sub { !-e $first }), 'drop: let go of, it goes';

ok $n->stop, 'drop: the end';
unlink $other, $alike;
my ($gone) = told($n);
cmp_ok $gone, '>', 20, 'drop: each is told of';
my ($number) = (closed($n))[0] =~ /-(\d{6})\.ndjson$/;
is $gone, 0 + $number, 'drop: those before the first that is left';
my @left = grep { $_->{type} eq 'decision' } $n->events;
is $left[-1]{seq} - $left[0]{seq} + 1, scalar(@left), 'drop: no hole';
is scalar(() = $n->error_log =~ /cannot write/g), 0, 'drop: and nothing else';
$n->ok_log(allow => [ $no_room ]);    # where the disk takes seconds to sync

# ---- full=drop: counters; two workers -------------------------------------- #

$n = server('segment=4k max=64k full=drop', workers => 2);
$n->start;
@loads = map { begin_load($n) } 1 .. 2;
my $enough = $long ? 1000 : 10;
ok $n->wait_for(sub { event($n, 'log_segments_dropped') >= $enough },
    30 + $enough), "two workers: they drop $enough";
@seen = map { end_load($_) } @loads;
is event($n, 'unlogged_decisions'), 0, 'two workers: no decision is unlogged';
ok $n->wait_for(sub { event($n, 'log_segments_dropped') == (told($n))[0] }),
    'two workers: as many are told of as counted';
is event($n, 'log_dropped_bytes'), (told($n))[1],
    'two workers: and their bytes';
$n->signal('USR1');
ok $n->wait_for(sub { none_open($n) }), 'two workers: all closed';
ok $n->wait_for(sub {
    event($n, 'log_segments_closed') - closed($n)
        == event($n, 'log_segments_dropped');
}), 'two workers: none is counted twice';
ok $n->stop, 'two workers: the end';
$n->ok_log(allow => [ $no_room ]);

# ---- full=drop: segments wait for their sync -------------------------------- #

SKIP: {
    $n = server('segment=4k max=64k full=drop');
    my $slow_file = $n->path('hang');
    my $preload = slow_disk($slow_file)
        or skip 'no disk that hangs', 6;
    {
        local $ENV{LD_PRELOAD} = $preload;
        $n->start;
    }
    decide($n);

    open my $f, '>', $slow_file or die $!;
    close $f;
    $a = 0;
    $a += decide($n, 'c' x 200)->{unlogged} // 0 for 1 .. 200;
    is $a, 0, 'no sync: every decision is logged';
    cmp_ok bytes($n), '>', $MAX, 'no sync: nothing can be dropped yet';
    ok $n->wait_for(sub { $n->error_log =~ $no_room }, 20),
        'no sync: that is told';
    unlink $slow_file;
    ok $n->wait_for(sub { bytes($n) <= $MAX }, 15), 'synced: dropped';
    ok $n->stop, 'no sync: the end';
    $n->ok_log(allow => [ $no_room ]);
}

# ---- full=drop: what should go is held -------------------------------------- #

$n = server('segment=4k max=64k full=drop');
$n->start;
decide($n);
my $big = fill_up($n->path('log/reco-edge-00000001-000000.ndjson'), 70000);
open $held, '<', $big or die $!;
flock $held, LOCK_SH or die $!;
ok $n->wait_for(sub { decide($n); $n->error_log =~ $no_room }, 30),
    'held: told that no room could be made';
is decide($n)->{unlogged}, undef, 'held: it is written on';
cmp_ok counter($n, 'errors', 'log_remove'), '>=', 1, 'held: counted';
like $n->error_log, qr/take \d+ bytes of max=65536, 1 of them are held/,
    'held: with the figures';
is scalar(() = $n->error_log =~ /$no_room/g), 1, 'held: once';
close $held;
ok $n->wait_for(sub { !-e $big }, 15), 'held: let go of, it goes';
ok $n->stop, 'held: the end';
$n->ok_log(allow => [ $no_room ]);

# the folder itself is held: by a tool that hangs
$n = server('segment=4k max=64k full=drop');
$n->start;
decide($n);
open $held, '<', $n->path('log/.reco-log') or die $!;
flock $held, LOCK_EX or die $!;
my $barred = qr/\[crit\].*cannot look after its size: '.*\.reco-log' is held/;
ok $n->wait_for(sub { decide($n, 'c' x 200); $n->error_log =~ $barred }, 30),
    'mark held: told that nothing can be removed';
fill_up($n->path('log/reco-edge-00000001-000000.ndjson'), 70000);
is decide($n)->{unlogged}, undef, 'mark held: it is written on';
close $held;
ok $n->wait_for(sub { bytes($n) <= $MAX }, 15), 'mark let go of: dropped';
is scalar(() = $n->error_log =~ /$barred/g), 1, 'mark held: told once';
ok $n->stop, 'mark held: the end';
$n->ok_log(allow => [ $no_room, $barred ]);

SKIP: {
    my $user = Reco::Nginx::worker_user();
    skip 'needs a master that is root', 6 unless $user;
    $n = server('segment=4k max=64k full=drop');
    $n->start;
    decide($n);
    $big = fill_up($n->path('log/reco-edge-00000001-000000.ndjson'), 70000);
    chown 0, 0, $big;
    chmod 0600, $big;
    my $why = qr/cannot look after its size: cannot open .*: Permission denied/;
    ok $n->wait_for(sub { decide($n); $n->error_log =~ $why }, 30),
        'no permission: told';
    is decide($n)->{unlogged}, undef, 'no permission: it is written on';
    ok -e $big, 'no permission: it stays';
    cmp_ok counter($n, 'errors', 'log_remove'), '>=', 1,
        'no permission: counted';
    ok $n->stop, 'no permission: the end';
    $n->ok_log(allow => [ $why ]);
}

# ---- a reload with other values --------------------------------------------- #

$n = server('segment=4k max=256k full=drop');
$n->start;
decide($n, 'c' x 200) for 1 .. 300;
cmp_ok bytes($n), '>', 2 * $MAX, 'reload: more than the next max';
my $http = $n->{conf_http};
$n->configure(conf_http => $http =~ s/256k/64k/r);
ok $n->reload(1), 'reload: a smaller max';
ok $n->wait_for(sub { bytes($n) <= $MAX }, 15), 'reload: is kept to';
ok $n->wait_for(sub { event($n, 'log_segments_dropped') > 10 }),
    'reload: by dropping';

$n->configure(conf_http => $http =~ s/256k full=drop/16k/r);
ok $n->reload(1), 'reload: stop';
is decide($n)->{unlogged}, 1, 'reload: at once, from the first record on';

$n->folder('other');
$n->configure(conf_http => $http =~ s/log log/log other/r);
ok $n->reload(1), 'reload: another folder';
is decide($n)->{unlogged}, undef, 'reload: has its own room';
is status($n)->{log}{bytes}, bytes($n, 'other'), 'reload: and count';

$n->configure(conf_http => $http =~ s/256k full=drop/16k/r);
ok $n->reload(1), 'reload: back';
is decide($n)->{unlogged}, 1, 'reload: the first one is still full';

$n->configure(conf_http => $http =~ s/256k full=drop/1m/r);
ok $n->reload(1), 'reload: a larger max';
ok $n->wait_for(sub { grep { $_->{type} eq 'lost' } $n->events }),
    'reload: is for the worker that leaves too, which says what it lost';
is decide($n)->{unlogged}, undef, 'reload: and is written to';
ok $n->stop, 'reload: the end';
$n->ok_log(allow => [ $full, $no_room ]);

# one that nginx refuses after it has set up the zone
$n = server('segment=4k max=64k');
$n->start;
$http = $n->{conf_http};
$n->configure(conf_http => $http =~ s/max=64k/max=1m/r,
    conf_servers => 'server { listen 192.0.2.1:80; }');    # nobody's address
$n->signal('HUP');
my $refused = qr/\[emerg\].*bind\(\) to 192\.0\.2\.1:80 failed/;
ok $n->wait_for(sub { $n->error_log =~ $refused }, 20), 'reload: refused';
is((fill($n))[-1]{unlogged}, 1, 'reload: the log gets full');
cmp_ok bytes($n), '<=', $MAX, 'reload: at the max that it had';
ok $n->stop, 'reload: the end of the refused one';
$n->ok_log(allow => [ $full, $refused ]);

# nobody looked as long as there was no max
$n = server('segment=4k');
$n->start;
decide($n, 'c' x 200) for 1 .. 300;
$n->signal('USR1');
ok $n->wait_for(sub { none_open($n) }), 'reload: without max';
cmp_ok bytes($n), '>', 2 * $MAX, 'reload: more than the max to come';
unlink closed($n);
$n->configure(conf_http => $n->{conf_http} =~ s/segment=4k/$& max=64k/r);
ok $n->reload(1), 'reload: a max, and all was shipped before';
is decide($n)->{unlogged}, undef, 'reload: there is room at once';
ok $n->wait_for(sub { status($n)->{log}{bytes} == bytes($n) }),
    'reload: what is there is counted';
ok $n->stop, 'reload: the end of it';
$n->ok_log;

# ---- keep ------------------------------------------------------------------- #

# A segment that was written long before, of a node; {last} its record's age,
# {file} the file's, in seconds.
my ($header, $decision);
sub old_segment {
    my ($n, $name, %o) = @_;
    my $time = sub { int((time - $_[0]) * 1000) };
    my %record = (%$decision, time => $time->($o{last}));
    my $file = $n->write("log/$name",
        encode_json($header) . "\n" . encode_json(\%record) . "\n");
    my $user = Reco::Nginx::worker_user();
    chown((getpwnam $user)[2, 3], $file) if $user;
    utime time - $o{file}, time - $o{file}, $file;
    return $file;
}

$n = server('');
$n->start;
decide($n);
ok $n->stop, 'keep: a record, to make others from';
($header) = grep { $_->{type} eq 'segment' } $n->events;
($decision) = $n->decisions;
delete $_->{file} for $header, $decision;

my $day = 86400;
my %file = (
    'long ago' => old_segment($n, 'reco-edge-00000001-000000.ndjson',
        last => 2 * $day, file => 2 * $day),
    'a moment more than kept' => old_segment($n,
        'reco-edge-00000002-000000.ndjson', last => $day + 60,
        file => $day + 60),
    'a moment less than kept' => old_segment($n,
        'reco-edge-00000003-000000.ndjson', last => $day - 60,
        file => 2 * $day),
    'a file that was touched' => old_segment($n,
        'reco-edge-00000004-000000.ndjson', last => 2 * $day, file => 0),
    "another node's" => old_segment($n, 'reco-edge-1-00000001-000000.ndjson',
        last => 2 * $day, file => 2 * $day),
    'no segment' => old_segment($n, 'reco-edge-00000005.ndjson',
        last => 2 * $day, file => 2 * $day),
);
$http = $n->{conf_http};
$n->configure(conf_http => $http =~ s/reco_log log /$&keep=1d /r);
my $size = sum0 map { -s } @file{'long ago', 'a moment more than kept'};
$n->start;
ok $n->wait_for(sub { event($n, 'log_segments_expired') == 2 }),
    'keep: two segments are too old';
is event($n, 'log_expired_bytes'), $size, 'keep: their bytes are counted';
for my $name (sort keys %file) {
    my $goes = $name =~ /^long ago|more than/;
    is -e $file{$name} ? 1 : 0, $goes ? 0 : 1,
        "keep: $name " . ($goes ? 'goes' : 'stays');
}
ok $n->wait_for(sub {
    $n->error_log =~ /\[notice\].*removed 2 segment\(s\), $size bytes, older/;
}), 'keep: told';
ok $n->stop, 'keep: the end';
$n->ok_log;

# a segment of its own, in time, and without a zone
$n = server('keep=1s');
$n->configure(conf_http => $n->{conf_http} =~ s/reco_zone reco:2m;//r);
$n->start;
decide($n);
$n->signal('USR1');
ok $n->wait_for(sub { closed($n) == 1 }), 'keep: without a zone, closed';
ok $n->wait_for(sub { closed($n) == 0 }, 15),
    'keep: one that grows old while nginx runs is gone';
ok $n->wait_for(sub {
    $n->error_log =~ /\[notice\].*removed 1 segment\(s\)/;
}), 'keep: and told';
ok $n->stop, 'keep: the end of it';
$n->ok_log;

# a folder that holds no record yet has no past
$n = server('keep=1s segment=4k max=64k');
$n->start;
ok $n->wait_for(sub { status($n)->{log}{bytes} == 512 }), 'unused: a header';
ok $n->reload(1), 'unused: a reload';
ok !-e $n->path('log/.reco-log'), 'unused: no mark';
ok $n->stop, 'unused: the end';
is bytes($n), 0, 'unused: no segment';
$n->ok_log;

done_testing;
