/*
 * segment_retain_t.c - which segments of a folder are counted, and which ones
 * go for their age or for want of room, and in what order. Segments here are
 * 1,000 bytes each, so that a sum can be read.
 */

#include "segment_fixture.h"

#include <stdarg.h>
#include <sys/syscall.h>
#include <time.h>

#define A  "reco-edge-1-0000000a-000000.ndjson"
#define SIZE  1000

static reco_retain_t    want;
static reco_retained_t  out;
static const char      *shipped;        /* at the moment it is to be removed */

int
openat(int at, const char *name, int flags, ...)
{
    int      mode;
    va_list  args;

    va_start(args, flags);
    mode = (flags & O_CREAT) ? va_arg(args, int) : 0;
    va_end(args);

    if (shipped != NULL && (flags & O_ACCMODE) == O_RDWR
        && strcmp(name, shipped) == 0)
    {
        (void) unlinkat(at, name, 0);
    }

    return (int) syscall(SYS_openat, at, name, flags, mode);
}

/* reco-<node>-<inc>-<number>.ndjson with one reward of that time, padded to
 * SIZE bytes; its file is as old. */
static void
segment(const char *node, unsigned inc, unsigned number, uint64_t time_ms)
{
    int              n;
    char             name[128], text[SIZE + 1];
    struct timespec  times[2] = { { 0, UTIME_OMIT },
                                  { (time_t) (time_ms / 1000), 0 } };

    snprintf(name, sizeof(name), "reco-%s-%08x-%06u.ndjson", node, inc, number);
    n = snprintf(text, sizeof(text), "{\"type\":\"segment\"}\n{\"type\":"
                 "\"reward\",\"seq\":1,\"time\":%llu,\"model\":\"m\","
                 "\"generation\":1,\"customer\":\"c\",\"facts\":{\"click\":1}",
                 (unsigned long long) time_ms);
    memset(text + n, ' ', (size_t) (SIZE - n));
    strcpy(text + SIZE - 2, "}\n");
    write_file(name, text, "w");
    assert_int_equal(utimensat(AT_FDCWD, path_of(name), times, 0), 0);
}

static bool
has(unsigned inc, unsigned number)
{
    char  name[128];

    snprintf(name, sizeof(name), "reco-edge-1-%08x-%06u.ndjson", inc, number);

    return exists(name);
}

/* Which the next looks know of the machine's clock. */
static reco_str_t  boot;
static int64_t     since_ms;

static void
retain(uint64_t before_ms, uint64_t max, uint64_t drop_to)
{
    want = (reco_retain_t) { .dir = dir, .node = NODE, .before_ms = before_ms,
                             .max = max, .drop_to = drop_to, .boot = boot,
                             .since_ms = since_ms };

    if (reco_segment_retain(&want, &out, &err) != RECO_OK) {
        fail_msg("%s", err.message);
    }

    assert_true(out.counted);
}

static void
test_bytes(void **state)
{
    (void) state;

    segment("edge-1", 10, 0, 5000);
    segment("edge-1", 10, 1, 6000);
    write_file("reco-edge-1-0000000a-000002.ndjson.open", "12345", "w");

    /* others' */
    segment("edge", 10, 0, 5000);
    segment("edge-1-x", 10, 0, 5000);
    segment("edge-10", 10, 0, 5000);
    write_file("reco-edge-1-0000000a-000003.ndjson.Ab3xYz", "12345", "w");
    write_file("reco-edge-1-0000000a-00003.ndjson", "12345", "w");
    write_file("reco-edge-1-0000000A-000003.ndjson", "12345", "w");
    write_file("reco-edge-1-0000000a-000003.ndjson.open.gz", "12345", "w");
    write_file(".reco-log", "", "w");
    assert_int_equal(symlink(A, path_of("reco-edge-1-0000000a-000009.ndjson")),
                     0);
    assert_int_equal(mkdir(path_of("reco-edge-1-0000000a-000008.ndjson"), 0700),
                     0);

    retain(0, 0, 0);
    assert_int_equal(out.bytes, 2005);
    assert_int_equal(out.closed, 2);

    /* none but these two go, however old and large all are */
    retain(UINT64_MAX, 1, 0);
    assert_int_equal(out.expired, 2);
    assert_int_equal(out.expired_bytes, 2000);
    assert_int_equal(out.dropped, 0);
    assert_int_equal(out.bytes, 5);
    assert_int_equal(out.closed, 0);
    assert_true(exists("reco-edge-0000000a-000000.ndjson"));
    assert_true(exists("reco-edge-1-x-0000000a-000000.ndjson"));
    assert_true(exists("reco-edge-1-0000000a-000009.ndjson"));
    assert_true(exists("reco-edge-1-0000000a-000008.ndjson"));
}

