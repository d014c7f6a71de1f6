/*
 * cmd_train.c - `reco train`: event logs and a spec (or the snapshot to
 * improve on) in, a snapshot with learned values out. Nothing appears at --out
 * before all of it is right.
 */

#include "parallel.h"
#include "train_follow.h"

#include <errno.h>
#include <string.h>

#define MAX_LOGS    256

typedef struct {
    const char         *logs[MAX_LOGS];
    uint32_t            nlogs;
    const char         *spec_path;
    const char         *base_path;
    const char         *models_path;
    const char         *out;
    uint64_t            as_of_ms;
    bool                live;
    bool                json;
    bool                following;
    bool                follow_given;   /* an option of --follow */
    follow_options_t    follow;

    train_options_t     options;
    generations_t       generations;    /* of --models */
    model_file_t        spec;           /* what is trained */
    model_file_t        base;           /* whose customers are kept */
    ledger_t           *ledger;
} command_t;

/* ---- options ------------------------------------------------------------ */

enum { OPT_LOG = 256, OPT_SPEC, OPT_BASE, OPT_OUT, OPT_ALGORITHM, OPT_AS_OF,
       OPT_LIVE, OPT_PRIOR, OPT_HALF_LIFE, OPT_CREDIT, OPT_MODELS, OPT_JSON,
       OPT_LEARNING_RATE, OPT_DISCOUNT_FACTOR, OPT_EPSILON, OPT_PASSES,
       OPT_THREADS, OPT_HOLD_OUT, OPT_CHECKPOINT, OPT_FOLLOW, OPT_TO,
       OPT_EVERY, OPT_WINDOW, OPT_KEEP, OPT_CYCLES };

static const struct argp_option  options[] = {
    { "log", OPT_LOG, "DIR", 0,
      "a folder of event-log segments, or one segment (needed; may be given "
      "several times)", 0 },
    { "spec", OPT_SPEC, "SPEC", 0, "the model to train", 0 },
    { "base", OPT_BASE, "SNAPSHOT", 0,
      "take customers, items, lists and history from this snapshot, and "
      "without --spec the model too",
      0 },
    { "out", OPT_OUT, "FILE", 0,
      "the snapshot to write (needed, but with --follow)", 0 },
    { "algorithm", OPT_ALGORITHM, "NAME", 0,
      "fitted-q (the default for a q_table), q-learning, or thompson (for a "
      "p_table)", 0 },
    { "as-of", OPT_AS_OF, "TIME", 0,
      "what was known then; by default the end of the data, which it does "
      "not pass", 0 },
    { "live", OPT_LIVE, NULL, 0,
      "value decisions whose time is not over by what happened so far", 0 },
    { "prior", OPT_PRIOR, "auto|A,B", 0,
      "the arms' prior: fitted to the data (the default), or Beta(A, B)", 0 },
    { "half-life", OPT_HALF_LIFE, "DURATION", 0,
      "evidence that old (30d) counts half", 0 },
    { "credit", OPT_CREDIT, "auto|action|slate", 0,
      "whether a slate's reward is that of the action it names or of all it "
      "shows; by default what most rewards allow", 0 },
    { "models", OPT_MODELS, "DIR", 0,
      "the snapshots that made the decisions, for --credit=slate", 0 },
    { "learning-rate", OPT_LEARNING_RATE, "ALPHA", 0,
      "of q-learning (RL_LEARNING_RATE, the spec's)", 0 },
    { "discount-factor", OPT_DISCOUNT_FACTOR, "GAMMA", 0,
      "of a q_table (RL_DISCOUNT_FACTOR, the spec's)", 0 },
    { "epsilon", OPT_EPSILON, "SHARE", 0,
      "what the policy in the snapshot explores with at the end (RL_EPSILON, "
      "the spec's)", 0 },
    { "passes", OPT_PASSES, "N", 0,
      "over a q_table; by default until it has converged", 0 },
    { "threads", OPT_THREADS, "N", 0,
      "share the work (1); the result is the same", 0 },
    { "hold-out", OPT_HOLD_OUT, "SHARE", 0,
      "keep that share of the customers out, and report which level of the "
      "table would have answered them", 0 },
    { "checkpoint", OPT_CHECKPOINT, "FILE", 0,
      "go on from this file where it is there, and keep it up to date; "
      "removed at the end", 0 },
    { "json", OPT_JSON, NULL, 0, "print the summary as JSON", 0 },
    { "follow", OPT_FOLLOW, NULL, 0,
      "keep reading the log, and publish a generation when there is more", 1 },
    { "to", OPT_TO, "DIR", 0, "the folder to publish to, with --follow", 1 },
    { "every", OPT_EVERY, "DURATION", 0,
      "with --follow: at most one generation in that time (500ms)", 1 },
    { "window", OPT_WINDOW, "DURATION", 0,
      "with --follow: forget what is older; by default 10 half-lives, and "
      "nothing without --half-life", 1 },
    { "keep", OPT_KEEP, "N", 0,
      "with --follow: of the generations it published, leave the last N (10; "
      "0: all)", 1 },
    { "cycles", OPT_CYCLES, "N", 0,
      "with --follow: end after N generations", 1 },
    { 0 }
};

