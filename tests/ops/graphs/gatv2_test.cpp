#include <doctest/doctest.h>

#include "tests/ops/graphs/graph.h"

namespace fovea::ops::test {

TEST_CASE("two nodes may rank the same neighbours differently") {
  // Scores |x_i + x_j| by two features of opposite sign: node 0 prefers node 2, node 1 node 3.
  const Options options{{"features", 1}, {"heads", 1}, {"d", 2}, {"slope", 0}};
  ir::Arrays inputs = graph_inputs("gatv2", options, {{2, 3}, {2, 3}, {}, {}});
  inputs.at("x") = array({4, 1}, {3, -3, 1, -1});
  inputs.at("w_own") = inputs.at("w_neighbour") = array({1, 1, 2}, {1, -1});
  inputs.at("a") = array({1, 2}, {1, 1});
  const ir::Array o = evaluate("gatv2", options, inputs).at("o");
  CHECK(o.data[0] > 0.5);
  CHECK(o.data[2] < -0.5);
}

}  // namespace fovea::ops::test