/* Of both names, as a rename while the folder is listed shows it. */
static void
test_both_names(void **state)
{
    char  closed[512];

    (void) state;

    segment("edge-1", 10, 0, 5000);
    strcpy(closed, path_of(A));
    assert_int_equal(link(closed, path_of(A ".open")), 0);

    retain(0, 0, 0);
    assert_int_equal(out.bytes, 1000);
    assert_int_equal(out.closed, 1);
}

#define MANY  2000

static void
close_many(void)
{
    char      name[128], open_path[512];
    unsigned  i;

    for (i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "reco-edge-1-0000000a-%06u.ndjson.open",
                 i);
        strcpy(open_path, path_of(name));
        name[strlen(name) - 5] = '\0';
        (void) rename(open_path, path_of(name));
    }

    _exit(0);
}

/* However they are renamed meanwhile, none is missed. */
static void
test_renames(void **state)
{
    int       status, round;
    char      name[128];
    pid_t     pid;
    unsigned  i;

    (void) state;

    for (round = 0; round < 5; round++) {
        for (i = 0; i < MANY; i++) {
            snprintf(name, sizeof(name), "reco-edge-1-0000000a-%06u.ndjson",
                     i);
            (void) unlink(path_of(name));
            strcat(name, ".open");
            write_file(name, "0123456789", "w");
        }

        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            close_many();
        }

        while (waitpid(pid, &status, WNOHANG) == 0) {
            retain(0, 0, 0);
            assert_int_equal(out.bytes, 10 * MANY);
        }

        retain(0, 0, 0);
        assert_int_equal(out.bytes, 10 * MANY);
        assert_int_equal(out.closed, MANY);
    }
}

static void
touch(const char *name, time_t sec)
{
    struct timespec  times[2] = { { 0, UTIME_OMIT }, { sec, 0 } };

    assert_int_equal(utimensat(AT_FDCWD, path_of(name), times, 0), 0);
}

static void
test_age(void **state)
{
    (void) state;

    segment("edge-1", 10, 0, 49000);
    segment("edge-1", 10, 1, 50000);            /* not older */
    segment("edge-1", 10, 2, 49000);            /* the file is younger */
    touch("reco-edge-1-0000000a-000002.ndjson", 51);
    segment("edge-1", 10, 3, 60000);            /* the record is younger */
    touch("reco-edge-1-0000000a-000003.ndjson", 40);
    write_file("reco-edge-1-0000000a-000004.ndjson", "no record\n", "w");
    touch("reco-edge-1-0000000a-000004.ndjson", 40);

    retain(50000, 0, 0);

    assert_false(has(10, 0));
    assert_true(has(10, 1));
    assert_true(has(10, 2));
    assert_true(has(10, 3));
    assert_false(has(10, 4));
    assert_int_equal(out.expired, 2);
    assert_int_equal(out.expired_bytes, 1010);
    assert_int_equal(out.bytes, 3000);
    assert_string_equal(out.last, "reco-edge-1-0000000a-000004.ndjson");
}

