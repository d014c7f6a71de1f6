/*
 * fuzz_util.h - what the fuzzers share: a fault stops the run, input is copied
 * to memory of its exact size so that a byte read past its end is seen, and
 * bytes become values.
 */

#ifndef FUZZ_UTIL_H
#define FUZZ_UTIL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reco_base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libFuzzer keeps the input of a run that aborts. Not by stdio's stderr, which
 * some fuzzers catch. */
#define FUZZ_ASSERT(condition)                                                \
    do {                                                                      \
        if (!(condition)) {                                                   \
            (void) dprintf(2, "%s:%d: not so: %s\n", __FILE__, __LINE__,      \
                           #condition);                                       \
            abort();                                                          \
        }                                                                     \
    } while (0)

static inline char *
fuzz_alloc(size_t size)
{
    char  *p;

    p = malloc(size != 0 ? size : 1);
    if (p == NULL) {
        abort();
    }

    return p;
}

/* To be freed with fuzz_free(). */
static inline reco_str_t
fuzz_copy(const void *data, size_t size)
{
    char  *p;

    p = fuzz_alloc(size);

    if (size != 0) {
        memcpy(p, data, size);
    }

    return (reco_str_t) { p, size };
}

static inline void
fuzz_free(reco_str_t s)
{
    free((char *) s.data);
}

/* A refusal says something that may be sent as JSON, and any position lies in
 * the text. */
static inline void
fuzz_check_error(const reco_error_t *err, reco_status_t rc, size_t size)
{
    FUZZ_ASSERT(rc != RECO_OK && err->status == rc);
    FUZZ_ASSERT(err->message[0] != '\0');
    FUZZ_ASSERT(err->position == RECO_NO_POSITION || err->position <= size);
    FUZZ_ASSERT(reco_utf8_is_valid(err->message, strlen(err->message)));
    FUZZ_ASSERT(reco_utf8_is_valid(err->field, strlen(err->field)));
}

/* ---- bytes as values ---------------------------------------------------- */

/* The input, used up from its start; zeros follow. */
typedef struct {
    const uint8_t  *data;
    size_t          size;
} fuzz_input_t;

static inline uint64_t
fuzz_bytes(fuzz_input_t *in, unsigned n)
{
    uint64_t  v;

    for (v = 0; n > 0; n--) {
        v <<= 8;

        if (in->size > 0) {
            v |= *in->data++;
            in->size--;
        }
    }

    return v;
}

/* 0 .. n - 1 */
static inline uint32_t
fuzz_below(fuzz_input_t *in, uint32_t n)
{
    return (uint32_t) (fuzz_bytes(in, 2) % n);
}

static inline double
fuzz_finite(fuzz_input_t *in)
{
    double    v;
    uint64_t  bits;

    bits = fuzz_bytes(in, 8);
    memcpy(&v, &bits, sizeof(v));

    return v - v == 0 ? v : 0.1;
}

/* A valid id of at least 'min' bytes, 0 or 1, in room for RECO_MAX_ID. */
static inline reco_str_t
fuzz_id(fuzz_input_t *in, char *room, unsigned min)
{
    size_t              len, n;
    const char         *part;
    static const char  *parts[] = {
        "a", "B7", "\"", "\\", " ", "\xc3\xa9", "\xe2\x80\xa8",
        "\xf0\x9d\x84\x9e"
    };

    len = min;
    room[0] = 'x';

    for (n = fuzz_bytes(in, 1); n > 0; n--) {
        part = parts[(in->size > 0 ? fuzz_bytes(in, 1) : n) % 8];

        if (len + strlen(part) > RECO_MAX_ID) {
            break;
        }

        memcpy(room + len, part, strlen(part));
        len += strlen(part);
    }

    return (reco_str_t) { room, len };
}

#endif /* FUZZ_UTIL_H */
