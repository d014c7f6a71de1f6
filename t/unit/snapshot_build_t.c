/*
 * Building snapshots: input that is refused, limits, and builds that fail or
 * are killed and leave nothing behind.
 */

#include "snapshot_fixture.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* ---- input that is refused ---------------------------------------------- */

static void
assert_customer_refused(reco_builder_t *b, const char *key, reco_value_t age,
    reco_status_t status, const char *words)
{
    reco_value_t  values[3] = { age, missing(), missing() };

    assert_fails(reco_builder_customer(b, str(key), values, err), status,
                 words);
}

static void
test_customers_refused(void **state)
{
    char             longest[257];
    reco_error_t     err;
    reco_value_t     values[3] = { missing(), number(INFINITY), missing() };
    reco_builder_t  *b = shop_builder(in_folder("refused.mdb"), SHOP_SPEC);

    (void) state;

    memset(longest, 'x', 256);
    longest[256] = '\0';

    shop_customer(b, "b", number(1), missing(), missing());
    assert_customer_refused(b, "b", number(2), RECO_INVALID,
                            "customer \"b\" is there twice");
    shop_customer(b, "d", number(3), missing(), missing());
    shop_customer(b, "a", number(4), missing(), missing());
    /* no longer in order */
    assert_customer_refused(b, "b", number(5), RECO_INVALID, "twice");
    assert_customer_refused(b, "a", number(5), RECO_INVALID, "twice");
    assert_customer_refused(b, "d", number(5), RECO_INVALID, "twice");

    assert_customer_refused(b, "", number(5), RECO_INVALID, "key");
    assert_customer_refused(b, longest, number(5), RECO_INVALID, "key");
    assert_customer_refused(b, "a\nb", number(5), RECO_INVALID, "key");
    assert_customer_refused(b, "\xff", number(5), RECO_INVALID, "key");
    assert_customer_refused(b, "e", number(NAN), RECO_INVALID, "finite");
    assert_customer_refused(b, "e", word(longest), RECO_INVALID, "word");
    assert_customer_refused(b, "e", word("\x7f"), RECO_INVALID, "word");

    assert_int_equal(reco_builder_customer(b, str("e"), values, &err),
                     RECO_INVALID);
    assert_string_equal(err.field, "spend");

    /* what was refused left nothing behind */
    shop_customer(b, "e", word(""), missing(), word(longest + 1));
    assert_ok(reco_builder_finish(b, 0, 0, 0, NULL, err));
    reco_builder_free(b);

    {
        reco_customer_t   c;
        reco_snapshot_t  *s = shop_open(in_folder("refused.mdb"));

        assert_int_equal(reco_snapshot_info(s)->customers, 4);
        assert_int_equal(reco_snapshot_customer(s, str("b"), &c), RECO_OK);
        assert_true(reco_customer_field(&c, 0).number == 1);
        assert_int_equal(reco_snapshot_customer(s, str("e"), &c), RECO_OK);
        assert_int_equal(reco_customer_field(&c, 0).kind,
                         RECO_VALUE_MISSING);
        assert_int_equal(reco_customer_field(&c, 2).word.len, 255);
        reco_snapshot_close(s);
    }
}

static void
test_rows_refused(void **state)
{
    char             key[RECO_MAX_STATE_KEY + 2];
    reco_entry_t     good[2] = { { 0, 1, 1, NAN }, { 2, 1, 1, NAN } };
    reco_entry_t     falling[2] = { { 1, 1, 1, NAN }, { 0, 1, 1, NAN } };
    reco_entry_t     same[2] = { { 1, 1, 1, NAN }, { 1, 1, 1, NAN } };
    reco_entry_t     unknown[1] = { { 3, 1, 1, NAN } };
    reco_entry_t     nan[1] = { { 0, NAN, 1, NAN } };
    reco_entry_t     certain[1] = { { 0, 1, 1, 1.5 } };
    reco_builder_t  *b = shop_builder(in_folder("rows.mdb"), SHOP_SPEC);

    (void) state;

    memset(key, 'k', sizeof(key));
    key[sizeof(key) - 1] = '\0';

    assert_ok(reco_builder_row(b, str("s"), 1, good, 2, err));
    assert_fails(reco_builder_row(b, str("s"), 1, good, 2, err),
                 RECO_INVALID, "state \"s\" is there twice");
    assert_fails(reco_builder_row(b, str("t"), 1, falling, 2, err),
                 RECO_INVALID, "rise");
    assert_fails(reco_builder_row(b, str("t"), 1, same, 2, err),
                 RECO_INVALID, "rise");
    assert_fails(reco_builder_row(b, str("t"), 1, unknown, 1, err),
                 RECO_INVALID, "catalogue");
    assert_fails(reco_builder_row(b, str("t"), 1, nan, 1, err),
                 RECO_INVALID, "finite");
    assert_fails(reco_builder_row(b, str("t"), 1, certain, 1, err),
                 RECO_INVALID, "from 0 to 1");
    assert_fails(reco_builder_row(b, str(key), 1, good, 2, err),
                 RECO_LIMIT, "state key");
    assert_ok(reco_builder_row(b, str(key + 1), 1, good, 2, err));
    assert_ok(reco_builder_row(b, str(""), 1, good, 0, err));

    assert_fails(reco_builder_finish(b, 0, 0, 0, "[1]", err), RECO_INVALID,
                 "object");
    assert_fails(reco_builder_finish(b, 0, 0, 0, "{", err), RECO_INVALID,
                 "object");
    assert_ok(reco_builder_finish(b, 0, 0, 0, NULL, err));
    assert_fails(reco_builder_finish(b, 0, 0, 0, NULL, err), RECO_INVALID,
                 "before");
    reco_builder_free(b);

    {
        reco_row_t        row;
        reco_snapshot_t  *s = shop_open(in_folder("rows.mdb"));

        assert_int_equal(reco_snapshot_info(s)->states, 3);
        assert_true(reco_snapshot_model(s)->lookup(s, str(key + 1), &row));
        assert_int_equal(row.n, 2);
        assert_true(reco_snapshot_model(s)->lookup(s, str(""), &row));
        assert_int_equal(row.n, 0);
        reco_snapshot_close(s);
    }
}

