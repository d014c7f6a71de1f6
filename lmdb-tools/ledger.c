/*
 * ledger.c - takes logs into memory: decisions by id, rewards in a list, and
 * for each writer the sequence numbers seen. Lives as long as its ledger_t;
 * what it makes of it is ledger_close.c's part.
 */

#include "ledger.h"

#include <string.h>

#define BLOCK_SIZE      (1 << 20)
#define CORRUPT_SHOWN   5

typedef struct block_s {
    struct block_s  *next;
    char             data[];
} block_t;

/* What reading one path needs. */
typedef struct {
    ledger_t          *ledger;
    reco_log_reader_t *reader;
    ledger_source_t   *source;
    char              *file;    /* the source's */
} input_t;

ledger_t *
ledger_new(void)
{
    ledger_t  *l = tool_alloc(sizeof(*l));

    memset(l, 0, sizeof(*l));
    l->private = tool_alloc(sizeof(*l->private));
    memset(l->private, 0, sizeof(*l->private));
    l->private->block_used = BLOCK_SIZE;

    return l;
}

void
ledger_free(ledger_t *l)
{
    block_t          *block, *next;
    ledger_source_t  *s, *tmp;

    if (l == NULL) {
        return;
    }

    HASH_ITER(hh, l->private->sources, s, tmp) {
        HASH_DEL(l->private->sources, s);
        free(s->runs);
        free(s->name);
        free(s->node);
        free(s);
    }

    HASH_CLEAR(hh, l->private->by_id);
    HASH_CLEAR(hh, l->private->words);

    for (block = l->private->blocks; block; block = next) {
        next = block->next;
        free(block);
    }

    free(l->private->rewards);
    free(l->decisions);
    free(l->private);
    free(l);
}

void *
ledger_alloc(ledger_t *l, size_t size)
{
    char              *memory;
    block_t           *block;
    ledger_private_t  *p = l->private;

    size = (size + 15) & ~(size_t) 15;

    if (size > BLOCK_SIZE - p->block_used) {
        block = tool_alloc(sizeof(block_t)
                           + (size > BLOCK_SIZE ? size : BLOCK_SIZE));
        block->next = p->blocks;
        p->blocks = block;
        p->block_used = 0;
    }

    block = p->blocks;
    memory = block->data + p->block_used;
    p->block_used = size > BLOCK_SIZE ? BLOCK_SIZE : p->block_used + size;

    return memory;
}

reco_str_t
ledger_word(ledger_t *l, reco_str_t s)
{
    ledger_word_t  *w;

    if (s.len == 0) {
        return (reco_str_t) { "", 0 };
    }

    HASH_FIND(hh, l->private->words, s.data, s.len, w);

    if (w == NULL) {
        w = ledger_alloc(l, sizeof(*w) + s.len + 1);
        w->len = (uint32_t) s.len;
        memcpy(w->text, s.data, s.len);
        w->text[s.len] = '\0';
        HASH_ADD_KEYPTR(hh, l->private->words, w->text, w->len, w);
    }

    return (reco_str_t) { w->text, w->len };
}

/* ---- writers and their sequence numbers --------------------------------- */

static ledger_source_t *
find_source(ledger_t *l, const char *node, const char *incarnation)
{
    char              name[1200];
    ledger_source_t  *s;

    snprintf(name, sizeof(name), "%s/%s", node, incarnation);
    HASH_FIND_STR(l->private->sources, name, s);

    if (s == NULL) {
        s = tool_alloc(sizeof(*s));
        memset(s, 0, sizeof(*s));
        s->name = tool_strdup(name);
        s->node = tool_strdup(node);
        HASH_ADD_KEYPTR(hh, l->private->sources, s->name, strlen(s->name), s);
    }

    return s;
}

/* The writer of the current line: named by the segment's header, or, where
 * that is damaged, by the file. */
static void
follow_source(input_t *in, const reco_event_t *e)
{
    char         incarnation[16];
    char        *node;
    const char  *file = reco_log_file(in->reader);

    if (e->type == RECO_EVENT_HEADER) {
        snprintf(incarnation, sizeof(incarnation), "%08x",
                 (unsigned) e->header.incarnation);
        node = tool_dup(e->header.node);
        in->source = find_source(in->ledger, node, incarnation);
        free(node);

    } else if (in->file == NULL || strcmp(in->file, file) != 0) {
        in->source = find_source(in->ledger, file, "");

    } else {
        return;
    }

    free(in->file);
    in->file = tool_strdup(file);
}

static void
note_seq(ledger_source_t *s, uint64_t seq, uint64_t time_ms)
{
    ledger_run_t  *run = s->nruns ? &s->runs[s->nruns - 1] : NULL;

    if (run && seq == run->last + 1) {
        run->last = seq;
        run->last_ms = time_ms;
        return;
    }

    if (s->nruns == s->room) {
        s->room = s->room ? 2 * s->room : 8;
        s->runs = tool_realloc(s->runs, s->room * sizeof(*s->runs));
    }

    s->runs[s->nruns++] = (ledger_run_t) { seq, seq, time_ms };
}

/* ---- records ------------------------------------------------------------ */

