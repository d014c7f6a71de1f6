/*
 * train.h - learning as a library: from a settled ledger to a snapshot with
 * learned values. `reco train`, `reco train --follow` and the comparison of
 * `reco simulate` call train_model(); an algorithm fills in a train_t.
 *
 * To add an algorithm: a file train_NAME.c, its function here, a line in the
 * table of train.c.
 *
 *   fitted-q     q_table; transition statistics iterated to convergence
 *   q-learning   q_table; the textbook update in the order of events
 *   thompson     p_table; Beta-Bernoulli arms, P(best) per state
 */

#ifndef RECO_TRAIN_H
#define RECO_TRAIN_H

#include "beta.h"
#include "ledger.h"
#include "models.h"

/* Whose doing is the reward of a slate? */
typedef enum {
    TRAIN_CREDIT_AUTO,          /* what most rewards of slates allow */
    TRAIN_CREDIT_ACTION,        /* that of the action it names */
    TRAIN_CREDIT_SLATE          /* the slate's: an action is valued by the
                                   slates that show it */
} train_credit_t;

typedef enum {
    TRAIN_FROM_SPEC,
    TRAIN_FROM_ENVIRONMENT,     /* RL_LEARNING_RATE, RL_DISCOUNT_FACTOR,
                                   RL_EPSILON */
    TRAIN_FROM_OPTION
} train_origin_t;

typedef struct {
    bool            given;      /* by the caller */
    double          value;
    train_origin_t  origin;     /* of the value given */
} train_number_t;

/* What a caller asks for; train_options_init() gives the defaults. */
typedef struct {
    const char      *algorithm;         /* NULL: the policy's own default:
                                           thompson for a p_table, fitted-q for
                                           a q_table */
    uint64_t         half_life_ms;      /* 0: evidence does not age */

    /* thompson */
    train_credit_t   credit;
    bool             prior_given;
    beta_t           prior;
    generations_t   *generations;       /* of --models, or NULL */

    /* fitted-q, q-learning; what is not given is the spec's */
    train_number_t   learning_rate;     /* 0..1 */
    train_number_t   discount_factor;   /* 0 to below 1 */
    train_number_t   epsilon;           /* 0..1; what the policy in the
                                           snapshot explores with at the end */
    uint64_t         passes;            /* 0: until converged */
    uint32_t         threads;           /* the result does not depend on it */
    double           hold_out;          /* share of the customers, 0 to below 1,
                                           whose decisions are kept for the
                                           report on back-off */
    const char      *checkpoint;        /* a file to go on from, or NULL */

    const reco_snapshot_t  *before;     /* or NULL: its records of trainings
                                           are carried on beside the base's */
    bool             no_history;        /* for snapshots that nobody serves:
                                           the log's recommendations and rewards
                                           are not written into it */
} train_options_t;

void train_options_init(train_options_t *o);

/* Takes what RL_LEARNING_RATE, RL_DISCOUNT_FACTOR and RL_EPSILON say where the
 * caller gave nothing. False after a message that names the variable. */
bool train_options_environment(train_options_t *o);

bool train_has_algorithm(const char *name);

/* Whether train_model() would know what to do with this model: the algorithm
 * is there and fills the model's kind of table. 'path' is the model's, for the
 * message. */
bool train_accepts(const train_options_t *o, const reco_model_t *model,
    const char *path);

/* Learns 'model' (a spec, or a snapshot to improve on) from a ledger that was
 * closed with model->model's reward function, and builds a snapshot at 'out',
 * whole or not at all. Customers, items, lists and history are carried over
 * from 'base' (may be NULL; may be the model's own snapshot), whose generation
 * is the new one's parent. The snapshot carries *facts, which the caller
 * drops with json_decref(); facts may be NULL. False after a message; then
 * *facts is NULL. Keeps nothing between calls. */
bool train_model(const train_options_t *o, ledger_t *ledger,
    const model_file_t *model, const reco_snapshot_t *base, const char *out,
    json_t **facts);

/* The facts as text: one or a few lines, and for tables of values the course
 * of convergence. */
void train_print(const json_t *facts, const char *out, FILE *to);

/* ---- between train.c and the algorithms --------------------------------- */

typedef struct {
    const train_options_t  *options;
    const reco_model_t     *model;
    ledger_t               *ledger;
    reco_builder_t         *builder;
    const reco_snapshot_t  *base;       /* or NULL */

    json_t                 *facts;      /* what was done */
    uint64_t                states;     /* rows written */
} train_t;

/* The half-life in days; 0: none. */
double train_half_life_days(const train_options_t *o);

/* What the settled decisions tell whatever the algorithm: average_reward,
 * reward_variance, conversion_rate, actions, countries, last_training_ms. */
void train_note(const train_t *t);

/* The model's history: what the base has, the log's recommendations and
 * rewards, and a record of this training, as far back as the spec keeps them.
 * Of the trainings in each thousandth of that time only the last is kept, so
 * that one every half a second does not fill a snapshot. Needs the algorithm's
 * facts. False after a message. */
#define TRAIN_HISTORY_TRAININGS     1000
bool train_history(train_t *t);

/* These give the rows to the builder. False after a message. */
bool train_thompson(train_t *t);
bool train_fitted_q(train_t *t);
bool train_q_learning(train_t *t);

#endif /* RECO_TRAIN_H */
