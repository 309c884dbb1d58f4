// Causal attention, four query heads to a key head, compiled and compared with plain loops.
#include <fovea/fovea.h>

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <random>
#include <vector>

namespace {

constexpr std::size_t kBatch = 2, kHeads = 8, kGroups = 2, kLength = 70, kWidth = 64;

std::vector<float> random_values(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

struct Problem {
  std::vector<float> q = random_values(kBatch * kHeads * kLength * kWidth, 1);
  std::vector<float> k = random_values(kBatch * kGroups * kLength * kWidth, 2);
  std::vector<float> v = random_values(kBatch * kGroups * kLength * kWidth, 3);
};

std::vector<float> compiled(Problem& problem) {
  using namespace fovea;
  Axis b{"b"}, h{"h"}, g{"g"}, i{"i"}, j{"j"}, d{"d", 64}, e{"e", 64};
  Tensor q = input("q", f32, {b, h, i, d}), k = input("k", f32, {b, g, j, d}),
         v = input("v", f32, {b, g, j, e});
  Tensor s = sum(d, q * k.at(g, h / 4)) * 0.125f;
  Tensor p = softmax(j, where(j <= i, s, -infinity));
  Kernel attention = compile({{"o", sum(j, p * v.at(g, h / 4))}});

  std::vector<float> o(problem.q.size(), NAN);
  attention.run({{"q", view(problem.q.data(), {kBatch, kHeads, kLength, kWidth})},
                 {"k", view(problem.k.data(), {kBatch, kGroups, kLength, kWidth})},
                 {"v", view(problem.v.data(), {kBatch, kGroups, kLength, kWidth})}},
                {{"o", view(o.data(), {kBatch, kHeads, kLength, kWidth})}});
  return o;
}

// One row of the result.
std::vector<double> expected(const float* q, const float* k, const float* v, std::size_t row) {
  std::vector<double> result(kWidth), weights(row + 1);
  double maximum = -INFINITY, total = 0;
  for (std::size_t j = 0; j <= row; ++j) {
    for (std::size_t d = 0; d < kWidth; ++d) weights[j] += double{q[d]} * k[j * kWidth + d] * 0.125;
    maximum = std::fmax(maximum, weights[j]);
  }
  for (double& weight : weights) total += weight = std::exp(weight - maximum);
  for (std::size_t j = 0; j <= row; ++j) {
    for (std::size_t e = 0; e < kWidth; ++e) result[e] += weights[j] / total * v[j * kWidth + e];
  }
  return result;
}

double largest_error(const Problem& problem, const std::vector<float>& o) {
  double largest = 0;
  for (std::size_t head = 0; head < kBatch * kHeads; ++head) {
    const std::size_t group = head / (kHeads / kGroups);
    for (std::size_t i = 0; i < kLength; ++i) {
      const std::size_t row = (head * kLength + i) * kWidth, keys = group * kLength * kWidth;
      const std::vector<double> right =
          expected(&problem.q[row], &problem.k[keys], &problem.v[keys], i);
      for (std::size_t e = 0; e < kWidth; ++e) {
        const double error = std::fabs(o[row + e] - right[e]);
        if (!(error <= largest)) largest = error;  // also if it is NaN
      }
    }
  }
  return largest;
}

}  // namespace

int main() {
  Problem problem;
  const double error = largest_error(problem, compiled(problem));
  std::printf("largest error %g\n", error);
  if (error < 1e-5) return 0;
  std::fprintf(stderr, "expected an error below 1e-5\n");
  return 1;
}
