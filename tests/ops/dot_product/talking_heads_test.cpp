#include <doctest/doctest.h>

#include "tests/ops/support.h"

namespace fovea::ops::test {

TEST_CASE("heads that do not talk are plain attention") {
  ir::Arrays inputs{{"q", normal({2, 3, 4, 5}, 1)},
                    {"k", normal({2, 3, 6, 5}, 2)},
                    {"v", normal({2, 3, 6, 2}, 3)}};
  const Options widths{{"d", 5}, {"e", 2}};
  const ir::Array plain = evaluate("scaled_dot_product", widths, inputs).at("o");
  inputs["logits"] = inputs["weights"] = array({3, 3}, {1, 0, 0, 0, 1, 0, 0, 0, 1});
  CHECK(distance(evaluate("talking_heads", widths, inputs).at("o"), plain) < 1e-14);
}

TEST_CASE("the numbers of heads may differ before, within and after") {
  const ir::Arrays inputs{{"q", normal({1, 2, 3, 4}, 1)},
                          {"k", normal({1, 2, 5, 4}, 2)},
                          {"v", normal({1, 4, 5, 2}, 3)},
                          {"logits", normal({2, 3}, 4)},
                          {"weights", normal({3, 4}, 5)}};
  const ir::Array o = evaluate("talking_heads", {{"d", 4}, {"e", 2}}, inputs).at("o");
  CHECK(o.shape == std::vector<std::int64_t>{1, 4, 3, 2});
}

}  // namespace fovea::ops::test
