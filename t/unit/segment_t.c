/*
 * Segments as files, in a folder of their own: creation, lock, append, cutting
 * back, closing, recovery, reading. File-size limits and locks are the
 * kernel's, not pretended.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reco_segment.h"

#define INC      0x0a1b2c3d
#define OPEN_0   "reco-edge-1-0a1b2c3d-000000.ndjson.open"
#define CLOSED_0 "reco-edge-1-0a1b2c3d-000000.ndjson"
#define HEADER   512
#define NODE     RECO_STR("edge-1")

static char          dir[64];
static reco_error_t  err;

static int
setup(void **state)
{
    (void) state;
    strcpy(dir, "/tmp/reco-segment-XXXXXX");
    return (mkdtemp(dir) == NULL) ? -1 : 0;
}

static int
teardown(void **state)
{
    char            path[512];
    DIR            *d;
    struct dirent  *e;

    (void) state;

    d = opendir(dir);
    while (d != NULL && (e = readdir(d)) != NULL) {
        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        if (unlink(path) != 0) {
            (void) rmdir(path);
        }
    }
    if (d != NULL) {
        closedir(d);
    }

    return rmdir(dir);
}

static const char *
path_of(const char *name)
{
    static char  path[512];

    snprintf(path, sizeof(path), "%s/%s", dir, name);

    return path;
}

static bool
exists(const char *name)
{
    struct stat  st;

    return lstat(path_of(name), &st) == 0;
}

static off_t
size_of(const char *name)
{
    struct stat  st;

    assert_int_equal(stat(path_of(name), &st), 0);

    return st.st_size;
}

/* A reward of the given sequence number. */
static const char *
record(unsigned seq)
{
    static char  line[256];

    snprintf(line, sizeof(line), "{\"type\":\"reward\",\"seq\":%u,\"time\":1,"
             "\"model\":\"m\",\"generation\":1,\"customer\":\"c\","
             "\"facts\":{\"click\":1}}\n", seq);

    return line;
}

static void
write_file(const char *name, const char *text, const char *mode)
{
    FILE  *f = fopen(path_of(name), mode);

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static const char *
header_of(const char *node, uint32_t incarnation, uint64_t number)
{
    static char            text[1024];
    reco_buf_t             b;
    reco_segment_header_t  h = { { node, strlen(node) }, incarnation, number,
                                 5 };

    reco_buf_init(&b, text, sizeof(text) - 1);
    reco_event_write_header(&b, &h);
    *b.pos = '\0';

    return text;
}

static void
open_ok(reco_segment_t *s, uint64_t number)
{
    if (reco_segment_open(s, dir, NODE, INC, number, 1000, &err) != RECO_OK) {
        fail_msg("%s", err.message);
    }
}

static void
append_ok(reco_segment_t *s, const char *text)
{
    if (reco_segment_append(s, text, strlen(text), &err) != RECO_OK) {
        fail_msg("%s", err.message);
    }
}

/* Kills the writer: the file stays, the lock goes. */
static void
abandon(reco_segment_t *s)
{
    close(s->fd);
    s->fd = -1;
}

/* What a child, which shares no descriptor with us, sees. */
static bool
is_held(const char *name)
{
    int    status, fd;
    pid_t  pid;

    pid = fork();
    assert_true(pid >= 0);

    if (pid == 0) {
        fd = open(path_of(name), O_RDWR);
        if (fd < 0) {
            _exit(2);
        }
        _exit(flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : 1);
    }

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);

    return WEXITSTATUS(status) == 1;
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

/* ---- reading -------------------------------------------------------- */

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

#define TEST(name)  cmocka_unit_test_setup_teardown(name, setup, teardown)

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
        TEST(test_read_segments),
        TEST(test_read_renamed),
        TEST(test_read_order),
        TEST(test_read_corrupt),
        TEST(test_read_nothing),
    };

    return cmocka_run_group_tests_name("segment", tests, NULL, NULL);
}
