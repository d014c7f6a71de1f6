# A snapshot that is not what its manifest says is refused, told of once, and
# the last good one serves on; where there is none, the fallback does.

use strict;
use warnings;

use lib 't/lib';
use File::Copy qw(copy);
use JSON::PP;
use POSIX ();
use Reco::Lifecycle;
use Reco::Nginx;
use Test::More;

my $n = Reco::Nginx->new(
    conf_http => 'reco_zone reco:2m; reco_node edge;'
        . ' reco_model shop models/shop check=100ms;'
        . ' reco_fallback shop X,Y;'
        . ' reco_log log;',
    conf_server => 'location = /decide { reco_recommend shop; }'
        . ' location = /status { reco_status json; }');

# With customers, so that it has more than a few pages.
my $customers = $n->write('customers.csv', "customer,age\n"
    . join '', map { "c$_,30\n" } 1 .. 2000);

sub shop {
    return build(spec(features => [ { name => 'age', type => 'number',
        from => [ 'customer' ] } ], columns => { customer => 'customer' }, @_),
        '--customers', $customers);
}

sub publish_shop {
    my ($n, @o) = @_;
    $n->tool_run('publish', shop(@o), '--to', $n->folder('models/shop'));
    return decode_json($n->read('models/shop/current.json'));
}

my $good = publish_shop($n);
my $file = "models/shop/$good->{file}";

sub manifest {
    my (%o) = @_;
    $n->write('models/shop/next', encode_json({ %$good, %o }));
    rename $n->path('models/shop/next'), $n->path('models/shop/current.json')
        or die $!;
}

# Lines of level error that the change brings; also what is served then.
sub errors_after {
    my ($change) = @_;
    my $before = length $n->error_log;
    my $counted = counter($n, 'errors', 'snapshot');
    $change->();
    $n->wait_for(sub { counter($n, 'errors', 'snapshot') > $counted }, 5);
    select undef, undef, undef, 0.35;       # three more looks
    return grep { /\[error\].*reco:/ }
        split /\n/, substr $n->error_log, $before;
}

sub one_error {
    my ($name, $pattern, $change) = @_;
    my @lines = errors_after($change);
    is scalar @lines, 1, "$name: one line" or diag "@lines";
    like $lines[0] // '', $pattern, "$name: what and why";
    is decide($n)->{generation}, 1, "$name: generation 1 serves on";
}

$n->start;
is decide($n)->{generation}, 1, 'a good snapshot is served';

one_error('flipped bit',
    qr/keeps generation 1: 'flipped.mdb' does not have its manifest's checksum/,
    sub {
    my $bytes = $n->read($file);
    substr($bytes, 9000, 1) ^= "\x01";
    $n->write('models/shop/flipped.mdb', $bytes);
    manifest(file => 'flipped.mdb', generation => 2);
});

one_error('truncated',
    qr/short.mdb' has 20000 bytes, its manifest says $good->{size}/, sub {
    $n->write('models/shop/short.mdb', substr $n->read($file), 0, 20000);
    manifest(file => 'short.mdb', generation => 2);
});

one_error('empty', qr/'empty.mdb': not a reco snapshot/, sub {
    $n->write('models/shop/empty.mdb', '');
    manifest(file => 'empty.mdb', generation => 2, size => 0,
        checksum => 'xxh3-128:99aa06d3014798d86001c324468d497f');
});

one_error('no manifest any more', qr/current\.json': No such file/, sub {
    unlink $n->path('models/shop/current.json');
});

one_error('a manifest that is a fifo', qr/current\.json is not a regular/, sub {
    POSIX::mkfifo($n->path('models/shop/current.json'), 0644) or die $!;
});

one_error('a manifest that is a folder', qr/current\.json is not a regular/,
    sub {
    unlink $n->path('models/shop/current.json');
    mkdir $n->path('models/shop/current.json') or die $!;
});
rmdir $n->path('models/shop/current.json') or die $!;

