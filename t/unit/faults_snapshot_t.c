/*
 * Building, reading and publishing a snapshot while each call that can fail
 * does, once: an error that tells the cause, or success; nothing is left on
 * the heap, open or in the folder; what was there before is there, or the
 * complete new one.
 */

#include "items_fixture.h"
#include "faults.h"

static uint8_t  *old, *new;     /* a target's bytes before and after */
static size_t    old_len, new_len;
static bool      existed;

/* ---- building ----------------------------------------------------------- */

static reco_status_t
shop_run(reco_builder_t *b, reco_error_t *err)
{
    char             key[32];
    reco_entry_t     e = { 0, 0.5, 7, 0.75 };
    reco_value_t     none[3] = { missing(), missing(), number(3) };
    reco_status_t    rc = RECO_OK;

    none[2] = word("FR");

    for (int i = 3; rc == RECO_OK && i > 0; i--) {      /* not sorted */
        snprintf(key, sizeof(key), "c%d", i);
        rc = reco_builder_customer(b, str(key), none, err);
        if (rc == RECO_OK) {
            rc = reco_builder_row(b, str(key), 3, &e, 1, err);
        }
    }

    return rc == RECO_OK ? reco_builder_finish(b, 0, 0, 0, "{\"a\": 1}", err)
                         : rc;
}

static reco_status_t
shop_try(reco_error_t *err)
{
    reco_str_t       fields[3] = { RECO_STR("age"), RECO_STR("spend"),
                                   RECO_STR("country") };
    reco_action_t    actions[3] = {
        { RECO_STR("A"), RECO_STR("Apple"), RECO_STR("fruit"), 1.25, true },
        { RECO_STR("B"), RECO_STR(""), RECO_STR(""), NAN, false },
        { RECO_STR("C"), RECO_STR(""), RECO_STR(""), 0, true },
    };
    reco_status_t    rc;
    reco_builder_t  *b;

    rc = reco_builder_new(in_folder("shop.mdb"), RECO_STR(SHOP_SPEC), actions,
                          3, fields, 3, NULL, &b, err);
    if (rc == RECO_OK) {
        rc = shop_run(b, err);
        reco_builder_free(b);
    }

    return rc;
}

static reco_status_t
cart_run(reco_builder_t *b, reco_error_t *err)
{
    reco_item_t        item = { RECO_STR("tea"), RECO_STR("Tea"),
                                RECO_STR("kitchen"), RECO_STR(""), 2, true };
    reco_status_t      rc;
    reco_history_t     h = {
        .kind = RECO_HISTORY_REWARD, .time_ms = 5, .generation = 1,
        .customer_key = RECO_STR("ann"), .session = RECO_STR(""),
        .action = RECO_STR("low"), .value = 1,
    };
    reco_value_t       bought = word("tea");
    reco_list_entry_t  entry = { 0, 1 };

    if ((rc = reco_builder_customer(b, str("ann"), &bought, err)) != RECO_OK
        || (rc = reco_builder_item(b, &item, err)) != RECO_OK
        || (rc = reco_builder_list(b, str("popular"), str(""), &entry, 1, err))
           != RECO_OK
        || (rc = reco_builder_history(b, &h, err)) != RECO_OK)
    {
        return rc;
    }

    return reco_builder_finish(b, 0, 0, 0, NULL, err);
}

static reco_status_t
cart_try(reco_error_t *err)
{
    reco_str_t       field = RECO_STR("bought");
    reco_status_t    rc;
    reco_builder_t  *b;

    rc = reco_builder_new(in_folder("cart.mdb"), RECO_STR(CART_SPEC), NULL, 0,
                          &field, 1, NULL, &b, err);
    if (rc == RECO_OK) {
        rc = cart_run(b, err);
        reco_builder_free(b);
    }

    return rc;
}

static void
old_put(const char *name)
{
    unlink(in_folder(name));
    if (existed) {
        file_write(in_folder(name), old, old_len);
    }
}

static const char *
target_judge(const char *name, reco_status_t rc)
{
    bool      there = access(in_folder(name), F_OK) == 0;
    size_t    len = 0;
    uint8_t  *now = there ? file_read(in_folder(name), &len) : NULL;
    bool      is_new, is_old;

    is_new = there && len == new_len && memcmp(now, new, len) == 0;
    is_old = there == existed
             && (!there || (len == old_len && memcmp(now, old, len) == 0));
    free(now);

    return files_in(folder) != there ? "a file is left"
           : is_new || (is_old && rc != RECO_OK) ? NULL
           : "neither old nor new";
}

static void
shop_before(void)
{
    old_put("shop.mdb");
}

static void
cart_before(void)
{
    old_put("cart.mdb");
}

static const char *
shop_judge(reco_status_t rc)
{
    return target_judge("shop.mdb", rc);
}

static const char *
cart_judge(reco_status_t rc)
{
    return target_judge("cart.mdb", rc);
}

