/*
 * cmd_train.c - `reco train`: event logs and a spec (or the snapshot to
 * improve on) in, a snapshot with learned values out. Nothing appears at --out
 * before all of it is right.
 */

#include "train.h"

#include <string.h>

#define MAX_LOGS    256

typedef struct {
    const char          *name;
    reco_policy_type_t   policy;        /* whose table it fills */
    const char          *policy_name;
    bool               (*train)(train_t *t);
} algorithm_t;

static const algorithm_t  algorithms[] = {
    { "thompson", RECO_POLICY_P_TABLE, "p_table", train_thompson },
};

#define NALGORITHMS     (sizeof(algorithms) / sizeof(algorithms[0]))

typedef struct {
    const char         *logs[MAX_LOGS];
    uint32_t            nlogs;
    const char         *spec_path;
    const char         *base_path;
    const char         *models_path;
    const char         *out;
    const algorithm_t  *algorithm;
    uint64_t            as_of_ms;
    bool                live;
    bool                json;

    model_file_t        spec;           /* what is trained */
    model_file_t        base;           /* whose customers are kept */
    train_t             train;
} command_t;

/* ---- options ------------------------------------------------------------ */

enum { OPT_LOG = 256, OPT_SPEC, OPT_BASE, OPT_OUT, OPT_ALGORITHM, OPT_AS_OF,
       OPT_LIVE, OPT_PRIOR, OPT_HALF_LIFE, OPT_CREDIT, OPT_MODELS, OPT_JSON };

static const struct argp_option  options[] = {
    { "log", OPT_LOG, "DIR", 0,
      "a folder of event-log segments, or one segment (needed; may be given "
      "several times)", 0 },
    { "spec", OPT_SPEC, "SPEC", 0, "the model to train", 0 },
    { "base", OPT_BASE, "SNAPSHOT", 0,
      "take customers from this snapshot, and without --spec the model too",
      0 },
    { "out", OPT_OUT, "FILE", 0, "the snapshot to write (needed)", 0 },
    { "algorithm", OPT_ALGORITHM, "NAME", 0, "thompson (the default)", 0 },
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
    { "json", OPT_JSON, NULL, 0, "print the summary as JSON", 0 },
    { 0 }
};

static const algorithm_t *
find_algorithm(const char *name)
{
    size_t  i;

    for (i = 0; i < NALGORITHMS; i++) {
        if (strcmp(algorithms[i].name, name) == 0) {
            return &algorithms[i];
        }
    }

    return NULL;
}

