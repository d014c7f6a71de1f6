/*
 * reco_snapshot_build.c - builds a snapshot in scratch files beside its target
 * and puts it in its place when it is whole.
 *
 * Customers go into a scratch file of their own. As long as their keys rise,
 * they are appended, and that file becomes the snapshot; otherwise LMDB sorts
 * them there, and they are appended to a second one. Rows are kept under a
 * hash, so they are always sorted that way. In the end every database was
 * filled in key order with the same calls, and a compacting copy gives the
 * same bytes whatever the order of the input was.
 */

#include "reco_file.h"
#include "reco_jansson.h"
#include "reco_record.h"
#include "reco_snapshot.h"
#include "reco_store_items.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ROW_MAX     (RECO_ROW_HEAD + RECO_MAX_STATE_KEY                       \
                     + RECO_MAX_ACTIONS * RECO_ROW_ENTRY)

struct reco_builder_s {
    char           path[RECO_PATH_MAX];
    char           temp[RECO_PATH_MAX];     /* being written, or "" */
    char          *spec;
    size_t         spec_len;
    char           hash_key[RECO_MAX_ID + 1];
    reco_model_t  *model;           /* owns what is left of the input */
    reco_str_t    *fields;          /* names in 'field_text' */
    uint32_t       nfields;
    uint8_t       *field_text;      /* as meta has it: length, bytes */
    size_t         field_text_len;

    reco_store_t   customers;
    MDB_dbi        customers_dbi;
    bool           sorted;          /* keys have been rising so far */
    uint8_t        last_key[RECO_MAX_ID];
    size_t         last_len;
    uint64_t       ncustomers;

    reco_store_t   rows;            /* opened by the first row */
    MDB_dbi        rows_dbi;
    uint64_t       nrows;

    reco_store_items_t  items;      /* lists and history too */

    reco_store_t   out;             /* where all of it is put together */
    bool           finished;
    uint8_t        buffer[ROW_MAX > RECO_RECORD_MAX ? ROW_MAX
                                                    : RECO_RECORD_MAX];
};

typedef struct {
    uint64_t     generation;
    uint64_t     parent;
    uint64_t     built_ms;
    const char  *training;
} meta_t;

static reco_status_t catalogue_take(reco_builder_t *b,
    const reco_action_t *actions, uint32_t nactions,
    const reco_str_t *fields, reco_error_t *err);
static reco_status_t fields_take(reco_builder_t *b, const reco_str_t *fields,
    uint32_t nfields, reco_error_t *err);
static int key_compare(const reco_builder_t *b, reco_str_t key);
static reco_status_t row_check(const reco_builder_t *b, reco_str_t state_key,
    const reco_entry_t *entries, uint32_t n, reco_error_t *err);
static reco_status_t rows_open(reco_builder_t *b, reco_error_t *err);
static reco_status_t out_gather(reco_builder_t *b, const meta_t *meta,
    reco_error_t *err);
static reco_status_t out_customers(reco_builder_t *b, reco_error_t *err);
static reco_status_t out_rows(reco_builder_t *b, reco_error_t *err);
static reco_status_t out_actions(reco_builder_t *b, reco_error_t *err);
static reco_status_t out_meta(reco_builder_t *b, const meta_t *meta,
    reco_error_t *err);
static reco_status_t out_copy(reco_builder_t *b, reco_error_t *err);
static reco_status_t copy_check(const reco_builder_t *b, int fd,
    reco_error_t *err);

/* ---- starting ----------------------------------------------------------- */

