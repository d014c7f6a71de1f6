/*
 * ledger.h - the join of decisions with the facts that followed them.
 *
 * ledger_read() takes in whole logs, in any order and however often, a tail
 * what a log has gained; ledger_close() then settles each decision of one
 * model: rewarded, expired or censored. It may be called again when more was
 * read, and values everything anew: a live ledger restates the decisions that
 * are open. The result does not depend on the order of reading. What a ledger
 * hands out belongs to it and lives until it is closed again, forgets or is
 * freed; it holds the log in memory (a few hundred bytes a record), and
 * ledger_forget() keeps that to a window.
 *
 * A reward that names no decision is that of the customer's last decision at
 * or before its time; where it names a session, of the last one of that
 * session.
 *
 * Times are those of the servers, put right where a clock was set: all records
 * of a boot of a node are told by the clock that its last segment has, so that
 * steps of it neither reorder nor delay anything. All that was written under one
 * setting of the clock is moved by the same time. Boots, and segments without a
 * clock in their header, stand as they were written. Steps of up to
 * LEDGER_CLOCK_STEP_MS are left as they are.
 *
 * Clocks of two machines differ by a little: a reward that names its decision
 * and comes at most LEDGER_SKEW_MS before it counts as one of age 0.
 *
 * Sessions: the decisions of a customer that carry one session id are a
 * session, however they are mixed with others; those without an id are cut
 * where more than the episode gap lies between two. A term of the reward
 * function with next_session gives its fact, with value 1, to the last
 * decision of a session, at the time at which the customer's next session
 * begins: the first decision after it that begins a session with another id,
 * or, where one of the two has no id, that does so more than the episode gap
 * later. A session that had begun before is no next one. So each session gets
 * it at most once, and only within the term's window; customers without a key
 * have no next session.
 */

#ifndef RECO_LEDGER_H
#define RECO_LEDGER_H

#include "reco_segment.h"
#include "tool.h"

#define uthash_malloc(size)         tool_alloc(size)
#define uthash_free(pointer, size)  free(pointer)
#include <stdlib.h>
#include <uthash.h>

typedef struct ledger_source_s  ledger_source_t;
typedef struct ledger_clock_s   ledger_clock_t;

/* A time as written, and the clock it was taken from. */
typedef struct {
    const ledger_clock_t  *clock;
    uint64_t               ms;
} ledger_stamp_t;

typedef struct ledger_fact_s {
    struct ledger_fact_s  *next;
    reco_str_t             name;
    double                 value;
    uint64_t               time_ms;
    int                    slot;        /* from 0, the action it names; -1 when
                                           it names none of several */
} ledger_fact_t;

typedef enum {
    LEDGER_REWARDED,            /* with at least one fact that counts */
    LEDGER_EXPIRED,             /* without: the reward function's default */
    LEDGER_FALLBACK,            /* censored: decided without a snapshot */
    LEDGER_GAP,                 /* censored: what was lost may have changed
                                   it */
    LEDGER_OPEN,                /* censored: its time is not over yet */
    LEDGER_NOUTCOMES
} ledger_outcome_t;

typedef struct {
    reco_id_t               id;
    ledger_stamp_t          at;
    uint64_t                generation;
    uint64_t                seq;
    reco_str_t              model;
    reco_str_t              customer;   /* key, may be empty */
    reco_str_t              session;    /* may be empty */
    uint32_t                actions;    /* the catalogue's size */
    reco_str_t              eligible;   /* as logged: hex or "all" */
    reco_event_feature_t   *features;
    uint32_t                nfeatures;
    reco_str_t             *slate;
    uint64_t               *propensity;
    uint32_t                nslate;
    reco_str_t             *items;      /* that were recommended */
    uint32_t                nitems;
    bool                    fallback;
    bool                    begins;     /* first and last of its session, */
    bool                    ends;       /* as far as is known */

    /* settled by ledger_close() */
    uint64_t                time_ms;
    ledger_outcome_t        outcome;
    ledger_fact_t          *facts;      /* those that count, by time */
    double                  reward;     /* 0 while censored */
    double                  weight;     /* as evidence, above 0 to 1: below 1
                                           while it is open (ledger_weight());
                                           0 while censored */

    UT_hash_handle          hh;
} ledger_decision_t;

