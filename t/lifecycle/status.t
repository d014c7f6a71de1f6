# reco_status and reco_health: the two texts have the same numbers, hold what
# was done, and are well formed.

use strict;
use warnings;

use lib 't/lib';
use JSON::PP;
use Reco::Lifecycle;
use Reco::Nginx;
use Test::More;

my $odd = 'a "quoted" \\ id';

my $n = Reco::Nginx->new(
    workers => 2,
    conf_http => 'reco_zone reco:2m; reco_node edge;'
        . ' reco_model shop models/shop check=1s;'
        . ' reco_model none models/none check=1s;'
        . ' reco_fallback none Z; reco_log log;',
    conf_server => 'location = /decide { reco_recommend shop; }'
        . ' location = /none { reco_recommend none; }'
        . ' location = /reward { reco_reward shop; }'
        . ' location = /health { reco_health shop; }'
        . ' location = /alive { reco_health none format=offers; }'
        . ' location = /status { reco_status json; }'
        . ' location = /metrics { reco_status prometheus; }');

publish($n, actions => [ { id => $odd } ]);
$n->start;

my @ids = map { decide($n, "c$_")->{decision} } 1 .. 7;
$n->request('GET', '/none?customer=c') for 1 .. 2;
$n->json('POST', '/reward', { decision => $ids[0],
    facts => { click => 1, purchase => 2 } });
$n->json('POST', '/reward', { decision => $ids[1], facts => { click => 1 } });
$n->json('POST', '/reward', '{');

my $s = status($n);
is $s->{requests}{recommend}, 9, 'requests by route';
is $s->{requests}{reward}, 3, 'those that failed, too';
is $s->{errors}{invalid}, 1, 'errors by reason';
is $s->{errors}{log_write}, 0, 'those that never happened are there';
is $s->{events}{decisions_made}, 9, 'decisions';
is $s->{events}{fallback_decisions}, 2, 'of these, fallback';
is $s->{events}{rewards_accepted}, 2, 'rewards';
is_deeply [ sort { $a->{model} cmp $b->{model} } @{ $s->{decisions} } ], [
    { model => 'none', action => 'Z', count => 2 },
    { model => 'shop', action => $odd, count => 7 } ],
    'decisions by model and action';
is_deeply { map { $_->{kind} => $_->{count} } @{ $s->{rewards} } },
    { click => 2, purchase => 1 }, 'facts by kind';

my $d = $s->{decision_duration_seconds};
is $d->{count}, 9, 'a duration each';
is $d->{buckets}[-1]{count}, 9, 'all are below infinity';
is $d->{buckets}[-1]{le}, undef, 'which JSON writes as null';
is_deeply [ map { $_->{le} } @{ $d->{buckets} }[0 .. 3, 12] ],
    [ 1e-6, 2e-6, 5e-6, 1e-5, 1e-2 ], 'bounds in seconds';
my @falling = grep { $d->{buckets}[$_]{count} < $d->{buckets}[$_ - 1]{count} }
    1 .. 13;
is scalar @falling, 0, 'buckets add up';
cmp_ok $d->{sum}, '>', 0, 'their sum';

my $size = 0;
$size += -s for glob $n->path('log/*');
cmp_ok $s->{events}{log_written_bytes}, '<', $size, 'bytes, less the headers';
is $s->{events}{log_writes}, 11, 'a write for each record, one by one';

is_deeply [ map { [ @$_{qw(model generation)} ] } @{ $s->{snapshots} } ],
    [ [ 'shop', 1 ], [ 'none', 0 ] ], 'generations by model';

# ---- Prometheus --------------------------------------------------------------- #

my $a = $n->request('GET', '/metrics');
is $a->{status}, 200, 'Prometheus text';
is $a->{headers}{'content-type'}, 'text/plain; version=0.0.4',
    'with the content type of its format';

