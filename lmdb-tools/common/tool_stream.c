/*
 * tool_stream.c - libarchive as a reader of one file's bytes. Filters that
 * would start another program for a file that asks for it are left out.
 */

#include "tool_stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK   65536

struct tool_stream_s {
    struct archive        *archive;
    struct archive_entry  *entry;
    char                  *path;
    int                    fd;
    uint64_t               total;
    bool                   empty;
};

static void
fail(const tool_stream_t *s)
{
    const char  *words = archive_error_string(s->archive);

    if (errno == ENOMEM) {
        words = "out of memory";    /* whatever was made of it */
    }

    tool_error("cannot read '%s': %s", s->path,
               words ? words : "not a readable file");
}

/* Moves to the next entry that is a file. ARCHIVE_EOF when there is none. */
static int
next_file(tool_stream_t *s)
{
    int  rc;

    errno = 0;

    do {
        rc = archive_read_next_header2(s->archive, s->entry);
    } while (rc >= ARCHIVE_WARN && rc != ARCHIVE_EOF
             && archive_entry_filetype(s->entry) != AE_IFREG);

    return rc;
}

static struct archive *
new_archive(void)
{
    struct archive  *a = archive_read_new();

    if (a == NULL) {
        return NULL;
    }

    archive_read_support_filter_gzip(a);
    archive_read_support_filter_bzip2(a);
    archive_read_support_filter_xz(a);
    archive_read_support_filter_zstd(a);
    archive_read_support_filter_lz4(a);

    /* a zip by how it begins: by the mark that it ends with, plain text that has
     * these bytes would be one */
    if (archive_read_support_format_zip_streamable(a) != ARCHIVE_OK
        || archive_read_support_format_raw(a) != ARCHIVE_OK
        || archive_read_support_format_empty(a) != ARCHIVE_OK
        || archive_read_set_callback_data(a, NULL) != ARCHIVE_OK)
    {
        archive_read_free(a);
        return NULL;
    }

    return a;
}

static bool
open_file(tool_stream_t *s)
{
    struct stat  st;

    if (strcmp(s->path, "-") == 0) {
        s->fd = dup(STDIN_FILENO);
    } else {
        s->fd = open(s->path, O_RDONLY | O_CLOEXEC);
    }
    if (s->fd == -1) {
        tool_errno("open", s->path);
        return false;
    }

    if (fstat(s->fd, &st) == 0) {
        if (S_ISDIR(st.st_mode)) {
            tool_error("cannot read '%s': it is a folder", s->path);
            return false;
        }
        s->total = S_ISREG(st.st_mode) ? (uint64_t) st.st_size : 0;
    }

    return true;
}

tool_stream_t *
tool_stream_open(const char *path)
{
    int             rc;
    tool_stream_t  *s = tool_alloc(sizeof(*s));

    s->path = tool_strdup(path);
    s->fd = -1;
    if (!open_file(s)) {
        tool_stream_close(s);
        return NULL;
    }

    /* libarchive does not look whether it got its own entry and (in
     * new_archive()) the place for the data of its callbacks */
    s->archive = new_archive();
    s->entry = archive_entry_new();
    if (s->archive == NULL || s->entry == NULL) {
        tool_error("out of memory");
        tool_stream_close(s);
        return NULL;
    }

    errno = 0;
    rc = archive_read_open_fd(s->archive, s->fd, BLOCK);
    if (rc == ARCHIVE_OK) {
        rc = next_file(s);
        s->empty = rc == ARCHIVE_EOF;
    }
    if (rc < ARCHIVE_WARN) {
        fail(s);
        tool_stream_close(s);
        return NULL;
    }

    return s;
}

void
tool_stream_close(tool_stream_t *s)
{
    if (s == NULL) {
        return;
    }
    if (s->archive != NULL) {
        archive_read_free(s->archive);
    }
    archive_entry_free(s->entry);
    if (s->fd != -1) {
        close(s->fd);
    }
    free(s->path);
    free(s);
}

ssize_t
tool_stream_read(tool_stream_t *s, char *buf, size_t size)
{
    int      rc;
    ssize_t  n;

    if (s->empty) {
        return 0;
    }

    errno = 0;
    n = archive_read_data(s->archive, buf, size);
    if (n > 0) {
        return n;
    }
    if (n < 0) {
        fail(s);
        return -1;
    }

    /* A second file would silently be left out. */
    rc = next_file(s);
    if (rc == ARCHIVE_EOF) {
        s->empty = true;
        return 0;
    }
    if (rc < ARCHIVE_WARN) {
        fail(s);
    } else {
        tool_error("cannot read '%s': it holds more than one file", s->path);
    }

    return -1;
}

uint64_t
tool_stream_bytes(const tool_stream_t *s)
{
    int64_t  n = archive_filter_bytes(s->archive, -1);

    return n > 0 ? (uint64_t) n : 0;
}

uint64_t
tool_stream_total(const tool_stream_t *s)
{
    return s->total;
}
