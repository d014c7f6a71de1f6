/*
 * rules_t.c - conditions, with features that are missing too, and which
 * actions are eligible and why not.
 */

#include "model_fixture.h"

static reco_features_t  features;

#define FEATURES  "\"features\": [" \
    "{\"name\": \"age\", \"type\": \"number\"}," \
    "{\"name\": \"city\", \"type\": \"category\"}," \
    "{\"name\": \"region\", \"type\": \"category\"," \
    " \"codes\": {\"Europa\": 0, \"Europe\": 0, \"Asia\": 2}}]," \
    "\"actions\": [{\"id\": \"A\"}, {\"id\": \"B\"}, {\"id\": \"C\"}," \
    "              {\"id\": \"D\", \"active\": false}]"


static bool
holds(const char *condition)
{
    bool           result;
    char           spec[4096];
    reco_model_t  *model;

    snprintf(spec, sizeof(spec), "{\"model\": \"m\", " FEATURES ", \"rules\":"
             "[{\"when\": %s, \"deny\": [\"A\"]}]}", condition);

    model = fixture_model(spec, NULL);
    result = reco_condition_holds(model->rules[0].when, &features);
    reco_model_free(model);

    return result;
}


static void
comparisons(void **state)
{
    (void) state;

    features.n = 3;
    features.value[0] = fixture_number(65);
    features.value[1] = fixture_word("Oslo");
    features.value[2] = fixture_number(0);

    assert_true(holds("{\"age\": 65}"));
    assert_false(holds("{\"age\": 65.5}"));
    assert_true(holds("{\"age\": {\"=\": 65}}"));
    assert_false(holds("{\"age\": {\"!=\": 65}}"));
    assert_false(holds("{\"age\": {\">\": 65}}"));
    assert_true(holds("{\"age\": {\">=\": 65}}"));
    assert_false(holds("{\"age\": {\"<\": 65}}"));
    assert_true(holds("{\"age\": {\"<=\": 65}}"));
    assert_true(holds("{\"age\": {\">\": 64, \"<\": 66}}"));
    assert_false(holds("{\"age\": {\">\": 64, \"<\": 65}}"));
    assert_true(holds("{\"age\": {\"in\": [1, 65]}}"));
    assert_false(holds("{\"age\": {\"not_in\": [1, 65]}}"));
    assert_true(holds("{\"age\": {\"not_in\": [1, 2]}}"));

    assert_true(holds("{\"city\": \"Oslo\"}"));
    assert_false(holds("{\"city\": \"oslo\"}"));
    assert_true(holds("{\"city\": {\"!=\": \"Rome\"}}"));
    assert_true(holds("{\"city\": {\"in\": [\"Rome\", \"Oslo\"]}}"));

    /* words and codes name the same value */
    assert_true(holds("{\"region\": \"Europa\"}"));
    assert_true(holds("{\"region\": \"Europe\"}"));
    assert_true(holds("{\"region\": 0}"));
    assert_false(holds("{\"region\": \"Asia\"}"));
    assert_true(holds("{\"region\": {\"in\": [\"Asia\", 0]}}"));
}


/* A category without codes: the number 3 and the word "3" are one. */
static void
whole_numbers_as_words(void **state)
{
    (void) state;

    features.n = 3;
    features.value[0] = features.value[2] = (reco_value_t) { 0 };
    features.value[1] = fixture_number(30);

    assert_true(holds("{\"city\": 30}"));
    assert_true(holds("{\"city\": \"30\"}"));
    assert_false(holds("{\"city\": \"030\"}"));
    assert_false(holds("{\"city\": \"-30\"}"));

    features.value[1] = fixture_word("-7");
    assert_true(holds("{\"city\": -7}"));
    assert_false(holds("{\"city\": 7}"));

    features.value[1] = fixture_number(0);
    assert_true(holds("{\"city\": \"0\"}"));

    features.value[1] = fixture_word("true");
    assert_true(holds("{\"city\": true}"));
    assert_false(holds("{\"city\": false}"));
}


static void
missing_features(void **state)
{
    (void) state;

    features.n = 3;
    features.value[0] = features.value[1] = (reco_value_t) { 0 };
    features.value[2] = fixture_number(2);

    /* no comparison holds ... */
    assert_false(holds("{\"age\": 0}"));
    assert_false(holds("{\"age\": {\"!=\": 0}}"));
    assert_false(holds("{\"age\": {\"<\": 1}}"));
    assert_false(holds("{\"age\": {\"<=\": 1}}"));
    assert_false(holds("{\"age\": {\">\": -1}}"));
    assert_false(holds("{\"age\": {\">=\": -1}}"));
    assert_false(holds("{\"age\": {\"in\": [0]}}"));
    assert_false(holds("{\"age\": {\"not_in\": [5]}}"));
    assert_false(holds("{\"city\": {\"!=\": \"Rome\"}}"));

    /* ... and so its opposite does */
    assert_true(holds("{\"not\": {\"age\": 0}}"));
    assert_true(holds("{\"not\": {\"age\": {\"!=\": 0}}}"));
}


