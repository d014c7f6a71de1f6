/*
 * reco_spec_features.c - "features" of a spec: where each takes its value
 * from, what it may be, how it is binned or coded.
 */

#include "reco_spec_internal.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER    RECO_FEATURE_NUMBER
#define CATEGORY  RECO_FEATURE_CATEGORY

static const struct {
    const char           *name;
    reco_source_t         source;
    int                   index;
    reco_feature_type_t   type;
} fixed_sources[] = {
    { "geo.country",  RECO_SOURCE_GEO,  0,                 CATEGORY },
    { "time.hour",    RECO_SOURCE_TIME, RECO_TIME_HOUR,    NUMBER },
    { "time.weekday", RECO_SOURCE_TIME, RECO_TIME_WEEKDAY, NUMBER },
    { "time.month",   RECO_SOURCE_TIME, RECO_TIME_MONTH,   NUMBER },
    { "time.season",  RECO_SOURCE_TIME, RECO_TIME_SEASON,  NUMBER },
};

#define NFIXED    (sizeof(fixed_sources) / sizeof(fixed_sources[0]))
#define MAX_FROM  (sizeof(((reco_feature_t *) 0)->from) \
                   / sizeof(reco_feature_from_t))


int
reco_spec_find_feature(const reco_model_t *model, const char *name)
{
    uint32_t    i;
    reco_str_t  s = { name, strlen(name) };

    for (i = 0; i < model->nfeatures; i++) {
        if (reco_str_equal(model->features[i].name, s)) {
            return (int) i;
        }
    }

    return -1;
}


/* ---- "from" ------------------------------------------------------------- */

static bool
same_from(const reco_feature_from_t *a, const reco_feature_from_t *b)
{
    return a->source == b->source && a->index == b->index
           && reco_str_equal(a->field, b->field);
}


/* "request", "request.FIELD", "customer", "customer.FIELD" */
static bool
read_field_source(reco_spec_t *sp, const reco_feature_t *f, const char *text,
    reco_feature_from_t *from)
{
    size_t      i, n;
    reco_str_t  field;

    static const struct {
        const char     *name;
        reco_source_t   source;
    } prefixes[] = {
        { "request", RECO_SOURCE_REQUEST },
        { "customer", RECO_SOURCE_CUSTOMER },
    };

    for (i = 0; i < 2; i++) {
        n = strlen(prefixes[i].name);

        if (strncmp(text, prefixes[i].name, n) != 0) {
            continue;
        }

        from->source = prefixes[i].source;
        from->index = -1;

        if (text[n] == '\0') {
            from->field = f->name;
            return true;
        }

        if (text[n] != '.') {
            continue;
        }

        if (!reco_spec_key(sp, text + n + 1, &field)) {
            return false;
        }

        from->field = field;
        return true;
    }

    return reco_spec_fail(sp, "must be \"request\", \"request.FIELD\", "
                          "\"customer\", \"customer.FIELD\", \"geo.country\", "
                          "\"time.hour\", \"time.weekday\", \"time.month\" "
                          "or \"time.season\"");
}


