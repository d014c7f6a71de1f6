/*
 * ledger_reward.c - the reward function over a decision's facts, and the
 * ledger's counts in words and as JSON. Keeps nothing.
 */

#include "ledger.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

static const char *const  outcome_names[LEDGER_NOUTCOMES] = {
    "rewarded", "expired", "fallback", "gap", "open"
};

static const char *const  fate_names[LEDGER_NFACTS] = {
    "counted", "duplicate", "orphan", "early", "late", "out_of_range",
    "unused"
};

static bool
is_of_term(const reco_term_t *term, const ledger_decision_t *d,
    const ledger_fact_t *f)
{
    return reco_str_equal(f->name, term->fact)
           && f->time_ms - d->time_ms <= term->window_ms;
}

static double
term_value(const reco_term_t *term, double sum)
{
    switch (term->kind) {

    case RECO_TERM_PRESENT:
        return sum > 0 ? term->value : 0;

    case RECO_TERM_PER_UNIT:
        return term->value * sum;

    case RECO_TERM_OVER:
        return sum > term->over ? term->value : 0;
    }

    return 0;
}

/* A sum over facts of several slots is known with the last of them; one that
 * a fact without an action enters, with the whole slate. */
static void
add_term(const reco_term_t *term, const ledger_decision_t *d, double *slots)
{
    int                   slot, last = 0, end = (int) d->nslate - 1;
    bool                  any = false;
    double                sum = 0;
    const ledger_fact_t  *f;

    for (f = d->facts; f; f = f->next) {
        if (!is_of_term(term, d, f)) {
            continue;
        }

        any = true;
        slot = f->slot < 0 ? end : f->slot;

        if (term->kind == RECO_TERM_PER_UNIT) {
            slots[slot] += term_value(term, f->value);
            continue;
        }

        sum += f->value;
        last = slot > last ? slot : last;
    }

    if (any && term->kind != RECO_TERM_PER_UNIT) {
        slots[last] += term_value(term, sum);
    }
}

void
ledger_slot_rewards(const ledger_t *l, const ledger_decision_t *d,
    double *slots)
{
    uint32_t  i;

    for (i = 0; i < d->nslate; i++) {
        slots[i] = 0;
    }

    if (d->nslate == 0) {
        return;
    }

    if (d->facts == NULL) {
        slots[d->nslate - 1] = l->reward->fallback;
        return;
    }

    for (i = 0; i < l->reward->nterms; i++) {
        add_term(&l->reward->terms[i], d, slots);
    }
}

double
ledger_named_reward(const ledger_t *l, const ledger_decision_t *d,
    uint32_t slot)
{
    bool                  any;
    double                sum, reward = 0;
    uint32_t              i;
    const ledger_fact_t  *f;

    for (i = 0; i < l->reward->nterms; i++) {
        any = false;
        sum = 0;

        for (f = d->facts; f; f = f->next) {
            if (f->slot == (int) slot
                && is_of_term(&l->reward->terms[i], d, f))
            {
                any = true;
                sum += f->value;
            }
        }

        if (any) {
            reward += term_value(&l->reward->terms[i], sum);
        }
    }

    return reward;
}

double
ledger_fact(const ledger_decision_t *d, const char *name)
{
    bool                  any = false;
    double                sum = 0;
    const ledger_fact_t  *f;

    for (f = d->facts; f; f = f->next) {
        if (reco_str_equal(f->name, tool_str(name))) {
            any = true;
            sum += f->value;
        }
    }

    return any ? sum : NAN;
}

double
ledger_weight(const reco_reward_t *reward, uint64_t age_ms)
{
    double              known = 0, all = 0, size;
    uint32_t            i;
    const reco_term_t  *t;

    if (age_ms >= ledger_closing_ms(reward)) {
        return 1;
    }

    for (i = 0; i < reward->nterms; i++) {
        t = &reward->terms[i];
        size = fabs(t->value);
        all += size;
        known += age_ms >= t->window_ms
                 ? size : size * (double) age_ms / (double) t->window_ms;
    }

    return all > 0 ? fmax(LEDGER_WEIGHT_MIN, known / all) : LEDGER_WEIGHT_MIN;
}

/* ---- counts ------------------------------------------------------------- */

static json_t *
integer(uint64_t n)
{
    return json_integer((json_int_t) n);
}

static json_t *
named(const char *const *names, const uint64_t *counts, unsigned from,
    unsigned to)
{
    json_t  *object = json_object();

    for ( ; from < to; from++) {
        json_object_set_new(object, names[from], integer(counts[from]));
    }

    return object;
}

