// A layer of a graph attention network: attention to the neighbours, heads side by side, a bias and
// a nonlinearity. Layers stack: the output is features again.
//
//   o_i = elu(‖_h Σ_j softmax_j(LeakyReLU_0.2(a·[W x_i ‖ W x_j ‖ W_e e_ij])) W x_j + b [+ W_r x_i])
//
// The part in brackets by the option `residual`. A node without neighbours attends to itself alone.
#include <cmath>

#include "ops/neighbours.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = graph_options(
    kEdgeFeatures, kSlope, Option{"residual", 0, "1: adds the node's own features, projected"});

ir::Graph build(const Problem& problem) {
  const Neighbours g = neighbours(problem);
  const int width = problem.integer("d");
  const Axis m{"m", problem.integer("heads") * width};
  const Tensor z = g.project("w");
  const Tensor each = g.attend(additive_score(problem, g, z), g.of_neighbour(z), z);
  Tensor joined = each.at({{g.h, m / width}, {g.d, m % width}}) + input("b", f32, {m});
  if (problem.flag("residual")) joined = joined + sum(g.c, g.x * input("w_own", f32, {g.c, m}));
  return ir::make_graph({{"o", elu(joined), {g.i, m}}}, {g.i, g.edge, g.h, g.c, g.d, m});
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes&) {
  const ir::Array& x = inputs.at("x");
  const ir::Array z = project_nodes(x, inputs.at("w"));
  const auto score = [&](std::int64_t i, std::int64_t h, const Edge& edge) {
    return additive_score_of(problem, inputs, z, i, h, edge);
  };
  const auto value = [&](const Edge& edge, std::int64_t h, std::int64_t d) {
    return at(z, {edge.node, h, d});
  };
  ir::Array o = attend_edges(inputs, z, score, value);
  o.shape = {z.shape[0], z.shape[1] * z.shape[2]};
  for (std::int64_t i = 0; i < o.shape[0]; ++i) {
    for (std::int64_t m = 0; m < o.shape[1]; ++m) {
      double& number = at(o, {i, m});
      number += at(inputs.at("b"), {m});
      for (std::int64_t c = 0; problem.flag("residual") && c < x.shape[1]; ++c)
        number += at(x, {i, c}) * at(inputs.at("w_own"), {c, m});
      number = number > 0 ? number : std::expm1(number);
    }
  }
  return {{"o", o}};
}

void special_inputs(const Problem&, const ir::Sizes& sizes, unsigned seed, ir::Arrays& inputs) {
  fill_neighbours(sizes, seed, inputs);
  scale_weights(sizes, inputs);
  scale_input(inputs.at("w"), 1 / std::sqrt(static_cast<double>(sizes.at("c"))));
}

}  // namespace

extern constinit const Mechanism graph_attention{
    .name = "graph_attention",
    .family = "layers",
    .doc = "attention to the neighbours of a node, heads side by side, a bias and an ELU",
    .formula = "o_i = elu(‖_h Σ_j softmax_j(LeakyReLU(a·[W x_i ‖ W x_j])) W x_j + b)",
    .paper = "Veličković 2018",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .special_inputs = special_inputs};

}  // namespace fovea::ops
