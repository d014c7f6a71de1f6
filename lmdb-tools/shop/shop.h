/*
 * shop.h - a shop's items and the baskets of its known customers, read from
 * items.csv and baskets.csv (reco-baskets(1)) into memory. Everything belongs
 * to the shop and goes with shop_free().
 */

#ifndef RECO_SHOP_H
#define RECO_SHOP_H

#include "part.h"
#include "tool.h"

#define SHOP_BANDS      3           /* low (< 10), medium (10 to 50), high */
#define SHOP_SUM_TEXT   33          /* 32 hex digits, terminated */

typedef struct {
    reco_str_t  id;
    double      price;              /* > 0 */
    uint32_t    category;           /* index into categories */
    uint8_t     band;               /* 0 low, 1 medium, 2 high */
    bool        available;
} shop_item_t;

typedef struct {
    uint32_t  item;
    double    quantity;             /* > 0; lines of one item are one */
    double    price;                /* > 0, per unit */
} shop_line_t;

typedef struct {
    uint64_t  time_ms;
    uint32_t  first, n;             /* lines; each item once */
} shop_basket_t;

typedef struct {
    reco_str_t  id;
    reco_str_t  country;            /* of the last basket */
    uint32_t    first, n;           /* baskets, by time; at least one */
    part_t      part;
} shop_customer_t;

typedef struct {
    shop_item_t      *items;
    uint32_t          nitems;
    reco_str_t       *categories;
    uint32_t          ncategories;
    shop_line_t      *lines;
    size_t            nlines;
    shop_basket_t    *baskets;      /* customer by customer */
    uint32_t          nbaskets;
    shop_customer_t  *customers;    /* in the order of their first baskets */
    uint32_t          ncustomers;
    uint32_t          anonymous;    /* baskets without a customer, left out */
    char              sum[SHOP_SUM_TEXT];   /* XXH3-128 of what was read: the
                                               fields of all rows */
    struct shop_private_s  *private;
} shop_t;

/* False after a message that names file, line and column. */
bool shop_read(shop_t *shop, const char *baskets, const char *items);
void shop_free(shop_t *shop);

/* Index of the item with that id; false where there is none. */
bool shop_find(const shop_t *shop, reco_str_t id, uint32_t *item);

uint8_t shop_band(double price);

#endif /* RECO_SHOP_H */
