// Attention to a window of keys that moves with the row.
//
//   visible(i, j) = 0 <= p - j < window, or |p - j| <= radius;  p = i + n_k - n_q
#include <cmath>

#include "ops/masks.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = head_options(
    kWindow, Option{"radius", 0, "above 0: keys so far away on both sides instead"}, kStart);

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  const Tensor back = position(problem, x) - x.j;
  const int window = problem.integer("window"), radius = problem.integer("radius", 0);
  return attention(x, x.score(),
                   radius > 0 ? back <= radius && back >= -radius : back >= 0 && back < window);
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes& sizes) {
  const auto visible = [&](const Pair& at) {
    const std::int64_t back = position_of(problem, sizes, at.i) - at.j;
    if (problem["radius"] > 0) return std::abs(static_cast<double>(back)) <= problem["radius"];
    return back >= 0 && static_cast<double>(back) < problem["window"];
  };
  return attend(inputs, {.visible = visible});
}

}  // namespace

extern constinit const Mechanism sliding_window{
    .name = "sliding_window",
    .family = "masks and sparsity",
    .doc = "each row sees the last keys up to its own, or those within a radius",
    .formula = "o = softmax(q·k / √d where 0 <= i - j < window) v",
    .paper = "Beltagy 2020",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .properties = {.convex = true}};

}  // namespace fovea::ops
