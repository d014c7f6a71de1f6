/*
 * fuzz_file.h - for what reads a file by its name and says on stderr what is
 * wrong with it: a file in memory, and what was said.
 */

#ifndef FUZZ_FILE_H
#define FUZZ_FILE_H

#include <sys/mman.h>
#include <unistd.h>

#include "fuzz_util.h"

typedef struct {
    int   fd;
    char  path[32];
} fuzz_file_t;

/* The file, made where it is not yet, has this content and no more. */
static inline const char *
fuzz_file(fuzz_file_t *f, const void *data, size_t size)
{
    if (f->path[0] == '\0') {
        f->fd = memfd_create("fuzz", MFD_CLOEXEC);
        FUZZ_ASSERT(f->fd != -1);
        (void) snprintf(f->path, sizeof(f->path), "/proc/self/fd/%d", f->fd);
    }

    FUZZ_ASSERT(ftruncate(f->fd, 0) == 0);
    FUZZ_ASSERT(pwrite(f->fd, data, size, 0) == (ssize_t) size);

    return f->path;
}

/* ---- messages ----------------------------------------------------------- */

typedef struct {
    FILE    *stderr_was;
    char    *text;
    size_t   len;
} fuzz_said_t;

static inline void
fuzz_listen(fuzz_said_t *said)
{
    said->stderr_was = stderr;
    stderr = open_memstream(&said->text, &said->len);
    FUZZ_ASSERT(stderr != NULL);
}

/* How many lines were said: each is the tool's, and a terminal shows it as it
 * is. */
static inline size_t
fuzz_heard(fuzz_said_t *said)
{
    char    *line, *end;
    size_t   i, lines;

    (void) fclose(stderr);
    stderr = said->stderr_was;

    for (line = said->text, lines = 0; *line != '\0'; line = end + 1) {
        end = strchr(line, '\n');
        FUZZ_ASSERT(end != NULL && strncmp(line, "reco: ", 6) == 0);
        lines++;

        for (i = 0; line + i < end; i++) {
            FUZZ_ASSERT((unsigned char) line[i] >= ' ' && line[i] != 0x7f);
        }
    }

    FUZZ_ASSERT(line == said->text + said->len);
    free(said->text);

    return lines;
}

#endif /* FUZZ_FILE_H */
