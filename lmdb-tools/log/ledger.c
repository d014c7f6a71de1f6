/*
 * ledger.c - takes logs into memory: decisions by id, rewards in a list, and
 * for each writer the sequence numbers seen; and lets go of them again. Lives
 * as long as its ledger_t; what it makes of it is ledger_close.c's part.
 *
 * A decision is one piece of memory and so are a reward's facts; strings are
 * interned, and swept when a quarter of the records has gone.
 */

#include "ledger.h"

#include <string.h>

#define BLOCK_SIZE      (1 << 20)
#define CORRUPT_SHOWN   5

typedef struct block_s {
    struct block_s  *next;
    char             data[];
} block_t;

struct ledger_tail_s {
    ledger_t          *ledger;
    reco_log_reader_t *reader;
    bool               begun;       /* it was read to its end once */
    ledger_clock_t    *clock;       /* of the current line */
};

ledger_t *
ledger_new(void)
{
    ledger_t  *l = tool_alloc(sizeof(*l));

    memset(l, 0, sizeof(*l));
    l->private = tool_alloc(sizeof(*l->private));
    memset(l->private, 0, sizeof(*l->private));

    return l;
}

/* ---- memory ------------------------------------------------------------- */

void *
ledger_alloc(ledger_t *l, size_t size)
{
    char           *memory;
    block_t        *block;
    ledger_pool_t  *p = &l->private->joined;

    size = (size + 15) & ~(size_t) 15;

    if (p->blocks == NULL || size > BLOCK_SIZE - p->used) {
        block = tool_alloc(sizeof(block_t)
                           + (size > BLOCK_SIZE ? size : BLOCK_SIZE));
        block->next = p->blocks;
        p->blocks = block;
        p->used = 0;
    }

    block = p->blocks;
    memory = block->data + p->used;
    p->used = size > BLOCK_SIZE ? BLOCK_SIZE : p->used + size;

    return memory;
}

void
ledger_alloc_reset(ledger_t *l)
{
    block_t  *block, *next;

    for (block = l->private->joined.blocks; block; block = next) {
        next = block->next;
        free(block);
    }

    memset(&l->private->joined, 0, sizeof(l->private->joined));
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
        w = tool_alloc(sizeof(*w) + s.len + 1);
        w->len = (uint32_t) s.len;
        memcpy(w->text, s.data, s.len);
        w->text[s.len] = '\0';
        HASH_ADD_KEYPTR(hh, l->private->words, w->text, w->len, w);
    }

    return (reco_str_t) { w->text, w->len };
}

static void
free_reward(ledger_reward_t *r)
{
    free(r->facts);
}

static void
free_words(ledger_t *l, bool all)
{
    ledger_word_t  *w, *next;

    for (w = l->private->words; w; w = next) {
        next = w->hh.next;

        if (all || !w->used) {
            HASH_DEL(l->private->words, w);
            free(w);
        }
    }
}

static void
free_source(ledger_source_t *s)
{
    ledger_clock_t  *c, *next;

    for (c = s->clocks; c; c = next) {
        next = c->next;
        free(c);
    }

    free(s->runs);
    free(s->lost);
    free(s->name);
    free(s->node);
    free(s);
}

void
ledger_free(ledger_t *l)
{
    size_t              i;
    ledger_source_t    *s, *next_source;
    ledger_decision_t  *d, *next;

    if (l == NULL) {
        return;
    }

    HASH_ITER(hh, l->private->sources, s, next_source) {
        HASH_DEL(l->private->sources, s);
        free_source(s);
    }

    HASH_ITER(hh, l->private->by_id, d, next) {
        HASH_DEL(l->private->by_id, d);
        free(d);
    }

    for (i = 0; i < l->private->nrewards; i++) {
        free_reward(&l->private->rewards[i]);
    }

    free_words(l, true);
    ledger_free_boots(l);
    ledger_alloc_reset(l);
    free(l->private->rewards);
    free(l->private->models);
    free(l->private);
    free(l->decisions);
    free(l);
}

/* ---- writers ------------------------------------------------------------ */

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

/* The writer of the current line, and its clock: named by the segment's
 * header, or, where that is damaged, by the file. The reader remembers it with
 * the segment. */
