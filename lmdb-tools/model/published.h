/*
 * published.h - snapshots where they lie: a file, or a folder that servers
 * pick them up from. Each function returns false after a message.
 */

#ifndef RECO_PUBLISHED_H
#define RECO_PUBLISHED_H

#include "reco_snapshot.h"
#include "tool.h"

#define PUBLISHED_PATH  4352

typedef struct {
    char              path[PUBLISHED_PATH];     /* of the snapshot */
    bool              is_folder;                /* then manifest is valid */
    reco_manifest_t   manifest;
} published_t;

/* A snapshot's file, or a folder's current one. */
bool published_find(const char *path, published_t *out);

/* The file in a folder that holds a generation. */
bool published_generation(const char *dir, uint64_t generation,
    char path[PUBLISHED_PATH]);

/* Size and checksum are those of the manifest. err says what is not. */
bool published_matches(const published_t *p, reco_error_t *err);

/* Reads every record. In a process of its own, because LMDB may crash on a
 * damaged file whose checksum is not known, or read it for ever; err says
 * what is wrong. */
bool published_is_sound(const char *path, reco_error_t *err);

/* The same without the customers and states: cheap, but these may still be
 * damaged. */
bool published_opens(const char *path, reco_error_t *err);

/* A sum over all but generation and parent: equal where the content is. The
 * file must be sound. */
bool published_content(const char *path, uint8_t sum[RECO_CHECKSUM_BYTES]);

void published_checksum_text(const uint8_t sum[RECO_CHECKSUM_BYTES],
    char text[2 * RECO_CHECKSUM_BYTES + 1]);

#endif /* RECO_PUBLISHED_H */
