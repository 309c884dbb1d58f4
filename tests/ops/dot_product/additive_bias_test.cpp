#include <doctest/doctest.h>

#include <cmath>

#include "tests/ops/support.h"

namespace fovea::ops::test {

TEST_CASE("a bias of -inf excludes, and everything excluded is zeros") {
  const ir::Array bias = array({2, 3}, {0, -INFINITY, 0, -INFINITY, -INFINITY, -INFINITY});
  const Options options{{"batch", 0}, {"heads", 0}};
  const std::vector<std::vector<int>> expected{{0, 2}, {}};
  CHECK(seen("additive_bias", options, 2, 3, {{"bias", bias}}) == expected);
}

TEST_CASE("a bias that is constant along a row changes nothing") {
  const Options rows{{"batch", 0}, {"heads", 0}, {"columns", 0}};
  const Rows biased = weights("additive_bias", rows, 2, 4, {{"bias", array({2}, {5, -3})}});
  const Rows other = weights("additive_bias", rows, 2, 4, {{"bias", array({2}, {-9, 11})}});
  for (std::size_t j = 0; j < 4; ++j) CHECK(biased[1][j] == doctest::Approx(other[1][j]));
}

TEST_CASE("a bias of no axes is one number") {
  CHECK(error_of("additive_bias", {{"batch", 0}, {"heads", 0}, {"rows", 0}, {"columns", 0}}) == "");
}

}  // namespace fovea::ops::test
