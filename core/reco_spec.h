/*
 * reco_spec.h - reads a model spec (JSON, docs/SPEC.md) into a model.
 *
 * Two steps, because rules name actions and features name customer fields
 * that only the data knows: reco_spec_read() checks everything that can be
 * checked alone; reco_spec_bind() resolves the rest. Neither is on the hot
 * path: a worker runs both once a generation.
 */

#ifndef RECO_SPEC_H
#define RECO_SPEC_H

#include "reco_model.h"

/* Reads a spec. On success *model is owned by the caller (reco_model_free).
 * An inline "actions" array fills the catalogue; for {"file": NAME} the
 * catalogue stays empty, and *actions_file (which may be NULL) gets the name,
 * borrowed from the model, empty otherwise. Unknown members are refused. On
 * failure *model is NULL and err has the JSON path of the fault, or the line
 * and column in its message where the text is not JSON. */
reco_status_t reco_spec_read(reco_str_t text, reco_model_t **model,
    reco_str_t *actions_file, reco_error_t *err);

/* Gives the model its catalogue (copied; NULL keeps the inline one), maps
 * customer fields to indices and rules' ids to actions, and builds the
 * lookup tables. An id no action has is an error with the rule's path. */
reco_status_t reco_spec_bind(reco_model_t *model,
    const reco_action_t *actions, uint32_t nactions,
    const reco_str_t *customer_fields, uint32_t nfields, reco_error_t *err);

/* What a feature learned from data. */
typedef struct {
    bool         known;
    double      *edges;         /* number with quantiles: rising */
    uint32_t     nedges;
    reco_str_t  *words;         /* category with "top": each once */
    uint32_t     nwords;
} reco_learned_t;

/* The spec's text with what learned[f] knows written into each feature f that
 * leaves it to the data: "bins" as {"quantiles": q, "edges": [...]},
 * "vocabulary" as {"top": n, "words": [...]}: what a snapshot carries. NULL
 * for 'learned': nothing is. Compact, keys sorted, so that the same spec gives
 * the same bytes. *out is malloc'ed. */
reco_status_t reco_spec_resolve(reco_str_t text, const reco_model_t *model,
    const reco_learned_t *learned, char **out, size_t *out_len,
    reco_error_t *err);

/* Checks and converts a value for a feature the way a request's value is:
 * number features take numbers and numeric text (as a CSV has it, when
 * 'from_text'), categories take words, numbers and codes. */
reco_status_t reco_feature_convert(const reco_feature_t *f, reco_value_t *v,
    bool from_text, reco_error_t *err);

/* "250ms", "30s", "30m", "2h", "7d"; a bare number is seconds. */
bool reco_duration_parse(reco_str_t text, uint64_t *ms);

#endif /* RECO_SPEC_H */
