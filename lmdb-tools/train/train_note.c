/*
 * train_note.c - what the settled decisions of a ledger tell, whatever is
 * learned from them: rewards, conversions, actions shown, orders by country.
 */

#include "train.h"
#include "transitions.h"

#include <math.h>
#include <string.h>

/* What is above it is no order's revenue, and would be all of a sum. */
#define MAX_REVENUE  1e12

/* Clients send what they call a country; there are not so many. */
#define MAX_COUNTRIES   300

typedef struct {
    char            name[RECO_MAX_ID + 1];
    uint64_t        orders;
    double          revenue;
    UT_hash_handle  hh;
} country_t;

typedef struct {
    const train_t  *t;
    uint64_t        settled, shown, conversions;
    uint64_t       *actions;    /* by catalogue index */
    double          sum, squares;
    country_t      *countries;
} tally_t;

/* A fact's sum over a decision; NAN without one. */
static double
fact_sum(const ledger_decision_t *d, reco_str_t name)
{
    double                sum = NAN;
    const ledger_fact_t  *f;

    for (f = d->facts; f; f = f->next) {
        if (reco_str_equal(f->name, name)) {
            sum = isnan(sum) ? f->value : sum + f->value;
        }
    }

    return sum;
}

static bool
has_term(const reco_reward_t *reward, reco_str_t fact)
{
    uint32_t  i;

    for (i = 0; i < reward->nterms; i++) {
        if (reco_str_equal(reward->terms[i].fact, fact)) {
            return true;
        }
    }

    return false;
}

static void
add_country(tally_t *y, const ledger_decision_t *d, double revenue)
{
    country_t   *c;
    uint32_t     i;
    reco_str_t   word = { "", 0 };

    for (i = 0; i < d->nfeatures; i++) {
        if (reco_str_equal(d->features[i].name, RECO_STR("country"))
            && d->features[i].value.kind == RECO_VALUE_WORD)
        {
            word = d->features[i].value.word;
        }
    }

    if (word.len == 0 || word.len > RECO_MAX_ID) {
        return;
    }

    HASH_FIND(hh, y->countries, word.data, word.len, c);

    if (c == NULL) {
        c = tool_alloc(sizeof(*c));
        memset(c, 0, sizeof(*c));
        memcpy(c->name, word.data, word.len);
        HASH_ADD(hh, y->countries, name, word.len, c);
    }

    c->orders++;
    c->revenue += fabs(revenue) <= MAX_REVENUE ? revenue : 0;
}

static void
add_decision(tally_t *y, const ledger_decision_t *d)
{
    int       action;
    uint32_t  k;

    y->settled++;
    y->sum += d->reward;

    for (k = 0; k < d->nslate; k++) {
        action = reco_catalogue_find(&y->t->model->catalogue, d->slate[k]);
        if (action >= 0) {
            y->actions[action]++;
            y->shown++;
        }
    }

    if (fact_sum(d, RECO_STR("conversion")) > 0) {
        y->conversions++;
        add_country(y, d, fact_sum(d, RECO_STR("revenue")));
    }
}

/* One with a reward that nothing learns from counts nowhere. */
static bool
is_settled(const ledger_decision_t *d)
{
    return (d->outcome == LEDGER_REWARDED || d->outcome == LEDGER_EXPIRED)
           && fabs(d->reward) <= TRANSITIONS_MAX_REWARD;
}

static int
by_name(const country_t *a, const country_t *b)
{
    return strcmp(a->name, b->name);
}

static int
by_orders(const country_t *a, const country_t *b)
{
    return a->orders != b->orders ? (a->orders < b->orders ? 1 : -1)
                                  : by_name(a, b);
}

/* Those with fewest orders are one, "other". */
static void
fold_countries(tally_t *y)
{
    uint32_t    n = 0;
    country_t  *c, *next, *other = tool_alloc(sizeof(*other));

    memset(other, 0, sizeof(*other));
    strcpy(other->name, "other");
    HASH_SORT(y->countries, by_orders);

    for (c = y->countries; c; c = next) {
        next = c->hh.next;

        if (n++ >= MAX_COUNTRIES || strcmp(c->name, other->name) == 0) {
            other->orders += c->orders;
            other->revenue += c->revenue;
            HASH_DEL(y->countries, c);
            free(c);
        }
    }

    if (other->orders > 0) {
        HASH_ADD_STR(y->countries, name, other);
    } else {
        free(other);
    }
}

static json_t *
countries(tally_t *y)
{
    json_t     *o = json_object();
    country_t  *c, *next;

    fold_countries(y);
    HASH_SORT(y->countries, by_name);

    HASH_ITER(hh, y->countries, c, next) {
        json_object_set_new(o, c->name, json_pack("{s:I, s:f}",
            "orders", (json_int_t) c->orders, "revenue", c->revenue));
        HASH_DEL(y->countries, c);
        free(c);
    }

    return o;
}

static json_t *
actions(const tally_t *y)
{
    char                    *id;
    json_t                  *o = json_object();
    uint32_t                 i;
    const reco_catalogue_t  *c = &y->t->model->catalogue;

    for (i = 0; i < c->n; i++) {
        if (y->actions[i] > 0) {
            id = tool_dup(c->actions[i].id);
            json_object_set_new(o, id, json_real((double) y->actions[i]
                                                 / (double) y->shown));
            free(id);
        }
    }

    return o;
}

/* Of the population; the mean is taken first. */
static double
variance(const tally_t *y, double mean)
{
    size_t           i;
    double           d, sum = 0;
    const ledger_t  *l = y->t->ledger;

    for (i = 0; i < l->n; i++) {
        if (is_settled(l->decisions[i])) {
            d = l->decisions[i]->reward - mean;
            sum += d * d;
        }
    }

    return sum / (double) y->settled;
}

/* Which nodes decided, and how often: that of a simulated market tells it
 * from servers. */
static json_t *
nodes(const ledger_t *l)
{
    size_t       i;
    json_t      *o = json_object();
    const char  *node;

    for (i = 0; i < l->n; i++) {
        if (is_settled(l->decisions[i])) {
            node = l->decisions[i]->at.clock->source->node;
            json_object_set_new(o, node, json_integer(1
                + json_integer_value(json_object_get(o, node))));
        }
    }

    return o;
}

void
train_note(const train_t *t)
{
    size_t           i;
    double           mean, n;
    json_t          *facts = t->facts;
    tally_t          y = { .t = t };
    const ledger_t  *l = t->ledger;

    y.actions = tool_alloc(t->model->catalogue.n * sizeof(*y.actions) + 1);
    memset(y.actions, 0, t->model->catalogue.n * sizeof(*y.actions));

    for (i = 0; i < l->n; i++) {
        if (is_settled(l->decisions[i])) {
            add_decision(&y, l->decisions[i]);
        }
    }

    n = (double) y.settled;
    mean = y.settled ? y.sum / n : 0;
    json_object_set_new(facts, "nodes", nodes(l));
    json_object_set_new(facts, "average_reward",
                        y.settled ? json_real(mean) : json_null());
    json_object_set_new(facts, "reward_variance",
                        y.settled ? json_real(variance(&y, mean))
                                  : json_null());
    json_object_set_new(facts, "conversion_rate",
        y.settled && has_term(l->reward, RECO_STR("conversion"))
        ? json_real((double) y.conversions / n) : json_null());
    json_object_set_new(facts, "actions", actions(&y));
    json_object_set_new(facts, "countries", countries(&y));
    json_object_set_new(facts, "last_training_ms",
                        json_integer((json_int_t) l->as_of_ms));
    free(y.actions);
}
