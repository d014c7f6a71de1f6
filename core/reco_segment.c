/*
 * reco_segment.c - segments of the event log as files: written by one owner,
 * recovered when the owner was killed. A segment lives from
 * reco_segment_open() to reco_segment_finish(); the lock on its descriptor
 * says that its writer lives. Reading is in reco_log_reader.c.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE             /* renameat2 */
#endif

#include "reco_segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_SUFFIX    ".ndjson.open"
#define CLOSED_SUFFIX  ".ndjson"

#define NODE_MAX       64
#define HEADER_MAX     1024

/* Longest record there may be, for finding the end of the last whole one:
 * read backwards in blocks of this. */
#define TAIL_BLOCK     (64 * 1024)

static reco_status_t
io_error(reco_error_t *err, const char *what, const char *name)
{
    return reco_error_set(err, RECO_IO, NULL, "cannot %s '%s': %s", what, name,
                          strerror(errno));
}

bool
reco_node_is_valid(reco_str_t node)
{
    char    c;
    size_t  i;

    if (node.len == 0 || node.len > NODE_MAX || node.data[0] == '.') {
        return false;
    }

    for (i = 0; i < node.len; i++) {
        c = node.data[i];

        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')
              || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-'))
        {
            return false;
        }
    }

    return true;
}

/* ---- names and folders ---------------------------------------------- */

/* DIR/NAME; false when it does not fit. */
static bool
join(char *path, size_t size, const char *dir, const char *name)
{
    return (size_t) snprintf(path, size, "%s/%s", dir, name) < size;
}

/* "x.ndjson.open" -> "x.ndjson" */
static void
closed_name(char *out, size_t size, const char *open_name)
{
    (void) snprintf(out, size, "%.*s%s",
                    (int) (strlen(open_name) - strlen(OPEN_SUFFIX)), open_name,
                    CLOSED_SUFFIX);
}

static bool
has_suffix(const char *name, const char *suffix)
{
    size_t  n = strlen(name), s = strlen(suffix);

    return n > s && strcmp(name + n - s, suffix) == 0;
}

static reco_status_t
sync_folder(const char *dir, reco_error_t *err)
{
    int            fd;
    reco_status_t  rc;

    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return io_error(err, "open", dir);
    }

    rc = (fsync(fd) == 0) ? RECO_OK : io_error(err, "sync", dir);
    (void) close(fd);

    return rc;
}

/* Renames an .open segment to .ndjson, never over another file. */
static reco_status_t
rename_closed(const char *dir, const char *name, reco_error_t *err)
{
    char         from[2048], to[2048], closed[512];
    int          rc;

    closed_name(closed, sizeof(closed), name);

    if (!join(from, sizeof(from), dir, name)
        || !join(to, sizeof(to), dir, closed))
    {
        errno = ENAMETOOLONG;
        return io_error(err, "rename", name);
    }

    rc = renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);

    /* a file system without that flag: link fails where the name exists */
    if (rc != 0 && (errno == EINVAL || errno == ENOSYS)) {
        rc = link(from, to);
        if (rc == 0) {
            rc = unlink(from);
        }
    }

    if (rc != 0) {
        return io_error(err, "rename", from);
    }

    return sync_folder(dir, err);
}

/* ---- writing -------------------------------------------------------- */

static void
close_fd(int *fd)
{
    if (*fd >= 0) {
        (void) close(*fd);
        *fd = -1;
    }
}

