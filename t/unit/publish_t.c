/*
 * Checksums (the expected ones are Python's xxhash), manifests, and publishing
 * into a folder: generations, names, what is refused, what is left behind.
 */

#include "snapshot_fixture.h"
#include "random.h"

#include <jansson.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define NOW     UINT64_C(1732241234567)

#define MANIFEST                                                              \
    "{\"format\": 1, \"model\": \"shop\", \"version\": \"1.2\","              \
    " \"file\": \"shop-00000003-00112233445566778.mdb\", \"size\": 12288,"    \
    " \"generation\": 3, \"parent\": 2,"                                      \
    " \"checksum\": \"xxh3-128:00112233445566778899aabbccddeeff\","           \
    " \"published\": \"2024-11-22T02:07:14.567Z\"}"

static void
hex(const uint8_t *bytes, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++) {
        sprintf(out + 2 * i, "%02x", bytes[i]);
    }
}

/* ---- checksum ----------------------------------------------------------- */

static void
checksum(const char *path, char text[33], uint64_t *size)
{
    int      fd = open(path, O_RDONLY);
    uint8_t  sum[RECO_CHECKSUM_BYTES];

    assert_int_not_equal(fd, -1);
    assert_ok(reco_checksum_fd(fd, size, sum, err));
    close(fd);
    hex(sum, sizeof(sum), text);
}

static void
test_checksum(void **state)
{
    char      text[33], *data;
    uint64_t  size;

    (void) state;

    file_write(in_folder("f"), "", 0);
    checksum(in_folder("f"), text, &size);
    assert_int_equal(size, 0);
    assert_string_equal(text, "99aa06d3014798d86001c324468d497f");

    data = malloc(300000);
    for (int i = 0; i < 300000; i++) {
        data[i] = "abc"[i % 3];
    }
    file_write(in_folder("f"), data, 300000);
    checksum(in_folder("f"), text, &size);
    assert_int_equal(size, 300000);
    assert_string_equal(text, "76d02498dde50e9c645f5aaf34277221");

    /* more than a block: 2,100,000 bytes */
    data = realloc(data, 2100000);
    for (int i = 0; i < 2100000; i++) {
        data[i] = "abc"[i % 3];
    }
    file_write(in_folder("f"), data, 2100000);
    checksum(in_folder("f"), text, &size);
    assert_int_equal(size, 2100000);
    assert_string_equal(text, "0d4f0124c9479ace1eb9eadba102e5ad");
    free(data);
}

static void
test_checksum_sees_every_bit(void **state)
{
    int       fd;
    char      before[33], after[33];
    size_t    len, bit;
    uint8_t  *data, byte;
    random_t  r;
    uint64_t  size;

    (void) state;

    random_init(&r, 20);
    shop_build(in_folder("f"));
    checksum(in_folder("f"), before, &size);
    data = file_read(in_folder("f"), &len);
    fd = open(in_folder("f"), O_RDWR);

    for (int i = 0; i < 1000; i++) {
        bit = random_below(&r, (uint32_t) (8 * len));
        byte = data[bit / 8] ^ (uint8_t) (1 << bit % 8);
        assert_int_equal(pwrite(fd, &byte, 1, (off_t) (bit / 8)), 1);
        checksum(in_folder("f"), after, &size);
        assert_string_not_equal(before, after);
        assert_int_equal(pwrite(fd, &data[bit / 8], 1, (off_t) (bit / 8)),
                         1);
    }

    checksum(in_folder("f"), after, &size);
    assert_string_equal(before, after);
    close(fd);
    free(data);
}

/* ---- manifest ----------------------------------------------------------- */

static void
test_manifest_parse(void **state)
{
    char             sum[33];
    reco_manifest_t  m;

    (void) state;

    assert_ok(reco_manifest_parse(str(MANIFEST), &m, err));
    assert_string_equal(m.model, "shop");
    assert_string_equal(m.version, "1.2");
    assert_string_equal(m.file, "shop-00000003-00112233445566778.mdb");
    assert_int_equal(m.size, 12288);
    assert_int_equal(m.generation, 3);
    assert_int_equal(m.parent, 2);
    assert_int_equal(m.published_ms, 1732241234567);
    hex(m.checksum, 16, sum);
    assert_string_equal(sum, "00112233445566778899aabbccddeeff");
}

