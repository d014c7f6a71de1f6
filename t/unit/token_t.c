/*
 * Decision ids, secret files, customer keys and tokens. MACs are RFC 4231's
 * or were computed with Python's hmac module; the node's hash with Python's
 * xxhash.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "reco_token.h"

/* hash: bytes 00 to 1f; k1: 40 to 5f; K2longer: 80 to bf, upper case */
#define HASH_LINE                                                             \
    "hash 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
#define K1_LINE                                                               \
    "sign k1 "                                                                \
    "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f\n"
#define K2_LINE                                                               \
    "sign K2longer "                                                          \
    "808182838485868788898A8B8C8D8E8F909192939495969798999A9B9C9D9E9F"        \
    "A0A1A2A3A4A5A6A7A8A9AAABACADAEAFB0B1B2B3B4B5B6B7B8B9BABBBCBDBEBF\n"

#define CUSTOMER_KEY    "2c28b83f07f418b8c610fa5ce82e04e4"
#define ID_TEXT         "0193532a0c00abcd0102030400000007"
#define TOKEN_K1        "1.k1." ID_TEXT ".83353c3a79d17167027b99de911aad66"
#define TOKEN_K2        "1.K2longer." ID_TEXT                                 \
                        ".56b6c225dc5420d2d1f8941a2227fbe5"
#define TOKEN_NOBODY    "1.k1." ID_TEXT ".d205ac69c3331ab5ef17f8a3fcdab64e"
#define TOKEN_LONGEST   "1.k1." ID_TEXT ".9985b307d44efa89029d654b385bd075"

#define COUNT   100000

static reco_str_t
str(const char *s)
{
    return (reco_str_t) { s, strlen(s) };
}

static reco_secret_t *
secret_of(const char *text)
{
    reco_error_t    err;
    reco_secret_t  *s;

    if (reco_secret_parse(str(text), "secret", &s, &err) != RECO_OK) {
        fail_msg("%s", err.message);
    }

    return s;
}

static reco_id_t
id_of(const char *text)
{
    reco_id_t  id;

    assert_true(reco_id_parse(str(text), &id));

    return id;
}

static void
test_id_layout(void **state)
{
    char              text[RECO_ID_TEXT];
    reco_id_t         id;
    reco_id_source_t  s;

    (void) state;

    /* XXH3_64bits("edge-1") is e92714c0274f8b52 */
    reco_id_source_init(&s, str("edge-1"), 0x01020304);

    id = reco_id_next(&s, 1732241234567);      /* 0x0193519f9a87 */
    reco_id_text(&id, text);
    assert_memory_equal(text, "0193519f9a87" "8b52" "0102030400000000", 32);
    assert_int_equal(reco_id_time_ms(&id), 1732241234567);

    id = reco_id_next(&s, 1732241234568);
    reco_id_text(&id, text);
    assert_memory_equal(text, "0193519f9a88" "8b52" "0102030400000001", 32);
}

static int
compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, RECO_ID_BYTES);
}

/* The clock goes forth, back and stands still. */
static void
test_ids_unique_and_sorted(void **state)
{
    uint64_t          now = 1732241234567;
    reco_id_t        *ids;
    reco_id_source_t  s;

    (void) state;

    ids = malloc(COUNT * sizeof(*ids));
    assert_non_null(ids);
    reco_id_source_init(&s, str("edge-1"), 77);

    for (int i = 0; i < COUNT; i++) {
        now += (uint64_t) (i % 7) - 3;
        now -= i % 10000 == 0 ? 60000 : 0;
        ids[i] = reco_id_next(&s, now);
    }

    for (int i = 1; i < COUNT; i++) {
        assert_true(compare_ids(&ids[i - 1], &ids[i]) < 0);
    }

    free(ids);
}

static void
test_ids_counter_begins_again(void **state)
{
    reco_id_t         before, after;
    reco_id_source_t  s;

    (void) state;

    reco_id_source_init(&s, str("edge-1"), 77);
    s.counter = UINT32_MAX;

    before = reco_id_next(&s, 1000);
    after = reco_id_next(&s, 1000);

    assert_int_equal(reco_id_time_ms(&before), 1000);
    assert_int_equal(reco_id_time_ms(&after), 1001);
    assert_true(compare_ids(&before, &after) < 0);
}

