/*
 * forget_snapshot.c - a snapshot without a customer: record and history go,
 * all else stays as it is.
 */

#include "build_items.h"
#include "forget.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const forget_t  *f;
    reco_builder_t  *builder;       /* NULL: count only */
    reco_value_t    *values;
    uint32_t         nfields;
    reco_entry_t    *entries;
    forget_found_t  *found;
    reco_error_t     err;
    reco_status_t    status;
} copy_t;

static bool
learn(void *data, const reco_history_t *h)
{
    forget_t  *f = data;

    if (h->kind == RECO_HISTORY_RECOMMENDATION
        && forget_is_theirs(f, h->customer_key))
    {
        forget_add_id(f, &h->id);
    }

    return true;
}

bool
forget_learn_snapshot(forget_t *f, const reco_snapshot_t *base)
{
    reco_error_t  err;

    if (reco_snapshot_each_history(base, learn, f, &err) != RECO_OK) {
        tool_fail("base", &err);
        return false;
    }

    return true;
}

static bool
copy_customer(void *data, reco_str_t key, const reco_customer_t *record)
{
    copy_t    *c = data;
    uint32_t   i;

    if (forget_is_theirs(c->f, key)) {
        c->found->customers++;
        return true;
    }

    if (c->builder == NULL) {
        return true;
    }

    for (i = 0; i < c->nfields; i++) {
        c->values[i] = reco_customer_field(record, (int) i);
    }

    c->status = reco_builder_customer(c->builder, key, c->values, &c->err);

    return c->status == RECO_OK;
}

static bool
copy_history(void *data, const reco_history_t *h)
{
    copy_t  *c = data;

    if (forget_is_theirs(c->f, h->customer_key)
        || (h->kind != RECO_HISTORY_AGENT && forget_has_id(c->f, &h->id)))
    {
        c->found->history++;
        return true;
    }

    if (c->builder != NULL) {
        c->status = reco_builder_history(c->builder, h, &c->err);
    }

    return c->status == RECO_OK;
}

static bool
copy_row(void *data, reco_str_t state_key, const reco_row_t *row)
{
    copy_t    *c = data;
    uint32_t   i;

    for (i = 0; i < row->n; i++) {
        c->entries[i] = reco_row_entry(row, i);
    }

    c->status = reco_builder_row(c->builder, state_key, row->visits,
                                 c->entries, row->n, &c->err);

    return c->status == RECO_OK;
}

/* What a walk came to: the walk's own fault, or the copy's. */
static bool
is_done(const copy_t *c, reco_status_t walk, const reco_error_t *err)
{
    if (walk == RECO_OK && c->status == RECO_OK) {
        return true;
    }

    tool_fail("base", walk != RECO_OK ? err : &c->err);

    return false;
}

static bool
copy_all(copy_t *c, const reco_snapshot_t *base)
{
    reco_error_t   err;
    reco_status_t  rc;

    rc = reco_snapshot_each_customer(base, copy_customer, c, &err);
    if (!is_done(c, rc, &err)) {
        return false;
    }

    rc = reco_snapshot_each_history(base, copy_history, c, &err);
    if (!is_done(c, rc, &err)) {
        return false;
    }

    if (c->builder == NULL) {
        return true;
    }

    rc = reco_snapshot_each_row(base, copy_row, c, &err);

    return is_done(c, rc, &err)
           && (reco_snapshot_model(base)->items.slate == 0
               || items_copy(base, c->builder));
}

static bool
finish(copy_t *c, const reco_snapshot_t *base, const char *out)
{
    const reco_snapshot_info_t  *info = reco_snapshot_info(base);

    if (reco_builder_finish(c->builder, 0, info->generation, info->built_ms,
                            info->training, &c->err) != RECO_OK)
    {
        tool_fail(out, &c->err);
        return false;
    }

    return true;
}

bool
forget_snapshot(const forget_t *f, const reco_snapshot_t *base,
    const char *out, forget_found_t *found)
{
    bool                         ok = true;
    copy_t                       c = { .f = f, .found = found };
    const reco_catalogue_t      *actions = &reco_snapshot_model(base)
                                                ->catalogue;
    const reco_snapshot_info_t  *info = reco_snapshot_info(base);

    memset(found, 0, sizeof(*found));
    c.status = RECO_OK;
    c.nfields = info->ncustomer_fields;

    if (out != NULL
        && reco_builder_new(out, tool_str(info->spec), actions->actions,
                            actions->n, info->customer_fields, c.nfields,
                            info->hash_key, &c.builder, &c.err) != RECO_OK)
    {
        tool_fail(out, &c.err);
        return false;
    }

    c.values = tool_alloc(c.nfields * sizeof(*c.values) + 1);
    c.entries = tool_alloc(RECO_MAX_ACTIONS * sizeof(*c.entries));

    ok = copy_all(&c, base) && (out == NULL || finish(&c, base, out));

    free(c.values);
    free(c.entries);
    if (c.builder) {
        reco_builder_free(c.builder);
    }

    return ok;
}
