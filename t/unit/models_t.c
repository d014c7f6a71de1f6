/*
 * models_t.c - the specs in conf/models and the examples in docs/SPEC.md: all
 * of them are read and bound, and those of the offers agent say what its
 * contract says.
 */

#include <dirent.h>

#include "model_fixture.h"

#define N(array)  (sizeof(array) / sizeof((array)[0]))

static reco_error_t  err;
static char          text[1 << 16];


static void
read_file(const char *path)
{
    FILE    *f;
    size_t   n;

    f = fopen(path, "r");

    if (f == NULL) {
        fail_msg("cannot open %s; tests run in the repository's root", path);
    }

    n = fread(text, 1, sizeof(text) - 1, f);
    text[n] = '\0';
    fclose(f);
}


static reco_model_t *
shipped(const char *name)
{
    char  path[512];

    snprintf(path, sizeof(path), "conf/models/%s", name);
    read_file(path);

    return fixture_model(text, NULL);
}


static void
every_shipped_spec(void **state)
{
    DIR            *dir;
    int             n = 0;
    struct dirent  *entry;

    (void) state;

    dir = opendir("conf/models");
    assert_non_null(dir);

    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.'
            && strstr(entry->d_name, ".json") != NULL)
        {
            reco_model_free(shipped(entry->d_name));
            n++;
        }
    }

    closedir(dir);
    assert_true(n >= 7);
}


static void
documented_examples(void **state)
{
    int            n = 0;
    char          *p, *end;
    reco_str_t     file;
    reco_model_t  *m;

    (void) state;

    read_file("docs/SPEC.md");

    for (p = text; (p = strstr(p, "```json\n")) != NULL; p = end + 3) {
        p += 8;
        end = strstr(p, "```");
        assert_non_null(end);

        if (reco_spec_read((reco_str_t) { p, (size_t) (end - p) }, &m, &file,
                           &err) != RECO_OK)
        {
            fail_msg("%.40s: %s: %s", p, err.field, err.message);
        }

        if (file.len == 0) {
            assert_int_equal(reco_spec_bind(m, NULL, 0, NULL, 0, &err),
                             RECO_OK);
        }

        reco_model_free(m);
        n++;
    }

    assert_true(n >= 5);
}


/* The states of one request, as the cart's spec groups what is in it. */
static void
cart_states(void **state)
{
    char                    key[RECO_MAX_STATE_KEY];
    size_t                  i, n;
    reco_model_t           *m;
    reco_features_t         f;
    static reco_request_t   request;

    static const char *const  keys[] = {
        "0\x1f" "0\x1f" "2\x1fhigh\x1fother\x1fmugs\x1f" "3\x1f" "0\x1f"
        "0\x1fGB\x1fmobile",
        "\x1e" "1\x1f" "0\x1f" "0\x1f" "2\x1fhigh",
        "\x1e" "2\x1f" "0\x1f" "0\x1fhigh",
        "\x1e" "3\x1f" "0\x1fhigh",
        "\x1e" "4\x1fhigh",
        "\x1e" "5\x1f",
    };

    const struct {
        const char    *field;
        reco_value_t   value;
    } given[] = {
        { "cart_total", fixture_number(42.5) },
        { "item_count", fixture_number(2) },
        { "time_in_session", fixture_number(300) },     /* 300 to 900 */
        { "price_sensitivity", fixture_word("high") },
        { "engagement_level", fixture_word("VIP") },    /* unheard of */
        { "category_preferences", fixture_word("mugs") },
        { "country", fixture_word("GB") },
        { "device_type", fixture_word("mobile") },
    };

    (void) state;

    m = shipped("cart.json");
    assert_int_equal(m->nfeatures, 11);
    assert_int_equal(m->catalogue.n, 6);
    assert_int_equal(m->items.slate, 5);
    assert_int_equal(m->policy.nlevels, N(keys));

    reco_request_reset(&request, m->nfeatures);
    request.time_ms = UINT64_C(1709229600000);  /* 2024-02-29 18:00, Thursday */

    for (i = 0; i < N(given); i++) {
        request.given[reco_model_request_feature(m,
                          fixture_str(given[i].field))] = given[i].value;
    }

    assert_int_equal(reco_features_resolve(m, &request, NULL, &f, &err),
                     RECO_OK);
    assert_int_equal(reco_state_unseen(m, &f), 1);

    for (i = 0; i < N(keys); i++) {
        n = reco_state_key(m, &f, (uint32_t) i, 1, key, sizeof(key));
        assert_int_equal(n, strlen(keys[i]));
        assert_memory_equal(key, keys[i], n);
    }

    reco_model_free(m);
}


