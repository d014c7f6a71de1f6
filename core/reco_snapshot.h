/*
 * reco_snapshot.h - an immutable LMDB file (docs/FORMAT.md) as a model with
 * its customers: opening, reading, building, checking.
 *
 * A worker opens a snapshot read-only, without lock file, through a
 * descriptor that was verified, and keeps one read transaction for the
 * snapshot's life: the file never changes, so it never goes stale.
 */

#ifndef RECO_SNAPSHOT_H
#define RECO_SNAPSHOT_H

#include "reco_decide.h"
#include "reco_history.h"
#include "reco_items.h"
#include "reco_spec.h"
#include "reco_token.h"

#define RECO_SNAPSHOT_FORMAT    2
#define RECO_CHECKSUM_BYTES     16

/* Documented in docs/FORMAT.md. */
#define RECO_MAX_CUSTOMER_FIELDS    1024

/* ---- reading ------------------------------------------------------------ */

typedef struct reco_snapshot_s  reco_snapshot_t;

typedef struct {
    uint64_t     generation;        /* 0: built, not yet published */
    uint64_t     parent;            /* generation it was made from, or 0 */
    uint64_t     built_ms;          /* --as-of or SOURCE_DATE_EPOCH, or 0 */
    uint64_t     customers;         /* records */
    uint64_t     states;            /* rows of the table of values */
    uint64_t     items;
    uint64_t     lists;
    uint64_t     history;           /* records of all kinds */
    const char  *spec;              /* resolved spec, terminated */
    const char  *training;          /* JSON object with the trainer's facts,
                                       "{}" without */
    const char  *hash_key;          /* reco_secret_fingerprint() or "" */
    uint32_t     ncustomer_fields;
    const reco_str_t *customer_fields;
} reco_snapshot_info_t;

/* Checks that the file is whole (header, st_size >= (last page + 1) x page
 * size), that its format is ours, and binds its model. Does not hash it: that
 * is reco_checksum_fd()'s part, before. fd stays the caller's and may be
 * closed afterwards. secret must be the one the customers were hashed with;
 * NULL is not compared, for tools that look nobody up by id: a server without
 * a secret refuses a snapshot whose info->hash_key is not empty. */
reco_status_t reco_snapshot_open_fd(int fd, const reco_secret_t *secret,
    reco_snapshot_t **snapshot, reco_error_t *err);
reco_status_t reco_snapshot_open(const char *path,
    const reco_secret_t *secret, reco_snapshot_t **snapshot,
    reco_error_t *err);
void reco_snapshot_close(reco_snapshot_t *snapshot);

const reco_model_t *reco_snapshot_model(const reco_snapshot_t *snapshot);
const reco_snapshot_info_t *reco_snapshot_info(const reco_snapshot_t *snapshot);

/* RECO_OK or RECO_NOT_FOUND; then out->data is NULL. */
reco_status_t reco_snapshot_customer(const reco_snapshot_t *snapshot,
    reco_str_t customer_key, reco_customer_t *out);

/* ---- walking, for tools ------------------------------------------------- */

typedef bool (*reco_customer_visit_pt)(void *data, reco_str_t key,
    const reco_customer_t *record);
typedef bool (*reco_row_visit_pt)(void *data, reco_str_t state_key,
    const reco_row_t *row);

/* In key order; a visitor that returns false ends the walk. */
reco_status_t reco_snapshot_each_customer(const reco_snapshot_t *s,
    reco_customer_visit_pt visit, void *data, reco_error_t *err);
reco_status_t reco_snapshot_each_row(const reco_snapshot_t *s,
    reco_row_visit_pt visit, void *data, reco_error_t *err);

typedef bool (*reco_item_visit_pt)(void *data, uint32_t index,
    const reco_item_t *item);
typedef bool (*reco_list_visit_pt)(void *data, reco_str_t name,
    reco_str_t key, const reco_list_t *list);
typedef bool (*reco_history_visit_pt)(void *data, const reco_history_t *h);

/* By index; by name and key; by kind, customer's hash and time. */
reco_status_t reco_snapshot_each_item(const reco_snapshot_t *s,
    reco_item_visit_pt visit, void *data, reco_error_t *err);
reco_status_t reco_snapshot_each_list(const reco_snapshot_t *s,
    reco_list_visit_pt visit, void *data, reco_error_t *err);
reco_status_t reco_snapshot_each_history(const reco_snapshot_t *s,
    reco_history_visit_pt visit, void *data, reco_error_t *err);

/* What the history has of one kind for one customer ("" for the agent's own),
 * from_ms <= time < to_ms, newest first. Touches only that customer's
 * records. */
