/*
 * disk.c - a disk as a test wants it, for one folder: preloaded. It writes
 * down what a process and its children do to the folder's files, so that a
 * test can say what a machine that loses power would have left of them, and
 * lets calls fail.
 *
 *     RECO_DISK        the folder, as /proc/self/fd names it
 *     RECO_DISK_TRACE  where the trace goes
 *     RECO_DISK_FAULTS a file of two 32-bit numbers for each of the kinds
 *                      below: so many calls succeed first, so many fail then.
 *                      Both count down to 0
 *     RECO_DISK_DELAY  milliseconds that each sync takes longer
 *
 * An entry of the trace is a line and then LEN bytes of data:
 *
 *     OP PID TIME_NS OFFSET LEN PATH\n
 *
 * TIME_NS by CLOCK_MONOTONIC. OP is "create", "write" (data: what was
 * written), "cut" (ftruncate to OFFSET), "begin" and "end" (of fsync or
 * fdatasync; OFFSET is what it returned), "rename" (data: the new path),
 * "unlink". What changes a file is entered when it has returned, so that each
 * sync which begins later in the process's own order covers it; a sync ends
 * when it has returned.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define NEXT(name)  ((__typeof__(&name)) dlsym(RTLD_NEXT, #name))

/* PART: half of a write. FDATASYNC, FSYNC: of files. FOLDER: fsync of it. */
enum { WRITE, PART, CUT, FDATASYNC, FSYNC, FOLDER, RENAME, CREATE, KINDS };

typedef struct {
    int32_t  succeed;
    int32_t  fail;
} fault_t;

static int       trace = -1;
static long      delay;
static char      folder[1024];
static fault_t  *faults;            /* shared by all processes */

static void
map_faults(const char *path)
{
    int  fd = NEXT(open)(path, O_RDWR | O_CLOEXEC);

    faults = mmap(NULL, KINDS * sizeof(fault_t), PROT_READ | PROT_WRITE,
                  MAP_SHARED, fd, 0);
    if (faults == MAP_FAILED) {
        abort();
    }

    close(fd);
}

/* nginx clears the environment later. */
__attribute__((constructor)) static void
begin(void)
{
    const char  *dir = getenv("RECO_DISK");
    const char  *file = getenv("RECO_DISK_TRACE");
    const char  *control = getenv("RECO_DISK_FAULTS");
    const char  *ms = getenv("RECO_DISK_DELAY");

    if (dir == NULL || strlen(dir) >= sizeof(folder)) {
        return;
    }

    strcpy(folder, dir);
    delay = ms ? atol(ms) : 0;

    if (control != NULL) {
        map_faults(control);
    }

    if (file != NULL) {
        trace = NEXT(open)(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
                           0600);
    }
}

