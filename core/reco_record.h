/*
 * reco_record.h - private to the snapshot's files: the names and records of
 * docs/FORMAT.md, "Snapshot". Little-endian, at any alignment.
 */

#ifndef RECO_RECORD_H
#define RECO_RECORD_H

#include "reco_decide.h"
#include "reco_history.h"

#include <endian.h>
#include <string.h>

#define RECO_DB_META        "meta"
#define RECO_DB_CUSTOMERS   "customers"
#define RECO_DB_ACTIONS     "actions"
#define RECO_DB_VALUES      "values"
#define RECO_DB_ITEMS       "items"
#define RECO_DB_ITEM_IDS    "item_ids"
#define RECO_DB_LISTS       "lists"
#define RECO_DB_HISTORY     "history"
#define RECO_DB_MAX         16          /* named databases in one file */

#define RECO_BYTE_ORDER     0x01020304u

#define RECO_RECORD_MAX     65535       /* bytes of a customer record */
#define RECO_RECORD_WORD    0x8000u     /* in an entry's field: it is a word */
#define RECO_ACTION_MAX     (9 + 3 * 256)
#define RECO_ROW_HEAD       12
#define RECO_ROW_ENTRY      26
#define RECO_ROW_KEY        16          /* bytes of a row's key: a hash */
#define RECO_ITEM_MAX       (9 + 4 * 256)
#define RECO_ITEM_KEY       4
#define RECO_ITEMS_MAX      0x7fffffffu     /* items in one snapshot */
#define RECO_LIST_ENTRY     12
#define RECO_LIST_SEPARATOR 0x1f
#define RECO_LIST_KEY_MAX   (2 * RECO_MAX_ID + 1)   /* LMDB's longest key */
#define RECO_MAX_SCORE      1e12        /* of an entry: sums stay finite */
#define RECO_HISTORY_KEY    33

static inline uint16_t
reco_get_u16(const uint8_t *p)
{
    uint16_t  v;

    memcpy(&v, p, sizeof(v));

    return le16toh(v);
}

static inline uint32_t
reco_get_u32(const uint8_t *p)
{
    uint32_t  v;

    memcpy(&v, p, sizeof(v));

    return le32toh(v);
}

static inline uint64_t
reco_get_u64(const uint8_t *p)
{
    uint64_t  v;

    memcpy(&v, p, sizeof(v));

    return le64toh(v);
}

static inline double
reco_get_f64(const uint8_t *p)
{
    double    d;
    uint64_t  v = reco_get_u64(p);

    memcpy(&d, &v, sizeof(d));

    return d;
}

static inline uint8_t *
reco_put_u16(uint8_t *p, uint16_t v)
{
    v = htole16(v);
    memcpy(p, &v, sizeof(v));

    return p + sizeof(v);
}

static inline uint8_t *
reco_put_u32(uint8_t *p, uint32_t v)
{
    v = htole32(v);
    memcpy(p, &v, sizeof(v));

    return p + sizeof(v);
}

static inline uint8_t *
reco_put_u64(uint8_t *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof(v));

    return p + sizeof(v);
}

static inline uint8_t *
reco_put_f64(uint8_t *p, double d)
{
    uint64_t  v;

    memcpy(&v, &d, sizeof(v));

    return reco_put_u64(p, v);
}

/* One NaN of the many, so that the same input gives the same bytes. */
uint8_t *reco_number_pack(uint8_t *p, double d);

/* A length byte and a text of at most RECO_MAX_ID bytes. */
uint8_t *reco_text_pack(uint8_t *p, reco_str_t text);
bool reco_text_unpack(const uint8_t **p, const uint8_t *end,
    reco_str_t *text);

/* A customer record into 'out' (RECO_RECORD_MAX bytes). */
reco_status_t reco_record_pack(const reco_value_t *values,
    const reco_str_t *fields, uint32_t nfields, uint8_t *out, size_t *len,
    reco_error_t *err);
/* Every entry whole, rising, of a known field, without gaps between them. */
bool reco_record_is_sound(const uint8_t *data, size_t len, uint32_t nfields);

/* An action record into 'out' (RECO_ACTION_MAX bytes); its id, name and
 * category are at most RECO_MAX_ID bytes. */
size_t reco_action_pack(const reco_action_t *a, uint8_t *out);
/* Texts are borrowed from the record. */
bool reco_action_unpack(const uint8_t *data, size_t len, reco_action_t *a);

/* The hash under which a state key's row is kept. */
void reco_row_hash(reco_str_t state_key, uint8_t hash[RECO_ROW_KEY]);
/* Writes RECO_ROW_HEAD + key + n * RECO_ROW_ENTRY bytes. */
void reco_row_pack(reco_str_t state_key, uint64_t visits,
    const reco_entry_t *entries, uint32_t n, uint8_t *out);
/* False unless the row is whole, its entries rise by action, their actions are
 * below 'nactions', their values finite, their confidence unknown (a NaN) or
 * from 0 to 1. */
bool reco_row_unpack(const uint8_t *data, size_t len, uint32_t nactions,
    reco_str_t *state_key, reco_row_t *row);

/* An item record into 'out' (RECO_ITEM_MAX bytes); its texts are at most
 * RECO_MAX_ID bytes. */
size_t reco_item_pack(const reco_item_t *item, uint8_t *out);
/* Texts are borrowed from the record. */
bool reco_item_unpack(const uint8_t *data, size_t len, reco_item_t *item);
void reco_item_key(uint32_t index, uint8_t key[RECO_ITEM_KEY]);

/* Returns the key's length, 0 when name or key cannot be those of a list. */
size_t reco_list_key(reco_str_t name, reco_str_t key,
    uint8_t out[RECO_LIST_KEY_MAX]);
bool reco_list_key_split(reco_str_t text, reco_str_t *name, reco_str_t *key);
/* Writes n * RECO_LIST_ENTRY bytes. */
void reco_list_pack(const reco_list_entry_t *entries, uint32_t n,
    uint8_t *out);
/* False unless there are 1 to RECO_MAX_LIST whole entries. They are not looked
 * at: who reads one expects any item and any score. */
bool reco_list_unpack(const uint8_t *data, size_t len, reco_list_t *list);
static inline reco_list_entry_t
reco_list_entry_at(const uint8_t *p)
{
    return (reco_list_entry_t) { reco_get_u32(p), reco_get_f64(p + 4) };
}

/* What a list must not have (items from 'nitems' on, scores below 0 or above
 * RECO_MAX_SCORE, another order, an item twice), or NULL. */
const char *reco_list_fault(const reco_list_t *list, uint32_t nitems);

void reco_history_key(const reco_history_t *h, uint8_t key[RECO_HISTORY_KEY]);

#endif /* RECO_RECORD_H */
