/*
 * market.c - the market's statistics of a shop, shoppers' tastes, and how
 * much an item is wanted. Its file: market_file.c.
 */

#include "market.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define MS_PER_HOUR     ((uint64_t) 3600 * 1000)
#define MS_PER_DAY      (24 * MS_PER_HOUR)
#define RETURN_MS       (7 * MS_PER_DAY)

/* ---- counting ----------------------------------------------------------- */

static void
count_customer(market_t *m, const shop_customer_t *c, double *gaps,
    double *returns)
{
    uint32_t              i, k;
    const shop_item_t    *item;
    const shop_basket_t  *b;

    for (i = 0; i < c->n; i++) {
        b = &m->shop->baskets[c->first + i];
        m->nbaskets++;
        m->hours[b->time_ms % MS_PER_DAY / MS_PER_HOUR]++;
        m->weekdays[(b->time_ms / MS_PER_DAY + 4) % 7]++;

        for (k = b->first; k < b->first + b->n; k++) {
            item = &m->shop->items[m->shop->lines[k].item];
            m->count[m->shop->lines[k].item]++;
            m->category[item->category]++;
            m->band[item->band]++;
        }

        if (i > 0) {
            (*gaps)++;
            *returns += b->time_ms - b[-1].time_ms <= RETURN_MS;
        }
    }
}

/* Counts to shares, none of them 0. */
static void
to_shares(double *counts, uint32_t n)
{
    double    sum = n;
    uint32_t  i;

    for (i = 0; i < n; i++) {
        sum += counts[i];
    }

    for (i = 0; i < n; i++) {
        counts[i] = (counts[i] + 1) / sum;
    }
}

/* For each item the market's baskets that have it: index[at[i]] ...
 * index[at[i + 1] - 1]. */
static uint32_t *
invert(const market_t *m, size_t *at)
{
    uint32_t              i, j, k, item, *index;
    const shop_t         *shop = m->shop;
    const shop_basket_t  *b;

    at[0] = 0;
    for (i = 0; i < shop->nitems; i++) {
        at[i + 1] = at[i] + m->count[i];
    }

    index = tool_alloc((at[shop->nitems] + 1) * sizeof(*index));

    for (i = 0; i < shop->ncustomers; i++) {
        for (j = 0; shop->customers[i].part == PART_MARKET
                    && j < shop->customers[i].n; j++)
        {
            b = &shop->baskets[shop->customers[i].first + j];
            for (k = b->first; k < b->first + b->n; k++) {
                item = shop->lines[k].item;
                index[at[item]++] = shop->customers[i].first + j;
            }
        }
    }

    for (i = shop->nitems; i > 0; i--) {
        at[i] = at[i - 1];
    }
    at[0] = 0;

    return index;
}

static int
by_number(const void *a, const void *b)
{
    uint32_t  x = *(const uint32_t *) a, y = *(const uint32_t *) b;

    return (x > y) - (x < y);
}

/* The items that share baskets with one item, found through its baskets: the
 * memory is that of the pairs that are there. */
static void
pair_item(market_t *m, uint32_t item, const uint32_t *baskets, size_t n,
    uint32_t *together, uint32_t *touched, size_t *room)
{
    size_t                i, at = m->row[item];
    uint32_t              k, other, ntouched = 0;
    const shop_basket_t  *b;

    for (i = 0; i < n; i++) {
        b = &m->shop->baskets[baskets[i]];
        for (k = b->first;
             b->n <= MARKET_MAX_PAIRED && k < b->first + b->n;
             k++)
        {
            other = m->shop->lines[k].item;
            if (other != item && together[other]++ == 0) {
                touched[ntouched++] = other;
            }
        }
    }

    qsort(touched, ntouched, sizeof(*touched), by_number);

    if (at + ntouched > *room) {
        *room = 2 * (at + ntouched);
        m->pair_item = tool_realloc(m->pair_item, *room * sizeof(uint32_t));
        m->pair_count = tool_realloc(m->pair_count,
                                     *room * sizeof(uint32_t));
    }

    for (k = 0; k < ntouched; k++, at++) {
        m->pair_item[at] = touched[k];
        m->pair_count[at] = together[touched[k]];
        together[touched[k]] = 0;
    }

    m->row[item + 1] = at;
}

