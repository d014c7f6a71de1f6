/*
 * json_t.c - the JSON scanner: what it accepts and refuses, where it says the
 * fault is, its limits at their edge, Python's dialect.
 *
 * The JSON test suite is looked for in $RECO_DATA or ../shared/data.
 */

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reco_json.h"

static reco_json_keys_t  keys;
static char              memory[1 << 20];
static reco_error_t      err;

/* Tokens of a text, printed: a test compares one string. Empty after a
 * fault. */
static const char *
tokens(const char *text, size_t len, unsigned flags)
{
    static char         out[4096];
    char               *p;
    reco_json_t         s;
    reco_arena_t        arena;
    reco_json_token_t   t;

    p = out;
    arena = (reco_arena_t) { memory, len + 8, 0 };
    reco_json_init(&s, (reco_str_t) { text, len }, flags, &arena, &keys,
                   &err);

    while ((t = reco_json_next(&s)) != RECO_JSON_END) {
        switch (t) {
        case RECO_JSON_ERROR:
            return "";
        case RECO_JSON_OBJECT:
            *p++ = '{';
            break;
        case RECO_JSON_OBJECT_END:
            *p++ = '}';
            break;
        case RECO_JSON_ARRAY:
            *p++ = '[';
            break;
        case RECO_JSON_ARRAY_END:
            *p++ = ']';
            break;
        case RECO_JSON_KEY:
            p += sprintf(p, "<%.*s>", (int) s.string.len, s.string.data);
            break;
        case RECO_JSON_STRING:
            p += sprintf(p, "(%.*s)", (int) s.string.len, s.string.data);
            break;
        case RECO_JSON_NUMBER:
            p += sprintf(p, "#%.17g ", s.number);
            break;
        default:
            p += sprintf(p, "%s ", t == RECO_JSON_TRUE ? "true"
                                   : t == RECO_JSON_FALSE ? "false"
                                   : t == RECO_JSON_NULL ? "null" : "?");
        }
    }

    *p = '\0';

    return out;
}

static reco_status_t
scan(const char *text, size_t len, unsigned flags)
{
    reco_json_t         s;
    reco_arena_t        arena;
    reco_json_token_t   t;

    arena = (reco_arena_t) { memory, len + 8, 0 };
    reco_json_init(&s, (reco_str_t) { text, len }, flags, &arena, &keys,
                   &err);

    do {
        t = reco_json_next(&s);
    } while (t != RECO_JSON_END && t != RECO_JSON_ERROR);

    return t == RECO_JSON_END ? RECO_OK : err.status;
}

#define assert_tokens(text, flags, expected)                                  \
    assert_string_equal(tokens(text, sizeof(text) - 1, flags), expected)

/* ---- what it reads ------------------------------------------------------ */

static void
test_tokens(void **state)
{
    (void) state;

    assert_tokens("{\"a\": 1, \"b\": [true, false, null, \"x\"], \"c\": {}}",
                  0, "{<a>#1 <b>[true false null (x)]<c>{}}");
    assert_tokens(" \t\r\n[ ] \n", 0, "[]");
    assert_tokens("\"alone\"", 0, "(alone)");
    assert_tokens("-12.5e-1", 0, "#-1.25 ");
    assert_tokens("[0,-0,1e2,1E+2,0.5]", 0, "[#0 #-0 #100 #100 #0.5 ]");
}

static void
test_escapes(void **state)
{
    (void) state;

    assert_tokens("\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\"", 0,
                  "(a\"\\/\b\f\n\r\tz)");
    /* U+20AC, U+1D11E as a pair (the example of RFC 8259), in any case */
    assert_tokens("\"\\u20ac\\u20AC\\uD834\\udd1e\"", 0,
                  "(\xe2\x82\xac\xe2\x82\xac\xf0\x9d\x84\x9e)");
    assert_tokens("{\"k\\u0065y\":\"\\u00e9\"}", 0, "{<key>(\xc3\xa9)}");
    assert_tokens("\"'\"", 0, "(')");
}

