#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tests/ops/support.h"

namespace fovea::ops::test {

TEST_CASE("the unit vectors of the paper's formula") {
  const ir::Array k = array({1, 1, 3, 4}, {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0});
  const ir::Arrays inputs{{"q", array({1, 1, 1, 4}, {1, 0, 0, 0})}, {"k", k}, {"v", k}};
  const ir::Arrays outputs = evaluate("scaled_dot_product", {{"d", 4}, {"e", 4}}, inputs);
  const ir::Array expected = array({1, 1, 1, 4}, {.451863, .274069, .274069, 0});
  CHECK(distance(outputs.at("o"), expected) < 5e-7);
}

TEST_CASE("zero queries give the mean of the values") {
  const Rows rows = weights("scaled_dot_product", {}, 2, 5, {{"q", filled({1, 1, 2, 4}, 0)}});
  for (const double weight : rows[1]) CHECK(weight == doctest::Approx(0.2));
}

TEST_CASE("identical keys share the weight, one key has it all") {
  const Rows rows = weights("scaled_dot_product", {}, 1, 7, {{"k", filled({1, 1, 7, 4}, 3)}});
  for (const double weight : rows[0]) CHECK(weight == doctest::Approx(1.0 / 7));
  CHECK(weights("scaled_dot_product", {}, 1, 1)[0][0] == 1);
}

TEST_CASE("values of 3 give 3") {
  Options options;
  ir::Arrays inputs = one_head("scaled_dot_product", options, 3, 6,
                               {{"k", filled({1, 1, 6, 4}, 7)}, {"v", filled({1, 1, 6, 6}, 3)}});
  const ir::Array o = evaluate("scaled_dot_product", options, inputs).at("o");
  for (const double value : o.data) {
    CHECK(value == doctest::Approx(3));
  }
}

TEST_CASE("scores beyond f32 with equal keys give the mean") {
  const ir::Arrays huge{{"q", filled({1, 1, 1, 4}, 1.7e38)}, {"k", filled({1, 1, 4, 4}, 1.7e38)}};
  for (const double weight : last(weights("scaled_dot_product", {}, 1, 4, huge))) {
    CHECK(weight == doctest::Approx(0.25));
  }
}

TEST_CASE("a high temperature makes weights alike, a low one picks the best") {
  const Rows hot = weights("scaled_dot_product", {{"temperature", 1e9}}, 1, 4);
  const Rows cold = weights("scaled_dot_product", {{"temperature", 1e-6}}, 1, 4);
  for (const double weight : hot[0]) CHECK(weight == doctest::Approx(0.25));
  CHECK(*std::ranges::max_element(cold[0]) == doctest::Approx(1));
}

TEST_CASE("the log-sum-exp of equal scores") {
  Options options{{"lse", 1}};
  const ir::Arrays inputs =
      one_head("scaled_dot_product", options, 1, 5, {{"q", filled({1, 1, 1, 4}, 0)}});
  CHECK(evaluate("scaled_dot_product", options, inputs).at("lse").data[0] ==
        doctest::Approx(std::log(5.0)));
}

TEST_CASE("a temperature that is not above 0 is an error") {
  CHECK(error_of("scaled_dot_product", {{"temperature", 0}}) ==
        "invalid_config: option temperature is 0; expected a number above 0");
}

}  // namespace fovea::ops::test
