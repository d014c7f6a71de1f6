/*
 * Lines of the event log that tell of the log itself (headers, what was
 * forgotten, what was lost), and broken lines, which are refused by member.
 */

#include "event_fixture.h"

/* ---- the log's own records ------------------------------------------- */

static void
test_header(void **state)
{
    char                   longest[65];
    json_t                *v;
    reco_buf_t             b;
    reco_segment_header_t  h = { RECO_STR("edge-1"), 0x0a1b2c3d, 12,
                                 1732241234567, { false, 0, { "", 0 } } };

    (void) state;

    reco_buf_init(&b, memory, sizeof(memory));
    reco_event_write_header(&b, &h);
    assert_int_equal(reco_buf_len(&b), 512);

    v = parse(line_of(&b));
    assert_string_equal(member(v, "type"), "segment");
    assert_string_equal(member(v, "node"), "edge-1");
    assert_string_equal(member(v, "incarnation"), "0a1b2c3d");
    assert_int_equal(json_integer_value(json_object_get(v, "segment")), 12);
    json_decref(v);

    assert_int_equal(read_line(line_of(&b)), RECO_OK);
    assert_int_equal(event.type, RECO_EVENT_HEADER);
    assert_str(event.header.node, "edge-1");
    assert_int_equal(event.header.incarnation, 0x0a1b2c3d);
    assert_false(event.header.clock.known);
    assert_int_equal(event.header.segment, 12);
    assert_int_equal(event.header.time_ms, 1732241234567);

    memset(longest, 'n', 64);
    longest[64] = '\0';
    h.node = str(longest);
    h.segment = h.time_ms = UINT64_MAX;
    reco_buf_init(&b, memory, sizeof(memory));
    reco_event_write_header(&b, &h);
    assert_int_equal(reco_buf_len(&b), 512);
}

/* The longest header there can be is as long as any: what a shipper compares
 * stays within it. */
static void
test_header_clock(void **state)
{
    char                   longest[65];
    json_t                *v;
    reco_buf_t             b;
    reco_segment_header_t  h = { RECO_STR("edge-1"), 0x0a1b2c3d, 12,
                                 1732241234567,
                                 { true, 1732240000000,
                                   RECO_STR("8c1f0a7c-5b3e-4264-b7a1-"
                                            "c2d3e4b59687") } };

    (void) state;

    reco_buf_init(&b, memory, sizeof(memory));
    reco_event_write_header(&b, &h);
    assert_int_equal(reco_buf_len(&b), 512);

    v = parse(line_of(&b));
    assert_int_equal(json_integer_value(json_object_get(v, "clock")),
                     1732240000000);
    assert_string_equal(member(v, "boot"),
                        "8c1f0a7c-5b3e-4264-b7a1-c2d3e4b59687");
    json_decref(v);

    assert_int_equal(read_line(line_of(&b)), RECO_OK);
    assert_true(event.header.clock.known);
    assert_int_equal(event.header.clock.offset_ms, 1732240000000);
    assert_str(event.header.clock.boot,
               "8c1f0a7c-5b3e-4264-b7a1-c2d3e4b59687");

    /* a machine whose clock stood in 1970, on a system without boot ids */
    h.clock.offset_ms = -86400001;
    h.clock.boot = RECO_STR("");
    reco_buf_init(&b, memory, sizeof(memory));
    reco_event_write_header(&b, &h);
    assert_int_equal(read_line(line_of(&b)), RECO_OK);
    assert_true(event.header.clock.known);
    assert_int_equal(event.header.clock.offset_ms, -86400001);
    assert_int_equal(event.header.clock.boot.len, 0);

    memset(longest, 'n', 64);
    longest[64] = '\0';
    h.node = str(longest);
    h.segment = h.time_ms = UINT64_MAX;
    h.clock.offset_ms = -INT64_MAX;
    h.clock.boot = RECO_STR("8c1f0a7c-5b3e-4264-b7a1-c2d3e4b59687");
    reco_buf_init(&b, memory, sizeof(memory));
    reco_event_write_header(&b, &h);
    assert_int_equal(reco_buf_len(&b), 512);
    assert_int_equal(read_line(line_of(&b)), RECO_OK);
    assert_true(event.header.clock.offset_ms == -INT64_MAX);
}

