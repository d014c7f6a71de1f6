/*
 * train_thompson.c - Thompson sampling as a table: each action of each state
 * is a Beta-Bernoulli arm with a prior that all of them share, and the row
 * holds the arms' probabilities of being best.
 *
 * Impressions come from the settled decisions of the ledger. A reward either
 * names its action, or belongs to the slate as a whole; then each shown
 * action gets the slate's outcome with the inverse of the probability that a
 * slate shows it (docs/ESTIMATORS.md).
 *
 * An open decision is the share of an impression that ledger_weight() gives:
 * its likelihood to that power, which leaves the posterior a Beta. The share
 * does not depend on the outcome, so that early clicks count no more than
 * clicks that did not come yet.
 */

#include "train.h"

#include "inclusion.h"
#include "statistics.h"

#include <math.h>
#include <string.h>

#define MS_PER_DAY  86400000

/* The actions that the model lets be shown in a state: active, and not denied
 * by its rules in all of the state's decisions. The others are no arms there:
 * never tried, they would hold most of the probability of being best. */
typedef struct {
    UT_hash_handle  hh;
    reco_mask_t     mask;
    char            state[];
} allowed_t;

typedef struct {
    train_t            *train;
    statistics_t       *statistics;
    inclusion_t        *inclusion;
    allowed_t          *allowed;        /* by state */
    reco_mask_t         eligible;       /* of the decision at hand */
    beta_t              prior;
    bool                by_slate;
    uint32_t            last_day;
    uint64_t            used;
    uint64_t            unreadable;     /* features of another kind */
    uint64_t            unattributed;   /* rewarded, but no action named */
    uint64_t            no_snapshot;    /* its generation is not there */
    uint64_t            unknown;        /* impressions of actions that the
                                           catalogue no longer has */
    reco_features_t     features;
    reco_features_t     then;           /* as the deciding model has them */
    char                key[RECO_MAX_STATE_KEY];
} thompson_t;

/* One row at a time. */
typedef struct {
    uint32_t       n;                   /* arms */
    uint16_t      *action;
    beta_t        *arms;
    double        *p;
    uint64_t      *visits;
    reco_entry_t  *entries;
} row_t;

/* ---- impressions -------------------------------------------------------- */

static bool
is_settled(const ledger_decision_t *d)
{
    return d->outcome == LEDGER_REWARDED || d->outcome == LEDGER_EXPIRED;
}

static bool
names_success(const thompson_t *t, const ledger_decision_t *d)
{
    uint32_t  k;

    for (k = 0; k < d->nslate; k++) {
        if (ledger_named_reward(t->train->ledger, d, k) > 0) {
            return true;
        }
    }

    return false;
}

/* By slate, when most of the rewarded slates do not say whose it was. */
static bool
choose_credit(const thompson_t *t)
{
    size_t                    i, named = 0, unnamed = 0;
    const ledger_t           *l = t->train->ledger;
    const ledger_decision_t  *d;

    if (t->train->options->credit != TRAIN_CREDIT_AUTO) {
        return t->train->options->credit == TRAIN_CREDIT_SLATE;
    }

    for (i = 0; i < l->n; i++) {
        d = l->decisions[i];

        if (is_settled(d) && d->nslate > 1 && d->reward > 0) {
            if (names_success(t, d)) {
                named++;
            } else {
                unnamed++;
            }
        }
    }

    return unnamed > named;
}

static void
allow(thompson_t *t, size_t len)
{
    size_t      i;
    allowed_t  *a;

    HASH_FIND(hh, t->allowed, t->key, len, a);

    if (a == NULL) {
        a = tool_alloc(sizeof(*a) + len);
        memset(&a->mask, 0, sizeof(a->mask));
        memcpy(a->state, t->key, len);
        HASH_ADD_KEYPTR(hh, t->allowed, a->state, len, a);
    }

    for (i = 0; i < RECO_MAX_ACTIONS / 64; i++) {
        a->mask.bits[i] |= t->eligible.bits[i];
    }
}

static void
add(thompson_t *t, const ledger_decision_t *d, reco_str_t action,
    uint32_t slot, bool success, double weight)
{
    int                  index;
    size_t               len;
    const reco_model_t  *m = t->train->model;

    index = reco_catalogue_find(&m->catalogue, action);
    if (index < 0) {
        t->unknown++;
        return;
    }

    len = reco_state_key(m, &t->features, 0, slot, t->key, sizeof(t->key));
    if (len == 0) {
        t->unreadable++;
        return;
    }

    allow(t, len);
    statistics_add(t->statistics, (reco_str_t) { t->key, len },
                   (uint16_t) slot, (uint16_t) index,
                   (uint32_t) (d->time_ms / MS_PER_DAY), success, weight,
                   d->weight);
}

