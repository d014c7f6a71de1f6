/*
 * policy_t.c - the distribution that each policy gives: computed by hand with
 * exact fractions (Python's fractions; softmax with decimal).
 */

#include <math.h>

#include "model_fixture.h"

static reco_scratch_t   scratch;
static reco_features_t  features;
static fixture_table_t  table;

#define ACTIONS  "\"actions\": [{\"id\": \"A\"}, {\"id\": \"B\"}, " \
    "{\"id\": \"C\"}, {\"id\": \"D\"}, {\"id\": \"E\"}, {\"id\": \"F\"}]"
#define FOUR     "\"actions\": [{\"id\": \"A\"}, {\"id\": \"B\"}, " \
    "{\"id\": \"C\"}, {\"id\": \"D\"}]"


static reco_model_t *
new_model(const char *spec)
{
    reco_model_t  *model;

    memset(&table, 0, sizeof(table));
    memset(&scratch, 0xee, sizeof(scratch));
    model = fixture_model(spec, NULL);
    fixture_features(model, &features);

    return model;
}


/* The slot's distribution; 'taken' as the letters of the slots before. */
static void
check(const reco_model_t *model, const char *mask, const char *taken,
    const char *left, const uint64_t *expected)
{
    uint32_t     i, n, slot;
    uint16_t     actions[RECO_MAX_SLATE];
    reco_mask_t  eligible = fixture_mask(mask);

    for (slot = 1; taken[slot - 1] != '\0'; slot++) {
        actions[slot - 1] = (uint16_t) (taken[slot - 1] - 'A');
    }

    n = reco_distribution(model, &features, &eligible, actions, slot,
                          &scratch, NULL, NULL);

    assert_int_equal(n, strlen(left));

    for (i = 0; i < n; i++) {
        assert_int_equal(scratch.left[i], left[i] - 'A');
        assert_int_equal(scratch.p[i], expected[i]);
    }
}


#define P(...)  (uint64_t[]) { __VA_ARGS__ }


static void
uniform(void **state)
{
    reco_model_t  *model;

    (void) state;

    model = new_model("{\"model\": \"m\", " ACTIONS "}");
    check(model, "101010", "", "ACE", P(1431655766, 1431655765, 1431655765));
    check(model, "101010", "C", "AE", P(2147483648, 2147483648));
    check(model, "000010", "", "E", P(4294967296));
    check(model, "000000", "", "", NULL);
    reco_model_free(model);
}


static void
first(void **state)
{
    reco_model_t  *model;

    (void) state;

    model = new_model("{\"model\": \"m\", " ACTIONS
                      ", \"policy\": {\"type\": \"first\", \"slate\": 3}}");
    check(model, "011010", "", "BCE", P(4294967296, 0, 0));
    check(model, "011010", "B", "CE", P(4294967296, 0));
    reco_model_free(model);
}


/* The weight goes by the place among those eligible before the first slot. */
static void
weights_by_place(void **state)
{
    reco_model_t  *model;

    (void) state;

    model = new_model("{\"model\": \"m\", " ACTIONS ", \"policy\":"
        "{\"type\": \"weights\", \"weights\": [10, 8, 6, 6, 6, 4]}}");

    check(model, "111111", "", "ABCDEF",
          P(1073741825, 858993459, 644245094, 644245094, 644245094,
            429496730));

    /* A C E F have the weights 10 8 6 6, and keep them when A is gone */
    check(model, "101011", "", "ACEF",
          P(1431655766, 1145324612, 858993459, 858993459));
    check(model, "101011", "A", "CEF",
          P(1717986918, 1288490189, 1288490189));
    check(model, "101011", "ACE", "F", P(4294967296));
    reco_model_free(model);

    /* the last weight serves the places beyond: 8 6 10 6 4 4 */
    model = new_model("{\"model\": \"m\", " ACTIONS ", \"policy\":"
        "{\"type\": \"weights\", \"weights\": [8, 6, 10, 6, 4]}}");
    check(model, "111111", "", "ABCDEF",
          P(904203641, 678152731, 1130254551, 678152731, 452101821,
            452101821));
    reco_model_free(model);
}


static void
weights_by_action(void **state)
{
    reco_model_t  *model;

    (void) state;

    model = new_model("{\"model\": \"m\", " FOUR ", \"policy\":"
        "{\"type\": \"weights\", \"weights\": {\"D\": 1, \"B\": 3}}}");

    check(model, "1111", "", "ABCD", P(0, 3221225472, 0, 1073741824));
    check(model, "1111", "B", "ACD", P(0, 0, 4294967296));

    /* all that had weight are drawn: what is left is as likely */
    check(model, "1111", "BD", "AC", P(2147483648, 2147483648));
    check(model, "1010", "", "AC", P(2147483648, 2147483648));
    reco_model_free(model);
}