static bool
parse_prior(train_options_t *t, const char *arg)
{
    double       a, b;
    const char  *comma = strchr(arg, ',');

    if (strcmp(arg, "auto") == 0) {
        t->prior_given = false;
        return true;
    }

    if (comma == NULL
        || !tool_number_parse((reco_str_t) { arg, (size_t) (comma - arg) },
                              &a)
        || !tool_number_parse(tool_str(comma + 1), &b) || !(a > 0 && b > 0))
    {
        return false;
    }

    t->prior_given = true;
    t->prior = (beta_t) { a, b };

    return true;
}

static bool
parse_credit(train_options_t *t, const char *arg)
{
    if (strcmp(arg, "auto") == 0) {
        t->credit = TRAIN_CREDIT_AUTO;
    } else if (strcmp(arg, "action") == 0) {
        t->credit = TRAIN_CREDIT_ACTION;
    } else if (strcmp(arg, "slate") == 0) {
        t->credit = TRAIN_CREDIT_SLATE;
    } else {
        return false;
    }

    return true;
}

static void
check_options(const command_t *c, struct argp_state *state)
{
    if (c->nlogs == 0) {
        argp_error(state, "--log is needed");
    }
    if (c->spec_path == NULL && c->base_path == NULL) {
        argp_error(state, "--spec or --base is needed");
    }

    if (c->following) {
        if (c->follow.dir == NULL) {
            argp_error(state, "--follow needs --to");
        }
        if (c->out || c->as_of_ms || c->options.checkpoint) {
            argp_error(state, "--follow takes no --out, no --as-of and no "
                       "--checkpoint");
        }
        return;
    }

    if (c->follow_given) {
        argp_error(state, "--to, --every, --window, --keep and --cycles go "
                   "with --follow");
    }
    if (c->out == NULL) {
        argp_error(state, "--out is needed");
    }
}

static uint64_t
parse_count(const char *name, const char *arg, uint64_t least, uint64_t most,
    struct argp_state *state)
{
    char                *end;
    unsigned long long   n;

    errno = 0;
    n = strtoull(arg, &end, 10);

    if (errno || end == arg || *end != '\0' || arg[0] == '-' || n > most
        || (n != 0 && n < least))
    {
        argp_error(state, "--%s: '%s' is not 0 or a number from %llu to %llu",
                   name, arg, (unsigned long long) least,
                   (unsigned long long) most);
    }

    return n;
}

static uint64_t
parse_duration(const char *name, const char *arg, struct argp_state *state)
{
    uint64_t  ms;

    if (!reco_duration_parse(tool_str(arg), &ms) || ms == 0) {
        argp_error(state, "--%s: '%s' is not a duration such as 30d", name,
                   arg);
    }

    return ms;
}

