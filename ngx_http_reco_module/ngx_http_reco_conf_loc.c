/*
 * ngx_http_reco_conf_loc.c - setters of the directives of locations: handlers
 * and reco_decide. What they build lives in the cycle's pool.
 */

#include "ngx_http_reco_module.h"


static char *ngx_http_reco_set_handler(ngx_conf_t *cf,
    ngx_http_reco_loc_conf_t *rlcf, ngx_http_handler_pt handler,
    ngx_str_t *model);
static ngx_int_t ngx_http_reco_format_arg(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_http_reco_loc_conf_t *rlcf);
static ngx_int_t ngx_http_reco_decide_arg(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_http_reco_decide_conf_t *decide);
static ngx_int_t ngx_http_reco_feature_wanted(ngx_conf_t *cf,
    ngx_http_reco_model_t *model, ngx_str_t *name);
static ngx_int_t ngx_http_reco_feature_arg(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_http_reco_decide_conf_t *decide);
static ngx_http_complex_value_t *ngx_http_reco_complex(ngx_conf_t *cf,
    ngx_str_t *value);
static ngx_int_t ngx_http_reco_compile(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_complex_value_t *cv);


/* reco_recommend MODEL [format=FORMAT] [answer=names] */

char *
ngx_http_reco_set_recommend(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_reco_loc_conf_t *rlcf = conf;

    char        *rv;
    ngx_str_t   *value;
    ngx_uint_t   i;

    value = cf->args->elts;

    rv = ngx_http_reco_set_handler(cf, rlcf, ngx_http_reco_recommend_handler,
                                   &value[1]);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "answer=names") == 0
            && rlcf->variant == 0)
        {
            rlcf->variant = 1;
            continue;
        }

        if (ngx_http_reco_format_arg(cf, &value[i], rlcf) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    if (rlcf->format == NULL) {
        rlcf->format = &reco_format_native;
    }

    if (rlcf->variant >= rlcf->format->variants) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "format \"%s\" has no \"answer=names\"",
                           rlcf->format->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* reco_reward MODEL [format=FORMAT] [unknown=reject|accept] */

char *
ngx_http_reco_set_reward(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_reco_loc_conf_t *rlcf = conf;

    char                       *rv;
    ngx_str_t                  *value;
    ngx_uint_t                  i, unknown;
    ngx_http_reco_main_conf_t  *rmcf;

    value = cf->args->elts;

    rv = ngx_http_reco_set_handler(cf, rlcf, ngx_http_reco_reward_handler,
                                   &value[1]);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    unknown = 0;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_http_reco_arg(&value[i], "unknown=") && !unknown) {
            unknown = 1;

            if (ngx_strcmp(value[i].data, "unknown=accept") == 0) {
                rlcf->accept_unknown = 1;
                continue;
            }

            if (ngx_strcmp(value[i].data, "unknown=reject") == 0) {
                continue;
            }
        }

        if (ngx_http_reco_format_arg(cf, &value[i], rlcf) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    if (rlcf->format == NULL) {
        rlcf->format = &reco_format_native;
    }

    rmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_reco_module);
    rmcf->rewards = 1;

    return NGX_CONF_OK;
}


/* reco_status prometheus|json */

char *
ngx_http_reco_set_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_reco_loc_conf_t *rlcf = conf;

    ngx_str_t  *value;

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "prometheus") == 0) {
        rlcf->prometheus = 1;

    } else if (ngx_strcmp(value[1].data, "json") != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\", it must be "
                           "\"prometheus\" or \"json\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    return ngx_http_reco_set_handler(cf, rlcf, ngx_http_reco_status_handler,
                                     NULL);
}


/* reco_health MODEL [format=FORMAT] */

