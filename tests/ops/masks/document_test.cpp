#include <doctest/doctest.h>

#include "tests/ops/support.h"

namespace fovea::ops::test {

namespace {
using Keys = std::vector<std::vector<int>>;
}  // namespace

TEST_CASE("rows see their own document") {
  const ir::Arrays ids{{"document_q", integers({0, 0, 1, 2})},
                       {"document_k", integers({0, 0, 1, 1})}};
  CHECK(seen("document", {}, 4, 4, ids) == Keys{{0, 1}, {0, 1}, {2, 3}, {}});
  CHECK(seen("document", {{"causal", 1}}, 4, 4, ids) == Keys{{0}, {0, 1}, {2}, {}});
}

TEST_CASE("documents need not lie together") {
  const ir::Arrays ids{{"document_q", integers({7, -1})},
                       {"document_k", integers({7, -1, 7, -1, 3})}};
  CHECK(seen("document", {}, 2, 5, ids) == Keys{{0, 2}, {1, 3}});
}

}  // namespace fovea::ops::test
