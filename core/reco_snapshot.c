/*
 * reco_snapshot.c - a snapshot opened for reading: its model, its customers
 * and its table of values. Items are in reco_snapshot_items.c, what reads all
 * of it in reco_snapshot_walk.c.
 *
 * One environment and one read transaction, both for the snapshot's life. The
 * model is a copy; customer records, rows and their texts point into the map.
 * One thread at a time.
 */

#include "reco_snapshot_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const  db_names[RECO_DBI_COUNT] = {
    RECO_DB_META, RECO_DB_CUSTOMERS, RECO_DB_ACTIONS, RECO_DB_VALUES,
    RECO_DB_ITEMS, RECO_DB_ITEM_IDS, RECO_DB_LISTS, RECO_DB_HISTORY
};

static reco_status_t databases_open(reco_snapshot_t *s, reco_error_t *err);
static reco_status_t info_read(reco_snapshot_t *s, reco_error_t *err);
static reco_status_t fields_read(reco_snapshot_t *s, reco_error_t *err);
static reco_status_t meta_get(const reco_snapshot_t *s, const char *name,
    MDB_val *value, reco_error_t *err);
static reco_status_t meta_u32(const reco_snapshot_t *s, const char *name,
    uint32_t *n, reco_error_t *err);
static reco_status_t meta_u64(const reco_snapshot_t *s, const char *name,
    uint64_t *n, reco_error_t *err);
static reco_status_t meta_text(const reco_snapshot_t *s, const char *name,
    char **text, reco_error_t *err);
static reco_status_t model_read(reco_snapshot_t *s, reco_error_t *err);
static reco_status_t actions_read(const reco_snapshot_t *s,
    reco_action_t *actions, uint32_t n, reco_error_t *err);
static bool values_lookup(void *data, reco_str_t state_key, reco_row_t *row);
static reco_status_t db_entries(const reco_snapshot_t *s, reco_dbi_t db,
    uint64_t *n, reco_error_t *err);
static reco_status_t meta_damaged(reco_error_t *err, const char *name);

/* ---- opening ------------------------------------------------------------ */

reco_status_t
reco_snapshot_open(const char *path, const reco_secret_t *secret,
    reco_snapshot_t **snapshot, reco_error_t *err)
{
    int            fd;
    reco_status_t  rc;

    *snapshot = NULL;

    /* a fifo would wait for its writer */
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd == -1) {
        return reco_error_set(err, errno == ENOENT ? RECO_NOT_FOUND : RECO_IO,
                              "", "cannot open: %s", strerror(errno));
    }

    rc = reco_snapshot_open_fd(fd, secret, snapshot, err);

    close(fd);

    return rc;
}

reco_status_t
reco_snapshot_open_fd(int fd, const reco_secret_t *secret,
    reco_snapshot_t **snapshot, reco_error_t *err)
{
    uint64_t          size;
    reco_status_t     rc;
    reco_snapshot_t  *s;

    *snapshot = NULL;

    rc = reco_lmdb_header_check(fd, &size, err);
    if (rc != RECO_OK) {
        return rc;
    }

    s = calloc(1, sizeof(*s));
    if (s == NULL) {
        return reco_error_set(err, RECO_NO_MEMORY, "", "out of memory");
    }

    rc = reco_lmdb_open_fd(fd, MDB_RDONLY | MDB_NOTLS, size, &s->env, err);
    if (rc == RECO_OK) {
        rc = databases_open(s, err);
    }
    if (rc == RECO_OK) {
        rc = info_read(s, err);
    }
    if (rc == RECO_OK) {
        rc = model_read(s, err);
    }

    if (rc == RECO_OK && secret != NULL && s->info.customers > 0
        && strcmp(s->hash_key, reco_secret_fingerprint(secret)) != 0)
    {
        rc = reco_error_set(err, RECO_INVALID, "",
                            s->hash_key[0] == '\0'
                            ? "its customers are not hashed, but there is a "
                              "secret"
                            : "its customers were hashed with another key "
                              "than the secret's");
    }

    if (rc != RECO_OK) {
        reco_snapshot_close(s);
        return rc;
    }

    *snapshot = s;

    return RECO_OK;
}

void
reco_snapshot_close(reco_snapshot_t *snapshot)
{
    if (snapshot == NULL) {
        return;
    }

    reco_model_free(snapshot->model);
    free(snapshot->fields);
    free(snapshot->spec);
    free(snapshot->training);
    free(snapshot->hash_key);

    if (snapshot->txn != NULL) {
        mdb_txn_abort(snapshot->txn);
    }

    if (snapshot->env != NULL) {
        mdb_env_close(snapshot->env);
    }

    free(snapshot);
}

