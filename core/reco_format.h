/*
 * reco_format.h - adapters between an HTTP API's JSON and the core's request
 * and decision. A format is a table of functions; none of them does I/O,
 * allocates, or knows nginx. Adding a design means adding one table.
 *
 * Data flows: body -> parse -> reco_request_t -> decide -> reco_decision_t ->
 * render -> body.
 */

#ifndef RECO_FORMAT_H
#define RECO_FORMAT_H

#include "reco_buf.h"
#include "reco_decide.h"
#include "reco_event.h"
#include "reco_json.h"

/* What parsing works with; belongs to the caller, one per worker. */
typedef struct {
    reco_arena_t        arena;      /* at least twice the body, plus 1 KB */
    reco_json_keys_t   *keys;
} reco_parse_t;

/* A decision and all that an answer may tell of it. */
typedef struct {
    const reco_model_t      *model;
    const reco_request_t    *request;
    const reco_features_t   *features;
    const reco_mask_t       *eligible;
    const reco_decision_t   *decision;
    const reco_item_slate_t *items;         /* n is 0 where there are none */
    reco_scratch_t          *scratch;       /* for the explanation */
    uint64_t                 generation;
    reco_str_t               token;
    bool                     fallback;
} reco_answer_t;

/* A reward as a client sends it. */
typedef struct {
    reco_str_t    token;            /* decision's, or empty */
    reco_str_t    customer;         /* id as given, or empty; token and
                                       customer are not both empty */
    reco_str_t    session;          /* or empty: then any of the customer's */
    reco_str_t    key;              /* idempotency key, or empty */
    reco_str_t    action;           /* accepted action, or empty */
    uint64_t      time_ms;          /* server's; set before parsing */
    uint32_t      nfacts;
    reco_fact_t   facts[RECO_MAX_FACTS];
    uint32_t      nitems;           /* items it is about */
    reco_str_t    items[RECO_MAX_SLATE];
} reco_reward_request_t;

/* Whether what a model needs is there. What is not configured is not there,
 * and not missed. */
typedef struct {
    reco_str_t  model;
    reco_str_t  version;            /* empty without a snapshot */
    uint64_t    generation;         /* 0: fallback */
    uint64_t    time_ms;
    bool        geo, geo_configured;
    bool        log, log_configured;
} reco_health_t;

typedef struct reco_agent_format_s  reco_agent_format_t;    /* reco_agent.h */

/* What went wrong, for rendering in the format's own shape. */
typedef struct {
    int                   http;         /* 400, 404, ... */
    const char           *code;         /* "invalid_json" ... */
    const reco_error_t   *error;
} reco_problem_t;

typedef struct {
    const char  *name;
    const char  *token_field;   /* in a reward */

    /* Fills request (already reset) for the model. RECO_INVALID with field
     * and position otherwise. args: the query string's text for GET, where
     * the format has one; else empty. */
    reco_status_t (*parse_decide)(reco_str_t body, reco_str_t args,
        const reco_model_t *model, reco_parse_t *parse,
        reco_request_t *request, reco_error_t *err);

    /* variant 0: the plain answer; offers: 1 for /predict-v2. */
    void (*render_decision)(reco_buf_t *out, const reco_answer_t *answer,
        unsigned variant);

    /* An action or fact that the model cannot know is RECO_INVALID where the
     * format says so. Clears what it does not set, but for time_ms. */
    reco_status_t (*parse_reward)(reco_str_t body, const reco_model_t *model,
        reco_parse_t *parse, reco_reward_request_t *reward,
        reco_error_t *err);
    void (*render_reward)(reco_buf_t *out,
        const reco_reward_request_t *reward);

    void (*render_problem)(reco_buf_t *out, const reco_problem_t *problem);

    /* Returns the HTTP status. */
    int (*render_health)(reco_buf_t *out, const reco_health_t *health);

    /* What reco_agent shows; NULL in formats without an agent. */
    const reco_agent_format_t  *agent;

    unsigned     decide_methods;    /* RECO_METHOD_* */
    unsigned     reward_methods;
    unsigned     variants;          /* number of answer variants, >= 1 */
} reco_format_t;

#define RECO_METHOD_GET     0x1     /* HEAD comes with it */
#define RECO_METHOD_POST    0x2
#define RECO_METHOD_PUT     0x4

extern const reco_format_t  reco_format_native;
extern const reco_format_t  reco_format_offers;
extern const reco_format_t  reco_format_cart;

/* NULL when there is none of that name. */
const reco_format_t *reco_format_find(reco_str_t name);

/* Bytes that render_decision of any format may need for this model. */
size_t reco_answer_bound(const reco_model_t *model, bool explain);

#endif /* RECO_FORMAT_H */