static void
count_pairs(market_t *m)
{
    size_t     room = 0;
    size_t    *at = tool_alloc((m->shop->nitems + 1) * sizeof(*at));
    uint32_t   i, n = m->shop->nitems, *index, *together, *touched;

    index = invert(m, at);
    together = tool_alloc((n + 1) * sizeof(*together));
    memset(together, 0, (n + 1) * sizeof(*together));
    touched = tool_alloc((n + 1) * sizeof(*touched));
    m->row = tool_alloc((n + 1) * sizeof(*m->row));
    m->row[0] = 0;

    for (i = 0; i < n; i++) {
        pair_item(m, i, index + at[i], at[i + 1] - at[i], together, touched,
                  &room);
    }

    free(index);
    free(together);
    free(touched);
    free(at);
}

static void *
zeros(size_t n, size_t size)
{
    void  *p = tool_alloc((n + 1) * size);

    memset(p, 0, (n + 1) * size);

    return p;
}

void
market_count(market_t *m, const shop_t *shop)
{
    double    gaps = 0, returns = 0;
    uint32_t  i;

    m->shop = shop;
    m->count = zeros(shop->nitems, sizeof(*m->count));
    m->popularity = zeros(shop->nitems, sizeof(*m->popularity));
    m->category = zeros(shop->ncategories, sizeof(*m->category));

    for (i = 0; i < shop->ncustomers; i++) {
        if (shop->customers[i].part == PART_MARKET) {
            count_customer(m, &shop->customers[i], &gaps, &returns);
        }
    }

    to_shares(m->category, shop->ncategories);
    to_shares(m->band, SHOP_BANDS);
    to_shares(m->hours, 24);
    to_shares(m->weekdays, 7);
    m->return_rate = (returns + 1) / (gaps + 2);

    for (i = 0; i < shop->nitems; i++) {
        m->popularity[i] = log((m->count[i] + 1.0) / (m->nbaskets + 1.0));
    }

    count_pairs(m);
}

void
market_free(market_t *m)
{
    free(m->count);
    free(m->popularity);
    free(m->category);
    free(m->row);
    free(m->pair_item);
    free(m->pair_count);
    memset(m, 0, sizeof(*m));
}

/* ---- tastes ------------------------------------------------------------- */

/* Posterior mean of a Dirichlet-multinomial with the population's shares as
 * prior mean, over the population's share. */
static void
ratios(const uint32_t *counts, const double *shares, uint32_t n,
    double strength, double *out)
{
    double    sum = strength;
    uint32_t  i;

    for (i = 0; i < n; i++) {
        sum += counts[i];
    }

    for (i = 0; i < n; i++) {
        out[i] = log((counts[i] + strength * shares[i]) / sum / shares[i]);
    }
}

void
market_taste(const market_t *m, const uint32_t *categories,
    const uint32_t bands[SHOP_BANDS], market_taste_t *out)
{
    ratios(categories, m->category, m->shop->ncategories, m->taste_strength,
           out->category);
    ratios(bands, m->band, SHOP_BANDS, m->taste_strength, out->band);
}

static int
by_item(const void *a, const void *b)
{
    const market_bought_t  *x = a, *y = b;

    if (x->item != y->item) {
        return x->item < y->item ? -1 : 1;
    }

    return (x->basket > y->basket) - (x->basket < y->basket);
}

/* What the customer bought, each item once, with its first basket; and the
 * counts of its lines. */
static void
collect(const market_t *m, market_shopper_t *s, uint32_t *categories,
    uint32_t *bands)
{
    size_t                n = 0;
    uint32_t              i, k, item;
    const shop_basket_t  *b;

    for (i = 0; i < s->customer->n; i++) {
        n += m->shop->baskets[s->customer->first + i].n;
    }
    s->bought = tool_alloc((n + 1) * sizeof(*s->bought));

    for (n = 0, i = 0; i < s->customer->n; i++) {
        b = &m->shop->baskets[s->customer->first + i];
        for (k = b->first; k < b->first + b->n; k++) {
            item = m->shop->lines[k].item;
            s->bought[n++] = (market_bought_t) { item, i };
            categories[m->shop->items[item].category]++;
            bands[m->shop->items[item].band]++;
        }
    }

    qsort(s->bought, n, sizeof(*s->bought), by_item);

    for (k = 0; k < n; k++) {
        if (k == 0 || s->bought[k].item != s->bought[k - 1].item) {
            s->bought[s->nbought++] = s->bought[k];
        }
    }
}

static void
cumulate(const uint32_t *counts, const double *shares, uint32_t n,
    double strength, double *out)
{
    double    sum = strength, at = 0;
    uint32_t  i;

    for (i = 0; i < n; i++) {
        sum += counts[i];
    }

    for (i = 0; i < n; i++) {
        at += (counts[i] + strength * shares[i]) / sum;
        out[i] = at;
    }
}

