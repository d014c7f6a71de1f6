/*
 * qtable.c - values, targets and confidence of tabular Q-learning. All memory
 * belongs to the qtable_t. Sums run in the order of states, actions and
 * outcomes, never in that of threads.
 */

#include "qtable.h"

#include "normal.h"
#include "parallel.h"

#include <math.h>
#include <string.h>

#define BLOCK   1024            /* outcomes or pairs a thread takes at once */

static void *
zeros(size_t n, size_t size)
{
    void  *p = tool_alloc(n * size + 1);

    memset(p, 0, n * size);

    return p;
}

double
qtable_discount(const transitions_t *t, uint32_t period,
    uint64_t half_life_ms)
{
    if (half_life_ms == 0) {
        return 1;
    }

    return exp2(-(double) period * (double) t->period_ms
                / (double) half_life_ms);
}

/* ---- building ----------------------------------------------------------- */

static void
make_columns(qtable_t *q)
{
    uint32_t             i, k;
    const transitions_t  *t = q->t;
    uint32_t             n = t->model->catalogue.n;

    q->action = zeros(n, sizeof(*q->action));
    q->column = zeros(n, sizeof(*q->column));

    for (i = 0; i < n; i++) {
        q->column[i] = -1;
        if (reco_mask_get(&t->model->active, i)) {
            q->column[i] = (int32_t) q->ncolumns;
            q->action[q->ncolumns++] = (uint16_t) i;
        }
    }

    q->mask = zeros(t->nmasks, sizeof(*q->mask));
    q->nmask = zeros(t->nmasks, sizeof(*q->nmask));

    for (k = 0; k < t->nmasks; k++) {
        q->mask[k] = zeros(q->ncolumns, sizeof(**q->mask));

        for (i = 0; i < q->ncolumns; i++) {
            if (reco_mask_get(&t->masks[k], q->action[i])) {
                q->mask[k][q->nmask[k]++] = (uint16_t) i;
            }
        }
    }
}

/* One cell of the transitions, which differ by period, onto a cell and its
 * pair. */
static void
fold(qcell_t *cell, qpair_t *pair, const transition_cell_t *c, double d)
{
    double  weight = d * ((double) c->weight / TRANSITIONS_MILLI);
    double  reward = d * ((double) c->reward
                          / (TRANSITIONS_MILLI * TRANSITIONS_MICRO));
    double  square = d * ((double) c->square
                          / (TRANSITIONS_MILLI * TRANSITIONS_MICRO
                             * TRANSITIONS_MICRO));

    cell->n += weight;
    cell->reward += reward;
    cell->square += square;
    pair->n += weight;
    pair->n2 += d * d * ((double) c->weight2
                         / (TRANSITIONS_MILLI * TRANSITIONS_MILLI));
}

static void
fold_level(qtable_t *q, uint32_t l, uint64_t half_life_ms)
{
    size_t                     i, n = 0;
    qlevel_t                  *level = &q->levels[l];
    const transition_cell_t   *c, *before = NULL;
    const transition_level_t  *from = level->from;

    level->cells = zeros(from->ncells, sizeof(*level->cells));
    level->pairs = zeros(from->ncells, sizeof(*level->pairs));
    level->first = zeros(from->nstates + 1, sizeof(*level->first));

    for (i = 0; i < from->ncells; i++, before = c) {
        c = &from->cells[i];

        if (before == NULL || c->state != before->state
            || c->action != before->action)
        {
            level->pairs[level->npairs++] = (qpair_t) {
                .state = c->state, .first = n,
                .column = (uint16_t) q->column[c->action]
            };
            level->first[c->state + 1] = level->npairs;
            before = NULL;
        }

        if (before == NULL || c->outcome != before->outcome) {
            level->cells[n++].outcome = c->outcome;
            level->pairs[level->npairs - 1].ncells++;
        }

        fold(&level->cells[n - 1], &level->pairs[level->npairs - 1], c,
             qtable_discount(q->t, c->period, half_life_ms));
    }

    for (i = 0; i < level->npairs; i++) {
        if (level->pairs[i].n < QTABLE_LEAST) {
            level->pairs[i].n = 0;
        }
    }

    level->q = zeros((size_t) from->nstates * q->ncolumns, sizeof(double));
    level->v = zeros(from->noutcomes, sizeof(double));
}

