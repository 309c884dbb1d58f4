// Attention to neighbours biased by the layer of each in a navigable small-world index (HNSW).
//
//   o_i = Σ_j softmax_j(q_i·k_j / √d + bias_layer(j)) v_j
//
// A layer that is none is an error (out_of_bounds). A node without neighbours keeps its own v_i.
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
  const Tensor score = g.dot_products(problem) + input("bias", f32, {l, g.h}).at(l, layer);
  return g.graph(g.attend(score, g.of_neighbour(v), v));
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes&) {
  return attend_dot_products(problem, inputs, [&](std::int64_t, std::int64_t h, const Edge& edge) {
    const auto layer = static_cast<std::int64_t>(at(inputs.at("layer"), {edge.node}));
    return at(inputs.at("bias"), {layer, h});
  });
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
