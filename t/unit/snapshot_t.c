/*
 * Snapshots: what is built is what is read, byte by byte as docs/FORMAT.md has
 * it.
 */

#include "snapshot_fixture.h"

#include "reco_decide.h"

/* ---- reading ------------------------------------------------------------ */

static void
test_info(void **state)
{
    const reco_model_t          *model;
    reco_snapshot_t             *s;
    const reco_snapshot_info_t  *info;

    (void) state;

    shop_build(in_folder("shop.mdb"));
    s = shop_open(in_folder("shop.mdb"));
    info = reco_snapshot_info(s);
    model = reco_snapshot_model(s);

    assert_int_equal(info->generation, 0);
    assert_int_equal(info->parent, 0);
    assert_int_equal(info->built_ms, 0);
    assert_int_equal(info->customers, 3);
    assert_int_equal(info->states, 2);
    assert_string_equal(info->spec, SHOP_SPEC);
    assert_string_equal(info->training, "{\"epochs\": 3}");
    assert_string_equal(info->hash_key, "");
    assert_int_equal(info->ncustomer_fields, 3);
    assert_true(reco_str_equal(info->customer_fields[1], str("spend")));

    assert_true(reco_str_equal(model->name, str("shop")));
    assert_true(reco_str_equal(model->version, str("1.2")));
    assert_int_equal(model->catalogue.n, 3);
    assert_int_equal(reco_catalogue_find(&model->catalogue, str("C")), 2);

    assert_true(reco_str_equal(model->catalogue.actions[0].name,
                               str("Apple")));
    assert_true(reco_str_equal(model->catalogue.actions[0].category,
                               str("fruit")));
    assert_true(model->catalogue.actions[0].price == 1.25);
    assert_true(isnan(model->catalogue.actions[1].price));
    assert_true(reco_mask_get(&model->active, 0));
    assert_false(reco_mask_get(&model->active, 1));

    reco_snapshot_close(s);
    reco_snapshot_close(NULL);
    assert_int_equal(files_in(folder), 1);
}

static void
test_customers(void **state)
{
    char              name[257];
    reco_value_t      v;
    reco_customer_t   c;
    reco_snapshot_t  *s;

    (void) state;

    shop_build(in_folder("shop.mdb"));
    s = shop_open(in_folder("shop.mdb"));

    assert_int_equal(reco_snapshot_customer(s, str("c42"), &c), RECO_OK);
    v = reco_customer_field(&c, 0);
    assert_int_equal(v.kind, RECO_VALUE_NUMBER);
    assert_true(v.number == 42);
    assert_int_equal(reco_customer_field(&c, 1).kind, RECO_VALUE_MISSING);
    v = reco_customer_field(&c, 2);
    assert_int_equal(v.kind, RECO_VALUE_WORD);
    assert_true(reco_str_equal(v.word, str("GB")));
    assert_int_equal(reco_customer_field(&c, 3).kind, RECO_VALUE_MISSING);
    assert_int_equal(reco_customer_field(&c, -1).kind, RECO_VALUE_MISSING);

    assert_int_equal(reco_snapshot_customer(s, str("c7"), &c), RECO_OK);
    assert_int_equal(reco_customer_field(&c, 0).kind, RECO_VALUE_MISSING);
    assert_true(reco_customer_field(&c, 1).number == -0.5);

    assert_int_equal(reco_snapshot_customer(s, str("anna"), &c), RECO_OK);
    assert_non_null(c.data);
    assert_int_equal(reco_customer_field(&c, 0).kind, RECO_VALUE_MISSING);

    memset(name, 'x', 256);
    name[256] = '\0';
    assert_int_equal(reco_snapshot_customer(s, str("c4"), &c),
                     RECO_NOT_FOUND);
    assert_null(c.data);
    assert_int_equal(reco_customer_field(&c, 0).kind, RECO_VALUE_MISSING);
    assert_int_equal(reco_snapshot_customer(s, str(""), &c), RECO_NOT_FOUND);
    assert_int_equal(reco_snapshot_customer(s, str(name), &c),
                     RECO_NOT_FOUND);

    reco_snapshot_close(s);
}

