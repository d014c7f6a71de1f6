/*
 * compare_hits.c - how often an arm recommends what customers really bought
 * next: no simulator, only the last baskets of the customers of the part, which
 * are in no list and no record.
 */

#include "compare_internal.h"

#include <string.h>

/* The visit at the moment when the first half of the basket is in the cart. */
static void
at_half(visit_t *v, const market_t *m, const market_shopper_t *s,
    uint32_t number)
{
    uint32_t            i, last = s->customer->n - 1;
    const shop_line_t  *line;

    memset(v, 0, sizeof(*v));
    v->m = m;
    v->shopper = s;
    v->number = number;
    v->step = 1;
    v->basket = &m->shop->baskets[s->customer->first + last];
    v->basket_number = last;
    v->started_ms = v->time_ms = v->basket->time_ms;
    v->taken = v->basket->n / 2;

    for (i = 0; i < v->taken && v->ncart < RECO_MAX_CART; i++) {
        line = &m->shop->lines[v->basket->first + i];
        v->cart[v->ncart++] = line->item;
        v->cart_total += line->price * line->quantity;
    }
}

static bool
is_hit(const agent_t *a, const visit_t *v)
{
    uint32_t  i, k;

    for (i = 0; i < a->slate.n; i++) {
        for (k = v->taken; k < v->basket->n; k++) {
            if (v->m->shop->lines[v->basket->first + k].item == a->items[i]) {
                return true;
            }
        }
    }

    return false;
}

/* Over the policy's own probabilities, so that no draw is needed. */
static bool
hit_rate(agent_t *a, const visit_t *v, double *rate)
{
    bool      known, low;
    uint32_t  i, n;
    double    p[RECO_MAX_ACTIONS];
    uint16_t  actions[RECO_MAX_ACTIONS];

    *rate = 0;
    if (!agent_ask(a, v)) {
        return false;
    }

    agent_narrow(a, v);
    n = reco_distribution(a->model, &a->features, &a->eligible, NULL, 1,
                          &a->scratch, &known, &low);

    for (i = 0; i < n; i++) {
        p[i] = (double) a->scratch.p[i] / (double) RECO_ONE;
        actions[i] = a->scratch.left[i];
    }

    for (i = 0; i < n; i++) {
        if (p[i] > 0 && agent_items(a, actions[i]) > 0 && is_hit(a, v)) {
            *rate += p[i];
        }
    }

    return true;
}

bool
compare_hits(compare_t *c, arm_t *arm)
{
    bool              ok;
    double            rate;
    agent_t          *a;
    visit_t           v;
    uint32_t          i;
    const shop_t     *shop = c->o->market->shop;
    market_shopper_t  s;

    if (arm->kind == AGENT_ORACLE) {
        return true;
    }

    a = tool_alloc(sizeof(*a));
    memset(a, 0, sizeof(*a));
    a->kind = arm->kind;
    a->fixed = arm->action;
    ok = agent_open(a, arm->model, c->o->market);

    for (i = 0; ok && i < shop->ncustomers; i++) {
        if ((c->o->part != PARTS && shop->customers[i].part != c->o->part)
            || shop->customers[i].n < 2)
        {
            continue;
        }

        market_shopper(c->o->market, &shop->customers[i], &s);
        at_half(&v, c->o->market, &s, i);

        if (v.basket->n >= 2) {
            ok = hit_rate(a, &v, &rate);
            arm->hits[i].n += rate;
            arm->hits[i].d += 1;
        }
        market_shopper_free(&s);
    }

    agent_close(a);
    free(a);

    return ok;
}
