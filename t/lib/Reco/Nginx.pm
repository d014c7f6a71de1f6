package Reco::Nginx;

# An nginx with the module, for one test: a temporary prefix folder, a free
# port on 127.0.0.1, requests, signals, its error log and its event log. The
# folder and the processes go when the object does.
#
#   my $n = Reco::Nginx->new(
#       conf_http   => 'reco_model shop models/shop; ...',
#       conf_server => 'location = /predict { ... }',
#       workers     => 2,            # 1
#       master      => 0,            # 1
#       daemon      => 1,            # 0; only so does nginx take USR2, WINCH
#       connections => 1024,         # 256
#       conf_main   => '...',        # before events {}
#       files       => { 'secret' => "hash ...\n" },
#   )->start;
#   my $a = $n->request('POST', '/predict', $body, { 'X-A' => 1 });
#   is $a->{status}, 200;  $a->{headers}{'reco-generation'};  $a->{body};
#   $n->publish(shop => 'conf/models/shop.json');     # needs build/reco
#   $n->stop;
#   $n->ok_log;
#
# In configuration @PORT@, @PORT2@ and @DIR@ are replaced. The environment:
# RECO_NGINX, RECO_MODULE, RECO_TOOL (what to test), RECO_VALGRIND (run under
# it), RECO_SLOW (a factor for all time limits: 4 means a slow machine; 1 asks
# a test for its long form besides), RECO_KEEP (leave the folder).
# Times out instead of hanging. 'ok_log' is the last word of every test.

use strict;
use warnings;

use Carp qw(croak);
use Cwd qw(abs_path);
use Fcntl qw(:flock);
use File::Basename qw(dirname);
use File::Path qw(make_path remove_tree);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use JSON::PP;
use POSIX qw(:sys_wait_h);
use Test::More ();
use Time::HiRes qw(sleep time);

my $root = abs_path(dirname(__FILE__) . '/../../..');
my $slow = $ENV{RECO_SLOW} || 1;
my @ports = split /-/, $ENV{RECO_PORTS} || '18100-18199';

sub root  { $root }
sub nginx { $ENV{RECO_NGINX} || '/usr/sbin/nginx' }
sub tool  { $ENV{RECO_TOOL} || "$root/build/reco" }

sub module {
    my $file = $ENV{RECO_MODULE} || "$root/build/ngx_http_reco_module.so";
    -e $file or croak "no module at $file: run make";
    return abs_path($file);
}

# Folder of the data sets, or undef.
sub data {
    my $dir = $ENV{RECO_DATA} || "$root/../shared/data";
    return -d $dir ? abs_path($dir) : undef;
}

# ---- setting up ---------------------------------------------------------- #

sub new {
    my ($class, %o) = @_;
    my $self = bless {
        workers => 1, master => 1, daemon => 0, level => 'info', conf_main => '',
        connections => 256, conf_events => '', conf_http => '',
        conf_server => '', conf_servers => '', files => {}, %o, owner => $$, built => 0,
    }, $class;

    $self->{dir} = tempdir("reco-test.XXXXXX", TMPDIR => 1);
    chmod 0755, $self->{dir};
    ($self->{port}, $self->{lock}) = _free_port() unless $self->{port};
    ($self->{port2}, $self->{lock2}) = _free_port();

    # logs/ is where an nginx of another build writes before it has read its
    # configuration
    $self->folder($_) for qw(log logs models tmp www);
    $self->write($_, $self->{files}{$_}) for sort keys %{ $self->{files} };
    $self->configure;

    return $self;
}