one_error('no JSON', qr/'current.json': line 1, column 12: /, sub {
    $n->write('models/shop/current.json', '{"file": "x"');
});

one_error('another model', qr/the manifest is of model 'other'/, sub {
    manifest(model => 'other', generation => 2);
});

one_error('another generation than the manifest says',
    qr/is generation 1, its manifest says 2/, sub {
    manifest(generation => 2);
});

one_error('a folder', qr/is no file/, sub {
    mkdir $n->path('models/shop/folder');
    my $size = -s $n->path('models/shop/folder');
    manifest(file => 'folder', generation => 2, size => $size);
});

one_error('not there yet', qr/cannot open '.*late\.mdb': No such file/, sub {
    manifest(file => 'late.mdb', generation => 2);
});

one_error('a fifo', qr/is no file/, sub {
    POSIX::mkfifo($n->path('models/shop/fifo'), 0644) or die $!;
    manifest(file => 'fifo', generation => 2, size => 0);
});

SKIP: {
    skip 'needs a master that is root', 3 unless Reco::Nginx::worker_user();
    one_error('unreadable', qr/cannot open '.*private.mdb': Permission denied/,
        sub {
        $n->write('models/shop/private.mdb', $n->read($file));
        chmod 0600, $n->path('models/shop/private.mdb');
        manifest(file => 'private.mdb', generation => 2);
    });
}

one_error('a path', qr/'current.json': .*file/, sub {
    manifest(file => '../shop/' . $good->{file}, generation => 2);
});