reco_status_t
reco_builder_new(const char *path, reco_str_t spec,
    const reco_action_t *actions, uint32_t nactions,
    const reco_str_t *customer_fields, uint32_t nfields,
    const char *hash_key, reco_builder_t **builder, reco_error_t *err)
{
    reco_status_t    rc;
    reco_builder_t  *b;

    *builder = NULL;

    if (strlen(path) >= RECO_PATH_MAX - 32) {
        return reco_error_set(err, RECO_LIMIT, "", "path is too long");
    }

    b = calloc(1, sizeof(*b));
    if (b == NULL) {
        return reco_error_set(err, RECO_NO_MEMORY, "", "out of memory");
    }

    strcpy(b->path, path);
    snprintf(b->hash_key, sizeof(b->hash_key), "%s",
             hash_key != NULL ? hash_key : "");
    b->sorted = true;

    b->spec_len = spec.len;
    b->spec = malloc(spec.len + 1);
    if (b->spec == NULL) {
        rc = reco_error_set(err, RECO_NO_MEMORY, "", "out of memory");
        goto failed;
    }
    memcpy(b->spec, spec.data, spec.len);

    if ((rc = reco_spec_read(spec, &b->model, NULL, err)) != RECO_OK
        || (rc = fields_take(b, customer_fields, nfields, err)) != RECO_OK
        || (rc = catalogue_take(b, actions, nactions, customer_fields, err))
           != RECO_OK
        || (rc = reco_store_open(&b->customers, path, err)) != RECO_OK
        || (rc = reco_store_db(&b->customers, RECO_DB_CUSTOMERS,
                               &b->customers_dbi, err)) != RECO_OK)
    {
        goto failed;
    }

    *builder = b;

    return RECO_OK;

failed:

    reco_builder_free(b);

    return rc;
}

const char *
reco_builder_temp(const reco_builder_t *b)
{
    return b->temp;
}

void
reco_builder_free(reco_builder_t *b)
{
    if (b == NULL) {
        return;
    }

    reco_store_close(&b->customers);
    reco_store_close(&b->rows);
    reco_store_items_close(&b->items);
    reco_store_close(&b->out);
    reco_model_free(b->model);
    free(b->spec);
    free(b->fields);
    free(b->field_text);
    free(b);
}

static reco_status_t
fields_take(reco_builder_t *b, const reco_str_t *fields, uint32_t nfields,
    reco_error_t *err)
{
    uint8_t  *p;

    if (nfields > RECO_MAX_CUSTOMER_FIELDS) {
        return reco_error_set(err, RECO_LIMIT, "",
                              "%u customer fields are over %d", nfields,
                              RECO_MAX_CUSTOMER_FIELDS);
    }

    b->fields = calloc(nfields + 1, sizeof(reco_str_t));
    b->field_text = malloc((size_t) nfields * (1 + RECO_MAX_ID) + 1);
    if (b->fields == NULL || b->field_text == NULL) {
        return reco_error_set(err, RECO_NO_MEMORY, "", "out of memory");
    }

    p = b->field_text;

    for (uint32_t i = 0; i < nfields; i++) {
        if (!reco_id_is_valid(fields[i])) {
            return reco_error_set(err, RECO_INVALID, "",
                                  "the name of customer field %u is not 1 to "
                                  "255 bytes of UTF-8 without control "
                                  "characters", i + 1);
        }

        for (uint32_t j = 0; j < i; j++) {
            if (reco_str_equal(fields[i], fields[j])) {
                return reco_error_set(err, RECO_INVALID, "",
                                      "customer field \"%.*s\" is there "
                                      "twice", (int) fields[i].len,
                                      fields[i].data);
            }
        }

        *p++ = (uint8_t) fields[i].len;
        memcpy(p, fields[i].data, fields[i].len);
        b->fields[i] = (reco_str_t) { (char *) p, fields[i].len };
        p += fields[i].len;
    }

    b->nfields = nfields;
    b->field_text_len = (size_t) (p - b->field_text);

    return RECO_OK;
}

static reco_status_t
catalogue_take(reco_builder_t *b, const reco_action_t *actions,
    uint32_t nactions, const reco_str_t *fields, reco_error_t *err)
{
    reco_status_t  rc;

    rc = reco_spec_bind(b->model, actions, nactions, fields, b->nfields, err);
    if (rc != RECO_OK) {
        return rc;
    }

    if (b->model->catalogue.n == 0) {
        return reco_error_set(err, RECO_INVALID, "$.actions",
                              "the catalogue is empty");
    }

    return RECO_OK;
}

/* ---- records ------------------------------------------------------------ */

