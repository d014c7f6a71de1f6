/*
 * reco_spec_policy.c - "policy" of a spec: how a slate is drawn.
 */

#include "reco_spec_internal.h"

#include <string.h>

/* What each type of policy may have beside "type", "slate", "sticky". */
enum {
    MAY_WEIGHTS = 0x1,
    MAY_STATE = 0x2,
    MAY_FLOOR = 0x4,
    MAY_EXPLORE = 0x8
};

static const struct {
    const char          *name;
    reco_policy_type_t   type;
    unsigned             may;
} types[] = {
    { "uniform", RECO_POLICY_UNIFORM, 0 },
    { "first",   RECO_POLICY_FIRST,   0 },
    { "weights", RECO_POLICY_WEIGHTS, MAY_WEIGHTS },
    { "p_table", RECO_POLICY_P_TABLE, MAY_STATE | MAY_FLOOR },
    { "q_table", RECO_POLICY_Q_TABLE, MAY_STATE | MAY_EXPLORE },
};

static const struct {
    const char  *name;
    unsigned     need;
} members[] = {
    { "type",        0 },
    { "slate",       0 },
    { "sticky",      0 },
    { "description", 0 },
    { "weights",     MAY_WEIGHTS },
    { "cases",       MAY_WEIGHTS },
    { "state",       MAY_STATE },
    { "backoff",     MAY_STATE },
    { "min_visits",  MAY_STATE },
    { "per_slot",    MAY_STATE },
    { "floor",       MAY_FLOOR },
    { "epsilon",     MAY_EXPLORE },
    { "temperature", MAY_EXPLORE },
};

#define NTYPES    (sizeof(types) / sizeof(types[0]))
#define NMEMBERS  (sizeof(members) / sizeof(members[0]))


/* ---- weights ------------------------------------------------------------ */

static bool
read_weights_by_place(reco_spec_t *sp, const json_t *array, reco_weights_t *w)
{
    size_t  i, n, mark;

    if (!reco_spec_array(sp, array, 1, RECO_MAX_ACTIONS)) {
        return false;
    }

    n = json_array_size(array);
    w->weights = reco_spec_alloc(sp, n, sizeof(double));
    if (w->weights == NULL) {
        return false;
    }

    for (i = 0; i < n; i++) {
        mark = reco_spec_push_index(sp, i);

        if (!reco_spec_number(sp, json_array_get(array, i), 0,
                              RECO_SPEC_MAX_WEIGHT, &w->weights[i]))
        {
            return false;
        }

        reco_spec_pop(sp, mark);
    }

    w->nweights = (uint32_t) n;

    return true;
}


static bool
read_weights_by_action(reco_spec_t *sp, json_t *obj, reco_weights_t *w)
{
    void        *iter;
    size_t       n, mark;
    const char  *key;

    n = json_object_size(obj);

    if (n == 0) {
        return reco_spec_fail(sp, "must not be empty");
    }

    if (n > RECO_MAX_ACTIONS) {
        return reco_spec_limit(sp, "has %zu entries, the limit is %d", n,
                               RECO_MAX_ACTIONS);
    }

    w->ids = reco_spec_alloc(sp, n, sizeof(reco_str_t));
    w->weights = reco_spec_alloc(sp, n, sizeof(double));
    if (w->ids == NULL || w->weights == NULL) {
        return false;
    }

    for (iter = json_object_iter(obj);
         iter != NULL;
         iter = json_object_iter_next(obj, iter))
    {
        key = json_object_iter_key(iter);
        mark = reco_spec_push(sp, key);

        if (!reco_spec_key(sp, key, &w->ids[w->nweights])
            || !reco_spec_number(sp, json_object_iter_value(iter), 0,
                                 RECO_SPEC_MAX_WEIGHT,
                                 &w->weights[w->nweights]))
        {
            return false;
        }

        w->nweights++;
        reco_spec_pop(sp, mark);
    }

    return true;
}


/* The member "weights" of obj. The first list decides whether all of them are
 * by place or by action. */