static void
test_rows(void **state)
{
    reco_row_t           row;
    reco_entry_t         e;
    const reco_model_t  *model;
    reco_snapshot_t     *s;

    (void) state;

    shop_build(in_folder("shop.mdb"));
    s = shop_open(in_folder("shop.mdb"));
    model = reco_snapshot_model(s);
    assert_non_null(model->lookup);

    assert_true(model->lookup(model->lookup_data, str("1\x1fGB\x1f" "1"),
                              &row));
    assert_int_equal(row.n, 2);
    assert_int_equal(row.visits, 10);
    e = reco_row_entry(&row, 0);
    assert_int_equal(e.action, 0);
    assert_true(e.value == 0.5);
    assert_int_equal(e.visits, 7);
    assert_true(e.confidence == 0.75);
    e = reco_row_entry(&row, 1);
    assert_int_equal(e.action, 2);
    assert_true(e.value == -1.5);
    assert_int_equal(e.visits, 70000);
    assert_true(isnan(e.confidence));

    assert_true(model->lookup(model->lookup_data, str("1\x1f\x1f" "1"),
                              &row));
    assert_int_equal(row.n, 1);
    assert_false(model->lookup(model->lookup_data, str("1\x1fGB\x1f" "2"),
                               &row));
    assert_false(model->lookup(model->lookup_data, str(""), &row));

    reco_snapshot_close(s);
}

/* From a request to the row of its state: customer record, bins, key. */
static void
test_state_of_a_customer(void **state)
{
    static reco_request_t   request;
    static reco_features_t  features;

    char                    key[RECO_MAX_STATE_KEY];
    size_t                  len;
    reco_row_t              row;
    reco_customer_t         c;
    const reco_model_t     *model;
    reco_snapshot_t        *s;

    (void) state;

    shop_build(in_folder("shop.mdb"));
    s = shop_open(in_folder("shop.mdb"));
    model = reco_snapshot_model(s);

    reco_request_reset(&request, model->nfeatures);
    assert_int_equal(reco_snapshot_customer(s, str("c42"), &c), RECO_OK);
    assert_ok(reco_features_resolve(model, &request, &c, &features, err));

    len = reco_state_key(model, &features, 0, 1, key, sizeof(key));
    assert_true(reco_str_equal((reco_str_t) { key, len },
                               str("1\x1fGB\x1f" "1")));
    assert_true(model->lookup(model->lookup_data, (reco_str_t) { key, len },
                              &row));

    reco_snapshot_close(s);
}

static bool
collect_customer(void *data, reco_str_t key, const reco_customer_t *record)
{
    char  *text = data;

    assert_non_null(record->data);
    strncat(text, key.data, key.len);
    strcat(text, " ");

    return key.len != 3;
}

static bool
collect_row(void *data, reco_str_t key, const reco_row_t *row)
{
    uint64_t  *sum = data;

    *sum += row->visits + key.len;

    return true;
}

static void
test_walk(void **state)
{
    char              text[64] = "";
    uint64_t          sum = 0;
    reco_snapshot_t  *s;

    (void) state;

    shop_build(in_folder("shop.mdb"));
    s = shop_open(in_folder("shop.mdb"));

    /* in key order; the visitor ends it after "c42" */
    assert_ok(reco_snapshot_each_customer(s, collect_customer, text, err));
    assert_string_equal(text, "anna c42 ");

    assert_ok(reco_snapshot_each_row(s, collect_row, &sum, err));
    assert_int_equal(sum, 10 + 6 + 3 + 4);

    assert_ok(reco_snapshot_check(s, err));
    reco_snapshot_close(s);
}

