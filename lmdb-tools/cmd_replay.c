/*
 * cmd_replay.c - `reco replay`: makes the decisions of a log once more, each
 * with the snapshot, features and eligible actions that its record names, and
 * compares slates, propensities and items bit for bit.
 */

#include "models.h"
#include "reco_segment.h"

#include <string.h>

#define MAX_LOGS        256
#define MAX_SHOWN       5           /* differences told in full */
#define MAX_MISSING     64          /* generations named */

typedef struct {
    const char       *logs[MAX_LOGS];
    uint32_t          nlogs;
    const char       *models_path;
    const char       *model;            /* NULL: each that has snapshots */
    bool              json;

    generations_t     generations;
    uint64_t          decisions;
    uint64_t          same;
    uint64_t          different;
    uint64_t          fallback;         /* made without a snapshot */
    uint64_t          not_replayable;   /* imported */
    uint64_t          no_snapshot;      /* its generation is not there */
    uint64_t          other_models;     /* not asked for */
    uint64_t          erased;           /* of customers who were forgotten */
    uint64_t          corrupt;
    uint64_t          missing[MAX_MISSING];
    uint32_t          nmissing;

    reco_scratch_t    scratch;
    reco_features_t   features;
    reco_decision_t   decision;

    reco_request_t        request;      /* its cart and exclude */
    reco_items_scratch_t  items_scratch;
    reco_item_slate_t     items;
} replay_t;

/* ---- options ------------------------------------------------------------ */

enum { OPT_LOG = 256, OPT_MODELS, OPT_MODEL, OPT_JSON };

static const struct argp_option  options[] = {
    { "log", OPT_LOG, "DIR", 0,
      "a folder of event-log segments, or one segment (needed; may be given "
      "several times)", 0 },
    { "models", OPT_MODELS, "DIR", 0,
      "the folder with the snapshots of all generations (needed)", 0 },
    { "model", OPT_MODEL, "NAME", 0,
      "decisions of this model only; by default of each that has a snapshot "
      "there", 0 },
    { "json", OPT_JSON, NULL, 0, "print the counts as JSON", 0 },
    { 0 }
};

