/*
 * base_t.c - UTF-8 as RFC 3629 has it, ids, the arena, errors.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reco_base.h"

#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))

/* ---- UTF-8 -------------------------------------------------------------- */

/* The first and last code point of each row of RFC 3629, section 4, and what
 * lies on both sides of the surrogates. */
static void
test_utf8_valid(void **state)
{
    size_t              i;
    static const char  *texts[] = {
        "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xe0\xbf\xbf",
        "\xe1\x80\x80", "\xec\xbf\xbf", "\xed\x80\x80", "\xed\x9f\xbf",
        "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80",
        "\xf0\xbf\xbf\xbf", "\xf1\x80\x80\x80", "\xf3\xbf\xbf\xbf",
        "\xf4\x80\x80\x80", "\xf4\x8f\xbf\xbf",
        /* the examples of section 7 */
        "\x41\xe2\x89\xa2\xce\x91\x2e", "\xed\x95\x9c\xea\xb5\xad\xec\x96\xb4",
        "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e",
        "\xef\xbb\xbf\xf0\xa3\x8e\xb4",
    };

    (void) state;

    for (i = 0; i < COUNT(texts); i++) {
        if (!reco_utf8_is_valid(texts[i], strlen(texts[i]))) {
            fail_msg("text %zu", i);
        }
    }

    assert_true(reco_utf8_is_valid("", 0));
    assert_true(reco_utf8_is_valid(NULL, 0));
    assert_true(reco_utf8_is_valid("\0", 1));
    assert_int_equal(reco_utf8_length("\xf4\x8f\xbf\xbf", 4), 4);
    assert_int_equal(reco_utf8_length("a\xff", 2), 1);
}

static void
test_utf8_invalid(void **state)
{
    char                padded[32];
    size_t              i, n;
    static const char  *texts[] = {
        "\x80", "\xbf",                         /* continuation alone */
        "\xc0\x80", "\xc0\xaf", "\xc1\xbf",     /* overlong, two bytes */
        "\xe0\x80\x80", "\xe0\x9f\xbf",         /* three */
        "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", /* four */
        "\xed\xa0\x80", "\xed\xbf\xbf",         /* surrogates */
        "\xed\xa1\x8c\xed\xbe\xb4",             /* a pair of them */
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", /* above U+10FFFF */
        "\xf8\x88\x80\x80\x80", "\xfe", "\xff",
        "\xc2", "\xe1\x80", "\xf1\x80\x80",     /* cut */
        "\xc2\x41", "\xe1\x80\x41", "\xf1\x80\x80\x41", "\xe1\xc2\x80",
        "\xc2\xc0", "\xe1\x80\xc0", "\xf1\x80\x80\xc0",
    };

    (void) state;

    for (i = 0; i < COUNT(texts); i++) {
        /* behind n plain bytes: alone, and at every place in a word */
        for (n = 0; n < 17; n++) {
            memset(padded, 'x', sizeof(padded));
            memcpy(padded + n, texts[i], strlen(texts[i]));

            if (reco_utf8_is_valid(padded, n + strlen(texts[i]))) {
                fail_msg("text %zu behind %zu bytes", i, n);
            }
        }

        assert_int_equal(reco_utf8_length(texts[i], strlen(texts[i])), 0);
    }

    assert_int_equal(reco_utf8_length("", 0), 0);
}

/* ---- ids ---------------------------------------------------------------- */

static void
test_ids(void **state)
{
    char    id[300];
    int     c;
    size_t  n;

    (void) state;

    memset(id, 'x', sizeof(id));
    assert_false(reco_id_is_valid((reco_str_t) { id, 0 }));
    assert_false(reco_id_is_valid((reco_str_t) { NULL, 0 }));
    assert_true(reco_id_is_valid((reco_str_t) { id, 1 }));
    assert_true(reco_id_is_valid((reco_str_t) { id, 255 }));
    assert_false(reco_id_is_valid((reco_str_t) { id, 256 }));

    /* each byte of ASCII, at the start, inside and at the end */
    for (n = 0; n < 12; n++) {
        for (c = 0; c < 0x80; c++) {
            id[n] = (char) c;
            assert_int_equal(reco_id_is_valid((reco_str_t) { id, 12 }),
                             c >= 0x20 && c != 0x7f);
        }
        id[n] = 'x';
    }

    /* U+0080 to U+009F are controls, U+00A0 and U+0100 are not */
    for (c = 0x80; c <= 0xbf; c++) {
        id[3] = '\xc2';
        id[4] = (char) c;
        assert_int_equal(reco_id_is_valid((reco_str_t) { id, 12 }),
                         c >= 0xa0);
    }
    assert_true(reco_id_is_valid(RECO_STR("\xc4\x80")));
    assert_true(reco_id_is_valid(RECO_STR("caf\xc3\xa9 \xe2\x82\xac")));
    assert_false(reco_id_is_valid(RECO_STR("caf\xc3")));
    assert_false(reco_id_is_valid(RECO_STR("\xed\xa0\x80")));
}

