/*
 * reco_model.h - a model in memory: features, catalogue, rules, policy and
 * reward function, as read from a spec (reco_spec.h) and bound to the data of
 * a snapshot (reco_snapshot.h).
 *
 * A model is immutable once bound and may be shared by everything in one
 * process; all its strings and arrays belong to it and go with
 * reco_model_free(). It holds no pointer into a snapshot's map: the table of
 * values is reached through 'lookup'.
 */

#ifndef RECO_MODEL_H
#define RECO_MODEL_H

#include "reco_base.h"

/* ---- values ----------------------------------------------------------- */

typedef enum {
    RECO_VALUE_MISSING = 0,
    RECO_VALUE_NUMBER,          /* finite */
    RECO_VALUE_WORD             /* 1..RECO_MAX_ID bytes, no control characters;
                                   an empty word counts as missing */
} reco_value_kind_t;

typedef struct {
    reco_value_kind_t  kind;
    double             number;
    reco_str_t         word;    /* borrowed from request, record or model */
} reco_value_t;

/* ---- features --------------------------------------------------------- */

typedef enum {
    RECO_SOURCE_NONE = 0,
    RECO_SOURCE_REQUEST,
    RECO_SOURCE_CUSTOMER,
    RECO_SOURCE_GEO,
    RECO_SOURCE_TIME,
    RECO_SOURCE_DEFAULT
} reco_source_t;

typedef enum {
    RECO_TIME_HOUR = 0,         /* 0..23, UTC */
    RECO_TIME_WEEKDAY,          /* 1 Monday .. 7 Sunday (ISO 8601), UTC */
    RECO_TIME_MONTH,            /* 1..12, UTC */
    RECO_TIME_SEASON            /* 0 winter (December to February) .. 3 autumn:
                                   the northern meteorological seasons, UTC */
} reco_time_part_t;

typedef enum {
    RECO_FEATURE_NUMBER = 0,
    RECO_FEATURE_CATEGORY
} reco_feature_type_t;

typedef struct {
    reco_source_t  source;
    reco_str_t     field;       /* in the request or customer record; "country"
                                   for geo */
    int            index;       /* customer: index of the record's field, -1
                                   where the snapshot has none; time: a
                                   reco_time_part_t */
} reco_feature_from_t;

typedef struct {
    reco_str_t  word;
    int32_t     code;
} reco_code_t;

typedef struct {
    reco_str_t            name;
    reco_feature_type_t   type;
    bool                  required;     /* missing from all sources: an error */
    reco_feature_from_t   from[4];
    uint32_t              nfrom;

    /* Number: bin b holds edges[b-1] <= x < edges[b], so that n edges make
     * n + 1 bins, 0..n. quantiles > 0 with nedges 0: to be learned when the
     * snapshot is built. */
    double               *edges;
    uint32_t              nedges;
    uint32_t              quantiles;

    /* Category with codes: a word becomes its code (a NUMBER value); a code
     * may be sent as it is; anything else is an error that names the field.
     * Several words may share a code. */
    reco_code_t          *codes;
    uint32_t              ncodes;

    /* Category without codes: the words that count as themselves in a state,
     * bytewise rising; every other word counts as "other" there. top > 0 with
     * nwords 0: the top most frequent ones of the customers, to be learned
     * when the snapshot is built. NULL and 0: every word is its own. */
    reco_str_t           *words;
    uint32_t              nwords;
    uint32_t              top;

    reco_value_t          fallback;     /* the spec's "default", or MISSING */
} reco_feature_t;

/* ---- catalogue -------------------------------------------------------- */

typedef struct {
    reco_str_t  id;
    reco_str_t  name;           /* product name, may be empty */
    reco_str_t  category;       /* may be empty */
    double      price;          /* NAN when unknown */
    bool        active;
} reco_action_t;

typedef struct {
    reco_action_t  *actions;    /* catalogue order: the order of the spec */
    uint32_t        n;
    uint16_t       *slots;      /* open addressing over ids: index + 1 or 0 */
    uint32_t        nslots;     /* a power of two */
} reco_catalogue_t;

/* A set of actions, one bit each, bit i % 64 of word i / 64. */
typedef struct {
    uint64_t  bits[RECO_MAX_ACTIONS / 64];
} reco_mask_t;

/* ---- conditions and rules --------------------------------------------- */

