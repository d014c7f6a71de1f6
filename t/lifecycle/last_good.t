# A worker that starts while the folder names what cannot be used serves what
# was taken up last, as those do that run: after a reload, after a crash. Only
# where that is not there any more does the fallback answer.

use strict;
use warnings;

use lib 't/lib';
use JSON::PP;
use Reco::Lifecycle;
use Reco::Nginx;
use Test::More;

my %conf = (
    workers => 2,
    conf_http => 'reco_zone reco:2m; reco_node edge;'
        . ' reco_model shop models/shop check=100ms;'
        . ' reco_fallback shop X,Y;'
        . ' reco_log log;',
    conf_server => 'location = /decide { reco_recommend shop; }'
        . ' location = /status { reco_status json; }');
my $n = Reco::Nginx->new(%conf);

# Puts a manifest that differs from $of in %o in the place of the present one.
sub manifest {
    my ($n, $of, %o) = @_;
    $n->write('models/shop/next', encode_json({ %$of, %o }));
    rename $n->path('models/shop/next'), $n->path('models/shop/current.json')
        or die $!;
}

# A file of the size of $of, damaged; its name. By rename: what is mapped stays.
my $damaged = 0;
sub damage {
    my ($n, $of, $name) = @_;
    my $bytes = $n->read("models/shop/$of->{file}");
    substr($bytes, 9000, 1) ^= "\x01";
    $name //= 'damaged' . ++$damaged . '.mdb';
    $n->write('models/shop/next', $bytes);
    rename $n->path('models/shop/next'), $n->path("models/shop/$name")
        or die $!;
    return $name;
}

sub publish_damaged {
    my ($n, $of, $generation) = @_;
    my $file = damage($n, $of);
    my $log = length $n->error_log;
    manifest($n, $of, file => $file, generation => $generation);
    ok $n->wait_for(sub {
        substr($n->error_log, $log) =~ /\[error\].*'$file' does not have/;
    }), "a damaged generation $generation is refused by those that run";
    return $file;
}

