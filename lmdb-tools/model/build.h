/*
 * build.h - the parts of `reco build`: the CSV files a snapshot is made from.
 * Each function returns false after a message.
 */

#ifndef RECO_BUILD_H
#define RECO_BUILD_H

#include "build_items.h"
#include "reco_snapshot.h"
#include "reco_spec.h"
#include "tool.h"

/* ---- catalogue ---------------------------------------------------------- */

typedef struct {
    reco_action_t  *actions;        /* texts are owned, terminated */
    uint32_t        n;
} build_actions_t;

/* Columns id (needed), name, price, category, active. */
bool build_read_actions(const char *path, build_actions_t *out);
void build_free_actions(build_actions_t *a);

/* ---- customers ---------------------------------------------------------- */

/* How a column's text becomes a field of the record. */
typedef struct {
    reco_str_t              name;
    int                     column;
    bool                    number;     /* a number feature takes it */
    const reco_feature_t   *coded;      /* a category with codes takes it */
} build_field_t;

typedef struct {
    const char             *path;
    const reco_secret_t    *secret;
    tool_csv_t             *csv;
    char                   *key_name;   /* column of the customer's id */
    int                     key;
    build_field_t          *fields;
    reco_str_t             *names;      /* of the fields */
    uint32_t                n;
    uint64_t                rows;
} build_customers_t;

/* Reads the header and finds out what each column is for. May be called again
 * after closing, to read the file once more; the model must live on. */
bool build_open_customers(build_customers_t *c, const char *path,
    const reco_model_t *model, const reco_secret_t *secret);
void build_close_customers(build_customers_t *c);

/* Gives every row to the builder. */
bool build_add_customers(build_customers_t *c, reco_builder_t *builder);

/* ---- what is learned from data ------------------------------------------ */

/* Whether its bins or its vocabulary are still to be learned. */
bool build_wants_learning(const reco_feature_t *f);

/* Fills learned[f] (all zeros before) for each feature f that wants learning,
 * from the CSV files 'samples', then 'customers' (either may be NULL). */
bool build_learn(const char *spec, const char *samples, const char *customers,
    const reco_model_t *model, reco_learned_t *learned);
void build_free_learned(reco_learned_t *learned, uint32_t n);

/* ---- values ------------------------------------------------------------- */

/* A column for each state feature, slot where the model is by slot, action,
 * value, and visits, level and confidence where they are there. The model is resolved and bound. */
bool build_add_values(const char *path, const reco_model_t *model,
    reco_builder_t *builder, uint64_t *states);

#endif /* RECO_BUILD_H */
