/*
 * ngx_http_reco_module.c - the module's tables: directives, configuration
 * contexts, and what happens when a worker starts and ends.
 *
 * Configuration lives in the cycle's pool. The only state beside it is
 * ngx_http_reco_worker: set when a worker starts, cleared when it ends.
 */

#include "ngx_http_reco_module.h"

#include <ngx_event.h>

#include <sys/random.h>


static ngx_int_t ngx_http_reco_postconfiguration(ngx_conf_t *cf);
static void *ngx_http_reco_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_reco_init_main_conf(ngx_conf_t *cf, void *conf);
static char *ngx_http_reco_init_models(ngx_conf_t *cf,
    ngx_http_reco_main_conf_t *rmcf);
static ngx_int_t ngx_http_reco_init_node(ngx_conf_t *cf,
    ngx_http_reco_main_conf_t *rmcf);
static void ngx_http_reco_test(ngx_conf_t *cf,
    ngx_http_reco_main_conf_t *rmcf);
static void *ngx_http_reco_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_reco_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static void ngx_http_reco_inherit_handler(ngx_conf_t *cf,
    ngx_http_reco_loc_conf_t *prev, ngx_http_reco_loc_conf_t *conf);
static ngx_int_t ngx_http_reco_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_reco_init_process(ngx_cycle_t *cycle);
static void ngx_http_reco_exit_process(ngx_cycle_t *cycle);
static ngx_http_reco_workspace_t *ngx_http_reco_create_workspace(
    ngx_cycle_t *cycle, size_t body_max);
static void ngx_http_reco_free_workspace(ngx_http_reco_workspace_t *ws);
static void ngx_http_reco_random(void *out, size_t len);
static char *ngx_http_reco_check_body_max(ngx_conf_t *cf, void *post,
    void *data);


ngx_http_reco_worker_t  ngx_http_reco_worker;


static ngx_conf_post_t  ngx_http_reco_body_max_post = {
    ngx_http_reco_check_body_max
};


