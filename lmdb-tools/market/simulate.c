/*
 * simulate.c - sessions with a snapshot through the core, in one process or
 * several. A shopper's sessions follow one another: a chain of returns, then,
 * more than seven days later, the next one.
 */

#include "simulate.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define MS_PER_DAY      ((uint64_t) 24 * 3600 * 1000)

typedef struct {
    const simulate_options_t  *o;
    agent_t                    agent;
    simulate_log_t            *log;
    reco_id_source_t           ids;
} run_t;

/* ---- sums --------------------------------------------------------------- */

void
simulate_add(simulate_totals_t *sum, const simulate_totals_t *t)
{
    sum->sessions += t->sessions;
    sum->decisions += t->decisions;
    sum->converted += t->converted;
    sum->clicked += t->clicked;
    sum->returned += t->returned;
    sum->could_return += t->could_return;
    sum->revenue += t->revenue;
    sum->reward += t->reward;
    sum->expected += t->expected;
    sum->to_go += t->to_go;
    sum->gone_on += t->gone_on;
    sum->failed += t->failed;
}

void
simulate_count(simulate_totals_t *t, const visit_t *v,
    const visit_answer_t *a, double reward)
{
    t->decisions++;
    t->clicked += a->clicks > 0;
    t->revenue += a->revenue;
    t->reward += reward;
    t->to_go += (v->step - 1) * reward;
    t->gone_on += v->step > 1;
}

void
simulate_count_end(simulate_totals_t *t, const visit_t *v, bool returns,
    bool could)
{
    t->sessions++;
    t->converted += v->bought;
    t->could_return += could;
    t->returned += returns;
}

/* ---- the log ------------------------------------------------------------ */

static bool
log_decision(run_t *r, const visit_t *v, reco_str_t session)
{
    reco_decision_event_t  e = {
        .id = r->agent.id, .time_ms = v->time_ms,
        .generation = r->agent.generation,
        .model = r->agent.model, .customer_key = r->agent.request.customer_key,
        .session = session, .features = &r->agent.features,
        .eligible = &r->agent.eligible, .decision = &r->agent.decision,
        .request = &r->agent.request, .items = &r->agent.slate,
    };

    return simulate_log_decision(r->log, &e);
}

static bool
log_facts(run_t *r, const visit_t *v, reco_str_t session, uint64_t delay_ms,
    const reco_fact_t *facts, uint32_t nfacts, int item)
{
    const reco_action_t  *a;
    reco_reward_event_t   e = {
        .time_ms = v->time_ms + delay_ms, .generation = r->agent.generation,
        .model = r->agent.model->name, .has_decision = true,
        .decision = r->agent.id,
        .customer_key = r->agent.request.customer_key, .session = session,
        .facts = facts, .nfacts = nfacts,
    };

    a = &r->agent.model->catalogue.actions[r->agent.decision.action[0]];
    e.action = a->id;
    if (item >= 0) {
        e.items = &r->agent.slate.items[item].item.id;
        e.nitems = 1;
    }

    return simulate_log_reward(r->log, &e);
}

/* A record for each clicked item, a second apart so that no two are taken for
 * one; of a step without a click the idle minutes. */
static bool
log_answer(run_t *r, const visit_t *v, const visit_answer_t *a,
    reco_str_t session)
{
    bool         ok = true;
    uint32_t     i, n;
    reco_fact_t  facts[4];

    for (i = 0; ok && i < a->n; i++) {
        if (!a->clicked[i]) {
            continue;
        }

        n = 0;
        facts[n++] = (reco_fact_t) { RECO_STR("click"), 1 };
        if (a->carted[i]) {
            facts[n++] = (reco_fact_t) { RECO_STR("add_to_cart"), 1 };
        }
        if (a->bought[i]) {
            facts[n++] = (reco_fact_t) { RECO_STR("conversion"), 1 };
            facts[n++] = (reco_fact_t) { RECO_STR("revenue"),
                v->m->shop->items[r->agent.items[i]].price };
        }

        ok = log_facts(r, v, session, (i + 1) * (uint64_t) 1000, facts, n,
                       (int) i);
    }

    if (ok && a->idle > 0) {
        facts[0] = (reco_fact_t) { RECO_STR("idle"), a->idle };
        ok = log_facts(r, v, session, (uint64_t) (a->seconds * 1000), facts,
                       1, -1);
    }

    return ok;
}

/* ---- a session, a shopper, a chunk -------------------------------------- */

