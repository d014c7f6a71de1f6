/*
 * reco_publish.c - puts a snapshot into the folder that servers watch, and
 * names it in the folder's manifest.
 *
 * A published file is never written again and its name never used again, so
 * that a server may map it for as long as it likes. Publishers take turns by a
 * lock on DIR/.lock; servers take none.
 */

#include "reco_file.h"
#include "reco_lmdb.h"
#include "reco_record.h"
#include "reco_snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define READ_BLOCK      (1 << 20)
#define MODEL_MAX       128         /* bytes of a model's name in a file's */
#define NAME_DIGITS     16          /* of the checksum */
#define MAP_FREE        ((uint64_t) 64 << 20)

typedef struct {
    const char  *dir;
    uint64_t     generation;
    uint64_t     parent;
    uint64_t     now_ms;
} job_t;

static reco_status_t folder_create(const char *dir, reco_error_t *err);
static int folder_lock(const char *dir, reco_error_t *err);
static reco_status_t folder_scan(const char *dir, uint64_t *generation,
    reco_error_t *err);
static bool name_parse(const char *name, uint64_t *generation,
    uint64_t *sum);
static reco_status_t source_open(const char *path, int *fd,
    reco_error_t *err);
static reco_status_t source_sum(int fd, const char *path, reco_error_t *err);
static reco_status_t publish_locked(job_t *job, const char *path,
    reco_manifest_t *out, reco_error_t *err);
static void manifest_look(const char *dir, struct stat *st);
static reco_status_t publish_copy(const job_t *job, int from, int to,
    reco_manifest_t *m, reco_error_t *err);
static reco_status_t source_check(int fd, reco_error_t *err);
static reco_status_t generation_write(const job_t *job, int fd, int to,
    reco_error_t *err);
static int generation_put(const job_t *job, MDB_env *env);
static reco_status_t copy_describe(const job_t *job, int fd,
    reco_manifest_t *m, reco_error_t *err);
static void name_write(reco_manifest_t *m);

/* ---- checksum ----------------------------------------------------------- */

/* The block is mapped, not taken from the heap: a server's threads verify, and
 * the heap of every thread that ever did would keep the block when it is free
 * again. */
reco_status_t
reco_checksum_fd(int fd, uint64_t *size, uint8_t sum[RECO_CHECKSUM_BYTES],
    reco_error_t *err)
{
    char                *block;
    ssize_t              n;
    XXH3_state_t        *state;
    reco_status_t        rc;
    XXH128_canonical_t   canonical;

    *size = 0;
    block = mmap(NULL, READ_BLOCK, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    state = XXH3_createState();

    if (block == MAP_FAILED || state == NULL) {
        rc = reco_error_set(err, RECO_NO_MEMORY, "", "out of memory");
        goto done;
    }

    XXH3_128bits_reset(state);

    for ( ;; ) {
        n = pread(fd, block, READ_BLOCK, (off_t) *size);

        if (n == -1 && errno == EINTR) {
            continue;
        }

        if (n <= 0) {
            break;
        }

        XXH3_128bits_update(state, block, (size_t) n);
        *size += (uint64_t) n;
    }

    if (n == -1) {
        rc = reco_file_error(err, "cannot read");
        goto done;
    }

    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
    memcpy(sum, canonical.digest, RECO_CHECKSUM_BYTES);
    rc = RECO_OK;

done:

    XXH3_freeState(state);

    if (block != MAP_FAILED) {
        munmap(block, READ_BLOCK);
    }

    return rc;
}

/* ---- publishing --------------------------------------------------------- */

reco_status_t
reco_publish(const char *dir, const char *path, uint64_t parent,
    uint64_t now_ms, reco_manifest_t *out, reco_error_t *err)
{
    int              lock;
    job_t            job = { dir, 0, parent, now_ms };
    reco_status_t    rc;
    reco_manifest_t  m;

    rc = folder_create(dir, err);
    if (rc != RECO_OK) {
        return rc;
    }

    lock = folder_lock(dir, err);
    if (lock == -1) {
        return RECO_IO;
    }

    rc = publish_locked(&job, path, &m, err);

    close(lock);

    if (rc == RECO_OK && out != NULL) {
        *out = m;
    }

    return rc;
}

/* With the folders above it. */
static reco_status_t
folder_create(const char *dir, reco_error_t *err)
{
    int    e;
    char   path[RECO_PATH_MAX], *slash, c;

    if ((size_t) snprintf(path, sizeof(path), "%s", dir) >= sizeof(path)) {
        return reco_error_set(err, RECO_LIMIT, "", "path is too long");
    }

    for (slash = path; *slash != '\0'; slash++) {
        slash += strspn(slash, "/");
        slash += strcspn(slash, "/");

        c = *slash;
        *slash = '\0';

        if (mkdir(path, 0777) == -1 && errno != EEXIST) {
            e = errno;
            return reco_error_set(err, RECO_IO, "", "cannot create '%s': %s",
                                  path, strerror(e));
        }

        if (c == '\0') {
            break;
        }
        *slash = '/';
    }

    return RECO_OK;
}

/* The lock goes with the descriptor, also when the publisher is killed. */
static int
folder_lock(const char *dir, reco_error_t *err)
{
    int   fd, e;
    char  path[RECO_PATH_MAX];

    snprintf(path, sizeof(path), "%s/.lock", dir);

    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd == -1) {
        e = errno;
        (void) reco_error_set(err, RECO_IO, "", "cannot open '%s': %s", path,
                              strerror(e));
        return -1;
    }

    while (flock(fd, LOCK_EX) == -1) {
        if (errno != EINTR) {
            (void) reco_file_error(err, "flock");
            close(fd);
            return -1;
        }
    }

    return fd;
}