static void
test_new_refused(void **state)
{
    static char          longest[5000];
    static reco_str_t    fields[RECO_MAX_CUSTOMER_FIELDS + 1];
    static char          names[RECO_MAX_CUSTOMER_FIELDS + 1][16];

    reco_str_t           twice[2] = { RECO_STR("age"), RECO_STR("age") };
    reco_str_t           empty = RECO_STR("");
    reco_builder_t      *b;

    (void) state;

    for (int i = 0; i <= RECO_MAX_CUSTOMER_FIELDS; i++) {
        snprintf(names[i], sizeof(names[i]), "f%d", i);
        fields[i] = str(names[i]);
    }

    memset(longest, 'p', sizeof(longest) - 1);

    assert_fails(reco_builder_new(in_folder("x"), str("{"), NULL, 0, NULL, 0,
                                  NULL, &b, err), RECO_INVALID, "line");
    assert_null(b);
    assert_fails(reco_builder_new(in_folder("x"), str(SHOP_SPEC), NULL, 0,
                                  twice, 2, NULL, &b, err), RECO_INVALID,
                 "twice");
    assert_fails(reco_builder_new(in_folder("x"), str(SHOP_SPEC), NULL, 0,
                                  &empty, 1, NULL, &b, err), RECO_INVALID,
                 "customer field 1");
    assert_fails(reco_builder_new(in_folder("x"), str(SHOP_SPEC), NULL, 0,
                                  fields, RECO_MAX_CUSTOMER_FIELDS + 1, NULL,
                                  &b, err), RECO_LIMIT, "1025");
    assert_fails(reco_builder_new(longest, str(SHOP_SPEC), NULL, 0, NULL, 0,
                                  NULL, &b, err), RECO_LIMIT, "path");
    assert_fails(reco_builder_new(in_folder("no/such/x"), str(SHOP_SPEC),
                                  NULL, 0, NULL, 0, NULL, &b, err), RECO_IO,
                 "No such file");

    assert_ok(reco_builder_new(in_folder("x"), str(SHOP_SPEC), NULL, 0,
                               fields, RECO_MAX_CUSTOMER_FIELDS, NULL, &b,
                               err));
    reco_builder_free(b);
    reco_builder_free(NULL);
}

