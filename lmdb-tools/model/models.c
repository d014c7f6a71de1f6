/*
 * models.c - opens specs, snapshots and folders of snapshots for the tools,
 * and reads logged decisions in a model's terms.
 */

#include "models.h"

#include "published.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <stdlib.h>
#include <sys/stat.h>

/* ---- one model from a file ---------------------------------------------- */

bool
model_read_secret(const char *path, reco_secret_t **secret)
{
    reco_error_t  err;

    *secret = NULL;

    if (path && reco_secret_read(path, secret, &err) != RECO_OK) {
        tool_fail(path, &err);
        return false;
    }

    if (*secret && reco_secret_is_exposed(*secret)) {
        tool_warn("'%s' is open to all users of this machine: chmod o= it, and "
                  "put new sign keys into it", path);
    }

    return true;
}

/* A spec begins with a brace, a snapshot with a page number. */
static int
is_spec(const char *path)
{
    int    c;
    FILE  *f = fopen(path, "re");

    if (f == NULL) {
        tool_errno("open", path);
        return -1;
    }

    do {
        c = getc(f);
    } while (c == ' ' || c == '\t' || c == '\r' || c == '\n');

    fclose(f);

    return c == '{';
}

/* A catalogue's file is named from where the spec is. */
static char *
beside(const char *path, reco_str_t name)
{
    const char  *slash = strrchr(path, '/');

    if (name.data[0] == '/' || slash == NULL) {
        return tool_dup(name);
    }

    return tool_format("%.*s/%.*s", (int) (slash - path), path,
                       (int) name.len, name.data);
}

static bool
read_catalogue(model_file_t *m, const char *path, reco_str_t name)
{
    bool   ok;
    char  *full;

    if (name.len == 0) {
        return true;
    }

    full = beside(path, name);
    ok = build_read_actions(full, &m->actions);
    free(full);

    return ok;
}

static bool
check_bins(const reco_model_t *model, const char *path)
{
    uint32_t  i;

    for (i = 0; i < model->nfeatures; i++) {
        if (build_wants_learning(&model->features[i])) {
            tool_error("%s: $.features[%u].%s are learned from data: give a "
                       "snapshot made by 'reco build'", path, i,
                       model->features[i].top ? "vocabulary: words"
                                              : "bins: quantiles");
            return false;
        }
    }

    return true;
}

static bool
open_spec(model_file_t *m, const char *path)
{
    char          *text;
    size_t         len;
    reco_str_t     file;
    reco_error_t   err;
    reco_status_t  status;

    text = tool_read_file(path, &len);
    if (text == NULL) {
        return false;
    }

    status = reco_spec_read((reco_str_t) { text, len }, &m->owned, &file,
                            &err);

    if (status == RECO_OK && (!check_bins(m->owned, path)
                              || !read_catalogue(m, path, file)))
    {
        free(text);
        return false;
    }

    if (status == RECO_OK) {
        status = reco_spec_bind(m->owned, m->actions.actions, m->actions.n,
                                NULL, 0, &err);
    }

    if (status == RECO_OK) {
        status = reco_spec_resolve((reco_str_t) { text, len }, m->owned, NULL,
                                   &m->text, &len, &err);
    }

    free(text);

    if (status != RECO_OK) {
        tool_fail(path, &err);
        return false;
    }

    m->model = m->owned;

    return true;
}

static bool
open_snapshot(model_file_t *m, const published_t *at,
    const reco_secret_t *secret)
{
    reco_error_t  err;

    /* what was published was checked; a checksum is cheaper than a process */
    if (!(at->is_folder ? published_matches(at, &err)
                        : published_is_sound(at->path, &err))
        || reco_snapshot_open(at->path, secret, &m->snapshot, &err) != RECO_OK)
    {
        tool_fail(at->path, &err);
        return false;
    }

    m->model = reco_snapshot_model(m->snapshot);
    m->text = tool_strdup(reco_snapshot_info(m->snapshot)->spec);

    return true;
}

bool
model_file_open(model_file_t *m, const char *path,
    const reco_secret_t *secret)
{
    int          spec;
    bool         ok;
    published_t  at;

    memset(m, 0, sizeof(*m));

    if (!published_find(path, &at)) {
        return false;
    }

    spec = is_spec(at.path);
    if (spec < 0) {
        return false;
    }

    ok = spec ? open_spec(m, at.path) : open_snapshot(m, &at, secret);

    if (!ok) {
        model_file_close(m);
    }

    return ok;
}

void
model_file_close(model_file_t *m)
{
    if (m->snapshot) {
        reco_snapshot_close(m->snapshot);
    }

    if (m->owned) {
        reco_model_free(m->owned);
    }

    if (m->actions.actions) {
        build_free_actions(&m->actions);
    }

    free(m->text);
    memset(m, 0, sizeof(*m));
}

/* ---- the snapshots of a folder ------------------------------------------ */

static int
compare_generations(const void *a, const void *b)
{
    const generation_t  *x = a, *y = b;

    if (x->generation != y->generation) {
        return x->generation < y->generation ? -1 : 1;
    }

    return strcmp(x->path, y->path);
}

/* Files are opened twice, here for their number only, so that a folder with a
 * long history does not keep hundreds of maps. What a publication is being
 * written to has no number yet. */
