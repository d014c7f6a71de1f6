/*
 * build_customers.c - customer records from CSV, a row at a time: every
 * column but the customer's id becomes a field of the record, under the
 * column's name.
 */

#include "build.h"

#include <stdlib.h>
#include <string.h>

/* ---- columns ------------------------------------------------------------ */

static bool
takes_field(const reco_feature_t *f, reco_str_t name)
{
    uint32_t  i;

    for (i = 0; i < f->nfrom; i++) {
        if (f->from[i].source == RECO_SOURCE_CUSTOMER
            && reco_str_equal(f->from[i].field, name))
        {
            return true;
        }
    }

    return false;
}

static void
describe_field(build_field_t *field, const reco_model_t *model)
{
    uint32_t               i;
    const reco_feature_t  *f;

    for (i = 0; i < model->nfeatures; i++) {
        f = &model->features[i];
        if (!takes_field(f, field->name)) {
            continue;
        }
        if (f->type == RECO_FEATURE_NUMBER) {
            field->number = true;
        } else if (f->ncodes) {
            field->coded = f;
        }
    }
}

static bool
find_fields(build_customers_t *c, const reco_model_t *model)
{
    uint32_t        i, n = tool_csv_columns(c->csv);
    build_field_t  *f;

    c->fields = tool_alloc(n * sizeof(build_field_t));
    c->names = tool_alloc(n * sizeof(reco_str_t));

    for (i = 0; i < n; i++) {
        if ((int) i == c->key) {
            continue;
        }

        f = &c->fields[c->n];
        f->column = (int) i;
        f->name = tool_csv_column(c->csv, i);
        if (!reco_id_is_valid(f->name)) {
            tool_error("%s: column %u has no name that a field can have",
                       c->path, i + 1);
            return false;
        }
        describe_field(f, model);
        c->names[c->n++] = f->name;
    }

    return true;
}

bool
build_open_customers(build_customers_t *c, const char *path,
    const reco_model_t *model, const reco_secret_t *secret)
{
    memset(c, 0, sizeof(*c));
    c->path = path;
    c->secret = secret;
    c->key_name = tool_dup(model->customer_column);
    c->csv = tool_csv_open(path);
    if (c->csv == NULL) {
        return false;
    }

    c->key = tool_csv_find(c->csv, c->key_name);
    if (c->key < 0) {
        tool_error("%s: there is no column '%s' for the customer's id", path,
                   c->key_name);
        return false;
    }

    return find_fields(c, model);
}

void
build_close_customers(build_customers_t *c)
{
    tool_csv_close(c->csv);
    free(c->key_name);
    free(c->fields);
    free(c->names);
    memset(c, 0, sizeof(*c));
}

/* ---- values ------------------------------------------------------------- */

static bool
refuse(const build_customers_t *c, const build_field_t *f, reco_str_t text,
    const char *words)
{
    char  *name = tool_dup(f->name);

    tool_csv_refuse(c->csv, name, text, "%s", words);
    free(name);

    return false;
}

/* The words name the value already, or it is nothing to show. */
static bool
refuse_plainly(const build_customers_t *c, const build_field_t *f,
    const char *words)
{
    char  *name = tool_dup(f->name);

    tool_csv_error(c->csv, name, "%s", words);
    free(name);

    return false;
}

static bool
convert(const build_customers_t *c, const build_field_t *f, reco_str_t text,
    reco_value_t *out)
{
    reco_value_t  code;
    reco_error_t  err;

    memset(out, 0, sizeof(*out));
    if (text.len == 0) {
        return true;
    }

    if (f->number) {
        out->kind = RECO_VALUE_NUMBER;
        return tool_number_parse(text, &out->number)
               || refuse(c, f, text, "is not a number");
    }

    if (!reco_id_is_valid(text)) {
        return refuse_plainly(c, f, "must be at most 255 bytes of UTF-8 "
                              "without control characters");
    }
    out->kind = RECO_VALUE_WORD;
    out->word = text;

    if (f->coded != NULL) {
        code = *out;
        if (reco_feature_convert(f->coded, &code, true, &err) != RECO_OK) {
            return refuse_plainly(c, f, err.message);
        }
    }

    return true;
}

/* ---- rows --------------------------------------------------------------- */

typedef bool (*row_pt)(build_customers_t *c, const reco_str_t *fields,
    void *data);

static bool
each_row(build_customers_t *c, const char *label, row_pt row, void *data)
{
    bool                ok = true;
    tool_progress_t     progress;
    tool_csv_result_t   rc = TOOL_CSV_END;
    const reco_str_t   *fields;

    tool_progress_begin(&progress, label, tool_csv_total(c->csv));
    while (ok && (rc = tool_csv_next(c->csv, &fields)) == TOOL_CSV_ROW) {
        ok = row(c, fields, data);
        tool_progress_at(&progress, tool_csv_bytes(c->csv));
    }
    tool_progress_end(&progress);

    if (ok && rc == TOOL_CSV_BAD_ROW) {
        tool_csv_error(c->csv, NULL, "%s", tool_csv_reason(c->csv));
    }

    return ok && rc == TOOL_CSV_END;
}

/* ---- records ------------------------------------------------------------ */

typedef struct {
    reco_builder_t  *builder;
    reco_value_t    *values;
} writer_t;

static bool
write_row(build_customers_t *c, const reco_str_t *fields, void *data)
{
    char          hashed[32];
    uint32_t      i;
    writer_t     *w = data;
    reco_str_t    id = fields[c->key];
    reco_error_t  err;

    if (!reco_id_is_valid(id)) {
        tool_csv_error(c->csv, c->key_name, "must be 1 to 255 bytes of UTF-8 "
                       "without control characters");
        return false;
    }

    for (i = 0; i < c->n; i++) {
        if (!convert(c, &c->fields[i], fields[c->fields[i].column],
                     &w->values[i]))
        {
            return false;
        }
    }

    if (reco_builder_customer(w->builder,
                              reco_customer_key(c->secret, id, hashed),
                              w->values, &err) != RECO_OK)
    {
        if (err.status == RECO_IO) {
            tool_error("%s", err.message);      /* it names the file */
        } else {
            tool_csv_error(c->csv, c->key_name, "%s", err.message);
        }
        return false;
    }
    c->rows++;

    return true;
}

bool
build_add_customers(build_customers_t *c, reco_builder_t *builder)
{
    bool      ok;
    writer_t  w = { builder, tool_alloc(c->n * sizeof(reco_value_t)) };

    ok = each_row(c, "customers", write_row, &w);
    free(w.values);

    return ok;
}
