/*
 * fuzz_event.c - lines of the event log: hostile ones are refused with words,
 * accepted ones keep their promises, and what is written reads back the same.
 */

#include <jansson.h>

#include "fuzz_model.h"
#include "reco_event.h"

static reco_json_keys_t  keys;
static reco_event_t      event;         /* a line of the input */
static reco_event_t      back;          /* one that was written */

/* Many features, actions whose ids need escapes, the longest slate. */
static reco_model_t *
make_model(void)
{
    char           text[16384], *p;
    unsigned       i;
    reco_model_t  *model;

    p = text + sprintf(text, "{\"model\":\"m \\\"\\\\ \\u2028\",\"version\":"
                       "\"1\",\"features\":[");

    for (i = 0; i < 12; i++) {
        p += sprintf(p, "%s{\"name\":\"f\\\"%u\",\"type\":\"%s\",\"from\":"
                     "[\"request\"]}", i ? "," : "", i,
                     i % 2 ? "number" : "category");
    }

    p += sprintf(p, "],\"actions\":[");

    for (i = 0; i < 131; i++) {
        p += sprintf(p, "%s{\"id\":\"a\\\"\\u2029%u\"}", i ? "," : "", i);
    }

    (void) sprintf(p, "],\"policy\":{\"type\":\"uniform\",\"slate\":64}}");

    model = fuzz_model(text);
    model->items.slate = RECO_MAX_SLATE;    /* for the bound; a spec with a
                                               slate of actions has none */

    return model;
}

/* The line in b, which is within its bound and ends where it should. */
static reco_str_t
written(const reco_buf_t *b)
{
    json_t  *tree;
    size_t   len;

    FUZZ_ASSERT(!b->overflow);
    len = reco_buf_len(b);
    FUZZ_ASSERT(len > 0 && b->start[len - 1] == '\n');
    FUZZ_ASSERT(memchr(b->start, '\n', len) == b->start + len - 1);

    tree = json_loadb(b->start, len - 1, JSON_REJECT_DUPLICATES
                      | JSON_DECODE_INT_AS_REAL, NULL);
    FUZZ_ASSERT(tree != NULL);
    json_decref(tree);

    return fuzz_copy(b->start, len - 1);
}

/* Reads what was written; returns the memory that 'back' is in. */
static char *
read_back(reco_str_t line)
{
    char          *memory;
    reco_arena_t   arena;
    reco_error_t   err;

    memory = fuzz_alloc(line.len + 8);
    arena = (reco_arena_t) { memory, line.len + 8, 0 };
    FUZZ_ASSERT(reco_event_read(line, &arena, &keys, &back, &err) == RECO_OK);

    return memory;
}

/* ---- written, then read ------------------------------------------------- */

static bool
same_value(const reco_value_t *a, const reco_value_t *b)
{
    return a->kind == b->kind
           && (a->kind == RECO_VALUE_NUMBER
               ? memcmp(&a->number, &b->number, sizeof(a->number)) == 0
               : reco_str_equal(a->word, b->word));
}

static void
compare_features(const reco_decision_event_t *e)
{
    uint32_t  i, n;

    for (i = n = 0; i < e->features->n; i++) {
        if (e->features->value[i].kind != RECO_VALUE_MISSING) {
            FUZZ_ASSERT(n < back.nfeatures);
            FUZZ_ASSERT(reco_str_equal(back.features[n].name,
                                       e->model->features[i].name));
            FUZZ_ASSERT(same_value(&back.features[n].value,
                                   &e->features->value[i]));
            FUZZ_ASSERT(back.features[n].source == e->features->source[i]);
            n++;
        }
    }

    FUZZ_ASSERT(n == back.nfeatures);
}

static void
compare_ids(const reco_str_t *a, uint32_t na, const reco_str_t *b,
    uint32_t nb)
{
    uint32_t  i;

    FUZZ_ASSERT(na == nb);

    for (i = 0; i < na; i++) {
        FUZZ_ASSERT(reco_str_equal(a[i], b[i]));
    }
}

