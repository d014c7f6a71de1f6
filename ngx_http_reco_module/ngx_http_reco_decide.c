/*
 * ngx_http_reco_decide.c - one decision: from the parsed request in the
 * worker's workspace, through the core, to a result in the request's pool and
 * a record in the event log.
 *
 * The workspace is free again when the record is written (or queued): all of
 * this happens within one call from the event loop.
 */

#include "ngx_http_reco_module.h"


static void ngx_http_reco_customer(ngx_http_reco_served_t *served,
    reco_customer_t *customer);
static ngx_uint_t ngx_http_reco_wants_country(const reco_model_t *core);
static ngx_int_t ngx_http_reco_fill_result(ngx_http_request_t *r,
    ngx_http_reco_served_t *served, ngx_http_reco_result_t *result);
static void ngx_http_reco_items(ngx_http_reco_served_t *served,
    const reco_customer_t *customer);
static void ngx_http_reco_history(ngx_http_reco_served_t *served,
    ngx_http_reco_result_t *result);
static void ngx_http_reco_count_decision(ngx_http_reco_served_t *served);
static void ngx_http_reco_share_cleanup(void *data);


void
ngx_http_reco_serve(ngx_http_reco_model_t *model,
    ngx_http_reco_served_t *served)
{
    served->model = model;

    if (model->snapshot) {
        served->core = reco_snapshot_model(model->snapshot);
        served->generation = model->generation;

    } else {
        served->core = model->fallback;
        served->generation = 0;
    }

    if (model->bounds_of == served->core
        && model->bounds_generation == served->generation)
    {
        return;
    }

    model->bounds_of = served->core;
    model->bounds_generation = served->generation;
    model->record_bound = reco_event_decision_bound(served->core);
    model->answer_bound = reco_answer_bound(served->core, false);
    model->wants_country = ngx_http_reco_wants_country(served->core);
    model->last_seed = ngx_http_reco_last_seed(model);
}


reco_status_t
ngx_http_reco_decide(ngx_http_request_t *r, ngx_http_reco_served_t *served,
    ngx_http_reco_result_t **out)
{
    char                        text[RECO_ID_TEXT];
    reco_status_t               rc;
    reco_request_t             *request;
    reco_customer_t             customer;
    ngx_http_reco_result_t     *result;
    ngx_http_reco_worker_t     *worker;
    ngx_http_reco_workspace_t  *ws;

    worker = &ngx_http_reco_worker;
    ws = worker->workspace;
    request = &ws->request;

    ngx_http_reco_customer(served, &customer);

    if (served->model->wants_country) {
        request->country = ngx_http_reco_country(r);
    }

    rc = reco_features_resolve(served->core, request, &customer, &ws->features,
                               &ws->error);
    if (rc != RECO_OK) {
        return rc;
    }

    if (reco_eligible(served->core, &ws->features, request->has_flags,
                      &request->flags, &ws->eligible)
        == 0)
    {
        return reco_error_set(&ws->error, RECO_NONE_ELIGIBLE, "",
                              "no action may be shown");
    }

    result = ngx_pcalloc(r->pool, sizeof(ngx_http_reco_result_t));
    if (result == NULL) {
        return reco_error_set(&ws->error, RECO_NO_MEMORY, "", "no memory");
    }

    result->id = reco_id_next(&worker->ids, request->time_ms);
    reco_id_text(&result->id, text);

    rc = reco_decide(served->core, &ws->features, &ws->eligible,
                     request->slate, (reco_str_t) { text, RECO_ID_TEXT },
                     request->customer_key, &ws->scratch, &ws->decision);
    if (rc != RECO_OK) {
        return reco_error_set(&ws->error, rc, "", "no action may be shown");
    }

    ngx_http_reco_items(served, &customer);

    if (ngx_http_reco_fill_result(r, served, result) != NGX_OK) {
        return reco_error_set(&ws->error, RECO_NO_MEMORY, "", "no memory");
    }

    if (served->model->snapshot && request->customer_key.len
        && customer.data == NULL)
    {
        ngx_http_reco_count(NGX_HTTP_RECO_CUSTOMER_UNKNOWN);
    }

    *out = result;

    return RECO_OK;
}


/* What the first action, as a strategy, recommends; of a model without items
 * nothing. */

static void
ngx_http_reco_items(ngx_http_reco_served_t *served,
    const reco_customer_t *customer)
{
    ngx_http_reco_workspace_t  *ws;

    ws = ngx_http_reco_worker.workspace;

    ws->items.n = 0;

    if (served->core->items.slate) {
        reco_items_select(served->core, ws->decision.action[0], &ws->features,
                          &ws->request, customer, &ws->items_scratch,
                          &ws->items);
    }
}


