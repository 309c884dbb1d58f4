#include "bench/peers/unfused.h"

#include <cblas.h>

#include <Eigen/Core>
#include <cmath>

namespace fovea::bench {

Unfused::Unfused(std::int64_t rows, std::int64_t columns, int width)
    : rows_(rows),
      columns_(columns),
      width_(width),
      plane_(static_cast<std::size_t>(rows * columns)) {
  openblas_set_num_threads(1);
}

void Unfused::run(const float* q, const float* k, const float* v, float* o) {
  const auto m = static_cast<blasint>(rows_), n = static_cast<blasint>(columns_);
  const blasint d = width_;
  const float scale = 1 / std::sqrt(static_cast<float>(width_));
  float* const plane = plane_.data();
  if (m == 1)
    cblas_sgemv(CblasRowMajor, CblasNoTrans, n, d, scale, k, d, q, 1, 0, plane, 1);
  else
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, d, scale, q, d, k, d, 0, plane, n);
  for (blasint row = 0; row < m; ++row) {
    Eigen::Map<Eigen::ArrayXf> weights(plane + row * columns_, n);
    weights = (weights - weights.maxCoeff()).exp();
    weights *= 1 / weights.sum();
  }
  if (m == 1)
    cblas_sgemv(CblasRowMajor, CblasTrans, n, d, 1, v, d, plane, 1, 0, o, 1);
  else
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, d, n, 1, plane, n, v, d, 0, o, d);
}

}  // namespace fovea::bench
