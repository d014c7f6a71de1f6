/*
 * compare.c - the course of a comparison: the shop's lists and records, a
 * snapshot for each arm, learning from development shoppers, the test. What
 * the arms are: compare_arms.c; the tables: compare_table.c.
 *
 * Each step that is a command of the tool (baskets, build, publish, train) is
 * run as such, in a process of its own, with the same options that a person
 * would give it.
 */

#include "compare_internal.h"

#include "published.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- steps -------------------------------------------------------------- */

char *
compare_path(const compare_t *c, const char *fmt, ...)
{
    char     *name, *out;
    va_list   args;

    va_start(args, fmt);
    name = tool_vformat(fmt, args);
    va_end(args);

    out = tool_format("%s/%s", c->dir, name);
    free(name);

    return out;
}

/* What the command says is kept beside its result, and shown where it fails. */
bool
compare_step(const compare_t *c, int (*command)(int, char **),
    const char *const *args)
{
    int     argc, status = 0, fd;
    char   *log = compare_path(c, "messages"), *text;
    pid_t   pid;
    size_t  len;

    for (argc = 0; args[argc]; argc++) {
        /* void */
    }

    fflush(NULL);
    pid = fork();

    if (pid == 0) {
        fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0666);
        if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0) {
            _exit(1);
        }
        status = command(argc, (char **) (void *) args);
        fflush(NULL);
        _exit(status);
    }

    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        /* void */
    }

    if (pid < 0 || status != 0) {
        text = tool_read_file(log, &len);
        fputs(text ? text : "", stderr);
        tool_error("the comparison's step 'reco %s' failed", args[0]);
        free(text);
    }
    free(log);

    return pid > 0 && status == 0;
}

/* ---- the shop ----------------------------------------------------------- */

/* Lists from customers who are not tested on; nobody's last basket is in
 * anything. */
static bool
prepare_shop(compare_t *c)
{
    bool         ok;
    char        *shop = compare_path(c, "shop");
    const char  *args[] = {
        "baskets", c->o->baskets, "--items", c->o->items, "--out", shop,
        "--lists-from", "market,development", "--leave-last", NULL
    };

    ok = compare_step(c, cmd_baskets, args);
    free(shop);

    return ok;
}

/* An arm's spec becomes a published snapshot. */
static bool
build_arm(compare_t *c, arm_t *arm)
{
    bool   ok;
    char  *spec, *snapshot, *customers, *items, *lists, *samples;

    spec = compare_path(c, "%s.json", arm->name);
    snapshot = compare_path(c, "%s.mdb", arm->name);
    customers = compare_path(c, "shop/customers.csv");
    items = compare_path(c, "shop/items.csv");
    lists = compare_path(c, "shop/lists.csv");
    samples = compare_path(c, "shop/samples.csv");

    ok = json_dump_file(arm->spec, spec, JSON_INDENT(2)) == 0;
    if (!ok) {
        tool_errno("write", spec);
    }

    ok = ok && compare_step(c, cmd_build, (const char *[]) {
        "build", spec, "--customers", customers, "--items", items, "--lists",
        lists, "--samples", samples, "--out", snapshot, NULL
    }) && compare_publish(c, arm, snapshot);

    free(spec);
    free(snapshot);
    free(customers);
    free(items);
    free(lists);
    free(samples);

    return ok;
}

bool
compare_publish(compare_t *c, arm_t *arm, const char *snapshot)
{
    bool         ok;
    char        *to = compare_path(c, "%s", arm->name);
    published_t  at;
    const char  *args[] = {
        "publish", snapshot, "--to", to, "--force", NULL
    };

    ok = compare_step(c, cmd_publish, args) && published_find(to, &at);
    if (ok) {
        free(arm->model);
        arm->model = tool_strdup(at.path);
    }
    free(to);

    return ok;
}

/* ---- simulating --------------------------------------------------------- */

static simulate_options_t
options_of(const compare_t *c, const arm_t *arm, part_t part,
    uint64_t sessions, uint64_t seed)
{
    return (simulate_options_t) {
        .market = c->o->market, .model = arm->model, .kind = arm->kind,
        .action = arm->action, .going_on = c->going_on, .part = part,
        .sessions = sessions, .seed = seed,
        .start_ms = simulate_start(c->o->market->shop),
        .jobs = c->o->jobs, .quiet = true,
    };
}

