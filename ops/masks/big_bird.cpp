// Attention to a window of blocks, to global blocks and to random ones.
//
//   visible(i, j) = |r - c| <= window / 2 || c < global || 0 <= r < global || c in random(r, seed)
//   r = (i + n_k - n_q) / block, c = j / block
#include <cstdlib>

#include "ops/masks.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions =
    head_options(Option{"window", 3, "blocks, half of them on either side"},
                 Option{"global", 1, "blocks from the start that all see and that see all"}, kBlock,
                 kRandom, kSeed, kStart);

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  const int block = problem.integer("block"), half = problem.integer("window") / 2;
  const int global = problem.integer("global", 0);
  const Tensor row = position(problem, x) / block, column = x.j / block;
  const Tensor near = row - column <= half && column - row <= half;
  const Tensor wide = column < global || (row >= 0 && row < global);
  return attention(x, x.score(), near || wide || in_random_block(problem, x, row));
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes& sizes) {
  const int block = problem.integer("block"), half = problem.integer("window") / 2;
  const int global = problem.integer("global", 0);
  const std::int64_t blocks = (sizes.at("j") + block - 1) / block;
  const auto visible = [&](const Pair& at) {
    const std::int64_t row = floor_div(position_of(problem, sizes, at.i), block);
    const std::int64_t column = at.j / block;
    if (std::abs(row - column) <= half || column < global) return true;
    return (row >= 0 && row < global) || is_random_block(problem, row, column, blocks);
  };
  return attend(inputs, {.visible = visible});
}

}  // namespace

extern constinit const Mechanism big_bird{
    .name = "big_bird",
    .family = "masks and sparsity",
    .doc = "a window of blocks, global blocks and seeded random blocks; each key once",
    .formula = "o = softmax(q·k / √d where window || global || random, by blocks) v",
    .paper = "Zaheer 2020",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .properties = {.convex = true}};

}  // namespace fovea::ops
