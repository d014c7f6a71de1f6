/*
 * generate_items.c - an invented catalogue: families of one noun, theme and
 * price, each in one to four colours.
 */

#include "generate_items.h"
#include "micros.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_FAMILY    20001

/* Prices in cents. The season is when the kind sells in full; in the other
 * months it sells to the part 'beyond', in hundredths. */
static const struct {
    const char  *nouns[3];
    uint32_t     lowest, highest;
    uint32_t     begin, end;            /* months, 0..11 */
    uint32_t     beyond;
} kinds[CATALOGUE_KINDS] = {
    { { "LUNCH BAG", "SHOPPER BAG", "TOTE BAG" }, 150, 1900, 0, 11, 100 },
    { { "TEA MUG", "COFFEE MUG", "TRAVEL MUG" }, 120, 1400, 0, 11, 100 },
    { { "SCENTED CANDLE", "CANDLE HOLDER", "CANDLE LANTERN" },
      80, 2900, 8, 11, 60 },
    { { "CUSHION COVER", "FLOOR CUSHION", "SEAT CUSHION" },
      400, 5900, 0, 11, 100 },
    { { "CHRISTMAS WREATH", "CHRISTMAS STAR", "CHRISTMAS TREE" },
      60, 8900, 9, 11, 4 },
    { { "GARDEN CHAIR", "GARDEN PARASOL", "GARDEN PLANTER" },
      700, 18900, 3, 7, 20 },
    { { "TABLE LAMP", "FLOOR LAMP", "DESK LAMP" }, 1200, 14900, 0, 11, 100 },
    { { "BAKING TIN", "CAKE TIN", "BISCUIT TIN" }, 250, 2400, 0, 11, 100 },
    { { "BIRTHDAY CARD", "GREETING CARD", "THANKYOU CARD" },
      40, 350, 0, 11, 100 },
    { { "BEAD NECKLACE", "CHARM NECKLACE", "PENDANT NECKLACE" },
      300, 7900, 0, 11, 100 },
    { { "WALL CLOCK", "ALARM CLOCK", "KITCHEN CLOCK" },
      800, 9900, 0, 11, 100 },
    { { "DRAWER CABINET", "KEY CABINET", "MIRROR CABINET" },
      2900, 24900, 0, 11, 100 }
};

static const char *const  themes[CATALOGUE_THEMES] = {
    "RETROSPOT", "POLKADOT", "VINTAGE", "FLORAL", "NORDIC", "WOODLAND",
    "PARISIAN", "SEASIDE", "CIRCUS", "GINGHAM"
};

static const char *const  colours[] = {
    "RED", "BLUE", "GREEN", "WHITE", "PINK", "BLACK", "CREAM", "YELLOW"
};

#define COLOURS     (sizeof(colours) / sizeof(colours[0]))

/* ---- pools -------------------------------------------------------------- */

static void
pool_add(pool_t *p, uint32_t item, double popularity)
{
    if (p->n == p->room) {
        p->room = p->room ? 2 * p->room : 32;
        p->items = tool_realloc(p->items, p->room * sizeof(p->items[0]));
        p->sums = tool_realloc(p->sums, p->room * sizeof(p->sums[0]));
    }
    p->items[p->n] = item;
    p->sums[p->n] = popularity + (p->n ? p->sums[p->n - 1] : 0);
    p->n++;
}

uint32_t
pool_draw(const pool_t *p, splitmix_t *random)
{
    double    x;
    uint32_t  low = 0, high = p->n, middle;

    if (p->n == 0) {
        return CATALOGUE_NONE;
    }

    /* The first whose sum is above x; the last one's is. */
    x = splitmix_double(random) * p->sums[p->n - 1];
    while (low < high) {
        middle = low + (high - low) / 2;
        if (p->sums[middle] > x) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }

    return p->items[low < p->n ? low : p->n - 1];
}

