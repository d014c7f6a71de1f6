/*
 * import_open_bandit.c - the Open Bandit Dataset's logs as an event log: each
 * row a decision with one slot, its position and the user's features words of
 * the request, each click a reward of that decision a millisecond later.
 *
 * The file is read twice. The first time everything is checked and the items
 * are counted, so that a wrong file leaves nothing behind; the second time the
 * segment is written. The incarnation is a hash of the fields, so that the
 * same data gives the same segment, compressed or not, and a folder refuses
 * to hold it twice.
 *
 * These decisions were not drawn by this program from a snapshot: they have
 * generation 0 and are marked as not replayable. All items are eligible.
 */

#include "import.h"
#include "reco_segment.h"
#include "reco_spec.h"

#define XXH_INLINE_ALL

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define NODE            "open-bandit"
#define BUFFER          (256 * 1024)
#define MAX_USER        16          /* user_feature_N columns */

typedef struct {
    int          time, item, position, click, propensity;
    int          user[MAX_USER];
    reco_str_t   user_name[MAX_USER];       /* owned */
    int          nuser;
} columns_t;

/* One row, parsed. */
typedef struct {
    uint64_t    time_ms;
    uint64_t    item;
    uint64_t    propensity;         /* in units of 2^-32 */
    bool        click;
} row_t;

typedef struct {
    const char          *path;
    const char          *dir;
    const char          *name;      /* of the model */
    const char          *items_text;
    bool                 json;

    columns_t            at;
    uint64_t             items;     /* --items, columns, or largest id + 1 */
    bool                 items_known;
    uint64_t             decisions, clicks, first_ms, last_ms, seq;
    uint64_t             propensity;        /* of the first row */
    bool                 uniform;           /* all rows have that one */
    XXH3_state_t        *hash;

    reco_model_t        *model;
    reco_id_source_t     ids;
    reco_segment_t       segment;
    reco_features_t      features;
    char                 open_path[2048];   /* the segment's, while written */
    reco_mask_t          all;
    char                *buffer;
    reco_buf_t           buf;
    reco_error_t         err;
} bandit_t;

/* ---- columns ------------------------------------------------------------ */

static bool
find_column(const bandit_t *b, const tool_csv_t *csv, const char *name,
    int *at)
{
    *at = tool_csv_find(csv, name);
    if (*at < 0) {
        tool_error("%s: there is no column '%s'", b->path, name);
    }

    return *at >= 0;
}

static bool
has_prefix(reco_str_t s, const char *prefix)
{
    size_t  n = strlen(prefix);

    return s.len > n && memcmp(s.data, prefix, n) == 0;
}

static bool
find_columns(bandit_t *b, const tool_csv_t *csv)
{
    uint32_t    i, affinities = 0;
    columns_t  *at = &b->at;
    reco_str_t  name;

    at->nuser = 0;
    if (!find_column(b, csv, "timestamp", &at->time)
        || !find_column(b, csv, "item_id", &at->item)
        || !find_column(b, csv, "position", &at->position)
        || !find_column(b, csv, "click", &at->click)
        || !find_column(b, csv, "propensity_score", &at->propensity))
    {
        return false;
    }

    for (i = 0; i < tool_csv_columns(csv); i++) {
        name = tool_csv_column(csv, i);
        affinities += has_prefix(name, "user-item_affinity_");
        if (!has_prefix(name, "user_feature_")) {
            continue;
        }
        if (at->nuser == MAX_USER || !reco_id_is_valid(name)) {
            tool_error("%s: column %u: there are more user features than %d, "
                       "or this is no name", b->path, i + 1, MAX_USER);
            return false;
        }
        at->user[at->nuser] = (int) i;
        if (at->user_name[at->nuser].len == 0) {
            at->user_name[at->nuser].data = tool_dup(name);
            at->user_name[at->nuser].len = name.len;
        }
        at->nuser++;
    }

    if (!b->items_known && affinities > 0) {
        b->items = affinities;
        b->items_known = true;
    }

    return true;
}

