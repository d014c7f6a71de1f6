/*
 * build_items.c - items and ranked lists, from CSV or from another snapshot.
 * Items keep the file's order: it is that of their indices, which ties are
 * broken by.
 */

#include "build_items.h"

#define uthash_malloc(size)     tool_alloc(size)
#define uthash_fatal(message)   abort()

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define MAX_COLUMNS     6

/* A name, and what is known of it. */
typedef struct build_name_s {
    char            *name;
    uint32_t         index;         /* of the item */
    uint64_t         line;
    UT_hash_handle   hh;
} build_name_t;

/* A CSV file and where its columns are. */
typedef struct {
    const char         *path;
    tool_csv_t         *csv;
    const char *const  *columns;
    int                 n;
    int                 at[MAX_COLUMNS];
} table_t;

/* ---- names -------------------------------------------------------------- */

static build_name_t *
name_find(build_name_t *names, reco_str_t name)
{
    build_name_t  *found;

    HASH_FIND(hh, names, name.data, name.len, found);

    return found;
}

static build_name_t *
name_add(build_name_t **names, reco_str_t name, uint64_t line)
{
    build_name_t  *n = tool_alloc(sizeof(*n));

    n->name = tool_dup(name);
    n->index = HASH_COUNT(*names);
    n->line = line;
    HASH_ADD_KEYPTR(hh, *names, n->name, name.len, n);

    return n;
}

static void
names_free(build_name_t **names)
{
    build_name_t  *n, *next;

    HASH_ITER(hh, *names, n, next) {
        HASH_DEL(*names, n);
        free(n->name);
        free(n);
    }
}

/* ---- a CSV file --------------------------------------------------------- */

static void
warn_of_columns(const table_t *t)
{
    int         i;
    uint32_t    c;
    bool        used;
    reco_str_t  name;

    for (c = 0; c < tool_csv_columns(t->csv); c++) {
        for (i = 0, used = false; i < t->n; i++) {
            used = used || t->at[i] == (int) c;
        }
        if (!used) {
            name = tool_csv_column(t->csv, c);
            tool_warn("%s: column '%.*s' is not used", t->path,
                      (int) name.len, name.data);
        }
    }
}

static bool
table_open(table_t *t, const char *path, const char *const *columns, int n,
    unsigned needed)
{
    int  i;

    t->path = path;
    t->columns = columns;
    t->n = n;
    t->csv = tool_csv_open(path);
    if (t->csv == NULL) {
        return false;
    }

    for (i = 0; i < n; i++) {
        t->at[i] = tool_csv_find(t->csv, columns[i]);
        if (t->at[i] < 0 && (needed >> i & 1)) {
            tool_error("%s: there is no column '%s'", path, columns[i]);
            return false;
        }
    }
    warn_of_columns(t);

    return true;
}

/* The field of a column, empty where there is no such column. */
static reco_str_t
field(const table_t *t, const reco_str_t *fields, int i)
{
    return t->at[i] < 0 ? (reco_str_t) { "", 0 } : fields[t->at[i]];
}

static bool
check_text(const table_t *t, int i, reco_str_t s, bool needed)
{
    if ((s.len == 0 && !needed) || reco_id_is_valid(s)) {
        return true;
    }
    tool_csv_error(t->csv, t->columns[i], "must be %s bytes of UTF-8 without "
                   "control characters", needed ? "1 to 255" : "at most 255");

    return false;
}

static bool
row_failed(const table_t *t, const reco_error_t *err)
{
    tool_csv_error(t->csv, NULL, "%s", err->message);

    return false;
}

/* How a file ended. */
static bool
table_ended(const table_t *t, tool_csv_result_t rc)
{
    if (rc == TOOL_CSV_BAD_ROW) {
        tool_csv_error(t->csv, NULL, "%s", tool_csv_reason(t->csv));
    }

    return rc == TOOL_CSV_END;
}

/* ---- items -------------------------------------------------------------- */

enum { ID, NAME, PRICE, CATEGORY, FAMILY, AVAILABLE, ITEM_COLUMNS };

static const char *const  item_columns[ITEM_COLUMNS] = {
    "id", "name", "price", "category", "family", "available"
};

