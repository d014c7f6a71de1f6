/*
 * ngx_http_reco_zone.h - what lies in the shared memory of reco_zone.
 *
 * One block, laid out once, when the zone is new; after that no allocation,
 * no tree and no mutex, only fixed arrays, atomic words and a sequence number
 * a slot: a worker killed anywhere leaves nothing that another one waits for.
 * The block outlives reloads (same name and size) and goes with the master:
 * at a restart, a binary upgrade or a change of size it begins anew; for a
 * while there are then two of them, whose workers write to the same folder.
 */

#ifndef NGX_HTTP_RECO_ZONE_H
#define NGX_HTTP_RECO_ZONE_H

#include "ngx_http_reco_module.h"


#define NGX_HTTP_RECO_ZONE_MAGIC     0x6f63657265636f7aULL
#define NGX_HTTP_RECO_ZONE_LAYOUT    9

#define NGX_HTTP_RECO_ACTION_LABELS  512
#define NGX_HTTP_RECO_KIND_LABELS    64
#define NGX_HTTP_RECO_MODEL_LABELS   64
#define NGX_HTTP_RECO_IDENTITIES     64
#define NGX_HTTP_RECO_ROOMS          8
#define NGX_HTTP_RECO_WAYS           7
#define NGX_HTTP_RECO_LINE           64

/* of the zone's memory one part in so many, and at most so many records */
#define NGX_HTTP_RECO_HISTORY_SHARE  8
#define NGX_HTTP_RECO_HISTORY_MAX    16384


/*
 * A label is claimed by setting its hash (0: free) with a compare and swap;
 * then its text is written and 'ready' is set. Whoever finds the hash without
 * 'ready' writes the text as well: the same bytes, so that a claimer that was
 * killed, or is slow, does not matter.
 */
typedef struct {
    ngx_atomic_t             hash;
    ngx_atomic_t             ready;
    ngx_atomic_t             count;
    u_char                   model_len;
    u_char                   text_len;
    u_char                   model[RECO_MAX_ID];
    u_char                   text[RECO_MAX_ID];
} ngx_http_reco_label_t;


/*
 * What is served of a model, and what was taken up last: that outlives a worker
 * that could serve nothing. seq is 0 as long as nothing was, odd while a worker
 * writes folder and kept, or for as long as nobody wrote after it was killed.
 */
typedef struct {
    ngx_atomic_t             hash;           /* of the model's name */
    ngx_atomic_t             generation;     /* 0: fallback */
    ngx_atomic_t             published_ms;

    ngx_atomic_t             writer;         /* pid; 0: nobody */
    ngx_atomic_t             seq;
    uint64_t                 folder;         /* hash of its path */
    reco_manifest_t          kept;
} ngx_http_reco_generation_t;


/*
 * state: two bits of kind, 22 bits of pid, 40 bits of seconds: the deadline
 * of a claim, or the time of the verdict. One word, so that a claim is one
 * compare and swap.
 */
typedef struct {
    ngx_atomic_t             hash;
    ngx_atomic_t             state;
} ngx_http_reco_verified_t;


/*
 * What a node's segments take in a folder. A configuration names one; there
 * are more, so that workers of the one before go on counting theirs.
 */
struct ngx_http_reco_room_s {
    uint64_t                 hash;           /* of folder and node; 0: free */
    ngx_atomic_t             bytes;          /* never less than there are */
    ngx_atomic_t             max;            /* of full=stop, or 0: as the last
                                                configuration that nginx took
                                                has it, also for workers of
                                                those before */
    ngx_atomic_t             looked;         /* ngx_current_msec of a look */
    ngx_atomic_t             over_since;     /* of a look that did not get
                                                below max; 0: the last did */
    ngx_atomic_t             barred_since;   /* of a look that somebody kept
                                                from the folder; 0: the last
                                                could */
    ngx_atomic_t             refused;        /* ngx_current_msec of a write for
                                                which there was no room; 0:
                                                there was none */
};


/*
 * Seven customers' last decisions in two cache lines, one for the keys and one
 * for the states: 57,000 customers a megabyte. A state is 40 bits of seconds
 * (when the decision was made) over 24 bits of a sequence number, which is odd
 * while a worker writes the slot (for ever, if it was killed just then: the
 * slot is lost).
 */
typedef struct {
    uint64_t                 keys[NGX_HTTP_RECO_WAYS];    /* 0: free */
    ngx_atomic_t             evicted;        /* a decision was dropped here */
    ngx_atomic_t             states[NGX_HTTP_RECO_WAYS];
    uint64_t                 unused;
} __attribute__((aligned(NGX_HTTP_RECO_LINE))) ngx_http_reco_set_t;


/*
 * A recent decision, packed by reco_history_pack(), in one kilobyte. seq is 0
 * in a slot never written, odd while a worker writes it (for ever, if it was
 * killed just then: the slot is lost).
 */
