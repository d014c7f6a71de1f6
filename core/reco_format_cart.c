/*
 * reco_format_cart.c - the contract of the cart agent (docs/HTTP.md): /health,
 * /api/v1/rl/recommendations, /api/v1/rl/reward; what it tells of itself is in
 * reco_format_cart_agent.c. Features stand at the top level of a request,
 * beside customer_id, session_id and cart_items; a model's items are what it
 * recommends, its action is "action_type".
 *
 * Nothing here outlives a call.
 */

#include "reco_agent.h"
#include "reco_format_impl.h"

/* What clients call what happened, and the fact that is logged. */
static const struct {
    const char  *interaction;
    const char  *fact;
} interactions[] = {
    { "click",          "click" },
    { "view",           "view" },
    { "add_to_cart",    "add_to_cart" },
    { "purchase",       "conversion" },
    { "return",         "return" },
    { "idle",           "idle" },
    { "dislike",        "dislike" },
};

#define NINTERACTIONS  (sizeof(interactions) / sizeof(interactions[0]))

/* ---- members -------------------------------------------------------- */

/* A fault of the scanner within a member's value gets the member's name. */
static reco_status_t
name_field(reco_status_t rc, reco_str_t key, reco_error_t *err)
{
    size_t       position;
    const char  *message;
    char         copy[sizeof(err->message)];

    if (rc == RECO_OK || rc == RECO_NOT_FOUND || key.len == 0
        || err->field[0] != '\0')
    {
        return rc;
    }

    position = err->position;
    message = memcpy(copy, err->message, sizeof(copy));
    (void) reco_format_fail(err, position, "", key, message);
    err->status = rc;

    return rc;
}

/* Optional ids: clients send null or "" where they have none. */
static reco_status_t
optional_id(reco_json_t *s, reco_json_token_t token, reco_str_t key,
    reco_str_t *out, reco_error_t *err)
{
    if (token == RECO_JSON_STRING && s->string.len == 0) {
        return RECO_OK;
    }

    return reco_format_id(s, token, "", key, true, out, err);
}

typedef reco_status_t (*member_pt)(void *data, reco_json_t *s, reco_str_t key,
    reco_json_token_t token, reco_error_t *err);

/* A body that is one object. */
static reco_status_t
read_body(reco_str_t body, reco_parse_t *parse, member_pt member, void *data,
    reco_error_t *err)
{
    reco_str_t         key;
    reco_json_t        s;
    reco_status_t      rc;
    reco_json_token_t  token;

    reco_json_init(&s, body, 0, &parse->arena, parse->keys, err);

    rc = reco_format_begin(&s, err);

    while (rc == RECO_OK) {
        key = RECO_FORMAT_ROOT;
        rc = reco_format_member(&s, &key, &token, err);

        if (rc == RECO_OK) {
            rc = member(data, &s, key, token, err);
        }

        rc = name_field(rc, key, err);
    }

    return (rc == RECO_NOT_FOUND) ? reco_format_end(&s, err) : rc;
}

/* ---- recommendations ------------------------------------------------ */

typedef struct {
    const reco_model_t  *model;
    reco_request_t      *request;
} decide_t;

static reco_status_t
decide_member(void *data, reco_json_t *s, reco_str_t key,
    reco_json_token_t token, reco_error_t *err)
{
    decide_t        *d = data;
    reco_request_t  *r = d->request;

    if (reco_key_is(key, "customer_id")) {
        return reco_format_id(s, token, "", key, false, &r->customer, err);
    }

    if (reco_key_is(key, "session_id")) {
        return optional_id(s, token, key, &r->session, err);
    }

    if (reco_key_is(key, "cart_items")) {
        return reco_format_ids(s, token, key, r->cart, RECO_MAX_CART,
                               &r->ncart, err);
    }

    if (reco_key_is(key, "out_of_stock")) {
        return reco_format_ids(s, token, key, r->exclude, RECO_MAX_CART,
                               &r->nexclude, err);
    }

    return reco_format_feature(s, token, "", key, d->model, r, err);
}

