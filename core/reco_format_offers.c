/*
 * reco_format_offers.c - the contract of the offers agent (docs/HTTP.md):
 * /is-alive, /predict, /predict-v2, /rewards. Its clients send "states" and
 * "offers" as objects, or as strings that hold one, in JSON or as Python
 * prints a dict; its answers keep its names, its spelling ("Sucess") and the
 * spaces that its Python server put behind ':' and ','.
 *
 * Nothing here outlives a call. Members that the contract does not name are
 * ignored, as its server ignored them.
 */

#include "reco_format_impl.h"

/* ---- dates ---------------------------------------------------------- */

static reco_status_t
parse_timestamp(reco_json_t *s, reco_json_token_t token, reco_str_t *out,
    reco_error_t *err)
{
    uint64_t  ms;

    if (token != RECO_JSON_STRING || !reco_format_time(s->string, &ms)) {
        return reco_format_fail(err, s->position, "timestamp",
                                RECO_FORMAT_ROOT,
                                "must be a string with a date, YYYY-MM-DD,"
                                " or a date and time of ISO 8601");
    }

    *out = s->string;

    return RECO_OK;
}

/* ---- POST /predict -------------------------------------------------- */

typedef reco_status_t (*read_map_pt)(reco_json_t *s, const char *parent,
    const reco_model_t *model, reco_request_t *request, reco_error_t *err);

/* "states" or "offers", and how it was sent. */
typedef struct {
    const char   *name;
    read_map_pt   read;
    bool          seen;
    bool          is_text;
    reco_str_t    text;         /* to be read when the body is over: the table
                                   of keys serves one text at a time */
} map_t;

typedef struct {
    const reco_model_t  *model;
    reco_parse_t        *parse;
    reco_request_t      *request;
    reco_error_t        *err;
    reco_str_t           timestamp;
    map_t                states;
    map_t                offers;
} predict_t;

static reco_status_t
parse_map(predict_t *p, map_t *map, reco_json_t *s, reco_json_token_t token)
{
    map->seen = true;

    switch (token) {

    case RECO_JSON_OBJECT:
        return map->read(s, map->name, p->model, p->request, p->err);

    case RECO_JSON_STRING:
        map->is_text = true;
        map->text = s->string;
        return RECO_OK;

    default:
        return reco_format_fail(p->err, s->position, map->name,
                                RECO_FORMAT_ROOT,
                                "must be an object, or a string that holds"
                                " one");
    }
}

/* Positions are those within the string, and the field always says which. */
static reco_status_t
parse_map_text(predict_t *p, map_t *map)
{
    reco_json_t    s;
    reco_status_t  rc;

    if (!map->seen) {
        return reco_format_missing(p->err, map->name);
    }

    if (!map->is_text) {
        return RECO_OK;
    }

    reco_json_init(&s, map->text, RECO_JSON_PYTHON, &p->parse->arena,
                   p->parse->keys, p->err);

    rc = reco_format_begin(&s, p->err);

    if (rc == RECO_OK) {
        rc = map->read(&s, map->name, p->model, p->request, p->err);
    }

    if (rc == RECO_OK) {
        rc = reco_format_end(&s, p->err);
    }

    if (rc != RECO_OK && p->err->field[0] == '\0') {
        memcpy(p->err->field, map->name, strlen(map->name) + 1);
    }

    return rc;
}

static reco_status_t
parse_predict_member(predict_t *p, reco_json_t *s, reco_str_t key,
    reco_json_token_t token)
{
    if (reco_key_is(key, "states")) {
        return parse_map(p, &p->states, s, token);
    }

    if (reco_key_is(key, "offers")) {
        return parse_map(p, &p->offers, s, token);
    }

    if (reco_key_is(key, "customer_id")) {
        return reco_format_id(s, token, "", key, false, &p->request->customer,
                              p->err);
    }

    if (reco_key_is(key, "timestamp")) {
        return parse_timestamp(s, token, &p->timestamp, p->err);
    }

    return reco_json_skip(s, token) ? RECO_OK : p->err->status;
}

