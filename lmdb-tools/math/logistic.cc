/*
 * logistic.cc - logistic.h over Eigen. Rows are summed in their order, so that
 * the same rows give the same coefficients.
 */

#include "logistic.h"

#include <Eigen/Dense>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace {

using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

constexpr uint32_t  max_iterations = 100;
constexpr double    tolerance = 1e-10;

/* Gradient and information of the penalised likelihood at w; w(0) is the
 * intercept. */
void
derivatives(const double *x, const uint8_t *y, size_t n, uint32_t k,
    double ridge, const Vector &w, Vector &gradient, Matrix &information)
{
    Vector  row(k + 1);

    gradient.setZero();
    information.setZero();
    row(0) = 1;

    for (size_t i = 0; i < n; i++) {
        for (uint32_t j = 0; j < k; j++) {
            row(j + 1) = x[i * k + j];
        }

        const double  p = 1 / (1 + std::exp(-row.dot(w)));

        gradient.noalias() += (y[i] - p) * row;
        information.noalias() += p * (1 - p) * row * row.transpose();
    }

    for (uint32_t j = 1; j <= k; j++) {
        gradient(j) -= ridge * w(j);
        information(j, j) += ridge;
    }
}

} // namespace

bool
logistic_fit(const double *x, const uint8_t *y, size_t n, uint32_t k,
    double ridge, logistic_t *out)
{
    Vector  w = Vector::Zero(k + 1), gradient(k + 1), step;
    Matrix  information(k + 1, k + 1);

    *out = logistic_t();

    while (!out->converged && out->iterations < max_iterations) {
        derivatives(x, y, n, k, ridge, w, gradient, information);

        Eigen::LDLT<Matrix>  ldlt(information);
        if (ldlt.info() != Eigen::Success || !ldlt.isPositive()
            || ldlt.vectorD().minCoeff() <= 0)
        {
            return false;
        }

        step = ldlt.solve(gradient);

        /* The likelihood is concave; a step too far, from a flat start, is
         * all that can go wrong. */
        const double  largest = step.cwiseAbs().maxCoeff();
        if (!std::isfinite(largest)) {
            return false;
        }
        w += largest > 5 ? Vector(step * (5 / largest)) : step;
        out->converged = largest < tolerance;
        out->iterations++;
    }

    const Matrix  covariance = information.inverse();

    out->intercept = w(0);
    out->intercept_error = std::sqrt(covariance(0, 0));
    for (uint32_t j = 0; j < k; j++) {
        out->coefficient[j] = w(j + 1);
        out->error[j] = std::sqrt(covariance(j + 1, j + 1));
    }

    return true;
}

double
logistic_auc(const double *score, const uint8_t *y, size_t n)
{
    std::vector<size_t>  order(n);
    double               ranks = 0, positives = 0;

    std::iota(order.begin(), order.end(), size_t(0));
    std::sort(order.begin(), order.end(), [score](size_t a, size_t b) {
        return score[a] != score[b] ? score[a] < score[b] : a < b;
    });

    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && score[order[end]] == score[order[i]];
             end++)
        {
        }

        /* equal scores share the mean of their ranks i + 1 .. end */
        const double  rank = (double(i + 1) + double(end)) / 2;

        for (size_t j = i; j < end; j++) {
            ranks += y[order[j]] ? rank : 0;
            positives += y[order[j]] ? 1 : 0;
        }
    }

    const double  pairs = positives * (double(n) - positives);

    return pairs > 0 ? (ranks - positives * (positives + 1) / 2) / pairs
                     : std::numeric_limits<double>::quiet_NaN();
}