static reco_status_t
parse_decide(reco_str_t body, reco_str_t args, const reco_model_t *model,
    reco_parse_t *parse, reco_request_t *request, reco_error_t *err)
{
    decide_t       d = { model, request };
    reco_status_t  rc;

    (void) args;

    rc = read_body(body, parse, decide_member, &d, err);

    if (rc == RECO_OK && request->customer.len == 0) {
        return reco_format_missing(err, "customer_id");
    }

    return rc;
}

static void
write_optional(reco_buf_t *out, reco_str_t s)
{
    if (s.len > 0) {
        reco_buf_json_string(out, s);
    } else {
        reco_buf_cstr(out, "null");
    }
}

static void
write_timestamp(reco_buf_t *out, uint64_t time_ms)
{
    reco_buf_cstr(out, ",\"timestamp\":\"");
    reco_buf_time(out, time_ms);
    reco_buf_char(out, '"');
}

static void
write_items(reco_buf_t *out, const reco_item_slate_t *items)
{
    uint32_t  i;

    for (i = 0; i < items->n; i++) {
        reco_buf_raw(out, ",", (i > 0) ? 1 : 0);
        reco_buf_json_string(out, items->items[i].item.id);
    }

    reco_buf_cstr(out, "],\"scores\":[");

    for (i = 0; i < items->n; i++) {
        reco_buf_raw(out, ",", (i > 0) ? 1 : 0);
        reco_buf_double(out, items->items[i].score);
    }
}

/* What a model without items recommends: its actions, each with the
 * probability that it was chosen with. */
static void
write_actions(reco_buf_t *out, const reco_answer_t *a)
{
    uint32_t                i;
    const reco_decision_t  *d = a->decision;

    for (i = 0; i < d->n; i++) {
        reco_buf_raw(out, ",", (i > 0) ? 1 : 0);
        reco_buf_json_string(out,
                             a->model->catalogue.actions[d->action[i]].id);
    }

    reco_buf_cstr(out, "],\"scores\":[");

    for (i = 0; i < d->n; i++) {
        reco_buf_raw(out, ",", (i > 0) ? 1 : 0);
        reco_buf_double(out, (double) d->propensity[i] / (double) RECO_ONE);
    }
}

/* Numbers that are unknown (NAN) are null. */
static void
write_metadata(reco_buf_t *out, const reco_answer_t *a)
{
    const reco_decision_t  *d = a->decision;

    reco_buf_cstr(out, ",\"metadata\":{\"decision_id\":");
    reco_buf_json_string(out, a->token);
    reco_buf_cstr(out, ",\"model\":");
    reco_buf_json_string(out, a->model->name);
    reco_buf_cstr(out, ",\"version\":");
    write_optional(out, a->model->version);
    reco_buf_cstr(out, ",\"generation\":");
    reco_buf_u64(out, a->generation);
    reco_buf_cstr(out, a->fallback ? ",\"fallback\":true"
                                   : ",\"fallback\":false");
    reco_buf_cstr(out, ",\"strategy_probability\":");
    reco_buf_double(out, (double) d->propensity[0] / (double) RECO_ONE);
    reco_buf_cstr(out, ",\"epsilon\":");
    reco_buf_double(out, d->epsilon);
    reco_buf_cstr(out, ",\"value\":");
    reco_buf_double(out, d->value);
    reco_buf_cstr(out, d->state_known ? ",\"state_known\":true"
                                      : ",\"state_known\":false");
    reco_buf_cstr(out, ",\"state_level\":");

    if (d->state_known) {
        reco_buf_u64(out, d->level);
    } else {
        reco_buf_cstr(out, "null");
    }

    if (a->model->items.slate > 0) {
        reco_buf_cstr(out, ",\"filled\":");
        reco_buf_u64(out, a->items->filled);
    }

    reco_buf_cstr(out, ",\"unknown_fields\":");
    reco_buf_u64(out, a->request->unknown_fields);
    reco_buf_char(out, '}');
}

