/*
 * ngx_http_reco_log_disk.c - what the event log does with the disk, beside
 * writing: fdatasync, fsync and rename of closed segments, recovery of what
 * killed workers left. All of it in the thread pool, by at most one job at a
 * time; what comes meanwhile goes with the next. A job has descriptors of its
 * own, and memory that lives as long as the process.
 */

#include "ngx_http_reco_log.h"


static void ngx_http_reco_log_closed(ngx_http_reco_log_t *log,
    ngx_http_reco_closing_t *closing, reco_error_t *error);
static void ngx_http_reco_log_job(void *data, ngx_log_t *unused);
static void ngx_http_reco_log_job_done(ngx_event_t *ev);
static void ngx_http_reco_log_recovery(void *data, ngx_log_t *unused);
static void ngx_http_reco_log_recovered(ngx_event_t *ev);


/*
 * Hands the segment to the next job; the next record opens another one. A
 * segment that is gone (its descriptor is closed) takes those along who wait
 * for it to be synced.
 */

void
ngx_http_reco_log_close(ngx_http_reco_log_t *log)
{
    reco_error_t              error;
    ngx_http_reco_closing_t  *closing, **last;

    if (log->age.timer_set) {
        ngx_del_timer(&log->age);
    }

    log->dirty = 0;

    if (log->segment.fd == -1) {
        if (!ngx_queue_empty(&log->unsynced)) {
            ngx_http_reco_log_move(&log->failed, &log->unsynced);
            ngx_post_event(&log->flush, &ngx_posted_events);
        }

        return;
    }

    closing = calloc(1, sizeof(ngx_http_reco_closing_t));

    if (closing == NULL) {
        /* without a job's memory: left to be recovered, and not answered for */
        (void) close(log->segment.fd);
        log->segment.fd = -1;
        reco_error_set(&error, RECO_NO_MEMORY, "", "out of memory");
        ngx_http_reco_log_failed(log, NGX_HTTP_RECO_ERR_LOG_CLOSE,
                                 "cannot close a segment", &error);
        ngx_http_reco_log_close(log);
        return;
    }

    closing->segment = log->segment;
    log->segment.fd = -1;

    for (last = &log->closing; *last; last = &(*last)->next) {
        /* void */
    }

    *last = closing;
}


static void
ngx_http_reco_log_closed(ngx_http_reco_log_t *log,
    ngx_http_reco_closing_t *closing, reco_error_t *error)
{
    if (closing->status != RECO_OK) {
        ngx_http_reco_log_failed(log, NGX_HTTP_RECO_ERR_LOG_CLOSE,
                                 "cannot close a segment", error);

    } else if (closing->segment.size > closing->segment.header) {
        ngx_http_reco_count(NGX_HTTP_RECO_LOG_SEGMENTS);
    }

    free(closing);
}


void
ngx_http_reco_log_work(ngx_http_reco_log_t *log)
{
    ngx_uint_t            sync;
    ngx_http_reco_job_t  *job;

    job = &log->job;

    if (job->task.event.active || log->exiting) {
        return;
    }

    sync = log->dirty
           && (log->due || log->conf->sync == NGX_HTTP_RECO_SYNC_ALWAYS);

    if (!sync && log->closing == NULL) {
        return;
    }

    job->segment.fd = -1;

    if (sync) {
        job->segment = log->segment;
        job->segment.fd = dup(log->segment.fd);

        log->dirty = 0;
        log->due = 0;
    }

    job->closing = log->closing;
    log->closing = NULL;

    ngx_http_reco_log_move(&log->syncing, &log->unsynced);

    /* without a descriptor the thread's fdatasync says so */
    job->status = sync ? RECO_IO : RECO_OK;
    job->done = 0;

    job->task.ctx = job;
    job->task.handler = ngx_http_reco_log_job;
    job->task.event.data = log;
    job->task.event.handler = ngx_http_reco_log_job_done;

    ngx_http_reco_log_post(log, &job->task);
}


/* In a thread: knows nothing but the job. */

static void
ngx_http_reco_log_job(void *data, ngx_log_t *unused)
{
    reco_status_t             synced;
    ngx_http_reco_job_t      *job = data;
    ngx_http_reco_closing_t  *closing;

    synced = job->status;

    if (synced != RECO_OK) {
        synced = reco_segment_sync(&job->segment, &job->error);

        if (job->segment.fd != -1) {
            (void) close(job->segment.fd);
        }
    }

    job->status = synced;

    for (closing = job->closing; closing; closing = closing->next) {
        closing->status = reco_segment_finish(&closing->segment, &job->error);
    }

    job->done = 1;
}


