/*
 * reco_base.h - what every file of the core shares: status codes, strings,
 * errors, the caller's scratch memory and the documented limits.
 *
 * The core never logs, never exits and keeps no globals. A function that can
 * fail returns a reco_status_t and, where it takes a reco_error_t, says in it
 * what went wrong and where; the caller (module or tool) prints that once.
 */

#ifndef RECO_BASE_H
#define RECO_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECO_VERSION            "0.1.0"

/* Limits. Documented in docs/FORMAT.md and docs/HTTP.md; tested at the edge. */
#define RECO_MAX_ACTIONS        4096    /* actions in one catalogue */
#define RECO_MAX_FEATURES       256     /* features in one spec */
#define RECO_MAX_SLATE          64      /* slots in one decision */
#define RECO_MAX_ID             255     /* bytes in an id or word, UTF-8, no
                                           control characters; at least 1 */
#define RECO_MAX_FACTS          32      /* facts in one reward */
#define RECO_MAX_STATE_KEY      4096    /* bytes in a state key */
#define RECO_MAX_LEVELS         8       /* a table's states: the full one and
                                           the coarser ones it backs off to */
#define RECO_MAX_CART           64      /* items in a request's cart, and as
                                           many that it excludes */
#define RECO_MAX_LIST           1024    /* items in one ranked list */

typedef enum {
    RECO_OK = 0,
    RECO_NOT_FOUND,         /* no such customer, state, file */
    RECO_INVALID,           /* malformed or meaningless input */
    RECO_LIMIT,             /* a documented limit is exceeded */
    RECO_NONE_ELIGIBLE,     /* no action may be shown */
    RECO_NO_MEMORY,
    RECO_IO,                /* a system call failed; the message names it */
    RECO_CORRUPT,           /* checksum, truncation, impossible offsets */
    RECO_UNSUPPORTED,       /* a newer format, another byte order or schema */
    RECO_FORGED             /* a token whose MAC does not verify */
} reco_status_t;

/* A borrowed string: not terminated, may be empty, never owned. */
typedef struct {
    const char  *data;
    size_t       len;
} reco_str_t;

#define RECO_STR(literal)  ((reco_str_t) { (literal), sizeof(literal) - 1 })

#define RECO_NO_POSITION   SIZE_MAX

typedef struct {
    reco_status_t  status;
    size_t         position;        /* byte offset in the text, from 0, or
                                       RECO_NO_POSITION */
    char           field[256];      /* JSON path ("$.features[2].bins") or the
                                       name of a field; "" when none */
    char           message[256];    /* lower case, no full stop */
} reco_error_t;

/* Scratch memory that the caller owns: allocation moves a pointer; there is
 * no free, the caller resets 'used'. */
typedef struct {
    char    *base;
    size_t   size;
    size_t   used;
} reco_arena_t;

const char *reco_status_string(reco_status_t status);

/* Fills err (which may be NULL) and returns status, so that a caller can
 * write: return reco_error_set(err, RECO_INVALID, "$.model", "must be ..."); */
reco_status_t reco_error_set(reco_error_t *err, reco_status_t status,
    const char *field, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* No error; for the path of every request, where formatting would show. */
static inline void
reco_error_clear(reco_error_t *err)
{
    err->status = RECO_OK;
    err->position = RECO_NO_POSITION;
    err->field[0] = '\0';
    err->message[0] = '\0';
}

/* 8-byte aligned; NULL when the arena is full. */
void *reco_arena_alloc(reco_arena_t *arena, size_t size);

bool reco_str_equal(reco_str_t a, reco_str_t b);

/* 1..RECO_MAX_ID bytes of valid UTF-8 without control characters (U+0000 to
 * U+001F, U+007F to U+009F). */
bool reco_id_is_valid(reco_str_t id);

/* Strict UTF-8 (RFC 3629): no overlong forms, no surrogates, up to U+10FFFF. */
bool reco_utf8_is_valid(const char *data, size_t len);

/* Bytes of the well-formed sequence that 'data' begins with, 1..4; 0 when it
 * begins with none. */
size_t reco_utf8_length(const char *data, size_t len);

#endif /* RECO_BASE_H */