/* ---- rows --------------------------------------------------------------- */

static bool
check_words(const bandit_t *b, const tool_csv_t *csv, const reco_str_t *fields)
{
    int         i, column;
    char       *name;
    reco_str_t  word;

    for (i = -1; i < b->at.nuser; i++) {
        column = i < 0 ? b->at.position : b->at.user[i];
        word = fields[column];
        if ((word.len == 0 && i >= 0) || reco_id_is_valid(word)) {
            continue;
        }
        name = tool_dup(tool_csv_column(csv, (uint32_t) column));
        tool_csv_error(csv, name, "must be 1 to 255 bytes of UTF-8 without "
                       "control characters");
        free(name);
        return false;
    }

    return true;
}

static bool
parse_item(const bandit_t *b, const tool_csv_t *csv, reco_str_t text,
    uint64_t *item)
{
    double  d;

    if (!tool_number_parse(text, &d) || d < 0 || d != floor(d)) {
        tool_csv_error(csv, "item_id", "is not a whole number from 0");
        return false;
    }
    if (d >= RECO_MAX_ACTIONS) {
        tool_csv_error(csv, "item_id", "is beyond the limit of %d items",
                       RECO_MAX_ACTIONS);
        return false;
    }
    *item = (uint64_t) d;
    if (b->items_known && *item >= b->items) {
        tool_csv_error(csv, "item_id", "is beyond the %llu items",
                       (unsigned long long) b->items);
        return false;
    }

    return true;
}

static bool
parse_row(const bandit_t *b, const tool_csv_t *csv, const reco_str_t *fields,
    row_t *row)
{
    double  p;

    if (!tool_time_parse(fields[b->at.time], &row->time_ms)) {
        tool_csv_error(csv, "timestamp", "is not a time such as "
                       "2019-11-24 00:01:03.979311+00:00");
        return false;
    }
    if (!parse_item(b, csv, fields[b->at.item], &row->item)) {
        return false;
    }

    row->click = reco_str_equal(fields[b->at.click], RECO_STR("1"));
    if (!row->click && !reco_str_equal(fields[b->at.click], RECO_STR("0"))) {
        tool_csv_error(csv, "click", "must be 0 or 1");
        return false;
    }

    if (!tool_number_parse(fields[b->at.propensity], &p) || p <= 0 || p > 1) {
        tool_csv_error(csv, "propensity_score",
                       "is not a probability above 0 and at most 1");
        return false;
    }
    row->propensity = (uint64_t) (p * (double) RECO_ONE + 0.5);
    if (row->propensity == 0) {
        row->propensity = 1;
    }

    return check_words(b, csv, fields);
}

typedef bool (*row_pt)(bandit_t *b, const tool_csv_t *csv,
    const reco_str_t *fields, const row_t *row);

static bool
each_row(bandit_t *b, const char *label, row_pt on_row)
{
    bool                ok;
    row_t               row;
    tool_csv_t         *csv = tool_csv_open(b->path);
    tool_progress_t     progress;
    tool_csv_result_t   rc = TOOL_CSV_ERROR;
    const reco_str_t   *fields;

    if (csv == NULL) {
        return false;
    }

    ok = find_columns(b, csv);
    tool_progress_begin(&progress, label, tool_csv_total(csv));
    while (ok && (rc = tool_csv_next(csv, &fields)) == TOOL_CSV_ROW) {
        ok = parse_row(b, csv, fields, &row) && on_row(b, csv, fields, &row);
        tool_progress_at(&progress, tool_csv_bytes(csv));
    }
    tool_progress_end(&progress);

    if (ok && rc == TOOL_CSV_BAD_ROW) {
        tool_csv_error(csv, NULL, "%s", tool_csv_reason(csv));
    }
    tool_csv_close(csv);

    return ok && rc == TOOL_CSV_END;
}

/* ---- first reading ------------------------------------------------------ */