for my $lie ([ size => $good->{size} - 1, qr/has $good->{size} bytes/ ],
    [ size => $good->{size} + 1, qr/has $good->{size} bytes/ ],
    [ size => 4503599627370496, qr/has $good->{size} bytes/ ],
    [ checksum => 'xxh3-128:' . '0' x 32, qr/its manifest's checksum/ ],
    [ size => -1, qr/'current.json': / ],
    [ generation => 0, qr/'current.json': |generation 0/ ]) {
    my ($name, $value, $pattern) = @$lie;
    one_error("the manifest's $name is $value", $pattern, sub {
        # of its own name, so that it is another complaint
        my $copy = "lie-$name-$value.mdb" =~ s/[^\w.-]//gr;
        $n->write("models/shop/$copy", $n->read($file));
        manifest(generation => 2, file => $copy, $name => $value);
    });
}

# ---- cut off, damaged: the manifest is that of the whole file ------------- #

# As a worker meets them, all within one run: each is one error of its own,
# and the last good one serves on.
my $long = ($ENV{RECO_SLOW} // '') eq '1';
my $whole = $n->read($file);
my $before;

sub refused {
    my ($name, $what, $text, $pattern) = @_;
    my $log = -s $n->path('error.log');
    $n->write("models/shop/$name", $text);
    manifest(file => $name, generation => 2);
    my $seen = $n->wait_for(sub {
        substr($n->error_log, $log) =~ /\[error\].*'[^']*\Q$name\E'/;
    }, 5);
    my @lines = grep { /\[error\]/ } split /\n/, substr $n->error_log, $log;
    # not this one: that it is gone would be another error, of the next look
    unlink $before if defined $before;
    $before = $n->path("models/shop/$name");
    return "$what: not refused" unless $seen;
    return "$what: @lines" unless @lines == 1 && $lines[0] =~ $pattern;
    return;
}

my $pages = length($whole) / 4096;
my @cuts = grep { $long || $_ % 3 == 0 } 0 .. $pages - 1;
my @wrong = map {
    refused("cut-$_.mdb", "cut at page $_", substr($whole, 0, 4096 * $_),
        qr/has \d+ bytes, its manifest says $good->{size}/)
} @cuts;
is join("\n", @wrong), '', 'truncated at ' . @cuts . ' page boundaries';

srand 4;
my $flips = $long ? 1000 : 10;
@wrong = map {
    my $bit = int rand 8 * length $whole;
    my $text = $whole;
    vec($text, $bit, 1) ^= 1;
    refused("flip-$_.mdb", "bit $bit", $text, qr/its manifest's checksum/);
} 1 .. $flips;
is join("\n", @wrong), '', "each of $flips flipped bits is caught";
is decide($n)->{generation}, 1, 'generation 1 serves on';

# ---- sound files that are none of ours, with a manifest that fits --------- #

# Publishes as reco would, whatever the file is.
sub foreign {
    my ($name, $text) = @_;
    $n->write("models/shop/$name", $text);
    my $sum = qx(xxhsum -H2 '${\$n->path("models/shop/$name")}');
    my ($hex) = $sum =~ /^([0-9a-f]{32})\b/;
    manifest(file => $name, generation => 2, size => length $text,
        checksum => "xxh3-128:$hex");
}

SKIP: {
    skip 'needs xxhsum', 15 if !grep { -x "$_/xxhsum" } split /:/, $ENV{PATH};

    one_error('other schema', qr{snapshot format 255 is not supported}, sub {
        # the number of the format, in meta, twice the one that is known
        my $text = $whole;
        $text =~ s/format\K\x01\x00\x00\x00/\xff\x00\x00\x00/
            or $text =~ s/format\K(.)\x00\x00\x00/\xff\x00\x00\x00/s
            or die 'no format';
        foreign('schema.mdb', $text);
    });
    one_error('foreign LMDB', qr/not a reco snapshot|meta/, sub {
        my $text = $whole;
        $text =~ s/\x04\x00meta/\x04\x00atem/ or die 'no meta';
        foreign('foreign.mdb', $text);
    });
    one_error('of another model', qr/'other.mdb' is of model 'other'/, sub {
        my $other = shop(model => 'other');
        foreign('other.mdb', do { local (@ARGV, $/) = $other; <> });
    });
    one_error('cut off, and its manifest too', qr/it is cut off: \d+ bytes/,
        sub { foreign('half.mdb', substr $whole, 0, length($whole) / 2) });
    one_error('no LMDB', qr/no LMDB header/, sub {
        foreign('text.mdb', "id,name\n" x 4096);
    });
}

# ---- what comes late is taken up without another manifest ----------------- #

my $second = publish_shop($n, version => '2.0.0');
is $second->{generation}, 3, 'published above the generation that was refused';
cmp_ok generation_soon($n, 3), '<', 1e9, 'and served after all that was refused';

my $secret = $n->write('secret', 'hash ' . '5a' x 32 . "\nsign k "
    . 'c3' x 32 . "\n");
my ($line) = errors_after(sub {
    $n->tool_run('publish', build(spec(version => '3.0.0'), '--customers',
        $customers, '--secret', $secret), '--to', $n->path('models/shop'));
});
like $line, qr/customers whose ids are hashed, and there is no reco_secret/,
    'hashed customers need the secret';
is decide($n)->{generation}, 3, 'generation 3 serves on';

my $bytes = $n->read("models/shop/$second->{file}");
($line) = errors_after(sub {
    manifest(%$second, generation => 4, file => 'late.mdb');
});
like $line, qr/late.mdb': No such file/, 'a manifest before its file';
($line) = errors_after(sub { $n->write('models/shop/late.mdb', $bytes) });
like $line, qr/'late.mdb' is generation 3, its manifest says 4/,
    'the file is looked at when it comes';

# ---- at a reload and at a start ------------------------------------------- #

manifest(file => 'flipped.mdb', generation => 5);
ok $n->reload(1), 'reload with a bad snapshot';
is decide($n)->{generation}, 3, 'the last good one serves on';

ok $n->stop, 'stop';
$n->start;
my $a = decide($n);
is $a->{http}, 200, 'a fallback decision is an answer';
is $a->{generation}, 0, 'started with a bad snapshot: of generation 0';
is_deeply $a->{slate}, [ { action => 'X', propensity => 1 },
    { action => 'Y', propensity => 1 } ], 'the fallback, in its order';
is status($n)->{snapshots}[0]{generation}, 0, 'the status says so';
ok !exists status($n)->{snapshots}[0]{age_seconds}, 'without an age';
is counter($n, 'events', 'fallback_decisions'), 1, 'counted as fallback';

ok $n->stop, 'stop';
my ($fallback) = grep { $_->{generation} == 0 } $n->decisions;
is_deeply $fallback->{slate}, [ 'X', 'Y' ], 'the fallback is in the log';
ok $fallback->{fallback}, 'and marked';
$n->start;

publish_shop($n, version => '6.0.0');
cmp_ok generation_soon($n, decode_json(
    $n->read('models/shop/current.json'))->{generation}), '<', 1e9,
    'a good one heals it';

# ---- nginx -t looks and creates nothing ----------------------------------- #

my ($status, $said) = $n->test_config;
is $status, 0, 'nginx -t';
unlike $said, qr/\[warn\].*no usable snapshot/, 'has nothing to say of a good snapshot';

# a header of the main tree's root at which LMDB gives up with abort()
my $tree = $n->read($file);
my $meta = 4096 * (unpack('Q<', substr $tree, 4096 + 144)
    > unpack('Q<', substr $tree, 144));
my $root = 4096 * unpack 'Q<', substr $tree, $meta + 128;
substr($tree, $root + 10, 8) = pack 'S<4', 1, 18, 100, 100;
substr($tree, $root + 100, 8) = pack 'Q<', $root / 4096;
$n->write('models/shop/tree.mdb', $tree);

for my $case ([ 'a missing one', { file => 'gone.mdb' }, 'gone.mdb' ],
    [ 'a truncated one', { file => 'short.mdb' }, 'has 20000 bytes' ],
    [ 'a damaged one', { file => 'tree.mdb' }, 'manifest\'s checksum' ]) {
    my ($name, $change, $text) = @$case;
    manifest(%$change);
    my %before = map { $_ => 1 } glob $n->path('{.,models/shop,log}/*');
    ($status, $said) = $n->test_config;
    is $status, 0, "nginx -t with $name is no failure";
    like $said, qr/\[warn\].*model "shop" has no usable snapshot: .*$text/,
        'but a warning';
    is_deeply { map { $_ => 1 } glob $n->path('{.,models/shop,log}/*') },
        \%before, 'and creates nothing';
}

ok $n->stop, 'stop';
$n->ok_log;

# ---- changed while a thread reads it -------------------------------------- #

SKIP: {
    my $hang = $n->path('log/hang');
    my $library = slow_reads($hang);
    skip 'no library to make the disk hang with', 7 if !$library;

    my $m = Reco::Nginx->new(
        conf_http => 'reco_zone reco:2m; reco_model shop models/shop'
            . ' check=100ms; reco_log log;',
        conf_server => 'location = /decide { reco_recommend shop; }'
            . ' location = /status { reco_status json; }');
    publish_shop($m);
    {
        local $ENV{LD_PRELOAD} = $library;
        $m->start;
    }

    is decide($m)->{generation}, 1, 'served before it is slow';
    $n->write('log/hang', '');
    my $new = $m->path('models/shop/'
        . publish_shop($m, version => '2.0.0')->{file});
    ok $m->wait_for(sub { -e "$hang.reached" }), 'a thread reads, slowly';
    is decide($m)->{generation}, 1, 'answers do not wait for it';
    utime 1, 1, $new or die $!;
    is counter($m, 'errors', 'snapshot'), 0, 'no word of it yet';
    unlink $hang;
    ok $m->wait_for(sub {
        $m->error_log =~ /\[error\].*\.mdb' changed while it was read/;
    }), 'what it read is not what is there now: not believed';
    cmp_ok generation_soon($m, 2), '<', 10, 'the next look believes it';
    ok $m->stop, 'stop';
    $m->ok_log;
}

done_testing;