static bool
parse_prior(train_t *t, const char *arg)
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
parse_credit(train_t *t, const char *arg)
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
    if (c->out == NULL) {
        argp_error(state, "--out is needed");
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
        c->algorithm = find_algorithm(arg);
        if (c->algorithm == NULL) {
            argp_error(state, "there is no algorithm '%s'", arg);
        }
        return 0;
    case OPT_AS_OF:
        if (!tool_time_parse(tool_str(arg), &c->as_of_ms)) {
            argp_error(state, "--as-of: '%s' is not a time such as "
                       "2026-11-22T02:15:00Z", arg);
        }
        return 0;
    case OPT_PRIOR:
        if (!parse_prior(&c->train, arg)) {
            argp_error(state, "--prior: '%s' is not auto or two positive "
                       "numbers such as 1,1", arg);
        }
        return 0;
    case OPT_HALF_LIFE:
        if (!reco_duration_parse(tool_str(arg), &ms) || ms == 0) {
            argp_error(state, "--half-life: '%s' is not a duration such as "
                       "30d", arg);
        }
        c->train.half_life_days = (double) ms / 86400000;
        return 0;
    case OPT_CREDIT:
        if (!parse_credit(&c->train, arg)) {
            argp_error(state, "--credit: '%s' is not auto, action or slate",
                       arg);
        }
        return 0;
    case ARGP_KEY_END:
        check_options(c, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
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

static bool
open_models(command_t *c)
{
    uint32_t             i;
    const reco_model_t  *m;

    if (!tool_output_is_not(c->out, c->spec_path)
        || !tool_output_is_not(c->out, c->base_path))
    {
        return false;
    }

    for (i = 0; i < c->nlogs; i++) {
        if (!tool_output_is_not(c->out, c->logs[i])) {
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

    if (c->models_path
        && !generations_open(&c->train.generations, c->models_path))
    {
        return false;
    }

    m = c->spec_path ? c->spec.model : c->base.model;

    if (m->policy.type != c->algorithm->policy) {
        tool_error("%s: $.policy.type: is '%s', and %s fills a '%s'",
                   c->spec_path ? c->spec_path : c->base_path,
                   reco_policy_name(&m->policy), c->algorithm->name,
                   c->algorithm->policy_name);
        return false;
    }

    c->train.model = m;

    return true;
}

static bool
read_logs(command_t *c)
{
    bool              ok;
    char             *name = tool_dup(c->train.model->name);
    uint32_t          i;
    ledger_options_t  options = { .model = name,
                                  .reward = &c->train.model->reward,
                                  .as_of_ms = c->as_of_ms, .live = c->live };

    c->train.ledger = ledger_new();

    for (ok = true, i = 0; ok && i < c->nlogs; i++) {
        ok = ledger_read(c->train.ledger, c->logs[i]);
    }

    ok = ok && ledger_close(c->train.ledger, &options);

    if (ok && c->train.ledger->n == 0) {
        tool_error("the log holds no decision of the model '%s' up to the time "
                   "it is read as of", name);
        ok = false;
    }

    free(name);

    return ok;
}

static bool
open_builder(command_t *c)
{
    const char                  *text, *hash_key = "";
    uint32_t                     nfields = 0;
    reco_error_t                 err;
    const reco_str_t            *fields = NULL;
    const reco_catalogue_t      *actions = &c->train.model->catalogue;
    const reco_snapshot_info_t  *info;

    text = c->spec_path ? c->spec.text : c->base.text;

    if (c->base.snapshot) {
        info = reco_snapshot_info(c->base.snapshot);
        hash_key = info->hash_key;
        fields = info->customer_fields;
        nfields = info->ncustomer_fields;
    }

    if (reco_builder_new(c->out, tool_str(text), actions->actions, actions->n,
                         fields, nfields, hash_key, &c->train.builder, &err)
        != RECO_OK)
    {
        tool_fail(c->out, &err);
        return false;
    }

    return true;
}

typedef struct {
    reco_builder_t  *builder;
    reco_value_t    *values;
    uint32_t         n;
    reco_error_t     err;
    reco_status_t    status;
} copy_t;

static bool
copy_customer(void *data, reco_str_t key, const reco_customer_t *record)
{
    copy_t    *copy = data;
    uint32_t   i;

    for (i = 0; i < copy->n; i++) {
        copy->values[i] = reco_customer_field(record, (int) i);
    }

    copy->status = reco_builder_customer(copy->builder, key, copy->values,
                                         &copy->err);

    return copy->status == RECO_OK;
}

static bool
copy_customers(command_t *c)
{
    copy_t         copy = { .builder = c->train.builder };
    reco_error_t   err;
    reco_status_t  status;

    if (c->base.snapshot == NULL) {
        return true;
    }

    copy.n = reco_snapshot_info(c->base.snapshot)->ncustomer_fields;
    copy.values = tool_alloc(copy.n * sizeof(*copy.values));
    copy.status = RECO_OK;

    status = reco_snapshot_each_customer(c->base.snapshot, copy_customer,
                                         &copy, &err);
    free(copy.values);

    if (status != RECO_OK || copy.status != RECO_OK) {
        if (copy.status == RECO_IO) {
            tool_error("%s", copy.err.message);     /* it names the file */
        } else {
            tool_fail(c->base_path, status != RECO_OK ? &err : &copy.err);
        }
        return false;
    }

    return true;
}

static bool
finish(command_t *c)
{
    bool          ok;
    char         *text;
    uint64_t      parent = 0;
    reco_error_t  err;

    json_object_set_new(c->train.facts, "log", ledger_json(c->train.ledger));
    text = json_dumps(c->train.facts, JSON_COMPACT);

    if (c->base.snapshot) {
        parent = reco_snapshot_info(c->base.snapshot)->generation;
    }

    ok = text && reco_builder_finish(c->train.builder, 0, parent,
                                     c->train.ledger->as_of_ms, text, &err)
                 == RECO_OK;
    free(text);

    if (!ok) {
        tool_fail(c->out, &err);
    }

    return ok;
}

/* ---- summary ------------------------------------------------------------ */

static void
print(command_t *c)
{
    json_t      *prior;
    const char  *unit;

    if (c->json) {
        json_object_set_new(c->train.facts, "out", json_string(c->out));
        tool_print_json(json_incref(c->train.facts));
        return;
    }

    ledger_print(c->train.ledger, stdout);
    prior = json_object_get(c->train.facts, "prior");
    unit = c->train.states == 1 ? "state" : "states";

    printf("%s: %llu %s, %.6g trials, %.6g successes\n", c->out,
           (unsigned long long) c->train.states, unit,
           json_number_value(json_object_get(c->train.facts, "trials")),
           json_number_value(json_object_get(c->train.facts, "successes")));
    printf("prior Beta(%.6g, %.6g), %s\n",
           json_number_value(json_object_get(prior, "alpha")),
           json_number_value(json_object_get(prior, "beta")),
           json_string_value(json_object_get(prior, "source")));
}

int
cmd_train(int argc, char **argv)
{
    bool        ok;
    command_t  *c = tool_alloc(sizeof(*c));

    memset(c, 0, sizeof(*c));
    c->algorithm = &algorithms[0];
    tool_parse(&argp, "train", argc, argv, c);
    c->train.facts = json_object();

    ok = open_models(c) && read_logs(c) && open_builder(c)
         && copy_customers(c) && c->algorithm->train(&c->train)
         && !c->train.generations.damaged && finish(c);
    if (ok) {
        print(c);
    }

    if (c->train.builder) {
        reco_builder_free(c->train.builder);
    }

    ledger_free(c->train.ledger);
    generations_close(&c->train.generations);
    model_file_close(&c->spec);
    model_file_close(&c->base);
    json_decref(c->train.facts);
    free(c);

    return ok ? 0 : 1;
}
