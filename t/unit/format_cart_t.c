/*
 * The cart contract: what its clients send, what is refused, with the field
 * that is at fault; its answers, read back with jansson.
 */

#include "format_cart_fixture.h"

#define C  "\"customer_id\": \"c42\""
#define R  C ", \"session_id\": \"s1\", \"reward_value\": 0.5,"               \
           " \"action_type\": \"popular\""

/* ---- recommendations: the request ----------------------------------- */

static void
test_request(void **state)
{
    (void) state;

    assert_int_equal(parse_decide(cart, model,
        "{" C ", \"session_id\": \"s1\", \"cart_total\": 12.5,"
        " \"device_type\": \"mobile\", \"shoe\": {\"size\": [1]},"
        " \"cart_items\": [\"85123A\", \"22423\"],"
        " \"out_of_stock\": [\"21232\"]}", NULL), RECO_OK);

    assert_str(request.customer, "c42");
    assert_str(request.session, "s1");
    assert_int_equal(request.given[0].kind, RECO_VALUE_NUMBER);
    assert_true(request.given[0].number == 12.5);
    assert_str(request.given[1].word, "mobile");
    assert_int_equal(request.unknown_fields, 1);
    assert_int_equal(request.ncart, 2);
    assert_str(request.cart[0], "85123A");
    assert_str(request.cart[1], "22423");
    assert_int_equal(request.nexclude, 1);
    assert_str(request.exclude[0], "21232");
    assert_false(request.has_flags);
}

static void
test_request_of_little(void **state)
{
    (void) state;

    assert_int_equal(parse_decide(cart, model, "{" C "}", NULL), RECO_OK);
    assert_int_equal(request.session.len, 0);
    assert_int_equal(request.ncart, 0);
    assert_int_equal(request.given[0].kind, RECO_VALUE_MISSING);

    assert_int_equal(parse_decide(cart, model,
        "{" C ", \"session_id\": null, \"cart_items\": null,"
        " \"out_of_stock\": [], \"cart_total\": null}", NULL), RECO_OK);
    assert_int_equal(request.session.len, 0);
    assert_int_equal(request.ncart, 0);
    assert_int_equal(request.nexclude, 0);

    assert_int_equal(parse_decide(cart, model,
        "{" C ", \"session_id\": \"\"}", NULL), RECO_OK);
    assert_int_equal(request.session.len, 0);
}

static void
test_request_refused(void **state)
{
    size_t  i;

    static const bad_t  bad[] = {
        { "{}", "customer_id", RECO_NO_POSITION },
        { "{\"customer_id\": 42}", "customer_id", 16 },
        { "{\"customer_id\": null}", "customer_id", 16 },
        { "{\"customer_id\": \"\"}", "customer_id", 16 },
        { "{" C ", \"session_id\": 1}", "session_id", 37 },
        { "{" C ", \"cart_items\": \"a\"}", "cart_items", 37 },
        { "{" C ", \"cart_items\": [\"a\", 1]}", "cart_items", 43 },
        { "{" C ", \"cart_items\": [\"\"]}", "cart_items", 38 },
        { "{" C ", \"out_of_stock\": {}}", "out_of_stock", 39 },
        { "{" C ", \"cart_total\": [1]}", "cart_total", 37 },
        { "{" C ", \"cart_total\": NaN}", "cart_total", 37 },
        { "{" C ", \"cart_total\": Infinity}", "cart_total", 37 },
        { "{" C ", \"cart_total\": 1e999}", "cart_total", 37 },
        { "{" C ", " C "}", "", 23 },
        { "[]", "", 0 },
        { "{" C "} x", "", 23 },
    };

    (void) state;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_refused(parse_decide(cart, model, bad[i].text, NULL), &bad[i]);
    }
}

