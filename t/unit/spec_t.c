/*
 * spec_t.c - the spec reader: what a spec becomes; binding to a catalogue;
 * resolving quantiles; durations. What it refuses is in spec_faults_t.c.
 */

#include <math.h>

#include "model_fixture.h"

#define N(array)  (sizeof(array) / sizeof((array)[0]))
#define A         "\"actions\": [{\"id\": \"A\"}]"

static reco_error_t  err;


static void
assert_str(reco_str_t got, const char *expected)
{
    assert_int_equal(got.len, strlen(expected));
    assert_memory_equal(got.data, expected, got.len);
}


/* ---- what it becomes ---------------------------------------------------- */

static void
whole_spec(void **state)
{
    reco_model_t          *m;
    const reco_term_t     *t;
    const reco_feature_t  *f;

    (void) state;

    m = fixture_model(
        "{\"model\": \"cart\", \"version\": \"1.0.0\", \"features\": ["
        " {\"name\": \"cart_total\", \"type\": \"number\","
        "  \"from\": [\"request\", \"customer\"],"
        "  \"bins\": {\"quantiles\": 8}, \"default\": 0},"
        " {\"name\": \"country\", \"type\": \"category\","
        "  \"from\": [\"request\", \"geo.country\", \"customer.land\"]},"
        " {\"name\": \"hour_of_day\", \"type\": \"number\","
        "  \"from\": [\"time.hour\"], \"bins\": [6, 12, 18]}],"
        "\"actions\": [{\"id\": \"A\", \"name\": \"Apple\", \"price\": 1.25,"
        "  \"category\": \"fruit\"}, {\"id\": \"B\", \"active\": false}],"
        "\"rules\": [{\"when\": {\"cart_total\": {\">\": 65}},"
        "  \"deny\": [\"B\"]}],"
        "\"policy\": {\"type\": \"q_table\", \"epsilon\": 0.2, \"slate\": 3,"
        "  \"state\": [\"hour_of_day\", \"cart_total\"]},"
        "\"reward\": {\"conversion\": 1.0, \"click\": 0.5,"
        "  \"dwell\": {\"over\": \"60s\", \"value\": 0.5},"
        "  \"revenue_per_unit\": 0.01,"
        "  \"retention\": {\"on\": \"next_session\","
        "    \"window\": \"7d\", \"value\": 0.3},"
        "  \"dislike\": -0.5, \"horizon\": \"45m\", \"default\": -0.1}}",
        NULL);

    assert_str(m->name, "cart");
    assert_str(m->version, "1.0.0");
    assert_int_equal(m->nfeatures, 3);

    f = &m->features[0];
    assert_str(f->name, "cart_total");
    assert_int_equal(f->type, RECO_FEATURE_NUMBER);
    assert_int_equal(f->quantiles, 8);
    assert_int_equal(f->nedges, 0);
    assert_int_equal(f->nfrom, 2);
    assert_int_equal(f->from[1].source, RECO_SOURCE_CUSTOMER);
    assert_str(f->from[1].field, "cart_total");
    assert_int_equal(f->fallback.kind, RECO_VALUE_NUMBER);
    assert_true(f->fallback.number == 0);

    f = &m->features[1];
    assert_int_equal(f->type, RECO_FEATURE_CATEGORY);
    assert_int_equal(f->nfrom, 3);
    assert_int_equal(f->from[1].source, RECO_SOURCE_GEO);
    assert_str(f->from[1].field, "country");
    assert_str(f->from[2].field, "land");
    assert_int_equal(f->fallback.kind, RECO_VALUE_MISSING);

    f = &m->features[2];
    assert_int_equal(f->from[0].source, RECO_SOURCE_TIME);
    assert_int_equal(f->from[0].index, RECO_TIME_HOUR);
    assert_int_equal(f->nedges, 3);
    assert_true(f->edges[0] == 6 && f->edges[1] == 12 && f->edges[2] == 18);

    assert_int_equal(m->catalogue.n, 2);
    assert_str(m->catalogue.actions[0].name, "Apple");
    assert_str(m->catalogue.actions[0].category, "fruit");
    assert_true(m->catalogue.actions[0].price == 1.25);
    assert_true(isnan(m->catalogue.actions[1].price));
    assert_true(reco_mask_get(&m->active, 0));
    assert_false(reco_mask_get(&m->active, 1));

    assert_int_equal(m->policy.type, RECO_POLICY_Q_TABLE);
    assert_string_equal(reco_policy_name(&m->policy), "q_table");
    assert_int_equal(m->policy.slate, 3);
    assert_true(m->policy.epsilon == 0.2 && m->policy.temperature == -1);
    assert_int_equal(m->policy.levels[0].n, 2);
    assert_int_equal(m->policy.levels[0].features[0], 2);
    assert_int_equal(m->policy.levels[0].features[1], 0);

    t = m->reward.terms;
    assert_int_equal(m->reward.nterms, 6);
    assert_int_equal(m->reward.horizon_ms, 2700000);
    assert_true(m->reward.fallback == -0.1);
    assert_str(t[0].fact, "conversion");
    assert_int_equal(t[0].kind, RECO_TERM_PRESENT);
    assert_true(t[0].value == 1 && t[0].window_ms == 2700000);
    assert_str(t[2].fact, "dwell");
    assert_int_equal(t[2].kind, RECO_TERM_OVER);
    assert_true(t[2].over == 60 && t[2].value == 0.5);
    assert_str(t[3].fact, "revenue");
    assert_int_equal(t[3].kind, RECO_TERM_PER_UNIT);
    assert_str(t[4].fact, "retention");
    assert_int_equal(t[4].kind, RECO_TERM_PRESENT);
    assert_int_equal(t[4].window_ms, 604800000);
    assert_true(t[4].next_session && !t[2].next_session);
    assert_true(t[5].value == -0.5);

    reco_model_free(m);
}


