// Graph attention whose scores put the nonlinearity before the weighing, so that the ranking of
// neighbours may differ from node to node.
//
//   o_i = Σ_j softmax_j(a·LeakyReLU_0.2(W_l h_i + W_r h_j + W_e e_ij)) W_r h_j
//
// A node without neighbours keeps its own W_r h_i.
#include "ops/neighbours.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = graph_options(kEdgeFeatures, kSlope);

ir::Graph build(const Problem& problem) {
  const Neighbours g = neighbours(problem);
  const Tensor left = g.project("w_own"), right = g.project("w_neighbour");
  Tensor both = left + g.of_neighbour(right);
  if (const int edges = problem.integer("edges", 0); edges > 0) {
    const Axis f{"f", edges};
    both = both + sum(f, input("w_edge", f32, {f, g.h, g.d}) *
                             g.of_edge(input("edge_features", f32, {g.edge, f})));
  }
  const Tensor score = sum(g.d, input("a", f32, {g.h, g.d}) * leaky_relu(both, problem["slope"]));
  return g.graph(g.attend(score, g.of_neighbour(right), right));
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes&) {
  const ir::Array left = project_nodes(inputs.at("x"), inputs.at("w_own"));
  const ir::Array right = project_nodes(inputs.at("x"), inputs.at("w_neighbour"));
  const auto score = [&](std::int64_t i, std::int64_t h, const Edge& edge) {
    double sum = 0;
    for (std::int64_t d = 0; d < left.shape[2]; ++d) {
      double both = at(left, {i, h, d}) + at(right, {edge.node, h, d});
      for (std::int64_t f = 0; f < problem.integer("edges", 0); ++f)
        both += at(inputs.at("w_edge"), {f, h, d}) * at(inputs.at("edge_features"), {edge.edge, f});
      sum += at(inputs.at("a"), {h, d}) * (both < 0 ? problem["slope"] * both : both);
    }
    return sum;
  };
  const auto value = [&](const Edge& edge, std::int64_t h, std::int64_t d) {
    return at(right, {edge.node, h, d});
  };
  return {{"o", attend_edges(inputs, right, score, value)}};
}

void special_inputs(const Problem&, const ir::Sizes& sizes, unsigned seed, ir::Arrays& inputs) {
  fill_neighbours(sizes, seed, inputs);
  scale_weights(sizes, inputs);
}

}  // namespace

extern constinit const Mechanism gatv2{
    .name = "gatv2",
    .family = "graphs",
    .doc = "attention to neighbours whose ranking differs from node to node",
    .formula = "o_i = Σ_j softmax_j(a·LeakyReLU(W_l h_i + W_r h_j + W_e e_ij)) W_r h_j",
    .paper = "Brody 2022",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .special_inputs = special_inputs,
    .properties = {.convex = true, .permutable = true}};

}  // namespace fovea::ops
