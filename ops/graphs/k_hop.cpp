// Attention over the neighbourhood of up to k hops, with a bias for each number of hops.
//
//   o_i = Σ_j softmax_j(q_i·k_j / √d + bias_hop(i,j)) v_j
//
// The rows list everything within k hops, and hop says how far each is, from 1 to k: the caller's
// powers of the neighbour lists. A hop that is none of these is an error (out_of_bounds). A node
// without neighbours keeps its own v_i.
#include "ops/neighbours.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = graph_options(Option{"k", 2, "hops"});

ir::Graph build(const Problem& problem) {
  const Neighbours g = neighbours(problem);
  const Axis k{"hops", problem.integer("k")};
  const Tensor v = g.project("w_value");
  const Tensor bias =
      input("bias", f32, {k, g.h}).at(k, g.of_edge(input("hop", i32, {g.edge})) - 1);
  const Tensor score = g.dot_products(problem) + bias;
  return g.graph(g.attend(score, g.of_neighbour(v), v));
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes&) {
  return attend_dot_products(problem, inputs, [&](std::int64_t, std::int64_t h, const Edge& edge) {
    const auto hop = static_cast<std::int64_t>(at(inputs.at("hop"), {edge.edge}));
    return at(inputs.at("bias"), {hop - 1, h});
  });
}

void special_inputs(const Problem& problem, const ir::Sizes& sizes, unsigned seed,
                    ir::Arrays& inputs) {
  fill_neighbours(sizes, seed, inputs);
  scale_weights(sizes, inputs);
  for (double& hop : inputs.at("hop").data)
    hop = static_cast<double>(1 + static_cast<int>(hop) % problem.integer("k"));
}

}  // namespace

extern constinit const Mechanism k_hop{
    .name = "k_hop",
    .family = "graphs",
    .doc = "attention over the neighbourhood of up to k hops, biased by their number",
    .formula = "o_i = Σ_j softmax_j(q_i·k_j / √d + bias_hop) v_j",
    .paper = "Abu-El-Haija 2019",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .special_inputs = special_inputs,
    .properties = {.convex = true, .permutable = true}};

}  // namespace fovea::ops
