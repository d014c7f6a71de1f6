/*
 * reco_json_number.c - the numbers of JSON (RFC 8259, section 6), read to the
 * nearest double. No state.
 */

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reco_json.h"
#include "reco_json_private.h"

#if FLT_EVAL_METHOD != 0
#error "numbers are exact only where a double is computed as a double"
#endif

/* What a number's text says: mantissa * 10^exponent, where the mantissa holds
 * all its digits. One of 19 digits may not, but is far above 2^53. */
typedef struct {
    uint64_t  mantissa;
    int       digits;           /* significant ones in the mantissa */
    int64_t   exponent;
} decimal_t;

static inline bool
is_digit(const char *p, const char *end)
{
    return p < end && (uint8_t) (*p - '0') < 10;
}

/* A run of digits, each taking the exponent along by 'step'. */
static inline const char *
scan_digits(const char *p, const char *end, decimal_t *d, int step)
{
    for ( ; is_digit(p, end); p++) {
        if (d->digits == 19) {
            continue;
        }

        d->mantissa = d->mantissa * 10 + (uint64_t) (*p - '0');
        d->digits += d->mantissa != 0;
        d->exponent += step;
    }

    return p;
}

/* The exponent's digits; p is behind the 'e'. NULL when there are none. */
static const char *
scan_exponent(const char *p, const char *end, decimal_t *d)
{
    int   e;
    bool  negative;

    negative = p < end && *p == '-';

    if (p < end && (*p == '-' || *p == '+')) {
        p++;
    }

    if (!is_digit(p, end)) {
        return NULL;
    }

    for (e = 0; is_digit(p, end); p++) {
        if (e < 100000) {
            e = e * 10 + (*p - '0');
        }
    }

    d->exponent += negative ? -e : e;

    return p;
}

/*
 * With a mantissa up to 2^53 and a power of ten up to 10^22 both are exact
 * doubles, so that one multiplication or division rounds once and is right
 * (W. Clinger, "How to read floating point numbers accurately", 1990). All
 * else goes to strtod(), on a terminated copy; it takes the locale's decimal
 * point, which is '.' because nginx and the tools stay in the "C" locale.
 */
static bool
number_value(const char *text, size_t len, const decimal_t *d, bool negative,
    double *value)
{
    char                 copy[RECO_JSON_MAX_NUMBER + 1];
    static const double  powers[] = {
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12,
        1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22
    };

    if (d->mantissa <= (uint64_t) 1 << 53
        && d->exponent >= -22 && d->exponent <= 22)
    {
        *value = (double) d->mantissa;

        if (d->exponent < 0) {
            *value /= powers[-d->exponent];
        } else {
            *value *= powers[d->exponent];
        }

        if (negative) {
            *value = -*value;
        }

        return true;
    }

    memcpy(copy, text, len);
    copy[len] = '\0';
    *value = strtod(copy, NULL);

    return isfinite(*value);
}

const char *
reco_json_read_number(const char **pp, const char *end, double *value)
{
    bool         negative;
    decimal_t    d;
    const char  *p, *start;

    d = (decimal_t) { 0, 0, 0 };
    start = *pp;
    negative = *start == '-';
    p = start + negative;
    *pp = p;

    if (!is_digit(p, end)) {
        return "expected a digit";
    }

    if (*p == '0') {
        *pp = ++p;
        if (is_digit(p, end)) {
            return "number with a leading zero";
        }
    } else {
        p = scan_digits(p, end, &d, 0);
    }

    if (p < end && *p == '.') {
        *pp = ++p;
        if (!is_digit(p, end)) {
            return "expected a digit after the decimal point";
        }
        p = scan_digits(p, end, &d, -1);
    }

    if (p < end && (*p == 'e' || *p == 'E')) {
        *pp = ++p;
        p = scan_exponent(p, end, &d);
        if (p == NULL) {
            return "expected a digit in the exponent";
        }
    }

    if (p - start <= RECO_JSON_MAX_NUMBER
        && !number_value(start, (size_t) (p - start), &d, negative, value))
    {
        *pp = start;
        return "number too large for a double";
    }

    *pp = p;

    return NULL;
}
