/*
 * Decisions and rewards in the event log: written lines are what the header
 * says they are, are valid JSON for jansson whatever the ids are, stay below
 * their bounds, and come back as they went in.
 */

#include "event_fixture.h"

/* ---- writing -------------------------------------------------------- */

static void
test_decision_line(void **state)
{
    reco_buf_t             b;
    reco_model_t           model = model_of();
    reco_decision_event_t  e;

    (void) state;
    sample(&e, &model);

    reco_buf_init(&b, memory, sizeof(memory));
    reco_event_write_decision(&b, &e);

    assert_str(line_of(&b),
        "{\"type\":\"decision\",\"seq\":7,\"id\":\"" ID_TEXT "\","
        "\"time\":1732241234567,\"model\":\"shop\",\"generation\":3,"
        "\"customer\":\"c42\",\"session\":\"s1\","
        "\"features\":{\"age\":[42,\"request\"],\"country\":[\"GB\",\"geo\"]},"
        "\"actions\":6,\"eligible\":\"1f\","
        "\"slate\":[\"OFFER_2\",\"OFFER_5\"],"
        "\"propensity\":[1073741824,2147483648],\"policy\":\"weights\"}");
}

/* What a model with items adds. */
static void
test_items_line(void **state)
{
    static reco_request_t     request;
    static reco_item_slate_t  items;

    json_t                *v;
    reco_buf_t             b;
    reco_model_t           model = model_of();
    reco_decision_event_t  e;

    (void) state;
    sample(&e, &model);

    request.ncart = 2;
    request.cart[0] = RECO_STR("22423");
    request.cart[1] = RECO_STR("a\"b");
    request.nexclude = 1;
    request.exclude[0] = RECO_STR("85123A");
    items.n = 2;
    items.items[0].item.id = RECO_STR("21232");
    items.items[1].item.id = RECO_STR("22086");
    e.request = &request;
    e.items = &items;
    decision.level = 1;

    reco_buf_init(&b, memory, sizeof(memory));
    reco_event_write_decision(&b, &e);

    assert_str(line_of(&b),
        "{\"type\":\"decision\",\"seq\":7,\"id\":\"" ID_TEXT "\","
        "\"time\":1732241234567,\"model\":\"shop\",\"generation\":3,"
        "\"customer\":\"c42\",\"session\":\"s1\","
        "\"features\":{\"age\":[42,\"request\"],\"country\":[\"GB\",\"geo\"]},"
        "\"actions\":6,\"eligible\":\"1f\","
        "\"slate\":[\"OFFER_2\",\"OFFER_5\"],"
        "\"propensity\":[1073741824,2147483648],\"policy\":\"weights\","
        "\"level\":1,\"cart\":[\"22423\",\"a\\\"b\"],"
        "\"exclude\":[\"85123A\"],\"items\":[\"21232\",\"22086\"]}");

    assert_int_equal(read_line(line_of(&b)), RECO_OK);
    assert_int_equal(event.level, 1);
    assert_int_equal(event.ncart, 2);
    assert_str(event.cart[0], "22423");
    assert_str(event.cart[1], "a\"b");
    assert_int_equal(event.nexclude, 1);
    assert_str(event.exclude[0], "85123A");
    assert_int_equal(event.nitems, 2);
    assert_str(event.items[1], "22086");

    /* what is empty is left out, and read as such */
    request.ncart = request.nexclude = items.n = 0;
    decision.level = 0;
    reco_buf_init(&b, memory, sizeof(memory));
    reco_event_write_decision(&b, &e);
    v = parse(line_of(&b));
    assert_null(json_object_get(v, "cart"));
    assert_null(json_object_get(v, "exclude"));
    assert_null(json_object_get(v, "items"));
    assert_null(json_object_get(v, "level"));
    json_decref(v);
    assert_int_equal(read_line(line_of(&b)), RECO_OK);
    assert_int_equal(event.level + event.ncart + event.nexclude
                     + event.nitems, 0);
}

