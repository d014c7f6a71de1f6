/*
 * fuzz_spec.c - specs that people write wrongly: refused with a path, or read,
 * bound, resolved, and then read again from what was resolved.
 */

#include "fuzz_util.h"
#include "reco_spec.h"

#define EDGES  3

/* Fields of customers that a feature may ask for. */
static const reco_str_t  fields[] = {
    { "age", 3 }, { "country", 7 }, { "cart_total", 10 },
};

static reco_status_t
read_spec(reco_str_t text, reco_model_t **model, reco_error_t *err)
{
    reco_str_t     file;
    reco_status_t  rc;

    rc = reco_spec_read(text, model, &file, err);
    FUZZ_ASSERT((rc == RECO_OK) == (*model != NULL));

    return rc;
}

/* A text that was read and resolved is a spec of the same shape. */
static void
try_resolve(reco_str_t text, const reco_model_t *model)
{
    char                 *resolved;
    size_t                len;
    uint32_t              i;
    reco_model_t         *again;
    reco_error_t          err;
    reco_learned_t        learned[RECO_MAX_FEATURES];
    static double         rising[EDGES] = { -1.5, 0, 1e9 };
    static reco_str_t     words[] = { { "x", 1 } };

    for (i = 0; i < model->nfeatures; i++) {
        learned[i] = (reco_learned_t) { true, rising, 0, words, 1 };
        learned[i].nedges = model->features[i].quantiles != 0 ? EDGES : 0;
        if (learned[i].nedges >= model->features[i].quantiles) {
            learned[i].nedges = model->features[i].quantiles != 0;
        }
    }

    if (reco_spec_resolve(text, model, learned, &resolved, &len, &err)
        != RECO_OK)
    {
        (void) fprintf(stderr, "%s: %s\n", err.field, err.message);
        abort();
    }

    if (read_spec((reco_str_t) { resolved, len }, &again, &err) != RECO_OK) {
        (void) fprintf(stderr, "%s: %s\n", err.field, err.message);
        abort();
    }

    FUZZ_ASSERT(again->nfeatures == model->nfeatures);
    FUZZ_ASSERT(again->catalogue.n == model->catalogue.n);
    FUZZ_ASSERT(again->nrules == model->nrules);
    FUZZ_ASSERT(again->policy.type == model->policy.type);
    FUZZ_ASSERT(again->policy.slate == model->policy.slate);
    FUZZ_ASSERT(memcmp(again->salt, model->salt, sizeof(model->salt)) == 0);
    reco_model_free(again);
    free(resolved);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t        i;
    reco_str_t      text;
    reco_model_t   *model;
    reco_error_t    err;
    reco_status_t   rc;

    text = fuzz_copy(data, size);
    rc = read_spec(text, &model, &err);

    if (rc != RECO_OK) {
        fuzz_check_error(&err, rc, size);
        fuzz_free(text);
        return 0;
    }

    FUZZ_ASSERT(reco_id_is_valid(model->name));
    FUZZ_ASSERT(model->nfeatures <= RECO_MAX_FEATURES);
    FUZZ_ASSERT(model->catalogue.n <= RECO_MAX_ACTIONS);
    try_resolve(text, model);

    rc = reco_spec_bind(model, NULL, 0, fields,
                        sizeof(fields) / sizeof(fields[0]), &err);

    if (rc != RECO_OK) {
        fuzz_check_error(&err, rc, size);

    } else {
        for (i = 0; i < model->catalogue.n; i++) {
            FUZZ_ASSERT(reco_catalogue_find(&model->catalogue,
                                            model->catalogue.actions[i].id)
                        == (int) i);
        }
    }

    reco_model_free(model);
    fuzz_free(text);

    return 0;
}
