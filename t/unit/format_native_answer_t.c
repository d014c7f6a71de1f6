/*
 * The native format's answers: slates, explanations, problems, health. Numbers
 * in explanations are worked out by hand.
 */

#include "format_native_fixture.h"

/* ---- answers -------------------------------------------------------- */

static void
test_render(void **state)
{
    reco_answer_t  a = answer_of(model);

    (void) state;

    reco_request_reset(&request, model->nfeatures);
    memset(&decision, 0, sizeof(decision));
    decision.n = 2;
    decision.action[0] = 1;
    decision.action[1] = 0;
    decision.propensity[0] = 1073741824;        /* a quarter */
    decision.propensity[1] = RECO_ONE;

    begin_render();
    native->render_decision(&out, &a, 0);
    assert_rendered("{\"decision\":\"" ID_TEXT "\",\"model\":\"shop\","
                    "\"version\":\"1.2\",\"generation\":3,\"fallback\":false,"
                    "\"slate\":[{\"action\":\"B\",\"propensity\":0.25},"
                    "{\"action\":\"A\",\"name\":\"First\","
                    "\"propensity\":1}]}");

    a.fallback = true;
    a.generation = 0;
    decision.n = 1;
    begin_render();
    native->render_decision(&out, &a, 0);
    assert_rendered("{\"decision\":\"" ID_TEXT "\",\"model\":\"shop\","
                    "\"version\":\"1.2\",\"generation\":0,\"fallback\":true,"
                    "\"slate\":[{\"action\":\"B\",\"propensity\":0.25}]}");
}

/* Of a model with items: those, best first; none are an empty list. */
static void
test_render_items(void **state)
{
    reco_model_t              cart = *model;
    reco_answer_t             a;
    static reco_item_slate_t  items;

    (void) state;

    cart.items.slate = 2;
    a = answer_of(&cart);
    a.items = &items;
    reco_request_reset(&request, model->nfeatures);
    memset(&decision, 0, sizeof(decision));
    decision.n = 1;
    decision.propensity[0] = RECO_ONE;

    items.n = 2;
    items.items[0] = (reco_ranked_item_t) { 7, 1.5, { .id = str("a\"b") } };
    items.items[1] = (reco_ranked_item_t) { 0, 0.25, { .id = str("22423") } };

    begin_render();
    native->render_decision(&out, &a, 0);
    assert_rendered("{\"decision\":\"" ID_TEXT "\",\"model\":\"shop\","
                    "\"version\":\"1.2\",\"generation\":3,\"fallback\":false,"
                    "\"slate\":[{\"action\":\"A\",\"name\":\"First\","
                    "\"propensity\":1}],\"items\":["
                    "{\"id\":\"a\\\"b\",\"score\":1.5},"
                    "{\"id\":\"22423\",\"score\":0.25}]}");

    items.n = 0;
    begin_render();
    native->render_decision(&out, &a, 0);
    assert_non_null(strstr(out.start, "],\"items\":[]}"));
}

static const char *
text_at(const json_t *v, size_t i, const char *name)
{
    const char  *text;

    text = json_string_value(json_object_get(json_array_get(v, i), name));

    return text != NULL ? text : "(none)";
}

static double
number_at(const json_t *v, size_t i, const char *name)
{
    return json_number_value(json_object_get(json_array_get(v, i), name));
}

/* age 70 denies C by the rule 1; A is not offered; E is inactive. B and D are
 * left with weights 3 and 2. */
