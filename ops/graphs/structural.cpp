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
  const Tensor score = sum(g.d, g.project("w_query") * g.of_neighbour(g.project("w_key"))) *
                           (1 / std::sqrt(problem["d"])) +
                       input("of_degree", f32, {g.h}) * degree +
                       input("of_centrality", f32, {g.h}) * centrality;
  return g.graph(g.attend(score, g.of_neighbour(v), v));
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes&) {
  const ir::Array q = project_nodes(inputs.at("x"), inputs.at("w_query"));
  const ir::Array k = project_nodes(inputs.at("x"), inputs.at("w_key"));
  const ir::Array v = project_nodes(inputs.at("x"), inputs.at("w_value"));
  const auto score = [&](std::int64_t i, std::int64_t h, const Edge& edge) {
    const auto degree = static_cast<double>(edges_of(inputs, edge.node).size());
    return dot(q, i, k, edge.node, h) / std::sqrt(problem["d"]) +
           at(inputs.at("of_degree"), {h}) * std::log(1 + degree) +
           at(inputs.at("of_centrality"), {h}) * at(inputs.at("centrality"), {edge.node});
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
