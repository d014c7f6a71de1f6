/*
 * forget.c - a customer's records in the segments of an event log: found, and
 * replaced.
 */

#include "forget.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define uthash_malloc(size)         tool_alloc(size)
#define uthash_free(pointer, size)  free(pointer)
#include <uthash.h>

#define HASHED_LEN  32          /* of a customer key under a secret */

struct forget_id_s {
    reco_id_t       id;
    UT_hash_handle  hh;
};

/* ---- who ---------------------------------------------------------------- */

void
forget_add_id(forget_t *f, const reco_id_t *id)
{
    forget_id_t  *known;

    HASH_FIND(hh, f->ids, id, sizeof(*id), known);

    if (known == NULL) {
        known = tool_alloc(sizeof(*known));
        known->id = *id;
        HASH_ADD(hh, f->ids, id, sizeof(known->id), known);
    }
}

bool
forget_has_id(const forget_t *f, const reco_id_t *id)
{
    forget_id_t  *known;

    HASH_FIND(hh, f->ids, id, sizeof(*id), known);

    return known != NULL;
}

void
forget_free(forget_t *f)
{
    forget_id_t  *known, *next;

    HASH_ITER(hh, f->ids, known, next) {
        HASH_DEL(f->ids, known);
        free(known);
    }
}

bool
forget_is_theirs(const forget_t *f, reco_str_t customer_key)
{
    uint32_t  i;

    for (i = 0; i < f->nkeys; i++) {
        if (reco_str_equal(f->keys[i], customer_key)) {
            return true;
        }
    }

    return false;
}

bool
forget_is_hash(reco_str_t key)
{
    size_t  i;

    for (i = 0; i < key.len; i++) {
        if (strchr("0123456789abcdef", key.data[i]) == NULL) {
            return false;
        }
    }

    return key.len == HASHED_LEN;
}

/* ---- lines -------------------------------------------------------------- */

typedef enum { LINE_RECORD, LINE_UNREADABLE, LINE_END, LINE_ERROR } line_t;

typedef struct {
    FILE              *file;
    bool               live;        /* its last line may be on its way */
    char              *text;
    size_t             size;
    size_t             len;         /* with the newline */
    reco_arena_t       arena;
    reco_json_keys_t  *keys;
    reco_event_t      *event;
} lines_t;

/* Takes the descriptor. */
static bool
lines_open(lines_t *l, int fd, bool live)
{
    memset(l, 0, sizeof(*l));
    l->live = live;
    l->file = fdopen(fd, "r");
    if (l->file == NULL) {
        close(fd);
        return false;
    }

    l->keys = tool_alloc(sizeof(*l->keys));
    memset(l->keys, 0, sizeof(*l->keys));
    l->event = tool_alloc(sizeof(*l->event));

    return true;
}

static void
lines_close(lines_t *l)
{
    if (l->file != NULL) {
        fclose(l->file);
    }
    free(l->text);
    free(l->arena.base);
    free(l->keys);
    free(l->event);
}

static line_t
lines_next(lines_t *l)
{
    ssize_t       n;
    reco_error_t  err;

    errno = 0;
    n = getline(&l->text, &l->size, l->file);

    if (n <= 0) {
        return ferror(l->file) || errno == ENOMEM ? LINE_ERROR : LINE_END;
    }

    l->len = (size_t) n;

    if (l->text[n - 1] != '\n') {
        return l->live ? LINE_END : LINE_UNREADABLE;
    }

    if (l->arena.size < 2 * l->len + 16) {
        l->arena.size = 2 * l->len + 16;
        l->arena.base = tool_realloc(l->arena.base, l->arena.size);
    }
    l->arena.used = 0;

    return reco_event_read((reco_str_t) { l->text, l->len - 1 }, &l->arena,
                           l->keys, l->event, &err) == RECO_OK
           ? LINE_RECORD : LINE_UNREADABLE;
}

/* A fifo would wait for its writer. */
static int
open_regular(const char *path)
{
    int          fd, e;
    struct stat  st;

    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd == -1) {
        return -1;
    }

    e = (fstat(fd, &st) != 0) ? errno : S_ISREG(st.st_mode) ? 0 : EINVAL;

    if (e != 0) {
        close(fd);
        errno = e;
        return -1;
    }

    return fd;
}

/* One that was closed since it was listed has another name; one that is gone
 * was removed for its age, or moved. */
static bool
segment_open(forget_segment_t *s, lines_t *l)
{
    int  fd = open_regular(s->path);

    if (fd == -1 && errno == ENOENT && s->live) {
        s->path[strlen(s->path) - strlen(".open")] = '\0';
        s->live = false;
        fd = open_regular(s->path);
    }

    if (fd == -1 && errno == ENOENT) {
        s->gone = true;
        return false;
    }

    if (fd == -1 || !lines_open(l, fd, s->live)) {
        tool_errno("open", s->path);
        return false;
    }

    return true;
}

/* ---- looking ------------------------------------------------------------ */

static void
learn_record(forget_t *f, const reco_event_t *e)
{
    if (e->type == RECO_EVENT_FORGOTTEN) {
        if (e->has_id) {
            forget_add_id(f, &e->id);
        }
        return;
    }

    if (e->customer_key.len > 0) {
        if (forget_is_hash(e->customer_key)) {
            f->hashed++;
        } else {
            f->plain++;
        }
    }

    if (e->type == RECO_EVENT_DECISION
        && forget_is_theirs(f, e->customer_key))
    {
        forget_add_id(f, &e->id);
    }
}