static void
test_decision_options(void **state)
{
    json_t                *v;
    reco_buf_t             b;
    reco_model_t           model = model_of();
    reco_decision_event_t  e;

    (void) state;
    sample(&e, &model);

    e.customer_key = e.session = RECO_STR("");
    e.generation = 0;
    e.fallback = true;
    e.not_replayable = true;
    eligible.bits[0] = 0x3f;
    decision.pinned = 1;
    decision.low_mass = true;

    reco_buf_init(&b, memory, sizeof(memory));
    reco_event_write_decision(&b, &e);
    v = parse(line_of(&b));

    assert_null(json_object_get(v, "customer"));
    assert_null(json_object_get(v, "session"));
    assert_string_equal(member(v, "eligible"), "all");
    assert_int_equal(json_integer_value(json_object_get(v, "pinned")), 1);
    assert_true(json_is_true(json_object_get(v, "low_mass")));
    assert_true(json_is_true(json_object_get(v, "fallback")));
    assert_true(json_is_false(json_object_get(v, "replayable")));
    json_decref(v);

    assert_int_equal(read_line(line_of(&b)), RECO_OK);
    assert_true(event.fallback);
    assert_true(event.not_replayable);
    assert_true(event.low_mass);
    assert_int_equal(event.pinned, 1);
    assert_int_equal(event.generation, 0);
    assert_int_equal(event.customer_key.len, 0);
    assert_int_equal(event.session.len, 0);
    assert_str(event.eligible, "all");
}

static void
test_decision_round_trip(void **state)
{
    json_t                *v;
    reco_buf_t             b;
    reco_model_t           model = model_of();
    reco_decision_event_t  e;

    (void) state;
    sample(&e, &model);

    e.customer_key = RECO_STR(ODD);
    e.session = RECO_STR("\xe2\x80\xa9");
    model_features[0].name = RECO_STR("\"age\"");
    features.value[1].word = RECO_STR(ODD);
    features.value[0].number = 0.1;
    model_actions[1].id = RECO_STR("\\");
    e.seq = UINT64_MAX;

    reco_buf_init(&b, memory, sizeof(memory));
    reco_event_write_decision(&b, &e);
    assert_int_equal(read_line(line_of(&b)), RECO_OK);

    assert_int_equal(event.type, RECO_EVENT_DECISION);
    assert_true(event.seq == UINT64_MAX);
    assert_true(event.has_id);
    assert_memory_equal(event.id.bytes, e.id.bytes, sizeof(e.id.bytes));
    assert_int_equal(event.time_ms, 1732241234567);
    assert_int_equal(event.generation, 3);
    assert_str(event.model, "shop");
    assert_str(event.policy, "weights");
    assert_str(event.customer_key, ODD);
    assert_str(event.session, "\xe2\x80\xa9");
    assert_int_equal(event.nfeatures, 2);
    assert_str(event.features[0].name, "\"age\"");
    assert_int_equal(event.features[0].value.kind, RECO_VALUE_NUMBER);
    assert_true(event.features[0].value.number == 0.1);
    assert_int_equal(event.features[0].source, RECO_SOURCE_REQUEST);
    assert_int_equal(event.features[1].value.kind, RECO_VALUE_WORD);
    assert_str(event.features[1].value.word, ODD);
    assert_int_equal(event.features[1].source, RECO_SOURCE_GEO);
    assert_int_equal(event.actions, 6);
    assert_str(event.eligible, "1f");
    assert_int_equal(event.nslate, 2);
    assert_str(event.slate[0], "\\");
    assert_str(event.slate[1], "OFFER_5");
    assert_int_equal(event.propensity[0], 1073741824);
    assert_true(event.propensity[1] == 2147483648u);
    assert_false(event.fallback);
    assert_false(event.not_replayable);
    assert_false(event.low_mass);
    assert_int_equal(event.pinned, 0);

    /* and jansson, which has no 64-bit unsigned integers, reads the same */
    e.seq = 1;
    reco_buf_init(&b, memory, sizeof(memory));
    reco_event_write_decision(&b, &e);
    v = parse(line_of(&b));
    assert_string_equal(member(v, "customer"), ODD);
    assert_string_equal(member(v, "session"), "\xe2\x80\xa9");
    assert_string_equal(json_string_value(json_array_get(
                            json_object_get(v, "slate"), 0)), "\\");
    assert_string_equal(json_string_value(json_array_get(json_object_get(
                            json_object_get(v, "features"), "country"), 0)),
                        ODD);
    json_decref(v);
}

