#include <doctest/doctest.h>

#include "tests/ops/support.h"

namespace fovea::ops::test {

TEST_CASE("at its ends the mix is one scale alone") {
  Options options{{"d", 4}, {"e", 3}, {"window", 2}};
  ir::Arrays inputs = one_head("multi_scale", options, 6, 6);
  inputs.at("mix") = array({1}, {800});
  const ir::Array near = evaluate("multi_scale", options, inputs).at("o");
  inputs.at("mix") = array({1}, {-800});
  const ir::Array far = evaluate("multi_scale", options, inputs).at("o");
  const ir::Arrays local{{"q", inputs.at("q")}, {"k", inputs.at("k")}, {"v", inputs.at("v")}};
  const ir::Arrays global{
      {"q", inputs.at("q")}, {"k", inputs.at("k_global")}, {"v", inputs.at("v_global")}};
  const Options shape{{"d", 4}, {"e", 3}};
  CHECK(distance(near,
                 evaluate("sliding_window", {{"d", 4}, {"e", 3}, {"radius", 1}}, local).at("o")) <
        1e-12);
  CHECK(distance(far, evaluate("scaled_dot_product", shape, global).at("o")) < 1e-12);
}

TEST_CASE("a scale without a window is an error") {
  CHECK(error_of("multi_scale", {{"window", 0}}) ==
        "invalid_config: option window is 0; expected an integer from 1 to 999999999");
}

}  // namespace fovea::ops::test
