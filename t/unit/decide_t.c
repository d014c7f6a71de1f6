/*
 * decide_t.c - slates: drawn without replacement with the propensities that
 * are logged, replayed bit for bit, pinned, sticky; frequencies against the
 * distribution they are drawn from.
 */

#include "model_fixture.h"

static reco_scratch_t   scratch;
static reco_features_t  features;
static reco_decision_t  decision;
static fixture_table_t  table;

#define ACTIONS  "\"actions\": [{\"id\": \"A\"}, {\"id\": \"B\"}, " \
    "{\"id\": \"C\"}, {\"id\": \"D\"}, {\"id\": \"E\"}, {\"id\": \"F\"}]"
#define WEIGHTS  "\"weights\": [10, 8, 6, 6, 6, 4]"

#define ID_7  RECO_STR("0193532a0c00abcd0102030400000007")
#define ID_8  RECO_STR("0193532a0c00abcd0102030400000008")
#define NOBODY  RECO_STR("")


static reco_model_t *
new_model(const char *spec)
{
    reco_model_t  *model;

    memset(&table, 0, sizeof(table));
    memset(&scratch, 0xee, sizeof(scratch));
    memset(&decision, 0xee, sizeof(decision));
    model = fixture_model(spec, NULL);
    fixture_features(model, &features);

    return model;
}


static reco_status_t
decide(const reco_model_t *model, const char *mask, uint32_t slate,
    reco_str_t id, reco_str_t customer)
{
    reco_mask_t  eligible = fixture_mask(mask);

    return reco_decide(model, &features, &eligible, slate, id, customer,
                       &scratch, &decision);
}


static void
check(const char *slate, const uint64_t *propensity)
{
    uint32_t  i;

    assert_int_equal(decision.n, strlen(slate));

    for (i = 0; i < decision.n; i++) {
        assert_int_equal(decision.action[i], slate[i] - 'A');
        assert_int_equal(decision.propensity[i], propensity[i]);
    }
}


#define P(...)  (uint64_t[]) { __VA_ARGS__ }


/* Worked out by a Python program from python-xxhash and exact fractions; the
 * salt is the XXH3-128 of the model's name. */
static void
known_answers(void **state)
{
    reco_model_t  *model;

    (void) state;

    model = new_model("{\"model\": \"m\", " ACTIONS ", \"policy\":"
                      "{\"type\": \"weights\", \"slate\": 3, " WEIGHTS "}}");

    assert_int_equal(decide(model, "111111", 0, ID_7, NOBODY), RECO_OK);
    check("EDA", P(644245094, 757935405, 1533916891));
    assert_int_equal(decision.eligible, 6);
    assert_int_equal(decision.pinned, 0);
    assert_false(decision.state_known);
    assert_false(decision.low_mass);

    assert_int_equal(decide(model, "111111", 0, ID_8, NOBODY), RECO_OK);
    check("EBC", P(644245094, 1010580540, 991146299));

    /* not sticky: the customer does not matter */
    assert_int_equal(decide(model, "111111", 0, ID_7, RECO_STR("c42")),
                     RECO_OK);
    check("EDA", P(644245094, 757935405, 1533916891));
    reco_model_free(model);

    model = new_model("{\"model\": \"m\", " ACTIONS ", \"policy\":"
                      "{\"type\": \"weights\", \"slate\": 3, "
                      "\"sticky\": true, " WEIGHTS "}}");

    assert_int_equal(decide(model, "111111", 0, ID_7, RECO_STR("c42")),
                     RECO_OK);
    check("CAB", P(644245094, 1263225676, 1431655765));
    assert_int_equal(decide(model, "111111", 0, ID_7, NOBODY), RECO_OK);
    check("EDA", P(644245094, 757935405, 1533916891));
    reco_model_free(model);

    model = new_model("{\"model\": \"m\", \"salt\": \"pepper\", " ACTIONS
                      ", \"policy\": {\"type\": \"weights\", \"slate\": 6, "
                      WEIGHTS "}}");
    assert_int_equal(decide(model, "111111", 0, ID_7, NOBODY), RECO_OK);
    check("EFDBAC", P(644245094, 505290270, 858993459, 1431655765, 2684354560,
                      4294967296));
    reco_model_free(model);
}


