// Attention to the blocks of keys whose mean scores best with the mean query of the block of rows.
//
//   visible(i, j) = j / block in top(i / block),  top(r) = the `k` largest mean(q_r)·mean(k_c)
//
// The choice is exact, and as a table of blocks it decides which tiles are visited. Blocks of 96
// are tiles.
#include <algorithm>

#include "ops/masks.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = head_options(Option{"block", 96, "rows and keys of a block"},
                                       Option{"k", 8, "blocks of keys that a block of rows sees"});

// The mean over each block of the axis; the last one may be short.
Tensor mean_of(const Tensor& x, const Axis& axis, const Axis& blocks, int block) {
  const Axis t{"t", block};
  const Tensor first = blocks * block;
  return sum(t, x.at(axis, first + t)) / cast(f32, min(size(axis) - first, block));
}

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  const int block = problem.integer("block");
  const Axis r{"r", (Extent(x.i) + (block - 1)) / block};
  const Axis c{"c", (Extent(x.j) + (block - 1)) / block}, n{"n", problem.integer("k")};
  const Tensor score = sum(x.d, mean_of(x.q, x.i, r, block) * mean_of(x.k, x.j, c, block));
  const Tensor active = any(n, topk(c, n, score) == c).named("active");
  return attention(x, x.score(), active.at({{r, x.i / block}, {c, x.j / block}}));
}

// The mean of a feature over a block of x [b, h, n, d].
double pooled(const ir::Array& x, std::int64_t b, std::int64_t h, std::int64_t at_block,
              std::int64_t d, std::int64_t block) {
  const std::int64_t first = at_block * block, end = std::min(first + block, x.shape[2]);
  double sum = 0;
  for (std::int64_t n = first; n < end; ++n) sum += at(x, {b, h, n, d});
  return sum / static_cast<double>(end - first);
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes&) {
  const ir::Array &q = inputs.at("q"), &k = inputs.at("k");
  const std::int64_t block = problem.integer("block"), group = q.shape[1] / k.shape[1];
  const std::int64_t columns = (k.shape[2] + block - 1) / block;
  const auto visible = [&](const Pair& pair) {
    std::vector<double> scores;
    for (std::int64_t c = 0; c < columns; ++c) {
      scores.push_back(0);
      for (std::int64_t d = 0; d < q.shape[3]; ++d) {
        scores.back() += pooled(q, pair.b, pair.h, pair.i / block, d, block) *
                         pooled(k, pair.b, pair.h / group, c, d, block);
      }
    }
    const double mine = scores[static_cast<std::size_t>(pair.j / block)];
    const auto before = [&](double other) { return other > mine; };
    return std::ranges::count_if(scores, before) < problem.integer("k");
  };
  return attend(inputs, {.visible = visible});
}

}  // namespace

extern constinit const Mechanism top_k_blocks{
    .name = "top_k_blocks",
    .family = "masks and sparsity",
    .doc = "each block of rows sees the k blocks of keys with the best mean scores",
    .formula = "o = softmax(q·k / √d where j / block in top k of mean(q)·mean(k)) v",
    .paper = "Lu 2025",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .properties = {.convex = true}};

}  // namespace fovea::ops
