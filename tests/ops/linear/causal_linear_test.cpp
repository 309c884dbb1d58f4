#include <doctest/doctest.h>

#include "tests/ops/support.h"

namespace fovea::ops::test {

TEST_CASE("the last row of causal linear attention is linear attention to all keys") {
  Options options{{"d", 4}, {"e", 3}};
  const ir::Arrays inputs = one_head("causal_linear", options, 5, 5, {});
  const ir::Array causal = evaluate("causal_linear", options, inputs).at("o");
  const ir::Array linear = evaluate("linear", options, inputs).at("o");
  for (std::size_t e = 0; e < 3; ++e)
    CHECK(causal.data[4 * 3 + e] == doctest::Approx(linear.data[4 * 3 + e]).epsilon(1e-12));
}

TEST_CASE("causal linear attention sees the keys up to the row's own, and rows before all are 0") {
  CHECK(seen("causal_linear", {}, 3, 3) == std::vector<std::vector<int>>{{0}, {0, 1}, {0, 1, 2}});
  CHECK(seen("causal_linear", {}, 3, 2) == std::vector<std::vector<int>>{{}, {0}, {0, 1}});
}

}  // namespace fovea::ops::test