static void
test_reward_round_trip(void **state)
{
    json_t               *v;
    reco_buf_t            b;
    reco_fact_t           facts[] = { { RECO_STR("conversion"), 1 },
                                      { RECO_STR(ODD), -12.5 } };
    reco_str_t            items[] = { RECO_STR("21232"), RECO_STR("a\"b") };
    reco_reward_event_t   e;

    (void) state;

    memset(&e, 0, sizeof(e));
    e.seq = 8;
    e.time_ms = 1732241234567;
    e.model = RECO_STR("shop");
    e.generation = 3;
    e.has_decision = true;
    assert_true(reco_id_parse(str(ID_TEXT), &e.decision));
    e.customer_key = RECO_STR("c42");
    e.key = RECO_STR("timestamp:2024-11-22");
    e.action = RECO_STR("OFFER_2");
    e.facts = facts;
    e.nfacts = 1;

    reco_buf_init(&b, memory, sizeof(memory));
    reco_event_write_reward(&b, &e);

    assert_str(line_of(&b),
        "{\"type\":\"reward\",\"seq\":8,\"time\":1732241234567,"
        "\"model\":\"shop\",\"generation\":3,\"decision\":\"" ID_TEXT "\","
        "\"customer\":\"c42\",\"key\":\"timestamp:2024-11-22\","
        "\"action\":\"OFFER_2\",\"facts\":{\"conversion\":1}}");

    e.session = RECO_STR("s1");
    e.items = items;
    e.nitems = 2;

    reco_buf_init(&b, memory, sizeof(memory));
    reco_event_write_reward(&b, &e);

    assert_str(line_of(&b),
        "{\"type\":\"reward\",\"seq\":8,\"time\":1732241234567,"
        "\"model\":\"shop\",\"generation\":3,\"decision\":\"" ID_TEXT "\","
        "\"customer\":\"c42\",\"session\":\"s1\","
        "\"key\":\"timestamp:2024-11-22\",\"action\":\"OFFER_2\","
        "\"items\":[\"21232\",\"a\\\"b\"],\"facts\":{\"conversion\":1}}");

    assert_int_equal(read_line(line_of(&b)), RECO_OK);
    assert_str(event.session, "s1");
    assert_int_equal(event.nitems, 2);
    assert_str(event.items[1], "a\"b");

    e.session = RECO_STR("");
    e.nitems = 0;
    e.has_decision = false;
    e.key = e.action = RECO_STR("");
    e.customer_key = RECO_STR(ODD);
    e.nfacts = 2;

    reco_buf_init(&b, memory, sizeof(memory));
    reco_event_write_reward(&b, &e);
    v = parse(line_of(&b));
    assert_int_equal(json_object_size(v), 7);
    assert_true(json_real_value(json_object_get(json_object_get(v, "facts"),
                                                ODD)) == -12.5);
    json_decref(v);

    assert_int_equal(read_line(line_of(&b)), RECO_OK);
    assert_int_equal(event.type, RECO_EVENT_REWARD);
    assert_int_equal(event.seq, 8);
    assert_false(event.has_id);
    assert_str(event.customer_key, ODD);
    assert_int_equal(event.key.len, 0);
    assert_int_equal(event.action.len, 0);
    assert_int_equal(event.nfacts, 2);
    assert_str(event.facts[0].name, "conversion");
    assert_true(event.facts[0].value == 1);
    assert_str(event.facts[1].name, ODD);
    assert_true(event.facts[1].value == -12.5);
}

/* ---- bounds --------------------------------------------------------- */

/* The id that grows most: 255 bytes that all are escaped. */
static reco_str_t
worst_id(void)
{
    static char  id[RECO_MAX_ID];

    memset(id, '"', sizeof(id));

    return (reco_str_t) { id, sizeof(id) };
}

