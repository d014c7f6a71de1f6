/*
 * The cart contract: what its clients send, what is refused, with the field
 * that is at fault; its answers, read back with jansson; what the agent tells
 * of itself, and the history's query string.
 */

#include "format_fixture.h"

#include <math.h>

#include "reco_agent.h"

#define FEATURES                                                              \
    " \"features\": ["                                                        \
    "  {\"name\": \"cart_total\", \"type\": \"number\","                      \
    "   \"from\": [\"request\"], \"default\": 0},"                            \
    "  {\"name\": \"device_type\", \"type\": \"category\","                   \
    "   \"from\": [\"request\"]}],"                                           \
    " \"actions\": [{\"id\": \"low_price\"}, {\"id\": \"popular\"}],"         \
    " \"policy\": {\"type\": \"uniform\", \"slate\": 1}"

#define PLAIN  "{\"model\": \"cart\", \"version\": \"1.0.0\"," FEATURES "}"
#define ITEMS  "{\"model\": \"cart\", \"version\": \"1.0.0\"," FEATURES ","   \
    " \"items\": {\"slate\": 2, \"strategies\": {"                            \
    "   \"popular\": [{\"list\": \"popular\"}]}}}"

#define C  "\"customer_id\": \"c42\""
#define R  C ", \"session_id\": \"s1\", \"reward_value\": 0.5,"               \
           " \"action_type\": \"popular\""

static const reco_format_t  *cart = &reco_format_cart;
static reco_model_t         *model;

static int
setup(void **state)
{
    (void) state;
    model = model_of(PLAIN);
    reward_model = model;
    return 0;
}

static int
teardown(void **state)
{
    (void) state;
    reco_model_free(model);
    free(body_copy);
    return 0;
}

static const char *
text_of(const json_t *root, const char *a, const char *b)
{
    const json_t  *v = json_object_get(root, a);

    v = (b != NULL) ? json_object_get(v, b) : v;

    return json_is_string(v) ? json_string_value(v) : "(no string)";
}

static double
number_of(const json_t *root, const char *a, const char *b)
{
    const json_t  *v = json_object_get(root, a);

    v = (b != NULL) ? json_object_get(v, b) : v;

    return json_is_number(v) ? json_number_value(v) : NAN;
}

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

/* ---- the agent ------------------------------------------------------ */

#define TRAINING                                                              \
    "{\"algorithm\": \"fitted-q\", \"episodes\": 12, \"transitions\": 40,"    \
    " \"passes\": 7, \"epsilon\": 0.2, \"learning_rate\": 0.05,"              \
    " \"discount_factor\": 0.5, \"conversion_rate\": 0.125,"                  \
    " \"average_reward\": 0.75, \"reward_variance\": 2,"                      \
    " \"reward_by_episode\": [1, -0.5], \"confidence\": 0.625,"               \
    " \"actions\": {\"popular\": 0.75, \"low_price\": 0.25},"                 \
    " \"countries\": {\"GB\": {\"orders\": 3, \"revenue\": 10.5}},"           \
    " \"table\": {\"states\": 5, \"levels\": [4, 1]},"                        \
    " \"convergence\": [{\"pass\": 1, \"mean_change\": 1e-9}],"               \
    " \"last_training_ms\": 1700000000000}"

static json_t *
agent_json(void (*render)(reco_buf_t *, const reco_agent_t *),
    const reco_agent_t *a)
{
    json_t  *v;

    begin_render();
    render(&out, a);
    assert_true(reco_buf_len(&out) <= cart->agent->bound(a));
    v = rendered_json();
    assert_true(json_is_true(json_object_get(v, "success")));
    assert_string_equal(text_of(v, "timestamp", NULL),
                        "2023-11-14T22:13:20.123Z");

    return v;
}

