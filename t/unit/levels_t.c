/*
 * levels_t.c - states that back off to coarser ones, exploration that falls
 * with the visits, words that count as "other", and what a decision says of
 * them. Propensities computed with Python's fractions.
 */

#include <math.h>

#include "model_fixture.h"

static reco_scratch_t   scratch;
static reco_features_t  features;
static reco_decision_t  decision;
static fixture_table_t  table;

#define FOUR     "\"actions\": [{\"id\": \"A\"}, {\"id\": \"B\"}, " \
    "{\"id\": \"C\"}, {\"id\": \"D\"}]"
#define AB       "\"features\": [{\"name\": \"a\", \"type\": \"category\"}," \
    " {\"name\": \"b\", \"type\": \"category\"}]"
#define SPEC(policy)  "{\"model\": \"m\", " FOUR ", " AB \
    ", \"policy\": {" policy "}}"
#define BACKOFF  "\"backoff\": [[\"a\"], []]"

/* the keys of the state a = x, b = y and of the two coarser ones */
#define KEY_0    "x\x1fy"
#define KEY_1    "\x1e" "1\x1fx"
#define KEY_2    "\x1e" "2\x1f"

#define C_BEST   (double[]) { 0, 0, 1, 0 }
#define P(...)   (uint64_t[]) { __VA_ARGS__ }


static reco_model_t *
new_model(const char *spec)
{
    reco_model_t  *model;

    memset(&table, 0, sizeof(table));
    memset(&scratch, 0xee, sizeof(scratch));
    memset(&decision, 0xee, sizeof(decision));
    model = fixture_model(spec, NULL);
    fixture_features(model, &features);
    model->lookup = fixture_lookup;
    model->lookup_data = &table;

    return model;
}


static void
decide(const reco_model_t *model, const char *mask)
{
    reco_mask_t  eligible = fixture_mask(mask);

    table.lookups = 0;
    assert_int_equal(reco_decide(model, &features, &eligible, 0,
                                 RECO_STR("an-id"), RECO_STR(""), &scratch,
                                 &decision), RECO_OK);
}


/* The distribution of a slot after what was 'taken', over all four. */
static void
check(const reco_model_t *model, const uint16_t *taken, uint32_t slot,
    const uint64_t *expected)
{
    uint32_t     i, n;
    reco_mask_t  all = fixture_mask("1111");

    n = reco_distribution(model, &features, &all, taken, slot, &scratch, NULL,
                          NULL);
    assert_int_equal(n, 5 - slot);

    for (i = 0; i < n; i++) {
        assert_int_equal(scratch.p[i], expected[i]);
    }
}


/* ---- which row ---------------------------------------------------------- */

/* Rows with so many visits, -1 for no row; the level that is used, -1 for
 * none, and the look-ups that it takes; 10 visits are enough. */
static const struct {
    int       visits[3];
    int       level;
    uint32_t  lookups;
} rows[] = {
    { { 10, 50, 1000 }, 0, 1 },     /* the minimum itself is enough */
    { { 9, 10, 1000 }, 1, 2 },
    { { 9, 9, 10 }, 2, 3 },
    { { 9, 9, 9 }, 2, 3 },          /* nowhere: the last that has a row */
    { { 9, 9, -1 }, 1, 3 },
    { { 9, -1, -1 }, 0, 3 },
    { { 0, -1, -1 }, 0, 3 },
    { { -1, 10, 1000 }, 1, 2 },     /* never seen: the next */
    { { -1, 3, -1 }, 1, 3 },
    { { -1, -1, 0 }, 2, 3 },
    { { 9, -1, 10 }, 2, 3 },
    { { -1, -1, -1 }, -1, 3 },
};

static void
check_rows(const char *spec)
{
    size_t         i, level;
    reco_model_t  *model;

    static const char *const  keys[] = { KEY_0, KEY_1, KEY_2 };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        model = new_model(spec);
        features.value[0] = fixture_word("x");
        features.value[1] = fixture_word("y");

        for (level = 0; level < 3; level++) {
            if (rows[i].visits[level] >= 0) {
                fixture_row(model, &table, keys[level], C_BEST, 4);
                table.rows[table.n - 1].visits = rows[i].visits[level];
            }
        }

        decide(model, "1111");
        assert_int_equal(decision.state_known, rows[i].level >= 0);
        assert_int_equal(decision.level,
                         rows[i].level >= 0 ? rows[i].level : 0);
        assert_int_equal(table.lookups, rows[i].lookups);
        reco_model_free(model);
    }
}