/* The name must be new, as an open segment and as a closed one. */
static reco_status_t
create(reco_segment_t *s, const char *path, reco_error_t *err)
{
    char           closed[512], closed_path[2048];
    bool           locked;
    struct stat    st;
    reco_status_t  rc;

    closed_name(closed, sizeof(closed), s->name);

    if (join(closed_path, sizeof(closed_path), s->dir, closed)
        && lstat(closed_path, &st) == 0)
    {
        return reco_error_set(err, RECO_INVALID, NULL,
                              "segment '%s' exists", closed_path);
    }

    s->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC
                       | O_NOFOLLOW, 0640);

    if (s->fd < 0) {
        return (errno == EEXIST)
               ? reco_error_set(err, RECO_INVALID, NULL, "segment '%s' exists",
                                path)
               : io_error(err, "create", path);
    }

    locked = flock(s->fd, LOCK_EX | LOCK_NB) == 0;

    if (!locked && errno != EWOULDBLOCK) {
        rc = io_error(err, "lock", path);
        (void) unlink(path);
        close_fd(&s->fd);
        return rc;
    }

    /* Between creation and lock another's recovery may have taken the new
     * file for an abandoned one, and may have removed it. */
    if (!locked || fstat(s->fd, &st) != 0 || st.st_nlink == 0) {
        close_fd(&s->fd);
        return reco_error_set(err, RECO_INVALID, NULL,
                              "segment '%s' was taken by a recovery", path);
    }

    return RECO_OK;
}

reco_status_t
reco_segment_open(reco_segment_t *s, const char *dir, reco_str_t node,
    uint32_t incarnation, uint64_t number, uint64_t time_ms,
    const reco_clock_t *clock, reco_error_t *err)
{
    char                   path[2048], text[HEADER_MAX];
    reco_buf_t             b;
    reco_status_t          rc;
    reco_segment_header_t  header;

    s->fd = -1;
    s->size = 0;
    s->header = 0;
    s->number = number;
    s->opened_ms = time_ms;
    s->clock = (clock != NULL) ? *clock : (reco_clock_t) { .known = false };
    s->uncut = false;
    s->named = false;

    if (!reco_node_is_valid(node)) {
        return reco_error_set(err, RECO_INVALID, "node",
                              "must be 1 to 64 of A-Z a-z 0-9 . _ - and not"
                              " begin with a dot");
    }

    if (strlen(dir) >= sizeof(s->dir)) {
        return reco_error_set(err, RECO_LIMIT, NULL,
                              "path of the log folder is too long");
    }

    memcpy(s->dir, dir, strlen(dir) + 1);
    (void) snprintf(s->name, sizeof(s->name), "reco-%.*s-%08x-%06llu%s",
                    (int) node.len, node.data, (unsigned) incarnation,
                    (unsigned long long) number, OPEN_SUFFIX);
    (void) join(path, sizeof(path), s->dir, s->name);

    rc = create(s, path, err);
    if (rc != RECO_OK) {
        return rc;
    }

    header.node = node;
    header.incarnation = incarnation;
    header.segment = number;
    header.time_ms = time_ms;
    header.clock = s->clock;

    reco_buf_init(&b, text, sizeof(text));
    reco_event_write_header(&b, &header);

    rc = reco_segment_append(s, b.start, reco_buf_len(&b), err);
    if (rc != RECO_OK) {
        (void) unlink(path);
        close_fd(&s->fd);
        return rc;
    }

    s->header = s->size;

    return RECO_OK;
}

/* errno says why when it is false. A write that came up short is continued,
 * because only the next one says what is the matter. */
static bool
write_all(int fd, const char *data, size_t len)
{
    ssize_t  n;

    while (len > 0) {
        n = write(fd, data, len);

        if (n < 0 && errno == EINTR) {
            continue;
        }

        if (n <= 0) {
            if (n == 0) {
                errno = ENOSPC;
            }
            return false;
        }

        data += n;
        len -= (size_t) n;
    }

    return true;
}

/* The file to what it has of whole writes; errno says why when it is false. A
 * file that cannot be cut may have nothing that has to be. */
static bool
cut_back(reco_segment_t *s)
{
    struct stat  st;

    s->uncut = ftruncate(s->fd, (off_t) s->size) != 0
               && (fstat(s->fd, &st) != 0 || (uint64_t) st.st_size > s->size);

    return !s->uncut;
}

