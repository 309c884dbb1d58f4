// Every mechanism means what its reference says.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tests/ops/support.h"

namespace fovea::ops::test {
namespace {

struct Variant {
  std::string name;
  Options options;
};

// What the defaults do not reach.
const std::vector<Variant> kVariants{
    {"scaled_dot_product", {{"temperature", 2.5}, {"lse", 1}}},
    {"multi_head", {{"identity", 1}, {"weights", 1}}},
    {"multi_head", {{"heads", 1}}},
    {"alibi", {{"heads", 4}, {"causal", 0}}},
    {"alibi", {{"heads", 7}, {"start", 1}}},
    {"additive_bias", {{"batch", 0}, {"rows", 0}}},
    {"additive_bias", {{"heads", 0}, {"columns", 0}}},
    {"softcap", {{"cap", 0.5}}},
    {"sigmoid", {{"bias", 1.5}}},
    {"dropout", {{"rate", 0}}},
    {"rope", {{"half", 1}}},
    {"rope", {{"half", 1}, {"width", 4}, {"base", 100}}},
    {"rope", {{"width", 2}}},
    {"causal", {{"start", 1}}},
    {"sliding_window", {{"radius", 2}}},
    {"sliding_window", {{"window", 1}, {"start", 1}}},
    {"local_global", {{"causal", 1}}},
    {"local_global", {{"global", 0}, {"start", 1}}},
    {"strided", {{"start", 1}}},
    {"dilated", {{"stride", 1}}},
    {"document", {{"causal", 1}}},
    {"dense_mask", {{"batch", 1}}},
    {"dense_mask", {{"heads", 1}}},
    {"dense_mask", {{"batch", 1}, {"heads", 1}}},
    {"random_blocks", {{"random", 9}, {"seed", 123456789}}},
    {"random_blocks", {{"block", 1}, {"random", 1}, {"start", 1}}},
    {"big_bird", {{"global", 0}, {"random", 0}}},
    {"poincare", {{"c", 1}}},
    {"poincare", {{"c", 0.25}, {"temperature", 2}, {"frechet", 2}}},
    {"poincare", {{"c", 1}, {"temperature", 0.05}}},
    {"poincare", {{"c", 1}, {"tolerance", 1e9}}},
    {"poincare", {{"c", 4}, {"epsilon", 0.5}, {"group", 2}}},
    {"lorentz", {{"c", 1}}},
    {"lorentz", {{"temperature", 0.1}}},
    {"spherical", {{"r", 3}, {"temperature", 0.5}}},
    {"mixed_curvature", {{"sum", 1}}},
    {"mixed_curvature", {{"flat_weight", 0}, {"hyperbolic_weight", 2}, {"spherical_weight", 0.5}}},
    {"top_k", {{"k", 100}}},
    {"top_k", {{"k", 1}}},
    {"top_k_blocks", {{"k", 1}, {"block", 4}}},
    {"mixture_of_experts", {{"k", 1}, {"experts", 1}}},
    {"mixture_of_experts", {{"k", 3}, {"experts", 3}}},
    {"mixture_of_mechanisms", {{"k", 1}, {"start", 1}}},
    {"mixture_of_mechanisms", {{"k", 2}, {"experts", 2}}},
    {"dynamic_heads", {{"threshold", 0}}},
    {"dynamic_heads", {{"threshold", 1}}},
    {"multi_scale", {{"start", 1}}},
    {"transformer_block", {{"causal", 0}, {"heads", 2}}},
    {"gat", {{"edges", 2}}},
    {"graph_attention", {{"edges", 2}, {"residual", 1}}},
    {"gat", {{"average", 1}, {"slope", 0.5}}},
    {"gatv2", {{"edges", 2}, {"slope", 0}}},
    {"graph_transformer", {{"bias", 0}}},
    {"gin", {{"aggregate", 1}, {"epsilon", 0}}},
    {"gin", {{"aggregate", 2}, {"hidden", 3}}},
    {"sage", {{"aggregate", 0}}},
    {"sage", {{"aggregate", 2}}},
    {"relational", {{"relations", 1}}},
    {"layer_encoding", {{"layers", 2}}},
    {"graph_rope", {{"base", 5}}},
};

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
