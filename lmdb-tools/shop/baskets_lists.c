/*
 * baskets_lists.c - lists of items by sales and by co-purchase.
 *
 * Of baskets the distinct items are kept, and of items the baskets (an
 * inverted index). The items that were bought with one are counted in a row
 * of its own, from its baskets: memory is the data and one row, never a
 * square of the catalogue.
 *
 * Scores are whole millionths, so that what is equal on paper is equal here;
 * of equal scores the item of lower id comes first.
 */

#include "baskets_lists.h"
#include "micros.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LOW_BELOW       (10 * MICROS)
#define MEDIUM_UP_TO    (50 * MICROS)

typedef struct {
    uint32_t  item;
    uint32_t  micros;           /* score, 1..1000000 */
} ranked_t;

typedef struct {
    const baskets_t        *b;
    const lists_options_t  *options;
    FILE                   *file;
    lists_counts_t         *counts;
    uint32_t               *by_id;      /* items */
    uint32_t               *rank;       /* of an item in by_id */
    uint32_t               *sold;       /* by item: baskets */

    /* Of baskets that are not too large: */
    uint32_t                npaired;
    uint32_t               *paired;     /* by item: baskets */
    uint32_t               *first;      /* by basket: into items */
    uint32_t               *items;
    uint32_t               *start;      /* by item: into baskets */
    uint32_t               *baskets;

    uint32_t               *together;   /* the row: by item, baskets of both */
    uint32_t               *touched;    /* items that are not 0 in it */
    ranked_t               *list;
} lists_t;

/* ---- counting ----------------------------------------------------------- */

/* The basket's distinct items to *out, in the order of its lines. seen[item]
 * is the last basket that had it, plus 1. */
static uint32_t
distinct(const baskets_t *b, uint32_t basket, uint32_t *seen, uint32_t *out)
{
    uint32_t         i, item, n = 0;
    const basket_t  *k = &b->baskets[basket];

    for (i = k->first; i < k->first + k->nlines; i++) {
        item = b->lines[i].item;
        if (seen[item] != basket + 1) {
            seen[item] = basket + 1;
            out[n++] = item;
        }
    }

    return n;
}

static void
count_baskets(lists_t *l)
{
    uint32_t  i, j, n, at = 0, *seen;

    seen = tool_alloc(l->b->item_ids.n * sizeof(seen[0]));
    for (i = 0; i < l->b->ids.n; i++) {
        l->first[i] = at;
        if (!l->options->keep[i]) {
            continue;
        }
        l->counts->baskets++;
        n = distinct(l->b, i, seen, l->items + at);
        for (j = 0; j < n; j++) {
            l->counts->sold += l->sold[l->items[at + j]]++ == 0;
        }
        if (n > l->options->max_items) {
            l->counts->large++;
            continue;
        }
        l->npaired++;
        for (j = 0; j < n; j++) {
            l->paired[l->items[at + j]]++;
        }
        at += n;
    }
    l->first[l->b->ids.n] = at;
    free(seen);
}

static void
invert(lists_t *l)
{
    uint32_t  i, j, sum = 0, n = l->b->item_ids.n, *next;

    next = tool_alloc(n * sizeof(next[0]));
    l->baskets = tool_alloc(l->first[l->b->ids.n] * sizeof(l->baskets[0]));
    for (i = 0; i < n; i++) {
        l->start[i] = next[i] = sum;
        sum += l->paired[i];
    }
    l->start[n] = sum;
    for (i = 0; i < l->b->ids.n; i++) {
        for (j = l->first[i]; j < l->first[i + 1]; j++) {
            l->baskets[next[l->items[j]]++] = i;
        }
    }
    free(next);
}

/* ---- writing ------------------------------------------------------------ */

static int
by_score(const void *a, const void *b, void *lists)
{
    const ranked_t  *x = a, *y = b;
    const lists_t   *l = lists;

    if (x->micros != y->micros) {
        return x->micros > y->micros ? -1 : 1;
    }

    return l->rank[x->item] < l->rank[y->item] ? -1 : 1;
}

/* Sorts and writes n entries of l->list, as many as a list may have; returns
 * how many that is. */
static uint32_t
write_list(lists_t *l, const char *name, const char *key, uint32_t n)
{
    char      score[MICROS_TEXT];
    uint32_t  i;

    qsort_r(l->list, n, sizeof(l->list[0]), by_score, l);
    n = n < l->options->length ? n : l->options->length;
    for (i = 0; i < n; i++) {
        fprintf(l->file, "%s,", name);
        tool_csv_write(l->file, tool_str(key));
        fputc(',', l->file);
        tool_csv_write(l->file, tool_str(l->b->items[l->list[i].item].id));
        fprintf(l->file, ",%s\n", micros_text(l->list[i].micros, score));
    }
    l->counts->entries += n;

    return n;
}

/* part / whole (> 0) in millionths, to the nearest, at least 1. */
static uint32_t
share(double part, double whole)
{
    double  micros = rint(part / whole * 1e6);

    return micros < 1 ? 1 : (uint32_t) micros;
}

static int
band(int64_t price)
{
    return price < LOW_BELOW ? 0 : price <= MEDIUM_UP_TO ? 1 : 2;
}

/* ---- what sells --------------------------------------------------------- */

/* Sold items of a band (-1: any) and a category (NULL: any) into the list;
 * on one scale: that of the best seller of all. */
