/*
 * baskets_customers.c - customers' records and samples from baskets. Only
 * whole numbers (millionths for money), so nothing is rounded but means, and
 * those to a millionth, towards 0.
 */

#include "baskets_customers.h"
#include "micros.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    uint32_t  orders;
    uint32_t  lines;
    int64_t   spend;            /* millionths */
    int64_t   mean_price;       /* of a line's unit price */
} sums_t;

/* Upper ends of the lower and the middle third. */
typedef struct {
    int64_t  low, middle;
} terciles_t;

typedef struct {
    const baskets_t  *b;
    const bool       *left_out;
    FILE             *file;
    uint32_t         *first;        /* by customer, into baskets */
    uint32_t         *baskets;      /* by customer, then time */
    sums_t           *sums;         /* by customer */
    terciles_t        price, engagement;
    intern_t          categories;
    uint32_t         *category;     /* by item, in categories; BASKETS_NONE */
    uint32_t         *count;        /* by category: baskets */
    uint32_t         *seen;         /* by category or item: the last basket or
                                       customer that had it, plus 1 */
    uint32_t         *seen_item;
} people_t;

/* ---- sums --------------------------------------------------------------- */

static bool
counts(const people_t *p, uint32_t basket)
{
    return !p->left_out[basket]
           && p->b->baskets[basket].customer != BASKETS_NONE;
}

/* Baskets customer by customer, in the order of time. */
static void
group_baskets(people_t *p)
{
    uint32_t  i, c, sum = 0, n = p->b->customers.n, *next;

    p->first = tool_alloc((n + 1) * sizeof(p->first[0]));
    p->baskets = tool_alloc(p->b->ids.n * sizeof(p->baskets[0]));
    next = tool_alloc(n * sizeof(next[0]));
    for (i = 0; i < p->b->ids.n; i++) {
        if (counts(p, i)) {
            p->sums[p->b->baskets[i].customer].orders++;
        }
    }
    for (c = 0; c < n; c++) {
        p->first[c] = next[c] = sum;
        sum += p->sums[c].orders;
    }
    p->first[n] = sum;
    for (i = 0; i < p->b->ids.n; i++) {
        if (counts(p, i)) {
            p->baskets[next[p->b->baskets[i].customer]++] = i;
        }
    }
    free(next);
}

static void
sum_up(people_t *p)
{
    uint32_t  c, i, j;

    for (c = 0; c < p->b->customers.n; c++) {
        sums_t    *s = &p->sums[c];
        __int128   prices = 0;

        for (i = p->first[c]; i < p->first[c + 1]; i++) {
            const basket_t  *k = &p->b->baskets[p->baskets[i]];

            for (j = k->first; j < k->first + k->nlines; j++) {
                const basket_line_t  *line = &p->b->lines[j];

                s->spend += line->quantity * line->price;
                prices += line->price;
            }
            s->lines += k->nlines;
        }
        s->mean_price = s->lines ? (int64_t) (prices / s->lines) : 0;
    }
}

/* ---- terciles ----------------------------------------------------------- */

static int
by_value(const void *a, const void *b)
{
    int64_t  x = *(const int64_t *) a, y = *(const int64_t *) b;

    return (x > y) - (x < y);
}

/* With the values in rising order, v[0] .. v[n - 1], a third ends at
 * v[ceil(n / 3) - 1], two at v[ceil(2 n / 3) - 1]. */
static terciles_t
terciles(int64_t *v, uint32_t n)
{
    if (n == 0) {
        return (terciles_t) { 0, 0 };
    }
    qsort(v, n, sizeof(v[0]), by_value);

    return (terciles_t) { v[(n + 2) / 3 - 1],
                          v[((uint64_t) 2 * n + 2) / 3 - 1] };
}

static int
third(terciles_t t, int64_t value)
{
    return value <= t.low ? 0 : value <= t.middle ? 1 : 2;
}

static uint32_t
find_terciles(people_t *p, const bool *reference)
{
    uint32_t  c, n = 0, all = p->b->customers.n;
    int64_t  *prices = tool_alloc(all * sizeof(prices[0]));
    int64_t  *orders = tool_alloc(all * sizeof(orders[0]));

    for (c = 0; c < all; c++) {
        if (reference[c] && p->sums[c].orders) {
            prices[n] = p->sums[c].mean_price;
            orders[n++] = p->sums[c].orders;
        }
    }
    p->price = terciles(prices, n);
    p->engagement = terciles(orders, n);
    free(prices);
    free(orders);

    return n;
}

/* ---- categories and history --------------------------------------------- */

static void
find_categories(people_t *p)
{
    uint32_t  i, n = p->b->item_ids.n;

    p->category = tool_alloc(n * sizeof(p->category[0]));
    for (i = 0; i < n; i++) {
        p->category[i] = p->b->items[i].category[0] == '\0' ? BASKETS_NONE
            : intern_add(&p->categories, tool_str(p->b->items[i].category));
    }
    p->count = tool_alloc(p->categories.n * sizeof(p->count[0]));
    p->seen = tool_alloc(p->categories.n * sizeof(p->seen[0]));
    p->seen_item = tool_alloc(n * sizeof(p->seen_item[0]));
}

/* The category with most baskets, of equals the first by name. */
static const char *
preferred(people_t *p, uint32_t customer)
{
    uint32_t     i, j, c, best = 0;
    const char  *name = "";

    memset(p->count, 0, p->categories.n * sizeof(p->count[0]));
    for (i = p->first[customer]; i < p->first[customer + 1]; i++) {
        const basket_t  *k = &p->b->baskets[p->baskets[i]];

        for (j = k->first; j < k->first + k->nlines; j++) {
            c = p->category[p->b->lines[j].item];
            if (c != BASKETS_NONE && p->seen[c] != p->baskets[i] + 1) {
                p->seen[c] = p->baskets[i] + 1;
                p->count[c]++;
            }
        }
    }
    for (c = 0; c < p->categories.n; c++) {
        if (p->count[c] > best
            || (best && p->count[c] == best
                && strcmp(p->categories.texts[c], name) < 0))
        {
            best = p->count[c];
            name = p->categories.texts[c];
        }
    }

    return name;
}

