/*
 * train_q_rows.c - the learned values as rows of the snapshot, each with the
 * posterior probability that an action is the state's best. A state whose
 * evidence has aged to nothing gets no row: the coarser one answers for it.
 */

#include "train_q.h"

#include "parallel.h"

#include <math.h>

#define BLOCK   256             /* states whose probabilities are computed
                                   before they are written */

/* In decisions: half of what an open one counts for at least. A row of less
 * than half a decision has 0 visits, and so answers only where no coarser one
 * does. */
#define LEAST_EVIDENCE  (LEDGER_WEIGHT_MIN / 2)

typedef struct {
    train_q_t  *q;
    uint32_t    l;
    uint32_t    first;          /* state */
    double     *p;              /* by state of the block, column */
} rows_t;

static void
row_confidence(void *data, size_t i)
{
    double    sd[RECO_MAX_ACTIONS];
    rows_t   *w = data;
    uint32_t  c, n = w->q->table->ncolumns;
    double   *p = w->p + i * n;

    if (!qtable_confidence(w->q->table, w->l, w->first + (uint32_t) i, sd, p))
    {
        for (c = 0; c < n; c++) {
            p[c] = NAN;
        }
    }
}

/* Returns what the row is learned from, in decisions. */
static double
fill_entries(const rows_t *w, uint32_t state, reco_entry_t *entries,
    uint64_t *visits)
{
    size_t           i;
    double           n = 0;
    uint32_t         c;
    const qtable_t  *table = w->q->table;
    const qlevel_t  *level = &table->levels[w->l];
    const double    *q = qtable_row(table, w->l, state);
    const double    *p = w->p + (size_t) (state - w->first) * table->ncolumns;

    for (c = 0; c < table->ncolumns; c++) {
        entries[c] = (reco_entry_t) { table->action[c], q[c], 0, p[c] };
    }

    for (i = level->first[state]; i < level->first[state + 1]; i++) {
        c = level->pairs[i].column;
        entries[c].visits = (uint64_t) llround(level->pairs[i].n);
        *visits += entries[c].visits;
        n += level->pairs[i].n;
    }

    return n;
}

static void
count_row(train_q_t *q, uint32_t l, const reco_entry_t *entries,
    uint64_t visits)
{
    double    best = 0;
    uint32_t  c;

    for (c = 0; c < q->table->ncolumns; c++) {
        q->min = q->entries ? fmin(q->min, entries[c].value)
                            : entries[c].value;
        q->max = q->entries ? fmax(q->max, entries[c].value)
                            : entries[c].value;
        q->sum += entries[c].value;
        q->entries++;
        best = fmax(best, entries[c].confidence);
    }

    q->rows[l]++;
    q->train->states++;

    if (l == 0) {
        q->all_visits += visits;
    }

    if (l == 0 && !isnan(entries[0].confidence)) {
        q->confidence += (double) visits * best;
        q->weight += (double) visits;
    }
}

static bool
write_row(rows_t *w, uint32_t state, reco_entry_t *entries)
{
    uint64_t       visits = 0;
    reco_error_t   err;
    reco_status_t  status;

    if (fill_entries(w, state, entries, &visits) < LEAST_EVIDENCE) {
        return true;
    }

    w->q->visits[w->l][state] = visits;
    count_row(w->q, w->l, entries, visits);

    status = reco_builder_row(w->q->train->builder,
                              w->q->table->levels[w->l].from->states[state].key,
                              visits, entries, w->q->table->ncolumns, &err);

    if (status == RECO_IO) {
        tool_error("%s", err.message);          /* it names the file */
    } else if (status != RECO_OK) {
        tool_fail("train", &err);
    }

    return status == RECO_OK;
}

static bool
write_level(rows_t *w, reco_entry_t *entries)
{
    bool      ok = true;
    uint32_t  i, n, states = w->q->table->levels[w->l].from->nstates;

    w->q->visits[w->l] = tool_alloc((states + 1) * sizeof(uint64_t));

    for (i = 0; i < states; i++) {
        w->q->visits[w->l][i] = TRAIN_NO_ROW;
    }

    for (w->first = 0; ok && w->first < states; w->first += n) {
        n = states - w->first < BLOCK ? states - w->first : BLOCK;
        parallel_for(n, w->q->table->threads, row_confidence, w);

        for (i = 0; ok && i < n; i++) {
            ok = write_row(w, w->first + i, entries);
        }
    }

    return ok;
}

bool
train_q_rows(train_q_t *q)
{
    bool           ok = true;
    rows_t         w = { .q = q };
    uint32_t       n = q->table->ncolumns;
    reco_entry_t  *entries = tool_alloc(n * sizeof(*entries));

    w.p = tool_alloc((size_t) BLOCK * n * sizeof(*w.p));

    for (w.l = 0; ok && w.l < q->table->nlevels; w.l++) {
        ok = write_level(&w, entries);
    }

    free(w.p);
    free(entries);

    if (ok && q->train->states == 0) {
        tool_error("all evidence is too old to count: no state is left");
        ok = false;
    }

    return ok;
}