/* U+0000 is a character like others: strings are counted. */
static void
test_nul_escape(void **state)
{
    char            text[] = "{\"a\\u0000b\":\"\\u0000\"}";
    reco_json_t     s;
    reco_arena_t    arena;

    (void) state;

    arena = (reco_arena_t) { memory, sizeof(memory), 0 };
    reco_json_init(&s, RECO_STR(text), 0, &arena, &keys, &err);

    assert_int_equal(reco_json_next(&s), RECO_JSON_OBJECT);
    assert_int_equal(reco_json_next(&s), RECO_JSON_KEY);
    assert_int_equal(s.string.len, 3);
    assert_memory_equal(s.string.data, "a\0b", 3);
    assert_int_equal(reco_json_next(&s), RECO_JSON_STRING);
    assert_int_equal(s.string.len, 1);
    assert_memory_equal(s.string.data, "", 1);
    assert_int_equal(reco_json_next(&s), RECO_JSON_OBJECT_END);
    assert_int_equal(reco_json_next(&s), RECO_JSON_END);
    assert_int_equal(reco_json_next(&s), RECO_JSON_END);
}

/* Strings of every length, so that their end meets every place in the eight
 * bytes that are looked at together. */
static void
test_string_lengths(void **state)
{
    char    text[128], expected[128];
    size_t  n;

    (void) state;

    for (n = 0; n < 100; n++) {
        memset(text, 'x', sizeof(text));
        text[0] = '"';
        text[n + 1] = '"';
        memset(expected, 'x', sizeof(expected));
        expected[0] = '(';
        expected[n + 1] = ')';
        expected[n + 2] = '\0';
        assert_string_equal(tokens(text, n + 2, 0), expected);

        /* every byte that must not be there, behind n that may */
        text[n + 1] = '\x1f';
        assert_int_equal(scan(text, sizeof(text), 0), RECO_INVALID);
        assert_int_equal(err.position, n + 1);
        text[n + 1] = '\x80';
        assert_int_equal(scan(text, sizeof(text), 0), RECO_INVALID);
        assert_int_equal(err.position, n + 1);
        assert_int_equal(scan(text, n + 1, 0), RECO_INVALID);
        assert_int_equal(err.position, n + 1);
    }
}

static void
test_raw_text_and_positions(void **state)
{
    reco_json_t         s;
    reco_arena_t        arena;
    const char         *text = " {\"a\" : -1.50e1 , \"b\":[ null]}";

    (void) state;

    arena = (reco_arena_t) { memory, sizeof(memory), 0 };
    reco_json_init(&s, (reco_str_t) { text, strlen(text) }, 0, &arena, &keys,
                   &err);

    assert_int_equal(reco_json_next(&s), RECO_JSON_OBJECT);
    assert_int_equal(s.position, 1);
    assert_int_equal(reco_json_next(&s), RECO_JSON_KEY);
    assert_int_equal(s.position, 2);
    assert_ptr_equal(s.string.data, text + 3);
    assert_int_equal(reco_json_next(&s), RECO_JSON_NUMBER);
    assert_int_equal(s.position, 8);
    assert_true(reco_str_equal(s.string, RECO_STR("-1.50e1")));
    assert_true(s.number == -15.0);
    assert_int_equal(reco_json_next(&s), RECO_JSON_KEY);
    assert_int_equal(s.position, 18);
    assert_int_equal(reco_json_next(&s), RECO_JSON_ARRAY);
    assert_int_equal(s.position, 22);
    assert_int_equal(reco_json_next(&s), RECO_JSON_NULL);
    assert_int_equal(s.position, 24);
}

