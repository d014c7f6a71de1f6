/*
 * market_calibrate.c - estimates how much a shopper wants an item, from the
 * baskets of the customers of the part "market".
 *
 * Of each basket the first half of the lines is the cart; the items of the
 * rest were wanted (positives), a random share of all other items was not
 * (negatives). Tastes and repeat purchases are those of the customer's earlier
 * baskets; counts of items and pairs leave the basket itself out. A logistic
 * regression over these rows gives the coefficients. Because only a share of
 * the negatives is there, its intercept is too high by -log(share) (King and
 * Zeng 2001, prior correction).
 *
 * Every fifth customer is held out and only validated on. Then outcomes are
 * drawn from the fitted model and it is fitted again: what comes out must be
 * what went in, within its standard errors (a parametric bootstrap of one).
 */

#include "logistic.h"
#include "market.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define NEGATIVES       10.0        /* per positive */
#define RIDGE           1.0
#define HELD_OUT        5           /* one in so many customers */
#define TASTE_STRENGTH  20.0
#define TIME_STRENGTH   5.0
#define RETURN_STRENGTH 5.0
#define SLATE           5           /* of the slates that set the base */

/* What the random numbers are for. */
enum { ASK_NEGATIVE = 1, ASK_OUTCOME };

typedef struct {
    double   *x;                    /* n x MARKET_NFEATURES */
    uint8_t  *y;
    size_t    n, positives, room;
    uint32_t  baskets;
} rows_t;

typedef struct {
    market_t         m;
    double           share;         /* of the negatives that are rows */
    rows_t           fit, held_out;
    logistic_t       estimate, again;

    /* of the customer in hand: counts of the earlier baskets */
    market_taste_t   taste;
    uint32_t        *categories;
    uint32_t         bands[SHOP_BANDS];
    uint8_t         *bought;        /* by item */
    uint8_t         *inside;        /* by item: in the basket in hand */
    uint32_t         cart[RECO_MAX_CART];
    uint32_t         ncart;
} calibration_t;

static bool
is_held_out(reco_str_t id)
{
    return XXH3_64bits_withSeed(id.data, id.len, 2) % HELD_OUT == 0;
}

/* A basket with something in the cart and something after it. */
static bool
is_usable(const shop_basket_t *b)
{
    return b->n >= 2 && b->n <= MARKET_MAX_PAIRED;
}

/* The share of the negatives that makes so many per positive. */
static double
negative_share(const shop_t *shop)
{
    double                positives = 0, negatives = 0;
    uint32_t              i, k;
    const shop_basket_t  *b;

    for (i = 0; i < shop->ncustomers; i++) {
        for (k = 0; shop->customers[i].part == PART_MARKET
                    && k < shop->customers[i].n; k++)
        {
            b = &shop->baskets[shop->customers[i].first + k];
            if (is_usable(b)) {
                positives += b->n - b->n / 2;
                negatives += shop->nitems - b->n;
            }
        }
    }

    return negatives > NEGATIVES * positives
           ? NEGATIVES * positives / negatives : 1;
}

/* ---- rows --------------------------------------------------------------- */

static void
add_row(calibration_t *c, rows_t *rows, uint32_t item, bool wanted)
{
    double           *x, together;
    const market_t   *m = &c->m;

    if (rows->n == rows->room) {
        rows->room = rows->room ? 2 * rows->room : 4096;
        rows->x = tool_realloc(rows->x, rows->room * MARKET_NFEATURES
                                        * sizeof(double));
        rows->y = tool_realloc(rows->y, rows->room);
    }

    x = rows->x + rows->n * MARKET_NFEATURES;
    together = market_copurchase(m, item, c->cart, c->ncart, c->inside);
    market_features(m, &c->taste, item, together, c->bought[item], x);
    x[MARKET_POPULARITY] = log((m->count[item] - c->inside[item] + 1.0)
                               / m->nbaskets);
    rows->y[rows->n++] = wanted;
    rows->positives += wanted;
}

