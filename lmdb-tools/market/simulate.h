/*
 * simulate.h - sessions of a market's shoppers with a recommender: a snapshot
 * through the core, one fixed action of it, or an oracle that knows the
 * market. What comes out is summed by customer.
 *
 * The shoppers of the part are divided into SIMULATE_CHUNKS chunks, whatever
 * the number of jobs; a chunk is the work of one process and, where there is a
 * log, one incarnation's segments. So the result and the files do not depend
 * on the number of jobs.
 */

#ifndef RECO_SIMULATE_H
#define RECO_SIMULATE_H

#include "agent.h"

#define SIMULATE_CHUNKS     32
#define SIMULATE_NODE       "market"

/* Of one customer. */
typedef struct {
    uint64_t  sessions, decisions;
    uint64_t  converted;        /* sessions in which a recommended item was
                                   bought */
    uint64_t  clicked;          /* decisions with a click */
    uint64_t  returned;         /* sessions followed by another within seven
                                   days ... */
    uint64_t  could_return;     /* ... of so many */
    double    revenue;
    double    reward;           /* of the decisions, by the spec, without what
                                   comes with the next session */
    double    expected;         /* the same before chance */
    double    to_go;            /* sum over decisions after the session's first
                                   of the reward from there on ... */
    uint64_t  gone_on;          /* ... and how many these are */
    uint64_t  failed;           /* --http: requests without an answer */
} simulate_totals_t;

typedef struct {
    const market_t            *market;
    const char                *model;       /* the snapshot's file */
    agent_kind_t               kind;
    uint16_t                   action;      /* FIXED */
    double                     going_on;    /* ORACLE: mean value of going on */
    part_t                     part;        /* PARTS: all */
    uint64_t                   sessions;    /* returns come on top */
    uint64_t                   seed;
    uint64_t                   start_ms;
    uint32_t                   jobs;
    const char                *log;         /* folder, or NULL */
    bool                       quiet;       /* no progress */
} simulate_options_t;

/* totals: by the shop's customers; allocated by the caller, set here. False
 * after a message. */
bool simulate_run(const simulate_options_t *o, simulate_totals_t *totals);

void simulate_add(simulate_totals_t *sum, const simulate_totals_t *t);
/* Midnight after the shop's last basket. */
uint64_t simulate_start(const shop_t *shop);
/* conversion_rate, revenue_per_session, click_through, return_rate, ... */
json_t *simulate_json(const simulate_totals_t *t);
void simulate_print(const simulate_totals_t *t, FILE *out);

/* ---- between simulate.c and simulate_http.c ----------------------------- */

/* The shoppers of a part, and how many sessions each begins. */
typedef struct {
    uint32_t  *numbers;             /* of the shop's customers */
    uint32_t   n;
    uint64_t   sessions;
} simulate_shoppers_t;

bool simulate_shoppers(const simulate_options_t *o, simulate_shoppers_t *out);
/* Sessions that the i-th of them begins. */
uint64_t simulate_share(const simulate_shoppers_t *s, uint32_t i);
/* When the next session that nobody calls a return begins. */
uint64_t simulate_next(const visit_t *v, uint64_t after_ms);

void simulate_count(simulate_totals_t *t, const visit_t *v,
    const visit_answer_t *a, double reward);
void simulate_count_end(simulate_totals_t *t, const visit_t *v, bool returns,
    bool could);

/* ---- simulate_log.c: a chunk's records, in the order of time ------------ */

typedef struct simulate_log_s  simulate_log_t;

simulate_log_t *simulate_log_open(const char *dir, uint32_t incarnation,
    const reco_model_t *model);
/* Seq 0 in the event; it is given when the chunk is written. */
bool simulate_log_decision(simulate_log_t *log, reco_decision_event_t *e);
bool simulate_log_reward(simulate_log_t *log, reco_reward_event_t *e);
/* Writes the segments, and frees all. False after a message. */
bool simulate_log_close(simulate_log_t *log);

#endif /* RECO_SIMULATE_H */
