/*
 * reco_spec.c - a spec's text to a model, and a spec's text to a spec's text
 * with what was learned from data. The JSON tree lives only within the call.
 */

#include "reco_jansson.h"
#include "reco_spec_internal.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>


/* ---- "model", "version", "salt" ----------------------------------------- */

static bool
read_salt(reco_spec_t *sp, const json_t *root)
{
    reco_str_t            salt;
    XXH128_canonical_t    canonical;

    salt = sp->model->name;

    if (!reco_spec_member_id(sp, root, "salt", false, &salt)) {
        return false;
    }

    XXH128_canonicalFromHash(&canonical, XXH3_128bits(salt.data, salt.len));
    memcpy(sp->model->salt, canonical.digest, sizeof(sp->model->salt));

    return true;
}


static bool
read_identity(reco_spec_t *sp, const json_t *root)
{
    sp->model->version = RECO_STR("0");

    return reco_spec_member_id(sp, root, "model", true, &sp->model->name)
           && reco_spec_member_id(sp, root, "version", false,
                                  &sp->model->version)
           && read_salt(sp, root);
}


/* ---- "actions" ---------------------------------------------------------- */

static bool
read_action(reco_spec_t *sp, const json_t *obj, reco_action_t *action)
{
    size_t         i, mark;
    const json_t  *value;

    static const char *const  names[] = {
        "id", "name", "price", "category", "active", NULL
    };

    const struct {
        const char  *name;
        reco_str_t  *text;
    } texts[] = {
        { "name", &action->name },
        { "category", &action->category },
    };

    action->price = NAN;
    action->active = true;

    if (!reco_spec_object(sp, obj, names)
        || !reco_spec_member_id(sp, obj, "id", true, &action->id)
        || !reco_spec_member_number(sp, obj, "price", -DBL_MAX, DBL_MAX,
                                    &action->price)
        || !reco_spec_member_bool(sp, obj, "active", &action->active))
    {
        return false;
    }

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        *texts[i].text = RECO_STR("");

        value = json_object_get(obj, texts[i].name);
        if (value == NULL) {
            continue;
        }

        mark = reco_spec_push(sp, texts[i].name);

        if (!reco_spec_text(sp, value, texts[i].text)) {
            return false;
        }

        reco_spec_pop(sp, mark);
    }

    return true;
}


static bool
read_action_list(reco_spec_t *sp, const json_t *array)
{
    size_t             i, n, mark;
    reco_catalogue_t  *c = &sp->model->catalogue;

    if (!reco_spec_array(sp, array, 0, RECO_MAX_ACTIONS)) {
        return false;
    }

    n = json_array_size(array);
    c->actions = reco_spec_alloc(sp, n, sizeof(reco_action_t));
    if (c->actions == NULL) {
        return false;
    }

    for (i = 0; i < n; i++) {
        mark = reco_spec_push_index(sp, i);

        if (!read_action(sp, json_array_get(array, i), &c->actions[i])) {
            return false;
        }

        reco_spec_pop(sp, mark);
    }

    c->n = (uint32_t) n;

    return true;
}


static bool
read_actions(reco_spec_t *sp, const json_t *root, reco_str_t *file)
{
    size_t         mark;
    const json_t  *value;

    static const char *const  names[] = { "file", NULL };

    mark = reco_spec_push(sp, "actions");
    value = json_object_get(root, "actions");

    if (json_is_array(value)) {
        if (!read_action_list(sp, value)) {
            return false;
        }

    } else if (json_is_object(value)) {
        if (!reco_spec_object(sp, value, names)
            || !reco_spec_member_id(sp, value, "file", true, file))
        {
            return false;
        }

    } else {
        return reco_spec_fail(sp, "must be an array of actions or "
                              "{\"file\": NAME}");
    }

    reco_spec_pop(sp, mark);

    return true;
}


/* ---- "columns" ---------------------------------------------------------- */

