/*
 * ngx_http_reco_geo.c - the geo database of one worker.
 *
 * A timer looks at the file; where it is another one than before, it is opened
 * and takes the place of the old one. A file that cannot be used leaves the
 * last good one in place. The database is to be replaced by rename: a file
 * that is written over while it is mapped cannot be helped.
 */

#include "ngx_http_reco_module.h"

#include <ngx_event.h>


typedef struct {
    /* What nginx's debug log takes a timer's data for: keep first. */
    ngx_connection_t           connection;

    ngx_log_t                 *log;
    ngx_str_t                  path;
    ngx_msec_t                 check;
    ngx_event_t                timer;
    ngx_http_reco_identity_t   seen;
    ngx_err_t                  missing;        /* errno of the last stat() */
} ngx_http_reco_geo_watch_t;


static void ngx_http_reco_geo_timer(ngx_event_t *ev);
static void ngx_http_reco_geo_check(ngx_http_reco_geo_watch_t *watch);


static ngx_http_reco_geo_watch_t  ngx_http_reco_geo_watch;


ngx_int_t
ngx_http_reco_geo_init_process(ngx_cycle_t *cycle)
{
    ngx_http_reco_geo_watch_t  *watch;
    ngx_http_reco_main_conf_t  *mcf;

    mcf = ngx_http_reco_worker.conf;

    if (mcf->geo_path.len == 0
        || (ngx_process != NGX_PROCESS_WORKER
            && ngx_process != NGX_PROCESS_SINGLE))
    {
        return NGX_OK;
    }

    watch = &ngx_http_reco_geo_watch;

    watch->connection.fd = (ngx_socket_t) -1;
    watch->log = cycle->log;
    watch->path = mcf->geo_path;
    watch->check = mcf->geo_check;

    watch->timer.handler = ngx_http_reco_geo_timer;
    watch->timer.data = watch;
    watch->timer.log = cycle->log;
    watch->timer.cancelable = 1;

    ngx_http_reco_geo_check(watch);

    ngx_add_timer(&watch->timer, watch->check);

    return NGX_OK;
}


void
ngx_http_reco_geo_exit_process(ngx_cycle_t *cycle)
{
    if (ngx_http_reco_geo_watch.timer.timer_set) {
        ngx_del_timer(&ngx_http_reco_geo_watch.timer);
    }

    if (ngx_http_reco_worker.geo) {
        reco_geo_close(ngx_http_reco_worker.geo);
        ngx_http_reco_worker.geo = NULL;
    }
}


static void
ngx_http_reco_geo_timer(ngx_event_t *ev)
{
    ngx_http_reco_geo_watch_t  *watch;

    watch = ev->data;

    ngx_http_reco_geo_check(watch);

    ngx_add_timer(ev, watch->check);
}


static void
ngx_http_reco_geo_check(ngx_http_reco_geo_watch_t *watch)
{
    ngx_err_t                  err;
    reco_geo_t                *geo;
    const char                *state;
    reco_error_t               error;
    ngx_file_info_t            fi;
    ngx_http_reco_identity_t   id;

    state = ngx_http_reco_worker.geo ? "the last good one serves on"
                                     : "countries are not known";

    if (ngx_file_info(watch->path.data, &fi) == NGX_FILE_ERROR) {
        err = ngx_errno;

        if (err != watch->missing) {
            watch->missing = err;
            ngx_memzero(&watch->seen, sizeof(watch->seen));
            ngx_http_reco_count(NGX_HTTP_RECO_ERR_GEO);
            ngx_log_error(NGX_LOG_ERR, watch->log, err,
                          "reco: no geo database at \"%V\", %s", &watch->path,
                          state);
        }

        return;
    }

    watch->missing = 0;

    ngx_http_reco_identify(&fi, &id);

    if (ngx_memcmp(&id, &watch->seen, sizeof(id)) == 0) {
        return;
    }

    watch->seen = id;

    if (reco_geo_open((char *) watch->path.data, &geo, &error) != RECO_OK) {
        ngx_http_reco_count(NGX_HTTP_RECO_ERR_GEO);
        ngx_log_error(NGX_LOG_ERR, watch->log, 0,
                      "reco: geo database \"%V\" cannot be used, %s: %s",
                      &watch->path, state, error.message);
        return;
    }

    if (ngx_http_reco_worker.geo) {
        reco_geo_close(ngx_http_reco_worker.geo);
    }

    ngx_http_reco_worker.geo = geo;

    ngx_log_error(NGX_LOG_INFO, watch->log, 0,
                  "reco: geo database \"%V\" opened", &watch->path);
}
