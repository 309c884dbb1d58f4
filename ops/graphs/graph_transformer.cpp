// Dot-product attention to the neighbours of a node, with a bias for each edge and head.
//
//   o_i = Σ_j softmax_j(q_i·k_j / √d + bias_ij) v_j
//
// A node without neighbours keeps its own v_i.
#include <cmath>

#include "ops/neighbours.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = graph_options(Option{"bias", 1, "1: a bias for each edge and head"});

ir::Graph build(const Problem& problem) {
  const Neighbours g = neighbours(problem);
  const Tensor v = g.project("w_value");
  Tensor score = sum(g.d, g.project("w_query") * g.of_neighbour(g.project("w_key"))) *
                 (1 / std::sqrt(problem["d"]));
  if (problem.flag("bias")) score = score + g.of_edge(input("bias", f32, {g.edge, g.h}));
  return g.graph(g.attend(score, g.of_neighbour(v), v));
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes&) {
  const ir::Array q = project_nodes(inputs.at("x"), inputs.at("w_query"));
  const ir::Array k = project_nodes(inputs.at("x"), inputs.at("w_key"));
  const ir::Array v = project_nodes(inputs.at("x"), inputs.at("w_value"));
  const auto score = [&](std::int64_t i, std::int64_t h, const Edge& edge) {
    const double bias = problem.flag("bias") ? at(inputs.at("bias"), {edge.edge, h}) : 0;
    return dot(q, i, k, edge.node, h) / std::sqrt(problem["d"]) + bias;
  };
  const auto value = [&](const Edge& edge, std::int64_t h, std::int64_t d) {
    return at(v, {edge.node, h, d});
  };
  return {{"o", attend_edges(inputs, v, score, value)}};
}

void special_inputs(const Problem&, const ir::Sizes& sizes, unsigned seed, ir::Arrays& inputs) {
  fill_neighbours(sizes, seed, inputs);
  scale_weights(sizes, inputs);
}

}  // namespace

extern constinit const Mechanism graph_transformer{
    .name = "graph_transformer",
    .family = "graphs",
    .doc = "dot-product attention to the neighbours of a node, with a bias for each edge",
    .formula = "o_i = Σ_j softmax_j(q_i·k_j / √d + bias_ij) v_j",
    .paper = "Dwivedi 2021",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .special_inputs = special_inputs,
    .properties = {.convex = true, .permutable = true}};

}  // namespace fovea::ops