/* In place of a record: as long as that was, wherever there is room. */
static void
test_forgotten(void **state)
{
    size_t      len;
    reco_id_t   id;
    reco_buf_t  b;

    static const char  decision_line[] =
        "{\"type\":\"forgotten\",\"seq\":7,\"time\":1732241234567,"
        "\"id\":\"" ID_TEXT "\"}";
    static const char  reward_line[] =
        "{\"type\":\"forgotten\",\"seq\":8,\"time\":9,\"pad\":\"...\"}";

    (void) state;
    assert_true(reco_id_parse(str(ID_TEXT), &id));

    reco_buf_init(&b, memory, sizeof(memory));
    reco_event_write_forgotten(&b, 7, 1732241234567, &id, 0);
    assert_str(line_of(&b), decision_line);
    assert_int_equal(read_line(line_of(&b)), RECO_OK);
    assert_int_equal(event.type, RECO_EVENT_FORGOTTEN);
    assert_int_equal(event.seq, 7);
    assert_int_equal(event.time_ms, 1732241234567);
    assert_true(event.has_id);
    assert_memory_equal(&event.id, &id, sizeof(id));

    reco_buf_init(&b, memory, sizeof(memory));
    reco_event_write_forgotten(&b, 8, 9, NULL, sizeof(reward_line));
    assert_str(line_of(&b), reward_line);
    assert_int_equal(read_line(line_of(&b)), RECO_OK);
    assert_false(event.has_id);

    for (len = sizeof(decision_line) + 9; len < 2000; len++) {
        reco_buf_init(&b, memory, sizeof(memory));
        reco_event_write_forgotten(&b, 7, 1732241234567, &id, len);
        assert_int_equal(reco_buf_len(&b), len);
        assert_int_equal(read_line(line_of(&b)), RECO_OK);
    }

    /* too little room is said, not written beyond */
    reco_buf_init(&b, memory, 100);
    reco_event_write_forgotten(&b, 7, 1732241234567, &id, 2000);
    assert_true(b.overflow);
}

static void
test_lost(void **state)
{
    reco_buf_t   b;
    reco_lost_t  lost = { 5, 8, 3, 1, 0 };

    (void) state;

    reco_buf_init(&b, memory, sizeof(memory));
    reco_event_write_lost(&b, 9, 1732241299000, &lost);
    assert_str(line_of(&b),
        "{\"type\":\"lost\",\"seq\":9,\"time\":1732241299000,\"from\":5,"
        "\"to\":8,\"decisions\":3,\"rewards\":1}");

    assert_int_equal(read_line(line_of(&b)), RECO_OK);
    assert_int_equal(event.type, RECO_EVENT_LOST);
    assert_int_equal(event.seq, 9);
    assert_int_equal(event.time_ms, 1732241299000);
    assert_int_equal(event.lost.from, 5);
    assert_int_equal(event.lost.to, 8);
    assert_int_equal(event.lost.decisions, 3);
    assert_int_equal(event.lost.rewards, 1);
    assert_int_equal(event.lost.elapsed_ms, 0);

    lost.elapsed_ms = 61000;
    reco_buf_init(&b, memory, sizeof(memory));
    reco_event_write_lost(&b, 9, 1732241299000, &lost);
    assert_str(line_of(&b),
        "{\"type\":\"lost\",\"seq\":9,\"time\":1732241299000,\"from\":5,"
        "\"to\":8,\"decisions\":3,\"rewards\":1,\"elapsed\":61000}");
    assert_int_equal(read_line(line_of(&b)), RECO_OK);
    assert_int_equal(event.lost.elapsed_ms, 61000);

    /* the longest, for which the bound has room; 2^64 - 1 has 20 digits */
    lost = (reco_lost_t) { 1, UINT64_MAX - 1, UINT64_MAX - 1, 0,
                            UINT64_MAX };
    reco_buf_init(&b, memory, RECO_EVENT_LOST_BOUND);
    reco_event_write_lost(&b, UINT64_MAX, UINT64_MAX, &lost);
    assert_int_equal(read_line(line_of(&b)), RECO_OK);
    assert_memory_equal(&event.lost, &lost, sizeof(lost));
    lost.from = lost.rewards = UINT64_MAX;
    reco_buf_init(&b, memory, RECO_EVENT_LOST_BOUND);
    reco_event_write_lost(&b, UINT64_MAX, UINT64_MAX, &lost);
    assert_false(b.overflow);
}

