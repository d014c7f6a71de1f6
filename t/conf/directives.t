#!/usr/bin/perl

# Every directive: as documented, duplicate, invalid, out of bounds. What
# nginx -t says is compared with the words of docs/DIRECTIVES.md.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Reco::Nginx;
use Test::More;

my $secret = "hash " . '0f' x 32 . "\nsign k1 " . 'a1' x 32 . "\n";
my $n = Reco::Nginx->new(files => {
    secret => $secret, unusable => "sign k1 zz\n",
});

my $model = 'reco_model shop models/shop; reco_fallback shop A,B;';

sub conf {
    my ($http, $server) = @_;
    $n->configure(conf_http => $http, conf_server => $server // '');
    return $n->test_config;
}

sub accepts {
    my ($what, $http, $server) = @_;
    my ($rc, $out) = conf($http, $server);
    is $rc, 0, "accepts $what" or diag $out;
    return $out;
}

sub refuses {
    my ($what, $http, $server, $why) = @_;
    my ($rc, $out) = conf($http, $server);
    ok $rc != 0 && $out =~ /\[emerg\][^\n]*$why/, "refuses $what"
        or diag "status $rc\n$out";
    like $out, qr/nginx\.conf:\d+/, '... and says where';
}

sub location { "location = /x { $_[0] }" }

# ---- unset ---- #

accepts 'no directive at all', '', 'location / { return 204; }';

# ---- http level, as documented ---- #

accepts 'reco_zone', 'reco_zone reco:1m;';
accepts 'reco_node', 'reco_node edge-1.example_A;';
accepts 'reco_model', $model;
accepts 'reco_model check=', "reco_model shop \@DIR\@/models/shop check=250ms;"
    . 'reco_fallback shop A;';
accepts 'reco_fallback before its model',
    'reco_fallback shop A; reco_model shop models/shop;';
accepts 'reco_fallback slate=', 'reco_model shop models/shop;'
    . 'reco_fallback shop A,B,C,D slate=3;';
accepts 'reco_geoip', 'reco_geoip geo.mdb check=60s;';
accepts 'reco_log', 'reco_log log;';
accepts 'reco_log with all', 'reco_log log segment=4k age=1d sync=200ms;';
accepts 'reco_log keep=', 'reco_log log keep=90d;';
accepts "reco_log max= $_",
    "reco_zone reco:1m; reco_log log segment=4k max=16k $_ keep=1s;"
    for '', 'full=stop', 'full=drop';
accepts 'reco_log max= before its zone',
    'reco_log log max=256m; reco_zone reco:1m;';
accepts "reco_log sync=$_", "reco_log log sync=$_;" for qw(off always);
accepts 'reco_secret', 'reco_secret secret;';
accepts 'reco_body_max and reco_explain',
    'reco_body_max 1k; reco_explain on;', 'reco_body_max 2k; reco_explain off;'
    . location('reco_body_max 64m; reco_explain on;');

# ---- locations, as documented ---- #

accepts 'reco_recommend', $model, location('reco_recommend shop;');
accepts 'reco_recommend format=offers answer=names', $model,
    location('reco_recommend shop answer=names format=offers;');
accepts 'reco_reward', "$model reco_log log;",
    location('reco_reward shop format=native unknown=accept;');
accepts 'reco_reward unknown=reject', "$model reco_log log;",
    location('reco_reward shop unknown=reject;');
accepts 'reco_status', '', 'location = /a { reco_status prometheus; }'
    . 'location = /b { reco_status json; }';
accepts 'reco_health', $model, location('reco_health shop format=offers;');
accepts "reco_recommend, reco_reward and reco_health format=cart",
    "$model reco_log log;", 'location = /a { reco_recommend shop format=cart; }'
    . 'location = /b { reco_reward shop format=cart; }'
    . 'location = /c { reco_health shop format=cart; }';
accepts "reco_agent $_", $model, location("reco_agent shop $_;")
    for qw(metrics state history), 'history format=cart';
accepts 'reco_decide', $model . 'reco_decide shop;', 'reco_decide shop slate=2'
    . ' customer=$cookie_uid session=$cookie_sid feature=device:$arg_d'
    . ' feature=page:a:b;' . location('reco_decide shop; return 200;');
accepts 'a model that is defined after its use', '',
    location('reco_recommend shop;') . "}\n$model\n server { listen \@PORT2\@;";

# ---- duplicates ---- #

refuses 'two zones', 'reco_zone a:1m; reco_zone b:1m;', '', 'is duplicate';
refuses 'two nodes', 'reco_node a; reco_node b;', '', 'is duplicate';
refuses 'a model twice', "$model reco_model shop elsewhere;", '',
    'is duplicate';
refuses 'a fallback twice', "$model reco_fallback shop C;", '',
    'is duplicate';
refuses 'two geo databases', 'reco_geoip a.mdb; reco_geoip b.mdb;', '',
    'is duplicate';
refuses 'two logs', 'reco_log a; reco_log b;', '', 'is duplicate';
refuses 'two secrets', 'reco_secret secret; reco_secret secret;', '',
    'is duplicate';
refuses 'reco_body_max twice', 'reco_body_max 1k; reco_body_max 1k;', '',
    'is duplicate';
refuses 'reco_explain twice', 'reco_explain on; reco_explain on;', '',
    'is duplicate';
refuses 'reco_decide twice', "$model reco_decide shop; reco_decide shop;", '',
    'is duplicate';
refuses 'reco_recommend twice', $model,
    location('reco_recommend shop; reco_recommend shop;'), 'is duplicate';
refuses 'reco_agent twice', $model,
    location('reco_agent shop state; reco_agent shop metrics;'),
    'is duplicate';
refuses 'reco_agent beside another', $model,
    location('reco_health shop; reco_agent shop metrics;'),
    'beside another reco handler';
refuses 'two handlers', $model,
    location('reco_recommend shop; reco_reward shop;'),
    'beside another reco handler';
refuses "log $_ twice", "reco_log log max=1g $_ $_;", '',
    'invalid parameter "' for 'full=drop', 'keep=1d', 'max=1g';
refuses 'full without max', 'reco_log log full=drop;', '',
    '"reco_log" directive has "full" without "max"';
refuses 'max without a zone', 'reco_log log max=1g;', '',
    '"reco_log" with "max" needs a "reco_zone"';
my $few = '"max" below four segments: raise "max", or lower "segment"';
refuses 'max below four segments', 'reco_zone reco:1m;'
    . ' reco_log log segment=4097 max=16k;', '', $few;
refuses 'max below four segments of 64m', 'reco_zone reco:1m;'
    . ' reco_log log max=255m;', '', $few;
refuses 'a parameter twice', 'reco_log log age=1h age=2h;', '',
    'invalid parameter "age=2h"';
refuses 'a format twice', $model,
    location('reco_recommend shop format=native format=offers;'),
    'invalid parameter "format=offers"';
refuses 'a feature twice', $model
    . 'reco_decide shop feature=a:1 feature=a:2;', '', 'duplicate feature "a"';

# ---- unknown models ---- #

for my $use ('reco_recommend shop', 'reco_reward shop', 'reco_health shop',
    'reco_agent shop state',
    'reco_decide shop')
{
    refuses "$use without a model", 'reco_zone z:1m;', location("$use;"),
        'unknown reco model "shop": no "reco_model" has this name, in '
        . '.*nginx\.conf:\d+';
}
refuses 'a fallback without a model', 'reco_fallback shop A;', '',
    'unknown reco model "shop"';

# ---- invalid ---- #

refuses 'reco_agent of nothing', $model, location('reco_agent shop;'),
    'invalid number of arguments';
refuses 'reco_agent of something else', $model,
    location('reco_agent shop memory;'),
    'invalid parameter "memory", it must be "metrics", "state" or "history"';
refuses 'reco_agent of a format without one', $model,
    location('reco_agent shop state format=native;'),
    'format "native" has no "reco_agent"';
refuses 'reco_agent of an unknown format', $model,
    location('reco_agent shop state format=xml;'), 'unknown reco format';
refuses 'reco_agent of another parameter', $model,
    location('reco_agent shop state answer=names;'),
    'invalid parameter "answer=names"';
refuses 'reco_agent outside of a location', $model, 'reco_agent shop state;',
    'not allowed here';
refuses 'answer=names of cart', $model,
    location('reco_recommend shop format=cart answer=names;'),
    'format "cart" has no "answer=names"';

refuses 'a zone without size', 'reco_zone reco;', '', 'name:size';
refuses 'a zone without name', 'reco_zone :1m;', '', 'name:size';
refuses 'a zone of no size', 'reco_zone reco:big;', '', 'invalid zone size';
refuses 'a small zone', 'reco_zone reco:1023k;', '', 'too small';
refuses "a node \"$_\"", "reco_node \"$_\";", '', 'invalid node name'
    for '', '.a', 'a b', 'a/b', 'x' x 65;
accepts 'a node of 64 bytes', 'reco_node ' . 'x' x 64 . ';';
refuses 'a model of no name', 'reco_model "" models;', '',
    'invalid model name';
refuses 'a model of no folder', 'reco_model shop "";', '',
    'invalid parameter ""';
accepts 'a model name of 255 bytes', 'reco_model ' . 'm' x 255 . ' x;';
refuses 'a model name of 256 bytes', 'reco_model ' . 'm' x 256 . ' x;', '',
    'invalid model name';
refuses 'a model parameter', 'reco_model shop models poll=1s;', '',
    'invalid parameter "poll=1s"';
refuses "check=$_", "reco_model shop models check=$_;", '', 'parameter "check='
    for '', 'soon', '99ms', '2d';
accepts "check=$_", "reco_model shop models check=$_;" for '100ms', '1d';
refuses '17 models', join(' ', map { "reco_model m$_ m;" } 1 .. 17), '',
    'more than 16 reco models';
accepts '16 models', join ' ', map { "reco_model m$_ m;" } 1 .. 16;

refuses 'an empty fallback', 'reco_model shop m; reco_fallback shop "";', '',
    'has no ids';
refuses "fallback $_", "reco_model shop m; reco_fallback shop $_;", '',
    'invalid fallback of reco model "shop"'
    for 'A,A', 'A,,B', 'A,', ',A', 'x' x 256, "\"a\x01\"";
# nginx reads no longer parameter than 4,096 bytes
accepts 'a fallback of 800 ids', 'reco_model shop m; reco_fallback shop '
    . join(',', map { "A$_" } 1 .. 800) . ';';
refuses 'fallback slate=0', 'reco_model shop m; reco_fallback shop A slate=0;',
    '', 'between 1 and 64';
refuses 'fallback slate=65',
    'reco_model shop m; reco_fallback shop A slate=65;', '',
    'between 1 and 64';
accepts 'ids with quotes and backslashes',
    "reco_model shop m; reco_fallback shop 'a\"b,c\\\\d';";

refuses 'a geo parameter', 'reco_geoip a.mdb x;', '', 'invalid parameter "x"';
refuses 'an empty log folder', 'reco_log "";', '', 'invalid parameter ""';
refuses 'a log parameter', 'reco_log log size=1m;', '',
    'invalid parameter "size=1m"';
refuses "log $_", "reco_log log $_;", '', 'parameter "'
    for 'segment=4095', 'segment=x', 'segment=2000g', 'age=99ms', 'age=8d',
        'keep=999ms', 'keep=3651d', 'max=', 'max=16383', 'full=', 'full=maybe',
        'sync=sometimes', 'sync=9ms', 'sync=2h', 'age=', 'segment=';

refuses 'a secret that is not there', 'reco_secret nowhere;', '',
    'cannot use reco secret ".*nowhere"';
refuses 'a secret that is none', 'reco_secret unusable;', '',
    'cannot use reco secret ".*unusable"';
refuses "reco_body_max $_", "reco_body_max $_;", '',
    $_ eq 'x' ? 'invalid value' : 'between 1 and 64m' for 0, 'x', '65m';
refuses 'reco_explain maybe', 'reco_explain maybe;', '', 'invalid value';

refuses 'an unknown format', $model,
    location('reco_recommend shop format=soap;'),
    'unknown reco format in "format=soap", it must be "native", "offers" or '
    . '"cart"';
refuses 'answer=names of native', $model,
    location('reco_recommend shop answer=names;'), 'no "answer=names"';
refuses 'an unknown answer', $model,
    location('reco_recommend shop format=offers answer=all;'),
    'invalid parameter "answer=all"';
refuses 'an unknown unknown', $model, location('reco_reward shop unknown=x;'),
    'invalid parameter "unknown=x"';
refuses 'an unknown status', '', location('reco_status xml;'),
    'invalid parameter "xml", it must be "prometheus" or "json"';
refuses 'an unknown health', $model, location('reco_health shop x;'),
    'invalid parameter "x"';
refuses "reco_decide $_", "$model reco_decide shop $_;", '',
    'parameter "' . quotemeta
    for 'slate=0', 'slate=65', 'slate=x', 'feature=a', 'feature=:a', 'x=1';
refuses 'an unknown variable', "$model reco_decide shop customer=\$nothing;",
    location('return 200 $reco_action;'), 'unknown "nothing" variable';
refuses 'reco_recommend in a server', $model, 'reco_recommend shop;',
    'not allowed here';
refuses 'reco_zone in a server', '', 'reco_zone a:1m;', 'not allowed here';

# ---- warnings ---- #

like accepts('a model without a fallback', 'reco_model shop models/shop;'),
    qr/\[warn\].*"shop" has no "reco_fallback"/, 'a fallback is missed';
like accepts('a reward without a log', $model, location('reco_reward shop;')),
    qr/\[warn\].*without "reco_log"/, 'a log is missed';
like accepts('a geo database that is not there', 'reco_geoip no.mdb;'),
    qr/\[warn\].*geo database ".*no\.mdb" cannot be used/,
    'the geo database is missed';
like accepts('a model without a snapshot', $model),
    qr/\[warn\].*"shop" has no usable snapshot/, 'the snapshot is missed';

chmod 0644, $n->path('secret');
like accepts('a secret that everybody may read', 'reco_secret secret;'),
    qr/\[warn\].*reco secret ".*secret" is open to all users.*nginx\.conf:\d+/,
    'it is told';
chmod 0640, $n->path('secret');
unlike accepts('a secret of a group', 'reco_secret secret;'), qr/\[warn\]/,
    'which is right';

done_testing;