static void
add_basket(calibration_t *c, rows_t *rows, uint32_t basket)
{
    uint32_t              i, half;
    const shop_t         *shop = c->m.shop;
    const shop_basket_t  *b = &shop->baskets[basket];

    market_taste(&c->m, c->categories, c->bands, &c->taste);
    half = b->n / 2;
    c->ncart = half < RECO_MAX_CART ? half : RECO_MAX_CART;

    for (i = 0; i < b->n; i++) {
        c->inside[shop->lines[b->first + i].item] = 1;
        if (i < c->ncart) {
            c->cart[i] = shop->lines[b->first + i].item;
        }
    }

    for (i = half; i < b->n; i++) {
        add_row(c, rows, shop->lines[b->first + i].item, true);
    }

    for (i = 0; i < shop->nitems; i++) {
        if (!c->inside[i]
            && market_uniform(0, basket, 0, 0, ASK_NEGATIVE, i) < c->share)
        {
            add_row(c, rows, i, false);
        }
    }

    for (i = 0; i < b->n; i++) {
        c->inside[shop->lines[b->first + i].item] = 0;
    }
    rows->baskets++;
}

/* What later baskets of the customer look back on. */
static void
remember(calibration_t *c, const shop_basket_t *b, bool forget)
{
    uint32_t            k, item;
    const shop_item_t  *it;

    for (k = b->first; k < b->first + b->n; k++) {
        item = c->m.shop->lines[k].item;
        it = &c->m.shop->items[item];
        c->bought[item] = !forget;
        c->categories[it->category] += forget ? -1u : 1u;
        c->bands[it->band] += forget ? -1u : 1u;
    }
}

static void
add_customer(calibration_t *c, const shop_customer_t *who)
{
    rows_t              *rows = is_held_out(who->id) ? &c->held_out : &c->fit;
    uint32_t             i;
    const shop_basket_t *b;

    for (i = 0; i < who->n; i++) {
        b = &c->m.shop->baskets[who->first + i];
        if (is_usable(b)) {
            add_basket(c, rows, who->first + i);
        }
        remember(c, b, false);
    }

    for (i = 0; i < who->n; i++) {
        remember(c, &c->m.shop->baskets[who->first + i], true);
    }
}

static void
collect_rows(calibration_t *c)
{
    uint32_t         i;
    const shop_t    *shop = c->m.shop;
    tool_progress_t  progress;

    c->share = negative_share(shop);
    c->categories = tool_alloc((shop->ncategories + 1) * sizeof(uint32_t));
    memset(c->categories, 0, (shop->ncategories + 1) * sizeof(uint32_t));
    c->taste.category = tool_alloc((shop->ncategories + 1) * sizeof(double));
    c->bought = tool_alloc(shop->nitems + 1);
    memset(c->bought, 0, shop->nitems + 1);
    c->inside = tool_alloc(shop->nitems + 1);
    memset(c->inside, 0, shop->nitems + 1);

    tool_progress_begin(&progress, "baskets", shop->ncustomers);
    for (i = 0; i < shop->ncustomers; i++) {
        if (shop->customers[i].part == PART_MARKET) {
            add_customer(c, &shop->customers[i]);
        }
        tool_progress_at(&progress, i);
    }
    tool_progress_end(&progress);
}

/* ---- estimates ---------------------------------------------------------- */

static double
score(const logistic_t *e, const double *x)
{
    double    sum = e->intercept;
    uint32_t  i;

    for (i = 0; i < MARKET_NFEATURES; i++) {
        sum += e->coefficient[i] * x[i];
    }

    return sum;
}

static double
probability(double z)
{
    return 1 / (1 + exp(-z));
}

/* -log P(outcome), from the log-odds of a positive. */
static double
loss(double z, bool positive)
{
    z = positive ? -z : z;

    return z > 0 ? z + log1p(exp(-z)) : log1p(exp(z));
}

static bool
estimate(calibration_t *c)
{
    if (c->fit.positives == 0 || c->fit.positives == c->fit.n
        || c->held_out.positives == 0)
    {
        tool_error("the part 'market' has too few baskets of two items or "
                   "more to estimate from");
        return false;
    }

    if (!logistic_fit(c->fit.x, c->fit.y, c->fit.n, MARKET_NFEATURES, RIDGE,
                      &c->estimate) || !c->estimate.converged)
    {
        tool_error("the regression over %zu rows did not converge",
                   c->fit.n);
        return false;
    }

    memcpy(c->m.coefficient, c->estimate.coefficient,
           sizeof(c->m.coefficient));

    return true;
}

/* The largest difference, in standard errors, between the coefficients and
 * those found again in outcomes drawn from them. */