static void
add_actions(thompson_t *t, const ledger_decision_t *d)
{
    bool      success;
    uint32_t  k;

    if (d->nslate > 1 && d->reward > 0 && !names_success(t, d)) {
        t->unattributed++;
        return;
    }

    t->used++;

    for (k = 0; k < d->nslate; k++) {
        success = d->nslate == 1
                  ? d->reward > 0
                  : ledger_named_reward(t->train->ledger, d, k) > 0;
        add(t, d, d->slate[k], k + 1, success, 1);
    }
}

/* The probabilities with which the snapshot that decided shows its actions. */
static reco_status_t
slate_inclusion(thompson_t *t, const ledger_decision_t *d,
    const reco_model_t **model, const double **pi, reco_error_t *err)
{
    reco_mask_t             eligible;
    const reco_snapshot_t  *snapshot;

    snapshot = generations_find(t->train->options->generations,
                                d->generation, d->model);
    if (snapshot == NULL) {
        return RECO_NOT_FOUND;
    }

    *model = reco_snapshot_model(snapshot);

    if (!logged_features(*model, d->features, d->nfeatures, &t->then)
        || !logged_eligible(*model, d->actions, d->eligible, &eligible))
    {
        return RECO_INVALID;
    }

    return inclusion_probabilities(t->inclusion, *model, d->generation,
                                   &t->then, &eligible, d->nslate, pi, err);
}

/* Nothing in a slate's reward tells its slots apart: a table by slot gets the
 * same evidence in each of them. */
static bool
add_slate(thompson_t *t, const ledger_decision_t *d)
{
    int                  index;
    uint32_t             k, slot, slots;
    const double        *pi;
    reco_error_t         err;
    reco_status_t        status;
    const reco_model_t  *then;

    status = slate_inclusion(t, d, &then, &pi, &err);

    if (status == RECO_NOT_FOUND) {
        t->no_snapshot++;
        return true;
    }

    if (status == RECO_INVALID) {
        t->unreadable++;
        return true;
    }

    if (status != RECO_OK) {
        tool_fail("train", &err);
        return false;
    }

    t->used++;
    slots = t->train->model->policy.per_slot ? t->train->model->policy.slate
                                             : 1;

    for (k = 0; k < d->nslate; k++) {
        index = reco_catalogue_find(&then->catalogue, d->slate[k]);

        if (index < 0 || !(pi[index] > 0)) {
            t->unknown++;
            continue;
        }

        for (slot = 1; slot <= slots; slot++) {
            add(t, d, d->slate[k], slot, d->reward > 0,
                1 / fmin(1, pi[index]));
        }
    }

    return true;
}

static bool
add_decisions(thompson_t *t)
{
    size_t                    i;
    const ledger_t           *l = t->train->ledger;
    tool_progress_t           progress;
    const ledger_decision_t  *d;

    tool_progress_begin(&progress, "counting", l->n);

    for (i = 0; i < l->n; i++) {
        d = l->decisions[i];
        tool_progress_at(&progress, i);

        if (!is_settled(d)) {
            continue;
        }

        if (!logged_features(t->train->model, d->features, d->nfeatures,
                             &t->features))
        {
            t->unreadable++;
            continue;
        }

        (void) reco_eligible(t->train->model, &t->features, false, NULL,
                             &t->eligible);

        if (!t->by_slate) {
            add_actions(t, d);

        } else if (!add_slate(t, d)) {
            tool_progress_end(&progress);
            return false;
        }
    }

    tool_progress_end(&progress);

    return true;
}

static void
warn(const thompson_t *t)
{
    if (t->unreadable > 0) {
        tool_warn("%llu decisions have features that the model cannot read",
                  (unsigned long long) t->unreadable);
    }

    if (t->unknown > 0) {
        tool_warn("%llu impressions are of actions that are not in the "
                  "catalogue", (unsigned long long) t->unknown);
    }

    if (t->unattributed > 0) {
        tool_warn("%llu rewarded slates name no action and are left out",
                  (unsigned long long) t->unattributed);
    }

    if (t->no_snapshot > 0) {
        tool_warn("%llu slates are left out: the snapshots that made them are "
                  "not in --models", (unsigned long long) t->no_snapshot);
    }
}

/* ---- prior -------------------------------------------------------------- */

