/*
 * reco_lmdb.c - opening LMDB files through verified descriptors.
 *
 * The header is read as LMDB 0.9 lays it out on a 64-bit machine: pages 0 and
 * 1 are meta pages, of which the one with the higher transaction counts.
 */

#include "reco_lmdb.h"
#include "reco_record.h"

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define MDB_MAGIC           0xBEEFC0DEu
#define MDB_DATA_VERSION    1

/* Offsets in a page: its header, then struct MDB_meta. */
#define AT_FLAGS        10          /* u16 */
#define AT_MAGIC        16          /* u32 */
#define AT_VERSION      20          /* u32 */
#define AT_PAGE_SIZE    40          /* u32, in the free list's md_pad */
#define AT_FREE_ROOT    80          /* u64, page number or NO_PAGE */
#define AT_MAIN_ROOT    128
#define AT_LAST_PAGE    136         /* u64 */
#define AT_TXN          144         /* u64 */
#define META_END        152

#define PAGE_META       0x08
#define NO_PAGE         UINT64_MAX
#define PROBE_BYTES     4096
#define PAGE_SIZE_MIN   512
#define PAGE_SIZE_MAX   65536

_Static_assert(sizeof(size_t) == 8, "LMDB's layout is that of 64 bits");

static reco_status_t meta_read(int fd, uint64_t at, uint8_t meta[META_END],
    reco_error_t *err);

reco_status_t
reco_lmdb_error(reco_error_t *err, int rc, const char *what)
{
    reco_status_t  status;

    switch (rc) {

    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_CURSOR_FULL:
    case MDB_BAD_VALSIZE:
        status = RECO_CORRUPT;
        break;

    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
    case MDB_NOTFOUND:
        status = RECO_UNSUPPORTED;
        break;

    case EAGAIN:                        /* mdb_env_copyfd2() starts one */
        return reco_error_set(err, RECO_NO_MEMORY, "", "%s: no thread can be "
                              "started: not enough memory or processes",
                              what);

    case ENOMEM:
        status = RECO_NO_MEMORY;
        break;

    default:
        status = RECO_IO;
    }

    return reco_error_set(err, status, "", "%s: %s", what, mdb_strerror(rc));
}

static int
why_cut(int fd)
{
    ssize_t              n;
    struct stat          st;
    struct rlimit        limit;
    static const char    page[PROBE_BYTES];

    if (fstat(fd, &st) != 0) {
        return EIO;
    }

    if (getrlimit(RLIMIT_FSIZE, &limit) == 0
        && limit.rlim_cur != RLIM_INFINITY
        && (rlim_t) st.st_size + PROBE_BYTES > limit.rlim_cur)
    {
        return EFBIG;                   /* to try would raise SIGXFSZ */
    }

    n = pwrite(fd, page, PROBE_BYTES, st.st_size);

    return n == -1 ? errno : n < PROBE_BYTES ? ENOSPC : EIO;
}

int
reco_lmdb_write_error(MDB_env *env, int rc)
{
    int  fd;

    return rc == EIO && mdb_env_get_fd(env, &fd) == 0 ? why_cut(fd) : rc;
}

