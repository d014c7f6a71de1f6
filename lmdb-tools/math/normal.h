/*
 * normal.h - which of several independent normal variables is the greatest: a
 * shim over Boost.Math (normal.cc). Nothing is kept between calls, which may
 * be made by several threads.
 */

#ifndef RECO_NORMAL_H
#define RECO_NORMAL_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* p[i] = P(X_i > X_j for all j != i), X_i ~ N(mean[i], sd[i]^2), independent:
 * the integral of f_i times the product of the other F_j, within 1e-9, and
 * normalised to the sum 1. sd is positive for all, or 0 for all: then the
 * greatest means share evenly. False where something is not finite, some sd
 * are 0 and others not. Ends the program when memory is out. */
bool normal_p_best(const double *mean, const double *sd, size_t n, double *p);

#ifdef __cplusplus
}
#endif

#endif /* RECO_NORMAL_H */
