/*
 * inclusion.c - inclusion probabilities by walking the tree of all orders,
 * each node's distribution being what the decision itself would draw from.
 *
 * A result is kept under a hash of all that the distribution can depend on:
 * generation, eligible set, slots, state key, and the features that cases of
 * weights and pins look at. When the results outgrow their room they are all
 * dropped and computed again.
 */

#include "inclusion.h"
#include "tool.h"

#define uthash_malloc(size)         tool_alloc(size)
#define uthash_free(pointer, size)  free(pointer)
#define XXH_INLINE_ALL
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <xxhash.h>

#define MAX_KEPT    (64 << 20)          /* bytes of results */

typedef struct {
    XXH128_hash_t   key;
    UT_hash_handle  hh;
    double          pi[];
} result_t;

/* One level of the tree: a slot's distribution. */
typedef struct {
    uint16_t  *left;
    uint64_t  *p;
} level_t;

struct inclusion_s {
    result_t        *results;
    size_t           kept;
    reco_scratch_t   scratch;
};

typedef struct {
    const reco_model_t     *model;
    const reco_features_t  *features;
    const reco_mask_t      *eligible;
    reco_scratch_t         *scratch;
    uint32_t                slots;
    level_t                 levels[RECO_MAX_SLATE];
    uint16_t                taken[RECO_MAX_SLATE];
    double                 *pi;
} walk_t;

inclusion_t *
inclusion_new(void)
{
    inclusion_t  *in = tool_alloc(sizeof(*in));

    in->results = NULL;
    in->kept = 0;

    return in;
}

static void
drop_results(inclusion_t *in)
{
    result_t  *r, *next;

    HASH_ITER(hh, in->results, r, next) {
        HASH_DEL(in->results, r);
        free(r);
    }

    in->kept = 0;
}

void
inclusion_free(inclusion_t *in)
{
    if (in) {
        drop_results(in);
        free(in);
    }
}

/* ---- what a distribution depends on ------------------------------------- */

static void
add_value(XXH3_state_t *hash, const reco_value_t *v)
{
    uint32_t  kind = v->kind;

    XXH3_128bits_update(hash, &kind, sizeof(kind));

    if (v->kind == RECO_VALUE_NUMBER) {
        XXH3_128bits_update(hash, &v->number, sizeof(v->number));

    } else if (v->kind == RECO_VALUE_WORD) {
        XXH3_128bits_update(hash, &v->word.len, sizeof(v->word.len));
        XXH3_128bits_update(hash, v->word.data, v->word.len);
    }
}

static void
add_condition(XXH3_state_t *hash, const reco_condition_t *c,
    const reco_features_t *f)
{
    uint32_t  i;

    if (c == NULL) {
        return;
    }

    if (c->op == RECO_OP_ALL || c->op == RECO_OP_ANY || c->op == RECO_OP_NOT) {
        for (i = 0; i < c->nchildren; i++) {
            add_condition(hash, &c->children[i], f);
        }
    } else {
        add_value(hash, &f->value[c->feature]);
    }
}

static XXH128_hash_t
key_of(inclusion_t *in, const reco_model_t *m, uint64_t generation,
    const reco_features_t *f, const reco_mask_t *eligible, uint32_t slots)
{
    size_t         len;
    uint32_t       i;
    XXH3_state_t   hash;

    XXH3_INITSTATE(&hash);
    XXH3_128bits_reset(&hash);
    XXH3_128bits_update(&hash, &generation, sizeof(generation));
    XXH3_128bits_update(&hash, &slots, sizeof(slots));
    XXH3_128bits_update(&hash, eligible->bits,
                        (m->catalogue.n + 63) / 64 * sizeof(uint64_t));

    len = reco_state_key(m, f, 0, 1, in->scratch.key, sizeof(in->scratch.key));
    XXH3_128bits_update(&hash, &len, sizeof(len));
    XXH3_128bits_update(&hash, in->scratch.key, len);

    for (i = 0; i < m->policy.ncases; i++) {
        add_condition(&hash, m->policy.cases[i].when, f);
    }

    for (i = 0; i < m->nrules; i++) {
        if (m->rules[i].kind == RECO_RULE_PIN) {
            add_condition(&hash, m->rules[i].when, f);
        }
    }

    return XXH3_128bits_digest(&hash);
}