static bool
add_generation(generations_t *g, char *path)
{
    const char       *name = strrchr(path, '/');
    struct stat       st;
    reco_error_t      err;
    generation_t     *entry;
    reco_snapshot_t  *snapshot;

    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || is_spec(path) != 0
        || strstr(name != NULL ? name : path, ".tmp-") != NULL)
    {
        free(path);
        return true;
    }

    if (!published_opens(path, &err)
        || reco_snapshot_open(path, NULL, &snapshot, &err) != RECO_OK)
    {
        if (err.status == RECO_CORRUPT) {
            tool_fail(path, &err);
        }
        free(path);
        return err.status != RECO_CORRUPT;
    }

    g->list = tool_realloc(g->list, (g->n + 1) * sizeof(*g->list));
    entry = &g->list[g->n++];
    entry->generation = reco_snapshot_info(snapshot)->generation;
    entry->path = path;
    entry->model = tool_dup(reco_snapshot_model(snapshot)->name);
    entry->modified = st.st_mtime;
    entry->snapshot = NULL;
    entry->sound = false;
    entry->damaged = false;
    reco_snapshot_close(snapshot);

    return true;
}

bool
generations_open(generations_t *g, const char *dir)
{
    DIR            *d;
    bool            ok = true;
    struct dirent  *entry;

    memset(g, 0, sizeof(*g));

    d = opendir(dir);
    if (d == NULL) {
        tool_errno("open", dir);
        return false;
    }

    while (ok && (errno = 0, entry = readdir(d)) != NULL) {
        if (entry->d_name[0] != '.') {
            ok = add_generation(g, tool_format("%s/%s", dir, entry->d_name));
        }
    }

    if (ok && errno != 0) {
        tool_errno("read", dir);
        ok = false;
    }

    closedir(d);
    if (g->n > 0) {
        qsort(g->list, g->n, sizeof(*g->list), compare_generations);
    }

    return ok;
}

void
generations_close(generations_t *g)
{
    size_t  i;

    for (i = 0; i < g->n; i++) {
        if (g->list[i].snapshot) {
            reco_snapshot_close(g->list[i].snapshot);
        }
        free(g->list[i].path);
        free(g->list[i].model);
    }

    free(g->list);
    memset(g, 0, sizeof(*g));
}

bool
generations_have(const generations_t *g, reco_str_t model)
{
    size_t  i;

    for (i = 0; i < g->n; i++) {
        if (reco_str_equal(tool_str(g->list[i].model), model)) {
            return true;
        }
    }

    return false;
}

const reco_snapshot_t *
generations_at(generations_t *g, size_t i)
{
    reco_error_t   err;
    generation_t  *e = &g->list[i];

    if (e->snapshot != NULL || e->damaged) {
        return e->snapshot;
    }

    if (!(e->sound || published_is_sound(e->path, &err))
        || reco_snapshot_open(e->path, NULL, &e->snapshot, &err) != RECO_OK)
    {
        tool_fail(e->path, &err);
        e->snapshot = NULL;
        e->damaged = true;
        g->damaged = true;
        return NULL;
    }

    e->sound = true;

    return e->snapshot;
}

const reco_snapshot_t *
generations_find(generations_t *g, uint64_t generation, reco_str_t model)
{
    size_t                  i;
    const reco_snapshot_t  *snapshot;

    for (i = 0; i < g->n; i++) {
        if (g->list[i].generation != generation
            || !reco_str_equal(tool_str(g->list[i].model), model))
        {
            continue;
        }

        snapshot = generations_at(g, i);
        if (snapshot != NULL) {
            return snapshot;
        }
    }

    return NULL;
}

/* ---- logged decisions --------------------------------------------------- */

static bool
has_kind(const reco_feature_t *f, const reco_value_t *v)
{
    if (v->kind == RECO_VALUE_NUMBER) {
        return f->type == RECO_FEATURE_NUMBER || f->ncodes > 0;
    }

    return f->type == RECO_FEATURE_CATEGORY && f->ncodes == 0;
}

bool
logged_features(const reco_model_t *model,
    const reco_event_feature_t *logged, uint32_t n, reco_features_t *out)
{
    uint32_t  i, k, next = 0;

    out->n = model->nfeatures;

    for (i = 0; i < model->nfeatures; i++) {
        out->value[i].kind = RECO_VALUE_MISSING;
        out->source[i] = RECO_SOURCE_NONE;

        for (k = 0; k < n; k++, next++) {       /* nearly always in order */
            next = next < n ? next : 0;
            if (reco_str_equal(logged[next].name, model->features[i].name)) {
                break;
            }
        }

        if (k == n) {
            continue;
        }

        out->value[i] = logged[next].value;
        if (!has_kind(&model->features[i], &out->value[i])
            && reco_feature_convert(&model->features[i], &out->value[i], true,
                                    NULL) != RECO_OK)
        {
            return false;
        }

        out->source[i] = (uint8_t) logged[next].source;
        next++;
    }

    return true;
}

bool
logged_eligible(const reco_model_t *model, uint32_t actions,
    reco_str_t eligible, reco_mask_t *out)
{
    return actions == model->catalogue.n
           && reco_mask_read(eligible, actions, out);
}
