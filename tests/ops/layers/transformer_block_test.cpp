#include <doctest/doctest.h>

#include "tests/ops/support.h"

namespace fovea::ops::test {
namespace {

const Options kSmall{{"model", 6}, {"heads", 2}, {"hidden", 8}};

ir::Arrays example() {
  Options options = kSmall;
  const Mechanism& block = find("transformer_block");
  const Problem problem(block.options, options);
  const ir::Graph graph = block.build(problem);
  return example_inputs(block, problem, graph, example_sizes(graph, 5, 5, 1), 1);
}

}  // namespace

TEST_CASE("a block whose outputs weigh nothing hands its input on") {
  ir::Arrays inputs = example();
  for (const char* name : {"wo", "w2", "b2"}) {
    for (double& weight : inputs.at(name).data) weight = 0;
  }
  CHECK(distance(evaluate("transformer_block", kSmall, inputs).at("o"), inputs.at("x")) == 0);
}

TEST_CASE("what is computed of a position does not depend on its length") {
  ir::Arrays inputs = example();
  for (double& weight : inputs.at("wo").data) weight = 0;
  const auto added = [&](double scale) {  // far above epsilon
    ir::Arrays scaled = inputs;
    for (double& number : scaled.at("x").data) number *= scale;
    ir::Array o = evaluate("transformer_block", kSmall, scaled).at("o");
    for (std::size_t n = 0; n < o.data.size(); ++n) o.data[n] -= scaled.at("x").data[n];
    return o;
  };
  CHECK(distance(added(1000), added(2000)) < 1e-6);
}

TEST_CASE("no position of a causal block sees a later one") {
  ir::Arrays inputs = example();
  const ir::Array before = evaluate("transformer_block", kSmall, inputs).at("o");
  inputs.at("x").data.back() += 1;
  const ir::Array after = evaluate("transformer_block", kSmall, inputs).at("o");
  for (std::size_t n = 0; n < 4 * 6; ++n) CHECK(before.data[n] == after.data[n]);
  CHECK(distance(before, after) > 0.1);
}

TEST_CASE("heads that do not divide the width, and variances without a floor, are errors") {
  CHECK(error_of("transformer_block", {{"heads", 7}}) ==
        "invalid_config: option heads is 7; expected a divisor of the model's width 512");
  CHECK(error_of("transformer_block", {{"epsilon", 0}}) ==
        "invalid_config: option epsilon is 0; expected a number above 0");
}

}  // namespace fovea::ops::test
