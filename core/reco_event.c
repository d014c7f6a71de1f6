/*
 * reco_event.c - writes the records of the event log. Reading them back is in
 * reco_event_read.c. Nothing here outlives a call.
 */

#include "reco_event.h"

#include <string.h>

/* Bytes an id or word may need as JSON: of what an id may hold, only the quote
 * and the backslash (1 to 2) and U+2028, U+2029 (3 to 6) grow. */
#define ID_BOUND        (2 * RECO_MAX_ID + 2)
#define NUMBER_BOUND    32
#define NAME_BOUND      16      /* of a source or policy */

/* Of one id, with its comma. */
static size_t
id_bound(reco_str_t id)
{
    return 2 * id.len + 3;
}

static void
write_member_string(reco_buf_t *b, const char *name, reco_str_t s)
{
    if (s.len > 0) {
        reco_buf_cstr(b, name);
        reco_buf_json_string(b, s);
    }
}

static void
write_member_u64(reco_buf_t *b, const char *name, uint64_t v)
{
    reco_buf_cstr(b, name);
    reco_buf_u64(b, v);
}

static void
write_id(reco_buf_t *b, const char *name, const reco_id_t *id)
{
    char  text[RECO_ID_TEXT];

    reco_id_text(id, text);

    reco_buf_cstr(b, name);
    reco_buf_raw(b, text, sizeof(text));
    reco_buf_char(b, '"');
}

void
reco_event_write_header(reco_buf_t *b, const reco_segment_header_t *h)
{
    size_t   start, len;
    uint8_t  incarnation[4];

    start = reco_buf_len(b);

    incarnation[0] = (uint8_t) (h->incarnation >> 24);
    incarnation[1] = (uint8_t) (h->incarnation >> 16);
    incarnation[2] = (uint8_t) (h->incarnation >> 8);
    incarnation[3] = (uint8_t) h->incarnation;

    reco_buf_cstr(b, "{\"type\":\"segment\",\"format\":1,\"node\":");
    reco_buf_json_string(b, h->node);
    reco_buf_cstr(b, ",\"incarnation\":\"");
    reco_buf_hex(b, incarnation, sizeof(incarnation));
    write_member_u64(b, "\",\"segment\":", h->segment);
    write_member_u64(b, ",\"time\":", h->time_ms);

    if (h->clock.known) {
        reco_buf_cstr(b, ",\"clock\":");
        reco_buf_i64(b, h->clock.offset_ms);
        write_member_string(b, ",\"boot\":", h->clock.boot);
    }

    reco_buf_cstr(b, ",\"writer\":\"reco " RECO_VERSION "\",\"pad\":\"");

    for (len = reco_buf_len(b) - start + 3;
         len < RECO_EVENT_HEADER_BYTES;
         len++)
    {
        reco_buf_char(b, '.');
    }

    reco_buf_cstr(b, "\"}\n");
}

/* ---- decisions ------------------------------------------------------ */

static void
write_features(reco_buf_t *b, const reco_model_t *model,
    const reco_features_t *f)
{
    uint32_t             i;
    const char          *before;
    const reco_value_t  *v;

    reco_buf_cstr(b, ",\"features\":{");
    before = "";

    for (i = 0; i < f->n; i++) {
        v = &f->value[i];

        if (v->kind == RECO_VALUE_MISSING) {
            continue;
        }

        reco_buf_cstr(b, before);
        reco_buf_json_string(b, model->features[i].name);
        reco_buf_cstr(b, ":[");

        if (v->kind == RECO_VALUE_NUMBER) {
            reco_buf_double(b, v->number);
        } else {
            reco_buf_json_string(b, v->word);
        }

        reco_buf_cstr(b, ",\"");
        reco_buf_cstr(b, reco_source_name((reco_source_t) f->source[i]));
        reco_buf_cstr(b, "\"]");
        before = ",";
    }

    reco_buf_char(b, '}');
}

static void
write_slate(reco_buf_t *b, const reco_model_t *model, const reco_decision_t *d)
{
    uint32_t  i;

    reco_buf_cstr(b, ",\"slate\":[");

    for (i = 0; i < d->n; i++) {
        if (i > 0) {
            reco_buf_char(b, ',');
        }
        reco_buf_json_string(b, model->catalogue.actions[d->action[i]].id);
    }

    reco_buf_cstr(b, "],\"propensity\":[");

    for (i = 0; i < d->n; i++) {
        if (i > 0) {
            reco_buf_char(b, ',');
        }
        reco_buf_u64(b, d->propensity[i]);
    }

    reco_buf_char(b, ']');
}

