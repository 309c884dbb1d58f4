#include <doctest/doctest.h>

#include "tests/ops/support.h"

namespace fovea::ops::test {

namespace {
using Keys = std::vector<std::vector<int>>;
}  // namespace

TEST_CASE("a window on both sides, and positions that all see and that see all") {
  const Keys keys = seen("local_global", {{"window", 2}, {"global", 1}}, 6, 6);
  CHECK(keys ==
        Keys{{0, 1, 2, 3, 4, 5}, {0, 1, 2}, {0, 1, 2, 3}, {0, 2, 3, 4}, {0, 3, 4, 5}, {0, 4, 5}});
}

TEST_CASE("a key in the window and among the global ones counts once") {
  const ir::Array same = filled({1, 1, 6, 4}, 0.5);
  const Rows rows = weights("local_global", {{"window", 2}, {"global", 2}}, 6, 6, {{"k", same}});
  for (const int key : {0, 1, 2, 3}) {
    CHECK(rows[2][static_cast<std::size_t>(key)] == doctest::Approx(1.0 / 4));
  }
}

TEST_CASE("causal: nothing sees a later key, not even a global position") {
  CHECK(seen("local_global", {{"window", 2}, {"global", 1}, {"causal", 1}}, 4, 4) ==
        Keys{{0}, {0, 1}, {0, 1, 2}, {0, 2, 3}});
}

TEST_CASE("rows before the first key are not global") {
  CHECK(seen("local_global", {{"window", 1}, {"global", 1}}, 3, 2) == Keys{{0}, {0, 1}, {0, 1}});
}

}  // namespace fovea::ops::test
