/*
 * reco_json.c - the JSON scanner. A scan lives as long as its caller's
 * reco_json_t; the keys table is the caller's and outlives it.
 *
 * The text is read once, from left to right. Between two tokens the scanner
 * knows only what may come next ('expect') and which containers are open.
 */

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "reco_json.h"
#include "reco_json_private.h"

enum {
    EXPECT_VALUE,
    EXPECT_VALUE_OR_END,        /* behind '[' */
    EXPECT_KEY,
    EXPECT_KEY_OR_END,          /* behind '{' */
    EXPECT_COMMA_OR_END,        /* behind a value in a container */
    EXPECT_NOTHING,             /* behind the whole value */
    EXPECT_FAILED
};

/* The keys of most texts fit the first slots, so that the check touches few
 * cache lines; what goes beyond is in the rest, which is half full at most. */
#define NEAR_SLOTS  256
#define NEAR_KEYS   (NEAR_SLOTS / 2)
#define FAR_SLOTS   (2 * RECO_JSON_MAX_KEYS - NEAR_SLOTS)

#define MAX_TEXT    INT32_MAX

#define ONES        0x0101010101010101u
#define HIGHS       0x8080808080808080u

static reco_json_token_t scan_value(reco_json_t *s);
static reco_json_token_t scan_key(reco_json_t *s);
static bool scan_string(reco_json_t *s);
static bool scan_escapes(reco_json_t *s, char quote);
static reco_json_token_t scan_number(reco_json_t *s);
static bool add_key(reco_json_t *s);

/* ---- faults ------------------------------------------------------------- */

static reco_json_token_t
fail_with(reco_json_t *s, reco_status_t status, const char *at,
    const char *message)
{
    s->expect = EXPECT_FAILED;
    s->position = (size_t) (at - s->text);
    s->string = (reco_str_t) { "", 0 };

    (void) reco_error_set(s->err, status, NULL, "%s", message);
    if (s->err != NULL) {
        s->err->position = s->position;
    }

    return RECO_JSON_ERROR;
}

static reco_json_token_t
fail(reco_json_t *s, const char *at, const char *message)
{
    if (at == s->end) {
        message = "unexpected end of the text";
    }

    return fail_with(s, RECO_INVALID, at, message);
}

/* ---- scan --------------------------------------------------------------- */

void
reco_json_init(reco_json_t *s, reco_str_t text, unsigned flags,
    reco_arena_t *arena, reco_json_keys_t *keys, reco_error_t *err)
{
    s->string = (reco_str_t) { "", 0 };
    s->number = 0;
    s->position = 0;
    s->text = text.len != 0 ? text.data : "";
    s->p = s->text;
    s->end = s->text + text.len;
    s->arena = arena;
    s->keys = keys;
    s->err = err;
    s->nkeys = 0;
    s->depth = 0;
    s->flags = flags;
    s->expect = EXPECT_VALUE;

    if (text.len > MAX_TEXT) {
        (void) fail_with(s, RECO_LIMIT, s->text, "text longer than 2 GiB");
        return;
    }

    /* Before the epochs would begin again, all slots are freed; a text of n
     * bytes opens fewer than n objects. */
    if (keys->epoch > UINT32_MAX - (uint32_t) text.len - 1) {
        memset(keys->slots, 0, sizeof(keys->slots));
        keys->epoch = 0;
    }
}

static inline bool
is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static inline const char *
skip_space(const char *p, const char *end)
{
    while (p < end && is_space(*p)) {
        p++;
    }

    return p;
}

static inline void
after_value(reco_json_t *s)
{
    s->expect = s->depth != 0 ? EXPECT_COMMA_OR_END : EXPECT_NOTHING;
}

static inline reco_json_token_t
scan_end(reco_json_t *s, reco_json_token_t token)
{
    s->p++;
    s->depth--;
    after_value(s);

    return token;
}

