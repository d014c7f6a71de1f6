/*
 * reco_buf.c - writing text into memory that the caller owns. A buffer lives
 * as long as its caller wants; nothing is kept here.
 *
 * Numbers with a fraction that is not short go through snprintf(), which
 * writes the decimal point of the process's locale: nginx and the tools never
 * call setlocale(), so that it is the "C" locale's.
 */

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "reco_buf.h"

#define DAY_MS      86400000
#define MAX_EXACT   9007199254740992.0      /* 2^53 */

typedef struct {
    uint64_t  year;
    unsigned  month;            /* 1..12 */
    unsigned  day;              /* 1..31 */
} civil_t;

static size_t json_string_size(reco_str_t s);
static char *json_string_write(char *p, reco_str_t s);
static size_t decimal(char *end, uint64_t v);
static bool short_decimal(reco_buf_t *b, double v);
static civil_t civil_from_days(uint64_t days);

static const char  hex_digits[] = "0123456789abcdef";

/* 0x01 and 0x80 in each byte of a word. */
#define ONES    0x0101010101010101u
#define HIGHS   0x8080808080808080u

void
reco_buf_init(reco_buf_t *b, char *mem, size_t size)
{
    b->start = mem;
    b->pos = mem;
    b->end = size != 0 ? mem + size : mem;
    b->overflow = false;
}

size_t
reco_buf_len(const reco_buf_t *b)
{
    return (size_t) (b->pos - b->start);
}

/* Writes the digits of v so that the last is at end[-1]; returns how many.
 * Two at a time: a division costs more than all the rest. */
static size_t
decimal(char *end, uint64_t v)
{
    char      *p;
    unsigned   pair;

    p = end;

    while (v >= 100) {
        pair = (unsigned) (v % 100);
        v /= 100;
        *--p = (char) ('0' + pair % 10);
        *--p = (char) ('0' + pair / 10);
    }

    if (v >= 10) {
        *--p = (char) ('0' + v % 10);
        v /= 10;
    }

    *--p = (char) ('0' + v);

    return (size_t) (end - p);
}

void
reco_buf_u64(reco_buf_t *b, uint64_t v)
{
    char    text[20];
    size_t  n;

    n = decimal(text + sizeof(text), v);
    reco_buf_raw(b, text + sizeof(text) - n, n);
}

void
reco_buf_i64(reco_buf_t *b, int64_t v)
{
    char    text[21];
    size_t  n;

    if (v >= 0) {
        reco_buf_u64(b, (uint64_t) v);
        return;
    }

    n = decimal(text + sizeof(text), 0 - (uint64_t) v);
    text[sizeof(text) - n - 1] = '-';
    reco_buf_raw(b, text + sizeof(text) - n - 1, n + 1);
}

void
reco_buf_hex(reco_buf_t *b, const uint8_t *bytes, size_t n)
{
    char  *p;

    p = reco_buf_reserve(b, 2 * n);
    if (p != NULL) {
        reco_hex_write(p, bytes, n);
    }
}

/* Four bytes become eight digits at once: each nibble moves into a byte of its
 * own, and those above 9 get the distance from ':' to 'a' on top. */
void
reco_hex_write(char *out, const uint8_t *bytes, size_t n)
{
    uint64_t  x;

    for ( ; n >= 4; n -= 4, bytes += 4, out += 8) {
        x = (uint64_t) bytes[0] << 24 | (uint64_t) bytes[1] << 16
            | (uint64_t) bytes[2] << 8 | bytes[3];
        x = (x | x << 16) & 0x0000ffff0000ffff;
        x = (x | x << 8) & 0x00ff00ff00ff00ff;
        x = (x | x << 4) & 0x0f0f0f0f0f0f0f0f;
        x = x + '0' * ONES + ((x + 6 * ONES) >> 4 & ONES) * ('a' - ':');
        x = __builtin_bswap64(x);
        memcpy(out, &x, 8);
    }

    for ( ; n > 0; n--, bytes++, out += 2) {
        out[0] = hex_digits[*bytes >> 4];
        out[1] = hex_digits[*bytes & 15];
    }
}

