/*
 * reco_format_native.c - the format that shows all the core can do
 * (docs/HTTP.md): /decide and /reward. Nothing here outlives a call.
 */

#include "reco_format_impl.h"
#include "reco_spec.h"

/* A field without a name would say that the body is no JSON at all. */
static reco_status_t
no_member(const reco_json_t *s, reco_str_t key, reco_error_t *err)
{
    return reco_format_fail(err, s->position, "",
                            key.len ? key : RECO_STR("\"\""),
                            "no such member");
}

/* ---- POST /decide --------------------------------------------------- */

/* Slots wanted; the policy's number is the most one may get. */
static reco_status_t
set_slate(reco_request_t *request, const reco_model_t *model, double slots,
    size_t position, reco_error_t *err)
{
    if (!(slots >= 1 && slots <= RECO_MAX_SLATE)
        || slots != (double) (uint32_t) slots)
    {
        return reco_format_fail(err, position, "slate", RECO_FORMAT_ROOT,
                                "must be an integer from 1 to 64");
    }

    request->slate = (uint32_t) slots;

    if (request->slate > model->policy.slate) {
        request->slate = model->policy.slate;
    }

    return RECO_OK;
}

static void
flag_action(reco_request_t *request, const reco_model_t *model, reco_str_t id)
{
    int  i;

    i = reco_catalogue_find(&model->catalogue, id);

    if (i < 0) {
        request->unknown_fields++;
    } else {
        reco_mask_set(&request->flags, (uint32_t) i);
    }
}

static reco_status_t
parse_actions(reco_json_t *s, reco_json_token_t token,
    const reco_model_t *model, reco_request_t *request, reco_error_t *err)
{
    if (token == RECO_JSON_OBJECT) {
        return reco_format_flags(s, "actions", model, request, err);
    }

    if (token == RECO_JSON_NULL) {
        return RECO_OK;
    }

    if (token != RECO_JSON_ARRAY) {
        return reco_format_fail(err, s->position, "actions", RECO_FORMAT_ROOT,
                                "must be an array of ids, or an object from"
                                " id to true or false");
    }

    reco_format_flags_begin(request);

    while ((token = reco_json_next(s)) == RECO_JSON_STRING) {
        flag_action(request, model, s->string);
    }

    if (token == RECO_JSON_ARRAY_END) {
        return RECO_OK;
    }

    if (token == RECO_JSON_ERROR) {
        return err->status;
    }

    return reco_format_fail(err, s->position, "actions", RECO_FORMAT_ROOT,
                            "must be an array of strings");
}

static reco_status_t
parse_decide_member(reco_json_t *s, reco_str_t key, reco_json_token_t token,
    const reco_model_t *model, reco_request_t *request, reco_error_t *err)
{
    if (reco_key_is(key, "customer")) {
        return reco_format_id(s, token, "", key, true, &request->customer,
                              err);
    }

    if (reco_key_is(key, "features")) {
        if (token == RECO_JSON_OBJECT) {
            return reco_format_features(s, "features", model, request, err);
        }

        if (token == RECO_JSON_NULL) {
            return RECO_OK;
        }

        return reco_format_fail(err, s->position, "", key,
                                "must be an object");
    }

    if (reco_key_is(key, "actions")) {
        return parse_actions(s, token, model, request, err);
    }

    if (reco_key_is(key, "session")) {
        return reco_format_id(s, token, "", key, true, &request->session, err);
    }

    if (reco_key_is(key, "cart")) {
        return reco_format_ids(s, token, key, request->cart, RECO_MAX_CART,
                               &request->ncart, err);
    }

    if (reco_key_is(key, "exclude")) {
        return reco_format_ids(s, token, key, request->exclude, RECO_MAX_CART,
                               &request->nexclude, err);
    }

    if (reco_key_is(key, "slate")) {
        if (token == RECO_JSON_NULL) {
            return RECO_OK;
        }

        return set_slate(request, model,
                         (token == RECO_JSON_NUMBER) ? s->number : 0,
                         s->position, err);
    }

    if (reco_key_is(key, "explain")) {
        if (token != RECO_JSON_TRUE && token != RECO_JSON_FALSE) {
            return reco_format_fail(err, s->position, "", key,
                                    "must be true or false");
        }

        request->explain = (token == RECO_JSON_TRUE);
        return RECO_OK;
    }

    return no_member(s, key, err);
}

