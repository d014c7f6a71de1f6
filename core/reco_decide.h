/*
 * reco_decide.h - the decision: a pure function of the model, the resolved
 * features, the eligible actions and a random key. No I/O, no allocation, no
 * clock. Module, batch scoring, evaluation and replay all come through here.
 *
 *   reco_features_resolve()   request, customer, geo, time -> features
 *   reco_eligible()           request's flags AND active AND rules -> mask
 *   reco_decide()             features, mask, key -> slate with propensities
 */

#ifndef RECO_DECIDE_H
#define RECO_DECIDE_H

#include "reco_model.h"

/* ---- what a caller gives ------------------------------------------------ */

/* Filled by a format (reco_format.h) from a request, or by a tool from a row
 * or a record. */
typedef struct {
    reco_str_t     customer;        /* the id as the client gave it, or empty */
    reco_str_t     customer_key;    /* what is logged and looked up: the id, or
                                       its keyed hash (reco_token.h) */
    reco_str_t     session;         /* may be empty */
    uint64_t       time_ms;         /* server's wall clock, since 1970 */
    reco_str_t     country;         /* ISO 3166-1 alpha-2 from geo, or empty */
    uint32_t       slate;           /* slots wanted; 0: the policy's number;
                                       never more than that */
    bool           explain;
    bool           has_flags;       /* the request names what may be shown ... */
    reco_mask_t    flags;           /* ... and these are they; an id that is
                                       not in the catalogue is ignored */
    uint32_t       ncart;           /* ids of the items in the cart */
    uint32_t       nexclude;        /* ids of items not to recommend */
    uint32_t       unknown_fields;  /* features and ids nobody knows: ignored,
                                       counted, shown when explained */
    reco_value_t   given[RECO_MAX_FEATURES];    /* by feature index, from the
                                                   request, unconverted */
    reco_str_t     cart[RECO_MAX_CART];         /* the first ncart, nexclude */
    reco_str_t     exclude[RECO_MAX_CART];
} reco_request_t;

/* Clears what matters for a model with nfeatures features. */
void reco_request_reset(reco_request_t *r, uint32_t nfeatures);

/* A customer's record: fields by the snapshot's customer field index. Points
 * into the snapshot's map; valid while the snapshot is. */
typedef struct {
    const uint8_t  *data;           /* NULL: unknown customer */
    size_t          len;
} reco_customer_t;

/* MISSING when the record has no such field. */
reco_value_t reco_customer_field(const reco_customer_t *c, int index);

/* ---- features ----------------------------------------------------------- */

typedef struct {
    uint32_t       n;
    reco_value_t   value[RECO_MAX_FEATURES];    /* converted */
    uint8_t        source[RECO_MAX_FEATURES];   /* reco_source_t */
} reco_features_t;

/* Each feature from the first source that has it. A request's value that
 * cannot be converted, or a required feature nobody has, is RECO_INVALID with
 * the feature's name in err->field. Words are borrowed. A bad value in a
 * customer record is treated like an absent one. */
reco_status_t reco_features_resolve(const reco_model_t *model,
    const reco_request_t *request, const reco_customer_t *customer,
    reco_features_t *out, reco_error_t *err);

/* Index of the bin of x: the number of edges <= x. */
uint32_t reco_feature_bin(const reco_feature_t *f, double x);

/* Whether the value of a category with a vocabulary counts as "other" in a
 * state. */
bool reco_feature_is_other(const reco_feature_t *f, const reco_value_t *v);

/* Features of the policy's full state whose value counts as "other". */
uint32_t reco_state_unseen(const reco_model_t *model,
    const reco_features_t *f);

/* The state key of a level of the policy (0: the full state): the level's
 * features' fields in order, each the bin (number with bins), the code or the
 * word ("other" for one that is not in the feature's vocabulary), empty when
 * missing, joined by the byte 0x1f; with per_slot, the slot (from 1) as a last
 * field. A key that would be empty is one byte 0x1f. Keys of level l > 0 begin
 * with the byte 0x1e, the digit l and the byte 0x1f. Returns its length, at
 * most RECO_MAX_STATE_KEY, or 0 when it does not fit 'size'. */
size_t reco_state_key(const reco_model_t *model, const reco_features_t *f,
    uint32_t level, uint32_t slot, char *key, size_t size);

/* ---- eligibility -------------------------------------------------------- */

bool reco_condition_holds(const reco_condition_t *c,
    const reco_features_t *f);

/* *out = flags (all, when has_flags is false) AND active AND rules. Returns
 * the number of eligible actions. */
uint32_t reco_eligible(const reco_model_t *model, const reco_features_t *f,
    bool has_flags, const reco_mask_t *flags, reco_mask_t *out);

