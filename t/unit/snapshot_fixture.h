/*
 * snapshot_fixture.h - small snapshots in a folder of the test's own.
 */

#ifndef SNAPSHOT_FIXTURE_H
#define SNAPSHOT_FIXTURE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "reco_snapshot.h"

#define SHOP_SPEC                                                             \
    "{\"model\": \"shop\", \"version\": \"1.2\","                             \
    " \"features\": [{\"name\": \"age\", \"type\": \"number\","               \
    "   \"from\": [\"request\", \"customer\"], \"bins\": [30, 65]},"          \
    "  {\"name\": \"country\", \"type\": \"category\","                       \
    "   \"from\": [\"customer\"]}],"                                          \
    " \"actions\": [{\"id\": \"A\"}, {\"id\": \"B\"}, {\"id\": \"C\"}],"      \
    " \"policy\": {\"type\": \"q_table\", \"epsilon\": 0.1, \"slate\": 2,"    \
    "   \"state\": [\"age\", \"country\"], \"per_slot\": true}}"

static char  folder[] = "/tmp/reco-snapshot-t.XXXXXX";

static inline int
folder_make(void **state)
{
    (void) state;

    return mkdtemp(folder) != NULL ? 0 : -1;
}

static inline int
folder_remove(void **state)
{
    char  command[64];

    (void) state;

    snprintf(command, sizeof(command), "rm -rf %s", folder);

    return system(command);
}

/* A path in the folder; two of them may be used at a time. */
static inline const char *
in_folder(const char *name)
{
    static int   turn;
    static char  paths[2][1024];

    turn = !turn;
    snprintf(paths[turn], sizeof(paths[0]), "%s/%s", folder, name);

    return paths[turn];
}

/* Files in a folder, but for . and .. and its lock. */
static inline int
files_in(const char *path)
{
    int             n = 0;
    DIR            *d = opendir(path);
    struct dirent  *e;

    assert_non_null(d);

    while ((e = readdir(d)) != NULL) {
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0
             && strcmp(e->d_name, ".lock") != 0;
    }
    closedir(d);

    return n;
}

static inline reco_str_t
str(const char *s)
{
    return (reco_str_t) { s, strlen(s) };
}

static inline reco_value_t
number(double x)
{
    return (reco_value_t) { .kind = RECO_VALUE_NUMBER, .number = x };
}

static inline reco_value_t
word(const char *s)
{
    return (reco_value_t) { .kind = RECO_VALUE_WORD, .word = str(s) };
}

static inline reco_value_t
missing(void)
{
    return (reco_value_t) { .kind = RECO_VALUE_MISSING };
}

