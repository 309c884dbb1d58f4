// Every mechanism after every pass, interpreted at small extents: the pass that breaks one is
// named, without compiling anything. For programs in files programs_test.cpp does the same.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "ops/mechanism.h"
#include "tests/frontend/support.h"
#include "tests/ops/variants.h"
#include "tests/passes/same_meaning.h"

namespace fovea::test {
namespace {

// Means and distances of the geometries lose digits in double too.
constexpr double kTolerance = 1e-9;

struct Extents {
  std::int64_t rows, columns;
};
constexpr Extents kExtents[] = {{1, 1}, {2, 7}, {5, 3}, {0, 2}};

// The same program with every width left to the run.
Graph with_open_extents(Graph graph) {
  for (ir::Axis& axis : graph.axes)
    if (axis.extent.size() == 1 && axis.extent[0].kind == ir::ExtentTerm::Kind::Number)
      axis.extent.clear();
  return graph;
}

void check(const ops::Mechanism& mechanism, const ops::test::Options& options, bool open = false) {
  const ops::Problem problem(mechanism.options, ops::test::declared(mechanism, options));
  const Graph graph = mechanism.build(problem);
  std::vector<passes::Example> examples;
  for (const Extents& extents : kExtents) {
    const Sizes sizes = ops::example_sizes(graph, extents.rows, extents.columns);
    examples.push_back({sizes, ops::example_inputs(mechanism, problem, graph, sizes, 1)});
  }
  const auto differs =
      passes::differing_stage(open ? with_open_extents(graph) : graph, examples, kTolerance);
  CHECK_MESSAGE(!differs, mechanism.name << " " << differs.value_or(""));
}

}  // namespace

TEST_CASE("stages: every mechanism keeps its meaning") {
  for (const ops::Mechanism* mechanism : ops::all()) {
    SUBCASE(std::string(mechanism->name).c_str()) {
      check(*mechanism, {{"d", 24}, {"e", 40}, {"model", 192}, {"hidden", 96}, {"m", 64}});
      check(*mechanism, ops::test::small_options());
      check(*mechanism, ops::test::small_options(), true);
      for (const ops::test::Variant& variant : ops::test::kVariants)
        if (variant.name == mechanism->name)
          check(*mechanism, ops::test::small_options(variant.options));
    }
  }
}

}  // namespace fovea::test
