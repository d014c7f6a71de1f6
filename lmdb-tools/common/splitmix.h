/*
 * splitmix.h - a generator of uniform numbers with a seed: splitmix64 (Steele,
 * Lea and Flood 2014, "Fast splittable pseudorandom number generators"). The
 * same numbers on every machine; for made-up data and for seeding, never for
 * decisions or secrets.
 */

#ifndef RECO_SPLITMIX_H
#define RECO_SPLITMIX_H

#include <stdint.h>

typedef struct {
    uint64_t  state;
} splitmix_t;

static inline uint64_t
splitmix_next(splitmix_t *s)
{
    uint64_t  z = s->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);

    return z ^ (z >> 31);
}

/* 0 <= x < 1, a multiple of 2^-53. */
static inline double
splitmix_double(splitmix_t *s)
{
    return (double) (splitmix_next(s) >> 11) * 0x1p-53;
}

/* 0..n-1 for n > 0; uneven by at most n in 2^64. */
static inline uint32_t
splitmix_below(splitmix_t *s, uint32_t n)
{
    return (uint32_t) (((unsigned __int128) splitmix_next(s) * n) >> 64);
}

#endif /* RECO_SPLITMIX_H */
