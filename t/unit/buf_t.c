/*
 * buf_t.c - text buffers: numbers that read back as they were, strings that
 * jansson reads back, dates against published ones, and no byte past the end.
 */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <jansson.h>

#include "reco_buf.h"
#include "random.h"

static char  text[4096];

#define WRITTEN(call)                                                         \
    (reco_buf_init(&b, text, sizeof(text)), call, reco_buf_char(&b, '\0'), \
     text)

/* ---- numbers ------------------------------------------------------------ */

static void
test_integers(void **state)
{
    reco_buf_t  b;

    (void) state;

    assert_string_equal(WRITTEN(reco_buf_u64(&b, 0)), "0");
    assert_string_equal(WRITTEN(reco_buf_u64(&b, 1000000007)), "1000000007");
    assert_string_equal(WRITTEN(reco_buf_u64(&b, UINT64_MAX)),
                        "18446744073709551615");
    assert_string_equal(WRITTEN(reco_buf_i64(&b, 0)), "0");
    assert_string_equal(WRITTEN(reco_buf_i64(&b, -1)), "-1");
    assert_string_equal(WRITTEN(reco_buf_i64(&b, INT64_MAX)),
                        "9223372036854775807");
    assert_string_equal(WRITTEN(reco_buf_i64(&b, INT64_MIN)),
                        "-9223372036854775808");
    assert_string_equal(WRITTEN(reco_buf_hex(&b, (const uint8_t *)
                                             "\x00\x7f\xab\xff", 4)),
                        "007fabff");
}

static void
test_doubles(void **state)
{
    reco_buf_t  b;

    (void) state;

    assert_string_equal(WRITTEN(reco_buf_double(&b, 0)), "0");
    assert_string_equal(WRITTEN(reco_buf_double(&b, -0.0)), "-0");
    assert_string_equal(WRITTEN(reco_buf_double(&b, 1)), "1");
    assert_string_equal(WRITTEN(reco_buf_double(&b, -42)), "-42");
    assert_string_equal(WRITTEN(reco_buf_double(&b, 0.1)), "0.1");
    assert_string_equal(WRITTEN(reco_buf_double(&b, -0.5)), "-0.5");
    assert_string_equal(WRITTEN(reco_buf_double(&b, 0.01)), "0.01");
    assert_string_equal(WRITTEN(reco_buf_double(&b, 1.05)), "1.05");
    assert_string_equal(WRITTEN(reco_buf_double(&b, 12.5)), "12.5");
    assert_string_equal(WRITTEN(reco_buf_double(&b, 9747747.93)),
                        "9747747.93");
    assert_string_equal(WRITTEN(reco_buf_double(&b, 1000.0005)), "1000.0005");
    assert_string_equal(WRITTEN(reco_buf_double(&b, 9007199254740991.0)),
                        "9007199254740991");
    assert_string_equal(WRITTEN(reco_buf_double(&b, 9007199254740992.0)),
                        "9007199254740992");
    assert_string_equal(WRITTEN(reco_buf_double(&b, 1e17)), "1e+17");
    assert_string_equal(WRITTEN(reco_buf_double(&b, 1e23)),
                        "9.9999999999999992e+22");
    assert_string_equal(WRITTEN(reco_buf_double(&b, 1.0 / 3)),
                        "0.33333333333333331");
    assert_string_equal(WRITTEN(reco_buf_double(&b, NAN)), "null");
    assert_string_equal(WRITTEN(reco_buf_double(&b, INFINITY)), "null");
    assert_string_equal(WRITTEN(reco_buf_double(&b, -INFINITY)), "null");
}

/* v is written as a JSON number that strtod() and jansson read as v. */
static void
check_round_trip(double v)
{
    double       back;
    json_t      *number;
    reco_buf_t   b;

    (void) WRITTEN(reco_buf_double(&b, v));
    back = strtod(text, NULL);

    if (memcmp(&v, &back, sizeof(v)) != 0) {
        fail_msg("%a written as %s", v, text);
    }

    number = json_loads(text, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL,
                        NULL);
    if (number == NULL) {
        fail_msg("%s is no JSON number", text);
    }

    back = json_real_value(number);
    json_decref(number);
    assert_memory_equal(&v, &back, sizeof(v));
}

static void
test_doubles_back(void **state)
{
    int       i, k;
    double    v;
    uint64_t  bits;
    random_t  r;

    (void) state;

    random_init(&r, 7);

    for (i = 0; i < 100000; i++) {
        /* any bits at all */
        bits = random_next(&r);
        memcpy(&v, &bits, sizeof(v));
        if (isfinite(v)) {
            check_round_trip(v);
        }

        /* between 0 and 1, as propensities are */
        check_round_trip((double) (random_next(&r) >> 11) * 0x1p-53);

        /* short decimals, as people write, and their neighbours */
        k = (int) random_below(&r, 12);
        v = (double) (int64_t) (random_next(&r) >> (10 + random_below(&r, 50)))
            / pow(10, k);
        check_round_trip(v);
        check_round_trip(-nextafter(v, 1e300));
    }
}

