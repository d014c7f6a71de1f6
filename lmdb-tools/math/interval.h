/*
 * interval.h - a ratio of sums over clusters, and the difference of two such
 * ratios over the same clusters, with 95 % intervals.
 *
 * With n_c, d_c the numerator and denominator of cluster c of C, N and D their
 * sums and R = N / D, the linearised ratio has
 *     z_c = (n_c - R d_c) / D,     Var(R) = C / (C - 1) sum of z_c^2
 * (Cochran 1977, Sampling Techniques, section 6.4; for metrics of experiments
 * whose unit is not the customer: Deng, Knoblich and Lu 2018, "Applying the
 * delta method in metric analytics"). Of a difference R1 - R2 the variance is
 * that of z1_c - z2_c, so that what two arms share in a cluster cancels. The
 * interval is R +- t(0.975; C - 1) sqrt(Var), C counting the clusters that
 * have a denominator in either arm.
 */

#ifndef RECO_INTERVAL_H
#define RECO_INTERVAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    double  n;                  /* numerator */
    double  d;                  /* denominator, >= 0 */
} interval_part_t;

typedef struct {
    double  value;              /* NAN without a denominator */
    double  low, high;          /* NAN with fewer than two clusters */
} interval_t;

interval_t interval_ratio(const interval_part_t *clusters, size_t n);
/* a minus b. */
interval_t interval_difference(const interval_part_t *a,
    const interval_part_t *b, size_t n);

/* The quantile of Student's t (Boost.Math). */
double interval_t_quantile(double p, double degrees);

#ifdef __cplusplus
}
#endif

#endif /* RECO_INTERVAL_H */
