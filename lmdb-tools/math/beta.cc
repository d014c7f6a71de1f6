/*
 * beta.cc - empirical-Bayes prior and P(best) for Beta-distributed arms, by
 * Boost.Math. Memory lives for one call; no exception leaves this file.
 *
 * P(best) of arm i is the integral of f_i(x) times the product of F_j(x) over
 * the other arms. It is taken over t = log(x / (1 - x)), where each density is
 * smooth and log-concave also for parameters below 1, by adaptive
 * Gauss-Legendre panels. The integrands of all arms sum to the derivative of
 * G = product of all F_j, and G is known: a panel is accepted only when it
 * reproduces the difference of G at its ends.
 */

#include "beta.h"
#include "tool.h"

#include <boost/math/quadrature/gauss.hpp>
#include <boost/math/special_functions/beta.hpp>
#include <boost/math/special_functions/digamma.hpp>
#include <boost/math/special_functions/trigamma.hpp>

#include <algorithm>
#include <cmath>
#include <new>
#include <numeric>
#include <vector>

namespace {

using boost::math::digamma;
using boost::math::trigamma;

/* No detour over long double: 1e-14 is plenty, and it is twice as fast. */
typedef boost::math::policies::policy<
    boost::math::policies::promote_double<false>>  policy_t;

const policy_t  policy;

/* ---- P(best) ------------------------------------------------------------ */

/* e^690 is near the largest double; beyond, the tails are taken in closed
 * form. */
const double    logit_end = 690;
const double    tail_mass = 1e-14;
const double    panel_error = 1e-12;
const int       panel_depth = 60;
const unsigned  points = 15;

typedef boost::math::quadrature::gauss<double, points>  gauss_t;
typedef std::vector<double>  vector_t;

struct group_t {
    beta_t  arm;
    double  count;              /* arms with these parameters */
};

/* x = 1 / (1 + e^-t) and y = 1 - x, both without cancellation. */
struct point_t {
    double  x, y;

    explicit point_t(double t)
        : x(1 / (1 + std::exp(-t))), y(1 / (1 + std::exp(t)))
    {
    }
};

double
below(const beta_t &arm, const point_t &p)
{
    return p.x <= 0.5 ? boost::math::ibeta(arm.a, arm.b, p.x, policy)
                      : boost::math::ibetac(arm.b, arm.a, p.y, policy);
}

double
above(const beta_t &arm, const point_t &p)
{
    return p.x <= 0.5 ? boost::math::ibetac(arm.a, arm.b, p.x, policy)
                      : boost::math::ibeta(arm.b, arm.a, p.y, policy);
}

/* Density along t. */
double
density(const beta_t &arm, const point_t &p)
{
    double  d;

    d = p.x <= 0.5
        ? boost::math::ibeta_derivative(arm.a, arm.b, p.x, policy)
        : boost::math::ibeta_derivative(arm.b, arm.a, p.y, policy);

    return d * p.x * p.y;
}

class best_t {
public:
    explicit best_t(const std::vector<group_t> &groups) : groups_(groups) { }

    vector_t integrate();

private:
    double all_below(double t) const;
    double any_above(double t) const;
    vector_t panel(double from, double to) const;
    void refine(double from, double to, double g_from, double g_to,
        const vector_t &whole, int depth, vector_t &sum) const;

