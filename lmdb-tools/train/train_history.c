/*
 * train_history.c - the model's history in a snapshot: recommendations and
 * rewards from the log, records of trainings, carried on from the base and,
 * these alone, from the generation before: recommendations and rewards the log
 * has itself, valued anew. Each kind is kept as long as the spec says, before
 * the as-of time.
 */

#include "train.h"

#include <math.h>
#include <string.h>

typedef struct {
    reco_history_t  h;
    size_t          order;          /* in which they came: of equal time the
                                       last one says what is known now */
} training_t;

typedef struct {
    train_t         *t;
    training_t      *trainings;
    size_t           ntrainings, room;
    reco_error_t     err;
    reco_status_t    status;
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

/* ---- trainings ---------------------------------------------------------- */

static uint64_t
slot_of(const writing_t *w, uint64_t time_ms)
{
    uint64_t  width = w->t->model->history.agent_ms / TRAIN_HISTORY_TRAININGS;

    return time_ms / (width > 0 ? width : 1);
}

static void
keep_training(writing_t *w, const reco_history_t *h)
{
    if (!is_kept(w->t, RECO_HISTORY_AGENT, h->time_ms)) {
        return;
    }

    if (w->ntrainings == w->room) {
        w->room = w->room ? 2 * w->room : 64;
        w->trainings = tool_realloc(w->trainings,
                                    w->room * sizeof(*w->trainings));
    }

    w->trainings[w->ntrainings] = (training_t) { *h, w->ntrainings };
    w->ntrainings++;
}

static int
by_time(const void *a, const void *b)
{
    const training_t  *x = a, *y = b;

    if (x->h.time_ms != y->h.time_ms) {
        return x->h.time_ms < y->h.time_ms ? -1 : 1;
    }

    return (x->order > y->order) - (x->order < y->order);
}

static bool
carry_training(void *data, const reco_history_t *h)
{
    keep_training(data, h);

    return true;
}

static void
keep_this(writing_t *w)
{
    json_t          *epsilon = json_object_get(w->t->facts, "epsilon");
    const char      *name = json_string_value(
                         json_object_get(w->t->facts, "algorithm"));
    reco_history_t   h = {
        .kind = RECO_HISTORY_AGENT, .time_ms = w->t->ledger->as_of_ms,
        .action = { name, strlen(name) }, .count = w->t->states,
        .value = json_is_number(epsilon) ? json_number_value(epsilon) : NAN
    };

    keep_training(w, &h);
}

static bool
add_trainings(writing_t *w)
{
    size_t                  i;
    const reco_history_t   *h;
    const reco_snapshot_t  *before = w->t->options->before;

    if (before) {
        w->status = reco_snapshot_history(before, RECO_HISTORY_AGENT,
                                          (reco_str_t) { "", 0 }, 0,
                                          UINT64_MAX, carry_training, w);
        if (w->status != RECO_OK) {
            reco_error_set(&w->err, w->status, "",
                           "that of the generation before cannot be read");
            return false;
        }
    }

    keep_this(w);

    if (w->ntrainings > 0) {
        qsort(w->trainings, w->ntrainings, sizeof(*w->trainings), by_time);
    }

    for (i = 0; i < w->ntrainings; i++) {
        h = &w->trainings[i].h;

        if (i + 1 < w->ntrainings
            && slot_of(w, h->time_ms)
               == slot_of(w, w->trainings[i + 1].h.time_ms))
        {
            continue;
        }

        if (!add(w, h)) {
            return false;
        }
    }

    return true;
}

/* ---- recommendations and rewards ---------------------------------------- */

static bool
carry(void *data, const reco_history_t *h)
{
    return h->kind == RECO_HISTORY_AGENT ? carry_training(data, h)
                                         : add(data, h);
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

/* ---- all of it ---------------------------------------------------------- */

static bool
write_all(writing_t *w)
{
    size_t           i;
    train_t         *t = w->t;
    reco_error_t     err;

    if (t->base && reco_snapshot_each_history(t->base, carry, w, &err)
                   != RECO_OK)
    {
        tool_fail("base", &err);
        return false;
    }

    if (w->status != RECO_OK || !add_trainings(w)) {
        tool_fail("history", &w->err);
        return false;
    }

    for (i = 0; i < t->ledger->n; i++) {
        if (!add_recommendation(w, t->ledger->decisions[i])
            || !add_reward(w, t->ledger->decisions[i]))
        {
            tool_fail("history", &w->err);
            return false;
        }
    }

    return true;
}

bool
train_history(train_t *t)
{
    bool                     ok;
    writing_t                w = { .t = t, .status = RECO_OK };
    const reco_retention_t  *r = &t->model->history;

    if (t->options->no_history
        || r->recommendations_ms + r->rewards_ms + r->agent_ms == 0)
    {
        return true;
    }

    ok = write_all(&w);
    free(w.trainings);

    return ok;
}