/* The agent's weights, with the case that applies last. */
static void
offers_weights(void **state)
{
    size_t                  i, j;
    reco_mask_t             all;
    reco_model_t           *m;
    reco_features_t         f;
    static reco_scratch_t   scratch;
    uint64_t                p[6];

    enum { NONE = -1 };

    static const struct {
        int     age, region, gender;
        double  weights[6];
    } cases[] = {
        { NONE, NONE, NONE, { 8, 6, 10, 6, 4, 4 } },
        { 30, NONE, NONE,   { 8, 6, 10, 6, 4, 4 } },
        { 29, NONE, NONE,   { 10, 8, 6, 6, 6, 4 } },
        { 29, 0, NONE,      { 10, 8, 6, 6, 10, 10 } },
        { 50, 1, NONE,      { 4, 8, 6, 6, 10, 10 } },
        { 29, 2, NONE,      { 4, 10, 10, 6, 4, 4 } },
        { 29, 2, 0,         { 10, 10, 10, 6, 4, 4 } },
        { 50, 1, 1,         { 4, 4, 6, 10, 10, 10 } },
    };

    (void) state;

    m = shipped("offers.json");
    assert_int_equal(m->policy.slate, 3);
    assert_int_equal(m->catalogue.n, 6);
    f.n = 3;

    for (i = 0; i < N(cases); i++) {
        f.value[0] = f.value[1] = f.value[2] = (reco_value_t) { 0 };

        if (cases[i].age != NONE) {
            f.value[0] = fixture_number(cases[i].age);
        }

        if (cases[i].region != NONE) {
            f.value[1] = fixture_number(cases[i].region);
        }

        if (cases[i].gender != NONE) {
            f.value[2] = fixture_number(cases[i].gender);
        }

        assert_int_equal(reco_eligible(m, &f, false, NULL, &all), 6);
        reco_distribution(m, &f, &all, NULL, 1, &scratch, NULL, NULL);
        reco_quantise(cases[i].weights, 6, p);

        for (j = 0; j < 6; j++) {
            assert_int_equal(scratch.p[j], p[j]);
        }
    }

    reco_model_free(m);
}


static void
offers_words(void **state)
{
    size_t         i;
    reco_value_t   v;
    reco_model_t  *m;

    static const struct {
        int          feature;
        const char  *word;
        double       code;
    } words[] = {
        { 1, "Europa", 0 }, { 1, "Europe", 0 }, { 1, "America", 1 },
        { 1, "Am\xc3\xa9rica", 1 }, { 1, "Asia", 2 }, { 1, "asia", 2 },
        { 2, "M", 0 }, { 2, "F", 1 }, { 2, "f", 1 },
    };

    (void) state;

    m = shipped("offers.json");

    for (i = 0; i < N(words); i++) {
        v = fixture_word(words[i].word);
        assert_int_equal(reco_feature_convert(&m->features[words[i].feature],
                                              &v, false, &err), RECO_OK);
        assert_true(v.number == words[i].code);
    }

    v = fixture_word("Oceania");
    assert_int_equal(reco_feature_convert(&m->features[1], &v, false, &err),
                     RECO_INVALID);
    assert_string_equal(err.field, "region");
    reco_model_free(m);
}


static void
company_b_rules(void **state)
{
    reco_mask_t       out, expected;
    reco_model_t     *m;
    reco_features_t   f;

    (void) state;

    m = shipped("company-b.json");
    f.n = 3;
    f.value[0] = fixture_number(65);
    f.value[1] = fixture_number(0);
    f.value[2] = (reco_value_t) { 0 };

    reco_eligible(m, &f, false, NULL, &out);
    expected = fixture_mask("111000");
    assert_memory_equal(&out, &expected, sizeof(out));

    f.value[0] = fixture_number(66);
    reco_eligible(m, &f, false, NULL, &out);
    expected = fixture_mask("010000");
    assert_memory_equal(&out, &expected, sizeof(out));

    f.value[1] = fixture_number(1);
    reco_eligible(m, &f, false, NULL, &out);
    expected = fixture_mask("010011");
    assert_memory_equal(&out, &expected, sizeof(out));
    reco_model_free(m);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(every_shipped_spec),
        cmocka_unit_test(documented_examples),
        cmocka_unit_test(cart_states),
        cmocka_unit_test(offers_weights),
        cmocka_unit_test(offers_words),
        cmocka_unit_test(company_b_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
