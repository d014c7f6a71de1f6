/*
 * transitions_cells.c - the integer sums of transitions: what is alike is
 * brought together by sorting, so that the sums come out in one order.
 */

#include "transitions.h"

#include <string.h>

/* One step on one level; its sums are those of one decision. */
typedef struct {
    uint32_t  state;
    uint32_t  outcome;
    uint32_t  period;
    uint32_t  step;
    uint16_t  action;
} arrival_t;

static int
compare_u32(uint32_t a, uint32_t b)
{
    return (a > b) - (a < b);
}

static int
compare_outcomes(const void *a, const void *b)
{
    int                          order;
    const transition_outcome_t  *x = a, *y = b;

    order = compare_u32(x->level, y->level);
    order = order ? order : compare_u32(x->state, y->state);

    return order ? order : compare_u32(x->mask, y->mask);
}

static int
compare_arrivals(const void *a, const void *b)
{
    int               order;
    const arrival_t  *x = a, *y = b;

    order = compare_u32(x->state, y->state);
    order = order ? order : compare_u32(x->action, y->action);
    order = order ? order : compare_u32(x->outcome, y->outcome);
    order = order ? order : compare_u32(x->period, y->period);

    return order ? order : compare_u32(x->step, y->step);
}

static bool
is_same_cell(const arrival_t *x, const arrival_t *y)
{
    return x->state == y->state && x->action == y->action
           && x->outcome == y->outcome && x->period == y->period;
}

/* Where a step leads, as seen from a level. */
static transition_outcome_t
outcome_of(const transitions_t *t, uint32_t l, uint32_t next)
{
    uint32_t  level;

    for (level = l; level < t->nlevels; level++) {
        if (t->levels[level].of_step[next] != TRANSITIONS_NONE) {
            return (transition_outcome_t) {
                level, t->levels[level].of_step[next], t->steps[next].mask
            };
        }
    }

    return (transition_outcome_t) { t->nlevels, 0, t->steps[next].mask };
}

static bool
counts_on(const transitions_t *t, const transition_level_t *level,
    uint32_t step)
{
    return t->steps[step].left_out == LEFT_OUT_NOTHING
           && level->of_step[step] != TRANSITIONS_NONE;
}

static void
collect_outcomes(transitions_t *t, uint32_t l)
{
    uint32_t             i, n = 0;
    transition_level_t  *level = &t->levels[l];

    level->outcomes = tool_alloc((t->nsteps + 1) * sizeof(*level->outcomes));

    for (i = 0; i < t->nsteps; i++) {
        if (counts_on(t, level, i) && t->steps[i].next != TRANSITIONS_NONE) {
            level->outcomes[n++] = outcome_of(t, l, t->steps[i].next);
        }
    }

    if (n > 0) {
        qsort(level->outcomes, n, sizeof(*level->outcomes), compare_outcomes);
    }

    for (i = 0; i < n; i++) {
        if (i == 0 || compare_outcomes(&level->outcomes[i],
                          &level->outcomes[level->noutcomes - 1]) != 0)
        {
            level->outcomes[level->noutcomes++] = level->outcomes[i];
        }
    }

    level->outcomes = tool_realloc(level->outcomes, (level->noutcomes + 1)
                                   * sizeof(*level->outcomes));
}

static uint32_t
outcome_index(const transitions_t *t, uint32_t l, uint32_t next)
{
    transition_outcome_t        key, *found;
    const transition_level_t   *level = &t->levels[l];

    if (next == TRANSITIONS_NONE) {
        return TRANSITIONS_NONE;
    }

    key = outcome_of(t, l, next);
    found = bsearch(&key, level->outcomes, level->noutcomes, sizeof(key),
                    compare_outcomes);

    return (uint32_t) (found - level->outcomes);
}

static void
add_to_cell(transition_cell_t *c, const transition_step_t *s)
{
    transition_sum_t  w = s->weight, r = s->reward;

    c->count++;
    c->weight += s->weight;
    c->weight2 += (uint64_t) s->weight * s->weight;
    c->reward += w * r;
    c->square += w * r * r;
}

static void
sum_level(transitions_t *t, uint32_t l)
{
    size_t               n = 0, i;
    uint32_t             k;
    arrival_t           *a;
    transition_level_t  *level = &t->levels[l];

    collect_outcomes(t, l);
    a = tool_alloc((t->nused + 1) * sizeof(*a));

    for (k = 0; k < t->nsteps; k++) {
        if (counts_on(t, level, k)) {
            a[n++] = (arrival_t) {
                level->of_step[k], outcome_index(t, l, t->steps[k].next),
                t->steps[k].period, k, t->steps[k].action
            };
        }
    }

    if (n > 0) {
        qsort(a, n, sizeof(*a), compare_arrivals);
    }

    level->cells = tool_alloc((n + 1) * sizeof(*level->cells));

    for (i = 0; i < n; i++) {
        if (i == 0 || !is_same_cell(&a[i], &a[i - 1])) {
            level->cells[level->ncells++] = (transition_cell_t) {
                .state = a[i].state, .outcome = a[i].outcome,
                .period = a[i].period, .action = a[i].action
            };
        }
        add_to_cell(&level->cells[level->ncells - 1], &t->steps[a[i].step]);
    }

    level->cells = tool_realloc(level->cells, (level->ncells + 1)
                                * sizeof(*level->cells));
    free(a);
}

void
transitions_sum(transitions_t *t)
{
    uint32_t  l;

    for (l = 0; l < t->nlevels; l++) {
        sum_level(t, l);
    }
}
