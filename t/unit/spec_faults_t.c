/*
 * spec_faults_t.c - what the spec reader refuses and where it says the fault
 * is; its limits at their edge; catalogues that do not fit a spec.
 */

#include <math.h>

#include "model_fixture.h"

#define N(array)  (sizeof(array) / sizeof((array)[0]))
#define A         "\"actions\": [{\"id\": \"A\"}]"
#define AGE       "\"features\": [{\"name\": \"age\", " \
    "\"type\": \"number\"}]"

static reco_error_t  err;


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
#define LEVELS(members)  "{\"model\": \"m\", " A ", \"features\": [" \
    "{\"name\": \"a\", \"type\": \"category\"}," \
    "{\"name\": \"b\", \"type\": \"category\"}]," \
    "\"policy\": {\"type\": \"q_table\", " members "}}"
#define TOP(members)  "{\"model\": \"m\", " A ", " members "}"
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

    /* coarser states */
    { LEVELS("\"backoff\": {}"), "$.policy.backoff", "an array" },
    { LEVELS("\"backoff\": []"), "$.policy.backoff", "empty" },
    { LEVELS("\"backoff\": [\"a\"]"), "$.policy.backoff[0]", "an array" },
    { LEVELS("\"backoff\": [[1]]"), "$.policy.backoff[0][0]",
      "feature's name" },
    { LEVELS("\"backoff\": [[\"c\"]]"), "$.policy.backoff[0][0]",
      "not a feature" },
    { LEVELS("\"backoff\": [[\"a\", \"a\"]]"), "$.policy.backoff[0][1]",
      "twice" },
    { LEVELS("\"backoff\": [[\"b\", \"a\"]]"), "$.policy.backoff[0]",
      "has all features of the state before" },
    { LEVELS("\"backoff\": [[\"a\"], [\"b\"]]"), "$.policy.backoff[1][0]",
      "not in the state before" },
    { LEVELS("\"state\": [\"a\"], \"backoff\": [[\"b\"]]"),
      "$.policy.backoff[0][0]", "not in the state before" },
    { LEVELS("\"backoff\": [[], []]"), "$.policy.backoff[1]",
      "has all features of the state before" },
    { LEVELS("\"backoff\": [[], [], [], [], [], [], [], []]"),
      "$.policy.backoff", "the limit is 7" },
    { LEVELS("\"min_visits\": 3"), "$.policy.min_visits", "with \"backoff\"" },
    { LEVELS("\"backoff\": [[]], \"min_visits\": -1"),
      "$.policy.min_visits", "whole number" },
    { LEVELS("\"backoff\": [[]], \"min_visits\": 1.5"),
      "$.policy.min_visits", "whole number" },
    { POLICY("\"type\": \"uniform\", \"backoff\": [[]]"),
      "$.policy.backoff", "type \"uniform\"" },

    /* exploration by visits */
    { LEVELS("\"epsilon\": []"), "$.policy.epsilon", "a number" },
    { LEVELS("\"epsilon\": {}"), "$.policy.epsilon.start", "missing" },
    { LEVELS("\"epsilon\": {\"start\": 1}"), "$.policy.epsilon.end",
      "missing" },
    { LEVELS("\"epsilon\": {\"start\": 1, \"end\": 0}"),
      "$.policy.epsilon.visits", "missing" },
    { LEVELS("\"epsilon\": {\"start\": 1.1, \"end\": 0, \"visits\": 1}"),
      "$.policy.epsilon.start", "from 0 to 1" },
    { LEVELS("\"epsilon\": {\"start\": 0.1, \"end\": 0.2, \"visits\": 1}"),
      "$.policy.epsilon.end", "not be above" },
    { LEVELS("\"epsilon\": {\"start\": 1, \"end\": 0, \"visits\": 0}"),
      "$.policy.epsilon.visits", "from 1 to" },
    { LEVELS("\"epsilon\": {\"start\": 1, \"end\": 0, \"visits\": 1,"
             " \"rate\": 1}"), "$.policy.epsilon.rate", "not a member" },
    { LEVELS("\"temperature\": 1,"
             " \"epsilon\": {\"start\": 1, \"end\": 0, \"visits\": 1}"),
      "$.policy", "has both" },

    /* vocabularies */
    { F1("\"type\": \"number\", \"vocabulary\": [\"x\"]"),
      "$.features[0].vocabulary", "without codes" },
    { F1("\"type\": \"category\", \"codes\": {\"x\": 1},"
         " \"vocabulary\": [\"x\"]"),
      "$.features[0].vocabulary", "without codes" },
    { F1("\"type\": \"category\", \"vocabulary\": 3"),
      "$.features[0].vocabulary", "an array of words" },
    { F1("\"type\": \"category\", \"vocabulary\": []"),
      "$.features[0].vocabulary", "empty" },
    { F1("\"type\": \"category\", \"vocabulary\": [\"x\", \"\"]"),
      "$.features[0].vocabulary[1]", "1 to 255" },
    { F1("\"type\": \"category\", \"vocabulary\": [\"x\", \"y\", \"x\"]"),
      "$.features[0].vocabulary", "'x' twice" },
    { F1("\"type\": \"category\", \"vocabulary\": {}"),
      "$.features[0].vocabulary.top", "missing" },
    { F1("\"type\": \"category\", \"vocabulary\": {\"top\": 0}"),
      "$.features[0].vocabulary.top", "from 1 to 4096" },
    { F1("\"type\": \"category\", \"vocabulary\": {\"top\": 4097}"),
      "$.features[0].vocabulary.top", "from 1 to 4096" },
    { F1("\"type\": \"category\", \"vocabulary\": {\"top\": 1,"
         " \"words\": [\"x\", \"y\"]}"),
      "$.features[0].vocabulary.words", "more than" },
    { F1("\"type\": \"category\", \"vocabulary\": {\"top\": 1, \"n\": 1}"),
      "$.features[0].vocabulary.n", "not a member" },

    /* learning, history */
    { TOP("\"learning\": []"), "$.learning", "an object" },
    { TOP("\"learning\": {\"alpha\": 1}"), "$.learning.alpha",
      "not a member" },
    { TOP("\"learning\": {\"learning_rate\": 0}"),
      "$.learning.learning_rate", "above 0" },
    { TOP("\"learning\": {\"learning_rate\": 1.1}"),
      "$.learning.learning_rate", "from 0 to 1" },
    { TOP("\"learning\": {\"discount_factor\": 1}"),
      "$.learning.discount_factor", "below 1" },
    { TOP("\"learning\": {\"discount_factor\": -0.1}"),
      "$.learning.discount_factor", "from 0 to 1" },
    { TOP("\"learning\": {\"episode_gap\": \"0s\"}"),
      "$.learning.episode_gap", "above 0" },
    { TOP("\"learning\": {\"shrinkage\": -1}"), "$.learning.shrinkage",
      "from 0 to" },
    { TOP("\"learning\": {\"max_states\": 0}"), "$.learning.max_states",
      "from 1 to" },
    { TOP("\"history\": 7"), "$.history", "an object" },
    { TOP("\"history\": {\"rewards\": \"7w\"}"), "$.history.rewards",
      "ms, s, m, h or d" },
    { TOP("\"history\": {\"actions\": \"7d\"}"), "$.history.actions",
      "not a member" },

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
    { REWARD("{\"back\": {\"value\": 1, \"on\": \"click\"}}"),
      "$.reward.back.on", "next_session" },
    { REWARD("{\"back\": {\"value\": 1, \"on\": null}}"),
      "$.reward.back.on", "next_session" },
    { REWARD("{\"back_per_unit\": {\"value\": 1, \"on\": \"next_session\"}}"),
      "$.reward.back_per_unit.on", "given once" },
    { REWARD("{\"back\": {\"value\": 1, \"over\": 2,"
             " \"on\": \"next_session\"}}"), "$.reward.back.on", "given once" },
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


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(refused),
        cmocka_unit_test(not_json),
        cmocka_unit_test(list_limits),
        cmocka_unit_test(slate_limit),
        cmocka_unit_test(id_limits),
        cmocka_unit_test(condition_depth),
        cmocka_unit_test(long_paths),
        cmocka_unit_test(unbindable),
        cmocka_unit_test(catalogue_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
