/*
 * no_memory.c - lets the n-th allocation of a running nginx fail: preloaded by
 * tests, told by them when.
 *
 * NO_MEMORY names a file of 64-bit integers, which is mapped when nginx starts
 * and shared with its workers: the n-th allocation from now on fails (0: none),
 * and all after it as well where the second is not 0; allocations so far,
 * failures so far; where there is a fifth, smaller allocations than so many
 * bytes are left alone. The test writes the first two and the fifth.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

typedef struct {
    _Atomic long  nth;
    _Atomic long  onwards;
    _Atomic long  calls;
    _Atomic long  failures;
    _Atomic long  least;            /* bytes; 0 where the file ends before */
} control_t;

static control_t  *control;

__attribute__((constructor))
static void
begin(void)
{
    int          fd;
    void        *p;
    const char  *path = getenv("NO_MEMORY");

    fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd == -1) {
        return;
    }

    p = mmap(NULL, sizeof(control_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
             0);
    control = p == MAP_FAILED ? NULL : p;
    close(fd);
}

static bool
fails(size_t size)
{
    long  n, nth;

    nth = control ? atomic_load(&control->nth) : 0;
    if (nth == 0 || size < (size_t) atomic_load(&control->least)) {
        return false;
    }

    n = atomic_fetch_add(&control->calls, 1) + 1;

    if (n < nth || (n > nth && !atomic_load(&control->onwards))) {
        return false;
    }

    atomic_fetch_add(&control->failures, 1);
    errno = ENOMEM;

    return true;
}

void *
malloc(size_t size)
{
    return fails(size) ? NULL : __libc_malloc(size);
}

void *
calloc(size_t n, size_t size)
{
    return fails(n * size) ? NULL : __libc_calloc(n, size);
}

void *
realloc(void *p, size_t size)
{
    return fails(size) ? NULL : __libc_realloc(p, size);
}

int
posix_memalign(void **p, size_t alignment, size_t size)
{
    if (fails(size)) {
        return ENOMEM;
    }

    *p = __libc_memalign(alignment, size);

    return *p ? 0 : ENOMEM;
}
