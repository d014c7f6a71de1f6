/*
 * ledger_close.c - settles what ledger.c has read: joins facts with decisions
 * and gives each decision its outcome. Works on a ledger once; what it
 * allocates goes with the ledger, but for the sets that only the join needs.
 *
 * Order of things: records are put into the order of server time, so that of
 * two facts that exclude each other the earlier one counts, whichever file
 * was read first.
 */

#include "ledger.h"

#include <string.h>

/* A hole in one writer's sequence numbers. */
typedef struct {
    const ledger_source_t  *source;
    uint64_t                seq;        /* of the last record before it */
    uint64_t                time_ms;    /* of that record */
} gap_t;

/* What makes two facts the same. Strings by address: they are interned. */
typedef struct {
    const char  *customer;      /* NULL: by decision */
    reco_id_t    id;
    const char  *fact;
    const char  *key;           /* NULL: by time */
    uint64_t     time_ms;
} fact_key_t;

typedef struct {
    fact_key_t      key;
    UT_hash_handle  hh;
} seen_t;

typedef struct {
    ledger_t           *ledger;
    const char         *model;          /* interned */
    uint64_t            closing_ms;
    bool                live;
    gap_t              *gaps;
    size_t              ngaps;
    ledger_decision_t **by_customer;    /* by key's address, time, id */
    seen_t             *seen;
} join_t;

/* ---- order -------------------------------------------------------------- */

static int
compare_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int
compare_decisions(const void *a, const void *b)
{
    const ledger_decision_t  *x = *(ledger_decision_t *const *) a;
    const ledger_decision_t  *y = *(ledger_decision_t *const *) b;

    if (x->time_ms != y->time_ms) {
        return compare_u64(x->time_ms, y->time_ms);
    }

    return memcmp(&x->id, &y->id, sizeof(x->id));
}

static int
compare_by_customer(const void *a, const void *b)
{
    const ledger_decision_t  *x = *(ledger_decision_t *const *) a;
    const ledger_decision_t  *y = *(ledger_decision_t *const *) b;

    if (x->customer.data != y->customer.data) {
        return compare_u64((uintptr_t) x->customer.data,
                           (uintptr_t) y->customer.data);
    }

    return compare_decisions(a, b);
}

static int
compare_rewards(const void *a, const void *b)
{
    const ledger_reward_t  *x = a, *y = b;

    if (x->time_ms != y->time_ms) {
        return compare_u64(x->time_ms, y->time_ms);
    }

    if (x->source != y->source) {
        return strcmp(x->source->name, y->source->name);
    }

    return compare_u64(x->seq, y->seq);
}

static int
compare_runs(const void *a, const void *b)
{
    const ledger_run_t  *x = a, *y = b;

    return x->first != y->first ? compare_u64(x->first, y->first)
                                : compare_u64(x->last, y->last);
}

/* ---- model, data's end, gaps -------------------------------------------- */

#define MODELS_NAMED    8

/* "'a', 'b'": the models of the decisions; an ellipsis where there are more
 * than fit. */
static void
name_models(const ledger_t *l, char *text, size_t size)
{
    bool                      all = true;
    size_t                    used = 0;
    uint32_t                  i, n = 0;
    const char               *names[MODELS_NAMED];
    const ledger_decision_t  *d;

    for (d = l->private->by_id; d; d = d->hh.next) {
        for (i = 0; i < n && names[i] != d->model.data; i++) { /* void */ }

        if (i == n && n < MODELS_NAMED) {
            names[n++] = d->model.data;
        } else if (i == n) {
            all = false;
        }
    }

    text[0] = '\0';

    for (i = 0; i < n && used < size; i++) {
        used += (size_t) snprintf(text + used, size - used, "%s'%s'",
                                  i ? ", " : "", names[i]);
    }
    if (!all && used < size) {
        snprintf(text + used, size - used, ", ...");
    }
}

bool
ledger_has_decisions(const ledger_t *l, const char *model)
{
    char                      names[MODELS_NAMED * (RECO_MAX_ID + 8)];
    const ledger_decision_t  *d;

    for (d = l->private->by_id; d; d = d->hh.next) {
        if (model == NULL || strcmp(model, d->model.data) == 0) {
            return true;
        }
    }

    if (model == NULL || l->private->by_id == NULL) {
        tool_error("the log holds no decision");
        return false;
    }

    name_models(l, names, sizeof(names));
    tool_error("the log holds no decision of the model '%s' (there are: %s)",
               model, names);

    return false;
}

