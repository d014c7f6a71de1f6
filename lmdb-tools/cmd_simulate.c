/*
 * cmd_simulate.c - `reco simulate`: calibrates a market on baskets, lets its
 * shoppers meet a model, or compares ways of recommending.
 */

#include "compare.h"
#include "published.h"
#include "simulate_http.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_JOBS    64

typedef enum { RUN, CALIBRATE, COMPARE } simulate_mode_t;

typedef struct {
    simulate_mode_t            mode;
    const char        *model, *market_path, *baskets, *items, *out, *name,
                      *assumptions, *action, *url;
    bool               unchecked, oracle, json, part_given;
    uint32_t           connections;
    simulate_options_t run;
    compare_options_t  compare;
    shop_t             shop;
    market_t           market;
} simulate_t;

enum { OPT_CALIBRATE = 256, OPT_COMPARE, OPT_MARKET, OPT_UNCHECKED,
       OPT_BASKETS, OPT_ITEMS, OPT_OUT, OPT_NAME, OPT_ASSUMPTIONS, OPT_PART,
       OPT_SESSIONS, OPT_SEED, OPT_START, OPT_LOG, OPT_JOBS, OPT_ACTION,
       OPT_ORACLE, OPT_GOING_ON, OPT_HTTP, OPT_CONNECTIONS, OPT_SPEC,
       OPT_SEEDS, OPT_TRAIN_SESSIONS, OPT_ROUNDS, OPT_WORK, OPT_JSON };

static const struct argp_option  options[] = {
    { "baskets", OPT_BASKETS, "CSV", 0, "the shop's baskets (needed)", 0 },
    { "items", OPT_ITEMS, "CSV", 0,
      "its items with their categories (needed)", 0 },
    { "market", OPT_MARKET, "JSON", 0, "a calibrated market", 0 },
    { "market-unchecked", OPT_UNCHECKED, NULL, 0,
      "take a market whose hash is not that of its content, or other baskets "
      "than those it was calibrated on", 0 },
    { "json", OPT_JSON, NULL, 0, "print JSON", 0 },
    { NULL, 0, NULL, 0, "Calibrate a market:", 1 },
    { "calibrate", OPT_CALIBRATE, NULL, 0,
      "estimate a market from the part 'market' of the customers", 0 },
    { "out", OPT_OUT, "JSON", 0,
      "the market (needed); with --compare: the tables as JSON", 0 },
    { "name", OPT_NAME, "TEXT", 0, "the market's name (market)", 0 },
    { "assumptions", OPT_ASSUMPTIONS, "JSON", 0,
      "take those of another market's file", 0 },
    { NULL, 0, NULL, 0, "Simulate sessions with a model:", 2 },
    { "part", OPT_PART, "PART", 0,
      "shoppers: market, development, test, all (development; with "
      "--compare: test)", 0 },
    { "sessions", OPT_SESSIONS, "N", 0,
      "sessions that begin, without returns (10000)", 0 },
    { "seed", OPT_SEED, "N", 0, "of all chance (1)", 0 },
    { "start", OPT_START, "TIME", 0,
      "when it begins (midnight after the last basket)", 0 },
    { "log", OPT_LOG, "DIR", 0, "write an event log", 0 },
    { "jobs", OPT_JOBS, "N", 0,
      "processes, 1 to 64; the result does not depend on it (1)", 0 },
    { "action", OPT_ACTION, "ID", 0, "offer only this action", 0 },
    { "oracle", OPT_ORACLE, NULL, 0,
      "choose the action whose expected reward is highest, knowing the "
      "market", 0 },
    { "going-on", OPT_GOING_ON, "VALUE", 0,
      "what the oracle thinks going on is worth (0)", 0 },
    { "http", OPT_HTTP, "URL", 0,
      "talk to a server in format cart instead of the core", 0 },
    { "connections", OPT_CONNECTIONS, "N", 0,
      "sessions at a time with --http, 1 to 10000 (16)", 0 },
    { NULL, 0, NULL, 0, "Compare:", 3 },
    { "compare", OPT_COMPARE, NULL, 0,
      "ways of recommending, in one table", 0 },
    { "spec", OPT_SPEC, "SPEC", 0, "the agent's spec (needed)", 0 },
    { "seeds", OPT_SEEDS, "N", 0, "repetitions, 1 to 1000 (10)", 0 },
    { "train-sessions", OPT_TRAIN_SESSIONS, "N", 0,
      "sessions of development shoppers to learn from, for each seed and "
      "round (20000)", 0 },
    { "rounds", OPT_ROUNDS, "N", 0,
      "of exploring and learning; the first explores uniformly (2)", 0 },
    { "work", OPT_WORK, "DIR", 0,
      "keep what is made on the way in this folder", 0 },
    { 0 }
};

