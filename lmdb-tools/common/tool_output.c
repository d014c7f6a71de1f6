/*
 * tool_output.c - output files that appear whole or not at all: written beside
 * their place, synced, renamed. A signal that ends the program removes what is
 * not finished yet.
 */

#include "reco_file.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_TEMPS   8

/* Temporary files to be removed by a signal or exit(), by the process that made
 * them and not by its children; read by the handler. An empty name is of a file
 * that is not there yet. */
static struct {
    pid_t                 owner;
    const char *volatile  name;
} temps[MAX_TEMPS];

static void
remove_temps(void)
{
    int    i;
    pid_t  self = getpid();

    for (i = 0; i < MAX_TEMPS; i++) {
        if (temps[i].name != NULL && temps[i].name[0] != '\0'
            && temps[i].owner == self)
        {
            unlink(temps[i].name);
        }
    }
}

static void
on_signal(int signo)
{
    remove_temps();
    signal(signo, SIG_DFL);
    raise(signo);
}

void
tool_temp_remember(const char *temp)
{
    static bool       at_exit;
    static const int  signals[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE };
    size_t            i;
    struct sigaction  sa;

    if (!at_exit) {
        at_exit = atexit(remove_temps) == 0;
    }

    for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        if (sigaction(signals[i], NULL, &sa) == 0
            && sa.sa_handler == SIG_DFL)
        {
            sa.sa_handler = on_signal;
            sigaction(signals[i], &sa, NULL);
        }
    }

    for (i = 0; i < MAX_TEMPS; i++) {
        if (temps[i].name == NULL) {
            temps[i].owner = getpid();
            temps[i].name = temp;
            return;
        }
    }
}

void
tool_temp_forget(const char *temp)
{
    int  i;

    for (i = 0; i < MAX_TEMPS; i++) {
        if (temps[i].name == temp) {
            temps[i].name = NULL;
        }
    }
}

static void
release(tool_output_t *o)
{
    if (o->temp != NULL) {
        tool_temp_forget(o->temp);
    }
    free(o->temp);
    free(o->path);
    memset(o, 0, sizeof(*o));
}

bool
tool_output_is_not(const char *path, const char *input)
{
    struct stat  out, in;

    if (path == NULL || input == NULL || strcmp(path, "-") == 0
        || strcmp(input, "-") == 0 || stat(path, &out) != 0
        || stat(input, &in) != 0 || !S_ISREG(out.st_mode)
        || out.st_dev != in.st_dev || out.st_ino != in.st_ino)
    {
        return true;
    }

    tool_error("cannot write '%s': it is read too", path);

    return false;
}

/* Whether two paths are one place, which need not be there yet. */
static bool
is_same_place(const char *a, const char *b)
{
    char         *copy[4];
    bool          same;
    int           i;
    struct stat   x, y;

    if (stat(a, &x) == 0 && stat(b, &y) == 0) {
        return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
    }

    for (i = 0; i < 4; i++) {
        copy[i] = tool_strdup(i % 2 ? b : a);   /* the calls may cut them */
    }

    same = strcmp(basename(copy[0]), basename(copy[1])) == 0
           && stat(dirname(copy[2]), &x) == 0
           && stat(dirname(copy[3]), &y) == 0
           && x.st_dev == y.st_dev && x.st_ino == y.st_ino;

    for (i = 0; i < 4; i++) {
        free(copy[i]);
    }

    return same;
}

bool
tool_output_differs(const char *path, const char *other)
{
    bool         stdout_a, stdout_b;
    struct stat  st;

    if (path == NULL || other == NULL) {
        return true;
    }

    stdout_a = strcmp(path, "-") == 0;
    stdout_b = strcmp(other, "-") == 0;

    if (stdout_a != stdout_b
        || (!stdout_a && (!is_same_place(path, other)
                          || (stat(path, &st) == 0 && S_ISCHR(st.st_mode)))))
    {
        return true;
    }

    tool_error("cannot write '%s' and '%s': they are the same file", path,
               other);

    return false;
}

