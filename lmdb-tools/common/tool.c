/*
 * tool.c - messages, memory, options, text and time for the subcommands of
 * `reco`. Nothing here outlives a call but what it returns.
 */

#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* ---- messages ----------------------------------------------------------- */

#define SAID_MAX    64

static struct {
    pthread_mutex_t  lock;
    uint64_t         again_ms;          /* 0: at once */
    struct {
        uint64_t  hash, at_ms;
    } messages[SAID_MAX];
} said = { .lock = PTHREAD_MUTEX_INITIALIZER };

void
tool_say_again_after(uint64_t ms)
{
    said.again_ms = ms;
}

static uint64_t
monotonic_ms(void)
{
    struct timespec  t;

    clock_gettime(CLOCK_MONOTONIC, &t);

    return (uint64_t) t.tv_sec * 1000 + (uint64_t) t.tv_nsec / 1000000;
}

/* Whether it was a while ago; of those said, the oldest goes. */
static bool
was_said(const char *text)
{
    bool      found;
    size_t    i, oldest = 0;
    uint64_t  hash = XXH3_64bits(text, strlen(text)), now = monotonic_ms();

    pthread_mutex_lock(&said.lock);

    for (i = 0; i < SAID_MAX && said.messages[i].hash != hash; i++) {
        if (said.messages[i].at_ms < said.messages[oldest].at_ms) {
            oldest = i;
        }
    }

    found = i < SAID_MAX && now - said.messages[i].at_ms < said.again_ms;

    if (!found) {
        i = i < SAID_MAX ? i : oldest;
        said.messages[i].hash = hash;
        said.messages[i].at_ms = now;
    }

    pthread_mutex_unlock(&said.lock);

    return found;
}

/* One line, whatever a file had that a message quotes: its control characters
 * would be the terminal's. */
static void
say(const char *prefix, const char *fmt, va_list args)
{
    char    text[8192];
    size_t  i;

    vsnprintf(text, sizeof(text), fmt, args);

    for (i = 0; text[i] != '\0'; i++) {
        if ((unsigned char) text[i] < ' ' || text[i] == 0x7f) {
            text[i] = '?';

        } else if (text[i] == '\xc2' && (text[i + 1] & 0xe0) == 0x80) {
            text[i] = text[i + 1] = '?';        /* U+0080 to U+009F */
        }
    }

    if (said.again_ms > 0 && was_said(text)) {
        return;
    }

    fflush(stdout);
    fprintf(stderr, "reco: %s%s\n", prefix, text);
}

void
tool_error(const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    say("", fmt, args);
    va_end(args);
}

void
tool_warn(const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    say("warning: ", fmt, args);
    va_end(args);
}

void
tool_errno(const char *what, const char *path)
{
    tool_error("cannot %s '%s': %s", what, path, strerror(errno));
}

/* Whether the message has 'what' in its quotes already. */
static bool
names(const char *message, const char *what)
{
    size_t       len = strlen(what);
    const char  *p = message;

    while ((p = strchr(p, '\'')) != NULL) {
        if (strncmp(++p, what, len) == 0 && p[len] == '\'') {
            return true;
        }
    }

    return false;
}

void
tool_fail(const char *what, const reco_error_t *err)
{
    char         position[48] = "";
    const char  *message = err->message;

    if (message[0] == '\0') {
        message = reco_status_string(err->status);
    }

    if (err->position != RECO_NO_POSITION) {
        snprintf(position, sizeof(position), " (at byte %zu)", err->position);
    }

    if (err->field[0] != '\0') {
        tool_error("%s: %s: %s%s", what, err->field, message, position);
    } else if (names(message, what)) {
        tool_error("%s%s", message, position);
    } else {
        tool_error("%s: %s%s", what, message, position);
    }
}

/* ---- memory ------------------------------------------------------------- */

void
tool_out_of_memory(void)
{
    tool_error("out of memory");
    exit(1);
}

void *
tool_realloc(void *p, size_t size)
{
    void  *q = realloc(p, size ? size : 1);

    if (q == NULL) {
        tool_out_of_memory();
    }

    return q;
}

/* Zeroed. */
void *
tool_alloc(size_t size)
{
    void  *p = calloc(1, size ? size : 1);

    if (p == NULL) {
        tool_out_of_memory();
    }

    return p;
}

/* jansson passes over what there is no memory for, and says nothing. */
static void *
json_alloc(size_t size)
{
    void  *p = malloc(size);

    if (p == NULL) {
        tool_out_of_memory();
    }

    return p;
}

void
tool_json_memory(void)
{
    json_set_alloc_funcs(json_alloc, free);
}

