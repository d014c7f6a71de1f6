/*
 * reco_event_read.c - reads a line of the event log back. Strict within the
 * members it knows; those it does not know are a newer writer's and skipped.
 * What is read lives in the caller's line and arena.
 */

#include "reco_event.h"

#include <string.h>

#define EVENT_FORMAT  1

/* How a member is read; 'offset' is that of its place in reco_event_t. */
typedef enum {
    READ_U64,
    READ_I64,
    READ_U32,
    READ_STRING,                /* 1..RECO_MAX_ID bytes */
    READ_TEXT,                  /* a string of any length */
    READ_BOOL,
    READ_NOT_BOOL,
    READ_ID,
    READ_TYPE,
    READ_FORMAT,
    READ_INCARNATION,
    READ_FEATURES,
    READ_SLATE,
    READ_PROPENSITY,
    READ_CART,
    READ_EXCLUDE,
    READ_ITEMS,
    READ_FACTS
} member_kind_t;

typedef enum {
    M_TYPE, M_SEQ, M_ID, M_TIME, M_MODEL, M_GENERATION, M_CUSTOMER, M_SESSION,
    M_FEATURES, M_ACTIONS, M_ELIGIBLE, M_SLATE, M_PROPENSITY, M_POLICY,
    M_PINNED, M_LOW_MASS, M_FALLBACK, M_REPLAYABLE, M_DECISION, M_KEY,
    M_ACTION, M_FACTS, M_LEVEL, M_CART, M_EXCLUDE, M_ITEMS, M_FORMAT, M_NODE,
    M_INCARNATION, M_SEGMENT, M_CLOCK, M_BOOT, M_FROM, M_TO, M_DECISIONS,
    M_REWARDS, M_ELAPSED,
    M_COUNT
} member_t;

#define AT(field)  offsetof(reco_event_t, field)

static const struct {
    const char     *name;
    member_kind_t   kind;
    size_t          offset;
} members[M_COUNT] = {
    [M_TYPE] = { "type", READ_TYPE, 0 },
    [M_SEQ] = { "seq", READ_U64, AT(seq) },
    [M_ID] = { "id", READ_ID, AT(id) },
    [M_TIME] = { "time", READ_U64, AT(time_ms) },
    [M_MODEL] = { "model", READ_STRING, AT(model) },
    [M_GENERATION] = { "generation", READ_U64, AT(generation) },
    [M_CUSTOMER] = { "customer", READ_STRING, AT(customer_key) },
    [M_SESSION] = { "session", READ_STRING, AT(session) },
    [M_FEATURES] = { "features", READ_FEATURES, 0 },
    [M_ACTIONS] = { "actions", READ_U32, AT(actions) },
    [M_ELIGIBLE] = { "eligible", READ_TEXT, AT(eligible) },
    [M_SLATE] = { "slate", READ_SLATE, 0 },
    [M_PROPENSITY] = { "propensity", READ_PROPENSITY, 0 },
    [M_POLICY] = { "policy", READ_STRING, AT(policy) },
    [M_PINNED] = { "pinned", READ_U32, AT(pinned) },
    [M_LOW_MASS] = { "low_mass", READ_BOOL, AT(low_mass) },
    [M_FALLBACK] = { "fallback", READ_BOOL, AT(fallback) },
    [M_REPLAYABLE] = { "replayable", READ_NOT_BOOL, AT(not_replayable) },
    [M_DECISION] = { "decision", READ_ID, AT(id) },
    [M_KEY] = { "key", READ_STRING, AT(key) },
    [M_ACTION] = { "action", READ_STRING, AT(action) },
    [M_FACTS] = { "facts", READ_FACTS, 0 },
    [M_LEVEL] = { "level", READ_U32, AT(level) },
    [M_CART] = { "cart", READ_CART, 0 },
    [M_EXCLUDE] = { "exclude", READ_EXCLUDE, 0 },
    [M_ITEMS] = { "items", READ_ITEMS, 0 },
    [M_FORMAT] = { "format", READ_FORMAT, 0 },
    [M_NODE] = { "node", READ_STRING, AT(header.node) },
    [M_INCARNATION] = { "incarnation", READ_INCARNATION, 0 },
    [M_SEGMENT] = { "segment", READ_U64, AT(header.segment) },
    [M_CLOCK] = { "clock", READ_I64, AT(header.clock.offset_ms) },
    [M_BOOT] = { "boot", READ_STRING, AT(header.clock.boot) },
    [M_FROM] = { "from", READ_U64, AT(lost.from) },
    [M_TO] = { "to", READ_U64, AT(lost.to) },
    [M_DECISIONS] = { "decisions", READ_U64, AT(lost.decisions) },
    [M_REWARDS] = { "rewards", READ_U64, AT(lost.rewards) },
    [M_ELAPSED] = { "elapsed", READ_U64, AT(lost.elapsed_ms) },
};