static const char *
choose_prior(thompson_t *t, const statistics_cell_t *cells, size_t n)
{
    size_t         i;
    beta_fit_t     fit;
    beta_count_t  *counts;

    if (t->train->options->prior_given) {
        t->prior = t->train->options->prior;
        return "given";
    }

    counts = tool_alloc(n * sizeof(*counts));

    for (i = 0; i < n; i++) {
        counts[i] = (beta_count_t) { cells[i].trials, cells[i].successes };
    }

    fit = beta_prior_fit(counts, n, &t->prior);
    free(counts);

    if (fit == BETA_FIT_MLE) {
        return "fitted";
    }

    if (fit == BETA_FIT_CAPPED) {
        tool_warn("the actions differ no more than chance explains: the "
                  "prior weighs as much as %g impressions",
                  BETA_MAX_STRENGTH);
        return "capped";
    }

    tool_warn("too little happened to learn how actions differ: the prior is "
              "the mean, at the weight of %g impressions", BETA_WEAK_STRENGTH);

    return "weak";
}

/* ---- rows --------------------------------------------------------------- */

static void
row_init(row_t *row, uint32_t n)
{
    row->n = 0;
    row->action = tool_alloc(n * sizeof(*row->action));
    row->arms = tool_alloc(n * sizeof(*row->arms));
    row->p = tool_alloc(n * sizeof(*row->p));
    row->visits = tool_alloc(n * sizeof(*row->visits));
    row->entries = tool_alloc(n * sizeof(*row->entries));
}

static void
row_free(row_t *row)
{
    free(row->action);
    free(row->arms);
    free(row->p);
    free(row->visits);
    free(row->entries);
}

/* The arms of a state, from its n cells. One without a cell is the prior
 * alone. */
static void
row_fill(row_t *row, const reco_mask_t *allowed, uint32_t actions,
    const beta_t *prior, const statistics_cell_t *c, size_t n)
{
    uint32_t  i, arm;

    row->n = 0;

    for (i = 0; i < actions; i++) {
        while (n > 0 && c->action < i) {
            c++;
            n--;
        }

        if (!reco_mask_get(allowed, i)) {
            continue;
        }

        arm = row->n++;
        row->action[arm] = (uint16_t) i;
        row->arms[arm] = *prior;
        row->visits[arm] = 0;

        if (n > 0 && c->action == i) {
            row->arms[arm].a += c->successes;
            row->arms[arm].b += fmax(0, c->trials - c->successes);
            row->visits[arm] = (uint64_t) llround(c->trials);
        }
    }
}

static bool
row_write(thompson_t *t, row_t *row, reco_str_t state)
{
    double         total;
    uint32_t       i;
    uint64_t       visits = 0;
    reco_error_t   err;
    reco_status_t  status;

    status = beta_p_best(row->arms, row->n, row->p, &total, &err);

    for (i = 0; status == RECO_OK && i < row->n; i++) {
        row->entries[i] = (reco_entry_t) { row->action[i], row->p[i],
                                           row->visits[i], row->p[i] };
        visits += row->visits[i];
    }

    if (status == RECO_OK) {
        status = reco_builder_row(t->train->builder, state, visits,
                                  row->entries, row->n, &err);
    }

    if (status == RECO_IO) {
        tool_error("%s", err.message);          /* it names the file */
        return false;
    }

    if (status != RECO_OK) {
        tool_fail("train", &err);
        return false;
    }

    t->train->states++;

    return true;
}

static size_t
cells_of_state(const statistics_cell_t *c, size_t n)
{
    size_t  i;

    for (i = 1; i < n && c[i].state.data == c[0].state.data; i++) {
        /* void */
    }

    return i;
}

static bool
write_rows(thompson_t *t, const statistics_cell_t *cells, size_t n)
{
    bool             ok = true;
    row_t            row;
    size_t           i, k;
    uint32_t         actions = t->train->model->catalogue.n;
    allowed_t       *a;
    tool_progress_t  progress;

    row_init(&row, actions);
    tool_progress_begin(&progress, "P(best)", n);

    for (i = 0; ok && i < n; i += k) {
        k = cells_of_state(cells + i, n - i);
        HASH_FIND(hh, t->allowed, cells[i].state.data, cells[i].state.len, a);
        row_fill(&row, &a->mask, actions, &t->prior, cells + i, k);

        if (row.n > 0) {
            ok = row_write(t, &row, cells[i].state);
        }

        tool_progress_at(&progress, i);
    }

    tool_progress_end(&progress);
    row_free(&row);

    return ok;
}

/* ---- all of it ---------------------------------------------------------- */