/* A note that explains what was not lost would hide a hole. */
static void
test_lost_damaged(void **state)
{
    size_t  i;

    static const struct {
        const char  *members;
        const char  *field;         /* NULL: a good line */
    } notes[] = {
        { "\"from\":5,\"to\":8,\"decisions\":4,\"rewards\":0", NULL },
        { "\"from\":8,\"to\":8,\"decisions\":0,\"rewards\":0", NULL },
        { "\"from\":1,\"to\":8,\"decisions\":4,\"rewards\":4", NULL },
        { "\"from\":0,\"to\":8,\"decisions\":3,\"rewards\":1", "from" },
        { "\"from\":8,\"to\":5,\"decisions\":0,\"rewards\":0", "from" },
        { "\"from\":-5,\"to\":8,\"decisions\":0,\"rewards\":0", "from" },
        { "\"from\":5,\"to\":9,\"decisions\":3,\"rewards\":1", "to" },
        { "\"from\":5,\"to\":\"8\",\"decisions\":3,\"rewards\":1", "to" },
        { "\"from\":5,\"to\":8,\"decisions\":5,\"rewards\":0", "decisions" },
        { "\"from\":5,\"to\":8,\"decisions\":3,\"rewards\":2", "rewards" },
        { "\"from\":5,\"to\":8,\"decisions\":0,"
          "\"rewards\":18446744073709551615", "rewards" },
        { "\"from\":5,\"to\":8,\"decisions\":1,"
          "\"rewards\":18446744073709551615", "rewards" },
        { "\"to\":8,\"decisions\":3,\"rewards\":1", "from" },
        { "\"from\":5,\"decisions\":3,\"rewards\":1", "to" },
        { "\"from\":5,\"to\":8,\"rewards\":1", "decisions" },
        { "\"from\":5,\"to\":8,\"decisions\":3", "rewards" },
    };

    (void) state;

    for (i = 0; i < sizeof(notes) / sizeof(notes[0]); i++) {
        (void) snprintf(memory, sizeof(memory), "{\"type\":\"lost\",\"seq\":9,"
                        "\"time\":2,%s}", notes[i].members);

        if (notes[i].field == NULL) {
            assert_int_equal(read_line(str(memory)), RECO_OK);
            continue;
        }

        if (read_line(str(memory)) != RECO_INVALID
            || strcmp(err.field, notes[i].field) != 0)
        {
            fail_msg("%s: field '%s'", memory, err.field);
        }
    }
}

static void
check_prefixes(reco_str_t line)
{
    char    *copy;
    size_t   len;

    for (len = 0; len < line.len; len++) {
        copy = malloc(len + 1);
        assert_non_null(copy);
        memcpy(copy, line.data, len);
        assert_int_not_equal(read_line((reco_str_t) { copy, len }), RECO_OK);
        free(copy);
    }
}

