/*
 * fuzz_reward.c - rewards as clients send them, through every format, with
 * jansson as judge: a body is accepted just where jansson reads one that keeps
 * the rules of docs/HTTP.md, which are written down here once more; ids,
 * items and facts are then those that jansson has, to the bit.
 */

#include <math.h>

#include "../t/unit/json_oracle.h"
#include "fuzz_answer.h"
#include "fuzz_model.h"
#include "reco_format_impl.h"

static const char  spec[] =
    "{\"model\":\"cart\",\"version\":\"1.0.0\",\"actions\":[{\"id\":\"top\"},"
    "{\"id\":\"b \\\"2\\\"\"},{\"id\":\"\\u2028\"}],"
    "\"policy\":{\"type\":\"uniform\",\"slate\":1}}";

static reco_model_t           *model;
static reco_json_keys_t        keys;
static reco_reward_request_t   reward;

/* ---- values ------------------------------------------------------------- */

static reco_str_t
string_of(const json_t *v)
{
    return (reco_str_t) { json_string_value(v), json_string_length(v) };
}

static bool
is_id(const json_t *v)
{
    return json_is_string(v) && reco_id_is_valid(string_of(v));
}

/* Left out, null or an id; with 'empty' also "". */
static bool
is_optional(const json_t *v, bool empty)
{
    return v == NULL || json_is_null(v) || is_id(v)
           || (empty && json_is_string(v) && json_string_length(v) == 0);
}

static bool
is_items(const json_t *v)
{
    size_t  i;

    if (v == NULL || json_is_null(v)) {
        return true;
    }

    for (i = 0; i < json_array_size(v); i++) {
        if (!is_id(json_array_get(v, i))) {
            return false;
        }
    }

    return json_is_array(v) && i <= RECO_MAX_SLATE;
}

static void
check_id(reco_str_t got, const json_t *v)
{
    FUZZ_ASSERT(json_is_string(v) ? reco_str_equal(got, string_of(v))
                                  : got.len == 0);
}

static void
check_items(const json_t *v)
{
    uint32_t  i;

    FUZZ_ASSERT(reward.nitems == json_array_size(v));

    for (i = 0; i < reward.nitems; i++) {
        check_id(reward.items[i], json_array_get(v, i));
    }
}

/* -0 is not 0 */
static void
check_fact(uint32_t i, const char *name, size_t len, double value)
{
    FUZZ_ASSERT(i < reward.nfacts);
    FUZZ_ASSERT(reco_str_equal(reward.facts[i].name,
                               (reco_str_t) { name, len }));
    FUZZ_ASSERT(isfinite(value));
    FUZZ_ASSERT(memcmp(&reward.facts[i].value, &value, sizeof(value)) == 0);
}

/* ---- native ------------------------------------------------------------- */

static bool
facts_are_right(json_t *facts)
{
    json_t      *v;
    size_t       len;
    const char  *name;

    json_object_keylen_foreach(facts, name, len, v) {
        if (!reco_id_is_valid((reco_str_t) { name, len })
            || !(json_is_real(v) || json_is_true(v)))
        {
            return false;
        }
    }

    return json_object_size(facts) > 0
           && json_object_size(facts) <= RECO_MAX_FACTS;
}

static bool
native_is_right(json_t *body)
{
    size_t              i, known = 0;
    static const char  *ids[] = { "decision", "customer", "session", "action",
                                  "key" };

    for (i = 0; i < 5; i++) {
        if (!is_optional(json_object_get(body, ids[i]), false)) {
            return false;
        }
        known += json_object_get(body, ids[i]) != NULL;
    }

    known += (json_object_get(body, "facts") != NULL)
             + (json_object_get(body, "items") != NULL);

    return known == json_object_size(body)
           && facts_are_right(json_object_get(body, "facts"))
           && is_items(json_object_get(body, "items"))
           && (is_id(json_object_get(body, "decision"))
               || is_id(json_object_get(body, "customer")));
}

