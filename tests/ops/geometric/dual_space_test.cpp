#include <doctest/doctest.h>

#include <cmath>

#include "tests/ops/support.h"

namespace fovea::ops::test {
namespace {

ir::Array identity(std::int64_t width) {
  ir::Array w = filled({width, width}, 0);
  for (std::int64_t n = 0; n < width; ++n) w.data[static_cast<std::size_t>(n * width + n)] = 1;
  return w;
}

// Node 0 has the others as neighbours in the graph, node 1 has 2 twice in the latent space.
ir::Arrays three_nodes() {
  return {{"h", array({3, 2}, {1, 0, 0, 2, -1, 1})},
          {"graph_start", integers({0, 2, 2, 2})},
          {"graph_neighbour", integers({2, 1})},
          {"latent_start", integers({0, 0, 2, 2})},
          {"latent_neighbour", integers({2, 2})},
          {"wg", filled({2, 2}, 0)},
          {"wl", filled({2, 2}, 0)},
          {"wx", filled({2, 2}, 0)}};
}

std::vector<double> output(const char* weight, const ir::Arrays& nodes) {
  ir::Arrays inputs = nodes;
  inputs.at(weight) = identity(2);
  return evaluate("dual_space", {{"model", 2}, {"e", 2}}, inputs).at("o").data;
}

}  // namespace

TEST_CASE("dual_space attends over each neighbourhood, and nodes without one keep what they are") {
  const double near = 1 / (1 + std::exp(-1 / std::sqrt(2.0)));  // of node 1, at h0·h = 0 against -1
  CHECK(distance(array({6}, output("wg", three_nodes())),
                 array({6}, {near - 1, 1 + near, 0, 2, -1, 1})) < 1e-12);
  CHECK(output("wl", three_nodes()) == std::vector<double>{1, 0, -1, 1, -1, 1});
  // Node 1 sees node 2, which the graph left as it was; node 0 keeps what the graph gave.
  CHECK(distance(array({6}, output("wx", three_nodes())),
                 array({6}, {near - 1, 1 + near, -1, 1, -1, 1})) < 1e-12);
}

TEST_CASE("dual_space: a neighbour that is no node is an error") {
  ir::Arrays nodes = three_nodes();
  nodes.at("graph_neighbour").data[1] = 3;
  CHECK_THROWS(output("wg", nodes));
}

}  // namespace fovea::ops::test
