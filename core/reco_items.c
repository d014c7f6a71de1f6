/*
 * reco_items.c - from a strategy to a slate of items.
 *
 * The strategy's lists are added up into candidates. The best of them, by the
 * score that each could have at most, are made a heap, and an item's record is
 * looked up when it comes to the top: of a thousand candidates some tens are
 * ordered and a few looked up, and what comes out is still the order of all of
 * them. When the few run out, all are made the heap.
 *
 * Work is bounded: RECO_MAX_CANDIDATES different items, MAX_ENTRIES entries of
 * lists, MAX_LOOKUPS records of items for the strategy and as many for "fill".
 * What is over is left out, always the same. Nothing here outlives a call, and
 * nothing allocates.
 */

#include "reco_items.h"
#include "reco_record.h"

#include <string.h>

#define MAX_ENTRIES     (16 * RECO_MAX_CANDIDATES)
#define MAX_LOOKUPS     1024

#define MIN_SLOTS_LOG2  8
#define MAX_SLOTS_LOG2  13
#define LOOKED_UP       0x80000000u /* in a candidate's item: its score is
                                       final, and it may be shown */

/* Scores are counted in buckets, the best one's first, eight between a score
 * and half of it. */
#define NBUCKETS        64
#define BUCKET_SHIFT    49          /* exponent and 3 bits of the fraction */
#define SPARE           16          /* candidates, for those not to be shown */

_Static_assert(sizeof(((reco_items_scratch_t *) 0)->slots)
               == sizeof(uint16_t) << MAX_SLOTS_LOG2, "all of them");
_Static_assert(RECO_MAX_CANDIDATES < UINT16_MAX, "an index and 1 in a slot");
_Static_assert(RECO_MAX_KEYS > RECO_MAX_ID / 2, "one byte and a blank each");
_Static_assert(RECO_MAX_KEYS >= RECO_MAX_CART, "an item each");

typedef struct {
    const reco_model_t      *model;
    const reco_features_t   *features;
    const reco_customer_t   *customer;

    uint32_t                 ncart;             /* known, different */
    uint32_t                 nbarred;           /* of cart and exclude */
    reco_str_t               cart[RECO_MAX_CART];
    uint32_t                 barred[2 * RECO_MAX_CART];     /* cart's first */

    uint32_t                 entries;           /* may still be read */
    uint32_t                 lookups;           /* may still be done */
    uint32_t                 n;                 /* candidates, or of the heap */
    reco_list_entry_t       *heap;
    uint16_t                *slots;             /* of an item: index + 1 */
    uint32_t                 slots_log2;        /* 0: no table yet */
    uint32_t                 rest;              /* candidates that are not of
                                                   the heap, and where */
    uint32_t                 rest_at;
    double                   least;             /* the heap has all that may
                                                   have that much */
    reco_str_t               taste;             /* preferred category */
    double                   factor;            /* >= 1: what it multiplies */
    reco_item_slate_t       *out;
} select_t;

static bool
item_get(const select_t *s, uint32_t index, reco_item_t *item)
{
    return s->model->items_source->item(s->model->lookup_data, index, item);
}

/* ---- what is not to be shown -------------------------------------------- */

static bool
is_barred(const select_t *s, uint32_t index)
{
    uint32_t  i;

    for (i = 0; i < s->nbarred; i++) {
        if (s->barred[i] == index) {
            return true;
        }
    }

    return false;
}

static bool
bar(select_t *s, reco_str_t id)
{
    uint32_t  index;

    if (!s->model->items_source->find(s->model->lookup_data, id, &index)) {
        s->out->unknown++;
        return false;
    }

    if (is_barred(s, index)) {
        return false;
    }

    s->barred[s->nbarred++] = index;

    return true;
}

static void
bar_request(select_t *s, const reco_request_t *request)
{
    uint32_t  i;

    for (i = 0; i < request->ncart; i++) {
        if (bar(s, request->cart[i])) {
            s->cart[s->ncart++] = request->cart[i];
        }
    }

    for (i = 0; i < request->nexclude; i++) {
        (void) bar(s, request->exclude[i]);
    }
}

/* ---- keys of lists ------------------------------------------------------ */

/* Adds a key that is not there yet. Ids tend to differ at the end. */
static uint32_t
key_add(reco_str_t *keys, uint32_t n, reco_str_t key)
{
    uint32_t  i;

    for (i = 0; i < n; i++) {
        if (keys[i].len == key.len
            && keys[i].data[key.len - 1] == key.data[key.len - 1]
            && memcmp(keys[i].data, key.data, key.len) == 0)
        {
            return n;
        }
    }

    keys[n] = key;

    return n + 1;
}

