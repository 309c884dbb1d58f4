#include "ops/reference.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "ir/require.h"

namespace fovea::ops {
namespace {

std::size_t offset(const ir::Array& x, std::initializer_list<std::int64_t> coordinates) {
  invariant(coordinates.size() == x.shape.size(), "as many coordinates as axes");
  std::int64_t offset = 0;
  std::size_t axis = 0;
  for (const std::int64_t coordinate : coordinates) {
    invariant(coordinate >= 0 && coordinate < x.shape[axis], "a coordinate inside of the array");
    offset = offset * x.shape[axis++] + coordinate;
  }
  return static_cast<std::size_t>(offset);
}

// A hash of its own, in 64 bits and by another formula of the cube than ops/masks.cpp.
std::int64_t mixed(std::int64_t x, std::int64_t y) {
  const std::int64_t t = floor_mod(20011 * x + y + 7919, 32717);
  return t * t * t % 32717;
}

}  // namespace

double at(const ir::Array& x, std::initializer_list<std::int64_t> coordinates) {
  return x.data[offset(x, coordinates)];
}

double& at(ir::Array& x, std::initializer_list<std::int64_t> coordinates) {
  return x.data[offset(x, coordinates)];
}

ir::Array zeros(std::vector<std::int64_t> shape) {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) count *= extent;
  return {ir::Dtype::F32, std::move(shape), std::vector<double>(static_cast<std::size_t>(count))};
}

std::vector<double> softmax_of(const std::vector<double>& scores) {
  if (scores.empty()) return {};
  const double top = *std::ranges::max_element(scores);
  std::vector<double> weights(scores.size());
  if (top == -std::numeric_limits<double>::infinity()) return weights;
  double total = 0;
  for (std::size_t n = 0; n < scores.size(); ++n) total += weights[n] = std::exp(scores[n] - top);
  for (double& weight : weights) weight /= total;
  return weights;
}

std::vector<double> shares_of(std::vector<double> numbers) {
  const double total = std::accumulate(numbers.begin(), numbers.end(), 0.0);
  for (double& number : numbers) number /= total;
  return numbers;
}

ir::Arrays attend(const ir::Arrays& inputs, const Plain& plain) {
  const ir::Array &q = inputs.at("q"), &k = inputs.at("k"), &v = inputs.at("v");
  const std::int64_t group = k.shape[1] == 0 ? 1 : q.shape[1] / k.shape[1];
  ir::Array o = zeros({q.shape[0], q.shape[1], q.shape[2], v.shape[3]});
  const auto row = [&](std::int64_t b, std::int64_t h, std::int64_t i) {
    std::vector<double> scores;
    std::vector<std::int64_t> keys;
    for (std::int64_t j = 0; j < k.shape[2]; ++j) {
      if (!plain.visible({b, h, i, j})) continue;
      double dot = 0;
      for (std::int64_t d = 0; d < q.shape[3]; ++d) {
        dot += at(q, {b, h, i, d}) * at(k, {b, h / group, j, d});
      }
      keys.push_back(j);
      const double scale = std::sqrt(static_cast<double>(q.shape[3]));
      scores.push_back(plain.score({b, h, i, j}, dot / scale));
    }
    const auto weights = plain.weigh ? plain.weigh({b, h, i, -1}, scores) : softmax_of(scores);
    for (std::size_t n = 0; n < keys.size(); ++n) {
      for (std::int64_t e = 0; e < v.shape[3]; ++e) {
        at(o, {b, h, i, e}) += weights[n] * at(v, {b, h / group, keys[n], e});
      }
    }
  };
  for (std::int64_t b = 0; b < q.shape[0]; ++b) {
    for (std::int64_t h = 0; h < q.shape[1]; ++h) {
      for (std::int64_t i = 0; i < q.shape[2]; ++i) row(b, h, i);
    }
  }
  return {{"o", o}};
}

ir::Array project(const ir::Array& x, const ir::Array& w) {
  ir::Array y = zeros({x.shape[0], w.shape[0], x.shape[1], w.shape[2]});
  for (std::int64_t b = 0; b < y.shape[0]; ++b) {
    for (std::int64_t h = 0; h < y.shape[1]; ++h) {
      for (std::int64_t n = 0; n < y.shape[2]; ++n) {
        for (std::int64_t d = 0; d < y.shape[3]; ++d) {
          for (std::int64_t m = 0; m < x.shape[2]; ++m) {
            at(y, {b, h, n, d}) += at(x, {b, n, m}) * at(w, {h, m, d});
          }
        }
      }
    }
  }
  return y;
}

ir::Array unproject(const ir::Array& x, const ir::Array& w) {
  ir::Array y = zeros({x.shape[0], x.shape[2], w.shape[2]});
  for (std::int64_t b = 0; b < y.shape[0]; ++b) {
    for (std::int64_t n = 0; n < y.shape[1]; ++n) {
      for (std::int64_t m = 0; m < y.shape[2]; ++m) {
        for (std::int64_t h = 0; h < w.shape[0]; ++h) {
          for (std::int64_t e = 0; e < w.shape[1]; ++e) {
            at(y, {b, n, m}) += at(x, {b, h, n, e}) * at(w, {h, e, m});
          }
        }
      }
    }
  }
  return y;
}

ir::Array joined(const ir::Array& first, const ir::Array& second) {
  const std::int64_t before = first.shape[2];
  ir::Array both =
      zeros({first.shape[0], first.shape[1], before + second.shape[2], first.shape[3]});
  for (std::int64_t b = 0; b < both.shape[0]; ++b) {
    for (std::int64_t g = 0; g < both.shape[1]; ++g) {
      for (std::int64_t n = 0; n < both.shape[2]; ++n) {
        for (std::int64_t d = 0; d < both.shape[3]; ++d) {
          at(both, {b, g, n, d}) =
              n < before ? at(first, {b, g, n, d}) : at(second, {b, g, n - before, d});
        }
      }
    }
  }
  return both;
}

void scale_input(ir::Array& x, double factor) {
  for (double& value : x.data) value = static_cast<float>(value * factor);
}

std::int64_t position_of(const Problem& problem, const ir::Sizes& sizes, std::int64_t i) {
  return problem.flag("start") ? i : i + sizes.at("j") - sizes.at("i");
}

bool is_random_block(const Problem& problem, std::int64_t row, std::int64_t column,
                     std::int64_t blocks) {
  const auto random = static_cast<std::int64_t>(problem["random"]);
  const auto seed = static_cast<std::int64_t>(problem["seed"]);
  for (std::int64_t n = 0; n < random; ++n) {
    const std::int64_t first = n * blocks / random, last = (n + 1) * blocks / random;
    const std::int64_t number = mixed(mixed(mixed(seed, n), floor_mod(row, 32717)), n);
    if (column == first + number % std::max<std::int64_t>(last - first, 1)) return true;
  }
  return false;
}

std::int64_t floor_div(std::int64_t a, std::int64_t b) {
  return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

std::int64_t floor_mod(std::int64_t a, std::int64_t b) { return a - b * floor_div(a, b); }

}  // namespace fovea::ops
