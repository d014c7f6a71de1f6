#!/usr/bin/perl

# The configurations in conf/ pass nginx -t as they are, but for where their
# files are and who the workers are.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Reco::Nginx;
use Test::More;

my $n = Reco::Nginx->new;
my $dir = $n->dir;
my $module = Reco::Nginx::module();
my $nginx = Reco::Nginx::nginx();

$n->folder($_) for qw(log lib ssl);
$n->write('secret', 'hash ' . '0f' x 32 . "\nsign k1 " . 'a1' x 32 . "\n");
qx(openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=x \\
    -keyout $dir/ssl/key -out $dir/ssl/cert 2>&1);

for my $file (sort glob Reco::Nginx::root() . '/conf/*.conf') {
    my ($name) = $file =~ m{([^/]+)\z};
    open my $f, '<', $file or die "$file: $!";
    my $conf = do { local $/; <$f> };
    my ($port, $port2) = ($n->port, $n->port2);

    for ($conf) {
        s{load_module\s+\S+;}{load_module $module;};
        s{^pid\s.*}{}m;
        s{^error_log\s.*}{}m;
        s{/etc/ssl/certs/\S+;}{$dir/ssl/cert;};
        s{/etc/ssl/private/\S+;}{$dir/ssl/key;};
        s{/etc/reco/}{$dir/};
        s{/var/log/\w+}{$dir/log}g;
        s{/var/lib/}{$dir/lib/}g;
        s{listen(\s+)443}{listen$1 127.0.0.1:$port2};
        s{listen(\s+)80;}{listen$1 127.0.0.1:$port;};
        s{127\.0\.0\.1:(8\d\d\d|5000)}{127.0.0.1:$port};
    }

    $n->write("$name", $conf);
    my $out = qx($nginx -t -p $dir -c $dir/$name -g 'pid $dir/pid; error_log $dir/e.log;' 2>&1);
    is $? >> 8, 0, "$name passes" or diag $out;
    unlike $out, qr/no "reco_fallback"|without "reco_log"/,
        '... with a fallback and a log';
}

# a location that browsers of another site may call has its preflight
open my $full, '<', Reco::Nginx::root() . '/conf/full.conf' or die;
my $conf = do { local $/; <$full> };
my @cors = grep { /Allow-Origin/ } split /^\s+location /m, $conf;
is scalar @cors, 2, 'full.conf has two such locations';
is scalar(grep { /\$request_method = OPTIONS\).*return 204;/s } @cors), 2,
    '... each answers OPTIONS';

# what the examples leave out is documented too
open my $doc, '<', Reco::Nginx::root() . '/docs/DIRECTIVES.md' or die;
my $text = do { local $/; <$doc> };
open my $source, '<',
    Reco::Nginx::root() . '/ngx_http_reco_module/ngx_http_reco_module.c' or die;
my @directives = do { local $/; <$source> =~ /ngx_string\("(reco_\w+)"\)/g };
cmp_ok scalar @directives, '>=', 14, 'directives of the module';
like $text, qr/^## $_\n\n    Syntax:   $_ /m, "$_ is documented"
    for @directives;

done_testing;
