# A disk that fails under the event log: the n-th write, cut, sync, rename or
# creation of a file, once or until it is mended. What a client was told is
# what the log has: everything that was taken is there, once, and of what was
# not taken at most what was written and could not be synced or cut off again.

use strict;
use warnings;

use lib 't/lib';
use JSON::PP;
use Reco::Disk qw($ALL);
use Reco::Lifecycle;
use Reco::Nginx;
use Reco::Preload;
use Test::More;

plan skip_all => 'no library to let the disk fail with'
    unless preload('disk');

sub server {
    my ($sync) = @_;
    my $n = Reco::Nginx->new(
        conf_http => 'reco_zone reco:2m; reco_node edge;'
            . ' reco_model shop models/shop check=1s;'
            . " reco_log log sync=$sync;",
        conf_server => 'location = /decide { reco_recommend shop; }'
            . ' location = /reward { reco_reward shop; }'
            . ' location = /status { reco_status json; }');
    publish($n);
    return $n;
}

# So many decisions, each with a reward; into the book what was said of them:
# {taken}{ID or KEY}, {refused}{...}; true when the last were taken.
my $key = 0;
sub talk {
    my ($n, $book, $times) = @_;
    my ($said, $said_reward);
    for (1 .. $times) {
        my $d = decide($n);
        $said = $d->{http} != 200 ? "decision: $d->{http}"
            : $d->{unlogged} ? 'refused' : 'taken';
        $book->{$said}{ $d->{decision} } = 1;
        $book->{unlogged}++ if $said eq 'refused';

        my $k = 'k' . $key++;
        my $r = $n->json('POST', '/reward', { decision => $d->{decision},
            key => $k, facts => { click => 1 } })->{status};
        $said_reward = $r == 200 ? 'taken' : $r == 503 ? 'refused'
            : "reward: $r";
        $book->{$said_reward}{$k} = 1;
        $book->{503}++ if $said_reward eq 'refused';
    }
    return "$said $said_reward" eq 'taken taken';
}

# What the files have, line by line: how often each id and key; lines that are
# none.
sub log_of {
    my ($n) = @_;
    my (%there, @torn);
    for my $file (glob $n->path('log/*.ndjson*')) {
        push @torn, map {
            my $e = /\n\z/ && eval { decode_json($_) };
            $there{$e->{type} eq 'decision' ? $e->{id} : $e->{key}}++
                if $e && $e->{type} =~ /^(decision|reward)$/;
            $e ? () : "$file: $_";
        } $n->read('log/' . $file =~ s{.*/}{}r) =~ /([^\n]+\n?)/g;
    }
    return (\%there, \@torn);
}

my $told = qr/\[crit\].*reco: event log in /;

# name, sync, what fails (kind, calls that succeed first, calls that fail), and
#   lost     whether a client is told so (otherwise it must not be)
#   close    a segment is closed (USR1) while it fails
#   counter  of failures, that has to rise
#   perhaps  a client may be told, it depends on who waits
#   unsure   what was refused may be in the log all the same
#   left     a segment stays open until the next worker recovers it
my @cases = (
    [ 'a write', 'off', [ [ write => 2, 1 ] ], counter => 'log_write' ],
    [ 'two writes', 'off', [ [ write => 2, 2 ] ], counter => 'log_write',
        lost => 1 ],
    [ 'every write', 'off', [ [ write => 0, $ALL ] ], counter => 'log_write',
        lost => 1 ],
    [ 'every write', 'always', [ [ write => 0, $ALL ] ],
        counter => 'log_write', lost => 1 ],
    [ 'half a write', 'off', [ [ part => 0, 1 ], [ write => 0, 1 ] ],
        counter => 'log_write' ],
    [ 'half a write, and to cut it', 'off',
        [ [ part => 0, 1 ], [ write => 0, 1 ], [ cut => 0, $ALL ] ],
        counter => 'log_write', lost => 1, left => 1 ],
    [ 'to create a file', 'off', [ [ create => 0, $ALL ] ], close => 1,
        counter => 'log_open', lost => 1 ],
    [ 'a sync', 'always', [ [ fdatasync => 2, 1 ] ], counter => 'log_sync',
        lost => 1, unsure => 1 ],
    [ 'every sync', 'always', [ [ fdatasync => 0, $ALL ] ],
        counter => 'log_sync', lost => 1, unsure => 1 ],
    [ 'a sync of the folder', 'always', [ [ folder => 0, 1 ] ],
        counter => 'log_sync', lost => 1, unsure => 1 ],
    [ 'every sync', '50ms', [ [ fdatasync => 0, $ALL ] ],
        counter => 'log_sync' ],
    [ 'a sync at the end', 'off', [ [ fsync => 0, 1 ] ], close => 1,
        counter => 'log_close', left => 1 ],
    [ 'a sync at the end', 'always', [ [ fsync => 0, 1 ] ], close => 1,
        counter => 'log_close', left => 1, perhaps => 1, unsure => 1 ],
    [ 'to rename', 'off', [ [ rename => 0, 1 ] ], close => 1,
        counter => 'log_close', left => 1 ],
);

