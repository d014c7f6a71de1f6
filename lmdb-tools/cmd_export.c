/*
 * cmd_export.c - `reco export`: an event log and its snapshots as the tables
 * of the offers contract, CSV or SQL for PostgreSQL. The file appears when it
 * is whole. A record that is read twice is written once.
 */

#include "models.h"
#include "reco_segment.h"

#define uthash_malloc(size)         tool_alloc(size)
#define uthash_free(pointer, size)  free(pointer)
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define MAX_LOGS        256
#define MAX_COLUMNS     8
#define SLOTS           3           /* offers in an episode */
#define ROWS_A_INSERT   200
#define ID_ROOM         (64 + 1 + 8 + 1 + 20 + 1)

typedef struct export_s  export_t;

typedef struct {
    const char  *name;
    const char  *columns[MAX_COLUMNS + 1];      /* name and type */
    bool         of_log;                        /* else of the snapshots */
    bool       (*rows)(export_t *x);
} table_t;

/* A row that was written, by its ID. */
typedef struct {
    UT_hash_handle  hh;
    char            id[];
} written_t;

struct export_s {
    const char        *logs[MAX_LOGS];
    uint32_t           nlogs;
    const char        *models_path;
    const char        *model;
    const char        *out_path;
    const table_t     *table;
    bool               sql;
    bool               format_given;

    generations_t      generations;
    tool_output_t      out;
    written_t         *written;
    uint64_t           nrows;
    uint64_t           corrupt;

    /* of the segment at hand */
    char              *file;
    char              *writer;              /* "node-incarnation" */

    char              *text;                /* an episode's states */
    size_t             text_size;
};

static bool agents(export_t *x);
static bool episodes(export_t *x);
static bool rewards(export_t *x);
static bool products(export_t *x);

static const table_t  tables[] = {
    { "agents", { "ID bigint PRIMARY KEY", "VERSION text",
                  "LAST_UPDATE timestamptz" }, false, agents },
    { "episodes", { "ID text PRIMARY KEY", "CUSTOMER_ID text", "STATES jsonb",
                    "PREDICTED_OFFER_1 text", "PREDICTED_OFFER_2 text",
                    "PREDICTED_OFFER_3 text", "LAST_UPDATE timestamptz" },
      true, episodes },
    { "rewards", { "ID text PRIMARY KEY", "CUSTOMER_ID text",
                   "ACCEPTED_OFFER text", "LAST_UPDATE timestamptz" },
      true, rewards },
    { "products", { "ID bigint PRIMARY KEY", "OFFER_ID text",
                    "PRODUCT_NAME text" }, false, products },
};

#define NTABLES     (sizeof(tables) / sizeof(tables[0]))

/* ---- options ------------------------------------------------------------ */

enum { OPT_TABLE = 256, OPT_FORMAT, OPT_LOG, OPT_MODELS, OPT_MODEL, OPT_OUT };

static const struct argp_option  options[] = {
    { "table", OPT_TABLE, "agents|episodes|rewards|products", 0,
      "which one (needed)", 0 },
    { "format", OPT_FORMAT, "csv|sql", 0, "how (needed)", 0 },
    { "log", OPT_LOG, "DIR", 0,
      "a folder of event-log segments, or one segment; for episodes and "
      "rewards (may be given several times)", 0 },
    { "models", OPT_MODELS, "DIR", 0,
      "the folder with the snapshots; for agents and products", 0 },
    { "model", OPT_MODEL, "NAME", 0,
      "records of this model only, where the log holds those of several", 0 },
    { "out", OPT_OUT, "FILE", 0, "where to (stdout without it)", 0 },
    { 0 }
};

static void
set_table(export_t *x, const char *name, struct argp_state *state)
{
    size_t  i;

    for (i = 0; i < NTABLES; i++) {
        if (strcmp(tables[i].name, name) == 0) {
            x->table = &tables[i];
            return;
        }
    }

    argp_error(state, "--table: '%s' is not agents, episodes, rewards or "
               "products", name);
}

static void
set_format(export_t *x, const char *name, struct argp_state *state)
{
    if (strcmp(name, "csv") != 0 && strcmp(name, "sql") != 0) {
        argp_error(state, "--format: '%s' is not csv or sql", name);
    }

    x->sql = (name[0] == 's');
    x->format_given = true;
}

