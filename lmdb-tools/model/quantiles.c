/*
 * quantiles.c - bin edges from data; keeps nothing.
 */

#include "quantiles.h"

#include <stdlib.h>

static int
by_value(const void *a, const void *b)
{
    double  x = *(const double *) a, y = *(const double *) b;

    return (x > y) - (x < y);
}

uint32_t
quantile_edges(double *values, size_t n, uint32_t q, double *edges)
{
    double    last, edge;
    uint32_t  i, nedges = 0;

    if (n == 0) {
        return 0;
    }

    qsort(values, n, sizeof(values[0]), by_value);
    last = values[0];

    for (i = 1; i < q; i++) {
        edge = values[(size_t) i * n / q];
        if (edge > last) {
            edges[nedges++] = edge;
            last = edge;
        }
    }

    return nedges;
}
