/*
 * items_fixture.h - a snapshot of a small shop with items and lists:
 *
 *   index  id       category  family  in stock
 *   0      tea      kitchen           yes
 *   1      mug      kitchen   mug     yes
 *   2      mug-red  kitchen   mug     yes
 *   3      lamp     light     lamp    yes
 *   4      bulb     light             yes
 *   5      vase     garden            no
 *   6      pot      garden    pot     yes
 *   7      rake     garden            yes
 */

#ifndef ITEMS_FIXTURE_H
#define ITEMS_FIXTURE_H

#include "snapshot_fixture.h"

enum { TEA, MUG, MUG_RED, LAMP, BULB, VASE, POT, RAKE, NITEMS };

#define CART_HEAD                                                             \
    "{\"model\": \"cart\", \"version\": \"1\","                               \
    " \"features\": [{\"name\": \"taste\", \"type\": \"category\","           \
    "   \"from\": [\"request\"]}],"                                           \
    " \"actions\": [{\"id\": \"low\"}, {\"id\": \"match\"},"                  \
    "   {\"id\": \"personal\"}, {\"id\": \"popular\"}, {\"id\": \"none\"}],"  \
    " \"policy\": {\"type\": \"uniform\", \"slate\": 1}"

#define CART_LISTS                                                            \
    " \"strategies\": {"                                                      \
    "  \"low\": [{\"list\": \"price\", \"key\": \"low\"}],"                   \
    "  \"match\": [{\"list\": \"category\", \"by\": \"cart.category\"},"      \
    "              {\"list\": \"category\", \"by\": \"taste\"}],"             \
    "  \"personal\": ["                                                       \
    "    {\"list\": \"also_bought\", \"by\": \"cart\", \"weight\": 2},"       \
    "    {\"list\": \"also_bought\", \"by\": \"history\"}],"                  \
    "  \"popular\": [{\"list\": \"popular\"}]}"

#define CART_SPEC                                                             \
    CART_HEAD ", \"items\": {\"slate\": 3, \"per_family\": 1,"                \
    " \"history\": \"customer.bought\","                                      \
    " \"prefer\": {\"feature\": \"taste\", \"boost\": 0.5},"                  \
    CART_LISTS ", \"fill\": [{\"list\": \"popular\"}]}}"

/* Actions in the order of the spec. */
enum { LOW, MATCH, PERSONAL, POPULAR, NONE };

static inline reco_builder_t *
cart_builder(const char *path, const char *spec)
{
    reco_str_t       field = RECO_STR("bought");
    reco_builder_t  *b;

    assert_ok(reco_builder_new(path, str(spec), NULL, 0, &field, 1, NULL, &b,
                               err));

    return b;
}

static inline void
cart_items(reco_builder_t *b, bool in_stock)
{
    static const struct {
        const char  *id, *name, *category, *family;
        double       price;
        bool         available;
    } items[NITEMS] = {
        { "tea", "Tea, green", "kitchen", "", 2, true },
        { "mug", "Mug", "kitchen", "mug", 4.5, true },
        { "mug-red", "", "kitchen", "mug", 4.5, true },
        { "lamp", "", "light", "lamp", 20, true },
        { "bulb", "", "light", "", 3, true },
        { "vase", "", "garden", "", NAN, false },
        { "pot", "", "garden", "pot", 9, true },
        { "rake", "", "garden", "", 60, true },
    };
    reco_item_t  item;

    for (size_t i = 0; i < NITEMS; i++) {
        item = (reco_item_t) {
            str(items[i].id), str(items[i].name), str(items[i].category),
            str(items[i].family), items[i].price,
            items[i].available && in_stock
        };
        assert_ok(reco_builder_item(b, &item, err));
    }
}

static inline void
cart_list(reco_builder_t *b, const char *name, const char *key,
    const reco_list_entry_t *entries, uint32_t n)
{
    assert_ok(reco_builder_list(b, str(name), str(key), entries, n, err));
}

#define CART_LIST(b, name, key, ...)                                          \
    do {                                                                      \
        reco_list_entry_t  entries_[] = { __VA_ARGS__ };                      \
        cart_list(b, name, key, entries_,                                     \
                  sizeof(entries_) / sizeof(entries_[0]));                    \
    } while (0)

static inline void
cart_lists(reco_builder_t *b)
{
    CART_LIST(b, "popular", "", { MUG, 1 }, { MUG_RED, 0.9 }, { LAMP, 0.8 },
              { VASE, 0.7 }, { TEA, 0.6 }, { BULB, 0.5 }, { POT, 0.4 },
              { RAKE, 0.3 });
    CART_LIST(b, "price", "low", { TEA, 0.5 }, { BULB, 0.5 }, { POT, 0.25 });
    CART_LIST(b, "category", "kitchen", { MUG, 0.8 }, { TEA, 0.6 });
    CART_LIST(b, "category", "light", { LAMP, 0.9 }, { BULB, 0.1 });
    CART_LIST(b, "also_bought", "tea", { MUG, 0.5 }, { LAMP, 0.25 });
    CART_LIST(b, "also_bought", "mug", { TEA, 0.75 }, { LAMP, 0.25 },
              { MUG_RED, 0.125 });
    CART_LIST(b, "also_bought", "lamp", { BULB, 1 });
    CART_LIST(b, "also_bought", "rake", { TEA, 0.0625 });
}

static inline void
cart_finish(reco_builder_t *b)
{
    assert_ok(reco_builder_finish(b, 0, 0, 0, NULL, err));
    reco_builder_free(b);
}

static inline void
cart_build(const char *path, const char *spec)
{
    reco_value_t     bought = word("lamp rake nowhere"), none = missing();
    reco_builder_t  *b = cart_builder(path, spec);

    assert_ok(reco_builder_customer(b, str("ann"), &bought, err));
    assert_ok(reco_builder_customer(b, str("bob"), &none, err));
    cart_items(b, true);
    cart_lists(b);
    cart_finish(b);
}

#endif /* ITEMS_FIXTURE_H */
