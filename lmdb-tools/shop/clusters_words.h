/*
 * clusters_words.h - short texts as sparse vectors of their words.
 */

#ifndef RECO_CLUSTERS_WORDS_H
#define RECO_CLUSTERS_WORDS_H

#include "intern.h"

typedef struct {
    uint32_t  word;
    double    weight;
} term_t;

/* Text i's terms are terms[first[i]] .. terms[first[i + 1] - 1], each word
 * once, of Euclidean length 1; or none. */
typedef struct {
    intern_t   words;
    uint32_t   ntexts;
    uint32_t  *first;       /* ntexts + 1 */
    term_t    *terms;
} vectors_t;

/*
 * A word is a run of letters (every byte beyond ASCII counts as one), at least
 * two, in lower case, without a plural ending; words that say nothing about
 * the kind of a product (the, set, small, red) and words of one text only are
 * left out. A weight is the word's count in the text times ln(texts / texts
 * with the word), to a millionth.
 */
void vectors_make(const char *const *texts, uint32_t n, vectors_t *out);
void vectors_free(vectors_t *v);

#endif /* RECO_CLUSTERS_WORDS_H */
