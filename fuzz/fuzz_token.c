/*
 * fuzz_token.c - secrets, ids and tokens from hostile text; and that no token
 * but the one that was given verifies.
 */

#include "fuzz_util.h"
#include "reco_token.h"

#define HEX32  "00112233445566778899aabbccddeeff"

static reco_secret_t  *secret;

static reco_secret_t *
parse_secret(reco_str_t text)
{
    reco_error_t    err;
    reco_status_t   rc;
    reco_secret_t  *s;

    s = NULL;
    rc = reco_secret_parse(text, "secret", &s, &err);

    if (rc != RECO_OK) {
        fuzz_check_error(&err, rc, text.len);
        return NULL;
    }

    FUZZ_ASSERT(s != NULL);

    return s;
}

/* A secret that is accepted signs, and verifies what it signed. */
static void
try_secret(reco_str_t text)
{
    char            token[RECO_TOKEN_MAX];
    size_t          len;
    reco_id_t       id, back;
    reco_secret_t  *s;

    s = parse_secret(text);
    if (s == NULL) {
        return;
    }

    memset(&id, 7, sizeof(id));
    len = reco_token_write(s, &id, RECO_STR("m"), RECO_STR("c"), token);
    FUZZ_ASSERT(len <= RECO_TOKEN_MAX);
    FUZZ_ASSERT(reco_token_check(s, (reco_str_t) { token, len },
                                 RECO_STR("m"), RECO_STR("c"), &back)
                == RECO_OK);
    FUZZ_ASSERT(memcmp(&id, &back, sizeof(id)) == 0);
    FUZZ_ASSERT(strlen(reco_secret_fingerprint(s)) == 8);
    reco_secret_free(s);
}

/* Nobody without the key makes a token that verifies. */
static void
try_token(reco_str_t text)
{
    char           out[RECO_ID_TEXT], token[RECO_TOKEN_MAX];
    size_t         len;
    reco_id_t      id, back;
    reco_status_t  rc;

    if (reco_id_parse(text, &id)) {
        reco_id_text(&id, out);
        FUZZ_ASSERT(text.len == sizeof(out));
        FUZZ_ASSERT(reco_id_parse((reco_str_t) { out, sizeof(out) }, &back));
        FUZZ_ASSERT(memcmp(&id, &back, sizeof(id)) == 0);
        FUZZ_ASSERT(reco_token_check(NULL, text, RECO_STR("m"), RECO_STR(""),
                                     &back) == RECO_OK);
    } else {
        rc = reco_token_check(NULL, text, RECO_STR("m"), RECO_STR(""), &back);
        FUZZ_ASSERT(rc == RECO_INVALID || rc == RECO_FORGED);
    }

    rc = reco_token_check(secret, text, RECO_STR("m"), RECO_STR("c"), &back);

    if (rc == RECO_OK) {
        /* none but ours, to the letter */
        len = reco_token_write(secret, &back, RECO_STR("m"), RECO_STR("c"),
                               token);
        FUZZ_ASSERT(reco_str_equal(text, (reco_str_t) { token, len }));
    } else {
        FUZZ_ASSERT(rc == RECO_INVALID || rc == RECO_FORGED);
    }
}

/* A token of any id, model and customer; then one byte of it is changed. */
static void
try_changed(fuzz_input_t in)
{
    char           model_room[RECO_MAX_ID], key_room[RECO_MAX_ID];
    char           token[RECO_TOKEN_MAX], c;
    size_t         len, i, at;
    reco_id_t      id, back;
    reco_str_t     model, key, text;
    reco_status_t  rc;

    for (i = 0; i < RECO_ID_BYTES; i++) {
        id.bytes[i] = (uint8_t) fuzz_bytes(&in, 1);
    }

    at = fuzz_bytes(&in, 1);
    c = (char) fuzz_bytes(&in, 1);
    model = fuzz_id(&in, model_room, 1);
    key = fuzz_id(&in, key_room, 0);

    len = reco_token_write(secret, &id, model, key, token);
    FUZZ_ASSERT(len > 0 && len <= RECO_TOKEN_MAX);
    text = fuzz_copy(token, len);
    FUZZ_ASSERT(reco_token_check(secret, text, model, key, &back) == RECO_OK);
    FUZZ_ASSERT(memcmp(&id, &back, sizeof(id)) == 0);

    at %= len;

    if (text.data[at] != c) {
        ((char *) text.data)[at] = c;
        rc = reco_token_check(secret, text, model, key, &back);
        FUZZ_ASSERT(rc == RECO_INVALID || rc == RECO_FORGED);
    }

    fuzz_free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    reco_str_t  text;

    if (secret == NULL) {
        /* not zeros at the end: HMAC pads with those, so that two keys would
         * be one */
        secret = parse_secret(RECO_STR("hash " HEX32 "\nsign k1 " HEX32
                                       "\nsign k2 " HEX32 "01\n"));
        FUZZ_ASSERT(secret != NULL);
    }

    if (size == 0) {
        return 0;
    }

    text = fuzz_copy(data + 1, size - 1);

    switch (data[0] % 3) {
    case 0:
        try_secret(text);
        break;
    case 1:
        try_token(text);
        break;
    default:
        try_changed((fuzz_input_t) { data + 1, size - 1 });
    }

    fuzz_free(text);

    return 0;
}