static void
test_decision_bound(void **state)
{
    static reco_feature_t  many_features[RECO_MAX_FEATURES];
    static reco_action_t   many_actions[RECO_MAX_ACTIONS];
    reco_buf_t             b;
    reco_model_t           model = model_of();
    reco_decision_event_t  e;
    uint32_t               i;

    (void) state;
    sample(&e, &model);

    model.name = worst_id();
    model.features = many_features;
    model.nfeatures = RECO_MAX_FEATURES;
    model.catalogue.actions = many_actions;
    model.catalogue.n = RECO_MAX_ACTIONS;
    model.policy.slate = RECO_MAX_SLATE;

    for (i = 0; i < RECO_MAX_FEATURES; i++) {
        many_features[i].name = worst_id();
        features.value[i] = (reco_value_t) { RECO_VALUE_WORD, 0, worst_id() };
        features.source[i] = RECO_SOURCE_CUSTOMER;
    }
    features.n = RECO_MAX_FEATURES;

    for (i = 0; i < RECO_MAX_ACTIONS; i++) {
        many_actions[i].id = worst_id();
    }

    for (i = 0; i < RECO_MAX_SLATE; i++) {
        decision.action[i] = (uint16_t) i;
        decision.propensity[i] = RECO_ONE;
    }
    decision.n = RECO_MAX_SLATE;
    decision.pinned = RECO_MAX_SLATE;
    decision.low_mass = true;

    e.seq = e.time_ms = e.generation = UINT64_MAX;
    e.customer_key = e.session = worst_id();
    e.fallback = e.not_replayable = true;

    reco_buf_init(&b, memory, sizeof(memory));
    reco_event_write_decision(&b, &e);
    assert_false(b.overflow);
    assert_in_range(reco_buf_len(&b), 1, reco_event_decision_bound(&model));

    /* numbers that take the most room */
    for (i = 0; i < RECO_MAX_FEATURES; i++) {
        features.value[i] = (reco_value_t) { RECO_VALUE_NUMBER,
                                             -2.2250738585072014e-308,
                                             { "", 0 } };
    }

    reco_buf_init(&b, memory, sizeof(memory));
    reco_event_write_decision(&b, &e);
    assert_false(b.overflow);
    assert_in_range(reco_buf_len(&b), 1, reco_event_decision_bound(&model));

    /* the longest slate of items, cart and excluded ones */
    {
        static reco_request_t     request;
        static reco_item_slate_t  items;

        model.items.slate = items.n = RECO_MAX_SLATE;
        request.ncart = request.nexclude = RECO_MAX_CART;
        for (i = 0; i < RECO_MAX_CART; i++) {
            request.cart[i] = request.exclude[i] = worst_id();
            items.items[i].item.id = worst_id();
        }
        e.request = &request;
        e.items = &items;
        decision.level = RECO_MAX_LEVELS - 1;

        reco_buf_init(&b, memory, sizeof(memory));
        reco_event_write_decision(&b, &e);
        assert_false(b.overflow);
        assert_in_range(reco_buf_len(&b), 1,
                        reco_event_decision_bound(&model)
                        + reco_event_request_bound(&request));
    }

    /* no more room than that is needed, and the smallest of models holds */
    model = model_of();
    model.nfeatures = 0;
    model.catalogue.n = 1;
    model.policy.slate = 1;
    sample(&e, &model);
    features.n = 0;
    decision.n = 1;
    decision.action[0] = 0;
    model_actions[0].id = worst_id();
    e.customer_key = e.session = model.name = worst_id();
    e.seq = e.time_ms = e.generation = UINT64_MAX;

    reco_buf_init(&b, memory, reco_event_decision_bound(&model));
    reco_event_write_decision(&b, &e);
    assert_false(b.overflow);
}

