/*
 * qtable.h - the values that fitted-q and q-learning learn: Q(s, a) for every
 * state of every level and every active action, and what both ask of them.
 *
 * The root stands above the coarsest level: one value for each action, its
 * mean, for what was never visited.
 */

#ifndef RECO_QTABLE_H
#define RECO_QTABLE_H

#include "transitions.h"

/* Values in one table; a double each. */
#define QTABLE_MAX_VALUES   ((uint64_t) 1 << 28)

/* Evidence that has aged to less than this many decisions is none. */
#define QTABLE_LEAST        1e-9

/* What followed an action in a state, discounted by age. */
typedef struct {
    uint32_t  outcome;          /* of the level, NONE: terminal */
    double    n;
    double    reward;           /* sum of n r */
    double    square;           /* sum of n r^2 */
} qcell_t;

/* An action in a state in which it was tried. */
typedef struct {
    uint32_t  state;
    uint16_t  column;
    uint32_t  ncells;
    size_t    first;            /* cell */
    double    n;                /* discounted decisions */
    double    n2;               /* sum of squared weights */
    double    target;           /* mean of r + gamma V(s') */
} qpair_t;

typedef struct {
    const transition_level_t  *from;
    double                    *q;           /* by state, column */
    double                    *before;      /* the same, one pass ago
                                               (q-learning) */
    double                    *v;           /* by outcome */
    qpair_t                   *pairs;       /* by state, column */
    size_t                     npairs;
    size_t                    *first;       /* pair, by state; nstates + 1 */
    qcell_t                   *cells;
    double                     variance;    /* of targets within pairs; NAN:
                                               unknown */
} qlevel_t;

typedef struct {
    const transitions_t  *t;
    uint32_t              ncolumns;         /* active actions */
    uint16_t             *action;           /* of a column */
    int32_t              *column;           /* of an action, or -1 */
    uint16_t            **mask;             /* columns of each mask ... */
    uint32_t             *nmask;            /* ... and how many */
    double               *root;             /* by column */
    qlevel_t              levels[RECO_MAX_LEVELS];
    uint32_t              nlevels;

    double                gamma;            /* discount factor */
    double                alpha;            /* learning rate */
    double                shrinkage;
    uint32_t              threads;
} qtable_t;

/* What a pass did to the values. */
typedef struct {
    double    sum_change;       /* of absolute changes, over nvalues */
    double    max_change;
    double    max_value;        /* absolute */
    uint64_t  nvalues;
    uint64_t  agree;            /* states with the same greedy action */
    uint64_t  nstates;
} qchange_t;

/* NULL after a message. Values are 0. The transitions must outlive it. */
qtable_t *qtable_new(const transitions_t *t, uint64_t half_life_ms);
void qtable_free(qtable_t *q);

/* 2^-(age / half-life) for a step of that period. */
double qtable_discount(const transitions_t *t, uint32_t period,
    uint64_t half_life_ms);

static inline double *
qtable_row(const qtable_t *q, uint32_t level, uint32_t state)
{
    return level < q->nlevels
           ? q->levels[level].q + (size_t) state * q->ncolumns : q->root;
}

/* The prior of a state's actions: the row of its parent, or the root. */
const double *qtable_prior(const qtable_t *q, uint32_t level, uint32_t state);

/* The greatest value among a mask's actions. */
double qtable_max(const qtable_t *q, const double *row, uint32_t mask);

/* Sets v of all the level's outcomes, and of each pair its target. Outcomes on
 * a coarser level have that level's value; with 'own', the root's. */
void qtable_targets(qtable_t *q, uint32_t level, bool own);

/* Compares a row with what it was. */
void qtable_compare(const qtable_t *q, const double *before,
    const double *now, qchange_t *change);
void qtable_add_change(qchange_t *sum, const qchange_t *change);

/* Sets 'variance' of each level from its targets: the variance within pairs,
 * pooled over the level's pairs; where no pair was tried twice, that of the
 * next coarser level. */
void qtable_variance(qtable_t *q);

/* P(best) of each column of a state; false where it is unknown. The posterior
 * of Q(s, a) is normal with mean Q(s, a) and variance 'variance' / (n + k):
 * that of a normal mean with n observations and a normal prior that weighs as
 * much as k of them (Gelman et al., Bayesian Data Analysis, 3rd ed., 2.5).
 * Actions are taken as independent. p and sd have room for ncolumns. */
bool qtable_confidence(const qtable_t *q, uint32_t level, uint32_t state,
    double *sd, double *p);

#endif /* RECO_QTABLE_H */
