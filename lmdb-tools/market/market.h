/*
 * market.h - a simulated market: shoppers with tastes, and how they answer a
 * slate of items.
 *
 * What it holds comes from three places (docs/SIMULATOR.md): coefficients
 * estimated from the baskets of the part "market" of the customers
 * (market_calibrate.c); assumptions that no basket says anything about; and
 * each shopper's own baskets. The first two are in a JSON file with its hash,
 * so that it can be seen that a market was not changed along with the agents
 * that are measured in it.
 *
 * An item is wanted with the probability
 *     w = 1 / (1 + exp(-(base + sum of coefficient x feature)))
 * with the features below. Where the shopper has been shown it n times in this
 * session already, w is multiplied by shown_again^n.
 */

#ifndef RECO_MARKET_H
#define RECO_MARKET_H

#include "shop.h"

/* What wanting depends on, of a shopper (with tastes from baskets), a cart and
 * an item: */
typedef enum {
    MARKET_CATEGORY,        /* log of the category's share in the shopper's
                               lines over its share in all lines */
    MARKET_BAND,            /* the same of the price band */
    MARKET_COPURCHASE,      /* log(1 + 100 x the mean, over the cart's items,
                               of P(a basket with that item has this one)) */
    MARKET_POPULARITY,      /* log of the share of baskets that have it */
    MARKET_REPEAT,          /* 1 where the shopper bought it before */
    MARKET_NFEATURES
} market_feature_t;

/* Larger baskets say nothing about which items go together, and cost the
 * square of their size: they are not counted in pairs. */
#define MARKET_MAX_PAIRED       300

#define MARKET_MAX_POSITIONS    16
#define MARKET_MAX_DEVICES      8

/* Nothing in the data says what these are. Probabilities, if nothing else is
 * said. */
typedef struct {
    double    click_through;        /* that a slate of the five best sellers
                                       is clicked at all: sets 'base' */
    double    attention[MARKET_MAX_POSITIONS];  /* that the item in that place
                                       is looked at; the last one serves all
                                       places beyond */
    uint32_t  positions;
    double    shown_again;          /* factor, 0..1, of wanting for each time
                                       it was shown before in the session */
    double    cart_if_clicked;      /* that a clicked item is put in the cart */
    double    purchase_if_cart;     /* ... and that one is bought */
    double    go_on;                /* that the session goes on ... */
    double    go_on_by_relevance;   /* ... more by this x the probability that
                                       the slate would be clicked ... */
    double    go_on_if_clicked;     /* ... and by this where it was ... */
    double    go_on_at_most;        /* ... but not more than this */
    uint32_t  max_steps;            /* decisions in a session */
    double    step_seconds;         /* mean, exponential, from a decision to the
                                       next */
    double    idle_share;           /* of that time where nothing was clicked */
    double    return_if_clicked;    /* added to the log-odds of the shopper's
                                       rate of coming back within seven days */
    double    return_if_bought;
    uint32_t  max_returns;          /* one after the other */
    uint32_t  ndevices;
    struct {
        char    name[32];
        double  share;
    } devices[MARKET_MAX_DEVICES];  /* without any influence */
} market_assumptions_t;

typedef struct {
    char                  name[64];
    char                  hash[SHOP_SUM_TEXT];
    char                  shop_sum[SHOP_SUM_TEXT];  /* calibrated on */
    double                coefficient[MARKET_NFEATURES];
    double                base;
    double                taste_strength;   /* lines that the population's
                                               shares weigh in a shopper's */
    double                time_strength;    /* baskets; hours and weekdays */
    double                return_strength;  /* gaps */
    market_assumptions_t  a;

    /* From the shop: statistics of the baskets of the part "market". */
    const shop_t         *shop;
    uint32_t              nbaskets;
    uint32_t             *count;        /* by item: baskets that have it */
    double               *popularity;   /* by item: the feature */
    size_t               *row;          /* by item: its pairs are
                                           row[i] .. row[i + 1] - 1 ... */
    uint32_t             *pair_item;    /* ... rising */
    uint32_t             *pair_count;   /* baskets that have both */
    double               *category;     /* share of lines by category */
    double                band[SHOP_BANDS];
    double                hours[24], weekdays[7];   /* shares of baskets;
                                                       0 is Sunday */
    double                return_rate;
} market_t;

