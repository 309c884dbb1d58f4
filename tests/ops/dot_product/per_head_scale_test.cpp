#include <doctest/doctest.h>

#include "tests/ops/support.h"

namespace fovea::ops::test {

TEST_CASE("a scale of 1 / T is a temperature, and 0 gives the mean") {
  const ir::Arrays given{{"q", normal({1, 1, 1, 4}, 1)}, {"k", normal({1, 1, 5, 4}, 2)}};
  ir::Arrays scaled = given;
  scaled["scale"] = array({1}, {0.25});
  const Rows rows = weights("per_head_scale", {}, 1, 5, scaled);
  const Rows cool = weights("scaled_dot_product", {{"temperature", 4}}, 1, 5, given);
  for (std::size_t j = 0; j < 5; ++j) CHECK(rows[0][j] == doctest::Approx(cool[0][j]));
  scaled["scale"] = array({1}, {0});
  for (const double weight : last(weights("per_head_scale", {}, 1, 5, scaled))) {
    CHECK(weight == doctest::Approx(0.2));
  }
}

}  // namespace fovea::ops::test