/* 64 items in a cart, not one more */
static void
test_cart_limit(void **state)
{
    int     n;
    char    body[2048];
    size_t  used;

    (void) state;

    for (n = RECO_MAX_CART; n <= RECO_MAX_CART + 1; n++) {
        used = (size_t) sprintf(body, "{" C ", \"cart_items\": [");

        for (int i = 0; i < n; i++) {
            used += (size_t) sprintf(body + used, "%s\"i%d\"",
                                     (i > 0) ? "," : "", i);
        }

        strcpy(body + used, "]}");

        if (n == RECO_MAX_CART) {
            assert_int_equal(parse_decide(cart, model, body, NULL), RECO_OK);
            assert_int_equal(request.ncart, 64);
            assert_str(request.cart[63], "i63");
        } else {
            assert_int_equal(parse_decide(cart, model, body, NULL),
                             RECO_INVALID);
            assert_string_equal(err.field, "cart_items");
        }
    }
}

/* ---- recommendations: the answer ------------------------------------ */

static reco_answer_t
decided(const reco_model_t *m, const char *body)
{
    assert_int_equal(parse_decide(cart, m, body, NULL), RECO_OK);
    request.time_ms = 1700000000123;

    memset(&decision, 0, sizeof(decision));
    decision.n = 1;
    decision.action[0] = 1;
    decision.propensity[0] = RECO_ONE / 4 * 3;
    decision.state_known = true;
    decision.level = 2;
    decision.epsilon = 0.25;
    decision.value = 1.5;
    decision.confidence = 0.875;

    return answer_of(m);
}

static void
test_answer(void **state)
{
    json_t             *v, *data, *list;
    reco_model_t       *with = model_of(ITEMS);
    reco_answer_t       a;
    reco_item_slate_t   items = { .n = 2, .filled = 1 };

    (void) state;

    items.items[0].item.id = str("85123A");
    items.items[0].score = 0.75;
    items.items[1].item.id = str("2\"2");
    items.items[1].score = 0.5;

    a = decided(with, "{" C ", \"session_id\": \"s1\", \"x\": 1}");
    a.items = &items;

    begin_render();
    cart->render_decision(&out, &a, 0);
    assert_true(reco_buf_len(&out) <= reco_answer_bound(with, false));
    v = rendered_json();

    assert_true(json_is_true(json_object_get(v, "success")));
    assert_string_equal(text_of(v, "timestamp", NULL),
                        "2023-11-14T22:13:20.123Z");
    assert_int_equal(json_object_size(v), 3);

    data = json_object_get(v, "data");
    assert_int_equal(json_object_size(data), 8);
    assert_string_equal(text_of(data, "customer_id", NULL), "c42");
    assert_string_equal(text_of(data, "session_id", NULL), "s1");
    assert_string_equal(text_of(data, "action_type", NULL), "popular");
    assert_string_equal(text_of(data, "timestamp", NULL),
                        "2023-11-14T22:13:20.123Z");
    assert_true(number_of(data, "confidence_score", NULL) == 0.875);

    list = json_object_get(data, "recommendations");
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(json_string_value(json_array_get(list, 0)), "85123A");
    assert_string_equal(json_string_value(json_array_get(list, 1)), "2\"2");

    list = json_object_get(data, "scores");
    assert_int_equal(json_array_size(list), 2);
    assert_true(json_number_value(json_array_get(list, 0)) == 0.75);
    assert_true(json_number_value(json_array_get(list, 1)) == 0.5);

    data = json_object_get(data, "metadata");
    assert_string_equal(text_of(data, "decision_id", NULL), ID_TEXT);
    assert_string_equal(text_of(data, "version", NULL), "1.0.0");
    assert_true(number_of(data, "generation", NULL) == 3);
    assert_true(number_of(data, "strategy_probability", NULL) == 0.75);
    assert_true(number_of(data, "epsilon", NULL) == 0.25);
    assert_true(number_of(data, "value", NULL) == 1.5);
    assert_true(number_of(data, "state_level", NULL) == 2);
    assert_true(number_of(data, "filled", NULL) == 1);
    assert_true(number_of(data, "unknown_fields", NULL) == 1);
    assert_true(json_is_true(json_object_get(data, "state_known")));
    assert_true(json_is_false(json_object_get(data, "fallback")));

    json_decref(v);
    reco_model_free(with);
}

