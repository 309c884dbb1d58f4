#include <doctest/doctest.h>

#include "tests/ops/support.h"

namespace fovea::ops::test {

TEST_CASE("multi-query is grouped-query with one key head") {
  const ir::Array q = normal({2, 3, 4, 5}, 1), k = normal({2, 6, 5}, 2), v = normal({2, 6, 2}, 3);
  const auto one_head = [](ir::Array x) {
    x.shape.insert(x.shape.begin() + 1, 1);
    return x;
  };
  const ir::Array grouped = evaluate("grouped_query", {{"d", 5}, {"e", 2}, {"group", 3}},
                                     {{"q", q}, {"k", one_head(k)}, {"v", one_head(v)}})
                                .at("o");
  const ir::Array o =
      evaluate("multi_query", {{"d", 5}, {"e", 2}}, {{"q", q}, {"k", k}, {"v", v}}).at("o");
  CHECK(distance(o, grouped) < 1e-14);
}

}  // namespace fovea::ops::test