static void
first_level_with_enough_visits(void **state)
{
    (void) state;

    check_rows(SPEC("\"type\": \"q_table\", \"min_visits\": 10, " BACKOFF));
    check_rows(SPEC("\"type\": \"p_table\", \"min_visits\": 10, " BACKOFF));
}


/* Without a minimum, the first row that there is. */
static void
no_minimum(void **state)
{
    reco_model_t  *model;

    (void) state;

    model = new_model(SPEC("\"type\": \"q_table\", " BACKOFF));
    features.value[0] = fixture_word("x");
    fixture_row(model, &table, KEY_2, C_BEST, 4);
    fixture_row(model, &table, KEY_1, C_BEST, 4);
    table.rows[1].visits = 0;

    decide(model, "1111");
    assert_true(decision.state_known);
    assert_int_equal(decision.level, 1);
    reco_model_free(model);
}


static void
one_level_is_one_lookup(void **state)
{
    reco_model_t  *model;

    (void) state;

    model = new_model(SPEC("\"type\": \"q_table\", \"slate\": 3"));
    decide(model, "1111");
    assert_int_equal(table.lookups, 1);
    assert_false(decision.state_known);
    reco_model_free(model);
}


/* The first slot's row is of the full state, the second's of a coarser one,
 * the third's of none. */
static void
levels_by_slot(void **state)
{
    reco_model_t  *model;

    (void) state;

    model = new_model(SPEC("\"type\": \"p_table\", \"floor\": 0, \"slate\": 3,"
                           " \"per_slot\": true, \"min_visits\": 4, "
                           BACKOFF));
    features.value[0] = fixture_word("x");
    features.value[1] = fixture_word("y");
    fixture_row(model, &table, KEY_0 "\x1f" "1",
                (double[]) { 0.5, 0.3, 0.2, 0 }, 4);
    fixture_row(model, &table, KEY_0 "\x1f" "2", (double[]) { 1 }, 1);
    fixture_row(model, &table, KEY_1 "\x1f" "2",
                (double[]) { 0.7, 0.1, 0.1, 0.1 }, 4);

    check(model, NULL, 1, P(2147483648, 1288490189, 858993459, 0));
    /* B is gone, and the row of one visit does not count */
    check(model, (uint16_t[]) { 1 }, 2, P(3340530120, 477218588, 477218588));
    check(model, (uint16_t[]) { 1, 0 }, 3, P(2147483648, 2147483648));

    decide(model, "1111");
    assert_int_equal(decision.level, 0);
    assert_true(decision.state_known);
    reco_model_free(model);
}


/* A key that is too long is that of no row; the coarser one may do. */
static void
key_too_long(void **state)
{
    char           word[255], spec[4096];
    int            n;
    uint32_t       i;
    reco_model_t  *model;

    (void) state;

    n = sprintf(spec, "{\"model\": \"m\", " FOUR ", \"features\": [");

    for (i = 0; i < 17; i++) {
        n += sprintf(spec + n, "%s{\"name\": \"f%u\", \"type\": \"category\"}",
                     i == 0 ? "" : ",", i);
    }

    strcpy(spec + n, "], \"policy\": {\"type\": \"q_table\","
           " \"backoff\": [[]]}}");
    model = new_model(spec);
    memset(word, 'w', sizeof(word));

    for (i = 0; i < 17; i++) {
        features.value[i] = (reco_value_t) { RECO_VALUE_WORD, 0,
                                             { word, sizeof(word) } };
    }

    fixture_row(model, &table, "\x1e" "1\x1f", C_BEST, 4);
    decide(model, "1111");
    assert_true(decision.state_known);
    assert_int_equal(decision.level, 1);
    assert_int_equal(table.lookups, 1);
    reco_model_free(model);
}


/* ---- exploration -------------------------------------------------------- */

#define ANNEALED  "\"type\": \"q_table\", \"state\": [], \"epsilon\":" \
    " {\"start\": 1.0, \"end\": 0.1, \"visits\": 100}"

