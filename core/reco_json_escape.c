/*
 * reco_json_escape.c - the escapes of JSON strings (RFC 8259, section 7) and
 * of Python's. No state.
 */

#include "reco_json.h"
#include "reco_json_private.h"

/* The value of n hex digits at p; false when they are not all there. */
static bool
hex_value(const char *p, const char *end, unsigned n, uint32_t *value)
{
    char  c;

    if ((size_t) (end - p) < n) {
        return false;
    }

    *value = 0;

    for ( ; n > 0; n--) {
        c = *p++;

        if (c >= '0' && c <= '9') {
            c = (char) (c - '0');
        } else if (c >= 'a' && c <= 'f') {
            c = (char) (c - 'a' + 10);
        } else if (c >= 'A' && c <= 'F') {
            c = (char) (c - 'A' + 10);
        } else {
            return false;
        }

        *value = *value << 4 | (uint32_t) c;
    }

    return true;
}

static size_t
utf8_encode(uint32_t code, char *out)
{
    if (code < 0x80) {
        out[0] = (char) code;
        return 1;
    }

    if (code < 0x800) {
        out[0] = (char) (0xc0 | code >> 6);
        out[1] = (char) (0x80 | (code & 0x3f));
        return 2;
    }

    if (code < 0x10000) {
        out[0] = (char) (0xe0 | code >> 12);
        out[1] = (char) (0x80 | (code >> 6 & 0x3f));
        out[2] = (char) (0x80 | (code & 0x3f));
        return 3;
    }

    out[0] = (char) (0xf0 | code >> 18);
    out[1] = (char) (0x80 | (code >> 12 & 0x3f));
    out[2] = (char) (0x80 | (code >> 6 & 0x3f));
    out[3] = (char) (0x80 | (code & 0x3f));

    return 4;
}

/* An escape by number: hex digits follow the letter. A high surrogate in four
 * digits takes the low one behind it along. */
static const char *
read_code(const char **pp, const char *end, unsigned digits, char *out,
    size_t *n)
{
    uint32_t     code, low;
    const char  *p;

    p = *pp + 2;

    if (!hex_value(p, end, digits, &code)) {
        return "expected hex digits in an escape";
    }

    p += digits;

    if (code >= 0xd800 && code <= 0xdbff && digits == 4
        && end - p >= 2 && p[0] == '\\' && p[1] == 'u'
        && hex_value(p + 2, end, 4, &low)
        && low >= 0xdc00 && low <= 0xdfff)
    {
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        p += 6;
    }

    if (code >= 0xd800 && code <= 0xdfff) {
        return "lone surrogate in a string";
    }

    if (code > 0x10ffff) {
        return "escape above U+10FFFF";
    }

    *n = utf8_encode(code, out);
    *pp = p;

    return NULL;
}

static const char *
read_python_escape(const char **p, const char *end, char *out, size_t *n)
{
    switch ((*p)[1]) {
    case '\'':
        *out = '\'';
        *n = 1;
        *p += 2;
        return NULL;
    case 'x':
        return read_code(p, end, 2, out, n);
    case 'U':
        return read_code(p, end, 8, out, n);
    default:
        return "unknown escape in a string";
    }
}

const char *
reco_json_read_escape(const char **p, const char *end, unsigned flags,
    char out[4], size_t *n)
{
    char  c;

    if (end - *p < 2) {
        *p = end;
        return "unexpected end of the text";
    }

    c = (*p)[1];

    switch (c) {
    case '"':
    case '\\':
    case '/':
        break;
    case 'b':
        c = '\b';
        break;
    case 'f':
        c = '\f';
        break;
    case 'n':
        c = '\n';
        break;
    case 'r':
        c = '\r';
        break;
    case 't':
        c = '\t';
        break;
    case 'u':
        return read_code(p, end, 4, out, n);
    default:
        if (flags & RECO_JSON_PYTHON) {
            return read_python_escape(p, end, out, n);
        }
        return "unknown escape in a string";
    }

    *out = c;
    *n = 1;
    *p += 2;

    return NULL;
}
