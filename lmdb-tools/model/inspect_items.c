/*
 * inspect_items.c - an item and a ranked list of a snapshot, as text or JSON.
 */

#include "inspect_items.h"

#include <math.h>
#include <string.h>

static const reco_items_source_t *
source(const reco_snapshot_t *s, const char *path)
{
    const reco_items_source_t  *items = reco_snapshot_model(s)->items_source;

    if (items == NULL) {
        tool_error("%s: there are no items", path);
    }

    return items;
}

static json_t *
text(reco_str_t s)
{
    return json_stringn(s.data, s.len);
}

/* ---- an item ------------------------------------------------------------ */

static json_t *
item_json(uint32_t index, const reco_item_t *item)
{
    json_t  *o = json_object();

    json_object_set_new(o, "id", text(item->id));
    json_object_set_new(o, "index", json_integer(index));
    json_object_set_new(o, "name", text(item->name));
    json_object_set_new(o, "category", text(item->category));
    json_object_set_new(o, "family", text(item->family));
    json_object_set_new(o, "price", isnan(item->price)
                                    ? json_null() : json_real(item->price));
    json_object_set_new(o, "available", json_boolean(item->available));

    return o;
}

static void
print_text(const char *name, reco_str_t s)
{
    printf("%-10s %.*s\n", name, (int) s.len, s.data);
}

int
inspect_item(const reco_snapshot_t *s, const char *path, const char *id,
    bool json)
{
    void                       *data = (void *) s;
    uint32_t                    index;
    reco_item_t                 item;
    const reco_items_source_t  *items = source(s, path);

    if (items == NULL) {
        return 1;
    }

    if (!items->find(data, tool_str(id), &index)
        || !items->item(data, index, &item))
    {
        tool_error("%s: there is no item '%s'", path, id);
        return 1;
    }

    if (json) {
        tool_print_json(item_json(index, &item));
        return 0;
    }

    print_text("id", item.id);
    printf("%-10s %u\n", "index", index);
    print_text("name", item.name);
    print_text("category", item.category);
    print_text("family", item.family);
    if (isnan(item.price)) {
        printf("%-10s unknown\n", "price");
    } else {
        printf("%-10s %.15g\n", "price", item.price);
    }
    printf("%-10s %s\n", "available", item.available ? "yes" : "no");

    return 0;
}

/* ---- a list ------------------------------------------------------------- */

static void
print_list(const reco_items_source_t *items, void *data,
    const reco_list_t *list, json_t *out)
{
    uint32_t           i;
    reco_item_t        item;
    reco_list_entry_t  e;

    for (i = 0; i < list->n; i++) {
        e = reco_list_entry(list, i);
        if (!items->item(data, e.item, &item)) {
            item.id = (reco_str_t) { "?", 1 };
        }

        if (out != NULL) {
            json_array_append_new(out, json_pack("{s:o, s:f}", "id",
                                                 text(item.id), "score",
                                                 e.score));
        } else {
            printf("%-20.*s %.15g\n", (int) item.id.len, item.id.data,
                   e.score);
        }
    }
}

int
inspect_list(const reco_snapshot_t *s, const char *path, const char *list,
    bool json)
{
    void                       *data = (void *) s;
    json_t                     *out;
    const char                 *slash = strchr(list, '/');
    reco_str_t                  name = tool_str(list), key = { "", 0 };
    reco_list_t                 entries;
    const reco_items_source_t  *items = source(s, path);

    if (items == NULL) {
        return 1;
    }

    if (slash != NULL) {
        name.len = (size_t) (slash - list);
        key = tool_str(slash + 1);
    }

    if (!items->list(data, name, key, &entries)) {
        tool_error("%s: there is no list '%s'", path, list);
        return 1;
    }

    out = json ? json_array() : NULL;
    print_list(items, data, &entries, out);
    if (json) {
        tool_print_json(out);
    }

    return 0;
}