static reco_status_t
parse_decide(reco_str_t body, reco_str_t args, const reco_model_t *model,
    reco_parse_t *parse, reco_request_t *request, reco_error_t *err)
{
    predict_t          p;
    reco_str_t         key;
    reco_json_t        s;
    reco_status_t      rc;
    reco_json_token_t  token;

    (void) args;

    p = (predict_t) {
        .model = model, .parse = parse, .request = request, .err = err,
        .states = { .name = "states", .read = reco_format_features },
        .offers = { .name = "offers", .read = reco_format_flags },
    };

    reco_json_init(&s, body, 0, &parse->arena, parse->keys, err);

    rc = reco_format_begin(&s, err);

    while (rc == RECO_OK) {
        rc = reco_format_member(&s, &key, &token, err);

        if (rc == RECO_OK) {
            rc = parse_predict_member(&p, &s, key, token);
        }
    }

    if (rc == RECO_NOT_FOUND) {
        rc = reco_format_end(&s, err);
    }

    if (rc != RECO_OK) {
        return rc;
    }

    if (request->customer.len == 0) {
        return reco_format_missing(err, "customer_id");
    }

    if (p.timestamp.len == 0) {
        return reco_format_missing(err, "timestamp");
    }

    rc = parse_map_text(&p, &p.states);

    return (rc == RECO_OK) ? parse_map_text(&p, &p.offers) : rc;
}

/* variant 0: an array of offers; 1: an object from offer to product name. */
static void
render_decision(reco_buf_t *out, const reco_answer_t *a, unsigned variant)
{
    uint32_t                i;
    const reco_action_t    *offer;
    const reco_decision_t  *d;

    d = a->decision;

    reco_buf_cstr(out, "{\"customer_id\": ");
    reco_buf_json_string(out, a->request->customer);
    reco_buf_cstr(out, ", \"response-date\": \"");
    reco_buf_date(out, a->request->time_ms);
    reco_buf_cstr(out, (variant == 0) ? "\", \"best-three-offers\": ["
                                      : "\", \"best-three-offers\": {");

    for (i = 0; i < d->n; i++) {
        offer = &a->model->catalogue.actions[d->action[i]];

        if (i > 0) {
            reco_buf_cstr(out, ", ");
        }

        reco_buf_json_string(out, offer->id);

        if (variant != 0) {
            reco_buf_cstr(out, ": ");
            reco_buf_json_string(out, (offer->name.len > 0) ? offer->name
                                                            : offer->id);
        }
    }

    reco_buf_cstr(out, (variant == 0) ? "]}" : "}}");
}

/* ---- PUT /rewards --------------------------------------------------- */

#define ACCEPTED  "accepted_one_of_the_three_offers"

static reco_status_t
parse_accepted(reco_json_t *s, reco_str_t key, reco_json_token_t token,
    reco_reward_request_t *reward, reco_error_t *err)
{
    reco_fact_t  *fact;

    if (token == RECO_JSON_NUMBER && (s->number == 0 || s->number == 1)) {
        token = (s->number == 1) ? RECO_JSON_TRUE : RECO_JSON_FALSE;
    }

    if (token != RECO_JSON_TRUE && token != RECO_JSON_FALSE) {
        return reco_format_fail(err, s->position, "", key,
                                "must be true or false");
    }

    if (reward->nfacts > 0) {
        return reco_format_fail(err, s->position, "", key,
                                "given twice, in both of its spellings");
    }

    /* "seen, and not accepted" is a fact too */
    fact = &reward->facts[reward->nfacts++];
    fact->name = RECO_STR("conversion");
    fact->value = (token == RECO_JSON_TRUE) ? 1 : 0;

    return RECO_OK;
}

/* Optional ids: clients send null or "" where they have none. */
static reco_status_t
parse_optional_id(reco_json_t *s, reco_str_t key, reco_json_token_t token,
    reco_str_t *out, reco_error_t *err)
{
    if (token == RECO_JSON_STRING && s->string.len == 0) {
        return RECO_OK;
    }

    return reco_format_id(s, token, "", key, true, out, err);
}

static reco_status_t
parse_reward_member(reco_json_t *s, reco_str_t key, reco_json_token_t token,
    reco_reward_request_t *reward, reco_str_t *timestamp, reco_error_t *err)
{
    if (reco_key_is(key, "customer_id")) {
        return reco_format_id(s, token, "", key, false, &reward->customer,
                              err);
    }

    if (reco_key_is(key, "timestamp")) {
        return parse_timestamp(s, token, timestamp, err);
    }

    if (reco_key_is(key, ACCEPTED)
        || reco_key_is(key, "accepted_one_of the_three_offers"))
    {
        return parse_accepted(s, key, token, reward, err);
    }

    if (reco_key_is(key, "accepted_offer")) {
        return parse_optional_id(s, key, token, &reward->action, err);
    }

    if (reco_key_is(key, "decision_id")) {
        return parse_optional_id(s, key, token, &reward->token, err);
    }

    if (reco_key_is(key, "key")) {
        return parse_optional_id(s, key, token, &reward->key, err);
    }

    return reco_json_skip(s, token) ? RECO_OK : err->status;
}