static void
native_check(json_t *body)
{
    json_t      *v;
    size_t       len;
    uint32_t     i = 0;
    const char  *name;

    check_id(reward.token, json_object_get(body, "decision"));
    check_id(reward.customer, json_object_get(body, "customer"));
    check_id(reward.session, json_object_get(body, "session"));
    check_id(reward.action, json_object_get(body, "action"));
    check_id(reward.key, json_object_get(body, "key"));
    check_items(json_object_get(body, "items"));

    json_object_keylen_foreach(json_object_get(body, "facts"), name, len, v) {
        check_fact(i++, name, len, json_is_true(v) ? 1 : json_real_value(v));
    }

    FUZZ_ASSERT(reward.nfacts == i);
}

/* ---- offers ------------------------------------------------------------- */

static json_t *
accepted_of(json_t *body)
{
    json_t  *v = json_object_get(body, "accepted_one_of_the_three_offers");

    return v != NULL ? v
           : json_object_get(body, "accepted_one_of the_three_offers");
}

static bool
is_yes(const json_t *v)
{
    return json_is_true(v) || json_real_value(v) == 1;
}

static bool
offers_is_right(json_t *body)
{
    uint64_t   ms;
    json_t    *accepted = accepted_of(body);

    return is_id(json_object_get(body, "customer_id"))
           && json_is_string(json_object_get(body, "timestamp"))
           && reco_format_time(string_of(json_object_get(body, "timestamp")),
                               &ms)
           && (json_is_boolean(accepted)
               || (json_is_real(accepted) && (json_real_value(accepted) == 0
                                              || is_yes(accepted))))
           && !(json_object_get(body, "accepted_one_of_the_three_offers")
                && json_object_get(body, "accepted_one_of the_three_offers"))
           && is_optional(json_object_get(body, "accepted_offer"), true)
           && is_optional(json_object_get(body, "decision_id"), true)
           && is_optional(json_object_get(body, "key"), true)
           && (is_yes(accepted)
               || !is_id(json_object_get(body, "accepted_offer")));
}

/* "timestamp:" and the time is the key where there is none */
static void
check_derived(const json_t *key, const json_t *timestamp, const char *more)
{
    char  expected[128];
    int   n;

    if (is_id(key) || !json_is_string(timestamp)) {
        check_id(reward.key, key);
        return;
    }

    n = snprintf(expected, sizeof(expected), "timestamp:%s%s%s",
                 json_string_value(timestamp), more[0] ? ":" : "", more);
    FUZZ_ASSERT(reco_str_equal(reward.key,
                               (reco_str_t) { expected, (size_t) n }));
}

static void
offers_check(json_t *body)
{
    check_id(reward.customer, json_object_get(body, "customer_id"));
    check_id(reward.token, json_object_get(body, "decision_id"));
    check_id(reward.action, json_object_get(body, "accepted_offer"));
    FUZZ_ASSERT(reward.session.len == 0 && reward.nitems == 0);
    FUZZ_ASSERT(reward.nfacts == 1);
    check_fact(0, "conversion", 10, is_yes(accepted_of(body)));
    check_derived(json_object_get(body, "key"),
                  json_object_get(body, "timestamp"), "");
}

/* ---- cart --------------------------------------------------------------- */

static const char  *const interactions[][2] = {
    { "click", "click" }, { "view", "view" },
    { "add_to_cart", "add_to_cart" }, { "purchase", "conversion" },
    { "return", "return" }, { "idle", "idle" }, { "dislike", "dislike" },
};

/* Its index, or -1. */
static int
interaction_of(const json_t *v)
{
    int  i;

    for (i = 0; json_is_string(v) && i < 7; i++) {
        if (reco_str_equal(string_of(v), (reco_str_t) {
                interactions[i][0], strlen(interactions[i][0]) }))
        {
            return i;
        }
    }

    return -1;
}

static bool
is_optional_number(const json_t *v)
{
    return v == NULL || json_is_null(v) || json_is_real(v);
}

static bool
cart_is_right(json_t *body)
{
    uint64_t   ms;
    json_t    *action = json_object_get(body, "action_type"),
              *kind = json_object_get(body, "interaction_type"),
              *time = json_object_get(body, "timestamp");

    return is_id(json_object_get(body, "customer_id"))
           && json_object_get(body, "session_id") != NULL
           && is_optional(json_object_get(body, "session_id"), true)
           && json_is_real(json_object_get(body, "reward_value"))
           && (json_is_null(action)
               || (is_id(action) && reco_catalogue_find(&model->catalogue,
                                                  string_of(action)) >= 0))
           && is_items(json_object_get(body, "recommended_products"))
           && (kind == NULL || json_is_null(kind) || interaction_of(kind) >= 0)
           && is_optional_number(json_object_get(body, "revenue"))
           && is_optional(json_object_get(body, "decision_id"), true)
           && is_optional(json_object_get(body, "reward_id"), true)
           && (time == NULL || json_is_null(time)
               || (json_is_string(time)
                   && reco_format_time(string_of(time), &ms)));
}