/* What became of the facts; all but COUNTED change nothing. */
typedef enum {
    LEDGER_FACT_COUNTED,
    LEDGER_FACT_DUPLICATE,      /* same decision or customer, key and kind */
    LEDGER_FACT_ORPHAN,         /* decision unknown, or customer without one */
    LEDGER_FACT_EARLY,          /* more than LEDGER_SKEW_MS before it */
    LEDGER_FACT_LATE,           /* after its window */
    LEDGER_FACT_OUT_OF_RANGE,   /* names an action that was not in the slate,
                                   or is beyond LEDGER_MAX_VALUE */
    LEDGER_FACT_UNUSED,         /* of a kind the reward function ignores */
    LEDGER_NFACTS
} ledger_fate_t;

#define LEDGER_SKEW_MS          ((uint64_t) 60 * 1000)
#define LEDGER_CLOCK_STEP_MS    1000    /* as the writer's: below it a segment
                                           goes on */

/* The largest weight of a spec is as much, so that sums of rewards and of
 * their squares stay finite. */
#define LEDGER_MAX_VALUE        1e12

/* A record of a later time (the year 33658) is a damaged line. */
#define LEDGER_TIME_MAX_MS      ((uint64_t) 1000000000000000)

typedef struct {
    uint64_t  records;          /* all models, and notes of what was lost */
    uint64_t  repeated;         /* of these, read before (same sequence
                                   number of the same writer) */
    uint64_t  forgotten;        /* of these, older than what is kept */
    uint64_t  erased;           /* of these, records of customers who were
                                   forgotten: they hold their place */
    uint64_t  corrupt;          /* lines that are no record */
    uint64_t  gaps;             /* holes in the sequence numbers that no note
                                   explains ... */
    uint64_t  lost;             /* ... and the records that are missing */
    uint64_t  unlogged;         /* by the notes: decisions that were answered
                                   without a record ... */
    uint64_t  refused;          /* ... and rewards that were refused */
    uint64_t  decisions;        /* of the model, up to the data's end */
    uint64_t  after;            /* records after it, left out */
    uint64_t  returns;          /* facts that next sessions gave */
    uint64_t  outcome[LEDGER_NOUTCOMES];
    uint64_t  facts[LEDGER_NFACTS];
} ledger_counts_t;

typedef struct {
    ledger_decision_t   **decisions;    /* by time, then id */
    size_t                n;
    ledger_counts_t       counts;
    uint64_t              as_of_ms;
    const reco_reward_t  *reward;
    reco_str_t            model;
    bool                  live;         /* as closed */
    struct ledger_private_s *private;
} ledger_t;

typedef struct {
    const char           *model;        /* NULL: the only one in the log */
    const reco_reward_t  *reward;
    uint64_t              as_of_ms;     /* 0: the data's end, which a later
                                           time does not pass */
    bool                  live;         /* value open decisions by the facts
                                           so far instead of censoring them */
    bool                  newest;       /* the data's end is that of the newest
                                           record: nodes that are quiet do not
                                           hold the others back */
    uint64_t              episode_gap_ms;   /* 0: 30 minutes */
} ledger_options_t;

ledger_t *ledger_new(void);
void ledger_free(ledger_t *l);

/* Reads a folder of segments or a single one. False after a message. */
bool ledger_read(ledger_t *l, const char *path);

/* A log that is being written. Each ledger_tail_read() takes in what is new;
 * false, after a message, when something could not be read: the next call
 * tries again. The ledger must outlive it. */
typedef struct ledger_tail_s  ledger_tail_t;

/* NULL after a message. */
ledger_tail_t *ledger_tail_open(ledger_t *l, const char *path);
bool ledger_tail_read(ledger_tail_t *tail);
void ledger_tail_close(ledger_tail_t *tail);

/* Records of a model so far; with each new one it rises. */
typedef struct {
    uint64_t  decisions;
    uint64_t  rewards;
} ledger_taken_t;

ledger_taken_t ledger_taken(const ledger_t *l, const char *model);

/* Drops the decisions and rewards before that time, also those that are read
 * later, and gives their memory back. What ledger_close() settled is no longer
 * valid. Rewards that name no decision are remembered for LEDGER_REPEAT_MS
 * more, so that one sent again is still known; those that name one are kept for
 * LEDGER_SKEW_MS more, and a repeated reward of a decision that went is an
 * orphan. An earlier time than before changes nothing. */