reco_status_t reco_snapshot_history(const reco_snapshot_t *s,
    reco_history_kind_t kind, reco_str_t customer_key, uint64_t from_ms,
    uint64_t to_ms, reco_history_visit_pt visit, void *data);

/* Reads every record and checks every offset and count. */
reco_status_t reco_snapshot_check(const reco_snapshot_t *s,
    reco_error_t *err);

/* ---- building ----------------------------------------------------------- */

typedef struct reco_builder_s  reco_builder_t;

/* Starts a snapshot that will appear at 'path' when finished: until then all
 * is in temporary files beside it. 'spec' is the resolved spec
 * (reco_spec_resolve). fields name what customer records may hold. */
reco_status_t reco_builder_new(const char *path, reco_str_t spec,
    const reco_action_t *actions, uint32_t nactions,
    const reco_str_t *customer_fields, uint32_t nfields,
    const char *hash_key, reco_builder_t **builder, reco_error_t *err);

/* In any order; a key given twice is RECO_INVALID. values[i] is the value of
 * customer field i, MISSING ones are left out. Keys are customer keys. */
reco_status_t reco_builder_customer(reco_builder_t *b, reco_str_t key,
    const reco_value_t *values, reco_error_t *err);

/* entries must rise by action; values must be finite. */
reco_status_t reco_builder_row(reco_builder_t *b, reco_str_t state_key,
    uint64_t visits, const reco_entry_t *entries, uint32_t n,
    reco_error_t *err);

/* Items get their indices, from 0, in the order of the calls; an id given
 * twice is RECO_INVALID. Models without "items" in their spec take none. */
reco_status_t reco_builder_item(reco_builder_t *b, const reco_item_t *item,
    reco_error_t *err);

/* A ranked list: entries by falling score, of equal ones by rising item, each
 * item once, of items that were added; at most RECO_MAX_LIST. key may be
 * empty. A list given twice is RECO_INVALID. */
reco_status_t reco_builder_list(reco_builder_t *b, reco_str_t name,
    reco_str_t key, const reco_list_entry_t *entries, uint32_t n,
    reco_error_t *err);

/* In any order; the same record twice is kept once. */
reco_status_t reco_builder_history(reco_builder_t *b, const reco_history_t *h,
    reco_error_t *err);

/* training: a JSON object, or NULL. built_ms 0 gives the same bytes for the
 * same input. Compacts, checks, syncs, renames, syncs the folder. */
reco_status_t reco_builder_finish(reco_builder_t *b, uint64_t generation,
    uint64_t parent, uint64_t built_ms, const char *training,
    reco_error_t *err);

/* The name of the temporary file that a finish is writing, "" while there is
 * none: for a program that is to remove it when a signal ends it. At one
 * address as long as the builder is there. */
const char *reco_builder_temp(const reco_builder_t *b);

/* Removes the temporary files; also after a failed finish. */
void reco_builder_free(reco_builder_t *b);

/* ---- files: checksum, manifest, publishing ------------------------------ */

/* XXH3-128 (canonical, big-endian) of the whole file, read with pread in
 * blocks, and its size. Blocking. */
reco_status_t reco_checksum_fd(int fd, uint64_t *size,
    uint8_t sum[RECO_CHECKSUM_BYTES], reco_error_t *err);

/* DIR/current.json */
typedef struct {
    char      file[256];            /* in the same folder, no slash */
    uint64_t  size;
    uint64_t  generation;
    uint64_t  parent;
    char      model[RECO_MAX_ID + 1];
    char      version[RECO_MAX_ID + 1];
    uint8_t   checksum[RECO_CHECKSUM_BYTES];
    uint64_t  published_ms;
} reco_manifest_t;

/* RECO_NOT_FOUND when there is none. */
reco_status_t reco_manifest_read(const char *dir, reco_manifest_t *m,
    reco_error_t *err);
/* The manifest's text, already in memory. */
reco_status_t reco_manifest_parse(reco_str_t text, reco_manifest_t *m,
    reco_error_t *err);
/* Written beside, synced, renamed, folder synced. */
reco_status_t reco_manifest_write(const char *dir, const reco_manifest_t *m,
    reco_error_t *err);

/* Copies the snapshot at 'path' into 'dir' (created if absent) under a new
 * name with the next generation (one above every generation seen there) and
 * its parent, verifies the copy, then writes the manifest. Holds a lock on
 * the folder. 'out' (may be NULL) gets the new manifest. */
reco_status_t reco_publish(const char *dir, const char *path, uint64_t parent,
    uint64_t now_ms, reco_manifest_t *out, reco_error_t *err);

#endif /* RECO_SNAPSHOT_H */