static uint32_t
keys_of_categories(const select_t *s, reco_str_t *keys, uint32_t max)
{
    uint32_t     i, n;
    reco_item_t  item;

    for (i = n = 0; i < s->ncart && n < max; i++) {
        if (item_get(s, s->barred[i], &item) && item.category.len > 0) {
            n = key_add(keys, n, item.category);
        }
    }

    return n;
}

/* Ids in the customer's record, separated by blanks. */
static uint32_t
keys_of_history(const select_t *s, reco_str_t *keys, uint32_t max)
{
    uint32_t      n;
    const char   *p, *end, *start;
    reco_value_t  v;

    v = reco_customer_field(s->customer, s->model->items.history_index);
    if (v.kind != RECO_VALUE_WORD) {
        return 0;
    }

    n = 0;
    end = v.word.data + v.word.len;

    for (p = v.word.data; p < end && n < max; p++) {
        for (start = p; p < end && *p != ' '; p++) { /* void */ }

        if (p > start) {
            n = key_add(keys, n, (reco_str_t) { start,
                                                (size_t) (p - start) });
        }
    }

    return n;
}

static uint32_t
keys_of(const select_t *s, const reco_candidates_t *c,
    reco_str_t keys[RECO_MAX_KEYS])
{
    uint32_t             n;
    const reco_value_t  *v;

    switch (c->by) {

    case RECO_BY_NOTHING:
        keys[0] = RECO_STR("");
        return 1;

    case RECO_BY_KEY:
        keys[0] = c->key;
        return 1;

    case RECO_BY_FEATURE:
        v = &s->features->value[c->feature];
        keys[0] = v->word;
        return v->kind == RECO_VALUE_WORD ? 1 : 0;

    case RECO_BY_CART:
        n = s->ncart < c->keys ? s->ncart : c->keys;
        memcpy(keys, s->cart, n * sizeof(reco_str_t));
        return n;

    case RECO_BY_CART_CATEGORY:
        return keys_of_categories(s, keys, c->keys);

    case RECO_BY_HISTORY:
        return keys_of_history(s, keys, c->keys);
    }

    return 0;
}

/* The list's first entries: as many as the spec wants and the work allows. */
static bool
list_get(select_t *s, const reco_candidates_t *c, reco_str_t key,
    reco_list_t *list)
{
    if (!s->model->items_source->list(s->model->lookup_data, c->list, key,
                                      list))
    {
        return false;
    }

    if (list->n > c->depth) {
        list->n = c->depth;
    }
    if (list->n > s->entries) {
        list->n = s->entries;
    }

    s->entries -= list->n;

    return true;
}

/* A damaged file may hold any. */
static inline bool
entry_is_sound(const reco_list_entry_t *e)
{
    return !(e->item & LOOKED_UP) && e->score >= 0
           && e->score <= RECO_MAX_SCORE;
}

/* ---- candidates --------------------------------------------------------- */

/* Where the item is, or would be. A processor cannot predict whether a slot is
 * free, but that no other item is there: a product, which is 0 in both cases,
 * is the one branch. */
static inline uint32_t
slot_find(const uint16_t *slots, uint32_t log2,
    const reco_list_entry_t *candidates, uint32_t item)
{
    uint32_t  i, used;

    i = item * 2654435761u >> (32 - log2);

    for ( ;; ) {
        used = slots[i];

        if ((uint64_t) used * (candidates[used - (used > 0)].item ^ item)
            == 0)
        {
            return i;
        }

        i = (i + 1) & ((1u << log2) - 1);
    }
}

/* Makes a table for so many more candidates: nearly empty, so that few items
 * meet, and small for a few, as it must be cleared. */
static void
slots_grow(select_t *s, uint32_t more)
{
    uint32_t  i, log2;

    for (log2 = MIN_SLOTS_LOG2;
         log2 < MAX_SLOTS_LOG2 && 1u << log2 < 8 * (s->n + more);
         log2++)
    {
        /* void */
    }

    if (log2 <= s->slots_log2) {
        return;
    }

    s->slots_log2 = log2;
    memset(s->slots, 0, sizeof(s->slots[0]) << log2);

    for (i = 0; i < s->n; i++) {
        s->slots[slot_find(s->slots, log2, s->heap, s->heap[i].item)] =
            (uint16_t) (i + 1);
    }
}

/* The next candidate is written down in any case, and counted if it is new. */
static void
list_add(select_t *s, const reco_list_t *list, double weight)
{
    uint32_t            i, at, slot, is_new, n = s->n, log2 = s->slots_log2;
    uint16_t           *slots = s->slots;
    const uint8_t      *p = list->entries;
    reco_list_entry_t   e, *candidates = s->heap;

    for (i = 0; i < list->n; i++, p += RECO_LIST_ENTRY) {
        e = reco_list_entry_at(p);

        if (!entry_is_sound(&e) || e.score == 0) {
            continue;
        }

        slot = slot_find(slots, log2, candidates, e.item);
        is_new = slots[slot] == 0;

        if (n == RECO_MAX_CANDIDATES) {
            if (!is_new) {
                candidates[slots[slot] - 1].score += weight * e.score;
            }
            continue;
        }

        candidates[n] = (reco_list_entry_t) { e.item, 0 };
        at = slots[slot] - 1u + is_new * (n + 1);
        candidates[at].score += weight * e.score;
        slots[slot] = (uint16_t) (at + 1);
        n += is_new;
    }

    s->n = n;
}

