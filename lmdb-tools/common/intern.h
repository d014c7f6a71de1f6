/*
 * intern.h - distinct texts and their numbers, in the order of their first
 * appearance.
 */

#ifndef RECO_INTERN_H
#define RECO_INTERN_H

#include "tool.h"

#define INTERN_NONE     UINT32_MAX

typedef struct intern_entry_s  intern_entry_t;

/* All zeros is an empty table. */
typedef struct {
    intern_entry_t  *hash;
    char           **texts;         /* owned; terminated */
    uint32_t         n, room;
} intern_t;

/* The text's number; a new one where it is new. */
uint32_t intern_add(intern_t *t, reco_str_t text);
/* INTERN_NONE where it is unknown. */
uint32_t intern_find(const intern_t *t, reco_str_t text);
void intern_free(intern_t *t);

#endif /* RECO_INTERN_H */