static void
defaults(void **state)
{
    reco_model_t  *m;

    (void) state;

    m = fixture_model("{\"model\": \"m\", \"actions\": [{\"id\": \"A\"}]}",
                      NULL);
    assert_str(m->version, "0");
    assert_int_equal(m->nfeatures, 0);
    assert_int_equal(m->nrules, 0);
    assert_int_equal(m->policy.type, RECO_POLICY_UNIFORM);
    assert_int_equal(m->policy.slate, 1);
    assert_false(m->policy.sticky);
    assert_int_equal(m->reward.nterms, 0);
    assert_int_equal(m->reward.horizon_ms, 1800000);
    assert_true(m->reward.fallback == 0);
    assert_str(m->customer_column, "customer");
    reco_model_free(m);

    m = fixture_model("{\"model\": \"m\", " A ", \"policy\":"
                      "{\"type\": \"q_table\"}}", NULL);
    assert_true(m->policy.epsilon == 0.1 && m->policy.temperature == -1);
    reco_model_free(m);

    m = fixture_model("{\"model\": \"m\", " A ", \"policy\":"
                      "{\"type\": \"q_table\", \"temperature\": 2}}", NULL);
    assert_true(m->policy.epsilon == -1 && m->policy.temperature == 2);
    reco_model_free(m);

    m = fixture_model("{\"model\": \"m\", " A ", \"policy\":"
                      "{\"type\": \"p_table\", \"sticky\": true}}", NULL);
    assert_true(m->policy.floor == 0.01 && m->policy.sticky);
    reco_model_free(m);
}


/* XXH3-128, canonical: printed by python-xxhash. */
static void
salts(void **state)
{
    reco_model_t  *m;

    static const uint8_t  by_name[] = {
        0x97, 0x11, 0x12, 0xbd, 0x8c, 0x9d, 0xba, 0x0f,
        0x49, 0xad, 0x1a, 0xa3, 0xbd, 0x3c, 0x0e, 0x04
    };
    static const uint8_t  given[] = {
        0x9e, 0x23, 0xab, 0x91, 0x69, 0xf7, 0xe8, 0x45,
        0x98, 0xa6, 0x9e, 0xa4, 0x61, 0x41, 0x5c, 0x14
    };

    (void) state;

    m = fixture_model("{\"model\": \"minimal\", " A "}", NULL);
    assert_memory_equal(m->salt, by_name, 16);
    reco_model_free(m);

    m = fixture_model("{\"model\": \"minimal\", \"salt\": \"experiment-7\", "
                      A "}", NULL);
    assert_memory_equal(m->salt, given, 16);
    reco_model_free(m);
}


/* ---- binding ------------------------------------------------------------ */

static reco_model_t *
unbound(const char *spec)
{
    reco_model_t  *m;

    if (reco_spec_read(fixture_str(spec), &m, NULL, &err) != RECO_OK) {
        fail_msg("%s: %s", err.field, err.message);
    }

    return m;
}