/* Adds up into totals. */
static bool
meet(compare_t *c, const arm_t *arm, part_t part, uint64_t sessions,
    uint64_t seed, const char *log, simulate_totals_t *totals)
{
    bool                ok;
    uint32_t            i;
    simulate_options_t  o = options_of(c, arm, part, sessions, seed);

    o.log = log;
    ok = simulate_run(&o, c->room);

    for (i = 0; ok && totals && i < c->ncustomers; i++) {
        simulate_add(&totals[i], &c->room[i]);
    }

    return ok;
}

static simulate_totals_t
sum_of(const compare_t *c)
{
    uint32_t           i;
    simulate_totals_t  sum = { 0 };

    for (i = 0; i < c->ncustomers; i++) {
        simulate_add(&sum, &c->room[i]);
    }

    return sum;
}

/* On development shoppers: what going on is worth to the random arm, and which
 * single strategy earns the most reward a session. */
static bool
choose_on_development(compare_t *c)
{
    double             best = -INFINITY;
    arm_t             *fixed = &c->arms[ARM_FIXED];
    uint32_t           i, chosen = 0;
    simulate_totals_t  sum;

    if (!meet(c, &c->arms[ARM_RANDOM], PART_DEVELOPMENT,
              c->o->train_sessions, c->o->seed, NULL, NULL))
    {
        return false;
    }

    sum = sum_of(c);
    c->going_on = sum.gone_on ? sum.to_go / sum.gone_on : 0;

    for (i = 0; i < c->nactions; i++) {
        fixed->action = (uint16_t) i;
        if (!meet(c, fixed, PART_DEVELOPMENT, c->o->train_sessions,
                  c->o->seed, NULL, NULL))
        {
            return false;
        }

        sum = sum_of(c);
        if (sum.reward / sum.sessions > best) {
            best = sum.reward / sum.sessions;
            chosen = i;
        }
    }

    fixed->action = (uint16_t) chosen;

    return true;
}

/* ---- learning ----------------------------------------------------------- */

/* Development shoppers of a seed are others, by chance, than those of its
 * test. */
#define TRAIN_SEED(seed, round)     ((seed) * 1000 + 500 + (round))

static bool
train(compare_t *c, arm_t *arm, const char *base, const char *log,
    const char *more)
{
    bool         ok;
    char        *out = compare_path(c, "%s.mdb", arm->name), gamma[32];
    const char  *args[] = {
        "train", "--base", base, "--log", log, "--algorithm", arm->algorithm,
        "--discount-factor", gamma, "--out", out,
        more ? "--log" : NULL, more, NULL
    };

    snprintf(gamma, sizeof(gamma), "%.17g", arm->gamma);
    unlink(out);
    ok = compare_step(c, cmd_train, args) && compare_publish(c, arm, out);
    free(out);

    return ok;
}

static int
remove_one(const char *path, const struct stat *st, int type,
    struct FTW *ftw)
{
    (void) st;
    (void) type;
    (void) ftw;

    return remove(path);
}

