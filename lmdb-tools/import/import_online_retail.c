/*
 * import_online_retail.c - UCI "Online Retail" (InvoiceNo, StockCode,
 * Description, Quantity, InvoiceDate, UnitPrice, CustomerID, Country) as a CSV
 * of customers, a CSV of actions, CSVs of baskets and their items, and the
 * facts counted on the way.
 *
 * Money is counted in millionths, so that sums are exact. One pass; memory
 * grows with customers, invoices, codes and one number (with baskets a few) a
 * sold line, not with the file.
 *
 * A row whose InvoiceNo begins with C is a cancellation. Customers:
 *   country              of the customer's last row by date, as country.h has
 *                        it
 *   orders               distinct invoices that are no cancellations
 *   spend                sum of Quantity x UnitPrice, cancellations deducted
 *   average_order_value  the orders' sum / orders, to the cent
 *   recency_days         days from the last order's date to the data's last
 *   price_band           by the orders' sum / units: below 10 low, up to 50
 *                        medium, above high
 * A customer without an order has no value in the last three. Actions:
 *   name                 the most frequent description, blanks trimmed
 *   price                median UnitPrice of the sold lines (no cancellation,
 *                        quantity and price above 0)
 *   category             empty
 *   active               1 where it was sold and its code begins with five
 *                        digits, as a product's does (POST, BANK CHARGES and
 *                        the like do not)
 * Baskets and their items: retail_baskets.h.
 */

#include "country.h"
#include "import.h"
#include "micros.h"
#include "reco_buf.h"
#include "retail_baskets.h"

#define uthash_malloc(size)     tool_alloc(size)
#define uthash_fatal(message)   abort()

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define DAY_MS      UINT64_C(86400000)

typedef struct {
    char            *id;
    char            *country;
    uint64_t         last_ms;       /* of any row */
    uint64_t         last_order_ms;
    uint64_t         orders;
    int64_t          spend;         /* micro-units */
    int64_t          ordered;       /* the same, without cancellations */
    int64_t          units;         /* of orders */
    UT_hash_handle   hh;
} customer_t;

typedef struct {
    char            *code;
    word_t          *names;
    int64_t         *prices;        /* of sold lines, micro-units */
    size_t           nprices, room;
    UT_hash_handle   hh;
} product_t;

static const char *const  columns[SALE_COLUMNS] = {
    "InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate",
    "UnitPrice", "CustomerID", "Country"
};

typedef struct {
    const char   *customers_path;
    const char   *actions_path;
    const char   *baskets_path;
    const char   *items_path;
    bool          json;
    char        **files;
    int           nfiles;

    word_t       *invoices;
    word_t       *countries;
    word_t       *orders;           /* customer and invoice */
    customer_t   *customers;
    product_t    *products;
    retail_baskets_t  baskets;         /* where baskets or items are wanted */

    uint64_t      rows, without_customer, negative_quantities, cancelled;
    uint64_t      zero_prices, negative_prices;
    uint64_t      first_ms, last_ms;
    int64_t       total;            /* micro-units */
} retail_t;

/* ---- parsing ------------------------------------------------------------ */

static reco_str_t
trim(reco_str_t s)
{
    while (s.len && (s.data[0] == ' ' || s.data[0] == '\t')) {
        s.data++;
        s.len--;
    }
    while (s.len && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t')) {
        s.len--;
    }

    return s;
}

/* "17850.0", as some tool wrote a column with holes, is customer 17850. */
static reco_str_t
customer_id(reco_str_t s)
{
    size_t  i;

    s = trim(s);
    if (s.len < 3 || memcmp(s.data + s.len - 2, ".0", 2) != 0) {
        return s;
    }
    for (i = 0; i < s.len - 2; i++) {
        if (s.data[i] < '0' || s.data[i] > '9') {
            return s;
        }
    }
    s.len -= 2;

    return s;
}

static bool
check_text(const tool_csv_t *csv, const sale_t *sale, int i, bool required)
{
    reco_str_t  s = sale->text[i];

    if (s.len == 0) {
        if (required) {
            tool_csv_error(csv, columns[i], "is empty");
        }
        return !required;
    }
    if (!reco_id_is_valid(s)) {
        tool_csv_error(csv, columns[i], "must be at most %d bytes of UTF-8 "
                       "without control characters", RECO_MAX_ID);
        return false;
    }

    return true;
}