/* The distinct items of the latest baskets, as many as fit. */
static void
bought(people_t *p, uint32_t customer, char *out)
{
    size_t    len = 0, n;
    uint32_t  i, j, item;

    for (i = p->first[customer + 1]; i-- > p->first[customer]; ) {
        const basket_t  *k = &p->b->baskets[p->baskets[i]];

        for (j = k->first; j < k->first + k->nlines; j++) {
            item = p->b->lines[j].item;
            if (p->seen_item[item] == customer + 1) {
                continue;
            }
            p->seen_item[item] = customer + 1;
            n = strlen(p->b->items[item].id);
            if (len + (len > 0) + n > CUSTOMERS_BOUGHT) {
                out[len] = '\0';
                return;
            }
            if (len) {
                out[len++] = ' ';
            }
            memcpy(out + len, p->b->items[item].id, n);
            len += n;
        }
    }
    out[len] = '\0';
}

/* ---- writing ------------------------------------------------------------ */

static void
write_customer(people_t *p, uint32_t customer)
{
    char                      list[CUSTOMERS_BOUGHT + 1];
    char                      spend[MICROS_TEXT], average[MICROS_TEXT];
    char                      price[MICROS_TEXT];
    const sums_t             *s = &p->sums[customer];
    const basket_t           *last;
    static const char *const  sensitivity[] = { "high", "medium", "low" };
    static const char *const  engagement[] = { "low", "medium", "high" };

    last = &p->b->baskets[p->baskets[p->first[customer + 1] - 1]];
    bought(p, customer, list);

    tool_csv_write(p->file, tool_str(p->b->customers.texts[customer]));
    fputc(',', p->file);
    tool_csv_write(p->file, tool_str(p->b->countries.texts[last->country]));
    fprintf(p->file, ",%s,%s,", sensitivity[third(p->price, s->mean_price)],
            engagement[third(p->engagement, s->orders)]);
    tool_csv_write(p->file, tool_str(preferred(p, customer)));
    fputc(',', p->file);
    tool_csv_write(p->file, tool_str(list));
    fprintf(p->file, ",%u,%s,%s,%s\n", (unsigned) s->orders,
            micros_text(s->spend, spend),
            micros_text(micros_cents(s->spend, s->orders), average),
            micros_text(s->mean_price, price));
}

static int
by_customer_id(const void *a, const void *b, void *texts)
{
    char **t = texts;

    return strcmp(t[*(const uint32_t *) a], t[*(const uint32_t *) b]);
}

static void
write_people(people_t *p, customers_counts_t *out)
{
    uint32_t  i, n = p->b->customers.n, *order;

    order = tool_alloc(n * sizeof(order[0]));
    for (i = 0; i < n; i++) {
        order[i] = i;
    }
    qsort_r(order, n, sizeof(order[0]), by_customer_id,
            p->b->customers.texts);

    fputs("customer,country,price_sensitivity,engagement_level,"
          "category_preferences,bought,orders,spend,average_order_value,"
          "mean_price\n", p->file);
    for (i = 0; i < n; i++) {
        if (p->sums[order[i]].orders) {
            write_customer(p, order[i]);
            out->customers++;
        }
    }
    free(order);
}

void
customers_write(const baskets_t *b, const bool *left_out,
    const bool *reference, FILE *f, customers_counts_t *out)
{
    people_t  p = { .b = b, .left_out = left_out, .file = f };

    memset(out, 0, sizeof(*out));
    p.sums = tool_alloc(b->customers.n * sizeof(p.sums[0]));
    group_baskets(&p);
    sum_up(&p);
    out->reference = find_terciles(&p, reference);
    find_categories(&p);
    write_people(&p, out);

    free(p.sums);
    free(p.first);
    free(p.baskets);
    free(p.category);
    free(p.count);
    free(p.seen);
    free(p.seen_item);
    intern_free(&p.categories);
}

/* ---- samples ------------------------------------------------------------ */

static void
write_sample(const baskets_t *b, uint32_t basket, uint32_t *seen, FILE *f)
{
    char             total[MICROS_TEXT];
    int64_t          sum = 0;
    uint32_t         i, items = 0;
    const basket_t  *k = &b->baskets[basket];

    for (i = k->first; i < k->first + (k->nlines + 1) / 2; i++) {
        const basket_line_t  *line = &b->lines[i];

        sum += line->quantity * line->price;
        if (seen[line->item] != basket + 1) {
            seen[line->item] = basket + 1;
            items++;
        }
    }

    fprintf(f, "%s,%u,", micros_text(sum, total), (unsigned) items);
    tool_csv_write(f, tool_str(b->countries.texts[k->country]));
    fputc(',', f);
    if (k->customer != BASKETS_NONE) {
        tool_csv_write(f, tool_str(b->customers.texts[k->customer]));
    }
    fputc(',', f);
    tool_csv_write(f, tool_str(k->id));
    fputc('\n', f);
}

void
samples_write(const baskets_t *b, const bool *keep, FILE *f)
{
    uint32_t  i, *seen = tool_alloc(b->item_ids.n * sizeof(seen[0]));

    fputs("cart_total,item_count,country,customer,basket\n", f);
    for (i = 0; i < b->ids.n; i++) {
        if (keep[i]) {
            write_sample(b, i, seen, f);
        }
    }
    free(seen);
}
