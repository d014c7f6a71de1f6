#!/usr/bin/perl

# reco_decide with a snapshot: features from variables are converted as their
# type wants it, and what cannot be converted counts as absent.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP;
use Reco::Nginx;
use Test::More;

my $n = Reco::Nginx->new(
    conf_http => <<'E',
reco_zone     reco:1m;
reco_model    shop models/shop;
reco_fallback shop none;
reco_log      log;
reco_decide   shop customer=$arg_c slate=5 feature=age:$arg_age
              feature=region:$arg_region feature=page:a:$arg_page
              feature=nothing:1;
E
    conf_server => <<'E',
location = /v { return 200 "$reco_slate|$reco_propensity|$reco_generation"; }
location = /required { reco_decide shop feature=age:$arg_age;
                       return 200 "[$reco_action]"; }
location = /decide { reco_recommend shop; }
location = /status { reco_status json; }
E
);
$n->write('customers.csv', "customer,age\nc1,70\n");
is $n->publish(shop => {
    model => 'shop', version => '1',
    features => [
        { name => 'age', type => 'number', from => ['request', 'customer'],
          default => 1 },
        { name => 'region', type => 'category', from => ['request'],
          codes => { Europa => 0, Asia => 1 }, default => 1 },
        { name => 'page', type => 'category', from => ['request'],
          default => 'none' },
    ],
    actions => [ map { { id => $_ } } qw(young old asian) ],
    rules => [
        { when => { age => { '>' => 65 } }, allow => ['old'] },
        { when => { region => 0 }, deny => ['asian'] },
    ],
    policy => { type => 'weights', slate => 2,
        weights => { young => 3, old => 1, asian => 0 } },
}, '--customers', $n->path('customers.csv')), 1, 'published';
$n->start;
ok $n->wait_generation(shop => 1), 'served';

sub get { $n->request('GET', @_)->{body} }
sub features { +($n->decisions)[-1]{features} }

is get('/v?age=66'), 'old|1|1', 'a number from an argument';
is_deeply features(), { age => [66, 'request'], region => [1, 'default'],
    page => ['a:', 'request'] }, '... and a value with a colon';
is get('/v?c=c1'), 'old|1|1', 'an empty argument is absent: the customer';
is_deeply features()->{age}, [70, 'customer'], '... whose record has it';
is get('/v?c=c1&age=abc'), 'old|1|1', 'no number: absent too';

like get('/v?region=Europa'), qr/\A(young,old|old,young)\|/, 'a word';
is_deeply features()->{region}, [0, 'request'], '... as its code';
like get('/v?region=Atlantis'), qr/\A\w/, 'a word that nobody knows';
is_deeply features()->{region}, [1, 'default'], '... counts as absent';

# slate=5 of a policy with two slots, and the weights by hand: 3 of 4, 1 of 4
my %p;
for (1 .. 40) {
    my ($slate, $p) = split /\|/, get('/v?region=Europa');
    is scalar(my @s = split /,/, $slate), 2, 'never more slots than the policy'
        if $_ == 1;
    $p{ (split /,/, $slate)[0] }{$p}++;
}
is_deeply [sort map { keys %$_ } values %p], ['0.25', '0.75'],
    '$reco_propensity is of the first slot';

my @seq = map { $_->{seq} } grep { exists $_->{seq} } $n->events;
is_deeply \@seq, [1 .. @seq], 'every record is in the log, in order';
# ---- names that the model does not know ---- #

is_deeply [$n->error_log =~ /\[warn\].* reco: (model "shop" does not .*)$/mg],
    ['model "shop" does not know in generation 1: feature "nothing", '
     . 'fallback\'s action "none"'], 'of the configuration: told once';
my ($rc, $out) = $n->test_config;
is $rc, 0, 'nginx -t passes';
my %who = map { $_ => 1 } $out =~ /\[warn\] (\d+)#.* feature "nothing", fallb/g;
is scalar keys %who, 2, '... and tells';

sub unknown { $n->json('GET', '/status')->{json}{events}{unknown_fields} }
my $before = unknown();
get('/v?age=5');
is unknown() - $before, 1, 'a feature= that is none is counted';
is $n->json('POST', '/decide', { features => { age => 5, x => 1, y => 2 },
    actions => ['young', 'Z'] })->{status}, 200, 'names nobody knows';
is unknown() - $before, 4, '... two features and an action are counted';

ok $n->stop, 'ends';
$n->ok_log(allow => [qr/\[emerg\].*bind\(\)/]);

done_testing;
