/*
 * logistic.h - logistic regression with a ridge, by Newton's method (McCullagh
 * and Nelder 1989, section 4.4: iteratively reweighted least squares), over
 * Eigen; and how well it tells the two outcomes apart.
 */

#ifndef RECO_LOGISTIC_H
#define RECO_LOGISTIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LOGISTIC_MAX    16          /* features */

typedef struct {
    double    intercept;
    double    coefficient[LOGISTIC_MAX];
    double    error[LOGISTIC_MAX];  /* standard errors, from the inverse of the
                                       penalised information */
    double    intercept_error;
    uint32_t  iterations;
    bool      converged;            /* largest step below 1e-10 */
} logistic_t;

/* x: n rows of k features; y: outcomes. Maximises
 *     log likelihood - ridge / 2 x sum of coefficient^2
 * (the intercept is free). False where the information is singular. */
bool logistic_fit(const double *x, const uint8_t *y, size_t n, uint32_t k,
    double ridge, logistic_t *out);

/* P(a positive has the higher score) + half P(equal): Mann and Whitney's U
 * over the pairs (Hanley and McNeil 1982). NAN without both outcomes. */
double logistic_auc(const double *score, const uint8_t *y, size_t n);

#ifdef __cplusplus
}
#endif

#endif /* RECO_LOGISTIC_H */