/* The key the customer is known by, and the snapshot's record. */

static void
ngx_http_reco_customer(ngx_http_reco_served_t *served,
    reco_customer_t *customer)
{
    reco_request_t             *request;
    ngx_http_reco_workspace_t  *ws;

    ws = ngx_http_reco_worker.workspace;
    request = &ws->request;

    customer->data = NULL;
    customer->len = 0;
    ws->last_key = 0;

    if (request->customer.len == 0) {
        return;
    }

    request->customer_key = reco_customer_key(ngx_http_reco_worker.conf->secret,
                                              request->customer,
                                              ws->customer_key);

    ws->last_key = ngx_http_reco_last_key(served->model,
                                          request->customer_key);

    if (served->model->snapshot) {
        (void) reco_snapshot_customer(served->model->snapshot,
                                      request->customer_key, customer);
    }
}


static ngx_uint_t
ngx_http_reco_wants_country(const reco_model_t *core)
{
    uint32_t               i, j;
    const reco_feature_t  *f;

    for (i = 0; i < core->nfeatures; i++) {
        f = &core->features[i];

        for (j = 0; j < f->nfrom; j++) {
            if (f->from[j].source == RECO_SOURCE_GEO) {
                return 1;
            }
        }
    }

    return 0;
}


/* The address is the one that ngx_http_realip_module found, where it is on. */

reco_str_t
ngx_http_reco_country(ngx_http_request_t *r)
{
    if (ngx_http_reco_worker.geo == NULL) {
        return RECO_STR("");
    }

    return reco_geo_country(ngx_http_reco_worker.geo,
                            r->connection->sockaddr);
}


static ngx_int_t
ngx_http_reco_fill_result(ngx_http_request_t *r,
    ngx_http_reco_served_t *served, ngx_http_reco_result_t *result)
{
    size_t                      len;
    u_char                     *p;
    uint32_t                    i;
    reco_str_t                  id;
    reco_decision_t            *decision;
    ngx_http_reco_workspace_t  *ws;

    ws = ngx_http_reco_worker.workspace;
    decision = &ws->decision;

    len = RECO_TOKEN_MAX;

    for (i = 0; i < decision->n; i++) {
        len += served->core->catalogue.actions[decision->action[i]].id.len + 1;
    }

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    result->model = served->model;
    result->generation = served->generation;
    result->fallback = (served->model->snapshot == NULL);
    result->propensity = decision->propensity[0];

    result->token.data = p;
    result->token.len = reco_token_write(ngx_http_reco_worker.conf->secret,
                                         &result->id,
                                  (reco_str_t) { (char *)
                                                 served->model->name.data,
                                                 served->model->name.len },
                                         ws->request.customer_key, (char *) p);

    p += RECO_TOKEN_MAX;

    result->slate.data = p;

    for (i = 0; i < decision->n; i++) {
        id = served->core->catalogue.actions[decision->action[i]].id;

        if (i) {
            *p++ = ',';

        } else {
            result->action.data = p;
            result->action.len = id.len;
        }

        p = ngx_cpymem(p, id.data, id.len);
    }

    result->slate.len = p - result->slate.data;

    return NGX_OK;
}


ngx_int_t
ngx_http_reco_record(ngx_http_reco_served_t *served,
    ngx_http_reco_result_t *result, ngx_http_reco_wait_t *wait)
{
    size_t                      bound;
    ngx_int_t                   rc;
    reco_buf_t                  b;
    reco_decision_event_t       event;
    ngx_http_reco_workspace_t  *ws;

    ws = ngx_http_reco_worker.workspace;

    ngx_http_reco_count_decision(served);

    ngx_http_reco_last_set(ws->last_key, ws->request.time_ms);

    if (served->core->history.recommendations_ms) {
        ngx_http_reco_history(served, result);
    }

    bound = served->model->record_bound;

    if (ws->request.ncart || ws->request.nexclude) {
        bound += reco_event_request_bound(&ws->request);
    }

    rc = ngx_http_reco_log_begin(RECO_EVENT_DECISION, bound, &b, &event.seq);

    if (rc != NGX_OK) {
        if (wait) {
            ngx_http_reco_log_skip(wait);
        }

        return rc;
    }

    event.id = result->id;
    event.time_ms = ws->request.time_ms;
    event.generation = result->generation;
    event.model = served->core;
    event.customer_key = ws->request.customer_key;
    event.session = ws->request.session;
    event.features = &ws->features;
    event.eligible = &ws->eligible;
    event.decision = &ws->decision;
    event.request = &ws->request;
    event.items = served->core->items.slate ? &ws->items : NULL;
    event.fallback = result->fallback;
    event.not_replayable = false;

    reco_event_write_decision(&b, &event);

    return ngx_http_reco_log_end(&b, wait);
}


