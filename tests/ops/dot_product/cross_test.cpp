#include <doctest/doctest.h>

#include <utility>

#include "tests/ops/support.h"

namespace fovea::ops::test {

TEST_CASE("rows and memory have counts and widths of their own") {
  const Options options{{"model", 3}, {"memory", 2}, {"heads", 2}, {"d", 4}, {"e", 5}};
  ir::Arrays inputs{{"x", normal({1, 7, 3}, 1)},  {"memory", normal({1, 2, 2}, 2)},
                    {"wq", normal({2, 3, 4}, 3)}, {"wk", normal({2, 2, 4}, 4)},
                    {"wv", normal({2, 2, 5}, 5)}, {"wo", normal({2, 5, 3}, 6)}};
  const ir::Array o = evaluate("cross", options, inputs).at("o");
  CHECK(o.shape == std::vector<std::int64_t>{1, 7, 3});
  // The order of the memory does not matter.
  std::vector<double>& memory = inputs.at("memory").data;
  std::swap(memory[0], memory[2]);
  std::swap(memory[1], memory[3]);
  CHECK(distance(evaluate("cross", options, inputs).at("o"), o) < 1e-13);
}

}  // namespace fovea::ops::test
