/*
 * intern.c - distinct texts and their numbers. A table owns its texts; they
 * stay where they are until it is freed.
 */

#include "intern.h"

#define uthash_malloc(size)     tool_alloc(size)
#define uthash_fatal(message)   abort()

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct intern_entry_s {
    uint32_t         number;
    UT_hash_handle   hh;
};

uint32_t
intern_find(const intern_t *t, reco_str_t text)
{
    intern_entry_t  *e;

    HASH_FIND(hh, t->hash, text.data, text.len, e);

    return e != NULL ? e->number : INTERN_NONE;
}

uint32_t
intern_add(intern_t *t, reco_str_t text)
{
    uint32_t         number = intern_find(t, text);
    intern_entry_t  *e;

    if (number != INTERN_NONE) {
        return number;
    }

    if (t->n == t->room) {
        t->room = t->room ? 2 * t->room : 64;
        t->texts = tool_realloc(t->texts, t->room * sizeof(t->texts[0]));
    }
    e = tool_alloc(sizeof(*e));
    e->number = t->n;
    t->texts[t->n] = tool_dup(text);
    HASH_ADD_KEYPTR(hh, t->hash, t->texts[t->n], text.len, e);

    return t->n++;
}

void
intern_free(intern_t *t)
{
    uint32_t         i;
    intern_entry_t  *e, *next;

    HASH_ITER(hh, t->hash, e, next) {
        HASH_DEL(t->hash, e);
        free(e);
    }
    for (i = 0; i < t->n; i++) {
        free(t->texts[i]);
    }
    free(t->texts);
    memset(t, 0, sizeof(*t));
}