static reco_status_t
removed(const reco_segment_t *s, reco_error_t *err)
{
    return reco_error_set(err, RECO_IO, NULL,
                          "segment '%s' was removed while in use", s->name);
}

reco_status_t
reco_segment_append(reco_segment_t *s, const char *data, size_t len,
    reco_error_t *err)
{
    int          failure;
    struct stat  st;

    if (s->fd < 0) {
        return reco_error_set(err, RECO_IO, NULL, "segment is closed");
    }

    if (fstat(s->fd, &st) != 0) {
        return io_error(err, "stat", s->name);
    }

    if (st.st_nlink == 0) {
        return removed(s, err);
    }

    /* a tool that copies and truncates logs has been at it */
    if ((uint64_t) st.st_size < s->size) {
        s->size = (uint64_t) st.st_size;
    }

    if (s->uncut && !cut_back(s)) {
        return io_error(err, "cut back", s->name);
    }

    if (write_all(s->fd, data, len)) {
        s->size += len;
        return RECO_OK;
    }

    failure = errno;

    if (!cut_back(s)) {
        return reco_error_set(err, RECO_IO, NULL,
                              "cannot write '%s': %s; nor cut it back: %s",
                              s->name, strerror(failure), strerror(errno));
    }

    errno = failure;

    return io_error(err, "write", s->name);
}

bool
reco_segment_is_linked(const reco_segment_t *s)
{
    char         path[2048];
    struct stat  st, at;

    return s->fd >= 0
           && fstat(s->fd, &st) == 0
           && st.st_nlink > 0
           && join(path, sizeof(path), s->dir, s->name)
           && lstat(path, &at) == 0
           && at.st_dev == st.st_dev
           && at.st_ino == st.st_ino;
}

reco_status_t
reco_segment_sync(reco_segment_t *s, reco_error_t *err)
{
    reco_status_t  rc;

    if (s->fd < 0) {
        return reco_error_set(err, RECO_IO, NULL, "segment is closed");
    }

    if (fdatasync(s->fd) != 0) {
        return io_error(err, "sync", s->name);
    }

    rc = s->named ? RECO_OK : sync_folder(s->dir, err);

    /* of a file that is not there neither name nor data were made to last */
    if (rc == RECO_OK && !reco_segment_is_linked(s)) {
        rc = removed(s, err);
    }

    s->named = rc == RECO_OK;

    return rc;
}

/* The lock goes with the descriptor, so that nobody recovers the file before
 * it has its new name. */
reco_status_t
reco_segment_finish(reco_segment_t *s, reco_error_t *err)
{
    char           path[2048];
    reco_status_t  rc;

    if (s->fd < 0) {
        return RECO_OK;
    }

    if (!reco_segment_is_linked(s)) {
        rc = removed(s, err);

    } else if (s->uncut && !cut_back(s)) {
        rc = io_error(err, "cut back", s->name);

    } else if (s->size == s->header) {
        (void) join(path, sizeof(path), s->dir, s->name);
        rc = (unlink(path) == 0) ? RECO_OK : io_error(err, "remove", path);

    } else if (fsync(s->fd) != 0) {
        rc = io_error(err, "sync", s->name);

    } else {
        rc = rename_closed(s->dir, s->name, err);
    }

    close_fd(&s->fd);

    return rc;
}

/* ---- recovery ------------------------------------------------------- */

/* Bytes up to and with the last newline, or -1 with errno. */
static off_t
whole_bytes(int fd, off_t size)
{
    char        block[TAIL_BLOCK];
    off_t       at;
    size_t      len;
    ssize_t     n;
    const char *newline;

    while (size > 0) {
        len = (size > TAIL_BLOCK) ? TAIL_BLOCK : (size_t) size;
        at = size - (off_t) len;

        n = pread(fd, block, len, at);
        if (n != (ssize_t) len) {
            if (n >= 0) {
                errno = EIO;
            }
            return -1;
        }

        newline = memrchr(block, '\n', len);
        if (newline != NULL) {
            return at + (newline - block) + 1;
        }

        size = at;
    }

    return 0;
}

