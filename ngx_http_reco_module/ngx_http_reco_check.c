/*
 * ngx_http_reco_check.c - what a configuration may want that is not there: a
 * log folder, names that a snapshot does not have. Each is told once and is no
 * error, since it may come yet. Creates and keeps nothing.
 */

#include "ngx_http_reco_module.h"

#include <grp.h>


#define NGX_HTTP_RECO_NAMES   512
#define NGX_HTTP_RECO_GROUPS  64


static ngx_err_t ngx_http_reco_access(ngx_core_conf_t *ccf, ngx_str_t *path);
static ngx_err_t ngx_http_reco_access_part(ngx_core_conf_t *ccf,
    gid_t *groups, int ngroups, const char *part, ngx_uint_t want);
static u_char *ngx_http_reco_unknown(u_char *p, u_char *last, const char *what,
    reco_str_t name);


/* After "user" was read, wherever it is in the configuration. */

ngx_int_t
ngx_http_reco_check_log(ngx_cycle_t *cycle)
{
    ngx_err_t                   err;
    ngx_core_conf_t            *ccf;
    ngx_http_reco_main_conf_t  *rmcf;

    rmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_reco_module);

    if (rmcf == NULL || rmcf->log.path.len == 0) {
        return NGX_OK;
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    err = ngx_http_reco_access(ccf, &rmcf->log.path);

    if (err) {
        ngx_log_error(NGX_LOG_WARN, cycle->log, err,
                      "reco: the workers cannot write to \"reco_log\" \"%V\"",
                      &rmcf->log.path);
    }

    return NGX_OK;
}


/* 0, or why the workers' user cannot create files in the folder. */

static ngx_err_t
ngx_http_reco_access(ngx_core_conf_t *ccf, ngx_str_t *path)
{
    int         ngroups;
    char        part[NGX_MAX_PATH];
    gid_t       groups[NGX_HTTP_RECO_GROUPS];
    ngx_err_t   err;
    ngx_uint_t  i;

    err = ngx_http_reco_access_part(ccf, NULL, 0, (char *) path->data, 0);
    if (err) {
        return err;
    }

    /* for root: is it read-only */

    if (access((char *) path->data, W_OK|X_OK) == -1) {
        return ngx_errno;
    }

    if (geteuid() != 0 || ccf->user == 0 || path->len >= NGX_MAX_PATH) {
        return 0;
    }

    ngroups = NGX_HTTP_RECO_GROUPS;

    if (getgrouplist(ccf->username, ccf->group, groups, &ngroups) == -1) {
        ngroups = NGX_HTTP_RECO_GROUPS;
    }

    for (i = 1; i < path->len; i++) {

        if (path->data[i] != '/') {
            continue;
        }

        ngx_memcpy(part, path->data, i);
        part[i] = '\0';

        err = ngx_http_reco_access_part(ccf, groups, ngroups, part, 1);
        if (err) {
            return err;
        }
    }

    return ngx_http_reco_access_part(ccf, groups, ngroups,
                                     (char *) path->data, 3);
}


static ngx_err_t
ngx_http_reco_access_part(ngx_core_conf_t *ccf, gid_t *groups, int ngroups,
    const char *part, ngx_uint_t want)
{
    int              i;
    ngx_uint_t       shift;
    ngx_file_info_t  fi;

    if (ngx_file_info(part, &fi) == NGX_FILE_ERROR) {
        return ngx_errno;
    }

    if (!ngx_is_dir(&fi)) {
        return NGX_ENOTDIR;
    }

    shift = 0;

    if (fi.st_uid == (uid_t) ccf->user) {
        shift = 6;

    } else {
        for (i = 0; i < ngroups; i++) {
            if (fi.st_gid == groups[i]) {
                shift = 3;
            }
        }
    }

    return ((fi.st_mode >> shift) & want) == want ? 0 : NGX_EACCES;
}


void
ngx_http_reco_check_names(ngx_http_reco_model_t *model,
    const reco_model_t *core, uint64_t generation, ngx_log_t *log)
{
    u_char                   names[NGX_HTTP_RECO_NAMES], *p, *last;
    ngx_str_t               *feature;
    uint32_t                 item;
    ngx_uint_t               i;
    reco_str_t               name;
    const reco_catalogue_t  *actions;

    p = names;
    last = names + NGX_HTTP_RECO_NAMES;

    feature = model->features ? model->features->elts : NULL;

    for (i = 0; feature && i < model->features->nelts; i++) {
        name.data = (char *) feature[i].data;
        name.len = feature[i].len;

        if (reco_model_request_feature(core, name) < 0) {
            p = ngx_http_reco_unknown(p, last, "feature", name);
        }
    }

    actions = &model->fallback->catalogue;

    for (i = 0; i < actions->n; i++) {
        name = actions->actions[i].id;

        if (reco_catalogue_find(&core->catalogue, name) < 0
            && !(core->items_source
                 && core->items_source->find(core->lookup_data, name, &item)))
        {
            p = ngx_http_reco_unknown(p, last, "fallback's action", name);
        }
    }

    if (p != names) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "reco: model \"%V\" does not know in generation %uL: %*s",
                      &model->name, generation, (size_t) (p - names - 2),
                      names);
    }
}


/* what has no room is left out */

static u_char *
ngx_http_reco_unknown(u_char *p, u_char *last, const char *what,
    reco_str_t name)
{
    if ((size_t) (last - p) < name.len + ngx_strlen(what) + 5) {
        return p;
    }

    return ngx_sprintf(p, "%s \"%*s\", ", what, name.len, name.data);
}
