/*
 * Files that are no snapshots, are cut off or damaged: an error, never a
 * crash.
 */

#include "snapshot_fixture.h"

/* ---- files that are something else -------------------------------------- */

static void
assert_open_fails(const char *path, reco_status_t status, const char *words)
{
    reco_snapshot_t  *s = (reco_snapshot_t *) path;

    assert_fails(reco_snapshot_open(path, NULL, &s, err), status, words);
    assert_null(s);
}

static void
test_other_files(void **state)
{
    raw_t     r;
    char      zeros[8192] = "";
    size_t    len;
    uint8_t  *data;
    MDB_dbi   dbi;
    MDB_val   k = { 4, "meta" };

    (void) state;

    assert_open_fails(in_folder("absent"), RECO_NOT_FOUND, "No such file");
    assert_open_fails(folder, RECO_INVALID, "regular");
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    assert_open_fails(in_folder("fifo"), RECO_INVALID, "regular");
    unlink(in_folder("fifo"));

    file_write(in_folder("f"), "", 0);
    assert_open_fails(in_folder("f"), RECO_UNSUPPORTED, "no LMDB header");
    file_write(in_folder("f"), "{}\n", 3);
    assert_open_fails(in_folder("f"), RECO_UNSUPPORTED, "no LMDB header");
    file_write(in_folder("f"), zeros, sizeof(zeros));
    assert_open_fails(in_folder("f"), RECO_UNSUPPORTED, "no LMDB header");

    /* another program's LMDB files */
    unlink(in_folder("f"));
    r = raw_open(in_folder("f"));
    raw_close(&r);
    assert_open_fails(in_folder("f"), RECO_UNSUPPORTED, "no database");

    unlink(in_folder("f"));
    r = raw_open(in_folder("f"));
    assert_int_equal(mdb_dbi_open(r.txn, NULL, 0, &dbi), 0);
    assert_int_equal(mdb_put(r.txn, dbi, &k, &k, 0), 0);
    raw_close(&r);
    assert_open_fails(in_folder("f"), RECO_UNSUPPORTED, "no database");

    unlink(in_folder("f"));
    raw_put(in_folder("f"), "meta", "a", 1, "b", 1);
    raw_put(in_folder("f"), "customers", "a", 1, "b", 1);
    raw_put(in_folder("f"), "actions", "a", 1, "b", 1);
    assert_open_fails(in_folder("f"), RECO_UNSUPPORTED,
                      "no database \"values\"");
    raw_put(in_folder("f"), "values", "a", 1, "b", 1);
    assert_open_fails(in_folder("f"), RECO_UNSUPPORTED,
                      "no meta \"format\"");

    /* a database with duplicates where there should be none */
    unlink(in_folder("f"));
    r = raw_open(in_folder("f"));
    assert_int_equal(mdb_dbi_open(r.txn, "meta", MDB_CREATE | MDB_DUPSORT,
                                  &dbi), 0);
    raw_close(&r);
    assert_open_fails(in_folder("f"), RECO_UNSUPPORTED,
                      "no database \"meta\"");

    /* headers: magic of another byte order, LMDB's version, page sizes */
    shop_build(in_folder("shop.mdb"));
    data = file_read(in_folder("shop.mdb"), &len);

    assert_memory_equal(data + 16, "\xde\xc0\xef\xbe", 4);
    memcpy(data + 16, "\xbe\xef\xc0\xde", 4);
    file_write(in_folder("f"), data, len);
    assert_open_fails(in_folder("f"), RECO_UNSUPPORTED, "byte order");
    memcpy(data + 16, "\xde\xc0\xef\xbe", 4);

    data[20] = 2;
    file_write(in_folder("f"), data, len);
    assert_open_fails(in_folder("f"), RECO_UNSUPPORTED, "version 2");
    data[20] = 1;

    data[40] = 1;
    file_write(in_folder("f"), data, len);
    assert_open_fails(in_folder("f"), RECO_CORRUPT, "page size");
    data[40] = 0;

    data[4096 + 16] ^= 1;
    file_write(in_folder("f"), data, len);
    assert_open_fails(in_folder("f"), RECO_CORRUPT, "header");
    data[4096 + 16] ^= 1;

    file_write(in_folder("f"), data, len);
    reco_snapshot_close(shop_open(in_folder("f")));
    free(data);
}