/* reco-edge-1-0000000a-<number>.ndjson with a whole header and one record. */
static void
clocked(unsigned number, uint64_t time_ms, int64_t clock, const char *of)
{
    char  name[128], text[512];

    snprintf(name, sizeof(name), "reco-edge-1-0000000a-%06u.ndjson", number);
    snprintf(text, sizeof(text), "{\"type\":\"segment\",\"format\":1,"
             "\"node\":\"edge-1\",\"incarnation\":\"0000000a\","
             "\"segment\":%u,\"time\":1,\"clock\":%lld,\"boot\":\"%s\","
             "\"writer\":\"w\"}\n"
             "{\"type\":\"forgotten\",\"seq\":1,\"time\":%llu}\n", number,
             (long long) clock, of, (unsigned long long) time_ms);
    write_file(name, text, "w");
    touch(name, 1);
}

/* The wall clock was set ahead: 50 s are an hour. Of this boot the monotonic
 * clock says how old a record is: what is of 20 s or later stays. */
static void
test_set_clock(void **state)
{
    (void) state;

    boot = RECO_STR("b1");
    since_ms = 20000;

    clocked(0, 30000, 10001, "b1");             /* of 19,999 ms */
    clocked(1, 30000, 10000, "b1");
    clocked(2, 30000, -5000, "b1");
    clocked(3, 30000, 10000, "b2");             /* another boot's */
    clocked(4, 30000, 10000, "b");
    clocked(5, 60000, 10000, "b2");             /* young by both */
    clocked(6, 30000, INT64_MIN, "b1");         /* no clock, but no crash */
    segment("edge-1", 10, 7, 30000);            /* no header */
    touch("reco-edge-1-0000000a-000007.ndjson", 1);

    retain(50000, 0, 0);

    assert_false(has(10, 0));
    assert_true(has(10, 1));
    assert_true(has(10, 2));
    assert_false(has(10, 3));
    assert_false(has(10, 4));
    assert_true(has(10, 5));
    assert_false(has(10, 7));

    /* nothing is known of the clock */
    boot = RECO_STR("");
    retain(50000, 0, 0);
    assert_false(has(10, 1) || has(10, 2));

    since_ms = 0;
}

/* Oldest first by the last record, also across writers; nothing below max;
 * down to what is asked for, by whole segments. */
static void
test_order(void **state)
{
    (void) state;

    segment("edge-1", 10, 0, 1000);
    segment("edge-1", 10, 1, 4000);
    segment("edge-1", 11, 0, 2000);
    segment("edge-1", 11, 1, 3000);
    segment("edge-1", 12, 0, 5000);
    touch("reco-edge-1-0000000a-000000.ndjson", 9);     /* files do not count */

    retain(0, 5000, 2500);
    assert_int_equal(out.dropped, 0);

    retain(0, 4999, 2500);
    assert_int_equal(out.dropped, 3);
    assert_int_equal(out.dropped_bytes, 3000);
    assert_int_equal(out.bytes, 2000);
    assert_true(has(10, 1) && has(12, 0));
    assert_string_equal(out.last, "reco-edge-1-0000000b-000001.ndjson");
}

/* A clock that was set back does not make a hole: number 9 goes before 10,
 * though its record is of tomorrow. Numbers are no text. */
static void
test_order_clock(void **state)
{
    (void) state;

    segment("edge-1", 10, 999999, 90000);
    segment("edge-1", 10, 1000000, 3000);
    segment("edge-1", 10, 1000001, 7000);
    segment("edge-1", 11, 0, 2000);
    segment("edge-1", 11, 1, 5000);

    retain(0, 1, 3000);
    assert_int_equal(out.dropped, 2);
    assert_false(has(11, 0));
    assert_false(has(10, 999999));

    retain(0, 1, 2000);
    assert_false(has(10, 1000000));

    retain(0, 1, 1000);
    assert_false(has(11, 1));
    assert_true(has(10, 1000001));
}