static void
combinations(void **state)
{
    (void) state;

    features.n = 3;
    features.value[0] = fixture_number(40);
    features.value[1] = fixture_word("Oslo");
    features.value[2] = (reco_value_t) { 0 };

    assert_true(holds("{\"age\": 40, \"city\": \"Oslo\"}"));
    assert_false(holds("{\"age\": 40, \"city\": \"Rome\"}"));
    assert_true(holds("{\"all\": [{\"age\": 40}, {\"city\": \"Oslo\"}]}"));
    assert_false(holds("{\"all\": [{\"age\": 40}, {\"region\": 0}]}"));
    assert_true(holds("{\"any\": [{\"age\": 1}, {\"city\": \"Oslo\"}]}"));
    assert_false(holds("{\"any\": [{\"age\": 1}, {\"region\": 0}]}"));
    assert_true(holds("{\"any\": [{\"age\": 1}, {\"not\": {\"any\":"
                      "[{\"age\": 2}, {\"region\": 0}]}}]}"));
    assert_false(holds("{\"age\": 40, \"not\": {\"city\": \"Oslo\"}}"));
}


static void
eligibility(void **state)
{
    reco_mask_t    flags, out;
    reco_model_t  *model;

    (void) state;

    model = fixture_model("{\"model\": \"m\", " FEATURES ", \"rules\": ["
        "{\"when\": {\"region\": \"Europa\"}, \"deny\": [\"B\"]},"
        "{\"when\": {\"age\": {\">\": 65}}, \"allow\": [\"C\", \"D\"]},"
        "{\"pin\": [\"A\"], \"by\": \"kim\", \"date\": \"2026-01-31\"}]}",
        NULL);

    features.n = 3;
    features.value[0] = features.value[1] = (reco_value_t) { 0 };
    features.value[2] = (reco_value_t) { 0 };

    /* no rule applies: all but the inactive one; a pin takes nothing away */
    memset(&out, 0xff, sizeof(out));
    assert_int_equal(reco_eligible(model, &features, false, NULL, &out), 3);
    flags = fixture_mask("1110");
    assert_memory_equal(&out, &flags, sizeof(out));

    /* flags, of which those beyond the catalogue do not count */
    memset(&flags, 0xff, sizeof(flags));
    reco_mask_clear(&flags, 0);
    assert_int_equal(reco_eligible(model, &features, true, &flags, &out), 2);
    flags = fixture_mask("0110");
    assert_memory_equal(&out, &flags, sizeof(out));

    features.value[2] = fixture_number(0);
    assert_int_equal(reco_eligible(model, &features, true, &flags, &out), 1);
    flags = fixture_mask("0010");
    assert_memory_equal(&out, &flags, sizeof(out));

    features.value[0] = fixture_number(66);
    flags = fixture_mask("1101");
    assert_int_equal(reco_eligible(model, &features, true, &flags, &out), 0);

    /* the first thing in the way is the reason */
    assert_int_equal(reco_eligible_reason(model, &features, true, &flags,
                                          2).because, RECO_BECAUSE_FLAG);
    assert_int_equal(reco_eligible_reason(model, &features, true, &flags,
                                          3).because, RECO_BECAUSE_INACTIVE);
    assert_int_equal(reco_eligible_reason(model, &features, true, &flags,
                                          1).because, RECO_BECAUSE_RULE);
    assert_int_equal(reco_eligible_reason(model, &features, true, &flags,
                                          1).rule, 0);
    assert_int_equal(reco_eligible_reason(model, &features, false, NULL,
                                          0).because, RECO_BECAUSE_RULE);
    assert_int_equal(reco_eligible_reason(model, &features, false, NULL,
                                          0).rule, 1);
    assert_int_equal(reco_eligible_reason(model, &features, false, NULL,
                                          2).because, RECO_BECAUSE_ELIGIBLE);

    reco_model_free(model);
}


/* Masks of more than one word. */
static void
many_actions(void **state)
{
    int            n;
    char          *spec;
    uint32_t       i;
    reco_mask_t    out;
    reco_model_t  *model;

    (void) state;

    spec = malloc(200000);
    assert_non_null(spec);
    n = sprintf(spec, "{\"model\": \"m\", \"rules\": [{\"deny\": [\"a63\","
                "\"a64\", \"a4095\"]}], \"actions\": [{\"id\": \"a0\"}");

    for (i = 1; i < RECO_MAX_ACTIONS; i++) {
        n += sprintf(spec + n, ", {\"id\": \"a%u\"}", i);
    }

    strcpy(spec + n, "]}");
    model = fixture_model(spec, NULL);

    assert_int_equal(reco_eligible(model, &features, false, NULL, &out), 4093);
    assert_true(reco_mask_get(&out, 62));
    assert_false(reco_mask_get(&out, 63));
    assert_false(reco_mask_get(&out, 64));
    assert_true(reco_mask_get(&out, 65));
    assert_true(reco_mask_get(&out, 4094));
    assert_false(reco_mask_get(&out, 4095));

    for (i = 0; i < RECO_MAX_ACTIONS; i++) {
        sprintf(spec, "a%u", i);
        assert_int_equal(reco_catalogue_find(&model->catalogue,
                                             fixture_str(spec)), i);
    }

    assert_int_equal(reco_catalogue_find(&model->catalogue,
                                         fixture_str("a4096")), -1);
    assert_int_equal(reco_catalogue_find(&model->catalogue,
                                         fixture_str("")), -1);

    reco_model_free(model);
    free(spec);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(comparisons),
        cmocka_unit_test(whole_numbers_as_words),
        cmocka_unit_test(missing_features),
        cmocka_unit_test(combinations),
        cmocka_unit_test(eligibility),
        cmocka_unit_test(many_actions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
