/*
 * train_history.c - the model's history in a snapshot: recommendations and
 * rewards from the log, one record for each training, carried on from the
 * base. Each kind is kept as long as the spec says, before the as-of time.
 */

#include "train.h"

#include <math.h>
#include <string.h>

typedef struct {
    train_t       *t;
    reco_error_t   err;
    reco_status_t  status;
} writing_t;

static bool
is_kept(const train_t *t, reco_history_kind_t kind, uint64_t time_ms)
{
    uint64_t                 kept, now = t->ledger->as_of_ms;
    const reco_retention_t  *r = &t->model->history;

    kept = kind == RECO_HISTORY_RECOMMENDATION ? r->recommendations_ms
           : kind == RECO_HISTORY_REWARD ? r->rewards_ms : r->agent_ms;

    return kept > 0 && time_ms <= now && now - time_ms < kept;
}

static bool
add(writing_t *w, const reco_history_t *h)
{
    if (!is_kept(w->t, h->kind, h->time_ms)) {
        return true;
    }

    w->status = reco_builder_history(w->t->builder, h, &w->err);

    return w->status == RECO_OK;
}

static bool
carry(void *data, const reco_history_t *h)
{
    return add(data, h);
}

static bool
add_recommendation(writing_t *w, const ledger_decision_t *d)
{
    uint32_t        i;
    reco_history_t  h = {
        .kind = RECO_HISTORY_RECOMMENDATION, .time_ms = d->time_ms,
        .generation = d->generation, .id = d->id,
        .customer_key = d->customer, .session = d->session, .value = NAN
    };

    if (d->nslate > 0) {
        h.action = d->slate[0];
    }

    for (i = 0; i < d->nitems && i < RECO_MAX_SLATE; i++) {
        h.items[h.nitems++] = d->items[i];
    }

    return add(w, &h);
}

/* Of the time of the last fact that counted. */
static bool
add_reward(writing_t *w, const ledger_decision_t *d)
{
    reco_history_t        h;
    const ledger_fact_t  *f;

    if (d->outcome != LEDGER_REWARDED || d->facts == NULL) {
        return true;
    }

    h = (reco_history_t) {
        .kind = RECO_HISTORY_REWARD, .generation = d->generation,
        .id = d->id, .customer_key = d->customer, .session = d->session,
        .action = d->nslate > 0 ? d->slate[0] : (reco_str_t) { "", 0 },
        .value = d->reward
    };

    for (f = d->facts; f; f = f->next) {
        h.time_ms = f->time_ms > h.time_ms ? f->time_ms : h.time_ms;
    }

    return add(w, &h);
}

static bool
add_training(writing_t *w)
{
    json_t          *epsilon = json_object_get(w->t->facts, "epsilon");
    const char      *name = json_string_value(
                         json_object_get(w->t->facts, "algorithm"));
    reco_history_t   h = {
        .kind = RECO_HISTORY_AGENT, .time_ms = w->t->ledger->as_of_ms,
        .action = { name, strlen(name) }, .count = w->t->states,
        .value = json_is_number(epsilon) ? json_number_value(epsilon) : NAN
    };

    return add(w, &h);
}

bool
train_history(train_t *t)
{
    bool                     ok = true;
    size_t                   i;
    writing_t                w = { .t = t, .status = RECO_OK };
    reco_error_t             err;
    const reco_retention_t  *r = &t->model->history;

    if (t->options->no_history
        || r->recommendations_ms + r->rewards_ms + r->agent_ms == 0)
    {
        return true;
    }

    if (t->base && reco_snapshot_each_history(t->base, carry, &w, &err)
                   != RECO_OK)
    {
        tool_fail("base", &err);
        return false;
    }

    ok = w.status == RECO_OK && add_training(&w);

    for (i = 0; ok && i < t->ledger->n; i++) {
        ok = add_recommendation(&w, t->ledger->decisions[i])
             && add_reward(&w, t->ledger->decisions[i]);
    }

    if (!ok) {
        tool_fail("history", &w.err);
    }

    return ok;
}
