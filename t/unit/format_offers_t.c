/*
 * The offers contract: what its clients send, in the three ways they send
 * states and offers; what is refused, with field and position; its answers to
 * the letter.
 */

#include "format_fixture.h"

#define SPEC                                                                  \
    "{\"model\": \"offers\", \"version\": \"1.0.0\","                         \
    " \"features\": ["                                                        \
    "  {\"name\": \"age\", \"type\": \"number\", \"from\": [\"request\"]},"   \
    "  {\"name\": \"region\", \"type\": \"category\","                        \
    "   \"from\": [\"request\"]},"                                            \
    "  {\"name\": \"gender\", \"type\": \"category\","                        \
    "   \"from\": [\"request\"],"                                             \
    "   \"codes\": {\"M\": 0, \"F\": 1}},"                                    \
    "  {\"name\": \"vip\", \"type\": \"category\", \"from\": [\"request\"]}],"\
    " \"actions\": [{\"id\": \"OFFER_1\", \"name\": \"Savings account\"},"    \
    "  {\"id\": \"OFFER_2\", \"name\": \"Tarjeta \\\"Oro\\\" \\u00e9\"},"     \
    "  {\"id\": \"OFFER_3\"}],"                                               \
    " \"policy\": {\"type\": \"uniform\", \"slate\": 3}}"

#define C  "\"customer_id\": \"c42\", "
#define T  "\"timestamp\": \"2022-04-21\", "
#define S  "\"states\": {}, "
#define O  "\"offers\": {}"

static const reco_format_t  *offers = &reco_format_offers;
static reco_model_t         *model;

static int
setup(void **state)
{
    (void) state;
    model = model_of(SPEC);
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

/* ---- POST /predict -------------------------------------------------- */

/* Each way of sending the same. */
static void
test_three_ways(void **state)
{
    size_t  i;

    static const char *const  bodies[] = {
        /* objects */
        "{" C T "\"states\": {\"age\": 25, \"region\": \"Europa\","
        " \"gender\": \"F\", \"vip\": true},"
        " \"offers\": {\"OFFER_1\": true, \"OFFER_2\": false,"
        " \"OFFER_3\": true}}",

        /* strings that hold JSON */
        "{" C T "\"states\": \"{\\\"age\\\": 25,"
        " \\\"region\\\": \\\"Europa\\\","
        " \\\"gender\\\": \\\"F\\\", \\\"vip\\\": true}\","
        " \"offers\": \"{\\\"OFFER_1\\\": true, \\\"OFFER_2\\\": false,"
        " \\\"OFFER_3\\\": true}\"}",

        /* strings that hold what Python prints */
        "{" C T "\"states\": \"{'age': 25, 'region': 'Europa',"
        " 'gender': 'F', 'vip': True}\","
        " \"offers\": \"{'OFFER_1': True, 'OFFER_2': False,"
        " 'OFFER_3': True}\"}",

        /* one of each, in another order, with more than the contract has */
        "{\"more\": [{}, {\"a\": {}}], \"offers\": \"{'OFFER_1': True,"
        " 'OFFER_2': False, 'OFFER_3': True}\", \"states\": {\"vip\": true,"
        " \"age\": 2.5e1, \"region\": \"Eur\\u006fpa\", \"gender\": \"F\"}, "
        T "\"x\": null, \"customer_id\": \"c\\u00342\"}",
    };

    (void) state;

    for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        if (parse_decide(offers, model, bodies[i], NULL) != RECO_OK) {
            fail_msg("%s: %s: %s", bodies[i], err.field, err.message);
        }

        assert_str(request.customer, "c42");
        assert_int_equal(request.slate, 0);
        assert_false(request.explain);
        assert_int_equal(request.unknown_fields, 0);
        assert_int_equal(request.given[0].kind, RECO_VALUE_NUMBER);
        assert_true(request.given[0].number == 25);
        assert_int_equal(request.given[1].kind, RECO_VALUE_WORD);
        assert_str(request.given[1].word, "Europa");
        assert_str(request.given[2].word, "F");
        assert_str(request.given[3].word, "true");
        assert_true(request.has_flags);
        assert_true(reco_mask_get(&request.flags, 0));
        assert_false(reco_mask_get(&request.flags, 1));
        assert_true(reco_mask_get(&request.flags, 2));
        assert_int_equal(request.flags.bits[0], 5);
    }
}

