/*
 * The native format: bodies and arguments of /decide, rewards.
 */

#include "format_native_fixture.h"

#define NOWHERE  RECO_NO_POSITION

/* ---- POST /decide --------------------------------------------------- */

static void
test_body(void **state)
{
    (void) state;

    parse_ok("{\"customer\": \"c42\", \"session\": \"s1\", \"features\":"
             " {\"age\": 42, \"device\": \"mob\\u0069le\", \"gender\": \"F\"},"
             " \"actions\": [\"C\", \"A\", \"A\"], \"slate\": 1,"
             " \"explain\": true}", NULL);

    assert_str(request.customer, "c42");
    assert_str(request.session, "s1");
    assert_int_equal(request.given[0].kind, RECO_VALUE_NUMBER);
    assert_true(request.given[0].number == 42);
    assert_str(request.given[1].word, "mobile");
    assert_str(request.given[2].word, "F");
    assert_int_equal(request.given[3].kind, RECO_VALUE_MISSING);
    assert_true(request.has_flags);
    assert_int_equal(request.flags.bits[0], 5);
    assert_int_equal(request.slate, 1);
    assert_true(request.explain);
    assert_int_equal(request.unknown_fields, 0);
}

static void
test_body_optional(void **state)
{
    size_t  i;

    static const char *const  bodies[] = {
        "{}", " { } ", "",
        ("{\"customer\": null, \"session\": null, \"features\": null,"
         " \"actions\": null, \"slate\": null, \"explain\": false}"),
        "{\"features\": {\"age\": null, \"device\": \"\"}}",
    };

    (void) state;

    for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        parse_ok(bodies[i], NULL);
        assert_int_equal(request.customer.len, 0);
        assert_int_equal(request.session.len, 0);
        assert_int_equal(request.given[0].kind, RECO_VALUE_MISSING);
        assert_int_equal(request.given[1].kind, RECO_VALUE_MISSING);
        assert_false(request.has_flags);
        assert_int_equal(request.slate, 0);
        assert_false(request.explain);
    }
}

static void
test_body_items(void **state)
{
    size_t  i, n;
    char    body[64 + 65 * 6];

    static const struct {
        const char  *name;
        size_t       position;      /* of the 65th id */
    } members[] = { { "cart", 10 + 64 * 5 }, { "exclude", 13 + 64 * 5 } };

    (void) state;

    parse_ok("{\"cart\": [\"22423\", \"85\\u0031\"], \"exclude\": [\"x\"]}",
             NULL);
    assert_int_equal(request.ncart, 2);
    assert_str(request.cart[0], "22423");
    assert_str(request.cart[1], "851");
    assert_int_equal(request.nexclude, 1);
    assert_str(request.exclude[0], "x");
    assert_int_equal(request.unknown_fields, 0);

    parse_ok("{\"cart\": null, \"exclude\": []}", NULL);
    assert_int_equal(request.ncart + request.nexclude, 0);

    /* the most there may be, and one more */
    for (i = 0; i < 2; i++) {
        for (n = 64; n <= 65; n++) {
            snprintf(body, sizeof(body), "{\"%s\": [", members[i].name);
            for (size_t k = 0; k < n; k++) {
                strcat(body, k == 0 ? "\"a\"" : ", \"a\"");
            }
            strcat(body, "]}");

            if (n == 64) {
                parse_ok(body, NULL);
                continue;
            }
            assert_int_equal(parse_decide(native, model, body, NULL),
                             RECO_INVALID);
            assert_string_equal(err.field, members[i].name);
            assert_int_equal(err.position, members[i].position);
            assert_string_equal(err.message, "must be at most 64 items");
        }
    }
}

static void
test_body_actions(void **state)
{
    (void) state;

    parse_ok("{\"actions\": {\"A\": true, \"B\": false, \"D\": true}}", NULL);
    assert_true(request.has_flags);
    assert_int_equal(request.flags.bits[0], 1 | 8);

    parse_ok("{\"actions\": []}", NULL);
    assert_true(request.has_flags);
    assert_int_equal(request.flags.bits[0], 0);

    parse_ok("{\"actions\": {}}", NULL);
    assert_true(request.has_flags);
    assert_int_equal(request.flags.bits[0], 0);
}

