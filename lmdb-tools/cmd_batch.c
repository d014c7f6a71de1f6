/*
 * cmd_batch.c - `reco batch`: a CSV of customers in, a CSV of decisions out,
 * a row at a time through the same core as a request. A row that cannot be
 * decided goes to the rejects with its line and reason; both files, and the
 * event log, appear when all is done or not at all.
 */

#include "batch_log.h"
#include "models.h"

#define XXH_INLINE_ALL
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <xxhash.h>

#define NODE    "batch"

typedef struct {
    const char       *model_path;
    const char       *in;
    const char       *out_path;
    const char       *rejects_path;
    const char       *log_path;
    const char       *secret_path;
    const char       *seed;
    uint64_t          time_ms;
    bool              time_given;
    bool              json;

    reco_secret_t    *secret;
    model_file_t      file;
    const reco_model_t *model;
    uint64_t          generation;
    tool_csv_t       *csv;
    int               customer;         /* column */
    int              *columns;          /* by feature, -1: none */
    int              *flags;            /* by action, -1: none */
    bool              has_flags;
    reco_id_source_t  ids;
    uint32_t          incarnation;
    batch_log_t       log;
    tool_output_t     out, rejects;
    uint64_t          rows, rejected;

    reco_request_t    request;
    reco_features_t   features;
    reco_mask_t       eligible;
    reco_scratch_t    scratch;
    reco_decision_t   decision;
    reco_item_slate_t     items;
    reco_items_scratch_t  items_scratch;
    reco_id_t         id;
    char              id_text[RECO_ID_TEXT];
    char              key[32];
    reco_error_t      err;
} batch_t;

/* ---- options ------------------------------------------------------------ */

enum { OPT_IN = 256, OPT_OUT, OPT_REJECTS, OPT_LOG, OPT_SECRET, OPT_SEED,
       OPT_TIME, OPT_JSON };

static const struct argp_option  options[] = {
    { "in", OPT_IN, "CSV", 0, "the customers (needed; - is stdin)", 0 },
    { "out", OPT_OUT, "CSV", 0, "the decisions (needed; - is stdout)", 0 },
    { "rejects", OPT_REJECTS, "CSV", 0,
      "rows that cannot be decided, with line and reason; without it the "
      "first such row ends the run", 0 },
    { "log", OPT_LOG, "DIR", 0, "write the decisions as an event log too", 0 },
    { "secret", OPT_SECRET, "FILE", 0,
      "hash customers' ids as the servers do", 0 },
    { "seed", OPT_SEED, "TEXT", 0,
      "the same text, time and input give the same ids and so the same "
      "decisions", 0 },
    { "time", OPT_TIME, "TIME", 0,
      "when the decisions are made; by default now, with --seed "
      "1970-01-01 (or SOURCE_DATE_EPOCH)", 0 },
    { "json", OPT_JSON, NULL, 0, "print the counts as JSON, to stdout", 0 },
    { 0 }
};

static void
check_options(const batch_t *b, struct argp_state *state)
{
    if (b->model_path == NULL) {
        argp_error(state, "a SPEC or SNAPSHOT is needed");
    }
    if (b->in == NULL || b->out_path == NULL) {
        argp_error(state, "--in and --out are needed");
    }
    if (b->json && strcmp(b->out_path, "-") == 0) {
        argp_error(state, "--json and --out=- both want stdout");
    }
}