static void
follow_clock(ledger_tail_t *t, const reco_event_t *e)
{
    char              incarnation[16];
    char             *node;
    void            **tag = reco_log_tag(t->reader);
    ledger_source_t  *s;

    if (e->type == RECO_EVENT_HEADER) {
        snprintf(incarnation, sizeof(incarnation), "%08x",
                 (unsigned) e->header.incarnation);
        node = tool_dup(e->header.node);
        s = find_source(t->ledger, node, incarnation);
        *tag = ledger_clock(t->ledger, s, &e->header);
        free(node);

    } else if (*tag == NULL) {
        s = find_source(t->ledger, reco_log_file(t->reader), "");
        *tag = ledger_clock(t->ledger, s, NULL);
    }

    t->clock = *tag;
}

/* ---- records ------------------------------------------------------------ */

static void
copy_features(ledger_t *l, const reco_event_t *e, reco_event_feature_t *copy)
{
    uint32_t  i;

    for (i = 0; i < e->nfeatures; i++) {
        copy[i] = e->features[i];
        copy[i].name = ledger_word(l, e->features[i].name);
        if (copy[i].value.kind == RECO_VALUE_WORD) {
            copy[i].value.word = ledger_word(l, e->features[i].value.word);
        }
    }
}

static ledger_decision_t *
copy_decision(ledger_t *l, const ledger_clock_t *clock, const reco_event_t *e)
{
    uint32_t            i;
    ledger_decision_t  *d;

    d = tool_alloc(sizeof(*d) + e->nfeatures * sizeof(*d->features)
                   + e->nslate * (sizeof(*d->slate) + sizeof(*d->propensity))
                   + e->nitems * sizeof(*d->items));
    memset(d, 0, sizeof(*d));
    d->features = (reco_event_feature_t *) (d + 1);
    d->slate = (reco_str_t *) (d->features + e->nfeatures);
    d->propensity = (uint64_t *) (d->slate + e->nslate);
    d->items = (reco_str_t *) (d->propensity + e->nslate);

    d->id = e->id;
    d->at = (ledger_stamp_t) { clock, e->time_ms };
    d->generation = e->generation;
    d->seq = e->seq;
    d->model = ledger_word(l, e->model);
    d->customer = ledger_word(l, e->customer_key);
    d->session = ledger_word(l, e->session);
    d->actions = e->actions;
    d->eligible = ledger_word(l, e->eligible);
    d->fallback = e->fallback;
    copy_features(l, e, d->features);
    d->nfeatures = e->nfeatures;
    d->nslate = e->nslate;

    for (i = 0; i < e->nslate; i++) {
        d->slate[i] = ledger_word(l, e->slate[i]);
        d->propensity[i] = e->propensity[i];
    }

    d->nitems = e->nitems;

    for (i = 0; i < e->nitems; i++) {
        d->items[i] = ledger_word(l, e->items[i]);
    }

    return d;
}

static ledger_taken_t *
taken_of(ledger_t *l, reco_str_t model)
{
    size_t             i;
    reco_str_t         name = ledger_word(l, model);
    ledger_private_t  *p = l->private;

    for (i = 0; i < p->nmodels; i++) {
        if (p->models[i].model == name.data) {
            return &p->models[i].taken;
        }
    }

    p->models = tool_realloc(p->models, (i + 1) * sizeof(*p->models));
    p->nmodels = i + 1;
    p->models[i] = (ledger_model_t) { name.data, { 0, 0 } };

    return &p->models[i].taken;
}

ledger_taken_t
ledger_taken(const ledger_t *l, const char *model)
{
    size_t                   i;
    const ledger_private_t  *p = l->private;

    for (i = 0; i < p->nmodels; i++) {
        if (strcmp(p->models[i].model, model) == 0) {
            return p->models[i].taken;
        }
    }

    return (ledger_taken_t) { 0, 0 };
}

/* What was settled may point to what goes. */
static void
forget_settled(ledger_t *l)
{
    free(l->decisions);
    l->decisions = NULL;
    l->n = 0;
}

/* An id is unique; should two writers have logged the same one, the earlier
 * by name and number stays, whichever is read first. */
static void
add_decision(ledger_t *l, const ledger_clock_t *clock, const reco_event_t *e)
{
    int                 order;
    ledger_decision_t  *d;

    HASH_FIND(hh, l->private->by_id, &e->id, sizeof(e->id), d);

    if (d) {
        order = strcmp(clock->source->name, d->at.clock->source->name);
        l->counts.repeated++;
        if (order > 0 || (order == 0 && e->seq >= d->seq)) {
            return;
        }
        HASH_DEL(l->private->by_id, d);
        forget_settled(l);
        free(d);
    }

    d = copy_decision(l, clock, e);
    HASH_ADD(hh, l->private->by_id, id, sizeof(d->id), d);
    taken_of(l, e->model)->decisions++;
}