static bool
choose_model(ledger_t *l, const char *wanted)
{
    ledger_decision_t  *d;
    reco_str_t          found = { NULL, 0 };

    if (!ledger_has_decisions(l, wanted)) {
        return false;
    }

    if (wanted) {
        l->model = ledger_word(l, (reco_str_t) { wanted, strlen(wanted) });
        return true;
    }

    for (d = l->private->by_id; d; d = d->hh.next) {
        if (found.data && found.data != d->model.data) {
            tool_error("the log holds decisions of several models, '%s' and "
                       "'%s' among them: choose one with --model NAME",
                       found.data, d->model.data);
            return false;
        }
        found = d->model;
    }

    l->model = found;

    return true;
}

/* The least over the nodes of the time of their last record. */
static uint64_t
data_end(const ledger_t *l)
{
    uint64_t          end = UINT64_MAX, node_end;
    ledger_source_t  *s, *other;

    for (s = l->private->sources; s; s = s->hh.next) {
        node_end = 0;

        for (other = l->private->sources; other; other = other->hh.next) {
            if (strcmp(s->node, other->node) == 0
                && other->last_ms > node_end)
            {
                node_end = other->last_ms;
            }
        }

        if (node_end < end) {
            end = node_end;
        }
    }

    return end == UINT64_MAX ? 0 : end;
}

static void
choose_end(ledger_t *l, uint64_t wanted)
{
    char        text[64];
    uint64_t    end = data_end(l);
    reco_buf_t  b;

    if (wanted > end) {
        reco_buf_init(&b, text, sizeof(text) - 1);
        reco_buf_time(&b, end);
        tool_warn("the log is complete up to %.*s only, and so that is when "
                  "it is read as of", (int) reco_buf_len(&b), text);
    }

    l->as_of_ms = wanted && wanted < end ? wanted : end;
}

static void
add_gap(join_t *j, const ledger_source_t *s, const ledger_run_t *before,
    uint64_t lost)
{
    j->gaps = tool_realloc(j->gaps, (j->ngaps + 1) * sizeof(*j->gaps));
    j->gaps[j->ngaps++] = (gap_t) { s, before->last, before->last_ms };
    j->ledger->counts.gaps++;
    j->ledger->counts.lost += lost;
}

static void
find_gaps(join_t *j)
{
    size_t            i;
    ledger_run_t     *reach;
    ledger_source_t  *s;

    for (s = j->ledger->private->sources; s; s = s->hh.next) {
        if (s->nruns > 1) {
            qsort(s->runs, s->nruns, sizeof(*s->runs), compare_runs);
        }
        reach = s->runs;

        for (i = 1; i < s->nruns; i++) {
            if (s->runs[i].first > reach->last + 1) {
                add_gap(j, s, reach, s->runs[i].first - reach->last - 1);
            }
            if (s->runs[i].last > reach->last) {
                reach = &s->runs[i];
            }
        }
    }
}

/* Could a record that was lost have been a fact of this decision? */
static bool
is_in_gap(const join_t *j, const ledger_decision_t *d)
{
    size_t  i;

    for (i = 0; i < j->ngaps; i++) {
        if (j->gaps[i].source == d->source && d->seq <= j->gaps[i].seq
            && d->time_ms + j->closing_ms >= j->gaps[i].time_ms)
        {
            return true;
        }
    }

    return false;
}

/* ---- decisions ---------------------------------------------------------- */

static void
collect_decisions(join_t *j)
{
    ledger_t           *l = j->ledger;
    ledger_decision_t  *d;

    l->decisions = tool_alloc(HASH_COUNT(l->private->by_id)
                              * sizeof(*l->decisions));

    for (d = l->private->by_id; d; d = d->hh.next) {
        if (d->model.data != j->model) {
            continue;
        }

        if (d->time_ms > l->as_of_ms) {
            l->counts.after++;
            continue;
        }

        l->decisions[l->n++] = d;
    }

    qsort(l->decisions, l->n, sizeof(*l->decisions), compare_decisions);
    l->counts.decisions = l->n;

    j->by_customer = tool_alloc(l->n * sizeof(*j->by_customer));
    memcpy(j->by_customer, l->decisions, l->n * sizeof(*j->by_customer));
    qsort(j->by_customer, l->n, sizeof(*j->by_customer), compare_by_customer);
}