static void
ngx_http_reco_log_job_done(ngx_event_t *ev)
{
    ngx_int_t                 rc;
    ngx_http_reco_job_t      *job;
    ngx_http_reco_log_t      *log;
    ngx_http_reco_closing_t  *closing, *next;

    log = ev->data;
    job = &log->job;
    rc = NGX_OK;
    ev->active = 0;

    for (closing = job->closing; closing; closing = next) {
        next = closing->next;

        if (closing->status != RECO_OK) {
            rc = NGX_ERROR;
        }

        ngx_http_reco_log_closed(log, closing, &job->error);
    }

    job->closing = NULL;

    if (job->status != RECO_OK) {
        rc = NGX_ERROR;
        ngx_http_reco_log_failed(log, NGX_HTTP_RECO_ERR_LOG_SYNC,
                                 "cannot sync", &job->error);

        /* After a failed sync the kernel may have dropped the pages, also of
         * what was written meanwhile, and a later sync does not say so: what
         * comes next goes to another file. */
        ngx_http_reco_log_close(log);
        ngx_http_reco_log_move(&log->syncing, &log->unsynced);

    } else if (log->segment.fd != -1
               && ngx_strcmp(log->segment.name, job->segment.name) == 0)
    {
        log->segment.named = job->segment.named;
    }

    ngx_http_reco_log_answer(&log->syncing, rc);
    ngx_http_reco_log_work(log);
    ngx_http_reco_log_room_closed(log);
}


/*
 * At a worker's exit. The thread pool's own exit handler ran before (core
 * modules come first): no thread works any more, but what the last job and the
 * recovery did was perhaps not taken notice of.
 */

void
ngx_http_reco_log_drain(ngx_http_reco_log_t *log)
{
    reco_error_t              error;
    ngx_http_reco_job_t      *job;
    ngx_http_reco_closing_t  *closing, *next;

    job = &log->job;

    if (log->recovery.task.event.active && log->recovery.done) {
        ngx_http_reco_log_recovered(&log->recovery.task.event);
    }

    if (job->task.event.active && job->done) {
        for (closing = job->closing; closing; closing = next) {
            next = closing->next;
            ngx_http_reco_log_closed(log, closing, &job->error);
        }
    }

    job->closing = NULL;

    for (closing = log->closing; closing; closing = next) {
        next = closing->next;
        closing->status = reco_segment_finish(&closing->segment, &error);
        ngx_http_reco_log_closed(log, closing, &error);
    }

    log->closing = NULL;

    ngx_http_reco_log_room_drain(log);
}


void
ngx_http_reco_log_recover(ngx_http_reco_log_t *log)
{
    ngx_thread_task_t  *task;

    task = &log->recovery.task;

    task->ctx = log;
    task->handler = ngx_http_reco_log_recovery;
    task->event.data = log;
    task->event.handler = ngx_http_reco_log_recovered;

    ngx_http_reco_log_post(log, task);
}


/* In a thread; conf is only read. */

static void
ngx_http_reco_log_recovery(void *data, ngx_log_t *unused)
{
    ngx_http_reco_log_t       *log = data;
    ngx_http_reco_recovery_t  *recovery;

    recovery = &log->recovery;

    recovery->status = reco_segment_recover((char *) log->conf->path.data,
                                            &recovery->result,
                                            &recovery->error);

    recovery->done = 1;
}


static void
ngx_http_reco_log_recovered(ngx_event_t *ev)
{
    reco_recovery_t           *result;
    ngx_http_reco_log_t       *log;
    ngx_http_reco_recovery_t  *recovery;

    log = ev->data;
    ev->active = 0;
    recovery = &log->recovery;
    result = &recovery->result;

    if (recovery->status != RECO_OK) {
        ngx_http_reco_log_failed(log, NGX_HTTP_RECO_ERR_LOG_OPEN,
                                 "cannot recover segments", &recovery->error);
    }

    if (result->recovered) {
        ngx_http_reco_count_n(NGX_HTTP_RECO_LOG_RECOVERED, result->recovered);
        ngx_http_reco_count_n(NGX_HTTP_RECO_LOG_TORN, result->torn);

        ngx_log_error(NGX_LOG_NOTICE, log->cycle->log, 0,
                      "reco: recovered %uD segment(s) in \"%V\", cut %uD "
                      "torn tail(s)", result->recovered, &log->conf->path,
                      result->torn);
    }

    ngx_http_reco_log_room_look(log);
}


/* A queue that is full, or no thread pool: the loop has to wait itself. */

void
ngx_http_reco_log_post(ngx_http_reco_log_t *log, ngx_thread_task_t *task)
{
    if (log->thread_pool
        && ngx_thread_task_post(log->thread_pool, task) == NGX_OK)
    {
        return;
    }

    /* Posted, because the caller may be in the middle of a request, and what
     * is told of may end others. */

    task->handler(task->ctx, log->cycle->log);
    task->event.active = 1;
    task->event.log = log->cycle->log;
    ngx_post_event(&task->event, &ngx_posted_events);
}
