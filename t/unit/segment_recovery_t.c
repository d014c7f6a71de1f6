/*
 * Segments that a killed writer left: what is whole is kept, a torn tail is
 * cut, and one whose writer lives is left alone.
 */

#include "segment_fixture.h"

/* ---- recovery ------------------------------------------------------- */

static reco_recovery_t
recover(reco_status_t expected)
{
    reco_recovery_t  r;

    assert_int_equal(reco_segment_recover(dir, &r, &err), expected);

    return r;
}

static void
test_recover_whole(void **state)
{
    reco_segment_t   s;
    reco_recovery_t  r;

    (void) state;

    open_ok(&s, 0);
    append_ok(&s, record(1));
    abandon(&s);

    r = recover(RECO_OK);
    assert_int_equal(r.recovered, 1);
    assert_int_equal(r.torn, 0);
    assert_int_equal(r.empty, 0);
    assert_int_equal(r.held, 0);
    assert_false(exists(OPEN_0));
    assert_int_equal(size_of(CLOSED_0), HEADER + strlen(record(1)));
}

static void
test_recover_torn(void **state)
{
    reco_segment_t   s;
    reco_recovery_t  r;

    (void) state;

    open_ok(&s, 0);
    append_ok(&s, record(1));
    append_ok(&s, "{\"type\":\"rew");
    abandon(&s);

    r = recover(RECO_OK);
    assert_int_equal(r.recovered, 1);
    assert_int_equal(r.torn, 1);
    assert_int_equal(size_of(CLOSED_0), HEADER + strlen(record(1)));
}

/* A tail longer than the block that is searched for its beginning. */
static void
test_recover_long_tail(void **state)
{
    int              i;
    reco_segment_t   s;
    reco_recovery_t  r;

    (void) state;

    open_ok(&s, 0);
    append_ok(&s, record(1));
    for (i = 0; i < 20000; i++) {
        append_ok(&s, "0123456789");
    }
    abandon(&s);

    r = recover(RECO_OK);
    assert_int_equal(r.torn, 1);
    assert_int_equal(size_of(CLOSED_0), HEADER + strlen(record(1)));
}

static void
test_recover_empty(void **state)
{
    char             part[100];
    reco_segment_t   s;
    reco_recovery_t  r;

    (void) state;

    open_ok(&s, 0);                     /* a header */
    abandon(&s);

    open_ok(&s, 1);                     /* a header and a torn record */
    append_ok(&s, "{\"type\":");
    abandon(&s);

    write_file("reco-edge-1-0a1b2c3d-000002.ndjson.open", "", "w");

    memcpy(part, header_of("edge-1", INC, 3), 99);
    part[99] = '\0';                    /* part of a header */
    write_file("reco-edge-1-0a1b2c3d-000003.ndjson.open", part, "w");

    r = recover(RECO_OK);
    assert_int_equal(r.empty, 4);
    assert_int_equal(r.recovered, 0);
    assert_int_equal(r.torn, 0);
    assert_false(exists(OPEN_0));
    assert_false(exists(CLOSED_0));
    assert_false(exists("reco-edge-1-0a1b2c3d-000001.ndjson"));
}

/* A record where the header should be is not thrown away. */
static void
test_recover_record_without_header(void **state)
{
    reco_recovery_t  r;

    (void) state;

    write_file(OPEN_0, record(1), "w");
    r = recover(RECO_OK);
    assert_int_equal(r.recovered, 1);
    assert_int_equal(size_of(CLOSED_0), strlen(record(1)));
}

static void
test_recover_held(void **state)
{
    int              down[2], up[2], status;
    char             c;
    pid_t            pid;
    reco_segment_t   s;
    reco_recovery_t  r;

    (void) state;

    /* another process holds one */
    assert_int_equal(pipe(down), 0);
    assert_int_equal(pipe(up), 0);
    pid = fork();

    if (pid == 0) {
        if (reco_segment_open(&s, dir, NODE, INC, 0, 1, NULL, &err) != RECO_OK
            || reco_segment_append(&s, record(1), strlen(record(1)), &err)
               != RECO_OK
            || write(up[1], "x", 1) != 1)
        {
            _exit(1);
        }
        close(down[1]);
        (void) !read(down[0], &c, 1);   /* until the parent closes it */
        _exit(0);
    }

    assert_int_equal(read(up[0], &c, 1), 1);

    /* and this one another */
    open_ok(&s, 1);
    append_ok(&s, record(2));

    r = recover(RECO_OK);
    assert_int_equal(r.held, 2);
    assert_int_equal(r.recovered, 0);
    assert_true(exists(OPEN_0));

    close(down[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(down[0]);
    close(up[0]);
    close(up[1]);

    r = recover(RECO_OK);
    assert_int_equal(r.held, 1);
    assert_int_equal(r.recovered, 1);
    assert_true(exists(CLOSED_0));

    append_ok(&s, record(3));
    assert_int_equal(reco_segment_finish(&s, &err), RECO_OK);
}

/* One that cannot be recovered does not keep others from it. */
static void
test_recover_goes_on(void **state)
{
    int              i;
    char             name[64];
    reco_segment_t   s;
    reco_recovery_t  r;

    (void) state;

    for (i = 0; i < 4; i++) {
        open_ok(&s, i);
        append_ok(&s, record(1));
        abandon(&s);
    }
    write_file("reco-edge-1-0a1b2c3d-000002.ndjson", "kept", "w");

    r = recover(RECO_IO);
    assert_non_null(strstr(err.message, "000002"));
    assert_int_equal(r.recovered, 3);
    assert_int_equal(size_of("reco-edge-1-0a1b2c3d-000002.ndjson"), 4);
    assert_true(exists("reco-edge-1-0a1b2c3d-000002.ndjson.open"));

    for (i = 0; i < 4; i++) {
        snprintf(name, sizeof(name), "reco-edge-1-0a1b2c3d-00000%d.ndjson", i);
        assert_true(exists(name));
    }
}

/* Other people's files are let be. */
static void
test_recover_leaves_others(void **state)
{
    reco_recovery_t  r;

    (void) state;

    write_file("access.ndjson.open", record(1), "w");
    write_file("reco.txt", "x", "w");
    write_file(CLOSED_0, record(1), "w");
    assert_int_equal(mkdir(path_of("reco-dir-00000000-000000.ndjson.open"),
                           0700), 0);
    assert_int_equal(symlink("/etc/passwd",
                     path_of("reco-link-00000000-000000.ndjson.open")), 0);

    r = recover(RECO_OK);
    assert_int_equal(r.recovered + r.empty + r.held + r.torn, 0);
    assert_true(exists("access.ndjson.open"));
    assert_true(exists("reco-link-00000000-000000.ndjson.open"));
    assert_true(exists("reco-dir-00000000-000000.ndjson.open"));

    assert_int_equal(reco_segment_recover(path_of("absent"), &r, &err),
                     RECO_IO);
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        TEST(test_recover_whole),
        TEST(test_recover_torn),
        TEST(test_recover_long_tail),
        TEST(test_recover_empty),
        TEST(test_recover_record_without_header),
        TEST(test_recover_held),
        TEST(test_recover_goes_on),
        TEST(test_recover_leaves_others),
    };

    return cmocka_run_group_tests_name("segment_recovery", tests, NULL, NULL);
}
