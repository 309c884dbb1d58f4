// Attention by the arc between points of a sphere of radius r.
//
//   p = softmax(-r arccos(q·k / r²) / T),  o = Σ p v scaled back to the sphere
//
// Queries, keys and values of any length but 0 stand for the points on their rays.
#include <algorithm>
#include <cmath>

#include "ir/geometry.h"
#include "ops/curved.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions =
    head_options(Option{"r", 1, "radius of the sphere, above 0"}, kTemperature);

ir::Graph build(const Problem& problem) {
  const double r = problem.positive("r"), scale = -r / problem.positive("temperature");
  const Heads x = heads(problem);
  const Tensor q = spherical_project(x.d, x.q, 1.0), k = spherical_project(x.d, x.k, 1.0);
  const Tensor v = spherical_project(x.e, x.v, 1.0);
  const Tensor p = softmax(x.j, (spherical_distance(x.d, q, k, 1.0) * scale).named("s")).named("p");
  return graph_of(x, {{"o", spherical_project(x.e, sum(x.j, p * v), r)}});
}

Vector direction(const Vector& x) { return scaled(x, 1 / std::sqrt(dot(x, x))); }

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes&) {
  const double r = problem["r"];
  const ir::Array &q = inputs.at("q"), &k = inputs.at("k");
  const auto score = [&](const Pair& at) {
    const Vector x = direction(row_of(q, at.b, at.h, q.shape[1], at.i));
    const Vector y = direction(row_of(k, at.b, at.h, q.shape[1], at.j));
    return -r * std::acos(std::clamp(dot(x, y), -1.0, 1.0)) / problem["temperature"];
  };
  const auto mean = [&](const Vector& weights, const std::vector<Vector>& values) {
    Vector sum(values[0].size(), 0);
    for (std::size_t j = 0; j < values.size(); ++j) {
      const Vector v = direction(values[j]);
      for (std::size_t e = 0; e < sum.size(); ++e) sum[e] += weights[j] * v[e];
    }
    return scaled(direction(sum), r);
  };
  return attend_by(q, inputs.at("v"), score, mean);
}

}  // namespace

extern constinit const Mechanism spherical{
    .name = "spherical",
    .family = "geometric",
    .doc = "softmax over minus the arc between points of a sphere, values averaged on it",
    .formula = "o = midpoint(softmax(-r arccos(q·k / r²) / T), v)",
    .paper = "Gu 2019",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .properties = {.permutable = true}};

}  // namespace fovea::ops
