/*
 * reco_segment_retain.c - the room that a node's segments take in a folder,
 * and which closed ones go. One call looks once: it keeps nothing.
 *
 * The folder changes meanwhile. A segment that is renamed while its folder is
 * listed may be in that listing under neither name: so it is listed twice, and
 * what is in either counts.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE             /* memrchr */
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

#define CLOSED_SUFFIX  ".ndjson"
#define OPEN_SUFFIX    ".ndjson.open"

#define NUMBER_MAX     19       /* digits that fit 64 bits */

/* Most records are short; one that is longer than the last of these does not
 * tell its segment's age, the file's time does. */
#define TAIL_MIN       4096
#define TAIL_MAX       (256 * 1024)

#define HEADER_MAX     1024

typedef struct {
    char      name[128];        /* of the closed segment */
    uint32_t  incarnation;
    uint64_t  number;
    uint64_t  size;
    uint64_t  file_ms;          /* the file's time */
    uint64_t  last_ms;          /* of the last record; 0: not looked at */
    uint64_t  order_ms;
    dev_t     dev;
    ino_t     ino;
    bool      closed;
    bool      gone;
    bool      stays;            /* lest there be a hole before it */
} entry_t;

typedef struct {
    const reco_retain_t  *want;
    reco_retained_t      *out;
    int                   dir;
    entry_t              *list;
    size_t                n;
    size_t                room;
} folder_t;

static reco_status_t
io_error(reco_error_t *err, const char *what, const char *name)
{
    return reco_error_set(err, RECO_IO, NULL, "cannot %s '%s': %s", what, name,
                          strerror(errno));
}

/* ---- names ---------------------------------------------------------- */

/* reco-<node>-<8 hex>-<digits>.ndjson[.open]. A folder may have segments of
 * another node whose name begins with ours. */
static bool
parse_name(const char *name, reco_str_t node, entry_t *e)
{
    char    *end;
    size_t   digits;

    if (strncmp(name, "reco-", 5) != 0
        || strncmp(name + 5, node.data, node.len) != 0
        || name[5 + node.len] != '-')
    {
        return false;
    }

    name += 5 + node.len + 1;

    if (strspn(name, "0123456789abcdef") != 8 || name[8] != '-') {
        return false;
    }

    e->incarnation = (uint32_t) strtoul(name, &end, 16);
    name = end + 1;

    digits = strspn(name, "0123456789");
    if (digits < 6 || digits > NUMBER_MAX) {
        return false;
    }

    e->number = strtoull(name, &end, 10);
    e->closed = strcmp(end, CLOSED_SUFFIX) == 0;

    return e->closed || strcmp(end, OPEN_SUFFIX) == 0;
}

/* Of one segment, the closed one first. */
static int
by_name(const void *a, const void *b)
{
    const entry_t  *x = a, *y = b;

    if (x->incarnation != y->incarnation) {
        return (x->incarnation < y->incarnation) ? -1 : 1;
    }
    if (x->number != y->number) {
        return (x->number < y->number) ? -1 : 1;
    }

    return (int) y->closed - (int) x->closed;
}

static int
by_order(const void *a, const void *b)
{
    const entry_t  *x = a, *y = b;

    if (x->order_ms != y->order_ms) {
        return (x->order_ms < y->order_ms) ? -1 : 1;
    }

    return by_name(a, b);
}

/* ---- listing -------------------------------------------------------- */

static bool
add(folder_t *f, const entry_t *e)
{
    size_t    room;
    entry_t  *list;

    if (f->n == f->room) {
        room = (f->room == 0) ? 64 : 2 * f->room;
        list = realloc(f->list, room * sizeof(*list));
        if (list == NULL) {
            return false;
        }
        f->list = list;
        f->room = room;
    }

    f->list[f->n++] = *e;

    return true;
}

