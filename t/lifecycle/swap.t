# A published snapshot is served within two seconds, by every worker, without
# a reload and without a failed request; a rollback is a new generation. Five
# swaps under load, a hundred in the long form (RECO_SLOW=1).

use strict;
use warnings;

use lib 't/lib';
use JSON::PP;
use Reco::Lifecycle;
use Reco::Nginx;
use Test::More;

my $n = Reco::Nginx->new(
    workers => 2,
    conf_http => 'reco_zone reco:2m; reco_node edge;'
        . ' reco_model shop models/shop check=500ms;'
        . ' reco_log log;',
    conf_server => 'location = /decide { reco_recommend shop; }'
        . ' location = /health { reco_health shop; }'
        . ' location = /status { reco_status json; }');

publish($n);
$n->start;

is decide($n)->{generation}, 1, 'the first generation at the first request';
is decide($n)->{version}, '1.0.0', 'and its version';

my $load = begin_load($n);
publish($n, version => '1.1.0', actions => [ { id => 'D' } ]);
cmp_ok generation_soon($n, 2), '<', 2 * ($ENV{RECO_SLOW} || 1),
    'the second one within two seconds, under load';
$n->wait_generation('shop', 2);     # the other worker too
is_deeply decide($n)->{slate}, [ { action => 'D', propensity => 1 } ],
    'its catalogue decides';
is $n->json('GET', '/health')->{json}{version}, '1.1.0', 'health tells it';

my $snapshot = status($n)->{snapshots}[0];
is $snapshot->{generation}, 2, 'the status tells it';
ok $snapshot->{age_seconds} >= 0 && $snapshot->{age_seconds} < 60,
    'with its age';

my $tool = Reco::Nginx::tool();
qx($tool rollback ${\$n->path('models/shop')} 2>&1);
is $?, 0, 'reco rollback';
cmp_ok generation_soon($n, 3), '<', 2 * ($ENV{RECO_SLOW} || 1),
    'a rollback is served as a third generation';
$n->wait_generation('shop', 3);
is decide($n)->{version}, '1.0.0', 'with the content of the first';

my @answers = end_load($load);
cmp_ok scalar @answers, '>', 50, scalar(@answers) . ' requests meanwhile';
is scalar(grep { $_->{status} != 200 } @answers), 0, 'none failed';
is_deeply [ sort keys %{ { map { $_->{generation} => 1 } @answers } } ],
    [ 1, 2, 3 ], 'each answered by one of the three generations';

# ---- an older manifest does not turn the time back ----------------------- #

my $old = $n->read('models/shop/current.json');
publish($n, version => '1.3.0');
ok $n->wait_generation('shop', 4), 'a fourth generation';
$n->write('models/shop/current.json.new', $old);
rename $n->path('models/shop/current.json.new'),
    $n->path('models/shop/current.json') or die $!;
ok $n->wait_for(sub {
    (() = $n->error_log =~ /generation 3 is below the served one, 4/g) == 2;
}), 'an older manifest is refused by both workers';
is decide($n)->{generation}, 4, 'the fourth generation serves on';

for my $generation (1 .. 4) {
    my $line = qr/\[info\].*"shop" serves generation $generation /;
    my @lines = $n->error_log
        =~ /$line\(version [\d.]+, \d actions, 0 customers\)/g;
    is scalar @lines, 2, "a line a worker for generation $generation";
}

# ---- again and again, under load ------------------------------------------ #

# What a worker has of snapshots, mapped and open, and all it has open.
sub held {
    my ($pid) = @_;
    open my $f, '<', "/proc/$pid/maps" or die "maps: $!";
    my %mapped = map { m{(/\S+\.mdb)} ? ($1 => 1) : () } <$f>;
    # connections come and go
    my @open = grep { !/^socket:/ } map { readlink // () }
        glob "/proc/$pid/fd/*";
    return { mapped => scalar keys %mapped,
        open => scalar(grep { /\.mdb/ } @open), all => scalar @open };
}

# Answers, each with all that tells which generation it is from.
sub watch {
    my ($out) = @_;
    my $a = eval { $n->request('GET', '/decide?customer=c') } || {};
    my $body = eval { decode_json($a->{body}) } || {};
    printf {$out} "%s %s %s %s %s\n", map { $_ // '-' } $a->{status},
        $a->{headers}{'reco-generation'}, $body->{generation},
        $body->{version}, $body->{slate}[0]{action};
}

# RECO_SLOW is also a factor of time limits; the long form has the factor 1.
my $swaps = ($ENV{RECO_SLOW} // '') eq '1' ? 100 : 5;

my $last = publish($n, version => 'v5', actions => [ { id => 'g5' } ]);
is $last->{generation}, 5, 'a fifth generation';
ok $n->wait_generation('shop', 5), 'is served';
my @workers = $n->worker_pids;
my @before = map { held($_) } @workers;
my @clients = map { begin_client(\&watch) } 1, 2;

for my $generation (6 .. 5 + $swaps) {
    publish($n, version => "v$generation",
        actions => [ { id => "g$generation" } ]);
    $n->wait_generation('shop', $generation) or last;
    $n->wait_for(sub { grep { /^\d+ $generation / } seen_by($clients[0]) });
}
end_clients(@clients);

my (%seen, @mixed);
chomp(my @lines = seen_by(@clients));
for my $line (@lines) {
    my ($status, $header, @body) = split ' ', $line;
    $seen{$header}++;
    push @mixed, $line if $status ne '200'
        || "@body" ne "$header v$header g$header";
}
is join("\n", @mixed), '', 'each answer is wholly from one generation';
is_deeply [ grep { !$seen{$_} } 5 .. 5 + $swaps ], [],
    "$swaps swaps, each seen";
is_deeply [ $n->worker_pids ], \@workers, 'by the same workers';
for my $i (0, 1) {
    my $now;
    $n->wait_for(sub { $now = held($workers[$i]);
        $now->{all} == $before[$i]{all} });
    is_deeply $now, { %{ $before[$i] }, mapped => 1, open => 1 },
        'one snapshot is mapped and open, and nothing more than before';
}

ok $n->stop, 'ends when asked to';
# what a slate has tells of which generation it is: gN of N, D of the second
is scalar(grep {
    my ($action) = @{ $_->{slate} };
    my $right = $action =~ /^g(\d+)\z/ ? qr/^$1\z/
        : $action eq 'D' ? qr/^2\z/ : qr/^[134]\z/;
    $_->{generation} !~ $right;
} $n->decisions), 0, 'each record has its generation';
$n->ok_log;

done_testing;