static void
test_id_parse(void **state)
{
    char       text[RECO_ID_TEXT];
    reco_id_t  id;

    (void) state;

    id = id_of(ID_TEXT);
    assert_int_equal(id.bytes[0], 0x01);
    assert_int_equal(id.bytes[15], 0x07);
    reco_id_text(&id, text);
    assert_memory_equal(text, ID_TEXT, sizeof(text));

    assert_false(reco_id_parse(str(""), &id));
    assert_false(reco_id_parse((reco_str_t) { ID_TEXT, 31 }, &id));
    assert_false(reco_id_parse(str(ID_TEXT "0"), &id));
    assert_false(reco_id_parse(str("0193532A0C00ABCD0102030400000007"), &id));
    assert_false(reco_id_parse(str("0193532a0c00abcd010203040000000g"), &id));
}

/* RFC 4231, test cases 1, 3, 4 and 5; the RFC cuts the last one to 16 bytes
 * itself. */
static void
test_customer_key_rfc4231(void **state)
{
    static const struct {
        const char  *key;
        const char  *text;
        int          repeat;        /* or 0 */
        const char  *mac;
    } cases[] = {
        { "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "Hi There", 0,
          "b0344c61d8db38535ca8afceaf0bf12b" },
        { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "\xdd", 50,
          "773ea91e36800e46854db8ebd09181a7" },
        { "0102030405060708090a0b0c0d0e0f10111213141516171819", "\xcd", 50,
          "82558a389a443c0ea4cc819899f2083a" },
        { "0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c",
          "Test With Truncation", 0, "a3b6167473100ee06e0c796c2955552b" },
    };
    char            file[256], text[64], out[32];
    reco_str_t      key;
    reco_secret_t  *s;

    (void) state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(file, sizeof(file), "hash %s\n" K1_LINE, cases[i].key);
        s = secret_of(file);

        if (cases[i].repeat > 0) {
            memset(text, cases[i].text[0], (size_t) cases[i].repeat);
            text[cases[i].repeat] = '\0';
        } else {
            snprintf(text, sizeof(text), "%s", cases[i].text);
        }

        key = reco_customer_key(s, str(text), out);
        assert_int_equal(key.len, 32);
        assert_memory_equal(key.data, cases[i].mac, 32);

        reco_secret_free(s);
    }
}

static void
test_customer_key(void **state)
{
    char            out[32];
    reco_str_t      key, id = str("customer-42");
    reco_secret_t  *s;

    (void) state;

    key = reco_customer_key(NULL, id, out);
    assert_ptr_equal(key.data, id.data);
    assert_int_equal(key.len, id.len);

    s = secret_of(HASH_LINE K1_LINE);
    key = reco_customer_key(s, id, out);
    assert_int_equal(key.len, 32);
    assert_memory_equal(key.data, CUSTOMER_KEY, 32);

    key = reco_customer_key(s, str(""), out);
    assert_int_equal(key.len, 0);

    assert_string_equal(reco_secret_fingerprint(s), "1a9fe501");
    assert_string_equal(reco_secret_fingerprint(NULL), "");

    reco_secret_free(s);
}

static void
test_secret_refused(void **state)
{
    static const struct {
        const char     *text;
        reco_status_t   status;
        const char     *message;
    } cases[] = {
        { "", RECO_INVALID, "name: no \"hash\" line" },
        { K1_LINE, RECO_INVALID, "name: no \"hash\" line" },
        { HASH_LINE, RECO_INVALID, "name: no \"sign\" line" },
        { HASH_LINE HASH_LINE K1_LINE, RECO_INVALID,
          "name:2: a second \"hash\" line" },
        { "# comment\n\n" HASH_LINE K1_LINE K1_LINE, RECO_INVALID,
          "name:5: key \"k1\" is there twice" },
        { "key 00\n", RECO_INVALID,
          "name:1: a line begins with \"hash\" or \"sign\"" },
        { "hash 000102030405060708090a0b0c0d0e\n", RECO_INVALID,
          "name:1: a key is 32 to 128 hexadecimal digits, an even number" },
        { "hash 000102030405060708090a0b0c0d0e0f0\n", RECO_INVALID,
          "name:1: a key is 32 to 128 hexadecimal digits, an even number" },
        { "hash 000102030405060708090a0b0c0d0e0g\n", RECO_INVALID,
          "name:1: a key is 32 to 128 hexadecimal digits, an even number" },
        { "hash\n", RECO_INVALID,
          "name:1: a key is 32 to 128 hexadecimal digits, an even number" },
        { "hash 000102030405060708090a0b0c0d0e0f x\n", RECO_INVALID,
          "name:1: too many words" },
        { "sign 123456789 000102030405060708090a0b0c0d0e0f\n", RECO_INVALID,
          "name:1: a key's name is 1 to 8 letters and digits" },
        { "sign k-1 000102030405060708090a0b0c0d0e0f\n", RECO_INVALID,
          "name:1: a key's name is 1 to 8 letters and digits" },
        { "sign\n", RECO_INVALID,
          "name:1: a key's name is 1 to 8 letters and digits" },
    };
    char            longest[600], line[160];
    reco_error_t    err;
    reco_secret_t  *s;

    (void) state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(reco_secret_parse(str(cases[i].text), "name", &s,
                                           &err), cases[i].status);
        assert_null(s);
        assert_string_equal(err.message, cases[i].message);
    }

    longest[0] = '\0';
    for (int i = 1; i <= 9; i++) {
        snprintf(line, sizeof(line),
                 "sign %d 000102030405060708090a0b0c0d0e0f\n", i);
        strcat(longest, line);
    }
    assert_int_equal(reco_secret_parse(str(longest), "name", &s, &err),
                     RECO_LIMIT);
    assert_string_equal(err.message, "name:9: more than 8 sign keys");

    /* a digit too many for the longest key */
    snprintf(longest, sizeof(longest), "hash %0*d\n", 130, 0);
    assert_int_equal(reco_secret_parse(str(longest), "name", &s, &err),
                     RECO_INVALID);
}