static reco_status_t
publish_locked(job_t *job, const char *path, reco_manifest_t *out,
    reco_error_t *err)
{
    int              from, to;
    char             target[RECO_PATH_MAX], temp[RECO_PATH_MAX];
    uint64_t         highest;
    struct stat      before, after;
    reco_status_t    rc;
    reco_manifest_t  current;

    rc = folder_scan(job->dir, &highest, err);
    if (rc != RECO_OK) {
        return rc;
    }

    rc = reco_manifest_read(job->dir, &current, err);
    if (rc == RECO_NOT_FOUND) {
        current.generation = 0;
        current.model[0] = '\0';
    } else if (rc != RECO_OK) {
        return rc;
    }

    job->generation = 1 + (highest > current.generation ? highest
                                                        : current.generation);

    rc = source_open(path, &from, err);
    if (rc != RECO_OK) {
        return rc;
    }

    snprintf(target, sizeof(target), "%s/publish", job->dir);
    rc = reco_file_temp(target, temp, &to, err);
    if (rc != RECO_OK) {
        close(from);
        return rc;
    }

    rc = publish_copy(job, from, to, out, err);

    if (rc == RECO_OK && current.model[0] != '\0'
        && strcmp(current.model, out->model) != 0)
    {
        rc = reco_error_set(err, RECO_INVALID, "",
                            "'%s' serves model \"%s\", and this is a snapshot "
                            "of \"%s\"", job->dir, current.model, out->model);
    }

    if (rc == RECO_OK) {
        snprintf(target, sizeof(target), "%s/%s", job->dir, out->file);
        manifest_look(job->dir, &before);
        rc = reco_file_commit(to, temp, target, err);
        if (rc == RECO_OK) {
            rc = reco_manifest_write(job->dir, out, err);
        }

        /* a manifest that took its place can still fail to be synced; while
         * it is the old one, no server has looked at the file */
        manifest_look(job->dir, &after);
        if (rc != RECO_OK && before.st_ino == after.st_ino
            && before.st_dev == after.st_dev)
        {
            unlink(target);
        }
    }

    if (rc != RECO_OK) {
        unlink(temp);
    }

    close(from);
    close(to);

    return rc;
}

/* Zeros where there is none. */
static void
manifest_look(const char *dir, struct stat *st)
{
    char  path[RECO_PATH_MAX];

    snprintf(path, sizeof(path), "%s/current.json", dir);

    if (stat(path, st) == -1) {
        memset(st, 0, sizeof(*st));
    }
}

/* The highest generation in a file's name. What a killed publisher left is
 * removed: nobody else writes here while we hold the lock. */
