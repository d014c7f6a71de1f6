/*
 * format_cart_fixture.h - a model of the cart's, its format, and how its JSON
 * is looked at.
 */

#ifndef FORMAT_CART_FIXTURE_H
#define FORMAT_CART_FIXTURE_H

#include "format_fixture.h"

#include <math.h>

#define FEATURES                                                              \
    " \"features\": ["                                                        \
    "  {\"name\": \"cart_total\", \"type\": \"number\","                      \
    "   \"from\": [\"request\"], \"default\": 0},"                            \
    "  {\"name\": \"device_type\", \"type\": \"category\","                   \
    "   \"from\": [\"request\"]}],"                                           \
    " \"actions\": [{\"id\": \"low_price\"}, {\"id\": \"popular\"}],"         \
    " \"policy\": {\"type\": \"uniform\", \"slate\": 1}"

#define PLAIN  "{\"model\": \"cart\", \"version\": \"1.0.0\"," FEATURES "}"
#define ITEMS  "{\"model\": \"cart\", \"version\": \"1.0.0\"," FEATURES ","   \
    " \"items\": {\"slate\": 2, \"strategies\": {"                            \
    "   \"popular\": [{\"list\": \"popular\"}]}}}"

static const reco_format_t  *cart = &reco_format_cart;
static reco_model_t         *model;

static inline int
setup(void **state)
{
    (void) state;
    model = model_of(PLAIN);
    reward_model = model;
    return 0;
}

static inline int
teardown(void **state)
{
    (void) state;
    reco_model_free(model);
    free(body_copy);
    return 0;
}

static inline const char *
text_of(const json_t *root, const char *a, const char *b)
{
    const json_t  *v = json_object_get(root, a);

    v = (b != NULL) ? json_object_get(v, b) : v;

    return json_is_string(v) ? json_string_value(v) : "(no string)";
}

static inline double
number_of(const json_t *root, const char *a, const char *b)
{
    const json_t  *v = json_object_get(root, a);

    v = (b != NULL) ? json_object_get(v, b) : v;

    return json_is_number(v) ? json_number_value(v) : NAN;
}

#endif /* FORMAT_CART_FIXTURE_H */
