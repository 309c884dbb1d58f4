// Attention at two scales: to keys near the row and to another set that all see, mixed by head.
//
//   o = λ_h softmax_near(q·k / √d) v + (1 - λ_h) softmax(q·k_global / √d) v_global,  λ_h = σ(mix_h)
#include <cmath>
#include <cstdlib>

#include "ops/masks.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions =
    head_options(Option{"window", 256, "near keys, half of them on either side"}, kStart);

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  const Axis n{"n"};
  const Tensor k = x.of_head(input("k_global", f32, {x.b, x.g, n, x.d}));
  const Tensor v = x.of_head(input("v_global", f32, {x.b, x.g, n, x.e}));
  const Tensor mix = sigmoid(input("mix", f32, {x.h}));
  const int half = problem.integer("window") / 2;
  const Tensor back = position(problem, x) - x.j;
  const Tensor s = where(back <= half && back >= -half, x.score(), -infinity);
  const Tensor near = sum(x.j, softmax(x.j, s) * x.v);
  const Tensor far = sum(n, softmax(n, sum(x.d, x.q * k) * x.scale) * v);
  return graph_of(x, {{"o", mix * near + (1.0 - mix) * far}});
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes& sizes) {
  const std::int64_t half = problem.integer("window") / 2;
  const auto visible = [&](const Pair& at) {
    return std::abs(position_of(problem, sizes, at.i) - at.j) <= half;
  };
  ir::Array near = attend(inputs, {.visible = visible}).at("o");
  const ir::Array far =
      attend({{"q", inputs.at("q")}, {"k", inputs.at("k_global")}, {"v", inputs.at("v_global")}},
             {})
          .at("o");
  const auto of_head = static_cast<std::size_t>(near.shape[2] * near.shape[3]);
  for (std::size_t n = 0; n < near.data.size(); ++n) {
    const std::size_t head = n / of_head % static_cast<std::size_t>(near.shape[1]);
    const double mix = 1 / (1 + std::exp(-inputs.at("mix").data[head]));
    near.data[n] = mix * near.data[n] + (1 - mix) * far.data[n];
  }
  return {{"o", near}};
}

}  // namespace

extern constinit const Mechanism multi_scale{
    .name = "multi_scale",
    .family = "routing",
    .doc =
        "attention to near keys and to a global set, each by itself, mixed by a gate of the head",
    .formula = "o = λ softmax_near(q·k / √d) v + (1 - λ) softmax(q·k_global / √d) v_global",
    .paper = "Beltagy 2020",
    .options = kOptions,
    .build = build,
    .reference = reference};

}  // namespace fovea::ops
