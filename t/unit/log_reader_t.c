/*
 * Reading a log: segments in order, a live one to its last whole line, lines
 * that are no records; and reading on while it is written.
 */

#include "segment_fixture.h"

static void
next_is(reco_log_reader_t *r, reco_event_type_t type, uint64_t seq)
{
    reco_event_t  *e;

    if (reco_log_next(r, &e, &err) != RECO_OK) {
        fail_msg("%s", err.message);
    }

    assert_int_equal(e->type, type);

    if (type == RECO_EVENT_HEADER) {
        assert_int_equal(e->header.segment, seq);
    } else {
        assert_int_equal(e->seq, seq);
    }
}

static void
next_is_corrupt(reco_log_reader_t *r, const char *start)
{
    reco_event_t  *e;

    assert_int_equal(reco_log_next(r, &e, &err), RECO_CORRUPT);
    if (strncmp(err.message, start, strlen(start)) != 0) {
        fail_msg("'%s' instead of '%s'", err.message, start);
    }
}

static void
next_is_end(reco_log_reader_t *r)
{
    reco_event_t  *e;

    assert_int_equal(reco_log_next(r, &e, &err), RECO_NOT_FOUND);
}

static reco_log_reader_t *
reader(const char *path)
{
    reco_log_reader_t  *r;

    if (reco_log_open(path, &r, &err) != RECO_OK) {
        fail_msg("%s", err.message);
    }

    return r;
}

static void
test_read_segments(void **state)
{
    uint64_t            total;
    reco_segment_t      s, live;
    reco_log_reader_t  *r;

    (void) state;

    open_ok(&s, 0);
    append_ok(&s, record(1));
    append_ok(&s, record(2));
    assert_int_equal(reco_segment_finish(&s, &err), RECO_OK);

    open_ok(&s, 1);
    append_ok(&s, record(3));
    assert_int_equal(reco_segment_finish(&s, &err), RECO_OK);

    /* being written: a record is there in part */
    open_ok(&live, 2);
    append_ok(&live, record(4));
    append_ok(&live, "{\"type\":\"rewa");

    write_file("notes.ndjson", "not ours\n", "w");

    r = reader(dir);
    total = 3 * HEADER + 4 * strlen(record(1)) + 13;
    assert_int_equal(reco_log_bytes_total(r), total);
    assert_int_equal(reco_log_bytes_read(r), 0);

    next_is(r, RECO_EVENT_HEADER, 0);
    assert_int_equal(reco_log_line(r), 1);
    assert_int_equal(reco_log_bytes_read(r), HEADER);
    next_is(r, RECO_EVENT_REWARD, 1);
    next_is(r, RECO_EVENT_REWARD, 2);
    assert_int_equal(reco_log_line(r), 3);
    assert_string_equal(reco_log_file(r), path_of(CLOSED_0));
    next_is(r, RECO_EVENT_HEADER, 1);
    next_is(r, RECO_EVENT_REWARD, 3);
    next_is(r, RECO_EVENT_HEADER, 2);
    next_is(r, RECO_EVENT_REWARD, 4);
    next_is_end(r);
    next_is_end(r);
    assert_int_equal(reco_log_bytes_read(r), total);
    reco_log_close(r);

    /* one alone */
    r = reader(path_of("reco-edge-1-0a1b2c3d-000001.ndjson"));
    next_is(r, RECO_EVENT_HEADER, 1);
    next_is(r, RECO_EVENT_REWARD, 3);
    next_is_end(r);
    reco_log_close(r);

    abandon(&live);
}

/* The live segment is closed between listing and reading. */
static void
test_read_renamed(void **state)
{
    reco_segment_t      s;
    reco_log_reader_t  *r;

    (void) state;

    open_ok(&s, 0);
    append_ok(&s, record(1));
    r = reader(dir);
    assert_int_equal(reco_segment_finish(&s, &err), RECO_OK);
    next_is(r, RECO_EVENT_HEADER, 0);
    next_is(r, RECO_EVENT_REWARD, 1);
    next_is_end(r);
    reco_log_close(r);
}

/* By node, incarnation and number, also where names sort otherwise. */
static void
test_read_order(void **state)
{
    size_t              i;
    char                name[128];
    reco_event_t       *e;
    reco_log_reader_t  *r;

    static const struct {
        const char  *node;
        uint32_t     incarnation;
        uint64_t     number;
    } order[] = {
        { "edge", 0x00000002, 999999 },
        { "edge", 0x00000002, 1000000 },
        { "edge", 0xb0000000, 0 },
        { "edge-1", 0x00000001, 0 },
        { "edge-1", 0x00000001, 1 },
    };

    (void) state;

    for (i = 0; i < 5; i++) {
        snprintf(name, sizeof(name), "reco-%s-%08x-%06llu.ndjson",
                 order[i].node, order[i].incarnation,
                 (unsigned long long) order[i].number);
        write_file(name, header_of(order[i].node, order[i].incarnation,
                                   order[i].number), "w");
    }

    /* the same as open and as closed is read once */
    write_file("reco-edge-1-00000001-000001.ndjson.open",
               header_of("edge-1", 1, 1), "w");

    r = reader(dir);

    for (i = 0; i < 5; i++) {
        assert_int_equal(reco_log_next(r, &e, &err), RECO_OK);
        assert_int_equal(e->header.node.len, strlen(order[i].node));
        assert_int_equal(e->header.incarnation, order[i].incarnation);
        assert_int_equal(e->header.segment, order[i].number);
    }

    next_is_end(r);
    reco_log_close(r);
}

