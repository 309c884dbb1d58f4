// Graph isomorphism network: neighbours are summed up, then a perceptron of two layers.
//
//   o_i = W_2 relu(W_1 ((1 + ε) h_i + Σ_j h_j) + b_1) + b_2
//
// A node without neighbours has an empty sum: its own features alone go through the perceptron.
#include <algorithm>
#include <array>
#include <cmath>

#include "ops/neighbours.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = std::array{
    Option{"features", 16, "width of the nodes' features"}, Option{"hidden", 32, "units between"},
    Option{"d", 16, "width of the output"},
    Option{"epsilon", 0.1, "how much more a node's own features count than a neighbour's"},
    Option{"aggregate", 0, "0: sum of the neighbours, 1: mean, 2: maximum"}};

ir::Graph build(const Problem& problem) {
  const Neighbours g = neighbours(problem, 1);
  const Axis u{"u", problem.integer("hidden")};
  const Tensor all = g.x * (1 + problem["epsilon"]) + aggregate(problem, g, g.x);
  const Tensor hidden = relu(sum(g.c, all * input("w_1", f32, {g.c, u})) + input("b_1", f32, {u}));
  const Tensor o = sum(u, hidden * input("w_2", f32, {u, g.d})) + input("b_2", f32, {g.d});
  return ir::make_graph({{"o", o, {g.i, g.d}}}, {g.i, g.edge, g.c, u, g.d});
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes& sizes) {
  const ir::Array &x = inputs.at("x"), &w1 = inputs.at("w_1"), &w2 = inputs.at("w_2");
  ir::Array o = zeros({sizes.at("i"), w2.shape[1]});
  for (std::int64_t i = 0; i < o.shape[0]; ++i) {
    const std::vector<Edge> edges = edges_of(inputs, i);
    for (std::int64_t d = 0; d < o.shape[1]; ++d) at(o, {i, d}) = at(inputs.at("b_2"), {d});
    for (std::int64_t u = 0; u < w1.shape[1]; ++u) {
      double hidden = at(inputs.at("b_1"), {u});
      for (std::int64_t c = 0; c < x.shape[1]; ++c)
        hidden += at(w1, {c, u}) *
                  ((1 + problem["epsilon"]) * at(x, {i, c}) + aggregate_of(problem, x, edges, c));
      for (std::int64_t d = 0; d < o.shape[1]; ++d)
        at(o, {i, d}) += std::max(hidden, 0.0) * at(w2, {u, d});
    }
  }
  return {{"o", o}};
}

void special_inputs(const Problem&, const ir::Sizes& sizes, unsigned seed, ir::Arrays& inputs) {
  fill_neighbours(sizes, seed, inputs);
  scale_weights(sizes, inputs);
}

}  // namespace

extern constinit const Mechanism gin{
    .name = "gin",
    .family = "graphs",
    .doc = "neighbours summed up, then a perceptron",
    .formula = "o_i = W_2 relu(W_1 ((1 + ε) h_i + Σ_j h_j) + b_1) + b_2",
    .paper = "Xu 2019",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .special_inputs = special_inputs,
    .properties = {.permutable = true}};

}  // namespace fovea::ops
