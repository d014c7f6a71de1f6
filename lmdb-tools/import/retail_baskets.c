/*
 * retail_baskets.c - from rows of Online Retail to baskets.
 */

#include "country.h"
#include "retail_baskets.h"

#include <string.h>

#define FAMILY  5                   /* digits of a product's code */

/* Five digits, then letters or nothing. */
static bool
is_item(reco_str_t code)
{
    size_t  i;

    for (i = 0; i < code.len; i++) {
        char  c = code.data[i];

        if (i < FAMILY ? c < '0' || c > '9'
                       : (c < 'a' || c > 'z') && (c < 'A' || c > 'Z'))
        {
            return false;
        }
    }

    return code.len >= FAMILY;
}

static uint32_t
item_find(retail_baskets_t *r, reco_str_t code)
{
    char      id[RECO_MAX_ID];
    size_t    i;
    uint32_t  item, room = r->names_room;

    for (i = 0; i < code.len; i++) {
        id[i] = code.data[i] >= 'a' ? (char) (code.data[i] - 'a' + 'A')
                                    : code.data[i];
    }
    item = baskets_item(&r->all, (reco_str_t) { id, code.len });
    baskets_text(&r->all.items[item].family, (reco_str_t) { id, FAMILY });

    if (item >= room) {
        r->names_room = room ? 2 * room : 256;
        r->names = tool_realloc(r->names,
                                r->names_room * sizeof(r->names[0]));
        memset(r->names + room, 0,
               (r->names_room - room) * sizeof(r->names[0]));
    }

    return item;
}

void
retail_baskets_add(retail_baskets_t *r, const sale_t *sale)
{
    uint32_t  item, basket;

    if (sale->cancelled || sale->quantity <= 0 || sale->price <= 0
        || !is_item(sale->text[SALE_CODE]))
    {
        return;
    }

    item = item_find(r, sale->text[SALE_CODE]);
    if (sale->text[SALE_NAME].len) {
        word_add(&r->names[item], sale->text[SALE_NAME]);
    }
    basket = baskets_basket(&r->all, sale->text[SALE_INVOICE], sale->time_ms,
                            sale->text[SALE_CUSTOMER],
                            country_code(sale->text[SALE_COUNTRY]));
    baskets_line(&r->all, basket, item, sale->quantity, sale->price);
}

void
retail_baskets_finish(retail_baskets_t *r)
{
    uint32_t  i;

    baskets_finish(&r->all);
    baskets_price_items(&r->all);
    for (i = 0; i < r->all.item_ids.n; i++) {
        baskets_text(&r->all.items[i].name, tool_str(words_most(r->names[i])));
    }
}

void
retail_baskets_free(retail_baskets_t *r)
{
    uint32_t  i;

    for (i = 0; i < r->all.item_ids.n; i++) {
        words_free(&r->names[i]);
    }
    free(r->names);
    baskets_free(&r->all);
}
