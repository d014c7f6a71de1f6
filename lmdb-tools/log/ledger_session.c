/*
 * ledger_session.c - the sessions of customers: where they begin and end, and
 * when the next one begins (ledger.h). Works on an array of its caller's and
 * keeps nothing.
 */

#include "ledger.h"

#include <string.h>

#define EPISODE_GAP_MS  ((uint64_t) 30 * 60 * 1000)

/* Strings by address: they are interned. */
static int
compare_sessions(const void *a, const void *b)
{
    const ledger_decision_t  *x = *(ledger_decision_t *const *) a;
    const ledger_decision_t  *y = *(ledger_decision_t *const *) b;

    if (x->session.data != y->session.data) {
        return (uintptr_t) x->session.data < (uintptr_t) y->session.data
               ? -1 : 1;
    }

    if (x->time_ms != y->time_ms) {
        return x->time_ms < y->time_ms ? -1 : 1;
    }

    return memcmp(&x->id, &y->id, sizeof(x->id));
}

/* d: decisions of one customer, by session and time. */
static void
mark_sessions(ledger_decision_t **d, size_t n, uint64_t gap_ms)
{
    bool    cut;
    size_t  i;

    d[0]->begins = true;
    d[n - 1]->ends = true;

    for (i = 1; i < n; i++) {
        cut = d[i]->session.data != d[i - 1]->session.data
              || (d[i]->session.len == 0
                  && d[i]->time_ms - d[i - 1]->time_ms > gap_ms);
        d[i - 1]->ends = cut;
        d[i]->begins = cut;
    }
}

static bool
begins_named(const ledger_decision_t *d)
{
    return d->begins && d->session.len > 0;
}

/* d: decisions of one customer, by time. 'named' is the first one after i that
 * begins a session with an id, 'later' the first one that begins a session of
 * any kind more than the gap after it; both only ever go forward. */
static void
find_returns(ledger_decision_t **d, size_t n, uint64_t gap_ms,
    ledger_return_pt visit, void *data)
{
    size_t  i, next, named = 0, later = 0;

    for (i = 0; i < n; i++) {
        if (!d[i]->ends) {
            continue;
        }

        while (named < n && (named <= i || !begins_named(d[named]))) {
            named++;
        }
        while (later < n && (!d[later]->begins
                             || d[later]->time_ms <= d[i]->time_ms + gap_ms))
        {
            later++;
        }

        next = d[i]->session.len > 0 && named < later ? named : later;

        if (next < n) {
            visit(data, d[i], d[next]->time_ms);
        }
    }
}

static size_t
of_customer(ledger_decision_t *const *d, size_t n)
{
    size_t  k = 1;

    while (k < n && d[k]->customer.data == d[0]->customer.data) {
        k++;
    }

    return k;
}

void
ledger_sessions(ledger_decision_t **by_customer, size_t n,
    uint64_t episode_gap_ms, ledger_return_pt visit, void *data)
{
    size_t              i, k, j, room = 0;
    uint64_t            gap = episode_gap_ms ? episode_gap_ms : EPISODE_GAP_MS;
    ledger_decision_t **d, **by_session = NULL;

    for (i = 0; i < n; i += k) {
        d = by_customer + i;
        k = of_customer(d, n - i);

        if (d[0]->customer.len == 0) {
            for (j = 0; j < k; j++) {
                d[j]->begins = d[j]->ends = true;
            }
            continue;
        }

        if (k > room) {
            room = 2 * k;
            by_session = tool_realloc(by_session, room * sizeof(*by_session));
        }

        memcpy(by_session, d, k * sizeof(*d));
        qsort(by_session, k, sizeof(*d), compare_sessions);
        mark_sessions(by_session, k, gap);
        find_returns(d, k, gap, visit, data);
    }

    free(by_session);
}
