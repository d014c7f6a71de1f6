/*
 * "items" of a spec: what is read, what it is bound to, what is refused and
 * where.
 */

#include "items_fixture.h"

#define SPEC(items)  CART_HEAD ", \"items\": " items "}"

static reco_error_t  error;

static reco_model_t *
bound(const char *spec)
{
    reco_str_t     fields[] = { RECO_STR("age"), RECO_STR("bought") };
    reco_model_t  *m;

    assert_ok(reco_spec_read(str(spec), &m, NULL, err));
    assert_ok(reco_spec_bind(m, NULL, 0, fields, 2, err));

    return m;
}

static void
assert_str(reco_str_t got, const char *expected)
{
    if (!reco_str_equal(got, str(expected))) {
        fail_msg("\"%.*s\" is not \"%s\"", (int) got.len, got.data, expected);
    }
}

static void
test_all(void **state)
{
    reco_model_t             *m = bound(CART_SPEC);
    const reco_candidates_t  *c;

    (void) state;

    assert_int_equal(m->items.slate, 3);
    assert_int_equal(m->items.per_family, 1);
    assert_str(m->items.history, "bought");
    assert_int_equal(m->items.history_index, 1);
    assert_int_equal(m->items.prefer, 0);
    assert_true(m->items.boost == 0.5);
    assert_int_equal(m->items.nstrategies, 4);

    /* actions: low, match, personal, popular, none */
    c = m->items.strategies[m->items.by_action[LOW]].from;
    assert_str(c[0].list, "price");
    assert_int_equal(c[0].by, RECO_BY_KEY);
    assert_str(c[0].key, "low");
    assert_true(c[0].weight == 1);
    assert_int_equal(c[0].keys, 128);
    assert_int_equal(c[0].depth, 1024);

    c = m->items.strategies[m->items.by_action[MATCH]].from;
    assert_int_equal(m->items.strategies[m->items.by_action[MATCH]].nfrom, 2);
    assert_int_equal(c[0].by, RECO_BY_CART_CATEGORY);
    assert_int_equal(c[1].by, RECO_BY_FEATURE);
    assert_int_equal(c[1].feature, 0);

    c = m->items.strategies[m->items.by_action[PERSONAL]].from;
    assert_int_equal(c[0].by, RECO_BY_CART);
    assert_true(c[0].weight == 2);
    assert_int_equal(c[1].by, RECO_BY_HISTORY);
    assert_int_equal(c[1].key.len, 0);

    c = m->items.strategies[m->items.by_action[POPULAR]].from;
    assert_int_equal(c[0].by, RECO_BY_NOTHING);
    assert_int_equal(m->items.by_action[NONE], -1);

    assert_int_equal(m->items.nfill, 1);
    assert_str(m->items.fill[0].list, "popular");
    reco_model_free(m);
}

static void
test_least(void **state)
{
    reco_model_t  *m;

    (void) state;

    m = bound(SPEC("{\"slate\": 64, \"strategies\": {}}"));
    assert_int_equal(m->items.slate, 64);
    assert_int_equal(m->items.per_family, 0);
    assert_int_equal(m->items.history.len, 0);
    assert_int_equal(m->items.history_index, -1);
    assert_int_equal(m->items.prefer, -1);
    assert_int_equal(m->items.nfill, 0);
    assert_int_equal(m->items.by_action[LOW], -1);
    reco_model_free(m);

    /* a field that the snapshot does not have */
    m = bound(SPEC("{\"slate\": 1, \"history\": \"seen\","
                   " \"strategies\": {}, \"description\": 1}"));
    assert_str(m->items.history, "seen");
    assert_int_equal(m->items.history_index, -1);
    reco_model_free(m);

    m = bound(CART_HEAD "}");
    assert_int_equal(m->items.slate, 0);
    assert_int_equal(m->items.prefer, -1);
    assert_int_equal(m->items.history_index, -1);
    reco_model_free(m);
}

