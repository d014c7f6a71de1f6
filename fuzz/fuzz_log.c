/*
 * fuzz_log.c - whole segments of the event log, whatever is in them: every
 * line is a record or is said to be none, a line that is being written is left
 * alone, reading on after a pause gives what reading at once gives, and
 * recovery keeps every whole line and nothing else.
 *
 * The first byte says how much of the rest is there before the pause.
 */

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz_util.h"
#include "reco_segment.h"

#define NAME    "reco-edge-0000002a-000001.ndjson"

static char  dir[] = "/tmp/reco-fuzz-log.XXXXXX";
static char  closed[64], live[64];

/* The disk is not what this is about: a million waits for it would be. */
int
fsync(int fd)
{
    (void) fd;

    return 0;
}

static void
clean(void)
{
    (void) unlink(closed);
    (void) unlink(live);
    (void) rmdir(dir);
}

static void
begin(void)
{
    FUZZ_ASSERT(mkdtemp(dir) != NULL);
    (void) snprintf(closed, sizeof(closed), "%s/" NAME, dir);
    (void) snprintf(live, sizeof(live), "%s/" NAME ".open", dir);
    FUZZ_ASSERT(atexit(clean) == 0);
}

static void
append(const char *path, reco_str_t text)
{
    int  fd;

    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    FUZZ_ASSERT(fd != -1);
    FUZZ_ASSERT(write(fd, text.data, text.len) == (ssize_t) text.len);
    (void) close(fd);
}

static reco_str_t
content(const char *path, char *room, size_t size)
{
    int      fd;
    ssize_t  n;

    fd = open(path, O_RDONLY | O_CLOEXEC);
    FUZZ_ASSERT(fd != -1);
    n = read(fd, room, size);
    FUZZ_ASSERT(n >= 0);
    (void) close(fd);

    return (reco_str_t) { room, (size_t) n };
}

/* ---- what reading gives -------------------------------------------------- */

/* Of each line whether it is a record, and of what kind and number; then that
 * the last one has no end. */
typedef struct {
    char       what[4096];
    uint64_t   seq[4096];
    uint32_t   n;
} outcome_t;

static outcome_t  at_once, in_parts, expected;

static void
add(outcome_t *o, char what, uint64_t seq)
{
    FUZZ_ASSERT(o->n < sizeof(o->what));
    o->what[o->n] = what;
    o->seq[o->n++] = seq;
}

static void
read_on(reco_log_reader_t *r, outcome_t *o, size_t size)
{
    uint64_t        line = reco_log_line(r);
    reco_error_t    err;
    reco_event_t   *event;
    reco_status_t   rc;

    while ((rc = reco_log_next(r, &event, &err)) != RECO_NOT_FOUND) {

        FUZZ_ASSERT(reco_log_line(r) == ++line);

        if (rc == RECO_OK) {
            add(o, (char) ('0' + event->type), event->seq);
            continue;
        }

        FUZZ_ASSERT(rc == RECO_CORRUPT);
        fuzz_check_error(&err, rc, size);
        FUZZ_ASSERT(strncmp(err.message, NAME, sizeof(NAME) - 1) == 0);
        add(o, '!', 0);
    }
}

static void
compare(const outcome_t *a, const outcome_t *b)
{
    FUZZ_ASSERT(a->n == b->n);
    FUZZ_ASSERT(memcmp(a->what, b->what, a->n) == 0);
    FUZZ_ASSERT(memcmp(a->seq, b->seq, a->n * sizeof(a->seq[0])) == 0);
}

/* Line by line, without a file. */
static void
expect(reco_str_t text)
{
    char                      *memory, *end, *p = (char *) text.data;
    reco_str_t                 line;
    reco_arena_t               arena;
    reco_error_t               err;
    static reco_event_t        event;
    static reco_json_keys_t    keys;

    memory = fuzz_alloc(2 * text.len + 16);
    expected.n = 0;

    while ((end = memchr(p, '\n', text.len - (size_t) (p - text.data)))
           != NULL)
    {
        line = fuzz_copy(p, (size_t) (end - p));
        arena = (reco_arena_t) { memory, 2 * text.len + 16, 0 };

        if (reco_event_read(line, &arena, &keys, &event, &err) == RECO_OK) {
            add(&expected, (char) ('0' + event.type), event.seq);
        } else {
            add(&expected, '!', 0);
        }

        fuzz_free(line);
        p = end + 1;
    }

    free(memory);
}

