#!/usr/bin/perl

# nginx -t looks and touches nothing: no folder, no segment, no lock file.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Find;
use Reco::Nginx;
use Test::More;

my $n = Reco::Nginx->new(
    conf_http => 'reco_zone reco:1m; reco_log newlog segment=4k max=64k full=drop keep=1d; reco_model shop new/shop;'
        . 'reco_fallback shop A; reco_geoip new.mdb;',
    conf_server => 'location = /x { reco_recommend shop; }'
        . 'location = /y { reco_reward shop; }');

sub tree {
    my %seen;
    find({ no_chdir => 1, wanted => sub {
        my @s = lstat $_;
        $seen{$_} = join ':', @s[1, 7, 9] if !/error\.log|nginx\.pid/;
    } }, $n->dir);
    # of a folder that holds error.log the time may change
    delete $seen{ $n->dir };
    return \%seen;
}

my $before = tree();
my ($rc, $out) = $n->test_config;

is $rc, 0, 'the configuration passes' or diag $out;
is_deeply tree(), $before, 'nothing was created, changed or removed';
ok !-e $n->path($_), "no '$_'" for qw(newlog new new.mdb);
is_deeply [glob($n->path('log/*'))], [], 'no segment';

# what a run leaves is its own, and a second nginx -t beside it adds nothing
$n->folder('newlog');
$n->start;
is $n->json('POST', '/x', '{}')->{status}, 200, 'nginx runs';
my @segments = glob $n->path('newlog/*');
is scalar @segments, 1, 'one worker, one segment';
($rc, $out) = $n->test_config;
is $rc, 0, 'passes beside a running nginx';
is_deeply [glob $n->path('newlog/*')], \@segments, 'the same segment';
$n->stop;
$n->ok_log(allow => [qr/\[emerg\].*bind\(\)/]);

done_testing;
