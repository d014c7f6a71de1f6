/*
 * reco_store.h - private to the builder: a scratch LMDB file that grows as it
 * is written, and takes a bounded amount of memory whatever its size.
 *
 * The file has no name: it goes with its descriptor, also after kill -9.
 * Writes are grouped in transactions of bounded size that are not synced. The
 * same calls give the same pages.
 */

#ifndef RECO_STORE_H
#define RECO_STORE_H

#include "reco_lmdb.h"

typedef struct {
    MDB_env     *env;
    const char  *path;          /* the builder's: beside it is the file */
    MDB_txn     *txn;             /* the open batch, or NULL */
    size_t       mapsize;
    uint32_t     records;         /* in this batch */
    size_t       bytes;
    bool         failed;          /* a batch is lost, and so is the store */
} reco_store_t;

/* In the folder of 'path', which must outlive the store. */
reco_status_t reco_store_open(reco_store_t *s, const char *path,
    reco_error_t *err);
void reco_store_close(reco_store_t *s);

/* Opens a named database, which is created if need be. */
reco_status_t reco_store_db(reco_store_t *s, const char *name, MDB_dbi *dbi,
    reco_error_t *err);

/* RECO_INVALID with *exists true when there is such a key (flags has
 * MDB_NOOVERWRITE); *value is then what is there. The store stays usable. */
reco_status_t reco_store_put(reco_store_t *s, MDB_dbi dbi, MDB_val key,
    MDB_val *value, unsigned flags, bool *exists, reco_error_t *err);

/* Ends the batch. */
reco_status_t reco_store_commit(reco_store_t *s, reco_error_t *err);

/* Appends all of one store's database, in key order, to another's. */
reco_status_t reco_store_append(reco_store_t *from, MDB_dbi from_dbi,
    reco_store_t *to, MDB_dbi to_dbi, reco_error_t *err);

#endif /* RECO_STORE_H */