static bool
read_source(reco_spec_t *sp, const json_t *value, reco_feature_t *f)
{
    size_t                i;
    const char           *text;
    reco_feature_from_t  *from = &f->from[f->nfrom];

    if (!json_is_string(value)) {
        return reco_spec_fail(sp, "must be a string");
    }

    text = json_string_value(value);

    for (i = 0; i < NFIXED; i++) {
        if (strcmp(text, fixed_sources[i].name) == 0) {
            break;
        }
    }

    if (i == NFIXED) {
        if (!read_field_source(sp, f, text, from)) {
            return false;
        }

    } else if (f->type != fixed_sources[i].type) {
        return reco_spec_fail(sp, "gives a %s, the feature is a %s",
            fixed_sources[i].type == RECO_FEATURE_NUMBER ? "number"
                                                         : "category",
            f->type == RECO_FEATURE_NUMBER ? "number" : "category");

    } else {
        from->source = fixed_sources[i].source;
        from->index = fixed_sources[i].index;
        from->field = (reco_str_t) { strchr(fixed_sources[i].name, '.') + 1,
                                     strlen(fixed_sources[i].name)
                                     - strcspn(fixed_sources[i].name, ".")
                                     - 1 };
    }

    for (i = 0; i < f->nfrom; i++) {
        if (same_from(&f->from[i], from)) {
            return reco_spec_fail(sp, "is there twice");
        }

        if (f->from[i].source == RECO_SOURCE_REQUEST
            && from->source == RECO_SOURCE_REQUEST)
        {
            return reco_spec_fail(sp, "is a second request field; a feature "
                                  "has at most one");
        }
    }

    f->nfrom++;

    return true;
}


static bool
read_from(reco_spec_t *sp, const json_t *obj, reco_feature_t *f)
{
    size_t         i, mark, inner;
    const json_t  *array;

    array = json_object_get(obj, "from");

    if (array == NULL) {
        f->from[0] = (reco_feature_from_t) { RECO_SOURCE_REQUEST, f->name,
                                             -1 };
        f->nfrom = 1;
        return true;
    }

    mark = reco_spec_push(sp, "from");

    if (!reco_spec_array(sp, array, 1, MAX_FROM)) {
        return false;
    }

    for (i = 0; i < json_array_size(array); i++) {
        inner = reco_spec_push_index(sp, i);

        if (!read_source(sp, json_array_get(array, i), f)) {
            return false;
        }

        reco_spec_pop(sp, inner);
    }

    reco_spec_pop(sp, mark);

    return true;
}


/* Two features must not wait for the same field of the request: it has one
 * place for its value. */
static bool
check_request_field(reco_spec_t *sp, const reco_feature_t *f, uint32_t nbefore)
{
    uint32_t               i, j, k;
    const reco_feature_t  *other;

    for (i = 0; i < f->nfrom; i++) {
        if (f->from[i].source != RECO_SOURCE_REQUEST) {
            continue;
        }

        for (j = 0; j < nbefore; j++) {
            other = &sp->model->features[j];

            for (k = 0; k < other->nfrom; k++) {
                if (same_from(&f->from[i], &other->from[k])) {
                    reco_spec_push(sp, "from");
                    return reco_spec_fail(sp, "request field '%.*s' already "
                                          "belongs to feature '%.*s'",
                                          (int) f->from[i].field.len,
                                          f->from[i].field.data,
                                          (int) other->name.len,
                                          other->name.data);
                }
            }
        }
    }

    return true;
}


/* ---- "bins" ------------------------------------------------------------- */

bool
reco_spec_edges(reco_spec_t *sp, const json_t *array, size_t min,
    double **edges, uint32_t *nedges)
{
    double  *x;
    size_t   i, n, mark;

    if (!reco_spec_array(sp, array, min, RECO_SPEC_MAX_EDGES)) {
        return false;
    }

    n = json_array_size(array);
    x = reco_spec_alloc(sp, n, sizeof(double));
    if (x == NULL) {
        return false;
    }

    for (i = 0; i < n; i++) {
        mark = reco_spec_push_index(sp, i);

        if (!reco_spec_number(sp, json_array_get(array, i), -DBL_MAX, DBL_MAX,
                              &x[i]))
        {
            return false;
        }

        if (i > 0 && x[i] <= x[i - 1]) {
            return reco_spec_fail(sp, "must be above the edge before it");
        }

        reco_spec_pop(sp, mark);
    }

    *edges = x;
    *nedges = (uint32_t) n;

    return true;
}