static void
test_reward_bound(void **state)
{
    reco_buf_t           b;
    reco_str_t           items[RECO_MAX_SLATE];
    reco_fact_t          facts[RECO_MAX_FACTS];
    reco_reward_event_t  e;
    uint32_t             i;

    (void) state;

    memset(&e, 0, sizeof(e));

    for (i = 0; i < RECO_MAX_FACTS; i++) {
        facts[i].name = worst_id();
        facts[i].value = -2.2250738585072014e-308;
    }

    e.seq = e.time_ms = e.generation = UINT64_MAX;
    e.has_decision = true;
    e.model = e.customer_key = e.key = e.action = e.session = worst_id();
    for (i = 0; i < RECO_MAX_SLATE; i++) {
        items[i] = worst_id();
    }
    e.items = items;
    e.nitems = RECO_MAX_SLATE;
    e.facts = facts;
    e.nfacts = RECO_MAX_FACTS;

    reco_buf_init(&b, memory, sizeof(memory));
    reco_event_write_reward(&b, &e);
    assert_in_range(reco_buf_len(&b), 1, reco_event_reward_bound());
}

/* ---- masks ---------------------------------------------------------- */

static void
check_mask(const reco_mask_t *m, uint32_t n, const char *text)
{
    reco_buf_t   b;
    reco_mask_t  back;
    uint32_t     i;

    reco_buf_init(&b, memory, n / 4 + 3);
    reco_mask_write(&b, m, n);
    assert_false(b.overflow);
    assert_str((reco_str_t) { memory, reco_buf_len(&b) }, text);

    assert_true(reco_mask_read(str(text), n, &back));
    for (i = 0; i < RECO_MAX_ACTIONS; i++) {
        assert_int_equal(reco_mask_get(&back, i),
                         i < n && reco_mask_get(m, i));
    }
}

static void
test_masks(void **state)
{
    char         text[RECO_MAX_ACTIONS / 4 + 1];
    reco_mask_t  m;

    (void) state;

    memset(&m, 0, sizeof(m));
    check_mask(&m, 1, "0");
    check_mask(&m, 5, "00");

    reco_mask_set(&m, 0);
    check_mask(&m, 1, "all");
    check_mask(&m, 6, "01");

    reco_mask_set(&m, 4);
    check_mask(&m, 5, "11");
    reco_mask_set(&m, 63);
    check_mask(&m, 64, "8000000000000011");
    reco_mask_set(&m, 64);
    check_mask(&m, 65, "18000000000000011");
    check_mask(&m, 66, "18000000000000011");
    check_mask(&m, 69, "018000000000000011");

    /* bits beyond the catalogue do not count */
    check_mask(&m, 5, "11");

    memset(&m, 0xff, sizeof(m));
    check_mask(&m, RECO_MAX_ACTIONS, "all");
    check_mask(&m, 130, "all");
    reco_mask_clear(&m, RECO_MAX_ACTIONS - 1);
    memset(text, 'f', sizeof(text));
    text[0] = '7';
    text[RECO_MAX_ACTIONS / 4] = '\0';
    check_mask(&m, RECO_MAX_ACTIONS, text);
}

static void
test_bad_masks(void **state)
{
    reco_mask_t  m;

    (void) state;

    assert_false(reco_mask_read(str(""), 5, &m));
    assert_false(reco_mask_read(str("1"), 5, &m));
    assert_false(reco_mask_read(str("001"), 5, &m));
    assert_false(reco_mask_read(str("1F"), 5, &m));
    assert_false(reco_mask_read(str("1g"), 5, &m));
    assert_false(reco_mask_read(str("20"), 5, &m));     /* a sixth action */
    assert_false(reco_mask_read(str("ALL"), 5, &m));
    assert_false(reco_mask_read(str("all"), 0, &m));
    assert_false(reco_mask_read(str("all"), RECO_MAX_ACTIONS + 1, &m));
    assert_true(reco_mask_read(str("1f"), 5, &m));
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_decision_line),
        cmocka_unit_test(test_items_line),
        cmocka_unit_test(test_decision_options),
        cmocka_unit_test(test_decision_round_trip),
        cmocka_unit_test(test_reward_round_trip),
        cmocka_unit_test(test_decision_bound),
        cmocka_unit_test(test_reward_bound),
        cmocka_unit_test(test_masks),
        cmocka_unit_test(test_bad_masks),
    };

    return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
