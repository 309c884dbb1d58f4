// Iterations written out step by step, as of a mean that is sought by going there.
#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "ir/text.h"
#include "tests/frontend/support.h"

namespace fovea::test {
namespace {

// Points well inside the unit ball, with weights.
ir::Arrays points(const Graph& graph, const Sizes& sizes) {
  ir::Arrays inputs = random_inputs(graph, sizes, 3);
  for (double& x : inputs.at("x").data) x = static_cast<float>(0.1 * x);
  if (inputs.contains("w"))
    for (double& w : inputs.at("w").data) w = static_cast<float>(std::abs(w) + 0.1);
  return inputs;
}

}  // namespace

TEST_CASE("iterations: a Fréchet mean of points") {
  const Graph graph = parse(R"(
axis j, d = 5
w : f32[j]
x : f32[j, d]
out mean = frechet_mean(j, d, w, x, 1.0, 6)
)");
  const Kernel kernel = compile(graph);
  for (const std::int64_t count : {1, 2, 40}) {
    const Sizes sizes{{"j", count}};
    const ir::Arrays inputs = points(graph, sizes);
    const auto differs =
        difference(run(kernel, graph, inputs), ir::interpret(graph, inputs, sizes), 1e-5);
    CHECK_MESSAGE(!differs, differs.value_or(""));
  }
}

TEST_CASE("iterations: a Fréchet mean for every row of a plane") {
  const Graph graph = parse(R"(
axis i, j, d = 5
q : f32[i, d]
x : f32[j, d]
w = softmax(j, sum(d, q * x))
out mean = frechet_mean(j, d, w, x, 1.0, 3)
)");
  const Kernel kernel = compile(graph);
  for (const std::int64_t rows : {1, 50}) {
    const Sizes sizes{{"i", rows}, {"j", 70}};
    const ir::Arrays inputs = points(graph, sizes);
    const auto differs =
        difference(run(kernel, graph, inputs), ir::interpret(graph, inputs, sizes), 1e-5);
    CHECK_MESSAGE(!differs, differs.value_or(""));
  }
}

}  // namespace fovea::test