static bool
read_quantiles(reco_spec_t *sp, const json_t *obj, reco_feature_t *f)
{
    size_t         mark;
    const json_t  *edges;

    static const char *const  names[] = { "quantiles", "edges", NULL };

    if (!reco_spec_object(sp, obj, names)
        || !reco_spec_member_integer(sp, obj, "quantiles", 2,
                                     RECO_SPEC_MAX_EDGES + 1, &f->quantiles))
    {
        return false;
    }

    if (f->quantiles == 0) {
        reco_spec_push(sp, "quantiles");
        return reco_spec_fail(sp, "is missing");
    }

    edges = json_object_get(obj, "edges");
    if (edges == NULL) {
        return true;
    }

    mark = reco_spec_push(sp, "edges");

    /* data that is all alike leaves no edge */
    if (!reco_spec_edges(sp, edges, 0, &f->edges, &f->nedges)) {
        return false;
    }

    if (f->nedges >= f->quantiles) {
        return reco_spec_fail(sp, "has %u edges, at most %u make %u quantiles",
                              f->nedges, f->quantiles - 1, f->quantiles);
    }

    reco_spec_pop(sp, mark);

    return true;
}


static bool
read_bins(reco_spec_t *sp, const json_t *obj, reco_feature_t *f)
{
    bool           ok;
    size_t         mark;
    const json_t  *bins;

    bins = json_object_get(obj, "bins");
    if (bins == NULL) {
        return true;
    }

    mark = reco_spec_push(sp, "bins");

    if (f->type != RECO_FEATURE_NUMBER) {
        return reco_spec_fail(sp, "is for features of type number");
    }

    if (json_is_object(bins)) {
        ok = read_quantiles(sp, bins, f);
    } else if (json_is_array(bins)) {
        ok = reco_spec_edges(sp, bins, 1, &f->edges, &f->nedges);
    } else {
        ok = reco_spec_fail(sp, "must be an array of rising edges or "
                            "{\"quantiles\": n}");
    }

    if (!ok) {
        return false;
    }

    reco_spec_pop(sp, mark);

    return true;
}


/* ---- "codes" ------------------------------------------------------------ */

/* The order reco_feature_convert() searches in. */
static int
compare_codes(const void *one, const void *two)
{
    const reco_code_t  *a = one, *b = two;

    if (a->word.len != b->word.len) {
        return a->word.len < b->word.len ? -1 : 1;
    }

    return memcmp(a->word.data, b->word.data, a->word.len);
}


static bool
read_code(reco_spec_t *sp, const char *key, const json_t *value,
    reco_code_t *code)
{
    size_t      mark;
    json_int_t  n;

    mark = reco_spec_push(sp, key);

    if (!reco_spec_key(sp, key, &code->word)) {
        return false;
    }

    n = json_integer_value(value);

    if (!json_is_integer(value) || n < INT32_MIN || n > INT32_MAX) {
        return reco_spec_fail(sp, "must be a whole number of 32 bits");
    }

    code->code = (int32_t) n;
    reco_spec_pop(sp, mark);

    return true;
}


static bool
read_codes(reco_spec_t *sp, const json_t *obj, reco_feature_t *f)
{
    void    *iter;
    json_t  *codes;
    size_t   mark, n;

    codes = json_object_get(obj, "codes");
    if (codes == NULL) {
        return true;
    }

    mark = reco_spec_push(sp, "codes");

    if (f->type != RECO_FEATURE_CATEGORY) {
        return reco_spec_fail(sp, "is for features of type category");
    }

    n = json_object_size(codes);

    if (!json_is_object(codes) || n == 0) {
        return reco_spec_fail(sp, "must be an object from word to code");
    }

    if (n > RECO_SPEC_MAX_CODES) {
        return reco_spec_limit(sp, "has %zu words, the limit is %d", n,
                               RECO_SPEC_MAX_CODES);
    }

    f->codes = reco_spec_alloc(sp, n, sizeof(reco_code_t));
    if (f->codes == NULL) {
        return false;
    }

    for (iter = json_object_iter(codes);
         iter != NULL;
         iter = json_object_iter_next(codes, iter))
    {
        if (!read_code(sp, json_object_iter_key(iter),
                       json_object_iter_value(iter), &f->codes[f->ncodes]))
        {
            return false;
        }

        f->ncodes++;
    }

    qsort(f->codes, f->ncodes, sizeof(reco_code_t), compare_codes);
    reco_spec_pop(sp, mark);

    return true;
}


