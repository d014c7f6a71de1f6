/*
 * degenerate.c - the reasons not to publish a snapshot.
 */

#include "degenerate.h"

#include <math.h>
#include <stdarg.h>

typedef struct {
    const reco_snapshot_t  *snapshot;
    json_t                 *reasons;
} look_t;

static void
object(look_t *l, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
object(look_t *l, const char *fmt, ...)
{
    char     words[512];
    va_list  args;

    va_start(args, fmt);
    vsnprintf(words, sizeof(words), fmt, args);
    va_end(args);

    json_array_append_new(l->reasons, json_string(words));
}

static bool
look_at_row(void *data, reco_str_t key, const reco_row_t *row)
{
    double               sum = 0;
    uint32_t             i;
    look_t              *l = data;
    reco_entry_t         e;
    const reco_model_t  *model = reco_snapshot_model(l->snapshot);

    (void) key;
    for (i = 0; i < row->n; i++) {
        e = reco_row_entry(row, i);
        if (!isfinite(e.value)) {
            object(l, "a value of action '%.*s' is not finite",
                   (int) model->catalogue.actions[e.action].id.len,
                   model->catalogue.actions[e.action].id.data);
            return false;
        }
        sum += e.value;
    }

    if (model->policy.type == RECO_POLICY_P_TABLE && sum <= 0) {
        object(l, "the probabilities of a state are all 0");
        return false;
    }

    return true;
}

static void
look_at_model(look_t *l)
{
    bool                         table, active = false;
    uint32_t                     i;
    const reco_model_t          *model = reco_snapshot_model(l->snapshot);
    const reco_snapshot_info_t  *info = reco_snapshot_info(l->snapshot);

    for (i = 0; i < model->catalogue.n; i++) {
        active = active || model->catalogue.actions[i].active;
    }
    if (!active) {
        object(l, "none of its %u actions is active", model->catalogue.n);
    }

    table = model->policy.type == RECO_POLICY_P_TABLE
            || model->policy.type == RECO_POLICY_Q_TABLE;
    if (table && info->states == 0) {
        object(l, "its policy is '%s', and its table is empty",
               reco_policy_name(&model->policy));
    }
}

static void
compare(look_t *l, const char *what, uint64_t now, uint64_t before,
    uint64_t generation)
{
    if (now < before - before / 2) {
        object(l, "it has %llu %s, less than half of the %llu of generation "
               "%llu", (unsigned long long) now, what,
               (unsigned long long) before, (unsigned long long) generation);
    }
}

bool
degenerate_reasons(const reco_snapshot_t *s, const char *path,
    const reco_snapshot_t *served, json_t *reasons)
{
    look_t                       l = { s, reasons };
    reco_error_t                 err;
    const reco_snapshot_info_t  *was, *is = reco_snapshot_info(s);

    look_at_model(&l);

    if (reco_snapshot_each_row(s, look_at_row, &l, &err) != RECO_OK) {
        tool_fail(path, &err);
        return false;
    }

    if (served) {
        was = reco_snapshot_info(served);
        compare(&l, "states", is->states, was->states, was->generation);
        compare(&l, "customers", is->customers, was->customers,
                was->generation);
    }

    return true;
}
