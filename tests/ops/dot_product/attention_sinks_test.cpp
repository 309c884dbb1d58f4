#include <doctest/doctest.h>

#include <cmath>

#include "tests/ops/support.h"

namespace fovea::ops::test {

TEST_CASE("a sink takes the share of a key with that score") {
  const ir::Arrays given{{"q", filled({1, 1, 1, 4}, 0)}, {"sink", array({1}, {std::log(3.0)})}};
  for (const double weight : last(weights("attention_sinks", {}, 1, 5, given))) {
    CHECK(weight == doctest::Approx(1.0 / 8));
  }
}

TEST_CASE("a sink of -inf is none, a huge one takes everything") {
  const Rows none = weights("attention_sinks", {}, 1, 4, {{"sink", array({1}, {-INFINITY})}});
  CHECK(none[0][0] + none[0][1] + none[0][2] + none[0][3] == doctest::Approx(1));
  const Rows all = weights("attention_sinks", {}, 1, 4, {{"sink", array({1}, {1e30})}});
  CHECK(all[0][0] == 0);
}

}  // namespace fovea::ops::test
