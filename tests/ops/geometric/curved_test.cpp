// The hyperboloid, the sphere and products of spaces, beside one another.
#include <doctest/doctest.h>

#include <cmath>

#include "tests/ops/support.h"

namespace fovea::ops::test {
namespace {

ir::Arrays points() {
  ir::Arrays inputs;
  for (const char* name : {"q", "k", "v"})
    inputs[name] = normal({1, 1, 5, 3}, static_cast<unsigned>(name[0]));
  return inputs;
}

}  // namespace

TEST_CASE("lorentz is poincare on the hyperboloid") {
  constexpr double kC = 2;
  const ir::Arrays space = points();
  ir::Arrays ball = space;
  const auto stretched = [&](ir::Array x, auto&& factor) {
    for (std::size_t row = 0; row < x.data.size(); row += 3) {
      double squared = 0;
      for (std::size_t n = 0; n < 3; ++n) squared += x.data[row + n] * x.data[row + n];
      for (std::size_t n = 0; n < 3; ++n) x.data[row + n] *= factor(squared);
    }
    return x;
  };
  for (auto& [name, array] : ball)
    array = stretched(array, [](double squared) { return 1 / (1 + std::sqrt(1 + kC * squared)); });
  const Options options{{"d", 3}, {"e", 3}, {"c", kC}};
  const ir::Array there = evaluate("lorentz", options, space).at("o");
  const ir::Array here = evaluate("poincare", options, ball).at("o");
  CHECK(distance(there, stretched(here, [](double squared) { return 2 / (1 - kC * squared); })) <
        1e-9);
}

TEST_CASE("lorentz keeps its digits where distances are long") {
  ir::Arrays inputs = points();
  for (double& x : inputs.at("q").data) x *= 1e6;
  for (double& x : inputs.at("k").data) x *= 1e6;
  const ir::Array o = evaluate("lorentz", {{"d", 3}, {"e", 3}}, inputs).at("o");
  for (const double x : o.data) CHECK(std::isfinite(x));
}

TEST_CASE("spherical weighs by arcs and gives points of the sphere") {
  const Options options{{"d", 3}, {"e", 3}, {"r", 2}};
  const ir::Array o = evaluate("spherical", options, points()).at("o");
  for (std::size_t row = 0; row < o.data.size(); row += 3)
    CHECK(std::hypot(o.data[row], o.data[row + 1], o.data[row + 2]) == doctest::Approx(2));
  ir::Arrays scaled = points();
  for (auto& [name, array] : scaled)
    for (double& x : array.data) x *= 7;
  CHECK(distance(evaluate("spherical", options, scaled).at("o"), o) < 1e-12);
}

TEST_CASE("mixed_curvature with one space alone is that space") {
  const auto weigh = [](Options options) {
    for (const char* weight : {"flat_weight", "hyperbolic_weight", "spherical_weight"})
      options.try_emplace(weight, 0);
    return weights("mixed_curvature", options, 4, 4);
  };
  CHECK(weigh({{"flat_weight", 1}}) == weigh({{"flat_weight", 1}, {"c", 3}, {"r", 2}}));
  const Rows flat = weigh({{"flat_weight", 1}, {"sum", 1}}), squared = weigh({{"flat_weight", 1}});
  for (std::size_t row = 0; row < flat.size(); ++row)
    for (std::size_t j = 0; j < flat[row].size(); ++j)
      CHECK(flat[row][j] == doctest::Approx(squared[row][j]));
}

TEST_CASE("spaces of vanishing curvature are flat") {
  ir::Arrays inputs = points();
  // Straight distances, twice as long in the ball.
  const auto flat = [&](const ir::Arrays& at, double factor) {
    ir::Array o = filled({1, 1, 5, 3}, 0);
    for (std::size_t i = 0; i < 5; ++i) {
      double total = 0;
      for (std::size_t j = 0; j < 5; ++j) {
        double squared = 0;
        for (std::size_t d = 0; d < 3; ++d)
          squared += std::pow(at.at("q").data[3 * i + d] - at.at("k").data[3 * j + d], 2);
        const double weight = std::exp(-factor * std::sqrt(squared));
        total += weight;
        for (std::size_t d = 0; d < 3; ++d)
          o.data[3 * i + d] += weight * at.at("v").data[3 * j + d];
      }
      for (std::size_t d = 0; d < 3; ++d) o.data[3 * i + d] /= total;
    }
    return o;
  };
  const Options shape{{"d", 3}, {"e", 3}, {"c", 1e-10}};
  CHECK(distance(evaluate("poincare", shape, inputs).at("o"), flat(inputs, 2)) < 1e-7);
  CHECK(distance(evaluate("lorentz", shape, inputs).at("o"), flat(inputs, 1)) < 1e-7);
  // On a large sphere around a pole, points that are near it.
  const double radius = 1e5;
  ir::Arrays near = inputs;
  for (auto& [name, array] : near)
    for (std::size_t n = 0; n < array.data.size(); n += 3) array.data[n] = radius;
  for (auto& [name, array] : inputs)
    for (std::size_t n = 0; n < array.data.size(); n += 3) array.data[n] = 0;
  ir::Array o = evaluate("spherical", {{"d", 3}, {"e", 3}, {"r", radius}}, near).at("o");
  for (std::size_t n = 0; n < o.data.size(); n += 3) o.data[n] = 0;
  CHECK(distance(o, flat(inputs, 1)) < 1e-4);
}

TEST_CASE("mixed_curvature pulls hyperbolic points from outside of the ball in to its border") {
  Options options{{"d", 2}, {"hyperbolic", 2}, {"spherical", 2}, {"e", 2}};
  ir::Arrays inputs = one_head("mixed_curvature", options, 2, 2);
  inputs.at("q_hyperbolic") = array({1, 1, 2, 2}, {30, 40, 0.1, 0.2});
  inputs.at("k_hyperbolic") = array({1, 1, 2, 2}, {-5, 0, 0.3, 0.1});
  const ir::Array outside = evaluate("mixed_curvature", options, inputs).at("o");
  inputs.at("q_hyperbolic") = array({1, 1, 2, 2}, {.5994, .7992, 0.1, 0.2});
  inputs.at("k_hyperbolic") = array({1, 1, 2, 2}, {-.999, 0, 0.3, 0.1});
  CHECK(distance(evaluate("mixed_curvature", options, inputs).at("o"), outside) < 1e-9);
}

TEST_CASE("curvatures and radii that are not above 0 are errors") {
  for (const double wrong : {0.0, -1.0, static_cast<double>(NAN), static_cast<double>(INFINITY)}) {
    for (const char* name : {"poincare", "lorentz", "mixed_curvature"})
      CHECK(error_of(name, {{"c", wrong}}).starts_with("invalid_config: option c is "));
    for (const char* name : {"spherical", "mixed_curvature"})
      CHECK(error_of(name, {{"r", wrong}}).starts_with("invalid_config: option r is "));
  }
}

}  // namespace fovea::ops::test
