/*
 * clusters_words.c - words of short texts and their TF-IDF weights.
 */

#include "clusters_words.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_WORD    60      /* bytes; a longer run of letters is no word */

/* Stop words, quantities, sizes, colours: what products of any kind are. */
static const char *const  ignored[] = {
    "a", "an", "and", "as", "at", "by", "for", "from", "in", "into", "is",
    "it", "its", "no", "not", "of", "on", "or", "the", "to", "up", "with",
    "your", "my", "you",
    "assorted", "asstd", "assortment", "cm", "design", "designs", "dozen",
    "each", "inch", "mm", "pack", "pair", "pc", "pcs", "piece", "pk", "set",
    "style", "size", "asst", "various",
    "big", "extra", "giant", "jumbo", "large", "lge", "little", "long",
    "medium", "mini", "short", "small", "tall", "tiny", "wide",
    "beige", "black", "blue", "brown", "cream", "fuschia", "gold", "golden",
    "gray", "green", "grey", "ivory", "lilac", "mauve", "multicolour",
    "navy", "orange", "pink", "purple", "red", "rose", "silver",
    "turquoise", "violet", "white", "yellow", "pastel", "colour", "coloured",
    "dark"
};

static bool
is_ignored(const char *word)
{
    size_t  i;

    for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
        if (strcmp(ignored[i], word) == 0) {
            return true;
        }
    }

    return false;
}

static bool
ends(const char *word, size_t len, const char *ending)
{
    size_t  n = strlen(ending);

    return len > n && memcmp(word + len - n, ending, n) == 0;
}

/* boxes: box, berries: berry, bags: bag; not glass, canvas, cactus, tennis. */
static size_t
without_plural(char *word, size_t len)
{
    if (len > 4 && ends(word, len, "ies")) {
        word[len - 3] = 'y';
        len -= 2;
    } else if (len > 4
               && (ends(word, len, "xes") || ends(word, len, "shes")
                   || ends(word, len, "ches") || ends(word, len, "sses")))
    {
        len -= 2;
    } else if (len > 3 && word[len - 1] == 's'
               && strchr("suia", word[len - 2]) == NULL)
    {
        len--;
    }
    word[len] = '\0';

    return len;
}

static bool
is_letter(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
}

/* The next word of *text, or false at its end. */
static bool
next_word(const char **text, char *word, size_t *len)
{
    size_t       n;
    const char  *p = *text;

    for ( ; ; ) {
        while (*p && !is_letter((unsigned char) *p)) {
            p++;
        }
        for (n = 0; is_letter((unsigned char) *p); p++, n++) {
            if (n < MAX_WORD) {
                word[n] = *p >= 'A' && *p <= 'Z' ? (char) (*p - 'A' + 'a')
                                                 : *p;
            }
        }
        if (n == 0) {
            return false;
        }
        if (n < 2 || n > MAX_WORD) {
            continue;
        }
        word[n] = '\0';
        if (is_ignored(word)) {
            continue;
        }
        *len = without_plural(word, n);
        if (!is_ignored(word)) {
            *text = p;
            return true;
        }
    }
}

/* Adds text's words to terms[first..n), with their counts as weights. */
static void
count_words(vectors_t *v, const char *text, uint32_t first, uint32_t *n,
    uint32_t *room)
{
    char      word[MAX_WORD + 1];
    size_t    len;
    uint32_t  w, i;

    while (next_word(&text, word, &len)) {
        w = intern_add(&v->words, (reco_str_t) { word, len });
        for (i = first; i < *n && v->terms[i].word != w; i++) { /* void */ }
        if (i < *n) {
            v->terms[i].weight += 1;
            continue;
        }
        if (*n == *room) {
            *room = *room ? 2 * *room : 1024;
            v->terms = tool_realloc(v->terms, *room * sizeof(term_t));
        }
        v->terms[(*n)++] = (term_t) { .word = w, .weight = 1 };
    }
}

/* To a millionth, so that the last bit of a libm does not matter. */
static double
inverse_frequency(uint32_t texts, uint32_t with)
{
    return rint(log((double) texts / with) * 1e6) / 1e6;
}

/* Weights terms[begin..end) and puts them at 'at', of length 1; returns where
 * they end. */
static uint32_t
weigh(vectors_t *v, const uint32_t *with, uint32_t begin, uint32_t end,
    uint32_t at)
{
    double    sum = 0, length;
    uint32_t  i, first = at;
    term_t    t;

    for (i = begin; i < end; i++) {
        t = v->terms[i];
        t.weight *= inverse_frequency(v->ntexts, with[t.word]);
        if (with[t.word] > 1 && t.weight > 0) {
            v->terms[at++] = t;
            sum += t.weight * t.weight;
        }
    }
    length = sqrt(sum);
    for (i = first; i < at; i++) {
        v->terms[i].weight /= length;
    }

    return at;
}

void
vectors_make(const char *const *texts, uint32_t n, vectors_t *out)
{
    uint32_t   i, begin, end, nterms = 0, room = 0, *with;

    memset(out, 0, sizeof(*out));
    out->ntexts = n;
    out->first = tool_alloc((n + 1) * sizeof(out->first[0]));
    for (i = 0; i < n; i++) {
        out->first[i] = nterms;
        count_words(out, texts[i], nterms, &nterms, &room);
    }
    out->first[n] = nterms;

    with = tool_alloc(out->words.n * sizeof(with[0]));
    for (i = 0; i < nterms; i++) {
        with[out->terms[i].word]++;
    }
    for (i = 0, nterms = 0, begin = 0; i < n; i++, begin = end) {
        end = out->first[i + 1];
        nterms = weigh(out, with, begin, end, nterms);
        out->first[i + 1] = nterms;
    }
    free(with);
}

void
vectors_free(vectors_t *v)
{
    intern_free(&v->words);
    free(v->first);
    free(v->terms);
}