static void
compare_decision(const reco_decision_event_t *e)
{
    uint32_t     i;
    reco_mask_t  mask;

    FUZZ_ASSERT(back.type == RECO_EVENT_DECISION && back.seq == e->seq);
    FUZZ_ASSERT(back.has_id && memcmp(&back.id, &e->id, 16) == 0);
    FUZZ_ASSERT(back.time_ms == e->time_ms);
    FUZZ_ASSERT(back.generation == e->generation);
    FUZZ_ASSERT(reco_str_equal(back.model, e->model->name));
    FUZZ_ASSERT(reco_str_equal(back.customer_key, e->customer_key));
    FUZZ_ASSERT(reco_str_equal(back.session, e->session));
    FUZZ_ASSERT(back.fallback == e->fallback);
    FUZZ_ASSERT(back.not_replayable == e->not_replayable);
    FUZZ_ASSERT(back.low_mass == e->decision->low_mass);
    FUZZ_ASSERT(back.pinned == e->decision->pinned);
    FUZZ_ASSERT(back.actions == e->model->catalogue.n);
    FUZZ_ASSERT(reco_mask_read(back.eligible, back.actions, &mask));

    for (i = 0; i < back.actions; i++) {
        FUZZ_ASSERT(reco_mask_get(&mask, i) == reco_mask_get(e->eligible, i));
    }

    FUZZ_ASSERT(back.level == e->decision->level);
    compare_ids(back.cart, back.ncart, e->request->cart, e->request->ncart);
    compare_ids(back.exclude, back.nexclude, e->request->exclude,
                e->request->nexclude);
    FUZZ_ASSERT(back.nitems == e->items->n);

    for (i = 0; i < back.nitems; i++) {
        FUZZ_ASSERT(reco_str_equal(back.items[i],
                                   e->items->items[i].item.id));
    }

    FUZZ_ASSERT(back.nslate == e->decision->n);

    for (i = 0; i < back.nslate; i++) {
        FUZZ_ASSERT(back.propensity[i] == e->decision->propensity[i]);
        FUZZ_ASSERT(reco_str_equal(back.slate[i], e->model->catalogue.actions[
                                       e->decision->action[i]].id));
    }
}

static void
fill_features(fuzz_input_t *in, reco_features_t *f, uint32_t n,
    char words[][RECO_MAX_ID])
{
    uint32_t  i;

    f->n = n;

    for (i = 0; i < n; i++) {
        f->value[i].kind = (reco_value_kind_t) fuzz_below(in, 3);
        f->source[i] = (uint8_t) (1 + fuzz_below(in, 5));

        if (f->value[i].kind == RECO_VALUE_NUMBER) {
            f->value[i].number = fuzz_finite(in);
        } else if (f->value[i].kind == RECO_VALUE_WORD) {
            f->value[i].word = fuzz_id(in, words[i], 1);
        }
    }
}

static uint32_t
fill_ids(fuzz_input_t *in, reco_str_t *ids, uint32_t max,
    char room[][RECO_MAX_ID])
{
    uint32_t  i, n;

    n = fuzz_below(in, max + 1);

    for (i = 0; i < n; i++) {
        ids[i] = fuzz_id(in, room[i], 1);
    }

    return n;
}

/* Cart, excluded items and the slate of items. */
static void
fill_items(fuzz_input_t *in, reco_request_t *request,
    reco_item_slate_t *items)
{
    uint32_t     i;
    reco_str_t   ids[RECO_MAX_SLATE];
    static char  room[3][64][RECO_MAX_ID];

    request->ncart = fill_ids(in, request->cart, RECO_MAX_CART, room[0]);
    request->nexclude = fill_ids(in, request->exclude, RECO_MAX_CART,
                                 room[1]);
    items->n = fill_ids(in, ids, RECO_MAX_SLATE, room[2]);

    for (i = 0; i < items->n; i++) {
        items->items[i].item.id = ids[i];
    }
}