static reco_status_t
databases_open(reco_snapshot_t *s, reco_error_t *err)
{
    int       rc;
    unsigned  flags;

    rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &s->txn);
    if (rc != 0) {
        s->txn = NULL;
        return reco_lmdb_error(err, rc, "mdb_txn_begin");
    }

    for (int i = 0; i < RECO_DBI_COUNT; i++) {
        rc = mdb_dbi_open(s->txn, db_names[i], 0, &s->dbi[i]);

        if (rc == 0) {
            rc = mdb_dbi_flags(s->txn, s->dbi[i], &flags);
            rc = (rc == 0 && flags != 0) ? MDB_INCOMPATIBLE : rc;
        }

        if (rc == MDB_NOTFOUND && i >= RECO_DBI_NEEDED) {
            continue;
        }

        if (rc == MDB_NOTFOUND || rc == MDB_INCOMPATIBLE) {
            return reco_error_set(err, RECO_UNSUPPORTED, "",
                                  "not a reco snapshot: no database \"%s\"",
                                  db_names[i]);
        }

        if (rc != 0) {
            return reco_lmdb_error(err, rc, db_names[i]);
        }

        s->has[i] = true;
    }

    return RECO_OK;
}

static reco_status_t
info_read(reco_snapshot_t *s, reco_error_t *err)
{
    MDB_val                order;
    uint32_t               format = 0, mark;
    uint64_t               customers = 0, states = 0, ids = 0;
    reco_status_t          rc;
    reco_snapshot_info_t  *info = &s->info;

    rc = meta_u32(s, "format", &format, err);
    if (rc != RECO_OK) {
        return rc;
    }

    if (format != RECO_SNAPSHOT_FORMAT) {
        return reco_error_set(err, RECO_UNSUPPORTED, "",
                              "snapshot format %u is not supported", format);
    }

    if ((rc = meta_get(s, "byte_order", &order, err)) != RECO_OK) {
        return rc;
    }

    if (order.mv_size != sizeof(mark)) {
        return meta_damaged(err, "byte_order");
    }

    memcpy(&mark, order.mv_data, sizeof(mark));

    if (mark != RECO_BYTE_ORDER) {
        return reco_error_set(err, RECO_UNSUPPORTED, "",
                              "written by a machine of another byte order");
    }

    if ((rc = meta_u64(s, "generation", &info->generation, err)) != RECO_OK
        || (rc = meta_u64(s, "parent", &info->parent, err)) != RECO_OK
        || (rc = meta_u64(s, "built", &info->built_ms, err)) != RECO_OK
        || (rc = meta_u64(s, "customers", &info->customers, err)) != RECO_OK
        || (rc = meta_u64(s, "states", &info->states, err)) != RECO_OK
        || (rc = db_entries(s, RECO_DBI_CUSTOMERS, &customers, err))
           != RECO_OK
        || (rc = db_entries(s, RECO_DBI_VALUES, &states, err)) != RECO_OK
        || (rc = db_entries(s, RECO_DBI_ITEMS, &info->items, err)) != RECO_OK
        || (rc = db_entries(s, RECO_DBI_ITEM_IDS, &ids, err)) != RECO_OK
        || (rc = db_entries(s, RECO_DBI_LISTS, &info->lists, err)) != RECO_OK
        || (rc = db_entries(s, RECO_DBI_HISTORY, &info->history, err))
           != RECO_OK
        || (rc = meta_text(s, "spec", &s->spec, err)) != RECO_OK
        || (rc = meta_text(s, "training", &s->training, err)) != RECO_OK
        || (rc = meta_text(s, "hash_key", &s->hash_key, err)) != RECO_OK
        || (rc = fields_read(s, err)) != RECO_OK)
    {
        return rc;
    }

    if (customers != info->customers || states != info->states
        || ids != info->items || info->items > RECO_ITEMS_MAX)
    {
        return reco_snapshot_damaged(err, "the number of records");
    }

    info->spec = s->spec;
    info->training = s->training;
    info->hash_key = s->hash_key;
    info->customer_fields = s->fields;

    return RECO_OK;
}

