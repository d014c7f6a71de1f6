/*
 * ngx_http_reco_log_lost.c - what the event log knows of itself: which records
 * it could not write, which it notes in the log when that is written again;
 * what a person is told of failures; how the clock that the records' times are
 * of stands to the monotonic one, which a segment's header says.
 *
 * A record is in the log, or in 'buffered', which becomes lost where the
 * buffer cannot be written, or in 'lost', of which the next note tells; so a
 * note never tells of what is in the log.
 */

#include "ngx_http_reco_log.h"


#define NGX_HTTP_RECO_LOG_COMPLAIN    60000

#define NGX_HTTP_RECO_LOG_STEP        1000
#define NGX_HTTP_RECO_LOG_STEP_EVERY  1000
#define NGX_HTTP_RECO_LOG_STEP_BURST  16

#define NGX_HTTP_RECO_BOOT_ID  "/proc/sys/kernel/random/boot_id"


static ngx_uint_t ngx_http_reco_log_told(ngx_http_reco_log_t *log,
    const char *message);
static int64_t ngx_http_reco_log_offset(void);


/* ---- what was lost ---- */

/* Until the note is written, elapsed_ms is when the first was lost. */

void
ngx_http_reco_lost_add(reco_lost_t *lost, uint64_t seq, reco_event_type_t type)
{
    if (lost->to == 0) {
        lost->from = seq;
        lost->elapsed_ms = ngx_current_msec;
    }

    lost->to = seq;

    if (type == RECO_EVENT_DECISION) {
        lost->decisions++;

    } else if (type == RECO_EVENT_REWARD) {
        lost->rewards++;
    }
}


void
ngx_http_reco_lost_move(reco_lost_t *to, reco_lost_t *from)
{
    if (from->to == 0) {
        return;
    }

    if (to->to == 0) {
        *to = *from;

    } else {
        to->from = ngx_min(to->from, from->from);
        to->to = ngx_max(to->to, from->to);
        to->decisions += from->decisions;
        to->rewards += from->rewards;
        to->elapsed_ms = ngx_min(to->elapsed_ms, from->elapsed_ms);
    }

    ngx_memzero(from, sizeof(reco_lost_t));
}


/* Its own number lies between what it tells of and the record that it is put
 * before, and so within what is lost if it is lost with that. */

void
ngx_http_reco_log_note(ngx_http_reco_log_t *log)
{
    reco_buf_t   b;
    reco_lost_t  lost;

    if (log->lost.to == 0) {
        return;
    }

    /* 0 would be: not known */
    lost = log->lost;
    lost.elapsed_ms = ngx_current_msec - lost.elapsed_ms + 1;

    reco_buf_init(&b, log->buffer + log->used, RECO_EVENT_LOST_BOUND);
    reco_event_write_lost(&b, log->seq++, ngx_http_reco_time_ms(), &lost);

    log->used += reco_buf_len(&b);

    ngx_http_reco_lost_move(&log->buffered, &log->lost);
}


/* ---- what a person is told ---- */

void
ngx_http_reco_log_failed(ngx_http_reco_log_t *log,
    ngx_http_reco_counter_e counter, const char *what, reco_error_t *error)
{
    ngx_http_reco_count(counter);

    if (ngx_http_reco_log_told(log, error->message)) {
        return;
    }

    if (log->nlost) {
        ngx_log_error(NGX_LOG_CRIT, log->cycle->log, 0,
                      "reco: event log in \"%V\": %s: %s; "
                      "%ui record(s) not written so far",
                      &log->conf->path, what, error->message, log->nlost);

    } else {
        /* what fails may be lost from here on */
        ngx_log_error(NGX_LOG_CRIT, log->cycle->log, 0,
                      "reco: event log in \"%V\": %s: %s",
                      &log->conf->path, what, error->message);
    }

    log->told = 1;
}


