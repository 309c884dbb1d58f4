#include <doctest/doctest.h>

#include <cmath>

#include "tests/ops/graphs/graph.h"

namespace fovea::ops::test {

TEST_CASE("degree and centrality of a neighbour are a bias of the edge to it") {
  const Options options{{"features", 3}, {"heads", 2}, {"d", 4}};
  ir::Arrays inputs = graph_inputs("structural", options, {{1, 2, 3, 1}, {}, {0, 3}, {2}});
  const ir::Array o = evaluate("structural", options, inputs).at("o");
  const std::vector<std::size_t> neighbour{1, 2, 3, 1, 0, 3, 2};
  const std::vector<double> degree{4, 0, 2, 1};
  inputs["bias"] = filled({7, 2}, 0);
  for (std::size_t edge = 0; edge < 7; ++edge)
    for (std::size_t h = 0; h < 2; ++h)
      inputs.at("bias").data[edge * 2 + h] =
          inputs.at("of_degree").data[h] * std::log(1 + degree[neighbour[edge]]) +
          inputs.at("of_centrality").data[h] * inputs.at("centrality").data[neighbour[edge]];
  for (const char* name : {"of_degree", "of_centrality", "centrality"}) inputs.erase(name);
  CHECK(distance(o, evaluate("graph_transformer", options, inputs).at("o")) < 1e-12);
}

TEST_CASE("a popular neighbour is preferred by as much as its degree counts") {
  const Options options{{"features", 1}, {"heads", 1}, {"d", 1}};
  ir::Arrays inputs = graph_inputs("structural", options, {{1, 2}, {0, 0, 0}, {}});
  inputs.at("x") = array({3, 1}, {0, 3, 8});  // no query
  inputs.at("w_value") = array({1, 1, 1}, {1});
  inputs.at("of_degree") = array({1}, {2});
  inputs.at("of_centrality") = array({1}, {0});
  // Weights (1 + 3)² and (1 + 0)².
  CHECK(evaluate("structural", options, inputs).at("o").data[0] ==
        doctest::Approx((16 * 3 + 8) / 17.0));
}

}  // namespace fovea::ops::test
