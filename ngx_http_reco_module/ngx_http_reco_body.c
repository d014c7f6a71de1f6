/*
 * ngx_http_reco_body.c - a request's body as one string, wherever nginx put
 * it: one buffer, several, a temporary file, or a mix.
 */

#include "ngx_http_reco_module.h"


static ngx_int_t ngx_http_reco_copy_buf(ngx_http_request_t *r, ngx_buf_t *b,
    u_char *p, size_t size);


ngx_int_t
ngx_http_reco_body(ngx_http_request_t *r, size_t max, reco_str_t *body)
{
    off_t         size, len;
    u_char       *p;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    body->data = "";
    body->len = 0;

    if (r->request_body == NULL || r->request_body->bufs == NULL) {
        return NGX_OK;
    }

    len = 0;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        len += ngx_buf_size(cl->buf);
    }

    /* a chunked body tells its length only now */

    if (len > (off_t) max) {
        return NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    }

    cl = r->request_body->bufs;
    b = cl->buf;

    if (cl->next == NULL && ngx_buf_in_memory(b)) {
        body->data = (char *) b->pos;
        body->len = len;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, len + 1);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    body->data = (char *) p;
    body->len = len;

    for ( /* void */ ; cl; cl = cl->next) {
        size = ngx_buf_size(cl->buf);

        if (ngx_http_reco_copy_buf(r, cl->buf, p, size) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        p += size;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_reco_copy_buf(ngx_http_request_t *r, ngx_buf_t *b, u_char *p,
    size_t size)
{
    ssize_t  n;

    if (ngx_buf_in_memory(b)) {
        ngx_memcpy(p, b->pos, size);
        return NGX_OK;
    }

    if (size == 0) {
        return NGX_OK;
    }

    n = ngx_read_file(b->file, p, size, b->file_pos);

    if (n == (ssize_t) size) {
        return NGX_OK;
    }

    if (n != NGX_ERROR) {
        ngx_log_error(NGX_LOG_CRIT, r->connection->log, 0,
                      "reco: read only %z of %uz bytes of a body in \"%V\"",
                      n, size, &b->file->name);
    }

    return NGX_ERROR;
}
