// Attention to the keys up to the row's own.
//
//   visible(i, j) = j <= i + n_k - n_q
#include "ops/masks.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = head_options(kStart);

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  return attention(x, x.score(), x.j <= position(problem, x));
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes& sizes) {
  const auto visible = [&](const Pair& at) { return at.j <= position_of(problem, sizes, at.i); };
  return attend(inputs, {.visible = visible});
}

}  // namespace

extern constinit const Mechanism causal{
    .name = "causal",
    .family = "masks and sparsity",
    .doc = "each row sees the keys up to its own, rows aligned at the end or the start",
    .formula = "o = softmax(q·k / √d where j <= i + n_k - n_q) v",
    .paper = "Vaswani 2017",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .properties = {.convex = true}};

}  // namespace fovea::ops
