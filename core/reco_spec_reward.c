/*
 * reco_spec_reward.c - "reward" of a spec: how logged facts become a number.
 */

#include "reco_spec_internal.h"

#include <float.h>
#include <string.h>

#define DEFAULT_HORIZON_MS  ((uint64_t) 30 * 60 * 1000)
#define MAX_VALUE           1e12

static const char  per_unit[] = "_per_unit";


/* ---- terms -------------------------------------------------------------- */

/* "over": "60s" or 60, a sum above which the term counts; durations are
 * summed in seconds. */
static bool
read_over(reco_spec_t *sp, const json_t *value, reco_term_t *term)
{
    size_t    mark;
    uint64_t  ms;

    mark = reco_spec_push(sp, "over");

    if (term->kind == RECO_TERM_PER_UNIT) {
        return reco_spec_fail(sp, "is not for a reward per unit");
    }

    term->kind = RECO_TERM_OVER;

    if (json_is_string(value)) {
        if (!reco_spec_duration(sp, value, &ms)) {
            return false;
        }

        term->over = (double) ms / 1000;

    } else if (!reco_spec_number(sp, value, -DBL_MAX, DBL_MAX, &term->over)) {
        return false;
    }

    reco_spec_pop(sp, mark);

    return true;
}


/* "on": "next_session": a fact that no client logs. */
static bool
read_on(reco_spec_t *sp, const json_t *value, reco_term_t *term)
{
    size_t       mark;
    const char  *name;

    mark = reco_spec_push(sp, "on");
    name = json_string_value(value);

    if (name == NULL || strcmp(name, "next_session") != 0) {
        return reco_spec_fail(sp, "must be \"next_session\"");
    }

    if (term->kind != RECO_TERM_PRESENT) {
        return reco_spec_fail(sp, "is for a reward that is given once, without "
                              "\"over\" or \"_per_unit\"");
    }

    term->next_session = true;
    reco_spec_pop(sp, mark);

    return true;
}


static bool
read_term_object(reco_spec_t *sp, const json_t *obj, reco_term_t *term)
{
    size_t         mark;
    const json_t  *over, *window, *on;

    static const char *const  names[] = {
        "on", "over", "value", "window", NULL
    };

    if (!reco_spec_object(sp, obj, names)) {
        return false;
    }

    if (json_object_get(obj, "value") == NULL) {
        reco_spec_push(sp, "value");
        return reco_spec_fail(sp, "is missing");
    }

    if (!reco_spec_member_number(sp, obj, "value", -MAX_VALUE, MAX_VALUE,
                                 &term->value))
    {
        return false;
    }

    over = json_object_get(obj, "over");
    if (over != NULL && !read_over(sp, over, term)) {
        return false;
    }

    on = json_object_get(obj, "on");
    if (on != NULL && !read_on(sp, on, term)) {
        return false;
    }

    window = json_object_get(obj, "window");
    if (window != NULL) {
        mark = reco_spec_push(sp, "window");

        if (!reco_spec_duration(sp, window, &term->window_ms)) {
            return false;
        }

        reco_spec_pop(sp, mark);
    }

    return true;
}


static bool
read_term(reco_spec_t *sp, const char *key, const json_t *value,
    reco_term_t *term)
{
    size_t  mark, suffix = sizeof(per_unit) - 1;

    mark = reco_spec_push(sp, key);

    if (!reco_spec_key(sp, key, &term->fact)) {
        return false;
    }

    term->kind = RECO_TERM_PRESENT;
    term->window_ms = sp->model->reward.horizon_ms;

    if (term->fact.len > suffix
        && memcmp(term->fact.data + term->fact.len - suffix, per_unit,
                  suffix) == 0)
    {
        term->kind = RECO_TERM_PER_UNIT;
        term->fact.len -= suffix;
    }

    if (json_is_object(value)) {
        if (!read_term_object(sp, value, term)) {
            return false;
        }

    } else if (!reco_spec_number(sp, value, -MAX_VALUE, MAX_VALUE,
                                 &term->value))
    {
        return false;
    }

    reco_spec_pop(sp, mark);

    return true;
}


static bool
read_terms(reco_spec_t *sp, json_t *obj)
{
    void           *iter;
    size_t          n;
    const char     *key;
    reco_reward_t  *reward = &sp->model->reward;

    n = json_object_size(obj);
    if (n > RECO_SPEC_MAX_TERMS) {
        return reco_spec_limit(sp, "has %zu members, the limit is %d", n,
                               RECO_SPEC_MAX_TERMS);
    }

    reward->terms = reco_spec_alloc(sp, n, sizeof(reco_term_t));
    if (reward->terms == NULL) {
        return false;
    }

    for (iter = json_object_iter(obj);
         iter != NULL;
         iter = json_object_iter_next(obj, iter))
    {
        key = json_object_iter_key(iter);

        if (strcmp(key, "horizon") == 0 || strcmp(key, "default") == 0) {
            continue;
        }

        if (!read_term(sp, key, json_object_iter_value(iter),
                       &reward->terms[reward->nterms]))
        {
            return false;
        }

        reward->nterms++;
    }

    return true;
}


/* ---- the reward function ------------------------------------------------ */

bool
reco_spec_reward(reco_spec_t *sp, const json_t *obj)
{
    size_t          mark;
    const json_t   *horizon;
    reco_reward_t  *reward = &sp->model->reward;

    reward->horizon_ms = DEFAULT_HORIZON_MS;

    if (obj == NULL) {
        return true;
    }

    if (!json_is_object(obj)) {
        return reco_spec_fail(sp, "must be an object");
    }

    /* first: it is the terms' default window */
    horizon = json_object_get(obj, "horizon");
    if (horizon != NULL) {
        mark = reco_spec_push(sp, "horizon");

        if (!reco_spec_duration(sp, horizon, &reward->horizon_ms)) {
            return false;
        }

        reco_spec_pop(sp, mark);
    }

    return reco_spec_member_number(sp, obj, "default", -MAX_VALUE, MAX_VALUE,
                                   &reward->fallback)
           && read_terms(sp, (json_t *) obj);
}