static reco_status_t
folder_scan(const char *dir, uint64_t *generation, reco_error_t *err)
{
    DIR            *d;
    uint64_t        n, sum;
    reco_status_t   rc;
    struct dirent  *e;

    *generation = 0;

    d = opendir(dir);
    if (d == NULL) {
        return reco_file_error(err, "cannot read the folder");
    }

    while (errno = 0, (e = readdir(d)) != NULL) {
        if (strncmp(e->d_name, "publish.tmp-", 12) == 0
            || strncmp(e->d_name, "current.json.tmp-", 17) == 0)
        {
            (void) unlinkat(dirfd(d), e->d_name, 0);

        } else if (name_parse(e->d_name, &n, &sum) && n > *generation) {
            *generation = n;
        }
    }

    rc = errno == 0 ? RECO_OK : reco_file_error(err, "cannot read the folder");
    closedir(d);

    return rc;
}

/* MODEL-GENERATION-SUM.mdb: at least 8 digits, then 16 hexadecimal ones. */
static bool
name_parse(const char *name, uint64_t *generation, uint64_t *sum)
{
    char         c;
    size_t       len = strlen(name), digits;
    const char  *p;

    if (len < 4 || strcmp(name + len - 4, ".mdb") != 0) {
        return false;
    }

    len -= 4;

    if (len < NAME_DIGITS + 1 || name[len - NAME_DIGITS - 1] != '-') {
        return false;
    }

    *sum = 0;

    for (p = name + len - NAME_DIGITS; p < name + len; p++) {
        c = *p;
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return false;
        }
        *sum = *sum << 4 | (unsigned) (c <= '9' ? c - '0' : c - 'a' + 10);
    }

    len -= NAME_DIGITS + 1;

    for (digits = 0; digits < len; digits++) {
        c = name[len - digits - 1];
        if (c < '0' || c > '9') {
            break;
        }
    }

    if (digits < 8 || digits > 18 || digits == len
        || name[len - digits - 1] != '-')
    {
        return false;
    }

    *generation = strtoull(name + len - digits, NULL, 10);

    return true;
}

static reco_status_t
source_open(const char *path, int *fd, reco_error_t *err)
{
    int            e;
    uint64_t       size;
    reco_status_t  rc;

    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (*fd == -1) {
        e = errno;
        return reco_error_set(err, e == ENOENT ? RECO_NOT_FOUND : RECO_IO, "",
                              "cannot open '%s': %s", path, strerror(e));
    }

    rc = reco_lmdb_header_check(*fd, &size, err);
    if (rc == RECO_OK) {
        rc = source_sum(*fd, path, err);
    }

    if (rc != RECO_OK) {
        close(*fd);
    }

    return rc;
}

/* A file that was published before says in its name what it must hash to. */
static reco_status_t
source_sum(int fd, const char *path, reco_error_t *err)
{
    uint8_t        sum[RECO_CHECKSUM_BYTES];
    uint64_t       size, generation, expected, found;
    const char    *name = strrchr(path, '/');
    reco_status_t  rc;

    if (!name_parse(name != NULL ? name + 1 : path, &generation, &expected)) {
        return RECO_OK;
    }

    rc = reco_checksum_fd(fd, &size, sum, err);
    if (rc != RECO_OK) {
        return rc;
    }

    found = 0;
    for (int i = 0; i < 8; i++) {
        found = found << 8 | sum[i];
    }

    return found == expected ? RECO_OK
           : reco_error_set(err, RECO_CORRUPT, "",
                            "'%s' does not have the checksum that its name "
                            "says", path);
}

/* LMDB writes beside what it changes, so that each change makes a file larger.
 * Hence two copies: one that gets its generation, and of this a compact one,
 * which is published. */
static reco_status_t
publish_copy(const job_t *job, int from, int to, reco_manifest_t *m,
    reco_error_t *err)
{
    int            fd;
    char           target[RECO_PATH_MAX];
    reco_status_t  rc;

    snprintf(target, sizeof(target), "%s/publish", job->dir);
    rc = reco_file_unnamed(target, &fd, err);
    if (rc != RECO_OK) {
        return rc;
    }

    rc = reco_file_copy(from, fd, err);
    if (rc == RECO_OK) {
        rc = source_check(fd, err);
    }
    if (rc == RECO_OK) {
        rc = generation_write(job, fd, to, err);
    }

    close(fd);

    return rc == RECO_OK ? copy_describe(job, to, m, err) : rc;
}

