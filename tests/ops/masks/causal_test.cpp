#include <doctest/doctest.h>

#include <cmath>

#include "tests/ops/support.h"

namespace fovea::ops::test {

namespace {
using Keys = std::vector<std::vector<int>>;
}  // namespace

TEST_CASE("causal rows are aligned at the end, or at the start") {
  CHECK(seen("causal", {}, 3, 3) == Keys{{0}, {0, 1}, {0, 1, 2}});
  CHECK(seen("causal", {}, 2, 4) == Keys{{0, 1, 2}, {0, 1, 2, 3}});
  CHECK(seen("causal", {{"start", 1}}, 2, 4) == Keys{{0}, {0, 1}});
}

TEST_CASE("causal rows before the first key are zeros") {
  CHECK(seen("causal", {}, 4, 2) == Keys{{}, {}, {0}, {0, 1}});
}

TEST_CASE("NaN and infinity in keys and values that no row sees stay there") {
  Options options;
  ir::Arrays inputs = one_head("causal", options, 3, 4, {});
  inputs.at("q").shape[2] = 2;
  inputs.at("q").data.resize(8);
  options["start"] = 1;
  const ir::Array clean = evaluate("causal", options, inputs).at("o");
  for (std::size_t n = 8; n < 16; ++n) inputs.at("k").data[n] = n % 2 == 0 ? NAN : INFINITY;
  for (std::size_t n = 8; n < 16; ++n) inputs.at("v").data[n] = n % 2 == 0 ? -INFINITY : NAN;
  CHECK(evaluate("causal", options, inputs).at("o") == clean);
}

}  // namespace fovea::ops::test
