/*
 * compare_internal.h - between compare.c, compare_arms.c, compare_hits.c and
 * compare_table.c.
 */

#ifndef RECO_COMPARE_INTERNAL_H
#define RECO_COMPARE_INTERNAL_H

#include "compare.h"
#include "interval.h"

enum {
    ARM_BASE,                   /* the agent before it has learned; not shown */
    ARM_RANDOM,
    ARM_RULES,
    ARM_COLLABORATIVE,
    ARM_FIXED,
    ARM_Q_NOW,
    ARM_Q,
    ARM_FITTED_Q,
    ARM_GREEDY,
    ARM_ORACLE,
    ARMS
};

typedef struct {
    const char         *name;       /* of its files, and in JSON */
    const char         *title;
    json_t             *spec;       /* NULL: the agent's */
    const char         *algorithm;  /* of arms that learn */
    double              gamma;
    int                 greedy_of;  /* the arm whose table it is, or -1 */
    double              published;  /* uplift in conversion of the published
                                       agent over this arm; NAN: none */
    agent_kind_t        kind;
    uint16_t            action;     /* FIXED */

    char               *model;      /* snapshot */
    simulate_totals_t  *totals;     /* by customer, over all seeds */
    interval_part_t    *hits;       /* by customer */
    double             *by_seed;    /* conversion rate */
} arm_t;

typedef struct {
    const compare_options_t  *o;
    char                     *dir;
    arm_t                     arms[ARMS];
    char                    **actions;      /* of the agent's spec */
    uint32_t                  nactions;
    uint32_t                  ncustomers;
    double                    going_on;
    simulate_totals_t        *room;         /* of the last simulation */
    tool_progress_t           progress;
} compare_t;

/* A path below the working folder; the caller frees it. */
char *compare_path(const compare_t *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
bool compare_step(const compare_t *c, int (*command)(int, char **),
    const char *const *args);
bool compare_publish(compare_t *c, arm_t *arm, const char *snapshot);

/* Reads the agent's spec and derives those of the other arms. */
bool compare_arms(compare_t *c);

/* Adds to arm->hits, for each customer of the part with two baskets or more:
 * the probability that one of the items recommended before the second half of
 * the last basket is in that half. The oracle has none. */
bool compare_hits(compare_t *c, arm_t *arm);

void compare_note_seed(compare_t *c, arm_t *arm, uint32_t index);
bool compare_report(compare_t *c);

#endif /* RECO_COMPARE_INTERNAL_H */