/* A decimal of up to ten digits is written as it was read. */
static void
test_short_decimals_stay(void **state)
{
    int         i;
    char        given[64];
    random_t    r;
    reco_buf_t  b;

    (void) state;

    random_init(&r, 8);

    for (i = 0; i < 100000; i++) {
        (void) sprintf(given, "%s%u.%0*u%u", random_below(&r, 2) ? "-" : "",
                       random_below(&r, 10000),
                       (int) random_below(&r, 5) + 1, random_below(&r, 10),
                       random_below(&r, 9) + 1);
        assert_string_equal(WRITTEN(reco_buf_double(&b, strtod(given, NULL))),
                            given);
    }
}

/* ---- strings ------------------------------------------------------------ */

static void
test_json_strings(void **state)
{
    reco_buf_t  b;

    (void) state;

    assert_string_equal(WRITTEN(reco_buf_json_string(&b, RECO_STR(""))),
                        "\"\"");
    assert_string_equal(WRITTEN(reco_buf_json_string(&b, (reco_str_t)
                                                     { NULL, 0 })), "\"\"");
    assert_string_equal(WRITTEN(reco_buf_json_string(&b,
                        RECO_STR("a\"\\/\b\f\n\r\t\x01\x1f\x7f'"))),
                        "\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f'\"");
    assert_string_equal(WRITTEN(reco_buf_json_string(&b, RECO_STR("a\0b"))),
                        "\"a\\u0000b\"");
    /* U+2027, U+2028, U+2029, U+202A, U+20AC */
    assert_string_equal(WRITTEN(reco_buf_json_string(&b, RECO_STR(
                        "\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa"
                        "\xe2\x82\xac"))),
                        "\"\xe2\x80\xa7\\u2028\\u2029\xe2\x80\xaa"
                        "\xe2\x82\xac\"");
    /* what begins like one, at the end: not read past it */
    assert_string_equal(WRITTEN(reco_buf_json_string(&b,
                        ((reco_str_t) { "\xe2\x80\xa8", 2 }))),
                        "\"\xe2\x80\"");
}

static size_t
random_string(random_t *r, char *s, unsigned max)
{
    char               *p;
    unsigned            n;
    static const char  *parts[] = {
        "a", "bc", "\"", "\\", "\n", "\x01", "\x7f", "\xc3\xa9",
        "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x82\xac", "\xf0\x9d\x84\x9e",
    };

    p = s;

    for (n = random_below(r, max); n > 0; n--) {
        p = stpcpy(p, parts[random_below(r, 12)]);
    }

    return (size_t) (p - s);
}

static void
test_json_strings_back(void **state)
{
    int         i;
    char        given[256];
    json_t     *back;
    size_t      len;
    random_t    r;
    reco_buf_t  b;

    (void) state;

    random_init(&r, 9);

    for (i = 0; i < 20000; i++) {
        len = random_string(&r, given, 40);
        (void) WRITTEN(reco_buf_json_string(&b, (reco_str_t) { given, len }));
        back = json_loads(text, JSON_DECODE_ANY, NULL);
        assert_non_null(back);
        assert_int_equal(json_string_length(back), len);
        assert_memory_equal(json_string_value(back), given, len);
        json_decref(back);
    }
}

/* ---- dates -------------------------------------------------------------- */

/* Published: RFC 3339 and POSIX name the epoch; `date -u` of GNU coreutils
 * gives the others. */
/* Every ASCII byte at every place of strings that are looked at in words of
 * eight, of four and by the byte: only what JSON lets stand is as it was, the rest is escaped, and
 * jansson reads the string back. */
static void
test_json_strings_by_word(void **state)
{
    int          c, len, place;
    char         text[21], out[256];
    json_t      *back;
    reco_buf_t   b;
    const char  *p;

    (void) state;

    for (c = 1; c < 0x80; c++) {
        for (len = 1; len <= 20; len++) {
            for (place = 0; place < len; place++) {
                memset(text, 'a', (size_t) len);
                text[len] = '\0';
                text[place] = (char) c;

                reco_buf_init(&b, out, sizeof(out));
                reco_buf_json_string(&b, (reco_str_t) { text, (size_t) len });
                assert_false(b.overflow);

                for (p = out + 1; p < b.pos - 1; p++) {
                    assert_true(*p >= 0x20 && *p != 0x7f);
                }

                back = json_loadb(out, reco_buf_len(&b), JSON_DECODE_ANY,
                                  NULL);
                assert_non_null(back);
                assert_string_equal(json_string_value(back), text);
                json_decref(back);
            }
        }
    }
}