static void
note(const thompson_t *t, const statistics_cell_t *cells, size_t n,
    const char *source)
{
    size_t     i;
    double     trials = 0, successes = 0;
    double     half_life = train_half_life_days(t->train->options);
    json_t    *facts = t->train->facts;

    for (i = 0; i < n; i++) {
        trials += cells[i].trials;
        successes += cells[i].successes;
    }

    json_object_set_new(facts, "credit",
                        json_string(t->by_slate ? "slate" : "action"));
    json_object_set_new(facts, "n", json_integer((json_int_t) t->used));
    json_object_set_new(facts, "states",
                        json_integer((json_int_t) t->train->states));
    json_object_set_new(facts, "trials", json_real(trials));
    json_object_set_new(facts, "successes", json_real(successes));
    json_object_set_new(facts, "prior", json_pack("{s:f, s:f, s:s}",
        "alpha", t->prior.a, "beta", t->prior.b,
        "source", source));
    json_object_set_new(facts, "left_out", json_pack("{s:I, s:I, s:I, s:I}",
        "unreadable", (json_int_t) t->unreadable,
        "unattributed", (json_int_t) t->unattributed,
        "no_snapshot", (json_int_t) t->no_snapshot,
        "unknown_action", (json_int_t) t->unknown));

    if (half_life > 0) {
        json_object_set_new(facts, "half_life_days", json_real(half_life));
    }
}

/* In its largest whole unit. */
static void
duration_text(uint64_t ms, char *text, size_t size)
{
    size_t  i;

    static const struct {
        uint64_t     ms;
        const char  *name;
    } units[] = {
        { 86400000, "d" }, { 3600000, "h" }, { 60000, "m" }, { 1000, "s" },
        { 1, "ms" }
    };

    for (i = 0; ms % units[i].ms != 0; i++) { /* void */ }

    snprintf(text, size, "%llu%s", (unsigned long long) (ms / units[i].ms),
             units[i].name);
}

static void
nothing_to_learn(const thompson_t *t)
{
    char                    text[32], missing[128];
    const train_t          *train = t->train;
    const ledger_counts_t  *c = &train->ledger->counts;

    duration_text(ledger_closing_ms(&train->model->reward), text,
                  sizeof(text));

    tool_error("there is no settled decision to learn from: of %llu, %llu are "
               "still open (horizon %s), %llu fallbacks, %llu before a gap, "
               "%llu left out%s%s", (unsigned long long) c->decisions,
               (unsigned long long) c->outcome[LEDGER_OPEN], text,
               (unsigned long long) c->outcome[LEDGER_FALLBACK],
               (unsigned long long) c->outcome[LEDGER_GAP],
               (unsigned long long) (t->unreadable + t->unattributed
                                     + t->no_snapshot),
               c->outcome[LEDGER_OPEN] > 0 ? ": wait, or use --live" : "",
               ledger_missing(train->ledger, missing, sizeof(missing)));
}

static bool
learn(thompson_t *t)
{
    bool                ok;
    size_t              n;
    const char         *source;
    statistics_cell_t  *cells;
    generations_t      *generations = t->train->options->generations;

    t->by_slate = choose_credit(t);

    if (t->by_slate && (generations == NULL || generations->n == 0)) {
        tool_error("rewards of slates name no action, so that each action is "
                   "valued by the slates that show it: give the folder of the "
                   "snapshots that made them with --models");
        return false;
    }

    if (!add_decisions(t)) {
        return false;
    }

    warn(t);

    n = statistics_fold(t->statistics, t->last_day,
                        train_half_life_days(t->train->options), &cells);
    if (n == 0) {
        nothing_to_learn(t);
        free(cells);
        return false;
    }

    source = choose_prior(t, cells, n);
    ok = write_rows(t, cells, n);

    if (ok && t->train->states == 0) {
        tool_error("the model lets no action be shown");
        ok = false;
    }

    if (ok) {
        note(t, cells, n, source);
    }

    free(cells);

    return ok;
}

bool
train_thompson(train_t *train)
{
    bool         ok;
    allowed_t   *a, *next;
    thompson_t  *t = tool_alloc(sizeof(*t));

    memset(t, 0, sizeof(*t));
    t->train = train;
    t->statistics = statistics_new();
    t->inclusion = inclusion_new();
    t->last_day = (uint32_t) (train->ledger->as_of_ms / MS_PER_DAY);

    ok = learn(t);

    HASH_ITER(hh, t->allowed, a, next) {
        HASH_DEL(t->allowed, a);
        free(a);
    }

    statistics_free(t->statistics);
    inclusion_free(t->inclusion);
    free(t);

    return ok;
}
