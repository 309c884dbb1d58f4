// Retention: products of queries and keys that fade with their distance, without a softmax.
//
//   o_i = Σ_{j <= i} γ_h^(i - j) (q_i·k_j / √d) v_j
//
// The decay γ of each head, 0 < γ <= 1, is an input.
#include <cmath>

#include "ops/masks.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = head_options(kStart);

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  const Tensor at = position(problem, x);
  const Tensor rate = log(input("decay", f32, {x.h}));
  const Tensor faded = x.score() * exp((at - x.j) * rate);
  return weighted(x, where(x.j <= at, faded, 0.0));
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes& sizes) {
  const auto visible = [&](const Pair& at) { return at.j <= position_of(problem, sizes, at.i); };
  const auto score = [&](const Pair& pair, double s) {
    const std::int64_t distance = position_of(problem, sizes, pair.i) - pair.j;
    return s * std::pow(at(inputs.at("decay"), {pair.h}), static_cast<double>(distance));
  };
  const auto weigh = [](const Pair&, const std::vector<double>& s) { return s; };
  return attend(inputs, {.visible = visible, .score = score, .weigh = weigh});
}

// 1 - 2^(-5 - h), as the paper has them.
void special_inputs(const Problem&, const ir::Sizes&, unsigned, ir::Arrays& inputs) {
  std::vector<double>& decay = inputs.at("decay").data;
  for (std::size_t h = 0; h < decay.size(); ++h)
    decay[h] = 1 - std::exp2(-5 - static_cast<double>(h % 8));
}

}  // namespace

extern constinit const Mechanism retention{
    .name = "retention",
    .family = "linear time",
    .doc = "products that fade with distance by each head's decay, by a carried state",
    .formula = "o = Σ γ^(i - j) (q·k / √d) v over j <= i + n_k - n_q",
    .paper = "Sun 2023",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .special_inputs = special_inputs};

}  // namespace fovea::ops
