/*
 * reco_format_impl.h - what the formats share: reading members with errors
 * that name the field, maps of features and of actions, the shape of errors.
 * For core/reco_format*.c only.
 *
 * All of these take the scanner just after it returned 'token', and need an
 * error to write to. Status is that of err: a fault of the scanner itself has
 * been described by the scanner.
 */

#ifndef RECO_FORMAT_IMPL_H
#define RECO_FORMAT_IMPL_H

#include "reco_format.h"

#include <string.h>

/* For dispatch on length and bytes; 'literal' is a string literal. */
#define reco_key_is(key, literal)                                             \
    ((key).len == sizeof(literal) - 1                                         \
     && memcmp((key).data, (literal), sizeof(literal) - 1) == 0)

#define RECO_FORMAT_ROOT  ((reco_str_t) { "", 0 })

/* RECO_INVALID; the field is "parent.name", or the one of them that is not
 * empty, with control characters replaced and cut at a character's end. */
reco_status_t reco_format_fail(reco_error_t *err, size_t position,
    const char *parent, reco_str_t name, const char *message);

/* "required, but missing" */
reco_status_t reco_format_missing(reco_error_t *err, const char *field);

/* The first token is that of an object, the top level of a body. */
reco_status_t reco_format_begin(reco_json_t *s, reco_error_t *err);

/* The next member's key and value token. RECO_NOT_FOUND after the last. */
reco_status_t reco_format_member(reco_json_t *s, reco_str_t *key,
    reco_json_token_t *token, reco_error_t *err);

/* Nothing but white space follows. */
reco_status_t reco_format_end(reco_json_t *s, reco_error_t *err);

/* A string that is an id; null leaves *out as it is, where that is allowed. */
reco_status_t reco_format_id(reco_json_t *s, reco_json_token_t token,
    const char *parent, reco_str_t name, bool null_allowed, reco_str_t *out,
    reco_error_t *err);

/* An array of at most max ids, which need not be known; null is none. */
reco_status_t reco_format_ids(reco_json_t *s, reco_json_token_t token,
    reco_str_t name, reco_str_t *ids, uint32_t max, uint32_t *n,
    reco_error_t *err);

/* Having got the object's start: features by their names in requests into
 * request->given; names the model does not know are counted. */
reco_status_t reco_format_features(reco_json_t *s, const char *parent,
    const reco_model_t *model, reco_request_t *request, reco_error_t *err);

/* One of them, by its name in requests. */
reco_status_t reco_format_feature(reco_json_t *s, reco_json_token_t token,
    const char *parent, reco_str_t name, const reco_model_t *model,
    reco_request_t *request, reco_error_t *err);

/* Having got the object's start: {"ID": true, ...} into request->flags. */
reco_status_t reco_format_flags(reco_json_t *s, const char *parent,
    const reco_model_t *model, reco_request_t *request, reco_error_t *err);

/* request->has_flags, with no action flagged yet. */
void reco_format_flags_begin(reco_request_t *request);

/* {"error":{"code":..,"message":..,"field":..[,"position":..]}} */
void reco_format_problem(reco_buf_t *out, const reco_problem_t *problem);

/* A date, or a date and time, of ISO 8601, at most 64 bytes; milliseconds
 * since 1970, 0 for what was before. */
bool reco_format_time(reco_str_t text, uint64_t *ms);

/* The member "explain" of a native answer, and its size at most. */
void reco_format_explain(reco_buf_t *out, const reco_answer_t *answer);
size_t reco_format_explain_bound(const reco_model_t *model);

/* Bytes a string may need as JSON, at most. */
size_t reco_format_string_bound(reco_str_t s);

#endif /* RECO_FORMAT_IMPL_H */
