/*
 * sampler_t.c - quantised distributions, draws and the random numbers behind
 * them. Expected integers are exact fractions rounded (Python's fractions),
 * hashes are python-xxhash's, exponentials Python's decimal to 60 digits.
 */

#include <float.h>
#include <math.h>

#include "model_fixture.h"
#include "random.h"

static uint64_t  p[RECO_MAX_ACTIONS];

#define N(array)  ((uint32_t) (sizeof(array) / sizeof((array)[0])))


static uint64_t
sum_of(uint32_t n)
{
    uint32_t  i;
    uint64_t  sum = 0;

    for (i = 0; i < n; i++) {
        sum += p[i];
    }

    return sum;
}


static void
check(const double *weights, uint32_t n, const uint64_t *expected)
{
    uint32_t  i;

    memset(p, 0xff, sizeof(p));
    reco_quantise(weights, n, p);

    for (i = 0; i < n; i++) {
        assert_int_equal(p[i], expected[i]);
    }

    assert_int_equal(sum_of(n), 4294967296);
}


static void
quantise_by_hand(void **state)
{
    (void) state;

    check((double[]) { 10, 8, 6, 6, 6, 4 }, 6,
          (uint64_t[]) { 1073741825, 858993459, 644245094, 644245094,
                         644245094, 429496730 });
    check((double[]) { 10, 8, 6, 6 }, 4,
          (uint64_t[]) { 1431655766, 1145324612, 858993459, 858993459 });
    check((double[]) { 8, 6, 10, 6, 4, 4 }, 6,
          (uint64_t[]) { 904203641, 678152731, 1130254551, 678152731,
                         452101821, 452101821 });
    check((double[]) { 0, 3, 0, 1 }, 4,
          (uint64_t[]) { 0, 3221225472, 0, 1073741824 });
    check((double[]) { 1, 1000 }, 2, (uint64_t[]) { 4290677, 4290676619 });
    check((double[]) { 1, 1, 1, 1, 1, 1, 1 }, 7,
          (uint64_t[]) { 613566754, 613566757, 613566757, 613566757,
                         613566757, 613566757, 613566757 });
    check((double[]) { 5e-324 }, 1, (uint64_t[]) { 4294967296 });
}


/* Nothing to go by: as likely each, the rest to the first. */
static void
quantise_uniform_fallback(void **state)
{
    uint32_t  i;

    static const double  useless[][3] = {
        { 0, 0, 0 }, { NAN, 1, 1 }, { INFINITY, 1, 1 }, { 1, 1, -INFINITY },
        { 1, -1, 1 }, { DBL_MAX, DBL_MAX, 0 },
    };

    (void) state;

    for (i = 0; i < N(useless); i++) {
        check(useless[i], 3, (uint64_t[]) { 1431655766, 1431655765,
                                            1431655765 });
    }
}


static void
quantise_sums_to_one(void **state)
{
    double    weights[RECO_MAX_ACTIONS];
    random_t  r;
    uint32_t  i, n, round;

    (void) state;
    random_init(&r, 1);

    for (round = 0; round < 2000; round++) {
        n = round == 0 ? RECO_MAX_ACTIONS : 1 + random_below(&r, 200);

        for (i = 0; i < n; i++) {
            weights[i] = random_below(&r, 4) == 0 ? 0
                         : ldexp((double) random_below(&r, 1000000),
                                 (int) random_below(&r, 60) - 30);
        }

        reco_quantise(weights, n, p);
        assert_int_equal(sum_of(n), 4294967296);
    }

    for (n = 1; n <= RECO_MAX_ACTIONS; n++) {
        memset(weights, 0, sizeof(weights));
        reco_quantise(weights, n, p);
        assert_int_equal(sum_of(n), 4294967296);
        assert_true(p[n - 1] == (uint64_t) floor(4294967296.0 / n + 0.5)
                    || n == 1);
    }
}


static void
draw_at_the_edges(void **state)
{
    static const uint64_t  four[] = { 0, 3221225472, 0, 1073741824 };
    static const uint64_t  last[] = { 1073741824, 3221225472, 0 };
    static const uint64_t  one[] = { 4294967296 };

    (void) state;

    assert_int_equal(reco_draw(four, 4, 0), 1);
    assert_int_equal(reco_draw(four, 4, 3221225471), 1);
    assert_int_equal(reco_draw(four, 4, 3221225472), 3);
    assert_int_equal(reco_draw(four, 4, UINT32_MAX), 3);

    assert_int_equal(reco_draw(last, 3, 1073741823), 0);
    assert_int_equal(reco_draw(last, 3, 1073741824), 1);
    assert_int_equal(reco_draw(last, 3, UINT32_MAX), 1);

    assert_int_equal(reco_draw(one, 1, 0), 0);
    assert_int_equal(reco_draw(one, 1, UINT32_MAX), 0);
}