static error_t
on_follow_option(int key, char *arg, struct argp_state *state)
{
    command_t  *c = state->input;

    c->follow_given = true;

    switch (key) {
    case OPT_TO:
        c->follow.dir = arg;
        return 0;
    case OPT_EVERY:
        c->follow.every_ms = parse_duration("every", arg, state);
        return 0;
    case OPT_WINDOW:
        c->follow.window_ms = parse_duration("window", arg, state);
        return 0;
    case OPT_KEEP:
        c->follow.keep = (uint32_t) parse_count("keep", arg, FOLLOW_KEEP_MIN,
                                                UINT32_MAX, state);
        return 0;
    case OPT_CYCLES:
        c->follow.generations = parse_count("cycles", arg, 1, UINT32_MAX,
                                            state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* From 0 to 1; 'below': not 1 itself. */
static double
parse_share(const char *name, const char *arg, bool below,
    struct argp_state *state)
{
    double  value = 0;

    if (!tool_number_parse(tool_str(arg), &value) || value < 0 || value > 1
        || (below && value == 1))
    {
        argp_error(state, "--%s: '%s' is not a number from 0 to %s1", name,
                   arg, below ? "below " : "");
    }

    return value;
}

static error_t
on_learning_option(int key, char *arg, struct argp_state *state)
{
    command_t        *c = state->input;
    train_options_t  *o = &c->options;

    switch (key) {
    case OPT_LEARNING_RATE:
        o->learning_rate = (train_number_t) {
            true, parse_share("learning-rate", arg, false, state),
            TRAIN_FROM_OPTION };
        return 0;
    case OPT_DISCOUNT_FACTOR:
        o->discount_factor = (train_number_t) {
            true, parse_share("discount-factor", arg, true, state),
            TRAIN_FROM_OPTION };
        return 0;
    case OPT_EPSILON:
        o->epsilon = (train_number_t) {
            true, parse_share("epsilon", arg, false, state),
            TRAIN_FROM_OPTION };
        return 0;
    case OPT_PASSES:
        o->passes = parse_count("passes", arg, 1, UINT32_MAX, state);
        return 0;
    case OPT_THREADS:
        o->threads = (uint32_t) parse_count("threads", arg, 1,
                                            PARALLEL_MAX_THREADS, state);
        return 0;
    case OPT_HOLD_OUT:
        o->hold_out = parse_share("hold-out", arg, true, state);
        return 0;
    case OPT_CHECKPOINT:
        o->checkpoint = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t
on_option(int key, char *arg, struct argp_state *state)
{
    uint64_t    ms;
    command_t  *c = state->input;

    switch (key) {
    case OPT_LOG:
        if (c->nlogs == MAX_LOGS) {
            argp_error(state, "more than %d times --log", MAX_LOGS);
        }
        c->logs[c->nlogs++] = arg;
        return 0;
    case OPT_SPEC:
        c->spec_path = arg;
        return 0;
    case OPT_BASE:
        c->base_path = arg;
        return 0;
    case OPT_OUT:
        c->out = arg;
        return 0;
    case OPT_MODELS:
        c->models_path = arg;
        return 0;
    case OPT_LIVE:
        c->live = true;
        return 0;
    case OPT_JSON:
        c->json = true;
        return 0;
    case OPT_ALGORITHM:
        if (!train_has_algorithm(arg)) {
            argp_error(state, "there is no algorithm '%s'", arg);
        }
        c->options.algorithm = arg;
        return 0;
    case OPT_AS_OF:
        if (!tool_time_parse(tool_str(arg), &c->as_of_ms)) {
            argp_error(state, "--as-of: '%s' is not a time such as "
                       "2026-11-22T02:15:00Z", arg);
        }
        return 0;
    case OPT_PRIOR:
        if (!parse_prior(&c->options, arg)) {
            argp_error(state, "--prior: '%s' is not auto or two positive "
                       "numbers such as 1,1", arg);
        }
        return 0;
    case OPT_HALF_LIFE:
        if (!reco_duration_parse(tool_str(arg), &ms) || ms == 0) {
            argp_error(state, "--half-life: '%s' is not a duration such as "
                       "30d", arg);
        }
        c->options.half_life_ms = ms;
        return 0;
    case OPT_CREDIT:
        if (!parse_credit(&c->options, arg)) {
            argp_error(state, "--credit: '%s' is not auto, action or slate",
                       arg);
        }
        return 0;
    case OPT_FOLLOW:
        c->following = true;
        return 0;
    case ARGP_KEY_END:
        check_options(c, state);
        return 0;
    default:
        if (key >= OPT_LEARNING_RATE && key <= OPT_CHECKPOINT) {
            return on_learning_option(key, arg, state);
        }
        return key >= OPT_TO && key <= OPT_CYCLES
               ? on_follow_option(key, arg, state) : ARGP_ERR_UNKNOWN;
    }
}

static const struct argp  argp = {
    options, on_option, NULL,
    "Learns a model's values from event logs and writes a snapshot.\v"
    "Give --spec for a model without customers, --base to improve on a "
    "snapshot, both to train another spec for its customers.", NULL, NULL,
    NULL
};

/* ---- steps -------------------------------------------------------------- */

static const model_file_t *
trained(const command_t *c)
{
    return c->spec_path ? &c->spec : &c->base;
}

static bool
checkpoint_is_apart(const command_t *c)
{
    const char  *path = c->options.checkpoint;

    return tool_output_is_not(path, c->spec_path)
           && tool_output_is_not(path, c->base_path)
           && tool_output_differs(c->out, path);
}

static bool
open_models(command_t *c)
{
    uint32_t  i;

    if (c->out && (!tool_output_is_not(c->out, c->spec_path)
                   || !tool_output_is_not(c->out, c->base_path)
                   || !checkpoint_is_apart(c)))
    {
        return false;
    }

    for (i = 0; i < c->nlogs; i++) {
        if (c->out && (!tool_output_is_not(c->out, c->logs[i])
                       || !tool_output_is_no_log(c->out, c->logs[i])
                       || !tool_output_is_no_log(c->options.checkpoint,
                                                 c->logs[i])))
        {
            return false;
        }
    }

    if (c->base_path) {
        if (!model_file_open(&c->base, c->base_path, NULL)) {
            return false;
        }
        if (c->base.snapshot == NULL) {
            tool_error("%s: is a spec, not a snapshot: give it as --spec",
                       c->base_path);
            return false;
        }
    }

    if (c->spec_path && !model_file_open(&c->spec, c->spec_path, NULL)) {
        return false;
    }

    if (c->models_path && !c->following
        && !generations_open(&c->generations, c->models_path))
    {
        return false;
    }

    c->options.generations = &c->generations;

    return train_accepts(&c->options, trained(c)->model,
                         c->spec_path ? c->spec_path : c->base_path);
}

static bool
read_logs(command_t *c)
{
    bool              ok;
    char             *name = tool_dup(trained(c)->model->name);
    uint32_t          i;
    ledger_options_t  options = { .model = name,
                                  .reward = &trained(c)->model->reward,
                                  .as_of_ms = c->as_of_ms, .live = c->live,
                                  .episode_gap_ms = trained(c)->model
                                      ->learning.episode_gap_ms };

    c->ledger = ledger_new();

    for (ok = true, i = 0; ok && i < c->nlogs; i++) {
        ok = ledger_read(c->ledger, c->logs[i]);
    }

    ok = ok && ledger_close(c->ledger, &options);

    if (ok && c->ledger->n == 0) {
        tool_error("the log holds no decision of the model '%s' up to the time "
                   "it is read as of", name);
        ok = false;
    }

    free(name);

    return ok;
}

static void
print(const command_t *c, json_t *facts)
{
    if (c->json) {
        json_object_set_new(facts, "out", json_string(c->out));
        tool_print_json(json_incref(facts));
        return;
    }

    ledger_print(c->ledger, stdout);
    train_print(facts, c->out, stdout);
}

static bool
train_once(command_t *c)
{
    bool     ok;
    json_t  *facts = NULL;

    ok = read_logs(c)
         && train_model(&c->options, c->ledger, trained(c), c->base.snapshot,
                        c->out, &facts);
    if (ok) {
        print(c, facts);
    }

    json_decref(facts);

    return ok;
}

static bool
follow(command_t *c)
{
    follow_options_t  *f = &c->follow;

    f->logs = c->logs;
    f->nlogs = c->nlogs;
    f->models_path = c->models_path;
    f->json = c->json;

    if (f->window_ms == 0) {
        f->window_ms = FOLLOW_HALF_LIVES * c->options.half_life_ms;
    }

    return train_follow(f, &c->options, trained(c), c->base.snapshot);
}

int
cmd_train(int argc, char **argv)
{
    bool        ok;
    command_t  *c = tool_alloc(sizeof(*c));

    memset(c, 0, sizeof(*c));
    c->follow.every_ms = 500;
    c->follow.keep = 10;
    train_options_init(&c->options);
    tool_parse(&argp, "train", argc, argv, c);

    ok = train_options_environment(&c->options) && open_models(c)
         && (c->following ? follow(c) : train_once(c));

    ledger_free(c->ledger);
    generations_close(&c->generations);
    model_file_close(&c->spec);
    model_file_close(&c->base);
    free(c);

    return ok ? 0 : 1;
}
