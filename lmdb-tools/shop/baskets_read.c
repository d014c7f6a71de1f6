/*
 * baskets_read.c - baskets.csv and items.csv into memory, with the line and
 * the column of what is wrong. Sums of money are kept in range here, so that
 * nobody else has to look.
 */

#include "baskets.h"
#include "micros.h"

#include <stdlib.h>
#include <string.h>

enum { ITEM_ID, ITEM_NAME, ITEM_PRICE, ITEM_CATEGORY, ITEM_FAMILY,
       ITEM_AVAILABLE, ITEM_COLUMNS };

static const char *const  item_columns[ITEM_COLUMNS] = {
    "id", "name", "price", "category", "family", "available"
};

enum { BASKET_ID, BASKET_TIME, BASKET_CUSTOMER, BASKET_COUNTRY, BASKET_ITEM,
       BASKET_QUANTITY, BASKET_PRICE, BASKET_COLUMNS };

static const char *const  basket_columns[BASKET_COLUMNS] = {
    "basket", "time", "customer", "country", "item", "quantity", "price"
};

/* One file on its way in. */
typedef struct {
    baskets_t          *to;
    tool_csv_t         *csv;
    const char *const  *columns;
    int                 at[BASKET_COLUMNS];
    const reco_str_t   *fields;
    uint32_t            last;       /* the last row's basket */
    uint64_t            rows;
    int64_t             total;      /* millionths */
} reading_t;

static reco_str_t
field(const reading_t *r, int column)
{
    return r->fields[r->at[column]];
}

static bool
refuse(const reading_t *r, int column, const char *words)
{
    tool_csv_refuse(r->csv, r->columns[column], field(r, column), "%s",
                    words);

    return false;
}

static bool
check_id(const reading_t *r, int column, bool required)
{
    reco_str_t  s = field(r, column);

    if (s.len == 0) {
        if (required) {
            tool_csv_error(r->csv, r->columns[column], "is empty");
        }
        return !required;
    }

    return reco_id_is_valid(s)
           || refuse(r, column, "must be at most 255 bytes of UTF-8 without "
                                "control characters");
}

static bool
check_item_id(const reading_t *r, int column)
{
    return check_id(r, column, true)
           && (memchr(field(r, column).data, ' ', field(r, column).len)
               == NULL
               || refuse(r, column, "must have no blank"));
}

static bool
parse_price(const reading_t *r, int column, int64_t *price)
{
    return (micros_parse(field(r, column), price) && *price > 0)
           || refuse(r, column,
                     "is not a decimal above 0 with at most six places");
}

/* ---- items -------------------------------------------------------------- */

static bool
read_item(reading_t *r)
{
    int64_t          price;
    uint32_t         n = r->to->item_ids.n, i;
    reco_str_t       available = field(r, ITEM_AVAILABLE);
    baskets_item_t  *item;

    if (!check_item_id(r, ITEM_ID) || !check_id(r, ITEM_NAME, false)
        || !parse_price(r, ITEM_PRICE, &price)
        || !check_id(r, ITEM_CATEGORY, false)
        || !check_id(r, ITEM_FAMILY, false))
    {
        return false;
    }
    if (available.len != 1
        || (available.data[0] != '0' && available.data[0] != '1'))
    {
        return refuse(r, ITEM_AVAILABLE, "is neither 1 nor 0");
    }

    i = baskets_item(r->to, field(r, ITEM_ID));
    if (i < n) {
        return refuse(r, ITEM_ID, "is there twice");
    }
    item = &r->to->items[i];
    item->price = price;
    item->available = available.data[0] == '1';
    baskets_text(&item->name, field(r, ITEM_NAME));
    baskets_text(&item->category, field(r, ITEM_CATEGORY));
    baskets_text(&item->family, field(r, ITEM_FAMILY));

    return true;
}

/* ---- baskets ------------------------------------------------------------ */

static bool
same(const reading_t *r, int column, const char *text)
{
    return reco_str_equal(field(r, column), tool_str(text))
           || refuse(r, column, "differs from the basket's line before");
}

/* A line of the basket that the line before was of. */
static bool
check_next(const reading_t *r, uint64_t time_ms)
{
    const basket_t  *b = &r->to->baskets[r->last];

    if (time_ms != b->time_ms) {
        return refuse(r, BASKET_TIME, "differs from the basket's line before");
    }

    return same(r, BASKET_CUSTOMER,
                b->customer == BASKETS_NONE
                ? "" : r->to->customers.texts[b->customer])
           && same(r, BASKET_COUNTRY, r->to->countries.texts[b->country]);
}

