/*
 * reco_record.c - records of a snapshot, to and from bytes (docs/FORMAT.md).
 *
 * Reading never trusts a count or an offset: a damaged record is one without
 * the field, or no record. What is read points into the caller's bytes.
 */

#include "reco_record.h"

#include <math.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* ---- numbers and texts -------------------------------------------------- */

uint8_t *
reco_number_pack(uint8_t *p, double d)
{
    return isnan(d) ? reco_put_u64(p, UINT64_C(0x7ff8) << 48)
                    : reco_put_f64(p, d);
}

uint8_t *
reco_text_pack(uint8_t *p, reco_str_t text)
{
    *p++ = (uint8_t) text.len;

    if (text.len > 0) {
        memcpy(p, text.data, text.len);
    }

    return p + text.len;
}

bool
reco_text_unpack(const uint8_t **p, const uint8_t *end, reco_str_t *text)
{
    size_t  len;

    if (*p == end) {
        return false;
    }

    len = **p;
    if (len > (size_t) (end - *p) - 1) {
        return false;
    }

    *text = (reco_str_t) { (const char *) *p + 1, len };
    *p += 1 + len;

    return true;
}

/* ---- customer records --------------------------------------------------- */

reco_status_t
reco_record_pack(const reco_value_t *values, const reco_str_t *fields,
    uint32_t nfields, uint8_t *out, size_t *len, reco_error_t *err)
{
    size_t               need;
    uint8_t             *entry, *value;
    uint32_t             n;
    char                 name[RECO_MAX_ID + 1];
    const char          *fault;
    const reco_value_t  *v;

    n = 0;
    need = 2;
    fault = NULL;

    for (uint32_t i = 0; i < nfields; i++) {
        v = &values[i];

        switch (v->kind) {

        case RECO_VALUE_MISSING:
            continue;

        case RECO_VALUE_NUMBER:
            need += 4 + 8;
            fault = isfinite(v->number) ? NULL : "is not a finite number";
            break;

        case RECO_VALUE_WORD:
            if (v->word.len == 0) {
                continue;
            }
            need += 4 + 1 + v->word.len;
            fault = reco_id_is_valid(v->word) ? NULL
                    : "is not a word of 1 to 255 bytes of UTF-8 without "
                      "control characters";
            break;
        }

        if (fault != NULL) {
            memcpy(name, fields[i].data, fields[i].len);
            name[fields[i].len] = '\0';
            return reco_error_set(err, RECO_INVALID, name, "%s", fault);
        }

        n++;
    }

    if (need > RECO_RECORD_MAX) {
        return reco_error_set(err, RECO_LIMIT, "",
                              "a customer record of %zu bytes is over %d",
                              need, RECO_RECORD_MAX);
    }

    entry = reco_put_u16(out, (uint16_t) n);
    value = entry + 4 * n;

    for (uint32_t i = 0; i < nfields; i++) {
        v = &values[i];

        if (v->kind == RECO_VALUE_NUMBER) {
            entry = reco_put_u16(entry, (uint16_t) i);
            entry = reco_put_u16(entry, (uint16_t) (value - out));
            value = reco_put_f64(value, v->number);

        } else if (v->kind == RECO_VALUE_WORD && v->word.len > 0) {
            entry = reco_put_u16(entry, (uint16_t) (i | RECO_RECORD_WORD));
            entry = reco_put_u16(entry, (uint16_t) (value - out));
            value = reco_text_pack(value, v->word);
        }
    }

    *len = (size_t) (value - out);

    return RECO_OK;
}

/* Records have few fields, and entries rise: a walk ends early. */
reco_value_t
reco_customer_field(const reco_customer_t *c, int index)
{
    size_t          at, n;
    uint32_t        field;
    reco_value_t    v = { .kind = RECO_VALUE_MISSING };
    const uint8_t  *p;

    if (c == NULL || c->data == NULL || c->len < 2 || index < 0) {
        return v;
    }

    n = reco_get_u16(c->data);
    if (n > (c->len - 2) / 4) {
        return v;
    }

    for (p = c->data + 2; n > 0; n--, p += 4) {
        field = reco_get_u16(p);

        if ((field & ~RECO_RECORD_WORD) >= (uint32_t) index) {
            break;
        }
    }

    if (n == 0 || (field & ~RECO_RECORD_WORD) != (uint32_t) index) {
        return v;
    }

    at = reco_get_u16(p + 2);

    if (field & RECO_RECORD_WORD) {
        if (at >= c->len || c->data[at] == 0
            || c->data[at] > c->len - at - 1)
        {
            return v;
        }

        v.word = (reco_str_t) { (const char *) c->data + at + 1,
                                c->data[at] };
        if (reco_id_is_valid(v.word)) {
            v.kind = RECO_VALUE_WORD;
        }

    } else if (at <= c->len && c->len - at >= 8) {
        v.number = reco_get_f64(c->data + at);
        if (isfinite(v.number)) {
            v.kind = RECO_VALUE_NUMBER;
        }
    }

    return v;
}

