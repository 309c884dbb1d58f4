// GraphSAGE: a node's features beside the aggregate of its neighbours', projected.
//
//   o_i = W [h_i ‖ mean_j h_j]
//
// W is given in its two parts. A node without neighbours has an aggregate of zeros.
#include <array>
#include <cmath>

#include "ops/neighbours.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = std::array{
    Option{"features", 16, "width of the nodes' features"}, Option{"d", 16, "width of the output"},
    Option{"aggregate", 1, "0: sum of the neighbours, 1: mean, 2: maximum"}};

ir::Graph build(const Problem& problem) {
  const Neighbours g = neighbours(problem, 1);
  const Tensor all = aggregate(problem, g, g.x);
  const Tensor o = sum(g.c, g.x * input("w_own", f32, {g.c, g.d})) +
                   sum(g.c, all * input("w_neighbours", f32, {g.c, g.d}));
  return ir::make_graph({{"o", o, {g.i, g.d}}}, {g.i, g.edge, g.c, g.d});
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes& sizes) {
  const ir::Array &x = inputs.at("x"), &own = inputs.at("w_own");
  ir::Array o = zeros({sizes.at("i"), own.shape[1]});
  for (std::int64_t i = 0; i < o.shape[0]; ++i) {
    const std::vector<Edge> edges = edges_of(inputs, i);
    for (std::int64_t c = 0; c < x.shape[1]; ++c) {
      const double all = aggregate_of(problem, x, edges, c);
      for (std::int64_t d = 0; d < o.shape[1]; ++d)
        at(o, {i, d}) +=
            at(x, {i, c}) * at(own, {c, d}) + all * at(inputs.at("w_neighbours"), {c, d});
    }
  }
  return {{"o", o}};
}

void special_inputs(const Problem&, const ir::Sizes& sizes, unsigned seed, ir::Arrays& inputs) {
  fill_neighbours(sizes, seed, inputs);
  scale_weights(sizes, inputs);
}

}  // namespace

extern constinit const Mechanism sage{
    .name = "sage",
    .family = "graphs",
    .doc = "a node's features beside the mean, sum or maximum of its neighbours'",
    .formula = "o_i = W [h_i ‖ mean_j h_j]",
    .paper = "Hamilton 2017",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .special_inputs = special_inputs,
    .properties = {.permutable = true}};

}  // namespace fovea::ops