static bool
run_step(run_t *r, visit_t *v, visit_answer_t *a, simulate_totals_t *t,
    reco_str_t session)
{
    double         go_on;
    visit_facts_t  facts;

    if (!agent_decide(&r->agent, v, reco_id_next(&r->ids, v->time_ms))) {
        return false;
    }

    t->expected += agent_expects(&r->agent, v, &go_on);

    /* logged before the answer changes the cart */
    if (r->log && !log_decision(r, v, session)) {
        return false;
    }

    visit_answer(v, r->agent.items, r->agent.slate.n, a);
    visit_facts(a, &facts);
    simulate_count(t, v, a, agent_reward(&r->agent.model->reward, &facts));

    return r->log == NULL || log_answer(r, v, a, session);
}

static bool
run_session(run_t *r, visit_t *v, visit_answer_t *a, simulate_totals_t *t)
{
    char        text[64];
    bool        more = true;
    reco_str_t  session;

    session.data = text;
    session.len = (size_t) snprintf(text, sizeof(text), "%llu-%u-%u",
                                    (unsigned long long) v->seed, v->number,
                                    v->session);

    while (more) {
        if (!run_step(r, v, a, t, session)) {
            return false;
        }
        more = visit_go_on(v, a);
    }

    return true;
}

uint64_t
simulate_next(const visit_t *v, uint64_t after_ms)
{
    return visit_time(v, after_ms, 9, 7);
}

/* The shopper's chance for a session is numbered by what begins it, so that a
 * return more or less in one arm leaves the others alike. */
static bool
run_shopper(run_t *r, uint32_t number, uint64_t sessions,
    simulate_totals_t *t)
{
    bool               ok = true;
    visit_t            v;
    uint32_t           returns, most = r->o->market->a.max_returns;
    uint64_t           i, at = r->o->start_ms, back;
    visit_answer_t     a;
    market_shopper_t   s;

    market_shopper(r->o->market, &r->o->market->shop->customers[number], &s);

    for (i = 0; ok && i < sessions; i++) {
        for (back = 1, returns = 0; ok && back; returns++) {
            visit_begin(&v, r->o->market, &s, r->o->seed, number,
                        (uint32_t) (i * (most + 1) + returns), at);
            if (returns == 0) {
                v.started_ms = v.time_ms = simulate_next(&v, at);
            }

            ok = run_session(r, &v, &a, t);
            back = returns < most ? visit_return(&v, &a) : 0;
            simulate_count_end(t, &v, back != 0, returns < most);
            at = back ? back : v.time_ms;
        }
    }

    market_shopper_free(&s);

    return ok;
}

/* Nothing of a chunk's ids depends on how many jobs there are. */
static uint32_t
incarnation(uint64_t seed, uint32_t chunk, uint64_t generation)
{
    uint64_t  key[3] = { seed, chunk, generation };

    return (uint32_t) XXH3_64bits(key, sizeof(key));
}

static bool
run_chunk(run_t *r, const simulate_shoppers_t *s, uint32_t chunk,
    simulate_totals_t *totals)
{
    bool      ok = true;
    uint32_t  i, inc = incarnation(r->o->seed, chunk, r->agent.generation);

    reco_id_source_init(&r->ids, RECO_STR(SIMULATE_NODE), inc);

    if (r->o->log) {
        r->log = simulate_log_open(r->o->log, inc, r->agent.model);
        if (r->log == NULL) {
            return false;
        }
    }

    for (i = chunk; ok && i < s->n; i += SIMULATE_CHUNKS) {
        /* ids carry the time, which begins again with each shopper */
        r->ids.last_ms = 0;
        ok = run_shopper(r, s->numbers[i], simulate_share(s, i),
                         &totals[s->numbers[i]]);
    }

    if (r->log) {
        ok = simulate_log_close(r->log) && ok;
        r->log = NULL;
    }

    return ok;
}

/* ---- beginning and end -------------------------------------------------- */

bool
simulate_shoppers(const simulate_options_t *o, simulate_shoppers_t *out)
{
    uint32_t       i;
    const shop_t  *shop = o->market->shop;

    *out = (simulate_shoppers_t) { .sessions = o->sessions };
    out->numbers = tool_alloc(shop->ncustomers * sizeof(*out->numbers));

    for (i = 0; i < shop->ncustomers; i++) {
        if (o->part == PARTS || shop->customers[i].part == o->part) {
            out->numbers[out->n++] = i;
        }
    }

    if (out->n == 0) {
        tool_error("the part '%s' has no customers", part_name(o->part));
        free(out->numbers);
        return false;
    }

    return true;
}

uint64_t
simulate_share(const simulate_shoppers_t *s, uint32_t i)
{
    return s->sessions / s->n + (i < s->sessions % s->n);
}

