/*
 * faults.h - lets the n-th call of a function fail, for every function that
 * the core calls and that can. The linker puts __wrap_NAME() in the place of
 * NAME() (see WRAPPED in the Makefile), in the core's objects and the test's,
 * not in libraries.
 *
 * What is allocated and opened is counted, so that a test sees what a failure
 * leaks.
 */

#ifndef FAULTS_H
#define FAULTS_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>
#include <jansson.h>
#include <lmdb.h>

#include "reco_base.h"

typedef enum {
    FAULT_ERROR,            /* the call fails with its error */
    FAULT_LASTING,          /* and so do all after it */
    FAULT_INTERRUPTED,      /* it fails with EINTR */
    FAULT_SHORT,            /* it reads or writes one byte less */
} fault_kind_t;

typedef struct {
    const char    *call;    /* NULL: none */
    fault_kind_t   kind;
    int            error;   /* errno, or LMDB's code */
    long           nth;     /* from 1 */
    long           calls;   /* so far */
    bool           hit;
} fault_t;

static fault_t  fault;
static fault_t  also;       /* fails with it: why_cut() of the store asks */
static long     blocks;     /* on the heap */

static inline bool
fault_is(fault_t *f, fault_kind_t kind, const char *call)
{
    if (f->call == NULL || f->kind != kind || strcmp(f->call, call) != 0) {
        return false;
    }

    f->calls++;

    return (f->calls == f->nth
            || (f->calls > f->nth && f->kind == FAULT_LASTING))
           && (f->hit = true);
}

/* Whether this call fails; then errno says why. */
static inline bool
fails(const char *call)
{
    if (fault_is(&fault, FAULT_ERROR, call)
        || fault_is(&fault, FAULT_LASTING, call))
    {
        errno = fault.error;
        return true;
    }

    if (fault_is(&fault, FAULT_INTERRUPTED, call)) {
        errno = EINTR;
        return true;
    }

    if (fault_is(&also, FAULT_ERROR, call)) {
        errno = also.error;
        return true;
    }

    return false;
}

#define WRAP(type, name, params, args, failed)                                \
    type __real_##name params;                                                \
    type __wrap_##name params;                                                \
    type __wrap_##name params                                                 \
    {                                                                         \
        return fails(#name) ? failed : __real_##name args;                    \
    }

/* ---- the heap ----------------------------------------------------------- */

#define ALLOCATES(name, params, args)                                         \
    void *__real_##name params;                                               \
    void *__wrap_##name params;                                               \
    void *__wrap_##name params                                                \
    {                                                                         \
        void  *p = fails(#name) ? NULL : __real_##name args;                  \
        blocks += p != NULL;                                                  \
        return p;                                                             \
    }

ALLOCATES(malloc, (size_t size), (size))
ALLOCATES(calloc, (size_t n, size_t size), (n, size))
ALLOCATES(strdup, (const char *s), (s))
ALLOCATES(strndup, (const char *s, size_t n), (s, n))

void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);
void __real_free(void *p);
void __wrap_free(void *p);

void *
__wrap_realloc(void *p, size_t size)
{
    void  *q = fails("realloc") ? NULL : __real_realloc(p, size);

    blocks += p == NULL && q != NULL;

    return q;
}

void
__wrap_free(void *p)
{
    blocks -= p != NULL;
    __real_free(p);
}

int __wrap_asprintf(char **text, const char *format, ...);

int
__wrap_asprintf(char **text, const char *format, ...)
{
    int      n;
    va_list  args;

    if (fails("asprintf")) {
        return -1;
    }

    va_start(args, format);
    n = vasprintf(text, format, args);
    va_end(args);
    blocks += n >= 0;

    return n;
}

/* jansson's own memory, as a call of its own. */
static inline void *
json_block(size_t size)
{
    void  *p = fails("json") ? NULL : __real_malloc(size);

    blocks += p != NULL;

    return p;
}

/* ---- files -------------------------------------------------------------- */

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);

