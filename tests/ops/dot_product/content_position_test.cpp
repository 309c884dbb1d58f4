#include <doctest/doctest.h>

#include <cmath>

#include "tests/ops/support.h"

namespace fovea::ops::test {

TEST_CASE("positions alone, contents alone") {
  const ir::Array none = filled({1, 1, 1, 4}, 0), q = normal({1, 1, 1, 4}, 1),
                  k = normal({1, 1, 5, 4}, 2);
  ir::Array q3 = q, k3 = k;
  q3.shape.erase(q3.shape.begin());
  k3.shape.erase(k3.shape.begin());
  const Rows plain =
      weights("scaled_dot_product", {{"temperature", std::sqrt(2.0)}}, 1, 5, {{"q", q}, {"k", k}});
  const Rows contents =
      weights("content_position", {{"c", 4}}, 1, 5,
              {{"q", q}, {"k", k}, {"position_q", filled({1, 1, 4}, 0)}, {"position_k", k3}});
  const Rows positions = weights("content_position", {{"c", 4}}, 1, 5,
                                 {{"q", none}, {"k", k}, {"position_q", q3}, {"position_k", k3}});
  for (std::size_t j = 0; j < 5; ++j) {
    CHECK(contents[0][j] == doctest::Approx(plain[0][j]));
    CHECK(positions[0][j] == doctest::Approx(plain[0][j]));
  }
}

}  // namespace fovea::ops::test
