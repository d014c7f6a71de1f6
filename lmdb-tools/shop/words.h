/*
 * words.h - distinct texts and how often each was seen.
 */

#ifndef RECO_WORDS_H
#define RECO_WORDS_H

#include "tool.h"

#define uthash_malloc(size)     tool_alloc(size)
#define uthash_fatal(message)   abort()

#include <stdlib.h>
#include <uthash.h>

/* NULL is none; the list is in the order of first appearance. */
typedef struct {
    char            *text;
    uint64_t         count;
    UT_hash_handle   hh;
} word_t;

/* True where the text was not there before. */
bool word_add(word_t **words, reco_str_t text);
/* The most frequent; of equals the first in byte order; "" of none. */
const char *words_most(const word_t *words);
void words_free(word_t **words);

#endif /* RECO_WORDS_H */
