#include <doctest/doctest.h>

#include <cmath>

#include "tests/ops/support.h"

namespace fovea::ops::test {

TEST_CASE("scores stay below the cap, however large") {
  const ir::Arrays given{{"q", array({1, 1, 1, 4}, {1e6, 0, 0, 0})},
                         {"k", array({1, 1, 2, 4}, {1, 0, 0, 0, -1, 0, 0, 0})}};
  const Rows rows = weights("softcap", {{"cap", 2}}, 1, 2, given);
  CHECK(std::log(rows[0][0] / rows[0][1]) == doctest::Approx(4));
}

TEST_CASE("a high cap is none") {
  const Rows capped = weights("softcap", {{"cap", 1e7}}, 1, 6);
  const Rows plain = weights("scaled_dot_product", {}, 1, 6);
  for (std::size_t j = 0; j < 6; ++j) CHECK(capped[0][j] == doctest::Approx(plain[0][j]));
}

TEST_CASE("a cap that is not above 0 is an error") {
  CHECK(error_of("softcap", {{"cap", -1}}) ==
        "invalid_config: option cap is -1; expected a number above 0");
}

}  // namespace fovea::ops::test
