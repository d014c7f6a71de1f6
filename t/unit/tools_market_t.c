/*
 * tools_market_t.c - a market of one customer and three items, by hand: what
 * is counted, tastes, wanting, and what a shopper is expected to do.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "visit.h"

/* this cmocka has it for floats only */
#define assert_near(a, b)   assert_true(fabs((a) - (b)) <= 1e-12)

enum { A, B, C };       /* prices 2, 20, 3; categories x, y, x */

static shop_t            shop;
static market_t          market;
static market_shopper_t  shopper;


static void
write_file(char *path, const char *text)
{
    int  fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}


/* The customer's id is the first of its kind that is in the part market;
 * baskets {a, b}, {a, c}, {a}, of which a has two lines in the last. */
static int
set_up(void **state)
{
    int   i;
    char  id[16], text[1024];
    char  items[] = "/tmp/reco-items-XXXXXX", baskets[] = "/tmp/reco-b-XXXXXX";

    (void) state;

    for (i = 0; ; i++) {
        snprintf(id, sizeof(id), "c%d", i);
        if (part_of(tool_str(id)) == PART_MARKET) {
            break;
        }
    }

    snprintf(text, sizeof(text),
             "basket,time,customer,country,item,quantity,price\n"
             "1,2025-01-06T10:00:00Z,%s,GB,a,1,2\n"
             "1,2025-01-06T10:00:00Z,%s,GB,b,2,20\n"
             "2,2025-01-08T10:00:00Z,%s,GB,a,1,2\n"
             "2,2025-01-08T10:00:00Z,%s,GB,c,1,3\n"
             "3,2025-03-08T12:00:00Z,%s,FR,a,1,2\n"
             "3,2025-03-08T12:00:00Z,%s,FR,a,4,2\n", id, id, id, id, id, id);
    write_file(baskets, text);
    write_file(items, "id,name,price,category,family,available\n"
               "a,A,2,x,a,1\nb,B,20,y,b,1\nc,C,3,x,c,0\n");

    assert_true(shop_read(&shop, baskets, items));
    unlink(baskets);
    unlink(items);

    market_assume(&market.a);
    market.taste_strength = 20;
    market.time_strength = 5;
    market.return_strength = 5;
    market_count(&market, &shop);
    market_shopper(&market, &shop.customers[0], &shopper);

    return 0;
}


static int
tear_down(void **state)
{
    (void) state;

    market_shopper_free(&shopper);
    market_free(&market);
    shop_free(&shop);

    return 0;
}


static void
test_counts(void **state)
{
    (void) state;

    assert_int_equal(shop.nbaskets, 3);
    assert_int_equal(shop.baskets[2].n, 1);
    assert_near(shop.lines[shop.baskets[2].first].quantity, 5);
    assert_true(reco_str_equal(shop.customers[0].country, RECO_STR("FR")));

    assert_int_equal(market.count[A], 3);
    assert_int_equal(market.count[B], 1);

    /* of five lines four are x; one is added to each of the two categories and
     * of the three bands, so that no share is 0 */
    assert_near(market.category[shop.items[A].category], 5.0 / 7);
    assert_near(market.category[shop.items[B].category], 2.0 / 7);
    assert_near(market.band[0], 5.0 / 8);
    assert_near(market.band[2], 1.0 / 8);

    /* two gaps, one of them within seven days: (1 + 1) / (2 + 2); then
     * (1 + 5 / 2) / (2 + 5) */
    assert_near(market.return_rate, 0.5);
    assert_near(shopper.return_rate, 0.5);
}


static void
test_copurchase(void **state)
{
    static const uint32_t  cart[] = { A, C };
    static const uint8_t   first[] = { 1, 1, 0 };

    (void) state;

    assert_near(market_copurchase(&market, B, cart, 1, NULL), 1.0 / 3);
    assert_near(market_copurchase(&market, B, cart, 2, NULL), 1.0 / 6);
    assert_near(market_copurchase(&market, B, cart, 0, NULL), 0);

    /* without the first basket, a is in two others, with b in none of them,
     * with c in one */
    assert_near(market_copurchase(&market, B, cart, 1, first), 0);
    assert_near(market_copurchase(&market, C, cart, 1, first), 1.0 / 2);
}


/* x: (4 + 20 5/7) / 25 over 5/7 is 1.024; y: (1 + 20 2/7) / 25 over 2/7 is
 * 0.94. */
static void
test_features(void **state)
{
    double  x[MARKET_NFEATURES];

    (void) state;

    market_features(&market, &shopper.taste, A, 0.25, true, x);
    assert_near(x[MARKET_CATEGORY], log(1.024));
    assert_near(x[MARKET_BAND], log((4 + 20 * 5.0 / 8) / 25 / (5.0 / 8)));
    assert_near(x[MARKET_COPURCHASE], log(26));
    assert_near(x[MARKET_POPULARITY], 0);
    assert_near(x[MARKET_REPEAT], 1);

    market_features(&market, &shopper.taste, B, 0, false, x);
    assert_near(x[MARKET_CATEGORY], log(0.94));
    assert_near(x[MARKET_POPULARITY], log(0.5));

    assert_false(market_bought_before(&shopper, A, 0));
    assert_true(market_bought_before(&shopper, A, 1));
    assert_false(market_bought_before(&shopper, C, 1));
    assert_true(market_bought_before(&shopper, C, 2));
}


/* Without coefficients and base each item is wanted with 1/2, so that a and b
 * are clicked with 0.5 and 0.4, and one of them with 1 - 0.5 x 0.6. */
static void
test_expectations(void **state)
{
    visit_t                v;
    visit_facts_t          f;
    visit_answer_t         a;
    static const uint32_t  items[] = { A, B };

    (void) state;

    visit_begin(&v, &market, &shopper, 1, 0, 0, 1736000000000);
    visit_judge(&v, items, 2, &a);
    assert_near(a.probability[0], 0.5);
    assert_near(a.probability[1], 0.4);
    assert_near(a.any, 0.7);

    /* in the cart with 0.4 of that, bought with 0.6 of those */
    visit_expect(&v, items, &a, &f);
    assert_near(f.click, 0.9);
    assert_near(f.any_cart, 1 - 0.8 * 0.84);
    assert_near(f.conversion, 0.12 + 0.096);
    assert_near(f.any_conversion, 1 - 0.88 * 0.904);
    assert_near(f.revenue, 0.12 * 2 + 0.096 * 20);
    assert_near(f.idle, 0.3 * 0.5);

    assert_near(visit_goes_on(&v, a.any, false), 0.5 + 0.5 * 0.7);
    assert_near(visit_goes_on(&v, a.any, true), 0.95);
    v.step = market.a.max_steps;
    assert_near(visit_goes_on(&v, a.any, true), 0);
    v.step = 1;

    /* shown once before: half as much */
    visit_answer(&v, items, 2, &a);
    visit_judge(&v, items, 2, &a);
    assert_near(a.probability[0], 0.25);
    assert_near(a.probability[1], 0.2);
}


int
main(void)
{
    static const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_copurchase),
        cmocka_unit_test(test_features),
        cmocka_unit_test(test_expectations),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
