// Attention with linear biases: a key counts less by its distance, each head with its own slope.
//
//   s = q·k / √d - m_h |p - j|,  p = i + n_k - n_q
//   m_h = 2^(-8 (h + 1) / n) for n heads, n a power of two; beyond the largest such n the slopes
//   are every other one of 2 n heads, as in the paper
#include <array>
#include <bit>
#include <cmath>
#include <vector>

#include "ops/masks.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions =
    std::array{Option{"d", 64, "width of queries and keys"}, Option{"e", 64, "width of values"},
               Option{"heads", 8, "heads, which decide the slopes"},
               Option{"causal", 1, "1: no row sees a later key"}, kStart};

int power_of_two(int heads) {
  return static_cast<int>(std::bit_floor(static_cast<unsigned>(heads)));
}

// As the paper's program has them.
std::vector<double> slopes_of(int heads) {
  std::vector<double> slopes;
  int even = 1;
  while (2 * even <= heads) even *= 2;
  for (int n = 1; n <= even; ++n) slopes.push_back(std::pow(2.0, -8.0 * n / even));
  for (int n = 1; n <= heads - even; ++n) {
    slopes.push_back(std::pow(2.0, -8.0 * (2 * n - 1) / (2 * even)));
  }
  return slopes;
}

ir::Graph build(const Problem& problem) {
  const int heads = problem.integer("heads"), even = power_of_two(heads);
  const Axis b{"b"}, h{"h", heads}, i{"i"}, j{"j"};
  const Axis d{"d", problem.integer("d")}, e{"e", problem.integer("e")};
  const Tensor q = input("q", f32, {b, h, i, d}), k = input("k", f32, {b, h, j, d});
  const Tensor slope =
      exp2(where(h < even, (h + 1) * (-8.0 / even), (2 * (h - even) + 1) * (-4.0 / even)));
  const Tensor at = problem.flag("start") ? Tensor(i) : i + (size(j) - size(i));
  const Tensor s = sum(d, q * k) * (1 / std::sqrt(problem["d"])) - slope * abs(at - j);
  const Tensor p = softmax(j, problem.flag("causal") ? where(j <= at, s, -infinity) : s);
  return ir::make_graph({{"o", sum(j, p * input("v", f32, {b, h, j, e}))}}, {b, h, i, j, d, e});
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes& sizes) {
  const std::vector<double> slopes = slopes_of(problem.integer("heads"));
  const auto back = [&](const Pair& at) { return position_of(problem, sizes, at.i) - at.j; };
  const auto visible = [&](const Pair& at) { return !problem.flag("causal") || back(at) >= 0; };
  const auto score = [&](const Pair& at, double s) {
    return s - slopes[static_cast<std::size_t>(at.h)] * std::abs(static_cast<double>(back(at)));
  };
  return attend(inputs, {.visible = visible, .score = score});
}

}  // namespace

extern constinit const Mechanism alibi{
    .name = "alibi",
    .family = "dot product",
    .doc = "scores fall linearly with the distance, by a slope for each head; causal by default",
    .formula = "o = softmax(q·k / √d - 2^(-8 (h + 1) / H) |i - j|) v",
    .paper = "Press 2022",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .properties = {.convex = true}};

}  // namespace fovea::ops
