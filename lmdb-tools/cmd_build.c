/*
 * cmd_build.c - `reco build`: a snapshot from a spec, a catalogue, customers
 * and a table of values. Nothing appears at --out before all of it is right.
 */

#include "build.h"
#include "models.h"

#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct {
    const char         *spec_path;
    const char         *customers_path;
    const char         *actions_path;
    const char         *samples_path;
    const char         *values_path;
    const char         *items_path;
    const char         *lists_path;
    const char         *secret_path;
    const char         *out;
    const char         *as_of;
    bool                json;

    uint64_t            built_ms;
    reco_secret_t      *secret;
    char               *text;           /* the spec as written */
    size_t              text_len;
    char               *resolved;       /* with the learned edges */
    size_t              resolved_len;
    reco_model_t       *model;          /* of the resolved spec, bound */
    build_actions_t     actions;
    build_customers_t   customers;
    build_items_t       items;
    reco_builder_t     *builder;
    uint64_t            states;
} build_t;

/* ---- options ------------------------------------------------------------ */

enum { OPT_CUSTOMERS = 256, OPT_ACTIONS, OPT_VALUES, OPT_SECRET, OPT_AS_OF,
       OPT_JSON, OPT_OUT, OPT_SAMPLES, OPT_ITEMS, OPT_LISTS };

static const struct argp_option  options[] = {
    { "out", OPT_OUT, "FILE", 0, "the snapshot to write (needed)", 0 },
    { "customers", OPT_CUSTOMERS, "CSV", 0, "the customers' records", 0 },
    { "actions", OPT_ACTIONS, "CSV", 0,
      "the catalogue: id, name, price, category, active", 0 },
    { "samples", OPT_SAMPLES, "CSV", 0,
      "learn bins and vocabularies from its columns, named like features", 0 },
    { "values", OPT_VALUES, "CSV", 0, "the table of a table policy", 0 },
    { "items", OPT_ITEMS, "CSV", 0,
      "what a strategy recommends: id, name, price, category, family, "
      "available", 0 },
    { "lists", OPT_LISTS, "CSV", 0,
      "ranked lists of items: list, key, item, score", 0 },
    { "secret", OPT_SECRET, "FILE", 0,
      "hash the customers' ids with this file's hash key", 0 },
    { "as-of", OPT_AS_OF, "TIME", 0,
      "the time to note as that of the build", 0 },
    { "json", OPT_JSON, NULL, 0, "print the summary as JSON", 0 },
    { 0 }
};

