/*
 * reco_log_reader.c - reads an event log, segment after segment. A reader
 * lives from reco_log_open() to reco_log_close() and holds one file open at a
 * time. For tools: it allocates and blocks.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE             /* getline, strndup */
#endif

#include "reco_segment.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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
} segment_file_t;

struct reco_log_reader_s {
    segment_file_t    *files;
    size_t             nfiles;
    size_t             room;        /* for so many in files */
    size_t             current;
    FILE              *file;        /* NULL: the next one is to be opened */
    char              *line;
    size_t             line_size;
    uint64_t           line_number;
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

    f->live = false;
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

    return f->node != NULL;
}

static int
compare(const void *a, const void *b)
{
    int                    rc;
    const segment_file_t  *x = a, *y = b;

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

    /* the same one, seen before and after it was closed */
    return (int) x->live - (int) y->live;
}

static reco_status_t
add(reco_log_reader_t *r, const char *path, segment_file_t f,
    reco_error_t *err)
{
    size_t           room;
    segment_file_t  *files;

    f.path = strdup(path);

    if (r->nfiles == r->room) {
        room = (r->room == 0) ? 16 : 2 * r->room;
        files = realloc(r->files, room * sizeof(*files));
        if (files == NULL) {
            free(f.path);
            f.path = NULL;
        } else {
            r->files = files;
            r->room = room;
        }
    }

    if (f.path == NULL || f.node == NULL) {
        free(f.path);
        free(f.node);
        return reco_error_set(err, RECO_NO_MEMORY, NULL, "out of memory");
    }

    r->files[r->nfiles++] = f;

    return RECO_OK;
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

    while (rc == RECO_OK && (entry = readdir(dir)) != NULL) {

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
        if (strcmp(r->files[i].node, r->files[n - 1].node) == 0
            && r->files[i].incarnation == r->files[n - 1].incarnation
            && r->files[i].number == r->files[n - 1].number)
        {
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

    if (!S_ISDIR(st.st_mode)) {
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
static FILE *
open_file(segment_file_t *f)
{
    FILE  *file;

    file = fopen(f->path, "re");

    if (file == NULL && errno == ENOENT && f->live) {
        f->path[strlen(f->path) - strlen(".open")] = '\0';
        f->live = false;
        file = fopen(f->path, "re");
    }

    return file;
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

    r->keys = calloc(1, sizeof(*r->keys));
    rc = (r->keys != NULL) ? list(r, path, err)
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
                   (unsigned long long) r->line_number, fault->field,
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
    reco_status_t  rc;
    reco_error_t   fault;

    rc = RECO_OK;

    if (ferror(r->file)) {
        rc = reco_error_set(err, RECO_IO, NULL, "cannot read '%s': %s",
                            reco_log_file(r), strerror(errno));

    } else if (left > 0 && !r->files[r->current].live) {
        r->line_number++;
        reco_error_set(&fault, RECO_CORRUPT, NULL, "line has no end");
        rc = corrupt(r, &fault, err);
    }

    (void) fclose(r->file);
    r->file = NULL;
    r->current++;

    return rc;
}

reco_status_t
reco_log_next(reco_log_reader_t *r, reco_event_t **event, reco_error_t *err)
{
    ssize_t        n;
    reco_status_t  rc;

    while (r->current < r->nfiles) {

        if (r->file == NULL) {
            r->line_number = 0;
            r->file = open_file(&r->files[r->current]);

            if (r->file == NULL) {
                rc = reco_error_set(err, RECO_IO, NULL, "cannot open '%s': %s",
                                    reco_log_file(r), strerror(errno));
                r->current++;
                return rc;
            }
        }

        n = getline(&r->line, &r->line_size, r->file);

        if (n > 0 && r->line[n - 1] == '\n') {
            r->line_number++;
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

/* After the end, the last one. */
const char *
reco_log_file(const reco_log_reader_t *r)
{
    if (r->nfiles == 0) {
        return "";
    }

    return r->files[(r->current < r->nfiles) ? r->current
                                             : r->nfiles - 1].path;
}

uint64_t
reco_log_line(const reco_log_reader_t *r)
{
    return r->line_number;
}

void
reco_log_close(reco_log_reader_t *r)
{
    size_t  i;

    if (r == NULL) {
        return;
    }

    if (r->file != NULL) {
        (void) fclose(r->file);
    }

    for (i = 0; i < r->nfiles; i++) {
        free_file(&r->files[i]);
    }

    free(r->files);
    free(r->line);
    free(r->keys);
    free(r->arena.base);
    free(r);
}
