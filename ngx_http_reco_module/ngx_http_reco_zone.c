/*
 * ngx_http_reco_zone.c - shared memory: counters, labels, latency, served
 * generations (layout: ngx_http_reco_zone.h; last decisions and verified files
 * are in ngx_http_reco_last.c and ngx_http_reco_verified.c).
 *
 * Everything here works without a reco_zone too: nothing is counted, nothing
 * is known.
 */

#include "ngx_http_reco_zone.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <openssl/rand.h>


#if (NGX_PTR_SIZE != 8)
#error "reco needs a 64-bit platform"
#endif


static ngx_int_t ngx_http_reco_zone_create(ngx_shm_zone_t *shm_zone);
static void ngx_http_reco_zone_look_back(ngx_http_reco_zone_t *zone,
    ngx_http_reco_main_conf_t *mcf, ngx_uint_t fresh);
static void ngx_http_reco_zone_beside(ngx_http_reco_zone_t *zone,
    ngx_http_reco_main_conf_t *mcf);
static void ngx_http_reco_zone_room(ngx_http_reco_zone_t *zone,
    ngx_http_reco_main_conf_t *mcf);
static void ngx_http_reco_zone_recount(ngx_http_reco_zone_t *zone,
    ngx_http_reco_room_t *room, const reco_retain_t *want);
static ngx_uint_t ngx_http_reco_folder_has_segments(ngx_str_t *path);
static uint64_t ngx_http_reco_hash(ngx_http_reco_zone_t *zone,
    reco_str_t first, reco_str_t second);
static ngx_http_reco_label_t *ngx_http_reco_label(ngx_http_reco_zone_t *zone,
    ngx_http_reco_label_t *labels, ngx_uint_t n, reco_str_t model,
    reco_str_t text, ngx_atomic_t *others);
static void ngx_http_reco_fact_labels(ngx_http_reco_zone_t *zone,
    const reco_model_t *core);


/*
 * shm_zone->data is the ngx_http_reco_main_conf_t of the configuration that is
 * being read; the zone takes its place.
 */

ngx_int_t
ngx_http_reco_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_reco_zone_t       *zone;
    ngx_http_reco_main_conf_t  *mcf;

    mcf = shm_zone->data;

    if (data == NULL && !shm_zone->shm.exists) {

        if (ngx_http_reco_zone_create(shm_zone) != NGX_OK) {
            return NGX_ERROR;
        }

        ngx_http_reco_zone_look_back(shm_zone->data, mcf, 1);
        ngx_http_reco_zone_room(shm_zone->data, mcf);
        ngx_http_reco_zone_beside(shm_zone->data, mcf);

        return NGX_OK;
    }

    zone = data ? data : ((ngx_slab_pool_t *) shm_zone->shm.addr)->data;

    if (zone->magic != NGX_HTTP_RECO_ZONE_MAGIC
        || zone->layout != NGX_HTTP_RECO_ZONE_LAYOUT
        || zone->size != sizeof(ngx_http_reco_zone_t))
    {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "reco: zone \"%V\" was laid out by another version of "
                      "the module, restart nginx", &shm_zone->shm.name);
        return NGX_ERROR;
    }

    shm_zone->data = zone;

    ngx_http_reco_zone_look_back(zone, mcf, 0);
    ngx_http_reco_zone_room(zone, mcf);

    return NGX_OK;
}