static reco_status_t
list_once(folder_t *f, DIR *d, reco_error_t *err)
{
    entry_t         e;
    struct stat     st;
    struct dirent  *entry;

    memset(&e, 0, sizeof(e));
    rewinddir(d);

    while (errno = 0, (entry = readdir(d)) != NULL) {

        if (!parse_name(entry->d_name, f->want->node, &e)) {
            continue;
        }

        if (fstatat(f->dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno == ENOENT) {
                continue;       /* renamed, shipped or removed meanwhile */
            }
            return io_error(err, "stat", entry->d_name);
        }

        if (!S_ISREG(st.st_mode)) {
            continue;
        }

        (void) snprintf(e.name, sizeof(e.name), "%.*s",
                        (int) (strlen(entry->d_name)
                               - (e.closed ? 0 : strlen(".open"))),
                        entry->d_name);
        e.size = (uint64_t) st.st_size;
        e.file_ms = (uint64_t) st.st_mtim.tv_sec * 1000
                    + (uint64_t) st.st_mtim.tv_nsec / 1000000;
        e.dev = st.st_dev;
        e.ino = st.st_ino;

        if (!add(f, &e)) {
            return reco_error_set(err, RECO_NO_MEMORY, NULL, "out of memory");
        }
    }

    return (errno == 0) ? RECO_OK : io_error(err, "list", f->want->dir);
}

/* Each segment once, as large as it was at most. */
static reco_status_t
list(folder_t *f, DIR *d, reco_error_t *err)
{
    size_t         i, n = 0;
    entry_t       *e;
    reco_status_t  rc;

    rc = list_once(f, d, err);
    if (rc == RECO_OK) {
        rc = list_once(f, d, err);
    }
    if (rc != RECO_OK) {
        return rc;
    }

    if (f->n > 0) {
        qsort(f->list, f->n, sizeof(*f->list), by_name);
    }

    for (i = 0; i < f->n; i++) {
        e = (n > 0) ? &f->list[n - 1] : NULL;

        if (e != NULL && e->incarnation == f->list[i].incarnation
            && e->number == f->list[i].number)
        {
            if (e->size < f->list[i].size) {
                e->size = f->list[i].size;
            }
            continue;
        }

        f->list[n++] = f->list[i];
    }

    f->n = n;

    for (i = 0; i < n; i++) {
        f->out->bytes += f->list[i].size;
        f->out->closed += f->list[i].closed;
    }

    f->out->counted = true;

    return RECO_OK;
}

/* ---- ages ----------------------------------------------------------- */

typedef struct {
    reco_event_t      event;
    reco_json_keys_t  keys;
    char              strings[];
} record_t;

/* The caller frees it; NULL when the line is no record. */
static record_t *
read_record(const char *line, size_t len)
{
    record_t      *r;
    reco_arena_t   arena = { NULL, 2 * len + 16, 0 };
    reco_error_t   fault;

    r = calloc(1, sizeof(*r) + arena.size);
    if (r == NULL) {
        return NULL;
    }

    arena.base = r->strings;

    if (reco_event_read((reco_str_t) { line, len }, &arena, &r->keys,
                        &r->event, &fault) != RECO_OK)
    {
        free(r);
        return NULL;
    }

    return r;
}

/* The time of the last whole line; 0 when there is no telling. */
static uint64_t
time_of_last(const char *text, size_t len)
{
    record_t    *r;
    uint64_t     time_ms;
    const char  *newline, *before;

    newline = memrchr(text, '\n', len);
    before = (newline == NULL)
             ? NULL : memrchr(text, '\n', (size_t) (newline - text));

    if (before == NULL) {
        return 0;
    }

    r = read_record(before + 1, (size_t) (newline - before - 1));
    time_ms = (r != NULL) ? r->event.time_ms : 0;
    free(r);

    return time_ms;
}

/* By the clock that nobody sets; of another boot it says nothing. (In doubles,
 * which do not overflow; below 2^53 ms they are exact.) */
static bool
is_young(const folder_t *f, const entry_t *e)
{
    int                  fd;
    bool                 young = false;
    char                 text[HEADER_MAX];
    ssize_t              n;
    record_t            *r;
    const char          *newline;
    const reco_clock_t  *clock;

    if (f->want->boot.len == 0) {
        return false;
    }

    fd = openat(f->dir, e->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK
                                 | O_CLOEXEC);
    n = (fd >= 0) ? pread(fd, text, sizeof(text), 0) : -1;
    newline = (n > 0) ? memchr(text, '\n', (size_t) n) : NULL;
    r = (newline != NULL) ? read_record(text, (size_t) (newline - text)) : NULL;

    if (r != NULL && r->event.type == RECO_EVENT_HEADER) {
        clock = &r->event.header.clock;
        young = clock->known && clock->boot.len == f->want->boot.len
                && memcmp(clock->boot.data, f->want->boot.data,
                          clock->boot.len) == 0
                && (double) e->last_ms - (double) clock->offset_ms
                   >= (double) f->want->since_ms;
    }

    free(r);

    if (fd >= 0) {
        (void) close(fd);
    }

    return young;
}

