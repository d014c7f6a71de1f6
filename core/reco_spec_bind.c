/*
 * reco_spec_bind.c - the second half of reading a spec: ids become indices
 * into the catalogue, customer fields indices into a record.
 */

#include "reco_spec_internal.h"

#include <math.h>
#include <string.h>


/* ---- catalogue ---------------------------------------------------------- */

static bool
copy_text(reco_spec_t *sp, reco_str_t from, reco_str_t *to)
{
    char  *p;

    p = reco_spec_alloc(sp, from.len + 1, 1);
    if (p == NULL) {
        return false;
    }

    if (from.len != 0) {
        memcpy(p, from.data, from.len);
    }

    *to = (reco_str_t) { p, from.len };

    return true;
}


static bool
copy_action(reco_spec_t *sp, const reco_action_t *from, reco_action_t *to)
{
    size_t  mark;

    mark = reco_spec_push(sp, "id");

    if (!reco_id_is_valid(from->id)) {
        return reco_spec_fail(sp, "must be 1 to %d bytes without control "
                              "characters", RECO_MAX_ID);
    }

    reco_spec_pop(sp, mark);

    if ((from->name.len != 0 && !reco_id_is_valid(from->name))
        || (from->category.len != 0 && !reco_id_is_valid(from->category)))
    {
        return reco_spec_fail(sp, "name and category must be at most %d bytes "
                              "without control characters", RECO_MAX_ID);
    }

    if (isinf(from->price)) {
        reco_spec_push(sp, "price");
        return reco_spec_fail(sp, "must be a finite number");
    }

    to->price = from->price;
    to->active = from->active;

    return copy_text(sp, from->id, &to->id)
           && copy_text(sp, from->name, &to->name)
           && copy_text(sp, from->category, &to->category);
}


static bool
copy_catalogue(reco_spec_t *sp, const reco_action_t *actions, uint32_t n)
{
    size_t             mark;
    uint32_t           i;
    reco_catalogue_t  *c = &sp->model->catalogue;

    if (n > RECO_MAX_ACTIONS) {
        return reco_spec_limit(sp, "has %u entries, the limit is %d", n,
                               RECO_MAX_ACTIONS);
    }

    c->actions = reco_spec_alloc(sp, n, sizeof(reco_action_t));
    if (c->actions == NULL) {
        return false;
    }

    c->n = n;

    for (i = 0; i < n; i++) {
        mark = reco_spec_push_index(sp, i);

        if (!copy_action(sp, &actions[i], &c->actions[i])) {
            return false;
        }

        reco_spec_pop(sp, mark);
    }

    return true;
}


static bool
bind_catalogue(reco_spec_t *sp, const reco_action_t *actions, uint32_t n)
{
    int                indexed;
    size_t             mark;
    uint32_t           i;
    reco_catalogue_t  *c = &sp->model->catalogue;

    mark = reco_spec_push(sp, "actions");

    if (actions != NULL && !copy_catalogue(sp, actions, n)) {
        return false;
    }

    indexed = reco_model_index_catalogue(sp->model);

    if (indexed < 0) {
        return reco_spec_no_memory(sp);
    }

    if ((uint32_t) indexed < c->n) {
        reco_spec_push_index(sp, (size_t) indexed);
        reco_spec_push(sp, "id");
        return reco_spec_fail(sp, "is the id of another action");
    }

    for (i = 0; i < c->n; i++) {
        if (c->actions[i].active) {
            reco_mask_set(&sp->model->active, i);
        }
    }

    reco_spec_pop(sp, mark);

    return true;
}


/* ---- ids ---------------------------------------------------------------- */

static bool
bind_rule(reco_spec_t *sp, reco_rule_t *rule)
{
    int       action;
    size_t    mark, inner;
    uint32_t  i;

    static const char *const  kinds[] = { "deny", "allow", "pin" };

    rule->actions = reco_spec_alloc(sp, rule->nactions, sizeof(uint16_t));
    rule->mask = reco_spec_alloc(sp, 1, sizeof(reco_mask_t));
    if (rule->actions == NULL || rule->mask == NULL) {
        return false;
    }

    mark = reco_spec_push(sp, kinds[rule->kind]);

    for (i = 0; i < rule->nactions; i++) {
        inner = reco_spec_push_index(sp, i);

        action = reco_catalogue_find(&sp->model->catalogue, rule->ids[i]);
        if (action == -1) {
            return reco_spec_fail(sp, "is no action's id");
        }

        rule->actions[i] = (uint16_t) action;
        reco_mask_set(rule->mask, (uint32_t) action);
        reco_spec_pop(sp, inner);
    }

    reco_spec_pop(sp, mark);

    return true;
}


