/*
 * Segments as files, in a folder of their own: creation, lock, append, cutting
 * back, closing, recovery. File-size limits and locks are the kernel's, not
 * pretended.
 */

#include "segment_fixture.h"

/* ---- nodes and creation --------------------------------------------- */

static void
test_nodes(void **state)
{
    size_t  i;
    char    name[66];

    static const char *const  good[] = { "a", "edge-1", "A.b_c-9", "-", "_" };
    static const char *const  bad[] = { "", ".", ".a", "a/b", "a b", "é",
                                        "a\n" };

    (void) state;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(reco_node_is_valid((reco_str_t) { good[i],
                                                      strlen(good[i]) }));
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(reco_node_is_valid((reco_str_t) { bad[i],
                                                       strlen(bad[i]) }));
    }

    memset(name, 'n', sizeof(name));
    assert_true(reco_node_is_valid((reco_str_t) { name, 64 }));
    assert_false(reco_node_is_valid((reco_str_t) { name, 65 }));
}

static void
test_open(void **state)
{
    int             fd;
    char            first[2][HEADER];
    struct stat     st;
    reco_segment_t  s, t;

    (void) state;

    open_ok(&s, 0);
    assert_string_equal(s.name, OPEN_0);
    assert_int_equal(s.number, 0);
    assert_int_equal(s.opened_ms, 1000);
    assert_int_equal(s.size, HEADER);
    assert_int_equal(size_of(OPEN_0), HEADER);
    assert_true(fcntl(s.fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(stat(path_of(OPEN_0), &st), 0);
    assert_int_equal(st.st_mode & 07007, 0);
    assert_true(is_held(OPEN_0));
    assert_true(reco_segment_is_linked(&s));

    /* taken, as open segment */
    assert_int_equal(reco_segment_open(&t, dir, NODE, INC, 0, 1, &err),
                     RECO_INVALID);
    assert_int_equal(t.fd, -1);
    assert_int_equal(size_of(OPEN_0), HEADER);

    /* another's first bytes are others */
    open_ok(&t, 1);
    fd = open(path_of(OPEN_0), O_RDONLY);
    assert_int_equal(read(fd, first[0], HEADER), HEADER);
    close(fd);
    fd = open(path_of("reco-edge-1-0a1b2c3d-000001.ndjson.open"), O_RDONLY);
    assert_int_equal(read(fd, first[1], HEADER), HEADER);
    close(fd);
    assert_memory_not_equal(first[0], first[1], HEADER);
    assert_int_equal(first[0][HEADER - 1], '\n');

    abandon(&t);
    abandon(&s);
    assert_false(is_held(OPEN_0));
}

static void
test_open_name_of_closed(void **state)
{
    reco_segment_t  s;

    (void) state;

    write_file(CLOSED_0, "kept", "w");
    assert_int_equal(reco_segment_open(&s, dir, NODE, INC, 0, 1, &err),
                     RECO_INVALID);
    assert_false(exists(OPEN_0));
    assert_int_equal(size_of(CLOSED_0), 4);

    /* nor one that a killed writer left, which nobody holds */
    write_file("reco-edge-1-0a1b2c3d-000001.ndjson.open", "kept", "w");
    assert_int_equal(reco_segment_open(&s, dir, NODE, INC, 1, 1, &err),
                     RECO_INVALID);
    assert_int_equal(size_of("reco-edge-1-0a1b2c3d-000001.ndjson.open"), 4);
}

static void
test_open_failures(void **state)
{
    char            path[2000];
    reco_segment_t  s;

    (void) state;

    assert_int_equal(reco_segment_open(&s, path_of("absent"), NODE, INC, 0, 1,
                                       &err), RECO_IO);
    assert_non_null(strstr(err.message, "No such file or directory"));
    assert_int_equal(s.fd, -1);

    assert_int_equal(reco_segment_open(&s, dir, RECO_STR("../x"), INC, 0, 1,
                                       &err), RECO_INVALID);

    memset(path, 'x', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(reco_segment_open(&s, path, NODE, INC, 0, 1, &err),
                     RECO_LIMIT);
}

/* A number beyond six digits still makes a name of its own. */
static void
test_open_large_number(void **state)
{
    reco_segment_t  s;

    (void) state;

    open_ok(&s, 1234567);
    assert_true(exists("reco-edge-1-0a1b2c3d-1234567.ndjson.open"));
    abandon(&s);
}

/* ---- append --------------------------------------------------------- */

static void
test_append(void **state)
{
    char            text[2048];
    FILE           *f;
    size_t          len;
    reco_segment_t  s;

    (void) state;

    open_ok(&s, 0);
    append_ok(&s, "one\n");
    append_ok(&s, "two\nthree\n");
    assert_int_equal(s.size, HEADER + 14);

    f = fopen(path_of(OPEN_0), "r");
    len = fread(text, 1, sizeof(text), f);
    fclose(f);
    assert_int_equal(len, HEADER + 14);
    assert_memory_equal(text + HEADER, "one\ntwo\nthree\n", 14);

    assert_int_equal(reco_segment_sync(&s, &err), RECO_OK);
    abandon(&s);

    assert_int_equal(reco_segment_append(&s, "x\n", 2, &err), RECO_IO);
    assert_int_equal(reco_segment_sync(&s, &err), RECO_IO);
    assert_false(reco_segment_is_linked(&s));
}

/* The kernel writes what fits below the limit and then refuses: what fitted is
 * cut off again, and the segment goes on when there is room. */
static void
test_append_file_limit(void **state)
{
    reco_segment_t  s;
    struct rlimit   old, limit;
    void          (*handler)(int);

    (void) state;

    open_ok(&s, 0);
    append_ok(&s, "whole\n");

    handler = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit = old;
    limit.rlim_cur = HEADER + 10;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);

    assert_int_equal(reco_segment_append(&s, "does not fit\n", 13, &err),
                     RECO_IO);
    assert_non_null(strstr(err.message, "File too large"));
    assert_true(s.fd >= 0);
    assert_int_equal(s.size, HEADER + 6);
    assert_int_equal(size_of(OPEN_0), HEADER + 6);

    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, handler);

    append_ok(&s, "next\n");
    assert_int_equal(size_of(OPEN_0), HEADER + 11);
    abandon(&s);
}

/* No room for the header: nothing stays behind. */
static void
test_open_file_limit(void **state)
{
    reco_segment_t  s;
    struct rlimit   old, limit;
    void          (*handler)(int);

    (void) state;

    handler = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit = old;
    limit.rlim_cur = 100;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);

    assert_int_equal(reco_segment_open(&s, dir, NODE, INC, 0, 1, &err),
                     RECO_IO);

    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, handler);

    assert_int_equal(s.fd, -1);
    assert_false(exists(OPEN_0));
}

