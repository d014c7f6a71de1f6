/*
 * Bits of a snapshot's own records turned over, as a reader meets them that
 * has not checked the sum: nothing crashes, whatever is read keeps its
 * promises, and what the check calls whole is whole. LMDB's pages are left
 * alone (fuzz/fuzz_snapshot.c tells why).
 */

#include "items_fixture.h"

#include <jansson.h>

#include "random.h"
#include "reco_agent.h"

#define FLIPS      2500
#define MAX_NODES  256

#define SPEC                                                                  \
    "{\"model\": \"cart\", \"version\": \"1\","                               \
    " \"features\": [{\"name\": \"taste\", \"type\": \"category\","           \
    "   \"from\": [\"request\", \"customer\"]}],"                             \
    " \"actions\": [{\"id\": \"low\"}, {\"id\": \"match\"},"                  \
    "   {\"id\": \"personal\"}, {\"id\": \"popular\"}, {\"id\": \"none\"}],"  \
    " \"policy\": {\"type\": \"q_table\", \"slate\": 1,"                      \
    "   \"state\": [\"taste\"], \"backoff\": [[]], \"min_visits\": 5,"        \
    "   \"epsilon\": {\"start\": 1, \"end\": 0.1, \"visits\": 20}},"          \
    " \"items\": {\"slate\": 3, \"per_family\": 1,"                           \
    "  \"history\": \"customer.bought\","                                     \
    "  \"prefer\": {\"feature\": \"taste\", \"boost\": 0.5},"                 \
    CART_LISTS ", \"fill\": [{\"list\": \"popular\"}]}}"

static const char  training[] =
    "{\"algorithm\": \"fitted-q\", \"episodes\": 7, \"transitions\": 9,"
    " \"conversion_rate\": 0.25, \"average_reward\": 1e-9,"
    " \"reward_by_episode\": [0, 0.5, 1e9], \"actions\": {\"low\": 1},"
    " \"countries\": {\"GB\": {\"orders\": 3, \"revenue\": 12.5}},"
    " \"convergence\": [{\"pass\": 1, \"max\": 0.125}], \"passes\": 3,"
    " \"epsilon\": 0.1, \"last_training_ms\": 1795313700123}";

/* ---- a snapshot with something of everything ---------------------------- */

static void
build(void)
{
    reco_value_t     values[2] = { word("light"), word("lamp rake") };
    reco_str_t       fields[2] = { RECO_STR("taste"), RECO_STR("bought") };
    reco_entry_t     row[2] = { { 0, 0.5, 30, 0.75 }, { 3, -1.5, 70, NAN } };
    reco_history_t   h;
    reco_builder_t  *b;

    assert_ok(reco_builder_new(in_folder("cart.mdb"), str(SPEC), NULL, 0,
                               fields, 2, NULL, &b, err));
    assert_ok(reco_builder_customer(b, str("ann"), values, err));
    assert_ok(reco_builder_row(b, str("light"), 100, row, 2, err));
    assert_ok(reco_builder_row(b, str("\x1e" "1"), 100, row, 2, err));
    cart_items(b, true);
    cart_lists(b);

    for (uint8_t i = 0; i < 4; i++) {
        h = (reco_history_t) {
            .kind = i < 2 ? 'd' : i < 3 ? 'r' : 'a', .time_ms = 1000u + i,
            .customer_key = str(i < 3 ? "ann" : ""), .session = str("s1"),
            .action = str("low"), .value = i == 0 ? NAN : 0.5, .nitems = 2,
            .items = { RECO_STR("tea"), RECO_STR("mug") },
        };
        h.id.bytes[15] = i;
        assert_ok(reco_builder_history(b, &h, err));
    }

    assert_ok(reco_builder_finish(b, 0, 0, 0, training, err));
    reco_builder_free(b);
}

/* Where keys and values of the databases lie in the file: a key and its value
 * are next to each other there. */
typedef struct {
    size_t    at, len;
} node_t;

static node_t    nodes[MAX_NODES];
static uint32_t  nnodes;

