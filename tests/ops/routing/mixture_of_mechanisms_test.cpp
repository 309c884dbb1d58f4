#include <doctest/doctest.h>

#include "tests/ops/support.h"

namespace fovea::ops::test {

TEST_CASE("rows that all go to one mechanism get that mechanism") {
  const Options shape{{"d", 4}, {"e", 3}};
  const char* const names[] = {"scaled_dot_product", "sliding_window"};
  for (std::size_t expert = 0; expert < 2; ++expert) {
    Options options{{"d", 4}, {"e", 3}, {"k", 1}, {"window", 3}};
    ir::Arrays inputs = one_head("mixture_of_mechanisms", options, 6, 6);
    for (std::size_t n = 0; n < 6; ++n) inputs.at("q").data[n * 4] = 1;
    inputs.at("router") = filled({1, 4, 4}, 0);
    inputs.at("router").data[expert * 4] = 5;
    const ir::Array found = evaluate("mixture_of_mechanisms", options, inputs).at("o");
    inputs.erase("router");
    Options plain = shape;
    if (expert == 1) plain["window"] = 3;
    CHECK(distance(found, evaluate(names[expert], plain, inputs).at("o")) < 1e-12);
  }
}

TEST_CASE("there are four mechanisms to route to") {
  CHECK(error_of("mixture_of_mechanisms", {{"experts", 5}}) ==
        "invalid_config: option experts is 5; expected at most the 4 kinds there are");
  CHECK(error_of("mixture_of_mechanisms", {{"window", 0}}) ==
        "invalid_config: option window is 0; expected an integer from 1 to 999999999");
}

}  // namespace fovea::ops::test
