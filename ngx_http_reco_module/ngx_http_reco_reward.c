/*
 * ngx_http_reco_reward.c - content handler of reco_reward: facts about a
 * decision, or about a customer's last one, written to the event log before
 * they are acknowledged.
 */

#include "ngx_http_reco_module.h"


static void ngx_http_reco_reward(ngx_http_request_t *r);
static ngx_int_t ngx_http_reco_reward_run(ngx_http_request_t *r,
    reco_str_t body);
static reco_status_t ngx_http_reco_reward_parse(ngx_http_request_t *r,
    reco_str_t body);
static reco_status_t ngx_http_reco_reward_check(ngx_http_request_t *r,
    reco_reward_event_t *event);
static ngx_int_t ngx_http_reco_reward_answer(ngx_http_request_t *r,
    reco_reward_event_t *event);
static ngx_int_t ngx_http_reco_reward_kinds(ngx_http_request_t *r,
    ngx_http_reco_ctx_t *ctx, reco_reward_event_t *event);
static void ngx_http_reco_reward_write(reco_reward_event_t *event,
    ngx_http_reco_wait_t *wait);


ngx_int_t
ngx_http_reco_reward_handler(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_http_reco_loc_conf_t  *rlcf;

    ngx_http_reco_count(NGX_HTTP_RECO_REQ_REWARD);

    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_reco_module);

    rc = ngx_http_reco_check(r, rlcf->format->reward_methods);
    if (rc != NGX_DECLINED) {
        return rc;
    }

    return ngx_http_reco_read(r, ngx_http_reco_reward);
}


/* The body is there. */

static void
ngx_http_reco_reward(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    reco_str_t                 body;
    ngx_http_reco_loc_conf_t  *rlcf;

    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_reco_module);

    rc = ngx_http_reco_body(r, rlcf->body_max, &body);

    rc = (rc == NGX_OK) ? ngx_http_reco_reward_run(r, body)
                        : ngx_http_reco_body_problem(r, rc);

    if (rc == NGX_DONE) {
        /* the answer waits for its record */
        return;
    }

    ngx_http_finalize_request(r, rc);
}


/* NGX_DONE: the answer waits. Else what to finalize with. */

static ngx_int_t
ngx_http_reco_reward_run(ngx_http_request_t *r, reco_str_t body)
{
    reco_status_t              rc;
    reco_reward_event_t        event;
    ngx_http_reco_loc_conf_t  *rlcf;

    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_reco_module);

    rc = ngx_http_reco_reward_parse(r, body);

    if (rc == RECO_OK) {
        rc = ngx_http_reco_reward_check(r, &event);
    }

    if (rc != RECO_OK) {
        return ngx_http_reco_fail(r, rc);
    }

    if (!event.has_decision
        && !rlcf->accept_unknown
        && ngx_http_reco_last_known(ngx_http_reco_last_key(rlcf->model,
                                                           event.customer_key))
           == NGX_DECLINED)
    {
        ngx_http_reco_count(NGX_HTTP_RECO_ERR_NO_DECISION);

        (void) reco_error_set(&ngx_http_reco_worker.workspace->error,
                              RECO_NOT_FOUND, "",
                              "the customer has no decision");

        return ngx_http_reco_problem(r, NGX_HTTP_NOT_FOUND, "no_decision");
    }

    return ngx_http_reco_reward_answer(r, &event);
}


static reco_status_t
ngx_http_reco_reward_parse(ngx_http_request_t *r, reco_str_t body)
{
    reco_parse_t                parse;
    ngx_http_reco_served_t      served;
    ngx_http_reco_loc_conf_t   *rlcf;
    ngx_http_reco_workspace_t  *ws;

    ws = ngx_http_reco_worker.workspace;
    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_reco_module);

    parse.keys = &ws->keys;
    parse.arena = ngx_http_reco_arena(r, body.len);

    if (parse.arena.base == NULL) {
        return reco_error_set(&ws->error, RECO_NO_MEMORY, "", "no memory");
    }

    reco_error_clear(&ws->error);

    ngx_http_reco_serve(rlcf->model, &served);

    ws->reward.time_ms = ngx_http_reco_time_ms();

    return rlcf->format->parse_reward(body, served.core, &parse, &ws->reward,
                                      &ws->error);
}


/* A token names model and customer, so that one taken from another's answer
 * does not pass. */