static void
test_values(void **state)
{
    (void) state;

    /* None, null and "" say nothing; unknown names are counted */
    assert_int_equal(parse_decide(offers, model,
        "{" C T "\"states\": \"{'age': None, 'region': '',"
        " 'shoe': [1, {'a': 2}],"
        " 'gender': 1, 'vip': False}\","
        " \"offers\": {\"OFFER_9\": true, \"OFFER_8\": false,"
        " \"OFFER_2\": true}}", NULL), RECO_OK);

    assert_int_equal(request.given[0].kind, RECO_VALUE_MISSING);
    assert_int_equal(request.given[1].kind, RECO_VALUE_MISSING);
    assert_int_equal(request.given[2].kind, RECO_VALUE_NUMBER);
    assert_true(request.given[2].number == 1);
    assert_str(request.given[3].word, "false");
    assert_int_equal(request.unknown_fields, 3);
    assert_int_equal(request.flags.bits[0], 2);

    /* nothing offered is a request all the same; the decision refuses it */
    assert_int_equal(parse_decide(offers, model, "{" C T S O "}", NULL),
                     RECO_OK);
    assert_true(request.has_flags);
    assert_int_equal(request.flags.bits[0], 0);
}

static void
test_timestamps(void **state)
{
    size_t  i;
    char    body[256];

    static const char *const  good[] = {
        "2022-04-21", "2024-02-29", "2000-02-29", "2022-12-31",
        "2022-04-21T10:20", "2022-04-21 10:20:30", "2022-04-21T10:20:30Z",
        "2022-04-21T10:20:30.123456", "2022-04-21T10:20:30.5+02:00",
        "2022-04-21T10:20:30-0330", "2022-04-21T23:59:60Z",
        "2022-04-21T10:20:30,5Z", "2022-04-21T10:20+02",
    };

    static const char *const  bad[] = {
        "", "now", "2022", "2022-04", "2022-4-21", "22-04-21", "2022-13-01",
        "2022-00-10", "2022-04-31", "2022-04-00", "2023-02-29", "1900-02-29",
        "2022-04-21T", "2022-04-21T24:00", "2022-04-21T10", "2022-04-21T10:60",
        "2022-04-21T10:20:61", "2022-04-21T10:20:30.", "2022-04-21x10:20",
        "2022-04-21T10:20:30+", "2022-04-21T10:20:30+25:00",
        "2022-04-21T10:20:30+02:60", "2022-04-21T10:20:30ZZ", " 2022-04-21",
        "2022-04-21 ", "2022/04/21", "-022-04-21",
        "2022-04-21T10:20:30.1111111111111111111111111111111111111111111111",
    };

    (void) state;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        snprintf(body, sizeof(body), "{" C S "\"timestamp\": \"%s\", " O "}",
                 good[i]);
        if (parse_decide(offers, model, body, NULL) != RECO_OK) {
            fail_msg("%s: %s", good[i], err.message);
        }
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(body, sizeof(body), "{" C S "\"timestamp\": \"%s\", " O "}",
                 bad[i]);
        if (parse_decide(offers, model, body, NULL) != RECO_INVALID
            || strcmp(err.field, "timestamp") != 0)
        {
            fail_msg("%s is taken for a time", bad[i]);
        }
    }
}

#define NOWHERE  RECO_NO_POSITION

