/*
 * fuzz_format.c - requests for decisions, bodies and arguments, through every
 * format: refused with an error that is itself a sound answer, or taken all
 * the way to a rendered decision, with what jansson reads in them. Queries of
 * the history and a trainer's facts too, up to what the agent tells of them.
 * Rewards are in fuzz_reward.c.
 */

#include <math.h>

#include <jansson.h>

#include "fuzz_answer.h"
#include "fuzz_model.h"
#include "reco_agent.h"

static const char  spec[] =
    "{\"model\":\"shop\",\"version\":\"1.0.0\",\"features\":["
    "{\"name\":\"age\",\"type\":\"number\",\"from\":[\"request\"],"
    "\"bins\":[18,65],\"default\":40},"
    "{\"name\":\"region\",\"type\":\"category\",\"from\":[\"request\"],"
    "\"codes\":{\"Europa\":0,\"America\":1,\"\\u00e9\":2}},"
    "{\"name\":\"device\",\"type\":\"category\",\"from\":[\"request\"]}],"
    "\"actions\":[{\"id\":\"OFFER_1\",\"name\":\"Savings \\\"account\\\"\"},"
    "{\"id\":\"OFFER_2\"},{\"id\":\"OFFER_3\",\"active\":false},"
    "{\"id\":\"OFFER_4\",\"price\":12.5}],"
    "\"rules\":[{\"when\":{\"age\":{\">\":65}},\"deny\":[\"OFFER_1\"]},"
    "{\"when\":{\"device\":\"phone\"},\"allow\":[\"OFFER_1\",\"OFFER_4\"]}],"
    "\"policy\":{\"type\":\"weights\",\"slate\":3,\"weights\":[4,2,1],"
    "\"cases\":[{\"when\":{\"region\":1},\"weights\":[1,0,5]}]}}";

static reco_model_t      *model;
static reco_json_keys_t   keys;
static reco_request_t     request;
static reco_features_t    features;
static reco_mask_t        eligible;
static reco_decision_t    decision;
static reco_scratch_t     scratch;
static reco_item_slate_t  items;

static reco_parse_t
parse_begin(size_t len)
{
    size_t        size;
    reco_parse_t  parse;

    size = 2 * len + 1024;
    parse.arena = (reco_arena_t) { fuzz_alloc(size), size, 0 };
    parse.keys = &keys;

    return parse;
}

static bool
is_id_or_empty(reco_str_t s)
{
    return s.len == 0 || reco_id_is_valid(s);
}

static void
check_request(void)
{
    uint32_t             i;
    const reco_value_t  *v;

    FUZZ_ASSERT(is_id_or_empty(request.customer));
    FUZZ_ASSERT(is_id_or_empty(request.session));
    FUZZ_ASSERT(request.slate <= model->policy.slate);
    FUZZ_ASSERT(request.ncart <= RECO_MAX_CART);
    FUZZ_ASSERT(request.nexclude <= RECO_MAX_CART);

    for (i = 0; i < request.ncart; i++) {
        FUZZ_ASSERT(reco_id_is_valid(request.cart[i]));
    }

    for (i = 0; i < request.nexclude; i++) {
        FUZZ_ASSERT(reco_id_is_valid(request.exclude[i]));
    }

    for (i = 0; i < model->nfeatures; i++) {
        v = &request.given[i];
        FUZZ_ASSERT(v->kind != RECO_VALUE_NUMBER || isfinite(v->number));
        FUZZ_ASSERT(v->kind != RECO_VALUE_WORD || reco_id_is_valid(v->word));
    }

    for (i = model->catalogue.n; i < RECO_MAX_ACTIONS; i++) {
        FUZZ_ASSERT(!request.has_flags || !reco_mask_get(&request.flags, i));
    }
}

/* ---- what jansson reads in the same body --------------------------------- */

static void
check_id(reco_str_t got, const json_t *v)
{
    FUZZ_ASSERT(json_is_string(v)
                ? reco_str_equal(got, (reco_str_t) { json_string_value(v),
                                                     json_string_length(v) })
                : got.len == 0);
}

static void
check_value(const reco_value_t *got, const json_t *v)
{
    double  number;

    if (json_is_real(v)) {
        number = json_real_value(v);
        FUZZ_ASSERT(got->kind == RECO_VALUE_NUMBER);
        FUZZ_ASSERT(memcmp(&got->number, &number, sizeof(number)) == 0);

    } else if (json_is_boolean(v)) {
        FUZZ_ASSERT(got->kind == RECO_VALUE_WORD);
        FUZZ_ASSERT(reco_str_equal(got->word, json_is_true(v)
                                              ? RECO_STR("true")
                                              : RECO_STR("false")));

    } else if (json_string_length(v) > 0) {
        FUZZ_ASSERT(got->kind == RECO_VALUE_WORD);
        check_id(got->word, v);

    } else {
        FUZZ_ASSERT(got->kind == RECO_VALUE_MISSING);
    }
}