    const std::vector<group_t>  &groups_;
};

/* G(t) */
double
best_t::all_below(double t) const
{
    double   log_g = 0;
    point_t  p(t);

    for (const group_t &g : groups_) {
        log_g += g.count * std::log(below(g.arm, p));
    }

    return std::exp(log_g);
}

/* An upper bound of 1 - G(t), close where it is small. */
double
best_t::any_above(double t) const
{
    double   s = 0;
    point_t  p(t);

    for (const group_t &g : groups_) {
        s += g.count * above(g.arm, p);
    }

    return s;
}

vector_t
best_t::panel(double from, double to) const
{
    const auto  &x = gauss_t::abscissa();
    const auto  &w = gauss_t::weights();
    double       half = (to - from) / 2, mid = from + half, log_g;
    vector_t     sum(groups_.size()), log_f(groups_.size());

    for (size_t k = 0; k < 2 * x.size(); k++) {
        size_t  node = k / 2;

        if (x[node] == 0 && k % 2) {
            continue;           /* the middle node has no mirror image */
        }

        point_t  p(mid + (k % 2 ? -half : half) * x[node]);

        log_g = 0;

        for (size_t i = 0; i < groups_.size(); i++) {
            log_f[i] = std::log(below(groups_[i].arm, p));
            log_g += groups_[i].count * log_f[i];
        }

        for (size_t i = 0; i < groups_.size(); i++) {
            if (std::isfinite(log_f[i])) {
                sum[i] += half * w[node] * density(groups_[i].arm, p)
                          * std::exp(log_g - log_f[i]);
            }
        }
    }

    return sum;
}

void
best_t::refine(double from, double to, double g_from, double g_to,
    const vector_t &whole, int depth, vector_t &sum) const
{
    double    mid = from + (to - from) / 2, error = 0, mass = 0;
    vector_t  left = panel(from, mid), right = panel(mid, to);

    for (size_t i = 0; i < groups_.size(); i++) {
        error = std::max(error, std::fabs(left[i] + right[i] - whole[i]));
        mass += groups_[i].count * (left[i] + right[i]);
    }

    error = std::max(error, std::fabs(mass - (g_to - g_from)));

    if (error <= panel_error || depth == 0) {
        for (size_t i = 0; i < groups_.size(); i++) {
            sum[i] += left[i] + right[i];
        }
        return;
    }

    double  g_mid = all_below(mid);

    refine(from, mid, g_from, g_mid, left, depth - 1, sum);
    refine(mid, to, g_mid, g_to, right, depth - 1, sum);
}

/* Where 'hold' ceases (or begins) to hold along t, to a hundredth of a
 * millionth of the range. */
template <typename predicate_t>
double
bisect(double yes, double no, predicate_t hold)
{
    for (int i = 0; i < 40; i++) {
        double  mid = yes + (no - yes) / 2;

        (hold(mid) ? yes : no) = mid;
    }

    return yes;
}

vector_t
best_t::integrate()
{
    vector_t  sum(groups_.size());
    double    a = 0, s = 0;

    double  from = bisect(-logit_end, logit_end,
        [this](double t) { return all_below(t) <= tail_mass; });
    double  to = bisect(logit_end, -logit_end,
        [this](double t) { return any_above(t) <= tail_mass; });
    double  g_from = all_below(from);

    refine(from, to, g_from, all_below(to), panel(from, to), panel_depth, sum);

    /* Below: F_i goes as x^a_i, so the share of i is a_i over their sum.
     * Above: the share of i is that of its tail. Both matter only where the
     * range ended before the mass did. */
    point_t  end(to);

    for (const group_t &g : groups_) {
        a += g.count * g.arm.a;
        s += g.count * above(g.arm, end);
    }

    for (size_t i = 0; i < groups_.size(); i++) {
        sum[i] += g_from * groups_[i].arm.a / a;

        if (s > 0) {
            sum[i] += (1 - all_below(to)) * above(groups_[i].arm, end) / s;
        }
    }

    return sum;
}

/* Arms with the same parameters are one group: in a large catalogue most
 * items were never clicked and often tried equally often. */
std::vector<group_t>
group_arms(const beta_t *arms, size_t n, std::vector<size_t> &group_of)
{
    std::vector<size_t>   order(n);
    std::vector<group_t>  groups;

    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [arms](size_t i, size_t j) {
        return arms[i].a != arms[j].a ? arms[i].a < arms[j].a
               : arms[i].b != arms[j].b ? arms[i].b < arms[j].b : i < j;
    });

    group_of.resize(n);

    for (size_t i : order) {
        if (groups.empty() || groups.back().arm.a != arms[i].a
            || groups.back().arm.b != arms[i].b)
        {
            groups.push_back({ arms[i], 0 });
        }

        groups.back().count++;
        group_of[i] = groups.size() - 1;
    }

    return groups;
}

/* ---- prior -------------------------------------------------------------- */

