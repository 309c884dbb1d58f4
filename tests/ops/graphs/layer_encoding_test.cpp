#include <doctest/doctest.h>

#include "tests/ops/graphs/graph.h"

namespace fovea::ops::test {
namespace {

const Options kSmall{{"features", 3}, {"heads", 2}, {"d", 4}, {"layers", 3}};
const Lists kLists{{1, 2, 3, 1}, {}, {0, 3}, {2}};

ir::Arrays index() {
  ir::Arrays inputs = graph_inputs("layer_encoding", kSmall, kLists);
  inputs.at("layer") = integers({0, 2, 1, 0});
  return inputs;
}

}  // namespace

TEST_CASE("a layer's bias is that of every edge to a node in it") {
  ir::Arrays inputs = index();
  const ir::Array o = evaluate("layer_encoding", kSmall, inputs).at("o");
  const std::vector<double> layer{2, 1, 0, 2, 0, 0, 1};  // of the neighbour, edge by edge
  const ir::Array of_layer = inputs.at("bias");
  inputs.at("bias") = filled({7, 2}, 0);
  for (std::size_t edge = 0; edge < 7; ++edge)
    for (std::size_t h = 0; h < 2; ++h)
      inputs.at("bias").data[edge * 2 + h] =
          of_layer.data[static_cast<std::size_t>(layer[edge]) * 2 + h];
  inputs.erase("layer");
  const Options plain{{"features", 3}, {"heads", 2}, {"d", 4}};
  CHECK(distance(o, evaluate("graph_transformer", plain, inputs).at("o")) < 1e-12);
}

TEST_CASE("a layer that is none is an error") {
  for (const double wrong : {-1, 3}) {
    ir::Arrays inputs = index();
    inputs.at("layer").data[2] = wrong;
    CHECK(failure_of("layer_encoding", kSmall, inputs) == "out_of_bounds");
  }
  CHECK(error_of("layer_encoding", {{"layers", 0}}) ==
        "invalid_config: option layers is 0; expected an integer from 1 to 999999999");
}

}  // namespace fovea::ops::test
