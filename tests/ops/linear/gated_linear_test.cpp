#include <doctest/doctest.h>

#include <cmath>

#include "tests/ops/support.h"

namespace fovea::ops::test {

TEST_CASE("gates that are open make gated linear attention retention without decay") {
  Options options{{"d", 4}, {"e", 3}};
  ir::Arrays inputs = one_head("gated_linear", options, 6, 6, {{"gate", filled({1, 1, 6, 4}, 0)}});
  const ir::Array gated = evaluate("gated_linear", options, inputs).at("o");
  inputs.erase("gate");
  inputs["decay"] = array({1}, {1});
  CHECK(distance(gated, evaluate("retention", options, inputs).at("o")) < 1e-12);
}

TEST_CASE("a gate that closes hides what came before it, in its channel only") {
  const double closed = -1e4;
  const ir::Arrays given{{"q", array({1, 1, 3, 2}, {1, 1, 1, 1, 1, 1})},
                         {"k", array({1, 1, 3, 2}, {1, 10, 2, 20, 4, 40})},
                         {"gate", array({1, 1, 3, 2}, {0, 0, closed, 0, 0, 0})}};
  const std::vector<double> row = last(weights("gated_linear", {{"d", 2}}, 3, 3, given));
  CHECK(row[0] == doctest::Approx(10 / std::sqrt(2)));
  CHECK(row[1] == doctest::Approx(22 / std::sqrt(2)));
  CHECK(row[2] == doctest::Approx(44 / std::sqrt(2)));
}

}  // namespace fovea::ops::test