static bool
read_weights(reco_spec_t *sp, const json_t *obj, bool first,
    reco_weights_t *w)
{
    bool            ok;
    size_t          mark;
    json_t         *weights;
    reco_policy_t  *policy = &sp->model->policy;

    mark = reco_spec_push(sp, "weights");
    weights = json_object_get(obj, "weights");

    if (weights == NULL) {
        return reco_spec_fail(sp, "is missing");
    }

    if (!json_is_array(weights) && !json_is_object(weights)) {
        return reco_spec_fail(sp, "must be an array (by place) or an object "
                              "(by action)");
    }

    if (first) {
        policy->by_action = json_is_object(weights);

    } else if (policy->by_action != json_is_object(weights)) {
        return reco_spec_fail(sp, "must be %s, as the first weights are",
                              policy->by_action ? "an object" : "an array");
    }

    ok = policy->by_action ? read_weights_by_action(sp, weights, w)
                           : read_weights_by_place(sp, weights, w);
    if (!ok) {
        return false;
    }

    reco_spec_pop(sp, mark);

    return true;
}


static bool
read_case(reco_spec_t *sp, const json_t *obj, reco_weights_t *w)
{
    size_t         mark;
    const json_t  *when;

    static const char *const  names[] = {
        "when", "weights", "description", NULL
    };

    if (!reco_spec_object(sp, obj, names)
        || !read_weights(sp, obj, false, w))
    {
        return false;
    }

    mark = reco_spec_push(sp, "when");
    when = json_object_get(obj, "when");

    if (when == NULL) {
        return reco_spec_fail(sp, "is missing");
    }

    w->when = reco_spec_alloc(sp, 1, sizeof(reco_condition_t));

    if (w->when == NULL || !reco_spec_condition(sp, when, 1, w->when)) {
        return false;
    }

    reco_spec_pop(sp, mark);

    return true;
}


static bool
read_all_weights(reco_spec_t *sp, const json_t *obj)
{
    size_t          i, n, mark, inner;
    const json_t   *cases;
    reco_policy_t  *policy = &sp->model->policy;

    cases = json_object_get(obj, "cases");
    mark = reco_spec_push(sp, "cases");

    if (cases != NULL
        && !reco_spec_array(sp, cases, 0, RECO_SPEC_MAX_CASES))
    {
        return false;
    }

    reco_spec_pop(sp, mark);

    n = json_array_size(cases);
    policy->cases = reco_spec_alloc(sp, n + 1, sizeof(reco_weights_t));

    if (policy->cases == NULL
        || !read_weights(sp, obj, true, &policy->cases[0]))
    {
        return false;
    }

    policy->ncases = (uint32_t) n + 1;
    reco_spec_push(sp, "cases");

    for (i = 0; i < n; i++) {
        inner = reco_spec_push_index(sp, i);

        if (!read_case(sp, json_array_get(cases, i), &policy->cases[i + 1])) {
            return false;
        }

        reco_spec_pop(sp, inner);
    }

    reco_spec_pop(sp, mark);

    return true;
}


/* ---- tables ------------------------------------------------------------- */

/* A state must have few values: a number counts by its bin. */
static bool
check_state_feature(reco_spec_t *sp, uint32_t feature)
{
    const reco_feature_t  *f = &sp->model->features[feature];

    if (f->type == RECO_FEATURE_NUMBER && f->nedges == 0
        && f->quantiles == 0)
    {
        return reco_spec_fail(sp, "feature '%.*s' is a number without bins, "
                              "which cannot be part of a state",
                              (int) f->name.len, f->name.data);
    }

    return true;
}


static bool
read_state_feature(reco_spec_t *sp, const json_t *value, reco_level_t *level)
{
    int       feature;
    uint32_t  i;

    if (!json_is_string(value)) {
        return reco_spec_fail(sp, "must be a feature's name");
    }

    feature = reco_spec_find_feature(sp->model, json_string_value(value));
    if (feature == -1) {
        return reco_spec_fail(sp, "is not a feature");
    }

    for (i = 0; i < level->n; i++) {
        if (level->features[i] == (uint32_t) feature) {
            return reco_spec_fail(sp, "is there twice");
        }
    }

    level->features[level->n++] = (uint32_t) feature;

    return check_state_feature(sp, (uint32_t) feature);
}


/* An array of features' names, at sp->path. */
static bool
read_level(reco_spec_t *sp, const json_t *array, reco_level_t *level)
{
    size_t  i, mark;

    if (!reco_spec_array(sp, array, 0, RECO_MAX_FEATURES)) {
        return false;
    }

    level->features = reco_spec_alloc(sp, json_array_size(array),
                                      sizeof(uint32_t));
    if (level->features == NULL) {
        return false;
    }

    for (i = 0; i < json_array_size(array); i++) {
        mark = reco_spec_push_index(sp, i);

        if (!read_state_feature(sp, json_array_get(array, i), level)) {
            return false;
        }

        reco_spec_pop(sp, mark);
    }

    return true;
}