static void
test_str_equal(void **state)
{
    (void) state;

    assert_true(reco_str_equal(RECO_STR("abc"), RECO_STR("abc")));
    assert_true(reco_str_equal(RECO_STR(""), (reco_str_t) { NULL, 0 }));
    assert_false(reco_str_equal(RECO_STR("abc"), RECO_STR("abd")));
    assert_false(reco_str_equal(RECO_STR("abc"), RECO_STR("ab")));
    assert_false(reco_str_equal(RECO_STR("a\0b"), RECO_STR("a\0c")));
}

/* ---- arena -------------------------------------------------------------- */

static void
test_arena(void **state)
{
    char           mem[64] __attribute__((aligned(8)));
    char          *p, *q;
    reco_arena_t   a;

    (void) state;

    /* a base that is not aligned: what is given is */
    a = (reco_arena_t) { mem + 1, 31, 0 };
    p = reco_arena_alloc(&a, 3);
    assert_ptr_equal(p, mem + 8);
    assert_null(reco_arena_alloc(&a, SIZE_MAX));
    assert_null(reco_arena_alloc(&a, SIZE_MAX - 3));
    q = reco_arena_alloc(&a, 8);
    assert_ptr_equal(q, mem + 16);
    assert_int_equal(a.used, 23);

    assert_null(reco_arena_alloc(&a, 9));
    assert_null(reco_arena_alloc(&a, SIZE_MAX));
    assert_null(reco_arena_alloc(&a, SIZE_MAX - 7));
    assert_int_equal(a.used, 23);
    assert_ptr_equal(reco_arena_alloc(&a, 8), mem + 24);
    assert_int_equal(a.used, 31);
    assert_null(reco_arena_alloc(&a, 1));

    a = (reco_arena_t) { NULL, 0, 0 };
    assert_null(reco_arena_alloc(&a, 1));
    assert_null(reco_arena_alloc(&a, 0));
}

/* ---- errors ------------------------------------------------------------- */

static void
test_error(void **state)
{
    char          long_text[400];
    size_t        i;
    reco_error_t  err;

    (void) state;

    assert_int_equal(reco_error_set(NULL, RECO_IO, "x", "y"), RECO_IO);

    assert_int_equal(reco_error_set(&err, RECO_INVALID, "$.model",
                                    "must be %d", 7), RECO_INVALID);
    assert_int_equal(err.status, RECO_INVALID);
    assert_int_equal(err.position, RECO_NO_POSITION);
    assert_string_equal(err.field, "$.model");
    assert_string_equal(err.message, "must be 7");

    assert_int_equal(reco_error_set(&err, RECO_LIMIT, NULL, "full"),
                     RECO_LIMIT);
    assert_string_equal(err.field, "");

    /* cut to fit, never within a character: 255 bytes hold 85 of three */
    for (i = 0; i < 4; i++) {
        size_t  n;

        memset(long_text, 'x', i);
        for (n = i; n < 390; n += 3) {
            memcpy(long_text + n, "\xe2\x82\xac", 3);
        }
        long_text[n] = '\0';

        (void) reco_error_set(&err, RECO_INVALID, long_text, "%s", long_text);
        assert_int_equal(strlen(err.message), i + (255 - i) / 3 * 3);
        assert_true(reco_utf8_is_valid(err.message, strlen(err.message)));
        assert_string_equal(err.field, err.message);
    }
}

/* Each status has words of its own. */
static void
test_status_strings(void **state)
{
    reco_status_t  a, b;

    (void) state;

    for (a = RECO_OK; a <= RECO_FORGED; a++) {
        assert_string_not_equal(reco_status_string(a), "unknown status");
        for (b = RECO_OK; b < a; b++) {
            assert_string_not_equal(reco_status_string(a),
                                    reco_status_string(b));
        }
    }

    assert_string_equal(reco_status_string((reco_status_t) 99),
                        "unknown status");
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_utf8_valid),
        cmocka_unit_test(test_utf8_invalid),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_str_equal),
        cmocka_unit_test(test_arena),
        cmocka_unit_test(test_error),
        cmocka_unit_test(test_status_strings),
    };

    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