/* A fallback's ids are products, not strategies. */
static void
render_decision(reco_buf_t *out, const reco_answer_t *a, unsigned variant)
{
    const reco_decision_t  *d = a->decision;

    (void) variant;

    reco_buf_cstr(out, "{\"success\":true,\"data\":{\"customer_id\":");
    reco_buf_json_string(out, a->request->customer);
    reco_buf_cstr(out, ",\"session_id\":");
    write_optional(out, a->request->session);

    reco_buf_cstr(out, ",\"recommendations\":[");

    if (a->model->items.slate > 0) {
        write_items(out, a->items);
    } else {
        write_actions(out, a);
    }

    reco_buf_cstr(out, "],\"confidence_score\":");
    reco_buf_double(out, d->confidence);
    reco_buf_cstr(out, ",\"action_type\":");
    write_optional(out, a->fallback ? RECO_FORMAT_ROOT
                        : a->model->catalogue.actions[d->action[0]].id);

    write_metadata(out, a);
    write_timestamp(out, a->request->time_ms);
    reco_buf_char(out, '}');
    write_timestamp(out, a->request->time_ms);
    reco_buf_char(out, '}');
}

/* ---- rewards -------------------------------------------------------- */

typedef struct {
    const reco_model_t     *model;
    reco_reward_request_t  *reward;
    reco_str_t              timestamp;
    int                     interaction;    /* index, or -1 */
    double                  value, revenue;
    bool                    has_value, has_revenue;
    bool                    has_session, has_action;    /* null will do */
} reward_t;

static reco_status_t
read_number(reco_json_t *s, reco_json_token_t token, reco_str_t key,
    double *value, bool *given, reco_error_t *err)
{
    if (token != RECO_JSON_NUMBER) {
        return reco_format_fail(err, s->position, "", key,
                                "must be a finite number");
    }

    *value = s->number;
    *given = true;

    return RECO_OK;
}

typedef reco_str_t (*name_pt)(const reco_model_t *model, uint32_t i);

/* "is none of", and as many of the n names as there is room for. */
static reco_status_t
fail_listing(reco_error_t *err, size_t position, reco_str_t key, name_pt name,
    const reco_model_t *model, uint32_t n)
{
    char        text[sizeof(err->message)];
    uint32_t    i;
    reco_str_t  id;
    reco_buf_t  b;

    /* room for the dots and the end */
    reco_buf_init(&b, text, sizeof(text) - 6);
    reco_buf_cstr(&b, "is none of");

    for (i = 0; i < n; i++) {
        id = name(model, i);

        if ((size_t) (b.end - b.pos) < id.len + 2) {
            b.end += 5;
            reco_buf_cstr(&b, ", ...");
            break;
        }

        reco_buf_cstr(&b, (i > 0) ? ", " : " ");
        reco_buf_raw(&b, id.data, id.len);
    }

    *b.pos = '\0';

    return reco_format_fail(err, position, "", key, text);
}

static reco_str_t
action_name(const reco_model_t *model, uint32_t i)
{
    return model->catalogue.actions[i].id;
}

static reco_str_t
interaction_name(const reco_model_t *model, uint32_t i)
{
    (void) model;

    return (reco_str_t) { interactions[i].interaction,
                          strlen(interactions[i].interaction) };
}

/* Without a snapshot nobody knows the strategies: any will do. */
static reco_status_t
read_action(reward_t *r, reco_json_t *s, reco_str_t key,
    reco_json_token_t token, reco_error_t *err)
{
    reco_status_t  rc;

    r->has_action = true;

    rc = reco_format_id(s, token, "", key, true, &r->reward->action, err);

    if (rc != RECO_OK || r->reward->action.len == 0
        || r->model->policy.type == RECO_POLICY_FIRST
        || reco_catalogue_find(&r->model->catalogue, r->reward->action) >= 0)
    {
        return rc;
    }

    return fail_listing(err, s->position, key, action_name, r->model,
                        r->model->catalogue.n);
}

