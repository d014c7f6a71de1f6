/*
 * generate.c - an invented shop's baskets.
 *
 * A customer has two favourite kinds of products, a theme, a price band, an
 * hour of the day, a country, a size of basket and a number of baskets a
 * year. A line of a basket is something bought before (a quarter), something
 * that goes with the line before (same theme or kind), or something of the
 * customer's taste. What is rejected by season, or is in the basket already,
 * is drawn again a few times. Only + - * / on doubles: the same everywhere.
 */

#include "generate.h"
#include "generate_items.h"
#include "micros.h"

#include <stdlib.h>
#include <string.h>

#define SECOND_MS   UINT64_C(1000)
#define HOUR_MS     UINT64_C(3600000)
#define DAY_MS      UINT64_C(86400000)
#define DAYS_A_YEAR 365
#define HISTORY     16          /* items that a customer may buy again */
#define MAX_LINES   40          /* of a basket */
#define TRIES       6

typedef struct {
    uint32_t  country;
    uint32_t  kinds[2];         /* the favourite, then the second */
    uint32_t  theme;
    uint32_t  band;
    uint32_t  hour;             /* the usual one */
    uint32_t  size;             /* lines of a basket, on average */
    uint32_t  nhistory;         /* ever; the latest HISTORY are kept */
    uint32_t  history[HISTORY];
} taste_t;

typedef struct {
    uint64_t  time_ms;
    uint32_t  customer;
    uint32_t  number;           /* among the customer's */
} visit_t;

typedef struct {
    const generate_options_t  *options;
    baskets_t                 *out;
    catalogue_t                catalogue;
    splitmix_t                 random;
    taste_t                   *tastes;      /* by customer */
    visit_t                   *visits;
    uint32_t                   nvisits, room;
} shop_maker_t;

static const struct {
    const char  *code;          /* ISO 3166-1 alpha-2 */
    uint32_t     weight;        /* of 100 */
} countries[] = {
    { "GB", 62 }, { "DE", 10 }, { "FR", 9 }, { "IE", 6 }, { "ES", 5 },
    { "IT", 3 }, { "NL", 3 }, { "NO", 2 }
};

/* How busy a month is; 10 is the busiest. */
static const uint32_t  months[12] = { 5, 5, 6, 5, 6, 6, 5, 5, 7, 8, 10, 9 };

static bool
chance(shop_maker_t *m, double p)
{
    return splitmix_double(&m->random) < p;
}

/* ---- customers ---------------------------------------------------------- */

static uint32_t
draw_country(shop_maker_t *m)
{
    uint32_t  i, x = splitmix_below(&m->random, 100);

    for (i = 0; i + 1 < sizeof(countries) / sizeof(countries[0])
         && x >= countries[i].weight; i++)
    {
        x -= countries[i].weight;
    }

    return i;
}

static uint32_t
draw_hour(shop_maker_t *m)
{
    static const uint32_t  usual[] = { 8, 10, 12, 13, 15, 17, 19, 20, 22 };

    return usual[splitmix_below(&m->random,
                                sizeof(usual) / sizeof(usual[0]))];
}

static uint32_t
draw_band(shop_maker_t *m)
{
    double  x = splitmix_double(&m->random);

    return x < 0.5 ? 0 : x < 0.85 ? 1 : 2;
}

static void
draw_taste(shop_maker_t *m, taste_t *t)
{
    t->country = draw_country(m);
    t->kinds[0] = splitmix_below(&m->random, CATALOGUE_KINDS);
    t->kinds[1] = splitmix_below(&m->random, CATALOGUE_KINDS);
    t->theme = splitmix_below(&m->random, CATALOGUE_THEMES);
    t->band = draw_band(m);
    t->hour = draw_hour(m);
    t->size = 2 + splitmix_below(&m->random, 9);
}

/* 0..11, near enough for seasons: months of 30.4 days. */
static uint32_t
month_of(uint64_t day)
{
    return (uint32_t) (day % DAYS_A_YEAR * 12 / DAYS_A_YEAR);
}

static uint64_t
draw_time(shop_maker_t *m, const taste_t *t)
{
    int       i;
    uint32_t  day = 0, hour;

    for (i = 0; i < TRIES; i++) {
        day = splitmix_below(&m->random, m->options->days);
        if (splitmix_below(&m->random, 10) < months[month_of(day)]) {
            break;
        }
    }
    hour = chance(m, 0.7) ? t->hour + splitmix_below(&m->random, 2)
                          : 7 + splitmix_below(&m->random, 16);

    return GENERATE_START_MS + day * DAY_MS + hour * HOUR_MS
           + splitmix_below(&m->random, 3600) * SECOND_MS;
}

/* Few customers come often: 1 to 25 times a year, 7 on average. */
static void
draw_visits(shop_maker_t *m, uint32_t customer)
{
    double    u = splitmix_double(&m->random), expected;
    uint32_t  i, n;

    expected = (1 + 24 * u * u * u) * m->options->days / DAYS_A_YEAR;
    n = (uint32_t) expected;
    n += chance(m, expected - n);

    for (i = 0; i < n; i++) {
        if (m->nvisits == m->room) {
            m->room = m->room ? 2 * m->room : 1024;
            m->visits = tool_realloc(m->visits,
                                     m->room * sizeof(m->visits[0]));
        }
        m->visits[m->nvisits++] = (visit_t) {
            .time_ms = draw_time(m, &m->tastes[customer]),
            .customer = customer, .number = i
        };
    }
}

