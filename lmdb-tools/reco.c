/*
 * reco.c - the `reco` command: finds the subcommand and runs it.
 *
 * To add one: cmd_NAME.c with cmd_NAME(), its prototype in tool.h, a line in
 * the table below, man/reco-NAME.1 and a mention in man/reco.1.
 */

#include "tool.h"

#include <signal.h>
#include <string.h>

typedef struct {
    const char  *name;
    int        (*run)(int argc, char **argv);
    const char  *summary;
} command_t;

/* In the order of the work: make, look, serve, learn. */
static const command_t commands[] = {
    { "build",    cmd_build,    "make a snapshot from a spec and data" },
    { "inspect",  cmd_inspect,  "show what a snapshot holds" },
    { "verify",   cmd_verify,   "check a snapshot byte by byte" },
    { "publish",  cmd_publish,  "put a snapshot where servers pick it up" },
    { "rollback", cmd_rollback, "publish an earlier generation again" },
    { "import",   cmd_import,   "read public data sets" },
    { "generate", cmd_generate, "invent a shop's customers and baskets" },
    { "baskets",  cmd_baskets,  "lists, categories, customers of a shop" },
    { "train",    cmd_train,    "learn values from an event log" },
    { "simulate", cmd_simulate, "let a market's shoppers meet a model" },
    { "eval",     cmd_eval,     "estimate a policy's value from a log" },
    { "replay",   cmd_replay,   "repeat the decisions of a log" },
    { "batch",    cmd_batch,    "decide for a CSV of customers" },
    { "export",   cmd_export,   "write a log as tables" },
    { "forget",   cmd_forget,   "take a customer out of logs and snapshot" },
};

#define NCOMMANDS   (sizeof(commands) / sizeof(commands[0]))

static void
help(FILE *out)
{
    size_t  i;

    fputs("Usage: reco COMMAND [OPTION...]\n"
          "       reco help COMMAND\n\n"
          "Builds, publishes and learns the decision models that NGINX "
          "serves.\n\n", out);

    for (i = 0; i < NCOMMANDS; i++) {
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    }

    fputs("\nExit status: 0, 1 when a command failed, 2 when it was used "
          "wrongly.\n", out);
}

static const command_t *
find(const char *name)
{
    size_t  i;

    for (i = 0; i < NCOMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }

    tool_error("there is no command '%s'; see 'reco --help'", name);

    return NULL;
}

static int
help_on(const char *name)
{
    char              option[] = "--help";
    char             *argv[] = { (char *) name, option, NULL };
    const command_t  *command = find(name);

    return command ? command->run(2, argv) : 2;
}

static int
run(int argc, char **argv)
{
    const command_t  *command;

    if (argc < 2) {
        help(stderr);
        return 2;
    }

    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0
        || strcmp(argv[1], "-h") == 0)
    {
        if (argc > 2) {
            return help_on(argv[2]);
        }
        help(stdout);
        return 0;
    }

    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        puts(argp_program_version);
        return 0;
    }

    command = find(argv[1]);

    return command ? command->run(argc - 1, argv + 1) : 2;
}

int
main(int argc, char **argv)
{
    int  rc;

    signal(SIGXFSZ, SIG_IGN);       /* the write fails with EFBIG instead */
    tool_json_memory();
    tool_cxx_memory();
    rc = run(argc, argv);

    if (ferror(stdout) || fflush(stdout) != 0) {
        tool_errno("write", "standard output");
        return rc ? rc : 1;
    }

    return rc;
}
