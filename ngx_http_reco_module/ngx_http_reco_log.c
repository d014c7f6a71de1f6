/*
 * ngx_http_reco_log.c - the event log of one worker.
 *
 * Records gather in a buffer; a posted event at the end of the event loop's
 * turn writes them with one write() and then answers the requests that wait
 * for them. All that waits for the disk - fdatasync, fsync and rename of a
 * closed segment, recovery of what killed workers left - is done in the thread
 * pool, by at most one job at a time; who comes meanwhile goes with the next.
 *
 *   begin, end -> pending -(write)-> written -> answered
 *                         -(write)-> unsynced -(job)-> syncing -> answered
 *                         -(failed)-> lost -> answered
 *
 * A failure (full disk, folder gone, file-size limit) costs the records of its
 * turn; opening is tried again at most once a second, and a person is told at
 * most once a minute. The writer lives from init_process to the end of the
 * process; none of its memory belongs to a request or to a cycle.
 */

#include "ngx_http_reco_module.h"

#include <ngx_event.h>
#include <ngx_thread_pool.h>

#include <openssl/rand.h>

#if !(NGX_THREADS)
#error "reco needs nginx built --with-threads"
#endif


#define NGX_HTTP_RECO_LOG_BUFFER    65536
#define NGX_HTTP_RECO_LOG_TURN      (1024 * 1024)
#define NGX_HTTP_RECO_LOG_RETRY     1000
#define NGX_HTTP_RECO_LOG_COMPLAIN  60000
#define NGX_HTTP_RECO_LOG_REDRAWS   4


typedef struct ngx_http_reco_closing_s  ngx_http_reco_closing_t;

/* a segment that is complete and waits to be synced and renamed */
struct ngx_http_reco_closing_s {
    ngx_http_reco_closing_t   *next;
    reco_segment_t             segment;
    uint64_t                   empty;          /* size without a record */
    reco_status_t              status;
};


typedef struct {
    ngx_thread_task_t          task;
    ngx_http_reco_closing_t   *closing;
    reco_segment_t             segment;        /* fd: a duplicate, or -1 */
    reco_status_t              status;
    reco_error_t               error;
    ngx_uint_t                 done;           /* written by the thread */
} ngx_http_reco_job_t;


typedef struct {
    ngx_thread_task_t          task;
    reco_recovery_t            result;
    reco_status_t              status;
    reco_error_t               error;
} ngx_http_reco_recovery_t;


typedef struct {
    /* What nginx's debug log takes a timer's data for: keep first. */
    ngx_connection_t           connection;

    ngx_cycle_t               *cycle;
    ngx_http_reco_log_conf_t  *conf;           /* NULL: no reco_log */
    ngx_thread_pool_t         *thread_pool;
    reco_str_t                 node;

    uint32_t                   incarnation;
    uint64_t                   number;         /* of the next segment */
    uint64_t                   seq;            /* of the next record */
    reco_segment_t             segment;
    uint64_t                   empty;          /* its size without a record */

    char                      *buffer;
    size_t                     used;
    size_t                     size;
    ngx_uint_t                 records;        /* in the buffer */

    ngx_queue_t                pending;
    ngx_queue_t                written;
    ngx_queue_t                unsynced;
    ngx_queue_t                syncing;
    ngx_queue_t                lost;

    ngx_event_t                flush;          /* posted */
    ngx_event_t                age;
    ngx_event_t                sync;

    ngx_http_reco_closing_t   *closing;        /* not yet taken by a job */
    ngx_http_reco_job_t        job;
    ngx_http_reco_recovery_t   recovery;

    ngx_msec_t                 failed_at;
    ngx_msec_t                 checked_at;
    ngx_msec_t                 complained_at;
    ngx_uint_t                 nlost;          /* records, since it last went
                                                  well */

    unsigned                   failing:1;
    unsigned                   complained:1;   /* complained_at is set */
    unsigned                   told:1;         /* of this failure */
    unsigned                   dirty:1;        /* written, not synced */
    unsigned                   due:1;          /* the interval is over */
    unsigned                   exiting:1;      /* no jobs any more */
} ngx_http_reco_log_t;