static reco_status_t
parse_decide_body(reco_str_t body, const reco_model_t *model,
    reco_parse_t *parse, reco_request_t *request, reco_error_t *err)
{
    reco_str_t         key;
    reco_json_t        s;
    reco_status_t      rc;
    reco_json_token_t  token;

    reco_json_init(&s, body, 0, &parse->arena, parse->keys, err);

    rc = reco_format_begin(&s, err);

    while (rc == RECO_OK) {
        rc = reco_format_member(&s, &key, &token, err);

        if (rc == RECO_OK) {
            rc = parse_decide_member(&s, key, token, model, request, err);
        }
    }

    return (rc == RECO_NOT_FOUND) ? reco_format_end(&s, err) : rc;
}

/* ---- GET /decide ---------------------------------------------------- */

/* Arguments of a query string, decoded one after the other. */
typedef struct {
    reco_str_t       text;
    char            *room;      /* decoded bytes go here; never more than
                                   there are in the text */
    unsigned         seen;      /* bits of the arguments of our own */
    reco_request_t  *request;
    reco_error_t    *err;
} args_t;

enum {
    ARG_CUSTOMER = 0x1,
    ARG_SESSION = 0x2,
    ARG_SLATE = 0x4,
    ARG_EXPLAIN = 0x8,
    ARG_ACTIONS = 0x10
};

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    return (c >= 'a' && c <= 'f') ? c - 'a' + 10 : -1;
}

/* Percent-decoding, and '+' for a space. */
static reco_status_t
decode(args_t *a, const char *p, const char *end, reco_str_t *out)
{
    int    high, low;
    char  *start, *d;

    start = d = a->room;

    while (p < end) {
        if (*p == '+') {
            *d++ = ' ';
            p++;

        } else if (*p == '%') {
            high = (end - p > 2) ? hex_digit(p[1]) : -1;
            low = (end - p > 2) ? hex_digit(p[2]) : -1;

            if (high < 0 || low < 0) {
                return reco_format_fail(a->err, (size_t) (p - a->text.data),
                                        "query", RECO_FORMAT_ROOT,
                                        "malformed percent-encoding");
            }

            *d++ = (char) (high * 16 + low);
            p += 3;

        } else {
            *d++ = *p++;
        }
    }

    a->room = d;
    *out = (reco_str_t) { start, (size_t) (d - start) };

    if (!reco_utf8_is_valid(out->data, out->len)) {
        return reco_format_fail(a->err, (size_t) (end - a->text.data),
                                "query", RECO_FORMAT_ROOT, "not UTF-8");
    }

    return RECO_OK;
}

/* An empty value is an absent one: a variable of nginx may be empty. */
static reco_status_t
arg_id(args_t *a, reco_str_t name, reco_str_t value, reco_str_t *out)
{
    if (value.len > 0 && !reco_id_is_valid(value)) {
        return reco_format_fail(a->err, RECO_NO_POSITION, "", name,
                                "must have at most 255 bytes and no control"
                                " characters");
    }

    *out = value;

    return RECO_OK;
}

static reco_status_t
arg_actions(args_t *a, const reco_model_t *model, const char *p,
    const char *end)
{
    reco_str_t     id;
    const char    *comma;
    reco_status_t  rc;

    reco_format_flags_begin(a->request);

    while (p < end) {
        comma = memchr(p, ',', (size_t) (end - p));
        if (comma == NULL) {
            comma = end;
        }

        rc = decode(a, p, comma, &id);
        if (rc != RECO_OK) {
            return rc;
        }

        flag_action(a->request, model, id);
        p = comma + 1;
    }

    return RECO_OK;
}

