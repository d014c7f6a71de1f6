/*
 * words.c - distinct texts and their counts, in a hash table of the caller.
 */

#include "words.h"

#include <string.h>

bool
word_add(word_t **words, reco_str_t text)
{
    word_t  *w;

    HASH_FIND(hh, *words, text.data, text.len, w);
    if (w != NULL) {
        w->count++;
        return false;
    }

    w = tool_alloc(sizeof(*w));
    w->text = tool_dup(text);
    w->count = 1;
    HASH_ADD_KEYPTR(hh, *words, w->text, text.len, w);

    return true;
}

void
words_free(word_t **words)
{
    word_t  *w, *next;

    HASH_ITER(hh, *words, w, next) {
        HASH_DEL(*words, w);
        free(w->text);
        free(w);
    }
}

const char *
words_most(const word_t *words)
{
    const word_t  *w, *best = NULL;

    for (w = words; w != NULL; w = w->hh.next) {
        if (best == NULL || w->count > best->count
            || (w->count == best->count && strcmp(w->text, best->text) < 0))
        {
            best = w;
        }
    }

    return best ? best->text : "";
}