static ngx_int_t ngx_http_reco_log_incarnation(ngx_http_reco_log_t *log);
static ngx_int_t ngx_http_reco_log_watch_reopen(ngx_http_reco_log_t *log);
static ngx_int_t ngx_http_reco_log_open(ngx_http_reco_log_t *log);
static ngx_int_t ngx_http_reco_log_reserve(ngx_http_reco_log_t *log,
    size_t max);
static ngx_int_t ngx_http_reco_log_write(ngx_http_reco_log_t *log);
static ngx_int_t ngx_http_reco_log_append(ngx_http_reco_log_t *log);
static void ngx_http_reco_log_check_link(ngx_http_reco_log_t *log);
static void ngx_http_reco_log_failed(ngx_http_reco_log_t *log,
    ngx_http_reco_counter_e counter, const char *what, reco_error_t *error);
static void ngx_http_reco_log_link(ngx_queue_t *queue,
    ngx_http_reco_wait_t *wait);
static void ngx_http_reco_log_move(ngx_queue_t *to, ngx_queue_t *from);
static void ngx_http_reco_log_answer(ngx_queue_t *queue, ngx_int_t rc);
static void ngx_http_reco_log_close(ngx_http_reco_log_t *log);
static void ngx_http_reco_log_closed(ngx_http_reco_log_t *log,
    ngx_http_reco_closing_t *closing, reco_error_t *error);
static void ngx_http_reco_log_work(ngx_http_reco_log_t *log);
static void ngx_http_reco_log_job(void *data, ngx_log_t *unused);
static void ngx_http_reco_log_job_done(ngx_event_t *ev);
static void ngx_http_reco_log_recover(ngx_http_reco_log_t *log);
static void ngx_http_reco_log_recovery(void *data, ngx_log_t *unused);
static void ngx_http_reco_log_recovered(ngx_event_t *ev);
static void ngx_http_reco_log_post(ngx_http_reco_log_t *log,
    ngx_thread_task_t *task);
static void ngx_http_reco_log_flush_handler(ngx_event_t *ev);
static void ngx_http_reco_log_age_handler(ngx_event_t *ev);
static void ngx_http_reco_log_sync_handler(ngx_event_t *ev);
static void ngx_http_reco_log_reopen_handler(ngx_open_file_t *file,
    ngx_log_t *unused);


static ngx_http_reco_log_t  ngx_http_reco_log;


