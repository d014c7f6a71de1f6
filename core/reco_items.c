/*
 * reco_items.c - from a strategy to a slate of items.
 *
 * The strategy's lists are added up into candidates, kept as a heap by the
 * score that each could have at most. An item's record is looked up when it
 * comes to the top, so that of a thousand candidates a few are looked up, and
 * what comes out is still the order of all of them.
 *
 * Work is bounded: RECO_MAX_CANDIDATES different items, MAX_ENTRIES entries of
 * lists. What is over is left out, always the same. Nothing here outlives a
 * call, and nothing allocates.
 */

#include "reco_items.h"

#include <string.h>

#define MAX_HISTORY     128         /* ids in a word of 255 bytes */
#define MAX_ENTRIES     (16 * RECO_MAX_CANDIDATES)
#define MAX_SCORE       1e12        /* of an entry; sums stay finite */

#define NSLOTS          (2 * RECO_MAX_CANDIDATES)
#define LOOKED_UP       0x80000000u /* in a candidate's item: its score is
                                       final, and it may be shown */

_Static_assert(RECO_MAX_CANDIDATES < UINT16_MAX, "an index and 1 in a slot");
_Static_assert(MAX_HISTORY > RECO_MAX_ID / 2, "one byte and a blank each");

typedef struct {
    const reco_model_t      *model;
    const reco_features_t   *features;
    const reco_customer_t   *customer;

    uint32_t                 ncart;             /* known, different */
    uint32_t                 nbarred;           /* of cart and exclude */
    reco_str_t               cart[RECO_MAX_CART];
    uint32_t                 barred[2 * RECO_MAX_CART];     /* cart's first */

    uint32_t                 entries;           /* may still be read */
    uint32_t                 n;                 /* candidates */
    reco_list_entry_t       *heap;              /* candidates */
    uint16_t                *slots;             /* of an item: index + 1 */
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

/* Adds a key that is not there yet. */
static uint32_t
key_add(reco_str_t *keys, uint32_t n, reco_str_t key)
{
    uint32_t  i;

    for (i = 0; i < n; i++) {
        if (reco_str_equal(keys[i], key)) {
            return n;
        }
    }

    keys[n] = key;

    return n + 1;
}

static uint32_t
keys_of_categories(const select_t *s, reco_str_t *keys)
{
    uint32_t     i, n;
    reco_item_t  item;

    for (i = n = 0; i < s->ncart; i++) {
        if (item_get(s, s->barred[i], &item) && item.category.len > 0) {
            n = key_add(keys, n, item.category);
        }
    }

    return n;
}

/* Ids in the customer's record, separated by blanks. */
static uint32_t
keys_of_history(const select_t *s, reco_str_t *keys)
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

    for (p = v.word.data; p < end; p++) {
        for (start = p; p < end && *p != ' '; p++) { /* void */ }

        if (p > start && n < MAX_HISTORY) {
            n = key_add(keys, n, (reco_str_t) { start,
                                                (size_t) (p - start) });
        }
    }

    return n;
}

static uint32_t
keys_of(const select_t *s, const reco_candidates_t *c,
    reco_str_t keys[MAX_HISTORY])
{
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
        memcpy(keys, s->cart, s->ncart * sizeof(reco_str_t));
        return s->ncart;

    case RECO_BY_CART_CATEGORY:
        return keys_of_categories(s, keys);

    case RECO_BY_HISTORY:
        return keys_of_history(s, keys);
    }

    return 0;
}

static bool
list_get(const select_t *s, reco_str_t name, reco_str_t key,
    reco_list_t *list)
{
    return s->model->items_source->list(s->model->lookup_data, name, key,
                                        list);
}

/* The list's next entry that can be one; a damaged file may hold any. */
static bool
entry_next(select_t *s, const reco_list_t *list, uint32_t *at,
    reco_list_entry_t *e)
{
    while (*at < list->n && s->entries > 0) {
        s->entries--;
        *e = reco_list_entry(list, (*at)++);

        if (!(e->item & LOOKED_UP) && e->score >= 0 && e->score <= MAX_SCORE) {
            return true;
        }
    }

    return false;
}

/* ---- candidates --------------------------------------------------------- */

static void
candidate_add(select_t *s, uint32_t item, double score)
{
    uint32_t  i;

    for (i = item * 2654435761u >> 16;
         s->slots[i % NSLOTS] != 0;
         i++)
    {
        if (s->heap[s->slots[i % NSLOTS] - 1].item == item) {
            s->heap[s->slots[i % NSLOTS] - 1].score += score;
            return;
        }
    }

    if (s->n < RECO_MAX_CANDIDATES) {
        s->heap[s->n] = (reco_list_entry_t) { item, score };
        s->slots[i % NSLOTS] = (uint16_t) ++s->n;
    }
}

static void
candidates_add(select_t *s, const reco_candidates_t *c)
{
    uint32_t           i, n, at;
    reco_str_t         keys[MAX_HISTORY];
    reco_list_t        list;
    reco_list_entry_t  e;

    n = keys_of(s, c, keys);

    for (i = 0; i < n; i++) {
        if (!list_get(s, c->list, keys[i], &list)) {
            continue;
        }

        for (at = 0; entry_next(s, &list, &at, &e); ) {
            if (e.score > 0) {
                candidate_add(s, e.item, c->weight * e.score);
            }
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
heap_drop(select_t *s)
{
    s->heap[0] = s->heap[--s->n];

    if (s->n > 0) {
        sift_down(s, 0);
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
may_show(const select_t *s, uint32_t index, reco_item_t *item)
{
    return !is_barred(s, index) && item_get(s, index, item)
           && item->available;
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

    } else if (!(top->item & LOOKED_UP)) {
        if (s->taste.len > 0 && reco_str_equal(item.category, s->taste)) {
            top->score *= s->factor;
        }

        top->item |= LOOKED_UP;
        sift_down(s, 0);

    } else {
        if (has_room(s, &item)) {
            show(s, index, top->score, &item);
        }

        heap_drop(s);
    }
}

static void
take_candidates(select_t *s)
{
    uint32_t  i;

    for (i = s->n / 2; i-- > 0; ) {
        sift_down(s, i);
    }

    while (s->n > 0 && s->out->n < s->model->items.slate) {
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

static void
fill(select_t *s, const reco_candidates_t *c)
{
    uint32_t           i, n, at;
    reco_str_t         keys[MAX_HISTORY];
    reco_list_t        list;
    reco_item_t        item;
    reco_list_entry_t  e;

    n = keys_of(s, c, keys);

    for (i = 0; i < n; i++) {
        if (!list_get(s, c->list, keys[i], &list)) {
            continue;
        }

        for (at = 0;
             s->out->n < s->model->items.slate
             && entry_next(s, &list, &at, &e); )
        {
            if (!is_shown(s, e.item) && may_show(s, e.item, &item)
                && has_room(s, &item))
            {
                show(s, e.item, e.score, &item);
                s->out->filled++;
            }
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

        if (v->kind == RECO_VALUE_WORD) {
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
        .entries = MAX_ENTRIES, .heap = scratch->candidates,
        .slots = scratch->slots, .out = out,
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
        memset(scratch->slots, 0, sizeof(scratch->slots));

        for (i = 0; i < from->nfrom; i++) {
            candidates_add(&s, &from->from[i]);
        }

        take_candidates(&s);
    }

    for (i = 0; i < items->nfill && out->n < items->slate; i++) {
        fill(&s, &items->fill[i]);
    }
}