static error_t
on_option(int key, char *arg, struct argp_state *state)
{
    batch_t  *b = state->input;

    switch (key) {
    case OPT_IN:
        b->in = arg;
        return 0;
    case OPT_OUT:
        b->out_path = arg;
        return 0;
    case OPT_REJECTS:
        b->rejects_path = arg;
        return 0;
    case OPT_LOG:
        b->log_path = arg;
        return 0;
    case OPT_SECRET:
        b->secret_path = arg;
        return 0;
    case OPT_SEED:
        b->seed = arg;
        return 0;
    case OPT_TIME:
        if (!tool_time_parse(tool_str(arg), &b->time_ms)) {
            argp_error(state, "--time: '%s' is not a time such as "
                       "2026-11-22T02:15:00Z", arg);
        }
        b->time_given = true;
        return 0;
    case OPT_JSON:
        b->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0) {
            argp_error(state, "one SPEC or SNAPSHOT only");
        }
        b->model_path = arg;
        return 0;
    case ARGP_KEY_END:
        check_options(b, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp  argp = {
    options, on_option, "SPEC|SNAPSHOT",
    "Decides for every row of a CSV of customers.\v"
    "The spec's \"columns\" say which column is what; a feature without one "
    "is looked for under its own name, an action too. A column of an action "
    "says whether it may be shown: true, false, 1, 0, yes or no.", NULL, NULL,
    NULL
};

/* ---- columns ------------------------------------------------------------ */

static int
find_column(const batch_t *b, reco_str_t name)
{
    int    i;
    char  *text = tool_dup(name);

    i = tool_csv_find(b->csv, text);
    free(text);

    return i;
}

/* The column that the spec gives for a name (then it must be there), or the
 * one of that name. */
static bool
map_column(const batch_t *b, const reco_column_t *columns, uint32_t n,
    reco_str_t name, int *at)
{
    uint32_t  i;

    for (i = 0; i < n; i++) {
        if (!reco_str_equal(columns[i].name, name)) {
            continue;
        }

        *at = find_column(b, columns[i].column);
        if (*at < 0) {
            tool_error("%s: there is no column '%.*s', which is that of '%.*s'"
                       " by the model", b->in, (int) columns[i].column.len,
                       columns[i].column.data, (int) name.len, name.data);
        }

        return *at >= 0;
    }

    *at = find_column(b, name);

    return true;
}

static reco_str_t
request_field(const reco_feature_t *f)
{
    uint32_t  i;

    for (i = 0; i < f->nfrom; i++) {
        if (f->from[i].source == RECO_SOURCE_REQUEST) {
            return f->from[i].field;
        }
    }

    return (reco_str_t) { "", 0 };
}

static bool
map_features(batch_t *b)
{
    uint32_t    i;
    reco_str_t  field;

    b->columns = tool_alloc(b->model->nfeatures * sizeof(int));

    for (i = 0; i < b->model->nfeatures; i++) {
        field = request_field(&b->model->features[i]);
        b->columns[i] = -1;

        if (field.len > 0
            && !map_column(b, b->model->feature_columns,
                           b->model->nfeature_columns, field, &b->columns[i]))
        {
            return false;
        }
    }

    return true;
}

static bool
map_actions(batch_t *b)
{
    uint32_t  i;

    b->flags = tool_alloc(b->model->catalogue.n * sizeof(int));

    for (i = 0; i < b->model->catalogue.n; i++) {
        if (!map_column(b, b->model->action_columns,
                        b->model->naction_columns,
                        b->model->catalogue.actions[i].id, &b->flags[i]))
        {
            return false;
        }
        b->has_flags = b->has_flags || b->flags[i] >= 0;
    }

    return true;
}

static bool
map_columns(batch_t *b)
{
    reco_str_t  name = b->model->customer_column;

    b->customer = find_column(b, name);

    if (b->customer < 0) {
        tool_error("%s: there is no column '%.*s' for the customers' ids",
                   b->in, (int) name.len, name.data);
        return false;
    }

    return map_features(b) && map_actions(b);
}

/* ---- a row to a decision ------------------------------------------------ */

static bool
refuse(batch_t *b, const char *column, const char *message)
{
    reco_error_set(&b->err, RECO_INVALID, column, "%s", message);

    return false;
}

/* 1, 0, or -1 for a text that is neither. */
static int
read_flag(reco_str_t text)
{
    size_t  i;

    static const struct {
        const char  *text;
        int          flag;
    } words[] = {
        { "true", 1 }, { "false", 0 }, { "1", 1 }, { "0", 0 },
        { "yes", 1 }, { "no", 0 },
    };

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (text.len == strlen(words[i].text)
            && strncasecmp(text.data, words[i].text, text.len) == 0)
        {
            return words[i].flag;
        }
    }

    return -1;
}

static bool
read_flags(batch_t *b, const reco_str_t *fields)
{
    int       flag;
    uint32_t  i;

    b->request.has_flags = b->has_flags;
    memset(&b->request.flags, 0, sizeof(b->request.flags));

    for (i = 0; b->has_flags && i < b->model->catalogue.n; i++) {
        flag = b->flags[i] < 0 ? 1 : read_flag(fields[b->flags[i]]);

        if (flag < 0) {
            return refuse(b, b->model->catalogue.actions[i].id.data,
                          "must be true, false, 1, 0, yes or no");
        }

        if (flag) {
            reco_mask_set(&b->request.flags, i);
        }
    }

    return true;
}

static bool
read_row(batch_t *b, const reco_str_t *fields)
{
    uint32_t       i;
    reco_value_t  *v;

    reco_request_reset(&b->request, b->model->nfeatures);
    b->request.customer = fields[b->customer];
    b->request.time_ms = b->time_ms;

    if (!reco_id_is_valid(b->request.customer)) {
        return refuse(b, "customer", "must be 1 to 255 bytes of UTF-8 without "
                      "control characters");
    }

    b->request.customer_key = reco_customer_key(b->secret,
                                                b->request.customer, b->key);

    for (i = 0; i < b->model->nfeatures; i++) {
        v = &b->request.given[i];
        if (b->columns[i] < 0 || fields[b->columns[i]].len == 0) {
            continue;
        }

        v->kind = RECO_VALUE_WORD;
        v->word = fields[b->columns[i]];
        if (reco_feature_convert(&b->model->features[i], v, true, &b->err)
            != RECO_OK)
        {
            return false;
        }
    }

    return read_flags(b, fields);
}

static bool
decide(batch_t *b)
{
    reco_customer_t  customer = { NULL, 0 };

    if (b->file.snapshot) {
        (void) reco_snapshot_customer(b->file.snapshot,
                                      b->request.customer_key, &customer);
    }

    if (reco_features_resolve(b->model, &b->request, &customer, &b->features,
                              &b->err) != RECO_OK)
    {
        return false;
    }

    if (reco_eligible(b->model, &b->features, b->request.has_flags,
                      &b->request.flags, &b->eligible) == 0)
    {
        return refuse(b, "", "no action may be shown");
    }

    b->id = reco_id_next(&b->ids, b->time_ms);
    reco_id_text(&b->id, b->id_text);

    if (reco_decide(b->model, &b->features, &b->eligible, 0,
                    (reco_str_t) { b->id_text, RECO_ID_TEXT },
                    b->request.customer_key, &b->scratch, &b->decision)
        != RECO_OK)
    {
        return refuse(b, "", "no action may be shown");
    }

    reco_items_select(b->model, b->decision.action[0], &b->features,
                      &b->request, &customer, &b->items_scratch, &b->items);

    return true;
}

/* ---- output ------------------------------------------------------------- */

static void
write_header(batch_t *b)
{
    FILE      *f = b->out.file;
    uint32_t   i, slots = b->model->policy.slate;

    fputs("customer,decision_id", f);
    for (i = 1; i <= slots; i++) {
        fprintf(f, ",action_%u", i);
    }
    for (i = 1; i <= slots; i++) {
        fprintf(f, ",product_%u", i);
    }
    for (i = 1; i <= slots; i++) {
        fprintf(f, ",propensity_%u", i);
    }
    for (i = 1; i <= b->model->items.slate; i++) {
        fprintf(f, ",item_%u", i);
    }
    fputc('\n', f);
}

static const reco_action_t *
shown(const batch_t *b, uint32_t slot)
{
    return slot < b->decision.n
           ? &b->model->catalogue.actions[b->decision.action[slot]] : NULL;
}

/* Slots beyond those that could be filled are empty. */
static void
write_decision(batch_t *b)
{
    char                  text[64];
    FILE                 *f = b->out.file;
    uint32_t              i, slots = b->model->policy.slate;
    reco_buf_t            buf;
    const reco_action_t  *a;

    tool_csv_write(f, b->request.customer);
    fprintf(f, ",%.*s", RECO_ID_TEXT, b->id_text);

    for (i = 0; i < slots; i++) {
        fputc(',', f);
        a = shown(b, i);
        if (a) {
            tool_csv_write(f, a->id);
        }
    }

    for (i = 0; i < slots; i++) {
        fputc(',', f);
        a = shown(b, i);
        if (a && a->name.len > 0) {
            tool_csv_write(f, a->name);
        }
    }

    for (i = 0; i < slots; i++) {
        fputc(',', f);
        if (i < b->decision.n) {
            reco_buf_init(&buf, text, sizeof(text));
            reco_buf_double(&buf, (double) b->decision.propensity[i]
                                  / (double) RECO_ONE);
            fwrite(text, 1, reco_buf_len(&buf), f);
        }
    }

    for (i = 0; i < b->model->items.slate; i++) {
        fputc(',', f);
        if (i < b->items.n) {
            tool_csv_write(f, b->items.items[i].item.id);
        }
    }

    fputc('\n', f);
}

static bool
log_decision(batch_t *b)
{
    reco_decision_event_t  e = {
        .id = b->id, .time_ms = b->time_ms, .generation = b->generation,
        .model = b->model, .customer_key = b->request.customer_key,
        .features = &b->features, .eligible = &b->eligible,
        .decision = &b->decision, .items = &b->items,
        .not_replayable = b->generation == 0,
    };

    return b->log_path == NULL || batch_log_decision(&b->log, &e);
}

static void
write_rejects_header(batch_t *b)
{
    FILE      *f = b->rejects.file;
    uint32_t   i;

    fputs("line,reason", f);
    for (i = 0; i < tool_csv_columns(b->csv); i++) {
        fputc(',', f);
        tool_csv_write(f, tool_csv_column(b->csv, i));
    }
    fputc('\n', f);
}

/* fields NULL: the row was no row. */
static bool
reject(batch_t *b, const reco_str_t *fields, const char *field,
    const char *reason)
{
    char       text[640];
    FILE      *f = b->rejects.file;
    uint32_t   i;

    snprintf(text, sizeof(text), "%s%s%s", field, field[0] ? ": " : "",
             reason);
    b->rejected++;

    if (b->rejects_path == NULL) {
        tool_csv_error(b->csv, NULL, "%s", text);
        return false;
    }

    fprintf(f, "%llu,", (unsigned long long) tool_csv_line(b->csv));
    tool_csv_write(f, tool_str(text));
    for (i = 0; i < tool_csv_columns(b->csv); i++) {
        fputc(',', f);
        if (fields) {
            tool_csv_write(f, fields[i]);
        }
    }
    fputc('\n', f);

    return true;
}

static bool
take_row(batch_t *b, const reco_str_t *fields)
{
    b->rows++;

    if (!read_row(b, fields) || !decide(b)) {
        return reject(b, fields, b->err.field, b->err.message);
    }

    write_decision(b);

    return log_decision(b);
}

static bool
run(batch_t *b)
{
    bool                ok = true;
    const reco_str_t   *fields;
    tool_progress_t     progress;
    tool_csv_result_t   result = TOOL_CSV_ROW;

    write_header(b);
    if (b->rejects_path) {
        write_rejects_header(b);
    }

    tool_progress_begin(&progress, "deciding", tool_csv_total(b->csv));

    while (ok && result != TOOL_CSV_END) {
        result = tool_csv_next(b->csv, &fields);

        if (result == TOOL_CSV_ROW) {
            ok = take_row(b, fields);

        } else if (result == TOOL_CSV_BAD_ROW) {
            b->rows++;
            ok = reject(b, NULL, "", tool_csv_reason(b->csv));

        } else if (result == TOOL_CSV_ERROR) {
            ok = false;
        }

        tool_progress_at(&progress, tool_csv_bytes(b->csv));
    }

    tool_progress_end(&progress);

    return ok;
}

/* ---- beginning and end -------------------------------------------------- */

static bool
choose_ids(batch_t *b)
{
    if (b->seed == NULL) {
        if (getrandom(&b->incarnation, sizeof(b->incarnation), 0)
            != sizeof(b->incarnation))
        {
            tool_error("cannot draw a random number");
            return false;
        }
        b->time_ms = b->time_given ? b->time_ms : tool_now_ms();

    } else {
        b->incarnation = (uint32_t) XXH3_64bits(b->seed, strlen(b->seed));
        if (!b->time_given && !tool_source_date(&b->time_ms)) {
            return false;
        }
    }

    reco_id_source_init(&b->ids, RECO_STR(NODE), b->incarnation);

    return true;
}

static bool
open_model(batch_t *b)
{
    const reco_snapshot_info_t  *info;

    if (!model_read_secret(b->secret_path, &b->secret)
        || !model_file_open(&b->file, b->model_path, b->secret))
    {
        return false;
    }

    b->model = b->file.model;

    if (b->file.snapshot) {
        info = reco_snapshot_info(b->file.snapshot);
        b->generation = info->generation;

        if (info->hash_key[0] != '\0' && b->secret == NULL) {
            tool_error("%s: its customers are hashed: give the key with "
                       "--secret", b->model_path);
            return false;
        }
    }

    return true;
}

static bool
open_files(batch_t *b)
{
    if (!tool_output_is_not(b->out_path, b->in)
        || !tool_output_is_not(b->out_path, b->model_path)
        || !tool_output_is_not(b->out_path, b->secret_path)
        || !tool_output_is_not(b->rejects_path, b->in)
        || !tool_output_is_not(b->rejects_path, b->model_path)
        || !tool_output_is_not(b->rejects_path, b->secret_path)
        || !tool_output_differs(b->out_path, b->rejects_path)
        || !tool_output_is_no_log(b->out_path, b->log_path)
        || !tool_output_is_no_log(b->rejects_path, b->log_path))
    {
        return false;
    }

    b->csv = tool_csv_open(b->in);

    if (b->csv == NULL || !map_columns(b)
        || !tool_output_open(&b->out, b->out_path)
        || (b->rejects_path
            && !tool_output_open(&b->rejects, b->rejects_path)))
    {
        return false;
    }

    return b->log_path == NULL
           || batch_log_open(&b->log, b->log_path, RECO_STR(NODE),
                             b->incarnation, b->time_ms, b->model);
}

static bool
finish(batch_t *b)
{
    return (b->log_path == NULL || batch_log_finish(&b->log))
           && (b->rejects_path == NULL || tool_output_commit(&b->rejects))
           && tool_output_commit(&b->out);
}

static void
print(const batch_t *b)
{
    if (b->json) {
        tool_print_json(json_pack("{s:I, s:I, s:I}",
            "rows", (json_int_t) b->rows,
            "decisions", (json_int_t) (b->rows - b->rejected),
            "rejected", (json_int_t) b->rejected));

    } else {
        fprintf(stderr, "%llu rows, %llu decisions, %llu rejected\n",
                (unsigned long long) b->rows,
                (unsigned long long) (b->rows - b->rejected),
                (unsigned long long) b->rejected);
    }
}

static void
release(batch_t *b, bool ok)
{
    if (ok) {
        batch_log_close(&b->log);
    } else {
        batch_log_abandon(&b->log);
        tool_output_abandon(&b->out);
        tool_output_abandon(&b->rejects);
    }

    if (b->csv) {
        tool_csv_close(b->csv);
    }

    free(b->columns);
    free(b->flags);
    model_file_close(&b->file);
    reco_secret_free(b->secret);
    free(b);
}

int
cmd_batch(int argc, char **argv)
{
    bool      ok;
    batch_t  *b = tool_alloc(sizeof(*b));

    memset(b, 0, sizeof(*b));
    tool_parse(&argp, "batch", argc, argv, b);

    ok = choose_ids(b) && open_model(b) && open_files(b) && run(b)
         && finish(b);
    if (ok) {
        print(b);
    }

    release(b, ok);

    return ok ? 0 : 1;
}
