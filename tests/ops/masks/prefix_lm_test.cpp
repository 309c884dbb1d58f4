#include <doctest/doctest.h>

#include "tests/ops/support.h"

namespace fovea::ops::test {

namespace {
using Keys = std::vector<std::vector<int>>;
}  // namespace

TEST_CASE("every row sees the prefix, and the keys up to its own") {
  const ir::Array prefix = integers({2});
  CHECK(seen("prefix_lm", {}, 4, 4, {{"prefix", prefix}}) ==
        Keys{{0, 1}, {0, 1}, {0, 1, 2}, {0, 1, 2, 3}});
}

TEST_CASE("without a prefix it is causal, and beyond all keys it is dense") {
  CHECK(seen("prefix_lm", {}, 3, 5, {{"prefix", integers({0})}}) == seen("causal", {}, 3, 5));
  CHECK(seen("prefix_lm", {}, 2, 3, {{"prefix", integers({9})}}) == Keys{{0, 1, 2}, {0, 1, 2}});
}

}  // namespace fovea::ops::test
