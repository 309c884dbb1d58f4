#include <doctest/doctest.h>

#include <cmath>

#include "tests/ops/graphs/graph.h"

namespace fovea::ops::test {
namespace {

const Options kSmall{{"features", 3}, {"heads", 2}, {"d", 4}, {"k", 2}};

// The path 0 - 1 - 2 - 3: every node has those within two hops.
const Lists kWithin{{1, 2}, {0, 2, 3}, {1, 3, 0}, {2, 1}};
const std::vector<double> kHops{1, 2, 1, 1, 2, 1, 1, 2, 1, 2};

ir::Arrays path() {
  ir::Arrays inputs = graph_inputs("k_hop", kSmall, kWithin);
  inputs.at("hop") = integers(kHops);
  return inputs;
}

}  // namespace

TEST_CASE("hops that are excluded leave attention to the nearer ones") {
  ir::Arrays inputs = path();
  inputs.at("bias") = array({2, 2}, {0.5, -1, -INFINITY, -INFINITY});
  const ir::Array o = evaluate("k_hop", kSmall, inputs).at("o");
  inputs.erase("hop");
  inputs.erase("bias");
  inputs.at("row_start") = integers({0, 1, 3, 5, 6});
  inputs.at("neighbour") = integers({1, 0, 2, 1, 3, 2});
  const Options near{{"features", 3}, {"heads", 2}, {"d", 4}, {"bias", 0}};
  CHECK(distance(o, evaluate("graph_transformer", near, inputs).at("o")) < 1e-12);
}

TEST_CASE("without queries, weights are by hops alone") {
  const Options options{{"features", 1}, {"heads", 1}, {"d", 1}, {"k", 3}};
  ir::Arrays inputs = graph_inputs("k_hop", options, {{1, 2, 3}, {}, {}, {}});
  inputs.at("x") = array({4, 1}, {0, 3, 5, 20});
  inputs.at("w_value") = array({1, 1, 1}, {1});
  inputs.at("hop") = integers({1, 3, 2});
  inputs.at("bias") = array({3, 1}, {0, std::log(2.0), std::log(5.0)});
  const double expected = (1 * 3 + 5 * 5 + 2 * 20) / 8.0;
  CHECK(evaluate("k_hop", options, inputs).at("o").data[0] == doctest::Approx(expected));
}

TEST_CASE("hops are from 1 to k") {
  for (const double wrong : {0, 3, -1}) {
    ir::Arrays inputs = path();
    inputs.at("hop").data[4] = wrong;
    CHECK(failure_of("k_hop", kSmall, inputs) == "out_of_bounds");
  }
  CHECK(error_of("k_hop", {{"k", 0}}) ==
        "invalid_config: option k is 0; expected an integer from 1 to 999999999");
}

}  // namespace fovea::ops::test