typedef struct {
    ngx_atomic_t             seq;
    uint64_t                 model;          /* hash of its name */
    uint64_t                 len;
    u_char                   data[1000];
} ngx_http_reco_recent_t;


/* Upper bounds in nanoseconds: X(bound, "bound in seconds") */
#define NGX_HTTP_RECO_BUCKETS(X)                                              \
    X(1000, "0.000001")                                                       \
    X(2000, "0.000002")                                                       \
    X(5000, "0.000005")                                                       \
    X(10000, "0.00001")                                                       \
    X(20000, "0.00002")                                                       \
    X(50000, "0.00005")                                                       \
    X(100000, "0.0001")                                                       \
    X(200000, "0.0002")                                                       \
    X(500000, "0.0005")                                                       \
    X(1000000, "0.001")                                                       \
    X(2000000, "0.002")                                                       \
    X(5000000, "0.005")                                                       \
    X(10000000, "0.01")

#define X(bound, text)  + 1
enum { NGX_HTTP_RECO_NBUCKETS = 0 NGX_HTTP_RECO_BUCKETS(X) };
#undef X


struct ngx_http_reco_zone_s {
    uint64_t                    magic;
    uint64_t                    layout;
    uint64_t                    size;          /* of this struct */
    uint64_t                    seed;          /* of all hashes in here */
    uint64_t                    log_path;      /* hash of the log's folder */
    ngx_atomic_t                has_past;
    uint64_t                    mark;          /* size of the folder's mark:
                                                  until workers of another zone
                                                  add to it, nobody else writes
                                                  to the folder */

    ngx_http_reco_room_t        rooms[NGX_HTTP_RECO_ROOMS];
    ngx_uint_t                  nrooms;        /* ever taken */

    /* by ngx_process_slot: bytes counted in a room whose write has not
     * returned yet */
    ngx_atomic_t                writing[NGX_MAX_PROCESSES];

    ngx_atomic_t                counters[NGX_HTTP_RECO_NCOUNTERS];

    /* the last one counts what is above the last bound */
    ngx_atomic_t                latency[NGX_HTTP_RECO_NBUCKETS + 1];
    ngx_atomic_t                latency_ns;

    /* 0 is "other" */
    ngx_http_reco_label_t       actions[NGX_HTTP_RECO_ACTION_LABELS];
    ngx_http_reco_label_t       kinds[NGX_HTTP_RECO_KIND_LABELS];
    ngx_atomic_t                client_kinds;  /* of these, that no model
                                                  rewards */

    ngx_http_reco_generation_t  served[NGX_HTTP_RECO_MODEL_LABELS];
    ngx_http_reco_verified_t    verified[NGX_HTTP_RECO_IDENTITIES];

    /* records ever written; in a line of its own, since every decision of
     * every model reads what comes after it */
    ngx_atomic_t                history_head
                              __attribute__((aligned(NGX_HTTP_RECO_LINE)));

    /* slots of the ring, that many bytes on */
    ngx_uint_t                  nhistory
                              __attribute__((aligned(NGX_HTTP_RECO_LINE)));
    size_t                      history_at;

    ngx_uint_t                  nsets;
    ngx_http_reco_set_t         sets[1];       /* nsets */
};


/* Sequence numbers and flags: ngx_memory_barrier() waits for the stores of this
 * processor too, which they do not need. */
#define ngx_http_reco_acquire()      __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define ngx_http_reco_release()      __atomic_thread_fence(__ATOMIC_RELEASE)


/* Whether the label has its text, which is read after this. */
static ngx_inline ngx_uint_t
ngx_http_reco_label_ready(ngx_http_reco_label_t *label)
{
    ngx_uint_t  ready;

    ready = label->ready;
    ngx_http_reco_acquire();

    return ready;
}


/* This worker's zone, or NULL. */
static ngx_inline ngx_http_reco_zone_t *
ngx_http_reco_zone(void)
{
    ngx_http_reco_main_conf_t  *mcf;

    mcf = ngx_http_reco_worker.conf;

    return (mcf && mcf->zone) ? mcf->zone->data : NULL;
}


/* Under the lock of the folder's mark: removes what is to go and sets the
 * room's count right by what is left. Also in a thread. */
reco_status_t ngx_http_reco_room_look(ngx_http_reco_room_t *room,
    ngx_atomic_t *writing, const reco_retain_t *want, reco_retained_t *left,
    reco_error_t *error);

/* Of the mark in the log's folder; 0: there is none. UINT64_MAX: cannot tell. */
uint64_t ngx_http_reco_zone_mark_size(ngx_str_t *folder);

/* The model's slot, or NULL where it was never served. */
ngx_http_reco_generation_t *ngx_http_reco_zone_served(
    ngx_http_reco_zone_t *zone, ngx_str_t *model);

#endif /* NGX_HTTP_RECO_ZONE_H */
