#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tests/ops/support.h"

namespace fovea::ops::test {

TEST_CASE("performer of ones is one") {
  Options options{{"d", 8}, {"e", 2}, {"m", 16}};
  const ir::Arrays ones{{"q", filled({1, 1, 3, 8}, 1)},
                        {"k", filled({1, 1, 5, 8}, 1)},
                        {"v", filled({1, 1, 5, 2}, 1)}};
  const ir::Arrays inputs = one_head("performer", options, 3, 5, ones);
  CHECK(distance(evaluate("performer", options, inputs).at("o"), filled({1, 1, 3, 2}, 1)) < 1e-12);
}

TEST_CASE("omega is orthogonal in blocks of the width") {
  Options options{{"d", 6}, {"m", 15}};
  const ir::Array omega = one_head("performer", options, 1, 1).at("omega");
  const auto dot = [&](std::size_t a, std::size_t b) {
    double sum = 0;
    for (std::size_t d = 0; d < 6; ++d) sum += omega.data[a * 6 + d] * omega.data[b * 6 + d];
    return sum;
  };
  for (std::size_t a = 0; a < 15; ++a) {
    CHECK(dot(a, a) > 0.1);
    for (std::size_t b = a - a % 6; b < a; ++b) CHECK(std::abs(dot(a, b)) < 1e-5);
  }
}

TEST_CASE("more features come nearer to softmax") {
  const auto error = [](double features) {
    const Options shape{{"d", 4}, {"e", 3}};
    Options options{{"d", 4}, {"e", 3}, {"m", features}};
    ir::Arrays inputs = one_head("performer", options, 6, 9);
    for (double& number : inputs.at("q").data) number *= 0.5;  // the variance is exponential
    ir::Arrays plain = inputs;
    plain.erase("omega");
    return distance(evaluate("performer", options, inputs).at("o"),
                    evaluate("scaled_dot_product", shape, plain).at("o"));
  };
  CHECK(error(4000) < 0.25 * error(4));
  CHECK(error(4000) < 0.1);
}

TEST_CASE("long vectors neither overflow nor divide by zero") {
  Options options{{"d", 4}, {"e", 2}, {"m", 8}};
  const ir::Arrays given{{"q", filled({1, 1, 2, 4}, 1e4)},
                         {"k", array({1, 1, 2, 4}, {1e4, 0, 0, 0, 0, -1e4, 0, 0})},
                         {"v", filled({1, 1, 2, 2}, 3)}};
  const ir::Arrays inputs = one_head("performer", options, 2, 2, given);
  CHECK(distance(evaluate("performer", options, inputs).at("o"), filled({1, 1, 2, 2}, 3)) < 1e-9);
}

}  // namespace fovea::ops::test
