/*
 * reco_sampler.c - from weights to integers, and from a key to a draw. The
 * integers, not the weights, are what is drawn from and logged, so that a
 * decision replays on any machine.
 */

#include "reco_decide.h"
#include "reco_policy.h"

#include <math.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* The longest key that is hashed in one piece. */
#define SHORT_KEY  256


/* ---- quantised distributions -------------------------------------------- */

void
reco_quantise_uniform(uint32_t n, uint64_t *p)
{
    uint32_t  i;
    uint64_t  each;

    if (n == 0) {
        return;
    }

    each = (2 * RECO_ONE + n) / (2 * (uint64_t) n);

    for (i = 1; i < n; i++) {
        p[i] = each;
    }

    p[0] = RECO_ONE - each * (n - 1);
}


void
reco_quantise(const double *weights, uint32_t n, uint64_t *p)
{
    double    sum, x;
    int64_t   rest;
    uint32_t  i, largest;

    sum = 0;
    largest = 0;

    for (i = 0; i < n; i++) {
        if (!(weights[i] >= 0)) {
            reco_quantise_uniform(n, p);
            return;
        }

        sum += weights[i];

        if (weights[i] > weights[largest]) {
            largest = i;
        }
    }

    if (!(sum > 0) || !isfinite(sum)) {
        reco_quantise_uniform(n, p);
        return;
    }

    rest = (int64_t) RECO_ONE;

    for (i = 0; i < n; i++) {
        /* the scaling is exact, so this is rounded once by the division and
         * once to the integer */
        x = weights[i] / sum * (double) RECO_ONE;
        p[i] = (uint64_t) x;

        if (x - (double) p[i] >= 0.5) {
            p[i]++;
        }

        rest -= (int64_t) p[i];
    }

    p[largest] = (uint64_t) ((int64_t) p[largest] + rest);
}


uint32_t
reco_draw(const uint64_t *p, uint32_t n, uint32_t u)
{
    uint32_t  i;
    uint64_t  sum;

    sum = 0;

    for (i = 0; i + 1 < n; i++) {
        sum += p[i];

        if (u < sum) {
            break;
        }
    }

    return i;
}


/* ---- random numbers ----------------------------------------------------- */

static XXH64_hash_t
hash_long(const uint8_t salt[16], const char *key, size_t key_len,
    const uint8_t slot[4])
{
    XXH3_state_t  state;

    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, salt, 16);
    XXH3_64bits_update(&state, key, key_len);
    XXH3_64bits_update(&state, slot, 4);

    return XXH3_64bits_digest(&state);
}


uint32_t
reco_uniform(const uint8_t salt[16], const char *key, size_t key_len,
    uint32_t slot)
{
    uint8_t       text[16 + SHORT_KEY + 4];
    XXH64_hash_t  hash;

    const uint8_t  bytes[4] = {
        (uint8_t) slot, (uint8_t) (slot >> 8),
        (uint8_t) (slot >> 16), (uint8_t) (slot >> 24)
    };

    if (key_len > SHORT_KEY) {
        hash = hash_long(salt, key, key_len, bytes);

    } else {
        memcpy(text, salt, 16);

        if (key_len != 0) {
            memcpy(text + 16, key, key_len);
        }

        memcpy(text + 16 + key_len, bytes, 4);
        hash = XXH3_64bits(text, 16 + key_len + 4);
    }

    return (uint32_t) (hash >> 32);
}


/* ---- exp ---------------------------------------------------------------- */

static double
power_of_two(int n)
{
    double    x;
    uint64_t  bits = (uint64_t) (n + 1023) << 52;

    memcpy(&x, &bits, sizeof(x));

    return x;
}


/*
 * x = k ln 2 + r with |r| <= ln(2) / 2, then e^x = 2^k e^r. The reduction is
 * Cody and Waite's ("Software Manual for the Elementary Functions", 1980,
 * chapter 6): ln 2 in two parts, the first with enough zeros at its end that
 * k times it is exact. e^r is its Taylor series up to r^13 / 13!; the rest of
 * it is below 2^-57.
 */
double
reco_exp(double x)
{
    int     i, k;
    double  high, r, sum;

    static const double  log2_e = 0x1.71547652b82fep+0;
    static const double  ln2_high = 0x1.62e42fee00000p-1;
    static const double  ln2_low = 0x1.a39ef35793c76p-33;

    /* 1 / n! */
    static const double  factors[] = {
        1.0, 1.0, 1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720,
        1.0 / 5040, 1.0 / 40320, 1.0 / 362880, 1.0 / 3628800,
        1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800
    };

    if (isnan(x)) {
        return x;
    }

    if (x > 710) {
        return INFINITY;
    }

    if (x < -746) {
        return 0;
    }

    k = (int) (x * log2_e + (x < 0 ? -0.5 : 0.5));
    high = x - k * ln2_high;
    r = high - k * ln2_low;

    sum = factors[13];

    for (i = 12; i >= 1; i--) {
        sum = sum * r + factors[i];
    }

    sum = 1 + r * sum;

    /* in two steps, because 2^k alone may not be a normal number */
    return sum * power_of_two(k / 2) * power_of_two(k - k / 2);
}
