#include <doctest/doctest.h>

#include <cmath>

#include "ops/rotate.h"
#include "tests/ops/support.h"

namespace fovea::ops::test {
namespace {

// One vector, rotated.
std::vector<double> rotated(const std::vector<double>& x, double position, const Rotation& how) {
  const Axis d{"d", static_cast<std::int64_t>(x.size())};
  const ir::Graph graph =
      ir::make_graph({{"o", rotate(input("x", f32, {d}), d, input("position", f32, {}), how)}});
  const ir::Array vector = array({static_cast<std::int64_t>(x.size())}, x);
  return ir::interpret(graph, {{"x", vector}, {"position", array({}, {position})}}).at("o").data;
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double total = 0;
  for (std::size_t n = 0; n < a.size(); ++n) total += a[n] * b[n];
  return total;
}

const std::vector<double> kX{0.5, -1, 2, 0.25, 1.5, -0.75, 3, 1}, kY{1, 2, -1, 0.5, 1, 1, -2, 4};

}  // namespace

TEST_CASE("the first pair turns by the position, the next more slowly") {
  const std::vector<double> o = rotated({1, 0, 1, 0}, 2, {.base = 100, .width = 4});
  CHECK(o[0] == doctest::Approx(std::cos(2.0)));
  CHECK(o[1] == doctest::Approx(std::sin(2.0)));
  CHECK(o[2] == doctest::Approx(std::cos(0.2)));
  CHECK(o[3] == doctest::Approx(std::sin(0.2)));
}

TEST_CASE("the half-split layout pairs t with t + width / 2") {
  const std::vector<double> o = rotated({1, 1, 0, 0}, 2, {.base = 100, .width = 4, .half = true});
  CHECK(o[0] == doctest::Approx(std::cos(2.0)));
  CHECK(o[2] == doctest::Approx(std::sin(2.0)));
  CHECK(o[1] == doctest::Approx(std::cos(0.2)));
  CHECK(o[3] == doctest::Approx(std::sin(0.2)));
}

TEST_CASE("rotation keeps norms, and position 0 everything") {
  for (const bool half : {false, true}) {
    const Rotation how{.base = 10000, .width = 8, .half = half};
    for (const double position : {-3.0, 0.5, 1000.0}) {
      const std::vector<double> o = rotated(kX, position, how);
      CHECK(dot(o, o) == doctest::Approx(dot(kX, kX)));
    }
    CHECK(rotated(kX, 0, how) == kX);
  }
}

TEST_CASE("scores depend on the difference of positions only") {
  for (const bool half : {false, true}) {
    const Rotation how{.base = 50, .width = 6, .half = half};
    const double near = dot(rotated(kX, 5, how), rotated(kY, 2, how));
    const double far = dot(rotated(kX, 905, how), rotated(kY, 902, how));
    CHECK(near == doctest::Approx(far));
    CHECK(near != doctest::Approx(dot(kX, kY)));
  }
}

TEST_CASE("features beyond the width stay") {
  const std::vector<double> o = rotated(kX, 7, {.base = 10000, .width = 4, .half = true});
  for (std::size_t n = 4; n < 8; ++n) CHECK(o[n] == kX[n]);
  CHECK(o[0] != kX[0]);
}

TEST_CASE("widths that make no sense are errors") {
  CHECK(
      error_of("rope", {{"width", 3}}) ==
      "invalid_config: option width is 3, the features that are rotated; expected an even number");
  CHECK(error_of("rope", {{"d", 8}, {"width", 10}}) ==
        "invalid_config: option width is 10, the features that are rotated; expected at most d, "
        "which is 8");
  CHECK(error_of("rope", {{"base", 0}}) ==
        "invalid_config: option base is 0; expected a number above 0");
}

}  // namespace fovea::ops::test
