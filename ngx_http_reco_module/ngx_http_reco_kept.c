/*
 * ngx_http_reco_kept.c - the manifest of what was taken up last of each model,
 * in the shared memory of reco_zone (layout: ngx_http_reco_zone.h): what a
 * worker that starts serves where it cannot use the present one.
 *
 * A sequence number that is odd while a worker writes, as in the history. But
 * this slot is the model's only one, so a writer leaves its pid, and the next
 * one writes over what a killed one has begun.
 */

#include "ngx_http_reco_zone.h"

#define XXH_INLINE_ALL
#include <xxhash.h>


static ngx_uint_t ngx_http_reco_kept_claim(ngx_http_reco_generation_t *slot);
static uint64_t ngx_http_reco_kept_folder(ngx_http_reco_zone_t *zone,
    ngx_http_reco_model_t *model);


void
ngx_http_reco_kept_set(ngx_http_reco_model_t *model,
    const reco_manifest_t *manifest, ngx_uint_t lower)
{
    uint64_t                     seq, folder;
    ngx_http_reco_zone_t        *zone;
    ngx_http_reco_generation_t  *slot;

    zone = ngx_http_reco_zone();

    /* one that ends may have another folder than those that start */

    if (zone == NULL || ngx_exiting) {
        return;
    }

    slot = ngx_http_reco_zone_served(zone, &model->name);

    if (slot == NULL || !ngx_http_reco_kept_claim(slot)) {
        return;
    }

    folder = ngx_http_reco_kept_folder(zone, model);
    seq = slot->seq;

    /* a slow worker may take up what the others have replaced already */

    if (lower || seq == 0 || (seq & 1) || slot->folder != folder
        || slot->kept.generation <= manifest->generation)
    {
        seq |= 1;
        slot->seq = seq;
        ngx_http_reco_release();

        slot->folder = folder;
        slot->kept = *manifest;

        ngx_http_reco_release();
        slot->seq = seq + 1;
    }

    ngx_http_reco_release();
    slot->writer = 0;
}


ngx_int_t
ngx_http_reco_kept_get(ngx_http_reco_model_t *model, reco_manifest_t *manifest)
{
    uint64_t                     seq, folder;
    ngx_http_reco_zone_t        *zone;
    ngx_http_reco_generation_t  *slot;

    zone = ngx_http_reco_zone();
    slot = zone ? ngx_http_reco_zone_served(zone, &model->name) : NULL;

    if (slot == NULL) {
        return NGX_DECLINED;
    }

    seq = slot->seq;
    ngx_http_reco_acquire();

    folder = slot->folder;
    *manifest = slot->kept;

    ngx_http_reco_acquire();

    /* what changed just now was taken up just now: the manifest is good */

    if (seq == 0 || (seq & 1) || slot->seq != seq
        || folder != ngx_http_reco_kept_folder(zone, model))
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/* 0: another worker writes at this moment, most likely the same. */

static ngx_uint_t
ngx_http_reco_kept_claim(ngx_http_reco_generation_t *slot)
{
    ngx_pid_t  writer;

    writer = slot->writer;

    if (writer && writer != ngx_pid
        && (kill(writer, 0) == 0 || ngx_errno != ESRCH))
    {
        return 0;
    }

    return ngx_atomic_cmp_set(&slot->writer, writer, ngx_pid);
}


/* Of one name another configuration may have another folder. */

static uint64_t
ngx_http_reco_kept_folder(ngx_http_reco_zone_t *zone,
    ngx_http_reco_model_t *model)
{
    return XXH3_64bits_withSeed(model->dir.data, model->dir.len, zone->seed);
}
