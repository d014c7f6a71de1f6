/*
 * cmd_eval.c - `reco eval`: what a policy would have earned, from the log of
 * another one. Says how sure that is, and warns where it is not.
 */

#include "estimators.h"
#include "ledger.h"
#include "models.h"

#include <math.h>
#include <string.h>

#define MAX_LOGS        256
#define MAX_WARNINGS    16
#define NEVER_LATE_MS   ((uint64_t) 1 << 50)

/* Below these an estimate comes with a warning. */
#define LOW_ESS         0.1         /* of n */
#define LOW_PROPENSITY  0.001
#define FEW_DECISIONS   1000
#define FEW_REWARDS     100
#define WEIGHT_SIGMAS   4           /* mean weight's distance from 1 */

typedef struct {
    const char          *logs[MAX_LOGS];
    uint32_t             nlogs;
    const char          *model_path;
    const char          *model_name;
    const char          *fact;
    uint64_t             horizon_ms;    /* 0: none */
    uint64_t             as_of_ms;
    bool                 by_model;      /* the policy is the model's */
    bool                 policy_given;
    bool                 json;

    model_file_t         file;
    ledger_t            *ledger;
    reco_term_t          term;          /* of a reward without a spec */
    reco_reward_t        reward;
    estimator_t         *estimator;
    uint64_t             incompatible;  /* the model cannot read them */
    reco_scratch_t       scratch;
    reco_features_t      features;

    /* support: does the log show what the target would? */
    ledger_word_t       *shown;         /* ids in slates */
    reco_mask_t          eligible;      /* all that ever was, by index */
    uint32_t             actions;       /* largest catalogue */
    double               mass[RECO_MAX_ACTIONS];    /* first slot's, summed */
    bool                 seen[RECO_MAX_ACTIONS];    /* by the model's index */

    char                 warnings[MAX_WARNINGS][256];
    uint32_t             nwarnings;
} eval_t;

/* ---- options ------------------------------------------------------------ */

enum { OPT_LOG = 256, OPT_SNAPSHOT, OPT_SPEC, OPT_POLICY, OPT_MODEL,
       OPT_REWARD, OPT_HORIZON, OPT_AS_OF, OPT_JSON };

static const struct argp_option  options[] = {
    { "log", OPT_LOG, "DIR", 0,
      "a folder of event-log segments, or one segment (needed; may be given "
      "several times)", 0 },
    { "policy", OPT_POLICY, "uniform|snapshot", 0,
      "the policy to value: all eligible actions alike, or that of the "
      "--snapshot or --spec (needed)", 0 },
    { "snapshot", OPT_SNAPSHOT, "FILE", 0, "the model to value", 0 },
    { "spec", OPT_SPEC, "FILE", 0,
      "a spec in its place; with --policy=uniform for its reward only", 0 },
    { "model", OPT_MODEL, "NAME", 0,
      "whose decisions, where the log holds those of several", 0 },
    { "reward", OPT_REWARD, "FACT", 0,
      "the reward is 1 where the sum of this fact is above 0; by default the "
      "model's reward function, or the only fact there is", 0 },
    { "horizon", OPT_HORIZON, "DURATION", 0,
      "with --reward: facts up to so long after a decision count, and "
      "younger decisions are left out", 0 },
    { "as-of", OPT_AS_OF, "TIME", 0,
      "what was known then; by default the end of the data, which it does "
      "not pass", 0 },
    { "json", OPT_JSON, NULL, 0, "print the result as JSON", 0 },
    { 0 }
};

static void
set_policy(eval_t *e, const char *arg, struct argp_state *state)
{
    if (strcmp(arg, "uniform") != 0 && strcmp(arg, "snapshot") != 0) {
        argp_error(state, "--policy: '%s' is not uniform or snapshot", arg);
    }

    e->by_model = (arg[0] == 's');
    e->policy_given = true;
}

static void
check_options(const eval_t *e, struct argp_state *state)
{
    if (e->nlogs == 0) {
        argp_error(state, "--log is needed");
    }
    if (!e->policy_given) {
        argp_error(state, "--policy is needed");
    }
    if (e->by_model && e->model_path == NULL) {
        argp_error(state, "--policy=snapshot needs --snapshot or --spec");
    }
    if (e->horizon_ms > 0 && e->model_path && e->fact == NULL) {
        argp_error(state, "--horizon is the model's; it goes with --reward");
    }
}