static bool
parse_sale(const tool_csv_t *csv, const int *at, const reco_str_t *fields,
    sale_t *sale)
{
    int      i;
    int64_t  micros;

    for (i = 0; i < SALE_COLUMNS; i++) {
        sale->text[i] = trim(fields[at[i]]);
    }
    sale->text[SALE_CUSTOMER] = customer_id(sale->text[SALE_CUSTOMER]);

    if (!check_text(csv, sale, SALE_INVOICE, true)
        || !check_text(csv, sale, SALE_CODE, true)
        || !check_text(csv, sale, SALE_NAME, false)
        || !check_text(csv, sale, SALE_CUSTOMER, false)
        || !check_text(csv, sale, SALE_COUNTRY, true))
    {
        return false;
    }

    if (!micros_parse(sale->text[SALE_QUANTITY], &micros) || micros % MICROS) {
        tool_csv_error(csv, columns[SALE_QUANTITY], "is not a whole number");
        return false;
    }
    sale->quantity = micros / MICROS;

    if (!micros_parse(sale->text[SALE_PRICE], &sale->price)) {
        tool_csv_error(csv, columns[SALE_PRICE],
                       "is not a decimal with at most six places");
        return false;
    }
    if (__builtin_mul_overflow(sale->quantity, sale->price, &sale->amount)) {
        tool_csv_error(csv, columns[SALE_PRICE], "times %s is out of range",
                       columns[SALE_QUANTITY]);
        return false;
    }
    if (!tool_time_parse(sale->text[SALE_DATE], &sale->time_ms)) {
        tool_csv_error(csv, columns[SALE_DATE],
                       "is not a time such as 2010-12-01 08:26:00");
        return false;
    }
    sale->cancelled = sale->text[SALE_INVOICE].data[0] == 'C';

    return true;
}

/* ---- counting ----------------------------------------------------------- */

static customer_t *
customer_find(retail_t *r, reco_str_t id)
{
    customer_t  *c;

    HASH_FIND(hh, r->customers, id.data, id.len, c);
    if (c == NULL) {
        c = tool_alloc(sizeof(*c));
        c->id = tool_dup(id);
        HASH_ADD_KEYPTR(hh, r->customers, c->id, id.len, c);
    }

    return c;
}

static void
count_order(retail_t *r, customer_t *c, const sale_t *sale)
{
    char        pair[2 * RECO_MAX_ID + 2];
    reco_str_t  key = { pair, 0 };

    key.len = (size_t) snprintf(pair, sizeof(pair), "%s\n%.*s", c->id,
                                (int) sale->text[SALE_INVOICE].len,
                                sale->text[SALE_INVOICE].data);
    if (word_add(&r->orders, key)) {
        c->orders++;
    }
}

/* False when a sum leaves its range. */
static bool
count_customer(retail_t *r, const sale_t *sale)
{
    reco_str_t   country = country_code(sale->text[SALE_COUNTRY]);
    customer_t  *c = customer_find(r, sale->text[SALE_CUSTOMER]);

    if (c->country == NULL || sale->time_ms >= c->last_ms) {
        if (c->country == NULL
            || !reco_str_equal(tool_str(c->country), country))
        {
            free(c->country);
            c->country = tool_dup(country);
        }
        c->last_ms = sale->time_ms;
    }

    if (__builtin_add_overflow(c->spend, sale->amount, &c->spend)) {
        return false;
    }
    if (sale->cancelled) {
        return true;
    }

    count_order(r, c, sale);
    if (sale->time_ms > c->last_order_ms) {
        c->last_order_ms = sale->time_ms;
    }

    return !__builtin_add_overflow(c->ordered, sale->amount, &c->ordered)
           && !__builtin_add_overflow(c->units, sale->quantity, &c->units);
}

