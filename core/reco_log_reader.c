/*
 * reco_log_reader.c - reads an event log, segment after segment, and again
 * what came since. A reader lives from reco_log_open() to reco_log_close() and
 * holds one file open at a time; of each segment it keeps how far it was read.
 * For tools: it allocates and blocks.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE             /* getline, strndup */
#endif

#include "reco_segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A record is bounded by its model, and the largest model's by this; a longer
 * line is none. */
#define LINE_MAX_BYTES  (4 * 1024 * 1024)

/* One segment: "reco-<node>-<incarnation>-<number>.ndjson[.open]". */
typedef struct {
    char      *path;
    char      *node;            /* "" for a file of another name */
    uint32_t   incarnation;
    uint64_t   number;
    bool       live;            /* .open when it was listed */
    bool       done;            /* closed, and read to its end */
    bool       listed;          /* there when the folder was listed last */
    bool       gone;            /* before it was done, which is to be said */
    uint64_t   offset;          /* bytes read: whole lines */
    uint64_t   lines;
    void      *tag;             /* the caller's */
} segment_file_t;

struct reco_log_reader_s {
    char              *path;        /* folder or file */
    bool               is_folder;
    segment_file_t    *files;       /* in order of node, incarnation, number */
    size_t             nfiles;
    size_t             room;        /* for so many in files */
    size_t             current;
    size_t             last;        /* the file of the last event */
    FILE              *file;        /* NULL: the next one is to be opened */
    char              *line;
    size_t             line_size;
    uint64_t           bytes_read;
    uint64_t           bytes_total;
    reco_arena_t       arena;
    reco_json_keys_t  *keys;
    reco_event_t       event;
};

/* ---- the list of segments ------------------------------------------- */

/* Takes a name apart from its right end, because a node's name may have
 * hyphens. False when it is no segment's. */
static bool
parse_name(const char *name, segment_file_t *f)
{
    char        *end;
    size_t       len;
    const char  *p, *dash;

    memset(f, 0, sizeof(*f));
    len = strlen(name);

    if (len > 5 && strcmp(name + len - 5, ".open") == 0) {
        f->live = true;
        len -= 5;
    }

    if (len < 7 || strncmp(name + len - 7, ".ndjson", 7) != 0
        || strncmp(name, "reco-", 5) != 0)
    {
        return false;
    }

    len -= 7;

    dash = memrchr(name, '-', len);
    p = dash + 1;
    if (p == name + len || strspn(p, "0123456789") != len - (size_t) (p - name)
        || len - (size_t) (p - name) > 19)
    {
        return false;
    }

    f->number = strtoull(p, NULL, 10);

    /* "reco-" N "-" 8 hex digits before the dash */
    if (dash - name < 5 + 1 + 1 + 8 || dash[-9] != '-'
        || strspn(dash - 8, "0123456789abcdef") != 8)
    {
        return false;
    }

    f->incarnation = (uint32_t) strtoul(dash - 8, &end, 16);
    f->node = strndup(name + 5, (size_t) (dash - 9 - (name + 5)));

    return true;                        /* without memory: no node */
}

/* Of the segments, however they are named at the moment. */
static int
compare_segments(const segment_file_t *x, const segment_file_t *y)
{
    int  rc;

    rc = strcmp(x->node, y->node);
    if (rc != 0) {
        return rc;
    }

    if (x->incarnation != y->incarnation) {
        return (x->incarnation < y->incarnation) ? -1 : 1;
    }

    if (x->number != y->number) {
        return (x->number < y->number) ? -1 : 1;
    }

    return 0;
}

/* The same one seen before and after it was closed: closed first. */
static int
compare(const void *a, const void *b)
{
    int                    rc;
    const segment_file_t  *x = a, *y = b;

    rc = compare_segments(x, y);

    return (rc != 0) ? rc : (int) x->live - (int) y->live;
}

/* Takes what f owns. */
static reco_status_t
adopt(reco_log_reader_t *r, const segment_file_t *f, reco_error_t *err)
{
    size_t           room;
    segment_file_t  *files;

    if (r->nfiles == r->room) {
        room = (r->room == 0) ? 16 : 2 * r->room;
        files = realloc(r->files, room * sizeof(*files));
        if (files == NULL) {
            return reco_error_set(err, RECO_NO_MEMORY, NULL, "out of memory");
        }

        r->files = files;
        r->room = room;
    }

    r->files[r->nfiles++] = *f;

    return RECO_OK;
}

static reco_status_t
add(reco_log_reader_t *r, const char *path, segment_file_t f,
    reco_error_t *err)
{
    reco_status_t  rc;

    f.path = strdup(path);

    if (f.path == NULL || f.node == NULL) {
        rc = reco_error_set(err, RECO_NO_MEMORY, NULL, "out of memory");
    } else {
        rc = adopt(r, &f, err);
    }

    if (rc != RECO_OK) {
        free(f.path);
        free(f.node);
    }

    return rc;
}

