/*
 * cmd_rollback.c - `reco rollback`: the content of an earlier generation as a
 * new one. Generations only rise, so that servers need no other rule.
 */

#include "models.h"
#include "published.h"

#include <math.h>
#include <string.h>

#define GENERATIONS_NAMED   16

typedef struct {
    const char  *dir;
    uint64_t     to;            /* 0: the current one's parent */
    bool         json;
} rollback_t;

enum { OPT_TO = 256, OPT_JSON };

static const struct argp_option  options[] = {
    { "to", OPT_TO, "GENERATION", 0,
      "which one (default: the one that the current one followed)", 0 },
    { "json", OPT_JSON, NULL, 0, "print the outcome as JSON", 0 },
    { 0 }
};

static error_t
on_option(int key, char *arg, struct argp_state *state)
{
    double       d;
    rollback_t  *r = state->input;

    switch (key) {
    case OPT_TO:
        if (!tool_number_parse(tool_str(arg), &d) || d < 1 || d != floor(d)
            || d > 9e15)
        {
            argp_error(state, "--to must be a generation, from 1");
        }
        r->to = (uint64_t) d;
        return 0;
    case OPT_JSON:
        r->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0) {
            argp_error(state, "one DIR only");
        }
        r->dir = arg;
        return 0;
    case ARGP_KEY_END:
        if (r->dir == NULL) {
            argp_error(state, "a DIR is needed");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp  argp = {
    options, on_option, "DIR",
    "Publishes the content of an earlier generation again, as a new "
    "generation that names it as its parent.", NULL, NULL, NULL
};

/* Which generation; 0 after a message. */
static uint64_t
choose(const rollback_t *r, const reco_manifest_t *current)
{
    uint64_t  to = r->to ? r->to : current->parent;

    if (to == 0) {
        tool_error("%s: generation %llu followed none", r->dir,
                   (unsigned long long) current->generation);
        return 0;
    }
    if (to == current->generation) {
        tool_error("%s: generation %llu is the current one", r->dir,
                   (unsigned long long) to);
        return 0;
    }

    return to;
}

/* "1, 2": those in the folder but the current one; an ellipsis before the
 * newest of many. */
static void
name_generations(const rollback_t *r, uint64_t current, char *text,
    size_t size)
{
    size_t         i, used = 0;
    generations_t  g;

    snprintf(text, size, "none");
    if (!generations_open(&g, r->dir)) {
        return;
    }

    i = g.n > GENERATIONS_NAMED ? g.n - GENERATIONS_NAMED : 0;
    if (i > 0) {
        used = (size_t) snprintf(text, size, "...");
    }

    for ( ; i < g.n && used < size; i++) {
        if (g.list[i].generation != current && g.list[i].generation != 0) {
            used += (size_t) snprintf(text + used, size - used, "%s%llu",
                                      used ? ", " : "",
                                      (unsigned long long)
                                      g.list[i].generation);
        }
    }

    generations_close(&g);
}

/* A current generation that cannot be read is never the same. */
static bool
is_served(const rollback_t *r, const reco_manifest_t *current,
    const char *path)
{
    char          served[PUBLISHED_PATH], names[512];
    uint8_t       was[RECO_CHECKSUM_BYTES], is[RECO_CHECKSUM_BYTES];
    reco_error_t  err;

    snprintf(served, sizeof(served), "%s/%s", r->dir, current->file);

    if (!published_is_sound(served, &err) || !published_content(served, is)
        || !published_content(path, was) || memcmp(was, is, sizeof(is)) != 0)
    {
        return false;
    }

    name_generations(r, current->generation, names, sizeof(names));
    tool_error("%s: generation %llu already has the content of %llu; name an "
               "earlier one with --to (there are: %s)", r->dir,
               (unsigned long long) current->generation,
               (unsigned long long) (r->to ? r->to : current->parent), names);

    return true;
}

static bool
rollback(const rollback_t *r, uint64_t to, const reco_manifest_t *current,
    reco_manifest_t *out)
{
    char          path[PUBLISHED_PATH];
    reco_error_t  err;

    if (!published_generation(r->dir, to, path)) {
        return false;
    }
    if (!published_is_sound(path, &err)) {
        tool_fail(path, &err);
        return false;
    }
    if (is_served(r, current, path)) {
        return false;
    }
    if (reco_publish(r->dir, path, to, tool_now_ms(), out, &err) != RECO_OK) {
        tool_fail(r->dir, &err);
        return false;
    }

    return true;
}

int
cmd_rollback(int argc, char **argv)
{
    uint64_t         to;
    rollback_t       r = { 0 };
    reco_error_t     err;
    reco_manifest_t  current, m;

    tool_parse(&argp, "rollback", argc, argv, &r);

    switch (reco_manifest_read(r.dir, &current, &err)) {
    case RECO_OK:
        break;
    case RECO_NOT_FOUND:
        tool_error("%s: nothing is published there", r.dir);
        return 1;
    default:
        tool_fail(r.dir, &err);
        return 1;
    }

    to = choose(&r, &current);
    if (to == 0 || !rollback(&r, to, &current, &m)) {
        return 1;
    }

    if (r.json) {
        tool_print_json(json_pack("{s:b, s:I, s:I, s:I, s:s, s:s, s:s}",
            "published", 1, "generation", (json_int_t) m.generation,
            "parent", (json_int_t) m.parent,
            "replaces", (json_int_t) current.generation, "model", m.model,
            "version", m.version, "file", m.file));
    } else {
        printf("%s/%s: generation %llu with the content of %llu, instead of "
               "%llu\n", r.dir, m.file, (unsigned long long) m.generation,
               (unsigned long long) to,
               (unsigned long long) current.generation);
    }

    return 0;
}
