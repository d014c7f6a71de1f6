/*
 * retail_baskets.h - the baskets (baskets.h) in the rows of Online Retail.
 *
 * They are the invoices that are no cancellations, with their lines of
 * quantity and price above 0 whose code is five digits and perhaps letters.
 * The letters are made upper-case; the digits are the family. An invoice's
 * time, customer and country (country.h) are those of its first line. An
 * item's name is the most frequent description of its lines.
 */

#ifndef RECO_RETAIL_BASKETS_H
#define RECO_RETAIL_BASKETS_H

#include "baskets.h"
#include "words.h"

enum { SALE_INVOICE, SALE_CODE, SALE_NAME, SALE_QUANTITY, SALE_DATE,
       SALE_PRICE, SALE_CUSTOMER, SALE_COUNTRY, SALE_COLUMNS };

/* One row, parsed. */
typedef struct {
    reco_str_t   text[SALE_COLUMNS];
    int64_t      quantity;
    int64_t      price;             /* micro-units */
    int64_t      amount;            /* quantity x price */
    uint64_t     time_ms;
    bool         cancelled;
} sale_t;

/* All zeros is empty. */
typedef struct {
    baskets_t  all;
    word_t   **names;               /* by item */
    uint32_t   names_room;
} retail_baskets_t;

/* A row that is no line of a basket is left out. */
void retail_baskets_add(retail_baskets_t *r, const sale_t *sale);
/* After the last row. */
void retail_baskets_finish(retail_baskets_t *r);
void retail_baskets_free(retail_baskets_t *r);

#endif /* RECO_RETAIL_BASKETS_H */
