/*
 * state_get.c - what it costs to get a state's row of the table of values.
 *
 *   state_get SNAPSHOT [LOOKUPS [SEED]]
 *
 * Looks up rows at random, as a decision does (reco_model_t's lookup, then
 * every entry of the row), and prints one JSON object: the time of a get in
 * nanoseconds. The rows were all touched before, so that the file is in memory;
 * what is not warm is the processor's cache. Each get is timed by itself for
 * the percentiles, which therefore hold the clock's own cost, given as "clock";
 * the mean is of a second run without a clock inside.
 */

#include "reco_record.h"
#include "reco_snapshot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct {
    char      *text;            /* keys, one after the other */
    size_t     len, room;
    size_t    *begin;           /* n + 1 of them */
    uint64_t   n;
} keys_t;

static void *
grow(void *p, size_t size)
{
    p = realloc(p, size);
    if (p == NULL) {
        fprintf(stderr, "state_get: out of memory\n");
        exit(1);
    }

    return p;
}

static bool
add_key(void *data, reco_str_t key, const reco_row_t *row)
{
    keys_t  *k = data;

    (void) row;
    if (k->len + key.len > k->room) {
        k->room = 2 * (k->len + key.len);
        k->text = grow(k->text, k->room);
    }
    memcpy(k->text + k->len, key.data, key.len);
    k->len += key.len;
    k->begin[++k->n] = k->len;

    return true;
}

/* xorshift64*: Vigna, ACM TOMS 42 (2016). */
static uint64_t
next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;

    return *state * UINT64_C(2685821657736338717);
}

static uint64_t
now_ns(void)
{
    struct timespec  t;

    clock_gettime(CLOCK_MONOTONIC, &t);

    return (uint64_t) t.tv_sec * 1000000000 + (uint64_t) t.tv_nsec;
}

/* The best value of the row, so that nothing is optimised away. */
static double
get(const reco_model_t *model, reco_str_t key)
{
    double        best = -HUGE_VAL;
    uint32_t      i;
    reco_row_t    row;
    reco_entry_t  entry;

    if (!model->lookup(model->lookup_data, key, &row)) {
        fprintf(stderr, "state_get: a state of the table is not found\n");
        exit(1);
    }
    for (i = 0; i < row.n; i++) {
        entry = reco_row_entry(&row, i);
        best = entry.value > best ? entry.value : best;
    }

    return best;
}

static int
by_time(const void *a, const void *b)
{
    uint32_t  x = *(const uint32_t *) a, y = *(const uint32_t *) b;

    return (x > y) - (x < y);
}

/* Nearest rank. */
static uint32_t
percentile(const uint32_t *sorted, uint64_t n, double p)
{
    uint64_t  rank = (uint64_t) (p / 100 * (double) n);

    return sorted[rank < n ? rank : n - 1];
}

static uint32_t
clock_cost(void)
{
    uint64_t   t;
    uint32_t   i, took[1001];

    for (i = 0; i < 1001; i++) {
        t = now_ns();
        took[i] = (uint32_t) (now_ns() - t);
    }
    qsort(took, 1001, sizeof(took[0]), by_time);

    return took[500];
}

/* Keys in an order that the memory's prefetcher cannot guess, drawn before so
 * that neither the draw nor the list is part of what is timed. */
static reco_str_t *
draw(const keys_t *keys, uint64_t lookups, uint64_t seed)
{
    uint64_t     i, at;
    reco_str_t  *drawn = grow(NULL, lookups * sizeof(reco_str_t));

    for (i = 0; i < lookups; i++) {
        at = next_random(&seed) % keys->n;
        drawn[i].data = keys->text + keys->begin[at];
        drawn[i].len = keys->begin[at + 1] - keys->begin[at];
    }

    return drawn;
}

static void
measure(const reco_model_t *model, const reco_str_t *keys, uint64_t n)
{
    double     sum = 0;
    uint32_t  *took = grow(NULL, n * sizeof(uint32_t));
    uint64_t   i, t, began;

    for (i = 0; i < n; i++) {       /* warm */
        sum += get(model, keys[i]);
    }
    for (i = 0; i < n; i++) {
        t = now_ns();
        sum += get(model, keys[i]);
        took[i] = (uint32_t) (now_ns() - t);
    }
    began = now_ns();
    for (i = 0; i < n; i++) {
        sum += get(model, keys[i]);
    }
    t = now_ns() - began;

    qsort(took, n, sizeof(uint32_t), by_time);
    printf("{\"lookups\": %llu, \"mean\": %.1f, \"p50\": %u, \"p95\": %u, "
           "\"p99\": %u, \"p999\": %u, \"clock\": %u, \"sum\": %.3f}\n",
           (unsigned long long) n, (double) t / (double) n,
           percentile(took, n, 50), percentile(took, n, 95),
           percentile(took, n, 99), percentile(took, n, 99.9), clock_cost(),
           sum);
    free(took);
}

int
main(int argc, char **argv)
{
    keys_t            keys = { 0 };
    uint64_t          lookups, seed;
    reco_str_t       *drawn;
    reco_error_t      err;
    reco_snapshot_t  *snapshot;

    if (argc < 2 || argc > 4) {
        fprintf(stderr, "Usage: state_get SNAPSHOT [LOOKUPS [SEED]]\n");
        return 2;
    }
    lookups = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
    seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 20261122;

    if (lookups == 0 || seed == 0) {
        fprintf(stderr, "state_get: LOOKUPS and SEED must be above 0\n");
        return 2;
    }
    if (reco_snapshot_open(argv[1], NULL, &snapshot, &err) != RECO_OK) {
        fprintf(stderr, "state_get: %s: %s\n", argv[1], err.message);
        return 1;
    }

    keys.begin = grow(NULL, (reco_snapshot_info(snapshot)->states + 1)
                            * sizeof(size_t));
    keys.begin[0] = 0;
    if (reco_snapshot_each_row(snapshot, add_key, &keys, &err) != RECO_OK
        || keys.n == 0)
    {
        fprintf(stderr, "state_get: %s: %s\n", argv[1],
                keys.n ? err.message : "has no table of values");
        return 1;
    }

    drawn = draw(&keys, lookups, seed);
    measure(reco_snapshot_model(snapshot), drawn, lookups);

    free(drawn);
    free(keys.begin);
    free(keys.text);
    reco_snapshot_close(snapshot);

    return 0;
}
