/*
 * reco_jansson.c - JSON text to jansson's tree and back.
 *
 * Where memory runs out, jansson 2.14 says that the text is wrong, or drops
 * characters of what it reads, and of keys that it writes, and says nothing.
 * So its requests are watched meanwhile. They go to malloc() itself: a program's
 * own function may end the program, which is not for a library in the middle
 * of a publication.
 */

#include "reco_jansson.h"

#include <errno.h>
#include <stdlib.h>

static json_malloc_t  before, get_memory;   /* while it is watched */
static json_free_t    release;
static bool           ran_out;

static void *
watched(size_t size)
{
    void  *p = get_memory(size);

    if (p == NULL) {
        ran_out = true;
    }

    return p;
}

void
reco_jansson_begin(void)
{
    ran_out = false;
    json_get_alloc_funcs(&before, &release);
    get_memory = release == free ? malloc : before;
    json_set_alloc_funcs(watched, release);
}

bool
reco_jansson_end(void)
{
    json_set_alloc_funcs(before, release);

    return !ran_out;
}

reco_status_t
reco_jansson_load(reco_str_t text, json_t **root, reco_error_t *err)
{
    json_error_t  fault;

    reco_jansson_begin();
    *root = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &fault);

    if (!reco_jansson_end()) {
        json_decref(*root);
        *root = NULL;
        return reco_error_set(err, RECO_NO_MEMORY, "", "out of memory");
    }

    if (*root == NULL) {
        reco_error_set(err, RECO_INVALID, "", "line %d, column %d: %s",
                       fault.line, fault.column, fault.text);

        if (err != NULL && fault.position >= 0) {
            err->position = (size_t) fault.position;
        }

        return RECO_INVALID;
    }

    return RECO_OK;
}

char *
reco_jansson_dump(const json_t *root, size_t flags)
{
    char  *text;

    reco_jansson_begin();
    text = json_dumps(root, flags);

    if (!reco_jansson_end()) {
        free(text);
        errno = ENOMEM;
        return NULL;
    }

    return text;
}
