#include <doctest/doctest.h>

#include "tests/ops/support.h"

namespace fovea::ops::test {

namespace {
using Keys = std::vector<std::vector<int>>;
}  // namespace

TEST_CASE("a window of 3 at row 5 is 3, 4, 5") {
  const Keys keys = seen("sliding_window", {{"window", 3}}, 8, 8);
  CHECK(keys[5] == std::vector<int>{3, 4, 5});
  CHECK(keys[0] == std::vector<int>{0});
}

TEST_CASE("a window of 1 is the row's own key, and a large one is causal") {
  CHECK(seen("sliding_window", {{"window", 1}}, 3, 3) == Keys{{0}, {1}, {2}});
  CHECK(seen("sliding_window", {{"window", 99}}, 4, 6) == seen("causal", {}, 4, 6));
}

TEST_CASE("a radius is a window on both sides") {
  const Keys keys = seen("sliding_window", {{"radius", 2}}, 8, 8);
  CHECK(keys[5] == std::vector<int>{3, 4, 5, 6, 7});
  CHECK(keys[0] == std::vector<int>{0, 1, 2});
}

TEST_CASE("fewer rows than keys are the last ones") {
  CHECK(seen("sliding_window", {{"window", 2}}, 2, 5) == Keys{{2, 3}, {3, 4}});
  CHECK(seen("sliding_window", {{"window", 2}, {"start", 1}}, 2, 5) == Keys{{0}, {0, 1}});
}

TEST_CASE("a window of no keys is an error") {
  CHECK(error_of("sliding_window", {{"window", 0}}) ==
        "invalid_config: option window is 0; expected an integer from 1 to 999999999");
  CHECK(error_of("sliding_window", {{"window", -3}}) ==
        "invalid_config: option window is -3; expected an integer from 1 to 999999999");
}

}  // namespace fovea::ops::test