static uint32_t
select_sold(lists_t *l, uint32_t best, int of_band, const char *category)
{
    uint32_t  i, n = 0;

    for (i = 0; i < l->b->item_ids.n; i++) {
        const baskets_item_t  *item = &l->b->items[i];

        if (l->sold[i] == 0 || (of_band >= 0 && band(item->price) != of_band)
            || (category != NULL && strcmp(item->category, category) != 0))
        {
            continue;
        }
        l->list[n++] = (ranked_t) { i, share(l->sold[i], best) };
    }

    return n;
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

static void
write_categories(lists_t *l, uint32_t best)
{
    uint32_t      i, n = l->b->item_ids.n;
    const char  **names = tool_alloc(n * sizeof(names[0]));

    for (i = 0; i < n; i++) {
        names[i] = l->b->items[i].category;
    }
    qsort(names, n, sizeof(names[0]), by_name);
    for (i = 0; i < n; i++) {
        if (names[i][0] == '\0'
            || (i && strcmp(names[i], names[i - 1]) == 0))
        {
            continue;
        }
        l->counts->categories
            += write_list(l, "category", names[i],
                          select_sold(l, best, -1, names[i])) > 0;
    }
    free(names);
}

static void
write_sold(lists_t *l)
{
    int                       i;
    uint32_t                  j, best = 1;
    static const char *const  bands[] = { "low", "medium", "high" };

    for (j = 0; j < l->b->item_ids.n; j++) {
        best = l->sold[j] > best ? l->sold[j] : best;
    }

    write_list(l, "popular", "", select_sold(l, best, -1, NULL));
    for (i = 0; i < 3; i++) {
        l->counts->bands[i] = write_list(l, "price", bands[i],
                                         select_sold(l, best, i, NULL));
    }
    write_categories(l, best);
}

/* ---- what is bought together -------------------------------------------- */

/* Counts the items in the item's baskets; returns how many there are. */
static uint32_t
fill_row(lists_t *l, uint32_t item)
{
    uint32_t  i, j, other, n = 0;

    for (i = l->start[item]; i < l->start[item + 1]; i++) {
        uint32_t  basket = l->baskets[i];

        for (j = l->first[basket]; j < l->first[basket + 1]; j++) {
            other = l->items[j];
            if (other != item && l->together[other]++ == 0) {
                l->touched[n++] = other;
            }
        }
    }

    return n;
}

static double
measure(const lists_t *l, uint32_t a, uint32_t b)
{
    double  together = l->together[b];
    double  product = (double) l->paired[a] * l->paired[b];

    return l->options->measure == LISTS_COSINE
           ? together / sqrt(product)
           : together * l->npaired / product;
}

/* The highest measure of a pair: 1 for the cosine, which has a scale. */
static double
highest(lists_t *l)
{
    double    m, best = 0;
    uint32_t  i, j, n;

    if (l->options->measure == LISTS_COSINE) {
        return 1;
    }
    for (i = 0; i < l->b->item_ids.n; i++) {
        n = fill_row(l, i);
        for (j = 0; j < n; j++) {
            if (l->together[l->touched[j]] >= l->options->support) {
                m = measure(l, i, l->touched[j]);
                best = m > best ? m : best;
            }
            l->together[l->touched[j]] = 0;
        }
    }

    return best;
}

static void
write_together(lists_t *l, uint32_t item, double best)
{
    uint32_t  i, n = fill_row(l, item), kept = 0;

    for (i = 0; i < n; i++) {
        uint32_t  other = l->touched[i];

        if (l->together[other] >= l->options->support) {
            l->list[kept++] = (ranked_t) {
                other, share(measure(l, item, other), best)
            };
        }
        l->together[other] = 0;
    }
    l->counts->pairs += kept;
    l->counts->with_list
        += write_list(l, "also_bought", l->b->items[item].id, kept) > 0;
}

static void
write_pairs(lists_t *l)
{
    double           best = highest(l);
    uint32_t         i, n = l->b->item_ids.n;
    tool_progress_t  progress;

    tool_progress_begin(&progress, "pairs", n);
    for (i = 0; i < n; i++) {
        write_together(l, l->by_id[i], best);
        tool_progress_at(&progress, i);
    }
    tool_progress_end(&progress);
    l->counts->pairs /= 2;          /* each was seen from both sides */
}

void
lists_write(const baskets_t *b, const lists_options_t *options, FILE *f,
    lists_counts_t *counts)
{
    uint32_t  i, n = b->item_ids.n;
    lists_t   l = { .b = b, .options = options, .file = f, .counts = counts };

    memset(counts, 0, sizeof(*counts));
    l.by_id = baskets_items_by_id(b);
    l.rank = tool_alloc(n * sizeof(l.rank[0]));
    for (i = 0; i < n; i++) {
        l.rank[l.by_id[i]] = i;
    }
    l.sold = tool_alloc(n * sizeof(l.sold[0]));
    l.paired = tool_alloc(n * sizeof(l.paired[0]));
    l.first = tool_alloc((b->ids.n + 1) * sizeof(l.first[0]));
    l.items = tool_alloc(b->nlines * sizeof(l.items[0]));
    l.start = tool_alloc((n + 1) * sizeof(l.start[0]));
    l.together = tool_alloc(n * sizeof(l.together[0]));
    l.touched = tool_alloc(n * sizeof(l.touched[0]));
    l.list = tool_alloc(n * sizeof(l.list[0]));

    fputs("list,key,item,score\n", f);
    count_baskets(&l);
    invert(&l);
    write_sold(&l);
    write_pairs(&l);

    free(l.by_id);
    free(l.rank);
    free(l.sold);
    free(l.paired);
    free(l.first);
    free(l.items);
    free(l.start);
    free(l.baskets);
    free(l.together);
    free(l.touched);
    free(l.list);
}
