/*
 * cmd_verify.c - `reco verify`: whether a snapshot is what was published and
 * can be read to its last record.
 */

#include "published.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    const char  *path;
    bool         json;
} verify_t;

enum { OPT_JSON = 256 };

static const struct argp_option  options[] = {
    { "json", OPT_JSON, NULL, 0, "print the outcome as JSON", 0 },
    { 0 }
};

static error_t
on_option(int key, char *arg, struct argp_state *state)
{
    verify_t  *v = state->input;

    switch (key) {
    case OPT_JSON:
        v->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0) {
            argp_error(state, "one FILE or DIR only");
        }
        v->path = arg;
        return 0;
    case ARGP_KEY_END:
        if (v->path == NULL) {
            argp_error(state, "a FILE or DIR is needed");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp  argp = {
    options, on_option, "FILE|DIR",
    "Checks every record of a snapshot, and, in a folder, the current one's "
    "size, checksum and generation against the manifest.", NULL, NULL, NULL
};

/* The file's content is what the manifest says it is. */
static bool
same_generation(const published_t *p, reco_error_t *err)
{
    uint64_t          generation;
    reco_snapshot_t  *s;

    if (reco_snapshot_open(p->path, NULL, &s, err) != RECO_OK) {
        return false;
    }
    generation = reco_snapshot_info(s)->generation;
    reco_snapshot_close(s);

    if (generation != p->manifest.generation) {
        reco_error_set(err, RECO_CORRUPT, "",
                       "is generation %llu, the manifest says %llu",
                       (unsigned long long) generation,
                       (unsigned long long) p->manifest.generation);
        return false;
    }

    return true;
}

static bool
verify(const published_t *p, reco_error_t *err)
{
    if (p->is_folder && !published_matches(p, err)) {
        return false;
    }

    return published_is_sound(p->path, err)
           && (!p->is_folder || same_generation(p, err));
}

static bool
checksum(const char *path, uint64_t *size, char *text)
{
    int            fd = open(path, O_RDONLY | O_CLOEXEC);
    uint8_t        sum[RECO_CHECKSUM_BYTES];
    reco_error_t   err;
    reco_status_t  rc;

    if (fd == -1) {
        tool_errno("open", path);
        return false;
    }
    rc = reco_checksum_fd(fd, size, sum, &err);
    close(fd);
    if (rc != RECO_OK) {
        tool_fail(path, &err);
        return false;
    }
    published_checksum_text(sum, text);

    return true;
}

int
cmd_verify(int argc, char **argv)
{
    char          sum[2 * RECO_CHECKSUM_BYTES + 1];
    uint64_t      size;
    verify_t      v = { 0 };
    published_t   p;
    reco_error_t  err;

    tool_parse(&argp, "verify", argc, argv, &v);
    if (!published_find(v.path, &p)) {
        return 1;
    }

    if (!verify(&p, &err)) {
        tool_fail(p.path, &err);
        if (v.json) {
            tool_print_json(json_pack("{s:s, s:b, s:s}", "file", p.path, "ok",
                                      0, "error", err.message));
        }
        return 1;
    }

    if (!checksum(p.path, &size, sum)) {
        return 1;
    }
    if (v.json) {
        tool_print_json(json_pack("{s:s, s:b, s:I, s:s}", "file", p.path, "ok",
                                  1, "size", (json_int_t) size, "checksum",
                                  sum));
    } else {
        printf("%s: ok, %llu bytes, checksum %s\n", p.path,
               (unsigned long long) size, sum);
    }

    return 0;
}