static void
cart_check(json_t *body)
{
    int           kind;
    uint32_t      n = 1;
    const char   *fact;
    const json_t *revenue = json_object_get(body, "revenue");

    check_id(reward.customer, json_object_get(body, "customer_id"));
    check_id(reward.session, json_object_get(body, "session_id"));
    check_id(reward.action, json_object_get(body, "action_type"));
    check_id(reward.token, json_object_get(body, "decision_id"));
    check_items(json_object_get(body, "recommended_products"));
    check_fact(0, "reported", 8,
               json_real_value(json_object_get(body, "reward_value")));

    kind = interaction_of(json_object_get(body, "interaction_type"));

    if (kind >= 0) {
        fact = interactions[kind][1];
        check_fact(n++, fact, strlen(fact), 1);
    }

    if (json_is_real(revenue)) {
        check_fact(n++, "revenue", 7, json_real_value(revenue));
    }

    FUZZ_ASSERT(reward.nfacts == n);
    check_derived(json_object_get(body, "reward_id"),
                  json_object_get(body, "timestamp"),
                  kind >= 0 ? interactions[kind][0] : "");
}

/* ---- a body ------------------------------------------------------------- */

static const struct {
    const reco_format_t  *format;
    bool                (*is_right)(json_t *body);
    void                (*check)(json_t *body);
} formats[] = {
    { &reco_format_native, native_is_right, native_check },
    { &reco_format_offers, offers_is_right, offers_check },
    { &reco_format_cart,   cart_is_right,   cart_check },
};

/* The same text as jansson has it; NULL where it is no JSON, or where they may
 * differ (json_oracle.h), and then *known says which. */
static json_t *
judge(reco_str_t text, char *memory, bool *known)
{
    json_t         *tree;
    json_oracle_t   oracle = { .keys = &keys, .memory = memory };

    FUZZ_ASSERT(json_oracle_agree(&oracle, text.data, text.len));

    if (oracle.status != RECO_OK) {
        *known = true;
        return NULL;
    }

    tree = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES
                      | JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL
                      | JSON_ALLOW_NUL, NULL);
    *known = tree != NULL;

    return tree;
}

static void
try_reward(unsigned which, reco_str_t text)
{
    bool                  known;
    size_t                size = 2 * text.len + 1024;
    json_t               *tree;
    reco_buf_t            b;
    reco_error_t          err;
    reco_parse_t          parse;
    reco_status_t         rc;
    const reco_format_t  *format = formats[which].format;

    parse.arena = (reco_arena_t) { fuzz_alloc(size), size, 0 };
    parse.keys = &keys;

    tree = judge(text, parse.arena.base, &known);
    memset(&reward, 0xa5, sizeof(reward));
    rc = format->parse_reward(text, model, &parse, &reward, &err);

    FUZZ_ASSERT(!known || (rc == RECO_OK) == (json_is_object(tree)
                                              && formats[which].is_right(tree)));

    if (rc != RECO_OK) {
        fuzz_check_problem(format, &err, rc, text.len);

    } else {
        if (known) {
            formats[which].check(tree);
        }

        reco_buf_init(&b, fuzz_alloc(4096), 4096);
        format->render_reward(&b, &reward);
        fuzz_check_rendered(&b);
    }

    json_decref(tree);
    free(parse.arena.base);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    reco_str_t  text;

    if (model == NULL) {
        model = fuzz_model(spec);
    }

    if (size == 0 || strchr("noc", data[0]) == NULL || data[0] == '\0') {
        return 0;
    }

    text = fuzz_copy(data + 1, size - 1);
    try_reward(data[0] == 'n' ? 0 : data[0] == 'o' ? 1 : 2, text);
    fuzz_free(text);

    return 0;
}