static bool
run_chunks(run_t *r, const simulate_shoppers_t *s, uint32_t job,
    simulate_totals_t *totals)
{
    bool             ok;
    uint32_t         chunk;
    tool_progress_t  progress;

    r->agent.kind = r->o->kind;
    r->agent.fixed = r->o->action;
    r->agent.going_on = r->o->going_on;
    ok = agent_open(&r->agent, r->o->model, r->o->market);

    tool_progress_begin(&progress, "simulating", SIMULATE_CHUNKS);
    for (chunk = job; ok && chunk < SIMULATE_CHUNKS; chunk += r->o->jobs) {
        ok = run_chunk(r, s, chunk, totals);
        if (job == 0 && !r->o->quiet) {
            tool_progress_at(&progress, chunk);
        }
    }
    tool_progress_end(&progress);

    return ok;
}

/* Each job is a process with a snapshot of its own; the sums are shared. */
static bool
run_jobs(run_t *r, const simulate_shoppers_t *s, simulate_totals_t *totals)
{
    int       status;
    bool      ok = true;
    pid_t     pids[64];
    uint32_t  job, n = 0;

    for (job = 1; job < r->o->jobs && ok; job++) {
        fflush(NULL);
        pids[n] = fork();
        if (pids[n] == 0) {
            _exit(run_chunks(r, s, job, totals) ? 0 : 1);
        }
        ok = pids[n] > 0;
        n += ok;
        if (!ok) {
            tool_errno("start", "a job");
        }
    }

    ok = ok && run_chunks(r, s, 0, totals);

    for (job = 0; job < n; job++) {
        while (waitpid(pids[job], &status, 0) < 0 && errno == EINTR) {
            /* void */
        }
        ok = ok && status == 0;
    }

    return ok;
}

bool
simulate_run(const simulate_options_t *o, simulate_totals_t *totals)
{
    bool                 ok;
    run_t               *r;
    size_t               size;
    simulate_totals_t   *shared;
    simulate_shoppers_t  s;

    if (!simulate_shoppers(o, &s)) {
        return false;
    }

    size = o->market->shop->ncustomers * sizeof(*totals);
    shared = mmap(NULL, size, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        tool_errno("map", "memory");
        free(s.numbers);
        return false;
    }

    r = tool_alloc(sizeof(*r));
    memset(r, 0, sizeof(*r));
    r->o = o;
    ok = run_jobs(r, &s, shared);
    memcpy(totals, shared, size);

    munmap(shared, size);
    agent_close(&r->agent);
    free(r);
    free(s.numbers);

    return ok;
}

uint64_t
simulate_start(const shop_t *shop)
{
    uint32_t  i;
    uint64_t  last = 0;

    for (i = 0; i < shop->nbaskets; i++) {
        if (shop->baskets[i].time_ms > last) {
            last = shop->baskets[i].time_ms;
        }
    }

    return (last / MS_PER_DAY + 1) * MS_PER_DAY;
}

/* ---- what is printed ---------------------------------------------------- */

static json_t *
rate(double of, double among)
{
    return among > 0 ? json_real(of / among) : json_null();
}

json_t *
simulate_json(const simulate_totals_t *t)
{
    return json_pack("{s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
                     "s:o}",
        "sessions", (json_int_t) t->sessions,
        "decisions", (json_int_t) t->decisions,
        "failed", (json_int_t) t->failed,
        "conversion_rate", rate(t->converted, t->sessions),
        "revenue_per_session", rate(t->revenue, t->sessions),
        "click_through", rate(t->clicked, t->decisions),
        "return_rate", rate(t->returned, t->could_return),
        "steps", rate(t->decisions, t->sessions),
        "reward_per_decision", rate(t->reward, t->decisions),
        "expected_reward_per_decision", rate(t->expected, t->decisions),
        "value_of_going_on", rate(t->to_go, t->gone_on));
}

/* "-" where there was nothing to divide by. */
static void
print_figure(FILE *out, const char *name, double sum, double n, int places,
    const char *unit)
{
    if (n > 0) {
        fprintf(out, "%-20s %8.*f%s\n", name, places, sum / n, unit);
    } else {
        fprintf(out, "%-20s %8s\n", name, "-");
    }
}

void
simulate_print(const simulate_totals_t *t, FILE *out)
{
    fprintf(out, "%llu sessions, %llu decisions (%.2f a session)\n",
            (unsigned long long) t->sessions,
            (unsigned long long) t->decisions,
            t->sessions ? (double) t->decisions / t->sessions : 0);
    print_figure(out, "conversion rate", 100.0 * t->converted, t->sessions, 3,
                 " %");
    print_figure(out, "revenue per session", t->revenue, t->sessions, 4, "");
    print_figure(out, "click-through", 100.0 * t->clicked, t->decisions, 3,
                 " %");
    print_figure(out, "return rate", 100.0 * t->returned, t->could_return, 3,
                 " %");
    print_figure(out, "reward per decision", t->reward, t->decisions, 4, "");
}