/* ---- reading ------------------------------------------------------------ */

static reco_log_reader_t *
open_log(const char *path)
{
    reco_error_t        err;
    reco_log_reader_t  *r;

    FUZZ_ASSERT(reco_log_open(path, &r, &err) == RECO_OK);

    return r;
}

/* A closed segment: a rest without an end is a fault. */
static void
read_at_once(reco_str_t text, size_t whole)
{
    reco_log_reader_t  *r;

    append(closed, text);
    r = open_log(closed);
    at_once.n = 0;
    read_on(r, &at_once, text.len);
    FUZZ_ASSERT(reco_log_bytes_total(r) == text.len);
    FUZZ_ASSERT(reco_log_bytes_read(r) == text.len);
    reco_log_close(r);

    if (whole < text.len) {
        FUZZ_ASSERT(at_once.n > 0 && at_once.what[at_once.n - 1] == '!');
        at_once.n--;
    }

    compare(&at_once, &expected);
    (void) unlink(closed);
}

/* A live one, which grows while it is read and is closed then. */
static void
read_in_parts(reco_str_t text, size_t pause, size_t whole)
{
    reco_error_t        err;
    reco_log_reader_t  *r;

    append(live, (reco_str_t) { text.data, pause });
    r = open_log(dir);
    in_parts.n = 0;
    read_on(r, &in_parts, text.len);

    append(live, (reco_str_t) { text.data + pause, text.len - pause });
    FUZZ_ASSERT(reco_log_again(r, &err) == RECO_OK);
    read_on(r, &in_parts, text.len);
    compare(&in_parts, &expected);

    FUZZ_ASSERT(rename(live, closed) == 0);
    FUZZ_ASSERT(reco_log_again(r, &err) == RECO_OK);
    read_on(r, &in_parts, text.len);
    FUZZ_ASSERT(in_parts.n == expected.n + (whole < text.len));
    reco_log_close(r);
    FUZZ_ASSERT(rename(closed, live) == 0);
}

/* ---- recovery ----------------------------------------------------------- */

static void
recover(reco_str_t text, size_t whole)
{
    char              room[8192];
    reco_str_t        left;
    reco_error_t      err;
    reco_recovery_t   done;

    FUZZ_ASSERT(reco_segment_recover(dir, &done, &err) == RECO_OK);
    FUZZ_ASSERT(done.recovered + done.empty == 1 && done.held == 0);
    FUZZ_ASSERT(access(live, F_OK) == -1);

    if (done.empty) {
        /* nothing, or a header alone */
        FUZZ_ASSERT(whole == 0 || (expected.n == 1
                                   && strncmp(text.data, "{\"type\":\"segment\"",
                                              17) == 0));
        FUZZ_ASSERT(access(closed, F_OK) == -1);
        return;
    }

    FUZZ_ASSERT(done.torn == (whole < text.len));
    left = content(closed, room, sizeof(room));
    FUZZ_ASSERT(left.len == whole && memcmp(left.data, text.data, whole) == 0);
    (void) unlink(closed);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t       whole, pause;
    reco_str_t   text;
    const char  *end;

    if (closed[0] == '\0') {
        begin();
    }

    if (size < 2) {
        return 0;
    }

    text = fuzz_copy(data + 1, size - 1);
    end = memrchr(text.data, '\n', text.len);
    whole = end == NULL ? 0 : (size_t) (end - text.data) + 1;
    pause = text.len * data[0] / 255;

    expect(text);
    read_at_once(text, whole);
    read_in_parts(text, pause, whole);
    recover(text, whole);
    fuzz_free(text);

    return 0;
}