void
reco_buf_double(reco_buf_t *b, double v)
{
    char  text[32];
    int   n;

    if (!isfinite(v)) {
        reco_buf_raw(b, "null", 4);
        return;
    }

    if (fabs(v) < MAX_EXACT && v == (double) (int64_t) v) {
        if (v == 0 && signbit(v)) {
            reco_buf_raw(b, "-0", 2);
            return;
        }
        reco_buf_i64(b, (int64_t) v);
        return;
    }

    if (short_decimal(b, v)) {
        return;
    }

    n = snprintf(text, sizeof(text), "%.17g", v);
    reco_buf_raw(b, text, (size_t) n);
}

/*
 * Looks for digits / 10^k == v with few digits. With both below 2^53 and
 * k <= 22 the division is what strtod() computes for that text (W. Clinger,
 * "How to read floating point numbers accurately", 1990), so the text reads
 * back as v. False when there is none; otherwise it is written.
 */
static bool
short_decimal(reco_buf_t *b, double v)
{
    char      text[32], *point, *p;
    double    scale, x, a;
    int64_t   digits;
    unsigned  k;

    a = fabs(v);
    if (a >= 1e15 || a < 1e-9) {
        return false;
    }

    scale = 1;
    digits = 0;

    for (k = 1; k <= 17; k++) {
        scale *= 10;
        x = a * scale;
        if (x > 1e15) {
            return false;
        }
        digits = (int64_t) (x + 0.5);
        if ((double) digits / scale == a) {
            break;
        }
    }

    if (k > 17) {
        return false;
    }

    point = text + sizeof(text) - k;
    memset(point, '0', k);
    (void) decimal(text + sizeof(text),
                   (uint64_t) digits % (uint64_t) scale);

    p = point - 1;
    *p = '.';
    p -= decimal(p, (uint64_t) digits / (uint64_t) scale);

    if (v < 0) {
        *--p = '-';
    }

    reco_buf_raw(b, p, (size_t) (text + sizeof(text) - p));

    return true;
}

/* Whether all eight bytes of w are ASCII that a JSON string holds as it is
 * ("Bit Twiddling Hacks": a byte below n, a byte that is zero). Bytes from
 * 0x80 on are left to the slow way, which looks for U+2028. */
static inline bool
is_plain_word(uint64_t w)
{
    uint64_t  quote = w ^ '"' * ONES, slash = w ^ '\\' * ONES,
              del = w ^ 0x7f * ONES;

    return ((w | (w - 0x20 * ONES) | (quote - ONES) | (slash - ONES)
             | (del - ONES))
            & HIGHS) == 0;
}

/* Whether s, of at least one byte, is such ASCII from end to end: most strings
 * are. Loads overlap, so that there is no rest to be looked at by the byte. */
static bool
is_plain_string(reco_str_t s)
{
    size_t       i;
    uint64_t     word;
    uint32_t     first, last;
    const char  *p = s.data;

    if (s.len >= 8) {
        for (i = 0; i + 8 < s.len; i += 8) {
            memcpy(&word, p + i, 8);
            if (!is_plain_word(word)) {
                return false;
            }
        }

        memcpy(&word, p + s.len - 8, 8);

    } else if (s.len >= 4) {
        memcpy(&first, p, 4);
        memcpy(&last, p + s.len - 4, 4);
        word = (uint64_t) first << 32 | last;

    } else {
        word = 'a' * ONES << 24 | (uint64_t) (uint8_t) p[0] << 16
               | (uint64_t) (uint8_t) p[s.len / 2] << 8
               | (uint8_t) p[s.len - 1];
    }

    return is_plain_word(word);
}

void
reco_buf_json_string(reco_buf_t *b, reco_str_t s)
{
    char    *p;
    size_t   room;

    if (s.len == 0) {
        reco_buf_raw(b, "\"\"", 2);
        return;
    }

    room = (size_t) (b->end - b->pos);

    if (room >= 2 && room - 2 >= s.len && is_plain_string(s)) {
        p = b->pos;
        *p = '"';
        memcpy(p + 1, s.data, s.len);
        p[s.len + 1] = '"';
        b->pos = p + s.len + 2;
        return;
    }

    /* no byte takes more than six */
    if (room / 6 <= s.len && room < json_string_size(s)) {
        b->overflow = true;
        return;
    }

    p = b->pos;
    *p++ = '"';
    p = json_string_write(p, s);
    *p++ = '"';
    b->pos = p;
}

/* Whether s, at p, begins with U+2028 or U+2029, which JavaScript before 2019
 * took for the end of a line inside a string. */
static inline bool
is_line_separator(const char *p, const char *end)
{
    return end - p >= 3 && p[0] == '\xe2' && p[1] == '\x80'
           && (p[2] == '\xa8' || p[2] == '\xa9');
}

