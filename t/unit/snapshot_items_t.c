/*
 * Items, lists and history of a snapshot: byte by byte as docs/FORMAT.md has
 * them, read back, refused, and damaged.
 */

#include "items_fixture.h"

static reco_error_t  error;

static void
assert_bytes(const char *path, const char *db, const void *key,
    size_t key_len, const void *data, size_t len)
{
    raw_t    r = raw_open(path);
    MDB_dbi  dbi;
    MDB_val  k = { key_len, (void *) key }, v;

    assert_int_equal(mdb_dbi_open(r.txn, db, 0, &dbi), 0);
    assert_int_equal(mdb_get(r.txn, dbi, &k, &v), 0);
    assert_int_equal(v.mv_size, len);
    assert_memory_equal(v.mv_data, data, len);
    raw_close(&r);
}

#define BYTES(db, key, data)                                                  \
    assert_bytes(in_folder("cart.mdb"), db, key, sizeof(key) - 1, data,       \
                 sizeof(data) - 1)

static reco_history_t
line(reco_history_kind_t kind, const char *customer, uint64_t time_ms,
    uint8_t id)
{
    reco_history_t  h = {
        .kind = kind, .time_ms = time_ms, .generation = 3,
        .customer_key = str(customer), .session = str(""),
        .action = str(""), .value = NAN,
    };

    h.id.bytes[15] = id;

    return h;
}

#define DAY  1732241234567

static void
history_add(reco_builder_t *b)
{
    reco_history_t  h;

    h = line(RECO_HISTORY_REWARD, "c42", DAY + 5, 1);
    h.value = 1.5;
    h.action = str("low");
    assert_ok(reco_builder_history(b, &h, err));
    assert_ok(reco_builder_history(b, &h, err));

    h = line(RECO_HISTORY_RECOMMENDATION, "c42", DAY, 1);
    h.session = str("s1");
    h.action = str("low");
    h.value = 0.75;
    h.nitems = 2;
    h.items[0] = str("tea");
    h.items[1] = str("mug");
    assert_ok(reco_builder_history(b, &h, err));

    h = line(RECO_HISTORY_RECOMMENDATION, "c42", DAY + 1000, 2);
    assert_ok(reco_builder_history(b, &h, err));
    h = line(RECO_HISTORY_RECOMMENDATION, "c42", DAY + 2000, 3);
    assert_ok(reco_builder_history(b, &h, err));
    h = line(RECO_HISTORY_RECOMMENDATION, "c7", DAY + 500, 4);
    assert_ok(reco_builder_history(b, &h, err));

    h = line(RECO_HISTORY_AGENT, "", DAY, 0);
    h.value = 0.1;
    h.count = 12345;
    assert_ok(reco_builder_history(b, &h, err));
}

static void
build(void)
{
    reco_value_t     bought = word("lamp rake");
    reco_builder_t  *b = cart_builder(in_folder("cart.mdb"), CART_SPEC);

    assert_ok(reco_builder_customer(b, str("ann"), &bought, err));
    cart_items(b, true);
    cart_lists(b);
    history_add(b);
    cart_finish(b);
}

/* ---- bytes -------------------------------------------------------------- */

/* Hashes of "c42" and "" as `xxhsum -H3` gives them. */
#define H_C42   "\x4d\xbb\x33\xd8\xb3\x13\xac\xbf"
#define H_NONE  "\x2d\x06\x80\x05\x38\xd3\x94\xc2"
#define T_DAY   "\x00\x00\x01\x93\x51\x9f\x9a\x87"
#define LE_DAY  "\x87\x9a\x9f\x51\x93\x01\x00\x00"
#define ID(n)   "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" n