char *
ngx_http_reco_set_health(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_reco_loc_conf_t *rlcf = conf;

    char       *rv;
    ngx_str_t  *value;

    value = cf->args->elts;

    rv = ngx_http_reco_set_handler(cf, rlcf, ngx_http_reco_health_handler,
                                   &value[1]);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (cf->args->nelts == 3
        && ngx_http_reco_format_arg(cf, &value[2], rlcf) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (rlcf->format == NULL) {
        rlcf->format = &reco_format_native;
    }

    return NGX_CONF_OK;
}


/* reco_agent MODEL metrics|state|history [format=cart] */

char *
ngx_http_reco_set_agent(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_reco_loc_conf_t *rlcf = conf;

    char       *rv;
    ngx_str_t  *value;

    value = cf->args->elts;

    rv = ngx_http_reco_set_handler(cf, rlcf, ngx_http_reco_agent_handler,
                                   &value[1]);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (ngx_strcmp(value[2].data, "metrics") == 0) {
        rlcf->agent = NGX_HTTP_RECO_AGENT_METRICS;

    } else if (ngx_strcmp(value[2].data, "state") == 0) {
        rlcf->agent = NGX_HTTP_RECO_AGENT_STATE;

    } else if (ngx_strcmp(value[2].data, "history") == 0) {
        rlcf->agent = NGX_HTTP_RECO_AGENT_HISTORY;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\", it must be "
                           "\"metrics\", \"state\" or \"history\"",
                           &value[2]);
        return NGX_CONF_ERROR;
    }

    if (cf->args->nelts == 4
        && ngx_http_reco_format_arg(cf, &value[3], rlcf) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (rlcf->format == NULL) {
        rlcf->format = &reco_format_cart;
    }

    if (rlcf->format->agent == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "format \"%s\" has no \"reco_agent\"",
                           rlcf->format->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* One handler a location; model NULL: of none. */

static char *
ngx_http_reco_set_handler(ngx_conf_t *cf, ngx_http_reco_loc_conf_t *rlcf,
    ngx_http_handler_pt handler, ngx_str_t *model)
{
    ngx_http_core_loc_conf_t  *clcf;

    if (rlcf->handler) {
        return rlcf->handler == handler
               ? "is duplicate"
               : "is used beside another reco handler in this location";
    }

    if (model) {
        rlcf->model = ngx_http_reco_model(cf, model);
        if (rlcf->model == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    rlcf->handler = handler;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = handler;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_reco_format_arg(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_http_reco_loc_conf_t *rlcf)
{
    reco_str_t  name;

    if (!ngx_http_reco_arg(arg, "format=") || rlcf->format) {
        (void) ngx_http_reco_invalid(cf, arg);
        return NGX_ERROR;
    }

    name.data = (char *) arg->data + sizeof("format=") - 1;
    name.len = arg->len - (sizeof("format=") - 1);

    rlcf->format = reco_format_find(name);

    if (rlcf->format == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown reco format in \"%V\", it must be "
                           "\"native\", \"offers\" or \"cart\"", arg);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* reco_decide MODEL [customer=VALUE] [session=VALUE] [slate=N]
 *             [feature=NAME:VALUE].. */

char *
ngx_http_reco_set_decide(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_reco_loc_conf_t *rlcf = conf;

    ngx_str_t                    *value;
    ngx_uint_t                    i;
    ngx_http_reco_decide_conf_t  *decide;

    if (rlcf->decide != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    decide = ngx_pcalloc(cf->pool, sizeof(ngx_http_reco_decide_conf_t));
    if (decide == NULL) {
        return NGX_CONF_ERROR;
    }

    decide->model = ngx_http_reco_model(cf, &value[1]);
    if (decide->model == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_http_reco_decide_arg(cf, &value[i], decide) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    rlcf->decide = decide;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_reco_decide_arg(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_http_reco_decide_conf_t *decide)
{
    ngx_int_t  n;
    ngx_str_t  s;

    if (ngx_http_reco_arg(arg, "customer=") && decide->customer == NULL) {
        s.data = arg->data + sizeof("customer=") - 1;
        s.len = arg->len - (sizeof("customer=") - 1);

        decide->customer = ngx_http_reco_complex(cf, &s);

        return decide->customer ? NGX_OK : NGX_ERROR;
    }

    if (ngx_http_reco_arg(arg, "session=") && decide->session == NULL) {
        s.data = arg->data + sizeof("session=") - 1;
        s.len = arg->len - (sizeof("session=") - 1);

        decide->session = ngx_http_reco_complex(cf, &s);

        return decide->session ? NGX_OK : NGX_ERROR;
    }

    if (ngx_http_reco_arg(arg, "slate=") && decide->slate == 0) {
        n = ngx_atoi(arg->data + sizeof("slate=") - 1,
                     arg->len - (sizeof("slate=") - 1));

        if (n < 1 || n > RECO_MAX_SLATE) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "parameter \"%V\" must be between 1 and %d",
                               arg, RECO_MAX_SLATE);
            return NGX_ERROR;
        }

        decide->slate = n;

        return NGX_OK;
    }

    if (ngx_http_reco_arg(arg, "feature=")) {
        return ngx_http_reco_feature_arg(cf, arg, decide);
    }

    (void) ngx_http_reco_invalid(cf, arg);

    return NGX_ERROR;
}


/* The name ends at the first colon; a value may have more of them. */

static ngx_int_t
ngx_http_reco_feature_arg(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_http_reco_decide_conf_t *decide)
{
    u_char                       *p, *colon, *last;
    ngx_str_t                     name, s;
    ngx_uint_t                    i;
    ngx_http_reco_feature_arg_t  *feature;

    p = arg->data + sizeof("feature=") - 1;
    last = arg->data + arg->len;
    colon = ngx_strlchr(p, last, ':');

    if (colon == NULL || colon == p) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "parameter \"%V\" must be feature=NAME:VALUE", arg);
        return NGX_ERROR;
    }

    name.data = p;
    name.len = colon - p;

    s.data = colon + 1;
    s.len = last - s.data;

    if (decide->features == NULL) {
        decide->features = ngx_array_create(cf->pool, 4,
                                          sizeof(ngx_http_reco_feature_arg_t));
        if (decide->features == NULL) {
            return NGX_ERROR;
        }
    }

    feature = decide->features->elts;

    for (i = 0; i < decide->features->nelts; i++) {
        if (feature[i].name.len == name.len
            && ngx_memcmp(feature[i].name.data, name.data, name.len) == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate feature \"%V\"", &name);
            return NGX_ERROR;
        }
    }

    feature = ngx_array_push(decide->features);
    if (feature == NULL) {
        return NGX_ERROR;
    }

    feature->name = name;

    if (ngx_http_reco_feature_wanted(cf, decide->model, &name) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_reco_compile(cf, &s, &feature->value);
}


/* Each name once, for the warning where a snapshot does not know it. */

static ngx_int_t
ngx_http_reco_feature_wanted(ngx_conf_t *cf, ngx_http_reco_model_t *model,
    ngx_str_t *name)
{
    ngx_str_t   *wanted;
    ngx_uint_t   i;

    if (model->features == NULL) {
        model->features = ngx_array_create(cf->pool, 4, sizeof(ngx_str_t));
        if (model->features == NULL) {
            return NGX_ERROR;
        }
    }

    wanted = model->features->elts;

    for (i = 0; i < model->features->nelts; i++) {
        if (wanted[i].len == name->len
            && ngx_memcmp(wanted[i].data, name->data, name->len) == 0)
        {
            return NGX_OK;
        }
    }

    wanted = ngx_array_push(model->features);
    if (wanted == NULL) {
        return NGX_ERROR;
    }

    *wanted = *name;

    return NGX_OK;
}


static ngx_http_complex_value_t *
ngx_http_reco_complex(ngx_conf_t *cf, ngx_str_t *value)
{
    ngx_http_complex_value_t  *cv;

    cv = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (cv == NULL) {
        return NULL;
    }

    return ngx_http_reco_compile(cf, value, cv) == NGX_OK ? cv : NULL;
}


static ngx_int_t
ngx_http_reco_compile(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_complex_value_t *cv)
{
    ngx_http_compile_complex_value_t  ccv;

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = value;
    ccv.complex_value = cv;

    return ngx_http_compile_complex_value(&ccv);
}