sub dir   { $_[0]{dir} }
sub port  { $_[0]{port} }
sub port2 { $_[0]{port2} }
sub pid   { $_[0]{pid} }
sub path  { "$_[0]{dir}/$_[1]" }
sub url   { "http://127.0.0.1:$_[0]{port}" . ($_[1] // '') }

# A free port that no other test takes while its lock is held.
sub _free_port {
    my $n = $ports[1] - $ports[0] + 1;
    my $first = int rand $n;
    for my $i (0 .. $n - 1) {
        my $port = $ports[0] + ($first + $i) % $n;
        open my $lock, '>>', "/tmp/reco-test-port-$port.lock" or next;
        flock $lock, LOCK_EX | LOCK_NB or next;
        my $s = IO::Socket::INET->new(
            LocalAddr => '127.0.0.1', LocalPort => $port, Proto => 'tcp',
            Listen => 1, ReuseAddr => 1) or next;
        close $s;
        return ($port, $lock);
    }
    croak "no free port in $ports[0]-$ports[1]";
}

# Who the workers are: somebody without rights when the test runs as root.
sub worker_user {
    return undef if $>;
    return (grep { defined getpwnam $_ } qw(www-data nobody))[0];
}

# A folder that the workers may write.
sub folder {
    my ($self, $name) = @_;
    my $path = $self->path($name);
    make_path($path);
    if (my $user = worker_user()) {
        chown((getpwnam $user)[2, 3], $path);
    }
    return $path;
}

sub write {
    my ($self, $name, $text) = @_;
    my $path = $self->path($name);
    make_path(dirname($path));
    open my $f, '>', $path or croak "$path: $!";
    print {$f} $text;
    close $f or croak "$path: $!";
    return $path;
}

sub read {
    my ($self, $name) = @_;
    open my $f, '<', $self->path($name) or return '';
    local $/;
    return scalar(<$f>) // '';
}

# Writes nginx.conf anew; for a reload with other directives.
sub configure {
    my ($self, %o) = @_;
    $self->{$_} = $o{$_} for keys %o;

    my $module = module();
    my $user = worker_user();
    my $conf = join "\n",
        "load_module $module;",
        ($user ? "user $user;" : ''),
        "worker_processes $self->{workers};",
        ($self->{master} ? '' : 'master_process off;'),
        ($self->{daemon} ? '' : 'daemon off;'),
        "pid $self->{dir}/nginx.pid;",
        "error_log $self->{dir}/error.log $self->{level};",
        # another binary (USR2) gets no other environment
        (map { "env $_;" } grep { defined $ENV{$_} }
            qw(ASAN_OPTIONS LSAN_OPTIONS UBSAN_OPTIONS)),
        $self->{conf_main},
        "events { worker_connections $self->{connections};"
            . " $self->{conf_events} }",
        "http {",
        ($self->{conf_http} =~ /^access_log/m ? () : '    access_log off;'),
        (map { "    ${_}_temp_path $self->{dir}/tmp;" }
            qw(client_body proxy fastcgi uwsgi scgi)),
        $self->{conf_http},
        ($self->{conf_server} eq '' ? '' : (
            "    server {",
            "        listen 127.0.0.1:$self->{port};",
            $self->{conf_server},
            "    }")),
        $self->{conf_servers},
        "}", "";

    $conf =~ s/\@PORT\@/$self->{port}/g;
    $conf =~ s/\@PORT2\@/$self->{port2}/g;
    $conf =~ s/\@DIR\@/$self->{dir}/g;

    $self->write('nginx.conf', $conf);
    return $self;
}

# Builds a spec (a hash, or the path of a file) with the tool and publishes it
# where 'reco_model NAME models/NAME' looks; more arguments go to the build.
# Returns the generation.
sub publish {
    my ($self, $model, $spec, @args) = @_;
    $spec = $self->write("$model.json", encode_json($spec)) if ref $spec;
    my $file = $self->path("$model-$self->{built}.mdb");
    $self->{built}++;
    $self->tool_run('build', $spec, @args, '--out', $file);
    my $out = $self->tool_run('publish', '--json', $file, '--to',
        $self->path("models/$model"));
    return decode_json($out)->{generation};
}

sub tool_run {
    my ($self, @args) = @_;
    open my $pipe, '-|', tool(), @args or croak tool() . ": $!";
    local $/;
    my $out = <$pipe>;
    close $pipe or croak "reco @args: status $?";
    return $out;
}

# Waits until all workers say in the error log that they serve it.
sub wait_generation {
    my ($self, $model, $generation) = @_;
    return $self->wait_for(sub {
        my %seen;
        my $log = $self->error_log;
        $seen{$1} = 1 while $log =~ /\ (\d+)\#\d+:\ reco:\ model\ "\Q$model\E"
            \ serves\ generation\ $generation\b/gx;
        return !grep { !$seen{$_} } $self->worker_pids;
    }, 10);
}

# nginx -t: (exit status, what it said). It leaves with what it has read, which
# a sanitizer would call a leak.
sub test_config {
    my ($self) = @_;
    my $nginx = nginx();
    local $ENV{ASAN_OPTIONS} = ($ENV{ASAN_OPTIONS} // '') . ':detect_leaks=0';
    my $out = qx($nginx -t -p $self->{dir} -c $self->{dir}/nginx.conf 2>&1);
    return ($? >> 8, $out . $self->read('error.log'));
}

# ---- processes ----------------------------------------------------------- #

sub start {
    my ($self) = @_;
    my @command = (nginx(), '-p', $self->{dir}, '-c',
        "$self->{dir}/nginx.conf");

    if ($ENV{RECO_VALGRIND}) {
        chmod 0777, $self->{dir};
        # a worker that leaves spins until the threads of its pool have ended,
        # and valgrind runs one thread at a time
        unshift @command, 'valgrind', '-q', '--error-exitcode=0',
            '--child-silent-after-fork=no', '--fair-sched=yes',
            "--log-file=$self->{dir}/valgrind.%p.log";
        my $supp = "$root/t/valgrind.supp";
        splice @command, 1, 0, "--suppressions=$supp" if -e $supp;
    }

    my $pid = fork // croak "fork: $!";
    if ($pid == 0) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', "$self->{dir}/stdout.log";
        open STDERR, '>>', "$self->{dir}/stderr.log";
        exec @command or POSIX::_exit(127);
    }

    if ($self->{daemon}) {
        waitpid $pid, 0;
        $pid = $self->wait_for(sub { $self->read('nginx.pid') =~ /^(\d+)\n/ && $1 })
            or croak "nginx did not start: " . $self->read('stderr.log')
                . $self->read('error.log');
    }

    $self->{pid} = $pid;

    $self->wait_for(sub {
        croak "nginx ended: " . $self->read('stderr.log')
            . $self->read('error.log') if $self->_ended;
        return $self->connect_quietly;
    }, 30) or croak "nginx does not answer on port $self->{port}";

    # it listens before it heeds signals: until it has a worker HUP ends it
    $self->wait_for(sub { $self->worker_pids });

    return $self;
}

sub _ended {
    my ($self) = @_;
    return 1 unless $self->{pid};
    if ($self->{daemon}) {
        return 0 if lives($self->{pid});
        delete $self->{pid};
        return 1;
    }
    my $r = waitpid($self->{pid}, WNOHANG);
    return 0 if $r == 0;
    $self->{status} = $?;
    delete $self->{pid};
    return 1;
}

# Whether a process runs; one that ended may have nobody who reaps it.
sub lives {
    my ($pid) = @_;
    open my $f, '<', "/proc/$pid/stat" or return 0;
    return (<$f> // ') X ') !~ /\) [ZX] /;
}

sub connect_quietly {
    my ($self) = @_;
    return 1 if $self->{conf_server} eq '' && $self->read('nginx.pid') ne '';
    my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $self->{port}, Timeout => 1) or return 0;
    close $s;
    return 1;
}

# Waits until the condition holds; its last value.
sub wait_for {
    my ($self, $condition, $seconds) = @_;
    my $end = time + ($seconds // 10) * $slow;
    while (1) {
        my $value = $condition->();
        return $value if $value;
        return $value if time > $end;
        sleep 0.02;
    }
}

sub signal {
    my ($self, $signal, $pid) = @_;
    kill $signal, $pid // $self->{pid};
    return $self;
}

# Pids of the workers, with 'all' also those that are shutting down.
sub worker_pids {
    my ($self, $all) = @_;
    return $self->{pid} unless $self->{master};
    open my $f, '<', "/proc/$self->{pid}/task/$self->{pid}/children"
        or return;
    my @pids = split ' ', scalar(<$f>) // '';
    # valgrind keeps titles to itself
    @pids = grep {
        my $title = _title($_);
        $title =~ /worker process/
            && ($all || $title !~ /shutting down/);
    } @pids unless $ENV{RECO_VALGRIND};
    @pids = sort { $a <=> $b } @pids;
    return @pids;                       # in scalar context how many
}

sub _title {
    open my $f, '<', "/proc/$_[0]/cmdline" or return '';
    local $/;
    return scalar(<$f>) // '';
}

# Whether SIGSTOP has reached it.
sub stands {
    my ($self, $pid) = @_;
    open my $f, '<', "/proc/$pid/stat" or return 0;
    return (<$f> // '') =~ /\) T /;
}

# HUP; returns when new workers have taken over (and with 'drained', when the
# old ones have gone). False when that does not happen.
sub reload {
    my ($self, $drained) = @_;
    my %old = map { $_ => 1 } $self->worker_pids;
    $self->signal('HUP');
    return $self->wait_for(sub {
        my @all = $self->worker_pids(1);
        my @left = grep { $old{$_} } $drained || !$ENV{RECO_VALGRIND}
            ? $self->worker_pids($drained) : ();
        return @all > @left && !@left;
    }, 20);
}

# QUIT, and harder if that does not help; true when QUIT was enough.
sub stop {
    my ($self, $signal) = @_;
    return 1 if !$self->{pid} || $self->_ended;
    my $first = 1;
    for my $s ($signal // 'QUIT', 'TERM', 'KILL') {
        my @workers = $s eq 'KILL' ? $self->worker_pids(1) : ();
        $self->signal($s);
        kill 'KILL', @workers if @workers;
        return $first if $self->wait_for(sub { $self->_ended }, 15);
        $first = 0;
    }
    return 0;
}

sub DESTROY {
    my ($self) = @_;
    return if $self->{owner} != $$;
    local ($?, $@, $!);
    $self->stop('TERM');
    remove_tree($self->{dir}) unless $ENV{RECO_KEEP};
}

# ---- requests ------------------------------------------------------------ #

# One request on a connection of its own. Names in {headers} are lower case;
# a header that comes twice is joined by ", ".
sub request {
    my ($self, $method, $uri, $body, $headers) = @_;
    return $self->client->request($method, $uri, $body,
        { Connection => 'close', %{ $headers // {} } });
}

# The same with a JSON body; a reference is encoded.
sub json {
    my ($self, $method, $uri, $value, $headers) = @_;
    my $body = ref $value ? encode_json($value) : $value;
    my $a = $self->request($method, $uri, $body,
        { 'Content-Type' => 'application/json', %{ $headers // {} } });
    $a->{json} = eval { JSON::PP->new->allow_nonref->decode($a->{body}) };
    return $a;
}

# A connection that is kept.
sub client {
    my ($self, $port) = @_;
    return Reco::Nginx::Client->new($port // $self->{port});
}

# Bytes (or a list of pieces, each sent on its own) as they are; all that
# comes back until the server closes, or 'timeout' passes, or 'until' matches.
sub raw {
    my ($self, $bytes, %o) = @_;
    my $c = $self->client($o{port});
    for my $piece (ref $bytes ? @$bytes : $bytes) {
        $c->send($piece);
        sleep($o{delay} // 0.01) if ref $bytes;
    }
    return $c->read_all(($o{timeout} // 10), $o{until});
}

# ---- logs ---------------------------------------------------------------- #

sub error_log { $_[0]->read('error.log') }

# Records of all segments, closed and open, in the order of their names.
sub events {
    my ($self, $dir) = @_;
    my @events;
    for my $file (sort glob(($dir // $self->path('log')) . '/*.ndjson*')) {
        open my $f, '<:raw', $file or next;
        while (my $line = <$f>) {
            next unless $line =~ /\n\z/;
            my $e = decode_json($line);
            $e->{file} = $file;
            push @events, $e;
        }
    }
    return @events;
}

sub decisions { grep { $_->{type} eq 'decision' } $_[0]->events }
sub rewards   { grep { $_->{type} eq 'reward' } $_[0]->events }

# Nothing in the error log that a person must see: no alert, emerg or crit, no
# sanitizer's report, no worker that a signal ended. 'allow' is a list of
# patterns for lines that the test provoked.
sub ok_log {
    my ($self, %o) = @_;
    my $level = Test::More->builder;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @bad = $self->bad_lines(@{ $o{allow} // [] });
    return Test::More::ok(!@bad, $o{name} // 'nothing bad in the error log')
        || Test::More::diag(map { "$_\n" } @bad[0 .. ($#bad < 40 ? $#bad : 40)]);
}

sub bad_lines {
    my ($self, @allow) = @_;
    my @bad;

    # a sanitizer's report goes on to the end of its output
    my $report = 0;
    for my $line (split /\n/, $self->error_log . $self->read('stderr.log')) {
        $report = 1 if $line =~ /AddressSanitizer|runtime error:|LeakSanit/;
        next unless $report || $line =~ /\[(?:alert|emerg|crit)\]
            |exited\ on\ signal|exited\ with\ fatal/x;
        next if grep { $line =~ $_ } @allow;
        push @bad, $line;
    }

    for my $file (glob "$self->{dir}/valgrind.*.log") {
        open my $f, '<', $file or next;
        push @bad, map { chomp; "valgrind: $_" } <$f>;
    }

    return @bad;
}

# ---- a connection -------------------------------------------------------- #

package Reco::Nginx::Client;

use strict;
use warnings;

use Time::HiRes qw(time);

sub new {
    my ($class, $port) = @_;
    my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port,
        Timeout => 10 * $slow) or Carp::croak("connect to $port: $!");
    $s->blocking(0);
    return bless { socket => $s, in => '' }, $class;
}

sub socket { $_[0]{socket} }
sub close  { close $_[0]{socket} }

sub send {
    my ($self, $bytes) = @_;
    my $end = time + 20 * $slow;
    local $SIG{PIPE} = 'IGNORE';
    while (length $bytes && time < $end) {
        my $n = syswrite $self->{socket}, $bytes;
        if (defined $n) { substr $bytes, 0, $n, ''; next }
        last unless $!{EAGAIN} || $!{EINTR};
        my $w = '';
        vec($w, fileno $self->{socket}, 1) = 1;
        select undef, $w, undef, 0.1;
    }
    return !length $bytes;
}

# More bytes; 0 at the end, undef when nothing came in time.
sub fill {
    my ($self, $seconds) = @_;
    my $end = time + $seconds;
    while (1) {
        my $n = sysread $self->{socket}, $self->{in}, 65536,
            length $self->{in};
        return $n if defined $n;
        return 0 unless $!{EAGAIN} || $!{EINTR};
        my $left = $end - time;
        return undef if $left <= 0;
        my $r = '';
        vec($r, fileno $self->{socket}, 1) = 1;
        select $r, undef, undef, $left;
    }
}

sub read_all {
    my ($self, $seconds, $until) = @_;
    my $end = time + $seconds * $slow;
    while (!defined $until || $self->{in} !~ $until) {
        my $left = $end - time;
        last if $left <= 0 || !$self->fill($left);
    }
    return $self->{in};
}

sub request {
    my ($self, $method, $uri, $body, $headers) = @_;
    $self->send(format_request($method, $uri, $body, $headers));
    return $self->response($method);
}

sub format_request {
    my ($method, $uri, $body, $headers) = @_;
    my %h = (Host => 'localhost', %{ $headers // {} });
    $h{'Content-Length'} = length $body
        if defined $body && !exists $h{'Transfer-Encoding'}
            && !exists $h{'Content-Length'};
    return "$method $uri HTTP/1.1\r\n"
        . join('', map { "$_: $h{$_}\r\n" } grep { defined $h{$_} } sort keys %h)
        . "\r\n" . ($body // '');
}

# The next answer, or undef with what came in {in}.
sub response {
    my ($self, $method, $seconds) = @_;
    my $end = time + ($seconds // 20) * $slow;

    until ($self->{in} =~ /\r\n\r\n/) {
        return undef unless $self->fill($end - time);
    }

    my ($head) = $self->{in} =~ /\A(.*?\r\n)\r\n/s;
    substr $self->{in}, 0, 2 + length $head, '';

    my ($line, @lines) = split /\r\n/, $head;
    my ($status) = $line =~ m{^HTTP/1\.[01] (\d+)} or return undef;
    my %h;
    for (@lines) {
        my ($name, $value) = /^([^:]+):\s*(.*)$/ or next;
        $name = lc $name;
        $h{$name} = exists $h{$name} ? "$h{$name}, $value" : $value;
    }

    my $a = { status => $status, headers => \%h, head => $head, body => '' };

    return $self->response($method, $end - time) if $status == 100;
    return $a if ($method // '') eq 'HEAD' || $status == 204
        || $status == 304;

    if (($h{'transfer-encoding'} // '') =~ /chunked/) {
        while (1) {
            my $hex;
            until (($hex) = $self->{in} =~ /\A([0-9a-fA-F]+)\r\n/) {
                return undef unless $self->fill($end - time);
            }
            my $n = hex $hex;
            my $start = length($hex) + 2;
            while (length $self->{in} < $start + $n + 2) {
                return undef unless $self->fill($end - time);
            }
            $a->{body} .= substr $self->{in}, $start, $n;
            substr $self->{in}, 0, $start + $n + 2, '';
            last if $n == 0;
        }

    } elsif (defined $h{'content-length'}) {
        while (length $self->{in} < $h{'content-length'}) {
            return undef unless $self->fill($end - time);
        }
        $a->{body} = substr $self->{in}, 0, $h{'content-length'}, '';

    } else {
        1 while $self->fill($end - time);
        $a->{body} = $self->{in};
        $self->{in} = '';
    }

    return $a;
}

1;
