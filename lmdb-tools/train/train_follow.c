/*
 * train_follow.c - cycles of read, settle, learn and publish (train_follow.h).
 * Owns the ledger and its tails from train_follow()'s begin to its end.
 */

#include "train_follow.h"

#include "degenerate.h"
#include "published.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RETRY_MAX_MS    60000
#define SAY_AGAIN_MS    60000       /* what lasts */

/* Milliseconds that the steps of a cycle took. */
typedef struct {
    double  read, settle, learn, publish;
} times_t;

typedef struct {
    const follow_options_t  *f;
    train_options_t          options;
    const model_file_t      *model;
    const reco_snapshot_t   *base;
    char                    *name;          /* the model's */
    generations_t            generations;   /* of models_path */

    ledger_t                *ledger;
    ledger_tail_t          **tails;
    ledger_taken_t           done;          /* what was published, or refused,
                                               last */
    uint64_t                 end_ms;        /* of the log, at the last cycle */
    sigset_t                 signals;

    int                      lock;
    char                     next[PUBLISHED_PATH];  /* in the making */
    char                     names[PUBLISHED_PATH]; /* of the published ones */
    char                   **published;     /* their files, oldest first */
    size_t                   npublished;

    reco_manifest_t          current;       /* generation 0: none */
    reco_snapshot_t         *served;        /* it, or NULL */
    char                     served_file[PUBLISHED_PATH];

    uint64_t                 cycles;        /* that published */
    uint64_t                 failures;      /* in a row */
    times_t                  times;
} follow_t;

typedef enum { CYCLE_IDLE, CYCLE_PUBLISHED, CYCLE_FAILED } cycle_t;

static double
clock_ms(void)
{
    struct timespec  t;

    clock_gettime(CLOCK_MONOTONIC, &t);

    return (double) t.tv_sec * 1e3 + (double) t.tv_nsec / 1e6;
}

static double
lap(double *since)
{
    double  now = clock_ms(), ms = now - *since;

    *since = now;

    return ms;
}

/* ---- the folder --------------------------------------------------------- */

static void
note_published(follow_t *t, const char *file)
{
    t->published = tool_realloc(t->published, (t->npublished + 1)
                                              * sizeof(*t->published));
    t->published[t->npublished++] = tool_strdup(file);
}

/* The names that an earlier follower left, those that are still there. */
static void
read_names(follow_t *t)
{
    char    line[RECO_MAX_ID + 64], path[PUBLISHED_PATH];
    FILE   *file = fopen(t->names, "re");

    if (file == NULL) {
        return;
    }

    while (fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = '\0';

        if (line[0] != '\0' && strchr(line, '/') == NULL
            && (size_t) snprintf(path, sizeof(path), "%s/%s", t->f->dir, line)
               < sizeof(path)
            && access(path, F_OK) == 0)
        {
            note_published(t, line);
        }
    }

    fclose(file);
}

/* Whole, and renamed into its place; that it may be lost with the machine's
 * power costs no more than files that stay. */
static void
write_names(const follow_t *t)
{
    bool     ok;
    char     temp[PUBLISHED_PATH + 8];
    FILE    *file;
    size_t   i;

    snprintf(temp, sizeof(temp), "%s.new", t->names);
    file = fopen(temp, "we");
    ok = file != NULL;

    for (i = 0; ok && i < t->npublished; i++) {
        ok = fprintf(file, "%s\n", t->published[i]) > 0;
    }

    if (file && fclose(file) != 0) {
        ok = false;
    }

    if (!ok || rename(temp, t->names) != 0) {
        tool_errno("write", t->names);
    }
}

/* Servers that have one of them open keep it. */
static void
remove_old(follow_t *t)
{
    char    path[PUBLISHED_PATH];
    size_t  i, n;

    if (t->f->keep > 0 && t->npublished > t->f->keep) {
        n = t->npublished - t->f->keep;

        for (i = 0; i < n; i++) {
            snprintf(path, sizeof(path), "%s/%s", t->f->dir, t->published[i]);
            if (unlink(path) != 0 && errno != ENOENT) {
                tool_errno("remove", path);
            }
            free(t->published[i]);
        }

        t->npublished -= n;
        memmove(t->published, t->published + n,
                t->npublished * sizeof(*t->published));
    }

    write_names(t);
}

static bool
make_folder(const char *path)
{
    if (mkdir(path, 0777) != 0 && errno != EEXIST) {
        tool_errno("create", path);
        return false;
    }

    return true;
}

