/*
 * Segments as files, in a folder of their own: creation, lock, append, cutting
 * back, syncing, closing. File-size limits and locks are the kernel's, not
 * pretended.
 */

#include <sys/syscall.h>

#include "segment_fixture.h"

static bool      cannot_cut, cannot_sync_folder;
static unsigned  folders_synced;

/* In place of the library's: a file that cannot be cut, folders that are
 * counted. */
int
ftruncate(int fd, off_t len)
{
    if (cannot_cut) {
        errno = EIO;
        return -1;
    }

    return (int) syscall(SYS_ftruncate, fd, len);
}

int
fsync(int fd)
{
    struct stat  st;

    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        folders_synced++;

        if (cannot_sync_folder) {
            errno = EIO;
            return -1;
        }
    }

    return (int) syscall(SYS_fsync, fd);
}

/* 0 where the file has these bytes after its header. */
static int
content(const char *name, const char *expected)
{
    char    text[2048];
    FILE   *f = fopen(path_of(name), "r");
    size_t  len;

    assert_non_null(f);
    len = fread(text, 1, sizeof(text), f);
    fclose(f);

    return len != HEADER + strlen(expected)
           || memcmp(text + HEADER, expected, len - HEADER) != 0;
}

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
    assert_int_equal(reco_segment_open(&t, dir, NODE, INC, 0, 1, NULL, &err),
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
    assert_int_equal(reco_segment_open(&s, dir, NODE, INC, 0, 1, NULL, &err),
                     RECO_INVALID);
    assert_false(exists(OPEN_0));
    assert_int_equal(size_of(CLOSED_0), 4);

    /* nor one that a killed writer left, which nobody holds */
    write_file("reco-edge-1-0a1b2c3d-000001.ndjson.open", "kept", "w");
    assert_int_equal(reco_segment_open(&s, dir, NODE, INC, 1, 1, NULL, &err),
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
                                       NULL, &err), RECO_IO);
    assert_non_null(strstr(err.message, "No such file or directory"));
    assert_int_equal(s.fd, -1);

    assert_int_equal(reco_segment_open(&s, dir, RECO_STR("../x"), INC, 0, 1,
                                       NULL, &err), RECO_INVALID);

    memset(path, 'x', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(reco_segment_open(&s, path, NODE, INC, 0, 1, NULL, &err),
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

/* The clock of the times stands in the header. */
static void
test_open_clock(void **state)
{
    FILE               *f;
    char                line[HEADER + 1], room[2 * HEADER];
    reco_arena_t        arena = { room, sizeof(room), 0 };
    reco_clock_t        clock = { true, -1234, RECO_STR("b-o-o-t") };
    reco_segment_t      s;
    static reco_event_t      event;
    static reco_json_keys_t  keys;

    (void) state;

    assert_int_equal(reco_segment_open(&s, dir, NODE, INC, 0, 1000, &clock,
                                       &err), RECO_OK);
    assert_int_equal(s.clock.offset_ms, -1234);

    f = fopen(path_of(OPEN_0), "r");
    assert_non_null(fgets(line, sizeof(line), f));
    fclose(f);
    assert_int_equal(reco_event_read((reco_str_t) { line, HEADER - 1 }, &arena,
                                     &keys, &event, &err), RECO_OK);
    assert_true(event.header.clock.known);
    assert_int_equal(event.header.clock.offset_ms, -1234);
    assert_memory_equal(event.header.clock.boot.data, "b-o-o-t", 7);
    abandon(&s);

    /* an importer has none */
    open_ok(&s, 1);
    assert_false(s.clock.known);
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

    assert_int_equal(reco_segment_open(&s, dir, NODE, INC, 0, 1, NULL, &err),
                     RECO_IO);

    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, handler);

    assert_int_equal(s.fd, -1);
    assert_false(exists(OPEN_0));
}

/* A descriptor that can neither write nor be cut, and has nothing to be cut:
 * what failed may be written to another segment. */
static void
test_append_read_only(void **state)
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
    assert_false(s.uncut);
    assert_int_equal(size_of(OPEN_0), HEADER + 6);
    assert_int_equal(reco_segment_finish(&s, &err), RECO_OK);
    assert_int_equal(size_of(CLOSED_0), HEADER + 6);
}

/* Two records, of which the first and half of the second came to the file,
 * which cannot be cut: the segment says so. */