static void
count_product(retail_t *r, const sale_t *sale)
{
    product_t   *p;
    reco_str_t   code = sale->text[SALE_CODE];

    HASH_FIND(hh, r->products, code.data, code.len, p);
    if (p == NULL) {
        p = tool_alloc(sizeof(*p));
        p->code = tool_dup(code);
        HASH_ADD_KEYPTR(hh, r->products, p->code, code.len, p);
    }

    if (sale->text[SALE_NAME].len) {
        word_add(&p->names, sale->text[SALE_NAME]);
    }

    if (!sale->cancelled && sale->quantity > 0 && sale->price > 0) {
        if (p->nprices == p->room) {
            p->room = p->room ? 2 * p->room : 8;
            p->prices = tool_realloc(p->prices,
                                     p->room * sizeof(p->prices[0]));
        }
        p->prices[p->nprices++] = sale->price;
    }
}

static bool
count_sale(retail_t *r, const tool_csv_t *csv, const sale_t *sale)
{
    r->rows++;
    r->without_customer += sale->text[SALE_CUSTOMER].len == 0;
    r->negative_quantities += sale->quantity < 0;
    r->cancelled += sale->cancelled;
    r->zero_prices += sale->price == 0;
    r->negative_prices += sale->price < 0;

    if (r->rows == 1 || sale->time_ms < r->first_ms) {
        r->first_ms = sale->time_ms;
    }
    if (sale->time_ms > r->last_ms) {
        r->last_ms = sale->time_ms;
    }

    word_add(&r->invoices, sale->text[SALE_INVOICE]);
    word_add(&r->countries, sale->text[SALE_COUNTRY]);
    count_product(r, sale);
    if (r->baskets_path != NULL || r->items_path != NULL) {
        retail_baskets_add(&r->baskets, sale);
    }

    if (__builtin_add_overflow(r->total, sale->amount, &r->total)
        || (sale->text[SALE_CUSTOMER].len && !count_customer(r, sale)))
    {
        tool_csv_error(csv, NULL, "the sums are out of range");
        return false;
    }

    return true;
}

static bool
find_columns(const tool_csv_t *csv, const char *path, int *at)
{
    int  i;

    for (i = 0; i < SALE_COLUMNS; i++) {
        at[i] = tool_csv_find(csv, columns[i]);
        if (at[i] < 0) {
            tool_error("%s: there is no column '%s'", path, columns[i]);
            return false;
        }
    }

    return true;
}

static bool
read_sales(retail_t *r, const char *path)
{
    int                 at[SALE_COLUMNS];
    bool                ok;
    sale_t              sale;
    tool_csv_t         *csv = tool_csv_open(path);
    tool_progress_t     progress;
    tool_csv_result_t   rc = TOOL_CSV_ERROR;
    const reco_str_t   *fields;

    if (csv == NULL) {
        return false;
    }

    ok = find_columns(csv, path, at);
    tool_progress_begin(&progress, "reading", tool_csv_total(csv));
    while (ok && (rc = tool_csv_next(csv, &fields)) == TOOL_CSV_ROW) {
        ok = parse_sale(csv, at, fields, &sale) && count_sale(r, csv, &sale);
        tool_progress_at(&progress, tool_csv_bytes(csv));
    }
    tool_progress_end(&progress);

    if (ok && rc == TOOL_CSV_BAD_ROW) {
        tool_csv_error(csv, NULL, "%s", tool_csv_reason(csv));
    }
    tool_csv_close(csv);

    return ok && rc == TOOL_CSV_END;
}

/* ---- writing ------------------------------------------------------------ */

static const char *
price_band(const customer_t *c)
{
    __int128  units = c->units;

    if (c->units <= 0) {
        return "";
    }
    if (c->ordered < 10 * MICROS * units) {
        return "low";
    }

    return c->ordered <= 50 * MICROS * units ? "medium" : "high";
}

static int
by_id(const customer_t *a, const customer_t *b)
{
    return strcmp(a->id, b->id);
}

static int
by_code(const product_t *a, const product_t *b)
{
    return strcmp(a->code, b->code);
}

static void
write_customer(FILE *f, const retail_t *r, const customer_t *c)
{
    char  spend[32], average[32] = "", recency[32] = "";

    micros_text(c->spend, spend);
    if (c->orders) {
        micros_text(micros_cents(c->ordered, c->orders), average);
        snprintf(recency, sizeof(recency), "%llu",
                 (unsigned long long) (r->last_ms / DAY_MS
                                       - c->last_order_ms / DAY_MS));
    }

    tool_csv_write(f, tool_str(c->id));
    fputc(',', f);
    tool_csv_write(f, tool_str(c->country));
    fprintf(f, ",%llu,%s,%s,%s,%s\n", (unsigned long long) c->orders, spend,
            average, recency, price_band(c));
}

