#include <doctest/doctest.h>

#include <map>

#include "tests/ops/graphs/graph.h"

namespace fovea::ops::test {

TEST_CASE("the mean, the sum and the maximum of neighbours, zero where there are none") {
  for (const auto& [kind, expected] :
       std::map<int, std::vector<double>>{{0, {7, 0, 2}}, {1, {3.5, 0, 1}}, {2, {5, 0, 1}}}) {
    const Options options{{"features", 1}, {"d", 1}, {"aggregate", kind}};
    ir::Arrays inputs = graph_inputs("sage", options, {{1, 2}, {}, {0, 0}});
    inputs.at("x") = array({3, 1}, {1, 2, 5});
    inputs.at("w_own") = array({1, 1}, {0});
    inputs.at("w_neighbours") = array({1, 1}, {1});
    CHECK(evaluate("sage", options, inputs).at("o").data == expected);
  }
  CHECK(error_of("sage", {{"aggregate", 3}}).starts_with("invalid_config"));
}

}  // namespace fovea::ops::test