/* Behind a value in a container: its end, or a comma and what follows. */
static inline reco_json_token_t
scan_rest(reco_json_t *s)
{
    char  c;
    bool  in_object;

    in_object = s->in_object[s->depth - 1];
    c = s->p < s->end ? *s->p : '\0';

    if (c == ',') {
        s->p = skip_space(s->p + 1, s->end);
        s->position = (size_t) (s->p - s->text);
        return in_object ? scan_key(s) : scan_value(s);
    }

    if (in_object) {
        if (c == '}') {
            return scan_end(s, RECO_JSON_OBJECT_END);
        }
        return fail(s, s->p, "expected ',' or '}' after a member");
    }

    if (c == ']') {
        return scan_end(s, RECO_JSON_ARRAY_END);
    }

    return fail(s, s->p, "expected ',' or ']' after an element");
}

reco_json_token_t
reco_json_next(reco_json_t *s)
{
    if (s->expect == EXPECT_FAILED) {
        return RECO_JSON_ERROR;
    }

    s->p = skip_space(s->p, s->end);
    s->position = (size_t) (s->p - s->text);

    switch (s->expect) {

    case EXPECT_COMMA_OR_END:
        return scan_rest(s);

    case EXPECT_KEY_OR_END:
        if (s->p < s->end && *s->p == '}') {
            return scan_end(s, RECO_JSON_OBJECT_END);
        }
        return scan_key(s);

    case EXPECT_VALUE_OR_END:
        if (s->p < s->end && *s->p == ']') {
            return scan_end(s, RECO_JSON_ARRAY_END);
        }
        return scan_value(s);

    case EXPECT_VALUE:
        return scan_value(s);

    default: /* EXPECT_NOTHING */
        if (s->p < s->end) {
            return fail(s, s->p, "expected the end of the text");
        }
        return RECO_JSON_END;
    }
}

bool
reco_json_skip(reco_json_t *s, reco_json_token_t token)
{
    uint32_t  depth;

    if (token == RECO_JSON_KEY) {
        token = reco_json_next(s);
    }

    if (token == RECO_JSON_OBJECT || token == RECO_JSON_ARRAY) {
        depth = s->depth;

        do {
            token = reco_json_next(s);
        } while (token != RECO_JSON_ERROR && s->depth >= depth);
    }

    return token != RECO_JSON_ERROR;
}

/* ---- values ------------------------------------------------------------- */

static reco_json_token_t
scan_open(reco_json_t *s, reco_json_token_t token)
{
    bool  is_object;

    if (s->depth == RECO_JSON_MAX_DEPTH) {
        return fail_with(s, RECO_LIMIT, s->p,
                         "nested deeper than 32 levels");
    }

    /* The outermost container has an epoch even where it is an array: slots
     * from that epoch on are this text's. */
    is_object = token == RECO_JSON_OBJECT;
    if (is_object || s->depth == 0) {
        s->keys->epoch++;
    }

    s->in_object[s->depth] = is_object;
    s->epochs[s->depth] = s->keys->epoch;
    s->depth++;
    s->expect = is_object ? EXPECT_KEY_OR_END : EXPECT_VALUE_OR_END;
    s->p++;

    return token;
}

static reco_json_token_t
scan_word(reco_json_t *s, const char *word, size_t len,
    reco_json_token_t token)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (s->p + i == s->end || s->p[i] != word[i]) {
            return fail(s, s->p + i, "unknown word");
        }
    }

    s->p += len;
    after_value(s);

    return token;
}

static reco_json_token_t
scan_value(reco_json_t *s)
{
    bool  python;

    if (s->p == s->end) {
        return fail(s, s->p, NULL);
    }

    python = s->flags & RECO_JSON_PYTHON;

    switch (*s->p) {

    case '\'':
        if (!python) {
            break;
        }
        /* fall through */

    case '"':
        if (!scan_string(s)) {
            return RECO_JSON_ERROR;
        }
        after_value(s);
        return RECO_JSON_STRING;

    case '{':
        return scan_open(s, RECO_JSON_OBJECT);

    case '[':
        return scan_open(s, RECO_JSON_ARRAY);

    case 't':
        return scan_word(s, "true", 4, RECO_JSON_TRUE);

    case 'f':
        return scan_word(s, "false", 5, RECO_JSON_FALSE);

    case 'n':
        return scan_word(s, "null", 4, RECO_JSON_NULL);

    case 'T':
        if (!python) {
            break;
        }
        return scan_word(s, "True", 4, RECO_JSON_TRUE);

    case 'F':
        if (!python) {
            break;
        }
        return scan_word(s, "False", 5, RECO_JSON_FALSE);

    case 'N':
        if (!python) {
            break;
        }
        return scan_word(s, "None", 4, RECO_JSON_NULL);

    case '-':
    case '0': case '1': case '2': case '3': case '4':
    case '5': case '6': case '7': case '8': case '9':
        return scan_number(s);

    default:
        break;
    }

    return fail(s, s->p, "expected a value");
}

