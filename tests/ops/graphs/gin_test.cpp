#include <doctest/doctest.h>

#include "tests/ops/graphs/graph.h"

namespace fovea::ops::test {
namespace {

std::vector<double> output(Options options, const Lists& lists, const std::vector<double>& x) {
  options["features"] = options["d"] = 1;
  options["hidden"] = 2;
  ir::Arrays inputs = graph_inputs("gin", options, lists);
  inputs.at("x") = array({static_cast<std::int64_t>(x.size()), 1}, x);
  inputs.at("w_1") = array({1, 2}, {1, -1});
  inputs.at("b_1") = array({2}, {0, 1});
  inputs.at("w_2") = array({2, 1}, {2, 3});
  inputs.at("b_2") = array({1}, {0.5});
  return evaluate("gin", options, inputs).at("o").data;
}

}  // namespace

TEST_CASE("a sum of neighbours and of a node a little more, through a perceptron") {
  // Sums 1.5 - 2, 3 and -6 + 3; the perceptron is 2 relu(s) + 3 relu(1 - s) + 0.5.
  CHECK(output({{"epsilon", 0.5}}, {{1, 2}, {}, {0, 0, 0}}, {1, 2, -4}) ==
        std::vector<double>{5, 6.5, 12.5});
}

TEST_CASE("neighbours that come twice count twice in a sum, and not in a mean or maximum") {
  const Lists once{{1}, {}}, twice{{1, 1}, {}};
  for (const double aggregate : {0, 1, 2}) {
    const Options options{{"aggregate", aggregate}};
    CHECK((output(options, once, {1, 2}) == output(options, twice, {1, 2})) == (aggregate != 0));
  }
  CHECK(error_of("gin", {{"aggregate", 3}}).starts_with("invalid_config: option aggregate is 3"));
}

}  // namespace fovea::ops::test
