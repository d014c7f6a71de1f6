/*
 * compare_table.c - what a comparison found: each metric of each arm with its
 * difference to the random arm, both with 95 % intervals (interval.h).
 */

#include "compare_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CONVERSION, REVENUE, CLICKS, RETURNS, HITS, METRICS };

static const struct {
    const char  *name, *title;
    double       unit;              /* 100: shown as a percentage */
} metrics[METRICS] = {
    { "conversion_rate", "conversion rate, %", 100 },
    { "revenue_per_session", "revenue per session", 1 },
    { "click_through", "click-through, %", 100 },
    { "return_rate", "return rate, %", 100 },
    { "hit_rate", "hit rate on real last baskets, %", 100 },
};

typedef struct {
    interval_t  value, difference;
} cell_t;

static interval_part_t
part_of_metric(const arm_t *arm, uint32_t customer, int metric)
{
    const simulate_totals_t  *t = &arm->totals[customer];

    switch (metric) {
    case CONVERSION:
        return (interval_part_t) { t->converted, t->sessions };
    case REVENUE:
        return (interval_part_t) { t->revenue, t->sessions };
    case CLICKS:
        return (interval_part_t) { t->clicked, t->decisions };
    case RETURNS:
        return (interval_part_t) { t->returned, t->could_return };
    default:
        return arm->hits[customer];
    }
}

static cell_t
cell(const compare_t *c, const arm_t *arm, const arm_t *reference,
    int metric)
{
    cell_t            out;
    uint32_t          i;
    interval_part_t  *a, *b;

    a = tool_alloc(c->ncustomers * sizeof(*a));
    b = tool_alloc(c->ncustomers * sizeof(*b));

    for (i = 0; i < c->ncustomers; i++) {
        a[i] = part_of_metric(arm, i, metric);
        b[i] = part_of_metric(reference, i, metric);
    }

    out.value = interval_ratio(a, c->ncustomers);
    out.difference = interval_difference(a, b, c->ncustomers);
    free(a);
    free(b);

    return out;
}

void
compare_note_seed(compare_t *c, arm_t *arm, uint32_t index)
{
    uint32_t           i;
    simulate_totals_t  sum = { 0 };

    for (i = 0; i < c->ncustomers; i++) {
        simulate_add(&sum, &c->room[i]);
    }

    arm->by_seed[index] = sum.sessions
                          ? (double) sum.converted / sum.sessions : NAN;
}

/* ---- JSON --------------------------------------------------------------- */

static json_t *
number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *
interval_json(const interval_t *i)
{
    return json_pack("{s:o, s:[o, o]}", "value", number(i->value),
                     "interval", number(i->low), number(i->high));
}

/* The agent's conversion over this arm's, as published and as found here. */
static double
uplift(const compare_t *c, const arm_t *over)
{
    cell_t  agent = cell(c, &c->arms[ARM_FITTED_Q], over, CONVERSION),
            other = cell(c, over, over, CONVERSION);

    return agent.value.value / other.value.value - 1;
}

static json_t *
arm_json(const compare_t *c, const arm_t *arm)
{
    int        m;
    cell_t     x;
    json_t    *out = json_object(), *seeds = json_array(), *value;
    uint32_t   i;

    json_object_set_new(out, "arm", json_string(arm->name));
    json_object_set_new(out, "title", json_string(arm->title));
    if (arm->kind == AGENT_FIXED) {
        json_object_set_new(out, "strategy",
                            json_string(c->actions[arm->action]));
    }

    for (m = 0; m < METRICS; m++) {
        x = cell(c, arm, &c->arms[ARM_RANDOM], m);
        value = interval_json(&x.value);
        json_object_set_new(value, "over_random",
                            interval_json(&x.difference));
        json_object_set_new(out, metrics[m].name, value);
    }

    for (i = 0; i < c->o->seeds; i++) {
        json_array_append_new(seeds, number(arm->by_seed[i]));
    }
    json_object_set_new(out, "conversion_rate_by_seed", seeds);

    if (!isnan(arm->published)) {
        json_object_set_new(out, "uplift_of_agent_over_it",
                            number(uplift(c, arm)));
        json_object_set_new(out, "published_uplift_of_agent_over_it",
                            number(arm->published));
    }

    return out;
}