static bool
read_column_map(reco_spec_t *sp, const json_t *obj, const char *name,
    reco_column_t **columns, uint32_t *ncolumns)
{
    void     *iter;
    json_t   *map;
    size_t    mark, inner;

    map = json_object_get(obj, name);
    if (map == NULL) {
        return true;
    }

    mark = reco_spec_push(sp, name);

    if (!json_is_object(map)) {
        return reco_spec_fail(sp, "must be an object from name to column");
    }

    *columns = reco_spec_alloc(sp, json_object_size(map),
                               sizeof(reco_column_t));
    if (*columns == NULL) {
        return false;
    }

    for (iter = json_object_iter(map);
         iter != NULL;
         iter = json_object_iter_next(map, iter))
    {
        inner = reco_spec_push(sp, json_object_iter_key(iter));

        if (!reco_spec_key(sp, json_object_iter_key(iter),
                           &(*columns)[*ncolumns].name)
            || !reco_spec_id(sp, json_object_iter_value(iter),
                             &(*columns)[*ncolumns].column))
        {
            return false;
        }

        (*ncolumns)++;
        reco_spec_pop(sp, inner);
    }

    reco_spec_pop(sp, mark);

    return true;
}


static bool
read_columns(reco_spec_t *sp, const json_t *root)
{
    size_t         mark;
    uint32_t       i;
    reco_model_t  *model = sp->model;
    const json_t  *obj;

    static const char *const  names[] = {
        "customer", "features", "actions", NULL
    };

    model->customer_column = RECO_STR("customer");

    obj = json_object_get(root, "columns");
    if (obj == NULL) {
        return true;
    }

    mark = reco_spec_push(sp, "columns");

    if (!reco_spec_object(sp, obj, names)
        || !reco_spec_member_id(sp, obj, "customer", false,
                                &model->customer_column)
        || !read_column_map(sp, obj, "features", &model->feature_columns,
                            &model->nfeature_columns)
        || !read_column_map(sp, obj, "actions", &model->action_columns,
                            &model->naction_columns))
    {
        return false;
    }

    for (i = 0; i < model->nfeature_columns; i++) {
        if (reco_model_request_feature(model, model->feature_columns[i].name)
            == -1)
        {
            reco_spec_push(sp, "features");
            reco_spec_push(sp, model->feature_columns[i].name.data);
            return reco_spec_fail(sp, "no feature comes from a request field "
                                  "of this name");
        }
    }

    reco_spec_pop(sp, mark);

    return true;
}


/* ---- the spec ----------------------------------------------------------- */

static bool
read_part(reco_spec_t *sp, const json_t *root, const char *name,
    bool (*read)(reco_spec_t *sp, const json_t *value), bool always)
{
    size_t         mark;
    const json_t  *value;

    value = json_object_get(root, name);
    if (value == NULL && !always) {
        return true;
    }

    mark = reco_spec_push(sp, name);

    if (!read(sp, value)) {
        return false;
    }

    reco_spec_pop(sp, mark);

    return true;
}


static bool
read_spec(reco_spec_t *sp, const json_t *root, reco_str_t *file)
{
    static const char *const  names[] = {
        "model", "version", "salt", "description", "features", "actions",
        "rules", "policy", "items", "reward", "learning", "history", "columns",
        NULL
    };

    /* features first: rules, policy and columns name them */
    return reco_spec_object(sp, root, names)
           && read_identity(sp, root)
           && read_part(sp, root, "features", reco_spec_features, false)
           && read_actions(sp, root, file)
           && read_part(sp, root, "rules", reco_spec_rules, false)
           && read_part(sp, root, "policy", reco_spec_policy, true)
           && read_part(sp, root, "items", reco_spec_items, false)
           && read_part(sp, root, "reward", reco_spec_reward, true)
           && read_part(sp, root, "learning", reco_spec_learning, true)
           && read_part(sp, root, "history", reco_spec_history, true)
           && read_columns(sp, root);
}


reco_status_t
reco_spec_read(reco_str_t text, reco_model_t **model, reco_str_t *actions_file,
    reco_error_t *err)
{
    json_t         *root;
    reco_str_t      file = RECO_STR("");
    reco_spec_t     sp = { .err = err, .path = "$", .len = 1 };
    reco_status_t   status;

    *model = NULL;

    status = reco_jansson_load(text, &root, err);
    if (status != RECO_OK) {
        return status;
    }

    sp.model = reco_model_new();

    if (sp.model == NULL) {
        reco_spec_no_memory(&sp);

    } else if (read_spec(&sp, root, &file)) {
        *model = sp.model;

        if (actions_file != NULL) {
            *actions_file = file;
        }

    } else {
        reco_model_free(sp.model);
    }

    json_decref(root);

    return sp.status;
}


/* ---- what is learned from data ------------------------------------------ */

