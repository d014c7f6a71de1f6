/*
 * reco_event.h - the records of the event log: one JSON object a line
 * (docs/FORMAT.md), written by the module and the importers, read by the
 * tools.
 *
 * {"type":"segment", ...}   first line of a segment, at least 512 bytes
 * {"type":"decision","seq":7,"id":"..","time":1732241234567,"model":"shop",
 *  "generation":3,"customer":"c42","session":"s1",
 *  "features":{"age":[42,"request"],"country":["GB","geo"]},
 *  "actions":6,"eligible":"all" | "1f",
 *  "slate":["OFFER_2","OFFER_5"],"propensity":[1073741824,2147483648],
 *  "policy":"weights", and where they are so: "pinned":1, "low_mass":true,
 *  "fallback":true, "replayable":false}
 * and for models with items: "level":1 (the state that answered, where it is
 * not the full one), "cart":["22423"], "exclude":["85123A"],
 * "items":["21232","22086"]
 * {"type":"reward","seq":8,"time":..,"model":"shop","generation":3,
 *  "decision":"..","customer":"c42","session":"s1","key":"..",
 *  "action":"OFFER_2","items":["21232"],
 *  "facts":{"conversion":1,"revenue":12.5}}
 *
 * {"type":"forgotten","seq":8,"time":..,"id":"..","pad":"..."}   in place of a
 * record of somebody who was forgotten (`reco forget`); id: of a decision
 *
 * {"type":"lost","seq":9,"time":..,"from":5,"to":8,"decisions":3,"rewards":1,
 *  "elapsed":61000}
 * the records of these numbers were not written, and the writer knows why
 *
 * "actions" is the catalogue's size, "eligible" the mask in hex, highest
 * action first, or "all" for every action of the catalogue; propensities are
 * in units of 2^-32; a missing customer, session, decision, key or action is
 * left out.
 */

#ifndef RECO_EVENT_H
#define RECO_EVENT_H

#include "reco_buf.h"
#include "reco_items.h"
#include "reco_json.h"
#include "reco_token.h"

typedef struct {
    reco_str_t  name;           /* 1..RECO_MAX_ID bytes */
    double      value;          /* finite */
} reco_fact_t;

typedef struct {
    uint64_t                 seq;
    reco_id_t                id;
    uint64_t                 time_ms;
    uint64_t                 generation;    /* 0: fallback without snapshot */
    const reco_model_t      *model;
    reco_str_t               customer_key;
    reco_str_t               session;
    const reco_features_t   *features;      /* MISSING ones are left out */
    const reco_mask_t       *eligible;
    const reco_decision_t   *decision;
    const reco_request_t    *request;       /* its cart and exclude; NULL:
                                               none */
    const reco_item_slate_t *items;         /* NULL: none */
    bool                     fallback;
    bool                     not_replayable;    /* imported */
} reco_decision_event_t;

typedef struct {
    uint64_t           seq;
    uint64_t           time_ms;
    uint64_t           generation;
    reco_str_t         model;
    bool               has_decision;
    reco_id_t          decision;
    reco_str_t         customer_key;
    reco_str_t         session;     /* or empty */
    reco_str_t         key;         /* idempotency key, or empty */
    reco_str_t         action;      /* the accepted action's id, or empty */
    const reco_fact_t *facts;
    uint32_t           nfacts;
    const reco_str_t  *items;       /* ids it is about, at most
                                       RECO_MAX_SLATE */
    uint32_t           nitems;
} reco_reward_event_t;

/* How the clock that a segment's times are of stood to the machine's monotonic
 * one: times less the offset are on the axis of the latter, which all segments
 * of the same boot share and nobody sets. */
typedef struct {
    bool        known;
    int64_t     offset_ms;          /* wall clock minus monotonic clock */
    reco_str_t  boot;               /* id of the machine's boot, or empty */
} reco_clock_t;

typedef struct {
    reco_str_t    node;
    uint32_t      incarnation;
    uint64_t      segment;          /* number in its incarnation, from 0 */
    uint64_t      time_ms;
    reco_clock_t  clock;
} reco_segment_header_t;

/* Records that were not written, though they had numbers: from..to, at least
 * one. Decisions that were answered without a record and rewards that were
 * refused; the rest of the range are notes of this kind that were lost too. */
