/*
 * quantiles.h - bin edges that split data into bins of about equal size.
 */

#ifndef RECO_QUANTILES_H
#define RECO_QUANTILES_H

#include <stddef.h>
#include <stdint.h>

/*
 * Edges of at most q bins over n values, which are sorted on the way. With the
 * values in rising order v[0] .. v[n-1], edge i (1 <= i < q) is v[i n / q],
 * rounded down: as many values lie below it as i of q equal parts hold. An
 * edge is itself a value of the data, so nothing is interpolated or rounded.
 * Equal edges collapse, and one equal to the smallest value is left out, so
 * that no bin is empty: data that is all alike has no edge.
 *
 * 'edges' has room for q - 1. Returns how many there are; they rise.
 */
uint32_t quantile_edges(double *values, size_t n, uint32_t q, double *edges);

#endif /* RECO_QUANTILES_H */
