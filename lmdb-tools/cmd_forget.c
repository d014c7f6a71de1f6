/*
 * cmd_forget.c - `reco forget`: takes a customer out of event logs and out of
 * the next snapshot, or proves that they are in none; or removes the segments
 * of a log that are older than an age.
 */

#include "forget.h"
#include "models.h"
#include "reco_segment.h"
#include "reco_spec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define uthash_malloc(size)         tool_alloc(size)
#define uthash_free(pointer, size)  free(pointer)
#include <uthash.h>

#define MAX_LOGS  256

/* A segment that was read for what there is, and how often (there may be
 * copies) it is still to be met. */
typedef struct {
    int             n;
    UT_hash_handle  hh;
    char            name[];
} seen_t;

typedef struct {
    const char       *customer;
    const char       *logs[MAX_LOGS];
    uint32_t          nlogs;
    const char       *base_path;
    const char       *out;
    const char       *secret_path;
    uint64_t          older_ms;         /* 0: by customer */
    bool              dry_run;
    bool              json;

    forget_t          who;
    reco_secret_t    *secret;
    char              hashed[32];
    model_file_t      base;

    forget_counts_t   found;            /* in all segments */
    forget_counts_t   removed;
    forget_found_t    snapshot;
    uint64_t          segments;
    uint64_t          rewritten;
    uint64_t          bytes;            /* of segments removed for their age */
    uint64_t          undated;          /* segments without a record's time */
    uint64_t          held;             /* segments that others have in use */
    uint64_t          copies;           /* files that may have records as well */
    seen_t           *seen;
    uint64_t          moved;            /* segments that came or went meanwhile */
} cmd_t;

/* ---- options ------------------------------------------------------------ */

enum { OPT_LOG = 256, OPT_BASE, OPT_OUT, OPT_SECRET, OPT_OLDER, OPT_DRY,
       OPT_JSON };

static const struct argp_option  options[] = {
    { "log", OPT_LOG, "DIR", 0,
      "a folder of event-log segments, or one segment (may be given several "
      "times)", 0 },
    { "base", OPT_BASE, "SNAPSHOT", 0,
      "look into this snapshot (of a folder: the current one)", 0 },
    { "out", OPT_OUT, "NEXT", 0,
      "write --base without the customer to this file", 0 },
    { "secret", OPT_SECRET, "FILE", 0,
      "the servers' secret: customers are known by a keyed hash", 0 },
    { "older-than", OPT_OLDER, "AGE", 0,
      "instead of a customer: remove closed segments whose newest record is "
      "older, such as 90d", 0 },
    { "dry-run", OPT_DRY, NULL, 0, "look only, change nothing", 0 },
    { "json", OPT_JSON, NULL, 0, "print the outcome as JSON", 0 },
    { 0 }
};

static void
check_options(const cmd_t *c, struct argp_state *state)
{
    if ((c->customer == NULL) == (c->older_ms == 0)) {
        argp_error(state, "a CUSTOMER or --older-than is needed, not both");
    }
    if (c->older_ms > 0 && (c->base_path || c->out || c->secret_path)) {
        argp_error(state, "--older-than goes with --log only");
    }
    if (c->nlogs == 0 && (c->older_ms > 0 || c->base_path == NULL)) {
        argp_error(state, "--log is needed");
    }
    if (c->out && c->base_path == NULL) {
        argp_error(state, "--out goes with --base");
    }
    if (c->customer && !reco_id_is_valid(tool_str(c->customer))) {
        argp_error(state, "CUSTOMER must have 1 to 255 bytes and no control "
                   "characters");
    }
}

