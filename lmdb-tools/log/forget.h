/*
 * forget.h - takes a customer out of an event log and out of a snapshot.
 *
 * First all logs and the snapshot are read for the customer's decisions
 * (forget_learn_*), because a reward may name no more than one of these; then
 * each segment is looked at and written anew without them. A record that goes
 * leaves one of the type "forgotten" in its place, of the same length, so that
 * sequence numbers have no gap and who reads the segment meanwhile stays
 * where he is.
 */

#ifndef RECO_FORGET_H
#define RECO_FORGET_H

#include "reco_event.h"
#include "reco_snapshot.h"
#include "tool.h"

#define FORGET_KEYS  2

typedef struct forget_id_s  forget_id_t;

typedef struct {
    reco_str_t    keys[FORGET_KEYS];    /* customer keys, borrowed */
    uint32_t      nkeys;
    forget_id_t  *ids;                  /* decisions of theirs, and those that
                                           were forgotten before */
    uint64_t      plain;                /* records with a customer key that is
                                           no keyed hash, and those that may */
    uint64_t      hashed;               /* be one: 32 hex digits */
} forget_t;

typedef struct {
    uint64_t  decisions;
    uint64_t  rewards;
    uint64_t  unreadable;               /* lines that are no record */
    uint64_t  newest_ms;                /* time of the newest record, or 0 */
    bool      gone;                     /* the segment is not there any more */
} forget_counts_t;

/* A segment of a log. */
typedef struct {
    char  *path;
    bool   live;                        /* .open */
    bool   gone;                        /* since it was listed */
    bool   used;                        /* has lines behind its header, as
                                           forget_learn() found */
} forget_segment_t;

typedef struct {
    forget_segment_t  *list;
    size_t             n, room;
} forget_log_t;

void forget_free(forget_t *f);

bool forget_is_hash(reco_str_t key);
bool forget_is_theirs(const forget_t *f, reco_str_t customer_key);

/* ---- forget_files.c ----------------------------------------------------- */

/* The segments of a folder, by node, incarnation and number, or the one whose
 * path it is. False after a message. */
bool forget_list(forget_log_t *log, const char *path);
void forget_list_free(forget_log_t *log);

/* How many files of the folder have a segment's name with something behind it,
 * such as .gz: they may have records that cannot be looked for here. Each is
 * warned of. */
uint64_t forget_copies(const char *path);

/* Removes what killed runs left in the folder and nobody holds. It has records
 * as the segments have: false, after a message, when one of them stays. */
bool forget_clean(const char *path);

/* Opens a closed segment and takes its lock; with wait, when nobody else has
 * it, else EWOULDBLOCK where somebody does. -1 with errno. It is still what its
 * name says. */
int forget_lock(const char *path, bool wait);

/* Waits for the lock of those that remove segments: *fd is to be closed, or -1
 * where there is none, as of a single segment. False after a message. */
bool forget_lock_folder(const char *path, int *fd);

/* Syncs the folder, or that of a single segment. False after a message. */
bool forget_sync_folder(const char *path);

/* ---- forget.c: segments ------------------------------------------------- */

/* Notes the customer's decisions. A segment that is gone has none, here. False
 * after a message. */
bool forget_learn(forget_t *f, forget_segment_t *segment);

/* What a segment has of the customer. */
bool forget_count(const forget_t *f, forget_segment_t *segment,
    forget_counts_t *counts);

/* Writes a closed segment anew: old or new at every moment. */
bool forget_rewrite(const forget_t *f, const char *path,
    forget_counts_t *counts);

/* ---- forget_snapshot.c -------------------------------------------------- */

typedef struct {
    uint64_t  customers;
    uint64_t  history;
} forget_found_t;

/* Notes the decisions in its history. */
bool forget_learn_snapshot(forget_t *f, const reco_snapshot_t *base);

/* Counts what it has of the customer, and where out is not NULL writes the
 * snapshot without it. */
bool forget_snapshot(const forget_t *f, const reco_snapshot_t *base,
    const char *out, forget_found_t *found);

/* ---- between these files ------------------------------------------------ */

void forget_add_id(forget_t *f, const reco_id_t *id);
bool forget_has_id(const forget_t *f, const reco_id_t *id);

#endif /* RECO_FORGET_H */
