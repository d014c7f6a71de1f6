#!/usr/bin/perl

# script/plot: charts say what the input says, are well-formed XML, and have
# the same bytes each time.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Reco::Tool;
use Test::More;

plan skip_all => 'gnuplot is not installed (script/bootstrap all)'
    if system('command -v gnuplot > /dev/null') != 0;

my $plot = "$FindBin::Bin/../../script/plot";
my $dir = folder();

# Exit status, standard output, standard error.
sub plot {
    my $line = join ' ', map { "'" . s/'/'\\''/gr . "'" } $plot, @_;
    my $status = system("$line > $dir/out 2> $dir/err");
    return ($status >> 8, slurp("$dir/out"), slurp("$dir/err"));
}

# Well-formed as far as gnuplot could fail it: what is open is closed in order,
# attributes are quoted, names and texts hold no bare < or &.
sub well_formed {
    my ($xml) = @_;
    my @open;
    my $entity = qr/&(?:amp|lt|gt|quot|apos|#\d+|#x[0-9a-fA-F]+);/;
    my $attribute = qr/\s+[\w:-]+\s*=\s*(?:"(?:[^"<&]|$entity)*"|'(?:[^'<&]|$entity)*')/;

    $xml =~ s/\A<\?xml [^>]*\?>//;
    $xml =~ s/<!DOCTYPE [^>]*>//;
    $xml =~ s/<!--.*?-->//gs;
    $xml =~ s/<!\[CDATA\[.*?\]\]>//gs;
    for ($xml) {
        while (1) {
            next if /\G(?:[^<&]|$entity)+/gc;
            last if /\G\z/gc;
            if (/\G<\/([\w:]+)\s*>/gc) {
                return "</$1> closes nothing" unless ($open[-1] // '') eq $1;
                pop @open;
            } elsif (/\G<([\w:]+)$attribute*\s*(\/?)>/gc) {
                push @open, $1 unless $2;
            } else {
                return 'not XML: ' . substr $xml, pos // 0, 60;
            }
        }
    }

    return @open ? "open: @open" : 'well formed';
}

# The texts of a chart, in its order, blanks of axes trimmed.
sub texts {
    return map { s/^\s+|\s+$//gr } $_[0] =~ m{<text>(.*?)</text>}gs;
}

sub draws {
    my ($name, $kind, $json, @options) = @_;
    spew("$dir/in.json", $json);
    my ($status, $out, $err) = plot($kind, @options, "$dir/in.json",
                                    "$dir/out.svg");
    is("$status$out$err", '0', "$name: drawn, without a word");
    my $svg = slurp("$dir/out.svg");
    is(well_formed($svg), 'well formed', "$name: XML");
    unlike($svg, qr/\b20\d\d-\d\d|\d\d:\d\d:\d\d/, "$name: no date");

    ($status) = plot($kind, @options, "$dir/in.json", "$dir/again.svg");
    ok($svg eq slurp("$dir/again.svg"), "$name: the same bytes twice");
    return $svg;
}

sub refuses {
    my ($name, $words, @args) = @_;
    unlink "$dir/none.svg";
    my ($status, $out, $err) = plot(@args, "$dir/none.svg");
    is($status, 1, "$name: refused");
    is($err, "plot: $words\n", "$name: says why");
    ok(!-e "$dir/none.svg" && !-e "$dir/none.svg.part", "$name: no file");
}

# ---- comparison -----------------------------------------------------------

my $compare = <<'END';
{"market": {"name": "town", "hash": "00"}, "part": "test", "seeds": 10, "sessions": 500,
 "arms": [
  {"arm": "random", "title": "random strategy",
   "conversion_rate": {"value": 0.04, "interval": [0.03, 0.05],
                       "over_random": {"value": 0, "interval": [0, 0]}},
   "hit_rate": {"value": 0.25, "interval": [0.2, 0.3]}},
  {"arm": "b", "title": "it's <A&B> {x}_y",
   "conversion_rate": {"value": 0.0512, "interval": [0.05, 0.06],
                       "over_random": {"value": -0.01, "interval": [-0.02, 0.005]}},
   "hit_rate": {"value": null, "interval": [null, null]}},
  {"arm": "c", "title": "Z\u00fcrich",
   "conversion_rate": {"value": 0.08, "interval": [0.07, 0.085],
                       "over_random": {"value": 0.04, "interval": [0.03, 0.05]}}}]}
END
my $svg = draws('comparison', 'comparison', $compare);
my @texts = texts($svg);
my @bars = $svg =~ /<polygon fill = 'rgb\(  0, 114, 178\)' points = '([^']*)'/g;

