/*
 * inclusion.h - the probability that an action is anywhere in a slate drawn
 * without replacement, exactly: the sum over all ordered slates that hold it
 * of the probability of that order.
 *
 * Results are kept and used again for decisions that the policy cannot tell
 * apart; the memory goes with inclusion_free().
 */

#ifndef RECO_INCLUSION_H
#define RECO_INCLUSION_H

#include "reco_decide.h"

/* More ordered slates than this are refused: n (n - 1) .. over the slots. */
#define INCLUSION_MAX_ORDERS    10000000

typedef struct inclusion_s  inclusion_t;

inclusion_t *inclusion_new(void);
void inclusion_free(inclusion_t *in);

/* *pi is the probability of each action of the catalogue to be in a slate of
 * so many slots, valid until the next call. 'generation' names the snapshot
 * the model is from. RECO_LIMIT when there are too many orders. */
reco_status_t inclusion_probabilities(inclusion_t *in,
    const reco_model_t *model, uint64_t generation, const reco_features_t *f,
    const reco_mask_t *eligible, uint32_t slots, const double **pi,
    reco_error_t *err);

#endif /* RECO_INCLUSION_H */
