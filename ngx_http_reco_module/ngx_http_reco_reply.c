/*
 * ngx_http_reco_reply.c - what a handler refuses before it reads a body, how
 * it answers, and how an answer waits for its record.
 *
 * An answer is sent with its status, never returned as one, so that the body
 * is ours and the connection stays usable. A waiting answer holds the count
 * that reading the body took; whatever ends the request first runs its
 * cleanup, which forgets the wait.
 */

#include "ngx_http_reco_module.h"


/* the log answers within a turn of the event loop, or within a disk's sync */
#define NGX_HTTP_RECO_DEADLINE  10000


static ngx_int_t ngx_http_reco_refuse(ngx_http_request_t *r,
    ngx_uint_t status, const char *code, const char *message);
static ngx_int_t ngx_http_reco_check_method(ngx_http_request_t *r,
    unsigned methods);
static ngx_int_t ngx_http_reco_is_json(ngx_str_t *type);
static void ngx_http_reco_wait_cleanup(void *data);
static void ngx_http_reco_wait_deadline(ngx_event_t *ev);
static void ngx_http_reco_wait_handler(ngx_http_reco_wait_t *wait,
    ngx_int_t rc);
static ngx_int_t ngx_http_reco_wait_send(ngx_http_reco_ctx_t *ctx,
    ngx_int_t rc);


static ngx_str_t  ngx_http_reco_allow = ngx_string("Allow");
static ngx_str_t  ngx_http_reco_retry_after = ngx_string("Retry-After");
static ngx_str_t  ngx_http_reco_unlogged = ngx_string("Reco-Unlogged");
static ngx_str_t  ngx_http_reco_one = ngx_string("1");


/* ---- before the body ---- */

