/*
 * ngx_http_reco_conf.c - setters of the directives of the http level. What
 * they build lives in the cycle's pool; a model may be named before it is
 * defined, so that a name makes the entry and its reco_model fills it.
 */

#include "ngx_http_reco_module.h"


static ngx_int_t ngx_http_reco_arg_time(ngx_conf_t *cf, ngx_str_t *arg,
    size_t prefix, ngx_msec_t min, ngx_msec_t max, ngx_msec_t *value);
static ngx_int_t ngx_http_reco_arg_size(ngx_conf_t *cf, ngx_str_t *arg,
    size_t prefix, off_t min, off_t max, off_t *value);
static ngx_int_t ngx_http_reco_log_arg(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_http_reco_log_conf_t *log);
static ngx_int_t ngx_http_reco_log_room_arg(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_http_reco_log_conf_t *log);
static char *ngx_http_reco_init_log(ngx_http_reco_log_conf_t *log);
static void ngx_http_reco_free_secret(void *data);


/* reco_zone name:size */

char *
ngx_http_reco_set_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_reco_main_conf_t *rmcf = conf;

    u_char     *p;
    ssize_t     size;
    ngx_str_t  *value, name, s;

    if (rmcf->zone) {
        return "is duplicate";
    }

    value = cf->args->elts;

    p = (u_char *) ngx_strchr(value[1].data, ':');

    if (p == NULL || p == value[1].data) {
        return "must be given as name:size";
    }

    name.data = value[1].data;
    name.len = p - value[1].data;

    s.data = p + 1;
    s.len = value[1].data + value[1].len - s.data;

    size = ngx_parse_size(&s);

    if (size == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid zone size \"%V\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    if (size < (ssize_t) (1024 * 1024)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone \"%V\" is too small: it needs 1m", &value[1]);
        return NGX_CONF_ERROR;
    }

    rmcf->zone = ngx_shared_memory_add(cf, &name, size, &ngx_http_reco_module);
    if (rmcf->zone == NULL) {
        return NGX_CONF_ERROR;
    }

    rmcf->zone->init = ngx_http_reco_zone_init;
    rmcf->zone->data = rmcf;

    return NGX_CONF_OK;
}


/* reco_node NAME */

char *
ngx_http_reco_set_node(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_reco_main_conf_t *rmcf = conf;

    ngx_str_t  *value;

    if (rmcf->node.len) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (!reco_node_is_valid((reco_str_t) { (char *) value[1].data,
                                           value[1].len }))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid node name \"%V\": 1 to 64 of A-Z a-z 0-9 "
                           "\".\" \"_\" \"-\", not beginning with a dot",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    rmcf->node = value[1];

    return NGX_CONF_OK;
}


/* The entry of that name, made at its first mention. */

ngx_http_reco_model_t *
ngx_http_reco_model(ngx_conf_t *cf, ngx_str_t *name)
{
    ngx_uint_t                  i;
    ngx_http_reco_model_t      *model;
    ngx_http_reco_main_conf_t  *rmcf;

    rmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_reco_module);

    model = rmcf->models.elts;

    for (i = 0; i < rmcf->models.nelts; i++) {
        if (model[i].name.len == name->len
            && ngx_memcmp(model[i].name.data, name->data, name->len) == 0)
        {
            return &model[i];
        }
    }

    if (!reco_id_is_valid((reco_str_t) { (char *) name->data, name->len })) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid model name \"%V\"", name);
        return NULL;
    }

    if (rmcf->models.nelts == NGX_HTTP_RECO_MAX_MODELS) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "more than %d reco models",
                           NGX_HTTP_RECO_MAX_MODELS);
        return NULL;
    }

    model = ngx_array_push(&rmcf->models);
    if (model == NULL) {
        return NULL;
    }

    ngx_memzero(model, sizeof(ngx_http_reco_model_t));

    model->name = *name;
    model->index = rmcf->models.nelts - 1;
    model->file = cf->conf_file->file.name.data;
    model->line = cf->conf_file->line;

    return model;
}


/* reco_model NAME DIR [check=TIME] */