static void
test_skip(void **state)
{
    reco_json_t         s;
    reco_arena_t        arena;
    const char         *text = "{\"a\":{\"x\":[1,{}]},\"b\":[[]],\"c\":3}";
    reco_json_token_t   t;

    (void) state;

    arena = (reco_arena_t) { memory, sizeof(memory), 0 };
    reco_json_init(&s, (reco_str_t) { text, strlen(text) }, 0, &arena, &keys,
                   &err);

    assert_int_equal(reco_json_next(&s), RECO_JSON_OBJECT);
    assert_int_equal(reco_json_next(&s), RECO_JSON_KEY);
    t = reco_json_next(&s);
    assert_true(reco_json_skip(&s, t));
    t = reco_json_next(&s);
    assert_int_equal(t, RECO_JSON_KEY);
    assert_true(reco_str_equal(s.string, RECO_STR("b")));
    assert_true(reco_json_skip(&s, t));
    assert_int_equal(reco_json_next(&s), RECO_JSON_KEY);
    assert_true(reco_str_equal(s.string, RECO_STR("c")));
    assert_true(reco_json_skip(&s, reco_json_next(&s)));
    assert_int_equal(reco_json_next(&s), RECO_JSON_OBJECT_END);
    assert_int_equal(reco_json_next(&s), RECO_JSON_END);

    text = "[[1, 2, x]]";
    reco_json_init(&s, (reco_str_t) { text, strlen(text) }, 0, &arena, &keys,
                   &err);
    assert_false(reco_json_skip(&s, reco_json_next(&s)));
    assert_int_equal(err.position, 8);
    assert_int_equal(reco_json_next(&s), RECO_JSON_ERROR);
}

/* ---- what it refuses, and where ----------------------------------------- */

static void
test_faults(void **state)
{
    size_t  i;
    static const struct {
        const char  *text;
        size_t       position;
        const char  *message;
    } cases[] = {
        { "", 0, "unexpected end of the text" },
        { "  ", 2, "unexpected end of the text" },
        { "x", 0, "expected a value" },
        { "'a'", 0, "expected a value" },
        { "True", 0, "expected a value" },
        { "None", 0, "expected a value" },
        { "NaN", 0, "expected a value" },
        { "trve", 2, "unknown word" },
        { "tru", 3, "unexpected end of the text" },
        { "truex", 4, "expected the end of the text" },
        { "1 2", 2, "expected the end of the text" },
        { "{\"a\":1}}", 7, "expected the end of the text" },
        { "[1 2]", 3, "expected ',' or ']' after an element" },
        { "[1}", 2, "expected ',' or ']' after an element" },
        { "[1,]", 3, "expected a value" },
        { "[,1]", 1, "expected a value" },
        { "[1", 2, "unexpected end of the text" },
        { "{\"a\":1 \"b\":2}", 7, "expected ',' or '}' after a member" },
        { "{\"a\":1]", 6, "expected ',' or '}' after a member" },
        { "{\"a\":1,}", 7, "expected a key in quotes" },
        { "{a:1}", 1, "expected a key in quotes" },
        { "{'a':1}", 1, "expected a key in quotes" },
        { "{1:1}", 1, "expected a key in quotes" },
        { "{\"a\" 1}", 5, "expected ':' after a key" },
        { "{\"a\"}", 4, "expected ':' after a key" },
        { "{\"a\":}", 5, "expected a value" },
        { "{\"a\":1,\"b\":2,\"a\":3}", 13, "key given twice in one object" },
        { "{\"a\":1,\"\\u0061\":3}", 7, "key given twice in one object" },
        { "{\"a\":{\"b\":1},\"a\":3}", 13, "key given twice in one object" },
        { "-", 1, "unexpected end of the text" },
        { "-x", 1, "expected a digit" },
        { "01", 1, "number with a leading zero" },
        { "-00", 2, "number with a leading zero" },
        { "1.x", 2, "expected a digit after the decimal point" },
        { "1.", 2, "unexpected end of the text" },
        { "1ex", 2, "expected a digit in the exponent" },
        { "[1e+]", 3, "expected a digit in the exponent" },
        { "[1e400]", 1, "number too large for a double" },
        { "+1", 0, "expected a value" },
        { ".5", 0, "expected a value" },
        { "\"ab", 3, "unexpected end of the text" },
        { "\"ab\\", 4, "unexpected end of the text" },
        { "\"\\x41\"", 1, "unknown escape in a string" },
        { "\"\\'\"", 1, "unknown escape in a string" },
        { "\"a\\u00g0\"", 2, "expected hex digits in an escape" },
        { "\"\\u12\"", 1, "expected hex digits in an escape" },
        { "\"\\ud834\"", 1, "lone surrogate in a string" },
        { "\"\\ud834\\u0041\"", 1, "lone surrogate in a string" },
        { "\"\\udd1e\\ud834\"", 1, "lone surrogate in a string" },
        { "\"a\nb\"", 2, "control character in a string" },
        { "\"a\xff\"", 2, "invalid UTF-8 in a string" },
        { "\"\xc0\x80\"", 1, "invalid UTF-8 in a string" },
        { "\"\xed\xa0\x80\"", 1, "invalid UTF-8 in a string" },
        { "\xef\xbb\xbf{}", 0, "expected a value" },
        { "/* no */ 1", 0, "expected a value" },
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (scan(cases[i].text, strlen(cases[i].text), 0) != RECO_INVALID
            || err.position != cases[i].position
            || strcmp(err.message, cases[i].message) != 0)
        {
            fail_msg("%s: %s at %zu", cases[i].text, err.message,
                     err.position);
        }
    }

    assert_int_equal(scan("1\0", 2, 0), RECO_INVALID);
    assert_int_equal(err.position, 1);
    assert_int_equal(scan("\"a\0b\"", 5, 0), RECO_INVALID);
    assert_int_equal(err.position, 2);
}

