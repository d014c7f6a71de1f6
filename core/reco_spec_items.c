/*
 * reco_spec_items.c - "items" of a spec: from a strategy to the lists that its
 * items come from. Read with the spec; bound when actions and customer fields
 * are known.
 */

#include "reco_spec_internal.h"

#include <string.h>

#define MAX_LISTS       16          /* of one strategy, and of "fill" */
#define MAX_WEIGHT      1e6         /* of a list, and of a preference */

static const char  customer_prefix[] = "customer.";


/* ---- reading ------------------------------------------------------------ */

/* A category whose value is the word itself, which may be a list's key. */
static bool
read_feature(reco_spec_t *sp, const char *name, uint32_t *feature)
{
    int                    i;
    const reco_feature_t  *f;

    i = reco_spec_find_feature(sp->model, name);
    if (i == -1) {
        return reco_spec_fail(sp, "is no feature's name");
    }

    f = &sp->model->features[i];

    if (f->type != RECO_FEATURE_CATEGORY || f->ncodes > 0) {
        return reco_spec_fail(sp, "must be a category without codes");
    }

    *feature = (uint32_t) i;

    return true;
}


static bool
read_by(reco_spec_t *sp, const json_t *value, reco_candidates_t *c)
{
    const char  *by;

    if (!json_is_string(value)) {
        return reco_spec_fail(sp, "must be cart, cart.category, history or a "
                              "feature's name");
    }

    by = json_string_value(value);

    if (strcmp(by, "cart") == 0) {
        c->by = RECO_BY_CART;
        return true;
    }

    if (strcmp(by, "cart.category") == 0) {
        c->by = RECO_BY_CART_CATEGORY;
        return true;
    }

    if (strcmp(by, "history") == 0) {
        c->by = RECO_BY_HISTORY;
        return sp->model->items.history.len > 0
               || reco_spec_fail(sp, "needs the \"history\" of the items");
    }

    c->by = RECO_BY_FEATURE;

    return read_feature(sp, by, &c->feature);
}


/* Which lists of that name. */
static bool
read_which(reco_spec_t *sp, const json_t *obj, reco_candidates_t *c)
{
    size_t         mark;
    const json_t  *by = json_object_get(obj, "by");

    c->by = RECO_BY_NOTHING;

    if (json_object_get(obj, "key") != NULL) {
        c->by = RECO_BY_KEY;
    }

    if (by != NULL) {
        mark = reco_spec_push(sp, "by");

        if (c->by == RECO_BY_KEY) {
            return reco_spec_fail(sp, "is not for a list with a \"key\"");
        }

        if (!read_by(sp, by, c)) {
            return false;
        }

        reco_spec_pop(sp, mark);
    }

    if (c->by < RECO_BY_CART && json_object_get(obj, "keys") != NULL) {
        reco_spec_push(sp, "keys");
        return reco_spec_fail(sp, "is for lists by cart, cart.category or "
                              "history");
    }

    return true;
}


static bool
read_candidates(reco_spec_t *sp, const json_t *obj, bool weighted,
    reco_candidates_t *c)
{
    static const char *const  names[] = {
        "list", "key", "by", "keys", "depth", NULL
    };
    static const char *const  weighted_names[] = {
        "list", "key", "by", "keys", "depth", "weight", NULL
    };

    c->weight = 1;
    c->keys = RECO_MAX_KEYS;
    c->depth = RECO_MAX_LIST;

    if (!reco_spec_object(sp, obj, weighted ? weighted_names : names)
        || !reco_spec_member_id(sp, obj, "list", true, &c->list)
        || !reco_spec_member_id(sp, obj, "key", false, &c->key)
        || !reco_spec_member_number(sp, obj, "weight", 0, MAX_WEIGHT,
                                    &c->weight)
        || !reco_spec_member_integer(sp, obj, "keys", 1, RECO_MAX_KEYS,
                                     &c->keys)
        || !reco_spec_member_integer(sp, obj, "depth", 1, RECO_MAX_LIST,
                                     &c->depth))
    {
        return false;
    }

    if (!(c->weight > 0)) {
        reco_spec_push(sp, "weight");
        return reco_spec_fail(sp, "must be above 0");
    }

    return read_which(sp, obj, c);
}