/* What the feature's type makes of a text is what it makes of a CSV's. */
static reco_status_t
arg_feature(args_t *a, const reco_model_t *model, reco_str_t name,
    reco_str_t value)
{
    int            i;
    reco_value_t  *v;
    reco_status_t  rc;

    i = reco_model_request_feature(model, name);

    if (i < 0) {
        a->request->unknown_fields++;
        return RECO_OK;
    }

    v = &a->request->given[i];

    if (v->kind != RECO_VALUE_MISSING) {
        return reco_format_fail(a->err, RECO_NO_POSITION, "", name,
                                "given twice");
    }

    rc = arg_id(a, name, value, &v->word);
    if (rc != RECO_OK || value.len == 0) {
        return rc;
    }

    v->kind = RECO_VALUE_WORD;

    rc = reco_feature_convert(&model->features[i], v, true, a->err);
    if (rc != RECO_OK) {
        /* its words, under the name the client used */
        reco_error_t  e = *a->err;

        return reco_format_fail(a->err, RECO_NO_POSITION, "", name, e.message);
    }

    return RECO_OK;
}

static unsigned
arg_bit(reco_str_t name)
{
    return reco_key_is(name, "customer") ? ARG_CUSTOMER
           : reco_key_is(name, "session") ? ARG_SESSION
           : reco_key_is(name, "slate") ? ARG_SLATE
           : reco_key_is(name, "explain") ? ARG_EXPLAIN
           : reco_key_is(name, "actions") ? ARG_ACTIONS : 0;
}

static reco_status_t
arg_slate(args_t *a, const reco_model_t *model, reco_str_t value)
{
    double  slots;
    size_t  i;

    slots = 0;

    for (i = 0; i < value.len && i < 3; i++) {
        if (value.data[i] < '0' || value.data[i] > '9') {
            break;
        }
        slots = slots * 10 + (value.data[i] - '0');
    }

    return set_slate(a->request, model, (i == value.len) ? slots : 0,
                     RECO_NO_POSITION, a->err);
}

static reco_status_t
parse_arg(args_t *a, const reco_model_t *model, const char *p,
    const char *end)
{
    unsigned        bit;
    reco_str_t      name, value;
    const char     *equals;
    reco_status_t   rc;

    equals = memchr(p, '=', (size_t) (end - p));
    if (equals == NULL) {
        equals = end;
    }

    rc = decode(a, p, equals, &name);
    if (rc != RECO_OK) {
        return rc;
    }

    p = (equals < end) ? equals + 1 : end;
    bit = arg_bit(name);

    if (a->seen & bit) {
        return reco_format_fail(a->err, RECO_NO_POSITION, "", name,
                                "given twice");
    }

    a->seen |= bit;

    if (bit == ARG_ACTIONS) {
        return arg_actions(a, model, p, end);
    }

    rc = decode(a, p, end, &value);
    if (rc != RECO_OK) {
        return rc;
    }

    switch (bit) {

    case ARG_CUSTOMER:
        return arg_id(a, name, value, &a->request->customer);

    case ARG_SESSION:
        return arg_id(a, name, value, &a->request->session);

    case ARG_SLATE:
        return arg_slate(a, model, value);

    case ARG_EXPLAIN:
        if (value.len == 1 && (value.data[0] == '0' || value.data[0] == '1')) {
            a->request->explain = (value.data[0] == '1');
            return RECO_OK;
        }

        return reco_format_fail(a->err, RECO_NO_POSITION, "", name,
                                "must be 0 or 1");

    default:
        return arg_feature(a, model, name, value);
    }
}

static reco_status_t
parse_decide_args(reco_str_t text, const reco_model_t *model,
    reco_parse_t *parse, reco_request_t *request, reco_error_t *err)
{
    args_t          a;
    const char     *p, *amp, *end;
    reco_status_t   rc;

    a.text = text;
    a.seen = 0;
    a.request = request;
    a.err = err;
    a.room = reco_arena_alloc(&parse->arena, text.len);

    if (a.room == NULL) {
        return reco_error_set(err, RECO_LIMIT, "", "arguments too long");
    }

    end = text.data + text.len;

    for (p = text.data; p < end; p = amp + 1) {
        amp = memchr(p, '&', (size_t) (end - p));
        if (amp == NULL) {
            amp = end;
        }

        if (amp > p) {
            rc = parse_arg(&a, model, p, amp);
            if (rc != RECO_OK) {
                return rc;
            }
        }
    }

    return RECO_OK;
}