/* Names nobody knows are counted, whatever is in them; "country" is one,
 * because the model takes it from geo alone. */
static void
test_body_unknown(void **state)
{
    (void) state;

    parse_ok("{\"features\": {\"shoe\": {\"a\": [1]}, \"country\": \"GB\","
             " \"\": [], \"age\": 1}, \"actions\": [\"Z\", \"\", \"B\"]}",
             NULL);
    assert_int_equal(request.unknown_fields, 5);
    assert_int_equal(request.given[3].kind, RECO_VALUE_MISSING);
    assert_int_equal(request.flags.bits[0], 2);

    parse_ok("{\"actions\": {\"Z\": true, \"Y\": false}}", NULL);
    assert_int_equal(request.unknown_fields, 2);
}

static void
test_body_values(void **state)
{
    (void) state;

    parse_ok("{\"features\": {\"age\": true, \"device\": false,"
             " \"gender\": 0}}", NULL);
    assert_str(request.given[0].word, "true");
    assert_str(request.given[1].word, "false");
    assert_int_equal(request.given[2].kind, RECO_VALUE_NUMBER);
    assert_true(request.given[2].number == 0);
}

/* The policy's number is the most one may get. */
static void
test_slate(void **state)
{
    (void) state;

    parse_ok("{\"slate\": 2}", NULL);
    assert_int_equal(request.slate, 2);
    parse_ok("{\"slate\": 64}", NULL);
    assert_int_equal(request.slate, 2);
}

static const bad_t  bad_bodies[] = {
    { " ", "", 1 },
    { "[]", "", 0 },
    { "7", "", 0 },
    { "{\"customer\": 'c'}", "", 13 },
    { "{\"customer\": \"c\"} x", "", 18 },
    { "{\"slate\": 1, \"slate\": 1}", "", 13 },
    { "{\"customr\": \"c\"}", "customr", 12 },
    { "{\"a\\u0001\\u00e9\": 1}", "a?\xc3\xa9", 18 },
    { "{\"customer\": 1}", "customer", 13 },
    { "{\"customer\": \"\"}", "customer", 13 },
    { "{\"customer\": \"\\u0000\"}", "customer", 13 },
    { "{\"customer\": \"\\u007f\"}", "customer", 13 },
    { "{\"session\": []}", "session", 12 },
    { "{\"features\": []}", "features", 13 },
    { "{\"features\": {\"age\": []}}", "features.age", 21 },
    { "{\"features\": {\"age\": {\"b\": 1}}}", "features.age", 21 },
    { "{\"features\": {\"device\": \"a\\tb\"}}", "features.device", 24 },
    { "{\"actions\": 1}", "actions", 12 },
    { "{\"actions\": \"A\"}", "actions", 12 },
    { "{\"actions\": [1]}", "actions", 13 },
    { "{\"actions\": [\"A\", [\"B\"]]}", "actions", 18 },
    { "{\"actions\": [\"A\",]}", "", 17 },
    { "{\"actions\": {\"A\": \"true\"}}", "actions.A", 18 },
    { "{\"slate\": 0}", "slate", 10 },
    { "{\"slate\": 65}", "slate", 10 },
    { "{\"slate\": -1}", "slate", 10 },
    { "{\"slate\": 1.5}", "slate", 10 },
    { "{\"slate\": 1e300}", "slate", 10 },
    { "{\"slate\": \"1\"}", "slate", 10 },
    { "{\"cart\": \"a\"}", "cart", 9 },
    { "{\"cart\": [\"a\", \"\"]}", "cart", 15 },
    { "{\"cart\": [1]}", "cart", 10 },
    { "{\"exclude\": {}}", "exclude", 12 },
    { "{\"exclude\": [\"a\\n\"]}", "exclude", 13 },
    { "{\"explain\": 1}", "explain", 12 },
    { "{\"explain\": null}", "explain", 12 },
};