typedef struct {
    uint64_t  from;                 /* 1..to */
    uint64_t  to;                   /* below the seq of the note */
    uint64_t  decisions;            /* decisions + rewards: at most the */
    uint64_t  rewards;              /* numbers of the range */
    uint64_t  elapsed_ms;           /* from the first of them to the note, by
                                       the monotonic clock; 0: not known */
} reco_lost_t;

/* A header is padded to so many bytes, so that what tells files apart by their
 * first ones (as log shippers do) finds these there and unlike any other
 * segment's. All that it says is shorter. */
#define RECO_EVENT_HEADER_BYTES  512

/* Each writes one line with its newline. */
void reco_event_write_header(reco_buf_t *b, const reco_segment_header_t *h);
void reco_event_write_decision(reco_buf_t *b, const reco_decision_event_t *e);
void reco_event_write_reward(reco_buf_t *b, const reco_reward_event_t *e);

/* What stands in place of a record that was forgotten. id: the decision's;
 * NULL for a reward. As long as the record was, len bytes with the newline,
 * unless that is too short. */
void reco_event_write_forgotten(reco_buf_t *b, uint64_t seq, uint64_t time_ms,
    const reco_id_t *id, size_t len);

/* The note of what was lost; at most RECO_EVENT_LOST_BOUND bytes. */
void reco_event_write_lost(reco_buf_t *b, uint64_t seq, uint64_t time_ms,
    const reco_lost_t *lost);

#define RECO_EVENT_LOST_BOUND  256

/* No decision of this model is longer than this, in bytes, but for its cart
 * and excluded items: these need reco_event_request_bound() more. */
size_t reco_event_decision_bound(const reco_model_t *model);
size_t reco_event_request_bound(const reco_request_t *request);
size_t reco_event_reward_bound(void);

/* ---- reading -------------------------------------------------------- */

typedef enum {
    RECO_EVENT_HEADER,
    RECO_EVENT_DECISION,
    RECO_EVENT_REWARD,
    RECO_EVENT_FORGOTTEN,       /* seq, time_ms, and the id of a decision */
    RECO_EVENT_LOST             /* seq, time_ms, lost */
} reco_event_type_t;

typedef struct {
    reco_str_t     name;
    reco_value_t   value;
    reco_source_t  source;
} reco_event_feature_t;

/* A line as read: strings are borrowed from the line or the arena. Names are
 * not resolved, because a reader may not have the model. */
typedef struct {
    reco_event_type_t       type;
    uint64_t                seq;
    uint64_t                time_ms;
    uint64_t                generation;
    reco_id_t               id;             /* decision, or the reward's */
    bool                    has_id;
    reco_str_t              model;
    reco_str_t              customer_key;
    reco_str_t              session;
    reco_str_t              policy;
    uint32_t                actions;        /* the catalogue's size */
    reco_str_t              eligible;       /* hex or "all" */
    bool                    fallback;
    bool                    not_replayable;
    bool                    low_mass;
    uint32_t                pinned;
    uint32_t                nfeatures;
    reco_event_feature_t    features[RECO_MAX_FEATURES];
    uint32_t                nslate;
    reco_str_t              slate[RECO_MAX_SLATE];
    uint64_t                propensity[RECO_MAX_SLATE];
    reco_str_t              key;            /* reward */
    reco_str_t              action;         /* reward */
    uint32_t                nfacts;
    reco_fact_t             facts[RECO_MAX_FACTS];
    uint32_t                level;          /* of the state that answered */
    uint32_t                ncart;
    reco_str_t              cart[RECO_MAX_CART];
    uint32_t                nexclude;
    reco_str_t              exclude[RECO_MAX_CART];
    uint32_t                nitems;         /* decision: recommended; reward:
                                               that it is about */
    reco_str_t              items[RECO_MAX_SLATE];
    reco_lost_t             lost;
    reco_segment_header_t   header;
} reco_event_t;

/* One line, without its newline. Unknown members are skipped (a newer writer
 * may add some); what is there must be of the right kind and within limits. */
reco_status_t reco_event_read(reco_str_t line, reco_arena_t *arena,
    reco_json_keys_t *keys, reco_event_t *out, reco_error_t *err);

/* The mask as text and back: "all", or (n + 3) / 4 hex digits, highest action
 * first. n is the catalogue's size; the text needs n / 4 + 3 bytes. False when
 * the text is no mask of n actions. */
void reco_mask_write(reco_buf_t *b, const reco_mask_t *m, uint32_t n);
bool reco_mask_read(reco_str_t text, uint32_t n, reco_mask_t *m);

#endif /* RECO_EVENT_H */