/* A fault is told once and stays; without an error to fill, too. */
static void
test_fault_stays(void **state)
{
    reco_json_t     s;
    reco_arena_t    arena;

    (void) state;

    arena = (reco_arena_t) { memory, sizeof(memory), 0 };
    reco_json_init(&s, RECO_STR("[1,,2]"), 0, &arena, &keys, NULL);
    assert_int_equal(reco_json_next(&s), RECO_JSON_ARRAY);
    assert_int_equal(reco_json_next(&s), RECO_JSON_NUMBER);
    assert_int_equal(reco_json_next(&s), RECO_JSON_ERROR);
    assert_int_equal(s.position, 3);
    assert_int_equal(reco_json_next(&s), RECO_JSON_ERROR);
    assert_int_equal(reco_json_next(&s), RECO_JSON_ERROR);
}

/* ---- limits ------------------------------------------------------------- */

static void
test_depth(void **state)
{
    char    text[128];
    size_t  n;

    (void) state;

    for (n = 31; n <= 33; n++) {
        memset(text, '[', n);
        memset(text + n, ']', n);

        if (n <= 32) {
            assert_int_equal(scan(text, 2 * n, 0), RECO_OK);
            continue;
        }

        assert_int_equal(scan(text, 2 * n, 0), RECO_LIMIT);
        assert_int_equal(err.position, 32);
        assert_string_equal(err.message, "nested deeper than 32 levels");
    }
}

/* n members in objects of 'each' members; repeat names the number of a key
 * that the last object has twice, at its end, or -1. */
static size_t
many_keys(char *text, unsigned n, unsigned each, int repeat)
{
    char      *p;
    unsigned   i;

    p = text + sprintf(text, "[");

    for (i = 0; i < n; i++) {
        p += sprintf(p, "%s\"key %u\":0", i % each ? "," : i ? "},{" : "{",
                     i % each);
    }

    if (repeat >= 0) {
        p += sprintf(p, ",\"key %d\":0", repeat);
    }

    return (size_t) (p + sprintf(p, "}]") - text);
}