char *
tool_dup(reco_str_t s)
{
    char  *p = tool_realloc(NULL, s.len + 1);

    if (s.len) {
        memcpy(p, s.data, s.len);
    }
    p[s.len] = '\0';

    return p;
}

char *
tool_strdup(const char *s)
{
    return tool_dup(tool_str(s));
}

char *
tool_vformat(const char *fmt, va_list args)
{
    char  *s;

    if (vasprintf(&s, fmt, args) < 0) {
        tool_out_of_memory();
    }

    return s;
}

char *
tool_format(const char *fmt, ...)
{
    char     *s;
    va_list   args;

    va_start(args, fmt);
    s = tool_vformat(fmt, args);
    va_end(args);

    return s;
}

reco_str_t
tool_str(const char *s)
{
    return (reco_str_t) { s, strlen(s) };
}

/* ---- options ------------------------------------------------------------ */

const char *argp_program_version = "reco " RECO_VERSION;

void
tool_parse(const struct argp *argp, const char *name, int argc, char **argv,
    void *input)
{
    int    rc;
    char   title[64];
    char  *saved = argv[0];

    snprintf(title, sizeof(title), "reco %s", name);
    argv[0] = title;            /* what argp puts before its messages */
    argp_err_exit_status = 2;
    rc = argp_parse(argp, argc, argv, 0, NULL, input);
    argv[0] = saved;

    if (rc != 0) {
        tool_error("cannot take the options: %s", strerror(rc));
        exit(1);
    }
}

void
tool_print_json(json_t *value)
{
    if (value == NULL) {
        tool_error("the answer cannot be written as JSON");
        return;
    }
    json_dumpf(value, stdout, JSON_ENCODE_ANY);
    fputc('\n', stdout);
    json_decref(value);
}

/* ---- files -------------------------------------------------------------- */

/* Reads to the end of fd, whose size is only a first guess. */
static char *
read_all(int fd, size_t guess, size_t *len)
{
    size_t    size = guess + 1, used = 0;
    char     *text = tool_realloc(NULL, size + 1);
    ssize_t   n;

    for ( ;; ) {
        if (used == size) {
            size *= 2;
            text = tool_realloc(text, size + 1);
        }

        n = read(fd, text + used, size - used);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            free(text);
            return NULL;
        }
        if (n == 0) {
            break;
        }
        used += (size_t) n;
    }

    text[used] = '\0';
    *len = used;

    return text;
}

char *
tool_read_file(const char *path, size_t *len)
{
    int           fd;
    char         *text = NULL;
    size_t        guess = 4096;
    struct stat   st;

    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1) {
        tool_errno("open", path);
        return NULL;
    }

    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        guess = (size_t) st.st_size;
    }

    text = read_all(fd, guess, len);
    if (text == NULL) {
        tool_errno("read", path);
    }
    close(fd);

    return text;
}

/* ---- numbers ------------------------------------------------------------ */

static size_t
digits(reco_str_t s, size_t at)
{
    size_t  i = at;

    while (i < s.len && s.data[i] >= '0' && s.data[i] <= '9') {
        i++;
    }

    return i - at;
}

/* Whether the text has the form of a decimal number; strtod() alone would
 * also take spaces, hexadecimal, infinities and NaN. */
static bool
looks_like_number(reco_str_t s)
{
    size_t  i = 0, whole, part = 0, n;

    if (i < s.len && (s.data[i] == '-' || s.data[i] == '+')) {
        i++;
    }

    whole = digits(s, i);
    i += whole;

    if (i < s.len && s.data[i] == '.') {
        part = digits(s, i + 1);
        i += 1 + part;
    }

    if (whole + part == 0) {
        return false;
    }

    if (i < s.len && (s.data[i] == 'e' || s.data[i] == 'E')) {
        i++;
        if (i < s.len && (s.data[i] == '-' || s.data[i] == '+')) {
            i++;
        }
        n = digits(s, i);
        if (n == 0) {
            return false;
        }
        i += n;
    }

    return i == s.len;
}

bool
tool_number_parse(reco_str_t text, double *number)
{
    char    copy[128];
    double  v;

    if (text.len >= sizeof(copy) || !looks_like_number(text)) {
        return false;
    }

    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    v = strtod(copy, NULL);     /* the tool never leaves the C locale */
    if (!isfinite(v)) {
        return false;
    }

    *number = v;

    return true;
}

/* ---- time --------------------------------------------------------------- */

/* Exactly n digits at *at; moves on. -1 when they are not there. */
static int
take_digits(reco_str_t s, size_t *at, size_t n)
{
    int     v = 0;
    size_t  i;

    if (*at + n > s.len) {
        return -1;
    }

    for (i = 0; i < n; i++) {
        char  c = s.data[*at + i];

        if (c < '0' || c > '9') {
            return -1;
        }
        v = v * 10 + (c - '0');
    }
    *at += n;

    return v;
}

