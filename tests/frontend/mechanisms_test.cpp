// Every mechanism, compiled for every row of the target table that this machine runs, and with the
// options that defaults do not reach, beside what its graph means. Each is a subcase, which ctest
// runs as a test of its own (`-sc=causal` by hand).
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codegen/targets.h"
#include "ops/mechanism.h"
#include "tests/codegen/environment.h"
#include "tests/frontend/support.h"
#include "tests/ops/variants.h"

namespace fovea::test {
namespace {

struct Extents {
  std::int64_t rows, columns;
};
constexpr auto kExtents = std::array<Extents, 9>{
    {{1, 1}, {2, 7}, {7, 2}, {1, 129}, {65, 64}, {64, 129}, {129, 65}, {3, 1000}, {1000, 65}}};

// Many rows and few are compiled apart, which takes most of the time: of other options than the
// defaults, every second has many, the rest few.
constexpr auto kManyRows = std::array<Extents, 1>{{{65, 64}}};
constexpr auto kFewRows = std::array<Extents, 2>{{{2, 7}, {7, 130}}};

// Kernels that check themselves say by themselves what is wrong.
constexpr auto kChecked = std::array<Extents, 3>{{{1, 129}, {65, 64}, {0, 7}}};

// One for each form of code: many rows, and few.
constexpr auto kFormed = std::array<Extents, 2>{{{65, 64}, {2, 7}}};

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

Subject subject_of(const ops::Mechanism& mechanism, const std::map<std::string, double>& given,
                   std::span<const Extents> all) {
  const ops::Problem problem(mechanism.options, given);
  Subject subject{mechanism, problem, mechanism.build(problem), {}};
  for (const Extents& extents : all) {
    subject.examples.push_back(example_of(subject, extents));
  }
  return subject;
}

void check(const Subject& subject, const Options& options, Layout layout) {
  INFO(options.target << " with " << options.threads << " threads, layout "
                      << static_cast<int>(layout));
  const Kernel kernel = compile(subject.graph, options);
  for (const Example& example : subject.examples) {
    INFO(describe(example.sizes));
    const auto found = run(kernel, subject.graph, example.inputs, example.sizes, layout);
    const auto differs = difference(found, example.expected, subject.mechanism.tolerance);
    CHECK_MESSAGE(!differs, differs.value_or(""));
  }
}

void check_variant(const ops::Mechanism& mechanism, std::size_t n) {
  const ops::test::Options& options = ops::test::kVariants[n].options;
  std::string text;
  for (const auto& [option, value] : options) text += fmt::format(" {}={}", option, value);
  INFO(text);
  const std::span<const Extents> few = kFewRows, many = kManyRows;
  const Subject subject =
      subject_of(mechanism, ops::test::declared(mechanism, ops::test::small_options(options)),
                 n % 2 == 0 ? many : few);
  check(subject, {.sizes = subject.examples[0].sizes}, Layout::Dense);
}

}  // namespace

TEST_CASE("mechanisms: compiled = interpreted") {
  for (const ops::Mechanism* mechanism : ops::all()) {
    SUBCASE(std::string(mechanism->name).c_str()) {
      const Subject subject = subject_of(*mechanism, small_widths(*mechanism), kExtents);
      for (const ir::Target& target : codegen::runnable_targets()) {
        for (const auto& [layout, threads] : kManners)
          check(subject, {.target = std::string(target.name), .threads = threads}, layout);
      }
    }
  }
}

TEST_CASE("mechanisms: kernels that check themselves find nothing") {
  const Environment asserts("FOVEA_ASSERTS", "1");
  for (const ops::Mechanism* mechanism : ops::all()) {
    SUBCASE(std::string(mechanism->name).c_str()) {
      const Subject subject = subject_of(*mechanism, small_widths(*mechanism), kChecked);
      check(subject, {.threads = 1}, Layout::Dense);
    }
  }
}

TEST_CASE("mechanisms: wide indices change no bit") {
  for (const ops::Mechanism* mechanism : ops::all()) {
    SUBCASE(std::string(mechanism->name).c_str()) {
      const Subject subject = subject_of(*mechanism, small_widths(*mechanism), kFormed);
      const Kernel narrow = compile(subject.graph, {.threads = 1});
      const Environment asks("FOVEA_WIDE_INDICES", "1");
      const Kernel wide = compile(subject.graph, {.threads = 1});
      for (const Example& example : subject.examples) {
        INFO(describe(example.sizes));
        CHECK(run(narrow, subject.graph, example.inputs, example.sizes) ==
              run(wide, subject.graph, example.inputs, example.sizes));
      }
    }
  }
}

TEST_CASE("mechanisms: with other options, compiled = interpreted") {
  for (const ops::Mechanism* mechanism : ops::all()) {
    SUBCASE(std::string(mechanism->name).c_str()) {
      for (std::size_t n = 0; n < ops::test::kVariants.size(); ++n)
        if (ops::test::kVariants[n].name == mechanism->name) check_variant(*mechanism, n);
    }
  }
}

}  // namespace fovea::test
