package Bench;

# What the benchmarks share: a folder that goes with them, nginx in it, wrk
# beside it, and what the kernel knows of the workers.

use strict;
use warnings;

use Exporter qw(import);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use JSON::PP;
use POSIX qw(WNOHANG);
use Time::HiRes qw(sleep time);

our @EXPORT = qw(run need folder absolute start_nginx stop_nginx workers
    cpu_us events wrk median write_json read_json);

my ($pid, $dir);
END { my $status = $?; stop_nginx(); $? = $status }
$SIG{INT} = $SIG{TERM} = sub { exit 130 };


sub run {
    system(@_) == 0 or die "bench: '@_' failed\n";
}


sub need {
    for my $program (@_) {
        system("command -v $program >/dev/null") == 0
            or die "bench: $program is missing; run script/bootstrap all\n";
    }
}


# The benchmark's own folder, which the workers' user may enter.
sub folder {
    $dir //= tempdir('reco-bench-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    chmod 0755, $dir;
    return $dir;
}


sub absolute {
    my ($path) = @_;
    return $path if $path =~ m{^/};
    chomp(my $cwd = `pwd`);
    return "$cwd/$path";
}


# nginx with this text at the folder's nginx.conf, on these processors; its
# port answers when this returns.
sub start_nginx {
    my ($text, $port, $cpus) = @_;
    unlink "$dir/error.log";
    make_path("$dir/log", "$dir/tmp");
    run('chmod', '-R', 'a+rwX', $dir);
    open my $conf, '>', "$dir/nginx.conf" or die $!;
    print $conf $text;
    close $conf;

    $pid = fork // die $!;
    if ($pid == 0) {
        open STDOUT, '>', '/dev/null';
        exec 'taskset', '-c', $cpus, $ENV{NGINX} // '/usr/sbin/nginx', '-p',
            $dir, '-c', "$dir/nginx.conf" or die $!;
    }

    # nginx writes its pid when it has the port
    my $until = time + 20;
    until (-s "$dir/nginx.pid"
           && IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port"))
    {
        my $ended = waitpid($pid, WNOHANG) == $pid;
        if ($ended || time > $until) {
            print_errors();
            undef $pid if $ended;
            die "bench: nginx did not start on port $port\n";
        }
        sleep 0.05;
    }
    sleep 0.5;                  # workers take up what they follow
}


# Returns how many lines of the error log tell of a fault, and prints them.
sub stop_nginx {
    return 0 unless $pid;
    kill QUIT => $pid;
    waitpid $pid, 0;
    undef $pid;
    return print_errors();
}


sub print_errors {
    open my $log, '<', "$dir/error.log" or return 0;
    my @bad = grep { /\[(alert|emerg|crit|error)\]|exited on signal/ } <$log>;
    print "error log: $_" for @bad > 20 ? @bad[0 .. 19] : @bad;
    return scalar @bad;
}


sub workers {
    my @workers = split ' ', `pgrep -P $pid`;
    return @workers;
}


# The workers' processor time so far: what a request costs whoever else is on
# the machine.
sub cpu_us {
    my $sum = 0;
    for my $worker (workers()) {
        open my $f, '<', "/proc/$worker/schedstat"
            or die "bench: no worker: $!";
        $sum += (split ' ', <$f>)[0] / 1000;
    }
    return $sum;
}


# What nginx counted: decisions_made, fallback_decisions and the others.
sub events {
    my ($url) = @_;
    my $json = `curl -fsS $url`;
    my $events = $? ? undef : decode_json($json)->{events};
    die "bench: $url tells no events\n"
        unless $events && defined $events->{decisions_made};
    return $events;
}


# Runs wrk with a script that ends in bench/report.lua: what that prints, and
# the workers' time for a request.
sub wrk {
    my ($script, $url, $o, @args) = @_;
    my $cpu = cpu_us();
    my $command = "taskset -c $o->{cpus} wrk -t1 -c$o->{connections} "
        . "-d$o->{seconds}s --timeout @{[$o->{timeout} // 2]}s --latency "
        . "-s $script $url -- @args";
    # as many descriptors as connections
    my $out = `ulimit -n \$(ulimit -H -n); $command 2>&1`;
    my ($json) = $out =~ /^RESULT (.*)$/m or die "bench: wrk said:\n$out";
    my $r = decode_json($json);
    die "bench: $url: nothing was answered:\n$out" unless $r->{n};
    $r->{cpu} = (cpu_us() - $cpu) / $r->{n};
    return $r;
}


sub median {
    my @v = sort { $a <=> $b } @_;
    return @v % 2 ? $v[$#v / 2] : ($v[$#v / 2] + $v[@v / 2]) / 2;
}


sub write_json {
    my ($path, $data) = @_;
    open my $json, '>', $path or die "bench: cannot write '$path': $!\n";
    print $json JSON::PP->new->canonical->pretty->encode($data);
    close $json or die "bench: cannot write '$path': $!\n";
}


sub read_json {
    my ($path) = @_;
    open my $json, '<', $path or die "bench: cannot open '$path': $!\n";
    local $/;
    return decode_json(<$json>);
}

1;