static void
try_decision(fuzz_input_t *in)
{
    char                    words[12][RECO_MAX_ID], customer[RECO_MAX_ID];
    char                    session[RECO_MAX_ID], *memory, *room;
    size_t                  bound;
    uint32_t                i;
    reco_buf_t              b;
    reco_str_t              line;
    reco_mask_t             mask;
    reco_decision_event_t   e;
    static reco_model_t    *model;
    static reco_features_t  features;
    static reco_decision_t  decision;
    static reco_request_t     request;
    static reco_item_slate_t  items;

    if (model == NULL) {
        model = make_model();
    }

    memset(&e, 0, sizeof(e));
    e.seq = fuzz_bytes(in, 8);
    e.time_ms = fuzz_bytes(in, 6);
    e.generation = fuzz_bytes(in, 8);
    e.model = model;
    e.fallback = fuzz_below(in, 2);
    e.not_replayable = fuzz_below(in, 2);

    for (i = 0; i < RECO_ID_BYTES; i++) {
        e.id.bytes[i] = (uint8_t) fuzz_bytes(in, 1);
    }

    for (i = 0; i < sizeof(mask) / 8; i++) {
        mask.bits[i] = fuzz_bytes(in, 1) & 1 ? UINT64_MAX : fuzz_bytes(in, 8);
    }

    decision.n = 1 + fuzz_below(in, RECO_MAX_SLATE);
    decision.pinned = fuzz_below(in, decision.n + 1);
    decision.low_mass = fuzz_below(in, 2);
    decision.level = (uint8_t) fuzz_below(in, RECO_MAX_LEVELS);

    for (i = 0; i < decision.n; i++) {
        decision.action[i] = (uint16_t) fuzz_below(in, model->catalogue.n);
        decision.propensity[i] = 1 + fuzz_bytes(in, 4);
    }

    e.customer_key = fuzz_id(in, customer, 0);
    e.session = fuzz_id(in, session, 0);
    fill_features(in, &features, model->nfeatures, words);
    e.features = &features;
    e.eligible = &mask;
    e.decision = &decision;
    e.request = &request;
    e.items = &items;
    fill_items(in, &request, &items);

    bound = reco_event_decision_bound(model)
            + reco_event_request_bound(&request);
    room = fuzz_alloc(bound);
    reco_buf_init(&b, room, bound);
    reco_event_write_decision(&b, &e);
    line = written(&b);

    memory = read_back(line);
    compare_decision(&e);
    compare_features(&e);

    free(memory);
    free(room);
    fuzz_free(line);
}

/* Names must differ: the place in the list goes behind the name. */
static uint32_t
fill_facts(fuzz_input_t *in, reco_fact_t *facts, char names[][RECO_MAX_ID + 4])
{
    uint32_t  i, n;

    n = 1 + fuzz_below(in, RECO_MAX_FACTS);

    for (i = 0; i < n; i++) {
        facts[i].name = fuzz_id(in, names[i], 1);
        if (facts[i].name.len > RECO_MAX_ID - 4) {
            facts[i].name.len = 1;
        }
        facts[i].name.len += (size_t) sprintf(names[i] + facts[i].name.len,
                                              "%u", i + 100);
        facts[i].value = fuzz_finite(in);
    }

    return n;
}

