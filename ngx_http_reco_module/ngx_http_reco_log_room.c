/*
 * ngx_http_reco_log_room.c - keep=, max= and full= of reco_log.
 *
 * The zone has the bytes of the node's segments in the folder. A worker adds
 * what it is about to write before it writes; with full=stop, a write that
 * would pass max fails instead. Nobody takes anything from the count but a
 * look: in a thread (and in the master, at a reload), under the lock of the
 * folder's mark, so that there is one at a time, it removes what is to go, and
 * sets the count right by the difference to what there is. What is being
 * written meanwhile is counted twice, until the next look, and never not at
 * all.
 */

#include "ngx_http_reco_log.h"
#include "ngx_http_reco_zone.h"


#define NGX_HTTP_RECO_LOG_LOOK       10000
#define NGX_HTTP_RECO_LOG_LOOK_SOON  1000
#define NGX_HTTP_RECO_LOG_OVER       5000


/* How long ago; another worker's time may be a little ahead of ours. */
#define ngx_http_reco_log_ago(since)                                          \
    ((ngx_msec_int_t) (ngx_current_msec - (since)))


static void ngx_http_reco_log_room_full(ngx_http_reco_log_t *log);
static void ngx_http_reco_log_room_others(ngx_http_reco_log_t *log);
static void ngx_http_reco_log_room_soon(ngx_http_reco_log_t *log);
static void ngx_http_reco_log_room_task(void *data, ngx_log_t *unused);
static reco_status_t ngx_http_reco_log_room_lock(ngx_http_reco_look_t *look,
    int *lock);
static void ngx_http_reco_log_room_done(ngx_event_t *ev);
static void ngx_http_reco_log_room_barred(ngx_http_reco_log_t *log);
static void ngx_http_reco_log_room_over(ngx_http_reco_log_t *log);
static void ngx_http_reco_log_room_tell(ngx_http_reco_log_t *log);
static void ngx_http_reco_log_room_handler(ngx_event_t *ev);


void
ngx_http_reco_log_room_init(ngx_http_reco_log_t *log)
{
    ngx_http_reco_look_t  *look;

    log->room = log->conf->room;
    look = &log->look;

    if (log->room) {
        look->writing = ngx_http_reco_zone()->writing;

        /* of a worker that was killed */
        __atomic_store_n(&look->writing[ngx_process_slot], 0,
                         __ATOMIC_SEQ_CST);
    }

    look->timer.handler = ngx_http_reco_log_room_handler;
    look->timer.data = log;
    look->timer.log = log->cycle->log;
    look->timer.cancelable = 1;

    look->want.dir = (char *) log->conf->path.data;
    look->want.node = log->node;

    if (log->has_boot) {
        look->want.boot.data = log->boot;
        look->want.boot.len = sizeof(log->boot);
    }

    if (log->conf->drop) {
        look->want.max = log->conf->max;
        look->want.drop_to = log->conf->max - log->conf->segment;
    }
}


/*
 * 'writing' is set before the count and cleared after the write: a look that
 * finds bytes in the count finds them either there, or in the file.
 */

ngx_int_t
ngx_http_reco_log_room_take(ngx_http_reco_log_t *log, size_t len, size_t spare)
{
    ngx_atomic_t       *writing;
    ngx_atomic_uint_t   bytes, max;

    if (log->room == NULL) {
        return NGX_OK;
    }

    writing = &log->look.writing[ngx_process_slot];
    __atomic_store_n(writing, *writing + len, __ATOMIC_SEQ_CST);

    do {
        bytes = log->room->bytes;
        max = log->room->max;

        if (max && bytes + len + spare > max) {
            ngx_http_reco_log_room_free(log, len);
            log->refused = ngx_max(log->refused, len);
            ngx_http_reco_log_room_full(log);
            return NGX_ERROR;
        }

    } while (!ngx_atomic_cmp_set(&log->room->bytes, bytes, bytes + len));

    max = log->conf->max;

    if (max && bytes <= max && bytes + len > max) {
        ngx_http_reco_log_room_look(log);
    }

    return NGX_OK;
}


