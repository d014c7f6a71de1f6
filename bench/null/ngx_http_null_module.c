/*
 * The null handler of the benchmark: `null SIZE;` in a location reads the
 * request's body to its end and answers with SIZE bytes. What a content
 * handler costs before it does anything.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


typedef struct {
    ngx_str_t  answer;
} ngx_http_null_loc_conf_t;


static char *ngx_http_null(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static void *ngx_http_null_create_loc_conf(ngx_conf_t *cf);


static ngx_command_t  ngx_http_null_commands[] = {

    { ngx_string("null"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_null,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_null_module_ctx = {
    NULL,                                  /* preconfiguration */
    NULL,                                  /* postconfiguration */
    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */
    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */
    ngx_http_null_create_loc_conf,         /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_null_module = {
    NGX_MODULE_V1,
    &ngx_http_null_module_ctx,             /* module context */
    ngx_http_null_commands,                /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static void
ngx_http_null_answer(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_buf_t                 *b;
    ngx_chain_t                out;
    ngx_http_null_loc_conf_t  *nlcf;

    nlcf = ngx_http_get_module_loc_conf(r, ngx_http_null_module);

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    b->pos = nlcf->answer.data;
    b->last = nlcf->answer.data + nlcf->answer.len;
    b->memory = 1;
    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = nlcf->answer.len;
    ngx_str_set(&r->headers_out.content_type, "application/json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;

    rc = ngx_http_send_header(r);
    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        ngx_http_finalize_request(r, rc);
        return;
    }

    ngx_http_finalize_request(r, ngx_http_output_filter(r, &out));
}


static ngx_int_t
ngx_http_null_handler(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    rc = ngx_http_read_client_request_body(r, ngx_http_null_answer);

    return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
}


static char *
ngx_http_null(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_null_loc_conf_t *nlcf = conf;

    ngx_int_t                  n;
    ngx_str_t                 *value;
    ngx_http_core_loc_conf_t  *clcf;

    value = cf->args->elts;

    n = ngx_atoi(value[1].data, value[1].len);
    if (n == NGX_ERROR || n < 2) {
        return "has an invalid size";
    }

    nlcf->answer.data = ngx_pnalloc(cf->pool, n);
    if (nlcf->answer.data == NULL) {
        return NGX_CONF_ERROR;
    }

    nlcf->answer.len = n;
    ngx_memset(nlcf->answer.data, 'x', n);
    nlcf->answer.data[0] = '"';
    nlcf->answer.data[n - 1] = '"';

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_null_handler;

    return NGX_CONF_OK;
}


static void *
ngx_http_null_create_loc_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_null_loc_conf_t));
}
