/*
 * The cart's agent: what it tells of itself, and the history's query string.
 */

#include "format_cart_fixture.h"

#include "reco_agent.h"

#include <errno.h>

/* ---- the agent ------------------------------------------------------ */

#define TRAINING                                                              \
    "{\"algorithm\": \"fitted-q\", \"episodes\": 12, \"transitions\": 40,"    \
    " \"passes\": 7, \"epsilon\": 0.2, \"learning_rate\": 0.05,"              \
    " \"discount_factor\": 0.5, \"conversion_rate\": 0.125,"                  \
    " \"average_reward\": 0.75, \"reward_variance\": 2,"                      \
    " \"reward_by_episode\": [1, -0.5], \"confidence\": 0.625,"               \
    " \"actions\": {\"popular\": 0.75, \"low_price\": 0.25},"                 \
    " \"countries\": {\"GB\": {\"orders\": 3, \"revenue\": 10.5}},"           \
    " \"table\": {\"states\": 5, \"levels\": [4, 1]},"                        \
    " \"convergence\": [{\"pass\": 1, \"mean_change\": 1e-9}],"               \
    " \"last_training_ms\": 1700000000000}"

static json_t *
agent_json(reco_status_t (*render)(reco_buf_t *, const reco_agent_t *),
    const reco_agent_t *a)
{
    json_t  *v;

    begin_render();
    assert_int_equal(render(&out, a), RECO_OK);
    assert_true(reco_buf_len(&out) <= cart->agent->bound(a));
    v = rendered_json();
    assert_true(json_is_true(json_object_get(v, "success")));
    assert_string_equal(text_of(v, "timestamp", NULL),
                        "2023-11-14T22:13:20.123Z");

    return v;
}

static void
test_metrics(void **state)
{
    json_t                *v, *d;
    reco_snapshot_info_t   info = { .states = 5, .training = TRAINING };
    reco_count_t           actions[] = { { RECO_STR("low_price"), 1 },
                                         { RECO_STR("popular"), 3 } };
    reco_count_t           facts[] = { { RECO_STR("click"), 2 } };
    reco_agent_t           a = {
        .model = model, .info = &info, .generation = 3,
        .time_ms = 1700000000123, .counted = true, .actions = actions,
        .nactions = 2, .facts = facts, .nfacts = 1,
    };

    (void) state;

    v = agent_json(cart->agent->render_metrics, &a);
    d = json_object_get(v, "data");

    assert_true(number_of(d, "conversion_rate", NULL) == 0.125);
    assert_true(number_of(d, "average_reward", NULL) == 0.75);
    assert_true(number_of(d, "reward_variance", NULL) == 2);
    assert_true(number_of(d, "confidence", NULL) == 0.625);
    assert_true(json_number_value(json_array_get(
        json_object_get(d, "reward_by_episode"), 1)) == -0.5);
    assert_true(number_of(d, "action_distribution", "popular") == 0.75);
    assert_true(number_of(d, "orders_by_country", "GB") == 3);
    assert_true(number_of(d, "revenue_by_country", "GB") == 10.5);
    assert_true(number_of(d, "q_table_size", NULL) == 5);
    assert_true(number_of(d, "q_table", "states") == 5);
    assert_true(number_of(json_array_get(json_object_get(d, "convergence"),
                                         0), "mean_change", NULL) == 1e-9);

    d = json_object_get(d, "live");
    assert_true(number_of(d, "decisions", NULL) == 4);
    assert_true(number_of(d, "actions", "popular") == 3);
    assert_true(number_of(d, "action_distribution", "popular") == 0.75);
    assert_true(number_of(d, "facts_of_all_models", "click") == 2);

    json_decref(v);
}

