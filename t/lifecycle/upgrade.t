# A binary upgrade (USR2, then WINCH and QUIT to the old master) and the way back
# (HUP to the old one, QUIT to the new): two masters with a zone each write to
# one folder. What a client saw is in the log, once; nobody recovers what the
# other's workers write; what each zone knows of the other. And reloads that
# change the zone's size or max=, which are the same with two zones.
# One upgrade and one way back; ten of each in the long form (RECO_SLOW=1).

use strict;
use warnings;

use lib 't/lib';
use List::Util qw(max);
use Reco::Lifecycle;
use Reco::Nginx;
use Test::More;
use Time::HiRes qw(sleep);

plan skip_all => 'valgrind does not follow nginx into another binary'
    if $ENV{RECO_VALGRIND};

my $rounds = ($ENV{RECO_SLOW} // '') eq '1' ? 10 : 1;
my $MAX = 65536;

my $owner = $$;
my (@clients, %masters);
END {
    if ($owner && $owner == $$) {
        kill 'KILL', map { $_->{pid} } @clients;
        kill 'TERM', grep { Reco::Nginx::lives($_) } keys %masters;
    }
}

sub server {
    my ($log, %o) = @_;
    my $n = Reco::Nginx->new(
        daemon => 1, conf_main => 'worker_shutdown_timeout 30s;',
        conf_http => 'reco_zone reco:2m; reco_node edge;'
            . " reco_model shop models/shop check=1s; reco_log log $log;",
        conf_server => 'keepalive_requests 100000;'
            . ' location = /decide { reco_recommend shop; }'
            . ' location = /reward { reco_reward shop; }'
            . ' location = /status { reco_status json; }', %o);
    publish($n);
    $n->start;
    $masters{ $n->pid } = 1;
    # a signal that comes before them they would take for theirs
    $n->wait_for(sub { workers_of($n, $n->pid) >= $n->{workers} });
    $n->wait_generation(shop => 1);
    return $n;
}

sub closed { glob $_[0]->path('log/*.ndjson') }

# ---- what nginx's documentation tells an operator to do --------------------- #

# USR2: another master, whose workers serve; {old} is the one before.
sub upgrade {
    my ($n) = @_;
    my $old = $n->pid;
    $n->signal('USR2');
    my $new = $n->wait_for(sub {
        $n->read('nginx.pid') =~ /^(\d+)\n/ && $1 != $old && $1;
    }, 20) or return fail 'another master';
    $masters{$new} = 1;
    @$n{qw(pid old)} = ($new, $old);
    return $n->wait_for(sub { workers_of($n, $new) >= $n->{workers} })
        && $n->wait_generation(shop => 1);
}

sub workers_of {
    my ($n, $master, $all) = @_;
    local $n->{pid} = $master;
    my @pids = $n->worker_pids($all);
    return @pids;
}

sub winch {
    my ($n) = @_;
    $n->signal('WINCH', $n->{old});
    return $n->wait_for(sub { !workers_of($n, $n->{old}, 1) }, 30);
}

sub ends {
    my ($n, $master) = @_;
    $n->signal('QUIT', $master);
    return $n->wait_for(sub { !Reco::Nginx::lives($master) }, 30);
}

# the old master's workers again, and the new one away
sub back {
    my ($n) = @_;
    my ($new, $old) = @$n{qw(pid old)};
    $n->signal('HUP', $old);
    $n->wait_for(sub { workers_of($n, $old) >= $n->{workers} }) or return 0;
    ends($n, $new) or return 0;
    $n->{pid} = $old;
    return $n->wait_for(sub { $n->read('nginx.pid') eq "$old\n" });
}

# Which writers' segments these processes have open.
sub writers {
    my %writers;
    for my $pid (@_) {
        for my $fd (glob "/proc/$pid/fd/*") {
            $writers{$1} = 1
                if (readlink($fd) // '') =~ m{/log/reco-edge-([0-9a-f]{8})-};
        }
    }
    return sort keys %writers;
}

# ---- load -------------------------------------------------------------------- #

# A client that decides, rewards each decision and each tenth customer by name,
# every request on a connection of its own, and writes down what it saw.
sub client {
    my ($n, $number) = @_;
    return begin_client(sub {
        my ($out, $i) = @_;
        my $reward = sub {
            my ($key, %of) = @_;
            my $a = eval { $n->json('POST', '/reward',
                { %of, key => $key, facts => { click => 1 } }) } || {};
            my $status = $a->{status} // 0;
            print {$out} $status == 200 ? "r $key\n" : "- reward $status\n";
        };
        my $a = eval { decide($n, "c$number-$i") } || {};
        if (($a->{http} // 0) != 200 || $a->{unlogged} || !$a->{generation}) {
            print {$out} '- decision ', $a->{http} // 0, ' ',
                $a->{generation} // '', "\n";
            return;
        }
        print {$out} "d $a->{decision}\n";
        $reward->("$number-$i", decision => $a->{decision});
        $reward->("n$number-$i", customer => "c$number-$i") if $i % 10 == 0;
        sleep 0.001;
    });
}

sub await_more {
    my ($n, $more) = @_;
    my $before = seen_by(@clients);
    return $n->wait_for(sub { $before + $more < seen_by(@clients) }, 20);
}

# What the log is to hold of these answers, after the end.
sub whole {
    my ($n, $name, @seen) = @_;
    my (%times, %seqs, %segments, %decision, %reward, @lost);
    for my $e ($n->events) {
        my ($writer, $number) =
            $e->{file} =~ /-([0-9a-f]{8})-(\d+)\.ndjson/;
        $segments{$writer}{ 0 + $number } = 1;
        next if $e->{type} eq 'segment';
        push @{ $seqs{$writer} }, $e->{seq};
        $decision{ $e->{id} }++ if $e->{type} eq 'decision';
        $reward{ $e->{key} }++ if $e->{type} eq 'reward';
        push @lost, $e if $e->{type} eq 'lost';
    }
    my @d = map { /^d (\S+)/ } @seen;
    my @r = map { /^r (\S+)/ } @seen;
    my %twice;
    $twice{$_}++ for @d;
    is_deeply [ grep { /^-/ } @seen ], [], "$name: " . @d . ' decisions, '
        . @r . ' rewards, all answered, none unlogged or a fallback';
    is_deeply [ grep { $twice{$_} > 1 } keys %twice ], [],
        "$name: no id is given twice";
    is_deeply [ grep { !$decision{$_} } @d ], [],
        "$name: no decision is missing";
    is_deeply [ grep { !$reward{$_} } @r ], [], "$name: no reward is missing";
    is_deeply [ grep { $decision{$_} > 1 } keys %decision ], [],
        "$name: no decision is doubled";
    is_deeply [ grep { $reward{$_} > 1 } keys %reward ], [],
        "$name: no reward is doubled";
    is_deeply \@lost, [], "$name: no note of anything lost";
    is_deeply [ grep {
        my @s = sort { $a <=> $b } @{ $seqs{$_} };
        "@s" ne join ' ', 1 .. @s;
    } keys %seqs ], [], "$name: numbers without a hole, of "
        . keys(%seqs) . ' writers';
    is_deeply [ grep {
        my @s = sort { $a <=> $b } keys %{ $segments{$_} };
        "@s" ne join ' ', 0 .. $#s;
    } keys %segments ], [], "$name: and so are their segments";
    is_deeply [ glob $n->path('log/*.open') ], [], "$name: none is left open";
    unlike $n->error_log, qr/reco: recovered/,
        "$name: nobody took another's segment for abandoned";
}

# ---- upgrades under load ------------------------------------------------------ #

for my $sync ('', 'sync=always') {
    my $name = $sync || 'sync=off';
    my $n = server("segment=16k max=1g $sync", workers => 2);
    my %of;    # writer -> the master whose it is

    # The writers of both masters, while both serve.
    my $both = sub {
        for my $master (@$n{qw(pid old)}) {
            $of{$_}{$master} = 1 for writers(workers_of($n, $master));
        }
        return await_more($n, 60);
    };
    @clients = map { client($n, $_) } 1 .. 3;
    for (1 .. $rounds) {
        ok await_more($n, 30) && upgrade($n) && $both->(),
            "$name: upgrade: two masters serve";
        ok winch($n) && await_more($n, 30), "$name: the new one alone";
        ok back($n) && await_more($n, 30), "$name: back to the old one";
        ok upgrade($n) && $both->() && winch($n) && ends($n, $n->{old})
            && await_more($n, 30), "$name: upgraded";
        is_deeply [ grep { m{/log/|\.mdb} } map { readlink($_) // () }
            glob "/proc/$n->{pid}/fd/*" ], [],
            "$name: the new master has no file of the old one's";
    }
    end_clients(@clients);
    my @seen = seen_by(splice @clients);
    cmp_ok scalar(grep { keys %$_ > 1 } values %of), '==', 0,
        "$name: no two masters' workers are one writer";
    cmp_ok scalar(keys %of), '>=', 6, "$name: " . keys(%of) . ' writers seen';
    ok $n->stop, "$name: stop";
    whole($n, $name, @seen);
    $n->ok_log;
}

# ---- what each zone knows ----------------------------------------------------- #

sub reward {
    my ($client, $customer) = @_;
    my $body = qq({"customer":"$customer","facts":{"click":1}});
    return $client->request('POST', '/reward', $body,
        { 'Content-Type' => 'application/json' })->{status};
}

sub decision {
    my ($client, $customer) = @_;
    return $client->request('GET', "/decide?customer=$customer");
}

# A connection to a worker of $n->{pid}: nobody else can accept it.
sub connection {
    my ($n, @others) = @_;
    kill 'STOP', @others;
    my $client = $n->client;
    $client->request('GET', '/status');
    kill 'CONT', @others;
    return $client;
}

my $n = server('');
# where the segment is closed before it has a record, the folder tells nothing
$n->signal('USR1');
ok $n->wait_for(sub { !glob $n->path('log/*') }), 'zones: an unused folder';
my $old = $n->client;
is reward($old, 'zed'), 404, 'zones: nobody has had a decision';
ok upgrade($n), 'zones: upgrade';
my $new = connection($n, workers_of($n, $n->{old}));
decision($new, 'anna');
decision($old, 'ben');
is reward($old, 'anna'), 200, "zones: the new master's decision counts at the old";
is reward($new, 'ben'), 200, "zones: the old master's at the new";
$_->close for $old, $new;
ok winch($n), 'zones: the new one alone';
is counter($n, 'events', 'decisions_made'), 1, 'zones: counters begin anew';
ok back($n), 'zones: back';
is counter($n, 'events', 'decisions_made'), 1,
    'zones: the old master goes on with its own';
is $n->json('POST', '/reward', { customer => 'carl', facts => { click => 1 } })
    ->{status}, 200, 'zones: and does not claim to know every customer';
ok $n->stop, 'zones: the end';
$n->ok_log;

# ---- max ---------------------------------------------------------------------- #

my $full = qr/\[crit\].*event log in .*: cannot write: .*: log is full\b/;

# Asks on one connection until an answer is unlogged.
sub fill {
    my ($client) = @_;
    for my $i (1 .. 1000) {
        my $a = decision($client, 'c' x 200) or return 0;
        return $i if $a->{headers}{'reco-unlogged'};
    }
    return 0;
}

$n = server('segment=4k max=64k');
$old = $n->client;
decision($old, 'c' x 200) for 1 .. 10;
my $before = bytes($n);
ok upgrade($n), 'max: upgrade';
$new = connection($n, workers_of($n, $n->{old}));
ok fill($new), 'max: the new master fills the log';
ok fill($old), 'max: and so does the old one';
cmp_ok bytes($n), '<=', 2 * $MAX - $before,
    'max: by no more than each may by what it has seen: ' . bytes($n);
ok $n->wait_for(sub {
    !grep { !decision($_, 'c')->{headers}{'reco-unlogged'} } $old, $new;
}, 30), 'max: both know that it is full';
ok $n->wait_for(sub {
    unlink closed($n);
    return !grep { decision($_, 'c')->{headers}{'reco-unlogged'} } $old, $new;
}, 30), 'max: and that there is room again';
$_->close for $old, $new;
ok winch($n) && ends($n, $n->{old}), 'max: upgraded';
ok $n->wait_for(sub { status($n)->{log}{bytes} == bytes($n) }, 30),
    'max: what is there is counted';
ok $n->stop, 'max: the end';
$n->ok_log(allow => [ $full ]);

# ---- a reload that changes the zone's size ------------------------------------- #

# Two zones as well: workers of the one before answer what they have begun.
$n = server('');
$n->signal('USR1');
ok $n->wait_for(sub { !glob $n->path('log/*') }), 'size: an unused folder';
for my $size (qw(4m 1m)) {
    my $body = '{"customer":"dora","facts":{"click":1}}';
    my $slow = $n->client;
    # in one packet, so that with the answer to the first the second has come
    $slow->send("GET /status HTTP/1.1\r\nHost: a\r\n\r\n"
        . "POST /reward HTTP/1.1\r\nHost: a\r\nContent-Length: "
        . length($body) . "\r\nContent-Type: application/json\r\n\r\n{");
    $slow->response or fail 'size: an answer';
    my @before = workers_of($n, $n->pid);
    $n->configure(conf_http => $n->{conf_http} =~ s/reco:\w+/reco:$size/r);
    ok $n->reload, "size: reload to $size, while a reward is being sent";
    is status($n)->{events}{decisions_made}, 0, 'size: counters begin anew';
    decide($n, 'dora');
    is scalar(grep { Reco::Nginx::lives($_) } @before), scalar(@before),
        'size: the worker of the zone before still has it';
    $slow->send(substr $body, 1);
    is +($slow->response || {})->{status}, 200,
        "size: which takes it, though it saw no decision of dora's";
    $slow->close;
    ok $n->wait_for(sub { !grep { Reco::Nginx::lives($_) } @before }),
        'size: and ends';
}
my $made = counter($n, 'events', 'decisions_made');
my $conf = $n->{conf_http};
$n->configure(conf_http => $conf =~ s/reco:\w+/reco:64k/r);
$n->signal('HUP');
my $too_small = qr/\[emerg\].*zone "reco:64k" is too small: it needs 1m/;
ok $n->wait_for(sub { $n->error_log =~ $too_small }), 'size: too small a zone is refused';
is counter($n, 'events', 'decisions_made'), $made,
    'size: and the one before goes on';
ok $n->stop, 'size: the end';
$n->ok_log(allow => [ $too_small ]);

# ---- the same, and max=, under load --------------------------------------------- #

$n = server('segment=4k max=64k', workers => 2);
$conf = $n->{conf_http};
my @loads = map { begin_load($n) } 1 .. 2;
my $is_full = sub { counter($n, 'errors', 'log_full') };
cmp_ok most($n, $is_full), '<=', $MAX, 'reload: full, and no more than max';
for my $round (1 .. $rounds) {
    for my $change ('64k 4m', '256k 4m', '64k 4m', '128k 2m') {
        my ($max, $size) = split ' ', $change;
        my $max_bytes = 1024 * ($max =~ s/k//r);
        my ($max_before) = $n->{conf_http} =~ /max=(\d+)k/;
        my $same_zone = $n->{conf_http} =~ /reco:$size/;
        unlink closed($n);
        my $left = bytes($n);
        $n->configure(conf_http =>
            $conf =~ s/max=64k/max=$max/r =~ s/reco:2m/reco:$size/r);
        ok $n->reload(1), "reload: max=$max, zone of $size";
        my $after = bytes($n);
        my $refused = $is_full->();
        my $most = most($n, sub { $is_full->() > $refused + 2 });
        # what old workers wrote beside a new zone may not be in its count yet
        my $bound = max($max_bytes, $after)
            + ($same_zone ? 0 : 1024 * $max_before - $left);
        cmp_ok $most, '<=', $bound,
            "reload: then at most $most bytes of $bound";
        cmp_ok $most, '>', 0.75 * $max_bytes, 'reload: and not much less';
        is status($n)->{log}{max_bytes}, $max_bytes, 'reload: max is the new one';
    }
}
my @seen = map { end_load($_) } @loads;
is scalar(grep { $_->{status} != 200 } @seen), 0,
    'reload: each of ' . @seen . ' requests is answered';
$n->signal('USR1');
ok $n->wait_for(sub { status($n)->{log}{bytes} == bytes($n) }, 30),
    'reload: the count is what there is, at rest';

ok $n->stop, 'reload: the end';
$n->ok_log(allow => [ $full ]);

done_testing;