static void
add_reward(ledger_t *l, const ledger_clock_t *clock, const reco_event_t *e)
{
    uint32_t           i;
    ledger_reward_t   *r;
    ledger_private_t  *p = l->private;

    if (p->nrewards == p->room) {
        p->room = p->room ? 2 * p->room : 256;
        p->rewards = tool_realloc(p->rewards, p->room * sizeof(*p->rewards));
    }

    r = &p->rewards[p->nrewards++];
    r->at = (ledger_stamp_t) { clock, e->time_ms };
    r->seq = e->seq;
    r->has_id = e->has_id;
    r->id = e->id;
    r->model = ledger_word(l, e->model);
    r->customer = ledger_word(l, e->customer_key);
    r->session = ledger_word(l, e->session);
    r->key = ledger_word(l, e->key);
    r->action = ledger_word(l, e->action);
    r->nfacts = e->nfacts;
    r->facts = tool_alloc(e->nfacts * sizeof(*r->facts));

    for (i = 0; i < e->nfacts; i++) {
        r->facts[i].name = ledger_word(l, e->facts[i].name);
        r->facts[i].value = e->facts[i].value;
    }
}

/* Whether a reward from before what is kept is remembered nevertheless. */
static bool
is_remembered(const ledger_t *l, bool has_id, uint64_t time_ms)
{
    return time_ms + (has_id ? LEDGER_SKEW_MS : LEDGER_REPEAT_MS)
           >= l->private->from_ms;
}

static void
take_record(ledger_t *l, const ledger_clock_t *clock, const reco_event_t *e)
{
    uint64_t  time_ms = ledger_time_ms((ledger_stamp_t) { clock, e->time_ms });
    bool      old = time_ms < l->private->from_ms;

    if (e->type == RECO_EVENT_DECISION) {
        if (old) {
            l->counts.forgotten++;
        } else {
            add_decision(l, clock, e);
        }

    } else if (old && !is_remembered(l, e->has_id, time_ms)) {
        l->counts.forgotten++;

    } else {
        add_reward(l, clock, e);
        taken_of(l, e->model)->rewards++;
    }
}

static void
take(ledger_tail_t *t, const reco_event_t *e)
{
    ledger_t        *l = t->ledger;
    ledger_stamp_t   at;

    follow_clock(t, e);
    at = (ledger_stamp_t) { t->clock, e->time_ms };

    if (e->type != RECO_EVENT_HEADER) {
        l->counts.records++;
        ledger_note_seq(t->clock->source, e->seq, at);
    }

    switch (e->type) {

    case RECO_EVENT_HEADER:
        break;

    case RECO_EVENT_FORGOTTEN:
        l->counts.erased++;
        break;

    case RECO_EVENT_LOST:
        ledger_note_lost(t->clock->source, e->seq, at, &e->lost);
        break;

    default:
        take_record(l, t->clock, e);
    }

    if (at.ms > t->clock->last_ms) {
        t->clock->last_ms = at.ms;
    }
}

/* ---- logs --------------------------------------------------------------- */

ledger_tail_t *
ledger_tail_open(ledger_t *l, const char *path)
{
    reco_error_t    err;
    ledger_tail_t  *t = tool_alloc(sizeof(*t));

    memset(t, 0, sizeof(*t));
    t->ledger = l;

    if (reco_log_open(path, &t->reader, &err) != RECO_OK) {
        tool_fail(path, &err);
        free(t);
        return NULL;
    }

    return t;
}

void
ledger_tail_close(ledger_tail_t *t)
{
    if (t) {
        reco_log_close(t->reader);
        free(t);
    }
}

/* A damaged time would be the end of the data, for all other records too. */
static bool
check_time(const ledger_tail_t *t, const reco_event_t *e, reco_error_t *err)
{
    if (e->type == RECO_EVENT_HEADER || e->time_ms <= LEDGER_TIME_MAX_MS) {
        return true;
    }

    reco_error_set(err, RECO_CORRUPT, "time", "%s:%llu: time: beyond 10^15 ms",
                   reco_log_file(t->reader),
                   (unsigned long long) reco_log_line(t->reader));

    return false;
}

/* Up to the end, or to what cannot be read: then RECO_IO or RECO_NO_MEMORY. */
static reco_status_t
read_on(ledger_tail_t *t, tool_progress_t *progress, reco_error_t *err)
{
    ledger_t       *l = t->ledger;
    reco_event_t   *e;
    reco_status_t   status;

    for ( ;; ) {
        status = reco_log_next(t->reader, &e, err);

        if (status == RECO_OK && !check_time(t, e, err)) {
            status = RECO_CORRUPT;
        }

        if (status == RECO_OK) {
            take(t, e);

        } else if (status == RECO_CORRUPT) {
            if (l->counts.corrupt++ < CORRUPT_SHOWN) {
                tool_warn("%s", err->message);
            }

        } else {
            return status;
        }

        if (progress) {
            tool_progress_at(progress, reco_log_bytes_read(t->reader));
        }
    }
}