#define BIT(member)  ((uint64_t) 1 << (member))

/* What each type of record must have, by reco_event_type_t. */
static const uint64_t  required[] = {
    [RECO_EVENT_HEADER] = BIT(M_FORMAT) | BIT(M_NODE) | BIT(M_INCARNATION)
                          | BIT(M_SEGMENT) | BIT(M_TIME),
    [RECO_EVENT_DECISION] = BIT(M_SEQ) | BIT(M_ID) | BIT(M_TIME)
                            | BIT(M_MODEL) | BIT(M_GENERATION)
                            | BIT(M_FEATURES) | BIT(M_ACTIONS)
                            | BIT(M_ELIGIBLE) | BIT(M_SLATE)
                            | BIT(M_PROPENSITY) | BIT(M_POLICY),
    [RECO_EVENT_REWARD] = BIT(M_SEQ) | BIT(M_TIME) | BIT(M_MODEL)
                          | BIT(M_GENERATION) | BIT(M_FACTS),
    [RECO_EVENT_FORGOTTEN] = BIT(M_SEQ) | BIT(M_TIME),
    [RECO_EVENT_LOST] = BIT(M_SEQ) | BIT(M_TIME) | BIT(M_FROM) | BIT(M_TO)
                        | BIT(M_DECISIONS) | BIT(M_REWARDS),
};

typedef struct {
    reco_json_t        json;
    reco_json_token_t  token;
    const char        *field;       /* member that is being read */
    uint64_t           seen;
    uint32_t           npropensity;
    reco_event_t      *out;
    reco_error_t      *err;
} reader_t;

static reco_status_t
fail(reader_t *r, const char *message)
{
    reco_error_set(r->err, RECO_INVALID, r->field, "%s", message);
    r->err->position = r->json.position;

    return RECO_INVALID;
}

/* The next token, which must be one of an array's or an object's elements, or
 * its end (RECO_NOT_FOUND). */
static reco_status_t
next(reader_t *r)
{
    r->token = reco_json_next(&r->json);

    switch (r->token) {

    case RECO_JSON_ERROR:
        return r->err->status;

    case RECO_JSON_ARRAY_END:
    case RECO_JSON_OBJECT_END:
        return RECO_NOT_FOUND;

    default:
        return RECO_OK;
    }
}

/* ---- plain values --------------------------------------------------- */

static reco_status_t
read_u64(reader_t *r, uint64_t max, uint64_t *out)
{
    size_t      i;
    uint64_t    v, digit;
    reco_str_t  text;

    if (r->token != RECO_JSON_NUMBER) {
        return fail(r, "must be an integer");
    }

    text = r->json.string;

    for (i = 0, v = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return fail(r, "must be an integer, not negative");
        }

        digit = (uint64_t) (text.data[i] - '0');

        if (v > (UINT64_MAX - digit) / 10 || v * 10 + digit > max) {
            return fail(r, "too large");
        }

        v = v * 10 + digit;
    }

    *out = v;

    return RECO_OK;
}

