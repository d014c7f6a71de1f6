/*
 * reco_decide.c - a slate: pinned actions first, then draws without
 * replacement, each from the policy's distribution over what is left.
 */

#include "reco_policy.h"

#include <math.h>


/* ---- pins --------------------------------------------------------------- */

static bool
is_taken(const uint16_t *taken, uint32_t n, uint16_t action)
{
    uint32_t  i;

    for (i = 0; i < n; i++) {
        if (taken[i] == action) {
            return true;
        }
    }

    return false;
}


/* The eligible actions that rules put first, in the rules' order, each once;
 * at most 'max' of them. */
static uint32_t
collect_pins(const reco_model_t *model, const reco_features_t *f,
    const reco_mask_t *eligible, uint16_t *pins, uint32_t max)
{
    uint32_t            i, j, n;
    const reco_rule_t  *rule;

    n = 0;

    for (i = 0; i < model->nrules; i++) {
        rule = &model->rules[i];

        if (rule->kind != RECO_RULE_PIN
            || (rule->when != NULL && !reco_condition_holds(rule->when, f)))
        {
            continue;
        }

        for (j = 0; j < rule->nactions && n < max; j++) {
            if (reco_mask_get(eligible, rule->actions[j])
                && !is_taken(pins, n, rule->actions[j]))
            {
                pins[n++] = rule->actions[j];
            }
        }
    }

    return n;
}


/* ---- drawing ------------------------------------------------------------ */

static void
take(reco_slate_t *slate, uint32_t i, uint64_t propensity,
    reco_decision_t *out)
{
    out->action[out->n] = slate->scratch->left[i];
    out->propensity[out->n] = propensity;
    out->n++;

    reco_slate_remove(slate, i);
}


/* ---- what was known ----------------------------------------------------- */

/* Entries rise by action. */
static bool
find_entry(const reco_row_t *row, uint16_t action, reco_entry_t *out)
{
    uint32_t  low, high, mid;

    low = 0;
    high = row->n;

    while (low < high) {
        mid = low + (high - low) / 2;
        *out = reco_row_entry(row, mid);

        if (out->action == action) {
            return true;
        }

        if (out->action < action) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }

    return false;
}


/* The posterior is over all actions of the row; given that the best of the
 * eligible ones is asked for, it is shared by these alone. */
static double
confidence(const reco_row_t *row, const reco_mask_t *eligible, double chosen)
{
    double        sum;
    uint32_t      i;
    reco_entry_t  e;

    if (isnan(chosen)) {
        return NAN;
    }

    sum = 0;

    for (i = 0; i < row->n; i++) {
        e = reco_row_entry(row, i);

        if (e.confidence > 0 && e.action < RECO_MAX_ACTIONS
            && reco_mask_get(eligible, e.action))
        {
            sum += e.confidence;
        }
    }

    return sum > 0 ? chosen / sum : NAN;
}


/* 'first' has slot 1's row at hand. */
static void
describe_first(const reco_slate_t *first, const reco_mask_t *eligible,
    reco_decision_t *out)
{
    reco_entry_t  e;

    if (!first->known) {
        return;
    }

    if (!find_entry(&first->row, out->action[0], &e)) {
        out->value = 0;
        return;
    }

    out->value = e.value;
    out->confidence = confidence(&first->row, eligible, e.confidence);
}


static void
describe_state(const reco_slate_t *first, reco_decision_t *out)
{
    uint32_t             unseen;
    const reco_model_t  *model = first->model;

    out->state_known = first->known;
    out->level = (uint8_t) first->level;

    if (model->policy.nlevels != 0) {
        unseen = reco_state_unseen(model, first->features);
        out->unseen = unseen < UINT8_MAX ? (uint8_t) unseen : UINT8_MAX;
    }

    if (model->policy.type == RECO_POLICY_Q_TABLE) {
        out->epsilon = first->known ? first->epsilon : 1;
    }
}


static void
clear(reco_decision_t *out)
{
    out->n = 0;
    out->pinned = 0;
    out->state_known = false;
    out->level = 0;
    out->unseen = 0;
    out->epsilon = NAN;
    out->value = NAN;
    out->confidence = NAN;
    out->low_mass = false;
}


/* ---- the decision ------------------------------------------------------- */

reco_status_t
reco_decide(const reco_model_t *model, const reco_features_t *f,
    const reco_mask_t *eligible, uint32_t slate, reco_str_t id,
    reco_str_t customer_key, reco_scratch_t *scratch, reco_decision_t *out)
{
    uint32_t       i, slots;
    uint16_t       pins[RECO_MAX_SLATE];
    reco_str_t     key;
    reco_slate_t   s, first;

    reco_slate_begin(&s, model, f, eligible, scratch);

    clear(out);
    out->eligible = s.n;

    if (s.n == 0) {
        return RECO_NONE_ELIGIBLE;
    }

    slots = slate == 0 || slate > model->policy.slate ? model->policy.slate
                                                      : slate;
    if (slots > s.n) {
        slots = s.n;
    }

    key = model->policy.sticky && customer_key.len != 0 ? customer_key : id;

    reco_slate_load(&s, 1);
    first = s;
    describe_state(&first, out);

    out->pinned = collect_pins(model, f, eligible, pins, slots);

    while (out->n < out->pinned) {
        take(&s, reco_slate_find(&s, pins[out->n]), RECO_ONE, out);
    }

    while (out->n < slots) {
        reco_slate_distribute(&s, out->n + 1, &out->low_mass);

        i = reco_draw(scratch->p, s.n,
                      reco_uniform(model->salt, key.data, key.len,
                                   out->n + 1));

        take(&s, i, scratch->p[i], out);
    }

    describe_first(&first, eligible, out);

    return RECO_OK;
}


/* ---- one slot's distribution -------------------------------------------- */

/* All on the pinned action that comes next; false when none does. */
static bool
distribute_pin(reco_slate_t *s, const reco_mask_t *eligible,
    const uint16_t *taken, uint32_t ntaken)
{
    uint32_t  i, j, n;
    uint16_t  pins[RECO_MAX_SLATE];

    n = collect_pins(s->model, s->features, eligible, pins, RECO_MAX_SLATE);

    for (i = 0; i < n && is_taken(taken, ntaken, pins[i]); i++) {
        /* void */
    }

    if (i == n) {
        return false;
    }

    for (j = 0; j < s->n; j++) {
        s->scratch->p[j] = s->scratch->left[j] == pins[i] ? RECO_ONE : 0;
    }

    return true;
}


uint32_t
reco_distribution(const reco_model_t *model, const reco_features_t *f,
    const reco_mask_t *eligible, const uint16_t *taken, uint32_t slot,
    reco_scratch_t *scratch, bool *state_known, bool *low_mass)
{
    bool          low = false;
    uint32_t      i, at;
    reco_slate_t  s;

    reco_slate_begin(&s, model, f, eligible, scratch);

    for (i = 0; i + 1 < slot; i++) {
        at = reco_slate_find(&s, taken[i]);

        if (at < s.n) {
            reco_slate_remove(&s, at);
        }
    }

    if (s.n != 0) {
        reco_slate_load(&s, slot);

        if (!distribute_pin(&s, eligible, taken, slot - 1)) {
            reco_slate_distribute(&s, slot, &low);
        }
    }

    if (state_known != NULL) {
        *state_known = s.known;
    }

    if (low_mass != NULL) {
        *low_mass = low;
    }

    return s.n;
}
