/*
 * ngx_http_reco_last.c - which customers had a decision, in the shared memory
 * of reco_zone (layout: ngx_http_reco_zone.h): so that a reward for one who
 * never had any can be refused. A key is a hash of model and customer; its set
 * is fetched when the key is known and read when the decision was made.
 */

#include "ngx_http_reco_zone.h"

#define XXH_INLINE_ALL
#include <xxhash.h>


#define ngx_http_reco_last_state(sec, seq)                                    \
    (((uint64_t) (sec) << 24) | ((uint64_t) (seq) & 0xffffff))

#define ngx_http_reco_last_sec(s)    ((uint64_t) (s) >> 24)


static ngx_http_reco_set_t *ngx_http_reco_last_find_set(
    ngx_http_reco_zone_t *zone, uint64_t key);
static ngx_uint_t ngx_http_reco_last_is_alone(ngx_http_reco_zone_t *zone);
static ngx_int_t ngx_http_reco_last_choose(ngx_http_reco_set_t *set,
    uint64_t key, uint64_t *state);


uint64_t
ngx_http_reco_last_seed(ngx_http_reco_model_t *model)
{
    ngx_http_reco_zone_t  *zone;

    zone = ngx_http_reco_zone();

    return zone ? XXH3_64bits_withSeed(model->name.data, model->name.len,
                                       zone->seed)
                : 0;
}


/* The set will be read when the decision is made: by then it has come from
 * the memory. */

uint64_t
ngx_http_reco_last_key(ngx_http_reco_model_t *model, reco_str_t customer)
{
    uint64_t               key;
    ngx_http_reco_set_t   *set;
    ngx_http_reco_zone_t  *zone;

    zone = ngx_http_reco_zone();

    if (zone == NULL) {
        return 0;
    }

    key = XXH3_64bits_withSeed(customer.data, customer.len, model->last_seed);
    key = key ? key : 1;

    set = ngx_http_reco_last_find_set(zone, key);

    __builtin_prefetch(set->keys, 1);
    __builtin_prefetch((void *) set->states, 1);

    return key;
}


void
ngx_http_reco_last_set(uint64_t key, uint64_t time_ms)
{
    uint64_t               state, mine;
    ngx_int_t              n;
    ngx_uint_t             i;
    ngx_http_reco_set_t   *set;
    ngx_http_reco_zone_t  *zone;

    zone = ngx_http_reco_zone();

    if (zone == NULL || key == 0) {
        return;
    }

    set = ngx_http_reco_last_find_set(zone, key);

    for (i = 0; i < NGX_HTTP_RECO_WAYS; i++) {
        n = ngx_http_reco_last_choose(set, key, &state);

        if (n < 0) {
            break;
        }

        mine = ngx_http_reco_last_state(time_ms / 1000, state + 1);

        if (!ngx_atomic_cmp_set(&set->states[n], state, mine)) {
            continue;
        }

        /* The mark comes before the loss, and readers look at it last. */

        if (set->keys[n] != 0 && set->keys[n] != key) {
            set->evicted = 1;
            ngx_http_reco_count(NGX_HTTP_RECO_LAST_EVICTED);
        }

        ngx_http_reco_release();

        set->keys[n] = key;

        ngx_http_reco_release();

        set->states[n] = ngx_http_reco_last_state(time_ms / 1000, mine + 1);

        return;
    }

    /* every slot is being written, or was by workers that are no more */

    set->evicted = 1;
    ngx_http_reco_count(NGX_HTTP_RECO_LAST_EVICTED);
}


ngx_int_t
ngx_http_reco_last_known(uint64_t key)
{
    uint64_t               state, found;
    ngx_uint_t             i, unsure;
    ngx_http_reco_set_t   *set;
    ngx_http_reco_zone_t  *zone;

    zone = ngx_http_reco_zone();

    if (zone == NULL || key == 0) {
        return NGX_AGAIN;
    }

    set = ngx_http_reco_last_find_set(zone, key);
    unsure = 0;

    for (i = 0; i < NGX_HTTP_RECO_WAYS; i++) {
        state = set->states[i];
        ngx_http_reco_acquire();
        found = set->keys[i];
        ngx_http_reco_acquire();

        if ((state & 1) || set->states[i] != state) {
            unsure = 1;
            continue;
        }

        if (found == key) {
            return NGX_OK;
        }
    }

    ngx_http_reco_acquire();

    if (unsure || set->evicted || zone->has_past
        || !ngx_http_reco_last_is_alone(zone))
    {
        return NGX_AGAIN;
    }

    return NGX_DECLINED;
}


/* Workers of another zone leave their mark in the folder before they decide;
 * from then on this zone does not know every decision. */

static ngx_uint_t
ngx_http_reco_last_is_alone(ngx_http_reco_zone_t *zone)
{
    ngx_str_t  *folder;

    folder = &ngx_http_reco_worker.conf->log.path;

    if (folder->len && ngx_http_reco_zone_mark_size(folder) != zone->mark) {
        zone->has_past = 1;
        return 0;
    }

    return 1;
}


static ngx_http_reco_set_t *
ngx_http_reco_last_find_set(ngx_http_reco_zone_t *zone, uint64_t key)
{
    return &zone->sets[key % zone->nsets];
}


/* The slot for a decision, and its state: the customer's own, a free one, or
 * the one whose decision is oldest. -1 when all are being written. */

static ngx_int_t
ngx_http_reco_last_choose(ngx_http_reco_set_t *set, uint64_t key,
    uint64_t *state)
{
    uint64_t    found, s, sec, oldest;
    ngx_int_t   choice;
    ngx_uint_t  i;

    choice = -1;
    oldest = 0;

    for (i = 0; i < NGX_HTTP_RECO_WAYS; i++) {
        s = set->states[i];
        ngx_http_reco_acquire();
        found = *(volatile uint64_t *) &set->keys[i];

        if (s & 1) {
            continue;
        }

        if (found == key) {
            *state = s;
            return i;
        }

        sec = found ? ngx_http_reco_last_sec(s) : 0;

        if (choice < 0 || sec < oldest) {
            choice = i;
            oldest = sec;
            *state = s;
        }
    }

    return choice;
}
