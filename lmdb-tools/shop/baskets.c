/*
 * baskets.c - items and baskets in memory, and writing them.
 */

#include "baskets.h"
#include "micros.h"
#include "reco_buf.h"

#include <stdlib.h>
#include <string.h>

#define DAY_MS  UINT64_C(86400000)

/* ---- filling ------------------------------------------------------------ */

/* Room for one more of n. */
static void *
grow(void *array, uint32_t n, uint32_t *room, size_t size)
{
    if (n < *room) {
        return array;
    }
    *room = *room ? 2 * *room : 256;

    return tool_realloc(array, *room * size);
}

void
baskets_text(char **to, reco_str_t text)
{
    free(*to);
    *to = tool_dup(text);
}

uint32_t
baskets_item(baskets_t *b, reco_str_t id)
{
    uint32_t         n = b->item_ids.n, i = intern_add(&b->item_ids, id);
    baskets_item_t  *item;

    if (i < n) {
        return i;
    }

    b->items = grow(b->items, n, &b->items_room, sizeof(b->items[0]));
    item = &b->items[i];
    memset(item, 0, sizeof(*item));
    item->id = b->item_ids.texts[i];
    item->name = tool_strdup("");
    item->category = tool_strdup("");
    item->family = tool_strdup("");

    return i;
}

uint32_t
baskets_basket(baskets_t *b, reco_str_t id, uint64_t time_ms,
    reco_str_t customer, reco_str_t country)
{
    uint32_t   n = b->ids.n, i = intern_add(&b->ids, id);
    basket_t  *basket;

    if (i < n) {
        return i;
    }

    b->baskets = grow(b->baskets, n, &b->baskets_room, sizeof(b->baskets[0]));
    basket = &b->baskets[i];
    memset(basket, 0, sizeof(*basket));
    basket->id = b->ids.texts[i];
    basket->time_ms = time_ms;
    basket->customer = customer.len ? intern_add(&b->customers, customer)
                                    : BASKETS_NONE;
    basket->country = intern_add(&b->countries, country);

    return i;
}

void
baskets_line(baskets_t *b, uint32_t basket, uint32_t item, int64_t quantity,
    int64_t price)
{
    b->lines = grow(b->lines, b->nlines, &b->lines_room, sizeof(b->lines[0]));
    b->lines[b->nlines++] = (basket_line_t) {
        .basket = basket, .item = item, .quantity = quantity, .price = price
    };
}

/* ---- finishing ---------------------------------------------------------- */

static int
by_time(const void *a, const void *b)
{
    const basket_t  *x = *(basket_t *const *) a, *y = *(basket_t *const *) b;

    if (x->time_ms != y->time_ms) {
        return x->time_ms < y->time_ms ? -1 : 1;
    }

    return strcmp(x->id, y->id);
}

/* Baskets by time and id; to[old number] is the new one. */
static void
order_baskets(baskets_t *b, uint32_t *to)
{
    uint32_t    i, n = b->ids.n;
    basket_t   *sorted = tool_alloc(n * sizeof(sorted[0]));
    basket_t  **order = tool_alloc(n * sizeof(order[0]));

    for (i = 0; i < n; i++) {
        order[i] = &b->baskets[i];
    }
    qsort(order, n, sizeof(order[0]), by_time);
    for (i = 0; i < n; i++) {
        sorted[i] = *order[i];
        to[order[i] - b->baskets] = i;
    }

    free(order);
    free(b->baskets);
    b->baskets = sorted;
    b->baskets_room = n;
}

void
baskets_finish(baskets_t *b)
{
    uint32_t        i, first = 0, n = b->ids.n, *to, *next;
    basket_line_t  *sorted;

    if (n == 0) {
        return;
    }

    to = tool_alloc(n * sizeof(to[0]));
    next = tool_alloc(n * sizeof(next[0]));
    sorted = tool_alloc(b->nlines * sizeof(sorted[0]));
    order_baskets(b, to);

    for (i = 0; i < b->nlines; i++) {
        b->lines[i].basket = to[b->lines[i].basket];
        b->baskets[b->lines[i].basket].nlines++;
    }
    for (i = 0; i < n; i++) {
        b->baskets[i].first = next[i] = first;
        first += b->baskets[i].nlines;
    }
    for (i = 0; i < b->nlines; i++) {
        sorted[next[b->lines[i].basket]++] = b->lines[i];
    }

    free(b->lines);
    b->lines = sorted;
    b->lines_room = b->nlines;
    free(to);
    free(next);
}