static void
test_truncated(void **state)
{
    size_t    len;
    uint8_t  *data;

    (void) state;

    many_build(in_folder("many.mdb"), 500, 1);
    data = file_read(in_folder("many.mdb"), &len);
    assert_int_equal(len % 4096, 0);
    assert_true(len >= 20 * 4096);

    for (size_t cut = 4096; cut < len; cut += 4096) {
        file_write(in_folder("cut"), data, cut);
        assert_open_fails(in_folder("cut"), RECO_CORRUPT, "cut off");
        file_write(in_folder("cut"), data, cut - 1);
        assert_open_fails(in_folder("cut"), RECO_CORRUPT, "cut off");
    }

    file_write(in_folder("cut"), data, len - 1);
    assert_open_fails(in_folder("cut"), RECO_CORRUPT, "cut off");
    file_write(in_folder("cut"), data, 151);
    assert_open_fails(in_folder("cut"), RECO_CORRUPT, "cut off");
    file_write(in_folder("cut"), data, 19);
    assert_open_fails(in_folder("cut"), RECO_UNSUPPORTED, "no LMDB header");
    file_write(in_folder("cut"), data, len);
    reco_snapshot_close(shop_open(in_folder("cut")));
    free(data);
}

static void
test_damaged_meta(void **state)
{
    static const struct {
        const char     *name;
        const char     *data;
        size_t          len;
        reco_status_t   status;
        const char     *words;
    } cases[] = {
        { "format", "\1\0\0\0", 4, RECO_UNSUPPORTED, "format 1" },
        { "format", "\3\0\0\0", 4, RECO_UNSUPPORTED, "format 3" },
        { "format", "\1", 1, RECO_CORRUPT, "\"format\"" },
        { "byte_order", "\1\2\3\4", 4, RECO_UNSUPPORTED, "byte order" },
        { "byte_order", "\1\2\3", 3, RECO_CORRUPT, "\"byte_order\"" },
        { "customers", "\4\0\0\0\0\0\0\0", 8, RECO_CORRUPT, "number" },
        { "states", "\1\0\0\0\0\0\0\0", 8, RECO_CORRUPT, "number" },
        { "generation", "\1", 1, RECO_CORRUPT, "\"generation\"" },
        { "customer_fields", "\3ag", 3, RECO_CORRUPT, "customer_fields" },
        { "customer_fields", "\0", 1, RECO_CORRUPT, "customer_fields" },
        { "customer_fields", "\1\n", 2, RECO_CORRUPT, "customer_fields" },
        { "spec", "{\"model\": 1}", 12, RECO_INVALID, "" },
        { "spec", "\xff", 1, RECO_CORRUPT, "\"spec\"" },
        { "training", "{}\0", 3, RECO_CORRUPT, "\"training\"" },
    };

    (void) state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        shop_build(in_folder("shop.mdb"));
        raw_put(in_folder("shop.mdb"), "meta", cases[i].name,
                strlen(cases[i].name), cases[i].data, cases[i].len);
        assert_open_fails(in_folder("shop.mdb"), cases[i].status,
                          cases[i].words);

        shop_build(in_folder("shop.mdb"));
        raw_delete(in_folder("shop.mdb"), "meta", cases[i].name);
        assert_open_fails(in_folder("shop.mdb"), RECO_UNSUPPORTED,
                          cases[i].name);
    }
}

