/*
 * reco_secret.h - private to reco_secret.c and reco_token.c: keys with their
 * prepared HMAC states.
 */

#ifndef RECO_SECRET_H
#define RECO_SECRET_H

#include "reco_token.h"

#include <openssl/sha.h>

#define RECO_MAC_BYTES      SHA256_DIGEST_LENGTH
#define RECO_SIGN_KEYS      8
#define RECO_KID_MAX        8

/* SHA-256 after the block of the padded key, inner and outer (RFC 2104). A
 * MAC copies both, so that a short text costs two blocks of hashing and
 * nothing is fetched, allocated or locked; OpenSSL's EVP interface has no
 * such copy without a context on the heap, hence its older one. */
typedef struct {
    SHA256_CTX  inner;
    SHA256_CTX  outer;
} reco_hmac_t;

typedef struct {
    char         kid[RECO_KID_MAX];
    size_t       kid_len;
    reco_hmac_t  hmac;
} reco_sign_key_t;

struct reco_secret_s {
    reco_hmac_t      hash;
    char             fingerprint[9];
    reco_sign_key_t  sign[RECO_SIGN_KEYS];  /* the first one signs */
    uint32_t         nsign;
    bool             exposed;
};

void reco_hmac(const reco_hmac_t *key, const void *text, size_t len,
    uint8_t mac[RECO_MAC_BYTES]);

/* The value of a digit (lower case only), or -1. */
int reco_hex_digit(char c);

#endif /* RECO_SECRET_H */