static void
read_age(const folder_t *f, entry_t *e)
{
    int      fd;
    char    *text;
    size_t   len;
    ssize_t  n;

    e->last_ms = e->file_ms;

    fd = openat(f->dir, e->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK
                                 | O_CLOEXEC);
    text = malloc(TAIL_MAX);

    for (len = TAIL_MIN; fd >= 0 && text != NULL && len <= TAIL_MAX; len *= 8)
    {
        uint64_t  time_ms;

        n = pread(fd, text, len, (e->size > len) ? (off_t) (e->size - len) : 0);
        time_ms = (n > 0) ? time_of_last(text, (size_t) n) : 0;

        if (time_ms != 0) {
            e->last_ms = time_ms;
            break;
        }

        if (e->size <= len) {
            break;
        }
    }

    free(text);

    if (fd >= 0) {
        (void) close(fd);
    }
}

/* The file's time saves most from being read. */
static bool
is_expired(const folder_t *f, entry_t *e)
{
    if (e->file_ms >= f->want->before_ms) {
        return false;
    }

    if (e->last_ms == 0) {
        read_age(f, e);
    }

    return e->last_ms < f->want->before_ms && !is_young(f, e);
}

/* Oldest first, by the last record; but of one writer in the order of its
 * numbers, whatever its clock did, so that what is left of it has no hole. The
 * list is by name. */
static void
order(folder_t *f)
{
    size_t    i;
    entry_t  *e, *next = NULL;

    for (i = f->n; i-- > 0; next = e) {
        e = &f->list[i];

        if (e->closed && e->last_ms == 0) {
            read_age(f, e);
        }

        e->order_ms = e->closed ? e->last_ms : UINT64_MAX;

        if (next != NULL && next->incarnation == e->incarnation
            && next->order_ms < e->order_ms)
        {
            e->order_ms = next->order_ms;
        }
    }

    if (f->n > 0) {
        qsort(f->list, f->n, sizeof(*f->list), by_order);
    }
}

/* ---- removing ------------------------------------------------------- */

/* Who ships or rewrites a segment holds it. */
static reco_status_t
remove_one(folder_t *f, entry_t *e, reco_error_t *err)
{
    int            fd;
    struct stat    st;
    reco_status_t  rc = RECO_OK;

    fd = openat(f->dir, e->name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        if (errno != ENOENT) {
            return io_error(err, "open", e->name);
        }
        /* shipped meanwhile: it is not to be looked for again */
        f->out->bytes -= e->size;
        f->out->closed--;
        e->closed = false;
        return RECO_OK;
    }

    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) {
            f->out->held++;
        } else {
            rc = io_error(err, "lock", e->name);
        }

    } else if (fstatat(f->dir, e->name, &st, AT_SYMLINK_NOFOLLOW) == 0
               && st.st_dev == e->dev && st.st_ino == e->ino)
    {
        if (unlinkat(f->dir, e->name, 0) == 0) {
            f->out->bytes -= e->size;
            f->out->closed--;
            e->gone = true;

        } else {
            rc = io_error(err, "remove", e->name);
        }
    }
    /* else it was written anew under its name: the next look sees it */

    (void) close(fd);

    return rc;
}

/* Of several failures the first one is told. */
static void
remove_and_note(folder_t *f, entry_t *e, reco_status_t *rc, reco_error_t *err)
{
    reco_error_t   later;
    reco_status_t  one;

    one = remove_one(f, e, (*rc == RECO_OK) ? err : &later);

    if (*rc == RECO_OK) {
        *rc = one;
    }

    if (e->gone) {
        (void) snprintf(f->out->last, sizeof(f->out->last), "%s", e->name);
    }
}