static void
test_bad_bodies(void **state)
{
    size_t  i;

    (void) state;

    for (i = 0; i < sizeof(bad_bodies) / sizeof(bad_bodies[0]); i++) {
        assert_refused(parse_decide(native, model, bad_bodies[i].text, NULL),
                       &bad_bodies[i]);
    }
}

/* A name that is longer than an error's field is cut between characters. */
static void
test_long_field(void **state)
{
    char  body[600];

    (void) state;

    strcpy(body, "{\"");
    memset(body + 2, 'x', 254);
    strcpy(body + 256, "\xc3\xa9yyy\": 1}");
    assert_int_equal(parse_decide(native, model, body, NULL), RECO_INVALID);
    assert_int_equal(strlen(err.field), 254);
    assert_true(reco_utf8_is_valid(err.field, 254));

    strcpy(body + 255, "\xc3\xa9yyy\": 1}");
    assert_int_equal(parse_decide(native, model, body, NULL), RECO_INVALID);
    assert_int_equal(strlen(err.field), 255);
    assert_memory_equal(err.field + 253, "\xc3\xa9", 2);
}

/* ---- GET /decide ---------------------------------------------------- */

static void
test_args(void **state)
{
    (void) state;

    parse_ok(NULL, "customer=c%2042&session=a+b%2Bc&age=4.25e1&device=%C3%A9"
                   "&gender=F&actions=A,%43,Z&slate=1&explain=1&shoe=42");

    assert_str(request.customer, "c 42");
    assert_str(request.session, "a b+c");
    assert_int_equal(request.given[0].kind, RECO_VALUE_NUMBER);
    assert_true(request.given[0].number == 42.5);
    assert_int_equal(request.given[1].kind, RECO_VALUE_WORD);
    assert_str(request.given[1].word, "\xc3\xa9");
    assert_true(request.has_flags);
    assert_int_equal(request.flags.bits[0], 5);
    assert_int_equal(request.slate, 1);
    assert_true(request.explain);
    assert_int_equal(request.unknown_fields, 2);
}

/* Words and numeric codes, of a feature that has codes, and words that look
 * like numbers where it has none. */
static void
test_args_values(void **state)
{
    reco_customer_t  nobody = { NULL, 0 };

    (void) state;

    parse_ok(NULL, "gender=F&device=007&age=-3");
    assert_int_equal(reco_features_resolve(model, &request, &nobody,
                                           &features, &err), RECO_OK);
    assert_true(features.value[0].number == -3);
    assert_int_equal(features.value[1].kind, RECO_VALUE_WORD);
    assert_str(features.value[1].word, "007");
    assert_int_equal(features.value[2].kind, RECO_VALUE_NUMBER);
    assert_true(features.value[2].number == 1);

    parse_ok(NULL, "gender=0");
    assert_int_equal(reco_features_resolve(model, &request, &nobody,
                                           &features, &err), RECO_OK);
    assert_int_equal(features.value[2].kind, RECO_VALUE_NUMBER);
    assert_true(features.value[2].number == 0);
}

/* An empty variable of nginx is nothing. */
static void
test_args_empty(void **state)
{
    size_t  i;

    static const char *const  args[] = {
        "", "&", "&&", "customer=", "customer=&session=&age=&device=",
        "customer", "age&device", "=", "explain=0",
    };

    (void) state;

    for (i = 0; i < sizeof(args) / sizeof(args[0]); i++) {
        parse_ok(NULL, args[i]);
        assert_int_equal(request.customer.len, 0);
        assert_int_equal(request.session.len, 0);
        assert_int_equal(request.given[0].kind, RECO_VALUE_MISSING);
        assert_int_equal(request.given[1].kind, RECO_VALUE_MISSING);
        assert_false(request.has_flags);
        assert_false(request.explain);
    }

    parse_ok(NULL, "actions=");
    assert_true(request.has_flags);
    assert_int_equal(request.flags.bits[0], 0);
}