/* Why an action is not eligible: "not offered", "inactive" or the rule's
 * index; for explanations. */
typedef struct {
    enum { RECO_BECAUSE_ELIGIBLE, RECO_BECAUSE_FLAG, RECO_BECAUSE_INACTIVE,
           RECO_BECAUSE_RULE } because;
    uint32_t  rule;
} reco_reason_t;

reco_reason_t reco_eligible_reason(const reco_model_t *model,
    const reco_features_t *f, bool has_flags, const reco_mask_t *flags,
    uint32_t action);

/* ---- sampler ------------------------------------------------------------ */

#define RECO_ONE    ((uint64_t) 1 << 32)    /* propensity 1 */

/* Turns n weights >= 0 into integers that sum to RECO_ONE exactly: each
 * rounded to the nearest, the difference given to the largest (the first of
 * equals). All weights 0 (or not finite): uniform. Sums in index order. */
void reco_quantise(const double *weights, uint32_t n, uint64_t *p);

/* The index i with p[0] + .. + p[i-1] <= u < p[0] + .. + p[i]. */
uint32_t reco_draw(const uint64_t *p, uint32_t n, uint32_t u);

/* The uniform number of a slot (from 1): the upper half of XXH3_64bits() of
 * salt, key and slot (4 bytes, little-endian), one after the other. Same
 * inputs, same number, on any machine. */
uint32_t reco_uniform(const uint8_t salt[16], const char *key, size_t key_len,
    uint32_t slot);

/* e^x with IEEE additions and multiplications only, so that every compiler
 * and libm gives the same bits; within 2 ulp for |x| < 700. */
double reco_exp(double x);

/* ---- the decision ------------------------------------------------------- */

/* Room to work in; large, belongs to the caller, needs no clearing. */
typedef struct {
    uint16_t  left[RECO_MAX_ACTIONS];       /* eligible, not yet drawn */
    double    base[RECO_MAX_ACTIONS];       /* by action: weight, P or Q of
                                               this slot's row */
    double    weights[RECO_MAX_ACTIONS];    /* along left */
    uint64_t  p[RECO_MAX_ACTIONS];          /* along left, quantised */
    char      key[RECO_MAX_STATE_KEY];
} reco_scratch_t;

typedef struct {
    uint32_t   n;                               /* slots filled */
    uint32_t   eligible;                        /* actions eligible */
    uint32_t   pinned;                          /* first slots taken by pins */
    uint16_t   action[RECO_MAX_SLATE];          /* catalogue indices */
    uint64_t   propensity[RECO_MAX_SLATE];      /* conditional on the slots
                                                   before, 1..RECO_ONE */
    bool       state_known;                     /* the table had slot 1's row */
    uint8_t    level;                           /* of slot 1's row: 0 the full
                                                   state, then coarser ones */
    uint8_t    unseen;                          /* features of the full state
                                                   whose word counted as
                                                   "other" */
    double     epsilon;                         /* Q_TABLE: slot 1 was explored
                                                   with; 1 where the state is
                                                   unknown; else NAN */
    double     value;                           /* of slot 1's action in that
                                                   row; NAN without a row */
    double     confidence;                      /* of slot 1's action among the
                                                   eligible ones (the row's,
                                                   renormalised), or NAN */
    bool       low_mass;                        /* P_TABLE: in some slot what
                                                   was eligible and not yet
                                                   drawn held less than half of
                                                   the row's mass */
} reco_decision_t;

/* Draws slot by slot without replacement. 'slate' 0 means the policy's own
 * number; fewer slots come out when fewer actions are eligible.
 * RECO_NONE_ELIGIBLE when there is none. 'sticky' policies use the customer's
 * key as random key where it is not empty, else id: the decision id's text,
 * as the log has it. */
reco_status_t reco_decide(const reco_model_t *model, const reco_features_t *f,
    const reco_mask_t *eligible, uint32_t slate, reco_str_t id,
    reco_str_t customer_key, reco_scratch_t *scratch, reco_decision_t *out);

/* What a row with so many visits is explored with; NAN where the policy has no
 * epsilon. */
double reco_epsilon(const reco_policy_t *policy, uint64_t visits);

/* The distribution of one slot, given what the slots before it took: fills
 * scratch->left[0..n-1] and scratch->p[0..n-1] and returns n. 'taken' has
 * slot - 1 catalogue indices. What reco_decide() draws from; for
 * explanations, evaluation and inclusion probabilities. */
uint32_t reco_distribution(const reco_model_t *model,
    const reco_features_t *f, const reco_mask_t *eligible,
    const uint16_t *taken, uint32_t slot, reco_scratch_t *scratch,
    bool *state_known, bool *low_mass);

#endif /* RECO_DECIDE_H */