#define LEDGER_REPEAT_MS    ((uint64_t) 24 * 3600 * 1000)
void ledger_forget(ledger_t *l, uint64_t before_ms);

/* Whether a clock turned out to have been set since something was forgotten:
 * what was forgotten may not have been that old, and only a new ledger will
 * have it. */
bool ledger_has_stepped(const ledger_t *l);

/* The time of the newest record. */
uint64_t ledger_newest_ms(const ledger_t *l);

/* Whether there is a decision of that model (NULL: of any). False after a
 * message that names the models there are. */
bool ledger_has_decisions(const ledger_t *l, const char *model);

/* The same without a word. */
bool ledger_is_empty(const ledger_t *l, const char *model);

/* The one fact kind in the rewards of a model (NULL: of all), or NULL after a
 * message that names those there are. */
const char *ledger_only_fact(ledger_t *l, const char *model);

/* Settles every decision, anew each time. options->reward must live for as
 * long as the result is used. False after a message. */
bool ledger_close(ledger_t *l, const ledger_options_t *options);

/* The sum of a decision's facts of that name, those that count; NAN when it
 * has none. */
double ledger_fact(const ledger_decision_t *d, const char *name);

/* What a decision counts for at that age. Facts that are still to come would
 * stand as zeros, and the few that came at once as all there is; so an open
 * decision is weighed by how much of its reward can be known: the mean over
 * the terms of min(1, age / window), each as heavy as its value, but at least
 * LEDGER_WEIGHT_MIN, so that what is learned follows at once. It does not
 * depend on what happened: a click weighs no more than none. 1 from the
 * longest window on. */
#define LEDGER_WEIGHT_MIN   0.1
double ledger_weight(const reco_reward_t *reward, uint64_t age_ms);

/* Milliseconds after a decision at which nothing can change it any more: the
 * horizon or the longest window. */
uint64_t ledger_closing_ms(const reco_reward_t *reward);

/* Its reward split over the slots: a term goes to the last slot it depends on
 * (the slate's last one for facts that name no action, and for the default).
 * The sum is d->reward. */
void ledger_slot_rewards(const ledger_t *l, const ledger_decision_t *d,
    double *slots);

/* The reward of those facts alone that name the action in this slot. */
double ledger_named_reward(const ledger_t *l, const ledger_decision_t *d,
    uint32_t slot);

/* {"decisions": .., "rewarded": .., "censored": {..}, "facts": {..}, ...} */
json_t *ledger_json(const ledger_t *l);
/* The same in words, to out. */
void ledger_print(const ledger_t *l, FILE *out);

/* For a message that nothing can be used, put into text: the censored decisions
 * by reason ("3 fallback, 1 gap"), those that there are; */
const char *ledger_censored(const ledger_t *l, char *text, size_t size);
/* and where gaps censored some, what is missing in the log ("; 5 record(s) are
 * missing in the log, in 2 hole(s)"), else "". */
const char *ledger_missing(const ledger_t *l, char *text, size_t size);

/* ---- between ledger.c (what is read) and its other files ----------------- */

/* What a segment's header says of the clock. */
typedef struct {
    int64_t  opened_ms;     /* when it was opened, by the monotonic clock */
    int64_t  offset_ms;     /* how far the wall clock was ahead of that */
} ledger_reading_t;

/* Offsets each at most LEDGER_CLOCK_STEP_MS from the next: the clock was set once
 * for all of them, slewed perhaps, and read at different moments. */
typedef struct {
    int64_t           low_ms, high_ms;
    ledger_reading_t  last;         /* of its segment that was opened last */
} ledger_setting_t;

/* A boot of a node: its segments share a monotonic clock. */
typedef struct {
    char              *name;        /* "node/boot" */
    ledger_setting_t  *settings;    /* by offset, never empty */
    uint32_t           nsettings;
    ledger_reading_t   last;
    UT_hash_handle     hh;
} ledger_boot_t;

/* How the wall clock stood in some segments of a writer. */
struct ledger_clock_s {
    struct ledger_clock_s  *next;
    ledger_source_t        *source;
    const ledger_boot_t    *boot;       /* NULL: times stand as written */
    int64_t                 offset_ms;
    uint64_t                last_ms;    /* newest record, as written */
};

/* Unbroken runs of a writer's sequence numbers. */
typedef struct {
    uint64_t        first, last;
    ledger_stamp_t  first_at, last_at;
} ledger_run_t;