static reco_status_t
list_folder(reco_log_reader_t *r, const char *path, reco_error_t *err)
{
    DIR             *dir;
    char            *full;
    reco_status_t    rc;
    segment_file_t   f;
    struct dirent   *entry;

    dir = opendir(path);
    if (dir == NULL) {
        return reco_error_set(err, RECO_IO, NULL, "cannot open '%s': %s", path,
                              strerror(errno));
    }

    rc = RECO_OK;

    while (rc == RECO_OK && (errno = 0, entry = readdir(dir)) != NULL) {

        if (!parse_name(entry->d_name, &f)) {
            continue;
        }

        if (asprintf(&full, "%s/%s", path, entry->d_name) < 0) {
            free(f.node);
            rc = reco_error_set(err, RECO_NO_MEMORY, NULL, "out of memory");
            break;
        }

        rc = add(r, full, f, err);
        free(full);
    }

    if (rc == RECO_OK && errno != 0) {
        rc = reco_error_set(err, RECO_IO, NULL, "cannot read '%s': %s", path,
                            strerror(errno));
    }

    (void) closedir(dir);

    return rc;
}

static void
free_file(segment_file_t *f)
{
    free(f->path);
    free(f->node);
}

/* Sorts, and drops what is there twice. */
static void
settle(reco_log_reader_t *r)
{
    size_t  i, n;

    if (r->nfiles == 0) {
        return;
    }

    qsort(r->files, r->nfiles, sizeof(*r->files), compare);

    for (i = 1, n = 1; i < r->nfiles; i++) {
        if (compare_segments(&r->files[i], &r->files[n - 1]) == 0) {
            free_file(&r->files[i]);
        } else {
            r->files[n++] = r->files[i];
        }
    }

    r->nfiles = n;
}

static reco_status_t
list(reco_log_reader_t *r, const char *path, reco_error_t *err)
{
    size_t           len;
    reco_status_t    rc;
    segment_file_t   f;
    struct stat      st;

    if (stat(path, &st) != 0) {
        return reco_error_set(err, (errno == ENOENT) ? RECO_NOT_FOUND
                                                     : RECO_IO,
                              NULL, "cannot open '%s': %s", path,
                              strerror(errno));
    }

    r->is_folder = S_ISDIR(st.st_mode);

    if (!r->is_folder) {
        len = strlen(path);
        memset(&f, 0, sizeof(f));
        f.node = strdup("");
        f.live = (len > 5 && strcmp(path + len - 5, ".open") == 0);
        return add(r, path, f, err);
    }

    /* Twice: a listing may miss a file that is renamed meanwhile. */
    rc = list_folder(r, path, err);
    if (rc == RECO_OK) {
        rc = list_folder(r, path, err);
    }

    settle(r);

    return rc;
}

/* ---- reading -------------------------------------------------------- */

/* A live segment may have been closed, and so renamed, since it was listed. */
static void
take_closed_name(segment_file_t *f)
{
    f->path[strlen(f->path) - strlen(".open")] = '\0';
    f->live = false;
}

/* A fifo would wait for its writer, and nothing could end the wait. */
static FILE *
open_regular(const char *path)
{
    int          e, fd;
    FILE        *file;
    struct stat  st;

    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd == -1) {
        return NULL;
    }

    if (fstat(fd, &st) == 0) {
        errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
        file = S_ISREG(st.st_mode) ? fdopen(fd, "r") : NULL;
        if (file != NULL) {
            return file;
        }
    }

    e = errno;
    (void) close(fd);
    errno = e;

    return NULL;
}

/* The file at the place to go on from. One that was cut back, as a writer
 * does with what it could not write whole, goes on from its end. */
static FILE *
open_file(segment_file_t *f)
{
    int          e;
    FILE        *file;
    struct stat  st;

    file = open_regular(f->path);

    if (file == NULL && errno == ENOENT && f->live) {
        take_closed_name(f);
        file = open_regular(f->path);
    }

    if (file == NULL || f->offset == 0) {
        return file;
    }

    if (fstat(fileno(file), &st) == 0) {
        if ((uint64_t) st.st_size < f->offset) {
            f->offset = (uint64_t) st.st_size;
        }
        if (fseeko(file, (off_t) f->offset, SEEK_SET) == 0) {
            return file;
        }
    }

    e = errno;
    (void) fclose(file);
    errno = e;

    return NULL;
}

