/*
 * The event log's files, secrets and specs while each
 * call that can fail does, once: an error that tells the cause, or success;
 * nothing is left on the heap or open. A record that was acknowledged is read
 * back, once.
 */

#include "segment_fixture.h"
#include "faults.h"

#include "reco_spec.h"
#include "reco_token.h"

static int  acknowledged;       /* records whose append returned RECO_OK */
static int  found;              /* records that were read */

static void
folder_empty(void)
{
    DIR            *d = opendir(dir);
    struct dirent  *e;

    assert_non_null(d);

    while ((e = readdir(d)) != NULL) {
        unlinkat(dirfd(d), e->d_name, 0);
    }
    closedir(d);
}

/* ---- writing ------------------------------------------------------------ */

/* A writer tries again what failed, as the module does. */
static reco_status_t
write_run(reco_segment_t *s, reco_error_t *err)
{
    reco_status_t  rc, failed = RECO_OK;

    for (unsigned seq = 1; seq <= 3; seq++) {
        rc = reco_segment_append(s, record(seq), strlen(record(seq)), err);
        if (rc == RECO_OK) {
            acknowledged++;
            rc = reco_segment_sync(s, err);
        }
        failed = rc != RECO_OK ? rc : failed;
    }

    return failed;
}

static reco_status_t
write_try(reco_error_t *err)
{
    reco_status_t   rc, end;
    reco_error_t    other = { .message = "" };
    reco_segment_t  s;

    acknowledged = 0;

    rc = reco_segment_open(&s, dir, NODE, INC, 0, 1000, NULL, err);
    if (rc == RECO_OK) {
        rc = write_run(&s, err);
        end = reco_segment_finish(&s, rc == RECO_OK ? err : &other);
        rc = rc == RECO_OK ? end : rc;
    }

    return rc;
}

/* Records of the log, or -1. */
static int
count_records(reco_error_t *err)
{
    int                 n = 0;
    reco_event_t       *e;
    reco_status_t       rc;
    reco_log_reader_t  *r;

    if (reco_log_open(dir, &r, err) != RECO_OK) {
        return -1;
    }

    while ((rc = reco_log_next(r, &e, err)) == RECO_OK) {
        n += e->type == RECO_EVENT_REWARD;
    }

    reco_log_close(r);

    return rc == RECO_NOT_FOUND ? n : -1;
}

/* A writer that failed may leave its segment open: the next one closes it. */
static const char *
write_judge(reco_status_t rc)
{
    reco_recovery_t  recovered;

    (void) rc;

    if (reco_segment_recover(dir, &recovered, &err) != RECO_OK) {
        return err.message;
    }

    found = count_records(&err);

    return found == acknowledged ? NULL : "other records than acknowledged";
}

static void
test_write(void **state)
{
    static const operation_t  writes = {
        "write a segment", folder_empty, write_try, write_judge
    };

    (void) state;

    fault_each(&writes);
}

/* ---- recovering --------------------------------------------------------- */

static void
torn(void)
{
    reco_segment_t  s;

    folder_empty();
    open_ok(&s, 0);
    append_ok(&s, record(1));
    append_ok(&s, record(2));
    append_ok(&s, "{\"type\":\"rew");
    abandon(&s);
    open_ok(&s, 1);                 /* with no record: is removed */
    abandon(&s);
}

static reco_status_t
recover_try(reco_error_t *err)
{
    reco_recovery_t  recovered;

    return reco_segment_recover(dir, &recovered, err);
}

static const char *
recover_judge(reco_status_t rc)
{
    reco_recovery_t  again;

    if (rc == RECO_OK && (!exists(CLOSED_0) || exists(OPEN_0))) {
        return "not recovered";
    }

    if (reco_segment_recover(dir, &again, &err) != RECO_OK) {
        return err.message;
    }

    return count_records(&err) == 2 ? NULL : "other records";
}

static void
test_recover(void **state)
{
    static const operation_t  recovers = {
        "recover", torn, recover_try, recover_judge
    };

    (void) state;

    fault_each(&recovers);
}

/* ---- making room -------------------------------------------------------- */

static reco_retained_t  left;
static uint64_t         one;        /* bytes of a segment */

/* 0: it is not there. */
static off_t
closed(unsigned number)
{
    char  name[64];

    snprintf(name, sizeof(name), "reco-edge-1-%08x-%06u.ndjson", INC, number);

    return exists(name) ? size_of(name) : 0;
}

static void
three_closed(void)
{
    unsigned        i;
    reco_segment_t  s;

    folder_empty();

    for (i = 0; i < 3; i++) {
        open_ok(&s, i);
        append_ok(&s, record(i + 1));
        assert_int_equal(reco_segment_finish(&s, &err), RECO_OK);
        one = (uint64_t) closed(i);
        assert_true(one > 0);
    }
}

/* Room for one of them. */
static reco_status_t
retain_try(reco_error_t *err)
{
    reco_retain_t  want = {
        .dir = dir, .node = NODE, .max = one, .drop_to = one,
    };

    return reco_segment_retain(&want, &left, err);
}

/* Never a hole, never counted for less than there is. */
static const char *
retain_judge(reco_status_t rc)
{
    off_t  a = closed(0), b = closed(1), c = closed(2);

    if ((a > 0 && (b == 0 || c == 0)) || (b > 0 && c == 0)) {
        return "a hole";
    }
    if (left.counted && left.bytes < (uint64_t) (a + b + c)) {
        return "counted for less than there is";
    }
    if (rc == RECO_OK && left.held == 0 && (a > 0 || b > 0 || c == 0)) {
        return "not as much room as is wanted";
    }

    return NULL;
}

