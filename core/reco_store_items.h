/*
 * reco_store_items.h - private to the builder: items, ranked lists and history
 * on their way into a snapshot. Sorted in a scratch file that the first of
 * them opens; a snapshot without any has no database of theirs.
 */

#ifndef RECO_STORE_ITEMS_H
#define RECO_STORE_ITEMS_H

#include "reco_snapshot.h"
#include "reco_store.h"

enum { RECO_STORE_ITEMS, RECO_STORE_ITEM_IDS, RECO_STORE_LISTS,
       RECO_STORE_HISTORY, RECO_STORE_ITEMS_DBS };

typedef struct {
    reco_store_t  store;            /* opened by the first record */
    MDB_dbi       dbi[RECO_STORE_ITEMS_DBS];
    uint64_t      n[RECO_STORE_ITEMS_DBS];      /* records */
} reco_store_items_t;

/* 'path' as for reco_store_open(). These are what reco_builder_item(), _list()
 * and _history() do. */
reco_status_t reco_store_item(reco_store_items_t *s, const char *path,
    const reco_item_t *item, reco_error_t *err);
reco_status_t reco_store_list(reco_store_items_t *s, const char *path,
    reco_str_t name, reco_str_t key, const reco_list_entry_t *entries,
    uint32_t n, reco_error_t *err);
reco_status_t reco_store_history(reco_store_items_t *s, const char *path,
    const reco_history_t *h, reco_error_t *err);

/* Appends all of it to the snapshot, and closes. */
reco_status_t reco_store_items_out(reco_store_items_t *s, reco_store_t *out,
    reco_error_t *err);
void reco_store_items_close(reco_store_items_t *s);

#endif /* RECO_STORE_ITEMS_H */
