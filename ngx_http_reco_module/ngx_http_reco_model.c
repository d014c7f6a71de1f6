/*
 * ngx_http_reco_model.c - the snapshots that one worker serves.
 *
 * A timer looks at DIR/current.json. Where that has changed, the file it names
 * is opened, compared with the zone's verified identities, where need be
 * hashed in the thread pool, and only then mapped, all through one descriptor;
 * the new snapshot takes the place of the old one between two events. Whatever
 * goes wrong, the last good one stays, and a person is told once.
 *
 * A worker that starts hashes what nobody has verified yet before it accepts
 * connections; where it cannot use what the manifest names, it looks for the
 * last good one, too, which the zone knows. A watch lives from init_process to
 * exit_process.
 */

#include "ngx_http_reco_module.h"

#include <ngx_event.h>
#include <ngx_thread_pool.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#if !(NGX_THREADS)
#error "reco needs nginx built --with-threads"
#endif


#define NGX_HTTP_RECO_BUSY_WAIT  100


/* What is known of the manifest that was looked at last. */
typedef struct {
    ngx_http_reco_identity_t   seen;
    reco_manifest_t            manifest;       /* zeros: could not be read */
    ngx_uint_t                 final;          /* nothing more to do with it, it
                                                  is served or of no use */
    ngx_http_reco_identity_t   refused;        /* file not to be tried again */
    uint64_t                   complaint;      /* hash of the last one */
} ngx_http_reco_look_t;


typedef struct {
    /* What nginx's debug log takes a timer's data for: keep first. */
    ngx_connection_t           connection;

    ngx_http_reco_model_t     *model;
    ngx_log_t                 *log;
    reco_secret_t             *secret;
    ngx_thread_pool_t         *thread_pool;
    ngx_event_t                timer;

    ngx_http_reco_look_t       look;

    /* a worker that starts tells when it knows what it serves */
    ngx_uint_t                 starting;
    ngx_uint_t                 keeping;        /* what was taken up last */
    char                       told[sizeof(((reco_error_t *) 0)->message)];

    /* the file under way */
    ngx_fd_t                   fd;
    ngx_http_reco_identity_t   file;

    ngx_thread_task_t          task;           /* the thread's while active */
    reco_status_t              status;
    reco_error_t               error;
    uint64_t                   size;
    uint8_t                    checksum[RECO_CHECKSUM_BYTES];
} ngx_http_reco_watch_t;


static ngx_int_t ngx_http_reco_watch_create(ngx_cycle_t *cycle,
    ngx_http_reco_model_t *model);
static void ngx_http_reco_watch_timer(ngx_event_t *ev);
static ngx_int_t ngx_http_reco_watch_check(ngx_http_reco_watch_t *watch);
static void ngx_http_reco_watch_start(ngx_http_reco_watch_t *watch);
static void ngx_http_reco_watch_keep(ngx_http_reco_watch_t *watch);
static ngx_int_t ngx_http_reco_manifest(ngx_http_reco_watch_t *watch,
    reco_error_t *error);
static ngx_int_t ngx_http_reco_manifest_wanted(ngx_http_reco_watch_t *watch,
    reco_error_t *error);
static ngx_int_t ngx_http_reco_file_verify(ngx_http_reco_watch_t *watch);
static void ngx_http_reco_file_known_bad(ngx_http_reco_watch_t *watch);
static void ngx_http_reco_file_hash(void *data, ngx_log_t *unused);
static void ngx_http_reco_file_hashed(ngx_event_t *ev);
static void ngx_http_reco_file_close(ngx_http_reco_watch_t *watch);
static void ngx_http_reco_file_refuse(ngx_http_reco_watch_t *watch);
static void ngx_http_reco_snapshot_load(ngx_http_reco_watch_t *watch);
static void ngx_http_reco_snapshot_swap(ngx_http_reco_watch_t *watch,
    reco_snapshot_t *snapshot, uint32_t *labels);
static uint32_t *ngx_http_reco_labels(ngx_http_reco_model_t *model,
    const reco_model_t *core);
static void ngx_http_reco_complain(ngx_http_reco_watch_t *watch,
    const char *message);
static void ngx_http_reco_tell(ngx_http_reco_watch_t *watch,
    const char *message, const char *kept);


