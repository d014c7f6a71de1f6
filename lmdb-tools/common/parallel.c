/*
 * parallel.c - threads that live for one call and take the next item from a
 * shared counter.
 */

#include "parallel.h"

#include <pthread.h>
#include <stdatomic.h>

typedef struct {
    atomic_size_t  next;
    size_t         n;
    parallel_pt    run;
    void          *data;
} work_t;

static void *
work(void *arg)
{
    size_t   item;
    work_t  *w = arg;

    while ((item = atomic_fetch_add(&w->next, 1)) < w->n) {
        w->run(w->data, item);
    }

    return NULL;
}

void
parallel_for(size_t n, uint32_t threads, parallel_pt run, void *data)
{
    work_t     w = { .n = n, .run = run, .data = data };
    uint32_t   i, started = 0;
    pthread_t  thread[PARALLEL_MAX_THREADS];

    if (threads > PARALLEL_MAX_THREADS) {
        threads = PARALLEL_MAX_THREADS;
    }

    while (started + 1 < threads && started + 1 < n
           && pthread_create(&thread[started], NULL, work, &w) == 0)
    {
        started++;
    }

    work(&w);

    for (i = 0; i < started; i++) {
        pthread_join(thread[i], NULL);
    }
}