reco_status_t
reco_log_open(const char *path, reco_log_reader_t **out, reco_error_t *err)
{
    size_t              i;
    reco_status_t       rc;
    struct stat         st;
    reco_log_reader_t  *r;

    *out = NULL;

    r = calloc(1, sizeof(*r));
    if (r == NULL) {
        return reco_error_set(err, RECO_NO_MEMORY, NULL, "out of memory");
    }

    r->path = strdup(path);
    r->keys = calloc(1, sizeof(*r->keys));
    rc = (r->keys != NULL && r->path != NULL) ? list(r, path, err)
         : reco_error_set(err, RECO_NO_MEMORY, NULL, "out of memory");

    if (rc != RECO_OK) {
        reco_log_close(r);
        return rc;
    }

    for (i = 0; i < r->nfiles; i++) {
        if (stat(r->files[i].path, &st) == 0) {
            r->bytes_total += (uint64_t) st.st_size;
        }
    }

    *out = r;

    return RECO_OK;
}

/* One for a line is enough for all the strings in it. */
static bool
prepare_arena(reco_log_reader_t *r, size_t len)
{
    char  *base;

    if (r->arena.size < len + 16) {
        base = realloc(r->arena.base, 2 * len + 16);
        if (base == NULL) {
            return false;
        }

        r->arena.base = base;
        r->arena.size = 2 * len + 16;
    }

    r->arena.used = 0;

    return true;
}

/* The line's fault, said with file and line. */
static reco_status_t
corrupt(const reco_log_reader_t *r, const reco_error_t *fault,
    reco_error_t *err)
{
    const char  *name;

    name = strrchr(reco_log_file(r), '/');
    name = (name == NULL) ? reco_log_file(r) : name + 1;

    reco_error_set(err, RECO_CORRUPT, fault->field, "%s:%llu: %s%s%s", name,
                   (unsigned long long) reco_log_line(r), fault->field,
                   (fault->field[0] != '\0') ? ": " : "", fault->message);

    if (err != NULL) {
        err->position = fault->position;
    }

    return RECO_CORRUPT;
}

static reco_status_t
read_line(reco_log_reader_t *r, size_t len, reco_event_t **event,
    reco_error_t *err)
{
    reco_str_t     line;
    reco_error_t   fault;

    line = (reco_str_t) { r->line, len };

    if (len > LINE_MAX_BYTES) {
        reco_error_set(&fault, RECO_LIMIT, NULL, "line longer than %d bytes",
                       LINE_MAX_BYTES);
        return corrupt(r, &fault, err);
    }

    if (!prepare_arena(r, len)) {
        return reco_error_set(err, RECO_NO_MEMORY, NULL, "out of memory");
    }

    if (reco_event_read(line, &r->arena, r->keys, &r->event, &fault)
        != RECO_OK)
    {
        return corrupt(r, &fault, err);
    }

    *event = &r->event;

    return RECO_OK;
}

/* The file has no more whole lines: what is left of a live one is being
 * written, what is left of a closed one is a fault. */
static reco_status_t
end_of_file(reco_log_reader_t *r, ssize_t left, reco_error_t *err)
{
    reco_error_t     fault;
    reco_status_t    rc;
    segment_file_t  *f;

    rc = RECO_OK;
    f = &r->files[r->current];

    /* getline() has no memory for a line: no end, and no error of the file's */
    if (ferror(r->file) || (left < 0 && !feof(r->file))) {
        rc = reco_error_set(err, RECO_IO, NULL, "cannot read '%s': %s",
                            f->path, strerror(errno));

    } else if (!f->live) {
        f->done = true;

        if (left > 0) {
            f->lines++;
            r->last = r->current;
            reco_error_set(&fault, RECO_CORRUPT, NULL, "line has no end");
            rc = corrupt(r, &fault, err);
        }
    }

    (void) fclose(r->file);
    r->file = NULL;
    r->current++;

    return rc;
}

/* Opens the current file. RECO_NOT_FOUND: there is nothing in it for us. */
static reco_status_t
begin_file(reco_log_reader_t *r, reco_error_t *err)
{
    segment_file_t  *f;

    f = &r->files[r->current];

    if (f->done) {
        return RECO_NOT_FOUND;
    }

    if (f->gone) {
        f->done = true;
        return reco_error_set(err, RECO_IO, NULL, "'%s' went before it was "
                              "closed: what it had after byte %llu is not "
                              "read", f->path,
                              (unsigned long long) f->offset);
    }

    r->file = open_file(f);
    if (r->file == NULL) {
        return reco_error_set(err, RECO_IO, NULL, "cannot open '%s': %s",
                              f->path, strerror(errno));
    }

    return RECO_OK;
}

