/*
 * reco_store.c - the builder's scratch files: sorting by LMDB, in batches.
 */

#include "reco_file.h"
#include "reco_store.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* A record of a batch changes up to three pages (its leaf, what a split adds,
 * a share of the branches) beside its own bytes, and all of them are held in
 * memory until the batch is over; so many make 100 MB at worst, and the map
 * keeps twice that free for the next batch. */
#define BATCH_RECORDS   8192
#define BATCH_BYTES     (8 << 20)
#define MAP_FREE        ((size_t) 256 << 20)

#define PATH_SHOWN      150             /* so that the reason has room too */

static reco_status_t batch_begin(reco_store_t *s, reco_error_t *err);

reco_status_t
reco_store_open(reco_store_t *s, const char *path, reco_error_t *err)
{
    int            fd;
    reco_status_t  rc;

    memset(s, 0, sizeof(*s));

    rc = reco_file_unnamed(path, &fd, err);
    if (rc != RECO_OK) {
        return rc;
    }

    s->path = path;
    s->mapsize = 2 * MAP_FREE;
    rc = reco_lmdb_open_fd(fd, MDB_NOSYNC | MDB_NOTLS, s->mapsize, &s->env,
                           err);
    close(fd);

    return rc;
}

void
reco_store_close(reco_store_t *s)
{
    if (s->txn != NULL) {
        mdb_txn_abort(s->txn);
    }

    if (s->env != NULL) {
        mdb_env_close(s->env);
    }

    memset(s, 0, sizeof(*s));
}

reco_status_t
reco_store_db(reco_store_t *s, const char *name, MDB_dbi *dbi,
    reco_error_t *err)
{
    int            rc;
    reco_status_t  status;

    status = batch_begin(s, err);
    if (status != RECO_OK) {
        return status;
    }

    rc = mdb_dbi_open(s->txn, name, MDB_CREATE, dbi);

    return rc == 0 ? RECO_OK : reco_lmdb_error(err, rc, "mdb_dbi_open");
}

static reco_status_t
write_error(const reco_store_t *s, int rc, const char *what,
    reco_error_t *err)
{
    size_t  len;

    rc = reco_lmdb_write_error(s->env, rc);

    if (rc != EIO && rc != ENOSPC && rc != EFBIG && rc != EDQUOT) {
        return reco_lmdb_error(err, rc, what);
    }

    len = strlen(s->path);

    return reco_error_set(err, RECO_IO, "", "cannot write the temporary file "
                          "beside '%s%s': %s", len > PATH_SHOWN ? "..." : "",
                          len > PATH_SHOWN ? s->path + len - PATH_SHOWN
                                           : s->path,
                          rc == EFBIG ? "the file-size limit is reached"
                                      : strerror(rc));
}

/* The map can only grow between transactions. */
static reco_status_t
batch_begin(reco_store_t *s, reco_error_t *err)
{
    int          rc;
    size_t       used;
    MDB_stat     stat;
    MDB_envinfo  info;

    if (s->failed) {
        return reco_error_set(err, RECO_IO, "", "an earlier write failed");
    }

    if (s->txn != NULL) {
        return RECO_OK;
    }

    mdb_env_info(s->env, &info);
    mdb_env_stat(s->env, &stat);
    used = (info.me_last_pgno + 1) * stat.ms_psize;

    if (s->mapsize - used < MAP_FREE) {
        s->mapsize *= 2;
        rc = mdb_env_set_mapsize(s->env, s->mapsize);
        if (rc != 0) {
            return reco_lmdb_error(err, rc, "mdb_env_set_mapsize");
        }
    }

    s->records = 0;
    s->bytes = 0;

    rc = mdb_txn_begin(s->env, NULL, 0, &s->txn);
    if (rc != 0) {
        s->txn = NULL;
        return reco_lmdb_error(err, rc, "mdb_txn_begin");
    }

    return RECO_OK;
}

reco_status_t
reco_store_put(reco_store_t *s, MDB_dbi dbi, MDB_val key, MDB_val *value,
    unsigned flags, bool *exists, reco_error_t *err)
{
    int            rc;
    reco_status_t  status;

    *exists = false;

    status = batch_begin(s, err);
    if (status != RECO_OK) {
        return status;
    }

    rc = mdb_put(s->txn, dbi, &key, value, flags);

    if (rc == MDB_KEYEXIST) {
        *exists = true;
        return reco_error_set(err, RECO_INVALID, "", "the key is there twice");
    }

    if (rc != 0) {
        s->failed = true;
        return write_error(s, rc, "mdb_put", err);
    }

    s->records++;
    s->bytes += key.mv_size + value->mv_size;

    if (s->records >= BATCH_RECORDS || s->bytes >= BATCH_BYTES) {
        return reco_store_commit(s, err);
    }

    return RECO_OK;
}

reco_status_t
reco_store_commit(reco_store_t *s, reco_error_t *err)
{
    int  rc;

    if (s->txn == NULL) {
        return s->failed ? reco_error_set(err, RECO_IO, "",
                                          "an earlier write failed")
                         : RECO_OK;
    }

    rc = mdb_txn_commit(s->txn);
    s->txn = NULL;
    s->failed = rc != 0;

    return rc == 0 ? RECO_OK : write_error(s, rc, "mdb_txn_commit", err);
}

reco_status_t
reco_store_append(reco_store_t *from, MDB_dbi from_dbi, reco_store_t *to,
    MDB_dbi to_dbi, reco_error_t *err)
{
    int            rc;
    bool           exists;
    MDB_txn       *txn;
    MDB_val        key, value;
    MDB_cursor    *cursor;
    reco_status_t  status;

    status = reco_store_commit(from, err);
    if (status != RECO_OK) {
        return status;
    }

    rc = mdb_txn_begin(from->env, NULL, MDB_RDONLY, &txn);
    if (rc != 0) {
        return reco_lmdb_error(err, rc, "mdb_txn_begin");
    }

    rc = mdb_cursor_open(txn, from_dbi, &cursor);

    if (rc == 0) {
        while (status == RECO_OK
               && (rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0)
        {
            status = reco_store_put(to, to_dbi, key, &value, MDB_APPEND,
                                    &exists, err);
        }

        mdb_cursor_close(cursor);
    }

    mdb_txn_abort(txn);

    if (status == RECO_OK && rc != MDB_NOTFOUND) {
        return reco_lmdb_error(err, rc, "mdb_cursor_get");
    }

    return status;
}
