# A log that cannot be written: decisions are answered, marked and counted as
# unlogged, rewards are refused with 503, a person is told once, and the log
# heals by itself when the reason is gone.

use strict;
use warnings;

use lib 't/lib';
use File::Path qw(remove_tree);
use Reco::Lifecycle;
use Reco::Nginx;
use Test::More;

sub server {
    my (%o) = @_;
    my $n = Reco::Nginx->new(
        conf_http => 'reco_zone reco:2m; reco_node edge;'
            . ' reco_model shop models/shop check=1s;'
            . ' reco_log log ' . ($o{log} // '') . ';',
        conf_server => 'location = /decide { reco_recommend shop; }'
            . ' location = /reward { reco_reward shop; }'
            . ' location = /status { reco_status json; }'
            . ' location = /hello { reco_decide shop customer=$arg_c;'
            . ' return 200 $reco_action; }');
    publish($n);
    return $n;
}

sub reward {
    my ($n, $decision) = @_;
    return $n->json('POST', '/reward',
        { decision => $decision, facts => { click => 1 } })->{status};
}

# The lines of level crit, which are allowed for here.
my $told = qr/\[crit\].*reco: event log in /;
sub told { scalar grep { $_ =~ $told } split /\n/, $_[0]->error_log }

# What is in the segments when all is over: whole lines, each decision once,
# and none of those that were said to be unlogged.
sub sound {
    my ($n, $name, @unlogged) = @_;
    my %times;
    $times{ $_->{id} }++ for $n->decisions;
    is_deeply [ grep { $_ > 1 } values %times ], [], "$name: none is doubled";
    is_deeply [ grep { $times{$_} } @unlogged ], [],
        "$name: none that is marked unlogged";
    is_deeply [ grep { $n->read('log/' . s{.*/}{}r) !~ /\n\z/ }
        glob $n->path('log/*.ndjson*') ], [], "$name: none is torn";
}

# No record, for as long as it is down; then all is well again.
my %unlogged;
sub unlogged {
    my ($n, $name) = @_;
    my $a = decide($n);
    $unlogged{$name} = $a->{decision};
    is $a->{http}, 200, "$name: a decision is answered";
    is $a->{unlogged}, 1, "$name: and marked";
    is reward($n, $a->{decision}), 503, "$name: a reward is refused";
    is $n->request('GET', '/hello?c=1')->{status}, 200,
        "$name: a variable has its value";
    cmp_ok counter($n, 'events', 'unlogged_decisions'), '>=', 2,
        "$name: counted";
    cmp_ok counter($n, 'errors', 'reward_unlogged'), '>=', 1,
        "$name: the reward, too";
}

sub healed {
    my ($n, $name) = @_;
    my $a;
    ok $n->wait_for(sub { $a = decide($n); !$a->{unlogged} }, 5),
        "$name: heals by itself";
    is reward($n, $a->{decision}), 200, "$name: rewards are taken again";
    ok $n->stop, "$name: stop";
    is scalar(grep { $_->{id} eq $a->{decision} } $n->decisions), 1,
        "$name: and it is in the log";
    sound($n, $name, $unlogged{$name} // ());
    like $n->error_log, qr/event log is written again, \d+ record\(s\) were not written/,
        "$name: told";
}

# ---- no folder at the start ----------------------------------------------- #

my $n = server();
remove_tree($n->path('log'));
$n->start;
unlogged($n, 'no folder');
is told($n), 1, 'no folder: told once';
unlike $n->error_log, qr/\b0 record\(s\) (?:were )?not written/, 'no folder: not of 0 lost';
like $n->error_log, qr/cannot open a segment: cannot create .*No such file/,
    'no folder: with the reason';
$n->folder('log');
healed($n, 'no folder');
$n->ok_log(allow => [ $told ]);

# ---- another reason is told too, whenever it comes ------------------------- #

SKIP: {
    skip 'needs a master that is root', 1 unless Reco::Nginx::worker_user();
    $n = server();
    remove_tree($n->path('log'));
    $n->start;
    decide($n);
    mkdir $n->path('log'), 0700 or die $!;
    ok $n->wait_for(sub { decide($n); told($n) == 2 }, 5),
        'another reason: told within the same minute';
    like $n->error_log, qr/cannot create .*Permission denied/,
        'another reason: which';
    $n->folder('log');
    healed($n, 'another reason');
    is told($n), 2, 'another reason: each once';
    $n->ok_log(allow => [ $told ]);
}

# ---- a folder that may not be written -------------------------------------- #

SKIP: {
    skip 'needs a master that is root', 1 unless Reco::Nginx::worker_user();
    $n = server();
    chown 0, 0, $n->path('log');
    chmod 0700, $n->path('log');
    $n->start;
    unlogged($n, 'no permission');
    is told($n), 1, 'no permission: told once';
    chmod 0755, $n->path('log');
    $n->folder('log');
    healed($n, 'no permission');
    $n->ok_log(allow => [ $told ]);
}

# ---- the folder goes while it is written ----------------------------------- #

$n = server();
$n->start;
decide($n);
remove_tree($n->path('log'));
unlogged($n, 'folder removed');
$n->folder('log');
healed($n, 'folder removed');
$n->ok_log(allow => [ $told ]);

# ---- the file goes, the folder stays --------------------------------------- #

$n = server();
$n->start;
decide($n);
unlink glob $n->path('log/*');
my $a = decide($n);
ok !$a->{unlogged}, 'file removed: the next record opens another segment';
ok $n->stop, 'file removed: stop';
is_deeply [ map { $_->{id} } $n->decisions ], [ $a->{decision} ],
    'file removed: and is in it';
$n->ok_log(allow => [ $told ]);

# ---- the folder is put aside, and another one takes its place -------------- #

$n = server();
$n->start;
my $first = decide($n);
select undef, undef, undef, 1.1;        # looked for once a second
rename $n->path('log'), $n->path('log.old') or die $!;
$n->folder('log');
my $second = decide($n);
ok $n->stop, 'folder replaced: stop';
is_deeply [ map { $_->{id} } $n->decisions ], [ $second->{decision} ],
    'folder replaced: new records go to the new one';
is_deeply [ map { $_->{id} } grep { $_->{type} eq 'decision' }
    $n->events($n->path('log.old')) ], [ $first->{decision} ],
    'folder replaced: old ones are in the old one';
$n->ok_log(allow => [ $told ]);

# ---- a limit on the size of files ------------------------------------------ #

SKIP: {
    $n = server();
    $n->start;
    skip 'needs prlimit and setpriv', 1
        if $ENV{RECO_VALGRIND} || !limit_files($n, 2000);
    my @ids = map { decide($n) } 1 .. 30;
    is scalar(grep { $_->{unlogged} } @ids), 0,
        'file-size limit: no record is lost';
    cmp_ok counter($n, 'errors', 'log_write'), '>=', 3,
        'file-size limit: counted';
    is told($n), 1, 'file-size limit: told once';
    ok $n->stop, 'file-size limit: stop';
    is scalar $n->decisions, 30, 'file-size limit: all are there';
    sound($n, 'file-size limit');
    cmp_ok scalar(glob($n->path('log/*.ndjson')) ? 1 : 0), '==', 1,
        'file-size limit: in closed segments';
    $n->ok_log(allow => [ $told ]);

    # too small for anything
    $n = server();
    $n->start;
    decide($n);
    $n->signal('USR1');
    $n->wait_for(sub { !(() = glob $n->path('log/*.open')) });
    limit_files($n, 10);
    $a = decide($n);
    is $a->{unlogged}, 1, 'no room for a header: unlogged';
    is_deeply [ glob $n->path('log/*.open') ], [],
        'no room for a header: no part of a file is left';
    limit_files($n, 'unlimited');
    ok $n->wait_for(sub { !decide($n)->{unlogged} }, 5),
        'no room for a header: heals by itself';
    ok $n->stop, 'no room for a header: stop';
    sound($n, 'no room for a header', $a->{decision});
    $n->ok_log(allow => [ $told ]);
}

# ---- a full disk ------------------------------------------------------------ #

SKIP: {
    $n = server(log => 'segment=1m');
    my $log = $n->path('log');
    skip 'needs to mount a small tmpfs', 1
        if $> || system("mount -t tmpfs -o size=40k,mode=0777 none $log"
            . ' 2> /dev/null');

    $n->start;
    my (@answers, $a);
    do {
        push @answers, $a = decide($n, 'c' x 200);
    } while (!$a->{unlogged} && @answers < 500);

    is $a->{unlogged}, 1, 'disk full: it is, after ' . @answers;
    is reward($n, $a->{decision}), 503, 'disk full: a reward is refused';
    cmp_ok told($n), '>=', 1, 'disk full: told';
    like $n->error_log, qr/No space left on device/, 'disk full: why';
    for (1 .. 20) {
        $a = decide($n, 'c' x 200);
        last unless $a->{unlogged};
    }
    is $a->{unlogged}, 1, 'disk full: stays so';

    system("mount -o remount,size=1m $log") == 0 or die 'remount';
    ok $n->wait_for(sub { $a = decide($n); !$a->{unlogged} }, 5),
        'disk full: heals by itself';
    ok $n->stop, 'disk full: stop';

    my %logged = map { $_->{id} => 1 } $n->decisions;
    is scalar(grep { !$_->{unlogged} && !$logged{ $_->{decision} } } @answers),
        0, 'disk full: what was not marked is in the log';
    sound($n, 'disk full',
        map { $_->{decision} } grep { $_->{unlogged} } @answers);
    is told($n), 1, 'disk full: told once';
    is_deeply [ glob "$log/*.open" ], [], 'disk full: all are closed';
    $n->ok_log(allow => [ $told ]);
    system("umount $log");
}

done_testing;