/* The good manifest with one member replaced (or removed: NULL). */
static void
test_manifest_refused(void **state)
{
    static const struct {
        const char     *member;
        const char     *value;          /* JSON */
        reco_status_t   status;
    } cases[] = {
        { "format", "2", RECO_UNSUPPORTED },
        { "format", "0", RECO_UNSUPPORTED },
        { "format", "\"1\"", RECO_INVALID },
        { "format", NULL, RECO_INVALID },
        { "model", "1", RECO_INVALID },
        { "model", "\"\"", RECO_INVALID },
        { "model", "\"a\\nb\"", RECO_INVALID },
        { "model", NULL, RECO_INVALID },
        { "version", "null", RECO_INVALID },
        { "version", NULL, RECO_INVALID },
        { "file", "\"../shop.mdb\"", RECO_INVALID },
        { "file", "\"/etc/passwd\"", RECO_INVALID },
        { "file", "\"a/b.mdb\"", RECO_INVALID },
        { "file", "\"..\"", RECO_INVALID },
        { "file", "\".\"", RECO_INVALID },
        { "file", "\".lock\"", RECO_INVALID },
        { "file", "\"\"", RECO_INVALID },
        { "file", "7", RECO_INVALID },
        { "file", NULL, RECO_INVALID },
        { "size", "-1", RECO_INVALID },
        { "size", "1.5", RECO_INVALID },
        { "size", "\"1\"", RECO_INVALID },
        { "size", NULL, RECO_INVALID },
        { "generation", "0", RECO_INVALID },
        { "generation", "-3", RECO_INVALID },
        { "generation", "true", RECO_INVALID },
        { "generation", NULL, RECO_INVALID },
        { "parent", "-1", RECO_INVALID },
        { "parent", NULL, RECO_INVALID },
        { "checksum", "\"00112233445566778899aabbccddeeff\"", RECO_INVALID },
        { "checksum", "\"xxh3-128:00112233445566778899aabbccddeef\"",
          RECO_INVALID },
        { "checksum", "\"xxh3-128:00112233445566778899aabbccddeeff0\"",
          RECO_INVALID },
        { "checksum", "\"xxh3-128:00112233445566778899aabbccddeefg\"",
          RECO_INVALID },
        { "checksum", NULL, RECO_INVALID },
        { "published", "\"2024-11-22\"", RECO_INVALID },
        { "published", "\"2024-02-30T02:07:14.567Z\"", RECO_INVALID },
        { "published", "\"2024-11-22T02:07:14.567Zx\"", RECO_INVALID },
        { "published", "1732241234567", RECO_INVALID },
        { "published", NULL, RECO_INVALID },
    };
    char              field[32], *text;
    json_t           *json;
    reco_error_t      err;
    reco_status_t     rc;
    reco_manifest_t   m;

    (void) state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json = json_loads(MANIFEST, 0, NULL);
        assert_non_null(json);

        if (cases[i].value != NULL) {
            json_object_set_new(json, cases[i].member,
                                json_loads(cases[i].value, JSON_DECODE_ANY,
                                           NULL));
        } else {
            json_object_del(json, cases[i].member);
        }

        text = json_dumps(json, 0);
        rc = reco_manifest_parse(str(text), &m, &err);
        snprintf(field, sizeof(field), "$.%s", cases[i].member);

        if (rc != cases[i].status || strcmp(err.field, field) != 0) {
            fail_msg("%s = %s: %d %s %s", cases[i].member,
                     cases[i].value ? cases[i].value : "nothing", rc,
                     err.field, err.message);
        }

        free(text);
        json_decref(json);
    }

    assert_fails(reco_manifest_parse(str("[]"), &m, err), RECO_INVALID,
                 "object");
    assert_fails(reco_manifest_parse(str("{\"format\": 1,\n x"), &m, err),
                 RECO_INVALID, "line 2");
    assert_fails(reco_manifest_parse(str(""), &m, err), RECO_INVALID, "line");
    assert_fails(reco_manifest_parse(
                     str("{\"format\": 1, \"format\": 1}"), &m, err),
                 RECO_INVALID, "duplicate");
}

