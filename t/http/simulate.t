#!/usr/bin/perl

# reco simulate --http: shoppers as clients of a server in format cart. What
# they count is what the server logged.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP;
use Reco::Nginx;
use Reco::Tool;
use Test::More;

my $dir = folder();
my $json = JSON::PP->new->utf8->canonical;

sub tool {
    my (@args) = @_;
    my ($status, undef, $err) = reco(@args);

    is($status, 0, $args[0]) or diag $err;
}

tool('generate', '--out', "$dir/raw", '--customers', 120, '--items', 80);
tool('baskets', "$dir/raw/baskets.csv", '--items', "$dir/raw/items.csv",
     '--out', "$dir/shop");
my @shop = ('--baskets', "$dir/raw/baskets.csv", '--items',
            "$dir/shop/items.csv");
tool('simulate', '--calibrate', @shop, '--out', "$dir/market.json");

# Shoppers who click often, so that few sessions show enough.
my $market = $json->decode(slurp("$dir/market.json"));
$market->{response}{base} += 3;
spew("$dir/eager.json", $json->encode($market));
my @args = ('simulate', @shop, '--market', "$dir/eager.json",
            '--market-unchecked', '--sessions', 60, '--json');

my $n = Reco::Nginx->new(conf_http => <<'END', conf_server => <<'END')->start;
reco_zone  reco:2m;
reco_node  edge-1;
reco_log   log;
reco_model cart models/cart check=100ms;
END
location = /api/v1/rl/recommendations { reco_recommend cart format=cart; }
location = /api/v1/rl/reward { reco_reward cart format=cart; }
END

my ($status, undef, $err) = reco(@args, '--http', $n->url);
is($status, 1, 'a server without a model');
like($err, qr/requests failed, the first with: status 422/, '... says why');

tool('build', 'conf/models/cart.json', '--out', "$dir/cart.mdb",
     map { ("--$_", "$dir/shop/$_.csv") } qw(customers items lists samples));
tool('publish', "$dir/cart.mdb", '--to', $n->path('models/cart'), '--force');
ok($n->wait_generation(cart => 1), 'the model is served');

my $t = reco_json(@args, '--http', $n->url('/'), '--connections', 8);
is($t->{failed}, 0, 'nothing failed');
cmp_ok($t->{sessions}, '>=', 60, 'sessions');
cmp_ok($t->{click_through}, '>', 0.05, 'clicks');

($status, undef, $err) = reco(@args, '--http', $n->url('/nowhere'));
is($status, 1, 'a path that is not there');
like($err, qr/status 404/, '... says why');

$n->stop;

my (%decisions, %sessions, %clicked, %bought);
for my $file (glob $n->path('log/*.ndjson')) {
    for (map { $json->decode($_) } split /\n/, slurp($file)) {
        if ($_->{type} eq 'decision') {
            $decisions{$_->{id}} = $_;
            $sessions{$_->{session}} = 1;
        } elsif ($_->{type} eq 'reward') {
            $clicked{$_->{decision}} = 1 if $_->{facts}{click};
            $bought{$_->{session}} += $_->{facts}{revenue}
                if $_->{facts}{conversion};
        }
    }
}

my $revenue = 0;
$revenue += $_ for values %bought;
is(scalar keys %decisions, $t->{decisions}, 'all decisions are logged');
is(scalar keys %sessions, $t->{sessions}, '... of all sessions');
is(scalar(grep { $clicked{$_} } keys %decisions),
   sprintf('%.0f', $t->{click_through} * $t->{decisions}),
   'and the clicks on them');
cmp_ok(abs($revenue - $t->{revenue_per_session} * $t->{sessions}), '<', 1e-6,
       'and what was bought');
is(scalar(grep { !@{$_->{cart} // []} } values %decisions), 0,
   'with the cart');

($status, undef, $err) = reco(@args, '--http', $n->url);
is($status, 1, 'a server that is gone');
like($err, qr/\d+ of \d+ requests failed, the first with: /, '... says so');

$n->ok_log;
done_testing();