void
ngx_http_reco_log_room_free(ngx_http_reco_log_t *log, size_t len)
{
    ngx_atomic_t  *writing;

    if (log->room) {
        writing = &log->look.writing[ngx_process_slot];
        __atomic_store_n(writing, *writing - len, __ATOMIC_SEQ_CST);
    }
}


/* A segment's header, and behind it what did not fit the last time: so that
 * not each try leaves an empty segment. */

ngx_int_t
ngx_http_reco_log_room_take_header(ngx_http_reco_log_t *log)
{
    if (log->room == NULL) {
        return NGX_OK;
    }

    return ngx_http_reco_log_room_take(log, RECO_EVENT_HEADER_BYTES,
                                       ngx_min(log->refused,
                                               (size_t) log->room->max / 4));
}


/* Closes the segment, so that it can be taken away. (Where there is none, to
 * close would fail those who wait for the last one's sync.) */

static void
ngx_http_reco_log_room_full(ngx_http_reco_log_t *log)
{
    reco_error_t  error;

    reco_error_set(&error, RECO_LIMIT, "",
                   "its segments take %llu bytes of max=%llu: log is full",
                   (unsigned long long) log->room->bytes,
                   (unsigned long long) log->room->max);

    ngx_http_reco_log_failed(log, NGX_HTTP_RECO_ERR_LOG_FULL, "cannot write",
                             &error);

    if (log->segment.fd != -1) {
        ngx_http_reco_log_close(log);
    }

    log->failing = 1;
    log->failed_at = ngx_current_msec;
    log->room->refused = ngx_current_msec | 1;

    ngx_http_reco_log_room_soon(log);
}


/* Records of this worker may take the room that another one has none of, and
 * while there come no more of them nothing else closes their segment. */

static void
ngx_http_reco_log_room_others(ngx_http_reco_log_t *log)
{
    ngx_msec_t  refused;

    refused = log->room ? log->room->refused : 0;

    if (refused == 0
        || ngx_http_reco_log_ago(refused) >= 2 * NGX_HTTP_RECO_LOG_LOOK
        || log->segment.fd == -1
        || log->segment.size == log->segment.header)
    {
        return;
    }

    ngx_http_reco_log_close(log);
    ngx_http_reco_log_work(log);
}


void
ngx_http_reco_log_room_closed(ngx_http_reco_log_t *log)
{
    if (log->room && log->conf->drop
        && log->room->bytes > (ngx_atomic_uint_t) log->conf->max)
    {
        ngx_http_reco_log_room_look(log);
    }
}


void
ngx_http_reco_log_room_look(ngx_http_reco_log_t *log)
{
    uint64_t               now;
    ngx_msec_t             since;
    ngx_http_reco_look_t  *look;

    look = &log->look;

    /* when a worker is to go, those of the new configuration look */

    if ((log->conf->keep == 0 && log->conf->max == 0)
        || look->task.event.active || log->exiting || ngx_exiting)
    {
        return;
    }

    if (look->timer.timer_set) {
        ngx_del_timer(&look->timer);
    }

    look->soon = 0;
    look->done = 0;
    look->full = (log->refused != 0);

    if (log->conf->keep) {
        now = ngx_http_reco_time_ms();
        look->want.before_ms = now - ngx_min(now, log->conf->keep);
        look->want.since_ms = (int64_t) ngx_current_msec
                              - (int64_t) log->conf->keep;
    }

    if (log->room) {
        log->room->looked = ngx_current_msec;
        since = log->room->over_since;
        look->want.force = since && ngx_http_reco_log_ago(since)
                                    > NGX_HTTP_RECO_LOG_LOOK;
    }

    look->task.ctx = log;
    look->task.handler = ngx_http_reco_log_room_task;
    look->task.event.data = log;
    look->task.event.handler = ngx_http_reco_log_room_done;

    ngx_http_reco_log_post(log, &look->task);
}