static void
test_damaged_actions(void **state)
{
    static const struct {
        const char  *key;
        const char  *data;
        size_t       len;
    } cases[] = {
        { "\0\1", "", 0 },
        { "\0\1", "\1\0\0\0\0\0\0\0\0", 9 },
        { "\0\1", "\1\0\0\0\0\0\0\0\0\1B\0", 12 },
        { "\0\1", "\1\0\0\0\0\0\0\0\0\1B\0\1", 13 },
        { "\0\1", "\1\0\0\0\0\0\0\0\0\1B\0\0x", 14 },
        { "\0\1", "\1\0\0\0\0\0\0\0\0\0\0\0", 12 },
        { "\0\1", "\2\0\0\0\0\0\0\0\0\1B\0\0", 13 },
        { "\0\1", "\1\0\0\0\0\0\0\xf0\x7f\1B\0\0", 13 },
        { "\0\5", "\1\0\0\0\0\0\0\0\0\1B\0\0", 13 },
    };

    (void) state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        shop_build(in_folder("shop.mdb"));
        raw_put(in_folder("shop.mdb"), "actions", cases[i].key, 2,
                cases[i].data, cases[i].len);
        assert_open_fails(in_folder("shop.mdb"), RECO_CORRUPT, "an action");
    }
}

/* What a damaged customer record reads as, field by field; then the check. */
static void
test_damaged_customers(void **state)
{
#define ONE     "\0\0\x0a\0"                /* field 0, a number at 10 */
#define TWO     "\2\x80\x12\0"              /* field 2, a word at 18 */
#define FORTY2  "\0\0\0\0\0\0\x45\x40"
    static const struct {
        const char  *data;
        size_t       len;
        bool         number;
        bool         word;
    } cases[] = {
        { "\2\0" ONE TWO FORTY2 "\2GBx", 22, true, true },
        { "\2\0" ONE TWO FORTY2 "\3GB", 21, true, false },
        { "\2\0" ONE TWO FORTY2 "\0GB", 21, true, false },
        { "\2\0" ONE TWO FORTY2 "\2G\n", 21, true, false },
        { "\2\0" ONE TWO FORTY2, 18, true, false },
        { "\2\0" ONE TWO "\0\0\0\0\0\0\x45", 17, false, false },
        { "\2\0" ONE TWO "\0\0\0\0\0\0\xf0\x7f" "\2GB", 21, false, true },
        { "\2\0" ONE "\2\x80\xff\xff" FORTY2 "\2GB", 21, true, false },
        { "\2\0" "\0\0\xff\xff" TWO FORTY2 "\2GB", 21, false, true },
        { "\2\0" TWO ONE FORTY2 "\2GB", 21, false, true },
        { "\6\0" ONE TWO FORTY2 "\2GB", 21, false, false },
        { "\2\0" ONE "\3\x80\x12\0" FORTY2 "\2GB", 21, true, false },
        { "\2\0" ONE, 6, false, false },
        { "\2", 1, false, false },
        { "", 0, false, false },
    };
    reco_customer_t   c;
    reco_snapshot_t  *s;

    (void) state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        shop_build(in_folder("shop.mdb"));
        raw_put(in_folder("shop.mdb"), "customers", "c42", 3, cases[i].data,
                cases[i].len);
        s = shop_open(in_folder("shop.mdb"));

        assert_int_equal(reco_snapshot_customer(s, str("c42"), &c), RECO_OK);
        assert_int_equal(reco_customer_field(&c, 0).kind,
                         cases[i].number ? RECO_VALUE_NUMBER
                                         : RECO_VALUE_MISSING);
        assert_int_equal(reco_customer_field(&c, 1).kind,
                         RECO_VALUE_MISSING);
        assert_int_equal(reco_customer_field(&c, 2).kind,
                         cases[i].word ? RECO_VALUE_WORD
                                       : RECO_VALUE_MISSING);

        assert_fails(reco_snapshot_check(s, err), RECO_CORRUPT,
                     "customer \"c42\"");
        reco_snapshot_close(s);
    }
}

/* Nothing is read past a record's end, whatever stands there. */
static void
test_cut_customers(void **state)
{
    static const char  record[] = "\2\0" ONE TWO FORTY2 "\2GB" "xxxxxxxx";

    reco_customer_t  c;

    (void) state;

    for (size_t len = 0; len <= 21; len++) {
        c = (reco_customer_t) { (const uint8_t *) record, len };

        assert_int_equal(reco_customer_field(&c, 0).kind,
                         len >= 18 ? RECO_VALUE_NUMBER : RECO_VALUE_MISSING);
        assert_int_equal(reco_customer_field(&c, 2).kind,
                         len >= 21 ? RECO_VALUE_WORD : RECO_VALUE_MISSING);
    }
}

