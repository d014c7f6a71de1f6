#!/usr/bin/perl

# Without a master process, as for debugging. (nginx itself does not survive a
# reload then.)

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP;
use Reco::Nginx;
use Test::More;

my $n = Reco::Nginx->new(
    master => 0,
    conf_http => 'reco_zone reco:1m; reco_model shop models/shop check=100ms;'
        . 'reco_fallback shop A; reco_log log sync=always;',
    conf_server => 'location = /decide { reco_recommend shop; }',
)->start;

my $a = $n->json('POST', '/decide', {});
is $a->{status}, 200, 'a decision';
is $a->{json}{slate}[0]{action}, 'A', '... of the fallback';

is $n->publish(shop => { model => 'shop', version => '1',
    actions => [{ id => 'C' }], policy => { type => 'uniform' } }), 1,
    'published';
ok $n->wait_for(sub {
    $a = $n->json('POST', '/decide', {});
    $a->{json}{generation} == 1;
}), 'a snapshot is taken up';
is $a->{json}{slate}[0]{action}, 'C', '... and decides';
ok !exists $a->{headers}{'reco-unlogged'}, '... logged';

ok $n->stop, 'ends';
$n->ok_log;

done_testing;