static void
candidates_add(select_t *s, const reco_candidates_t *c)
{
    uint32_t     i, n;
    reco_str_t   keys[RECO_MAX_KEYS];
    reco_list_t  list;

    n = keys_of(s, c, keys);

    for (i = 0; i < n && s->entries > 0; i++) {
        if (list_get(s, c, keys[i], &list)) {
            slots_grow(s, list.n * (n - i));
            list_add(s, &list, c->weight);
        }
    }
}

/* ---- the heap ----------------------------------------------------------- */

/* What the candidate's score is, or is at most. */
static double
bound(const select_t *s, const reco_list_entry_t *c)
{
    return c->item & LOOKED_UP ? c->score : c->score * s->factor;
}

/* Of equal ones the item of lower index. */
static bool
comes_before(const select_t *s, const reco_list_entry_t *a,
    const reco_list_entry_t *b)
{
    double  x = bound(s, a), y = bound(s, b);

    return x != y ? x > y
                  : (a->item & ~LOOKED_UP) < (b->item & ~LOOKED_UP);
}

static void
sift_down(select_t *s, uint32_t i)
{
    uint32_t           child;
    reco_list_entry_t  moved = s->heap[i];

    while ((child = 2 * i + 1) < s->n) {
        if (child + 1 < s->n
            && comes_before(s, &s->heap[child + 1], &s->heap[child]))
        {
            child++;
        }

        if (!comes_before(s, &s->heap[child], &moved)) {
            break;
        }

        s->heap[i] = s->heap[child];
        i = child;
    }

    s->heap[i] = moved;
}

static void
heap_make(select_t *s)
{
    uint32_t  i;

    for (i = s->n / 2; i-- > 0; ) {
        sift_down(s, i);
    }
}

static void
heap_drop(select_t *s)
{
    s->heap[0] = s->heap[--s->n];

    if (s->n > 0) {
        sift_down(s, 0);
    }
}

/* Scores are not negative: their bits are in their order. */
static uint64_t
bits_of(double score)
{
    uint64_t  bits;

    memcpy(&bits, &score, sizeof(bits));

    return bits;
}

/* A score that 'wanted' candidates or some more have; 0: all may be needed. */
static double
score_of_best(const select_t *s, uint32_t wanted)
{
    double    score = 0;
    uint32_t  i, found, count[NBUCKETS] = { 0 };
    uint64_t  bucket, best;

    for (i = 0; i < s->n; i++) {
        score = s->heap[i].score > score ? s->heap[i].score : score;
    }

    best = bits_of(score);

    for (i = 0; i < s->n; i++) {
        bucket = (best - bits_of(s->heap[i].score)) >> BUCKET_SHIFT;
        if (bucket < NBUCKETS) {
            count[bucket]++;
        }
    }

    for (bucket = found = 0; bucket < NBUCKETS && found < wanted; bucket++) {
        found += count[bucket];
    }

    if (found < wanted || best < bucket << BUCKET_SHIFT) {
        return 0;
    }

    best -= (bucket << BUCKET_SHIFT) - 1;
    memcpy(&score, &best, sizeof(score));

    return score;
}

/* The heap of the best candidates; the others are behind it. */
static void
heap_of_best(select_t *s, uint32_t wanted)
{
    uint32_t           i, n;
    reco_list_entry_t  c;

    s->least = s->n > 2 * wanted ? score_of_best(s, wanted) : 0;

    for (i = n = 0; i < s->n; i++) {
        if (bound(s, &s->heap[i]) >= s->least) {
            c = s->heap[n];
            s->heap[n++] = s->heap[i];
            s->heap[i] = c;
        }
    }

    s->rest = s->n - n;
    s->rest_at = n;
    s->n = n;

    heap_make(s);
}

/* Brings in the others when one of them could be better than the top. */
static void
heap_complete(select_t *s)
{
    if (s->rest > 0 && (s->n == 0 || bound(s, &s->heap[0]) < s->least)) {
        memmove(&s->heap[s->n], &s->heap[s->rest_at],
                s->rest * sizeof(s->heap[0]));
        s->n += s->rest;
        s->rest = 0;

        heap_make(s);
    }
}

/* ---- the slate ---------------------------------------------------------- */