static bool
count_row(bandit_t *b, const tool_csv_t *csv, const reco_str_t *fields,
    const row_t *row)
{
    uint32_t  i;
    uint64_t  len;

    for (i = 0; i < tool_csv_columns(csv); i++) {
        len = fields[i].len;
        XXH3_64bits_update(b->hash, &len, sizeof(len));
        if (len) {
            XXH3_64bits_update(b->hash, fields[i].data, fields[i].len);
        }
    }

    if (b->decisions == 0) {
        b->propensity = row->propensity;
        b->uniform = true;
        b->first_ms = row->time_ms;
    } else if (row->time_ms < b->last_ms) {
        tool_csv_error(csv, "timestamp", "is before that of the row before");
        return false;
    }
    b->decisions++;
    b->clicks += row->click;
    b->uniform = b->uniform && row->propensity == b->propensity;
    b->last_ms = row->time_ms;
    if (!b->items_known && row->item >= b->items) {
        b->items = row->item + 1;
    }

    return true;
}

static bool
count_rows(bandit_t *b)
{
    bool  ok;

    b->hash = XXH3_createState();
    if (b->hash == NULL) {
        tool_error("out of memory");
        return false;
    }

    XXH3_64bits_reset(b->hash);
    ok = each_row(b, "reading", count_row);
    if (ok && b->decisions == 0) {
        tool_error("%s: there are no rows", b->path);
        ok = false;
    }
    reco_id_source_init(&b->ids, RECO_STR(NODE),
                        (uint32_t) XXH3_64bits_digest(b->hash));
    XXH3_freeState(b->hash);

    return ok;
}

/* ---- model -------------------------------------------------------------- */

static void
add_feature(json_t *features, reco_str_t name)
{
    json_array_append_new(features,
        json_pack("{s:s%, s:s, s:[s]}", "name", name.data, name.len,
                  "type", "category", "from", "request"));
}

/* The spec of what wrote this log, as far as the log shows. */
static char *
write_spec(const bandit_t *b)
{
    int        i;
    char       id[24], *text;
    json_t    *features = json_array(), *actions = json_array(), *spec;
    uint64_t   item;

    add_feature(features, RECO_STR("position"));
    for (i = 0; i < b->at.nuser; i++) {
        add_feature(features, b->at.user_name[i]);
    }

    for (item = 0; item < b->items; item++) {
        snprintf(id, sizeof(id), "%llu", (unsigned long long) item);
        json_array_append_new(actions, json_pack("{s:s}", "id", id));
    }

    spec = json_pack("{s:s, s:s, s:o, s:o, s:{s:s}, s:{s:f}}",
                     "model", b->name, "version", "import", "features",
                     features, "actions", actions, "policy", "type",
                     b->uniform ? "uniform" : "p_table", "reward", "click",
                     1.0);
    text = spec ? json_dumps(spec, JSON_COMPACT) : NULL;
    json_decref(spec);

    return text;
}

static bool
make_model(bandit_t *b)
{
    bool   ok;
    char  *text = write_spec(b);

    if (text == NULL) {
        tool_error("--model: '%s' is not UTF-8", b->name);
        return false;
    }

    ok = reco_spec_read(tool_str(text), &b->model, NULL, &b->err) == RECO_OK
         && reco_spec_bind(b->model, NULL, 0, NULL, 0, &b->err) == RECO_OK;
    if (!ok) {
        tool_fail(b->path, &b->err);
    }
    free(text);

    return ok;
}

/* ---- second reading ----------------------------------------------------- */

static bool
flush(bandit_t *b)
{
    if (reco_segment_append(&b->segment, b->buf.start, reco_buf_len(&b->buf),
                            &b->err) != RECO_OK)
    {
        tool_fail(b->dir, &b->err);
        return false;
    }
    reco_buf_init(&b->buf, b->buffer, BUFFER);

    return true;
}

