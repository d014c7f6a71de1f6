/*
 * reco_json_private.h - what the scanner's files share: reading one number,
 * and one escape. Both keep no state.
 *
 * Each begins at *p and returns NULL with *p behind what it read, or a
 * message with *p at the fault.
 */

#ifndef RECO_JSON_PRIVATE_H
#define RECO_JSON_PRIVATE_H

#include "reco_base.h"

/* *p is at '-' or a digit. A text longer than RECO_JSON_MAX_NUMBER is read on
 * to its end but not converted. */
const char *reco_json_read_number(const char **p, const char *end,
    double *value);

/* *p is at a backslash. The decoded bytes, 1..4, go to out. */
const char *reco_json_read_escape(const char **p, const char *end,
    unsigned flags, char out[4], size_t *n);

#endif /* RECO_JSON_PRIVATE_H */
