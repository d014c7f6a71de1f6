/*
 * degenerate.h - whether a snapshot looks like the result of an accident. What
 * publishes asks here first: `reco publish` and `reco train --follow`.
 */

#ifndef RECO_DEGENERATE_H
#define RECO_DEGENERATE_H

#include "reco_snapshot.h"
#include "tool.h"

/* Appends to 'reasons' (an array of strings) what speaks against publishing
 * 's': no active action, a table policy without a table, values that are not
 * finite, rows of probability 0; less than half of the states or customers of
 * 'served', which may be NULL. Both must be sound. False, after a message that
 * names 'path', when s cannot be read. */
bool degenerate_reasons(const reco_snapshot_t *s, const char *path,
    const reco_snapshot_t *served, json_t *reasons);

#endif /* RECO_DEGENERATE_H */
