/*
 * reco_segment.h - the event log as files.
 *
 * One writer (a worker's incarnation, or an importer) owns
 *   DIR/reco-<node>-<incarnation 8 hex>-<number 6 digits>.ndjson.open
 * created O_EXCL and held with flock. Closing syncs it and renames it to
 * .ndjson. An .open that nobody holds was left by a killed writer: recovery
 * cuts its torn tail and renames it. Names are never reused.
 *
 * Blocking: append does one write(2) to the page cache; sync, finish and
 * recover wait for the disk and belong into a thread or a tool.
 */

#ifndef RECO_SEGMENT_H
#define RECO_SEGMENT_H

#include "reco_event.h"

typedef struct {
    int           fd;           /* -1 when closed */
    uint64_t      size;         /* bytes of whole records in the file */
    uint64_t      header;       /* of these, bytes of the header record */
    uint64_t      number;
    uint64_t      opened_ms;
    reco_clock_t  clock;        /* as the header says; boot is the caller's */
    bool          uncut;        /* the file has more than 'size': part of a
                                   write that failed, which could not be cut
                                   off, and may hold whole records */
    bool          named;        /* its name is durable */
    char          dir[1024];
    char          name[512];    /* of the .open file, without the folder */
} reco_segment_t;

/* Node names: 1..64 of A-Z a-z 0-9 . _ -, not beginning with a dot. */
bool reco_node_is_valid(reco_str_t node);

/* Creates the segment and writes its header record, with the clock that the
 * records' times are of, or NULL where that is none of this machine's. RECO_IO
 * with errno's words; EEXIST (a name taken by another incarnation) is
 * RECO_INVALID. */
reco_status_t reco_segment_open(reco_segment_t *s, const char *dir,
    reco_str_t node, uint32_t incarnation, uint64_t number, uint64_t time_ms,
    const reco_clock_t *clock, reco_error_t *err);

/* Appends whole records in one write. On any failure (short write, ENOSPC,
 * EIO, EFBIG, file unlinked) the file is cut back to 'size' and nothing of
 * this call is in it; but where 'uncut' is set then, that could not be done:
 * first records of this call may be in the file, and they must not be written
 * to another. An uncut segment takes no records until it could be cut. */
reco_status_t reco_segment_append(reco_segment_t *s, const char *data,
    size_t len, reco_error_t *err);

/* False when the file was unlinked or its folder replaced (st_nlink 0). */
bool reco_segment_is_linked(const reco_segment_t *s);

/* fdatasync, and once for each segment fsync of the folder, so that the file
 * keeps its name too. */
reco_status_t reco_segment_sync(reco_segment_t *s, reco_error_t *err);

/* fsync, rename to .ndjson, fsync of the folder, close. A segment that holds
 * only its header is removed instead; one that cannot be cut is left to
 * recovery: RECO_IO. */
reco_status_t reco_segment_finish(reco_segment_t *s, reco_error_t *err);

typedef struct {
    uint32_t  recovered;        /* segments renamed */
    uint32_t  torn;             /* of these, with a torn tail cut */
    uint32_t  empty;            /* removed: nothing but (part of) a header */
    uint32_t  held;             /* left: their writer lives */
} reco_recovery_t;

/* Looks at every .open in dir. */
reco_status_t reco_segment_recover(const char *dir, reco_recovery_t *out,
    reco_error_t *err);

/* ---- the room a node's segments take (reco_segment_retain.c) --------- */

/* In a log's folder: it has a past, though its segments were taken away. Who
 * removes segments holds it with flock. Its size, of zeros, tells workers how
 * often others came to write beside them. */
#define RECO_LOG_MARK  ".reco-log"

/* Takes the lock of the folder's mark; the caller closes *fd. With wait, waits
 * for it; else RECO_LIMIT when somebody has it. Without create, RECO_NOT_FOUND
 * where there is no mark: nothing was ever logged here, or taken away. */
reco_status_t reco_segment_lock(const char *dir, bool create, bool wait,
    int *fd, reco_error_t *err);

typedef struct {
    const char  *dir;
    reco_str_t   node;          /* only its segments are counted and removed */
    uint64_t     before_ms;     /* closed ones whose last record is older go; 0:
                                   whatever their age */
    uint64_t     max;           /* bytes; above, the oldest closed ones go; 0:
                                   however many */
    uint64_t     drop_to;       /* bytes; until no more than these are left */
    bool         force;         /* one that is held or cannot be removed does
                                   not keep later ones of its writer from it */
    reco_str_t   boot;          /* with before_ms: a segment of this boot whose */
    int64_t      since_ms;      /* last record is of this monotonic time or later
                                   stays, whatever the wall clock is set to */
} reco_retain_t;

typedef struct {
    uint64_t     bytes;         /* of the node's segments that are left, open
                                   ones too; never less than there are */
    uint64_t     expired_bytes;
    uint64_t     dropped_bytes;
    uint32_t     closed;        /* closed segments that are left */
    uint32_t     expired;       /* removed: older than before_ms */
    uint32_t     dropped;       /* removed: above max */
    uint32_t     held;          /* should have gone: somebody has their flock */
    bool         counted;       /* 'bytes' is known */
    char         last[128];     /* the last one that was removed */
} reco_retained_t;

/* Counts what the node's segments take, while they may be written, closed and
 * taken away; removes closed ones where it is asked to, under the lock of
 * reco_segment_lock(), and syncs the folder. One that cannot be removed does
 * not keep others from it. On an error what was done is in 'out' as well. */
reco_status_t reco_segment_retain(const reco_retain_t *want,
    reco_retained_t *out, reco_error_t *err);

/* ---- reading a log -------------------------------------------------- */

typedef struct reco_log_reader_s  reco_log_reader_t;

/* All segments of a folder, closed and open, or a single segment's path, in
 * order of their names (node, incarnation, number). A live segment is read to
 * its last whole line. */
reco_status_t reco_log_open(const char *path, reco_log_reader_t **r,
    reco_error_t *err);

/* RECO_OK with the next event (valid until the next call), RECO_NOT_FOUND at
 * the end. A line that is no record is RECO_CORRUPT with file and line in
 * err->message; reading may go on after it. */
reco_status_t reco_log_next(reco_log_reader_t *r, reco_event_t **event,
    reco_error_t *err);

/* After the end: goes on with what was written since, in segments that were
 * there (also where they were closed and so renamed meanwhile) and in new
 * ones; one listing of the folder, and no whole line is read twice. What a live
 * segment has of a line that is not whole is left until it is. A segment that
 * went before it was closed and read is said by reco_log_next(): RECO_IO, and
 * reading may go on; so it may after any RECO_IO, and what could not be read
 * is tried anew the next time. RECO_IO where the folder cannot be listed: the
 * reader stays as it is. */
reco_status_t reco_log_again(reco_log_reader_t *r, reco_error_t *err);

/* The caller's own pointer, NULL at first, that stays with the segment of the
 * last event for as long as the reader knows the segment. */
void **reco_log_tag(reco_log_reader_t *r);

/* For progress and messages. */
uint64_t reco_log_bytes_read(const reco_log_reader_t *r);
uint64_t reco_log_bytes_total(const reco_log_reader_t *r);
const char *reco_log_file(const reco_log_reader_t *r);
uint64_t reco_log_line(const reco_log_reader_t *r);

void reco_log_close(reco_log_reader_t *r);

#endif /* RECO_SEGMENT_H */
