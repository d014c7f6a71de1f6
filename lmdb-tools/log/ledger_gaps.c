/*
 * ledger_gaps.c - which sequence numbers of a writer are missing, which of
 * these its own notes explain, and when that was. What was seen lives with the
 * writer; the spans made of it are the caller's.
 */

#include "ledger.h"

#include <string.h>

void
ledger_note_seq(ledger_source_t *s, uint64_t seq, ledger_stamp_t at)
{
    ledger_run_t  *run = s->nruns ? &s->runs[s->nruns - 1] : NULL;

    if (run && seq == run->last + 1) {
        run->last = seq;
        run->last_at = at;
        return;
    }

    if (s->nruns == s->room) {
        s->room = s->room ? 2 * s->room : 8;
        s->runs = tool_realloc(s->runs, s->room * sizeof(*s->runs));
    }

    s->runs[s->nruns++] = (ledger_run_t) { seq, seq, at, at };
}

void
ledger_note_lost(ledger_source_t *s, uint64_t seq, ledger_stamp_t at,
    const reco_lost_t *lost)
{
    if (s->nlost == s->lost_room) {
        s->lost_room = s->lost_room ? 2 * s->lost_room : 8;
        s->lost = tool_realloc(s->lost, s->lost_room * sizeof(*s->lost));
    }

    s->lost[s->nlost++] = (ledger_lost_t) { seq, at, *lost };
}

static int
compare_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int
compare_runs(const void *a, const void *b)
{
    const ledger_run_t  *x = a, *y = b;

    return x->first != y->first ? compare_u64(x->first, y->first)
                                : compare_u64(x->last, y->last);
}

static int
compare_lost(const void *a, const void *b)
{
    const ledger_lost_t  *x = a, *y = b;

    return x->lost.from != y->lost.from
           ? compare_u64(x->lost.from, y->lost.from)
           : compare_u64(x->seq, y->seq);
}

static int
compare_spans(const void *a, const void *b)
{
    const ledger_span_t  *x = a, *y = b;

    return compare_u64(x->first_ms, y->first_ms);
}

/* Notes may say anything; what is printed has 63 bits. */
static uint64_t
sum(uint64_t a, uint64_t b)
{
    return b > (uint64_t) INT64_MAX - a ? (uint64_t) INT64_MAX : a + b;
}

/* ---- spans of time ------------------------------------------------------- */

static void
add_span(ledger_spans_t *s, uint64_t first_ms, uint64_t last_ms)
{
    if (s->n == s->room) {
        s->room = s->room ? 2 * s->room : 8;
        s->span = tool_realloc(s->span, s->room * sizeof(*s->span));
    }

    s->span[s->n++] = (ledger_span_t) { first_ms, last_ms };
}

/* Sorted, and so that no two meet. */
static void
merge_spans(ledger_spans_t *s)
{
    size_t  i, n;

    if (s->n == 0) {
        return;
    }

    qsort(s->span, s->n, sizeof(*s->span), compare_spans);

    for (i = 1, n = 1; i < s->n; i++) {
        if (s->span[i].first_ms > s->span[n - 1].last_ms) {
            s->span[n++] = s->span[i];
        } else if (s->span[i].last_ms > s->span[n - 1].last_ms) {
            s->span[n - 1].last_ms = s->span[i].last_ms;
        }
    }

    s->n = n;
}

bool
ledger_spans_meet(const ledger_spans_t *s, uint64_t from_ms, uint64_t to_ms)
{
    size_t  low = 0, high = s->n, mid;

    while (low < high) {            /* the first that ends then or later */
        mid = low + (high - low) / 2;

        if (s->span[mid].last_ms < from_ms) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }

    return low < s->n && s->span[low].first_ms <= to_ms;
}

/* ---- holes --------------------------------------------------------------- */

/* By number; a note that was read twice is dropped. */
static void
sort_lost(ledger_t *l, ledger_source_t *s)
{
    size_t  i, n;

    if (s->nlost == 0) {
        return;
    }

    qsort(s->lost, s->nlost, sizeof(*s->lost), compare_lost);

    for (i = 1, n = 1; i < s->nlost; i++) {
        if (compare_lost(&s->lost[n - 1], &s->lost[i]) == 0) {
            l->counts.repeated++;
        } else {
            s->lost[n++] = s->lost[i];
        }
    }

    s->nlost = n;
}