static void
test_explain(void **state)
{
    json_t           *v, *e, *list, *slot;
    reco_answer_t     a = answer_of(model);
    reco_customer_t   nobody = { NULL, 0 };

    (void) state;

    parse_ok("{\"features\": {\"age\": 70, \"gender\": \"F\", \"x\": 1},"
             " \"actions\": [\"B\", \"C\", \"D\", \"E\"], \"explain\": true}",
             NULL);
    request.country = RECO_STR("GB");
    assert_int_equal(reco_features_resolve(model, &request, &nobody,
                                           &features, &err), RECO_OK);
    assert_int_equal(reco_eligible(model, &features, true, &request.flags,
                                   &eligible), 2);
    assert_int_equal(reco_decide(model, &features, &eligible, 0,
                                 RECO_STR(ID_TEXT), str(""), &scratch,
                                 &decision), RECO_OK);
    assert_int_equal(decision.n, 2);

    begin_render();
    native->render_decision(&out, &a, 0);
    assert_in_range(reco_buf_len(&out), 1, reco_answer_bound(model, true));
    v = rendered_json();
    e = json_object_get(v, "explain");

    assert_string_equal(json_string_value(json_object_get(e, "policy")),
                        "weights");
    assert_true(json_is_null(json_object_get(e, "state_key")));
    assert_int_equal(json_integer_value(json_object_get(e,
                         "unknown_fields")), 1);

    list = json_object_get(e, "features");
    assert_int_equal(json_array_size(list), 4);
    assert_string_equal(text_at(list, 0, "name"), "age");
    assert_true(number_at(list, 0, "value") == 70);
    assert_string_equal(text_at(list, 0, "source"), "request");
    assert_true(number_at(list, 0, "bin") == 2);        /* 60 and above */
    assert_string_equal(text_at(list, 1, "value"), "desktop");
    assert_string_equal(text_at(list, 1, "source"), "default");
    assert_null(json_object_get(json_array_get(list, 1), "bin"));
    assert_true(number_at(list, 2, "value") == 1);
    assert_string_equal(text_at(list, 3, "value"), "GB");
    assert_string_equal(text_at(list, 3, "source"), "geo");

    list = json_object_get(e, "distribution");
    assert_int_equal(json_array_size(list), 2);
    slot = json_array_get(list, 0);
    assert_int_equal(json_array_size(slot), 2);
    assert_string_equal(text_at(slot, 0, "action"), "B");
    assert_true(number_at(slot, 0, "propensity") > 0.5999999999);
    assert_true(number_at(slot, 0, "propensity") < 0.6000000001);
    assert_string_equal(text_at(slot, 1, "action"), "D");
    assert_true(number_at(slot, 1, "propensity") > 0.3999999998);
    assert_true(number_at(slot, 1, "propensity") < 0.4000000002);
    slot = json_array_get(list, 1);
    assert_int_equal(json_array_size(slot), 1);
    assert_true(number_at(slot, 0, "propensity") == 1);
    assert_string_not_equal(text_at(slot, 0, "action"),
                            text_at(json_object_get(v, "slate"), 0,
                                    "action"));

    list = json_object_get(e, "ineligible");
    assert_int_equal(json_array_size(list), 3);
    assert_string_equal(text_at(list, 0, "action"), "A");
    assert_string_equal(text_at(list, 0, "because"), "not offered");
    assert_string_equal(text_at(list, 1, "action"), "C");
    assert_string_equal(text_at(list, 1, "because"), "rule");
    assert_true(number_at(list, 1, "rule") == 1);
    assert_string_equal(text_at(list, 2, "action"), "E");
    assert_string_equal(text_at(list, 2, "because"), "inactive");

    json_decref(v);
}

static bool
no_row(void *data, reco_str_t key, reco_row_t *row)
{
    (void) data;
    (void) key;
    (void) row;

    return false;
}

/* The state key shows as pairs; what is missing is empty. */
static void
test_explain_state(void **state)
{
    size_t             i;
    json_t            *v, *e;
    reco_model_t      *tabular;
    reco_answer_t      a;
    reco_customer_t    nobody = { NULL, 0 };

    static const struct {
        const char  *state, *per_slot, *features, *key;
    } cases[] = {
        { "[\"age\", \"device\", \"gender\"]", "false",
          "{\"age\": 30, \"device\": \"a\\\"b\", \"gender\": \"F\"}",
          "age=1,device=a\"b,gender=1" },
        { "[\"age\", \"gender\"]", "true", "{\"age\": 29.5}",
          "age=0,gender=,slot=1" },
        { "[\"gender\"]", "false", "{}", "gender=" },
        { "[\"gender\"]", "true", "{}", "gender=,slot=1" },
    };

    char  spec[1024];

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(spec, sizeof(spec),
            "{\"model\": \"t\", \"version\": \"1\", \"features\": ["
            "{\"name\": \"age\", \"type\": \"number\","
            " \"from\": [\"request\"], \"bins\": [30, 60]},"
            "{\"name\": \"device\", \"type\": \"category\","
            " \"from\": [\"request\"]},"
            "{\"name\": \"gender\", \"type\": \"category\","
            " \"from\": [\"request\"], \"codes\": {\"M\": 0, \"F\": 1}}],"
            "\"actions\": [{\"id\": \"A\"}, {\"id\": \"B\"}],"
            "\"policy\": {\"type\": \"p_table\", \"state\": %s,"
            " \"per_slot\": %s, \"slate\": 1}}",
            cases[i].state, cases[i].per_slot);

        tabular = model_of(spec);
        tabular->lookup = no_row;
        a = answer_of(tabular);

        snprintf(spec, sizeof(spec), "{\"explain\": true, \"features\": %s}",
                 cases[i].features);
        assert_int_equal(parse_decide(native, tabular, spec, NULL), RECO_OK);
        assert_int_equal(reco_features_resolve(tabular, &request, &nobody,
                                               &features, &err), RECO_OK);
        (void) reco_eligible(tabular, &features, false, NULL, &eligible);
        assert_int_equal(reco_decide(tabular, &features, &eligible, 0,
                                     RECO_STR(ID_TEXT), str(""), &scratch,
                                     &decision), RECO_OK);

        begin_render();
        native->render_decision(&out, &a, 0);
        v = rendered_json();
        e = json_object_get(v, "explain");
        assert_string_equal(json_string_value(json_object_get(e,
                                "state_key")), cases[i].key);
        assert_true(json_is_false(json_object_get(e, "state_known")));
        json_decref(v);
        reco_model_free(tabular);
    }
}