static int
by_time(const void *a, const void *b)
{
    const visit_t  *x = a, *y = b;

    if (x->time_ms != y->time_ms) {
        return x->time_ms < y->time_ms ? -1 : 1;
    }
    if (x->customer != y->customer) {
        return x->customer < y->customer ? -1 : 1;
    }

    return x->number < y->number ? -1 : 1;
}

/* ---- baskets ------------------------------------------------------------ */

static uint32_t
draw_by_taste(shop_maker_t *m, const taste_t *t)
{
    double    x = splitmix_double(&m->random);
    uint32_t  kind;

    kind = x < 0.5 ? t->kinds[0] : x < 0.75 ? t->kinds[1]
           : splitmix_below(&m->random, CATALOGUE_KINDS);
    if (chance(m, 0.75)) {
        return pool_draw(&m->catalogue.by_band[kind][t->band], &m->random);
    }

    return pool_draw(&m->catalogue.by_kind[kind], &m->random);
}

/* What goes with an item: of its theme, or of its kind. */
static uint32_t
draw_companion(shop_maker_t *m, uint32_t item)
{
    const catalogue_item_t  *i = &m->catalogue.items[item];

    return chance(m, 0.6)
           ? pool_draw(&m->catalogue.by_theme[i->theme], &m->random)
           : pool_draw(&m->catalogue.by_kind[i->kind], &m->random);
}

static uint32_t
draw_item(shop_maker_t *m, const taste_t *t, const uint32_t *basket,
    uint32_t n)
{
    double    x = splitmix_double(&m->random);
    uint32_t  kept = t->nhistory < HISTORY ? t->nhistory : HISTORY;

    if (kept && x < 0.25) {
        return t->history[splitmix_below(&m->random, kept)];
    }
    if (n && x < 0.6) {
        return draw_companion(m, basket[n - 1]);
    }

    return n == 0 && x > 0.9
           ? pool_draw(&m->catalogue.by_theme[t->theme], &m->random)
           : draw_by_taste(m, t);
}

static bool
is_refused(shop_maker_t *m, uint32_t item, uint32_t month,
    const uint32_t *basket, uint32_t n)
{
    uint32_t  i;

    if (item == CATALOGUE_NONE
        || !chance(m, catalogue_season(&m->catalogue, item, month)))
    {
        return true;
    }
    for (i = 0; i < n; i++) {
        if (basket[i] == item) {
            return true;
        }
    }

    return false;
}

static void
add_line(shop_maker_t *m, uint32_t basket, uint32_t item)
{
    int64_t   price = m->out->items[item].price;
    uint32_t  quantity = 1 + splitmix_below(&m->random, 4);

    if (price < 5 * MICROS && chance(m, 0.2)) {
        quantity *= 6;
    }
    if (chance(m, 0.05)) {
        price = micros_cents(price * 9, 10);        /* 10 % less */
    }
    baskets_line(m->out, basket, item, quantity, price);
}

static uint32_t
open_basket(shop_maker_t *m, const visit_t *v, uint32_t number)
{
    char        id[32], customer[32] = "";
    reco_str_t  country;

    snprintf(id, sizeof(id), "B%07u", (unsigned) number + 1);
    if (!chance(m, 0.04)) {         /* else bought without an account */
        snprintf(customer, sizeof(customer), "%u",
                 (unsigned) v->customer + 10001);
    }
    country = tool_str(countries[m->tastes[v->customer].country].code);

    return baskets_basket(m->out, tool_str(id), v->time_ms,
                          tool_str(customer), country);
}

static void
make_basket(shop_maker_t *m, uint32_t number)
{
    int             tries;
    taste_t        *t;
    uint32_t        basket, month, i, n = 0, wanted, item;
    uint32_t        items[MAX_LINES];
    const visit_t  *v = &m->visits[number];

    t = &m->tastes[v->customer];
    month = month_of((v->time_ms - GENERATE_START_MS) / DAY_MS);
    wanted = 1 + splitmix_below(&m->random, 2 * t->size);
    for (tries = 0; n < wanted && n < MAX_LINES && tries < TRIES; ) {
        item = draw_item(m, t, items, n);
        if (is_refused(m, item, month, items, n)) {
            tries++;
            continue;
        }
        tries = 0;
        items[n++] = item;
    }
    if (n == 0) {
        return;
    }

    basket = open_basket(m, v, number);
    for (i = 0; i < n; i++) {
        add_line(m, basket, items[i]);
        t->history[t->nhistory++ % HISTORY] = items[i];
    }
}

void
generate_shop(const generate_options_t *options, baskets_t *out)
{
    uint32_t         i;
    shop_maker_t     m = { .options = options, .out = out };
    tool_progress_t  progress;

    m.random.state = options->seed;
    catalogue_make(&m.catalogue, options->items, &m.random, out);
    m.tastes = tool_alloc(options->customers * sizeof(m.tastes[0]));
    for (i = 0; i < options->customers; i++) {
        draw_taste(&m, &m.tastes[i]);
        draw_visits(&m, i);
    }
    if (m.nvisits) {
        qsort(m.visits, m.nvisits, sizeof(m.visits[0]), by_time);
    }

    tool_progress_begin(&progress, "baskets", m.nvisits);
    for (i = 0; i < m.nvisits; i++) {
        make_basket(&m, i);
        tool_progress_at(&progress, i);
    }
    tool_progress_end(&progress);

    baskets_finish(out);
    baskets_price_items(out);

    catalogue_free(&m.catalogue);
    free(m.tastes);
    free(m.visits);
}