static void
uniform_known_answers(void **state)
{
    char      key[4000];
    uint32_t  i;
    uint8_t   salt[16];

    static const char  id[] = "0123456789abcdef0123456789abcdef";

    (void) state;

    for (i = 0; i < 16; i++) {
        salt[i] = (uint8_t) i;
    }

    memset(key, 'k', sizeof(key));

    /* xxhash.xxh3_64_intdigest(salt + key + slot, little-endian) >> 32 */
    assert_int_equal(reco_uniform(salt, id, 32, 1), 0xdb98d773);
    assert_int_equal(reco_uniform(salt, id, 32, 2), 0x098b68d6);
    assert_int_equal(reco_uniform(salt, "c42", 3, 1), 0x04fe3481);
    assert_int_equal(reco_uniform(salt, "c42", 3, 0x01020304), 0x58968f0c);
    assert_int_equal(reco_uniform(salt, "", 0, 1), 0x3bd74d4e);
    assert_int_equal(reco_uniform(salt, "Zo\xc3\xab", 4, 1), 0x0b4f740e);
    assert_int_equal(reco_uniform(salt, key, 255, 64), 0x9f7999d6);
    assert_int_equal(reco_uniform(salt, key, 256, 1), 0x25ac2add);
    assert_int_equal(reco_uniform(salt, key, 257, 1), 0x00bb7572);
    assert_int_equal(reco_uniform(salt, key, 4000, 3), 0xda19a745);
}


static double
ulp_of(double x)
{
    return nextafter(fabs(x), INFINITY) - fabs(x);
}


