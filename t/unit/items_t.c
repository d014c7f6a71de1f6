/*
 * From a strategy to a slate of items, against slates made by hand, and
 * against one made the long way for many drawn shops.
 */

#include "items_fixture.h"
#include "random.h"

static reco_request_t        request;
static reco_features_t       features;
static reco_items_scratch_t  scratch;
static reco_item_slate_t     slate;

/* A fresh request, without cart and taste. */
static void
ask(void)
{
    reco_request_reset(&request, 1);
    request.ncart = request.nexclude = 0;
    memset(&features, 0, sizeof(features));
    features.n = 1;
}

static void
cart(const char *id)
{
    request.cart[request.ncart++] = str(id);
}

static void
exclude(const char *id)
{
    request.exclude[request.nexclude++] = str(id);
}

static void
taste(const char *category)
{
    features.value[0] = word(category);
}

static void
choose(const reco_snapshot_t *s, uint16_t action, const char *customer)
{
    reco_customer_t  c;

    (void) reco_snapshot_customer(s, str(customer), &c);
    memset(&slate, 0xa5, sizeof(slate));
    memset(&scratch, 0xa5, sizeof(scratch));
    reco_items_select(reco_snapshot_model(s), action, &features, &request, &c,
                      &scratch, &slate);
}

typedef struct {
    uint32_t  item;
    double    score;
} expected_t;

static void
assert_slate_is(const expected_t *expected, uint32_t n, uint32_t filled)
{
    assert_int_equal(slate.n, n);
    assert_int_equal(slate.filled, filled);

    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(slate.items[i].index, expected[i].item);
        if (slate.items[i].score != expected[i].score) {
            fail_msg("%u: %.17g is not %.17g", i, slate.items[i].score,
                     expected[i].score);
        }
    }
}

#define assert_slate(filled, ...)                                             \
    do {                                                                      \
        expected_t  expected_[] = { __VA_ARGS__ };                            \
        assert_slate_is(expected_, sizeof(expected_) / sizeof(expected_[0]),  \
                        filled);                                              \
    } while (0)

static reco_snapshot_t *
shop(const char *spec)
{
    cart_build(in_folder("cart.mdb"), spec);

    return shop_open(in_folder("cart.mdb"));
}

/* ---- by hand ------------------------------------------------------------ */

static void
test_sums_and_ties(void **state)
{
    reco_snapshot_t  *s = shop(CART_SPEC);

    (void) state;

    /* of equal scores the item of lower index */
    ask();
    choose(s, LOW, "ann");
    assert_slate(0, { TEA, 0.5 }, { BULB, 0.5 }, { POT, 0.25 });
    assert_true(reco_str_equal(slate.items[0].item.id, str("tea")));
    assert_true(reco_str_equal(slate.items[0].item.name, str("Tea, green")));
    assert_true(reco_str_equal(slate.items[1].item.category, str("light")));
    assert_true(slate.items[2].item.price == 9);
    assert_true(reco_str_equal(slate.items[2].item.family, str("pot")));

    /* the cart's lists count twice: lamp 2 (0.25 + 0.25); what was bought
     * before brings the bulb; tea and mug are in the cart. Of a mug that is in
     * the cart another colour may be shown. */
    ask();
    cart("tea");
    cart("mug");
    choose(s, PERSONAL, "ann");
    assert_slate(0, { LAMP, 1 }, { BULB, 1 }, { MUG_RED, 0.25 });
    assert_int_equal(slate.unknown, 0);

    /* lamp and rake were bought before */
    ask();
    choose(s, PERSONAL, "ann");
    assert_slate(1, { BULB, 1 }, { TEA, 0.0625 }, { MUG, 1 });

    /* an item that is in the cart twice counts once */
    ask();
    cart("tea");
    cart("tea");
    choose(s, PERSONAL, "ann");
    assert_slate(0, { MUG, 1 }, { BULB, 1 }, { LAMP, 0.5 });

    reco_snapshot_close(s);
}

