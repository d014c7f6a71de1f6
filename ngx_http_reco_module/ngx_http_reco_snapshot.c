/*
 * ngx_http_reco_snapshot.c - opening the snapshot that a manifest names, for
 * the worker that is to serve it and for nginx -t.
 */

#include "ngx_http_reco_module.h"


void
ngx_http_reco_model_test(ngx_conf_t *cf, ngx_http_reco_model_t *model)
{
    uint8_t                     checksum[RECO_CHECKSUM_BYTES];
    ngx_fd_t                    fd;
    uint64_t                    size;
    reco_error_t                error;
    reco_status_t               status;
    reco_manifest_t             manifest;
    reco_snapshot_t            *snapshot;
    ngx_http_reco_identity_t    id;
    ngx_http_reco_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_reco_module);

    status = reco_manifest_read((char *) model->dir.data, &manifest, &error);

    if (status == RECO_OK) {
        status = RECO_IO;

        if (ngx_http_reco_snapshot_file(&model->dir, &manifest, &fd, &id,
                                        &error)
            == NGX_OK)
        {
            /* LMDB may crash on a damaged file */

            status = reco_checksum_fd(fd, &size, checksum, &error);

            if (status == RECO_OK
                && ngx_memcmp(checksum, manifest.checksum,
                              RECO_CHECKSUM_BYTES)
                   != 0)
            {
                status = reco_error_set(&error, RECO_CORRUPT, "",
                                        "'%s' does not have its manifest's "
                                        "checksum", manifest.file);
            }

            if (status == RECO_OK) {
                status = ngx_http_reco_snapshot_open(&model->name, &manifest,
                                                     fd, mcf->secret,
                                                     &snapshot, &error);
            }

            (void) ngx_close_file(fd);
        }
    }

    if (status == RECO_OK) {
        ngx_http_reco_check_names(model, reco_snapshot_model(snapshot),
                                  manifest.generation, cf->log);
        reco_snapshot_close(snapshot);
        return;
    }

    ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                  "reco: model \"%V\" has no usable snapshot: %s in %s:%ui",
                  &model->name, error.message, model->file, model->line);
}


ngx_int_t
ngx_http_reco_snapshot_file(ngx_str_t *dir, reco_manifest_t *manifest,
    ngx_fd_t *fd, ngx_http_reco_identity_t *id, reco_error_t *error)
{
    u_char           path[NGX_MAX_PATH];
    ngx_file_info_t  fi;

    if (dir->len + ngx_strlen(manifest->file) + 2 > NGX_MAX_PATH) {
        reco_error_set(error, RECO_LIMIT, "", "path is too long");
        return NGX_ERROR;
    }

    (void) ngx_sprintf(path, "%V/%s%Z", dir, manifest->file);

    *fd = open((char *) path, O_RDONLY|O_NONBLOCK|O_CLOEXEC);

    if (*fd == NGX_INVALID_FILE) {
        reco_error_set(error, RECO_IO, "", "cannot open '%s': %s", path,
                       strerror(ngx_errno));
        return NGX_ERROR;
    }

    if (ngx_fd_info(*fd, &fi) == NGX_FILE_ERROR) {
        reco_error_set(error, RECO_IO, "", "cannot stat '%s': %s", path,
                       strerror(ngx_errno));

    } else if (!ngx_is_file(&fi)) {
        reco_error_set(error, RECO_CORRUPT, "", "'%s' is no file", path);

    } else if ((uint64_t) fi.st_size != manifest->size) {
        reco_error_set(error, RECO_CORRUPT, "",
                       "'%s' has %llu bytes, its manifest says %llu", path,
                       (unsigned long long) fi.st_size,
                       (unsigned long long) manifest->size);

    } else {
        ngx_http_reco_identify(&fi, id);
        ngx_memcpy(id->checksum, manifest->checksum, RECO_CHECKSUM_BYTES);
        return NGX_OK;
    }

    (void) ngx_close_file(*fd);
    *fd = NGX_INVALID_FILE;

    return NGX_ERROR;
}


reco_status_t
ngx_http_reco_snapshot_open(ngx_str_t *name, reco_manifest_t *manifest,
    ngx_fd_t fd, reco_secret_t *secret, reco_snapshot_t **snapshot,
    reco_error_t *error)
{
    reco_str_t                   own;
    reco_status_t                status;
    const reco_snapshot_info_t  *info;

    status = reco_snapshot_open_fd(fd, secret, snapshot, error);
    if (status != RECO_OK) {
        ngx_http_reco_error_of(manifest->file, error);
        return status;
    }

    own = reco_snapshot_model(*snapshot)->name;
    info = reco_snapshot_info(*snapshot);

    if (own.len != name->len
        || ngx_strncmp(own.data, name->data, name->len) != 0)
    {
        reco_error_set(error, RECO_INVALID, "", "'%s' is of model '%.*s'",
                       manifest->file, (int) own.len, own.data);

    } else if (secret == NULL && info->customers && info->hash_key[0]) {
        reco_error_set(error, RECO_INVALID, "",
                       "'%s' has customers whose ids are hashed, and there is "
                       "no reco_secret to find them with", manifest->file);

    } else if (info->generation != manifest->generation) {
        reco_error_set(error, RECO_INVALID, "",
                       "'%s' is generation %llu, its manifest says %llu",
                       manifest->file, (unsigned long long) info->generation,
                       (unsigned long long) manifest->generation);

    } else {
        return RECO_OK;
    }

    reco_snapshot_close(*snapshot);

    return RECO_INVALID;
}


void
ngx_http_reco_error_of(const char *file, reco_error_t *error)
{
    reco_error_t  inner;

    inner = *error;

    reco_error_set(error, inner.status, "", "'%s': %s%s%s", file, inner.field,
                   inner.field[0] ? ": " : "", inner.message);
}
