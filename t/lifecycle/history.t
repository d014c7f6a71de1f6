# The ring of recent decisions while several workers write it over and over,
# some of them killed at it: what is read of it is whole, and it begins anew
# with a zone of another size.

use strict;
use warnings;

use lib 't/lib';
use Reco::Lifecycle qw(begin_client end_clients);
use Reco::Nginx;
use Test::More;

my %spec = (
    model => 'cart', actions => [{ id => 'A' }, { id => 'B' }],
    policy => { type => 'weights', weights => [1, 1] },
    history => { recommendations => '7d' },
);
my %conf = (
    workers => 3,
    conf_http => 'reco_zone reco:1m; reco_model cart models/cart check=1s;'
        . ' reco_fallback cart A,B slate=1;',
    conf_server => 'location = /decide { reco_recommend cart format=cart; }'
        . ' location = /history { reco_agent cart history; }'
        . ' location = /state { reco_agent cart state; }',
);
my $n = Reco::Nginx->new(%conf);
$n->publish(cart => { %spec });
$n->start;
ok $n->wait_generation(cart => 1), 'served';

# Customers whose names are of all lengths, each with a session of that name:
# a record of two halves shows.
sub begin {
    my ($letter) = @_;
    return begin_client(sub {
        my (undef, $i) = @_;
        my $name = ($letter . $i % 10) x (1 + $i * 37 % 120);
        eval {
            $n->json('POST', '/decide',
                { customer_id => $name, session_id => $name });
        };
    });
}

my @loads = map { begin($_) } 'a', 'b';
my ($records, $torn, $most) = (0, 0, 0);

sub look {
    my $a = eval { $n->json('GET', '/history?limit=1000') };
    return unless $a && $a->{status} == 200;
    my @h = @{ $a->{json}{data}{history} };
    $records += @h;
    $most = @h if @h > $most;
    $torn += grep { $_->{customer_id} ne $_->{session_id}
        || $_->{decision_id} !~ /\A[0-9a-f]{32}\z/
        || $_->{action_type} !~ /\A[AB]\z/ } @h;
}

for my $round (1 .. 5) {
    look() for 1 .. 20;
    my ($victim) = $n->worker_pids;
    $n->signal('KILL', $victim);
    ok $n->wait_for(sub {
        my @pids = $n->worker_pids;
        return @pids == 3 && !grep { $_ == $victim } @pids;
    }), "worker killed, another one started ($round)";
}
ok $n->wait_for(sub { look(); return $most > 100 }), 'the ring is full';
end_clients(@loads);

cmp_ok $records, '>', 1000, 'records were read';
is $torn, 0, '... and each was whole';

# At rest it is in order, and a killed writer has cost a slot at most.
look();
my @times = map { $_->{timestamp} }
    @{ $n->json('GET', '/history?limit=1000')->{json}{data}{history} };
is_deeply \@times, [reverse sort @times], 'newest first';
cmp_ok scalar @times, '>=', 110, '... of nearly all slots';
is scalar @{ $n->json('GET', '/state')->{json}{data}{recent_actions} }, 20,
    'the state has the latest 20';

$n->configure(%conf, conf_http => $conf{conf_http} =~ s/1m/2m/r);
ok $n->reload(1), 'reload with another size';
is_deeply $n->json('GET', '/history')->{json}{data}{history}, [],
    'begins anew';

ok $n->stop, 'stop';
$n->ok_log(allow => [qr/worker process \d+ exited on signal 9/]);

done_testing;