static bool
fits(const qtable_t *q)
{
    uint32_t  l;
    uint64_t  states = 0;

    for (l = 0; l < q->nlevels; l++) {
        states += q->t->levels[l].nstates;
    }

    if (states > QTABLE_MAX_VALUES / (q->ncolumns ? q->ncolumns : 1)) {
        tool_error("$.learning.max_states: %llu states of %u actions are more "
                   "than the %llu values that can be learned at once",
                   (unsigned long long) states, q->ncolumns,
                   (unsigned long long) QTABLE_MAX_VALUES);
        return false;
    }

    return true;
}

qtable_t *
qtable_new(const transitions_t *t, uint64_t half_life_ms)
{
    uint32_t   l;
    qtable_t  *q = zeros(1, sizeof(*q));

    q->t = t;
    q->nlevels = t->nlevels;
    make_columns(q);

    if (!fits(q)) {
        qtable_free(q);
        return NULL;
    }

    q->root = zeros(q->ncolumns, sizeof(*q->root));

    for (l = 0; l < q->nlevels; l++) {
        q->levels[l].from = &t->levels[l];
        fold_level(q, l, half_life_ms);
    }

    return q;
}

void
qtable_free(qtable_t *q)
{
    uint32_t   i;
    qlevel_t  *level;

    if (q == NULL) {
        return;
    }

    for (i = 0; i < q->nlevels; i++) {
        level = &q->levels[i];
        free(level->q);
        free(level->before);
        free(level->v);
        free(level->pairs);
        free(level->first);
        free(level->cells);
    }

    for (i = 0; i < q->t->nmasks; i++) {
        free(q->mask[i]);
    }

    free(q->mask);
    free(q->nmask);
    free(q->action);
    free(q->column);
    free(q->root);
    free(q);
}

/* ---- values ------------------------------------------------------------- */

const double *
qtable_prior(const qtable_t *q, uint32_t level, uint32_t state)
{
    return qtable_row(q, level + 1,
                      level + 1 < q->nlevels
                      ? q->levels[level].from->states[state].parent : 0);
}

double
qtable_max(const qtable_t *q, const double *row, uint32_t mask)
{
    double           best;
    uint32_t         i;
    const uint16_t  *columns = q->mask[mask];

    for (best = row[columns[0]], i = 1; i < q->nmask[mask]; i++) {
        if (row[columns[i]] > best) {
            best = row[columns[i]];
        }
    }

    return best;
}

typedef struct {
    qtable_t  *q;
    qlevel_t  *level;
    uint32_t   l;
    bool       own;
} targets_t;

static void
value_block(void *data, size_t block)
{
    uint32_t                     i, end;
    targets_t                   *w = data;
    const double                *row;
    const transition_outcome_t  *o;

    i = (uint32_t) (block * BLOCK);
    end = i + BLOCK < w->level->from->noutcomes
          ? i + BLOCK : w->level->from->noutcomes;

    for ( ; i < end; i++) {
        o = &w->level->from->outcomes[i];
        row = w->own && o->level != w->l
              ? w->q->root : qtable_row(w->q, o->level, o->state);
        w->level->v[i] = qtable_max(w->q, row, o->mask);
    }
}

static double
cell_value(const qlevel_t *level, const qcell_t *c)
{
    return c->outcome == TRANSITIONS_NONE ? 0 : level->v[c->outcome];
}

static void
target_block(void *data, size_t block)
{
    size_t      i, end;
    double      sum;
    uint32_t    k;
    qpair_t    *pair;
    qcell_t    *cell;
    targets_t  *w = data;

    i = block * BLOCK;
    end = i + BLOCK < w->level->npairs ? i + BLOCK : w->level->npairs;

    for ( ; i < end; i++) {
        pair = &w->level->pairs[i];
        cell = &w->level->cells[pair->first];

        for (sum = 0, k = 0; k < pair->ncells; k++) {
            sum += cell[k].reward
                   + w->q->gamma * cell[k].n * cell_value(w->level, &cell[k]);
        }

        pair->target = pair->n > 0 ? sum / pair->n : 0;
    }
}