static void
test_metrics(void **state)
{
    json_t                *v, *d;
    reco_snapshot_info_t   info = { .states = 5, .training = TRAINING };
    reco_count_t           actions[] = { { RECO_STR("low_price"), 1 },
                                         { RECO_STR("popular"), 3 } };
    reco_count_t           facts[] = { { RECO_STR("click"), 2 } };
    reco_agent_t           a = {
        .model = model, .info = &info, .generation = 3,
        .time_ms = 1700000000123, .counted = true, .actions = actions,
        .nactions = 2, .facts = facts, .nfacts = 1,
    };

    (void) state;

    v = agent_json(cart->agent->render_metrics, &a);
    d = json_object_get(v, "data");

    assert_true(number_of(d, "conversion_rate", NULL) == 0.125);
    assert_true(number_of(d, "average_reward", NULL) == 0.75);
    assert_true(number_of(d, "reward_variance", NULL) == 2);
    assert_true(number_of(d, "confidence", NULL) == 0.625);
    assert_true(json_number_value(json_array_get(
        json_object_get(d, "reward_by_episode"), 1)) == -0.5);
    assert_true(number_of(d, "action_distribution", "popular") == 0.75);
    assert_true(number_of(d, "orders_by_country", "GB") == 3);
    assert_true(number_of(d, "revenue_by_country", "GB") == 10.5);
    assert_true(number_of(d, "q_table_size", NULL) == 5);
    assert_true(number_of(d, "q_table", "states") == 5);
    assert_true(number_of(json_array_get(json_object_get(d, "convergence"),
                                         0), "mean_change", NULL) == 1e-9);

    d = json_object_get(d, "live");
    assert_true(number_of(d, "decisions", NULL) == 4);
    assert_true(number_of(d, "actions", "popular") == 3);
    assert_true(number_of(d, "action_distribution", "popular") == 0.75);
    assert_true(number_of(d, "facts_of_all_models", "click") == 2);

    json_decref(v);
}

/* Nothing is made up: neither without a training nor without a snapshot. */
static void
test_metrics_of_nothing(void **state)
{
    size_t                 i, n;
    json_t                *v, *d;
    reco_snapshot_info_t   info = { .training = "{}" };
    reco_agent_t           a = { .model = model, .time_ms = 1700000000123 };

    static const char *const  names[] = {
        "algorithm", "episodes", "transitions", "conversion_rate",
        "average_reward", "reward_variance", "reward_by_episode",
        "confidence", "action_distribution", "orders_by_country",
        "revenue_by_country", "q_table", "convergence", "live",
        "q_table_size",
    };

    (void) state;

    for (n = 0; n < 2; n++) {
        a.info = (n == 0) ? NULL : &info;
        v = agent_json(cart->agent->render_metrics, &a);
        d = json_object_get(v, "data");

        for (i = 0; i < sizeof(names) / sizeof(names[0]) - n; i++) {
            if (!json_is_null(json_object_get(d, names[i]))) {
                fail_msg("%s", names[i]);
            }
        }

        json_decref(v);
    }
}