typedef enum {
    RECO_OP_EQ, RECO_OP_NE, RECO_OP_LT, RECO_OP_LE, RECO_OP_GT, RECO_OP_GE,
    RECO_OP_IN, RECO_OP_NOT_IN, RECO_OP_ALL, RECO_OP_ANY, RECO_OP_NOT
} reco_op_t;

/* A comparison with a missing feature is false, whatever the operator
 * (so "not in" is false too; NOT of a comparison is then true). Compares the
 * resolved value, not its bin. Ordering compares numbers only. */
typedef struct reco_condition_s {
    reco_op_t                  op;
    uint32_t                   feature;
    reco_value_t              *values;      /* one, or the list of IN */
    uint32_t                   nvalues;
    struct reco_condition_s   *children;    /* of ALL, ANY, NOT */
    uint32_t                   nchildren;
} reco_condition_t;

typedef enum {
    RECO_RULE_DENY,             /* removes these actions */
    RECO_RULE_ALLOW,            /* removes all but these */
    RECO_RULE_PIN               /* a person's override: these, where eligible,
                                   take the first slots in this order, with
                                   probability 1 */
} reco_rule_kind_t;

typedef struct {
    reco_rule_kind_t   kind;
    reco_condition_t  *when;    /* NULL: always */
    reco_str_t        *ids;     /* as the spec gives them */
    uint16_t          *actions; /* the same, as catalogue indices */
    uint32_t           nactions;
    reco_mask_t       *mask;    /* of actions */
    reco_str_t         by;      /* PIN: who, and the date (YYYY-MM-DD) */
    reco_str_t         date;
} reco_rule_t;

/* ---- policy ----------------------------------------------------------- */

typedef enum {
    RECO_POLICY_UNIFORM,
    RECO_POLICY_FIRST,          /* the first eligible one, probability 1: what
                                   a fallback without a snapshot uses */
    RECO_POLICY_WEIGHTS,
    RECO_POLICY_P_TABLE,        /* probabilities per state (and slot) */
    RECO_POLICY_Q_TABLE         /* values per state (and slot), explored by
                                   epsilon or by softmax */
} reco_policy_type_t;

typedef struct {
    reco_condition_t  *when;    /* NULL: always */
    double            *weights; /* by place: weight of the i-th eligible action
                                   in catalogue order, the last one serving
                                   all places beyond; by action: one for each
                                   action of the catalogue */
    uint32_t           nweights;
    reco_str_t        *ids;     /* by action, until the model is bound: whose
                                   weight each is, as the spec gives them */
} reco_weights_t;

/* The features that make a state's key. levels[0] is the full state; each
 * further one is coarser: it has only features of the one before it, and not
 * all of them. */
typedef struct {
    uint32_t  *features;
    uint32_t   n;
} reco_level_t;

typedef struct {
    reco_policy_type_t   type;
    uint32_t             slate;         /* slots, 1..RECO_MAX_SLATE */
    bool                 sticky;        /* the draw is keyed by the customer's
                                           key, where there is one */
    /* WEIGHTS: cases[0] is the unconditional one; the last case whose
     * condition holds counts */
    bool                 by_action;
    reco_weights_t      *cases;
    uint32_t             ncases;

    /* tables */
    reco_level_t         levels[RECO_MAX_LEVELS];
    uint32_t             nlevels;       /* at least 1 for tables */
    uint64_t             min_visits;    /* the first level whose row has as
                                           many is used; where none has, the
                                           last one that has a row */
    bool                 per_slot;      /* the slot (1, 2, ...) is part of the
                                           key */
    double               epsilon;       /* Q_TABLE: 0..1, or -1 for softmax:
                                           what a row of epsilon_visits or more
                                           visits is explored with; ... */
    double               epsilon_start; /* ... at 0 visits this, and between
                                           them on a straight line (linear
                                           annealing: Mnih et al. 2015) */
    uint64_t             epsilon_visits;    /* 0: epsilon for every row */
    double               temperature;   /* Q_TABLE: > 0, or -1 for epsilon */
    double               floor;         /* P_TABLE: each eligible action gets at
                                           least floor / n before it is
                                           renormalised, under a mask and
                                           after slot 1; default 0.01 */
} reco_policy_t;

/* ---- reward function (evaluated by the trainer, DESIGN: facts are logged,
 * rewards are computed) -------------------------------------------------- */

