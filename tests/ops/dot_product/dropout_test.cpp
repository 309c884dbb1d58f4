#include <doctest/doctest.h>

#include "tests/ops/support.h"

namespace fovea::ops::test {

TEST_CASE("dropped weights are 0, kept ones are raised") {
  const ir::Array keep = array({1, 1, 1, 4}, {1, 0, 1, 1}, ir::Dtype::Bool);
  const ir::Arrays given{{"q", filled({1, 1, 1, 4}, 0)}, {"keep", keep}};
  const Rows rows = weights("dropout", {{"rate", 0.5}}, 1, 4, given);
  CHECK(rows[0] == std::vector<double>{0.5, 0, 0.5, 0.5});
}

TEST_CASE("a rate outside of 0 to 1 is an error") {
  CHECK(error_of("dropout", {{"rate", 1}}) ==
        "invalid_config: option rate is 1; expected at least 0 and below 1");
  CHECK(error_of("dropout", {{"rate", -0.1}}) ==
        "invalid_config: option rate is -0.1; expected at least 0 and below 1");
}

}  // namespace fovea::ops::test