/* Blanks, CRLF, no newline at the end, the longest key. */
static void
test_secret_accepted(void **state)
{
    char            text[400];
    reco_secret_t  *s;

    (void) state;

    s = secret_of("  # words\r\n\r\n\thash\t000102030405060708090a0b0c0d0e0f"
                  " \r\nsign a 000102030405060708090A0B0C0D0E0F");
    reco_secret_free(s);

    snprintf(text, sizeof(text), "hash %0*d\n" K1_LINE, 128, 0);
    s = secret_of(text);
    reco_secret_free(s);
    reco_secret_free(NULL);
}

static void
test_secret_read(void **state)
{
    int             fd;
    char            path[] = "/tmp/reco-token-t.XXXXXX";
    size_t          i;
    const char      text[] = HASH_LINE K1_LINE;
    const mode_t    modes[] = { 0660, 0604, 0602 };
    reco_error_t    err;
    reco_secret_t  *s;

    (void) state;

    fd = mkstemp(path);
    assert_int_not_equal(fd, -1);
    assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);

    assert_int_equal(reco_secret_read(path, &s, &err), RECO_OK);
    assert_string_equal(reco_secret_fingerprint(s), "1a9fe501");
    assert_false(reco_secret_is_exposed(s));
    reco_secret_free(s);

    for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        assert_int_equal(fchmod(fd, modes[i]), 0);
        assert_int_equal(reco_secret_read(path, &s, &err), RECO_OK);
        assert_int_equal(reco_secret_is_exposed(s), modes[i] != 0660);
        reco_secret_free(s);
    }

    assert_int_equal(ftruncate(fd, 65536), 0);
    assert_int_equal(reco_secret_read(path, &s, &err), RECO_LIMIT);
    close(fd);

    unlink(path);
    assert_int_equal(reco_secret_read(path, &s, &err), RECO_NOT_FOUND);
    assert_non_null(strstr(err.message, path));
    assert_non_null(strstr(err.message, "No such file"));

    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(reco_secret_read(path, &s, &err), RECO_INVALID);
    unlink(path);

    assert_int_equal(reco_secret_read("/tmp", &s, &err), RECO_INVALID);
    assert_null(s);
}

static void
assert_writes(const char *secret, const char *model, const char *customer,
    const char *token)
{
    char            out[RECO_TOKEN_MAX];
    size_t          len;
    reco_id_t       id = id_of(ID_TEXT), back;
    reco_secret_t  *s;

    s = secret != NULL ? secret_of(secret) : NULL;

    len = reco_token_write(s, &id, str(model), str(customer), out);
    assert_int_equal(len, strlen(token));
    assert_memory_equal(out, token, len);

    memset(&back, 0, sizeof(back));
    assert_int_equal(reco_token_check(s, (reco_str_t) { out, len },
                                      str(model), str(customer), &back),
                     RECO_OK);
    assert_memory_equal(&back, &id, sizeof(id));

    reco_secret_free(s);
}

