/*
 * spec_t.c - the spec reader: what a spec becomes, what it refuses and where
 * it says the fault is, its limits at their edge; binding to a catalogue;
 * resolving quantiles; the specs in conf/models.
 */

#include <dirent.h>
#include <math.h>

#include "model_fixture.h"

#define N(array)  (sizeof(array) / sizeof((array)[0]))
#define A         "\"actions\": [{\"id\": \"A\"}]"
#define AGE       "\"features\": [{\"name\": \"age\", \"type\": \"number\"}]"

static reco_error_t  err;


static void
assert_str(reco_str_t got, const char *expected)
{
    assert_int_equal(got.len, strlen(expected));
    assert_memory_equal(got.data, expected, got.len);
}


static reco_status_t
read_status(const char *spec)
{
    reco_status_t   status;
    reco_model_t   *model;

    memset(&err, 0xee, sizeof(err));
    status = reco_spec_read(fixture_str(spec), &model, NULL, &err);
    assert_true((status == RECO_OK) == (model != NULL));
    reco_model_free(model);

    return status;
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
        "  \"retention\": {\"window\": \"7d\", \"value\": 0.3},"
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
    assert_int_equal(m->policy.nstate, 2);
    assert_int_equal(m->policy.state[0], 2);
    assert_int_equal(m->policy.state[1], 0);

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


/* ---- what it refuses ---------------------------------------------------- */

#define F1(members)  "{\"model\": \"m\", " A ", \"features\": [" \
    "{\"name\": \"f\", " members "}]}"
#define WHEN(condition)  "{\"model\": \"m\", " A ", \"features\": [" \
    "{\"name\": \"age\", \"type\": \"number\"}," \
    "{\"name\": \"sex\", \"type\": \"category\"," \
    " \"codes\": {\"M\": 0, \"F\": 1}}," \
    "{\"name\": \"city\", \"type\": \"category\"}]," \
    "\"rules\": [{\"when\": " condition ", \"deny\": [\"A\"]}]}"
#define RULE(rule)  "{\"model\": \"m\", " A ", \"rules\": [" rule "]}"
#define POLICY(members)  "{\"model\": \"m\", " A ", " AGE \
    ", \"policy\": {" members "}}"
#define REWARD(reward)  "{\"model\": \"m\", " A ", \"reward\": " reward "}"
#define COLUMNS(columns)  "{\"model\": \"m\", " A ", " AGE \
    ", \"columns\": " columns "}"

static const struct {
    const char  *spec;
    const char  *path;
    const char  *words;         /* of the message */
} faults[] = {
    /* top level */
    { "[]", "$", "must be an object" },
    { "{}", "$.model", "is missing" },
    { "{\"model\": \"\"}", "$.model", "1 to 255 bytes" },
    { "{\"model\": 7}", "$.model", "must be a string" },
    { "{\"model\": \"a\\nb\"}", "$.model", "control characters" },
    { "{\"model\": \"m\"}", "$.actions", "must be an array" },
    { "{\"model\": \"m\", \"actions\": null}", "$.actions", "must be an" },
    { "{\"model\": \"m\", " A ", \"colour\": 1}", "$.colour", "not a member" },
    { "{\"model\": \"m\", " A ", \"a b\": 1}", "$[\"a b\"]", "not a member" },
    { "{\"model\": \"m\", " A ", \"a\\nb\": 1}", "$[\"a?b\"]", "not a member" },
    { "{\"model\": \"m\", " A ", \"version\": \"\"}", "$.version", "1 to 255" },
    { "{\"model\": \"m\", " A ", \"salt\": 1}", "$.salt", "a string" },

    /* actions */
    { "{\"model\": \"m\", \"actions\": [{}]}", "$.actions[0].id", "missing" },
    { "{\"model\": \"m\", \"actions\": [{\"id\": \"A\", \"price\": \"1\"}]}",
      "$.actions[0].price", "must be a number" },
    { "{\"model\": \"m\", \"actions\": [{\"id\": \"A\", \"active\": 1}]}",
      "$.actions[0].active", "true or false" },
    { "{\"model\": \"m\", \"actions\": [{\"id\": \"A\", \"colour\": 1}]}",
      "$.actions[0].colour", "not a member" },
    { "{\"model\": \"m\", \"actions\": [\"A\"]}", "$.actions[0]", "an object" },
    { "{\"model\": \"m\", \"actions\": {\"file\": \"\"}}", "$.actions.file",
      "1 to 255" },
    { "{\"model\": \"m\", \"actions\": {}}", "$.actions.file", "missing" },
    { "{\"model\": \"m\", \"actions\": {\"file\": \"x\", \"n\": 1}}",
      "$.actions.n", "not a member" },

    /* features */
    { "{\"model\": \"m\", " A ", \"features\": {}}", "$.features", "an array" },
    { "{\"model\": \"m\", " A ", \"features\": [{}]}", "$.features[0].name",
      "missing" },
    { F1("\"x\": 1"), "$.features[0].x", "not a member" },
    { F1("\"description\": \"\""), "$.features[0].type", "must be \"number\"" },
    { F1("\"type\": \"text\""), "$.features[0].type", "must be \"number\"" },
    { F1("\"type\": \"number\", \"from\": []"), "$.features[0].from",
      "empty" },
    { F1("\"type\": \"number\", \"from\": \"request\""),
      "$.features[0].from", "an array" },
    { F1("\"type\": \"number\", \"from\": [\"cookie\"]"),
      "$.features[0].from[0]", "must be \"request\"" },
    { F1("\"type\": \"number\", \"from\": [\"requests\"]"),
      "$.features[0].from[0]", "must be \"request\"" },
    { F1("\"type\": \"number\", \"from\": [\"request.\"]"),
      "$.features[0].from[0]", "1 to 255" },
    { F1("\"type\": \"number\", \"from\": [\"request\", \"request.f\"]"),
      "$.features[0].from[1]", "twice" },
    { F1("\"type\": \"number\", \"from\": [\"request\", \"request.g\"]"),
      "$.features[0].from[1]", "second request field" },
    { F1("\"type\": \"number\", \"from\": [\"customer\", \"customer.a\","
         " \"customer.b\", \"customer.c\", \"customer.d\"]"),
      "$.features[0].from", "the limit is 4" },
    { F1("\"type\": \"number\", \"from\": [\"geo.country\"]"),
      "$.features[0].from[0]", "gives a category" },
    { F1("\"type\": \"category\", \"from\": [\"time.hour\"]"),
      "$.features[0].from[0]", "gives a number" },
    { F1("\"type\": \"number\", \"required\": \"yes\""),
      "$.features[0].required", "true or false" },
    { F1("\"type\": \"number\", \"required\": true, \"default\": 1"),
      "$.features[0].default", "no sense" },
    { F1("\"type\": \"number\", \"default\": \"1\""),
      "$.features[0].default", "must be a number" },
    { F1("\"type\": \"category\", \"default\": true"),
      "$.features[0].default", "a number or a string" },
    { F1("\"type\": \"category\", \"codes\": {\"M\": 0}, \"default\": \"F\""),
      "$.features[0].default", "unknown word 'F'" },
    { F1("\"type\": \"number\", \"bins\": []"), "$.features[0].bins",
      "empty" },
    { F1("\"type\": \"number\", \"bins\": 4"), "$.features[0].bins",
      "rising edges" },
    { F1("\"type\": \"number\", \"bins\": [1, 1]"), "$.features[0].bins[1]",
      "above the edge before" },
    { F1("\"type\": \"number\", \"bins\": [2, 1]"), "$.features[0].bins[1]",
      "above the edge before" },
    { F1("\"type\": \"number\", \"bins\": [\"1\"]"), "$.features[0].bins[0]",
      "a number" },
    { F1("\"type\": \"number\", \"bins\": {}"),
      "$.features[0].bins.quantiles", "missing" },
    { F1("\"type\": \"number\", \"bins\": {\"quantiles\": 1}"),
      "$.features[0].bins.quantiles", "from 2 to 256" },
    { F1("\"type\": \"number\", \"bins\": {\"quantiles\": 2,"
         " \"edges\": [1, 2]}"),
      "$.features[0].bins.edges", "at most 1" },
    { F1("\"type\": \"category\", \"bins\": [1]"), "$.features[0].bins",
      "type number" },
    { F1("\"type\": \"number\", \"codes\": {\"M\": 0}"),
      "$.features[0].codes", "type category" },
    { F1("\"type\": \"category\", \"codes\": {}"), "$.features[0].codes",
      "from word to code" },
    { F1("\"type\": \"category\", \"codes\": {\"M\": \"0\"}"),
      "$.features[0].codes.M", "whole number" },
    { F1("\"type\": \"category\", \"codes\": {\"M\": 2147483648}"),
      "$.features[0].codes.M", "32 bits" },
    { F1("\"type\": \"category\", \"codes\": {\"\": 1}"),
      "$.features[0].codes[\"\"]", "1 to 255" },
    { "{\"model\": \"m\", " A ", \"features\": [{\"name\": \"any\","
      "\"type\": \"number\"}]}", "$.features[0].name", "all, any or not" },
    { "{\"model\": \"m\", " A ", \"features\": [{\"name\": \"f\","
      "\"type\": \"number\"}, {\"name\": \"f\", \"type\": \"number\"}]}",
      "$.features[1].name", "another feature" },
    { "{\"model\": \"m\", " A ", \"features\": [{\"name\": \"f\","
      "\"type\": \"number\"}, {\"name\": \"g\", \"type\": \"number\","
      "\"from\": [\"request.f\"]}]}",
      "$.features[1].from", "belongs to feature 'f'" },

    /* conditions */
    { WHEN("{}"), "$.rules[0].when", "an object with" },
    { WHEN("[]"), "$.rules[0].when", "an object with" },
    { WHEN("{\"name\": 1}"), "$.rules[0].when.name", "not a feature" },
    { WHEN("{\"age\": \"old\"}"), "$.rules[0].when.age", "must be a number" },
    { WHEN("{\"age\": true}"), "$.rules[0].when.age", "must be a number" },
    { WHEN("{\"age\": null}"), "$.rules[0].when.age", "must be a number" },
    { WHEN("{\"age\": [1]}"), "$.rules[0].when.age", "must be a number" },
    { WHEN("{\"age\": {}}"), "$.rules[0].when.age", "empty" },
    { WHEN("{\"age\": {\"above\": 1}}"), "$.rules[0].when.age.above",
      "must be one of" },
    { WHEN("{\"age\": {\">\": 1, \"<\": \"x\"}}"),
      "$.rules[0].when.age[\"<\"]", "must be a number" },
    { WHEN("{\"sex\": \"X\"}"), "$.rules[0].when.sex", "unknown word 'X'" },
    { WHEN("{\"sex\": 2}"), "$.rules[0].when.sex", "unknown code" },
    { WHEN("{\"sex\": {\"in\": [\"M\", \"X\"]}}"),
      "$.rules[0].when.sex.in[1]", "unknown word 'X'" },
    { WHEN("{\"sex\": {\"in\": []}}"), "$.rules[0].when.sex.in", "empty" },
    { WHEN("{\"sex\": {\">\": 0}}"), "$.rules[0].when.sex[\">\"]", "order" },
    { WHEN("{\"city\": {\"<=\": \"B\"}}"), "$.rules[0].when.city[\"<=\"]",
      "order" },
    { WHEN("{\"city\": 1.5}"), "$.rules[0].when.city", "whole number" },
    { WHEN("{\"city\": \"\"}"), "$.rules[0].when.city", "1 to 255" },
    { WHEN("{\"all\": []}"), "$.rules[0].when.all", "empty" },
    { WHEN("{\"all\": {}}"), "$.rules[0].when.all", "an array" },
    { WHEN("{\"any\": [{\"age\": 1}, {\"x\": 1}]}"),
      "$.rules[0].when.any[1].x", "not a feature" },
    { WHEN("{\"not\": {\"not\": {\"x\": 1}}}"), "$.rules[0].when.not.not.x",
      "not a feature" },

    /* rules */
    { RULE("{}"), "$.rules[0]", "must have one of" },
    { RULE("{\"deny\": [\"A\"], \"allow\": [\"A\"]}"), "$.rules[0]",
      "has both" },
    { RULE("{\"deny\": []}"), "$.rules[0].deny", "empty" },
    { RULE("{\"deny\": \"A\"}"), "$.rules[0].deny", "an array" },
    { RULE("{\"deny\": [1]}"), "$.rules[0].deny[0]", "a string" },
    { RULE("{\"deny\": [\"A\", \"A\"]}"), "$.rules[0].deny[1]", "twice" },
    { RULE("{\"deny\": [\"A\"], \"if\": 1}"), "$.rules[0].if", "not a member" },
    { RULE("{\"pin\": [\"A\"], \"date\": \"2026-01-31\"}"), "$.rules[0].by",
      "missing" },
    { RULE("{\"pin\": [\"A\"], \"by\": \"kim\"}"), "$.rules[0].date",
      "missing" },
    { RULE("{\"pin\": [\"A\"], \"by\": \"kim\", \"date\": \"2026-02-29\"}"),
      "$.rules[0].date", "YYYY-MM-DD" },
    { RULE("{\"pin\": [\"A\"], \"by\": \"kim\", \"date\": \"2026-13-01\"}"),
      "$.rules[0].date", "YYYY-MM-DD" },
    { RULE("{\"pin\": [\"A\"], \"by\": \"kim\", \"date\": \"1900-02-29\"}"),
      "$.rules[0].date", "YYYY-MM-DD" },
    { RULE("{\"pin\": [\"A\"], \"by\": \"kim\", \"date\": \"26-01-01\"}"),
      "$.rules[0].date", "YYYY-MM-DD" },

    /* policy */
    { POLICY(""), "$.policy.type", "must be \"uniform\"" },
    { POLICY("\"type\": \"best\""), "$.policy.type", "must be \"uniform\"" },
    { POLICY("\"type\": \"uniform\", \"x\": 1"), "$.policy.x", "not a member" },
    { POLICY("\"type\": \"uniform\", \"epsilon\": 0.1"), "$.policy.epsilon",
      "type \"uniform\"" },
    { POLICY("\"type\": \"p_table\", \"epsilon\": 0.1"), "$.policy.epsilon",
      "type \"p_table\"" },
    { POLICY("\"type\": \"q_table\", \"floor\": 0.1"), "$.policy.floor",
      "type \"q_table\"" },
    { POLICY("\"type\": \"q_table\", \"weights\": [1]"), "$.policy.weights",
      "type \"q_table\"" },
    { POLICY("\"type\": \"uniform\", \"slate\": 0"), "$.policy.slate",
      "from 1 to 64" },
    { POLICY("\"type\": \"uniform\", \"slate\": 1.5"), "$.policy.slate",
      "from 1 to 64" },
    { POLICY("\"type\": \"uniform\", \"sticky\": 1"), "$.policy.sticky",
      "true or false" },
    { POLICY("\"type\": \"weights\""), "$.policy.weights", "missing" },
    { POLICY("\"type\": \"weights\", \"weights\": 1"), "$.policy.weights",
      "by place" },
    { POLICY("\"type\": \"weights\", \"weights\": []"), "$.policy.weights",
      "empty" },
    { POLICY("\"type\": \"weights\", \"weights\": {}"), "$.policy.weights",
      "empty" },
    { POLICY("\"type\": \"weights\", \"weights\": [1, -1]"),
      "$.policy.weights[1]", "from 0 to 1e+12" },
    { POLICY("\"type\": \"weights\", \"weights\": [1e13]"),
      "$.policy.weights[0]", "from 0 to 1e+12" },
    { POLICY("\"type\": \"weights\", \"weights\": {\"A\": \"1\"}"),
      "$.policy.weights.A", "a number" },
    { POLICY("\"type\": \"weights\", \"weights\": [1], \"cases\": [{}]"),
      "$.policy.cases[0].weights", "missing" },
    { POLICY("\"type\": \"weights\", \"weights\": [1], \"cases\":"
             "[{\"weights\": [1]}]"), "$.policy.cases[0].when", "missing" },
    { POLICY("\"type\": \"weights\", \"weights\": [1], \"cases\":"
             "[{\"when\": {\"age\": 1}, \"weights\": {\"A\": 1}}]"),
      "$.policy.cases[0].weights", "must be an array" },
    { POLICY("\"type\": \"weights\", \"weights\": {\"A\": 1}, \"cases\":"
             "[{\"when\": {\"age\": 1}, \"weights\": [1]}]"),
      "$.policy.cases[0].weights", "must be an object" },
    { POLICY("\"type\": \"weights\", \"weights\": [1], \"cases\":"
             "[{\"when\": {\"x\": 1}, \"weights\": [1]}]"),
      "$.policy.cases[0].when.x", "not a feature" },
    { POLICY("\"type\": \"p_table\""), "$.policy.state", "without bins" },
    { POLICY("\"type\": \"p_table\", \"state\": [\"age\"]"),
      "$.policy.state[0]", "without bins" },
    { POLICY("\"type\": \"p_table\", \"state\": [\"x\"]"),
      "$.policy.state[0]", "not a feature" },
    { POLICY("\"type\": \"p_table\", \"state\": [7]"), "$.policy.state[0]",
      "feature's name" },
    { POLICY("\"type\": \"p_table\", \"state\": [], \"floor\": 1.1"),
      "$.policy.floor", "from 0 to 1" },
    { POLICY("\"type\": \"q_table\", \"state\": [], \"epsilon\": -0.1"),
      "$.policy.epsilon", "from 0 to 1" },
    { POLICY("\"type\": \"q_table\", \"state\": [], \"temperature\": 0"),
      "$.policy.temperature", "from 1e-09" },
    { POLICY("\"type\": \"q_table\", \"state\": [], \"temperature\": 1,"
             " \"epsilon\": 0"), "$.policy", "has both" },
    { "{\"model\": \"m\", " A ", \"features\": [{\"name\": \"c\", \"type\":"
      " \"category\"}], \"policy\": {\"type\": \"p_table\","
      " \"state\": [\"c\", \"c\"]}}", "$.policy.state[1]", "twice" },
    { "{\"model\": \"m\", " A ", \"policy\": []}", "$.policy", "an object" },

    /* reward */
    { REWARD("[]"), "$.reward", "an object" },
    { REWARD("{\"click\": \"1\"}"), "$.reward.click", "a number" },
    { REWARD("{\"click\": {}}"), "$.reward.click.value", "missing" },
    { REWARD("{\"click\": {\"value\": 1, \"x\": 1}}"), "$.reward.click.x",
      "not a member" },
    { REWARD("{\"click\": {\"value\": 1, \"window\": \"7\\u00e9\"}}"),
      "$.reward.click.window", "ms, s, m, h or d" },
    { REWARD("{\"click\": {\"value\": 1, \"window\": 0}}"),
      "$.reward.click.window", "above 0" },
    { REWARD("{\"sum_per_unit\": {\"value\": 1, \"over\": 3}}"),
      "$.reward.sum_per_unit.over", "per unit" },
    { REWARD("{\"dwell\": {\"value\": 1, \"over\": true}}"),
      "$.reward.dwell.over", "a number" },
    { REWARD("{\"horizon\": \"0s\"}"), "$.reward.horizon", "above 0" },
    { REWARD("{\"horizon\": \"3661d\"}"), "$.reward.horizon", "3660 days" },
    { REWARD("{\"horizon\": null}"), "$.reward.horizon", "a duration" },
    { REWARD("{\"default\": \"0\"}"), "$.reward.default", "a number" },

    /* columns */
    { COLUMNS("[]"), "$.columns", "an object" },
    { COLUMNS("{\"x\": 1}"), "$.columns.x", "not a member" },
    { COLUMNS("{\"customer\": \"\"}"), "$.columns.customer", "1 to 255" },
    { COLUMNS("{\"features\": []}"), "$.columns.features", "an object" },
    { COLUMNS("{\"features\": {\"age\": 1}}"), "$.columns.features.age",
      "a string" },
    { COLUMNS("{\"features\": {\"x\": \"X\"}}"), "$.columns.features.x",
      "no feature" },
};


static void
refused(void **state)
{
    size_t  i;

    (void) state;

    for (i = 0; i < N(faults); i++) {
        if (read_status(faults[i].spec) != RECO_INVALID
            && read_status(faults[i].spec) != RECO_LIMIT)
        {
            fail_msg("taken: %s", faults[i].spec);
        }

        if (strcmp(err.field, faults[i].path) != 0
            || strstr(err.message, faults[i].words) == NULL)
        {
            fail_msg("%s: '%s': %s", faults[i].spec, err.field, err.message);
        }
    }
}


static void
not_json(void **state)
{
    size_t  i;

    static const struct {
        const char  *text;
        const char  *where;
    } texts[] = {
        { "", "line 1, column 0: " },
        { "{", "line 1, column 1: " },
        { "{\n  \"model\": nul\n}", "line 2, column " },
        { "{\"model\": \"m\",\n \"model\": \"n\"}", "line 2, column " },
        { "{\"model\": \"m\"} x", "line 1, column " },
        { "{\"model\": \"\\u0000\"}", "line 1, column " },
        { "{\"model\": \"\xff\"}", "line 1, column " },
        { "{\"model\": NaN}", "line 1, column " },
        { "{\"model\": 1e999}", "line 1, column " },
    };

    (void) state;

    for (i = 0; i < N(texts); i++) {
        assert_int_equal(read_status(texts[i].text), RECO_INVALID);
        assert_string_equal(err.field, "");
        assert_int_equal(strncmp(err.message, texts[i].where,
                                 strlen(texts[i].where)), 0);
        assert_true(err.position <= strlen(texts[i].text));
    }

    /* without an error to fill */
    assert_int_equal(reco_spec_read(RECO_STR("{"), &(reco_model_t *) { NULL },
                                    NULL, NULL), RECO_INVALID);
    assert_int_equal(reco_spec_read(RECO_STR("{}"), &(reco_model_t *) { NULL },
                                    NULL, NULL), RECO_INVALID);
}


/* ---- limits ------------------------------------------------------------- */

static char  text[1 << 20];


/* A list of n times the format, which gets the index. */
static int
repeat(int at, const char *fmt, unsigned n)
{
    unsigned  i;

    for (i = 0; i < n; i++) {
        if (i > 0) {
            text[at++] = ',';
        }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        at += sprintf(text + at, fmt, i);
#pragma GCC diagnostic pop
    }

    return at;
}


static void
list_limits(void **state)
{
    int       at;
    size_t    i;
    unsigned  over;

    static const struct {
        const char  *before, *each, *after, *path;
        unsigned     limit;
    } lists[] = {
        { "{\"model\": \"m\", \"actions\": [", "{\"id\": \"a%u\"}", "]}",
          "$.actions", 4096 },
        { "{\"model\": \"m\", " A ", \"features\": [",
          "{\"name\": \"f%u\", \"type\": \"number\"}", "]}",
          "$.features", 256 },
        { "{\"model\": \"m\", " A ", \"rules\": [", "{\"deny\": [\"A%u\"]}",
          "]}", "$.rules", 1024 },
        { "{\"model\": \"m\", " A ", \"rules\": [{\"deny\": [", "\"A%u\"",
          "]}]}", "$.rules[0].deny", 4096 },
        { "{\"model\": \"m\", " A ", \"rules\": [{\"by\": \"kim\","
          " \"date\": \"2024-02-29\", \"pin\": [", "\"A%u\"",
          "]}]}", "$.rules[0].pin", 64 },
        { "{\"model\": \"m\", " A ", \"features\": [{\"name\": \"f\", \"type\":"
          " \"number\", \"bins\": [", "%u", "]}]}", "$.features[0].bins",
          255 },
        { "{\"model\": \"m\", " A ", \"features\": [{\"name\": \"f\", \"type\":"
          " \"category\", \"codes\": {", "\"w%u\": 1", "}}]}",
          "$.features[0].codes", 1024 },
        { "{\"model\": \"m\", " A ", \"policy\": {\"type\": \"weights\","
          " \"weights\": [", "%u", "]}}", "$.policy.weights", 4096 },
        { "{\"model\": \"m\", " A ", \"policy\": {\"type\": \"weights\","
          " \"weights\": {", "\"w%u\": 1", "}}}", "$.policy.weights", 4096 },
        { "{\"model\": \"m\", " A ", " AGE ", \"policy\": {\"type\":"
          " \"weights\", \"weights\": [1], \"cases\": [",
          "{\"when\": {\"age\": %u}, \"weights\": [1]}", "]}}",
          "$.policy.cases", 256 },
        { "{\"model\": \"m\", " A ", \"reward\": {", "\"fact%u\": 1", "}}",
          "$.reward", 64 },
        { "{\"model\": \"m\", " A ", " AGE ", \"rules\": [{\"deny\": [\"A\"],"
          " \"when\": {\"age\": {\"in\": [", "%u", "]}}}]}",
          "$.rules[0].when.age.in", 4096 },
    };

    (void) state;

    for (i = 0; i < N(lists); i++) {
        for (over = 0; over < 2; over++) {
            at = sprintf(text, "%s", lists[i].before);
            at = repeat(at, lists[i].each, lists[i].limit + over);
            strcpy(text + at, lists[i].after);

            assert_int_equal(read_status(text), over ? RECO_LIMIT : RECO_OK);

            if (over) {
                assert_string_equal(err.field, lists[i].path);
            }
        }
    }
}


static void
slate_limit(void **state)
{
    (void) state;

    assert_int_equal(read_status(POLICY("\"type\": \"uniform\","
                                        " \"slate\": 64")), RECO_OK);
    assert_int_equal(read_status(POLICY("\"type\": \"uniform\","
                                        " \"slate\": 65")), RECO_INVALID);
    assert_string_equal(err.field, "$.policy.slate");
}


static void
id_limits(void **state)
{
    char      word[257];
    size_t    i;
    unsigned  n;

    static const struct {
        const char  *fmt;
        const char  *path;
    } specs[] = {
        { "{\"model\": \"%s\", " A "}", "$.model" },
        { "{\"model\": \"m\", \"version\": \"%s\", " A "}", "$.version" },
        { "{\"model\": \"m\", \"actions\": [{\"id\": \"%s\"}]}",
          "$.actions[0].id" },
        { "{\"model\": \"m\", \"actions\": [{\"id\": \"A\","
          " \"name\": \"%s\"}]}", "$.actions[0].name" },
        { "{\"model\": \"m\", " A ", \"features\": [{\"name\": \"%s\","
          " \"type\": \"number\"}]}", "$.features[0].name" },
        { "{\"model\": \"m\", " A ", \"rules\": [{\"deny\": [\"%s\"]}]}",
          "$.rules[0].deny[0]" },
    };

    (void) state;

    for (i = 0; i < N(specs); i++) {
        for (n = 255; n <= 256; n++) {
            memset(word, 'x', n);
            word[n] = '\0';
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            sprintf(text, specs[i].fmt, word);
#pragma GCC diagnostic pop
            assert_int_equal(read_status(text),
                             n == 255 ? RECO_OK : RECO_INVALID);
        }

        assert_string_equal(err.field, specs[i].path);

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        sprintf(text, specs[i].fmt, "a\\u0085b");
#pragma GCC diagnostic pop
        assert_int_equal(read_status(text), RECO_INVALID);
        assert_string_equal(err.field, specs[i].path);
    }
}


/* Depth counts conditions within conditions. */
static void
condition_depth(void **state)
{
    int  at, depth, i;

    (void) state;

    for (depth = 16; depth <= 17; depth++) {
        at = sprintf(text, "{\"model\": \"m\", " A ", " AGE ", \"rules\":"
                     "[{\"deny\": [\"A\"], \"when\": ");

        for (i = 1; i < depth; i++) {
            at += sprintf(text + at, i % 2 ? "{\"not\": " : "{\"any\": [");
        }

        at += sprintf(text + at, "{\"age\": 1}");

        for (i = depth - 1; i >= 1; i--) {
            at += sprintf(text + at, i % 2 ? "}" : "]}");
        }

        strcpy(text + at, "}]}");
        assert_int_equal(read_status(text),
                         depth == 16 ? RECO_OK : RECO_LIMIT);
    }

    assert_non_null(strstr(err.message, "deeper than 16"));
}


/* A member's name of any length and any bytes is shown, but not all of it. */
static void
long_paths(void **state)
{
    char    name[400];
    size_t  i;

    (void) state;

    memset(name, 'x', sizeof(name));
    memcpy(name + 63, "\xc3\xa9", 2);
    name[300] = '\0';
    sprintf(text, "{\"model\": \"m\", \"%s\": 1}", name);
    assert_int_equal(read_status(text), RECO_INVALID);

    assert_int_equal(strlen(err.field), 3 + 63 + 2);
    assert_true(reco_utf8_is_valid(err.field, strlen(err.field)));

    for (i = 0; i < 63; i++) {
        assert_int_equal(err.field[3 + i], 'x');
    }
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
unbindable(void **state)
{
    size_t         i;
    reco_model_t  *m;

    static const struct {
        const char  *spec;
        const char  *path;
    } cases[] = {
        { "{\"model\": \"m\", \"actions\": [{\"id\": \"A\"}, {\"id\": \"B\"},"
          " {\"id\": \"A\"}]}", "$.actions[2].id" },
        { RULE("{\"deny\": [\"A\", \"Z\"]}"), "$.rules[0].deny[1]" },
        { RULE("{\"deny\": [\"A\"]}, {\"allow\": [\"Z\"]}"),
          "$.rules[1].allow[0]" },
        { RULE("{\"pin\": [\"Z\"], \"by\": \"kim\","
               " \"date\": \"2026-01-31\"}"), "$.rules[0].pin[0]" },
        { POLICY("\"type\": \"weights\", \"weights\": {\"Z\": 1}"),
          "$.policy.weights.Z" },
        { POLICY("\"type\": \"weights\", \"weights\": {\"A\": 1}, \"cases\":"
                 "[{\"when\": {\"age\": 1}, \"weights\": {\"Z\": 1}}]"),
          "$.policy.cases[0].weights.Z" },
        { COLUMNS("{\"actions\": {\"Z\": \"MAY_Z\"}}"),
          "$.columns.actions.Z" },
    };

    (void) state;

    for (i = 0; i < N(cases); i++) {
        m = unbound(cases[i].spec);
        assert_int_equal(reco_spec_bind(m, NULL, 0, NULL, 0, &err),
                         RECO_INVALID);
        assert_string_equal(err.field, cases[i].path);
        reco_model_free(m);
    }
}


static void
catalogue_faults(void **state)
{
    size_t          i;
    reco_model_t   *m;
    reco_action_t   actions[2];

    static const struct {
        reco_action_t   second;
        const char     *path;
    } cases[] = {
        { { RECO_STR("A"), RECO_STR(""), RECO_STR(""), NAN, true },
          "$.actions[1].id" },
        { { RECO_STR(""), RECO_STR(""), RECO_STR(""), NAN, true },
          "$.actions[1].id" },
        { { RECO_STR("B"), RECO_STR("a\tb"), RECO_STR(""), NAN, true },
          "$.actions[1]" },
        { { RECO_STR("B"), RECO_STR(""), RECO_STR(""), INFINITY, true },
          "$.actions[1].price" },
    };

    (void) state;

    actions[0] = (reco_action_t) { RECO_STR("A"), RECO_STR(""), RECO_STR(""),
                                   NAN, true };

    for (i = 0; i < N(cases); i++) {
        actions[1] = cases[i].second;
        m = unbound("{\"model\": \"m\", \"actions\": {\"file\": \"f\"}}");
        assert_int_equal(reco_spec_bind(m, actions, 2, NULL, 0, &err),
                         RECO_INVALID);
        assert_string_equal(err.field, cases[i].path);
        reco_model_free(m);
    }

    m = unbound("{\"model\": \"m\", \"actions\": {\"file\": \"f\"}}");
    assert_int_equal(reco_spec_bind(m, actions, 4097, NULL, 0, &err),
                     RECO_LIMIT);
    assert_string_equal(err.field, "$.actions");
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
    double          x[] = { 0.5, 2 }, *edges[] = { NULL, x, NULL };
    size_t          len;
    uint32_t        nedges[] = { 0, 2, 0 };
    reco_model_t   *m;

    (void) state;

    m = unbound(QUANTILES);
    assert_int_equal(reco_spec_resolve(RECO_STR(QUANTILES), m, edges, nedges,
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
    assert_int_equal(reco_spec_resolve(RECO_STR(RESOLVED), m, NULL, NULL,
                                       &out, &len, &err), RECO_OK);
    assert_string_equal(out, RESOLVED);
    free(out);

    x[1] = 0.5;
    assert_int_equal(reco_spec_resolve(RECO_STR(QUANTILES), m, edges, nedges,
                                       &out, &len, &err), RECO_INVALID);
    assert_string_equal(err.field, "$.features[1].bins");
    assert_null(out);

    nedges[1] = 4;
    assert_int_equal(reco_spec_resolve(RECO_STR(QUANTILES), m, edges, nedges,
                                       &out, &len, &err), RECO_INVALID);
    assert_string_equal(err.field, "$.features[1].bins");
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


/* ---- conf/models -------------------------------------------------------- */

static reco_model_t *
shipped(const char *name)
{
    FILE    *f;
    size_t   n;
    char     path[512];

    snprintf(path, sizeof(path), "conf/models/%s", name);
    f = fopen(path, "r");

    if (f == NULL) {
        fail_msg("cannot open %s; tests run in the repository's root", path);
    }

    n = fread(text, 1, sizeof(text) - 1, f);
    text[n] = '\0';
    fclose(f);

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
    assert_true(n >= 6);
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
        cmocka_unit_test(whole_spec),
        cmocka_unit_test(defaults),
        cmocka_unit_test(salts),
        cmocka_unit_test(refused),
        cmocka_unit_test(not_json),
        cmocka_unit_test(list_limits),
        cmocka_unit_test(slate_limit),
        cmocka_unit_test(id_limits),
        cmocka_unit_test(condition_depth),
        cmocka_unit_test(long_paths),
        cmocka_unit_test(given_catalogue),
        cmocka_unit_test(inline_catalogue_has_no_file),
        cmocka_unit_test(unbindable),
        cmocka_unit_test(catalogue_faults),
        cmocka_unit_test(columns),
        cmocka_unit_test(resolved_quantiles),
        cmocka_unit_test(durations),
        cmocka_unit_test(every_shipped_spec),
        cmocka_unit_test(offers_weights),
        cmocka_unit_test(offers_words),
        cmocka_unit_test(company_b_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