static void
number_of_slots(void **state)
{
    reco_model_t  *model;

    (void) state;

    model = new_model("{\"model\": \"m\", " ACTIONS
                      ", \"policy\": {\"type\": \"uniform\", \"slate\": 3}}");

    assert_int_equal(decide(model, "111111", 0, ID_7, NOBODY), RECO_OK);
    assert_int_equal(decision.n, 3);
    assert_int_equal(decide(model, "111111", 2, ID_7, NOBODY), RECO_OK);
    assert_int_equal(decision.n, 2);
    assert_int_equal(decide(model, "111111", 4, ID_7, NOBODY), RECO_OK);
    assert_int_equal(decision.n, 3);

    /* as many as there are; the last one is sure */
    assert_int_equal(decide(model, "100010", 0, ID_7, NOBODY), RECO_OK);
    assert_int_equal(decision.n, 2);
    assert_int_equal(decision.eligible, 2);
    assert_int_equal(decision.propensity[0], 2147483648);
    assert_int_equal(decision.propensity[1], 4294967296);

    assert_int_equal(decide(model, "000000", 0, ID_7, NOBODY),
                     RECO_NONE_ELIGIBLE);
    assert_int_equal(decision.n, 0);
    assert_int_equal(decision.eligible, 0);
    reco_model_free(model);
}


static void
first_is_a_fallback(void **state)
{
    reco_model_t  *model;

    (void) state;

    model = new_model("{\"model\": \"m\", " ACTIONS
                      ", \"policy\": {\"type\": \"first\", \"slate\": 3}}");
    assert_int_equal(decide(model, "011011", 0, ID_7, NOBODY), RECO_OK);
    check("BCE", P(4294967296, 4294967296, 4294967296));
    reco_model_free(model);
}


/* What was drawn has the probability that reco_distribution() tells, given
 * what was drawn before; nothing is drawn twice. */
static void
propensities_are_the_distribution(void **state)
{
    char             id[16];
    bool             seen[6];
    uint32_t         i, n, round, slot;
    reco_mask_t      mask = fixture_mask("110111");
    reco_model_t    *model;
    reco_decision_t  d;

    (void) state;

    model = new_model("{\"model\": \"m\", " ACTIONS ", \"policy\":"
                      "{\"type\": \"q_table\", \"temperature\": 1,"
                      " \"slate\": 5, \"per_slot\": true}}");
    fixture_row(model, &table, "1", (double[]) { 1, 2, 3, 0, 1, 0 }, 6);
    fixture_row(model, &table, "3", (double[]) { 0, 0, 0, 0, 4, 4 }, 6);

    for (round = 0; round < 1000; round++) {
        n = (uint32_t) sprintf(id, "id-%u", round);
        assert_int_equal(decide(model, "110111", 0, (reco_str_t) { id, n },
                                NOBODY), RECO_OK);
        assert_int_equal(decision.n, 5);
        assert_true(decision.state_known);
        memset(seen, 0, sizeof(seen));
        d = decision;

        for (slot = 1; slot <= d.n; slot++) {
            assert_false(seen[d.action[slot - 1]]);
            seen[d.action[slot - 1]] = true;

            n = reco_distribution(model, &features, &mask, d.action, slot,
                                  &scratch, NULL, NULL);
            assert_int_equal(n, 6 - slot);

            for (i = 0; scratch.left[i] != d.action[slot - 1]; i++) {
                assert_true(i < n);
            }

            assert_int_equal(scratch.p[i], d.propensity[slot - 1]);
        }

        assert_int_equal(d.propensity[4], 4294967296);
    }

    reco_model_free(model);
}


/* Pearson's chi-square of 100,000 draws for each slot; 20.515 is exceeded once
 * in a thousand with 5 degrees of freedom (scipy.stats.chi2.ppf). The keys are
 * fixed, so the test is not a matter of luck. */
static void
frequencies(void **state)
{
    char           id[16];
    double         chi, expected;
    uint32_t       i, n, round, count[6], second[6];
    reco_model_t  *model;

    static const double  weights[] = { 10, 8, 6, 6, 6, 4 };

    (void) state;

    model = new_model("{\"model\": \"m\", " ACTIONS ", \"policy\":"
                      "{\"type\": \"weights\", \"slate\": 2, " WEIGHTS "}}");
    memset(count, 0, sizeof(count));
    memset(second, 0, sizeof(second));

    for (round = 0; round < 100000; round++) {
        n = (uint32_t) sprintf(id, "%u", round);
        assert_int_equal(decide(model, "111111", 0, (reco_str_t) { id, n },
                                NOBODY), RECO_OK);
        count[decision.action[0]]++;

        if (decision.action[0] == 1) {
            second[decision.action[1]]++;
        }
    }

    chi = 0;

    for (i = 0; i < 6; i++) {
        expected = 100000 * weights[i] / 40;
        chi += (count[i] - expected) * (count[i] - expected) / expected;
    }

    assert_true(chi < 20.515);

    /* the second slot, where B was the first: 10 6 6 6 4 of 32, with 4
     * degrees of freedom 18.467 */
    chi = 0;
    assert_int_equal(second[1], 0);

    for (i = 0; i < 6; i++) {
        if (i != 1) {
            expected = count[1] * weights[i] / 32;
            chi += (second[i] - expected) * (second[i] - expected) / expected;
        }
    }

    assert_true(chi < 18.467);
    reco_model_free(model);
}