is(@bars, 3, 'comparison: a bar an arm');

# From the same edge; as long as the values, 4 to 5.12 to 8; the first on top.
my @box = map { my @p = map { [split /,/] } split ' ', $_;
                { left => $p[0][0], length => $p[1][0] - $p[0][0],
                  top => $p[2][1] } } @bars;
ok($box[0]{left} == $box[1]{left} && $box[1]{left} == $box[2]{left},
   'comparison: bars begin at one place');
ok(abs($box[1]{length} / $box[0]{length} - 1.28) < 0.001
   && abs($box[2]{length} / $box[0]{length} - 2) < 0.001,
   'comparison: bars are as long as the values');
ok($box[0]{top} < $box[1]{top} && $box[1]{top} < $box[2]{top},
   'comparison: the first arm is on top');

# Intervals: from 3 to 5 is a quarter of what 0 to 8 is, from 7 to 8.5 ...
my ($errors) = $svg =~ /<path stroke='rgb\( 34,  34,  34\)'  d='([^']*)'/;
my @segments = $errors =~ /M([\d.]+),([\d.]+)\s+L([\d.]+),([\d.]+)/g;
my @whiskers;
while (my ($x0, $y0, $x1, $y1) = splice @segments, 0, 4) {
    push @whiskers, $x1 - $x0 if $y0 == $y1;
}
is(@whiskers, 3, 'comparison: an interval an arm');
ok(abs($whiskers[0] / $box[2]{length} - 2 / 8) < 0.001
   && abs($whiskers[1] / $box[2]{length} - 1 / 8) < 0.001
   && abs($whiskers[2] / $box[2]{length} - 1.5 / 8) < 0.001,
   'comparison: intervals are as long as they are');

for my $text ('random strategy', "it's &lt;A&amp;B> {x}_y", "Z\xc3\xbcrich",
              '4.00', '5.12', '8.00', 'Conversion rate (% of sessions)',
              'Conversion rate, with 95 % intervals',
              'market town, customers: test, 10 seeds of 500 sessions')
{
    ok((grep { $_ eq $text } @texts), "comparison: says $text");
}
like($svg, qr/<rect [^>]*fill="#ffffff"/, 'comparison: white background');

# Of a metric without a market, the one arm that has it.
$svg = draws('another metric', 'comparison', $compare, '--metric', 'hit_rate');
is(() = $svg =~ /<polygon fill = 'rgb\(  0, 114, 178\)'/g, 1,
   'another metric: the one arm that has it');
ok((grep { $_ eq 'customers: test' } texts($svg)),
   'another metric: no market, for these baskets are real');

# Differences: -1 and 4 points, to the left and to the right of 0.
$svg = draws('differences', 'comparison', $compare, '--over-random');
@bars = map { my ($x0, $x1) = /^([\d.]+),[\d.]+ ([\d.]+),/; $x1 - $x0 }
    $svg =~ /<polygon fill = 'rgb\(  0, 114, 178\)' points = '([^']*)'/g;
is(@bars, 2, 'differences: not of the random strategy to itself');
ok(abs(abs($bars[1] / $bars[0]) - 4) < 0.01, 'differences: bars');
@texts = texts($svg);
for my $text ('-1.00', '+4.00', 'Difference (percentage points of sessions)') {
    ok((grep { $_ eq $text } @texts), "differences: says $text");
}

draws('all zero', 'comparison', '{"arms": [{"arm": "a", "title": "A",
    "conversion_rate": {"value": 0, "interval": [0, 0]}}]}');

# ---- convergence ----------------------------------------------------------