/* LMDB may be let loose only on what is sound. */
static reco_status_t
source_check(int fd, reco_error_t *err)
{
    reco_status_t     rc;
    reco_snapshot_t  *s;

    rc = reco_snapshot_open_fd(fd, NULL, &s, err);
    if (rc != RECO_OK) {
        return rc;
    }

    rc = reco_snapshot_check(s, err);
    reco_snapshot_close(s);

    return rc;
}

/* The file is private, so it needs neither LMDB's lock nor its syncs. */
static reco_status_t
generation_write(const job_t *job, int fd, int to, reco_error_t *err)
{
    int            rc;
    MDB_env       *env;
    uint64_t       size;
    reco_status_t  status;

    status = reco_lmdb_header_check(fd, &size, err);
    if (status == RECO_OK) {
        status = reco_lmdb_open_fd(fd, MDB_NOSYNC, size + MAP_FREE, &env,
                                   err);
    }
    if (status != RECO_OK) {
        return status;
    }

    rc = generation_put(job, env);
    if (rc == 0) {
        rc = mdb_env_copyfd2(env, to, MDB_CP_COMPACT);
    }

    mdb_env_close(env);

    return rc == 0 ? RECO_OK
                   : reco_lmdb_error(err, rc, "cannot write the generation");
}

/* A code of LMDB's. */
static int
generation_put(const job_t *job, MDB_env *env)
{
    int       rc;
    uint8_t   generation[8], parent[8];
    MDB_dbi   dbi;
    MDB_txn  *txn;
    MDB_val   key, value;

    reco_put_u64(generation, job->generation);
    reco_put_u64(parent, job->parent);

    rc = mdb_txn_begin(env, NULL, 0, &txn);
    if (rc != 0) {
        return rc;
    }

    rc = mdb_dbi_open(txn, RECO_DB_META, 0, &dbi);

    if (rc == 0) {
        key = (MDB_val) { sizeof("generation") - 1, "generation" };
        value = (MDB_val) { 8, generation };
        rc = mdb_put(txn, dbi, &key, &value, 0);
    }

    if (rc == 0) {
        key = (MDB_val) { sizeof("parent") - 1, "parent" };
        value = (MDB_val) { 8, parent };
        rc = mdb_put(txn, dbi, &key, &value, 0);
    }

    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc;
    }

    return reco_lmdb_write_error(env, mdb_txn_commit(txn));
}

static reco_status_t
copy_describe(const job_t *job, int fd, reco_manifest_t *m,
    reco_error_t *err)
{
    reco_status_t                rc;
    reco_snapshot_t             *s;
    const reco_model_t          *model;
    const reco_snapshot_info_t  *info;

    memset(m, 0, sizeof(*m));

    rc = reco_checksum_fd(fd, &m->size, m->checksum, err);
    if (rc == RECO_OK) {
        rc = reco_snapshot_open_fd(fd, NULL, &s, err);
    }
    if (rc != RECO_OK) {
        return rc;
    }

    rc = reco_snapshot_check(s, err);

    if (rc == RECO_OK) {
        model = reco_snapshot_model(s);
        info = reco_snapshot_info(s);

        memcpy(m->model, model->name.data, model->name.len);
        memcpy(m->version, model->version.data, model->version.len);
        m->generation = info->generation;
        m->parent = info->parent;
        m->published_ms = job->now_ms;
        name_write(m);
    }

    reco_snapshot_close(s);

    return rc;
}

/* Whatever a model is called, its file has a plain name. */
static void
name_write(reco_manifest_t *m)
{
    char     model[MODEL_MAX + 1], sum[NAME_DIGITS + 1];
    size_t   n;
    uint8_t  c;

    for (n = 0; n < MODEL_MAX && m->model[n] != '\0'; n++) {
        c = (uint8_t) m->model[n];
        model[n] = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')
                   || (c >= '0' && c <= '9') || c == '_' || c == '-'
                   || (c == '.' && n > 0) ? (char) c : '_';
    }
    model[n] = '\0';

    for (int i = 0; i < NAME_DIGITS / 2; i++) {
        snprintf(sum + 2 * i, 3, "%02x", m->checksum[i]);
    }

    snprintf(m->file, sizeof(m->file), "%s-%08" PRIu64 "-%s.mdb", model,
             m->generation, sum);
}
