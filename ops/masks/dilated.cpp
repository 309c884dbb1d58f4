// Attention to a window with gaps: `window` keys, each `stride` before the next.
//
//   visible(i, j) = 0 <= p - j < window * stride && (p - j) % stride == 0;  p = i + n_k - n_q
#include "ir/require.h"
#include "ops/masks.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions =
    head_options(Option{"window", 128, "keys that a row sees, the last of them its own"},
                 Option{"stride", 2, "from one of them to the next"}, kStart);

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  const Tensor back = position(problem, x) - x.j;
  const int window = problem.integer("window"), stride = problem.integer("stride");
  require(window <= 1000000000 / stride, Code::input_too_large,
          "window {} times stride {} is too large; expected at most 1000000000", window, stride);
  return attention(x, x.score(), back >= 0 && back < window * stride && back % stride == 0);
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes& sizes) {
  const int window = problem.integer("window"), stride = problem.integer("stride");
  const auto visible = [&](const Pair& at) {
    const std::int64_t back = position_of(problem, sizes, at.i) - at.j;
    for (std::int64_t n = 0; n < window; ++n) {
      if (back == n * stride) return true;
    }
    return false;
  };
  return attend(inputs, {.visible = visible});
}

}  // namespace

extern constinit const Mechanism dilated{
    .name = "dilated",
    .family = "masks and sparsity",
    .doc = "a window of keys with gaps between them",
    .formula =
        "o = softmax(q·k / √d where 0 <= i - j < window * stride && (i - j) % stride == 0) v",
    .paper = "Beltagy 2020",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .properties = {.convex = true}};

}  // namespace fovea::ops