static void
test_no_table(void **state)
{
    reco_str_t        age = RECO_STR("age");
    reco_builder_t   *b;
    reco_snapshot_t  *s;

    (void) state;

    assert_ok(reco_builder_new(in_folder("plain.mdb"),
        str("{\"model\": \"m\", \"features\": [],"
            " \"actions\": [{\"id\": \"A\"}],"
            " \"policy\": {\"type\": \"uniform\", \"slate\": 1}}"),
        NULL, 0, &age, 0, NULL, &b, err));
    assert_ok(reco_builder_finish(b, 3, 2, 1732241234567, NULL, err));
    reco_builder_free(b);

    s = shop_open(in_folder("plain.mdb"));
    assert_null(reco_snapshot_model(s)->lookup);
    assert_int_equal(reco_snapshot_model(s)->catalogue.n, 1);
    assert_int_equal(reco_snapshot_info(s)->customers, 0);
    assert_int_equal(reco_snapshot_info(s)->generation, 3);
    assert_int_equal(reco_snapshot_info(s)->parent, 2);
    assert_int_equal(reco_snapshot_info(s)->built_ms, 1732241234567);
    assert_string_equal(reco_snapshot_info(s)->training, "{}");
    assert_ok(reco_snapshot_check(s, err));
    reco_snapshot_close(s);
}

/* ---- bytes -------------------------------------------------------------- */

static void
assert_bytes(raw_t *r, const char *db, const void *key, size_t key_len,
    const void *data, size_t len)
{
    MDB_dbi  dbi;
    MDB_val  k = { key_len, (void *) key }, v;

    assert_int_equal(mdb_dbi_open(r->txn, db, 0, &dbi), 0);
    assert_int_equal(mdb_get(r->txn, dbi, &k, &v), 0);
    assert_int_equal(v.mv_size, len);
    assert_memory_equal(v.mv_data, data, len);
}

#define BYTES(db, key, data)                                                  \
    assert_bytes(&r, db, key, sizeof(key) - 1, data, sizeof(data) - 1)

/* docs/FORMAT.md; the key of the row is what Python's xxhash gives. */
static void
test_bytes(void **state)
{
    raw_t  r;

    (void) state;

    shop_build(in_folder("shop.mdb"));
    r = raw_open(in_folder("shop.mdb"));

    BYTES("meta", "format", "\x02\0\0\0");
    BYTES("meta", "byte_order", "\x04\x03\x02\x01");
    BYTES("meta", "spec", SHOP_SPEC);
    BYTES("meta", "customer_fields", "\x03" "age\x05" "spend\x07" "country");
    BYTES("meta", "customers", "\x03\0\0\0\0\0\0\0");
    BYTES("meta", "states", "\x02\0\0\0\0\0\0\0");
    BYTES("meta", "generation", "\0\0\0\0\0\0\0\0");
    BYTES("meta", "parent", "\0\0\0\0\0\0\0\0");
    BYTES("meta", "built", "\0\0\0\0\0\0\0\0");
    BYTES("meta", "training", "{\"epochs\": 3}");
    BYTES("meta", "hash_key", "");

    BYTES("customers", "c42",
          "\x02\0" "\0\0\x0a\0" "\x02\x80\x12\0" "\0\0\0\0\0\0\x45\x40"
          "\x02" "GB");
    BYTES("customers", "c7", "\x01\0" "\x01\0\x06\0" "\0\0\0\0\0\0\xe0\xbf");
    BYTES("customers", "anna", "\0\0");

    BYTES("actions", "\0\0", "\x01" "\0\0\0\0\0\0\xf4\x3f" "\x01" "A"
          "\x05" "Apple" "\x05" "fruit");
    BYTES("actions", "\0\1", "\0" "\0\0\0\0\0\0\xf8\x7f" "\x01" "B\0\0");

    BYTES("values",
          "\xaf\xe8\xba\x08\x8d\x36\x64\x79\xb5\x21\x34\x0e\x14\x35\xc3\x3e",
          "\x06\0\x02\0" "\x0a\0\0\0\0\0\0\0" "1\x1fGB\x1f" "1"
          "\0\0" "\0\0\0\0\0\0\xe0\x3f" "\x07\0\0\0\0\0\0\0"
          "\0\0\0\0\0\0\xe8\x3f"
          "\x02\0" "\0\0\0\0\0\0\xf8\xbf" "\x70\x11\x01\0\0\0\0\0"
          "\0\0\0\0\0\0\xf8\x7f");

    raw_close(&r);
}

