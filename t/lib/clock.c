/*
 * clock.c - a wall clock that a test sets: preloaded. RECO_CLOCK names a file
 * of one 64-bit number, so many nanoseconds the clock is ahead (or behind).
 * The monotonic clock stays what it is.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define BILLION  1000000000LL

typedef int (*gettime_t)(clockid_t, struct timespec *);

static gettime_t                  next;
static const volatile int64_t    *ahead;

static void
resolve(void)
{
    if (next == NULL) {
        next = (gettime_t) dlsym(RTLD_NEXT, "clock_gettime");
    }
}

/* nginx clears the environment later. */
__attribute__((constructor)) static void
begin(void)
{
    int          fd;
    void        *map;
    const char  *file = getenv("RECO_CLOCK");

    resolve();

    if (file == NULL) {
        return;
    }

    fd = open(file, O_RDONLY | O_CLOEXEC);
    map = mmap(NULL, sizeof(*ahead), PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        abort();
    }

    close(fd);
    ahead = map;
}

int
clock_gettime(clockid_t clock, struct timespec *t)
{
    int        rc;
    long long  ns;

    resolve();
    rc = next(clock, t);

    if (rc == 0 && ahead != NULL
        && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    {
        ns = t->tv_sec * BILLION + t->tv_nsec + *ahead;
        t->tv_sec = ns / BILLION;
        t->tv_nsec = ns % BILLION;
    }

    return rc;
}

int
gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    struct timespec  t;

    (void) zone;
    (void) clock_gettime(CLOCK_REALTIME, &t);
    tv->tv_sec = t.tv_sec;
    tv->tv_usec = t.tv_nsec / 1000;

    return 0;
}

time_t
time(time_t *at)
{
    struct timespec  t;

    (void) clock_gettime(CLOCK_REALTIME, &t);

    if (at != NULL) {
        *at = t.tv_sec;
    }

    return t.tv_sec;
}
