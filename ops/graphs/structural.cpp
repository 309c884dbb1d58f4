// Attention to neighbours biased by the structure around each: its degree and its centrality.
//
//   o_i = Σ_j softmax_j(q_i·k_j / √d + w_degree log(1 + degree_j) + w_centrality centrality_j) v_j
//
// A node without neighbours keeps its own v_i.
#include <cmath>

#include "ops/neighbours.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = graph_options();

ir::Graph build(const Problem& problem) {
  const Neighbours g = neighbours(problem);
  const Tensor v = g.project("w_value");
  const Tensor degree = g.of_neighbour(log1p(cast(f32, g.degree)));
  const Tensor centrality = g.of_neighbour(input("centrality", f32, {g.i}));
  const Tensor score = g.dot_products(problem) + input("of_degree", f32, {g.h}) * degree +
                       input("of_centrality", f32, {g.h}) * centrality;
  return g.graph(g.attend(score, g.of_neighbour(v), v));
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes&) {
  return attend_dot_products(problem, inputs, [&](std::int64_t, std::int64_t h, const Edge& edge) {
    const auto degree = static_cast<double>(edges_of(inputs, edge.node).size());
    return at(inputs.at("of_degree"), {h}) * std::log(1 + degree) +
           at(inputs.at("of_centrality"), {h}) * at(inputs.at("centrality"), {edge.node});
  });
}

void special_inputs(const Problem&, const ir::Sizes& sizes, unsigned seed, ir::Arrays& inputs) {
  fill_neighbours(sizes, seed, inputs);
  scale_weights(sizes, inputs);
}

}  // namespace

extern constinit const Mechanism structural{
    .name = "structural",
    .family = "graphs",
    .doc = "attention to neighbours biased by the degree and the centrality of each",
    .formula = "o_i = Σ_j softmax_j(q_i·k_j / √d + w·[log(1 + degree_j), centrality_j]) v_j",
    .paper = "Ying 2021",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .special_inputs = special_inputs,
    .properties = {.convex = true, .permutable = true}};

}  // namespace fovea::ops
