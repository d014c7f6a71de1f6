/*
 * A text is read whole and a tree is written whole, or memory ran out, whatever
 * request for memory it is that fails.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reco_jansson.h"

static const char  text[] =
    "{\"a key of more than sixteen bytes\":"
    "\"a value of many more bytes than sixteen, so that it grows twice\","
    "\"number\":1234567890123456,\"real\":0.25,"
    "\"list\":[{\"a\":1},{\"another key of more than sixteen\":[true,null]}]}";

static int   requests, failing;
static bool  onwards;           /* and all after it */

static void *
some_memory(size_t size)
{
    requests++;

    return requests == failing || (onwards && failing && requests > failing)
           ? NULL : malloc(size);
}

/* Not free() itself, so that the requests of the library go on to it. */
static void
release(void *p)
{
    free(p);
}

static void
fail_at(int n)
{
    requests = 0;
    failing = n;
}

static reco_status_t
load(json_t **root, reco_error_t *err)
{
    return reco_jansson_load((reco_str_t) { text, sizeof(text) - 1 }, root,
                             err);
}

static void
test_every_request(void **state)
{
    int            n;
    char          *written;
    json_t        *whole, *root;
    reco_error_t   err;
    reco_status_t  rc;

    (void) state;

    json_set_alloc_funcs(some_memory, release);
    fail_at(0);
    assert_int_equal(load(&whole, &err), RECO_OK);

    for (n = 1; fail_at(n), (rc = load(&root, &err)) != RECO_OK; n++) {
        assert_int_equal(rc, RECO_NO_MEMORY);
        assert_null(root);
    }

    assert_true(n > 20 && requests < n);
    assert_true(json_equal(root, whole));
    json_decref(root);

    for (n = 1; fail_at(n), (written = reco_jansson_dump(whole, JSON_COMPACT))
                            == NULL; n++)
    {
        assert_int_equal(errno, ENOMEM);
    }

    assert_true(n > 3 && requests < n);
    assert_string_equal(written, text);
    free(written);
    json_decref(whole);
    json_set_alloc_funcs(malloc, free);
}

/* Escapes, characters of several bytes and quotes, wherever a buffer is full: a
 * parser that goes on without one of them aborts, or does not find the end. */
static void
test_every_place(void **state)
{
    int            before, n, last;
    char           places[128];
    json_t        *root;
    reco_error_t   err;
    reco_str_t     str;
    reco_status_t  rc;

    (void) state;

    json_set_alloc_funcs(some_memory, release);

    for (before = 0; before <= 40; before++) {
        str.data = places;
        str.len = (size_t) snprintf(places, sizeof(places),
                                    "[\"%.*s\\n\u20ac\\u20ac\\\"\","
                                    "\"\\\\\"]", before,
                                    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
        for (last = 0; last <= 1; last++) {
            onwards = last;
            for (n = 1; fail_at(n), (rc = reco_jansson_load(str, &root, &err))
                                    != RECO_OK; n++)
            {
                assert_int_equal(rc, RECO_NO_MEMORY);
                assert_null(root);
            }

            assert_true(n > 5 && requests < n);
            assert_int_equal(json_string_length(json_array_get(root, 0)),
                             before + 8);
            assert_string_equal(json_string_value(json_array_get(root, 1)),
                                "\\");
            json_decref(root);
        }
    }

    onwards = false;
    json_set_alloc_funcs(malloc, free);
}

static void
test_faults(void **state)
{
    json_t        *root;
    reco_error_t   err;

    (void) state;

    assert_int_equal(reco_jansson_load(RECO_STR("{\"a\": 1,\n \"a\": 2}"),
                                       &root, &err), RECO_INVALID);
    assert_null(root);
    assert_string_equal(err.message, "line 2, column 4: duplicate object key "
                        "near '\"a\"'");
    assert_int_equal(err.position, 13);
    assert_int_equal(reco_jansson_load(RECO_STR("\"\xc5\x8a\\\xdd\x84\""), &root,
                                       &err), RECO_INVALID);
    assert_string_equal(err.message, "line 1, column 4: invalid escape near "
                        "'\"\xc5\x8a\\?'");
    assert_int_equal(reco_jansson_load(RECO_STR(""), &root, NULL),
                     RECO_INVALID);
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_every_request),
        cmocka_unit_test(test_every_place),
        cmocka_unit_test(test_faults),
    };

    return cmocka_run_group_tests_name("jansson", tests, NULL, NULL);
}
