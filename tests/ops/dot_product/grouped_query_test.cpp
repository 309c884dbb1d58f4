#include <doctest/doctest.h>

#include "ir/error.h"
#include "tests/ops/support.h"

namespace fovea::ops::test {

namespace {

// Each head `times` times.
ir::Array repeated(const ir::Array& x, std::int64_t times) {
  const std::int64_t size = x.shape[2] * x.shape[3];
  ir::Array all = filled({x.shape[0], x.shape[1] * times, x.shape[2], x.shape[3]}, 0);
  for (std::int64_t n = 0; n < static_cast<std::int64_t>(all.data.size()); ++n) {
    all.data[static_cast<std::size_t>(n)] =
        x.data[static_cast<std::size_t>(n / size / times * size + n % size)];
  }
  return all;
}

}  // namespace

TEST_CASE("grouped queries are plain attention on repeated keys") {
  const ir::Array q = normal({2, 6, 3, 4}, 1), k = normal({2, 2, 5, 4}, 2),
                  v = normal({2, 2, 5, 3}, 3);
  const Options widths{{"d", 4}, {"e", 3}};
  const ir::Array plain = evaluate("scaled_dot_product", widths,
                                   {{"q", q}, {"k", repeated(k, 3)}, {"v", repeated(v, 3)}})
                              .at("o");
  const ir::Array grouped =
      evaluate("grouped_query", {{"d", 4}, {"e", 3}, {"group", 3}}, {{"q", q}, {"k", k}, {"v", v}})
          .at("o");
  CHECK(distance(grouped, plain) < 1e-14);
}

TEST_CASE("query heads that the group does not divide are an error") {
  const ir::Arrays inputs{{"q", normal({1, 5, 2, 4}, 1)},
                          {"k", normal({1, 2, 2, 4}, 2)},
                          {"v", normal({1, 2, 2, 3}, 3)}};
  CHECK_THROWS_AS(evaluate("grouped_query", {{"d", 4}, {"e", 3}, {"group", 2}}, inputs), Error);
  CHECK(error_of("grouped_query", {{"group", 0}}) ==
        "invalid_config: option group is 0; expected an integer from 1 to 999999999");
}

}  // namespace fovea::ops::test