reco_status_t
reco_builder_customer(reco_builder_t *b, reco_str_t key,
    const reco_value_t *values, reco_error_t *err)
{
    bool           exists;
    size_t         len;
    MDB_val        k, v;
    reco_status_t  rc;

    if (!reco_id_is_valid(key)) {
        return reco_error_set(err, RECO_INVALID, "",
                              "a customer's key is not 1 to 255 bytes of "
                              "UTF-8 without control characters");
    }

    rc = reco_record_pack(values, b->fields, b->nfields, b->buffer, &len,
                          err);
    if (rc != RECO_OK) {
        return rc;
    }

    b->sorted = b->sorted && key_compare(b, key) >= 0;

    k = (MDB_val) { key.len, (void *) key.data };
    v = (MDB_val) { len, b->buffer };
    rc = reco_store_put(&b->customers, b->customers_dbi, k, &v,
                        b->sorted ? MDB_APPEND : MDB_NOOVERWRITE, &exists,
                        err);

    if (exists) {
        return reco_error_set(err, RECO_INVALID, "",
                              "customer \"%.*s\" is there twice",
                              (int) key.len, key.data);
    }

    if (rc == RECO_OK) {
        memcpy(b->last_key, key.data, key.len);
        b->last_len = key.len;
        b->ncustomers++;
    }

    return rc;
}

/* LMDB's order: bytes, then length. Above zero: key is the greater one. */
static int
key_compare(const reco_builder_t *b, reco_str_t key)
{
    int     order;
    size_t  n = key.len < b->last_len ? key.len : b->last_len;

    order = memcmp(key.data, b->last_key, n);

    return order != 0 ? order
                      : (key.len > b->last_len) - (key.len < b->last_len);
}

reco_status_t
reco_builder_row(reco_builder_t *b, reco_str_t state_key, uint64_t visits,
    const reco_entry_t *entries, uint32_t n, reco_error_t *err)
{
    bool           exists, same;
    size_t         len;
    uint8_t        hash[RECO_ROW_KEY];
    MDB_val        k, v;
    reco_str_t     other;
    reco_row_t     row;
    reco_status_t  rc;

    rc = row_check(b, state_key, entries, n, err);
    if (rc == RECO_OK && b->rows.env == NULL) {
        rc = rows_open(b, err);
    }
    if (rc != RECO_OK) {
        return rc;
    }

    len = RECO_ROW_HEAD + state_key.len + (size_t) n * RECO_ROW_ENTRY;
    reco_row_pack(state_key, visits, entries, n, b->buffer);
    reco_row_hash(state_key, hash);

    k = (MDB_val) { sizeof(hash), hash };
    v = (MDB_val) { len, b->buffer };
    rc = reco_store_put(&b->rows, b->rows_dbi, k, &v, MDB_NOOVERWRITE,
                        &exists, err);

    if (exists) {
        same = reco_row_unpack(v.mv_data, v.mv_size, b->model->catalogue.n,
                               &other, &row)
               && reco_str_equal(other, state_key);
        return reco_error_set(err, RECO_INVALID, "",
                              same ? "state \"%.*s\" is there twice"
                                   : "state \"%.*s\" has the hash of another "
                                     "one: change a feature's name or bins",
                              (int) state_key.len, state_key.data);
    }

    if (rc == RECO_OK) {
        b->nrows++;
    }

    return rc;
}

static reco_status_t
row_check(const reco_builder_t *b, reco_str_t state_key,
    const reco_entry_t *entries, uint32_t n, reco_error_t *err)
{
    if (state_key.len > RECO_MAX_STATE_KEY) {
        return reco_error_set(err, RECO_LIMIT, "",
                              "a state key of %zu bytes is over %d",
                              state_key.len, RECO_MAX_STATE_KEY);
    }

    for (uint32_t i = 0; i < n; i++) {
        if (entries[i].action >= b->model->catalogue.n
            || (i > 0 && entries[i].action <= entries[i - 1].action))
        {
            return reco_error_set(err, RECO_INVALID, "",
                                  "state \"%.*s\": its actions do not rise "
                                  "or are not in the catalogue",
                                  (int) state_key.len, state_key.data);
        }

        if (!isfinite(entries[i].value)) {
            return reco_error_set(err, RECO_INVALID, "",
                                  "state \"%.*s\": the value of action %u is "
                                  "not finite", (int) state_key.len,
                                  state_key.data, entries[i].action);
        }

        if (entries[i].confidence < 0 || entries[i].confidence > 1) {
            return reco_error_set(err, RECO_INVALID, "",
                                  "state \"%.*s\": the confidence of action "
                                  "%u is not from 0 to 1",
                                  (int) state_key.len, state_key.data,
                                  entries[i].action);
        }
    }

    return RECO_OK;
}