static reco_status_t
read_i64(reader_t *r, int64_t *out)
{
    bool           negative;
    uint64_t       v;
    reco_status_t  rc;

    negative = r->token == RECO_JSON_NUMBER && r->json.string.data[0] == '-';

    if (negative) {
        r->json.string.data++;
        r->json.string.len--;
    }

    rc = read_u64(r, INT64_MAX, &v);

    if (rc == RECO_OK) {
        *out = negative ? -(int64_t) v : (int64_t) v;
    }

    return rc;
}

static reco_status_t
read_string(reader_t *r, reco_str_t *out)
{
    if (r->token != RECO_JSON_STRING || !reco_id_is_valid(r->json.string)) {
        return fail(r, "must be a string of 1 to 255 bytes without control"
                       " characters");
    }

    *out = r->json.string;

    return RECO_OK;
}

static reco_status_t
read_bool(reader_t *r, bool negate, bool *out)
{
    if (r->token != RECO_JSON_TRUE && r->token != RECO_JSON_FALSE) {
        return fail(r, "must be true or false");
    }

    *out = (r->token == RECO_JSON_TRUE) != negate;

    return RECO_OK;
}

static reco_status_t
read_id(reader_t *r)
{
    if (r->token != RECO_JSON_STRING
        || !reco_id_parse(r->json.string, &r->out->id))
    {
        return fail(r, "must be an id of 32 hex digits");
    }

    r->out->has_id = true;

    return RECO_OK;
}

static reco_status_t
read_type(reader_t *r)
{
    size_t      i;
    reco_str_t  text;

    static const char *const  types[] = {
        [RECO_EVENT_HEADER] = "segment",
        [RECO_EVENT_DECISION] = "decision",
        [RECO_EVENT_REWARD] = "reward",
        [RECO_EVENT_FORGOTTEN] = "forgotten",
        [RECO_EVENT_LOST] = "lost",
    };

    text = (r->token == RECO_JSON_STRING) ? r->json.string : RECO_STR("");

    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (text.len == strlen(types[i])
            && memcmp(text.data, types[i], text.len) == 0)
        {
            r->out->type = (reco_event_type_t) i;
            return RECO_OK;
        }
    }

    return fail(r, "must be segment, decision, reward, forgotten or"
                   " lost");
}

static reco_status_t
read_format(reader_t *r)
{
    uint64_t       format;
    reco_status_t  rc;

    rc = read_u64(r, UINT64_MAX, &format);

    if (rc == RECO_OK && format != EVENT_FORMAT) {
        return reco_error_set(r->err, RECO_UNSUPPORTED, r->field,
                              "event log of format %llu, where this is 1",
                              (unsigned long long) format);
    }

    return rc;
}

static reco_status_t
read_incarnation(reader_t *r)
{
    char        c;
    size_t      i;
    uint32_t    v;
    reco_str_t  text;

    text = (r->token == RECO_JSON_STRING) ? r->json.string : RECO_STR("");

    for (i = 0, v = 0; i < text.len && i < 8; i++) {
        c = text.data[i];

        if (c >= '0' && c <= '9') {
            v = v << 4 | (uint32_t) (c - '0');
        } else if (c >= 'a' && c <= 'f') {
            v = v << 4 | (uint32_t) (c - 'a' + 10);
        } else {
            break;
        }
    }

    if (i != 8 || text.len != 8) {
        return fail(r, "must be 8 hex digits");
    }

    r->out->header.incarnation = v;

    return RECO_OK;
}

/* ---- lists ---------------------------------------------------------- */

static reco_status_t
read_source(reader_t *r, reco_source_t *out)
{
    int          i;
    const char  *name;

    for (i = RECO_SOURCE_REQUEST; i <= RECO_SOURCE_DEFAULT; i++) {
        name = reco_source_name((reco_source_t) i);

        if (r->token == RECO_JSON_STRING
            && r->json.string.len == strlen(name)
            && memcmp(r->json.string.data, name, strlen(name)) == 0)
        {
            *out = (reco_source_t) i;
            return RECO_OK;
        }
    }

    return fail(r, "a feature's source must be request, customer, geo, time"
                   " or default");
}

