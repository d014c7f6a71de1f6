/*
 * clusters.h - groups of short texts that share words: spherical k-means
 * (Dhillon and Modha 2001, "Concept decompositions for large sparse text data
 * using clustering") over TF-IDF vectors, begun by k-means++ (Arthur and
 * Vassilvitskii 2007). The same texts give the same groups and names on every
 * machine.
 */

#ifndef RECO_CLUSTERS_H
#define RECO_CLUSTERS_H

#include "tool.h"

/* The group of texts that have no word in common with another text. */
#define CLUSTERS_OTHER  "other"

typedef struct {
    uint32_t   n;           /* groups; "other" is the last where there is one,
                               and comes on top of the number asked for */
    char     **names;       /* distinct: a group's two heaviest words in
                               alphabetical order, more where two groups'
                               words are the same */
    uint32_t  *group;       /* by text: index into names */
    uint32_t   others;      /* texts in "other" */
    double     cohesion;    /* mean cosine of a text and its group's centre */
} clusters_t;

/* n texts into at most k > 0 groups; fewer where fewer are distinct. */
void clusters_make(const char *const *texts, uint32_t n, uint32_t k,
    clusters_t *out);
void clusters_free(clusters_t *c);

#endif /* RECO_CLUSTERS_H */
