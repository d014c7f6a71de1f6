/*
 * reco_base.c - errors, the caller's scratch memory, strings and UTF-8.
 * Nothing here lives longer than the call.
 */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "reco_base.h"

static void trim_cut_sequence(char *s);

const char *
reco_status_string(reco_status_t status)
{
    switch (status) {
    case RECO_OK:
        return "ok";
    case RECO_NOT_FOUND:
        return "not found";
    case RECO_INVALID:
        return "invalid";
    case RECO_LIMIT:
        return "limit exceeded";
    case RECO_NONE_ELIGIBLE:
        return "no action is eligible";
    case RECO_NO_MEMORY:
        return "out of memory";
    case RECO_IO:
        return "input or output failed";
    case RECO_CORRUPT:
        return "corrupt";
    case RECO_UNSUPPORTED:
        return "unsupported";
    case RECO_FORGED:
        return "forged";
    }

    return "unknown status";
}

reco_status_t
reco_error_set(reco_error_t *err, reco_status_t status, const char *field,
    const char *fmt, ...)
{
    va_list  args;

    if (err == NULL) {
        return status;
    }

    err->status = status;
    err->position = RECO_NO_POSITION;

    (void) snprintf(err->field, sizeof(err->field), "%s",
                    field != NULL ? field : "");
    trim_cut_sequence(err->field);

    va_start(args, fmt);
    (void) vsnprintf(err->message, sizeof(err->message), fmt, args);
    va_end(args);
    trim_cut_sequence(err->message);

    return status;
}

/* A text that was cut to fit must not end in half a character: errors are
 * sent to clients as JSON. */
static void
trim_cut_sequence(char *s)
{
    size_t   len, tail;
    uint8_t  c;

    len = strlen(s);

    for (tail = 1; tail <= 4 && tail <= len; tail++) {
        c = (uint8_t) s[len - tail];

        if (c < 0x80) {
            return;
        }

        if (c >= 0xc0) {
            if (reco_utf8_length(s + len - tail, tail) != tail) {
                s[len - tail] = '\0';
            }
            return;
        }
    }
}

void *
reco_arena_alloc(reco_arena_t *arena, size_t size)
{
    size_t     skip, room;
    uintptr_t  at;

    at = (uintptr_t) arena->base + arena->used;
    skip = (size_t) (-at & 7);
    room = arena->size - arena->used;

    if (arena->base == NULL || skip > room || size > room - skip) {
        return NULL;
    }

    arena->used += skip + size;

    return arena->base + arena->used - size;
}

bool
reco_str_equal(reco_str_t a, reco_str_t b)
{
    return a.len == b.len
           && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool
reco_id_is_valid(reco_str_t id)
{
    size_t       n;
    uint8_t      c;
    const char  *p, *end;

    if (id.len == 0 || id.len > RECO_MAX_ID) {
        return false;
    }

    p = id.data;
    end = p + id.len;

    while (p < end) {
        c = (uint8_t) *p;

        if (c < 0x80) {
            if (c < 0x20 || c == 0x7f) {
                return false;
            }
            p++;
            continue;
        }

        n = reco_utf8_length(p, (size_t) (end - p));

        /* U+0080 to U+009F are C2 80 to C2 9F */
        if (n == 0 || (c == 0xc2 && (uint8_t) p[1] < 0xa0)) {
            return false;
        }

        p += n;
    }

    return true;
}

bool
reco_utf8_is_valid(const char *data, size_t len)
{
    size_t       n;
    uint64_t     word;
    const char  *p, *end;

    if (len == 0) {
        return true;
    }

    p = data;
    end = data + len;

    while (p < end) {
        if (end - p >= 8) {
            memcpy(&word, p, 8);
            if ((word & 0x8080808080808080) == 0) {
                p += 8;
                continue;
            }
        }

        n = reco_utf8_length(p, (size_t) (end - p));
        if (n == 0) {
            return false;
        }

        p += n;
    }

    return true;
}

/* RFC 3629, section 4: the second byte's range depends on the first. */
size_t
reco_utf8_length(const char *data, size_t len)
{
    size_t          n, i;
    uint8_t         low, high;
    const uint8_t  *p;

    if (len == 0) {
        return 0;
    }

    p = (const uint8_t *) data;
    low = 0x80;
    high = 0xbf;

    if (p[0] < 0x80) {
        return 1;

    } else if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        n = 2;

    } else if (p[0] >= 0xe0 && p[0] <= 0xef) {
        n = 3;
        low = p[0] == 0xe0 ? 0xa0 : 0x80;       /* overlong */
        high = p[0] == 0xed ? 0x9f : 0xbf;      /* surrogates */

    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        n = 4;
        low = p[0] == 0xf0 ? 0x90 : 0x80;       /* overlong */
        high = p[0] == 0xf4 ? 0x8f : 0xbf;      /* above U+10FFFF */

    } else {
        return 0;
    }

    if (len < n || p[1] < low || p[1] > high) {
        return 0;
    }

    for (i = 2; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }

    return n;
}
