/*
 * train_q_learning.c - Q-learning as in Sutton & Barto, Reinforcement
 * Learning, 2nd ed., section 6.5, eq. (6.8): for each decision, in the order
 * of time (then id),
 *
 *     Q(s,a) += alpha (r + gamma max_{a'} Q(s',a') - Q(s,a))
 *
 * with the maximum over the actions that were eligible in s', and 0 behind the
 * end of a session. The log is gone through again until the mean change of a
 * pass is below the tolerance, or as often as --passes says. alpha is constant
 * and so follows what changes; a decision that counts less (--half-life, or
 * open) has so much less of it.
 *
 * Each level of the policy is a table of its own, learned by itself: the
 * levels are what the threads share out, since within one the order counts.
 * Values begin at the action's mean reward, which is also what a state that is
 * not in the table has. Pairs that were never tried get, at the end, the value
 * of the coarser level.
 */

#include "train_q.h"

#include "parallel.h"

#include <math.h>
#include <string.h>

/* The action's mean reward; of one never shown the mean over all. */
static void
set_root(qtable_t *q)
{
    size_t           i;
    double           all = 0, n = 0, *weight;
    uint32_t         c, k;
    const qcell_t   *cell;
    const qpair_t   *pair;
    const qlevel_t  *level = &q->levels[q->nlevels - 1];

    weight = tool_alloc(q->ncolumns * sizeof(*weight));
    memset(weight, 0, q->ncolumns * sizeof(*weight));

    for (i = 0; i < level->npairs; i++) {
        pair = &level->pairs[i];

        for (k = 0; k < pair->ncells; k++) {
            cell = &level->cells[pair->first + k];
            q->root[pair->column] += cell->reward;
            weight[pair->column] += cell->n;
            all += cell->reward;
            n += cell->n;
        }
    }

    for (c = 0; c < q->ncolumns; c++) {
        q->root[c] = weight[c] > 0 ? q->root[c] / weight[c]
                     : n > 0 ? all / n : 0;
    }

    free(weight);
}

static void
start(train_q_t *q)
{
    uint32_t   l, s;
    qlevel_t  *level;
    qtable_t  *table = q->table;

    set_root(table);

    for (l = 0; l < table->nlevels; l++) {
        level = &table->levels[l];
        level->before = tool_alloc((size_t) level->from->nstates
                                   * table->ncolumns * sizeof(double) + 1);

        for (s = 0; s < table->levels[l].from->nstates; s++) {
            memcpy(qtable_row(table, l, s), table->root,
                   table->ncolumns * sizeof(double));
        }
    }
}

/* ---- a pass ------------------------------------------------------------- */

typedef struct {
    train_q_t  *q;
    qchange_t   change[RECO_MAX_LEVELS];
} levels_t;

static double
value_of_next(const qtable_t *q, uint32_t l, uint32_t next)
{
    uint32_t  state;

    if (next == TRANSITIONS_NONE) {
        return 0;
    }

    state = q->t->levels[l].of_step[next];

    return qtable_max(q, state == TRANSITIONS_NONE
                         ? q->root : qtable_row(q, l, state),
                      q->t->steps[next].mask);
}

static void
update(train_q_t *q, uint32_t l, const transition_step_t *s, uint32_t state)
{
    double   weight, *value;
    double   r = (double) s->reward / TRANSITIONS_MICRO;

    weight = (double) s->weight / TRANSITIONS_MILLI
             * qtable_discount(q->transitions, s->period,
                               q->train->options->half_life_ms);
    value = qtable_row(q->table, l, state) + q->table->column[s->action];
    *value += q->table->alpha * weight
              * (r + q->table->gamma * value_of_next(q->table, l, s->next)
                 - *value);
}

static void
pass_level(void *data, size_t l)
{
    uint32_t              i, state;
    levels_t             *w = data;
    qtable_t             *table = w->q->table;
    const transitions_t  *t = w->q->transitions;
    qlevel_t             *level = &table->levels[l];

    memcpy(level->before, level->q, (size_t) level->from->nstates
                                    * table->ncolumns * sizeof(double));

    for (i = 0; i < t->nsteps; i++) {
        state = level->from->of_step[i];

        if (t->steps[i].left_out == LEFT_OUT_NOTHING
            && state != TRANSITIONS_NONE)
        {
            update(w->q, (uint32_t) l, &t->steps[i], state);
        }
    }

    for (i = 0; i < level->from->nstates; i++) {
        qtable_compare(table, level->before + (size_t) i * table->ncolumns,
                       level->q + (size_t) i * table->ncolumns,
                       &w->change[l]);
    }
}

static void
pass(train_q_t *q, qchange_t *change)
{
    uint32_t  l;
    levels_t  w = { .q = q };

    parallel_for(q->table->nlevels, q->table->threads, pass_level, &w);

    for (l = 0; l < q->table->nlevels; l++) {
        qtable_add_change(change, &w.change[l]);
    }
}

/* ---- the end ------------------------------------------------------------ */

static void
fill_untried(qtable_t *q, uint32_t l, uint32_t state)
{
    size_t           i;
    double           row[RECO_MAX_ACTIONS];
    double          *value = qtable_row(q, l, state);
    const qlevel_t  *level = &q->levels[l];

    memcpy(row, qtable_prior(q, l, state), q->ncolumns * sizeof(*row));

    for (i = level->first[state]; i < level->first[state + 1]; i++) {
        row[level->pairs[i].column] = value[level->pairs[i].column];
    }

    memcpy(value, row, q->ncolumns * sizeof(*row));
}

static void
end(train_q_t *q)
{
    uint32_t  l, s;

    for (l = q->table->nlevels; l-- > 0; ) {
        qtable_targets(q->table, l, true);

        for (s = 0; s < q->table->levels[l].from->nstates; s++) {
            fill_untried(q->table, l, s);
        }
    }
}

bool
train_q_learning(train_t *t)
{
    static const train_q_algorithm_t  algorithm = {
        .max_passes = 100, .by_mean = true, .always_all = true,
        .tolerance = 1e-6, .start = start, .pass = pass, .end = end
    };

    return train_q(t, &algorithm);
}
