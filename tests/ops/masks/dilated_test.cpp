#include <doctest/doctest.h>

#include "tests/ops/support.h"

namespace fovea::ops::test {

namespace {
using Keys = std::vector<std::vector<int>>;
}  // namespace

TEST_CASE("three keys, each two before the next") {
  const Keys keys = seen("dilated", {{"window", 3}, {"stride", 2}}, 8, 8);
  CHECK(keys[7] == std::vector<int>{3, 5, 7});
  CHECK(keys[2] == std::vector<int>{0, 2});
}

TEST_CASE("without gaps it is the sliding window") {
  CHECK(seen("dilated", {{"window", 3}, {"stride", 1}}, 5, 7) ==
        seen("sliding_window", {{"window", 3}}, 5, 7));
}

TEST_CASE("a reach that no integer holds is an error") {
  CHECK(error_of("dilated", {{"window", 100000}, {"stride", 100000}}) ==
        "input_too_large: window 100000 times stride 100000 is too large; expected at most "
        "1000000000");
}

}  // namespace fovea::ops::test
