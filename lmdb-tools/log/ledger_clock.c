/*
 * ledger_clock.c - when things happened, though clocks are set. A segment's
 * header says how the wall clock stood to the monotonic one of the machine's
 * boot (docs/FORMAT.md); here is what the headers of a boot say together. Lives
 * in the ledger, from ledger_new() to ledger_free().
 */

#include "ledger.h"

#include <string.h>

/* Beyond it an offset is none. */
#define OFFSET_MAX  ((int64_t) LEDGER_TIME_MAX_MS)

static ledger_boot_t *
find_boot(ledger_t *l, const char *node, reco_str_t id)
{
    char           *name = tool_format("%s/%.*s", node, (int) id.len, id.data);
    ledger_boot_t  *b;

    HASH_FIND_STR(l->private->boots, name, b);

    if (b == NULL) {
        b = tool_alloc(sizeof(*b));
        b->name = name;
        HASH_ADD_KEYPTR(hh, l->private->boots, b->name, strlen(b->name), b);
    } else {
        free(name);
    }

    return b;
}

/* The segment that was opened last is believed. */
static void
believe(ledger_reading_t *last, const ledger_reading_t *one)
{
    if (one->opened_ms > last->opened_ms
        || (one->opened_ms == last->opened_ms
            && one->offset_ms > last->offset_ms))
    {
        *last = *one;
    }
}

/* The setting that an offset is of, or before which it would be one. */
static uint32_t
find_setting(const ledger_boot_t *b, int64_t offset_ms)
{
    uint32_t  middle, low = 0, high = b->nsettings;

    while (low < high) {
        middle = low + (high - low) / 2;
        if (b->settings[middle].high_ms + LEDGER_CLOCK_STEP_MS < offset_ms) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }

    return low;
}

static void
insert_setting(ledger_boot_t *b, uint32_t at, const ledger_reading_t *one)
{
    ledger_setting_t  *s;

    b->settings = tool_realloc(b->settings, (b->nsettings + 1) * sizeof(*s));
    s = &b->settings[at];

    memmove(s + 1, s, (b->nsettings - at) * sizeof(*s));
    *s = (ledger_setting_t) { one->offset_ms, one->offset_ms, *one };
    b->nsettings++;
}

/* Whether two settings that were apart are one by it. */
static bool
widen_setting(ledger_boot_t *b, uint32_t at, const ledger_reading_t *one)
{
    ledger_setting_t  *s = &b->settings[at], *next = s + 1;

    s->low_ms = one->offset_ms < s->low_ms ? one->offset_ms : s->low_ms;
    s->high_ms = one->offset_ms > s->high_ms ? one->offset_ms : s->high_ms;
    believe(&s->last, one);

    if (at + 1 == b->nsettings
        || next->low_ms > s->high_ms + LEDGER_CLOCK_STEP_MS)
    {
        return false;
    }

    s->high_ms = next->high_ms;
    believe(&s->last, &next->last);
    b->nsettings--;
    memmove(next, next + 1, (b->nsettings - at - 1) * sizeof(*s));

    return true;
}

/* What was forgotten before was so by the times of then. */
static void
add_reading(ledger_t *l, ledger_boot_t *b, const ledger_reading_t *one)
{
    bool              first = b->nsettings == 0, joined = false;
    uint32_t          at = find_setting(b, one->offset_ms);
    ledger_reading_t  before = b->last;

    if (at == b->nsettings
        || b->settings[at].low_ms > one->offset_ms + LEDGER_CLOCK_STEP_MS)
    {
        insert_setting(b, at, one);
    } else {
        joined = widen_setting(b, at, one);
    }

    if (first) {
        b->last = *one;
        return;
    }

    believe(&b->last, one);

    if (l->private->from_ms > 0
        && (joined || find_setting(b, before.offset_ms)
                      != find_setting(b, b->last.offset_ms)))
    {
        l->private->stepped = true;
    }
}

