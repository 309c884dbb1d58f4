#include <doctest/doctest.h>

#include "ir/error.h"
#include "tests/ops/support.h"

namespace fovea::ops::test {

namespace {
using Keys = std::vector<std::vector<int>>;
}  // namespace

TEST_CASE("rows see the keys of their pairs, a row without pairs nothing") {
  const ir::Arrays pairs{{"start", integers({0, 2, 2, 3})}, {"column", integers({1, 3, 0})}};
  CHECK(seen("coo", {}, 3, 4, pairs) == Keys{{1, 3}, {}, {0}});
}

TEST_CASE("the order of a row's pairs does not matter") {
  const ir::Arrays sorted{{"start", integers({0, 3})}, {"column", integers({0, 1, 3})}};
  const ir::Arrays mixed{{"start", integers({0, 3})}, {"column", integers({3, 0, 1})}};
  const Rows a = weights("coo", {}, 1, 4, sorted), b = weights("coo", {}, 1, 4, mixed);
  for (std::size_t j = 0; j < 4; ++j) CHECK(a[0][j] == doctest::Approx(b[0][j]));
}

TEST_CASE("a pair outside of the keys is an error") {
  const ir::Arrays pairs{{"start", integers({0, 1})}, {"column", integers({4})}};
  CHECK_THROWS_AS(weights("coo", {}, 1, 4, pairs), Error);
}

}  // namespace fovea::ops::test