static void
nodes_of(raw_t *r, const char *db, const uint8_t *file, size_t len)
{
    MDB_dbi      dbi;
    MDB_val      k, v;
    uint8_t     *end, *at;
    MDB_cursor  *cursor;

    assert_int_equal(mdb_dbi_open(r->txn, db, 0, &dbi), 0);
    assert_int_equal(mdb_cursor_open(r->txn, dbi, &cursor), 0);

    while (mdb_cursor_get(cursor, &k, &v, MDB_NEXT) == 0) {
        end = (uint8_t *) v.mv_data + v.mv_size;
        assert_int_equal((uint8_t *) v.mv_data - (uint8_t *) k.mv_data,
                         k.mv_size);
        at = memmem(file, len, k.mv_data, (size_t) (end
                                                    - (uint8_t *) k.mv_data));
        assert_non_null(at);
        assert_true(nnodes < MAX_NODES);
        nodes[nnodes++] = (node_t) {
            (size_t) (at - file), (size_t) (end - (uint8_t *) k.mv_data)
        };
    }

    mdb_cursor_close(cursor);
}

static void
nodes_find(const uint8_t *file, size_t len)
{
    static const char *const  names[] = {
        "meta", "customers", "actions", "values", "items", "item_ids",
        "lists", "history"
    };
    raw_t  r = raw_open(in_folder("cart.mdb"));

    nnodes = 0;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        nodes_of(&r, names[i], file, len);
    }

    mdb_txn_abort(r.txn);
    mdb_env_close(r.env);
}

/* ---- reading all of it -------------------------------------------------- */

static bool
is_id_or_empty(reco_str_t s)
{
    return s.len == 0 || reco_id_is_valid(s);
}

static bool
see_customer(void *data, reco_str_t key, const reco_customer_t *c)
{
    reco_value_t  v;

    (void) data;
    (void) key;

    for (int i = 0; i < 2; i++) {
        v = reco_customer_field(c, i);
        assert_true(v.kind != RECO_VALUE_NUMBER || isfinite(v.number));
        assert_true(v.kind != RECO_VALUE_WORD || reco_id_is_valid(v.word));
    }

    return true;
}

static bool
see_row(void *data, reco_str_t key, const reco_row_t *row)
{
    (void) data;
    (void) key;

    for (uint32_t i = 0; i < row->n; i++) {
        assert_true(reco_row_entry(row, i).action < 5);
        assert_true(isfinite(reco_row_entry(row, i).value));
    }

    return true;
}

static bool
see_item(void *data, uint32_t index, const reco_item_t *item)
{
    (void) data;
    (void) index;
    assert_true(reco_id_is_valid(item->id));
    assert_true(is_id_or_empty(item->category));
    assert_false(isinf(item->price));

    return true;
}

static bool
see_list(void *data, reco_str_t name, reco_str_t key,
    const reco_list_t *list)
{
    double  sum = 0;

    (void) data;
    (void) name;
    (void) key;

    for (uint32_t i = 0; i < list->n; i++) {
        sum += reco_list_entry(list, i).score;
    }

    assert_true(sum == sum || isnan(sum));

    return true;
}

static bool
see_history(void *data, const reco_history_t *h)
{
    (void) data;
    assert_true(is_id_or_empty(h->customer_key));
    assert_true(is_id_or_empty(h->session) && is_id_or_empty(h->action));
    assert_true(h->nitems <= RECO_MAX_SLATE);

    for (uint32_t i = 0; i < h->nitems; i++) {
        assert_true(reco_id_is_valid(h->items[i]));
    }

    return true;
}

/* A walk may end early, by an error that can be shown. */
static void
walk(const reco_snapshot_t *s)
{
    reco_error_t  error = { .message = "" };

    (void) reco_snapshot_each_customer(s, see_customer, NULL, &error);
    (void) reco_snapshot_each_row(s, see_row, NULL, &error);
    (void) reco_snapshot_each_item(s, see_item, NULL, &error);
    (void) reco_snapshot_each_list(s, see_list, NULL, &error);
    (void) reco_snapshot_each_history(s, see_history, NULL, &error);
    (void) reco_snapshot_history(s, 'd', str("ann"), 0, UINT64_MAX,
                                 see_history, NULL);
    assert_true(reco_utf8_is_valid(error.message, strlen(error.message)));
}

static reco_request_t        request;
static reco_features_t       features;
static reco_mask_t           eligible;
static reco_decision_t       decision;
static reco_scratch_t        scratch;
static reco_items_scratch_t  items_scratch;
static reco_item_slate_t     slate;