/* [42,"request"]; the token is the array's start. */
static reco_status_t
read_feature(reader_t *r, reco_event_feature_t *f)
{
    reco_status_t  rc;

    if (r->token != RECO_JSON_ARRAY || next(r) != RECO_OK) {
        return (r->token == RECO_JSON_ERROR) ? r->err->status
               : fail(r, "a feature must be an array of value and source");
    }

    if (r->token == RECO_JSON_NUMBER) {
        f->value.kind = RECO_VALUE_NUMBER;
        f->value.number = r->json.number;
        f->value.word = RECO_STR("");

    } else {
        f->value.kind = RECO_VALUE_WORD;
        f->value.number = 0;
        rc = read_string(r, &f->value.word);
        if (rc != RECO_OK) {
            return rc;
        }
    }

    rc = next(r);
    if (rc == RECO_OK) {
        rc = read_source(r, &f->source);
    } else if (rc == RECO_NOT_FOUND) {
        rc = fail(r, "a feature must be an array of value and source");
    }

    if (rc != RECO_OK) {
        return rc;
    }

    rc = next(r);

    return (rc == RECO_NOT_FOUND) ? RECO_OK
           : (rc == RECO_OK)
             ? fail(r, "a feature must be an array of value and source") : rc;
}

static reco_status_t
read_features(reader_t *r)
{
    reco_status_t          rc;
    reco_event_feature_t  *f;

    if (r->token != RECO_JSON_OBJECT) {
        return fail(r, "must be an object");
    }

    while ((rc = next(r)) == RECO_OK) {

        if (r->out->nfeatures == RECO_MAX_FEATURES) {
            return fail(r, "more than 256 features");
        }

        f = &r->out->features[r->out->nfeatures++];
        f->name = r->json.string;

        if (!reco_id_is_valid(f->name)) {
            return fail(r, "a feature's name must have 1 to 255 bytes and no"
                           " control characters");
        }

        r->token = reco_json_next(&r->json);
        rc = read_feature(r, f);
        if (rc != RECO_OK) {
            return rc;
        }
    }

    return (rc == RECO_NOT_FOUND) ? RECO_OK : rc;
}

/* An array of ids into room for 'max' of them. */
static reco_status_t
read_ids(reader_t *r, reco_str_t *ids, uint32_t *n, uint32_t max,
    const char *too_many)
{
    reco_status_t  rc;

    if (r->token != RECO_JSON_ARRAY) {
        return fail(r, "must be an array of ids");
    }

    while ((rc = next(r)) == RECO_OK) {

        if (*n == max) {
            return fail(r, too_many);
        }

        rc = read_string(r, &ids[(*n)++]);
        if (rc != RECO_OK) {
            return rc;
        }
    }

    return (rc == RECO_NOT_FOUND) ? RECO_OK : rc;
}

static reco_status_t
read_propensity(reader_t *r)
{
    uint64_t      *p;
    reco_status_t  rc;

    if (r->token != RECO_JSON_ARRAY) {
        return fail(r, "must be an array of integers");
    }

    while ((rc = next(r)) == RECO_OK) {

        if (r->npropensity == RECO_MAX_SLATE) {
            return fail(r, "more than 64 slots");
        }

        p = &r->out->propensity[r->npropensity++];

        rc = read_u64(r, RECO_ONE, p);
        if (rc != RECO_OK) {
            return rc;
        }

        if (*p == 0) {
            return fail(r, "a propensity must be from 1 to 2^32");
        }
    }

    return (rc == RECO_NOT_FOUND) ? RECO_OK : rc;
}

