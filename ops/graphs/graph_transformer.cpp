// Dot-product attention to the neighbours of a node, with a bias for each edge and head.
//
//   o_i = Σ_j softmax_j(q_i·k_j / √d + bias_ij) v_j
//
// A node without neighbours keeps its own v_i.
#include "ops/neighbours.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = graph_options(Option{"bias", 1, "1: a bias for each edge and head"});

ir::Graph build(const Problem& problem) {
  const Neighbours g = neighbours(problem);
  const Tensor v = g.project("w_value");
  Tensor score = g.dot_products(problem);
  if (problem.flag("bias")) score = score + g.of_edge(input("bias", f32, {g.edge, g.h}));
  return g.graph(g.attend(score, g.of_neighbour(v), v));
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes&) {
  return attend_dot_products(problem, inputs, [&](std::int64_t, std::int64_t h, const Edge& edge) {
    return problem.flag("bias") ? at(inputs.at("bias"), {edge.edge, h}) : 0;
  });
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