static ngx_int_t
ngx_http_reco_zone_create(ngx_shm_zone_t *shm_zone)
{
    size_t                 size, least, sets;
    ngx_slab_pool_t       *shpool;
    ngx_http_reco_zone_t  *zone;

    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    size = shpool->pfree * ngx_pagesize;

    /* the share of the history is one of all */

    least = sizeof(ngx_http_reco_zone_t)
            * NGX_HTTP_RECO_HISTORY_SHARE / (NGX_HTTP_RECO_HISTORY_SHARE - 1)
            + 1;

    zone = (size < least) ? NULL : ngx_slab_calloc(shpool, size);

    if (zone == NULL) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "reco: zone \"%V\" is too small, it needs %uzk",
                      &shm_zone->shm.name,
                      (least + (shm_zone->shm.size - size) + 1023) / 1024);
        return NGX_ERROR;
    }

    if (RAND_bytes((u_char *) &zone->seed, sizeof(zone->seed)) != 1) {
        zone->seed = ((uint64_t) ngx_random() << 32) ^ ngx_random();
    }

    zone->magic = NGX_HTTP_RECO_ZONE_MAGIC;
    zone->layout = NGX_HTTP_RECO_ZONE_LAYOUT;
    zone->size = sizeof(ngx_http_reco_zone_t);

    zone->nhistory = ngx_min(size / NGX_HTTP_RECO_HISTORY_SHARE
                             / sizeof(ngx_http_reco_recent_t),
                             NGX_HTTP_RECO_HISTORY_MAX);

    sets = size - offsetof(ngx_http_reco_zone_t, sets)
           - zone->nhistory * sizeof(ngx_http_reco_recent_t);

    zone->nsets = sets / sizeof(ngx_http_reco_set_t);
    zone->history_at = offsetof(ngx_http_reco_zone_t, sets)
                       + zone->nsets * sizeof(ngx_http_reco_set_t);

    shpool->data = zone;
    shm_zone->data = zone;

    return NGX_OK;
}


/*
 * "Never had a decision" can be said only where the log began with the zone: a
 * folder that holds segments already, or the mark that it held some, has
 * customers that the zone does not know. Decided here, in the master, before
 * any worker of this configuration writes; again when a reload names another
 * folder.
 */

static void
ngx_http_reco_zone_look_back(ngx_http_reco_zone_t *zone,
    ngx_http_reco_main_conf_t *mcf, ngx_uint_t fresh)
{
    uint64_t   hash;
    ngx_str_t  none = ngx_null_string, *path;

    path = mcf ? &mcf->log.path : &none;
    hash = XXH3_64bits(path->data, path->len);

    if (!fresh && hash == zone->log_path) {
        return;
    }

    zone->log_path = hash;
    zone->mark = path->len ? ngx_http_reco_zone_mark_size(path) : 0;

    if (path->len == 0 || ngx_http_reco_folder_has_segments(path)) {
        zone->has_past = 1;
    }
}


/*
 * Of a new zone: workers of another one may still decide, of an old master (a
 * binary upgrade) or of the configuration before (a reload with another size).
 * Neither zone sees the other's decisions.
 */

static void
ngx_http_reco_zone_beside(ngx_http_reco_zone_t *zone,
    ngx_http_reco_main_conf_t *mcf)
{
    if (ngx_inherited || !ngx_is_init_cycle(ngx_cycle)) {
        zone->has_past = 1;

        if (mcf) {
            mcf->beside = 1;
        }
    }
}


uint64_t
ngx_http_reco_zone_mark_size(ngx_str_t *folder)
{
    u_char           path[NGX_MAX_PATH];
    ngx_file_info_t  fi;

    (void) ngx_sprintf(path, "%V/" RECO_LOG_MARK "%Z", folder);

    if (ngx_file_info(path, &fi) != NGX_FILE_ERROR) {
        return ngx_file_size(&fi);
    }

    return (ngx_errno == NGX_ENOENT) ? 0 : UINT64_MAX;
}


/*
 * The room of the log's folder and node, in the master too. A new one begins
 * with what is there, before any worker writes; that a folder cannot be read is
 * told by the workers. More folders than there are rooms, in one master's life:
 * the one that was named first is not written any more.
 */

