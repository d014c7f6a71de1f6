/*
 * reco_jansson.c - JSON text to jansson's tree and back.
 *
 * Where memory runs out, jansson 2.14 says that the text is wrong, or drops
 * characters of keys that it writes, and says nothing. So its requests are
 * watched meanwhile. They go to malloc() itself: a program's own function may end
 * the program, which is not for a library in the middle of a publication.
 *
 * Of a text that it reads it drops characters too, and then takes the escape or
 * the closing quote that it has dropped for granted, and aborts or writes where it
 * must not. So there is a reserve for the one request that fails first, of the
 * size that its buffer grows to at most, and the text ends there.
 */

#include "reco_jansson.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RESERVE_MIN     64      /* bytes; buffers begin with 16 */

static json_malloc_t  before, get_memory;   /* while it is watched */
static json_free_t    release;
static bool           ran_out;
static void          *reserve;              /* while a text is read */
static size_t         reserve_size;

static void *
watched(size_t size)
{
    void  *p = get_memory(size);

    if (p == NULL) {
        if (!ran_out && size <= reserve_size) {
            p = reserve;
        }
        ran_out = true;
    }

    return p;
}

static void
released(void *p)
{
    if (p != reserve) {
        release(p);
    }
}

void
reco_jansson_begin(void)
{
    ran_out = false;
    json_get_alloc_funcs(&before, &release);
    get_memory = release == free ? malloc : before;
    json_set_alloc_funcs(watched, released);
}

bool
reco_jansson_end(void)
{
    json_set_alloc_funcs(before, release);

    return !ran_out;
}

/* A character at a time, so that nothing is read ahead of a failure. */
static size_t
next_character(void *buffer, size_t size, void *data)
{
    reco_str_t  *rest = data;

    (void) size;

    if (ran_out || rest->len == 0) {
        return 0;
    }

    *(char *) buffer = *rest->data++;
    rest->len--;

    return 1;
}

/* What stands near a fault may be cut in the middle of a character. */
static void
no_half_characters(char *text)
{
    size_t  n, rest;

    for (rest = strlen(text); rest > 0; text += n, rest -= n) {
        n = reco_utf8_length(text, rest);
        if (n == 0) {
            *text = '?';
            n = 1;
        }
    }
}

reco_status_t
reco_jansson_load(reco_str_t text, json_t **root, reco_error_t *err)
{
    json_error_t  fault;

    *root = NULL;

    reco_jansson_begin();
    reserve_size = 2 * text.len + RESERVE_MIN;
    reserve = watched(reserve_size);

    if (reserve != NULL) {
        *root = json_load_callback(next_character, &text,
                                   JSON_REJECT_DUPLICATES, &fault);
    }

    if (ran_out) {
        json_decref(*root);         /* the reserve may be a part of it */
        *root = NULL;
    }

    if (reserve != NULL) {
        release(reserve);
    }
    reserve = NULL;
    reserve_size = 0;

    if (!reco_jansson_end()) {
        return reco_error_set(err, RECO_NO_MEMORY, "", "out of memory");
    }

    if (*root == NULL) {
        no_half_characters(fault.text);
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