static void
test_preference(void **state)
{
    reco_snapshot_t  *s = shop(CART_SPEC);

    (void) state;

    ask();
    taste("light");
    choose(s, LOW, "ann");
    assert_slate(0, { BULB, 0.75 }, { TEA, 0.5 }, { POT, 0.25 });

    ask();
    taste("garden");
    choose(s, LOW, "ann");
    assert_slate(0, { TEA, 0.5 }, { BULB, 0.5 }, { POT, 0.375 });

    /* by the cart's category and by the feature's word */
    ask();
    taste("light");
    cart("mug");
    choose(s, MATCH, "");
    assert_slate(0, { LAMP, 0.9 * 1.5 }, { TEA, 0.6 }, { BULB, 0.1 * 1.5 });

    /* both are one category: its list counts in each place */
    ask();
    taste("kitchen");
    cart("mug");
    choose(s, MATCH, "");
    assert_slate(2, { TEA, (0.6 + 0.6) * 1.5 }, { MUG_RED, 0.9 },
                 { LAMP, 0.8 });

    /* no list has that key */
    ask();
    taste("nowhere");
    choose(s, MATCH, "");
    assert_slate(3, { MUG, 1 }, { LAMP, 0.8 }, { TEA, 0.6 });

    reco_snapshot_close(s);
}

static void
test_families(void **state)
{
    reco_snapshot_t  *s = shop(CART_SPEC);

    (void) state;

    /* mug-red is of the mug's family, the vase out of stock */
    ask();
    choose(s, POPULAR, "ann");
    assert_slate(0, { MUG, 1 }, { LAMP, 0.8 }, { TEA, 0.6 });

    /* without the mug there is room for the red one */
    ask();
    exclude("mug");
    choose(s, POPULAR, "ann");
    assert_slate(0, { MUG_RED, 0.9 }, { LAMP, 0.8 }, { TEA, 0.6 });
    reco_snapshot_close(s);

    /* as many as there are */
    s = shop(CART_HEAD ", \"items\": {\"slate\": 3,"
             " \"history\": \"bought\"," CART_LISTS "}}");
    ask();
    choose(s, POPULAR, "ann");
    assert_slate(0, { MUG, 1 }, { MUG_RED, 0.9 }, { LAMP, 0.8 });
    reco_snapshot_close(s);

    s = shop(CART_HEAD ", \"items\": {\"slate\": 3, \"per_family\": 2,"
             " \"history\": \"bought\"," CART_LISTS "}}");
    ask();
    choose(s, POPULAR, "ann");
    assert_slate(0, { MUG, 1 }, { MUG_RED, 0.9 }, { LAMP, 0.8 });
    reco_snapshot_close(s);
}

static void
test_fill(void **state)
{
    reco_snapshot_t  *s = shop(CART_SPEC);

    (void) state;

    ask();
    exclude("tea");
    exclude("bulb");
    choose(s, LOW, "ann");
    assert_slate(2, { POT, 0.25 }, { MUG, 1 }, { LAMP, 0.8 });

    /* what is shown is not shown again; a preference does not reach here */
    ask();
    taste("light");
    cart("lamp");
    cart("tea");
    cart("pot");
    choose(s, LOW, "ann");
    assert_slate(2, { BULB, 0.75 }, { MUG, 1 }, { RAKE, 0.3 });

    /* neither cart nor history, and a strategy without lists */
    ask();
    choose(s, PERSONAL, "bob");
    assert_slate(3, { MUG, 1 }, { LAMP, 0.8 }, { TEA, 0.6 });
    choose(s, PERSONAL, "nobody");
    assert_slate(3, { MUG, 1 }, { LAMP, 0.8 }, { TEA, 0.6 });
    choose(s, NONE, "ann");
    assert_slate(3, { MUG, 1 }, { LAMP, 0.8 }, { TEA, 0.6 });
    reco_snapshot_close(s);

    /* one list after the other, by history and by cart */
    s = shop(CART_HEAD ", \"items\": {\"slate\": 3, \"history\": \"bought\","
             CART_LISTS ", \"fill\": [{\"list\": \"also_bought\", \"by\":"
             " \"history\"}, {\"list\": \"also_bought\", \"by\": \"cart\"},"
             " {\"list\": \"price\", \"key\": \"low\"}]}}");
    ask();
    cart("tea");
    choose(s, NONE, "ann");
    assert_slate(3, { BULB, 1 }, { MUG, 0.5 }, { LAMP, 0.25 });
    choose(s, NONE, "bob");
    assert_slate(3, { MUG, 0.5 }, { LAMP, 0.25 }, { BULB, 0.5 });
    reco_snapshot_close(s);
}