static error_t
on_option(int key, char *arg, struct argp_state *state)
{
    build_t  *b = state->input;

    switch (key) {
    case OPT_OUT:
        b->out = arg;
        return 0;
    case OPT_CUSTOMERS:
        b->customers_path = arg;
        return 0;
    case OPT_ACTIONS:
        b->actions_path = arg;
        return 0;
    case OPT_SAMPLES:
        b->samples_path = arg;
        return 0;
    case OPT_VALUES:
        b->values_path = arg;
        return 0;
    case OPT_ITEMS:
        b->items_path = arg;
        return 0;
    case OPT_LISTS:
        b->lists_path = arg;
        return 0;
    case OPT_SECRET:
        b->secret_path = arg;
        return 0;
    case OPT_AS_OF:
        b->as_of = arg;
        return 0;
    case OPT_JSON:
        b->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0) {
            argp_error(state, "one SPEC only");
        }
        b->spec_path = arg;
        return 0;
    case ARGP_KEY_END:
        if (b->spec_path == NULL) {
            argp_error(state, "a SPEC is needed");
        }
        if (b->out == NULL) {
            argp_error(state, "--out is needed");
        }
        if (b->customers_path && strcmp(b->customers_path, "-") == 0) {
            argp_error(state, "--customers must be a file");
        }
        if (b->lists_path && b->items_path == NULL) {
            argp_error(state, "--lists needs --items");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp  argp = {
    options, on_option, "SPEC",
    "Makes a snapshot from a model spec and its data.\v"
    "CSV files may be compressed (gzip, bzip2, xz, zstd, lz4, zip). The same "
    "input gives the same bytes.", NULL, NULL, NULL
};

/* ---- steps -------------------------------------------------------------- */

static bool
read_time(build_t *b)
{
    if (b->as_of == NULL) {
        return tool_source_date(&b->built_ms);
    }
    if (!tool_time_parse(tool_str(b->as_of), &b->built_ms)) {
        tool_error("--as-of: '%s' is not a time such as 2026-11-22T02:15:00Z",
                   b->as_of);
        return false;
    }

    return true;
}

/* --actions, or the spec's file, which is named relative to the spec. */
static bool
read_actions(build_t *b, const reco_model_t *model, reco_str_t file)
{
    bool   ok;
    char  *name, *copy, *path;

    if (model->catalogue.n) {
        if (b->actions_path != NULL) {
            tool_error("%s: $.actions: has the catalogue already; --actions "
                       "would not be used", b->spec_path);
        }
        return b->actions_path == NULL;
    }

    if (b->actions_path != NULL) {
        return build_read_actions(b->actions_path, &b->actions);
    }
    if (file.len == 0) {
        tool_error("%s: $.actions: is empty, and there is no --actions",
                   b->spec_path);
        return false;
    }

    name = tool_dup(file);
    if (name[0] == '/') {
        ok = build_read_actions(name, &b->actions);
    } else {
        copy = tool_strdup(b->spec_path);
        path = tool_format("%s/%s", dirname(copy), name);
        ok = build_read_actions(path, &b->actions);
        free(copy);
        free(path);
    }
    free(name);

    return ok;
}

/* Learns what the spec leaves to the data and writes it into the spec. */
static bool
resolve(build_t *b, const reco_model_t *model)
{
    bool             ok;
    reco_error_t     err;
    reco_learned_t   learned[RECO_MAX_FEATURES] = { 0 };

    ok = build_learn(b->spec_path, b->samples_path, b->customers_path, model,
                     learned);

    if (ok && reco_spec_resolve((reco_str_t) { b->text, b->text_len }, model,
                                learned, &b->resolved, &b->resolved_len,
                                &err) != RECO_OK)
    {
        tool_fail(b->spec_path, &err);
        ok = false;
    }

    build_free_learned(learned, model->nfeatures);

    return ok;
}

/* From the spec's text to the resolved spec's model and the catalogue. */
static bool
read_spec(build_t *b)
{
    bool           ok;
    reco_str_t     file = { "", 0 };
    reco_error_t   err;
    reco_model_t  *model;

    b->text = tool_read_file(b->spec_path, &b->text_len);
    if (b->text == NULL) {
        return false;
    }

    if (reco_spec_read((reco_str_t) { b->text, b->text_len }, &model, &file,
                       &err) != RECO_OK)
    {
        tool_fail(b->spec_path, &err);
        return false;
    }
    ok = read_actions(b, model, file) && resolve(b, model);
    reco_model_free(model);

    if (ok && reco_spec_read((reco_str_t) { b->resolved, b->resolved_len },
                             &b->model, NULL, &err) != RECO_OK)
    {
        tool_fail(b->spec_path, &err);
        ok = false;
    }

    return ok;
}

static bool
bind(build_t *b)
{
    reco_error_t  err;

    if (b->customers_path != NULL
        && !build_open_customers(&b->customers, b->customers_path, b->model,
                                 b->secret))
    {
        return false;
    }

    if (reco_spec_bind(b->model, b->actions.actions, b->actions.n,
                       b->customers.names, b->customers.n, &err) != RECO_OK)
    {
        tool_fail(b->spec_path, &err);
        return false;
    }

    return true;
}

/* A feature whose customer field has no column is probably a slip. */
static void
warn_of_fields(const build_t *b)
{
    uint32_t               i, j;
    const reco_feature_t  *f;

    for (i = 0; b->customers_path != NULL && i < b->model->nfeatures; i++) {
        f = &b->model->features[i];
        for (j = 0; j < f->nfrom; j++) {
            if (f->from[j].source == RECO_SOURCE_CUSTOMER
                && f->from[j].index < 0)
            {
                tool_warn("%s: there is no column '%.*s' for feature '%.*s'",
                          b->customers_path, (int) f->from[j].field.len,
                          f->from[j].field.data, (int) f->name.len,
                          f->name.data);
            }
        }
    }
}

static bool
is_table(const reco_model_t *model)
{
    return model->policy.type == RECO_POLICY_P_TABLE
           || model->policy.type == RECO_POLICY_Q_TABLE;
}

static bool
add_values(build_t *b)
{
    if (b->values_path == NULL) {
        return true;
    }
    if (!is_table(b->model)) {
        tool_error("%s: $.policy.type: '%s' has no table of values, but "
                   "--values gives one", b->spec_path,
                   reco_policy_name(&b->model->policy));
        return false;
    }

    return build_add_values(b->values_path, b->model, b->builder, &b->states);
}

/* A spec's "items" and the files they come from go together. */
static bool
check_items(const build_t *b)
{
    bool  wanted = b->model->items.slate > 0;

    if (wanted && b->items_path == NULL) {
        tool_error("%s: $.items: the model recommends items: give them with "
                   "--items, and their lists with --lists", b->spec_path);
        return false;
    }

    if (!wanted && b->items_path != NULL) {
        tool_error("%s: $.items: is missing, but --items gives some",
                   b->spec_path);
        return false;
    }

    return true;
}

/* Candidates number i, those of all strategies and of the fill counted on;
 * NULL after the last. */
static const reco_candidates_t *
candidates(const reco_items_spec_t *spec, uint32_t i)
{
    uint32_t  s;

    for (s = 0; s < spec->nstrategies; s++) {
        if (i < spec->strategies[s].nfrom) {
            return &spec->strategies[s].from[i];
        }
        i -= spec->strategies[s].nfrom;
    }

    return i < spec->nfill ? &spec->fill[i] : NULL;
}

/* Of lists that are named and not there, each once. */
static void
warn_of_lists(const build_t *b)
{
    uint32_t                  i, j;
    const reco_candidates_t  *c;
    const reco_items_spec_t  *spec = &b->model->items;

    for (i = 0; (c = candidates(spec, i)) != NULL; i++) {
        for (j = 0; !reco_str_equal(candidates(spec, j)->list, c->list); j++) {
            /* the first that names it */
        }
        if (j == i && !build_has_list(&b->items, c->list)) {
            tool_warn("%s: $.items: there is no list '%.*s'", b->spec_path,
                      (int) c->list.len, c->list.data);
        }
    }
}

static bool
add_items(build_t *b)
{
    const reco_items_spec_t  *spec = &b->model->items;

    if (b->items_path == NULL) {
        return true;
    }

    if (!build_add_items(b->items_path, &b->items, b->builder)
        || (b->lists_path
            && !build_add_lists(b->lists_path, &b->items, b->builder)))
    {
        return false;
    }

    warn_of_lists(b);
    if (b->customers_path && spec->history.len && spec->history_index < 0) {
        tool_warn("%s: there is no column '%.*s' for the history of items",
                  b->customers_path, (int) spec->history.len,
                  spec->history.data);
    }

    return true;
}

static bool
write_snapshot(build_t *b)
{
    bool                     ok;
    reco_error_t             err;
    const reco_catalogue_t  *c = &b->model->catalogue;

    if (reco_builder_new(b->out, (reco_str_t) { b->resolved, b->resolved_len },
                         c->actions, c->n, b->customers.names, b->customers.n,
                         reco_secret_fingerprint(b->secret), &b->builder,
                         &err) != RECO_OK)
    {
        tool_fail(b->out, &err);
        return false;
    }

    if ((b->customers_path && !build_add_customers(&b->customers, b->builder))
        || !add_values(b) || !add_items(b))
    {
        return false;
    }

    tool_temp_remember(reco_builder_temp(b->builder));
    ok = reco_builder_finish(b->builder, 0, 0, b->built_ms, NULL, &err)
         == RECO_OK;
    tool_temp_forget(reco_builder_temp(b->builder));

    if (!ok) {
        tool_fail(b->out, &err);
    }

    return ok;
}

/* ---- summary ------------------------------------------------------------ */

static json_t *
edges_of(const reco_feature_t *f)
{
    json_t    *a = json_array();
    uint32_t   i;

    for (i = 0; i < f->nedges; i++) {
        json_array_append_new(a, json_real(f->edges[i]));
    }

    return a;
}

static json_t *
words_of(const reco_feature_t *f)
{
    json_t    *a = json_array();
    uint32_t   i;

    for (i = 0; i < f->nwords; i++) {
        json_array_append_new(a, json_stringn(f->words[i].data,
                                              f->words[i].len));
    }

    return a;
}

/* By feature: the learned edges, or the learned words. */
static json_t *
learned(const reco_model_t *model, bool words)
{
    json_t                *o = json_object();
    uint32_t               i;
    const reco_feature_t  *f;

    for (i = 0; i < model->nfeatures; i++) {
        f = &model->features[i];
        if (words ? f->top : f->quantiles) {
            json_object_setn_new(o, f->name.data, f->name.len,
                                 words ? words_of(f) : edges_of(f));
        }
    }

    return o;
}

static bool
print_summary(const build_t *b)
{
    struct stat          st;
    const reco_model_t  *m = b->model;

    if (stat(b->out, &st) != 0) {
        tool_errno("read", b->out);
        return false;
    }

    if (!b->json) {
        printf("%s: model %.*s %.*s, %u actions, %llu customers, %llu "
               "states, ", b->out, (int) m->name.len, m->name.data,
               (int) m->version.len, m->version.data, m->catalogue.n,
               (unsigned long long) b->customers.rows,
               (unsigned long long) b->states);
        if (b->items_path) {
            printf("%llu items, %llu lists, ",
                   (unsigned long long) b->items.items,
                   (unsigned long long) b->items.lists);
        }
        printf("%lld bytes\n", (long long) st.st_size);
        return true;
    }

    tool_print_json(json_pack("{s:s, s:s%, s:s%, s:i, s:I, s:I, s:I, s:I, "
                              "s:I, s:o, s:o}",
        "file", b->out, "model", m->name.data, m->name.len,
        "version", m->version.data, m->version.len,
        "actions", (int) m->catalogue.n,
        "customers", (json_int_t) b->customers.rows,
        "states", (json_int_t) b->states,
        "items", (json_int_t) b->items.items,
        "lists", (json_int_t) b->items.lists,
        "size", (json_int_t) st.st_size,
        "edges", learned(m, false), "words", learned(m, true)));

    return true;
}

int
cmd_build(int argc, char **argv)
{
    bool     ok;
    build_t  b = { 0 };

    tool_parse(&argp, "build", argc, argv, &b);

    ok = tool_output_is_not(b.out, b.spec_path)
         && tool_output_is_not(b.out, b.customers_path)
         && tool_output_is_not(b.out, b.actions_path)
         && tool_output_is_not(b.out, b.samples_path)
         && tool_output_is_not(b.out, b.values_path)
         && tool_output_is_not(b.out, b.items_path)
         && tool_output_is_not(b.out, b.lists_path)
         && tool_output_is_not(b.out, b.secret_path)
         && read_time(&b) && model_read_secret(b.secret_path, &b.secret)
         && read_spec(&b) && bind(&b)
         && check_items(&b);
    if (ok) {
        warn_of_fields(&b);
        ok = write_snapshot(&b) && print_summary(&b);
    }

    reco_builder_free(b.builder);
    build_close_customers(&b.customers);
    build_free_actions(&b.actions);
    build_free_items(&b.items);
    if (b.model != NULL) {
        reco_model_free(b.model);
    }
    reco_secret_free(b.secret);
    free(b.resolved);
    free(b.text);

    return ok ? 0 : 1;
}
