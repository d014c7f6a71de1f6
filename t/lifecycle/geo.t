# The geo database is taken up when it is replaced, and kept when what
# replaces it is of no use.

use strict;
use warnings;

use lib 't/lib';
use File::Copy qw(copy);
use Reco::Lifecycle;
use Reco::Nginx;
use Test::More;

my $data = Reco::Nginx::data()
    or plan skip_all => 'no data sets (RECO_DATA or ../shared/data)';

# what `mmdblookup -f FILE -i ADDRESS country iso_code` says
my $city = "$data/maxmind/test-data/GeoIP2-City-Test.mmdb";
my $country = "$data/maxmind/test-data/GeoIP2-Country-Test.mmdb";
my ($only_city, $only_country, $both)
    = ('214.0.0.1', '50.114.0.1', '2.125.160.216');

my $n = Reco::Nginx->new(
    conf_http => 'reco_zone reco:2m; reco_node edge;'
        . ' reco_model shop models/shop check=1s;'
        . ' reco_geoip @DIR@/geo.mdb check=100ms;',
    conf_server => 'set_real_ip_from 127.0.0.1; real_ip_header X-Real-IP;'
        . ' location = /country { return 200 "[$reco_country]"; }'
        . ' location = /status { reco_status json; }');

sub replace {
    my ($file) = @_;
    copy($file, $n->path('geo.new')) or die "$file: $!";
    chmod 0644, $n->path('geo.new');
    rename $n->path('geo.new'), $n->path('geo.mdb') or die $!;
}

sub country {
    return $n->request('GET', '/country', undef, { 'X-Real-IP' => $_[0] })
        ->{body};
}

sub geo_errors { counter($n, 'errors', 'geo') }

publish($n);
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

# ---- the hostile ones ---------------------------------------------------- #

my @bad = grep { -f } glob "$data/maxmind/bad-data/*/*.mmdb";
cmp_ok scalar @bad, '>', 5, scalar(@bad) . ' hostile files';
for my $file (@bad) {
    my $opened = () = $n->error_log =~ /geo database/g;
    replace($file);
    $n->wait_for(sub { (() = $n->error_log =~ /geo database/g) > $opened });
    for my $address ('1.1.1.1', '8.8.8.8', '255.255.255.255', $both) {
        my $a = $n->request('GET', '/country', undef,
            { 'X-Real-IP' => $address });
        fail "$file: $address" if !$a || $a->{status} != 200;
    }
}
replace($country);
ok $n->wait_for(sub { country($both) eq '[GB]' }), 'and a good one again';

ok $n->stop, 'stop';
$n->ok_log;

done_testing;
