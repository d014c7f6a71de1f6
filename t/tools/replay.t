#!/usr/bin/perl

# reco replay: the decisions of a log come out the same, and one that was
# changed by a bit does not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP ();
use Reco::Log;
use Reco::Tool;
use Test::More;

my $dir = folder();
my $json = JSON::PP->new->utf8->canonical;

sub publish {
    my ($name, $policy, $to, @data) = @_;

    spew("$dir/$name.json", <<"END");
{"model": "shop", "version": "$name",
 "features": [
   {"name": "age", "type": "number", "from": ["request"], "default": 33},
   {"name": "city", "type": "category", "from": ["request"]}],
 "actions": [{"id": "A"}, {"id": "B"}, {"id": "C"}, {"id": "D"},
             {"id": "E"}],
 "rules": [{"when": {"age": {">": 60}}, "deny": ["B", "D"]},
           {"when": {"city": "Pinned"}, "pin": ["C"], "by": "me",
            "date": "2026-01-01"}],
 "policy": $policy, "columns": {"customer": "id"}}
END
    is((reco('build', "$dir/$name.json", '--out', "$dir/$name.mdb",
             @data))[0], 0, "build $name");
    my $m = reco_json('publish', "$dir/$name.mdb", '--to', $to, '--json');

    return "$to/" . ($m->{file} // (grep { /\.mdb$/ } files($to))[-1]);
}

my $models = "$dir/models";
my $weights = publish('weights', '{"type": "weights", "slate": 3,'
                      . ' "weights": [5, 3, 2, 1.5, 0.1]}', $models);
my $sticky = publish('sticky', '{"type": "weights", "slate": 2,'
                     . ' "weights": [5, 3, 2], "sticky": true}', $models);
my $table = publish('table', '{"type": "p_table", "slate": 2, "state":'
                    . ' ["city"]}', $models, '--values',
                    spew("$dir/values.csv", <<'END'));
city,action,value
city 1,A,0.7
city 1,B,0.15
city 1,C,0.1
city 1,D,0.04
city 1,E,0.01
city 2,A,0.1
city 2,E,0.9
END

# 300 customers: ages that deny, a city that pins, columns that leave out.
spew("$dir/in.csv", join '', "id,age,city,A,E\n", map {
    my $age = $_ % 3 ? 20 + $_ % 60 : '';
    my $city = $_ % 7 ? 'city ' . $_ % 4 : 'Pinned';

    "c$_,$age,$city," . ($_ % 5 ? 'yes' : 'no') . ",true\n";
} 1 .. 300);

for my $snapshot ($weights, $sticky, $table) {
    is((reco('batch', $snapshot, '--in', "$dir/in.csv", '--out',
             "$dir/out.csv", '--log', "$dir/log", '--time',
             '2026-01-02T03:04:05Z'))[0], 0, 'decide');
}

sub replay {
    my ($log) = @_;
    my ($status, $out, $err) = reco('replay', '--log', $log, '--models',
                                    $models, '--json');

    return ($status, $err, $out eq '' ? undef : $json->decode($out));
}

my ($status, $err, $r) = replay("$dir/log");
is($status, 0, 'a log of three generations');
is_deeply($r, { decisions => 900, same => 900, different => 0, fallback => 0,
                not_replayable => 0, snapshot_missing => 0, corrupt => 0,
                other_models => 0, missing_generations => [] }, 'all come out the same')
    or diag $err;

# ---- a record, changed ----

my @records;
for my $name (files("$dir/log")) {
    my (undef, @lines) = split /\n/, slurp("$dir/log/$name");
    push @records, map { $json->decode($_) } @lines;
}
my $copies = 0;

# One decision of the first generation that filled all slots, changed.
my ($one) = grep { $_->{generation} == 1 && @{ $_->{slate} } == 3
                   && $_->{eligible} eq 'all' && !$_->{pinned} } @records;

sub changed {
    my (%more) = @_;
    my $log = "$dir/changed" . $copies++;

    write_segment($log, 'edge-1', 1, 0, 1, { %$one, %more });

    return replay($log);
}

is((changed())[2]{same}, 1, 'unchanged: the same');

my @p = @{ $one->{propensity} };
($status, $err, $r) = changed(propensity => [$p[0] + 1, @p[1, 2]]);
is($status, 1, 'a propensity off by 2^-32');
is($r->{different}, 1, '... is different');
like($err, qr/decision $one->{id} of generation 1: it comes out differently/,
     '... and shown');
like($err, qr/logged: +$one->{slate}[0] @{[$p[0] + 1]} /, '... as logged');
like($err, qr/repeated: $one->{slate}[0] $p[0] /, '... and as repeated');

my @slate = @{ $one->{slate} };
is((changed(slate => [@slate[1, 0, 2]]))[0], 1, 'another order');
is((changed(slate => [@slate[0, 1]], propensity => [@p[0, 1]]))[2]{same}, 1,
   'fewer slots asked for: the same first ones');
is((changed(features => { age => [70, 'request'] }, eligible => '15'))[0], 1,
   'another eligible set');
is((changed(pinned => 1))[0], 1, 'a pin that was none');
($status, $err) = changed(actions => 6);
is($status, 1, 'another catalogue');
like($err, qr/its actions are not the snapshot's/, '... is told');
($status, $err) = changed(features => { age => ['old', 'request'] });
is($status, 1, 'a word for a number');
like($err, qr/its features are not the snapshot's/, '... is told');

my $drawn = 0;
for my $digit (0 .. 9, 'a' .. 'f') {
    my $other = $one->{id};

    substr($other, 31, 1) = $digit;
    $drawn += (changed(id => $other))[2]{different};
}
ok($drawn > 0, 'other ids draw other slates');

# ---- what is not repeated ----

($status, $err, $r) = changed(generation => 77);
is($status, 0, 'a generation that is not there');
is($r->{snapshot_missing}, 1, '... is counted');
is_deeply($r->{missing_generations}, [77], '... and named');
like($err, qr/no snapshot of 1 of the generations/, '... and warned of');
is((changed(fallback => \1, generation => 0))[2]{fallback}, 1, 'a fallback');
is((changed(replayable => \0))[2]{not_replayable}, 1, 'an import');

# ---- a log of several models ----

($status, $err, $r) = changed(model => 'other');
is($r->{other_models}, 1, 'of a model without any snapshot');
is($r->{snapshot_missing}, 0, '... no generation of it is missing');
is_deeply($r->{missing_generations}, [], '... and none is named');
is($status, 1, '... and with nothing else in the log, it fails');
like($err, qr/has no snapshot of any model of the log/, '... and says why');

write_segment("$dir/mixed", 'edge-1', 1, 0, 1, $one,
              { %$one, id => id(77), model => 'other' },
              { %$one, id => id(78), model => 'other', generation => 99 });
($status, $err, $r) = replay("$dir/mixed");
is($status, 0, 'two models');
is($r->{same}, 1, '... the one that has snapshots is repeated');
is($r->{other_models}, 2, '... the other one is counted');
is($err, '', '... without a warning');

($status, my $out, $err) = reco('replay', '--log', "$dir/mixed", '--models',
                                $models, '--model', 'other', '--json');
$r = $json->decode($out);
is($r->{snapshot_missing}, 2, '--model: of which there is no snapshot');
is($r->{other_models}, 1, '... the others are not asked for');
($status, undef, $err) = reco('replay', '--log', "$dir/mixed", '--models',
                              $models, '--model', 'shpo');
is($status, 1, '--model: a name that the log does not have');
like($err, qr/no decision of the model 'shpo'/, '... is told');

# A sticky decision is drawn by the customer, not by its id.
($one) = grep { $_->{generation} == 2 && !$_->{pinned} } @records;
is((changed(id => id(12345)))[2]{same}, 1, 'sticky: the id does not matter');
my $differs = 0;
for my $c (map { "other$_" } 1 .. 20) {
    $differs += (changed(customer => $c))[2]{different};
}
ok($differs > 0, 'sticky: the customer does');

# ---- wrong use ----

is((reco('replay', '--log', "$dir/log"))[0], 2, 'no models: wrong use');
is((reco('replay', '--log', "$dir/log", '--models', "$dir/none"))[0], 1,
   'models that are not there');

mkdir "$dir/empty" or die $!;
($status, $out, $err) = reco('replay', '--log', "$dir/empty", '--models',
                             $models);
is($status, 1, 'a folder without segments');
is($out, '', '... gives no counts');
like($err, qr/no segment in '.*empty'/, '... and is told');

done_testing();