/* As many fields and as long a record as there may be. */
static void
test_longest_record(void **state)
{
    enum { N = RECO_MAX_CUSTOMER_FIELDS };

    static reco_str_t    fields[N];
    static reco_value_t  values[N];
    static char          names[N][16];

    char                 text[256];
    reco_builder_t      *b;
    reco_customer_t      c;
    reco_snapshot_t     *s;

    (void) state;

    memset(text, 'w', 255);
    text[255] = '\0';

    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof(names[i]), "f%d", i);
        fields[i] = str(names[i]);
        values[i] = number(i);
    }

    assert_ok(reco_builder_new(in_folder("wide.mdb"), str(SHOP_SPEC), NULL, 0,
                               fields, N, NULL, &b, err));
    assert_ok(reco_builder_customer(b, str("numbers"), values, err));

    /* 2 + 252 words of 4 + 1 + 255, and one of 4 + 1 + 8 are 65,535 */
    for (int i = 0; i < N; i++) {
        values[i] = i < 252 ? word(text) : missing();
    }
    values[1000] = word(text + 247);
    assert_ok(reco_builder_customer(b, str("words"), values, err));

    values[1000] = word(text + 246);
    assert_fails(reco_builder_customer(b, str("more"), values, err),
                 RECO_LIMIT, "65536 bytes");

    assert_ok(reco_builder_finish(b, 0, 0, 0, NULL, err));
    reco_builder_free(b);

    s = shop_open(in_folder("wide.mdb"));
    assert_int_equal(reco_snapshot_customer(s, str("numbers"), &c), RECO_OK);
    assert_true(reco_customer_field(&c, 1023).number == 1023);
    assert_true(reco_customer_field(&c, 0).number == 0);
    assert_int_equal(reco_snapshot_customer(s, str("words"), &c), RECO_OK);
    assert_int_equal(c.len, 65535);
    assert_int_equal(reco_customer_field(&c, 251).word.len, 255);
    assert_int_equal(reco_customer_field(&c, 252).kind, RECO_VALUE_MISSING);
    assert_int_equal(reco_customer_field(&c, 1000).word.len, 8);
    reco_snapshot_close(s);
}

static void
test_largest_catalogue(void **state)
{
    static reco_action_t  actions[RECO_MAX_ACTIONS + 1];
    static reco_entry_t   entries[RECO_MAX_ACTIONS];
    static char           names[RECO_MAX_ACTIONS + 1][16];

    reco_row_t            row;
    const reco_model_t   *model;
    reco_builder_t       *b;
    reco_snapshot_t      *s;
    const char           *spec =
        "{\"model\": \"m\", \"features\": [],"
        " \"actions\": {\"file\": \"actions.csv\"},"
        " \"policy\": {\"type\": \"p_table\", \"slate\": 1, \"state\": []}}";

    (void) state;

    for (int i = 0; i <= RECO_MAX_ACTIONS; i++) {
        snprintf(names[i], sizeof(names[i]), "a%d", i);
        actions[i] = (reco_action_t) { .id = str(names[i]), .active = true };
    }

    for (int i = 0; i < RECO_MAX_ACTIONS; i++) {
        entries[i] = (reco_entry_t) { (uint16_t) i, i, (uint64_t) i, NAN };
    }

    assert_int_equal(reco_builder_new(in_folder("large.mdb"), str(spec),
                                      actions, RECO_MAX_ACTIONS + 1, NULL, 0,
                                      NULL, &b, NULL), RECO_LIMIT);
    assert_fails(reco_builder_new(in_folder("large.mdb"), str(spec), NULL, 0,
                                  NULL, 0, NULL, &b, err), RECO_INVALID,
                 "empty");

    assert_ok(reco_builder_new(in_folder("large.mdb"), str(spec), actions,
                               RECO_MAX_ACTIONS, NULL, 0, NULL, &b, err));
    assert_ok(reco_builder_row(b, str(""), 1, entries, RECO_MAX_ACTIONS,
                               err));
    assert_ok(reco_builder_finish(b, 0, 0, 0, NULL, err));
    reco_builder_free(b);

    s = shop_open(in_folder("large.mdb"));
    model = reco_snapshot_model(s);
    assert_int_equal(model->catalogue.n, 4096);
    assert_int_equal(reco_catalogue_find(&model->catalogue, str("a4095")),
                     4095);
    assert_true(model->lookup(model->lookup_data, str(""), &row));
    assert_int_equal(row.n, 4096);
    assert_true(reco_row_entry(&row, 4095).value == 4095);
    reco_snapshot_close(s);
}

/* ---- failing ------------------------------------------------------------ */

/* Nothing new, and what was there before is untouched. */
static void
test_failed_finish(void **state)
{
    int              files;
    reco_builder_t  *b;

    (void) state;

    shop_build(in_folder("shop.mdb"));
    files = files_in(folder);

    /* the target has become a folder, and is one from the beginning */
    b = shop_builder(in_folder("dir.mdb"), SHOP_SPEC);
    shop_fill(b);
    assert_int_equal(mkdir(in_folder("dir.mdb"), 0777), 0);
    assert_fails(reco_builder_finish(b, 0, 0, 0, NULL, err), RECO_INVALID,
                 "is no file");
    reco_builder_free(b);
    assert_fails(reco_builder_new(in_folder("dir.mdb"), str(SHOP_SPEC), NULL,
                                  0, NULL, 0, NULL, &b, err), RECO_INVALID,
                 "is no file");
    assert_int_equal(rmdir(in_folder("dir.mdb")), 0);
    assert_int_equal(files_in(folder), files);

    /* never finished */
    b = shop_builder(in_folder("shop.mdb"), SHOP_SPEC);
    shop_fill(b);
    reco_builder_free(b);
    assert_int_equal(files_in(folder), files);
    reco_snapshot_close(shop_open(in_folder("shop.mdb")));
}

