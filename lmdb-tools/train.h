/*
 * train.h - one run of `reco train`, and the table of its algorithms.
 *
 * An algorithm reads the settled ledger, gives the builder a row for each
 * state, and notes what it did in 'facts'. To add one: a file
 * train_NAME.c, its function here, a line in the table of cmd_train.c.
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

typedef struct {
    /* asked for */
    train_credit_t        credit;
    bool                  prior_given;
    beta_t                prior;
    double                half_life_days;   /* 0: no discount */
    generations_t         generations;      /* of --models, perhaps none */

    /* to work with */
    const reco_model_t   *model;
    ledger_t             *ledger;
    reco_builder_t       *builder;

    /* done */
    json_t               *facts;
    uint64_t              states;
} train_t;

/* Beta-Bernoulli arms, P(best) per state. False after a message. */
bool train_thompson(train_t *t);

#endif /* RECO_TRAIN_H */
