/*
 * shop.c - reads items.csv and baskets.csv. Baskets come in the order of
 * time; at the end they are put customer by customer. Strings are kept once,
 * in a table that lives as long as the shop.
 */

#include "shop.h"

#define uthash_malloc(size)         tool_alloc(size)
#define uthash_free(pointer, size)  free(pointer)
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

typedef struct {
    UT_hash_handle  hh;
    reco_str_t      text;
    uint32_t        index;
} name_t;

/* A basket as it is read. */
typedef struct {
    uint64_t  time_ms;
    uint32_t  customer;
    uint32_t  first, n;
} read_t;

typedef struct shop_private_s {
    name_t         *items, *categories, *customers, *words;
    read_t         *read;
    uint32_t        nread;
    uint64_t        last_ms;
    char           *basket;             /* id of the one being read */
    bool            named;              /* it has a customer */
    XXH3_state_t   *sum;
} shop_private_t;

enum { BASKET, TIME, CUSTOMER, COUNTRY, ITEM, QUANTITY, PRICE, NCOLUMNS };

static const char *const  columns[NCOLUMNS] = {
    "basket", "time", "customer", "country", "item", "quantity", "price"
};

enum { ID, NAME_PRICE, CATEGORY, AVAILABLE, NITEM_COLUMNS };

static const char *const  item_columns[NITEM_COLUMNS] = {
    "id", "price", "category", "available"
};

/* ---- names -------------------------------------------------------------- */

/* The entry of a name, made where it is not there yet. */
static name_t *
name_of(name_t **table, reco_str_t text, uint32_t next, bool *made)
{
    char    *copy;
    name_t  *n;

    HASH_FIND(hh, *table, text.data, text.len, n);
    *made = n == NULL;

    if (n == NULL) {
        n = tool_alloc(sizeof(*n));
        copy = tool_dup(text);
        n->text = (reco_str_t) { copy, text.len };
        n->index = next;
        HASH_ADD_KEYPTR(hh, *table, copy, text.len, n);
    }

    return n;
}

static void
free_names(name_t *table)
{
    name_t  *n, *next;

    HASH_ITER(hh, table, n, next) {
        HASH_DELETE(hh, table, n);
        free((char *) n->text.data);
        free(n);
    }
}

bool
shop_find(const shop_t *shop, reco_str_t id, uint32_t *item)
{
    name_t  *n;

    HASH_FIND(hh, shop->private->items, id.data, id.len, n);
    if (n != NULL) {
        *item = n->index;
    }

    return n != NULL;
}

uint8_t
shop_band(double price)
{
    return price < 10 ? 0 : price <= 50 ? 1 : 2;
}

/* Doubles the room of an array whenever n reaches a power of two. */
static void *
grow(void *array, size_t n, size_t size)
{
    return (n & (n - 1)) == 0
           ? tool_realloc(array, (n == 0 ? 1 : 2 * n) * size) : array;
}

static void
add_to_sum(shop_t *shop, const reco_str_t *fields, uint32_t n)
{
    uint32_t  i;

    for (i = 0; i < n; i++) {
        XXH3_128bits_update(shop->private->sum, fields[i].data,
                            fields[i].len);
        XXH3_128bits_update(shop->private->sum, "\x1f", 1);
    }
}

/* ---- a CSV file --------------------------------------------------------- */

typedef bool (*row_pt)(shop_t *shop, tool_csv_t *csv,
    const reco_str_t *fields);

static bool
find_columns(tool_csv_t *csv, const char *path, const char *const *names,
    int *at, uint32_t n)
{
    uint32_t  i;

    for (i = 0; i < n; i++) {
        at[i] = tool_csv_find(csv, names[i]);
        if (at[i] < 0) {
            tool_error("%s: there is no column '%s'", path, names[i]);
            return false;
        }
    }

    return true;
}

static bool
read_rows(shop_t *shop, tool_csv_t *csv, const int *at, uint32_t n,
    row_pt take)
{
    uint32_t            i;
    reco_str_t          wanted[NCOLUMNS];
    const reco_str_t   *fields;
    tool_csv_result_t   result;

    while ((result = tool_csv_next(csv, &fields)) == TOOL_CSV_ROW) {
        for (i = 0; i < n; i++) {
            wanted[i] = fields[at[i]];
        }
        add_to_sum(shop, wanted, n);

        if (!take(shop, csv, wanted)) {
            return false;
        }
    }

    if (result == TOOL_CSV_BAD_ROW) {
        tool_csv_error(csv, NULL, "%s", tool_csv_reason(csv));
    }

    return result == TOOL_CSV_END;
}

