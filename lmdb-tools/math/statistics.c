/*
 * statistics.c - integer sums per state, slot, action and day in a hash table
 * that lives as long as its statistics_t.
 *
 * Weights are whole millionths and their sums 128-bit integers, so that no
 * order of adding changes a bit: a weight is below 2^32 (the
 * inverse of a propensity), its square in millionths squared below 2^104,
 * which leaves room for 16 million such impressions in one cell and day, and
 * for a share in millionths while one is added.
 */

#include "statistics.h"
#include "tool.h"

#define uthash_malloc(size)         tool_alloc(size)
#define uthash_free(pointer, size)  free(pointer)
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define MICRO   1e6

typedef unsigned __int128  sum_t;

typedef struct {
    reco_str_t      name;
    UT_hash_handle  hh;
} state_t;

/* Without padding: it is hashed as it is. */
typedef struct {
    state_t   *state;
    uint32_t   day;
    uint16_t   slot;
    uint16_t   action;
} cell_key_t;

typedef struct {
    cell_key_t      key;
    uint64_t        shown;
    sum_t           weight, success, square;
    UT_hash_handle  hh;
} cell_t;

struct statistics_s {
    state_t  *states;
    cell_t   *cells;
};

statistics_t *
statistics_new(void)
{
    statistics_t  *s = tool_alloc(sizeof(*s));

    memset(s, 0, sizeof(*s));

    return s;
}

void
statistics_free(statistics_t *s)
{
    cell_t   *cell, *next_cell;
    state_t  *state, *next_state;

    if (s == NULL) {
        return;
    }

    HASH_ITER(hh, s->cells, cell, next_cell) {
        HASH_DEL(s->cells, cell);
        free(cell);
    }

    HASH_ITER(hh, s->states, state, next_state) {
        HASH_DEL(s->states, state);
        free((char *) state->name.data);
        free(state);
    }

    free(s);
}

static state_t *
find_state(statistics_t *s, reco_str_t name)
{
    state_t  *state;

    HASH_FIND(hh, s->states, name.data, name.len, state);

    if (state == NULL) {
        state = tool_alloc(sizeof(*state));
        state->name = (reco_str_t) { tool_dup(name), name.len };
        HASH_ADD_KEYPTR(hh, s->states, state->name.data, state->name.len,
                        state);
    }

    return state;
}

static cell_t *
find_cell(statistics_t *s, reco_str_t state, uint16_t slot, uint16_t action,
    uint32_t day)
{
    cell_t      *cell;
    cell_key_t   key = { find_state(s, state), day, slot, action };

    HASH_FIND(hh, s->cells, &key, sizeof(key), cell);

    if (cell == NULL) {
        cell = tool_alloc(sizeof(*cell));
        memset(cell, 0, sizeof(*cell));
        cell->key = key;
        HASH_ADD(hh, s->cells, key, sizeof(cell->key), cell);
    }

    return cell;
}

void
statistics_add(statistics_t *s, reco_str_t state, uint16_t slot,
    uint16_t action, uint32_t day, bool success, double weight, double share)
{
    sum_t    w = (sum_t) llround(weight * MICRO);
    sum_t    millionths = (sum_t) llround(share * MICRO);
    sum_t    part = w * millionths / (sum_t) MICRO;
    cell_t  *cell = find_cell(s, state, slot, action, day);

    cell->shown++;
    cell->weight += part;
    cell->success += success ? part : 0;
    cell->square += w * w * millionths / (sum_t) MICRO;
}

/* ---- folding ------------------------------------------------------------ */

static int
compare_states(reco_str_t a, reco_str_t b)
{
    size_t  n = a.len < b.len ? a.len : b.len;
    int     order = memcmp(a.data, b.data, n);

    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int
compare_cells(const void *a, const void *b)
{
    int                order;
    const cell_key_t  *x = &(*(cell_t *const *) a)->key;
    const cell_key_t  *y = &(*(cell_t *const *) b)->key;

    if (x->state != y->state) {
        order = compare_states(x->state->name, y->state->name);
        return order;
    }

    if (x->action != y->action) {
        return x->action < y->action ? -1 : 1;
    }

    if (x->day != y->day) {
        return x->day < y->day ? -1 : 1;
    }

    return (x->slot > y->slot) - (x->slot < y->slot);
}

static cell_t **
sorted_cells(const statistics_t *s, size_t *n)
{
    cell_t  *cell, **list;

    list = tool_alloc(HASH_COUNT(s->cells) * sizeof(*list));

    for (*n = 0, cell = s->cells; cell; cell = cell->hh.next) {
        list[(*n)++] = cell;
    }

    if (*n > 0) {
        qsort(list, *n, sizeof(*list), compare_cells);
    }

    return list;
}

static double
discount(uint32_t day, uint32_t last_day, double half_life_days)
{
    if (half_life_days <= 0 || day >= last_day) {
        return 1;
    }

    return exp2(-(double) (last_day - day) / half_life_days);
}

/* From the sums (in out->trials: w; successes: r w; square: w^2) to trials and
 * successes. */
static void
finish_cell(statistics_cell_t *out, double square)
{
    double  mean;

    if (!(out->trials > 0 && square > 0)) {
        out->trials = out->successes = 0;
        return;
    }

    mean = out->successes / out->trials;
    out->trials = out->trials * out->trials / square;
    out->successes = mean * out->trials;
}

size_t
statistics_fold(const statistics_t *s, uint32_t last_day,
    double half_life_days, statistics_cell_t **cells)
{
    double              d, square = 0;
    size_t              i, n, out = 0;
    cell_t            **list = sorted_cells(s, &n);
    const cell_key_t   *key;
    statistics_cell_t  *c;

    *cells = tool_alloc(n * sizeof(**cells));

    for (i = 0; i < n; i++) {
        key = &list[i]->key;
        c = &(*cells)[out];

        if (i == 0 || key->state != list[i - 1]->key.state
            || key->action != list[i - 1]->key.action)
        {
            *c = (statistics_cell_t) { key->state->name, key->action,
                                       0, 0, 0 };
            square = 0;
        }

        d = discount(key->day, last_day, half_life_days);
        c->shown += list[i]->shown;
        c->trials += d * ((double) list[i]->weight / MICRO);
        c->successes += d * ((double) list[i]->success / MICRO);
        square += d * ((double) list[i]->square / (MICRO * MICRO));

        if (i + 1 == n || key->state != list[i + 1]->key.state
            || key->action != list[i + 1]->key.action)
        {
            finish_cell(c, square);
            out++;
        }
    }

    free(list);

    return out;
}