static void
given_catalogue(void **state)
{
    reco_str_t      file, fields[] = { RECO_STR("x"), RECO_STR("age") };
    reco_model_t   *m;
    reco_action_t   actions[] = {
        { RECO_STR("B"), RECO_STR("Bread"), RECO_STR("food"), 2, true },
        { RECO_STR("C"), RECO_STR(""), RECO_STR(""), NAN, false },
    };

    (void) state;

    assert_int_equal(reco_spec_read(RECO_STR("{\"model\": \"m\", \"actions\":"
        "{\"file\": \"offers.csv\"}, \"features\": [{\"name\": \"age\","
        "\"type\": \"number\", \"from\": [\"customer\", \"customer.years\"]}],"
        "\"rules\": [{\"allow\": [\"C\", \"B\"]}], \"policy\":"
        "{\"type\": \"weights\", \"weights\": {\"C\": 3}}}"), &m, &file, &err),
        RECO_OK);
    assert_str(file, "offers.csv");
    assert_int_equal(m->catalogue.n, 0);

    assert_int_equal(reco_spec_bind(m, actions, 2, fields, 2, &err), RECO_OK);
    memset(actions, 0xee, sizeof(actions));

    assert_int_equal(m->catalogue.n, 2);
    assert_str(m->catalogue.actions[0].id, "B");
    assert_str(m->catalogue.actions[0].name, "Bread");
    assert_str(m->catalogue.actions[1].name, "");
    assert_int_equal(reco_catalogue_find(&m->catalogue, RECO_STR("C")), 1);
    assert_int_equal(reco_catalogue_find(&m->catalogue, RECO_STR("A")), -1);
    assert_int_equal(m->rules[0].actions[0], 1);
    assert_int_equal(m->rules[0].actions[1], 0);
    assert_int_equal(m->rules[0].mask->bits[0], 3);
    assert_int_equal(m->active.bits[0], 1);
    assert_int_equal(m->features[0].from[0].index, 1);
    assert_int_equal(m->features[0].from[1].index, -1);
    assert_int_equal(m->policy.cases[0].nweights, 2);
    assert_true(m->policy.cases[0].weights[0] == 0);
    assert_true(m->policy.cases[0].weights[1] == 3);
    reco_model_free(m);
}


static void
inline_catalogue_has_no_file(void **state)
{
    reco_str_t     file = RECO_STR("old");
    reco_model_t  *m;

    (void) state;

    assert_int_equal(reco_spec_read(RECO_STR("{\"model\": \"m\", " A "}"), &m,
                                    &file, &err), RECO_OK);
    assert_int_equal(file.len, 0);
    reco_model_free(m);

    /* a catalogue may be empty: nothing is eligible then */
    m = fixture_model("{\"model\": \"m\", \"actions\": []}", NULL);
    assert_int_equal(m->catalogue.n, 0);
    assert_int_equal(reco_catalogue_find(&m->catalogue, RECO_STR("A")), -1);
    reco_model_free(m);
}


static void
columns(void **state)
{
    reco_model_t  *m;

    (void) state;

    m = fixture_model("{\"model\": \"m\", " A ", \"features\": [{\"name\":"
        "\"age\", \"type\": \"number\", \"from\": [\"request.years\"]}],"
        "\"columns\": {\"customer\": \"CLIENT\", \"features\":"
        "{\"years\": \"AGE\"}, \"actions\": {\"A\": \"MAY_SEE_A\"}}}", NULL);
    assert_str(m->customer_column, "CLIENT");
    assert_int_equal(m->nfeature_columns, 1);
    assert_str(m->feature_columns[0].name, "years");
    assert_str(m->feature_columns[0].column, "AGE");
    assert_int_equal(m->naction_columns, 1);
    assert_str(m->action_columns[0].name, "A");
    assert_str(m->action_columns[0].column, "MAY_SEE_A");
    reco_model_free(m);
}


/* ---- quantiles ---------------------------------------------------------- */

#define QUANTILES  "{\"version\": \"1\", \"model\": \"m\", " A \
    ", \"features\": [{\"name\": \"c\", \"type\": \"category\"}, " \
    "{\"type\": \"number\", \"name\": \"x\", \"bins\": {\"quantiles\": 4}}, " \
    "{\"name\": \"y\", \"type\": \"number\", \"bins\": {\"quantiles\": 2}}]}"
