/*
 * ngx_http_reco_agent.c - content handler of reco_agent: what a model that
 * learns tells of itself, from its snapshot and from shared memory. What is
 * gathered lives in a pool that goes with the event, or is borrowed from the
 * snapshot, which stays as long; the request keeps the answer alone.
 */

#include "ngx_http_reco_module.h"


/* records of a customer in the snapshot that one request looks at */
#define NGX_HTTP_RECO_AGENT_LOOKS  10000


/* records, while they are gathered */
typedef struct {
    ngx_pool_t                  *pool;
    const reco_history_query_t  *query;
    const reco_history_t       **records;
    ngx_uint_t                   nrecent;      /* the first so many came from
                                                  shared memory */
    ngx_uint_t                   n;
    ngx_uint_t                   max;
    ngx_uint_t                   looks;
    unsigned                     failed:1;
} ngx_http_reco_gather_t;


static ngx_buf_t *ngx_http_reco_agent_body(ngx_http_request_t *r,
    ngx_http_reco_served_t *served, reco_history_query_t *query);
static void ngx_http_reco_agent_fill(ngx_http_reco_served_t *served,
    reco_agent_t *agent);
static ngx_int_t ngx_http_reco_agent_counts(ngx_pool_t *pool,
    ngx_http_reco_served_t *served, reco_agent_t *agent);
static reco_status_t ngx_http_reco_agent_query(ngx_http_request_t *r,
    reco_history_query_t *query);
static ngx_int_t ngx_http_reco_agent_records(ngx_pool_t *pool,
    ngx_http_reco_served_t *served, reco_history_query_t *query,
    reco_agent_t *agent);
static ngx_int_t ngx_http_reco_agent_gather(ngx_http_reco_served_t *served,
    ngx_http_reco_gather_t *gather);
static bool ngx_http_reco_agent_visit(void *data, const reco_history_t *h);
static int ngx_http_reco_agent_later(const void *one, const void *two);
static ngx_buf_t *ngx_http_reco_agent_render(ngx_http_request_t *r,
    ngx_pool_t *pool, const reco_agent_t *agent,
    const reco_history_query_t *query);


ngx_int_t
ngx_http_reco_agent_handler(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_buf_t                 *b;
    reco_status_t              status;
    reco_history_query_t       query;
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

    ngx_memzero(&query, sizeof(reco_history_query_t));

    query.to_ms = UINT64_MAX;
    query.limit = RECO_AGENT_RECENT;

    if (rlcf->agent == NGX_HTTP_RECO_AGENT_HISTORY) {
        status = ngx_http_reco_agent_query(r, &query);
        if (status != RECO_OK) {
            return ngx_http_reco_fail(r, status);
        }
    }

    b = ngx_http_reco_agent_body(r, &served, &query);

    return ngx_http_reco_send_type(r, NGX_HTTP_OK, b,
                                   query.csv
                                   ? "text/csv; charset=utf-8; header=present"
                                   : "application/json");
}


/* The answer, in the request's pool; NULL without memory. */

static ngx_buf_t *
ngx_http_reco_agent_body(ngx_http_request_t *r,
    ngx_http_reco_served_t *served, reco_history_query_t *query)
{
    ngx_int_t                  rc;
    ngx_buf_t                 *b;
    ngx_pool_t                *pool;
    reco_agent_t               agent;
    ngx_http_reco_loc_conf_t  *rlcf;

    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_reco_module);

    pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, r->connection->log);
    if (pool == NULL) {
        return NULL;
    }

    ngx_http_reco_agent_fill(served, &agent);

    if (rlcf->agent == NGX_HTTP_RECO_AGENT_METRICS) {
        rc = ngx_http_reco_agent_counts(pool, served, &agent);

    } else {
        rc = ngx_http_reco_agent_records(pool, served, query, &agent);
    }

    b = (rc == NGX_OK) ? ngx_http_reco_agent_render(r, pool, &agent, query)
                       : NULL;

    ngx_destroy_pool(pool);

    return b;
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
ngx_http_reco_agent_counts(ngx_pool_t *pool, ngx_http_reco_served_t *served,
    reco_agent_t *agent)
{
    reco_count_t  *actions, *facts;

    if (ngx_http_reco_zone_actions(pool, served->model, served->core, &actions,
                                   &agent->nactions)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_reco_zone_facts(pool, &facts, &agent->nfacts) != NGX_OK) {
        return NGX_ERROR;
    }

    agent->actions = actions;
    agent->facts = facts;

    return NGX_OK;
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


/* The latest that the query asks for, newest first. */

static ngx_int_t
ngx_http_reco_agent_records(ngx_pool_t *pool, ngx_http_reco_served_t *served,
    reco_history_query_t *query, reco_agent_t *agent)
{
    uint64_t                kept;
    ngx_http_reco_gather_t  gather;

    /* what the spec keeps no longer is not shown any more */

    kept = served->core->history.recommendations_ms;

    if (kept < agent->time_ms) {
        query->from_ms = ngx_max(query->from_ms, agent->time_ms - kept);
    }

    ngx_memzero(&gather, sizeof(ngx_http_reco_gather_t));

    gather.pool = pool;
    gather.query = query;

    /* room for as many of either source */

    gather.records = ngx_palloc(pool, 2 * query->limit
                                      * sizeof(reco_history_t *));
    if (gather.records == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_reco_agent_gather(served, &gather) != NGX_OK) {
        return NGX_ERROR;
    }

    agent->records = gather.records;
    agent->nrecords = ngx_min(gather.n, query->limit);

    return NGX_OK;
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

    gather->n = n;
    gather->nrecent = n;
    gather->max = n + query->limit;

    /* in order, so that those of the snapshot are looked up among them */

    ngx_qsort(gather->records, n, sizeof(reco_history_t *),
              ngx_http_reco_agent_later);

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

    reco_history_t  *copy;

    if (gather->looks++ == NGX_HTTP_RECO_AGENT_LOOKS) {
        return false;
    }

    if (!reco_history_matches(gather->query, h)) {
        return true;
    }

    if (bsearch(&h, gather->records, gather->nrecent,
                sizeof(reco_history_t *), ngx_http_reco_agent_later))
    {
        return true;
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


static ngx_buf_t *
ngx_http_reco_agent_render(ngx_http_request_t *r, ngx_pool_t *pool,
    const reco_agent_t *agent, const reco_history_query_t *query)
{
    size_t                      size;
    u_char                     *p;
    reco_buf_t                  text;
    reco_status_t               rc;
    const reco_agent_format_t  *format;
    ngx_http_reco_loc_conf_t   *rlcf;

    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_reco_module);
    format = rlcf->format->agent;

    /* the bound is a multiple of the answer, which is copied */

    size = format->bound(agent);

    p = ngx_palloc(pool, size);
    if (p == NULL) {
        return NULL;
    }

    reco_buf_init(&text, (char *) p, size);

    switch (rlcf->agent) {

    case NGX_HTTP_RECO_AGENT_METRICS:
        rc = format->render_metrics(&text, agent);
        break;

    case NGX_HTTP_RECO_AGENT_STATE:
        rc = format->render_state(&text, agent);
        break;

    default:
        format->render_history(&text, agent, query);
        rc = RECO_OK;
    }

    if (rc != RECO_OK) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "reco: cannot answer: %s", reco_status_string(rc));
        return NULL;
    }

    return ngx_http_reco_text_buf(r, &text);
}