/* Nothing is made up: neither without a training nor without a snapshot. */
static void
test_metrics_of_nothing(void **state)
{
    size_t                 i, n;
    json_t                *v, *d;
    reco_snapshot_info_t   info = { .training = "{}" };
    reco_agent_t           a = { .model = model, .time_ms = 1700000000123 };

    static const char *const  names[] = {
        "algorithm", "episodes", "transitions", "conversion_rate",
        "average_reward", "reward_variance", "reward_by_episode",
        "confidence", "action_distribution", "orders_by_country",
        "revenue_by_country", "q_table", "convergence", "live",
        "q_table_size",
    };

    (void) state;

    for (n = 0; n < 2; n++) {
        a.info = (n == 0) ? NULL : &info;
        v = agent_json(cart->agent->render_metrics, &a);
        d = json_object_get(v, "data");

        for (i = 0; i < sizeof(names) / sizeof(names[0]) - n; i++) {
            if (!json_is_null(json_object_get(d, names[i]))) {
                fail_msg("%s", names[i]);
            }
        }

        json_decref(v);
    }
}

/* Of jansson's allocations the one that fails; 0: none. */
static int  failing;

static void *
failing_malloc(size_t size)
{
    if (failing > 0 && --failing == 0) {
        errno = ENOMEM;
        return NULL;
    }

    return malloc(size);
}

/* Not free() itself: then the requests would go to malloc(). */
static void
release(void *p)
{
    free(p);
}

/* Whichever allocation fails, nothing is made null for it. */
static void
test_no_memory(void **state)
{
    int                    i, n;
    reco_snapshot_info_t   info = { .states = 5, .training = TRAINING };
    reco_agent_t           a = { .model = model, .info = &info,
                                 .generation = 3 };

    (void) state;

    json_set_alloc_funcs(failing_malloc, release);

    for (i = 0; i < 2; i++) {
        for (n = 1; ; n++) {
            failing = n;
            begin_render();

            if ((i ? cart->agent->render_state
                   : cart->agent->render_metrics)(&out, &a) == RECO_OK)
            {
                break;
            }

            assert_int_equal(failing, 0);
        }

        assert_true(failing > 0 && n > 20);
        assert_non_null(memmem(out.start, reco_buf_len(&out), "fitted-q", 8));
    }

    failing = 0;
    json_set_alloc_funcs(malloc, free);
}

static void
test_state(void **state)
{
    json_t                *v, *d;
    reco_model_t          *q;
    reco_history_t         h = { .kind = RECO_HISTORY_RECOMMENDATION,
                                 .time_ms = 1700000000000,
                                 .action = RECO_STR("popular"),
                                 .value = NAN };
    const reco_history_t  *records[] = { &h };
    reco_snapshot_info_t   info = { .states = 5, .training = TRAINING,
                                    .parent = 2 };
    reco_agent_t           a = {
        .info = &info, .generation = 3, .time_ms = 1700000000123,
        .snapshot_bytes = 4096, .counted = true, .records = records,
        .nrecords = 1,
    };

    (void) state;

    q = model_of("{\"model\": \"cart\", \"features\": [{\"name\": \"x\","
                 " \"type\": \"number\", \"from\": [\"request\"],"
                 " \"bins\": [1]}], \"actions\": [{\"id\": \"a\"}],"
                 " \"policy\": {\"type\": \"q_table\", \"state\": [\"x\"],"
                 " \"epsilon\": 0.1}}");
    a.model = q;

    v = agent_json(cart->agent->render_state, &a);
    d = json_object_get(v, "data");
    assert_true(number_of(d, "q_table_size", NULL) == 5);
    assert_true(number_of(d, "current_episode", NULL) == 12);
    assert_true(number_of(d, "epsilon", NULL) == 0.2);
    assert_true(number_of(d, "learning_rate", NULL) == 0.05);
    assert_true(number_of(d, "discount_factor", NULL) == 0.5);
    assert_true(number_of(d, "memory", "used_bytes") == 4096);
    assert_true(number_of(d, "memory", "used_states") == 5);
    assert_true(number_of(d, "memory", "limit_states")
                == (double) q->learning.max_states);
    assert_string_equal(text_of(d, "last_training", "algorithm"), "fitted-q");
    assert_string_equal(text_of(d, "last_training", "timestamp"),
                        "2023-11-14T22:13:20.000Z");
    assert_true(number_of(d, "last_training", "parent") == 2);
    d = json_array_get(json_object_get(d, "recent_actions"), 0);
    assert_string_equal(text_of(d, "action_type", NULL), "popular");
    assert_true(json_is_null(json_object_get(d, "confidence_score")));
    json_decref(v);

    /* untrained: what the spec says, and no training */
    info.training = "{}";
    v = agent_json(cart->agent->render_state, &a);
    d = json_object_get(v, "data");
    assert_true(number_of(d, "epsilon", NULL) == 0.1);
    assert_true(number_of(d, "discount_factor", NULL)
                == q->learning.discount_factor);
    assert_true(json_is_null(json_object_get(d, "current_episode")));
    assert_true(json_is_null(json_object_get(d, "last_training")));
    json_decref(v);
    reco_model_free(q);
}

