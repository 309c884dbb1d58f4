#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "tests/ops/support.h"

namespace fovea::ops::test {

TEST_CASE("only the distance counts, and each distance has its own bias") {
  ir::Array bias = filled({1, 5}, 0);
  bias.data = {-1, 2, 0.5, 3, -4};  // i - j = -2 … 2
  const ir::Arrays given{{"q", filled({1, 1, 3, 4}, 0)}, {"bias", bias}};
  const Rows rows = weights("relative_bias", {}, 3, 3, given);
  CHECK(std::log(rows[0][1] / rows[0][0]) == doctest::Approx(2 - 0.5));
  CHECK(std::log(rows[2][0] / rows[2][2]) == doctest::Approx(-4 - 0.5));
  CHECK(std::log(rows[1][0] / rows[1][1]) == doctest::Approx(std::log(rows[2][1] / rows[2][2])));
}

TEST_CASE("relative bias of no queries and no keys") {
  const Mechanism& mechanism = find("relative_bias");
  const Problem problem(mechanism.options, {});
  const ir::Graph graph = mechanism.build(problem);
  for (const auto& [rows, columns] : {std::pair{0, 0}, {0, 3}, {3, 0}, {1, 0}, {2, 5}}) {
    const ir::Sizes sizes = example_sizes(graph, rows, columns);
    CHECK(sizes.at("r") == std::max(rows + columns - 1, 0));
    const ir::Arrays inputs = example_inputs(mechanism, problem, graph, sizes, 1);
    CHECK(ir::interpret(graph, inputs).at("o").shape[2] == rows);
  }
}

}  // namespace fovea::ops::test