static void
test_read_corrupt(void **state)
{
    reco_log_reader_t  *r;

    (void) state;

    write_file(CLOSED_0, header_of("edge-1", INC, 0), "w");
    write_file(CLOSED_0, record(1), "a");
    write_file(CLOSED_0, "{\"type\":\"reward\",\"seq\":x}\n", "a");
    write_file(CLOSED_0, "\n", "a");
    write_file(CLOSED_0, record(2), "a");
    write_file(CLOSED_0, "{\"type\":\"reward\",\"seq\":-1}\n", "a");
    write_file(CLOSED_0, "{\"type\":\"torn", "a");
    write_file("reco-edge-1-0a1b2c3d-000001.ndjson",
               header_of("edge-1", INC, 1), "w");

    r = reader(dir);
    next_is(r, RECO_EVENT_HEADER, 0);
    next_is(r, RECO_EVENT_REWARD, 1);
    next_is_corrupt(r, CLOSED_0 ":3: ");
    assert_int_equal(err.position, 23);
    assert_int_equal(reco_log_line(r), 3);
    next_is_corrupt(r, CLOSED_0 ":4: ");
    next_is(r, RECO_EVENT_REWARD, 2);
    next_is_corrupt(r, CLOSED_0 ":6: seq: must be an integer");
    next_is_corrupt(r, CLOSED_0 ":7: line has no end");
    next_is(r, RECO_EVENT_HEADER, 1);
    assert_int_equal(reco_log_line(r), 1);
    next_is_end(r);
    reco_log_close(r);
}

static void
test_read_nothing(void **state)
{
    reco_log_reader_t  *r;

    (void) state;

    r = reader(dir);
    assert_int_equal(reco_log_bytes_total(r), 0);
    assert_string_equal(reco_log_file(r), "");
    next_is_end(r);
    reco_log_close(r);

    assert_int_equal(reco_log_open(path_of("absent"), &r, &err),
                     RECO_NOT_FOUND);
    assert_null(r);
    reco_log_close(NULL);
}

static void
again(reco_log_reader_t *r)
{
    if (reco_log_again(r, &err) != RECO_OK) {
        fail_msg("%s", err.message);
    }
}

/* A live segment grows, is closed, and a new one follows. */
static void
test_again(void **state)
{
    reco_segment_t      s, live;
    reco_log_reader_t  *r;

    (void) state;

    open_ok(&s, 0);
    append_ok(&s, record(1));
    r = reader(dir);
    next_is(r, RECO_EVENT_HEADER, 0);
    *reco_log_tag(r) = &s;
    next_is(r, RECO_EVENT_REWARD, 1);
    next_is_end(r);
    again(r);
    next_is_end(r);

    /* a line that is not whole is left until it is */
    append_ok(&s, "{\"type\":\"rewa");
    again(r);
    next_is_end(r);
    append_ok(&s, record(2) + 13);
    append_ok(&s, record(3));
    again(r);
    next_is(r, RECO_EVENT_REWARD, 2);
    assert_int_equal(reco_log_line(r), 3);
    assert_string_equal(reco_log_file(r), path_of(OPEN_0));
    next_is(r, RECO_EVENT_REWARD, 3);
    next_is_end(r);

    /* closed under another name, with more in it */
    append_ok(&s, record(4));
    assert_int_equal(reco_segment_finish(&s, &err), RECO_OK);
    open_ok(&live, 1);
    append_ok(&live, record(5));
    again(r);
    next_is(r, RECO_EVENT_REWARD, 4);
    assert_int_equal(reco_log_line(r), 5);
    assert_string_equal(reco_log_file(r), path_of(CLOSED_0));
    assert_ptr_equal(*reco_log_tag(r), &s);
    next_is(r, RECO_EVENT_HEADER, 1);
    assert_null(*reco_log_tag(r));
    next_is(r, RECO_EVENT_REWARD, 5);
    next_is_end(r);

    /* a writer whose name sorts first; and what was read may go */
    write_file("reco-edge-0-00000001-000000.ndjson.open",
               header_of("edge-0", 1, 0), "w");
    assert_int_equal(unlink(path_of(CLOSED_0)), 0);
    append_ok(&live, record(6));
    again(r);
    next_is(r, RECO_EVENT_HEADER, 0);
    next_is(r, RECO_EVENT_REWARD, 6);
    next_is_end(r);
    again(r);
    next_is_end(r);

    reco_log_close(r);
    abandon(&live);
}

