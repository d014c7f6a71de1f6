# Learning that keeps pace: `reco train --follow` beside a running nginx. A
# reward changes the decisions; killed in a cycle, the follower leaves what is
# served sound, and a new one goes on.

use strict;
use warnings;

use lib 't/lib';
use Cwd qw(abs_path);
use POSIX qw(:sys_wait_h);
use Reco::Lifecycle;
use Reco::Nginx;
use Test::More;
use Time::HiRes qw(sleep time);

my $slow = $ENV{RECO_SLOW} || 1;

my %model = (
    actions => [ map { { id => $_ } } qw(A B) ],
    features => [ { name => 'x', type => 'category', from => ['request'] } ],
    policy => { type => 'q_table', epsilon => 0 },
    reward => { click => 1, horizon => '30m' },
);

my $n = Reco::Nginx->new(
    conf_http => 'reco_zone reco:2m; reco_node edge;'
        . ' reco_model shop models/shop check=1s; reco_log log;',
    conf_server => 'location = /decide { reco_recommend shop; }'
        . ' location = /reward { reco_reward shop; }'
        . ' location = /status { reco_status json; }');
my $spec = $n->write('shop.json', spec(%model));
my $dir = $n->folder('models/shop');

# Nothing is learned yet: every state is unknown, and both are as good.
$n->tool_run('publish', '--force', build(spec(%model)), '--to', $dir);
$n->start;

my $customers = 0;

# A decision for somebody new, so that none follows another.
sub shown {
    my $customer = 'c' . ++$customers;
    my $a = $n->json('POST', '/decide', { customer => $customer,
        features => { x => 'u' } })
        ->{json};
    return { %$a, action => $a->{slate}[0]{action}, customer => $customer };
}

sub reward {
    my ($d) = @_;
    return $n->json('PUT', '/reward', { decision => $d->{decision},
        customer => $d->{customer}, facts => { click => 1 } })->{status};
}

my @followers;

sub follow {
    my (@options) = @_;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', $n->path('follow.out');
        open STDERR, '>>', $n->path('follow.err');
        exec Reco::Nginx::tool(), 'train', '--spec', $spec, '--log',
            $n->path('log'), '--follow', '--to', $dir, @options
            or POSIX::_exit(127);
    }
    push @followers, $pid;
    return $pid;
}

sub end_follower {
    my ($pid, $signal) = @_;
    my $gone;
    kill $signal, $pid;
    $n->wait_for(sub { $gone = waitpid($pid, WNOHANG) == $pid }, 30);
    @followers = grep { $_ != $pid } @followers if $gone;
    return $gone ? $? : 'still there';
}

END {
    local $?;
    kill 'KILL', $_ for @followers;
}

# Rewards decisions for that action, and asks on until the last 20 were all
# for it; seconds from the first reward to the first of these.
sub learn {
    my ($action) = @_;
    my $d;
    $n->wait_for(sub { ($d = shown())->{action} eq $action }, 30)
        or return (undef, 0);
    reward($d) == 200 or return (undef, 0);
    my $began = time;
    my ($first, $run) = (0, 0);
    while ($run < 20 && time - $began < 20 * $slow) {
        my $a = shown();
        if ($a->{action} ne $action) {
            $run = 0;
            sleep 0.01;
        } elsif ($run++ == 0) {
            $first = time;
        }
    }
    return ($run == 20 ? $first - $began : undef, $d->{generation});
}

my %seen;
$seen{ shown()->{action} }++ for 1 .. 60;
is_deeply [ sort keys %seen ], [qw(A B)], 'at first either is shown';

my $follower = follow();
my ($seconds, $generation) = learn('B');
ok defined $seconds, 'a reward of B: B is shown, and only B'
    or diag $n->read('follow.err');
diag sprintf 'from the reward to the decision: %.2f s', $seconds // -1;
cmp_ok shown()->{generation}, '>', $generation,
    'by a generation that came later';

# ---- killed in a cycle ---- #

my $alive = 0;
for my $round (1 .. 5) {
    $n->wait_for(sub {
        shown();
        my @made = glob "$dir/.follow/next.mdb*";
        return scalar @made;
    });
    is end_follower($follower, 'KILL'), 9, "kill -9 in cycle $round";
    $alive++ if eval { $n->tool_run('verify', $dir); 1 };
    $follower = follow('--every', '100ms');
}
is $alive, 5, 'what is published is sound each time';

my $before = shown()->{generation};
ok $n->wait_for(sub { shown()->{generation} > $before }, 30),
    'a restart goes on';
is shown()->{action}, 'B', 'with what was known';

is end_follower($follower, 'TERM'), 0, 'TERM ends it well';
is $n->read('follow.err'), '', 'and nothing was wrong';
ok $n->stop, 'stop';
$n->ok_log;

done_testing;
