// Every mechanism, compiled for every row of the target table that this machine runs, beside what
// its graph means.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codegen/targets.h"
#include "ops/mechanism.h"
#include "tests/frontend/support.h"

namespace fovea::test {
namespace {

struct Extents {
  std::int64_t rows, columns;
};
constexpr auto kExtents = std::array<Extents, 8>{
    {{1, 1}, {2, 7}, {7, 2}, {1, 129}, {65, 64}, {64, 129}, {129, 65}, {3, 1000}}};

// One mechanism on one set of sizes, and what it should give.
struct Example {
  Sizes sizes;
  ir::Arrays inputs, expected;
};

struct Subject {
  const ops::Mechanism& mechanism;
  ops::Problem problem;
  Graph graph;
  std::vector<Example> examples;
};

std::map<std::string, double> small_widths(const ops::Mechanism& mechanism) {
  std::map<std::string, double> given;
  for (const ops::Option& option : mechanism.options) {
    if (option.name == "d") given["d"] = 24;
    if (option.name == "e") given["e"] = 40;
  }
  return given;
}

// `mechanism` for the shape, or nothing where it does not allow the shape.
Example example_of(const Subject& subject, Extents extents) {
  Example example;
  const Graph& graph = subject.graph;
  example.sizes = ops::example_sizes(graph, extents.rows, extents.columns);
  example.inputs = ops::example_inputs(subject.mechanism, subject.problem, graph, example.sizes, 1);
  std::erase_if(example.sizes, [&](const auto& size) {
    const ir::Axis& axis = graph.axis(ir::find_axis(graph, size.first));
    return !axis.extent.empty() || axis.degree != ir::kNone;
  });
  example.expected = ir::interpret(graph, example.inputs, example.sizes);
  return example;
}

Subject subject_of(const ops::Mechanism& mechanism, const std::map<std::string, double>& given) {
  const ops::Problem problem(mechanism.options, given);
  Subject subject{mechanism, problem, mechanism.build(problem), {}};
  for (const Extents& extents : kExtents) {
    subject.examples.push_back(example_of(subject, extents));
  }
  return subject;
}

void check(const Subject& subject, const Options& options, Layout layout) {
  INFO(subject.mechanism.name << " on " << options.target << " threads " << options.threads);
  const Kernel kernel = compile(subject.graph, options);
  for (const Example& example : subject.examples) {
    INFO(describe(example.sizes));
    const auto found = run(kernel, subject.graph, example.inputs, example.sizes, layout);
    const auto differs = difference(found, example.expected, subject.mechanism.tolerance);
    CHECK_MESSAGE(!differs, differs.value_or(""));
  }
}

}  // namespace

TEST_CASE("mechanisms: compiled = interpreted") {
  for (const ops::Mechanism* mechanism : ops::all()) {
    const Subject subject = subject_of(*mechanism, small_widths(*mechanism));
    for (const ir::Target& target : codegen::runnable_targets()) {
      check(subject, {.target = std::string(target.name), .threads = 2}, Layout::Dense);
    }
  }
}

}  // namespace fovea::test
