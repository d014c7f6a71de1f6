/*
 * ngx_http_reco_fallback.c - what answers for a model while there is no
 * snapshot: a model of its own, made when the configuration is read from a
 * spec that says no more than which actions there are. It takes the first
 * eligible ones in that order, each with probability 1. Goes with the cycle's
 * pool.
 */

#include "ngx_http_reco_module.h"


static void ngx_http_reco_fallback_spec(reco_buf_t *b, ngx_str_t *model,
    ngx_str_t *ids, ngx_uint_t slate);
static void ngx_http_reco_free_fallback(void *data);


char *
ngx_http_reco_make_fallback(ngx_conf_t *cf, ngx_http_reco_model_t *model,
    ngx_str_t *ids, ngx_uint_t slate)
{
    char                *text;
    size_t               size;
    reco_buf_t           b;
    reco_error_t         err;
    reco_model_t        *fallback;
    ngx_pool_cleanup_t  *cln;

    /* an escaped byte takes six; an id has at most {"id":""}, around it */

    size = 256 + 6 * model->name.len + 17 * (ids->len + 1);

    text = ngx_palloc(cf->temp_pool, size);
    cln = ngx_pool_cleanup_add(cf->pool, 0);

    if (text == NULL || cln == NULL) {
        return NGX_CONF_ERROR;
    }

    reco_buf_init(&b, text, size);

    ngx_http_reco_fallback_spec(&b, &model->name, ids, slate);

    if (reco_spec_read((reco_str_t) { text, reco_buf_len(&b) }, &fallback,
                       NULL, &err)
        != RECO_OK)
    {
        goto failed;
    }

    cln->handler = ngx_http_reco_free_fallback;
    cln->data = fallback;

    if (reco_spec_bind(fallback, NULL, 0, NULL, 0, &err) != RECO_OK) {
        goto failed;
    }

    model->fallback = fallback;

    return NGX_CONF_OK;

failed:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid fallback of reco model \"%V\": %s (%s)",
                       &model->name, err.message, err.field);

    return NGX_CONF_ERROR;
}


static void
ngx_http_reco_fallback_spec(reco_buf_t *b, ngx_str_t *model, ngx_str_t *ids,
    ngx_uint_t slate)
{
    u_char      *p, *comma, *last;
    ngx_uint_t   n;

    reco_buf_cstr(b, "{\"model\":");
    reco_buf_json_string(b, (reco_str_t) { (char *) model->data, model->len });
    reco_buf_cstr(b, ",\"version\":\"none\",\"features\":[],\"actions\":");

    n = 0;

    if (ids->len == 0) {
        /* a catalogue that is never given */
        reco_buf_cstr(b, "{\"file\":\"none\"}");

    } else {
        last = ids->data + ids->len;

        for (p = ids->data; p <= last; p = comma + 1) {
            comma = ngx_strlchr(p, last, ',');
            if (comma == NULL) {
                comma = last;
            }

            reco_buf_cstr(b, n++ ? ",{\"id\":" : "[{\"id\":");
            reco_buf_json_string(b, (reco_str_t) { (char *) p,
                                                   (size_t) (comma - p) });
            reco_buf_char(b, '}');
        }

        reco_buf_char(b, ']');
    }

    if (slate == 0) {
        slate = ngx_max(ngx_min(n, RECO_MAX_SLATE), 1);
    }

    reco_buf_cstr(b, ",\"policy\":{\"type\":\"first\",\"slate\":");
    reco_buf_u64(b, slate);
    reco_buf_cstr(b, "}}");
}


static void
ngx_http_reco_free_fallback(void *data)
{
    reco_model_free(data);
}