reco_status_t
reco_log_next(reco_log_reader_t *r, reco_event_t **event, reco_error_t *err)
{
    ssize_t          n;
    reco_status_t    rc;
    segment_file_t  *f;

    while (r->current < r->nfiles) {

        if (r->file == NULL) {
            rc = begin_file(r, err);
            if (rc != RECO_OK) {
                r->current++;
                if (rc == RECO_NOT_FOUND) {
                    continue;
                }
                return rc;
            }
        }

        n = getline(&r->line, &r->line_size, r->file);
        f = &r->files[r->current];

        if (n > 0 && r->line[n - 1] == '\n') {
            r->last = r->current;
            f->lines++;
            f->offset += (uint64_t) n;
            r->bytes_read += (uint64_t) n;
            return read_line(r, (size_t) n - 1, event, err);
        }

        if (n > 0) {
            r->bytes_read += (uint64_t) n;
        }

        rc = end_of_file(r, n, err);
        if (rc != RECO_OK) {
            return rc;
        }
    }

    return RECO_NOT_FOUND;
}

/* ---- reading again -------------------------------------------------- */

/* What is known of the segments moves over to the new list; both are
 * sorted. */
static void
recognise(segment_file_t *known, size_t n, reco_log_reader_t *r)
{
    int              rc;
    size_t           i, k;
    segment_file_t  *f;

    for (i = 0, k = 0; i < n && k < r->nfiles; ) {
        f = &r->files[k];
        rc = compare_segments(&known[i], f);

        if (rc == 0) {
            f->done = known[i].done;
            f->offset = known[i].offset;
            f->lines = known[i].lines;
            f->tag = known[i].tag;
            known[i].listed = true;
        }

        i += (rc <= 0);
        k += (rc >= 0);
    }
}

/* One that was not in the listing: it was renamed at that moment, or it went.
 * A live one of which there was but its header goes when it is closed. */
static void
look_for(segment_file_t *f)
{
    struct stat  st;

    if (f->done || stat(f->path, &st) == 0) {
        return;
    }

    if (f->live) {
        take_closed_name(f);
        if (stat(f->path, &st) == 0) {
            return;
        }

        f->done = (f->lines <= 1);
    }

    f->gone = true;
}

/* Those that were not listed again and are not done with stay. */
static reco_status_t
keep_unlisted(reco_log_reader_t *r, segment_file_t *known, size_t n,
    reco_error_t *err)
{
    size_t         i;
    reco_status_t  rc;

    rc = RECO_OK;

    for (i = 0; i < n; i++) {
        if (!known[i].listed) {
            look_for(&known[i]);

            if (!known[i].done && rc == RECO_OK) {
                rc = adopt(r, &known[i], err);
                if (rc == RECO_OK) {
                    continue;
                }
            }
        }

        free_file(&known[i]);
    }

    return rc;
}

static void
free_files(segment_file_t *files, size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        free_file(&files[i]);
    }

    free(files);
}

reco_status_t
reco_log_again(reco_log_reader_t *r, reco_error_t *err)
{
    size_t           n;
    reco_status_t    rc;
    segment_file_t  *known;

    if (r->file != NULL) {
        (void) fclose(r->file);
        r->file = NULL;
    }

    if (!r->is_folder) {
        r->current = 0;
        look_for(&r->files[0]);
        return RECO_OK;
    }

    known = r->files;
    n = r->nfiles;
    r->files = NULL;
    r->nfiles = r->room = 0;

    rc = list_folder(r, r->path, err);

    if (rc != RECO_OK) {
        free_files(r->files, r->nfiles);
        r->files = known;
        r->nfiles = r->room = n;
        r->current = n;
        return rc;
    }

    settle(r);
    recognise(known, n, r);
    rc = keep_unlisted(r, known, n, err);
    free(known);
    settle(r);
    r->current = 0;
    r->last = 0;

    return rc;
}

void **
reco_log_tag(reco_log_reader_t *r)
{
    return &r->files[r->last].tag;
}

uint64_t
reco_log_bytes_read(const reco_log_reader_t *r)
{
    return r->bytes_read;
}

uint64_t
reco_log_bytes_total(const reco_log_reader_t *r)
{
    return r->bytes_total;
}

/* Of the last event, or before the first one the one that is next. */
const char *
reco_log_file(const reco_log_reader_t *r)
{
    return (r->nfiles == 0) ? "" : r->files[r->last].path;
}

uint64_t
reco_log_line(const reco_log_reader_t *r)
{
    return (r->nfiles == 0) ? 0 : r->files[r->last].lines;
}

void
reco_log_close(reco_log_reader_t *r)
{
    if (r == NULL) {
        return;
    }

    if (r->file != NULL) {
        (void) fclose(r->file);
    }

    free_files(r->files, r->nfiles);
    free(r->path);
    free(r->line);
    free(r->keys);
    free(r->arena.base);
    free(r);
}
