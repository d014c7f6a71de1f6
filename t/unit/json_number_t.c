/*
 * json_number_t.c - the scanner's numbers are the nearest doubles: hard cases
 * by hand, many others beside strtod().
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reco_json.h"
#include "random.h"

static reco_json_keys_t  keys;
static reco_error_t      err;

static double
number(const char *text)
{
    reco_json_t  s;

    reco_json_init(&s, (reco_str_t) { text, strlen(text) }, 0, NULL, &keys,
                   &err);
    assert_int_equal(reco_json_next(&s), RECO_JSON_NUMBER);
    assert_int_equal(reco_json_next(&s), RECO_JSON_END);

    return s.number;
}

static void
test_numbers(void **state)
{
    (void) state;

    assert_true(number("9007199254740993") == 9007199254740992.0);
    assert_true(number("9007199254740992e22") == 9007199254740992e22);
    assert_true(number("1e23") == 1e23);
    assert_true(number("1e308") == 1e308);
    assert_true(number("1.7976931348623157e308") == 0x1.fffffffffffffp1023);
    assert_true(number("5e-324") == 0x1p-1074);
    assert_true(number("2.2250738585072011e-308") == 2.2250738585072011e-308);
    assert_true(number("1e-400") == 0);
    assert_true(number("0e99999999999") == 0);
    assert_true(number("0.1") == 0.1);
    /* 2^64 + 1, which must not be taken for 1 */
    assert_true(number("18446744073709551617") == 0x1p64);
    assert_true(number("1.8446744073709551617e19") == 0x1p64);
    assert_true(number("123456789012345678901234567890")
                == 0x1.8ee90ff6c373ep+96);
    assert_true(number("0.000000000000000000000000000000000000001") == 1e-39);
    assert_true(1 / number("-0") < 0);
    assert_true(1 / number("-0.0e5") < 0);
}

static void
test_numbers_as_strtod(void **state)
{
    char      text[64];
    int       i, n, digits, j;
    double    a, b;
    random_t  r;

    (void) state;

    random_init(&r, 11);

    for (i = 0; i < 100000; i++) {
        n = random_below(&r, 2) ? sprintf(text, "-") : 0;
        digits = 1 + (int) random_below(&r, 22);
        text[n++] = (char) ('1' + random_below(&r, 9));

        if (random_below(&r, 2)) {
            text[n++] = '.';
        }

        for (j = 0; j < digits; j++) {
            text[n++] = (char) ('0' + random_below(&r, 10));
        }

        if (random_below(&r, 2)) {
            n += sprintf(text + n, "e%d", (int) random_below(&r, 80) - 40);
        }

        text[n] = '\0';
        a = number(text);
        b = strtod(text, NULL);

        if (memcmp(&a, &b, sizeof(a)) != 0) {
            fail_msg("%s: %a is not %a", text, a, b);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_numbers_as_strtod),
    };

    return cmocka_run_group_tests_name("json_number", tests, NULL, NULL);
}