ledger_clock_t *
ledger_clock(ledger_t *l, ledger_source_t *s,
    const reco_segment_header_t *header)
{
    int64_t            offset = 0;
    ledger_boot_t     *boot = NULL;
    ledger_clock_t    *c;
    ledger_reading_t   reading;

    if (header && header->clock.known && header->clock.boot.len > 0
        && llabs(header->clock.offset_ms) <= OFFSET_MAX
        && header->time_ms <= (uint64_t) OFFSET_MAX)
    {
        offset = header->clock.offset_ms;
        boot = find_boot(l, s->node, header->clock.boot);
        reading = (ledger_reading_t) { (int64_t) header->time_ms - offset,
                                       offset };
        add_reading(l, boot, &reading);
    }

    for (c = s->clocks; c; c = c->next) {
        if (c->boot == boot && c->offset_ms == offset) {
            return c;
        }
    }

    c = tool_alloc(sizeof(*c));
    *c = (ledger_clock_t) { s->clocks, s, boot, offset, 0 };
    s->clocks = c;

    return c;
}

uint64_t
ledger_time_ms(ledger_stamp_t at)
{
    int64_t                shift;
    uint32_t               setting;
    const ledger_boot_t   *b;
    const ledger_clock_t  *c = at.clock;

    if (c->boot == NULL || at.ms > (uint64_t) OFFSET_MAX) {
        return at.ms;
    }

    b = c->boot;
    setting = find_setting(b, c->offset_ms);

    if (setting == find_setting(b, b->last.offset_ms)) {
        return at.ms;
    }

    shift = b->last.offset_ms - b->settings[setting].last.offset_ms;

    return (int64_t) at.ms + shift > 0 ? (uint64_t) ((int64_t) at.ms + shift)
                                       : 0;
}

/* The time of the writer's newest record. */
static uint64_t
source_newest_ms(const ledger_source_t *s)
{
    uint64_t               ms, newest = 0;
    const ledger_clock_t  *c;

    for (c = s->clocks; c; c = c->next) {
        ms = ledger_time_ms((ledger_stamp_t) { c, c->last_ms });
        newest = ms > newest ? ms : newest;
    }

    return newest;
}

uint64_t
ledger_newest_ms(const ledger_t *l)
{
    uint64_t                ms, newest = 0;
    const ledger_source_t  *s;

    for (s = l->private->sources; s; s = s->hh.next) {
        ms = source_newest_ms(s);
        newest = ms > newest ? ms : newest;
    }

    return newest;
}

/* The time of a node's newest record. */
typedef struct {
    const char      *name;
    uint64_t         newest_ms;
    UT_hash_handle   hh;
} node_t;

/* Each start of a worker is a writer: there may be very many of a node. */
uint64_t
ledger_data_end_ms(const ledger_t *l)
{
    uint64_t                end = UINT64_MAX, ms;
    node_t                 *nodes = NULL, *n, *next;
    const ledger_source_t  *s;

    for (s = l->private->sources; s; s = s->hh.next) {
        HASH_FIND_STR(nodes, s->node, n);

        if (n == NULL) {
            n = tool_alloc(sizeof(*n));
            *n = (node_t) { .name = s->node };
            HASH_ADD_KEYPTR(hh, nodes, n->name, strlen(n->name), n);
        }

        ms = source_newest_ms(s);
        n->newest_ms = ms > n->newest_ms ? ms : n->newest_ms;
    }

    HASH_ITER(hh, nodes, n, next) {
        /* without sources there are no nodes */
        /* cppcheck-suppress uninitvar */
        end = n->newest_ms < end ? n->newest_ms : end;
        HASH_DEL(nodes, n);
        free(n);
    }

    return end == UINT64_MAX ? 0 : end;
}

bool
ledger_has_stepped(const ledger_t *l)
{
    return l->private->stepped;
}

void
ledger_free_boots(ledger_t *l)
{
    ledger_boot_t  *b, *next;

    HASH_ITER(hh, l->private->boots, b, next) {
        HASH_DEL(l->private->boots, b);
        free(b->settings);
        free(b->name);
        free(b);
    }
}