static void
test_note_prefixes(void **state)
{
    reco_id_t    id;
    reco_buf_t   b;
    reco_lost_t  lost = { 5, 8, 3, 1, 0 };

    (void) state;
    assert_true(reco_id_parse(str(ID_TEXT), &id));

    reco_buf_init(&b, memory, sizeof(memory));
    reco_event_write_lost(&b, 9, 1732241299000, &lost);
    check_prefixes(line_of(&b));

    reco_buf_init(&b, memory, sizeof(memory));
    reco_event_write_forgotten(&b, 7, 1732241234567, &id, 200);
    check_prefixes(line_of(&b));
}

/* ---- broken lines --------------------------------------------------- */

#define HEAD  "\"type\":\"decision\",\"seq\":1,\"id\":\"" ID_TEXT "\"," \
              "\"time\":2,\"model\":\"shop\",\"generation\":3,"
#define TAIL  ",\"policy\":\"uniform\""
#define F     "\"features\":{}"
#define A     ",\"actions\":2,\"eligible\":\"all\""
#define S     ",\"slate\":[\"a\"],\"propensity\":[1]"
#define R     "\"type\":\"reward\",\"seq\":1,\"time\":2,\"model\":\"m\"," \
              "\"generation\":3,"
#define H     "\"type\":\"segment\",\"format\":1,\"node\":\"n\"," \
              "\"incarnation\":\"0a1b2c3d\",\"segment\":0,\"time\":1"

