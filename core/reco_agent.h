/*
 * reco_agent.h - what reco_agent shows of a model that learns: metrics, the
 * agent's state, the history of its recommendations. A format renders them
 * (reco_format_t.agent); none of it is on the path of a decision.
 */

#ifndef RECO_AGENT_H
#define RECO_AGENT_H

#include "reco_format.h"
#include "reco_history.h"
#include "reco_snapshot.h"

#define RECO_HISTORY_LIMIT          100     /* records of an answer ... */
#define RECO_HISTORY_LIMIT_MAX      1000    /* ... and at most */
#define RECO_AGENT_RECENT           20      /* recent_actions of the state */

typedef struct {
    reco_str_t  name;
    uint64_t    count;
} reco_count_t;

/* All strings are borrowed, for the time of one call. */
typedef struct {
    const reco_model_t            *model;       /* the fallback's without a
                                                   snapshot */
    const reco_snapshot_info_t    *info;        /* NULL: no snapshot */
    uint64_t                       generation;
    uint64_t                       published_ms;    /* 0: unknown */
    uint64_t                       snapshot_bytes;  /* of the file */
    uint64_t                       time_ms;         /* now */

    /* counted in shared memory since it was new */
    bool                           counted;     /* there is such memory */
    const reco_count_t            *actions;     /* decided on, of this model */
    uint32_t                       nactions;
    const reco_count_t            *facts;       /* logged, of all models */
    uint32_t                       nfacts;

    /* recommendations, newest first: of the state the latest
     * RECO_AGENT_RECENT, of the history those that were asked for */
    const reco_history_t *const   *records;
    uint32_t                       nrecords;
} reco_agent_t;

typedef struct {
    reco_str_t  customer;       /* id as given, or empty: anybody's */
    reco_str_t  customer_key;   /* the caller's to fill */
    reco_str_t  session;        /* or empty */
    reco_str_t  action;         /* or empty */
    uint64_t    from_ms;        /* from_ms <= time < to_ms */
    uint64_t    to_ms;
    uint32_t    limit;
    bool        csv;
} reco_history_query_t;

struct reco_agent_format_s {
    /* RECO_NO_MEMORY: what is in 'out' is not to be sent. */
    reco_status_t (*render_metrics)(reco_buf_t *out,
        const reco_agent_t *agent);
    reco_status_t (*render_state)(reco_buf_t *out, const reco_agent_t *agent);

    reco_status_t (*parse_history)(reco_str_t args, reco_arena_t *arena,
        reco_history_query_t *query, reco_error_t *err);
    void (*render_history)(reco_buf_t *out, const reco_agent_t *agent,
        const reco_history_query_t *query);

    /* Bytes that any of them may need for this agent. */
    size_t (*bound)(const reco_agent_t *agent);
};

/* The arguments of a query string, decoded into the arena. RECO_INVALID with
 * the argument's name in err->field. */
reco_status_t reco_history_query_parse(reco_str_t args, reco_arena_t *arena,
    reco_history_query_t *query, reco_error_t *err);

/* Whether a record is one that the query asks for; but for the customer, who
 * is compared only where the query names one. */
bool reco_history_matches(const reco_history_query_t *query,
    const reco_history_t *record);

extern const reco_agent_format_t  reco_agent_cart;

#endif /* RECO_AGENT_H */
