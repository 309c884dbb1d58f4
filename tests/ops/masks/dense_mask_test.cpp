#include <doctest/doctest.h>

#include "tests/ops/support.h"

namespace fovea::ops::test {

namespace {
using Keys = std::vector<std::vector<int>>;
}  // namespace

TEST_CASE("a row sees what its mask shows, and nothing is zeros") {
  const ir::Array mask = array({3, 3}, {1, 0, 1, 0, 0, 0, 1, 1, 1}, ir::Dtype::Bool);
  CHECK(seen("dense_mask", {}, 3, 3, {{"mask", mask}}) == Keys{{0, 2}, {}, {0, 1, 2}});
}

}  // namespace fovea::ops::test
