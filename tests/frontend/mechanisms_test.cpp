// Every mechanism, compiled for every row of the target table that this machine runs, beside what
// its graph means. Each is a subcase, which ctest runs as a test of its own (`-sc=causal` by hand).
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
constexpr auto kExtents = std::array<Extents, 9>{
    {{1, 1}, {2, 7}, {7, 2}, {1, 129}, {65, 64}, {64, 129}, {129, 65}, {3, 1000}, {1000, 65}}};

// How tensors lie, and how many threads take part.
struct Manner {
  Layout layout;
  int threads;
};
constexpr auto kManners =
    std::array<Manner, 3>{{{Layout::Dense, 2}, {Layout::Strided, 1}, {Layout::Transposed, 5}}};

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

// Widths that the interpreter does not take minutes for.
std::map<std::string, double> small_widths(const ops::Mechanism& mechanism) {
  const std::map<std::string, double> widths{
      {"d", 24}, {"e", 40}, {"model", 192}, {"hidden", 96}, {"m", 64}};
  std::map<std::string, double> given;
  for (const ops::Option& option : mechanism.options) {
    const auto width = widths.find(std::string(option.name));
    if (width != widths.end()) given.insert(*width);
  }
  return given;
}

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

void check(const Subject& subject, const std::string& target, Manner manner) {
  INFO(target << " with " << manner.threads << " threads, layout "
              << static_cast<int>(manner.layout));
  const Kernel kernel = compile(subject.graph, {.target = target, .threads = manner.threads});
  for (const Example& example : subject.examples) {
    INFO(describe(example.sizes));
    const auto found = run(kernel, subject.graph, example.inputs, example.sizes, manner.layout);
    const auto differs = difference(found, example.expected, subject.mechanism.tolerance);
    CHECK_MESSAGE(!differs, differs.value_or(""));
  }
}

}  // namespace

TEST_CASE("mechanisms: compiled = interpreted") {
  for (const ops::Mechanism* mechanism : ops::all()) {
    SUBCASE(std::string(mechanism->name).c_str()) {
      const Subject subject = subject_of(*mechanism, small_widths(*mechanism));
      for (const ir::Target& target : codegen::runnable_targets()) {
        for (const Manner& manner : kManners) check(subject, std::string(target.name), manner);
      }
    }
  }
}

}  // namespace fovea::test