static void
test_token_write(void **state)
{
    char  model[256], customer[256];

    (void) state;

    assert_writes(HASH_LINE K1_LINE, "shop", CUSTOMER_KEY, TOKEN_K1);
    assert_writes(HASH_LINE K2_LINE, "shop", CUSTOMER_KEY, TOKEN_K2);
    assert_writes(K1_LINE HASH_LINE K2_LINE, "shop", CUSTOMER_KEY, TOKEN_K1);
    assert_writes(HASH_LINE K1_LINE, "shop", "", TOKEN_NOBODY);
    assert_writes(NULL, "shop", CUSTOMER_KEY, ID_TEXT);

    memset(model, 'm', 255);
    model[255] = '\0';
    memset(customer, 'c', 255);
    customer[255] = '\0';
    assert_writes(HASH_LINE K1_LINE, model, customer, TOKEN_LONGEST);
}

static void
test_token_over_limit(void **state)
{
    char            out[RECO_TOKEN_MAX], text[257];
    reco_id_t       id = id_of(ID_TEXT);
    reco_secret_t  *s = secret_of(HASH_LINE K1_LINE);

    (void) state;

    memset(text, 'x', 256);
    text[256] = '\0';

    assert_int_equal(reco_token_write(s, &id, str(text), str("c"), out), 0);
    assert_int_equal(reco_token_write(s, &id, str("m"), str(text), out), 0);
    assert_int_equal(reco_token_check(s, str(TOKEN_K1), str("shop"),
                                      str(text), &id), RECO_FORGED);

    reco_secret_free(s);
}

/* Any key of the file verifies, only the first one signs. */
static void
test_token_keys_rotate(void **state)
{
    reco_id_t       id;
    reco_secret_t  *s = secret_of(HASH_LINE K1_LINE K2_LINE);

    (void) state;

    assert_int_equal(reco_token_check(s, str(TOKEN_K1), str("shop"),
                                      str(CUSTOMER_KEY), &id), RECO_OK);
    assert_int_equal(reco_token_check(s, str(TOKEN_K2), str("shop"),
                                      str(CUSTOMER_KEY), &id), RECO_OK);
    reco_secret_free(s);

    s = secret_of(HASH_LINE K2_LINE);
    assert_int_equal(reco_token_check(s, str(TOKEN_K1), str("shop"),
                                      str(CUSTOMER_KEY), &id), RECO_FORGED);
    reco_secret_free(s);
}

static void
test_token_refused(void **state)
{
    static const struct {
        const char     *token;
        const char     *model;
        const char     *customer;
        reco_status_t   status;
    } cases[] = {
        { TOKEN_K1, "shoq", CUSTOMER_KEY, RECO_FORGED },
        { TOKEN_K1, "shop", "customer-42", RECO_FORGED },
        { TOKEN_K1, "shop", "", RECO_FORGED },
        { TOKEN_K1, "", CUSTOMER_KEY, RECO_FORGED },
        /* bytes moved from one text to the other */
        { TOKEN_K1, "shop2", "c28b83f07f418b8c610fa5ce82e04e4", RECO_FORGED },
        { TOKEN_K1, "sho", "p" CUSTOMER_KEY, RECO_FORGED },
        { TOKEN_NOBODY, "sho", "p", RECO_FORGED },
        { ID_TEXT, "shop", CUSTOMER_KEY, RECO_FORGED },
        { "1.k2." ID_TEXT ".83353c3a79d17167027b99de911aad66", "shop",
          CUSTOMER_KEY, RECO_FORGED },
        { "", "shop", CUSTOMER_KEY, RECO_INVALID },
        { "1", "shop", CUSTOMER_KEY, RECO_INVALID },
        { "x" ID_TEXT, "shop", CUSTOMER_KEY, RECO_INVALID },
        { "2.k1." ID_TEXT ".83353c3a79d17167027b99de911aad66", "shop",
          CUSTOMER_KEY, RECO_INVALID },
        { "1.k1." ID_TEXT ".83353C3A79D17167027B99DE911AAD66", "shop",
          CUSTOMER_KEY, RECO_INVALID },
        { "1.k1." ID_TEXT ".83353c3a79d17167027b99de911aad6", "shop",
          CUSTOMER_KEY, RECO_INVALID },
        { "1.k1." ID_TEXT ".83353c3a79d17167027b99de911aad666", "shop",
          CUSTOMER_KEY, RECO_INVALID },
        { "1.." ID_TEXT ".83353c3a79d17167027b99de911aad66", "shop",
          CUSTOMER_KEY, RECO_INVALID },
        { "1.k.1." ID_TEXT ".83353c3a79d17167027b99de911aad66", "shop",
          CUSTOMER_KEY, RECO_INVALID },
        { "1.k12345678." ID_TEXT ".83353c3a79d17167027b99de911aad66", "shop",
          CUSTOMER_KEY, RECO_INVALID },
        { "1.k1." ID_TEXT "_83353c3a79d17167027b99de911aad66", "shop",
          CUSTOMER_KEY, RECO_INVALID },
    };
    reco_id_t       id, untouched;
    reco_secret_t  *s = secret_of(HASH_LINE K1_LINE);

    (void) state;

    memset(&untouched, 0x55, sizeof(untouched));
    id = untouched;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(reco_token_check(s, str(cases[i].token),
                                          str(cases[i].model),
                                          str(cases[i].customer), &id),
                         cases[i].status);
        assert_memory_equal(&id, &untouched, sizeof(id));
    }

    /* a signed one where there is no key to check it with */
    assert_int_equal(reco_token_check(NULL, str(TOKEN_K1), str("shop"),
                                      str(CUSTOMER_KEY), &id), RECO_FORGED);

    reco_secret_free(s);
}

