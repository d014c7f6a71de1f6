/*
 * reco_spec_internal.h - what the files of the spec reader share: the place
 * in the JSON text that is being read, typed access to its values, and memory
 * that goes with the model. Nothing outside of core/reco_spec*.c and
 * core/reco_model.c includes this.
 */

#ifndef RECO_SPEC_INTERNAL_H
#define RECO_SPEC_INTERNAL_H

#include "reco_spec.h"

#include <jansson.h>

/* Limits of a spec beside those of reco_base.h; documented in docs/SPEC.md. */
#define RECO_SPEC_MAX_EDGES     255     /* bin edges of one feature */
#define RECO_SPEC_MAX_CODES     1024    /* words of one feature */
#define RECO_SPEC_MAX_WORDS     4096    /* in the vocabulary of one feature */
#define RECO_SPEC_MAX_RULES     1024
#define RECO_SPEC_MAX_CASES     256     /* of weights */
#define RECO_SPEC_MAX_TERMS     64      /* of the reward function */
#define RECO_SPEC_MAX_LIST      4096    /* literals of one "in" */
#define RECO_SPEC_MAX_DEPTH     16      /* conditions within conditions */
#define RECO_SPEC_MAX_WEIGHT    1e12
#define RECO_SPEC_MAX_DURATION  ((uint64_t) 3660 * 86400 * 1000)    /* ms */

/* One run of the reader. 'path' is the JSON path of the value at hand; who
 * descends pushes, and pops back to the mark. After a failure the path no
 * longer matters. */
typedef struct {
    reco_model_t   *model;
    reco_error_t   *err;
    reco_status_t   status;
    size_t          len;
    char            path[512];
} reco_spec_t;

/* Zeroed, 8-byte aligned, goes with the model; NULL without memory. */
void *reco_model_alloc(reco_model_t *model, size_t size);
reco_model_t *reco_model_new(void);

/* Builds the table behind reco_model_request_feature(). False without memory.
 * Request fields must be unique. */
bool reco_model_index_features(reco_model_t *model);
/* The same for reco_catalogue_find(); -1 without memory, else the number of
 * actions indexed: fewer than there are when that one's id was seen before. */
int reco_model_index_catalogue(reco_model_t *model);

/* ---- where we are, and what is wrong there ---- */

size_t reco_spec_push(reco_spec_t *sp, const char *key);
size_t reco_spec_push_index(reco_spec_t *sp, size_t i);
void reco_spec_pop(reco_spec_t *sp, size_t mark);

/* All of these return false after filling sp->err. */
bool reco_spec_fail(reco_spec_t *sp, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
bool reco_spec_limit(reco_spec_t *sp, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
bool reco_spec_no_memory(reco_spec_t *sp);

/* Memory of the model; NULL after filling sp->err. */
void *reco_spec_alloc(reco_spec_t *sp, size_t n, size_t size);

/* ---- typed values: each checks, converts, copies ---- */

/* obj is an object without a member that is not in 'names' (ends in NULL). */
bool reco_spec_object(reco_spec_t *sp, const json_t *obj,
    const char *const *names);
bool reco_spec_array(reco_spec_t *sp, const json_t *array, size_t min,
    size_t max);

/* Members that are absent leave *out as it is. */
bool reco_spec_member_bool(reco_spec_t *sp, const json_t *obj,
    const char *name, bool *out);
bool reco_spec_member_number(reco_spec_t *sp, const json_t *obj,
    const char *name, double min, double max, double *out);
bool reco_spec_member_integer(reco_spec_t *sp, const json_t *obj,
    const char *name, uint32_t min, uint32_t max, uint32_t *out);
bool reco_spec_member_id(reco_spec_t *sp, const json_t *obj, const char *name,
    bool required, reco_str_t *out);

bool reco_spec_number(reco_spec_t *sp, const json_t *value, double min,
    double max, double *out);
bool reco_spec_id(reco_spec_t *sp, const json_t *value, reco_str_t *out);
/* A string that may be empty. */
bool reco_spec_text(reco_spec_t *sp, const json_t *value, reco_str_t *out);
/* The name of a member as an id. */
bool reco_spec_key(reco_spec_t *sp, const char *key, reco_str_t *out);
/* "30m" or a number of seconds, above 0. */
bool reco_spec_duration(reco_spec_t *sp, const json_t *value, uint64_t *ms);

/* ---- parts of a spec; the value is at sp->path ---- */

bool reco_spec_features(reco_spec_t *sp, const json_t *array);
bool reco_spec_rules(reco_spec_t *sp, const json_t *array);
bool reco_spec_policy(reco_spec_t *sp, const json_t *obj);
bool reco_spec_reward(reco_spec_t *sp, const json_t *obj);
/* "items"; features are known, actions only when the model is bound. */
bool reco_spec_items(reco_spec_t *sp, const json_t *obj);
/* Strategies to actions, the history's field to its index; at the root. */
bool reco_spec_bind_items(reco_spec_t *sp, const reco_str_t *customer_fields,
    uint32_t nfields);
/* "learning", "history"; NULL gives the defaults. */
bool reco_spec_learning(reco_spec_t *sp, const json_t *obj);
bool reco_spec_history(reco_spec_t *sp, const json_t *obj);
bool reco_spec_condition(reco_spec_t *sp, const json_t *obj, unsigned depth,
    reco_condition_t *out);

/* Rising finite edges, at most RECO_SPEC_MAX_EDGES. */
bool reco_spec_edges(reco_spec_t *sp, const json_t *array, size_t min,
    double **edges, uint32_t *nedges);

/* 1 to RECO_SPEC_MAX_WORDS words, each once, at sp->path; sorted bytewise. */
bool reco_spec_words(reco_spec_t *sp, const json_t *array, reco_str_t **words,
    uint32_t *nwords);

int reco_spec_find_feature(const reco_model_t *model, const char *name);

#endif /* RECO_SPEC_INTERNAL_H */