/* A shopper's tastes, as logs of ratios to the population's. */
typedef struct {
    double  *category;
    double   band[SHOP_BANDS];
} market_taste_t;

typedef struct {
    uint32_t  item;
    uint32_t  basket;               /* the first that had it, from 0 */
} market_bought_t;

typedef struct {
    const shop_customer_t *customer;
    market_taste_t         taste;
    double                 hours[24], weekdays[7];  /* cumulative */
    double                 return_rate;
    const char            *device;
    market_bought_t       *bought;  /* by item */
    uint32_t               nbought;
} market_shopper_t;

/* Reads a market's file. Its hash must be that of its content, unless
 * unchecked. False after a message. */
bool market_read(market_t *m, const char *path, bool unchecked);
/* Counts in the shop what the market needs of it; unless unchecked, the shop
 * must be the one that the market was calibrated on. The shop must outlive the
 * market. */
bool market_open(market_t *m, const shop_t *shop, const char *path,
    bool unchecked);
/* Only the counting, for calibration. */
void market_count(market_t *m, const shop_t *shop);
void market_free(market_t *m);

/* The market file's content of a market; with "hash". A new reference. */
json_t *market_json(const market_t *m, json_t *source, json_t *estimate);

/* The names of the features, in a market's file and in messages. */
extern const char *const  market_feature_names[MARKET_NFEATURES];

/* Estimates coefficients and base from the shop's part "market" and writes the
 * market's file (market_calibrate.c). False after a message. */
bool market_calibrate(const shop_t *shop, const market_assumptions_t *a,
    const char *name, const char *out, json_t **result);

/* The assumptions that `--calibrate` writes when it is given no others. */
void market_assume(market_assumptions_t *a);
/* Takes them from the "assumptions" of another market's file. */
bool market_assume_from(market_assumptions_t *a, const char *path);

/* ---- tastes ------------------------------------------------------------- */

/* Lines by category and by band: counts, to ratios. */
void market_taste(const market_t *m, const uint32_t *categories,
    const uint32_t bands[SHOP_BANDS], market_taste_t *out);

/* A shopper from all the baskets of a customer. */
void market_shopper(const market_t *m, const shop_customer_t *c,
    market_shopper_t *out);
void market_shopper_free(market_shopper_t *s);
/* Whether the item was in one of the shopper's baskets before that one. */
bool market_bought_before(const market_shopper_t *s, uint32_t item,
    uint32_t basket);

/* ---- wanting ------------------------------------------------------------ */

/* Mean of P(item | j) over the cart. With 'inside' (by item: whether it is in
 * the basket in question), as if that basket, which holds the cart, had not
 * been counted. */
double market_copurchase(const market_t *m, uint32_t item,
    const uint32_t *cart, uint32_t ncart, const uint8_t *inside);

void market_features(const market_t *m, const market_taste_t *taste,
    uint32_t item, double copurchase, bool bought,
    double x[MARKET_NFEATURES]);

/* The sum of coefficient x feature, without the base. */
double market_relevance(const market_t *m, const double x[MARKET_NFEATURES]);

static inline double
market_attention(const market_t *m, uint32_t position)
{
    return m->a.attention[position < m->a.positions ? position
                                                    : m->a.positions - 1];
}

/* A number from 0 to below 1 that depends on all of these and on nothing
 * else: the same question has the same answer whatever is recommended (common
 * random numbers). */
double market_uniform(uint64_t seed, uint64_t a, uint64_t b, uint64_t c,
    uint64_t question, uint64_t item);

#endif /* RECO_MARKET_H */
