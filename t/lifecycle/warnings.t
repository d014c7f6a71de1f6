# What nginx tells of a configuration that is right and will not do: a log folder
# that the workers cannot write to, variables without a reco_decide.

use strict;
use warnings;

use lib 't/lib';
use Reco::Nginx;
use Test::More;

my $n = Reco::Nginx->new(
    conf_http => 'reco_zone reco:1m; reco_node edge; reco_log log/here;'
        . ' reco_model shop models/shop; reco_fallback shop A;',
    conf_server => 'location = /with { reco_decide shop;'
        . ' return 200 "[$reco_action]"; }'
        . ' location = /without { return 200 "[$reco_action]"; }');

my $cannot = qr/\[warn\].* reco: the workers cannot write to "reco_log" /;
$cannot = qr/${cannot}"\S+\/log\/here" /;

# What nginx -t says, the log apart.
sub told {
    unlink $n->path('error.log');
    my ($rc, $out) = $n->test_config;
    is $rc, 0, "$_[0]: nginx -t passes";
    return $out;
}

# ---- the log's folder ------------------------------------------------------ #

like told('no folder'), qr/${cannot}\(\d+: No such file or directory\)/,
    'no folder: told';
ok !-e $n->path('log/here'), 'no folder: none was created';

$n->write('log/here', '');
like told('a file'), qr/${cannot}\(\d+: Not a directory\)/, 'a file: told';
unlink $n->path('log/here');

$n->folder('log/here');
unlike told('a folder'), $cannot, 'a folder: nothing to tell';

SKIP: {
    my $user = Reco::Nginx::worker_user();
    skip 'needs a master that is root', 1 unless $user;
    my $here = $n->path('log/here');
    my $group = (getpwnam $user)[3];

    chown 0, 0, $here;
    chmod 0755, $here;
    like told('of another'), qr/${cannot}\(\d+: Permission denied\)/,
        'of another user: told';
    chown 0, $group, $here;
    chmod 0770, $here;
    unlike told('by the group'), $cannot, 'writable by the group: fine';
    chown 0, 0, $here;
    chmod 01777, $here;
    unlike told('by all'), $cannot, 'writable by all: fine';
    chown 0, 0, $n->path('log');
    chmod 0700, $n->path('log');
    like told('folder above'), qr/${cannot}\(\d+: Permission denied\)/,
        'a folder above that may not be entered: told';
    chmod 0755, $n->path('log');
    $n->folder('log/here');
}

# ---- variables without reco_decide ------------------------------------------ #

$n->start;
my $told = sub {
    scalar(() = $n->error_log =~ /\[warn\].* is no "reco_decide"/g);
};
is $n->request('GET', '/with')->{body}, '[A]', 'reco_decide in scope';
is $told->(), 0, '... nothing to tell';
is $n->request('GET', '/without')->{body}, '[]', 'none in scope' for 1 .. 2;
is $told->(), 1, '... told once';
ok $n->stop, 'stop';
$n->ok_log;

done_testing;