static void
test_bytes(void **state)
{
    (void) state;

    build();

    BYTES("items", "\0\0\0\0", "\x01" "\0\0\0\0\0\0\0\x40" "\x03" "tea"
          "\x0a" "Tea, green" "\x07" "kitchen" "\0");
    BYTES("items", "\0\0\0\5", "\0" "\0\0\0\0\0\0\xf8\x7f" "\x04" "vase\0"
          "\x06" "garden\0");
    BYTES("item_ids", "mug-red", "\2\0\0\0");
    BYTES("lists", "price\x1flow", "\0\0\0\0" "\0\0\0\0\0\0\xe0\x3f"
          "\4\0\0\0" "\0\0\0\0\0\0\xe0\x3f" "\6\0\0\0"
          "\0\0\0\0\0\0\xd0\x3f");
    BYTES("lists", "also_bought\x1flamp", "\4\0\0\0" "\0\0\0\0\0\0\xf0\x3f");

    BYTES("history", "d" H_C42 T_DAY ID("\1"),
          "d" LE_DAY "\3\0\0\0\0\0\0\0" ID("\1")
          "\0\0\0\0\0\0\xe8\x3f" "\0\0\0\0\0\0\0\0" "\2" "\3" "c42" "\2" "s1"
          "\3" "low" "\3" "tea" "\3" "mug");
    BYTES("history", "a" H_NONE T_DAY ID("\0"),
          "a" LE_DAY "\3\0\0\0\0\0\0\0" ID("\0")
          "\x9a\x99\x99\x99\x99\x99\xb9\x3f" "\x39\x30\0\0\0\0\0\0" "\0"
          "\0\0\0");
}

static void
test_info_and_absence(void **state)
{
    raw_t                        r;
    MDB_dbi                      dbi;
    reco_snapshot_t             *s;
    const reco_snapshot_info_t  *info;

    (void) state;

    build();
    s = shop_open(in_folder("cart.mdb"));
    info = reco_snapshot_info(s);
    assert_int_equal(info->items, 8);
    assert_int_equal(info->lists, 7 + 1);
    assert_int_equal(info->history, 6);
    assert_ok(reco_snapshot_check(s, err));
    reco_snapshot_close(s);

    /* a snapshot without them has no such databases */
    shop_build(in_folder("shop.mdb"));
    r = raw_open(in_folder("shop.mdb"));
    assert_int_equal(mdb_dbi_open(r.txn, "items", 0, &dbi), MDB_NOTFOUND);
    assert_int_equal(mdb_dbi_open(r.txn, "item_ids", 0, &dbi), MDB_NOTFOUND);
    assert_int_equal(mdb_dbi_open(r.txn, "lists", 0, &dbi), MDB_NOTFOUND);
    assert_int_equal(mdb_dbi_open(r.txn, "history", 0, &dbi), MDB_NOTFOUND);
    raw_close(&r);
    s = shop_open(in_folder("shop.mdb"));
    assert_int_equal(reco_snapshot_info(s)->items, 0);
    reco_snapshot_close(s);
}

/* ---- walking and asking ------------------------------------------------- */

static bool
collect_item(void *data, uint32_t index, const reco_item_t *item)
{
    char  *text = data;

    snprintf(text + strlen(text), 200, "%u=%.*s ", (unsigned) index,
             (int) item->id.len, item->id.data);

    return index < 2;
}

static bool
collect_list(void *data, reco_str_t name, reco_str_t key,
    const reco_list_t *list)
{
    char  *text = data;

    snprintf(text + strlen(text), 200, "%.*s/%.*s:%u ", (int) name.len,
             name.data, (int) key.len, key.data, (unsigned) list->n);

    return true;
}

static bool
collect_history(void *data, const reco_history_t *h)
{
    char  *text = data;

    snprintf(text + strlen(text), 200, "%c%u+%u ", (char) h->kind,
             (unsigned) h->id.bytes[15], (unsigned) (h->time_ms - DAY));

    return h->id.bytes[15] != 9;
}

static void
test_walk(void **state)
{
    char              text[1024] = "";
    reco_snapshot_t  *s;

    (void) state;

    build();
    s = shop_open(in_folder("cart.mdb"));

    assert_ok(reco_snapshot_each_item(s, collect_item, text, err));
    assert_string_equal(text, "0=tea 1=mug 2=mug-red ");

    text[0] = '\0';
    assert_ok(reco_snapshot_each_list(s, collect_list, text, err));
    assert_string_equal(text, "also_bought/lamp:1 also_bought/mug:3 "
                        "also_bought/rake:1 also_bought/tea:2 "
                        "category/kitchen:2 category/light:2 popular/:8 "
                        "price/low:3 ");

    /* by kind, then by the customer's hash */
    text[0] = '\0';
    assert_ok(reco_snapshot_each_history(s, collect_history, text, err));
    assert_string_equal(text, "a0+0 d1+0 d2+1000 d3+2000 d4+500 r1+5 ");

    reco_snapshot_close(s);
}