static void
exp_known_answers(void **state)
{
    uint32_t  i;

    /* x, and e^x to the nearest double */
    static const double  points[][2] = {
        { 0x1.0000000000000p+0, 0x1.5bf0a8b145769p+1 },
        { -0x1.0000000000000p+0, 0x1.78b56362cef38p-2 },
        { 0x1.0000000000000p-1, 0x1.a61298e1e069cp+0 },
        { -0x1.0000000000000p-1, 0x1.368b2fc6f960ap-1 },
        { 0x1.62e42fefa39efp-2, 0x1.6a09e667f3bccp+0 },
        { -0x1.62e42fefa39efp-2, 0x1.6a09e667f3bcdp-1 },
        { 0x1.62e42fefa39f0p-2, 0x1.6a09e667f3bcdp+0 },
        { 0x1.62e42fefa39f0p-2, 0x1.6a09e667f3bcdp+0 },
        { 0x1.b7cdfd9d7bdbbp-34, 0x1.000000006df38p+0 },
        { -0x1.b7cdfd9d7bdbbp-34, 0x1.ffffffff24190p-1 },
        { 0x1.0000000000000p-30, 0x1.0000000400000p+0 },
        { -0x1.0000000000000p-53, 0x1.fffffffffffffp-1 },
        { 0x1.4000000000000p+3, 0x1.5829dcf950560p+14 },
        { -0x1.4000000000000p+3, 0x1.7cd79b5647c9bp-15 },
        { 0x1.9000000000000p+6, 0x1.3494a9b171bf5p+144 },
        { -0x1.9000000000000p+6, 0x1.a8c1f14e2af5dp-145 },
        { 0x1.5e00000000000p+9, 0x1.d945df4f8ec8ep+1009 },
        { -0x1.5e00000000000p+9, 0x1.14f2b0fb9307fp-1010 },
        { 0x1.6280000000000p+9, 0x1.d422d2be5dc9bp+1022 },
        { -0x1.6200000000000p+9, 0x1.7c8ab2288c9abp-1022 },
        { 0x1.4cc8ce7259bc2p+9, 0x1.28b06081a166ep+960 },
        { 0x1.b94eaca91b680p+2, 0x1.eddfa7e9246a0p+9 },
        { 0x1.620fca769dc94p+7, 0x1.5226422d079bep+255 },
        { 0x1.d7295ebdfd748p+7, 0x1.d449cfa7bde9bp+339 },
        { -0x1.44a759728a248p+9, 0x1.2fe40b2741215p-937 },
        { 0x1.666b98f35c5ecp+7, 0x1.75a9e747ae843p+258 },
        { 0x1.a9d914790fc00p+8, 0x1.4a8e6ea641a9fp+614 },
        { -0x1.cc374a72919f2p+8, 0x1.08c976b6614f1p-664 },
        { -0x1.77bdf0b13d100p+1, 0x1.b30946dc9d7b2p-5 },
        { -0x1.5bf3aa09afbc0p+3, 0x1.3dfeec94fdba9p-16 },
        { 0x1.700fb0f2ca75cp+7, 0x1.6a106de515154p+265 },
        { -0x1.19270db1407dcp+8, 0x1.4dbef68777833p-406 },
        { 0x1.3d1edf7e20230p+5, 0x1.23bd6e3a6d9f5p+57 },
        { 0x1.3441d3658aa7cp+9, 0x1.5bca2429d7b0dp+889 },
        { 0x1.1daa048906890p+8, 0x1.176848271a850p+412 },
        { 0x1.86c153b85a780p+4, 0x1.2d08d98d3f4a4p+35 },
        { 0x1.1ccab4d83f0d4p+9, 0x1.aa3ba5f3b3da6p+821 },
        { -0x1.c98adb39e3068p+7, 0x1.ef8f9bd90ae8cp-331 },
        { 0x1.0077a953bb67cp+9, 0x1.018687cfc55f6p+740 },
        { -0x1.30b29d4735c48p+7, 0x1.27826e801ce86p-220 },
        { 0x1.331157832d0e0p-5, 0x1.09c729b72f383p+0 },
        { -0x1.0c3dd56526468p-2, 0x1.8a01ecea38a28p-1 },
        { 0x1.8974f7f6a7308p-2, 0x1.77ef04b710722p+0 },
        { -0x1.045098cd95350p-3, 0x1.c2e33091b405cp-1 },
        { -0x1.1a21669d1e9ecp-1, 0x1.2717a7e617f5bp-1 },
        { 0x1.11750c8df0804p-2, 0x1.4e5cc7f9e55ecp+0 },
        { -0x1.c62f436ad3b9cp-2, 0x1.4894de43528e1p-1 },
        { -0x1.1f86b006735b0p-1, 0x1.23ffba664a0d8p-1 },
        { -0x1.ff31494171800p-8, 0x1.fc05978d2a982p-1 },
        { -0x1.26df6e9db3a4ap-1, 0x1.1fd6c755a1ec5p-1 },
        { 0x1.b58ba8ceb45c0p-3, 0x1.3cf995eeebf4ap+0 },
        { -0x1.e669e154a8068p-2, 0x1.3e66a2d004914p-1 },
        { -0x1.c319eb11e9744p+4, 0x1.40a9302d9f5dfp-41 },
        { -0x1.081d9af298c24p+4, 0x1.230bd219560c3p-24 },
        { -0x1.3ab2943487420p+4, 0x1.8a970bc2f2b57p-29 },
        { -0x1.8628425d0d0f2p+4, 0x1.c3fbeed0a0124p-36 },
        { -0x1.acbb237c51de4p+3, 0x1.9798a0c674d8ep-20 },
        { -0x1.ccbd02de85d58p+2, 0x1.87cda988a8b3fp-11 },
        { -0x1.44709262ffe20p+1, 0x1.44c21607b1bddp-4 },
        { -0x1.60ef79ecf0715p+4, 0x1.21499fe729604p-32 },
        { -0x1.bb72f2e3f55c0p+3, 0x1.01532820b6e70p-20 },
        { -0x1.a28d177c2c538p+4, 0x1.328857d81c9a5p-38 },
        { -0x1.144d617905904p+4, 0x1.0fc5bff4effd6p-25 },
        { -0x1.98760338ef688p+3, 0x1.7ff8acf107479p-19 },
    };

    (void) state;

    for (i = 0; i < N(points); i++) {
        assert_true(fabs(reco_exp(points[i][0]) - points[i][1])
                    <= 2 * ulp_of(points[i][1]));
    }

    assert_true(reco_exp(0) == 1);
    assert_true(reco_exp(-0.0) == 1);
    assert_true(isnan(reco_exp(NAN)));
    assert_true(reco_exp(INFINITY) == INFINITY);
    assert_true(reco_exp(710) == INFINITY);
    assert_true(reco_exp(-INFINITY) == 0);
    assert_true(reco_exp(-746) == 0);
    assert_true(reco_exp(-DBL_MAX) == 0);
}


/* The C library's, in 64 bits of mantissa, at many more points. */
static void
exp_close_to_expl(void **state)
{
    double       x;
    random_t     r;
    uint32_t     i;
    long double  expected;

    (void) state;
    random_init(&r, 2);

    for (i = 0; i < 200000; i++) {
        x = ((double) random_next(&r) / 18446744073709551616.0 - 0.5)
            * (i % 2 ? 1399 : 4);
        expected = expl((long double) x);

        if (fabsl((long double) reco_exp(x) - expected)
            > 2 * (long double) ulp_of((double) expected))
        {
            fail_msg("exp(%a) is %a", x, reco_exp(x));
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(quantise_by_hand),
        cmocka_unit_test(quantise_uniform_fallback),
        cmocka_unit_test(quantise_sums_to_one),
        cmocka_unit_test(draw_at_the_edges),
        cmocka_unit_test(uniform_known_answers),
        cmocka_unit_test(exp_known_answers),
        cmocka_unit_test(exp_close_to_expl),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
