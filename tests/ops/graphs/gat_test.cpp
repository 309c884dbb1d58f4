#include <doctest/doctest.h>

#include <cmath>

#include "tests/ops/graphs/graph.h"

namespace fovea::ops::test {

namespace {
const Lists kLists{{1, 2}, {0}, {}, {2, 2, 4}, {3, 0}};  // 5 nodes, 8 edges
}  // namespace

TEST_CASE("a layer of 5 nodes with 4 features and 8 edges gives 5 x 8") {
  const Options options{{"features", 4}, {"heads", 2}, {"d", 4}};
  const ir::Array o = evaluate("gat", options, graph_inputs("gat", options, kLists)).at("o");
  CHECK(o.shape == std::vector<std::int64_t>{5, 2, 4});
  for (const double value : o.data) CHECK(std::isfinite(value));
}

TEST_CASE("layers stack: 4 features to 8 to 16 on 10 nodes") {
  Lists lists(10);
  for (int i = 0; i < 10; ++i)
    for (int step = 1; step <= i % 4; ++step)
      lists[static_cast<std::size_t>(i)].push_back((i + 3 * step) % 10);
  const Options first{{"features", 4}, {"heads", 2}, {"d", 4}};
  const Options second{{"features", 8}, {"heads", 4}, {"d", 4}};
  ir::Array hidden = evaluate("gat", first, graph_inputs("gat", first, lists)).at("o");
  hidden.shape = {10, 8};
  ir::Arrays inputs = graph_inputs("gat", second, lists);
  inputs.at("x") = hidden;
  CHECK(evaluate("gat", second, inputs).at("o").shape == std::vector<std::int64_t>{10, 4, 4});
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
