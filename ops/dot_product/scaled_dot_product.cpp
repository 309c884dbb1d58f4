// Scaled dot-product attention.
//
//   o_i = Σ_j softmax_j(q_i·k_j / (√d T)) v_j
#include <cmath>

#include "ops/heads.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = head_options(Option{"temperature", 1, "divides the scores"},
                                       Option{"lse", 0, "1: also the log-sum-exp of the scores"});

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  const Tensor s = x.dot() * (x.scale / problem.positive("temperature"));
  const Tensor o = sum(x.j, softmax(x.j, s) * x.v);
  if (!problem.flag("lse")) return graph_of(x, {{"o", o}});
  return graph_of(x, {{"o", o}, {"lse", logsumexp(x.j, s)}});
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes&) {
  const ir::Array& q = inputs.at("q");
  ir::Array lse = zeros({q.shape[0], q.shape[1], q.shape[2]});
  const auto score = [&](const Pair&, double s) { return s / problem["temperature"]; };
  const auto weigh = [&](const Pair& at, const std::vector<double>& scores) {
    double total = 0;
    for (const double s : scores) total += std::exp(s - scores[0]);
    ops::at(lse, {at.b, at.h, at.i}) = scores.empty() ? -HUGE_VAL : scores[0] + std::log(total);
    return softmax_of(scores);
  };
  ir::Arrays outputs = attend(inputs, {.score = score, .weigh = weigh});
  if (problem.flag("lse")) outputs["lse"] = lse;
  return outputs;
}

}  // namespace

extern constinit const Mechanism scaled_dot_product{
    .name = "scaled_dot_product",
    .family = "dot product",
    .doc = "softmax over scaled dot products; with `lse`, also the log of each row's sum",
    .formula = "o = softmax(q·k / (√d T)) v",
    .paper = "Vaswani 2017",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .properties = {.convex = true, .permutable = true}};

}  // namespace fovea::ops