/* The largest of models: every answer stays below its bound. */
static void
test_bound(void **state)
{
    static char            id[RECO_MAX_ID];
    static reco_feature_t  many_features[RECO_MAX_FEATURES];
    static reco_action_t   many_actions[RECO_MAX_ACTIONS];
    static double          weight = 1;
    static reco_weights_t  always = { .weights = &weight,
                                       .nweights = 1 };
    char                  *text;
    size_t                 bound;
    uint32_t               i;
    reco_model_t           big;
    reco_answer_t          a = answer_of(&big);

    (void) state;

    memset(id, '\\', sizeof(id));
    memset(&big, 0, sizeof(big));
    big.name = big.version = (reco_str_t) { id, sizeof(id) };
    big.features = many_features;
    big.nfeatures = features.n = RECO_MAX_FEATURES;
    big.catalogue.actions = many_actions;
    big.catalogue.n = RECO_MAX_ACTIONS;
    big.policy.type = RECO_POLICY_WEIGHTS;
    big.policy.slate = RECO_MAX_SLATE;
    big.policy.cases = &always;
    big.policy.ncases = 1;

    for (i = 0; i < RECO_MAX_FEATURES; i++) {
        many_features[i].name = big.name;
        features.value[i] = (reco_value_t) { RECO_VALUE_WORD, 0, big.name };
        features.source[i] = RECO_SOURCE_CUSTOMER;
    }

    memset(&eligible, 0, sizeof(eligible));
    memset(&decision, 0, sizeof(decision));

    for (i = 0; i < RECO_MAX_ACTIONS; i++) {
        many_actions[i].id = many_actions[i].name = big.name;
        many_actions[i].active = true;
        reco_mask_set(&big.active, i);
        if (i % 16 < 14) {
            reco_mask_set(&eligible, i);
        }
    }

    decision.n = decision.pinned = RECO_MAX_SLATE;
    for (i = 0; i < RECO_MAX_SLATE; i++) {
        decision.action[i] = (uint16_t) (i + i / 14 * 2);
        decision.propensity[i] = 1;
    }

    reco_request_reset(&request, RECO_MAX_FEATURES);
    request.explain = true;
    request.has_flags = true;
    request.customer = big.name;
    request.unknown_fields = UINT32_MAX;
    a.generation = INT64_MAX;

    for (i = 0; i < 2; i++) {
        request.explain = (i == 0);
        bound = reco_answer_bound(&big, request.explain);
        text = malloc(bound);

        reco_buf_init(&out, text, bound);
        native->render_decision(&out, &a, 0);
        json_decref(rendered_json());
        assert_int_equal(memmem(text, reco_buf_len(&out),
                                "\"distribution_cut\":true", 23) != NULL,
                         i == 0);

        reco_buf_init(&out, text, bound);
        reco_format_offers.render_decision(&out, &a, 0);
        assert_false(out.overflow);

        free(text);
    }

    /* and what is kept for it is no more than 64 MB */
    assert_in_range(reco_answer_bound(&big, true), 1, 64 << 20);
}

static void
test_problem(void **state)
{
    reco_error_t    e;
    reco_problem_t  p = { 400, "invalid_json", &e };

    (void) state;

    reco_error_set(&e, RECO_INVALID, "features.\"age\"", "must be \"x\"");
    e.position = 17;
    begin_render();
    native->render_problem(&out, &p);
    assert_rendered("{\"error\":{\"code\":\"invalid_json\","
                    "\"message\":\"must be \\\"x\\\"\","
                    "\"field\":\"features.\\\"age\\\"\",\"position\":17}}");

    reco_error_set(&e, RECO_INVALID, "", "no");
    begin_render();
    reco_format_offers.render_problem(&out, &p);
    assert_rendered("{\"error\":{\"code\":\"invalid_json\","
                    "\"message\":\"no\",\"field\":null}}");

    p = (reco_problem_t) { 503, "not_logged", NULL };
    begin_render();
    native->render_problem(&out, &p);
    assert_rendered("{\"error\":{\"code\":\"not_logged\","
                    "\"message\":\"not_logged\",\"field\":null}}");
}

static void
test_health(void **state)
{
    (void) state;

    begin_render();
    native->render_health(&out, &(reco_health_t) {
        .model = RECO_STR("shop"), .version = RECO_STR("1.2"), .generation = 7 });
    assert_rendered("{\"status\":\"ok\",\"model\":\"shop\","
                    "\"version\":\"1.2\",\"generation\":7}");

    begin_render();
    native->render_health(&out, &(reco_health_t) {
        .model = RECO_STR("shop"), .version = RECO_STR(""), .generation = 0 });
    assert_rendered("{\"status\":\"no snapshot\",\"model\":\"shop\","
                    "\"version\":null,\"generation\":0}");
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_render),
        cmocka_unit_test(test_render_items),
        cmocka_unit_test(test_explain),
        cmocka_unit_test(test_explain_state),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_problem),
        cmocka_unit_test(test_health),
    };

    return cmocka_run_group_tests_name("format_native_answer", tests, setup,
                                       teardown);
}
