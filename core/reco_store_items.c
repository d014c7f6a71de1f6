/*
 * reco_store_items.c - items, ranked lists and history into a builder's
 * scratch file: refused or packed, sorted by LMDB.
 */

#include "reco_record.h"
#include "reco_store_items.h"

#include <math.h>

#define SHOWN   64          /* bytes of a name in a message */

static const char *const  names[RECO_STORE_ITEMS_DBS] = {
    RECO_DB_ITEMS, RECO_DB_ITEM_IDS, RECO_DB_LISTS, RECO_DB_HISTORY
};

static int
shown(reco_str_t s)
{
    return (int) (s.len < SHOWN ? s.len : SHOWN);
}

static reco_status_t
prepare(reco_store_items_t *s, const char *path, reco_error_t *err)
{
    reco_status_t  rc;

    if (s->store.env != NULL) {
        return RECO_OK;
    }

    rc = reco_store_open(&s->store, path, err);

    for (int i = 0; rc == RECO_OK && i < RECO_STORE_ITEMS_DBS; i++) {
        rc = reco_store_db(&s->store, names[i], &s->dbi[i], err);
    }

    if (rc != RECO_OK) {
        reco_store_close(&s->store);
    }

    return rc;
}

static reco_status_t
put(reco_store_items_t *s, int db, MDB_val key, MDB_val *value, bool *exists,
    reco_error_t *err)
{
    reco_status_t  rc;

    rc = reco_store_put(&s->store, s->dbi[db], key, value, MDB_NOOVERWRITE,
                        exists, err);
    if (rc == RECO_OK) {
        s->n[db]++;
    }

    return rc;
}

/* ---- items -------------------------------------------------------------- */

static reco_status_t
item_check(const reco_item_t *item, reco_error_t *err)
{
    const struct {
        const char  *name;
        reco_str_t   text;
    } texts[] = {
        { "name", item->name },
        { "category", item->category },
        { "family", item->family },
    };

    if (!reco_id_is_valid(item->id)) {
        return reco_error_set(err, RECO_INVALID, "",
                              "an item's id is not 1 to 255 bytes of UTF-8 "
                              "without control characters");
    }

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i].text.len > 0 && !reco_id_is_valid(texts[i].text)) {
            return reco_error_set(err, RECO_INVALID, "",
                                  "the %s of item \"%.*s\" is not at most 255 "
                                  "bytes of UTF-8 without control characters",
                                  texts[i].name, shown(item->id),
                                  item->id.data);
        }
    }

    if (isinf(item->price)) {
        return reco_error_set(err, RECO_INVALID, "",
                              "the price of item \"%.*s\" is not finite",
                              shown(item->id), item->id.data);
    }

    return RECO_OK;
}

reco_status_t
reco_store_item(reco_store_items_t *s, const char *path,
    const reco_item_t *item, reco_error_t *err)
{
    bool           exists;
    uint8_t        key[RECO_ITEM_KEY], record[RECO_ITEM_MAX], index[4];
    MDB_val        v;
    uint32_t       n = (uint32_t) s->n[RECO_STORE_ITEMS];
    reco_status_t  rc;

    rc = item_check(item, err);
    if (rc == RECO_OK && n == RECO_ITEMS_MAX) {
        rc = reco_error_set(err, RECO_LIMIT, "", "more than %u items",
                            RECO_ITEMS_MAX);
    }
    if (rc == RECO_OK) {
        rc = prepare(s, path, err);
    }
    if (rc != RECO_OK) {
        return rc;
    }

    reco_put_u32(index, n);
    v = (MDB_val) { sizeof(index), index };
    rc = put(s, RECO_STORE_ITEM_IDS,
             (MDB_val) { item->id.len, (void *) item->id.data }, &v, &exists,
             err);
    if (exists) {
        return reco_error_set(err, RECO_INVALID, "",
                              "item \"%.*s\" is there twice", shown(item->id),
                              item->id.data);
    }
    if (rc != RECO_OK) {
        return rc;
    }

    reco_item_key(n, key);
    v = (MDB_val) { reco_item_pack(item, record), record };

    return put(s, RECO_STORE_ITEMS, (MDB_val) { sizeof(key), key }, &v,
               &exists, err);
}

/* ---- lists -------------------------------------------------------------- */