static void
test_key_limit(void **state)
{
    size_t       len;
    static char  text[1 << 18];

    (void) state;

    len = many_keys(text, 8192, 8192, -1);
    assert_int_equal(scan(text, len, 0), RECO_OK);
    len = many_keys(text, 8193, 8193, -1);
    assert_int_equal(scan(text, len, 0), RECO_LIMIT);
    assert_string_equal(err.message, "more than 8192 keys");
    len = many_keys(text, 8192, 64, -1);
    assert_int_equal(scan(text, len, 0), RECO_OK);
    len = many_keys(text, 8193, 64, -1);
    assert_int_equal(scan(text, len, 0), RECO_LIMIT);
}

/* Any key's repetition is found, however many keys there are between. */
static void
test_far_duplicates(void **state)
{
    int          repeat;
    size_t       len;
    static char  text[1 << 18];

    (void) state;

    for (repeat = 0; repeat < 3000; repeat += 37) {
        len = many_keys(text, 3000, 3000, repeat);
        assert_int_equal(scan(text, len, 0), RECO_INVALID);
        assert_string_equal(err.message, "key given twice in one object");
    }

    for (repeat = 0; repeat < 100; repeat++) {
        len = many_keys(text, 1000, 100, repeat);
        assert_int_equal(scan(text, len, 0), RECO_INVALID);
    }
}

static void
test_number_length(void **state)
{
    char  text[256];

    (void) state;

    memset(text, '1', sizeof(text));
    assert_int_equal(scan(text, 128, 0), RECO_OK);
    assert_int_equal(scan(text, 129, 0), RECO_LIMIT);
    assert_int_equal(err.position, 0);
    assert_string_equal(err.message, "number longer than 128 bytes");
    text[1] = '.';
    assert_int_equal(scan(text, 128, 0), RECO_OK);
    assert_int_equal(scan(text, 129, 0), RECO_LIMIT);
    text[1] = 'e';
    text[2] = '-';
    assert_int_equal(scan(text, 128, 0), RECO_OK);
    assert_int_equal(scan(text, 129, 0), RECO_LIMIT);
}

/* The longest text is not there to be read: its length is looked at first. */
static void
test_text_length(void **state)
{
    reco_json_t  s;

    (void) state;

    reco_json_init(&s, (reco_str_t) { "1", (size_t) INT32_MAX + 1 }, 0, NULL,
                   &keys, &err);
    assert_int_equal(reco_json_next(&s), RECO_JSON_ERROR);
    assert_int_equal(err.status, RECO_LIMIT);
}

static void
test_arena(void **state)
{
    char            text[] = "[\"\\n\",\"\\n\",\"\\u00e9x\"]", room[6];
    size_t          size;
    reco_json_t     s;
    reco_arena_t    arena;

    (void) state;

    /* 1 + 1 + 3 bytes: strings lie side by side */
    for (size = 0; size <= 5; size++) {
        memset(room, '#', sizeof(room));
        arena = (reco_arena_t) { room, size, 0 };
        reco_json_init(&s, RECO_STR(text), 0, &arena, &keys, &err);

        if (size == 5) {
            assert_true(reco_json_skip(&s, reco_json_next(&s)));
            assert_memory_equal(room, "\n\n\xc3\xa9x", 5);
            break;
        }

        assert_false(reco_json_skip(&s, reco_json_next(&s)));
        assert_int_equal(err.status, RECO_LIMIT);
        assert_string_equal(err.message, "no room to decode a string");
        assert_int_equal(room[size], '#');
    }

    /* what has no escape needs none */
    reco_json_init(&s, RECO_STR("[\"plain\"]"), 0, NULL, &keys, &err);
    assert_true(reco_json_skip(&s, reco_json_next(&s)));
}

/* ---- the keys table ----------------------------------------------------- */

