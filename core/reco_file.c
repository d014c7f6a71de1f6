/*
 * reco_file.c - temporary files beside their targets, and their renaming.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE             /* O_TMPFILE */
#endif

#include "reco_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_BLOCK  (1 << 20)

/* What a temporary file's name has behind its target's. */
#define TEMP_MARK   ".tmp-"
#define TEMP_DIGITS 16
#define TEMP_LEN    (sizeof(TEMP_MARK) - 1 + TEMP_DIGITS)

static void folder_of(const char *path, char folder[RECO_PATH_MAX]);
static reco_status_t folder_sync(const char *path, reco_error_t *err);

reco_status_t
reco_file_error(reco_error_t *err, const char *what)
{
    int  e = errno;

    return reco_error_set(err, e == ENOMEM ? RECO_NO_MEMORY : RECO_IO, "",
                          "%s: %s", what, strerror(e));
}

/* A rename would replace a folder, a device or a pipe, /dev/null too. */
static bool
may_replace(const char *path, reco_error_t *err)
{
    struct stat  st;

    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        reco_error_set(err, RECO_INVALID, "",
                       "cannot write '%s': it is no file", path);
        return false;
    }

    return true;
}

/* ---- names -------------------------------------------------------------- */

size_t
reco_file_temp_stem(const char *name)
{
    size_t  len = strlen(name);

    if (len <= TEMP_LEN
        || memcmp(name + len - TEMP_LEN, TEMP_MARK, sizeof(TEMP_MARK) - 1) != 0
        || strspn(name + len - TEMP_DIGITS, "0123456789abcdef") != TEMP_DIGITS)
    {
        return 0;
    }

    return len - TEMP_LEN;
}

static reco_status_t
temp_name(const char *path, char name[RECO_PATH_MAX], reco_error_t *err)
{
    int       n;
    uint64_t  random;

    if (getrandom(&random, sizeof(random), 0) != sizeof(random)) {
        return reco_file_error(err, "getrandom");
    }

    n = snprintf(name, RECO_PATH_MAX, "%s" TEMP_MARK "%016" PRIx64, path,
                 random);

    return n > 0 && n < RECO_PATH_MAX
           ? RECO_OK
           : reco_error_set(err, RECO_LIMIT, "", "path is too long");
}

/* A signal handler may read 'temp' at any moment. */
static void
temp_set(char temp[RECO_PATH_MAX], const char *name)
{
    *(volatile char *) temp = '\0';
    atomic_signal_fence(memory_order_seq_cst);

    if (name[0] != '\0') {
        strcpy(temp + 1, name + 1);
        atomic_signal_fence(memory_order_seq_cst);
        *(volatile char *) temp = name[0];
    }
}

/* ---- leftovers ---------------------------------------------------------- */

/* What is held, another user's, or no regular file, stays. */
static void
temp_remove(int folder, const char *name)
{
    int          fd;
    struct stat  st;

    fd = openat(folder, name,
                O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
    if (fd == -1) {
        return;
    }

    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid()
        && flock(fd, LOCK_EX | LOCK_NB) == 0)
    {
        (void) unlinkat(folder, name, 0);
    }

    close(fd);
}

/* What processes that were killed left of this path. */
static void
temp_clean(const char *path)
{
    DIR            *d;
    char            folder[RECO_PATH_MAX];
    size_t          len;
    const char     *slash = strrchr(path, '/');
    const char     *name = slash != NULL ? slash + 1 : path;
    struct dirent  *e;

    folder_of(path, folder);

    d = opendir(folder);
    if (d == NULL) {
        return;
    }

    len = strlen(name);

    while ((e = readdir(d)) != NULL) {
        if (reco_file_temp_stem(e->d_name) == len
            && memcmp(e->d_name, name, len) == 0)
        {
            temp_remove(dirfd(d), e->d_name);
        }
    }

    closedir(d);
}

/* ---- files -------------------------------------------------------------- */

/* Whether the file is ours now. Between its creation and its lock somebody who
 * removes leftovers may take it for one. Where there are no locks, nobody
 * does. */
