// Every mechanism means what its reference says.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tests/ops/support.h"
#include "tests/ops/variants.h"

namespace fovea::ops::test {
namespace {

void check(const Mechanism& mechanism, const Options& wanted, std::int64_t rows,
           std::int64_t columns) {
  const Problem problem(mechanism.options, declared(mechanism, wanted));
  const ir::Graph graph = mechanism.build(problem);
  const ir::Sizes sizes = example_sizes(graph, rows, columns);
  const auto seed = static_cast<unsigned>(rows * 100 + columns);
  const ir::Arrays inputs = example_inputs(mechanism, problem, graph, sizes, seed);
  const ir::Arrays expected = mechanism.reference(problem, inputs, sizes);
  const ir::Arrays found = ir::interpret(graph, inputs);
  REQUIRE(found.size() == expected.size());
  for (const auto& [output, array] : expected) {
    double largest = 0;
    for (const double value : array.data) largest = std::max(largest, std::abs(value));
    CAPTURE(mechanism.name);
    CAPTURE(output);
    CAPTURE(rows);
    CAPTURE(columns);
    CHECK(distance(found.at(output), array) <= 1e-10 * largest);
  }
}

void check_sizes(const Mechanism& mechanism, const Options& options) {
  for (const std::int64_t rows : {1, 2, 7, 13}) {
    for (const std::int64_t columns : {1, 2, 7, 13}) check(mechanism, options, rows, columns);
  }
}

}  // namespace

TEST_CASE("every mechanism equals its reference") {
  for (const Mechanism* mechanism : all()) check_sizes(*mechanism, small_options());
}

TEST_CASE("every mechanism equals its reference when heads share keys") {
  for (const Mechanism* mechanism : all()) {
    for (const Option& option : mechanism->options) {
      if (option.name == "group") check(*mechanism, small_options({{"group", 3}}), 5, 8);
    }
  }
}

TEST_CASE("options change what they say, in graph and reference alike") {
  for (const Variant& variant : kVariants) {
    check_sizes(find(variant.name), small_options(variant.options));
  }
}

TEST_CASE("the widths that are the defaults") {
  for (const Mechanism* mechanism : all()) check(*mechanism, {}, 3, 5);
}

TEST_CASE("every input matters") {
  for (const Mechanism* mechanism : all()) {
    const Problem problem(mechanism->options, declared(*mechanism, small_options()));
    const ir::Graph graph = mechanism->build(problem);
    const ir::Sizes sizes = example_sizes(graph, 5, 9);
    const ir::Arrays inputs = example_inputs(*mechanism, problem, graph, sizes, 1);
    const ir::Arrays outputs = mechanism->reference(problem, inputs, sizes);
    for (const auto& [name, array] : inputs) {
      if (!ir::is_float(array.dtype)) continue;
      ir::Arrays changed = inputs;
      for (double& value : changed.at(name).data) value = 0.5 * value + 0.25;
      CAPTURE(mechanism->name);
      CAPTURE(name);
      const ir::Array& before = outputs.at("o");
      CHECK(distance(mechanism->reference(problem, changed, sizes).at("o"), before) > 1e-6);
    }
  }
}

}  // namespace fovea::ops::test