bool
tool_output_is_no_log(const char *path, const char *log_dir)
{
    char         *copy, *name;
    bool          in_log;
    struct stat   x, y;

    if (path == NULL || log_dir == NULL || strcmp(path, "-") == 0) {
        return true;
    }

    if (is_same_place(path, log_dir)) {
        tool_error("cannot write '%s': it is the folder of the event log",
                   path);
        return false;
    }

    copy = tool_strdup(path);               /* the calls may cut it */
    name = basename(copy);
    in_log = strncmp(name, "reco-", 5) == 0 && strstr(name, ".ndjson");
    free(copy);

    copy = tool_strdup(path);
    in_log = in_log && stat(dirname(copy), &x) == 0 && stat(log_dir, &y) == 0
             && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
    free(copy);

    if (in_log) {
        tool_error("cannot write '%s': it would be a part of the event log",
                   path);
    }

    return !in_log;
}

/* A device or a pipe is written to; only a file is replaced. */
static bool
open_in_place(tool_output_t *o)
{
    o->file = fopen(o->path, "we");
    if (o->file == NULL) {
        tool_errno("open", o->path);
        release(o);
        return false;
    }

    return true;
}

bool
tool_output_open(tool_output_t *o, const char *path)
{
    struct stat  st;

    memset(o, 0, sizeof(*o));
    if (path == NULL || strcmp(path, "-") == 0) {
        o->file = stdout;
        return true;
    }

    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        o->path = tool_strdup(path);
        return open_in_place(o);
    }

    return tool_output_replace(o, path);
}

bool
tool_output_replace(tool_output_t *o, const char *path)
{
    int           fd;
    reco_error_t  err;

    memset(o, 0, sizeof(*o));
    o->path = tool_strdup(path);
    o->temp = tool_alloc(RECO_PATH_MAX);
    o->temp[0] = '\0';
    tool_temp_remember(o->temp);

    if (reco_file_temp(path, o->temp, &fd, &err) != RECO_OK) {
        tool_error("%s", err.message);
        release(o);
        return false;
    }

    o->file = fdopen(fd, "w");
    if (o->file == NULL) {
        tool_errno("create", path);
        close(fd);
        unlink(o->temp);
        release(o);
        return false;
    }

    return true;
}

/* The rename itself must survive a crash too. */
static bool
sync_folder(const char *path)
{
    int    fd, rc = -1;
    char  *copy = tool_strdup(path);

    fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd != -1) {
        rc = fsync(fd);
        close(fd);
    }
    free(copy);

    return rc == 0;
}

/* A write that failed long ago left no errno; what the next one meets tells
 * why. The file is lost anyway. */
static bool
flush(FILE *file)
{
    if (!ferror(file)) {
        return fflush(file) == 0;
    }

    errno = 0;
    if (putc('\n', file) != EOF) {
        (void) fflush(file);
    }
    if (errno == 0) {
        errno = EIO;
    }

    return false;
}

bool
tool_output_commit(tool_output_t *o)
{
    int          e;
    bool         ok = flush(o->file);
    const char  *name = o->path ? o->path : "standard output";

    if (o->temp == NULL) {
        if (o->path != NULL && fclose(o->file) != 0) {
            ok = false;
        }
        if (!ok) {
            tool_errno("write", name);
        }
        release(o);
        return ok;
    }

    /* renamed while it is open, and so held: nobody takes it for a leftover.
     * What is synced cannot fail to be written when it is closed */
    ok = ok && fsync(fileno(o->file)) == 0 && rename(o->temp, o->path) == 0;
    e = errno;
    fclose(o->file);
    o->file = NULL;
    errno = e;

    if (!ok) {
        tool_errno("write", name);
        unlink(o->temp);
    } else if (!sync_folder(o->path)) {
        tool_errno("sync the folder of", name);
        ok = false;
    }
    release(o);

    return ok;
}

void
tool_output_abandon(tool_output_t *o)
{
    if (o->file != NULL && o->file != stdout) {
        fclose(o->file);
    }
    if (o->temp != NULL) {
        unlink(o->temp);
    }
    release(o);
}