static void
write_ids(reco_buf_t *b, const char *name, const reco_str_t *ids, uint32_t n)
{
    uint32_t  i;

    if (n == 0) {
        return;
    }

    reco_buf_cstr(b, name);

    for (i = 0; i < n; i++) {
        reco_buf_char(b, (i == 0) ? '[' : ',');
        reco_buf_json_string(b, ids[i]);
    }

    reco_buf_char(b, ']');
}

static void
write_items(reco_buf_t *b, const reco_item_slate_t *items)
{
    uint32_t  i;

    if (items->n == 0) {
        return;
    }

    reco_buf_cstr(b, ",\"items\":");

    for (i = 0; i < items->n; i++) {
        reco_buf_char(b, (i == 0) ? '[' : ',');
        reco_buf_json_string(b, items->items[i].item.id);
    }

    reco_buf_char(b, ']');
}

void
reco_event_write_decision(reco_buf_t *b, const reco_decision_event_t *e)
{
    const reco_model_t     *model = e->model;
    const reco_decision_t  *d = e->decision;

    write_member_u64(b, "{\"type\":\"decision\",\"seq\":", e->seq);
    write_id(b, ",\"id\":\"", &e->id);
    write_member_u64(b, ",\"time\":", e->time_ms);
    write_member_string(b, ",\"model\":", model->name);
    write_member_u64(b, ",\"generation\":", e->generation);
    write_member_string(b, ",\"customer\":", e->customer_key);
    write_member_string(b, ",\"session\":", e->session);
    write_features(b, model, e->features);
    write_member_u64(b, ",\"actions\":", model->catalogue.n);
    reco_buf_cstr(b, ",\"eligible\":\"");
    reco_mask_write(b, e->eligible, model->catalogue.n);
    reco_buf_char(b, '"');
    write_slate(b, model, d);
    reco_buf_cstr(b, ",\"policy\":\"");
    reco_buf_cstr(b, reco_policy_name(&model->policy));
    reco_buf_char(b, '"');

    if (d->level > 0) {
        write_member_u64(b, ",\"level\":", d->level);
    }

    if (e->request != NULL) {
        write_ids(b, ",\"cart\":", e->request->cart, e->request->ncart);
        write_ids(b, ",\"exclude\":", e->request->exclude,
                  e->request->nexclude);
    }

    if (e->items != NULL) {
        write_items(b, e->items);
    }

    if (d->pinned > 0) {
        write_member_u64(b, ",\"pinned\":", d->pinned);
    }

    if (d->low_mass) {
        reco_buf_cstr(b, ",\"low_mass\":true");
    }

    if (e->fallback) {
        reco_buf_cstr(b, ",\"fallback\":true");
    }

    if (e->not_replayable) {
        reco_buf_cstr(b, ",\"replayable\":false");
    }

    reco_buf_cstr(b, "}\n");
}

size_t
reco_event_decision_bound(const reco_model_t *model)
{
    size_t    n;
    uint32_t  i;

    /* names of members, numbers; model, customer, session */
    n = 512 + 3 * ID_BOUND;

    for (i = 0; i < model->nfeatures; i++) {
        n += 2 * model->features[i].name.len + 2 + ID_BOUND + NAME_BOUND;
    }

    n += model->catalogue.n / 4 + 4;
    n += (size_t) model->policy.slate * (ID_BOUND + NUMBER_BOUND);
    n += (size_t) model->items.slate * (ID_BOUND + 1);

    return n;
}

size_t
reco_event_request_bound(const reco_request_t *request)
{
    size_t    n;
    uint32_t  i;

    n = 0;

    for (i = 0; i < request->ncart; i++) {
        n += id_bound(request->cart[i]);
    }

    for (i = 0; i < request->nexclude; i++) {
        n += id_bound(request->exclude[i]);
    }

    return n;
}

/* ---- rewards -------------------------------------------------------- */

void
reco_event_write_reward(reco_buf_t *b, const reco_reward_event_t *e)
{
    uint32_t  i;

    write_member_u64(b, "{\"type\":\"reward\",\"seq\":", e->seq);
    write_member_u64(b, ",\"time\":", e->time_ms);
    write_member_string(b, ",\"model\":", e->model);
    write_member_u64(b, ",\"generation\":", e->generation);

    if (e->has_decision) {
        write_id(b, ",\"decision\":\"", &e->decision);
    }

    write_member_string(b, ",\"customer\":", e->customer_key);
    write_member_string(b, ",\"session\":", e->session);
    write_member_string(b, ",\"key\":", e->key);
    write_member_string(b, ",\"action\":", e->action);
    write_ids(b, ",\"items\":", e->items, e->nitems);
    reco_buf_cstr(b, ",\"facts\":{");

    for (i = 0; i < e->nfacts; i++) {
        if (i > 0) {
            reco_buf_char(b, ',');
        }

        reco_buf_json_string(b, e->facts[i].name);
        reco_buf_char(b, ':');
        reco_buf_double(b, e->facts[i].value);
    }

    reco_buf_cstr(b, "}}\n");
}