static reco_status_t
list_check(const reco_store_items_t *s, reco_str_t name, reco_str_t key,
    const reco_list_t *list, reco_error_t *err)
{
    const char  *fault;

    if (!reco_id_is_valid(name) || (key.len > 0 && !reco_id_is_valid(key))) {
        return reco_error_set(err, RECO_INVALID, "",
                              "the name or key of a list is not at most 255 "
                              "bytes of UTF-8 without control characters");
    }

    fault = reco_list_fault(list, (uint32_t) s->n[RECO_STORE_ITEMS]);

    return fault == NULL ? RECO_OK
           : reco_error_set(err, RECO_INVALID, "",
                            "list \"%.*s\" of key \"%.*s\" has %s",
                            shown(name), name.data, shown(key), key.data,
                            fault);
}

reco_status_t
reco_store_list(reco_store_items_t *s, const char *path, reco_str_t name,
    reco_str_t key, const reco_list_entry_t *entries, uint32_t n,
    reco_error_t *err)
{
    bool           exists;
    uint8_t        packed[RECO_MAX_LIST * RECO_LIST_ENTRY];
    uint8_t        text[RECO_LIST_KEY_MAX];
    MDB_val        k, v;
    reco_list_t    list = { packed, n };
    reco_status_t  rc;

    if (n == 0 || n > RECO_MAX_LIST) {
        return reco_error_set(err, n == 0 ? RECO_INVALID : RECO_LIMIT, "",
                              "list \"%.*s\" of key \"%.*s\" has %u entries, "
                              "not 1 to %d", shown(name), name.data,
                              shown(key), key.data, n, RECO_MAX_LIST);
    }

    reco_list_pack(entries, n, packed);

    rc = list_check(s, name, key, &list, err);
    if (rc == RECO_OK) {
        rc = prepare(s, path, err);
    }
    if (rc != RECO_OK) {
        return rc;
    }

    k = (MDB_val) { reco_list_key(name, key, text), text };
    v = (MDB_val) { n * RECO_LIST_ENTRY, packed };
    rc = put(s, RECO_STORE_LISTS, k, &v, &exists, err);

    return !exists ? rc
           : reco_error_set(err, RECO_INVALID, "",
                            "list \"%.*s\" of key \"%.*s\" is there twice",
                            shown(name), name.data, shown(key), key.data);
}

/* ---- history ------------------------------------------------------------ */

/* Two records of one kind, customer, time and decision that differ: the one
 * of higher bytes stays, so that their order does not matter. */
static bool
replaces(const MDB_val *there, const uint8_t *data, size_t len)
{
    int     order;
    size_t  n = len < there->mv_size ? len : there->mv_size;

    order = memcmp(data, there->mv_data, n);

    return order != 0 ? order > 0 : len > there->mv_size;
}

reco_status_t
reco_store_history(reco_store_items_t *s, const char *path,
    const reco_history_t *h, reco_error_t *err)
{
    bool             exists;
    size_t           len;
    uint8_t          key[RECO_HISTORY_KEY], record[RECO_HISTORY_MAX];
    MDB_val          k, v;
    reco_status_t    rc;
    reco_history_t   back;

    len = reco_history_pack(h, record, sizeof(record));

    if (len == 0 || h->nitems > RECO_MAX_SLATE
        || !reco_history_unpack(record, len, &back))
    {
        return reco_error_set(err, RECO_INVALID, "",
                              "a record of the history has a kind that is "
                              "not known, a value that is infinite, more than "
                              "%d items, or an id that is not one",
                              RECO_MAX_SLATE);
    }

    rc = prepare(s, path, err);
    if (rc != RECO_OK) {
        return rc;
    }

    reco_history_key(h, key);
    k = (MDB_val) { sizeof(key), key };
    v = (MDB_val) { len, record };
    rc = put(s, RECO_STORE_HISTORY, k, &v, &exists, err);

    if (!exists) {
        return rc;
    }

    if (!replaces(&v, record, len)) {
        return RECO_OK;
    }

    v = (MDB_val) { len, record };

    return reco_store_put(&s->store, s->dbi[RECO_STORE_HISTORY], k, &v, 0,
                          &exists, err);
}

/* ---- out ---------------------------------------------------------------- */

reco_status_t
reco_store_items_out(reco_store_items_t *s, reco_store_t *out,
    reco_error_t *err)
{
    MDB_dbi        dbi;
    reco_status_t  rc = RECO_OK;

    for (int i = 0; rc == RECO_OK && i < RECO_STORE_ITEMS_DBS; i++) {
        if (s->n[i] == 0) {
            continue;
        }

        rc = reco_store_db(out, names[i], &dbi, err);
        if (rc == RECO_OK) {
            rc = reco_store_append(&s->store, s->dbi[i], out, dbi, err);
        }
    }

    reco_store_items_close(s);

    return rc;
}

/* The counts stay: what was given is compared with what was written. */
void
reco_store_items_close(reco_store_items_t *s)
{
    reco_store_close(&s->store);
}
