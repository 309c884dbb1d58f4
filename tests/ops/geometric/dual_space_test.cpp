#include <doctest/doctest.h>

#include <cmath>

#include "tests/ops/graphs/graph.h"

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

TEST_CASE("dual_space: lists that do not fit are errors") {
  const auto with = [](const char* input, std::vector<double> data) {
    ir::Arrays nodes = three_nodes();
    nodes.at(input) = integers(std::move(data));
    return failure_of("dual_space", {{"model", 2}, {"e", 2}}, nodes);
  };
  CHECK(with("graph_start", {0, 1, 2, 2}) == "ok");
  CHECK(with("graph_start", {0, 1, 2}) == "dimension_mismatch");
  CHECK(with("graph_start", {0, 2, 1, 2}) == "invalid_input");
  CHECK(with("latent_start", {0, 0, 1, 1}) == "out_of_bounds");
  CHECK(with("latent_start", {1, 1, 2, 2}) == "out_of_bounds");
  CHECK(with("graph_neighbour", {2, 3}) == "out_of_bounds");
  CHECK(with("latent_neighbour", {-1, 2}) == "out_of_bounds");
}

TEST_CASE("dual_space: relabelled nodes have relabelled results") {
  // Node 2 of the old is 0 of the new, 0 is 1 and 1 is 2.
  ir::Arrays inputs = three_nodes(), moved = inputs;
  moved.at("h") = array({3, 2}, {-1, 1, 1, 0, 0, 2});
  moved.at("graph_start") = integers({0, 0, 2, 2});
  moved.at("graph_neighbour") = integers({0, 2});
  moved.at("latent_start") = integers({0, 0, 0, 2});
  moved.at("latent_neighbour") = integers({0, 0});
  for (const char* weight : {"wg", "wl", "wx"}) {
    inputs.at(weight) = moved.at(weight) = normal({2, 2}, static_cast<unsigned>(weight[1]));
  }
  const Options options{{"model", 2}, {"e", 2}};
  CHECK(distance(evaluate("dual_space", options, moved).at("o"),
                 reordered(evaluate("dual_space", options, inputs).at("o"), {2, 0, 1})) < 1e-12);
}

}  // namespace fovea::ops::test