static void
test_manifest_files(void **state)
{
    char             *long_text;
    reco_manifest_t   m, back;

    (void) state;

    assert_fails(reco_manifest_read(folder, &m, err), RECO_NOT_FOUND,
                 "current.json");

    assert_ok(reco_manifest_parse(str(MANIFEST), &m, err));
    assert_ok(reco_manifest_write(folder, &m, err));
    assert_ok(reco_manifest_read(folder, &back, err));
    assert_memory_equal(&m, &back, sizeof(m));

    /* what no reader would take is not written */
    m.generation = 0;
    assert_fails(reco_manifest_write(folder, &m, err), RECO_INVALID, "");
    assert_ok(reco_manifest_read(folder, &back, err));
    assert_int_equal(back.generation, 3);

    assert_fails(reco_manifest_write(in_folder("absent"), &back, err),
                 RECO_IO, "No such file");

    long_text = malloc(20000);
    memset(long_text, ' ', 20000);
    file_write(in_folder("current.json"), long_text, 20000);
    assert_fails(reco_manifest_read(folder, &m, err), RECO_LIMIT, "16384");
    free(long_text);

    unlink(in_folder("current.json"));
    assert_int_equal(mkfifo(in_folder("current.json"), 0600), 0);
    assert_fails(reco_manifest_read(folder, &m, err), RECO_INVALID,
                 "regular");
    unlink(in_folder("current.json"));
}

/* ---- publishing --------------------------------------------------------- */

static reco_manifest_t
publish(const char *dir, const char *path, uint64_t parent)
{
    reco_manifest_t  m;

    assert_ok(reco_publish(dir, path, parent, NOW, &m, err));

    return m;
}

static reco_snapshot_t *
open_published(const char *dir, const reco_manifest_t *m)
{
    char              path[1400];
    reco_snapshot_t  *s;

    snprintf(path, sizeof(path), "%s/%s", dir, m->file);
    assert_ok(reco_snapshot_open(path, NULL, &s, err));

    return s;
}

static void
test_publish(void **state)
{
    char              dir[256], path[1400], name[256], sum[33];
    uint64_t          size;
    reco_customer_t   c;
    reco_manifest_t   m, current;
    reco_snapshot_t  *s;

    (void) state;

    snprintf(dir, sizeof(dir), "%s/shop", folder);
    shop_build(in_folder("built.mdb"));
    m = publish(dir, in_folder("built.mdb"), 0);

    assert_string_equal(m.model, "shop");
    assert_string_equal(m.version, "1.2");
    assert_int_equal(m.generation, 1);
    assert_int_equal(m.parent, 0);
    assert_int_equal(m.published_ms, NOW);

    snprintf(path, sizeof(path), "%s/%s", dir, m.file);
    checksum(path, sum, &size);
    assert_int_equal(m.size, size);
    snprintf(name, sizeof(name), "shop-00000001-%.16s.mdb", sum);
    assert_string_equal(m.file, name);
    hex(m.checksum, 16, name);
    assert_string_equal(name, sum);

    assert_ok(reco_manifest_read(dir, &current, err));
    assert_memory_equal(&m, &current, sizeof(m));

    s = open_published(dir, &m);
    assert_int_equal(reco_snapshot_info(s)->generation, 1);
    assert_int_equal(reco_snapshot_info(s)->parent, 0);
    assert_int_equal(reco_snapshot_customer(s, str("c42"), &c), RECO_OK);
    assert_true(reco_customer_field(&c, 0).number == 42);
    assert_ok(reco_snapshot_check(s, err));
    reco_snapshot_close(s);

    /* snapshot, manifest; no lock file of LMDB's, nothing temporary */
    assert_int_equal(files_in(dir), 2);
}

static void
test_generations_rise(void **state)
{
    char              dir[256], path[1400];
    reco_manifest_t   first, second, third, fourth;
    reco_snapshot_t  *s;

    (void) state;

    snprintf(dir, sizeof(dir), "%s/rise", folder);
    shop_build(in_folder("built.mdb"));
    first = publish(dir, in_folder("built.mdb"), 0);
    many_build(in_folder("many.mdb"), 100, 1);
    second = publish(dir, in_folder("many.mdb"), 1);
    assert_int_equal(second.generation, 2);
    assert_int_equal(second.parent, 1);

    /* back to the first: its content, another generation */
    snprintf(path, sizeof(path), "%s/%s", dir, first.file);
    third = publish(dir, path, first.generation);
    assert_int_equal(third.generation, 3);
    assert_int_equal(third.parent, 1);
    s = open_published(dir, &third);
    assert_int_equal(reco_snapshot_info(s)->customers, 3);
    assert_int_equal(reco_snapshot_info(s)->generation, 3);
    assert_int_equal(reco_snapshot_info(s)->parent, 1);
    reco_snapshot_close(s);

    /* what was published before is still there, and still the same */
    s = open_published(dir, &first);
    assert_int_equal(reco_snapshot_info(s)->generation, 1);
    reco_snapshot_close(s);

    /* a generation that only a file's name knows, and names that are none */
    snprintf(path, sizeof(path), "%s/other-00000041-0123456789abcdef.mdb",
             dir);
    file_write(path, "", 0);
    snprintf(path, sizeof(path), "%s/other-00000077-0123456789abcdeg.mdb",
             dir);
    file_write(path, "", 0);
    snprintf(path, sizeof(path), "%s/other-0000078-0123456789abcdef.mdb",
             dir);
    file_write(path, "", 0);
    snprintf(path, sizeof(path), "%s/00000079-0123456789abcdef.mdb", dir);
    file_write(path, "", 0);
    fourth = publish(dir, in_folder("built.mdb"), 3);
    assert_int_equal(fourth.generation, 42);

    /* and one that only the manifest knows */
    fourth.generation = 99;
    assert_ok(reco_manifest_write(dir, &fourth, err));
    assert_int_equal(publish(dir, in_folder("built.mdb"), 0).generation,
                     100);
}

