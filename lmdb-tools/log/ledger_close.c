/*
 * ledger_close.c - settles what ledger.c has read: joins facts with decisions
 * and gives each decision its outcome. What it allocates lives until the
 * ledger is closed again, but for the sets that only the join needs.
 *
 * Order of things: records are put into the order of server time, so that of
 * two facts that exclude each other the earlier one counts, whichever file
 * was read first.
 */

#include "ledger.h"

#include <math.h>
#include <string.h>

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
    ledger_spans_t      gaps;
    ledger_spans_t      unlogged;       /* decisions were answered without a
                                           record */
    bool                by_customer_only;   /* some rewards name no decision */
    ledger_decision_t **by_customer;    /* by key's address, time, id */
    ledger_decision_t **by_session;     /* by key's and session's address,
                                           time, id; NULL: none is asked for */
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
compare_by_session(const void *a, const void *b)
{
    const ledger_decision_t  *x = *(ledger_decision_t *const *) a;
    const ledger_decision_t  *y = *(ledger_decision_t *const *) b;

    if (x->customer.data != y->customer.data
        || x->session.data == y->session.data)
    {
        return compare_by_customer(a, b);
    }

    return compare_u64((uintptr_t) x->session.data,
                       (uintptr_t) y->session.data);
}

static int
compare_rewards(const void *a, const void *b)
{
    const ledger_reward_t  *x = a, *y = b;

    if (x->time_ms != y->time_ms) {
        return compare_u64(x->time_ms, y->time_ms);
    }

    if (x->at.clock->source != y->at.clock->source) {
        return strcmp(x->at.clock->source->name, y->at.clock->source->name);
    }

    return compare_u64(x->seq, y->seq);
}

/* ---- data's end --------------------------------------------------------- */

static void
choose_end(ledger_t *l, const ledger_options_t *options)
{
    char        text[64];
    uint64_t    end, wanted = options->as_of_ms;
    reco_buf_t  b;

    end = options->newest ? ledger_newest_ms(l) : ledger_data_end_ms(l);

    if (wanted > end && !options->newest) {
        reco_buf_init(&b, text, sizeof(text) - 1);
        reco_buf_time(&b, end);
        tool_warn("the log is complete up to %.*s only, and so that is when "
                  "it is read as of", (int) reco_buf_len(&b), text);
    }

    l->as_of_ms = wanted && wanted < end ? wanted : end;
}

/* ---- decisions ---------------------------------------------------------- */

/* Those that are in order already, as one writer's are, are left alone. */
static void
sort(ledger_decision_t **d, size_t n,
    int (*compare)(const void *, const void *))
{
    size_t  i;

    for (i = 1; i < n; i++) {
        if (compare(&d[i - 1], &d[i]) > 0) {
            qsort(d, n, sizeof(*d), compare);
            return;
        }
    }
}

static ledger_decision_t **
sorted_copy(const ledger_t *l, int (*compare)(const void *, const void *))
{
    ledger_decision_t  **copy = tool_alloc(l->n * sizeof(*copy));

    if (l->n > 0) {
        memcpy(copy, l->decisions, l->n * sizeof(*copy));
    }
    sort(copy, l->n, compare);

    return copy;
}

/* What an earlier close made of it. */
static void
reset(ledger_t *l)
{
    ledger_counts_t     read = l->counts;
    ledger_decision_t  *d;

    memset(&l->counts, 0, sizeof(l->counts));
    l->counts.records = read.records;
    l->counts.repeated = read.repeated;
    l->counts.forgotten = read.forgotten;
    l->counts.erased = read.erased;
    l->counts.corrupt = read.corrupt;

    free(l->decisions);
    l->decisions = NULL;
    l->n = 0;

    for (d = l->private->by_id; d; d = d->hh.next) {
        d->time_ms = ledger_time_ms(d->at);
        d->facts = NULL;
        d->reward = 0;
        d->weight = 0;
        d->outcome = LEDGER_OPEN;
        d->begins = d->ends = false;
    }

    ledger_alloc_reset(l);
}

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

    sort(l->decisions, l->n, compare_decisions);
    l->counts.decisions = l->n;
    j->by_customer = sorted_copy(l, compare_by_customer);
}

/* The customer's last decision at or before that time; where a session is
 * named, of that session. */