static const char *
history_of(const reco_snapshot_t *s, reco_history_kind_t kind,
    const char *customer, uint64_t from, uint64_t to)
{
    static char  text[1024];

    text[0] = '\0';
    assert_int_equal(reco_snapshot_history(s, kind, str(customer), from, to,
                                           collect_history, text), RECO_OK);

    return text;
}

static void
test_history(void **state)
{
    reco_snapshot_t  *s;

    (void) state;

    build();
    s = shop_open(in_folder("cart.mdb"));

    assert_string_equal(history_of(s, 'd', "c42", 0, UINT64_MAX),
                        "d3+2000 d2+1000 d1+0 ");
    assert_string_equal(history_of(s, 'd', "c42", DAY, DAY + 2000),
                        "d2+1000 d1+0 ");
    assert_string_equal(history_of(s, 'd', "c42", DAY + 1, DAY + 2001),
                        "d3+2000 d2+1000 ");
    assert_string_equal(history_of(s, 'd', "c42", DAY + 1000, DAY + 1000), "");
    assert_string_equal(history_of(s, 'd', "c7", 0, UINT64_MAX), "d4+500 ");
    assert_string_equal(history_of(s, 'r', "c42", 0, UINT64_MAX), "r1+5 ");
    assert_string_equal(history_of(s, 'r', "c7", 0, UINT64_MAX), "");
    assert_string_equal(history_of(s, 'a', "", 0, UINT64_MAX), "a0+0 ");
    assert_string_equal(history_of(s, 'd', "", 0, UINT64_MAX), "");
    reco_snapshot_close(s);

    shop_build(in_folder("shop.mdb"));
    s = shop_open(in_folder("shop.mdb"));
    assert_string_equal(history_of(s, 'd', "c42", 0, UINT64_MAX), "");
    reco_snapshot_close(s);
}

/* Records of one key that differ: in either order the same one stays. */
static void
test_history_order(void **state)
{
    reco_history_t    h;
    reco_builder_t   *b;
    reco_snapshot_t  *s;

    (void) state;

    for (int turn = 0; turn < 2; turn++) {
        b = cart_builder(in_folder(turn ? "two.mdb" : "one.mdb"), CART_SPEC);
        for (int i = 0; i < 3; i++) {
            h = line(RECO_HISTORY_REWARD, "c42", DAY, 1);
            h.value = 1;
            h.action = str(i == turn ? "low" : i == 1 - turn ? "lo" : "");
            assert_ok(reco_builder_history(b, &h, err));
        }
        cart_finish(b);
    }

    assert_same_files(in_folder("one.mdb"), in_folder("two.mdb"));
    s = shop_open(in_folder("one.mdb"));
    assert_int_equal(reco_snapshot_info(s)->history, 1);
    reco_snapshot_close(s);
}

/* Items that do not fit are left out from the end; a part is no record. */
static void
test_history_room(void **state)
{
    size_t          len, room;
    uint8_t         data[RECO_HISTORY_MAX];
    reco_history_t   h = line(RECO_HISTORY_RECOMMENDATION, "c42", DAY, 1);
    reco_history_t   back;

    (void) state;

    h.nitems = 3;
    h.items[0] = str("tea");
    h.items[1] = str("mug-red");
    h.items[2] = str("x");
    len = reco_history_pack(&h, data, sizeof(data));
    assert_int_equal(len, 50 + 4 + 1 + 1 + 4 + 8 + 2);

    for (size_t cut = 0; cut < len; cut++) {
        assert_false(reco_history_unpack(data, cut, &back));
    }
    data[len] = 0;
    assert_false(reco_history_unpack(data, len + 1, &back));

    for (room = 0; room < len; room++) {
        len = reco_history_pack(&h, data, room);
        assert_true(len <= room);
        if (room < 56) {
            assert_int_equal(len, 0);
            len = 70;
            continue;
        }
        assert_true(reco_history_unpack(data, len, &back));
        assert_int_equal(back.nitems, room < 60 ? 0 : room < 68 ? 1 : 2);
        assert_true(isnan(back.value));
        len = 70;
    }
}

