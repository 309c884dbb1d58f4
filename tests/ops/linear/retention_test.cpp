#include <doctest/doctest.h>

#include <cmath>

#include "tests/ops/support.h"

namespace fovea::ops::test {

TEST_CASE("retention fades by the decay with every position") {
  const ir::Arrays given{
      {"q", filled({1, 1, 3, 1}, 2)}, {"k", filled({1, 1, 3, 1}, 3)}, {"decay", array({1}, {0.5})}};
  const Rows rows = weights("retention", {{"d", 1}}, 3, 3, given);
  CHECK(rows[0] == std::vector<double>{6, 0, 0});
  CHECK(rows[2][0] == doctest::Approx(1.5));
  CHECK(rows[2][1] == doctest::Approx(3));
  CHECK(rows[2][2] == doctest::Approx(6));
}

TEST_CASE("retention without decay is the running sum of products") {
  const ir::Arrays given{
      {"q", filled({1, 1, 4, 1}, 1)}, {"k", filled({1, 1, 4, 1}, 1)}, {"decay", array({1}, {1})}};
  CHECK(weights("retention", {{"d", 1}}, 4, 4, given)[3] == std::vector<double>{1, 1, 1, 1});
}

}  // namespace fovea::ops::test