# What two new workers say and serve after $change; $why is in each line.
sub starts {
    my ($name, $generation, $why, $change) = @_;
    my $log = length $n->error_log;
    my $errors = counter($n, 'errors', 'snapshot');
    my $fallbacks = counter($n, 'events', 'fallback_decisions');
    my %old = map { $_ => 1 } $n->worker_pids;

    $change->();
    my @new;
    $n->wait_for(sub {
        @new = grep { !$old{$_} } $n->worker_pids;
        my $said = substr $n->error_log, $log;
        $n->worker_pids == 2
            && @new == grep { $said =~ /\[error\] $_#\d+: reco: model/ } @new;
    });
    my %seen;
    $seen{ decide($n)->{generation} }++ for 1 .. 40;
    is_deeply \%seen, { $generation => 40 }, "$name: generation $generation";
    is status($n)->{snapshots}[0]{generation}, $generation,
        "$name: the status says so";

    # a look of each worker, and another one: nothing more is told
    select undef, undef, undef, 0.35;
    # (those that leave may have had a last look at it, too)
    my @all = grep { /\[error\].*reco:/ }
        split /\n/, substr $n->error_log, $log;
    my @lines = grep { my $line = $_; grep { $line =~ / $_#/ } @new } @all;
    is scalar @lines, scalar @new, "$name: one error line each" or diag "@lines";
    is scalar(grep { $_ !~ $why } @lines), 0, "$name: what and why"
        or diag "@lines";
    is counter($n, 'errors', 'snapshot') - $errors, scalar @all,
        "$name: counted";
    is counter($n, 'events', 'fallback_decisions') - $fallbacks,
        $generation ? 0 : 40, "$name: as it is";
}

sub reload { ok $n->reload(1), 'reload' }

sub crash {
    my ($pid) = $n->worker_pids;
    kill 'KILL', $pid;
    ok $n->wait_for(sub {
        my @now = $n->worker_pids;
        @now == 2 && !grep { $_ == $pid } @now;
    }), 'another worker comes';
}

my $first = publish($n);
$n->start;
$n->wait_generation(shop => 1);
is decide($n)->{generation}, 1, 'a good snapshot is served';

# ---- refused -------------------------------------------------------------- #

my $bad = publish_damaged($n, $first, 2);
my $keeps = qr/"shop" keeps generation 1: '$bad' was found bad by another/;
starts('reload', 1, $keeps, \&reload);
starts('crash', 1, $keeps, \&crash);
starts('another reload', 1, $keeps, \&reload);

my $load = begin_load($n);
reload();
my @answers = grep { $_->{status} == 200 } end_load($load);
cmp_ok scalar @answers, '>', 10, scalar(@answers) . ' answers under load';
is scalar(grep { $_->{generation} != 1 } @answers), 0, 'all of generation 1';

# ---- cannot be read ------------------------------------------------------- #

starts('no manifest', 1, qr/keeps generation 1: .*current\.json': No such/,
    sub { unlink $n->path('models/shop/current.json'); reload() });

starts('no JSON', 1, qr/keeps generation 1: 'current\.json': line 1/,
    sub { $n->write('models/shop/current.json', '{"file": "x"'); reload() });

starts('a wrong member', 1,
    qr/keeps generation 1: 'current\.json': .*published/,
    sub { manifest($n, $first, published => 'noon'); reload() });

starts('a lie about the good file', 1,
    qr/keeps generation 1: .*is generation 1, its manifest says 2/,
    sub { manifest($n, $first, generation => 2); reload() });

starts('not there yet', 1, qr/keeps generation 1: cannot open '.*late\.mdb'/,
    sub { manifest($n, $first, file => 'late.mdb', generation => 2); reload() });

# ---- superseded ----------------------------------------------------------- #

my $third = publish($n, version => '3.0.0');
is $third->{generation}, 3, 'a good one';
ok $n->wait_generation(shop => 3), 'is taken up by all';
is decide($n)->{generation}, 3, 'and served';

$bad = publish_damaged($n, $third, 4);
starts('the one after', 3, qr/"shop" keeps generation 3: '$bad' was found/,
    \&reload);

# by hand, against what those that run do: the last one is that one then
manifest($n, $first);
ok $n->reload(1), 'a reload with an older manifest';
ok $n->wait_generation(shop => 1), 'takes it up';
$bad = publish_damaged($n, $first, 5);
starts('an older one', 1, qr/"shop" keeps generation 1: '$bad' was found/,
    \&reload);

# what comes to be good is taken up without another manifest
my $source = build(spec(version => '6.0.0'));
my $other = $n->folder('other');
$n->tool_run('publish', $source, '--to', $other) for 1 .. 6;
my $sixth = decode_json($n->read('other/current.json'));
is $sixth->{generation}, 6, 'a sixth generation';
starts('a manifest before its file', 1, qr/keeps generation 1: cannot open/,
    sub { manifest($n, $sixth); reload() });
rename "$other/$sixth->{file}", $n->path("models/shop/$sixth->{file}")
    or die $!;
ok $n->wait_generation(shop => 6), 'the file is taken up when it comes';

# ---- not there, or not sound, any more ------------------------------------ #

# the same name elsewhere is another folder's
$n->folder('models/else');
$n->write("models/else/$sixth->{file}",
    $n->read("models/shop/$sixth->{file}"));
$n->configure(conf_http => $conf{conf_http} =~ s{models/shop}{models/else}r);
starts('another folder', 0,
    qr/has no snapshot, its fallback answers: .*else\/current\.json.{0,40}$/,
    \&reload);
$n->configure(%conf);
reload();
ok $n->wait_generation(shop => 6), 'the folder before';

my $whole = $n->read("models/shop/$sixth->{file}");
$bad = publish_damaged($n, $sixth, 7);
damage($n, $sixth, $sixth->{file});
starts('damaged meanwhile', 0, qr/has\ no\ snapshot,\ its\ fallback\ answers:
    .*'$bad'\ was\ found\ bad.*;\ nor\ the\ last\ good\ one:
    .*'$sixth->{file}'/x, \&reload);

$n->write('models/shop/next', $whole);
rename $n->path('models/shop/next'), $n->path("models/shop/$sixth->{file}")
    or die $!;
starts('put right', 6, qr/keeps generation 6: '$bad'/, \&reload);

unlink $n->path("models/shop/$sixth->{file}");
starts('removed meanwhile', 0, qr/has\ no\ snapshot,\ its\ fallback\ answers:
    .*'$bad'\ was\ found\ bad.*;\ nor\ the\ last\ good\ one:
    .*cannot\ open\ '.*$sixth->{file}':\ No\ such\ file/x, \&reload);

my $eighth = publish($n, version => '8.0.0');
ok $n->wait_generation(shop => $eighth->{generation}), 'a good one heals it';

# what the manifest names is not tried twice
damage($n, $eighth, $eighth->{file});
starts('the present one damaged', 0,
    qr/fallback answers: '$eighth->{file}' [^;]*$/, \&reload);

ok $n->stop, 'stop';

# ---- a restart knows nothing of it; nor does a server without a zone ------ #

publish($n, version => '9.0.0');
$n->start;
ok $n->wait_generation(shop => 9), 'served';
$bad = publish_damaged($n, decode_json($n->read('models/shop/current.json')),
    10);
ok $n->stop, 'stop';
$n->start;
is decide($n)->{generation}, 0, 'a restart falls back';
ok $n->stop, 'stop';
$n->ok_log(allow => [ qr/worker process \d+ exited on signal 9\b/ ]);

my $m = Reco::Nginx->new(%conf, workers => 1,
    conf_http => $conf{conf_http} =~ s/reco_zone \S+;//r);
my $good = publish($m);
$m->start;
is decide($m)->{generation}, 1, 'without a zone: served';
publish_damaged($m, $good, 2);
is decide($m)->{generation}, 1, 'without a zone: serves on';
my $before = length $m->error_log;
ok $m->reload(1), 'without a zone: reload';
is decide($m)->{generation}, 0, 'without a zone: the fallback';
like substr($m->error_log, $before),
    qr/\[error\].*has no snapshot, its fallback answers: '[^;]*checksum$/m,
    'without a zone: told';
ok $m->stop, 'stop';
$m->ok_log;

done_testing;
