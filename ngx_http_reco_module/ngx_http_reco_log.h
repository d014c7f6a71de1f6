/*
 * ngx_http_reco_log.h - the writer of the event log, as its files share it:
 * ngx_http_reco_log.c has the buffer and the requests that wait,
 * ngx_http_reco_log_disk.c what waits for the disk, ngx_http_reco_log_room.c
 * what bounds the log's size and age, ngx_http_reco_log_lost.c what could not
 * be written, and the clock. One a worker, from init_process to the end of the
 * process; none of its memory belongs to a request.
 */

#ifndef NGX_HTTP_RECO_LOG_H
#define NGX_HTTP_RECO_LOG_H

#include "ngx_http_reco_module.h"

#include <ngx_event.h>
#include <ngx_thread_pool.h>

#if !(NGX_THREADS)
#error "reco needs nginx built --with-threads"
#endif


#define NGX_HTTP_RECO_LOG_CAUSES  4
#define NGX_HTTP_RECO_LOG_BOOT    36


typedef struct ngx_http_reco_closing_s  ngx_http_reco_closing_t;

/* a segment that is complete and waits to be synced and renamed */
struct ngx_http_reco_closing_s {
    ngx_http_reco_closing_t   *next;
    reco_segment_t             segment;
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
    ngx_uint_t                 done;           /* written by the thread */
} ngx_http_reco_recovery_t;


/* at what the node's segments take in the folder */
typedef struct {
    ngx_thread_task_t          task;
    ngx_event_t                timer;          /* of the next one */
    ngx_atomic_t              *writing;        /* the zone's */
    reco_retain_t              want;
    reco_retained_t            left;
    reco_status_t              status;         /* RECO_LIMIT: another one looks
                                                  at this moment */
    reco_error_t               error;
    ngx_atomic_t               barred_since;   /* as the room's, where there is
                                                  no zone */
    ngx_uint_t                 full;           /* a write was refused */
    ngx_uint_t                 done;           /* written by the thread */
    ngx_uint_t                 soon;           /* so is the timer */
} ngx_http_reco_look_t;


/* of failures that a person was told of */
typedef struct {
    ngx_msec_t                 told_at;
    uint32_t                   hash;
    unsigned                   used:1;
} ngx_http_reco_cause_t;


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

    char                      *buffer;
    size_t                     used;
    size_t                     size;
    ngx_uint_t                 records;        /* in the buffer, without
                                                  notes */
    reco_lost_t                buffered;       /* to: 0 where there is none */
    reco_lost_t                lost;           /* and not noted */
    reco_event_type_t          begun;          /* the record begun last */

    ngx_queue_t                pending;
    ngx_queue_t                written;
    ngx_queue_t                unsynced;
    ngx_queue_t                syncing;
    ngx_queue_t                failed;

    ngx_event_t                flush;          /* posted */
    ngx_event_t                age;
    ngx_event_t                sync;

    ngx_http_reco_closing_t   *closing;        /* not yet taken by a job */
    ngx_http_reco_job_t        job;
    ngx_http_reco_recovery_t   recovery;

    ngx_http_reco_room_t      *room;           /* NULL: there is no zone */
    ngx_http_reco_look_t       look;
    size_t                     refused;        /* bytes for which there was no
                                                  room, 0 since there was */

    ngx_msec_t                 failed_at;
    ngx_msec_t                 checked_at;
    ngx_msec_t                 stepped_at;     /* of a clock that keeps
                                                  stepping: ahead of time */
    char                       boot[NGX_HTTP_RECO_LOG_BOOT];
    ngx_uint_t                 nlost;          /* records, since it last went
                                                  well */

    ngx_http_reco_cause_t      causes[NGX_HTTP_RECO_LOG_CAUSES];

    unsigned                   failing:1;
    unsigned                   told:1;         /* of this failure */
    unsigned                   dirty:1;        /* written, not synced */
    unsigned                   due:1;          /* the interval is over */
    unsigned                   exiting:1;      /* no jobs any more */
    unsigned                   marked:1;       /* the folder, as used */
    unsigned                   has_boot:1;
} ngx_http_reco_log_t;


/* Counts every failure, tells a person of one a minute and cause. */
void ngx_http_reco_log_failed(ngx_http_reco_log_t *log,
    ngx_http_reco_counter_e counter, const char *what, reco_error_t *error);

/* All of one queue to the end of another. */
void ngx_http_reco_log_move(ngx_queue_t *to, ngx_queue_t *from);

/* Answers all of a queue. */
void ngx_http_reco_log_answer(ngx_queue_t *queue, ngx_int_t rc);


/* Hands the segment to the next job; the next record opens another one. */
void ngx_http_reco_log_close(ngx_http_reco_log_t *log);

/* Starts a job where there is something to do and none is under way. */
void ngx_http_reco_log_work(ngx_http_reco_log_t *log);

/* Closes at once what is still to be closed. */
void ngx_http_reco_log_drain(ngx_http_reco_log_t *log);

/* Starts the recovery of what killed workers left. */
void ngx_http_reco_log_recover(ngx_http_reco_log_t *log);


/* One more number, behind those that are there. */
void ngx_http_reco_lost_add(reco_lost_t *lost, uint64_t seq,
    reco_event_type_t type);

/* All of one to the other, where nothing between them was written. */
void ngx_http_reco_lost_move(reco_lost_t *to, reco_lost_t *from);

/* The note of what was lost, if something was, into the buffer, which has room
 * for RECO_EVENT_LOST_BOUND bytes; a segment is open. */
void ngx_http_reco_log_note(ngx_http_reco_log_t *log);

/* Reads the id of the machine's boot. */
void ngx_http_reco_log_boot(ngx_http_reco_log_t *log);

/* For a segment's header. */
reco_clock_t ngx_http_reco_log_clock(ngx_http_reco_log_t *log);

/* Closes the segment where the clock stepped since it was opened. */
void ngx_http_reco_log_check_clock(ngx_http_reco_log_t *log);


/* Has the thread pool do it; where there is no room in it, the loop does. */
void ngx_http_reco_log_post(ngx_http_reco_log_t *log, ngx_thread_task_t *task);


/* ngx_http_reco_log_room.c. Without a zone, where there is no max, nothing is
 * counted. */

void ngx_http_reco_log_room_init(ngx_http_reco_log_t *log);

/* Starts a look where there is one to take and none under way. */
void ngx_http_reco_log_room_look(ngx_http_reco_log_t *log);

/* Before len bytes are written, with so much to spare: NGX_OK, and after the
 * write, also one that failed, room_free() is called; or NGX_ERROR: the log is
 * full, the segment was closed and it was told. */
ngx_int_t ngx_http_reco_log_room_take(ngx_http_reco_log_t *log, size_t len,
    size_t spare);
void ngx_http_reco_log_room_free(ngx_http_reco_log_t *log, size_t len);

/* The same for a new segment's header. */
ngx_int_t ngx_http_reco_log_room_take_header(ngx_http_reco_log_t *log);

/* Segments were closed, that might be dropped. */
void ngx_http_reco_log_room_closed(ngx_http_reco_log_t *log);

/* At a worker's exit: tells of what a look did that nobody took notice of. */
void ngx_http_reco_log_room_drain(ngx_http_reco_log_t *log);

#endif /* NGX_HTTP_RECO_LOG_H */