/* ---- history -------------------------------------------------------- */

static reco_status_t
query_of(const char *args, reco_history_query_t *q)
{
    begin_parse();

    return cart->agent->parse_history(exact(args), &parse.arena, q, &err);
}

static void
test_query(void **state)
{
    reco_history_query_t  q;

    (void) state;

    assert_int_equal(query_of("", &q), RECO_OK);
    assert_int_equal(q.limit, 100);
    assert_true(q.from_ms == 0 && q.to_ms == UINT64_MAX);
    assert_int_equal(q.customer.len, 0);
    assert_false(q.csv);

    assert_int_equal(query_of("customer_id=c%2042&session_id=a+b"
        "&action_type=popular&from=2023-11-14T23:13:20%2B01:00"
        "&to=1700000000001&limit=1000&format=csv", &q), RECO_OK);
    assert_str(q.customer, "c 42");
    assert_str(q.session, "a b");
    assert_str(q.action, "popular");
    assert_true(q.from_ms == 1700000000000);
    assert_true(q.to_ms == 1700000000001);
    assert_int_equal(q.limit, 1000);
    assert_true(q.csv);

    /* empty ones are none */
    assert_int_equal(query_of("customer_id=&limit=&from=&&format=", &q),
                     RECO_OK);
    assert_int_equal(q.limit, 100);

    /* a date is its midnight; before 1970 is 0; 29 February 2000 */
    assert_int_equal(query_of("from=1969-12-31&to=2000-02-29", &q), RECO_OK);
    assert_true(q.from_ms == 0);
    assert_true(q.to_ms == 951782400000);
}

static void
test_query_refused(void **state)
{
    size_t                i;
    reco_history_query_t  q;

    static const bad_t  bad[] = {
        { "limit=0", "limit", RECO_NO_POSITION },
        { "limit=1001", "limit", RECO_NO_POSITION },
        { "limit=-1", "limit", RECO_NO_POSITION },
        { "limit=1e2", "limit", RECO_NO_POSITION },
        { "from=yesterday", "from", RECO_NO_POSITION },
        { "to=2023-02-29", "to", RECO_NO_POSITION },
        { "from=2&to=1", "from", RECO_NO_POSITION },
        { "format=xml", "format", RECO_NO_POSITION },
        { "customer_id=a%00b", "customer_id", RECO_NO_POSITION },
        { "session_id=%ff", "session_id", RECO_NO_POSITION },
        { "customer=1", "customer", RECO_NO_POSITION },
        { "limit=1&limit=2", "limit", RECO_NO_POSITION },
        { "limit", "query", RECO_NO_POSITION },
        { "from=%2", "query", RECO_NO_POSITION },
        { "from=%zz", "query", RECO_NO_POSITION },
        { "%ff=1", "query", RECO_NO_POSITION },
        { "pa%00ge=1", "query", RECO_NO_POSITION },
        { "=1", "query", RECO_NO_POSITION },
    };

    (void) state;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_refused(query_of(bad[i].text, &q), &bad[i]);
    }
}