/* The closed file ends within a line: nobody will end it. */
static void
test_again_torn(void **state)
{
    reco_log_reader_t  *r;

    (void) state;

    write_file(OPEN_0, header_of("edge-1", INC, 0), "w");
    write_file(OPEN_0, "{\"type\":\"rewa", "a");
    r = reader(dir);
    next_is(r, RECO_EVENT_HEADER, 0);
    next_is_end(r);
    write_file(CLOSED_0, header_of("edge-1", INC, 0), "w");
    write_file(CLOSED_0, "{\"type\":\"rewa", "a");
    assert_int_equal(unlink(path_of(OPEN_0)), 0);
    again(r);
    next_is_corrupt(r, CLOSED_0 ":2: line has no end");
    next_is_end(r);
    again(r);
    next_is_end(r);
    reco_log_close(r);
}

/* What could not be written whole was cut off again. */
static void
test_again_cut(void **state)
{
    reco_log_reader_t  *r;

    (void) state;

    write_file(OPEN_0, header_of("edge-1", INC, 0), "w");
    write_file(OPEN_0, record(1), "a");
    r = reader(dir);
    next_is(r, RECO_EVENT_HEADER, 0);
    next_is(r, RECO_EVENT_REWARD, 1);
    next_is_end(r);
    assert_int_equal(truncate(path_of(OPEN_0), HEADER), 0);
    again(r);
    next_is_end(r);
    write_file(OPEN_0, record(2), "a");
    again(r);
    next_is(r, RECO_EVENT_REWARD, 2);
    next_is_end(r);
    reco_log_close(r);
}

static void
test_again_gone(void **state)
{
    char                moved[96];
    reco_event_t       *e;
    reco_log_reader_t  *r;

    (void) state;

    /* of a live one that had but its header nothing is lost */
    write_file("reco-edge-1-0a1b2c3d-000001.ndjson.open",
               header_of("edge-1", INC, 1), "w");
    write_file(OPEN_0, header_of("edge-1", INC, 0), "w");
    write_file(OPEN_0, record(1), "a");
    r = reader(dir);
    next_is(r, RECO_EVENT_HEADER, 0);
    next_is(r, RECO_EVENT_REWARD, 1);
    next_is(r, RECO_EVENT_HEADER, 1);
    next_is_end(r);
    assert_int_equal(unlink(path_of(OPEN_0)), 0);
    assert_int_equal(
        unlink(path_of("reco-edge-1-0a1b2c3d-000001.ndjson.open")), 0);
    again(r);
    assert_int_equal(reco_log_next(r, &e, &err), RECO_IO);
    assert_non_null(strstr(err.message, "went before it was closed"));
    next_is_end(r);
    again(r);
    next_is_end(r);

    /* the folder itself: said, and read on when it is back */
    write_file(OPEN_0, header_of("edge-1", INC, 0), "w");
    again(r);
    next_is(r, RECO_EVENT_HEADER, 0);
    next_is_end(r);
    write_file(OPEN_0, record(1), "a");
    snprintf(moved, sizeof(moved), "%s.moved", dir);
    assert_int_equal(rename(dir, moved), 0);
    assert_int_equal(reco_log_again(r, &err), RECO_IO);
    next_is_end(r);
    assert_int_equal(rename(moved, dir), 0);
    again(r);
    next_is(r, RECO_EVENT_REWARD, 1);
    next_is_end(r);

    reco_log_close(r);
}

/* One segment's path. */
static void
test_again_file(void **state)
{
    reco_segment_t      s;
    reco_log_reader_t  *r;

    (void) state;

    open_ok(&s, 0);
    r = reader(path_of(OPEN_0));
    next_is(r, RECO_EVENT_HEADER, 0);
    next_is_end(r);
    append_ok(&s, record(1));
    again(r);
    next_is(r, RECO_EVENT_REWARD, 1);
    append_ok(&s, record(2));
    assert_int_equal(reco_segment_finish(&s, &err), RECO_OK);
    again(r);
    next_is(r, RECO_EVENT_REWARD, 2);
    next_is_end(r);
    again(r);
    next_is_end(r);
    reco_log_close(r);
}

/* What is no file is an error, not something to wait for. */
static void
test_read_other(void **state)
{
    char                fifo[1024];
    reco_event_t       *e;
    reco_log_reader_t  *r;

    (void) state;

    snprintf(fifo, sizeof(fifo), "%s", path_of(CLOSED_0));
    assert_int_equal(mkfifo(fifo, 0600), 0);
    r = reader(dir);
    assert_int_equal(reco_log_next(r, &e, &err), RECO_IO);
    assert_non_null(strstr(err.message, "cannot open"));
    reco_log_close(r);
    assert_int_equal(unlink(fifo), 0);
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        TEST(test_read_segments),
        TEST(test_read_renamed),
        TEST(test_read_order),
        TEST(test_read_corrupt),
        TEST(test_read_nothing),
        TEST(test_again),
        TEST(test_again_torn),
        TEST(test_again_cut),
        TEST(test_again_gone),
        TEST(test_again_file),
        TEST(test_read_other),
    };

    return cmocka_run_group_tests_name("log_reader", tests, NULL, NULL);
}
