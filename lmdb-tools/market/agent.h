/*
 * agent.h - a snapshot as a recommender in a simulated market: asked as a
 * server would be, through the core. One process's: an LMDB environment is not
 * used across a fork.
 */

#ifndef RECO_AGENT_SIMULATED_H
#define RECO_AGENT_SIMULATED_H

#include "models.h"
#include "visit.h"

typedef enum {
    AGENT_POLICY,               /* as the snapshot's policy decides */
    AGENT_GREEDY,               /* of the eligible actions only those that the
                                   policy gives the highest probability */
    AGENT_FIXED,                /* only one of its actions is offered */
    AGENT_ORACLE                /* the eligible action of the highest expected
                                   reward of this decision + probability of
                                   going on x the mean value of going on */
} agent_kind_t;

#define AGENT_NUMBERS   3
#define AGENT_WORDS     2

typedef struct {
    agent_kind_t          kind;
    uint16_t              fixed;        /* FIXED */
    double                going_on;     /* ORACLE */

    const char           *path;
    const market_t       *market;
    reco_snapshot_t      *snapshot;
    const reco_model_t   *model;
    uint64_t              generation;
    int                   number_at[AGENT_NUMBERS], word_at[AGENT_WORDS];
    uint32_t             *item_of;      /* from the snapshot's items to the
                                           shop's */

    /* of the last decision */
    reco_request_t        request;
    reco_customer_t       customer;
    reco_features_t       features;
    reco_mask_t           eligible;
    reco_decision_t       decision;
    reco_item_slate_t     slate;
    uint32_t              items[RECO_MAX_SLATE];    /* the slate's, of the
                                                       shop */
    reco_id_t             id;

    reco_scratch_t        scratch;
    reco_items_scratch_t  items_scratch;
} agent_t;

/* Opens the snapshot; kind, fixed and going_on are set by the caller. False
 * after a message. agent_close() in any case. */
bool agent_open(agent_t *a, const char *path, const market_t *market);
void agent_close(agent_t *a);

/* Request, features and eligible actions of this step. */
bool agent_ask(agent_t *a, const visit_t *v);
/* Leaves those eligible that the greedy or the oracle would choose. */
void agent_narrow(agent_t *a, const visit_t *v);
/* The whole: also decision and slate. */
bool agent_decide(agent_t *a, const visit_t *v, reco_id_t id);
/* The slate of an action for what was asked last; returns its length. */
uint32_t agent_items(agent_t *a, uint16_t action);
/* Reward of the slate before chance, and the probability of going on. */
double agent_expects(const agent_t *a, const visit_t *v, double *go_on);

/* The terms of a reward function by the facts of a visit, or by their
 * expectations. Terms that wait for the next session are left out; of an
 * expectation, those over a threshold compare with the expected sum. */
double agent_reward(const reco_reward_t *r, const visit_facts_t *f);

#endif /* RECO_AGENT_SIMULATED_H */