/* All members are optional, so that no body is a request for a decision too:
 * that of GET. */
static reco_status_t
parse_decide(reco_str_t body, reco_str_t args, const reco_model_t *model,
    reco_parse_t *parse, reco_request_t *request, reco_error_t *err)
{
    if (body.len > 0) {
        return parse_decide_body(body, model, parse, request, err);
    }

    if (args.len > 0) {
        return parse_decide_args(args, model, parse, request, err);
    }

    return RECO_OK;
}

static void
render_items(reco_buf_t *out, const reco_item_slate_t *items)
{
    uint32_t  i;

    reco_buf_cstr(out, ",\"items\":[");

    for (i = 0; i < items->n; i++) {
        reco_buf_cstr(out, (i == 0) ? "{\"id\":" : ",{\"id\":");
        reco_buf_json_string(out, items->items[i].item.id);
        reco_buf_cstr(out, ",\"score\":");
        reco_buf_double(out, items->items[i].score);
        reco_buf_char(out, '}');
    }

    reco_buf_char(out, ']');
}

static void
render_decision(reco_buf_t *out, const reco_answer_t *a, unsigned variant)
{
    uint32_t                i;
    const reco_action_t    *action;
    const reco_decision_t  *d;

    (void) variant;

    d = a->decision;

    reco_buf_cstr(out, "{\"decision\":");
    reco_buf_json_string(out, a->token);
    reco_buf_cstr(out, ",\"model\":");
    reco_buf_json_string(out, a->model->name);
    reco_buf_cstr(out, ",\"version\":");
    reco_buf_json_string(out, a->model->version);
    reco_buf_cstr(out, ",\"generation\":");
    reco_buf_u64(out, a->generation);
    reco_buf_cstr(out, a->fallback ? ",\"fallback\":true,\"slate\":["
                                   : ",\"fallback\":false,\"slate\":[");

    for (i = 0; i < d->n; i++) {
        action = &a->model->catalogue.actions[d->action[i]];

        reco_buf_cstr(out, (i == 0) ? "{\"action\":" : ",{\"action\":");
        reco_buf_json_string(out, action->id);

        if (action->name.len > 0) {
            reco_buf_cstr(out, ",\"name\":");
            reco_buf_json_string(out, action->name);
        }

        reco_buf_cstr(out, ",\"propensity\":");
        reco_buf_double(out, (double) d->propensity[i] / (double) RECO_ONE);
        reco_buf_char(out, '}');
    }

    reco_buf_char(out, ']');

    if (a->model->items.slate > 0 && a->items != NULL) {
        render_items(out, a->items);
    }

    if (a->request->explain) {
        reco_format_explain(out, a);
    }

    reco_buf_char(out, '}');
}

/* ---- rewards -------------------------------------------------------- */

static reco_status_t
parse_facts(reco_json_t *s, reco_reward_request_t *reward, reco_error_t *err)
{
    reco_str_t         key;
    reco_fact_t       *fact;
    reco_status_t      rc;
    reco_json_token_t  token;

    while ((rc = reco_format_member(s, &key, &token, err)) == RECO_OK) {

        if (!reco_id_is_valid(key)) {
            return reco_format_fail(err, s->position, "facts", key,
                                    "a fact's name must have 1 to 255 bytes"
                                    " and no control characters");
        }

        if (token != RECO_JSON_NUMBER && token != RECO_JSON_TRUE) {
            return reco_format_fail(err, s->position, "facts", key,
                                    "must be a number or true");
        }

        if (reward->nfacts == RECO_MAX_FACTS) {
            return reco_format_fail(err, s->position, "facts",
                                    RECO_FORMAT_ROOT,
                                    "must be at most 32 facts");
        }

        fact = &reward->facts[reward->nfacts++];
        fact->name = key;
        fact->value = (token == RECO_JSON_NUMBER) ? s->number : 1;
    }

    return (rc == RECO_NOT_FOUND) ? RECO_OK : rc;
}

