// Attention by distance on the hyperboloid of curvature -c.
//
//   p = softmax(-arcosh(-c ⟨q, k⟩_L) / √c T),  o = Σ p v scaled back to the hyperboloid
//
// Queries, keys, values and outputs are the coordinates of space; the time of each is
// √(1/c + |x|²). Distances are computed by |q' - k'|² in the ball, q' = q / (1/√c + time), where
// near and far points alike keep their digits.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/curved.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = head_options(kCurvature, kTemperature);
constexpr double kLongest = std::numeric_limits<double>::infinity();  // inputs have no border

Points points_of(const Axis& d, const Tensor& x, double c) {
  const Tensor far = sqrt(sum(d, x * x) * c + 1.0) + 1.0;
  return {far, x * (std::sqrt(c) / far)};
}

ir::Graph build(const Problem& problem) {
  const double c = problem.positive("c");
  const double scale = 1 / (problem.positive("temperature") * std::sqrt(c));
  const Heads x = heads(problem);
  const Points q = points_of(x.d, x.q, c), k = points_of(x.d, x.k, c), v = points_of(x.e, x.v, c);
  const Tensor p = hyperbolic_weights(x.j, excess_of(x.d, q, k), scale, kLongest).named("p");
  const Tensor space = sum(x.j, p * x.v), time = sum(x.j, p * (v.far - 1.0).named("v_time"));
  return graph_of(x, {{"o", space / length_of(x, p, v, {space * std::sqrt(c), time}, 1.0)}});
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes&) {
  const double c = problem["c"];
  const ir::Array &q = inputs.at("q"), &k = inputs.at("k");
  const auto score = [&](const Pair& at) {
    const Vector x = row_of(q, at.b, at.h, q.shape[1], at.i);
    const Vector y = row_of(k, at.b, at.h, q.shape[1], at.j);
    const double inner = dot(x, y) - std::sqrt(1 / c + dot(x, x)) * std::sqrt(1 / c + dot(y, y));
    return -std::acosh(std::max(-c * inner, 1.0)) / std::sqrt(c) / problem["temperature"];
  };
  const auto mean = [&](const Vector& weights, const std::vector<Vector>& values) {
    Vector space(values[0].size(), 0);
    double time = 0;
    for (std::size_t j = 0; j < values.size(); ++j) {
      for (std::size_t e = 0; e < space.size(); ++e) space[e] += weights[j] * values[j][e];
      time += weights[j] * std::sqrt(1 / c + dot(values[j], values[j]));
    }
    return scaled(space, 1 / std::sqrt(c * (time * time - dot(space, space))));
  };
  return attend_by(q, inputs.at("v"), score, mean);
}

}  // namespace

extern constinit const Mechanism lorentz{
    .name = "lorentz",
    .family = "geometric",
    .doc = "softmax over minus the distance on the hyperboloid, values averaged there",
    .formula = "o = midpoint(softmax(-arcosh(-c⟨q, k⟩_L) / √c T), v)",
    .paper = "Law 2019",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .properties = {.permutable = true}};

}  // namespace fovea::ops
