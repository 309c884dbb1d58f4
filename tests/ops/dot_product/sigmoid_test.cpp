#include <doctest/doctest.h>

#include <cmath>

#include "tests/ops/support.h"

namespace fovea::ops::test {

TEST_CASE("keys do not compete: a weight depends on its own score and their number") {
  const ir::Array q = array({1, 1, 1, 4}, {1, 0, 0, 0});
  ir::Array k = filled({1, 1, 3, 4}, 0);
  k.data[0] = 2;
  const Rows before = weights("sigmoid", {}, 1, 3, {{"q", q}, {"k", k}});
  k.data[4] = 50;
  const Rows after = weights("sigmoid", {}, 1, 3, {{"q", q}, {"k", k}});
  CHECK(before[0][0] == doctest::Approx(1 / (1 + 3 * std::exp(-1.0))));
  CHECK(before[0][0] == after[0][0]);
  CHECK(before[0][1] == doctest::Approx(0.25));
  CHECK(after[0][1] > 0.9);
}

}  // namespace fovea::ops::test