static void
ngx_http_reco_log_room_soon(ngx_http_reco_log_t *log)
{
    ngx_http_reco_look_t  *look;

    look = &log->look;

    if (!look->soon && !look->task.event.active && !ngx_exiting) {
        look->soon = 1;
        ngx_add_timer(&look->timer, NGX_HTTP_RECO_LOG_LOOK_SOON);
    }
}


/* In a thread: knows the look, the room and the folder, of which only
 * 'writing' and the room change. */

static void
ngx_http_reco_log_room_task(void *data, ngx_log_t *unused)
{
    int                    lock;
    ngx_http_reco_log_t   *log = data;
    ngx_http_reco_look_t  *look;

    look = &log->look;

    look->status = ngx_http_reco_log_room_lock(look, &lock);

    if (lock != -1) {
        look->status = ngx_http_reco_room_look(log->room, look->writing,
                                               &look->want, &look->left,
                                               &look->error);
        (void) close(lock);
    }

    look->done = 1;
}


/* What is written meanwhile is in the file or in 'writing' where it was in the
 * count before, and is added to the count where it was not. */

reco_status_t
ngx_http_reco_room_look(ngx_http_reco_room_t *room, ngx_atomic_t *writing,
    const reco_retain_t *want, reco_retained_t *left, reco_error_t *error)
{
    ngx_uint_t         i;
    reco_status_t      rc;
    ngx_atomic_uint_t  before, now;

    if (room == NULL) {
        return reco_segment_retain(want, left, error);
    }

    before = __atomic_load_n(&room->bytes, __ATOMIC_SEQ_CST);
    now = 0;

    for (i = 0; i < NGX_MAX_PROCESSES; i++) {
        now += __atomic_load_n(&writing[i], __ATOMIC_SEQ_CST);
    }

    rc = reco_segment_retain(want, left, error);

    if (left->counted) {
        (void) ngx_atomic_fetch_add(&room->bytes, left->bytes + now - before);
    }

    return rc;
}


/* The mark is not made by a look at a folder that holds no record yet: that
 * folder has no past. */

static reco_status_t
ngx_http_reco_log_room_lock(ngx_http_reco_look_t *look, int *lock)
{
    reco_retain_t  count;
    reco_status_t  rc;

    ngx_memzero(&look->left, sizeof(look->left));

    rc = reco_segment_lock(look->want.dir, 0, 0, lock, &look->error);

    if (rc != RECO_NOT_FOUND) {
        return rc;
    }

    ngx_memzero(&count, sizeof(count));
    count.dir = look->want.dir;
    count.node = look->want.node;

    rc = reco_segment_retain(&count, &look->left, &look->error);

    if (rc != RECO_OK || (look->left.closed == 0 && !look->full)) {
        return rc;
    }

    return reco_segment_lock(look->want.dir, 1, 0, lock, &look->error);
}


static void
ngx_http_reco_log_room_done(ngx_event_t *ev)
{
    ngx_http_reco_log_t   *log;
    ngx_http_reco_look_t  *look;

    log = ev->data;
    look = &log->look;
    ev->active = 0;

    ngx_http_reco_log_room_tell(log);

    if (ngx_exiting) {
        return;
    }

    if (look->status == RECO_LIMIT
        || (log->conf->max
            && log->room->bytes + log->refused
               > (ngx_atomic_uint_t) log->conf->max))
    {
        ngx_http_reco_log_room_soon(log);

    } else {
        ngx_add_timer(&look->timer, NGX_HTTP_RECO_LOG_LOOK);
    }
}


/* What a look removed, and could not. */

