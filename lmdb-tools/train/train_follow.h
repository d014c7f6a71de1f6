/*
 * train_follow.h - `reco train --follow`: learning that keeps pace with a log.
 *
 * A cycle reads what the log has gained, settles it live, learns from all of
 * it and publishes a generation, unless no record of the model came. The
 * values of open decisions are not final: each cycle restates them by the
 * facts so far, and they weigh as little as ledger_weight() says, so that
 * early clicks do not look like certainty. A decision is as old as the newest
 * record, of whatever node and model, is later: while nothing is logged,
 * nothing ages. Records of times to come wait for them.
 *
 * What `reco publish` refuses is not published either (degenerate.h): it says
 * why and goes on when there are new records. The generation that is served,
 * whoever published it, is what it is compared with, and where the history of
 * trainings is carried on from.
 *
 * DIR/.follow holds a lock, the snapshot in the making and the names of the
 * generations that followers published; one that is killed leaves nothing but
 * a file there, which the next one removes. Its generation is published whole
 * or not at all, by reco_publish().
 */

#ifndef RECO_TRAIN_FOLLOW_H
#define RECO_TRAIN_FOLLOW_H

#include "train.h"

#define FOLLOW_KEEP_MIN     2
#define FOLLOW_HALF_LIVES   10      /* the window where none is given */

typedef struct {
    const char *const  *logs;
    uint32_t            nlogs;
    const char         *models_path;    /* of --models, or NULL: looked at anew
                                           in each cycle */
    const char         *dir;            /* where to publish */
    uint64_t            every_ms;       /* from one cycle's start to the next */
    uint64_t            window_ms;      /* evidence older than that is dropped;
                                           0: none is */
    uint32_t            keep;           /* of the generations that followers
                                           published, the last so many stay; 0:
                                           all */
    uint64_t            generations;    /* to end after; 0: on a signal */
    bool                json;           /* a line of JSON a cycle */
} follow_options_t;

/* Goes on until SIGINT or SIGTERM, which end it after the cycle they come in.
 * What fails is said and tried again, after at most a minute. False, after a
 * message, where it cannot begin: no such log or folder, or another follower
 * is at work there. */
bool train_follow(const follow_options_t *f, const train_options_t *o,
    const model_file_t *model, const reco_snapshot_t *base);

#endif /* RECO_TRAIN_FOLLOW_H */
