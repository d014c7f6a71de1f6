/*
 * build_learn.c - what a spec leaves to the data: the edges of quantile bins
 * and the most frequent words of a category. A feature learns from the
 * column of its name in the samples, else from the first of its customer
 * fields that the customers' file has a column for.
 */

#include "build.h"
#include "intern.h"
#include "quantiles.h"

#include <stdlib.h>
#include <string.h>

/* A feature that learns, and what its column said so far. */
typedef struct {
    const reco_feature_t  *f;
    uint32_t               index;
    int                    column;      /* -1: another file has it */
    double                *values;      /* numbers */
    size_t                 n, room;
    intern_t               words;       /* categories */
    uint64_t              *counts;      /* of the words */
    uint32_t               counted;     /* room of counts */
} learner_t;

typedef struct {
    const char  *path;
    tool_csv_t  *csv;
    learner_t   *learners;
    uint32_t     n;
} learning_t;

static const char *
aim(const reco_feature_t *f)
{
    return f->type == RECO_FEATURE_NUMBER ? "quantiles" : "vocabulary";
}

bool
build_wants_learning(const reco_feature_t *f)
{
    return (f->quantiles && !f->nedges) || (f->top && !f->nwords);
}

/* ---- columns ------------------------------------------------------------ */

static int
find_column(const tool_csv_t *csv, reco_str_t name)
{
    int    at;
    char  *text = tool_dup(name);

    at = tool_csv_find(csv, text);
    free(text);

    return at;
}

static int
customer_column(const tool_csv_t *csv, const reco_feature_t *f)
{
    int       at = -1;
    uint32_t  i;

    for (i = 0; i < f->nfrom && at < 0; i++) {
        if (f->from[i].source == RECO_SOURCE_CUSTOMER) {
            at = find_column(csv, f->from[i].field);
        }
    }

    return at;
}

/* ---- values ------------------------------------------------------------- */

static bool
add_number(const learning_t *l, learner_t *r, reco_str_t text)
{
    char    *name;
    double   x;

    if (!tool_number_parse(text, &x)) {
        name = tool_dup(tool_csv_column(l->csv, (uint32_t) r->column));
        tool_csv_refuse(l->csv, name, text, "is not a number");
        free(name);
        return false;
    }

    if (r->n == r->room) {
        r->room = r->room ? 2 * r->room : 1024;
        r->values = tool_realloc(r->values, r->room * sizeof(double));
    }
    r->values[r->n++] = x;

    return true;
}

static bool
add_word(const learning_t *l, learner_t *r, reco_str_t text)
{
    char      *name;
    uint32_t   i;

    if (!reco_id_is_valid(text)) {
        name = tool_dup(tool_csv_column(l->csv, (uint32_t) r->column));
        tool_csv_error(l->csv, name, "must be at most 255 bytes of UTF-8 "
                       "without control characters");
        free(name);
        return false;
    }

    i = intern_add(&r->words, text);
    if (i == r->counted) {
        r->counted = r->counted ? 2 * r->counted : 64;
        r->counts = tool_realloc(r->counts, r->counted * sizeof(uint64_t));
    }
    if (i == r->n) {
        r->counts[i] = 0;
        r->n++;
    }
    r->counts[i]++;

    return true;
}

static bool
add_row(const learning_t *l, const reco_str_t *fields)
{
    bool        ok;
    uint32_t    i;
    learner_t  *r;
    reco_str_t  text;

    for (i = 0; i < l->n; i++) {
        r = &l->learners[i];
        text = r->column < 0 ? (reco_str_t) { "", 0 } : fields[r->column];
        if (text.len == 0) {
            continue;
        }
        ok = r->f->type == RECO_FEATURE_NUMBER ? add_number(l, r, text)
                                               : add_word(l, r, text);
        if (!ok) {
            return false;
        }
    }

    return true;
}

static bool
read_rows(learning_t *l)
{
    bool                ok = true;
    tool_progress_t     progress;
    tool_csv_result_t   rc = TOOL_CSV_END;
    const reco_str_t   *fields;

    tool_progress_begin(&progress, "learning bins", tool_csv_total(l->csv));
    while (ok && (rc = tool_csv_next(l->csv, &fields)) == TOOL_CSV_ROW) {
        ok = add_row(l, fields);
        tool_progress_at(&progress, tool_csv_bytes(l->csv));
    }
    tool_progress_end(&progress);

    if (ok && rc == TOOL_CSV_BAD_ROW) {
        tool_csv_error(l->csv, NULL, "%s", tool_csv_reason(l->csv));
    }

    return ok && rc == TOOL_CSV_END;
}

/* ---- what is learned ---------------------------------------------------- */

typedef struct {
    const char  *word;
    uint64_t     count;
} counted_t;

static int
by_count(const void *one, const void *two)
{
    const counted_t  *a = one, *b = two;

    if (a->count != b->count) {
        return a->count > b->count ? -1 : 1;
    }

    return strcmp(a->word, b->word);
}

