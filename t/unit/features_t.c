/*
 * features_t.c - from request, customer record, geo, clock and default to
 * features; conversion, bins, the state key.
 */

#include <math.h>

#include "model_fixture.h"

static reco_request_t   request;
static reco_features_t  features;
static reco_error_t     err;

static const char *const  fields[] = { "spend", "age", "region", NULL };

#define SPEC  "{\"model\": \"m\", \"actions\": [{\"id\": \"A\"}], " \
    "\"features\": [" \
    "{\"name\": \"age\", \"type\": \"number\"," \
    " \"from\": [\"request\", \"customer\"], \"bins\": [18, 30, 65]}," \
    "{\"name\": \"country\", \"type\": \"category\", \"default\": \"ZZ\"," \
    " \"from\": [\"request.land\", \"geo.country\", \"customer.home\"]}," \
    "{\"name\": \"region\", \"type\": \"category\"," \
    " \"from\": [\"customer\", \"request\"]," \
    " \"codes\": {\"Europa\": 0, \"Am\xc3\xa9rica\": 1, \"America\": 1," \
    "             \"Asia\": 2}}," \
    "{\"name\": \"hour\", \"type\": \"number\", \"from\": [\"time.hour\"]," \
    " \"bins\": [6, 12, 18]}," \
    "{\"name\": \"weekday\", \"type\": \"number\"," \
    " \"from\": [\"time.weekday\"], \"bins\": [6]}," \
    "{\"name\": \"month\", \"type\": \"number\", \"from\": [\"time.month\"]," \
    " \"bins\": [7]}," \
    "{\"name\": \"season\", \"type\": \"number\"," \
    " \"from\": [\"time.season\"], \"bins\": [1, 2, 3]}]," \
    "\"policy\": {\"type\": \"p_table\", \"per_slot\": true}}"

enum { AGE, COUNTRY, REGION, HOUR, WEEKDAY, MONTH, SEASON, NFEATURES };

static reco_model_t  *model;


static int
setup(void **state)
{
    (void) state;

    model = fixture_model(SPEC, fields);
    memset(&request, 0xff, sizeof(request));
    reco_request_reset(&request, NFEATURES);

    return 0;
}


static int
teardown(void **state)
{
    (void) state;

    reco_model_free(model);

    return 0;
}


static reco_customer_t
record(reco_value_t spend, reco_value_t age, reco_value_t region)
{
    size_t                 len;
    reco_str_t             names[3];
    reco_value_t           values[] = { spend, age, region };
    static uint8_t         data[RECO_RECORD_MAX];

    names[0] = fixture_str(fields[0]);
    names[1] = fixture_str(fields[1]);
    names[2] = fixture_str(fields[2]);

    assert_int_equal(reco_record_pack(values, names, 3, data, &len, &err),
                     RECO_OK);

    return (reco_customer_t) { data, len };
}


static void
resolve(const reco_customer_t *customer)
{
    if (reco_features_resolve(model, &request, customer, &features, &err)
        != RECO_OK)
    {
        fail_msg("%s: %s", err.field, err.message);
    }
}


static void
assert_number(unsigned i, double x, reco_source_t source)
{
    assert_int_equal(features.value[i].kind, RECO_VALUE_NUMBER);
    assert_true(features.value[i].number == x);
    assert_int_equal(features.source[i], source);
}


static void
assert_word(unsigned i, const char *word, reco_source_t source)
{
    assert_int_equal(features.value[i].kind, RECO_VALUE_WORD);
    assert_true(reco_str_equal(features.value[i].word, fixture_str(word)));
    assert_int_equal(features.source[i], source);
}


/* ---- sources ------------------------------------------------------------ */