/* What is unknown is null; a model without items recommends its actions. */
static void
test_answer_of_little(void **state)
{
    json_t         *v, *data, *meta;
    reco_answer_t   a;

    (void) state;

    a = decided(model, "{" C "}");
    a.fallback = true;
    decision.state_known = false;
    decision.epsilon = decision.value = decision.confidence = NAN;

    begin_render();
    cart->render_decision(&out, &a, 0);
    v = rendered_json();
    data = json_object_get(v, "data");
    meta = json_object_get(data, "metadata");

    assert_true(json_is_null(json_object_get(data, "session_id")));
    assert_true(json_is_null(json_object_get(data, "confidence_score")));
    assert_true(json_is_null(json_object_get(data, "action_type")));
    assert_string_equal(json_string_value(json_array_get(
        json_object_get(data, "recommendations"), 0)), "popular");
    assert_true(json_number_value(json_array_get(
        json_object_get(data, "scores"), 0)) == 0.75);
    assert_true(json_is_null(json_object_get(meta, "epsilon")));
    assert_true(json_is_null(json_object_get(meta, "value")));
    assert_true(json_is_null(json_object_get(meta, "state_level")));
    assert_true(json_is_true(json_object_get(meta, "fallback")));

    json_decref(v);
}

/* The longest ids, every byte escaped, fit the bound. */
static void
test_answer_bound(void **state)
{
    uint32_t            i;
    char                id[RECO_MAX_ID];
    reco_model_t       *with = model_of(ITEMS);
    reco_answer_t       a;
    reco_item_slate_t   items = { .n = 2 };

    (void) state;

    memset(id, '"', sizeof(id));
    a = decided(with, "{" C "}");
    a.items = &items;
    request.customer = request.session = (reco_str_t) { id, sizeof(id) };

    for (i = 0; i < 2; i++) {
        items.items[i].item.id = (reco_str_t) { id, sizeof(id) };
        items.items[i].score = 1.0 / 3;
    }

    begin_render();
    cart->render_decision(&out, &a, 0);
    assert_true(reco_buf_len(&out) <= reco_answer_bound(with, false));
    json_decref(rendered_json());
    reco_model_free(with);
}

/* ---- rewards -------------------------------------------------------- */

static void
assert_fact(uint32_t i, const char *name, double value)
{
    assert_str(reward.facts[i].name, name);
    assert_true(reward.facts[i].value == value);
}

static void
test_reward(void **state)
{
    (void) state;

    assert_int_equal(parse_reward(cart, "{" R ", \"recommended_products\":"
        " [\"85123A\", \"22423\"], \"interaction_type\": \"purchase\","
        " \"revenue\": 12.75, \"decision_id\": \"t\", \"reward_id\": \"o-1\","
        " \"more\": [1]}"), RECO_OK);

    assert_str(reward.customer, "c42");
    assert_str(reward.session, "s1");
    assert_str(reward.action, "popular");
    assert_str(reward.token, "t");
    assert_str(reward.key, "o-1");
    assert_int_equal(reward.nitems, 2);
    assert_str(reward.items[1], "22423");
    assert_int_equal(reward.nfacts, 3);
    assert_fact(0, "reported", 0.5);
    assert_fact(1, "conversion", 1);
    assert_fact(2, "revenue", 12.75);
}

static void
test_reward_of_little(void **state)
{
    (void) state;

    assert_int_equal(parse_reward(cart, "{" C ", \"session_id\": null,"
        " \"reward_value\": -1e300, \"action_type\": null}"), RECO_OK);
    assert_int_equal(reward.session.len, 0);
    assert_int_equal(reward.action.len, 0);
    assert_int_equal(reward.token.len, 0);
    assert_int_equal(reward.key.len, 0);
    assert_int_equal(reward.nitems, 0);
    assert_int_equal(reward.nfacts, 1);
    assert_fact(0, "reported", -1e300);
}