my $facts = <<'END';
{"convergence": [
  {"pass": 1, "mean_change": 0.5, "max_change": 1, "policy_agreement": null},
  {"pass": 2, "mean_change": 0.05, "max_change": 0.1, "policy_agreement": 0.75},
  {"pass": 3, "mean_change": 0.005, "max_change": 0.01, "policy_agreement": 1},
  {"pass": 4, "mean_change": 0, "max_change": 0.001, "policy_agreement": 1}]}
END
$svg = draws('convergence', 'convergence', $facts);
@texts = texts($svg);
for my $text ('Convergence of the values', 'Pass', 'largest', 'mean',
              'Change of Q in a pass (units of reward)', '1e-03', '1e+00',
              'States (%)', '70', '100',
              'Agreement of the policy with that of the pass before')
{
    ok((grep { $_ eq $text } @texts), "convergence: says $text");
}

# Equal steps of a power of ten are equal steps on paper: the mean's first
# three passes lie on a line, and the fourth, 0, is not drawn.
my ($mean) = $svg =~ /<title>[^<]*gnuplot_plot_2[^<]*<\/title>(.*?)<title>/s;
my @points = $mean =~ /<use xlink:href='#gpPt\d+' transform='translate\(([\d.]+),([\d.]+)\)/g;
is(@points, 2 * 4, 'convergence: three points, and that of the key');
ok(abs(($points[2] - $points[0]) - ($points[4] - $points[2])) < 0.1
   && abs(($points[3] - $points[1]) - ($points[5] - $points[3])) < 0.1
   && $points[3] > $points[1],
   'convergence: equal steps of a power of ten');

# Those of the training in a snapshot are taken too.
draws('a training', 'convergence', qq({"training": $facts}));
$svg = draws('no agreement', 'convergence',
             '{"convergence": [{"pass": 1, "mean_change": 1, "max_change": 1}]}');
ok(!(grep { /Agreement/ } texts($svg)), 'no agreement: no second chart');

# ---- what is refused ------------------------------------------------------

sub input {
    return spew("$dir/bad.json", $_[0]);
}

my $bad = "$dir/bad.json";
refuses('no file', "cannot open '$dir/absent': No such file or directory",
        'comparison', "$dir/absent");
refuses('not an object', "$bad: not an object", 'comparison', input('[]'));
refuses('no arms', "$bad: has no member 'arms'", 'comparison', input('{}'));
refuses('empty arms', "$bad: 'arms' is empty", 'comparison',
        input('{"arms": []}'));
refuses('nowhere measured', "$bad: no arm has 'conversion_rate'", 'comparison',
        input('{"arms": [{"title": "a"}]}'));
refuses('no such metric', "there is no metric 'luck'", 'comparison', '--metric',
        'luck', input('{"arms": [{"title": "a"}]}'));
refuses('no title', "$bad: arms[0] has no title", 'comparison',
        input('{"arms": [{}]}'));
refuses('no interval', "$bad: arms[0].conversion_rate has no interval",
        'comparison', input('{"arms": [{"title": "a", "conversion_rate":
            {"value": 1}}]}'));
refuses('a word', "$bad: arms[0].conversion_rate: 'low' is not a number",
        'comparison', input('{"arms": [{"title": "a", "conversion_rate":
            {"value": 1, "interval": ["x", 2]}}]}'));
refuses('an interval beside its value',
        "$bad: arms[0].conversion_rate: low, value and high do not rise",
        'comparison', input('{"arms": [{"title": "a", "conversion_rate":
            {"value": 1, "interval": [2, 3]}}]}'));
refuses('no convergence', "$bad: has no member 'convergence'", 'convergence',
        input('{}'));
refuses('no pass', "$bad: convergence[0] has no 'pass'", 'convergence',
        input('{"convergence": [{}]}'));
refuses('no change', "$bad: no pass changed anything", 'convergence',
        input('{"convergence": [{"pass": 1, "max_change": 0}]}'));

my ($status, $out, $err) = plot('pie', $bad, "$dir/none.svg");
is($status, 2, 'another chart: usage');
like($err, qr/^plot convergence FACTS/m, 'another chart: says which there are');
($status, $out) = plot('--help');
is($status, 0, '--help');
like($out, qr/^plot comparison/m, '--help: on standard output');

done_testing();
