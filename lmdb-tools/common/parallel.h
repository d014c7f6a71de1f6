/*
 * parallel.h - the same work on many items by several threads. Items must not
 * depend on each other; what they give is kept by item, so that a result is
 * the same for any number of threads.
 */

#ifndef RECO_PARALLEL_H
#define RECO_PARALLEL_H

#include <stddef.h>
#include <stdint.h>

#define PARALLEL_MAX_THREADS    64

typedef void (*parallel_pt)(void *data, size_t item);

/* Runs all of 0..n-1 and returns when the last one is done. Where a thread
 * cannot be started, fewer do the work. */
void parallel_for(size_t n, uint32_t threads, parallel_pt run, void *data);

#endif /* RECO_PARALLEL_H */