/* The texts of *item are those of the row. */
static bool
parse_item(const table_t *t, const reco_str_t *fields, reco_item_t *item)
{
    reco_str_t  price = field(t, fields, PRICE);

    item->id = field(t, fields, ID);
    item->name = field(t, fields, NAME);
    item->category = field(t, fields, CATEGORY);
    item->family = field(t, fields, FAMILY);
    item->price = NAN;

    if (!check_text(t, ID, item->id, true)
        || !check_text(t, NAME, item->name, false)
        || !check_text(t, CATEGORY, item->category, false)
        || !check_text(t, FAMILY, item->family, false)
        || !tool_csv_flag(t->csv, item_columns[AVAILABLE],
                          field(t, fields, AVAILABLE), &item->available))
    {
        return false;
    }

    if (price.len > 0 && !tool_number_parse(price, &item->price)) {
        tool_csv_refuse(t->csv, item_columns[PRICE], price, "is not a number");
        return false;
    }

    return true;
}

static bool
add_item(const table_t *t, const reco_str_t *fields, build_items_t *out,
    reco_builder_t *b)
{
    reco_item_t    item;
    reco_error_t   err;
    build_name_t  *there;

    if (!parse_item(t, fields, &item)) {
        return false;
    }

    there = name_find(out->ids, item.id);
    if (there != NULL) {
        tool_csv_error(t->csv, item_columns[ID], "'%s' is also in line %llu",
                       there->name, (unsigned long long) there->line);
        return false;
    }

    name_add(&out->ids, item.id, tool_csv_line(t->csv));

    return reco_builder_item(b, &item, &err) == RECO_OK
           || row_failed(t, &err);
}

bool
build_add_items(const char *path, build_items_t *out, reco_builder_t *b)
{
    bool                ok;
    table_t             t;
    tool_csv_result_t   rc;
    const reco_str_t   *fields;

    ok = table_open(&t, path, item_columns, ITEM_COLUMNS, 1u << ID);

    while (ok && (rc = tool_csv_next(t.csv, &fields)) == TOOL_CSV_ROW) {
        ok = add_item(&t, fields, out, b);
    }
    ok = ok && table_ended(&t, rc);
    out->items = HASH_COUNT(out->ids);
    if (ok && out->items == 0) {
        tool_error("%s: there are no items", path);
        ok = false;
    }
    tool_csv_close(t.csv);

    return ok;
}

/* ---- lists -------------------------------------------------------------- */

enum { LIST, KEY, ITEM, SCORE, LIST_COLUMNS };

static const char *const  list_columns[LIST_COLUMNS] = {
    "list", "key", "item", "score"
};

/* The list whose lines are being read. */
typedef struct {
    char               name[RECO_MAX_ID + 1];
    char               key[RECO_MAX_ID + 1];
    uint64_t           line;            /* its first */
    uint32_t           n;
    reco_list_entry_t  entries[RECO_MAX_LIST];
} open_list_t;

/* By falling score, of equal ones by rising item. */
static int
compare_entries(const void *a, const void *b)
{
    const reco_list_entry_t  *x = a, *y = b;

    return x->score != y->score ? (x->score < y->score ? 1 : -1)
                                : (x->item > y->item) - (x->item < y->item);
}

static bool
end_list(const table_t *t, open_list_t *l, build_items_t *out,
    reco_builder_t *b)
{
    reco_error_t  err;

    if (l->n == 0) {
        return true;
    }

    qsort(l->entries, l->n, sizeof(l->entries[0]), compare_entries);

    if (reco_builder_list(b, tool_str(l->name), tool_str(l->key), l->entries,
                          l->n, &err) != RECO_OK)
    {
        tool_error("%s:%llu: %s", t->path, (unsigned long long) l->line,
                   err.message);
        return false;
    }
    out->lists++;
    l->n = 0;

    return true;
}

static bool
begin_list(const table_t *t, const reco_str_t *fields, open_list_t *l,
    build_items_t *out)
{
    reco_str_t  name = field(t, fields, LIST), key = field(t, fields, KEY);

    if (!check_text(t, LIST, name, true) || !check_text(t, KEY, key, false)) {
        return false;
    }

    memcpy(l->name, name.data, name.len);
    l->name[name.len] = '\0';
    memcpy(l->key, key.data, key.len);
    l->key[key.len] = '\0';
    l->line = tool_csv_line(t->csv);

    if (name_find(out->names, name) == NULL) {
        name_add(&out->names, name, l->line);
    }

    return true;
}