static void
pool_free(pool_t *p)
{
    free(p->items);
    free(p->sums);
}

/* ---- catalogue ---------------------------------------------------------- */

/* More cheap ones than dear ones of a kind; ends in 5 cents. */
static int64_t
draw_price(uint32_t kind, splitmix_t *random)
{
    double    u = splitmix_double(random);
    uint32_t  cents = kinds[kind].lowest
        + (uint32_t) (u * u * (kinds[kind].highest - kinds[kind].lowest));

    cents = cents / 10 * 10 + 5;

    return cents * (MICROS / 100);
}

static uint32_t
band(int64_t price)
{
    return price < 10 * MICROS ? 0 : price <= 50 * MICROS ? 1 : 2;
}

static void
add_item(catalogue_t *c, baskets_t *to, uint32_t family, uint32_t variant,
    bool only, const char *name, int64_t price, catalogue_item_t item,
    double popularity)
{
    char             id[16];
    uint32_t         i;
    baskets_item_t  *made;

    snprintf(id, sizeof(id), "%u", (unsigned) family);
    if (!only) {
        snprintf(id + 5, sizeof(id) - 5, "%c", (char) ('A' + variant));
    }
    i = baskets_item(to, tool_str(id));
    made = &to->items[i];
    made->price = price;
    baskets_text(&made->name, tool_str(name));
    baskets_text(&made->family, (reco_str_t) { id, 5 });

    c->items[i] = item;
    pool_add(&c->by_kind[item.kind], i, popularity);
    pool_add(&c->by_theme[item.theme], i, popularity);
    pool_add(&c->by_band[item.kind][band(price)], i, popularity);
}

/* Up to 'room' items; returns how many. Few families are popular. */
static uint32_t
add_family(catalogue_t *c, baskets_t *to, uint32_t family, uint32_t room,
    splitmix_t *random)
{
    char              name[80];
    double            u, popularity;
    int64_t           price;
    uint32_t          i, n = 1 + splitmix_below(random, 4);
    uint32_t          noun = splitmix_below(random, 3), first;
    catalogue_item_t  item;

    n = n < room ? n : room;
    item.kind = splitmix_below(random, CATALOGUE_KINDS);
    item.theme = splitmix_below(random, CATALOGUE_THEMES);
    price = draw_price(item.kind, random);
    u = splitmix_double(random);
    popularity = 1 / (0.05 + u);
    first = splitmix_below(random, COLOURS);

    for (i = 0; i < n; i++) {
        snprintf(name, sizeof(name), "%s %s %s",
                 colours[(first + i) % COLOURS], kinds[item.kind].nouns[noun],
                 themes[item.theme]);
        add_item(c, to, family, i, n == 1, name, price, item, popularity);
    }

    return n;
}

void
catalogue_make(catalogue_t *c, uint32_t n, splitmix_t *random, baskets_t *to)
{
    uint32_t  family = FIRST_FAMILY;

    memset(c, 0, sizeof(*c));
    c->items = tool_alloc(n * sizeof(c->items[0]));
    while (c->nitems < n) {
        c->nitems += add_family(c, to, family++, n - c->nitems, random);
    }
}

void
catalogue_free(catalogue_t *c)
{
    uint32_t  i, j;

    for (i = 0; i < CATALOGUE_KINDS; i++) {
        pool_free(&c->by_kind[i]);
        for (j = 0; j < CATALOGUE_BANDS; j++) {
            pool_free(&c->by_band[i][j]);
        }
    }
    for (i = 0; i < CATALOGUE_THEMES; i++) {
        pool_free(&c->by_theme[i]);
    }
    free(c->items);
}

double
catalogue_season(const catalogue_t *c, uint32_t item, uint32_t month)
{
    uint32_t  kind = c->items[item].kind;

    return month >= kinds[kind].begin && month <= kinds[kind].end
           ? 1 : kinds[kind].beyond / 100.0;
}