/* Log-likelihood of a beta-binomial sample up to a constant, its gradient
 * and Hessian by (a, b). */
struct likelihood_t {
    double  value, da, db, daa, dab, dbb;
};

double
log_beta(double a, double b)
{
    return std::lgamma(a) + std::lgamma(b) - std::lgamma(a + b);
}

double
value_at(const std::vector<beta_count_t> &counts, const beta_t &q)
{
    double  sum = 0, base = log_beta(q.a, q.b);

    for (const beta_count_t &c : counts) {
        sum += log_beta(c.successes + q.a, c.trials - c.successes + q.b)
               - base;
    }

    return sum;
}

likelihood_t
likelihood_at(const std::vector<beta_count_t> &counts, const beta_t &q)
{
    double        n = (double) counts.size(), both, both2;
    likelihood_t  l = { value_at(counts, q), 0, 0, 0, 0, 0 };

    both = n * digamma(q.a + q.b);
    both2 = n * trigamma(q.a + q.b);

    for (const beta_count_t &c : counts) {
        both -= digamma(c.trials + q.a + q.b);
        both2 -= trigamma(c.trials + q.a + q.b);
        l.da += digamma(c.successes + q.a);
        l.daa += trigamma(c.successes + q.a);
        l.db += digamma(c.trials - c.successes + q.b);
        l.dbb += trigamma(c.trials - c.successes + q.b);
    }

    l.da += both - n * digamma(q.a);
    l.db += both - n * digamma(q.b);
    l.daa += both2 - n * trigamma(q.a);
    l.dbb += both2 - n * trigamma(q.b);
    l.dab = both2;

    return l;
}

/* Minka's fixed point for the Polya distribution: never falls, slow. */
beta_t
fixed_point(const std::vector<beta_count_t> &counts, const beta_t &q)
{
    double  up_a = 0, up_b = 0, down = 0;

    for (const beta_count_t &c : counts) {
        up_a += digamma(c.successes + q.a) - digamma(q.a);
        up_b += digamma(c.trials - c.successes + q.b) - digamma(q.b);
        down += digamma(c.trials + q.a + q.b) - digamma(q.a + q.b);
    }

    return { q.a * up_a / down, q.b * up_b / down };
}

/* Newton's step on (log a, log b), halved until the likelihood rises; false
 * where it does not point uphill. */
bool
newton_step(const std::vector<beta_count_t> &counts, const likelihood_t &l,
    beta_t *q)
{
    double  gu = q->a * l.da, gv = q->b * l.db;
    double  huu = q->a * q->a * l.daa + gu, hvv = q->b * q->b * l.dbb + gv;
    double  huv = q->a * q->b * l.dab, det = huu * hvv - huv * huv;

    if (!(det > 0) || !(huu < 0)) {
        return false;
    }

    double  du = -(hvv * gu - huv * gv) / det;
    double  dv = -(huu * gv - huv * gu) / det;

    for (int i = 0; i < 30; i++, du /= 2, dv /= 2) {
        if (std::fabs(du) > 2 || std::fabs(dv) > 2) {
            continue;
        }

        beta_t  next = { q->a * std::exp(du), q->b * std::exp(dv) };

        if (value_at(counts, next) >= l.value) {
            *q = next;
            return true;
        }
    }

    return false;
}

/* The likeliest mean at a fixed strength, by bisection of the slope: with the
 * strength given, the likelihood is concave in the mean. */
beta_t
fit_mean(const std::vector<beta_count_t> &counts, double strength)
{
    double  low = 0, high = 1;

    for (int i = 0; i < 200 && low < high; i++) {
        double  mean = low + (high - low) / 2, slope = 0;
        beta_t  q = { mean * strength, (1 - mean) * strength };

        if (mean == low || mean == high) {
            break;
        }

        for (const beta_count_t &c : counts) {
            slope += digamma(c.successes + q.a) - digamma(q.a)
                     - digamma(c.trials - c.successes + q.b) + digamma(q.b);
        }

        (slope > 0 ? low : high) = mean;
    }

    return { low * strength, (1 - low) * strength };
}

