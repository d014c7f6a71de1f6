/*
 * ngx_http_reco_log.c - the event log of one worker.
 *
 * Records gather in a buffer; a posted event at the end of the event loop's
 * turn writes them with one write() and then answers the requests that wait
 * for them; with sync=always it is the job that syncs them that does.
 *
 *   begin, end -> pending -(write)-> written -> answered
 *                         -(write)-> unsynced -(job)-> syncing -> answered
 *                         -(failed)-> failed -> answered
 *
 * A failure (full disk, folder gone, file-size limit) costs the records of its
 * turn, which are noted when the log is written again; opening is tried again
 * at most once a second, and a person is told at most once a minute of one
 * cause.
 */

#include "ngx_http_reco_log.h"

#include <openssl/rand.h>


#define NGX_HTTP_RECO_LOG_BUFFER    65536
#define NGX_HTTP_RECO_LOG_TURN      (1024 * 1024)
#define NGX_HTTP_RECO_LOG_RETRY     1000
#define NGX_HTTP_RECO_LOG_REDRAWS   4


static ngx_int_t ngx_http_reco_log_incarnation(ngx_http_reco_log_t *log);
static ngx_int_t ngx_http_reco_log_watch_reopen(ngx_http_reco_log_t *log);
static ngx_int_t ngx_http_reco_log_open(ngx_http_reco_log_t *log);
static ngx_int_t ngx_http_reco_log_reserve(ngx_http_reco_log_t *log,
    size_t max);
static ngx_int_t ngx_http_reco_log_write(ngx_http_reco_log_t *log);
static ngx_int_t ngx_http_reco_log_append(ngx_http_reco_log_t *log);
static ngx_int_t ngx_http_reco_log_try(ngx_http_reco_log_t *log);
static void ngx_http_reco_log_mark(ngx_http_reco_log_t *log);
static void ngx_http_reco_log_beside(ngx_http_reco_log_t *log);
static void ngx_http_reco_log_check_link(ngx_http_reco_log_t *log);
static void ngx_http_reco_log_link(ngx_queue_t *queue,
    ngx_http_reco_wait_t *wait);
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
    ngx_queue_init(&log->failed);

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

    ngx_http_reco_log_boot(log);

    /* at a file-size limit write() is to fail, not to kill */
    (void) signal(SIGXFSZ, SIG_IGN);

    if (ngx_http_reco_log_watch_reopen(log) != NGX_OK) {
        return NGX_ERROR;
    }

    if (mcf->beside || mcf->zone == NULL) {
        ngx_http_reco_log_beside(log);
    }

    ngx_http_reco_log_room_init(log);
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


void
ngx_http_reco_log_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_reco_log_t  *log;

    log = &ngx_http_reco_log;

    if (log->conf == NULL) {
        return;
    }

    log->exiting = 1;

    (void) ngx_http_reco_log_write(log);

    /* the last that can be said of it */
    if (log->lost.to
        && ngx_http_reco_log_open(log) == NGX_OK
        && ngx_http_reco_log_reserve(log, RECO_EVENT_LOST_BOUND) == NGX_OK)
    {
        ngx_http_reco_log_note(log);
        (void) ngx_http_reco_log_write(log);
    }

    ngx_http_reco_log_close(log);

    ngx_http_reco_log_drain(log);

    free(log->buffer);
    log->buffer = NULL;
    log->size = 0;

    log->conf = NULL;
}


