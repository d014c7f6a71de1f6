/*
 * micros.c - decimals as whole millionths; keeps nothing.
 */

#include "micros.h"

#include <stdio.h>
#include <stdlib.h>

bool
micros_parse(reco_str_t s, int64_t *micros)
{
    bool     negative;
    size_t   i, start, places = 0;
    bool     point = false;
    int64_t  v = 0;

    negative = s.len > 0 && s.data[0] == '-';
    start = negative ? 1 : 0;

    for (i = start; i < s.len; i++) {
        if (s.data[i] == '.' && !point && i > start) {
            point = true;
            continue;
        }
        if (s.data[i] < '0' || s.data[i] > '9' || (point && ++places > 6)
            || __builtin_mul_overflow(v, 10, &v)
            || __builtin_add_overflow(v, s.data[i] - '0', &v))
        {
            return false;
        }
    }

    if (i == start || (point && places == 0)) {
        return false;
    }
    for ( ; places < 6; places++) {
        if (__builtin_mul_overflow(v, 10, &v)) {
            return false;
        }
    }
    *micros = negative ? -v : v;

    return true;
}

const char *
micros_text(int64_t micros, char *text)
{
    size_t    n;
    uint64_t  v = micros < 0 ? -(uint64_t) micros : (uint64_t) micros;

    n = (size_t) snprintf(text, MICROS_TEXT, "%s%llu.%06llu",
                          micros < 0 ? "-" : "",
                          (unsigned long long) (v / MICROS),
                          (unsigned long long) (v % MICROS));
    while (text[n - 1] == '0') {
        text[--n] = '\0';
    }
    if (text[n - 1] == '.') {
        text[--n] = '\0';
    }

    return text;
}

int64_t
micros_cents(int64_t sum, uint64_t n)
{
    __int128  unit = (__int128) n * (MICROS / 100), twice = (__int128) sum * 2;
    __int128  c = (twice + (sum < 0 ? -unit : unit)) / (2 * unit);

    return (int64_t) c * (MICROS / 100);
}

static int
by_value(const void *a, const void *b)
{
    int64_t  x = *(const int64_t *) a, y = *(const int64_t *) b;

    return (x > y) - (x < y);
}

int64_t
micros_median(int64_t *v, size_t n)
{
    qsort(v, n, sizeof(v[0]), by_value);

    return n % 2 ? v[n / 2] : v[n / 2 - 1] + (v[n / 2] - v[n / 2 - 1]) / 2;
}
