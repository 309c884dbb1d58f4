// Attention to a window, and to a few global positions that all see and that see all.
//
//   visible(i, j) = |p - j| <= window / 2 || j < global || 0 <= p < global;  p = i + n_k - n_q
//
// With `causal` the window is the last `window` keys, and nothing sees a later key.
#include <cstdlib>

#include "ops/masks.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = head_options(
    Option{"window", 256, "half of it on either side; with causal, the keys up to the row's own"},
    Option{"global", 4, "positions from the start that all see and that see all"},
    Option{"causal", 0, "1: no row sees a later key"}, kStart);

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  const Tensor at = position(problem, x);
  const int window = problem.integer("window"), global = problem.integer("global", 0);
  const Tensor wide = x.j < global || (at >= 0 && at < global);
  if (problem.flag("causal")) {
    return attention(x, x.score(), x.j <= at && (at - x.j < window || wide));
  }
  const Tensor near = x.j - at <= window / 2 && at - x.j <= window / 2;
  return attention(x, x.score(), near || wide);
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes& sizes) {
  const int window = problem.integer("window"), global = problem.integer("global", 0);
  const auto visible = [&](const Pair& at) {
    const std::int64_t p = position_of(problem, sizes, at.i);
    if (problem.flag("causal") && at.j > p) return false;
    if (at.j < global || (p >= 0 && p < global)) return true;
    return problem.flag("causal") ? p - at.j < window : std::abs(p - at.j) <= window / 2;
  };
  return attend(inputs, {.visible = visible});
}

}  // namespace

extern constinit const Mechanism local_global{
    .name = "local_global",
    .family = "masks and sparsity",
    .doc = "a window and global positions that all see and that see all; each key once",
    .formula = "o = softmax(q·k / √d where |i - j| <= window / 2 || j < global || i < global) v",
    .paper = "Beltagy 2020",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .properties = {.convex = true}};

}  // namespace fovea::ops