static ledger_decision_t *
last_decision(join_t *j, const ledger_reward_t *r)
{
    bool                 session = r->session.len > 0;
    size_t               low = 0, high = j->ledger->n, mid;
    ledger_decision_t   *d, **list, wanted = { .time_ms = r->time_ms };

    if (r->customer.len == 0) {
        return NULL;
    }

    if (session && j->by_session == NULL) {
        j->by_session = sorted_copy(j->ledger, compare_by_session);
    }

    wanted.customer = r->customer;
    wanted.session = r->session;
    memset(&wanted.id, 0xff, sizeof(wanted.id));
    list = session ? j->by_session : j->by_customer;
    d = &wanted;

    while (low < high) {            /* first one behind */
        mid = low + (high - low) / 2;

        if ((session ? compare_by_session : compare_by_customer)
            (&list[mid], &d) <= 0)
        {
            low = mid + 1;
        } else {
            high = mid;
        }
    }

    d = low > 0 ? list[low - 1] : NULL;

    return d && d->customer.data == r->customer.data
           && (!session || d->session.data == r->session.data) ? d : NULL;
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

    if (r->time_ms + (r->has_id ? LEDGER_SKEW_MS : 0) < d->time_ms) {
        return LEDGER_FACT_EARLY;
    }

    if (r->action.len > 0 && slot_of(d, r->action) < 0) {
        return LEDGER_FACT_OUT_OF_RANGE;
    }

    return LEDGER_FACT_COUNTED;
}

/* Whether the reward function has a use for the fact at that age. */
static ledger_fate_t
fate_by_terms(const reco_reward_t *reward, const reco_fact_t *fact,
    uint64_t age_ms)
{
    uint32_t       i;
    ledger_fate_t  fate = LEDGER_FACT_UNUSED;

    for (i = 0; i < reward->nterms; i++) {
        if (str_is(fact->name, reward->terms[i].fact)) {
            if (age_ms <= reward->terms[i].window_ms) {
                return fabs(fact->value) <= LEDGER_MAX_VALUE
                       ? LEDGER_FACT_COUNTED : LEDGER_FACT_OUT_OF_RANGE;
            }
            fate = LEDGER_FACT_LATE;
        }
    }

    return fate;
}

/* Among the decision's facts by time, after those of the same time. */
static void
attach(join_t *j, ledger_decision_t *d, const ledger_fact_t *fact)
{
    ledger_fact_t  *f = ledger_alloc(j->ledger, sizeof(*f)), **end;

    for (end = &d->facts; *end && (*end)->time_ms <= fact->time_ms;
         end = &(*end)->next)
    {
        /* void */
    }

    *f = *fact;
    f->next = *end;
    *end = f;
}

static void
attach_logged(join_t *j, ledger_decision_t *d, const ledger_reward_t *r,
    const reco_fact_t *fact)
{
    attach(j, d, &(ledger_fact_t) {
        .name = fact->name, .value = fact->value,
        .time_ms = r->time_ms > d->time_ms ? r->time_ms : d->time_ms,
        .slot = r->action.len > 0 ? slot_of(d, r->action)
                : d->nslate == 1 ? 0 : -1,
    });
}

/* A next session began. */
static void
on_return(void *data, ledger_decision_t *d, uint64_t time_ms)
{
    join_t               *j = data;
    uint32_t              i, k;
    const reco_term_t    *t;
    const reco_reward_t  *reward = j->ledger->reward;

    for (i = 0; i < reward->nterms; i++) {
        t = &reward->terms[i];

        if (!t->next_session || time_ms - d->time_ms > t->window_ms) {
            continue;
        }

        /* another term of the same fact may have given it */
        for (k = 0; k < i && !(reward->terms[k].next_session
                               && reco_str_equal(reward->terms[k].fact,
                                                 t->fact)
                               && time_ms - d->time_ms
                                  <= reward->terms[k].window_ms); k++)
        {
            /* void */
        }

        if (k == i) {
            j->ledger->counts.returns++;
            attach(j, d, &(ledger_fact_t) {
                .name = t->fact, .value = 1, .time_ms = time_ms,
                .slot = d->nslate == 1 ? 0 : -1,
            });
        }
    }
}

/* A reward from before what is kept counts no more; but the same one sent
 * again shall not count either. */
static void
remember(join_t *j, const ledger_reward_t *r)
{
    uint32_t    i;
    fact_key_t  key;

    for (i = 0; i < r->nfacts; i++) {
        fact_key(&key, r, &r->facts[i]);
        key.customer = r->customer.data;
        mark_seen(j, &key);
    }
}