static void
test_open_stays(void **state)
{
    reco_segment_t  s;

    (void) state;

    open_ok(&s, 0);
    segment("edge-1", 10, 0, 1000);

    retain(UINT64_MAX, 1, 0);
    assert_int_equal(out.bytes, HEADER);
    assert_true(exists(OPEN_0));
    abandon(&s);
}

static void
test_held(void **state)
{
    int  fd;

    (void) state;

    segment("edge-1", 10, 0, 1000);
    segment("edge-1", 10, 1, 2000);
    segment("edge-1", 10, 2, 3000);

    fd = open(path_of(A), O_RDONLY);
    assert_int_equal(flock(fd, LOCK_SH), 0);

    /* it keeps those behind it, and nobody else's */
    segment("edge-1", 11, 0, 9000);
    retain(0, 1500, 1500);
    assert_true(has(10, 0));
    assert_true(has(10, 1));
    assert_true(has(10, 2));
    assert_false(has(11, 0));
    assert_int_equal(out.held, 1);
    assert_int_equal(out.bytes, 3000);

    want.force = true;
    assert_int_equal(reco_segment_retain(&want, &out, &err), RECO_OK);
    assert_true(has(10, 0));
    assert_false(has(10, 1));
    assert_false(has(10, 2));
    assert_int_equal(out.held, 1);
    assert_int_equal(out.bytes, 1000);

    close(fd);
    retain(0, 999, 0);
    assert_false(has(10, 0));
    assert_int_equal(out.held, 0);
    assert_int_equal(out.bytes, 0);
}

/* What a shipper takes between the listing and the removal makes room once,
 * though it is both too old and the oldest. */
static void
test_shipped(void **state)
{
    (void) state;

    segment("edge-1", 10, 0, 1000);
    segment("edge-1", 10, 1, 2000);
    segment("edge-1", 10, 2, 3000);
    segment("edge-1", 10, 3, 4000);

    shipped = A;
    retain(1500, 2500, 2000);
    shipped = NULL;

    assert_false(has(10, 0));
    assert_false(has(10, 1));
    assert_true(has(10, 2) && has(10, 3));
    assert_int_equal(out.expired, 0);
    assert_int_equal(out.dropped, 1);
    assert_int_equal(out.bytes, 2000);
    assert_int_equal(out.closed, 2);
}

static void
test_lock(void **state)
{
    int  fd, other;

    (void) state;

    assert_int_equal(reco_segment_lock(dir, false, false, &fd, &err),
                     RECO_NOT_FOUND);
    assert_int_equal(fd, -1);
    assert_false(exists(RECO_LOG_MARK));

    assert_int_equal(reco_segment_lock(dir, true, false, &fd, &err), RECO_OK);
    assert_true(is_held(RECO_LOG_MARK));
    assert_int_equal(reco_segment_lock(dir, true, false, &other, &err),
                     RECO_LIMIT);
    assert_int_equal(other, -1);

    close(fd);
    assert_int_equal(reco_segment_lock(dir, false, true, &fd, &err), RECO_OK);
    close(fd);
}

static void
test_no_folder(void **state)
{
    int  fd;

    (void) state;

    want = (reco_retain_t) { .dir = "/nowhere/at/all", .node = NODE };
    assert_int_equal(reco_segment_retain(&want, &out, &err), RECO_IO);
    assert_false(out.counted);
    assert_string_equal(err.message,
                        "cannot open '/nowhere/at/all': "
                        "No such file or directory");
    assert_int_equal(reco_segment_lock("/nowhere/at/all", true, true, &fd,
                                       &err), RECO_IO);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_bytes),
        TEST(test_both_names),
        TEST(test_renames),
        TEST(test_age),
        TEST(test_order),
        TEST(test_set_clock),
        TEST(test_order_clock),
        TEST(test_open_stays),
        TEST(test_held),
        TEST(test_shipped),
        TEST(test_lock),
        cmocka_unit_test(test_no_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