static const struct {
    const char  *line;
    const char  *field;         /* NULL: a good line */
} lines[] = {
    { "{" HEAD F A S TAIL "}", NULL },
    { "{" HEAD F A S TAIL ",\"new\":{\"x\":[1,{}]}}", NULL },
    { "{" HEAD F ",\"actions\":4096" S TAIL ",\"eligible\":\"all\"}", NULL },
    { "{" R "\"customer\":\"c\",\"facts\":{\"a\":0}}", NULL },
    { "{" R "\"decision\":\"" ID_TEXT "\",\"facts\":{\"a\":-1e300}}", NULL },

    { "", "" },
    { "[]", "" },
    { "{" HEAD F A S TAIL "} x", "" },
    { "{" HEAD F A S TAIL, "" },
    { "{" HEAD F A S TAIL ",\"seq\":2}", "" },
    { "{}", "type" },
    { "{\"type\":\"click\"}", "type" },
    { "{\"type\":1}", "type" },
    { "{" HEAD F A S "}", "policy" },
    { "{" HEAD F A TAIL "}", "slate" },
    { "{" HEAD F S TAIL "}", "actions" },
    { "{" HEAD "\"actions\":2,\"eligible\":\"all\"" S TAIL "}", "features" },
    { "{" HEAD F A TAIL ",\"slate\":[],\"propensity\":[]}", "slate" },
    { "{" HEAD F A TAIL ",\"slate\":[\"\"],\"propensity\":[1]}", "slate" },
    { "{" HEAD F A TAIL ",\"slate\":[1],\"propensity\":[1]}", "slate" },
    { "{" HEAD F A TAIL ",\"slate\":\"a\",\"propensity\":[1]}", "slate" },
    { "{" HEAD F A TAIL ",\"slate\":[\"a\"],\"propensity\":[0]}",
      "propensity" },
    { "{" HEAD F A TAIL ",\"slate\":[\"a\"],\"propensity\":[4294967297]}",
      "propensity" },
    { "{" HEAD F A TAIL ",\"slate\":[\"a\"],\"propensity\":[0.5]}",
      "propensity" },
    { "{" HEAD F A TAIL ",\"slate\":[\"a\"],\"propensity\":[1,1]}",
      "propensity" },
    { "{" HEAD F A TAIL ",\"slate\":[\"a\"],\"propensity\":1}",
      "propensity" },
    { "{" HEAD F S TAIL ",\"actions\":2,\"eligible\":\"4\"}", "eligible" },
    { "{" HEAD F S TAIL ",\"actions\":4097,\"eligible\":\"all\"}",
      "eligible" },
    { "{" HEAD F S TAIL ",\"actions\":2,\"eligible\":3}", "eligible" },
    { "{" HEAD F A S TAIL ",\"pinned\":2}", "pinned" },
    { "{" HEAD F A S TAIL ",\"pinned\":-1}", "pinned" },
    { "{" HEAD F A S TAIL ",\"fallback\":1}", "fallback" },
    { "{" HEAD F A S TAIL ",\"replayable\":null}", "replayable" },
    { "{" HEAD F A S TAIL ",\"customer\":\"\"}", "customer" },
    { "{" HEAD F A S TAIL ",\"session\":\"a\\u0001\"}", "session" },
    { "{" HEAD "\"features\":[]" A S TAIL "}", "features" },
    { "{" HEAD "\"features\":{\"a\":1}" A S TAIL "}", "features" },
    { "{" HEAD "\"features\":{\"a\":[]}" A S TAIL "}", "features" },
    { "{" HEAD "\"features\":{\"a\":[1]}" A S TAIL "}", "features" },
    { "{" HEAD "\"features\":{\"a\":[1,\"moon\"]}" A S TAIL "}", "features" },
    { "{" HEAD "\"features\":{\"a\":[1,\"none\"]}" A S TAIL "}", "features" },
    { "{" HEAD "\"features\":{\"a\":[null,\"geo\"]}" A S TAIL "}",
      "features" },
    { "{" HEAD "\"features\":{\"a\":[1,\"geo\",2]}" A S TAIL "}",
      "features" },
    { "{" HEAD "\"features\":{\"\":[1,\"geo\"]}" A S TAIL "}", "features" },
    { "{\"type\":\"decision\",\"id\":\"" ID_TEXT "x\"}", "id" },
    { "{\"type\":\"decision\",\"seq\":18446744073709551616}", "seq" },
    { "{\"type\":\"decision\",\"seq\":1e3}", "seq" },
    { "{\"type\":\"decision\",\"seq\":\"1\"}", "seq" },
    { "{" HEAD F A S TAIL ",\"level\":8}", "level" },
    { "{" HEAD F A S TAIL ",\"level\":7}", NULL },
    { "{" HEAD F A S TAIL ",\"cart\":\"a\"}", "cart" },
    { "{" HEAD F A S TAIL ",\"cart\":[1]}", "cart" },
    { "{" HEAD F A S TAIL ",\"exclude\":[\"\"]}", "exclude" },
    { "{" HEAD F A S TAIL ",\"items\":{}}", "items" },
    { "{" R "\"facts\":{\"a\":1}}", "decision" },
    { "{" R "\"customer\":\"c\"}", "facts" },
    { "{" R "\"customer\":\"c\",\"facts\":{}}", "facts" },
    { "{" R "\"customer\":\"c\",\"facts\":{\"a\":true}}", "facts" },
    { "{" R "\"customer\":\"c\",\"facts\":{\"\":1}}", "facts" },
    { "{" R "\"customer\":\"c\",\"facts\":[1]}", "facts" },
    { "{\"type\":\"segment\",\"format\":1,\"node\":\"n\","
      "\"incarnation\":\"0A1b2c3d\"}", "incarnation" },
    { "{\"type\":\"segment\",\"format\":1,\"node\":\"n\","
      "\"incarnation\":\"0a1b2c3\"}", "incarnation" },
    { "{\"type\":\"segment\",\"format\":1,\"node\":\"n\","
      "\"incarnation\":\"0a1b2c3d4\"}", "incarnation" },
    { "{\"type\":\"segment\",\"format\":1,\"node\":\"n\","
      "\"incarnation\":\"0a1b2c3d\",\"segment\":0}", "time" },
    { "{" H "}", NULL },
    { "{" H ",\"clock\":0,\"boot\":\"b\"}", NULL },
    { "{" H ",\"clock\":1.5}", "clock" },
    { "{" H ",\"clock\":-9223372036854775808}", "clock" },
    { "{" H ",\"clock\":9223372036854775808}", "clock" },
    { "{" H ",\"clock\":\"1\"}", "clock" },
    { "{" H ",\"clock\":1,\"boot\":\"\"}", "boot" },
};

