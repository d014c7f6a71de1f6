/*
 * reco_history.h - one line of a model's history: a recommendation, a reward
 * or a state of the agent, packed into a record (docs/FORMAT.md) that the
 * shared memory of recent decisions and the snapshot's history both hold.
 */

#ifndef RECO_HISTORY_H
#define RECO_HISTORY_H

#include "reco_base.h"
#include "reco_token.h"

typedef enum {
    RECO_HISTORY_RECOMMENDATION = 'd',
    RECO_HISTORY_REWARD = 'r',
    RECO_HISTORY_AGENT = 'a'            /* one training; no customer */
} reco_history_kind_t;

/* Strings are borrowed. */
typedef struct {
    reco_history_kind_t  kind;
    uint64_t             time_ms;
    uint64_t             generation;
    reco_id_t            id;            /* the decision's; of an AGENT zeros */
    reco_str_t           customer_key;  /* may be empty */
    reco_str_t           session;       /* may be empty */
    reco_str_t           action;        /* may be empty */
    double               value;         /* recommendation: confidence; reward:
                                           the reward; agent: epsilon; NAN
                                           where there is none */
    uint64_t             count;         /* agent: states of the table */
    uint32_t             nitems;
    reco_str_t           items[RECO_MAX_SLATE];
} reco_history_t;

/* What a packed record needs at most. */
#define RECO_HISTORY_MAX    (64 + (3 + RECO_MAX_SLATE) * (RECO_MAX_ID + 1))

/* Packs into size bytes; items that do not fit are left out from the end.
 * Returns the length, or 0 when even the rest does not fit. */
size_t reco_history_pack(const reco_history_t *h, uint8_t *out, size_t size);

/* False unless it is a whole record. Strings are borrowed from data. */
bool reco_history_unpack(const uint8_t *data, size_t len, reco_history_t *out);

#endif /* RECO_HISTORY_H */
