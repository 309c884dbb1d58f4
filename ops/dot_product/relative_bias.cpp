// Attention with a learned bias for each head and distance.
//
//   s = q·k / √d + bias[h, i - j + n_k - 1],  bias f32[h, n_q + n_k - 1]
#include "ops/heads.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = head_options();

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  // n_q + n_k - 1, and 0 where there are neither queries nor keys.
  const Extent both = Extent(x.i) + Extent(x.j);
  const Axis r{"r", both - 1 + Extent(1) / (both + 1)};
  const Tensor bias = input("bias", f32, {x.h, r});
  return attention(x, x.score() + bias.at(r, x.i - x.j + (size(x.j) - 1)));
}

ir::Arrays reference(const Problem&, const ir::Arrays& inputs, const ir::Sizes& sizes) {
  const auto score = [&](const Pair& at, double s) {
    return s + ops::at(inputs.at("bias"), {at.h, at.i - at.j + sizes.at("j") - 1});
  };
  return attend(inputs, {.score = score});
}

}  // namespace

extern constinit const Mechanism relative_bias{
    .name = "relative_bias",
    .family = "dot product",
    .doc = "adds a tensor over i - j to the scores of each head",
    .formula = "o = softmax(q·k / √d + bias[h, i - j]) v",
    .paper = "Raffel 2020",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .properties = {.convex = true}};

}  // namespace fovea::ops
