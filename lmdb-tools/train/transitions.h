/*
 * transitions.h - a settled ledger as transitions of a Markov decision
 * process: in state s action a was shown, reward r came, then state s' with
 * the actions that were eligible there, or the end.
 *
 * A step is one decision. The step after it is the next decision of the same
 * customer and session (of the customer, where there is no session), not more
 * than learning.episode_gap later; without one the step is terminal. A
 * decision with neither customer nor session is an episode of its own. Steps
 * have a state on each level of the policy.
 *
 * The learners' input are integer sums by (level, state, action, next state,
 * next eligible set, period): rewards in millionths, weights in thousandths,
 * so that no order of adding changes a bit, and sums of parts of the data add
 * up to those of the whole. Everything belongs to the transitions_t; the
 * ledger must outlive it.
 */

#ifndef RECO_TRANSITIONS_H
#define RECO_TRANSITIONS_H

#include "train.h"

#define TRANSITIONS_NONE        UINT32_MAX
#define TRANSITIONS_MICRO       1e6
#define TRANSITIONS_MILLI       1000
/* Rewards beyond (as an absolute value) are left out. */
#define TRANSITIONS_MAX_REWARD  1e7

/* Why a decision was not learned from. */
typedef enum {
    LEFT_OUT_NOTHING = 0,
    LEFT_OUT_OPEN,              /* its time is not over yet */
    LEFT_OUT_GAP,               /* records were lost after it */
    LEFT_OUT_FALLBACK,          /* made without a snapshot */
    LEFT_OUT_WITHOUT_STATE,     /* none of the state's features is in it */
    LEFT_OUT_UNREADABLE,        /* a feature is of another kind */
    LEFT_OUT_KEY_TOO_LONG,      /* above RECO_MAX_STATE_KEY */
    LEFT_OUT_OTHER_CATALOGUE,   /* its eligible set is of another catalogue */
    LEFT_OUT_UNKNOWN_ACTION,    /* not in the catalogue, or not active */
    LEFT_OUT_SEVERAL_ACTIONS,   /* a slate of more than one slot */
    LEFT_OUT_REWARD,            /* above TRANSITIONS_MAX_REWARD */
    LEFT_OUT_NEXT,              /* what came next has no state: its value is
                                   unknown */
    LEFT_OUT_UNFINISHED,        /* the session may still go on */
    LEFT_OUT_HELD_OUT,          /* kept for the report on back-off */
    LEFT_OUT_N
} left_out_t;

const char *left_out_name(left_out_t reason);

typedef struct {
    const ledger_decision_t  *decision;
    uint32_t                  episode;
    uint32_t                  next;     /* step, NONE: terminal */
    uint32_t                  mask;     /* eligible and active there */
    uint32_t                  period;   /* how many before the as-of time's */
    uint32_t                  weight;   /* thousandths, at most 1000 */
    int64_t                   reward;   /* millionths */
    uint16_t                  action;   /* catalogue index */
    left_out_t                left_out; /* NOTHING: it is learned from */
    bool                      has_state;
} transition_step_t;

/* A state that some step is learned from in, and that is in the table. */
typedef struct {
    reco_str_t  key;
    uint32_t    parent;         /* state of the next coarser level (which is
                                   in the table whenever this one is), NONE at
                                   the coarsest */
    uint64_t    last_ms;        /* of its latest decision */
} transition_state_t;

/* Where a transition leads: a state of this level or, where that one is not in
 * the table, of the first coarser one that is; level == nlevels: none is. */
typedef struct {
    uint32_t  level;
    uint32_t  state;
    uint32_t  mask;
} transition_outcome_t;

typedef __int128  transition_sum_t;

typedef struct {
    uint32_t          state;
    uint32_t          outcome;      /* NONE: terminal */
    uint32_t          period;
    uint16_t          action;
    uint64_t          count;
    uint64_t          weight;       /* sum of w, thousandths */
    uint64_t          weight2;      /* sum of w^2, millionths */
    transition_sum_t  reward;       /* sum of w r, 10^-9 */
    transition_sum_t  square;       /* sum of w r^2, 10^-15 */
} transition_cell_t;

typedef struct {
    transition_state_t    *states;      /* bytewise rising by key */
    uint32_t               nstates;
    uint32_t              *of_step;     /* state of each step, or NONE */
    transition_outcome_t  *outcomes;    /* rising */
    uint32_t               noutcomes;
    transition_cell_t     *cells;       /* by state, action, outcome, period */
    size_t                 ncells;
} transition_level_t;

typedef struct {
    const reco_model_t        *model;
    transition_step_t         *steps;       /* by time, then id */
    uint32_t                   nsteps;
    uint32_t                   nused;
    uint32_t                   nepisodes;   /* with a step learned from */
    reco_mask_t               *masks;       /* each once */
    uint32_t                   nmasks;
    uint32_t                   nlevels;
    transition_level_t         levels[RECO_MAX_LEVELS];
    uint64_t                   dropped;     /* states above max_states */
    uint64_t                   left_out[LEFT_OUT_N];
    const ledger_decision_t  **held_out;
    uint32_t                   nheld_out;
    uint64_t                   period_ms;   /* 0: one period */
    struct transitions_private_s *private;
} transitions_t;

/* NULL after a message. 'half_life_ms' gives the length of a period, a
 * sixteenth of it; 'hold_out' is the share of customers, chosen by the hash of
 * their key. */
transitions_t *transitions_new(const reco_model_t *model, const ledger_t *l,
    uint64_t half_life_ms, double hold_out);
void transitions_free(transitions_t *t);

/* The state of that level with this key, or NONE. */
uint32_t transitions_find(const transition_level_t *level, reco_str_t key);

/* Bytewise, the shorter first. */
int transitions_compare(reco_str_t a, reco_str_t b);

/* ---- between transitions.c and transitions_cells.c ---------------------- */

/* Fills in of each level outcomes and cells; of_step is there. */
void transitions_sum(transitions_t *t);

#endif /* RECO_TRANSITIONS_H */