static void
check_ids(const reco_str_t *got, uint32_t n, const json_t *v)
{
    uint32_t  i;

    FUZZ_ASSERT(n == json_array_size(v));

    for (i = 0; i < n; i++) {
        check_id(got[i], json_array_get(v, i));
    }
}

/* The members that a format has by these names; NULL: it has none. */
static const struct {
    const reco_format_t  *format;
    const char           *customer, *session, *features, *cart, *exclude;
} members[] = {
    { &reco_format_native, "customer", "session", "features", "cart",
      "exclude" },
    { &reco_format_offers, "customer_id", NULL, "states", NULL, NULL },
    { &reco_format_cart, "customer_id", "session_id", NULL, "cart_items",
      "out_of_stock" },
};

/* Ids and values are those that jansson has, to the bit; it cannot read a NUL
 * in a key. */
static void
check_given(const reco_format_t *format, reco_str_t text)
{
    size_t    m = 0;
    json_t   *tree, *f;
    uint32_t  i;

    tree = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES
                      | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, NULL);
    if (tree == NULL) {
        return;
    }

    while (members[m].format != format) {
        m++;
    }

    check_id(request.customer, json_object_get(tree, members[m].customer));

    if (members[m].session != NULL) {
        check_id(request.session, json_object_get(tree, members[m].session));
        check_ids(request.cart, request.ncart,
                  json_object_get(tree, members[m].cart));
        check_ids(request.exclude, request.nexclude,
                  json_object_get(tree, members[m].exclude));
    }

    /* the offers' may be a text, in Python's dialect */
    f = members[m].features == NULL ? tree
        : json_object_get(tree, members[m].features);

    for (i = 0; i < model->nfeatures && !json_is_string(f); i++) {
        check_value(&request.given[i],
                    json_object_getn(f, model->features[i].name.data,
                                     model->features[i].name.len));
    }

    json_decref(tree);
}

/* ---- decisions ---------------------------------------------------------- */

/* Any answer of a strategy: the ids that the request had, as items. */
static void
fill_items(void)
{
    uint32_t  i;

    items.n = request.ncart;

    for (i = 0; i < items.n; i++) {
        items.items[i] = (reco_ranked_item_t) {
            i, 0.1 * i, { .id = request.cart[i] }
        };
    }

    model->items.slate = RECO_MAX_SLATE;
}

static void
check_decision(void)
{
    uint32_t  i;

    FUZZ_ASSERT(decision.n > 0 && decision.n <= model->policy.slate);
    FUZZ_ASSERT(decision.n <= decision.eligible);

    for (i = 0; i < decision.n; i++) {
        FUZZ_ASSERT(reco_mask_get(&eligible, decision.action[i]));
        FUZZ_ASSERT(decision.propensity[i] > 0);
        FUZZ_ASSERT(decision.propensity[i] <= RECO_ONE);
    }
}

/* From a request that was accepted to its answer. */
static void
decide(const reco_format_t *format, size_t len)
{
    size_t           bound;
    unsigned         variant;
    reco_buf_t       b;
    reco_error_t     err;
    reco_status_t    rc;
    reco_answer_t    answer;

    request.customer_key = request.customer;
    request.time_ms = 1795313700123;

    rc = reco_features_resolve(model, &request, NULL, &features, &err);
    if (rc != RECO_OK) {
        fuzz_check_problem(format, &err, rc, len);
        return;
    }

    (void) reco_eligible(model, &features, request.has_flags, &request.flags,
                         &eligible);
    rc = reco_decide(model, &features, &eligible, request.slate,
                     RECO_STR("0193532a0c00abcd0102030400000007"),
                     request.customer_key, &scratch, &decision);
    if (rc == RECO_NONE_ELIGIBLE) {
        return;
    }

    FUZZ_ASSERT(rc == RECO_OK);
    check_decision();
    fill_items();

    answer = (reco_answer_t) {
        .model = model, .request = &request, .features = &features,
        .eligible = &eligible, .decision = &decision, .items = &items,
        .scratch = &scratch,
        .generation = 3, .token = RECO_STR("0193532a0c00abcd0102030400000007"),
    };

    for (variant = 0; variant < format->variants; variant++) {
        bound = reco_answer_bound(model, request.explain);
        reco_buf_init(&b, fuzz_alloc(bound), bound);
        format->render_decision(&b, &answer, variant);
        fuzz_check_rendered(&b);
    }
}

static void
try_decide(const reco_format_t *format, reco_str_t text, bool is_args)
{
    reco_str_t      none;
    reco_error_t    err;
    reco_parse_t    parse;
    reco_status_t   rc;

    none = RECO_STR("");
    parse = parse_begin(text.len);
    reco_request_reset(&request, model->nfeatures);
    rc = format->parse_decide(is_args ? none : text, is_args ? text : none,
                              model, &parse, &request, &err);

    if (rc != RECO_OK) {
        fuzz_check_problem(format, &err, rc, text.len);
    } else {
        check_request();
        if (!is_args && text.len > 0) {
            check_given(format, text);
        }
        decide(format, text.len);
    }

    free(parse.arena.base);
}

/* ---- what the agent tells ----------------------------------------------- */

