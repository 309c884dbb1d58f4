#include <doctest/doctest.h>

#include "tests/ops/support.h"

namespace fovea::ops::test {

TEST_CASE("linformer that projects nothing away is plain attention") {
  const Options shape{{"d", 4}, {"e", 3}};
  Options options{{"d", 4}, {"e", 3}, {"n", 3}};
  const ir::Array identity = array({3, 3}, {1, 0, 0, 0, 1, 0, 0, 0, 1});
  ir::Arrays inputs =
      one_head("linformer", options, 5, 3, {{"project_k", identity}, {"project_v", identity}});
  const ir::Array found = evaluate("linformer", options, inputs).at("o");
  inputs.erase("project_k");
  inputs.erase("project_v");
  CHECK(distance(found, evaluate("scaled_dot_product", shape, inputs).at("o")) < 1e-12);
}

TEST_CASE("linformer without a mixture is an error") {
  CHECK(error_of("linformer", {{"n", 0}}) ==
        "invalid_config: option n is 0; expected an integer from 1 to 999999999");
}

}  // namespace fovea::ops::test