static reco_event_feature_t *
copy_features(ledger_t *l, const reco_event_t *e)
{
    uint32_t               i;
    reco_event_feature_t  *copy;

    copy = ledger_alloc(l, e->nfeatures * sizeof(*copy));

    for (i = 0; i < e->nfeatures; i++) {
        copy[i] = e->features[i];
        copy[i].name = ledger_word(l, e->features[i].name);
        if (copy[i].value.kind == RECO_VALUE_WORD) {
            copy[i].value.word = ledger_word(l, e->features[i].value.word);
        }
    }

    return copy;
}

static ledger_decision_t *
copy_decision(ledger_t *l, const ledger_source_t *source,
    const reco_event_t *e)
{
    uint32_t            i;
    ledger_decision_t  *d = ledger_alloc(l, sizeof(*d));

    memset(d, 0, sizeof(*d));
    d->id = e->id;
    d->time_ms = e->time_ms;
    d->generation = e->generation;
    d->seq = e->seq;
    d->source = source;
    d->model = ledger_word(l, e->model);
    d->customer = ledger_word(l, e->customer_key);
    d->session = ledger_word(l, e->session);
    d->actions = e->actions;
    d->eligible = ledger_word(l, e->eligible);
    d->fallback = e->fallback;
    d->features = copy_features(l, e);
    d->nfeatures = e->nfeatures;
    d->nslate = e->nslate;
    d->slate = ledger_alloc(l, e->nslate * sizeof(*d->slate));
    d->propensity = ledger_alloc(l, e->nslate * sizeof(*d->propensity));

    for (i = 0; i < e->nslate; i++) {
        d->slate[i] = ledger_word(l, e->slate[i]);
        d->propensity[i] = e->propensity[i];
    }

    return d;
}

/* An id is unique; should two writers have logged the same one, the earlier
 * by name and number stays, whichever is read first. */
static void
add_decision(ledger_t *l, const ledger_source_t *source,
    const reco_event_t *e)
{
    int                 order;
    ledger_decision_t  *d;

    HASH_FIND(hh, l->private->by_id, &e->id, sizeof(e->id), d);

    if (d) {
        order = strcmp(source->name, d->source->name);
        l->counts.repeated++;
        if (order > 0 || (order == 0 && e->seq >= d->seq)) {
            return;
        }
        HASH_DEL(l->private->by_id, d);
    }

    d = copy_decision(l, source, e);
    HASH_ADD(hh, l->private->by_id, id, sizeof(d->id), d);
}

static void
add_reward(ledger_t *l, const ledger_source_t *source, const reco_event_t *e)
{
    uint32_t           i;
    ledger_reward_t   *r;
    ledger_private_t  *p = l->private;

    if (p->nrewards == p->room) {
        p->room = p->room ? 2 * p->room : 256;
        p->rewards = tool_realloc(p->rewards, p->room * sizeof(*p->rewards));
    }

    r = &p->rewards[p->nrewards++];
    r->source = source;
    r->seq = e->seq;
    r->time_ms = e->time_ms;
    r->has_id = e->has_id;
    r->id = e->id;
    r->model = ledger_word(l, e->model);
    r->customer = ledger_word(l, e->customer_key);
    r->session = ledger_word(l, e->session);
    r->key = ledger_word(l, e->key);
    r->action = ledger_word(l, e->action);
    r->nfacts = e->nfacts;
    r->facts = ledger_alloc(l, e->nfacts * sizeof(*r->facts));

    for (i = 0; i < e->nfacts; i++) {
        r->facts[i].name = ledger_word(l, e->facts[i].name);
        r->facts[i].value = e->facts[i].value;
    }
}

static void
take(input_t *in, const reco_event_t *e)
{
    uint64_t   time_ms = e->time_ms;
    ledger_t  *l = in->ledger;

    follow_source(in, e);

    if (e->type == RECO_EVENT_HEADER) {
        time_ms = e->header.time_ms;

    } else {
        l->counts.records++;
        note_seq(in->source, e->seq, time_ms);
    }

    if (time_ms > in->source->last_ms) {
        in->source->last_ms = time_ms;
    }

    if (e->type == RECO_EVENT_DECISION) {
        add_decision(l, in->source, e);

    } else if (e->type == RECO_EVENT_REWARD) {
        add_reward(l, in->source, e);
    }
}

bool
ledger_read(ledger_t *l, const char *path)
{
    input_t          in = { .ledger = l };
    reco_event_t    *e;
    reco_error_t     err;
    reco_status_t    status;
    tool_progress_t  progress;

    if (reco_log_open(path, &in.reader, &err) != RECO_OK) {
        tool_fail(path, &err);
        return false;
    }

    tool_progress_begin(&progress, "reading", reco_log_bytes_total(in.reader));

    for ( ;; ) {
        status = reco_log_next(in.reader, &e, &err);

        if (status == RECO_OK) {
            take(&in, e);

        } else if (status == RECO_CORRUPT) {
            if (l->counts.corrupt++ < CORRUPT_SHOWN) {
                tool_warn("%s", err.message);
            }

        } else {
            break;
        }

        tool_progress_at(&progress, reco_log_bytes_read(in.reader));
    }

    tool_progress_end(&progress);
    reco_log_close(in.reader);
    free(in.file);

    if (status != RECO_NOT_FOUND) {
        tool_fail(path, &err);
        return false;
    }

    return true;
}
