/*
 * cmd_import.c - `reco import KIND ...`: finds the reader of a data set.
 */

#include "import.h"

#include <string.h>

static const struct {
    const char  *name;
    int        (*run)(int argc, char **argv);
    const char  *summary;
} kinds[] = {
    { "online-retail", import_online_retail,
      "UCI Online Retail: sales to customers and catalogue" },
    { "open-bandit", import_open_bandit,
      "Open Bandit Dataset: logged decisions to an event log" },
};

#define NKINDS  (sizeof(kinds) / sizeof(kinds[0]))

static void
help(FILE *out)
{
    size_t  i;

    fputs("Usage: reco import KIND [OPTION...] FILE\n"
          "       reco import KIND --help\n\n", out);
    for (i = 0; i < NKINDS; i++) {
        fprintf(out, "  %-14s %s\n", kinds[i].name, kinds[i].summary);
    }
}

int
cmd_import(int argc, char **argv)
{
    size_t  i;

    if (argc < 2) {
        help(stderr);
        return 2;
    }

    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-?") == 0) {
        help(stdout);
        return 0;
    }

    if (strcmp(argv[1], "--version") == 0) {
        puts(argp_program_version);
        return 0;
    }

    for (i = 0; i < NKINDS; i++) {
        if (strcmp(kinds[i].name, argv[1]) == 0) {
            return kinds[i].run(argc - 1, argv + 1);
        }
    }

    tool_error("import: there is no kind '%s'; see 'reco import --help'",
               argv[1]);

    return 2;
}
