#include <doctest/doctest.h>

#include <cmath>

#include "tests/ops/support.h"

namespace fovea::ops::test {

namespace {
using Keys = std::vector<std::vector<int>>;
}  // namespace

TEST_CASE("a row sees exactly the k keys of highest score") {
  const ir::Arrays given{{"q", array({1, 1, 1, 4}, {1, 0, 0, 0})},
                         {"k", array({1, 1, 4, 4}, {3, 0, 0, 0,  //
                                                    9, 0, 0, 0,  //
                                                    1, 0, 0, 0,  //
                                                    5, 0, 0, 0})}};
  CHECK(seen("top_k", {{"k", 2}}, 1, 4, given) == Keys{{1, 3}});
  const Rows rows = weights("top_k", {{"k", 2}}, 1, 4, given);
  CHECK(rows[0][1] == doctest::Approx(1 / (1 + std::exp(-2.0))));
}

TEST_CASE("ties go to the earlier key, and never make one more") {
  const ir::Arrays given{{"k", filled({1, 1, 5, 4}, 0.5)}};
  CHECK(seen("top_k", {{"k", 2}}, 1, 5, given) == Keys{{0, 1}});
}

TEST_CASE("k beyond all keys means all") {
  CHECK(seen("top_k", {{"k", 9}}, 1, 3) == Keys{{0, 1, 2}});
}

TEST_CASE("fewer than one key is an error") {
  CHECK(error_of("top_k", {{"k", 0}}) ==
        "invalid_config: option k is 0; expected an integer from 1 to 999999999");
}

}  // namespace fovea::ops::test