typedef enum {
    RECO_TERM_PRESENT,          /* "click": 0.5 - once, if the fact's sum > 0 */
    RECO_TERM_PER_UNIT,         /* "revenue_per_unit": 0.01 - times the sum */
    RECO_TERM_OVER              /* {"over": "60s", "value": 0.5} - once, if the
                                   sum is above 'over' (durations in seconds) */
} reco_term_kind_t;

typedef struct {
    reco_str_t        fact;
    reco_term_kind_t  kind;
    double            value;
    double            over;
    uint64_t          window_ms;    /* facts later than this after the
                                       decision do not count; default: the
                                       horizon */
    bool              next_session; /* PRESENT: the fact also happens by
                                       itself, with value 1, when the
                                       customer's next session begins */
} reco_term_t;

typedef struct {
    reco_term_t  *terms;
    uint32_t      nterms;
    uint64_t      horizon_ms;       /* default 30 minutes */
    double        fallback;         /* "default": the reward of a decision
                                       without any fact; default 0 */
} reco_reward_t;

/* ---- learning (used by the trainer) --------------------------------------- */

typedef struct {
    double    learning_rate;        /* alpha of Q-learning, 0..1; 0.01 */
    double    discount_factor;      /* gamma, 0 to below 1; 0.95 */
    uint64_t  episode_gap_ms;       /* longer after its last decision a
                                       customer's session has ended; 30 min */
    double    shrinkage;            /* what a state's prior, the value of the
                                       coarser state, weighs, in visits; 10 */
    uint64_t  max_states;           /* rows of the table; 1,000,000 */
} reco_learning_t;

/* How long a snapshot's history keeps what, before its as-of time; 0: none. */
typedef struct {
    uint64_t  recommendations_ms;
    uint64_t  agent_ms;
    uint64_t  rewards_ms;
} reco_retention_t;

/* ---- items: what an action, as a strategy, recommends ---------------------- */

typedef enum {
    RECO_BY_NOTHING,            /* the list of that name */
    RECO_BY_KEY,                /* the list of that name and a fixed key */
    RECO_BY_FEATURE,            /* ... and the feature's word */
    RECO_BY_CART,               /* ... and each item of the cart */
    RECO_BY_CART_CATEGORY,      /* ... and each item's category, each once */
    RECO_BY_HISTORY             /* ... and each item of the customer's history */
} reco_list_by_t;

/* Ids in a customer's history, a word of RECO_MAX_ID bytes, at most. */
#define RECO_MAX_KEYS           128

typedef struct {
    reco_str_t      list;
    reco_list_by_t  by;
    reco_str_t      key;        /* BY_KEY */
    uint32_t        feature;    /* BY_FEATURE: a category without codes */
    double          weight;     /* > 0; 1 */
    uint32_t        keys;       /* BY_CART and on: only the first so many,
                                   1..RECO_MAX_KEYS; that */
    uint32_t        depth;      /* only the first so many entries of a list,
                                   1..RECO_MAX_LIST; that */
} reco_candidates_t;

/* An item's score is the sum over its lists of weight times its score there. */
typedef struct {
    reco_str_t          id;         /* of the action */
    reco_candidates_t  *from;
    uint32_t            nfrom;
} reco_strategy_t;

typedef struct {
    uint32_t            slate;          /* items, 1..RECO_MAX_SLATE; 0: the
                                           model recommends no items */
    uint32_t            per_family;     /* of one family at most; 0: any */
    reco_str_t          history;        /* field of the customer's record: ids
                                           of items, newest first, separated by
                                           blanks; empty: none */
    int                 history_index;  /* of the field, -1 without */
    int                 prefer;         /* feature: items whose category is its
                                           word score (1 + boost) times as
                                           much; -1: none */
    double              boost;
    reco_strategy_t    *strategies;     /* as the spec gives them */
    uint32_t            nstrategies;
    int32_t            *by_action;      /* strategy of each action, or -1: only
                                           'fill' (set when bound) */
    reco_candidates_t  *fill;           /* after the strategy's own, in order,
                                           as long as slots are free */
    uint32_t            nfill;
} reco_items_spec_t;

/* Texts are borrowed from the snapshot, and valid while it is. */
typedef struct {
    reco_str_t  id;
    reco_str_t  name;           /* may be empty */
    reco_str_t  category;       /* may be empty */
    reco_str_t  family;         /* variants of one product share it; empty: the
                                   item is a family of its own */
    double      price;          /* NAN when unknown */
    bool        available;      /* in stock */
} reco_item_t;

