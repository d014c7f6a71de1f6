/*
 * reco_manifest.c - DIR/current.json, which says what a folder serves.
 *
 * It is replaced by rename, so that a reader sees the old or the new one.
 */

#include "reco_buf.h"
#include "reco_file.h"
#include "reco_jansson.h"
#include "reco_snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MANIFEST_NAME       "current.json"
#define MANIFEST_FORMAT     1
#define MANIFEST_MAX        16384
#define CHECKSUM_PREFIX     "xxh3-128:"

static reco_status_t manifest_read_fd(int fd, reco_manifest_t *m,
    reco_error_t *err);
static reco_status_t members_take(json_t *json, reco_manifest_t *m,
    reco_error_t *err);
static reco_status_t take_text(json_t *json, const char *name, char *out,
    size_t size, reco_error_t *err);
static reco_status_t take_number(json_t *json, const char *name,
    uint64_t *out, reco_error_t *err);
static bool file_name_is_plain(const char *name);
static bool checksum_parse(const char *text,
    uint8_t sum[RECO_CHECKSUM_BYTES]);
static bool time_parse(const char *text, uint64_t *time_ms);
static char *manifest_text(const reco_manifest_t *m);

/* ---- reading ------------------------------------------------------------ */

reco_status_t
reco_manifest_read(const char *dir, reco_manifest_t *m, reco_error_t *err)
{
    int            fd, e;
    char           path[RECO_PATH_MAX];
    reco_status_t  rc;

    snprintf(path, sizeof(path), "%s/" MANIFEST_NAME, dir);

    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd == -1) {
        e = errno;
        return reco_error_set(err, e == ENOENT ? RECO_NOT_FOUND : RECO_IO, "",
                              "cannot open '%s': %s", path, strerror(e));
    }

    rc = manifest_read_fd(fd, m, err);

    close(fd);

    return rc;
}

static reco_status_t
manifest_read_fd(int fd, reco_manifest_t *m, reco_error_t *err)
{
    char         text[MANIFEST_MAX + 1];
    size_t       len;
    ssize_t      n;
    struct stat  st;

    if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
        return reco_error_set(err, RECO_INVALID, "",
                              MANIFEST_NAME " is not a regular file");
    }

    len = 0;

    do {
        n = read(fd, text + len, sizeof(text) - len);
        len += n > 0 ? (size_t) n : 0;
    } while ((n > 0 && len < sizeof(text)) || (n == -1 && errno == EINTR));

    if (n == -1) {
        return reco_file_error(err, "cannot read " MANIFEST_NAME);
    }

    return reco_manifest_parse((reco_str_t) { text, len }, m, err);
}

reco_status_t
reco_manifest_parse(reco_str_t text, reco_manifest_t *m, reco_error_t *err)
{
    json_t        *json;
    reco_status_t  rc;

    if (text.len > MANIFEST_MAX) {
        return reco_error_set(err, RECO_LIMIT, "",
                              "a manifest of more than %d bytes",
                              MANIFEST_MAX);
    }

    rc = reco_jansson_load(text, &json, err);
    if (rc != RECO_OK) {
        return rc;
    }

    if (json_is_object(json)) {
        rc = members_take(json, m, err);
    } else {
        rc = reco_error_set(err, RECO_INVALID, "$", "must be an object");
    }

    json_decref(json);

    return rc;
}

/* Members that nobody knows are left alone: a newer publisher may add some
 * without a new format. */
static reco_status_t
members_take(json_t *json, reco_manifest_t *m, reco_error_t *err)
{
    char           text[64];
    uint64_t       format;
    reco_status_t  rc;

    memset(m, 0, sizeof(*m));

    rc = take_number(json, "format", &format, err);
    if (rc != RECO_OK) {
        return rc;
    }

    if (format != MANIFEST_FORMAT) {
        return reco_error_set(err, RECO_UNSUPPORTED, "$.format",
                              "manifest format %" PRIu64 " is not supported",
                              format);
    }

    if ((rc = take_text(json, "model", m->model, sizeof(m->model), err))
           != RECO_OK
        || (rc = take_text(json, "version", m->version, sizeof(m->version),
                           err)) != RECO_OK
        || (rc = take_text(json, "file", m->file, sizeof(m->file), err))
           != RECO_OK
        || (rc = take_number(json, "size", &m->size, err)) != RECO_OK
        || (rc = take_number(json, "generation", &m->generation, err))
           != RECO_OK
        || (rc = take_number(json, "parent", &m->parent, err)) != RECO_OK)
    {
        return rc;
    }

    if (!file_name_is_plain(m->file)) {
        return reco_error_set(err, RECO_INVALID, "$.file",
                              "must be a file's name without a folder");
    }

    if (m->generation == 0) {
        return reco_error_set(err, RECO_INVALID, "$.generation",
                              "must be at least 1");
    }

    rc = take_text(json, "checksum", text, sizeof(text), err);
    if (rc == RECO_OK && !checksum_parse(text, m->checksum)) {
        rc = reco_error_set(err, RECO_INVALID, "$.checksum",
                            "must be \"" CHECKSUM_PREFIX "\" and 32 "
                            "hexadecimal digits");
    }
    if (rc != RECO_OK) {
        return rc;
    }

    rc = take_text(json, "published", text, sizeof(text), err);
    if (rc == RECO_OK && !time_parse(text, &m->published_ms)) {
        rc = reco_error_set(err, RECO_INVALID, "$.published",
                            "must be a time like 2026-11-22T02:15:00.123Z");
    }

    return rc;
}