static void
first_source_wins(void **state)
{
    reco_value_t     none = { 0 };
    reco_customer_t  customer;

    (void) state;

    /* nobody has any */
    resolve(NULL);
    assert_int_equal(features.n, NFEATURES);
    assert_int_equal(features.value[AGE].kind, RECO_VALUE_MISSING);
    assert_int_equal(features.source[AGE], RECO_SOURCE_NONE);
    assert_word(COUNTRY, "ZZ", RECO_SOURCE_DEFAULT);

    /* an unknown customer */
    customer = (reco_customer_t) { NULL, 0 };
    resolve(&customer);
    assert_int_equal(features.value[AGE].kind, RECO_VALUE_MISSING);

    /* the record */
    customer = record(fixture_number(9.5), fixture_number(41),
                      fixture_word("Asia"));
    request.country = RECO_STR("NO");
    resolve(&customer);
    assert_number(AGE, 41, RECO_SOURCE_CUSTOMER);
    assert_number(REGION, 2, RECO_SOURCE_CUSTOMER);
    assert_word(COUNTRY, "NO", RECO_SOURCE_GEO);

    /* the request before the record, where the spec says so */
    request.given[AGE] = fixture_number(17);
    request.given[COUNTRY] = fixture_word("GB");
    request.given[REGION] = fixture_word("Europa");
    resolve(&customer);
    assert_number(AGE, 17, RECO_SOURCE_REQUEST);
    assert_word(COUNTRY, "GB", RECO_SOURCE_REQUEST);
    assert_number(REGION, 2, RECO_SOURCE_CUSTOMER);

    /* a record's value that fits nothing is as good as none */
    customer = record(none, fixture_word("unknown"), fixture_word("Mars"));
    resolve(&customer);
    assert_number(REGION, 0, RECO_SOURCE_REQUEST);
    request.given[AGE] = none;
    resolve(&customer);
    assert_int_equal(features.value[AGE].kind, RECO_VALUE_MISSING);

    /* text in a record is read as a number; empty text is none */
    customer = record(none, fixture_word("41.5"), fixture_number(1));
    request.given[COUNTRY] = fixture_word("");
    resolve(&customer);
    assert_number(AGE, 41.5, RECO_SOURCE_CUSTOMER);
    assert_number(REGION, 1, RECO_SOURCE_CUSTOMER);
    assert_word(COUNTRY, "NO", RECO_SOURCE_GEO);
}


static void
request_fields(void **state)
{
    (void) state;

    assert_int_equal(reco_model_request_feature(model, RECO_STR("age")), AGE);
    assert_int_equal(reco_model_request_feature(model, RECO_STR("land")),
                     COUNTRY);
    assert_int_equal(reco_model_request_feature(model, RECO_STR("region")),
                     REGION);
    assert_int_equal(reco_model_request_feature(model, RECO_STR("country")),
                     -1);
    assert_int_equal(reco_model_request_feature(model, RECO_STR("hour")), -1);
    assert_int_equal(reco_model_request_feature(model, RECO_STR("")), -1);
}


static void
customer_fields(void **state)
{
    (void) state;

    assert_int_equal(model->features[AGE].from[1].index, 1);
    assert_int_equal(model->features[COUNTRY].from[2].index, -1);
    assert_int_equal(model->features[REGION].from[0].index, 2);
}


static void
request_faults(void **state)
{
    unsigned  i;

    static const struct {
        unsigned      feature;
        reco_value_t  value;
        const char   *field;
        const char   *message;
    } cases[] = {
        { AGE, { RECO_VALUE_WORD, 0, { "41", 2 } }, "age",
          "must be a number" },
        { AGE, { RECO_VALUE_NUMBER, NAN, { "", 0 } }, "age",
          "must be a finite number" },
        { REGION, { RECO_VALUE_WORD, 0, { "Mars", 4 } }, "region",
          "unknown word 'Mars'" },
        { REGION, { RECO_VALUE_WORD, 0, { "0", 1 } }, "region",
          "unknown word '0'" },
        { REGION, { RECO_VALUE_NUMBER, 3, { "", 0 } }, "region",
          "unknown code" },
        { COUNTRY, { RECO_VALUE_NUMBER, 1.5, { "", 0 } }, "country",
          "must be a word or a whole number" },
        { COUNTRY, { RECO_VALUE_NUMBER, 1e300, { "", 0 } }, "country",
          "must be a word or a whole number" },
        { COUNTRY, { RECO_VALUE_NUMBER, -9007199254740992.0, { "", 0 } },
          "country", "must be a word or a whole number" },
        { COUNTRY, { RECO_VALUE_WORD, 0, { "a\nb", 3 } }, "country",
          "must be at most 255 bytes of UTF-8 without control characters" },
        { COUNTRY, { RECO_VALUE_WORD, 0, { "\xff", 1 } }, "country",
          "must be at most 255 bytes of UTF-8 without control characters" },
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        reco_request_reset(&request, NFEATURES);
        request.given[cases[i].feature] = cases[i].value;

        /* so that region is asked from the request */
        assert_int_equal(reco_features_resolve(model, &request, NULL,
                                               &features, &err),
                         RECO_INVALID);
        assert_string_equal(err.field, cases[i].field);
        assert_string_equal(err.message, cases[i].message);
    }
}