static void
test_unknown_ids(void **state)
{
    reco_snapshot_t  *s = shop(CART_SPEC);

    (void) state;

    ask();
    cart("nowhere");
    exclude("mug");
    exclude("\xc3\xa9");
    choose(s, POPULAR, "ann");
    assert_slate(0, { MUG_RED, 0.9 }, { LAMP, 0.8 }, { TEA, 0.6 });
    assert_int_equal(slate.unknown, 2);

    reco_snapshot_close(s);
}

static void
test_nothing_to_show(void **state)
{
    reco_builder_t   *b;
    reco_snapshot_t  *s;

    (void) state;

    /* all out of stock */
    b = cart_builder(in_folder("cart.mdb"), CART_SPEC);
    cart_items(b, false);
    cart_lists(b);
    cart_finish(b);
    s = shop_open(in_folder("cart.mdb"));
    ask();
    choose(s, POPULAR, "ann");
    assert_int_equal(slate.n, 0);
    assert_int_equal(slate.filled, 0);
    reco_snapshot_close(s);

    /* no lists */
    b = cart_builder(in_folder("cart.mdb"), CART_SPEC);
    cart_items(b, true);
    cart_finish(b);
    s = shop_open(in_folder("cart.mdb"));
    ask();
    cart("nowhere");
    choose(s, POPULAR, "ann");
    assert_int_equal(slate.n, 0);
    assert_int_equal(slate.unknown, 1);
    reco_snapshot_close(s);

    /* no items: nobody knows which ids there are */
    b = cart_builder(in_folder("cart.mdb"), CART_SPEC);
    cart_finish(b);
    s = shop_open(in_folder("cart.mdb"));
    assert_null(reco_snapshot_model(s)->items_source);
    choose(s, POPULAR, "ann");
    assert_int_equal(slate.n, 0);
    assert_int_equal(slate.unknown, 0);
    reco_snapshot_close(s);

    /* a model that recommends none */
    shop_build(in_folder("shop.mdb"));
    s = shop_open(in_folder("shop.mdb"));
    choose(s, 0, "c42");
    assert_int_equal(slate.n, 0);
    reco_snapshot_close(s);
}

/* Only the first lists, and the first entries of each. */
static void
test_keys_and_depth(void **state)
{
    reco_snapshot_t  *s;

    (void) state;

    s = shop(CART_HEAD ", \"items\": {\"slate\": 3, \"history\": \"bought\","
             " \"strategies\": {"
             "  \"low\": [{\"list\": \"price\", \"key\": \"low\","
             "             \"depth\": 2}],"
             "  \"match\": [{\"list\": \"category\", \"keys\": 1,"
             "               \"by\": \"cart.category\"}],"
             "  \"personal\": [{\"list\": \"also_bought\", \"keys\": 2,"
             "                  \"by\": \"cart\", \"depth\": 2}],"
             "  \"popular\": [{\"list\": \"also_bought\", \"keys\": 1,"
             "                 \"by\": \"history\"}]},"
             " \"fill\": [{\"list\": \"popular\", \"depth\": 1}]}}");

    ask();
    choose(s, LOW, "");
    assert_slate(1, { TEA, 0.5 }, { BULB, 0.5 }, { MUG, 1 });

    /* tea is of the kitchen, bulb of the light; tea itself is in the cart */
    ask();
    cart("tea");
    cart("bulb");
    choose(s, MATCH, "");
    assert_slate(0, { MUG, 0.8 });

    /* an id that no item has and one that is there twice do not count: mug's
     * list and rake's (tea is in both), not lamp's (a bulb), and of mug's not
     * the third entry (a red one); the second one, lamp, is in the cart */
    ask();
    cart("nowhere");
    cart("mug");
    cart("mug");
    cart("rake");
    cart("lamp");
    choose(s, PERSONAL, "");
    assert_slate(0, { TEA, 0.75 + 0.0625 });

    /* of lamp, rake, nowhere */
    ask();
    choose(s, POPULAR, "ann");
    assert_slate(1, { BULB, 1 }, { MUG, 1 });

    reco_snapshot_close(s);
}

/* ---- the long way ------------------------------------------------------- */

enum { MANY = 400, LISTS = 12, LENGTH = 200 };

typedef struct {
    uint32_t  category[MANY], family[MANY];     /* family 0: none */
    bool      available[MANY];
    uint32_t  n[LISTS];
    uint32_t  item[LISTS][LENGTH];
    double    score[LISTS][LENGTH];
} drawn_t;

static drawn_t  drawn;