static void
last_case_counts(void **state)
{
    reco_model_t  *model;

    (void) state;

    model = new_model("{\"model\": \"m\", " FOUR ", \"features\":"
        "[{\"name\": \"age\", \"type\": \"number\"},"
        " {\"name\": \"vip\", \"type\": \"category\"}], \"policy\":"
        "{\"type\": \"weights\", \"weights\": [1, 1], \"cases\": ["
        "{\"when\": {\"age\": {\"<\": 30}}, \"weights\": [1, 0, 3]},"
        "{\"when\": {\"vip\": \"yes\"}, \"weights\": [0, 1]}]}}");

    check(model, "1100", "", "AB", P(2147483648, 2147483648));

    features.value[0] = fixture_number(29);
    check(model, "1110", "", "ABC", P(1073741824, 0, 3221225472));

    features.value[1] = fixture_word("yes");
    check(model, "1100", "", "AB", P(0, 4294967296));

    features.value[0] = fixture_number(30);
    check(model, "1100", "", "AB", P(0, 4294967296));

    features.value[1] = fixture_word("no");
    check(model, "1100", "", "AB", P(2147483648, 2147483648));
    reco_model_free(model);
}


static bool
low_mass(const reco_model_t *model, const char *mask, const char *taken)
{
    bool         low;
    uint16_t     action;
    uint32_t     slot;
    reco_mask_t  eligible = fixture_mask(mask);

    slot = 1;
    action = 0;

    if (taken[0] != '\0') {
        action = (uint16_t) (taken[0] - 'A');
        slot = 2;
    }

    (void) reco_distribution(model, &features, &eligible, &action, slot,
                             &scratch, NULL, &low);

    return low;
}


static void
probability_table(void **state)
{
    bool           known;
    reco_mask_t    all = fixture_mask("1111");
    reco_model_t  *model;

    (void) state;

    model = new_model("{\"model\": \"m\", " FOUR ", \"policy\":"
                      "{\"type\": \"p_table\", \"slate\": 3}}");

    /* no row: uniform, and not known */
    (void) reco_distribution(model, &features, &all, NULL, 1, &scratch,
                             &known, NULL);
    assert_false(known);
    assert_int_equal(scratch.p[0], 1073741824);
    check(model, "1111", "", "ABCD",
          P(1073741824, 1073741824, 1073741824, 1073741824));

    fixture_row(model, &table, "\x1f", (double[]) { 0.5, 0.3, 0.2 }, 3);
    (void) reco_distribution(model, &features, &all, NULL, 1, &scratch,
                             &known, NULL);
    assert_true(known);

    /* the whole catalogue, first slot: the row as it is */
    check(model, "1111", "", "ABCD", P(2147483648, 1288490189, 858993459, 0));
    assert_false(low_mass(model, "1111", ""));

    /* a mask: each at least 0.01 / 3 (D), then renormalised */
    check(model, "1011", "", "ACD", P(3053294286, 1221317715, 20355295));
    assert_false(low_mass(model, "1011", ""));

    /* after the first slot too, where nothing else is masked */
    check(model, "1111", "A", "BCD", P(2559914282, 1706609522, 28443492));

    /* and with two left: 0.01 / 2 */
    check(model, "1011", "A", "CD", P(4190211996, 104755300));
    check(model, "0101", "", "BD", P(4224557996, 70409300));

    /* half of the mass is not less than half; 0.3 and 0.2 are */
    assert_false(low_mass(model, "1001", ""));
    assert_true(low_mass(model, "0101", ""));
    assert_true(low_mass(model, "1011", "A"));
    assert_false(low_mass(model, "1111", "C"));

    /* mass that is all gone */
    check(model, "0001", "", "D", P(4294967296));
    check(model, "1111", "ABC", "D", P(4294967296));
    reco_model_free(model);
}