static void
test_history(void **state)
{
    json_t                *v, *d;
    reco_history_t         one = {
        .kind = RECO_HISTORY_RECOMMENDATION, .time_ms = 1700000000000,
        .generation = 3, .id = { { 1, [15] = 7 } },
        .customer_key = RECO_STR("=c\"42"), .session = RECO_STR("s1"),
        .action = RECO_STR("popular"), .value = 0.5, .nitems = 2,
        .items = { RECO_STR("85123A"), RECO_STR("22423") },
    };
    reco_history_t         two = { .kind = RECO_HISTORY_RECOMMENDATION,
                                   .time_ms = 1699999999999, .value = NAN };
    const reco_history_t  *records[] = { &one, &two };
    reco_history_query_t   q = { .csv = false };
    reco_agent_t           a = {
        .model = model, .generation = 3, .time_ms = 1700000000123,
        .records = records, .nrecords = 2,
    };

    (void) state;

    begin_render();
    cart->agent->render_history(&out, &a, &q);
    assert_true(reco_buf_len(&out) <= cart->agent->bound(&a));
    v = rendered_json();
    d = json_object_get(v, "data");
    assert_true(number_of(d, "count", NULL) == 2);
    d = json_object_get(d, "history");
    assert_int_equal(json_array_size(d), 2);
    d = json_array_get(d, 0);
    assert_string_equal(text_of(d, "decision_id", NULL),
                        "01000000000000000000000000000007");
    assert_string_equal(text_of(d, "customer_id", NULL), "=c\"42");
    assert_string_equal(text_of(d, "timestamp", NULL),
                        "2023-11-14T22:13:20.000Z");
    assert_true(number_of(d, "confidence_score", NULL) == 0.5);
    json_decref(v);

    q.csv = true;
    begin_render();
    cart->agent->render_history(&out, &a, &q);
    assert_rendered(
        "timestamp,decision_id,customer_id,session_id,action_type,"
        "recommendations,confidence_score,generation\r\n"
        "2023-11-14T22:13:20.000Z,01000000000000000000000000000007,"
        "\"'=c\"\"42\",\"s1\",\"popular\",\"85123A 22423\",0.5,3\r\n"
        "2023-11-14T22:13:19.999Z,00000000000000000000000000000000,"
        "\"\",\"\",\"\",\"\",,0\r\n");
}

static void
test_matches(void **state)
{
    reco_history_t        h = { .kind = RECO_HISTORY_RECOMMENDATION,
                                .time_ms = 10, .customer_key = RECO_STR("c"),
                                .session = RECO_STR("s"),
                                .action = RECO_STR("a") };
    reco_history_query_t  q = { .from_ms = 10, .to_ms = 11 };

    (void) state;

    assert_true(reco_history_matches(&q, &h));
    q.customer_key = str("c");
    q.session = str("s");
    q.action = str("a");
    assert_true(reco_history_matches(&q, &h));
    q.action = str("b");
    assert_false(reco_history_matches(&q, &h));
    q.action = str("a");
    q.session = str("t");
    assert_false(reco_history_matches(&q, &h));
    q.session = str("s");
    q.customer_key = str("d");
    assert_false(reco_history_matches(&q, &h));
    q.customer_key = str("c");
    q.to_ms = 10;
    assert_false(reco_history_matches(&q, &h));
    q.to_ms = 11;
    q.from_ms = 11;
    assert_false(reco_history_matches(&q, &h));
    q.from_ms = 0;
    h.kind = RECO_HISTORY_REWARD;
    assert_false(reco_history_matches(&q, &h));
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_metrics_of_nothing),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_state),
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_query_refused),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_matches),
    };

    return cmocka_run_group_tests_name("format_cart_agent", tests, setup,
                                       teardown);
}
