/*
 * ngx_http_reco_verified.c - files that a worker has verified, or found bad, so
 * that the others need not read them too.
 */

#include "ngx_http_reco_zone.h"

#define XXH_INLINE_ALL
#include <xxhash.h>


#define NGX_HTTP_RECO_CLAIM_SECONDS  60

#define NGX_HTTP_RECO_CLAIMED        1
#define NGX_HTTP_RECO_GOOD           2
#define NGX_HTTP_RECO_BAD            3

#define ngx_http_reco_state(kind, pid, sec)                                   \
    (((uint64_t) (kind) << 62) | (((uint64_t) (pid) & 0x3fffff) << 40)        \
     | ((uint64_t) (sec) & 0xffffffffffULL))

#define ngx_http_reco_state_kind(s)  ((ngx_uint_t) ((uint64_t) (s) >> 62))
#define ngx_http_reco_state_pid(s)   ((ngx_pid_t) (((s) >> 40) & 0x3fffff))
#define ngx_http_reco_state_sec(s)   ((time_t) ((s) & 0xffffffffffULL))


static ngx_http_reco_verified_t *ngx_http_reco_verified_slot(
    ngx_http_reco_zone_t *zone, uint64_t hash);
static ngx_uint_t ngx_http_reco_claim_is_stale(uint64_t state);


void
ngx_http_reco_identify(const ngx_file_info_t *fi, ngx_http_reco_identity_t *id)
{
    ngx_memzero(id, sizeof(ngx_http_reco_identity_t));

    id->dev = fi->st_dev;
    id->ino = fi->st_ino;
    id->size = fi->st_size;
    id->mtime_ns = (uint64_t) fi->st_mtim.tv_sec * 1000000000
                   + fi->st_mtim.tv_nsec;
    id->ctime_ns = (uint64_t) fi->st_ctim.tv_sec * 1000000000
                   + fi->st_ctim.tv_nsec;
}


ngx_int_t
ngx_http_reco_verified_claim(const ngx_http_reco_identity_t *id)
{
    uint64_t                   hash, state, mine;
    ngx_uint_t                 i;
    ngx_http_reco_zone_t      *zone;
    ngx_http_reco_verified_t  *slot;

    zone = ngx_http_reco_zone();

    if (zone == NULL) {
        return NGX_AGAIN;
    }

    hash = XXH3_64bits_withSeed(id, sizeof(*id), zone->seed) | 1;
    mine = ngx_http_reco_state(NGX_HTTP_RECO_CLAIMED, ngx_pid,
                               ngx_time() + NGX_HTTP_RECO_CLAIM_SECONDS);

    /* A slot may be given to another file between two steps: then anew. */

    for (i = 0; i < 16; i++) {
        slot = ngx_http_reco_verified_slot(zone, hash);

        if (slot == NULL) {
            return NGX_AGAIN;
        }

        state = slot->state;
        ngx_memory_barrier();

        if (slot->hash != hash) {
            continue;
        }

        switch (ngx_http_reco_state_kind(state)) {

        case NGX_HTTP_RECO_GOOD:
            return NGX_OK;

        case NGX_HTTP_RECO_BAD:
            return NGX_ERROR;

        case NGX_HTTP_RECO_CLAIMED:
            if (!ngx_http_reco_claim_is_stale(state)) {
                return NGX_BUSY;
            }
        }

        if (ngx_atomic_cmp_set(&slot->state, state, mine)) {
            return NGX_AGAIN;
        }
    }

    return NGX_BUSY;
}


void
ngx_http_reco_verified_done(const ngx_http_reco_identity_t *id,
    ngx_uint_t good)
{
    uint64_t                   hash;
    ngx_http_reco_zone_t      *zone;
    ngx_http_reco_verified_t  *slot;

    zone = ngx_http_reco_zone();

    if (zone == NULL) {
        return;
    }

    hash = XXH3_64bits_withSeed(id, sizeof(*id), zone->seed) | 1;
    slot = ngx_http_reco_verified_slot(zone, hash);

    if (slot) {
        slot->state = ngx_http_reco_state(good ? NGX_HTTP_RECO_GOOD
                                               : NGX_HTTP_RECO_BAD,
                                          0, ngx_time());
    }
}


/* The file's slot: found, taken from the free ones, or from the file whose
 * verdict is oldest. NULL when all are claimed. */

static ngx_http_reco_verified_t *
ngx_http_reco_verified_slot(ngx_http_reco_zone_t *zone, uint64_t hash)
{
    uint64_t                   state, oldest_state;
    ngx_uint_t                 i;
    ngx_http_reco_verified_t  *slot, *oldest;

    oldest = NULL;
    oldest_state = 0;

    for (i = 0; i < NGX_HTTP_RECO_IDENTITIES; i++) {
        slot = &zone->verified[i];

        if (slot->hash == 0) {
            (void) ngx_atomic_cmp_set(&slot->hash, 0, hash);
        }

        if (slot->hash == hash) {
            return slot;
        }

        state = slot->state;

        if (ngx_http_reco_state_kind(state) == NGX_HTTP_RECO_CLAIMED
            && !ngx_http_reco_claim_is_stale(state))
        {
            continue;
        }

        if (oldest == NULL
            || ngx_http_reco_state_sec(state)
               < ngx_http_reco_state_sec(oldest_state))
        {
            oldest = slot;
            oldest_state = state;
        }
    }

    /* Emptied by the swap, then named anew: whoever reads the old name and
     * the new state reads "not verified" at worst. */

    if (oldest && ngx_atomic_cmp_set(&oldest->state, oldest_state, 0)) {
        oldest->hash = hash;
    }

    return oldest;
}


static ngx_uint_t
ngx_http_reco_claim_is_stale(uint64_t state)
{
    ngx_pid_t  pid;

    pid = ngx_http_reco_state_pid(state);

    if (pid == ngx_pid || ngx_time() > ngx_http_reco_state_sec(state)) {
        return 1;
    }

    return kill(pid, 0) == -1 && ngx_errno == ESRCH;
}