static const bad_t  bad_predict[] = {
    /* not an object, not JSON: the position is the body's */
    { "", "", 0 },
    { "[]", "", 0 },
    { "\"x\"", "", 0 },
    { "{'customer_id': 'c'}", "", 1 },
    { "{" C T S O "} {", "", 78 },

    { "{" T S O "}", "customer_id", NOWHERE },
    { "{" C S O "}", "timestamp", NOWHERE },
    { "{" C T O "}", "states", NOWHERE },
    { "{" C T "\"states\": {}}", "offers", NOWHERE },

    { "{\"customer_id\": 42, " T S O "}", "customer_id", 16 },
    { "{\"customer_id\": null, " T S O "}", "customer_id", 16 },
    { "{\"customer_id\": \"\", " T S O "}", "customer_id", 16 },
    { "{\"customer_id\": \"a\\u0001\", " T S O "}", "customer_id", 16 },
    { "{\"customer_id\": \"a\", " C T S O "}", "", 21 },
    { "{\"timestamp\": 20220421, " C S O "}", "timestamp", 14 },
    { "{\"timestamp\": null, " C S O "}", "timestamp", 14 },

    { "{\"states\": [], " C T O "}", "states", 11 },
    { "{\"states\": null, " C T O "}", "states", 11 },
    { "{\"states\": 7, " C T O "}", "states", 11 },
    { "{\"offers\": true, " C T S "\"x\": 1}", "offers", 11 },

    /* within an object: position in the body */
    { "{\"states\": {\"age\": []}, " C T O "}", "states.age", 19 },
    { "{\"states\": {\"age\": {}}, " C T O "}", "states.age", 19 },
    { "{\"states\": {\"region\": \"a\\nb\"}, " C T O "}", "states.region",
      22 },
    { "{\"states\": {\"age\": 1, \"age\": 2}, " C T O "}", "", 22 },
    { "{\"offers\": {\"OFFER_1\": 1}, " C T S "\"x\": 1}", "offers.OFFER_1",
      23 },
    { "{\"offers\": {\"OFFER_1\": \"true\"}, " C T S "\"x\": 1}",
      "offers.OFFER_1", 23 },
    { "{\"offers\": {\"OFFER_9\": null}, " C T S "\"x\": 1}",
      "offers.OFFER_9", 23 },

    /* within a string: position in that string, and the field says which */
    { "{" C T O ", \"states\": \"\"}", "states", 0 },
    { "{" C T O ", \"states\": \"[1]\"}", "states", 0 },
    { "{" C T O ", \"states\": \"{'age': }\"}", "states", 8 },
    { "{" C T O ", \"states\": \"{'age': 1} x\"}", "states", 11 },
    { "{" C T O ", \"states\": \"{'age': 1\"}", "states", 9 },
    { "{" C T O ", \"states\": \"{'age': True,}\"}", "states", 13 },
    { "{" C T O ", \"states\": \"{'age': [1]}\"}", "states.age", 8 },
    { "{" C T O ", \"states\": \"{'age': 1, 'age': 2}\"}", "states", 11 },
    { "{" C T S "\"offers\": \"{'OFFER_1': 'True'}\"}", "offers.OFFER_1", 12 },
    { "{" C T S "\"offers\": \"{'OFFER_1': 1}\"}", "offers.OFFER_1", 12 },
    { "{" C T S "\"offers\": \"OFFER_1\"}", "offers", 0 },

    /* a fault of the body itself comes before those of strings in it */
    { "{" C T O ", \"states\": \"{\", }", "", 79 },
};

static void
test_bad_predict(void **state)
{
    size_t  i;

    (void) state;

    for (i = 0; i < sizeof(bad_predict) / sizeof(bad_predict[0]); i++) {
        assert_refused(parse_decide(offers, model, bad_predict[i].text, NULL),
                       &bad_predict[i]);
    }
}

/* Ids at their longest, and one byte longer. */
static void
test_customer_length(void **state)
{
    char  id[258], body[512];

    (void) state;

    memset(id, 'x', sizeof(id));
    id[255] = '\0';
    snprintf(body, sizeof(body), "{\"customer_id\": \"%s\", " T S O "}", id);
    assert_int_equal(parse_decide(offers, model, body, NULL), RECO_OK);
    assert_int_equal(request.customer.len, 255);

    id[255] = 'x';
    id[256] = '\0';
    snprintf(body, sizeof(body), "{\"customer_id\": \"%s\", " T S O "}", id);
    assert_int_equal(parse_decide(offers, model, body, NULL), RECO_INVALID);
    assert_string_equal(err.field, "customer_id");
}