/* Whether the first 'size' bytes, which end with a newline, are a header and
 * no more. */
static bool
is_header_only(int fd, off_t size)
{
    char        text[HEADER_MAX];
    ssize_t     n;
    const char *newline;

    static const char  start[] = "{\"type\":\"segment\",";

    if (size == 0) {
        return true;
    }

    if (size > HEADER_MAX) {
        return false;
    }

    n = pread(fd, text, (size_t) size, 0);
    if (n != (ssize_t) size || memcmp(text, start, sizeof(start) - 1) != 0) {
        return false;
    }

    newline = memchr(text, '\n', (size_t) size);

    return newline == text + size - 1;
}

/* The lock is ours and the file is still what its name says. */
static reco_status_t
recover_locked(const char *dir, const char *name, const char *path, int fd,
    off_t size, reco_recovery_t *out, reco_error_t *err)
{
    off_t          whole;
    reco_status_t  rc;

    whole = whole_bytes(fd, size);
    if (whole < 0) {
        return io_error(err, "read", path);
    }

    if (is_header_only(fd, whole)) {
        if (unlink(path) != 0) {
            return io_error(err, "remove", path);
        }
        out->empty++;
        return RECO_OK;
    }

    if (whole < size && ftruncate(fd, whole) != 0) {
        return io_error(err, "truncate", path);
    }

    if (fsync(fd) != 0) {
        return io_error(err, "sync", path);
    }

    rc = rename_closed(dir, name, err);
    if (rc != RECO_OK) {
        return rc;
    }

    out->recovered++;
    if (whole < size) {
        out->torn++;
    }

    return RECO_OK;
}

static reco_status_t
recover_one(const char *dir, const char *name, reco_recovery_t *out,
    reco_error_t *err)
{
    int            fd;
    char           path[2048];
    struct stat    st, at;
    reco_status_t  rc;

    if (!join(path, sizeof(path), dir, name)) {
        return RECO_OK;
    }

    fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        /* its owner or another's recovery was faster, or it is no file */
        return (errno == ENOENT || errno == ELOOP || errno == EISDIR)
               ? RECO_OK : io_error(err, "open", path);
    }

    rc = RECO_OK;

    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) {
            out->held++;
        } else {
            rc = io_error(err, "lock", path);
        }

    } else if (fstat(fd, &st) != 0) {
        rc = io_error(err, "stat", path);

    } else if (S_ISREG(st.st_mode) && lstat(path, &at) == 0
               && at.st_dev == st.st_dev && at.st_ino == st.st_ino)
    {
        rc = recover_locked(dir, name, path, fd, st.st_size, out, err);
    }

    (void) close(fd);

    return rc;
}

reco_status_t
reco_segment_recover(const char *dir, reco_recovery_t *out, reco_error_t *err)
{
    DIR            *d;
    reco_status_t   rc, one;
    reco_error_t    later;
    struct dirent  *entry;

    memset(out, 0, sizeof(*out));

    d = opendir(dir);
    if (d == NULL) {
        return io_error(err, "open", dir);
    }

    rc = RECO_OK;

    /* one that cannot be recovered does not keep the others from it; the
     * first failure is told */
    while (errno = 0, (entry = readdir(d)) != NULL) {

        if (strncmp(entry->d_name, "reco-", 5) != 0
            || !has_suffix(entry->d_name, OPEN_SUFFIX))
        {
            continue;
        }

        one = recover_one(dir, entry->d_name, out,
                          (rc == RECO_OK) ? err : &later);
        if (rc == RECO_OK) {
            rc = one;
        }
    }

    if (errno != 0 && rc == RECO_OK) {
        rc = io_error(err, "read", dir);
    }

    (void) closedir(d);

    return rc;
}
