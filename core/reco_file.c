/*
 * reco_file.c - temporary files beside their targets, and their renaming.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE             /* O_TMPFILE */
#endif

#include "reco_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_BLOCK  (1 << 20)

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

reco_status_t
reco_file_temp(const char *path, char temp[RECO_PATH_MAX], int *fd,
    reco_error_t *err)
{
    int       n;
    uint64_t  random;

    if (!may_replace(path, err)) {
        return RECO_INVALID;
    }

    do {
        if (getrandom(&random, sizeof(random), 0) != sizeof(random)) {
            return reco_file_error(err, "getrandom");
        }

        n = snprintf(temp, RECO_PATH_MAX, "%s.tmp-%016" PRIx64, path, random);
        if (n < 0 || n >= RECO_PATH_MAX) {
            return reco_error_set(err, RECO_LIMIT, "", "path is too long");
        }

        *fd = open(temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

    } while (*fd == -1 && (errno == EEXIST || errno == EINTR));

    if (*fd == -1) {
        n = errno;
        return reco_error_set(err, RECO_IO, "", "cannot create '%s': %s",
                              temp, strerror(n));
    }

    return RECO_OK;
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
