/*
 * segment_fixture.h - a folder of its own for each test of segments, and what
 * such tests do over and over.
 */

#ifndef SEGMENT_FIXTURE_H
#define SEGMENT_FIXTURE_H

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

static inline int
setup(void **state)
{
    (void) state;
    strcpy(dir, "/tmp/reco-segment-XXXXXX");
    return (mkdtemp(dir) == NULL) ? -1 : 0;
}

static inline int
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

static inline const char *
path_of(const char *name)
{
    static char  path[512];

    snprintf(path, sizeof(path), "%s/%s", dir, name);

    return path;
}

static inline bool
exists(const char *name)
{
    struct stat  st;

    return lstat(path_of(name), &st) == 0;
}

static inline off_t
size_of(const char *name)
{
    struct stat  st;

    assert_int_equal(stat(path_of(name), &st), 0);

    return st.st_size;
}

/* A reward of the given sequence number. */
static inline const char *
record(unsigned seq)
{
    static char  line[256];

    snprintf(line, sizeof(line), "{\"type\":\"reward\",\"seq\":%u,\"time\":1,"
             "\"model\":\"m\",\"generation\":1,\"customer\":\"c\","
             "\"facts\":{\"click\":1}}\n", seq);

    return line;
}

static inline void
write_file(const char *name, const char *text, const char *mode)
{
    FILE  *f = fopen(path_of(name), mode);

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static inline const char *
header_of(const char *node, uint32_t incarnation, uint64_t number)
{
    static char            text[1024];
    reco_buf_t             b;
    reco_segment_header_t  h = { { node, strlen(node) }, incarnation, number,
                                 5, { false, 0, { "", 0 } } };

    reco_buf_init(&b, text, sizeof(text) - 1);
    reco_event_write_header(&b, &h);
    *b.pos = '\0';

    return text;
}

static inline void
open_ok(reco_segment_t *s, uint64_t number)
{
    if (reco_segment_open(s, dir, NODE, INC, number, 1000, NULL, &err)
        != RECO_OK)
    {
        fail_msg("%s", err.message);
    }
}

static inline void
append_ok(reco_segment_t *s, const char *text)
{
    if (reco_segment_append(s, text, strlen(text), &err) != RECO_OK) {
        fail_msg("%s", err.message);
    }
}

/* Kills the writer: the file stays, the lock goes. */
static inline void
abandon(reco_segment_t *s)
{
    close(s->fd);
    s->fd = -1;
}

/* What a child, which shares no descriptor with us, sees. */
static inline bool
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

#define TEST(name)  cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif /* SEGMENT_FIXTURE_H */
