/*
 * transitions.c - from the settled decisions of a ledger to steps with their
 * states and what comes after them. The sums are transitions_cells.c's part.
 */

#include "transitions.h"

#define XXH_INLINE_ALL
#include <math.h>
#include <string.h>
#include <xxhash.h>

#define BLOCK_SIZE  (1 << 20)

typedef struct block_s {
    struct block_s  *next;
    char             data[];
} block_t;

/* A state as it is met. */
typedef struct {
    reco_str_t      key;
    uint32_t        level;
    uint32_t        met;        /* number among those of its level */
    uint32_t        place;      /* state's index in the table, or NONE */
    uint32_t        parent;     /* 'met' of the coarser level's */
    bool            visited;    /* some step is learned from in it */
    uint64_t        last_ms;
    UT_hash_handle  hh;
} met_t;

/* A customer's session, and its latest decision so far. */
typedef struct {
    uint32_t        step;       /* NONE: none yet */
    uint64_t        time_ms;
    UT_hash_handle  hh;
    char            name[];
} session_t;

typedef struct {
    uint32_t        index;
    UT_hash_handle  hh;
    reco_mask_t     mask;
} mask_t;

typedef struct transitions_private_s {
    void      *blocks;
    size_t     block_used;
    met_t     *met[RECO_MAX_LEVELS];        /* by key */
    met_t    **list[RECO_MAX_LEVELS];       /* by number */
    uint32_t   nmet[RECO_MAX_LEVELS];
    uint32_t   room[RECO_MAX_LEVELS];
    uint32_t  *met_of_step[RECO_MAX_LEVELS];
} private_t;

typedef struct {
    transitions_t    *t;
    private_t        *p;
    const ledger_t   *ledger;
    session_t        *sessions;
    mask_t           *masks;
    double            hold_out;
    uint32_t          mask_room;
    reco_features_t   features;
    reco_mask_t       eligible;
    char              key[RECO_MAX_STATE_KEY];
} reading_t;

const char *
left_out_name(left_out_t reason)
{
    static const char *const names[LEFT_OUT_N] = {
        "", "open", "gap", "fallback", "without_state", "unreadable",
        "key_too_long", "other_catalogue", "unknown_action",
        "several_actions", "reward_out_of_range", "next_without_state",
        "unfinished_session", "held_out"
    };

    return names[reason];
}

