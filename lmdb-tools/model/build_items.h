/*
 * build_items.h - items and ranked lists on their way into a snapshot: from CSV
 * files, or from another snapshot. Each function returns false after a message.
 */

#ifndef RECO_BUILD_ITEMS_H
#define RECO_BUILD_ITEMS_H

#include "reco_snapshot.h"
#include "tool.h"

typedef struct {
    struct build_name_s  *ids;      /* of the items, by id */
    struct build_name_s  *names;    /* of the lists */
    uint64_t              items;
    uint64_t              lists;
} build_items_t;

/* Columns id (needed), name, price, category, family, available: 1, 0, true,
 * false, or empty for 1. Items keep the file's order. */
bool build_add_items(const char *path, build_items_t *out, reco_builder_t *b);

/* Columns list, item, score (needed), key. A list's lines follow each other,
 * their scores do not rise. */
bool build_add_lists(const char *path, build_items_t *out, reco_builder_t *b);

/* Whether there is a list of that name, of any key. */
bool build_has_list(const build_items_t *items, reco_str_t name);

void build_free_items(build_items_t *items);

/* All items and lists of a snapshot into the builder of another. */
bool items_copy(const reco_snapshot_t *from, reco_builder_t *to);

#endif /* RECO_BUILD_ITEMS_H */
