/*
 * Scratch and temporary files where the disk, a limit or the file system says
 * no: the message tells which of them did.
 */

#include "snapshot_fixture.h"
#include "faults.h"

#include <signal.h>
#include <sys/resource.h>

#include "reco_file.h"
#include "reco_store.h"

static MDB_val
value_of(const char *text)
{
    return (MDB_val) { strlen(text), (void *) text };
}

static reco_status_t
put(reco_store_t *s, MDB_dbi dbi, const char *key, reco_error_t *err)
{
    bool     exists;
    MDB_val  value = value_of("value");

    return reco_store_put(s, dbi, value_of(key), &value, 0, &exists, err);
}

/* ---- LMDB's codes ------------------------------------------------------- */

static void
test_codes(void **state)
{
    static const struct {
        int            rc;
        reco_status_t  status;
        const char    *words;
    } codes[] = {
        { MDB_CORRUPTED, RECO_CORRUPT, "put: MDB_CORRUPTED" },
        { MDB_PAGE_NOTFOUND, RECO_CORRUPT, "MDB_PAGE_NOTFOUND" },
        { MDB_CURSOR_FULL, RECO_CORRUPT, "MDB_CURSOR_FULL" },
        { MDB_BAD_VALSIZE, RECO_CORRUPT, "MDB_BAD_VALSIZE" },
        { MDB_INVALID, RECO_UNSUPPORTED, "MDB_INVALID" },
        { MDB_VERSION_MISMATCH, RECO_UNSUPPORTED, "MDB_VERSION_MISMATCH" },
        { MDB_INCOMPATIBLE, RECO_UNSUPPORTED, "MDB_INCOMPATIBLE" },
        { MDB_NOTFOUND, RECO_UNSUPPORTED, "MDB_NOTFOUND" },
        { ENOMEM, RECO_NO_MEMORY, "Cannot allocate memory" },
        { EIO, RECO_IO, "put: Input/output error" },
        { MDB_MAP_FULL, RECO_IO, "MDB_MAP_FULL" },
    };

    (void) state;

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        assert_fails(reco_lmdb_error(err, codes[i].rc, "put"),
                     codes[i].status, codes[i].words);
    }
}

/* ---- scratch files ------------------------------------------------------ */

/* LMDB says EIO where a write was cut short; what the next write meets is the
 * cause. */
static void
test_why_cut(void **state)
{
    static const struct {
        const char  *call;
        int          error, then;
        const char  *words;
    } causes[] = {
        { "mdb_put", EIO, 0, ": Input/output error" },
        { "mdb_put", EIO, ENOSPC, ": No space left on device" },
        { "mdb_put", ENOSPC, 0, ": No space left on device" },
        { "mdb_put", EDQUOT, 0, ": Disk quota exceeded" },
        { "mdb_put", MDB_MAP_FULL, 0, "mdb_put: MDB_MAP_FULL" },
        { "mdb_txn_commit", EIO, ENOSPC, ": No space left on device" },
        { "mdb_txn_commit", ENOMEM, 0, "mdb_txn_commit: Cannot allocate" },
    };

    (void) state;

    for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
        bool          commits = strcmp(causes[i].call, "mdb_put") != 0;
        MDB_dbi       dbi;
        reco_store_t  s;

        assert_ok(reco_store_open(&s, in_folder("x.mdb"), err));
        assert_ok(reco_store_db(&s, "db", &dbi, err));

        fault = (fault_t) { causes[i].call, FAULT_ERROR, causes[i].error, 1,
                            0, false };
        also = (fault_t) { causes[i].then ? "pwrite" : NULL, FAULT_ERROR,
                           causes[i].then, 1, 0, false };

        if (commits) {
            assert_ok(put(&s, dbi, "key", err));
            assert_fails(reco_store_commit(&s, err),
                         causes[i].error == ENOMEM ? RECO_NO_MEMORY : RECO_IO,
                         causes[i].words);
        } else {
            assert_fails(put(&s, dbi, "key", err), RECO_IO, causes[i].words);
        }

        fault.call = also.call = NULL;

        /* the batch is lost, and no later call says otherwise */
        assert_fails(put(&s, dbi, "next", err), RECO_IO, "earlier write");
        if (commits) {
            assert_fails(reco_store_commit(&s, err), RECO_IO,
                         "earlier write");
        }

        reco_store_close(&s);
    }
}