static double
find_again(calibration_t *c)
{
    size_t     i;
    double     d, worst = 0, *x;
    uint8_t   *y = tool_alloc(c->fit.n);

    for (i = 0; i < c->fit.n; i++) {
        x = c->fit.x + i * MARKET_NFEATURES;
        y[i] = market_uniform(0, i, 0, 0, ASK_OUTCOME, 0)
               < probability(score(&c->estimate, x));
    }

    if (!logistic_fit(c->fit.x, y, c->fit.n, MARKET_NFEATURES, RIDGE,
                      &c->again))
    {
        worst = NAN;
    }
    free(y);

    for (i = 0; i < MARKET_NFEATURES && !isnan(worst); i++) {
        d = fabs(c->again.coefficient[i] - c->estimate.coefficient[i])
            / c->estimate.error[i];
        worst = d > worst ? d : worst;
    }

    return worst;
}

/* ---- the base: a reference slate's click-through ------------------------ */

typedef struct {
    double    relevance[SLATE];
    uint32_t  n;
} reference_t;

/* The five items that most baskets have, without those of the cart, before
 * the second half of the customer's last basket. best: all items, most
 * baskets first. */
static void
reference_slate(calibration_t *c, const shop_customer_t *who,
    const uint32_t *best, reference_t *out)
{
    double                x[MARKET_NFEATURES];
    uint32_t              i, n, last = who->first + who->n - 1;
    const shop_basket_t  *b = &c->m.shop->baskets[last];
    market_shopper_t      s;

    memset(out, 0, sizeof(*out));
    market_shopper(&c->m, who, &s);
    c->ncart = b->n / 2 < RECO_MAX_CART ? b->n / 2 : RECO_MAX_CART;
    for (i = 0; i < c->ncart; i++) {
        c->cart[i] = c->m.shop->lines[b->first + i].item;
        c->inside[c->cart[i]] = 1;
    }

    for (i = 0, n = 0; n < SLATE && i < c->m.shop->nitems; i++) {
        if (c->inside[best[i]]) {
            continue;
        }
        market_features(&c->m, &s.taste, best[i],
                        market_copurchase(&c->m, best[i], c->cart, c->ncart,
                                          NULL),
                        market_bought_before(&s, best[i], who->n - 1), x);
        out->relevance[n++] = market_relevance(&c->m, x);
    }
    out->n = n;

    for (i = 0; i < c->ncart; i++) {
        c->inside[c->cart[i]] = 0;
    }
    market_shopper_free(&s);
}

static double
click_through(const market_t *m, const reference_t *slates, size_t n,
    double base)
{
    size_t    i;
    double    sum = 0, none;
    uint32_t  k;

    for (i = 0; i < n; i++) {
        none = 1;
        for (k = 0; k < slates[i].n; k++) {
            none *= 1 - market_attention(m, k)
                        * probability(base + slates[i].relevance[k]);
        }
        sum += 1 - none;
    }

    return sum / n;
}

static int
by_baskets(const void *a, const void *b, void *counts)
{
    uint32_t         x = *(const uint32_t *) a, y = *(const uint32_t *) b;
    const uint32_t  *count = counts;

    if (count[x] != count[y]) {
        return count[x] > count[y] ? -1 : 1;
    }

    return (x > y) - (x < y);
}

/* Bisection: the click-through rises with the base. */
static void
set_base(calibration_t *c)
{
    size_t        n = 0;
    double        low = -60, high = 60, mid;
    uint32_t      i, *best;
    market_t     *m = &c->m;
    reference_t  *slates;

    best = tool_alloc((m->shop->nitems + 1) * sizeof(*best));
    slates = tool_alloc(m->shop->ncustomers * sizeof(*slates));

    for (i = 0; i < m->shop->nitems; i++) {
        best[i] = i;
    }
    qsort_r(best, m->shop->nitems, sizeof(*best), by_baskets, m->count);

    for (i = 0; i < m->shop->ncustomers; i++) {
        if (m->shop->customers[i].part == PART_MARKET) {
            reference_slate(c, &m->shop->customers[i], best, &slates[n++]);
        }
    }

    while (high - low > 1e-12) {
        mid = low + (high - low) / 2;
        if (click_through(m, slates, n, mid) < m->a.click_through) {
            low = mid;
        } else {
            high = mid;
        }
    }

    m->base = low;
    free(best);
    free(slates);
}

