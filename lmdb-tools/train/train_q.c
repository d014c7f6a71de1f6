/*
 * train_q.c - passes over a table of values until it stands still, or until
 * there were enough of them.
 */

#include "train_q.h"

#include <math.h>
#include <string.h>
#include <time.h>

#define CHECKPOINT_EVERY_MS     1000

double
train_learning_rate(const train_t *t)
{
    return t->options->learning_rate.given
           ? t->options->learning_rate.value
           : t->model->learning.learning_rate;
}

double
train_discount_factor(const train_t *t)
{
    return t->options->discount_factor.given
           ? t->options->discount_factor.value
           : t->model->learning.discount_factor;
}

static uint64_t
clock_ms(void)
{
    struct timespec  now;

    clock_gettime(CLOCK_MONOTONIC, &now);

    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

/* ---- the course --------------------------------------------------------- */

/* Every second one goes when there is no room. */
static void
thin(train_q_t *q)
{
    uint32_t  i;

    q->stride *= 2;

    for (i = 0; 2 * i + 1 < q->ncourse; i++) {
        q->course[i] = q->course[2 * i + 1];
    }

    q->ncourse = i;
}

static void
note_pass(train_q_t *q, const qchange_t *c)
{
    q->last = (train_pass_t) {
        q->passes, c->nvalues ? c->sum_change / (double) c->nvalues : 0,
        c->max_change,
        c->nstates ? (double) c->agree / (double) c->nstates : 1
    };

    if (q->passes % q->stride != 0) {
        return;
    }

    q->course[q->ncourse++] = q->last;

    if (q->ncourse == TRAIN_MAX_COURSE) {
        thin(q);
    }
}

/* ---- passes ------------------------------------------------------------- */

static bool
is_converged(const train_q_t *q, const train_q_algorithm_t *a,
    const qchange_t *c)
{
    double  scale = fmax(1, c->max_value);

    return (a->by_mean ? q->last.mean_change : q->last.max_change)
           <= a->tolerance * scale;
}

static bool
run_passes(train_q_t *q, const train_q_algorithm_t *a)
{
    bool          found = false;
    uint64_t      asked = q->train->options->passes, written_ms = 0;
    uint64_t      max = asked ? asked : a->max_passes;
    qchange_t     change;
    const char   *checkpoint = q->train->options->checkpoint;

    a->start(q);

    if (checkpoint && !checkpoint_read(q, checkpoint, &found)) {
        return false;
    }

    if (found) {
        tool_warn("%s: goes on after pass %llu", checkpoint,
                  (unsigned long long) q->passes);
    }

    while (!q->converged && q->passes < max) {
        memset(&change, 0, sizeof(change));
        a->pass(q, &change);
        q->passes++;
        note_pass(q, &change);
        q->converged = !(a->always_all && asked)
                       && is_converged(q, a, &change);

        if (checkpoint && clock_ms() - written_ms >= CHECKPOINT_EVERY_MS) {
            if (!checkpoint_write(q, checkpoint)) {
                return false;
            }
            written_ms = clock_ms();
        }
    }

    if (!q->converged && !asked) {
        tool_warn("the values still change by up to %g after %llu passes",
                  q->last.max_change, (unsigned long long) q->passes);
    }

    if (a->end) {
        a->end(q);
    }

    return true;
}

static void
nothing_to_learn(const train_q_t *q)
{
    char      text[512] = "", missing[128];
    size_t    used = 0;
    uint32_t  i;

    for (i = 1; i < LEFT_OUT_N && used < sizeof(text); i++) {
        if (q->transitions->left_out[i] > 0) {
            used += (size_t) snprintf(text + used, sizeof(text) - used,
                "%s%llu %s", used ? ", " : "",
                (unsigned long long) q->transitions->left_out[i],
                left_out_name(i));
        }
    }

    tool_error("there is no decision to learn from: of %zu, %s%s%s",
               q->train->ledger->n, text,
               q->transitions->left_out[LEFT_OUT_OPEN]
               + q->transitions->left_out[LEFT_OUT_UNFINISHED] > 0
               ? ": wait, or use --live" : "",
               ledger_missing(q->train->ledger, missing, sizeof(missing)));
}

static bool
learn(train_q_t *q, const train_q_algorithm_t *a)
{
    const train_options_t  *o = q->train->options;

    q->transitions = transitions_new(q->train->model, q->train->ledger,
                                     o->half_life_ms, o->hold_out);
    if (q->transitions == NULL) {
        return false;
    }

    if (q->transitions->nused == 0) {
        nothing_to_learn(q);
        return false;
    }

    q->table = qtable_new(q->transitions, o->half_life_ms);
    if (q->table == NULL) {
        return false;
    }

    q->table->alpha = train_learning_rate(q->train);
    q->table->gamma = train_discount_factor(q->train);
    q->table->shrinkage = q->train->model->learning.shrinkage;
    q->table->threads = o->threads;

    if (!run_passes(q, a)) {
        return false;
    }

    qtable_variance(q->table);

    if (!train_q_rows(q)) {
        return false;
    }

    train_q_facts(q);

    return true;
}

bool
train_q(train_t *t, const train_q_algorithm_t *algorithm)
{
    bool        ok;
    uint32_t    l;
    train_q_t  *q;

    if (t->model->policy.slate != 1) {
        tool_error("$.policy.slate: is %u, and %s learns the value of one "
                   "action at a time: it must be 1", t->model->policy.slate,
                   json_string_value(json_object_get(t->facts, "algorithm")));
        return false;
    }

    q = tool_alloc(sizeof(*q));
    memset(q, 0, sizeof(*q));
    q->train = t;
    q->stride = 1;
    q->course = tool_alloc(TRAIN_MAX_COURSE * sizeof(*q->course));

    ok = learn(q, algorithm);

    for (l = 0; l < RECO_MAX_LEVELS; l++) {
        free(q->visits[l]);
    }

    qtable_free(q->table);
    transitions_free(q->transitions);
    free(q->course);
    free(q);

    return ok;
}
