/*
 * tool_progress.c - a progress bar on stderr, drawn at most ten times a second
 * and only where stderr is a terminal.
 */

#include "tool.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#define BAR_WIDTH   40
#define REDRAW_MS   100

static uint64_t
monotonic_ms(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000 + (uint64_t) ts.tv_nsec / 1000000;
}

static void
draw(const tool_progress_t *p, uint64_t done)
{
    char    bar[BAR_WIDTH + 1];
    double  part;
    size_t  full;

    if (p->total == 0) {
        fprintf(stderr, "\r%s %llu", p->label, (unsigned long long) done);
        return;
    }

    part = done >= p->total ? 1.0 : (double) done / (double) p->total;
    full = (size_t) (part * BAR_WIDTH);
    memset(bar, ' ', BAR_WIDTH);
    memset(bar, '#', full);
    bar[BAR_WIDTH] = '\0';
    fprintf(stderr, "\r%s [%s] %3d%%", p->label, bar, (int) (part * 100));
}

void
tool_progress_begin(tool_progress_t *p, const char *label, uint64_t total)
{
    p->label = label;
    p->total = total;
    p->terminal = isatty(STDERR_FILENO) == 1;
    p->shown_ms = p->terminal ? monotonic_ms() : 0;
}

void
tool_progress_at(tool_progress_t *p, uint64_t done)
{
    uint64_t  now;

    if (!p->terminal) {
        return;
    }

    now = monotonic_ms();
    if (now - p->shown_ms < REDRAW_MS) {
        return;
    }

    p->shown_ms = now;
    draw(p, done);
}

/* Clears the line, so that what follows starts in column one. */
void
tool_progress_end(tool_progress_t *p)
{
    if (p->terminal) {
        fputs("\r\033[K", stderr);
    }
    p->terminal = false;
}
