/*
 * reco_policy.c - every policy as a distribution over the actions that are
 * left for a slot. Nothing here draws.
 */

#include "reco_policy.h"

#include <math.h>
#include <string.h>


/* ---- what is left ------------------------------------------------------- */

static const reco_weights_t *
current_weights(const reco_policy_t *policy, const reco_features_t *f)
{
    uint32_t  i;

    for (i = policy->ncases - 1; i > 0; i--) {
        if (reco_condition_holds(policy->cases[i].when, f)) {
            break;
        }
    }

    return &policy->cases[i];
}


/* By place: the place among all that are eligible, before any slot. */
static void
fix_weights(reco_slate_t *slate)
{
    uint32_t               i, place;
    reco_scratch_t        *s = slate->scratch;
    const reco_policy_t   *policy = &slate->model->policy;
    const reco_weights_t  *w;

    w = current_weights(policy, slate->features);

    for (i = 0; i < slate->n; i++) {
        place = policy->by_action ? s->left[i]
                                  : i < w->nweights ? i : w->nweights - 1;
        s->base[s->left[i]] = w->weights[place];
    }
}


void
reco_slate_begin(reco_slate_t *slate, const reco_model_t *model,
    const reco_features_t *f, const reco_mask_t *eligible,
    reco_scratch_t *scratch)
{
    uint32_t  w, words;
    uint64_t  bits;

    slate->model = model;
    slate->features = f;
    slate->scratch = scratch;
    slate->n = 0;
    slate->masked = false;
    slate->loaded = 0;
    slate->known = false;
    slate->level = 0;
    slate->mass = 0;
    slate->epsilon = NAN;

    words = (model->catalogue.n + 63) / 64;

    for (w = 0; w < words; w++) {
        slate->masked |= eligible->bits[w] != model->active.bits[w];

        for (bits = eligible->bits[w]; bits != 0; bits &= bits - 1) {
            scratch->left[slate->n++] =
                            (uint16_t) (w * 64 + __builtin_ctzll(bits));
        }
    }

    if (model->policy.type == RECO_POLICY_WEIGHTS) {
        fix_weights(slate);
    }
}


uint32_t
reco_slate_find(const reco_slate_t *slate, uint16_t action)
{
    uint32_t  i;

    for (i = 0; i < slate->n && slate->scratch->left[i] != action; i++) {
        /* void */
    }

    return i;
}


void
reco_slate_remove(reco_slate_t *slate, uint32_t i)
{
    uint16_t  *left = slate->scratch->left;

    slate->n--;
    memmove(left + i, left + i + 1, (slate->n - i) * sizeof(left[0]));
}


/* ---- tables ------------------------------------------------------------- */

/* An action that is not in the row has probability, or value, 0. */
static void
unpack(reco_slate_t *slate, const reco_row_t *row)
{
    double        *base = slate->scratch->base;
    uint32_t       i;
    reco_entry_t   e;

    for (i = 0; i < slate->n; i++) {
        base[slate->scratch->left[i]] = 0;
    }

    slate->mass = 0;

    for (i = 0; i < row->n; i++) {
        e = reco_row_entry(row, i);

        if (e.action < slate->model->catalogue.n) {
            base[e.action] = e.value;
            slate->mass += e.value > 0 ? e.value : 0;
        }
    }
}


static bool
is_table(const reco_model_t *model)
{
    return model->policy.type == RECO_POLICY_P_TABLE
           || model->policy.type == RECO_POLICY_Q_TABLE;
}


/* The row of the first level that has been visited often enough; else of the
 * last one that has a row. One level is one look-up. */
static bool
find_row(reco_slate_t *slate, uint32_t slot)
{
    bool                  found = false;
    size_t                len;
    uint32_t              level;
    reco_row_t            row;
    reco_scratch_t       *s = slate->scratch;
    const reco_model_t   *model = slate->model;
    const reco_policy_t  *policy = &model->policy;

    for (level = 0; level < policy->nlevels; level++) {
        len = reco_state_key(model, slate->features, level, slot, s->key,
                             sizeof(s->key));

        if (len == 0
            || !model->lookup(model->lookup_data,
                              (reco_str_t) { s->key, len }, &row))
        {
            continue;
        }

        found = true;
        slate->row = row;
        slate->level = level;

        if (row.visits >= policy->min_visits) {
            break;
        }
    }

    return found;
}


