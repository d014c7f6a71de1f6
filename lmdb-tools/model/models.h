/*
 * models.h - models as the tools meet them: as a spec, as a snapshot, as the
 * snapshots of a model's folder by generation, and the features and eligible
 * actions of a logged decision put in a model's terms.
 */

#ifndef RECO_MODELS_H
#define RECO_MODELS_H

#include "build.h"
#include "reco_event.h"
#include "reco_snapshot.h"
#include "tool.h"

/* ---- one model from a file ---------------------------------------------- */

typedef struct {
    const reco_model_t  *model;
    reco_snapshot_t     *snapshot;      /* NULL: the file is a spec */
    char                *text;          /* resolved spec, terminated */

    reco_model_t        *owned;         /* of a spec */
    build_actions_t      actions;
} model_file_t;

/* The path of a secret file, or NULL for none. False after a message. */
bool model_read_secret(const char *path, reco_secret_t **secret);

/* A snapshot (of a folder: the current one), or a spec bound to its catalogue.
 * A spec that asks for quantile bins is refused: only a snapshot has them.
 * False after a message. */
bool model_file_open(model_file_t *m, const char *path,
    const reco_secret_t *secret);
void model_file_close(model_file_t *m);

/* ---- the snapshots of a folder ------------------------------------------ */

typedef struct {
    uint64_t          generation;
    char             *path;
    char             *model;            /* its name */
    time_t            modified;
    reco_snapshot_t  *snapshot;         /* NULL until wanted */
    bool              sound;            /* it was read to its end */
    bool              damaged;
} generation_t;

typedef struct {
    generation_t  *list;                /* by generation */
    size_t         n;
    bool           damaged;             /* one was wanted and is not sound */
} generations_t;

/* Looks at every file of the folder; those that are no snapshot are passed
 * over. False after a message, also where a snapshot is damaged so that its
 * generation cannot be told. */
bool generations_open(generations_t *g, const char *dir);
void generations_close(generations_t *g);

/* Whether there is any snapshot of that model. */
bool generations_have(const generations_t *g, reco_str_t model);

/* The i-th snapshot, which is read to its end when it is wanted first. NULL
 * where it is damaged: after a message at the first time. It stays open. */
const reco_snapshot_t *generations_at(generations_t *g, size_t i);

/* The snapshot of that generation and of the model of that name, or NULL. It
 * stays open. */
const reco_snapshot_t *generations_find(generations_t *g,
    uint64_t generation, reco_str_t model);

/* ---- logged decisions --------------------------------------------------- */

/* The features as the model has them. False when a value is not of the
 * feature's kind and cannot be read as such. A feature that the record does
 * not have is missing; one that the model does not have is passed over. */
bool logged_features(const reco_model_t *model,
    const reco_event_feature_t *logged, uint32_t n, reco_features_t *out);

/* The eligible set; false when the catalogue's size differs or the text is no
 * mask. */
bool logged_eligible(const reco_model_t *model, uint32_t actions,
    reco_str_t eligible, reco_mask_t *out);

#endif /* RECO_MODELS_H */
