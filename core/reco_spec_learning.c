/*
 * reco_spec_learning.c - "learning" and "history" of a spec: how the trainer
 * learns, and how long what it keeps in the snapshot is kept.
 */

#include "reco_spec_internal.h"

#define DEFAULT_GAP_MS   ((uint64_t) 30 * 60 * 1000)
#define DEFAULT_STATES   1000000
#define MAX_SHRINKAGE    1e12


static bool
read_duration(reco_spec_t *sp, const json_t *obj, const char *name,
    uint64_t *ms)
{
    size_t         mark;
    const json_t  *value;

    value = json_object_get(obj, name);
    if (value == NULL) {
        return true;
    }

    mark = reco_spec_push(sp, name);

    if (!reco_spec_duration(sp, value, ms)) {
        return false;
    }

    reco_spec_pop(sp, mark);

    return true;
}


/* A rate of 0 would learn nothing; with a discount of 1 values need not
 * converge. */
static bool
check_rates(reco_spec_t *sp, const reco_learning_t *l)
{
    if (l->learning_rate == 0) {
        reco_spec_push(sp, "learning_rate");
        return reco_spec_fail(sp, "must be above 0");
    }

    if (l->discount_factor == 1) {
        reco_spec_push(sp, "discount_factor");
        return reco_spec_fail(sp, "must be below 1");
    }

    return true;
}


bool
reco_spec_learning(reco_spec_t *sp, const json_t *obj)
{
    uint32_t          max = DEFAULT_STATES;
    reco_learning_t  *l = &sp->model->learning;

    static const char *const  names[] = {
        "learning_rate", "discount_factor", "episode_gap", "shrinkage",
        "max_states", "description", NULL
    };

    l->learning_rate = 0.01;
    l->discount_factor = 0.95;
    l->episode_gap_ms = DEFAULT_GAP_MS;
    l->shrinkage = 10;
    l->max_states = max;

    if (obj == NULL) {
        return true;
    }

    if (!reco_spec_object(sp, obj, names)
        || !reco_spec_member_number(sp, obj, "learning_rate", 0, 1,
                                    &l->learning_rate)
        || !reco_spec_member_number(sp, obj, "discount_factor", 0, 1,
                                    &l->discount_factor)
        || !check_rates(sp, l)
        || !read_duration(sp, obj, "episode_gap", &l->episode_gap_ms)
        || !reco_spec_member_number(sp, obj, "shrinkage", 0, MAX_SHRINKAGE,
                                    &l->shrinkage)
        || !reco_spec_member_integer(sp, obj, "max_states", 1, UINT32_MAX,
                                     &max))
    {
        return false;
    }

    l->max_states = max;

    return true;
}


bool
reco_spec_history(reco_spec_t *sp, const json_t *obj)
{
    reco_retention_t  *h = &sp->model->history;

    static const char *const  names[] = {
        "recommendations", "agent", "rewards", "description", NULL
    };

    return obj == NULL
           || (reco_spec_object(sp, obj, names)
               && read_duration(sp, obj, "recommendations",
                                &h->recommendations_ms)
               && read_duration(sp, obj, "agent", &h->agent_ms)
               && read_duration(sp, obj, "rewards", &h->rewards_ms));
}
