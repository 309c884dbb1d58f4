#include "ops/neighbours.h"

#include <cmath>

#include "ir/require.h"

namespace fovea::ops {
namespace {

// 0, once it is checked that the number is: a coordinate along an axis of one element, whose name
// is what an error says.
Tensor checked_zero(const std::string& what, const Tensor& number) {
  const Axis none{what, 1};
  return Tensor(none).at(none, number);
}

}  // namespace

Lists lists_of(const Axis& i, const Axis& r, const Axis& edge, const Tensor& start,
               const std::string& prefix) {
  const Tensor whole =
      checked_zero(prefix + "edges_before_the_first_row", start.at(r, 0)) +
      checked_zero(prefix + "edges_after_the_last_row", size(edge) - start.at(r, size(i)));
  const Tensor first = start.at(r, i);
  const Tensor degree = (start.at(r, i + 1) - first + whole).named(prefix + "degree");
  const Axis n = Axis::ragged(prefix + "n", degree);
  return {n, degree, first + n};
}

Neighbours neighbours(const Problem& problem, int heads) {
  const Axis i{"i"}, edge{"edge"}, r{"r", Extent(i) + 1};
  const Axis c{"c", problem.integer("features")},
      h{"h", heads > 0 ? heads : problem.integer("heads")};
  const Axis d{"d", problem.integer("d")};
  const Tensor start = input("row_start", i32, {r}), neighbour = input("neighbour", i32, {edge});
  const auto [n, degree, at] = lists_of(i, r, edge, start);
  return {i, edge, n, c, h, d, input("x", f32, {i, c}), degree, at, neighbour.at(edge, at)};
}

Tensor Neighbours::project(const char* weight) const {
  return sum(c, x * input(weight, f32, {h, c, d}));
}

Tensor Neighbours::dot_products(const Problem& problem) const {
  return sum(d, project("w_query") * of_neighbour(project("w_key"))) *
         (1 / std::sqrt(problem["d"]));
}

Tensor Neighbours::attend(const Tensor& score, const Tensor& values, const Tensor& own) const {
  return where(degree > 0, sum(n, softmax(n, score) * values), own);
}

ir::Graph Neighbours::graph(const Tensor& o) const {
  return ir::make_graph({{"o", o, {i, h, d}}}, {i, edge, h, c, d});
}

Tensor additive_score(const Problem& problem, const Neighbours& g, const Tensor& z) {
  const auto part = [&](const char* name) { return sum(g.d, z * input(name, f32, {g.h, g.d})); };
  Tensor score = part("a_own") + g.of_neighbour(part("a_neighbour"));
  if (const int edges = problem.integer("edges", 0); edges > 0) {
    const Axis f{"f", edges};
    // a·W_e once for all edges.
    const Tensor weight =
        sum(g.d, input("a_edge", f32, {g.h, g.d}) * input("w_edge", f32, {g.h, g.d, f}));
    score = score + sum(f, weight * g.of_edge(input("edge_features", f32, {g.edge, f})));
  }
  return leaky_relu(score, problem["slope"]);
}

Tensor aggregate(const Problem& problem, const Neighbours& graph, const Tensor& x) {
  const int kind = problem.integer("aggregate", 0);
  require(kind <= 2, Code::invalid_config,
          "option aggregate is {}; expected 0 (sum), 1 (mean) or 2 (maximum)", kind);
  const Tensor each = graph.of_neighbour(x);
  if (kind == 0) return sum(graph.n, each);
  return where(graph.degree > 0, kind == 1 ? mean(graph.n, each) : max(graph.n, each), 0.0);
}

}  // namespace fovea::ops