static void
ngx_http_reco_zone_room(ngx_http_reco_zone_t *zone,
    ngx_http_reco_main_conf_t *mcf)
{
    uint64_t               hash;
    ngx_uint_t             i;
    reco_error_t           error;
    reco_retain_t          want;
    reco_retained_t        left;
    ngx_http_reco_room_t  *room;

    if (mcf == NULL || mcf->log.path.len == 0) {
        return;
    }

    ngx_memzero(&want, sizeof(want));
    want.dir = (char *) mcf->log.path.data;
    want.node.data = (char *) mcf->node.data;
    want.node.len = mcf->node.len;

    hash = ngx_http_reco_hash(zone, want.node,
                              (reco_str_t) { want.dir, mcf->log.path.len })
           | 1;

    for (i = 0; i < NGX_HTTP_RECO_ROOMS; i++) {
        if (zone->rooms[i].hash == hash) {
            mcf->log.room = &zone->rooms[i];
            ngx_http_reco_zone_recount(zone, &zone->rooms[i], &want);
            return;
        }
    }

    room = &zone->rooms[zone->nrooms++ % NGX_HTTP_RECO_ROOMS];

    (void) reco_segment_retain(&want, &left, &error);

    ngx_memzero(room, sizeof(ngx_http_reco_room_t));
    room->hash = hash;
    room->bytes = left.bytes;

    mcf->log.room = room;
}


/* Not when the zone is initialized: a configuration whose sockets cannot be
 * opened is refused later than that, and the workers there are go on. */

void
ngx_http_reco_zone_accept(ngx_http_reco_main_conf_t *mcf)
{
    ngx_http_reco_room_t  *room;

    room = mcf->log.room;

    if (room) {
        room->max = mcf->log.drop ? 0 : (ngx_atomic_uint_t) mcf->log.max;

        /* since when, by what the configuration before was to keep */
        room->over_since = 0;
        room->barred_since = 0;
    }
}


/* Nobody may have looked for long, because the configuration before had no max
 * or another folder. Where the mark is held, somebody looks just now; where
 * there is none, it is not for the master to make it. */

static void
ngx_http_reco_zone_recount(ngx_http_reco_zone_t *zone,
    ngx_http_reco_room_t *room, const reco_retain_t *want)
{
    int              lock;
    reco_error_t     error;
    reco_retained_t  left;

    if (reco_segment_lock(want->dir, 0, 0, &lock, &error) == RECO_OK) {
        (void) ngx_http_reco_room_look(room, zone->writing, want, &left,
                                       &error);
        (void) close(lock);
    }
}


/* A folder that cannot be read may hold anything. */

static ngx_uint_t
ngx_http_reco_folder_has_segments(ngx_str_t *path)
{
    ngx_dir_t   dir;
    ngx_uint_t  found;

    if (ngx_open_dir(path, &dir) == NGX_ERROR) {
        return ngx_errno != NGX_ENOENT;
    }

    found = 0;

    while (!found && ngx_read_dir(&dir) == NGX_OK) {
        found = ngx_strcmp(ngx_de_name(&dir), RECO_LOG_MARK) == 0
                || (ngx_strncmp(ngx_de_name(&dir), "reco-", 5) == 0
                    && ngx_strstr(ngx_de_name(&dir), ".ndjson") != NULL);
    }

    (void) ngx_close_dir(&dir);

    return found;
}


void
ngx_http_reco_count(ngx_http_reco_counter_e counter)
{
    ngx_http_reco_count_n(counter, 1);
}


void
ngx_http_reco_count_n(ngx_http_reco_counter_e counter, ngx_atomic_uint_t n)
{
    ngx_http_reco_zone_t  *zone;

    zone = ngx_http_reco_zone();

    if (zone) {
        (void) ngx_atomic_fetch_add(&zone->counters[counter], n);
    }
}


uint32_t
ngx_http_reco_action_label(ngx_http_reco_model_t *model, reco_str_t action)
{
    reco_str_t              name;
    ngx_http_reco_zone_t   *zone;
    ngx_http_reco_label_t  *label;

    zone = ngx_http_reco_zone();

    if (zone == NULL) {
        return 0;
    }

    name.data = (char *) model->name.data;
    name.len = model->name.len;

    label = ngx_http_reco_label(zone, zone->actions,
                                NGX_HTTP_RECO_ACTION_LABELS, name, action,
                                NULL);

    return label - zone->actions;
}


