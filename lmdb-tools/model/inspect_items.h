/*
 * inspect_items.h - what `reco inspect` shows of a snapshot's items. Each
 * returns the command's exit status, after a message where that is not 0.
 */

#ifndef RECO_INSPECT_ITEMS_H
#define RECO_INSPECT_ITEMS_H

#include "reco_snapshot.h"
#include "tool.h"

/* 'path' is the snapshot's, for messages. */
int inspect_item(const reco_snapshot_t *s, const char *path, const char *id,
    bool json);
/* "NAME", or "NAME/KEY". */
int inspect_list(const reco_snapshot_t *s, const char *path,
    const char *list, bool json);

#endif /* RECO_INSPECT_ITEMS_H */