void
baskets_price_items(baskets_t *b)
{
    uint32_t   i, n = b->item_ids.n, *end, first = 0;
    uint64_t   last = b->ids.n ? b->baskets[b->ids.n - 1].time_ms : 0;
    int64_t   *prices;

    end = tool_alloc((n + 1) * sizeof(end[0]));
    prices = tool_alloc(b->nlines * sizeof(prices[0]));

    for (i = 0; i < b->nlines; i++) {
        end[b->lines[i].item + 1]++;
    }
    for (i = 0; i < n; i++) {
        end[i + 1] += end[i];
    }
    /* Now end[i] is where i's prices begin; it moves to their end. */
    for (i = 0; i < b->nlines; i++) {
        const basket_line_t  *line = &b->lines[i];

        prices[end[line->item]++] = line->price;
        if (last - b->baskets[line->basket].time_ms
            <= BASKETS_AVAILABLE_DAYS * DAY_MS)
        {
            b->items[line->item].available = true;
        }
    }
    for (i = 0; i < n; first = end[i++]) {
        if (end[i] > first) {
            b->items[i].price = micros_median(prices + first, end[i] - first);
        }
    }

    free(end);
    free(prices);
}

/* ---- writing ------------------------------------------------------------ */

static void
put(FILE *f, const char *text)
{
    tool_csv_write(f, tool_str(text));
    fputc(',', f);
}

/* "2010-12-01T08:26:00Z", with milliseconds only where there are any. */
static void
put_time(FILE *f, uint64_t time_ms)
{
    char        text[32];
    size_t      len;
    reco_buf_t  buf;

    reco_buf_init(&buf, text, sizeof(text));
    reco_buf_time(&buf, time_ms);
    len = reco_buf_len(&buf);
    if (time_ms % 1000 == 0) {
        len -= strlen(".000Z");
        text[len++] = 'Z';
    }
    fprintf(f, "%.*s,", (int) len, text);
}

void
baskets_write(const baskets_t *b, const bool *keep, FILE *f)
{
    char                  price[MICROS_TEXT];
    uint32_t              i;
    const basket_t       *basket;
    const basket_line_t  *line;

    fputs("basket,time,customer,country,item,quantity,price\n", f);
    for (i = 0; i < b->nlines; i++) {
        line = &b->lines[i];
        if (keep != NULL && !keep[line->basket]) {
            continue;
        }
        basket = &b->baskets[line->basket];
        put(f, basket->id);
        put_time(f, basket->time_ms);
        put(f, basket->customer == BASKETS_NONE
               ? "" : b->customers.texts[basket->customer]);
        put(f, b->countries.texts[basket->country]);
        put(f, b->items[line->item].id);
        fprintf(f, "%lld,%s\n", (long long) line->quantity,
                micros_text(line->price, price));
    }
}

static int
by_item_id(const void *x, const void *y, void *baskets)
{
    const baskets_item_t  *items = ((const baskets_t *) baskets)->items;

    return strcmp(items[*(const uint32_t *) x].id,
                  items[*(const uint32_t *) y].id);
}

uint32_t *
baskets_items_by_id(const baskets_t *b)
{
    uint32_t  i, n = b->item_ids.n, *order = tool_alloc(n * sizeof(order[0]));

    for (i = 0; i < n; i++) {
        order[i] = i;
    }
    qsort_r(order, n, sizeof(order[0]), by_item_id, (void *) b);

    return order;
}

void
baskets_write_items(const baskets_t *b, FILE *f)
{
    char                   price[MICROS_TEXT];
    uint32_t               i, *order = baskets_items_by_id(b);
    const baskets_item_t  *item;

    fputs("id,name,price,category,family,available\n", f);
    for (i = 0; i < b->item_ids.n; i++) {
        item = &b->items[order[i]];
        put(f, item->id);
        put(f, item->name);
        fprintf(f, "%s,", micros_text(item->price, price));
        put(f, item->category);
        put(f, item->family);
        fprintf(f, "%d\n", item->available);
    }
    free(order);
}

void
baskets_free(baskets_t *b)
{
    uint32_t  i;

    for (i = 0; i < b->item_ids.n; i++) {
        free(b->items[i].name);
        free(b->items[i].category);
        free(b->items[i].family);
    }
    free(b->items);
    free(b->baskets);
    free(b->lines);
    intern_free(&b->ids);
    intern_free(&b->item_ids);
    intern_free(&b->customers);
    intern_free(&b->countries);
    memset(b, 0, sizeof(*b));
}