static void
decide(const reco_snapshot_t *s)
{
    reco_error_t         error;
    reco_customer_t      customer;
    const reco_model_t  *model = reco_snapshot_model(s);

    reco_request_reset(&request, model->nfeatures);
    request.customer = request.customer_key = str("ann");
    request.ncart = 2;
    request.cart[0] = str("tea");
    request.cart[1] = str("mug");
    (void) reco_snapshot_customer(s, str("ann"), &customer);

    if (reco_features_resolve(model, &request, &customer, &features, &error)
        != RECO_OK)
    {
        return;
    }

    (void) reco_eligible(model, &features, false, NULL, &eligible);

    if (reco_decide(model, &features, &eligible, 1,
                    str("0193532a0c00abcd0102030400000007"), str("ann"),
                    &scratch, &decision) != RECO_OK)
    {
        return;
    }

    assert_true(decision.n == 1 && decision.action[0] < model->catalogue.n);
    assert_true(decision.propensity[0] > 0
                && decision.propensity[0] <= RECO_ONE);

    for (uint16_t a = 0; a < model->catalogue.n; a++) {
        reco_items_select(model, a, &features, &request, &customer,
                          &items_scratch, &slate);
        assert_true(slate.n <= model->items.slate);
        for (uint32_t i = 0; i < slate.n; i++) {
            assert_true(reco_id_is_valid(slate.items[i].item.id));
            assert_true(isfinite(slate.items[i].score));
        }
    }
}

/* What the agent tells is JSON, whatever the trainer's facts have become. */
static void
tell(const reco_snapshot_t *s)
{
    size_t         bound;
    json_t        *tree;
    reco_buf_t     b;
    reco_agent_t   agent = {
        .model = reco_snapshot_model(s), .info = reco_snapshot_info(s),
        .generation = 1, .time_ms = 1795313700123,
    };

    bound = reco_agent_cart.bound(&agent);

    for (int i = 0; i < 2; i++) {
        reco_buf_init(&b, malloc(bound), bound);
        assert_non_null(b.start);
        assert_int_equal((i ? reco_agent_cart.render_state
                            : reco_agent_cart.render_metrics)(&b, &agent),
                         RECO_OK);
        assert_false(b.overflow);
        /* a generation may be above what jansson calls an integer */
        tree = json_loadb(b.start, reco_buf_len(&b),
                          JSON_DECODE_INT_AS_REAL, NULL);
        assert_non_null(tree);
        json_decref(tree);
        free(b.start);
    }
}

/* ---- flips -------------------------------------------------------------- */

/* Opened or refused; what was opened is read. Whether it was. */
static bool
read_all(const char *path)
{
    reco_error_t      error = { .message = "" };
    reco_status_t     rc;
    reco_snapshot_t  *s;

    rc = reco_snapshot_open(path, NULL, &s, &error);

    if (rc != RECO_OK) {
        assert_null(s);
        assert_true(error.message[0] != '\0');
        return false;
    }

    walk(s);
    decide(s);
    tell(s);

    rc = reco_snapshot_check(s, &error);
    assert_true(rc == RECO_OK || rc == RECO_CORRUPT);
    reco_snapshot_close(s);

    return true;
}

/* More of them: RECO_FLIPS=100000. Each is of one to four bits in one
 * record. */
static void
test_flips(void **state)
{
    int            fd;
    size_t         len;
    uint8_t       *file, *flipped;
    node_t        *node;
    random_t       random;
    uint32_t       opened = 0, n = FLIPS;
    const char    *more = getenv("RECO_FLIPS");

    (void) state;

    n = more != NULL ? (uint32_t) atoi(more) : n;
    random_init(&random, 20261122 + n);
    build();
    file = file_read(in_folder("cart.mdb"), &len);
    nodes_find(file, len);
    assert_true(nnodes > 40);
    assert_true(read_all(in_folder("cart.mdb")));

    flipped = malloc(len);
    assert_non_null(flipped);

    for (uint32_t i = 0; i < n; i++) {
        memcpy(flipped, file, len);
        node = &nodes[random_below(&random, nnodes)];

        for (uint32_t j = random_below(&random, 4) + 1; j > 0; j--) {
            flipped[node->at + random_below(&random, (uint32_t) node->len)]
                ^= (uint8_t) (1u << random_below(&random, 8));
        }

        /* one file, always the same: nobody has it open now */
        fd = open(in_folder("flipped.mdb"), O_WRONLY | O_CREAT, 0666);
        assert_int_not_equal(fd, -1);
        assert_int_equal(pwrite(fd, flipped, len, 0), (ssize_t) len);
        close(fd);
        opened += read_all(in_folder("flipped.mdb"));
    }

    /* some are refused at once, most are not */
    assert_true(opened > n / 2 && opened < n);
    free(flipped);
    free(file);
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_flips),
    };

    return cmocka_run_group_tests_name("snapshot_flips", tests, folder_make,
                                       folder_remove);
}
