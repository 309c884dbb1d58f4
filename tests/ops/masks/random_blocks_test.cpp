#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "tests/ops/support.h"

namespace fovea::ops::test {

namespace {
using Keys = std::vector<std::vector<int>>;
}  // namespace

TEST_CASE("each block of rows sees as many blocks, all different") {
  const Keys keys = seen("random_blocks", {{"block", 2}, {"random", 3}, {"seed", 7}}, 20, 20);
  for (std::size_t i = 0; i < 20; ++i) {
    CHECK(keys[i].size() == 6);
    CHECK(keys[i] == keys[i / 2 * 2]);
    for (const int key : keys[i]) {
      CHECK(std::ranges::find(keys[i], key ^ 1) != keys[i].end());
    }
  }
}

TEST_CASE("rows and seeds choose differently") {
  const auto chosen = [](int seed) {
    return seen("random_blocks", {{"block", 1}, {"random", 2}, {"seed", seed}}, 40, 40);
  };
  const Keys first = chosen(0);
  CHECK(first == chosen(0));
  CHECK(first != chosen(1));
  std::set<std::vector<int>> different(first.begin(), first.end());
  CHECK(different.size() > 30);
}

TEST_CASE("choices spread evenly over the keys") {
  std::vector<int> count(16);
  for (int seed = 0; seed < 20; ++seed) {
    for (const auto& row :
         seen("random_blocks", {{"block", 1}, {"random", 4}, {"seed", seed}}, 32, 16)) {
      for (const int key : row) ++count[static_cast<std::size_t>(key)];
    }
  }
  // 640 rows that choose a quarter of the keys: 160 each, with a deviation of 11.
  CHECK(*std::ranges::min_element(count) > 110);
  CHECK(*std::ranges::max_element(count) < 210);
}

TEST_CASE("more random blocks than there are means all") {
  CHECK(seen("random_blocks", {{"block", 2}, {"random", 9}}, 1, 5) == Keys{{0, 1, 2, 3, 4}});
}

}  // namespace fovea::ops::test