/* ---- keys --------------------------------------------------------------- */

static reco_json_token_t
scan_key(reco_json_t *s)
{
    if (s->p == s->end
        || (*s->p != '"'
            && !((s->flags & RECO_JSON_PYTHON) && *s->p == '\'')))
    {
        return fail(s, s->p, "expected a key in quotes");
    }

    if (!scan_string(s) || !add_key(s)) {
        return RECO_JSON_ERROR;
    }

    s->p = skip_space(s->p, s->end);

    if (s->p == s->end || *s->p != ':') {
        return fail(s, s->p, "expected ':' after a key");
    }

    s->p++;
    s->expect = EXPECT_VALUE;

    return RECO_JSON_KEY;
}

/*
 * Looks for the key in n slots that begin at 'first'. Returns the free slot
 * where it belongs, or -1 when it is there already, or -2 when all are taken
 * (by a scan that was begun within this one).
 *
 * A slot is taken by this text when its epoch is one of this text's, that is,
 * not below the outermost container's. Nothing is ever removed within a text:
 * an object that ended keeps its slots, so that probing stays sound for those
 * still open.
 */
static inline int
probe(const reco_json_t *s, uint32_t first, uint32_t n, uint32_t at)
{
    uint32_t                 i, epoch;
    const reco_json_keys_t  *keys;

    keys = s->keys;
    epoch = s->epochs[s->depth - 1];

    for (i = 0; i < n; i++) {
        if (keys->slots[first + at].epoch < s->epochs[0]) {
            return (int) (first + at);
        }

        if (keys->slots[first + at].epoch == epoch
            && keys->slots[first + at].len == s->string.len
            && memcmp(keys->slots[first + at].key, s->string.data,
                      s->string.len) == 0)
        {
            return -1;
        }

        at = at + 1 == n ? 0 : at + 1;
    }

    return -2;
}

static bool
add_key(reco_json_t *s)
{
    int       slot;
    uint32_t  far_at;
    uint64_t  hash;

    if (s->nkeys == RECO_JSON_MAX_KEYS) {
        (void) fail_with(s, RECO_LIMIT, s->text + s->position,
                         "more than 8192 keys");
        return false;
    }

    hash = XXH3_64bits_withSeed(s->string.data, s->string.len,
                                s->keys->seed);

    slot = probe(s, 0, NEAR_SLOTS, hash % NEAR_SLOTS);

    if (slot != -1 && (slot == -2 || s->nkeys >= NEAR_KEYS)) {
        far_at = (uint32_t) (((hash >> 32) * FAR_SLOTS) >> 32);
        slot = probe(s, NEAR_SLOTS, FAR_SLOTS, far_at);
    }

    if (slot < 0) {
        (void) fail_with(s, slot == -1 ? RECO_INVALID : RECO_LIMIT,
                         s->text + s->position,
                         slot == -1 ? "key given twice in one object"
                                    : "too many keys");
        return false;
    }

    s->keys->slots[slot].key = s->string.data;
    s->keys->slots[slot].len = (uint32_t) s->string.len;
    s->keys->slots[slot].epoch = s->epochs[s->depth - 1];
    s->nkeys++;

    return true;
}

/* ---- strings ------------------------------------------------------------ */

/* Bytes of a string that need a look: quotes, backslash, control characters
 * and all that is not ASCII. */
static const uint8_t  is_special[256] = {
    [0x00 ... 0x1f] = 1, ['"'] = 1, ['\''] = 1, ['\\'] = 1,
    [0x80 ... 0xff] = 1
};

/*
 * The first special byte at or after p. Eight bytes at a time: with x XOR'ed
 * so that a wanted byte is 0, (x - ONES) has that byte's high bit set. A
 * borrow may set bits above it too, never below, so on a little-endian
 * machine the lowest bit is right and the others are not looked at; the
 * single quote, rarely met, is left to the caller.
 */