int
transitions_compare(reco_str_t a, reco_str_t b)
{
    size_t  n = a.len < b.len ? a.len : b.len;
    int     order = memcmp(a.data, b.data, n);

    return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* ---- memory ------------------------------------------------------------- */

static void *
take(private_t *p, size_t size)
{
    block_t  *block;

    size = (size + 15) & ~(size_t) 15;

    if (p->blocks == NULL || size > BLOCK_SIZE - p->block_used) {
        block = tool_alloc(sizeof(*block)
                           + (size > BLOCK_SIZE ? size : BLOCK_SIZE));
        block->next = p->blocks;
        p->blocks = block;
        p->block_used = 0;
    }

    block = p->blocks;
    p->block_used += size;

    return block->data + p->block_used - size;
}

void
transitions_free(transitions_t *t)
{
    uint32_t    l;
    block_t    *block, *next;
    private_t  *p;

    if (t == NULL) {
        return;
    }

    p = t->private;

    for (l = 0; l < RECO_MAX_LEVELS; l++) {
        HASH_CLEAR(hh, p->met[l]);
        free(p->list[l]);
        free(p->met_of_step[l]);
        free(t->levels[l].states);
        free(t->levels[l].of_step);
        free(t->levels[l].outcomes);
        free(t->levels[l].cells);
    }

    for (block = p->blocks; block; block = next) {
        next = block->next;
        free(block);
    }

    free(p);
    free(t->steps);
    free(t->masks);
    free(t->held_out);
    free(t);
}

/* ---- one decision ------------------------------------------------------- */

static uint32_t
mask_index(reading_t *r)
{
    mask_t         *m;
    transitions_t  *t = r->t;

    HASH_FIND(hh, r->masks, &r->eligible, sizeof(r->eligible), m);

    if (m != NULL) {
        return m->index;
    }

    m = tool_alloc(sizeof(*m));
    m->index = t->nmasks;
    m->mask = r->eligible;
    HASH_ADD(hh, r->masks, mask, sizeof(m->mask), m);

    if (t->nmasks == r->mask_room) {
        r->mask_room = r->mask_room ? 2 * r->mask_room : 16;
        t->masks = tool_realloc(t->masks, r->mask_room * sizeof(*t->masks));
    }

    t->masks[t->nmasks++] = r->eligible;

    return m->index;
}

static met_t *
meet(private_t *p, uint32_t level, reco_str_t key)
{
    char   *text;
    met_t  *m;

    HASH_FIND(hh, p->met[level], key.data, key.len, m);

    if (m != NULL) {
        return m;
    }

    m = take(p, sizeof(*m));
    memset(m, 0, sizeof(*m));
    text = take(p, key.len);
    memcpy(text, key.data, key.len);
    m->key = (reco_str_t) { text, key.len };
    m->level = level;
    m->met = p->nmet[level];
    m->place = m->parent = TRANSITIONS_NONE;
    HASH_ADD_KEYPTR(hh, p->met[level], m->key.data, m->key.len, m);

    if (p->nmet[level] == p->room[level]) {
        p->room[level] = p->room[level] ? 2 * p->room[level] : 256;
        p->list[level] = tool_realloc(p->list[level], p->room[level]
                                      * sizeof(*p->list[level]));
    }

    p->list[level][p->nmet[level]++] = m;

    return m;
}

static bool
has_any(const reco_model_t *m, const reco_features_t *f)
{
    uint32_t             i;
    const reco_level_t  *full = &m->policy.levels[0];

    for (i = 0; i < full->n; i++) {
        if (f->value[full->features[i]].kind != RECO_VALUE_MISSING) {
            return true;
        }
    }

    return full->n == 0;
}

/* Why the decision has no state that a value could be kept for. */
static left_out_t
read_state(reading_t *r, const ledger_decision_t *d)
{
    bool                 any = false;
    size_t               i;
    const reco_model_t  *m = r->t->model;

    if (!logged_features(m, d->features, d->nfeatures, &r->features)) {
        return LEFT_OUT_UNREADABLE;
    }

    if (!has_any(m, &r->features)) {
        return d->outcome == LEDGER_FALLBACK ? LEFT_OUT_FALLBACK
                                             : LEFT_OUT_WITHOUT_STATE;
    }

    if (!logged_eligible(m, d->actions, d->eligible, &r->eligible)) {
        return LEFT_OUT_OTHER_CATALOGUE;
    }

    for (i = 0; i < RECO_MAX_ACTIONS / 64; i++) {
        r->eligible.bits[i] &= m->active.bits[i];
        any = any || r->eligible.bits[i] != 0;
    }

    return any ? LEFT_OUT_NOTHING : LEFT_OUT_UNKNOWN_ACTION;
}

static left_out_t
meet_states(reading_t *r, uint32_t step)
{
    size_t    len;
    met_t    *m, *finer = NULL;
    uint32_t  l;

    for (l = 0; l < r->t->nlevels; l++) {
        len = reco_state_key(r->t->model, &r->features, l, 1, r->key,
                             sizeof(r->key));
        if (len == 0) {
            return LEFT_OUT_KEY_TOO_LONG;
        }

        m = meet(r->p, l, (reco_str_t) { r->key, len });
        r->p->met_of_step[l][step] = m->met;

        if (finer) {
            finer->parent = m->met;
        }
        finer = m;
    }

    return LEFT_OUT_NOTHING;
}

/* What keeps a decision with a state from being learned from. */
static left_out_t
read_outcome(reading_t *r, transition_step_t *s, const ledger_decision_t *d)
{
    int                  action;
    const reco_model_t  *m = r->t->model;

    switch (d->outcome) {
    case LEDGER_FALLBACK:
        return LEFT_OUT_FALLBACK;
    case LEDGER_GAP:
        return LEFT_OUT_GAP;
    case LEDGER_OPEN:
        return LEFT_OUT_OPEN;
    default:
        break;
    }

    if (d->nslate != 1) {
        return LEFT_OUT_SEVERAL_ACTIONS;
    }

    action = reco_catalogue_find(&m->catalogue, d->slate[0]);
    if (action < 0 || !reco_mask_get(&m->active, (uint32_t) action)) {
        return LEFT_OUT_UNKNOWN_ACTION;
    }

    if (!(fabs(d->reward) <= TRANSITIONS_MAX_REWARD)) {
        return LEFT_OUT_REWARD;
    }

    s->action = (uint16_t) action;
    s->reward = llround(d->reward * TRANSITIONS_MICRO);
    s->weight = (uint32_t) llround(fmin(1, fmax(0, d->weight))
                                   * TRANSITIONS_MILLI);

    return s->weight > 0 ? LEFT_OUT_NOTHING : LEFT_OUT_OPEN;
}

/* The session of a decision, new or as it is; NULL for one that stands
 * alone. */
static session_t *
find_session(reading_t *r, const ledger_decision_t *d)
{
    char        name[2 * RECO_MAX_ID + 2];
    size_t      len;
    session_t  *s;

    if (d->customer.len + d->session.len == 0
        || d->customer.len + d->session.len + 1 > sizeof(name))
    {
        return NULL;
    }

    memcpy(name, d->customer.data, d->customer.len);
    name[d->customer.len] = 0x1f;
    memcpy(name + d->customer.len + 1, d->session.data, d->session.len);
    len = d->customer.len + 1 + d->session.len;

    HASH_FIND(hh, r->sessions, name, len, s);

    if (s == NULL) {
        s = tool_alloc(sizeof(*s) + len);
        s->step = TRANSITIONS_NONE;
        s->time_ms = 0;
        memcpy(s->name, name, len);
        HASH_ADD_KEYPTR(hh, r->sessions, s->name, len, s);
    }

    return s;
}

/* The step before, where there is one, goes on here. */
static void
follow(reading_t *r, uint32_t step)
{
    session_t          *session;
    transition_step_t  *s = &r->t->steps[step];

    session = find_session(r, s->decision);

    if (session == NULL) {
        return;
    }

    if (session->step != TRANSITIONS_NONE
        && s->decision->time_ms - session->time_ms
           <= r->t->model->learning.episode_gap_ms)
    {
        r->t->steps[session->step].next = step;
        s->episode = r->t->steps[session->step].episode;
    }

    session->step = step;
    session->time_ms = s->decision->time_ms;
}

static uint32_t
periods_before(const transitions_t *t, const ledger_t *l, uint64_t time_ms)
{
    if (t->period_ms == 0 || time_ms >= l->as_of_ms) {
        return 0;
    }

    return (uint32_t) (l->as_of_ms / t->period_ms - time_ms / t->period_ms);
}

static void
add_step(reading_t *r, const ledger_decision_t *d)
{
    left_out_t          reason;
    uint32_t            l, step = r->t->nsteps++;
    transition_step_t  *s = &r->t->steps[step];

    memset(s, 0, sizeof(*s));
    s->decision = d;
    s->next = TRANSITIONS_NONE;
    s->episode = step;
    s->period = periods_before(r->t, r->ledger, d->time_ms);

    for (l = 0; l < r->t->nlevels; l++) {
        r->p->met_of_step[l][step] = TRANSITIONS_NONE;
    }

    reason = read_state(r, d);
    if (reason == LEFT_OUT_NOTHING) {
        reason = meet_states(r, step);
    }

    if (reason == LEFT_OUT_NOTHING) {
        s->has_state = true;
        s->mask = mask_index(r);
        reason = read_outcome(r, s, d);
    }

    s->left_out = reason;
    follow(r, step);
}

/* ---- all of them -------------------------------------------------------- */

static bool
is_held_out(const reading_t *r, const ledger_decision_t *d)
{
    static const char  prefix[] = "reco hold-out\x1f";

    XXH3_state_t  hash;

    if (r->hold_out <= 0 || d->customer.len == 0) {
        return false;
    }

    XXH3_64bits_reset(&hash);
    XXH3_64bits_update(&hash, prefix, sizeof(prefix) - 1);
    XXH3_64bits_update(&hash, d->customer.data, d->customer.len);

    return (double) (XXH3_64bits_digest(&hash) >> 11) / 0x1p53 < r->hold_out;
}

static void
read_decisions(reading_t *r)
{
    size_t                    i;
    const ledger_decision_t  *d;

    for (i = 0; i < r->ledger->n; i++) {
        d = r->ledger->decisions[i];

        if (is_held_out(r, d)) {
            r->t->held_out[r->t->nheld_out++] = d;
            r->t->left_out[LEFT_OUT_HELD_OUT]++;
        } else {
            add_step(r, d);
        }
    }
}

/* What is only known when all of a session is: whether it ended, and what came
 * next. A ledger that is closed live values what has happened so far. */
static void
judge_ends(reading_t *r)
{
    uint32_t            i;
    uint64_t            gap = r->t->model->learning.episode_gap_ms;
    transition_step_t  *s;

    for (i = 0; i < r->t->nsteps; i++) {
        s = &r->t->steps[i];

        if (s->left_out == LEFT_OUT_NOTHING) {
            if (s->next != TRANSITIONS_NONE) {
                s->left_out = r->t->steps[s->next].has_state
                              ? LEFT_OUT_NOTHING : LEFT_OUT_NEXT;

            } else if (!r->ledger->live
                       && s->decision->customer.len
                          + s->decision->session.len > 0
                       && s->decision->time_ms + gap > r->ledger->as_of_ms)
            {
                s->left_out = LEFT_OUT_UNFINISHED;
            }
        }

        r->t->left_out[s->left_out]++;
    }
}

static void
visit(reading_t *r)
{
    met_t              *m;
    uint32_t            i, l;
    bool               *seen = tool_alloc(r->t->nsteps + 1);
    transition_step_t  *s;

    memset(seen, 0, r->t->nsteps + 1);

    for (i = 0; i < r->t->nsteps; i++) {
        s = &r->t->steps[i];

        if (s->left_out != LEFT_OUT_NOTHING) {
            continue;
        }

        r->t->nused++;
        r->t->nepisodes += !seen[s->episode];
        seen[s->episode] = true;

        for (l = 0; l < r->t->nlevels; l++) {
            m = r->p->list[l][r->p->met_of_step[l][i]];
            m->visited = true;
            m->last_ms = s->decision->time_ms;      /* they rise */
        }
    }

    free(seen);
}

/* ---- the table's states ------------------------------------------------- */

/* What goes first where there are too many: the least recently visited; of
 * equally recent ones the finer, so that a state never outlives its parent. */
static int
compare_age(const void *a, const void *b)
{
    const met_t  *x = *(met_t *const *) a, *y = *(met_t *const *) b;

    if (x->last_ms != y->last_ms) {
        return x->last_ms < y->last_ms ? -1 : 1;
    }

    if (x->level != y->level) {
        return x->level < y->level ? -1 : 1;
    }

    return transitions_compare(x->key, y->key);
}

static int
compare_keys(const void *a, const void *b)
{
    return transitions_compare((*(met_t *const *) a)->key,
                               (*(met_t *const *) b)->key);
}

static void
drop_oldest(reading_t *r)
{
    met_t    **all;
    size_t     n = 0, i;
    uint32_t   l, k;
    uint64_t   max = r->t->model->learning.max_states;

    for (l = 0; l < r->t->nlevels; l++) {
        n += r->p->nmet[l];
    }

    all = tool_alloc((n + 1) * sizeof(*all));

    for (n = 0, l = 0; l < r->t->nlevels; l++) {
        for (k = 0; k < r->p->nmet[l]; k++) {
            if (r->p->list[l][k]->visited) {
                all[n++] = r->p->list[l][k];
            }
        }
    }

    if (n > max) {
        qsort(all, n, sizeof(*all), compare_age);
        r->t->dropped = n - max;

        for (i = 0; i < n - max; i++) {
            all[i]->visited = false;
        }
    }

    free(all);
}

static void
place_level(reading_t *r, uint32_t l)
{
    met_t              **sorted;
    uint32_t             i, met;
    transition_level_t  *level = &r->t->levels[l];

    sorted = tool_alloc((r->p->nmet[l] + 1) * sizeof(*sorted));

    for (i = 0; i < r->p->nmet[l]; i++) {
        if (r->p->list[l][i]->visited) {
            sorted[level->nstates++] = r->p->list[l][i];
        }
    }

    if (level->nstates > 0) {
        qsort(sorted, level->nstates, sizeof(*sorted), compare_keys);
    }

    level->states = tool_alloc((level->nstates + 1) * sizeof(*level->states));

    for (i = 0; i < level->nstates; i++) {
        sorted[i]->place = i;
        level->states[i] = (transition_state_t) {
            sorted[i]->key, TRANSITIONS_NONE, sorted[i]->last_ms
        };

        if (l + 1 < r->t->nlevels) {
            level->states[i].parent =
                r->p->list[l + 1][sorted[i]->parent]->place;
        }
    }

    free(sorted);

    level->of_step = tool_alloc((r->t->nsteps + 1) * sizeof(uint32_t));

    for (i = 0; i < r->t->nsteps; i++) {
        met = r->p->met_of_step[l][i];
        level->of_step[i] = met == TRANSITIONS_NONE
                            ? TRANSITIONS_NONE : r->p->list[l][met]->place;
    }
}

static void
reading_free(reading_t *r)
{
    mask_t     *m, *next_mask;
    session_t  *s, *next_session;

    HASH_ITER(hh, r->sessions, s, next_session) {
        HASH_DEL(r->sessions, s);
        free(s);
    }

    HASH_ITER(hh, r->masks, m, next_mask) {
        HASH_DEL(r->masks, m);
        free(m);
    }

    free(r);
}

transitions_t *
transitions_new(const reco_model_t *model, const ledger_t *l,
    uint64_t half_life_ms, double hold_out)
{
    uint32_t        k;
    reading_t      *r;
    transitions_t  *t;

    if (l->n >= TRANSITIONS_NONE) {
        tool_error("the log holds %zu decisions: more than %u cannot be "
                   "learned from at once", l->n, TRANSITIONS_NONE - 1);
        return NULL;
    }

    t = tool_alloc(sizeof(*t));
    memset(t, 0, sizeof(*t));
    t->model = model;
    t->nlevels = model->policy.nlevels;
    t->period_ms = half_life_ms ? (half_life_ms + 15) / 16 : 0;
    t->steps = tool_alloc((l->n + 1) * sizeof(*t->steps));
    t->held_out = tool_alloc((l->n + 1) * sizeof(*t->held_out));
    t->private = tool_alloc(sizeof(*t->private));
    memset(t->private, 0, sizeof(*t->private));

    r = tool_alloc(sizeof(*r));
    memset(r, 0, sizeof(*r));
    r->t = t;
    r->p = t->private;
    r->ledger = l;
    r->hold_out = hold_out;

    for (k = 0; k < t->nlevels; k++) {
        r->p->met_of_step[k] = tool_alloc((l->n + 1) * sizeof(uint32_t));
    }

    read_decisions(r);
    judge_ends(r);
    visit(r);
    drop_oldest(r);

    for (k = t->nlevels; k-- > 0; ) {       /* parents first */
        place_level(r, k);
    }

    transitions_sum(t);
    reading_free(r);

    return t;
}

uint32_t
transitions_find(const transition_level_t *level, reco_str_t key)
{
    int       order;
    uint32_t  low = 0, high = level->nstates, mid;

    while (low < high) {
        mid = low + (high - low) / 2;
        order = transitions_compare(level->states[mid].key, key);

        if (order == 0) {
            return mid;
        }

        if (order < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }

    return TRANSITIONS_NONE;
}
