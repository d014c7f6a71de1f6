/*
 * baskets_lists.h - ranked lists of items from baskets: what sells best (of
 * all, of a price band, of a category) and what is bought with an item.
 */

#ifndef RECO_BASKETS_LISTS_H
#define RECO_BASKETS_LISTS_H

#include "baskets.h"

typedef enum { LISTS_COSINE, LISTS_LIFT } lists_measure_t;

typedef struct {
    uint32_t         length;        /* of a list, at most */
    uint32_t         support;       /* baskets that a pair is in, at least */
    uint32_t         max_items;     /* a basket of more distinct items counts
                                       for what sells, not for pairs */
    lists_measure_t  measure;
    const bool      *keep;          /* by basket: those that count */
} lists_options_t;

typedef struct {
    uint32_t  baskets;              /* that counted */
    uint32_t  large;                /* of them more than max_items */
    uint32_t  sold;                 /* items in them */
    uint32_t  bands[3];             /* entries of price low, medium, high */
    uint32_t  categories;           /* that have a list */
    uint32_t  with_list;            /* items with an also_bought list */
    uint64_t  pairs;                /* of items, of enough support */
    uint64_t  entries;              /* of all lists */
} lists_counts_t;

/* Writes lists.csv: list,key,item,score. */
void lists_write(const baskets_t *b, const lists_options_t *options, FILE *f,
    lists_counts_t *counts);

#endif /* RECO_BASKETS_LISTS_H */
