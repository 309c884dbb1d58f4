// Attention to neighbours by relation: keys and values are projected by the relation of the edge.
//
//   o_i = Σ_j softmax_j(q_i·W_k,r h_j / √d) W_v,r h_j,   r = relation_ij
//
// A node without neighbours keeps its own features, projected by w_own. Every relation's projection
// of every node is stored: they are few. A relation that is none is an error (out_of_bounds).
#include <cmath>

#include "ops/neighbours.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = graph_options(Option{"relations", 4, "kinds of edges"});

ir::Graph build(const Problem& problem) {
  const Neighbours g = neighbours(problem);
  const Axis t{"relation_kind", problem.integer("relations")};
  const Tensor relation = g.of_edge(input("relation", i32, {g.edge}));
  const auto of_relation = [&](const char* weight) {
    const Tensor all = sum(g.c, g.x * input(weight, f32, {t, g.h, g.c, g.d}));
    return all.at({{t, relation}, {g.i, g.to}});
  };
  const Tensor score = sum(g.d, g.project("w_query") * of_relation("w_key"));
  return g.graph(
      g.attend(score * (1 / std::sqrt(problem["d"])), of_relation("w_value"), g.project("w_own")));
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes&) {
  const ir::Array q = project_nodes(inputs.at("x"), inputs.at("w_query"));
  const auto projected = [&](const char* weight, const Edge& edge, std::int64_t h, std::int64_t d) {
    const ir::Array &x = inputs.at("x"), &w = inputs.at(weight);
    const auto relation = static_cast<std::int64_t>(at(inputs.at("relation"), {edge.edge}));
    double sum = 0;
    for (std::int64_t c = 0; c < x.shape[1]; ++c)
      sum += at(x, {edge.node, c}) * at(w, {relation, h, c, d});
    return sum;
  };
  const auto score = [&](std::int64_t i, std::int64_t h, const Edge& edge) {
    double sum = 0;
    for (std::int64_t d = 0; d < q.shape[2]; ++d)
      sum += at(q, {i, h, d}) * projected("w_key", edge, h, d);
    return sum / std::sqrt(problem["d"]);
  };
  const auto value = [&](const Edge& edge, std::int64_t h, std::int64_t d) {
    return projected("w_value", edge, h, d);
  };
  const ir::Array own = project_nodes(inputs.at("x"), inputs.at("w_own"));
  return {{"o", attend_edges(inputs, own, score, value)}};
}

void special_inputs(const Problem& problem, const ir::Sizes& sizes, unsigned seed,
                    ir::Arrays& inputs) {
  fill_neighbours(sizes, seed, inputs);
  scale_weights(sizes, inputs);
  for (double& relation : inputs.at("relation").data)
    relation = static_cast<double>(static_cast<int>(relation) % problem.integer("relations"));
}

}  // namespace

extern constinit const Mechanism relational{
    .name = "relational",
    .family = "graphs",
    .doc = "attention to neighbours whose keys and values depend on the relation of the edge",
    .formula = "o_i = Σ_j softmax_j(q_i·W_k,r h_j / √d) W_v,r h_j",
    .paper = "Schlichtkrull 2018, Busbridge 2019",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .special_inputs = special_inputs,
    .properties = {.convex = true, .permutable = true}};

}  // namespace fovea::ops
