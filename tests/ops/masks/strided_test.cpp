#include <doctest/doctest.h>

#include "tests/ops/support.h"

namespace fovea::ops::test {

namespace {
using Keys = std::vector<std::vector<int>>;
}  // namespace

TEST_CASE("the last keys, and every third before them") {
  const Keys keys = seen("strided", {{"window", 2}, {"stride", 3}}, 9, 9);
  CHECK(keys[8] == std::vector<int>{2, 5, 7, 8});
  CHECK(keys[3] == std::vector<int>{0, 2, 3});
  CHECK(keys[0] == std::vector<int>{0});
}

TEST_CASE("a stride of 1 is causal") {
  CHECK(seen("strided", {{"window", 1}, {"stride", 1}}, 4, 6) == seen("causal", {}, 4, 6));
}

}  // namespace fovea::ops::test
