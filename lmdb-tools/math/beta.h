/*
 * beta.h - what Thompson sampling needs of the Beta distribution: the prior
 * that a set of items shares, and each arm's probability of being the best.
 *
 * A shim over Boost.Math (beta.cc); nothing is kept between calls. Formulas
 * and their sources: docs/ESTIMATORS.md.
 */

#ifndef RECO_BETA_H
#define RECO_BETA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "reco_base.h"

typedef struct {
    double  a;                  /* > 0 */
    double  b;                  /* > 0 */
} beta_t;

/* Evidence about one item; need not be whole numbers. */
typedef struct {
    double  trials;             /* >= successes */
    double  successes;          /* >= 0 */
} beta_count_t;

/* A fitted prior never weighs more than this many trials. */
#define BETA_MAX_STRENGTH       10000.0
/* What it weighs where the counts say nothing of the items' spread. */
#define BETA_WEAK_STRENGTH      2.0

typedef enum {
    BETA_FIT_MLE,               /* the maximum of the likelihood */
    BETA_FIT_CAPPED,            /* the maximum at BETA_MAX_STRENGTH: the items
                                   differ no more than chance explains */
    BETA_FIT_DEGENERATE         /* fewer than two items tried, or all trials
                                   ended alike: the pooled mean at
                                   BETA_WEAK_STRENGTH */
} beta_fit_t;

/* The Beta prior under which the counts are likeliest, each being
 * beta-binomial (empirical Bayes). Items without trials do not matter. */
beta_fit_t beta_prior_fit(const beta_count_t *counts, size_t n,
    beta_t *prior);

/* p[i] = P(a draw from arm i exceeds those from all the others), for
 * independent arms; arms with equal parameters share evenly. Within 1e-9 of
 * the integral; *total is their sum before it was normalised to 1 (within
 * 1e-9 of it, else RECO_INVALID). RECO_INVALID too for parameters that are
 * not finite and positive. */
reco_status_t beta_p_best(const beta_t *arms, size_t n, double *p,
    double *total, reco_error_t *err);

#ifdef __cplusplus
}
#endif

#endif /* RECO_BETA_H */