/* The word is no code: an error that names the field, from the core. */
static void
test_unknown_word(void **state)
{
    reco_customer_t  nobody = { NULL, 0 };

    (void) state;

    assert_int_equal(parse_decide(offers, model,
        "{" C T "\"states\": \"{'gender': 'X'}\", " O "}", NULL), RECO_OK);
    assert_int_equal(reco_features_resolve(model, &request, &nobody,
                                           &features, &err), RECO_INVALID);
    assert_string_equal(err.field, "gender");
}

/* ---- answers -------------------------------------------------------- */

static void
test_render(void **state)
{
    reco_answer_t  a = answer_of(model);

    (void) state;

    reco_request_reset(&request, model->nfeatures);
    request.customer = RECO_STR("c\"42");
    request.time_ms = 1732241234567;            /* 2024-11-22T02:07:14Z */
    memset(&decision, 0, sizeof(decision));
    decision.n = 3;
    decision.action[0] = 2;
    decision.action[1] = 0;
    decision.action[2] = 1;

    begin_render();
    offers->render_decision(&out, &a, 0);
    assert_rendered("{\"customer_id\": \"c\\\"42\", "
                    "\"response-date\": \"2024-11-22\", "
                    "\"best-three-offers\": "
                    "[\"OFFER_3\", \"OFFER_1\", \"OFFER_2\"]}");

    /* a name where there is one, else the id */
    begin_render();
    offers->render_decision(&out, &a, 1);
    assert_rendered("{\"customer_id\": \"c\\\"42\", "
                    "\"response-date\": \"2024-11-22\", "
                    "\"best-three-offers\": {\"OFFER_3\": \"OFFER_3\", "
                    "\"OFFER_1\": \"Savings account\", "
                    "\"OFFER_2\": \"Tarjeta \\\"Oro\\\" \xc3\xa9\"}}");
    json_decref(rendered_json());

    decision.n = 1;
    begin_render();
    offers->render_decision(&out, &a, 0);
    assert_rendered("{\"customer_id\": \"c\\\"42\", "
                    "\"response-date\": \"2024-11-22\", "
                    "\"best-three-offers\": [\"OFFER_3\"]}");
}

static void
test_health(void **state)
{
    json_t  *v;

    (void) state;

    begin_render();
    offers->render_health(&out, &(reco_health_t) {
        .model = RECO_STR("offers"), .version = RECO_STR("1.0.0"), .generation = 3 });
    assert_rendered("{\"status\": \"I'm alive and running\", "
                    "\"agent-version\": \"1.0.0-API\"}");

    begin_render();
    offers->render_health(&out, &(reco_health_t) {
        .model = RECO_STR("offers"), .version = RECO_STR(""), .generation = 0 });
    assert_rendered("{\"status\": \"I'm alive and running\", "
                    "\"agent-version\": \"none-API\"}");

    begin_render();
    offers->render_health(&out, &(reco_health_t) {
        .model = RECO_STR("offers"), .version = RECO_STR("a\"b"), .generation = 3 });
    v = rendered_json();
    assert_string_equal(json_string_value(json_object_get(v,
                            "agent-version")), "a\"b-API");
    json_decref(v);
}

/* ---- PUT /rewards --------------------------------------------------- */

#define ACCEPTED  "\"accepted_one_of_the_three_offers\": "