static reco_status_t
read_facts(reader_t *r)
{
    reco_fact_t   *fact;
    reco_status_t  rc;

    if (r->token != RECO_JSON_OBJECT) {
        return fail(r, "must be an object");
    }

    while ((rc = next(r)) == RECO_OK) {

        if (r->out->nfacts == RECO_MAX_FACTS) {
            return fail(r, "more than 32 facts");
        }

        fact = &r->out->facts[r->out->nfacts++];
        fact->name = r->json.string;

        if (!reco_id_is_valid(fact->name)) {
            return fail(r, "a fact's name must have 1 to 255 bytes and no"
                           " control characters");
        }

        rc = next(r);
        if (rc != RECO_OK || r->token != RECO_JSON_NUMBER) {
            return (rc != RECO_OK) ? rc : fail(r, "a fact must be a number");
        }

        fact->value = r->json.number;
    }

    return (rc == RECO_NOT_FOUND) ? RECO_OK : rc;
}

/* ---- a line --------------------------------------------------------- */

static reco_status_t
read_member(reader_t *r, member_t m)
{
    char          *at;
    uint64_t       v;
    reco_event_t  *e = r->out;
    reco_status_t  rc;

    at = (char *) e + members[m].offset;

    switch (members[m].kind) {

    case READ_U64:
        return read_u64(r, UINT64_MAX, (uint64_t *) (void *) at);

    case READ_I64:
        return read_i64(r, (int64_t *) (void *) at);

    case READ_U32:
        rc = read_u64(r, UINT32_MAX, &v);
        if (rc == RECO_OK) {
            *(uint32_t *) (void *) at = (uint32_t) v;
        }
        return rc;

    case READ_STRING:
        return read_string(r, (reco_str_t *) (void *) at);

    case READ_TEXT:
        if (r->token != RECO_JSON_STRING) {
            return fail(r, "must be a string");
        }
        *(reco_str_t *) (void *) at = r->json.string;
        return RECO_OK;

    case READ_BOOL:
        return read_bool(r, false, (bool *) at);

    case READ_NOT_BOOL:
        return read_bool(r, true, (bool *) at);

    case READ_ID:
        return read_id(r);

    case READ_TYPE:
        return read_type(r);

    case READ_FORMAT:
        return read_format(r);

    case READ_INCARNATION:
        return read_incarnation(r);

    case READ_FEATURES:
        return read_features(r);

    case READ_SLATE:
        return read_ids(r, e->slate, &e->nslate, RECO_MAX_SLATE,
                        "more than 64 slots");

    case READ_CART:
        return read_ids(r, e->cart, &e->ncart, RECO_MAX_CART,
                        "more than 64 items");

    case READ_EXCLUDE:
        return read_ids(r, e->exclude, &e->nexclude, RECO_MAX_CART,
                        "more than 64 items");

    case READ_ITEMS:
        return read_ids(r, e->items, &e->nitems, RECO_MAX_SLATE,
                        "more than 64 items");

    case READ_PROPENSITY:
        return read_propensity(r);

    default:
        return read_facts(r);
    }
}

static member_t
find_member(reco_str_t key)
{
    int  m;

    for (m = 0; m < M_COUNT; m++) {
        if (strlen(members[m].name) == key.len
            && memcmp(members[m].name, key.data, key.len) == 0)
        {
            break;
        }
    }

    return (member_t) m;
}

/* All but the large arrays, which their counts guard. */
static void
reset(reco_event_t *e)
{
    e->seq = e->time_ms = e->generation = 0;
    e->has_id = false;
    e->model = e->customer_key = e->session = e->policy = RECO_STR("");
    e->actions = 0;
    e->eligible = RECO_STR("");
    e->fallback = e->not_replayable = e->low_mass = false;
    e->pinned = e->nfeatures = e->nslate = e->nfacts = 0;
    e->level = e->ncart = e->nexclude = e->nitems = 0;
    e->key = e->action = RECO_STR("");
    memset(&e->header, 0, sizeof(e->header));
    e->header.node = e->header.clock.boot = RECO_STR("");
    memset(&e->lost, 0, sizeof(e->lost));
    memset(&e->id, 0, sizeof(e->id));
}

