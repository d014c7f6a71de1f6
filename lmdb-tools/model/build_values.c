/*
 * build_values.c - a table of values computed elsewhere, from CSV: one row
 * for each state (and slot) and action. Kept in memory until the file is
 * read, because a state's rows may be anywhere in it.
 */

#include "build.h"

#define uthash_malloc(size)     tool_alloc(size)
#define uthash_fatal(message)   abort()

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

typedef struct {
    reco_entry_t  entry;
    uint64_t      line;
} cell_t;

typedef struct {
    char            *key;
    size_t           len;
    cell_t          *cells;
    uint32_t         n, room;
    uint64_t         visits;
    UT_hash_handle   hh;
} state_t;

typedef struct {
    const reco_model_t  *model;
    tool_csv_t          *csv;
    int                  state[RECO_MAX_FEATURES];  /* columns, in the order
                                                       of the state */
    int                  slot, action, value;
    int                  visits, level, confidence;     /* -1 without */
    reco_features_t      features;
    state_t             *states;
} values_t;

/* ---- columns ------------------------------------------------------------ */

static bool
find_column(const values_t *v, const char *path, const char *name, int *at)
{
    *at = tool_csv_find(v->csv, name);
    if (*at < 0) {
        tool_error("%s: there is no column '%s'", path, name);
    }

    return *at >= 0;
}

static bool
is_used(const values_t *v, int column)
{
    uint32_t  i;

    for (i = 0; i < v->model->policy.levels[0].n; i++) {
        if (v->state[i] == column) {
            return true;
        }
    }

    return column == v->slot || column == v->action || column == v->value
           || column == v->visits || column == v->level
           || column == v->confidence;
}

/* -1 where there is none, or where it is a feature's. */
static int
optional_column(const values_t *v, const char *name)
{
    uint32_t  i;
    int       at = tool_csv_find(v->csv, name);

    for (i = 0; i < v->model->policy.levels[0].n; i++) {
        if (v->state[i] == at) {
            return -1;
        }
    }

    return at;
}

static bool
find_columns(values_t *v, const char *path)
{
    char                 *name;
    bool                  ok = true;
    uint32_t              i;
    reco_str_t            column;
    const reco_policy_t  *policy = &v->model->policy;

    for (i = 0; ok && i < policy->levels[0].n; i++) {
        name = tool_dup(v->model->features[policy->levels[0].features[i]].name);
        ok = find_column(v, path, name, &v->state[i]);
        free(name);
    }

    v->slot = -1;
    if (ok) {
        v->visits = optional_column(v, "visits");
        v->level = optional_column(v, "level");
        v->confidence = optional_column(v, "confidence");
    }
    if (!ok || !find_column(v, path, "action", &v->action)
        || !find_column(v, path, "value", &v->value)
        || (policy->per_slot && !find_column(v, path, "slot", &v->slot)))
    {
        return false;
    }

    for (i = 0; i < tool_csv_columns(v->csv); i++) {
        if (!is_used(v, (int) i)) {
            column = tool_csv_column(v->csv, i);
            tool_error("%s: column '%.*s' is no feature of the state", path,
                       (int) column.len, column.data);
            return false;
        }
    }

    return true;
}

/* ---- a row -------------------------------------------------------------- */

/* A whole number from 0 to max. */
static bool
parse_count(reco_str_t text, uint64_t max, uint64_t *out)
{
    double  d;

    if (!tool_number_parse(text, &d) || d < 0 || d > (double) max
        || d != floor(d))
    {
        return false;
    }
    *out = (uint64_t) d;

    return true;
}

/* Some number that lies in the bin. */
static double
in_bin(const reco_feature_t *f, uint64_t bin)
{
    if (f->nedges == 0) {
        return 0;
    }

    return bin ? f->edges[bin - 1] : nextafter(f->edges[0], -INFINITY);
}

static bool
parse_state_field(const values_t *v, const reco_feature_t *f,
    reco_str_t text, reco_value_t *out)
{
    char          *name;
    uint64_t       bin;
    const char    *words = NULL;
    reco_error_t   err;

    memset(out, 0, sizeof(*out));
    if (text.len == 0) {
        return true;
    }

    if (f->type == RECO_FEATURE_NUMBER) {
        if (parse_count(text, f->nedges, &bin)) {
            out->kind = RECO_VALUE_NUMBER;
            out->number = in_bin(f, bin);
            return true;
        }
        name = tool_dup(f->name);
        tool_csv_refuse(v->csv, name, text, "is not a bin, 0 to %u",
                        f->nedges);
        free(name);
        return false;
    }

    if (!reco_id_is_valid(text)) {
        words = "must be at most 255 bytes of UTF-8 without control "
                "characters";
    } else {
        out->kind = RECO_VALUE_WORD;
        out->word = text;
        if (reco_feature_convert(f, out, true, &err) == RECO_OK) {
            return true;
        }
        words = err.message;
    }

    name = tool_dup(f->name);
    tool_csv_error(v->csv, name, "%s", words);
    free(name);

    return false;
}

