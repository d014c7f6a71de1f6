/*
 * train_checkpoint.c - a training's values between two passes, in a file that
 * is replaced as a whole: "reco checkpoint 1\n", the fingerprint, the counts,
 * the course, the values, and XXH3-64 over all of it. For the same machine and
 * the same build: numbers are as memory has them.
 */

#include "train_q.h"

#define XXH_INLINE_ALL
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

static const char  magic[] = "reco checkpoint 1\n";

typedef struct {
    char           magic[24];
    XXH128_hash_t  fingerprint;
    uint64_t       passes, stride, ncourse, converged;
    train_pass_t   last;
    uint64_t       nvalues;
} head_t;

/* ---- what was learned from, and how ------------------------------------- */

static void
hash(XXH3_state_t *h, const void *data, size_t len)
{
    uint64_t  n = len;

    XXH3_128bits_update(h, &n, sizeof(n));
    XXH3_128bits_update(h, data, len);
}

static void
hash_level(XXH3_state_t *h, const transitions_t *t, uint32_t l)
{
    uint32_t                   i;
    const transition_level_t  *level = &t->levels[l];

    for (i = 0; i < level->nstates; i++) {
        hash(h, level->states[i].key.data, level->states[i].key.len);
    }

    hash(h, level->of_step, t->nsteps * sizeof(*level->of_step));
}

static void
hash_steps(XXH3_state_t *h, const transitions_t *t)
{
    uint32_t                  i;
    const transition_step_t  *s;

    for (i = 0; i < t->nsteps; i++) {
        s = &t->steps[i];
        int64_t  fields[] = { s->next, s->mask, s->period, s->weight,
                              s->reward, s->action, s->left_out };

        XXH3_128bits_update(h, fields, sizeof(fields));
    }

    hash(h, t->masks, t->nmasks * sizeof(*t->masks));
}

static XXH128_hash_t
fingerprint(const train_q_t *q)
{
    double                    numbers[4];
    uint32_t                  l;
    uint64_t                  counts[3];
    const char               *name;
    XXH3_state_t             *h = XXH3_createState();
    XXH128_hash_t             sum;
    const train_options_t    *o = q->train->options;

    if (h == NULL) {
        tool_out_of_memory();
    }

    name = json_string_value(json_object_get(q->train->facts, "algorithm"));
    numbers[0] = q->table->alpha;
    numbers[1] = q->table->gamma;
    numbers[2] = q->table->shrinkage;
    numbers[3] = o->hold_out;
    counts[0] = o->half_life_ms;
    counts[1] = o->passes;
    counts[2] = q->transitions->nsteps;

    XXH3_128bits_reset(h);
    hash(h, name, strlen(name));
    hash(h, numbers, sizeof(numbers));
    hash(h, counts, sizeof(counts));
    hash(h, q->table->action, q->table->ncolumns * sizeof(*q->table->action));
    hash_steps(h, q->transitions);

    for (l = 0; l < q->transitions->nlevels; l++) {
        hash_level(h, q->transitions, l);
    }

    sum = XXH3_128bits_digest(h);
    XXH3_freeState(h);

    return sum;
}

/* ---- the file ----------------------------------------------------------- */

static uint64_t
count_values(const qtable_t *q)
{
    uint32_t  l;
    uint64_t  n = q->ncolumns;

    for (l = 0; l < q->nlevels; l++) {
        n += (uint64_t) q->levels[l].from->nstates * q->ncolumns;
    }

    return n;
}

/* Writes a part of the file and adds it to the checksum. */
static void
put(FILE *f, XXH3_state_t *h, const void *data, size_t size)
{
    fwrite(data, 1, size, f);               /* a failure shows at the end */
    XXH3_64bits_update(h, data, size);
}

bool
checkpoint_write(const train_q_t *q, const char *path)
{
    head_t           head;
    uint32_t         l;
    uint64_t         sum;
    const qtable_t  *t = q->table;
    XXH3_state_t    *h = XXH3_createState();
    tool_output_t    out;

    if (h == NULL || !tool_output_open(&out, path)) {
        XXH3_freeState(h);
        return false;
    }

    memset(&head, 0, sizeof(head));
    memcpy(head.magic, magic, sizeof(magic));
    head.fingerprint = fingerprint(q);
    head.passes = q->passes;
    head.stride = q->stride;
    head.ncourse = q->ncourse;
    head.converged = q->converged;
    head.last = q->last;
    head.nvalues = count_values(t);

    XXH3_64bits_reset(h);
    put(out.file, h, &head, sizeof(head));
    put(out.file, h, q->course, q->ncourse * sizeof(*q->course));
    put(out.file, h, t->root, t->ncolumns * sizeof(*t->root));

    for (l = 0; l < t->nlevels; l++) {
        put(out.file, h, t->levels[l].q, (size_t) t->levels[l].from->nstates
                                         * t->ncolumns * sizeof(double));
    }

    sum = XXH3_64bits_digest(h);
    fwrite(&sum, sizeof(sum), 1, out.file);
    XXH3_freeState(h);

    return tool_output_commit(&out);
}

static void
restore(train_q_t *q, const head_t *head, const char *data)
{
    size_t     size;
    uint32_t   l;
    qtable_t  *t = q->table;

    q->passes = head->passes;
    q->stride = head->stride;
    q->ncourse = (uint32_t) head->ncourse;
    q->converged = head->converged;
    q->last = head->last;

    size = q->ncourse * sizeof(*q->course);
    memcpy(q->course, data, size);
    data += size;
    size = t->ncolumns * sizeof(*t->root);
    memcpy(t->root, data, size);
    data += size;

    for (l = 0; l < t->nlevels; l++) {
        size = (size_t) t->levels[l].from->nstates * t->ncolumns
               * sizeof(double);
        memcpy(t->levels[l].q, data, size);
        data += size;
    }
}

static bool
is_whole(const char *text, size_t len)
{
    uint64_t       sum;
    const head_t  *head = (const head_t *) text;

    if (len < sizeof(*head) + sizeof(sum)
        || memcmp(head->magic, magic, sizeof(magic)) != 0)
    {
        return false;
    }

    memcpy(&sum, text + len - sizeof(sum), sizeof(sum));

    return sum == XXH3_64bits(text, len - sizeof(sum))
           && head->ncourse <= TRAIN_MAX_COURSE
           && len == sizeof(*head) + head->ncourse * sizeof(train_pass_t)
                     + head->nvalues * sizeof(double) + sizeof(sum);
}

bool
checkpoint_read(train_q_t *q, const char *path, bool *found)
{
    bool           ok = false;
    char          *text;
    size_t         len;
    struct stat    st;
    XXH128_hash_t  own;
    const head_t  *head;

    *found = stat(path, &st) == 0;
    if (!*found) {
        return true;
    }

    text = tool_read_file(path, &len);
    if (text == NULL) {
        return false;
    }

    head = (const head_t *) text;
    own = fingerprint(q);

    if (!is_whole(text, len)) {
        tool_error("%s: is not a whole checkpoint", path);

    } else if (!XXH128_isEqual(head->fingerprint, own)
               || head->nvalues != count_values(q->table))
    {
        tool_error("%s: is the checkpoint of another log, model or options: "
                   "remove it to begin anew", path);

    } else {
        restore(q, head, text + sizeof(*head));
        ok = true;
    }

    free(text);

    return ok;
}
