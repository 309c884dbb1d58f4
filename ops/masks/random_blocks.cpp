// Attention to randomly chosen blocks of keys, the same ones for the same seed (ops/masks.h).
//
//   visible(i, j) = j / block is one of the `random` blocks of row block p / block
//   p = i + n_k - n_q
#include "ops/masks.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = head_options(kBlock, kRandom, kSeed, kStart);

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  const Tensor row_block = position(problem, x) / problem.integer("block");
  return attention(x, x.score(), in_random_block(problem, x, row_block));
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes& sizes) {
  const int block = problem.integer("block");
  const std::int64_t blocks = (sizes.at("j") + block - 1) / block;
  const auto visible = [&](const Pair& at) {
    const std::int64_t row_block = floor_div(position_of(problem, sizes, at.i), block);
    return is_random_block(problem, row_block, at.j / block, blocks);
  };
  return attend(inputs, {.visible = visible});
}

}  // namespace

extern constinit const Mechanism random_blocks{
    .name = "random_blocks",
    .family = "masks and sparsity",
    .doc = "each block of rows sees as many random blocks of keys, all different",
    .formula = "o = softmax(q·k / √d where j / block in random(i / block, seed)) v",
    .paper = "Zaheer 2020",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .properties = {.convex = true}};

}  // namespace fovea::ops
