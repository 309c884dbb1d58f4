#include "ops/heads.h"

#include <cmath>

namespace fovea::ops {

Heads heads(const Problem& problem) {
  const int group = problem.integer("group"), width = problem.integer("d");
  const Axis b{"b"}, i{"i"}, j{"j"}, d{"d", width}, e{"e", problem.integer("e")};
  const Axis h = group == 1 ? Axis{"h"} : Axis{"h", Extent(Axis{"g"}) * group};
  const Axis g = group == 1 ? h : Axis{"g"};
  const Tensor q = input("q", f32, {b, h, i, d});
  const Tensor k = input("k", f32, {b, g, j, d}), v = input("v", f32, {b, g, j, e});
  Heads x{b, h, g, i, j, d, e, q, k, v, 1 / std::sqrt(width), group};
  x.k = x.of_head(k);
  x.v = x.of_head(v);
  return x;
}

ir::Graph graph_of(const Heads& x, const std::vector<NamedOutput>& outputs) {
  return ir::make_graph(outputs, {x.b, x.h, x.i, x.j, x.d, x.e});
}

ir::Graph weighted(const Heads& x, const Tensor& weights) {
  return graph_of(x, {{"o", sum(x.j, weights * x.v)}});
}

ir::Graph attention(const Heads& x, const Tensor& score) {
  return weighted(x, softmax(x.j, score.named("s")).named("p"));
}

ir::Graph attention(const Heads& x, const Tensor& score, const Tensor& visible) {
  return attention(x, where(visible, score, -infinity));
}

}  // namespace fovea::ops
