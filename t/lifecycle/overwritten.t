# A snapshot that is overwritten while it is served, an operator's error that a
# map cannot survive: a worker may die of it. The one that takes its place
# looks at the file anew, refuses it, and the fallback answers; nothing crashes
# again, and the next publication heals it.

use strict;
use warnings;

use lib 't/lib';
use JSON::PP;
use Reco::Lifecycle;
use Reco::Nginx;
use Test::More;

plan skip_all => 'valgrind reports what the signal does'
    if $ENV{RECO_VALGRIND};

# a sanitizer would report it too, and leave without the signal
$ENV{ASAN_OPTIONS} .= ':handle_sigbus=0:handle_segv=0' if $ENV{ASAN_OPTIONS};

my $n = Reco::Nginx->new(
    conf_http => 'reco_zone reco:2m; reco_node edge;'
        . ' reco_model shop models/shop check=100ms;'
        . ' reco_fallback shop X,Y;'
        . ' reco_log log;',
    conf_server => 'location = /decide { reco_recommend shop; }'
        . ' location = /status { reco_status json; }');

# with a customer, whose record is read from the map at each request
my $customers = $n->write('customers.csv', "customer,age\n"
    . join '', map { "c$_,$_\n" } 1 .. 2000);
my $mdb = build(spec(features => [ { name => 'age', type => 'number',
    from => ['customer'] } ], columns => { customer => 'customer' }),
    '--customers', $customers);
$n->tool_run('publish', $mdb, '--to', $n->path('models/shop'));
my $good = decode_json($n->read('models/shop/current.json'));
my $file = $n->path("models/shop/$good->{file}");

# Writes to the served file itself, as cp does.
sub overwrite {
    my ($text) = @_;
    open my $f, '>', $file or die "$file: $!";
    print {$f} $text;
    close $f or die "$file: $!";
}

sub deaths { scalar(() = $n->error_log =~ /worker process \d+ exited on signal/g) }

for my $case ([ 'cut off', sub { '' } ],
    [ 'another text', sub { "id,name\n" x 1000 } ],
    [ 'a damaged copy', sub { my $t = shift; substr($t, 9000, 1) ^= "\x01";
        $t } ],
    [ 'a damaged copy that keeps its time', sub { my $t = shift;
        substr($t, 9000, 1) ^= "\x01"; $t }, 1 ],
    [ 'half of it', sub { substr $_[0], 0, length($_[0]) / 2 } ]) {
    my ($name, $change, $keep_time) = @$case;
    my $whole = $n->read("models/shop/$good->{file}");

    $n->start;
    is decide($n, 'c1000')->{generation}, 1, "$name: generation 1 is served";
    my ($worker) = $n->worker_pids;
    my ($deaths, $log) = (deaths(), length $n->error_log);

    # to the nanosecond, which Perl's own numbers do not hold
    my $time = $n->path('time');
    system('touch', '-r', $file, $time) == 0 or die 'touch';
    overwrite($change->($whole));
    system('touch', '-r', $time, $file) == 0 or die 'touch' if $keep_time;
    decide($n, "c$_") for map { 97 * $_ % 2000 + 1 } 1 .. 30;
    $n->wait_for(sub { my ($pid) = $n->worker_pids; $pid });

    # where the worker lived on, as it may, another one takes its place
    my ($now) = $n->worker_pids;
    ok $n->reload(1), "$name: reload" if $now == $worker;
    my $a;
    ok $n->wait_for(sub { $a = decide($n, 'c1000'); $a->{http} == 200 }),
        "$name: the worker that comes answers";
    is $a->{generation}, 0, "$name: with the fallback";
    is_deeply [ map { $_->{action} } @{ $a->{slate} } ], [ 'X', 'Y' ],
        "$name: in its order";
    like substr($n->error_log, $log),
        qr/\[error\].*"shop" has no snapshot, its fallback answers: /,
        "$name: and says why";

    my ($pid) = $n->worker_pids;
    is scalar(grep { decide($n, "c$_")->{http} != 200 } 1 .. 100), 0,
        "$name: it lives";
    is_deeply [ $n->worker_pids ], [ $pid ], "$name: as the same process";
    cmp_ok deaths() - $deaths, '<=', 1, "$name: one death at most";

    overwrite($whole);
    ok $n->wait_for(sub { decide($n, 'c1000')->{generation} == 1 }),
        "$name: put right, it is served";
    ok $n->stop, "$name: stop";
}

note deaths() . ' workers died';
$n->ok_log(allow => [ qr/worker process \d+ exited on signal (?:7|11)\b/ ]);

done_testing;