static ngx_command_t  ngx_http_reco_commands[] = {

    { ngx_string("reco_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_reco_set_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("reco_node"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_reco_set_node,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("reco_model"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE23,
      ngx_http_reco_set_model,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("reco_fallback"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE23,
      ngx_http_reco_set_fallback,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("reco_geoip"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE12,
      ngx_http_reco_set_geoip,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("reco_log"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_reco_set_log,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("reco_secret"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_reco_set_secret,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("reco_body_max"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_reco_loc_conf_t, body_max),
      &ngx_http_reco_body_max_post },

    { ngx_string("reco_explain"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_reco_loc_conf_t, explain),
      NULL },

    { ngx_string("reco_decide"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_reco_set_decide,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("reco_recommend"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE123,
      ngx_http_reco_set_recommend,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("reco_reward"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE123,
      ngx_http_reco_set_reward,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("reco_agent"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE23,
      ngx_http_reco_set_agent,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("reco_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_reco_set_status,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("reco_health"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_reco_set_health,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_reco_module_ctx = {
    ngx_http_reco_add_variables,           /* preconfiguration */
    ngx_http_reco_postconfiguration,       /* postconfiguration */

    ngx_http_reco_create_main_conf,        /* create main configuration */
    ngx_http_reco_init_main_conf,          /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_reco_create_loc_conf,         /* create location configuration */
    ngx_http_reco_merge_loc_conf           /* merge location configuration */
};


ngx_module_t  ngx_http_reco_module = {
    NGX_MODULE_V1,
    &ngx_http_reco_module_ctx,             /* module context */
    ngx_http_reco_commands,                /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_reco_init_module,             /* init module */
    ngx_http_reco_init_process,            /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_reco_exit_process,            /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_reco_postconfiguration(ngx_conf_t *cf)
{
    ngx_array_t                *handlers;
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;
    ngx_http_reco_main_conf_t  *rmcf;

    rmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_reco_module);

    if (rmcf->models.nelts == 0) {
        return NGX_OK;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    handlers = &cmcf->phases[NGX_HTTP_LOG_PHASE].handlers;

    if (ngx_array_push(handlers) == NULL) {
        return NGX_ERROR;
    }

    /* handlers of this phase run in the array's order; ours goes first,
     * before the access log evaluates its variables */

    h = handlers->elts;
    ngx_memmove(&h[1], &h[0],
                (handlers->nelts - 1) * sizeof(ngx_http_handler_pt));
    h[0] = ngx_http_reco_logging;

    return NGX_OK;
}


static void *
ngx_http_reco_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_reco_main_conf_t  *rmcf;

    rmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_reco_main_conf_t));
    if (rmcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&rmcf->models, cf->pool, NGX_HTTP_RECO_MAX_MODELS,
                       sizeof(ngx_http_reco_model_t))
        != NGX_OK)
    {
        return NULL;
    }

    return rmcf;
}


static char *
ngx_http_reco_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_reco_main_conf_t *rmcf = conf;

    if (ngx_http_reco_init_models(cf, rmcf) != NGX_CONF_OK
        || ngx_http_reco_init_node(cf, rmcf) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (rmcf->log.max && rmcf->zone == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"reco_log\" with \"max\" needs a "
                           "\"reco_zone\", which has what the workers wrote");
        return NGX_CONF_ERROR;
    }

    if (rmcf->rewards && rmcf->log.path.len == 0) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "\"reco_reward\" is used without \"reco_log\": "
                      "every reward will be refused");
    }

#if (NGX_THREADS)

    if (rmcf->models.nelts || rmcf->geo_path.len || rmcf->log.path.len) {
        rmcf->thread_pool = ngx_thread_pool_add(cf, NULL);
        if (rmcf->thread_pool == NULL) {
            return NGX_CONF_ERROR;
        }
    }

#endif

    if (ngx_test_config) {
        ngx_http_reco_test(cf, rmcf);
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_reco_init_models(ngx_conf_t *cf, ngx_http_reco_main_conf_t *rmcf)
{
    ngx_str_t               none;
    ngx_uint_t              i;
    ngx_http_reco_model_t  *model;

    ngx_str_null(&none);

    model = rmcf->models.elts;

    for (i = 0; i < rmcf->models.nelts; i++) {

        if (model[i].dir.len == 0) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "unknown reco model \"%V\": no \"reco_model\" "
                          "has this name, in %s:%ui",
                          &model[i].name, model[i].file, model[i].line);
            return NGX_CONF_ERROR;
        }

        if (model[i].fallback) {
            continue;
        }

        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "reco model \"%V\" has no \"reco_fallback\": "
                      "without a snapshot it decides nothing in %s:%ui",
                      &model[i].name, model[i].file, model[i].line);

        if (ngx_http_reco_make_fallback(cf, &model[i], &none, 0)
            != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_reco_init_node(ngx_conf_t *cf, ngx_http_reco_main_conf_t *rmcf)
{
    u_char      *p;
    ngx_str_t    host;
    ngx_uint_t   i;

    if (rmcf->node.len) {
        return NGX_OK;
    }

    host = cf->cycle->hostname;
    host.len = ngx_min(host.len, 64);

    p = ngx_pnalloc(cf->pool, host.len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < host.len; i++) {
        p[i] = reco_node_is_valid((reco_str_t) { (char *) &host.data[i], 1 })
               || (i && host.data[i] == '.')
               ? host.data[i] : '-';
    }

    if (host.len == 0) {
        p[0] = '-';
        host.len = 1;
    }

    rmcf->node.len = host.len;
    rmcf->node.data = p;

    return NGX_OK;
}


/* nginx -t: what a worker would find; nothing of it is an error */

static void
ngx_http_reco_test(ngx_conf_t *cf, ngx_http_reco_main_conf_t *rmcf)
{
    reco_geo_t             *geo;
    ngx_uint_t              i;
    reco_error_t            err;
    ngx_http_reco_model_t  *model;

    model = rmcf->models.elts;

    for (i = 0; i < rmcf->models.nelts; i++) {
        ngx_http_reco_model_test(cf, &model[i]);
    }

    if (rmcf->geo_path.len == 0) {
        return;
    }

    if (reco_geo_open((char *) rmcf->geo_path.data, &geo, &err) == RECO_OK) {
        reco_geo_close(geo);
        return;
    }

    ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                  "reco geo database \"%V\" cannot be used: %s",
                  &rmcf->geo_path, err.message);
}


static void *
ngx_http_reco_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_reco_loc_conf_t  *rlcf;

    rlcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_reco_loc_conf_t));
    if (rlcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     rlcf->handler = NULL;
     *     rlcf->model = NULL;
     *     rlcf->format = NULL;
     */

    rlcf->decide = NGX_CONF_UNSET_PTR;
    rlcf->explain = NGX_CONF_UNSET;
    rlcf->body_max = NGX_CONF_UNSET_SIZE;

    return rlcf;
}


static char *
ngx_http_reco_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_reco_loc_conf_t *prev = parent;
    ngx_http_reco_loc_conf_t *conf = child;

    ngx_http_reco_main_conf_t  *rmcf;

    ngx_conf_merge_ptr_value(conf->decide, prev->decide, NULL);
    ngx_conf_merge_value(conf->explain, prev->explain, 0);
    ngx_conf_merge_size_value(conf->body_max, prev->body_max, 16384);

    ngx_http_reco_inherit_handler(cf, prev, conf);

    if (conf->handler) {
        rmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_reco_module);
        rmcf->body_max = ngx_max(rmcf->body_max, conf->body_max);
    }

    return NGX_CONF_OK;
}


/* "if" and "limit_except" blocks serve what their location serves */

static void
ngx_http_reco_inherit_handler(ngx_conf_t *cf, ngx_http_reco_loc_conf_t *prev,
    ngx_http_reco_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (conf->handler
        || prev->handler == NULL
        || clcf->handler
        || !(clcf->noname || clcf->lmt_excpt))
    {
        return;
    }

    conf->handler = prev->handler;
    conf->model = prev->model;
    conf->format = prev->format;
    conf->variant = prev->variant;
    conf->prometheus = prev->prometheus;
    conf->agent = prev->agent;
    conf->accept_unknown = prev->accept_unknown;

    clcf->handler = prev->handler;
}


/* In the master: nothing can refuse the configuration any more. */

static ngx_int_t
ngx_http_reco_init_module(ngx_cycle_t *cycle)
{
    ngx_http_reco_main_conf_t  *rmcf;

    rmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_reco_module);

    if (rmcf) {
        ngx_http_reco_zone_accept(rmcf);
    }

    return ngx_http_reco_check_log(cycle);
}


/* Never fails: a worker that cannot serve a model answers for itself. */

static ngx_int_t
ngx_http_reco_init_process(ngx_cycle_t *cycle)
{
    ngx_http_reco_worker_t     *worker;
    ngx_http_reco_main_conf_t  *rmcf;

    /* the cache manager and loader are no workers */

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    rmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_reco_module);

    if (rmcf == NULL
        || (rmcf->models.nelts == 0 && rmcf->zone == NULL
            && rmcf->geo_path.len == 0))
    {
        return NGX_OK;
    }

    worker = &ngx_http_reco_worker;

    worker->workspace = ngx_http_reco_create_workspace(cycle, rmcf->body_max);
    if (worker->workspace == NULL) {
        ngx_log_error(NGX_LOG_CRIT, cycle->log, 0,
                      "reco: no memory for a worker: it will not decide");
        return NGX_OK;
    }

    worker->cycle = cycle;
    worker->conf = rmcf;

    if (ngx_event_actions.notify == NULL) {
        /* an event method without it (poll, select) is not told of what a
         * thread has done: this worker waits for its disk itself */
        rmcf->thread_pool = NULL;
    }

    (void) ngx_http_reco_log_init_process(cycle);
    (void) ngx_http_reco_model_init_process(cycle);
    (void) ngx_http_reco_geo_init_process(cycle);

    return NGX_OK;
}


