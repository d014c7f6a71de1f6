/*
 * estimators.c - IPS and SNIPS with standard errors, slot by slot.
 *
 * A slot's weight is the product of the ratios target / logged up to it: what
 * later slots show cannot change what a reader of this one did. SNIPS
 * normalises each slot by its own weights. All terms are kept (16 bytes a
 * slot), because its standard error needs the estimate first.
 */

#include "estimators.h"
#include "tool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define Z95     1.959963984540054       /* normal quantile at 0.975 */

typedef struct {
    double  weight;             /* product of the ratios up to this slot */
    double  reward;
} term_t;

struct estimator_s {
    term_t    *terms;           /* of all decisions, one after the other */
    size_t     nterms, room;
    uint8_t   *slots;           /* of each decision */
    size_t     n, slots_room;
    double     min_propensity;
};

/* Sums of one slot over the decisions that have it. */
typedef struct {
    double  weight, product, n;
} slot_sums_t;

typedef struct {
    double  sum, squares;
} moments_t;

estimator_t *
estimator_new(void)
{
    estimator_t  *e = tool_alloc(sizeof(*e));

    memset(e, 0, sizeof(*e));
    e->min_propensity = 1;

    return e;
}

void
estimator_free(estimator_t *e)
{
    if (e) {
        free(e->terms);
        free(e->slots);
        free(e);
    }
}

void
estimator_add(estimator_t *e, uint32_t n, const double *logged,
    const double *target, const double *rewards)
{
    double    weight = 1;
    uint32_t  k;

    if (e->nterms + n > e->room) {
        e->room = 2 * (e->room + n);
        e->terms = tool_realloc(e->terms, e->room * sizeof(*e->terms));
    }

    if (e->n == e->slots_room) {
        e->slots_room = 2 * e->slots_room + 64;
        e->slots = tool_realloc(e->slots, e->slots_room);
    }

    for (k = 0; k < n; k++) {
        weight *= target[k] / logged[k];
        e->terms[e->nterms++] = (term_t) { weight, rewards[k] };
        e->min_propensity = fmin(e->min_propensity, logged[k]);
    }

    e->slots[e->n++] = (uint8_t) n;
}

static void
add_moment(moments_t *m, double x)
{
    m->sum += x;
    m->squares += x * x;
}

static estimate_t
interval(double value, double se)
{
    return (estimate_t) { value, se, value - Z95 * se, value + Z95 * se };
}

/* The mean, and its standard error by the sample's variance. */
static estimate_t
mean_of(const moments_t *m, size_t n)
{
    double  mean = m->sum / (double) n, variance;

    variance = fmax(0, m->squares - m->sum * mean) / (double) (n - 1);

    return interval(mean, n > 1 ? sqrt(variance / (double) n) : NAN);
}

/* Delta method: the deviation of each decision from the ratio estimate, scaled
 * by the slot's mean weight, summed over its slots. */
static estimate_t
self_normalised(const estimator_t *e, const slot_sums_t *slots)
{
    double         value = 0, ratio[RECO_MAX_SLATE] = { 0 }, z, squares = 0;
    size_t         i;
    uint32_t       k;
    const term_t  *t = e->terms;

    for (k = 0; k < RECO_MAX_SLATE && slots[k].n > 0; k++) {
        if (!(slots[k].weight > 0)) {
            return interval(NAN, NAN);
        }
        ratio[k] = slots[k].product / slots[k].weight;
        value += ratio[k] * slots[k].n / (double) e->n;
    }

    for (i = 0; i < e->n; i++) {
        z = 0;
        for (k = 0; k < e->slots[i]; k++, t++) {
            z += slots[k].n / slots[k].weight * t->weight
                 * (t->reward - ratio[k]);
        }
        squares += z * z;
    }

    return interval(value, e->n > 1 ? sqrt(squares) / (double) e->n : NAN);
}

void
estimator_result(const estimator_t *e, estimates_t *out)
{
    double         reward, product;
    size_t         i;
    uint32_t       k;
    moments_t      logged = { 0, 0 }, ips = { 0, 0 }, weight = { 0, 0 };
    estimate_t     mean;
    slot_sums_t    slots[RECO_MAX_SLATE];
    const term_t  *t = e->terms;

    memset(out, 0, sizeof(*out));
    memset(slots, 0, sizeof(slots));

    for (i = 0; i < e->n; i++) {
        reward = product = 0;

        for (k = 0; k < e->slots[i]; k++, t++) {
            reward += t->reward;
            product += t->weight * t->reward;
            slots[k].n++;
            slots[k].weight += t->weight;
            slots[k].product += t->weight * t->reward;
        }

        add_moment(&logged, reward);
        add_moment(&ips, product);
        add_moment(&weight, t[-1].weight);
        out->max_weight = fmax(out->max_weight, t[-1].weight);
        out->rewarded += (reward != 0);
    }

    out->n = e->n;
    out->min_propensity = e->min_propensity;
    out->logged = mean_of(&logged, e->n);
    out->ips = mean_of(&ips, e->n);
    out->snips = self_normalised(e, slots);
    mean = mean_of(&weight, e->n);
    out->mean_weight = mean.value;
    out->mean_weight_se = mean.se;
    out->ess = weight.squares > 0 ? weight.sum * weight.sum / weight.squares
                                  : 0;
}