static void
test_build(void **state)
{
    static const operation_t  builds[] = {
        { "build a shop", shop_before, shop_try, shop_judge },
        { "build a cart", cart_before, cart_try, cart_judge },
    };
    static const char *const  names[] = { "shop.mdb", "cart.mdb" };

    (void) state;

    old = (uint8_t *) strdup("old");
    old_len = 3;

    for (size_t i = 0; i < 2; i++) {
        assert_ok(builds[i].run(err));
        new = file_read(in_folder(names[i]), &new_len);

        for (int was = 0; was < 2; was++) {
            existed = was;
            fault_each(&builds[i]);
        }

        free(new);
        unlink(in_folder(names[i]));
    }

    free(old);
}

/* ---- reading ------------------------------------------------------------ */

static bool
seen(void *data)
{
    (*(int *) data)++;

    return true;
}

static bool
customer_seen(void *data, reco_str_t key, const reco_customer_t *record)
{
    (void) key;
    (void) record;
    return seen(data);
}

static bool
row_seen(void *data, reco_str_t key, const reco_row_t *row)
{
    (void) key;
    (void) row;
    return seen(data);
}

static bool
item_seen(void *data, uint32_t index, const reco_item_t *item)
{
    (void) index;
    (void) item;
    return seen(data);
}

static bool
list_seen(void *data, reco_str_t name, reco_str_t key, const reco_list_t *l)
{
    (void) name;
    (void) key;
    (void) l;
    return seen(data);
}

static bool
history_seen(void *data, const reco_history_t *h)
{
    (void) h;
    return seen(data);
}

static const char  *read_name;
static int          read_all;           /* records of it */

static reco_status_t
read_run(const reco_snapshot_t *s, reco_error_t *err)
{
    int            n = 0;
    reco_status_t  rc;

    if ((rc = reco_snapshot_check(s, err)) != RECO_OK
        || (rc = reco_snapshot_each_customer(s, customer_seen, &n, err))
           != RECO_OK
        || (rc = reco_snapshot_each_row(s, row_seen, &n, err)) != RECO_OK
        || (rc = reco_snapshot_each_item(s, item_seen, &n, err)) != RECO_OK
        || (rc = reco_snapshot_each_list(s, list_seen, &n, err)) != RECO_OK
        || (rc = reco_snapshot_each_history(s, history_seen, &n, err))
           != RECO_OK)
    {
        return rc;
    }

    assert_int_equal(n, read_all);

    return RECO_OK;
}

static reco_status_t
read_try(reco_error_t *err)
{
    reco_status_t     rc;
    reco_snapshot_t  *s;

    rc = reco_snapshot_open(in_folder(read_name), NULL, &s, err);
    if (rc == RECO_OK) {
        rc = read_run(s, err);
        reco_snapshot_close(s);
    }

    return rc;
}

static void
test_read(void **state)
{
    operation_t  shop = { "read a shop", NULL, read_try, NULL };
    operation_t  cart = { "read a cart", NULL, read_try, NULL };

    (void) state;

    assert_ok(shop_try(err));
    read_name = "shop.mdb";
    read_all = 3 + 3;
    fault_each(&shop);

    assert_ok(cart_try(err));
    read_name = "cart.mdb";
    read_all = 1 + 1 + 1 + 1;
    fault_each(&cart);
}

/* ---- publishing --------------------------------------------------------- */

static char             to[300];
static reco_manifest_t  before;

/* As it was after the first one. */
static void
publish_before(void)
{
    DIR            *d = opendir(to);
    struct dirent  *e;

    assert_non_null(d);

    while ((e = readdir(d)) != NULL) {
        if (e->d_name[0] != '.' && strcmp(e->d_name, before.file) != 0) {
            unlinkat(dirfd(d), e->d_name, 0);
        }
    }
    closedir(d);

    assert_ok(reco_manifest_write(to, &before, err));
}

static reco_status_t
publish_try(reco_error_t *err)
{
    return reco_publish(to, in_folder("shop.mdb"), 1, 1732241234567, NULL,
                        err);
}

/* The manifest names what is there whole; a file that no manifest ever named
 * is not left. */
static const char *
publish_judge(reco_status_t rc)
{
    int               fd;
    char              path[600];
    uint8_t           sum[RECO_CHECKSUM_BYTES];
    uint64_t          size;
    reco_manifest_t   m;

    assert_ok(reco_manifest_read(to, &m, err));

    if (m.generation != before.generation + 1
        && (rc == RECO_OK || m.generation != before.generation))
    {
        return "neither the old nor the new generation";
    }

    if (files_in(to) != 2 + (int) (m.generation - before.generation)) {
        return "a file is left";
    }

    snprintf(path, sizeof(path), "%s/%s", to, m.file);
    fd = open(path, O_RDONLY);
    assert_int_not_equal(fd, -1);
    assert_ok(reco_checksum_fd(fd, &size, sum, err));
    close(fd);

    return size == m.size && memcmp(sum, m.checksum, sizeof(sum)) == 0
           ? NULL : "not what the manifest says";
}

static void
test_publish(void **state)
{
    operation_t  publish = { "publish", publish_before, publish_try,
                             publish_judge };

    (void) state;

    snprintf(to, sizeof(to), "%s/to/served", folder);
    assert_ok(shop_try(err));
    assert_ok(publish_try(err));
    assert_ok(reco_manifest_read(to, &before, err));
    fault_each(&publish);
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_build),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_publish),
    };

    return cmocka_run_group_tests_name("faults_snapshot", tests, folder_make,
                                       folder_remove);
}