/* ---- the tree ----------------------------------------------------------- */

/* 'slot' is drawn with the slots before it taken, which happens with
 * probability 'before'. */
static void
walk(walk_t *w, uint32_t slot, double before)
{
    double    p;
    uint32_t  i, n;
    level_t  *level = &w->levels[slot - 1];

    n = reco_distribution(w->model, w->features, w->eligible, w->taken, slot,
                          w->scratch, NULL, NULL);
    memcpy(level->left, w->scratch->left, n * sizeof(*level->left));
    memcpy(level->p, w->scratch->p, n * sizeof(*level->p));

    for (i = 0; i < n; i++) {
        if (level->p[i] == 0) {
            continue;
        }

        p = before * ((double) level->p[i] / (double) RECO_ONE);
        w->pi[level->left[i]] += p;

        if (slot < w->slots) {
            w->taken[slot - 1] = level->left[i];
            walk(w, slot + 1, p);
        }
    }
}

static bool
is_walkable(uint32_t n, uint32_t slots)
{
    double  orders = 1;

    while (slots-- > 0 && orders <= INCLUSION_MAX_ORDERS) {
        orders *= n--;
    }

    return orders <= INCLUSION_MAX_ORDERS;
}

static void
compute(inclusion_t *in, walk_t *w, uint32_t eligible)
{
    uint32_t  i;

    for (i = 0; i < w->slots; i++) {
        w->levels[i].left = tool_alloc(eligible * sizeof(uint16_t));
        w->levels[i].p = tool_alloc(eligible * sizeof(uint64_t));
    }

    w->scratch = &in->scratch;
    walk(w, 1, 1);

    for (i = 0; i < w->slots; i++) {
        free(w->levels[i].left);
        free(w->levels[i].p);
    }
}

static uint32_t
count(const reco_mask_t *m, uint32_t n)
{
    uint32_t  i, set = 0;

    for (i = 0; i < n; i++) {
        set += reco_mask_get(m, i);
    }

    return set;
}

reco_status_t
inclusion_probabilities(inclusion_t *in, const reco_model_t *model,
    uint64_t generation, const reco_features_t *f,
    const reco_mask_t *eligible, uint32_t slots, const double **pi,
    reco_error_t *err)
{
    size_t          size = model->catalogue.n * sizeof(double);
    walk_t          w = { .model = model, .features = f,
                          .eligible = eligible };
    result_t       *r;
    uint32_t        n = count(eligible, model->catalogue.n);
    XXH128_hash_t   key;

    key = key_of(in, model, generation, f, eligible, slots);
    HASH_FIND(hh, in->results, &key, sizeof(key), r);

    if (r) {
        *pi = r->pi;
        return RECO_OK;
    }

    w.slots = slots < n ? slots : n;

    if (!is_walkable(n, w.slots)) {
        return reco_error_set(err, RECO_LIMIT, "", "a slate of %u out of %u "
            "actions has more than %d orders: too many to enumerate", w.slots,
            n, INCLUSION_MAX_ORDERS);
    }

    if (in->kept + size > MAX_KEPT) {
        drop_results(in);
    }

    r = tool_alloc(sizeof(*r) + size);
    memset(r, 0, sizeof(*r) + size);
    r->key = key;
    w.pi = r->pi;

    if (w.slots > 0) {
        compute(in, &w, n);
    }

    HASH_ADD(hh, in->results, key, sizeof(r->key), r);
    in->kept += sizeof(*r) + size;
    *pi = r->pi;

    return RECO_OK;
}
