/*
 * fuzz_util.h - what the fuzzers share: a fault stops the run, and input is
 * copied to memory of its exact size so that a byte read past its end is seen.
 */

#ifndef FUZZ_UTIL_H
#define FUZZ_UTIL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reco_base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libFuzzer keeps the input of a run that aborts. */
#define FUZZ_ASSERT(condition)                                                \
    do {                                                                      \
        if (!(condition)) {                                                   \
            (void) fprintf(stderr, "%s:%d: not so: %s\n", __FILE__,           \
                           __LINE__, #condition);                             \
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

static inline reco_str_t
fuzz_copy(const uint8_t *data, size_t size)
{
    char  *p;

    p = fuzz_alloc(size);

    if (size != 0) {
        memcpy(p, data, size);
    }

    return (reco_str_t) { p, size };
}

/* A refusal says something, and any position lies in the text. */
static inline void
fuzz_check_error(const reco_error_t *err, size_t size)
{
    FUZZ_ASSERT(err->status != RECO_OK);
    FUZZ_ASSERT(err->message[0] != '\0');
    FUZZ_ASSERT(err->position == RECO_NO_POSITION || err->position <= size);
    FUZZ_ASSERT(reco_utf8_is_valid(err->message, strlen(err->message)));
    FUZZ_ASSERT(reco_utf8_is_valid(err->field, strlen(err->field)));
}

#endif /* FUZZ_UTIL_H */