/* The customer's last decision at or before that time. */
static ledger_decision_t *
last_decision(const join_t *j, reco_str_t customer, uint64_t time_ms)
{
    size_t              low = 0, high = j->ledger->n, mid;
    ledger_decision_t  *d;

    if (customer.len == 0) {
        return NULL;
    }

    while (low < high) {            /* first one behind */
        mid = low + (high - low) / 2;
        d = j->by_customer[mid];

        if ((uintptr_t) d->customer.data < (uintptr_t) customer.data
            || (d->customer.data == customer.data && d->time_ms <= time_ms))
        {
            low = mid + 1;
        } else {
            high = mid;
        }
    }

    d = low > 0 ? j->by_customer[low - 1] : NULL;

    return d && d->customer.data == customer.data ? d : NULL;
}

/* ---- facts -------------------------------------------------------------- */

static bool
str_is(reco_str_t interned, reco_str_t s)
{
    return reco_str_equal(interned, s);
}

static bool
was_seen(join_t *j, const fact_key_t *key)
{
    seen_t  *s;

    HASH_FIND(hh, j->seen, key, sizeof(*key), s);

    return s != NULL;
}

static void
mark_seen(join_t *j, const fact_key_t *key)
{
    seen_t  *s;

    if (was_seen(j, key)) {
        return;
    }

    s = ledger_alloc(j->ledger, sizeof(*s));
    s->key = *key;
    HASH_ADD(hh, j->seen, key, sizeof(s->key), s);
}

static void
fact_key(fact_key_t *key, const ledger_reward_t *r, const reco_fact_t *fact)
{
    memset(key, 0, sizeof(*key));       /* compared with its padding */
    key->fact = fact->name.data;

    if (r->key.len > 0) {
        key->key = r->key.data;
    } else {
        key->time_ms = r->time_ms;
    }
}

/* Same decision, or for a reward that names only its customer the same
 * customer (whose last decision may be another one by now). */
static bool
is_duplicate(join_t *j, const ledger_reward_t *r, const reco_fact_t *fact,
    const ledger_decision_t *d)
{
    fact_key_t  by_id, by_customer;

    fact_key(&by_id, r, fact);
    by_customer = by_id;
    by_id.id = d->id;
    by_customer.customer = r->customer.data;

    if (was_seen(j, &by_id) || (!r->has_id && was_seen(j, &by_customer))) {
        return true;
    }

    mark_seen(j, &by_id);
    if (!r->has_id) {
        mark_seen(j, &by_customer);
    }

    return false;
}

static int
slot_of(const ledger_decision_t *d, reco_str_t action)
{
    uint32_t  i;

    for (i = 0; i < d->nslate; i++) {
        if (d->slate[i].data == action.data) {
            return (int) i;
        }
    }

    return -1;
}

static ledger_fate_t
fate_of_record(const ledger_reward_t *r, const ledger_decision_t *d)
{
    if (d == NULL) {
        return LEDGER_FACT_ORPHAN;
    }

    if (r->time_ms < d->time_ms) {
        return LEDGER_FACT_EARLY;
    }

    if (r->action.len > 0 && slot_of(d, r->action) < 0) {
        return LEDGER_FACT_OUT_OF_RANGE;
    }

    return LEDGER_FACT_COUNTED;
}

/* Whether the reward function has a use for the fact at that age. */
static ledger_fate_t
fate_by_terms(const reco_reward_t *reward, reco_str_t name, uint64_t age_ms)
{
    uint32_t       i;
    ledger_fate_t  fate = LEDGER_FACT_UNUSED;

    for (i = 0; i < reward->nterms; i++) {
        if (str_is(name, reward->terms[i].fact)) {
            if (age_ms <= reward->terms[i].window_ms) {
                return LEDGER_FACT_COUNTED;
            }
            fate = LEDGER_FACT_LATE;
        }
    }

    return fate;
}

static void
attach(join_t *j, ledger_decision_t *d, const ledger_reward_t *r,
    const reco_fact_t *fact)
{
    ledger_fact_t  *f = ledger_alloc(j->ledger, sizeof(*f)), **end;

    f->next = NULL;
    f->name = fact->name;
    f->value = fact->value;
    f->time_ms = r->time_ms;
    f->slot = r->action.len > 0 ? slot_of(d, r->action)
              : d->nslate == 1 ? 0 : -1;

    for (end = &d->facts; *end; end = &(*end)->next) { /* void */ }
    *end = f;
}