char *
ngx_http_reco_set_model(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t              *value;
    ngx_http_reco_model_t  *model;

    value = cf->args->elts;

    model = ngx_http_reco_model(cf, &value[1]);
    if (model == NULL) {
        return NGX_CONF_ERROR;
    }

    if (model->dir.len) {
        return "is duplicate";
    }

    if (value[2].len == 0) {
        return ngx_http_reco_invalid(cf, &value[2]);
    }

    model->dir = value[2];

    if (ngx_conf_full_name(cf->cycle, &model->dir, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    model->check = 1000;

    if (cf->args->nelts == 3) {
        return NGX_CONF_OK;
    }

    if (!ngx_http_reco_arg(&value[3], "check=")) {
        return ngx_http_reco_invalid(cf, &value[3]);
    }

    return ngx_http_reco_arg_time(cf, &value[3], sizeof("check=") - 1, 100,
                                  86400000, &model->check) == NGX_OK
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* reco_fallback MODEL ID,ID,.. [slate=N] */

char *
ngx_http_reco_set_fallback(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_int_t               n;
    ngx_str_t              *value;
    ngx_http_reco_model_t  *model;

    value = cf->args->elts;

    model = ngx_http_reco_model(cf, &value[1]);
    if (model == NULL) {
        return NGX_CONF_ERROR;
    }

    if (model->fallback) {
        return "is duplicate";
    }

    if (value[2].len == 0) {
        return "has no ids";
    }

    n = 0;

    if (cf->args->nelts == 4) {

        if (!ngx_http_reco_arg(&value[3], "slate=")) {
            return ngx_http_reco_invalid(cf, &value[3]);
        }

        n = ngx_atoi(value[3].data + sizeof("slate=") - 1,
                     value[3].len - (sizeof("slate=") - 1));

        if (n < 1 || n > RECO_MAX_SLATE) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "parameter \"%V\" must be between 1 and %d",
                               &value[3], RECO_MAX_SLATE);
            return NGX_CONF_ERROR;
        }
    }

    return ngx_http_reco_make_fallback(cf, model, &value[2], n);
}


/* reco_geoip FILE [check=TIME] */

char *
ngx_http_reco_set_geoip(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_reco_main_conf_t *rmcf = conf;

    ngx_str_t  *value;

    if (rmcf->geo_path.len) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        return ngx_http_reco_invalid(cf, &value[1]);
    }

    rmcf->geo_path = value[1];
    rmcf->geo_check = 60000;

    if (ngx_conf_full_name(cf->cycle, &rmcf->geo_path, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (cf->args->nelts == 2) {
        return NGX_CONF_OK;
    }

    if (!ngx_http_reco_arg(&value[2], "check=")) {
        return ngx_http_reco_invalid(cf, &value[2]);
    }

    return ngx_http_reco_arg_time(cf, &value[2], sizeof("check=") - 1, 100,
                                  86400000, &rmcf->geo_check) == NGX_OK
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* reco_log DIR [segment=SIZE] [age=TIME] [sync=off|TIME|always] [keep=TIME]
 * [max=SIZE [full=stop|drop]] */

char *
ngx_http_reco_set_log(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_reco_main_conf_t *rmcf = conf;

    ngx_str_t                 *value;
    ngx_uint_t                 i;
    ngx_http_reco_log_conf_t  *log;

    log = &rmcf->log;

    if (log->path.len) {
        return "is duplicate";
    }

    value = cf->args->elts;

    /* a segment's name needs room behind it */

    if (value[1].len == 0 || value[1].len > 900) {
        return ngx_http_reco_invalid(cf, &value[1]);
    }

    log->path = value[1];

    if (ngx_conf_full_name(cf->cycle, &log->path, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (log->path.len > 1000) {
        return "names a folder with too long a path";
    }

    log->segment = NGX_CONF_UNSET;
    log->age = NGX_CONF_UNSET_MSEC;
    log->sync = NGX_CONF_UNSET_MSEC - 1;
    log->keep = NGX_CONF_UNSET_MSEC;
    log->max = NGX_CONF_UNSET;
    log->drop = NGX_CONF_UNSET;

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_http_reco_log_arg(cf, &value[i], log) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return ngx_http_reco_init_log(log);
}


static char *
ngx_http_reco_init_log(ngx_http_reco_log_conf_t *log)
{
    ngx_conf_init_value(log->segment, 64 * 1024 * 1024);
    ngx_conf_init_msec_value(log->age, 3600000);
    ngx_conf_init_msec_value(log->keep, 0);

    if (log->sync == NGX_CONF_UNSET_MSEC - 1) {
        log->sync = NGX_HTTP_RECO_SYNC_OFF;
    }

    if (log->max == NGX_CONF_UNSET && log->drop != NGX_CONF_UNSET) {
        return "has \"full\" without \"max\"";
    }

    ngx_conf_init_value(log->max, 0);
    ngx_conf_init_value(log->drop, 0);

    if (log->max && log->max / 4 < log->segment) {
        return "has \"max\" below four segments: raise \"max\", or lower "
               "\"segment\" (64m unless given)";
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_reco_log_arg(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_http_reco_log_conf_t *log)
{
    if (ngx_http_reco_arg(arg, "segment=") && log->segment == NGX_CONF_UNSET) {
        return ngx_http_reco_arg_size(cf, arg, sizeof("segment=") - 1, 4096,
                                      (off_t) 1 << 40, &log->segment);
    }

    if (ngx_http_reco_arg(arg, "age=") && log->age == NGX_CONF_UNSET_MSEC) {
        return ngx_http_reco_arg_time(cf, arg, sizeof("age=") - 1, 100,
                                      7 * 86400000, &log->age);
    }

    if (ngx_http_reco_arg(arg, "sync=")
        && log->sync == NGX_CONF_UNSET_MSEC - 1)
    {
        if (ngx_strcmp(arg->data, "sync=off") == 0) {
            log->sync = NGX_HTTP_RECO_SYNC_OFF;
            return NGX_OK;
        }

        if (ngx_strcmp(arg->data, "sync=always") == 0) {
            log->sync = NGX_HTTP_RECO_SYNC_ALWAYS;
            return NGX_OK;
        }

        return ngx_http_reco_arg_time(cf, arg, sizeof("sync=") - 1, 10,
                                      3600000, &log->sync);
    }

    return ngx_http_reco_log_room_arg(cf, arg, log);
}


static ngx_int_t
ngx_http_reco_log_room_arg(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_http_reco_log_conf_t *log)
{
    if (ngx_http_reco_arg(arg, "keep=") && log->keep == NGX_CONF_UNSET_MSEC) {
        return ngx_http_reco_arg_time(cf, arg, sizeof("keep=") - 1, 1000,
                                      (ngx_msec_t) 3650 * 86400000,
                                      &log->keep);
    }

    if (ngx_http_reco_arg(arg, "max=") && log->max == NGX_CONF_UNSET) {
        return ngx_http_reco_arg_size(cf, arg, sizeof("max=") - 1, 16384,
                                      (off_t) 1 << 50, &log->max);
    }

    if (log->drop == NGX_CONF_UNSET
        && (ngx_strcmp(arg->data, "full=stop") == 0
            || ngx_strcmp(arg->data, "full=drop") == 0))
    {
        log->drop = (arg->data[sizeof("full=") - 1] == 'd');
        return NGX_OK;
    }

    (void) ngx_http_reco_invalid(cf, arg);

    return NGX_ERROR;
}


/* reco_secret FILE */

char *
ngx_http_reco_set_secret(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_reco_main_conf_t *rmcf = conf;

    ngx_str_t           *value;
    reco_error_t         err;
    ngx_pool_cleanup_t  *cln;

    if (rmcf->secret) {
        return "is duplicate";
    }

    value = cf->args->elts;

    rmcf->secret_path = value[1];

    if (ngx_conf_full_name(cf->cycle, &rmcf->secret_path, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_CONF_ERROR;
    }

    if (reco_secret_read((char *) rmcf->secret_path.data, &rmcf->secret, &err)
        != RECO_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "cannot use reco secret \"%V\": %s",
                           &rmcf->secret_path, err.message);
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_http_reco_free_secret;
    cln->data = rmcf->secret;

    if (reco_secret_is_exposed(rmcf->secret)) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "reco secret \"%V\" is open to all users, who can "
                           "sign rewards with it: chmod o= it, and put new "
                           "sign keys into it",
                           &rmcf->secret_path);
    }

    return NGX_CONF_OK;
}


static void
ngx_http_reco_free_secret(void *data)
{
    reco_secret_free(data);
}


char *
ngx_http_reco_invalid(ngx_conf_t *cf, ngx_str_t *arg)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\"", arg);

    return NGX_CONF_ERROR;
}


static ngx_int_t
ngx_http_reco_arg_time(ngx_conf_t *cf, ngx_str_t *arg, size_t prefix,
    ngx_msec_t min, ngx_msec_t max, ngx_msec_t *value)
{
    ngx_int_t  ms;
    ngx_str_t  s;

    s.data = arg->data + prefix;
    s.len = arg->len - prefix;

    ms = s.len ? ngx_parse_time(&s, 0) : NGX_ERROR;

    if (ms == NGX_ERROR) {
        (void) ngx_http_reco_invalid(cf, arg);
        return NGX_ERROR;
    }

    if ((ngx_msec_t) ms < min || (ngx_msec_t) ms > max) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "parameter \"%V\" must be between %Mms and %Ms",
                           arg, min, max / 1000);
        return NGX_ERROR;
    }

    *value = ms;

    return NGX_OK;
}


static ngx_int_t
ngx_http_reco_arg_size(ngx_conf_t *cf, ngx_str_t *arg, size_t prefix,
    off_t min, off_t max, off_t *value)
{
    off_t      size;
    ngx_str_t  s;

    s.data = arg->data + prefix;
    s.len = arg->len - prefix;

    size = s.len ? ngx_parse_offset(&s) : NGX_ERROR;

    if (size == NGX_ERROR) {
        (void) ngx_http_reco_invalid(cf, arg);
        return NGX_ERROR;
    }

    if (size < min || size > max) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "parameter \"%V\" must be between %O and %O bytes",
                           arg, min, max);
        return NGX_ERROR;
    }

    *value = size;

    return NGX_OK;
}