bool
ledger_tail_read(ledger_tail_t *t)
{
    bool           ok = true;
    reco_error_t   err;
    reco_status_t  status;

    if (t->begun && reco_log_again(t->reader, &err) != RECO_OK) {
        tool_error("%s", err.message);
        return false;
    }

    while ((status = read_on(t, NULL, &err)) != RECO_NOT_FOUND) {
        ok = false;
        tool_error("%s", err.message);
        if (status != RECO_IO) {
            break;
        }
    }

    t->begun = true;

    return ok;
}

bool
ledger_read(ledger_t *l, const char *path)
{
    reco_error_t     err;
    reco_status_t    status;
    ledger_tail_t   *t = ledger_tail_open(l, path);
    tool_progress_t  progress;

    if (t == NULL) {
        return false;
    }

    tool_progress_begin(&progress, "reading", reco_log_bytes_total(t->reader));
    status = read_on(t, &progress, &err);
    tool_progress_end(&progress);
    ledger_tail_close(t);

    if (status != RECO_NOT_FOUND) {
        tool_fail(path, &err);
        return false;
    }

    return true;
}

/* ---- forgetting --------------------------------------------------------- */

static void
mark(reco_str_t s)
{
    if (s.len > 0) {
        ((ledger_word_t *) (s.data - offsetof(ledger_word_t, text)))->used =
            true;
    }
}

static void
mark_decision(const ledger_decision_t *d)
{
    uint32_t  i;

    mark(d->model);
    mark(d->customer);
    mark(d->session);
    mark(d->eligible);

    for (i = 0; i < d->nfeatures; i++) {
        mark(d->features[i].name);
        if (d->features[i].value.kind == RECO_VALUE_WORD) {
            mark(d->features[i].value.word);
        }
    }

    for (i = 0; i < d->nslate; i++) {
        mark(d->slate[i]);
    }

    for (i = 0; i < d->nitems; i++) {
        mark(d->items[i]);
    }
}

static void
mark_reward(const ledger_reward_t *r)
{
    uint32_t  i;

    mark(r->model);
    mark(r->customer);
    mark(r->session);
    mark(r->key);
    mark(r->action);

    for (i = 0; i < r->nfacts; i++) {
        mark(r->facts[i].name);
    }
}

/* Drops the strings that no record has any more. */
static void
sweep(ledger_t *l)
{
    size_t              i;
    ledger_word_t      *w;
    ledger_private_t   *p = l->private;
    ledger_decision_t  *d;

    for (w = p->words; w; w = w->hh.next) {
        w->used = false;
    }

    for (d = p->by_id; d; d = d->hh.next) {
        mark_decision(d);
    }
    for (i = 0; i < p->nrewards; i++) {
        mark_reward(&p->rewards[i]);
    }
    for (i = 0; i < p->nmodels; i++) {
        mark(tool_str(p->models[i].model));
    }

    free_words(l, false);
    p->dropped = 0;
}

static void
forget_rewards(ledger_t *l)
{
    size_t             i, n = 0;
    ledger_private_t  *p = l->private;
    ledger_reward_t   *r;

    for (i = 0; i < p->nrewards; i++) {
        r = &p->rewards[i];

        if (is_remembered(l, r->has_id, ledger_time_ms(r->at))) {
            p->rewards[n++] = *r;

        } else {
            free_reward(r);
            p->dropped++;
            l->counts.forgotten++;
        }
    }

    p->nrewards = n;
}

void
ledger_forget(ledger_t *l, uint64_t before_ms)
{
    ledger_private_t   *p = l->private;
    ledger_decision_t  *d, *next;

    if (before_ms <= p->from_ms) {
        return;
    }

    p->from_ms = before_ms;
    forget_settled(l);

    for (d = p->by_id; d; d = next) {
        next = d->hh.next;

        if (ledger_time_ms(d->at) < before_ms) {
            HASH_DEL(p->by_id, d);
            free(d);
            p->dropped++;
            l->counts.forgotten++;
        }
    }

    forget_rewards(l);

    if (p->dropped > (HASH_COUNT(p->by_id) + p->nrewards) / 4) {
        l->model = (reco_str_t) { NULL, 0 };
        sweep(l);
    }
}
