/*
 * baskets_customers.h - what a shop knows of its customers from their
 * baskets, and what a basket was like when it was half full.
 */

#ifndef RECO_BASKETS_CUSTOMERS_H
#define RECO_BASKETS_CUSTOMERS_H

#include "baskets.h"

/* Bytes of a customer's "bought". */
#define CUSTOMERS_BOUGHT    255

typedef struct {
    uint32_t  customers;        /* written */
    uint32_t  reference;        /* those whose terciles count */
} customers_counts_t;

/*
 * Writes customers.csv, by id, from the baskets that are not left out
 * (left_out by basket). Terciles of price and engagement are those of the
 * customers for whom 'reference' (by customer) is true.
 */
void customers_write(const baskets_t *b, const bool *left_out,
    const bool *reference, FILE *f, customers_counts_t *counts);

/* Writes samples.csv: of each basket that is kept the first half of its lines
 * (of an odd number the larger). */
void samples_write(const baskets_t *b, const bool *keep, FILE *f);

#endif /* RECO_BASKETS_CUSTOMERS_H */
