/*
 * reco_history.c - lines of a model's history, to and from bytes
 * (docs/FORMAT.md). Nothing here outlives a call.
 */

#include "reco_history.h"
#include "reco_record.h"

#include <math.h>

#define AT_TIME         1
#define AT_GENERATION   9
#define AT_ID           17
#define AT_VALUE        33
#define AT_COUNT        41
#define AT_NITEMS       49
#define HEAD            50

_Static_assert(HEAD <= 64, "RECO_HISTORY_MAX allows for it");

/* False where it does not fit, or is longer than an id. */
static bool
put_text(uint8_t **p, const uint8_t *end, reco_str_t text)
{
    if (text.len > RECO_MAX_ID || (size_t) (end - *p) < 1 + text.len) {
        return false;
    }

    *p = reco_text_pack(*p, text);

    return true;
}

size_t
reco_history_pack(const reco_history_t *h, uint8_t *out, size_t size)
{
    uint8_t        n, *p;
    const uint8_t *end = out + size;

    if (size < HEAD) {
        return 0;
    }

    out[0] = (uint8_t) h->kind;
    reco_put_u64(out + AT_TIME, h->time_ms);
    reco_put_u64(out + AT_GENERATION, h->generation);
    memcpy(out + AT_ID, h->id.bytes, RECO_ID_BYTES);
    reco_number_pack(out + AT_VALUE, h->value);
    reco_put_u64(out + AT_COUNT, h->count);
    p = out + HEAD;

    if (!put_text(&p, end, h->customer_key) || !put_text(&p, end, h->session)
        || !put_text(&p, end, h->action))
    {
        return 0;
    }

    for (n = 0; n < RECO_MAX_SLATE && n < h->nitems; n++) {
        if (!put_text(&p, end, h->items[n])) {
            break;
        }
    }

    out[AT_NITEMS] = n;

    return (size_t) (p - out);
}

static bool
is_kind(uint8_t kind)
{
    return kind == RECO_HISTORY_RECOMMENDATION || kind == RECO_HISTORY_REWARD
           || kind == RECO_HISTORY_AGENT;
}

static bool
get_text(const uint8_t **p, const uint8_t *end, bool may_be_empty,
    reco_str_t *text)
{
    return reco_text_unpack(p, end, text)
           && ((may_be_empty && text->len == 0) || reco_id_is_valid(*text));
}

bool
reco_history_unpack(const uint8_t *data, size_t len, reco_history_t *out)
{
    const uint8_t  *p, *end = data + len;

    if (len < HEAD || !is_kind(data[0]) || data[AT_NITEMS] > RECO_MAX_SLATE) {
        return false;
    }

    out->kind = (reco_history_kind_t) data[0];
    out->time_ms = reco_get_u64(data + AT_TIME);
    out->generation = reco_get_u64(data + AT_GENERATION);
    memcpy(out->id.bytes, data + AT_ID, RECO_ID_BYTES);
    out->value = reco_get_f64(data + AT_VALUE);
    out->count = reco_get_u64(data + AT_COUNT);
    out->nitems = data[AT_NITEMS];
    p = data + HEAD;

    if (isinf(out->value) || !get_text(&p, end, true, &out->customer_key)
        || !get_text(&p, end, true, &out->session)
        || !get_text(&p, end, true, &out->action))
    {
        return false;
    }

    for (uint32_t i = 0; i < out->nitems; i++) {
        if (!get_text(&p, end, false, &out->items[i])) {
            return false;
        }
    }

    return p == end;
}