/* Several batches; the same input in another order gives the same file. */
static void
test_same_bytes(void **state)
{
    enum { N = 20000 };

    reco_customer_t   c;
    reco_snapshot_t  *s;

    (void) state;

    many_build(in_folder("one.mdb"), N, 1);
    many_build(in_folder("two.mdb"), N, 1);
    many_build(in_folder("shuffled.mdb"), N, 7919);
    assert_same_files(in_folder("one.mdb"), in_folder("two.mdb"));
    assert_same_files(in_folder("one.mdb"), in_folder("shuffled.mdb"));

    s = shop_open(in_folder("shuffled.mdb"));
    assert_int_equal(reco_snapshot_info(s)->customers, N);
    assert_int_equal(reco_snapshot_info(s)->states, N);
    assert_int_equal(reco_snapshot_customer(s, str("customer-012345"), &c),
                     RECO_OK);
    assert_true(reco_customer_field(&c, 0).number == 12345);
    reco_snapshot_close(s);
}

/* ---- hash keys ---------------------------------------------------------- */

static void
test_hash_key(void **state)
{
    char              out[32];
    reco_str_t        field = RECO_STR("age"), key;
    reco_value_t      value = number(42);
    reco_secret_t    *mine, *other;
    reco_builder_t   *b;
    reco_customer_t   c;
    reco_snapshot_t  *s;

    (void) state;

    assert_ok(reco_secret_parse(
        str("hash 000102030405060708090a0b0c0d0e0f\n"
            "sign k 000102030405060708090a0b0c0d0e0f\n"), "a", &mine, err));
    assert_ok(reco_secret_parse(
        str("hash 000102030405060708090a0b0c0d0e10\n"
            "sign k 000102030405060708090a0b0c0d0e0f\n"), "b", &other, err));

    assert_ok(reco_builder_new(in_folder("hashed.mdb"), str(SHOP_SPEC), NULL,
                               0, &field, 1, reco_secret_fingerprint(mine),
                               &b, err));
    key = reco_customer_key(mine, str("customer-42"), out);
    assert_ok(reco_builder_customer(b, key, &value, err));
    assert_ok(reco_builder_finish(b, 0, 0, 0, NULL, err));
    reco_builder_free(b);

    assert_fails(reco_snapshot_open(in_folder("hashed.mdb"), other, &s, err),
                 RECO_INVALID, "another key");
    assert_null(s);

    assert_ok(reco_snapshot_open(in_folder("hashed.mdb"), mine, &s, err));
    assert_int_equal(reco_snapshot_customer(s, key, &c), RECO_OK);
    assert_int_equal(reco_snapshot_customer(s, str("customer-42"), &c),
                     RECO_NOT_FOUND);
    assert_string_equal(reco_snapshot_info(s)->hash_key,
                        reco_secret_fingerprint(mine));
    reco_snapshot_close(s);

    /* plain customers, and a secret; nobody is looked up without one */
    shop_build(in_folder("shop.mdb"));
    assert_fails(reco_snapshot_open(in_folder("shop.mdb"), mine, &s, err),
                 RECO_INVALID, "not hashed");
    assert_ok(reco_snapshot_open(in_folder("hashed.mdb"), NULL, &s, err));
    reco_snapshot_close(s);

    reco_secret_free(mine);
    reco_secret_free(other);
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_customers),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_state_of_a_customer),
        cmocka_unit_test(test_walk),
        cmocka_unit_test(test_no_table),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_hash_key),
    };

    return cmocka_run_group_tests_name("snapshot", tests, folder_make,
                                       folder_remove);
}