static bool
read_lists(reco_spec_t *sp, const json_t *array, bool weighted,
    reco_candidates_t **lists, uint32_t *n)
{
    size_t    mark;
    uint32_t  i;

    if (!reco_spec_array(sp, array, 1, MAX_LISTS)) {
        return false;
    }

    *n = (uint32_t) json_array_size(array);
    *lists = reco_spec_alloc(sp, *n, sizeof(reco_candidates_t));
    if (*lists == NULL) {
        return false;
    }

    for (i = 0; i < *n; i++) {
        mark = reco_spec_push_index(sp, i);

        if (!read_candidates(sp, json_array_get(array, i), weighted,
                             &(*lists)[i]))
        {
            return false;
        }

        reco_spec_pop(sp, mark);
    }

    return true;
}


static bool
read_strategies(reco_spec_t *sp, json_t *obj)
{
    void               *iter;
    size_t              n, mark;
    const char         *key;
    reco_strategy_t    *s;
    reco_items_spec_t  *items = &sp->model->items;

    if (!json_is_object(obj)) {
        return reco_spec_fail(sp, "must be an object from an action's id to "
                              "its lists");
    }

    n = json_object_size(obj);
    if (n > RECO_MAX_ACTIONS) {
        return reco_spec_limit(sp, "has %zu members, the limit is %d", n,
                               RECO_MAX_ACTIONS);
    }

    items->strategies = reco_spec_alloc(sp, n, sizeof(reco_strategy_t));
    if (items->strategies == NULL) {
        return false;
    }

    for (iter = json_object_iter(obj);
         iter != NULL;
         iter = json_object_iter_next(obj, iter))
    {
        key = json_object_iter_key(iter);
        mark = reco_spec_push(sp, key);
        s = &items->strategies[items->nstrategies++];

        if (!reco_spec_key(sp, key, &s->id)
            || !read_lists(sp, json_object_iter_value(iter), true, &s->from,
                           &s->nfrom))
        {
            return false;
        }

        reco_spec_pop(sp, mark);
    }

    return true;
}


static bool
read_prefer(reco_spec_t *sp, json_t *obj)
{
    size_t              mark;
    uint32_t            feature;
    const json_t       *name;
    reco_items_spec_t  *items = &sp->model->items;

    static const char *const  names[] = { "feature", "boost", NULL };

    items->boost = -1;

    if (!reco_spec_object(sp, obj, names)
        || !reco_spec_member_number(sp, obj, "boost", 0, MAX_WEIGHT,
                                    &items->boost))
    {
        return false;
    }

    if (items->boost < 0) {
        reco_spec_push(sp, "boost");
        return reco_spec_fail(sp, "is missing");
    }

    mark = reco_spec_push(sp, "feature");
    name = json_object_get(obj, "feature");

    if (!json_is_string(name)) {
        return reco_spec_fail(sp, "must be a feature's name");
    }

    if (!read_feature(sp, json_string_value(name), &feature)) {
        return false;
    }

    items->prefer = (int) feature;
    reco_spec_pop(sp, mark);

    return true;
}


/* "customer.bought" and "bought" are the same field. */
static bool
read_history(reco_spec_t *sp, const json_t *obj)
{
    size_t       prefix = sizeof(customer_prefix) - 1;
    reco_str_t  *field = &sp->model->items.history;

    *field = RECO_STR("");

    if (!reco_spec_member_id(sp, obj, "history", false, field)) {
        return false;
    }

    if (field->len >= prefix
        && memcmp(field->data, customer_prefix, prefix) == 0)
    {
        field->data += prefix;
        field->len -= prefix;

        if (field->len == 0) {
            reco_spec_push(sp, "history");
            return reco_spec_fail(sp, "must name a field of the customer's "
                                  "record");
        }
    }

    return true;
}


