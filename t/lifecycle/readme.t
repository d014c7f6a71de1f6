#!/usr/bin/perl

# README.md's shopping cart: its ten lines beside the ten of the offers, and its
# commands as they are written, but for paths, port and sudo. What they promise:
# products, a reward that is taken, and a follower that makes an agent of it.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP;
use Reco::Nginx;
use Test::More;

my $root = Reco::Nginx::root();
open my $f, '<', "$root/README.md" or die $!;
my $readme = do { local $/; <$f> };

my ($offers, $cart) = $readme =~ /^    (reco_\w+ .*?^    \}\n)/msg;
for my $conf ($offers, $cart) {
    is(scalar(() = $conf =~ /\n/g), 10, 'ten lines');
}

my $n = Reco::Nginx->new(conf_server => '');
my ($dir, $port, $port2) = ($n->dir, $n->port, $n->port2);

sub here {
    return $_[0] =~ s{/var/lib/reco/}{$dir/models/}gr
        =~ s{/var/log/reco}{$dir/log}gr
        =~ s{/usr/local/share/reco/}{$root/conf/}gr
        =~ s{127\.0\.0\.1:8080}{127.0.0.1:$port}gr
        =~ s{127\.0\.0\.1:5000}{127.0.0.1:$port2}gr
        =~ s{\bsudo }{}gr;
}

$n->folder('log');
mkdir "$dir/bin" or die $!;
symlink abs_path(Reco::Nginx::tool()), "$dir/bin/reco" or die $!;
local $ENV{PATH} = "$dir/bin:$ENV{PATH}";
$n->configure(conf_http => here($offers . $cart))->start;

# The section's commands: indented blocks that begin with one.
my ($section) = $readme =~ /^## Ten lines for a shopping cart\n(.*?)^## /ms;
my @blocks = grep { /^ +(sudo )?(reco |curl )/ }
    $section =~ /((?:^    .*\n)+)/mg;
is(scalar @blocks, 3, 'model, requests, follower');

sub run {
    my $out = qx(cd $dir && exec 2> said && set -e\n@{[ here($_[0]) ]}\n);
    is($?, 0, $_[1]) or diag $out, $n->read('said');
    return $out;
}

my $uri = '/api/v1/rl/agent/state';
my $client = $n->client($port2);
my $state = sub {
    decode_json($client->request('GET', $uri)->{body})->{data};
};

ok($n->wait_for(sub { $n->error_log =~ /"cart" has no snapshot/ }, 30),
   'until there is a model, the log says so');
run($blocks[0], 'a model is made and published');
ok($n->wait_for(sub { $state->()->{generation} == 1 }), 'and served');

my $out = run($blocks[1], 'a recommendation, a reward');
like($out, qr/^HTTP\S+ 200 /, 'recommended');
my ($answer, $taken) = $out =~ /^(\{"success".*\})(\{"success".*\})\s*$/m;
my $data = decode_json($answer)->{data};
is(scalar @{ $data->{recommendations} }, 5, 'five products');
ok(!(grep { $_ eq '20053B' } @{ $data->{recommendations} }), 'none of the cart');
ok(!$data->{metadata}{fallback}, 'not of a fallback');
ok(decode_json($taken)->{success}, 'the reward is taken');

run($blocks[2] =~ s/\n\z/ --cycles 1\n/r, 'a follower learns of it');
ok($n->wait_for(sub { $state->()->{generation} == 2 }), 'and publishes');
is($state->()->{current_episode}, 1, 'one session');
cmp_ok($state->()->{q_table_size}, '>', 0, 'a table');

$n->stop;
my $none = qr/has no snapshot(?:, its fallback answers| and no fallback): /;
like($n->error_log, qr/"offers" has no snapshot, its fallback answers: /,
     'until there was a model, the log said what answered');
like($n->error_log, qr/"cart" has no snapshot and no fallback: /, '... or nothing');
$n->ok_log(allow => [$none]);
done_testing;