static bool
has_feature(const reco_level_t *level, uint32_t feature)
{
    uint32_t  i;

    for (i = 0; i < level->n && level->features[i] != feature; i++) {
        /* void */
    }

    return i < level->n;
}

static bool
parse_level(const values_t *v, const reco_str_t *fields, uint64_t *level)
{
    uint32_t  last = v->model->policy.nlevels - 1;

    *level = 0;
    if (v->level < 0 || fields[v->level].len == 0
        || parse_count(fields[v->level], last, level))
    {
        return true;
    }
    tool_csv_refuse(v->csv, "level", fields[v->level],
                    "is not a level of the state, 0 to %u", last);

    return false;
}

/* The features of the level; the others' columns must be empty. */
static bool
parse_state(values_t *v, const reco_str_t *fields, uint64_t level)
{
    char                 *name;
    uint32_t              i, f;
    const reco_policy_t  *policy = &v->model->policy;

    for (i = 0; i < policy->levels[0].n; i++) {
        f = policy->levels[0].features[i];
        if (has_feature(&policy->levels[level], f)) {
            if (!parse_state_field(v, &v->model->features[f],
                                   fields[v->state[i]],
                                   &v->features.value[f]))
            {
                return false;
            }
        } else if (fields[v->state[i]].len != 0) {
            name = tool_dup(v->model->features[f].name);
            tool_csv_refuse(v->csv, name, fields[v->state[i]],
                            "is there, but level %u does not have this "
                            "feature", (unsigned) level);
            free(name);
            return false;
        }
    }

    return true;
}

static bool
parse_key(values_t *v, const reco_str_t *fields, char *key, size_t *len)
{
    uint64_t  level, slot = 1;

    if (!parse_level(v, fields, &level) || !parse_state(v, fields, level)) {
        return false;
    }

    if (v->slot >= 0
        && (!parse_count(fields[v->slot], v->model->policy.slate, &slot)
            || slot == 0))
    {
        tool_csv_refuse(v->csv, "slot", fields[v->slot],
                        "is not a slot, 1 to %u", v->model->policy.slate);
        return false;
    }

    *len = reco_state_key(v->model, &v->features, (uint32_t) level,
                          (uint32_t) slot, key, RECO_MAX_STATE_KEY);
    if (*len == 0) {
        tool_csv_error(v->csv, NULL, "the state key is longer than %d bytes",
                       RECO_MAX_STATE_KEY);
        return false;
    }

    return true;
}

static bool
parse_confidence(const values_t *v, const reco_str_t *fields, double *out)
{
    *out = NAN;
    if (v->confidence < 0 || fields[v->confidence].len == 0
        || (tool_number_parse(fields[v->confidence], out)
            && *out >= 0 && *out <= 1))
    {
        return true;
    }
    tool_csv_refuse(v->csv, "confidence", fields[v->confidence],
                    "is not a probability, 0 to 1");

    return false;
}

static bool
parse_entry(const values_t *v, const reco_str_t *fields, reco_entry_t *out)
{
    int         index;
    bool        probability = v->model->policy.type == RECO_POLICY_P_TABLE;
    reco_str_t  id = fields[v->action];

    index = reco_catalogue_find(&v->model->catalogue, id);
    if (index < 0) {
        tool_csv_error(v->csv, "action", "'%.*s' is not in the catalogue",
                       (int) id.len, id.data);
        return false;
    }
    out->action = (uint16_t) index;

    if (!tool_number_parse(fields[v->value], &out->value)) {
        tool_csv_refuse(v->csv, "value", fields[v->value],
                        "is not a finite number");
        return false;
    }
    if (probability && (out->value < 0 || out->value > 1)) {
        tool_csv_refuse(v->csv, "value", fields[v->value],
                        "is not a probability, 0 to 1");
        return false;
    }

    out->visits = 0;
    if (v->visits >= 0 && fields[v->visits].len
        && !parse_count(fields[v->visits], UINT64_C(1) << 53, &out->visits))
    {
        tool_csv_refuse(v->csv, "visits", fields[v->visits],
                        "is not a count");
        return false;
    }

    return parse_confidence(v, fields, &out->confidence);
}