/* ---- what a builder refuses --------------------------------------------- */

static void
assert_list_refused(reco_builder_t *b, const char *name,
    const reco_list_entry_t *entries, uint32_t n, const char *words)
{
    if (reco_builder_list(b, str(name), str(""), entries, n, &error)
        == RECO_OK || strstr(error.message, words) == NULL)
    {
        fail_msg("\"%s\" does not say \"%s\"", error.message, words);
    }
}

#define LIST_REFUSED(words, ...)                                              \
    do {                                                                      \
        reco_list_entry_t  entries_[] = { __VA_ARGS__ };                      \
        assert_list_refused(b, "l", entries_,                                 \
                            sizeof(entries_) / sizeof(entries_[0]), words);   \
    } while (0)

static void
test_refused(void **state)
{
    reco_item_t         item = { str("tea"), str(""), str(""), str(""), 1,
                                 true };
    reco_history_t      h;
    reco_builder_t     *b = cart_builder(in_folder("cart.mdb"), CART_SPEC);
    reco_list_entry_t   one = { TEA, 1 };

    (void) state;

    assert_list_refused(b, "l", &one, 1, "an item that is not there");
    cart_items(b, true);

    assert_fails(reco_builder_item(b, &item, err), RECO_INVALID,
                 "item \"tea\" is there twice");
    item.id = str("");
    assert_fails(reco_builder_item(b, &item, err), RECO_INVALID, "item's id");
    item.id = str("new");
    item.family = str("a\n");
    assert_fails(reco_builder_item(b, &item, err), RECO_INVALID,
                 "the family of item \"new\"");
    item.family = str("");
    item.price = INFINITY;
    assert_fails(reco_builder_item(b, &item, err), RECO_INVALID,
                 "the price of item \"new\"");

    assert_list_refused(b, "l", &one, 0, "has 0 entries");
    assert_list_refused(b, "", &one, 1, "name or key");
    assert_list_refused(b, "a\x1f" "b", &one, 1, "name or key");
    LIST_REFUSED("not there", { NITEMS, 1 });
    LIST_REFUSED("score", { TEA, -1 });
    LIST_REFUSED("score", { TEA, NAN });
    LIST_REFUSED("score", { TEA, INFINITY });
    LIST_REFUSED("order", { TEA, 1 }, { MUG, 2 });
    LIST_REFUSED("order", { MUG, 1 }, { TEA, 1 });
    LIST_REFUSED("twice", { MUG, 1 }, { TEA, 0.5 }, { MUG, 0.25 });
    CART_LIST(b, "l", "", { TEA, 1 }, { MUG, 0 });
    LIST_REFUSED("there twice", { TEA, 1 });

    h = line((reco_history_kind_t) 'x', "c", 1, 1);
    assert_fails(reco_builder_history(b, &h, err), RECO_INVALID, "kind");
    h = line(RECO_HISTORY_REWARD, "c", 1, 1);
    h.value = -INFINITY;
    assert_fails(reco_builder_history(b, &h, err), RECO_INVALID, "infinite");
    h.value = 0;
    h.session = str("\n");
    assert_fails(reco_builder_history(b, &h, err), RECO_INVALID, "id");

    cart_finish(b);

    b = shop_builder(in_folder("shop.mdb"), SHOP_SPEC);
    item.price = 1;
    assert_fails(reco_builder_item(b, &item, err), RECO_INVALID,
                 "takes no items");
    assert_fails(reco_builder_list(b, str("l"), str(""), &one, 1, err),
                 RECO_INVALID, "takes no items");
    reco_builder_free(b);
}

/* ---- damage ------------------------------------------------------------- */

static reco_request_t        request;
static reco_features_t       features;
static reco_items_scratch_t  scratch;
static reco_item_slate_t     slate;