static reco_status_t
check_decision(reader_t *r)
{
    reco_mask_t    mask;
    reco_event_t  *e = r->out;

    r->field = "eligible";
    if (!reco_mask_read(e->eligible, e->actions, &mask)) {
        return fail(r, "must be \"all\" or a mask of the catalogue's size");
    }

    r->field = "slate";
    if (e->nslate == 0) {
        return fail(r, "must not be empty");
    }

    r->field = "propensity";
    if (r->npropensity != e->nslate) {
        return fail(r, "must have as many elements as the slate");
    }

    r->field = "level";
    if (e->level >= RECO_MAX_LEVELS) {
        return fail(r, "must be below 8");
    }

    r->field = "pinned";
    if (e->pinned > e->nslate) {
        return fail(r, "must be at most the slate's length");
    }

    return RECO_OK;
}

/* A note that explained more than was lost would hide a hole. */
static reco_status_t
check_lost(reader_t *r)
{
    uint64_t            numbers;
    const reco_lost_t  *lost = &r->out->lost;

    r->field = "from";
    if (lost->from == 0 || lost->from > lost->to) {
        return fail(r, "must be from 1 to \"to\"");
    }

    r->field = "to";
    if (lost->to >= r->out->seq) {
        return fail(r, "must be below \"seq\"");
    }

    numbers = lost->to - lost->from + 1;

    r->field = "decisions";
    if (lost->decisions > numbers) {
        return fail(r, "must be at most the numbers that were lost");
    }

    r->field = "rewards";
    if (lost->rewards > numbers - lost->decisions) {
        return fail(r, "must be, with the decisions, at most the numbers that"
                       " were lost");
    }

    return RECO_OK;
}

static reco_status_t
check(reader_t *r)
{
    int            m;
    uint64_t       missing;
    reco_event_t  *e = r->out;

    missing = (r->seen & BIT(M_TYPE)) ? required[e->type] & ~r->seen
                                      : BIT(M_TYPE);

    for (m = 0; m < M_COUNT; m++) {
        if (missing & BIT(m)) {
            r->field = members[m].name;
            return fail(r, "missing");
        }
    }

    switch (e->type) {

    case RECO_EVENT_DECISION:
        return check_decision(r);

    case RECO_EVENT_REWARD:
        r->field = "decision";
        if (!e->has_id && e->customer_key.len == 0) {
            return fail(r, "a reward needs a decision or a customer");
        }

        r->field = "facts";
        return (e->nfacts > 0) ? RECO_OK : fail(r, "must not be empty");

    case RECO_EVENT_FORGOTTEN:
        return RECO_OK;

    case RECO_EVENT_LOST:
        return check_lost(r);

    default:
        e->header.time_ms = e->time_ms;
        e->header.clock.known = (r->seen & BIT(M_CLOCK)) != 0;
        return RECO_OK;
    }
}

reco_status_t
reco_event_read(reco_str_t line, reco_arena_t *arena, reco_json_keys_t *keys,
    reco_event_t *out, reco_error_t *err)
{
    member_t       m;
    reader_t       r;
    reco_status_t  rc;

    r.field = "";
    r.seen = 0;
    r.npropensity = 0;
    r.out = out;
    r.err = err;

    reset(out);
    reco_json_init(&r.json, line, 0, arena, keys, err);

    r.token = reco_json_next(&r.json);
    if (r.token != RECO_JSON_OBJECT) {
        return (r.token == RECO_JSON_ERROR) ? err->status
                                            : fail(&r, "must be an object");
    }

    while ((rc = next(&r)) == RECO_OK) {

        m = find_member(r.json.string);
        r.token = reco_json_next(&r.json);

        if (r.token == RECO_JSON_ERROR) {
            return err->status;
        }

        if (m == M_COUNT) {
            if (!reco_json_skip(&r.json, r.token)) {
                return err->status;
            }
            continue;
        }

        r.field = members[m].name;
        r.seen |= BIT(m);

        rc = read_member(&r, m);
        if (rc != RECO_OK) {
            return rc;
        }
    }

    if (rc != RECO_NOT_FOUND) {
        return rc;
    }

    if (reco_json_next(&r.json) != RECO_JSON_END) {
        return err->status;
    }

    return check(&r);
}
