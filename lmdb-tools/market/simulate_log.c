/*
 * simulate_log.c - a chunk's records. Sessions are simulated one after the
 * other, but overlap in time; a server's log is in the order of time. So the
 * records are kept until the chunk is done, sorted, numbered and written.
 */

#include "simulate.h"

#include "reco_segment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define BUFFER_BYTES    (256 * 1024)
#define SEGMENT_BYTES   ((uint64_t) 64 << 20)
#define SEQ             "\"seq\":0"

typedef struct {
    uint64_t  time_ms;
    size_t    at, len;
} line_t;

struct simulate_log_s {
    const char          *dir;
    uint32_t             incarnation;
    const reco_model_t  *model;
    char                *text;
    size_t               used, size;
    line_t              *lines;
    size_t               nlines, room;

    reco_segment_t       segment;
    uint64_t             number;
    char                *buffer;
    size_t               filled;
};

simulate_log_t *
simulate_log_open(const char *dir, uint32_t incarnation,
    const reco_model_t *model)
{
    simulate_log_t  *log;

    if (mkdir(dir, 0777) != 0 && errno != EEXIST) {
        tool_errno("create", dir);
        return NULL;
    }

    log = tool_alloc(sizeof(*log));
    memset(log, 0, sizeof(*log));
    log->dir = dir;
    log->incarnation = incarnation;
    log->model = model;
    log->segment.fd = -1;

    return log;
}

/* Room for a record; what is written begins at 'used'. */
static void
begin(simulate_log_t *log, reco_buf_t *b, size_t bound)
{
    if (log->size - log->used < bound) {
        log->size = 2 * (log->size + bound);
        log->text = tool_realloc(log->text, log->size);
    }

    reco_buf_init(b, log->text + log->used, bound);
}

static bool
end(simulate_log_t *log, const reco_buf_t *b, uint64_t time_ms)
{
    size_t  len = reco_buf_len(b);

    if (b->overflow) {
        tool_error("%s: a record is too long", log->dir);
        return false;
    }

    if (log->nlines == log->room) {
        log->room = log->room ? 2 * log->room : 1024;
        log->lines = tool_realloc(log->lines,
                                  log->room * sizeof(*log->lines));
    }

    log->lines[log->nlines++] = (line_t) { time_ms, log->used, len };
    log->used += len;

    return true;
}

bool
simulate_log_decision(simulate_log_t *log, reco_decision_event_t *e)
{
    reco_buf_t  b;

    begin(log, &b, reco_event_decision_bound(log->model)
                   + (e->request ? reco_event_request_bound(e->request) : 0));
    e->seq = 0;
    reco_event_write_decision(&b, e);

    return end(log, &b, e->time_ms);
}

bool
simulate_log_reward(simulate_log_t *log, reco_reward_event_t *e)
{
    reco_buf_t  b;

    begin(log, &b, reco_event_reward_bound());
    e->seq = 0;
    reco_event_write_reward(&b, e);

    return end(log, &b, e->time_ms);
}

/* ---- writing ------------------------------------------------------------ */

static bool
fail(const simulate_log_t *log, const reco_error_t *err)
{
    tool_fail(log->dir, err);

    return false;
}

static bool
flush(simulate_log_t *log)
{
    reco_error_t  err;

    if (log->filled > 0
        && reco_segment_append(&log->segment, log->buffer, log->filled, &err)
           != RECO_OK)
    {
        return fail(log, &err);
    }

    log->filled = 0;

    return true;
}

static bool
finish(simulate_log_t *log)
{
    reco_error_t  err;

    if (log->segment.fd < 0) {
        return true;
    }

    return flush(log) && (reco_segment_finish(&log->segment, &err) == RECO_OK
                          || fail(log, &err));
}

static bool
next_segment(simulate_log_t *log, uint64_t time_ms)
{
    reco_error_t  err;

    return finish(log)
           && (reco_segment_open(&log->segment, log->dir,
                                 RECO_STR(SIMULATE_NODE), log->incarnation,
                                 log->number++, time_ms, NULL, &err)
                   == RECO_OK
               || fail(log, &err));
}

/* The record with its number in place of 0. */
static bool
write_line(simulate_log_t *log, const line_t *line, uint64_t seq)
{
    char         number[32];
    size_t       head, n;
    const char  *text = log->text + line->at, *zero;

    if (log->filled + line->len + sizeof(number) > BUFFER_BYTES
        && !flush(log))
    {
        return false;
    }

    if (log->segment.fd < 0
        || log->segment.size + log->filled > SEGMENT_BYTES)
    {
        if (!next_segment(log, line->time_ms)) {
            return false;
        }
    }

    zero = memmem(text, line->len, SEQ, strlen(SEQ));
    if (zero == NULL || line->len + sizeof(number) > BUFFER_BYTES) {
        tool_error("%s: a record cannot be written", log->dir);
        return false;
    }

    head = (size_t) (zero - text) + strlen(SEQ) - 1;
    n = (size_t) sprintf(number, "%llu", (unsigned long long) seq);
    memcpy(log->buffer + log->filled, text, head);
    memcpy(log->buffer + log->filled + head, number, n);
    memcpy(log->buffer + log->filled + head + n, text + head + 1,
           line->len - head - 1);
    log->filled += line->len - 1 + n;

    return true;
}

static int
by_time(const void *a, const void *b)
{
    const line_t  *x = a, *y = b;

    if (x->time_ms != y->time_ms) {
        return x->time_ms < y->time_ms ? -1 : 1;
    }

    return (x->at > y->at) - (x->at < y->at);
}

bool
simulate_log_close(simulate_log_t *log)
{
    bool    ok = true;
    size_t  i;

    qsort(log->lines, log->nlines, sizeof(*log->lines), by_time);
    log->buffer = tool_alloc(BUFFER_BYTES);

    for (i = 0; ok && i < log->nlines; i++) {
        ok = write_line(log, &log->lines[i], i + 1);
    }

    ok = ok && finish(log);
    free(log->buffer);
    free(log->text);
    free(log->lines);
    free(log);

    return ok;
}