#define RESOLVED  "{\"actions\":[{\"id\":\"A\"}],\"features\":[{\"name\":" \
    "\"c\",\"type\":\"category\"},{\"bins\":{\"edges\":[0.5,2.0],"\
    "\"quantiles\":4},\"name\":\"x\",\"type\":\"number\"},{\"bins\":" \
    "{\"edges\":[],\"quantiles\":2},\"name\":\"y\",\"type\":\"number\"}]," \
    "\"model\":\"m\",\"version\":\"1\"}"

static void
resolved_quantiles(void **state)
{
    char           *out;
    double          x[] = { 0.5, 2, 3, 4 };
    size_t          len;
    reco_model_t   *m;
    reco_learned_t  learned[] = { { 0 }, { true, x, 2, NULL, 0 },
                                  { true, NULL, 0, NULL, 0 } };

    (void) state;

    m = unbound(QUANTILES);
    assert_int_equal(reco_spec_resolve(RECO_STR(QUANTILES), m, learned,
                                       &out, &len, &err), RECO_OK);
    assert_string_equal(out, RESOLVED);
    assert_int_equal(len, strlen(out));
    reco_model_free(m);

    m = unbound(out);
    assert_int_equal(m->features[1].quantiles, 4);
    assert_int_equal(m->features[1].nedges, 2);
    assert_int_equal(reco_feature_bin(&m->features[1], 0.4), 0);
    assert_int_equal(reco_feature_bin(&m->features[1], 0.5), 1);
    assert_int_equal(reco_feature_bin(&m->features[1], 2), 2);
    assert_int_equal(reco_feature_bin(&m->features[2], 1e9), 0);
    free(out);

    /* what is resolved stays so */
    assert_int_equal(reco_spec_resolve(RECO_STR(RESOLVED), m, NULL,
                                       &out, &len, &err), RECO_OK);
    assert_string_equal(out, RESOLVED);
    free(out);

    x[1] = 0.5;
    assert_int_equal(reco_spec_resolve(RECO_STR(QUANTILES), m, learned,
                                       &out, &len, &err), RECO_INVALID);
    assert_string_equal(err.field, "$.features[1].bins");
    assert_null(out);

    x[1] = 2;
    learned[1].nedges = 4;
    assert_int_equal(reco_spec_resolve(RECO_STR(QUANTILES), m, learned,
                                       &out, &len, &err), RECO_INVALID);
    assert_string_equal(err.field, "$.features[1].bins");
    reco_model_free(m);
}


#define TOP_2  "{\"actions\":[],\"features\":[{\"name\":\"c\"," \
    "\"type\":\"category\",\"vocabulary\":{\"top\":2%s}}]," \
    "\"model\":\"m\"}"

static void
resolved_vocabulary(void **state)
{
    char            spec[256], expected[256], *out;
    size_t          len;
    reco_str_t      words[] = { RECO_STR("b"), RECO_STR("aa"),
                                RECO_STR("a") };
    reco_model_t   *m;
    reco_learned_t  learned = { true, NULL, 0, words, 2 };

    (void) state;

    snprintf(spec, sizeof(spec), TOP_2, "");
    snprintf(expected, sizeof(expected), TOP_2, ",\"words\":[\"b\",\"aa\"]");
    m = unbound(spec);
    assert_int_equal(m->features[0].top, 2);
    assert_int_equal(m->features[0].nwords, 0);

    assert_int_equal(reco_spec_resolve(fixture_str(spec), m, &learned, &out,
                                       &len, &err), RECO_OK);
    assert_string_equal(out, expected);
    reco_model_free(m);

    /* in the model they rise */
    m = unbound(out);
    free(out);
    assert_int_equal(m->features[0].nwords, 2);
    assert_str(m->features[0].words[0], "aa");
    assert_str(m->features[0].words[1], "b");

    learned.nwords = 3;
    assert_int_equal(reco_spec_resolve(fixture_str(spec), m, &learned, &out,
                                       &len, &err), RECO_INVALID);
    assert_string_equal(err.field, "$.features[0].vocabulary");
    learned.nwords = 0;
    assert_int_equal(reco_spec_resolve(fixture_str(spec), m, &learned, &out,
                                       &len, &err), RECO_INVALID);
    assert_null(out);
    reco_model_free(m);
}


/* ---- learning, history, coarser states ---------------------------------- */

