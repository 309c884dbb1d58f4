// Causal attention after a prefix that all rows see.
//
//   visible(i, j) = j <= i + n_k - n_q || j < prefix[b]
#include <random>

#include "ops/masks.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = head_options(kStart);

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  const Tensor prefix = input("prefix", i32, {x.b});
  return attention(x, x.score(), x.j <= position(problem, x) || x.j < prefix);
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes& sizes) {
  const ir::Array& prefix = inputs.at("prefix");
  const auto visible = [&](const Pair& at) {
    const bool in_prefix = static_cast<double>(at.j) < ops::at(prefix, {at.b});
    return in_prefix || at.j <= position_of(problem, sizes, at.i);
  };
  return attend(inputs, {.visible = visible});
}

void special_inputs(const Problem&, const ir::Sizes& sizes, unsigned seed, ir::Arrays& inputs) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<std::int64_t> length(0, sizes.at("j"));
  for (double& prefix : inputs.at("prefix").data) prefix = static_cast<double>(length(random));
}

}  // namespace

extern constinit const Mechanism prefix_lm{
    .name = "prefix_lm",
    .family = "masks and sparsity",
    .doc = "causal, and every row sees the whole prefix; its length may vary over the batch",
    .formula = "o = softmax(q·k / √d where j <= i || j < prefix[b]) v",
    .paper = "Raffel 2020",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .special_inputs = special_inputs,
    .properties = {.convex = true}};

}  // namespace fovea::ops