static bool
read_file(shop_t *shop, const char *path, const char *const *names,
    uint32_t n, row_pt take)
{
    int          at[NCOLUMNS];
    bool         ok;
    tool_csv_t  *csv = tool_csv_open(path);

    if (csv == NULL) {
        return false;
    }

    ok = find_columns(csv, path, names, at, n)
         && read_rows(shop, csv, at, n, take);
    tool_csv_close(csv);

    return ok;
}

static bool
positive(const tool_csv_t *csv, const char *column, reco_str_t field,
    double *number)
{
    if (tool_number_parse(field, number) && *number > 0) {
        return true;
    }

    tool_csv_refuse(csv, column, field, "is not a number above 0");

    return false;
}

/* ---- items -------------------------------------------------------------- */

static uint32_t
category_of(shop_t *shop, reco_str_t name)
{
    bool     made;
    name_t  *n = name_of(&shop->private->categories, name,
                         shop->ncategories, &made);

    if (made) {
        shop->categories = grow(shop->categories, shop->ncategories,
                                sizeof(*shop->categories));
        shop->categories[shop->ncategories++] = n->text;
    }

    return n->index;
}

static bool
take_item(shop_t *shop, tool_csv_t *csv, const reco_str_t *f)
{
    bool         made;
    name_t      *n;
    shop_item_t  item = { .available = true };

    if (!reco_id_is_valid(f[ID])) {
        tool_csv_refuse(csv, "id", f[ID], "is no id");
        return false;
    }

    if (!positive(csv, "price", f[NAME_PRICE], &item.price)) {
        return false;
    }

    if (!reco_str_equal(f[AVAILABLE], RECO_STR("1"))
        && !reco_str_equal(f[AVAILABLE], RECO_STR("0")))
    {
        tool_csv_refuse(csv, "available", f[AVAILABLE], "is not 1 or 0");
        return false;
    }

    n = name_of(&shop->private->items, f[ID], shop->nitems, &made);
    if (!made) {
        tool_csv_refuse(csv, "id", f[ID], "is given twice");
        return false;
    }

    item.id = n->text;
    item.available = f[AVAILABLE].data[0] == '1';
    item.band = shop_band(item.price);
    item.category = category_of(shop, f[CATEGORY]);
    shop->items = grow(shop->items, shop->nitems, sizeof(item));
    shop->items[shop->nitems++] = item;

    return true;
}

/* ---- baskets ------------------------------------------------------------ */

static void
customer_of(shop_t *shop, read_t *basket, reco_str_t id, reco_str_t country)
{
    bool              made;
    name_t           *n, *word;
    shop_customer_t  *c;

    n = name_of(&shop->private->customers, id, shop->ncustomers, &made);
    if (made) {
        shop->customers = grow(shop->customers, shop->ncustomers, sizeof(*c));
        c = &shop->customers[shop->ncustomers++];
        memset(c, 0, sizeof(*c));
        c->id = n->text;
        c->part = part_of(id);
    }

    word = name_of(&shop->private->words, country, 0, &made);
    shop->customers[n->index].country = word->text;
    shop->customers[n->index].n++;
    basket->customer = n->index;
}

static bool
begin_basket(shop_t *shop, tool_csv_t *csv, const reco_str_t *f)
{
    read_t           basket = { 0 };
    shop_private_t  *p = shop->private;

    if (!tool_time_parse(f[TIME], &basket.time_ms)) {
        tool_csv_refuse(csv, "time", f[TIME], "is not a time");
        return false;
    }

    if (basket.time_ms < p->last_ms) {
        tool_csv_refuse(csv, "time", f[TIME], "is before the row above");
        return false;
    }

    p->last_ms = basket.time_ms;
    free(p->basket);
    p->basket = tool_dup(f[BASKET]);
    p->named = f[CUSTOMER].len > 0;

    if (!p->named) {
        shop->anonymous++;
        return true;
    }

    if (!reco_id_is_valid(f[CUSTOMER])) {
        tool_csv_refuse(csv, "customer", f[CUSTOMER], "is no id");
        return false;
    }

    basket.first = (uint32_t) shop->nlines;
    customer_of(shop, &basket, f[CUSTOMER], f[COUNTRY]);
    p->read = grow(p->read, p->nread, sizeof(basket));
    p->read[p->nread++] = basket;

    return true;
}