/* RFC 4180: the n records of 8 fields, each ended by CRLF. A quote within
 * quotes is doubled; nothing but a number or hex digits stands without. */
static void
check_csv(reco_str_t csv, uint32_t n)
{
    bool      quoted = false;
    size_t    i;
    uint32_t  fields = 1, records = 0;

    for (i = 0; i < csv.len; i++) {

        if (csv.data[i] == '"') {
            quoted = !quoted;

        } else if (!quoted && csv.data[i] == ',') {
            fields++;
            FUZZ_ASSERT(i + 2 >= csv.len || csv.data[i + 1] != '"'
                        || strchr("=+-@\t\r", csv.data[i + 2]) == NULL);

        } else if (!quoted && csv.data[i] == '\r') {
            FUZZ_ASSERT(i + 1 < csv.len && csv.data[i + 1] == '\n');
            FUZZ_ASSERT(fields == 8);
            fields = 1;
            records++;
            i++;
        }
    }

    FUZZ_ASSERT(!quoted && fields == 1 && records == n + 1);
}

/* A record whose texts are those of the query. */
static void
try_history(const reco_history_query_t *q)
{
    size_t                 bound;
    reco_buf_t             b;
    reco_agent_t           agent;
    reco_history_t         h;
    const reco_history_t  *records[2] = { &h, &h };

    h = (reco_history_t) {
        .kind = RECO_HISTORY_RECOMMENDATION, .time_ms = q->from_ms,
        .customer_key = q->customer, .session = q->session,
        .action = q->action, .value = NAN,
    };

    if (q->session.len > 0) {
        h.nitems = 2;
        h.items[0] = h.items[1] = q->session;
    }

    FUZZ_ASSERT(reco_history_matches(q, &h) == (q->from_ms < q->to_ms));

    agent = (reco_agent_t) {
        .model = model, .records = records, .nrecords = 2,
        .time_ms = 1795313700123,
    };

    bound = reco_agent_cart.bound(&agent);
    reco_buf_init(&b, fuzz_alloc(bound), bound);
    reco_agent_cart.render_history(&b, &agent, q);

    if (q->csv) {
        FUZZ_ASSERT(!b.overflow);
        check_csv((reco_str_t) { b.start, reco_buf_len(&b) }, 2);
        free(b.start);
    } else {
        fuzz_check_rendered(&b);
    }
}

static void
try_query(reco_str_t text)
{
    size_t                 size = 2 * text.len + 1024;
    reco_arena_t           arena = { fuzz_alloc(size), size, 0 };
    reco_error_t           err;
    reco_status_t          rc;
    reco_history_query_t   q;

    rc = reco_history_query_parse(text, &arena, &q, &err);

    if (rc != RECO_OK) {
        fuzz_check_problem(&reco_format_cart, &err, rc, text.len);

    } else {
        FUZZ_ASSERT(is_id_or_empty(q.customer) && is_id_or_empty(q.session)
                    && is_id_or_empty(q.action));
        FUZZ_ASSERT(q.from_ms <= q.to_ms);
        FUZZ_ASSERT(q.limit >= 1 && q.limit <= RECO_HISTORY_LIMIT_MAX);
        try_history(&q);
    }

    free(arena.base);
}

/* Facts of a trainer, which a snapshot keeps as they are given. */
static void
try_training(reco_str_t text)
{
    char                  *training;
    size_t                 bound;
    reco_buf_t             b;
    reco_agent_t           agent;
    reco_snapshot_info_t   info = { .states = 3, .spec = "{}" };

    if (memchr(text.data, '\0', text.len) != NULL) {
        return;
    }

    training = fuzz_alloc(text.len + 1);
    memcpy(training, text.data, text.len);
    training[text.len] = '\0';
    info.training = training;

    agent = (reco_agent_t) {
        .model = model, .info = &info, .generation = 3,
        .time_ms = 1795313700123,
    };

    bound = reco_agent_cart.bound(&agent);
    reco_buf_init(&b, fuzz_alloc(bound), bound);
    FUZZ_ASSERT(reco_agent_cart.render_metrics(&b, &agent) == RECO_OK);
    fuzz_check_rendered(&b);

    reco_buf_init(&b, fuzz_alloc(bound), bound);
    FUZZ_ASSERT(reco_agent_cart.render_state(&b, &agent) == RECO_OK);
    fuzz_check_rendered(&b);

    free(training);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    reco_str_t  text;

    if (model == NULL) {
        model = fuzz_model(spec);
    }

    if (size == 0) {
        return 0;
    }

    text = fuzz_copy(data + 1, size - 1);

    switch (data[0]) {
    case 'n':
        try_decide(&reco_format_native, text, false);
        break;
    case 'a':
        try_decide(&reco_format_native, text, true);
        break;
    case 'o':
        try_decide(&reco_format_offers, text, false);
        break;
    case 'c':
        try_decide(&reco_format_cart, text, false);
        break;
    case 'q':
        try_query(text);
        break;
    case 't':
        try_training(text);
        break;
    default:
        break;
    }

    fuzz_free(text);

    return 0;
}