/* Several threads may come at once: each hit is one thread's. */
static bool
fails(int kind)
{
    int32_t  n;

    if (faults == NULL) {
        return false;
    }

    for (n = faults[kind].succeed; n > 0; ) {
        if (__atomic_compare_exchange_n(&faults[kind].succeed, &n, n - 1,
                                        false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST))
        {
            return false;
        }
    }

    for (n = faults[kind].fail; n > 0; ) {
        if (__atomic_compare_exchange_n(&faults[kind].fail, &n, n - 1, false,
                                        __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        {
            errno = EIO;
            return true;
        }
    }

    return false;
}

static bool
is_inside(const char *path)
{
    size_t  len = strlen(folder);

    return len > 0 && strncmp(path, folder, len) == 0
           && (path[len] == '/' || path[len] == '\0');
}

/* The path of a descriptor that is the folder or a file in it. */
static bool
is_ours(int fd, char path[2048])
{
    int      saved = errno;
    char     name[64];
    ssize_t  n;

    if (folder[0] == '\0' || fd == trace) {
        return false;
    }

    (void) snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    n = readlink(name, path, 2047);
    errno = saved;

    if (n < 0) {
        return false;
    }

    path[n] = '\0';

    return is_inside(path);
}

/* One writev(2) to a file opened for appending: entries of several threads
 * and processes do not mix. */
static void
enter(const char *op, const char *path, long long offset, const void *data,
    size_t len)
{
    int              n, saved = errno;
    char             line[4096];
    struct iovec     v[2];
    struct timespec  t;

    if (trace < 0) {
        return;
    }

    (void) clock_gettime(CLOCK_MONOTONIC, &t);
    n = snprintf(line, sizeof(line), "%s %d %lld %lld %zu %s\n", op,
                 (int) getpid(), t.tv_sec * 1000000000LL + t.tv_nsec, offset,
                 len, path);

    v[0].iov_base = line;
    v[0].iov_len = (size_t) n;
    v[1].iov_base = (void *) data;
    v[1].iov_len = len;

    if (writev(trace, v, 2) != n + (ssize_t) len) {
        abort();                    /* half a trace proves nothing */
    }

    errno = saved;
}

ssize_t
write(int fd, const void *data, size_t len)
{
    char     path[2048];
    ssize_t  n;

    if (!is_ours(fd, path)) {
        return NEXT(write)(fd, data, len);
    }

    if (len > 1 && fails(PART)) {
        len /= 2;

    } else if (fails(WRITE)) {
        return -1;
    }

    n = NEXT(write)(fd, data, len);

    if (n > 0) {
        enter("write", path, (long long) lseek(fd, 0, SEEK_CUR) - n, data,
              (size_t) n);
    }

    return n;
}

static int
cut(int fd, off_t size, int (*next)(int, off_t))
{
    int   rc;
    char  path[2048];

    if (!is_ours(fd, path)) {
        return next(fd, size);
    }

    rc = fails(CUT) ? -1 : next(fd, size);

    if (rc == 0) {
        enter("cut", path, size, "", 0);
    }

    return rc;
}

int
ftruncate(int fd, off_t size)
{
    return cut(fd, size, NEXT(ftruncate));
}

int
ftruncate64(int fd, off64_t size)
{
    return cut(fd, size, NEXT(ftruncate64));
}

static int
synced(int fd, int kind, int (*next)(int))
{
    int   rc;
    char  path[2048];

    if (!is_ours(fd, path)) {
        return next(fd);
    }

    if (strcmp(path, folder) == 0) {
        kind = FOLDER;
    }

    enter("begin", path, 0, "", 0);
    (void) usleep((useconds_t) delay * 1000);
    rc = fails(kind) ? -1 : next(fd);
    enter("end", path, rc, "", 0);

    return rc;
}

int
fsync(int fd)
{
    return synced(fd, FSYNC, NEXT(fsync));
}

int
fdatasync(int fd)
{
    return synced(fd, FDATASYNC, NEXT(fdatasync));
}

/* Paths of the log are absolute in nginx. */

int
renameat2(int from_fd, const char *from, int to_fd, const char *to,
    unsigned flags)
{
    int  rc;

    if (!is_inside(from)) {
        return NEXT(renameat2)(from_fd, from, to_fd, to, flags);
    }

    rc = fails(RENAME) ? -1 : NEXT(renameat2)(from_fd, from, to_fd, to, flags);

    if (rc == 0) {
        enter("rename", from, 0, to, strlen(to));
    }

    return rc;
}

int
unlink(const char *path)
{
    int  rc = NEXT(unlink)(path);

    if (rc == 0 && is_inside(path)) {
        enter("unlink", path, 0, "", 0);
    }

    return rc;
}

static int
opened(const char *path, int flags, mode_t mode,
    int (*next)(const char *, int, ...))
{
    int  fd;

    if (!(flags & O_CREAT) || !is_inside(path)) {
        return next(path, flags, mode);
    }

    fd = fails(CREATE) ? -1 : next(path, flags, mode);

    if (fd >= 0) {
        enter("create", path, 0, "", 0);
    }

    return fd;
}

int
open(const char *path, int flags, ...)
{
    va_list  args;
    mode_t   mode = 0;

    if (flags & (O_CREAT | __O_TMPFILE)) {
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }

    return opened(path, flags, mode, NEXT(open));
}

int
open64(const char *path, int flags, ...)
{
    va_list  args;
    mode_t   mode = 0;

    if (flags & (O_CREAT | __O_TMPFILE)) {
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }

    return opened(path, flags, mode, NEXT(open64));
}