int
__wrap_open(const char *path, int flags, ...)
{
    int      mode;
    va_list  args;

    va_start(args, flags);
    mode = (flags & (O_CREAT | __O_TMPFILE)) ? va_arg(args, int) : 0;
    va_end(args);

    return fails("open") ? -1 : __real_open(path, flags, mode);
}

#define TRANSFERS(name, type, params, args, shorter)                          \
    ssize_t __real_##name params;                                             \
    ssize_t __wrap_##name params;                                             \
    ssize_t __wrap_##name params                                              \
    {                                                                         \
        if (fails(#name)) {                                                   \
            return -1;                                                        \
        }                                                                     \
        return fault_is(&fault, FAULT_SHORT, #name) && len > 1                \
               ? __real_##name shorter : __real_##name args;                  \
    }

TRANSFERS(read, void *, (int fd, void *p, size_t len), (fd, p, len),
          (fd, p, len / 2))
TRANSFERS(write, const void *, (int fd, const void *p, size_t len),
          (fd, p, len), (fd, p, len / 2))
TRANSFERS(pread, void *, (int fd, void *p, size_t len, off_t at),
          (fd, p, len, at), (fd, p, len / 2, at))
TRANSFERS(pwrite, const void *, (int fd, const void *p, size_t len, off_t at),
          (fd, p, len, at), (fd, p, len / 2, at))

WRAP(int, fsync, (int fd), (fd), -1)
WRAP(int, fdatasync, (int fd), (fd), -1)
WRAP(int, ftruncate, (int fd, off_t len), (fd, len), -1)
int __real_flock(int fd, int how);
int __wrap_flock(int fd, int how);

/* Only what waits is interrupted. */
int
__wrap_flock(int fd, int how)
{
    return (fault.kind != FAULT_INTERRUPTED || (how & LOCK_NB) == 0)
           && fails("flock") ? -1 : __real_flock(fd, how);
}

WRAP(int, mkdir, (const char *path, mode_t mode), (path, mode), -1)
WRAP(int, rename, (const char *from, const char *to), (from, to), -1)
WRAP(int, renameat2, (int a, const char *from, int b, const char *to,
     unsigned flags), (a, from, b, to, flags), -1)
WRAP(int, link, (const char *from, const char *to), (from, to), -1)
WRAP(int, unlink, (const char *path), (path), -1)
/* libc's own memory, which the core frees. */
ssize_t __real___getdelim(char **line, size_t *size, int end, FILE *file);
ssize_t __wrap___getdelim(char **line, size_t *size, int end, FILE *file);

ssize_t
__wrap___getdelim(char **line, size_t *size, int end, FILE *file)
{
    bool     none = *line == NULL;
    ssize_t  n;

    if (fails("getline")) {
        return -1;
    }

    n = __real___getdelim(line, size, end, file);
    blocks += none && *line != NULL;

    return n;
}

ssize_t __wrap_getline(char **line, size_t *size, FILE *file);

ssize_t
__wrap_getline(char **line, size_t *size, FILE *file)
{
    return __wrap___getdelim(line, size, '\n', file);
}

WRAP(int, ferror, (FILE *file), (file), 1)
WRAP(int, fseeko, (FILE *file, off_t at, int from), (file, at, from), -1)
WRAP(FILE *, fdopen, (int fd, const char *mode), (fd, mode), NULL)
WRAP(DIR *, opendir, (const char *path), (path), NULL)
WRAP(struct dirent *, readdir, (DIR *dir), (dir), NULL)
WRAP(ssize_t, getrandom, (void *p, size_t len, unsigned flags),
     (p, len, flags), -1)
WRAP(void *, mmap, (void *at, size_t len, int prot, int flags, int fd,
     off_t offset), (at, len, prot, flags, fd, offset), MAP_FAILED)

/* ---- LMDB --------------------------------------------------------------- */

#define FAILS_WITH_CODE(name, params, args)                                   \
    WRAP(int, name, params, args, (fault.hit ? fault.error : errno))

FAILS_WITH_CODE(mdb_env_create, (MDB_env **env), (env))
FAILS_WITH_CODE(mdb_env_set_maxdbs, (MDB_env *env, MDB_dbi n), (env, n))
FAILS_WITH_CODE(mdb_env_set_mapsize, (MDB_env *env, size_t n), (env, n))
FAILS_WITH_CODE(mdb_env_open, (MDB_env *env, const char *path, unsigned flags,
                mdb_mode_t mode), (env, path, flags, mode))
FAILS_WITH_CODE(mdb_env_copyfd2, (MDB_env *env, int fd, unsigned flags),
                (env, fd, flags))
FAILS_WITH_CODE(mdb_txn_begin, (MDB_env *env, MDB_txn *parent, unsigned flags,
                MDB_txn **txn), (env, parent, flags, txn))
FAILS_WITH_CODE(mdb_dbi_open, (MDB_txn *txn, const char *name, unsigned flags,
                MDB_dbi *dbi), (txn, name, flags, dbi))
FAILS_WITH_CODE(mdb_dbi_flags, (MDB_txn *txn, MDB_dbi dbi, unsigned *flags),
                (txn, dbi, flags))
FAILS_WITH_CODE(mdb_put, (MDB_txn *txn, MDB_dbi dbi, MDB_val *key,
                MDB_val *value, unsigned flags),
                (txn, dbi, key, value, flags))
FAILS_WITH_CODE(mdb_get, (MDB_txn *txn, MDB_dbi dbi, MDB_val *key,
                MDB_val *value), (txn, dbi, key, value))
FAILS_WITH_CODE(mdb_stat, (MDB_txn *txn, MDB_dbi dbi, MDB_stat *stat),
                (txn, dbi, stat))
FAILS_WITH_CODE(mdb_cursor_open, (MDB_txn *txn, MDB_dbi dbi,
                MDB_cursor **cursor), (txn, dbi, cursor))
FAILS_WITH_CODE(mdb_cursor_get, (MDB_cursor *cursor, MDB_val *key,
                MDB_val *value, MDB_cursor_op op), (cursor, key, value, op))

int __real_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn);

/* A commit ends its transaction, also when it fails. */
int
__wrap_mdb_txn_commit(MDB_txn *txn)
{
    if (fails("mdb_txn_commit")) {
        mdb_txn_abort(txn);
        return fault.error;
    }

    return __real_mdb_txn_commit(txn);
}

/* ---- trying them all ---------------------------------------------------- */

/* What may fail, and with what. */
static const struct {
    const char  *call;
    int          error;
} fault_calls[] = {
    { "malloc", ENOMEM }, { "calloc", ENOMEM }, { "realloc", ENOMEM },
    { "strdup", ENOMEM }, { "strndup", ENOMEM }, { "asprintf", ENOMEM },
    { "json", ENOMEM }, { "mmap", ENOMEM },
    { "open", EMFILE }, { "opendir", EMFILE }, { "readdir", EIO },
    { "read", EIO }, { "pread", EIO }, { "write", ENOSPC },
    { "pwrite", ENOSPC }, { "fsync", EIO }, { "fdatasync", EIO },
    { "ftruncate", EIO }, { "flock", ENOLCK }, { "mkdir", EACCES }, { "rename", EIO },
    { "renameat2", EIO }, { "link", EIO }, { "unlink", EACCES },
    { "fseeko", EIO }, { "fdopen", ENOMEM }, { "getline", ENOMEM },
    { "ferror", EIO }, { "getrandom", EIO },
    { "mdb_env_create", ENOMEM }, { "mdb_env_set_maxdbs", EINVAL },
    { "mdb_env_set_mapsize", EINVAL }, { "mdb_env_open", EACCES },
    { "mdb_env_copyfd2", ENOSPC }, { "mdb_txn_begin", ENOMEM },
    { "mdb_txn_commit", ENOSPC }, { "mdb_dbi_open", MDB_CORRUPTED },
    { "mdb_dbi_flags", EINVAL }, { "mdb_put", MDB_TXN_FULL },
    { "mdb_get", MDB_CORRUPTED }, { "mdb_stat", EINVAL },
    { "mdb_cursor_open", ENOMEM }, { "mdb_cursor_get", MDB_CORRUPTED },
};

#define FAULT_CALLS  (sizeof(fault_calls) / sizeof(fault_calls[0]))

static inline int
fault_descriptors(void)
{
    int   n = 0;
    DIR  *d = __real_opendir("/proc/self/fd");

    while (__real_readdir(d) != NULL) {
        n++;
    }
    closedir(d);

    return n;
}

/* Something that is done again and again, each time with another fault. */
typedef struct {
    const char     *name;
    void          (*before)(void);          /* or NULL */
    reco_status_t (*run)(reco_error_t *err);    /* releases all it took */
    const char   *(*judge)(reco_status_t rc);   /* NULL or what is wrong */
} operation_t;

/* Whether the message tells of this cause. A header that is read short is cut
 * off. */
static inline bool
fault_is_told(const reco_error_t *err, const char *call, fault_kind_t kind,
    int error)
{
    const char  *m = err->message;

    if (kind == FAULT_SHORT) {
        return strstr(m, "cut off") != NULL || strstr(m, strerror(EIO));
    }


    if (strcmp(call, "flock") == 0) {
        return err->status == RECO_IO;  /* what is not held may be removed */
    }

    if (error == MDB_CORRUPTED && err->status == RECO_CORRUPT
        && strstr(m, "damaged") != NULL)
    {
        return true;
    }

    return strstr(m, error > 0 ? strerror(error) : mdb_strerror(error)) != NULL
           || (error == ENOMEM && strstr(m, "memory") != NULL
               && err->status == RECO_NO_MEMORY);
}

/* One fault; false when the operation makes no such call. */
static inline bool
fault_try(const operation_t *o, const char *call, fault_kind_t kind,
    int error, long nth)
{
    int            descriptors;
    long           before;
    const char    *wrong;
    reco_error_t   err = { .message = "" };
    reco_status_t  rc;

    if (o->before != NULL) {
        o->before();
    }

    descriptors = fault_descriptors();
    before = blocks;
    fault = (fault_t) { call, kind, error, nth, 0, false };
    rc = o->run(&err);
    fault.call = NULL;

    if (blocks != before || fault_descriptors() != descriptors) {
        fail_msg("%s, %s %ld: %ld blocks and %d descriptors are left", o->name,
                 call, nth, blocks - before,
                 fault_descriptors() - descriptors);
    }

    assert_in_range(nth, 1, 5000);          /* each is met at some time */

    if (rc != RECO_OK
        && (!fault.hit || rc != err.status
            || !fault_is_told(&err, call, kind, error)))
    {
        fail_msg("%s, %s %ld: status %d: %s: %s", o->name, call, nth, rc,
                 err.field, err.message);
    }

    wrong = o->judge != NULL ? o->judge(rc) : NULL;
    if (wrong != NULL) {
        fail_msg("%s, %s %ld: status %d: %s", o->name, call, nth, rc, wrong);
    }

    return fault.hit;
}

/* Every call of every function, one at a time; and those that read and write
 * interrupted and short, which nobody should notice. */
static inline void
fault_each(const operation_t *o)
{
    size_t  i;
    long    n, all = 0;

    static const char *const  transfers[] = {
        "read", "write", "pread", "pwrite", "flock"
    };

    json_set_alloc_funcs(json_block, free);

    for (i = 0; i < FAULT_CALLS; i++) {
        for (n = 1; fault_try(o, fault_calls[i].call, FAULT_ERROR,
                              fault_calls[i].error, n); n++)
        {
            all++;
        }
        for (n = 1; fault_try(o, fault_calls[i].call, FAULT_LASTING,
                              fault_calls[i].error, n); n++)
        {
            all++;
        }
    }

    for (i = 0; i < sizeof(transfers) / sizeof(transfers[0]); i++) {
        for (n = 1; fault_try(o, transfers[i], FAULT_INTERRUPTED, EINTR, n);
             n++)
        {
            all++;
        }
        for (n = 1; i < 4 && fault_try(o, transfers[i], FAULT_SHORT, 0, n);
             n++)
        {
            all++;
        }
    }

    /* a test that provokes nothing is none */
    assert_in_range(all, 5, 1000000);
    print_message("%s: %ld faults\n", o->name, all);
}

#endif /* FAULTS_H */