static void
remove_tree(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The first round explores uniformly and is the same for all; the others
 * explore as the arm has learned to. */
static bool
learn(compare_t *c, arm_t *arm, uint64_t seed, const char *first)
{
    bool       ok;
    char      *own = compare_path(c, "%s.log", arm->name);
    uint32_t   round;

    remove_tree(own);
    ok = train(c, arm, c->arms[ARM_BASE].model, first, NULL);

    for (round = 1; ok && round < c->o->rounds; round++) {
        ok = meet(c, arm, PART_DEVELOPMENT, c->o->train_sessions,
                  TRAIN_SEED(seed, round), own, NULL)
             && train(c, arm, arm->model, first, own);
    }

    remove_tree(own);
    free(own);

    return ok;
}

static bool
run_seed(compare_t *c, uint32_t index)
{
    bool       ok;
    char      *first = compare_path(c, "first.log");
    arm_t     *arm;
    uint32_t   i;
    uint64_t   seed = c->o->seed + index;

    remove_tree(first);
    ok = meet(c, &c->arms[ARM_BASE], PART_DEVELOPMENT, c->o->train_sessions,
              TRAIN_SEED(seed, 0), first, NULL);

    for (i = 0; ok && i < ARMS; i++) {
        arm = &c->arms[i];
        if (arm->algorithm) {
            ok = learn(c, arm, seed, first);
        } else if (arm->greedy_of >= 0) {
            free(arm->model);
            arm->model = tool_strdup(c->arms[arm->greedy_of].model);
        }

        if (ok && i != ARM_BASE) {
            ok = meet(c, arm, c->o->part, c->o->sessions, seed, NULL,
                      arm->totals)
                 && compare_hits(c, arm);
            compare_note_seed(c, arm, index);
        }
        tool_progress_at(&c->progress, index * ARMS + i + 1);
    }

    remove_tree(first);
    free(first);

    return ok;
}

/* ---- beginning and end -------------------------------------------------- */

static bool
make_dir(compare_t *c)
{
    static const char  pattern[] = "/reco-compare-XXXXXX";
    const char        *tmp = getenv("TMPDIR");

    if (c->o->work) {
        c->dir = tool_strdup(c->o->work);
        if (mkdir(c->dir, 0777) != 0 && errno != EEXIST) {
            tool_errno("create", c->dir);
            return false;
        }
        return true;
    }

    c->dir = tool_format("%s%s", tmp ? tmp : "/tmp", pattern);
    if (mkdtemp(c->dir) == NULL) {
        tool_errno("create a folder in", tmp ? tmp : "/tmp");
        return false;
    }

    return true;
}

static bool
build_arms(compare_t *c)
{
    bool      ok = true;
    uint32_t  i;

    for (i = 0; ok && i < ARMS; i++) {
        c->arms[i].totals = tool_alloc(c->ncustomers
                                       * sizeof(simulate_totals_t));
        memset(c->arms[i].totals, 0,
               c->ncustomers * sizeof(simulate_totals_t));
        c->arms[i].hits = tool_alloc(c->ncustomers
                                     * sizeof(interval_part_t));
        memset(c->arms[i].hits, 0, c->ncustomers * sizeof(interval_part_t));
        c->arms[i].by_seed = tool_alloc(c->o->seeds * sizeof(double));
        memset(c->arms[i].by_seed, 0, c->o->seeds * sizeof(double));

        if (c->arms[i].spec) {
            ok = build_arm(c, &c->arms[i]);
        }
    }

    for (i = 0; ok && i < ARMS; i++) {
        if (c->arms[i].spec == NULL) {
            c->arms[i].model = tool_strdup(c->arms[ARM_BASE].model);
        }
    }

    return ok;
}

static void
release(compare_t *c)
{
    uint32_t  i;

    for (i = 0; i < ARMS; i++) {
        json_decref(c->arms[i].spec);
        free(c->arms[i].model);
        free(c->arms[i].totals);
        free(c->arms[i].hits);
        free(c->arms[i].by_seed);
    }

    for (i = 0; i < c->nactions && c->actions; i++) {
        free(c->actions[i]);
    }
    free(c->actions);

    if (c->dir && c->o->work == NULL) {
        remove_tree(c->dir);
    }
    free(c->dir);
    free(c->room);
    free(c);
}

bool
compare_run(const compare_options_t *o)
{
    bool        ok;
    uint32_t    i;
    compare_t  *c = tool_alloc(sizeof(*c));

    memset(c, 0, sizeof(*c));
    c->o = o;
    c->ncustomers = o->market->shop->ncustomers;
    c->room = tool_alloc(c->ncustomers * sizeof(*c->room));
    tool_progress_begin(&c->progress, "comparing", o->seeds * ARMS);

    ok = make_dir(c) && compare_arms(c) && prepare_shop(c) && build_arms(c)
         && choose_on_development(c);

    for (i = 0; ok && i < o->seeds; i++) {
        ok = run_seed(c, i);
    }

    tool_progress_end(&c->progress);
    ok = ok && compare_report(c);
    release(c);

    return ok;
}
