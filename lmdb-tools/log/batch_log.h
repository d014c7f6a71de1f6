/*
 * batch_log.h - an event log written by a tool: segments of one incarnation,
 * all of them or none. Begins with batch_log_open(), ends with
 * batch_log_finish() or batch_log_abandon().
 */

#ifndef RECO_BATCH_LOG_H
#define RECO_BATCH_LOG_H

#include "reco_segment.h"
#include "tool.h"

typedef struct {
    reco_segment_t   segment;
    const char      *dir;
    reco_str_t       node;
    uint32_t         incarnation;
    uint64_t         time_ms;
    uint64_t         seq;
    size_t           record_bound;
    char            *memory;
    reco_buf_t       buf;
    char           **paths;         /* of finished segments */
    size_t           npaths;
} batch_log_t;

/* The folder is created if absent. All return false after a message. */
bool batch_log_open(batch_log_t *log, const char *dir, reco_str_t node,
    uint32_t incarnation, uint64_t time_ms, const reco_model_t *model);
/* Numbers the event and writes it, sooner or later. */
bool batch_log_decision(batch_log_t *log, reco_decision_event_t *e);
bool batch_log_finish(batch_log_t *log);
/* Removes what was written, also after a finish; frees all. */
void batch_log_abandon(batch_log_t *log);
/* Frees all, and leaves the segments. */
void batch_log_close(batch_log_t *log);

#endif /* RECO_BATCH_LOG_H */