/* obj.name = array; takes the array. */
static bool
set_array(json_t *obj, const char *name, json_t *array)
{
    return array != NULL && json_object_set_new(obj, name, array) == 0;
}


static json_t *
edges_array(const reco_learned_t *l)
{
    json_t    *array;
    uint32_t   i;

    array = json_array();

    for (i = 0; array != NULL && i < l->nedges; i++) {
        if (json_array_append_new(array, json_real(l->edges[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    }

    return array;
}


static json_t *
words_array(const reco_learned_t *l)
{
    json_t    *array;
    uint32_t   i;

    array = json_array();

    for (i = 0; array != NULL && i < l->nwords; i++) {
        if (json_array_append_new(array, json_stringn(l->words[i].data,
                                                      l->words[i].len)) != 0)
        {
            json_decref(array);
            return NULL;
        }
    }

    return array;
}


static reco_status_t
check_edges(const reco_feature_t *f, uint32_t feature,
    const reco_learned_t *l, reco_error_t *err)
{
    uint32_t     i;
    reco_spec_t  sp = { .err = err, .path = "$", .len = 1 };

    reco_spec_push(&sp, "features");
    reco_spec_push_index(&sp, feature);
    reco_spec_push(&sp, "bins");

    if (l->nedges >= f->quantiles) {
        reco_spec_fail(&sp, "has %u edges, at most %u make %u quantiles",
                       l->nedges, f->quantiles - 1, f->quantiles);
        return RECO_INVALID;
    }

    for (i = 0; i < l->nedges; i++) {
        if (!isfinite(l->edges[i])
            || (i > 0 && !(l->edges[i] > l->edges[i - 1])))
        {
            reco_spec_fail(&sp, "edge %u is not a number above the one before",
                           i);
            return RECO_INVALID;
        }
    }

    return RECO_OK;
}


static reco_status_t
check_words(const reco_feature_t *f, uint32_t feature,
    const reco_learned_t *l, reco_error_t *err)
{
    reco_spec_t  sp = { .err = err, .path = "$", .len = 1 };

    reco_spec_push(&sp, "features");
    reco_spec_push_index(&sp, feature);
    reco_spec_push(&sp, "vocabulary");

    if (l->nwords == 0 || l->nwords > f->top) {
        reco_spec_fail(&sp, "has %u words, 1 to %u are wanted", l->nwords,
                       f->top);
        return RECO_INVALID;
    }

    return RECO_OK;
}


static reco_status_t
resolve_feature(json_t *obj, const reco_feature_t *f, uint32_t feature,
    const reco_learned_t *l, reco_error_t *err)
{
    bool           set;
    reco_status_t  status;

    if (!l->known || (f->quantiles == 0 && f->top == 0)) {
        return RECO_OK;
    }

    if (f->quantiles != 0) {
        status = check_edges(f, feature, l, err);
        set = status == RECO_OK
              && set_array(json_object_get(obj, "bins"), "edges",
                           edges_array(l));
    } else {
        status = check_words(f, feature, l, err);
        set = status == RECO_OK
              && set_array(json_object_get(obj, "vocabulary"), "words",
                           words_array(l));
    }

    return status != RECO_OK || set
           ? status
           : reco_error_set(err, RECO_NO_MEMORY, NULL, "out of memory");
}


reco_status_t
reco_spec_resolve(reco_str_t text, const reco_model_t *model,
    const reco_learned_t *learned, char **out, size_t *out_len,
    reco_error_t *err)
{
    json_t         *root, *features;
    uint32_t        i;
    reco_status_t   status;

    *out = NULL;
    *out_len = 0;

    status = reco_jansson_load(text, &root, err);
    if (status != RECO_OK) {
        return status;
    }

    features = json_object_get(root, "features");

    for (i = 0;
         i < model->nfeatures && learned != NULL && status == RECO_OK;
         i++)
    {
        status = resolve_feature(json_array_get(features, i),
                                 &model->features[i], i, &learned[i], err);
    }

    if (status == RECO_OK) {
        *out = reco_jansson_dump(root, JSON_COMPACT|JSON_SORT_KEYS);

        if (*out != NULL) {
            *out_len = strlen(*out);
        } else {
            status = reco_error_set(err, RECO_NO_MEMORY, NULL,
                                    "out of memory");
        }
    }

    json_decref(root);

    return status;
}