/* A straight line from epsilon_start at no visits to epsilon. The same on all
 * machines: no step of it is fused or comes from libm. */
double
reco_epsilon(const reco_policy_t *policy, uint64_t visits)
{
    double  part;

    if (policy->type != RECO_POLICY_Q_TABLE || policy->epsilon < 0) {
        return NAN;
    }

    if (visits >= policy->epsilon_visits) {
        return policy->epsilon;
    }

    part = (double) visits / (double) policy->epsilon_visits;

    return policy->epsilon_start
           + (policy->epsilon - policy->epsilon_start) * part;
}


void
reco_slate_load(reco_slate_t *slate, uint32_t slot)
{
    const reco_model_t  *model = slate->model;

    if (slate->loaded == slot
        || (slate->loaded != 0 && !model->policy.per_slot))
    {
        return;
    }

    slate->loaded = slot;
    slate->known = false;

    if (model->lookup == NULL || !is_table(model)) {
        return;
    }

    slate->known = find_row(slate, slot);

    if (slate->known) {
        slate->epsilon = reco_epsilon(&model->policy, slate->row.visits);
        unpack(slate, &slate->row);
    }
}


/* ---- distributions ------------------------------------------------------ */

static void
weigh_fixed(reco_slate_t *slate)
{
    uint32_t         i;
    reco_scratch_t  *s = slate->scratch;

    for (i = 0; i < slate->n; i++) {
        s->weights[i] = s->base[s->left[i]];
    }
}


/* The row's probabilities as they are for a first slot that all active
 * actions may take. Otherwise they are no longer the policy's own: a floor
 * keeps what the missing ones would have left for each from vanishing. */
static void
weigh_probabilities(reco_slate_t *slate, uint32_t slot, bool *low_mass)
{
    double           p, mass, floor;
    uint32_t         i;
    reco_scratch_t  *s = slate->scratch;

    floor = slot > 1 || slate->masked ? slate->model->policy.floor / slate->n
                                      : 0;
    mass = 0;

    for (i = 0; i < slate->n; i++) {
        p = s->base[s->left[i]];
        mass += p > 0 ? p : 0;
        s->weights[i] = p > floor ? p : floor;
    }

    if (mass < slate->mass / 2) {
        *low_mass = true;
    }
}


static double
best_value(const reco_slate_t *slate, uint32_t *ties)
{
    double                 best, q;
    uint32_t               i;
    const reco_scratch_t  *s = slate->scratch;

    best = s->base[s->left[0]];
    *ties = 1;

    for (i = 1; i < slate->n; i++) {
        q = s->base[s->left[i]];

        if (q > best) {
            best = q;
            *ties = 1;

        } else if (q == best) {
            (*ties)++;
        }
    }

    return best;
}


static void
weigh_values(reco_slate_t *slate)
{
    double                best, q, greedy, explore;
    uint32_t              i, ties;
    reco_scratch_t       *s = slate->scratch;
    const reco_policy_t  *policy = &slate->model->policy;

    best = best_value(slate, &ties);
    greedy = (1 - slate->epsilon) / ties;
    explore = slate->epsilon / slate->n;

    for (i = 0; i < slate->n; i++) {
        q = s->base[s->left[i]];

        s->weights[i] = policy->temperature > 0
                        ? reco_exp((q - best) / policy->temperature)
                        : q == best ? explore + greedy : explore;
    }
}


static void
distribute_first(reco_slate_t *slate)
{
    memset(slate->scratch->p, 0, slate->n * sizeof(slate->scratch->p[0]));
    slate->scratch->p[0] = RECO_ONE;
}


void
reco_slate_distribute(reco_slate_t *slate, uint32_t slot, bool *low_mass)
{
    reco_scratch_t      *s = slate->scratch;
    reco_policy_type_t   type = slate->model->policy.type;

    if (type == RECO_POLICY_FIRST) {
        distribute_first(slate);
        return;
    }

    reco_slate_load(slate, slot);

    if (type == RECO_POLICY_WEIGHTS) {
        weigh_fixed(slate);

    } else if (type == RECO_POLICY_P_TABLE && slate->known) {
        weigh_probabilities(slate, slot, low_mass);

    } else if (type == RECO_POLICY_Q_TABLE && slate->known) {
        weigh_values(slate);

    } else {
        reco_quantise_uniform(slate->n, s->p);
        return;
    }

    reco_quantise(s->weights, slate->n, s->p);
}
