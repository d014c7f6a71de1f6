/*
 * json_oracle.h - the scanner beside jansson: reads a text with both and tells
 * where they differ. Used by the unit test and by the fuzzer.
 *
 * Differences that are meant (reco_json.h): a limit of ours; U+0000 in a key,
 * which jansson cannot store; a raw NUL behind the value, which jansson takes
 * for the end. All else is a fault.
 */

#ifndef JSON_ORACLE_H
#define JSON_ORACLE_H

#include <string.h>

#include <jansson.h>

#include "reco_json.h"

typedef struct {
    reco_json_keys_t  *keys;
    char              *memory;          /* as long as the text, plus 8 */
    const char        *difference;      /* NULL, or what it is */
    reco_status_t      status;          /* the scanner's */
    reco_error_t       error;
} json_oracle_t;

static bool
json_oracle_value(reco_json_t *s, reco_json_token_t token, const json_t *v)
{
    size_t  i;
    double  number;
    json_t  *member;

    switch (token) {
    case RECO_JSON_TRUE:
        return json_is_true(v);
    case RECO_JSON_FALSE:
        return json_is_false(v);
    case RECO_JSON_NULL:
        return json_is_null(v);

    case RECO_JSON_NUMBER:
        /* by bits, for -0 */
        number = json_real_value(v);
        return json_is_real(v) && memcmp(&number, &s->number, 8) == 0;

    case RECO_JSON_STRING:
        return json_is_string(v) && json_string_length(v) == s->string.len
               && memcmp(json_string_value(v), s->string.data,
                         s->string.len) == 0;

    case RECO_JSON_ARRAY:
        for (i = 0; (token = reco_json_next(s)) != RECO_JSON_ARRAY_END; i++) {
            if (!json_oracle_value(s, token, json_array_get(v, i))) {
                return false;
            }
        }
        return json_is_array(v) && json_array_size(v) == i;

    case RECO_JSON_OBJECT:
        for (i = 0; (token = reco_json_next(s)) == RECO_JSON_KEY; i++) {
            member = json_object_getn(v, s->string.data, s->string.len);
            if (!json_oracle_value(s, reco_json_next(s), member)) {
                return false;
            }
        }
        return token == RECO_JSON_OBJECT_END && json_is_object(v)
               && json_object_size(v) == i;

    default:
        return false;
    }
}

static inline void
json_oracle_init(json_oracle_t *o, reco_json_t *s, reco_arena_t *arena,
    const char *text, size_t len)
{
    *arena = (reco_arena_t) { o->memory, len + 8, 0 };
    reco_json_init(s, (reco_str_t) { text, len }, 0, arena, o->keys,
                   &o->error);
}

/* Reads the text with both; false where they differ. */
static bool
json_oracle_agree(json_oracle_t *o, const char *text, size_t len)
{
    json_t             *tree;
    reco_json_t         s;
    json_error_t        error;
    reco_arena_t        arena;
    reco_json_token_t   token;

    o->difference = NULL;
    o->error.position = RECO_NO_POSITION;
    json_oracle_init(o, &s, &arena, text, len);

    do {
        token = reco_json_next(&s);
    } while (token != RECO_JSON_ERROR && token != RECO_JSON_END);

    o->status = token == RECO_JSON_END ? RECO_OK : o->error.status;

    tree = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY
                      | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, &error);

    if (o->status == RECO_OK && tree != NULL) {
        json_oracle_init(o, &s, &arena, text, len);

        if (!json_oracle_value(&s, reco_json_next(&s), tree)
            || reco_json_next(&s) != RECO_JSON_END)
        {
            o->difference = "both accept, with different values";
        }

    } else if (o->status == RECO_OK) {
        if (json_error_code(&error) != json_error_null_byte_in_key) {
            o->difference = "jansson refuses what the scanner accepts";
        }

    } else if (o->error.position > len) {
        o->difference = "position beyond the text";

    } else if (tree != NULL && o->status != RECO_LIMIT
               && (o->error.position == len
                   || text[o->error.position] != '\0'))
    {
        o->difference = "the scanner refuses what jansson accepts";
    }

    json_decref(tree);

    return o->difference == NULL;
}

#endif /* JSON_ORACLE_H */
