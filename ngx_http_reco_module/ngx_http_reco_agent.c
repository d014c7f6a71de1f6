/*
 * ngx_http_reco_agent.c - content handler of reco_agent: what a model that
 * learns tells of itself, from its snapshot and from shared memory. All that
 * is gathered lives in the request's pool or is borrowed from the snapshot,
 * which stays for the event.
 */

#include "ngx_http_reco_module.h"


/* of the history, while it is gathered */
typedef struct {
    ngx_pool_t                  *pool;
    const reco_history_query_t  *query;
    const reco_history_t       **records;
    ngx_uint_t                   nrecent;      /* the first so many came from
                                                  shared memory */
    ngx_uint_t                   n;
    ngx_uint_t                   max;
    unsigned                     failed:1;
} ngx_http_reco_gather_t;


static void ngx_http_reco_agent_fill(ngx_http_reco_served_t *served,
    reco_agent_t *agent);
static ngx_int_t ngx_http_reco_agent_metrics(ngx_http_request_t *r,
    ngx_http_reco_served_t *served, reco_agent_t *agent);
static ngx_int_t ngx_http_reco_agent_state(ngx_http_request_t *r,
    ngx_http_reco_served_t *served, reco_agent_t *agent);
static ngx_int_t ngx_http_reco_agent_history(ngx_http_request_t *r,
    ngx_http_reco_served_t *served, reco_agent_t *agent);
static reco_status_t ngx_http_reco_agent_query(ngx_http_request_t *r,
    reco_history_query_t *query);
static ngx_int_t ngx_http_reco_agent_gather(ngx_http_reco_served_t *served,
    ngx_http_reco_gather_t *gather);
static bool ngx_http_reco_agent_visit(void *data, const reco_history_t *h);
static int ngx_http_reco_agent_later(const void *one, const void *two);
static ngx_int_t ngx_http_reco_agent_send(ngx_http_request_t *r,
    const reco_agent_t *agent, const reco_history_query_t *query);


ngx_int_t
ngx_http_reco_agent_handler(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    reco_agent_t               agent;
    ngx_http_reco_served_t     served;
    ngx_http_reco_loc_conf_t  *rlcf;

    ngx_http_reco_count(NGX_HTTP_RECO_REQ_AGENT);

    rc = ngx_http_reco_check(r, RECO_METHOD_GET);
    if (rc != NGX_DECLINED) {
        return rc;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_reco_module);

    ngx_http_reco_serve(rlcf->model, &served);

    ngx_http_reco_agent_fill(&served, &agent);

    switch (rlcf->agent) {

    case NGX_HTTP_RECO_AGENT_METRICS:
        return ngx_http_reco_agent_metrics(r, &served, &agent);

    case NGX_HTTP_RECO_AGENT_STATE:
        return ngx_http_reco_agent_state(r, &served, &agent);

    default:
        return ngx_http_reco_agent_history(r, &served, &agent);
    }
}


/* What all of them tell. */

static void
ngx_http_reco_agent_fill(ngx_http_reco_served_t *served, reco_agent_t *agent)
{
    ngx_http_reco_model_t  *model;

    model = served->model;

    ngx_memzero(agent, sizeof(reco_agent_t));

    agent->model = served->core;
    agent->generation = served->generation;
    agent->time_ms = ngx_http_reco_time_ms();
    agent->counted = (ngx_http_reco_worker.conf->zone != NULL);

    if (model->snapshot) {
        agent->info = reco_snapshot_info(model->snapshot);
        agent->published_ms = model->published_ms;
        agent->snapshot_bytes = model->snapshot_bytes;
    }
}


static ngx_int_t
ngx_http_reco_agent_metrics(ngx_http_request_t *r,
    ngx_http_reco_served_t *served, reco_agent_t *agent)
{
    reco_count_t  *actions, *facts;

    if (ngx_http_reco_zone_actions(r->pool, served->model, served->core,
                                   &actions, &agent->nactions)
        != NGX_OK
        || ngx_http_reco_zone_facts(r->pool, &facts, &agent->nfacts) != NGX_OK)
    {
        return ngx_http_reco_send(r, NGX_HTTP_OK, NULL);
    }

    agent->actions = actions;
    agent->facts = facts;

    return ngx_http_reco_agent_send(r, agent, NULL);
}


static ngx_int_t
ngx_http_reco_agent_state(ngx_http_request_t *r,
    ngx_http_reco_served_t *served, reco_agent_t *agent)
{
    ngx_int_t              n;
    reco_history_query_t   query;
    const reco_history_t  *records[RECO_AGENT_RECENT];

    ngx_memzero(&query, sizeof(reco_history_query_t));
    query.to_ms = UINT64_MAX;

    n = ngx_http_reco_history_find(r->pool, served->model, &query, records,
                                   RECO_AGENT_RECENT);
    if (n == NGX_ERROR) {
        return ngx_http_reco_send(r, NGX_HTTP_OK, NULL);
    }

    agent->records = records;
    agent->nrecords = n;

    return ngx_http_reco_agent_send(r, agent, NULL);
}