static void
check_options(const export_t *x, struct argp_state *state)
{
    if (x->table == NULL || !x->format_given) {
        argp_error(state, "--table and --format are needed");
        return;
    }
    if (x->table->of_log && x->nlogs == 0) {
        argp_error(state, "--table=%s needs --log", x->table->name);
    }
    if (!x->table->of_log && x->models_path == NULL) {
        argp_error(state, "--table=%s needs --models", x->table->name);
    }
}

static error_t
on_option(int key, char *arg, struct argp_state *state)
{
    export_t  *x = state->input;

    switch (key) {
    case OPT_TABLE:
        set_table(x, arg, state);
        return 0;
    case OPT_FORMAT:
        set_format(x, arg, state);
        return 0;
    case OPT_LOG:
        if (x->nlogs == MAX_LOGS) {
            argp_error(state, "more than %d times --log", MAX_LOGS);
        }
        x->logs[x->nlogs++] = arg;
        return 0;
    case OPT_MODELS:
        x->models_path = arg;
        return 0;
    case OPT_MODEL:
        x->model = arg;
        return 0;
    case OPT_OUT:
        x->out_path = arg;
        return 0;
    case ARGP_KEY_END:
        check_options(x, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp  argp = {
    options, on_option, NULL,
    "Writes a log as a table: TB_AGENTS, TB_EPISODES, TB_REWARDS or "
    "TB_PRODUCTS.\v"
    "The SQL creates its table where it is not there, and leaves out rows "
    "whose ID is there already, so that it may be loaded again.", NULL, NULL,
    NULL
};

/* ---- rows --------------------------------------------------------------- */

static void
write_column_name(FILE *f, const char *column)
{
    fwrite(column, 1, strcspn(column, " "), f);
}

static void
begin_table(const export_t *x)
{
    int     i;
    FILE   *f = x->out.file;
    char    name[32];
    size_t  k;

    snprintf(name, sizeof(name), "TB_%s", x->table->name);
    for (k = 3; name[k]; k++) {
        name[k] = (char) (name[k] - 'a' + 'A');
    }

    if (x->sql) {
        fprintf(f, "SET client_encoding = 'UTF8';\n"
                "SET standard_conforming_strings = on;\nBEGIN;\n"
                "CREATE TABLE IF NOT EXISTS %s (", name);
    }

    for (i = 0; x->table->columns[i]; i++) {
        if (x->sql) {
            fprintf(f, "%s\n    %s", i ? "," : "", x->table->columns[i]);
        } else {
            fputs(i ? "," : "", f);
            write_column_name(f, x->table->columns[i]);
        }
    }

    fputs(x->sql ? "\n);\n" : "\n", f);
}

/* A standard string: only the quote is special. */
static void
write_sql(FILE *f, reco_str_t s)
{
    size_t  i;

    fputc('\'', f);
    for (i = 0; i < s.len; i++) {
        if (s.data[i] == '\'') {
            fputc('\'', f);
        }
        fputc(s.data[i], f);
    }
    fputc('\'', f);
}

static void
begin_row(export_t *x)
{
    const char  *p;
    FILE        *f = x->out.file;

    if (x->nrows % ROWS_A_INSERT != 0) {
        fputs(",\n(", f);
        return;
    }

    if (x->nrows > 0) {
        fputs("\nON CONFLICT DO NOTHING;\n", f);
    }

    fputs("INSERT INTO TB_", f);
    for (p = x->table->name; *p; p++) {
        fputc(*p - 'a' + 'A', f);
    }
    fputs(" VALUES\n(", f);
}

/* As many values as the table has columns; empty ones are NULL. */
static void
write_row(export_t *x, const reco_str_t *values)
{
    int    i;
    FILE  *f = x->out.file;

    if (x->sql) {
        begin_row(x);
    }

    for (i = 0; x->table->columns[i]; i++) {
        if (i > 0) {
            fputc(',', f);
        }

        if (!x->sql) {
            if (values[i].len > 0) {
                tool_csv_write(f, values[i]);
            }
        } else if (values[i].len == 0) {
            fputs("NULL", f);
        } else {
            write_sql(f, values[i]);
        }
    }

    fputs(x->sql ? ")" : "\n", f);
    x->nrows++;
}

static void
end_table(const export_t *x)
{
    if (x->sql) {
        fprintf(x->out.file, "%sCOMMIT;\n",
                x->nrows > 0 ? "\nON CONFLICT DO NOTHING;\n" : "");
    }
}

static bool
is_new(export_t *x, reco_str_t id)
{
    written_t  *w;

    HASH_FIND(hh, x->written, id.data, id.len, w);
    if (w) {
        return false;
    }

    w = tool_alloc(sizeof(*w) + id.len);
    memcpy(w->id, id.data, id.len);
    HASH_ADD_KEYPTR(hh, x->written, w->id, id.len, w);

    return true;
}

static reco_str_t
time_text(uint64_t time_ms, char *text, size_t size)
{
    reco_buf_t  b;

    reco_buf_init(&b, text, size);
    reco_buf_time(&b, time_ms);

    return (reco_str_t) { text, reco_buf_len(&b) };
}

/* ---- tables of the log -------------------------------------------------- */

/* {"age":42,"country":"GB"}: what was decided on. */
static reco_str_t
states_text(export_t *x, const reco_event_t *e)
{
    size_t                       size = 16;
    uint32_t                     i;
    reco_buf_t                   b;
    const reco_event_feature_t  *f;

    for (i = 0; i < e->nfeatures; i++) {
        f = &e->features[i];
        size += 6 * (f->name.len + f->value.word.len) + 64;
    }

    if (size > x->text_size) {
        x->text = tool_realloc(x->text, 2 * size);
        x->text_size = 2 * size;
    }

    reco_buf_init(&b, x->text, x->text_size);
    reco_buf_char(&b, '{');

    for (i = 0; i < e->nfeatures; i++) {
        f = &e->features[i];
        reco_buf_cstr(&b, i ? "," : "");
        reco_buf_json_string(&b, f->name);
        reco_buf_char(&b, ':');
        if (f->value.kind == RECO_VALUE_NUMBER) {
            reco_buf_double(&b, f->value.number);
        } else {
            reco_buf_json_string(&b, f->value.word);
        }
    }

    reco_buf_char(&b, '}');

    return (reco_str_t) { x->text, reco_buf_len(&b) };
}

static void
write_episode(export_t *x, const reco_event_t *e)
{
    char        id[RECO_ID_TEXT], time[64];
    uint32_t    i;
    reco_str_t  values[MAX_COLUMNS] = { { NULL, 0 } };

    reco_id_text(&e->id, id);
    values[0] = (reco_str_t) { id, sizeof(id) };

    if (!is_new(x, values[0])) {
        return;
    }

    values[1] = e->customer_key;
    values[2] = states_text(x, e);
    for (i = 0; i < SLOTS && i < e->nslate; i++) {
        values[3 + i] = e->slate[i];
    }
    values[3 + SLOTS] = time_text(e->time_ms, time, sizeof(time));

    write_row(x, values);
}

/* The accepted offer; where a reward does not say which one it was, whether
 * one was. */
static reco_str_t
accepted(const reco_event_t *e)
{
    uint32_t  i;

    if (e->action.len > 0) {
        return e->action;
    }

    for (i = 0; i < e->nfacts; i++) {
        if (e->facts[i].value > 0) {
            return RECO_STR("true");
        }
    }

    return RECO_STR("false");
}

static void
write_reward(export_t *x, const reco_event_t *e)
{
    char        id[ID_ROOM + 1024], time[64];
    reco_str_t  values[MAX_COLUMNS] = { { NULL, 0 } };

    snprintf(id, sizeof(id), "%s-%llu", x->writer,
             (unsigned long long) e->seq);
    values[0] = tool_str(id);

    if (!is_new(x, values[0])) {
        return;
    }

    values[1] = e->customer_key;
    values[2] = accepted(e);
    values[3] = time_text(e->time_ms, time, sizeof(time));

    write_row(x, values);
}

/* Names the writer of the current segment: by its header, or where that is
 * damaged by the file. */
static void
follow_writer(export_t *x, const reco_event_t *e, const char *file)
{
    char  text[ID_ROOM];

    if (e->type == RECO_EVENT_HEADER) {
        snprintf(text, sizeof(text), "%.*s-%08x", (int) e->header.node.len,
                 e->header.node.data, (unsigned) e->header.incarnation);
        free(x->writer);
        x->writer = tool_strdup(text);

    } else if (x->file == NULL || strcmp(x->file, file) != 0) {
        free(x->writer);
        x->writer = tool_strdup(strrchr(file, '/') ? strrchr(file, '/') + 1
                                                   : file);
    } else {
        return;
    }

    free(x->file);
    x->file = tool_strdup(file);
}

static void
take(export_t *x, const reco_event_t *e, reco_event_type_t type)
{
    if (e->type != type
        || (x->model && !reco_str_equal(e->model, tool_str(x->model))))
    {
        return;
    }

    if (type == RECO_EVENT_DECISION) {
        write_episode(x, e);
    } else {
        write_reward(x, e);
    }
}

static bool
read_log(export_t *x, const char *path, reco_event_type_t type)
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

    tool_progress_begin(&progress, "exporting", reco_log_bytes_total(reader));

    for ( ;; ) {
        status = reco_log_next(reader, &e, &err);

        if (status == RECO_OK) {
            follow_writer(x, e, reco_log_file(reader));
            take(x, e, type);

        } else if (status == RECO_CORRUPT) {
            x->corrupt++;
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

static bool
read_logs(export_t *x, reco_event_type_t type)
{
    uint32_t  i;

    for (i = 0; i < x->nlogs; i++) {
        if (!read_log(x, x->logs[i], type)) {
            return false;
        }
    }

    return true;
}

static bool
episodes(export_t *x)
{
    return read_logs(x, RECO_EVENT_DECISION);
}

static bool
rewards(export_t *x)
{
    return read_logs(x, RECO_EVENT_REWARD);
}

/* ---- tables of the snapshots -------------------------------------------- */

static bool
is_wanted(const export_t *x, const reco_model_t *m)
{
    return x->model == NULL || reco_str_equal(m->name, tool_str(x->model));
}

/* A generation is an agent; its time is that of the data it knows, or where it
 * was built without one, that of its file. */
static bool
agents(export_t *x)
{
    char                    id[24], time[64];
    size_t                  i;
    uint64_t                ms;
    reco_str_t              values[MAX_COLUMNS] = { { NULL, 0 } };
    const reco_model_t     *m;
    const reco_snapshot_t  *s;

    for (i = 0; i < x->generations.n; i++) {
        s = generations_at(&x->generations, i);
        if (s == NULL) {
            return false;
        }

        m = reco_snapshot_model(s);
        ms = reco_snapshot_info(s)->built_ms;
        if (ms == 0) {
            ms = (uint64_t) x->generations.list[i].modified * 1000;
        }

        snprintf(id, sizeof(id), "%llu",
                 (unsigned long long) x->generations.list[i].generation);
        values[0] = tool_str(id);
        values[1] = m->version;
        values[2] = time_text(ms, time, sizeof(time));

        if (is_wanted(x, m) && is_new(x, values[0])) {
            write_row(x, values);
        }

        reco_snapshot_close(x->generations.list[i].snapshot);
        x->generations.list[i].snapshot = NULL;
    }

    return true;
}

/* The catalogue of the newest generation. */
static bool
products(export_t *x)
{
    char                     id[24];
    size_t                   i = x->generations.n;
    uint32_t                 k;
    reco_str_t               values[MAX_COLUMNS] = { { NULL, 0 } };
    const reco_snapshot_t   *s = NULL;
    const reco_catalogue_t  *c;

    while (i > 0) {
        s = generations_at(&x->generations, --i);
        if (s == NULL) {
            return false;
        }
        if (is_wanted(x, reco_snapshot_model(s))) {
            break;
        }
        s = NULL;
    }

    if (s == NULL) {
        tool_error("'%s' has no such snapshot", x->models_path);
        return false;
    }

    c = &reco_snapshot_model(s)->catalogue;

    for (k = 0; k < c->n; k++) {
        snprintf(id, sizeof(id), "%u", k + 1);
        values[0] = tool_str(id);
        values[1] = c->actions[k].id;
        values[2] = c->actions[k].name;
        write_row(x, values);
    }

    return true;
}

/* ---- all of it ---------------------------------------------------------- */

static bool
run(export_t *x)
{
    if (x->models_path && !generations_open(&x->generations, x->models_path)) {
        return false;
    }

    if (!x->table->of_log && x->generations.n == 0) {
        tool_error("'%s' has no snapshot", x->models_path);
        return false;
    }

    if (!tool_output_open(&x->out, x->out_path)) {
        return false;
    }

    begin_table(x);

    if (!x->table->rows(x)) {
        return false;
    }

    end_table(x);

    return tool_output_commit(&x->out);
}

int
cmd_export(int argc, char **argv)
{
    bool        ok;
    export_t   *x = tool_alloc(sizeof(*x));
    written_t  *w, *next;

    memset(x, 0, sizeof(*x));
    tool_parse(&argp, "export", argc, argv, x);

    ok = run(x);
    if (!ok) {
        tool_output_abandon(&x->out);
    }

    HASH_ITER(hh, x->written, w, next) {
        HASH_DEL(x->written, w);
        free(w);
    }

    generations_close(&x->generations);
    free(x->file);
    free(x->writer);
    free(x->text);
    free(x);

    return ok ? 0 : 1;
}
