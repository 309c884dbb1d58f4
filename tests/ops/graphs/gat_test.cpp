#include <doctest/doctest.h>

#include "tests/ops/graphs/graph.h"

namespace fovea::ops::test {

namespace {
const Lists kLists{{1, 2}, {0}, {}, {2, 2, 4}, {3, 0}};  // 5 nodes, 8 edges
}  // namespace

TEST_CASE("heads lie side by side, or are averaged") {
  const Options apart{{"features", 4}, {"heads", 2}, {"d", 4}};
  Options together = apart;
  together["average"] = 1;
  const ir::Arrays inputs = graph_inputs("gat", apart, kLists);
  const ir::Array o = evaluate("gat", apart, inputs).at("o");
  const ir::Array average = evaluate("gat", together, inputs).at("o");
  CHECK(o.shape == std::vector<std::int64_t>{5, 2, 4});
  CHECK(average.shape == std::vector<std::int64_t>{5, 4});
  for (std::size_t n = 0; n < 20; ++n) {
    const std::size_t first = n / 4 * 8 + n % 4;
    CHECK(average.data[n] == doctest::Approx((o.data[first] + o.data[first + 4]) / 2));
  }
}

TEST_CASE("a node without neighbours keeps its projected features, one with one has that one's") {
  const Options options{{"features", 4}, {"heads", 1}, {"d", 4}};
  ir::Arrays inputs = graph_inputs("gat", options, kLists);
  ir::Array& w = inputs.at("w");
  for (std::size_t n = 0; n < w.data.size(); ++n) w.data[n] = n % 5 == 0 ? 1 : 0;
  const ir::Array o = evaluate("gat", options, inputs).at("o");
  for (std::size_t d = 0; d < 4; ++d) {
    CHECK(o.data[2 * 4 + d] == doctest::Approx(inputs.at("x").data[2 * 4 + d]));
    CHECK(o.data[1 * 4 + d] == doctest::Approx(inputs.at("x").data[d]));
  }
}

}  // namespace fovea::ops::test