static void
test_reward(void **state)
{
    size_t  i;

    static const struct {
        const char  *body;
        double       value;
    } bodies[] = {
        { "{" C T ACCEPTED "true}", 1 },
        { "{" C T ACCEPTED "false}", 0 },
        { "{" C T ACCEPTED "1}", 1 },
        { "{" C T ACCEPTED "0.0}", 0 },
        { "{\"accepted_one_of the_three_offers\": true, " T C "\"x\": {}}",
          1 },
        { "{" C T ACCEPTED "false, \"accepted_offer\": null,"
          " \"decision_id\": \"\"}", 0 },
    };

    (void) state;

    for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        if (parse_reward(offers, bodies[i].body) != RECO_OK) {
            fail_msg("%s: %s: %s", bodies[i].body, err.field, err.message);
        }

        assert_str(reward.customer, "c42");
        assert_int_equal(reward.token.len, 0);
        assert_int_equal(reward.action.len, 0);
        assert_str(reward.key, "timestamp:2022-04-21");
        assert_int_equal(reward.nfacts, 1);
        assert_str(reward.facts[0].name, "conversion");
        assert_true(reward.facts[0].value == bodies[i].value);
    }

    assert_int_equal(parse_reward(offers, "{" C T ACCEPTED "true,"
        " \"accepted_offer\": \"OFFER_2\", \"decision_id\": \"" ID_TEXT "\","
        " \"key\": \"k1\"}"), RECO_OK);
    assert_str(reward.action, "OFFER_2");
    assert_str(reward.token, ID_TEXT);
    assert_str(reward.key, "k1");

    begin_render();
    offers->render_reward(&out, &reward);
    assert_rendered("\"Sucess\"");
}

static const bad_t  bad_rewards[] = {
    { "", "", 0 },
    { "[]", "", 0 },
    { "{" C T ACCEPTED "true", "", 90 },
    { "{" T ACCEPTED "true}", "customer_id", NOWHERE },
    { "{" C ACCEPTED "true}", "timestamp", NOWHERE },
    { "{" C T "\"x\": 1}", "accepted_one_of_the_three_offers", NOWHERE },
    { "{" ACCEPTED "\"true\"}", "accepted_one_of_the_three_offers", 37 },
    { "{" ACCEPTED "2}", "accepted_one_of_the_three_offers", 37 },
    { "{" ACCEPTED "null}", "accepted_one_of_the_three_offers", 37 },
    { "{\"accepted_one_of the_three_offers\": {}}",
      "accepted_one_of the_three_offers", 37 },
    { "{" ACCEPTED "true, \"accepted_one_of the_three_offers\": true}",
      "accepted_one_of the_three_offers", 79 },
    { "{\"customer_id\": 1}", "customer_id", 16 },
    { "{\"timestamp\": \"yesterday\"}", "timestamp", 14 },
    { "{\"accepted_offer\": 2}", "accepted_offer", 19 },
    { "{\"decision_id\": 2}", "decision_id", 16 },
    { "{\"key\": \"\\u0007\"}", "key", 8 },
    { "{" C T ACCEPTED "false, \"accepted_offer\": \"OFFER_1\"}",
      "accepted_offer", NOWHERE },
};

static void
test_bad_rewards(void **state)
{
    size_t  i;

    (void) state;

    for (i = 0; i < sizeof(bad_rewards) / sizeof(bad_rewards[0]); i++) {
        assert_refused(parse_reward(offers, bad_rewards[i].text),
                       &bad_rewards[i]);
    }
}

static void
test_table(void **state)
{
    (void) state;

    assert_ptr_equal(reco_format_find(RECO_STR("offers")), offers);
    assert_ptr_equal(reco_format_find(RECO_STR("native")),
                     &reco_format_native);
    assert_null(reco_format_find(RECO_STR("offer")));
    assert_null(reco_format_find(RECO_STR("")));
    assert_int_equal(offers->decide_methods, RECO_METHOD_POST);
    assert_int_equal(offers->reward_methods, RECO_METHOD_PUT);
    assert_int_equal(offers->variants, 2);
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_three_ways),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_timestamps),
        cmocka_unit_test(test_bad_predict),
        cmocka_unit_test(test_customer_length),
        cmocka_unit_test(test_unknown_word),
        cmocka_unit_test(test_render),
        cmocka_unit_test(test_health),
        cmocka_unit_test(test_reward),
        cmocka_unit_test(test_bad_rewards),
        cmocka_unit_test(test_table),
    };

    return cmocka_run_group_tests_name("format_offers", tests, setup,
                                       teardown);
}
