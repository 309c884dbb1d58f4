// Attention to the last keys and to every s-th before them.
//
//   visible(i, j) = j <= p && (p - j < window || (p - j) % stride == 0);  p = i + n_k - n_q
#include "ops/masks.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions =
    head_options(Option{"window", 128, "keys up to the row's own"},
                 Option{"stride", 128, "every how many keys another is seen"}, kStart);

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  const Tensor back = position(problem, x) - x.j;
  const Tensor near = back < problem.integer("window");
  return attention(x, x.score(), back >= 0 && (near || back % problem.integer("stride") == 0));
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes& sizes) {
  const int window = problem.integer("window"), stride = problem.integer("stride");
  const auto visible = [&](const Pair& at) {
    const std::int64_t back = position_of(problem, sizes, at.i) - at.j;
    return back >= 0 && (back < window || back % stride == 0);
  };
  return attend(inputs, {.visible = visible});
}

}  // namespace

extern constinit const Mechanism strided{
    .name = "strided",
    .family = "masks and sparsity",
    .doc = "the last keys and every s-th before them",
    .formula = "o = softmax(q·k / √d where j <= i && (i - j < window || (i - j) % stride == 0)) v",
    .paper = "Child 2019",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .properties = {.convex = true}};

}  // namespace fovea::ops
