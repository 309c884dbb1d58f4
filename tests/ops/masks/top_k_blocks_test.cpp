#include <doctest/doctest.h>

#include "tests/ops/support.h"

namespace fovea::ops::test {

namespace {
using Keys = std::vector<std::vector<int>>;
}  // namespace

TEST_CASE("a block of rows sees the blocks of keys whose mean scores best with its own") {
  // Means over blocks of two: rows 1 and -1; keys 2, 0 and (the last is alone) 1.
  const ir::Arrays given{{"q", array({1, 1, 4, 1}, {3, -1, -4, 2})},
                         {"k", array({1, 1, 5, 1}, {4, 0, 7, -7, 1})}};
  CHECK(seen("top_k_blocks", {{"d", 1}, {"block", 2}, {"k", 1}}, 4, 5, given) ==
        Keys{{0, 1}, {0, 1}, {2, 3}, {2, 3}});
  CHECK(seen("top_k_blocks", {{"d", 1}, {"block", 2}, {"k", 2}}, 4, 5, given) ==
        Keys{{0, 1, 4}, {0, 1, 4}, {2, 3, 4}, {2, 3, 4}});
}

TEST_CASE("as many blocks as there are, and more, are all keys") {
  CHECK(seen("top_k_blocks", {{"block", 2}, {"k", 9}}, 1, 5) == Keys{{0, 1, 2, 3, 4}});
}

TEST_CASE("blocks and their number are at least 1") {
  CHECK(error_of("top_k_blocks", {{"k", 0}}) ==
        "invalid_config: option k is 0; expected an integer from 1 to 999999999");
  CHECK(error_of("top_k_blocks", {{"block", 0}}) ==
        "invalid_config: option block is 0; expected an integer from 1 to 999999999");
}

}  // namespace fovea::ops::test
