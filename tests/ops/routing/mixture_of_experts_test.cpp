#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/ops/support.h"

namespace fovea::ops::test {
namespace {

const Options kSmall{{"model", 4}, {"experts", 5}, {"k", 2}, {"d", 3}, {"e", 3}};

ir::Arrays example(const Options& given) {
  Options options = given;
  return one_head("mixture_of_experts", options, 6, 7);
}

}  // namespace

TEST_CASE("experts that nobody chooses are not read") {
  ir::Arrays inputs = example(kSmall);
  // Everyone's first feature is positive, and chooses expert 4, then 2.
  for (std::size_t n = 0; n < inputs.at("token").data.size(); n += 4) {
    inputs.at("token").data[n] = 1;
  }
  inputs.at("router") =
      array({5, 4}, {-9, 0, 0, 0, -9, 0, 0, 0, 8, 0, 0, 0, -9, 0, 0, 0, 9, 0, 0, 0});
  const ir::Arrays expected = evaluate("mixture_of_experts", kSmall, inputs);
  for (const char* name : {"wq", "wo"}) {
    for (const std::size_t expert : {0, 1, 3}) {
      for (std::size_t n = 0; n < 12; ++n) inputs.at(name).data[expert * 12 + n] = NAN;
    }
  }
  const ir::Arrays found = evaluate("mixture_of_experts", kSmall, inputs);
  CHECK(distance(found.at("o"), expected.at("o")) == 0);
  for (std::size_t n = 0; n < found.at("chosen").data.size(); ++n) {
    CHECK(found.at("chosen").data[n] == (n % 2 == 0 ? 4 : 2));
    CHECK(found.at("gate").data[n] ==
          doctest::Approx(n % 2 == 0 ? 1 / (1 + std::exp(-1.0)) : 1 / (1 + std::exp(1.0))));
  }
}

TEST_CASE("experts that are alike are one expert, however they are mixed") {
  ir::Arrays inputs = example(kSmall);
  for (const char* name : {"wq", "wo"}) {
    std::vector<double>& weights = inputs.at(name).data;
    for (std::size_t n = 12; n < weights.size(); ++n) weights[n] = weights[n - 12];
  }
  const ir::Array two = evaluate("mixture_of_experts", kSmall, inputs).at("o");
  Options one = kSmall;
  one["k"] = 1;
  CHECK(distance(evaluate("mixture_of_experts", one, inputs).at("o"), two) < 1e-12);
}

TEST_CASE("the balance loss of even probabilities is its weight") {
  Options options = kSmall;
  options["alpha"] = 0.25;
  ir::Arrays inputs = example(options);
  for (double& logit : inputs.at("router").data) logit = 0;
  CHECK(evaluate("mixture_of_experts", options, inputs).at("balance").data[0] ==
        doctest::Approx(0.25));
}

TEST_CASE("a token has at least one expert and at most all") {
  CHECK(error_of("mixture_of_experts", {{"k", 0}}) ==
        "invalid_config: option k is 0; expected an integer from 1 to 999999999");
  CHECK(error_of("mixture_of_experts", {{"k", 9}}) ==
        "invalid_config: option k is 9, the experts of a token; expected at most all of them, "
        "which are 8");
  CHECK(error_of("mixture_of_experts", {{"experts", 0}}) ==
        "invalid_config: option experts is 0; expected an integer from 1 to 999999999");
}

}  // namespace fovea::ops::test