static bool
has_room(const select_t *s, const reco_item_t *item)
{
    uint32_t                  i, same;
    const reco_item_slate_t  *out = s->out;

    if (s->model->items.per_family == 0 || item->family.len == 0) {
        return true;
    }

    for (i = same = 0; i < out->n; i++) {
        if (reco_str_equal(out->items[i].item.family, item->family)) {
            same++;
        }
    }

    return same < s->model->items.per_family;
}

static bool
may_show(select_t *s, uint32_t index, reco_item_t *item)
{
    if (is_barred(s, index) || s->lookups == 0) {
        return false;
    }

    s->lookups--;

    return item_get(s, index, item) && item->available;
}

static void
show(select_t *s, uint32_t index, double score, const reco_item_t *item)
{
    s->out->items[s->out->n++] = (reco_ranked_item_t) { index, score, *item };
}

/* The candidate at the top: dropped, moved to its place, or shown. */
static void
take_top(select_t *s)
{
    uint32_t            index;
    reco_item_t         item;
    reco_list_entry_t  *top = &s->heap[0];

    index = top->item & ~LOOKED_UP;

    if (!may_show(s, index, &item)) {
        heap_drop(s);
        return;
    }

    if (!(top->item & LOOKED_UP)) {
        top->item |= LOOKED_UP;

        if (s->factor > 1 && !reco_str_equal(item.category, s->taste)) {
            sift_down(s, 0);            /* by less than it might have had */
            return;
        }

        top->score *= s->factor;
    }

    if (has_room(s, &item)) {
        show(s, index, top->score, &item);
    }

    heap_drop(s);
}

static void
take_candidates(select_t *s)
{
    heap_of_best(s, 2 * s->model->items.slate + s->nbarred + SPARE);

    while (s->out->n < s->model->items.slate) {
        heap_complete(s);

        if (s->n == 0 || s->lookups == 0) {
            break;
        }

        take_top(s);
    }
}

static bool
is_shown(const select_t *s, uint32_t index)
{
    uint32_t  i;

    for (i = 0; i < s->out->n; i++) {
        if (s->out->items[i].index == index) {
            return true;
        }
    }

    return false;
}

static bool
fill_is_over(const select_t *s)
{
    return s->out->n == s->model->items.slate || s->lookups == 0;
}

static void
fill_from(select_t *s, const reco_list_t *list)
{
    uint32_t           i;
    reco_item_t        item;
    reco_list_entry_t  e;

    for (i = 0; i < list->n && !fill_is_over(s); i++) {
        e = reco_list_entry(list, i);

        if (entry_is_sound(&e) && !is_shown(s, e.item)
            && may_show(s, e.item, &item) && has_room(s, &item))
        {
            show(s, e.item, e.score, &item);
            s->out->filled++;
        }
    }
}

static void
fill(select_t *s, const reco_candidates_t *c)
{
    uint32_t     i, n;
    reco_str_t   keys[RECO_MAX_KEYS];
    reco_list_t  list;

    n = keys_of(s, c, keys);

    for (i = 0; i < n && !fill_is_over(s); i++) {
        if (list_get(s, c, keys[i], &list)) {
            fill_from(s, &list);
        }
    }
}

/* The category that the customer prefers, and what that is worth. */
static void
set_taste(select_t *s)
{
    const reco_value_t       *v;
    const reco_items_spec_t  *items = &s->model->items;

    s->factor = 1;
    s->taste = RECO_STR("");

    if (items->prefer >= 0) {
        v = &s->features->value[items->prefer];

        if (v->kind == RECO_VALUE_WORD && v->word.len > 0) {
            s->factor = 1 + items->boost;
            s->taste = v->word;
        }
    }
}

void
reco_items_select(const reco_model_t *model, uint16_t action,
    const reco_features_t *f, const reco_request_t *request,
    const reco_customer_t *customer, reco_items_scratch_t *scratch,
    reco_item_slate_t *out)
{
    int32_t                   strategy;
    uint32_t                  i;
    select_t                  s = {
        .model = model, .features = f, .customer = customer,
        .entries = MAX_ENTRIES, .lookups = MAX_LOOKUPS,
        .heap = scratch->candidates, .slots = scratch->slots, .out = out,
    };
    const reco_strategy_t    *from;
    const reco_items_spec_t  *items = &model->items;

    out->n = out->filled = out->unknown = 0;

    if (items->slate == 0 || model->items_source == NULL) {
        return;
    }

    bar_request(&s, request);
    set_taste(&s);

    strategy = items->by_action[action];

    if (strategy >= 0) {
        from = &items->strategies[strategy];

        for (i = 0; i < from->nfrom; i++) {
            candidates_add(&s, &from->from[i]);
        }

        take_candidates(&s);
    }

    s.lookups = MAX_LOOKUPS;

    for (i = 0; i < items->nfill && !fill_is_over(&s); i++) {
        fill(&s, &items->fill[i]);
    }
}