static void
required_feature(void **state)
{
    reco_model_t  *strict;

    (void) state;

    strict = fixture_model("{\"model\": \"m\", \"actions\": [], \"features\":"
        "[{\"name\": \"age\", \"type\": \"number\", \"required\": true}]}",
        NULL);

    reco_request_reset(&request, 1);
    assert_int_equal(reco_features_resolve(strict, &request, NULL, &features,
                                           &err), RECO_INVALID);
    assert_string_equal(err.field, "age");
    assert_string_equal(err.message, "is missing");

    request.given[0] = fixture_number(0);
    assert_int_equal(reco_features_resolve(strict, &request, NULL, &features,
                                           &err), RECO_OK);
    reco_model_free(strict);
}


/* ---- the clock ---------------------------------------------------------- */

static void
clock_features(void **state)
{
    unsigned  i;

    /* printed by date -u -d @... +'%H %u %m' */
    static const struct {
        uint64_t  ms;
        double    hour, weekday, month, season;
    } times[] = {
        { 0,             0,  4, 1, 0 },    /* 1970-01-01 Thursday */
        { 86399999,      23, 4, 1, 0 },
        { 951782400000,  0,  2, 2, 0 },    /* 2000-02-29 Tuesday */
        { 951868800000,  0,  3, 3, 1 },    /* 2000-03-01 */
        { 1709251199999, 23, 4, 2, 0 },    /* 2024-02-29 Thursday */
        { 1735689599999, 23, 2, 12, 0 },   /* 2024-12-31 Tuesday */
        { 1735689600000, 0,  3, 1, 0 },    /* 2025-01-01 */
        { 1763777700123, 2,  6, 11, 3 },   /* 2025-11-22 02:15 Saturday */
        { 4107542400000, 0,  1, 3, 1 },    /* 2100-03-01 Monday */
        { 1717199999999, 23, 5, 5, 1 },   /* 2024-05-31 23:59:59 */
        { 1717200000000, 0,  6, 6, 2 },   /* 2024-06-01 00:00:00 */
        { 1725148799999, 23, 6, 8, 2 },   /* 2024-08-31 23:59:59 */
        { 1725148800000, 0,  7, 9, 3 },   /* 2024-09-01 00:00:00 */
        { 1733011199999, 23, 6, 11, 3 },   /* 2024-11-30 23:59:59 */
        { 1733011200000, 0,  7, 12, 0 },   /* 2024-12-01 00:00:00 */
        { 1677628799999, 23, 2, 2, 0 },   /* 2023-02-28 23:59:59 */
        { 1677628800000, 0,  3, 3, 1 },   /* 2023-03-01 00:00:00 */
    };

    (void) state;

    for (i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        request.time_ms = times[i].ms;
        resolve(NULL);
        assert_number(HOUR, times[i].hour, RECO_SOURCE_TIME);
        assert_number(WEEKDAY, times[i].weekday, RECO_SOURCE_TIME);
        assert_number(MONTH, times[i].month, RECO_SOURCE_TIME);
        assert_number(SEASON, times[i].season, RECO_SOURCE_TIME);
    }
}


/* ---- conversion of text ------------------------------------------------- */

static void
numbers_from_text(void **state)
{
    unsigned      i;
    reco_value_t  v;

    static const struct {
        const char  *text;
        double       number;
    } good[] = {
        { "0", 0 }, { "-0", 0 }, { "42", 42 }, { "-1.5", -1.5 },
        { "1e3", 1000 }, { "2.5E-1", 0.25 }, { "0.1", 0.1 },
        { "123456789012345678", 123456789012345680.0 },
    };

    static const char *const  bad[] = {
        " 1", "1 ", "+1", ".5", "5.", "01", "1,5", "1e", "0x10", "inf", "nan",
        "-", "--1", "1e999", "12a", "\xd9\xa1",
    };

    (void) state;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        v = fixture_word(good[i].text);
        assert_int_equal(reco_feature_convert(&model->features[AGE], &v, true,
                                              &err), RECO_OK);
        assert_int_equal(v.kind, RECO_VALUE_NUMBER);
        assert_true(v.number == good[i].number);
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        v = fixture_word(bad[i]);
        assert_int_equal(reco_feature_convert(&model->features[AGE], &v, true,
                                              &err), RECO_INVALID);
    }

    v = fixture_word("");
    assert_int_equal(reco_feature_convert(&model->features[AGE], &v, true,
                                          &err), RECO_OK);
    assert_int_equal(v.kind, RECO_VALUE_MISSING);
}