ngx_int_t
ngx_http_reco_check(ngx_http_request_t *r, unsigned methods)
{
    ngx_int_t                  rc;
    ngx_table_elt_t           *type;
    ngx_http_reco_loc_conf_t  *rlcf;

    if (ngx_http_reco_worker.conf == NULL) {
        /* no memory when the worker started, and the log says so */
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    rc = ngx_http_reco_check_method(r, methods);
    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD)) {
        return NGX_DECLINED;
    }

    type = r->headers_in.content_type;

    if (type && !ngx_http_reco_is_json(&type->value)) {
        ngx_http_reco_count(NGX_HTTP_RECO_ERR_MEDIA_TYPE);
        return ngx_http_reco_refuse(r, NGX_HTTP_UNSUPPORTED_MEDIA_TYPE,
                                    "media_type",
                                    "send Content-Type: application/json");
    }

    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_reco_module);

    if (r->headers_in.content_length_n > (off_t) rlcf->body_max) {
        ngx_http_reco_count(NGX_HTTP_RECO_ERR_BODY_TOO_LARGE);
        return ngx_http_reco_refuse(r, NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                                    "too_large", "the body is too long");
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_reco_check_method(ngx_http_request_t *r, unsigned methods)
{
    unsigned   method;
    ngx_str_t  allow;
    u_char     buf[sizeof("GET, HEAD, POST, PUT")], *p;

    switch (r->method) {

    case NGX_HTTP_GET:
    case NGX_HTTP_HEAD:
        method = RECO_METHOD_GET;
        break;

    case NGX_HTTP_POST:
        method = RECO_METHOD_POST;
        break;

    case NGX_HTTP_PUT:
        method = RECO_METHOD_PUT;
        break;

    default:
        method = 0;
    }

    if (methods & method) {
        return NGX_DECLINED;
    }

    p = buf;

    if (methods & RECO_METHOD_GET) {
        p = ngx_cpymem(p, ", GET, HEAD", sizeof(", GET, HEAD") - 1);
    }

    if (methods & RECO_METHOD_POST) {
        p = ngx_cpymem(p, ", POST", sizeof(", POST") - 1);
    }

    if (methods & RECO_METHOD_PUT) {
        p = ngx_cpymem(p, ", PUT", sizeof(", PUT") - 1);
    }

    allow.len = p - buf - 2;
    allow.data = ngx_pnalloc(r->pool, allow.len);
    if (allow.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memcpy(allow.data, buf + 2, allow.len);

    if (ngx_http_reco_add_header(r, &ngx_http_reco_allow, &allow) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_reco_count(NGX_HTTP_RECO_ERR_METHOD);

    return ngx_http_reco_refuse(r, NGX_HTTP_NOT_ALLOWED, "method",
                                "method not allowed");
}


/* application/json, text/json and application/ANY+json, with parameters */

static ngx_int_t
ngx_http_reco_is_json(ngx_str_t *type)
{
    u_char  *p;
    size_t   len;

    p = ngx_strlchr(type->data, type->data + type->len, ';');
    len = p ? (size_t) (p - type->data) : type->len;

    while (len && (type->data[len - 1] == ' ' || type->data[len - 1] == '\t'))
    {
        len--;
    }

    if (len == sizeof("application/json") - 1
        && ngx_strncasecmp(type->data, (u_char *) "application/json", len)
           == 0)
    {
        return 1;
    }

    if (len == sizeof("text/json") - 1
        && ngx_strncasecmp(type->data, (u_char *) "text/json", len) == 0)
    {
        return 1;
    }

    return len > sizeof("application/+json") - 1
           && ngx_strncasecmp(type->data, (u_char *) "application/",
                              sizeof("application/") - 1)
              == 0
           && ngx_strncasecmp(type->data + len - (sizeof("+json") - 1),
                              (u_char *) "+json", sizeof("+json") - 1)
              == 0;
}


/* Answers without the body, which nginx then reads and drops. One that is too
 * long is not asked for, and the connection ends with the answer. */

static ngx_int_t
ngx_http_reco_refuse(ngx_http_request_t *r, ngx_uint_t status,
    const char *code, const char *message)
{
    ngx_int_t                  rc;
    ngx_http_reco_loc_conf_t  *rlcf;

    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_reco_module);

    if (r->headers_in.content_length_n > (off_t) rlcf->body_max) {
        r->expect_tested = 1;
        r->keepalive = 0;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    (void) reco_error_set(&ngx_http_reco_worker.workspace->error, RECO_INVALID,
                          "", "%s", message);

    return ngx_http_reco_problem(r, status, code);
}


ngx_int_t
ngx_http_reco_read(ngx_http_request_t *r,
    ngx_http_client_body_handler_pt post_handler)
{
    ngx_int_t  rc;

    if (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD)) {

        rc = ngx_http_discard_request_body(r);
        if (rc != NGX_OK) {
            return rc;
        }

        r->main->count++;
        post_handler(r);

        return NGX_DONE;
    }

    rc = ngx_http_read_client_request_body(r, post_handler);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        ngx_http_reco_count(NGX_HTTP_RECO_ERR_BODY_READ);
        return rc;
    }

    return NGX_DONE;
}


/* ---- answers ---- */

ngx_int_t
ngx_http_reco_text(reco_buf_t *b, size_t size)
{
    char                       *text;
    ngx_http_reco_workspace_t  *ws;

    ws = ngx_http_reco_worker.workspace;

    if (size > ws->text_size) {

        /* grows with a model's largest answer, so once in a while only */

        text = ngx_alloc(size, ngx_cycle->log);
        if (text == NULL) {
            return 0;
        }

        if (ws->text) {
            ngx_free(ws->text);
        }

        ws->text = text;
        ws->text_size = size;
    }

    reco_buf_init(b, ws->text, ws->text_size);

    return 1;
}


ngx_buf_t *
ngx_http_reco_text_buf(ngx_http_request_t *r, reco_buf_t *b)
{
    size_t      len;
    ngx_buf_t  *buf;

    if (b->overflow) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "reco: an answer is longer than its bound");
        return NULL;
    }

    len = reco_buf_len(b);

    buf = ngx_create_temp_buf(r->pool, len ? len : 1);
    if (buf == NULL) {
        return NULL;
    }

    buf->last = ngx_cpymem(buf->last, b->start, len);

    return buf;
}


ngx_int_t
ngx_http_reco_add_header(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
#if (nginx_version >= 1023000)
    h->next = NULL;
#endif
    h->key = *name;
    h->value = *value;

    return NGX_OK;
}


