#!/usr/bin/perl

# What README.md, docs/ and the man pages show: commands, their options, scripts,
# targets of make, specs and markets that exist; and the figures of the market
# that docs/SIMULATOR.md repeats are those of the market.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP qw(decode_json);
use Reco::Tool;
use Test::More;

my $root = abs_path("$FindBin::Bin/../..");
chdir $root or die $!;

my @pages = ('README.md', 'CONTRIBUTING.md', glob('docs/*.md'));
my @man = glob 'lmdb-tools/man/*.1';
my %text = map { $_ => slurp($_) } @pages, @man;

for my $page (@man) {
    $text{$page} =~ s/\\fB|\\fI|\\fR|^\.(BR?|IR?|nf|fi|PP)\b ?//mg;
    $text{$page} =~ s/\\-/-/g;
    $text{$page} =~ s/\\\\$/\\/mg;
}

# ---- reco ------------------------------------------------------------------

my $help = (reco('--help'))[1];
my %help = map { $_ => (reco($_, '--help'))[1] } $help =~ /^  ([a-z]+) +\S/mg;
cmp_ok(scalar keys %help, '>=', 14, 'commands');

# The options of `import` are those of its kinds.
for my $kind ($help{import} =~ /^  ([a-z]+-[a-z]+) +\S/mg) {
    $help{import} .= (reco('import', $kind, '--help'))[1];
}

# An example is a line that is indented, in a block, or after a prompt, and what
# follows a backslash; a command in the text is `reco NAME --option`.
my $examples = 0;
for my $page (sort keys %text) {
    my $text = $text{$page} =~ s/\\\n\s*/ /gr;
    my @found = $text =~ /^ *(?:\$ |sudo )*reco ([a-z]+\b(?!:).*)$/mg;

    @found = grep { /(^| )-|\.\w+$|^\w+ \S+$/ } @found;
    push @found, $text =~ /`reco ([a-z]+\b[^`\n]*)`/g;
    @found = grep { $_ ne 'customer key' } @found;  # what a hash begins with

    for my $example (@found) {
        my ($command) = $example =~ /^(\w+)/;

        next if $command eq 'help';
        $examples++;
        if (!$help{$command}) {
            fail("$page: reco $example: there is no such command");
            next;
        }
        # Another command may follow in a pipe or list.
        my $own = $example =~ s/[;|&].*//r;
        my @unknown = grep { $help{$command} !~ /--\Q$_\E\b/ }
                      $own =~ /(?<![\w-])--([a-z][a-z-]*)/g;
        ok(!@unknown, "$page: reco $example") or diag "no --@unknown";
    }
}
cmp_ok($examples, '>=', 60, 'examples were found');

# ---- files and targets -------------------------------------------------------

my ($targets) = slurp('Makefile') =~ /^\.PHONY:((?:.*\\\n)*.*)$/m;
my %target = map { $_ => 1 } split ' ', $targets =~ s/\\//gr;

for my $page (@pages) {
    my %seen;

    ok(-e $1, "$page: $1")
        while $text{$page} =~ m{(?<![\w/.-])((?:script|conf)/[\w./-]*\w)}g
            && !$seen{$1}++;
    ok($target{$1}, "$page: make $1")
        while $text{$page} =~ /(?:`|^ +)make ([a-z][\w-]*)\b/mg && !$seen{$1}++;
}

# ---- the market ----------------------------------------------------------------

my $market = decode_json(slurp('conf/markets/online-retail.json'));
my ($response, $said) = ($market->{response}, $text{'docs/SIMULATOR.md'});

for my $name (sort keys %{ $response->{coefficients} }) {
    my $row = sprintf '| %s | %.3f | %.3f |', $name,
        $response->{coefficients}{$name},
        $response->{estimate}{standard_errors}{$name};
    ok(index($said, "\n$row\n") >= 0, "docs/SIMULATOR.md: $row");
}

sub thousands { my $n = shift; 1 while $n =~ s/(\d)(\d{3})\b/$1,$2/; $n }

my $estimate = $response->{estimate};
my $line = sprintf '%s baskets, %s rows, %s wanted; held out: %s baskets, '
    . 'AUC %.3f, log-loss %.3f (%.3f by the share of wanted ones alone)',
    (map { thousands($_) } @$estimate{qw(baskets rows positives)},
        $estimate->{validation}{baskets}),
    @{ $estimate->{validation} }{qw(auc log_loss log_loss_of_share)};
ok(index($said, $line) >= 0, "docs/SIMULATOR.md: $line");

for my $name (qw(click_through go_on max_steps step_seconds)) {
    my $value = 0 + $market->{assumptions}{$name};
    like($said, qr/^\| `$name` \| \Q$value\E \|/m, "$name is $value");
}

done_testing();
