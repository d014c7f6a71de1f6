/*
 * generate.h - an invented shop: items in kinds, themes and families, and a
 * time of baskets of customers with tastes. Nothing in it was measured; it is
 * for trying things out and for tests where there is no data. The same
 * options give the same shop on every machine.
 */

#ifndef RECO_GENERATE_H
#define RECO_GENERATE_H

#include "baskets.h"

#define GENERATE_MAX_CUSTOMERS  1000000
#define GENERATE_MIN_ITEMS      50
#define GENERATE_MAX_ITEMS      50000
#define GENERATE_MAX_DAYS       3650
/* The first day is 2025-01-01. */
#define GENERATE_START_MS       UINT64_C(1735689600000)

typedef struct {
    uint32_t  customers;
    uint32_t  items;
    uint32_t  days;
    uint64_t  seed;
} generate_options_t;

/* Fills and finishes empty baskets. */
void generate_shop(const generate_options_t *options, baskets_t *out);

#endif /* RECO_GENERATE_H */