/* Is refused, and nothing is told of the id. */
static void
assert_refused(const reco_secret_t *s, const char *token, size_t len,
    const char *model, const char *customer)
{
    reco_id_t      id, untouched;
    reco_status_t  rc;

    memset(&untouched, 0x55, sizeof(untouched));
    id = untouched;

    rc = reco_token_check(s, (reco_str_t) { token, len }, str(model),
                          str(customer), &id);

    assert_true(rc == RECO_FORGED || rc == RECO_INVALID);
    assert_memory_equal(&id, &untouched, sizeof(id));
}

/* Every bit of every byte changed, every length but its own, and every byte
 * value behind it. */
static void
test_token_every_change(void **state)
{
    static const struct {
        const char  *token;
        const char  *model;
        const char  *customer;
    } cases[] = {
        { TOKEN_K1, "shop", CUSTOMER_KEY },
        { TOKEN_K2, "shop", CUSTOMER_KEY },
        { TOKEN_NOBODY, "shop", "" },
    };
    char            token[RECO_TOKEN_MAX + 2];
    size_t          len;
    reco_id_t       id;
    reco_secret_t  *s = secret_of(HASH_LINE K1_LINE K2_LINE);

    (void) state;

    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        len = strlen(cases[c].token);
        memcpy(token, cases[c].token, len);

        for (size_t bit = 0; bit < 8 * len; bit++) {
            token[bit / 8] ^= (char) (1 << bit % 8);
            assert_refused(s, token, len, cases[c].model, cases[c].customer);
            token[bit / 8] ^= (char) (1 << bit % 8);
        }

        for (size_t cut = 0; cut < len; cut++) {
            assert_refused(s, token, cut, cases[c].model, cases[c].customer);
            assert_refused(s, token + len - cut, cut, cases[c].model,
                           cases[c].customer);
        }

        for (int more = 0; more < 256; more++) {
            token[len] = (char) more;
            assert_refused(s, token, len + 1, cases[c].model,
                           cases[c].customer);
        }

        assert_refused(s, token, len, "shop2", cases[c].customer);
        assert_refused(s, token, len, cases[c].model, "another");

        assert_int_equal(reco_token_check(s, (reco_str_t) { token, len },
                                          str(cases[c].model),
                                          str(cases[c].customer), &id),
                         RECO_OK);
    }

    reco_secret_free(s);
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_id_layout),
        cmocka_unit_test(test_ids_unique_and_sorted),
        cmocka_unit_test(test_ids_counter_begins_again),
        cmocka_unit_test(test_id_parse),
        cmocka_unit_test(test_customer_key_rfc4231),
        cmocka_unit_test(test_customer_key),
        cmocka_unit_test(test_secret_refused),
        cmocka_unit_test(test_secret_accepted),
        cmocka_unit_test(test_secret_read),
        cmocka_unit_test(test_token_write),
        cmocka_unit_test(test_token_over_limit),
        cmocka_unit_test(test_token_keys_rotate),
        cmocka_unit_test(test_token_refused),
        cmocka_unit_test(test_token_every_change),
    };

    return cmocka_run_group_tests_name("token", tests, NULL, NULL);
}