bool
reco_record_is_sound(const uint8_t *data, size_t len, uint32_t nfields)
{
    size_t           at, n;
    int64_t          last;
    uint32_t         field;
    reco_value_t     v;
    reco_customer_t  c = { data, len };

    if (len < 2 || len > RECO_RECORD_MAX) {
        return false;
    }

    n = reco_get_u16(data);
    if (n > (len - 2) / 4) {
        return false;
    }

    last = -1;
    at = 2 + 4 * n;

    for (size_t i = 0; i < n; i++) {
        field = reco_get_u16(data + 2 + 4 * i) & ~RECO_RECORD_WORD;

        if (field >= nfields || (int64_t) field <= last
            || reco_get_u16(data + 4 + 4 * i) != at)
        {
            return false;
        }

        v = reco_customer_field(&c, (int) field);
        if (v.kind == RECO_VALUE_MISSING) {
            return false;
        }

        last = field;
        at += v.kind == RECO_VALUE_WORD ? 1 + v.word.len : 8;
    }

    return at == len;
}

/* ---- action records ----------------------------------------------------- */

size_t
reco_action_pack(const reco_action_t *a, uint8_t *out)
{
    uint8_t  *p = out;

    *p++ = a->active ? 1 : 0;
    p = reco_number_pack(p, a->price);
    p = reco_text_pack(p, a->id);
    p = reco_text_pack(p, a->name);
    p = reco_text_pack(p, a->category);

    return (size_t) (p - out);
}

bool
reco_action_unpack(const uint8_t *data, size_t len, reco_action_t *a)
{
    const uint8_t  *p, *end;

    if (len < 9 || data[0] > 1) {
        return false;
    }

    a->active = data[0] == 1;
    a->price = reco_get_f64(data + 1);

    p = data + 9;
    end = data + len;

    return !isinf(a->price)
           && reco_text_unpack(&p, end, &a->id)
           && reco_text_unpack(&p, end, &a->name)
           && reco_text_unpack(&p, end, &a->category)
           && p == end
           && reco_id_is_valid(a->id);
}

/* ---- rows --------------------------------------------------------------- */

void
reco_row_hash(reco_str_t state_key, uint8_t hash[RECO_ROW_KEY])
{
    XXH128_canonical_t  canonical;

    XXH128_canonicalFromHash(&canonical,
                             XXH3_128bits(state_key.data, state_key.len));
    memcpy(hash, canonical.digest, RECO_ROW_KEY);
}

void
reco_row_pack(reco_str_t state_key, uint64_t visits,
    const reco_entry_t *entries, uint32_t n, uint8_t *out)
{
    uint8_t  *p;

    p = reco_put_u16(out, (uint16_t) state_key.len);
    p = reco_put_u16(p, (uint16_t) n);
    p = reco_put_u64(p, visits);

    if (state_key.len > 0) {
        memcpy(p, state_key.data, state_key.len);
        p += state_key.len;
    }

    for (uint32_t i = 0; i < n; i++) {
        p = reco_put_u16(p, entries[i].action);
        p = reco_put_f64(p, entries[i].value);
        p = reco_put_u64(p, entries[i].visits);
        p = reco_number_pack(p, entries[i].confidence);
    }
}

bool
reco_row_unpack(const uint8_t *data, size_t len, uint32_t nactions,
    reco_str_t *state_key, reco_row_t *row)
{
    size_t          key_len;
    int32_t         action, last;
    double          confidence;
    const uint8_t  *p;

    if (len < RECO_ROW_HEAD) {
        return false;
    }

    key_len = reco_get_u16(data);
    row->n = reco_get_u16(data + 2);
    row->visits = reco_get_u64(data + 4);

    if (len != RECO_ROW_HEAD + key_len + (size_t) row->n * RECO_ROW_ENTRY) {
        return false;
    }

    *state_key = (reco_str_t) { (const char *) data + RECO_ROW_HEAD,
                                key_len };
    row->entries = data + RECO_ROW_HEAD + key_len;

    last = -1;

    for (p = row->entries; p < data + len; p += RECO_ROW_ENTRY) {
        action = reco_get_u16(p);
        confidence = reco_get_f64(p + 18);

        if (action <= last || (uint32_t) action >= nactions
            || !isfinite(reco_get_f64(p + 2))
            || confidence < 0 || confidence > 1)
        {
            return false;
        }

        last = action;
    }

    return true;
}

reco_entry_t
reco_row_entry(const reco_row_t *row, uint32_t i)
{
    reco_entry_t    e;
    const uint8_t  *p = row->entries + (size_t) i * RECO_ROW_ENTRY;

    e.action = reco_get_u16(p);
    e.value = reco_get_f64(p + 2);
    e.visits = reco_get_u64(p + 10);
    e.confidence = reco_get_f64(p + 18);

    return e;
}