static void
test_state(void **state)
{
    json_t                *v, *d;
    reco_model_t          *q;
    reco_history_t         h = { .kind = RECO_HISTORY_RECOMMENDATION,
                                 .time_ms = 1700000000000,
                                 .action = RECO_STR("popular"),
                                 .value = NAN };
    const reco_history_t  *records[] = { &h };
    reco_snapshot_info_t   info = { .states = 5, .training = TRAINING,
                                    .parent = 2 };
    reco_agent_t           a = {
        .info = &info, .generation = 3, .time_ms = 1700000000123,
        .snapshot_bytes = 4096, .counted = true, .records = records,
        .nrecords = 1,
    };

    (void) state;

    q = model_of("{\"model\": \"cart\", \"features\": [{\"name\": \"x\","
                 " \"type\": \"number\", \"from\": [\"request\"],"
                 " \"bins\": [1]}], \"actions\": [{\"id\": \"a\"}],"
                 " \"policy\": {\"type\": \"q_table\", \"state\": [\"x\"],"
                 " \"epsilon\": 0.1}}");
    a.model = q;

    v = agent_json(cart->agent->render_state, &a);
    d = json_object_get(v, "data");
    assert_true(number_of(d, "q_table_size", NULL) == 5);
    assert_true(number_of(d, "current_episode", NULL) == 12);
    assert_true(number_of(d, "epsilon", NULL) == 0.2);
    assert_true(number_of(d, "learning_rate", NULL) == 0.05);
    assert_true(number_of(d, "discount_factor", NULL) == 0.5);
    assert_true(number_of(d, "memory", "used_bytes") == 4096);
    assert_true(number_of(d, "memory", "used_states") == 5);
    assert_true(number_of(d, "memory", "limit_states")
                == (double) q->learning.max_states);
    assert_string_equal(text_of(d, "last_training", "algorithm"), "fitted-q");
    assert_string_equal(text_of(d, "last_training", "timestamp"),
                        "2023-11-14T22:13:20.000Z");
    assert_true(number_of(d, "last_training", "parent") == 2);
    d = json_array_get(json_object_get(d, "recent_actions"), 0);
    assert_string_equal(text_of(d, "action_type", NULL), "popular");
    assert_true(json_is_null(json_object_get(d, "confidence_score")));
    json_decref(v);

    /* untrained: what the spec says, and no training */
    info.training = "{}";
    v = agent_json(cart->agent->render_state, &a);
    d = json_object_get(v, "data");
    assert_true(number_of(d, "epsilon", NULL) == 0.1);
    assert_true(number_of(d, "discount_factor", NULL)
                == q->learning.discount_factor);
    assert_true(json_is_null(json_object_get(d, "current_episode")));
    assert_true(json_is_null(json_object_get(d, "last_training")));
    json_decref(v);
    reco_model_free(q);
}

/* ---- history -------------------------------------------------------- */

static reco_status_t
query_of(const char *args, reco_history_query_t *q)
{
    begin_parse();

    return cart->agent->parse_history(exact(args), &parse.arena, q, &err);
}

static void
test_query(void **state)
{
    reco_history_query_t  q;

    (void) state;

    assert_int_equal(query_of("", &q), RECO_OK);
    assert_int_equal(q.limit, 100);
    assert_true(q.from_ms == 0 && q.to_ms == UINT64_MAX);
    assert_int_equal(q.customer.len, 0);
    assert_false(q.csv);

    assert_int_equal(query_of("customer_id=c%2042&session_id=a+b"
        "&action_type=popular&from=2023-11-14T23:13:20%2B01:00"
        "&to=1700000000001&limit=1000&format=csv", &q), RECO_OK);
    assert_str(q.customer, "c 42");
    assert_str(q.session, "a b");
    assert_str(q.action, "popular");
    assert_true(q.from_ms == 1700000000000);
    assert_true(q.to_ms == 1700000000001);
    assert_int_equal(q.limit, 1000);
    assert_true(q.csv);

    /* empty ones are none */
    assert_int_equal(query_of("customer_id=&limit=&from=&&format=", &q),
                     RECO_OK);
    assert_int_equal(q.limit, 100);

    /* a date is its midnight; before 1970 is 0; 29 February 2000 */
    assert_int_equal(query_of("from=1969-12-31&to=2000-02-29", &q), RECO_OK);
    assert_true(q.from_ms == 0);
    assert_true(q.to_ms == 951782400000);
}

static void
test_query_refused(void **state)
{
    size_t                i;
    reco_history_query_t  q;

    static const bad_t  bad[] = {
        { "limit=0", "limit", RECO_NO_POSITION },
        { "limit=1001", "limit", RECO_NO_POSITION },
        { "limit=-1", "limit", RECO_NO_POSITION },
        { "limit=1e2", "limit", RECO_NO_POSITION },
        { "from=yesterday", "from", RECO_NO_POSITION },
        { "to=2023-02-29", "to", RECO_NO_POSITION },
        { "from=2&to=1", "from", RECO_NO_POSITION },
        { "format=xml", "format", RECO_NO_POSITION },
        { "customer_id=a%00b", "customer_id", RECO_NO_POSITION },
        { "session_id=%ff", "session_id", RECO_NO_POSITION },
        { "customer=1", "customer", RECO_NO_POSITION },
        { "limit=1&limit=2", "limit", RECO_NO_POSITION },
        { "limit", "query", RECO_NO_POSITION },
        { "from=%2", "query", RECO_NO_POSITION },
        { "from=%zz", "query", RECO_NO_POSITION },
        { "%ff=1", "query", RECO_NO_POSITION },
        { "pa%00ge=1", "query", RECO_NO_POSITION },
        { "=1", "query", RECO_NO_POSITION },
    };

    (void) state;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_refused(query_of(bad[i].text, &q), &bad[i]);
    }
}

