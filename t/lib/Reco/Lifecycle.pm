package Reco::Lifecycle;

# What the tests of t/lifecycle share: snapshots published into an nginx's
# models/ folder, a client that keeps asking in a process of its own, numbers
# from the status route.

use strict;
use warnings;

use Exporter qw(import);
use File::Temp qw(tempdir);
use IO::Handle;
use JSON::PP;
use List::Util qw(max sum0);
use POSIX ();
use Time::HiRes qw(sleep time);

use Reco::Nginx;
use Reco::Preload;

our @EXPORT = qw(spec build publish status counter decide generation_soon
    limit_files begin_client end_clients seen_by begin_load end_load bytes
    most slow_disk slow_reads);

my $scratch = tempdir('reco-test.XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $slow = $ENV{RECO_SLOW} || 1;

sub _run {
    my (@command) = @_;
    my $line = join ' ', map { "'" . s/'/'\\''/gr . "'" } @command;
    my $out = qx($line 2>&1);
    die "@command: $out" if $?;
    return $out;
}

# The text of a spec; %o replaces members.
sub spec {
    my (%o) = @_;
    return encode_json({
        model => 'shop', version => '1.0.0',
        actions => [ map { { id => $_ } } qw(A B C) ], %o,
    });
}

# A snapshot from a spec's text; its path.
my $built = 0;
sub build {
    my ($spec, @options) = @_;
    my $base = "$scratch/" . ++$built;
    open my $f, '>', "$base.json" or die "$base: $!";
    print {$f} $spec;
    close $f;
    _run(Reco::Nginx::tool(), 'build', "$base.json", '--out', "$base.mdb",
        @options);
    return "$base.mdb";
}

# Builds and publishes; the manifest.
sub publish {
    my ($n, %o) = @_;
    my $dir = $n->folder('models/' . ($o{model} // 'shop'));
    _run(Reco::Nginx::tool(), 'publish', build(spec(%o)), '--to', $dir);
    open my $f, '<', "$dir/current.json" or die "$dir: $!";
    local $/;
    return decode_json(scalar <$f>);
}

# What `reco_status json` at /status says.
sub status {
    my ($n) = @_;
    return decode_json($n->request('GET', '/status')->{body});
}

sub counter {
    my ($n, $group, $name) = @_;
    return status($n)->{$group}{$name};
}

# The native answer of one decision, with the HTTP status as {http}.
sub decide {
    my ($n, $customer) = @_;
    my $a = $n->request('GET', '/decide?customer=' . ($customer // 'c'))
        or return { http => 0 };
    my $answer = eval { decode_json($a->{body}) } || {};
    return { %$answer, http => $a->{status},
        unlogged => $a->{headers}{'reco-unlogged'} };
}

# Seconds until every one of the last 20 answers was of that generation, at
# most 10.
sub generation_soon {
    my ($n, $generation) = @_;
    my $began = time;
    my $run = 0;
    while ($run < 20 && time - $began < 10 * $slow) {
        my $g = decide($n)->{generation} // -1;
        $run = $g == $generation ? $run + 1 : 0;
    }
    return $run == 20 ? time - $began : 1e9;
}

# Sets how large the worker's files may get, its error log too: bytes or
# 'unlimited'. A soft limit, as its own user may set it; false without the
# tools.
sub limit_files {
    my ($n, $size) = @_;
    my ($pid) = $n->worker_pids;
    my $user = Reco::Nginx::worker_user();
    my $as = $user ? sprintf('setpriv --reuid=%d --regid=%d --clear-groups',
        (getpwnam $user)[2, 3]) : '';
    return system("$as prlimit --pid $pid --fsize=$size: 2> /dev/null") == 0;
}

# ---- load ---------------------------------------------------------------- #

# A client in a process of its own, which does something again and again and
# prints what it saw: $do->($out, 0), $do->($out, 1) and so on.
my $clients = 0;
sub begin_client {
    my ($do) = @_;
    my $file = "$scratch/client." . ++$clients;
    open my $out, '>', $file or die "$file: $!";
    my $parent = $$;
    my $pid = fork // die "fork: $!";
    return { pid => $pid, file => $file } if $pid;

    my $go = 1;
    local $SIG{TERM} = sub { $go = 0 };
    $out->autoflush(1);
    for (my $i = 0; $go && getppid() == $parent; $i++) {
        $do->($out, $i);
    }
    POSIX::_exit(0);
}

# Ends them after what they are doing.
sub end_clients {
    kill 'TERM', $_->{pid} for @_;
    waitpid $_->{pid}, 0 for @_;
}

# What the segments of a log's folder take.
sub bytes {
    my ($n, $log) = (@_, 'log');
    return sum0 map { -s $_ // 0 } glob $n->path("$log/*.ndjson*");
}

# The most that they take, seen again and again until the condition holds.
sub most {
    my ($n, $until) = @_;
    my $most = 0;
    $n->wait_for(sub {
        $most = max($most, bytes($n)) for 1 .. 5;
        return $until->();
    }, 60) or main::diag('waited in vain');
    return $most;
}

# Whole lines that they have printed so far.
sub seen_by {
    return map {
        open my $f, '<', $_->{file} or die "$_->{file}: $!";
        grep { /\n\z/ } <$f>;
    } @_;
}

# One that asks, each time on a new connection (one that is kept may be closed
# by a reload at the moment it is used).
sub begin_load {
    my ($n, $uri) = @_;
    return begin_client(sub {
        my ($out, $i) = @_;
        my $a = eval {
            $n->request('GET', $uri // '/decide?customer=c' . $i % 100);
        };
        printf {$out} "%s %s %s\n", $a ? $a->{status} : 0,
            $a ? $a->{headers}{'reco-decision-id'} // '-' : '-',
            $a ? $a->{headers}{'reco-generation'} // '-' : '-';
        sleep 0.001;
    });
}

# Ends it; a list of { status, id, generation }.
sub end_load {
    my ($load) = @_;
    end_clients($load);
    return map {
        my ($status, $id, $generation) = split;
        { status => $status, id => $id, generation => $generation };
    } seen_by($load);
}

# ---- a disk that can be made to hang -------------------------------------- #

# What LD_PRELOAD is to be so that fdatasync() and fsync() wait as long as the
# file exists, or undef where that cannot be had.
sub slow_disk {
    my ($file) = @_;
    return preload('slow', text => <<"C");
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>
static void
hang(void)
{
    while (access("$file", F_OK) == 0) {
        usleep(10000);
    }
}
int
fdatasync(int fd)
{
    hang();
    return ((int (*)(int)) dlsym(RTLD_NEXT, "fdatasync"))(fd);
}
int
fsync(int fd)
{
    hang();
    return ((int (*)(int)) dlsym(RTLD_NEXT, "fsync"))(fd);
}
C
}

# The same for large reads at the end of a file, by pread(); FILE.reached says
# that there is one.
sub slow_reads {
    my ($file) = @_;
    return preload('slow', text => <<"C");
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>
ssize_t
pread(int fd, void *to, size_t n, off_t at)
{
    ssize_t  rc;

    rc = ((ssize_t (*)(int, void *, size_t, off_t))
          dlsym(RTLD_NEXT, "pread"))(fd, to, n, at);
    while (n > 65536 && rc == 0 && access("$file", F_OK) == 0) {
        close(open("$file.reached", O_WRONLY | O_CREAT, 0644));
        usleep(10000);
    }
    return rc;
}
ssize_t
pread64(int fd, void *to, size_t n, off_t at)
{
    return pread(fd, to, n, at);
}
C
}

1;
