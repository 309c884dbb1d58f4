// Sums along rows as they lie in memory: norms and their like, off every plane.
#include <doctest/doctest.h>

#include <limits>
#include <string>

#include "codegen/targets.h"
#include "tests/frontend/support.h"

namespace fovea::test {
namespace {

const std::string kText = R"(
axis h, i, d = 37, e = 128, f = 16
x : f32[h, i, d]
y : f32[i, e]
z : f32[f]
w : f32[h]
out a = sum(d, x * x)
out b[i, h] = sum(d, x * w + abs(x))
out c = sqrt(sum(e, y * y))
out g = sum(f, z * z)
out n = sum(e, max(y, 0.0) * 0.25)
)";

}  // namespace

TEST_CASE("row sums: compiled = interpreted on every target") {
  const Graph graph = parse(kText);
  for (const ir::Target& target : codegen::runnable_targets()) {
    for (const std::int64_t rows : {1, 2, 67}) {
      const Sizes sizes{{"h", 3}, {"i", rows}};
      const auto differs = compiled_differs(graph, random_inputs(graph, sizes, 1), {}, 1e-5,
                                            {.target = std::string(target.name), .threads = 2});
      INFO(target.name << " rows " << rows);
      CHECK_MESSAGE(!differs, differs.value_or(""));
    }
  }
}

TEST_CASE("row sums: NaN and infinity show in their rows only, and zeros annihilate them") {
  const Graph graph = parse(R"(
axis i, d = 48
x : f32[i, d]
w : f32[i, d]
out o = sum(d, x * w)
)");
  ir::Arrays inputs = random_inputs(graph, {{"i", 5}}, 2);
  inputs.at("x").data[10] = std::numeric_limits<double>::quiet_NaN();
  inputs.at("x").data[48 + 7] = std::numeric_limits<double>::infinity();
  inputs.at("x").data[96 + 3] = std::numeric_limits<double>::quiet_NaN();
  inputs.at("w").data[96 + 3] = 0;
  const auto differs = compiled_differs(graph, inputs);
  CHECK_MESSAGE(!differs, differs.value_or(""));
}

}  // namespace fovea::test