static void
test_history(void **state)
{
    json_t                *v, *d;
    reco_history_t         one = {
        .kind = RECO_HISTORY_RECOMMENDATION, .time_ms = 1700000000000,
        .generation = 3, .id = { { 1, [15] = 7 } },
        .customer_key = RECO_STR("=c\"42"), .session = RECO_STR("s1"),
        .action = RECO_STR("popular"), .value = 0.5, .nitems = 2,
        .items = { RECO_STR("85123A"), RECO_STR("22423") },
    };
    reco_history_t         two = { .kind = RECO_HISTORY_RECOMMENDATION,
                                   .time_ms = 1699999999999, .value = NAN };
    const reco_history_t  *records[] = { &one, &two };
    reco_history_query_t   q = { .csv = false };
    reco_agent_t           a = {
        .model = model, .generation = 3, .time_ms = 1700000000123,
        .records = records, .nrecords = 2,
    };

    (void) state;

    begin_render();
    cart->agent->render_history(&out, &a, &q);
    assert_true(reco_buf_len(&out) <= cart->agent->bound(&a));
    v = rendered_json();
    d = json_object_get(v, "data");
    assert_true(number_of(d, "count", NULL) == 2);
    d = json_object_get(d, "history");
    assert_int_equal(json_array_size(d), 2);
    d = json_array_get(d, 0);
    assert_string_equal(text_of(d, "decision_id", NULL),
                        "01000000000000000000000000000007");
    assert_string_equal(text_of(d, "customer_id", NULL), "=c\"42");
    assert_string_equal(text_of(d, "timestamp", NULL),
                        "2023-11-14T22:13:20.000Z");
    assert_true(number_of(d, "confidence_score", NULL) == 0.5);
    json_decref(v);

    q.csv = true;
    begin_render();
    cart->agent->render_history(&out, &a, &q);
    assert_rendered(
        "timestamp,decision_id,customer_id,session_id,action_type,"
        "recommendations,confidence_score,generation\r\n"
        "2023-11-14T22:13:20.000Z,01000000000000000000000000000007,"
        "\"'=c\"\"42\",\"s1\",\"popular\",\"85123A 22423\",0.5,3\r\n"
        "2023-11-14T22:13:19.999Z,00000000000000000000000000000000,"
        "\"\",\"\",\"\",\"\",,0\r\n");
}

static void
test_matches(void **state)
{
    reco_history_t        h = { .kind = RECO_HISTORY_RECOMMENDATION,
                                .time_ms = 10, .customer_key = RECO_STR("c"),
                                .session = RECO_STR("s"),
                                .action = RECO_STR("a") };
    reco_history_query_t  q = { .from_ms = 10, .to_ms = 11 };

    (void) state;

    assert_true(reco_history_matches(&q, &h));
    q.customer_key = str("c");
    q.session = str("s");
    q.action = str("a");
    assert_true(reco_history_matches(&q, &h));
    q.action = str("b");
    assert_false(reco_history_matches(&q, &h));
    q.action = str("a");
    q.session = str("t");
    assert_false(reco_history_matches(&q, &h));
    q.session = str("s");
    q.customer_key = str("d");
    assert_false(reco_history_matches(&q, &h));
    q.customer_key = str("c");
    q.to_ms = 10;
    assert_false(reco_history_matches(&q, &h));
    q.to_ms = 11;
    q.from_ms = 11;
    assert_false(reco_history_matches(&q, &h));
    q.from_ms = 0;
    h.kind = RECO_HISTORY_REWARD;
    assert_false(reco_history_matches(&q, &h));
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
        cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_metrics_of_nothing),
        cmocka_unit_test(test_state),
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_query_refused),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_matches),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
