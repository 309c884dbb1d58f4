#include "ops/routing.h"

#include <algorithm>

#include "ir/require.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

int count_of(const Problem& problem, int experts) {
  const int count = problem.integer("k");
  require(count <= experts, Code::invalid_config,
          "option k is {}, the experts of a token; expected at most all of them, which are {}",
          count, experts);
  return count;
}

}  // namespace

Routing route(const Problem& problem, const Axis& x, const Tensor& logits, const Axes& tokens) {
  const int experts = problem.integer("experts");
  const Axis n{"n", count_of(problem, experts)};
  const Tensor p = softmax(x, logits);
  const Tensor chosen = topk(x, n, p), of_chosen = p.at(x, chosen);
  const Tensor gate = of_chosen / sum(n, of_chosen);
  const Tensor is_chosen = chosen == x;
  Axes choices = tokens;
  choices.push_back(n);
  const Tensor used = mean(choices, cast(f32, is_chosen)) * mean(tokens, p);
  return {x,
          n,
          chosen,
          gate,
          sum(n, where(is_chosen, gate, 0.0)),
          sum(x, used) * (problem["alpha"] * experts)};
}

Choice choose(const Problem& problem, const std::vector<double>& logits) {
  Choice choice{{}, {}, softmax_of(logits)};
  std::vector<double> left = choice.probability;
  for (int n = 0; n < problem.integer("k"); ++n) {
    const auto best = std::ranges::max_element(left);
    choice.chosen.push_back(best - left.begin());
    choice.gate.push_back(*best);
    *best = -1;
  }
  choice.gate = shares_of(choice.gate);
  return choice;
}

}  // namespace fovea::ops