/*
 * Whether a person was told of this cause within the last minute. A cause is
 * what a message ends in, the system's words; more causes than there is room
 * for wait for the oldest one's minute.
 */

static ngx_uint_t
ngx_http_reco_log_told(ngx_http_reco_log_t *log, const char *message)
{
    uint32_t                hash;
    u_char                 *words, *colon;
    ngx_uint_t              i;
    ngx_http_reco_cause_t  *cause, *free;

    words = (u_char *) message;

    while ((colon = ngx_strstrn(words, ": ", 1)) != NULL) {
        words = colon + 2;
    }

    hash = ngx_crc32_short(words, ngx_strlen(words));
    free = NULL;

    for (i = 0; i < NGX_HTTP_RECO_LOG_CAUSES; i++) {
        cause = &log->causes[i];

        if (!cause->used
            || ngx_current_msec - cause->told_at >= NGX_HTTP_RECO_LOG_COMPLAIN)
        {
            free = cause;
            continue;
        }

        if (cause->hash == hash) {
            return 1;
        }
    }

    if (free == NULL) {
        return 1;
    }

    free->hash = hash;
    free->told_at = ngx_current_msec;
    free->used = 1;

    return 0;
}


/* ---- the clock ---- */

/* Both are of the same update (ngx_times.c). */

static int64_t
ngx_http_reco_log_offset(void)
{
    return (int64_t) ngx_http_reco_time_ms() - (int64_t) ngx_current_msec;
}


void
ngx_http_reco_log_boot(ngx_http_reco_log_t *log)
{
    ssize_t   n;
    ngx_fd_t  fd;

    fd = ngx_open_file(NGX_HTTP_RECO_BOOT_ID, NGX_FILE_RDONLY, NGX_FILE_OPEN,
                       0);

    if (fd == NGX_INVALID_FILE) {
        return;
    }

    n = read(fd, log->boot, sizeof(log->boot));

    (void) ngx_close_file(fd);

    if (n == sizeof(log->boot)) {
        log->has_boot = 1;
    }
}


reco_clock_t
ngx_http_reco_log_clock(ngx_http_reco_log_t *log)
{
    reco_clock_t  clock;

    ngx_memzero(&clock, sizeof(reco_clock_t));

#if (NGX_HAVE_CLOCK_MONOTONIC)

    clock.known = 1;
    clock.offset_ms = ngx_http_reco_log_offset();

    if (log->has_boot) {
        clock.boot.data = log->boot;
        clock.boot.len = sizeof(log->boot);
    }

#endif

    return clock;
}


/*
 * Ends a segment whose header does not say any more how the clock stands. A
 * clock that steps all the time may end one a second, after the first few:
 * files are not to be made as fast as somebody can set a clock.
 */

void
ngx_http_reco_log_check_clock(ngx_http_reco_log_t *log)
{
    int64_t  step;

    if (log->segment.fd == -1 || !log->segment.clock.known) {
        return;
    }

    step = ngx_http_reco_log_offset() - log->segment.clock.offset_ms;

    if (step <= NGX_HTTP_RECO_LOG_STEP && step >= -NGX_HTTP_RECO_LOG_STEP) {
        return;
    }

    if ((ngx_msec_int_t) (log->stepped_at - ngx_current_msec) < 0) {
        log->stepped_at = ngx_current_msec;
    }

    if (log->stepped_at - ngx_current_msec
        >= NGX_HTTP_RECO_LOG_STEP_EVERY * NGX_HTTP_RECO_LOG_STEP_BURST)
    {
        return;
    }

    log->stepped_at += NGX_HTTP_RECO_LOG_STEP_EVERY;

    ngx_http_reco_count(NGX_HTTP_RECO_LOG_CLOCK_STEPS);

    ngx_log_error(NGX_LOG_NOTICE, log->cycle->log, 0,
                  "reco: clock stepped by %L ms, event log begins another "
                  "segment", step);

    ngx_http_reco_log_close(log);
}
