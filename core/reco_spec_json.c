/*
 * reco_spec_json.c - the spec reader's way around a JSON tree: the path of
 * the value at hand, faults that name it, and typed values.
 */

#include "reco_spec_internal.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Bytes of a member's name that a path shows. */
#define MAX_SHOWN  64


/* ---- path --------------------------------------------------------------- */

static bool
is_plain(const char *key)
{
    const char  *p;

    for (p = key; *p != '\0'; p++) {
        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z')
              || (*p >= '0' && *p <= '9') || *p == '_'))
        {
            return false;
        }
    }

    return p != key;
}


static void
path_add(reco_spec_t *sp, const char *text, size_t len)
{
    if (len > sizeof(sp->path) - 1 - sp->len) {
        len = sizeof(sp->path) - 1 - sp->len;
    }

    memcpy(sp->path + sp->len, text, len);
    sp->len += len;
    sp->path[sp->len] = '\0';
}


size_t
reco_spec_push(reco_spec_t *sp, const char *key)
{
    char    shown[MAX_SHOWN + 1];
    bool    plain;
    size_t  mark, n;

    mark = sp->len;
    plain = is_plain(key);

    for (n = 0; n < MAX_SHOWN && key[n] != '\0'; n++) {
        shown[n] = (unsigned char) key[n] < 0x20 || key[n] == 0x7f
                   ? '?' : key[n];
    }

    if (key[n] != '\0') {
        /* not in the middle of a character */
        while (n > 0 && ((unsigned char) key[n] & 0xc0) == 0x80) {
            n--;
        }
    }

    path_add(sp, plain ? "." : "[\"", plain ? 1 : 2);
    path_add(sp, shown, n);
    path_add(sp, "\"]", plain ? 0 : 2);

    return mark;
}


size_t
reco_spec_push_index(reco_spec_t *sp, size_t i)
{
    int     n;
    char    text[32];
    size_t  mark;

    mark = sp->len;
    n = snprintf(text, sizeof(text), "[%zu]", i);
    path_add(sp, text, (size_t) n);

    return mark;
}


void
reco_spec_pop(reco_spec_t *sp, size_t mark)
{
    sp->len = mark;
    sp->path[mark] = '\0';
}


/* ---- faults ------------------------------------------------------------- */

static bool
fail(reco_spec_t *sp, reco_status_t status, const char *fmt, va_list args)
{
    char  message[256];

    vsnprintf(message, sizeof(message), fmt, args);

    sp->status = reco_error_set(sp->err, status, sp->path, "%s", message);

    return false;
}


bool
reco_spec_fail(reco_spec_t *sp, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    fail(sp, RECO_INVALID, fmt, args);
    va_end(args);

    return false;
}


bool
reco_spec_limit(reco_spec_t *sp, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    fail(sp, RECO_LIMIT, fmt, args);
    va_end(args);

    return false;
}


bool
reco_spec_no_memory(reco_spec_t *sp)
{
    sp->status = reco_error_set(sp->err, RECO_NO_MEMORY, NULL,
                                "out of memory");
    return false;
}


void *
reco_spec_alloc(reco_spec_t *sp, size_t n, size_t size)
{
    void  *p;

    p = reco_model_alloc(sp->model, n * size);
    if (p == NULL) {
        reco_spec_no_memory(sp);
    }

    return p;
}


/* ---- values ------------------------------------------------------------- */

bool
reco_spec_object(reco_spec_t *sp, const json_t *obj, const char *const *names)
{
    void               *iter;
    const char         *key;
    const char *const  *name;

    if (!json_is_object(obj)) {
        return reco_spec_fail(sp, "must be an object");
    }

    for (iter = json_object_iter((json_t *) obj);
         iter != NULL;
         iter = json_object_iter_next((json_t *) obj, iter))
    {
        key = json_object_iter_key(iter);

        for (name = names; *name != NULL && strcmp(*name, key) != 0; name++) {
            /* void */
        }

        if (*name == NULL) {
            reco_spec_push(sp, key);
            return reco_spec_fail(sp, "is not a member known here");
        }
    }

    return true;
}


bool
reco_spec_array(reco_spec_t *sp, const json_t *array, size_t min, size_t max)
{
    size_t  n;

    if (!json_is_array(array)) {
        return reco_spec_fail(sp, "must be an array");
    }

    n = json_array_size(array);

    if (n < min) {
        return reco_spec_fail(sp, "must not be empty");
    }

    if (n > max) {
        return reco_spec_limit(sp, "has %zu entries, the limit is %zu", n,
                               max);
    }

    return true;
}


bool
reco_spec_number(reco_spec_t *sp, const json_t *value, double min, double max,
    double *out)
{
    double  x;

    if (!json_is_number(value)) {
        return reco_spec_fail(sp, "must be a number");
    }

    x = json_number_value(value);

    if (!(x >= min && x <= max)) {
        return isfinite(min) && isfinite(max)
               ? reco_spec_fail(sp, "must be from %g to %g", min, max)
               : reco_spec_fail(sp, "is out of range");
    }

    *out = x;

    return true;
}


static bool
copy(reco_spec_t *sp, const char *data, size_t len, reco_str_t *out)
{
    char  *p;

    p = reco_spec_alloc(sp, len + 1, 1);
    if (p == NULL) {
        return false;
    }

    memcpy(p, data, len);
    *out = (reco_str_t) { p, len };

    return true;
}


