#include <doctest/doctest.h>

#include <cmath>

#include "tests/ops/graphs/graph.h"

namespace fovea::ops::test {

TEST_CASE("with one relation it is a graph transformer") {
  const Options options{{"features", 3}, {"heads", 2}, {"d", 4}, {"relations", 1}};
  ir::Arrays inputs = graph_inputs("relational", options, {{1, 2, 2}, {}, {0, 2}});
  const ir::Array o = evaluate("relational", options, inputs).at("o");
  const std::vector<double> own = inputs.at("w_own").data;
  for (const char* weight : {"w_key", "w_value"}) inputs.at(weight).shape = {2, 3, 4};
  inputs.erase("w_own");
  inputs.erase("relation");
  const Options plain{{"features", 3}, {"heads", 2}, {"d", 4}, {"bias", 0}};
  const ir::Array expected = evaluate("graph_transformer", plain, inputs).at("o");
  for (const std::size_t node : {0, 2})
    for (std::size_t n = node * 8; n < node * 8 + 8; ++n)
      CHECK(o.data[n] == doctest::Approx(expected.data[n]));
  // The node without neighbours has a projection of its own.
  const std::vector<double>& x = inputs.at("x").data;
  CHECK(o.data[8] == doctest::Approx(x[3] * own[0] + x[4] * own[4] + x[5] * own[8]));
}

TEST_CASE("keys and values are those of the edge's relation") {
  const Options options{{"features", 1}, {"heads", 1}, {"d", 1}, {"relations", 3}};
  ir::Arrays inputs = graph_inputs("relational", options, {{1, 2, 1}, {}, {}});
  inputs.at("x") = array({3, 1}, {1, 5, 7});
  inputs.at("w_query") = array({1, 1, 1}, {1});
  inputs.at("w_key") = array({3, 1, 1, 1}, {0, std::log(2.0) / 5, std::log(4.0) / 7});
  inputs.at("w_value") = array({3, 1, 1, 1}, {1, 10, 100});
  inputs.at("relation") = integers({0, 2, 1});
  // Scores 0, log 4 and log 2 of the values 5, 700 and 50.
  CHECK(evaluate("relational", options, inputs).at("o").data[0] ==
        doctest::Approx((1 * 5 + 4 * 700 + 2 * 50) / 7.0));
}

TEST_CASE("a relation that is none is an error") {
  const Options options{{"relations", 3}};
  ir::Arrays inputs = graph_inputs("relational", options, {{1}, {0}});
  for (const double wrong : {-1, 3}) {
    inputs.at("relation").data[1] = wrong;
    CHECK(failure_of("relational", options, inputs) == "out_of_bounds");
  }
  CHECK(error_of("relational", {{"relations", 0}}) ==
        "invalid_config: option relations is 0; expected an integer from 1 to 999999999");
}

}  // namespace fovea::ops::test