static reco_status_t
fields_read(reco_snapshot_t *s, reco_error_t *err)
{
    size_t          len;
    MDB_val         v;
    uint32_t        n;
    reco_status_t   rc;
    const uint8_t  *p, *end;

    rc = meta_get(s, "customer_fields", &v, err);
    if (rc != RECO_OK) {
        return rc;
    }

    p = v.mv_data;
    end = p + v.mv_size;

    /* at least one byte of each name */
    s->fields = calloc(v.mv_size / 2 + 1, sizeof(reco_str_t));
    if (s->fields == NULL) {
        return reco_error_set(err, RECO_NO_MEMORY, "", "out of memory");
    }

    for (n = 0; p < end; n++) {
        len = *p++;

        if (len == 0 || len > (size_t) (end - p)
            || n == RECO_MAX_CUSTOMER_FIELDS)
        {
            return meta_damaged(err, "customer_fields");
        }

        s->fields[n] = (reco_str_t) { (const char *) p, len };
        p += len;

        if (!reco_id_is_valid(s->fields[n])) {
            return meta_damaged(err, "customer_fields");
        }
    }

    s->info.ncustomer_fields = n;

    return RECO_OK;
}

static reco_status_t
meta_get(const reco_snapshot_t *s, const char *name, MDB_val *value,
    reco_error_t *err)
{
    int      rc;
    MDB_val  key = { strlen(name), (void *) name };

    rc = mdb_get(s->txn, s->dbi[RECO_DBI_META], &key, value);

    if (rc == MDB_NOTFOUND) {
        return reco_error_set(err, RECO_UNSUPPORTED, "",
                              "not a reco snapshot: no meta \"%s\"", name);
    }

    return rc == 0 ? RECO_OK : reco_lmdb_error(err, rc, name);
}

static reco_status_t
meta_u32(const reco_snapshot_t *s, const char *name, uint32_t *n,
    reco_error_t *err)
{
    MDB_val        v;
    reco_status_t  rc;

    rc = meta_get(s, name, &v, err);
    if (rc != RECO_OK) {
        return rc;
    }

    if (v.mv_size != 4) {
        return meta_damaged(err, name);
    }

    *n = reco_get_u32(v.mv_data);

    return RECO_OK;
}

static reco_status_t
meta_u64(const reco_snapshot_t *s, const char *name, uint64_t *n,
    reco_error_t *err)
{
    MDB_val        v;
    reco_status_t  rc;

    rc = meta_get(s, name, &v, err);
    if (rc != RECO_OK) {
        return rc;
    }

    if (v.mv_size != 8) {
        return meta_damaged(err, name);
    }

    *n = reco_get_u64(v.mv_data);

    return RECO_OK;
}

static reco_status_t
meta_text(const reco_snapshot_t *s, const char *name, char **text,
    reco_error_t *err)
{
    MDB_val        v;
    reco_status_t  rc;

    rc = meta_get(s, name, &v, err);
    if (rc != RECO_OK) {
        return rc;
    }

    if (!reco_utf8_is_valid(v.mv_data, v.mv_size)
        || memchr(v.mv_data, '\0', v.mv_size) != NULL)
    {
        return meta_damaged(err, name);
    }

    *text = malloc(v.mv_size + 1);
    if (*text == NULL) {
        return reco_error_set(err, RECO_NO_MEMORY, "", "out of memory");
    }

    memcpy(*text, v.mv_data, v.mv_size);
    (*text)[v.mv_size] = '\0';

    return RECO_OK;
}

static reco_status_t
model_read(reco_snapshot_t *s, reco_error_t *err)
{
    uint64_t        n = 0;
    reco_action_t  *actions;
    reco_status_t   rc;

    rc = db_entries(s, RECO_DBI_ACTIONS, &n, err);
    if (rc != RECO_OK) {
        return rc;
    }

    if (n == 0 || n > RECO_MAX_ACTIONS) {
        return reco_snapshot_damaged(err, "the number of actions");
    }

    rc = reco_spec_read((reco_str_t) { s->spec, strlen(s->spec) }, &s->model,
                        NULL, err);
    if (rc != RECO_OK) {
        s->model = NULL;
        return rc;
    }

    actions = calloc(n, sizeof(*actions));
    if (actions == NULL) {
        return reco_error_set(err, RECO_NO_MEMORY, "", "out of memory");
    }

    rc = actions_read(s, actions, (uint32_t) n, err);
    if (rc == RECO_OK) {
        rc = reco_spec_bind(s->model, actions, (uint32_t) n, s->fields,
                            s->info.ncustomer_fields, err);
    }

    free(actions);

    if (rc != RECO_OK) {
        return rc;
    }

    s->model->lookup_data = s;

    if (s->model->policy.type == RECO_POLICY_P_TABLE
        || s->model->policy.type == RECO_POLICY_Q_TABLE)
    {
        s->model->lookup = values_lookup;
    }

    if (s->model->items.slate > 0 && s->info.items > 0) {
        s->model->items_source = &reco_snapshot_items_source;
    }

    return RECO_OK;
}

