/*
 * reco_record_items.c - records of items, ranked lists and history of a
 * snapshot, to and from bytes (docs/FORMAT.md). As in reco_record.c, reading
 * never trusts a count or an offset.
 */

#include "reco_record.h"

#include <math.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* ---- items -------------------------------------------------------------- */

size_t
reco_item_pack(const reco_item_t *item, uint8_t *out)
{
    uint8_t  *p = out;

    *p++ = item->available ? 1 : 0;
    p = reco_number_pack(p, item->price);
    p = reco_text_pack(p, item->id);
    p = reco_text_pack(p, item->name);
    p = reco_text_pack(p, item->category);
    p = reco_text_pack(p, item->family);

    return (size_t) (p - out);
}

static bool
text_or_empty(const uint8_t **p, const uint8_t *end, reco_str_t *text)
{
    return reco_text_unpack(p, end, text)
           && (text->len == 0 || reco_id_is_valid(*text));
}

bool
reco_item_unpack(const uint8_t *data, size_t len, reco_item_t *item)
{
    const uint8_t  *p, *end;

    if (len < 9 || data[0] > 1) {
        return false;
    }

    item->available = data[0] == 1;
    item->price = reco_get_f64(data + 1);

    p = data + 9;
    end = data + len;

    return !isinf(item->price)
           && text_or_empty(&p, end, &item->id)
           && text_or_empty(&p, end, &item->name)
           && text_or_empty(&p, end, &item->category)
           && text_or_empty(&p, end, &item->family)
           && p == end
           && item->id.len > 0;
}

void
reco_item_key(uint32_t index, uint8_t key[RECO_ITEM_KEY])
{
    key[0] = (uint8_t) (index >> 24);
    key[1] = (uint8_t) (index >> 16);
    key[2] = (uint8_t) (index >> 8);
    key[3] = (uint8_t) index;
}

/* ---- lists -------------------------------------------------------------- */

size_t
reco_list_key(reco_str_t name, reco_str_t key, uint8_t out[RECO_LIST_KEY_MAX])
{
    if (name.len == 0 || name.len > RECO_MAX_ID || key.len > RECO_MAX_ID) {
        return 0;
    }

    memcpy(out, name.data, name.len);
    out[name.len] = RECO_LIST_SEPARATOR;

    if (key.len > 0) {
        memcpy(out + name.len + 1, key.data, key.len);
    }

    return name.len + 1 + key.len;
}

bool
reco_list_key_split(reco_str_t text, reco_str_t *name, reco_str_t *key)
{
    const char  *at;

    at = text.len > 0 ? memchr(text.data, RECO_LIST_SEPARATOR, text.len)
                      : NULL;
    if (at == NULL) {
        return false;
    }

    *name = (reco_str_t) { text.data, (size_t) (at - text.data) };
    *key = (reco_str_t) { at + 1, text.len - name->len - 1 };

    return reco_id_is_valid(*name) && (key->len == 0
                                       || reco_id_is_valid(*key));
}

void
reco_list_pack(const reco_list_entry_t *entries, uint32_t n, uint8_t *out)
{
    for (uint32_t i = 0; i < n; i++) {
        out = reco_put_u32(out, entries[i].item);
        out = reco_put_f64(out, entries[i].score);
    }
}

bool
reco_list_unpack(const uint8_t *data, size_t len, reco_list_t *list)
{
    list->entries = data;
    list->n = (uint32_t) (len / RECO_LIST_ENTRY);

    return len > 0 && len % RECO_LIST_ENTRY == 0
           && len / RECO_LIST_ENTRY <= RECO_MAX_LIST;
}

reco_list_entry_t
reco_list_entry(const reco_list_t *list, uint32_t i)
{
    return reco_list_entry_at(list->entries + (size_t) i * RECO_LIST_ENTRY);
}

/* Whether the item is new to the set, which has room for a list. */
static bool
set_add(uint32_t set[2 * RECO_MAX_LIST], uint32_t item)
{
    uint32_t  i;

    for (i = item * 2654435761u % (2 * RECO_MAX_LIST);
         set[i] != 0;
         i = (i + 1) % (2 * RECO_MAX_LIST))
    {
        if (set[i] == item + 1) {
            return false;
        }
    }

    set[i] = item + 1;

    return true;
}

const char *
reco_list_fault(const reco_list_t *list, uint32_t nitems)
{
    uint32_t           set[2 * RECO_MAX_LIST] = { 0 };
    reco_list_entry_t  e, last = { 0, INFINITY };

    for (uint32_t i = 0; i < list->n; i++) {
        e = reco_list_entry(list, i);

        if (e.item >= nitems) {
            return "an item that is not there";
        }

        if (!(e.score >= 0 && e.score <= RECO_MAX_SCORE)) {
            return "a score that is not from 0 to 1e12";
        }

        if (e.score > last.score
            || (e.score == last.score && e.item <= last.item))
        {
            return "an order that is not by falling score, then by rising "
                   "item";
        }

        if (!set_add(set, e.item)) {
            return "an item twice";
        }

        last = e;
    }

    return NULL;
}

/* ---- history ------------------------------------------------------------ */

static uint8_t *
put_u64_big(uint8_t *p, uint64_t v)
{
    for (int shift = 56; shift >= 0; shift -= 8) {
        *p++ = (uint8_t) (v >> shift);
    }

    return p;
}

void
reco_history_key(const reco_history_t *h, uint8_t key[RECO_HISTORY_KEY])
{
    uint8_t  *p;

    p = key;
    *p++ = (uint8_t) h->kind;
    p = put_u64_big(p, XXH3_64bits(h->customer_key.data,
                                   h->customer_key.len));
    p = put_u64_big(p, h->time_ms);
    memcpy(p, h->id.bytes, RECO_ID_BYTES);
}
