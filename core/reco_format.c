/*
 * reco_format.c - the list of formats, and what they share
 * (reco_format_impl.h). Nothing here outlives a call.
 */

#include "reco_format_impl.h"

#include <stdio.h>

static const reco_format_t *const  formats[] = {
    &reco_format_native,
    &reco_format_offers,
    &reco_format_cart,
};

const reco_format_t *
reco_format_find(reco_str_t name)
{
    size_t  i;

    for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (strlen(formats[i]->name) == name.len
            && memcmp(formats[i]->name, name.data, name.len) == 0)
        {
            return formats[i];
        }
    }

    return NULL;
}

/* ---- errors --------------------------------------------------------- */

/* Appends what fits. What a client sent may end up in a log, so that control
 * characters do not stay. */
static size_t
append_field(char *field, size_t used, const char *data, size_t len)
{
    size_t         i, room;
    unsigned char  c;

    room = sizeof(((reco_error_t *) 0)->field) - 1 - used;

    if (len > room) {
        len = room;
        while (len > 0 && ((unsigned char) data[len] & 0xc0) == 0x80) {
            len--;
        }
    }

    for (i = 0; i < len; i++) {
        c = (unsigned char) data[i];
        field[used + i] = (c < 0x20 || c == 0x7f) ? '?' : (char) c;
    }

    field[used + len] = '\0';

    return used + len;
}

reco_status_t
reco_format_fail(reco_error_t *err, size_t position, const char *parent,
    reco_str_t name, const char *message)
{
    size_t  used;

    reco_error_set(err, RECO_INVALID, "", "%s", message);
    err->position = position;

    used = append_field(err->field, 0, parent, strlen(parent));
    if (used > 0 && name.len > 0) {
        used = append_field(err->field, used, ".", 1);
    }

    append_field(err->field, used, name.data, name.len);

    return RECO_INVALID;
}

reco_status_t
reco_format_missing(reco_error_t *err, const char *field)
{
    return reco_format_fail(err, RECO_NO_POSITION, field, RECO_FORMAT_ROOT,
                            "required, but missing");
}

/* An error without a text of its own is one of the module's: no body, no
 * decision, no room. */
void
reco_format_problem(reco_buf_t *out, const reco_problem_t *problem)
{
    const reco_error_t  *e = problem->error;
    const char          *message;

    message = (e != NULL && e->message[0] != '\0') ? e->message
                                                   : problem->code;

    reco_buf_cstr(out, "{\"error\":{\"code\":");
    reco_buf_json_string(out, (reco_str_t) { problem->code,
                                             strlen(problem->code) });
    reco_buf_cstr(out, ",\"message\":");
    reco_buf_json_string(out, (reco_str_t) { message, strlen(message) });
    reco_buf_cstr(out, ",\"field\":");

    if (e != NULL && e->field[0] != '\0') {
        reco_buf_json_string(out, (reco_str_t) { e->field,
                                                 strlen(e->field) });
    } else {
        reco_buf_cstr(out, "null");
    }

    if (e != NULL && e->position != RECO_NO_POSITION) {
        reco_buf_cstr(out, ",\"position\":");
        reco_buf_u64(out, e->position);
    }

    reco_buf_cstr(out, "}}");
}

/* ---- objects -------------------------------------------------------- */

reco_status_t
reco_format_begin(reco_json_t *s, reco_error_t *err)
{
    switch (reco_json_next(s)) {

    case RECO_JSON_OBJECT:
        return RECO_OK;

    case RECO_JSON_ERROR:
        return err->status;

    default:
        return reco_format_fail(err, s->position, "", RECO_FORMAT_ROOT,
                                "must be a JSON object");
    }
}

reco_status_t
reco_format_member(reco_json_t *s, reco_str_t *key, reco_json_token_t *token,
    reco_error_t *err)
{
    switch (reco_json_next(s)) {

    case RECO_JSON_KEY:
        *key = s->string;
        *token = reco_json_next(s);
        return (*token == RECO_JSON_ERROR) ? err->status : RECO_OK;

    case RECO_JSON_OBJECT_END:
        return RECO_NOT_FOUND;

    default:
        return err->status;
    }
}

reco_status_t
reco_format_end(reco_json_t *s, reco_error_t *err)
{
    return (reco_json_next(s) == RECO_JSON_END) ? RECO_OK : err->status;
}

reco_status_t
reco_format_id(reco_json_t *s, reco_json_token_t token, const char *parent,
    reco_str_t name, bool null_allowed, reco_str_t *out, reco_error_t *err)
{
    if (token == RECO_JSON_NULL && null_allowed) {
        return RECO_OK;
    }

    if (token != RECO_JSON_STRING) {
        return reco_format_fail(err, s->position, parent, name,
                                "must be a string");
    }

    if (!reco_id_is_valid(s->string)) {
        return reco_format_fail(err, s->position, parent, name,
                                "must have 1 to 255 bytes and no control"
                                " characters");
    }

    *out = s->string;

    return RECO_OK;
}