/* The i-th in key order must be the one of index i. */
static reco_status_t
actions_read(const reco_snapshot_t *s, reco_action_t *actions, uint32_t n,
    reco_error_t *err)
{
    int          rc;
    MDB_val      key, value;
    uint32_t     i;
    uint8_t     *k;
    MDB_cursor  *cursor;

    rc = mdb_cursor_open(s->txn, s->dbi[RECO_DBI_ACTIONS], &cursor);
    if (rc != 0) {
        return reco_lmdb_error(err, rc, "mdb_cursor_open");
    }

    for (i = 0; i < n; i++) {
        rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
        if (rc != 0) {
            break;
        }

        k = key.mv_data;

        if (key.mv_size != 2 || (uint32_t) (k[0] << 8 | k[1]) != i
            || !reco_action_unpack(value.mv_data, value.mv_size, &actions[i]))
        {
            break;
        }
    }

    mdb_cursor_close(cursor);

    if (rc != 0 && rc != MDB_NOTFOUND) {
        return reco_lmdb_error(err, rc, db_names[RECO_DBI_ACTIONS]);
    }

    return i == n ? RECO_OK : reco_snapshot_damaged(err, "an action");
}

static reco_status_t
db_entries(const reco_snapshot_t *s, reco_dbi_t db, uint64_t *n,
    reco_error_t *err)
{
    int       rc;
    MDB_stat  stat;

    *n = 0;

    if (!s->has[db]) {
        return RECO_OK;
    }

    rc = mdb_stat(s->txn, s->dbi[db], &stat);
    if (rc != 0) {
        return reco_lmdb_error(err, rc, db_names[db]);
    }

    *n = stat.ms_entries;

    return RECO_OK;
}

const char *
reco_snapshot_db_name(reco_dbi_t db)
{
    return db_names[db];
}

reco_status_t
reco_snapshot_damaged(reco_error_t *err, const char *what)
{
    return reco_error_set(err, RECO_CORRUPT, "", "damaged: %s", what);
}

static reco_status_t
meta_damaged(reco_error_t *err, const char *name)
{
    return reco_error_set(err, RECO_CORRUPT, "", "damaged: meta \"%s\"",
                          name);
}

/* ---- reading ------------------------------------------------------------ */

const reco_model_t *
reco_snapshot_model(const reco_snapshot_t *snapshot)
{
    return snapshot->model;
}

const reco_snapshot_info_t *
reco_snapshot_info(const reco_snapshot_t *snapshot)
{
    return &snapshot->info;
}

reco_status_t
reco_snapshot_customer(const reco_snapshot_t *snapshot,
    reco_str_t customer_key, reco_customer_t *out)
{
    MDB_val  key, value;

    out->data = NULL;
    out->len = 0;

    if (customer_key.len == 0 || customer_key.len > RECO_MAX_ID) {
        return RECO_NOT_FOUND;
    }

    key = (MDB_val) { customer_key.len, (void *) customer_key.data };

    if (mdb_get(snapshot->txn, snapshot->dbi[RECO_DBI_CUSTOMERS], &key,
                &value) != 0)
    {
        return RECO_NOT_FOUND;
    }

    out->data = value.mv_data;
    out->len = value.mv_size;

    return RECO_OK;
}

static bool
values_lookup(void *data, reco_str_t state_key, reco_row_t *row)
{
    uint8_t                 hash[RECO_ROW_KEY];
    MDB_val                 key, value;
    reco_str_t              full;
    const reco_snapshot_t  *s = data;

    reco_row_hash(state_key, hash);
    key = (MDB_val) { sizeof(hash), hash };

    return mdb_get(s->txn, s->dbi[RECO_DBI_VALUES], &key, &value) == 0
           && reco_row_unpack(value.mv_data, value.mv_size,
                              s->model->catalogue.n, &full, row)
           && reco_str_equal(full, state_key);
}
