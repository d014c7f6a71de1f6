/*
 * reco_buf.h - writing text into memory that the caller owns.
 *
 * A buffer never writes past its end: what does not fit is dropped whole and
 * 'overflow' is set, so that a caller checks once, at the end. No locale, no
 * allocation.
 */

#ifndef RECO_BUF_H
#define RECO_BUF_H

#include <string.h>

#include "reco_base.h"

typedef struct {
    char  *start;
    char  *pos;         /* next byte to write */
    char  *end;         /* one past the last usable byte */
    bool   overflow;
} reco_buf_t;

void reco_buf_init(reco_buf_t *b, char *mem, size_t size);
size_t reco_buf_len(const reco_buf_t *b);

/* Room for len bytes, or NULL and overflow. */
static inline char *
reco_buf_reserve(reco_buf_t *b, size_t len)
{
    char  *p;

    if ((size_t) (b->end - b->pos) < len) {
        b->overflow = true;
        return NULL;
    }

    p = b->pos;
    b->pos += len;

    return p;
}

/* Inline, because a record is written in fifty pieces, most of them constant
 * and a few bytes long. */
static inline void
reco_buf_raw(reco_buf_t *b, const char *data, size_t len)
{
    char  *p;

    p = reco_buf_reserve(b, len);

    if (p != NULL && len != 0) {
        memcpy(p, data, len);
    }
}

static inline void
reco_buf_cstr(reco_buf_t *b, const char *s)
{
    reco_buf_raw(b, s, strlen(s));
}

static inline void
reco_buf_char(reco_buf_t *b, char c)
{
    char  *p;

    p = reco_buf_reserve(b, 1);

    if (p != NULL) {
        *p = c;
    }
}

void reco_buf_u64(reco_buf_t *b, uint64_t v);
void reco_buf_i64(reco_buf_t *b, int64_t v);
void reco_buf_hex(reco_buf_t *b, const uint8_t *bytes, size_t n);

/* 2 n lower-case digits at 'out'. */
void reco_hex_write(char *out, const uint8_t *bytes, size_t n);

/* A JSON number that strtod() reads back as the same double: integers below
 * 2^53 and short decimals without an exponent, the rest as %.17g. A value
 * that is not finite is written as null. */
void reco_buf_double(reco_buf_t *b, double v);

/* A JSON string with its quotes. Escapes quote, backslash, control
 * characters, DEL, U+2028 and U+2029; other UTF-8 is written as it is. */
void reco_buf_json_string(reco_buf_t *b, reco_str_t s);

/* Milliseconds since 1970 as "2026-11-22T02:15:00.123Z", and its date part. */
void reco_buf_time(reco_buf_t *b, uint64_t time_ms);
void reco_buf_date(reco_buf_t *b, uint64_t time_ms);

#endif /* RECO_BUF_H */