static bool
all_features(reco_spec_t *sp, reco_level_t *level)
{
    uint32_t  i;

    level->features = reco_spec_alloc(sp, sp->model->nfeatures,
                                      sizeof(uint32_t));
    if (level->features == NULL) {
        return false;
    }

    for (i = 0; i < sp->model->nfeatures; i++) {
        level->features[level->n++] = i;

        if (!check_state_feature(sp, i)) {
            return false;
        }
    }

    return true;
}


static bool
read_state(reco_spec_t *sp, const json_t *obj)
{
    bool            ok;
    size_t          mark;
    const json_t   *array;
    reco_policy_t  *policy = &sp->model->policy;

    policy->nlevels = 1;
    array = json_object_get(obj, "state");
    mark = reco_spec_push(sp, "state");

    ok = array == NULL ? all_features(sp, &policy->levels[0])
                       : read_level(sp, array, &policy->levels[0]);
    if (!ok) {
        return false;
    }

    reco_spec_pop(sp, mark);

    return true;
}


/* ---- coarser states ----------------------------------------------------- */

static bool
has_feature(const reco_level_t *level, uint32_t feature)
{
    uint32_t  i;

    for (i = 0; i < level->n; i++) {
        if (level->features[i] == feature) {
            return true;
        }
    }

    return false;
}


/* Else a row of a level would not hold all visits of those before it. */
static bool
check_coarser(reco_spec_t *sp, const reco_level_t *fine,
    const reco_level_t *coarse)
{
    uint32_t  i;

    for (i = 0; i < coarse->n; i++) {
        if (!has_feature(fine, coarse->features[i])) {
            reco_spec_push_index(sp, i);
            return reco_spec_fail(sp, "is not in the state before, which this "
                                  "one is to be coarser than");
        }
    }

    if (coarse->n == fine->n) {
        return reco_spec_fail(sp, "has all features of the state before, "
                              "which this one is to be coarser than");
    }

    return true;
}


static bool
read_levels(reco_spec_t *sp, const json_t *array)
{
    size_t          i, mark;
    reco_policy_t  *policy = &sp->model->policy;
    reco_level_t   *level;

    if (!reco_spec_array(sp, array, 1, RECO_MAX_LEVELS - 1)) {
        return false;
    }

    for (i = 0; i < json_array_size(array); i++) {
        mark = reco_spec_push_index(sp, i);
        level = &policy->levels[policy->nlevels];

        if (!read_level(sp, json_array_get(array, i), level)
            || !check_coarser(sp, level - 1, level))
        {
            return false;
        }

        policy->nlevels++;
        reco_spec_pop(sp, mark);
    }

    return true;
}


static bool
read_backoff(reco_spec_t *sp, const json_t *obj)
{
    size_t         mark;
    uint32_t       min = 0;
    const json_t  *array;

    array = json_object_get(obj, "backoff");

    if (array == NULL) {
        if (json_object_get(obj, "min_visits") != NULL) {
            reco_spec_push(sp, "min_visits");
            return reco_spec_fail(sp, "is for a policy with \"backoff\"");
        }

        return true;
    }

    mark = reco_spec_push(sp, "backoff");

    if (!read_levels(sp, array)) {
        return false;
    }

    reco_spec_pop(sp, mark);

    if (!reco_spec_member_integer(sp, obj, "min_visits", 0, UINT32_MAX,
                                  &min))
    {
        return false;
    }

    sp->model->policy.min_visits = min;

    return true;
}


/* ---- exploration -------------------------------------------------------- */

static bool
need_member(reco_spec_t *sp, const json_t *obj, const char *name)
{
    if (json_object_get(obj, name) != NULL) {
        return true;
    }

    reco_spec_push(sp, name);

    return reco_spec_fail(sp, "is missing");
}


/* {"start": 1, "end": 0.1, "visits": 200} */
static bool
read_annealing(reco_spec_t *sp, const json_t *obj)
{
    uint32_t        visits = 0;
    reco_policy_t  *policy = &sp->model->policy;

    static const char *const  names[] = { "start", "end", "visits", NULL };

    if (!reco_spec_object(sp, obj, names)
        || !need_member(sp, obj, "start")
        || !need_member(sp, obj, "end")
        || !need_member(sp, obj, "visits")
        || !reco_spec_member_number(sp, obj, "start", 0, 1,
                                    &policy->epsilon_start)
        || !reco_spec_member_number(sp, obj, "end", 0, 1, &policy->epsilon)
        || !reco_spec_member_integer(sp, obj, "visits", 1, UINT32_MAX,
                                     &visits))
    {
        return false;
    }

    policy->epsilon_visits = visits;

    if (policy->epsilon > policy->epsilon_start) {
        reco_spec_push(sp, "end");
        return reco_spec_fail(sp, "must not be above \"start\"");
    }

    return true;
}