ngx_int_t
ngx_http_reco_log_init_process(ngx_cycle_t *cycle)
{
    ngx_http_reco_log_t        *log;
    ngx_http_reco_main_conf_t  *mcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    log = &ngx_http_reco_log;
    mcf = ngx_http_reco_worker.conf;

    log->connection.fd = (ngx_socket_t) -1;
    log->cycle = cycle;
    log->conf = mcf->log.path.len ? &mcf->log : NULL;
    log->thread_pool = mcf->thread_pool;
    log->node.data = (char *) mcf->node.data;
    log->node.len = mcf->node.len;
    log->segment.fd = -1;
    log->job.segment.fd = -1;

    ngx_queue_init(&log->pending);
    ngx_queue_init(&log->written);
    ngx_queue_init(&log->unsynced);
    ngx_queue_init(&log->syncing);
    ngx_queue_init(&log->lost);

    log->flush.handler = ngx_http_reco_log_flush_handler;
    log->age.handler = ngx_http_reco_log_age_handler;
    log->sync.handler = ngx_http_reco_log_sync_handler;

    log->flush.data = log->age.data = log->sync.data = log;
    log->flush.log = log->age.log = log->sync.log = cycle->log;
    log->age.cancelable = log->sync.cancelable = 1;

    if (ngx_http_reco_log_incarnation(log) != NGX_OK) {
        return NGX_ERROR;
    }

    if (log->conf == NULL) {
        return NGX_OK;
    }

    /* at a file-size limit write() is to fail, not to kill */
    (void) signal(SIGXFSZ, SIG_IGN);

    if (ngx_http_reco_log_watch_reopen(log) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_reco_log_recover(log);

    /* without success too: it is tried again when there is a record */
    (void) ngx_http_reco_log_open(log);

    if (log->conf->sync != NGX_HTTP_RECO_SYNC_OFF
        && log->conf->sync != NGX_HTTP_RECO_SYNC_ALWAYS)
    {
        ngx_add_timer(&log->sync, log->conf->sync);
    }

    return NGX_OK;
}


/*
 * The thread pool's own exit handler ran before this one (core modules come
 * first): no thread works any more, but what the last job did was perhaps not
 * taken notice of.
 */

void
ngx_http_reco_log_exit_process(ngx_cycle_t *cycle)
{
    reco_error_t              error;
    ngx_http_reco_job_t      *job;
    ngx_http_reco_log_t      *log;
    ngx_http_reco_closing_t  *closing, *next;

    log = &ngx_http_reco_log;

    if (log->conf == NULL) {
        return;
    }

    log->exiting = 1;

    (void) ngx_http_reco_log_write(log);
    ngx_http_reco_log_close(log);

    job = &log->job;

    if (job->task.event.active && job->done) {
        job->task.event.active = 0;

        for (closing = job->closing; closing; closing = next) {
            next = closing->next;
            ngx_http_reco_log_closed(log, closing, &job->error);
        }
    }

    for (closing = log->closing; closing; closing = next) {
        next = closing->next;
        closing->status = reco_segment_finish(&closing->segment, &error);
        ngx_http_reco_log_closed(log, closing, &error);
    }

    log->closing = NULL;
    log->conf = NULL;
}


ngx_int_t
ngx_http_reco_log_begin(size_t max, reco_buf_t *buf, uint64_t *seq)
{
    ngx_int_t             rc;
    ngx_http_reco_log_t  *log;

    log = &ngx_http_reco_log;

    if (log->conf == NULL) {
        *seq = log->seq++;
        return NGX_DECLINED;
    }

    rc = ngx_http_reco_log_open(log);

    if (rc == NGX_OK) {
        rc = ngx_http_reco_log_reserve(log, max);
    }

    *seq = log->seq++;

    if (rc != NGX_OK) {
        log->nlost++;
        return NGX_ERROR;
    }

    reco_buf_init(buf, log->buffer + log->used, max);

    return NGX_OK;
}


ngx_int_t
ngx_http_reco_log_end(reco_buf_t *buf, ngx_http_reco_wait_t *wait)
{
    reco_error_t          error;
    ngx_http_reco_log_t  *log;

    log = &ngx_http_reco_log;

    if (buf->overflow) {
        reco_error_set(&error, RECO_LIMIT, "", "record is too long");
        log->nlost++;
        ngx_http_reco_log_failed(log, NGX_HTTP_RECO_ERR_LOG_WRITE,
                                 "a record was dropped", &error);

        if (wait) {
            ngx_http_reco_log_skip(wait);
        }

        return NGX_ERROR;
    }

    log->used += reco_buf_len(buf);
    log->records++;

    if (wait == NULL) {
        return ngx_http_reco_log_write(log);
    }

    ngx_http_reco_log_link(&log->pending, wait);
    ngx_post_event(&log->flush, &ngx_posted_events);

    return NGX_OK;
}


void
ngx_http_reco_log_skip(ngx_http_reco_wait_t *wait)
{
    ngx_http_reco_log_t  *log;

    log = &ngx_http_reco_log;

    ngx_http_reco_log_link(&log->lost, wait);
    ngx_post_event(&log->flush, &ngx_posted_events);
}


void
ngx_http_reco_log_forget(ngx_http_reco_wait_t *wait)
{
    if (wait->linked) {
        ngx_queue_remove(&wait->queue);
        wait->linked = 0;
    }
}


/* Draws the incarnation anew; what counts by incarnation begins again. */

static ngx_int_t
ngx_http_reco_log_incarnation(ngx_http_reco_log_t *log)
{
    if (RAND_bytes((u_char *) &log->incarnation, sizeof(uint32_t)) != 1) {
        ngx_log_error(NGX_LOG_EMERG, log->cycle->log, 0,
                      "reco: no random numbers for this worker's incarnation");
        return NGX_ERROR;
    }

    log->number = 0;
    log->seq = 1;

    reco_id_source_init(&ngx_http_reco_worker.ids, log->node,
                        log->incarnation);

    return NGX_OK;
}


/*
 * nginx tells of USR1 only through files that it reopens itself: its "flush"
 * is called, then the file is opened again by its name. So a file that can
 * always be opened is entered into this worker's copy of the list. (Not into
 * the master's, which gives reopened files to the workers' user.)
 */

static ngx_int_t
ngx_http_reco_log_watch_reopen(ngx_http_reco_log_t *log)
{
    ngx_open_file_t  *file;

    file = ngx_list_push(&log->cycle->open_files);
    if (file == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(file, sizeof(ngx_open_file_t));

    file->fd = ngx_open_file("/dev/null", NGX_FILE_APPEND, NGX_FILE_OPEN, 0);

    if (file->fd == NGX_INVALID_FILE) {
        /* an unnamed file is left alone: no segment is closed by USR1 */
        ngx_log_error(NGX_LOG_ERR, log->cycle->log, ngx_errno,
                      "reco: cannot open '/dev/null'");
        return NGX_OK;
    }

    ngx_str_set(&file->name, "/dev/null");
    file->flush = ngx_http_reco_log_reopen_handler;
    file->data = log;

    return NGX_OK;
}


static ngx_int_t
ngx_http_reco_log_open(ngx_http_reco_log_t *log)
{
    ngx_uint_t      i;
    reco_error_t    error;
    reco_status_t   status;

    if (log->segment.fd != -1) {
        return NGX_OK;
    }

    if (log->failing
        && ngx_current_msec - log->failed_at < NGX_HTTP_RECO_LOG_RETRY)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < NGX_HTTP_RECO_LOG_REDRAWS; i++) {
        status = reco_segment_open(&log->segment,
                                   (char *) log->conf->path.data, log->node,
                                   log->incarnation, log->number,
                                   ngx_http_reco_time_ms(), &error);

        /* the name is taken: by a worker that drew the same number */

        if (status != RECO_INVALID
            || ngx_http_reco_log_incarnation(log) != NGX_OK)
        {
            break;
        }
    }

    if (status != RECO_OK) {
        log->segment.fd = -1;
        log->failing = 1;
        log->failed_at = ngx_current_msec;
        ngx_http_reco_log_failed(log, NGX_HTTP_RECO_ERR_LOG_OPEN,
                                 "cannot open a segment", &error);
        return NGX_ERROR;
    }

    log->number++;
    log->empty = log->segment.size;
    log->checked_at = ngx_current_msec;

    if (log->conf->age && log->conf->age != NGX_CONF_UNSET_MSEC) {
        ngx_add_timer(&log->age, log->conf->age);
    }

    return NGX_OK;
}


/* Room for one more record. A turn that brings very many is written in
 * parts. */

static ngx_int_t
ngx_http_reco_log_reserve(ngx_http_reco_log_t *log, size_t max)
{
    char    *p;
    size_t   size;

    if (log->used && log->used + max > NGX_HTTP_RECO_LOG_TURN) {
        (void) ngx_http_reco_log_write(log);

        if (ngx_http_reco_log_open(log) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (log->used + max <= log->size) {
        return NGX_OK;
    }

    size = ngx_max(log->size * 2, NGX_HTTP_RECO_LOG_BUFFER);
    size = ngx_max(size, log->used + max);

    p = realloc(log->buffer, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    log->buffer = p;
    log->size = size;

    return NGX_OK;
}


/* Writes what is in the buffer, and sorts those who wait for it. */

static ngx_int_t
ngx_http_reco_log_write(ngx_http_reco_log_t *log)
{
    ngx_int_t  rc;

    if (log->used == 0) {
        return NGX_OK;
    }

    rc = ngx_http_reco_log_append(log);

    if (rc == NGX_OK) {
        ngx_http_reco_count(NGX_HTTP_RECO_LOG_WRITES);
        ngx_http_reco_count_n(NGX_HTTP_RECO_LOG_BYTES, log->used);

        log->dirty = 1;

        ngx_http_reco_log_move(log->conf->sync == NGX_HTTP_RECO_SYNC_ALWAYS
                               ? &log->unsynced : &log->written,
                               &log->pending);

    } else {
        log->nlost += log->records;
        ngx_http_reco_log_move(&log->lost, &log->pending);
    }

    log->used = 0;
    log->records = 0;

    if (log->segment.fd != -1
        && log->segment.size >= (uint64_t) log->conf->segment)
    {
        ngx_http_reco_log_close(log);
    }

    ngx_http_reco_log_work(log);

    return rc;
}


/*
 * A write that fails is tried once more with a new segment: that heals a
 * file-size limit and a file that was removed without the loss of a record.
 */

static ngx_int_t
ngx_http_reco_log_append(ngx_http_reco_log_t *log)
{
    ngx_uint_t     i;
    reco_error_t   error;

    ngx_http_reco_log_check_link(log);

    for (i = 0; i < 2; i++) {

        if (ngx_http_reco_log_open(log) != NGX_OK) {
            return NGX_ERROR;
        }

        if (reco_segment_append(&log->segment, log->buffer, log->used, &error)
            == RECO_OK)
        {
            if (log->failing) {
                log->failing = 0;

                if (log->told) {
                    log->told = 0;
                    ngx_log_error(NGX_LOG_NOTICE, log->cycle->log, 0,
                                  "reco: event log is written again, %ui "
                                  "records were lost", log->nlost);
                }

                log->nlost = 0;
            }

            return NGX_OK;
        }

        ngx_http_reco_log_failed(log, NGX_HTTP_RECO_ERR_LOG_WRITE,
                                 "cannot write", &error);
        ngx_http_reco_log_close(log);
    }

    log->failing = 1;
    log->failed_at = ngx_current_msec;

    return NGX_ERROR;
}


static void
ngx_http_reco_log_check_link(ngx_http_reco_log_t *log)
{
    reco_error_t  error;

    if (log->segment.fd == -1
        || ngx_current_msec - log->checked_at < NGX_HTTP_RECO_LOG_RETRY)
    {
        return;
    }

    log->checked_at = ngx_current_msec;

    if (reco_segment_is_linked(&log->segment)) {
        return;
    }

    reco_error_set(&error, RECO_IO, "", "'%s' was removed",
                   log->segment.name);
    ngx_http_reco_log_failed(log, NGX_HTTP_RECO_ERR_LOG_WRITE, "cannot write",
                             &error);

    (void) close(log->segment.fd);
    log->segment.fd = -1;
    ngx_http_reco_log_close(log);
}


/* Counts every failure, tells of one a minute. */

static void
ngx_http_reco_log_failed(ngx_http_reco_log_t *log,
    ngx_http_reco_counter_e counter, const char *what, reco_error_t *error)
{
    ngx_http_reco_count(counter);

    if (log->complained
        && ngx_current_msec - log->complained_at < NGX_HTTP_RECO_LOG_COMPLAIN)
    {
        return;
    }

    ngx_log_error(NGX_LOG_CRIT, log->cycle->log, 0,
                  "reco: event log in \"%V\": %s: %s; %ui records lost so far",
                  &log->conf->path, what, error->message, log->nlost);

    log->complained = 1;
    log->complained_at = ngx_current_msec;
    log->told = 1;
}


static void
ngx_http_reco_log_link(ngx_queue_t *queue, ngx_http_reco_wait_t *wait)
{
    ngx_queue_insert_tail(queue, &wait->queue);
    wait->linked = 1;
}


static void
ngx_http_reco_log_move(ngx_queue_t *to, ngx_queue_t *from)
{
    if (!ngx_queue_empty(from)) {
        ngx_queue_add(to, from);
        ngx_queue_init(from);
    }
}


/* A handler may forget others that wait, and may write records of its own:
 * those come to another queue. */

static void
ngx_http_reco_log_answer(ngx_queue_t *queue, ngx_int_t rc)
{
    ngx_queue_t            now, *q;
    ngx_http_reco_wait_t  *wait;

    ngx_queue_init(&now);
    ngx_http_reco_log_move(&now, queue);

    while (!ngx_queue_empty(&now)) {
        q = ngx_queue_head(&now);
        wait = ngx_queue_data(q, ngx_http_reco_wait_t, queue);

        ngx_http_reco_log_forget(wait);
        wait->handler(wait, rc);
    }
}


/*
 * Hands the segment to the next job; the next record opens another one. A
 * segment that is gone (its descriptor is closed) takes those along who wait
 * for it to be synced.
 */

static void
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
            ngx_http_reco_log_move(&log->lost, &log->unsynced);
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
        ngx_http_reco_log_failed(log, NGX_HTTP_RECO_ERR_LOG_SYNC,
                                 "cannot close a segment", &error);
        ngx_http_reco_log_close(log);
        return;
    }

    closing->segment = log->segment;
    closing->empty = log->empty;
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
        ngx_http_reco_log_failed(log, NGX_HTTP_RECO_ERR_LOG_SYNC,
                                 "cannot close a segment", error);

    } else if (closing->segment.size > closing->empty) {
        ngx_http_reco_count(NGX_HTTP_RECO_LOG_SEGMENTS);
    }

    free(closing);
}


/* Starts a job where there is something to do and none is under way. */

static void
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

        /* After a failed sync the kernel may have dropped the pages: what
         * comes next goes to another file. */
        ngx_http_reco_log_close(log);
    }

    ngx_http_reco_log_answer(&log->syncing, rc);
    ngx_http_reco_log_work(log);
}


