# The geo database is taken up when it is replaced, under load too, and kept
# when what replaces it is of no use. Countries are those that MaxMind's own
# mmdblookup finds. RECO_SLOW=1: the long form.

use strict;
use warnings;

use lib 't/lib';
use File::Copy qw(copy);
use POSIX ();
use Reco::Lifecycle;
use Reco::Nginx;
use Test::More;

my $data = Reco::Nginx::data()
    or plan skip_all => 'no data sets (RECO_DATA or ../shared/data)';

# RECO_SLOW is also a factor of time limits; the long form has the factor 1.
my $long = ($ENV{RECO_SLOW} // '') eq '1';
my $city = "$data/maxmind/test-data/GeoIP2-City-Test.mmdb";
my $country = "$data/maxmind/test-data/GeoIP2-Country-Test.mmdb";
my ($only_city, $only_country, $both)
    = ('214.0.0.1', '50.114.0.1', '2.125.160.216');

sub server {
    my (%o) = @_;
    my $location = 'location = /country { return 200 "[$reco_country]"; }';
    my $n = Reco::Nginx->new(
        conf_http => 'reco_zone reco:2m; reco_node edge;'
            . ' reco_model shop models/shop check=1s;'
            . ' reco_geoip @DIR@/geo.mdb check=100ms;',
        conf_server => 'set_real_ip_from 127.0.0.1; real_ip_header X-Real-IP;'
            . " $location location = /status { reco_status json; }",
        conf_servers => 'server { listen 127.0.0.1:@PORT2@;'
            . ' real_ip_header X-Forwarded-For; set_real_ip_from 10.0.0.0/8;'
            . " $location }", %o);
    publish($n);
    return $n;
}

my $n = server();

sub replace {
    my ($file, $m) = @_;
    $m //= $n;
    copy($file, $m->path('geo.new')) or die "$file: $!";
    chmod 0644, $m->path('geo.new');
    rename $m->path('geo.new'), $m->path('geo.mdb') or die $!;
}

sub replace_text {
    $n->write('geo.new', $_[0]);
    rename $n->path('geo.new'), $n->path('geo.mdb') or die $!;
}

sub country {
    my ($address, $m) = @_;
    my $a = ($m // $n)->request('GET', '/country', undef,
        { 'X-Real-IP' => $address });
    return $a ? $a->{body} : 'no answer';
}

sub geo_errors { counter($n, 'errors', 'geo') }

# How often a database was looked into.
sub looks { scalar(() = $_[0]->error_log =~ /geo database/g) }

$n->start;
is country($both), '[]', 'no database: no country';
is geo_errors(), 1, 'counted';

replace($country);
ok $n->wait_for(sub { country($both) eq '[GB]' }), 'taken up when it comes';
is country('127.0.0.1'), '[]', 'a private address has none';

is country($only_country), '[US]', 'in the first one';
is country($only_city), '[]', 'not in the first one';

replace($city);
ok $n->wait_for(sub { country($only_city) eq '[SG]' }), 'another is taken up';
is country($only_country), '[]', 'with all that it has and has not';

$n->write('geo.new', 'this is no database');
rename $n->path('geo.new'), $n->path('geo.mdb');
ok $n->wait_for(sub { geo_errors() == 2 }), 'one of no use is counted';
select undef, undef, undef, 0.35;
is country($only_city), '[SG]', 'the last good one answers';
is scalar(() = $n->error_log =~ /cannot be used, the last good one serves/g),
    1, 'told once';

unlink $n->path('geo.mdb');
ok $n->wait_for(sub { geo_errors() == 3 }), 'one that is gone is counted';
select undef, undef, undef, 0.35;
is country($only_city), '[SG]', 'and missed by nobody';
is geo_errors(), 3, 'told once';

# ---- schemas and addresses ------------------------------------------------ #

# What mmdblookup finds, as the location tells it.
sub oracle {
    my ($file, $address, @path) = @_;
    my $said = qx(mmdblookup -f $file -i $address @path 2>/dev/null);
    return $said =~ /"(\w*)" <utf8_string>/ ? "[$1]" : '[]';
}

my $with_oracle = grep { -x "$_/mmdblookup" } split /:/, $ENV{PATH};

# Addresses in a file that has been taken up, each with what is known of it.
sub look_up {
    my ($name, $file, $path, %known) = @_;
    my @wrong;
    for my $address (sort keys %known) {
        my $found = country($address);
        push @wrong, "$address: $found, not $known{$address}"
            if $found ne $known{$address};
        push @wrong, "$address: mmdblookup says otherwise" if $with_oracle
            && $address !~ /ffff/
            && oracle($file, $address, @$path) ne $known{$address};
    }
    is join("\n", @wrong), '', "$name: " . keys(%known) . ' addresses';
}

my %private = map { $_ => '[]' } qw(127.0.0.1 10.0.0.1 10.255.255.255
    172.16.0.1 192.168.1.1 169.254.1.1 0.0.0.0 255.255.255.255 ::1 ::
    fd00::1 fe80::1 ff02::1);

replace($country);
ok $n->wait_for(sub { country($only_country) eq '[US]' }), 'nested schema';
look_up('nested schema', $country, [ qw(country iso_code) ],
    '2.125.160.216' => '[GB]', '89.160.20.112' => '[SE]',
    '202.196.224.1' => '[PH]', '67.43.156.1' => '[BT]',
    '2001:218::1' => '[JP]', '2a02:d400::1' => '[HU]',
    '::ffff:89.160.20.112' => '[SE]', '8.8.8.8' => '[]', %private);

# Of IPv4 only, 0.0.0.0/1 is DE: the bytes that t/unit/geo_t.c explains.
my $flat = join '', "\0\0\x11\0\0\x01", "\0" x 16,
    "\xe1\x4ccountry_code\x42DE", "\xab\xcd\xefMaxMind.com", "\xe9",
    "\x5bbinary_format_major_version\xa1\x02",
    "\x5bbinary_format_minor_version\xa0", "\x4bbuild_epoch\x01\x02\x01",
    "\x4ddatabase_type\x44Flat", "\x4bdescription\xe0",
    "\x4aip_version\xa1\x04", "\x49languages\x00\x04",
    "\x4anode_count\xc1\x01", "\x4brecord_size\xa1\x18";

replace_text($flat);
ok $n->wait_for(sub { country('1.2.3.4') eq '[DE]' }), 'flat schema';
look_up('flat schema, IPv4 only', $n->path('geo.mdb'), [ 'country_code' ],
    '1.2.3.4' => '[DE]', '127.255.255.255' => '[DE]', '128.0.0.0' => '[]',
    '200.2.3.4' => '[]', '2001:218::1' => '[]', '::1' => '[]',
    'fe80::1' => '[]', '::ffff:1.2.3.4' => '[DE]', '::ffff:200.2.3.4' => '[]');

# ---- who says so ---------------------------------------------------------- #

my $client = $n->client($n->port2);
my $a = $client->request('GET', '/country', undef,
    { 'X-Forwarded-For' => '200.2.3.4', 'X-Real-IP' => '200.2.3.4' });
is $a->{body}, '[DE]', 'nobody trusted: the address is that of the connection';
$a = $n->request('GET', '/country', undef, { 'X-Forwarded-For' => '200.2.3.4' });
is $a->{body}, '[DE]', 'another header than real_ip_header says nothing';
is country('200.2.3.4'), '[]', 'nginx\'s realip module alone changes it';

# ---- cut off -------------------------------------------------------------- #

replace($country);
ok $n->wait_for(sub { country($both) eq '[GB]' }), 'a good one again';
my $whole = do { local (@ARGV, $/) = $country; <> };
my $cuts = $long ? 200 : 12;
my @wrong;
for my $cut (map { int $_ * length($whole) / $cuts } 0 .. $cuts - 1) {
    my $errors = geo_errors();
    replace_text(substr $whole, 0, $cut);
    $n->wait_for(sub { geo_errors() > $errors }, 5)
        or push @wrong, "$cut bytes: taken up";
    push @wrong, "$cut bytes: " . country($both) if country($both) ne '[GB]';
}
is join("\n", @wrong), '', "cut off at $cuts places: the last good one serves";

# ---- the hostile ones ---------------------------------------------------- #

my @bad = grep { -f } glob "$data/maxmind/bad-data/*/*.mmdb";
cmp_ok scalar @bad, '>', 5, scalar(@bad) . ' hostile files';
for my $file (@bad) {
    my $opened = looks($n);
    replace($file);
    $n->wait_for(sub { looks($n) > $opened });
    for my $address ('1.1.1.1', '8.8.8.8', '255.255.255.255', $both, '::1',
        '2001:218::1') {
        my $a = $n->request('GET', '/country', undef,
            { 'X-Real-IP' => $address });
        fail "$file: $address" if !$a || $a->{status} != 200;
    }
}
mkdir $n->path('geo.folder') or die $!;
for my $case ([ 'a folder', sub { unlink $n->path('geo.mdb');
        rename $n->path('geo.folder'), $n->path('geo.mdb') or die $!; } ],
    [ 'a fifo', sub { rmdir $n->path('geo.mdb');
        POSIX::mkfifo($n->path('geo.mdb'), 0644) or die $!; } ]) {
    my $errors = geo_errors();
    $case->[1]->();
    ok $n->wait_for(sub { geo_errors() > $errors }), "$case->[0] is refused";
}
replace($country);
ok $n->wait_for(sub { country($both) eq '[GB]' }), 'and a good one again';

ok $n->stop, 'stop';
$n->ok_log;

# ---- replaced under load -------------------------------------------------- #

# Each address with what it is in one file and in the other.
my %either = ($both => qr/^\[GB\]$/, $only_city => qr/^\[(?:SG)?\]$/,
    $only_country => qr/^\[(?:US)?\]$/);

sub begin_asking {
    my ($m) = @_;
    return begin_client(sub {
        my ($out) = @_;
        for my $address (sort keys %either) {
            printf {$out} "%s %s\n", $address,
                eval { country($address, $m) } // 'no answer';
        }
    });
}

sub held {
    my ($pid) = @_;
    open my $f, '<', "/proc/$pid/maps" or die "maps: $!";
    # connections come and go
    return { mapped => scalar(grep { m{/geo\.} } <$f>),
        open => scalar(grep { (readlink // 'socket:') !~ /^socket:/ }
                       glob "/proc/$pid/fd/*") };
}

my $swaps = $long ? 200 : 8;
my $m = server(workers => 2);
replace($city, $m);
$m->start;
ok $m->wait_for(sub { looks($m) == 2 }), 'two workers have it';
my @workers = $m->worker_pids;
country($both, $m) for 1 .. 10;
my @before = map { held($_) } @workers;
my @asking = map { begin_asking($m) } 1, 2;

for my $i (1 .. $swaps) {
    replace($i % 2 ? $country : $city, $m);
    $m->wait_for(sub { looks($m) >= 2 + 2 * $i }) or fail "swap $i";
}
end_clients(@asking);

my %count;
chomp(my @asked = seen_by(@asking));
@wrong = grep {
    my ($address, $answer) = split ' ', $_, 2;
    $count{"$address $answer"}++;
    $answer !~ $either{$address};
} @asked;
is join("\n", @wrong), '', "$swaps swaps under load: each answer is from one";
cmp_ok $count{"$only_city [SG]"} // 0, '>', 0, 'from the one';
cmp_ok $count{"$only_country [US]"} // 0, '>', 0, 'and from the other';
is_deeply [ $m->worker_pids ], \@workers, 'by the same workers';
for my $i (0, 1) {
    my $now;
    $m->wait_for(sub { $now = held($workers[$i]);
        $now->{open} == $before[$i]{open} });
    is_deeply $now, { %{ $before[$i] }, mapped => 1 },
        'one database is mapped, and nothing more is open than before';
}
ok $m->stop, 'stop';
$m->ok_log;

# ---- written over in place ------------------------------------------------ #

# A map does not survive it: a worker may die, and the next one looks anew.
SKIP: {
    skip 'a sanitizer or valgrind reports what the signal does', 1
        if $ENV{ASAN_OPTIONS} || $ENV{RECO_VALGRIND};

    my $o = server();
    my $deaths = sub { scalar(() = $o->error_log =~ /exited on signal/g) };
    my $overwrite = sub {
        open my $f, '>', $o->path('geo.mdb') or die $!;
        print {$f} $_[0];
        close $f or die $!;
    };

    replace($country, $o);
    $o->start;
    for my $case ([ 'emptied', '' ], [ 'a text', 'no database ' x 2000 ],
        [ 'cut off', substr $whole, 0, length($whole) / 2 ],
        [ 'damaged', "\xff" x 4096 . substr $whole, 4096 ]) {
        my ($name, $text) = @$case;
        ok $o->wait_for(sub { country($both, $o) eq '[GB]' }), "$name: before";
        my ($died, $looked) = ($deaths->(), looks($o));

        $overwrite->($text);
        eval { country($_, $o) } for ($both, '::1', '89.160.20.112') x 20;
        ok $o->wait_for(sub { looks($o) > $looked }), "$name: looked at";
        ok $o->wait_for(sub { (eval { country('8.8.8.8', $o) } // '') eq '[]' }),
            "$name: a worker answers";
        my @now = $o->worker_pids;
        is scalar(grep { country($_, $o) !~ /^\[/ }
            ($both, '::1', '1.1.1.1') x 20), 0, "$name: it lives";
        is_deeply [ $o->worker_pids ], \@now, "$name: as the same process";
        cmp_ok $deaths->() - $died, '<=', 1, "$name: one death at most";
        replace($country, $o);
    }
    ok $o->wait_for(sub { country($both, $o) eq '[GB]' }), 'put right';
    ok $o->stop, 'stop';
    note $deaths->() . ' workers died';
    $o->ok_log(allow => [ qr/worker process \d+ exited on signal (?:7|11)\b/ ]);
}

done_testing;
