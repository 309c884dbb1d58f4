// Attention to neighbours biased by the layer of each in a navigable small-world index (HNSW).
//
//   o_i = Σ_j softmax_j(q_i·k_j / √d + bias_layer(j)) v_j
//
// A layer that is none is an error (out_of_bounds). A node without neighbours keeps its own v_i.
#include <cmath>

#include "ops/neighbours.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = graph_options(Option{"layers", 4, "of the index"});

ir::Graph build(const Problem& problem) {
  const Neighbours g = neighbours(problem);
  const Axis l{"layers", problem.integer("layers")};
  const Tensor v = g.project("w_value");
  const Tensor layer = g.of_neighbour(input("layer", i32, {g.i}));
  const Tensor score = sum(g.d, g.project("w_query") * g.of_neighbour(g.project("w_key"))) *
                           (1 / std::sqrt(problem["d"])) +
                       input("bias", f32, {l, g.h}).at(l, layer);
  return g.graph(g.attend(score, g.of_neighbour(v), v));
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes&) {
  const ir::Array q = project_nodes(inputs.at("x"), inputs.at("w_query"));
  const ir::Array k = project_nodes(inputs.at("x"), inputs.at("w_key"));
  const ir::Array v = project_nodes(inputs.at("x"), inputs.at("w_value"));
  const auto score = [&](std::int64_t i, std::int64_t h, const Edge& edge) {
    const auto layer = static_cast<std::int64_t>(at(inputs.at("layer"), {edge.node}));
    return dot(q, i, k, edge.node, h) / std::sqrt(problem["d"]) + at(inputs.at("bias"), {layer, h});
  };
  const auto value = [&](const Edge& edge, std::int64_t h, std::int64_t d) {
    return at(v, {edge.node, h, d});
  };
  return {{"o", attend_edges(inputs, v, score, value)}};
}

void special_inputs(const Problem& problem, const ir::Sizes& sizes, unsigned seed,
                    ir::Arrays& inputs) {
  fill_neighbours(sizes, seed, inputs);
  scale_weights(sizes, inputs);
  for (double& layer : inputs.at("layer").data)
    layer = static_cast<double>(static_cast<int>(layer) % problem.integer("layers"));
}

}  // namespace

extern constinit const Mechanism layer_encoding{
    .name = "layer_encoding",
    .family = "graphs",
    .doc = "attention to neighbours biased by the layer of each in an index of layers",
    .formula = "o_i = Σ_j softmax_j(q_i·k_j / √d + bias_layer(j)) v_j",
    .paper = "Malkov 2016",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .special_inputs = special_inputs,
    .properties = {.convex = true, .permutable = true}};

}  // namespace fovea::ops