#define assert_ok(call)                                                       \
    do {                                                                      \
        reco_error_t   err_;                                                  \
        reco_error_t  *err = &err_;                                           \
        if ((call) != RECO_OK) {                                              \
            fail_msg("%s: %s %s", #call, err->field, err->message);           \
        }                                                                     \
    } while (0)

/* The call fails so, and says this. */
#define assert_fails(call, wanted_status, words)                              \
    do {                                                                      \
        reco_error_t   err_ = { .message = "" };                              \
        reco_error_t  *err = &err_;                                           \
        assert_int_equal((call), (wanted_status));                            \
        if (strstr(err->message, (words)) == NULL) {                          \
            fail_msg("%s: \"%s\"", #call, err->message);                      \
        }                                                                     \
    } while (0)

static inline reco_builder_t *
shop_builder(const char *path, const char *spec)
{
    reco_str_t       fields[3] = { RECO_STR("age"), RECO_STR("spend"),
                                   RECO_STR("country") };
    reco_action_t    actions[3] = {
        { RECO_STR("A"), RECO_STR("Apple"), RECO_STR("fruit"), 1.25, true },
        { RECO_STR("B"), RECO_STR(""), RECO_STR(""), NAN, false },
        { RECO_STR("C"), RECO_STR("Caf\xc3\xa9"), RECO_STR(""), 0, true },
    };
    reco_builder_t  *b;

    assert_ok(reco_builder_new(path, str(spec), actions, 3, fields, 3, NULL,
                               &b, err));

    return b;
}

static inline void
shop_customer(reco_builder_t *b, const char *key, reco_value_t age,
    reco_value_t spend, reco_value_t country)
{
    reco_value_t  values[3] = { age, spend, country };

    assert_ok(reco_builder_customer(b, str(key), values, err));
}

static inline void
shop_fill(reco_builder_t *b)
{
    reco_entry_t  first[2] = { { 0, 0.5, 7, 0.75 }, { 2, -1.5, 70000, NAN } };
    reco_entry_t  second[1] = { { 1, 0.25, 3, 1 } };

    shop_customer(b, "c42", number(42), missing(), word("GB"));
    shop_customer(b, "c7", missing(), number(-0.5), missing());
    shop_customer(b, "anna", missing(), missing(), missing());
    assert_ok(reco_builder_row(b, str("1\x1fGB\x1f" "1"), 10, first, 2, err));
    assert_ok(reco_builder_row(b, str("1\x1f\x1f" "1"), 3, second, 1, err));
}

/* Three customers and two rows, at 'path'. */
static inline void
shop_build(const char *path)
{
    reco_builder_t  *b = shop_builder(path, SHOP_SPEC);

    shop_fill(b);
    assert_ok(reco_builder_finish(b, 0, 0, 0, "{\"epochs\": 3}", err));
    reco_builder_free(b);
}

/* The whole file; len may be NULL. */
static inline uint8_t *
file_read(const char *path, size_t *len)
{
    int          fd = open(path, O_RDONLY);
    uint8_t     *data;
    struct stat  st;

    assert_int_not_equal(fd, -1);
    assert_int_equal(fstat(fd, &st), 0);
    data = malloc((size_t) st.st_size + 1);
    assert_non_null(data);
    assert_int_equal(read(fd, data, (size_t) st.st_size), st.st_size);
    data[st.st_size] = '\0';
    close(fd);

    if (len != NULL) {
        *len = (size_t) st.st_size;
    }

    return data;
}

static inline void
file_write(const char *path, const void *data, size_t len)
{
    int  fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);

    assert_int_not_equal(fd, -1);
    assert_int_equal(write(fd, data, len), (ssize_t) len);
    close(fd);
}

static inline reco_snapshot_t *
shop_open(const char *path)
{
    reco_snapshot_t  *s;

    assert_ok(reco_snapshot_open(path, NULL, &s, err));

    return s;
}

/* n customers (and as many rows) in the order i * step mod n. */
static inline void
many_build(const char *path, uint32_t n, uint32_t step)
{
    char             text[64];
    uint64_t         k;
    reco_entry_t     e = { 1, 0, 1, NAN };
    reco_builder_t  *b = shop_builder(path, SHOP_SPEC);

    for (uint32_t i = 0; i < n; i++) {
        k = (uint64_t) i * step % n;
        snprintf(text, sizeof(text), "customer-%06u", (unsigned) k);
        shop_customer(b, text, number((double) k), missing(), word("FR"));

        e.value = (double) k / 3;
        assert_ok(reco_builder_row(b, str(text), k, &e, 1, err));
    }

    assert_ok(reco_builder_finish(b, 0, 0, 0, NULL, err));
    reco_builder_free(b);
}

static inline void
assert_same_files(const char *one, const char *other)
{
    size_t    n, m;
    uint8_t  *a = file_read(one, &n), *b = file_read(other, &m);

    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    free(a);
    free(b);
}

/* Calls of LMDB itself on a file, for looking and for damaging. */
typedef struct {
    MDB_env  *env;
    MDB_txn  *txn;
} raw_t;

static inline raw_t
raw_open(const char *path)
{
    raw_t  r;

    assert_int_equal(mdb_env_create(&r.env), 0);
    assert_int_equal(mdb_env_set_maxdbs(r.env, 8), 0);
    assert_int_equal(mdb_env_set_mapsize(r.env, 1 << 24), 0);
    assert_int_equal(mdb_env_open(r.env, path, MDB_NOSUBDIR | MDB_NOLOCK,
                                  0666), 0);
    assert_int_equal(mdb_txn_begin(r.env, NULL, 0, &r.txn), 0);

    return r;
}

static inline void
raw_close(raw_t *r)
{
    assert_int_equal(mdb_txn_commit(r->txn), 0);
    mdb_env_close(r->env);
}

static inline void
raw_put(const char *path, const char *db, const void *key, size_t key_len,
    const void *data, size_t len)
{
    raw_t    r = raw_open(path);
    MDB_dbi  dbi;
    MDB_val  k = { key_len, (void *) key }, v = { len, (void *) data };

    assert_int_equal(mdb_dbi_open(r.txn, db, MDB_CREATE, &dbi), 0);
    assert_int_equal(mdb_put(r.txn, dbi, &k, &v, 0), 0);
    raw_close(&r);
}

static inline void
raw_delete(const char *path, const char *db, const char *key)
{
    raw_t    r = raw_open(path);
    MDB_dbi  dbi;
    MDB_val  k = { strlen(key), (void *) key };

    assert_int_equal(mdb_dbi_open(r.txn, db, 0, &dbi), 0);
    assert_int_equal(mdb_del(r.txn, dbi, &k, NULL), 0);
    raw_close(&r);
}

#endif /* SNAPSHOT_FIXTURE_H */
