/*
 * reco_format_cart_query.c - which records of the history a query string asks
 * for: customer_id, session_id, action_type, from, to, limit, format.
 */

#include "reco_agent.h"
#include "reco_format_impl.h"

typedef struct {
    reco_arena_t          *arena;
    reco_history_query_t  *query;
    reco_error_t          *err;
    reco_str_t             format;     /* not yet read */
    reco_str_t             from, to, limit;
} args_t;

static reco_status_t
bad_query(reco_error_t *err, const char *field, const char *message)
{
    return reco_format_fail(err, RECO_NO_POSITION, field, RECO_FORMAT_ROOT,
                            message);
}

static int
hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    return (c >= 'a' && c <= 'f') ? c - 'a' + 10 : -1;
}

/* Percent-decoding, and '+' for a space. */
static reco_status_t
decode(args_t *a, reco_str_t in, reco_str_t *out)
{
    int     high, low;
    char   *p;
    size_t  i, n;

    p = reco_arena_alloc(a->arena, in.len + 1);
    if (p == NULL) {
        return reco_error_set(a->err, RECO_LIMIT, "query", "too long");
    }

    for (i = 0, n = 0; i < in.len; i++) {
        if (in.data[i] != '%') {
            p[n++] = (in.data[i] == '+') ? ' ' : in.data[i];
            continue;
        }

        high = (in.len - i > 2) ? hex(in.data[i + 1]) : -1;
        low = (high >= 0) ? hex(in.data[i + 2]) : -1;

        if (low < 0) {
            return bad_query(a->err, "query",
                             "'%' must be followed by two hex digits");
        }

        p[n++] = (char) (high * 16 + low);
        i += 2;
    }

    *out = (reco_str_t) { p, n };

    return RECO_OK;
}

/* name=value, both still encoded */
static reco_status_t
read_argument(args_t *a, reco_str_t pair)
{
    size_t         i;
    reco_str_t     name, value, *to;
    const char    *equals;
    reco_status_t  rc;

    equals = memchr(pair.data, '=', pair.len);
    i = (equals != NULL) ? (size_t) (equals - pair.data) : pair.len;

    rc = decode(a, (reco_str_t) { pair.data, i }, &name);

    if (rc == RECO_OK) {
        rc = (equals != NULL)
             ? decode(a, (reco_str_t) { equals + 1, pair.len - i - 1 }, &value)
             : bad_query(a->err, "query", "an argument must be NAME=VALUE");
    }

    if (rc != RECO_OK) {
        return rc;
    }

    /* an error is to name it */
    if (!reco_id_is_valid(name)) {
        return bad_query(a->err, "query",
                         "an argument's name must be 1 to 255 bytes of UTF-8"
                         " without control characters");
    }

    to = reco_key_is(name, "customer_id") ? &a->query->customer
         : reco_key_is(name, "session_id") ? &a->query->session
         : reco_key_is(name, "action_type") ? &a->query->action
         : reco_key_is(name, "from") ? &a->from
         : reco_key_is(name, "to") ? &a->to
         : reco_key_is(name, "limit") ? &a->limit
         : reco_key_is(name, "format") ? &a->format : NULL;

    if (to == NULL) {
        return reco_format_fail(a->err, RECO_NO_POSITION, "", name,
                                "no such argument");
    }

    if (to->data != NULL) {
        return reco_format_fail(a->err, RECO_NO_POSITION, "", name,
                                "given twice");
    }

    *to = value;

    return RECO_OK;
}

/* Digits only; false when there are none, too many or others. */
static bool
read_u64(reco_str_t text, uint64_t *v)
{
    size_t  i;

    *v = 0;

    for (i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }

        *v = *v * 10 + (uint64_t) (text.data[i] - '0');
    }

    return text.len > 0 && text.len <= 15;
}

/* Milliseconds since 1970, or ISO 8601. */
static reco_status_t
read_moment(const char *field, reco_str_t text, uint64_t *ms,
    reco_error_t *err)
{
    if (text.len == 0 || read_u64(text, ms) || reco_format_time(text, ms)) {
        return RECO_OK;
    }

    return bad_query(err, field, "must be a date, or a date and time, of"
                     " ISO 8601, or milliseconds since 1970");
}

static reco_status_t
check_id(const char *field, reco_str_t id, reco_error_t *err)
{
    return (id.len == 0 || reco_id_is_valid(id))
           ? RECO_OK
           : bad_query(err, field, "must have at most 255 bytes of UTF-8 and"
                       " no control characters");
}

static reco_status_t
finish_query(args_t *a)
{
    uint64_t               limit;
    reco_status_t          rc;
    reco_history_query_t  *q = a->query;

    q->to_ms = UINT64_MAX;
    q->limit = RECO_HISTORY_LIMIT;

    if ((rc = check_id("customer_id", q->customer, a->err)) != RECO_OK
        || (rc = check_id("session_id", q->session, a->err)) != RECO_OK
        || (rc = check_id("action_type", q->action, a->err)) != RECO_OK
        || (rc = read_moment("from", a->from, &q->from_ms, a->err)) != RECO_OK
        || (rc = read_moment("to", a->to, &q->to_ms, a->err)) != RECO_OK)
    {
        return rc;
    }

    if (q->from_ms > q->to_ms) {
        return bad_query(a->err, "from", "must not be later than to");
    }

    if (a->limit.len > 0) {
        if (!read_u64(a->limit, &limit) || limit < 1
            || limit > RECO_HISTORY_LIMIT_MAX)
        {
            return bad_query(a->err, "limit",
                             "must be an integer from 1 to 1000");
        }

        q->limit = (uint32_t) limit;
    }

    q->csv = reco_key_is(a->format, "csv");

    if (!q->csv && a->format.len > 0 && !reco_key_is(a->format, "json")) {
        return bad_query(a->err, "format", "must be json or csv");
    }

    return RECO_OK;
}

/* An argument with an empty value is as good as none. */
reco_status_t
reco_history_query_parse(reco_str_t args, reco_arena_t *arena,
    reco_history_query_t *query, reco_error_t *err)
{
    args_t         a = { .arena = arena, .query = query, .err = err };
    reco_str_t     pair;
    const char    *p, *last, *amp;
    reco_status_t  rc;

    memset(query, 0, sizeof(*query));

    last = args.data + args.len;

    for (p = args.data; args.len > 0 && p < last; p = amp + 1) {
        amp = memchr(p, '&', (size_t) (last - p));
        amp = (amp != NULL) ? amp : last;
        pair = (reco_str_t) { p, (size_t) (amp - p) };

        if (pair.len > 0 && (rc = read_argument(&a, pair)) != RECO_OK) {
            return rc;
        }
    }

    return finish_query(&a);
}

bool
reco_history_matches(const reco_history_query_t *q, const reco_history_t *h)
{
    return h->kind == RECO_HISTORY_RECOMMENDATION
           && h->time_ms >= q->from_ms && h->time_ms < q->to_ms
           && (q->customer_key.len == 0
               || reco_str_equal(q->customer_key, h->customer_key))
           && (q->session.len == 0 || reco_str_equal(q->session, h->session))
           && (q->action.len == 0 || reco_str_equal(q->action, h->action));
}
