/*
 * published.c - finds and checks snapshots for inspect, verify, publish and
 * rollback; keeps nothing open.
 */

#include "published.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define CHECK_SECONDS  5
#define CHECK_RATE     (256 * 1024)     /* bytes a second */

static bool
join(char path[PUBLISHED_PATH], const char *dir, const char *name)
{
    if ((size_t) snprintf(path, PUBLISHED_PATH, "%s/%s", dir, name)
        >= PUBLISHED_PATH)
    {
        tool_error("cannot open '%s': the path is too long", dir);
        return false;
    }

    return true;
}

bool
published_find(const char *path, published_t *out)
{
    struct stat   st;
    reco_error_t  err;

    memset(out, 0, sizeof(*out));
    if (stat(path, &st) != 0) {
        tool_errno("open", path);
        return false;
    }

    if (!S_ISDIR(st.st_mode)) {
        if (strlen(path) >= sizeof(out->path)) {
            tool_error("cannot open '%s': the path is too long", path);
            return false;
        }
        strcpy(out->path, path);
        return true;
    }

    switch (reco_manifest_read(path, &out->manifest, &err)) {
    case RECO_OK:
        out->is_folder = true;
        return join(out->path, path, out->manifest.file);
    case RECO_NOT_FOUND:
        tool_error("%s: nothing is published there", path);
        return false;
    default:
        tool_fail(path, &err);
        return false;
    }
}

/* The generation of a snapshot, or 0. */
static uint64_t
generation_of(const char *path)
{
    uint64_t          generation;
    struct stat       st;
    reco_error_t      err;
    reco_snapshot_t  *s;

    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)
        || !published_opens(path, &err)
        || reco_snapshot_open(path, NULL, &s, &err) != RECO_OK)
    {
        return 0;
    }
    generation = reco_snapshot_info(s)->generation;
    reco_snapshot_close(s);

    return generation;
}

bool
published_generation(const char *dir, uint64_t generation,
    char path[PUBLISHED_PATH])
{
    DIR            *d = opendir(dir);
    bool            found = false;
    struct dirent  *entry;

    if (d == NULL) {
        tool_errno("open", dir);
        return false;
    }

    while (!found && (entry = readdir(d)) != NULL) {
        if (entry->d_name[0] != '.' && join(path, dir, entry->d_name)) {
            found = generation_of(path) == generation;
        }
    }
    closedir(d);

    if (!found) {
        tool_error("%s: generation %llu is not there", dir,
                   (unsigned long long) generation);
    }

    return found;
}

bool
published_matches(const published_t *p, reco_error_t *err)
{
    int            fd = open(p->path, O_RDONLY | O_CLOEXEC);
    uint8_t        sum[RECO_CHECKSUM_BYTES];
    uint64_t       size;
    reco_status_t  rc;

    if (fd == -1) {
        reco_error_set(err, RECO_IO, "", "cannot open: %s", strerror(errno));
        return false;
    }
    rc = reco_checksum_fd(fd, &size, sum, err);
    close(fd);

    if (rc == RECO_OK && size != p->manifest.size) {
        rc = reco_error_set(err, RECO_CORRUPT, "",
                            "has %llu bytes, the manifest says %llu",
                            (unsigned long long) size,
                            (unsigned long long) p->manifest.size);
    }
    if (rc == RECO_OK
        && memcmp(sum, p->manifest.checksum, sizeof(sum)) != 0)
    {
        rc = reco_error_set(err, RECO_CORRUPT, "",
                            "its checksum is not the manifest's");
    }

    return rc == RECO_OK;
}

/* LMDB may go in circles in a damaged file: the time that reading it may take
 * goes with its size, and is far beyond what it takes. */
static void
limit_time(const char *path)
{
    struct stat    st;
    struct rlimit  time;

    if (stat(path, &st) == 0 && getrlimit(RLIMIT_CPU, &time) == 0) {
        time.rlim_cur = CHECK_SECONDS + (rlim_t) st.st_size / CHECK_RATE;
        if (time.rlim_cur < time.rlim_max) {
            (void) setrlimit(RLIMIT_CPU, &time);
        }
    }
}

/* The child's part: the outcome goes through the pipe. */
static void
check_and_exit(const char *path, bool all, int to)
{
    int               null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    reco_error_t      err = { 0 };
    reco_snapshot_t  *s;

    if (null != -1) {
        dup2(null, STDERR_FILENO);  /* an assertion's words help nobody */
    }

    limit_time(path);

    /* the core says itself that there is no memory; exit() is the parent's */
    json_set_alloc_funcs(malloc, free);

    err.position = RECO_NO_POSITION;
    err.status = reco_snapshot_open(path, NULL, &s, &err);
    if (err.status == RECO_OK && all) {
        err.status = reco_snapshot_check(s, &err);
    }

    _exit(write(to, &err, sizeof(err)) == (ssize_t) sizeof(err) ? 0 : 1);
}

