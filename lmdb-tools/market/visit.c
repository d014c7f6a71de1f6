/*
 * visit.c - a shopper's session. The formulas are in docs/SIMULATOR.md.
 */

#include "visit.h"

#include <math.h>
#include <string.h>

#define MS_PER_HOUR     ((uint64_t) 3600 * 1000)
#define MS_PER_DAY      (24 * MS_PER_HOUR)
#define MAX_BEGUN       10          /* lines of the basket that are in the cart
                                       when the first decision is made */
#define MAX_STEP        1200.0      /* seconds */

/* The questions. */
enum { ASK_BASKET = 1, ASK_BEGUN, ASK_CLICK, ASK_CART, ASK_PURCHASE,
       ASK_SECONDS, ASK_GO_ON, ASK_RETURN, ASK_DAY, ASK_HOUR, ASK_MOMENT };

static double
ask(const visit_t *v, uint64_t question, uint64_t item)
{
    return market_uniform(v->seed, v->number, v->session, v->step, question,
                          item);
}

static uint32_t
ask_whole(const visit_t *v, uint64_t question, uint32_t n)
{
    return (uint32_t) (ask(v, question, 0) * n);
}

/* ---- the cart ----------------------------------------------------------- */

static bool
in_cart(const visit_t *v, uint32_t item)
{
    uint32_t  i;

    for (i = 0; i < v->ncart && v->cart[i] != item; i++) {
        /* void */
    }

    return i < v->ncart;
}

static void
put(visit_t *v, uint32_t item, double amount)
{
    if (v->ncart < RECO_MAX_CART && !in_cart(v, item)) {
        v->cart[v->ncart++] = item;
        v->cart_total += amount;
    }
}

/* The next line of what the shopper came for. */
static void
take_line(visit_t *v)
{
    const shop_line_t  *line;

    if (v->taken < v->basket->n) {
        line = &v->m->shop->lines[v->basket->first + v->taken++];
        put(v, line->item, line->price * line->quantity);
    }
}

void
visit_begin(visit_t *v, const market_t *m, const market_shopper_t *s,
    uint64_t seed, uint32_t number, uint32_t session, uint64_t time_ms)
{
    uint32_t  i, most, begun;

    memset(v, 0, sizeof(*v));
    v->m = m;
    v->shopper = s;
    v->seed = seed;
    v->number = number;
    v->session = session;
    v->started_ms = v->time_ms = time_ms;
    v->step = 1;
    v->basket_number = ask_whole(v, ASK_BASKET, s->customer->n);
    v->basket = &m->shop->baskets[s->customer->first + v->basket_number];

    most = (v->basket->n + 1) / 2;
    begun = 1 + ask_whole(v, ASK_BEGUN, most < MAX_BEGUN ? most : MAX_BEGUN);
    for (i = 0; i < begun; i++) {
        take_line(v);
    }
}

bool
visit_number(const visit_t *v, const char *name, double *number)
{
    if (strcmp(name, "cart_total") == 0) {
        *number = round(v->cart_total * 100) / 100;
    } else if (strcmp(name, "item_count") == 0) {
        *number = v->ncart;
    } else if (strcmp(name, "time_in_session") == 0) {
        *number = (double) ((v->time_ms - v->started_ms) / 1000);
    } else {
        return false;
    }

    return true;
}

const char *
visit_word(const visit_t *v, const char *name)
{
    double                    sum = 0;
    uint32_t                  i;
    static const char *const  bands[SHOP_BANDS] = { "low", "medium", "high" };

    if (strcmp(name, "device_type") == 0) {
        return v->shopper->device;
    }

    if (strcmp(name, "price_band") != 0 || v->ncart == 0) {
        return NULL;
    }

    for (i = 0; i < v->ncart; i++) {
        sum += v->m->shop->items[v->cart[i]].price;
    }

    return bands[shop_band(sum / v->ncart)];
}

/* ---- the answer --------------------------------------------------------- */

static uint32_t
times_shown(const visit_t *v, uint32_t item)
{
    uint32_t  i, times = 0;

    for (i = 0; i < v->nshown; i++) {
        times += v->shown[i] == item;
    }

    return times;
}

void
visit_judge(const visit_t *v, const uint32_t *items, uint32_t n,
    visit_answer_t *out)
{
    double           x[MARKET_NFEATURES], wanted, none = 1;
    uint32_t         i, times;
    const market_t  *m = v->m;

    memset(out, 0, sizeof(*out));
    out->n = n;

    for (i = 0; i < n; i++) {
        market_features(m, &v->shopper->taste, items[i],
                        market_copurchase(m, items[i], v->cart, v->ncart,
                                          NULL),
                        market_bought_before(v->shopper, items[i],
                                             v->basket_number), x);
        wanted = 1 / (1 + exp(-(m->base + market_relevance(m, x))));

        for (times = times_shown(v, items[i]); times > 0; times--) {
            wanted *= m->a.shown_again;
        }

        out->probability[i] = market_attention(m, i) * wanted;
        none *= 1 - out->probability[i];
    }

    out->any = 1 - none;
}

