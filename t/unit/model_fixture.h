/*
 * model_fixture.h - models for unit tests: from a spec's text, with a table of
 * values and customer records in memory. What cannot be made fails the test.
 */

#ifndef MODEL_FIXTURE_H
#define MODEL_FIXTURE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reco_decide.h"
#include "reco_record.h"
#include "reco_spec.h"

#define FIXTURE_ROWS     8
#define FIXTURE_ENTRIES  64

/* A table of values that counts how often it was asked. */
typedef struct {
    uint32_t    n;
    uint32_t    lookups;
    reco_str_t  keys[FIXTURE_ROWS];
    reco_row_t  rows[FIXTURE_ROWS];
    uint8_t     data[FIXTURE_ROWS][RECO_ROW_HEAD + RECO_MAX_STATE_KEY
                                   + FIXTURE_ENTRIES * RECO_ROW_ENTRY];
} fixture_table_t;

static inline reco_str_t
fixture_str(const char *s)
{
    return (reco_str_t) { s, strlen(s) };
}

static inline reco_value_t
fixture_number(double x)
{
    return (reco_value_t) { RECO_VALUE_NUMBER, x, { "", 0 } };
}

static inline reco_value_t
fixture_word(const char *s)
{
    return (reco_value_t) { RECO_VALUE_WORD, 0, fixture_str(s) };
}

/* fields: names of the customer records' fields, ends in NULL; or NULL. */
static inline reco_model_t *
fixture_model(const char *spec, const char *const *fields)
{
    uint32_t       n = 0;
    reco_str_t     names[16];
    reco_model_t  *model;
    reco_error_t   err;

    if (reco_spec_read(fixture_str(spec), &model, NULL, &err) != RECO_OK) {
        fail_msg("%s: %s", err.field, err.message);
    }

    for ( ; fields != NULL && fields[n] != NULL; n++) {
        names[n] = fixture_str(fields[n]);
    }

    if (reco_spec_bind(model, NULL, 0, names, n, &err) != RECO_OK) {
        fail_msg("%s: %s", err.field, err.message);
    }

    return model;
}

static inline bool
fixture_lookup(void *data, reco_str_t key, reco_row_t *row)
{
    uint32_t          i;
    fixture_table_t  *table = data;

    table->lookups++;

    for (i = 0; i < table->n; i++) {
        if (reco_str_equal(table->keys[i], key)) {
            *row = table->rows[i];
            return true;
        }
    }

    return false;
}

/* Adds a row; values[i] is that of action i, NAN for none. */
static inline void
fixture_row(reco_model_t *model, fixture_table_t *table, const char *key,
    const double *values, uint32_t n)
{
    size_t        len;
    uint32_t      i, count = 0;
    uint8_t      *data;
    reco_entry_t  entries[FIXTURE_ENTRIES];

    assert_true(table->n < FIXTURE_ROWS && n <= FIXTURE_ENTRIES);

    for (i = 0; i < n; i++) {
        if (values[i] == values[i]) {
            entries[count++] = (reco_entry_t) { (uint16_t) i, values[i], 1, NAN };
        }
    }

    data = table->data[table->n];
    reco_row_pack(fixture_str(key), n, entries, count, data);
    len = RECO_ROW_HEAD + strlen(key) + count * RECO_ROW_ENTRY;

    assert_true(reco_row_unpack(data, len, model->catalogue.n,
                                &table->keys[table->n],
                                &table->rows[table->n]));
    table->n++;
    model->lookup = fixture_lookup;
    model->lookup_data = table;
}

/* The features of a request in which nothing is given. */
static inline void
fixture_features(const reco_model_t *model, reco_features_t *f)
{
    static reco_request_t  request;
    reco_error_t           err;

    reco_request_reset(&request, model->nfeatures);

    if (reco_features_resolve(model, &request, NULL, f, &err) != RECO_OK) {
        fail_msg("%s: %s", err.field, err.message);
    }
}

/* The mask of the actions that a text names by '1', in catalogue order. */
static inline reco_mask_t
fixture_mask(const char *bits)
{
    uint32_t     i;
    reco_mask_t  mask;

    memset(&mask, 0, sizeof(mask));

    for (i = 0; bits[i] != '\0'; i++) {
        if (bits[i] == '1') {
            reco_mask_set(&mask, i);
        }
    }

    return mask;
}

#endif /* MODEL_FIXTURE_H */