static void
test_keys_reused(void **state)
{
    int             i;
    reco_json_t     s;
    reco_arena_t    arena;
    static char     text[1 << 12];

    (void) state;

    for (i = 0; i < 2000; i++) {
        /* one scan given up amid two objects, its text then gone */
        (void) strcpy(text, "{\"a\":{\"b\":1,\"c\":2},\"d\":3}");
        arena = (reco_arena_t) { memory, sizeof(memory), 0 };
        reco_json_init(&s, (reco_str_t) { text, strlen(text) }, 0, &arena,
                       &keys, &err);
        while (reco_json_next(&s) != RECO_JSON_NUMBER) { /* void */ }
        memset(text, 'b', sizeof(text));

        assert_tokens("{\"a\":{\"b\":1,\"a\":2},\"b\":3}", 0,
                      "{<a>{<b>#1 <a>#2 }<b>#3 }");
        assert_tokens("{\"a\":{\"b\":1,\"b\":2},\"b\":3}", 0, "");
    }
}

/* The epoch begins again before it would overflow, and what was left of its
 * first round is forgotten. */
static void
test_keys_epoch(void **state)
{
    uint32_t  start;

    (void) state;

    for (start = UINT32_MAX - 60; start != 0; start++) {
        memset(&keys, 0, sizeof(keys));
        assert_int_equal(scan("{\"a\":{\"b\":1}}", 13, 0), RECO_OK);
        assert_int_equal(keys.epoch, 2);

        keys.epoch = start;
        assert_int_equal(scan("{\"a\":{\"b\":1}}", 13, 0), RECO_OK);
        assert_int_equal(scan("{\"b\":{\"a\":1}}", 13, 0), RECO_OK);
        assert_int_equal(scan("{\"b\":1,\"b\":1}", 13, 0), RECO_INVALID);
    }

    assert_true(keys.epoch < 10);
}

/* With one seed or another, the same answers. */
static void
test_keys_seed(void **state)
{
    size_t       len;
    static char  text[1 << 18];

    (void) state;

    for (keys.seed = 1; keys.seed < 20; keys.seed++) {
        len = many_keys(text, 500, 250, -1);
        assert_int_equal(scan(text, len, 0), RECO_OK);
        len = many_keys(text, 500, 250, 17);
        assert_int_equal(scan(text, len, 0), RECO_INVALID);
    }

    keys.seed = 0;
}

/* ---- Python ------------------------------------------------------------- */

/* The texts are what CPython 3.11 prints for repr() of the value. */
static void
test_python(void **state)
{
    (void) state;

    assert_tokens("{'age': 42, 'vip': True, 'x': None, 'f': [False, 1e-05]}",
                  RECO_JSON_PYTHON,
                  "{<age>#42 <vip>true <x>null <f>"
                  "[false #1.0000000000000001e-05 ]}");
    assert_tokens("{\"it's\": 'say \"hi\"', 'both': 'a\\'b\"c'}",
                  RECO_JSON_PYTHON,
                  "{<it's>(say \"hi\")<both>(a'b\"c)}");
    assert_tokens("['\\x7f\\x85', '\\u2028', '\\U000e0001', 'caf\xc3\xa9', "
                  "'back\\\\slash', 'tab\\t']", RECO_JSON_PYTHON,
                  "[(\x7f\xc2\x85)(\xe2\x80\xa8)(\xf3\xa0\x80\x81)"
                  "(caf\xc3\xa9)(back\\slash)(tab\t)]");
    /* and JSON, all the same */
    assert_tokens("{\"a\": true, 'b': null}", RECO_JSON_PYTHON,
                  "{<a>true <b>null }");
}

