#include <doctest/doctest.h>

#include <cmath>

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

TEST_CASE("a block is multi-head attention of what is normalised, then a perceptron of that") {
  Options options = kSmall;
  options["causal"] = 0;
  const ir::Arrays inputs = example();
  const auto weight = [&](const char* name) { return inputs.at(name).data; };
  const auto normalised = [&](ir::Array x, const char* gain, const char* bias) {
    for (std::size_t row = 0; row < x.data.size(); row += 6) {
      double sum = 0, squares = 0;
      for (std::size_t m = 0; m < 6; ++m) {
        sum += x.data[row + m];
        squares += x.data[row + m] * x.data[row + m];
      }
      const double scale = 1 / std::sqrt(squares / 6 - sum * sum / 36 + 1e-5);
      for (std::size_t m = 0; m < 6; ++m)
        x.data[row + m] = (x.data[row + m] - sum / 6) * scale * weight(gain)[m] + weight(bias)[m];
    }
    return x;
  };
  ir::Array y = inputs.at("x");
  const ir::Array n = normalised(y, "norm1_gain", "norm1_bias");
  ir::Arrays heads{{"query", n}, {"key", n}, {"value", n}};
  for (const char* name : {"wq", "wk", "wv", "wo"}) heads[name] = inputs.at(name);
  const ir::Array seen = evaluate("multi_head", {{"model", 6}, {"heads", 2}}, heads).at("o");
  for (std::size_t m = 0; m < y.data.size(); ++m) y.data[m] += seen.data[m];
  const ir::Array z = normalised(y, "norm2_gain", "norm2_bias");
  for (std::size_t at = 0; at < y.data.size(); ++at) {
    double sum = weight("b2")[at % 6];
    for (std::size_t f = 0; f < 8; ++f) {
      double unit = weight("b1")[f];
      for (std::size_t m = 0; m < 6; ++m) unit += z.data[at / 6 * 6 + m] * weight("w1")[m * 8 + f];
      sum += unit * std::erfc(-unit / std::sqrt(2.0)) / 2 * weight("w2")[f * 6 + at % 6];
    }
    y.data[at] += sum;
  }
  CHECK(distance(evaluate("transformer_block", options, inputs).at("o"), y) < 1e-10);
}

TEST_CASE("heads that do not divide the width, and variances without a floor, are errors") {
  CHECK(error_of("transformer_block", {{"heads", 7}}) ==
        "invalid_config: option heads is 7; expected a divisor of the model's width 512");
  CHECK(error_of("transformer_block", {{"epsilon", 0}}) ==
        "invalid_config: option epsilon is 0; expected a number above 0");
}

}  // namespace fovea::ops::test