/* Scores are of few values, so that many are equal; sums of them are exact. */
static void
draw_lists(random_t *r)
{
    bool      there[MANY];
    double    score;
    uint32_t  item, n;

    for (uint32_t l = 0; l < LISTS; l++) {
        n = 0;
        score = 1;
        memset(there, 0, sizeof(there));

        while (n < LENGTH && score > 0) {
            for (item = random_below(r, 3); item < MANY && n < LENGTH;
                 item += 1 + random_below(r, 30))
            {
                if (!there[item]) {
                    there[item] = true;
                    drawn.item[l][n] = item;
                    drawn.score[l][n++] = score;
                }
            }
            score -= 0.125;
        }

        drawn.n[l] = n;
    }
}

static reco_snapshot_t *
draw_shop(random_t *r, const char *spec)
{
    char               id[16], category[16], family[16];
    reco_item_t        item;
    reco_builder_t    *b = cart_builder(in_folder("drawn.mdb"), spec);
    reco_list_entry_t  entries[LENGTH];

    for (uint32_t i = 0; i < MANY; i++) {
        drawn.category[i] = random_below(r, 4);
        drawn.family[i] = random_below(r, 20);
        drawn.available[i] = random_below(r, 5) > 0;

        snprintf(id, sizeof(id), "i%u", (unsigned) i);
        snprintf(category, sizeof(category), "c%u",
                 (unsigned) drawn.category[i]);
        snprintf(family, sizeof(family), "f%u", (unsigned) drawn.family[i]);
        item = (reco_item_t) { str(id), str(""), str(category),
                               str(drawn.family[i] == 0 ? "" : family), 1,
                               drawn.available[i] };
        assert_ok(reco_builder_item(b, &item, err));
    }

    draw_lists(r);

    for (uint32_t l = 0; l < LISTS; l++) {
        for (uint32_t i = 0; i < drawn.n[l]; i++) {
            entries[i] = (reco_list_entry_t) { drawn.item[l][i],
                                               drawn.score[l][i] };
        }
        snprintf(id, sizeof(id), "i%u", (unsigned) l);
        cart_list(b, "also_bought", id, entries, drawn.n[l]);
    }

    cart_finish(b);

    return shop_open(in_folder("drawn.mdb"));
}

/* Each slot: the best of all that may be shown in it. */
static void
long_way(uint32_t first_list, uint32_t nlists, uint32_t liked,
    uint32_t per_family, uint32_t wanted, expected_t *out, uint32_t *n)
{
    bool      taken[MANY] = { false };
    double    score[MANY] = { 0 };
    uint32_t  best, families[20] = { 0 };

    for (uint32_t l = first_list; l < first_list + nlists; l++) {
        taken[l] = true;                /* in the cart */
        for (uint32_t i = 0; i < drawn.n[l]; i++) {
            score[drawn.item[l][i]] += 2 * drawn.score[l][i];
        }
    }

    for (uint32_t i = 0; i < MANY; i++) {
        score[i] *= drawn.category[i] == liked ? 1.5 : 1;
    }

    for (*n = 0; *n < wanted; (*n)++) {
        best = MANY;
        for (uint32_t i = 0; i < MANY; i++) {
            if (score[i] > 0 && !taken[i] && drawn.available[i]
                && (drawn.family[i] == 0
                    || families[drawn.family[i]] < per_family)
                && (best == MANY || score[i] > score[best]))
            {
                best = i;
            }
        }
        if (best == MANY) {
            return;
        }
        taken[best] = true;
        families[drawn.family[best]]++;
        out[*n] = (expected_t) { best, score[best] };
    }
}

