/*
 * reco_token.h - decision ids, and the tokens that carry them to clients.
 *
 * Id: 16 bytes, printed as 32 lower-case hex digits that sort by time:
 *   bytes 0..5   milliseconds since 1970, big-endian, never falling within an
 *                incarnation
 *   bytes 6..7   node, the low 16 bits of XXH3_64bits(node's name)
 *   bytes 8..11  incarnation: drawn at random when a worker starts
 *   bytes 12..15 counter of the incarnation, big-endian
 *
 * Token, when there is a secret: "1.KID.ID.MAC", where KID names the sign key
 * (1..8 of A-Z a-z 0-9) and MAC is 32 hex digits: the first 16 bytes of
 * HMAC-SHA256 (RFC 2104, FIPS 180-4) over version, id, model name and
 * customer key. Without a secret the token is the id.
 */

#ifndef RECO_TOKEN_H
#define RECO_TOKEN_H

#include "reco_base.h"

#define RECO_ID_BYTES       16
#define RECO_ID_TEXT        32
#define RECO_TOKEN_MAX      (2 + 8 + 1 + RECO_ID_TEXT + 1 + 32)
#define RECO_KEY_MAX        RECO_MAX_ID     /* a customer key's length */

typedef struct {
    uint8_t  bytes[RECO_ID_BYTES];
} reco_id_t;

/* One per worker (or tool run). */
typedef struct {
    uint16_t  node;
    uint32_t  incarnation;
    uint32_t  counter;
    uint64_t  last_ms;
} reco_id_source_t;

void reco_id_source_init(reco_id_source_t *s, reco_str_t node,
    uint32_t incarnation);
reco_id_t reco_id_next(reco_id_source_t *s, uint64_t time_ms);
void reco_id_text(const reco_id_t *id, char text[RECO_ID_TEXT]);
bool reco_id_parse(reco_str_t text, reco_id_t *id);
uint64_t reco_id_time_ms(const reco_id_t *id);

/* ---- secrets ------------------------------------------------------------ */

/* A secret file holds lines "hash HEX" (once) and "sign KID HEX" (1 to 8),
 * each HEX 32 to 128 digits; blank lines and lines that begin with # do not
 * count. The first sign key signs, all verify; the hash key never changes. */
typedef struct reco_secret_s  reco_secret_t;

/* 'name' is for messages only. Keyed states are prepared here, once. */
reco_status_t reco_secret_parse(reco_str_t text, const char *name,
    reco_secret_t **secret, reco_error_t *err);
reco_status_t reco_secret_read(const char *path, reco_secret_t **secret,
    reco_error_t *err);
void reco_secret_free(reco_secret_t *secret);

/* Whether the file it was read from may be read or written by everybody. */
bool reco_secret_is_exposed(const reco_secret_t *secret);

/* What a snapshot notes of the hash key its customers are hashed with: 8 hex
 * digits of a MAC over a fixed text. "" without a secret. */
const char *reco_secret_fingerprint(const reco_secret_t *secret);

/* The customer key: the id itself without a secret, else 32 hex digits of
 * HMAC-SHA256(hash key, id). Returns a string in 'out' or the id itself. */
reco_str_t reco_customer_key(const reco_secret_t *secret, reco_str_t id,
    char out[32]);

/* ---- tokens ------------------------------------------------------------- */

/* Writes at most RECO_TOKEN_MAX bytes; returns how many. */
size_t reco_token_write(const reco_secret_t *secret, const reco_id_t *id,
    reco_str_t model, reco_str_t customer_key, char out[RECO_TOKEN_MAX]);

/* RECO_INVALID: not a token by its form. RECO_FORGED: signed wrongly, by an
 * unknown key, for another model or customer, or not signed although there is
 * a secret. Compares in constant time. */
reco_status_t reco_token_check(const reco_secret_t *secret, reco_str_t token,
    reco_str_t model, reco_str_t customer_key, reco_id_t *id);

#endif /* RECO_TOKEN_H */
