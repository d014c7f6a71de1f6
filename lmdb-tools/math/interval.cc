/*
 * interval.cc - interval.h; the quantile is Boost.Math's.
 */

#include "interval.h"

#include <boost/math/distributions/students_t.hpp>

#include <cmath>
#include <limits>

namespace {

constexpr double  unknown = std::numeric_limits<double>::quiet_NaN();

struct Sum {
    double  n = 0, d = 0;

    double
    ratio() const
    {
        return n / d;
    }
};

Sum
sum_of(const interval_part_t *parts, size_t n)
{
    Sum  sum;

    for (size_t i = 0; i < n; i++) {
        sum.n += parts[i].n;
        sum.d += parts[i].d;
    }

    return sum;
}

/* z_c; 0 for clusters that have nothing. */
double
linearised(const interval_part_t &part, const Sum &sum)
{
    return (part.n - sum.ratio() * part.d) / sum.d;
}

interval_t
around(double value, double squares, size_t clusters)
{
    interval_t  out = { value, unknown, unknown };

    if (clusters > 1 && std::isfinite(value)) {
        const double  c = double(clusters);
        const double  half = interval_t_quantile(0.975, c - 1)
                             * std::sqrt(c / (c - 1) * squares);

        out.low = value - half;
        out.high = value + half;
    }

    return out;
}

} // namespace

double
interval_t_quantile(double p, double degrees)
{
    return boost::math::quantile(boost::math::students_t(degrees), p);
}

interval_t
interval_ratio(const interval_part_t *clusters, size_t n)
{
    const Sum  sum = sum_of(clusters, n);
    double     squares = 0;
    size_t     used = 0;

    if (!(sum.d > 0)) {
        return { unknown, unknown, unknown };
    }

    for (size_t i = 0; i < n; i++) {
        const double  z = linearised(clusters[i], sum);

        squares += z * z;
        used += clusters[i].d > 0;
    }

    return around(sum.ratio(), squares, used);
}

interval_t
interval_difference(const interval_part_t *a, const interval_part_t *b,
    size_t n)
{
    const Sum  of_a = sum_of(a, n), of_b = sum_of(b, n);
    double     squares = 0;
    size_t     used = 0;

    if (!(of_a.d > 0) || !(of_b.d > 0)) {
        return { unknown, unknown, unknown };
    }

    for (size_t i = 0; i < n; i++) {
        const double  z = linearised(a[i], of_a) - linearised(b[i], of_b);

        squares += z * z;
        used += a[i].d > 0 || b[i].d > 0;
    }

    return around(of_a.ratio() - of_b.ratio(), squares, used);
}