static void
codes_from_text(void **state)
{
    unsigned      i;
    reco_value_t  v;

    static const struct {
        const char  *text;
        double       code;
    } good[] = {
        { "Europa", 0 }, { "América", 1 }, { "America", 1 }, { "Asia", 2 },
        { "1", 1 }, { "2", 2 },
    };

    (void) state;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        v = fixture_word(good[i].text);
        assert_int_equal(reco_feature_convert(&model->features[REGION], &v,
                                              true, &err), RECO_OK);
        assert_true(v.kind == RECO_VALUE_NUMBER && v.number == good[i].code);

        /* what was converted stays as it is */
        assert_int_equal(reco_feature_convert(&model->features[REGION], &v,
                                              false, &err), RECO_OK);
        assert_true(v.kind == RECO_VALUE_NUMBER && v.number == good[i].code);
    }

    v = fixture_word("3");
    assert_int_equal(reco_feature_convert(&model->features[REGION], &v, true,
                                          &err), RECO_INVALID);
    assert_string_equal(err.field, "region");
}


/* A long word is cut between characters: 63 x's, then a two-byte letter over
 * the limit of 64. */
static void
long_words_in_messages(void **state)
{
    char          word[200], expected[200];
    reco_value_t  v;

    (void) state;

    memset(word, 'x', 63);
    strcpy(word + 63, "\xc3\xa9" "and more");
    memset(expected, 0, sizeof(expected));
    strcpy(expected, "unknown word '");
    memset(expected + 14, 'x', 63);
    strcpy(expected + 14 + 63, "'");

    v = fixture_word(word);
    assert_int_equal(reco_feature_convert(&model->features[REGION], &v, false,
                                          &err), RECO_INVALID);
    assert_string_equal(err.message, expected);
}


static void
word_lengths(void **state)
{
    char          word[300];
    reco_value_t  v;

    (void) state;

    memset(word, 'x', sizeof(word));

    v = (reco_value_t) { RECO_VALUE_WORD, 0, { word, 255 } };
    assert_int_equal(reco_feature_convert(&model->features[COUNTRY], &v,
                                          false, &err), RECO_OK);

    v = (reco_value_t) { RECO_VALUE_WORD, 0, { word, 256 } };
    assert_int_equal(reco_feature_convert(&model->features[COUNTRY], &v,
                                          false, &err), RECO_INVALID);
}


/* ---- bins and state keys ------------------------------------------------ */

static void
bins_at_their_edges(void **state)
{
    const reco_feature_t  *f = &model->features[AGE];

    (void) state;

    assert_int_equal(reco_feature_bin(f, -1e9), 0);
    assert_int_equal(reco_feature_bin(f, nextafter(18, 0)), 0);
    assert_int_equal(reco_feature_bin(f, 18), 1);
    assert_int_equal(reco_feature_bin(f, nextafter(30, 0)), 1);
    assert_int_equal(reco_feature_bin(f, 30), 2);
    assert_int_equal(reco_feature_bin(f, 64.9), 2);
    assert_int_equal(reco_feature_bin(f, 65), 3);
    assert_int_equal(reco_feature_bin(f, 1e300), 3);
}


