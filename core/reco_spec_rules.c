/*
 * reco_spec_rules.c - "rules" of a spec, and the conditions in them and in
 * the cases of weights.
 */

#include "reco_spec_internal.h"

#include <string.h>

static const struct {
    const char  *name;
    reco_op_t    op;
} operators[] = {
    { "=",      RECO_OP_EQ },
    { "!=",     RECO_OP_NE },
    { "<",      RECO_OP_LT },
    { "<=",     RECO_OP_LE },
    { ">",      RECO_OP_GT },
    { ">=",     RECO_OP_GE },
    { "in",     RECO_OP_IN },
    { "not_in", RECO_OP_NOT_IN },
};

#define NOPERATORS  (sizeof(operators) / sizeof(operators[0]))


/* ---- comparisons -------------------------------------------------------- */

static bool
read_literal(reco_spec_t *sp, const json_t *value, const reco_feature_t *f,
    reco_value_t *out)
{
    reco_str_t    word;
    reco_value_t  v = { RECO_VALUE_MISSING, 0, { "", 0 } };
    reco_error_t  err;

    if (json_is_number(value)) {
        v.kind = RECO_VALUE_NUMBER;
        v.number = json_number_value(value);

    } else if (json_is_string(value)) {
        if (!reco_spec_id(sp, value, &word)) {
            return false;
        }

        v.kind = RECO_VALUE_WORD;
        v.word = word;

    } else if (json_is_boolean(value) && f->type == RECO_FEATURE_CATEGORY) {
        v.kind = RECO_VALUE_WORD;
        v.word = json_is_true(value) ? RECO_STR("true") : RECO_STR("false");

    } else {
        return reco_spec_fail(sp, "must be a %s",
                              f->type == RECO_FEATURE_NUMBER
                              ? "number" : "word or a code");
    }

    if (reco_feature_convert(f, &v, false, &err) != RECO_OK) {
        return reco_spec_fail(sp, "%s", err.message);
    }

    *out = v;

    return true;
}


static bool
read_list(reco_spec_t *sp, const json_t *array, const reco_feature_t *f,
    reco_condition_t *out)
{
    size_t  i, n, mark;

    if (!reco_spec_array(sp, array, 1, RECO_SPEC_MAX_LIST)) {
        return false;
    }

    n = json_array_size(array);
    out->values = reco_spec_alloc(sp, n, sizeof(reco_value_t));
    if (out->values == NULL) {
        return false;
    }

    for (i = 0; i < n; i++) {
        mark = reco_spec_push_index(sp, i);

        if (!read_literal(sp, json_array_get(array, i), f, &out->values[i])) {
            return false;
        }

        reco_spec_pop(sp, mark);
    }

    out->nvalues = (uint32_t) n;

    return true;
}


static bool
read_operand(reco_spec_t *sp, reco_op_t op, const json_t *value,
    uint32_t feature, reco_condition_t *out)
{
    const reco_feature_t  *f = &sp->model->features[feature];

    out->op = op;
    out->feature = feature;

    if (op == RECO_OP_IN || op == RECO_OP_NOT_IN) {
        return read_list(sp, value, f, out);
    }

    if (f->type == RECO_FEATURE_CATEGORY
        && op != RECO_OP_EQ && op != RECO_OP_NE)
    {
        return reco_spec_fail(sp, "a category cannot be compared by order");
    }

    out->values = reco_spec_alloc(sp, 1, sizeof(reco_value_t));
    if (out->values == NULL || !read_literal(sp, value, f, out->values)) {
        return false;
    }

    out->nvalues = 1;

    return true;
}


static bool
read_comparison(reco_spec_t *sp, const char *name, const json_t *value,
    uint32_t feature, reco_condition_t *out)
{
    size_t  i, mark;

    mark = reco_spec_push(sp, name);

    for (i = 0; i < NOPERATORS; i++) {
        if (strcmp(operators[i].name, name) == 0) {
            break;
        }
    }

    if (i == NOPERATORS) {
        return reco_spec_fail(sp, "must be one of = != < <= > >= in not_in");
    }

    if (!read_operand(sp, operators[i].op, value, feature, out)) {
        return false;
    }

    reco_spec_pop(sp, mark);

    return true;
}


/* {">": 65, "<": 90}: several comparisons of one feature hold together. */
static bool
read_comparisons(reco_spec_t *sp, json_t *obj, uint32_t feature,
    reco_condition_t *out)
{
    void    *iter;
    size_t   n;

    n = json_object_size(obj);

    if (n == 0) {
        return reco_spec_fail(sp, "must not be empty");
    }

    if (n == 1) {
        iter = json_object_iter(obj);
        return read_comparison(sp, json_object_iter_key(iter),
                               json_object_iter_value(iter), feature, out);
    }

    out->op = RECO_OP_ALL;
    out->children = reco_spec_alloc(sp, n, sizeof(reco_condition_t));
    if (out->children == NULL) {
        return false;
    }

    for (iter = json_object_iter(obj);
         iter != NULL;
         iter = json_object_iter_next(obj, iter))
    {
        if (!read_comparison(sp, json_object_iter_key(iter),
                             json_object_iter_value(iter), feature,
                             &out->children[out->nchildren]))
        {
            return false;
        }

        out->nchildren++;
    }

    return true;
}


