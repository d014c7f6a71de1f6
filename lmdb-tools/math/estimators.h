/*
 * estimators.h - off-policy estimates of a policy's mean reward from logged
 * decisions with known propensities: IPS, SNIPS, effective sample size
 * (docs/ESTIMATORS.md has the formulas and their sources).
 *
 * An estimator is filled decision by decision and evaluated as often as
 * wanted; it owns its memory until estimator_free().
 */

#ifndef RECO_ESTIMATORS_H
#define RECO_ESTIMATORS_H

#include "reco_base.h"

typedef struct estimator_s  estimator_t;

typedef struct {
    double  value;
    double  se;                 /* standard error; NAN with one decision */
    double  low, high;          /* value -+ 1.96 se */
} estimate_t;

typedef struct {
    uint64_t    n;              /* decisions */
    uint64_t    rewarded;       /* of these, with a reward other than 0 */
    estimate_t  logged;         /* mean reward under the logging policy */
    estimate_t  ips;
    estimate_t  snips;          /* NAN when all weights are 0 */
    double      ess;            /* Kish, of the weights of whole slates */
    double      mean_weight;    /* expected: 1 */
    double      mean_weight_se;
    double      max_weight;
    double      min_propensity; /* of a slot, given those before */
} estimates_t;

estimator_t *estimator_new(void);
void estimator_free(estimator_t *e);

/* One decision of n slots (1..RECO_MAX_SLATE): logged and target propensity of
 * what each slot showed, given the slots before it, and the reward that
 * belongs to the slot. Logged ones are > 0. */
void estimator_add(estimator_t *e, uint32_t n, const double *logged,
    const double *target, const double *rewards);

void estimator_result(const estimator_t *e, estimates_t *out);

#endif /* RECO_ESTIMATORS_H */
