# `make install` puts module, tool, man pages, specs and markets where they
# belong, and Debian's nginx loads what was installed, with the README's
# configuration.

use strict;
use warnings;

use File::Temp qw(tempdir);
use Test::More;

my $nginx = $ENV{RECO_NGINX} // '/usr/sbin/nginx';
plan skip_all => "no nginx at $nginx" unless -x $nginx;

my $dest = tempdir(CLEANUP => 1);
is(system("make -s install DESTDIR=$dest PREFIX=/usr > $dest/log 2>&1"), 0,
   'make install') or diag `cat $dest/log`;

ok(-x "$dest/usr/bin/reco", 'tool');
my ($modules) = `$nginx -V 2>&1` =~ /--modules-path=(\S+)/;
$modules //= '/usr/lib/nginx/modules';
ok(-f "$dest$modules/ngx_http_reco_module.so",
   'module, where nginx looks for its own');
ok(-f "$dest/usr/share/reco/models/offers.json", 'specs');
ok(-f "$dest/usr/share/reco/markets/online-retail.json", 'markets');

like(`$dest/usr/bin/reco --version`, qr/\b0\.1\.0\b/, 'tool runs');

# Each subcommand has a page, and the page knows each of its options.
my @commands = `$dest/usr/bin/reco --help 2>&1` =~ /^  ([a-z]+)  +\S/mg;
cmp_ok(scalar @commands, '>=', 11, 'subcommands are listed');
for my $command (@commands) {
    next if $command eq 'help';
    my $page = "$dest/usr/share/man/man1/reco-$command.1";
    ok(-f $page, "man page of $command") or next;
    open my $f, '<', $page or die $!;
    my $text = do { local $/; <$f> };
    $text =~ s/\\-/-/g;
    $text =~ s/\\f[A-Z]//g;
    my $help = `$dest/usr/bin/reco $command --help 2>&1`;
    my %options = map { $_ => 1 } $help =~ /(?<![\w-])--([a-z][a-z-]+)/g;
    delete @options{qw(help usage version)};
    for my $option (sort keys %options) {
        like($text, qr/--\Q$option\E/, "reco-$command(1) knows --$option");
    }
}

# The README's ten lines, but for its paths and port.
open my $readme, '<', 'README.md' or die $!;
my ($conf) = do { local $/; <$readme> } =~ /^    (reco_zone.*?^    \})$/ms
    or BAIL_OUT('README.md has no configuration');
$conf =~ s/^    //mg;
is(scalar(split /\n/, $conf), 10, 'ten lines');
my $prefix = "$dest/prefix";
mkdir $_ for $prefix, map { "$prefix/$_" } qw(log model tmp);
$conf =~ s{/var/lib/reco/offers}{$prefix/model};
$conf =~ s{/var/log/reco}{$prefix/log};
$conf =~ s{:8080}{:18090};
open my $out, '>', "$prefix/nginx.conf" or die $!;
print $out <<"CONF";
load_module $dest$modules/ngx_http_reco_module.so;
pid $prefix/pid; error_log $prefix/error.log;
events {}
http {
    access_log off;
    @{[map { "${_}_temp_path $prefix/tmp;" }
        qw(client_body proxy fastcgi uwsgi scgi)]}
    $conf
}
CONF
close $out;
my $said = `$nginx -t -p $prefix -c $prefix/nginx.conf 2>&1`;
is($?, 0, 'nginx accepts the configuration of the README') or diag $said;
is_deeply([glob "$prefix/log/* $prefix/model/*"], [],
          'and nginx -t created nothing');

done_testing();