static reco_status_t
parse_reward_member(reco_json_t *s, reco_str_t key, reco_json_token_t token,
    reco_reward_request_t *reward, reco_error_t *err)
{
    reco_str_t  *id;

    if (reco_key_is(key, "facts")) {
        if (token != RECO_JSON_OBJECT) {
            return reco_format_fail(err, s->position, "", key,
                                    "must be an object");
        }

        return parse_facts(s, reward, err);
    }

    if (reco_key_is(key, "items")) {
        return reco_format_ids(s, token, key, reward->items, RECO_MAX_SLATE,
                               &reward->nitems, err);
    }

    id = reco_key_is(key, "decision") ? &reward->token
         : reco_key_is(key, "customer") ? &reward->customer
         : reco_key_is(key, "session") ? &reward->session
         : reco_key_is(key, "action") ? &reward->action
         : reco_key_is(key, "key") ? &reward->key : NULL;

    if (id == NULL) {
        return no_member(s, key, err);
    }

    return reco_format_id(s, token, "", key, true, id, err);
}

static reco_status_t
parse_reward(reco_str_t body, const reco_model_t *model, reco_parse_t *parse,
    reco_reward_request_t *reward, reco_error_t *err)
{
    reco_str_t         key;
    reco_json_t        s;
    reco_status_t      rc;
    reco_json_token_t  token;

    reward->token = reward->customer = RECO_FORMAT_ROOT;
    reward->key = reward->action = RECO_FORMAT_ROOT;
    reward->session = RECO_FORMAT_ROOT;
    reward->nfacts = reward->nitems = 0;
    (void) model;

    reco_json_init(&s, body, 0, &parse->arena, parse->keys, err);

    rc = reco_format_begin(&s, err);

    while (rc == RECO_OK) {
        rc = reco_format_member(&s, &key, &token, err);

        if (rc == RECO_OK) {
            rc = parse_reward_member(&s, key, token, reward, err);
        }
    }

    if (rc == RECO_NOT_FOUND) {
        rc = reco_format_end(&s, err);
    }

    if (rc != RECO_OK) {
        return rc;
    }

    if (reward->token.len == 0 && reward->customer.len == 0) {
        return reco_format_fail(err, RECO_NO_POSITION, "decision",
                                RECO_FORMAT_ROOT,
                                "a reward needs a decision or a customer");
    }

    if (reward->nfacts == 0) {
        return reco_format_fail(err, RECO_NO_POSITION, "facts",
                                RECO_FORMAT_ROOT,
                                "a reward needs at least one fact");
    }

    return RECO_OK;
}

static void
render_reward(reco_buf_t *out, const reco_reward_request_t *reward)
{
    (void) reward;

    reco_buf_cstr(out, "{\"accepted\":true}");
}

static int
render_health(reco_buf_t *out, const reco_health_t *health)
{
    reco_str_t  version = health->version;

    reco_buf_cstr(out, "{\"status\":\"");
    reco_buf_cstr(out, (version.len > 0) ? "ok" : "no snapshot");
    reco_buf_cstr(out, "\",\"model\":");
    reco_buf_json_string(out, health->model);
    reco_buf_cstr(out, ",\"version\":");

    if (version.len > 0) {
        reco_buf_json_string(out, version);
    } else {
        reco_buf_cstr(out, "null");
    }

    reco_buf_cstr(out, ",\"generation\":");
    reco_buf_u64(out, health->generation);
    reco_buf_char(out, '}');

    return 200;
}

const reco_format_t  reco_format_native = {
    .name = "native",
    .token_field = "decision",
    .parse_decide = parse_decide,
    .render_decision = render_decision,
    .parse_reward = parse_reward,
    .render_reward = render_reward,
    .render_problem = reco_format_problem,
    .render_health = render_health,
    .decide_methods = RECO_METHOD_GET | RECO_METHOD_POST,
    .reward_methods = RECO_METHOD_POST | RECO_METHOD_PUT,
    .variants = 1,
};
