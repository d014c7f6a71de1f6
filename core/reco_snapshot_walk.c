/*
 * reco_snapshot_walk.c - all records of a snapshot, one after the other: for
 * tools, and to check each of them.
 */

#include "reco_snapshot_internal.h"

typedef struct {
    const reco_snapshot_t   *snapshot;
    reco_customer_visit_pt   customer;
    reco_row_visit_pt        row;
    reco_item_visit_pt       item;
    reco_list_visit_pt       list;
    reco_history_visit_pt    history;
    void                    *data;
    uint64_t                 n;         /* records so far */
} walk_t;

/* RECO_NOT_FOUND ends a walk without an error. */
typedef reco_status_t (*record_pt)(const walk_t *walk, reco_str_t key,
    MDB_val value, reco_error_t *err);

static reco_status_t
walk_database(walk_t *walk, reco_dbi_t db, record_pt visit, reco_error_t *err)
{
    int                     rc;
    MDB_val                 key, value;
    MDB_cursor             *cursor;
    reco_status_t           status;
    const reco_snapshot_t  *s = walk->snapshot;

    walk->n = 0;

    if (!s->has[db]) {
        return RECO_OK;
    }

    rc = mdb_cursor_open(s->txn, s->dbi[db], &cursor);
    if (rc != 0) {
        return reco_lmdb_error(err, rc, "mdb_cursor_open");
    }

    status = RECO_OK;

    while (status == RECO_OK
           && (rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0)
    {
        status = visit(walk, (reco_str_t) { key.mv_data, key.mv_size },
                       value, err);
        walk->n++;
    }

    mdb_cursor_close(cursor);

    if (status == RECO_OK && rc != MDB_NOTFOUND) {
        return reco_lmdb_error(err, rc, reco_snapshot_db_name(db));
    }

    return status == RECO_NOT_FOUND ? RECO_OK : status;
}

/* ---- for tools ---------------------------------------------------------- */

static reco_status_t
visit_customer(const walk_t *walk, reco_str_t key, MDB_val value,
    reco_error_t *err)
{
    reco_customer_t  record = { value.mv_data, value.mv_size };

    (void) err;

    return walk->customer(walk->data, key, &record) ? RECO_OK
                                                    : RECO_NOT_FOUND;
}

static reco_status_t
visit_row(const walk_t *walk, reco_str_t key, MDB_val value,
    reco_error_t *err)
{
    reco_row_t  row;
    reco_str_t  state_key;

    (void) key;

    if (!reco_row_unpack(value.mv_data, value.mv_size,
                         walk->snapshot->model->catalogue.n, &state_key,
                         &row))
    {
        return reco_snapshot_damaged(err, "a row of the table of values");
    }

    return walk->row(walk->data, state_key, &row) ? RECO_OK : RECO_NOT_FOUND;
}

static reco_status_t
visit_item(const walk_t *walk, reco_str_t key, MDB_val value,
    reco_error_t *err)
{
    uint8_t      expected[RECO_ITEM_KEY];
    reco_item_t  item;

    reco_item_key((uint32_t) walk->n, expected);

    if (key.len != sizeof(expected)
        || memcmp(key.data, expected, sizeof(expected)) != 0
        || !reco_item_unpack(value.mv_data, value.mv_size, &item))
    {
        return reco_snapshot_damaged(err, "an item");
    }

    return walk->item(walk->data, (uint32_t) walk->n, &item) ? RECO_OK
                                                             : RECO_NOT_FOUND;
}

static reco_status_t
visit_list(const walk_t *walk, reco_str_t key, MDB_val value,
    reco_error_t *err)
{
    reco_str_t   name, its_key;
    reco_list_t  list;

    if (!reco_list_key_split(key, &name, &its_key)
        || !reco_list_unpack(value.mv_data, value.mv_size, &list))
    {
        return reco_snapshot_damaged(err, "a list");
    }

    return walk->list(walk->data, name, its_key, &list) ? RECO_OK
                                                        : RECO_NOT_FOUND;
}

static reco_status_t
visit_history(const walk_t *walk, reco_str_t key, MDB_val value,
    reco_error_t *err)
{
    reco_history_t  h;

    (void) key;

    if (!reco_history_unpack(value.mv_data, value.mv_size, &h)) {
        return reco_snapshot_damaged(err, "a record of the history");
    }

    return walk->history(walk->data, &h) ? RECO_OK : RECO_NOT_FOUND;
}

reco_status_t
reco_snapshot_each_customer(const reco_snapshot_t *s,
    reco_customer_visit_pt visit, void *data, reco_error_t *err)
{
    walk_t  walk = { .snapshot = s, .customer = visit, .data = data };

    return walk_database(&walk, RECO_DBI_CUSTOMERS, visit_customer, err);
}

reco_status_t
reco_snapshot_each_row(const reco_snapshot_t *s, reco_row_visit_pt visit,
    void *data, reco_error_t *err)
{
    walk_t  walk = { .snapshot = s, .row = visit, .data = data };

    return walk_database(&walk, RECO_DBI_VALUES, visit_row, err);
}

reco_status_t
reco_snapshot_each_item(const reco_snapshot_t *s, reco_item_visit_pt visit,
    void *data, reco_error_t *err)
{
    walk_t  walk = { .snapshot = s, .item = visit, .data = data };

    return walk_database(&walk, RECO_DBI_ITEMS, visit_item, err);
}

reco_status_t
reco_snapshot_each_list(const reco_snapshot_t *s, reco_list_visit_pt visit,
    void *data, reco_error_t *err)
{
    walk_t  walk = { .snapshot = s, .list = visit, .data = data };

    return walk_database(&walk, RECO_DBI_LISTS, visit_list, err);
}

reco_status_t
reco_snapshot_each_history(const reco_snapshot_t *s,
    reco_history_visit_pt visit, void *data, reco_error_t *err)
{
    walk_t  walk = { .snapshot = s, .history = visit, .data = data };

    return walk_database(&walk, RECO_DBI_HISTORY, visit_history, err);
}

/* ---- checking ----------------------------------------------------------- */

static reco_status_t
check_customer(const walk_t *walk, reco_str_t key, MDB_val value,
    reco_error_t *err)
{
    if (!reco_id_is_valid(key)) {
        return reco_snapshot_damaged(err, "a customer's key");
    }

    if (!reco_record_is_sound(value.mv_data, value.mv_size,
                              walk->snapshot->info.ncustomer_fields))
    {
        return reco_error_set(err, RECO_CORRUPT, "",
                              "damaged: the record of customer \"%.*s\"",
                              (int) key.len, key.data);
    }

    return RECO_OK;
}

static reco_status_t
check_row(const walk_t *walk, reco_str_t key, MDB_val value,
    reco_error_t *err)
{
    uint8_t     hash[RECO_ROW_KEY];
    reco_row_t  row;
    reco_str_t  state_key;

    if (!reco_row_unpack(value.mv_data, value.mv_size,
                         walk->snapshot->model->catalogue.n, &state_key,
                         &row))
    {
        return reco_snapshot_damaged(err, "a row of the table of values");
    }

    reco_row_hash(state_key, hash);

    if (key.len != sizeof(hash) || memcmp(key.data, hash, sizeof(hash)) != 0)
    {
        return reco_snapshot_damaged(err, "a row's key does not fit its "
                                     "state");
    }

    return RECO_OK;
}

/* There are as many ids as items, so that each item's being found under its
 * id makes every id an item's. */
static bool
item_has_id(void *data, uint32_t index, const reco_item_t *item)
{
    uint32_t                 found;
    const reco_snapshot_t  **s = data;

    if (!reco_snapshot_items_source.find((void *) *s, item->id, &found)
        || found != index)
    {
        *s = NULL;
    }

    return *s != NULL;
}

static reco_status_t
check_items(const reco_snapshot_t *s, reco_error_t *err)
{
    reco_status_t           rc;
    const reco_snapshot_t  *data = s;

    rc = reco_snapshot_each_item(s, item_has_id, &data, err);

    return rc != RECO_OK || data != NULL
           ? rc : reco_snapshot_damaged(err, "an item's id");
}

static reco_status_t
check_list(const walk_t *walk, reco_str_t key, MDB_val value,
    reco_error_t *err)
{
    const char   *fault;
    reco_str_t    name, its_key;
    reco_list_t   list;

    if (!reco_list_key_split(key, &name, &its_key)
        || !reco_list_unpack(value.mv_data, value.mv_size, &list))
    {
        return reco_snapshot_damaged(err, "a list");
    }

    fault = reco_list_fault(&list, (uint32_t) walk->snapshot->info.items);
    if (fault != NULL) {
        return reco_error_set(err, RECO_CORRUPT, "",
                              "damaged: list \"%.*s\" of key \"%.*s\" has %s",
                              (int) (name.len < 64 ? name.len : 64), name.data,
                              (int) (its_key.len < 64 ? its_key.len : 64),
                              its_key.data, fault);
    }

    return RECO_OK;
}

static reco_status_t
check_history(const walk_t *walk, reco_str_t key, MDB_val value,
    reco_error_t *err)
{
    uint8_t         expected[RECO_HISTORY_KEY];
    reco_history_t  h;

    (void) walk;

    if (!reco_history_unpack(value.mv_data, value.mv_size, &h)) {
        return reco_snapshot_damaged(err, "a record of the history");
    }

    reco_history_key(&h, expected);

    if (key.len != sizeof(expected)
        || memcmp(key.data, expected, sizeof(expected)) != 0)
    {
        return reco_snapshot_damaged(err, "a key of the history does not fit "
                                     "its record");
    }

    return RECO_OK;
}

/* Meta, fields, actions and counts were checked when it was opened. */
reco_status_t
reco_snapshot_check(const reco_snapshot_t *s, reco_error_t *err)
{
    walk_t         walk = { .snapshot = s };
    reco_status_t  rc;

    const struct {
        reco_dbi_t  db;
        record_pt   check;
        uint64_t    n;
    } steps[] = {
        { RECO_DBI_CUSTOMERS, check_customer, s->info.customers },
        { RECO_DBI_VALUES, check_row, s->info.states },
        { RECO_DBI_LISTS, check_list, s->info.lists },
        { RECO_DBI_HISTORY, check_history, s->info.history },
    };

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        rc = walk_database(&walk, steps[i].db, steps[i].check, err);
        if (rc != RECO_OK) {
            return rc;
        }

        if (walk.n != steps[i].n) {
            return reco_snapshot_damaged(err, "the number of records");
        }
    }

    return check_items(s, err);
}
