// Hyperbolic means of points far from the origin: their length is a small difference of large
// numbers there.
#include <doctest/doctest.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "ops/mechanism.h"
#include "tests/frontend/support.h"

namespace fovea::test {
namespace {

struct Subject {
  std::string_view name;
  std::map<std::string, double> options;
  double scale;  // of the inputs
};

void check(const Subject& subject, std::int64_t rows, std::int64_t columns) {
  const ops::Mechanism& mechanism = ops::find(subject.name);
  const ops::Problem problem(mechanism.options, subject.options);
  const Graph graph = mechanism.build(problem);
  const Sizes sizes = ops::example_sizes(graph, rows, columns);
  INFO(subject.name << " " << subject.scale << ": " << describe(sizes));
  const Kernel kernel = compile(graph, {.sizes = sizes});
  for (const unsigned seed : {1, 2, 3}) {
    ir::Arrays inputs = ops::example_inputs(mechanism, problem, graph, sizes, seed);
    for (auto& [name, array] : inputs)
      for (double& x : array.data) x = static_cast<float>(x * subject.scale);
    const auto differs = difference(run(kernel, graph, inputs), ir::interpret(graph, inputs));
    CHECK_MESSAGE(!differs, "seed " << seed << ": " << differs.value_or(""));
  }
}

}  // namespace

TEST_CASE("far points: means on the hyperboloid keep their digits, near the origin and far") {
  for (const double scale : {0.25, 2.0, 16.0})
    for (const auto& [rows, columns] : {std::pair(2, 130), std::pair(65, 100)})
      check({"lorentz", {{"d", 6}, {"e", 5}, {"temperature", 0.1}}, scale}, rows, columns);
}

TEST_CASE("far points: means of points on the border of the ball keep their digits") {
  for (const auto& [rows, columns] : {std::pair(3, 1), std::pair(65, 64)})
    check({"poincare", {{"d", 6}, {"e", 5}, {"temperature", 0.1}}, 10}, rows, columns);
  check({"poincare", {{"d", 6}, {"e", 5}, {"epsilon", 0.05}}, 10}, 3, 1);
}

TEST_CASE("far points: Fréchet means of points on the border of the ball keep their digits") {
  for (const auto& [rows, columns] : {std::pair(2, 130), std::pair(65, 64)})
    check({"poincare", {{"d", 6}, {"e", 5}, {"c", 0.25}, {"temperature", 2}, {"frechet", 1}}, 3},
          rows, columns);
}

TEST_CASE("far points: a step that is hardly one has a length all the same") {
  // Steps are differences of means; their squares, multiplied out, came out below 0.
  check({"poincare", {{"d", 6}, {"e", 5}, {"c", 3}, {"temperature", 0.05}, {"frechet", 1}}, 1}, 65,
        64);
}

}  // namespace fovea::test