static bool
write_customers(retail_t *r, tool_output_t *out)
{
    customer_t  *c;

    HASH_SORT(r->customers, by_id);
    fputs("customer,country,orders,spend,average_order_value,recency_days,"
          "price_band\n", out->file);
    for (c = r->customers; c != NULL; c = c->hh.next) {
        write_customer(out->file, r, c);
    }

    return true;
}

static bool
is_product(const char *code)
{
    return strspn(code, "0123456789") >= 5;
}

static bool
write_actions(retail_t *r, tool_output_t *out)
{
    char        price[32];
    product_t  *p;

    HASH_SORT(r->products, by_code);
    fputs("id,name,price,category,active\n", out->file);
    for (p = r->products; p != NULL; p = p->hh.next) {
        price[0] = '\0';
        if (p->nprices) {
            micros_text(micros_median(p->prices, p->nprices), price);
        }
        tool_csv_write(out->file, tool_str(p->code));
        fputc(',', out->file);
        tool_csv_write(out->file, tool_str(words_most(p->names)));
        fprintf(out->file, ",%s,,%d\n", price,
                p->nprices && is_product(p->code));
    }

    return true;
}

static bool
write_baskets(retail_t *r, tool_output_t *out)
{
    baskets_write(&r->baskets.all, NULL, out->file);

    return true;
}

static bool
write_items(retail_t *r, tool_output_t *out)
{
    baskets_write_items(&r->baskets.all, out->file);

    return true;
}

/* All files are whole before one of them gets its name. */
static bool
write_files(retail_t *r)
{
    const struct {
        const char  *path;
        bool       (*write)(retail_t *r, tool_output_t *out);
    } files[] = {
        { r->customers_path, write_customers },
        { r->actions_path, write_actions },
        { r->baskets_path, write_baskets },
        { r->items_path, write_items },
    };
    bool           ok = true;
    size_t         i, n = sizeof(files) / sizeof(files[0]);
    tool_output_t  out[sizeof(files) / sizeof(files[0])] = { 0 };

    retail_baskets_finish(&r->baskets);
    for (i = 0; ok && i < n; i++) {
        if (files[i].path != NULL) {
            ok = tool_output_open(&out[i], files[i].path)
                 && files[i].write(r, &out[i]);
        }
    }
    for (i = 0; ok && i < n; i++) {
        ok = out[i].file == NULL || tool_output_commit(&out[i]);
    }
    for (i = 0; i < n; i++) {
        tool_output_abandon(&out[i]);
    }

    return ok;
}

/* ---- facts -------------------------------------------------------------- */

static json_t *
date(uint64_t time_ms)
{
    char        text[32];
    reco_buf_t  b;

    reco_buf_init(&b, text, sizeof(text));
    reco_buf_date(&b, time_ms);

    return json_stringn(text, reco_buf_len(&b));
}

static void
basket_facts(const baskets_t *b, json_t *o)
{
    json_object_set_new(o, "baskets", json_integer(b->ids.n));
    json_object_set_new(o, "basket_lines", json_integer(b->nlines));
    json_object_set_new(o, "basket_items", json_integer(b->item_ids.n));
    json_object_set_new(o, "basket_customers",
                        json_integer(b->customers.n));
}