static void
epsilon_falls_with_visits(void **state)
{
    size_t         i;
    reco_model_t  *model;

    static const struct {
        uint64_t  visits;
        double    epsilon;
        uint64_t  p[4];
    } cases[] = {
        { 0,   1,     { 1073741824, 1073741824, 1073741824, 1073741824 } },
        { 1,   0.991, { 1064078148, 1064078148, 1102732852, 1064078148 } },
        { 50,  0.55,  { 590558003,  590558003,  2523293287, 590558003 } },
        { 99,  0.109, { 117037859,  117037859,  3943853719, 117037859 } },
        { 100, 0.1,   { 107374182,  107374182,  3972844750, 107374182 } },
        { UINT64_MAX, 0.1,
                      { 107374182,  107374182,  3972844750, 107374182 } },
    };

    (void) state;

    model = new_model(SPEC(ANNEALED));

    /* without a row, everything is as likely */
    decide(model, "1111");
    assert_true(decision.epsilon == 1);
    assert_true(isnan(decision.value) && isnan(decision.confidence));

    fixture_row(model, &table, "\x1f", C_BEST, 4);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        table.rows[0].visits = cases[i].visits;
        check(model, NULL, 1, cases[i].p);
        decide(model, "1111");
        assert_true(fabs(decision.epsilon - cases[i].epsilon) < 1e-15);
    }

    reco_model_free(model);
}


/* The visits are those of the row that is used. */
static void
epsilon_of_the_level(void **state)
{
    reco_model_t  *model;

    (void) state;

    model = new_model(SPEC("\"type\": \"q_table\", \"min_visits\": 10, "
        BACKOFF ", \"epsilon\": {\"start\": 1, \"end\": 0, \"visits\": 64}"));
    features.value[0] = fixture_word("x");
    features.value[1] = fixture_word("y");
    fixture_row(model, &table, KEY_0, C_BEST, 4);
    fixture_row(model, &table, KEY_1, C_BEST, 4);
    table.rows[1].visits = 48;

    decide(model, "1111");
    assert_int_equal(decision.level, 1);
    assert_true(decision.epsilon == 0.25);
    /* 1/16 each, and 3/4 more for the best */
    check(model, NULL, 1, P(268435456, 268435456, 3489660928, 268435456));
    reco_model_free(model);
}


static void
epsilon_of_other_policies(void **state)
{
    reco_model_t  *model;

    (void) state;

    model = new_model(SPEC("\"type\": \"q_table\", \"state\": [],"
                           " \"epsilon\": 0.25"));
    fixture_row(model, &table, "\x1f", C_BEST, 4);
    table.rows[0].visits = 0;
    decide(model, "1111");
    assert_true(decision.epsilon == 0.25);
    reco_model_free(model);

    model = new_model(SPEC("\"type\": \"q_table\", \"state\": [],"
                           " \"temperature\": 1"));
    decide(model, "1111");
    assert_true(decision.epsilon == 1);
    fixture_row(model, &table, "\x1f", C_BEST, 4);
    decide(model, "1111");
    assert_true(isnan(decision.epsilon));
    reco_model_free(model);

    model = new_model(SPEC("\"type\": \"p_table\", \"state\": []"));
    decide(model, "1111");
    assert_true(isnan(decision.epsilon));
    reco_model_free(model);
}


/* ---- value and confidence ----------------------------------------------- */

/* Puts this row into the table; confidence of A to D, NAN for unknown. */
static void
put_row(reco_model_t *model, const double *confidence, uint32_t n)
{
    uint32_t      i;
    reco_str_t    key;
    reco_entry_t  entries[4];

    for (i = 0; i < n; i++) {
        entries[i] = (reco_entry_t) { (uint16_t) i, i == 2 ? 1 : -0.5, 7,
                                      confidence[i] };
    }

    reco_row_pack(RECO_STR("\x1f"), 28, entries, n, table.data[0]);
    assert_true(reco_row_unpack(table.data[0],
                                RECO_ROW_HEAD + 1 + n * RECO_ROW_ENTRY, 4,
                                &key, &table.rows[0]));
    table.keys[0] = key;
    table.n = 1;
    model->lookup = fixture_lookup;
    model->lookup_data = &table;
}


