#include <doctest/doctest.h>

#include <algorithm>

#include "tests/ops/support.h"

namespace fovea::ops::test {

namespace {
using Keys = std::vector<std::vector<int>>;
}  // namespace

TEST_CASE("a window of blocks and global blocks, without random ones") {
  const Options options{{"block", 2}, {"window", 3}, {"global", 1}, {"random", 0}};
  const Keys keys = seen("big_bird", options, 10, 10);
  CHECK(keys[0] == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  CHECK(keys[6] == std::vector<int>{0, 1, 4, 5, 6, 7, 8, 9});
  CHECK(keys[9] == std::vector<int>{0, 1, 6, 7, 8, 9});
}

TEST_CASE("random blocks come on top") {
  const Options random{{"block", 1}, {"window", 1}, {"global", 0}, {"random", 2}, {"seed", 3}};
  const Keys all = seen("big_bird", random, 30, 30);
  const Keys chosen = seen("random_blocks", {{"block", 1}, {"random", 2}, {"seed", 3}}, 30, 30);
  for (std::size_t i = 0; i < 30; ++i) {
    std::vector<int> expected = chosen[i];
    if (std::ranges::find(expected, static_cast<int>(i)) == expected.end()) {
      expected.push_back(static_cast<int>(i));
      std::ranges::sort(expected);
    }
    CHECK(all[i] == expected);
  }
}

}  // namespace fovea::ops::test