/* ---- "vocabulary" ------------------------------------------------------- */

static int
compare_words(const void *one, const void *two)
{
    int                order;
    const reco_str_t  *a = one, *b = two;

    order = memcmp(a->data, b->data, a->len < b->len ? a->len : b->len);

    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}


bool
reco_spec_words(reco_spec_t *sp, const json_t *array, reco_str_t **words,
    uint32_t *nwords)
{
    size_t       i, n, mark;
    reco_str_t  *w;

    if (!reco_spec_array(sp, array, 1, RECO_SPEC_MAX_WORDS)) {
        return false;
    }

    n = json_array_size(array);
    w = reco_spec_alloc(sp, n, sizeof(reco_str_t));
    if (w == NULL) {
        return false;
    }

    for (i = 0; i < n; i++) {
        mark = reco_spec_push_index(sp, i);

        if (!reco_spec_id(sp, json_array_get(array, i), &w[i])) {
            return false;
        }

        reco_spec_pop(sp, mark);
    }

    qsort(w, n, sizeof(reco_str_t), compare_words);

    for (i = 1; i < n; i++) {
        if (reco_str_equal(w[i], w[i - 1])) {
            return reco_spec_fail(sp, "has the word '%.*s' twice",
                                  (int) w[i].len, w[i].data);
        }
    }

    *words = w;
    *nwords = (uint32_t) n;

    return true;
}


/* {"top": n}, or with "words", once they have been learned. */
static bool
read_top(reco_spec_t *sp, const json_t *obj, reco_feature_t *f)
{
    size_t         mark;
    const json_t  *words;

    static const char *const  names[] = { "top", "words", NULL };

    if (!reco_spec_object(sp, obj, names)
        || !reco_spec_member_integer(sp, obj, "top", 1, RECO_SPEC_MAX_WORDS,
                                     &f->top))
    {
        return false;
    }

    if (f->top == 0) {
        reco_spec_push(sp, "top");
        return reco_spec_fail(sp, "is missing");
    }

    words = json_object_get(obj, "words");
    if (words == NULL) {
        return true;
    }

    mark = reco_spec_push(sp, "words");

    if (!reco_spec_words(sp, words, &f->words, &f->nwords)) {
        return false;
    }

    if (f->nwords > f->top) {
        return reco_spec_fail(sp, "has %u words, more than \"top\"",
                              f->nwords);
    }

    reco_spec_pop(sp, mark);

    return true;
}


static bool
read_vocabulary(reco_spec_t *sp, const json_t *obj, reco_feature_t *f)
{
    bool           ok;
    size_t         mark;
    const json_t  *words;

    words = json_object_get(obj, "vocabulary");
    if (words == NULL) {
        return true;
    }

    mark = reco_spec_push(sp, "vocabulary");

    if (f->type != RECO_FEATURE_CATEGORY || f->ncodes != 0) {
        return reco_spec_fail(sp, "is for features of type category without "
                              "codes");
    }

    if (json_is_object(words)) {
        ok = read_top(sp, words, f);
    } else if (json_is_array(words)) {
        ok = reco_spec_words(sp, words, &f->words, &f->nwords);
    } else {
        ok = reco_spec_fail(sp, "must be an array of words or {\"top\": n}");
    }

    if (!ok) {
        return false;
    }

    reco_spec_pop(sp, mark);

    return true;
}


/* ---- "default", "required" ---------------------------------------------- */

