#include <doctest/doctest.h>

#include <cmath>

#include "tests/ops/support.h"

namespace fovea::ops::test {

TEST_CASE("linear attention of ones is one") {
  const ir::Arrays ones{{"q", filled({1, 1, 3, 4}, 1)},
                        {"k", filled({1, 1, 5, 4}, 1)},
                        {"v", filled({1, 1, 5, 2}, 1)}};
  CHECK(distance(evaluate("linear", {{"d", 4}, {"e", 2}}, ones).at("o"), filled({1, 1, 3, 2}, 1)) <
        1e-15);
}

TEST_CASE("weights of linear attention are shares of products of elu + 1") {
  const ir::Arrays given{{"q", array({1, 1, 1, 1}, {2})}, {"k", array({1, 1, 2, 1}, {-1, 0.5})}};
  const Rows rows = weights("linear", {{"d", 1}}, 1, 2, given);
  CHECK(rows[0][0] == doctest::Approx(std::exp(-1.0) / (std::exp(-1.0) + 1.5)));
}

TEST_CASE("small features keep their digits") {
  const ir::Arrays given{{"q", array({1, 1, 1, 1}, {-40})}, {"k", array({1, 1, 2, 1}, {-40, -41})}};
  const Rows rows = weights("linear", {{"d", 1}}, 1, 2, given);
  CHECK(rows[0][0] == doctest::Approx(1 / (1 + std::exp(-1.0))).epsilon(1e-12));
}

}  // namespace fovea::ops::test