static void
value_and_confidence(void **state)
{
    reco_model_t  *model;

    (void) state;

    model = new_model(SPEC("\"type\": \"q_table\", \"state\": [],"
                           " \"epsilon\": 0"));

    put_row(model, (double[]) { 0.125, 0.25, 0.5, 0.125 }, 4);
    decide(model, "1111");
    assert_int_equal(decision.action[0], 2);
    assert_true(decision.value == 1);
    assert_true(decision.confidence == 0.5);

    /* of the eligible ones: 0.5 / 0.625, and 0.125 / 0.25 */
    decide(model, "1010");
    assert_true(decision.confidence == 0.8);
    assert_int_equal(decision.eligible, 2);
    decide(model, "1001");
    assert_true(decision.value == -0.5);
    assert_true(decision.confidence == 0.5);

    /* unknown, or nothing to share */
    put_row(model, (double[]) { 0.5, 0.5, NAN, 0 }, 4);
    decide(model, "1111");
    assert_true(isnan(decision.confidence));
    decide(model, "0001");
    assert_true(isnan(decision.confidence));

    /* an action that is not in the row has value 0 */
    put_row(model, (double[]) { 0.5, 0.5 }, 2);
    decide(model, "1101");
    assert_int_equal(decision.action[0], 3);
    assert_true(decision.value == 0);
    assert_true(isnan(decision.confidence));
    reco_model_free(model);
}


/* ---- vocabularies ------------------------------------------------------- */

#define WORDS  "{\"model\": \"m\", " FOUR ", \"features\": [" \
    "{\"name\": \"land\", \"type\": \"category\"," \
    " \"vocabulary\": [\"GB\", \"FR\", \"F\"]}," \
    "{\"name\": \"place\", \"type\": \"category\"," \
    " \"vocabulary\": {\"top\": 9, \"words\": [\"3\", \"-12\"]}}," \
    "{\"name\": \"free\", \"type\": \"category\"}]," \
    "\"policy\": {\"type\": \"q_table\", \"backoff\": [[\"free\"]]}}"

static void
check_words(const reco_model_t *model, reco_value_t land, reco_value_t place,
    const char *expected, unsigned unseen)
{
    char    key[64];
    size_t  n;

    features.value[0] = land;
    features.value[1] = place;
    features.value[2] = fixture_word("any");
    n = reco_state_key(model, &features, 0, 1, key, sizeof(key));
    assert_int_equal(n, strlen(expected));
    assert_memory_equal(key, expected, n);
    assert_int_equal(reco_state_unseen(model, &features), unseen);

    decide(model, "1111");
    assert_int_equal(decision.unseen, unseen);
}


static void
other_words(void **state)
{
    reco_value_t   none = { 0 };
    reco_model_t  *model;

    (void) state;

    model = new_model(WORDS);
    check_words(model, fixture_word("GB"), fixture_word("3"),
                "GB\x1f" "3\x1f" "any", 0);
    check_words(model, fixture_word("F"), fixture_number(3),
                "F\x1f" "3\x1f" "any", 0);
    check_words(model, fixture_word("FR"), fixture_number(-12),
                "FR\x1f" "-12\x1f" "any", 0);
    check_words(model, fixture_word("G"), fixture_word("-12"),
                "other\x1f" "-12\x1f" "any", 1);
    check_words(model, fixture_word("GBR"), fixture_number(12),
                "other\x1fother\x1f" "any", 2);
    check_words(model, fixture_word("gb"), fixture_word("other"),
                "other\x1fother\x1f" "any", 2);
    /* missing is missing */
    check_words(model, none, fixture_word("4"), "\x1fother\x1f" "any", 1);
    reco_model_free(model);
}


/* Whoever lists "other" means the same state by it. */
static void
other_is_listed(void **state)
{
    char           key[16];
    reco_model_t  *model;

    (void) state;

    model = new_model("{\"model\": \"m\", " FOUR ", \"features\": ["
        "{\"name\": \"c\", \"type\": \"category\","
        " \"vocabulary\": [\"other\", \"x\"]}],"
        "\"policy\": {\"type\": \"p_table\"}}");

    features.value[0] = fixture_word("other");
    assert_int_equal(reco_state_key(model, &features, 0, 1, key, 16), 5);
    assert_int_equal(reco_state_unseen(model, &features), 0);
    features.value[0] = fixture_word("y");
    assert_int_equal(reco_state_key(model, &features, 0, 1, key, 16), 5);
    assert_int_equal(reco_state_unseen(model, &features), 1);
    reco_model_free(model);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(first_level_with_enough_visits),
        cmocka_unit_test(no_minimum),
        cmocka_unit_test(one_level_is_one_lookup),
        cmocka_unit_test(levels_by_slot),
        cmocka_unit_test(key_too_long),
        cmocka_unit_test(epsilon_falls_with_visits),
        cmocka_unit_test(epsilon_of_the_level),
        cmocka_unit_test(epsilon_of_other_policies),
        cmocka_unit_test(value_and_confidence),
        cmocka_unit_test(other_words),
        cmocka_unit_test(other_is_listed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
