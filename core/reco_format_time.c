/*
 * reco_format_time.c - dates and times of ISO 8601 as clients write them:
 * YYYY-MM-DD, alone (midnight) or followed by 'T' or a space and a time with
 * or without seconds, fraction and zone. Without a zone it is UTC.
 */

#include "reco_format_impl.h"

#define MS_A_MINUTE     60000

/* n digits at *p, or -1; moves on behind them. */
static int
digits(const char **p, const char *end, int n)
{
    int  i, value;

    if (end - *p < n) {
        return -1;
    }

    for (i = 0, value = 0; i < n; i++) {
        if ((*p)[i] < '0' || (*p)[i] > '9') {
            return -1;
        }
        value = value * 10 + ((*p)[i] - '0');
    }

    *p += n;

    return value;
}

static bool
skip(const char **p, const char *end, char c)
{
    if (*p == end || **p != c) {
        return false;
    }

    (*p)++;

    return true;
}

/* "Z", "+02:00", "+0200", "+02" or nothing, and then the end: what is to be
 * taken from the time to get UTC. */
static bool
read_zone(const char *p, const char *end, int64_t *ms)
{
    int  sign, hours, minutes;

    *ms = 0;

    if (p == end) {
        return true;
    }

    if (*p == 'Z') {
        return p + 1 == end;
    }

    if (*p != '+' && *p != '-') {
        return false;
    }

    sign = (*p == '+') ? 1 : -1;
    p++;
    hours = digits(&p, end, 2);
    minutes = 0;

    if (p < end) {
        (void) skip(&p, end, ':');
        minutes = digits(&p, end, 2);
    }

    *ms = (int64_t) sign * (hours * 60 + minutes) * MS_A_MINUTE;

    return hours >= 0 && hours <= 23 && minutes >= 0 && minutes <= 59
           && p == end;
}

/* Digits after the decimal sign, at least one; those beyond milliseconds do
 * not count. */
static bool
read_fraction(const char **p, const char *end, int *ms)
{
    int  digit, scale;

    digit = digits(p, end, 1);

    if (digit < 0) {
        return false;
    }

    for (scale = 100; digit >= 0; scale /= 10) {
        *ms += digit * scale;
        digit = digits(p, end, 1);
    }

    return true;
}

/* "HH:MM", "HH:MM:SS", "HH:MM:SS.fraction", and a zone; 60: a leap second. */
static bool
read_time(const char *p, const char *end, int64_t *ms)
{
    int      hours, minutes, seconds, fraction;
    int64_t  zone;

    hours = digits(&p, end, 2);
    minutes = skip(&p, end, ':') ? digits(&p, end, 2) : -1;
    seconds = fraction = 0;

    if (skip(&p, end, ':')) {
        seconds = digits(&p, end, 2);

        if (seconds >= 0 && (skip(&p, end, '.') || skip(&p, end, ','))
            && !read_fraction(&p, end, &fraction))
        {
            return false;
        }
    }

    if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59
        || seconds < 0 || seconds > 60 || !read_zone(p, end, &zone))
    {
        return false;
    }

    *ms = ((int64_t) hours * 60 + minutes) * MS_A_MINUTE + seconds * 1000
          + fraction - zone;

    return true;
}

/* Days from 1970-01-01 to a day of the Gregorian calendar: whole years, the
 * leap days among them, and the days of the year, which is taken to begin in
 * March. */
static int64_t
days_since_1970(int year, int month, int day)
{
    int64_t  y, m;

    y = (month > 2) ? year : year - 1;
    m = (month > 2) ? month - 3 : month + 9;

    if (y < 0) {
        return -719528;         /* the year 0 begins in it, and ends here */
    }

    return y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1
           - 719468;
}

bool
reco_format_time(reco_str_t text, uint64_t *ms)
{
    int          year, month, day, last;
    int64_t      total, time;
    const char  *p, *end;

    static const int  days[] = {
        31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
    };

    if (text.len > 64) {
        return false;
    }

    p = text.data;
    end = p + text.len;

    year = digits(&p, end, 4);
    month = skip(&p, end, '-') ? digits(&p, end, 2) : -1;
    day = skip(&p, end, '-') ? digits(&p, end, 2) : -1;

    if (year < 0 || month < 1 || month > 12) {
        return false;
    }

    last = days[month - 1];
    if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)) {
        last = 29;
    }

    if (day < 1 || day > last) {
        return false;
    }

    time = 0;

    if (p < end
        && !((skip(&p, end, 'T') || skip(&p, end, ' '))
             && read_time(p, end, &time)))
    {
        return false;
    }

    total = days_since_1970(year, month, day) * 1440 * MS_A_MINUTE + time;
    *ms = (total > 0) ? (uint64_t) total : 0;

    return true;
}
