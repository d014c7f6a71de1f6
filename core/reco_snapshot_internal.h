/*
 * reco_snapshot_internal.h - what the files of the snapshot's reader share.
 * For core/reco_snapshot*.c only.
 */

#ifndef RECO_SNAPSHOT_INTERNAL_H
#define RECO_SNAPSHOT_INTERNAL_H

#include "reco_lmdb.h"
#include "reco_record.h"
#include "reco_snapshot.h"

typedef enum {
    RECO_DBI_META, RECO_DBI_CUSTOMERS, RECO_DBI_ACTIONS, RECO_DBI_VALUES,
    RECO_DBI_NEEDED,                /* those before are in every snapshot */
    RECO_DBI_ITEMS = RECO_DBI_NEEDED, RECO_DBI_ITEM_IDS, RECO_DBI_LISTS,
    RECO_DBI_HISTORY, RECO_DBI_COUNT
} reco_dbi_t;

struct reco_snapshot_s {
    MDB_env               *env;
    MDB_txn               *txn;
    MDB_dbi                dbi[RECO_DBI_COUNT];
    bool                   has[RECO_DBI_COUNT];
    reco_model_t          *model;
    reco_snapshot_info_t   info;
    reco_str_t            *fields;      /* info.customer_fields; their bytes
                                           are in the map */
    char                  *spec;
    char                  *training;
    char                  *hash_key;
};

const char *reco_snapshot_db_name(reco_dbi_t db);

/* RECO_CORRUPT: "damaged: WHAT" */
reco_status_t reco_snapshot_damaged(reco_error_t *err, const char *what);

/* Where a model's items and lists are; its data is the snapshot. */
extern const reco_items_source_t  reco_snapshot_items_source;

#endif /* RECO_SNAPSHOT_INTERNAL_H */