static void
learning_and_history(void **state)
{
    reco_model_t  *m;

    (void) state;

    m = unbound("{\"model\": \"m\", " A "}");
    assert_true(m->learning.learning_rate == 0.01);
    assert_true(m->learning.discount_factor == 0.95);
    assert_int_equal(m->learning.episode_gap_ms, 1800000);
    assert_true(m->learning.shrinkage == 10);
    assert_int_equal(m->learning.max_states, 1000000);
    assert_int_equal(m->history.recommendations_ms, 0);
    reco_model_free(m);

    m = unbound("{\"model\": \"m\", " A ", \"learning\":"
        "{\"learning_rate\": 1, \"discount_factor\": 0, \"episode_gap\":"
        " \"1h\", \"shrinkage\": 0, \"max_states\": 4294967295,"
        " \"description\": \"x\"}, \"history\": {\"recommendations\":"
        " \"7d\", \"agent\": \"30d\", \"rewards\": \"90d\"}}");
    assert_true(m->learning.learning_rate == 1);
    assert_true(m->learning.discount_factor == 0);
    assert_int_equal(m->learning.episode_gap_ms, 3600000);
    assert_true(m->learning.shrinkage == 0);
    assert_int_equal(m->learning.max_states, 4294967295u);
    assert_int_equal(m->history.recommendations_ms, 604800000);
    assert_int_equal(m->history.agent_ms, 2592000000u);
    assert_int_equal(m->history.rewards_ms, 7776000000u);
    reco_model_free(m);
}


static void
coarser_states(void **state)
{
    reco_model_t          *m;
    const reco_policy_t   *p;

    (void) state;

    m = unbound("{\"model\": \"m\", " A ", \"features\": ["
        "{\"name\": \"a\", \"type\": \"category\"},"
        "{\"name\": \"b\", \"type\": \"category\"}], \"policy\":"
        "{\"type\": \"q_table\", \"backoff\": [[\"b\"], []],"
        " \"min_visits\": 20, \"epsilon\":"
        " {\"start\": 1, \"end\": 0.1, \"visits\": 200}}}");
    p = &m->policy;
    assert_int_equal(p->nlevels, 3);
    assert_int_equal(p->levels[0].n, 2);
    assert_int_equal(p->levels[1].n, 1);
    assert_int_equal(p->levels[1].features[0], 1);
    assert_int_equal(p->levels[2].n, 0);
    assert_int_equal(p->min_visits, 20);
    assert_true(p->epsilon == 0.1 && p->epsilon_start == 1);
    assert_int_equal(p->epsilon_visits, 200);
    reco_model_free(m);

    m = unbound("{\"model\": \"m\", " A ", \"policy\":"
                "{\"type\": \"q_table\"}}");
    p = &m->policy;
    assert_int_equal(p->nlevels, 1);
    assert_int_equal(p->min_visits, 0);
    assert_true(p->epsilon == 0.1 && p->epsilon_start == 0.1);
    assert_int_equal(p->epsilon_visits, 0);
    reco_model_free(m);
}


/* ---- durations ---------------------------------------------------------- */

static void
durations(void **state)
{
    size_t    i;
    uint64_t  ms;

    static const struct {
        const char  *text;
        uint64_t     ms;
    } good[] = {
        { "250ms", 250 }, { "30s", 30000 }, { "30m", 1800000 },
        { "2h", 7200000 }, { "7d", 604800000 }, { "15", 15000 }, { "0", 0 },
        { "18446744073709551615ms", UINT64_MAX },
    };

    static const char *const  bad[] = {
        "", "s", "-1s", "1.5h", " 1s", "1 s", "1S", "1w", "1ss",
        "18446744073709551616ms", "18446744073709551615s",
    };

    (void) state;

    for (i = 0; i < N(good); i++) {
        ms = 1;
        assert_true(reco_duration_parse(fixture_str(good[i].text), &ms));
        assert_true(ms == good[i].ms);
    }

    for (i = 0; i < N(bad); i++) {
        assert_false(reco_duration_parse(fixture_str(bad[i]), &ms));
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(whole_spec),
        cmocka_unit_test(defaults),
        cmocka_unit_test(salts),
        cmocka_unit_test(given_catalogue),
        cmocka_unit_test(inline_catalogue_has_no_file),
        cmocka_unit_test(columns),
        cmocka_unit_test(resolved_quantiles),
        cmocka_unit_test(resolved_vocabulary),
        cmocka_unit_test(learning_and_history),
        cmocka_unit_test(coarser_states),
        cmocka_unit_test(durations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
