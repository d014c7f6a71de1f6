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
    char           *name;
    ledger_boot_t  *b;

    if (asprintf(&name, "%s/%.*s", node, (int) id.len, id.data) < 0) {
        tool_error("out of memory");
        exit(1);
    }

    HASH_FIND_STR(l->private->boots, name, b);

    if (b == NULL) {
        b = tool_alloc(sizeof(*b));
        b->name = name;
        b->opened_ms = INT64_MIN;
        HASH_ADD_KEYPTR(hh, l->private->boots, b->name, strlen(b->name), b);
    } else {
        free(name);
    }

    return b;
}

/* The clock of the segment that was opened last is believed. What was
 * forgotten was so by the one believed before. */
static void
believe(ledger_t *l, ledger_boot_t *b, int64_t opened_ms, int64_t offset_ms)
{
    int64_t  moved = offset_ms - b->offset_ms;

    if (opened_ms < b->opened_ms
        || (opened_ms == b->opened_ms && moved <= 0))
    {
        return;
    }

    if (b->opened_ms != INT64_MIN && l->private->from_ms > 0
        && llabs(moved) > LEDGER_CLOCK_STEP_MS)
    {
        l->private->stepped = true;
    }

    b->opened_ms = opened_ms;
    b->offset_ms = offset_ms;
}

ledger_clock_t *
ledger_clock(ledger_t *l, ledger_source_t *s,
    const reco_segment_header_t *header)
{
    int64_t          offset = 0;
    ledger_boot_t   *boot = NULL;
    ledger_clock_t  *c;

    if (header && header->clock.known && header->clock.boot.len > 0
        && llabs(header->clock.offset_ms) <= OFFSET_MAX
        && header->time_ms <= (uint64_t) OFFSET_MAX)
    {
        offset = header->clock.offset_ms;
        boot = find_boot(l, s->node, header->clock.boot);
        believe(l, boot, (int64_t) header->time_ms - offset, offset);
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
    const ledger_clock_t  *c = at.clock;

    if (c->boot == NULL || at.ms > (uint64_t) OFFSET_MAX) {
        return at.ms;
    }

    shift = c->boot->offset_ms - c->offset_ms;

    if (llabs(shift) <= LEDGER_CLOCK_STEP_MS) {
        return at.ms;
    }

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
        free(b->name);
        free(b);
    }
}