static void
join_reward(join_t *j, const ledger_reward_t *r)
{
    uint32_t            i;
    ledger_fate_t       record, fate;
    ledger_decision_t  *d;

    if (r->has_id) {
        HASH_FIND(hh, j->ledger->private->by_id, &r->id, sizeof(r->id), d);
        if (d && d->model.data != j->model) {
            d = NULL;
        }
    } else {
        d = last_decision(j, r->customer, r->time_ms);
    }

    record = fate_of_record(r, d);

    for (i = 0; i < r->nfacts; i++) {
        fate = record;

        if (fate == LEDGER_FACT_COUNTED) {
            fate = fate_by_terms(j->ledger->reward, r->facts[i].name,
                                 r->time_ms - d->time_ms);
        }

        if (fate == LEDGER_FACT_COUNTED
            && is_duplicate(j, r, &r->facts[i], d))
        {
            fate = LEDGER_FACT_DUPLICATE;
        }

        j->ledger->counts.facts[fate]++;

        if (fate == LEDGER_FACT_COUNTED) {
            attach(j, d, r, &r->facts[i]);
        }
    }
}

static void
join_rewards(join_t *j)
{
    size_t                  i;
    ledger_t               *l = j->ledger;
    const ledger_reward_t  *r = l->private->rewards, *before = NULL;

    if (l->private->nrewards > 1) {
        qsort(l->private->rewards, l->private->nrewards, sizeof(*r),
              compare_rewards);
    }

    for (i = 0; i < l->private->nrewards; i++, r++) {
        if (before && compare_rewards(before, r) == 0) {
            l->counts.repeated++;
            continue;
        }

        before = r;

        if (r->model.data != j->model) {
            continue;
        }

        if (r->time_ms > l->as_of_ms) {
            l->counts.after++;
        } else {
            join_reward(j, r);
        }
    }
}

/* ---- outcomes ----------------------------------------------------------- */

static double
total_reward(const ledger_t *l, const ledger_decision_t *d)
{
    double    slots[RECO_MAX_SLATE], sum = 0;
    uint32_t  i;

    ledger_slot_rewards(l, d, slots);

    for (i = 0; i < d->nslate; i++) {
        sum += slots[i];
    }

    return sum;
}

static void
settle(join_t *j, ledger_decision_t *d)
{
    bool  open = d->time_ms + j->closing_ms > j->ledger->as_of_ms;

    if (d->fallback || d->nslate == 0) {
        d->outcome = LEDGER_FALLBACK;

    } else if (is_in_gap(j, d)) {
        d->outcome = LEDGER_GAP;

    } else if (open && !j->live) {
        d->outcome = LEDGER_OPEN;

    } else {
        d->outcome = d->facts ? LEDGER_REWARDED : LEDGER_EXPIRED;
        d->reward = total_reward(j->ledger, d);
        d->weight = open ? ledger_weight(j->ledger->reward,
                                         j->ledger->as_of_ms - d->time_ms)
                         : 1;
    }

    j->ledger->counts.outcome[d->outcome]++;
}

uint64_t
ledger_closing_ms(const reco_reward_t *reward)
{
    uint32_t  i;
    uint64_t  ms = reward->horizon_ms;

    for (i = 0; i < reward->nterms; i++) {
        if (reward->terms[i].window_ms > ms) {
            ms = reward->terms[i].window_ms;
        }
    }

    return ms;
}

bool
ledger_close(ledger_t *l, const ledger_options_t *options)
{
    size_t  i;
    join_t  j = { .ledger = l, .live = options->live };

    if (!choose_model(l, options->model)) {
        return false;
    }

    j.model = l->model.data;
    j.closing_ms = ledger_closing_ms(options->reward);
    l->reward = options->reward;
    l->live = options->live;

    choose_end(l, options->as_of_ms);
    find_gaps(&j);
    collect_decisions(&j);
    join_rewards(&j);

    for (i = 0; i < l->n; i++) {
        settle(&j, l->decisions[i]);
    }

    HASH_CLEAR(hh, j.seen);
    free(j.by_customer);
    free(j.gaps);

    return true;
}

const char *
ledger_only_fact(ledger_t *l, const char *model)
{
    size_t                  i;
    uint32_t                k;
    const char             *found = NULL, *name;
    const ledger_reward_t  *r;

    for (i = 0; i < l->private->nrewards; i++) {
        r = &l->private->rewards[i];

        if (model && strcmp(model, r->model.data) != 0) {
            continue;
        }

        for (k = 0; k < r->nfacts; k++) {
            name = r->facts[k].name.data;

            if (found && found != name) {
                tool_error("the log holds several kinds of facts, '%s' and "
                           "'%s' among them: name the one that is the reward, "
                           "or give a spec", found, name);
                return NULL;
            }
            found = name;
        }
    }

    if (found == NULL) {
        tool_error("the log holds no reward");
    }

    return found;
}
