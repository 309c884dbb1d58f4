#include <doctest/doctest.h>

#include "tests/ops/support.h"

namespace fovea::ops::test {
namespace {

const Options kShape{{"d", 4}, {"e", 3}};

Options with_threshold(double threshold) {
  Options options = kShape;
  options["threshold"] = threshold;
  return options;
}

}  // namespace

TEST_CASE("heads that are switched off are zeros, whatever their values") {
  Options options = with_threshold(1);
  ir::Arrays inputs = one_head("dynamic_heads", options, 3, 5);
  for (double& number : inputs.at("v").data) number = 1 / 0.0;
  CHECK(distance(evaluate("dynamic_heads", options, inputs).at("o"), filled({1, 1, 3, 3}, 0)) == 0);
}

TEST_CASE("heads that are on are attention times their gate") {
  Options options = with_threshold(0);
  ir::Arrays inputs = one_head("dynamic_heads", options, 3, 5);
  const ir::Arrays found = evaluate("dynamic_heads", options, inputs);
  const double gate = found.at("gate").data[0];
  inputs.erase("gate_weight");
  ir::Array plain = evaluate("scaled_dot_product", kShape, inputs).at("o");
  for (double& number : plain.data) number *= gate;
  CHECK(gate > 0);
  CHECK(distance(found.at("o"), plain) < 1e-12);
}

TEST_CASE("a threshold is one for gates") {
  CHECK(error_of("dynamic_heads", {{"threshold", 1.5}}) ==
        "invalid_config: option threshold is 1.5; expected a number from 0 to 1, as gates are");
  CHECK(error_of("dynamic_heads", {{"threshold", -0.5}}) ==
        "invalid_config: option threshold is -0.5; expected a number from 0 to 1, as gates are");
}

}  // namespace fovea::ops::test
