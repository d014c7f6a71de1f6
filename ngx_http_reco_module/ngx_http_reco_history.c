/*
 * ngx_http_reco_history.c - recent decisions of models whose spec keeps a
 * history, in the shared memory of reco_zone (layout: ngx_http_reco_zone.h): a
 * ring of slots, of which each decision takes the next. No lock: a slot has a
 * sequence number, and a reader drops what changed while it was read.
 */

#include "ngx_http_reco_zone.h"


static ngx_int_t ngx_http_reco_history_read(ngx_http_reco_recent_t *slot,
    uint64_t model, u_char *data, size_t *len);
static reco_history_t *ngx_http_reco_history_copy(ngx_pool_t *pool,
    u_char *data, size_t len);


static ngx_inline ngx_http_reco_recent_t *
ngx_http_reco_history_slot(ngx_http_reco_zone_t *zone, uint64_t ticket)
{
    ngx_http_reco_recent_t  *ring;

    ring = (ngx_http_reco_recent_t *) ((u_char *) zone + zone->history_at);

    return &ring[ticket % zone->nhistory];
}


void
ngx_http_reco_history_add(ngx_http_reco_model_t *model,
    const reco_history_t *h)
{
    uint64_t                 seq;
    ngx_http_reco_zone_t    *zone;
    ngx_http_reco_recent_t  *slot;

    zone = ngx_http_reco_zone();

    if (zone == NULL) {
        return;
    }

    slot = ngx_http_reco_history_slot(zone,
                               ngx_atomic_fetch_add(&zone->history_head, 1));
    seq = slot->seq;

    /* odd: another worker writes it still, a ring later, or was killed */

    if ((seq & 1) || !ngx_atomic_cmp_set(&slot->seq, seq, seq + 1)) {
        return;
    }

    ngx_http_reco_release();

    slot->model = model->last_seed;
    slot->len = reco_history_pack(h, slot->data, sizeof(slot->data));

    ngx_http_reco_release();

    slot->seq = seq + 2;
}


ngx_int_t
ngx_http_reco_history_find(ngx_pool_t *pool, ngx_http_reco_model_t *model,
    const reco_history_query_t *query, const reco_history_t **found,
    ngx_uint_t max)
{
    size_t                   len;
    u_char                   data[sizeof(ngx_http_reco_recent_t)];
    uint64_t                 head;
    ngx_uint_t               i, n;
    reco_history_t           h;
    ngx_http_reco_zone_t    *zone;

    zone = ngx_http_reco_zone();

    if (zone == NULL) {
        return 0;
    }

    head = zone->history_head;
    n = 0;

    for (i = 0; i < ngx_min(head, zone->nhistory) && n < max; i++) {

        if (ngx_http_reco_history_read(
                              ngx_http_reco_history_slot(zone, head - 1 - i),
                              model->last_seed, data, &len)
            != NGX_OK
            || !reco_history_unpack(data, len, &h)
            || !reco_history_matches(query, &h))
        {
            continue;
        }

        found[n] = ngx_http_reco_history_copy(pool, data, len);
        if (found[n] == NULL) {
            return NGX_ERROR;
        }

        n++;
    }

    return n;
}


/* What is in the slot, whole, where it is the model's. */

static ngx_int_t
ngx_http_reco_history_read(ngx_http_reco_recent_t *slot, uint64_t model,
    u_char *data, size_t *len)
{
    uint64_t  seq, owner, n;

    seq = slot->seq;
    ngx_http_reco_acquire();

    /* each read once: a writer may change them between check and use */

    owner = *(volatile uint64_t *) &slot->model;
    n = *(volatile uint64_t *) &slot->len;

    if (seq == 0 || (seq & 1) || owner != model || n > sizeof(slot->data)) {
        return NGX_DECLINED;
    }

    ngx_memcpy(data, slot->data, n);
    ngx_http_reco_acquire();

    *len = n;

    return slot->seq == seq ? NGX_OK : NGX_DECLINED;
}


static reco_history_t *
ngx_http_reco_history_copy(ngx_pool_t *pool, u_char *data, size_t len)
{
    u_char          *p;
    reco_history_t  *h;

    h = ngx_palloc(pool, sizeof(reco_history_t));
    p = ngx_pnalloc(pool, len);

    if (h == NULL || p == NULL) {
        return NULL;
    }

    ngx_memcpy(p, data, len);

    return reco_history_unpack(p, len, h) ? h : NULL;
}