/* Each interaction's fact; without a key of its own a reward is known by its
 * time and kind. */
static void
test_interactions(void **state)
{
    char    body[512];
    size_t  i;

    static const char *const  pairs[][2] = {
        { "click", "click" }, { "view", "view" },
        { "add_to_cart", "add_to_cart" }, { "purchase", "conversion" },
        { "return", "return" }, { "idle", "idle" }, { "dislike", "dislike" },
    };

    (void) state;

    for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        snprintf(body, sizeof(body), "{" R ", \"interaction_type\": \"%s\","
                 " \"timestamp\": \"2011-11-23T10:00:00Z\"}", pairs[i][0]);
        assert_int_equal(parse_reward(cart, body), RECO_OK);
        assert_int_equal(reward.nfacts, 2);
        assert_fact(1, pairs[i][1], 1);

        snprintf(body, sizeof(body), "timestamp:2011-11-23T10:00:00Z:%s",
                 pairs[i][0]);
        assert_str(reward.key, body);
    }
}

static void
test_reward_refused(void **state)
{
    size_t  i;

    static const bad_t  bad[] = {
        { "{\"session_id\": \"s\", \"reward_value\": 1,"
          " \"action_type\": null}", "customer_id", RECO_NO_POSITION },
        { "{" C ", \"reward_value\": 1, \"action_type\": null}",
          "session_id", RECO_NO_POSITION },
        { "{" C ", \"session_id\": \"s\", \"action_type\": null}",
          "reward_value", RECO_NO_POSITION },
        { "{" C ", \"session_id\": \"s\", \"reward_value\": 1}",
          "action_type", RECO_NO_POSITION },
        { "{" C ", \"reward_value\": NaN}", "reward_value", 39 },
        { "{" C ", \"reward_value\": Infinity}", "reward_value", 39 },
        { "{" C ", \"reward_value\": -Infinity}", "reward_value", 40 },
        { "{" C ", \"reward_value\": 1e999}", "reward_value", 39 },
        { "{" C ", \"reward_value\": \"1\"}", "reward_value", 39 },
        { "{" C ", \"reward_value\": true}", "reward_value", 39 },
        { "{" C ", \"revenue\": 1e999}", "revenue", 34 },
        { "{" C ", \"revenue\": \"1\"}", "revenue", 34 },
        { "{" C ", \"action_type\": \"best\"}", "action_type", 38 },
        { "{" C ", \"interaction_type\": \"kiss\"}", "interaction_type", 43 },
        { "{" C ", \"interaction_type\": 1}", "interaction_type", 43 },
        { "{" C ", \"timestamp\": \"soon\"}", "timestamp", 36 },
        { "{" C ", \"recommended_products\": [1]}",
          "recommended_products", 48 },
        { "[1]", "", 0 },
    };

    (void) state;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_refused(parse_reward(cart, bad[i].text), &bad[i]);
    }

    (void) parse_reward(cart, "{" C ", \"action_type\": \"best\"}");
    assert_string_equal(err.message, "is none of low_price, popular");
    (void) parse_reward(cart, "{" C ", \"interaction_type\": \"kiss\"}");
    assert_string_equal(err.message, "is none of click, view, add_to_cart,"
                        " purchase, return, idle, dislike");
}