static void
add_line(shop_t *shop, const shop_line_t *line)
{
    size_t   i;
    read_t  *basket = &shop->private->read[shop->private->nread - 1];

    for (i = basket->first; i < shop->nlines; i++) {
        if (shop->lines[i].item == line->item) {
            shop->lines[i].quantity += line->quantity;
            return;
        }
    }

    shop->lines = grow(shop->lines, shop->nlines, sizeof(*line));
    shop->lines[shop->nlines++] = *line;
    basket->n++;
}

static bool
take_line(shop_t *shop, tool_csv_t *csv, const reco_str_t *f)
{
    shop_line_t      line;
    shop_private_t  *p = shop->private;

    if ((p->basket == NULL
         || !reco_str_equal(f[BASKET], tool_str(p->basket)))
        && !begin_basket(shop, csv, f))
    {
        return false;
    }

    if (!shop_find(shop, f[ITEM], &line.item)) {
        tool_csv_refuse(csv, "item", f[ITEM], "is not among the items");
        return false;
    }

    if (!positive(csv, "quantity", f[QUANTITY], &line.quantity)
        || !positive(csv, "price", f[PRICE], &line.price))
    {
        return false;
    }

    if (p->named) {
        add_line(shop, &line);
    }

    return true;
}

/* Customer by customer; each one's stay in the order of time. */
static void
order_baskets(shop_t *shop)
{
    uint32_t         i, first = 0;
    read_t          *r;
    shop_basket_t   *b;
    shop_private_t  *p = shop->private;

    for (i = 0; i < shop->ncustomers; i++) {
        shop->customers[i].first = first;
        first += shop->customers[i].n;
        shop->customers[i].n = 0;
    }

    shop->nbaskets = p->nread;
    shop->baskets = tool_alloc((p->nread + 1) * sizeof(*b));

    for (i = 0; i < p->nread; i++) {
        r = &p->read[i];
        b = &shop->baskets[shop->customers[r->customer].first
                           + shop->customers[r->customer].n++];
        *b = (shop_basket_t) { r->time_ms, r->first, r->n };
    }
}

/* ---- beginning and end -------------------------------------------------- */

static void
finish_sum(shop_t *shop)
{
    size_t                i;
    XXH128_canonical_t    canonical;

    XXH128_canonicalFromHash(&canonical,
                             XXH3_128bits_digest(shop->private->sum));
    for (i = 0; i < sizeof(canonical.digest); i++) {
        snprintf(shop->sum + 2 * i, 3, "%02x", canonical.digest[i]);
    }
}

bool
shop_read(shop_t *shop, const char *baskets, const char *items)
{
    memset(shop, 0, sizeof(*shop));
    shop->private = tool_alloc(sizeof(*shop->private));
    memset(shop->private, 0, sizeof(*shop->private));
    shop->private->sum = XXH3_createState();
    if (shop->private->sum == NULL) {
        tool_out_of_memory();
    }
    XXH3_128bits_reset(shop->private->sum);

    if (!read_file(shop, items, item_columns, NITEM_COLUMNS, take_item)
        || !read_file(shop, baskets, columns, NCOLUMNS, take_line))
    {
        return false;
    }

    if (shop->ncustomers == 0) {
        tool_error("%s: no basket has a customer", baskets);
        return false;
    }

    finish_sum(shop);
    order_baskets(shop);

    return true;
}

void
shop_free(shop_t *shop)
{
    shop_private_t  *p = shop->private;

    if (p == NULL) {
        return;
    }

    free_names(p->items);
    free_names(p->categories);
    free_names(p->customers);
    free_names(p->words);
    free(p->read);
    free(p->basket);
    XXH3_freeState(p->sum);
    free(p);
    free(shop->items);
    free(shop->categories);
    free(shop->lines);
    free(shop->baskets);
    free(shop->customers);
    memset(shop, 0, sizeof(*shop));
}