/* ---- what is written ---------------------------------------------------- */

static json_t *
coefficients_json(const logistic_t *e, bool errors)
{
    json_t    *out = json_object();
    uint32_t   i;

    for (i = 0; i < MARKET_NFEATURES; i++) {
        json_object_set_new(out, market_feature_names[i],
                            json_real(errors ? e->error[i]
                                             : e->coefficient[i]));
    }

    return out;
}

/* Over held-out baskets: how well wanted items are told from others, and the
 * loss per row beside that of the positives' share alone. */
static json_t *
validation_json(const calibration_t *c)
{
    size_t         i;
    double         sum = 0, null = 0, rate, auc;
    double        *z;
    const rows_t  *h = &c->held_out;

    z = tool_alloc(h->n * sizeof(*z));
    rate = (double) c->fit.positives / (double) c->fit.n;

    for (i = 0; i < h->n; i++) {
        z[i] = score(&c->estimate, h->x + i * MARKET_NFEATURES);
        sum += loss(z[i], h->y[i]);
        null += loss(log(rate / (1 - rate)), h->y[i]);
    }

    auc = logistic_auc(z, h->y, h->n);
    free(z);

    return json_pack("{s:I, s:I, s:I, s:f, s:f, s:f}",
        "baskets", (json_int_t) h->baskets, "rows", (json_int_t) h->n,
        "positives", (json_int_t) h->positives, "auc", auc,
        "log_loss", sum / h->n, "log_loss_of_share", null / h->n);
}

static json_t *
estimate_json(calibration_t *c)
{
    double  worst = find_again(c);

    return json_pack("{s:f, s:f, s:I, s:I, s:I, s:f, s:f, s:i, s:o, s:o, "
                     "s:{s:o, s:o}}",
        "ridge", RIDGE, "share_of_negatives", c->share,
        "baskets", (json_int_t) c->fit.baskets,
        "rows", (json_int_t) c->fit.n,
        "positives", (json_int_t) c->fit.positives,
        "intercept_of_rows", c->estimate.intercept,
        "intercept", c->estimate.intercept + log(c->share),
        "iterations", (int) c->estimate.iterations,
        "standard_errors", coefficients_json(&c->estimate, true),
        "validation", validation_json(c),
        "found_again",
            "coefficients", coefficients_json(&c->again, false),
            "largest_difference_in_standard_errors",
                isnan(worst) ? json_null() : json_real(worst));
}

static json_t *
source_json(const market_t *m)
{
    uint32_t  i, customers = 0;

    for (i = 0; i < m->shop->ncustomers; i++) {
        customers += m->shop->customers[i].part == PART_MARKET;
    }

    return json_pack("{s:s, s:s, s:I, s:I, s:I}",
        "hash", m->shop->sum, "part", part_name(PART_MARKET),
        "customers", (json_int_t) customers,
        "baskets", (json_int_t) m->nbaskets,
        "items", (json_int_t) m->shop->nitems);
}

static bool
write_market(json_t *market, const char *path)
{
    tool_output_t  out;

    if (!tool_output_open(&out, path)) {
        return false;
    }

    json_dumpf(market, out.file, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    fputc('\n', out.file);

    return tool_output_commit(&out);
}

static void
release(calibration_t *c)
{
    free(c->fit.x);
    free(c->fit.y);
    free(c->held_out.x);
    free(c->held_out.y);
    free(c->taste.category);
    free(c->categories);
    free(c->bought);
    free(c->inside);
    market_free(&c->m);
    free(c);
}

bool
market_calibrate(const shop_t *shop, const market_assumptions_t *a,
    const char *name, const char *out, json_t **result)
{
    bool            ok;
    calibration_t  *c = tool_alloc(sizeof(*c));

    memset(c, 0, sizeof(*c));
    snprintf(c->m.name, sizeof(c->m.name), "%s", name);
    c->m.a = *a;
    c->m.taste_strength = TASTE_STRENGTH;
    c->m.time_strength = TIME_STRENGTH;
    c->m.return_strength = RETURN_STRENGTH;
    *result = NULL;

    market_count(&c->m, shop);
    collect_rows(c);
    ok = estimate(c);

    if (ok) {
        set_base(c);
        *result = market_json(&c->m, source_json(&c->m), estimate_json(c));
        ok = *result != NULL && write_market(*result, out);
    }

    release(c);

    return ok;
}
