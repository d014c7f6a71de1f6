/*
 * baskets.h - a shop's items and the baskets that were bought there, in
 * memory, and the two files that hold them:
 *
 *   baskets.csv  basket,time,customer,country,item,quantity,price
 *   items.csv    id,name,price,category,family,available
 *
 * Money is in millionths. Baskets are filled (by an importer, a generator or
 * from the files) and finished; then they are read or written.
 */

#ifndef RECO_BASKETS_H
#define RECO_BASKETS_H

#include "intern.h"

#define BASKETS_NONE            INTERN_NONE
/* An item is available when it was sold in so many days before the last
 * basket of the data. */
#define BASKETS_AVAILABLE_DAYS  90

/* Strings are owned, never NULL. */
typedef struct {
    const char  *id;            /* in item_ids */
    char        *name;
    char        *category;      /* "" where there is none */
    char        *family;        /* "" where there is none */
    int64_t      price;         /* of a unit */
    bool         available;
} baskets_item_t;

typedef struct {
    const char  *id;            /* in ids */
    uint64_t     time_ms;
    uint32_t     customer;      /* in customers, or BASKETS_NONE */
    uint32_t     country;       /* in countries */
    uint32_t     first, nlines; /* its lines; set by baskets_finish() */
} basket_t;

typedef struct {
    uint32_t     basket;
    uint32_t     item;
    int64_t      quantity;      /* > 0, whole units */
    int64_t      price;         /* of a unit, > 0 */
} basket_line_t;

/* All zeros is empty. */
typedef struct {
    intern_t         ids;       /* of baskets */
    intern_t         item_ids, customers, countries;
    baskets_item_t  *items;     /* by number in item_ids */
    basket_t        *baskets;   /* ids.n; finished: by time, then id */
    basket_line_t   *lines;     /* finished: by basket */
    uint32_t         nlines;
    uint32_t         items_room, baskets_room, lines_room;
} baskets_t;

/* The item's or basket's number. A new item has no name, price and so on. */
uint32_t baskets_item(baskets_t *b, reco_str_t id);
/* A basket that is there already keeps its time, customer and country.
 * customer may be empty. */
uint32_t baskets_basket(baskets_t *b, reco_str_t id, uint64_t time_ms,
    reco_str_t customer, reco_str_t country);
void baskets_line(baskets_t *b, uint32_t basket, uint32_t item,
    int64_t quantity, int64_t price);
/* A copy of the text takes the place of the one that *to owns. */
void baskets_text(char **to, reco_str_t text);

/* Puts baskets and lines in order; numbers of baskets change. */
void baskets_finish(baskets_t *b);
/* The price of an item that was sold becomes the median of its lines', and
 * the items of the last BASKETS_AVAILABLE_DAYS become available. */
void baskets_price_items(baskets_t *b);

/* Reads both files into empty baskets and finishes them. False after a
 * message with file, line and column: a missing column, an item that the
 * items do not have, times that fall, a basket in two pieces... */
bool baskets_read(baskets_t *b, const char *baskets_path,
    const char *items_path);

/* The baskets for which 'keep' (NULL: all) is true, by number. */
void baskets_write(const baskets_t *b, const bool *keep, FILE *f);
/* By id. */
void baskets_write_items(const baskets_t *b, FILE *f);

/* Numbers of the items in the order of their ids; the caller frees them. */
uint32_t *baskets_items_by_id(const baskets_t *b);

void baskets_free(baskets_t *b);

#endif /* RECO_BASKETS_H */
