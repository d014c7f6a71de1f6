/*
 * train_q_facts.c - what a training of a table of values tells of itself, for
 * the snapshot's "training" and for people.
 */

#include "train_q.h"

#include <math.h>
#include <string.h>

#define EPISODES_SHOWN  100

static void
set(json_t *facts, const char *name, json_t *value)
{
    json_object_set_new(facts, name, value);
}

static json_t *
integer(uint64_t n)
{
    return json_integer((json_int_t) n);
}

/* ---- options ------------------------------------------------------------ */

static json_t *
origin(const train_number_t *n)
{
    static const char *const names[] = { "spec", "environment", "option" };

    return json_string(names[n->given ? n->origin : TRAIN_FROM_SPEC]);
}

static void
note_options(const train_q_t *q)
{
    json_t                 *facts = q->train->facts;
    const reco_policy_t    *policy = &q->train->model->policy;
    const train_options_t  *o = q->train->options;

    set(facts, "learning_rate", json_real(q->table->alpha));
    set(facts, "discount_factor", json_real(q->table->gamma));
    set(facts, "shrinkage", json_real(q->table->shrinkage));
    set(facts, "epsilon",
        policy->epsilon < 0 ? json_null()
        : json_real(o->epsilon.given ? o->epsilon.value : policy->epsilon));
    set(facts, "origins", json_pack("{s:o, s:o, s:o}",
        "learning_rate", origin(&o->learning_rate),
        "discount_factor", origin(&o->discount_factor),
        "epsilon", origin(&o->epsilon)));

    if (o->half_life_ms > 0) {
        set(facts, "half_life_days", json_real(train_half_life_days(o)));
    }
}

/* ---- episodes ----------------------------------------------------------- */

/* The sums of the last episodes' rewards, in the order in which they began. */
static json_t *
reward_by_episode(const transitions_t *t)
{
    bool      *used = tool_alloc(t->nsteps + 1);
    json_t    *list = json_array();
    int64_t   *sum = tool_alloc((t->nsteps + 1) * sizeof(*sum));
    uint32_t   i, skip;

    memset(used, 0, t->nsteps + 1);
    memset(sum, 0, (t->nsteps + 1) * sizeof(*sum));

    for (i = 0; i < t->nsteps; i++) {
        if (t->steps[i].left_out == LEFT_OUT_NOTHING) {
            used[t->steps[i].episode] = true;
            sum[t->steps[i].episode] += t->steps[i].reward;
        }
    }

    skip = t->nepisodes > EPISODES_SHOWN ? t->nepisodes - EPISODES_SHOWN : 0;

    for (i = 0; i < t->nsteps; i++) {
        if (used[i] && skip-- == 0) {
            skip = 0;
            json_array_append_new(list, json_real((double) sum[i]
                                                  / TRANSITIONS_MICRO));
        }
    }

    free(used);
    free(sum);

    return list;
}

static json_t *
left_out(const transitions_t *t)
{
    json_t    *o = json_object();
    uint32_t   i;

    for (i = 1; i < LEFT_OUT_N; i++) {
        if (t->left_out[i] > 0) {
            set(o, left_out_name(i), integer(t->left_out[i]));
        }
    }

    return o;
}

/* ---- table and convergence ---------------------------------------------- */

static json_t *
table(const train_q_t *q)
{
    json_t    *levels = json_array();
    uint32_t   l;

    for (l = 0; l < q->table->nlevels; l++) {
        json_array_append_new(levels, integer(q->rows[l]));
    }

    return json_pack("{s:o, s:o, s:o, s:f, s:f, s:f, s:o, s:o}",
                     "states", integer(q->train->states),
                     "entries", integer(q->entries),
                     "visits", integer(q->all_visits),
                     "mean", q->sum / (double) q->entries,
                     "min", q->min, "max", q->max,
                     "dropped", integer(q->transitions->dropped),
                     "levels", levels);
}

static void
append_pass(json_t *list, const train_pass_t *p)
{
    json_array_append_new(list, json_pack("{s:o, s:f, s:f, s:f}",
        "pass", integer(p->pass), "mean_change", p->mean_change,
        "max_change", p->max_change, "policy_agreement", p->agreement));
}

static json_t *
convergence(const train_q_t *q)
{
    json_t    *list = json_array();
    uint32_t   i;

    for (i = 0; i < q->ncourse; i++) {
        append_pass(list, &q->course[i]);
    }

    if (q->passes > 0 && (i == 0 || q->course[i - 1].pass != q->passes)) {
        append_pass(list, &q->last);
    }

    return list;
}

/* ---- held-out decisions ------------------------------------------------- */

/* The level that would answer a decision; nlevels: none would. */
static uint32_t
answering_level(const train_q_t *q, const reco_features_t *f)
{
    char                  key[RECO_MAX_STATE_KEY];
    size_t                len;
    uint32_t              l, s, last = q->table->nlevels;
    const transitions_t  *t = q->transitions;

    for (l = 0; l < q->table->nlevels; l++) {
        len = reco_state_key(t->model, f, l, 1, key, sizeof(key));
        s = len ? transitions_find(&t->levels[l], (reco_str_t) { key, len })
                : TRANSITIONS_NONE;

        if (s == TRANSITIONS_NONE || q->visits[l][s] == TRAIN_NO_ROW) {
            continue;
        }

        if (q->visits[l][s] >= t->model->policy.min_visits) {
            return l;
        }

        last = l;
    }

    return last;
}

static json_t *
backoff(const train_q_t *q)
{
    json_t                   *levels = json_array();
    uint32_t                  i, l, n = 0;
    uint64_t                  answered[RECO_MAX_LEVELS + 1] = { 0 };
    reco_features_t           f;
    const transitions_t      *t = q->transitions;
    const ledger_decision_t  *d;

    for (i = 0; i < t->nheld_out; i++) {
        d = t->held_out[i];

        if (logged_features(t->model, d->features, d->nfeatures, &f)) {
            answered[answering_level(q, &f)]++;
            n++;
        }
    }

    for (l = 0; l < t->nlevels; l++) {
        json_array_append_new(levels, n ? json_real((double) answered[l] / n)
                                        : json_null());
    }

    return json_pack("{s:o, s:o, s:o}", "held_out", integer(n),
                     "levels", levels, "unknown",
                     n ? json_real((double) answered[t->nlevels] / n)
                       : json_null());
}

void
train_q_facts(train_q_t *q)
{
    json_t               *facts = q->train->facts;
    const transitions_t  *t = q->transitions;

    note_options(q);
    set(facts, "passes", integer(q->passes));
    set(facts, "converged", json_boolean(q->converged));
    set(facts, "episodes", integer(t->nepisodes));
    set(facts, "transitions", integer(t->nused));
    set(facts, "left_out", left_out(t));
    set(facts, "reward_by_episode", reward_by_episode(t));
    set(facts, "confidence", q->weight > 0
                             ? json_real(q->confidence / q->weight)
                             : json_null());
    set(facts, "states", integer(q->train->states));
    set(facts, "table", table(q));
    set(facts, "convergence", convergence(q));

    if (q->train->options->hold_out > 0) {
        set(facts, "backoff", backoff(q));
    }
}