static reco_status_t
rows_open(reco_builder_t *b, reco_error_t *err)
{
    reco_status_t  rc;

    rc = reco_store_open(&b->rows, b->path, err);
    if (rc == RECO_OK) {
        rc = reco_store_db(&b->rows, RECO_DB_VALUES, &b->rows_dbi, err);
        if (rc != RECO_OK) {
            reco_store_close(&b->rows);
        }
    }

    return rc;
}

/* A slip of the caller's: nothing would ever read them. */
static reco_status_t
items_check(const reco_builder_t *b, reco_error_t *err)
{
    return b->model->items.slate > 0 ? RECO_OK
           : reco_error_set(err, RECO_INVALID, "$.items",
                            "is missing: the model takes no items");
}

reco_status_t
reco_builder_item(reco_builder_t *b, const reco_item_t *item,
    reco_error_t *err)
{
    reco_status_t  rc;

    rc = items_check(b, err);

    return rc == RECO_OK ? reco_store_item(&b->items, b->path, item, err) : rc;
}

reco_status_t
reco_builder_list(reco_builder_t *b, reco_str_t name, reco_str_t key,
    const reco_list_entry_t *entries, uint32_t n, reco_error_t *err)
{
    reco_status_t  rc;

    rc = items_check(b, err);

    return rc == RECO_OK ? reco_store_list(&b->items, b->path, name, key,
                                           entries, n, err) : rc;
}

reco_status_t
reco_builder_history(reco_builder_t *b, const reco_history_t *h,
    reco_error_t *err)
{
    return reco_store_history(&b->items, b->path, h, err);
}

/* ---- finishing ---------------------------------------------------------- */

reco_status_t
reco_builder_finish(reco_builder_t *b, uint64_t generation, uint64_t parent,
    uint64_t built_ms, const char *training, reco_error_t *err)
{
    json_t        *json;
    meta_t         meta = { generation, parent, built_ms, "{}" };
    reco_status_t  rc;

    if (b->finished) {
        return reco_error_set(err, RECO_INVALID, "",
                              "the snapshot was finished before");
    }

    if (training != NULL) {
        rc = reco_jansson_load((reco_str_t) { training, strlen(training) },
                               &json, err);
        if (rc == RECO_NO_MEMORY) {
            return rc;
        }
        if (!json_is_object(json)) {
            json_decref(json);
            return reco_error_set(err, RECO_INVALID, "training",
                                  "is not a JSON object");
        }
        json_decref(json);
        meta.training = training;
    }

    b->finished = true;

    rc = out_gather(b, &meta, err);
    if (rc == RECO_OK) {
        rc = out_copy(b, err);
    }

    return rc;
}

static reco_status_t
out_gather(reco_builder_t *b, const meta_t *meta, reco_error_t *err)
{
    reco_status_t  rc;

    if ((rc = out_customers(b, err)) != RECO_OK
        || (rc = out_rows(b, err)) != RECO_OK
        || (rc = out_actions(b, err)) != RECO_OK
        || (rc = reco_store_items_out(&b->items, &b->out, err)) != RECO_OK
        || (rc = out_meta(b, meta, err)) != RECO_OK)
    {
        return rc;
    }

    return reco_store_commit(&b->out, err);
}

static reco_status_t
out_customers(reco_builder_t *b, reco_error_t *err)
{
    MDB_dbi        dbi;
    reco_status_t  rc;

    if (b->sorted) {
        b->out = b->customers;
        memset(&b->customers, 0, sizeof(b->customers));
        return RECO_OK;
    }

    if ((rc = reco_store_open(&b->out, b->path, err)) != RECO_OK
        || (rc = reco_store_db(&b->out, RECO_DB_CUSTOMERS, &dbi, err))
           != RECO_OK)
    {
        return rc;
    }

    rc = reco_store_append(&b->customers, b->customers_dbi, &b->out, dbi,
                           err);
    reco_store_close(&b->customers);

    return rc;
}

static reco_status_t
out_rows(reco_builder_t *b, reco_error_t *err)
{
    MDB_dbi        dbi;
    reco_status_t  rc;

    rc = reco_store_db(&b->out, RECO_DB_VALUES, &dbi, err);

    if (rc == RECO_OK && b->rows.env != NULL) {
        rc = reco_store_append(&b->rows, b->rows_dbi, &b->out, dbi, err);
        reco_store_close(&b->rows);
    }

    return rc;
}