static ngx_int_t
ngx_http_reco_agent_history(ngx_http_request_t *r,
    ngx_http_reco_served_t *served, reco_agent_t *agent)
{
    uint64_t                kept;
    reco_status_t           rc;
    reco_history_query_t    query;
    ngx_http_reco_gather_t  gather;

    rc = ngx_http_reco_agent_query(r, &query);
    if (rc != RECO_OK) {
        return ngx_http_reco_fail(r, rc);
    }

    /* what the spec keeps no longer is not shown any more */

    kept = served->core->history.recommendations_ms;

    if (kept < agent->time_ms) {
        query.from_ms = ngx_max(query.from_ms, agent->time_ms - kept);
    }

    ngx_memzero(&gather, sizeof(ngx_http_reco_gather_t));

    gather.pool = r->pool;
    gather.query = &query;
    gather.records = ngx_palloc(r->pool, 2 * query.limit
                                         * sizeof(reco_history_t *));

    if (gather.records == NULL
        || ngx_http_reco_agent_gather(served, &gather) != NGX_OK)
    {
        return ngx_http_reco_send(r, NGX_HTTP_OK, NULL);
    }

    agent->records = gather.records;
    agent->nrecords = ngx_min(gather.n, query.limit);

    return ngx_http_reco_agent_send(r, agent, &query);
}


static reco_status_t
ngx_http_reco_agent_query(ngx_http_request_t *r, reco_history_query_t *query)
{
    reco_str_t                  args;
    reco_arena_t                arena;
    reco_status_t               rc;
    ngx_http_reco_loc_conf_t   *rlcf;
    ngx_http_reco_workspace_t  *ws;

    ws = ngx_http_reco_worker.workspace;
    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_reco_module);

    reco_error_clear(&ws->error);

    args.data = (char *) r->args.data;
    args.len = r->args.len;

    arena = ngx_http_reco_arena(r, args.len);

    if (arena.base == NULL) {
        return reco_error_set(&ws->error, RECO_NO_MEMORY, "", "no memory");
    }

    rc = rlcf->format->agent->parse_history(args, &arena, query, &ws->error);

    if (rc == RECO_OK && query->customer.len) {
        query->customer_key =
                          reco_customer_key(ngx_http_reco_worker.conf->secret,
                                            query->customer, ws->customer_key);
    }

    return rc;
}


/* From both sources as many as are asked for, then in order. */

static ngx_int_t
ngx_http_reco_agent_gather(ngx_http_reco_served_t *served,
    ngx_http_reco_gather_t *gather)
{
    ngx_int_t                    n;
    const reco_history_query_t  *query;

    query = gather->query;

    n = ngx_http_reco_history_find(gather->pool, served->model, query,
                                   gather->records, query->limit);
    if (n == NGX_ERROR) {
        return NGX_ERROR;
    }

    gather->n = gather->nrecent = n;
    gather->max = n + query->limit;

    if (served->model->snapshot && query->customer_key.len
        && reco_snapshot_history(served->model->snapshot,
                                 RECO_HISTORY_RECOMMENDATION,
                                 query->customer_key, query->from_ms,
                                 query->to_ms, ngx_http_reco_agent_visit,
                                 gather)
           == RECO_NO_MEMORY)
    {
        return NGX_ERROR;
    }

    if (gather->failed) {
        return NGX_ERROR;
    }

    ngx_qsort(gather->records, gather->n, sizeof(reco_history_t *),
              ngx_http_reco_agent_later);

    return NGX_OK;
}


/* One of the snapshot's, where shared memory does not have it too. */

static bool
ngx_http_reco_agent_visit(void *data, const reco_history_t *h)
{
    ngx_http_reco_gather_t *gather = data;

    ngx_uint_t       i;
    reco_history_t  *copy;

    if (!reco_history_matches(gather->query, h)) {
        return true;
    }

    for (i = 0; i < gather->nrecent; i++) {
        if (ngx_memcmp(gather->records[i]->id.bytes, h->id.bytes,
                       RECO_ID_BYTES)
            == 0)
        {
            return true;
        }
    }

    copy = ngx_palloc(gather->pool, sizeof(reco_history_t));
    if (copy == NULL) {
        gather->failed = 1;
        return false;
    }

    *copy = *h;
    gather->records[gather->n++] = copy;

    return gather->n < gather->max;
}


static int
ngx_http_reco_agent_later(const void *one, const void *two)
{
    const reco_history_t *a = *(const reco_history_t *const *) one;
    const reco_history_t *b = *(const reco_history_t *const *) two;

    if (a->time_ms != b->time_ms) {
        return a->time_ms > b->time_ms ? -1 : 1;
    }

    return ngx_memcmp(b->id.bytes, a->id.bytes, RECO_ID_BYTES);
}


/* query: the history's, else NULL. */

static ngx_int_t
ngx_http_reco_agent_send(ngx_http_request_t *r, const reco_agent_t *agent,
    const reco_history_query_t *query)
{
    ngx_buf_t                  *b;
    reco_buf_t                  text;
    const reco_agent_format_t  *format;
    ngx_http_reco_loc_conf_t   *rlcf;

    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_reco_module);
    format = rlcf->format->agent;

    b = ngx_create_temp_buf(r->pool, format->bound(agent));
    if (b == NULL) {
        return ngx_http_reco_send(r, NGX_HTTP_OK, NULL);
    }

    reco_buf_init(&text, (char *) b->pos, b->end - b->pos);

    if (query) {
        format->render_history(&text, agent, query);

    } else if (rlcf->agent == NGX_HTTP_RECO_AGENT_METRICS) {
        format->render_metrics(&text, agent);

    } else {
        format->render_state(&text, agent);
    }

    if (text.overflow) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "reco: an answer is longer than its bound");
        return ngx_http_reco_send(r, NGX_HTTP_OK, NULL);
    }

    b->last = (u_char *) text.pos;

    return ngx_http_reco_send_type(r, NGX_HTTP_OK, b,
                                   query && query->csv
                                   ? "text/csv; charset=utf-8; header=present"
                                   : "application/json");
}
