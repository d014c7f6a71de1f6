/*
 * ngx_http_reco_recommend.c - content handler of reco_recommend: a request in
 * a format's JSON (or arguments), a decision, its record, the answer.
 */

#include "ngx_http_reco_module.h"


static void ngx_http_reco_recommend(ngx_http_request_t *r);
static ngx_int_t ngx_http_reco_recommend_run(ngx_http_request_t *r,
    reco_str_t body);
static reco_status_t ngx_http_reco_recommend_parse(ngx_http_request_t *r,
    const reco_model_t *core, reco_str_t body);
static ngx_int_t ngx_http_reco_recommend_answer(ngx_http_request_t *r,
    ngx_http_reco_served_t *served, ngx_http_reco_result_t *result);
static ngx_buf_t *ngx_http_reco_recommend_render(ngx_http_request_t *r,
    ngx_http_reco_served_t *served, ngx_http_reco_result_t *result);
static ngx_int_t ngx_http_reco_recommend_headers(ngx_http_request_t *r,
    ngx_http_reco_result_t *result);
static void ngx_http_reco_recommend_share(ngx_http_request_t *r,
    ngx_http_reco_result_t *result);


static ngx_str_t  ngx_http_reco_decision_id = ngx_string("Reco-Decision-Id");
static ngx_str_t  ngx_http_reco_generation = ngx_string("Reco-Generation");
static ngx_str_t  ngx_http_reco_fallback = ngx_string("Reco-Fallback");
static ngx_str_t  ngx_http_reco_one = ngx_string("1");


ngx_int_t
ngx_http_reco_recommend_handler(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_http_reco_loc_conf_t  *rlcf;

    ngx_http_reco_count(NGX_HTTP_RECO_REQ_RECOMMEND);

    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_reco_module);

    rc = ngx_http_reco_check(r, rlcf->format->decide_methods);
    if (rc != NGX_DECLINED) {
        return rc;
    }

    return ngx_http_reco_read(r, ngx_http_reco_recommend);
}


/* The body is there; a GET has arguments instead. */

static void
ngx_http_reco_recommend(ngx_http_request_t *r)
{
    uint64_t                   began;
    ngx_int_t                  rc;
    reco_str_t                 body;
    ngx_http_reco_loc_conf_t  *rlcf;

    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_reco_module);

    began = ngx_http_reco_monotonic_ns();

    if (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD)) {
        body = RECO_STR("");
        rc = NGX_OK;

    } else {
        rc = ngx_http_reco_body(r, rlcf->body_max, &body);
    }

    rc = (rc == NGX_OK) ? ngx_http_reco_recommend_run(r, body)
                        : ngx_http_reco_body_problem(r, rc);

    if (rc == NGX_DONE) {
        /* the answer waits for its record */
        ngx_http_reco_latency(ngx_http_reco_monotonic_ns() - began);
        return;
    }

    ngx_http_finalize_request(r, rc);
}


/* NGX_DONE: the answer waits. Else what to finalize with. */

static ngx_int_t
ngx_http_reco_recommend_run(ngx_http_request_t *r, reco_str_t body)
{
    reco_status_t              rc;
    ngx_http_reco_served_t     served;
    ngx_http_reco_result_t    *result;
    ngx_http_reco_loc_conf_t  *rlcf;

    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_reco_module);

    ngx_http_reco_serve(rlcf->model, &served);

    rc = ngx_http_reco_recommend_parse(r, served.core, body);

    if (rc == RECO_OK) {
        rc = ngx_http_reco_decide(r, &served, &result);
    }

    if (rc != RECO_OK) {
        return ngx_http_reco_fail(r, rc);
    }

    return ngx_http_reco_recommend_answer(r, &served, result);
}