static bool
read_epsilon(reco_spec_t *sp, const json_t *obj)
{
    size_t          mark;
    const json_t   *value;
    reco_policy_t  *policy = &sp->model->policy;

    value = json_object_get(obj, "epsilon");

    if (!json_is_object(value)) {
        if (!reco_spec_member_number(sp, obj, "epsilon", 0, 1,
                                     &policy->epsilon))
        {
            return false;
        }

        policy->epsilon_start = policy->epsilon;

        return true;
    }

    mark = reco_spec_push(sp, "epsilon");

    if (!read_annealing(sp, value)) {
        return false;
    }

    reco_spec_pop(sp, mark);

    return true;
}


static bool
read_table(reco_spec_t *sp, const json_t *obj)
{
    reco_policy_t  *policy = &sp->model->policy;

    if (!read_state(sp, obj)
        || !read_backoff(sp, obj)
        || !reco_spec_member_bool(sp, obj, "per_slot", &policy->per_slot)
        || !reco_spec_member_number(sp, obj, "floor", 0, 1, &policy->floor)
        || !read_epsilon(sp, obj)
        || !reco_spec_member_number(sp, obj, "temperature", 1e-9, 1e9,
                                    &policy->temperature))
    {
        return false;
    }

    if (policy->type != RECO_POLICY_Q_TABLE) {
        return true;
    }

    if (policy->epsilon != -1 && policy->temperature != -1) {
        return reco_spec_fail(sp, "has both \"epsilon\" and \"temperature\"");
    }

    if (policy->epsilon == -1 && policy->temperature == -1) {
        policy->epsilon = 0.1;
        policy->epsilon_start = 0.1;
    }

    return true;
}


/* ---- the policy --------------------------------------------------------- */

static bool
read_type(reco_spec_t *sp, const json_t *obj, unsigned *may)
{
    size_t       i;
    const char  *name;

    if (!json_is_object(obj)) {
        return reco_spec_fail(sp, "must be an object");
    }

    name = json_string_value(json_object_get(obj, "type"));

    for (i = 0; i < NTYPES; i++) {
        if (name != NULL && strcmp(name, types[i].name) == 0) {
            sp->model->policy.type = types[i].type;
            *may = types[i].may;
            return true;
        }
    }

    reco_spec_push(sp, "type");

    return reco_spec_fail(sp, "must be \"uniform\", \"first\", \"weights\", "
                          "\"p_table\" or \"q_table\"");
}


static bool
check_members(reco_spec_t *sp, json_t *obj, unsigned may)
{
    void        *iter;
    size_t       i;
    const char  *key;

    for (iter = json_object_iter(obj);
         iter != NULL;
         iter = json_object_iter_next(obj, iter))
    {
        key = json_object_iter_key(iter);

        for (i = 0; i < NMEMBERS && strcmp(members[i].name, key) != 0; i++) {
            /* void */
        }

        if (i == NMEMBERS) {
            reco_spec_push(sp, key);
            return reco_spec_fail(sp, "is not a member known here");
        }

        if ((members[i].need & ~may) != 0) {
            reco_spec_push(sp, key);
            return reco_spec_fail(sp, "is not for a policy of type \"%s\"",
                                  reco_policy_name(&sp->model->policy));
        }
    }

    return true;
}


bool
reco_spec_policy(reco_spec_t *sp, const json_t *obj)
{
    unsigned        may = 0;
    reco_policy_t  *policy = &sp->model->policy;

    policy->type = RECO_POLICY_UNIFORM;
    policy->slate = 1;
    policy->floor = 0.01;
    policy->epsilon = -1;
    policy->epsilon_start = -1;
    policy->temperature = -1;

    if (obj == NULL) {
        return true;
    }

    if (!read_type(sp, obj, &may)
        || !check_members(sp, (json_t *) obj, may)
        || !reco_spec_member_integer(sp, obj, "slate", 1, RECO_MAX_SLATE,
                                     &policy->slate)
        || !reco_spec_member_bool(sp, obj, "sticky", &policy->sticky))
    {
        return false;
    }

    if (may & MAY_WEIGHTS) {
        return read_all_weights(sp, obj);
    }

    return (may & MAY_STATE) ? read_table(sp, obj) : true;
}