static void
compare_reward(const reco_reward_event_t *e)
{
    uint32_t  i;

    FUZZ_ASSERT(back.type == RECO_EVENT_REWARD && back.seq == e->seq);
    FUZZ_ASSERT(back.time_ms == e->time_ms);
    FUZZ_ASSERT(back.generation == e->generation);
    FUZZ_ASSERT(reco_str_equal(back.model, e->model));
    FUZZ_ASSERT(back.has_id == e->has_decision);
    FUZZ_ASSERT(!back.has_id || memcmp(&back.id, &e->decision, 16) == 0);
    FUZZ_ASSERT(reco_str_equal(back.customer_key, e->customer_key));
    FUZZ_ASSERT(reco_str_equal(back.key, e->key));
    FUZZ_ASSERT(reco_str_equal(back.action, e->action));
    FUZZ_ASSERT(reco_str_equal(back.session, e->session));
    compare_ids(back.items, back.nitems, e->items, e->nitems);
    FUZZ_ASSERT(back.nfacts == e->nfacts);

    for (i = 0; i < back.nfacts; i++) {
        FUZZ_ASSERT(reco_str_equal(back.facts[i].name, e->facts[i].name));
        FUZZ_ASSERT(memcmp(&back.facts[i].value, &e->facts[i].value, 8) == 0);
    }
}

static void
check_reward_back(const reco_reward_event_t *e)
{
    char        *room, *memory;
    size_t       bound;
    reco_buf_t   b;
    reco_str_t   line;

    bound = reco_event_reward_bound();
    room = fuzz_alloc(bound);
    reco_buf_init(&b, room, bound);
    reco_event_write_reward(&b, e);
    line = written(&b);
    memory = read_back(line);
    compare_reward(e);

    free(memory);
    free(room);
    fuzz_free(line);
}

static void
try_reward(fuzz_input_t *in)
{
    char                 names[RECO_MAX_FACTS][RECO_MAX_ID + 4];
    char                 ids[5][RECO_MAX_ID];
    uint32_t             i;
    reco_str_t           items[RECO_MAX_SLATE];
    static char          rooms[RECO_MAX_SLATE][RECO_MAX_ID];
    reco_fact_t          facts[RECO_MAX_FACTS];
    reco_reward_event_t  e;

    memset(&e, 0, sizeof(e));
    e.seq = fuzz_bytes(in, 8);
    e.time_ms = fuzz_bytes(in, 6);
    e.generation = fuzz_bytes(in, 8);
    e.has_decision = fuzz_below(in, 2);

    for (i = 0; i < RECO_ID_BYTES; i++) {
        e.decision.bytes[i] = (uint8_t) fuzz_bytes(in, 1);
    }

    e.model = fuzz_id(in, ids[0], 1);
    e.customer_key = fuzz_id(in, ids[1], !e.has_decision);
    e.key = fuzz_id(in, ids[2], 0);
    e.action = fuzz_id(in, ids[3], 0);
    e.session = fuzz_id(in, ids[4], 0);
    e.items = items;
    e.nitems = fill_ids(in, items, RECO_MAX_SLATE, rooms);
    e.facts = facts;
    e.nfacts = fill_facts(in, facts, names);

    check_reward_back(&e);
}

static void
try_header(fuzz_input_t *in)
{
    char                    node[RECO_MAX_ID], boot[RECO_MAX_ID];
    char                    room[4096], *memory;
    reco_buf_t              b;
    reco_str_t              line;
    reco_segment_header_t   h;

    h.incarnation = (uint32_t) fuzz_bytes(in, 4);
    h.segment = fuzz_bytes(in, 8);
    h.time_ms = fuzz_bytes(in, 6);
    h.node = fuzz_id(in, node, 1);
    h.clock.known = fuzz_below(in, 2);
    h.clock.offset_ms = (int64_t) (fuzz_bytes(in, 8) >> 1)
                        * (fuzz_below(in, 2) ? 1 : -1);
    h.clock.boot = fuzz_id(in, boot, 0);

    reco_buf_init(&b, room, sizeof(room));
    reco_event_write_header(&b, &h);
    FUZZ_ASSERT(reco_buf_len(&b) >= 512);
    line = written(&b);
    memory = read_back(line);
    FUZZ_ASSERT(back.type == RECO_EVENT_HEADER);
    FUZZ_ASSERT(reco_str_equal(back.header.node, h.node));
    FUZZ_ASSERT(back.header.incarnation == h.incarnation);
    FUZZ_ASSERT(back.header.segment == h.segment);
    FUZZ_ASSERT(back.header.time_ms == h.time_ms);
    FUZZ_ASSERT(back.header.clock.known == h.clock.known);
    FUZZ_ASSERT(!h.clock.known
                || (back.header.clock.offset_ms == h.clock.offset_ms
                    && reco_str_equal(back.header.clock.boot, h.clock.boot)));
    free(memory);
    fuzz_free(line);
}