/* A long list of names ends where there is no more room. */
static void
test_many_actions(void **state)
{
    int            i;
    char           spec[8192];
    size_t         used;
    reco_model_t  *many;

    (void) state;

    used = (size_t) sprintf(spec, "{\"model\": \"cart\", \"actions\": [");

    for (i = 0; i < 40; i++) {
        used += (size_t) sprintf(spec + used, "%s{\"id\": \"strategy_%02d\"}",
                                 (i > 0) ? "," : "", i);
    }

    strcpy(spec + used, "], \"policy\": {\"type\": \"uniform\"}}");
    reward_model = many = model_of(spec);

    /* "is none of" and 18 names, each of 13 bytes with what is before it, are
     * 244 of the 250 bytes there are */
    assert_int_equal(parse_reward(cart, "{" C ", \"action_type\": \"x\"}"),
                     RECO_INVALID);
    used = strlen(err.message);
    assert_string_equal(err.message + used - 16, "strategy_17, ...");
    reward_model = model;
    reco_model_free(many);
}

static void
test_reward_answer(void **state)
{
    (void) state;

    reward.time_ms = 1700000000123;
    begin_render();
    cart->render_reward(&out, &reward);
    assert_rendered("{\"success\":true,\"message\":\"reward recorded\","
                    "\"timestamp\":\"2023-11-14T22:13:20.123Z\"}");
}

/* ---- errors, health ------------------------------------------------- */

static void
test_problem(void **state)
{
    reco_problem_t  p = { 400, "invalid_field", &err };

    (void) state;

    reco_error_set(&err, RECO_INVALID, "customer_id", "must be a string");
    err.position = 16;
    begin_render();
    cart->render_problem(&out, &p);
    assert_rendered("{\"success\":false,\"error\":"
                    "\"customer_id: must be a string (byte 16)\"}");

    reco_error_clear(&err);
    begin_render();
    cart->render_problem(&out, &p);
    assert_rendered("{\"success\":false,\"error\":\"invalid_field\"}");
}

static void
test_health(void **state)
{
    int            status;
    size_t         i;
    json_t        *v, *d;
    reco_health_t  health;

    static const struct {
        uint64_t     generation;
        bool         geo, geo_configured, log, log_configured;
        int          status;
    } cases[] = {
        { 3, true, true, true, true, 200 },
        { 3, false, false, false, false, 200 },
        { 0, true, true, true, true, 503 },
        { 3, false, true, true, true, 503 },
        { 3, true, true, false, true, 503 },
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        health = (reco_health_t) {
            .model = str("cart"), .version = str("1"),
            .generation = cases[i].generation, .time_ms = 1700000000123,
            .geo = cases[i].geo, .geo_configured = cases[i].geo_configured,
            .log = cases[i].log, .log_configured = cases[i].log_configured,
        };

        begin_render();
        status = cart->render_health(&out, &health);
        assert_int_equal(status, cases[i].status);

        v = rendered_json();
        assert_int_equal(json_object_size(v), 3);
        assert_string_equal(text_of(v, "status", NULL),
                            (status == 200) ? "healthy" : "unhealthy");
        assert_string_equal(text_of(v, "timestamp", NULL),
                            "2023-11-14T22:13:20.123Z");
        d = json_object_get(v, "services");
        assert_int_equal(json_object_size(d), 3);
        assert_int_equal(json_is_true(json_object_get(d, "snapshot")),
                         cases[i].generation > 0);
        assert_int_equal(json_is_true(json_object_get(d, "geo")),
                         cases[i].geo);
        assert_int_equal(json_is_true(json_object_get(d, "log")),
                         cases[i].log);
        json_decref(v);
    }
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_request_of_little),
        cmocka_unit_test(test_request_refused),
        cmocka_unit_test(test_cart_limit),
        cmocka_unit_test(test_answer),
        cmocka_unit_test(test_answer_of_little),
        cmocka_unit_test(test_answer_bound),
        cmocka_unit_test(test_reward),
        cmocka_unit_test(test_reward_of_little),
        cmocka_unit_test(test_interactions),
        cmocka_unit_test(test_reward_refused),
        cmocka_unit_test(test_many_actions),
        cmocka_unit_test(test_reward_answer),
        cmocka_unit_test(test_problem),
        cmocka_unit_test(test_health),
    };

    return cmocka_run_group_tests_name("format_cart", tests, setup,
                                       teardown);
}
