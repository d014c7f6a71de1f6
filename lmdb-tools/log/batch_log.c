/*
 * batch_log.c - writes a tool's decisions as event-log segments through a
 * buffer of its own.
 */

#include "batch_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_BYTES    (256 * 1024)
#define SEGMENT_BYTES   ((uint64_t) 64 << 20)

static bool
fail(const batch_log_t *log, const reco_error_t *err)
{
    tool_fail(log->dir, err);

    return false;
}

static bool
next_segment(batch_log_t *log)
{
    reco_error_t  err;

    if (reco_segment_open(&log->segment, log->dir, log->node,
                          log->incarnation, log->npaths, log->time_ms, NULL,
                          &err)
        != RECO_OK)
    {
        return fail(log, &err);
    }

    return true;
}

bool
batch_log_open(batch_log_t *log, const char *dir, reco_str_t node,
    uint32_t incarnation, uint64_t time_ms, const reco_model_t *model)
{
    size_t  size;

    memset(log, 0, sizeof(*log));
    log->segment.fd = -1;
    log->dir = dir;
    log->node = node;
    log->incarnation = incarnation;
    log->time_ms = time_ms;
    log->record_bound = reco_event_decision_bound(model);

    if (mkdir(dir, 0777) != 0 && errno != EEXIST) {
        tool_errno("create", dir);
        return false;
    }

    size = log->record_bound > BUFFER_BYTES ? log->record_bound
                                            : BUFFER_BYTES;
    log->memory = tool_alloc(size);
    reco_buf_init(&log->buf, log->memory, size);

    return next_segment(log);
}

static bool
flush(batch_log_t *log)
{
    size_t        n = reco_buf_len(&log->buf);
    reco_error_t  err;

    if (n > 0 && reco_segment_append(&log->segment, log->memory, n, &err)
                 != RECO_OK)
    {
        return fail(log, &err);
    }

    log->buf.pos = log->buf.start;

    return true;
}

static bool
finish_segment(batch_log_t *log)
{
    char          *path;
    reco_error_t   err;

    path = tool_format("%s/%.*s", log->dir,
                       (int) (strlen(log->segment.name) - strlen(".open")),
                       log->segment.name);

    if (reco_segment_finish(&log->segment, &err) != RECO_OK) {
        free(path);
        return fail(log, &err);
    }

    log->paths = tool_realloc(log->paths,
                              (log->npaths + 1) * sizeof(*log->paths));
    log->paths[log->npaths++] = path;

    return true;
}

bool
batch_log_decision(batch_log_t *log, reco_decision_event_t *e)
{
    size_t  room = (size_t) (log->buf.end - log->buf.pos);

    if (room < log->record_bound) {
        if (!flush(log)) {
            return false;
        }

        if (log->segment.size >= SEGMENT_BYTES
            && !(finish_segment(log) && next_segment(log)))
        {
            return false;
        }
    }

    e->seq = ++log->seq;
    reco_event_write_decision(&log->buf, e);

    return true;
}

bool
batch_log_finish(batch_log_t *log)
{
    return flush(log) && finish_segment(log);
}

void
batch_log_close(batch_log_t *log)
{
    size_t  i;

    for (i = 0; i < log->npaths; i++) {
        free(log->paths[i]);
    }

    free(log->paths);
    free(log->memory);
    memset(log, 0, sizeof(*log));
    log->segment.fd = -1;
}

void
batch_log_abandon(batch_log_t *log)
{
    char    path[2048];
    size_t  i;

    if (log->dir == NULL) {
        return;
    }

    for (i = 0; i < log->npaths; i++) {
        unlink(log->paths[i]);
    }

    if (log->segment.fd >= 0) {
        snprintf(path, sizeof(path), "%s/%s", log->segment.dir,
                 log->segment.name);
        unlink(path);
        close(log->segment.fd);
    }

    batch_log_close(log);
}
