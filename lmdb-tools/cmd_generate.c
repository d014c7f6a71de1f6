/*
 * cmd_generate.c - `reco generate`: an invented shop as baskets.csv and
 * items.csv.
 */

#include "generate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct {
    const char          *dir;
    generate_options_t   options;
    bool                 json;
} command_t;

enum { OPT_OUT = 256, OPT_CUSTOMERS, OPT_ITEMS, OPT_DAYS, OPT_SEED,
       OPT_JSON };

static const struct argp_option  options[] = {
    { "out", OPT_OUT, "DIR", 0, "the folder to write to (needed)", 0 },
    { "customers", OPT_CUSTOMERS, "N", 0,
      "how many customers there are; 2000 without it", 0 },
    { "items", OPT_ITEMS, "N", 0, "how many items; 600 without it", 0 },
    { "days", OPT_DAYS, "N", 0,
      "for how many days, from 2025-01-01 on; 365 without it", 0 },
    { "seed", OPT_SEED, "N", 0, "another number is another shop; 1 without "
      "it", 0 },
    { "json", OPT_JSON, NULL, 0, "print the counts as JSON", 0 },
    { 0 }
};

static uint64_t
parse_number(const char *arg, uint64_t min, uint64_t max, const char *option,
    struct argp_state *state)
{
    char                *end;
    unsigned long long   v;

    errno = 0;
    v = strtoull(arg, &end, 10);
    if (arg[0] < '0' || arg[0] > '9' || *end || errno || v < min || v > max) {
        argp_error(state, "--%s takes a number from %llu to %llu", option,
                   (unsigned long long) min, (unsigned long long) max);
    }

    return v;
}

static error_t
on_option(int key, char *arg, struct argp_state *state)
{
    command_t           *c = state->input;
    generate_options_t  *o = &c->options;

    switch (key) {
    case OPT_OUT:
        c->dir = arg;
        return 0;
    case OPT_CUSTOMERS:
        o->customers = (uint32_t) parse_number(arg, 1, GENERATE_MAX_CUSTOMERS,
                                               "customers", state);
        return 0;
    case OPT_ITEMS:
        o->items = (uint32_t) parse_number(arg, GENERATE_MIN_ITEMS,
                                           GENERATE_MAX_ITEMS, "items", state);
        return 0;
    case OPT_DAYS:
        o->days = (uint32_t) parse_number(arg, 1, GENERATE_MAX_DAYS, "days",
                                          state);
        return 0;
    case OPT_SEED:
        o->seed = parse_number(arg, 0, UINT64_MAX, "seed", state);
        return 0;
    case OPT_JSON:
        c->json = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "there is nothing to read: '%s'", arg);
        return 0;
    case ARGP_KEY_END:
        if (c->dir == NULL) {
            argp_error(state, "--out is needed");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    options, on_option, NULL,
    "Invents a shop, its customers and their baskets, and writes baskets.csv "
    "and items.csv, for trying things out where there is no data.",
    NULL, NULL, NULL
};

static bool
write_files(const command_t *c, const baskets_t *b)
{
    bool           ok;
    size_t         size = strlen(c->dir) + sizeof("/baskets.csv");
    char          *baskets = tool_alloc(size), *items = tool_alloc(size);
    tool_output_t  out[2] = { 0 };

    snprintf(baskets, size, "%s/baskets.csv", c->dir);
    snprintf(items, size, "%s/items.csv", c->dir);

    ok = tool_output_open(&out[0], baskets)
         && tool_output_open(&out[1], items);
    if (ok) {
        baskets_write(b, NULL, out[0].file);
        baskets_write_items(b, out[1].file);
        ok = tool_output_commit(&out[0]) && tool_output_commit(&out[1]);
    }
    tool_output_abandon(&out[0]);
    tool_output_abandon(&out[1]);
    free(baskets);
    free(items);

    return ok;
}

int
cmd_generate(int argc, char **argv)
{
    bool       ok;
    baskets_t  b = { 0 };
    command_t  c = { .options = { .customers = 2000, .items = 600,
                                  .days = 365, .seed = 1 } };

    tool_parse(&argp, "generate", argc, argv, &c);

    if (mkdir(c.dir, 0777) != 0 && errno != EEXIST) {
        tool_errno("create", c.dir);
        return 1;
    }
    generate_shop(&c.options, &b);
    ok = write_files(&c, &b);

    if (ok && c.json) {
        tool_print_json(json_pack("{s:I, s:I, s:I, s:I}",
            "baskets", (json_int_t) b.ids.n, "lines", (json_int_t) b.nlines,
            "items", (json_int_t) b.item_ids.n,
            "customers", (json_int_t) b.customers.n));
    } else if (ok) {
        printf("%u baskets with %u lines of %u items; %u customers\n",
               (unsigned) b.ids.n, (unsigned) b.nlines,
               (unsigned) b.item_ids.n, (unsigned) b.customers.n);
    }
    baskets_free(&b);

    return ok ? 0 : 1;
}