/* A file-size limit stops the write, and a long path does not hide it. */
static void
test_size_limit(void **state)
{
    MDB_dbi        dbi;
    char           path[RECO_PATH_MAX], key[16];
    reco_store_t   s;
    struct rlimit  was, limit;
    reco_status_t  rc = RECO_OK;
    reco_error_t   why = { .message = "" };

    (void) state;

    snprintf(path, sizeof(path), "%s/%s%0200d", folder, "a", 1);
    assert_ok(reco_store_open(&s, path, err));
    assert_ok(reco_store_db(&s, "db", &dbi, err));

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    limit = was;
    limit.rlim_cur = 64 * 1024;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);

    for (int i = 0; rc == RECO_OK && i < 100000; i++) {
        snprintf(key, sizeof(key), "key %d", i);
        rc = put(&s, dbi, key, &why);
    }

    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    reco_store_close(&s);

    assert_int_equal(rc, RECO_IO);
    assert_non_null(strstr(why.message, "'...0000"));
    assert_non_null(strstr(why.message, "the file-size limit is reached"));
}

/* The map grows before there is no room for a whole batch. */
static void
test_map_grows(void **state)
{
    MDB_dbi       dbi;
    MDB_envinfo   info;
    reco_store_t  s;

    (void) state;

    assert_ok(reco_store_open(&s, in_folder("x.mdb"), err));
    assert_ok(reco_store_db(&s, "db", &dbi, err));
    assert_ok(put(&s, dbi, "one", err));
    assert_ok(reco_store_commit(&s, err));

    s.mapsize = (size_t) 256 << 20;     /* all of it would just be a batch's */
    fault = (fault_t) { "mdb_env_set_mapsize", FAULT_ERROR, ENOMEM, 1, 0,
                        false };
    assert_fails(put(&s, dbi, "two", err), RECO_NO_MEMORY,
                 "mdb_env_set_mapsize");
    fault.call = NULL;

    s.mapsize = (size_t) 256 << 20;
    assert_ok(put(&s, dbi, "two", err));
    assert_int_equal(s.mapsize, (size_t) 512 << 20);
    mdb_env_info(s.env, &info);
    assert_int_equal(info.me_mapsize, (size_t) 512 << 20);

    reco_store_close(&s);
}

/* ---- temporary files ---------------------------------------------------- */

/* A file system without files that have no name: it has one for a moment. */
static void
test_unnamed(void **state)
{
    int          fd;
    struct stat  st;

    (void) state;

    fault = (fault_t) { "open", FAULT_ERROR, EOPNOTSUPP, 1, 0, false };
    assert_ok(reco_file_unnamed(in_folder("x"), &fd, err));
    fault.call = NULL;

    assert_true(fault.hit);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_nlink, 0);
    assert_int_equal(write(fd, "x", 1), 1);
    close(fd);
}

static void
test_paths(void **state)
{
    int    fd, home;
    char   path[RECO_PATH_MAX + 8], temp[RECO_PATH_MAX];

    (void) state;

    /* one without a folder is in the folder that one is in */
    home = open(".", O_RDONLY | O_DIRECTORY);
    assert_int_equal(chdir(folder), 0);
    assert_ok(reco_file_temp("here", temp, &fd, err));
    assert_ok(reco_file_write(fd, "text", 4, err));
    assert_ok(reco_file_commit(fd, temp, "here", err));
    close(fd);
    assert_int_equal(access("here", F_OK), 0);
    assert_int_equal(unlink("here"), 0);
    assert_int_equal(fchdir(home), 0);
    close(home);

    /* folders and devices are not replaced */
    assert_fails(reco_file_temp(folder, temp, &fd, err), RECO_INVALID,
                 "is no file");
    assert_fails(reco_file_unnamed("/dev/null", &fd, err), RECO_INVALID,
                 "is no file");

    memset(path, 'x', RECO_PATH_MAX);
    path[RECO_PATH_MAX - 10] = '\0';
    assert_fails(reco_file_temp(path, temp, &fd, err), RECO_LIMIT,
                 "too long");
    assert_fails(reco_file_temp("/nowhere/at/all", temp, &fd, err), RECO_IO,
                 "cannot create '/nowhere/at/all': No such file");
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_why_cut),
        cmocka_unit_test(test_size_limit),
        cmocka_unit_test(test_map_grows),
        cmocka_unit_test(test_unnamed),
        cmocka_unit_test(test_paths),
    };

    return cmocka_run_group_tests_name("faults_files", tests, folder_make,
                                       folder_remove);
}
