/*
 * cmd_baskets.c - `reco baskets`: from baskets and items to what a model of
 * recommended items is built from: items with categories, ranked lists,
 * customers' records, samples of carts.
 */

#include "baskets_customers.h"
#include "baskets_lists.h"
#include "clusters.h"
#include "part.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_ITEMS, FILE_LISTS, FILE_CUSTOMERS, FILE_SAMPLES, FILE_HELD,
       FILES };

static const char *const  file_names[FILES] = {
    "items.csv", "lists.csv", "customers.csv", "samples.csv", "held.csv"
};

typedef struct {
    const char          *baskets_path;
    const char          *items_path;
    const char          *dir;
    uint32_t             categories;
    uint32_t             length;
    uint32_t             support;
    uint32_t             max_items;
    lists_measure_t      measure;
    bool                 from[PARTS];
    bool                 anonymous;
    bool                 leave_last;
    bool                 json;

    baskets_t            baskets;
    clusters_t           clusters;
    bool                *held;          /* by basket: left out of all */
    bool                *listed;        /* by basket: in lists and samples */
    bool                *reference;     /* by customer: of the parts wanted */
    uint32_t             parts[PARTS];  /* customers */
    uint32_t             nheld;
    lists_counts_t       lists;
    customers_counts_t   customers;
    char                *paths[FILES];
    tool_output_t        out[FILES];
} command_t;

/* ---- options ------------------------------------------------------------ */

enum { OPT_ITEMS = 256, OPT_OUT, OPT_CATEGORIES, OPT_SUPPORT, OPT_LENGTH,
       OPT_MAX_ITEMS, OPT_MEASURE, OPT_FROM, OPT_LEAVE_LAST, OPT_JSON };

static const struct argp_option  options[] = {
    { "items", OPT_ITEMS, "CSV", 0, "the items (needed)", 0 },
    { "out", OPT_OUT, "DIR", 0, "the folder to write to (needed)", 0 },
    { "categories", OPT_CATEGORIES, "N", 0,
      "how many groups the items are put in by their names; 30 without it; "
      "0 keeps the categories that the items have", 0 },
    { "min-support", OPT_SUPPORT, "N", 0,
      "baskets that two items must have in common; 5 without it", 0 },
    { "list-length", OPT_LENGTH, "N", 0,
      "items in a list, at most; 100 without it", 0 },
    { "max-basket", OPT_MAX_ITEMS, "N", 0,
      "a basket of more distinct items has no pairs; 500 without it", 0 },
    { "measure", OPT_MEASURE, "NAME", 0,
      "of items bought together: cosine (without it) or lift", 0 },
    { "lists-from", OPT_FROM, "PARTS", 0,
      "whose baskets make the lists: market, development, test, anonymous, "
      "with commas between; market,development without it", 0 },
    { "leave-last", OPT_LEAVE_LAST, NULL, 0,
      "leave the last basket of every customer with two or more out of "
      "everything, and write it to held.csv", 0 },
    { "json", OPT_JSON, NULL, 0, "print the counts as JSON", 0 },
    { 0 }
};

static uint32_t
parse_count(const char *arg, uint32_t min, uint32_t max, const char *option,
    struct argp_state *state)
{
    char           *end;
    unsigned long   v;

    errno = 0;
    v = strtoul(arg, &end, 10);
    if (arg[0] < '0' || arg[0] > '9' || *end || errno || v < min || v > max) {
        argp_error(state, "--%s takes a number from %u to %u", option,
                   (unsigned) min, (unsigned) max);
    }

    return (uint32_t) v;
}

static void
parse_from(command_t *c, const char *arg, struct argp_state *state)
{
    part_t       part;
    const char  *end;

    memset(c->from, 0, sizeof(c->from));
    for ( ; ; arg = end + 1) {
        reco_str_t  word;

        end = strchrnul(arg, ',');
        word = (reco_str_t) { arg, (size_t) (end - arg) };
        if (reco_str_equal(word, RECO_STR("anonymous"))) {
            c->anonymous = true;
        } else if (part_parse(word, &part)) {
            c->from[part] = true;
        } else {
            argp_error(state, "--lists-from: there is no part '%.*s'",
                       (int) word.len, word.data);
        }
        if (*end == '\0') {
            return;
        }
    }
}

static void
parse_measure(command_t *c, const char *arg, struct argp_state *state)
{
    if (strcmp(arg, "cosine") == 0) {
        c->measure = LISTS_COSINE;
    } else if (strcmp(arg, "lift") == 0) {
        c->measure = LISTS_LIFT;
    } else {
        argp_error(state, "--measure takes cosine or lift");
    }
}