static bool
parse_entry(const table_t *t, const reco_str_t *fields,
    const build_items_t *out, reco_list_entry_t *e)
{
    reco_str_t           id = field(t, fields, ITEM);
    reco_str_t           score = field(t, fields, SCORE);
    const build_name_t  *item;

    item = name_find(out->ids, id);
    if (item == NULL) {
        tool_csv_refuse(t->csv, list_columns[ITEM], id, "is no item's id");
        return false;
    }

    if (!tool_number_parse(score, &e->score) || e->score < 0) {
        tool_csv_refuse(t->csv, list_columns[SCORE], score,
                        "is not a number from 0");
        return false;
    }

    e->item = item->index;

    return true;
}

static bool
add_entry(const table_t *t, const reco_str_t *fields, open_list_t *l,
    build_items_t *out, reco_builder_t *b)
{
    bool               same;
    reco_list_entry_t  e;

    same = l->n > 0
           && reco_str_equal(field(t, fields, LIST), tool_str(l->name))
           && reco_str_equal(field(t, fields, KEY), tool_str(l->key));

    if ((!same && (!end_list(t, l, out, b) || !begin_list(t, fields, l, out)))
        || !parse_entry(t, fields, out, &e))
    {
        return false;
    }

    if (l->n > 0 && e.score > l->entries[l->n - 1].score) {
        tool_csv_refuse(t->csv, list_columns[SCORE], field(t, fields, SCORE),
                        "is above the score before it in its list");
        return false;
    }

    if (l->n == RECO_MAX_LIST) {
        tool_csv_error(t->csv, list_columns[LIST], "'%s' has more than %d "
                       "items", l->name, RECO_MAX_LIST);
        return false;
    }

    l->entries[l->n++] = e;

    return true;
}

bool
build_add_lists(const char *path, build_items_t *out, reco_builder_t *b)
{
    bool                ok;
    table_t             t;
    open_list_t        *l = tool_alloc(sizeof(*l));
    tool_csv_result_t   rc;
    const reco_str_t   *fields;

    l->n = 0;
    ok = table_open(&t, path, list_columns, LIST_COLUMNS,
                    1u << LIST | 1u << ITEM | 1u << SCORE);

    while (ok && (rc = tool_csv_next(t.csv, &fields)) == TOOL_CSV_ROW) {
        ok = add_entry(&t, fields, l, out, b);
    }
    ok = ok && table_ended(&t, rc) && end_list(&t, l, out, b);
    tool_csv_close(t.csv);
    free(l);

    return ok;
}

bool
build_has_list(const build_items_t *items, reco_str_t name)
{
    return name_find(items->names, name) != NULL;
}

void
build_free_items(build_items_t *items)
{
    names_free(&items->ids);
    names_free(&items->names);
}

/* ---- from another snapshot ---------------------------------------------- */

typedef struct {
    reco_builder_t     *to;
    reco_status_t       status;
    reco_error_t        err;
    reco_list_entry_t   entries[RECO_MAX_LIST];
} copy_t;

static bool
copy_item(void *data, uint32_t index, const reco_item_t *item)
{
    copy_t  *c = data;

    (void) index;
    c->status = reco_builder_item(c->to, item, &c->err);

    return c->status == RECO_OK;
}

static bool
copy_list(void *data, reco_str_t name, reco_str_t key,
    const reco_list_t *list)
{
    copy_t    *c = data;
    uint32_t   i;

    for (i = 0; i < list->n; i++) {
        c->entries[i] = reco_list_entry(list, i);
    }
    c->status = reco_builder_list(c->to, name, key, c->entries, list->n,
                                  &c->err);

    return c->status == RECO_OK;
}

bool
items_copy(const reco_snapshot_t *from, reco_builder_t *to)
{
    bool            ok;
    copy_t         *c = tool_alloc(sizeof(*c));
    reco_status_t   rc;

    c->to = to;
    c->status = RECO_OK;

    rc = reco_snapshot_each_item(from, copy_item, c, &c->err);
    if (rc == RECO_OK && c->status == RECO_OK) {
        rc = reco_snapshot_each_list(from, copy_list, c, &c->err);
    }

    ok = rc == RECO_OK && c->status == RECO_OK;
    if (!ok) {
        tool_fail("items", &c->err);
    }
    free(c);

    return ok;
}
