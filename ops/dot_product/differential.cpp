// Differential attention: the difference of two softmaxes cancels what both see everywhere.
//
//   o = (softmax(q·k / √d) - lambda softmax(q2·k2 / √d)) v
//
// The normalisation of heads that follows in the paper is left to the caller.
#include "ops/heads.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = head_options();

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  const Tensor q2 = input("q2", f32, {x.b, x.h, x.i, x.d});
  const Tensor k2 = x.of_head(input("k2", f32, {x.b, x.g, x.j, x.d}));
  const Tensor second = softmax(x.j, sum(x.d, q2 * k2) * x.scale);
  return weighted(x, softmax(x.j, x.score()) - input("lambda", f32, {x.h}) * second);
}

ir::Arrays reference(const Problem&, const ir::Arrays& inputs, const ir::Sizes&) {
  const ir::Arrays others{{"q", inputs.at("q2")}, {"k", inputs.at("k2")}, {"v", inputs.at("v")}};
  ir::Array o = attend(inputs, {}).at("o");
  const ir::Array second = attend(others, {}).at("o");
  const std::size_t per_head =
      o.data.empty() ? 1 : static_cast<std::size_t>(o.shape[2] * o.shape[3]);
  for (std::size_t n = 0; n < o.data.size(); ++n) {
    const auto h = static_cast<std::int64_t>(n / per_head) % o.shape[1];
    o.data[n] -= at(inputs.at("lambda"), {h}) * second.data[n];
  }
  return {{"o", o}};
}

}  // namespace

extern constinit const Mechanism differential{
    .name = "differential",
    .family = "dot product",
    .doc = "the difference of two softmaxes, with lambda for each head",
    .formula = "o = (softmax(q·k / √d) - lambda[h] softmax(q2·k2 / √d)) v",
    .paper = "Ye 2024",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .properties = {.permutable = true}};

}  // namespace fovea::ops