/* A descriptor that can neither write nor be cut: not to be used again. */
static void
test_append_cannot_cut(void **state)
{
    int             fd;
    reco_segment_t  s;

    (void) state;

    open_ok(&s, 0);
    append_ok(&s, "whole\n");

    fd = open(path_of(OPEN_0), O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(dup2(fd, s.fd), s.fd);
    close(fd);

    assert_int_equal(reco_segment_append(&s, "x\n", 2, &err), RECO_IO);
    assert_int_equal(s.fd, -1);
    assert_int_equal(size_of(OPEN_0), HEADER + 6);
}

static void
test_append_unlinked(void **state)
{
    reco_segment_t  s;

    (void) state;

    open_ok(&s, 0);
    append_ok(&s, "one\n");
    assert_true(reco_segment_is_linked(&s));

    assert_int_equal(unlink(path_of(OPEN_0)), 0);
    assert_false(reco_segment_is_linked(&s));
    assert_int_equal(reco_segment_append(&s, "two\n", 4, &err), RECO_IO);
    assert_non_null(strstr(err.message, "removed"));

    assert_int_equal(reco_segment_finish(&s, &err), RECO_IO);
    assert_int_equal(s.fd, -1);
    assert_false(exists(CLOSED_0));
}

/* The folder has another file of that name now. */
static void
test_replaced(void **state)
{
    char            moved[512];
    reco_segment_t  s;

    (void) state;

    open_ok(&s, 0);
    append_ok(&s, "one\n");

    strcpy(moved, path_of("moved"));
    assert_int_equal(rename(path_of(OPEN_0), moved), 0);
    assert_false(reco_segment_is_linked(&s));

    write_file(OPEN_0, "another's\n", "w");
    assert_false(reco_segment_is_linked(&s));

    assert_int_equal(reco_segment_finish(&s, &err), RECO_IO);
    assert_int_equal(size_of(OPEN_0), 10);
    assert_false(exists(CLOSED_0));
}

/* Cut by another program: what comes next is at the end, without a hole. */
static void
test_truncated(void **state)
{
    reco_segment_t  s;

    (void) state;

    open_ok(&s, 0);
    append_ok(&s, "one\n");
    assert_int_equal(truncate(path_of(OPEN_0), 0), 0);
    append_ok(&s, "two\n");
    assert_int_equal(size_of(OPEN_0), 4);
    assert_int_equal(s.size, 4);
    abandon(&s);
}

/* ---- finish --------------------------------------------------------- */

static void
test_finish(void **state)
{
    reco_segment_t  s;

    (void) state;

    open_ok(&s, 0);
    append_ok(&s, record(1));
    assert_int_equal(reco_segment_finish(&s, &err), RECO_OK);
    assert_int_equal(s.fd, -1);
    assert_false(exists(OPEN_0));
    assert_int_equal(size_of(CLOSED_0), HEADER + strlen(record(1)));
    assert_false(is_held(CLOSED_0));

    /* again is no harm */
    assert_int_equal(reco_segment_finish(&s, &err), RECO_OK);
}

static void
test_finish_header_only(void **state)
{
    reco_segment_t  s;

    (void) state;

    open_ok(&s, 0);
    assert_int_equal(reco_segment_finish(&s, &err), RECO_OK);
    assert_int_equal(s.fd, -1);
    assert_false(exists(OPEN_0));
    assert_false(exists(CLOSED_0));
}

/* A closed segment is never written over. */
static void
test_finish_name_taken(void **state)
{
    reco_segment_t  s;

    (void) state;

    open_ok(&s, 0);
    append_ok(&s, record(1));
    write_file(CLOSED_0, "kept", "w");

    assert_int_equal(reco_segment_finish(&s, &err), RECO_IO);
    assert_non_null(strstr(err.message, "File exists"));
    assert_int_equal(s.fd, -1);
    assert_int_equal(size_of(CLOSED_0), 4);
    assert_int_equal(size_of(OPEN_0), HEADER + strlen(record(1)));
}

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
        if (reco_segment_open(&s, dir, NODE, INC, 0, 1, &err) != RECO_OK
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
        cmocka_unit_test(test_nodes),
        TEST(test_open),
        TEST(test_open_name_of_closed),
        TEST(test_open_failures),
        TEST(test_open_large_number),
        TEST(test_append),
        TEST(test_append_file_limit),
        TEST(test_open_file_limit),
        TEST(test_append_cannot_cut),
        TEST(test_append_unlinked),
        TEST(test_replaced),
        TEST(test_truncated),
        TEST(test_finish),
        TEST(test_finish_header_only),
        TEST(test_finish_name_taken),
        TEST(test_recover_whole),
        TEST(test_recover_torn),
        TEST(test_recover_long_tail),
        TEST(test_recover_empty),
        TEST(test_recover_record_without_header),
        TEST(test_recover_held),
        TEST(test_recover_goes_on),
        TEST(test_recover_leaves_others),
    };

    return cmocka_run_group_tests_name("segment", tests, NULL, NULL);
}