static bool
read_default(reco_spec_t *sp, const json_t *obj, reco_feature_t *f)
{
    size_t         mark;
    reco_str_t     word;
    reco_value_t   v = { RECO_VALUE_MISSING, 0, { "", 0 } };
    reco_error_t   err;
    const json_t  *value;

    value = json_object_get(obj, "default");
    if (value == NULL) {
        return true;
    }

    mark = reco_spec_push(sp, "default");

    if (f->required) {
        return reco_spec_fail(sp, "makes no sense where the feature is "
                              "required");
    }

    if (json_is_number(value)) {
        v.kind = RECO_VALUE_NUMBER;
        v.number = json_number_value(value);

    } else if (json_is_string(value)) {
        if (!reco_spec_id(sp, value, &word)) {
            return false;
        }

        v.kind = RECO_VALUE_WORD;
        v.word = word;

    } else {
        return reco_spec_fail(sp, "must be a number or a string");
    }

    if (reco_feature_convert(f, &v, false, &err) != RECO_OK) {
        return reco_spec_fail(sp, "%s", err.message);
    }

    f->fallback = v;
    reco_spec_pop(sp, mark);

    return true;
}


/* ---- a feature ---------------------------------------------------------- */

static bool
read_name_and_type(reco_spec_t *sp, const json_t *obj, reco_feature_t *f)
{
    const char  *name, *type;

    if (!reco_spec_member_id(sp, obj, "name", true, &f->name)) {
        return false;
    }

    name = json_string_value(json_object_get(obj, "name"));

    if (reco_spec_find_feature(sp->model, name) != -1) {
        reco_spec_push(sp, "name");
        return reco_spec_fail(sp, "is the name of another feature");
    }

    /* these are operators in a condition */
    if (strcmp(name, "all") == 0 || strcmp(name, "any") == 0
        || strcmp(name, "not") == 0)
    {
        reco_spec_push(sp, "name");
        return reco_spec_fail(sp, "must not be all, any or not");
    }

    type = json_string_value(json_object_get(obj, "type"));

    if (type != NULL && strcmp(type, "number") == 0) {
        f->type = RECO_FEATURE_NUMBER;
        return true;
    }

    if (type != NULL && strcmp(type, "category") == 0) {
        f->type = RECO_FEATURE_CATEGORY;
        return true;
    }

    reco_spec_push(sp, "type");

    return reco_spec_fail(sp, "must be \"number\" or \"category\"");
}


static bool
read_feature(reco_spec_t *sp, const json_t *obj, reco_feature_t *f)
{
    static const char *const  names[] = {
        "name", "type", "from", "required", "bins", "codes", "vocabulary",
        "default", "description", NULL
    };

    return reco_spec_object(sp, obj, names)
           && read_name_and_type(sp, obj, f)
           && read_from(sp, obj, f)
           && check_request_field(sp, f, sp->model->nfeatures)
           && reco_spec_member_bool(sp, obj, "required", &f->required)
           && read_bins(sp, obj, f)
           && read_codes(sp, obj, f)
           && read_vocabulary(sp, obj, f)
           && read_default(sp, obj, f);
}


bool
reco_spec_features(reco_spec_t *sp, const json_t *array)
{
    size_t         i, n, mark;
    reco_model_t  *model = sp->model;

    if (!reco_spec_array(sp, array, 0, RECO_MAX_FEATURES)) {
        return false;
    }

    n = json_array_size(array);
    model->features = reco_spec_alloc(sp, n, sizeof(reco_feature_t));
    if (model->features == NULL) {
        return false;
    }

    for (i = 0; i < n; i++) {
        mark = reco_spec_push_index(sp, i);

        if (!read_feature(sp, json_array_get(array, i), &model->features[i])) {
            return false;
        }

        model->nfeatures++;
        reco_spec_pop(sp, mark);
    }

    return reco_model_index_features(model) || reco_spec_no_memory(sp);
}
