/*
 * reco_policy.h - a slate while it is drawn: what is left, and the
 * distribution over it that the policy gives. Between core/reco_decide.c,
 * core/reco_policy.c and core/reco_sampler.c; a caller of the core wants
 * reco_decide.h.
 */

#ifndef RECO_POLICY_H
#define RECO_POLICY_H

#include "reco_decide.h"

/* Lives on the stack for one decision. */
typedef struct {
    const reco_model_t     *model;
    const reco_features_t  *features;
    reco_scratch_t         *scratch;
    uint32_t                n;          /* actions in scratch->left */
    bool                    masked;     /* not all active ones are eligible */

    /* tables: the row at hand, in scratch->base */
    uint32_t                loaded;     /* slot it was looked up for, or 0 */
    bool                    known;
    uint32_t                level;      /* of the state that the row is for */
    reco_row_t              row;        /* while known */
    double                  mass;       /* P_TABLE: of the whole row */
    double                  epsilon;    /* Q_TABLE: what the row is explored
                                           with, NAN for softmax */
} reco_slate_t;

/* All eligible actions are left; what is fixed before the first slot is
 * fixed. */
void reco_slate_begin(reco_slate_t *slate, const reco_model_t *model,
    const reco_features_t *f, const reco_mask_t *eligible,
    reco_scratch_t *scratch);

/* Place of the action in scratch->left, or slate->n. */
uint32_t reco_slate_find(const reco_slate_t *slate, uint16_t action);

/* The i-th that is left no longer is. */
void reco_slate_remove(reco_slate_t *slate, uint32_t i);

/* For tables: the row of this slot, so that 'known' is right. */
void reco_slate_load(reco_slate_t *slate, uint32_t slot);

/* Fills scratch->p along what is left (at least one). Raises *low_mass. */
void reco_slate_distribute(reco_slate_t *slate, uint32_t slot,
    bool *low_mass);

/* Equal shares, what does not divide to the first. */
void reco_quantise_uniform(uint32_t n, uint64_t *p);

#endif /* RECO_POLICY_H */