/* ---- conditions --------------------------------------------------------- */

static bool
read_branches(reco_spec_t *sp, const json_t *array, reco_op_t op,
    unsigned depth, reco_condition_t *out)
{
    size_t  i, n, mark;

    if (!reco_spec_array(sp, array, 1, RECO_SPEC_MAX_LIST)) {
        return false;
    }

    n = json_array_size(array);
    out->op = op;
    out->children = reco_spec_alloc(sp, n, sizeof(reco_condition_t));
    if (out->children == NULL) {
        return false;
    }

    for (i = 0; i < n; i++) {
        mark = reco_spec_push_index(sp, i);

        if (!reco_spec_condition(sp, json_array_get(array, i), depth + 1,
                                 &out->children[i]))
        {
            return false;
        }

        reco_spec_pop(sp, mark);
    }

    out->nchildren = (uint32_t) n;

    return true;
}


static bool
read_not(reco_spec_t *sp, const json_t *value, unsigned depth,
    reco_condition_t *out)
{
    out->op = RECO_OP_NOT;
    out->children = reco_spec_alloc(sp, 1, sizeof(reco_condition_t));
    if (out->children == NULL) {
        return false;
    }

    out->nchildren = 1;

    return reco_spec_condition(sp, value, depth + 1, out->children);
}


static bool
read_member(reco_spec_t *sp, const char *name, json_t *value, unsigned depth,
    reco_condition_t *out)
{
    int     feature;
    bool    ok;
    size_t  mark;

    mark = reco_spec_push(sp, name);

    if (strcmp(name, "all") == 0) {
        ok = read_branches(sp, value, RECO_OP_ALL, depth, out);

    } else if (strcmp(name, "any") == 0) {
        ok = read_branches(sp, value, RECO_OP_ANY, depth, out);

    } else if (strcmp(name, "not") == 0) {
        ok = read_not(sp, value, depth, out);

    } else {
        feature = reco_spec_find_feature(sp->model, name);

        if (feature == -1) {
            return reco_spec_fail(sp, "is not a feature");
        }

        ok = json_is_object(value)
             ? read_comparisons(sp, value, (uint32_t) feature, out)
             : read_operand(sp, RECO_OP_EQ, value, (uint32_t) feature, out);
    }

    if (!ok) {
        return false;
    }

    reco_spec_pop(sp, mark);

    return true;
}


bool
reco_spec_condition(reco_spec_t *sp, const json_t *obj, unsigned depth,
    reco_condition_t *out)
{
    void    *iter;
    size_t   n;
    json_t  *members = (json_t *) obj;

    if (depth > RECO_SPEC_MAX_DEPTH) {
        return reco_spec_limit(sp, "conditions are nested deeper than %d",
                               RECO_SPEC_MAX_DEPTH);
    }

    n = json_object_size(obj);

    if (!json_is_object(obj) || n == 0) {
        return reco_spec_fail(sp, "must be an object with a feature, all, "
                              "any or not");
    }

    if (n == 1) {
        iter = json_object_iter(members);
        return read_member(sp, json_object_iter_key(iter),
                           json_object_iter_value(iter), depth, out);
    }

    out->op = RECO_OP_ALL;
    out->children = reco_spec_alloc(sp, n, sizeof(reco_condition_t));
    if (out->children == NULL) {
        return false;
    }

    for (iter = json_object_iter(members);
         iter != NULL;
         iter = json_object_iter_next(members, iter))
    {
        if (!read_member(sp, json_object_iter_key(iter),
                         json_object_iter_value(iter), depth,
                         &out->children[out->nchildren]))
        {
            return false;
        }

        out->nchildren++;
    }

    return true;
}


/* ---- rules -------------------------------------------------------------- */

static bool
read_ids(reco_spec_t *sp, const json_t *array, reco_rule_t *rule)
{
    size_t    i, n, mark;
    uint32_t  j;

    if (!reco_spec_array(sp, array, 1, rule->kind == RECO_RULE_PIN
                                       ? RECO_MAX_SLATE : RECO_MAX_ACTIONS))
    {
        return false;
    }

    n = json_array_size(array);
    rule->ids = reco_spec_alloc(sp, n, sizeof(reco_str_t));
    if (rule->ids == NULL) {
        return false;
    }

    for (i = 0; i < n; i++) {
        mark = reco_spec_push_index(sp, i);

        if (!reco_spec_id(sp, json_array_get(array, i), &rule->ids[i])) {
            return false;
        }

        for (j = 0; j < i; j++) {
            if (reco_str_equal(rule->ids[j], rule->ids[i])) {
                return reco_spec_fail(sp, "is there twice");
            }
        }

        reco_spec_pop(sp, mark);
    }

    rule->nactions = (uint32_t) n;

    return true;
}


