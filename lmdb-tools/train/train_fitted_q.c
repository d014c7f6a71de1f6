/*
 * train_fitted_q.c - Q-learning on transition statistics: value iteration on
 * the model that the log gives, each state shrunk to the next coarser one.
 *
 * Level by level, the coarsest first in every pass (V from the pass before:
 * Jacobi iteration):
 *
 *     Q_l(s,a) = (n T_l(s,a) + k Q_{l+1}(parent(s), a)) / (n + k)
 *     T_l(s,a) = mean of r + gamma V_l(s') over the transitions of (s,a)
 *     V_l(s')  = max of Q_l(s',.) over the actions eligible in that s'
 *
 * n is the number of decisions (discounted by --half-life, and less than 1
 * each while they are open), k learning.shrinkage. The coarsest level shrinks
 * to the action's mean, that of T over the level's states weighted by n; an
 * action that nobody was ever shown has the mean over all. With k = 0 a pair
 * that was tried has its target, one that was not its prior. A next state
 * without a value of its own (nothing is learned from it) has its parent's:
 * that is what n = 0 gives.
 *
 * With k = 0 and one level this is value iteration on the maximum-likelihood
 * model (Sutton & Barto, Reinforcement Learning, 2nd ed., 4.4 and the
 * certainty-equivalence of 6.3); on a table it is fitted Q iteration (Ernst,
 * Geurts, Wehenkel, JMLR 6, 2005).
 */

#include "train_q.h"

#include "parallel.h"

#include <string.h>

#define BLOCK   1024            /* states a thread takes at once */

typedef struct {
    qtable_t   *q;
    uint32_t    l;
    qchange_t  *changes;        /* by block */
} states_t;

/* The action's mean over the coarsest level. */
static void
set_root(qtable_t *q)
{
    size_t            i;
    double            all = 0, n = 0, *weight;
    uint32_t          c;
    const qpair_t    *pair;
    const qlevel_t   *level = &q->levels[q->nlevels - 1];

    weight = tool_alloc(q->ncolumns * sizeof(*weight));

    for (c = 0; c < q->ncolumns; c++) {
        q->root[c] = weight[c] = 0;
    }

    for (i = 0; i < level->npairs; i++) {
        pair = &level->pairs[i];
        q->root[pair->column] += pair->n * pair->target;
        weight[pair->column] += pair->n;
        all += pair->n * pair->target;
        n += pair->n;
    }

    for (c = 0; c < q->ncolumns; c++) {
        q->root[c] = weight[c] > 0 ? q->root[c] / weight[c]
                     : n > 0 ? all / n : 0;
    }

    free(weight);
}

static void
update_state(states_t *w, uint32_t state, qchange_t *change)
{
    size_t           i;
    double           row[RECO_MAX_ACTIONS];
    double          *q = qtable_row(w->q, w->l, state);
    double           k = w->q->shrinkage;
    const qpair_t   *pair;
    const qlevel_t  *level = &w->q->levels[w->l];

    memcpy(row, qtable_prior(w->q, w->l, state),
           w->q->ncolumns * sizeof(*row));

    for (i = level->first[state]; i < level->first[state + 1]; i++) {
        pair = &level->pairs[i];

        if (pair->n > 0) {
            row[pair->column] = (pair->n * pair->target
                                 + k * row[pair->column]) / (pair->n + k);
        }
    }

    qtable_compare(w->q, q, row, change);
    memcpy(q, row, w->q->ncolumns * sizeof(*row));
}

static void
update_block(void *data, size_t block)
{
    uint32_t   s, end;
    states_t  *w = data;
    uint32_t   n = w->q->levels[w->l].from->nstates;

    s = (uint32_t) (block * BLOCK);
    end = s + BLOCK < n ? s + BLOCK : n;

    for ( ; s < end; s++) {
        update_state(w, s, &w->changes[block]);
    }
}

static void
pass_level(qtable_t *q, uint32_t l, qchange_t *change)
{
    size_t    i, n = (q->levels[l].from->nstates + BLOCK - 1) / BLOCK;
    states_t  w = { q, l, tool_alloc((n + 1) * sizeof(*w.changes)) };

    memset(w.changes, 0, n * sizeof(*w.changes));
    qtable_targets(q, l, false);

    if (l + 1 == q->nlevels) {
        set_root(q);
    }

    parallel_for(n, q->threads, update_block, &w);

    for (i = 0; i < n; i++) {
        qtable_add_change(change, &w.changes[i]);
    }

    free(w.changes);
}

static void
pass(train_q_t *q, qchange_t *change)
{
    uint32_t  l;

    for (l = q->table->nlevels; l-- > 0; ) {
        pass_level(q->table, l, change);
    }
}

static void
start(train_q_t *q)
{
    (void) q;                   /* from 0 */
}

/* The targets that the confidence is about are those of the last values. */
static void
end(train_q_t *q)
{
    uint32_t  l;

    for (l = 0; l < q->table->nlevels; l++) {
        qtable_targets(q->table, l, false);
    }
}

bool
train_fitted_q(train_t *t)
{
    static const train_q_algorithm_t  algorithm = {
        .max_passes = 10000, .tolerance = 1e-10,
        .start = start, .pass = pass, .end = end
    };

    return train_q(t, &algorithm);
}