static bool
open_folder(follow_t *t)
{
    char  work[PUBLISHED_PATH - 16], path[PUBLISHED_PATH];

    if ((size_t) snprintf(work, sizeof(work), "%s/.follow", t->f->dir)
        >= sizeof(work))
    {
        tool_error("'%s': path is too long", t->f->dir);
        return false;
    }

    snprintf(path, sizeof(path), "%s/lock", work);
    snprintf(t->next, sizeof(t->next), "%s/next.mdb", work);
    snprintf(t->names, sizeof(t->names), "%s/published", work);

    if (!make_folder(t->f->dir) || !make_folder(work)) {
        return false;
    }

    t->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (t->lock == -1) {
        tool_errno("open", path);
        return false;
    }

    if (flock(t->lock, LOCK_EX | LOCK_NB) != 0) {
        tool_error("'%s': another `reco train --follow` publishes there",
                   t->f->dir);
        return false;
    }

    read_names(t);

    return true;
}

/* What a killed follower left of the snapshot in the making. */
static void
clean_folder(const follow_t *t)
{
    DIR            *d;
    char            path[PUBLISHED_PATH];
    size_t          len;
    const char     *name = strrchr(t->next, '/') + 1;
    struct dirent  *entry;

    snprintf(path, sizeof(path), "%.*s", (int) (name - t->next), t->next);
    d = opendir(path);
    len = strlen(name);

    while (d && (entry = readdir(d)) != NULL) {
        if (strncmp(entry->d_name, name, len) == 0) {
            (void) unlinkat(dirfd(d), entry->d_name, 0);
        }
    }

    if (d) {
        closedir(d);
    }
}

/* ---- a cycle ------------------------------------------------------------ */

static void
close_logs(follow_t *t)
{
    uint32_t  i;

    for (i = 0; t->tails && i < t->f->nlogs; i++) {
        ledger_tail_close(t->tails[i]);
    }

    free(t->tails);
    ledger_free(t->ledger);
    t->tails = NULL;
    t->ledger = NULL;
}

/* From their beginning, in place of what was read before. When one cannot be
 * opened all stays as it was. */
static bool
open_logs(follow_t *t)
{
    uint32_t  i;
    follow_t  new = { .f = t->f, .ledger = ledger_new() };

    new.tails = tool_alloc(t->f->nlogs * sizeof(*new.tails));
    memset(new.tails, 0, t->f->nlogs * sizeof(*new.tails));

    for (i = 0; i < t->f->nlogs; i++) {
        new.tails[i] = ledger_tail_open(new.ledger, t->f->logs[i]);
        if (new.tails[i] == NULL) {
            close_logs(&new);
            return false;
        }
    }

    close_logs(t);
    t->ledger = new.ledger;
    t->tails = new.tails;
    memset(&t->done, 0, sizeof(t->done));

    return true;
}

/* One that cannot be read has said so; the others are read nevertheless. */
static void
read_logs(follow_t *t)
{
    uint32_t  i;

    for (i = 0; i < t->f->nlogs; i++) {
        (void) ledger_tail_read(t->tails[i]);
    }
}

static uint64_t
log_end_ms(const follow_t *t)
{
    uint64_t  now = tool_now_ms(), end = ledger_newest_ms(t->ledger);

    return end < now ? end : now;
}

/* What a window has left behind comes back only with a new ledger; so when a
 * clock was set, the log's or ours, all is read again. */
static bool
follow_clocks(follow_t *t)
{
    uint64_t  end = log_end_ms(t);

    if (t->f->window_ms > 0
        && (ledger_has_stepped(t->ledger)
            || end + LEDGER_CLOCK_STEP_MS < t->end_ms))
    {
        if (!open_logs(t)) {
            return false;
        }
        tool_warn("a clock was set: the log is read again from its beginning");
        read_logs(t);
        end = log_end_ms(t);
    }

    t->end_ms = end;

    return true;
}

static bool
is_new(const follow_t *t)
{
    ledger_taken_t  now = ledger_taken(t->ledger, t->name);

    return now.decisions > 0 && (now.decisions != t->done.decisions
                                 || now.rewards != t->done.rewards);
}

static bool
settle(follow_t *t)
{
    ledger_options_t  options = {
        .model = t->name, .reward = &t->model->model->reward,
        .as_of_ms = tool_now_ms(), .live = true, .newest = true,
        .episode_gap_ms = t->model->model->learning.episode_gap_ms,
    };

    if (t->f->window_ms > 0 && t->end_ms > t->f->window_ms) {
        ledger_forget(t->ledger, t->end_ms - t->f->window_ms);
    }

    return !ledger_is_empty(t->ledger, t->name)
           && ledger_close(t->ledger, &options) && t->ledger->n > 0;
}