static reco_status_t
read_interaction(reward_t *r, reco_json_t *s, reco_str_t key,
    reco_json_token_t token, reco_error_t *err)
{
    size_t  i;

    if (token == RECO_JSON_NULL) {
        return RECO_OK;
    }

    for (i = 0; token == RECO_JSON_STRING && i < NINTERACTIONS; i++) {
        if (reco_str_equal(s->string, interaction_name(NULL, (uint32_t) i))) {
            r->interaction = (int) i;
            return RECO_OK;
        }
    }

    return fail_listing(err, s->position, key, interaction_name, NULL,
                        NINTERACTIONS);
}

static reco_status_t
read_timestamp(reward_t *r, reco_json_t *s, reco_str_t key,
    reco_json_token_t token, reco_error_t *err)
{
    uint64_t  ms;

    if (token == RECO_JSON_NULL) {
        return RECO_OK;
    }

    if (token != RECO_JSON_STRING || !reco_format_time(s->string, &ms)) {
        return reco_format_fail(err, s->position, "", key,
                                "must be a string with a date and time of"
                                " ISO 8601");
    }

    r->timestamp = s->string;

    return RECO_OK;
}

static reco_status_t
reward_member(void *data, reco_json_t *s, reco_str_t key,
    reco_json_token_t token, reco_error_t *err)
{
    reward_t               *r = data;
    reco_reward_request_t  *reward = r->reward;

    if (reco_key_is(key, "customer_id")) {
        return reco_format_id(s, token, "", key, false, &reward->customer,
                              err);
    }

    if (reco_key_is(key, "session_id")) {
        r->has_session = true;
        return optional_id(s, token, key, &reward->session, err);
    }

    if (reco_key_is(key, "reward_value")) {
        return read_number(s, token, key, &r->value, &r->has_value, err);
    }

    if (reco_key_is(key, "action_type")) {
        return read_action(r, s, key, token, err);
    }

    if (reco_key_is(key, "recommended_products")) {
        return reco_format_ids(s, token, key, reward->items, RECO_MAX_SLATE,
                               &reward->nitems, err);
    }

    if (reco_key_is(key, "interaction_type")) {
        return read_interaction(r, s, key, token, err);
    }

    if (reco_key_is(key, "revenue")) {
        return (token == RECO_JSON_NULL)
               ? RECO_OK
               : read_number(s, token, key, &r->revenue, &r->has_revenue,
                             err);
    }

    if (reco_key_is(key, "decision_id")) {
        return optional_id(s, token, key, &reward->token, err);
    }

    if (reco_key_is(key, "reward_id")) {
        return optional_id(s, token, key, &reward->key, err);
    }

    if (reco_key_is(key, "timestamp")) {
        return read_timestamp(r, s, key, token, err);
    }

    return reco_json_skip(s, token) ? RECO_OK : err->status;
}

/* A client that tells when something happened tells it again when it sends
 * the same again: kind and time are the key, where there is no other. */
static reco_status_t
derive_key(reward_t *r, reco_parse_t *parse, reco_error_t *err)
{
    char        *p;
    size_t       size;
    reco_buf_t   b;

    size = sizeof("timestamp:") + r->timestamp.len + 32;
    p = reco_arena_alloc(&parse->arena, size);

    if (p == NULL) {
        return reco_error_set(err, RECO_LIMIT, "", "body too long");
    }

    reco_buf_init(&b, p, size);
    reco_buf_cstr(&b, "timestamp:");
    reco_buf_raw(&b, r->timestamp.data, r->timestamp.len);

    if (r->interaction >= 0) {
        reco_buf_char(&b, ':');
        reco_buf_cstr(&b, interactions[r->interaction].interaction);
    }

    r->reward->key = (reco_str_t) { p, reco_buf_len(&b) };

    return RECO_OK;
}

static void
add_fact(reco_reward_request_t *reward, const char *name, double value)
{
    reco_fact_t  *fact = &reward->facts[reward->nfacts++];

    fact->name = (reco_str_t) { name, strlen(name) };
    fact->value = value;
}

