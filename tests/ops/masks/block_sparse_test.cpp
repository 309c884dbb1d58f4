#include <doctest/doctest.h>

#include "tests/ops/support.h"

namespace fovea::ops::test {

namespace {
using Keys = std::vector<std::vector<int>>;
}  // namespace

TEST_CASE("blocks of rows see the active blocks of keys") {
  const ir::Array active = array({2, 2}, {1, 0, 0, 1}, ir::Dtype::Bool);
  CHECK(seen("block_sparse", {{"block", 2}}, 3, 4, {{"active", active}}) ==
        Keys{{0, 1}, {0, 1}, {2, 3}});
}

TEST_CASE("the last block may be short") {
  const ir::Array active = array({1, 2}, {0, 1}, ir::Dtype::Bool);
  CHECK(seen("block_sparse", {{"block", 4}}, 2, 5, {{"active", active}}) == Keys{{4}, {4}});
}

}  // namespace fovea::ops::test
