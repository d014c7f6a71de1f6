/*
 * reco_json.h - a strict single-pass JSON scanner (RFC 8259).
 *
 * It pulls one token at a time out of a text in memory and allocates nothing.
 * A string without escapes points into the text; one with escapes is decoded
 * into the caller's arena. Checked on the way: UTF-8, depth, lengths, lone
 * surrogates, numbers that do not fit a double, duplicate keys within an
 * object, and that nothing but white space follows the value.
 *
 * With RECO_JSON_PYTHON it also reads what Python prints for a dict: strings
 * in single quotes, True, False, None and Python's escapes (\' \xhh \Uhhhhhhhh
 * and the JSON ones). NaN, inf and trailing commas are refused in both.
 *
 * Differs from jansson (JSON_REJECT_DUPLICATES) in a short list that
 * docs/HTTP.md repeats: U+0000 is allowed in keys too, as RFC 8259 has it
 * (strings are counted, not terminated), a text that ends in a raw NUL is
 * refused, integers beyond 64 bits are read as doubles, and the limits below
 * hold.
 */

#ifndef RECO_JSON_H
#define RECO_JSON_H

#include "reco_base.h"

#define RECO_JSON_MAX_DEPTH     32
#define RECO_JSON_MAX_KEYS      8192    /* in all objects of one text */
#define RECO_JSON_MAX_NUMBER    128     /* bytes of a number */

#define RECO_JSON_PYTHON        0x1

typedef enum {
    RECO_JSON_ERROR = 0,
    RECO_JSON_END,              /* the text is over, and was well formed */
    RECO_JSON_OBJECT,
    RECO_JSON_OBJECT_END,
    RECO_JSON_ARRAY,
    RECO_JSON_ARRAY_END,
    RECO_JSON_KEY,              /* string holds the decoded key */
    RECO_JSON_STRING,           /* string holds the decoded text */
    RECO_JSON_NUMBER,           /* number, and string holds its raw text */
    RECO_JSON_TRUE,
    RECO_JSON_FALSE,
    RECO_JSON_NULL
} reco_json_token_t;

/* The keys seen so far, for the duplicate check. Large (it lives in the
 * worker's or tool's workspace), zeroed once by its owner and reused for text
 * after text without clearing, but by one scan at a time: a text inside a
 * text is scanned when the outer one is done, or with keys of its own. 'seed'
 * may be set once to a random number so that colliding keys cannot be
 * prepared. */
typedef struct {
    uint64_t  seed;
    uint32_t  epoch;            /* raised for each object; slots of an epoch
                                   from before this text are free */
    struct {
        const char  *key;
        uint32_t     len;
        uint32_t     epoch;
    } slots[2 * RECO_JSON_MAX_KEYS];
} reco_json_keys_t;

typedef struct {
    /* the last token's value */
    reco_str_t          string;
    double              number;
    size_t              position;   /* byte offset where the token began */

    /* private */
    const char         *text, *p, *end;
    reco_arena_t       *arena;
    reco_json_keys_t   *keys;
    reco_error_t       *err;
    uint32_t            nkeys;
    uint32_t            depth;
    unsigned            flags;
    uint8_t             expect;
    bool                in_object[RECO_JSON_MAX_DEPTH];
    uint32_t            epochs[RECO_JSON_MAX_DEPTH];
} reco_json_t;

/* text, arena, keys and err must outlive the scan; err gets the fault, with
 * its position. The arena needs at most len bytes (+ 8) for all strings. A
 * text longer than 2 GiB is refused. */
void reco_json_init(reco_json_t *s, reco_str_t text, unsigned flags,
    reco_arena_t *arena, reco_json_keys_t *keys, reco_error_t *err);

/* The next token; RECO_JSON_ERROR once and for ever after a fault. */
reco_json_token_t reco_json_next(reco_json_t *s);

/* Having got 'token' as the start of a value: reads on to the end of that
 * value; a key's value is skipped with it. False after a fault. */
bool reco_json_skip(reco_json_t *s, reco_json_token_t token);

#endif /* RECO_JSON_H */