void
ngx_http_reco_count_action(uint32_t label)
{
    ngx_http_reco_zone_t  *zone;

    zone = ngx_http_reco_zone();

    if (zone && label < NGX_HTTP_RECO_ACTION_LABELS) {
        (void) ngx_atomic_fetch_add(&zone->actions[label].count, 1);
    }
}


void
ngx_http_reco_count_fact(reco_str_t kind)
{
    ngx_http_reco_zone_t   *zone;
    ngx_http_reco_label_t  *label;

    zone = ngx_http_reco_zone();

    if (zone) {
        label = ngx_http_reco_label(zone, zone->kinds,
                                    NGX_HTTP_RECO_KIND_LABELS, RECO_STR(""),
                                    kind, &zone->client_kinds);
        (void) ngx_atomic_fetch_add(&label->count, 1);
    }
}


/* Actions that share the label of what had no room are left out. */

ngx_int_t
ngx_http_reco_zone_actions(ngx_pool_t *pool, ngx_http_reco_model_t *model,
    const reco_model_t *core, reco_count_t **counts, uint32_t *n)
{
    uint32_t               i, *labels;
    ngx_http_reco_zone_t  *zone;

    *n = 0;
    *counts = NULL;

    zone = ngx_http_reco_zone();
    labels = model->snapshot ? model->action_labels : model->fallback_labels;

    if (zone == NULL || labels == NULL) {
        return NGX_OK;
    }

    *counts = ngx_palloc(pool, (core->catalogue.n + 1)
                               * sizeof(reco_count_t));
    if (*counts == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < core->catalogue.n; i++) {
        if (labels[i]) {
            (*counts)[*n].name = core->catalogue.actions[i].id;
            (*counts)[*n].count = zone->actions[labels[i]].count;
            (*n)++;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_reco_zone_facts(ngx_pool_t *pool, reco_count_t **counts, uint32_t *n)
{
    ngx_uint_t              i;
    ngx_http_reco_zone_t   *zone;
    ngx_http_reco_label_t  *label;

    *n = 0;
    *counts = NULL;

    zone = ngx_http_reco_zone();

    if (zone == NULL) {
        return NGX_OK;
    }

    *counts = ngx_palloc(pool, NGX_HTTP_RECO_KIND_LABELS
                               * sizeof(reco_count_t));
    if (*counts == NULL) {
        return NGX_ERROR;
    }

    for (i = 1; i < NGX_HTTP_RECO_KIND_LABELS; i++) {
        label = &zone->kinds[i];

        if (ngx_http_reco_label_ready(label)) {
            (*counts)[*n].name.data = (char *) label->text;
            (*counts)[*n].name.len = label->text_len;
            (*counts)[*n].count = label->count;
            (*n)++;
        }
    }

    return NGX_OK;
}


/* The label of (model, text), claimed where it is new; labels[0] ("other")
 * where all are taken. 'others' counts the labels claimed with it, which are
 * not to be more than half of them (but for what workers claim at once); NULL:
 * no limit. */

static ngx_http_reco_label_t *
ngx_http_reco_label(ngx_http_reco_zone_t *zone, ngx_http_reco_label_t *labels,
    ngx_uint_t n, reco_str_t model, reco_str_t text, ngx_atomic_t *others)
{
    uint64_t                hash;
    ngx_uint_t              i, at;
    ngx_http_reco_label_t  *label;

    if (model.len > RECO_MAX_ID || text.len > RECO_MAX_ID) {
        return labels;
    }

    /* one series may not come twice */

    if (reco_str_equal(text, RECO_STR("other"))
        && (model.len == 0 || reco_str_equal(model, RECO_STR("other"))))
    {
        return labels;
    }

    hash = ngx_http_reco_hash(zone, model, text);
    at = hash % (n - 1);

    for (i = 0; i < n - 1; i++) {
        label = &labels[1 + (at + i) % (n - 1)];

        if (label->hash == 0) {
            if (others && *others >= (n - 1) / 2) {
                return labels;
            }

            if (ngx_atomic_cmp_set(&label->hash, 0, hash) && others) {
                (void) ngx_atomic_fetch_add(others, 1);
            }
        }

        if (label->hash != hash) {
            continue;
        }

        if (!ngx_http_reco_label_ready(label)) {
            label->model_len = model.len;
            label->text_len = text.len;
            ngx_memcpy(label->model, model.data, model.len);
            ngx_memcpy(label->text, text.data, text.len);
            ngx_memory_barrier();
            label->ready = 1;
        }

        return label;
    }

    return labels;
}


void
ngx_http_reco_latency(uint64_t nsec)
{
    ngx_uint_t             i;
    ngx_http_reco_zone_t  *zone;

#define X(bound, text)  bound,
    static const uint64_t  bounds[] = { NGX_HTTP_RECO_BUCKETS(X) };
#undef X

    zone = ngx_http_reco_zone();

    if (zone == NULL) {
        return;
    }

    for (i = 0; i < NGX_HTTP_RECO_NBUCKETS && nsec > bounds[i]; i++) {
        /* void */
    }

    (void) ngx_atomic_fetch_add(&zone->latency[i], 1);
    (void) ngx_atomic_fetch_add(&zone->latency_ns, nsec);
}


/* Each word is whole by itself; that a reader sees the two of different
 * generations for a moment is no harm to a metric. */

void
ngx_http_reco_zone_generation(ngx_http_reco_model_t *model,
    uint64_t generation, uint64_t published_ms)
{
    uint64_t                     hash;
    ngx_uint_t                   i;
    reco_str_t                   name;
    ngx_http_reco_zone_t        *zone;
    ngx_http_reco_generation_t  *served;

    zone = ngx_http_reco_zone();

    if (zone == NULL) {
        return;
    }

    name.data = (char *) model->name.data;
    name.len = model->name.len;
    hash = ngx_http_reco_hash(zone, name, RECO_STR(""));

    if (model->snapshot) {
        ngx_http_reco_fact_labels(zone, reco_snapshot_model(model->snapshot));
    }

    for (i = 0; i < NGX_HTTP_RECO_MODEL_LABELS; i++) {
        served = &zone->served[i];

        if (served->hash == 0) {
            (void) ngx_atomic_cmp_set(&served->hash, 0, hash);
        }

        if (served->hash == hash) {
            served->published_ms = published_ms;
            served->generation = generation;
            return;
        }
    }
}


/* The kinds of fact that a model rewards have labels, whatever kinds clients
 * make up. */

static void
ngx_http_reco_fact_labels(ngx_http_reco_zone_t *zone, const reco_model_t *core)
{
    uint32_t  i;

    for (i = 0; i < core->reward.nterms; i++) {
        (void) ngx_http_reco_label(zone, zone->kinds,
                                   NGX_HTTP_RECO_KIND_LABELS, RECO_STR(""),
                                   core->reward.terms[i].fact, NULL);
    }
}


ngx_http_reco_generation_t *
ngx_http_reco_zone_served(ngx_http_reco_zone_t *zone, ngx_str_t *model)
{
    uint64_t    hash;
    ngx_uint_t  i;
    reco_str_t  name;

    name.data = (char *) model->data;
    name.len = model->len;
    hash = ngx_http_reco_hash(zone, name, RECO_STR(""));

    for (i = 0; i < NGX_HTTP_RECO_MODEL_LABELS; i++) {
        if (zone->served[i].hash == hash) {
            return &zone->served[i];
        }
    }

    return NULL;
}


/* Never 0, which means free. The seed keeps clients from choosing customers
 * that meet in one set. */

static uint64_t
ngx_http_reco_hash(ngx_http_reco_zone_t *zone, reco_str_t first,
    reco_str_t second)
{
    uint64_t  hash;

    hash = XXH3_64bits_withSeed(first.data, first.len, zone->seed);
    hash = XXH3_64bits_withSeed(second.data, second.len, hash);

    return hash ? hash : 1;
}