static void
close_served(follow_t *t)
{
    reco_snapshot_close(t->served);
    t->served = NULL;
    t->served_file[0] = '\0';
}

static bool
is_own(const follow_t *t, const char *file)
{
    return t->cycles > 0 && t->npublished > 0
           && strcmp(t->published[t->npublished - 1], file) == 0;
}

/* The current generation, whoever published it. One that cannot be read is no
 * reason to keep it. */
static bool
open_served(follow_t *t)
{
    char           path[PUBLISHED_PATH];
    reco_error_t   err;
    reco_status_t  status = reco_manifest_read(t->f->dir, &t->current, &err);

    if (status == RECO_NOT_FOUND) {
        memset(&t->current, 0, sizeof(t->current));
        close_served(t);
        return true;
    }

    if (status != RECO_OK) {
        tool_fail(t->f->dir, &err);
        return false;
    }

    if (strcmp(t->current.file, t->served_file) == 0) {
        return true;
    }

    close_served(t);
    snprintf(t->served_file, sizeof(t->served_file), "%s", t->current.file);
    snprintf(path, sizeof(path), "%s/%s", t->f->dir, t->current.file);

    if ((!is_own(t, t->current.file) && !published_is_sound(path, &err))
        || reco_snapshot_open(path, NULL, &t->served, &err) != RECO_OK)
    {
        tool_warn("%s: %s", path, err.message);
        t->served = NULL;
    }

    return true;
}

static bool
learn(follow_t *t, json_t **facts)
{
    bool  ok;

    t->options.before = t->served
                        && reco_str_equal(reco_snapshot_model(t->served)->name,
                                          t->model->model->name)
                        ? t->served : NULL;

    if (t->f->models_path) {
        memset(&t->generations, 0, sizeof(t->generations));
        ok = generations_open(&t->generations, t->f->models_path);
        t->options.generations = &t->generations;
    } else {
        ok = true;
    }

    ok = ok && train_model(&t->options, t->ledger, t->model, t->base, t->next,
                           facts);

    if (t->f->models_path) {
        generations_close(&t->generations);
        t->options.generations = NULL;
    }

    return ok;
}

/* What `reco publish` would refuse. The same records would only be refused
 * again: it waits for new ones. */
static bool
is_degenerate(follow_t *t, ledger_taken_t taken)
{
    bool              ok;
    size_t            i;
    json_t           *reason, *reasons = json_array();
    reco_error_t      err;
    reco_snapshot_t  *next = NULL;

    if (reco_snapshot_open(t->next, NULL, &next, &err) != RECO_OK) {
        tool_fail(t->next, &err);
        json_decref(reasons);
        return true;
    }

    ok = degenerate_reasons(next, t->next, t->served, reasons);
    reco_snapshot_close(next);

    json_array_foreach(reasons, i, reason) {
        tool_error("%s: refused: %s", t->f->dir, json_string_value(reason));
        t->done = taken;
        ok = false;
    }

    json_decref(reasons);

    return !ok;
}

static bool
publish(follow_t *t, reco_manifest_t *m)
{
    reco_error_t  err;

    if (reco_publish(t->f->dir, t->next, t->current.generation, tool_now_ms(),
                     m, &err) != RECO_OK)
    {
        tool_fail(t->f->dir, &err);
        return false;
    }

    note_published(t, m->file);
    remove_old(t);

    return true;
}

static uint64_t
open_decisions(const follow_t *t)
{
    size_t           i;
    uint64_t         n = 0;
    const ledger_t  *l = t->ledger;
    const uint64_t   closing = ledger_closing_ms(&t->model->model->reward);

    for (i = l->n; i > 0 && l->decisions[i - 1]->time_ms + closing
                            > l->as_of_ms; i--)
    {
        n++;
    }

    return n;
}

