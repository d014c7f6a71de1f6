/*
 * reco_model.c - the memory of a model and the look-ups in it.
 *
 * A model owns a list of blocks; what the spec reader allocates is cut from
 * the newest of them and freed with the model, never before.
 */

#include "reco_spec_internal.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define BLOCK_SIZE  (16 * 1024)

typedef struct block_s  block_t;

struct block_s {
    block_t  *next;
    uint64_t  data[];
};


reco_model_t *
reco_model_new(void)
{
    reco_model_t  *model;

    model = calloc(1, sizeof(reco_model_t));

    if (model != NULL) {
        model->items.prefer = -1;
        model->items.history_index = -1;
    }

    return model;
}


void
reco_model_free(reco_model_t *model)
{
    block_t  *b, *next;

    if (model == NULL) {
        return;
    }

    for (b = model->blocks; b != NULL; b = next) {
        next = b->next;
        free(b);
    }

    free(model);
}


static bool
add_block(reco_model_t *model, size_t size)
{
    block_t  *b;

    b = malloc(sizeof(block_t) + size);
    if (b == NULL) {
        return false;
    }

    b->next = model->blocks;
    model->blocks = b;

    model->memory.base = (char *) b->data;
    model->memory.size = size;
    model->memory.used = 0;

    return true;
}


void *
reco_model_alloc(reco_model_t *model, size_t size)
{
    void  *p;

    if (size > SIZE_MAX / 2) {
        return NULL;
    }

    size = size == 0 ? 8 : (size + 7) & ~(size_t) 7;

    if (model->memory.size - model->memory.used < size
        && !add_block(model, size > BLOCK_SIZE ? size : BLOCK_SIZE))
    {
        return NULL;
    }

    p = model->memory.base + model->memory.used;
    model->memory.used += size;

    return memset(p, 0, size);
}


/* A power of two, at most half full. */
static uint32_t
table_size(uint32_t n)
{
    uint32_t  size = 8;

    while (size < 2 * n) {
        size *= 2;
    }

    return size;
}


static uint32_t
slot_of(reco_str_t key, uint32_t nslots)
{
    return (uint32_t) XXH3_64bits(key.data, key.len) & (nslots - 1);
}


int
reco_catalogue_find(const reco_catalogue_t *c, reco_str_t id)
{
    uint32_t  i;

    if (c->nslots == 0) {
        return -1;
    }

    for (i = slot_of(id, c->nslots);
         c->slots[i] != 0;
         i = (i + 1) & (c->nslots - 1))
    {
        if (reco_str_equal(c->actions[c->slots[i] - 1].id, id)) {
            return c->slots[i] - 1;
        }
    }

    return -1;
}


int
reco_model_index_catalogue(reco_model_t *model)
{
    uint32_t           i, s;
    reco_catalogue_t  *c = &model->catalogue;

    c->nslots = table_size(c->n);
    c->slots = reco_model_alloc(model, c->nslots * sizeof(uint16_t));
    if (c->slots == NULL) {
        c->nslots = 0;
        return -1;
    }

    for (i = 0; i < c->n; i++) {
        s = slot_of(c->actions[i].id, c->nslots);

        while (c->slots[s] != 0) {
            if (reco_str_equal(c->actions[c->slots[s] - 1].id,
                               c->actions[i].id))
            {
                return i;
            }

            s = (s + 1) & (c->nslots - 1);
        }

        c->slots[s] = i + 1;
    }

    return c->n;
}


/* The request field a feature is taken from; empty when from none. */
static reco_str_t
request_field(const reco_feature_t *f)
{
    uint32_t  i;

    for (i = 0; i < f->nfrom; i++) {
        if (f->from[i].source == RECO_SOURCE_REQUEST) {
            return f->from[i].field;
        }
    }

    return (reco_str_t) { "", 0 };
}


int
reco_model_request_feature(const reco_model_t *m, reco_str_t name)
{
    uint32_t               i;
    const reco_feature_t  *f;

    if (m->nfeature_slots == 0 || name.len == 0) {
        return -1;
    }

    for (i = slot_of(name, m->nfeature_slots);
         m->feature_slots[i] != 0;
         i = (i + 1) & (m->nfeature_slots - 1))
    {
        f = &m->features[m->feature_slots[i] - 1];

        if (reco_str_equal(request_field(f), name)) {
            return m->feature_slots[i] - 1;
        }
    }

    return -1;
}


bool
reco_model_index_features(reco_model_t *model)
{
    uint32_t    i, s;
    reco_str_t  field;

    model->nfeature_slots = table_size(model->nfeatures);
    model->feature_slots = reco_model_alloc(model,
                                   model->nfeature_slots * sizeof(uint16_t));
    if (model->feature_slots == NULL) {
        model->nfeature_slots = 0;
        return false;
    }

    for (i = 0; i < model->nfeatures; i++) {
        field = request_field(&model->features[i]);
        if (field.len == 0) {
            continue;
        }

        s = slot_of(field, model->nfeature_slots);
        while (model->feature_slots[s] != 0) {
            s = (s + 1) & (model->nfeature_slots - 1);
        }

        model->feature_slots[s] = i + 1;
    }

    return true;
}


const char *
reco_source_name(reco_source_t source)
{
    switch (source) {
    case RECO_SOURCE_REQUEST:
        return "request";
    case RECO_SOURCE_CUSTOMER:
        return "customer";
    case RECO_SOURCE_GEO:
        return "geo";
    case RECO_SOURCE_TIME:
        return "time";
    case RECO_SOURCE_DEFAULT:
        return "default";
    case RECO_SOURCE_NONE:
        break;
    }

    return "none";
}


const char *
reco_policy_name(const reco_policy_t *policy)
{
    switch (policy->type) {
    case RECO_POLICY_UNIFORM:
        return "uniform";
    case RECO_POLICY_FIRST:
        return "first";
    case RECO_POLICY_WEIGHTS:
        return "weights";
    case RECO_POLICY_P_TABLE:
        return "p_table";
    case RECO_POLICY_Q_TABLE:
        break;
    }

    return "q_table";
}