/* Same content, generation and parent: same bytes, wherever. */
static void
test_publish_same_bytes(void **state)
{
    char             one[256], two[256];
    reco_manifest_t  a, b;

    (void) state;

    snprintf(one, sizeof(one), "%s/one", folder);
    snprintf(two, sizeof(two), "%s/two", folder);
    many_build(in_folder("many.mdb"), 1000, 1);
    a = publish(one, in_folder("many.mdb"), 0);
    b = publish(two, in_folder("many.mdb"), 0);
    assert_memory_equal(&a, &b, sizeof(a));
}

static void
test_publish_refused(void **state)
{
    int               before;
    char              dir[256], path[1400], other[sizeof(SHOP_SPEC)];
    char             *name;
    size_t            len;
    uint8_t          *data;
    reco_builder_t   *b;
    reco_manifest_t   m, current;

    (void) state;

    snprintf(dir, sizeof(dir), "%s/refuse", folder);
    shop_build(in_folder("built.mdb"));
    m = publish(dir, in_folder("built.mdb"), 0);
    before = files_in(dir);

    /* another model */
    strcpy(other, SHOP_SPEC);
    name = strstr(other, "\"shop\"");
    assert_non_null(name);
    memcpy(name, "\"cart\"", 6);
    b = shop_builder(in_folder("cart.mdb"), other);
    assert_ok(reco_builder_finish(b, 0, 0, 0, NULL, err));
    reco_builder_free(b);
    assert_fails(reco_publish(dir, in_folder("cart.mdb"), 0, NOW, NULL, err),
                 RECO_INVALID,
                 "serves model \"shop\", and this is a snapshot of \"cart\"");

    /* no snapshot, cut off, absent */
    assert_fails(reco_publish(dir, "Makefile", 0, NOW, NULL, err),
                 RECO_UNSUPPORTED, "not a reco snapshot");
    data = file_read(in_folder("built.mdb"), &len);
    file_write(in_folder("cut.mdb"), data, len - 4096);
    assert_fails(reco_publish(dir, in_folder("cut.mdb"), 0, NOW, NULL, err),
                 RECO_CORRUPT, "cut off");
    assert_fails(reco_publish(dir, in_folder("absent"), 0, NOW, NULL, err),
                 RECO_NOT_FOUND, "No such file");
    assert_fails(reco_publish(in_folder("cut.mdb/such"),
                              in_folder("built.mdb"), 0, NOW, NULL, err),
                 RECO_IO, "cut.mdb/such': Not a directory");
    free(data);

    /* a published file that is no longer what its name says */
    snprintf(path, sizeof(path), "%s/%s", dir, m.file);
    data = file_read(path, &len);
    data[len - 1] ^= 1;
    snprintf(path, sizeof(path), "%s/%s", folder, m.file);
    file_write(path, data, len);
    free(data);
    assert_fails(reco_publish(dir, path, 0, NOW, NULL, err), RECO_CORRUPT,
                 "checksum");

    /* a record that is damaged */
    raw_put(in_folder("built.mdb"), "customers", "c42", 3, "x", 1);
    assert_fails(reco_publish(dir, in_folder("built.mdb"), 0, NOW, NULL, err),
                 RECO_CORRUPT, "customer \"c42\"");

    assert_int_equal(files_in(dir), before);
    assert_ok(reco_manifest_read(dir, &current, err));
    assert_memory_equal(&m, &current, sizeof(m));

    /* a manifest that cannot be read is not written over */
    snprintf(path, sizeof(path), "%s/current.json", dir);
    file_write(path, "{}", 2);
    shop_build(in_folder("built.mdb"));
    assert_fails(reco_publish(dir, in_folder("built.mdb"), 0, NOW, NULL, err),
                 RECO_INVALID, "");
    assert_int_equal(files_in(dir), before);
}