static json_t *
facts(const retail_t *r)
{
    char     total[32];
    json_t  *o = json_object();

    json_object_set_new(o, "rows", json_integer((json_int_t) r->rows));
    json_object_set_new(o, "invoices", json_integer(HASH_COUNT(r->invoices)));
    json_object_set_new(o, "stock_codes",
                        json_integer(HASH_COUNT(r->products)));
    json_object_set_new(o, "customers",
                        json_integer(HASH_COUNT(r->customers)));
    json_object_set_new(o, "countries",
                        json_integer(HASH_COUNT(r->countries)));
    json_object_set_new(o, "rows_without_customer",
                        json_integer((json_int_t) r->without_customer));
    json_object_set_new(o, "negative_quantities",
                        json_integer((json_int_t) r->negative_quantities));
    json_object_set_new(o, "cancelled_rows",
                        json_integer((json_int_t) r->cancelled));
    json_object_set_new(o, "zero_prices",
                        json_integer((json_int_t) r->zero_prices));
    json_object_set_new(o, "negative_prices",
                        json_integer((json_int_t) r->negative_prices));
    json_object_set_new(o, "total",
                        json_string(micros_text(r->total, total)));
    json_object_set_new(o, "first_date", date(r->first_ms));
    json_object_set_new(o, "last_date", date(r->last_ms));
    if (r->baskets_path != NULL || r->items_path != NULL) {
        basket_facts(&r->baskets.all, o);
    }

    return o;
}

static void
print_facts(json_t *o)
{
    const char  *key;
    json_t      *value;

    json_object_foreach(o, key, value) {
        if (json_is_string(value)) {
            printf("%-22s %s\n", key, json_string_value(value));
        } else {
            printf("%-22s %lld\n", key,
                   (long long) json_integer_value(value));
        }
    }
    json_decref(o);
}

/* ---- command ------------------------------------------------------------ */

enum { OPT_CUSTOMERS = 256, OPT_ACTIONS, OPT_BASKETS, OPT_ITEMS,
       OPT_JSON };

static const struct argp_option  options[] = {
    { "customers", OPT_CUSTOMERS, "CSV", 0,
      "write the customers' records there", 0 },
    { "actions", OPT_ACTIONS, "CSV", 0, "write the catalogue there", 0 },
    { "baskets", OPT_BASKETS, "CSV", 0, "write the baskets there", 0 },
    { "items", OPT_ITEMS, "CSV", 0, "write the items of baskets there", 0 },
    { "json", OPT_JSON, NULL, 0, "print the facts as JSON", 0 },
    { 0 }
};

static error_t
on_option(int key, char *arg, struct argp_state *state)
{
    retail_t  *r = state->input;

    switch (key) {
    case OPT_CUSTOMERS:
        r->customers_path = arg;
        return 0;
    case OPT_ACTIONS:
        r->actions_path = arg;
        return 0;
    case OPT_BASKETS:
        r->baskets_path = arg;
        return 0;
    case OPT_ITEMS:
        r->items_path = arg;
        return 0;
    case OPT_JSON:
        r->json = true;
        return 0;
    case ARGP_KEY_ARGS:
        r->files = state->argv + state->next;
        r->nfiles = state->argc - state->next;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "a FILE is needed");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp  argp = {
    options, on_option, "FILE...",
    "Reads UCI's Online Retail sales (CSV, may be compressed) into a CSV of "
    "customers, a CSV of actions, a CSV of baskets and a CSV of their items, "
    "and prints the facts counted on the way.",
    NULL, NULL, NULL
};

static void
release(retail_t *r)
{
    product_t   *p, *next_product;
    customer_t  *c, *next_customer;

    words_free(&r->invoices);
    words_free(&r->countries);
    words_free(&r->orders);
    retail_baskets_free(&r->baskets);

    HASH_ITER(hh, r->customers, c, next_customer) {
        HASH_DEL(r->customers, c);
        free(c->id);
        free(c->country);
        free(c);
    }

    HASH_ITER(hh, r->products, p, next_product) {
        HASH_DEL(r->products, p);
        words_free(&p->names);
        free(p->code);
        free(p->prices);
        free(p);
    }
}

int
import_online_retail(int argc, char **argv)
{
    int       i;
    bool      ok = true;
    retail_t  r = { 0 };

    tool_parse(&argp, "import online-retail", argc, argv, &r);

    for (i = 0; ok && i < r.nfiles; i++) {
        ok = read_sales(&r, r.files[i]);
    }
    if (ok && r.rows == 0) {
        tool_error("%s: there are no rows", r.files[0]);
        ok = false;
    }
    ok = ok && write_files(&r);

    if (ok && r.json) {
        tool_print_json(facts(&r));
    } else if (ok) {
        print_facts(facts(&r));
    }
    release(&r);

    return ok ? 0 : 1;
}
