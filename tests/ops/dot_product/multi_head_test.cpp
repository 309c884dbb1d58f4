#include <doctest/doctest.h>

#include "tests/ops/support.h"

namespace fovea::ops::test {

TEST_CASE("heads that do not divide the width are an error") {
  CHECK(error_of("multi_head", {{"model", 10}, {"heads", 3}}) ==
        "invalid_config: option heads is 3; expected a divisor of the model's width 10");
  CHECK(error_of("multi_head", {{"heads", 0}}) ==
        "invalid_config: option heads is 0; expected an integer from 1 to 999999999");
}

TEST_CASE("from 1 to 64 heads") {
  for (const double heads : {1, 2, 16, 64}) {
    CHECK(error_of("multi_head", {{"model", 64}, {"heads", heads}}) == "");
  }
}

TEST_CASE("one head without projections is plain attention") {
  const ir::Array x = normal({2, 3, 8}, 1), y = normal({2, 5, 8}, 2), z = normal({2, 5, 8}, 3);
  const auto head = [](ir::Array a) {
    a.shape.insert(a.shape.begin() + 1, 1);
    return a;
  };
  ir::Array plain = evaluate("scaled_dot_product", {{"d", 8}, {"e", 8}},
                             {{"q", head(x)}, {"k", head(y)}, {"v", head(z)}})
                        .at("o");
  plain.shape.erase(plain.shape.begin() + 1);
  const ir::Array o = evaluate("multi_head", {{"model", 8}, {"heads", 1}, {"identity", 1}},
                               {{"query", x}, {"key", y}, {"value", z}})
                          .at("o");
  CHECK(distance(o, plain) < 1e-14);
}

TEST_CASE("heads that are slices see their slice only") {
  ir::Arrays inputs{{"query", normal({1, 2, 8}, 1)},
                    {"key", normal({1, 3, 8}, 2)},
                    {"value", normal({1, 3, 8}, 3)}};
  const Options options{{"model", 8}, {"heads", 2}, {"identity", 1}};
  const ir::Array before = evaluate("multi_head", options, inputs).at("o");
  inputs.at("query").data[7] += 1;  // row 0, second head
  const ir::Array after = evaluate("multi_head", options, inputs).at("o");
  for (std::size_t n = 0; n < 16; ++n) {
    CHECK((before.data[n] != after.data[n]) == (n >= 4 && n < 8));
  }
}

TEST_CASE("the weights of each head sum to 1") {
  const ir::Arrays inputs{{"query", normal({1, 2, 6}, 1)},
                          {"key", normal({1, 4, 6}, 2)},
                          {"value", normal({1, 4, 6}, 3)}};
  const Options options{{"model", 6}, {"heads", 3}, {"identity", 1}, {"weights", 1}};
  const ir::Array weights = evaluate("multi_head", options, inputs).at("weights");
  CHECK(weights.shape == std::vector<std::int64_t>{1, 3, 2, 4});
  for (std::size_t row = 0; row < 6; ++row) {
    double total = 0;
    for (std::size_t j = 0; j < 4; ++j) total += weights.data[4 * row + j];
    CHECK(total == doctest::Approx(1));
  }
}

}  // namespace fovea::ops::test