static bool
check(const char *path, bool all, reco_error_t *err)
{
    int      ends[2], status = 0;
    pid_t    pid;
    ssize_t  n;

    fflush(stdout);
    if (pipe2(ends, O_CLOEXEC) != 0) {
        reco_error_set(err, RECO_IO, "", "pipe: %s", strerror(errno));
        return false;
    }

    pid = fork();
    if (pid == 0) {
        check_and_exit(path, all, ends[1]);
    }

    if (pid == -1) {
        reco_error_set(err, RECO_IO, "", "it cannot be checked: fork: %s",
                       strerror(errno));
        close(ends[0]);
        close(ends[1]);
        return false;
    }

    close(ends[1]);
    n = read(ends[0], err, sizeof(*err));
    close(ends[0]);
    waitpid(pid, &status, 0);

    if (n == (ssize_t) sizeof(*err)) {
        return err->status == RECO_OK;
    }

    if (WIFSIGNALED(status)) {
        reco_error_set(err, RECO_CORRUPT, "", "reading it ends with signal %d "
                       "(%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    } else {
        reco_error_set(err, RECO_IO, "", "it could not be checked");
    }

    return false;
}

bool
published_is_sound(const char *path, reco_error_t *err)
{
    return check(path, true, err);
}

bool
published_opens(const char *path, reco_error_t *err)
{
    return check(path, false, err);
}

/* ---- content ------------------------------------------------------------ */

/* With its length, so that no two lists of texts look alike. */
static void
add_text(XXH3_state_t *sum, reco_str_t text)
{
    uint64_t  len = text.len;

    XXH3_128bits_update(sum, &len, sizeof(len));
    if (len > 0) {
        XXH3_128bits_update(sum, text.data, text.len);
    }
}

typedef struct {
    XXH3_state_t  *sum;
    uint32_t       nfields;
} content_t;

static bool
add_customer(void *data, reco_str_t key, const reco_customer_t *record)
{
    uint32_t      i;
    content_t    *c = data;
    reco_value_t  v;

    add_text(c->sum, key);

    for (i = 0; i < c->nfields; i++) {
        v = reco_customer_field(record, (int) i);
        XXH3_128bits_update(c->sum, &v.kind, sizeof(v.kind));

        if (v.kind == RECO_VALUE_NUMBER) {
            XXH3_128bits_update(c->sum, &v.number, sizeof(v.number));
        } else if (v.kind == RECO_VALUE_WORD) {
            add_text(c->sum, v.word);
        }
    }

    return true;
}

static bool
add_row(void *data, reco_str_t key, const reco_row_t *row)
{
    uint32_t      i;
    content_t    *c = data;
    reco_entry_t  e;

    add_text(c->sum, key);
    XXH3_128bits_update(c->sum, &row->visits, sizeof(row->visits));
    XXH3_128bits_update(c->sum, &row->n, sizeof(row->n));

    for (i = 0; i < row->n; i++) {
        e = reco_row_entry(row, i);
        XXH3_128bits_update(c->sum, &e.action, sizeof(e.action));
        XXH3_128bits_update(c->sum, &e.value, sizeof(e.value));
        XXH3_128bits_update(c->sum, &e.visits, sizeof(e.visits));
    }

    return true;
}

static void
add_head(XXH3_state_t *sum, const reco_snapshot_t *s)
{
    uint8_t                      active;
    uint32_t                     i;
    const reco_action_t         *a;
    const reco_catalogue_t      *c = &reco_snapshot_model(s)->catalogue;
    const reco_snapshot_info_t  *info = reco_snapshot_info(s);

    add_text(sum, tool_str(info->spec));
    add_text(sum, tool_str(info->training));
    add_text(sum, tool_str(info->hash_key));
    XXH3_128bits_update(sum, &info->built_ms, sizeof(info->built_ms));
    XXH3_128bits_update(sum, &info->customers, sizeof(info->customers));
    XXH3_128bits_update(sum, &info->states, sizeof(info->states));

    for (i = 0; i < info->ncustomer_fields; i++) {
        add_text(sum, info->customer_fields[i]);
    }

    for (i = 0; i < c->n; i++) {
        a = &c->actions[i];
        active = a->active;
        add_text(sum, a->id);
        add_text(sum, a->name);
        add_text(sum, a->category);
        XXH3_128bits_update(sum, &a->price, sizeof(a->price));
        XXH3_128bits_update(sum, &active, sizeof(active));
    }
}

bool
published_content(const char *path, uint8_t sum[RECO_CHECKSUM_BYTES])
{
    content_t            c;
    reco_error_t         err;
    reco_snapshot_t     *s;
    XXH128_canonical_t   canonical;

    if (reco_snapshot_open(path, NULL, &s, &err) != RECO_OK) {
        tool_fail(path, &err);
        return false;
    }

    c.sum = XXH3_createState();
    if (c.sum == NULL) {
        tool_out_of_memory();
    }
    c.nfields = reco_snapshot_info(s)->ncustomer_fields;

    XXH3_128bits_reset(c.sum);
    add_head(c.sum, s);

    err.status = reco_snapshot_each_customer(s, add_customer, &c, &err);
    if (err.status == RECO_OK) {
        err.status = reco_snapshot_each_row(s, add_row, &c, &err);
    }
    if (err.status == RECO_OK) {
        XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(c.sum));
        memcpy(sum, canonical.digest, RECO_CHECKSUM_BYTES);
    } else {
        tool_fail(path, &err);
    }

    XXH3_freeState(c.sum);
    reco_snapshot_close(s);

    return err.status == RECO_OK;
}

void
published_checksum_text(const uint8_t sum[RECO_CHECKSUM_BYTES],
    char text[2 * RECO_CHECKSUM_BYTES + 1])
{
    int  i;

    for (i = 0; i < RECO_CHECKSUM_BYTES; i++) {
        sprintf(text + 2 * i, "%02x", sum[i]);
    }
}