/* ---- the table ---------------------------------------------------------- */

static void
add_cell(values_t *v, const char *key, size_t len, const reco_entry_t *entry)
{
    state_t  *s;

    HASH_FIND(hh, v->states, key, len, s);
    if (s == NULL) {
        s = tool_alloc(sizeof(*s));
        s->key = tool_dup((reco_str_t) { key, len });
        s->len = len;
        HASH_ADD_KEYPTR(hh, v->states, s->key, len, s);
    }

    if (s->n == s->room) {
        s->room = s->room ? 2 * s->room : 8;
        s->cells = tool_realloc(s->cells, s->room * sizeof(cell_t));
    }
    s->cells[s->n].entry = *entry;
    s->cells[s->n++].line = tool_csv_line(v->csv);
    s->visits += entry->visits;
}

static bool
read_table(values_t *v)
{
    char                key[RECO_MAX_STATE_KEY];
    bool                ok = true;
    size_t              len;
    reco_entry_t        entry;
    tool_progress_t     progress;
    tool_csv_result_t   rc = TOOL_CSV_END;
    const reco_str_t   *fields;

    tool_progress_begin(&progress, "values", tool_csv_total(v->csv));
    while (ok && (rc = tool_csv_next(v->csv, &fields)) == TOOL_CSV_ROW) {
        ok = parse_key(v, fields, key, &len) && parse_entry(v, fields, &entry);
        if (ok) {
            add_cell(v, key, len, &entry);
        }
        tool_progress_at(&progress, tool_csv_bytes(v->csv));
    }
    tool_progress_end(&progress);

    if (ok && rc == TOOL_CSV_BAD_ROW) {
        tool_csv_error(v->csv, NULL, "%s", tool_csv_reason(v->csv));
    }

    return ok && rc == TOOL_CSV_END;
}

static int
by_action(const void *a, const void *b)
{
    const cell_t  *x = a, *y = b;

    if (x->entry.action != y->entry.action) {
        return x->entry.action < y->entry.action ? -1 : 1;
    }

    return (x->line > y->line) - (x->line < y->line);
}

static bool
write_state(const values_t *v, const char *path, state_t *s,
    reco_builder_t *builder)
{
    double         sum = 0;
    uint32_t       i;
    reco_entry_t  *entries;
    reco_error_t   err;
    reco_status_t  rc;

    qsort(s->cells, s->n, sizeof(cell_t), by_action);
    for (i = 0; i < s->n; i++) {
        if (i && s->cells[i].entry.action == s->cells[i - 1].entry.action) {
            tool_error("%s:%llu: column 'action': line %llu has a value for "
                       "this state and action too", path,
                       (unsigned long long) s->cells[i].line,
                       (unsigned long long) s->cells[i - 1].line);
            return false;
        }
        sum += s->cells[i].entry.value;
    }

    if (v->model->policy.type == RECO_POLICY_P_TABLE && sum <= 0) {
        tool_error("%s:%llu: column 'value': the probabilities of this state "
                   "are all 0", path, (unsigned long long) s->cells[0].line);
        return false;
    }

    entries = tool_alloc(s->n * sizeof(reco_entry_t));
    for (i = 0; i < s->n; i++) {
        entries[i] = s->cells[i].entry;
    }
    rc = reco_builder_row(builder, (reco_str_t) { s->key, s->len }, s->visits,
                          entries, s->n, &err);
    free(entries);
    if (rc == RECO_IO) {
        tool_error("%s", err.message);      /* it names the file */
    } else if (rc != RECO_OK) {
        tool_fail(path, &err);
    }

    return rc == RECO_OK;
}

bool
build_add_values(const char *path, const reco_model_t *model,
    reco_builder_t *builder, uint64_t *states)
{
    bool       ok;
    state_t   *s, *next;
    values_t  *v = tool_alloc(sizeof(*v));

    v->model = model;
    v->features.n = model->nfeatures;
    v->csv = tool_csv_open(path);
    ok = v->csv != NULL && find_columns(v, path) && read_table(v);
    *states = HASH_COUNT(v->states);

    for (s = v->states; ok && s != NULL; s = s->hh.next) {
        ok = write_state(v, path, s, builder);
    }

    HASH_ITER(hh, v->states, s, next) {
        HASH_DEL(v->states, s);
        free(s->key);
        free(s->cells);
        free(s);
    }
    tool_csv_close(v->csv);
    free(v);

    return ok;
}
