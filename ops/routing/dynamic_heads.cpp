// Attention whose heads are switched by gates; a head whose gate is not above the threshold is not
// computed.
//
//   gate_h = σ(mean_i(q_hi)·w_h),  o = gate_h softmax(q·k / √d) v where gate_h > threshold, else 0
#include <cmath>

#include "ir/require.h"
#include "ops/heads.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions =
    head_options(Option{"threshold", 0.5, "gates up to this switch their head off"});

double threshold_of(const Problem& problem) {
  const double threshold = problem["threshold"];
  require(threshold >= 0 && threshold <= 1, Code::invalid_config,
          "option threshold is {}; expected a number from 0 to 1, as gates are", threshold);
  return threshold;
}

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  const Tensor w = input("gate_weight", f32, {x.h, x.d});
  const Tensor gate = sigmoid(sum(x.d, mean(x.i, x.q) * w)).named("gate");
  const Tensor on = gate > threshold_of(problem);
  const Tensor p = softmax(x.j, where(on, x.score(), -infinity));
  return graph_of(x, {{"o", where(on, gate, 0.0) * sum(x.j, p * x.v)}, {"gate", gate}});
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes&) {
  const ir::Array &q = inputs.at("q"), &w = inputs.at("gate_weight");
  ir::Array gate = zeros({q.shape[0], q.shape[1]});
  for (std::int64_t b = 0; b < q.shape[0]; ++b) {
    for (std::int64_t h = 0; h < q.shape[1]; ++h) {
      double logit = 0;
      for (std::int64_t i = 0; i < q.shape[2]; ++i) {
        for (std::int64_t d = 0; d < q.shape[3]; ++d) {
          logit += at(q, {b, h, i, d}) * at(w, {h, d}) / static_cast<double>(q.shape[2]);
        }
      }
      at(gate, {b, h}) = 1 / (1 + std::exp(-logit));
    }
  }
  const auto weigh = [&](const Pair& pair, const std::vector<double>& scores) {
    const double factor = at(gate, {pair.b, pair.h});
    std::vector<double> weights = softmax_of(scores);
    for (double& weight : weights) weight *= factor > problem["threshold"] ? factor : 0;
    return weights;
  };
  return {{"o", attend(inputs, {.weigh = weigh}).at("o")}, {"gate", gate}};
}

void special_inputs(const Problem& problem, const ir::Sizes&, unsigned, ir::Arrays& inputs) {
  scale_input(inputs.at("gate_weight"), 1 / std::sqrt(problem["d"]));
}

}  // namespace

extern constinit const Mechanism dynamic_heads{
    .name = "dynamic_heads",
    .family = "routing",
    .doc = "a gate for each head, from its mean query, switches heads off; those cost nothing",
    .formula = "o = g softmax(q·k / √d) v where g = σ(mean(q)·w) > threshold, else 0",
    .paper = "Xin 2020",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .special_inputs = special_inputs,
    .properties = {.permutable = true}};

}  // namespace fovea::ops
