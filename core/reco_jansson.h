/*
 * reco_jansson.h - JSON text to jansson's tree and back.
 */

#ifndef RECO_JANSSON_H
#define RECO_JANSSON_H

#include "reco_base.h"

#include <jansson.h>

/* The tree of a text, which the caller owns; no key may come twice. NULL where
 * there is an error: RECO_INVALID and where the fault is, or RECO_NO_MEMORY.
 * One thread at a time. */
reco_status_t reco_jansson_load(reco_str_t text, json_t **root,
    reco_error_t *err);

/* The text of a tree, to be freed; 'flags' are those of json_dumps(). NULL with
 * ENOMEM in errno, or where it has no text. One thread at a time. */
char *reco_jansson_dump(const json_t *root, size_t flags);

/* Between them jansson's requests for memory are watched: false when one of
 * them failed, and what was made of it is not whole. The functions above do so
 * by themselves, and are not to be called in between. */
void reco_jansson_begin(void);
bool reco_jansson_end(void);

#endif /* RECO_JANSSON_H */