static void
test_times(void **state)
{
    size_t      i, len;
    reco_buf_t  b;
    static const struct {
        uint64_t     ms;
        const char  *time;
    } cases[] = {
        { 0, "1970-01-01T00:00:00.000Z" },
        { 1, "1970-01-01T00:00:00.001Z" },
        { 86399999, "1970-01-01T23:59:59.999Z" },
        { 86400000, "1970-01-02T00:00:00.000Z" },
        { 68169600000, "1972-02-29T00:00:00.000Z" },
        { 68256000000, "1972-03-01T00:00:00.000Z" },
        { 946684799999, "1999-12-31T23:59:59.999Z" },
        { 951782400000, "2000-02-29T00:00:00.000Z" },
        { 951868799999, "2000-02-29T23:59:59.999Z" },
        { 951868800000, "2000-03-01T00:00:00.000Z" },
        { 978220800000, "2000-12-31T00:00:00.000Z" },
        { 1000000000000, "2001-09-09T01:46:40.000Z" },
        { 1234567890000, "2009-02-13T23:31:30.000Z" },
        { 1795313700123, "2026-11-22T02:15:00.123Z" },
        { 2147483647000, "2038-01-19T03:14:07.000Z" },
        { 4107542399000, "2100-02-28T23:59:59.000Z" },
        { 4107542400000, "2100-03-01T00:00:00.000Z" },
        { 13574563200000, "2400-02-29T00:00:00.000Z" },
        { 253402300799999, "9999-12-31T23:59:59.999Z" },
        { 253402300800000, "10000-01-01T00:00:00.000Z" },
        { UINT64_MAX, "584556019-04-03T14:25:51.615Z" },
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_string_equal(WRITTEN(reco_buf_time(&b, cases[i].ms)),
                            cases[i].time);

        len = strlen(WRITTEN(reco_buf_date(&b, cases[i].ms)));
        assert_int_equal(len, strcspn(cases[i].time, "T"));
        assert_memory_equal(text, cases[i].time, len);
    }
}

/* Every day of 800 years, beside the C library's calendar. */
static void
test_dates_as_gmtime(void **state)
{
    char        expected[32];
    time_t      t;
    int64_t     day;
    struct tm   tm;
    reco_buf_t  b;

    (void) state;

    for (day = 0; day < 2 * 146097; day++) {
        t = (time_t) (day * 86400);
        assert_non_null(gmtime_r(&t, &tm));
        (void) strftime(expected, sizeof(expected), "%Y-%m-%d", &tm);
        assert_string_equal(WRITTEN(reco_buf_date(&b, (uint64_t) day
                                                  * 86400000 + 86399999)),
                            expected);
    }
}

/* ---- the end ------------------------------------------------------------ */

/* Each writer on a buffer of every size: it writes all or nothing, and
 * nothing behind the end. */
static void
write_one(reco_buf_t *b, unsigned which, reco_str_t s)
{
    switch (which) {
    case 0:
        reco_buf_raw(b, s.data, s.len);
        break;
    case 1:
        reco_buf_cstr(b, "terminated");
        break;
    case 2:
        reco_buf_char(b, 'c');
        break;
    case 3:
        reco_buf_u64(b, 12345678901234);
        break;
    case 4:
        reco_buf_i64(b, -12345678901234);
        break;
    case 5:
        reco_buf_hex(b, (const uint8_t *) s.data, s.len);
        break;
    case 6:
        reco_buf_double(b, 0.1);
        break;
    case 7:
        reco_buf_double(b, -1.0 / 3);
        break;
    case 8:
        reco_buf_double(b, NAN);
        break;
    case 9:
        reco_buf_json_string(b, s);
        break;
    case 10:
        reco_buf_time(b, 1795313700123);
        break;
    default:
        reco_buf_date(b, 1795313700123);
    }
}

static void
test_overflow(void **state)
{
    char        given[256], room[512];
    size_t      size, len, i;
    unsigned    which, round;
    random_t    r;
    reco_str_t  s;
    reco_buf_t  b;

    (void) state;

    random_init(&r, 10);

    for (round = 0; round < 50; round++) {
        s = (reco_str_t) { given, random_string(&r, given, 12) };

        if (round == 0) {
            /* nothing but what takes six bytes for one */
            s.len = 40;
            memset(given, '\x01', s.len);
        }

        for (which = 0; which < 12; which++) {
            reco_buf_init(&b, text, sizeof(text));
            write_one(&b, which, s);
            len = reco_buf_len(&b);
            assert_false(b.overflow);

            for (size = 0; size < 300; size++) {
                memset(room, '#', sizeof(room));
                reco_buf_init(&b, room, size);
                write_one(&b, which, s);

                assert_int_equal(b.overflow, size < len);
                assert_int_equal(reco_buf_len(&b), size < len ? 0 : len);
                assert_memory_equal(room, text, reco_buf_len(&b));
                for (i = size; i < sizeof(room); i++) {
                    assert_int_equal(room[i], '#');
                }
            }
        }
    }
}

/* Overflow stays, also where a later, shorter piece would fit. */
static void
test_overflow_stays(void **state)
{
    char        room[4];
    reco_buf_t  b;

    (void) state;

    reco_buf_init(&b, room, sizeof(room));
    reco_buf_cstr(&b, "abc");
    assert_false(b.overflow);
    reco_buf_cstr(&b, "de");
    assert_true(b.overflow);
    reco_buf_char(&b, 'f');
    assert_true(b.overflow);
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_doubles_back),
        cmocka_unit_test(test_short_decimals_stay),
        cmocka_unit_test(test_json_strings),
        cmocka_unit_test(test_json_strings_back),
        cmocka_unit_test(test_json_strings_by_word),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_dates_as_gmtime),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_overflow_stays),
    };

    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