my (%type, %help, %value, @wrong);
for (split /\n/, $a->{body}) {
    if (/^# HELP (\S+) \S/) { $help{$1}++ }
    elsif (/^# TYPE (\S+) (counter|gauge|histogram)$/) { $type{$1} = $2 }
    elsif (/^((reco_[a-z_]+)(?:\{[a-z]+="(?:[^"\\]|\\["\\n])*"
             (?:,[a-z]+="(?:[^"\\]|\\["\\n])*")*\})?)\ ([\d.e+-]+)$/x) {
        my ($series, $name) = ($1, $2);
        push @wrong, "twice: $_" if exists $value{$series};
        $value{$series} = $3;
        $name =~ s/_(bucket|sum|count)$//;
        push @wrong, "no type: $_" unless $type{$name};
    }
    else { push @wrong, $_ }
}
is_deeply \@wrong, [], 'each line is one of the format';
is_deeply [ sort keys %help ], [ sort keys %type ], 'each has help and type';

my $label = $odd =~ s/(["\\])/\\$1/gr;
is $value{"reco_decisions_total{model=\"shop\",action=\"$label\"}"}, 7,
    'a label is escaped';
is $value{'reco_requests_total{route="recommend"}'}, 9, 'requests';
is $value{'reco_errors_total{reason="invalid"}'}, 1, 'errors';
is $value{'reco_rewards_total{kind="click"}'}, 2, 'rewards';
is $value{'reco_decisions_made_total'}, 9, 'events';
is $value{'reco_snapshot_generation{model="shop"}'}, 1, 'generation';
is $value{'reco_snapshot_generation{model="none"}'}, 0, 'none';
like $value{'reco_snapshot_age_seconds{model="shop"}'}, qr/^\d+(\.\d+)?$/,
    'age';
ok !exists $value{'reco_snapshot_age_seconds{model="none"}'}, 'no age';
is $value{'reco_decision_duration_seconds_bucket{le="+Inf"}'}, 9, 'durations';
is $value{'reco_decision_duration_seconds_count'}, 9, 'their count';

sub doc {
    open my $f, '<', Reco::Nginx::root() . "/docs/$_[0]" or die $!;
    local $/;
    return <$f>;
}

my $text = doc('DIRECTIVES.md');
is_deeply [ grep { $text !~ /`$_(?:\{|`)/ } sort keys %type ], [],
    'each metric is in DIRECTIVES';
is_deeply [ grep { $text !~ /`$_`/ } map { /reason="(\w+)"/ } sort keys %value ],
    [], 'and each reason';

my ($alerts) = doc('OPERATIONS.md') =~ /^## What to watch(.*?)^## /ms;
my @named = $alerts =~ /\b(reco_\w+?)(?=\b[\[\{` ])/g;
my @reasons = map { split /\\?\|/ } $alerts =~ /reason=~?"([^"]+)"/g;
cmp_ok scalar @named, '>', 10, 'alerts name metrics';
is_deeply [ grep { !$type{$_} && !/^reco_(?:status|health)$/ } @named ], [],
    '... which there are';
cmp_ok scalar @reasons, '>', 8, '... and reasons';
is_deeply [ grep { !exists $value{"reco_errors_total{reason=\"$_\"}"} } @reasons ],
    [], '... which there are';

SKIP: {
    qx(promtool --version 2>&1);
    skip 'no promtool', 1 if $?;
    open my $p, '|-', 'promtool check metrics > /dev/null 2>&1' or die $!;
    print {$p} $a->{body};
    ok close $p, 'promtool finds nothing wrong';
}

# ---- methods -------------------------------------------------------------------- #

for my $uri ('/metrics', '/status', '/health') {
    my $head = $n->request('HEAD', $uri);
    is $head->{status}, 200, "HEAD $uri";
    cmp_ok $head->{headers}{'content-length'}, '>', 10, 'with a length';
    my $post = $n->request('POST', $uri, 'x');
    is $post->{status}, 405, "POST $uri";
    is $post->{headers}{allow}, 'GET, HEAD', 'with Allow';
}
is $n->request('GET', '/metrics', 'a body')->{status}, 200,
    'a body is dropped';

# ---- health ---------------------------------------------------------------------- #

is_deeply $n->json('GET', '/health')->{json},
    { status => 'ok', model => 'shop', version => '1.0.0', generation => 1 },
    'health, native';
is $n->request('GET', '/alive')->{body}, '{"status": "I\'m alive and running",'
    . ' "agent-version": "none-API"}', 'health, offers, without a snapshot';

# ---- labels are bounded ------------------------------------------------------------ #

publish($n, actions => [ map { { id => sprintf 'a%04d', $_ } } 1 .. 600 ]);
cmp_ok generation_soon($n, 2), '<', 1e9, 'a catalogue of 600';
decide($n, "c$_") for 1 .. 300;
$n->json('POST', '/reward', { decision => $ids[3], facts => { other => 1 } });
$n->json('POST', '/reward', { decision => $ids[2],
    facts => { map { ("kind$_" => 1) } 32 * $_ .. 32 * $_ + 31 } }) for 0 .. 2;

$s = status($n);
my ($other) = grep { $_->{action} eq 'other' } @{ $s->{decisions} };
cmp_ok $other->{count}, '>', 0, 'actions beyond the 511th are "other"';
is scalar @{ $s->{decisions} }, 512, 'and no more lines than that';
my $sum = 0;
$sum += $_->{count} for @{ $s->{decisions} };
is $sum, $s->{events}{decisions_made}, 'nothing is counted twice or not at all';

my ($rest) = grep { $_->{kind} eq 'other' } @{ $s->{rewards} };
is scalar @{ $s->{rewards} }, 32, 'kinds are bounded by 31 and "other"';
is $rest->{count}, 96 - 29 + 1, 'which has the rest, and the fact "other"';
is scalar(grep { $_->{kind} eq 'other' } @{ $s->{rewards} }), 1,
    'in one line';

ok $n->stop, 'stop';
$n->ok_log;

# ---- what a model rewards has its label whatever clients send ---------------------- #

publish($n, reward => { signup => 1 });
$n->start;
decide($n);
$n->json('POST', '/reward', { customer => 'c',
    facts => { map { ("junk$_" => 1) } 32 * $_ .. 32 * $_ + 31 } }) for 0 .. 2;
$n->json('POST', '/reward', { customer => 'c', facts => { signup => 1 } });
my ($signup) = grep { $_->{kind} eq 'signup' } @{ status($n)->{rewards} };
is $signup->{count}, 1, 'a rewarded kind is counted beside invented ones';

ok $n->stop, 'stop';
$n->ok_log;

done_testing;
