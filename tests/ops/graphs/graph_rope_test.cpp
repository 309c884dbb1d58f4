#include <doctest/doctest.h>

#include <cmath>

#include "tests/ops/graphs/graph.h"

namespace fovea::ops::test {

TEST_CASE("distance 0 is plain attention, a whole turn of the only pair too") {
  const Options options{{"features", 3}, {"heads", 2}, {"d", 2}};
  const Lists lists{{1, 2}, {2, 0, 1}, {}};
  ir::Arrays inputs = graph_inputs("graph_rope", options, lists);
  const auto at_distance = [&](double distance) {
    for (double& each : inputs.at("distance").data) each = distance;
    return evaluate("graph_rope", options, inputs).at("o");
  };
  ir::Arrays plain = inputs;
  plain.erase("distance");
  Options without = options;
  without["bias"] = 0;
  const ir::Array expected = evaluate("graph_transformer", without, plain).at("o");
  CHECK(distance(at_distance(0), expected) < 1e-12);
  CHECK(distance(at_distance(8 * std::atan(1.0)), expected) < 1e-9);
  CHECK(distance(at_distance(1), expected) > 1e-3);
}

TEST_CASE("pairs need an even width") {
  CHECK(error_of("graph_rope", {{"d", 5}}).starts_with("invalid_config"));
}

}  // namespace fovea::ops::test
