/*
 * random.h - numbers that a test draws: the same ones in every run. SplitMix64
 * (G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number
 * generators", 2014).
 */

#ifndef RANDOM_H
#define RANDOM_H

#include <stdint.h>

typedef struct {
    uint64_t  state;
} random_t;

static inline void
random_init(random_t *r, uint64_t seed)
{
    r->state = seed;
}

static inline uint64_t
random_next(random_t *r)
{
    uint64_t  z;

    z = r->state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;

    return z ^ (z >> 31);
}

/* 0 .. n - 1 */
static inline uint32_t
random_below(random_t *r, uint32_t n)
{
    return (uint32_t) ((random_next(r) >> 32) * n >> 32);
}

#endif /* RANDOM_H */