static error_t
on_option(int key, char *arg, struct argp_state *state)
{
    command_t  *c = state->input;

    switch (key) {
    case OPT_ITEMS:
        c->items_path = arg;
        return 0;
    case OPT_OUT:
        c->dir = arg;
        return 0;
    case OPT_CATEGORIES:
        c->categories = parse_count(arg, 0, 1000, "categories", state);
        return 0;
    case OPT_SUPPORT:
        c->support = parse_count(arg, 1, 1000000000, "min-support", state);
        return 0;
    case OPT_LENGTH:
        c->length = parse_count(arg, 1, RECO_MAX_LIST, "list-length", state);
        return 0;
    case OPT_MAX_ITEMS:
        c->max_items = parse_count(arg, 2, 100000, "max-basket", state);
        return 0;
    case OPT_MEASURE:
        parse_measure(c, arg, state);
        return 0;
    case OPT_FROM:
        parse_from(c, arg, state);
        return 0;
    case OPT_LEAVE_LAST:
        c->leave_last = true;
        return 0;
    case OPT_JSON:
        c->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (c->baskets_path != NULL) {
            argp_error(state, "one file of baskets is enough");
        }
        c->baskets_path = arg;
        return 0;
    case ARGP_KEY_END:
        if (c->baskets_path == NULL || c->items_path == NULL
            || c->dir == NULL)
        {
            argp_error(state, "BASKETS, --items and --out are needed");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    options, on_option, "BASKETS",
    "Reads baskets and their items (CSV, may be compressed) and writes items "
    "with categories, ranked lists, customers' records and samples of carts.",
    NULL, NULL, NULL
};

/* ---- which baskets count ------------------------------------------------ */

/* The last basket of every customer with two or more. */
static void
hold_last(command_t *c)
{
    uint32_t          i, customer;
    uint32_t         *seen;
    const baskets_t  *b = &c->baskets;

    seen = tool_alloc(b->customers.n * sizeof(seen[0]));
    for (i = 0; i < b->ids.n; i++) {
        customer = b->baskets[i].customer;
        if (customer != BASKETS_NONE) {
            seen[customer]++;
        }
    }
    for (i = b->ids.n; i-- > 0; ) {
        customer = b->baskets[i].customer;
        if (customer != BASKETS_NONE && seen[customer] >= 2) {
            c->held[i] = true;
            c->nheld++;
            seen[customer] = 0;
        }
    }
    free(seen);
}

static void
choose_baskets(command_t *c)
{
    part_t            part;
    uint32_t          i;
    const baskets_t  *b = &c->baskets;

    c->held = tool_alloc(b->ids.n * sizeof(c->held[0]));
    c->listed = tool_alloc(b->ids.n * sizeof(c->listed[0]));
    c->reference = tool_alloc(b->customers.n * sizeof(c->reference[0]));

    for (i = 0; i < b->customers.n; i++) {
        part = part_of(tool_str(b->customers.texts[i]));
        c->parts[part]++;
        c->reference[i] = c->from[part];
    }
    if (c->leave_last) {
        hold_last(c);
    }
    for (i = 0; i < b->ids.n; i++) {
        uint32_t  customer = b->baskets[i].customer;

        c->listed[i] = !c->held[i]
                       && (customer == BASKETS_NONE ? c->anonymous
                                                    : c->reference[customer]);
    }
}

static void
find_categories(command_t *c)
{
    uint32_t      i, n = c->baskets.item_ids.n;
    uint32_t     *order;
    const char  **names;

    if (c->categories == 0) {
        return;
    }

    /* By id, so that the order of the file does not matter. */
    order = baskets_items_by_id(&c->baskets);
    names = tool_alloc(n * sizeof(names[0]));
    for (i = 0; i < n; i++) {
        names[i] = c->baskets.items[order[i]].name;
    }
    clusters_make(names, n, c->categories, &c->clusters);
    for (i = 0; i < n; i++) {
        baskets_text(&c->baskets.items[order[i]].category,
                     tool_str(c->clusters.names[c->clusters.group[i]]));
    }
    free(names);
    free(order);
}

/* ---- files -------------------------------------------------------------- */

static bool
open_outputs(command_t *c)
{
    int     i;
    size_t  size;

    if (mkdir(c->dir, 0777) != 0 && errno != EEXIST) {
        tool_errno("create", c->dir);
        return false;
    }

    for (i = 0; i < FILES; i++) {
        if (i == FILE_HELD && !c->leave_last) {
            continue;
        }
        size = strlen(c->dir) + strlen(file_names[i]) + 2;
        c->paths[i] = tool_alloc(size);
        snprintf(c->paths[i], size, "%s/%s", c->dir, file_names[i]);
        if (!tool_output_is_not(c->paths[i], c->baskets_path)
            || !tool_output_is_not(c->paths[i], c->items_path)
            || !tool_output_open(&c->out[i], c->paths[i]))
        {
            return false;
        }
    }

    return true;
}

static bool
write_all(command_t *c)
{
    int              i;
    lists_options_t  lists = {
        .length = c->length, .support = c->support,
        .max_items = c->max_items, .measure = c->measure, .keep = c->listed
    };

    baskets_write_items(&c->baskets, c->out[FILE_ITEMS].file);
    lists_write(&c->baskets, &lists, c->out[FILE_LISTS].file, &c->lists);
    customers_write(&c->baskets, c->held, c->reference,
                    c->out[FILE_CUSTOMERS].file, &c->customers);
    samples_write(&c->baskets, c->listed, c->out[FILE_SAMPLES].file);
    if (c->leave_last) {
        baskets_write(&c->baskets, c->held, c->out[FILE_HELD].file);
    }

    for (i = 0; i < FILES; i++) {
        if (c->out[i].file != NULL && !tool_output_commit(&c->out[i])) {
            return false;
        }
    }

    return true;
}

/* ---- counts ------------------------------------------------------------- */

static uint32_t
count_available(const baskets_t *b)
{
    uint32_t  i, n = 0;

    for (i = 0; i < b->item_ids.n; i++) {
        n += b->items[i].available;
    }

    return n;
}

static json_t *
counts(const command_t *c)
{
    int                    i;
    json_t                *parts = json_object(), *o;
    const baskets_t       *b = &c->baskets;
    const lists_counts_t  *l = &c->lists;

    for (i = 0; i < PARTS; i++) {
        json_object_set_new(parts, part_name((part_t) i),
                            json_integer(c->parts[i]));
    }
    o = json_pack("{s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:I, s:I, s:I}",
        "baskets", (json_int_t) b->ids.n, "lines", (json_int_t) b->nlines,
        "items", (json_int_t) b->item_ids.n,
        "available", (json_int_t) count_available(b),
        "customers", (json_int_t) c->customers.customers, "parts", parts,
        "held", (json_int_t) c->nheld,
        "listed_baskets", (json_int_t) l->baskets,
        "large_baskets", (json_int_t) l->large,
        "listed_items", (json_int_t) l->sold,
        "categories", (json_int_t) l->categories);
    if (c->categories) {
        json_object_set_new(o, "without_category",
                            json_integer(c->clusters.others));
        json_object_set_new(o, "cohesion", json_real(c->clusters.cohesion));
    }
    json_object_set_new(o, "price_lists", json_pack("{s:I, s:I, s:I}",
        "low", (json_int_t) l->bands[0], "medium", (json_int_t) l->bands[1],
        "high", (json_int_t) l->bands[2]));
    json_object_set_new(o, "pairs", json_integer((json_int_t) l->pairs));
    json_object_set_new(o, "also_bought_lists", json_integer(l->with_list));
    json_object_set_new(o, "also_bought_share",
        json_real((double) l->with_list / (double) b->item_ids.n));
    json_object_set_new(o, "entries", json_integer((json_int_t) l->entries));

    return o;
}

static void
print_counts(const command_t *c)
{
    const baskets_t       *b = &c->baskets;
    const lists_counts_t  *l = &c->lists;

    printf("%u baskets with %u lines of %u items, %u of them available; "
           "%u customers\n", (unsigned) b->ids.n, (unsigned) b->nlines,
           (unsigned) b->item_ids.n, (unsigned) count_available(b),
           (unsigned) c->customers.customers);
    printf("parts: market %u, development %u, test %u customers\n",
           (unsigned) c->parts[PART_MARKET],
           (unsigned) c->parts[PART_DEVELOPMENT],
           (unsigned) c->parts[PART_TEST]);
    if (c->leave_last) {
        printf("left out: the last basket of %u customers\n",
               (unsigned) c->nheld);
    }
    printf("lists from %u baskets: %llu entries; price low %u, medium %u, "
           "high %u; %u categories\n", (unsigned) l->baskets,
           (unsigned long long) l->entries, (unsigned) l->bands[0],
           (unsigned) l->bands[1], (unsigned) l->bands[2],
           (unsigned) l->categories);
    if (c->categories) {
        printf("categories: mean cosine with the centre %.3f; %u items "
               "without one are '%s'\n", c->clusters.cohesion,
               (unsigned) c->clusters.others, CLUSTERS_OTHER);
    }
    printf("bought together: %llu pairs in at least %u baskets; %u items "
           "(%.1f %%) have a list\n", (unsigned long long) l->pairs,
           (unsigned) c->support, (unsigned) l->with_list,
           100.0 * l->with_list / b->item_ids.n);
    if (l->large) {
        printf("%u baskets of more than %u items were not searched for "
               "pairs\n", (unsigned) l->large, (unsigned) c->max_items);
    }
}

/* ---- command ------------------------------------------------------------ */

static void
release(command_t *c)
{
    int  i;

    for (i = 0; i < FILES; i++) {
        tool_output_abandon(&c->out[i]);
        free(c->paths[i]);
    }
    clusters_free(&c->clusters);
    baskets_free(&c->baskets);
    free(c->held);
    free(c->listed);
    free(c->reference);
}

int
cmd_baskets(int argc, char **argv)
{
    bool       ok;
    command_t  c = { .categories = 30, .length = 100, .support = 5,
                     .max_items = 500,
                     .from = { [PART_MARKET] = true,
                               [PART_DEVELOPMENT] = true } };

    tool_parse(&argp, "baskets", argc, argv, &c);

    ok = baskets_read(&c.baskets, c.baskets_path, c.items_path)
         && open_outputs(&c);
    if (ok) {
        choose_baskets(&c);
        find_categories(&c);
        ok = write_all(&c);
    }

    if (ok && c.json) {
        tool_print_json(counts(&c));
    } else if (ok) {
        print_counts(&c);
    }
    release(&c);

    return ok ? 0 : 1;
}