beta_fit_t
fit(const std::vector<beta_count_t> &counts, double mean, beta_t *prior)
{
    beta_t  q = { 10 * mean, 10 * (1 - mean) };

    for (int i = 0; i < 20; i++) {
        q = fixed_point(counts, q);
    }

    for (int i = 0; i < 1000 && q.a + q.b <= BETA_MAX_STRENGTH; i++) {
        likelihood_t  l = likelihood_at(counts, q);
        beta_t        before = q;

        if (!newton_step(counts, l, &q)) {
            q = fixed_point(counts, q);
        }

        if (std::fabs(q.a - before.a) <= 1e-13 * q.a
            && std::fabs(q.b - before.b) <= 1e-13 * q.b)
        {
            break;
        }
    }

    if (std::isfinite(q.a) && std::isfinite(q.b) && q.a > 0 && q.b > 0
        && q.a + q.b <= BETA_MAX_STRENGTH)
    {
        *prior = q;
        return BETA_FIT_MLE;
    }

    *prior = fit_mean(counts, BETA_MAX_STRENGTH);

    return BETA_FIT_CAPPED;
}

beta_fit_t
fit_or_pool(const beta_count_t *all, size_t n, beta_t *prior)
{
    double                     trials = 0, successes = 0, mean;
    std::vector<beta_count_t>  counts;

    for (size_t i = 0; i < n; i++) {
        if (all[i].trials > 0) {
            counts.push_back(all[i]);
            trials += all[i].trials;
            successes += all[i].successes;
        }
    }

    if (counts.size() >= 2 && successes > 0 && successes < trials) {
        return fit(counts, successes / trials, prior);
    }

    mean = (successes + 0.5) / (trials + 1);
    *prior = { mean * BETA_WEAK_STRENGTH, (1 - mean) * BETA_WEAK_STRENGTH };

    return BETA_FIT_DEGENERATE;
}

reco_status_t
p_best(const beta_t *arms, size_t n, double *p, double *total,
    reco_error_t *err)
{
    vector_t              sum;
    std::vector<size_t>   group_of;
    std::vector<group_t>  groups;

    for (size_t i = 0; i < n; i++) {
        if (!(arms[i].a > 0 && arms[i].b > 0 && std::isfinite(arms[i].a)
              && std::isfinite(arms[i].b)))
        {
            return reco_error_set(err, RECO_INVALID, "",
                "parameters of arm %zu are not positive numbers", i);
        }
    }

    groups = group_arms(arms, n, group_of);

    if (groups.size() == 1) {
        sum.assign(1, 1 / groups[0].count);
    } else {
        sum = best_t(groups).integrate();
    }

    *total = 0;

    for (size_t g = 0; g < groups.size(); g++) {
        *total += groups[g].count * sum[g];
    }

    if (!(std::fabs(*total - 1) <= 1e-9)) {
        return reco_error_set(err, RECO_INVALID, "",
            "the probabilities of being best sum to %.12g", *total);
    }

    for (size_t i = 0; i < n; i++) {
        p[i] = sum[group_of[i]] / *total;
    }

    return RECO_OK;
}

}  /* namespace */

beta_fit_t
beta_prior_fit(const beta_count_t *counts, size_t n, beta_t *prior)
{
    try {
        return fit_or_pool(counts, n, prior);

    } catch (const std::bad_alloc &) {
        tool_out_of_memory();

    } catch (const std::exception &) {
        *prior = { BETA_WEAK_STRENGTH / 2, BETA_WEAK_STRENGTH / 2 };
        return BETA_FIT_DEGENERATE;
    }
}

reco_status_t
beta_p_best(const beta_t *arms, size_t n, double *p, double *total,
    reco_error_t *err)
{
    if (n == 0) {
        return reco_error_set(err, RECO_INVALID, "", "there is no arm");
    }

    try {
        return p_best(arms, n, p, total, err);

    } catch (const std::bad_alloc &) {
        tool_out_of_memory();

    } catch (const std::exception &e) {
        return reco_error_set(err, RECO_INVALID, "", "%s", e.what());
    }
}