/* Without a key of its own a reward is known by its timestamp, so that one
 * sent again counts once. */
static reco_status_t
derive_key(reco_reward_request_t *reward, reco_str_t timestamp,
    reco_parse_t *parse, reco_error_t *err)
{
    char  *p;

    static const char  prefix[] = "timestamp:";

    p = reco_arena_alloc(&parse->arena, sizeof(prefix) - 1 + timestamp.len);

    if (p == NULL) {
        return reco_error_set(err, RECO_LIMIT, "", "body too long");
    }

    memcpy(p, prefix, sizeof(prefix) - 1);
    memcpy(p + sizeof(prefix) - 1, timestamp.data, timestamp.len);

    reward->key = (reco_str_t) { p, sizeof(prefix) - 1 + timestamp.len };

    return RECO_OK;
}

static reco_status_t
check_reward(const reco_reward_request_t *reward, reco_str_t timestamp,
    reco_error_t *err)
{
    if (reward->customer.len == 0) {
        return reco_format_missing(err, "customer_id");
    }

    if (timestamp.len == 0) {
        return reco_format_missing(err, "timestamp");
    }

    if (reward->nfacts == 0) {
        return reco_format_missing(err, ACCEPTED);
    }

    if (reward->action.len > 0 && reward->facts[0].value == 0) {
        return reco_format_fail(err, RECO_NO_POSITION, "accepted_offer",
                                RECO_FORMAT_ROOT,
                                "given, although no offer was accepted");
    }

    return RECO_OK;
}

static reco_status_t
parse_reward(reco_str_t body, const reco_model_t *model, reco_parse_t *parse,
    reco_reward_request_t *reward, reco_error_t *err)
{
    reco_str_t         key, timestamp;
    reco_json_t        s;
    reco_status_t      rc;
    reco_json_token_t  token;

    reward->token = reward->customer = RECO_FORMAT_ROOT;
    reward->key = reward->action = timestamp = RECO_FORMAT_ROOT;
    reward->session = RECO_FORMAT_ROOT;
    reward->nfacts = reward->nitems = 0;
    (void) model;

    reco_json_init(&s, body, 0, &parse->arena, parse->keys, err);

    rc = reco_format_begin(&s, err);

    while (rc == RECO_OK) {
        rc = reco_format_member(&s, &key, &token, err);

        if (rc == RECO_OK) {
            rc = parse_reward_member(&s, key, token, reward, &timestamp, err);
        }
    }

    if (rc == RECO_NOT_FOUND) {
        rc = reco_format_end(&s, err);
    }

    if (rc == RECO_OK) {
        rc = check_reward(reward, timestamp, err);
    }

    if (rc == RECO_OK && reward->key.len == 0) {
        rc = derive_key(reward, timestamp, parse, err);
    }

    return rc;
}

static void
render_reward(reco_buf_t *out, const reco_reward_request_t *reward)
{
    (void) reward;

    /* as that contract spells it */
    reco_buf_cstr(out, "\"Sucess\"");
}

static int
render_health(reco_buf_t *out, const reco_health_t *health)
{
    char        agent[RECO_MAX_ID + 5];
    reco_buf_t  b;
    reco_str_t  version = health->version;

    if (version.len == 0) {
        version = RECO_STR("none");
    }

    reco_buf_init(&b, agent, sizeof(agent));
    reco_buf_raw(&b, version.data, version.len);
    reco_buf_cstr(&b, "-API");

    reco_buf_cstr(out, "{\"status\": \"I'm alive and running\", "
                       "\"agent-version\": ");
    reco_buf_json_string(out, (reco_str_t) { agent, reco_buf_len(&b) });
    reco_buf_char(out, '}');

    return 200;
}

const reco_format_t  reco_format_offers = {
    .name = "offers",
    .token_field = "decision_id",
    .parse_decide = parse_decide,
    .render_decision = render_decision,
    .parse_reward = parse_reward,
    .render_reward = render_reward,
    .render_problem = reco_format_problem,
    .render_health = render_health,
    .decide_methods = RECO_METHOD_POST,
    .reward_methods = RECO_METHOD_PUT,
    .variants = 2,
};
