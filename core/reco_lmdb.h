/*
 * reco_lmdb.h - private to the snapshot's files: what stands between LMDB and
 * a file that may be anything.
 */

#ifndef RECO_LMDB_H
#define RECO_LMDB_H

#include "reco_base.h"

#include <lmdb.h>

/* Status and message ("WHAT: LMDB's words") of a return code. */
reco_status_t reco_lmdb_error(reco_error_t *err, int rc, const char *what);

/* LMDB calls a write that was cut short EIO. What the next one meets, which is
 * tried here, tells why; the file is lost anyway. Other codes as they are. */
int reco_lmdb_write_error(MDB_env *env, int rc);

/* LMDB reads a file's header once and then trusts it: what is no LMDB file,
 * or is shorter than it says, ends in a crash. So the header is read here
 * before. Refuses everything but a regular file. */
reco_status_t reco_lmdb_header_check(int fd, uint64_t *size,
    reco_error_t *err);

/* Opens the file behind a descriptor, which may be closed afterwards, with
 * MDB_NOSUBDIR and MDB_NOLOCK added to 'flags'. */
reco_status_t reco_lmdb_open_fd(int fd, unsigned flags, size_t mapsize,
    MDB_env **env, reco_error_t *err);

#endif /* RECO_LMDB_H */