static void
set_word(bandit_t *b, uint32_t feature, reco_str_t word)
{
    b->features.value[feature].kind = word.len ? RECO_VALUE_WORD
                                               : RECO_VALUE_MISSING;
    b->features.value[feature].word = word;
    b->features.source[feature] = word.len ? RECO_SOURCE_REQUEST
                                           : RECO_SOURCE_NONE;
}

static void
write_decision(bandit_t *b, const reco_id_t *id, const row_t *row)
{
    reco_decision_t        decision = { 0 };
    reco_decision_event_t  event = { 0 };

    decision.n = 1;
    decision.eligible = (uint32_t) b->items;
    decision.action[0] = (uint16_t) row->item;
    decision.propensity[0] = row->propensity;

    event.seq = ++b->seq;
    event.id = *id;
    event.time_ms = row->time_ms;
    event.model = b->model;
    event.features = &b->features;
    event.eligible = &b->all;
    event.decision = &decision;
    event.not_replayable = true;

    reco_event_write_decision(&b->buf, &event);
}

static void
write_click(bandit_t *b, const reco_id_t *id, const row_t *row)
{
    reco_fact_t          fact = { RECO_STR("click"), 1 };
    reco_reward_event_t  event = { 0 };

    event.seq = ++b->seq;
    event.time_ms = row->time_ms + 1;
    event.model = b->model->name;
    event.has_decision = true;
    event.decision = *id;
    event.facts = &fact;
    event.nfacts = 1;

    reco_event_write_reward(&b->buf, &event);
}

static bool
write_row(bandit_t *b, const tool_csv_t *csv, const reco_str_t *fields,
    const row_t *row)
{
    int        i;
    size_t     room = (size_t) (b->buf.end - b->buf.pos);
    reco_id_t  id = reco_id_next(&b->ids, row->time_ms);

    (void) csv;
    if (room < reco_event_decision_bound(b->model) + reco_event_reward_bound()
        && !flush(b))
    {
        return false;
    }

    set_word(b, 0, fields[b->at.position]);
    for (i = 0; i < b->at.nuser; i++) {
        set_word(b, (uint32_t) i + 1, fields[b->at.user[i]]);
    }

    write_decision(b, &id, row);
    if (row->click) {
        write_click(b, &id, row);
    }

    return true;
}

/* Takes back what was written. */
static void
undo(bandit_t *b, bool made_dir)
{
    if (b->segment.fd >= 0) {
        close(b->segment.fd);
        b->segment.fd = -1;
    }
    unlink(b->open_path);
    if (made_dir) {
        rmdir(b->dir);
    }
    tool_temp_forget(b->open_path);
}

static bool
write_segment(bandit_t *b)
{
    uint64_t  i;

    b->buffer = tool_alloc(BUFFER);
    reco_buf_init(&b->buf, b->buffer, BUFFER);
    b->features.n = b->model->nfeatures;
    for (i = 0; i < b->items; i++) {
        reco_mask_set(&b->all, (uint32_t) i);
    }

    if (!each_row(b, "writing", write_row) || !flush(b)) {
        return false;
    }
    if (b->buf.overflow
        || reco_segment_finish(&b->segment, &b->err) != RECO_OK)
    {
        tool_fail(b->dir, &b->err);
        return false;
    }

    return true;
}

static bool
write_log(bandit_t *b)
{
    bool  made_dir = mkdir(b->dir, 0777) == 0;

    if (!made_dir && errno != EEXIST) {
        tool_errno("create", b->dir);
        return false;
    }

    if (reco_segment_open(&b->segment, b->dir, RECO_STR(NODE),
                          b->ids.incarnation, 0, b->first_ms, NULL, &b->err)
        != RECO_OK)
    {
        tool_fail(b->dir, &b->err);
        if (made_dir) {
            rmdir(b->dir);
        }
        return false;
    }

    /* half an import is none, also where a signal ends it */
    snprintf(b->open_path, sizeof(b->open_path), "%s/%s", b->dir,
             b->segment.name);
    tool_temp_remember(b->open_path);

    if (!write_segment(b)) {
        undo(b, made_dir);
        return false;
    }

    tool_temp_forget(b->open_path);

    return true;
}

