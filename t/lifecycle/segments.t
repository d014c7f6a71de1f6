# When a segment is closed: by size, by age, by USR1, at the worker's end; and
# what is in it.

use strict;
use warnings;

use lib 't/lib';
use Reco::Lifecycle;
use Reco::Nginx;
use Test::More;

sub server {
    my ($log) = @_;
    return Reco::Nginx->new(
        conf_http => 'reco_zone reco:2m; reco_node edge;'
            . " reco_model shop models/shop check=1s; reco_log log $log;",
        conf_server => 'location = /decide { reco_recommend shop; }'
            . ' location = /status { reco_status json; }');
}

sub segments {
    my ($n, $pattern) = @_;
    return map { s{.*/}{}r } sort glob $n->path("log/$pattern");
}

sub closed { scalar segments($_[0], '*.ndjson') }

# ---- USR1 and the end ----------------------------------------------------- #

my $n = server('');
publish($n);
$n->start;

my $name;
$n->wait_for(sub { ($name) = segments($n, '*') });
like $name, qr/^reco-edge-[0-9a-f]{8}-000000\.ndjson\.open$/,
    'a segment is open from the start';
decide($n);
$n->signal('USR1');
ok $n->wait_for(sub { closed($n) == 1 }), 'USR1 closes it';
is_deeply [ segments($n, '*') ], [ $name =~ s/\.open$//r ],
    'under its name without .open';

decide($n);
my ($second) = segments($n, '*.open');
is $second, $name =~ s/000000/000001/r, 'the next record opens another one';
is counter($n, 'events', 'log_segments_closed'), 1, 'one closed is counted';

$n->signal('USR1');
ok $n->wait_for(sub { closed($n) == 2 }), 'USR1 again';
decide($n);
ok $n->stop, 'the end';
is_deeply [ segments($n, '*') ],
    [ map { $name =~ s/000000\.ndjson\.open/00000$_.ndjson/r } 0 .. 2 ],
    'closes the third';

my @events = $n->events;
is_deeply [ map { $_->{type} } @events ],
    [ ('segment', 'decision') x 3 ], 'each begins with its header';
is_deeply [ map { $_->{seq} } grep { $_->{type} eq 'decision' } @events ],
    [ 1, 2, 3 ], 'numbers go on across segments';
is_deeply [ map { $_->{segment} } grep { $_->{type} eq 'segment' } @events ],
    [ 0, 1, 2 ], 'and segments are numbered';
is -s $n->path('log/' . $name =~ s/\.open$//r)
    > 512, 1, 'the header has its 512 bytes';
$n->ok_log;

# ---- nothing written ------------------------------------------------------ #

$n = server('');
publish($n);
$n->start;
ok $n->stop, 'a worker that wrote nothing';
is_deeply [ segments($n, '*') ], [], 'leaves nothing';
$n->ok_log;

# ---- size ----------------------------------------------------------------- #

$n = server('segment=4k');
publish($n);
$n->start;
decide($n, "customer-$_") for 1 .. 60;
ok $n->wait_for(sub { closed($n) >= 3 }), 'closed by size';
for my $file (glob $n->path('log/*.ndjson')) {
    cmp_ok -s $file, '>=', 4096, 'when 4k are reached';
    cmp_ok -s $file, '<', 4096 + 1024, 'with the record that reached them';
}
ok $n->stop, 'stop';
is scalar $n->decisions, 60, 'with all records';
$n->ok_log;

# ---- age ------------------------------------------------------------------ #

$n = server('age=300ms');
publish($n);
$n->start;
$n->wait_for(sub { segments($n, '*') });
select undef, undef, undef, 0.7;
is_deeply [ segments($n, '*') ], [ segments($n, '*-000000.ndjson.open') ],
    'one that is only old, but empty, stays';
decide($n);
ok $n->wait_for(sub { closed($n) == 1 }), 'closed by age';
is_deeply [ segments($n, '*.open') ], [], 'and no other opened for nothing';
ok $n->stop, 'stop';
$n->ok_log;

done_testing;