static void
habits(const market_t *m, market_shopper_t *s)
{
    double                returns = 0;
    uint32_t              i, hours[24] = { 0 }, weekdays[7] = { 0 };
    const shop_basket_t  *b;

    for (i = 0; i < s->customer->n; i++) {
        b = &m->shop->baskets[s->customer->first + i];
        hours[b->time_ms % MS_PER_DAY / MS_PER_HOUR]++;
        weekdays[(b->time_ms / MS_PER_DAY + 4) % 7]++;
        if (i > 0) {
            returns += b->time_ms - b[-1].time_ms <= RETURN_MS;
        }
    }

    cumulate(hours, m->hours, 24, m->time_strength, s->hours);
    cumulate(weekdays, m->weekdays, 7, m->time_strength, s->weekdays);
    s->return_rate = (returns + m->return_strength * m->return_rate)
                     / (s->customer->n - 1 + m->return_strength);
}

static const char *
device(const market_t *m, reco_str_t id)
{
    double    u = (double) (XXH3_64bits_withSeed(id.data, id.len, 1) >> 11)
                  * 0x1p-53;
    uint32_t  i;

    for (i = 0; i + 1 < m->a.ndevices && u >= m->a.devices[i].share; i++) {
        u -= m->a.devices[i].share;
    }

    return m->a.devices[i].name;
}

void
market_shopper(const market_t *m, const shop_customer_t *c,
    market_shopper_t *out)
{
    uint32_t  bands[SHOP_BANDS] = { 0 };
    uint32_t *categories = zeros(m->shop->ncategories, sizeof(uint32_t));

    memset(out, 0, sizeof(*out));
    out->customer = c;
    out->taste.category = tool_alloc((m->shop->ncategories + 1)
                                     * sizeof(double));
    collect(m, out, categories, bands);
    market_taste(m, categories, bands, &out->taste);
    habits(m, out);
    out->device = m->a.ndevices ? device(m, c->id) : "";
    free(categories);
}

void
market_shopper_free(market_shopper_t *s)
{
    free(s->taste.category);
    free(s->bought);
    memset(s, 0, sizeof(*s));
}

bool
market_bought_before(const market_shopper_t *s, uint32_t item,
    uint32_t basket)
{
    uint32_t  low = 0, high = s->nbought, mid;

    while (low < high) {
        mid = low + (high - low) / 2;
        if (s->bought[mid].item < item) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }

    return low < s->nbought && s->bought[low].item == item
           && s->bought[low].basket < basket;
}

/* ---- wanting ------------------------------------------------------------ */

static uint32_t
pair(const market_t *m, uint32_t item, uint32_t other)
{
    size_t  low = m->row[item], high = m->row[item + 1], mid;

    while (low < high) {
        mid = low + (high - low) / 2;
        if (m->pair_item[mid] < other) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }

    return low < m->row[item + 1] && m->pair_item[low] == other
           ? m->pair_count[low] : 0;
}

double
market_copurchase(const market_t *m, uint32_t item, const uint32_t *cart,
    uint32_t ncart, const uint8_t *inside)
{
    double    both, alone, sum = 0;
    uint32_t  i;

    for (i = 0; i < ncart; i++) {
        both = pair(m, item, cart[i]);
        alone = m->count[cart[i]];

        if (inside != NULL) {
            both -= both > 0 && inside[item];
            alone -= alone > 0;
        }

        sum += alone > 0 ? both / alone : 0;
    }

    return ncart > 0 ? sum / ncart : 0;
}

void
market_features(const market_t *m, const market_taste_t *taste,
    uint32_t item, double copurchase, bool bought, double x[MARKET_NFEATURES])
{
    const shop_item_t  *it = &m->shop->items[item];

    x[MARKET_CATEGORY] = taste->category[it->category];
    x[MARKET_BAND] = taste->band[it->band];
    x[MARKET_COPURCHASE] = log1p(100 * copurchase);
    x[MARKET_POPULARITY] = m->popularity[item];
    x[MARKET_REPEAT] = bought;
}

double
market_relevance(const market_t *m, const double x[MARKET_NFEATURES])
{
    double    sum = 0;
    uint32_t  i;

    for (i = 0; i < MARKET_NFEATURES; i++) {
        sum += m->coefficient[i] * x[i];
    }

    return sum;
}

double
market_uniform(uint64_t seed, uint64_t a, uint64_t b, uint64_t c,
    uint64_t question, uint64_t item)
{
    uint64_t  key[6] = { seed, a, b, c, question, item };

    return (double) (XXH3_64bits(key, sizeof(key)) >> 11) * 0x1p-53;
}