static bool
take_char(reco_str_t s, size_t *at, char c)
{
    if (*at >= s.len || s.data[*at] != c) {
        return false;
    }
    ++*at;

    return true;
}

/* ".979311" to milliseconds, further digits cut off. */
static int
take_fraction(reco_str_t s, size_t *at)
{
    int     ms = 0, scale = 100;
    size_t  n = digits(s, *at), i;

    for (i = 0; i < n && i < 9; i++) {
        ms += (s.data[*at + i] - '0') * scale;
        scale /= 10;
    }
    *at += n;

    return n ? ms : -1;
}

/* "Z", "+01:00", "+0100", "+01" or nothing, as seconds east of UTC. */
static bool
take_zone(reco_str_t s, size_t *at, int *east)
{
    int  sign, h, m = 0;

    *east = 0;
    if (*at == s.len || take_char(s, at, 'Z') || take_char(s, at, 'z')) {
        return true;
    }

    sign = s.data[*at] == '-' ? -1 : s.data[*at] == '+' ? 1 : 0;
    if (sign == 0) {
        return false;
    }
    ++*at;

    h = take_digits(s, at, 2);
    if (*at < s.len) {
        (void) take_char(s, at, ':');
        m = take_digits(s, at, 2);
    }
    if (h < 0 || h > 23 || m < 0 || m > 59) {
        return false;
    }

    *east = sign * (h * 3600 + m * 60);

    return true;
}

static bool
take_date(reco_str_t s, size_t *at, struct tm *tm)
{
    static const int  length[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30,
                                   31 };
    int               y, m, d;
    bool              leap;

    y = take_digits(s, at, 4);
    if (y < 1970 || !take_char(s, at, '-')) {
        return false;
    }
    m = take_digits(s, at, 2);
    if (m < 1 || m > 12 || !take_char(s, at, '-')) {
        return false;
    }
    d = take_digits(s, at, 2);
    leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    if (d < 1 || d > length[m - 1] + (m == 2 && leap)) {
        return false;
    }

    tm->tm_year = y - 1900;
    tm->tm_mon = m - 1;
    tm->tm_mday = d;

    return true;
}

/* "08:26" or "08:26:00" or "08:26:00.5" */
static bool
take_clock(reco_str_t s, size_t *at, struct tm *tm, int *ms)
{
    tm->tm_hour = take_digits(s, at, 2);
    if (tm->tm_hour < 0 || tm->tm_hour > 23 || !take_char(s, at, ':')) {
        return false;
    }
    tm->tm_min = take_digits(s, at, 2);
    if (tm->tm_min < 0 || tm->tm_min > 59) {
        return false;
    }
    if (!take_char(s, at, ':')) {
        return true;
    }
    tm->tm_sec = take_digits(s, at, 2);
    if (tm->tm_sec < 0 || tm->tm_sec > 60) {
        return false;
    }
    if (take_char(s, at, '.')) {
        *ms = take_fraction(s, at);
    }

    return *ms >= 0;
}

bool
tool_time_parse(reco_str_t text, uint64_t *time_ms)
{
    int         ms = 0, east = 0;
    size_t      at = 0;
    int64_t     seconds;
    struct tm   tm = { 0 };

    if (!take_date(text, &at, &tm)) {
        return false;
    }

    if (at < text.len) {
        if (!take_char(text, &at, 'T') && !take_char(text, &at, ' ')) {
            return false;
        }
        if (!take_clock(text, &at, &tm, &ms)
            || !take_zone(text, &at, &east))
        {
            return false;
        }
    }

    seconds = (int64_t) timegm(&tm) - east;
    if (at != text.len || seconds < 0) {
        return false;
    }

    *time_ms = (uint64_t) seconds * 1000 + (uint64_t) ms;

    return true;
}

bool
tool_source_date(uint64_t *time_ms)
{
    char        *end;
    const char  *text = getenv("SOURCE_DATE_EPOCH");

    *time_ms = 0;
    if (text == NULL || text[0] == '\0') {
        return true;
    }

    errno = 0;
    *time_ms = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || text[0] < '0' || text[0] > '9'
        || *time_ms > UINT64_MAX / 1000000)
    {
        tool_error("SOURCE_DATE_EPOCH: '%s' is not a number of seconds", text);
        return false;
    }
    *time_ms *= 1000;

    return true;
}

uint64_t
tool_now_ms(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_REALTIME, &ts);

    return (uint64_t) ts.tv_sec * 1000 + (uint64_t) ts.tv_nsec / 1000000;
}