for my $case (@cases) {
    my ($what, $sync, $faults, %o) = @$case;
    my $name = "$what (sync=$sync)";
    my $n = server($sync);
    my $disk = Reco::Disk->new($n);
    my %book = (unlogged => 0, 503 => 0);

    $disk->start;
    ok talk($n, \%book, 3), "$name: all is well at first"
        unless $faults->[0][0] eq 'folder';
    $disk->fail(@$_) for @$faults;
    $n->signal('USR1') if $o{close};
    talk($n, \%book, 10);
    ok $n->wait_for(sub {
        talk($n, \%book, 1);
        counter($n, 'errors', $o{counter}) > 0;
    }), "$name: fails and is counted";
    is $book{unlogged} + $book{503} > 0 ? 1 : 0, $o{lost} ? 1 : 0,
        "$name: a client is told" . ($o{lost} ? '' : ' of nothing')
        unless $o{perhaps};
    like $n->error_log, qr/$told.*Input\/output error/, "$name: told why";
    $disk->works;
    ok $n->wait_for(sub { talk($n, \%book, 1) }), "$name: heals by itself";

    is counter($n, 'events', 'unlogged_decisions'), $book{unlogged},
        "$name: decisions without a record are counted";
    is counter($n, 'errors', 'reward_unlogged'), $book{503},
        "$name: and rewards that are refused";
    if ($o{left}) {
        # by number; the last one is written to
        my @left = sort glob $n->path('log/*.ndjson.open');
        pop @left;
        is @left, 1, "$name: the segment is not called closed";
        ok $n->reload(1), "$name: reload";
        ok $n->wait_for(sub { !-e $left[0] }), "$name: it is recovered";
    }
    ok $n->stop, "$name: stop";

    my ($there, $torn) = log_of($n);
    is_deeply [ grep { !/^(taken|refused|unlogged|503)$/ } keys %book ], [],
        "$name: no other answer";
    is_deeply [ grep { ($there->{$_} // 0) != 1 } keys %{ $book{taken} } ], [],
        "$name: what was taken is there, once";
    is_deeply [ grep { $there->{$_} > 1 } keys %$there ], [],
        "$name: nothing is there twice";
    is_deeply [ grep { $there->{$_} } keys %{ $book{refused} } ], [],
        "$name: nothing that was refused" unless $o{unsure};
    is_deeply $torn, [], "$name: no line is torn";
    is_deeply [ glob $n->path('log/*.open') ], [], "$name: all is closed";
    $n->ok_log(allow => [ $told ]);
}

# ---- a worker that ends while it recovers ----------------------------------- #

{
    my $n = server('off');
    my $disk = Reco::Disk->new($n, delay => 500);
    my $header = '{"type":"segment","format":1,"node":"edge",'
        . '"incarnation":"00000001","segment":0,"time":1,"pad":"';
    my $path = $n->write('log/reco-edge-00000001-000000.ndjson.open', $header
        . '.' x (509 - length $header) . "\"}\n"
        . "{\"type\":\"note\"}\n" . '{"type":"dec');
    chown((stat $n->path('log'))[4, 5], $path);
    $disk->start;
    ok $n->wait_for(sub { grep { $_->{op} eq 'begin' } $disk->trace }),
        'a segment is being recovered';
    ok $n->stop, '... when the worker has to end';
    ok !-e $path, '... it is recovered';
    like $n->error_log, qr/recovered 1 segment\(s\) .*, cut 1 torn tail/,
        '... which is told and counted';
    $n->ok_log;
}

done_testing;