size_t
reco_event_reward_bound(void)
{
    return 512 + 5 * ID_BOUND + RECO_MAX_FACTS * (ID_BOUND + NUMBER_BOUND)
           + RECO_MAX_SLATE * (ID_BOUND + 1);
}

/* ---- what was forgotten --------------------------------------------- */

void
reco_event_write_forgotten(reco_buf_t *b, uint64_t seq, uint64_t time_ms,
    const reco_id_t *id, size_t len)
{
    size_t  start = reco_buf_len(b);

    static const char  pad[] = ",\"pad\":\"";

    write_member_u64(b, "{\"type\":\"forgotten\",\"seq\":", seq);
    write_member_u64(b, ",\"time\":", time_ms);

    if (id != NULL) {
        write_id(b, ",\"id\":\"", id);
    }

    if (reco_buf_len(b) - start + sizeof(pad) - 1 + 3 <= len) {
        reco_buf_cstr(b, pad);

        while (reco_buf_len(b) - start + 3 < len && !b->overflow) {
            reco_buf_char(b, '.');
        }

        reco_buf_char(b, '"');
    }

    reco_buf_cstr(b, "}\n");
}

/* ---- what was lost --------------------------------------------------- */

void
reco_event_write_lost(reco_buf_t *b, uint64_t seq, uint64_t time_ms,
    const reco_lost_t *lost)
{
    write_member_u64(b, "{\"type\":\"lost\",\"seq\":", seq);
    write_member_u64(b, ",\"time\":", time_ms);
    write_member_u64(b, ",\"from\":", lost->from);
    write_member_u64(b, ",\"to\":", lost->to);
    write_member_u64(b, ",\"decisions\":", lost->decisions);
    write_member_u64(b, ",\"rewards\":", lost->rewards);

    if (lost->elapsed_ms > 0) {
        write_member_u64(b, ",\"elapsed\":", lost->elapsed_ms);
    }

    reco_buf_cstr(b, "}\n");
}

/* ---- masks ---------------------------------------------------------- */

/* Bits of the word w that belong to actions below n. */
static uint64_t
word_mask(uint32_t w, uint32_t n)
{
    return (n - w * 64 >= 64) ? UINT64_MAX
                              : ((uint64_t) 1 << (n - w * 64)) - 1;
}

static bool
mask_is_full(const reco_mask_t *m, uint32_t n)
{
    uint32_t  w;

    for (w = 0; w * 64 < n; w++) {
        if ((m->bits[w] & word_mask(w, n)) != word_mask(w, n)) {
            return false;
        }
    }

    return true;
}

void
reco_mask_write(reco_buf_t *b, const reco_mask_t *m, uint32_t n)
{
    uint32_t  i;
    unsigned  digit;

    if (mask_is_full(m, n)) {
        reco_buf_cstr(b, "all");
        return;
    }

    for (i = (n + 3) / 4; i-- > 0; ) {
        digit = (unsigned) ((m->bits[i / 16] & word_mask(i / 16, n))
                            >> (i % 16 * 4)) & 15;
        reco_buf_char(b, "0123456789abcdef"[digit]);
    }
}

bool
reco_mask_read(reco_str_t text, uint32_t n, reco_mask_t *m)
{
    char      c;
    size_t    i;
    uint32_t  w, place;
    uint64_t  digit;

    memset(m, 0, sizeof(*m));

    if (n == 0 || n > RECO_MAX_ACTIONS) {
        return false;
    }

    if (text.len == 3 && memcmp(text.data, "all", 3) == 0) {
        for (w = 0; w * 64 < n; w++) {
            m->bits[w] = word_mask(w, n);
        }
        return true;
    }

    if (text.len != (n + 3) / 4) {
        return false;
    }

    for (i = 0; i < text.len; i++) {
        c = text.data[i];

        if (c >= '0' && c <= '9') {
            digit = (uint64_t) (c - '0');
        } else if (c >= 'a' && c <= 'f') {
            digit = (uint64_t) (c - 'a') + 10;
        } else {
            return false;
        }

        place = (uint32_t) (text.len - 1 - i);
        m->bits[place / 16] |= digit << (place % 16 * 4);
    }

    w = (n - 1) / 64;

    return (m->bits[w] & ~word_mask(w, n)) == 0;
}