/* A note of what was lost, whose numbers fit each other. */
static void
try_lost(fuzz_input_t *in)
{
    char         room[RECO_EVENT_LOST_BOUND], *memory;
    uint64_t     seq, numbers;
    reco_buf_t   b;
    reco_str_t   line;
    reco_lost_t  lost;

    seq = 2 + fuzz_bytes(in, 8) % (UINT64_MAX - 1);
    lost.to = 1 + fuzz_bytes(in, 8) % (seq - 1);
    lost.from = 1 + fuzz_bytes(in, 8) % lost.to;
    numbers = lost.to - lost.from + 1;
    lost.decisions = fuzz_bytes(in, 8) % numbers;
    lost.rewards = fuzz_bytes(in, 8) % (numbers - lost.decisions + 1);
    lost.elapsed_ms = fuzz_bytes(in, 8);

    reco_buf_init(&b, room, sizeof(room));
    reco_event_write_lost(&b, seq, fuzz_bytes(in, 6), &lost);
    line = written(&b);
    memory = read_back(line);
    FUZZ_ASSERT(back.type == RECO_EVENT_LOST && back.seq == seq);
    FUZZ_ASSERT(memcmp(&back.lost, &lost, sizeof(lost)) == 0);
    free(memory);
    fuzz_free(line);
}

/* As long as it should be, and read as it was meant. */
static void
try_forgotten(fuzz_input_t *in)
{
    char        room[4096], *memory;
    size_t      i, len;
    uint64_t    seq, time_ms;
    reco_id_t   id;
    reco_buf_t  b;
    reco_str_t  line;
    bool        has_id;

    seq = fuzz_bytes(in, 8);
    time_ms = fuzz_bytes(in, 6);
    has_id = fuzz_below(in, 2);
    len = fuzz_below(in, sizeof(room));

    for (i = 0; i < RECO_ID_BYTES; i++) {
        id.bytes[i] = (uint8_t) fuzz_bytes(in, 1);
    }

    reco_buf_init(&b, room, sizeof(room));
    reco_event_write_forgotten(&b, seq, time_ms, has_id ? &id : NULL, len);
    FUZZ_ASSERT(len < 256 || reco_buf_len(&b) == len);
    line = written(&b);
    memory = read_back(line);
    FUZZ_ASSERT(back.type == RECO_EVENT_FORGOTTEN && back.seq == seq);
    FUZZ_ASSERT(back.time_ms == time_ms && back.has_id == has_id);
    FUZZ_ASSERT(!has_id || memcmp(&back.id, &id, sizeof(id)) == 0);
    free(memory);
    fuzz_free(line);
}

static void
try_mask(fuzz_input_t *in)
{
    char         text[RECO_MAX_ACTIONS / 4 + 1];
    uint32_t     n;
    reco_buf_t   b;
    reco_str_t   given;
    reco_mask_t  mask;

    n = fuzz_below(in, RECO_MAX_ACTIONS + 2);
    given = fuzz_copy(in->data, in->size);

    if (reco_mask_read(given, n, &mask)) {
        reco_buf_init(&b, text, n / 4 + 1);
        reco_mask_write(&b, &mask, n);
        FUZZ_ASSERT(!b.overflow || n < 9);
        if (!b.overflow && memcmp(text, "all", 3) != 0) {
            FUZZ_ASSERT(reco_str_equal(given, (reco_str_t) {
                            text, reco_buf_len(&b) }));
        }
    }

    fuzz_free(given);
}

/* ---- hostile lines ------------------------------------------------------ */