static void
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
}


static void
ngx_http_reco_log_recovered(ngx_event_t *ev)
{
    reco_recovery_t           *result;
    ngx_http_reco_log_t       *log;
    ngx_http_reco_recovery_t  *recovery;

    log = ev->data;
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
                      "reco: recovered %uD segments in \"%V\", cut %uD torn "
                      "tails", result->recovered, &log->conf->path,
                      result->torn);
    }
}


/* A queue that is full, or no thread pool: the loop has to wait itself. */

static void
ngx_http_reco_log_post(ngx_http_reco_log_t *log, ngx_thread_task_t *task)
{
    if (log->thread_pool
        && ngx_thread_task_post(log->thread_pool, task) == NGX_OK)
    {
        return;
    }

    task->handler(task->ctx, log->cycle->log);
    task->event.handler(&task->event);
}


static void
ngx_http_reco_log_flush_handler(ngx_event_t *ev)
{
    ngx_http_reco_log_t  *log;

    log = ev->data;

    if (log->conf) {
        (void) ngx_http_reco_log_write(log);
    }

    ngx_http_reco_log_answer(&log->written, NGX_OK);
    ngx_http_reco_log_answer(&log->lost,
                             log->conf ? NGX_ERROR : NGX_DECLINED);
}


static void
ngx_http_reco_log_age_handler(ngx_event_t *ev)
{
    ngx_http_reco_log_t  *log;

    log = ev->data;

    (void) ngx_http_reco_log_write(log);

    if (log->segment.fd == -1) {
        return;
    }

    if (log->segment.size == log->empty) {
        ngx_add_timer(ev, log->conf->age);
        return;
    }

    ngx_http_reco_log_close(log);
    ngx_http_reco_log_work(log);
}


static void
ngx_http_reco_log_sync_handler(ngx_event_t *ev)
{
    ngx_http_reco_log_t  *log;

    log = ev->data;

    if (log->dirty) {
        log->due = 1;
        ngx_http_reco_log_work(log);
    }

    ngx_add_timer(ev, log->conf->sync);
}


static void
ngx_http_reco_log_reopen_handler(ngx_open_file_t *file, ngx_log_t *unused)
{
    ngx_http_reco_log_t  *log;

    log = file->data;

    (void) ngx_http_reco_log_write(log);
    ngx_http_reco_log_close(log);
    ngx_http_reco_log_work(log);
}
