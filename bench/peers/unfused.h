// bench/peers/unfused.h — attention as one writes it with a library of matrix products.
#pragma once

#include <cstdint>
#include <vector>

namespace fovea::bench {

// softmax(q kᵀ / √width) v of one head: OpenBLAS's sgemm (sgemv for one query) into a stored plane,
// the softmax by Eigen's vectorized exponentials, sgemm again. One thread.
class Unfused {
 public:
  Unfused(std::int64_t rows, std::int64_t columns, int width);
  void run(const float* q, const float* k, const float* v, float* o);

 private:
  std::int64_t rows_, columns_;
  int width_;
  std::vector<float> plane_;
};

}  // namespace fovea::bench