/* Every strategy is asked: whatever a file says, nothing crashes. */
static void
ask_all(const reco_snapshot_t *s)
{
    reco_customer_t  c;

    reco_request_reset(&request, 1);
    request.ncart = 2;
    request.cart[0] = str("tea");
    request.cart[1] = str("mug");
    memset(&features, 0, sizeof(features));
    features.n = 1;
    features.value[0] = word("light");
    (void) reco_snapshot_customer(s, str("ann"), &c);

    for (uint16_t action = LOW; action <= NONE; action++) {
        reco_items_select(reco_snapshot_model(s), action, &features, &request,
                          &c, &scratch, &slate);
        assert_true(slate.n <= 3);
        for (uint32_t i = 0; i < slate.n; i++) {
            assert_true(reco_id_is_valid(slate.items[i].item.id));
            assert_true(isfinite(slate.items[i].score));
        }
    }
}

static const struct {
    const char  *db, *key;
    size_t       key_len;
    const char  *data;
    size_t       len;
    const char  *words;
} damages[] = {
#define D(db, key, data, words)                                               \
    { db, key, sizeof(key) - 1, data, sizeof(data) - 1, words }
#define PRICE  "\0\0\0\0\0\0\0\x40"
    D("items", "\0\0\0\0", "", "an item"),
    D("items", "\0\0\0\0", "\2" PRICE "\3tea\0\0\0", "an item"),
    D("items", "\0\0\0\0", "\1" "\0\0\0\0\0\0\xf0\x7f" "\3tea\0\0\0",
      "an item"),
    D("items", "\0\0\0\0", "\1" PRICE "\3tea\0\0", "an item"),
    D("items", "\0\0\0\0", "\1" PRICE "\3tea\0\0\0x", "an item"),
    D("items", "\0\0\0\0", "\1" PRICE "\xfftea\0\0\0", "an item"),
    D("items", "\0\0\0\0", "\1" PRICE "\0\0\0\0", "an item"),
    D("items", "\0\0\0\0", "\1" PRICE "\3tea\0\1\n\0", "an item"),
    D("items", "\0\0\0\0", "\1" PRICE "\3ale\0\0\0", "an item's id"),
    D("items", "\0\0\0\1", "\1" PRICE "\3tea\0\0\0", "an item's id"),
    D("item_ids", "tea", "\1\0\0\0", "an item's id"),
    D("item_ids", "tea", "\xff\0\0\0", "an item's id"),
    D("item_ids", "tea", "\0", "an item's id"),
    D("lists", "popular\x1f", "", "a list"),
    D("lists", "popular\x1f", "\0\0\0\0\0\0\0\0\0\0\0", "a list"),
    D("lists", "popular\x1f", "\x08\0\0\0" PRICE, "not there"),
    D("lists", "popular\x1f", "\xff\xff\xff\xff" PRICE, "not there"),
    D("lists", "popular\x1f", "\0\0\0\x80" PRICE, "not there"),
    D("lists", "popular\x1f", "\1\0\0\0" "\0\0\0\0\0\0\xf0\x7f", "score"),
    D("lists", "popular\x1f", "\1\0\0\0" "\0\0\0\0\0\0\xf8\x7f", "score"),
    D("lists", "popular\x1f", "\1\0\0\0" "\0\0\0\0\0\0\xf0\xbf", "score"),
    D("lists", "popular\x1f", "\1\0\0\0" PRICE "\1\0\0\0" PRICE, "order"),
    D("lists", "popular\x1f", "\1\0\0\0" PRICE "\0\0\0\0" PRICE, "order"),
    D("lists", "popular\x1f", "\1\0\0\0" PRICE "\1\0\0\0"
      "\0\0\0\0\0\0\0\0", "twice"),
    D("lists", "popular", "\1\0\0\0" PRICE, "a list"),
    D("lists", "\x1fx", "\1\0\0\0" PRICE, "a list"),
    D("lists", "a\x1f" "b\x1f", "\1\0\0\0" PRICE, "a list"),
    D("history", "d", "", "of the history"),
    D("history", "d", "d", "of the history"),
    D("history", "d" H_C42 T_DAY ID("\2"),
      "d" LE_DAY "\3\0\0\0\0\0\0\0" ID("\1")
      "\0\0\0\0\0\0\xe8\x3f" "\0\0\0\0\0\0\0\0" "\0" "\3" "c42" "\0\0",
      "a key of the history"),
    D("history", "d" H_NONE T_DAY ID("\1"),
      "d" LE_DAY "\3\0\0\0\0\0\0\0" ID("\1")
      "\0\0\0\0\0\0\xe8\x3f" "\0\0\0\0\0\0\0\0" "\0" "\3" "c42" "\0\0",
      "a key of the history"),
};

