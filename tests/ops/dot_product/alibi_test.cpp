#include <doctest/doctest.h>

#include <cmath>

#include "tests/ops/support.h"

namespace fovea::ops::test {

TEST_CASE("with equal scores, weights fall by the slope with the distance") {
  // A power of two of heads: slopes 2^-4 and 2^-8.
  const ir::Array q = filled({1, 2, 4, 3}, 0);
  ir::Array v = filled({1, 2, 4, 4}, 0);
  for (const std::size_t n : {0, 5, 10, 15, 16, 21, 26, 31}) v.data[n] = 1;
  const ir::Array o =
      evaluate("alibi", {{"heads", 2}, {"d", 3}, {"e", 4}}, {{"q", q}, {"k", q}, {"v", v}}).at("o");
  for (std::size_t h = 0; h < 2; ++h) {
    const double* last = &o.data[h * 16 + 12];
    for (std::size_t j = 0; j < 3; ++j) {
      CHECK(std::log(last[j + 1] / last[j]) == doctest::Approx(std::exp2(-4.0 - 4.0 * h)));
    }
  }
}

TEST_CASE("six heads: the slopes of four, then every other one of eight") {
  const double expected[] = {1. / 4, 1. / 16, 1. / 64, 1. / 256, 1. / 2, 1. / 8};
  const ir::Array q = filled({1, 6, 2, 3}, 0);
  ir::Array v = filled({1, 6, 2, 1}, 0);
  for (std::size_t h = 0; h < 6; ++h) v.data[2 * h] = 1;
  const ir::Array o =
      evaluate("alibi", {{"heads", 6}, {"d", 3}, {"e", 1}}, {{"q", q}, {"k", q}, {"v", v}}).at("o");
  for (std::size_t h = 0; h < 6; ++h) {
    const double weight = o.data[2 * h + 1];
    CHECK(std::log((1 - weight) / weight) == doctest::Approx(expected[h]));
  }
}

}  // namespace fovea::ops::test
