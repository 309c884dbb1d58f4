#include <doctest/doctest.h>

#include "tests/ops/support.h"

namespace fovea::ops::test {

namespace {
using Keys = std::vector<std::vector<int>>;
}  // namespace

TEST_CASE("one softmax over the union of both sets") {
  Options options;
  ir::Arrays inputs = one_head("local_and_global_sets", options, 4, 4, {});
  for (ir::Array* keys : {&inputs.at("k"), &inputs.at("k_global")}) {
    for (double& key : keys->data) key = 0.25;
  }
  for (double& value : inputs.at("v").data) value = 1;
  for (double& value : inputs.at("v_global").data) value = 6;
  // All keys alike: four local values of 1 and a global one of 6 are averaged.
  CHECK(evaluate("local_and_global_sets", options, inputs).at("o").data[0] == doctest::Approx(2));
}

TEST_CASE("global keys alone, where the window holds none") {
  Options options{{"window", 1}};
  ir::Arrays inputs = one_head("local_and_global_sets", options, 3, 1, {});
  const ir::Array o = evaluate("local_and_global_sets", options, inputs).at("o");
  CHECK(o.data[0] == doctest::Approx(inputs.at("v_global").data[0]));
  CHECK(o.data[1] == o.data[0]);
}

TEST_CASE("local keys alone, where there are no global ones") {
  Options options{{"window", 2}};
  ir::Arrays inputs = one_head("local_and_global_sets", options, 5, 5, {});
  const ir::Arrays plain{{"q", inputs.at("q")}, {"k", inputs.at("k")}, {"v", inputs.at("v")}};
  inputs.at("k_global") = filled({1, 1, 0, 4}, 0);
  inputs.at("v_global") = filled({1, 1, 0, 5}, 0);
  Options window{{"radius", 1}, {"d", 4}, {"e", 5}};
  CHECK(distance(evaluate("local_and_global_sets", options, inputs).at("o"),
                 evaluate("sliding_window", window, plain).at("o")) < 1e-14);
}

TEST_CASE("rows that see neither are zeros") {
  Options options{{"window", 1}};
  ir::Arrays inputs = one_head("local_and_global_sets", options, 2, 1, {});
  inputs.at("k_global") = filled({1, 1, 0, 4}, 0);
  inputs.at("v_global") = filled({1, 1, 0, 1}, 0);
  CHECK(evaluate("local_and_global_sets", options, inputs).at("o").data[0] == 0);
}

}  // namespace fovea::ops::test