/* ---- options ------------------------------------------------------------ */

static uint64_t
whole(struct argp_state *state, const char *name, const char *arg,
    double low, double high)
{
    double  v;

    if (!tool_number_parse(tool_str(arg), &v) || !(v >= low && v <= high)
        || v != floor(v))
    {
        argp_error(state, "--%s: '%s' is not a whole number from %.0f to "
                   "%.0f", name, arg, low, high);
    }

    return (uint64_t) v;
}

static void
set_part(simulate_t *s, struct argp_state *state, const char *arg)
{
    s->part_given = true;
    if (strcmp(arg, "all") == 0) {
        s->run.part = PARTS;
    } else if (!part_parse(tool_str(arg), &s->run.part)) {
        argp_error(state, "--part: there is no part '%s'; there are market, "
                   "development, test and all", arg);
    }
}

static void
check_options(simulate_t *s, struct argp_state *state)
{
    if (s->baskets == NULL || s->items == NULL) {
        argp_error(state, "--baskets and --items are needed");
    }

    if (s->mode == CALIBRATE) {
        if (s->out == NULL) {
            argp_error(state, "--calibrate needs --out");
        }
        if (s->model || s->market_path) {
            argp_error(state, "--calibrate makes a market: it takes neither "
                       "a model nor --market");
        }
        return;
    }

    if (s->market_path == NULL) {
        argp_error(state, "--market is needed");
    }

    if (s->mode == COMPARE && (s->compare.spec == NULL || s->model)) {
        argp_error(state, "--compare needs --spec, and no model");
    }

    if (s->mode == RUN && (s->model == NULL) == (s->url == NULL)) {
        argp_error(state, "either a MODEL or --http is needed");
    }

    if (s->url && (s->oracle || s->action || s->run.log)) {
        argp_error(state, "--http does not go with --oracle, --action or "
                   "--log: the server decides and logs");
    }

    if (s->oracle && s->action) {
        argp_error(state, "--oracle and --action exclude each other");
    }
}

