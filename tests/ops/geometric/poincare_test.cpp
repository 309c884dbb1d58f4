#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cmath>

#include "tests/ops/support.h"

namespace fovea::ops::test {
namespace {

// One row, three keys and values in the plane.
ir::Arrays plane(std::vector<double> q, std::vector<double> k, std::vector<double> v) {
  return {{"q", array({1, 1, 1, 2}, std::move(q))},
          {"k", array({1, 1, 3, 2}, std::move(k))},
          {"v", array({1, 1, 3, 2}, std::move(v))}};
}

const std::vector<double> kValues{.9, 0, -.3, .8, .1, -.6};

// Keys at distances from the query, which is the origin, that give the weights .5, .3, .2.
ir::Arrays golden() {
  const auto at = [](double weight) { return std::tanh(std::log(.5 / weight) / 2 + .05); };
  return plane({0, 0}, {at(.5), 0, 0, at(.3), -at(.2), 0}, kValues);
}

Options in_plane(Options options) {
  options["d"] = options["e"] = 2;
  return options;
}

std::vector<double> output(const Options& options, const ir::Arrays& inputs) {
  return evaluate("poincare", in_plane(options), inputs).at("o").data;
}

}  // namespace

TEST_CASE("poincare brings values together as the literature has it") {
  const auto midpoint = output({}, golden()), mean = output({{"frechet", 24}}, golden());
  CHECK(std::abs(midpoint[0] - .324284) < 1e-6);
  CHECK(std::abs(midpoint[1] - .109580) < 1e-6);
  CHECK(std::abs(mean[0] - .411192) < 1e-6);
  CHECK(std::abs(mean[1] - .048519) < 1e-6);
}

TEST_CASE("poincare weighs by exp(-d)") {
  // d([.1, .2], [.3, .1]) = .479057, itself 0, and the opposite point at 4 artanh |q|.
  const double near = std::exp(-.479057), far = std::exp(-4 * std::atanh(std::sqrt(.05)));
  // Values as near the origin as makes the midpoint their mean.
  const auto found =
      output({}, plane({.1, .2}, {.3, .1, .1, .2, -.1, -.2}, {1e-4, 0, 0, 1e-4, 0, 0}));
  CHECK(found[0] * 1e4 == doctest::Approx(near / (near + 1 + far)).epsilon(1e-5));
  CHECK(found[1] * 1e4 == doctest::Approx(1 / (near + 1 + far)).epsilon(1e-5));
}

TEST_CASE("poincare: points outside of the ball are those on its border") {
  const auto outside = output({}, plane({30, 40}, {.3, .1, 5, 0, 0, .5}, {.9, 0, 0, 300, .1, -.6}));
  const auto border =
      output({}, plane({.5994, .7992}, {.3, .1, .999, 0, 0, .5}, {.9, 0, 0, .999, .1, -.6}));
  CHECK(std::abs(outside[0] - border[0]) < 1e-12);
  CHECK(std::abs(outside[1] - border[1]) < 1e-12);
}

TEST_CASE("poincare tends to what flat space gives as curvature vanishes") {
  const std::vector<double> keys{.3, .1, -.4, .5, .2, .9};
  const auto curved = output({{"c", 1e-10}}, plane({.1, .2}, keys, kValues));
  double total = 0, expected[2] = {0, 0};
  for (std::size_t j = 0; j < 3; ++j) {
    const double weight = std::exp(-2 * std::hypot(keys[2 * j] - .1, keys[2 * j + 1] - .2));
    total += weight;
    for (std::size_t e = 0; e < 2; ++e) expected[e] += weight * kValues[2 * j + e];
  }
  CHECK(curved[0] == doctest::Approx(expected[0] / total).epsilon(1e-6));
  CHECK(curved[1] == doctest::Approx(expected[1] / total).epsilon(1e-6));
}

TEST_CASE("poincare: outputs lie in the ball, whatever the inputs") {
  CHECK(rc::check([] {
    const double c = *rc::gen::element(0.25, 1.0, 9.0), steps = *rc::gen::element(0.0, 3.0);
    const auto points = [](std::size_t count) {
      return *rc::gen::container<std::vector<double>>(
          2 * count, rc::gen::map(rc::gen::inRange(-3000, 3001), [](int n) { return n * 1e-3; }));
    };
    const auto o = output({{"c", c}, {"frechet", steps}}, plane(points(1), points(3), points(3)));
    RC_ASSERT(c * (o[0] * o[0] + o[1] * o[1]) < 1);
  }));
}

TEST_CASE("poincare: options that make no sense are errors") {
  CHECK(error_of("poincare", {{"c", 0}}) ==
        "invalid_config: option c is 0; expected a number above 0");
  CHECK(error_of("poincare", {{"c", -1}}) ==
        "invalid_config: option c is -1; expected a number above 0");
  CHECK(error_of("poincare", {{"temperature", 0}}).starts_with("invalid_config: option temp"));
  CHECK(error_of("poincare", {{"epsilon", 0}}) ==
        "invalid_config: option epsilon is 0; expected a number above 2^-23 and below 1");
  CHECK(error_of("poincare", {{"epsilon", 1}}).starts_with("invalid_config: option epsilon"));
  CHECK(error_of("poincare", {{"frechet", 101}}).starts_with("invalid_config: option frechet"));
  CHECK(error_of("poincare", {{"frechet", 1.5}}).starts_with("invalid_config: option frechet"));
  CHECK(error_of("lorentz", {{"c", 0}}).starts_with("invalid_config: option c"));
  CHECK(error_of("spherical", {{"r", 0}}).starts_with("invalid_config: option r"));
  CHECK(error_of("mixed_curvature", {{"flat_weight", -1}})
            .starts_with("invalid_config: option flat_weight"));
}

}  // namespace fovea::ops::test