static void
test_retain(void **state)
{
    static const operation_t  retains = {
        "make room", three_closed, retain_try, retain_judge
    };

    (void) state;

    fault_each(&retains);
}

/* ---- reading ------------------------------------------------------------ */

/* What cannot be read is said: never is less read than there is. */
static reco_status_t
read_try(reco_error_t *err)
{
    found = count_records(err);

    return found < 0 ? err->status : RECO_OK;
}

static const char *
read_judge(reco_status_t rc)
{
    return rc != RECO_OK || found == 3 ? NULL : "not all was read";
}

static void
test_read(void **state)
{
    reco_segment_t            s;
    static const operation_t  reads = {
        "read a log", NULL, read_try, read_judge
    };

    (void) state;

    open_ok(&s, 0);
    append_ok(&s, record(1));
    append_ok(&s, record(2));
    assert_int_equal(reco_segment_finish(&s, &err), RECO_OK);
    open_ok(&s, 1);
    append_ok(&s, record(3));
    fault_each(&reads);
    abandon(&s);
}

/* ---- secrets, specs ------------------------------------------------------ */

static reco_status_t
secret_try(reco_error_t *err)
{
    reco_status_t   rc;
    reco_secret_t  *secret;

    rc = reco_secret_read(path_of("secret"), &secret, err);
    if (rc == RECO_OK) {
        reco_secret_free(secret);
    }

    return rc;
}

static void
test_secret(void **state)
{
    static const operation_t  secrets = {
        "read a secret", NULL, secret_try, NULL
    };

    (void) state;

    write_file("secret", "hash 00112233445566778899aabbccddeeff\n"
               "sign k1 ffeeddccbbaa99887766554433221100\n", "w");
    fault_each(&secrets);
}

/* Reads a spec that has some of everything, and writes it with what was
 * learned. */
static const char  spec[] =
    "{\"model\": \"m\", \"version\": \"1\","
    " \"features\": ["
    "  {\"name\": \"age\", \"type\": \"number\", \"from\": [\"request\"],"
    "   \"bins\": {\"quantiles\": 2}},"
    "  {\"name\": \"size\", \"type\": \"number\", \"from\": [\"request\"],"
    "   \"bins\": [1, 2]},"
    "  {\"name\": \"town\", \"type\": \"category\", \"from\": [\"customer\"],"
    "   \"vocabulary\": {\"top\": 2}},"
    "  {\"name\": \"word\", \"type\": \"category\", \"from\": [\"request\"],"
    "   \"vocabulary\": [\"a\", \"b\"]},"
    "  {\"name\": \"sex\", \"type\": \"category\", \"from\": [\"request\"],"
    "   \"codes\": {\"M\": 0, \"F\": 1}}],"
    " \"actions\": [{\"id\": \"A\", \"name\": \"Apple\"}, {\"id\": \"B\"}],"
    " \"columns\": {\"customer\": \"id\", \"actions\": {\"A\": \"a\"}},"
    " \"rules\": [{\"when\": {\"all\": [{\"age\": {\"in\": [1, 2]}},"
    "   {\"not\": {\"sex\": \"M\"}}, {\"any\": [{\"word\": \"a\"}]}]},"
    "   \"deny\": [\"A\"]}],"
    " \"policy\": {\"type\": \"weights\", \"slate\": 1, \"cases\": ["
    "   {\"when\": {\"sex\": \"F\"}, \"weights\": {\"A\": 1, \"B\": 2}}],"
    "   \"weights\": {\"A\": 2, \"B\": 1}},"
    " \"items\": {\"slate\": 1, \"strategies\": {"
    "   \"A\": [{\"list\": \"x\", \"by\": \"town\"}],"
    "   \"B\": [{\"list\": \"x\"}]}},"
    " \"reward\": {\"click\": 1, \"dwell\": {\"over\": \"60s\","
    "   \"value\": 0.5}, \"horizon\": \"30m\"}}";

static reco_status_t
spec_try(reco_error_t *err)
{
    char            *text;
    size_t           len;
    double           edge = 40;
    reco_str_t       word = RECO_STR("Rome"), field = RECO_STR("town");
    reco_model_t    *model;
    reco_status_t    rc;
    reco_learned_t   learned[5] = {
        [0] = { .known = true, .edges = &edge, .nedges = 1 },
        [2] = { .known = true, .words = &word, .nwords = 1 },
    };

    rc = reco_spec_read(RECO_STR(spec), &model, NULL, err);
    if (rc != RECO_OK) {
        return rc;
    }

    rc = reco_spec_resolve(RECO_STR(spec), model, learned, &text, &len, err);
    if (rc == RECO_OK) {
        free(text);
        rc = reco_spec_bind(model, NULL, 0, &field, 1, err);
    }

    reco_model_free(model);

    return rc;
}

static void
test_spec(void **state)
{
    static const operation_t  specs = { "read a spec", NULL, spec_try, NULL };

    (void) state;

    fault_each(&specs);
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(test_write, setup, teardown),
        cmocka_unit_test_setup_teardown(test_recover, setup, teardown),
        cmocka_unit_test_setup_teardown(test_retain, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_secret, setup, teardown),
        cmocka_unit_test(test_spec),
    };

    return cmocka_run_group_tests_name("faults_log", tests, NULL, NULL);
}