/* An action of probability 0 is never drawn while another is left. */
static void
never_drawn(void **state)
{
    char           id[16];
    uint32_t       n, round;
    reco_model_t  *model;

    (void) state;

    model = new_model("{\"model\": \"m\", " ACTIONS ", \"policy\":"
                      "{\"type\": \"weights\", \"slate\": 3,"
                      " \"weights\": {\"C\": 1, \"F\": 1}}}");

    for (round = 0; round < 10000; round++) {
        n = (uint32_t) sprintf(id, "%u", round);
        assert_int_equal(decide(model, "111111", 0, (reco_str_t) { id, n },
                                NOBODY), RECO_OK);
        assert_int_equal(decision.action[0] + decision.action[1], 2 + 5);
        assert_int_equal(decision.propensity[0], 2147483648);
        assert_int_equal(decision.propensity[1], 4294967296);

        /* and then the other four are as likely */
        assert_int_equal(decision.propensity[2], 1073741824);
    }

    reco_model_free(model);
}


/* ---- pins --------------------------------------------------------------- */

#define PINS  ", \"features\": [{\"name\": \"vip\", \"type\": \"category\"}]," \
    "\"rules\": [" \
    "{\"pin\": [\"D\", \"B\"], \"by\": \"kim\", \"date\": \"2026-11-22\"}," \
    "{\"when\": {\"vip\": \"yes\"}, \"pin\": [\"F\", \"D\", \"A\"]," \
    " \"by\": \"kim\", \"date\": \"2026-11-22\"}]"

static void
pins_come_first(void **state)
{
    reco_model_t  *model;

    (void) state;

    model = new_model("{\"model\": \"m\", " ACTIONS PINS ", \"policy\":"
                      "{\"type\": \"uniform\", \"slate\": 4}}");

    assert_int_equal(decide(model, "111111", 0, ID_7, NOBODY), RECO_OK);
    assert_int_equal(decision.n, 4);
    assert_int_equal(decision.pinned, 2);
    assert_int_equal(decision.action[0], 3);
    assert_int_equal(decision.action[1], 1);
    assert_int_equal(decision.propensity[0], 4294967296);
    assert_int_equal(decision.propensity[1], 4294967296);
    assert_int_equal(decision.propensity[2], 1073741824);

    /* a third of those left: 2^32 / 3, what does not divide to the first */
    assert_true(decision.propensity[3] == 1431655765
                || decision.propensity[3] == 1431655766);

    /* in the rules' order, none twice, and no more than there are slots */
    features.value[0] = fixture_word("yes");
    assert_int_equal(decide(model, "111111", 0, ID_7, NOBODY), RECO_OK);
    check("DBFA", P(4294967296, 4294967296, 4294967296, 4294967296));
    assert_int_equal(decision.pinned, 4);

    assert_int_equal(decide(model, "111111", 3, ID_7, NOBODY), RECO_OK);
    check("DBF", P(4294967296, 4294967296, 4294967296));
    assert_int_equal(decision.pinned, 3);

    /* only where eligible */
    assert_int_equal(decide(model, "101010", 1, ID_7, NOBODY), RECO_OK);
    check("A", P(4294967296));

    features.value[0] = fixture_word("no");
    assert_int_equal(decide(model, "101010", 0, ID_7, NOBODY), RECO_OK);
    assert_int_equal(decision.pinned, 0);
    assert_int_equal(decision.n, 3);
    reco_model_free(model);
}


static void
pins_in_the_distribution(void **state)
{
    uint16_t       taken[] = { 3, 1 };
    reco_mask_t    all = fixture_mask("111111");
    reco_model_t  *model;

    (void) state;

    model = new_model("{\"model\": \"m\", " ACTIONS PINS "}");

    assert_int_equal(reco_distribution(model, &features, &all, taken, 1,
                                       &scratch, NULL, NULL), 6);
    assert_int_equal(scratch.p[3], 4294967296);
    assert_int_equal(scratch.p[0] + scratch.p[1] + scratch.p[2]
                     + scratch.p[4] + scratch.p[5], 0);

    assert_int_equal(reco_distribution(model, &features, &all, taken, 2,
                                       &scratch, NULL, NULL), 5);
    assert_int_equal(scratch.p[1], 4294967296);

    assert_int_equal(reco_distribution(model, &features, &all, taken, 3,
                                       &scratch, NULL, NULL), 4);
    assert_int_equal(scratch.p[0], 1073741824);
    reco_model_free(model);
}