static void
test_damaged(void **state)
{
    char              text[1024];
    reco_snapshot_t  *s;

    (void) state;

    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        build();
        raw_put(in_folder("cart.mdb"), damages[i].db, damages[i].key,
                damages[i].key_len, damages[i].data, damages[i].len);
        s = shop_open(in_folder("cart.mdb"));
        ask_all(s);
        text[0] = '\0';
        (void) reco_snapshot_history(s, 'd', str("c42"), 0, UINT64_MAX,
                                     collect_history, text);

        if (reco_snapshot_check(s, &error) != RECO_CORRUPT
            || strstr(error.message, damages[i].words) == NULL)
        {
            fail_msg("%zu: \"%s\" does not say \"%s\"", i, error.message,
                     damages[i].words);
        }
        reco_snapshot_close(s);
    }
}

/* Databases that do not belong together. */
static void
test_counts(void **state)
{
    raw_t             r;
    MDB_dbi           dbi;
    reco_snapshot_t  *s;

    (void) state;

    build();
    raw_put(in_folder("cart.mdb"), "item_ids", "ale", 3, "\0\0\0\0", 4);
    assert_fails(reco_snapshot_open(in_folder("cart.mdb"), NULL, &s, err),
                 RECO_CORRUPT, "number of records");

    build();
    r = raw_open(in_folder("cart.mdb"));
    assert_int_equal(mdb_dbi_open(r.txn, "items", 0, &dbi), 0);
    assert_int_equal(mdb_drop(r.txn, dbi, 1), 0);
    raw_close(&r);
    assert_fails(reco_snapshot_open(in_folder("cart.mdb"), NULL, &s, err),
                 RECO_CORRUPT, "number of records");

    build();
    r = raw_open(in_folder("cart.mdb"));
    assert_int_equal(mdb_dbi_open(r.txn, "lists", 0, &dbi), 0);
    assert_int_equal(mdb_drop(r.txn, dbi, 1), 0);
    assert_int_equal(mdb_dbi_open(r.txn, "lists", MDB_CREATE | MDB_DUPSORT,
                                  &dbi), 0);
    raw_close(&r);
    assert_fails(reco_snapshot_open(in_folder("cart.mdb"), NULL, &s, err),
                 RECO_UNSUPPORTED, "\"lists\"");
}

/* The same input in another order. */
static void
test_same_bytes(void **state)
{
    reco_history_t   h;
    reco_builder_t  *b;

    (void) state;

    for (int turn = 0; turn < 2; turn++) {
        b = cart_builder(in_folder(turn ? "two.mdb" : "one.mdb"), CART_SPEC);
        cart_items(b, true);
        for (int i = 0; i < 2; i++) {
            if (i == turn) {
                CART_LIST(b, "price", "low", { TEA, 0.5 }, { BULB, 0.5 });
                h = line(RECO_HISTORY_REWARD, "c42", DAY, 1);
            } else {
                CART_LIST(b, "popular", "", { MUG, 1 });
                h = line(RECO_HISTORY_REWARD, "c7", DAY, 1);
            }
            assert_ok(reco_builder_history(b, &h, err));
        }
        cart_finish(b);
    }

    assert_same_files(in_folder("one.mdb"), in_folder("two.mdb"));
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_info_and_absence),
        cmocka_unit_test(test_walk),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_history_order),
        cmocka_unit_test(test_history_room),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_same_bytes),
    };

    return cmocka_run_group_tests_name("snapshot_items", tests, folder_make,
                                       folder_remove);
}
