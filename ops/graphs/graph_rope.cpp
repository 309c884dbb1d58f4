// Attention to neighbours whose keys are rotated by their distance from the node: rotary positions
// for graphs.
//
//   o_i = Σ_j softmax_j(q_i·R(distance_ij) k_j / √d) v_j
//
// R turns the features 2t and 2t + 1 of a head by distance / base^(2t / d). Distances are any real
// numbers, one for each edge. A node without neighbours keeps its own v_i.
#include <cmath>
#include <complex>

#include "ir/require.h"
#include "ops/neighbours.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = graph_options(Option{"base", 10000, "of the frequencies"});

ir::Graph build(const Problem& problem) {
  const int width = problem.integer("d");
  require(width % 2 == 0, Code::invalid_config,
          "option d is {}, the features that are rotated in pairs; expected an even number", width);
  const Neighbours g = neighbours(problem);
  const Axis t{"t", width / 2};
  // The parts of a pair apart, each with its features side by side.
  const auto part = [&](const char* name, int odd) {
    const Tensor weight = input(name, f32, {g.h, g.c, g.d}).at(g.d, 2 * Tensor(t) + odd);
    return sum(g.c, g.x * weight);
  };
  const Tensor v = g.project("w_value");
  const Tensor q0 = part("w_query", 0), q1 = part("w_query", 1);
  const Tensor k0 = g.of_neighbour(part("w_key", 0)), k1 = g.of_neighbour(part("w_key", 1));
  const Tensor frequency = exp(Tensor(t) * (-2 * std::log(problem.positive("base")) / width));
  const Tensor angle = g.of_edge(input("distance", f32, {g.edge})) * frequency;
  const Tensor score = sum(t, (q0 * k0 + q1 * k1) * cos(angle) + (q1 * k0 - q0 * k1) * sin(angle));
  return g.graph(g.attend(score * (1 / std::sqrt(width)), g.of_neighbour(v), v));
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes&) {
  const ir::Array q = project_nodes(inputs.at("x"), inputs.at("w_query"));
  const ir::Array k = project_nodes(inputs.at("x"), inputs.at("w_key"));
  const ir::Array v = project_nodes(inputs.at("x"), inputs.at("w_value"));
  const auto pair = [](const ir::Array& x, std::int64_t i, std::int64_t h, std::int64_t d) {
    return std::complex(at(x, {i, h, d}), at(x, {i, h, d + 1}));
  };
  const auto score = [&](std::int64_t i, std::int64_t h, const Edge& edge) {
    double sum = 0;
    for (std::int64_t d = 0; d < q.shape[2]; d += 2) {
      const double angle = at(inputs.at("distance"), {edge.edge}) /
                           std::pow(problem["base"], static_cast<double>(d) / problem["d"]);
      const std::complex<double> turned = pair(k, edge.node, h, d) * std::polar(1.0, angle);
      sum += (std::conj(pair(q, i, h, d)) * turned).real();
    }
    return sum / std::sqrt(problem["d"]);
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

extern constinit const Mechanism graph_rope{
    .name = "graph_rope",
    .family = "graphs",
    .doc = "attention to neighbours whose keys are rotated by their distance",
    .formula = "o_i = Σ_j softmax_j(q_i·R(distance_ij) k_j / √d) v_j",
    .paper = "Su 2021",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .special_inputs = special_inputs,
    .properties = {.convex = true, .permutable = true}};

}  // namespace fovea::ops