/* ---- tables ------------------------------------------------------------- */

/* Once, unless each slot has a row of its own. */
static void
rows_are_looked_up_once(void **state)
{
    reco_model_t  *model;

    (void) state;

    model = new_model("{\"model\": \"m\", " ACTIONS ", \"policy\":"
                      "{\"type\": \"p_table\", \"slate\": 4}}");
    fixture_row(model, &table, "\x1f", (double[]) { 1 }, 1);
    assert_int_equal(decide(model, "111111", 0, ID_7, NOBODY), RECO_OK);
    assert_int_equal(table.lookups, 1);
    assert_true(decision.state_known);
    assert_int_equal(decision.action[0], 0);
    assert_int_equal(decision.propensity[0], 4294967296);

    /* of the row's mass nothing was left for the later slots */
    assert_true(decision.low_mass);
    assert_int_equal(decide(model, "111111", 1, ID_7, NOBODY), RECO_OK);
    assert_false(decision.low_mass);
    reco_model_free(model);

    model = new_model("{\"model\": \"m\", " ACTIONS ", \"policy\":"
                      "{\"type\": \"p_table\", \"slate\": 4,"
                      " \"per_slot\": true}}");
    fixture_row(model, &table, "2", (double[]) { 1 }, 1);
    assert_int_equal(decide(model, "111111", 0, ID_7, NOBODY), RECO_OK);
    assert_int_equal(table.lookups, 4);
    assert_false(decision.state_known);
    reco_model_free(model);
}


/* A state key that is too long is a state nobody knows. */
static void
oversized_state(void **state)
{
    int            n;
    char           spec[8192], word[255];
    uint32_t       i;
    reco_model_t  *model;

    (void) state;

    n = sprintf(spec, "{\"model\": \"m\", " ACTIONS ", \"policy\":"
                "{\"type\": \"q_table\"}, \"features\": [");

    for (i = 0; i < 20; i++) {
        n += sprintf(spec + n, "%s{\"name\": \"f%u\", \"type\": \"category\"}",
                     i == 0 ? "" : ",", i);
    }

    strcpy(spec + n, "]}");
    model = new_model(spec);
    fixture_row(model, &table, "", (double[]) { 9 }, 1);
    memset(word, 'w', sizeof(word));

    for (i = 0; i < 20; i++) {
        features.value[i] = (reco_value_t) { RECO_VALUE_WORD, 0,
                                             { word, sizeof(word) } };
    }

    assert_int_equal(decide(model, "110000", 0, ID_7, NOBODY), RECO_OK);
    assert_false(decision.state_known);
    assert_int_equal(decision.propensity[0], 2147483648);
    reco_model_free(model);
}


/* 4,096 actions, 64 slots. */
static void
largest_decision(void **state)
{
    int            n;
    char          *spec;
    uint32_t       i;
    reco_mask_t    mask, seen;
    reco_model_t  *model;

    (void) state;

    spec = malloc(200000);
    assert_non_null(spec);
    n = sprintf(spec, "{\"model\": \"m\", \"policy\": {\"type\": \"uniform\","
                " \"slate\": 64}, \"actions\": [{\"id\": \"a0\"}");

    for (i = 1; i < RECO_MAX_ACTIONS; i++) {
        n += sprintf(spec + n, ", {\"id\": \"a%u\"}", i);
    }

    strcpy(spec + n, "]}");
    model = new_model(spec);
    assert_int_equal(reco_eligible(model, &features, false, NULL, &mask),
                     RECO_MAX_ACTIONS);

    assert_int_equal(reco_decide(model, &features, &mask, 0, ID_7, NOBODY,
                                 &scratch, &decision), RECO_OK);
    assert_int_equal(decision.n, RECO_MAX_SLATE);
    assert_int_equal(decision.propensity[0], 1048576);
    memset(&seen, 0, sizeof(seen));

    for (i = 0; i < decision.n; i++) {
        assert_false(reco_mask_get(&seen, decision.action[i]));
        reco_mask_set(&seen, decision.action[i]);
    }

    reco_model_free(model);
    free(spec);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(number_of_slots),
        cmocka_unit_test(first_is_a_fallback),
        cmocka_unit_test(propensities_are_the_distribution),
        cmocka_unit_test(frequencies),
        cmocka_unit_test(never_drawn),
        cmocka_unit_test(pins_come_first),
        cmocka_unit_test(pins_in_the_distribution),
        cmocka_unit_test(rows_are_looked_up_once),
        cmocka_unit_test(oversized_state),
        cmocka_unit_test(largest_decision),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