static void
test_long_way(void **state)
{
    char              spec[2048], ids[LISTS][16], liked[16];
    random_t          r;
    uint32_t          per_family, wanted, first, nlists, like, n;
    expected_t        expected[RECO_MAX_SLATE];
    reco_snapshot_t  *s;

    (void) state;

    random_init(&r, 20260101);

    for (int shops = 0; shops < 20; shops++) {
        per_family = 1 + random_below(&r, 3);
        wanted = 1 + random_below(&r, RECO_MAX_SLATE);
        snprintf(spec, sizeof(spec), CART_HEAD ", \"items\": {\"slate\": %u,"
                 " \"per_family\": %u, \"prefer\": {\"feature\": \"taste\","
                 " \"boost\": 0.5}, \"strategies\": {\"personal\": [{\"list\":"
                 " \"also_bought\", \"by\": \"cart\", \"weight\": 2}]}}}",
                 (unsigned) wanted, (unsigned) per_family);
        s = draw_shop(&r, spec);

        for (int requests = 0; requests < 20; requests++) {
            first = random_below(&r, LISTS);
            nlists = 1 + random_below(&r, LISTS - first);
            like = random_below(&r, 5);
            snprintf(liked, sizeof(liked), "c%u", (unsigned) like);

            ask();
            taste(liked);
            for (uint32_t l = first; l < first + nlists; l++) {
                snprintf(ids[l], sizeof(ids[l]), "i%u", (unsigned) l);
                cart(ids[l]);
            }

            long_way(first, nlists, like, per_family, wanted, expected, &n);
            choose(s, PERSONAL, "");
            assert_slate_is(expected, n, 0);
        }

        reco_snapshot_close(s);
    }
}

enum { FULL_LISTS = 5 };

/* Five lists of all that a list may have, each of items of its own and better
 * than the ones before; all in stock, or only two of a thousand. */
static reco_snapshot_t *
full_lists(const char *spec, char ids[FULL_LISTS][16], bool in_stock)
{
    char               id[16];
    reco_item_t        item = { .category = RECO_STR(""),
                                .family = RECO_STR(""),
                                .name = RECO_STR("") };
    reco_builder_t    *b = cart_builder(in_folder("bounds.mdb"), spec);
    reco_list_entry_t  entries[RECO_MAX_LIST];

    for (uint32_t i = 0; i < FULL_LISTS * RECO_MAX_LIST; i++) {
        snprintf(id, sizeof(id), "i%u", (unsigned) i);
        item.id = str(id);
        item.available = in_stock || i % 1024 == 1023 || i % 1024 == 0;
        assert_ok(reco_builder_item(b, &item, err));
    }

    for (uint32_t l = 0; l < FULL_LISTS; l++) {
        for (uint32_t i = 0; i < RECO_MAX_LIST; i++) {
            entries[i] = (reco_list_entry_t) { l * RECO_MAX_LIST + i,
                                               l + 1 - i / 2048.0 };
        }
        snprintf(ids[l], sizeof(ids[l]), "i%u", (unsigned) (l + 1000));
        cart_list(b, "also_bought", ids[l], entries, RECO_MAX_LIST);
    }
    cart_finish(b);

    return shop_open(in_folder("bounds.mdb"));
}

/* As many different items as a slate looks at, and more, which would be the
 * best. */
static void
test_bounds(void **state)
{
    char              ids[FULL_LISTS][16];
    reco_snapshot_t  *s;

    (void) state;

    s = full_lists(CART_SPEC, ids, true);
    ask();
    for (uint32_t l = 0; l < FULL_LISTS; l++) {
        cart(ids[l]);
    }

    /* the first four lists have all the candidates there may be */
    choose(s, PERSONAL, "");
    assert_slate(0, { 3072, 8 }, { 3073, 8 - 1 / 1024.0 },
                 { 3074, 8 - 2 / 1024.0 });
    reco_snapshot_close(s);

    /* 1,024 records are looked up: those of the best list, whose first and
     * last item are in stock, and not the next one's first. "fill" begins
     * anew, with the list of the cart's first item; the five items that are in
     * the cart and in that list need no record, so that five of the second
     * list's follow. */
    s = full_lists(CART_HEAD ", \"items\": {\"slate\": 6, \"strategies\":"
                   " {\"personal\": [{\"list\": \"also_bought\","
                   "  \"by\": \"cart\"}]},"
                   " \"fill\": [{\"list\": \"also_bought\","
                   "  \"by\": \"cart\"}]}}", ids, false);
    choose(s, PERSONAL, "");
    assert_slate(3, { 3072, 4 }, { 4095, 4 - 1023 / 2048.0 }, { 0, 1 },
                 { 1023, 1 - 1023 / 2048.0 }, { 1024, 2 });
    reco_snapshot_close(s);
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_sums_and_ties),
        cmocka_unit_test(test_preference),
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_fill),
        cmocka_unit_test(test_unknown_ids),
        cmocka_unit_test(test_nothing_to_show),
        cmocka_unit_test(test_keys_and_depth),
        cmocka_unit_test(test_long_way),
        cmocka_unit_test(test_bounds),
    };

    return cmocka_run_group_tests_name("items", tests, folder_make,
                                       folder_remove);
}
