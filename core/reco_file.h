/*
 * reco_file.h - temporary files that take their place whole or not at all.
 */

#ifndef RECO_FILE_H
#define RECO_FILE_H

#include "reco_base.h"

#define RECO_PATH_MAX   4096

/* Creates PATH.tmp-RANDOM (16 hexadecimal digits), open for reading and
 * writing and held with flock until its descriptor is closed; what processes
 * that were killed left of PATH is removed first. Mode 0666 less the umask. A
 * folder, a device or a pipe at PATH is refused. 'temp' gets the name; it is a
 * whole name or "" at every moment, so that a signal handler may remove what
 * it names, and "" after a failure. */
reco_status_t reco_file_temp(const char *path, char temp[RECO_PATH_MAX],
    int *fd, reco_error_t *err);

/* Bytes of NAME in "NAME.tmp-RANDOM", 0 when it is not such a name. */
size_t reco_file_temp_stem(const char *name);

/* An empty file without a name in the folder of 'path', open for reading and
 * writing: it goes with its descriptor, however the process ends. Where the
 * file system has no such files it has a name for a moment. */
reco_status_t reco_file_unnamed(const char *path, int *fd, reco_error_t *err);

/* Syncs, renames, syncs the folder; fd stays open. When one of the first two
 * fails, 'path' is as it was before. */
reco_status_t reco_file_commit(int fd, const char *temp, const char *path,
    reco_error_t *err);

/* Copies all of 'from' (by pread) to the empty file 'to'. */
reco_status_t reco_file_copy(int from, int to, reco_error_t *err);

reco_status_t reco_file_write(int fd, const void *data, size_t len,
    reco_error_t *err);

/* "WHAT: errno's words" */
reco_status_t reco_file_error(reco_error_t *err, const char *what);

#endif /* RECO_FILE_H */
