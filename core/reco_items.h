/*
 * reco_items.h - from a strategy to the items that it recommends.
 *
 * A model whose spec has "items" chooses an action that stands for a way of
 * recommending; this turns it into a slate of items: candidates from the
 * snapshot's ranked lists, without what is in the cart, excluded or out of
 * stock, preferred by the customer's taste, at most so many of one family. A
 * pure function like the decision itself: the same snapshot, features,
 * customer and request give the same items, so that a record replays.
 */

#ifndef RECO_ITEMS_H
#define RECO_ITEMS_H

#include "reco_decide.h"

/* Candidates that are looked at for one slate; further ones are dropped. */
#define RECO_MAX_CANDIDATES     4096

typedef struct {
    uint32_t     index;
    double       score;         /* > 0 from the strategy's lists; an item of
                                   "fill" has its score there */
    reco_item_t  item;
} reco_ranked_item_t;

typedef struct {
    uint32_t            n;              /* 0..items.slate */
    uint32_t            filled;         /* the last so many came from "fill" */
    uint32_t            unknown;        /* ids of cart and exclude that no item
                                           has */
    reco_ranked_item_t  items[RECO_MAX_SLATE];
} reco_item_slate_t;

/* Room to work in; large, belongs to the caller, needs no clearing. */
typedef struct {
    reco_list_entry_t  candidates[RECO_MAX_CANDIDATES];
    uint16_t           slots[2 * RECO_MAX_CANDIDATES];
} reco_items_scratch_t;

/* The items of 'action'. Best score first, of equal scores the item of lower
 * index. The request gives cart and exclude; the customer (perhaps unknown)
 * the history. Where there are no items (no "items" in the spec, no
 * snapshot), out->n is 0. */
void reco_items_select(const reco_model_t *model, uint16_t action,
    const reco_features_t *f, const reco_request_t *request,
    const reco_customer_t *customer, reco_items_scratch_t *scratch,
    reco_item_slate_t *out);

#endif /* RECO_ITEMS_H */
