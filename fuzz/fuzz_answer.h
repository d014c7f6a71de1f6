/*
 * fuzz_answer.h - for the fuzzers of formats: what is rendered fits and is JSON
 * by jansson's judgement. The buffer is freed.
 */

#ifndef FUZZ_ANSWER_H
#define FUZZ_ANSWER_H

#include <jansson.h>

#include "fuzz_util.h"
#include "reco_buf.h"
#include "reco_format.h"

static inline void
fuzz_check_rendered(reco_buf_t *b)
{
    json_t  *tree;

    FUZZ_ASSERT(!b->overflow);
    tree = json_loadb(b->start, reco_buf_len(b),
                      JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    FUZZ_ASSERT(tree != NULL);
    json_decref(tree);
    free(b->start);
}

/* Refused: what is said of it can be sent. */
static inline void
fuzz_check_problem(const reco_format_t *format, const reco_error_t *err,
    reco_status_t rc, size_t len)
{
    reco_buf_t       b;
    reco_problem_t   problem;

    fuzz_check_error(err, rc, len);
    FUZZ_ASSERT(rc == RECO_INVALID || rc == RECO_LIMIT);

    problem = (reco_problem_t) { 400, "invalid", err };
    reco_buf_init(&b, fuzz_alloc(4096), 4096);
    format->render_problem(&b, &problem);
    fuzz_check_rendered(&b);
}

#endif /* FUZZ_ANSWER_H */
