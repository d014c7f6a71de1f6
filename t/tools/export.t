#!/usr/bin/perl

# reco export: the four tables as CSV and as SQL, with ids that would like to
# be more than data; the SQL is loaded into a real PostgreSQL where Debian's
# package is installed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Encode qw(decode encode);
use File::Temp qw(tempdir);
use Reco::Log;
use Reco::Tool;
use Test::More;

my $dir = folder();
my $t0 = 1_700_000_000_000;         # 2023-11-14T22:13:20Z

# ---- a log and two generations ----

my @hostile = (
    q{O'Brien"; DROP TABLE TB_EPISODES; --},
    q{back\slash\' and ''two''},
    qq{line\x{2028}separator \x{20ac} \x{1f600}},
    q{$$ :name ${x} %s, comma},
    q{\.},
);

my @slate = (slate => ['OFFER_2', 'OFFER_1', 'OFFER_3'],
             p => [1 / 2, 1 / 2, 1]);
my $log = "$dir/log";
write_segment($log, 'edge-1', 0xab, 0, $t0,
    (map { decision($_ + 1, $t0 + $_, actions => 3, @slate,
                    customer => $hostile[$_],
                    features => { age => [42.5, 'request'],
                                  city => [$hostile[$_], 'customer'] }) }
     0 .. $#hostile),
    decision(6, $t0 + 86_400_000, actions => 3, slate => ['OFFER_1'],
             p => [1]),
    decision(7, $t0, actions => 3, model => 'other'),
    reward(1, $t0 + 10, { conversion => 1 }, customer => $hostile[0],
           action => 'OFFER_1'),
    reward(2, $t0 + 20, { conversion => 0 }, customer => $hostile[1]),
    reward(3, $t0 + 30, { conversion => 1 }),
);

my $actions = join ', ', map {
    qq({"id": "OFFER_$_", "name": "Bob's \\"best\\" \\\\ offer, $_"})
} 1 .. 2;
for my $version ('1.0', "2.0-it's") {
    spew("$dir/spec.json", <<"END");
{"model": "shop", "version": "$version", "features": [],
 "actions": [$actions, {"id": "OFFER_3"}],
 "policy": {"type": "uniform", "slate": 3}}
END
    is((reco('build', "$dir/spec.json", '--out', "$dir/new.mdb", '--as-of',
             '2024-02-29T12:00:00Z'))[0], 0, 'build');
    is((reco('publish', "$dir/new.mdb", '--to', "$dir/models"))[0], 0,
       'publish');
}

sub export {
    my ($table, $format, @args) = @_;
    my ($status, $out, $err) = reco('export', '--table', $table, '--format',
        $format, '--out', "$dir/$table.$format", @args);

    is($status, 0, "$table as $format") or diag $err;

    return slurp("$dir/$table.$format");
}

# ---- CSV ----

# RFC 4180: a field with a comma or a quote is quoted, quotes are doubled.
my $utf8 = encode('UTF-8', $hostile[2]);
my $episodes = export('episodes', 'csv', '--log', $log, '--model', 'shop');
my @lines = split /\n/, $episodes;
is($lines[0], 'ID,CUSTOMER_ID,STATES,PREDICTED_OFFER_1,PREDICTED_OFFER_2,'
   . 'PREDICTED_OFFER_3,LAST_UPDATE', 'episodes: columns');
is(scalar @lines, 7, 'episodes: six');
like($lines[1], qr/^0{31}1,"O'Brien""; DROP TABLE TB_EPISODES; --",/,
     'episodes: quotes');
like($lines[1], qr/,OFFER_2,OFFER_1,OFFER_3,2023-11-14T22:13:20\.000Z$/,
     'episodes: slate and time');
like($lines[3], qr/^0{31}3,"?\Q$utf8\E"?,/, 'episodes: UTF-8 as it is');
like($lines[4], qr/,"\{""age"":42\.5,""city"":""\$\$ :name/,
     'episodes: states');
is($lines[6], '0' x 31 . '6,,{},OFFER_1,,,2023-11-15T22:13:20.000Z',
   'episodes: nobody, one offer');

is(export('rewards', 'csv', '--log', $log), <<"END", 'rewards');
ID,CUSTOMER_ID,ACCEPTED_OFFER,LAST_UPDATE
edge-1-000000ab-8,"O'Brien""; DROP TABLE TB_EPISODES; --",OFFER_1,2023-11-14T22:13:20.010Z
edge-1-000000ab-9,back\\slash\\' and ''two'',false,2023-11-14T22:13:20.020Z
edge-1-000000ab-10,,true,2023-11-14T22:13:20.030Z
END

is(export('agents', 'csv', '--models', "$dir/models"), <<"END", 'agents');
ID,VERSION,LAST_UPDATE
1,1.0,2024-02-29T12:00:00.000Z
2,2.0-it's,2024-02-29T12:00:00.000Z
END

is(export('products', 'csv', '--models', "$dir/models"), <<'END', 'products');
ID,OFFER_ID,PRODUCT_NAME
1,OFFER_1,"Bob's ""best"" \ offer, 1"
2,OFFER_2,"Bob's ""best"" \ offer, 2"
3,OFFER_3,
END

is(export('episodes', 'csv', '--log', $log, '--log', $log, '--model',
          'shop'), $episodes, 'a log given twice is written once');

# ---- SQL ----

my %sql = (
    episodes => export('episodes', 'sql', '--log', $log, '--model', 'shop'),
    rewards => export('rewards', 'sql', '--log', $log),
    agents => export('agents', 'sql', '--models', "$dir/models"),
    products => export('products', 'sql', '--models', "$dir/models"),
);
like($sql{$_}, qr/CREATE TABLE IF NOT EXISTS TB_\U$_\E \(/, "$_: creates")
    for sort keys %sql;
like($sql{episodes}, qr/'O''Brien"; DROP TABLE TB_EPISODES; --'/,
     'quotes are doubled');
like($sql{episodes}, qr/,NULL,'\{\}','OFFER_1',NULL,NULL,/, 'NULL');

# More rows than one INSERT holds.
my $long = "$dir/long";
write_segment($long, 'edge-2', 1, 0, $t0,
    map { decision(1000 + $_, $t0 + $_, actions => 3, @slate) } 1 .. 450);
$sql{long} = export('episodes', 'sql', '--log', $long);
is(() = $sql{long} =~ /^INSERT /mg, 3, '450 rows are three INSERTs');
$sql{empty} = export('rewards', 'sql', '--log', $long);

# ---- wrong use ----

is((reco('export', '--table', 'episodes', '--format', 'csv'))[0], 2,
   'episodes without a log: wrong use');
is((reco('export', '--table', 'agents', '--format', 'csv', '--log',
         $log))[0], 2, 'agents without models: wrong use');
is((reco('export', '--table', 'cats', '--format', 'csv'))[0], 2,
   'no such table');
is((reco('export', '--table', 'rewards', '--format', 'xml', '--log',
         $log))[0], 2, 'no such format');
is((reco('export', '--table', 'rewards', '--format', 'csv', '--log',
         "$dir/none", '--out', "$dir/none.csv"))[0], 1, 'no such log');
ok(!-e "$dir/none.csv", '... leaves nothing');
is((reco('export', '--table', 'products', '--format', 'csv', '--models',
         $log))[0], 1, 'a folder without snapshots');

# ---- PostgreSQL ----

my ($bin) = reverse sort glob('/usr/lib/postgresql/*/bin');
SKIP: {
    skip('PostgreSQL is not installed', 28)
        unless $bin && -x "$bin/initdb" && -x "$bin/postgres";

    my $server = Server->new($bin);
    skip('PostgreSQL did not start: ' . $server->{why}, 28)
        unless $server->{up};

    for my $round (1, 2) {
        for my $table (qw(agents episodes rewards products)) {
            spew("$server->{dir}/load.sql", $sql{$table});
            is($server->load("$server->{dir}/load.sql"), 0,
               "$table loads, time $round");
        }
    }
    spew("$server->{dir}/load.sql", $sql{$_})
        && is($server->load("$server->{dir}/load.sql"), 0, "$_ loads")
        for qw(long empty);

    is($server->ask('SELECT count(*) FROM tb_agents'), '2', 'agents: rows');
    is($server->ask('SELECT count(*) FROM tb_episodes'), '456',
       'episodes: rows');
    is($server->ask('SELECT count(*) FROM tb_rewards'), '3', 'rewards: rows');
    is($server->ask('SELECT count(*) FROM tb_products'), '3',
       'products: rows');
    is($server->ask("SELECT customer_id FROM tb_episodes WHERE id = '"
                    . id($_ + 1) . "'"), encode('UTF-8', $hostile[$_]),
       "customer $_ is what it was") for 0 .. $#hostile;
    is($server->ask("SELECT states->>'city' FROM tb_episodes WHERE id = '"
                    . id($_ + 1) . "'"), encode('UTF-8', $hostile[$_]),
       "state $_ is what it was") for 0 .. $#hostile;
    is($server->ask("SELECT (states->>'age')::float8 FROM tb_episodes"
                    . " WHERE id = '" . id(1) . "'"), '42.5', 'a number');
    is($server->ask("SELECT version FROM tb_agents WHERE id = 2"), "2.0-it's",
       'a version');
    is($server->ask('SELECT product_name FROM tb_products WHERE id = 1'),
       q{Bob's "best" \ offer, 1}, 'a product');
    is($server->ask("SELECT count(*) FROM tb_episodes WHERE last_update ="
                    . " timestamptz '2023-11-14 22:13:20.001+00'"), '2',
       'times');
}

done_testing();

# A PostgreSQL of its own: data and socket in a folder that goes with it, no
# port. It refuses to run as root, so then it runs as postgres or nobody.
package Server;

sub new {
    my ($class, $bin) = @_;
    my $dir = File::Temp::tempdir('reco-pg-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    my $self = bless { bin => $bin, dir => $dir, up => 0, why => '' }, $class;

    if ($> == 0) {
        my ($user) = grep { defined getpwnam $_ } qw(postgres nobody);
        my (undef, undef, $uid, $gid) = getpwnam $user;

        chown $uid, $gid, $dir;
        $self->{as} = ['setpriv', "--reuid=$uid", "--regid=$gid",
                       '--clear-groups'];
    }

    if ($self->run("$bin/initdb", '-D', "$dir/data", '-U', 'reco', '-E',
                   'UTF8', '--locale=C', '--auth=trust', '--no-sync') != 0
        || $self->run("$bin/pg_ctl", '-D', "$dir/data", '-w', '-t', '30',
                      '-l', "$dir/log", '-o',
                      "-c listen_addresses='' -k $dir -F", 'start') != 0)
    {
        $self->{why} = Reco::Tool::slurp("$dir/output");
        return $self;
    }
    $self->{up} = 1;

    return $self;
}

sub run {
    my ($self, @command) = @_;
    my $pid = fork() // die "fork: $!";

    if ($pid == 0) {
        chdir $self->{dir};
        open(STDIN, '<', '/dev/null');
        open(STDOUT, '>', "$self->{dir}/output") or die;
        open(STDERR, '>&', \*STDOUT) or die;
        $ENV{LC_ALL} = 'C';
        exec(@{ $self->{as} // [] }, @command) or die "$command[0]: $!";
    }
    waitpid($pid, 0);

    return $?;
}

sub psql {
    my ($self, @args) = @_;

    return $self->run("$self->{bin}/psql", '-h', $self->{dir}, '-U', 'reco',
                      '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', @args,
                      'postgres');
}

sub load {
    my ($self, $file) = @_;
    my $status = $self->psql('-f', $file);

    Test::More::diag(Reco::Tool::slurp("$self->{dir}/output")) if $status;

    return $status;
}

sub ask {
    my ($self, $query) = @_;

    $self->psql('-c', $query);
    chomp(my $answer = Reco::Tool::slurp("$self->{dir}/output"));

    return $answer;
}

sub DESTROY {
    my ($self) = @_;

    local $?;
    $self->run("$self->{bin}/pg_ctl", '-D', "$self->{dir}/data", '-m',
               'immediate', '-w', 'stop') if $self->{up};
}