static void
test_keys_and_depth(void **state)
{
    reco_model_t             *m;
    const reco_candidates_t  *c;

    (void) state;

    m = bound(SPEC("{\"slate\": 1, \"history\": \"bought\", \"strategies\":"
                   " {\"low\": [{\"list\": \"a\", \"by\": \"cart\","
                   " \"keys\": 1, \"depth\": 1024}, {\"list\": \"a\","
                   " \"by\": \"cart.category\", \"keys\": 2}]},"
                   " \"fill\": [{\"list\": \"a\", \"by\": \"history\","
                   " \"keys\": 128, \"depth\": 1}]}"));
    c = m->items.strategies[0].from;
    assert_int_equal(c[0].keys, 1);
    assert_int_equal(c[0].depth, 1024);
    assert_int_equal(c[1].keys, 2);
    assert_int_equal(m->items.fill[0].keys, 128);
    assert_int_equal(m->items.fill[0].depth, 1);
    reco_model_free(m);
}

static const struct {
    const char  *items;
    const char  *path;
} refused[] = {
    { "1", "$.items" },
    { "{}", "$.items.slate" },
    { "{\"slate\": 0}", "$.items.slate" },
    { "{\"slate\": 65}", "$.items.slate" },
    { "{\"slate\": 1}", "$.items.strategies" },
    { "{\"slate\": 1, \"more\": 1}", "$.items.more" },
    { "{\"slate\": 1, \"per_family\": -1}", "$.items.per_family" },
    { "{\"slate\": 1, \"history\": 1}", "$.items.history" },
    { "{\"slate\": 1, \"history\": \"customer.\"}", "$.items.history" },
    { "{\"slate\": 1, \"prefer\": \"taste\"}", "$.items.prefer" },
    { "{\"slate\": 1, \"prefer\": {\"feature\": \"taste\"}}",
      "$.items.prefer.boost" },
    { "{\"slate\": 1, \"prefer\": {\"feature\": \"taste\", \"boost\": -1}}",
      "$.items.prefer.boost" },
    { "{\"slate\": 1, \"prefer\": {\"feature\": \"x\", \"boost\": 1}}",
      "$.items.prefer.feature" },
    { "{\"slate\": 1, \"prefer\": {\"boost\": 1}}",
      "$.items.prefer.feature" },
    { "{\"slate\": 1, \"strategies\": []}", "$.items.strategies" },
    { "{\"slate\": 1, \"strategies\": {\"low\": []}}",
      "$.items.strategies.low" },
    { "{\"slate\": 1, \"strategies\": {\"low\": [{}]}}",
      "$.items.strategies.low[0].list" },
    { "{\"slate\": 1, \"strategies\": {\"low\": [{\"list\": \"\"}]}}",
      "$.items.strategies.low[0].list" },
    { "{\"slate\": 1, \"strategies\": {\"low\": [{\"list\": \"a\"},"
      " {\"list\": \"a\", \"by\": \"x\"}]}}",
      "$.items.strategies.low[1].by" },
    { "{\"slate\": 1, \"strategies\": {\"low\": [{\"list\": \"a\","
      " \"by\": 1}]}}", "$.items.strategies.low[0].by" },
    { "{\"slate\": 1, \"strategies\": {\"low\": [{\"list\": \"a\","
      " \"by\": \"cart\", \"key\": \"b\"}]}}",
      "$.items.strategies.low[0].by" },
    { "{\"slate\": 1, \"strategies\": {\"low\": [{\"list\": \"a\","
      " \"by\": \"history\"}]}}", "$.items.strategies.low[0].by" },
    { "{\"slate\": 1, \"strategies\": {\"low\": [{\"list\": \"a\","
      " \"weight\": 0}]}}", "$.items.strategies.low[0].weight" },
    { "{\"slate\": 1, \"strategies\": {\"low\": [{\"list\": \"a\","
      " \"weight\": 1e7}]}}", "$.items.strategies.low[0].weight" },
    { "{\"slate\": 1, \"strategies\": {\"low\": [{\"list\": \"a\","
      " \"by\": \"cart\", \"keys\": 0}]}}",
      "$.items.strategies.low[0].keys" },
    { "{\"slate\": 1, \"strategies\": {\"low\": [{\"list\": \"a\","
      " \"by\": \"cart\", \"keys\": 129}]}}",
      "$.items.strategies.low[0].keys" },
    { "{\"slate\": 1, \"strategies\": {\"low\": [{\"list\": \"a\","
      " \"by\": \"cart\", \"keys\": \"2\"}]}}",
      "$.items.strategies.low[0].keys" },
    { "{\"slate\": 1, \"strategies\": {\"low\": [{\"list\": \"a\","
      " \"key\": \"b\", \"keys\": 1}]}}",
      "$.items.strategies.low[0].keys" },
    { "{\"slate\": 1, \"strategies\": {\"low\": [{\"list\": \"a\","
      " \"by\": \"taste\", \"keys\": 1}]}}",
      "$.items.strategies.low[0].keys" },
    { "{\"slate\": 1, \"strategies\": {\"low\": [{\"list\": \"a\","
      " \"depth\": 0}]}}", "$.items.strategies.low[0].depth" },
    { "{\"slate\": 1, \"strategies\": {\"low\": [{\"list\": \"a\","
      " \"depth\": 1025}]}}", "$.items.strategies.low[0].depth" },
    { "{\"slate\": 1, \"strategies\": {}, \"fill\": [{\"list\": \"a\","
      " \"keys\": 1}]}", "$.items.fill[0].keys" },
    { "{\"slate\": 1, \"strategies\": {}, \"fill\": []}", "$.items.fill" },
    { "{\"slate\": 1, \"strategies\": {}, \"fill\": [{\"list\": \"a\","
      " \"weight\": 2}]}", "$.items.fill[0].weight" },
};

