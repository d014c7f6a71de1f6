/*
 * ngx_http_reco_variables.c - $reco_action and the others. The first of them
 * that is read makes the main request's decision, by the reco_decide of the
 * location that reads it; its record is written before the value is known, so
 * that no answer can precede it. In the log phase a decision that was made is
 * read, and none is made.
 */

#include "ngx_http_reco_module.h"


typedef enum {
    NGX_HTTP_RECO_VAR_ACTION,
    NGX_HTTP_RECO_VAR_SLATE,
    NGX_HTTP_RECO_VAR_DECISION_ID,
    NGX_HTTP_RECO_VAR_GENERATION,
    NGX_HTTP_RECO_VAR_PROPENSITY,
    NGX_HTTP_RECO_VAR_MODEL
} ngx_http_reco_variable_e;


static ngx_int_t ngx_http_reco_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_reco_variable_value(ngx_http_request_t *r,
    ngx_http_reco_result_t *result, uintptr_t data, ngx_str_t *value);
static ngx_int_t ngx_http_reco_variable_country(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_reco_variable_set(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, u_char *data, size_t len);
static ngx_http_reco_result_t *ngx_http_reco_variable_result(
    ngx_http_request_t *r);
static ngx_http_reco_result_t *ngx_http_reco_variable_decide(
    ngx_http_request_t *r, ngx_http_reco_decide_conf_t *decide);
static ngx_int_t ngx_http_reco_variable_args(ngx_http_request_t *r,
    ngx_http_reco_decide_conf_t *decide, ngx_str_t *args);
static void ngx_http_reco_variable_request(
    ngx_http_reco_decide_conf_t *decide, ngx_http_reco_served_t *served,
    ngx_str_t *args);
static reco_str_t ngx_http_reco_variable_id(ngx_str_t *value);
static void ngx_http_reco_variable_feature(const reco_model_t *core,
    ngx_str_t *name, ngx_str_t *value);
static void ngx_http_reco_variable_failed(ngx_http_request_t *r,
    reco_status_t rc);


static ngx_http_variable_t  ngx_http_reco_vars[] = {

    { ngx_string("reco_action"), NULL, ngx_http_reco_variable,
      NGX_HTTP_RECO_VAR_ACTION, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("reco_slate"), NULL, ngx_http_reco_variable,
      NGX_HTTP_RECO_VAR_SLATE, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("reco_decision_id"), NULL, ngx_http_reco_variable,
      NGX_HTTP_RECO_VAR_DECISION_ID, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("reco_generation"), NULL, ngx_http_reco_variable,
      NGX_HTTP_RECO_VAR_GENERATION, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("reco_propensity"), NULL, ngx_http_reco_variable,
      NGX_HTTP_RECO_VAR_PROPENSITY, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("reco_model"), NULL, ngx_http_reco_variable,
      NGX_HTTP_RECO_VAR_MODEL, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("reco_country"), NULL, ngx_http_reco_variable_country,
      0, 0, 0 },

      ngx_http_null_variable
};


/* in the place of a request's share from its log phase on */
static ngx_http_reco_share_t  ngx_http_reco_closed = { NULL, 0, 0, 1 };


ngx_int_t
ngx_http_reco_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_reco_vars; v->name.len; v++) {

        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_reco_logging(ngx_http_request_t *r)
{
    ngx_http_reco_share_t  *share;

    share = (r == r->main) ? ngx_http_reco_share(r, 0) : NULL;

    if (share) {
        share->closed = 1;

    } else {
        ngx_http_set_ctx(r, &ngx_http_reco_closed, ngx_http_reco_module);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_reco_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    ngx_str_t                value;
    ngx_http_reco_share_t   *share;
    ngx_http_reco_result_t  *result;

    share = ngx_http_reco_share(r, 0);

    if (share && share->busy) {

        /* Empty from now on: nginx reads the variables of a text twice, for
         * its length and to copy them, and must not see this one change. */

        v->no_cacheable = 0;
        return NGX_ERROR;
    }

    result = ngx_http_reco_variable_result(r);

    if (result == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    if (ngx_http_reco_variable_value(r, result, data, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_reco_variable_set(r, v, value.data, value.len);
}


static ngx_int_t
ngx_http_reco_variable_value(ngx_http_request_t *r,
    ngx_http_reco_result_t *result, uintptr_t data, ngx_str_t *value)
{
    reco_buf_t  b;

    switch (data) {

    case NGX_HTTP_RECO_VAR_ACTION:
        *value = result->action;
        return NGX_OK;

    case NGX_HTTP_RECO_VAR_SLATE:
        *value = result->slate;
        return NGX_OK;

    case NGX_HTTP_RECO_VAR_DECISION_ID:
        *value = result->token;
        return NGX_OK;

    case NGX_HTTP_RECO_VAR_MODEL:
        *value = result->model->name;
        return NGX_OK;
    }

    value->data = ngx_pnalloc(r->pool, 32);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    reco_buf_init(&b, (char *) value->data, 32);

    if (data == NGX_HTTP_RECO_VAR_GENERATION) {
        reco_buf_u64(&b, result->generation);

    } else {
        reco_buf_double(&b, (double) result->propensity / RECO_ONE);
    }

    value->len = reco_buf_len(&b);

    return NGX_OK;
}


/* Asks the database only; needs no decision. */

static ngx_int_t
ngx_http_reco_variable_country(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char      *p;
    reco_str_t   country;

    country = ngx_http_reco_country(r);

    if (country.len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    /* the database may be replaced before the request ends */

    p = ngx_pnalloc(r->pool, country.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, country.data, country.len);

    return ngx_http_reco_variable_set(r, v, p, country.len);
}


static ngx_int_t
ngx_http_reco_variable_set(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, u_char *data, size_t len)
{
    v->len = len;
    v->data = data;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


/* The main request's decision, made now where there is none yet. */

static ngx_http_reco_result_t *
ngx_http_reco_variable_result(ngx_http_request_t *r)
{
    ngx_http_reco_share_t     *share;
    ngx_http_reco_result_t    *result;
    ngx_http_reco_loc_conf_t  *rlcf;

    share = ngx_http_reco_share(r, 0);

    if (share && (share->result || share->failed)) {
        return share->result;
    }

    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_reco_module);

    if (ngx_http_reco_worker.conf == NULL
        || (share && share->closed)
        || ngx_http_get_module_ctx(r, ngx_http_reco_module)
           == &ngx_http_reco_closed)
    {
        return NULL;
    }

    if (rlcf->decide == NULL) {

        if (!ngx_http_reco_worker.undecided) {
            ngx_http_reco_worker.undecided = 1;
            ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                          "reco: a variable is read where there is no "
                          "\"reco_decide\", and is empty (told once)");
        }

        return NULL;
    }

    share = ngx_http_reco_share(r, 1);
    if (share == NULL) {
        return NULL;
    }

    share->busy = 1;

    result = ngx_http_reco_variable_decide(r, rlcf->decide);

    share->busy = 0;
    share->failed = (result == NULL);

    /* a content handler's own decision goes before */

    if (share->result == NULL) {
        share->result = result;
    }

    return share->result;
}


static ngx_http_reco_result_t *
ngx_http_reco_variable_decide(ngx_http_request_t *r,
    ngx_http_reco_decide_conf_t *decide)
{
    uint64_t                 began;
    ngx_str_t               *args;
    ngx_uint_t               n;
    reco_status_t            rc;
    ngx_http_reco_result_t  *result;
    ngx_http_reco_served_t   served;

    ngx_http_reco_count(NGX_HTTP_RECO_REQ_VARIABLE);

    n = 2 + (decide->features ? decide->features->nelts : 0);

    /* all arguments first: they are other modules' code */

    args = ngx_palloc(r->pool, n * sizeof(ngx_str_t));

    if (args == NULL || ngx_http_reco_variable_args(r, decide, args) != NGX_OK)
    {
        return NULL;
    }

    began = ngx_http_reco_monotonic_ns();

    ngx_http_reco_serve(decide->model, &served);
    ngx_http_reco_variable_request(decide, &served, args);

    rc = ngx_http_reco_decide(r, &served, &result);

    if (rc != RECO_OK) {
        ngx_http_reco_variable_failed(r, rc);
        return NULL;
    }

    if (ngx_http_reco_record(&served, result, NULL) == NGX_ERROR) {
        result->unlogged = 1;
        ngx_http_reco_count(NGX_HTTP_RECO_UNLOGGED);
    }

    ngx_http_reco_latency(ngx_http_reco_monotonic_ns() - began);

    return result;
}


/* args: customer, session, then the features in order */

static ngx_int_t
ngx_http_reco_variable_args(ngx_http_request_t *r,
    ngx_http_reco_decide_conf_t *decide, ngx_str_t *args)
{
    ngx_uint_t                    i;
    ngx_http_reco_feature_arg_t  *feature;

    ngx_str_null(&args[0]);
    ngx_str_null(&args[1]);

    if (decide->customer
        && ngx_http_complex_value(r, decide->customer, &args[0]) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (decide->session
        && ngx_http_complex_value(r, decide->session, &args[1]) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (decide->features == NULL) {
        return NGX_OK;
    }

    feature = decide->features->elts;

    for (i = 0; i < decide->features->nelts; i++) {
        if (ngx_http_complex_value(r, &feature[i].value, &args[2 + i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static void
ngx_http_reco_variable_request(ngx_http_reco_decide_conf_t *decide,
    ngx_http_reco_served_t *served, ngx_str_t *args)
{
    ngx_uint_t                    i;
    reco_request_t               *request;
    ngx_http_reco_feature_arg_t  *feature;

    request = &ngx_http_reco_worker.workspace->request;

    reco_request_reset(request, served->core->nfeatures);

    request->time_ms = ngx_http_reco_time_ms();
    request->slate = ngx_min(decide->slate, served->core->policy.slate);
    request->customer = ngx_http_reco_variable_id(&args[0]);
    request->session = ngx_http_reco_variable_id(&args[1]);

    if (decide->features == NULL) {
        return;
    }

    feature = decide->features->elts;

    for (i = 0; i < decide->features->nelts; i++) {
        ngx_http_reco_variable_feature(served->core, &feature[i].name,
                                       &args[2 + i]);
    }
}


/* A visitor's cookie or header must not break the page: what is no id counts
 * as absent. */

static reco_str_t
ngx_http_reco_variable_id(ngx_str_t *value)
{
    reco_str_t  id;

    id.data = (char *) value->data;
    id.len = value->len;

    if (id.len && reco_id_is_valid(id)) {
        return id;
    }

    if (id.len) {
        ngx_http_reco_count(NGX_HTTP_RECO_ERR_INVALID);
    }

    return RECO_STR("");
}


/* The same goes for a feature's value. */

static void
ngx_http_reco_variable_feature(const reco_model_t *core, ngx_str_t *name,
    ngx_str_t *value)
{
    int              i;
    reco_error_t     err;
    reco_value_t     v;
    reco_request_t  *request;

    request = &ngx_http_reco_worker.workspace->request;

    i = reco_model_request_feature(core, (reco_str_t) { (char *) name->data,
                                                        name->len });
    if (i < 0) {
        request->unknown_fields++;
        return;
    }

    v.word = ngx_http_reco_variable_id(value);

    if (v.word.len == 0) {
        return;
    }

    v.kind = RECO_VALUE_WORD;
    v.number = 0;

    if (reco_feature_convert(&core->features[i], &v, true, &err) != RECO_OK) {
        ngx_http_reco_count(NGX_HTTP_RECO_ERR_INVALID);
        return;
    }

    request->given[i] = v;
}


static void
ngx_http_reco_variable_failed(ngx_http_request_t *r, reco_status_t rc)
{
    reco_error_t  *err;

    err = &ngx_http_reco_worker.workspace->error;

    if (rc == RECO_NONE_ELIGIBLE) {
        ngx_http_reco_count(NGX_HTTP_RECO_ERR_NONE_ELIGIBLE);

    } else if (rc == RECO_INVALID || rc == RECO_LIMIT) {
        ngx_http_reco_count(NGX_HTTP_RECO_ERR_INVALID);

    } else {
        ngx_http_reco_count(NGX_HTTP_RECO_ERR_INTERNAL);
    }

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "reco: no decision for a variable: %s%s%s",
                  err->field, err->field[0] ? ": " : "", err->message);
}
