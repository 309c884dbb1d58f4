// Attention by distance in a product of a flat, a hyperbolic and a spherical space.
//
//   p = softmax(-√(Σ w_m d_m²) / T)    or, by the option `sum`,  softmax(-Σ w_m d_m / T)
//
// Each space has queries and keys of its own. Hyperbolic ones lie in the Poincaré ball, those
// beyond (1 - ε)/√c pulled in to there; spherical ones of any length but 0 stand for points on
// their rays.
#include <algorithm>
#include <array>
#include <cmath>

#include "ir/geometry.h"
#include "ir/require.h"
#include "ops/curved.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions =
    std::array{Option{"d", 32, "width of queries and keys in flat space"},
               Option{"hyperbolic", 16, "their width in hyperbolic space"},
               Option{"spherical", 16, "their width around the sphere"},
               Option{"e", 64, "width of values"},
               kCurvature,
               Option{"r", 1, "radius of the sphere, above 0"},
               Option{"flat_weight", 1, "of the flat distance, at least 0"},
               Option{"hyperbolic_weight", 1, "of the hyperbolic distance, at least 0"},
               Option{"spherical_weight", 1, "of the spherical distance, at least 0"},
               Option{"sum", 0, "1: distances add up, 0: their squares do"},
               kTemperature,
               kEpsilon};

double weight_of(const Problem& problem, std::string_view name) {
  const double weight = problem[name];
  require(std::isfinite(weight) && weight >= 0, Code::invalid_config,
          "option {} is {}; expected a number of at least 0", name, weight);
  return weight;
}

ir::Graph build(const Problem& problem) {
  const Axis b{"b"}, h{"h"}, i{"i"}, j{"j"}, e{"e", problem.integer("e")};
  const Axis d{"d", problem.integer("d")}, m{"m", problem.integer("hyperbolic")};
  const Axis n{"n", problem.integer("spherical")};
  const double c = problem.positive("c"), epsilon = epsilon_of(problem);
  const auto points = [&](std::string name, const Axis& of, const Axis& width) {
    return input(std::move(name), f32, {b, h, of, width});
  };
  const Tensor apart = points("q", i, d) - points("k", j, d);
  const Tensor x = points("q_hyperbolic", i, m), y = points("k_hyperbolic", j, m);
  const Tensor q = x * UnitBall(m, x, c, epsilon).scale, k = y * UnitBall(m, y, c, epsilon).scale;
  const Tensor arc =
      spherical_distance(n, spherical_project(n, points("q_spherical", i, n), 1.0),
                         spherical_project(n, points("k_spherical", j, n), 1.0), 1.0);
  const std::array distances{sqrt(sum(d, apart * apart)),
                             distance(m, q, k, 1.0) * (1 / std::sqrt(c)),
                             arc * problem.positive("r")};
  const std::array weights{weight_of(problem, "flat_weight"),
                           weight_of(problem, "hyperbolic_weight"),
                           weight_of(problem, "spherical_weight")};
  Tensor all = 0.0;
  if (problem.flag("sum")) {
    for (std::size_t s = 0; s < 3; ++s) all = all + distances[s] * weights[s];
  } else {
    all = product({distances[0] * std::sqrt(weights[0]), distances[1] * std::sqrt(weights[1]),
                   distances[2] * std::sqrt(weights[2])});
  }
  const Tensor p = softmax(j, (all * (-1 / problem.positive("temperature"))).named("s"));
  return ir::make_graph({{"o", sum(j, p * points("v", j, e))}}, {b, h, i, j, d, e, m, n});
}

double flat_distance(const Vector& x, const Vector& y) {
  double squared = 0;
  for (std::size_t n = 0; n < x.size(); ++n) squared += (x[n] - y[n]) * (x[n] - y[n]);
  return std::sqrt(squared);
}

double arc_between(const Vector& x, const Vector& y) {
  return std::acos(std::clamp(dot(x, y) / std::sqrt(dot(x, x) * dot(y, y)), -1.0, 1.0));
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes&) {
  const double c = problem["c"], epsilon = problem["epsilon"];
  const auto query = [&](const char* name, const Pair& at) {
    return row_of(inputs.at(name), at.b, at.h, inputs.at("q").shape[1], at.i);
  };
  const auto key = [&](const char* name, const Pair& at) {
    return row_of(inputs.at(name), at.b, at.h, inputs.at("q").shape[1], at.j);
  };
  const auto score = [&](const Pair& at) {
    const double flat = flat_distance(query("q", at), key("k", at));
    const double hyperbolic = hyperbolic_distance(inside(query("q_hyperbolic", at), c, epsilon),
                                                  inside(key("k_hyperbolic", at), c, epsilon), c);
    const double arc = problem["r"] * arc_between(query("q_spherical", at), key("k_spherical", at));
    const double a = problem["flat_weight"], f = problem["hyperbolic_weight"],
                 g = problem["spherical_weight"];
    const double total =
        problem.flag("sum")
            ? a * flat + f * hyperbolic + g * arc
            : std::sqrt(a * flat * flat + f * hyperbolic * hyperbolic + g * arc * arc);
    return -total / problem["temperature"];
  };
  const auto mean = [](const Vector& weights, const std::vector<Vector>& values) {
    Vector sum(values[0].size(), 0);
    for (std::size_t j = 0; j < values.size(); ++j)
      for (std::size_t e = 0; e < sum.size(); ++e) sum[e] += weights[j] * values[j][e];
    return sum;
  };
  return attend_by(inputs.at("q"), inputs.at("v"), score, mean);
}

void special_inputs(const Problem& problem, const ir::Sizes&, unsigned, ir::Arrays& inputs) {
  for (const char* name : {"q_hyperbolic", "k_hyperbolic"})
    spread_points(inputs.at(name), 0.5 / std::sqrt(problem["c"]));
}

}  // namespace

extern constinit const Mechanism mixed_curvature{
    .name = "mixed_curvature",
    .family = "geometric",
    .doc = "softmax over minus the distance in a product of flat, hyperbolic and spherical space",
    .formula = "o = softmax(-√(w₁|q - k|² + w₂d_H(q', k')² + w₃d_S(q\", k\")²) / T) v",
    .paper = "Gu 2019",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .special_inputs = special_inputs,
    .properties = {.convex = true, .permutable = true}};

}  // namespace fovea::ops