void
visit_expect(const visit_t *v, const uint32_t *items,
    const visit_answer_t *judged, visit_facts_t *out)
{
    double                       p, no_cart = 1, no_purchase = 1;
    uint32_t                     i;
    const market_assumptions_t  *a = &v->m->a;

    memset(out, 0, sizeof(*out));

    for (i = 0; i < judged->n; i++) {
        p = judged->probability[i];
        out->click += p;
        p *= a->cart_if_clicked;
        out->add_to_cart += p;
        no_cart *= 1 - p;
        p *= a->purchase_if_cart;
        out->conversion += p;
        no_purchase *= 1 - p;
        out->revenue += p * v->m->shop->items[items[i]].price;
    }

    out->any_click = judged->any;
    out->any_cart = 1 - no_cart;
    out->any_conversion = 1 - no_purchase;
    out->idle = (1 - judged->any) * a->idle_share * a->step_seconds / 60;
}

static void
draw_item(visit_t *v, uint32_t item, uint32_t i, visit_answer_t *out)
{
    double  price = v->m->shop->items[item].price;

    out->clicked[i] = ask(v, ASK_CLICK, item) < out->probability[i];
    out->carted[i] = out->clicked[i]
                     && ask(v, ASK_CART, item) < v->m->a.cart_if_clicked;
    out->bought[i] = out->carted[i]
                     && ask(v, ASK_PURCHASE, item)
                        < v->m->a.purchase_if_cart;

    out->clicks += out->clicked[i];
    out->carts += out->carted[i];
    out->purchases += out->bought[i];
    out->revenue += out->bought[i] ? price : 0;

    if (v->nshown < VISIT_MAX_SHOWN) {
        v->shown[v->nshown++] = item;
    }
}

void
visit_answer(visit_t *v, const uint32_t *items, uint32_t n,
    visit_answer_t *out)
{
    uint32_t  i;

    visit_judge(v, items, n, out);

    for (i = 0; i < n; i++) {
        draw_item(v, items[i], i, out);
    }

    for (i = 0; i < n; i++) {
        if (out->carted[i]) {
            put(v, items[i], v->m->shop->items[items[i]].price);
        }
    }

    out->seconds = -v->m->a.step_seconds * log1p(-ask(v, ASK_SECONDS, 0));
    out->seconds = out->seconds < 1 ? 1
                   : out->seconds > MAX_STEP ? MAX_STEP : out->seconds;
    out->seconds = floor(out->seconds * 1000) / 1000;
    out->idle = out->clicks ? 0
                : floor(v->m->a.idle_share * out->seconds / 60 * 1000) / 1000;
    v->clicked = v->clicked || out->clicks > 0;
    v->bought = v->bought || out->purchases > 0;
}

void
visit_facts(const visit_answer_t *a, visit_facts_t *out)
{
    *out = (visit_facts_t) {
        .click = a->clicks, .add_to_cart = a->carts,
        .conversion = a->purchases, .revenue = a->revenue, .idle = a->idle,
        .any_click = a->clicks > 0, .any_cart = a->carts > 0,
        .any_conversion = a->purchases > 0,
    };
}

/* ---- what follows ------------------------------------------------------- */

double
visit_goes_on(const visit_t *v, double any, bool clicked)
{
    const market_assumptions_t  *a = &v->m->a;
    double                       p = a->go_on + a->go_on_by_relevance * any
                                     + (clicked ? a->go_on_if_clicked : 0);

    if (v->step >= a->max_steps) {
        return 0;
    }

    return p < a->go_on_at_most ? p : a->go_on_at_most;
}

bool
visit_go_on(visit_t *v, const visit_answer_t *a)
{
    if (ask(v, ASK_GO_ON, 0) >= visit_goes_on(v, a->any, a->clicks > 0)) {
        return false;
    }

    v->time_ms += (uint64_t) (a->seconds * 1000);
    v->step++;
    take_line(v);

    return true;
}

static uint32_t
by_cumulative(const double *cumulative, uint32_t n, double u)
{
    uint32_t  i;

    for (i = 0; i + 1 < n && u >= cumulative[i]; i++) {
        /* void */
    }

    return i;
}

uint64_t
visit_time(const visit_t *v, uint64_t time_ms, uint32_t first, uint32_t days)
{
    double    sum = 0, u, share[7];
    uint64_t  day = time_ms / MS_PER_DAY + first;
    uint32_t  i, weekday, hour;

    for (i = 0; i < days; i++) {
        weekday = (uint32_t) ((day + i + 4) % 7);
        share[i] = v->shopper->weekdays[weekday]
                   - (weekday ? v->shopper->weekdays[weekday - 1] : 0);
        sum += share[i];
    }

    u = ask(v, ASK_DAY, first) * sum;
    for (i = 0; i + 1 < days && u >= share[i]; i++) {
        u -= share[i];
    }

    hour = by_cumulative(v->shopper->hours, 24, ask(v, ASK_HOUR, first));

    return (day + i) * MS_PER_DAY + hour * MS_PER_HOUR
           + (uint64_t) (ask(v, ASK_MOMENT, first) * MS_PER_HOUR);
}

uint64_t
visit_return(const visit_t *v, const visit_answer_t *last)
{
    double  rate = v->shopper->return_rate, odds;

    odds = log(rate / (1 - rate))
           + (v->clicked ? v->m->a.return_if_clicked : 0)
           + (v->bought ? v->m->a.return_if_bought : 0);

    if (market_uniform(v->seed, v->number, v->session, 0, ASK_RETURN, 0)
        >= 1 / (1 + exp(-odds)))
    {
        return 0;
    }

    /* not on the same day, so that it is another session; on the sixth day at
     * the latest, so that it is within seven */
    return visit_time(v, v->time_ms + (uint64_t) (last->seconds * 1000), 1,
                      6);
}
