/*
 * fuzz_model.h - a model from a spec's text, for fuzzers that need one.
 */

#ifndef FUZZ_MODEL_H
#define FUZZ_MODEL_H

#include "fuzz_util.h"
#include "reco_spec.h"

static inline reco_model_t *
fuzz_model(const char *spec)
{
    reco_error_t    err;
    reco_model_t   *model;

    if (reco_spec_read((reco_str_t) { spec, strlen(spec) }, &model, NULL,
                       &err) != RECO_OK
        || reco_spec_bind(model, NULL, 0, NULL, 0, &err) != RECO_OK)
    {
        (void) fprintf(stderr, "%s: %s\n", err.field, err.message);
        abort();
    }

    return model;
}

#endif /* FUZZ_MODEL_H */