static reco_status_t
ngx_http_reco_reward_check(ngx_http_request_t *r, reco_reward_event_t *event)
{
    reco_str_t                  name;
    reco_status_t               rc;
    reco_reward_request_t      *reward;
    ngx_http_reco_served_t      served;
    ngx_http_reco_loc_conf_t   *rlcf;
    ngx_http_reco_workspace_t  *ws;

    ws = ngx_http_reco_worker.workspace;
    reward = &ws->reward;
    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_reco_module);

    ngx_http_reco_serve(rlcf->model, &served);

    event->time_ms = ngx_http_reco_time_ms();
    event->generation = served.generation;
    event->model = served.core->name;
    event->has_decision = (reward->token.len != 0);
    event->customer_key = RECO_STR("");
    event->session = reward->session;
    event->key = reward->key;
    event->action = reward->action;
    event->facts = reward->facts;
    event->nfacts = reward->nfacts;
    event->items = reward->items;
    event->nitems = reward->nitems;

    if (reward->customer.len) {
        event->customer_key = reco_customer_key(
                                             ngx_http_reco_worker.conf->secret,
                                             reward->customer,
                                             ws->customer_key);
    }

    if (!event->has_decision) {
        return RECO_OK;
    }

    name.data = (char *) rlcf->model->name.data;
    name.len = rlcf->model->name.len;

    rc = reco_token_check(ngx_http_reco_worker.conf->secret, reward->token,
                          name, event->customer_key, &event->decision);

    switch (rc) {

    case RECO_OK:
        return RECO_OK;

    case RECO_FORGED:
        return reco_error_set(&ws->error, RECO_FORGED, "",
                              "the decision's token does not verify for this "
                              "model and customer");

    default:
        return reco_error_set(&ws->error, rc, rlcf->format->token_field,
                              "must be a decision's token");
    }
}


static ngx_int_t
ngx_http_reco_reward_answer(ngx_http_request_t *r, reco_reward_event_t *event)
{
    ngx_buf_t                  *body;
    reco_buf_t                  b;
    ngx_http_reco_ctx_t        *ctx;
    ngx_http_reco_loc_conf_t   *rlcf;
    ngx_http_reco_workspace_t  *ws;

    ws = ngx_http_reco_worker.workspace;
    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_reco_module);

    /* an answer repeats no more than ids of the request */

    if (!ngx_http_reco_text(&b, 8192)) {
        return ngx_http_reco_send(r, NGX_HTTP_OK, NULL);
    }

    rlcf->format->render_reward(&b, &ws->reward);

    body = ngx_http_reco_text_buf(r, &b);
    if (body == NULL) {
        return ngx_http_reco_send(r, NGX_HTTP_OK, NULL);
    }

    ctx = ngx_http_reco_wait(r, NULL, NGX_HTTP_OK, body);
    if (ctx == NULL) {
        return ngx_http_reco_send(r, NGX_HTTP_OK, NULL);
    }

    if (ngx_http_reco_reward_kinds(r, ctx, event) != NGX_OK) {
        if (ctx->deadline.timer_set) {
            ngx_del_timer(&ctx->deadline);
        }

        return ngx_http_reco_send(r, NGX_HTTP_OK, NULL);
    }

    ngx_http_reco_reward_write(event, &ctx->wait);

    return NGX_DONE;
}


/* The kinds are counted when the reward is in the log; by then another text
 * may be in the workspace. */

static ngx_int_t
ngx_http_reco_reward_kinds(ngx_http_request_t *r, ngx_http_reco_ctx_t *ctx,
    reco_reward_event_t *event)
{
    size_t       len;
    u_char      *p;
    uint32_t     i;
    reco_str_t   name;

    if (event->nfacts == 0) {
        return NGX_OK;
    }

    len = event->nfacts * sizeof(reco_str_t);

    for (i = 0; i < event->nfacts; i++) {
        len += event->facts[i].name.len;
    }

    ctx->kinds = ngx_palloc(r->pool, len);
    if (ctx->kinds == NULL) {
        return NGX_ERROR;
    }

    ctx->nkinds = event->nfacts;
    p = (u_char *) &ctx->kinds[event->nfacts];

    for (i = 0; i < event->nfacts; i++) {
        name = event->facts[i].name;

        ctx->kinds[i].data = (char *) p;
        ctx->kinds[i].len = name.len;

        p = ngx_cpymem(p, name.data, name.len);
    }

    return NGX_OK;
}


static void
ngx_http_reco_reward_write(reco_reward_event_t *event,
    ngx_http_reco_wait_t *wait)
{
    reco_buf_t  b;

    if (ngx_http_reco_log_begin(RECO_EVENT_REWARD, reco_event_reward_bound(),
                                &b, &event->seq)
        != NGX_OK)
    {
        ngx_http_reco_log_skip(wait);
        return;
    }

    reco_event_write_reward(&b, event);

    (void) ngx_http_reco_log_end(&b, wait);
}