static void
state_keys(void **state)
{
    char  key[64];

    static const char  expected[] = "2\x1fGB\x1f" "1\x1f" "3\x1f" "0\x1f"
                                    "0\x1f" "0\x1f" "12";
    static const char  empty[] = "\x1fZZ\x1f\x1f" "0\x1f" "0\x1f" "0\x1f"
                                 "0\x1f" "1";

    (void) state;

    request.given[AGE] = fixture_number(30);
    request.given[COUNTRY] = fixture_word("GB");
    request.given[REGION] = fixture_word("America");
    request.time_ms = 18 * 3600 * 1000;
    resolve(NULL);

    assert_int_equal(reco_state_key(model, &features, 0, 12, key, sizeof(key)),
                     sizeof(expected) - 1);
    assert_memory_equal(key, expected, sizeof(expected) - 1);

    /* just enough room, and one byte less */
    assert_int_equal(reco_state_key(model, &features, 0, 12, key,
                                    sizeof(expected) - 1),
                     sizeof(expected) - 1);
    assert_int_equal(reco_state_key(model, &features, 0, 12, key,
                                    sizeof(expected) - 2), 0);

    reco_request_reset(&request, NFEATURES);
    resolve(NULL);
    assert_int_equal(reco_state_key(model, &features, 0, 1, key, sizeof(key)),
                     sizeof(empty) - 1);
    assert_memory_equal(key, empty, sizeof(empty) - 1);
}


static void
state_keys_without_fields(void **state)
{
    char           key[8];
    reco_model_t  *m;

    (void) state;

    m = fixture_model("{\"model\": \"m\", \"actions\": [], \"policy\":"
                      "{\"type\": \"p_table\", \"state\": []}}", NULL);
    assert_int_equal(reco_state_key(m, &features, 0, 1, key, sizeof(key)), 1);
    assert_int_equal(key[0], 0x1f);
    reco_model_free(m);

    m = fixture_model("{\"model\": \"m\", \"actions\": [], \"policy\":"
                      "{\"type\": \"p_table\", \"state\": [],"
                      " \"per_slot\": true}}", NULL);
    assert_int_equal(reco_state_key(m, &features, 0, 64, key, sizeof(key)), 2);
    assert_memory_equal(key, "64", 2);
    reco_model_free(m);

    /* a feature that nobody has; then a category as a number */
    m = fixture_model("{\"model\": \"m\", \"actions\": [], \"features\":"
                      "[{\"name\": \"c\", \"type\": \"category\"}],"
                      "\"policy\": {\"type\": \"q_table\"}}", NULL);
    features.value[0] = (reco_value_t) { 0 };
    assert_int_equal(reco_state_key(m, &features, 0, 1, key, sizeof(key)), 1);
    assert_int_equal(key[0], 0x1f);
    features.value[0] = fixture_number(-12);
    assert_int_equal(reco_state_key(m, &features, 0, 1, key, sizeof(key)), 3);
    assert_memory_equal(key, "-12", 3);
    reco_model_free(m);
}


/* 16 words of 255 bytes, an empty one and the 16 bytes between them are 4,096
 * bytes; one more is too many. */
static void
longest_state_key(void **state)
{
    int            n;
    char           spec[4096], key[2 * RECO_MAX_STATE_KEY], word[255];
    uint32_t       i;
    reco_model_t  *m;

    (void) state;

    n = sprintf(spec, "{\"model\": \"m\", \"actions\": [], \"policy\":"
                "{\"type\": \"q_table\"}, \"features\": [");

    for (i = 0; i < 17; i++) {
        n += sprintf(spec + n, "%s{\"name\": \"f%u\", \"type\": \"category\"}",
                     i == 0 ? "" : ",", i);
    }

    strcpy(spec + n, "]}");
    m = fixture_model(spec, NULL);
    memset(word, 'w', sizeof(word));

    for (i = 0; i < 16; i++) {
        features.value[i] = (reco_value_t) { RECO_VALUE_WORD, 0,
                                             { word, sizeof(word) } };
    }

    features.value[16] = (reco_value_t) { 0 };
    assert_int_equal(reco_state_key(m, &features, 0, 1, key, sizeof(key)), 4096);

    features.value[16] = fixture_word("x");
    assert_int_equal(reco_state_key(m, &features, 0, 1, key, sizeof(key)), 0);

    reco_model_free(m);
}


#define TEST(f)  cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        TEST(first_source_wins),
        TEST(request_fields),
        TEST(customer_fields),
        TEST(request_faults),
        TEST(required_feature),
        TEST(clock_features),
        TEST(numbers_from_text),
        TEST(codes_from_text),
        TEST(long_words_in_messages),
        TEST(word_lengths),
        TEST(bins_at_their_edges),
        TEST(state_keys),
        TEST(state_keys_without_fields),
        TEST(longest_state_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