/* A writer's note of numbers that it did not write. */
typedef struct {
    uint64_t        seq;        /* of the note */
    ledger_stamp_t  at;
    reco_lost_t     lost;
} ledger_lost_t;

/* A writer: one incarnation of a node. */
struct ledger_source_s {
    char           *name;       /* "node/incarnation" */
    char           *node;
    ledger_clock_t *clocks;
    ledger_run_t   *runs;
    size_t          nruns, room;
    ledger_lost_t  *lost;
    size_t          nlost, lost_room;
    UT_hash_handle  hh;
};

typedef struct {
    ledger_stamp_t          at;
    uint64_t                seq;
    uint64_t                time_ms;    /* settled by ledger_close() */
    bool                    has_id;
    reco_id_t               id;
    reco_str_t              model;
    reco_str_t              customer;
    reco_str_t              session;
    reco_str_t              key;
    reco_str_t              action;
    reco_fact_t            *facts;
    uint32_t                nfacts;
} ledger_reward_t;

typedef struct {
    uint32_t        len;
    bool            used;       /* while it is found out which are */
    UT_hash_handle  hh;
    char            text[];
} ledger_word_t;

typedef struct {
    const char      *model;     /* interned */
    ledger_taken_t   taken;
} ledger_model_t;

/* Memory that goes as a whole. */
typedef struct {
    void    *blocks;            /* newest first */
    size_t   used;              /* of the newest */
} ledger_pool_t;

typedef struct ledger_private_s {
    ledger_decision_t  *by_id;
    ledger_source_t    *sources;
    ledger_boot_t      *boots;
    ledger_reward_t    *rewards;
    size_t              nrewards, room;
    ledger_word_t      *words;      /* equal strings have equal addresses */
    ledger_model_t     *models;
    size_t              nmodels;
    uint64_t            from_ms;    /* what is older was forgotten */
    bool                stepped;    /* ledger_has_stepped() */
    uint64_t            dropped;    /* records since the words were swept */
    ledger_pool_t       joined;     /* what one close made */
} ledger_private_t;

/* Memory that goes when the ledger is closed again. */
void *ledger_alloc(ledger_t *l, size_t size);
void ledger_alloc_reset(ledger_t *l);

reco_str_t ledger_word(ledger_t *l, reco_str_t s);

/* Sets l->model. False after a message. */
bool ledger_choose_model(ledger_t *l, const char *wanted);

/* ledger_clock.c. The clock of a segment of that writer; header: NULL where it
 * is damaged. Then the time as it is now believed to have been; the least over
 * the nodes of the time of their newest record. */
ledger_clock_t *ledger_clock(ledger_t *l, ledger_source_t *s,
    const reco_segment_header_t *header);
uint64_t ledger_time_ms(ledger_stamp_t at);
uint64_t ledger_data_end_ms(const ledger_t *l);
void ledger_free_boots(ledger_t *l);

/* ledger_gaps.c: sequence numbers that were seen, and notes of those that were
 * lost; in any order, and however often. */
void ledger_note_seq(ledger_source_t *s, uint64_t seq, ledger_stamp_t at);
void ledger_note_lost(ledger_source_t *s, uint64_t seq, ledger_stamp_t at,
    const reco_lost_t *lost);

typedef struct {
    uint64_t  first_ms, last_ms;
} ledger_span_t;

typedef struct {
    ledger_span_t  *span;       /* rising, no two of them meet */
    size_t          n, room;
} ledger_spans_t;

/* When records were lost that no note explains, and when decisions were
 * answered without a record; counts them. Both begin empty, and what they get
 * is the caller's to free. */
void ledger_find_gaps(ledger_t *l, ledger_spans_t *gaps,
    ledger_spans_t *unlogged);
bool ledger_spans_meet(const ledger_spans_t *s, uint64_t from_ms,
    uint64_t to_ms);

/* ledger_session.c: marks where sessions begin and end, and tells of each
 * return. by_customer: decisions by customer, time and id. */
typedef void (*ledger_return_pt)(void *data, ledger_decision_t *d,
    uint64_t time_ms);
void ledger_sessions(ledger_decision_t **by_customer, size_t n,
    uint64_t episode_gap_ms, ledger_return_pt visit, void *data);

#endif /* RECO_LEDGER_H */