static error_t
compare_option(int key, char *arg, struct argp_state *state)
{
    simulate_t  *s = state->input;

    switch (key) {
    case OPT_COMPARE:
        s->mode = COMPARE;
        return 0;
    case OPT_SPEC:
        s->compare.spec = arg;
        return 0;
    case OPT_SEEDS:
        s->compare.seeds = (uint32_t) whole(state, "seeds", arg, 1, 1000);
        return 0;
    case OPT_TRAIN_SESSIONS:
        s->compare.train_sessions = whole(state, "train-sessions", arg, 1,
                                          1e9);
        return 0;
    case OPT_ROUNDS:
        s->compare.rounds = (uint32_t) whole(state, "rounds", arg, 1, 100);
        return 0;
    case OPT_WORK:
        s->compare.work = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t
run_option(int key, char *arg, struct argp_state *state)
{
    simulate_t  *s = state->input;

    switch (key) {
    case OPT_PART:
        set_part(s, state, arg);
        return 0;
    case OPT_SESSIONS:
        s->run.sessions = whole(state, "sessions", arg, 1, 1e9);
        return 0;
    case OPT_SEED:
        s->run.seed = whole(state, "seed", arg, 0, 9007199254740991.0);
        return 0;
    case OPT_START:
        if (!tool_time_parse(tool_str(arg), &s->run.start_ms)) {
            argp_error(state, "--start: '%s' is not a time such as "
                       "2026-11-22T02:15:00Z", arg);
        }
        return 0;
    case OPT_LOG:
        s->run.log = arg;
        return 0;
    case OPT_JOBS:
        s->run.jobs = (uint32_t) whole(state, "jobs", arg, 1, MAX_JOBS);
        return 0;
    case OPT_ACTION:
        s->action = arg;
        return 0;
    case OPT_ORACLE:
        s->oracle = true;
        return 0;
    case OPT_GOING_ON:
        if (!tool_number_parse(tool_str(arg), &s->run.going_on)) {
            argp_error(state, "--going-on: '%s' is not a number", arg);
        }
        return 0;
    case OPT_HTTP:
        s->url = arg;
        return 0;
    case OPT_CONNECTIONS:
        s->connections = (uint32_t) whole(state, "connections", arg, 1,
                                          10000);
        return 0;
    default:
        return compare_option(key, arg, state);
    }
}

static error_t
on_option(int key, char *arg, struct argp_state *state)
{
    simulate_t  *s = state->input;

    switch (key) {
    case OPT_CALIBRATE:
        s->mode = CALIBRATE;
        return 0;
    case OPT_BASKETS:
        s->baskets = arg;
        return 0;
    case OPT_ITEMS:
        s->items = arg;
        return 0;
    case OPT_MARKET:
        s->market_path = arg;
        return 0;
    case OPT_UNCHECKED:
        s->unchecked = true;
        return 0;
    case OPT_OUT:
        s->out = arg;
        return 0;
    case OPT_NAME:
        s->name = arg;
        return 0;
    case OPT_ASSUMPTIONS:
        s->assumptions = arg;
        return 0;
    case OPT_JSON:
        s->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0) {
            argp_error(state, "one MODEL only");
        }
        s->model = arg;
        return 0;
    case ARGP_KEY_END:
        check_options(s, state);
        return 0;
    default:
        return run_option(key, arg, state);
    }
}

static const struct argp  argp = {
    options, on_option, "[MODEL]",
    "Simulates shoppers who meet a model's recommendations.\v"
    "What is assumed and what is estimated is in docs/SIMULATOR.md. The "
    "numbers compare policies under these assumptions and forecast nothing.",
    NULL, NULL, NULL
};

/* ---- calibrate ---------------------------------------------------------- */

static void
print_market(json_t *market)
{
    json_t      *e, *v, *c, *errors, *value;
    const char  *name;

    e = json_object_get(json_object_get(market, "response"), "estimate");
    v = json_object_get(e, "validation");
    c = json_object_get(json_object_get(market, "response"), "coefficients");
    errors = json_object_get(e, "standard_errors");

    printf("market %s, hash %s\n",
           json_string_value(json_object_get(market, "market")),
           json_string_value(json_object_get(market, "hash")));
    printf("%lld baskets, %lld rows, %lld of them wanted\n",
           (long long) json_integer_value(json_object_get(e, "baskets")),
           (long long) json_integer_value(json_object_get(e, "rows")),
           (long long) json_integer_value(json_object_get(e, "positives")));

    json_object_foreach(c, name, value) {
        printf("  %-12s %9.4f  standard error %.4f\n", name,
               json_number_value(value),
               json_number_value(json_object_get(errors, name)));
    }

    printf("held-out baskets: AUC %.4f, log-loss %.4f (%.4f by the share "
           "alone)\n", json_number_value(json_object_get(v, "auc")),
           json_number_value(json_object_get(v, "log_loss")),
           json_number_value(json_object_get(v, "log_loss_of_share")));
}

static bool
calibrate(simulate_t *s)
{
    json_t                *market;
    market_assumptions_t   a;

    market_assume(&a);

    if ((s->assumptions && !market_assume_from(&a, s->assumptions))
        || !tool_output_is_not(s->out, s->baskets)
        || !tool_output_is_not(s->out, s->items)
        || !market_calibrate(&s->shop, &a, s->name, s->out, &market))
    {
        return false;
    }

    if (s->json) {
        tool_print_json(market);
    } else {
        print_market(market);
        json_decref(market);
    }

    return true;
}

/* ---- sessions ----------------------------------------------------------- */

static bool
find_action(simulate_t *s)
{
    int           index;
    model_file_t  file;

    if (s->action == NULL) {
        return true;
    }

    if (!model_file_open(&file, s->run.model, NULL)) {
        return false;
    }

    index = reco_catalogue_find(&file.model->catalogue, tool_str(s->action));
    model_file_close(&file);

    if (index < 0) {
        tool_error("%s: the model has no action '%s'", s->run.model,
                   s->action);
        return false;
    }

    s->run.kind = AGENT_FIXED;
    s->run.action = (uint16_t) index;

    return true;
}

static void
print_totals(const simulate_t *s, const simulate_totals_t *totals)
{
    json_t             *out;
    uint32_t            i;
    simulate_totals_t   sum = { 0 };

    for (i = 0; i < s->shop.ncustomers; i++) {
        simulate_add(&sum, &totals[i]);
    }

    if (s->json) {
        out = simulate_json(&sum);
        json_object_set_new(out, "market", json_string(s->market.hash));
        tool_print_json(out);
    } else {
        simulate_print(&sum, stdout);
    }
}

static bool
run(simulate_t *s)
{
    bool                ok;
    published_t         at;
    simulate_totals_t  *totals;

    s->run.market = &s->market;
    totals = tool_alloc(s->shop.ncustomers * sizeof(*totals));
    memset(totals, 0, s->shop.ncustomers * sizeof(*totals));

    if (s->url) {
        ok = simulate_http(&s->run, s->url, s->connections, totals);
    } else {
        ok = published_find(s->model, &at);
        s->run.model = at.path;
        s->run.kind = s->oracle ? AGENT_ORACLE : AGENT_POLICY;
        ok = ok && find_action(s) && simulate_run(&s->run, totals);
    }

    if (ok) {
        print_totals(s, totals);
    }
    free(totals);

    return ok;
}

static bool
compare(simulate_t *s)
{
    compare_options_t  *c = &s->compare;

    c->market = &s->market;
    c->baskets = s->baskets;
    c->items = s->items;
    c->out = s->out;
    c->part = s->part_given ? s->run.part : PART_TEST;
    c->sessions = s->run.sessions;
    c->seed = s->run.seed;
    c->jobs = s->run.jobs;
    c->json = s->json;

    return compare_run(c);
}

static bool
with_market(simulate_t *s)
{
    if (!market_open(&s->market, &s->shop, s->market_path, s->unchecked)) {
        return false;
    }

    if (s->run.start_ms == 0) {
        s->run.start_ms = simulate_start(&s->shop);
    }

    return s->mode == COMPARE ? compare(s) : run(s);
}

int
cmd_simulate(int argc, char **argv)
{
    bool         ok;
    simulate_t  *s = tool_alloc(sizeof(*s));

    memset(s, 0, sizeof(*s));
    s->name = "market";
    s->connections = 16;
    s->run.part = PART_DEVELOPMENT;
    s->run.sessions = 10000;
    s->run.seed = 1;
    s->run.jobs = 1;
    s->compare.seeds = 10;
    s->compare.train_sessions = 20000;
    s->compare.rounds = 2;
    tool_parse(&argp, "simulate", argc, argv, s);

    ok = (s->mode == CALIBRATE
          || market_read(&s->market, s->market_path, s->unchecked))
         && shop_read(&s->shop, s->baskets, s->items)
         && (s->mode == CALIBRATE ? calibrate(s) : with_market(s));

    market_free(&s->market);
    shop_free(&s->shop);
    free(s);

    return ok ? 0 : 1;
}
