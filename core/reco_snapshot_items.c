/*
 * reco_snapshot_items.c - a snapshot's items and ranked lists, as a decision
 * reads them, and one customer's history.
 *
 * A look-up is one search in LMDB's tree; texts and entries are used where
 * they lie in the map.
 */

#include "reco_snapshot_internal.h"

/* ---- items and lists ---------------------------------------------------- */

static bool
get(const reco_snapshot_t *s, reco_dbi_t db, const void *key, size_t len,
    MDB_val *value)
{
    MDB_val  k = { len, (void *) key };

    return s->has[db] && mdb_get(s->txn, s->dbi[db], &k, value) == 0;
}

static bool
item_get(void *data, uint32_t index, reco_item_t *out)
{
    uint8_t  key[RECO_ITEM_KEY];
    MDB_val  v;

    reco_item_key(index, key);

    return get(data, RECO_DBI_ITEMS, key, sizeof(key), &v)
           && reco_item_unpack(v.mv_data, v.mv_size, out);
}

static bool
item_find(void *data, reco_str_t id, uint32_t *index)
{
    MDB_val                 v;
    const reco_snapshot_t  *s = data;

    if (id.len == 0 || id.len > RECO_MAX_ID
        || !get(s, RECO_DBI_ITEM_IDS, id.data, id.len, &v)
        || v.mv_size != sizeof(*index))
    {
        return false;
    }

    *index = reco_get_u32(v.mv_data);

    return *index < s->info.items;
}

static bool
list_get(void *data, reco_str_t name, reco_str_t key, reco_list_t *out)
{
    size_t   len;
    uint8_t  text[RECO_LIST_KEY_MAX];
    MDB_val  v;

    len = reco_list_key(name, key, text);

    return len > 0 && get(data, RECO_DBI_LISTS, text, len, &v)
           && reco_list_unpack(v.mv_data, v.mv_size, out);
}

const reco_items_source_t  reco_snapshot_items_source = {
    .item = item_get,
    .find = item_find,
    .list = list_get,
};

/* ---- one customer's history --------------------------------------------- */

/* To the last record before the key. */
static int
seek_last(MDB_cursor *cursor, uint8_t key[RECO_HISTORY_KEY], MDB_val *k,
    MDB_val *v)
{
    int  rc;

    *k = (MDB_val) { RECO_HISTORY_KEY, key };
    rc = mdb_cursor_get(cursor, k, v, MDB_SET_RANGE);

    return rc == MDB_NOTFOUND ? mdb_cursor_get(cursor, k, v, MDB_LAST)
           : rc == 0 ? mdb_cursor_get(cursor, k, v, MDB_PREV) : rc;
}

reco_status_t
reco_snapshot_history(const reco_snapshot_t *s, reco_history_kind_t kind,
    reco_str_t customer_key, uint64_t from_ms, uint64_t to_ms,
    reco_history_visit_pt visit, void *data)
{
    int              rc;
    uint8_t          key[RECO_HISTORY_KEY];
    MDB_val          k, v;
    MDB_cursor      *cursor;
    reco_history_t   h;

    enum { PREFIX = 1 + 8 };        /* kind and customer */

    if (!s->has[RECO_DBI_HISTORY] || from_ms >= to_ms) {
        return RECO_OK;
    }

    h = (reco_history_t) { .kind = kind, .time_ms = to_ms,
                           .customer_key = customer_key };
    reco_history_key(&h, key);

    if (mdb_cursor_open(s->txn, s->dbi[RECO_DBI_HISTORY], &cursor) != 0) {
        return RECO_NO_MEMORY;
    }

    for (rc = seek_last(cursor, key, &k, &v);
         rc == 0 && k.mv_size == sizeof(key)
         && memcmp(k.mv_data, key, PREFIX) == 0;
         rc = mdb_cursor_get(cursor, &k, &v, MDB_PREV))
    {
        if (!reco_history_unpack(v.mv_data, v.mv_size, &h)
            || h.time_ms < from_ms)
        {
            break;
        }

        /* another customer may have the same hash */
        if (reco_str_equal(h.customer_key, customer_key) && !visit(data, &h)) {
            break;
        }
    }

    mdb_cursor_close(cursor);

    return RECO_OK;
}