static bool
find_basket(reading_t *r, uint64_t time_ms, uint32_t *basket)
{
    uint32_t  n = r->to->ids.n;

    *basket = intern_find(&r->to->ids, field(r, BASKET_ID));
    if (*basket != INTERN_NONE && *basket == r->last) {
        return check_next(r, time_ms);
    }
    if (*basket != INTERN_NONE) {
        return refuse(r, BASKET_ID, "is in two pieces");
    }
    if (n && time_ms < r->to->baskets[r->last].time_ms) {
        return refuse(r, BASKET_TIME, "is before the time of the line before");
    }

    *basket = baskets_basket(r->to, field(r, BASKET_ID), time_ms,
                             field(r, BASKET_CUSTOMER),
                             field(r, BASKET_COUNTRY));
    r->last = *basket;

    return true;
}

static bool
read_line(reading_t *r)
{
    int64_t   quantity, price, amount;
    uint32_t  item, basket;
    uint64_t  time_ms;

    if (!check_id(r, BASKET_ID, true) || !check_id(r, BASKET_CUSTOMER, false)
        || !check_id(r, BASKET_COUNTRY, true)
        || !check_item_id(r, BASKET_ITEM)
        || !parse_price(r, BASKET_PRICE, &price))
    {
        return false;
    }
    if (!tool_time_parse(field(r, BASKET_TIME), &time_ms)) {
        return refuse(r, BASKET_TIME,
                      "is not a time such as 2010-12-01T08:26:00Z");
    }
    if (!micros_parse(field(r, BASKET_QUANTITY), &quantity)
        || quantity <= 0 || quantity % MICROS)
    {
        return refuse(r, BASKET_QUANTITY, "is not a whole number above 0");
    }
    quantity /= MICROS;
    if (__builtin_mul_overflow(quantity, price, &amount)
        || __builtin_add_overflow(r->total, amount, &r->total))
    {
        tool_csv_error(r->csv, NULL, "the sums are out of range");
        return false;
    }
    item = intern_find(&r->to->item_ids, field(r, BASKET_ITEM));
    if (item == INTERN_NONE) {
        return refuse(r, BASKET_ITEM, "is not among the items");
    }
    if (!find_basket(r, time_ms, &basket)) {
        return false;
    }
    baskets_line(r->to, basket, item, quantity, price);

    return true;
}

/* ---- files -------------------------------------------------------------- */

static bool
find_columns(reading_t *r, const char *path, int n)
{
    int  i;

    for (i = 0; i < n; i++) {
        r->at[i] = tool_csv_find(r->csv, r->columns[i]);
        if (r->at[i] < 0) {
            tool_error("%s: there is no column '%s'", path, r->columns[i]);
            return false;
        }
    }

    return true;
}

static bool
read_file(baskets_t *to, const char *path, const char *const *columns, int n,
    bool (*row)(reading_t *r), const char *label)
{
    bool               ok;
    reading_t          r = { .to = to, .columns = columns,
                             .last = INTERN_NONE };
    tool_progress_t    progress;
    tool_csv_result_t  rc = TOOL_CSV_ERROR;

    r.csv = tool_csv_open(path);
    if (r.csv == NULL) {
        return false;
    }

    ok = find_columns(&r, path, n);
    tool_progress_begin(&progress, label, tool_csv_total(r.csv));
    while (ok && (rc = tool_csv_next(r.csv, &r.fields)) == TOOL_CSV_ROW) {
        ok = row(&r);
        r.rows++;
        tool_progress_at(&progress, tool_csv_bytes(r.csv));
    }
    tool_progress_end(&progress);

    if (ok && rc == TOOL_CSV_BAD_ROW) {
        tool_csv_error(r.csv, NULL, "%s", tool_csv_reason(r.csv));
    }
    tool_csv_close(r.csv);
    if (ok && rc == TOOL_CSV_END && r.rows == 0) {
        tool_error("%s: there are no rows", path);
        return false;
    }

    return ok && rc == TOOL_CSV_END;
}

bool
baskets_read(baskets_t *b, const char *baskets_path, const char *items_path)
{
    if (!read_file(b, items_path, item_columns, ITEM_COLUMNS, read_item,
                   "items")
        || !read_file(b, baskets_path, basket_columns, BASKET_COLUMNS,
                      read_line, "baskets"))
    {
        return false;
    }
    baskets_finish(b);

    return true;
}
