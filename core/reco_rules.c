/*
 * reco_rules.c - which actions may be shown: conditions over resolved
 * features, and the rules that deny and allow. Keeps nothing.
 */

#include "reco_decide.h"

#include <math.h>
#include <string.h>


/* ---- conditions --------------------------------------------------------- */

/* A category without codes may come as the number 2 or as the word "2". */
static bool
word_is_whole_number(reco_str_t word, double number)
{
    char      digits[24], *p;
    bool      negative;
    uint64_t  n;

    negative = number < 0;
    n = (uint64_t) (int64_t) fabs(number);
    p = digits + sizeof(digits);

    do {
        *--p = (char) ('0' + n % 10);
        n /= 10;
    } while (n != 0);

    if (negative) {
        *--p = '-';
    }

    return reco_str_equal(word, (reco_str_t) { p,
                                (size_t) (digits + sizeof(digits) - p) });
}


static bool
values_equal(const reco_value_t *a, const reco_value_t *b)
{
    if (a->kind == RECO_VALUE_NUMBER) {
        return b->kind == RECO_VALUE_NUMBER
               ? a->number == b->number
               : word_is_whole_number(b->word, a->number);
    }

    return b->kind == RECO_VALUE_NUMBER
           ? word_is_whole_number(a->word, b->number)
           : reco_str_equal(a->word, b->word);
}


static bool
is_member(const reco_condition_t *c, const reco_value_t *v)
{
    uint32_t  i;

    for (i = 0; i < c->nvalues; i++) {
        if (values_equal(v, &c->values[i])) {
            return true;
        }
    }

    return false;
}


static bool
compare(const reco_condition_t *c, const reco_value_t *v)
{
    double  x, y;

    if (v->kind == RECO_VALUE_MISSING) {
        return false;
    }

    switch (c->op) {
    case RECO_OP_EQ:
    case RECO_OP_IN:
        return is_member(c, v);
    case RECO_OP_NE:
    case RECO_OP_NOT_IN:
        return !is_member(c, v);
    default:
        break;
    }

    if (v->kind != RECO_VALUE_NUMBER) {
        return false;
    }

    x = v->number;
    y = c->values[0].number;

    switch (c->op) {
    case RECO_OP_LT:
        return x < y;
    case RECO_OP_LE:
        return x <= y;
    case RECO_OP_GT:
        return x > y;
    case RECO_OP_GE:
        return x >= y;
    default:
        return false;
    }
}


bool
reco_condition_holds(const reco_condition_t *c, const reco_features_t *f)
{
    uint32_t  i;

    switch (c->op) {

    case RECO_OP_ALL:
        for (i = 0; i < c->nchildren; i++) {
            if (!reco_condition_holds(&c->children[i], f)) {
                return false;
            }
        }
        return true;

    case RECO_OP_ANY:
        for (i = 0; i < c->nchildren; i++) {
            if (reco_condition_holds(&c->children[i], f)) {
                return true;
            }
        }
        return false;

    case RECO_OP_NOT:
        return !reco_condition_holds(c->children, f);

    default:
        return compare(c, &f->value[c->feature]);
    }
}


/* ---- eligibility -------------------------------------------------------- */

static bool
rule_removes(const reco_rule_t *rule)
{
    return rule->kind == RECO_RULE_DENY || rule->kind == RECO_RULE_ALLOW;
}


static bool
rule_applies(const reco_rule_t *rule, const reco_features_t *f)
{
    return rule->when == NULL || reco_condition_holds(rule->when, f);
}


uint32_t
reco_eligible(const reco_model_t *model, const reco_features_t *f,
    bool has_flags, const reco_mask_t *flags, reco_mask_t *out)
{
    uint32_t            i, w, n, words;
    const reco_rule_t  *rule;

    words = (model->catalogue.n + 63) / 64;
    memset(out, 0, sizeof(*out));

    for (w = 0; w < words; w++) {
        out->bits[w] = model->active.bits[w]
                       & (has_flags ? flags->bits[w] : UINT64_MAX);
    }

    for (i = 0; i < model->nrules; i++) {
        rule = &model->rules[i];

        if (!rule_removes(rule) || !rule_applies(rule, f)) {
            continue;
        }

        for (w = 0; w < words; w++) {
            out->bits[w] &= rule->kind == RECO_RULE_DENY
                            ? ~rule->mask->bits[w] : rule->mask->bits[w];
        }
    }

    n = 0;

    for (w = 0; w < words; w++) {
        n += (uint32_t) __builtin_popcountll(out->bits[w]);
    }

    return n;
}


reco_reason_t
reco_eligible_reason(const reco_model_t *model, const reco_features_t *f,
    bool has_flags, const reco_mask_t *flags, uint32_t action)
{
    uint32_t            i;
    const reco_rule_t  *rule;

    if (has_flags && !reco_mask_get(flags, action)) {
        return (reco_reason_t) { RECO_BECAUSE_FLAG, 0 };
    }

    if (!reco_mask_get(&model->active, action)) {
        return (reco_reason_t) { RECO_BECAUSE_INACTIVE, 0 };
    }

    for (i = 0; i < model->nrules; i++) {
        rule = &model->rules[i];

        if (rule_removes(rule) && rule_applies(rule, f)
            && reco_mask_get(rule->mask, action)
               == (rule->kind == RECO_RULE_DENY))
        {
            return (reco_reason_t) { RECO_BECAUSE_RULE, i };
        }
    }

    return (reco_reason_t) { RECO_BECAUSE_ELIGIBLE, 0 };
}
