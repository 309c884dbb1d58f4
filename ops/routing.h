// ops/routing.h — which experts a row uses: the k of highest probability, and how they are mixed.
#pragma once

#include <cstdint>
#include <vector>

#include "ir/tensor.h"
#include "ops/mechanism.h"

namespace fovea::ops {

inline constexpr Option kAlpha{"alpha", 0.01, "weight of the balance loss"};

// Of logits over experts `x` and tokens. Places n hold the chosen experts, most probable first.
struct Routing {
  Axis x, n;
  Tensor chosen;  // over n: i32, ties to the lower expert
  Tensor gate;    // over n: the probability of the chosen, renormalised over them
  Tensor share;   // over x: the gate of each expert, 0 where it is not chosen
  Tensor
      balance;  // α N Σ_x f_x P_x (Fedus 2021): f the share of the choices, P the mean probability

  // An expert's parameters at each place, read where they lie: what is made of them is computed
  // for the chosen experts only, whatever the experts are.
  Tensor of_chosen(const Tensor& parameter) const { return parameter.at(x, chosen); }
};

// Error (invalid_config): more chosen than there are experts.
Routing route(const Problem& problem, const Axis& x, const Tensor& logits, const Axes& tokens);

// The same of one token in double: the chosen experts and their gates.
struct Choice {
  std::vector<std::int64_t> chosen;
  std::vector<double> gate, probability;
};
Choice choose(const Problem& problem, const std::vector<double>& logits);

}  // namespace fovea::ops
