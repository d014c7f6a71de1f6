/*
 * visit.h - one shopper's session in a simulated market, step by step:
 *
 *   visit_begin()     which session, when, with what in the cart
 *   ... a recommender is asked: visit_feature() says what it is told ...
 *   visit_answer()    what the shopper does with the items
 *   visit_go_on()     the next step, or the end: false
 *   visit_return()    the time of a return within seven days, or 0
 *
 * All chance comes from market_uniform() of the seed, the shopper's number,
 * the session, the step, the question and the item: what is asked twice is
 * answered alike, whatever was recommended in between.
 */

#ifndef RECO_VISIT_H
#define RECO_VISIT_H

#include "market.h"

#define VISIT_MAX_SHOWN     256

typedef struct {
    const market_t          *m;
    const market_shopper_t  *shopper;
    uint64_t                 seed;
    uint32_t                 number;        /* of the shopper in the shop */
    uint32_t                 session;       /* of the shopper, returns too */
    uint64_t                 started_ms, time_ms;
    uint32_t                 step;          /* from 1 */
    const shop_basket_t     *basket;        /* what the shopper came for ... */
    uint32_t                 basket_number; /* ... which of theirs it is ... */
    uint32_t                 taken;         /* ... lines of it in the cart */
    uint32_t                 cart[RECO_MAX_CART];
    uint32_t                 ncart;
    double                   cart_total;
    uint32_t                 shown[VISIT_MAX_SHOWN];
    uint32_t                 nshown;
    bool                     clicked, bought;   /* in this session */
} visit_t;

/* What the shopper does with a slate. */
typedef struct {
    uint32_t  n;
    double    probability[RECO_MAX_SLATE];  /* of a click on each item */
    bool      clicked[RECO_MAX_SLATE];
    bool      carted[RECO_MAX_SLATE];
    bool      bought[RECO_MAX_SLATE];
    uint32_t  clicks, carts, purchases;
    double    revenue;
    double    any;                          /* probability of any click */
    double    seconds;                      /* to the next step or the end */
    double    idle;                         /* of these, in minutes */
} visit_answer_t;

/* Sums of the facts of a decision, or their expectations. */
typedef struct {
    double  click, add_to_cart, conversion, revenue, idle;
    double  any_click, any_cart, any_conversion;    /* 0 or 1; probabilities */
} visit_facts_t;

void visit_begin(visit_t *v, const market_t *m, const market_shopper_t *s,
    uint64_t seed, uint32_t number, uint32_t session, uint64_t time_ms);

/* What a request says under that name: cart_total, item_count,
 * time_in_session (seconds), device_type, price_band (of the cart's mean
 * price: low, medium, high). MISSING for other names. */
bool visit_number(const visit_t *v, const char *name, double *number);
const char *visit_word(const visit_t *v, const char *name);

/* Only the probabilities: what is known before anything is drawn. */
void visit_judge(const visit_t *v, const uint32_t *items, uint32_t n,
    visit_answer_t *out);
/* Expected facts of a judged slate. */
void visit_expect(const visit_t *v, const uint32_t *items,
    const visit_answer_t *judged, visit_facts_t *out);
double visit_goes_on(const visit_t *v, double any, bool clicked);

void visit_answer(visit_t *v, const uint32_t *items, uint32_t n,
    visit_answer_t *out);
void visit_facts(const visit_answer_t *a, visit_facts_t *out);
bool visit_go_on(visit_t *v, const visit_answer_t *a);
uint64_t visit_return(const visit_t *v, const visit_answer_t *last);

/* A time on one of the days first .. first + days - 1 after time_ms's, by the
 * shopper's weekdays and hours. */
uint64_t visit_time(const visit_t *v, uint64_t time_ms, uint32_t first,
    uint32_t days);

#endif /* RECO_VISIT_H */
