#include <doctest/doctest.h>

#include <cmath>

#include "tests/ops/graphs/graph.h"

namespace fovea::ops::test {

TEST_CASE("where all are neighbours of all, a graph transformer is plain attention") {
  const Options options{{"features", 3}, {"heads", 2}, {"d", 4}, {"bias", 0}};
  const ir::Arrays inputs = graph_inputs("graph_transformer", options, Lists(5, {3, 0, 4, 1, 2}));
  const ir::Array& x = inputs.at("x");
  const ir::Array plain = evaluate("scaled_dot_product", {{"d", 4}, {"e", 4}},
                                   {{"q", by_head(x, inputs.at("w_query"))},
                                    {"k", by_head(x, inputs.at("w_key"))},
                                    {"v", by_head(x, inputs.at("w_value"))}})
                              .at("o");
  const ir::Array o = evaluate("graph_transformer", options, inputs).at("o");
  REQUIRE(o.data.size() == plain.data.size());
  for (std::size_t i = 0; i < 5; ++i)
    for (std::size_t h = 0; h < 2; ++h)
      for (std::size_t d = 0; d < 4; ++d)
        CHECK(o.data[(i * 2 + h) * 4 + d] == doctest::Approx(plain.data[(h * 5 + i) * 4 + d]));
}

TEST_CASE("the bias of an edge adds to its score, and -inf takes the edge away") {
  const Options options{{"features", 1}, {"heads", 2}, {"d", 1}};
  ir::Arrays inputs = graph_inputs("graph_transformer", options, {{1, 2}, {}, {}});
  inputs.at("x") = array({3, 1}, {0, 4, 8});  // no query: scores are biases
  inputs.at("w_value") = array({2, 1, 1}, {1, 1});
  inputs.at("bias") = array({2, 2}, {0, 0, std::log(3.0), -INFINITY});
  const ir::Array o = evaluate("graph_transformer", options, inputs).at("o");
  CHECK(distance(o, array({3, 2, 1}, {7, 4, 4, 4, 8, 8})) < 1e-12);
}

}  // namespace fovea::ops::test