static bool
read_kind(reco_spec_t *sp, const json_t *obj, reco_rule_t *rule)
{
    size_t         i, mark;
    const char    *name = NULL;
    const json_t  *value, *ids = NULL;

    static const struct {
        const char        *name;
        reco_rule_kind_t   kind;
    } kinds[] = {
        { "deny", RECO_RULE_DENY },
        { "allow", RECO_RULE_ALLOW },
        { "pin", RECO_RULE_PIN },
    };

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        value = json_object_get(obj, kinds[i].name);
        if (value == NULL) {
            continue;
        }

        if (ids != NULL) {
            return reco_spec_fail(sp, "has both \"%s\" and \"%s\"", name,
                                  kinds[i].name);
        }

        ids = value;
        name = kinds[i].name;
        rule->kind = kinds[i].kind;
    }

    if (ids == NULL) {
        return reco_spec_fail(sp, "must have one of \"deny\", \"allow\" and "
                              "\"pin\"");
    }

    mark = reco_spec_push(sp, name);

    if (!read_ids(sp, ids, rule)) {
        return false;
    }

    reco_spec_pop(sp, mark);

    return true;
}


static unsigned
two_digits(const char *p)
{
    return (unsigned) (p[0] - '0') * 10 + (unsigned) (p[1] - '0');
}


/* YYYY-MM-DD of the Gregorian calendar */
static bool
is_date(reco_str_t s)
{
    size_t    i;
    unsigned  year, month, day, last;

    static const uint8_t  days[] = {
        31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
    };

    if (s.len != 10) {
        return false;
    }

    for (i = 0; i < s.len; i++) {
        if (i == 4 || i == 7 ? s.data[i] != '-'
                             : s.data[i] < '0' || s.data[i] > '9')
        {
            return false;
        }
    }

    year = two_digits(s.data) * 100 + two_digits(s.data + 2);
    month = two_digits(s.data + 5);
    day = two_digits(s.data + 8);

    if (month < 1 || month > 12) {
        return false;
    }

    last = days[month - 1];

    if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)) {
        last = 29;
    }

    return day >= 1 && day <= last;
}


/* A person's override says whose it is and when it was made. */
static bool
read_author(reco_spec_t *sp, const json_t *obj, reco_rule_t *rule)
{
    bool  required = rule->kind == RECO_RULE_PIN;

    if (!reco_spec_member_id(sp, obj, "by", required, &rule->by)
        || !reco_spec_member_id(sp, obj, "date", required, &rule->date))
    {
        return false;
    }

    if (rule->date.len != 0 && !is_date(rule->date)) {
        reco_spec_push(sp, "date");
        return reco_spec_fail(sp, "must be a date, YYYY-MM-DD");
    }

    return true;
}


static bool
read_rule(reco_spec_t *sp, const json_t *obj, reco_rule_t *rule)
{
    size_t         mark;
    const json_t  *when;

    static const char *const  names[] = {
        "when", "deny", "allow", "pin", "by", "date", "description", NULL
    };

    if (!reco_spec_object(sp, obj, names) || !read_kind(sp, obj, rule)
        || !read_author(sp, obj, rule))
    {
        return false;
    }

    when = json_object_get(obj, "when");
    if (when == NULL) {
        return true;
    }

    rule->when = reco_spec_alloc(sp, 1, sizeof(reco_condition_t));
    if (rule->when == NULL) {
        return false;
    }

    mark = reco_spec_push(sp, "when");

    if (!reco_spec_condition(sp, when, 1, rule->when)) {
        return false;
    }

    reco_spec_pop(sp, mark);

    return true;
}


bool
reco_spec_rules(reco_spec_t *sp, const json_t *array)
{
    size_t         i, n, mark;
    reco_model_t  *model = sp->model;

    if (!reco_spec_array(sp, array, 0, RECO_SPEC_MAX_RULES)) {
        return false;
    }

    n = json_array_size(array);
    model->rules = reco_spec_alloc(sp, n, sizeof(reco_rule_t));
    if (model->rules == NULL) {
        return false;
    }

    for (i = 0; i < n; i++) {
        mark = reco_spec_push_index(sp, i);

        if (!read_rule(sp, json_array_get(array, i), &model->rules[i])) {
            return false;
        }

        reco_spec_pop(sp, mark);
    }

    model->nrules = (uint32_t) n;

    return true;
}