static const bad_t  bad_args[] = {
    { "customer=%4", "query", 9 },
    { "customer=a%", "query", 10 },
    { "customer=%zz", "query", 9 },
    { "cust%omer=1", "query", 4 },
    { "customer=%ff", "query", 12 },
    { "device=%C3&age=1", "query", 10 },
    { "customer=%00", "customer", NOWHERE },
    { "customer=a%0Ab", "customer", NOWHERE },
    { "customer=a&customer=a", "customer", NOWHERE },
    { "age=1&age=1", "age", NOWHERE },
    { "age=old", "age", NOWHERE },
    { "age=1x", "age", NOWHERE },
    { "age=+1", "age", NOWHERE },
    { "age=nan", "age", NOWHERE },
    { "age=inf", "age", NOWHERE },
    { "age=0x10", "age", NOWHERE },
    { "age=1e999", "age", NOWHERE },
    { "gender=X", "gender", NOWHERE },
    { "gender=2", "gender", NOWHERE },
    { "device=a%7F", "device", NOWHERE },
    { "slate=", "slate", NOWHERE },
    { "slate=0", "slate", NOWHERE },
    { "slate=65", "slate", NOWHERE },
    { "slate=1a", "slate", NOWHERE },
    { "slate=0001", "slate", NOWHERE },
    { "slate=-1", "slate", NOWHERE },
    { "explain=", "explain", NOWHERE },
    { "explain=yes", "explain", NOWHERE },
    { "actions=A&actions=B", "actions", NOWHERE },
    { "actions=A,%f", "query", 10 },
};

static void
test_bad_args(void **state)
{
    size_t  i;

    (void) state;

    for (i = 0; i < sizeof(bad_args) / sizeof(bad_args[0]); i++) {
        assert_refused(parse_decide(native, model, NULL, bad_args[i].text),
                       &bad_args[i]);
    }
}

/* Room for the arguments is enough, and less than that is an error. */
static void
test_args_room(void **state)
{
    const char  *args = "customer=c%2042&device=abc&age=17";

    (void) state;

    begin_parse();
    parse.arena.size = (strlen(args) + 7) & ~(size_t) 7;
    reco_request_reset(&request, model->nfeatures);
    assert_int_equal(native->parse_decide(str(""), exact(args), model, &parse,
                                          &request, &err), RECO_OK);
    assert_str(request.given[1].word, "abc");

    begin_parse();
    parse.arena.size = 8;
    assert_int_equal(native->parse_decide(str(""), exact(args), model, &parse,
                                          &request, &err), RECO_LIMIT);
}

/* ---- rewards -------------------------------------------------------- */

static void
test_reward(void **state)
{
    (void) state;

    assert_int_equal(parse_reward(native,
        "{\"decision\": \"" ID_TEXT "\", \"customer\": \"c42\","
        " \"facts\": {\"click\": true, \"revenue\": -12.5, \"seen\": 0},"
        " \"action\": \"B\", \"key\": \"k1\"}"), RECO_OK);

    assert_str(reward.token, ID_TEXT);
    assert_str(reward.customer, "c42");
    assert_str(reward.action, "B");
    assert_str(reward.key, "k1");
    assert_int_equal(reward.nfacts, 3);
    assert_str(reward.facts[0].name, "click");
    assert_true(reward.facts[0].value == 1);
    assert_str(reward.facts[1].name, "revenue");
    assert_true(reward.facts[1].value == -12.5);
    assert_true(reward.facts[2].value == 0);

    assert_int_equal(reward.session.len, 0);
    assert_int_equal(reward.nitems, 0);

    assert_int_equal(parse_reward(native,
        "{\"facts\": {\"click\": 1}, \"customer\": \"c\", \"session\": \"s1\","
        " \"items\": [\"22423\", \"x\"]}"), RECO_OK);
    assert_str(reward.session, "s1");
    assert_int_equal(reward.nitems, 2);
    assert_str(reward.items[1], "x");

    assert_int_equal(parse_reward(native,
        "{\"facts\": {\"click\": 1}, \"customer\": \"c\", \"key\": null,"
        " \"action\": null, \"decision\": null, \"session\": null,"
        " \"items\": null}"), RECO_OK);
    assert_int_equal(reward.session.len, 0);
    assert_int_equal(reward.nitems, 0);
    assert_int_equal(reward.token.len, 0);
    assert_int_equal(reward.action.len, 0);
    assert_int_equal(reward.key.len, 0);

    begin_render();
    native->render_reward(&out, &reward);
    assert_rendered("{\"accepted\":true}");
}

