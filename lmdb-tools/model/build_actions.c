/*
 * build_actions.c - a catalogue from CSV. Actions keep the file's order.
 */

#include "build.h"

#define uthash_malloc(size)     tool_alloc(size)
#define uthash_fatal(message)   abort()

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { ID, NAME, PRICE, CATEGORY, ACTIVE, NCOLUMNS };

static const char *const  columns[NCOLUMNS] = {
    "id", "name", "price", "category", "active"
};

/* Where an id was seen, for the message about the second time. */
typedef struct {
    char            *id;
    uint64_t         line;
    UT_hash_handle   hh;
} seen_t;

static bool
find_columns(const tool_csv_t *csv, const char *path, int *at)
{
    int         i;
    uint32_t    c;
    bool        known;
    reco_str_t  name;

    for (i = 0; i < NCOLUMNS; i++) {
        at[i] = tool_csv_find(csv, columns[i]);
    }
    if (at[ID] < 0) {
        tool_error("%s: there is no column 'id'", path);
        return false;
    }

    for (c = 0; c < tool_csv_columns(csv); c++) {
        for (i = 0, known = false; i < NCOLUMNS; i++) {
            known = known || at[i] == (int) c;
        }
        if (!known) {
            name = tool_csv_column(csv, c);
            tool_warn("%s: column '%.*s' is not used", path, (int) name.len,
                      name.data);
        }
    }

    return true;
}

/* The field of a column, empty where there is no such column. */
static reco_str_t
field(const reco_str_t *fields, const int *at, int i)
{
    return at[i] < 0 ? (reco_str_t) { "", 0 } : fields[at[i]];
}

static bool
check_text(const tool_csv_t *csv, int i, reco_str_t s)
{
    if (s.len == 0 && i != ID) {
        return true;
    }
    if (!reco_id_is_valid(s)) {
        tool_csv_error(csv, columns[i], "must be %s bytes of UTF-8 without "
                       "control characters", i == ID ? "1 to 255"
                                                     : "at most 255");
        return false;
    }

    return true;
}

/* The texts of *action are those of the row. */
static bool
parse_action(const tool_csv_t *csv, const int *at, const reco_str_t *fields,
    reco_action_t *action)
{
    reco_str_t  price = field(fields, at, PRICE);

    action->id = field(fields, at, ID);
    action->name = field(fields, at, NAME);
    action->category = field(fields, at, CATEGORY);
    action->price = NAN;

    if (!check_text(csv, ID, action->id)
        || !check_text(csv, NAME, action->name)
        || !check_text(csv, CATEGORY, action->category)
        || !tool_csv_flag(csv, columns[ACTIVE], field(fields, at, ACTIVE),
                          &action->active))
    {
        return false;
    }

    if (price.len && !tool_number_parse(price, &action->price)) {
        tool_csv_refuse(csv, columns[PRICE], price, "is not a number");
        return false;
    }

    return true;
}

static bool
is_new(const tool_csv_t *csv, seen_t **seen, reco_str_t id)
{
    seen_t  *s;

    HASH_FIND(hh, *seen, id.data, id.len, s);
    if (s != NULL) {
        tool_csv_error(csv, columns[ID], "'%s' is also in line %llu", s->id,
                       (unsigned long long) s->line);
        return false;
    }

    s = tool_alloc(sizeof(*s));
    s->id = tool_dup(id);
    s->line = tool_csv_line(csv);
    HASH_ADD_KEYPTR(hh, *seen, s->id, id.len, s);

    return true;
}

static reco_str_t
keep(reco_str_t s)
{
    return (reco_str_t) { tool_dup(s), s.len };
}

static bool
add(const tool_csv_t *csv, build_actions_t *out, const reco_action_t *action)
{
    reco_action_t  *a;

    if (out->n == RECO_MAX_ACTIONS) {
        tool_csv_error(csv, NULL, "there are more than %d actions",
                       RECO_MAX_ACTIONS);
        return false;
    }

    a = &out->actions[out->n++];
    *a = *action;
    a->id = keep(action->id);
    a->name = keep(action->name);
    a->category = keep(action->category);

    return true;
}

static bool
read_rows(tool_csv_t *csv, const int *at, build_actions_t *out, seen_t **seen)
{
    reco_action_t       action;
    tool_csv_result_t   rc;
    const reco_str_t   *fields;

    while ((rc = tool_csv_next(csv, &fields)) == TOOL_CSV_ROW) {
        if (!parse_action(csv, at, fields, &action)
            || !is_new(csv, seen, action.id)
            || !add(csv, out, &action))
        {
            return false;
        }
    }

    if (rc == TOOL_CSV_BAD_ROW) {
        tool_csv_error(csv, NULL, "%s", tool_csv_reason(csv));
    }

    return rc == TOOL_CSV_END;
}

bool
build_read_actions(const char *path, build_actions_t *out)
{
    int          at[NCOLUMNS];
    bool         ok;
    seen_t      *seen = NULL, *s, *next;
    tool_csv_t  *csv;

    memset(out, 0, sizeof(*out));
    csv = tool_csv_open(path);
    if (csv == NULL) {
        return false;
    }

    out->actions = tool_alloc(RECO_MAX_ACTIONS * sizeof(reco_action_t));
    ok = find_columns(csv, path, at) && read_rows(csv, at, out, &seen);
    if (ok && out->n == 0) {
        tool_error("%s: there are no actions", path);
        ok = false;
    }

    HASH_ITER(hh, seen, s, next) {
        HASH_DEL(seen, s);
        free(s->id);
        free(s);
    }
    tool_csv_close(csv);

    return ok;
}

void
build_free_actions(build_actions_t *a)
{
    uint32_t  i;

    for (i = 0; i < a->n; i++) {
        free((char *) a->actions[i].id.data);
        free((char *) a->actions[i].name.data);
        free((char *) a->actions[i].category.data);
    }
    free(a->actions);
    memset(a, 0, sizeof(*a));
}
