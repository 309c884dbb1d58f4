#include <doctest/doctest.h>

#include "tests/ops/support.h"

namespace fovea::ops::test {

TEST_CASE("the same scores twice cancel, by as much as lambda") {
  const ir::Array q = normal({1, 1, 2, 4}, 1), k = normal({1, 1, 5, 4}, 2);
  ir::Arrays given{{"q", q}, {"q2", q}, {"k", k}, {"k2", k}, {"lambda", array({1}, {1})}};
  for (const double weight : last(weights("differential", {}, 2, 5, given))) CHECK(weight == 0);
  given["lambda"] = array({1}, {0.25});
  double total = 0;
  for (const double weight : last(weights("differential", {}, 2, 5, given))) total += weight;
  CHECK(total == doctest::Approx(0.75));
}

TEST_CASE("without the second it is plain attention") {
  const ir::Arrays given{{"q", normal({1, 1, 1, 4}, 1)}, {"k", normal({1, 1, 5, 4}, 2)}};
  ir::Arrays more = given;
  more["lambda"] = array({1}, {0});
  const Rows rows = weights("differential", {}, 1, 5, more);
  const Rows plain = weights("scaled_dot_product", {}, 1, 5, given);
  for (std::size_t j = 0; j < 5; ++j) CHECK(rows[0][j] == doctest::Approx(plain[0][j]));
}

}  // namespace fovea::ops::test
