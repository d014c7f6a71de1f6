/*
 * market_file.c - a market as a JSON file with its hash: XXH3-128 of the same
 * object without "hash", keys sorted, no white space, numbers with 17 digits.
 */

#include "market.h"

#include "reco_jansson.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

const char *const  market_feature_names[MARKET_NFEATURES] = {
    "category", "price_band", "copurchase", "popularity", "repeat"
};

/* The assumptions that are one number each. */
static const struct {
    const char  *name;
    size_t       offset;
    double       low, high;
} assumptions[] = {
#define ASSUMPTION(field, low, high) \
    { #field, offsetof(market_assumptions_t, field), low, high }
    ASSUMPTION(click_through, 1e-6, 0.999999),
    ASSUMPTION(shown_again, 0, 1),
    ASSUMPTION(cart_if_clicked, 0, 1),
    ASSUMPTION(purchase_if_cart, 0, 1),
    ASSUMPTION(go_on, 0, 1),
    ASSUMPTION(go_on_by_relevance, 0, 1),
    ASSUMPTION(go_on_if_clicked, 0, 1),
    ASSUMPTION(go_on_at_most, 0, 0.99),
    ASSUMPTION(step_seconds, 1, 1200),
    ASSUMPTION(idle_share, 0, 1),
    ASSUMPTION(return_if_clicked, -5, 5),
    ASSUMPTION(return_if_bought, -5, 5),
};

#define NASSUMPTIONS    (sizeof(assumptions) / sizeof(assumptions[0]))

void
market_assume(market_assumptions_t *a)
{
    uint32_t             i;
    static const double  attention[] = { 1, 0.8, 0.65, 0.55, 0.5 };

    *a = (market_assumptions_t) {
        .click_through = 0.05, .positions = 5, .shown_again = 0.5,
        .cart_if_clicked = 0.4, .purchase_if_cart = 0.6, .go_on = 0.5,
        .go_on_by_relevance = 0.5, .go_on_if_clicked = 0.15,
        .go_on_at_most = 0.95, .max_steps = 12, .step_seconds = 60,
        .idle_share = 0.5, .return_if_clicked = 0.1,
        .return_if_bought = 0.4, .max_returns = 3, .ndevices = 3,
        .devices = { { "desktop", 0.5 }, { "mobile", 0.4 },
                     { "tablet", 0.1 } },
    };

    for (i = 0; i < a->positions; i++) {
        a->attention[i] = attention[i];
    }
}

/* ---- hash --------------------------------------------------------------- */

static bool
hash_of(json_t *market, char hash[SHOP_SUM_TEXT])
{
    char                *text;
    size_t               i;
    json_t              *copy = json_copy(market);
    XXH128_canonical_t   canonical;

    json_object_del(copy, "hash");
    text = json_dumps(copy, JSON_COMPACT | JSON_SORT_KEYS
                            | JSON_REAL_PRECISION(17));
    json_decref(copy);

    if (text == NULL) {
        tool_error("out of memory");
        return false;
    }

    XXH128_canonicalFromHash(&canonical, XXH3_128bits(text, strlen(text)));
    for (i = 0; i < sizeof(canonical.digest); i++) {
        snprintf(hash + 2 * i, 3, "%02x", canonical.digest[i]);
    }
    free(text);

    return true;
}

/* ---- reading ------------------------------------------------------------ */

/* A finite number within bounds. False after a message. */
static bool
number(const json_t *from, const char *path, const char *name, double low,
    double high, double *out)
{
    const json_t  *v = json_object_get(from, name);

    if (!json_is_number(v) || !(json_number_value(v) >= low
                                && json_number_value(v) <= high))
    {
        tool_error("%s: '%s' must be a number from %g to %g", path, name, low,
                   high);
        return false;
    }

    *out = json_number_value(v);

    return true;
}

static bool
whole(const json_t *from, const char *path, const char *name, uint32_t low,
    uint32_t high, uint32_t *out)
{
    double  v = 0;

    if (!number(from, path, name, low, high, &v)) {
        return false;
    }

    if (v != floor(v)) {
        tool_error("%s: '%s' must be a whole number", path, name);
        return false;
    }

    *out = (uint32_t) v;

    return true;
}

static bool
text(const json_t *from, const char *path, const char *name, char *out,
    size_t size)
{
    const char  *v = json_string_value(json_object_get(from, name));

    if (v == NULL || strlen(v) >= size) {
        tool_error("%s: '%s' must be a text of less than %zu bytes", path,
                   name, size);
        return false;
    }

    strcpy(out, v);

    return true;
}

static bool
read_attention(market_assumptions_t *a, const json_t *from, const char *path)
{
    size_t         i;
    const json_t  *v, *list = json_object_get(from, "attention");

    a->positions = (uint32_t) json_array_size(list);

    for (i = 0; i < json_array_size(list) && i < MARKET_MAX_POSITIONS; i++) {
        v = json_array_get(list, i);
        a->attention[i] = json_number_value(v);
        if (!json_is_number(v) || !(a->attention[i] >= 0
                                    && a->attention[i] <= 1))
        {
            break;
        }
    }

    if (i == 0 || i < json_array_size(list)) {
        tool_error("%s: 'attention' must be 1 to %d numbers from 0 to 1",
                   path, MARKET_MAX_POSITIONS);
        return false;
    }

    return true;
}

static bool
read_devices(market_assumptions_t *a, json_t *from, const char *path)
{
    double       sum = 0;
    json_t      *v, *all = json_object_get(from, "devices");
    const char  *name;

    a->ndevices = 0;

    json_object_foreach(all, name, v) {
        if (a->ndevices == MARKET_MAX_DEVICES || strlen(name) > 31
            || !json_is_number(v) || !(json_number_value(v) >= 0))
        {
            sum = 2;
            break;
        }

        strcpy(a->devices[a->ndevices].name, name);
        a->devices[a->ndevices++].share = json_number_value(v);
        sum += json_number_value(v);
    }

    if (!json_is_object(all) || a->ndevices == 0 || fabs(sum - 1) > 1e-9) {
        tool_error("%s: 'devices' must be 1 to %d names with shares that sum "
                   "to 1", path, MARKET_MAX_DEVICES);
        return false;
    }

    return true;
}

static bool
read_assumptions(market_assumptions_t *a, json_t *from, const char *path)
{
    size_t  i;

    if (!json_is_object(from)) {
        tool_error("%s: 'assumptions' must be an object", path);
        return false;
    }

    for (i = 0; i < NASSUMPTIONS; i++) {
        if (!number(from, path, assumptions[i].name, assumptions[i].low,
                    assumptions[i].high, (double *) (void *) ((char *) a
                                         + assumptions[i].offset)))
        {
            return false;
        }
    }

    return whole(from, path, "max_steps", 1, 100, &a->max_steps)
           && whole(from, path, "max_returns", 0, 100, &a->max_returns)
           && read_attention(a, from, path) && read_devices(a, from, path);
}

static json_t *
load(const char *path)
{
    char          *content;
    size_t         len;
    json_t        *market;
    reco_error_t   err;
    reco_status_t  status;

    content = tool_read_file(path, &len);
    if (content == NULL) {
        return NULL;
    }

    status = reco_jansson_load((reco_str_t) { content, len }, &market, &err);
    free(content);

    if (status != RECO_OK) {
        tool_fail(path, &err);
        return NULL;
    }

    if (!json_is_object(market)) {
        tool_error("%s: a market is a JSON object", path);
        json_decref(market);
        return NULL;
    }

    return market;
}

static bool
check_hash(market_t *m, json_t *market, const char *path, bool unchecked)
{
    char         hash[SHOP_SUM_TEXT];
    const char  *given = json_string_value(json_object_get(market, "hash"));

    if (!hash_of(market, hash)) {
        return false;
    }

    memcpy(m->hash, hash, sizeof(hash));

    if (unchecked || (given && strcmp(given, hash) == 0)) {
        return true;
    }

    tool_error("%s: its hash says %s, its content %s: the market was changed "
               "(--market-unchecked takes it as it is)", path,
               given ? given : "nothing", hash);

    return false;
}

static bool
read_response(market_t *m, json_t *market, const char *path)
{
    uint32_t  i;
    json_t   *tastes = json_object_get(market, "tastes"),
             *response = json_object_get(market, "response"),
             *c = json_object_get(response, "coefficients");

    for (i = 0; i < MARKET_NFEATURES; i++) {
        if (!number(c, path, market_feature_names[i], -1e3, 1e3,
                    &m->coefficient[i]))
        {
            return false;
        }
    }

    return number(response, path, "base", -1e3, 1e3, &m->base)
           && number(tastes, path, "taste_strength", 1e-3, 1e6,
                     &m->taste_strength)
           && number(tastes, path, "time_strength", 1e-3, 1e6,
                     &m->time_strength)
           && number(tastes, path, "return_strength", 1e-3, 1e6,
                     &m->return_strength);
}

bool
market_read(market_t *m, const char *path, bool unchecked)
{
    bool     ok;
    json_t  *market = load(path);

    memset(m, 0, sizeof(*m));
    if (market == NULL) {
        return false;
    }

    ok = check_hash(m, market, path, unchecked)
         && text(market, path, "market", m->name, sizeof(m->name))
         && text(json_object_get(market, "source"), path, "hash", m->shop_sum,
                 sizeof(m->shop_sum))
         && read_response(m, market, path)
         && read_assumptions(&m->a, json_object_get(market, "assumptions"),
                             path);
    json_decref(market);

    return ok;
}

bool
market_open(market_t *m, const shop_t *shop, const char *path, bool unchecked)
{
    if (!unchecked && strcmp(m->shop_sum, shop->sum) != 0) {
        tool_error("%s: the market was calibrated on other baskets or items "
                   "(%s, these are %s)", path, m->shop_sum, shop->sum);
        return false;
    }

    market_count(m, shop);

    return true;
}

bool
market_assume_from(market_assumptions_t *a, const char *path)
{
    bool     ok;
    json_t  *market = load(path);

    ok = market && read_assumptions(a, json_object_get(market, "assumptions"),
                                    path);
    json_decref(market);

    return ok;
}

/* ---- writing ------------------------------------------------------------ */

static json_t *
assumptions_json(const market_assumptions_t *a)
{
    size_t    i;
    json_t   *out = json_object(), *list = json_array(), *o = json_object();

    for (i = 0; i < NASSUMPTIONS; i++) {
        json_object_set_new(out, assumptions[i].name,
            json_real(*(const double *) (const void *)
                      ((const char *) a + assumptions[i].offset)));
    }

    for (i = 0; i < a->positions; i++) {
        json_array_append_new(list, json_real(a->attention[i]));
    }

    for (i = 0; i < a->ndevices; i++) {
        json_object_set_new(o, a->devices[i].name,
                            json_real(a->devices[i].share));
    }

    json_object_set_new(out, "attention", list);
    json_object_set_new(out, "devices", o);
    json_object_set_new(out, "max_steps", json_integer(a->max_steps));
    json_object_set_new(out, "max_returns", json_integer(a->max_returns));

    return out;
}

json_t *
market_json(const market_t *m, json_t *source, json_t *estimate)
{
    char      hash[SHOP_SUM_TEXT];
    json_t   *out, *c = json_object();
    uint32_t  i;

    for (i = 0; i < MARKET_NFEATURES; i++) {
        json_object_set_new(c, market_feature_names[i],
                            json_real(m->coefficient[i]));
    }

    out = json_pack("{s:s, s:o, s:{s:f, s:f, s:f, s:f}, s:{s:o, s:f, s:o}, "
                    "s:o}",
        "market", m->name, "source", source,
        "tastes", "taste_strength", m->taste_strength,
            "time_strength", m->time_strength,
            "return_strength", m->return_strength,
            "return_rate", m->return_rate,
        "response", "coefficients", c, "base", m->base,
            "estimate", estimate,
        "assumptions", assumptions_json(&m->a));

    if (out == NULL || !hash_of(out, hash)) {
        json_decref(out);
        return NULL;
    }

    json_object_set_new(out, "hash", json_string(hash));

    return out;
}
