/*
 * fault.c - lets the n-th call of a function fail: preloaded by tests.
 *
 *     FAULT=CALL:N       the N-th call fails, counted from main() on
 *     FAULT=CALL:N+      this one and all after it
 *     FAULT=CALL:N!      the process is killed instead, as kill -9 does, before
 *                        the N-th call
 *     FAULT=CALL:N~      the process stops before the N-th call, which it makes
 *                        when it is continued
 *     FAULT_HIT=FILE     is created when a call fails
 *
 * CALL is malloc, calloc, realloc, write, pwrite, fsync, fdatasync, rename,
 * open, ftruncate, mmap, unlink, flock, fork or flush. Only files count for
 * write; open counts fopen() too, pwrite LMDB's pwritev(), and flush is stdio's
 * fflush() and fclose(), which writes without these functions.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name)  ((__typeof__(&name)) dlsym(RTLD_NEXT, #name))

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);

static char           call[16];
static long           nth;
static bool           onwards;
static int            signalled;            /* before the call, or 0 */
static const char    *hit;
static atomic_long    calls;
static int          (*real_main)(int, char **, char **);

/* ---- counting ----------------------------------------------------------- */

static bool
fails(const char *name, int error)
{
    int   fd;
    long  n;

    if (nth == 0 || strcmp(name, call) != 0) {
        return false;
    }

    n = atomic_fetch_add(&calls, 1) + 1;

    if (n < nth || (n > nth && !onwards)) {
        return false;
    }

    if (hit != NULL) {
        fd = (int) syscall(SYS_openat, AT_FDCWD, hit, O_WRONLY | O_CREAT,
                           0600);
        syscall(SYS_close, fd);
    }

    if (signalled != 0) {
        raise(signalled);
        return false;
    }

    errno = error;

    return true;
}

/* What the loader and constructors do is not counted. */
static int
counted_main(int argc, char **argv, char **envp)
{
    const char  *fault = getenv("FAULT");
    const char  *colon = fault ? strchr(fault, ':') : NULL;

    if (colon != NULL && colon - fault < (long) sizeof(call)) {
        memcpy(call, fault, (size_t) (colon - fault));
        hit = getenv("FAULT_HIT");
        onwards = strchr(colon, '+') != NULL;
        signalled = strchr(colon, '!') != NULL ? SIGKILL
                    : strchr(colon, '~') != NULL ? SIGSTOP : 0;
        nth = atol(colon + 1);
    }

    return real_main(argc, argv, envp);
}

int
__libc_start_main(int (*main)(int, char **, char **), int argc, char **argv,
    void (*init)(void), void (*fini)(void), void (*rtld_fini)(void),
    void *stack_end)
{
    int  (*start)(int (*)(int, char **, char **), int, char **,
                  void (*)(void), void (*)(void), void (*)(void), void *);

    real_main = main;
    start = (__typeof__(start)) dlsym(RTLD_NEXT, "__libc_start_main");

    return start(counted_main, argc, argv, init, fini, rtld_fini, stack_end);
}

/* ---- memory ------------------------------------------------------------- */

void *
malloc(size_t size)
{
    return fails("malloc", ENOMEM) ? NULL : __libc_malloc(size);
}

void *
calloc(size_t n, size_t size)
{
    return fails("calloc", ENOMEM) ? NULL : __libc_calloc(n, size);
}

void *
realloc(void *p, size_t size)
{
    return fails("realloc", ENOMEM) ? NULL : __libc_realloc(p, size);
}

void *
mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
    return fails("mmap", ENOMEM)
           ? MAP_FAILED
           : (void *) syscall(SYS_mmap, at, len, prot, flags, fd, offset);
}

void *
mmap64(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
    return mmap(at, len, prot, flags, fd, offset);
}

/* ---- files -------------------------------------------------------------- */

static bool
is_file(int fd)
{
    struct stat  st;

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && fd > 2;
}

ssize_t
write(int fd, const void *data, size_t len)
{
    return is_file(fd) && fails("write", ENOSPC)
           ? -1 : syscall(SYS_write, fd, data, len);
}

ssize_t
pwrite(int fd, const void *data, size_t len, off_t at)
{
    return fails("pwrite", ENOSPC)
           ? -1 : syscall(SYS_pwrite64, fd, data, len, at);
}

ssize_t
pwrite64(int fd, const void *data, size_t len, off_t at)
{
    return pwrite(fd, data, len, at);
}

ssize_t
pwritev(int fd, const struct iovec *vector, int n, off_t at)
{
    return fails("pwrite", ENOSPC) ? -1 : REAL(pwritev)(fd, vector, n, at);
}

ssize_t
pwritev64(int fd, const struct iovec *vector, int n, off_t at)
{
    return pwritev(fd, vector, n, at);
}

int
fsync(int fd)
{
    return fails("fsync", EIO) ? -1 : (int) syscall(SYS_fsync, fd);
}

int
fdatasync(int fd)
{
    return fails("fdatasync", EIO) ? -1 : (int) syscall(SYS_fdatasync, fd);
}

int
rename(const char *from, const char *to)
{
    return fails("rename", EIO) ? -1 : (int) syscall(SYS_rename, from, to);
}

int
flock(int fd, int operation)
{
    return fails("flock", ENOLCK)
           ? -1 : (int) syscall(SYS_flock, fd, operation);
}

pid_t
fork(void)
{
    return fails("fork", EAGAIN) ? -1 : REAL(fork)();
}

int
ftruncate(int fd, off_t len)
{
    return fails("ftruncate", ENOSPC)
           ? -1 : (int) syscall(SYS_ftruncate, fd, len);
}

int
ftruncate64(int fd, off_t len)
{
    return ftruncate(fd, len);
}

int
open(const char *path, int flags, ...)
{
    int      mode;
    va_list  args;

    va_start(args, flags);
    mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, int) : 0;
    va_end(args);

    return fails("open", EMFILE)
           ? -1 : (int) syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int
open64(const char *path, int flags, ...)
{
    int      mode;
    va_list  args;

    va_start(args, flags);
    mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, int) : 0;
    va_end(args);

    return open(path, flags, mode);
}

int
__open_2(const char *path, int flags)
{
    return open(path, flags);
}

int
__open64_2(const char *path, int flags)
{
    return open(path, flags);
}

int
unlink(const char *path)
{
    return fails("unlink", EIO) ? -1 : (int) syscall(SYS_unlink, path);
}

FILE *
fopen(const char *path, const char *mode)
{
    return fails("open", EMFILE) ? NULL : REAL(fopen)(path, mode);
}

FILE *
fopen64(const char *path, const char *mode)
{
    return fopen(path, mode);
}

int
fflush(FILE *file)
{
    int  rc = REAL(fflush)(file);

    return file != NULL && fileno(file) > 2 && fails("flush", ENOSPC)
           ? EOF : rc;
}

int
fclose(FILE *file)
{
    bool  failed = fileno(file) > 2 && fails("flush", ENOSPC);
    int   rc = REAL(fclose)(file);

    return failed ? (errno = ENOSPC, EOF) : rc;
}