/* A ranked list: entries of 12 bytes (docs/FORMAT.md), best first, read by
 * reco_list_entry(). */
typedef struct {
    const uint8_t  *entries;
    uint32_t        n;
} reco_list_t;

typedef struct {
    uint32_t  item;
    double    score;            /* finite, >= 0 */
} reco_list_entry_t;

/* Where items and lists are kept. */
typedef struct {
    bool  (*item)(void *data, uint32_t index, reco_item_t *out);
    bool  (*find)(void *data, reco_str_t id, uint32_t *index);
    bool  (*list)(void *data, reco_str_t name, reco_str_t key,
                  reco_list_t *out);
} reco_items_source_t;

/* ---- CSV columns, for batch scoring ------------------------------------- */

/* "columns": {"customer": "CLIENT", "features": {"age": "AGE"},
 *             "actions": {"OFFER_1": "MAY_SEE_1"}}; a feature's request field
 * that is not mapped is looked for under its own name; an action without a
 * column is offered to everybody. */
typedef struct {
    reco_str_t  name;           /* feature's request field or action id */
    reco_str_t  column;
} reco_column_t;

/* ---- the table of values, wherever it is kept --------------------------- */

typedef struct {
    uint16_t  action;               /* catalogue index */
    double    value;                /* Q or probability */
    uint64_t  visits;
    double    confidence;           /* posterior probability that the action is
                                       the state's best; NAN where unknown */
} reco_entry_t;

/* A state's row, unaligned little-endian (docs/FORMAT.md); entry i is read by
 * reco_row_entry(), entries rise by action. Valid while the snapshot is. */
typedef struct {
    const uint8_t  *entries;
    uint32_t        n;
    uint64_t        visits;
} reco_row_t;

typedef bool (*reco_lookup_pt)(void *data, reco_str_t state_key,
    reco_row_t *row);

/* ---- the model ---------------------------------------------------------- */

typedef struct {
    reco_str_t         name;
    reco_str_t         version;
    uint8_t            salt[16];

    reco_feature_t    *features;
    uint32_t           nfeatures;
    uint16_t          *feature_slots;   /* open addressing over the features'
                                           names in the request: index + 1 */
    uint32_t           nfeature_slots;

    reco_catalogue_t   catalogue;
    reco_mask_t        active;          /* catalogue's active actions */
    reco_rule_t       *rules;
    uint32_t           nrules;
    reco_policy_t      policy;
    reco_reward_t      reward;

    reco_str_t         customer_column;     /* default "customer" */
    reco_column_t     *feature_columns;
    uint32_t           nfeature_columns;
    reco_column_t     *action_columns;
    uint32_t           naction_columns;

    reco_learning_t    learning;
    reco_retention_t   history;
    reco_items_spec_t  items;

    reco_lookup_pt     lookup;          /* NULL: no table */
    void              *lookup_data;
    const reco_items_source_t  *items_source;   /* NULL: no items; data is
                                                   lookup_data */

    reco_arena_t       memory;          /* private: what all of this lives in */
    void              *blocks;
} reco_model_t;

void reco_model_free(reco_model_t *model);

/* Catalogue index, or -1. */
int reco_catalogue_find(const reco_catalogue_t *c, reco_str_t id);

/* Index of the feature that takes its value from the request field 'name',
 * or -1. */
int reco_model_request_feature(const reco_model_t *m, reco_str_t name);

reco_entry_t reco_row_entry(const reco_row_t *row, uint32_t i);
reco_list_entry_t reco_list_entry(const reco_list_t *list, uint32_t i);

static inline bool
reco_mask_get(const reco_mask_t *m, uint32_t i)
{
    return (m->bits[i / 64] >> (i % 64)) & 1;
}

static inline void
reco_mask_set(reco_mask_t *m, uint32_t i)
{
    m->bits[i / 64] |= (uint64_t) 1 << (i % 64);
}

static inline void
reco_mask_clear(reco_mask_t *m, uint32_t i)
{
    m->bits[i / 64] &= ~((uint64_t) 1 << (i % 64));
}

const char *reco_source_name(reco_source_t source);
const char *reco_policy_name(const reco_policy_t *policy);

#endif /* RECO_MODEL_H */
