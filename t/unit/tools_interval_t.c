/*
 * tools_interval_t.c - intervals of ratios by clusters, and the regression, by
 * hand: tables small enough for fractions, and a saturated model whose
 * coefficients are logarithms of odds.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "interval.h"
#include "logistic.h"

/* this cmocka has it for floats only */
#define assert_near(a, b, within)   assert_true(fabs((a) - (b)) <= (within))


/* Tables of Student's t: 97.5 % at 1, 2, 10 degrees. */
static void
test_quantile(void **state)
{
    (void) state;

    assert_near(interval_t_quantile(0.975, 1), 12.706204736, 1e-8);
    assert_near(interval_t_quantile(0.975, 2), 4.302652730, 1e-8);
    assert_near(interval_t_quantile(0.975, 10), 2.228138852, 1e-8);
}


/* Clusters 1/2, 3/4, 2/4: R = 6/10. Residuals n - R d: -1/5, 3/5, -2/5; their
 * squares sum to 14/25; over D^2 = 100, times 3/2: Var = 21/2500. */
static void
test_ratio(void **state)
{
    double                        half;
    interval_t                    r;
    static const interval_part_t  parts[] = { { 1, 2 }, { 3, 4 }, { 2, 4 } };

    (void) state;

    r = interval_ratio(parts, 3);
    half = 4.302652729911275 * sqrt(21.0 / 2500);

    assert_near(r.value, 0.6, 1e-15);
    assert_near(r.low, 0.6 - half, 1e-9);
    assert_near(r.high, 0.6 + half, 1e-9);
}


/* A cluster without anything in it is no cluster. */
static void
test_empty_cluster(void **state)
{
    interval_t                    with, without;
    static const interval_part_t  parts[] = {
        { 1, 2 }, { 3, 4 }, { 2, 4 }, { 0, 0 }
    };

    (void) state;

    with = interval_ratio(parts, 4);
    without = interval_ratio(parts, 3);

    assert_near(with.low, without.low, 0);
    assert_near(with.high, without.high, 0);

    assert_true(isnan(interval_ratio(parts + 3, 1).value));
    assert_true(isnan(interval_ratio(parts, 1).low));
}


/* Beside it 0/1, 2/4, 2/5: R = 4/10, residuals -2/5, 2/5, 0. The difference is
 * 1/5; residuals differ by 1/5, 1/5, -2/5; squares sum to 6/25; over 100,
 * times 3/2: 9/2500, whose root is 3/50. */
static void
test_difference(void **state)
{
    interval_t                    d;
    static const interval_part_t  a[] = { { 1, 2 }, { 3, 4 }, { 2, 4 } };
    static const interval_part_t  b[] = { { 0, 1 }, { 2, 4 }, { 2, 5 } };

    (void) state;

    d = interval_difference(a, b, 3);

    assert_near(d.value, 0.2, 1e-15);
    assert_near(d.low, 0.2 - 4.302652729911275 * 0.06, 1e-9);
    assert_near(d.high, 0.2 + 4.302652729911275 * 0.06, 1e-9);

    /* an arm beside itself differs by nothing, and that is certain */
    d = interval_difference(a, a, 3);
    assert_near(d.value, 0, 0);
    assert_near(d.high, 0, 0);
}


/* Without the feature 2 of 10 positive, with it 6 of 9: the odds are 2/8 and
 * 6/3, so that the intercept is log(1/4) and the coefficient log(8). Its
 * variance is 1/2 + 1/8 + 1/6 + 1/3, the intercept's 1/2 + 1/8. */
static void
test_odds(void **state)
{
    size_t      i;
    double      x[19];
    uint8_t     y[19];
    logistic_t  e;

    (void) state;

    for (i = 0; i < 19; i++) {
        x[i] = i >= 10;
        y[i] = i < 2 || (i >= 10 && i < 16);
    }

    assert_true(logistic_fit(x, y, 19, 1, 0, &e));
    assert_true(e.converged);
    assert_near(e.intercept, log(0.25), 1e-9);
    assert_near(e.coefficient[0], log(8), 1e-9);
    assert_near(e.intercept_error, sqrt(0.625), 1e-9);
    assert_near(e.error[0], sqrt(1.125), 1e-9);
}


/* At the maximum of the penalised likelihood the sum of (y - p) x is the ridge
 * times the coefficient, and that of y - p is 0. */
static void
test_ridge(void **state)
{
    size_t      i;
    double      p, residuals = 0, by_x = 0, x[40];
    uint8_t     y[40];
    logistic_t  e;

    (void) state;

    for (i = 0; i < 40; i++) {
        x[i] = (double) (i % 7) - 2;
        y[i] = i % 3 == 0 || i % 7 == 6;
    }

    assert_true(logistic_fit(x, y, 40, 1, 2.5, &e));

    for (i = 0; i < 40; i++) {
        p = 1 / (1 + exp(-(e.intercept + e.coefficient[0] * x[i])));
        residuals += y[i] - p;
        by_x += (y[i] - p) * x[i];
    }

    assert_near(residuals, 0, 1e-9);
    assert_near(by_x, 2.5 * e.coefficient[0], 1e-9);
}


/* Two features that are the same say nothing apart. */
static void
test_singular(void **state)
{
    logistic_t  e;
    double      x[] = { 0, 0, 1, 1, 2, 2, 3, 3 };
    uint8_t     y[] = { 0, 1, 0, 1 };

    (void) state;

    assert_false(logistic_fit(x, y, 4, 2, 0, &e));
}


/* Positives 3, 2, 2 and negatives 1, 2: of six pairs four are won, two are
 * even. */
static void
test_auc(void **state)
{
    static const double   score[] = { 3, 1, 2, 2, 2 };
    static const uint8_t  y[] = { 1, 0, 1, 0, 1 };

    (void) state;

    assert_near(logistic_auc(score, y, 5), 5.0 / 6, 1e-15);
    assert_true(isnan(logistic_auc(score, y, 1)));
}


int
main(void)
{
    static const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_quantile),
        cmocka_unit_test(test_ratio),
        cmocka_unit_test(test_empty_cluster),
        cmocka_unit_test(test_difference),
        cmocka_unit_test(test_odds),
        cmocka_unit_test(test_ridge),
        cmocka_unit_test(test_singular),
        cmocka_unit_test(test_auc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