ngx_int_t
ngx_http_reco_send(ngx_http_request_t *r, ngx_uint_t status, ngx_buf_t *body)
{
    return ngx_http_reco_send_type(r, status, body, "application/json");
}


ngx_int_t
ngx_http_reco_send_type(ngx_http_request_t *r, ngx_uint_t status,
    ngx_buf_t *body, const char *type)
{
    u_char       *p;
    ngx_int_t     rc;
    ngx_str_t    *value;
    ngx_chain_t   out;

    if (body == NULL) {
        ngx_http_reco_count(NGX_HTTP_RECO_ERR_INTERNAL);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = status;

    if (status == 422) {
        /* the one that nginx has no words for */
        ngx_str_set(&r->headers_out.status_line, "422 Unprocessable Content");
    }

    r->headers_out.content_length_n = body->last - body->pos;

    value = &r->headers_out.content_type;

    value->data = (u_char *) type;
    value->len = ngx_strlen(type);

    /* parameters are no part of the type that gzip_types and others name */

    p = ngx_strlchr(value->data, value->data + value->len, ';');

    r->headers_out.content_type_len = p ? (size_t) (p - value->data)
                                        : value->len;
    r->headers_out.content_type_lowcase = NULL;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    body->last_buf = (r == r->main);
    body->last_in_chain = 1;

    out.buf = body;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


ngx_int_t
ngx_http_reco_problem(ngx_http_request_t *r, ngx_uint_t status,
    const char *code)
{
    reco_buf_t                 b;
    reco_problem_t             problem;
    ngx_http_reco_loc_conf_t  *rlcf;

    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_reco_module);

    problem.http = status;
    problem.code = code;
    problem.error = &ngx_http_reco_worker.workspace->error;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "reco: %ui %s: %s", status, code, problem.error->message);

    /* code, message and field, escaped, and their names */

    if (!ngx_http_reco_text(&b, 8192)) {
        return ngx_http_reco_send(r, status, NULL);
    }

    rlcf->format->render_problem(&b, &problem);

    return ngx_http_reco_send(r, status, ngx_http_reco_text_buf(r, &b));
}


ngx_int_t
ngx_http_reco_body_problem(ngx_http_request_t *r, ngx_int_t status)
{
    if (status != NGX_HTTP_REQUEST_ENTITY_TOO_LARGE) {
        ngx_http_reco_count(NGX_HTTP_RECO_ERR_BODY_READ);
        return status;
    }

    ngx_http_reco_count(NGX_HTTP_RECO_ERR_BODY_TOO_LARGE);

    (void) reco_error_set(&ngx_http_reco_worker.workspace->error, RECO_LIMIT,
                          "", "the body is too long");

    return ngx_http_reco_problem(r, status, "too_large");
}


ngx_int_t
ngx_http_reco_fail(ngx_http_request_t *r, reco_status_t status)
{
    reco_error_t  *err;

    err = &ngx_http_reco_worker.workspace->error;

    switch (status) {

    case RECO_NONE_ELIGIBLE:
        ngx_http_reco_count(NGX_HTTP_RECO_ERR_NONE_ELIGIBLE);
        return ngx_http_reco_problem(r, 422, "none_eligible");

    case RECO_FORGED:
        ngx_http_reco_count(NGX_HTTP_RECO_ERR_FORGED);
        return ngx_http_reco_problem(r, NGX_HTTP_FORBIDDEN, "forged");

    case RECO_LIMIT:
        ngx_http_reco_count(NGX_HTTP_RECO_ERR_INVALID);
        return ngx_http_reco_problem(r, NGX_HTTP_BAD_REQUEST, "limit");

    case RECO_INVALID:
        ngx_http_reco_count(NGX_HTTP_RECO_ERR_INVALID);
        return ngx_http_reco_problem(r, NGX_HTTP_BAD_REQUEST,
                                     err->field[0] ? "invalid_field"
                                                   : "invalid_json");

    default:
        ngx_http_reco_count(NGX_HTTP_RECO_ERR_INTERNAL);
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "reco: cannot answer: %s: %s",
                      reco_status_string(status), err->message);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
}