static bool
read_member(reco_spec_t *sp, const json_t *obj, const char *name,
    bool (*read)(reco_spec_t *sp, json_t *value), bool required)
{
    size_t   mark;
    json_t  *value;

    value = json_object_get(obj, name);
    if (value == NULL && !required) {
        return true;
    }

    mark = reco_spec_push(sp, name);

    if (value == NULL) {
        return reco_spec_fail(sp, "is missing");
    }

    if (!read(sp, value)) {
        return false;
    }

    reco_spec_pop(sp, mark);

    return true;
}


static bool
read_fill(reco_spec_t *sp, json_t *value)
{
    return read_lists(sp, value, false, &sp->model->items.fill,
                      &sp->model->items.nfill);
}


bool
reco_spec_items(reco_spec_t *sp, const json_t *obj)
{
    reco_items_spec_t  *items = &sp->model->items;

    static const char *const  names[] = {
        "description", "slate", "per_family", "history", "prefer",
        "strategies", "fill", NULL
    };

    items->prefer = -1;
    items->history_index = -1;

    if (!reco_spec_object(sp, obj, names)
        || !reco_spec_member_integer(sp, obj, "slate", 1, RECO_MAX_SLATE,
                                     &items->slate)
        || !reco_spec_member_integer(sp, obj, "per_family", 0, RECO_MAX_SLATE,
                                     &items->per_family))
    {
        return false;
    }

    if (items->slate == 0) {
        reco_spec_push(sp, "slate");
        return reco_spec_fail(sp, "is missing");
    }

    return read_history(sp, obj)        /* before what goes by it */
           && read_member(sp, obj, "prefer", read_prefer, false)
           && read_member(sp, obj, "strategies", read_strategies, true)
           && read_member(sp, obj, "fill", read_fill, false);
}


/* ---- binding ------------------------------------------------------------ */

static bool
bind_strategies(reco_spec_t *sp)
{
    int                 action;
    size_t              mark, inner;
    uint32_t            i, n = sp->model->catalogue.n;
    reco_items_spec_t  *items = &sp->model->items;

    items->by_action = reco_spec_alloc(sp, n, sizeof(int32_t));
    if (items->by_action == NULL) {
        return false;
    }

    for (i = 0; i < n; i++) {
        items->by_action[i] = -1;
    }

    mark = reco_spec_push(sp, "items");
    reco_spec_push(sp, "strategies");

    for (i = 0; i < items->nstrategies; i++) {
        inner = reco_spec_push(sp, items->strategies[i].id.data);

        action = reco_catalogue_find(&sp->model->catalogue,
                                     items->strategies[i].id);
        if (action == -1) {
            return reco_spec_fail(sp, "is no action's id");
        }

        items->by_action[action] = (int32_t) i;
        reco_spec_pop(sp, inner);
    }

    reco_spec_pop(sp, mark);

    return true;
}


bool
reco_spec_bind_items(reco_spec_t *sp, const reco_str_t *customer_fields,
    uint32_t nfields)
{
    uint32_t            i;
    reco_items_spec_t  *items = &sp->model->items;

    if (items->slate == 0) {
        return true;
    }

    if (sp->model->policy.slate != 1) {
        reco_spec_push(sp, "policy");
        reco_spec_push(sp, "slate");
        return reco_spec_fail(sp, "must be 1 in a model with items");
    }

    items->history_index = -1;

    for (i = 0; i < nfields && items->history.len > 0; i++) {
        if (reco_str_equal(customer_fields[i], items->history)) {
            items->history_index = (int) i;
            break;
        }
    }

    return bind_strategies(sp);
}