/* An inactive action is no mask: the rest share as the row says. */
static void
probability_of_an_inactive_action(void **state)
{
    reco_model_t  *model;

    (void) state;

    model = new_model("{\"model\": \"m\", \"actions\": [{\"id\": \"A\"},"
        "{\"id\": \"B\", \"active\": false}, {\"id\": \"C\"}],"
        "\"policy\": {\"type\": \"p_table\"}}");
    fixture_row(model, &table, "\x1f", (double[]) { 0, 0.6, 0.4 }, 3);

    check(model, "101", "", "AC", P(0, 4294967296));
    assert_true(low_mass(model, "101", ""));
    reco_model_free(model);
}


static void
no_floor(void **state)
{
    reco_model_t  *model;

    (void) state;

    model = new_model("{\"model\": \"m\", " FOUR ", \"policy\":"
                      "{\"type\": \"p_table\", \"floor\": 0}}");
    fixture_row(model, &table, "\x1f", (double[]) { 0.5, 0, 0.5, 0 }, 4);

    check(model, "1110", "", "ABC", P(2147483648, 0, 2147483648));
    check(model, "0101", "", "BD", P(2147483648, 2147483648));
    reco_model_free(model);
}


static void
greedy_table(void **state)
{
    reco_model_t  *model;

    (void) state;

    model = new_model("{\"model\": \"m\", " ACTIONS ", \"policy\":"
                      "{\"type\": \"q_table\", \"epsilon\": 0.1}}");

    /* no row: all have the same value */
    check(model, "110000", "", "AB", P(2147483648, 2147483648));

    /* B and C are best: 0.45 + 0.02 each, the others 0.02; D has no entry */
    fixture_row(model, &table, "\x1f", (double[]) { 1, 3, 3, NAN, 0 }, 5);
    check(model, "111110", "", "ABCDE",
          P(85899346, 2018634629, 2018634629, 85899346, 85899346));

    /* without B there is one best: 0.9 + 0.025 */
    check(model, "111110", "B", "ACDE",
          P(107374182, 3972844750, 107374182, 107374182));

    /* an action without an entry has value 0, as E has */
    check(model, "000110", "", "DE", P(2147483648, 2147483648));
    reco_model_free(model);
}


/* Values below 0: one that nobody tried is better than all of them. */
static void
untried_action(void **state)
{
    reco_model_t  *model;

    (void) state;

    model = new_model("{\"model\": \"m\", " FOUR ", \"policy\":"
                      "{\"type\": \"q_table\", \"epsilon\": 0}}");
    fixture_row(model, &table, "\x1f", (double[]) { -1, -2, NAN, -3 }, 4);

    check(model, "1111", "", "ABCD", P(0, 0, 4294967296, 0));
    check(model, "1111", "C", "ABD", P(4294967296, 0, 0));
    reco_model_free(model);
}


static void
softmax_table(void **state)
{
    reco_model_t  *model;

    (void) state;

    model = new_model("{\"model\": \"m\", " FOUR ", \"policy\":"
                      "{\"type\": \"q_table\", \"temperature\": 0.5}}");
    fixture_row(model, &table, "\x1f", (double[]) { 1, 3, 2.5, 1e300 }, 4);

    check(model, "1110", "", "ABC", P(56748917, 3098385904, 1139832475));

    /* the largest is subtracted first: no overflow */
    check(model, "1111", "", "ABCD", P(0, 0, 0, 4294967296));
    reco_model_free(model);
}


static void
a_row_for_each_slot(void **state)
{
    reco_model_t  *model;

    (void) state;

    model = new_model("{\"model\": \"m\", " FOUR ", \"policy\":"
                      "{\"type\": \"q_table\", \"epsilon\": 0, \"slate\": 3,"
                      " \"per_slot\": true}}");
    fixture_row(model, &table, "1", (double[]) { 1, 0, 0, 0 }, 4);
    fixture_row(model, &table, "2", (double[]) { 0, 0, 0, 1 }, 4);

    check(model, "1111", "", "ABCD", P(4294967296, 0, 0, 0));
    check(model, "1111", "A", "BCD", P(0, 0, 4294967296));

    /* no row for slot 3 */
    check(model, "1111", "AD", "BC", P(2147483648, 2147483648));
    reco_model_free(model);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(uniform),
        cmocka_unit_test(first),
        cmocka_unit_test(weights_by_place),
        cmocka_unit_test(weights_by_action),
        cmocka_unit_test(last_case_counts),
        cmocka_unit_test(probability_table),
        cmocka_unit_test(probability_of_an_inactive_action),
        cmocka_unit_test(no_floor),
        cmocka_unit_test(greedy_table),
        cmocka_unit_test(untried_action),
        cmocka_unit_test(softmax_table),
        cmocka_unit_test(a_row_for_each_slot),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
