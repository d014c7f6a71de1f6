/*
 * reco_token.c - decision ids, and tokens that carry them to clients and back.
 * Hot path: nothing here allocates or keeps anything between calls but the
 * caller's id source.
 */

#include "reco_buf.h"
#include "reco_secret.h"

#include <openssl/crypto.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define MAC_DIGITS      32
#define TOKEN_VERSION   '1'
/* version, id, and two texts with a length byte each */
#define MAC_TEXT_MAX    (1 + RECO_ID_BYTES + 2 * (1 + RECO_MAX_ID))

static bool token_mac(const reco_sign_key_t *key, const reco_id_t *id,
    reco_str_t model, reco_str_t customer_key, char digits[MAC_DIGITS]);
static const reco_sign_key_t *sign_key_find(const reco_secret_t *secret,
    reco_str_t kid);

/* ---- ids ---------------------------------------------------------------- */

void
reco_id_source_init(reco_id_source_t *s, reco_str_t node,
    uint32_t incarnation)
{
    s->node = (uint16_t) XXH3_64bits(node.data, node.len);
    s->incarnation = incarnation;
    s->counter = 0;
    s->last_ms = 0;
}

reco_id_t
reco_id_next(reco_id_source_t *s, uint64_t time_ms)
{
    reco_id_t  id = { { 0 } };
    uint8_t   *p = id.bytes;

    if (time_ms > s->last_ms) {
        s->last_ms = time_ms;
    }

    for (int i = 0; i < 6; i++) {
        *p++ = (uint8_t) (s->last_ms >> (40 - 8 * i));
    }

    *p++ = (uint8_t) (s->node >> 8);
    *p++ = (uint8_t) s->node;

    for (int i = 0; i < 4; i++) {
        p[i] = (uint8_t) (s->incarnation >> (24 - 8 * i));
        p[i + 4] = (uint8_t) (s->counter >> (24 - 8 * i));
    }

    /* When the counter begins again, time moves on: ids stay unique and
     * sorted even while the clock stands still. */
    if (++s->counter == 0) {
        s->last_ms++;
    }

    return id;
}

void
reco_id_text(const reco_id_t *id, char text[RECO_ID_TEXT])
{
    reco_hex_write(text, id->bytes, RECO_ID_BYTES);
}

bool
reco_id_parse(reco_str_t text, reco_id_t *id)
{
    int        high, low;
    reco_id_t  parsed;

    if (text.len != RECO_ID_TEXT) {
        return false;
    }

    for (size_t i = 0; i < RECO_ID_BYTES; i++) {
        high = reco_hex_digit(text.data[2 * i]);
        low = reco_hex_digit(text.data[2 * i + 1]);

        if (high < 0 || low < 0) {
            return false;
        }

        parsed.bytes[i] = (uint8_t) (high << 4 | low);
    }

    *id = parsed;

    return true;
}

uint64_t
reco_id_time_ms(const reco_id_t *id)
{
    uint64_t  ms = 0;

    for (int i = 0; i < 6; i++) {
        ms = ms << 8 | id->bytes[i];
    }

    return ms;
}

/* ---- tokens ------------------------------------------------------------- */

size_t
reco_token_write(const reco_secret_t *secret, const reco_id_t *id,
    reco_str_t model, reco_str_t customer_key, char out[RECO_TOKEN_MAX])
{
    char                   *p = out;
    const reco_sign_key_t  *key;

    if (secret == NULL) {
        reco_id_text(id, out);
        return RECO_ID_TEXT;
    }

    key = &secret->sign[0];

    *p++ = TOKEN_VERSION;
    *p++ = '.';
    memcpy(p, key->kid, key->kid_len);
    p += key->kid_len;
    *p++ = '.';
    reco_id_text(id, p);
    p += RECO_ID_TEXT;
    *p++ = '.';

    if (!token_mac(key, id, model, customer_key, p)) {
        return 0;
    }

    return (size_t) (p + MAC_DIGITS - out);
}

reco_status_t
reco_token_check(const reco_secret_t *secret, reco_str_t token,
    reco_str_t model, reco_str_t customer_key, reco_id_t *id)
{
    char                    digits[MAC_DIGITS];
    size_t                  tail;
    reco_id_t               parsed;
    reco_str_t              kid;
    const char             *p;
    const reco_sign_key_t  *key;

    if (reco_id_parse(token, &parsed)) {
        if (secret != NULL) {
            return RECO_FORGED;
        }

        *id = parsed;
        return RECO_OK;
    }

    tail = 1 + RECO_ID_TEXT + 1 + MAC_DIGITS;

    if (token.len < 2 + 1 + tail || token.len > RECO_TOKEN_MAX) {
        return RECO_INVALID;
    }

    p = token.data + token.len - tail;
    kid = (reco_str_t) { token.data + 2, token.len - tail - 2 };

    if (token.data[0] != TOKEN_VERSION || token.data[1] != '.'
        || p[0] != '.' || p[1 + RECO_ID_TEXT] != '.'
        || memchr(kid.data, '.', kid.len) != NULL
        || !reco_id_parse((reco_str_t) { p + 1, RECO_ID_TEXT }, &parsed))
    {
        return RECO_INVALID;
    }

    p += 1 + RECO_ID_TEXT + 1;

    for (size_t i = 0; i < MAC_DIGITS; i++) {
        if (reco_hex_digit(p[i]) < 0) {
            return RECO_INVALID;
        }
    }

    key = secret != NULL ? sign_key_find(secret, kid) : NULL;

    if (key == NULL
        || !token_mac(key, &parsed, model, customer_key, digits)
        || CRYPTO_memcmp(digits, p, MAC_DIGITS) != 0)
    {
        return RECO_FORGED;
    }

    *id = parsed;

    return RECO_OK;
}

/* Lengths make the text unambiguous; one byte each keeps the usual one within
 * a single block. False when a text is over the limit that its reader has
 * enforced long before. */
static bool
token_mac(const reco_sign_key_t *key, const reco_id_t *id, reco_str_t model,
    reco_str_t customer_key, char digits[MAC_DIGITS])
{
    uint8_t  text[MAC_TEXT_MAX], mac[RECO_MAC_BYTES], *p;

    if (model.len > RECO_MAX_ID || customer_key.len > RECO_MAX_ID) {
        return false;
    }

    p = text;
    *p++ = TOKEN_VERSION;
    memcpy(p, id->bytes, RECO_ID_BYTES);
    p += RECO_ID_BYTES;

    *p++ = (uint8_t) model.len;
    if (model.len > 0) {
        memcpy(p, model.data, model.len);
        p += model.len;
    }

    *p++ = (uint8_t) customer_key.len;
    if (customer_key.len > 0) {
        memcpy(p, customer_key.data, customer_key.len);
        p += customer_key.len;
    }

    reco_hmac(&key->hmac, text, (size_t) (p - text), mac);
    reco_hex_write(digits, mac, MAC_DIGITS / 2);

    return true;
}

/* Which keys there are is no secret. */
static const reco_sign_key_t *
sign_key_find(const reco_secret_t *secret, reco_str_t kid)
{
    const reco_sign_key_t  *key;

    for (uint32_t i = 0; i < secret->nsign; i++) {
        key = &secret->sign[i];

        if (key->kid_len == kid.len
            && memcmp(key->kid, kid.data, kid.len) == 0)
        {
            return key;
        }
    }

    return NULL;
}
