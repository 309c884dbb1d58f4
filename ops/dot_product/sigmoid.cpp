// Sigmoid attention: each key is weighed by itself.
//
//   o_i = Σ_j sigmoid(q·k / √d - log n_k + bias) v_j
#include <cmath>

#include "ops/heads.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = head_options(Option{"bias", 0, "added to the scores beside -log n"});

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  const Tensor shift = problem["bias"] - log(cast(f32, size(x.j)));
  return weighted(x, fovea::sigmoid(x.score() + shift));
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes&) {
  const auto weigh = [&](const Pair&, std::vector<double> scores) {
    const double shift = problem["bias"] - std::log(static_cast<double>(scores.size()));
    for (double& s : scores) s = 1 / (1 + std::exp(-(s + shift)));
    return scores;
  };
  return attend(inputs, {.weigh = weigh});
}

}  // namespace

extern constinit const Mechanism sigmoid{
    .name = "sigmoid",
    .family = "dot product",
    .doc = "a sigmoid of each score instead of a softmax over the row",
    .formula = "o = Σ_j sigmoid(q·k / √d - log n) v",
    .paper = "Ramapuram 2024",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .properties = {.permutable = true}};

}  // namespace fovea::ops