reco_status_t
reco_format_ids(reco_json_t *s, reco_json_token_t token, reco_str_t name,
    reco_str_t *ids, uint32_t max, uint32_t *n, reco_error_t *err)
{
    char           message[48];
    reco_status_t  rc;

    *n = 0;

    if (token == RECO_JSON_NULL) {
        return RECO_OK;
    }

    if (token != RECO_JSON_ARRAY) {
        return reco_format_fail(err, s->position, "", name,
                                "must be an array of ids");
    }

    while ((token = reco_json_next(s)) != RECO_JSON_ARRAY_END) {

        if (token == RECO_JSON_ERROR) {
            return err->status;
        }

        if (*n == max) {
            snprintf(message, sizeof(message), "must be at most %u items",
                     (unsigned) max);
            return reco_format_fail(err, s->position, "", name, message);
        }

        rc = reco_format_id(s, token, "", name, false, &ids[*n], err);
        if (rc != RECO_OK) {
            return rc;
        }

        (*n)++;
    }

    return RECO_OK;
}

/* ---- features and flags --------------------------------------------- */

static reco_status_t
feature_value(reco_json_t *s, reco_json_token_t token, const char *parent,
    reco_str_t name, reco_value_t *v, reco_error_t *err)
{
    switch (token) {

    case RECO_JSON_NUMBER:
        v->kind = RECO_VALUE_NUMBER;
        v->number = s->number;
        return RECO_OK;

    case RECO_JSON_STRING:
        if (s->string.len == 0) {
            return RECO_OK;
        }

        if (!reco_id_is_valid(s->string)) {
            return reco_format_fail(err, s->position, parent, name,
                                    "must have at most 255 bytes and no"
                                    " control characters");
        }

        v->kind = RECO_VALUE_WORD;
        v->word = s->string;
        return RECO_OK;

    case RECO_JSON_TRUE:
        v->kind = RECO_VALUE_WORD;
        v->word = RECO_STR("true");
        return RECO_OK;

    case RECO_JSON_FALSE:
        v->kind = RECO_VALUE_WORD;
        v->word = RECO_STR("false");
        return RECO_OK;

    case RECO_JSON_NULL:
        return RECO_OK;

    default:
        return reco_format_fail(err, s->position, parent, name,
                                "must be a string, a number, true, false"
                                " or null");
    }
}

reco_status_t
reco_format_feature(reco_json_t *s, reco_json_token_t token,
    const char *parent, reco_str_t name, const reco_model_t *model,
    reco_request_t *request, reco_error_t *err)
{
    int  i;

    i = reco_model_request_feature(model, name);

    if (i < 0) {
        request->unknown_fields++;
        return reco_json_skip(s, token) ? RECO_OK : err->status;
    }

    return feature_value(s, token, parent, name, &request->given[i], err);
}

reco_status_t
reco_format_features(reco_json_t *s, const char *parent,
    const reco_model_t *model, reco_request_t *request, reco_error_t *err)
{
    reco_str_t         key;
    reco_status_t      rc;
    reco_json_token_t  token;

    while ((rc = reco_format_member(s, &key, &token, err)) == RECO_OK) {

        rc = reco_format_feature(s, token, parent, key, model, request, err);
        if (rc != RECO_OK) {
            return rc;
        }
    }

    return (rc == RECO_NOT_FOUND) ? RECO_OK : rc;
}

void
reco_format_flags_begin(reco_request_t *request)
{
    request->has_flags = true;
    memset(&request->flags, 0, sizeof(request->flags));
}

reco_status_t
reco_format_flags(reco_json_t *s, const char *parent,
    const reco_model_t *model, reco_request_t *request, reco_error_t *err)
{
    int                i;
    reco_str_t         key;
    reco_status_t      rc;
    reco_json_token_t  token;

    reco_format_flags_begin(request);

    while ((rc = reco_format_member(s, &key, &token, err)) == RECO_OK) {

        if (token != RECO_JSON_TRUE && token != RECO_JSON_FALSE) {
            return reco_format_fail(err, s->position, parent, key,
                                    "must be true or false");
        }

        i = reco_catalogue_find(&model->catalogue, key);

        if (i < 0) {
            request->unknown_fields++;

        } else if (token == RECO_JSON_TRUE) {
            reco_mask_set(&request->flags, (uint32_t) i);
        }
    }

    return (rc == RECO_NOT_FOUND) ? RECO_OK : rc;
}

/* ---- sizes ---------------------------------------------------------- */

size_t
reco_format_string_bound(reco_str_t s)
{
    return 6 * s.len + 2;
}

size_t
reco_answer_bound(const reco_model_t *model, bool explain)
{
    size_t    slot, n, len;
    uint32_t  i;

    slot = 0;

    for (i = 0; i < model->catalogue.n; i++) {
        len = reco_format_string_bound(model->catalogue.actions[i].id)
              + reco_format_string_bound(model->catalogue.actions[i].name);
        if (len > slot) {
            slot = len;
        }
    }

    /* braces, the names of an entry's members and a propensity */
    slot += 80;

    n = 1024 + RECO_TOKEN_MAX
        + reco_format_string_bound(model->name)
        + reco_format_string_bound(model->version)
        + 2 * (6 * RECO_MAX_ID + 2)     /* customer and session, as offers and
                                           cart echo them */
        + RECO_MAX_SLATE * slot;

    if (model->items.slate > 0) {
        /* an item's id and its score */
        n += model->items.slate * (6 * RECO_MAX_ID + 2 + 32);
    }

    if (explain) {
        n += reco_format_explain_bound(model);
    }

    return n;
}