/* Goes on after the first error, as if room had been made meanwhile. */
static reco_status_t
build_without_room(struct rlimit *limit)
{
    char             key[32];
    reco_str_t       field = RECO_STR("age");
    reco_value_t     v = number(1);
    reco_status_t    rc;
    reco_builder_t  *b;

    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, limit);
    limit->rlim_cur = RLIM_INFINITY;

    rc = reco_builder_new(in_folder("full.mdb"), str(SHOP_SPEC), NULL, 0,
                          &field, 1, NULL, &b, NULL);
    if (rc != RECO_OK) {
        return rc;
    }

    for (int i = 0; i < 40000; i++) {
        snprintf(key, sizeof(key), "%08d", i * 7 % 40000);

        if (reco_builder_customer(b, str(key), &v, NULL) == RECO_IO) {
            setrlimit(RLIMIT_FSIZE, limit);
        }
    }

    rc = reco_builder_finish(b, 0, 0, 0, NULL, NULL);
    reco_builder_free(b);

    return rc;
}

/* A full disk, as near as a limit on a file's size comes to one: wherever it
 * strikes, there is an error, and the file that was there before. */
static void
test_no_room(void **state)
{
    int            status, files;
    pid_t          pid;
    struct rlimit  limit;

    (void) state;

    shop_build(in_folder("full.mdb"));
    shop_build(in_folder("before.mdb"));
    files = files_in(folder);

    for (rlim_t pages = 1; pages <= 400; pages *= 3) {
        pid = fork();
        assert_int_not_equal(pid, -1);

        if (pid == 0) {
            limit.rlim_cur = pages * 4096;
            limit.rlim_max = RLIM_INFINITY;
            _exit(build_without_room(&limit) == RECO_IO ? 0 : 1);
        }

        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        assert_int_equal(files_in(folder), files);
        assert_same_files(in_folder("full.mdb"), in_folder("before.mdb"));
    }
}

/* After kill -9 in the middle, nothing is left, not even scratch files. */
static void
test_killed(void **state)
{
    int    pipes[2], files = files_in(folder);
    char   c;
    pid_t  pid;

    (void) state;

    assert_int_equal(pipe(pipes), 0);
    pid = fork();
    assert_int_not_equal(pid, -1);

    if (pid == 0) {
        shop_fill(shop_builder(in_folder("killed.mdb"), SHOP_SPEC));
        assert_int_equal(write(pipes[1], "x", 1), 1);
        pause();
        _exit(0);
    }

    assert_int_equal(read(pipes[0], &c, 1), 1);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(files_in(folder), files);
    close(pipes[0]);
    close(pipes[1]);
}

/* A snapshot that is open stays what it was while another takes its name. */
static void
test_replaced_while_open(void **state)
{
    reco_customer_t   c;
    reco_snapshot_t  *old, *new;

    (void) state;

    shop_build(in_folder("shop.mdb"));
    old = shop_open(in_folder("shop.mdb"));
    many_build(in_folder("shop.mdb"), 1000, 1);
    new = shop_open(in_folder("shop.mdb"));

    assert_int_equal(reco_snapshot_customer(old, str("c42"), &c), RECO_OK);
    assert_int_equal(reco_snapshot_customer(new, str("c42"), &c),
                     RECO_NOT_FOUND);
    assert_int_equal(reco_snapshot_customer(new, str("customer-000999"), &c),
                     RECO_OK);

    reco_snapshot_close(old);
    assert_int_equal(reco_snapshot_customer(new, str("customer-000001"), &c),
                     RECO_OK);
    reco_snapshot_close(new);
}

/* The descriptor may be closed, and its file unlinked. */
static void
test_open_fd(void **state)
{
    int               fd;
    reco_customer_t   c;
    reco_snapshot_t  *s;

    (void) state;

    shop_build(in_folder("gone.mdb"));
    fd = open(in_folder("gone.mdb"), O_RDONLY);
    unlink(in_folder("gone.mdb"));
    assert_ok(reco_snapshot_open_fd(fd, NULL, &s, err));
    close(fd);
    assert_int_equal(reco_snapshot_customer(s, str("c42"), &c), RECO_OK);
    reco_snapshot_close(s);
}

int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_customers_refused),
        cmocka_unit_test(test_rows_refused),
        cmocka_unit_test(test_new_refused),
        cmocka_unit_test(test_longest_record),
        cmocka_unit_test(test_largest_catalogue),
        cmocka_unit_test(test_failed_finish),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_replaced_while_open),
        cmocka_unit_test(test_open_fd),
    };

    return cmocka_run_group_tests_name("snapshot_build", tests, folder_make,
                                       folder_remove);
}