static void
print(const follow_t *t, const reco_manifest_t *m, json_t *facts)
{
    json_t              *line, *states = json_object_get(facts, "states");
    unsigned long long   open = (unsigned long long) open_decisions(t);

    if (states == NULL) {
        states = json_object_get(json_object_get(facts, "table"), "states");
    }

    if (t->f->json) {
        line = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:s, "
                         "s:{s:f, s:f, s:f, s:f}}",
            "generation", (json_int_t) m->generation,
            "records", (json_int_t) t->ledger->counts.records,
            "decisions", (json_int_t) t->ledger->n,
            "open", (json_int_t) open,
            "rewards", (json_int_t) t->ledger->private->nrewards,
            "states", json_integer_value(states), "file", m->file,
            "ms", "read", t->times.read, "settle", t->times.settle,
            "learn", t->times.learn, "publish", t->times.publish);
        tool_print_json(line);

    } else {
        printf("generation %llu: %llu records, %zu decisions (%llu open), "
               "%lld states; read %.1f ms, settled %.1f ms, learned %.1f ms, "
               "published %.1f ms\n", (unsigned long long) m->generation,
               (unsigned long long) t->ledger->counts.records, t->ledger->n,
               open, (long long) json_integer_value(states), t->times.read,
               t->times.settle, t->times.learn, t->times.publish);
    }

    fflush(stdout);
}

static cycle_t
cycle(follow_t *t)
{
    bool             ok;
    double           since = clock_ms();
    json_t          *facts = NULL;
    ledger_taken_t   taken;
    reco_manifest_t  m;

    read_logs(t);

    if (!follow_clocks(t) || !is_new(t)) {
        return CYCLE_IDLE;
    }

    t->times.read = lap(&since);
    taken = ledger_taken(t->ledger, t->name);

    if (!settle(t)) {
        return CYCLE_IDLE;
    }

    t->times.settle = lap(&since);
    ok = open_served(t) && learn(t, &facts);
    t->times.learn = lap(&since);

    if (ok) {
        ok = !is_degenerate(t, taken) && publish(t, &m);
        t->times.publish = lap(&since);
    }

    (void) unlink(t->next);

    if (ok) {
        t->done = taken;
        t->cycles++;
        print(t, &m, facts);
    }

    json_decref(facts);

    return ok ? CYCLE_PUBLISHED : CYCLE_FAILED;
}

/* ---- all of it ---------------------------------------------------------- */

/* Waits; false when a signal asked for the end. */
static bool
wait_ms(const follow_t *t, double ms)
{
    int              signal;
    struct timespec  timeout;

    ms = ms < 0 ? 0 : ms;
    timeout.tv_sec = (time_t) (ms / 1e3);
    timeout.tv_nsec = (long) ((ms - (double) timeout.tv_sec * 1e3) * 1e6);

    do {
        signal = sigtimedwait(&t->signals, NULL, &timeout);
    } while (signal == -1 && errno == EINTR);

    return signal == -1;
}

/* The next cycle begins 'every' after this one did; after failures later and
 * later. */
static double
pause_ms(const follow_t *t, double since)
{
    double    ms = (double) t->f->every_ms;
    uint64_t  i;

    for (i = 0; i < t->failures && ms < RETRY_MAX_MS; i++) {
        ms *= 2;
    }

    if (t->failures > 0 && ms > RETRY_MAX_MS) {
        ms = RETRY_MAX_MS;
    }

    return ms - (clock_ms() - since);
}

static void
run(follow_t *t)
{
    double  since;

    do {
        since = clock_ms();

        switch (cycle(t)) {
        case CYCLE_FAILED:
            t->failures++;
            break;
        case CYCLE_PUBLISHED:
            t->failures = 0;
            if (t->cycles == t->f->generations) {
                return;
            }
            break;
        case CYCLE_IDLE:
            break;
        }

    } while (wait_ms(t, pause_ms(t, since)));
}

static void
end(follow_t *t)
{
    size_t  i;

    for (i = 0; i < t->npublished; i++) {
        free(t->published[i]);
    }

    close_logs(t);
    free(t->published);
    close_served(t);
    free(t->name);

    if (t->lock != -1) {
        close(t->lock);
    }
}

bool
train_follow(const follow_options_t *f, const train_options_t *o,
    const model_file_t *model, const reco_snapshot_t *base)
{
    bool      ok;
    follow_t  t = { .f = f, .options = *o, .model = model, .base = base,
                    .lock = -1 };

    if (f->window_ms > 0
        && f->window_ms < ledger_closing_ms(&model->model->reward))
    {
        tool_warn("the window is shorter than a decision is open: none of "
                  "them closes");
    }

    tool_say_again_after(SAY_AGAIN_MS);
    sigemptyset(&t.signals);
    sigaddset(&t.signals, SIGINT);
    sigaddset(&t.signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &t.signals, NULL);

    t.name = tool_dup(model->model->name);
    ok = open_logs(&t) && open_folder(&t);

    if (ok) {
        clean_folder(&t);
        run(&t);
    }

    end(&t);

    return ok;
}