static reco_status_t
remove_expired(folder_t *f, reco_error_t *err)
{
    size_t         i;
    entry_t       *e;
    reco_status_t  rc = RECO_OK;

    for (i = 0; i < f->n; i++) {
        e = &f->list[i];

        if (!e->closed || !is_expired(f, e)) {
            continue;
        }

        remove_and_note(f, e, &rc, err);

        if (e->gone) {
            f->out->expired++;
            f->out->expired_bytes += e->size;
        }
    }

    return rc;
}

/* The list is by order: what is behind is later. */
static void
keep_later(folder_t *f, size_t i)
{
    size_t  k;

    for (k = i + 1; k < f->n; k++) {
        if (f->list[k].incarnation == f->list[i].incarnation) {
            f->list[k].stays = true;
        }
    }
}

static reco_status_t
remove_oldest(folder_t *f, reco_error_t *err)
{
    size_t         i;
    entry_t       *e;
    reco_status_t  rc = RECO_OK;

    order(f);
    f->out->held = 0;

    for (i = 0; i < f->n && f->out->bytes > f->want->drop_to; i++) {
        e = &f->list[i];

        if (!e->closed || e->gone || e->stays) {
            continue;
        }

        remove_and_note(f, e, &rc, err);

        if (e->gone) {
            f->out->dropped++;
            f->out->dropped_bytes += e->size;

        } else if (e->closed && !f->want->force) {
            keep_later(f, i);
        }
    }

    return rc;
}

static reco_status_t
remove_all(folder_t *f, reco_error_t *err)
{
    reco_error_t      later;
    reco_status_t     rc = RECO_OK, more = RECO_OK;
    reco_retained_t  *out = f->out;

    if (f->want->before_ms != 0) {
        rc = remove_expired(f, err);
    }

    if (f->want->max != 0 && out->bytes > f->want->max) {
        more = remove_oldest(f, (rc == RECO_OK) ? err : &later);
    }

    if (rc == RECO_OK) {
        rc = more;
    }

    if (out->expired + out->dropped > 0 && fsync(f->dir) != 0
        && rc == RECO_OK)
    {
        rc = io_error(err, "sync", f->want->dir);
    }

    return rc;
}

/* ---- from outside --------------------------------------------------- */

reco_status_t
reco_segment_lock(const char *dir, bool create, bool wait, int *fd,
    reco_error_t *err)
{
    int   rc;
    char  path[2048];

    *fd = -1;

    if ((size_t) snprintf(path, sizeof(path), "%s/" RECO_LOG_MARK, dir)
        >= sizeof(path))
    {
        return reco_error_set(err, RECO_LIMIT, NULL,
                              "path of the log folder is too long");
    }

    /* it may be another user's, whose folder this is */
    *fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC
                     | (create ? O_CREAT : 0), 0640);
    if (*fd < 0) {
        return (errno == ENOENT && !create)
               ? reco_error_set(err, RECO_NOT_FOUND, NULL, "no '%s'", path)
               : io_error(err, "open", path);
    }

    do {
        rc = flock(*fd, LOCK_EX | (wait ? 0 : LOCK_NB));
    } while (rc != 0 && errno == EINTR);

    if (rc == 0) {
        return RECO_OK;
    }

    rc = (errno == EWOULDBLOCK)
         ? reco_error_set(err, RECO_LIMIT, NULL, "'%s' is held", path)
         : io_error(err, "lock", path);

    (void) close(*fd);
    *fd = -1;

    return (reco_status_t) rc;
}

reco_status_t
reco_segment_retain(const reco_retain_t *want, reco_retained_t *out,
    reco_error_t *err)
{
    DIR           *d;
    folder_t       f;
    reco_status_t  rc;

    memset(out, 0, sizeof(*out));
    memset(&f, 0, sizeof(f));

    d = opendir(want->dir);
    if (d == NULL) {
        return io_error(err, "open", want->dir);
    }

    f.want = want;
    f.out = out;
    f.dir = dirfd(d);

    rc = list(&f, d, err);

    if (rc == RECO_OK) {
        rc = remove_all(&f, err);
    }

    free(f.list);
    (void) closedir(d);

    return rc;
}