/* The decision that the reward is about. */
static ledger_decision_t *
decision_of(join_t *j, const ledger_reward_t *r)
{
    ledger_decision_t  *d;

    if (!r->has_id) {
        return last_decision(j, r);
    }

    HASH_FIND(hh, j->ledger->private->by_id, &r->id, sizeof(r->id), d);

    return d && d->model.data == j->model ? d : NULL;
}

static void
join_reward(join_t *j, const ledger_reward_t *r, ledger_decision_t *d)
{
    uint32_t       i;
    ledger_fate_t  record, fate;

    record = fate_of_record(r, d);

    for (i = 0; i < r->nfacts; i++) {
        fate = record;

        if (fate == LEDGER_FACT_COUNTED) {
            fate = fate_by_terms(j->ledger->reward, &r->facts[i],
                                 r->time_ms > d->time_ms
                                 ? r->time_ms - d->time_ms : 0);
        }

        if (fate == LEDGER_FACT_COUNTED
            && is_duplicate(j, r, &r->facts[i], d))
        {
            fate = LEDGER_FACT_DUPLICATE;
        }

        j->ledger->counts.facts[fate]++;

        if (fate == LEDGER_FACT_COUNTED) {
            attach_logged(j, d, r, &r->facts[i]);
        }
    }
}

/* By time; what was read twice is dropped. */
static void
sort_rewards(ledger_t *l)
{
    bool               sorted = true;
    size_t             i, n;
    ledger_private_t  *p = l->private;

    for (i = 0; i < p->nrewards; i++) {
        p->rewards[i].time_ms = ledger_time_ms(p->rewards[i].at);
    }

    for (i = 1; i < p->nrewards && sorted; i++) {
        sorted = compare_rewards(&p->rewards[i - 1], &p->rewards[i]) < 0;
    }

    if (sorted) {
        return;
    }

    qsort(p->rewards, p->nrewards, sizeof(*p->rewards), compare_rewards);

    for (i = 1, n = 1; i < p->nrewards; i++) {
        if (compare_rewards(&p->rewards[n - 1], &p->rewards[i]) == 0) {
            l->counts.repeated++;
            free(p->rewards[i].facts);
        } else {
            p->rewards[n++] = p->rewards[i];
        }
    }

    p->nrewards = n;
}

static void
join_rewards(join_t *j)
{
    size_t                  i;
    ledger_t               *l = j->ledger;
    ledger_decision_t      *d;
    const ledger_reward_t  *r;

    sort_rewards(l);

    for (i = 0; i < l->private->nrewards; i++) {
        r = &l->private->rewards[i];

        if (r->model.data != j->model) {
            continue;
        }

        if (r->time_ms > l->as_of_ms) {
            l->counts.after++;
            continue;
        }

        j->by_customer_only |= !r->has_id;

        if (!r->has_id && r->time_ms < l->private->from_ms) {
            remember(j, r);
            continue;
        }

        d = decision_of(j, r);

        if (d && d->time_ms > l->as_of_ms) {
            l->counts.after++;          /* as its decision is */
        } else {
            join_reward(j, r, d);
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

/* Could what was lost have changed the decision's facts? A record that no note
 * explains may have been any fact of it. A decision that was answered without
 * a record takes nothing from others but rewards that name only a customer; in
 * a model that has such rewards it may have been another decision of the same
 * customer, whose rewards this one has got. That is asked of all decisions of
 * that time, rewarded or not: to leave out only the former would make the
 * others' rewards too low. */
static bool
is_in_gap(const join_t *j, const ledger_decision_t *d)
{
    uint64_t  end = d->time_ms + j->closing_ms;

    return ledger_spans_meet(&j->gaps, d->time_ms, end)
           || (j->by_customer_only && d->customer.len > 0
               && ledger_spans_meet(&j->unlogged, d->time_ms, end));
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

    reset(l);

    if (!ledger_choose_model(l, options->model)) {
        return false;
    }

    j.model = l->model.data;
    j.closing_ms = ledger_closing_ms(options->reward);
    l->reward = options->reward;
    l->live = options->live;

    choose_end(l, options);
    ledger_find_gaps(l, &j.gaps, &j.unlogged);
    collect_decisions(&j);
    join_rewards(&j);
    ledger_sessions(j.by_customer, l->n, options->episode_gap_ms, on_return,
                    &j);

    for (i = 0; i < l->n; i++) {
        settle(&j, l->decisions[i]);
    }

    HASH_CLEAR(hh, j.seen);
    free(j.by_customer);
    free(j.by_session);
    free(j.gaps.span);
    free(j.unlogged.span);

    return true;
}