/* The letter of the two-byte escape of c, or 0. */
static inline char
short_escape(char c)
{
    switch (c) {
    case '"':
    case '\\':
        return c;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return 0;
    }
}

static inline bool
is_plain(char c)
{
    return (uint8_t) c >= 0x20 && c != '"' && c != '\\' && c != 0x7f
           && c != '\xe2';
}

static size_t
json_string_size(reco_str_t s)
{
    size_t       n;
    const char  *p, *end;

    n = 2;
    end = s.data + s.len;

    for (p = s.data; p < end; p++) {
        if (is_plain(*p)) {
            n++;
        } else if (short_escape(*p)) {
            n += 2;
        } else if (*p != '\xe2') {
            n += 6;
        } else if (is_line_separator(p, end)) {
            n += 6;
            p += 2;
        } else {
            n++;
        }
    }

    return n;
}

static char *
json_string_write(char *out, reco_str_t s)
{
    char         c;
    const char  *p, *end;

    end = s.data + s.len;

    for (p = s.data; p < end; p++) {
        if (is_plain(*p)) {
            *out++ = *p;
            continue;
        }

        c = short_escape(*p);

        if (c) {
            *out++ = '\\';
            *out++ = c;

        } else if (*p != '\xe2') {
            memcpy(out, "\\u00", 4);
            out[4] = hex_digits[*p >> 4];
            out[5] = hex_digits[*p & 15];
            out += 6;

        } else if (is_line_separator(p, end)) {
            memcpy(out, p[2] == '\xa8' ? "\\u2028" : "\\u2029", 6);
            out += 6;
            p += 2;

        } else {
            *out++ = *p;
        }
    }

    return out;
}

/*
 * The Gregorian calendar repeats after 400 years of 146,097 days. Years are
 * counted from 1 March, so that a leap day is the last day of its year and
 * month lengths repeat with 153 days in five months.
 */
static civil_t
civil_from_days(uint64_t days)
{
    civil_t   c;
    uint64_t  cycles, centuries, quads, years, month;

    days += 719468;                     /* 0000-03-01 to 1970-01-01 */

    cycles = days / 146097;
    days %= 146097;
    centuries = days / 36524;
    centuries -= centuries == 4;        /* the cycle's last day */
    days -= centuries * 36524;
    quads = days / 1461;
    days %= 1461;
    years = days / 365;
    years -= years == 4;                /* a leap day */
    days -= years * 365;

    month = (5 * days + 2) / 153;       /* from March, 0 */
    c.day = (unsigned) (days - (153 * month + 2) / 5 + 1);
    c.month = (unsigned) (month < 10 ? month + 3 : month - 9);
    c.year = 400 * cycles + 100 * centuries + 4 * quads + years
             + (c.month <= 2);

    return c;
}

/* v with at least n digits; returns the end. */
static char *
padded(char *p, uint64_t v, unsigned n)
{
    char    text[20];
    size_t  len;

    memset(text, '0', sizeof(text));
    len = decimal(text + sizeof(text), v);
    if (len < n) {
        len = n;
    }

    memcpy(p, text + sizeof(text) - len, len);

    return p + len;
}

static char *
write_date(char *p, uint64_t days)
{
    civil_t  c;

    c = civil_from_days(days);

    p = padded(p, c.year, 4);
    *p++ = '-';
    p = padded(p, c.month, 2);
    *p++ = '-';

    return padded(p, c.day, 2);
}

void
reco_buf_date(reco_buf_t *b, uint64_t time_ms)
{
    char  text[32], *p;

    p = write_date(text, time_ms / DAY_MS);
    reco_buf_raw(b, text, (size_t) (p - text));
}

void
reco_buf_time(reco_buf_t *b, uint64_t time_ms)
{
    char      text[48], *p;
    uint64_t  ms;

    ms = time_ms % DAY_MS;

    p = write_date(text, time_ms / DAY_MS);
    *p++ = 'T';
    p = padded(p, ms / 3600000, 2);
    *p++ = ':';
    p = padded(p, ms / 60000 % 60, 2);
    *p++ = ':';
    p = padded(p, ms / 1000 % 60, 2);
    *p++ = '.';
    p = padded(p, ms % 1000, 3);
    *p++ = 'Z';

    reco_buf_raw(b, text, (size_t) (p - text));
}