static void
ngx_http_reco_exit_process(ngx_cycle_t *cycle)
{
    if (ngx_http_reco_worker.conf == NULL) {
        return;
    }

    ngx_http_reco_log_exit_process(cycle);
    ngx_http_reco_model_exit_process(cycle);
    ngx_http_reco_geo_exit_process(cycle);

    ngx_http_reco_free_workspace(ngx_http_reco_worker.workspace);

    ngx_memzero(&ngx_http_reco_worker, sizeof(ngx_http_reco_worker_t));
}


static ngx_http_reco_workspace_t *
ngx_http_reco_create_workspace(ngx_cycle_t *cycle, size_t body_max)
{
    ngx_http_reco_workspace_t  *ws;

    ws = ngx_calloc(sizeof(ngx_http_reco_workspace_t), cycle->log);
    if (ws == NULL) {
        return NULL;
    }

    ngx_http_reco_random(&ws->keys.seed, sizeof(uint64_t));

    ws->arena.size = 2 * ngx_max(body_max, 16384) + 1024;

    ws->arena.base = ngx_alloc(ws->arena.size, cycle->log);
    if (ws->arena.base == NULL) {
        ngx_free(ws);
        return NULL;
    }

    return ws;
}


static void
ngx_http_reco_free_workspace(ngx_http_reco_workspace_t *ws)
{
    if (ws->text) {
        ngx_free(ws->text);
    }

    ngx_free(ws->arena.base);
    ngx_free(ws);
}


static void
ngx_http_reco_random(void *out, size_t len)
{
    size_t   i;
    u_char  *p;

    if (getrandom(out, len, 0) == (ssize_t) len) {
        return;
    }

    p = out;

    for (i = 0; i < len; i++) {
        p[i] = (u_char) (ngx_random() >> 8);
    }
}


static char *
ngx_http_reco_check_body_max(ngx_conf_t *cf, void *post, void *data)
{
    size_t *size = data;

    if (*size < 1 || *size > 64 * 1024 * 1024) {
        return "must be between 1 and 64m";
    }

    return NGX_CONF_OK;
}
