// Attention to local keys near the row and to global keys, given apart; one softmax over both.
//
//   o = (Σ_near e^s v + Σ_n e^t v_global) / (Σ_near e^s + Σ_n e^t)
//
// Each part is normalised by itself and weighted by its share: softmax over a union is exact that
// way.
#include <cstdlib>

#include "ops/masks.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions =
    head_options(Option{"window", 256, "local keys, half of them on either side"}, kStart);

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  const Axis n{"n"};
  const Tensor k = x.of_head(input("k_global", f32, {x.b, x.g, n, x.d}));
  const Tensor v = x.of_head(input("v_global", f32, {x.b, x.g, n, x.e}));
  const int half = problem.integer("window") / 2;
  const Tensor back = position(problem, x) - x.j;
  const Tensor s = where(back <= half && back >= -half, x.score(), -infinity);
  const Tensor t = sum(x.d, x.q * k) * x.scale;
  const Tensor local = logsumexp(x.j, s), global = logsumexp(n, t);
  // Not sigmoid(-inf + inf) where one of them sees nothing.
  const Tensor share = where(global == -infinity, 1.0, sigmoid(local - global));
  const Tensor rest = where(local == -infinity, 1.0, sigmoid(global - local));
  return graph_of(
      x, {{"o", sum(x.j, softmax(x.j, s) * x.v) * share + sum(n, softmax(n, t) * v) * rest}});
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes& sizes) {
  const std::int64_t globals = inputs.at("k_global").shape[2], half = problem.integer("window") / 2;
  const ir::Arrays both{{"q", inputs.at("q")},
                        {"k", joined(inputs.at("k_global"), inputs.at("k"))},
                        {"v", joined(inputs.at("v_global"), inputs.at("v"))}};
  const auto visible = [&](const Pair& at) {
    const std::int64_t local = at.j - globals;
    return local < 0 || std::abs(position_of(problem, sizes, at.i) - local) <= half;
  };
  return attend(both, {.visible = visible});
}

}  // namespace

extern constinit const Mechanism local_and_global_sets{
    .name = "local_and_global_sets",
    .family = "masks and sparsity",
    .doc = "local keys in a window and global keys, given apart, one softmax over the union",
    .formula =
        "o = softmax([q·k, q·k_global] / √d where |i - j| <= window / 2 or global) [v, v_global]",
    .paper = "Beltagy 2020",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .properties = {.convex = true}};

}  // namespace fovea::ops
