/*
 * fuzz_json.c - the JSON scanner, with jansson as judge; and the same text in
 * Python's dialect, where every text that is JSON must be read too.
 */

#include "../t/unit/json_oracle.h"
#include "fuzz_util.h"

static reco_json_keys_t  keys;

static reco_status_t
scan_python(reco_str_t text, char *memory, reco_error_t *err)
{
    reco_json_t         s;
    reco_arena_t        arena;
    reco_json_token_t   token;

    arena = (reco_arena_t) { memory, text.len + 8, 0 };
    reco_json_init(&s, text, RECO_JSON_PYTHON, &arena, &keys, err);

    do {
        token = reco_json_next(&s);
        if (token == RECO_JSON_KEY || token == RECO_JSON_STRING) {
            FUZZ_ASSERT(reco_utf8_is_valid(s.string.data, s.string.len));
        }
    } while (token != RECO_JSON_ERROR && token != RECO_JSON_END);

    FUZZ_ASSERT(arena.used <= text.len);

    if (token == RECO_JSON_END) {
        return RECO_OK;
    }

    FUZZ_ASSERT(reco_json_next(&s) == RECO_JSON_ERROR);
    fuzz_check_error(err, err->status, text.len);

    return err->status;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    reco_str_t     text;
    reco_error_t   err;
    json_oracle_t  oracle;

    text = fuzz_copy(data, size);
    oracle.keys = &keys;
    oracle.memory = fuzz_alloc(size + 8);

    if (!json_oracle_agree(&oracle, text.data, text.len)) {
        (void) fprintf(stderr, "%s\n", oracle.difference);
        abort();
    }

    if (scan_python(text, oracle.memory, &err) != RECO_OK) {
        FUZZ_ASSERT(oracle.status != RECO_OK);
    }

    free(oracle.memory);
    fuzz_free(text);

    return 0;
}
