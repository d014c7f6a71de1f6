/*
 * format_native_fixture.h - a model for the native format.
 */

#ifndef FORMAT_NATIVE_FIXTURE_H
#define FORMAT_NATIVE_FIXTURE_H

#include "format_fixture.h"

/* Weights are by action, 1 : 3 : 4 : 2, the first two of four slots drawn. */
#define SPEC                                                                  \
    "{\"model\": \"shop\", \"version\": \"1.2\","                             \
    " \"features\": ["                                                        \
    "  {\"name\": \"age\", \"type\": \"number\", \"from\": [\"request\"],"    \
    "   \"bins\": [30, 60]},"                                                 \
    "  {\"name\": \"device\", \"type\": \"category\","                        \
    "   \"from\": [\"request\"],"                                             \
    "   \"default\": \"desktop\"},"                                           \
    "  {\"name\": \"gender\", \"type\": \"category\","                        \
    "   \"from\": [\"request\"],"                                             \
    "   \"codes\": {\"M\": 0, \"F\": 1}},"                                    \
    "  {\"name\": \"country\", \"type\": \"category\","                       \
    "   \"from\": [\"geo.country\"]}],"                                       \
    " \"actions\": [{\"id\": \"A\", \"name\": \"First\"}, {\"id\": \"B\"},"   \
    "  {\"id\": \"C\"}, {\"id\": \"D\"}, {\"id\": \"E\", \"active\": false}],"\
    " \"rules\": [{\"when\": {\"device\": \"phone\"}, \"deny\": [\"A\"]},"    \
    "  {\"when\": {\"age\": {\">\": 65}}, \"deny\": [\"C\"]}],"               \
    " \"policy\": {\"type\": \"weights\", \"slate\": 2,"                      \
    "  \"weights\": {\"A\": 1, \"B\": 3, \"C\": 4, \"D\": 2, \"E\": 1}}}"

static const reco_format_t  *native = &reco_format_native;
static reco_model_t         *model;

static inline int
setup(void **state)
{
    (void) state;
    model = model_of(SPEC);
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

static inline void
parse_ok(const char *body, const char *args)
{
    if (parse_decide(native, model, body, args) != RECO_OK) {
        fail_msg("%s: %s: %s", body != NULL ? body : args, err.field,
                 err.message);
    }
}

#endif /* FORMAT_NATIVE_FIXTURE_H */
