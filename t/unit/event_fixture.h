/*
 * event_fixture.h - what the tests of the log's records share: a model and a
 * decision of it, and reading lines back, also with jansson.
 */

#ifndef EVENT_FIXTURE_H
#define EVENT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "reco_event.h"

#define ID_TEXT   "0193532a0c00abcd0102030400000007"

/* quote, backslash, U+2028, two-, three- and four-byte characters */
#define ODD       "a\"b\\c\xe2\x80\xa8\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"

static char               memory[1 << 20];
static reco_json_keys_t   keys;
static reco_features_t    features;
static reco_mask_t        eligible;
static reco_decision_t    decision;
static reco_event_t       event;
static reco_error_t       err;
static char               room[1 << 20];

static inline reco_str_t
str(const char *s)
{
    return (reco_str_t) { s, strlen(s) };
}

static inline void
assert_str(reco_str_t got, const char *expected)
{
    assert_int_equal(got.len, strlen(expected));
    assert_memory_equal(got.data, expected, got.len);
}

static inline reco_status_t
read_line(reco_str_t line)
{
    reco_arena_t  arena = { room, sizeof(room), 0 };

    memset(&event, 0xa5, sizeof(event));

    return reco_event_read(line, &arena, &keys, &event, &err);
}

/* What was written, without its newline, which must be the only one. */
static inline reco_str_t
line_of(const reco_buf_t *b)
{
    size_t  len = reco_buf_len(b);

    assert_false(b->overflow);
    assert_true(len > 1);
    assert_ptr_equal(memchr(b->start, '\n', len), b->start + len - 1);

    return (reco_str_t) { b->start, len - 1 };
}

static inline json_t *
parse(reco_str_t line)
{
    json_t        *v;
    json_error_t   e;

    v = json_loadb(line.data, line.len, JSON_REJECT_DUPLICATES, &e);
    if (v == NULL) {
        fail_msg("jansson: %s: %.*s", e.text, (int) line.len, line.data);
    }
    assert_true(json_is_object(v));

    return v;
}

static inline const char *
member(const json_t *v, const char *name)
{
    return json_string_value(json_object_get(v, name));
}

/* ---- a model -------------------------------------------------------- */

static reco_feature_t  model_features[3];
static reco_action_t   model_actions[6];

static inline reco_model_t
model_of(void)
{
    static const char *const  ids[] = { "OFFER_1", "OFFER_2", "OFFER_3",
                                        "OFFER_4", "OFFER_5", "OFFER_6" };
    static const char *const  names[] = { "age", "country", "unknown" };
    reco_model_t              m;
    int                       i;

    memset(&m, 0, sizeof(m));
    memset(model_features, 0, sizeof(model_features));
    memset(model_actions, 0, sizeof(model_actions));

    for (i = 0; i < 3; i++) {
        model_features[i].name = str(names[i]);
    }

    for (i = 0; i < 6; i++) {
        model_actions[i].id = str(ids[i]);
    }

    m.name = RECO_STR("shop");
    m.version = RECO_STR("1.0.0");
    m.features = model_features;
    m.nfeatures = 3;
    m.catalogue.actions = model_actions;
    m.catalogue.n = 6;
    m.policy.type = RECO_POLICY_WEIGHTS;
    m.policy.slate = 3;

    return m;
}

static inline void
sample(reco_decision_event_t *e, const reco_model_t *model)
{
    memset(e, 0, sizeof(*e));
    e->seq = 7;
    assert_true(reco_id_parse(str(ID_TEXT), &e->id));
    e->time_ms = 1732241234567;
    e->generation = 3;
    e->model = model;
    e->customer_key = RECO_STR("c42");
    e->session = RECO_STR("s1");
    e->features = &features;
    e->eligible = &eligible;
    e->decision = &decision;

    memset(&features, 0, sizeof(features));
    features.n = 3;
    features.value[0] = (reco_value_t) { RECO_VALUE_NUMBER, 42, { "", 0 } };
    features.source[0] = RECO_SOURCE_REQUEST;
    features.value[1] = (reco_value_t) { RECO_VALUE_WORD, 0, RECO_STR("GB") };
    features.source[1] = RECO_SOURCE_GEO;

    memset(&eligible, 0, sizeof(eligible));
    eligible.bits[0] = 0x1f;

    memset(&decision, 0, sizeof(decision));
    decision.n = 2;
    decision.action[0] = 1;
    decision.action[1] = 4;
    decision.propensity[0] = 1073741824;        /* 2^30: a quarter */
    decision.propensity[1] = 2147483648;        /* 2^31: a half */
}

#endif /* EVENT_FIXTURE_H */
