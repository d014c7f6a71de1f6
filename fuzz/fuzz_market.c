/*
 * fuzz_market.c - markets that people changed by hand: refused with one line,
 * or read; what is written of one reads the same, with the hash it has.
 */

#include <math.h>

#include "fuzz_file.h"
#include "market.h"

static fuzz_file_t  file;

static bool
read_market(market_t *m, const void *text, size_t size, bool unchecked)
{
    bool         ok;
    fuzz_said_t  said;

    fuzz_listen(&said);
    ok = market_read(m, fuzz_file(&file, text, size), unchecked);
    FUZZ_ASSERT(fuzz_heard(&said) == (ok ? 0 : 1));

    return ok;
}

static void
check_market(const market_t *m)
{
    double    shares = 0;
    uint32_t  i;

    FUZZ_ASSERT(isfinite(m->base) && m->taste_strength > 0
                && m->time_strength > 0 && m->return_strength > 0);
    FUZZ_ASSERT(m->a.click_through > 0 && m->a.click_through < 1);
    FUZZ_ASSERT(m->a.go_on_at_most < 1 && m->a.step_seconds >= 1);
    FUZZ_ASSERT(m->a.max_steps >= 1 && m->a.max_steps <= 100);
    FUZZ_ASSERT(m->a.positions >= 1
                && m->a.positions <= MARKET_MAX_POSITIONS);
    FUZZ_ASSERT(m->a.ndevices >= 1 && m->a.ndevices <= MARKET_MAX_DEVICES);

    for (i = 0; i < m->a.positions; i++) {
        FUZZ_ASSERT(m->a.attention[i] >= 0 && m->a.attention[i] <= 1);
    }

    for (i = 0; i < m->a.ndevices; i++) {
        FUZZ_ASSERT(m->a.devices[i].share >= 0);
        shares += m->a.devices[i].share;
    }

    FUZZ_ASSERT(fabs(shares - 1) < 1e-6);

    for (i = 0; i < MARKET_NFEATURES; i++) {
        FUZZ_ASSERT(isfinite(m->coefficient[i]));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char      *text;
    json_t    *json;
    market_t   m, back;

    if (!read_market(&m, data, size, true)) {
        FUZZ_ASSERT(!read_market(&m, data, size, false));
        return 0;
    }

    check_market(&m);

    json = market_json(&m, json_pack("{s:s}", "hash", m.shop_sum),
                       json_object());
    FUZZ_ASSERT(json != NULL);
    text = json_dumps(json, JSON_REAL_PRECISION(17));
    FUZZ_ASSERT(text != NULL);
    json_decref(json);

    /* its hash is looked at this time */
    FUZZ_ASSERT(read_market(&back, text, strlen(text), false));
    memcpy(m.hash, back.hash, sizeof(m.hash));
    FUZZ_ASSERT(memcmp(&m.coefficient, &back.coefficient,
                       sizeof(m.coefficient)) == 0);
    FUZZ_ASSERT(m.base == back.base && strcmp(m.name, back.name) == 0
                && strcmp(m.shop_sum, back.shop_sum) == 0);
    FUZZ_ASSERT(memcmp(&m.a, &back.a, sizeof(m.a)) == 0);
    free(text);

    return 0;
}