static json_t *
report_json(const compare_t *c)
{
    int      i;
    json_t  *arms = json_array();

    for (i = ARM_BASE + 1; i < ARMS; i++) {
        json_array_append_new(arms, arm_json(c, &c->arms[i]));
    }

    return json_pack("{s:{s:s, s:s}, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:o, "
                     "s:o}",
        "market", "name", c->o->market->name, "hash", c->o->market->hash,
        "spec", c->o->spec,
        "part", c->o->part == PARTS ? "all" : part_name(c->o->part),
        "seeds", (json_int_t) c->o->seeds,
        "first_seed", (json_int_t) c->o->seed,
        "sessions", (json_int_t) c->o->sessions,
        "train_sessions", (json_int_t) c->o->train_sessions,
        "rounds", (json_int_t) c->o->rounds,
        "going_on", number(c->going_on), "arms", arms);
}

/* ---- words -------------------------------------------------------------- */

static void
print_metric(const compare_t *c, int m)
{
    int           i;
    char          range[64];
    cell_t        x;
    double        u = metrics[m].unit;
    const arm_t  *arm;

    printf("\n%-26s %10s   %s\n", metrics[m].title, "",
           "difference to random, 95 % interval");

    for (i = ARM_BASE + 1; i < ARMS; i++) {
        arm = &c->arms[i];
        x = cell(c, arm, &c->arms[ARM_RANDOM], m);
        if (isnan(x.value.value)) {
            printf("  %-24s %10s\n", arm->title, "-");
            continue;
        }

        snprintf(range, sizeof(range), "%+.3f  (%+.3f to %+.3f)",
                 u * x.difference.value, u * x.difference.low,
                 u * x.difference.high);
        printf("  %-24s %10.3f   %s\n", arm->title, u * x.value.value,
               i == ARM_RANDOM ? "" : range);
    }
}

static void
print_report(const compare_t *c)
{
    int           i;
    const arm_t  *arm;

    printf("market %s (%s), %s customers, %u seeds of %llu sessions; learned "
           "from %u rounds of %llu\n", c->o->market->name, c->o->market->hash,
           c->o->part == PARTS ? "all" : part_name(c->o->part), c->o->seeds,
           (unsigned long long) c->o->sessions, c->o->rounds,
           (unsigned long long) c->o->train_sessions);
    printf("best fixed strategy on development customers: %s\n",
           c->actions[c->arms[ARM_FIXED].action]);

    for (i = 0; i < METRICS; i++) {
        print_metric(c, i);
    }

    printf("\n%-26s %10s   %s\n", "conversion of fitted Q over",
           "here, %", "published, %");
    for (i = ARM_BASE + 1; i < ARMS; i++) {
        arm = &c->arms[i];
        if (!isnan(arm->published)) {
            printf("  %-24s %+10.1f   %+.0f\n", arm->title,
                   100 * uplift(c, arm), 100 * arm->published);
        }
    }
}

bool
compare_report(compare_t *c)
{
    bool           ok = true;
    json_t        *report = report_json(c);
    tool_output_t  out;

    if (report == NULL) {
        tool_error("out of memory");
        return false;
    }

    if (c->o->out) {
        ok = tool_output_open(&out, c->o->out);
        if (ok) {
            json_dumpf(report, out.file, JSON_INDENT(2));
            fputc('\n', out.file);
            ok = tool_output_commit(&out);
        }
    }

    if (ok && c->o->json) {
        tool_print_json(report);
    } else {
        if (ok) {
            print_report(c);
        }
        json_decref(report);
    }

    return ok;
}