ngx_int_t
ngx_http_reco_model_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t              i;
    ngx_array_t            *models;
    ngx_http_reco_model_t  *model;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    models = &ngx_http_reco_worker.conf->models;
    model = models->elts;

    for (i = 0; i < models->nelts; i++) {
        if (ngx_http_reco_watch_create(cycle, &model[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


void
ngx_http_reco_model_exit_process(ngx_cycle_t *cycle)
{
    ngx_uint_t              i;
    ngx_array_t            *models;
    ngx_http_reco_model_t  *model;
    ngx_http_reco_watch_t  *watch;

    models = &ngx_http_reco_worker.conf->models;
    model = models->elts;

    /* the threads are no more: the thread pool's exit handler came first */

    for (i = 0; i < models->nelts; i++) {
        watch = model[i].watch;

        if (watch) {
            ngx_http_reco_file_close(watch);

            if (watch->timer.timer_set) {
                ngx_del_timer(&watch->timer);
            }

            free(watch);
            model[i].watch = NULL;
        }

        if (model[i].snapshot) {
            reco_snapshot_close(model[i].snapshot);
            model[i].snapshot = NULL;
        }

        free(model[i].action_labels);
        free(model[i].fallback_labels);

        model[i].action_labels = NULL;
        model[i].fallback_labels = NULL;
    }
}


static ngx_int_t
ngx_http_reco_watch_create(ngx_cycle_t *cycle, ngx_http_reco_model_t *model)
{
    ngx_http_reco_watch_t  *watch;

    model->fallback_labels = ngx_http_reco_labels(model, model->fallback);

    watch = calloc(1, sizeof(ngx_http_reco_watch_t));

    if (watch == NULL || model->fallback_labels == NULL) {
        free(watch);
        ngx_log_error(NGX_LOG_CRIT, cycle->log, 0,
                      "reco: model \"%V\" has no memory: it is not watched",
                      &model->name);
        return NGX_ERROR;
    }

    watch->connection.fd = (ngx_socket_t) -1;
    watch->model = model;
    watch->log = cycle->log;
    watch->secret = ngx_http_reco_worker.conf->secret;
    watch->thread_pool = ngx_http_reco_worker.conf->thread_pool;
    watch->fd = NGX_INVALID_FILE;

    watch->timer.handler = ngx_http_reco_watch_timer;
    watch->timer.data = watch;
    watch->timer.log = cycle->log;
    watch->timer.cancelable = 1;

    model->watch = watch;

    ngx_http_reco_watch_start(watch);

    ngx_add_timer(&watch->timer, model->check);

    return NGX_OK;
}


static void
ngx_http_reco_watch_timer(ngx_event_t *ev)
{
    ngx_int_t               rc;
    ngx_http_reco_watch_t  *watch;

    watch = ev->data;

    rc = ngx_http_reco_watch_check(watch);

    ngx_add_timer(ev, (rc == NGX_BUSY) ? NGX_HTTP_RECO_BUSY_WAIT
                                       : watch->model->check);
}


/* Before the worker accepts connections: nothing here goes to a thread. */

static void
ngx_http_reco_watch_start(ngx_http_reco_watch_t *watch)
{
    char                    current[sizeof(watch->told)];
    ngx_http_reco_look_t    look;
    ngx_http_reco_model_t  *model;

    model = watch->model;
    watch->starting = 1;

    (void) ngx_http_reco_watch_check(watch);

    if (model->snapshot == NULL) {
        ngx_memcpy(current, watch->told, sizeof(current));
        watch->told[0] = '\0';
        look = watch->look;

        ngx_http_reco_watch_keep(watch);

        /* as if it had been served when the manifest was looked at */

        watch->look = look;
        ngx_http_reco_tell(watch, current, watch->told);
    }

    watch->starting = 0;

    if (model->snapshot == NULL) {
        ngx_http_reco_zone_generation(model, 0, 0);
    }
}


/* What was taken up last, opened and verified like anything else; nothing where
 * that is what the manifest names. */

static void
ngx_http_reco_watch_keep(ngx_http_reco_watch_t *watch)
{
    reco_error_t      error;
    reco_manifest_t   kept, *current;

    current = &watch->look.manifest;

    if (ngx_http_reco_kept_get(watch->model, &kept) != NGX_OK
        || (kept.generation == current->generation
            && kept.size == current->size
            && ngx_memcmp(kept.checksum, current->checksum,
                          RECO_CHECKSUM_BYTES) == 0
            && ngx_strcmp(kept.file, current->file) == 0))
    {
        return;
    }

    ngx_memzero(&watch->look, sizeof(watch->look));
    watch->look.manifest = kept;

    watch->keeping = 1;

    if (ngx_http_reco_snapshot_file(&watch->model->dir, &kept, &watch->fd,
                                    &watch->file, &error)
        == NGX_OK)
    {
        (void) ngx_http_reco_file_verify(watch);

    } else {
        ngx_http_reco_complain(watch, error.message);
    }

    watch->keeping = 0;
}


/*
 * One look at the folder. NGX_BUSY: another worker is verifying the file.
 * Costs one stat() where nothing has changed.
 */

static ngx_int_t
ngx_http_reco_watch_check(ngx_http_reco_watch_t *watch)
{
    ngx_int_t     rc;
    reco_error_t  error;

    if (watch->task.event.active) {
        return NGX_OK;
    }

    rc = ngx_http_reco_manifest(watch, &error);

    if (rc == NGX_OK) {
        rc = ngx_http_reco_manifest_wanted(watch, &error);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_reco_snapshot_file(&watch->model->dir,
                                         &watch->look.manifest, &watch->fd,
                                         &watch->file, &error);
    }

    if (rc == NGX_ERROR) {
        ngx_http_reco_complain(watch, error.message);
        return NGX_OK;
    }

    if (rc == NGX_DECLINED) {
        return NGX_OK;
    }

    if (ngx_memcmp(&watch->file, &watch->look.refused, sizeof(watch->file))
        == 0)
    {
        ngx_http_reco_file_close(watch);
        return NGX_OK;
    }

    return ngx_http_reco_file_verify(watch);
}


/* NGX_OK: a manifest to look into. NGX_DECLINED: nothing new. */

static ngx_int_t
ngx_http_reco_manifest(ngx_http_reco_watch_t *watch, reco_error_t *error)
{
    u_char                     path[NGX_MAX_PATH];
    ngx_str_t                 *dir;
    ngx_file_info_t            fi;
    reco_status_t              status;
    ngx_http_reco_identity_t   id;

    dir = &watch->model->dir;

    if (dir->len + sizeof("/current.json") > NGX_MAX_PATH) {
        reco_error_set(error, RECO_LIMIT, "", "path is too long");
        return NGX_ERROR;
    }

    (void) ngx_sprintf(path, "%V/current.json%Z", dir);

    /* looked at before it is read: what comes after is seen the next time */

    if (ngx_file_info(path, &fi) == NGX_FILE_ERROR) {
        reco_error_set(error, RECO_NOT_FOUND, "", "cannot stat '%s': %s",
                       path, strerror(ngx_errno));
        ngx_memzero(&watch->look.seen, sizeof(watch->look.seen));
        return NGX_ERROR;
    }

    ngx_http_reco_identify(&fi, &id);

    if (ngx_memcmp(&id, &watch->look.seen, sizeof(id)) != 0) {
        watch->look.seen = id;
        watch->look.final = 0;
        watch->look.complaint = 0;
        ngx_memzero(&watch->look.refused, sizeof(watch->look.refused));
    }

    if (watch->look.final) {
        return NGX_DECLINED;
    }

    status = reco_manifest_read((char *) dir->data, &watch->look.manifest,
                                error);

    if (status != RECO_OK) {
        ngx_memzero(&watch->look.manifest, sizeof(watch->look.manifest));
        watch->look.final = (status != RECO_IO && status != RECO_NOT_FOUND
                        && status != RECO_NO_MEMORY);
        ngx_http_reco_error_of("current.json", error);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* NGX_DECLINED: it is served already. */

static ngx_int_t
ngx_http_reco_manifest_wanted(ngx_http_reco_watch_t *watch,
    reco_error_t *error)
{
    reco_manifest_t        *manifest;
    ngx_http_reco_model_t  *model;

    model = watch->model;
    manifest = &watch->look.manifest;

    if (model->snapshot && manifest->generation == model->generation) {
        watch->look.final = 1;
        return NGX_DECLINED;
    }

    if (model->snapshot && manifest->generation < model->generation) {
        watch->look.final = 1;
        reco_error_set(error, RECO_INVALID, "",
                       "generation %llu is below the served one, %llu",
                       (unsigned long long) manifest->generation,
                       (unsigned long long) model->generation);
        return NGX_ERROR;
    }

    if (ngx_strlen(manifest->model) != model->name.len
        || ngx_strncmp(manifest->model, model->name.data, model->name.len)
           != 0)
    {
        watch->look.final = 1;
        reco_error_set(error, RECO_INVALID, "",
                       "the manifest is of model '%s'", manifest->model);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* Ends with the descriptor closed, or a task under way that has it. */

static ngx_int_t
ngx_http_reco_file_verify(ngx_http_reco_watch_t *watch)
{
    ngx_int_t  rc;

    rc = ngx_http_reco_verified_claim(&watch->file);

    if (rc == NGX_OK) {
        ngx_http_reco_snapshot_load(watch);
        return NGX_OK;
    }

    if (rc == NGX_ERROR) {
        ngx_http_reco_file_known_bad(watch);
        return NGX_OK;
    }

    if (rc == NGX_BUSY && !watch->starting) {
        ngx_http_reco_file_close(watch);
        return NGX_BUSY;
    }

    watch->task.ctx = watch;
    watch->task.handler = ngx_http_reco_file_hash;
    watch->task.event.data = watch;
    watch->task.event.handler = ngx_http_reco_file_hashed;

    if (!watch->starting && watch->thread_pool
        && ngx_thread_task_post(watch->thread_pool, &watch->task) == NGX_OK)
    {
        return NGX_OK;
    }

    ngx_http_reco_file_hash(watch, watch->log);
    ngx_http_reco_file_hashed(&watch->task.event);

    return NGX_OK;
}


/* Who found it bad has said so; not what a worker that starts serves then. */

static void
ngx_http_reco_file_known_bad(ngx_http_reco_watch_t *watch)
{
    if (watch->starting) {
        reco_error_set(&watch->error, RECO_CORRUPT, "",
                       "'%s' was found bad by another worker",
                       watch->look.manifest.file);
        ngx_http_reco_complain(watch, watch->error.message);

    } else {
        ngx_log_error(NGX_LOG_INFO, watch->log, 0,
                      "reco: model \"%V\": '%s' was found bad by another "
                      "worker", &watch->model->name, watch->look.manifest.file);
    }

    ngx_http_reco_file_refuse(watch);
}


/* In a thread, unless the worker is only starting. */

static void
ngx_http_reco_file_hash(void *data, ngx_log_t *unused)
{
    ngx_http_reco_watch_t *watch = data;

    watch->status = reco_checksum_fd(watch->fd, &watch->size, watch->checksum,
                                     &watch->error);
}


static void
ngx_http_reco_file_hashed(ngx_event_t *ev)
{
    ngx_file_info_t            fi;
    ngx_http_reco_watch_t     *watch;
    ngx_http_reco_identity_t   now;

    watch = ev->data;

    if (watch->status == RECO_OK
        && ngx_fd_info(watch->fd, &fi) != NGX_FILE_ERROR)
    {
        ngx_http_reco_identify(&fi, &now);
        ngx_memcpy(now.checksum, watch->file.checksum, RECO_CHECKSUM_BYTES);

        if (ngx_memcmp(&now, &watch->file, sizeof(now)) != 0) {
            watch->status = RECO_IO;
            reco_error_set(&watch->error, RECO_IO, "",
                           "'%s' changed while it was read",
                           watch->look.manifest.file);
        }
    }

    if (watch->status != RECO_OK) {
        /* says nothing of the file; the claim ends by itself */
        ngx_http_reco_complain(watch, watch->error.message);
        ngx_http_reco_file_close(watch);
        return;
    }

    if (watch->size != watch->look.manifest.size
        || ngx_memcmp(watch->checksum, watch->look.manifest.checksum,
                      RECO_CHECKSUM_BYTES)
           != 0)
    {
        ngx_http_reco_verified_done(&watch->file, 0);

        reco_error_set(&watch->error, RECO_CORRUPT, "",
                       "'%s' does not have its manifest's checksum",
                       watch->look.manifest.file);
        ngx_http_reco_complain(watch, watch->error.message);
        ngx_http_reco_file_refuse(watch);
        return;
    }

    ngx_http_reco_verified_done(&watch->file, 1);
    ngx_http_reco_snapshot_load(watch);
}


static void
ngx_http_reco_file_close(ngx_http_reco_watch_t *watch)
{
    if (watch->fd != NGX_INVALID_FILE) {
        (void) ngx_close_file(watch->fd);
        watch->fd = NGX_INVALID_FILE;
    }
}


/* This file, as it is, is not tried again; another one of that name may be. */

static void
ngx_http_reco_file_refuse(ngx_http_reco_watch_t *watch)
{
    watch->look.refused = watch->file;
    ngx_http_reco_file_close(watch);
}


static void
ngx_http_reco_snapshot_load(ngx_http_reco_watch_t *watch)
{
    uint32_t         *labels;
    reco_error_t      error;
    reco_status_t     status;
    reco_snapshot_t  *snapshot;

    status = ngx_http_reco_snapshot_open(&watch->model->name,
                                         &watch->look.manifest, watch->fd,
                                         watch->secret, &snapshot, &error);

    if (status != RECO_OK) {
        ngx_http_reco_complain(watch, error.message);

        if (status == RECO_IO || status == RECO_NO_MEMORY) {
            ngx_http_reco_file_close(watch);

        } else {
            ngx_http_reco_file_refuse(watch);
        }

        return;
    }

    ngx_http_reco_file_close(watch);

    labels = ngx_http_reco_labels(watch->model, reco_snapshot_model(snapshot));

    if (labels == NULL) {
        reco_snapshot_close(snapshot);
        ngx_http_reco_complain(watch, "out of memory");
        return;
    }

    ngx_http_reco_snapshot_swap(watch, snapshot, labels);
}


/* Nobody keeps values of a snapshot beyond an event, and this is one of its
 * own: the old one can go at once. */

static void
ngx_http_reco_snapshot_swap(ngx_http_reco_watch_t *watch,
    reco_snapshot_t *snapshot, uint32_t *labels)
{
    reco_snapshot_t             *old;
    const reco_model_t          *core;
    ngx_http_reco_model_t       *model;
    const reco_snapshot_info_t  *info;

    model = watch->model;
    core = reco_snapshot_model(snapshot);
    info = reco_snapshot_info(snapshot);

    old = model->snapshot;
    free(model->action_labels);

    model->snapshot = snapshot;
    model->generation = info->generation;
    model->published_ms = watch->look.manifest.published_ms;
    model->snapshot_bytes = watch->look.manifest.size;
    model->action_labels = labels;

    if (old) {
        reco_snapshot_close(old);
    }

    watch->look.final = 1;
    watch->look.complaint = 0;
    ngx_memzero(&watch->look.refused, sizeof(watch->look.refused));

    ngx_http_reco_zone_generation(model, info->generation,
                                  watch->look.manifest.published_ms);

    if (!watch->keeping) {
        ngx_http_reco_kept_set(model, &watch->look.manifest, watch->starting);
    }

    ngx_http_reco_count(NGX_HTTP_RECO_SNAPSHOT_SWAPS);

    ngx_log_error(NGX_LOG_INFO, watch->log, 0,
                  "reco: model \"%V\" serves generation %uL (version %*s, "
                  "%uD actions, %uL customers)", &model->name,
                  info->generation, core->version.len, core->version.data,
                  core->catalogue.n, info->customers);

    ngx_http_reco_check_names(model, core, info->generation, watch->log);
}


static uint32_t *
ngx_http_reco_labels(ngx_http_reco_model_t *model, const reco_model_t *core)
{
    uint32_t  *labels, i;

    labels = malloc((core->catalogue.n + 1) * sizeof(uint32_t));

    if (labels == NULL) {
        return NULL;
    }

    for (i = 0; i < core->catalogue.n; i++) {
        labels[i] = ngx_http_reco_action_label(model,
                                               core->catalogue.actions[i].id);
    }

    return labels;
}


/* Once for each manifest and message, not once a tick. */

static void
ngx_http_reco_complain(ngx_http_reco_watch_t *watch, const char *message)
{
    if (watch->starting) {
        ngx_memcpy(watch->told, message, ngx_strlen(message) + 1);

    } else {
        ngx_http_reco_tell(watch, message, "");
    }
}


/* kept: why what was taken up last is not served either, or "". */

static void
ngx_http_reco_tell(ngx_http_reco_watch_t *watch, const char *message,
    const char *kept)
{
    uint64_t                hash;
    ngx_http_reco_model_t  *model;

    model = watch->model;
    hash = XXH3_64bits(message, ngx_strlen(message)) | 1;

    if (hash == watch->look.complaint) {
        return;
    }

    watch->look.complaint = hash;
    ngx_http_reco_count(NGX_HTTP_RECO_ERR_SNAPSHOT);

    if (model->snapshot) {
        ngx_log_error(NGX_LOG_ERR, watch->log, 0,
                      "reco: model \"%V\" keeps generation %uL: %s",
                      &model->name, model->generation, message);

    } else {
        ngx_log_error(NGX_LOG_ERR, watch->log, 0,
                      "reco: model \"%V\" has no snapshot%s: %s%s%s",
                      &model->name,
                      model->fallback->catalogue.n
                      ? ", its fallback answers" : " and no fallback", message,
                      kept[0] ? "; nor the last good one: " : "", kept);
    }
}
