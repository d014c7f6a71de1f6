/*
 * forget_files.c - the files of an event log as `reco forget` meets them:
 * which there are, who holds them, what a killed run left.
 */

#include "forget.h"
#include "reco_file.h"
#include "reco_segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX      "reco-"
#define CLOSED      ".ndjson"
#define OPEN        ".ndjson.open"

static bool
has_end(const char *name, const char *end)
{
    size_t  n = strlen(name), e = strlen(end);

    return n > e && strcmp(name + n - e, end) == 0;
}

static bool
is_segment(const char *name)
{
    return strncmp(name, PREFIX, strlen(PREFIX)) == 0
           && (has_end(name, CLOSED) || has_end(name, OPEN));
}

/* What a killed run was writing anew. */
static bool
is_temporary(const char *name)
{
    size_t  n = reco_file_temp_stem(name), e = strlen(CLOSED);

    return strncmp(name, PREFIX, strlen(PREFIX)) == 0 && n > e
           && memcmp(name + n - e, CLOSED, e) == 0;
}

/* A segment that somebody compressed, moved aside or is copying. */
static bool
is_copy(const char *name)
{
    return strncmp(name, PREFIX, strlen(PREFIX)) == 0
           && strstr(name, CLOSED) != NULL
           && !is_segment(name) && !is_temporary(name);
}

static char *
join(const char *dir, const char *name)
{
    size_t   size = strlen(dir) + strlen(name) + 2;
    char    *path = tool_alloc(size);

    snprintf(path, size, "%s/%s", dir, name);

    return path;
}

/* ---- the list ----------------------------------------------------------- */

/* Takes the path. */
static void
add(forget_log_t *log, char *path)
{
    if (log->n == log->room) {
        log->room = log->room ? 2 * log->room : 64;
        log->list = tool_realloc(log->list, log->room * sizeof(*log->list));
    }

    log->list[log->n++] = (forget_segment_t) { .path = path,
                                               .live = has_end(path, OPEN) };
}

static int
by_path(const void *a, const void *b)
{
    const forget_segment_t  *x = a, *y = b;

    return strverscmp(x->path, y->path);
}

bool
forget_list(forget_log_t *log, const char *path)
{
    int             e;
    DIR            *dir;
    struct stat     st;
    struct dirent  *entry;

    memset(log, 0, sizeof(*log));

    if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
        add(log, tool_strdup(path));
        return true;
    }

    dir = opendir(path);
    if (dir == NULL) {
        tool_errno("open", path);
        return false;
    }

    while (errno = 0, (entry = readdir(dir)) != NULL) {
        if (is_segment(entry->d_name)) {
            add(log, join(path, entry->d_name));
        }
    }

    e = errno;
    closedir(dir);

    if (e != 0) {
        errno = e;
        tool_errno("read", path);
        forget_list_free(log);
        return false;
    }

    if (log->n > 0) {
        qsort(log->list, log->n, sizeof(*log->list), by_path);
    }

    return true;
}

uint64_t
forget_copies(const char *path)
{
    DIR            *dir = opendir(path);
    uint64_t        n = 0;
    struct dirent  *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (is_copy(entry->d_name)) {
            tool_warn("%s/%s: is no segment by its name, and not looked into",
                      path, entry->d_name);
            n++;
        }
    }

    if (dir != NULL) {
        closedir(dir);
    }

    return n;
}

void
forget_list_free(forget_log_t *log)
{
    size_t  i;

    for (i = 0; i < log->n; i++) {
        free(log->list[i].path);
    }
    free(log->list);
    memset(log, 0, sizeof(*log));
}

/* ---- locks -------------------------------------------------------------- */

int
forget_lock(const char *path, bool wait)
{
    int          fd, e;
    struct stat  st, at;

    for ( ;; ) {
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
        if (fd == -1) {
            return -1;
        }

        if (fstat(fd, &st) != 0
            || flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB)) != 0
            || lstat(path, &at) != 0)
        {
            e = errno;
            close(fd);
            errno = e;
            return -1;
        }

        if (at.st_dev == st.st_dev && at.st_ino == st.st_ino) {
            return fd;
        }

        close(fd);              /* another run wrote it anew meanwhile */
    }
}

bool
forget_lock_folder(const char *path, int *fd)
{
    struct stat    st;
    reco_error_t   err;
    reco_status_t  rc;

    *fd = -1;

    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return true;
    }

    rc = reco_segment_lock(path, false, true, fd, &err);

    if (rc != RECO_OK && rc != RECO_NOT_FOUND) {
        tool_fail(path, &err);
        return false;
    }

    return true;
}

bool
forget_sync_folder(const char *path)
{
    int          fd;
    bool         ok;
    char        *copy = tool_strdup(path), *folder = copy;
    struct stat  st;

    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        folder = dirname(copy);
    }

    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ok = fd != -1 && fsync(fd) == 0;

    if (!ok) {
        tool_errno("sync", folder);
    }
    if (fd != -1) {
        close(fd);
    }
    free(copy);

    return ok;
}

/* ---- leftovers ---------------------------------------------------------- */

/* Whoever owns it: a copy is given to its segment's owner before it is renamed.
 * What is held is another run's, which works on a segment that it holds. */
static bool
remove_leftover(int dir, const char *name)
{
    int          fd;
    bool         ok;
    struct stat  st;

    fd = openat(dir, name,
                O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
    if (fd == -1) {
        return errno == ENOENT || errno == ELOOP;
    }

    ok = fstat(fd, &st) == 0
         && (!S_ISREG(st.st_mode)
             || (flock(fd, LOCK_EX | LOCK_NB) != 0
                 ? errno == EWOULDBLOCK
                 : unlinkat(dir, name, 0) == 0 || errno == ENOENT));

    close(fd);

    return ok;
}

bool
forget_clean(const char *path)
{
    bool            ok = true;
    DIR            *dir = opendir(path);
    struct dirent  *entry;

    if (dir == NULL) {
        return errno == ENOTDIR;        /* a single segment */
    }

    while ((entry = readdir(dir)) != NULL) {
        if (is_temporary(entry->d_name)
            && !remove_leftover(dirfd(dir), entry->d_name))
        {
            tool_errno("remove", entry->d_name);
            ok = false;
        }
    }

    closedir(dir);

    return ok;
}
