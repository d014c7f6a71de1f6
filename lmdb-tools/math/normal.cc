/*
 * normal.cc - P(best) for normal variables, by Boost.Math.
 *
 * The integrands f_i(x) prod_{j != i} F_j(x) of all variables sum to the
 * derivative of G = prod F_j, which is known: an adaptive Gauss-Legendre panel
 * is accepted only when it reproduces the difference of G at its ends (as in
 * beta.cc). No exception leaves this file.
 */

#include "normal.h"
#include "tool.h"

#include <boost/math/constants/constants.hpp>
#include <boost/math/quadrature/gauss.hpp>
#include <boost/math/special_functions/erf.hpp>

#include <algorithm>
#include <cmath>
#include <new>
#include <vector>

namespace {

typedef boost::math::policies::policy<
    boost::math::policies::promote_double<false>>  policy_t;
typedef boost::math::quadrature::gauss<double, 15>  gauss_t;
typedef std::vector<double>  vector_t;

const policy_t  policy;
/* Beyond so many standard deviations there is less than 1e-18. */
const double    tail = 9;
const double    panel_error = 1e-12;
const int       panel_depth = 50;

/* f and F of a standard normal variable. */
double
density(double z)
{
    return std::exp(-z * z / 2)
           * boost::math::constants::one_div_root_two_pi<double>();
}

double
below(double z)
{
    return boost::math::erfc(
        -z * boost::math::constants::one_div_root_two<double>(), policy) / 2;
}

class best_t {
public:
    best_t(const double *mean, const double *sd, size_t n)
        : mean_(mean), sd_(sd), n_(n), f_(n), before_(n + 1)
    {
    }

    vector_t integrate();

private:
    double all_below(double x) const;
    void at(double x, double weight, vector_t &sum);
    vector_t panel(double from, double to);
    void refine(double from, double to, double g_from, double g_to,
        const vector_t &whole, int depth, vector_t &sum);

    const double  *mean_;
    const double  *sd_;
    size_t         n_;
    vector_t       f_, before_;     /* at one point: F_i; product of the F_j
                                       with j < i */
};

double
best_t::all_below(double x) const
{
    double  g = 1;

    for (size_t i = 0; i < n_; i++) {
        g *= below((x - mean_[i]) / sd_[i]);
    }

    return g;
}

/* Adds the integrands at x. The product of the others is that of those before
 * times that of those behind, so that nothing is divided by 0. */
void
best_t::at(double x, double weight, vector_t &sum)
{
    double  behind = weight;

    before_[0] = 1;

    for (size_t i = 0; i < n_; i++) {
        f_[i] = below((x - mean_[i]) / sd_[i]);
        before_[i + 1] = before_[i] * f_[i];
    }

    for (size_t i = n_; i-- > 0; ) {
        sum[i] += density((x - mean_[i]) / sd_[i]) / sd_[i] * before_[i]
                  * behind;
        behind *= f_[i];
    }
}

vector_t
best_t::panel(double from, double to)
{
    const auto  &x = gauss_t::abscissa();
    const auto  &w = gauss_t::weights();
    double       half = (to - from) / 2, mid = from + half;
    vector_t     sum(n_);

    for (size_t k = 0; k < x.size(); k++) {
        at(mid + half * x[k], half * w[k], sum);

        if (x[k] != 0) {
            at(mid - half * x[k], half * w[k], sum);
        }
    }

    return sum;
}

void
best_t::refine(double from, double to, double g_from, double g_to,
    const vector_t &whole, int depth, vector_t &sum)
{
    double    mid = from + (to - from) / 2, error = 0, mass = 0;
    vector_t  left = panel(from, mid), right = panel(mid, to);

    for (size_t i = 0; i < n_; i++) {
        error = std::max(error, std::fabs(left[i] + right[i] - whole[i]));
        mass += left[i] + right[i];
    }

    error = std::max(error, std::fabs(mass - (g_to - g_from)));

    if (error <= panel_error || depth == 0) {
        for (size_t i = 0; i < n_; i++) {
            sum[i] += left[i] + right[i];
        }
        return;
    }

    double  g_mid = all_below(mid);

    refine(from, mid, g_from, g_mid, left, depth - 1, sum);
    refine(mid, to, g_mid, g_to, right, depth - 1, sum);
}

/* The greatest is never below where the surest lower end is. */
vector_t
best_t::integrate()
{
    double    from = mean_[0] - tail * sd_[0], to = mean_[0] + tail * sd_[0];
    vector_t  sum(n_);

    for (size_t i = 1; i < n_; i++) {
        from = std::max(from, mean_[i] - tail * sd_[i]);
        to = std::max(to, mean_[i] + tail * sd_[i]);
    }

    refine(from, to, all_below(from), all_below(to), panel(from, to),
           panel_depth, sum);

    return sum;
}

void
share_greatest(const double *mean, size_t n, double *p)
{
    double  greatest = *std::max_element(mean, mean + n);
    double  ties = (double) std::count(mean, mean + n, greatest);

    for (size_t i = 0; i < n; i++) {
        p[i] = mean[i] == greatest ? 1 / ties : 0;
    }
}

bool
p_best(const double *mean, const double *sd, size_t n, double *p)
{
    size_t  zeros = 0;
    double  total = 0;

    for (size_t i = 0; i < n; i++) {
        if (!std::isfinite(mean[i]) || !std::isfinite(sd[i]) || sd[i] < 0) {
            return false;
        }
        zeros += sd[i] == 0;
    }

    if (zeros == n) {
        share_greatest(mean, n, p);
        return true;
    }

    if (zeros > 0) {
        return false;
    }

    vector_t  sum = best_t(mean, sd, n).integrate();

    for (double s : sum) {
        total += s;
    }

    if (!(std::fabs(total - 1) <= 1e-9)) {
        return false;
    }

    for (size_t i = 0; i < n; i++) {
        p[i] = std::min(1.0, sum[i] / total);
    }

    return true;
}

}  /* namespace */

bool
normal_p_best(const double *mean, const double *sd, size_t n, double *p)
{
    if (n == 0) {
        return false;
    }

    try {
        return p_best(mean, sd, n, p);

    } catch (const std::bad_alloc &) {
        tool_out_of_memory();

    } catch (const std::exception &) {
        return false;
    }
}