static reco_status_t
ngx_http_reco_recommend_parse(ngx_http_request_t *r, const reco_model_t *core,
    reco_str_t body)
{
    reco_str_t                  args;
    reco_parse_t                parse;
    reco_status_t               rc;
    ngx_http_reco_loc_conf_t   *rlcf;
    ngx_http_reco_workspace_t  *ws;

    ws = ngx_http_reco_worker.workspace;
    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_reco_module);

    args = RECO_STR("");

    if (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD)) {
        args.data = (char *) r->args.data;
        args.len = r->args.len;

    } else if (body.len == 0) {
        (void) reco_error_set(&ws->error, RECO_INVALID, "",
                              "the body is empty");
        ws->error.position = 0;
        return RECO_INVALID;
    }

    parse.keys = &ws->keys;
    parse.arena = ngx_http_reco_arena(r, ngx_max(body.len, args.len));

    if (parse.arena.base == NULL) {
        return reco_error_set(&ws->error, RECO_NO_MEMORY, "", "no memory");
    }

    reco_request_reset(&ws->request, core->nfeatures);
    ws->request.time_ms = ngx_http_reco_time_ms();

    reco_error_clear(&ws->error);

    rc = rlcf->format->parse_decide(body, args, core, &parse, &ws->request,
                                    &ws->error);

    if (!rlcf->explain) {
        ws->request.explain = false;
    }

    return rc;
}


static ngx_int_t
ngx_http_reco_recommend_answer(ngx_http_request_t *r,
    ngx_http_reco_served_t *served, ngx_http_reco_result_t *result)
{
    ngx_buf_t            *body;
    ngx_http_reco_ctx_t  *ctx;

    body = ngx_http_reco_recommend_render(r, served, result);

    if (body == NULL || ngx_http_reco_recommend_headers(r, result) != NGX_OK) {
        return ngx_http_reco_send(r, NGX_HTTP_OK, NULL);
    }

    ctx = ngx_http_reco_wait(r, result, NGX_HTTP_OK, body);
    if (ctx == NULL) {
        return ngx_http_reco_send(r, NGX_HTTP_OK, NULL);
    }

    (void) ngx_http_reco_record(served, result, &ctx->wait);

    ngx_http_reco_recommend_share(r, result);

    return NGX_DONE;
}


static ngx_buf_t *
ngx_http_reco_recommend_render(ngx_http_request_t *r,
    ngx_http_reco_served_t *served, ngx_http_reco_result_t *result)
{
    size_t                      bound;
    reco_buf_t                  b;
    reco_answer_t               answer;
    ngx_http_reco_loc_conf_t   *rlcf;
    ngx_http_reco_workspace_t  *ws;

    ws = ngx_http_reco_worker.workspace;
    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_reco_module);

    bound = ws->request.explain ? reco_answer_bound(served->core, true)
                                : served->model->answer_bound;

    if (!ngx_http_reco_text(&b, bound)) {
        return NULL;
    }

    answer.model = served->core;
    answer.request = &ws->request;
    answer.features = &ws->features;
    answer.eligible = &ws->eligible;
    answer.decision = &ws->decision;
    answer.items = &ws->items;
    answer.scratch = &ws->scratch;
    answer.generation = result->generation;
    answer.token.data = (char *) result->token.data;
    answer.token.len = result->token.len;
    answer.fallback = result->fallback;

    rlcf->format->render_decision(&b, &answer, rlcf->variant);

    return ngx_http_reco_text_buf(r, &b);
}


static ngx_int_t
ngx_http_reco_recommend_headers(ngx_http_request_t *r,
    ngx_http_reco_result_t *result)
{
    ngx_str_t  generation;

    generation.data = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (generation.data == NULL) {
        return NGX_ERROR;
    }

    generation.len = ngx_sprintf(generation.data, "%uL", result->generation)
                     - generation.data;

    if (ngx_http_reco_add_header(r, &ngx_http_reco_decision_id,
                                 &result->token)
        != NGX_OK
        || ngx_http_reco_add_header(r, &ngx_http_reco_generation, &generation)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (!result->fallback) {
        return NGX_OK;
    }

    return ngx_http_reco_add_header(r, &ngx_http_reco_fallback,
                                    &ngx_http_reco_one);
}


/* The main request's own answer is what its variables tell; a subrequest's
 * is, where there is none yet. */

static void
ngx_http_reco_recommend_share(ngx_http_request_t *r,
    ngx_http_reco_result_t *result)
{
    ngx_http_reco_share_t  *share;

    share = ngx_http_reco_share(r, 1);

    if (share && (r == r->main || share->result == NULL)) {
        share->result = result;
    }
}