static void
test_damaged_rows(void **state)
{
    static const char  hash[] =
        "\xaf\xe8\xba\x08\x8d\x36\x64\x79\xb5\x21\x34\x0e\x14\x35\xc3\x3e";
#define HEAD(k, n)  k "\0" n "\0" "\1\0\0\0\0\0\0\0"
#define STATE       "1\x1fGB\x1f" "1"
#define ONE_VISIT   "\1\0\0\0\0\0\0\0"
#define ZERO        "\0\0\0\0\0\0\0\0"
#define ENTRY(a)    a "\0" ZERO ONE_VISIT ZERO
    static const struct {
        const char  *data;
        size_t       len;
    } cases[] = {
        { "", 0 },
        { HEAD("\6", "\1"), 12 },
        { HEAD("\6", "\1") STATE ENTRY("\0"), 43 },
        { HEAD("\6", "\1") STATE ENTRY("\0") "x", 45 },
        { HEAD("\6", "\2") STATE ENTRY("\0"), 44 },
        { HEAD("\7", "\1") STATE ENTRY("\0"), 44 },
        { HEAD("\6", "\1") STATE ENTRY("\3"), 44 },
        { HEAD("\6", "\2") STATE ENTRY("\1") ENTRY("\1"), 70 },
        { HEAD("\6", "\2") STATE ENTRY("\1") ENTRY("\0"), 70 },
        { HEAD("\6", "\1") STATE "\0\0" "\0\0\0\0\0\0\xf0\x7f"
          ONE_VISIT ZERO, 44 },
        /* a confidence that is infinite, above 1, below 0 */
        { HEAD("\6", "\1") STATE "\0\0" ZERO ONE_VISIT
          "\0\0\0\0\0\0\xf0\x7f", 44 },
        { HEAD("\6", "\1") STATE "\0\0" ZERO ONE_VISIT
          "\1\0\0\0\0\0\xf0\x3f", 44 },
        { HEAD("\6", "\1") STATE "\0\0" ZERO ONE_VISIT
          "\0\0\0\0\0\0\xf0\xbf", 44 },
        /* whole, but of another state with the same hash */
        { HEAD("\6", "\1") "1\x1fGB\x1f" "2" ENTRY("\0"), 44 },
    };
    reco_row_t           row;
    reco_snapshot_t     *s;
    const reco_model_t  *model;

    (void) state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        shop_build(in_folder("shop.mdb"));
        raw_put(in_folder("shop.mdb"), "values", hash, 16, cases[i].data,
                cases[i].len);
        s = shop_open(in_folder("shop.mdb"));
        model = reco_snapshot_model(s);

        assert_false(model->lookup(model->lookup_data, str(STATE), &row));
        assert_fails(reco_snapshot_check(s, err), RECO_CORRUPT, "row");
        reco_snapshot_close(s);
    }

    shop_build(in_folder("shop.mdb"));
    raw_put(in_folder("shop.mdb"), "values", hash, 16,
            HEAD("\6", "\1") STATE ENTRY("\0"), 44);
    s = shop_open(in_folder("shop.mdb"));
    assert_ok(reco_snapshot_check(s, err));
    reco_snapshot_close(s);

    /* an unknown confidence is a NaN, whichever one it is */
    shop_build(in_folder("shop.mdb"));
    raw_put(in_folder("shop.mdb"), "values", hash, 16,
            HEAD("\6", "\1") STATE "\0\0" ZERO ONE_VISIT
            "\1\0\0\0\0\0\xf8\xff", 44);
    s = shop_open(in_folder("shop.mdb"));
    assert_ok(reco_snapshot_check(s, err));
    reco_snapshot_close(s);
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_other_files),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_damaged_meta),
        cmocka_unit_test(test_damaged_actions),
        cmocka_unit_test(test_damaged_customers),
        cmocka_unit_test(test_cut_customers),
        cmocka_unit_test(test_damaged_rows),
    };

    return cmocka_run_group_tests_name("snapshot_damage", tests, folder_make,
                                       folder_remove);
}