ngx_int_t
ngx_http_reco_log_begin(reco_event_type_t type, size_t max, reco_buf_t *buf,
    uint64_t *seq)
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
        rc = ngx_http_reco_log_reserve(log, RECO_EVENT_LOST_BOUND + max);
    }

    if (rc == NGX_OK) {
        ngx_http_reco_log_note(log);
    }

    *seq = log->seq++;
    log->begun = type;

    if (rc != NGX_OK) {
        log->nlost++;
        ngx_http_reco_lost_add(&log->lost, *seq, type);
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

    /* The bounds have room for all that can be logged (t/unit/event_t.c,
     * fuzz/fuzz_event.c): no test comes here. */

    if (buf->overflow) {
        reco_error_set(&error, RECO_LIMIT, "", "record is too long");
        log->nlost++;
        ngx_http_reco_lost_add(&log->lost, log->seq - 1, log->begun);
        ngx_http_reco_log_failed(log, NGX_HTTP_RECO_ERR_LOG_WRITE,
                                 "a record was dropped", &error);

        if (wait) {
            ngx_http_reco_log_skip(wait);
        }

        return NGX_ERROR;
    }

    log->used += reco_buf_len(buf);
    log->records++;
    ngx_http_reco_lost_add(&log->buffered, log->seq - 1, log->begun);

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

    ngx_http_reco_log_link(&log->failed, wait);
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


/* Tries what a record would try: a segment that is open and still has its
 * name, or one that can be opened now. */

ngx_uint_t
ngx_http_reco_log_is_up(void)
{
    ngx_http_reco_log_t  *log;

    log = &ngx_http_reco_log;

    if (log->conf == NULL) {
        return 0;
    }

    ngx_http_reco_log_check_link(log);

    return ngx_http_reco_log_open(log) == NGX_OK;
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
    reco_clock_t    clock;
    reco_error_t    error;
    reco_status_t   status;

    if (log->segment.fd != -1) {
        return NGX_OK;
    }

    if (log->failing && !log->exiting
        && ngx_current_msec - log->failed_at < NGX_HTTP_RECO_LOG_RETRY)
    {
        return NGX_ERROR;
    }

    if (ngx_http_reco_log_room_take_header(log) != NGX_OK) {
        return NGX_ERROR;
    }

    clock = ngx_http_reco_log_clock(log);

    for (i = 0; i < NGX_HTTP_RECO_LOG_REDRAWS; i++) {
        status = reco_segment_open(&log->segment,
                                   (char *) log->conf->path.data, log->node,
                                   log->incarnation, log->number,
                                   ngx_http_reco_time_ms(), &clock, &error);

        if (status != RECO_INVALID) {
            break;
        }

        /* The name is taken: by a worker that drew the same number. Records
         * that wait in the buffer bear ours already, and of what was lost
         * only ours can tell: with them only the segment's number can
         * change. */

        if (log->used || log->lost.to) {
            log->number++;

        } else if (ngx_http_reco_log_incarnation(log) != NGX_OK) {
            break;
        }
    }

    ngx_http_reco_log_room_free(log, RECO_EVENT_HEADER_BYTES);

    if (status != RECO_OK) {
        log->segment.fd = -1;
        log->failing = 1;
        log->failed_at = ngx_current_msec;
        ngx_http_reco_log_failed(log, NGX_HTTP_RECO_ERR_LOG_OPEN,
                                 "cannot open a segment", &error);
        return NGX_ERROR;
    }

    log->number++;
    log->marked = 0;
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
    char          *p;
    size_t         size;
    reco_error_t   error;

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
        reco_error_set(&error, RECO_NO_MEMORY, "", "out of memory");
        ngx_http_reco_log_failed(log, NGX_HTTP_RECO_ERR_LOG_WRITE,
                                 "a record was dropped", &error);
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

    ngx_http_reco_log_check_clock(log);

    rc = ngx_http_reco_log_append(log);

    if (rc == NGX_ERROR) {
        ngx_http_reco_lost_move(&log->lost, &log->buffered);
    }

    ngx_memzero(&log->buffered, sizeof(reco_lost_t));

    if (rc == NGX_OK) {
        ngx_http_reco_count(NGX_HTTP_RECO_LOG_WRITES);
        ngx_http_reco_count_n(NGX_HTTP_RECO_LOG_BYTES, log->used);

        log->dirty = 1;

        ngx_http_reco_log_move(log->conf->sync == NGX_HTTP_RECO_SYNC_ALWAYS
                               ? &log->unsynced : &log->written,
                               &log->pending);

    } else {
        rc = NGX_ERROR;
        log->nlost += log->records;
        ngx_http_reco_log_move(&log->failed, &log->pending);
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


static ngx_int_t
ngx_http_reco_log_append(ngx_http_reco_log_t *log)
{
    ngx_int_t  rc;

    ngx_http_reco_log_check_link(log);

    if (ngx_http_reco_log_open(log) != NGX_OK
        || ngx_http_reco_log_room_take(log, log->used, 0) != NGX_OK)
    {
        return NGX_ERROR;
    }

    rc = ngx_http_reco_log_try(log);

    ngx_http_reco_log_room_free(log, log->used);

    return rc;
}


/*
 * A write that fails is tried once more with a new segment: that heals a
 * file-size limit and a file that was removed without the loss of a record.
 * NGX_ERROR: no record is in the log; NGX_ABORT: nobody can say that, because
 * a segment could not be cut back. Its records are not tried again, lest they
 * are there twice, and no note tells of them.
 */

static ngx_int_t
ngx_http_reco_log_try(ngx_http_reco_log_t *log)
{
    ngx_int_t      rc;
    ngx_uint_t     i;
    reco_error_t   error;

    rc = NGX_ERROR;

    for (i = 0; i < 2; i++) {

        if (ngx_http_reco_log_open(log) != NGX_OK) {
            return NGX_ERROR;
        }

        if (reco_segment_append(&log->segment, log->buffer, log->used, &error)
            == RECO_OK)
        {
            if (!log->marked) {
                ngx_http_reco_log_mark(log);
            }

            log->refused = 0;

            if (log->failing) {
                log->failing = 0;

                if (log->told) {
                    log->told = 0;
                    ngx_log_error(NGX_LOG_NOTICE, log->cycle->log, 0,
                                  "reco: event log is written again, %ui "
                                  "record(s) were not written", log->nlost);
                }

                log->nlost = 0;
            }

            return NGX_OK;
        }

        ngx_http_reco_log_failed(log, NGX_HTTP_RECO_ERR_LOG_WRITE,
                                 "cannot write", &error);

        rc = log->segment.uncut ? NGX_ABORT : NGX_ERROR;
        ngx_http_reco_log_close(log);

        if (rc == NGX_ABORT) {
            break;
        }
    }

    log->failing = 1;
    log->failed_at = ngx_current_msec;

    return rc;
}


/* What stays in the folder when its segments are shipped away: it has a past,
 * and a new zone must not take it for new. */

static void
ngx_http_reco_log_mark(ngx_http_reco_log_t *log)
{
    u_char    path[NGX_MAX_PATH];
    ngx_fd_t  fd;

    log->marked = 1;

    (void) ngx_sprintf(path, "%V/" RECO_LOG_MARK "%Z",
                       &log->conf->path);

    fd = open((char *) path, O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0640);

    if (fd != NGX_INVALID_FILE) {
        (void) ngx_close_file(fd);

    } else if (ngx_errno != NGX_EEXIST) {
        ngx_log_error(NGX_LOG_ERR, log->cycle->log, ngx_errno,
                      "reco: cannot create \"%s\"", path);
    }
}


/* Another zone's workers may live, whose zone will not have what this worker
 * decides: a mark that grew tells them (ngx_http_reco_last.c). No byte is
 * written, so that a full disk does not matter. */

static void
ngx_http_reco_log_beside(ngx_http_reco_log_t *log)
{
    u_char       path[NGX_MAX_PATH];
    ngx_fd_t     fd;
    struct stat  st;

    (void) ngx_sprintf(path, "%V/" RECO_LOG_MARK "%Z", &log->conf->path);

    fd = open((char *) path, O_WRONLY|O_CREAT|O_NOFOLLOW|O_NONBLOCK|O_CLOEXEC,
              0640);

    if (fd == NGX_INVALID_FILE
        || fstat(fd, &st) == -1
        || ftruncate(fd, st.st_size + 1) == -1)
    {
        ngx_log_error(NGX_LOG_ERR, log->cycle->log, ngx_errno,
                      "reco: cannot mark \"%s\"", path);
    }

    if (fd != NGX_INVALID_FILE) {
        (void) ngx_close_file(fd);
    }
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

    reco_error_set(&error, RECO_IO, "", "'%s': file was removed",
                   log->segment.name);
    ngx_http_reco_log_failed(log, NGX_HTTP_RECO_ERR_LOG_WRITE, "cannot write",
                             &error);

    (void) close(log->segment.fd);
    log->segment.fd = -1;
    ngx_http_reco_log_close(log);
}


static void
ngx_http_reco_log_link(ngx_queue_t *queue, ngx_http_reco_wait_t *wait)
{
    ngx_queue_insert_tail(queue, &wait->queue);
    wait->linked = 1;
}


void
ngx_http_reco_log_move(ngx_queue_t *to, ngx_queue_t *from)
{
    if (!ngx_queue_empty(from)) {
        ngx_queue_add(to, from);
        ngx_queue_init(from);
    }
}


/* A handler may forget others that wait, and may write records of its own:
 * those come to another queue. */

void
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


static void
ngx_http_reco_log_flush_handler(ngx_event_t *ev)
{
    ngx_http_reco_log_t  *log;

    log = ev->data;

    if (log->conf) {
        (void) ngx_http_reco_log_write(log);
    }

    ngx_http_reco_log_answer(&log->written, NGX_OK);
    ngx_http_reco_log_answer(&log->failed,
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

    if (log->segment.size == log->segment.header) {
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
