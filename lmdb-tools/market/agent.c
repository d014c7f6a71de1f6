/*
 * agent.c - from a step of a visit to the core's request, and its decision
 * and items back to the shop's.
 */

#include "agent.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of the model's features, those that a visit knows. */
static const char *const  numbers[AGENT_NUMBERS] = {
    "cart_total", "item_count", "time_in_session"
};
static const char *const  words[AGENT_WORDS] = {
    "device_type", "price_band"
};

/* ---- reward ------------------------------------------------------------- */

static double
fact_sum(const visit_facts_t *f, reco_str_t name, double *present)
{
    if (reco_str_equal(name, RECO_STR("click"))) {
        *present = f->any_click;
        return f->click;
    }
    if (reco_str_equal(name, RECO_STR("add_to_cart"))) {
        *present = f->any_cart;
        return f->add_to_cart;
    }
    if (reco_str_equal(name, RECO_STR("conversion"))) {
        *present = f->any_conversion;
        return f->conversion;
    }
    if (reco_str_equal(name, RECO_STR("revenue"))) {
        *present = f->any_conversion;
        return f->revenue;
    }
    if (reco_str_equal(name, RECO_STR("idle"))) {
        *present = f->idle > 0;
        return f->idle;
    }

    *present = 0;

    return 0;
}

double
agent_reward(const reco_reward_t *r, const visit_facts_t *f)
{
    double    sum, present, reward = 0;
    uint32_t  i;

    for (i = 0; i < r->nterms; i++) {
        sum = fact_sum(f, r->terms[i].fact, &present);

        switch (r->terms[i].kind) {
        case RECO_TERM_PRESENT:
            reward += r->terms[i].value * present;
            break;
        case RECO_TERM_PER_UNIT:
            reward += r->terms[i].value * sum;
            break;
        case RECO_TERM_OVER:
            reward += sum > r->terms[i].over ? r->terms[i].value : 0;
            break;
        }
    }

    return f->any_click + f->idle > 0 ? reward : r->fallback;
}

/* ---- a decision --------------------------------------------------------- */

/* What the shopper's browser and the shop tell of this step. */
static void
fill_request(agent_t *a, const visit_t *v)
{
    size_t           i;
    uint32_t         k;
    const char      *word;
    reco_value_t    *value;
    reco_request_t  *q = &a->request;

    reco_request_reset(q, a->model->nfeatures);
    q->customer = v->shopper->customer->id;
    q->customer_key = q->customer;
    q->time_ms = v->time_ms;

    for (i = 0; i < AGENT_NUMBERS; i++) {
        if (a->number_at[i] >= 0) {
            value = &q->given[a->number_at[i]];
            value->kind = RECO_VALUE_NUMBER;
            (void) visit_number(v, numbers[i], &value->number);
        }
    }

    for (i = 0; i < AGENT_WORDS; i++) {
        word = a->word_at[i] < 0 ? NULL : visit_word(v, words[i]);
        if (word != NULL) {
            value = &q->given[a->word_at[i]];
            value->kind = RECO_VALUE_WORD;
            value->word = tool_str(word);
        }
    }

    q->ncart = v->ncart;
    for (k = 0; k < v->ncart; k++) {
        q->cart[k] = v->m->shop->items[v->cart[k]].id;
    }

    if (a->kind == AGENT_FIXED) {
        q->has_flags = true;
        memset(&q->flags, 0, sizeof(q->flags));
        reco_mask_set(&q->flags, a->fixed);
    }
}

uint32_t
agent_items(agent_t *a, uint16_t action)
{
    uint32_t  i;

    reco_items_select(a->model, action, &a->features, &a->request,
                      &a->customer, &a->items_scratch, &a->slate);
    for (i = 0; i < a->slate.n; i++) {
        a->items[i] = a->item_of[a->slate.items[i].index];
    }

    return a->slate.n;
}

double
agent_expects(const agent_t *a, const visit_t *v, double *go_on)
{
    visit_facts_t   facts;
    visit_answer_t  judged;

    visit_judge(v, a->items, a->slate.n, &judged);
    visit_expect(v, a->items, &judged, &facts);
    *go_on = judged.any * visit_goes_on(v, judged.any, true)
             + (1 - judged.any) * visit_goes_on(v, judged.any, false);

    return agent_reward(&a->model->reward, &facts);
}

/* The best eligible action, knowing the market: only it stays eligible. */
static void
ask_oracle(agent_t *a, const visit_t *v)
{
    double    value, go_on, best = -INFINITY;
    uint32_t  i, chosen = 0;

    for (i = 0; i < a->model->catalogue.n; i++) {
        if (!reco_mask_get(&a->eligible, i)) {
            continue;
        }

        (void) agent_items(a, (uint16_t) i);
        value = agent_expects(a, v, &go_on);
        value += go_on * a->going_on;
        if (value > best) {
            best = value;
            chosen = i;
        }
    }

    memset(&a->eligible, 0, sizeof(a->eligible));
    reco_mask_set(&a->eligible, chosen);
}