static const bad_t  bad_rewards[] = {
    { "", "", 0 },
    { "null", "", 0 },
    { "{}", "decision", NOWHERE },
    { "{\"facts\": {\"a\": 1}}", "decision", NOWHERE },
    { "{\"customer\": \"c\"}", "facts", NOWHERE },
    { "{\"customer\": \"c\", \"facts\": {}}", "facts", NOWHERE },
    { "{\"facts\": [1]}", "facts", 10 },
    { "{\"facts\": {\"a\": false}}", "facts.a", 16 },
    { "{\"facts\": {\"a\": \"1\"}}", "facts.a", 16 },
    { "{\"facts\": {\"a\": null}}", "facts.a", 16 },
    { "{\"facts\": {\"a\": {}}}", "facts.a", 16 },
    { "{\"facts\": {\"a\": 1e999}}", "", 16 },
    { "{\"facts\": {\"\": 1}}", "facts", 15 },
    { "{\"facts\": {\"a\\u0001\": 1}}", "facts.a?", 22 },
    { "{\"decision\": 5}", "decision", 13 },
    { "{\"decision\": \"\"}", "decision", 13 },
    { "{\"customer\": true}", "customer", 13 },
    { "{\"action\": 1}", "action", 11 },
    { "{\"key\": 1}", "key", 8 },
    { "{\"fact\": {\"a\": 1}}", "fact", 9 },
    { "{\"customer\": \"c\", \"facts\": {\"a\": 1}} ,", "", 37 },
};

static void
test_bad_rewards(void **state)
{
    size_t  i;

    (void) state;

    for (i = 0; i < sizeof(bad_rewards) / sizeof(bad_rewards[0]); i++) {
        assert_refused(parse_reward(native, bad_rewards[i].text),
                       &bad_rewards[i]);
    }
}

static void
test_facts_limit(void **state)
{
    char    body[1024];
    size_t  n;
    int     i, count;

    (void) state;

    for (count = RECO_MAX_FACTS; count <= RECO_MAX_FACTS + 1; count++) {
        n = (size_t) sprintf(body, "{\"customer\": \"c\", \"facts\": {");

        for (i = 0; i < count; i++) {
            n += (size_t) sprintf(body + n, "%s\"f%d\": %d", i ? ", " : "", i,
                                  i);
        }

        strcpy(body + n, "}}");
        assert_int_equal(parse_reward(native, body),
                         count == RECO_MAX_FACTS ? RECO_OK : RECO_INVALID);
    }

    assert_string_equal(err.field, "facts");
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_body),
        cmocka_unit_test(test_body_optional),
        cmocka_unit_test(test_body_items),
        cmocka_unit_test(test_body_actions),
        cmocka_unit_test(test_body_unknown),
        cmocka_unit_test(test_body_values),
        cmocka_unit_test(test_slate),
        cmocka_unit_test(test_bad_bodies),
        cmocka_unit_test(test_long_field),
        cmocka_unit_test(test_args),
        cmocka_unit_test(test_args_values),
        cmocka_unit_test(test_args_empty),
        cmocka_unit_test(test_bad_args),
        cmocka_unit_test(test_args_room),
        cmocka_unit_test(test_reward),
        cmocka_unit_test(test_bad_rewards),
        cmocka_unit_test(test_facts_limit),
    };

    return cmocka_run_group_tests_name("format_native", tests, setup,
                                       teardown);
}