/* ---- command ------------------------------------------------------------ */

static void
print_summary(const bandit_t *b)
{
    char         first[32], last[32];
    size_t       name_len;
    reco_buf_t   t, u;

    reco_buf_init(&t, first, sizeof(first));
    reco_buf_time(&t, b->first_ms);
    reco_buf_init(&u, last, sizeof(last));
    reco_buf_time(&u, b->last_ms);
    name_len = strlen(b->segment.name) - strlen(".open");

    if (!b->json) {
        printf("%s/%.*s: %llu decisions, %llu clicks, %llu items, %.*s to "
               "%.*s\n", b->dir, (int) name_len, b->segment.name,
               (unsigned long long) b->decisions,
               (unsigned long long) b->clicks,
               (unsigned long long) b->items, (int) reco_buf_len(&t), first,
               (int) reco_buf_len(&u), last);
        return;
    }

    tool_print_json(json_pack("{s:s%, s:I, s:I, s:I, s:s%, s:s%}",
        "segment", b->segment.name, name_len,
        "decisions", (json_int_t) b->decisions,
        "clicks", (json_int_t) b->clicks, "items", (json_int_t) b->items,
        "first", first, reco_buf_len(&t), "last", last, reco_buf_len(&u)));
}

enum { OPT_OUT = 256, OPT_MODEL, OPT_ITEMS, OPT_JSON };

static const struct argp_option  options[] = {
    { "out", OPT_OUT, "LOGDIR", 0, "the log's folder (needed)", 0 },
    { "model", OPT_MODEL, "NAME", 0,
      "the model's name in the log (default: open-bandit)", 0 },
    { "items", OPT_ITEMS, "N", 0, "the number of items", 0 },
    { "json", OPT_JSON, NULL, 0, "print the summary as JSON", 0 },
    { 0 }
};

static error_t
on_option(int key, char *arg, struct argp_state *state)
{
    double     d;
    bandit_t  *b = state->input;

    switch (key) {
    case OPT_OUT:
        b->dir = arg;
        return 0;
    case OPT_MODEL:
        b->name = arg;
        return 0;
    case OPT_ITEMS:
        if (!tool_number_parse(tool_str(arg), &d) || d < 1
            || d > RECO_MAX_ACTIONS || d != floor(d))
        {
            argp_error(state, "--items must be 1 to %d", RECO_MAX_ACTIONS);
        }
        b->items = (uint64_t) d;
        b->items_known = true;
        return 0;
    case OPT_JSON:
        b->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0) {
            argp_error(state, "one FILE only");
        }
        b->path = arg;
        return 0;
    case ARGP_KEY_END:
        if (b->path == NULL || strcmp(b->path, "-") == 0) {
            argp_error(state, "a FILE is needed");
        }
        if (b->dir == NULL) {
            argp_error(state, "--out is needed");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp  argp = {
    options, on_option, "FILE",
    "Writes the decisions and clicks of an Open Bandit log (CSV, may be "
    "compressed) as a segment of an event log.\v"
    "Without --items the user-item_affinity_N columns are counted, or else "
    "the largest item_id. The other columns that are used: timestamp, "
    "item_id, position, click, propensity_score, user_feature_N.",
    NULL, NULL, NULL
};

int
import_open_bandit(int argc, char **argv)
{
    int        i;
    bool       ok;
    bandit_t  *b = tool_alloc(sizeof(*b));

    b->name = "open-bandit";
    b->segment.fd = -1;
    tool_parse(&argp, "import open-bandit", argc, argv, b);

    ok = count_rows(b) && make_model(b) && write_log(b);
    if (ok) {
        print_summary(b);
    }

    if (b->model != NULL) {
        reco_model_free(b->model);
    }
    for (i = 0; i < MAX_USER; i++) {
        free((char *) b->at.user_name[i].data);
    }
    free(b->buffer);
    free(b);

    return ok ? 0 : 1;
}