static error_t
on_option(int key, char *arg, struct argp_state *state)
{
    replay_t  *r = state->input;

    switch (key) {
    case OPT_LOG:
        if (r->nlogs == MAX_LOGS) {
            argp_error(state, "more than %d times --log", MAX_LOGS);
        }
        r->logs[r->nlogs++] = arg;
        return 0;
    case OPT_MODELS:
        r->models_path = arg;
        return 0;
    case OPT_MODEL:
        r->model = arg;
        return 0;
    case OPT_JSON:
        r->json = true;
        return 0;
    case ARGP_KEY_END:
        if (r->nlogs == 0) {
            argp_error(state, "--log is needed");
        }
        if (r->models_path == NULL) {
            argp_error(state, "--models is needed");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp  argp = {
    options, on_option, NULL,
    "Repeats the decisions of a log and compares.\v"
    "Exit status 1 when one of them comes out differently.", NULL, NULL, NULL
};

/* ---- one decision ------------------------------------------------------- */

static void
show(const replay_t *r, const reco_event_t *e, const char *what,
    const reco_model_t *model)
{
    char      id[RECO_ID_TEXT];
    uint32_t  i;

    if (r->different > MAX_SHOWN) {
        return;
    }

    reco_id_text(&e->id, id);
    fprintf(stderr, "reco: decision %.*s of generation %llu: %s\n",
            RECO_ID_TEXT, id, (unsigned long long) e->generation, what);

    if (model == NULL) {
        return;
    }

    fprintf(stderr, "  logged:  ");
    for (i = 0; i < e->nslate; i++) {
        fprintf(stderr, " %.*s %llu", (int) e->slate[i].len, e->slate[i].data,
                (unsigned long long) e->propensity[i]);
    }

    fprintf(stderr, "\n  repeated:");
    for (i = 0; i < r->decision.n; i++) {
        fprintf(stderr, " %s %llu",
                model->catalogue.actions[r->decision.action[i]].id.data,
                (unsigned long long) r->decision.propensity[i]);
    }
    fputc('\n', stderr);
}

static void
differs(replay_t *r, const reco_event_t *e, const char *what,
    const reco_model_t *model)
{
    r->different++;
    show(r, e, what, model);
}

static bool
is_same(const replay_t *r, const reco_event_t *e, const reco_model_t *model)
{
    uint32_t  i;

    if (r->decision.n != e->nslate || r->decision.pinned != e->pinned
        || r->decision.low_mass != e->low_mass
        || r->decision.level != e->level)
    {
        return false;
    }

    for (i = 0; i < e->nslate; i++) {
        if (r->decision.propensity[i] != e->propensity[i]
            || !reco_str_equal(
                   model->catalogue.actions[r->decision.action[i]].id,
                   e->slate[i]))
        {
            return false;
        }
    }

    return true;
}

/* From the strategy to the items, as the record's request and the snapshot's
 * customer have it. */
static bool
same_items(replay_t *r, const reco_event_t *e,
    const reco_snapshot_t *snapshot)
{
    uint32_t             i;
    reco_customer_t      customer;
    const reco_model_t  *model = reco_snapshot_model(snapshot);

    if (model->items.slate == 0) {
        return e->nitems == 0;
    }

    reco_request_reset(&r->request, model->nfeatures);
    r->request.ncart = e->ncart;
    r->request.nexclude = e->nexclude;
    memcpy(r->request.cart, e->cart, e->ncart * sizeof(e->cart[0]));
    memcpy(r->request.exclude, e->exclude,
           e->nexclude * sizeof(e->exclude[0]));

    (void) reco_snapshot_customer(snapshot, e->customer_key, &customer);
    reco_items_select(model, r->decision.action[0], &r->features,
                      &r->request, &customer, &r->items_scratch, &r->items);

    if (r->items.n != e->nitems) {
        return false;
    }

    for (i = 0; i < e->nitems; i++) {
        if (!reco_str_equal(r->items.items[i].item.id, e->items[i])) {
            return false;
        }
    }

    return true;
}

static void
repeat(replay_t *r, const reco_event_t *e, const reco_snapshot_t *snapshot)
{
    char                 id[RECO_ID_TEXT];
    reco_mask_t          eligible;
    const reco_model_t  *model = reco_snapshot_model(snapshot);

    if (!logged_features(model, e->features, e->nfeatures, &r->features)) {
        differs(r, e, "its features are not the snapshot's", NULL);
        return;
    }

    if (!logged_eligible(model, e->actions, e->eligible, &eligible)) {
        differs(r, e, "its actions are not the snapshot's", NULL);
        return;
    }

    reco_id_text(&e->id, id);

    if (reco_decide(model, &r->features, &eligible, e->nslate,
                    (reco_str_t) { id, RECO_ID_TEXT }, e->customer_key,
                    &r->scratch, &r->decision) != RECO_OK)
    {
        differs(r, e, "no action is eligible", NULL);

    } else if (!is_same(r, e, model)) {
        differs(r, e, "it comes out differently", model);

    } else if (!same_items(r, e, snapshot)) {
        differs(r, e, "its items come out differently", NULL);

    } else {
        r->same++;
    }
}

static void
note_missing(replay_t *r, uint64_t generation)
{
    uint32_t  i;

    r->no_snapshot++;

    for (i = 0; i < r->nmissing; i++) {
        if (r->missing[i] == generation) {
            return;
        }
    }

    if (r->nmissing < MAX_MISSING) {
        r->missing[r->nmissing++] = generation;
    }
}

/* Generations are numbered by model. */
static bool
is_wanted(const replay_t *r, reco_str_t model)
{
    return r->model ? reco_str_equal(tool_str(r->model), model)
                    : generations_have(&r->generations, model);
}

static void
take(replay_t *r, const reco_event_t *e)
{
    const reco_snapshot_t  *snapshot;

    r->decisions++;

    if (!is_wanted(r, e->model)) {
        r->other_models++;
        return;
    }

    if (e->fallback) {
        r->fallback++;
        return;
    }

    if (e->not_replayable) {
        r->not_replayable++;
        return;
    }

    snapshot = generations_find(&r->generations, e->generation, e->model);

    if (snapshot == NULL) {
        note_missing(r, e->generation);
    } else {
        repeat(r, e, snapshot);
    }
}

/* ---- the log ------------------------------------------------------------ */

static bool
read_log(replay_t *r, const char *path)
{
    reco_event_t       *e;
    reco_error_t        err;
    reco_status_t       status;
    tool_progress_t     progress;
    reco_log_reader_t  *reader;

    if (reco_log_open(path, &reader, &err) != RECO_OK) {
        tool_fail(path, &err);
        return false;
    }

    if (reco_log_file(reader)[0] == '\0') {
        tool_error("no segment in '%s'", path);
        reco_log_close(reader);
        return false;
    }

    tool_progress_begin(&progress, "replaying", reco_log_bytes_total(reader));

    for ( ;; ) {
        status = reco_log_next(reader, &e, &err);

        if (status == RECO_OK) {
            if (e->type == RECO_EVENT_DECISION) {
                take(r, e);
            } else if (e->type == RECO_EVENT_FORGOTTEN) {
                r->erased++;
            }

        } else if (status == RECO_CORRUPT) {
            r->corrupt++;
            tool_warn("%s", err.message);

        } else {
            break;
        }

        tool_progress_at(&progress, reco_log_bytes_read(reader));
    }

    tool_progress_end(&progress);
    reco_log_close(reader);

    if (status != RECO_NOT_FOUND) {
        tool_fail(path, &err);
        return false;
    }

    return true;
}

static void
print_json(const replay_t *r)
{
    json_t    *o, *missing = json_array();
    uint32_t   i;

    for (i = 0; i < r->nmissing; i++) {
        json_array_append_new(missing,
                              json_integer((json_int_t) r->missing[i]));
    }

    o = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}",
                  "decisions", (json_int_t) r->decisions,
                  "same", (json_int_t) r->same,
                  "different", (json_int_t) r->different,
                  "fallback", (json_int_t) r->fallback,
                  "not_replayable", (json_int_t) r->not_replayable,
                  "snapshot_missing", (json_int_t) r->no_snapshot,
                  "other_models", (json_int_t) r->other_models,
                  "corrupt", (json_int_t) r->corrupt,
                  "missing_generations", missing);
    if (r->erased > 0) {
        json_object_set_new(o, "erased", json_integer((json_int_t) r->erased));
    }
    tool_print_json(o);
}

static void
print_line(const char *name, uint64_t n)
{
    printf("%-18s %llu\n", name, (unsigned long long) n);
}

static void
print(const replay_t *r)
{
    if (r->json) {
        print_json(r);
        return;
    }

    print_line("decisions", r->decisions);
    print_line("same", r->same);
    print_line("different", r->different);
    print_line("fallback", r->fallback);
    print_line("not replayable", r->not_replayable);
    print_line("snapshot missing", r->no_snapshot);
    print_line("other models", r->other_models);
    if (r->erased > 0) {
        print_line("erased records", r->erased);
    }
    print_line("corrupt lines", r->corrupt);
}

/* What makes the command fail, or is to be known. */
static bool
judge(const replay_t *r)
{
    if (r->no_snapshot > 0) {
        tool_warn("%llu decisions were not repeated: '%s' has no snapshot of "
                  "%u of the generations", (unsigned long long) r->no_snapshot,
                  r->models_path, r->nmissing);
    }

    if (r->different > 0) {
        tool_error("%llu decisions come out differently",
                   (unsigned long long) r->different);
        return false;
    }

    if (r->model && r->decisions == r->other_models) {
        tool_error("the log holds no decision of the model '%s'", r->model);
        return false;
    }

    if (r->other_models > 0 && r->decisions == r->other_models) {
        tool_error("'%s' has no snapshot of any model of the log",
                   r->models_path);
        return false;
    }

    return true;
}

int
cmd_replay(int argc, char **argv)
{
    bool       ok;
    replay_t  *r = tool_alloc(sizeof(*r));
    uint32_t   i;

    memset(r, 0, sizeof(*r));
    tool_parse(&argp, "replay", argc, argv, r);

    ok = generations_open(&r->generations, r->models_path);

    for (i = 0; ok && i < r->nlogs; i++) {
        ok = read_log(r, r->logs[i]);
    }

    if (ok) {
        print(r);
        fflush(stdout);
        ok = judge(r) && !r->generations.damaged;
    }

    generations_close(&r->generations);
    free(r);

    return ok ? 0 : 1;
}
