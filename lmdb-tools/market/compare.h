/*
 * compare.h - `reco simulate --compare`: ways of recommending beside one
 * another, in one market, over the same shoppers and seeds.
 */

#ifndef RECO_COMPARE_H
#define RECO_COMPARE_H

#include "simulate.h"

typedef struct {
    const market_t  *market;
    const char      *baskets, *items;   /* the shop's files */
    const char      *spec;              /* a q_table with items */
    const char      *out;               /* JSON, or NULL */
    const char      *work;              /* folder for what is made on the way;
                                           NULL: one that is removed */
    part_t           part;              /* that is tested on */
    uint64_t         sessions;          /* tested on, for each seed */
    uint64_t         train_sessions;    /* learned from, for each seed */
    uint32_t         rounds;            /* of learning and exploring */
    uint32_t         seeds;
    uint64_t         seed;              /* the first */
    uint32_t         jobs;
    bool             json;
} compare_options_t;

/* False after a message. */
bool compare_run(const compare_options_t *o);

#endif /* RECO_COMPARE_H */
