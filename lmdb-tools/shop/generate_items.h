/*
 * generate_items.h - the catalogue of an invented shop, and drawing from it.
 */

#ifndef RECO_GENERATE_ITEMS_H
#define RECO_GENERATE_ITEMS_H

#include "baskets.h"
#include "splitmix.h"

#define CATALOGUE_KINDS     12
#define CATALOGUE_THEMES    10
#define CATALOGUE_BANDS     3       /* below 10, 10 to 50, above 50 */
#define CATALOGUE_NONE      UINT32_MAX

typedef struct {
    uint32_t  kind;
    uint32_t  theme;
} catalogue_item_t;

/* Items that one of is drawn with probability in proportion to its
 * popularity. */
typedef struct {
    uint32_t  *items;
    double    *sums;            /* of popularity, up to and with the item */
    uint32_t   n, room;
} pool_t;

typedef struct {
    catalogue_item_t  *items;   /* by item of the baskets */
    uint32_t           nitems;
    pool_t             by_kind[CATALOGUE_KINDS];
    pool_t             by_theme[CATALOGUE_THEMES];
    pool_t             by_band[CATALOGUE_KINDS][CATALOGUE_BANDS];
} catalogue_t;

/* Adds n items, with names, families and prices, to the baskets. */
void catalogue_make(catalogue_t *c, uint32_t n, splitmix_t *random,
    baskets_t *to);
void catalogue_free(catalogue_t *c);

/* CATALOGUE_NONE from an empty pool. */
uint32_t pool_draw(const pool_t *pool, splitmix_t *random);

/* How likely who wants the item buys it in that month (0..11): 0..1. */
double catalogue_season(const catalogue_t *c, uint32_t item, uint32_t month);

#endif /* RECO_GENERATE_ITEMS_H */
