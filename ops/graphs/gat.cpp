// Graph attention: additive scores of projected features, and of edges' features if they have some.
//
//   o_i = Σ_j softmax_j(LeakyReLU_0.2(a·[W h_i ‖ W h_j ‖ W_e e_ij])) W h_j
//
// A node without neighbours keeps its own W h_i. Heads lie side by side in o [i, h, d]
// (concatenated), or are averaged in o [i, d].
#include <cmath>

#include "ops/neighbours.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = graph_options(
    kEdgeFeatures, Option{"average", 0, "1: the heads' average; 0: side by side"}, kSlope);

ir::Graph build(const Problem& problem) {
  const Neighbours g = neighbours(problem);
  const Tensor z = g.project("w");
  const Tensor o = g.attend(additive_score(problem, g, z), g.of_neighbour(z), z);
  if (!problem.flag("average")) return g.graph(o);
  return ir::make_graph({{"o", mean(g.h, o), {g.i, g.d}}}, {g.i, g.edge, g.h, g.c, g.d});
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes&) {
  const ir::Array z = project_nodes(inputs.at("x"), inputs.at("w"));
  const std::int64_t width = z.shape[2];
  const auto score = [&](std::int64_t i, std::int64_t h, const Edge& edge) {
    return additive_score_of(problem, inputs, z, i, h, edge);
  };
  const auto value = [&](const Edge& edge, std::int64_t h, std::int64_t d) {
    return at(z, {edge.node, h, d});
  };
  const ir::Array o = attend_edges(inputs, z, score, value);
  if (!problem.flag("average")) return {{"o", o}};
  ir::Array average = zeros({z.shape[0], width});
  for (std::int64_t i = 0; i < z.shape[0]; ++i)
    for (std::int64_t h = 0; h < z.shape[1]; ++h)
      for (std::int64_t d = 0; d < width; ++d)
        at(average, {i, d}) += at(o, {i, h, d}) / static_cast<double>(z.shape[1]);
  return {{"o", average}};
}

void special_inputs(const Problem&, const ir::Sizes& sizes, unsigned seed, ir::Arrays& inputs) {
  fill_neighbours(sizes, seed, inputs);
  scale_weights(sizes, inputs);
  scale_input(inputs.at("w"), 1 / std::sqrt(static_cast<double>(sizes.at("c"))));
}

}  // namespace

extern constinit const Mechanism gat{
    .name = "gat",
    .family = "graphs",
    .doc = "additive attention to the neighbours of a node, with edge features by option",
    .formula = "o_i = Σ_j softmax_j(LeakyReLU(a·[W h_i ‖ W h_j ‖ W_e e_ij])) W h_j",
    .paper = "Veličković 2018",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .special_inputs = special_inputs,
    .properties = {.convex = true, .permutable = true}};

}  // namespace fovea::ops