static void
test_python_refused(void **state)
{
    size_t  i;
    static const struct {
        const char  *text;
        size_t       position;
    } cases[] = {
        { "nan", 1 }, { "inf", 0 }, { "-inf", 1 }, { "NaN", 1 },
        { "['a',]", 5 }, { "{'a': 1,}", 8 }, { "('a', 1)", 0 },
        { "{'a', 'b'}", 4 }, { "'a\"", 3 }, { "\"a'", 3 }, { "b'a'", 0 },
        { "'\\ud800'", 1 }, { "'\\U0000d800'", 1 }, { "'\\U00110000'", 1 },
        { "'\\xg0'", 1 }, { "'\\a'", 1 }, { "'\\0'", 1 }, { "'a\nb'", 2 },
        { "{'a': 1, \"a\": 2}", 9 }, { "1_000", 1 }, { "0x10", 1 },
        { "TRUE", 1 }, { "Nothing", 2 }, { "'a' 'b'", 4 }, { "1L", 1 },
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (scan(cases[i].text, strlen(cases[i].text), RECO_JSON_PYTHON)
            != RECO_INVALID || err.position != cases[i].position)
        {
            fail_msg("%s: %s at %zu", cases[i].text, err.message,
                     err.position);
        }
    }
}

/* ---- the JSON test suite ------------------------------------------------ */

static const char  *has_duplicates[] = {
    "y_object_duplicated_key.json",
    "y_object_duplicated_key_and_value.json",
};

static bool
is_duplicate_case(const char *name)
{
    size_t  i;

    for (i = 0; i < sizeof(has_duplicates) / sizeof(char *); i++) {
        if (strcmp(name, has_duplicates[i]) == 0) {
            return true;
        }
    }

    return false;
}

static void
suite_case(const char *dir, const char *name)
{
    char            path[4096];
    FILE           *f;
    size_t          len;
    reco_status_t   status;
    static char     text[1 << 19];

    (void) snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "rb");
    assert_non_null(f);
    len = fread(text, 1, sizeof(text), f);
    (void) fclose(f);
    assert_true(len < sizeof(text));

    status = scan(text, len, 0);

    if (is_duplicate_case(name)) {
        assert_int_equal(status, RECO_INVALID);
        assert_string_equal(err.message, "key given twice in one object");

    } else if (name[0] == 'y' && status != RECO_OK) {
        fail_msg("%s: %s at %zu", name, err.message, err.position);

    } else if (name[0] == 'n' && status == RECO_OK) {
        fail_msg("%s: accepted", name);
    }
}

static void
test_suite(void **state)
{
    int             y, n, i;
    DIR            *d;
    char            dir[2048];
    const char     *data;
    struct dirent  *entry;

    (void) state;

    data = getenv("RECO_DATA");
    (void) snprintf(dir, sizeof(dir), "%s/json-test-suite/test_parsing",
                    data != NULL ? data : "../shared/data");

    d = opendir(dir);
    if (d == NULL) {
        /* not by skip(): cmocka 1.1.5 prints "not ok # SKIP", which is a
         * failure in TAP */
        print_message("# skipped: no JSON test suite in %s; set RECO_DATA\n",
                      dir);
        return;
    }

    y = n = i = 0;

    while ((entry = readdir(d)) != NULL) {
        if (entry->d_name[0] != '.') {
            suite_case(dir, entry->d_name);
            y += entry->d_name[0] == 'y';
            n += entry->d_name[0] == 'n';
            i += entry->d_name[0] == 'i';
        }
    }

    (void) closedir(d);

    assert_int_equal(y, 95);
    assert_int_equal(n, 188);
    assert_int_equal(i, 35);
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_nul_escape),
        cmocka_unit_test(test_string_lengths),
        cmocka_unit_test(test_raw_text_and_positions),
        cmocka_unit_test(test_skip),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_fault_stays),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_key_limit),
        cmocka_unit_test(test_far_duplicates),
        cmocka_unit_test(test_number_length),
        cmocka_unit_test(test_text_length),
        cmocka_unit_test(test_arena),
        cmocka_unit_test(test_keys_reused),
        cmocka_unit_test(test_keys_epoch),
        cmocka_unit_test(test_keys_seed),
        cmocka_unit_test(test_python),
        cmocka_unit_test(test_python_refused),
        cmocka_unit_test(test_suite),
    };

    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