static inline const char *
skip_plain(const char *p, const char *end)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint64_t  x, found;

    while (end - p >= 8) {
        memcpy(&x, p, 8);

        found = (((x ^ ('"' * ONES)) - ONES)
                 | ((x ^ ('\\' * ONES)) - ONES)
                 | ((x ^ ('\'' * ONES)) - ONES)
                 | (x - 0x20 * ONES)
                 | x) & HIGHS;

        if (found != 0) {
            return p + (__builtin_ctzll(found) >> 3);
        }

        p += 8;
    }
#endif

    while (p < end && !is_special[(uint8_t) *p]) {
        p++;
    }

    return p;
}

/* From p on, to the string's closing quote, a backslash or the end of the
 * text; NULL after a fault. */
static inline const char *
skip_text(reco_json_t *s, const char *p, char quote)
{
    size_t  n;

    for ( ;; ) {
        p = skip_plain(p, s->end);

        if (p == s->end || *p == quote || *p == '\\') {
            return p;
        }

        if (*p == '"' || *p == '\'') {
            p++;
            continue;
        }

        if ((uint8_t) *p < 0x20) {
            (void) fail(s, p, "control character in a string");
            return NULL;
        }

        n = reco_utf8_length(p, (size_t) (s->end - p));
        if (n == 0) {
            (void) fail(s, p, "invalid UTF-8 in a string");
            return NULL;
        }

        p += n;
    }
}

/* p is at the opening quote. */
static bool
scan_string(reco_json_t *s)
{
    char         quote;
    const char  *start, *p;

    quote = *s->p;
    start = s->p + 1;

    p = skip_text(s, start, quote);
    if (p == NULL) {
        return false;
    }

    if (p < s->end && *p == quote) {
        s->string = (reco_str_t) { start, (size_t) (p - start) };
        s->p = p + 1;
        return true;
    }

    s->p++;

    return scan_escapes(s, quote);
}

/* Room in the arena for the part of a string that follows what was taken
 * last. Not aligned: parts must join, and none may take more room than its
 * escaped form. */
static inline char *
take(reco_json_t *s, size_t n)
{
    char          *out;
    reco_arena_t  *a;

    a = s->arena;

    if (a == NULL || a->base == NULL || a->size - a->used < n) {
        (void) fail_with(s, RECO_LIMIT, s->p,
                         "no room to decode a string");
        return NULL;
    }

    out = a->base + a->used;
    a->used += n;

    return out;
}

/* A string with escapes, decoded into the arena; p is behind the opening
 * quote. */
static bool
scan_escapes(reco_json_t *s, char quote)
{
    char         decoded[4], *start, *out;
    size_t       n, len;
    const char  *p, *message;

    start = NULL;
    len = 0;

    for ( ;; ) {
        p = skip_text(s, s->p, quote);
        if (p == NULL) {
            return false;
        }

        n = (size_t) (p - s->p);
        out = take(s, n);
        if (out == NULL) {
            return false;
        }

        if (start == NULL) {
            start = out;
        }

        memcpy(out, s->p, n);
        len += n;
        s->p = p;

        if (p == s->end) {
            (void) fail(s, p, NULL);
            return false;
        }

        if (*p == quote) {
            break;
        }

        message = reco_json_read_escape(&p, s->end, s->flags, decoded, &n);
        if (message != NULL) {
            (void) fail(s, p, message);
            return false;
        }

        out = take(s, n);
        if (out == NULL) {
            return false;
        }

        memcpy(out, decoded, n);
        len += n;
        s->p = p;
    }

    s->string = (reco_str_t) { start, len };
    s->p++;

    return true;
}

/* ---- numbers ------------------------------------------------------------ */

static reco_json_token_t
scan_number(reco_json_t *s)
{
    size_t       len;
    const char  *p, *message;

    p = s->p;
    message = reco_json_read_number(&p, s->end, &s->number);

    if (message != NULL) {
        return fail(s, p, message);
    }

    len = (size_t) (p - s->p);

    if (len > RECO_JSON_MAX_NUMBER) {
        return fail_with(s, RECO_LIMIT, s->p,
                         "number longer than 128 bytes");
    }

    s->string = (reco_str_t) { s->p, len };
    s->p = p;
    after_value(s);

    return RECO_JSON_NUMBER;
}