/* ---- answers that wait ---- */

ngx_http_reco_ctx_t *
ngx_http_reco_wait(ngx_http_request_t *r, ngx_http_reco_result_t *result,
    ngx_uint_t status, ngx_buf_t *body)
{
    ngx_http_cleanup_t   *cln;
    ngx_http_reco_ctx_t  *ctx;

    cln = ngx_http_cleanup_add(r, sizeof(ngx_http_reco_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    ctx = cln->data;
    ngx_memzero(ctx, sizeof(ngx_http_reco_ctx_t));

    cln->handler = ngx_http_reco_wait_cleanup;

    ctx->request = r;
    ctx->result = result;
    ctx->status = status;
    ctx->body = body;

    ctx->wait.handler = ngx_http_reco_wait_handler;
    ctx->wait.data = ctx;

    /* Nobody looks whether the client is still there: one that closed its side
     * is answered, and what is written is counted for one that went away. */

    /* Without sync=always the log answers in this very turn of the loop. Last,
     * so that an answer that does not wait after all leaves no timer. */

    if (ngx_http_reco_worker.conf->log.sync == NGX_HTTP_RECO_SYNC_ALWAYS) {
        ctx->deadline.handler = ngx_http_reco_wait_deadline;
        ctx->deadline.data = ctx;
        ctx->deadline.log = r->connection->log;

        ngx_add_timer(&ctx->deadline, NGX_HTTP_RECO_DEADLINE);
    }

    return ctx;
}


static void
ngx_http_reco_wait_cleanup(void *data)
{
    ngx_http_reco_ctx_t *ctx = data;

    ngx_http_reco_log_forget(&ctx->wait);

    if (ctx->deadline.timer_set) {
        ngx_del_timer(&ctx->deadline);
    }
}


static void
ngx_http_reco_wait_deadline(ngx_event_t *ev)
{
    ngx_http_reco_ctx_t *ctx = ev->data;

    ngx_log_error(NGX_LOG_ERR, ev->log, 0,
                  "reco: the event log did not answer in time");

    ngx_http_reco_log_forget(&ctx->wait);

    ngx_http_reco_wait_handler(&ctx->wait, NGX_ERROR);
}


static void
ngx_http_reco_wait_handler(ngx_http_reco_wait_t *wait, ngx_int_t rc)
{
    ngx_connection_t     *c;
    ngx_http_request_t   *r;
    ngx_http_reco_ctx_t  *ctx;

    ctx = wait->data;
    r = ctx->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    if (ctx->deadline.timer_set) {
        ngx_del_timer(&ctx->deadline);
    }

    ngx_http_finalize_request(r, ngx_http_reco_wait_send(ctx, rc));

    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_reco_wait_send(ngx_http_reco_ctx_t *ctx, ngx_int_t rc)
{
    ngx_uint_t           i;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ctx->result == NULL) {

        if (rc == NGX_OK) {
            ngx_http_reco_count(NGX_HTTP_RECO_REWARDS);

            for (i = 0; i < ctx->nkinds; i++) {
                ngx_http_reco_count_fact(ctx->kinds[i]);
            }

            return ngx_http_reco_send(r, ctx->status, ctx->body);
        }

        ngx_http_reco_count(NGX_HTTP_RECO_ERR_REWARD_UNLOGGED);

        if (ngx_http_reco_add_header(r, &ngx_http_reco_retry_after,
                                     &ngx_http_reco_one)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        (void) reco_error_set(&ngx_http_reco_worker.workspace->error, RECO_IO,
                              "", "the reward cannot be recorded now");

        return ngx_http_reco_problem(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                     "unavailable");
    }

    if (rc == NGX_ERROR) {
        ctx->result->unlogged = 1;
        ngx_http_reco_count(NGX_HTTP_RECO_UNLOGGED);

        if (ngx_http_reco_add_header(r, &ngx_http_reco_unlogged,
                                     &ngx_http_reco_one)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    return ngx_http_reco_send(r, ctx->status, ctx->body);
}