static void
append_uncut(reco_segment_t *s)
{
    struct rlimit   old, limit;
    void          (*handler)(int);

    open_ok(s, 0);
    append_ok(s, "whole\n");

    handler = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit = old;
    limit.rlim_cur = HEADER + 11;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cannot_cut = true;

    assert_int_equal(reco_segment_append(s, "one\ntwo\n", 8, &err), RECO_IO);
    assert_non_null(strstr(err.message, "nor cut it back"));
    assert_true(s->uncut);
    assert_true(s->fd >= 0);
    assert_int_equal(s->size, HEADER + 6);
    assert_int_equal(size_of(OPEN_0), HEADER + 11);

    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, handler);

    /* there is room, but what follows would be in the middle of a line */
    assert_int_equal(reco_segment_append(s, "next\n", 5, &err), RECO_IO);
    assert_true(s->uncut);
    assert_int_equal(size_of(OPEN_0), HEADER + 11);
}

static void
test_append_uncut(void **state)
{
    reco_segment_t  s;

    (void) state;

    append_uncut(&s);
    cannot_cut = false;
    append_ok(&s, "next\n");
    assert_false(s.uncut);
    assert_int_equal(s.size, HEADER + 11);
    assert_int_equal(reco_segment_finish(&s, &err), RECO_OK);
    assert_int_equal(content(CLOSED_0, "whole\nnext\n"), 0);
}

/* Cut when it is closed; what cannot be cut even then is left to recovery,
 * which cuts the torn line and keeps the whole one. */
static void
test_finish_uncut(void **state)
{
    reco_segment_t   s;
    reco_recovery_t  r;

    (void) state;

    append_uncut(&s);
    cannot_cut = false;
    assert_int_equal(reco_segment_finish(&s, &err), RECO_OK);
    assert_int_equal(content(CLOSED_0, "whole\n"), 0);
    assert_int_equal(unlink(path_of(CLOSED_0)), 0);

    append_uncut(&s);
    assert_int_equal(reco_segment_finish(&s, &err), RECO_IO);
    assert_non_null(strstr(err.message, "cut back"));
    assert_int_equal(s.fd, -1);
    assert_false(exists(CLOSED_0));
    assert_true(exists(OPEN_0));

    cannot_cut = false;
    assert_int_equal(reco_segment_recover(dir, &r, &err), RECO_OK);
    assert_int_equal(r.torn, 1);
    assert_int_equal(content(CLOSED_0, "whole\none\n"), 0);
}

/* ---- sync ----------------------------------------------------------- */

/* The first sync makes the name durable too, which the folder has. */
static void
test_sync(void **state)
{
    reco_segment_t  s;

    (void) state;

    open_ok(&s, 0);
    append_ok(&s, "one\n");
    folders_synced = 0;
    assert_false(s.named);
    assert_int_equal(reco_segment_sync(&s, &err), RECO_OK);
    assert_int_equal(folders_synced, 1);
    assert_true(s.named);
    assert_int_equal(reco_segment_sync(&s, &err), RECO_OK);
    assert_int_equal(folders_synced, 1);

    /* removed since: what was synced is nowhere */
    assert_int_equal(unlink(path_of(OPEN_0)), 0);
    assert_int_equal(reco_segment_sync(&s, &err), RECO_IO);
    assert_false(s.named);
    abandon(&s);

    /* a folder that cannot be synced is no success, and is tried again */
    open_ok(&s, 1);
    cannot_sync_folder = true;
    assert_int_equal(reco_segment_sync(&s, &err), RECO_IO);
    assert_false(s.named);
    cannot_sync_folder = false;
    assert_int_equal(reco_segment_sync(&s, &err), RECO_OK);
    assert_true(s.named);
    abandon(&s);

    /* no name, no durable name */
    open_ok(&s, 2);
    assert_int_equal(unlink(path_of("reco-edge-1-0a1b2c3d-000002.ndjson.open")),
                     0);
    assert_int_equal(reco_segment_sync(&s, &err), RECO_IO);
    assert_non_null(strstr(err.message, "removed"));
    abandon(&s);
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
        TEST(test_append_read_only),
        TEST(test_append_uncut),
        TEST(test_finish_uncut),
        TEST(test_sync),
        TEST(test_open_clock),
        TEST(test_append_unlinked),
        TEST(test_replaced),
        TEST(test_truncated),
        TEST(test_finish),
        TEST(test_finish_header_only),
        TEST(test_finish_name_taken),
    };

    return cmocka_run_group_tests_name("segment", tests, NULL, NULL);
}