static void
ngx_http_reco_log_room_tell(ngx_http_reco_log_t *log)
{
    reco_retained_t       *left;
    ngx_http_reco_look_t  *look;

    look = &log->look;
    left = &look->left;

    ngx_http_reco_log_room_barred(log);

    if (look->status != RECO_OK && look->status != RECO_LIMIT) {
        ngx_http_reco_log_failed(log, NGX_HTTP_RECO_ERR_LOG_REMOVE,
                                 "cannot look after its size", &look->error);

    } else if (look->status == RECO_OK) {
        ngx_http_reco_log_room_over(log);
    }

    if (left->expired) {
        ngx_http_reco_count_n(NGX_HTTP_RECO_LOG_EXPIRED, left->expired);
        ngx_http_reco_count_n(NGX_HTTP_RECO_LOG_EXPIRED_BYTES,
                              left->expired_bytes);

        ngx_log_error(NGX_LOG_NOTICE, log->cycle->log, 0,
                      "reco: event log in \"%V\": removed %uD segment(s), "
                      "%uL bytes, older than %M ms; the last one \"%s\"",
                      &log->conf->path, left->expired, left->expired_bytes,
                      log->conf->keep, left->last);
    }

    if (left->dropped) {
        ngx_http_reco_count_n(NGX_HTTP_RECO_LOG_DROPPED, left->dropped);
        ngx_http_reco_count_n(NGX_HTTP_RECO_LOG_DROPPED_BYTES,
                              left->dropped_bytes);

        ngx_log_error(NGX_LOG_WARN, log->cycle->log, 0,
                      "reco: event log in \"%V\" is full: dropped %uD "
                      "segment(s), %uL bytes; the last one \"%s\"",
                      &log->conf->path, left->dropped, left->dropped_bytes,
                      left->last);
    }
}


/* Somebody has the folder's mark for seconds: another worker's look ends, and
 * so does a tool that removes. */

static void
ngx_http_reco_log_room_barred(ngx_http_reco_log_t *log)
{
    ngx_atomic_t          *since;
    ngx_http_reco_look_t  *look;

    look = &log->look;
    since = log->room ? &log->room->barred_since : &look->barred_since;

    if (look->status != RECO_LIMIT) {
        *since = 0;
        return;
    }

    if (*since == 0) {
        *since = ngx_current_msec | 1;
        return;
    }

    if (ngx_http_reco_log_ago(*since) >= NGX_HTTP_RECO_LOG_OVER) {
        ngx_http_reco_log_failed(log, NGX_HTTP_RECO_ERR_LOG_REMOVE,
                                 "cannot look after its size", &look->error);
    }
}


/* Looks did not get below max for seconds: what is held for a moment, or waits
 * for its sync, is no failure. */

static void
ngx_http_reco_log_room_over(ngx_http_reco_log_t *log)
{
    ngx_msec_t        since;
    reco_error_t      error;
    reco_retained_t  *left;

    left = &log->look.left;

    if (!log->conf->drop) {
        return;
    }

    since = log->room->over_since;

    if (left->bytes <= (uint64_t) log->conf->max) {
        log->room->over_since = 0;
        return;
    }

    if (since == 0) {
        log->room->over_since = ngx_current_msec | 1;
        return;
    }

    if (ngx_http_reco_log_ago(since) < NGX_HTTP_RECO_LOG_OVER) {
        return;
    }

    reco_error_set(&error, RECO_LIMIT, "",
                   "its segments take %llu bytes of max=%lld, %u of them are "
                   "held by others: no room could be made",
                   (unsigned long long) left->bytes,
                   (long long) log->conf->max, (unsigned) left->held);

    ngx_http_reco_log_failed(log, NGX_HTTP_RECO_ERR_LOG_REMOVE,
                             "is larger than max", &error);
}


void
ngx_http_reco_log_room_drain(ngx_http_reco_log_t *log)
{
    if (log->look.task.event.active && log->look.done) {
        ngx_http_reco_log_room_tell(log);
    }
}


/* Of the node's workers one looks. */

static void
ngx_http_reco_log_room_handler(ngx_event_t *ev)
{
    ngx_msec_t            wait;
    ngx_http_reco_log_t  *log;

    log = ev->data;

    ngx_http_reco_log_room_others(log);

    wait = log->look.soon ? NGX_HTTP_RECO_LOG_LOOK_SOON
                          : NGX_HTTP_RECO_LOG_LOOK;

    if (log->room
        && (ngx_msec_t) (ngx_current_msec - log->room->looked) < wait / 2)
    {
        if (!ngx_exiting) {
            ngx_add_timer(ev, wait);
        }
        return;
    }

    ngx_http_reco_log_room_look(log);
}