static void
test_lines(void **state)
{
    size_t         i;
    reco_status_t  rc;

    (void) state;

    for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        rc = read_line(str(lines[i].line));

        if (lines[i].field == NULL) {
            if (rc != RECO_OK) {
                fail_msg("%s: %s: %s", lines[i].line, err.field, err.message);
            }
            continue;
        }

        if (rc != RECO_INVALID || strcmp(err.field, lines[i].field) != 0) {
            fail_msg("%s: status %d, field '%s' instead of '%s'",
                     lines[i].line, rc, err.field, lines[i].field);
        }
    }
}

static void
test_newer_format(void **state)
{
    (void) state;

    assert_int_equal(read_line(str("{\"type\":\"segment\",\"format\":2}")),
                     RECO_UNSUPPORTED);
    assert_string_equal(err.field, "format");
}

/* One more of everything that is limited. */
static void
test_limits(void **state)
{
    size_t       i, n;
    reco_buf_t   b;

    static const struct {
        const char  *before, *item, *after, *field;
        size_t       max;
        bool         is_key;
    } limits[] = {
        { "{" HEAD F A TAIL ",\"propensity\":[1],\"slate\":[", "\"a\"",
          "]}", "slate", RECO_MAX_SLATE, false },
        { "{" HEAD F A TAIL ",\"slate\":[\"a\"],\"propensity\":[", "1",
          "]}", "propensity", RECO_MAX_SLATE, false },
        { "{" HEAD F A S TAIL ",\"cart\":[", "\"a\"", "]}", "cart",
          RECO_MAX_CART, false },
        { "{" HEAD F A S TAIL ",\"exclude\":[", "\"a\"", "]}", "exclude",
          RECO_MAX_CART, false },
        { "{" HEAD F A S TAIL ",\"items\":[", "\"a\"", "]}", "items",
          RECO_MAX_SLATE, false },
        { "{" HEAD "\"features\":{", "[1,\"geo\"]", "}" A S TAIL "}",
          "features", RECO_MAX_FEATURES, true },
        { "{" R "\"customer\":\"c\",\"facts\":{", "1", "}}", "facts",
          RECO_MAX_FACTS, true },
    };

    (void) state;

    for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        reco_buf_init(&b, memory, sizeof(memory));
        reco_buf_cstr(&b, limits[i].before);

        for (n = 0; n <= limits[i].max; n++) {
            if (n > 0) {
                reco_buf_char(&b, ',');
            }
            if (limits[i].is_key) {
                reco_buf_cstr(&b, "\"k");
                reco_buf_u64(&b, n);
                reco_buf_cstr(&b, "\":");
            }
            reco_buf_cstr(&b, limits[i].item);
        }

        reco_buf_cstr(&b, limits[i].after);
        assert_int_equal(read_line((reco_str_t) { memory, reco_buf_len(&b) }),
                         RECO_INVALID);
        assert_string_equal(err.field, limits[i].field);
        assert_memory_equal(err.message, "more than ", 10);
    }
}

/* Every prefix of a good line is refused, and none reads beyond its end. */
static void
test_prefixes(void **state)
{
    reco_buf_t             b;
    reco_str_t             line;
    reco_model_t           model = model_of();
    reco_decision_event_t  e;

    (void) state;
    sample(&e, &model);

    reco_buf_init(&b, memory, sizeof(memory));
    reco_event_write_decision(&b, &e);
    line = line_of(&b);

    check_prefixes(line);
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_header_clock),
        cmocka_unit_test(test_forgotten),
        cmocka_unit_test(test_lost),
        cmocka_unit_test(test_lost_damaged),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_newer_format),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_note_prefixes),
    };

    return cmocka_run_group_tests_name("event_lines", tests, NULL, NULL);
}
