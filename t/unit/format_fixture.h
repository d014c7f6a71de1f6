/*
 * format_fixture.h - a model, and the room to parse requests for it and to
 * render answers; for the tests of the formats.
 */

#ifndef FORMAT_FIXTURE_H
#define FORMAT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "reco_format.h"
#include "reco_spec.h"

#define ID_TEXT  "0193532a0c00abcd0102030400000007"

static reco_json_keys_t       keys;
static char                   arena_memory[64 * 1024];
static reco_parse_t           parse;
static reco_request_t         request;
static reco_reward_request_t  reward;
static reco_features_t        features;
static reco_mask_t            eligible;
static reco_decision_t        decision;
static reco_scratch_t         scratch;
static reco_error_t           err;
static char                   rendered[256 * 1024];
static reco_buf_t             out;

static inline reco_str_t
str(const char *s)
{
    return (reco_str_t) { s, strlen(s) };
}

static inline void
assert_str(reco_str_t got, const char *expected)
{
    if (got.len != strlen(expected)
        || memcmp(got.data, expected, got.len) != 0)
    {
        fail_msg("'%.*s' instead of '%s'", (int) got.len, got.data, expected);
    }
}

static inline reco_model_t *
model_of(const char *spec)
{
    reco_model_t  *model;

    if (reco_spec_read(str(spec), &model, NULL, &err) != RECO_OK
        || reco_spec_bind(model, NULL, 0, NULL, 0, &err) != RECO_OK)
    {
        fail_msg("%s: %s", err.field, err.message);
    }

    return model;
}

/* What was parsed last is in memory of just its size, so that a sanitizer sees
 * a read beyond it. */
static char  *body_copy;

static inline reco_str_t
exact(const char *text)
{
    free(body_copy);
    body_copy = malloc(strlen(text) + 1);
    memcpy(body_copy, text, strlen(text));

    return (reco_str_t) { body_copy, strlen(text) };
}

static inline void
begin_parse(void)
{
    parse.arena = (reco_arena_t) { arena_memory, sizeof(arena_memory), 0 };
    parse.keys = &keys;
    memset(&err, 0, sizeof(err));
}

static inline reco_status_t
parse_decide(const reco_format_t *format, const reco_model_t *model,
    const char *body, const char *args)
{
    reco_str_t  none = RECO_STR("");
    reco_str_t  text = exact(body != NULL ? body : args);

    begin_parse();
    reco_request_reset(&request, model->nfeatures);

    return format->parse_decide(body != NULL ? text : none,
                                body != NULL ? none : text, model, &parse,
                                &request, &err);
}

/* The model that rewards are read for; NULL where the format takes none. */
static const reco_model_t  *reward_model;

static inline reco_status_t
parse_reward(const reco_format_t *format, const char *body)
{
    begin_parse();
    memset(&reward, 0xa5, sizeof(reward));

    return format->parse_reward(exact(body), reward_model, &parse, &reward,
                                &err);
}

typedef struct {
    const char  *text;
    const char  *field;
    size_t       position;      /* or RECO_NO_POSITION */
} bad_t;

static inline void
assert_refused(reco_status_t rc, const bad_t *bad)
{
    if (rc != RECO_INVALID || strcmp(err.field, bad->field) != 0
        || err.position != bad->position)
    {
        fail_msg("%s: status %d, field '%s' (%s), position %zd",
                 bad->text, rc, err.field, err.message,
                 (ssize_t) err.position);
    }

    assert_true(err.message[0] != '\0');
}

static inline void
begin_render(void)
{
    reco_buf_init(&out, rendered, sizeof(rendered));
}

static inline void
assert_rendered(const char *expected)
{
    assert_false(out.overflow);
    assert_str((reco_str_t) { out.start, reco_buf_len(&out) }, expected);
}

static inline json_t *
rendered_json(void)
{
    json_t        *v;
    json_error_t   e;

    assert_false(out.overflow);
    v = json_loadb(out.start, reco_buf_len(&out),
                   JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
    if (v == NULL) {
        fail_msg("%s: %.*s", e.text, (int) reco_buf_len(&out), out.start);
    }

    return v;
}

/* All but model, request and token, which belong to the test. */
static inline reco_answer_t
answer_of(const reco_model_t *model)
{
    return (reco_answer_t) {
        .model = model, .request = &request, .features = &features,
        .eligible = &eligible, .decision = &decision, .scratch = &scratch,
        .generation = 3, .token = RECO_STR(ID_TEXT),
    };
}

#endif /* FORMAT_FIXTURE_H */