static error_t
on_option(int key, char *arg, struct argp_state *state)
{
    eval_t  *e = state->input;

    switch (key) {
    case OPT_LOG:
        if (e->nlogs == MAX_LOGS) {
            argp_error(state, "more than %d times --log", MAX_LOGS);
        }
        e->logs[e->nlogs++] = arg;
        return 0;
    case OPT_SNAPSHOT:
    case OPT_SPEC:
        if (e->model_path) {
            argp_error(state, "one --snapshot or --spec only");
        }
        e->model_path = arg;
        return 0;
    case OPT_POLICY:
        set_policy(e, arg, state);
        return 0;
    case OPT_MODEL:
        e->model_name = arg;
        return 0;
    case OPT_REWARD:
        e->fact = arg;
        return 0;
    case OPT_HORIZON:
        if (!reco_duration_parse(tool_str(arg), &e->horizon_ms)
            || e->horizon_ms == 0)
        {
            argp_error(state, "--horizon: '%s' is not a duration such as 30m",
                       arg);
        }
        return 0;
    case OPT_AS_OF:
        if (!tool_time_parse(tool_str(arg), &e->as_of_ms)) {
            argp_error(state, "--as-of: '%s' is not a time such as "
                       "2026-11-22T02:15:00Z", arg);
        }
        return 0;
    case OPT_JSON:
        e->json = true;
        return 0;
    case ARGP_KEY_END:
        check_options(e, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp  argp = {
    options, on_option, NULL,
    "Estimates a policy's mean reward from a log of decisions with their "
    "propensities.\v"
    "Prints IPS and SNIPS with standard errors and 95 % intervals, the "
    "effective sample size, and warnings where the estimate is not to be "
    "relied on.", NULL, NULL, NULL
};

/* ---- log and reward ----------------------------------------------------- */

/* The model's own, or one fact that is there or not. */
static const reco_reward_t *
choose_reward(eval_t *e)
{
    const char  *fact = e->fact;

    if (fact == NULL && e->file.model) {
        return &e->file.model->reward;
    }

    if (fact == NULL) {
        if (!ledger_has_decisions(e->ledger, e->model_name)) {
            return NULL;
        }
        fact = ledger_only_fact(e->ledger, e->model_name);
        if (fact == NULL) {
            return NULL;
        }
    }

    e->fact = fact;
    e->term.fact = tool_str(fact);
    e->term.kind = RECO_TERM_PRESENT;
    e->term.value = 1;
    e->term.window_ms = e->horizon_ms ? e->horizon_ms : NEVER_LATE_MS;
    e->reward.terms = &e->term;
    e->reward.nterms = 1;
    e->reward.horizon_ms = e->horizon_ms;

    return &e->reward;
}

static bool
read_logs(eval_t *e)
{
    bool              ok;
    char             *name = NULL;
    uint32_t          i;
    ledger_options_t  options = { .as_of_ms = e->as_of_ms };

    e->ledger = ledger_new();

    for (i = 0; i < e->nlogs; i++) {
        if (!ledger_read(e->ledger, e->logs[i])) {
            return false;
        }
    }

    if (e->model_name == NULL && e->file.model) {
        e->model_name = name = tool_dup(e->file.model->name);
    }
    if (e->file.model) {
        options.episode_gap_ms = e->file.model->learning.episode_gap_ms;
    }

    options.model = e->model_name;
    options.reward = choose_reward(e);

    /* Facts that are never late leave nothing to wait for. */
    options.live = options.reward == &e->reward && e->horizon_ms == 0;
    ok = options.reward && ledger_close(e->ledger, &options);
    e->model_name = e->ledger->model.data;
    free(name);

    return ok;
}

/* ---- propensities ------------------------------------------------------- */

static uint32_t
count(const reco_mask_t *m, uint32_t n)
{
    uint32_t  i, set = 0;

    for (i = 0; i < n; i++) {
        set += reco_mask_get(m, i);
    }

    return set;
}

static bool
uniform_target(const ledger_decision_t *d, const reco_mask_t *eligible,
    double *target)
{
    uint32_t  k, n = count(eligible, d->actions);

    if (n < d->nslate) {
        return false;
    }

    for (k = 0; k < d->nslate; k++) {
        target[k] = 1 / (double) (n - k);
    }

    return true;
}

/* What may be shown: what was eligible then, and is so by the model too. */
static bool
model_mask(eval_t *e, const ledger_decision_t *d, const reco_mask_t *logged,
    reco_mask_t *mask)
{
    const reco_model_t  *m = e->file.model;

    if (d->actions != m->catalogue.n
        || !logged_features(m, d->features, d->nfeatures, &e->features))
    {
        return false;
    }

    (void) reco_eligible(m, &e->features, true, logged, mask);

    return true;
}

static bool
model_target(eval_t *e, const ledger_decision_t *d, const reco_mask_t *logged,
    double *target)
{
    int                  action;
    uint16_t             taken[RECO_MAX_SLATE];
    uint32_t             i, k, n;
    reco_mask_t          mask;
    const reco_model_t  *m = e->file.model;

    if (!model_mask(e, d, logged, &mask)) {
        return false;
    }

    for (k = 0; k < d->nslate; k++) {
        action = reco_catalogue_find(&m->catalogue, d->slate[k]);
        if (action < 0) {
            return false;
        }
        taken[k] = (uint16_t) action;
    }

    for (k = 0; k < d->nslate; k++) {
        n = reco_distribution(m, &e->features, &mask, taken, k + 1,
                              &e->scratch, NULL, NULL);
        target[k] = 0;

        for (i = 0; i < n; i++) {
            if (k == 0) {
                e->mass[e->scratch.left[i]] += (double) e->scratch.p[i]
                                               / (double) RECO_ONE;
            }
            if (e->scratch.left[i] == taken[k]) {
                target[k] = (double) e->scratch.p[i] / (double) RECO_ONE;
            }
        }

        e->seen[taken[k]] = true;
    }

    return true;
}

/* ---- the sum over the log ----------------------------------------------- */

static void
note_support(eval_t *e, const ledger_decision_t *d,
    const reco_mask_t *eligible)
{
    uint32_t        i;
    ledger_word_t  *w;

    for (i = 0; i < RECO_MAX_ACTIONS / 64; i++) {
        e->eligible.bits[i] |= eligible->bits[i];
    }

    e->actions = d->actions > e->actions ? d->actions : e->actions;

    for (i = 0; i < d->nslate; i++) {
        HASH_FIND(hh, e->shown, d->slate[i].data, d->slate[i].len, w);
        if (w == NULL) {
            w = tool_alloc(sizeof(*w));
            HASH_ADD_KEYPTR(hh, e->shown, d->slate[i].data, d->slate[i].len,
                            w);
        }
    }
}

static void
add_decision(eval_t *e, const ledger_decision_t *d)
{
    bool         ok;
    double       logged[RECO_MAX_SLATE], target[RECO_MAX_SLATE];
    double       rewards[RECO_MAX_SLATE];
    uint32_t     k;
    reco_mask_t  eligible;

    memset(&eligible, 0, sizeof(eligible));

    ok = d->actions <= RECO_MAX_ACTIONS
         && reco_mask_read(d->eligible, d->actions, &eligible)
         && (e->by_model ? model_target(e, d, &eligible, target)
                         : uniform_target(d, &eligible, target));

    for (k = 0; k < d->nslate; k++) {
        logged[k] = (double) d->propensity[k] / (double) RECO_ONE;
        ok = ok && logged[k] > 0;
    }

    if (!ok) {
        e->incompatible++;
        return;
    }

    note_support(e, d, &eligible);
    ledger_slot_rewards(e->ledger, d, rewards);
    estimator_add(e->estimator, d->nslate, logged, target, rewards);
}

static void
nothing_to_use(const eval_t *e)
{
    char      reasons[128], missing[128];
    uint64_t  censored = e->ledger->n - e->incompatible;

    ledger_censored(e->ledger, reasons, sizeof(reasons));

    tool_error("no decision of '%s' can be used: of %llu, %llu are censored"
               "%s%s%s and %llu do not fit the model%s", e->model_name,
               (unsigned long long) e->ledger->n,
               (unsigned long long) censored, censored ? " (" : "", reasons,
               censored ? ")" : "", (unsigned long long) e->incompatible,
               ledger_missing(e->ledger, missing, sizeof(missing)));
}

static bool
add_decisions(eval_t *e, estimates_t *result)
{
    size_t                    i;
    tool_progress_t           progress;
    const ledger_decision_t  *d;

    e->estimator = estimator_new();
    tool_progress_begin(&progress, "weighing", e->ledger->n);

    for (i = 0; i < e->ledger->n; i++) {
        d = e->ledger->decisions[i];
        if (d->outcome == LEDGER_REWARDED || d->outcome == LEDGER_EXPIRED) {
            add_decision(e, d);
        }
        tool_progress_at(&progress, i);
    }

    tool_progress_end(&progress);
    estimator_result(e->estimator, result);

    if (result->n == 0) {
        nothing_to_use(e);
        return false;
    }

    return true;
}

/* ---- warnings ----------------------------------------------------------- */

static void warn(eval_t *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
warn(eval_t *e, const char *fmt, ...)
{
    va_list  args;

    if (e->nwarnings == MAX_WARNINGS) {
        return;
    }

    va_start(args, fmt);
    vsnprintf(e->warnings[e->nwarnings++], sizeof(e->warnings[0]), fmt, args);
    va_end(args);
}

/* The part of the target's probability that goes to actions which no slate of
 * the log shows: by the model's own distribution, or for the uniform policy by
 * how many of the eligible ones were never shown. */
static double
unsupported(const eval_t *e, uint64_t n)
{
    double    mass = 0;
    uint32_t  i, eligible, shown = HASH_COUNT(e->shown);

    if (e->by_model) {
        for (i = 0; i < e->file.model->catalogue.n; i++) {
            mass += e->seen[i] ? 0 : e->mass[i];
        }
        return mass / (double) n;
    }

    eligible = count(&e->eligible, e->actions);

    return eligible > shown ? (double) (eligible - shown) / eligible : 0;
}

/* A model looks better on what it learned from than it is. */
static void
warn_of_training(eval_t *e)
{
    const reco_snapshot_info_t  *info;

    if (!e->by_model || e->file.snapshot == NULL) {
        return;
    }

    info = reco_snapshot_info(e->file.snapshot);

    if (strcmp(info->training, "{}") != 0
        && e->ledger->decisions[0]->time_ms <= info->built_ms)
    {
        warn(e, "the snapshot was trained on data up to the time of this log: "
             "the estimate is too good where it is the same data");
    }
}

static void
warn_of_result(eval_t *e, const estimates_t *r)
{
    double  mass = unsupported(e, r->n);

    warn_of_training(e);

    if (r->ess < LOW_ESS * (double) r->n) {
        warn(e, "poor overlap: the effective sample size is %.0f of %llu "
             "decisions (%.1f %%)", r->ess, (unsigned long long) r->n,
             100 * r->ess / (double) r->n);
    }

    if (r->min_propensity < LOW_PROPENSITY) {
        warn(e, "a propensity is as low as %.3g: single decisions weigh up "
             "to %.0f", r->min_propensity, r->max_weight);
    }

    if (mass > 1e-9) {
        warn(e, "no support: %.2g %% of the policy's choices are of actions "
             "that the log never shows", 100 * mass);
    }

    if (fabs(r->mean_weight - 1) > WEIGHT_SIGMAS * r->mean_weight_se + 1e-6) {
        warn(e, "the mean weight is %.3f, not near 1: propensities are wrong "
             "or the log does not show what the policy would",
             r->mean_weight);
    }

    if (r->n < FEW_DECISIONS) {
        warn(e, "only %llu decisions", (unsigned long long) r->n);
    }

    if (r->rewarded < FEW_REWARDS) {
        warn(e, "only %llu decisions have a reward other than 0",
             (unsigned long long) r->rewarded);
    }

    if (e->incompatible > 0) {
        warn(e, "%llu decisions are left out: the model's features or actions "
             "are others", (unsigned long long) e->incompatible);
    }

    if (e->ledger->counts.gaps > 0) {
        warn(e, "%llu records are missing from the log",
             (unsigned long long) e->ledger->counts.lost);
    }
}

/* ---- output ------------------------------------------------------------- */

/* A number that is none is null. */
static json_t *
real(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static void
set_estimate(json_t *o, const char *name, const estimate_t *x)
{
    char     key[64];
    json_t  *interval = json_array();

    json_object_set_new(o, name, real(x->value));
    snprintf(key, sizeof(key), "%s_se", name);
    json_object_set_new(o, key, real(x->se));
    json_array_append_new(interval, real(x->low));
    json_array_append_new(interval, real(x->high));
    snprintf(key, sizeof(key), "%s_95", name);
    json_object_set_new(o, key, interval);
}

static void
print_json(const eval_t *e, const estimates_t *r)
{
    json_t    *o = json_object(), *warnings = json_array();
    uint32_t   i;

    json_object_set_new(o, "n", json_integer((json_int_t) r->n));
    set_estimate(o, "ips", &r->ips);
    set_estimate(o, "snips", &r->snips);
    json_object_set_new(o, "ess", real(r->ess));
    json_object_set_new(o, "min_propensity", real(r->min_propensity));
    json_object_set_new(o, "max_weight", real(r->max_weight));
    json_object_set_new(o, "mean_weight", real(r->mean_weight));
    set_estimate(o, "logged", &r->logged);
    json_object_set_new(o, "rewarded", json_integer((json_int_t)
                                                    r->rewarded));
    json_object_set_new(o, "policy", json_string(e->by_model ? "snapshot"
                                                             : "uniform"));
    json_object_set_new(o, "model", json_string(e->model_name));
    json_object_set_new(o, "reward", e->fact ? json_string(e->fact)
                                             : json_null());
    json_object_set_new(o, "log", ledger_json(e->ledger));

    for (i = 0; i < e->nwarnings; i++) {
        json_array_append_new(warnings, json_string(e->warnings[i]));
    }
    json_object_set_new(o, "warnings", warnings);

    tool_print_json(o);
}

static void
print_estimate(const char *name, const estimate_t *x)
{
    printf("  %-24s %12.8g  se %-10.4g 95 %% %.6g to %.6g\n", name, x->value,
           x->se, x->low, x->high);
}

static void
print_table(const eval_t *e, const estimates_t *r)
{
    uint32_t  i;

    ledger_print(e->ledger, stdout);
    printf("mean reward a decision, %llu decisions\n",
           (unsigned long long) r->n);
    print_estimate("as logged", &r->logged);
    print_estimate(e->by_model ? "snapshot, SNIPS" : "uniform, SNIPS",
                   &r->snips);
    print_estimate(e->by_model ? "snapshot, IPS" : "uniform, IPS", &r->ips);
    printf("  %-24s %12.2f  (%.1f %%)\n", "effective sample size", r->ess,
           100 * r->ess / (double) r->n);
    printf("  %-24s %12.6g\n", "least propensity", r->min_propensity);
    printf("  %-24s %12.6g\n", "mean weight", r->mean_weight);
    printf("  %-24s %12.6g\n", "largest weight", r->max_weight);
    fflush(stdout);

    for (i = 0; i < e->nwarnings; i++) {
        tool_warn("%s", e->warnings[i]);
    }
}

int
cmd_eval(int argc, char **argv)
{
    bool            ok;
    eval_t         *e = tool_alloc(sizeof(*e));
    estimates_t     result;
    ledger_word_t  *w, *next;

    memset(e, 0, sizeof(*e));
    tool_parse(&argp, "eval", argc, argv, e);

    ok = (e->model_path == NULL
          || model_file_open(&e->file, e->model_path, NULL))
         && read_logs(e) && add_decisions(e, &result);

    if (ok) {
        warn_of_result(e, &result);
        if (e->json) {
            print_json(e, &result);
        } else {
            print_table(e, &result);
        }
    }

    HASH_ITER(hh, e->shown, w, next) {
        HASH_DEL(e->shown, w);
        free(w);
    }

    estimator_free(e->estimator);
    ledger_free(e->ledger);
    model_file_close(&e->file);
    free(e);

    return ok ? 0 : 1;
}