static reco_status_t
out_actions(reco_builder_t *b, reco_error_t *err)
{
    bool           exists;
    uint8_t        index[2];
    MDB_dbi        dbi;
    MDB_val        key, value;
    reco_status_t  rc;

    rc = reco_store_db(&b->out, RECO_DB_ACTIONS, &dbi, err);

    for (uint32_t i = 0; rc == RECO_OK && i < b->model->catalogue.n; i++) {
        index[0] = (uint8_t) (i >> 8);
        index[1] = (uint8_t) i;

        key = (MDB_val) { sizeof(index), index };
        value.mv_data = b->buffer;
        value.mv_size = reco_action_pack(&b->model->catalogue.actions[i],
                                         b->buffer);
        rc = reco_store_put(&b->out, dbi, key, &value, MDB_APPEND, &exists,
                            err);
    }

    return rc;
}

static reco_status_t
out_meta(reco_builder_t *b, const meta_t *meta, reco_error_t *err)
{
    bool           exists;
    MDB_dbi        dbi;
    MDB_val        key, value;
    uint8_t        format[4], numbers[5][8];
    uint32_t       order = RECO_BYTE_ORDER;
    reco_status_t  rc;

    reco_put_u32(format, RECO_SNAPSHOT_FORMAT);
    reco_put_u64(numbers[0], meta->built_ms);
    reco_put_u64(numbers[1], b->ncustomers);
    reco_put_u64(numbers[2], meta->generation);
    reco_put_u64(numbers[3], meta->parent);
    reco_put_u64(numbers[4], b->nrows);

    const struct {
        const char  *name;
        const void  *data;
        size_t       len;
    } items[] = {
        { "built", numbers[0], 8 },
        { "byte_order", &order, sizeof(order) },
        { "customer_fields", b->field_text, b->field_text_len },
        { "customers", numbers[1], 8 },
        { "format", format, sizeof(format) },
        { "generation", numbers[2], 8 },
        { "hash_key", b->hash_key, strlen(b->hash_key) },
        { "parent", numbers[3], 8 },
        { "spec", b->spec, b->spec_len },
        { "states", numbers[4], 8 },
        { "training", meta->training, strlen(meta->training) },
    };

    rc = reco_store_db(&b->out, RECO_DB_META, &dbi, err);

    for (size_t i = 0; rc == RECO_OK && i < sizeof(items) / sizeof(items[0]);
         i++)
    {
        key = (MDB_val) { strlen(items[i].name), (void *) items[i].name };
        value = (MDB_val) { items[i].len, (void *) items[i].data };
        rc = reco_store_put(&b->out, dbi, key, &value, MDB_APPEND, &exists,
                            err);
    }

    return rc;
}

static reco_status_t
out_copy(reco_builder_t *b, reco_error_t *err)
{
    int            fd, rc;
    reco_status_t  status;

    status = reco_file_temp(b->path, b->temp, &fd, err);
    if (status != RECO_OK) {
        b->temp[0] = '\0';
        return status;
    }

    rc = mdb_env_copyfd2(b->out.env, fd, MDB_CP_COMPACT);
    reco_store_close(&b->out);

    status = rc == 0 ? copy_check(b, fd, err)
                     : reco_lmdb_error(err, rc, "mdb_env_copyfd2");

    if (status == RECO_OK) {
        status = reco_file_commit(fd, b->temp, b->path, err);
    }

    if (status != RECO_OK) {
        unlink(b->temp);
    }
    b->temp[0] = '\0';

    close(fd);

    return status;
}

static reco_status_t
copy_check(const reco_builder_t *b, int fd, reco_error_t *err)
{
    reco_status_t                rc;
    reco_snapshot_t             *s;
    const reco_snapshot_info_t  *info;

    rc = reco_snapshot_open_fd(fd, NULL, &s, err);
    if (rc != RECO_OK) {
        return rc;
    }

    rc = reco_snapshot_check(s, err);
    info = reco_snapshot_info(s);

    if (rc == RECO_OK && (info->customers != b->ncustomers
                          || info->states != b->nrows
                          || info->items != b->items.n[RECO_STORE_ITEMS]
                          || info->lists != b->items.n[RECO_STORE_LISTS]
                          || info->history != b->items.n[RECO_STORE_HISTORY]))
    {
        rc = reco_error_set(err, RECO_CORRUPT, "",
                            "the copy has another number of records");
    }

    reco_snapshot_close(s);

    return rc;
}
