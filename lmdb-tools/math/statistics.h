/*
 * statistics.h - what a trainer of independent arms needs of a log: integer
 * sums per state, slot, action and day. Their order does not matter, and sums
 * of parts of a log add up to those of the whole; discounting by day comes
 * afterwards, when they are folded.
 *
 * An impression of weight w and outcome r (0 or 1) adds w, r w and w^2. A
 * plain impression has weight 1; one that stands in for the slates not shown
 * has the inverse of its inclusion probability. Of one that is only a share s
 * of an impression, the outcome not being final, these are s w, s r w and
 * s w^2: n such are n s trials, as a likelihood to the power of s has them.
 */

#ifndef RECO_STATISTICS_H
#define RECO_STATISTICS_H

#include "reco_base.h"

typedef struct statistics_s  statistics_t;

/* One action in one state, over all days and slots. */
typedef struct {
    reco_str_t  state;          /* belongs to the statistics */
    uint16_t    action;
    uint64_t    shown;          /* impressions, undiscounted */
    double      trials;         /* effective number: (sum w)^2 / sum w^2 */
    double      successes;      /* trials times the weighted mean outcome */
} statistics_cell_t;

statistics_t *statistics_new(void);
void statistics_free(statistics_t *s);

/* weight and share (0..1) are kept in millionths. */
void statistics_add(statistics_t *s, reco_str_t state, uint16_t slot,
    uint16_t action, uint32_t day, bool success, double weight, double share);

/* The cells by state (bytewise) and action. Evidence loses half of its weight
 * for every half_life_days between its day and last_day; 0: none. *cells is
 * malloc'ed; returns how many. */
size_t statistics_fold(const statistics_t *s, uint32_t last_day,
    double half_life_days, statistics_cell_t **cells);

#endif /* RECO_STATISTICS_H */