static bool
temp_hold(int fd)
{
    struct stat  st;

    if (flock(fd, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK) {
        return false;
    }

    return fstat(fd, &st) == 0 && st.st_nlink > 0;
}

reco_status_t
reco_file_temp(const char *path, char temp[RECO_PATH_MAX], int *fd,
    reco_error_t *err)
{
    int            e;
    char           name[RECO_PATH_MAX];
    reco_status_t  rc;

    temp_set(temp, "");

    if (!may_replace(path, err)) {
        return RECO_INVALID;
    }

    temp_clean(path);

    for ( ;; ) {
        rc = temp_name(path, name, err);
        if (rc != RECO_OK) {
            return rc;
        }

        temp_set(temp, name);
        *fd = open(temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

        if (*fd != -1 && temp_hold(*fd)) {
            return RECO_OK;
        }

        e = errno;
        temp_set(temp, "");

        if (*fd != -1) {
            close(*fd);

        } else if (e != EEXIST && e != EINTR) {
            return reco_error_set(err, e == ENOMEM ? RECO_NO_MEMORY : RECO_IO,
                                  "", "cannot create '%s': %s", path,
                                  strerror(e));
        }
    }
}

reco_status_t
reco_file_unnamed(const char *path, int *fd, reco_error_t *err)
{
    char           folder[RECO_PATH_MAX], temp[RECO_PATH_MAX];
    reco_status_t  rc;

    if (!may_replace(path, err)) {
        return RECO_INVALID;
    }

    folder_of(path, folder);

    *fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (*fd != -1) {
        return RECO_OK;
    }

    rc = reco_file_temp(path, temp, fd, err);
    if (rc == RECO_OK) {
        unlink(temp);
    }

    return rc;
}

reco_status_t
reco_file_commit(int fd, const char *temp, const char *path,
    reco_error_t *err)
{
    if (fsync(fd) == -1) {
        return reco_file_error(err, "fsync");
    }

    if (rename(temp, path) == -1) {
        return reco_file_error(err, "rename");
    }

    return folder_sync(path, err);
}

static void
folder_of(const char *path, char folder[RECO_PATH_MAX])
{
    const char  *slash = strrchr(path, '/');

    if (slash == NULL) {
        strcpy(folder, ".");
    } else {
        /* the root's own slash stays */
        snprintf(folder, RECO_PATH_MAX, "%.*s",
                 (int) (slash - path) + (slash == path), path);
    }
}

static reco_status_t
folder_sync(const char *path, reco_error_t *err)
{
    int   fd, rc;
    char  folder[RECO_PATH_MAX];

    folder_of(path, folder);

    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd == -1) {
        return reco_file_error(err, "cannot open the folder");
    }

    rc = fsync(fd);
    close(fd);

    return rc == 0 ? RECO_OK : reco_file_error(err, "fsync of the folder");
}

reco_status_t
reco_file_copy(int from, int to, reco_error_t *err)
{
    char          *block;
    off_t          at;
    ssize_t        n;
    reco_status_t  rc;

    block = malloc(COPY_BLOCK);
    if (block == NULL) {
        return reco_error_set(err, RECO_NO_MEMORY, "", "out of memory");
    }

    at = 0;
    rc = RECO_OK;

    while (rc == RECO_OK && (n = pread(from, block, COPY_BLOCK, at)) != 0) {
        if (n == -1) {
            rc = errno == EINTR ? RECO_OK : reco_file_error(err, "read");
        } else {
            at += n;
            rc = reco_file_write(to, block, (size_t) n, err);
        }
    }

    free(block);

    return rc;
}

reco_status_t
reco_file_write(int fd, const void *data, size_t len, reco_error_t *err)
{
    ssize_t      n;
    const char  *p = data;

    while (len > 0) {
        n = write(fd, p, len);

        if (n == -1) {
            if (errno == EINTR) {
                continue;
            }
            return reco_file_error(err, "write");
        }

        p += n;
        len -= (size_t) n;
    }

    return RECO_OK;
}
