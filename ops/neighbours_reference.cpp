// Graphs in plain double loops, for the references.
#include <algorithm>
#include <cmath>
#include <random>

#include "ops/neighbours.h"
#include "ops/reference.h"

namespace fovea::ops {

std::vector<Edge> edges_of(const ir::Arrays& inputs, std::int64_t i) {
  const ir::Array& start = inputs.at("row_start");
  std::vector<Edge> edges;
  const auto last = static_cast<std::int64_t>(at(start, {i + 1}));
  for (auto edge = static_cast<std::int64_t>(at(start, {i})); edge < last; ++edge)
    edges.push_back({edge, static_cast<std::int64_t>(at(inputs.at("neighbour"), {edge}))});
  return edges;
}

ir::Array project_nodes(const ir::Array& x, const ir::Array& w) {
  ir::Array z = zeros({x.shape[0], w.shape[0], w.shape[2]});
  for (std::int64_t i = 0; i < x.shape[0]; ++i)
    for (std::int64_t h = 0; h < w.shape[0]; ++h)
      for (std::int64_t d = 0; d < w.shape[2]; ++d)
        for (std::int64_t c = 0; c < w.shape[1]; ++c)
          at(z, {i, h, d}) += at(x, {i, c}) * at(w, {h, c, d});
  return z;
}

ir::Array attend_edges(const ir::Arrays& inputs, const ir::Array& own, const EdgeScore& score,
                       const EdgeValue& value) {
  ir::Array o = own;
  for (std::int64_t i = 0; i < own.shape[0]; ++i) {
    const std::vector<Edge> edges = edges_of(inputs, i);
    if (edges.empty()) continue;
    for (std::int64_t h = 0; h < own.shape[1]; ++h) {
      std::vector<double> scores;
      for (const Edge& edge : edges) scores.push_back(score(i, h, edge));
      const std::vector<double> weights = softmax_of(scores);
      for (std::int64_t d = 0; d < own.shape[2]; ++d) {
        double sum = 0;
        for (std::size_t n = 0; n < edges.size(); ++n) sum += weights[n] * value(edges[n], h, d);
        at(o, {i, h, d}) = sum;
      }
    }
  }
  return o;
}

double additive_score_of(const Problem& problem, const ir::Arrays& inputs, const ir::Array& z,
                         std::int64_t i, std::int64_t h, const Edge& edge) {
  double sum = 0;
  for (std::int64_t d = 0; d < z.shape[2]; ++d) {
    sum += at(inputs.at("a_own"), {h, d}) * at(z, {i, h, d});
    sum += at(inputs.at("a_neighbour"), {h, d}) * at(z, {edge.node, h, d});
    for (std::int64_t f = 0; f < problem.integer("edges", 0); ++f)
      sum += at(inputs.at("a_edge"), {h, d}) * at(inputs.at("w_edge"), {h, d, f}) *
             at(inputs.at("edge_features"), {edge.edge, f});
  }
  return sum < 0 ? problem["slope"] * sum : sum;
}

ir::Arrays attend_dot_products(const Problem& problem, const ir::Arrays& inputs,
                               const EdgeScore& bias) {
  const ir::Array q = project_nodes(inputs.at("x"), inputs.at("w_query"));
  const ir::Array k = project_nodes(inputs.at("x"), inputs.at("w_key"));
  const ir::Array v = project_nodes(inputs.at("x"), inputs.at("w_value"));
  const auto score = [&](std::int64_t i, std::int64_t h, const Edge& edge) {
    double sum = 0;
    for (std::int64_t d = 0; d < q.shape[2]; ++d)
      sum += at(q, {i, h, d}) * at(k, {edge.node, h, d});
    return sum / std::sqrt(problem["d"]) + bias(i, h, edge);
  };
  const auto value = [&](const Edge& edge, std::int64_t h, std::int64_t d) {
    return at(v, {edge.node, h, d});
  };
  return {{"o", attend_edges(inputs, v, score, value)}};
}

double aggregate_of(const Problem& problem, const ir::Array& x, const std::vector<Edge>& edges,
                    std::int64_t c) {
  if (edges.empty()) return 0;
  double sum = 0, most = -INFINITY;
  for (const Edge& edge : edges) {
    sum += at(x, {edge.node, c});
    most = std::max(most, at(x, {edge.node, c}));
  }
  if (problem["aggregate"] == 2) return most;
  return problem["aggregate"] == 1 ? sum / static_cast<double>(edges.size()) : sum;
}

void fill_neighbours(const ir::Sizes& sizes, unsigned seed, ir::Arrays& inputs) {
  std::mt19937 random(seed);
  const std::int64_t nodes = sizes.at("i"), edges = sizes.at("edge");
  std::vector<double>& start = inputs.at("row_start").data;
  // Cuts at any places, two of which are often the same.
  std::uniform_int_distribution<std::int64_t> cut(0, edges), node(0, nodes - 1);
  for (double& at : start) at = static_cast<double>(cut(random));
  start.front() = 0;
  start.back() = static_cast<double>(edges);
  std::ranges::sort(start);
  for (double& neighbour : inputs.at("neighbour").data)
    neighbour = static_cast<double>(node(random));
}

void scale_weights(const ir::Sizes& sizes, ir::Arrays& inputs) {
  for (auto& [name, array] : inputs)
    if (name.starts_with("w_"))
      scale_input(array, 1 / std::sqrt(static_cast<double>(sizes.at("c"))));
}

}  // namespace fovea::ops