static error_t
on_option(int key, char *arg, struct argp_state *state)
{
    cmd_t  *c = state->input;

    switch (key) {
    case OPT_LOG:
        if (c->nlogs == MAX_LOGS) {
            argp_error(state, "more than %d times --log", MAX_LOGS);
        }
        c->logs[c->nlogs++] = arg;
        return 0;
    case OPT_BASE:
        c->base_path = arg;
        return 0;
    case OPT_OUT:
        c->out = arg;
        return 0;
    case OPT_SECRET:
        c->secret_path = arg;
        return 0;
    case OPT_OLDER:
        if (!reco_duration_parse(tool_str(arg), &c->older_ms)
            || c->older_ms == 0)
        {
            argp_error(state, "--older-than: '%s' is not a duration such as "
                       "90d", arg);
        }
        return 0;
    case OPT_DRY:
        c->dry_run = true;
        return 0;
    case OPT_JSON:
        c->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0) {
            argp_error(state, "one CUSTOMER only");
        }
        c->customer = arg;
        return 0;
    case ARGP_KEY_END:
        check_options(c, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp  argp = {
    options, on_option, "[CUSTOMER]",
    "Takes a customer out of event logs and of the next snapshot, or proves "
    "that they are in none.\v"
    "Exit status 1 while there is still something of the customer, or that "
    "cannot be told.", NULL, NULL, NULL
};

/* ---- all segments ------------------------------------------------------- */

typedef bool (*segment_pt)(cmd_t *c, forget_segment_t *segment);

static bool
each_of_log(cmd_t *c, const char *path, segment_pt visit)
{
    bool          ok;
    size_t        k;
    forget_log_t  log;

    ok = forget_list(&log, path);

    for (k = 0; ok && k < log.n; k++) {
        ok = visit(c, &log.list[k]);
    }
    forget_list_free(&log);

    return ok;
}

static bool
each_segment(cmd_t *c, segment_pt visit)
{
    bool      ok = true;
    uint32_t  i;

    for (i = 0; ok && i < c->nlogs; i++) {
        ok = each_of_log(c, c->logs[i], visit);
    }

    return ok;
}

/* What killed writers and a killed run left. */
static bool
recover(const cmd_t *c)
{
    uint32_t         i;
    struct stat      st;
    reco_error_t     err;
    reco_recovery_t  recovery;

    for (i = 0; i < c->nlogs; i++) {
        if (stat(c->logs[i], &st) != 0 || !S_ISDIR(st.st_mode)) {
            continue;
        }

        if (reco_segment_recover(c->logs[i], &recovery, &err) != RECO_OK) {
            tool_fail(c->logs[i], &err);
            return false;
        }

        if (!forget_clean(c->logs[i])) {
            return false;
        }
    }

    return true;
}

/* ---- a customer --------------------------------------------------------- */

/* Under a secret also what was logged before there was one. */
static bool
who(cmd_t *c)
{
    reco_str_t  id = tool_str(c->customer);

    if (!model_read_secret(c->secret_path, &c->secret)) {
        return false;
    }

    c->who.keys[c->who.nkeys++] = id;

    if (c->secret) {
        c->who.keys[c->who.nkeys++] = reco_customer_key(c->secret, id,
                                                        c->hashed);
    }

    return true;
}

static bool
out_is_apart(const cmd_t *c)
{
    uint32_t  i;

    for (i = 0; i < c->nlogs; i++) {
        if (!tool_output_is_not(c->out, c->logs[i])
            || !tool_output_is_no_log(c->out, c->logs[i]))
        {
            return false;
        }
    }

    return tool_output_is_not(c->out, c->base_path)
           && tool_output_is_not(c->out, c->secret_path);
}

static bool
open_base(cmd_t *c)
{
    const reco_snapshot_info_t  *info;

    if (c->base_path == NULL) {
        return true;
    }

    if (!out_is_apart(c)
        || !model_file_open(&c->base, c->base_path, c->secret))
    {
        return false;
    }

    if (c->base.snapshot == NULL) {
        tool_error("%s: is a spec, not a snapshot", c->base_path);
        return false;
    }

    info = reco_snapshot_info(c->base.snapshot);

    if (info->hash_key[0] != '\0' && c->secret == NULL
        && !forget_is_hash(c->who.keys[0]))
    {
        tool_error("%s: its customers' ids are hashed; --secret is needed",
                   c->base_path);
        return false;
    }

    return forget_learn_snapshot(&c->who, c->base.snapshot);
}

/* By the name it has when it is closed, in whichever folder. */
static seen_t *
seen(cmd_t *c, const forget_segment_t *segment)
{
    size_t       len;
    seen_t      *s;
    const char  *slash = strrchr(segment->path, '/');
    const char  *name = slash ? slash + 1 : segment->path;

    len = strlen(name) - (segment->live ? strlen(".open") : 0);
    HASH_FIND(hh, c->seen, name, len, s);

    if (s == NULL) {
        s = tool_alloc(sizeof(*s) + len + 1);
        memcpy(s->name, name, len);
        HASH_ADD(hh, c->seen, name[0], len, s);
    }

    return s;
}

/* One that was moved from a log not yet looked at to one that was is in
 * neither. */
static void
name_moved(cmd_t *c, bool whole)
{
    seen_t  *s, *next;

    HASH_ITER(hh, c->seen, s, next) {
        /* HASH_ITER has set it */
        /* cppcheck-suppress uninitvar */
        if (whole && s->n > 0) {
            tool_warn("'%s' went while this ran: run it again, with where it "
                      "is now", s->name);
            c->moved++;
        }
        HASH_DEL(c->seen, s);
        free(s);
    }
}

static bool
learn(cmd_t *c, forget_segment_t *segment)
{
    c->segments++;

    if (!forget_learn(&c->who, segment)) {
        return false;
    }

    /* an empty one goes when it is closed */
    seen(c, segment)->n += segment->used;

    return true;
}

/* A plain id is not found among keyed hashes, which would prove nothing. */
static bool
is_in_their_words(const cmd_t *c)
{
    if (c->secret == NULL && c->who.hashed > 0 && c->who.plain == 0
        && !forget_is_hash(c->who.keys[0]))
    {
        tool_error("the log's customer ids look hashed; --secret is needed");
        return false;
    }

    return true;
}

static void
name_unreadable(const forget_segment_t *segment, uint64_t n)
{
    tool_warn("'%s': %llu lines are no records: whose they are cannot be told",
              segment->path, (unsigned long long) n);
}

static void
name_open(const forget_segment_t *segment, uint64_t n)
{
    tool_warn("'%s' has %llu records of theirs and is being written: close it "
              "(kill -USR1 of nginx's master process does) and run this again",
              segment->path, (unsigned long long) n);
}

/* What came after decisions were learned may have some that are not known, and
 * so may their rewards elsewhere. */
static void
meet(cmd_t *c, seen_t *s, const forget_segment_t *segment, uint64_t theirs)
{
    if (s->n > 0) {
        s->n--;

    } else if (theirs > 0) {
        tool_warn("'%s' came while this ran: run it again", segment->path);
        c->moved++;
    }
}

static bool
rewrite(cmd_t *c, seen_t *s, const char *path, const forget_counts_t *has)
{
    forget_counts_t  gone;

    if (!forget_rewrite(&c->who, path, &gone)) {
        return false;
    }

    if (gone.gone) {
        s->n++;
        return true;
    }

    /* also where another run was faster, and there was none left */
    c->removed.decisions += has->decisions;
    c->removed.rewards += has->rewards;
    c->rewritten++;

    return true;
}

static bool
take_out(cmd_t *c, forget_segment_t *segment)
{
    seen_t          *s;
    uint64_t         n;
    forget_counts_t  has;

    if (!forget_count(&c->who, segment, &has)) {
        return false;
    }

    if (segment->gone) {
        return true;
    }

    s = seen(c, segment);
    n = has.decisions + has.rewards;
    meet(c, s, segment, n);

    c->found.decisions += has.decisions;
    c->found.rewards += has.rewards;
    c->found.unreadable += has.unreadable;

    if (has.unreadable > 0) {
        name_unreadable(segment, has.unreadable);
    }

    if (n > 0 && segment->live) {
        name_open(segment, n);

    } else if (n > 0 && !c->dry_run) {
        return rewrite(c, s, segment->path, &has);
    }

    return true;
}

static uint64_t
left(const cmd_t *c)
{
    bool  written = c->out && !c->dry_run;

    return c->found.decisions - c->removed.decisions
           + c->found.rewards - c->removed.rewards
           + (written ? 0 : c->snapshot.customers + c->snapshot.history);
}

static bool
is_absent(const cmd_t *c)
{
    return left(c) == 0 && c->found.unreadable == 0 && c->copies == 0
           && c->moved == 0;
}

static void
print_line(const char *name, uint64_t n)
{
    printf("%-20s %llu\n", name, (unsigned long long) n);
}

static void
print_customer(const cmd_t *c)
{
    if (c->json) {
        tool_print_json(json_pack(
            "{s:{s:I, s:I, s:I, s:I}, s:I, s:I, s:I, s:I, s:I, s:b, s:b}",
            "found",
            "decisions", (json_int_t) c->found.decisions,
            "rewards", (json_int_t) c->found.rewards,
            "customers", (json_int_t) c->snapshot.customers,
            "history", (json_int_t) c->snapshot.history,
            "left", (json_int_t) left(c),
            "unreadable", (json_int_t) c->found.unreadable,
            "segments", (json_int_t) c->segments,
            "rewritten", (json_int_t) c->rewritten,
            "moved", (json_int_t) c->moved,
            "dry_run", c->dry_run,
            "absent", is_absent(c)));
        return;
    }

    print_line("segments", c->segments);
    print_line("found: decisions", c->found.decisions);
    print_line("found: rewards", c->found.rewards);

    if (c->base.snapshot) {
        print_line("found: customers", c->snapshot.customers);
        print_line("found: history", c->snapshot.history);
    }

    print_line("segments rewritten", c->rewritten);
    print_line("left", left(c));
    print_line("lines unreadable", c->found.unreadable);
}

static bool
forget_customer(cmd_t *c)
{
    uint32_t  i;
    bool      ok = who(c) && open_base(c) && (c->dry_run || recover(c))
                   && each_segment(c, learn) && is_in_their_words(c)
                   && each_segment(c, take_out);

    name_moved(c, ok);

    if (ok && c->base.snapshot) {
        ok = forget_snapshot(&c->who, c->base.snapshot,
                             c->dry_run ? NULL : c->out, &c->snapshot);
    }

    if (ok) {
        for (i = 0; i < c->nlogs; i++) {
            c->copies += forget_copies(c->logs[i]);
        }

        print_customer(c);
        ok = is_absent(c);
    }

    model_file_close(&c->base);
    reco_secret_free(c->secret);
    forget_free(&c->who);

    return ok;
}

/* ---- by age ------------------------------------------------------------- */

/* One that is held is not waited for: who removes for room waits for us, and a
 * program that hangs must not fill the disk. */
static bool
remove_segment(cmd_t *c, const char *path)
{
    int          fd = -1;
    bool         ok;
    struct stat  st;

    if (c->dry_run) {
        ok = stat(path, &st) == 0;
    } else {
        fd = forget_lock(path, false);
        ok = fd != -1 && fstat(fd, &st) == 0 && unlink(path) == 0;
    }

    if (fd != -1) {
        close(fd);
    }

    if (!ok && errno == ENOENT) {
        return true;
    }
    if (!ok && errno == EWOULDBLOCK) {
        tool_warn("'%s' is held by another program: it stays", path);
        c->held++;
        return true;
    }
    if (!ok) {
        tool_errno("remove", path);
        return false;
    }

    c->rewritten++;
    c->bytes += (uint64_t) st.st_size;

    return true;
}

/* Open ones are their writer's, or are recovered first. */
static bool
age(cmd_t *c, forget_segment_t *segment)
{
    uint64_t         now = tool_now_ms();
    forget_counts_t  has;

    c->segments++;

    if (segment->live) {
        return true;
    }

    if (!forget_count(&c->who, segment, &has)) {
        return false;
    }

    if (segment->gone) {
        return true;
    }

    if (has.newest_ms == 0) {
        tool_warn("'%s' has no record that says its age: it stays",
                  segment->path);
        c->undated++;
        return true;
    }

    return has.newest_ms >= now || now - has.newest_ms <= c->older_ms
           || remove_segment(c, segment->path);
}

/* A server that removes by age or for room waits, or is waited for. */
static bool
age_log(cmd_t *c, const char *path)
{
    int       lock = -1;
    bool      ok;
    uint64_t  before = c->rewritten;

    if (!c->dry_run && !forget_lock_folder(path, &lock)) {
        return false;
    }

    ok = each_of_log(c, path, age);

    if (c->rewritten > before && !c->dry_run && !forget_sync_folder(path)) {
        ok = false;
    }

    if (lock != -1) {
        close(lock);
    }

    return ok;
}

static bool
forget_old(cmd_t *c)
{
    uint32_t  i;

    if (!c->dry_run && !recover(c)) {
        return false;
    }

    for (i = 0; i < c->nlogs; i++) {
        if (!age_log(c, c->logs[i])) {
            return false;
        }
    }

    if (c->json) {
        tool_print_json(json_pack("{s:I, s:I, s:I, s:I, s:I, s:b}",
            "segments", (json_int_t) c->segments,
            "removed", (json_int_t) c->rewritten,
            "bytes", (json_int_t) c->bytes,
            "undated", (json_int_t) c->undated,
            "held", (json_int_t) c->held, "dry_run", c->dry_run));
    } else {
        print_line("segments", c->segments);
        print_line("removed", c->rewritten);
        print_line("bytes", c->bytes);
    }

    return c->undated == 0 && c->held == 0;
}

int
cmd_forget(int argc, char **argv)
{
    bool    ok;
    cmd_t  *c = tool_alloc(sizeof(*c));

    memset(c, 0, sizeof(*c));
    tool_parse(&argp, "forget", argc, argv, c);
    ok = c->customer ? forget_customer(c) : forget_old(c);
    free(c);

    return ok ? 0 : 1;
}
