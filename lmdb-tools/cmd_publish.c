/*
 * cmd_publish.c - `reco publish`: puts a snapshot where servers pick it up,
 * unless it looks like the result of an accident.
 */

#include "degenerate.h"
#include "published.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

typedef struct {
    const char         *path;
    const char         *dir;
    bool                force;
    bool                json;

    reco_snapshot_t    *snapshot;
    reco_manifest_t     current;        /* generation 0: none */
    json_t             *reasons;        /* not to publish */
} publish_t;

enum { OPT_TO = 256, OPT_FORCE, OPT_JSON };

static const struct argp_option  options[] = {
    { "to", OPT_TO, "DIR", 0, "the folder servers watch (needed)", 0 },
    { "force", OPT_FORCE, NULL, 0, "publish a degenerate model too", 0 },
    { "json", OPT_JSON, NULL, 0, "print the outcome as JSON", 0 },
    { 0 }
};

static error_t
on_option(int key, char *arg, struct argp_state *state)
{
    publish_t  *p = state->input;

    switch (key) {
    case OPT_TO:
        p->dir = arg;
        return 0;
    case OPT_FORCE:
        p->force = true;
        return 0;
    case OPT_JSON:
        p->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0) {
            argp_error(state, "one FILE only");
        }
        p->path = arg;
        return 0;
    case ARGP_KEY_END:
        if (p->path == NULL) {
            argp_error(state, "a FILE is needed");
        }
        if (p->dir == NULL) {
            argp_error(state, "--to is needed");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp  argp = {
    options, on_option, "FILE",
    "Copies a snapshot into a folder as its next generation, from where "
    "running servers take it up without a reload.\v"
    "A degenerate model is refused: no active action, a table policy without "
    "a table, values that are not finite, or less than half of the current "
    "generation's states or customers.",
    NULL, NULL, NULL
};

/* ---- publishing --------------------------------------------------------- */

/* What is served, or NULL. One that cannot be read is no reason to keep it. */
static reco_snapshot_t *
open_current(const publish_t *p)
{
    char              path[PUBLISHED_PATH];
    reco_error_t      err;
    reco_snapshot_t  *served;

    if (p->current.generation == 0) {
        return NULL;
    }

    snprintf(path, sizeof(path), "%s/%s", p->dir, p->current.file);
    if (!published_is_sound(path, &err)
        || reco_snapshot_open(path, NULL, &served, &err) != RECO_OK)
    {
        tool_warn("%s: %s", path, err.message);
        return NULL;
    }

    return served;
}

static bool
find_reasons(publish_t *p)
{
    bool              ok;
    reco_snapshot_t  *served = open_current(p);

    ok = degenerate_reasons(p->snapshot, p->path, served, p->reasons);
    reco_snapshot_close(served);

    return ok;
}

static bool
read_current(publish_t *p)
{
    reco_error_t   err;
    reco_status_t  rc;

    rc = reco_manifest_read(p->dir, &p->current, &err);
    if (rc == RECO_NOT_FOUND) {
        memset(&p->current, 0, sizeof(p->current));
    } else if (rc != RECO_OK) {
        tool_fail(p->dir, &err);
        return false;
    }

    return true;
}

static void
print_reasons(const publish_t *p)
{
    size_t   i;
    json_t  *reason;

    json_array_foreach(p->reasons, i, reason) {
        if (p->force) {
            tool_warn("%s: %s", p->path, json_string_value(reason));
        } else {
            tool_error("%s: refused: %s (--force publishes it anyway)",
                       p->path, json_string_value(reason));
        }
    }
}

static void
print_outcome(const publish_t *p, const reco_manifest_t *m)
{
    char  sum[2 * RECO_CHECKSUM_BYTES + 1];

    published_checksum_text(m->checksum, sum);
    if (!p->json) {
        printf("%s/%s: generation %llu of model %s %s\n", p->dir, m->file,
               (unsigned long long) m->generation, m->model, m->version);
        return;
    }

    tool_print_json(json_pack(
        "{s:b, s:I, s:I, s:s, s:s, s:s, s:I, s:s, s:O}", "published", 1,
        "generation", (json_int_t) m->generation,
        "parent", (json_int_t) m->parent, "model", m->model,
        "version", m->version, "file", m->file, "size", (json_int_t) m->size,
        "checksum", sum, "reasons", p->reasons));
}

static bool
publish(publish_t *p)
{
    reco_error_t     err;
    reco_manifest_t  m;

    if (!published_is_sound(p->path, &err)
        || reco_snapshot_open(p->path, NULL, &p->snapshot, &err) != RECO_OK)
    {
        tool_fail(p->path, &err);
        return false;
    }

    if (!read_current(p) || !find_reasons(p)) {
        return false;
    }

    print_reasons(p);
    if (json_array_size(p->reasons) && !p->force) {
        if (p->json) {
            tool_print_json(json_pack("{s:b, s:O}", "published", 0, "reasons",
                                      p->reasons));
        }
        return false;
    }

    if (reco_publish(p->dir, p->path, p->current.generation, tool_now_ms(),
                     &m, &err) != RECO_OK)
    {
        tool_fail(p->dir, &err);
        return false;
    }
    print_outcome(p, &m);

    return true;
}

int
cmd_publish(int argc, char **argv)
{
    bool       ok;
    publish_t  p = { 0 };

    tool_parse(&argp, "publish", argc, argv, &p);

    p.reasons = json_array();
    ok = publish(&p);
    json_decref(p.reasons);
    reco_snapshot_close(p.snapshot);

    return ok ? 0 : 1;
}