static void
test_refused(void **state)
{
    char           spec[2048];
    reco_model_t  *m;

    (void) state;

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        snprintf(spec, sizeof(spec), CART_HEAD ", \"items\": %s}",
                 refused[i].items);

        if (reco_spec_read(str(spec), &m, NULL, &error) != RECO_INVALID
            || strcmp(error.field, refused[i].path) != 0)
        {
            fail_msg("%s: '%s' instead of '%s'", refused[i].items,
                     error.field, refused[i].path);
        }
    }
}

/* A number, and a category that becomes a code, are no keys of lists. */
static void
test_features(void **state)
{
    reco_model_t  *m;

    (void) state;

#define FEATURE(more)                                                         \
    "{\"model\": \"m\", \"features\": [{\"name\": \"f\", \"from\":"           \
    " [\"request\"], " more "}], \"actions\": [{\"id\": \"a\"}], \"items\":"  \
    " {\"slate\": 1, \"strategies\": {\"a\": [{\"list\": \"l\", \"by\":"      \
    " \"f\"}]}}}"

    assert_int_equal(reco_spec_read(
        str(FEATURE("\"type\": \"number\"")), &m, NULL, &error),
        RECO_INVALID);
    assert_string_equal(error.field, "$.items.strategies.a[0].by");
    assert_int_equal(reco_spec_read(
        str(FEATURE("\"type\": \"category\", \"codes\": {\"x\": 1}")), &m,
        NULL, &error), RECO_INVALID);
    assert_string_equal(error.field, "$.items.strategies.a[0].by");
    assert_ok(reco_spec_read(str(FEATURE("\"type\": \"category\"")), &m, NULL,
                             err));
    reco_model_free(m);
}

static void
test_unbindable(void **state)
{
    reco_model_t  *m;

    (void) state;

    assert_ok(reco_spec_read(str(SPEC("{\"slate\": 1, \"strategies\":"
        " {\"low\": [{\"list\": \"a\"}], \"lower\": [{\"list\": \"a\"}]}}")),
        &m, NULL, err));
    assert_int_equal(reco_spec_bind(m, NULL, 0, NULL, 0, &error),
                     RECO_INVALID);
    assert_string_equal(error.field, "$.items.strategies.lower");
    reco_model_free(m);

    assert_ok(reco_spec_read(
        str("{\"model\": \"m\", \"actions\": [{\"id\": \"a\"}],"
            " \"policy\": {\"type\": \"uniform\", \"slate\": 2},"
            " \"items\": {\"slate\": 1, \"strategies\": {}}}"),
        &m, NULL, err));
    assert_int_equal(reco_spec_bind(m, NULL, 0, NULL, 0, &error),
                     RECO_INVALID);
    assert_string_equal(error.field, "$.policy.slate");
    reco_model_free(m);
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_least),
        cmocka_unit_test(test_keys_and_depth),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_features),
        cmocka_unit_test(test_unbindable),
    };

    return cmocka_run_group_tests_name("spec_items", tests, folder_make,
                                       folder_remove);
}