static reco_status_t
take_text(json_t *json, const char *name, char *out, size_t size,
    reco_error_t *err)
{
    char        path[64];
    json_t     *v = json_object_get(json, name);
    reco_str_t  text;

    snprintf(path, sizeof(path), "$.%s", name);

    if (!json_is_string(v)) {
        return reco_error_set(err, RECO_INVALID, path, "must be a string");
    }

    text = (reco_str_t) { json_string_value(v), json_string_length(v) };

    if (!reco_id_is_valid(text) || text.len >= size) {
        return reco_error_set(err, RECO_INVALID, path,
                              "must be 1 to %zu bytes without control "
                              "characters", size - 1);
    }

    memcpy(out, text.data, text.len);
    out[text.len] = '\0';

    return RECO_OK;
}

static reco_status_t
take_number(json_t *json, const char *name, uint64_t *out, reco_error_t *err)
{
    char     path[64];
    json_t  *v = json_object_get(json, name);

    snprintf(path, sizeof(path), "$.%s", name);

    if (!json_is_integer(v) || json_integer_value(v) < 0) {
        return reco_error_set(err, RECO_INVALID, path,
                              "must be an integer from 0");
    }

    *out = (uint64_t) json_integer_value(v);

    return RECO_OK;
}

static bool
file_name_is_plain(const char *name)
{
    return name[0] != '.' && strchr(name, '/') == NULL;
}

static bool
checksum_parse(const char *text, uint8_t sum[RECO_CHECKSUM_BYTES])
{
    size_t       prefix = sizeof(CHECKSUM_PREFIX) - 1;
    const char  *p;

    if (strncmp(text, CHECKSUM_PREFIX, prefix) != 0
        || strlen(text) != prefix + 2 * RECO_CHECKSUM_BYTES
        || strspn(text + prefix, "0123456789abcdef")
           != 2 * RECO_CHECKSUM_BYTES)
    {
        return false;
    }

    p = text + prefix;

    for (int i = 0; i < RECO_CHECKSUM_BYTES; i++, p += 2) {
        sscanf(p, "%2hhx", &sum[i]);
    }

    return true;
}

/* As reco_buf_time() writes it. */
static bool
time_parse(const char *text, uint64_t *time_ms)
{
    int         millis;
    char        back[32];
    time_t      seconds;
    struct tm   tm;
    reco_buf_t  b;

    memset(&tm, 0, sizeof(tm));

    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ", &tm.tm_year, &tm.tm_mon,
               &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &millis)
        != 7)
    {
        return false;
    }

    tm.tm_year -= 1900;
    tm.tm_mon -= 1;

    seconds = timegm(&tm);
    if (seconds < 0 || millis < 0) {
        return false;
    }

    *time_ms = (uint64_t) seconds * 1000 + (uint64_t) millis;

    /* what was read must be all there was, and no 31st of February */
    reco_buf_init(&b, back, sizeof(back));
    reco_buf_time(&b, *time_ms);

    return reco_buf_len(&b) == strlen(text)
           && memcmp(back, text, reco_buf_len(&b)) == 0;
}

/* ---- writing ------------------------------------------------------------ */

reco_status_t
reco_manifest_write(const char *dir, const reco_manifest_t *m,
    reco_error_t *err)
{
    int              fd;
    char             path[RECO_PATH_MAX], temp[RECO_PATH_MAX], *text;
    reco_status_t    rc;
    reco_manifest_t  back;

    errno = 0;
    text = manifest_text(m);
    if (text == NULL) {
        return errno == ENOMEM
               ? reco_error_set(err, RECO_NO_MEMORY, "", "out of memory")
               : reco_error_set(err, RECO_INVALID, "",
                                "the manifest's texts are not UTF-8");
    }

    /* no reader may refuse what is written here */
    rc = reco_manifest_parse((reco_str_t) { text, strlen(text) }, &back, err);

    if (rc == RECO_OK) {
        snprintf(path, sizeof(path), "%s/" MANIFEST_NAME, dir);
        rc = reco_file_temp(path, temp, &fd, err);
    }

    if (rc == RECO_OK) {
        rc = reco_file_write(fd, text, strlen(text), err);
        if (rc == RECO_OK) {
            rc = reco_file_commit(fd, temp, path, err);
        }

        close(fd);

        if (rc != RECO_OK) {
            unlink(temp);
        }
    }

    free(text);

    return rc;
}

static char *
manifest_text(const reco_manifest_t *m)
{
    char        sum[sizeof(CHECKSUM_PREFIX) + 2 * RECO_CHECKSUM_BYTES];
    char        published[32], *text, *line;
    json_t     *json;
    reco_buf_t  b;

    reco_buf_init(&b, sum, sizeof(sum));
    reco_buf_cstr(&b, CHECKSUM_PREFIX);
    reco_buf_hex(&b, m->checksum, RECO_CHECKSUM_BYTES);
    reco_buf_char(&b, '\0');

    reco_buf_init(&b, published, sizeof(published));
    reco_buf_time(&b, m->published_ms);
    reco_buf_char(&b, '\0');

    reco_jansson_begin();
    json = json_pack("{s:i, s:s, s:s, s:s, s:I, s:I, s:I, s:s, s:s}",
                     "format", MANIFEST_FORMAT,
                     "model", m->model,
                     "version", m->version,
                     "file", m->file,
                     "size", (json_int_t) m->size,
                     "generation", (json_int_t) m->generation,
                     "parent", (json_int_t) m->parent,
                     "checksum", sum,
                     "published", published);
    text = json != NULL ? json_dumps(json, JSON_INDENT(2)) : NULL;
    json_decref(json);

    if (!reco_jansson_end()) {
        free(text);
        errno = ENOMEM;
        return NULL;
    }

    if (text == NULL) {
        return NULL;
    }

    line = realloc(text, strlen(text) + 2);
    if (line == NULL) {
        free(text);
        return NULL;
    }

    return strcat(line, "\n");
}