static reco_status_t
finish_reward(reward_t *r, reco_parse_t *parse, reco_error_t *err)
{
    const char  *missing;

    missing = (r->reward->customer.len == 0) ? "customer_id"
              : !r->has_session ? "session_id"
              : !r->has_value ? "reward_value"
              : !r->has_action ? "action_type" : NULL;

    if (missing != NULL) {
        return reco_format_missing(err, missing);
    }

    add_fact(r->reward, "reported", r->value);

    if (r->interaction >= 0) {
        add_fact(r->reward, interactions[r->interaction].fact, 1);
    }

    if (r->has_revenue) {
        add_fact(r->reward, "revenue", r->revenue);
    }

    return (r->reward->key.len == 0 && r->timestamp.len > 0)
           ? derive_key(r, parse, err) : RECO_OK;
}

static reco_status_t
parse_reward(reco_str_t body, const reco_model_t *model, reco_parse_t *parse,
    reco_reward_request_t *reward, reco_error_t *err)
{
    reward_t       r;
    reco_status_t  rc;

    r = (reward_t) { .model = model, .reward = reward, .interaction = -1 };

    reward->token = reward->customer = RECO_FORMAT_ROOT;
    reward->session = RECO_FORMAT_ROOT;
    reward->key = reward->action = RECO_FORMAT_ROOT;
    reward->nfacts = reward->nitems = 0;

    rc = read_body(body, parse, reward_member, &r, err);

    return (rc == RECO_OK) ? finish_reward(&r, parse, err) : rc;
}

static void
render_reward(reco_buf_t *out, const reco_reward_request_t *reward)
{
    reco_buf_cstr(out, "{\"success\":true,\"message\":\"reward recorded\"");
    write_timestamp(out, reward->time_ms);
    reco_buf_char(out, '}');
}

/* ---- errors and health ---------------------------------------------- */

/* "field: message (byte 12)" */
static void
render_problem(reco_buf_t *out, const reco_problem_t *problem)
{
    char                 text[sizeof(problem->error->field)
                              + sizeof(problem->error->message) + 40];
    reco_buf_t           b;
    const reco_error_t  *e = problem->error;

    reco_buf_init(&b, text, sizeof(text));

    if (e == NULL || e->message[0] == '\0') {
        reco_buf_cstr(&b, problem->code);

    } else {
        if (e->field[0] != '\0') {
            reco_buf_cstr(&b, e->field);
            reco_buf_cstr(&b, ": ");
        }

        reco_buf_cstr(&b, e->message);

        if (e->position != RECO_NO_POSITION) {
            reco_buf_cstr(&b, " (byte ");
            reco_buf_u64(&b, e->position);
            reco_buf_char(&b, ')');
        }
    }

    reco_buf_cstr(out, "{\"success\":false,\"error\":");
    reco_buf_json_string(out, (reco_str_t) { text, reco_buf_len(&b) });
    reco_buf_char(out, '}');
}

static void
write_service(reco_buf_t *out, const char *name, bool up)
{
    reco_buf_cstr(out, name);
    reco_buf_cstr(out, up ? "true" : "false");
}

static int
render_health(reco_buf_t *out, const reco_health_t *health)
{
    bool  snapshot, healthy;

    snapshot = health->generation > 0;
    healthy = snapshot && (health->geo || !health->geo_configured)
              && (health->log || !health->log_configured);

    reco_buf_cstr(out, healthy ? "{\"status\":\"healthy\""
                               : "{\"status\":\"unhealthy\"");
    write_timestamp(out, health->time_ms);
    write_service(out, ",\"services\":{\"snapshot\":", snapshot);
    write_service(out, ",\"geo\":", health->geo);
    write_service(out, ",\"log\":", health->log);
    reco_buf_cstr(out, "}}");

    return healthy ? 200 : 503;
}

const reco_format_t  reco_format_cart = {
    .name = "cart",
    .token_field = "decision_id",
    .parse_decide = parse_decide,
    .render_decision = render_decision,
    .parse_reward = parse_reward,
    .render_reward = render_reward,
    .render_problem = render_problem,
    .render_health = render_health,
    .agent = &reco_agent_cart,
    .decide_methods = RECO_METHOD_POST,
    .reward_methods = RECO_METHOD_POST,
    .variants = 1,
};