static void
check_hostile_decision(void)
{
    uint32_t     i;
    reco_mask_t  mask;

    FUZZ_ASSERT(event.has_id && event.model.len > 0);
    FUZZ_ASSERT(event.nslate > 0 && event.nslate <= RECO_MAX_SLATE);
    FUZZ_ASSERT(event.pinned <= event.nslate);
    FUZZ_ASSERT(event.level < RECO_MAX_LEVELS);
    FUZZ_ASSERT(event.ncart <= RECO_MAX_CART);
    FUZZ_ASSERT(event.nexclude <= RECO_MAX_CART);
    FUZZ_ASSERT(event.nitems <= RECO_MAX_SLATE);
    FUZZ_ASSERT(event.nfeatures <= RECO_MAX_FEATURES);
    FUZZ_ASSERT(reco_mask_read(event.eligible, event.actions, &mask));

    for (i = 0; i < event.nslate; i++) {
        FUZZ_ASSERT(reco_id_is_valid(event.slate[i]));
        FUZZ_ASSERT(event.propensity[i] <= RECO_ONE);
    }

    for (i = 0; i < event.nfeatures; i++) {
        FUZZ_ASSERT(reco_id_is_valid(event.features[i].name));
        FUZZ_ASSERT(event.features[i].value.kind != RECO_VALUE_MISSING);
    }
}

/* An accepted reward can be written, and is then read the same. */
static void
check_hostile_reward(void)
{
    reco_reward_event_t  e;

    FUZZ_ASSERT(event.nfacts > 0 && event.nfacts <= RECO_MAX_FACTS);
    FUZZ_ASSERT(event.has_id || event.customer_key.len > 0);

    e = (reco_reward_event_t) {
        .seq = event.seq, .time_ms = event.time_ms,
        .generation = event.generation, .model = event.model,
        .has_decision = event.has_id, .decision = event.id,
        .customer_key = event.customer_key, .key = event.key,
        .action = event.action, .session = event.session,
        .items = event.items, .nitems = event.nitems, .facts = event.facts,
        .nfacts = event.nfacts,
    };

    check_reward_back(&e);
}

static void
try_line(reco_str_t line)
{
    char           *memory;
    reco_arena_t    arena;
    reco_error_t    err;
    reco_status_t   rc;

    memory = fuzz_alloc(line.len + 8);
    arena = (reco_arena_t) { memory, line.len + 8, 0 };
    rc = reco_event_read(line, &arena, &keys, &event, &err);

    if (rc != RECO_OK) {
        fuzz_check_error(&err, rc, line.len);

    } else if (event.type == RECO_EVENT_DECISION) {
        check_hostile_decision();

    } else if (event.type == RECO_EVENT_REWARD) {
        check_hostile_reward();

    } else if (event.type == RECO_EVENT_HEADER) {
        FUZZ_ASSERT(event.header.node.len > 0);

    } else if (event.type == RECO_EVENT_LOST) {
        FUZZ_ASSERT(event.lost.from > 0 && event.lost.from <= event.lost.to);
        FUZZ_ASSERT(event.lost.to < event.seq);
        FUZZ_ASSERT(event.lost.decisions <= event.lost.to);
        FUZZ_ASSERT(event.lost.rewards <= event.lost.to);
    }

    free(memory);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    reco_str_t    line;
    fuzz_input_t  in;

    if (size == 0) {
        return 0;
    }

    in = (fuzz_input_t) { data + 1, size - 1 };

    /* '{' begins a line as it stands in a log */
    switch (data[0]) {
    case 'd':
        try_decision(&in);
        break;
    case 'r':
        try_reward(&in);
        break;
    case 'h':
        try_header(&in);
        break;
    case 'l':
        try_lost(&in);
        break;
    case 'f':
        try_forgotten(&in);
        break;
    case 'm':
        try_mask(&in);
        break;
    default:
        line = fuzz_copy(data, size);
        try_line(line);
        fuzz_free(line);
    }

    return 0;
}