static bool
bind_rules(reco_spec_t *sp)
{
    size_t    mark, inner;
    uint32_t  i;

    mark = reco_spec_push(sp, "rules");

    for (i = 0; i < sp->model->nrules; i++) {
        inner = reco_spec_push_index(sp, i);

        if (!bind_rule(sp, &sp->model->rules[i])) {
            return false;
        }

        reco_spec_pop(sp, inner);
    }

    reco_spec_pop(sp, mark);

    return true;
}


/* From a weight for each id the spec names to one for each action. */
static bool
bind_weights(reco_spec_t *sp, reco_weights_t *w)
{
    int       action;
    size_t    mark, inner;
    double   *weights;
    uint32_t  i, n = sp->model->catalogue.n;

    weights = reco_spec_alloc(sp, n, sizeof(double));
    if (weights == NULL) {
        return false;
    }

    mark = reco_spec_push(sp, "weights");

    for (i = 0; i < w->nweights; i++) {
        inner = reco_spec_push(sp, w->ids[i].data);

        action = reco_catalogue_find(&sp->model->catalogue, w->ids[i]);
        if (action == -1) {
            return reco_spec_fail(sp, "is no action's id");
        }

        weights[action] = w->weights[i];
        reco_spec_pop(sp, inner);
    }

    w->weights = weights;
    w->nweights = n;
    w->ids = NULL;
    reco_spec_pop(sp, mark);

    return true;
}


static bool
bind_policy(reco_spec_t *sp)
{
    size_t           mark, inner;
    uint32_t         i;
    reco_policy_t   *policy = &sp->model->policy;

    if (!policy->by_action) {
        return true;
    }

    mark = reco_spec_push(sp, "policy");

    if (!bind_weights(sp, &policy->cases[0])) {
        return false;
    }

    reco_spec_push(sp, "cases");

    for (i = 1; i < policy->ncases; i++) {
        inner = reco_spec_push_index(sp, i - 1);

        if (!bind_weights(sp, &policy->cases[i])) {
            return false;
        }

        reco_spec_pop(sp, inner);
    }

    reco_spec_pop(sp, mark);

    return true;
}


static bool
bind_columns(reco_spec_t *sp)
{
    size_t         mark, inner;
    uint32_t       i;
    reco_model_t  *model = sp->model;

    mark = reco_spec_push(sp, "columns");
    reco_spec_push(sp, "actions");

    for (i = 0; i < model->naction_columns; i++) {
        inner = reco_spec_push(sp, model->action_columns[i].name.data);

        if (reco_catalogue_find(&model->catalogue,
                                model->action_columns[i].name) == -1)
        {
            return reco_spec_fail(sp, "is no action's id");
        }

        reco_spec_pop(sp, inner);
    }

    reco_spec_pop(sp, mark);

    return true;
}


/* ---- customer fields ---------------------------------------------------- */

static void
bind_customer_field(reco_feature_from_t *from, const reco_str_t *fields,
    uint32_t n)
{
    uint32_t  i;

    from->index = -1;

    for (i = 0; i < n; i++) {
        if (reco_str_equal(fields[i], from->field)) {
            from->index = (int) i;
            return;
        }
    }
}


reco_status_t
reco_spec_bind(reco_model_t *model, const reco_action_t *actions,
    uint32_t nactions, const reco_str_t *customer_fields, uint32_t nfields,
    reco_error_t *err)
{
    uint32_t         i, j;
    reco_spec_t      sp = { .model = model, .err = err, .path = "$",
                            .len = 1 };
    reco_feature_t  *f;

    if (!bind_catalogue(&sp, actions, nactions) || !bind_rules(&sp)
        || !bind_policy(&sp) || !bind_columns(&sp)
        || !reco_spec_bind_items(&sp, customer_fields, nfields))
    {
        return sp.status;
    }

    for (i = 0; i < model->nfeatures; i++) {
        f = &model->features[i];

        for (j = 0; j < f->nfrom; j++) {
            if (f->from[j].source == RECO_SOURCE_CUSTOMER) {
                bind_customer_field(&f->from[j], customer_fields, nfields);
            }
        }
    }

    return RECO_OK;
}