/* How many of the numbers first..last, which are missing, no note explains.
 * Holes are asked about in rising order: *at is the next note, and what is below
 * *next is explained or was asked about. */
static uint64_t
unexplained(const ledger_source_t *s, size_t *at, uint64_t *next,
    uint64_t first, uint64_t last)
{
    uint64_t            n = 0;
    const reco_lost_t  *lost;

    if (*next < first) {
        *next = first;
    }

    for ( ; *at < s->nlost && s->lost[*at].lost.from <= last; ++*at) {
        lost = &s->lost[*at].lost;

        if (lost->to >= *next) {
            n += lost->from > *next ? lost->from - *next : 0;
            *next = lost->to + 1;
        }
    }

    return n + (*next <= last ? last - *next + 1 : 0);
}

/* What was lost there may have been about a decision that, by another
 * machine's clock, came a little later. */
static void
add_gap(ledger_t *l, const ledger_run_t *before, const ledger_run_t *after,
    ledger_spans_t *gaps, uint64_t lost)
{
    uint64_t  t0 = ledger_time_ms(before->last_at),
              t1 = ledger_time_ms(after->first_at);

    add_span(gaps, t0 < t1 ? t0 : t1, (t0 < t1 ? t1 : t0) + LEDGER_SKEW_MS);
    l->counts.gaps++;
    l->counts.lost = sum(l->counts.lost, lost);
}

/* By number, without those that lie within another, as those that were read
 * twice do: so the last numbers rise, too. */
static void
sort_runs(ledger_source_t *s)
{
    size_t  i, n = 0;

    if (s->nruns > 1) {
        qsort(s->runs, s->nruns, sizeof(*s->runs), compare_runs);
    }

    for (i = 0; i < s->nruns; i++) {
        if (n > 0 && s->runs[i].last <= s->runs[n - 1].last) {
            continue;
        }
        n -= n > 0 && s->runs[i].first == s->runs[n - 1].first;
        s->runs[n++] = s->runs[i];
    }

    s->nruns = n;
}

/* The numbers before a writer's first one were kept no longer, or are not
 * shipped. */
static void
find_holes(ledger_t *l, const ledger_source_t *s, ledger_spans_t *gaps)
{
    size_t               i, at = 0;
    uint64_t             lost, next = 0;
    const ledger_run_t  *before, *after;

    for (i = 1; i < s->nruns; i++) {
        before = &s->runs[i - 1];
        after = &s->runs[i];

        if (after->first > before->last && after->first - before->last > 1) {
            lost = unexplained(s, &at, &next, before->last + 1,
                               after->first - 1);
            if (lost > 0) {
                add_gap(l, before, after, gaps, lost);
            }
        }
    }
}

/* When the first of them was lost: after the writer's last record before it
 * where the note does not say. */
static uint64_t
lost_since_ms(const ledger_source_t *s, const ledger_lost_t *note)
{
    size_t    low = 0, high = s->nruns, mid;
    uint64_t  at = ledger_time_ms(note->at), elapsed;

    elapsed = note->lost.elapsed_ms;

    if (elapsed > 0) {
        return elapsed < at ? at - elapsed : 0;
    }

    while (low < high) {            /* the first run that ends there or later */
        mid = low + (high - low) / 2;

        if (s->runs[mid].last < note->lost.from) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }

    return low > 0 ? ledger_time_ms(s->runs[low - 1].last_at) : 0;
}

void
ledger_find_gaps(ledger_t *l, ledger_spans_t *gaps, ledger_spans_t *unlogged)
{
    size_t                i;
    ledger_source_t      *s;
    const ledger_lost_t  *note;

    for (s = l->private->sources; s; s = s->hh.next) {
        sort_lost(l, s);
        sort_runs(s);
        find_holes(l, s, gaps);

        for (i = 0; i < s->nlost; i++) {
            note = &s->lost[i];
            l->counts.unlogged = sum(l->counts.unlogged, note->lost.decisions);
            l->counts.refused = sum(l->counts.refused, note->lost.rewards);

            if (note->lost.decisions > 0) {
                add_span(unlogged, lost_since_ms(s, note),
                         ledger_time_ms(note->at));
            }
        }
    }

    merge_spans(gaps);
    merge_spans(unlogged);
}