bool
reco_spec_id(reco_spec_t *sp, const json_t *value, reco_str_t *out)
{
    reco_str_t  s;

    if (!json_is_string(value)) {
        return reco_spec_fail(sp, "must be a string");
    }

    s = (reco_str_t) { json_string_value(value), json_string_length(value) };

    if (!reco_id_is_valid(s)) {
        return reco_spec_fail(sp, "must be 1 to %d bytes without control "
                              "characters", RECO_MAX_ID);
    }

    return copy(sp, s.data, s.len, out);
}


bool
reco_spec_text(reco_spec_t *sp, const json_t *value, reco_str_t *out)
{
    if (json_is_string(value) && json_string_length(value) == 0) {
        *out = (reco_str_t) { "", 0 };
        return true;
    }

    return reco_spec_id(sp, value, out);
}


bool
reco_spec_key(reco_spec_t *sp, const char *key, reco_str_t *out)
{
    reco_str_t  s = { key, strlen(key) };

    if (!reco_id_is_valid(s)) {
        return reco_spec_fail(sp, "its name must be 1 to %d bytes without "
                              "control characters", RECO_MAX_ID);
    }

    return copy(sp, s.data, s.len, out);
}


bool
reco_spec_duration(reco_spec_t *sp, const json_t *value, uint64_t *ms)
{
    double      seconds;
    reco_str_t  text;

    if (json_is_number(value)) {
        seconds = json_number_value(value);

        if (!(seconds >= 0.001
              && seconds <= (double) RECO_SPEC_MAX_DURATION / 1000))
        {
            return reco_spec_fail(sp, "must be above 0 and at most 3660 days");
        }

        *ms = (uint64_t) (seconds * 1000 + 0.5);
        return true;
    }

    if (!json_is_string(value)) {
        return reco_spec_fail(sp, "must be a duration such as \"30m\" or a "
                              "number of seconds");
    }

    text = (reco_str_t) { json_string_value(value),
                          json_string_length(value) };

    if (!reco_duration_parse(text, ms)) {
        return reco_spec_fail(sp, "must be a number of ms, s, m, h or d, such "
                              "as \"30m\"");
    }

    if (*ms == 0 || *ms > RECO_SPEC_MAX_DURATION) {
        return reco_spec_fail(sp, "must be above 0 and at most 3660 days");
    }

    return true;
}


/* ---- members ------------------------------------------------------------ */

bool
reco_spec_member_bool(reco_spec_t *sp, const json_t *obj, const char *name,
    bool *out)
{
    const json_t  *value;

    value = json_object_get(obj, name);
    if (value == NULL) {
        return true;
    }

    if (!json_is_boolean(value)) {
        reco_spec_push(sp, name);
        return reco_spec_fail(sp, "must be true or false");
    }

    *out = json_is_true(value);

    return true;
}


bool
reco_spec_member_number(reco_spec_t *sp, const json_t *obj, const char *name,
    double min, double max, double *out)
{
    size_t         mark;
    const json_t  *value;

    value = json_object_get(obj, name);
    if (value == NULL) {
        return true;
    }

    mark = reco_spec_push(sp, name);

    if (!reco_spec_number(sp, value, min, max, out)) {
        return false;
    }

    reco_spec_pop(sp, mark);

    return true;
}


bool
reco_spec_member_integer(reco_spec_t *sp, const json_t *obj, const char *name,
    uint32_t min, uint32_t max, uint32_t *out)
{
    json_int_t     n;
    const json_t  *value;

    value = json_object_get(obj, name);
    if (value == NULL) {
        return true;
    }

    n = json_integer_value(value);

    if (!json_is_integer(value) || n < min || n > max) {
        reco_spec_push(sp, name);
        return reco_spec_fail(sp, "must be a whole number from %u to %u", min,
                              max);
    }

    *out = (uint32_t) n;

    return true;
}


bool
reco_spec_member_id(reco_spec_t *sp, const json_t *obj, const char *name,
    bool required, reco_str_t *out)
{
    size_t         mark;
    const json_t  *value;

    value = json_object_get(obj, name);

    if (value == NULL && !required) {
        return true;
    }

    mark = reco_spec_push(sp, name);

    if (value == NULL) {
        return reco_spec_fail(sp, "is missing");
    }

    if (!reco_spec_id(sp, value, out)) {
        return false;
    }

    reco_spec_pop(sp, mark);

    return true;
}


/* ---- durations ------------------------------------------------------- */

bool
reco_duration_parse(reco_str_t text, uint64_t *ms)
{
    size_t      i, u;
    uint64_t    n, digit;
    reco_str_t  unit;

    static const struct {
        const char  *name;
        uint64_t     ms;
    } units[] = {
        { "ms", 1 },
        { "",   1000 },
        { "s",  1000 },
        { "m",  60 * 1000 },
        { "h",  60 * 60 * 1000 },
        { "d",  24 * 60 * 60 * 1000 },
    };

    n = 0;

    for (i = 0;
         i < text.len && text.data[i] >= '0' && text.data[i] <= '9';
         i++)
    {
        digit = (uint64_t) (text.data[i] - '0');

        if (n > (UINT64_MAX - digit) / 10) {
            return false;
        }

        n = n * 10 + digit;
    }

    if (i == 0) {
        return false;
    }

    unit = (reco_str_t) { text.data + i, text.len - i };

    for (u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
        if (unit.len == strlen(units[u].name)
            && memcmp(unit.data, units[u].name, unit.len) == 0)
        {
            if (n > UINT64_MAX / units[u].ms) {
                return false;
            }

            *ms = n * units[u].ms;
            return true;
        }
    }

    return false;
}