static int
by_word(const void *one, const void *two)
{
    const counted_t  *a = one, *b = two;

    return strcmp(a->word, b->word);
}

static void
top_words(const learner_t *r, reco_learned_t *out)
{
    uint32_t    i, n = r->words.n;
    counted_t  *all = tool_alloc(n * sizeof(counted_t));

    for (i = 0; i < n; i++) {
        all[i] = (counted_t) { r->words.texts[i], r->counts[i] };
    }

    qsort(all, n, sizeof(counted_t), by_count);
    n = n < r->f->top ? n : r->f->top;
    qsort(all, n, sizeof(counted_t), by_word);

    out->words = tool_alloc(n * sizeof(reco_str_t));
    out->nwords = n;
    for (i = 0; i < n; i++) {
        out->words[i] = tool_str(tool_strdup(all[i].word));
    }
    free(all);
}

static bool
conclude(const learning_t *l, learner_t *r, reco_learned_t *out)
{
    reco_str_t  name;

    if (r->n == 0) {
        name = tool_csv_column(l->csv, (uint32_t) r->column);
        tool_error("%s: feature '%.*s' learns its %s from column '%.*s', "
                   "which is empty", l->path, (int) r->f->name.len,
                   r->f->name.data, aim(r->f), (int) name.len, name.data);
        return false;
    }

    out->known = true;
    if (r->f->type == RECO_FEATURE_NUMBER) {
        out->edges = tool_alloc(r->f->quantiles * sizeof(double));
        out->nedges = quantile_edges(r->values, r->n, r->f->quantiles,
                                     out->edges);
    } else {
        top_words(r, out);
    }

    return true;
}

/* ---- a file ------------------------------------------------------------- */

static void
find_columns(learning_t *l, bool samples)
{
    uint32_t    i;
    learner_t  *r;

    for (i = 0; i < l->n; i++) {
        r = &l->learners[i];
        r->column = samples ? find_column(l->csv, r->f->name)
                            : customer_column(l->csv, r->f);
    }
}

static void
free_learners(learning_t *l)
{
    uint32_t  i;

    for (i = 0; i < l->n; i++) {
        free(l->learners[i].values);
        free(l->learners[i].counts);
        intern_free(&l->learners[i].words);
    }
    free(l->learners);
}

/* What the file has columns for and is not yet known. */
static bool
learn_from(const char *path, bool samples, const reco_model_t *model,
    reco_learned_t *learned)
{
    bool        ok;
    uint32_t    i;
    learning_t  l = { path, tool_csv_open(path), NULL, 0 };

    if (l.csv == NULL) {
        return false;
    }

    l.learners = tool_alloc(model->nfeatures * sizeof(learner_t));
    for (i = 0; i < model->nfeatures; i++) {
        if (build_wants_learning(&model->features[i]) && !learned[i].known) {
            l.learners[l.n].f = &model->features[i];
            l.learners[l.n++].index = i;
        }
    }
    find_columns(&l, samples);

    ok = read_rows(&l);
    for (i = 0; ok && i < l.n; i++) {
        if (l.learners[i].column >= 0) {
            ok = conclude(&l, &l.learners[i],
                          &learned[l.learners[i].index]);
        }
    }

    free_learners(&l);
    tool_csv_close(l.csv);

    return ok;
}

/* The first feature that still wants to learn, or -1. */
static int
unlearned(const reco_model_t *model, const reco_learned_t *learned)
{
    uint32_t  i;

    for (i = 0; i < model->nfeatures; i++) {
        if (build_wants_learning(&model->features[i]) && !learned[i].known) {
            return (int) i;
        }
    }

    return -1;
}

bool
build_learn(const char *spec, const char *samples, const char *customers,
    const reco_model_t *model, reco_learned_t *learned)
{
    int                    i;
    const reco_feature_t  *f;

    if (unlearned(model, learned) >= 0 && samples != NULL
        && !learn_from(samples, true, model, learned))
    {
        return false;
    }
    if (unlearned(model, learned) >= 0 && customers != NULL
        && !learn_from(customers, false, model, learned))
    {
        return false;
    }

    i = unlearned(model, learned);
    if (i < 0) {
        return true;
    }

    f = &model->features[i];
    if (samples == NULL && customers == NULL) {
        tool_error("%s: $.features[%d].%s: is learned from --customers or "
                   "--samples", spec, i,
                   f->type == RECO_FEATURE_NUMBER ? "bins" : "vocabulary");
    } else {
        tool_error("%s: feature '%.*s' learns its %s from data, and there is "
                   "no column for it%s", customers ? customers : samples,
                   (int) f->name.len, f->name.data, aim(f),
                   samples ? "" : " (--samples may have one)");
    }

    return false;
}

void
build_free_learned(reco_learned_t *learned, uint32_t n)
{
    uint32_t  i, j;

    for (i = 0; i < n; i++) {
        for (j = 0; j < learned[i].nwords; j++) {
            free((char *) learned[i].words[j].data);
        }
        free(learned[i].words);
        free(learned[i].edges);
    }
}