bool
forget_learn(forget_t *f, forget_segment_t *segment)
{
    line_t   is;
    lines_t  l;

    if (!segment_open(segment, &l)) {
        return segment->gone;
    }

    while ((is = lines_next(&l)) == LINE_RECORD || is == LINE_UNREADABLE) {
        segment->used |= is != LINE_RECORD
                         || l.event->type != RECO_EVENT_HEADER;
        if (is == LINE_RECORD) {
            learn_record(f, l.event);
        }
    }

    if (is == LINE_ERROR) {
        tool_errno("read", segment->path);
    }
    lines_close(&l);

    return is != LINE_ERROR;
}

/* Whether the record goes; it is counted then. */
static bool
goes(const forget_t *f, const reco_event_t *e, forget_counts_t *counts)
{
    uint64_t  time_ms = e->type == RECO_EVENT_HEADER ? 0 : e->time_ms;

    if (time_ms > counts->newest_ms) {
        counts->newest_ms = time_ms;
    }

    switch (e->type) {
    case RECO_EVENT_DECISION:
        if (!forget_is_theirs(f, e->customer_key)) {
            return false;
        }
        counts->decisions++;
        return true;
    case RECO_EVENT_REWARD:
        if (!forget_is_theirs(f, e->customer_key)
            && !(e->has_id && forget_has_id(f, &e->id)))
        {
            return false;
        }
        counts->rewards++;
        return true;
    default:
        return false;
    }
}

bool
forget_count(const forget_t *f, forget_segment_t *segment,
    forget_counts_t *counts)
{
    line_t   is;
    lines_t  l;

    memset(counts, 0, sizeof(*counts));

    if (!segment_open(segment, &l)) {
        return segment->gone;
    }

    while ((is = lines_next(&l)) == LINE_RECORD || is == LINE_UNREADABLE) {
        if (is == LINE_RECORD) {
            (void) goes(f, l.event, counts);
        } else {
            counts->unreadable++;
        }
    }

    if (is == LINE_ERROR) {
        tool_errno("read", segment->path);
    }
    lines_close(&l);

    return is != LINE_ERROR;
}

/* ---- replacing ---------------------------------------------------------- */

static void
write_line(FILE *out, const lines_t *l, bool replace)
{
    char                *text;
    size_t               room = l->len + 256;
    reco_buf_t           b;
    const reco_event_t  *e = l->event;

    if (!replace) {
        fwrite(l->text, 1, l->len, out);
        return;
    }

    text = tool_alloc(room);
    reco_buf_init(&b, text, room);
    reco_event_write_forgotten(&b, e->seq, e->time_ms,
                               e->type == RECO_EVENT_DECISION ? &e->id : NULL,
                               l->len);
    fwrite(text, 1, reco_buf_len(&b), out);
    free(text);
}

/* Owner and mode stay: the servers' user reads it. Its time moves on by one
 * second: a copy is made again by programs that compare size and time, and
 * what goes by age goes when it would have gone. */
static bool
keep_attributes(FILE *out, const struct stat *st)
{
    struct timespec  times[2] = { st->st_atim, st->st_mtim };

    times[1].tv_sec++;

    return fflush(out) == 0
           && (fchown(fileno(out), st->st_uid, st->st_gid) == 0
               || (st->st_uid == geteuid() && st->st_gid == getegid()))
           && fchmod(fileno(out), st->st_mode & 07777) == 0
           && futimens(fileno(out), times) == 0;
}

static bool
copy(const forget_t *f, const char *path, lines_t *l, const struct stat *st,
    forget_counts_t *counts)
{
    bool           ok;
    line_t         is;
    mode_t         mask;
    tool_output_t  out;

    /* nobody else's to read, before it has the segment's owner and mode */
    mask = umask(077);
    ok = tool_output_replace(&out, path);
    (void) umask(mask);

    if (!ok) {
        return false;
    }

    while ((is = lines_next(l)) == LINE_RECORD || is == LINE_UNREADABLE) {
        if (is == LINE_UNREADABLE) {
            counts->unreadable++;
        }
        write_line(out.file, l, is == LINE_RECORD
                                && goes(f, l->event, counts));
    }

    if (is == LINE_ERROR) {
        tool_errno("read", path);

    } else if (!keep_attributes(out.file, st)) {
        tool_errno("write", path);

    } else {
        return tool_output_commit(&out);
    }

    tool_output_abandon(&out);

    return false;
}

bool
forget_rewrite(const forget_t *f, const char *path, forget_counts_t *counts)
{
    int          fd;
    bool         ok;
    lines_t      l;
    struct stat  st;

    memset(counts, 0, sizeof(*counts));

    fd = forget_lock(path, true);
    if (fd == -1 && errno == ENOENT) {
        counts->gone = true;
        return true;
    }

    if (fd == -1 || fstat(fd, &st) != 0 || !lines_open(&l, fd, false)) {
        tool_errno("open", path);
        return false;
    }

    ok = copy(f, path, &l, &st, counts);
    lines_close(&l);                    /* and so the lock goes */

    return ok;
}