reco_status_t
reco_lmdb_header_check(int fd, uint64_t *size, reco_error_t *err)
{
    uint8_t        first[META_END], second[META_END], *meta;
    uint64_t       page, last;
    struct stat    st;
    reco_status_t  rc;

    if (fstat(fd, &st) == -1) {
        return reco_error_set(err, RECO_IO, "", "fstat: %s", strerror(errno));
    }

    if (!S_ISREG(st.st_mode)) {
        return reco_error_set(err, RECO_INVALID, "", "not a regular file");
    }

    *size = (uint64_t) st.st_size;

    rc = meta_read(fd, 0, first, err);
    if (rc != RECO_OK) {
        return rc;
    }

    page = reco_get_u32(first + AT_PAGE_SIZE);

    if (page < PAGE_SIZE_MIN || page > PAGE_SIZE_MAX
        || (page & (page - 1)) != 0)
    {
        return reco_error_set(err, RECO_CORRUPT, "",
                              "its header has a page size of %llu",
                              (unsigned long long) page);
    }

    rc = meta_read(fd, page, second, err);
    if (rc != RECO_OK) {
        return rc;
    }

    meta = reco_get_u64(first + AT_TXN) < reco_get_u64(second + AT_TXN)
           ? second : first;
    last = reco_get_u64(meta + AT_LAST_PAGE);

    if (reco_get_u32(meta + AT_PAGE_SIZE) != page || last < 1
        || (reco_get_u64(meta + AT_FREE_ROOT) > last
            && reco_get_u64(meta + AT_FREE_ROOT) != NO_PAGE)
        || (reco_get_u64(meta + AT_MAIN_ROOT) > last
            && reco_get_u64(meta + AT_MAIN_ROOT) != NO_PAGE))
    {
        return reco_error_set(err, RECO_CORRUPT, "",
                              "its header is damaged");
    }

    if (last >= *size / page) {
        return reco_error_set(err, RECO_CORRUPT, "",
                              "it is cut off: %llu bytes, but its last page "
                              "is %llu of %llu bytes each",
                              (unsigned long long) *size,
                              (unsigned long long) last,
                              (unsigned long long) page);
    }

    return RECO_OK;
}

static reco_status_t
meta_read(int fd, uint64_t at, uint8_t meta[META_END], reco_error_t *err)
{
    ssize_t   n;
    uint32_t  magic;

    do {
        n = pread(fd, meta, META_END, (off_t) at);
    } while (n == -1 && errno == EINTR);

    if (n == -1) {
        return reco_error_set(err, RECO_IO, "", "cannot read: %s",
                              strerror(errno));
    }

    magic = n >= AT_VERSION ? reco_get_u32(meta + AT_MAGIC) : 0;

    if (magic == __builtin_bswap32(MDB_MAGIC)) {
        return reco_error_set(err, RECO_UNSUPPORTED, "",
                              "written by a machine of another byte order");
    }

    if (magic != MDB_MAGIC && at == 0) {
        return reco_error_set(err, RECO_UNSUPPORTED, "",
                              "not a reco snapshot: no LMDB header");
    }

    if (n < META_END || magic != MDB_MAGIC
        || !(reco_get_u16(meta + AT_FLAGS) & PAGE_META))
    {
        return reco_error_set(err, RECO_CORRUPT, "", "%s",
                              n < META_END ? "it is cut off in its header"
                                           : "its header is damaged");
    }

    if (reco_get_u32(meta + AT_VERSION) != MDB_DATA_VERSION) {
        return reco_error_set(err, RECO_UNSUPPORTED, "",
                              "data version %u of LMDB is not supported",
                              reco_get_u32(meta + AT_VERSION));
    }

    return RECO_OK;
}

reco_status_t
reco_lmdb_open_fd(int fd, unsigned flags, size_t mapsize, MDB_env **env,
    reco_error_t *err)
{
    int    rc;
    char   path[64];

    *env = NULL;

    rc = mdb_env_create(env);
    if (rc != 0) {
        *env = NULL;
        return reco_lmdb_error(err, rc, "mdb_env_create");
    }

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);

    rc = mdb_env_set_maxdbs(*env, RECO_DB_MAX);
    if (rc == 0) {
        rc = mdb_env_set_mapsize(*env, mapsize);
    }
    if (rc == 0) {
        rc = mdb_env_open(*env, path, flags | MDB_NOSUBDIR | MDB_NOLOCK,
                          0600);
    }

    if (rc != 0) {
        mdb_env_close(*env);
        *env = NULL;
        return reco_lmdb_error(err, rc, "mdb_env_open");
    }

    return RECO_OK;
}