static void
ngx_http_reco_history(ngx_http_reco_served_t *served,
    ngx_http_reco_result_t *result)
{
    uint32_t                    i;
    reco_history_t              h;
    ngx_http_reco_workspace_t  *ws;

    ws = ngx_http_reco_worker.workspace;

    h.kind = RECO_HISTORY_RECOMMENDATION;
    h.time_ms = ws->request.time_ms;
    h.generation = result->generation;
    h.id = result->id;
    h.customer_key = ws->request.customer_key;
    h.session = ws->request.session;
    h.action = served->core->catalogue.actions[ws->decision.action[0]].id;
    h.value = ws->decision.confidence;
    h.count = 0;
    h.nitems = ws->items.n;

    for (i = 0; i < h.nitems; i++) {
        h.items[i] = ws->items.items[i].item.id;
    }

    ngx_http_reco_history_add(served->model, &h);
}


static void
ngx_http_reco_count_decision(ngx_http_reco_served_t *served)
{
    uint32_t                    i, n, *labels;
    reco_decision_t            *decision;
    ngx_http_reco_workspace_t  *ws;

    ws = ngx_http_reco_worker.workspace;
    decision = &ws->decision;

    ngx_http_reco_count(NGX_HTTP_RECO_DECISIONS);

    if (served->model->snapshot == NULL) {
        ngx_http_reco_count(NGX_HTTP_RECO_FALLBACK);
        labels = served->model->fallback_labels;

    } else {
        labels = served->model->action_labels;
        n = ws->request.unknown_fields;

        if (n) {
            ngx_http_reco_count_n(NGX_HTTP_RECO_UNKNOWN_FIELDS, n);
        }

        if (decision->state_known && decision->level) {
            ngx_http_reco_count(NGX_HTTP_RECO_BACKOFF);
        }

        if (decision->unseen) {
            ngx_http_reco_count_n(NGX_HTTP_RECO_UNSEEN, decision->unseen);
        }

        if (served->core->items.slate && ws->items.unknown) {
            ngx_http_reco_count_n(NGX_HTTP_RECO_UNKNOWN_ITEMS,
                                  ws->items.unknown);
        }

        if (decision->low_mass) {
            ngx_http_reco_count(NGX_HTTP_RECO_LOW_MASS);
        }

        if (!decision->state_known
            && (served->core->policy.type == RECO_POLICY_P_TABLE
                || served->core->policy.type == RECO_POLICY_Q_TABLE))
        {
            ngx_http_reco_count(NGX_HTTP_RECO_STATE_UNKNOWN);
        }
    }

    if (labels == NULL) {
        return;
    }

    for (i = 0; i < decision->n; i++) {
        ngx_http_reco_count_action(labels[decision->action[i]]);
    }
}


reco_arena_t
ngx_http_reco_arena(ngx_http_request_t *r, size_t len)
{
    reco_arena_t  arena;

    arena = ngx_http_reco_worker.workspace->arena;
    arena.used = 0;

    if (2 * len + 1024 > arena.size) {
        arena.size = 2 * len + 1024;
        arena.base = ngx_palloc(r->pool, arena.size);
    }

    return arena;
}


/*
 * Found by the module's context or, after an internal redirect cleared it, by
 * the cleanup in the pool, which the main request shares with its subrequests.
 */

ngx_http_reco_share_t *
ngx_http_reco_share(ngx_http_request_t *r, ngx_uint_t create)
{
    ngx_pool_cleanup_t     *cln;
    ngx_http_reco_share_t  *share;

    share = ngx_http_get_module_ctx(r->main, ngx_http_reco_module);

    if (share) {
        return share;
    }

    for (cln = r->main->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_reco_share_cleanup) {
            ngx_http_set_ctx(r->main, cln->data, ngx_http_reco_module);
            return cln->data;
        }
    }

    if (!create) {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(r->main->pool, sizeof(ngx_http_reco_share_t));
    if (cln == NULL) {
        return NULL;
    }

    ngx_memzero(cln->data, sizeof(ngx_http_reco_share_t));
    cln->handler = ngx_http_reco_share_cleanup;

    ngx_http_set_ctx(r->main, cln->data, ngx_http_reco_module);

    return cln->data;
}


/* a mark to find the data by */

static void
ngx_http_reco_share_cleanup(void *data)
{
}
