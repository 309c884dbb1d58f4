// Layers as definitions of one file, all weights inputs, compiled beside the mechanism's reference.
#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "codegen/targets.h"
#include "ir/text.h"
#include "ops/mechanism.h"
#include "tests/frontend/support.h"

namespace fovea::test {
namespace {

constexpr const char* kStacked = R"(
# two layers of graph attention: 4 features to 8 to 16
axis i, edge, r = i + 1, n < degree, c = 4, h = 2, d = 4, g = 4, f = 4

x : f32[i, c]
row_start : i32[r]
neighbour : i32[edge]
w : f32[h, c, d]
a_own : f32[h, d]
a_neighbour : f32[h, d]
b : f32[h, d]
w2 : f32[g, h, d, f]
a2_own : f32[g, f]
a2_neighbour : f32[g, f]
b2 : f32[g, f]

degree = row_start[r = i + 1] - row_start[r = i]
to = neighbour[edge = row_start[r = i] + n]

z = sum(c, x * w)
s = leaky_relu(sum(d, a_own * z) + sum(d, a_neighbour * z)[i = to], 0.2)
y = elu(where(degree > 0, sum(n, softmax(n, s) * z[i = to]), z) + b)

z2 = sum((h, d), y * w2)
s2 = leaky_relu(sum(f, a2_own * z2) + sum(f, a2_neighbour * z2)[i = to], 0.2)
out o[i, g, f] = elu(where(degree > 0, sum(n, softmax(n, s2) * z2[i = to]), z2) + b2)
)";

// A layer of the library in double.
struct Layer {
  Layer(double features, double heads, unsigned seed, const ir::Arrays& graph, std::int64_t nodes)
      : problem(mechanism.options, {{"features", features}, {"heads", heads}, {"d", 4}}),
        built(mechanism.build(problem)),
        sizes(ops::example_sizes(built, nodes, nodes)) {
    sizes["edge"] = graph.at("neighbour").shape[0];
    inputs = ops::example_inputs(mechanism, problem, built, sizes, seed);
    for (const auto& [name, array] : graph) inputs.at(name) = array;
  }
  ir::Array reference() const { return mechanism.reference(problem, inputs, sizes).at("o"); }

  const ops::Mechanism& mechanism = ops::find("graph_attention");
  ops::Problem problem;
  Graph built;
  Sizes sizes;
  ir::Arrays inputs;
};

// The degrees of ten nodes are 0, 1, 2, 3, 0, 1, …
ir::Arrays ten_nodes() {
  std::vector<double> start{0}, neighbour;
  for (int i = 0; i < 10; ++i) {
    for (int step = 1; step <= i % 4; ++step) neighbour.push_back((i + 3 * step) % 10);
    start.push_back(static_cast<double>(neighbour.size()));
  }
  const auto edges = static_cast<std::int64_t>(neighbour.size());
  return {{"row_start", {i32, {11}, start}}, {"neighbour", {i32, {edges}, neighbour}}};
}

}  // namespace

TEST_CASE("layers: 5 nodes of 4 features and 8 edges give 5 x 8, on every target") {
  const ir::Arrays graph{{"row_start", {i32, {6}, {0, 2, 3, 3, 6, 8}}},
                         {"neighbour", {i32, {8}, {1, 2, 0, 2, 2, 4, 3, 0}}}};
  const Layer layer(4, 2, 1, graph, 5);
  for (const ir::Target& target : codegen::runnable_targets()) {
    INFO(target.name);
    const Kernel kernel = compile(layer.built, {.target = std::string(target.name)});
    const ir::Arrays found = run(kernel, layer.built, layer.inputs);
    CHECK(found.at("o").shape == std::vector<std::int64_t>{5, 8});
    const auto differs = difference(found, {{"o", layer.reference()}});
    CHECK_MESSAGE(!differs, differs.value_or(""));
  }
}

TEST_CASE("layers: two in one file, 4 to 8 to 16 features on 10 nodes") {
  const Layer first(4, 2, 1, ten_nodes(), 10);
  Layer second(8, 4, 2, ten_nodes(), 10);
  ir::Arrays inputs = first.inputs;
  for (const char* name : {"w", "a_own", "a_neighbour", "b"}) {
    const std::string text(name);
    inputs[text[0] + std::string("2") + text.substr(1)] = second.inputs.at(name);
  }
  inputs.at("b").shape = {2, 4};
  inputs.at("b2").shape = {4, 4};
  inputs.at("w2").shape = {4, 2, 4, 4};
  second.inputs.at("x") = first.reference();
  ir::Array expected = second.reference();
  CHECK(expected.shape == std::vector<std::int64_t>{10, 16});
  expected.shape = {10, 4, 4};
  const Graph graph = parse(kStacked);
  for (const ir::Target& target : codegen::runnable_targets()) {
    INFO(target.name);
    const Kernel kernel = compile(graph, {.target = std::string(target.name)});
    const auto differs = difference(run(kernel, graph, inputs), {{"o", expected}});
    CHECK_MESSAGE(!differs, differs.value_or(""));
  }
}

}  // namespace fovea::test