bool
agent_ask(agent_t *a, const visit_t *v)
{
    reco_error_t  err;

    reco_error_clear(&err);
    fill_request(a, v);
    (void) reco_snapshot_customer(a->snapshot, a->request.customer_key,
                                  &a->customer);

    if (reco_features_resolve(a->model, &a->request, &a->customer,
                              &a->features, &err) != RECO_OK)
    {
        tool_fail(a->path, &err);
        return false;
    }

    if (reco_eligible(a->model, &a->features, a->request.has_flags,
                      &a->request.flags, &a->eligible) == 0)
    {
        tool_error("%s: no action is eligible for customer %.*s", a->path,
                   (int) a->request.customer.len, a->request.customer.data);
        return false;
    }

    return true;
}

static void
narrow_to_best(agent_t *a)
{
    bool      known, low;
    uint32_t  i, n;
    uint64_t  best = 0;

    n = reco_distribution(a->model, &a->features, &a->eligible, NULL, 1,
                          &a->scratch, &known, &low);

    for (i = 0; i < n; i++) {
        best = a->scratch.p[i] > best ? a->scratch.p[i] : best;
    }

    /* equal values may differ by what quantising left over, n units at most */
    for (i = 0; i < n; i++) {
        if (a->scratch.p[i] + n < best) {
            reco_mask_clear(&a->eligible, a->scratch.left[i]);
        }
    }
}

void
agent_narrow(agent_t *a, const visit_t *v)
{
    if (a->kind == AGENT_ORACLE) {
        ask_oracle(a, v);
    } else if (a->kind == AGENT_GREEDY) {
        narrow_to_best(a);
    }
}

bool
agent_decide(agent_t *a, const visit_t *v, reco_id_t id)
{
    char  text[RECO_ID_TEXT];

    if (!agent_ask(a, v)) {
        return false;
    }

    agent_narrow(a, v);
    a->id = id;
    reco_id_text(&id, text);

    if (reco_decide(a->model, &a->features, &a->eligible, 1,
                    (reco_str_t) { text, RECO_ID_TEXT },
                    a->request.customer_key, &a->scratch, &a->decision)
        != RECO_OK)
    {
        tool_error("%s: the model could not decide", a->path);
        return false;
    }

    (void) agent_items(a, a->decision.action[0]);

    return true;
}

/* ---- beginning and end -------------------------------------------------- */

static bool
is_item(void *data, uint32_t index, const reco_item_t *item)
{
    agent_t  *a = data;

    if (!shop_find(a->market->shop, item->id, &a->item_of[index])) {
        tool_error("%s: item '%.*s' is not among the shop's items",
                   a->path, (int) item->id.len, item->id.data);
        a->item_of[0] = UINT32_MAX;
        return false;
    }

    return true;
}

bool
agent_open(agent_t *a, const char *path, const market_t *market)
{
    size_t                       i;
    reco_error_t                 err;
    const reco_snapshot_info_t  *info;

    a->path = path;
    a->market = market;

    if (reco_snapshot_open(a->path, NULL, &a->snapshot, &err) != RECO_OK)
    {
        tool_fail(a->path, &err);
        return false;
    }

    info = reco_snapshot_info(a->snapshot);
    a->model = reco_snapshot_model(a->snapshot);
    a->generation = info->generation;

    if (info->items == 0 || a->model->items.slate == 0) {
        tool_error("%s: the model recommends no items", a->path);
        return false;
    }

    if (info->hash_key[0] != '\0') {
        tool_error("%s: its customers are hashed; a simulation needs a model "
                   "that was built without --secret", a->path);
        return false;
    }

    for (i = 0; i < AGENT_NUMBERS; i++) {
        a->number_at[i] = reco_model_request_feature(a->model,
                                                     tool_str(numbers[i]));
    }
    for (i = 0; i < AGENT_WORDS; i++) {
        a->word_at[i] = reco_model_request_feature(a->model,
                                                   tool_str(words[i]));
    }

    a->item_of = tool_alloc(info->items * sizeof(*a->item_of));
    if (reco_snapshot_each_item(a->snapshot, is_item, a, &err) != RECO_OK)
    {
        tool_fail(a->path, &err);
        return false;
    }

    return a->item_of[0] != UINT32_MAX;
}

void
agent_close(agent_t *a)
{
    free(a->item_of);
    if (a->snapshot) {
        reco_snapshot_close(a->snapshot);
    }
    memset(a, 0, offsetof(agent_t, request));
}
