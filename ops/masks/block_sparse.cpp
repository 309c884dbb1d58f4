// Attention to active blocks of keys.
//
//   visible(i, j) = active[i / block, j / block]
#include "ops/masks.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = head_options(Option{"block", 64, "rows and keys of a block"});

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  const int block = problem.integer("block");
  const Axis x_block{"x", (Extent(x.i) + (block - 1)) / block};
  const Axis y_block{"y", (Extent(x.j) + (block - 1)) / block};
  const Tensor active = input("active", boolean, {x_block, y_block});
  return attention(x, x.score(), active.at({{x_block, x.i / block}, {y_block, x.j / block}}));
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes&) {
  const int block = problem.integer("block");
  const auto visible = [&](const Pair& at) {
    return ops::at(inputs.at("active"), {at.i / block, at.j / block}) != 0;
  };
  return attend(inputs, {.visible = visible});
}

}  // namespace

extern constinit const Mechanism block_sparse{
    .name = "block_sparse",
    .family = "masks and sparsity",
    .doc = "each block of rows sees the blocks of keys that are active",
    .formula = "o = softmax(q·k / √d where active[i / block, j / block]) v",
    .paper = "Child 2019",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .properties = {.convex = true}};

}  // namespace fovea::ops
