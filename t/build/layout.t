# What a clone promises: layers that know only what is below them, links that
# lead somewhere, a help text that lists every target.

use strict;
use warnings;

use File::Basename qw(dirname);
use Test::More;


sub slurp {
    my ($path) = @_;
    open my $f, '<', $path or die "$path: $!";
    local $/;
    return scalar <$f>;
}


# core/ does not know nginx, nor the tool.
for my $file (glob 'core/*.[ch]') {
    my $text = slurp($file);
    unlike($text, qr/\bngx_\w+\s*\(|#include\s*[<"](ngx_|tool\.h)/,
           "$file knows no nginx and no tool");
    unlike($text, qr/\b(printf|fprintf|exit|abort)\s*\(/,
           "$file prints nothing and does not exit");
}

# nginx flattens object paths: names must be unique.
my %seen;
$seen{ s{.*/}{}r }++ for glob 'core/*.c ngx_http_reco_module/*.c';
is_deeply([grep { $seen{$_} > 1 } sort keys %seen], [],
          'file names are unique');

# Every relative link in the documentation leads to a file.
for my $page (glob '*.md docs/*.md docs/adr/*.md') {
    my $text = slurp($page);
    while ($text =~ /\]\(([^)#:\s]+)(#[^)]*)?\)/g) {
        ok(-e dirname($page) . "/$1", "$page: $1 exists");
    }
}

# `make help` has every phony target.
my ($phony) = slurp('Makefile') =~ /^\.PHONY:((?:.*\\\n)*.*)$/m;
my $help = `make -s help`;
for my $target (grep { $_ ne '\\' } split ' ', $phony) {
    like($help, qr/^\Q$target\E\s/m, "make help explains $target");
}

# script/torture: what is no part is told before anything runs.
my $said = `script/torture --help 2>&1`;
is($?, 0, 'script/torture --help');
like($said, qr/^usage: script\/torture BUILD \[PART/, '... is its usage');
for my $part ('t/lifecycle/no_such.t', 'fuzz/no_such', 'no_such') {
    $said = `script/torture no_such_folder $part 2>&1`;
    is($? >> 8, 2, "script/torture: no part $part");
    like($said, qr/no part '\Q$part\E'; there are unit, .*\n.* fuzz\/token$/m,
         '... which names the parts');
    ok(!-e 'no_such_folder', '... and nothing was begun');
}

done_testing();
