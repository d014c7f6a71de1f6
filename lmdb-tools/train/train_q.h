/*
 * train_q.h - what fitted-q and q-learning share: passes over a table of
 * values until they no longer change it, checkpoints between passes, rows,
 * facts. An algorithm is the three functions of train_q_algorithm_t.
 *
 * The facts, which the snapshot carries as its "training" (null where there is
 * nothing to tell):
 *
 *   algorithm, passes, converged, episodes, transitions, states
 *   left_out             {reason: decisions}, transitions.h
 *   learning_rate, discount_factor, shrinkage, epsilon, half_life_days
 *   origins              {option: "option" | "environment" | "spec"}
 *   average_reward, reward_variance, conversion_rate
 *                        over all settled decisions of the log
 *   reward_by_episode    sums of the last 100 episodes, as they began
 *   confidence           the greatest of each full state, by visits
 *   actions              {id: share of what was shown}
 *   countries            {code: {"orders", "revenue"}}, by the feature
 *                        "country", of decisions with the fact conversion
 *   table                {"states", "entries", "visits" (of full states),
 *                        "mean", "min", "max" (of values), "dropped",
 *                        "levels": [rows]}
 *   convergence          [{"pass", "mean_change", "max_change",
 *                        "policy_agreement"}]
 *   backoff              with hold_out: {"held_out": decisions, "levels":
 *                        [share answered there], "unknown": share}
 *   last_training_ms     the as-of time
 */

#ifndef RECO_TRAIN_Q_H
#define RECO_TRAIN_Q_H

#include "qtable.h"

typedef struct {
    uint64_t  pass;             /* from 1 */
    double    mean_change;      /* of |Q| over the table's values */
    double    max_change;
    double    agreement;        /* share of states whose greedy action is that
                                   of the pass before */
} train_pass_t;

typedef struct train_q_s {
    train_t         *train;
    transitions_t   *transitions;
    qtable_t        *table;
    uint64_t         passes;
    bool             converged;
    train_pass_t    *course;    /* at most TRAIN_MAX_COURSE: of more passes
                                   every stride-th, and the last */
    uint32_t         ncourse;
    uint64_t         stride;
    train_pass_t     last;

    /* of the rows that were written */
    uint64_t        *visits[RECO_MAX_LEVELS];   /* by state */
    uint64_t         rows[RECO_MAX_LEVELS];
    uint64_t         entries;
    uint64_t         all_visits;                /* of level 0 */
    double           sum, min, max;             /* of values */
    double           confidence, weight;        /* sums over level 0 */
} train_q_t;

#define TRAIN_MAX_COURSE    1000
#define TRAIN_NO_ROW        UINT64_MAX

typedef struct {
    uint64_t  max_passes;       /* where the caller gives none */
    bool      by_mean;          /* converged by the mean change, not by the
                                   greatest */
    bool      always_all;       /* passes that were asked for are all made */
    double    tolerance;        /* relative to the greatest |Q|, or absolute
                                   where that is below 1 */
    void    (*start)(train_q_t *q);
    void    (*pass)(train_q_t *q, qchange_t *change);
    void    (*end)(train_q_t *q);
} train_q_algorithm_t;

bool train_q(train_t *t, const train_q_algorithm_t *algorithm);

/* The option's value, else the spec's. */
double train_learning_rate(const train_t *t);
double train_discount_factor(const train_t *t);

/* ---- between the files of train_q --------------------------------------- */

bool train_q_rows(train_q_t *q);
void train_q_facts(train_q_t *q);

/* A checkpoint holds the values after a pass, with a fingerprint of what they
 * were learned from and how. Reading: true with *found false where there is no
 * file; false after a message, also where it is another training's. */
bool checkpoint_read(train_q_t *q, const char *path, bool *found);
bool checkpoint_write(const train_q_t *q, const char *path);

#endif /* RECO_TRAIN_Q_H */