void
qtable_targets(qtable_t *q, uint32_t level, bool own)
{
    targets_t  w = { q, &q->levels[level], level, own };

    parallel_for((w.level->from->noutcomes + BLOCK - 1) / BLOCK, q->threads,
                 value_block, &w);
    parallel_for((w.level->npairs + BLOCK - 1) / BLOCK, q->threads,
                 target_block, &w);
}

/* ---- changes ------------------------------------------------------------ */

/* Of equal values the first. */
static uint32_t
greedy(const double *row, uint32_t n)
{
    uint32_t  i, best = 0;

    for (i = 1; i < n; i++) {
        if (row[i] > row[best]) {
            best = i;
        }
    }

    return best;
}

void
qtable_compare(const qtable_t *q, const double *before, const double *now,
    qchange_t *change)
{
    double    d;
    uint32_t  i;

    for (i = 0; i < q->ncolumns; i++) {
        d = fabs(now[i] - before[i]);
        change->sum_change += d;
        change->max_change = fmax(change->max_change, d);
        change->max_value = fmax(change->max_value, fabs(now[i]));
    }

    change->nvalues += q->ncolumns;
    change->nstates++;
    change->agree += greedy(before, q->ncolumns) == greedy(now, q->ncolumns);
}

void
qtable_add_change(qchange_t *sum, const qchange_t *change)
{
    sum->sum_change += change->sum_change;
    sum->max_change = fmax(sum->max_change, change->max_change);
    sum->max_value = fmax(sum->max_value, change->max_value);
    sum->nvalues += change->nvalues;
    sum->nstates += change->nstates;
    sum->agree += change->agree;
}

/* ---- confidence --------------------------------------------------------- */

/* The sum of n (y - mean)^2 over a pair's targets y. */
static double
squares_within(const qtable_t *q, const qlevel_t *level, const qpair_t *pair)
{
    double          d, sum = 0;
    uint32_t        k;
    const qcell_t  *c;

    for (k = 0; k < pair->ncells; k++) {
        c = &level->cells[pair->first + k];
        if (!(c->n > 0)) {
            continue;
        }
        d = c->reward / c->n + q->gamma * cell_value(level, c) - pair->target;
        sum += c->n * d * d
               + fmax(0, c->square - c->reward * c->reward / c->n);
    }

    return sum;
}

void
qtable_variance(qtable_t *q)
{
    double     sum, freedom, coarser = NAN;
    size_t     i;
    uint32_t   l;
    qpair_t   *pair;
    qlevel_t  *level;

    for (l = q->nlevels; l-- > 0; ) {
        level = &q->levels[l];

        for (sum = freedom = 0, i = 0; i < level->npairs; i++) {
            pair = &level->pairs[i];
            if (pair->n > 0) {
                sum += squares_within(q, level, pair);
                freedom += pair->n - pair->n2 / pair->n;
            }
        }

        level->variance = freedom > 1e-9 ? sum / freedom : coarser;
        if (level->variance < 1e-20) {
            level->variance = 0;        /* rounding of equal targets */
        }
        coarser = level->variance;
    }
}

bool
qtable_confidence(const qtable_t *q, uint32_t level, uint32_t state,
    double *sd, double *p)
{
    size_t           i;
    uint32_t         k;
    const qlevel_t  *v = &q->levels[level];

    if (isnan(v->variance)) {
        return false;
    }

    for (k = 0; k < q->ncolumns; k++) {
        sd[k] = q->shrinkage;
    }

    for (i = v->first[state]; i < v->first[state + 1]; i++) {
        sd[v->pairs[i].column] += v->pairs[i].n;
    }

    for (k = 0; k < q->ncolumns; k++) {
        if (!(sd[k] > 0)) {
            return false;               /* nothing is known of this one */
        }
        sd[k] = sqrt(v->variance / sd[k]);
    }

    return normal_p_best(qtable_row(q, level, state), sd, q->ncolumns, p);
}
