/*
 * tools_output_t.c - an output file that is not finished goes with the process
 * that writes it, and with no other.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tool.h"

static char  dir[] = "/tmp/reco-output-XXXXXX";


static int
make_dir(void **state)
{
    (void) state;

    strcpy(dir + strlen(dir) - 6, "XXXXXX");

    return mkdtemp(dir) == NULL;
}


static int
remove_dir(void **state)
{
    char            path[512];
    DIR            *d = opendir(dir);
    struct dirent  *e;

    (void) state;

    while ((e = readdir(d)) != NULL) {
        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        unlink(path);
    }
    closedir(d);

    return rmdir(dir);
}


/* How many files there are whose names begin so. */
static int
count(const char *name)
{
    int             n = 0;
    DIR            *d = opendir(dir);
    struct dirent  *e;

    while ((e = readdir(d)) != NULL) {
        n += strncmp(e->d_name, name, strlen(name)) == 0;
    }
    closedir(d);

    return n;
}


static void
begin(tool_output_t *o, const char *name)
{
    char  path[512];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_true(tool_output_open(o, path));
    fputs("half of it", o->file);
    assert_int_equal(count(name), 1);
}


/* A child with an output of its own ends as it is told to; what waitpid says. */
static int
child(int signo)
{
    int            status;
    pid_t          pid;
    tool_output_t  o;

    fflush(NULL);
    pid = fork();
    assert_true(pid >= 0);

    if (pid == 0) {
        begin(&o, "child");
        if (signo != 0) {
            raise(signo);
        }
        exit(3);
    }

    assert_int_equal(waitpid(pid, &status, 0), pid);

    return status;
}


static void
ends(int signo)
{
    int            status;
    tool_output_t  o;

    begin(&o, "parent");
    status = child(signo);

    assert_true(signo ? WIFSIGNALED(status) && WTERMSIG(status) == signo
                      : WIFEXITED(status) && WEXITSTATUS(status) == 3);
    assert_int_equal(count("child"), 0);
    assert_int_equal(count("parent"), 1);
    assert_true(tool_output_commit(&o));
    assert_int_equal(count("parent"), 1);
}


static void
test_child_exits(void **state)
{
    (void) state;
    ends(0);
}


static void
test_child_is_ended(void **state)
{
    (void) state;
    ends(SIGTERM);
}


static void
test_abandoned(void **state)
{
    tool_output_t  o;

    (void) state;

    begin(&o, "parent");
    tool_output_abandon(&o);
    assert_int_equal(count("parent"), 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(test_child_exits, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(test_child_is_ended, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(test_abandoned, make_dir, remove_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