static void
test_publish_no_room(void **state)
{
    int            status, before;
    char           dir[256];
    pid_t          pid;
    struct rlimit  limit = { 8192, 8192 };

    (void) state;

    snprintf(dir, sizeof(dir), "%s/room", folder);
    shop_build(in_folder("built.mdb"));
    (void) publish(dir, in_folder("built.mdb"), 0);
    before = files_in(dir);

    pid = fork();
    assert_int_not_equal(pid, -1);

    if (pid == 0) {
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        _exit(reco_publish(dir, in_folder("built.mdb"), 0, NOW, NULL, NULL)
              == RECO_IO ? 0 : 1);
    }

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(files_in(dir), before);
}

/* What killed publishers left is cleared away, and nothing else. */
static void
test_leftovers(void **state)
{
    int   before;
    char  dir[256], path[1400];

    (void) state;

    snprintf(dir, sizeof(dir), "%s/left", folder);
    shop_build(in_folder("built.mdb"));
    (void) publish(dir, in_folder("built.mdb"), 0);
    before = files_in(dir);

    snprintf(path, sizeof(path), "%s/publish.tmp-0123456789abcdef", dir);
    file_write(path, "x", 1);
    snprintf(path, sizeof(path), "%s/current.json.tmp-0123456789abcdef", dir);
    file_write(path, "x", 1);
    snprintf(path, sizeof(path), "%s/notes.txt", dir);
    file_write(path, "x", 1);

    (void) publish(dir, in_folder("built.mdb"), 0);
    assert_int_equal(files_in(dir), before + 2);
}

/* Publishers take turns: each gets a generation of its own. */
static void
test_publishers_take_turns(void **state)
{
    enum { N = 8 };

    int              status;
    char             dir[256];
    pid_t            pid[N];
    reco_manifest_t  current;

    (void) state;

    snprintf(dir, sizeof(dir), "%s/turns", folder);
    many_build(in_folder("built.mdb"), 1000, 1);

    for (int i = 0; i < N; i++) {
        pid[i] = fork();
        assert_int_not_equal(pid[i], -1);

        if (pid[i] == 0) {
            _exit(reco_publish(dir, in_folder("built.mdb"), 0, NOW, NULL,
                               NULL) == RECO_OK ? 0 : 1);
        }
    }

    for (int i = 0; i < N; i++) {
        assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }

    assert_ok(reco_manifest_read(dir, &current, err));
    assert_int_equal(current.generation, N);
    assert_int_equal(files_in(dir), N + 1);
}

/* Whatever a model is called, its file stays in the folder. */
static void
test_strange_model(void **state)
{
    char              dir[256];
    reco_builder_t   *b;
    reco_manifest_t   m;

    (void) state;

    snprintf(dir, sizeof(dir), "%s/strange", folder);
    b = shop_builder(in_folder("strange.mdb"),
        "{\"model\": \"../caf\xc3\xa9 1.0\", \"features\": [],"
        " \"actions\": [{\"id\": \"A\"}],"
        " \"policy\": {\"type\": \"uniform\", \"slate\": 1}}");
    assert_ok(reco_builder_finish(b, 0, 0, 0, NULL, err));
    reco_builder_free(b);

    m = publish(dir, in_folder("strange.mdb"), 0);
    assert_string_equal(m.model, "../caf\xc3\xa9 1.0");
    assert_memory_equal(m.file, "_._caf___1.0-00000001-", 22);
    reco_snapshot_close(open_published(dir, &m));
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_checksum),
        cmocka_unit_test(test_checksum_sees_every_bit),
        cmocka_unit_test(test_manifest_parse),
        cmocka_unit_test(test_manifest_refused),
        cmocka_unit_test(test_manifest_files),
        cmocka_unit_test(test_publish),
        cmocka_unit_test(test_generations_rise),
        cmocka_unit_test(test_publish_same_bytes),
        cmocka_unit_test(test_publish_refused),
        cmocka_unit_test(test_publish_no_room),
        cmocka_unit_test(test_leftovers),
        cmocka_unit_test(test_publishers_take_turns),
        cmocka_unit_test(test_strange_model),
    };

    return cmocka_run_group_tests_name("publish", tests, folder_make,
                                       folder_remove);
}