json_t *
ledger_json(const ledger_t *l)
{
    char                    text[64];
    json_t                 *object = json_object();
    reco_buf_t              b;
    const ledger_counts_t  *c = &l->counts;

    reco_buf_init(&b, text, sizeof(text));
    reco_buf_time(&b, l->as_of_ms);

    json_object_set_new(object, "as_of",
                        json_stringn(text, reco_buf_len(&b)));
    json_object_set_new(object, "decisions", integer(c->decisions));
    json_object_set_new(object, "rewarded",
                        integer(c->outcome[LEDGER_REWARDED]));
    json_object_set_new(object, "expired",
                        integer(c->outcome[LEDGER_EXPIRED]));
    json_object_set_new(object, "censored",
                        named(outcome_names, c->outcome, LEDGER_FALLBACK,
                              LEDGER_NOUTCOMES));
    json_object_set_new(object, "facts",
                        named(fate_names, c->facts, 0, LEDGER_NFACTS));
    if (c->returns > 0) {
        json_object_set_new(object, "returns", integer(c->returns));
    }
    if (c->forgotten > 0) {
        json_object_set_new(object, "forgotten", integer(c->forgotten));
    }
    if (c->erased > 0) {
        json_object_set_new(object, "erased", integer(c->erased));
    }
    json_object_set_new(object, "records", integer(c->records));
    json_object_set_new(object, "repeated", integer(c->repeated));
    json_object_set_new(object, "after", integer(c->after));
    json_object_set_new(object, "corrupt", integer(c->corrupt));
    json_object_set_new(object, "gaps", integer(c->gaps));
    json_object_set_new(object, "lost", integer(c->lost));
    if (c->unlogged > 0) {
        json_object_set_new(object, "unlogged", integer(c->unlogged));
    }
    if (c->refused > 0) {
        json_object_set_new(object, "refused", integer(c->refused));
    }

    return object;
}

static void
print_count(FILE *out, const char *name, uint64_t n)
{
    if (n > 0) {
        fprintf(out, "  %-28s %llu\n", name, (unsigned long long) n);
    }
}

/* A live ledger has closed no decision: one without a reward may get it
 * still. */
static const char *
outcome_words(const ledger_t *l, int outcome)
{
    return l->live && outcome == LEDGER_EXPIRED ? "without a reward"
                                                : outcome_names[outcome];
}

void
ledger_print(const ledger_t *l, FILE *out)
{
    int                     i;
    char                    name[64];
    reco_buf_t              b;
    const ledger_counts_t  *c = &l->counts;

    reco_buf_init(&b, name, sizeof(name));
    reco_buf_time(&b, l->as_of_ms);
    fprintf(out, "log of '%s' as of %.*s\n", l->model.data,
            (int) reco_buf_len(&b), name);
    print_count(out, "decisions", c->decisions);

    for (i = 0; i < LEDGER_NOUTCOMES; i++) {
        snprintf(name, sizeof(name), "%s%s",
                 i < LEDGER_FALLBACK ? "" : "censored, ",
                 outcome_words(l, i));
        print_count(out, name, c->outcome[i]);
    }

    for (i = 0; i < LEDGER_NFACTS; i++) {
        snprintf(name, sizeof(name), "facts, %s", fate_names[i]);
        print_count(out, name, c->facts[i]);
    }

    print_count(out, "next sessions", c->returns);
    print_count(out, "records repeated", c->repeated);
    print_count(out, "records forgotten", c->forgotten);
    print_count(out, "records erased", c->erased);
    print_count(out, "records after the end", c->after);
    print_count(out, "lines corrupt", c->corrupt);
    print_count(out, "gaps", c->gaps);
    print_count(out, "records lost in gaps", c->lost);
    print_count(out, "decisions unlogged", c->unlogged);
    print_count(out, "rewards refused", c->refused);
}

static void add(char *text, size_t size, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
add(char *text, size_t size, const char *fmt, ...)
{
    size_t   used = strlen(text);
    va_list  args;

    va_start(args, fmt);
    vsnprintf(text + used, size - used, fmt, args);
    va_end(args);
}

const char *
ledger_censored(const ledger_t *l, char *text, size_t size)
{
    int              i;
    const uint64_t  *n = l->counts.outcome;

    text[0] = '\0';

    for (i = LEDGER_FALLBACK; i < LEDGER_NOUTCOMES; i++) {
        if (n[i] > 0) {
            add(text, size, "%s%llu %s", text[0] ? ", " : "",
                (unsigned long long) n[i], outcome_names[i]);
        }
    }

    return text;
}

const char *
ledger_missing(const ledger_t *l, char *text, size_t size)
{
    const ledger_counts_t  *c = &l->counts;

    text[0] = '\0';

    if (c->outcome[LEDGER_GAP] == 0) {
        return text;
    }

    if (c->gaps > 0) {
        add(text, size, "; %llu record(s) are missing in the log, in %llu "
            "hole(s)", (unsigned long long) c->lost,
            (unsigned long long) c->gaps);
    }

    if (c->unlogged > 0) {
        add(text, size, "; %llu decision(s) were answered without a record",
            (unsigned long long) c->unlogged);
    }

    return text;
}
