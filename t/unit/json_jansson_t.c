/*
 * json_jansson_t.c - the JSON scanner beside jansson, on random texts and on
 * what is left of them after some damage.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "json_oracle.h"
#include "random.h"

static reco_json_keys_t  keys;
static char              memory[1 << 14];

typedef struct {
    char      *p, *end;
    random_t   random;
} writer_t;

static void
put(writer_t *w, const char *s)
{
    size_t  len;

    len = strlen(s);
    if ((size_t) (w->end - w->p) >= len) {
        memcpy(w->p, s, len);
        w->p += len;
    }
}

static void
put_space(writer_t *w)
{
    static const char  *spaces[] = { " ", "\n", "\t", "\r", "  " };

    if (random_below(&w->random, 4) == 0) {
        put(w, spaces[random_below(&w->random, 5)]);
    }
}

static void
put_string(writer_t *w)
{
    unsigned            n;
    static const char  *parts[] = {
        "a", "b", "key", "long text without a break", "'", " ", "/", "\\n",
        "\\\"", "\\\\", "\\/", "\\u0041", "\\u00e9", "\\u20AC",
        "\\ud834\\udd1e", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9d\x84\x9e",
        "\x7f", "\\t", "\\u001f", "\xef\xbf\xbf", "OFFER_1", "age",
        /* not for a string, or not for a key */
        "\\u0000", "\\ud834", "\\udd1e", "\xed\xa0\x80", "\xc0\xaf", "\\x41",
    };

    put(w, "\"");
    for (n = random_below(&w->random, 4); n > 0; n--) {
        put(w, parts[random_below(&w->random,
                                  random_below(&w->random, 16) ? 24 : 30)]);
    }
    put(w, "\"");
}

static void
put_number(writer_t *w)
{
    char      text[64];
    random_t  *r;

    r = &w->random;

    switch (random_below(r, 5)) {
    case 0:
        (void) sprintf(text, "%d", (int) random_below(r, 200) - 100);
        break;
    case 1:
        (void) sprintf(text, "%lld", (long long) random_next(r));
        break;
    case 2:
        (void) sprintf(text, "%.*g", (int) random_below(r, 20),
                       (double) (int64_t) random_next(r) / 1e9);
        break;
    case 3:
        (void) sprintf(text, "%u.%ue%d", random_below(r, 100),
                       random_below(r, 10000),
                       (int) random_below(r, 700) - 350);
        break;
    default:
        (void) sprintf(text, "%llu%llu", (long long) random_next(r),
                       (long long) random_next(r));
    }

    put(w, text);
}

static void
put_value(writer_t *w, unsigned depth)
{
    char                open;
    unsigned            kind, n;
    static const char  *words[] = { "true", "false", "null" };

    put_space(w);

    kind = random_below(&w->random, depth > 5 ? 3 : 5);

    switch (depth == 0 ? 3 : kind) {
    case 0:
        put_string(w);
        break;
    case 1:
        put_number(w);
        break;
    case 2:
        put(w, words[random_below(&w->random, 3)]);
        break;
    default:
        open = random_below(&w->random, 2) ? '{' : '[';
        put(w, open == '{' ? "{" : "[");

        for (n = random_below(&w->random, 5); n > 0; n--) {
            put_space(w);
            if (open == '{') {
                put_string(w);
                put_space(w);
                put(w, ":");
            }
            put_value(w, depth + 1);
            put(w, n > 1 ? "," : "");
        }

        put(w, open == '{' ? "}" : "]");
    }

    put_space(w);
}

/* Damages a text of len bytes in room for twice as many. */
static size_t
mutate(random_t *r, char *text, size_t len)
{
    size_t              at, n;
    static const char  bytes[] = "{}[]\",:\\0123456789eE+-.tfn \n'u\0\x80\xff";

    if (len == 0) {
        return 0;
    }

    at = random_below(r, (uint32_t) len);
    n = 1 + random_below(r, 8);
    if (n > len - at) {
        n = len - at;
    }

    switch (random_below(r, 5)) {
    case 0:
        text[at] = bytes[random_below(r, sizeof(bytes) - 1)];
        break;
    case 1:
        text[at] = (char) (text[at] ^ (1 << random_below(r, 8)));
        break;
    case 2:
        memmove(text + at, text + at + n, len - at - n);
        len -= n;
        break;
    case 3:
        memmove(text + at + n, text + at, len - at);
        len += n;
        break;
    default:
        len = at;
    }

    return len;
}

static void
test_as_jansson(void **state)
{
    char           text[8192];
    int            i, j, accepted, n;
    size_t         len;
    writer_t       w;
    json_oracle_t  oracle;

    (void) state;

    oracle.keys = &keys;
    oracle.memory = memory;
    random_init(&w.random, 20101201);
    accepted = 0;
    n = 0;

    for (i = 0; i < 50000; i++) {
        w.p = text;
        w.end = text + sizeof(text) / 2;
        put_value(&w, 0);
        len = (size_t) (w.p - text);

        for (j = 0; j < 4; j++) {
            if (!json_oracle_agree(&oracle, text, len)) {
                fail_msg("%s: %.*s", oracle.difference, (int) len, text);
            }

            n++;
            accepted += oracle.status == RECO_OK;
            len = mutate(&w.random, text, len);
            if (len > sizeof(text) / 2) {
                break;
            }
        }
    }

    /* enough of both kinds for the comparison to mean something */
    assert_true(n > 190000);
    assert_true(accepted > n / 4);
    assert_true(accepted < 3 * n / 4);
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_as_jansson),
    };

    return cmocka_run_group_tests_name("json_jansson", tests, NULL, NULL);
}
